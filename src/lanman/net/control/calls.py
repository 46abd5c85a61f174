"""What answers the calls of the control interface, for one connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final, Protocol

from lanman import codes
from lanman.domain import Connection, Open, Portion, ServerService, Session, user_named
from lanman.errors import LanmanError
from lanman.net.audit import quoted
from lanman.net.logs import Journal
from lanman.net.loop import loop_name
from lanman.records import FileDetails, PortionDetails, RefusalDetails, SessionDetails, ShareDetails, ShareProblem
from lanman.rpc.control import (
    GetFileDetails,
    GetPortions,
    GetRefusals,
    GetSessionDetails,
    GetShareDetails,
    GetShareProblems,
    PortionsResponse,
    Reload,
    Stop,
)
from lanman.rpc.control_events import TakeSnapshot, WaitForEvents
from lanman.rpc.ndr import Call
from lanman.server.effects import Work
from lanman.server.feed import Feed
from lanman.server.following import Following
from lanman.server.rights import Caller
from lanman.server.scheduler import Scheduler
from lanman.server.srvsvc.endpoint import ServerServiceEndpoint
from lanman.server.srvsvc.paging import Described

log: Final = logging.getLogger("lanman.control")

_MOST_U32: Final = 0xFFFFFFFF


class ControlledServer(Protocol):
    """What the control socket needs of the Server."""

    @property
    def service(self) -> ServerService:
        """The domain."""

    @property
    def endpoint(self) -> ServerServiceEndpoint:
        """What answers the calls of srvsvc."""

    @property
    def scheduler(self) -> Scheduler:
        """What runs its calls."""

    @property
    def feed(self) -> Feed:
        """Its events, to be followed."""

    @property
    def refusals(self) -> list[RefusalDetails]:
        """Who was refused lately, the most recent first."""

    @property
    def journal(self) -> Journal:
        """What says once in a while what would otherwise be said very often."""

    def tick(self) -> float:
        """What time it is; dispatch is told."""

    def flush(self) -> None:
        """Do what whatever just happened has led to."""

    def reload(self) -> None:
        """Read the configuration again. Raises ConfigurationError."""

    def request_stop(self) -> None:
        """Have the Server stop."""


class ControlEndpoint:
    """What answers the control interface on one connection. `close` it when the connection ends."""

    def __init__(self, server: ControlledServer) -> None:
        self._server = server
        self._following = Following(server.feed, server.scheduler)

    def close(self) -> None:
        """The connection has ended."""
        self._following.close()

    def refuses(self, caller: Caller, call: type[Call[Any]], level: int | None) -> int:
        """Who is no administrator of the machine may make none of these calls."""
        return 0 if caller.local_admin else codes.ERROR_ACCESS_DENIED

    def call(self, caller: Caller, request: Any, now: float) -> Any:
        """Answer a call of the control interface. `now` is in seconds of the event loop."""
        if isinstance(request, Stop):
            # The answer leaves before anything is taken down.
            asyncio.get_running_loop().call_later(request.grace, self._server.request_stop)
            return request.failed(codes.ERROR_SUCCESS)
        if isinstance(request, Reload):
            return request.failed(self._reload())
        if isinstance(request, TakeSnapshot | WaitForEvents):
            return self._following.call(request)
        if isinstance(request, GetSessionDetails) and request.level in (0, 1):
            service = self._server.service
            sessions = Described(service.sessions(), lambda each: _details(each, service.channels_of(each)))
            return request.response(request.level, sessions, 0)
        if request.level != 0:
            return request.failed(codes.ERROR_INVALID_LEVEL)
        if isinstance(request, GetShareProblems):
            shares = self._server.service.shares()
            return request.response(0, [ShareProblem(each.name, each.problem) for each in shares if each.problem], 0)
        if isinstance(request, GetRefusals):
            return request.response(0, self._server.refusals, 0)
        if isinstance(request, GetPortions):
            return self._portions(request)
        if isinstance(request, GetFileDetails):
            return request.response(0, Described(self._server.service.opens(), _file_details), 0)
        assert isinstance(request, GetShareDetails)
        shares = self._server.service.shares()
        return request.response(0, [ShareDetails(share.name, share.guest) for share in shares], 0)

    def _portions(self, request: GetPortions) -> Work[PortionsResponse]:
        told: list[PortionDetails] = []
        for portion in self._server.service.portions:
            if told:
                yield None
            told.append(_portion_details(portion, (yield from portion.largest())))
        return PortionsResponse(loop_name(asyncio.get_running_loop()), 0, told, 0)

    def _reload(self) -> int:
        try:
            self._server.reload()
        except LanmanError as error:
            log.error("the configuration is not read again: %s", quoted(error.with_hint))
            return codes.ERROR_INVALID_DATA
        return codes.ERROR_SUCCESS


def _portion_details(portion: Portion[str], largest: tuple[str, int] | None) -> PortionDetails:
    user, of_user = largest or (None, 0)
    last = portion.refused_last
    return PortionDetails(
        portion.name,
        min(portion.taken, _MOST_U32),
        max(0, min(portion.most or 0, _MOST_U32)),
        "" if user is None else user_named(user),
        min(of_user, _MOST_U32),
        min(portion.refused, _MOST_U32),
        "" if last is None else user_named(last),
        portion.remedy,
    )


def _file_details(opened: Open) -> FileDetails:
    session_id = 0 if opened.preserved else opened.session.global_id
    share = opened.tree_connect.share.name
    caches = opened.oplock or None, opened.lease or None, opened.lease_key.hex() or None
    kept = (opened.owner[0], int(opened.expires_at)) if opened.preserved else (None, 0)
    return FileDetails(opened.global_id, session_id, int(opened.opened_at), share, *caches, opened.reclaimable, *kept)


def _details(session: Session, channels: Sequence[Connection]) -> SessionDetails:
    signs = bool(session.signing)
    return SessionDetails(
        global_id=session.global_id,
        client_name=session.client_name,
        user_name=session.user_name,
        domain=session.domain,
        address=session.address,
        dialect=session.dialect,
        signing=session.signing,
        encryption=session.encryption,
        groups=", ".join(sorted(session.groups)),
        anonymous=session.anonymous,
        guest=session.guest,
        channels="\n".join(channel.address for channel in channels),
        channel_signing="\n".join(channel.signing if signs else "" for channel in channels),
    )
