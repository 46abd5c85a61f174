"""Who has a file open, by what a server says; how it is known, and how few questions it takes."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import lanman
from lanman.errors import AccessDenied, Win32Error
from lanman.manage.explain import Holder, explain, wait_until_free
from lanman.manage.openers import Openers
from lanman.manage.orders import Cost
from lanman.manage.own import DetailedFile
from lanman.manage.samba_local.manager import SambaLocalManager
from lanman.manage.samba_local.tools import SambaTools
from lanman.manage.watching.keys import How
from lanman.net.client import SmbClient
from lanman.net.credentials import Credentials
from lanman.net.server import SmbServer
from lanman.records import FileInfo, SessionInfo, ShareInfo
from lanman.rpc.srvsvc.files import NetrFileEnum
from lanman.settings import Configuration, ShareConfiguration
from support.loopback_server import PASSWORDS, running_server
from support.scripted_link import ScriptedServer
from support.scripted_windows import ScriptedWindows, windows_2019
from support.smbd import HeldClient, Samba, tool

BUDGET = FileInfo(5812, 3, 2, r"D:\projects\budget.xlsx", "bob")
READ = FileInfo(5990, 1, 0, r"D:\projects\budget.xlsx", "carol")
OTHER = FileInfo(6000, 1, 0, r"D:\projects\plan.txt", "bob")
SHARE = ShareInfo("projects", 0, path=r"D:\projects")


def session(client: str, user: str, idle: int | None = 10, age: int = 5000) -> SessionInfo:
    return SessionInfo(rf"\\{client}", user, 1, age, idle, 0)


def scene(**changes: Any) -> ScriptedServer:
    given: dict[str, Any] = {
        "sessions": [session("pc7", "bob", 2530), session("pc4", "carol", 7200), session("pc9", "carol", 4000)],
        "files": [BUDGET, READ, OTHER],
        "shares": [SHARE],
    }
    return ScriptedServer(**(given | changes))


def known(holders: list[Holder]) -> list[tuple[object, ...]]:
    return [
        (one.user_name, one.client_name, one.client_how.value, one.candidates, one.cost.value, one.idle_time)
        for one in holders
    ]


PATHS = [r"\\fs1\projects\budget.xlsx", "//FS1/Projects/budget.xlsx", r"D:\projects\budget.xlsx", "*/budget.*"]


@pytest.mark.parametrize("path", PATHS)
async def test_who_has_it_and_how_that_is_known(path: str) -> None:
    server = scene(shares=[SHARE, replace(SHARE, netname="Projects")])
    found = await explain(server.manager(), path)
    assert known(found.holders) == [
        ("bob", r"\\pc7", "inferred", [], "unsaved", 2530),
        ("carol", None, "candidates", [r"\\pc4", r"\\pc9"], "none", 4000),
    ]
    assert [one.others for one in found.holders] == [1, 0]
    assert [one.opened_how for one in found.holders] == [How.UNKNOWN, How.UNKNOWN]
    assert found.level == 502
    assert found.missing == []
    data = found.as_json()["holders"][1]
    assert (data["session"], data["opened_at"], data["access"]) == (None, None, 1)
    assert data["not_before"].endswith("Z")


async def test_ten_thousand_open_files_take_two_questions_beyond_the_list() -> None:
    files = [FileInfo(n, 1, 0, rf"D:\projects\{n}", f"user{n % 500}") for n in range(1, 10_001)]
    for samba in (False, True):
        server = scene(samba=samba, files=[*files, BUDGET])
        found = await explain(server.manager(), r"\\fs1\projects\budget.xlsx")
        assert [one.user_name for one in found.holders] == ["bob"]
        assert len(server.asked) - server.count(NetrFileEnum) <= 3
        assert server.count(NetrFileEnum) == 1


async def test_samba_tells_no_idle_times_so_nothing_is_free() -> None:
    found = await explain(scene(samba=True, levels=[1]).manager(), r"\\fs1\projects\budget.xlsx")
    assert [(one.cost.value, one.why, one.idle_time) for one in found.holders] == [
        ("unsaved", "write access, 2 locks", None),
        ("reopen", "read access, idle time unknown", None),
    ]
    assert found.missing == ["Samba does not tell idle times"]


async def test_at_level_0_nothing_is_made_up() -> None:
    server = scene(levels=[0], sessions=[SessionInfo(r"\\pc7"), SessionInfo(r"\\pc4")])
    found = await explain(server.manager(), r"\\fs1\projects\budget.xlsx")
    assert [(one.client_how, one.client_name, one.candidates) for one in found.holders] == [(How.UNKNOWN, None, [])] * 2
    assert "level 0" in found.missing[0]


async def test_who_may_not_see_sessions_sees_the_files() -> None:
    server = scene()

    def denied(request: Any) -> Any:
        raise AccessDenied

    server._NetrSessionEnum = denied  # type: ignore[method-assign]
    found = await explain(server.manager(), r"\\fs1\projects\budget.xlsx")
    assert [one.client_how for one in found.holders] == [How.UNKNOWN, How.UNKNOWN]
    assert "sessions is not told" in found.missing[0]


async def test_where_the_share_may_not_be_asked_for_the_end_of_the_path_counts() -> None:
    server = scene(
        files=[BUDGET, replace(READ, path=r"E:\projects\old\budget.xlsx")], shares=[replace(SHARE, path=None)]
    )
    found = await explain(server.manager(), r"\\fs1\projects\budget.xlsx")
    assert (found.share_how, len(found.holders), found.local_path) == (How.INFERRED, 2, None)
    assert "by the end of their paths" in found.missing[0]
    with pytest.raises(Win32Error) as raised:
        await explain(server.manager(), r"\\fs1\projects")
    assert raised.value.code == 50


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (r"\\fs2\projects\x", 53),
        (r"\\fs1\nothing\x", 2310),
        (r"\\fs*\projects\x", 53),
        ("", 87),
    ],
)
async def test_a_path_that_is_none(path: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nowhere(name: str) -> frozenset[str]:
        return frozenset()

    monkeypatch.setattr("lanman.manage.clients.addresses_of", nowhere)
    with pytest.raises(Win32Error) as raised:
        await explain(scene().manager(), path)
    assert raised.value.code == code


async def test_a_server_that_knows_no_files_says_so() -> None:
    with pytest.raises(Win32Error) as raised:
        await explain(scene(knows_files=False).manager(), r"\\fs1\projects\budget.xlsx")
    assert raised.value.code == 50


async def test_filters_leave_out_whoever_may_be_somebody_else() -> None:
    server = scene()
    path = r"\\fs1\projects\budget.xlsx"
    assert [one.user_name for one in (await explain(server.manager(), path, user="BOB")).holders] == ["bob"]
    found = await explain(server.manager(), path, client="pc4")
    assert found.holders == []
    assert "1 more may be open from pc4" in found.missing[0]
    assert [one.user_name for one in (await explain(server.manager(), path, client="PC7")).holders] == ["bob"]
    assert (await explain(server.manager(), path, client="pc1")).holders == []


async def test_it_is_waited_for_with_a_clock_of_its_own() -> None:
    server, now = scene(), 0.0

    async def sleep(time: float) -> None:
        nonlocal now
        now += time
        if now >= 3:
            server.files = []

    path = r"\\fs1\projects\budget.xlsx"
    found = await wait_until_free(server.manager(), path, 10, clock=lambda: now, sleep=sleep)
    assert (found.holders, now) == ([], 3)
    server.files, now = [BUDGET], -1000.0
    found = await wait_until_free(server.manager(), path, 2.5, clock=lambda: now, sleep=sleep)
    assert (len(found.holders), now) == (1, -997.5)


def test_two_sessions_from_one_client_are_one_client() -> None:
    opener = Openers([session("pc7", "bob"), session("PC7", "BOB")]).of(BUDGET)
    assert (opener.client_name, opener.how, opener.session, opener.candidates) == (r"\\pc7", How.INFERRED, None, [])


def test_what_is_kept_for_somebody_away_is_no_null_sessions() -> None:
    """MS-SMB2 3.3.4.20: such a file is listed without a user, as one that a null session has open."""
    openers = Openers([session("pc7", "")])
    file = FileInfo(1, 3, 0, "/data/a.txt", "")
    of_pc7 = (r"\\pc7", How.INFERRED)
    for each, expected in [
        (file, (None, How.UNKNOWN)),
        (replace(file, path=r"\PIPE\srvsvc"), of_pc7),
        (DetailedFile(1, 3, 0, "/data/a.txt", "", owner=""), of_pc7),
        (DetailedFile(1, 3, 0, "/data/a.txt", "", owner="ann"), (None, How.UNKNOWN)),
        (DetailedFile(1, 3, 0, r"\PIPE\x", "", owner="ann"), (None, How.UNKNOWN)),
    ]:
        opener = openers.of(each)
        assert ((opener.client_name, opener.how), bool(opener.sessions)) == (expected, expected is of_pc7), each


async def test_what_is_kept_is_of_its_owner_and_many_are_no_one_user() -> None:
    many = [FileInfo(100 + i, 3, 0, rf"D:\projects\{i}.txt", "") for i in range(200)]
    found = await explain(scene(files=[*many, BUDGET]).manager(), r"D:\projects\*.txt")
    assert {one.others for one in found.holders} == {0}, "nobody is the same user as nobody"
    assert {(one.client_name, one.client_how) for one in found.holders} == {(None, How.UNKNOWN)}
    found = await explain(scene(files=[*many, BUDGET]).manager(), "*", user="bob")
    assert [one.user_name for one in found.holders] == ["bob"]
    assert "200 more have no user, and may be kept for bob" in found.missing
    owned = [DetailedFile(each.id, 3, 0, each.path, "", owner="bob", durable=True) for each in many]
    found = await explain(scene(files=[*owned, BUDGET]).manager(), "*", user="bob")
    assert (len(found.holders), found.missing) == (201, [])
    assert {one.others for one in found.holders} == {200}


# --- the same situation on every kind of server


def smbclient(port: int, share: str, user: str, password: str) -> HeldClient:
    login = ["-s", "/dev/null", "-p", str(port), "-U", f"{user}%{password}"]
    return HeldClient(["stdbuf", "-i0", "-oL", tool("smbclient"), *login, f"//127.0.0.1/{share}"])


@pytest.mark.samba
async def test_our_own_server_tells_from_where_and_since_when(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o777)
    for name in ("budget.txt", "plan.txt"):
        (folder / name).write_text("x")
        (folder / name).chmod(0o666)
    configuration = Configuration(name="LANTEST", shares={"data": ShareConfiguration(str(folder), write=("bob",))})
    async with running_server(tmp_path / "home", configuration) as server:
        client = await asyncio.to_thread(smbclient, server.port, "data", "bob", PASSWORDS["bob"])
        try:
            await asyncio.to_thread(client.command, "open budget.txt")
            await asyncio.to_thread(client.command, "open plan.txt")
            await check_our_own(server, folder)
        finally:
            await asyncio.to_thread(client.close)


async def check_our_own(server: SmbServer, folder: Path) -> None:
    admin = Credentials("admin", PASSWORDS["admin"])
    async with lanman.open_manager(home=server.home.path) as manager:
        found = await lanman.explain(manager, r"\\LANTEST\data\budget.txt")
        (local,) = found.holders
        assert (found.local_path, found.share_how) == (str(folder / "budget.txt"), How.TOLD)
    async with lanman.open_manager("127.0.0.1", admin, port=server.port) as manager:
        (remote,) = (await lanman.explain(manager, r"\\127.0.0.1\data\budget.txt")).holders
    for one in (local, remote):
        assert (one.user_name, one.client_name, one.share) == ("bob", r"\\127.0.0.1", "data")
        assert (one.cost, one.others, one.writes) == (Cost.UNSAVED, 1, True)
        assert (one.idle_time or 0) < 60
        assert one.not_before is not None
        assert one.session is not None
    assert (local.client_how, local.opened_how) == (How.TOLD, How.TOLD)
    assert (remote.client_how, remote.opened_how, remote.opened_at) == (How.INFERRED, How.UNKNOWN, None)
    assert abs((local.opened_at or 0) - time.time()) < 120
    # A second session of bob makes no difference at home, and leaves a doubt elsewhere.
    async with SmbClient("127.0.0.1", server.port, Credentials("bob", PASSWORDS["bob"])):
        async with lanman.open_manager(home=server.home.path) as manager:
            (local,) = (await lanman.explain(manager, str(folder / "budget.txt"))).holders
            assert local.session is not None
        async with lanman.open_manager("127.0.0.1", admin, port=server.port) as manager:
            (remote,) = (await lanman.explain(manager, "*budget.txt")).holders
            assert (remote.session, remote.client_how) == (None, How.INFERRED)


@pytest.mark.samba
@pytest.mark.root
async def test_samba_here_and_over_the_network(samba: Samba) -> None:
    (samba.share / "budget.txt").write_text("x")
    (samba.share / "budget.txt").chmod(0o666)
    client = await asyncio.to_thread(samba.hold, samba.user)
    with client:
        await asyncio.to_thread(client.command, "open budget.txt")
        who = Credentials(samba.administrator.user_name, samba.administrator.password)
        async with lanman.open_manager(samba.host, who, port=samba.port, timeout=60) as manager:
            found = await lanman.explain(manager, rf"\\{samba.host}\share\budget.txt")
            (remote,) = found.holders
            assert found.missing == ["Samba does not tell idle times"]
        tools = SambaTools(str(samba.directory / "smb.conf"))
        here = SambaLocalManager(tools, timeout=60)
        (local,) = (await lanman.explain(here, rf"\\{here.server}\share\budget.txt")).holders
        for one in (local, remote):
            assert (one.user_name, one.cost, one.idle_time, one.writes) == ("daemon", Cost.UNSAVED, None, True)
            assert (one.client_name or "").strip("\\") == "127.0.0.1"
        assert (local.client_how, local.opened_how) == (How.TOLD, How.TOLD)
        assert (remote.client_how, remote.opened_how, remote.opened_at) == (How.INFERRED, How.UNKNOWN, None)
        assert abs((local.opened_at or 0) - time.time()) < 120


async def test_the_scripted_windows() -> None:
    async with (
        ScriptedWindows(windows_2019()) as server,
        lanman.open_manager("127.0.0.1", Credentials("admin", server.password), port=server.port) as manager,
    ):
        for file in await manager.files():
            found = await lanman.explain(manager, file.path or "")
            assert file.id in [one.file.id for one in found.holders]
            for one in found.holders:
                assert one.opened_how is How.UNKNOWN
                assert one.client_how in (How.INFERRED, How.CANDIDATES, How.UNKNOWN)
