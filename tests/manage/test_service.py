"""Pause, continue and state by every Manager: our Server, a scripted Windows, this Windows by a stub, a real smbd."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

import lanman
from lanman import codes
from lanman.errors import AccessDenied, AuthenticationError, StatusError, Win32Error
from lanman.manage import service as service_module
from lanman.manage.granted import GrantedLevels
from lanman.manage.manager import Manager
from lanman.manage.windows.manager import WindowsManager
from lanman.manage.windows.netapi import NetApi
from lanman.manage.windows.system import this_system
from lanman.net.client import SmbClient
from lanman.net.credentials import Credentials
from lanman.net.server import SmbServer
from lanman.records import ServiceState
from lanman.rpc import svcctl
from lanman.rpc.ndr import Interface
from support.loopback_server import PASSWORDS, running_server
from support.scripted_windows import ScriptedWindows, windows_2019
from support.service_script import PAUSED, RUNNING, STOPPED
from support.smbd import Samba
from support.system_stub import SystemStub

Opening = AbstractAsyncContextManager[Manager]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a service takes is counted in looks, and not waited for."""
    monkeypatch.setattr(service_module, "MAX_PAUSE", 0.0)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[SmbServer]:
    async with running_server(tmp_path / "home") as server:
        yield server


def over_smb(server: SmbServer, user: str = "admin") -> Opening:
    credentials = Credentials(user, PASSWORDS[user])
    return lanman.open_manager("127.0.0.1", credentials, port=server.port, granted=GrantedLevels())


def at_home(server: SmbServer, user: str = "") -> Opening:
    return lanman.open_manager(home=server.home.path, granted=GrantedLevels())


async def newcomer(server: SmbServer, user: str) -> int:
    """What a new session of a user comes to: 0, or an error of Win32."""
    client = SmbClient("127.0.0.1", server.port, Credentials(user, PASSWORDS[user]))
    try:
        async with client:
            await client.tree_connect("IPC$")
    except (AuthenticationError, StatusError) as error:  # at the log-on, or in a session that is just before the pause
        return error.code
    return 0


@pytest.mark.posix
@pytest.mark.parametrize("opening", [over_smb, at_home])
async def test_our_server(server: SmbServer, opening: Callable[[SmbServer], Opening]) -> None:
    async with opening(server) as manager:
        assert await manager.service_state() is ServiceState.RUNNING
        assert not await manager.continue_()
        assert await manager.pause()
        assert not await manager.pause()
        assert await manager.service_state() == "paused"
        assert await newcomer(server, "ann") == codes.ERROR_SHARING_PAUSED
        assert await newcomer(server, "admin") == 0
        assert await manager.sessions() is not None  # srvsvc goes on beside it
    assert server.service.paused  # whoever paused it has gone
    async with opening(server) as manager:
        assert await manager.continue_()
        assert await manager.service_state() is ServiceState.RUNNING
    assert await newcomer(server, "ann") == 0


@pytest.mark.posix
async def test_our_server_is_paused_by_administrators_alone(server: SmbServer) -> None:
    async with over_smb(server, "ann") as manager:
        for ask in (manager.service_state, manager.pause, manager.continue_):
            with pytest.raises(AccessDenied) as denied:
                await ask()
            assert "ann must be one of the Administrators there" in (denied.value.hint or "")
        assert (await manager.time_of_day()).elapsedt  # the connection is as good as before
    assert not server.service.paused


@pytest.mark.posix
async def test_whoever_is_followed_is_told_who_paused(server: SmbServer) -> None:
    async with at_home(server) as manager, manager.follow() as follower, over_smb(server) as other:
        await other.pause()
        while not follower.state.paused:
            await follower.more(5)
        assert follower.state.paused_by == (r"\\127.0.0.1", "admin")
        await manager.continue_()
        while follower.state.paused:
            await follower.more(5)
        await manager.pause()
        async with manager.follow() as late:
            assert late.state.paused_by is not None
            assert late.state.paused_by[0] == ""


@pytest.mark.posix
async def test_a_server_of_an_older_version(server: SmbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its control socket knows no svcctl: what to do is said, and the socket is as good as before."""
    another = Interface("svcctl", "367abb81-9844-35f1-ad32-98f038001004", 2)
    monkeypatch.setattr("lanman.net.control.server.SVCCTL", another)
    async with at_home(server) as manager:
        for _ in range(2):
            with pytest.raises(Win32Error) as failed:
                await manager.pause()
            assert (failed.value.code, failed.value.hint) == (codes.ERROR_NOT_SUPPORTED, "Start it again.")
        assert (await manager.time_of_day()).elapsedt


@pytest.mark.posix
async def test_many_newcomers_race_with_a_pause(server: SmbServer) -> None:
    """Whoever gets in while it is being paused is there when it is paused: from then on nobody comes."""
    async with at_home(server) as manager:
        results: list[int] = []
        enough = asyncio.Event()

        async def come() -> None:
            for _ in range(6):
                results.append(await newcomer(server, "ann"))
                if len(results) == 8:
                    enough.set()

        crowd = [asyncio.create_task(come()) for _ in range(8)]
        await enough.wait()
        await manager.pause()
        there = {session.global_id for session in server.service.sessions()}
        await asyncio.gather(*crowd)
        assert {session.global_id for session in server.service.sessions()} <= there
        assert set(results) == {0, codes.ERROR_SHARING_PAUSED}


# --- Windows


@pytest.fixture
async def windows() -> AsyncIterator[ScriptedWindows]:
    async with ScriptedWindows(windows_2019()) as server:
        yield server


def managed(server: ScriptedWindows, user: str = "admin") -> Opening:
    credentials = Credentials(user, server.password)
    return lanman.open_manager(server.host, credentials, port=server.port, granted=GrantedLevels())


async def test_a_windows_takes_its_time(windows: ScriptedWindows) -> None:
    service = windows.windows.services["LanmanServer"]
    service.slow, service.wait_hint = 3, 2000
    async with managed(windows) as manager:
        assert await manager.service_state() is ServiceState.RUNNING
        assert await manager.pause()
        assert service.state == PAUSED
        assert not await manager.pause()
        assert await manager.continue_()
        assert service.state == RUNNING
        assert await manager.time_of_day() is not None
    assert windows.windows.services.orders == [("LanmanServer", 2), ("LanmanServer", 3)]
    assert windows.complaints == []


async def test_a_windows_that_pauses_already_is_not_told_again(windows: ScriptedWindows) -> None:
    service = windows.windows.services["LanmanServer"]
    service.slow = 2
    windows.windows.services.control("LanmanServer", 2)
    async with managed(windows) as manager:
        assert await manager.pause()
    assert windows.windows.services.orders == [("LanmanServer", 2)]
    assert service.state == PAUSED


async def test_a_windows_that_comes_to_rest_elsewhere(windows: ScriptedWindows) -> None:
    windows.windows.services["LanmanServer"].rests = STOPPED
    async with managed(windows) as manager:
        with pytest.raises(Win32Error) as failed:
            await manager.pause()
        assert failed.value.code == codes.NERR_ServiceNotCtrl
        assert "stopped" in str(failed.value)
        with pytest.raises(Win32Error) as failed:
            await manager.continue_()
        assert failed.value.code == codes.ERROR_SERVICE_NOT_ACTIVE


async def test_a_windows_that_takes_no_pause(windows: ScriptedWindows) -> None:
    windows.windows.services["LanmanServer"].accepts = 1
    async with managed(windows) as manager:
        with pytest.raises(Win32Error) as failed:
            await manager.pause()
        assert failed.value.code == codes.ERROR_INVALID_SERVICE_CONTROL


@pytest.mark.parametrize("user", ["ann", "bob"])
async def test_a_windows_lets_administrators_alone(windows: ScriptedWindows, user: str) -> None:
    async with managed(windows, user) as manager:
        for ask in (manager.service_state, manager.pause, manager.continue_):
            with pytest.raises(AccessDenied) as denied:
                await ask()
            assert f"{user} must be one of the Administrators there" in (denied.value.hint or "")
    assert windows.windows.services.orders == []


async def test_a_server_without_the_pipe(windows: ScriptedWindows) -> None:
    windows.windows.refused["svcctl"] = codes.STATUS_OBJECT_NAME_NOT_FOUND
    async with managed(windows) as manager:
        with pytest.raises(Win32Error) as failed:
            await manager.pause()
        assert failed.value.code == codes.ERROR_NOT_SUPPORTED
        assert "no Server service that could be asked or paused" in str(failed.value)


async def test_an_order_whose_answer_is_lost(windows: ScriptedWindows, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection breaks where the order was carried out: it is looked at again, and not given twice."""
    script = windows.script
    answer = script.answer
    cut: list[Any] = []

    def answer_and_cut(request: Any, caller: Any) -> Any:
        answered = answer(request, caller)
        if isinstance(request, svcctl.RControlService) and not cut:
            cut.append(request)
            for connection in list(windows.connections):
                connection.transport.abort()
        return answered

    monkeypatch.setattr(script, "answer", answer_and_cut)
    async with managed(windows) as manager:
        assert await manager.pause()
    assert windows.windows.services.orders == [("LanmanServer", 2)]


# --- this Windows


@pytest.fixture
def local() -> tuple[SystemStub, WindowsManager]:
    stub = SystemStub()
    return stub, WindowsManager(NetApi(object()), stub.system, timeout=5, deadline=None)


def check(stub: SystemStub) -> None:
    """Every handle was closed, and none was used for what it is not."""
    assert (stub.handles, stub.faults) == ({}, [])


async def test_this_windows(local: tuple[SystemStub, WindowsManager]) -> None:
    stub, manager = local
    stub.database["LanmanServer"].slow = 2
    assert await manager.service_state() is ServiceState.RUNNING
    assert await manager.pause()
    assert not await manager.pause()
    assert stub.state == PAUSED
    assert await manager.continue_()
    assert stub.state == RUNNING
    check(stub)


async def test_this_windows_not_elevated(local: tuple[SystemStub, WindowsManager]) -> None:
    stub, manager = local
    stub.elevated, stub.elevation = False, 3
    assert await manager.service_state() is ServiceState.RUNNING
    for order in (
        manager.pause,
        manager.continue_,
        manager.start_service,
        lambda: manager.stop_service(lambda _: True),
    ):
        with pytest.raises(AccessDenied) as denied:
            await order()
        assert "elevated prompt" in (denied.value.hint or "")
    assert stub.database.orders == []
    check(stub)


async def test_this_windows_is_stopped_after_what_depends_on_it(local: tuple[SystemStub, WindowsManager]) -> None:
    stub, manager = local
    asked: list[list[str]] = []
    for service in stub.database.services:
        service.slow = 1

    def no(names: Sequence[str]) -> bool:
        asked.append(list(names))
        return False

    assert not await manager.stop_service(no)
    assert asked == [["DFS Namespace", "Computer Browser"]]
    assert stub.database.orders == []
    assert await manager.stop_service(lambda names: True)
    assert stub.database.orders == [("Dfs", 1), ("Browser", 1), ("LanmanServer", 1)]
    assert await manager.service_state() is ServiceState.STOPPED
    with pytest.raises(Win32Error) as failed:
        await manager.stop_service(lambda names: True)
    assert failed.value.code == codes.ERROR_SERVICE_NOT_ACTIVE
    with pytest.raises(Win32Error) as failed:
        await manager.pause()
    assert failed.value.code == codes.ERROR_SERVICE_NOT_ACTIVE
    await manager.start_service()
    assert stub.state == RUNNING
    with pytest.raises(Win32Error) as failed:
        await manager.start_service()
    assert failed.value.code == codes.ERROR_SERVICE_ALREADY_RUNNING
    check(stub)


async def test_this_windows_disabled(local: tuple[SystemStub, WindowsManager]) -> None:
    stub, manager = local
    stub.state, stub.database["LanmanServer"].disabled = STOPPED, True
    with pytest.raises(Win32Error) as failed:
        await manager.start_service()
    assert failed.value.code == codes.ERROR_SERVICE_DISABLED
    assert "sc config" in (failed.value.hint or "")
    check(stub)


@pytest.mark.skipif(sys.platform != "win32", reason="only on Windows, or under Wine")
async def test_the_real_advapi32() -> None:
    """What any user may ask of the services of this machine, whatever they do."""
    api = this_system().services
    manager = api.answer(svcctl.ROpenSCManagerW(None, None, svcctl.SC_MANAGER_CONNECT))
    assert manager.status == 0
    missing = api.answer(svcctl.ROpenServiceW(manager.sc_handle, "lanman-of-the-tests", 4))
    assert (missing.status, missing.sc_handle) == (codes.ERROR_SERVICE_DOES_NOT_EXIST, svcctl.NO_HANDLE)
    access = svcctl.SERVICE_QUERY_STATUS | svcctl.SERVICE_ENUMERATE_DEPENDENTS
    service = api.answer(svcctl.ROpenServiceW(manager.sc_handle, svcctl.SERVER_SERVICE, access))
    assert service.status == 0
    status = api.answer(svcctl.RQueryServiceStatus(service.sc_handle))
    assert (status.status, status.state in svcctl.STATES, status.service_type & 0x30 != 0) == (0, True, True)
    dependents = api.answer(svcctl.REnumDependentServicesW(service.sc_handle, 3, svcctl.MAX_LIST))
    assert dependents.status == 0
    assert all(entry.name for entry in svcctl.unpack_services(dependents.buffer, dependents.returned))
    assert api.answer(svcctl.RControlService(service.sc_handle, 2)).status == codes.ERROR_ACCESS_DENIED
    for handle in (service.sc_handle, manager.sc_handle):
        assert api.answer(svcctl.RCloseServiceHandle(handle)).status == 0
        assert api.answer(svcctl.RCloseServiceHandle(handle)).status == codes.ERROR_INVALID_HANDLE
    by_manager = WindowsManager(NetApi(object()), this_system(), timeout=10, deadline=None)
    assert await by_manager.service_state() is svcctl.STATES[status.state]


CALLS = ["OpenSCManagerW", "OpenServiceW", "QueryServiceStatus", "ControlService", "EnumDependentServicesW"]


@pytest.mark.parametrize("name", [*CALLS, "StartServiceW"])
async def test_every_call_may_fail(local: tuple[SystemStub, WindowsManager], name: str) -> None:
    stub, manager = local
    stub.fail[name] = codes.ERROR_NOT_ENOUGH_MEMORY
    order: Any = (lambda: manager.stop_service(lambda names: True)) if "Enum" in name else manager.pause
    order = manager.start_service if name == "StartServiceW" else order
    with pytest.raises(Win32Error) as failed:
        await order()
    assert failed.value.code == codes.ERROR_NOT_ENOUGH_MEMORY
    check(stub)


# --- Samba


@pytest.mark.samba
@pytest.mark.root
async def test_samba_has_no_pause(samba: Samba) -> None:
    account = samba.administrator
    credentials = Credentials(account.user_name, account.password)
    async with lanman.open_manager("127.0.0.1", credentials, port=samba.port, granted=GrantedLevels()) as manager:
        assert manager.is_samba
        for ask in (manager.service_state, manager.pause, manager.continue_):
            with pytest.raises(Win32Error) as failed:
                await ask()
            assert failed.value.code == codes.ERROR_NOT_SUPPORTED
            assert "Samba has no pause" in (failed.value.hint or "")
        assert await manager.sessions() is not None
