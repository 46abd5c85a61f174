"""The client's end of a DCE/RPC association, without a transport (C706 9.3.2, MS-RPCE 3.3.2).

    client = RpcClient()
    write(client.bind())                     # BindAccepted or BindRefused
    for pdu in client.call(NetrRemoteTOD(None)):
        write(pdu)                           # ResponseReceived or FaultReceived
    for event in client.receive_data(read()): ...

The rules:

  - Nothing is authenticated here: on a named pipe the SMB session authenticates the caller (MS-SRVS 2.1).
  - An interface is bound before it is called, the first by bind and further ones by alter_context, one at a time.
  - Calls are answered in their order. An answer that was not asked for, or is out of order, is a RemoteProtocolError,
    after which the association is of no use.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from lanman.errors import LocalProtocolError, RemoteProtocolError
from lanman.plain import dataclass
from lanman.rpc import pdu as pdus
from lanman.rpc.ndr import Call, Interface
from lanman.rpc.srvsvc.interface import SRVSVC

# 100,000 sessions of level 502 are about 20 MiB.
MAX_STUB: Final = 32 << 20


@dataclass(slots=True)
class BindAccepted:
    """The server knows the interface. `ndr64`: calls to it are packed in NDR64."""

    interface: Interface
    ndr64: bool


@dataclass(slots=True)
class BindRefused:
    """The server does not offer the interface; `reason` is a sentence for people."""

    reason: str


@dataclass(slots=True)
class ResponseReceived:
    """The whole answer to a call."""

    call_id: int
    stub: bytes
    ndr64: bool = False


@dataclass(slots=True)
class FaultReceived:
    """The server could not call the method. `status` is as in C706 appendix E or MS-RPCE 2.2.2.8.

    `executed` is False where the server says that nothing was done.
    """

    call_id: int
    status: int
    executed: bool = True


@dataclass(slots=True)
class ShutdownReceived:
    """The server asks to close the connection when no call is under way (C706 12.6.4.11). Once is enough."""


Event = BindAccepted | BindRefused | ResponseReceived | FaultReceived | ShutdownReceived

_NAK_REASONS: Final = {
    pdus.REASON_NOT_SPECIFIED: "no reason given",
    1: "temporary congestion",
    pdus.LOCAL_LIMIT_EXCEEDED: "a limit of the server is exceeded",
    pdus.PROTOCOL_VERSION_NOT_SUPPORTED: "it does not know this version of the protocol",
    pdus.AUTHENTICATION_TYPE_NOT_RECOGNIZED: "it wants another kind of authentication",
    pdus.INVALID_CHECKSUM: "the authentication failed",
}
_REJECTIONS: Final = {
    pdus.ABSTRACT_SYNTAX_NOT_SUPPORTED: "it does not know the interface",
    pdus.TRANSFER_SYNTAXES_NOT_SUPPORTED: "it does not know the transfer syntax",
    3: "a limit of the server is exceeded",
}


@dataclass(slots=True)
class _Sent:
    """A call under way."""

    ndr64: bool
    reassembly: pdus.Reassembly
    begun: bool = False


@lru_cache(maxsize=16)
def _bind(
    bound: bool, call_id: int, interface: Interface, ndr64: bool, first: int, group: int, max_frag: int
) -> tuple[tuple[pdus.Context, ...], bytes]:
    """The presentation contexts that ask for an interface, and the PDU. An association begins as all others do."""
    abstract = pdus.Syntax(interface.uuid, interface.major, interface.minor)
    transfers = (pdus.NDR32, pdus.NDR64) if ndr64 else (pdus.NDR32,)
    contexts = tuple(pdus.Context(first + at, abstract, [transfer]) for at, transfer in enumerate(transfers))
    body = pdus.Bind(max_frag, max_frag, group, list(contexts)).pack()
    return contexts, pdus.build(pdus.ALTER_CONTEXT if bound else pdus.BIND, pdus.PFC_WHOLE, call_id, body)


class RpcClient:
    """One association. Calls may be made before earlier ones are answered; the server answers them in order."""

    def __init__(self, *, max_frag: int = pdus.MAX_FRAG_SIZE & ~7, max_stub: int = MAX_STUB) -> None:
        self.call_id = 0  # of the latest PDU that is to be answered
        self._max_frag = max_frag
        self._max_stub = max_stub
        self._transmit = pdus.MUST_RECEIVE_FRAG_SIZE
        self._splitter = pdus.Splitter(max_frag)
        self._bound = False
        self._binding: tuple[int, Interface, Sequence[pdus.Context]] | None = None
        self._contexts: dict[Interface, tuple[int, bool]] = {}
        self._next_context = 0
        self._group = 0
        self._calls: dict[int, _Sent] = {}
        self._is_to_close = False

    def bind(self, interface: Interface = SRVSVC, *, ndr64: bool = False) -> bytes:
        """The PDU that asks for an interface: a bind at first, an alter_context for a further one.

        With `ndr64` that transfer syntax is offered beside NDR.
        """
        if self._binding is not None:
            raise LocalProtocolError("a bind is under way")
        self.call_id += 1
        contexts, pdu = _bind(
            self._bound, self.call_id, interface, ndr64, self._next_context, self._group, self._max_frag
        )
        self._next_context += len(contexts)
        self._binding = (self.call_id, interface, contexts)
        return pdu

    def ndr64(self, interface: Interface = SRVSVC) -> bool:
        """Whether calls of a bound interface are packed in NDR64."""
        return self._contexts[interface][1]

    def call(self, request: Call[Any]) -> list[bytes]:
        """The PDUs of a call, each to be written whole. Its id is `call_id` from now on."""
        if (found := self._contexts.get(request.interface)) is None:
            raise LocalProtocolError(f"{type(request).__name__}: the interface {request.interface.name} is not bound")
        context, ndr64 = found
        stub = request.pack(ndr64)
        self.call_id += 1
        self._calls[self.call_id] = _Sent(ndr64, pdus.Reassembly(self._max_stub))
        return pdus.fragments(pdus.REQUEST, self.call_id, context, request.opnum, stub, self._transmit)

    def cancel(self, call_id: int) -> bytes:
        """The PDU that asks to cancel a call; it will be answered all the same (C706 12.6.4.6)."""
        return pdus.build(pdus.CO_CANCEL, pdus.PFC_WHOLE, call_id, b"")

    def receive_data(self, data: bytes) -> list[Event]:
        """Take bytes as they came. Raises RemoteProtocolError, MalformedMessage too: the association is dead."""
        events: list[Event] = []
        for pdu in self._splitter.receive_data(data):
            event = self._receive(pdu)
            if event is not None:
                events.append(event)
        return events

    def _receive(self, pdu: pdus.Pdu) -> Event | None:
        if pdu.type in (pdus.RESPONSE, pdus.FAULT):
            sent = self._calls.get(pdu.call_id)
            if sent is None:
                raise RemoteProtocolError(f"an answer to call {pdu.call_id}, which was not made")
            return self._response(pdu, sent) if pdu.type == pdus.RESPONSE else self._fault(pdu, sent)
        if pdu.type == (pdus.ALTER_CONTEXT_RESP if self._bound else pdus.BIND_ACK):
            return self._bind_ack(pdu)
        if pdu.type == pdus.BIND_NAK and self._binding is not None:
            self._binding = None
            reason = pdu.number(0, 2)
            return BindRefused(_NAK_REASONS.get(reason, f"reason {reason}"))
        if pdu.type == pdus.SHUTDOWN and not self._is_to_close:
            self._is_to_close = True
            return ShutdownReceived()
        raise RemoteProtocolError(f"a PDU of type {pdu.type} that no client expects")

    def _bind_ack(self, pdu: pdus.Pdu) -> Event:
        if self._binding is None or self._binding[0] != pdu.call_id:
            raise RemoteProtocolError("an answer to a bind that was not made")
        _, interface, contexts = self._binding
        ack = pdus.BindAck.unpack(pdu)
        if len(ack.results) != len(contexts):
            raise RemoteProtocolError(f"{len(ack.results)} results for {len(contexts)} presentation contexts")
        self._binding = None
        if not self._bound:
            self._bound = True
            self._group = ack.assoc_group_id
            # 12.6.3.1: what the server receives is what we may send.
            self._transmit = max(pdus.MUST_RECEIVE_FRAG_SIZE, min(ack.max_recv_frag, self._max_frag))
        for context, result in zip(contexts, ack.results, strict=True):
            if result.result == pdus.ACCEPTANCE:
                if result.transfer not in context.transfers:
                    raise RemoteProtocolError(f"the server chose {result.transfer}, which was not offered")
                # NDR64 comes last, and is taken where both were accepted.
                self._contexts[interface] = (context.id, result.transfer == pdus.NDR64)
        if (found := self._contexts.get(interface)) is not None:
            return BindAccepted(interface, found[1])
        reason = ack.results[0].reason
        return BindRefused(_REJECTIONS.get(reason, f"reason {reason}"))

    def _response(self, pdu: pdus.Pdu, sent: _Sent) -> Event | None:
        if pdu.big_endian:
            raise RemoteProtocolError("a big-endian answer, which is not understood")
        if bool(pdu.flags & pdus.PFC_FIRST_FRAG) == sent.begun:
            raise RemoteProtocolError(f"the fragments of the answer to call {pdu.call_id} are out of order")
        pdu.number(0, 8)
        sent.begun = True
        sent.reassembly.add(pdu, 8)
        if not pdu.flags & pdus.PFC_LAST_FRAG:
            return None
        del self._calls[pdu.call_id]
        return ResponseReceived(pdu.call_id, sent.reassembly.stub(), sent.ndr64)

    def _fault(self, pdu: pdus.Pdu, sent: _Sent) -> Event:
        status = pdu.number(8, 4)
        del self._calls[pdu.call_id]
        return FaultReceived(pdu.call_id, status, not pdu.flags & pdus.PFC_DID_NOT_EXECUTE)
