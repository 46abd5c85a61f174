"""The Server, plugged together: the domain, its management calls, the pipes, and what runs all of them.

    server = Server(RunningSettings(Configuration()), os.urandom, wall_clock, guid=uuid4().bytes_le)
    connection = server.dispatch.connect("192.0.2.1", now)

It is assembled here and nowhere else: by the shell (`net.server`) as by the tests. There is no socket, clock or disk in
it. Whoever has one drives it: bytes and the time to `dispatch` and its connections, effects from `scheduler` and what
came of them back to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lanman.auth.outcome import Mechanism
from lanman.domain import STYPE_IPC, STYPE_SPECIAL, Event, ServerService, Share
from lanman.dtyp import filetime
from lanman.rpc.srvsvc import SRVSVC
from lanman.rpc.svcctl import SVCCTL
from lanman.server.dispatch import ConnectionDispatch, ServerDispatch
from lanman.server.pipes import Pipes
from lanman.server.resources import ResourceLimits
from lanman.server.scheduler import Scheduler
from lanman.server.srvsvc.endpoint import ServerServiceEndpoint
from lanman.server.svcctl import ServiceControlEndpoint
from lanman.settings import Configuration, RunningSettings
from lanman.smb2.server import ServerConnection, Terms


class Server:
    """One Server. `settings` are those in force, wherever they are asked for; management calls may change them.

    `random(n)` gives n unpredictable bytes. `wall_clock` turns a time of the Server's clock into seconds since 1970,
    `minutes_west` tells the time zone; `start` is when the service started, in seconds since 1970. `guid` are the 16
    bytes of ServerGuid (MS-SMB2 3.3.1.5). `mechanisms` gives what a log-on may be made by besides NTLM.
    `connection_failed` is told of errors of ours in a connection's step (None: in no connection's), `listener_failed`
    of those in listeners of the domain's events; without them they are raised.
    """

    def __init__(
        self,
        settings: RunningSettings,
        random: Callable[[int], bytes],
        wall_clock: Callable[[float], float],
        *,
        guid: bytes,
        dns_name: str = "",
        start: int = 0,
        minutes_west: Callable[[], int] = lambda: 0,
        mechanisms: Callable[[], Sequence[Mechanism]] = tuple,
        resources: ResourceLimits | None = None,
        connection_failed: Callable[[ConnectionDispatch | None, Exception], None] | None = None,
        listener_failed: Callable[[str, Event | None, BaseException], None] | None = None,
    ) -> None:
        self.settings = settings
        self.service = ServerService(
            settings,
            start=start,
            clock=lambda: self.scheduler.now,
            time_of_day=wall_clock,
            failed=listener_failed,
        )
        self.endpoint = ServerServiceEndpoint(self.service, settings, wall_clock=wall_clock, minutes_west=minutes_west)
        self.pipes = Pipes(
            {
                "srvsvc": (SRVSVC, lambda: self.endpoint),
                "svcctl": (SVCCTL, lambda: ServiceControlEndpoint(self.service, random)),
            }
        )
        self._random = random
        self._guid = guid
        self._now_filetime = lambda: filetime(int(wall_clock(self.scheduler.now) * 1e9))
        self._terms: Terms | None = None
        self._terms_made_of: tuple[Configuration, bool, bytes] | None = None
        self.dispatch = ServerDispatch(
            self.service,
            self.pipes,
            settings,
            core=self._new_core,
            random=random,
            wall_clock=wall_clock,
            mechanisms=mechanisms,
            dns_name=dns_name,
            resources=resources,
            failed=connection_failed,
        )
        # Pipes are opened on it: no call or configuration removes it.
        self.service.add_share(Share("IPC$", STYPE_IPC | STYPE_SPECIAL, remark="Remote IPC"))

    @property
    def scheduler(self) -> Scheduler:
        """What runs its requests and calls."""
        return self.dispatch.scheduler

    def _new_core(self, security_blob: bytes) -> ServerConnection:
        """The SMB2 core of a new connection. What is offered is one object for all, until something of it changes."""
        made_of = self.settings.current, self.dispatch.multichannel, security_blob
        if self._terms is None or self._terms_made_of != made_of:
            settings, multichannel, _ = self._terms_made_of = made_of
            self._terms = Terms(
                server_guid=self._guid,
                now_filetime=self._now_filetime,
                signing_required=settings.signing == "required",
                encryption=settings.encryption,
                multichannel=multichannel,
                security_blob=security_blob,
                leasing=True,
                directory_leasing=settings.directory_leases,
            )
        return ServerConnection(self._terms, self._random)
