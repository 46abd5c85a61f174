"""One DCE/RPC conversation: bytes in, calls of an endpoint, PDUs out.

The same for a named pipe and for the control socket, which differ in their caller only. The rules:

* Calls are answered in their order, by one generator, which is a task of the scheduler's: `_serve`. Of several calls
  that come at once the first is answered at once, and each of the others in a turn of its own; a long answer is made in
  pieces, each in its turn.
* Rights are judged first: of a request that its caller may not make nothing but its level is decoded.
* When the client disconnects the generator is closed. A change that has begun is finished all the same (`changes`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Final, Protocol

from lanman import codes
from lanman.errors import MalformedMessage, RemoteProtocolError
from lanman.rpc.ndr import Call, Interface
from lanman.rpc.server import CallReceived, RpcServer
from lanman.server.effects import Wait, Waiter, Work
from lanman.server.rights import Caller
from lanman.server.scheduler import Scheduler, Task

# Calls that may wait behind one whose answer is still to come.
MAX_WAITING: Final = 64


class Endpoint(Protocol):
    """What answers the calls of an interface."""

    def refuses(self, caller: Caller, call: type[Call[Any]], level: int | None) -> int:
        """ERROR_ACCESS_DENIED if this caller may not make that call at that level, whatever its parameters; else 0."""

    def call(self, caller: Caller, request: Any, now: float) -> Any:
        """The response to a request, of the request's response class, or a generator of `Work` that returns it.

        A refusal is a code in the response.
        """


class Association:
    """One client's conversation with the endpoints of some interfaces.

    Its owner sets what is called when answers come later than the bytes that asked for them:

        on_answers   takes the PDUs of such answers
        run_piece    is given each piece of that work to run; when the connection is over it may drop it
        failed       is given an exception that such a piece raises, an error of ours
        look_up      is called before each call; a Waiter that it returns is waited for first (the groups are read)
    """

    def __init__(self, endpoints: Sequence[tuple[Interface, Endpoint]], caller: Caller, scheduler: Scheduler) -> None:
        self._rpc = RpcServer([interface for interface, _ in endpoints])
        self._endpoints: Mapping[Interface, Endpoint] = dict(endpoints)
        self.caller = caller
        self._scheduler = scheduler
        self.on_answers: Callable[[list[bytes]], None] = _ignore
        self.run_piece: Callable[[Callable[[], None]], None] = _at_once
        self.failed: Callable[[Exception], None] = scheduler.report_error
        self.look_up: Callable[[], Waiter[None] | None] | None = None
        self._calls: deque[CallReceived] = deque()
        self._task: Task[None] | None = None

    def receive_data(self, data: bytes) -> list[bytes]:
        """Take bytes from the client; the PDUs to send it now. Raises RemoteProtocolError: end the conversation."""
        self._calls += self._rpc.receive_data(data)
        if self._calls and not self.unanswered_call:
            self._task = self._scheduler.start(self._serve(), failed=self._fail, around=self._do_piece)
        if len(self._calls) > MAX_WAITING:
            raise RemoteProtocolError("too many calls before the first one is answered")
        return self._rpc.data_to_send()

    @property
    def unanswered_call(self) -> bool:
        """Whether a call's answer is still to come."""
        return self._task is not None and not self._task.over

    @property
    def waits_for_turn(self) -> bool:
        """Whether the answer waits for a turn of the event loop only, and so comes at once."""
        return self._task is not None and self._task.waits_for_turn

    @property
    def held(self) -> int:
        """The bytes held of calls that are not answered, complete or not."""
        return self._rpc.held + sum(len(call.stub) for call in self._calls)

    def close(self) -> None:
        """The client has disconnected: answer nothing any more.

        The references to the owner are dropped, so that no cycle keeps either of them in memory.
        """
        self.on_answers, self.run_piece, self.look_up = _ignore, _at_once, None
        self.failed = self._scheduler.report_error
        self._calls.clear()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    def _do_piece(self, piece: Callable[[], None]) -> None:
        def do() -> None:
            piece()
            self.on_answers(self._rpc.data_to_send())

        self.run_piece(do)

    def _fail(self, error: Exception) -> None:
        self.failed(error)

    def _serve(self) -> Work[None]:
        """Answer the calls received so far, and those received meanwhile."""
        while self._calls:
            if self.look_up is not None and (known := self.look_up()) is not None:
                yield Wait(known, deferred=True)
            yield from self._answer(self._calls.popleft())
            if self._calls:
                yield None

    def _answer(self, call: CallReceived) -> Work[None]:
        endpoint = self._endpoints[call.interface]
        try:
            level = call.level()
            if status := endpoint.refuses(self.caller, call.type, level):
                self._rpc.respond(call, call.type.refused(level, status).pack(call.ndr64))
                return
            request = call.request()
        except MalformedMessage:
            self._rpc.fault(call, codes.RPC_X_BAD_STUB_DATA)
            return
        response = endpoint.call(self.caller, request, self._scheduler.now)
        if isinstance(response, Generator):
            response = yield from response
        self._rpc.respond(call, (yield from response.pack_in_pieces(call.ndr64)))


def _ignore(answers: list[bytes]) -> None:
    """The client has disconnected: ignore the answers."""


def _at_once(piece: Callable[[], None]) -> None:
    piece()
