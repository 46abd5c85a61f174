"""The server's end of a DCE/RPC association, without a transport (C706 9.3.3, MS-RPCE 3.3.3).

    server = RpcServer([SRVSVC])
    for call in server.receive_data(data):
        server.respond(call, ...) or server.fault(call, RPC_X_BAD_STUB_DATA)
    for pdu in server.data_to_send():        # one PDU each: a pipe in message mode keeps them apart
        write(pdu)

What is refused, and how:

    an interface that is not offered here     that context is rejected, "abstract syntax not supported"
    a transfer syntax but NDR and NDR64       that context is rejected, "transfer syntaxes not supported"
    a bind with authentication above "none"   bind_nak, "authentication type not recognised": on a pipe, and on the
                                              control socket, the transport has already said who the caller is
    a bind on a bound association             bind_nak
    a call in an unknown context              fault nca_unk_if
    a call with a number that is no call      fault nca_op_rng_error
    a call with its stub in big-endian form   fault nca_unsupported_type; all else may be big-endian
    a call longer than that call can be       fault RPC_X_BAD_STUB_DATA, and nothing of it is kept
    a call before any bind, or authenticated  fault nca_proto_error
    anything else                             RemoteProtocolError: the connection is to be closed

If a client offers both NDR and NDR64, NDR64 is accepted and NDR rejected, as by Windows. Calls are answered as they
are made; a client may not interleave the fragments of two (concurrent multiplexing is not granted).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from lanman import codes
from lanman.errors import RemoteProtocolError
from lanman.plain import dataclass
from lanman.rpc import pdu as pdus
from lanman.rpc.ndr import Call
from lanman.rpc.ndr import Interface as Interface

# PDUs that may come at once: what one WRITE to a pipe may bring, which from any client known is one.
MAX_PDUS: Final = 64
_MAX_CONTEXTS: Final = 64


@dataclass(slots=True, eq=False)
class CallReceived:
    """A whole request. `maybe` calls are not answered; respond() and fault() know."""

    call_id: int
    interface: Interface
    opnum: int
    stub: bytes
    ndr64: bool
    context_id: int = 0
    maybe: bool = False

    @property
    def type(self) -> type[Call[Any]]:
        """The class of the request."""
        return self.interface.requests[self.opnum]

    def level(self) -> int | None:
        """The level that it is about, if it has one; nothing behind it is read. Raises MalformedMessage."""
        return self.type.level_in(self.stub, self.ndr64)

    def request(self) -> Call[Any]:
        """The request, unpacked. Raises MalformedMessage: then answer with the fault RPC_X_BAD_STUB_DATA."""
        return self.type.unpack(self.stub, self.ndr64)


@dataclass(slots=True)
class _Incoming:
    """A request whose last fragment is still to come. Without `reassembly` it has become too long."""

    call_id: int
    context_id: int
    opnum: int
    flags: int
    big_endian: bool
    reassembly: pdus.Reassembly | None


class RpcServer:
    """One association with one client, on which `interfaces` may be called."""

    def __init__(
        self,
        interfaces: Sequence[Interface],
        *,
        secondary_address: str | None = None,
        assoc_group_id: int = 1,
        max_frag: int = pdus.MAX_FRAG_SIZE & ~7,
    ) -> None:
        self._interfaces = {(interface.uuid, interface.major): interface for interface in interfaces}
        self._address = f"\\PIPE\\{interfaces[0].name}" if secondary_address is None else secondary_address
        self._group = assoc_group_id
        self._max_frag = max_frag
        self._transmit = pdus.MUST_RECEIVE_FRAG_SIZE
        self._receive_frag = max_frag
        self._splitter = pdus.Splitter(max_frag)
        self._bound = False
        self._contexts: dict[int, tuple[Interface, bool]] = {}
        self._incoming: _Incoming | None = None
        self._calls: set[CallReceived] = set()
        self._output: list[bytes] = []

    def receive_data(self, data: bytes) -> list[CallReceived]:
        """Take bytes, and give the calls that are now complete. Raises RemoteProtocolError: close the connection."""
        calls = []
        for number, pdu in enumerate(self._splitter.receive_data(data)):
            if number == MAX_PDUS:
                raise RemoteProtocolError(f"more than {MAX_PDUS} PDUs at once")
            call = self._receive(pdu)
            if call is not None:
                self._calls.add(call)
                calls.append(call)
        return calls

    @property
    def held(self) -> int:
        """How many bytes are held of calls that are not complete."""
        incoming = self._incoming
        pieces = len(incoming.reassembly) if incoming is not None and incoming.reassembly is not None else 0
        return len(self._splitter) + pieces

    def data_to_send(self) -> list[bytes]:
        """Take what is to be sent, one PDU each, in order."""
        output, self._output = self._output, []
        return output

    def respond(self, call: CallReceived, stub: bytes) -> None:
        """Answer a call with a packed stub. Only the first answer to a call is sent."""
        if self._settle(call):
            self._output += pdus.fragments(pdus.RESPONSE, call.call_id, call.context_id, 0, stub, self._transmit)

    def fault(self, call: CallReceived, status: int, *, executed: bool = False) -> None:
        """Answer that a call could not be made. `status` is as in C706 appendix E or MS-RPCE 2.2.2.8."""
        if self._settle(call):
            self._output.append(pdus.fault(call.call_id, call.context_id, status, executed=executed))

    def _settle(self, call: CallReceived) -> bool:
        """Whether an answer is to be sent: not to an orphaned call, nor to a `maybe` call."""
        if call not in self._calls:
            return False
        self._calls.discard(call)
        return not call.maybe

    def _receive(self, pdu: pdus.Pdu) -> CallReceived | None:
        if pdu.type == pdus.REQUEST:
            return self._request(pdu)
        if pdu.type == pdus.BIND:
            self._bind(pdu)
        elif pdu.type == pdus.ALTER_CONTEXT and self._bound:
            self._alter_context(pdu)
        elif pdu.type == pdus.ORPHANED:
            self._orphaned(pdu.call_id)
        elif pdu.type not in (pdus.CO_CANCEL, pdus.RPC_AUTH_3):
            # A cancel comes too late: every call is answered as it comes. An auth3 has no answer, and grants no rights.
            raise RemoteProtocolError(f"a PDU of type {pdu.type} that no server expects")
        return None

    def _bind(self, pdu: pdus.Pdu) -> None:
        if self._bound:
            self._output.append(pdus.bind_nak(pdu.call_id, pdus.REASON_NOT_SPECIFIED))
            return
        if pdu.auth_value and pdu.auth_level > pdus.RPC_C_AUTHN_LEVEL_NONE:
            self._output.append(pdus.bind_nak(pdu.call_id, pdus.AUTHENTICATION_TYPE_NOT_RECOGNIZED))
            return
        bind = pdus.Bind.unpack(pdu)
        self._bound = True
        # 12.6.3.1: each direction has the smaller of what one side sends and the other receives.
        self._transmit = max(pdus.MUST_RECEIVE_FRAG_SIZE, min(bind.max_recv_frag, self._max_frag))
        self._receive_frag = max(pdus.MUST_RECEIVE_FRAG_SIZE, min(bind.max_xmit_frag, self._max_frag))
        self._output.append(self._ack(pdus.BIND_ACK, pdu, bind, self._address))

    def _alter_context(self, pdu: pdus.Pdu) -> None:
        if pdu.auth_value and pdu.auth_level > pdus.RPC_C_AUTHN_LEVEL_NONE:
            self._output.append(pdus.fault(pdu.call_id, 0, codes.nca_s_fault_access_denied))
            return
        self._output.append(self._ack(pdus.ALTER_CONTEXT_RESP, pdu, pdus.Bind.unpack(pdu), ""))

    def _ack(self, type: int, pdu: pdus.Pdu, bind: pdus.Bind, address: str) -> bytes:
        if not bind.contexts or len(self._contexts) + len(bind.contexts) > _MAX_CONTEXTS:
            raise RemoteProtocolError(f"{len(bind.contexts)} presentation contexts beside {len(self._contexts)}")
        # An interface that is offered in NDR64 anywhere is taken in that, whichever context has it.
        in_ndr64 = {context.abstract for context in bind.contexts if pdus.NDR64 in context.transfers}
        results = [self._result(context, context.abstract in in_ndr64) for context in bind.contexts]
        ack = pdus.BindAck(self._transmit, self._receive_frag, bind.assoc_group_id or self._group, address, results)
        return pdus.build(type, pdus.PFC_WHOLE, pdu.call_id, ack.pack())

    def _result(self, context: pdus.Context, ndr64: bool) -> pdus.Result:
        for transfer in context.transfers:
            features = pdus.offered_features(transfer)
            if features is not None:
                # MS-RPCE 3.3.1.5.3: the answer has what both have. An orphaned call does not end the association.
                return pdus.Result(pdus.NEGOTIATE_ACK, features & pdus.KEEP_CONNECTION_ON_ORPHAN, None)
        interface = self._interfaces.get((context.abstract.uuid, context.abstract.major))
        if interface is None or context.abstract.minor > interface.minor:
            return pdus.Result(pdus.PROVIDER_REJECTION, pdus.ABSTRACT_SYNTAX_NOT_SUPPORTED, None)
        wanted = pdus.NDR64 if ndr64 else pdus.NDR32
        if wanted not in context.transfers:
            return pdus.Result(pdus.PROVIDER_REJECTION, pdus.TRANSFER_SYNTAXES_NOT_SUPPORTED, None)
        self._contexts[context.id] = (interface, ndr64)
        return pdus.Result(pdus.ACCEPTANCE, 0, wanted)

    def _orphaned(self, call_id: int) -> None:
        if self._incoming is not None and self._incoming.call_id == call_id:
            self._incoming = None
        self._calls = {call for call in self._calls if call.call_id != call_id}

    def _request(self, pdu: pdus.Pdu) -> CallReceived | None:
        context_id, opnum = pdu.number(4, 2), pdu.number(6, 2)
        incoming = self._incoming
        if pdu.flags & pdus.PFC_FIRST_FRAG:
            if incoming is not None:
                raise RemoteProtocolError(f"call {pdu.call_id} begins within call {incoming.call_id}")
            incoming = self._incoming = _Incoming(
                pdu.call_id,
                context_id,
                opnum,
                pdu.flags,
                pdu.big_endian,
                pdus.Reassembly(self._longest(context_id, opnum)),
            )
        elif incoming is None or incoming.call_id != pdu.call_id:
            raise RemoteProtocolError(f"a fragment of call {pdu.call_id} without its beginning")
        header = 24 if pdu.flags & pdus.PFC_OBJECT_UUID else 8
        pdu.number(0, header)
        if incoming.reassembly is not None:
            try:
                incoming.reassembly.add(pdu, header)
            except RemoteProtocolError:
                incoming.reassembly = None
        if not pdu.flags & pdus.PFC_LAST_FRAG:
            return None
        self._incoming = None
        authenticated = bool(pdu.auth_value) and pdu.auth_level > pdus.RPC_C_AUTHN_LEVEL_NONE
        return self._whole(incoming, authenticated=authenticated)

    def _longest(self, context_id: int, opnum: int) -> int:
        """How long the stub of a call may be; of one that cannot be made nothing is kept."""
        interface, _ = self._contexts.get(context_id, (None, False))
        request = interface.requests.get(opnum) if interface is not None else None
        return request.max_request if request is not None else 0

    def _whole(self, incoming: _Incoming, *, authenticated: bool) -> CallReceived | None:
        """The call that has arrived; or None, with a fault on its way, if it cannot be made."""
        interface, ndr64 = self._contexts.get(incoming.context_id, (None, False))
        if not self._bound or authenticated:
            status = codes.nca_s_proto_error
        elif interface is None:
            status = codes.nca_s_unk_if
        elif incoming.opnum not in interface.requests:
            status = codes.nca_s_op_rng_error
        elif incoming.big_endian:
            status = codes.nca_s_unsupported_type
        elif incoming.reassembly is None:
            status = codes.RPC_X_BAD_STUB_DATA
        else:
            maybe = bool(incoming.flags & pdus.PFC_MAYBE)
            stub = incoming.reassembly.stub()
            return CallReceived(incoming.call_id, interface, incoming.opnum, stub, ndr64, incoming.context_id, maybe)
        self._output.append(pdus.fault(incoming.call_id, incoming.context_id, status))
        return None
