"""One DCE/RPC conversation: bytes in, calls of an endpoint, PDUs out.

The same for a named pipe and for the control socket; who the caller is, is all that differs.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Final, Protocol

from lanman.errors import MalformedMessage, RemoteProtocolError
from lanman.rpc.ndr import Call, Interface
from lanman.rpc.server import RPC_X_BAD_STUB_DATA, CallReceived, RpcServer
from lanman.server.changes import Deferred
from lanman.server.rights import Caller

# Calls that may wait behind one whose answer is still to come.
MAX_WAITING: Final = 64


class Endpoint(Protocol):
    """What answers the calls of an interface."""

    def refuses(self, caller: Caller, call: type[Call[Any]], level: int | None) -> int:
        """The code by which this caller is refused that call at that level, whatever else it says; 0 if it is not."""

    def call(self, caller: Caller, request: Any, now: float) -> Any:
        """The response to the request, of the class that it has, or a Deferred one, or what is left of the work that
        makes it: a generator that yields whenever others may have a turn. A refusal is a code in it."""


Turn = Callable[[float], None]


class Association:
    """One client's conversation with the endpoints of some interfaces.

    Calls are answered in their order. `later` is given the PDUs of answers that come when nothing was received.
    Of several calls that come at once the first is answered at once, and each of the others in a turn of its own, which
    `take_turn` is asked for; without it, all are answered at once. Rights come before all else: of a request that its
    caller may not make no more is read than its level. `look_up`, where it is set, is asked before each call: it says
    False, or has the call answered later, when it is known what the caller may do now.
    """

    def __init__(self, endpoints: Sequence[tuple[Interface, Endpoint]], caller: Caller) -> None:
        self._rpc = RpcServer([interface for interface, _ in endpoints])
        self._endpoints: Mapping[Interface, Endpoint] = dict(endpoints)
        self.caller = caller
        self.later: Callable[[list[bytes], float], None] = lambda pdus, now: None
        self.take_turn: Callable[[Turn], None] | None = None
        self.look_up: Callable[[Turn], bool] | None = None
        self._calls: list[CallReceived] = []
        self._deferred: CallReceived | None = None
        self._in_turn = False  # the next one has a turn of its own to come
        self._in_hand: tuple[CallReceived, Generator[None, None, bytes]] | None = None  # the one whose answer is long

    def receive_data(self, data: bytes, now: float) -> list[bytes]:
        """Take what the client wrote and give the PDUs to send it. Raises RemoteProtocolError: it is over."""
        self._calls += self._rpc.receive_data(data)
        self._work(now)
        if len(self._calls) > MAX_WAITING:
            raise RemoteProtocolError("too many calls before the first one is answered")
        return self._rpc.data_to_send()

    @property
    def unanswered(self) -> bool:
        """Whether a call's answer is still to come."""
        return bool(self._calls) or self._deferred is not None

    @property
    def has_turn_to_come(self) -> bool:
        """Whether that is a matter of moments."""
        return self._in_turn

    @property
    def held(self) -> int:
        """How many bytes of calls are kept that are not answered, whole or not."""
        return self._rpc.held + sum(len(call.stub) for call in self._calls)

    def _work(self, now: float) -> None:
        while (self._calls or self._in_hand) and self._deferred is None and not self._in_turn:
            if self._in_hand is None and self.look_up is not None and self.look_up(self._looked_up):
                self._in_turn = True
            else:
                self._do_next(now)

    def _do_next(self, now: float) -> None:
        """The next piece of the answer in hand, or the next call."""
        if self._in_hand is not None:
            self._go_on_with(*self._in_hand)
        else:
            self._answer(self._calls.pop(0), now)
        if (self._calls or self._in_hand) and self._deferred is None and self.take_turn is not None:
            self._in_turn = True
            self.take_turn(self._go_on)

    def _go_on(self, now: float) -> None:
        """The turn of the next piece or call."""
        self._in_turn = False
        self._work(now)
        self.later(self._rpc.data_to_send(), now)

    def _looked_up(self, now: float) -> None:
        """It is known what the caller of the next call may do."""
        self._in_turn = False
        self._do_next(now)
        self._work(now)
        self.later(self._rpc.data_to_send(), now)

    def _go_on_with(self, call: CallReceived, work: Generator[None, None, bytes]) -> None:
        """The next piece of an answer."""
        self._in_hand = call, work
        try:
            next(work)
        except StopIteration as end:
            self._in_hand = None
            self._rpc.respond(call, end.value)
        except BaseException:
            self._in_hand = None
            raise

    def _answer(self, call: CallReceived, now: float) -> None:
        endpoint = self._endpoints[call.interface]
        try:
            level = call.level()
            if status := endpoint.refuses(self.caller, call.type, level):
                self._rpc.respond(call, call.type.refused(level, status).pack(call.ndr64))
                return
            request = call.request()
        except MalformedMessage:
            self._rpc.fault(call, RPC_X_BAD_STUB_DATA)
            return
        response = endpoint.call(self.caller, request, now)
        if isinstance(response, Deferred):
            self._deferred = call
            response.then(lambda answer, then: self._come(call, answer, then))
        else:
            self._go_on_with(call, _pack(response, ndr64=call.ndr64))

    def _come(self, call: CallReceived, response: Any, now: float) -> None:
        """The answer that was still to come."""
        self._deferred = None
        self._rpc.respond(call, response.pack(call.ndr64))
        self._work(now)
        self.later(self._rpc.data_to_send(), now)


def _pack(response: Any, *, ndr64: bool) -> Generator[None, None, bytes]:
    """The stub of a response, or of one that is made in pieces itself."""
    if isinstance(response, Generator):
        yield
        response = yield from response
        yield
    stub: bytes = yield from response.pack_in_pieces(ndr64)
    return stub
