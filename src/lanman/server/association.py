"""One DCE/RPC conversation: bytes in, calls of an endpoint, PDUs out.

The same for a named pipe and for the control socket; who the caller is, is all that differs. The rules:

* Calls are answered in their order, by one generator, which is a task of the scheduler's: `_serve`. Of several calls
  that come at once the first is answered at once, and each of the others in a turn of its own; a long answer is made in
  pieces, each in its turn.
* Rights come before all else: of a request that its caller may not make no more is read than its level.
* When the client has gone the generator is closed. A change that has begun comes to its end all the same (`changes`).
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
        """The code by which this caller is refused that call at that level, whatever else it says; 0 if it is not."""

    def call(self, caller: Caller, request: Any, now: float) -> Any:
        """The response to the request, of the class that it has, or a generator of `Work` that makes it. A refusal is a
        code in it."""


class Association:
    """One client's conversation with the endpoints of some interfaces.

    `say` is given the PDUs of answers that come when nothing was received. `around` is given each piece of work that is
    done then, and may leave it undone, once it is over; `failed` is told of an error of ours in it. `look_up`, where it
    is set, is asked before each call: where something is to be looked up first, it says what to wait for.
    """

    def __init__(self, endpoints: Sequence[tuple[Interface, Endpoint]], caller: Caller, scheduler: Scheduler) -> None:
        self._rpc = RpcServer([interface for interface, _ in endpoints])
        self._endpoints: Mapping[Interface, Endpoint] = dict(endpoints)
        self.caller = caller
        self._scheduler = scheduler
        self.say: Callable[[list[bytes]], None] = _say_nothing
        self.around: Callable[[Callable[[], None]], None] = _at_once
        self.failed: Callable[[Exception], None] = scheduler.tell_error
        self.look_up: Callable[[], Waiter[None] | None] | None = None
        self._calls: deque[CallReceived] = deque()
        self._task: Task[None] | None = None

    def receive_data(self, data: bytes) -> list[bytes]:
        """Take what the client wrote and give the PDUs to send it. Raises RemoteProtocolError: it is over."""
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
        """Whether that is a matter of moments."""
        return self._task is not None and self._task.waits_for_turn

    @property
    def held(self) -> int:
        """How many bytes of calls are kept that are not answered, whole or not."""
        return self._rpc.held + sum(len(call.stub) for call in self._calls)

    def close(self) -> None:
        """The client has gone: nothing is answered any more. What holds the two halves together is undone, so that both
        are freed."""
        self.say, self.around, self.look_up = _say_nothing, _at_once, None
        self.failed = self._scheduler.tell_error
        self._calls.clear()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    def _do_piece(self, piece: Callable[[], None]) -> None:
        def do() -> None:
            piece()
            self.say(self._rpc.data_to_send())

        self.around(do)

    def _fail(self, error: Exception) -> None:
        self.failed(error)

    def _serve(self) -> Work[None]:
        """Answer the calls that there are, and those that come meanwhile."""
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


def _say_nothing(answers: list[bytes]) -> None:
    """Nobody hears answers that come this late."""


def _at_once(piece: Callable[[], None]) -> None:
    piece()
