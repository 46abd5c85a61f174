"""The Manager over netapi32, beside the Manager over SMB of the same Server: the same situation, the same answers."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

import lanman
from lanman.errors import AccessDenied, LanmanError, TimedOut, Win32Error
from lanman.manage import open as opening
from lanman.manage.granted import GrantedLevels
from lanman.manage.srvsvc import SrvsvcManager
from lanman.manage.windows import manager as windows
from lanman.manage.windows.manager import WindowsManager
from lanman.manage.windows.netapi import NetApi
from lanman.net.credentials import Credentials
from lanman.records import Statistics
from lanman.rpc import srvsvc
from lanman.rpc.ndr import Interface
from support.memory_server import World
from support.netapi_stub import Failure, NetapiStub
from support.system_stub import SystemStub


class WorldLink:
    """The calls of an administrator of a Server in memory, as a link."""

    port, local_address, age, alive, doing = 445, "192.0.2.1", 1e9, True, ""

    def __init__(self, world: World) -> None:
        self.server = "LANMAN"
        self.credentials = Credentials("admin", "")
        self._world = world
        self._client = world.connect().log_on("admin").bind()

    async def call(self, request: Any, *, again: bool = True) -> Any:
        return self._client.call(request)

    @asynccontextmanager
    async def conversation(self, interface: Interface) -> AsyncIterator[Any]:
        client = self._world.connect().log_on("admin").bind(interface)

        class Pipe:
            async def call(self, request: Any) -> Any:
                return client.call(request)

        yield Pipe()
        client.log_off()

    async def close(self) -> None: ...


class Situation:
    """A Server with ann and bob on it, managed over SMB (`remote`) and through a netapi32 that asks it (`local`)."""

    def __init__(self, stub_page: int | None = None) -> None:
        self.world = World()
        self.ann = self.world.connect().log_on("ann").bind()
        self.world.advance(70)
        self.bob = self.world.connect().log_on("bob")
        self.world.advance(5)
        link = WorldLink(self.world)
        self.remote = SrvsvcManager(link, timeout=120, deadline=None)
        self.stub = NetapiStub(link._client.call, page=stub_page)
        self.system = SystemStub()
        self.local = WindowsManager(NetApi(self.stub), self.system.system, timeout=120, deadline=None)

    def check(self) -> None:
        """Nothing was left behind."""
        self.stub.check()
        assert (self.system.handles, self.system.faults) == ({}, [])
        assert set(self.stub.servers) <= {None}


@pytest.fixture(params=[None, 1])
def both(request: pytest.FixtureRequest) -> Iterator[Situation]:
    situation = Situation(request.param)
    with situation.stub:
        yield situation
        situation.check()


Question = Callable[[Any], Any]


def at_level(method: str, level: int | None) -> Question:
    return lambda manager: getattr(manager, method)(level=level)


QUESTIONS: dict[str, Question] = {
    "sessions": lambda manager: manager.sessions(),
    **{f"sessions at {level}": at_level("sessions", level) for level in (0, 1, 2, 10, 502)},
    "sessions of bob": lambda manager: manager.sessions(user="bob"),
    "one session": lambda manager: manager.session("192.0.2.1", "ann"),
    "files": lambda manager: manager.files(),
    "files of ann": lambda manager: manager.files(user="ann"),
    "files of a client": lambda manager: manager.files(client="192.0.2.1"),
    "connections of a share": lambda manager: manager.connections("IPC$"),
    "connections of a client": lambda manager: manager.connections(r"\\192.0.2.1"),
    **{f"shares at {level}": at_level("shares", level) for level in (None, 0, 1, 2, 501, 502, 503)},
    "a share": lambda manager: manager.share("IPC$"),
    **{f"server at {level}": at_level("server_info", level) for level in (None, 100, 101, 102, 103)},
    "server at 502": lambda manager: manager.server_info(502),
    "server at 503": lambda manager: manager.server_info(503),
    "statistics": lambda manager: manager.statistics(),
    "time": lambda manager: manager.time_of_day(),
    "transports": lambda manager: manager.transports(),
}

REFUSED: dict[str, Question] = {
    "no such session": lambda manager: manager.session("192.0.2.1", "nobody"),
    "no such level": lambda manager: manager.sessions(level=3),
    "no such file": lambda manager: manager.file(4711),
    "no such share": lambda manager: manager.share("nothing"),
    "an empty user": lambda manager: manager.sessions(user=""),
    "no end of what is not there": lambda manager: manager.delete_share("nothing"),
}


def plain(answer: Any) -> Any:
    """An answer without the name of who was asked, and without the bytes that the asking over SMB itself takes."""
    if isinstance(answer, Statistics):
        return replace(answer, bytessent_low=0, bytesrcvd_low=0)
    return (answer.level, answer.entries) if isinstance(answer, lanman.Sessions) else answer


@pytest.mark.parametrize("question", QUESTIONS)
async def test_the_same_answer(both: Situation, question: str) -> None:
    local = plain(await QUESTIONS[question](both.local))
    assert local == plain(await QUESTIONS[question](both.remote))
    assert local


@pytest.mark.parametrize("question", REFUSED)
async def test_the_same_refusal(both: Situation, question: str) -> None:
    codes = []
    for manager in (both.local, both.remote):
        with pytest.raises(LanmanError) as refused:
            await REFUSED[question](manager)
        codes.append((type(refused.value), refused.value.code))
    assert codes[0] == codes[1]


async def test_what_is_told_is_done(both: Situation) -> None:
    (bob,) = (await both.local.sessions(user="bob")).entries
    (result,) = await both.local.close_sessions([bob])
    assert (result.error, result.note) == (None, None)
    assert both.world.users() == ["ann", "admin"]
    (file,) = await both.local.files(user="ann")
    assert await both.local.close_file(file.id or 0) == file
    assert await both.remote.files(user="ann") == []
    await both.local.set_autodisconnect(-1)
    await both.local.set_comment("its \u00e4 comment")
    info = await both.remote.server_info()
    assert (info.disc, info.comment) in ((0xFFFFFFFF, "its \u00e4 comment"), (-1, "its \u00e4 comment"))


async def test_no_session_is_taken_for_our_own(both: Situation) -> None:
    """Over SMB ours is ended last, by logging off; here each is another's."""
    results = await both.local.close_sessions((await both.local.sessions(user="ann")).entries)
    assert [result.error for result in results] == [None]
    assert both.world.users() == ["bob", "admin"]


@pytest.mark.parametrize("granted", [502, 2, 1, 10, 0])
@pytest.mark.parametrize("refusal", [5, 124])
async def test_level_fallback(granted: int, refusal: int) -> None:
    situation = Situation()
    answer = situation.stub.answer

    def grudging(request: Any) -> Any:
        if isinstance(request, srvsvc.NetrSessionEnum) and request.level != granted:
            return request.failed(refusal)
        return answer(request)

    with situation.stub:
        situation.stub.answer = grudging
        found = await situation.local.sessions()
        assert (found.level, len(found)) == (granted, 3)
        situation.check()


@pytest.mark.parametrize(("elevation", "words"), [(3, "Run as administrator"), (1, "Administrators and Server")])
async def test_a_denial_names_the_way_out(elevation: int, words: str) -> None:
    situation = Situation()
    situation.system.elevation = elevation
    situation.stub.fail = lambda name: Failure(5, with_buffer=True)
    with situation.stub:
        with pytest.raises(AccessDenied) as refused:
            await situation.local.files()
        assert words in (refused.value.hint or "")
        situation.check()


async def test_a_denial_where_the_token_cannot_be_read() -> None:
    situation = Situation()
    situation.system.fail["OpenProcessToken"] = 5
    situation.stub.fail = lambda name: Failure(5)
    with situation.stub:
        with pytest.raises(AccessDenied) as refused:
            await situation.local.files()
        assert "Administrators" in (refused.value.hint or "")


@pytest.mark.parametrize("which", range(12))
async def test_any_call_of_a_task_may_fail(which: int) -> None:
    """The work of many calls, of which one fails: an error, or a result that has one, and nothing left behind."""
    situation = Situation(1)
    counted = iter(range(1000))
    situation.stub.fail = lambda name: Failure(1722, with_buffer=True) if next(counted) == which else None
    with situation.stub:
        try:
            for entry in (await situation.local.sessions()).entries[:2]:
                (result,) = await situation.local.close_sessions([entry])
                assert result.error is None or result.error.code in (1722, 2312, 59)
        except LanmanError as error:
            assert error.code == 1722  # noqa: PT017  # any of the calls may be the one
        situation.check()


async def test_a_call_that_hangs_is_left_to_itself() -> None:
    situation = Situation()
    goes_on, began = threading.Event(), threading.Event()
    answer = situation.stub.answer

    def hang(request: Any) -> Any:
        began.set()
        goes_on.wait(60)
        return answer(request)

    manager = WindowsManager(NetApi(situation.stub), situation.system.system, timeout=0.05, deadline=None)
    with situation.stub:
        situation.stub.answer = hang
        before = set(threading.enumerate())
        with pytest.raises(TimedOut):
            await manager.server_info(100)
        left = set(threading.enumerate()) - before
        assert began.wait(60)  # its thread may come to it after nobody waits any more
        goes_on.set()
        for thread in left:
            await asyncio.to_thread(thread.join)
        situation.check()


# --- which service is this machine's


@pytest.fixture
def on_windows(monkeypatch: pytest.MonkeyPatch) -> Iterator[Situation]:
    """As if this were Windows, whose DLLs are the stubs."""
    situation = Situation()
    monkeypatch.setattr(windows, "this_netapi32", lambda: situation.stub)
    monkeypatch.setattr(windows, "this_system", lambda: situation.system.system)
    monkeypatch.delenv("LANMAN_HOME", raising=False)
    with situation.stub:
        yield situation
        situation.check()


def opened(**options: Any) -> Any:
    return lanman.open_manager(granted=GrantedLevels(), **options)


async def test_windows_by_name(on_windows: Situation) -> None:
    async with opened(service="windows") as manager:
        assert isinstance(manager, WindowsManager)
        assert [entry.user_name for entry in await manager.sessions()] == ["ann", "bob", "admin"]


async def test_windows_that_is_stopped(on_windows: Situation) -> None:
    on_windows.system.state = 1
    with pytest.raises(Win32Error) as refused:
        await opened(service="windows").__aenter__()
    assert refused.value.code == 2114
    assert "net start server" in (refused.value.hint or "")
    assert on_windows.stub.calls == []


@pytest.mark.parametrize("state", [4, 5, 6, 7])
async def test_on_windows_it_is_windows_own(on_windows: Situation, monkeypatch: pytest.MonkeyPatch, state: int) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    on_windows.system.state = state
    how = opening._How(None, None, 10, False, None, GrantedLevels())
    assert opening._means_windows(None, how)


@pytest.mark.parametrize(
    "said",
    [
        {"home": "C:\\lanman"},
        {"port": 4450},
        {"port": 445},
        {"credentials": Credentials("ann", "x")},
        {"environment": "C:\\lanman"},
        {"state": 1},
        {"platform": "linux"},
    ],
    ids=str,
)
async def test_what_keeps_it_from_being_windows_own(
    on_windows: Situation, monkeypatch: pytest.MonkeyPatch, said: dict[str, Any]
) -> None:
    monkeypatch.setattr(sys, "platform", said.get("platform", "win32"))
    if "environment" in said:
        monkeypatch.setenv("LANMAN_HOME", said["environment"])
    on_windows.system.state = said.get("state", 4)
    how = opening._How(said.get("credentials"), said.get("port"), 10, False, None, GrantedLevels())
    assert not opening._means_windows(said.get("home"), how)


@pytest.mark.skipif(sys.platform == "win32", reason="there it is Windows")
async def test_windows_elsewhere() -> None:
    with pytest.raises(Win32Error) as refused:
        await opened(service="windows").__aenter__()
    assert refused.value.code == 50
    assert "no Windows" in refused.value.message
    assert not windows.is_started()


async def test_lanman_by_name(tmp_path: Any) -> None:
    with pytest.raises(Win32Error) as refused:
        await opened(service="lanman", home=tmp_path).__aenter__()
    assert refused.value.code == 2114


@pytest.mark.parametrize("options", [{"service": "nfs"}, {"server": "192.0.2.7", "service": "windows"}])
async def test_a_service_that_cannot_be_meant(options: dict[str, Any]) -> None:
    with pytest.raises(Win32Error) as refused:
        await opened(**options).__aenter__()
    assert refused.value.code == 87
