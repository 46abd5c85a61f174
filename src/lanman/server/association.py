"""One DCE/RPC conversation: octets in, calls of an endpoint, PDUs out.

The same for a named pipe and for the control socket; who the caller is, is all that differs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from lanman.errors import MalformedMessage
from lanman.rpc.server import CallReceived, Interface, RpcServer
from lanman.server.rights import Caller

NCA_OP_RANGE_ERROR: Final = 0x1C010002  # C706 appendix E: the interface has no such operation
RPC_X_BAD_STUB_DATA: Final = 0x000006F7  # MS-RPCE 2.2.1.1.1: the stub is not what the operation takes


class Endpoint(Protocol):
    """What answers the calls of an interface."""

    def call(self, caller: Caller, request: Any, now: float) -> Any:
        """The response of the request's own response type; a refusal is a code in it, not an error."""


class Association:
    """One client's conversation with the endpoints of some interfaces."""

    def __init__(self, endpoints: Sequence[tuple[Interface, Endpoint]], caller: Caller) -> None:
        self._rpc = RpcServer([interface for interface, _ in endpoints])
        self._endpoints: Mapping[Interface, Endpoint] = dict(endpoints)
        self.caller = caller

    def receive_data(self, data: bytes, now: float) -> list[bytes]:
        """Take what the client wrote and give the PDUs to send it. Raises RemoteProtocolError: it is over."""
        for call in self._rpc.receive_data(data):
            self._answer(call, now)
        return self._rpc.data_to_send()

    def _answer(self, call: CallReceived, now: float) -> None:
        request_type = call.interface.requests.get(call.opnum)
        if request_type is None:
            self._rpc.fault(call, NCA_OP_RANGE_ERROR)
            return
        try:
            request = request_type.unpack(call.stub, call.ndr64)
        except MalformedMessage:
            self._rpc.fault(call, RPC_X_BAD_STUB_DATA)
            return
        response = self._endpoints[call.interface].call(self.caller, request, now)
        self._rpc.respond(call, response.pack(call.ndr64))
