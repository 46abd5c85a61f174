"""One DCE/RPC conversation: octets in, calls of an endpoint, PDUs out.

The same for a named pipe and for the control socket; who the caller is, is all that differs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from lanman.errors import MalformedMessage
from lanman.rpc.ndr import Interface
from lanman.rpc.server import RPC_X_BAD_STUB_DATA, CallReceived, RpcServer
from lanman.server.rights import Caller


class Endpoint(Protocol):
    """What answers the calls of an interface."""

    def call(self, caller: Caller, request: Any, now: float) -> Any:
        """The response to the request, of the class that it has; a refusal is a code in it, not an error."""


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
        try:
            request = call.request()
        except MalformedMessage:
            self._rpc.fault(call, RPC_X_BAD_STUB_DATA)
            return
        response = self._endpoints[call.interface].call(self.caller, request, now)
        self._rpc.respond(call, response.pack(call.ndr64))
