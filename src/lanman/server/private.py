"""The calls of the private interface, for whoever administers this machine (see lanman.rpc.private)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from lanman import codes
from lanman.errors import LanmanError
from lanman.rpc.ndr import Call, Message
from lanman.rpc.private import GetSessionDetails, Reload, SessionDetailsResponse, Stop
from lanman.server.describe import session_details
from lanman.server.rights import Caller
from lanman.service import ServerService

R = TypeVar("R", bound=Message)


class PrivateEndpoint:
    """Stop, read the configuration again, and all that is known of the sessions. Offer it on the control socket only.

    `stop` takes the seconds of grace and returns at once; `reload` raises LanmanError for a configuration that cannot
    be used, with nothing changed.
    """

    def __init__(self, service: ServerService, *, stop: Callable[[int], None], reload: Callable[[], None]) -> None:
        self._service = service
        self._stop = stop
        self._reload = reload

    def call(self, caller: Caller, request: Call[R], now: float) -> R:
        """Answer a request with a response of its own type."""
        return request.failed(codes.ERROR_ACCESS_DENIED) if not caller.local_admin else self._answer(request)

    def _answer(self, request: Call[Any]) -> Any:
        status = codes.ERROR_SUCCESS
        if isinstance(request, GetSessionDetails):
            if request.level != 0:
                return request.failed(codes.ERROR_INVALID_LEVEL)
            return SessionDetailsResponse(0, [session_details(session) for session in self._service.sessions()])
        if isinstance(request, Stop):
            self._stop(request.grace)
        elif isinstance(request, Reload):
            try:
                self._reload()
            except LanmanError:
                status = codes.ERROR_INVALID_DATA
        else:
            status = codes.ERROR_NOT_SUPPORTED
        return request.failed(status)
