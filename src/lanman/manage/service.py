"""The Server service of a server as a service: its state, and how it is paused, continued, started and stopped.

Rules:

  - It is done by the calls of MS-SCMR, over whatever carries them (`Link.conversation`): `\\PIPE\\svcctl` of the SMB
    connection, the control socket, or advapi32 of this Windows.
  - An order counts as carried out when the service says that it has arrived in its new state. What is pending is asked
    again: soon at first, then after a tenth of what the service says that it takes (dwWaitHint), MAX_PAUSE at most.
  - Where a connection is lost meanwhile, the state is looked at on a new one, and the order given again only if it was
    not carried out. To pause what is paused changes nothing.
  - Who stops a service stops first what depends on it; the caller is asked about these.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from lanman import codes
from lanman.errors import ConnectionLost, LanmanError, Win32Error
from lanman.manage.calls import Calls, Purpose
from lanman.manage.link import Conversation
from lanman.records import ServiceState
from lanman.rpc import svcctl as scm
from lanman.rpc.ndr import Call, Response

R = TypeVar("R", bound=Response)
T = TypeVar("T")

MAX_PAUSE: Final = 1.0
"""Seconds between two looks at a pending service, at most."""

_FIRST_PAUSE: Final = 0.01

_PENDING: Final = {
    ServiceState.PAUSED: ServiceState.PAUSE_PENDING,
    ServiceState.RUNNING: ServiceState.CONTINUE_PENDING,
    ServiceState.STOPPED: ServiceState.STOP_PENDING,
}
_WHAT: Final = "the Server service"


class ServiceControl:
    """The Server service behind a link. Every method raises AccessDenied and Win32Error, and ends when its caller's
    deadline does."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def state(self) -> ServiceState:
        """What the service does. Any state; Win32Error 50 where there is no such service."""
        return await _twice(self._state)

    async def _state(self) -> ServiceState:
        async with self._opened(scm.SERVICE_QUERY_STATUS) as service:
            return (await service.query())[0]

    async def pause(self) -> bool:
        """Pause it. False where it was paused already. Raises Win32Error 1062 where it is stopped."""
        return await self._order(scm.SERVICE_CONTROL_PAUSE, ServiceState.PAUSED)

    async def continue_(self) -> bool:
        """Continue it. False where it was running already. Raises Win32Error 1062 where it is stopped."""
        return await self._order(scm.SERVICE_CONTROL_CONTINUE, ServiceState.RUNNING)

    async def _order(self, control: int, wanted: ServiceState) -> bool:
        before: list[ServiceState] = []

        async def give() -> bool:
            async with self._opened(scm.SERVICE_QUERY_STATUS | scm.SERVICE_PAUSE_CONTINUE) as service:
                before.append((await service.query())[0])
                if before[-1] is not wanted:
                    if before[-1] is not _PENDING[wanted]:
                        await service.control(control)
                    await service.wait_for(wanted)
            return before[0] is not wanted

        return await _twice(give)

    async def start(self) -> None:
        """Start it, and wait until it runs. Raises Win32Error 1056 where it does already, 1058 where it is disabled."""
        async with self._opened(scm.SERVICE_QUERY_STATUS | scm.SERVICE_START) as service:
            await service.start()

    async def stop(self, agree: Callable[[Sequence[scm.ServiceEntry]], bool]) -> bool:
        """Stop it, and first what depends on it where `agree`, which is asked if there is any, lets that be stopped.
        Whether it was stopped. Raises Win32Error 1062 where it is not started."""
        access = scm.SERVICE_QUERY_STATUS | scm.SERVICE_STOP | scm.SERVICE_ENUMERATE_DEPENDENTS
        async with self._opened(access) as service:
            if (dependents := await service.dependents()) and not agree(dependents):
                return False
            for dependent in dependents:
                with_rights = scm.SERVICE_QUERY_STATUS | scm.SERVICE_STOP
                async with service.database.opened(dependent.name, with_rights) as other:
                    await other.stop()
            await service.stop()
        return True

    @contextlib.asynccontextmanager
    async def _opened(self, access: int) -> AsyncIterator[_Service]:
        link = self._calls.link
        try:
            async with link.conversation(scm.SVCCTL) as conversation:
                database = _Database(self._calls, conversation)
                request = scm.ROpenSCManagerW(self._calls.unc, None, scm.SC_MANAGER_CONNECT)
                database.handle = (await database.ask(request, Purpose.SERVICE)).sc_handle
                async with database.closing(database.handle), database.opened(scm.SERVER_SERVICE, access) as service:
                    yield service
        except Win32Error as error:
            if error.code not in _NO_SERVICE:
                raise
            raise Win32Error(
                codes.ERROR_NOT_SUPPORTED,
                "has no Server service that could be asked or paused",
                hint=error.hint if error.code == codes.RPC_S_UNKNOWN_IF else "its own tools may keep newcomers out",
                server=link.server,
                subject=_WHAT,
            ) from error


# No such pipe, no such interface, no such service.
_NO_SERVICE: Final = frozenset(
    {
        codes.NERR_ServerNotStarted,
        codes.RPC_S_UNKNOWN_IF,
        codes.RPC_S_PROCNUM_OUT_OF_RANGE,
        codes.ERROR_SERVICE_DOES_NOT_EXIST,
    }
)


async def _twice(work: Callable[[], Awaitable[T]]) -> T:
    """Do something again, once, where the connection was lost."""
    try:
        return await work()
    except ConnectionLost:
        return await work()


class _Database:
    """The database of services, once `handle` is that of one that is open."""

    def __init__(self, calls: Calls, conversation: Conversation) -> None:
        self.calls = calls
        self.conversation = conversation
        self.handle = scm.NO_HANDLE

    async def ask(self, request: Call[R], purpose: Purpose = Purpose.LIST) -> R:
        """Make a call, which must be a success. Raises AccessDenied and Win32Error."""
        answer: Any = await self.conversation.call(request)
        self.calls.check(answer.status, _WHAT, purpose)
        found: R = answer
        return found

    @contextlib.asynccontextmanager
    async def closing(self, handle: bytes) -> AsyncIterator[None]:
        """Close a handle in the end. Where the connection is gone, so is the handle."""
        try:
            yield
        finally:
            with contextlib.suppress(LanmanError):
                await self.conversation.call(scm.RCloseServiceHandle(handle))

    @contextlib.asynccontextmanager
    async def opened(self, name: str, access: int) -> AsyncIterator[_Service]:
        """One of its services."""
        handle = (await self.ask(scm.ROpenServiceW(self.handle, name, access), Purpose.SERVICE)).sc_handle
        async with self.closing(handle):
            yield _Service(self, handle)


class _Service:
    """A service that is open."""

    def __init__(self, database: _Database, handle: bytes) -> None:
        self.database = database
        self.handle = handle

    async def query(self) -> tuple[ServiceState, float]:
        """What it does, and how many seconds it says that it needs for what is pending."""
        answer = await self.database.ask(scm.RQueryServiceStatus(self.handle), Purpose.SERVICE)
        state = self.database.calls.present(scm.STATES.get(answer.state), f"{_WHAT} (state {answer.state})")
        return state, answer.wait_hint / 1000

    async def control(self, control: int) -> None:
        """Send it a control code."""
        await self.database.ask(scm.RControlService(self.handle, control), Purpose.SERVICE)

    async def stop(self) -> None:
        """Stop it, and wait until it has stopped. Raises Win32Error 1062 where it is not started."""
        await self.control(scm.SERVICE_CONTROL_STOP)
        await self.wait_for(ServiceState.STOPPED)

    async def start(self) -> None:
        """Start it, and wait until it runs."""
        await self.database.ask(scm.RStartServiceW(self.handle), Purpose.SERVICE)
        await self.wait_for(ServiceState.RUNNING, ServiceState.START_PENDING)

    async def wait_for(self, wanted: ServiceState, pending: ServiceState | None = None) -> None:
        """Wait until it is in a state. Raises Win32Error 2189 where it comes to rest in another."""
        pause = 0.0
        while True:
            state, hint = await self.query()
            if state is wanted:
                return
            if state is not (pending or _PENDING[wanted]):
                raise Win32Error(
                    codes.NERR_ServiceNotCtrl,
                    f"took the order, and its Server service is {state}",
                    server=self.database.calls.link.server,
                    subject=_WHAT,
                )
            await asyncio.sleep(pause)
            pause = min(max(2 * pause, _FIRST_PAUSE), max(hint / 10, _FIRST_PAUSE), MAX_PAUSE)

    async def dependents(self) -> list[scm.ServiceEntry]:
        """The services that run and need this one, in the order in which they can be stopped (MS-SCMR 3.1.4.13)."""
        size = 0
        while True:
            request = scm.REnumDependentServicesW(self.handle, scm.SERVICE_ACTIVE, size)
            answer = await self.database.conversation.call(request)
            if answer.status == codes.ERROR_MORE_DATA and size < answer.bytes_needed <= scm.MAX_LIST:
                size = answer.bytes_needed
                continue
            self.database.calls.check(answer.status, _WHAT, Purpose.SERVICE)
            return scm.unpack_services(answer.buffer, answer.returned)
