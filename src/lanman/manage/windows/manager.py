"""The Manager of Windows' own Server service, as the user whom this process runs as.

Rules:

  - What is asked, at which level, in how many pages, and how an order is checked, is SrvsvcManager's: the calls are the
    same, and netapi32 carries them to the same service. So the answers are the same, field by field.
  - Who asks so has no session: none of those that are listed is this program's.
  - A call runs in a thread that nobody waits for beyond the deadline: it cannot be broken off, and goes on alone.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from lanman import codes
from lanman.errors import LanmanError, Win32Error
from lanman.manage.calls import Purpose
from lanman.manage.granted import GrantedLevels
from lanman.manage.link import Conversation
from lanman.manage.own_session import NoSession
from lanman.manage.selection import canonical_client, is_address
from lanman.manage.srvsvc import SrvsvcManager
from lanman.manage.windows.netapi import NetApi
from lanman.manage.windows.services import ServicesApi
from lanman.manage.windows.system import STARTED, System, this_netapi32, this_system
from lanman.net.credentials import Credentials
from lanman.net.resolve import in_daemon_thread
from lanman.rpc.ndr import Call, Interface, Response

R = TypeVar("R", bound=Response)


class WindowsLink:
    """netapi32 as what carries a Manager's calls."""

    port = -1
    """No port, and another one than that of a control socket: what each granted is remembered apart."""
    age = 0.0
    local_address = ""
    alive = True
    doing = "Windows' Server service does not answer"

    def __init__(self, api: NetApi, services: ServicesApi) -> None:
        self._api = api
        self._services = services
        self.server = socket.gethostname()
        self.credentials = Credentials(anonymous=True)

    async def call(self, request: Call[R], *, again: bool = True) -> R:
        """Make a call, once. It goes on where its caller stops waiting."""
        return await in_daemon_thread(lambda: self._api.answer(request))

    @asynccontextmanager
    async def conversation(self, interface: Interface) -> AsyncIterator[Conversation]:
        """The calls of MS-SCMR, which advapi32 answers."""
        yield _Services(self._services)

    async def close(self) -> None:
        """There is nothing to close."""


class _Services:
    """advapi32 as a conversation."""

    def __init__(self, api: ServicesApi) -> None:
        self._api = api

    async def call(self, request: Call[R]) -> R:
        """Make a call, once. It goes on where its caller stops waiting."""
        return await in_daemon_thread(lambda: self._api.answer(request))


class WindowsManager(SrvsvcManager):
    """A Manager of the Server service of this Windows."""

    answered_by = "Windows' own Server service"
    wide_handles = True

    def __init__(
        self,
        api: NetApi,
        system: System,
        *,
        timeout: float | None,
        deadline: float | None,
        granted: GrantedLevels | None = None,
    ) -> None:
        link = WindowsLink(api, system.services)
        super().__init__(link, timeout=timeout, deadline=deadline, granted=granted)
        self._system = system
        self._own_session = NoSession()

    async def check_started(self) -> None:
        """Raise Win32Error 2114 where the service is stopped. netapi32 itself need not tell."""
        async with self._within():
            state = await in_daemon_thread(self._system.service_state)
        if state not in STARTED:
            raise Win32Error(
                codes.NERR_ServerNotStarted,
                hint="start Windows' own with `net start server` from an elevated prompt",
                server=self.server,
            )

    async def start_service(self) -> None:
        """Start the Server service, and wait until it runs (`start` of MS-SCMR). Raises Win32Error 1056 where it runs
        already and 1058 where it is disabled, AccessDenied for who is not elevated."""
        try:
            async with self._within():
                await self._service.start()
        except Win32Error as error:
            if error.code == codes.ERROR_SERVICE_DISABLED:
                error.hint = "`sc config lanmanserver start= demand`, from an elevated prompt, lets it be started"
            raise

    async def stop_service(self, agree: Callable[[Sequence[str]], bool]) -> bool:
        """Stop the Server service, and first the services that depend on it: `agree` is asked with their names where
        there are any. Whether it was stopped. Raises Win32Error 1062 where it is not started, AccessDenied."""
        async with self._within():
            return await self._service.stop(lambda entries: agree([entry.display_name for entry in entries]))

    async def _is_called(self, name: str) -> bool:
        wanted = canonical_client(name)
        if wanted == "localhost" or (is_address(wanted) and ipaddress.ip_address(wanted.partition("%")[0]).is_loopback):
            return True
        return await super()._is_called(name)

    def _denied_hint(self, purpose: Purpose) -> str:
        try:
            limited = self._system.is_limited()
        except LanmanError:
            limited = False
        if limited:
            return "run it from an elevated prompt (Run as administrator): this one has not your rights"
        if purpose is Purpose.SERVICE:
            return "only Administrators of this machine may do that, from an elevated prompt"
        return "only Administrators and Server Operators of this machine may do that, from an elevated prompt"


def opened_windows(
    *, timeout: float | None, deadline: float | None, granted: GrantedLevels | None = None
) -> WindowsManager:
    """The Manager of this Windows' Server service. Raises Win32Error 50 where this is no Windows."""
    return WindowsManager(NetApi(this_netapi32()), this_system(), timeout=timeout, deadline=deadline, granted=granted)


def is_started() -> bool:
    """Whether this is a Windows whose Server service runs."""
    try:
        return this_system().service_state() in STARTED
    except LanmanError:
        return False
