"""The Manager against a server that answers as Windows Server 2019 and 2025 do, over real sockets."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Literal

import pytest

import lanman
from lanman import codes
from lanman.errors import (
    AccessDenied,
    AuthenticationError,
    ConnectionLost,
    LanmanError,
    MalformedMessage,
    StatusError,
    Win32Error,
)
from lanman.manage.granted import GrantedLevels
from lanman.manage.manager import Manager
from lanman.net import client
from lanman.net.client import SmbClient
from lanman.net.credentials import Credentials
from lanman.rpc.srvsvc import NetrSessionDel, NetrSessionEnum
from lanman.smb2.constants import Dialect
from support.platforms import tasks_left
from support.scripted_windows import ScriptedWindows, Windows, windows_2019, windows_2025
from support.waiting import free_port

Opener = Callable[..., AbstractAsyncContextManager[Manager]]


@pytest.fixture(params=[windows_2019, windows_2025])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[ScriptedWindows]:
    async with ScriptedWindows(request.param()) as server:
        yield server


def opened(
    server: ScriptedWindows, user: str = "admin", *, encrypt: bool = False
) -> AbstractAsyncContextManager[Manager]:
    credentials = Credentials(user, server.password)
    return lanman.open_manager(server.host, credentials, port=server.port, encrypt=encrypt, granted=GrantedLevels())


async def test_everything_is_told_at_the_best_level(server: ScriptedWindows) -> None:
    windows = server.windows
    async with opened(server) as manager:
        found = await manager.sessions()
        assert (found.level, found.entries) == (502, windows.sessions)
        assert await manager.files() == windows.files
        assert await manager.file(0x80000005) == windows.files[1]
        assert [entry.netname for entry in await manager.shares()] == ["ADMIN$", "C$", "data", "IPC$"]
        assert (await manager.share("data")).path == "C:\\data"
        info = await manager.server_info()
        assert (info.name, info.disc, info.users, info.hidden) == (windows.info.name, 15, 16777216, False)
        assert (await manager.server_info(502)).sessopens == 16384
        assert await manager.statistics() == windows.statistics
        assert (await manager.statistics()).bytes_sent == 0x1FFFFFFFE
        assert await manager.time_of_day() == windows.time_of_day
        assert [entry.name for entry in await manager.transports()] == [entry.name for entry in windows.transports]
        assert [entry.net_name for entry in await manager.connections("//10.0.0.7")] == ["data", "IPC$"]
        assert {entry.net_name for entry in await manager.connections("data")} == {
            r"\\10.0.0.7",
            r"\\[fe80::7]",
            r"\\10.0.0.12",
        }
    assert server.complaints == []


@pytest.mark.parametrize("level", [0, 1, 2, 10, 502])
async def test_each_level_leaves_what_it_lacks_unknown(server: ScriptedWindows, level: int) -> None:
    async with opened(server) as manager:
        entry = (await manager.sessions(level=level)).entries[0]
    assert entry.client_name == r"\\10.0.0.7"
    assert (entry.user_name is None) == (level == 0)
    assert (entry.idle_time is None) == (level == 0)
    assert (entry.num_opens is None) == (level in (0, 10))
    assert (entry.client_type is None) == (level not in (2, 502))
    assert (entry.transport is None) == (level != 502)


@pytest.mark.parametrize("page", [1, 2, 5])
async def test_partial_pages_and_a_handle_left_over(server: ScriptedWindows, page: int) -> None:
    server.windows.page = page
    async with opened(server) as manager:
        assert (await manager.sessions()).entries == server.windows.sessions
        assert await manager.files() == server.windows.files


async def test_filters_and_addresses_of_either_family(server: ScriptedWindows) -> None:
    server.windows.file_clients = {0xFFFFFFF0: r"\\10.0.0.12"}
    async with opened(server) as manager:
        for typed in ("fe80::7", "[fe80::7]", "//[fe80:0::7]", r"\\fe80::7"):
            (entry,) = (await manager.sessions(client=typed)).entries
            assert entry.client_name == r"\\[fe80::7]"
        assert len((await manager.sessions(user="ann")).entries) == 2
        assert (await manager.sessions(user="nobody")).entries == []
        assert [entry.path for entry in await manager.files(client="10.0.0.12")] == ["C:\\data\\"]
        assert [entry.id for entry in await manager.files(path="*.xlsx", user="ann")] == [1677721603, 0x80000005]


async def test_one_of_two_users_at_one_client_is_ended(server: ScriptedWindows) -> None:
    async with opened(server) as manager:
        (bob,) = (await manager.sessions(client="10.0.0.7", user="bob")).entries
        (ended,) = await manager.close_sessions([bob])
        assert (ended.error, ended.note) == (None, None)
        assert (await manager.sessions(client="10.0.0.7", user="bob")).entries == []
        assert len((await manager.sessions(client="10.0.0.7")).entries) == 1
        (ended,) = await manager.close_sessions([bob])
        assert ended.error is not None
        assert ended.error.code == 2312
    assert [
        (request.client_name, request.user_name) for request in server.asked if type(request) is NetrSessionDel
    ] == [(r"\\10.0.0.7", "bob")]


async def test_our_own_session_among_all(server: ScriptedWindows) -> None:
    server.windows.list_callers = True
    async with opened(server) as manager, opened(server) as another:
        everyone = (await manager.sessions()).entries
        assert [entry.user_name for entry in everyone][-2:] == ["admin", "admin"]
        outcome = await manager.close_sessions(everyone)
        assert [ended.error for ended in outcome] == [None] * len(everyone)
        # Both are gone; each comes back when it is needed.
        assert [entry.user_name for entry in (await manager.sessions()).entries] == ["admin"]
        assert [entry.user_name for entry in (await another.sessions()).entries] == ["admin", "admin"]


async def test_a_file_is_closed_and_told(server: ScriptedWindows) -> None:
    plan = server.windows.files[0]
    async with opened(server) as manager:
        assert plan.id is not None
        assert await manager.close_file(plan.id) == plan
        assert server.closed == [plan]
        for attempt in (manager.close_file(plan.id), manager.file(99999)):
            with pytest.raises(Win32Error) as raised:
                await attempt
            assert raised.value.code == 2314


async def test_a_folder_means_itself_alone(server: ScriptedWindows) -> None:
    async with opened(server) as manager:
        for path, ids in (
            ("C:\\data\\", [0xFFFFFFF0]),
            (r"c:\DATA", [0xFFFFFFF0]),
            (r"C:\data\*", [1677721603, 0x80000005]),
            (r"C:\data\2019", []),
            (r"c:\data\PLAN.xlsx", [1677721603]),
        ):
            assert [entry.id for entry in await manager.files(path=path)] == ids
        plan, budget, *_ = server.windows.files
        swapped = dataclasses.replace(plan, id=budget.id)
        outcome = await manager.close_files([swapped, plan])
        assert [one.error and one.error.code for one in outcome] == [2314, None]
        assert server.closed == [plan]


async def test_settings_take_effect(server: ScriptedWindows) -> None:
    async with opened(server) as manager:
        await manager.set_autodisconnect(-1)
        await manager.set_comment("branch file server")
        await manager.set_hidden(True)
        info = await manager.server_info()
        assert (info.disc, info.comment, info.hidden) == (-1, "branch file server", True)


async def test_legacy_rights_grant_level_10(server: ScriptedWindows) -> None:
    async with opened(server, "ann") as manager:
        found = await manager.sessions()
        assert found.level == 10
        assert [request.level for request in server.asked if type(request) is NetrSessionEnum] == [502, 2, 1, 10]
        assert {entry.num_opens for entry in found.entries} == {None}
        (ended,) = await manager.close_sessions(found.entries[:1])
        assert isinstance(ended.error, AccessDenied)


async def test_hardened_rights_grant_nothing_and_say_why(server: ScriptedWindows) -> None:
    async with opened(server, "bob") as manager:
        with pytest.raises(AccessDenied) as raised:
            await manager.sessions()
        assert "bob" in (raised.value.hint or "")
        assert "LocalAccountTokenFilterPolicy" in (raised.value.hint or "")
        assert (await manager.server_info()).disc is None  # level 101
        assert (await manager.time_of_day()).year == 2023


ENCRYPTING = [dialect for dialect in Dialect if dialect >= Dialect.SMB_3_0]


@pytest.mark.parametrize(
    ("dialect", "encryption"),
    [*((dialect, "offered") for dialect in Dialect), *((dialect, "required") for dialect in ENCRYPTING)],
)
async def test_every_dialect(
    server: ScriptedWindows, dialect: Dialect, encryption: Literal["offered", "required"]
) -> None:
    server.windows.dialects = [dialect]
    server.windows.encryption = encryption
    async with opened(server) as manager:
        assert (await manager.sessions()).entries == server.windows.sessions
    assert server.complaints == []


@pytest.mark.parametrize(("granted", "trips"), [(502, 5), (2, 6), (1, 7), (10, 8), (0, 9)])
async def test_five_round_trips_and_one_for_each_level_refused(
    server: ScriptedWindows, granted: int, trips: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From TCP to the list on 3.1.1: NEGOTIATE, two SESSION_SETUP, TREE_CONNECT with CREATE and bind, and the call."""
    levels = [502, 2, 1, 10, 0]
    server.windows.faults = {(NetrSessionEnum, level): 0x1C000006 for level in levels[: levels.index(granted)]}
    flights = 0
    flush = client._ClientProtocol._flush

    def counted(protocol: client._ClientProtocol) -> None:
        nonlocal flights
        flights += bool(protocol.core._outgoing)
        flush(protocol)

    monkeypatch.setattr(client._ClientProtocol, "_flush", counted)
    async with opened(server) as manager:
        assert (await manager.sessions()).level == granted
        assert flights == trips
        await manager.sessions()
        assert flights == trips + 1
    assert flights == trips + 2  # LOGOFF


async def test_encryption_that_the_user_asks_for(server: ScriptedWindows) -> None:
    async with opened(server, encrypt=True) as manager:
        assert (await manager.sessions()).level == 502
    server.windows.encryption = "off"
    with pytest.raises(Win32Error, match="cannot encrypt") as raised:
        async with opened(server, encrypt=True):
            pass
    assert raised.value.code == 50


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (codes.STATUS_LOGON_FAILURE, 1326, "user name"),
        (codes.STATUS_PASSWORD_EXPIRED, 1330, "changed"),
        (codes.STATUS_PASSWORD_MUST_CHANGE, 1907, "changed"),
        (codes.STATUS_ACCOUNT_LOCKED_OUT, 1909, "unlock"),
        (codes.STATUS_ACCOUNT_DISABLED, 1331, "enable"),
        (codes.STATUS_ACCOUNT_RESTRICTION, 1327, "without a password"),
        (codes.STATUS_LOGON_TYPE_NOT_GRANTED, 1385, "right"),
        (codes.STATUS_REQUEST_NOT_ACCEPTED, 71, "sessions"),
    ],
)
async def test_a_refused_logon_says_why(server: ScriptedWindows, status: int, code: int, words: str) -> None:
    server.windows.logon_status = status
    with pytest.raises(AuthenticationError, match=r"^\\\\127\.0\.0\.1: admin: ") as raised:
        async with opened(server):
            pass
    assert raised.value.code == code
    assert words in (raised.value.hint or "")


async def test_wrong_passwords_and_unknown_users(server: ScriptedWindows) -> None:
    for credentials in (Credentials("admin", "wrong"), Credentials("zoe", server.password)):
        with pytest.raises(AuthenticationError) as raised:
            async with lanman.open_manager(server.host, credentials, port=server.port):
                pass
        assert raised.value.code == 1326
        assert "wrong" not in str(raised.value)


async def test_no_ipc(server: ScriptedWindows) -> None:
    server.windows.ipc = False
    with pytest.raises(StatusError, match=r"has no share named IPC\$") as raised:
        async with opened(server):
            pass
    assert raised.value.code == 67


async def test_answers_that_take_their_time(server: ScriptedWindows) -> None:
    server.windows.asynchronous = True
    async with opened(server) as manager:
        assert (await manager.sessions()).entries == server.windows.sessions


async def test_a_fault_is_another_way_to_refuse_a_level(server: ScriptedWindows) -> None:
    server.windows.faults = {(NetrSessionEnum, 502): 0x1C000006, (NetrSessionEnum, 2): 0x6F7}
    async with opened(server) as manager:
        assert (await manager.sessions()).level == 1


async def test_a_session_that_is_ended_under_us_is_opened_again(server: ScriptedWindows) -> None:
    async with opened(server) as manager:
        await manager.sessions()
        for session_id in list(server.script.callers):
            server.forget(session_id)
        assert (await manager.sessions()).level == 502


async def test_many_questions_at_once(server: ScriptedWindows) -> None:
    async with opened(server) as manager:
        answers = await asyncio.gather(*(manager.sessions() for _ in range(20)))
        assert all(answer.entries == server.windows.sessions for answer in answers)
        assert len(server.connections) == 1


async def test_an_interrupted_call_costs_no_more_than_its_pipe(server: ScriptedWindows) -> None:
    async with opened(server) as manager:
        for _ in range(10):
            attempt = asyncio.create_task(manager.sessions())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            attempt.cancel()
            with pytest.raises(asyncio.CancelledError):
                await attempt
        assert (await manager.sessions()).entries == server.windows.sessions
        assert len(server.connections) == 1
    assert server.complaints == []


async def test_many_questions_when_the_session_is_gone(server: ScriptedWindows) -> None:
    async with opened(server) as manager:
        await asyncio.gather(*(manager.sessions() for _ in range(4)))
        for session_id in list(server.script.callers):
            server.forget(session_id)
        answers = await asyncio.gather(*(manager.sessions() for _ in range(8)))
        assert all(answer.entries == server.windows.sessions for answer in answers)


async def test_an_answer_that_makes_no_sense_names_the_server(
    server: ScriptedWindows, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(server) as manager:
        monkeypatch.setattr(NetrSessionEnum.response, "pack", lambda *_: b"\x01")
        with pytest.raises(MalformedMessage, match=r"^\\\\127\.0\.0\.1: ") as raised:
            await manager.sessions()
        assert str(raised.value) == raised.value.message
        monkeypatch.undo()
        assert (await manager.sessions()).entries == server.windows.sessions


async def test_a_server_that_says_nothing_is_told_from_one_that_is_not_there() -> None:
    async def visit(port: int) -> None:
        async with lanman.open_manager("127.0.0.1", port=port, timeout=3):
            raise AssertionError("connected")

    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(ConnectionLost, match=r"says nothing within 3 seconds") as raised:
            await visit(port)
        assert raised.value.code == 121
    with pytest.raises(ConnectionLost, match="nothing listens") as raised:
        await visit(port)
    assert raised.value.code == 1225


async def test_a_deadline_bounds_everything(server: ScriptedWindows) -> None:
    now = asyncio.get_running_loop().time()
    with pytest.raises(ConnectionLost) as raised:
        async with lanman.open_manager(server.host, port=server.port, deadline=now - 1):
            raise AssertionError("connected")
    assert raised.value.code == 121


async def test_leaving_in_error_leaves_nothing(server: ScriptedWindows) -> None:
    async def fail() -> None:
        async with opened(server) as manager:
            await manager.sessions()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert tasks_left() == set()
    async with SmbClient(server.host, server.port, Credentials("admin", server.password)) as dead:
        await dead.abort()
        with pytest.raises(ConnectionLost):
            await dead.open_pipe()


async def test_a_long_list(server: ScriptedWindows) -> None:
    one: Windows = server.windows
    one.sessions = one.sessions * 500
    async with opened(server) as manager:
        assert (await manager.sessions()).entries == one.sessions
        # The question itself may be longer than a fragment.
        with pytest.raises(LanmanError):
            await manager.share("x" * 6000)


async def test_a_time_that_the_server_does_not_know(server: ScriptedWindows) -> None:
    server.windows.sessions[0].idle_time = 0xFFFFFFFF
    server.windows.sessions[1].active_time = 0xFFFFFFFF
    async with opened(server) as manager:
        found = (await manager.sessions()).entries
    assert (found[0].idle_time, found[0].active_time) == (None, 3700)
    assert (found[1].idle_time, found[1].active_time) == (120, None)
    # The greatest that is one.
    server.windows.sessions[0].idle_time = 0xFFFFFFFE
    async with opened(server) as manager:
        assert (await manager.sessions()).entries[0].idle_time == 0xFFFFFFFE


def _named(typed: str, server: ScriptedWindows) -> str:
    """A path of WIN2019, as one of this server."""
    name = server.windows.info.name or ""
    return typed.replace("WIN2019", name).replace("win2019", name.lower())


@pytest.mark.parametrize(
    ("typed", "paths"),
    [
        (r"\\WIN2019\data\plan.xlsx", [r"C:\data\plan.xlsx"]),
        (r"\\win2019\DATA\PLAN.XLSX", [r"C:\data\plan.xlsx"]),
        ("//127.0.0.1/data/2019/budget.xlsx", [r"C:\data\2019\budget.xlsx"]),
        (r"\\localhost\data\*.xlsx", [r"C:\data\plan.xlsx", r"C:\data\2019\budget.xlsx"]),
        (r"\\127.0.0.1\C$\data\plan.xlsx", [r"C:\data\plan.xlsx"]),
        (r"\\WIN2019\data", ["C:\\data\\"]),
        (r"\\WIN2019\IPC$\srvsvc", [r"\srvsvc"]),
        (r"\\WIN2019\data\nothing", []),
    ],
)
async def test_a_path_as_clients_write_it(server: ScriptedWindows, typed: str, paths: list[str]) -> None:
    async with opened(server) as manager:
        assert [entry.path for entry in await manager.files(path=_named(typed, server))] == paths


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        (r"\\192.0.2.7\data\plan.xlsx", 53),
        (r"\\WIN2019.elsewhere.invalid\data\plan.xlsx", 53),
        (r"\\WIN2019\nothing\plan.xlsx", 2310),
    ],
)
async def test_a_path_of_another_server_or_share(server: ScriptedWindows, typed: str, code: int) -> None:
    async with opened(server) as manager:
        with pytest.raises(Win32Error) as raised:
            await manager.files(path=_named(typed, server))
    assert raised.value.code == code
