"""How many round trips a visit takes, and what becomes of them at servers that do not take several requests at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lanman import codes
from lanman.errors import LanmanError, StatusError, Win32Error
from lanman.manage.open import open_manager
from lanman.net import compounds
from lanman.net.client import SmbClient
from lanman.net.compounds import KNOWN, MAX_KNOWN, Compounds
from lanman.net.credentials import Credentials
from lanman.rpc.svcctl import SVCCTL
from lanman.smb2.constants import (
    SMB2_CLOSE,
    SMB2_CREATE,
    SMB2_IOCTL,
    SMB2_LOGOFF,
    SMB2_NEGOTIATE,
    SMB2_SESSION_SETUP,
    SMB2_TREE_CONNECT,
    Dialect,
)
from lanman.smb2.header import Header
from support.delaying_proxy import Proxy, delaying_proxy
from support.loopback_server import PASSWORDS, running_server
from support.scripted_windows import ScriptedWindows, Windows, windows_2019
from support.smbd import Samba
from support.waiting import until, wait_until

ADMIN = Credentials("admin", PASSWORDS["admin"])

TOGETHER = [
    [SMB2_NEGOTIATE],
    [SMB2_SESSION_SETUP],
    [SMB2_SESSION_SETUP],
    [SMB2_TREE_CONNECT, SMB2_CREATE, SMB2_IOCTL],
    [SMB2_IOCTL],
    [SMB2_LOGOFF],
]
"""The flights of a visit: five that are waited for, and the good-bye."""

IN_STEPS = [*TOGETHER[:3], [SMB2_TREE_CONNECT], [SMB2_CREATE], [SMB2_IOCTL], *TOGETHER[4:]]
REFUSED = [*TOGETHER[:4], [SMB2_CREATE], [SMB2_IOCTL], *TOGETHER[4:]]


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ports are used again by other tests: what is found out of a server here is forgotten."""
    monkeypatch.setattr(KNOWN, "_refused", {})


def commands(flight: bytes) -> list[int]:
    """The commands of a flight of frames, none of them encrypted."""
    found: list[int] = []
    while flight:
        size = int.from_bytes(flight[:4], "big")
        frame, flight = memoryview(flight[4 : 4 + size]), flight[4 + size :]
        while True:
            header = Header.unpack(frame)
            found.append(header.command)
            if not header.next_command:
                break
            frame = frame[header.next_command :]
    return found


async def flights(proxy: Proxy) -> list[list[int]]:
    """The commands of each flight of the latest connection, which the client has closed."""
    await proxy.connections[-1].ended.wait()
    return [commands(flight) for flight in proxy.connections[-1].said]


def refuses(port: int) -> bool:
    """Whether the server at a port is known to refuse compounds."""
    return KNOWN.refuses("127.0.0.1", port, asyncio.get_running_loop().time())


async def visit(port: int, who: Credentials, **how: Any) -> list[str | None]:
    """Who has a session there; the last bytes have been sent when this returns."""
    async with open_manager("127.0.0.1", who, port=port, **how) as manager:
        return [each.user_name for each in (await manager.sessions()).entries]


async def visit_scripted(windows: Windows, times: int = 1, **how: Any) -> list[list[list[int]]]:
    """Visit a scripted Windows so many times; the flights of each connection that was made."""
    async with ScriptedWindows(windows) as server, delaying_proxy(server.port) as proxy:
        for _ in range(times):
            assert len(await visit(proxy.port, Credentials("admin", server.password), **how)) == len(windows.sessions)
        for passing in proxy.connections:
            await passing.ended.wait()
        return [[commands(flight) for flight in passing.said] for passing in proxy.connections]


async def test_five_round_trips_and_a_good_bye(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, delaying_proxy(server.port) as proxy:
        assert await visit(proxy.port, ADMIN) == ["admin"]
        assert await flights(proxy) == TOGETHER
        await until(lambda: not server.service.sessions())


async def test_nobody_waits_for_the_answer_to_the_log_off(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, delaying_proxy(server.port, mute_from=6) as proxy:
        assert await visit(proxy.port, ADMIN, timeout=60) == ["admin"]
        assert (await flights(proxy))[-1] == [SMB2_LOGOFF]
        await until(lambda: not server.service.sessions())


async def test_encrypted_it_takes_as_many(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, delaying_proxy(server.port) as proxy:
        assert await visit(proxy.port, ADMIN, encrypt=True) == ["admin"]
        await proxy.connections[0].ended.wait()
        assert proxy.connections[0].flights == len(TOGETHER)


@pytest.mark.parametrize("dialect", Dialect, ids=hex)
async def test_where_the_negotiation_is_to_be_proven_it_takes_one_more(tmp_path: Path, dialect: int) -> None:
    async with running_server(tmp_path) as server, delaying_proxy(server.port) as proxy:
        async with SmbClient("127.0.0.1", proxy.port, ADMIN, dialects=[dialect]) as client:
            await client.open_pipe()
        proven = [[SMB2_TREE_CONNECT], [SMB2_CREATE, SMB2_IOCTL, SMB2_IOCTL]]
        opening = TOGETHER[3:4] if dialect == Dialect.SMB_3_1_1 else proven
        assert await flights(proxy) == [*TOGETHER[:3], *opening, [SMB2_LOGOFF]]


async def test_the_last_request_may_be_answered_later_and_alone() -> None:
    assert await visit_scripted(windows(asynchronous=True)) == [TOGETHER]


def windows(**how: Any) -> Windows:
    found = windows_2019()
    for name, value in how.items():
        setattr(found, name, value)
    return found


@pytest.mark.parametrize(
    "status",
    [
        codes.STATUS_INVALID_PARAMETER,
        codes.STATUS_NOT_SUPPORTED,
        codes.STATUS_INTERNAL_ERROR,
        codes.STATUS_NETWORK_NAME_DELETED,
        codes.STATUS_USER_SESSION_DELETED,
        codes.STATUS_FILE_CLOSED,
        codes.STATUS_ACCESS_DENIED,
    ],
    ids=hex,
)
async def test_what_is_refused_is_asked_in_single_steps_on_the_same_session_and_that_is_remembered(status: int) -> None:
    assert await visit_scripted(windows(related=status), times=2) == [REFUSED, IN_STEPS]


@pytest.mark.parametrize("how", ["hangs_up", "nonsense"])
async def test_a_server_that_gives_no_answer_to_be_read_is_connected_to_once_more(how: str) -> None:
    seen = await visit_scripted(windows(**{how: True}), times=2)
    assert seen == [TOGETHER[:4], IN_STEPS, IN_STEPS]


async def test_each_server_is_known_for_itself() -> None:
    refusing = await visit_scripted(windows(related=codes.STATUS_NOT_SUPPORTED))
    assert (refusing, await visit_scripted(windows())) == ([REFUSED], [TOGETHER])


async def test_a_share_that_wants_encryption_is_told_from_a_server_that_refuses() -> None:
    async with ScriptedWindows(windows(encrypted_pipes=True)) as server, delaying_proxy(server.port) as proxy:
        for _ in range(2):
            await visit(proxy.port, Credentials("admin", server.password))
    # The compound that is refused, the rest of it again and encrypted, the call and the good-bye.
    assert [passing.flights for passing in proxy.connections] == [len(TOGETHER) + 1] * 2


async def test_with_few_credits_it_goes_in_single_steps_and_nothing_is_held_against_the_server(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, delaying_proxy(server.port) as proxy:
        async with SmbClient("127.0.0.1", proxy.port, ADMIN) as client:
            client._core._credits = 2
            await client.open_pipe()
        assert await flights(proxy) == [*IN_STEPS[:6], [SMB2_LOGOFF]]
        assert not refuses(proxy.port)


@pytest.mark.parametrize(
    ("how", "kind", "code", "opening"),
    [
        ({"ipc": False}, StatusError, 67, TOGETHER[3:4]),
        ({"refused": {"srvsvc": codes.STATUS_OBJECT_NAME_NOT_FOUND}}, Win32Error, 2114, TOGETHER[3:4]),
        ({"refused": {"IPC$": codes.STATUS_ACCESS_DENIED}}, LanmanError, 5, IN_STEPS[2:4]),
        ({"interface": False}, Win32Error, 1717, [[SMB2_CLOSE]]),
    ],
    ids=str,
)
async def test_what_cannot_be_opened_is_an_error_and_not_held_against_compounds(
    how: dict[str, Any], kind: type[LanmanError], code: int, opening: list[list[int]]
) -> None:
    async with ScriptedWindows(windows(**how)) as server, delaying_proxy(server.port) as proxy:
        with pytest.raises(kind) as raised:
            await visit(proxy.port, Credentials("admin", server.password))
        assert raised.value.code == code
        assert (await flights(proxy))[-1:] == opening[-1:]
        assert not refuses(proxy.port)


@pytest.mark.parametrize("dialect", [Dialect.SMB_2_1, Dialect.SMB_3_1_1], ids=hex)
async def test_a_pipe_that_is_refused_after_it_was_opened_is_closed(tmp_path: Path, dialect: int) -> None:
    async with (
        running_server(tmp_path) as server,
        SmbClient("127.0.0.1", server.port, ADMIN, dialects=[dialect]) as client,
    ):
        await client.open_pipe()
        for _ in range(3):
            with pytest.raises(Win32Error) as raised:
                await client.open_pipe("srvsvc", SVCCTL)
            assert raised.value.code == codes.RPC_S_UNKNOWN_IF
        await until(lambda: len(server.service.opens()) == 1)


@pytest.mark.parametrize("single", [False, True], ids=["compound", "single steps"])
@pytest.mark.parametrize("late", [1, 2], ids=["CREATE", "bind"])
async def test_a_pipe_that_nobody_waits_for_any_more_is_closed(tmp_path: Path, single: bool, late: int) -> None:
    async with (
        running_server(tmp_path) as server,
        delaying_proxy(server.port, seconds=0.02) as proxy,
        SmbClient("127.0.0.1", proxy.port, ADMIN) as client,
    ):
        await client.open_pipe()
        if single:
            KNOWN.refused("127.0.0.1", proxy.port, asyncio.get_running_loop().time())
        before = proxy.connections[0].flights
        opening = asyncio.create_task(client.open_pipe())
        await until(lambda: proxy.connections[0].flights == before + (late if single else 1))
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await until(lambda: len(server.service.opens()) == 1)
        await client.open_pipe()
        await until(lambda: len(server.service.opens()) == 2)


async def test_of_answers_that_come_one_by_one_what_was_opened_is_closed(tmp_path: Path) -> None:
    """The CREATE has been answered, the bind never is."""
    async with running_server(tmp_path) as server, SmbClient("127.0.0.1", server.port, ADMIN) as client:
        await client.open_pipe()
        assert client._protocol is not None
        asked = client._protocol.ask_together
        never: list[Any] = []

        def ask_together(*requests: Any) -> list[Any]:
            futures = asked(*requests)
            never.append(futures[-1])
            return [*futures[:-1], asyncio.get_running_loop().create_future()]

        client._protocol.ask_together = ask_together  # type: ignore[method-assign,assignment]
        opening = asyncio.create_task(client.open_pipe())
        await until(lambda: bool(never) and never[0].done())
        assert len(server.service.opens()) == 2
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await until(lambda: len(server.service.opens()) == 1)


def test_what_is_known_does_not_hold_for_ever() -> None:
    known = Compounds()
    known.refused("fs", 445, 1000.0)
    known.refused("fs", 445, 1001.0)  # was on its way with the first
    assert known.refuses("fs", 445, 1059.9)
    assert not known.refuses("fs", 445, 1060.0)
    known.refused("fs", 445, 1060.0)
    assert known.refuses("fs", 445, 1179.9)
    assert not known.refuses("fs", 445, 1180.0)
    now = 1180.0
    for _ in range(20):
        known.refused("fs", 445, now)
        now += 86400
        assert not known.refuses("fs", 445, now)
    assert known.refuses("fs", 445, now - 1)
    known.taken("fs", 445)
    known.refused("fs", 445, now)
    assert not known.refuses("fs", 445, now + 60)


async def test_a_server_that_has_come_in_the_place_of_another_is_asked_together_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server_windows = windows(related=codes.STATUS_NOT_SUPPORTED)
    monkeypatch.setattr(compounds, "FIRST_AGAIN", 0.2)
    seen = []
    async with ScriptedWindows(server_windows) as server, delaying_proxy(server.port) as proxy:
        who = Credentials("admin", server.password)
        for related in (codes.STATUS_NOT_SUPPORTED, codes.STATUS_NOT_SUPPORTED, 0):
            server_windows.related = related
            if not related:
                await until(lambda: not refuses(proxy.port))
            await visit(proxy.port, who)
            seen.append(await flights(proxy))
        assert KNOWN._refused == {}
    assert seen == [REFUSED, IN_STEPS, TOGETHER]


def test_what_is_known_is_bounded_and_the_least_recently_used_is_forgotten() -> None:
    known = Compounds()
    for number in range(MAX_KNOWN):
        known.refused("fs", number, 0.0)
    assert known.refuses("fs", 0, 1.0)
    known.refused("other", 1, 1.0)
    assert known.refuses("fs", 0, 1.0)
    assert not known.refuses("fs", 1, 1.0)
    assert known.refuses("other", 1, 1.0)


@pytest.mark.samba
async def test_smbd_takes_it_and_has_no_session_left(samba: Samba) -> None:
    who = Credentials(samba.administrator.user_name, samba.administrator.password)
    async with delaying_proxy(samba.port) as proxy:
        for _ in range(2):  # the first finds out which level is granted
            assert who.user_name in await visit(proxy.port, who)
        assert await flights(proxy) == TOGETHER
    # smbd ends a session in a process of its own
    await asyncio.to_thread(wait_until, lambda: samba.status()["sessions"] == {})


@pytest.mark.samba
@pytest.mark.parametrize("dialect", Dialect, ids=hex)
async def test_smbd_takes_it_in_every_dialect(start_samba: Callable[..., Samba], dialect: int) -> None:
    samba = start_samba({"server min protocol": "SMB2_02"})
    who = Credentials(samba.administrator.user_name, samba.administrator.password)
    async with delaying_proxy(samba.port) as proxy:
        async with SmbClient("127.0.0.1", proxy.port, who, dialects=[dialect]) as client:
            await client.open_pipe()
        assert len(await flights(proxy)) == 5 + (dialect != Dialect.SMB_3_1_1)
        assert not refuses(proxy.port)


@pytest.mark.posix
def test_another_event_loop_serves_as_well() -> None:
    uvloop = pytest.importorskip("uvloop")

    with ScriptedWindows(windows_2019()).running() as server:
        who = Credentials("admin", server.password)
        assert len(uvloop.run(visit(server.port, who))) == len(server.windows.sessions)
