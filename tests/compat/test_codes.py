"""Every documented status of NetSessionEnum, NetSessionGetInfo and NetSessionDel is reached, and told by each API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lanman import codes, compat
from lanman.compat import _calls, netapi, win32_net_session, win32net
from lanman.errors import Win32Error
from lanman.manage.sync import BlockingManager
from lanman.rpc import srvsvc
from support.compat_peers import Peer, samba_peer, sessions
from support.fake_manager import FakeManager
from support.smbd import Samba

DOCUMENTED = {
    "NetSessionEnum": {5, 8, 87, 124, 234, 2221, 2312, 2351},
    "NetSessionGetInfo": {5, 8, 87, 124, 2221, 2312, 2351},
    "NetSessionDel": {5, 8, 87, 2312},
}

Ask = Callable[[str], int]


def enum(client: str | None = None, user: str | None = None, level: int = 10, length: int = 0xFFFFFFFF) -> Ask:
    return lambda server: netapi.NetSessionEnum(server, client, user, level, length)[0]


def get_info(client: str | None = r"\\10.0.0.7", user: str | None = "ann", level: int = 10) -> Ask:
    return lambda server: netapi.NetSessionGetInfo(server, client, user, level)[0]


def end(client: str | None = r"\\10.0.0.7", user: str | None = "ann") -> Ask:
    return lambda server: netapi.NetSessionDel(server, client, user)


# Asked by an administrator, of the scripted Windows.
ASKED: dict[tuple[str, int], Ask] = {
    ("NetSessionEnum", 124): enum(level=3),
    ("NetSessionEnum", 234): enum(length=1),
    ("NetSessionEnum", 2221): enum(r"\\10.0.0.7", "eve"),
    ("NetSessionEnum", 2312): enum(r"\\nowhere"),
    ("NetSessionEnum", 2351): enum("no-backslashes"),
    ("NetSessionGetInfo", 87): get_info(None),
    ("NetSessionGetInfo", 124): get_info(level=3),
    ("NetSessionGetInfo", 2221): get_info(user="eve"),
    ("NetSessionGetInfo", 2312): get_info(r"\\nowhere"),
    ("NetSessionGetInfo", 2351): get_info("no-backslashes"),
    ("NetSessionDel", 87): end(None, None),
    ("NetSessionDel", 2312): end(r"\\nowhere"),
}


@pytest.mark.parametrize(("function", "code"), ASKED, ids=str)
def test_by_asking(windows: Peer, function: str, code: int) -> None:
    compat.login(windows.server, windows.admin, windows.password)
    assert ASKED[function, code](windows.server) == code


@pytest.mark.parametrize("ask", [enum(), get_info(), end()], ids=DOCUMENTED)
def test_5_without_rights(windows: Peer, ask: Ask) -> None:
    compat.login(windows.server, windows.user, windows.user_password)
    assert ask(windows.server) == codes.ERROR_ACCESS_DENIED


@pytest.mark.parametrize("ask", [enum(), get_info(), end()], ids=DOCUMENTED)
def test_5_for_a_null_session(ours: Peer, ask: Ask) -> None:
    compat.login(ours.server, anonymous=True)
    assert ask(ours.server) == codes.ERROR_ACCESS_DENIED


@pytest.mark.parametrize("make", [enum, get_info, end], ids=DOCUMENTED)
def test_87_for_a_name_that_is_too_long(ours: Peer, make: Callable[[str, str], Ask]) -> None:
    compat.login(ours.server, ours.admin, ours.password)
    # MS-SRVS 3.1.4.5: 1024 characters, the NUL among them.
    assert make("\\\\" + "x" * 1022, "ann")(ours.server) == codes.ERROR_INVALID_PARAMETER


CALLS = [(enum(), srvsvc.NetrSessionEnum), (get_info(), srvsvc.NetrSessionEnum), (end(), srvsvc.NetrSessionDel)]


@pytest.mark.parametrize("code", [8, 87, 2221, 2351])
@pytest.mark.parametrize(("ask", "call"), CALLS, ids=DOCUMENTED)
def test_what_the_server_says(windows: Peer, ask: Ask, call: type, code: int) -> None:
    compat.login(windows.server, windows.admin, windows.password)
    windows.peer.script.statuses[call] = code
    assert ask(windows.server) == code


@pytest.mark.parametrize("ask", [enum(), get_info(), end()], ids=DOCUMENTED)
def test_8_when_memory_ends_here(windows: Peer, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **options: Any) -> Any:
        raise MemoryError

    compat.login(windows.server, windows.admin, windows.password)
    monkeypatch.setattr(BlockingManager, "call", fail)
    assert ask(windows.server) == codes.ERROR_NOT_ENOUGH_MEMORY


@pytest.mark.parametrize("function", DOCUMENTED)
def test_all_that_is_documented_is_here(function: str) -> None:
    reached = {code for name, code in ASKED if name == function} | {5, 8, 87}
    assert reached == DOCUMENTED[function]


# --- what keeps a call from being made


def test_no_such_server() -> None:
    # Port 1 of the loopback interface: nobody listens there.
    status = netapi.NetSessionDel(r"\\127.0.0.1:1", r"\\pc7", None)
    assert status in (codes.ERROR_CONNECTION_REFUSED, codes.ERROR_BAD_NETPATH)
    with pytest.raises(win32net.error) as raised:
        win32net.NetSessionEnum(10, r"\\127.0.0.1:1")
    assert raised.value.winerror == status
    assert raised.value.__cause__ is not None
    with pytest.raises(win32_net_session.Croak) as croaked:
        win32_net_session.Session(r"\\127.0.0.1:1", 3).GetSessionInfo()
    assert (str(croaked.value), croaked.value.code) == (f"unknown Error: {status}", status)


@pytest.mark.parametrize(("name", "code"), [("\\\\a b", 2351), ("\\\\fs1:0", 87), ("\\\\fs1:port", 87)])
def test_no_server_can_have_that_name(name: str, code: int) -> None:
    status = netapi.NetServerGetInfo(name, 100)[0]
    assert status == code


def test_a_wrong_password(windows: Peer) -> None:
    compat.login(windows.server, windows.admin, "wrong")
    assert netapi.NetSessionEnum(windows.server, None, None, 10)[0] == 1326
    with pytest.raises(win32net.error) as raised:
        win32net.NetSessionEnum(10, windows.server)
    assert raised.value.args == (
        1326,
        "NetSessionEnum",
        "The user name or password is incorrect.",
    )


def test_this_machine_has_no_server() -> None:
    # LANMAN_HOME names a folder that is not there.
    for server in (None, "", ".", "\\\\."):
        assert netapi.NetSessionEnum(server, None, None, 10)[0] == 2114


def test_a_success_without_an_answer(windows: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    compat.login(windows.server, windows.admin, windows.password)
    empty = srvsvc.NetrServerGetInfoResponse(100, None, 0)
    monkeypatch.setattr(_calls, "server_get_info", lambda server, level: empty)
    assert netapi.NetServerGetInfo(windows.server, 100) == (codes.ERROR_BAD_NET_RESP, None)
    with pytest.raises(win32net.error, match="58"):
        win32net.NetServerGetInfo(windows.server, 100)


# --- pages


def test_pages_in_c(windows: Peer) -> None:
    compat.login(windows.server, windows.admin, windows.password)
    windows.peer.windows.sessions = sessions(*"abcdefg")
    found: list[str | None] = []
    resume: int | None = 0
    totals = []
    while True:
        status, entries, read, total, resume = netapi.NetSessionEnum(windows.server, None, None, 10, 100, resume)
        assert status in (0, 234)
        assert read == len(entries)
        totals.append(total)
        found += [entry.sesi10_username for entry in entries]
        if status == 0:
            break
    assert found == [*"abcdefg", "admin"]
    assert totals == sorted(totals, reverse=True)
    assert len(totals) > 2
    # Without a handle the beginning is all there is.
    status, entries, _, _, resume = netapi.NetSessionEnum(windows.server, None, None, 10, 100, None)
    assert (status, resume) == (234, None)
    assert [entry.sesi10_username for entry in entries] == [*"ab"]


def test_pages_of_our_server(ours: Peer) -> None:
    compat.login(ours.server, ours.admin, ours.password)
    with ours.somebody():
        status, first, read, total, resume = netapi.NetSessionEnum(ours.server, None, None, 0, 40, 0)
        assert (status, read, total) == (234, 1, 2)
        status, second, read, total, resume = netapi.NetSessionEnum(ours.server, None, None, 0, 40, resume)
        assert (status, read, total) == (0, 1, 1)
        assert len(first + second) == 2
        # prefmaxlen is advisory: one row at least is given.
        status, entries, read, total, resume = netapi.NetSessionEnum(ours.server, None, None, 0, 1, 0)
        assert (status, len(entries), read, total) == (234, 1, 1, 2)
        assert resume


Enumeration = Callable[[str, int, int], tuple[int, list[Any], int, int, int | None]]

ENUMERATIONS: dict[str, Enumeration] = {
    "sessions": lambda server, length, resume: netapi.NetSessionEnum(server, None, None, 1, length, resume),
    "files": lambda server, length, resume: netapi.NetFileEnum(server, None, None, 3, length, resume),
}


@pytest.mark.parametrize("length", [0, 1, 7])
@pytest.mark.parametrize("what", ENUMERATIONS)
def test_a_length_too_small_for_one_row_gives_one(peer: Peer, what: str, length: int) -> None:
    ask = ENUMERATIONS[what]
    with peer.files() if what == "files" else peer.somebody():
        status, everything, *_ = ask(peer.server, 0xFFFFFFFF, 0)
        assert status == 0
        assert len(everything) >= 1
        found, resume, status = 0, 0, 234
        while status == 234:
            status, entries, read, total, handle = ask(peer.server, length, resume)
            assert status in (0, 234)
            # The documented loop comes to its end.
            assert len(entries) == read >= 1
            assert total >= read
            found, resume = found + read, handle or 0
        assert found == len(everything)


def test_a_share_at_least(windows: Peer) -> None:
    compat.login(windows.server, windows.admin, windows.password)
    names, resume, more = [], 0, True
    while more:
        entries, _, resume = win32net.NetShareEnum(windows.server, 0, resume, 1)
        assert entries
        names += [entry["netname"] for entry in entries]
        more = resume != 0
    assert names == ["ADMIN$", "C$", "data", "IPC$"]


def test_handles_and_lengths_are_taken_alike(ours: Peer) -> None:
    compat.login(ours.server, ours.admin, ours.password)
    with ours.somebody():
        for low, same in ((-1, 0xFFFFFFFF), (-(1 << 31), 1 << 31)):
            assert netapi.NetSessionEnum(ours.server, None, None, 0, low, 0)[0] == 0
            for ask in ENUMERATIONS.values():
                assert ask(ours.server, 0xFFFFFFFF, low) == ask(ours.server, 0xFFFFFFFF, same)
            assert win32net.NetShareEnum(ours.server, 0, low) == win32net.NetShareEnum(ours.server, 0, same)


def test_pages_behind_the_scenes(windows: Peer) -> None:
    compat.login(windows.server, windows.admin, windows.password)
    windows.peer.windows.sessions = sessions(*"abcdefg")
    windows.peer.windows.page = 3
    everybody = [*"abcdefg", "admin"]
    assert [entry["user_name"] for entry in win32net.NetSessionEnum(10, windows.server)] == everybody
    session = win32_net_session.Session(windows.server, 3)
    # Perl's module began to count anew with every page, and lost all but the last.
    assert [entry["User"] for entry in session.GetSessionInfo().values()] == everybody
    assert session.NumberofSessions() == 8
    entries, total, resume = win32net.NetShareEnum(windows.server, 0)
    assert (len(entries), total) == (3, 4)
    rest, total, resume = win32net.NetShareEnum(windows.server, 0, resume)
    assert (len(rest), total, resume) == (1, 1, 0)
    assert [name for name, _, _ in win32net.NetShareEnum(windows.server)] == ["ADMIN$", "C$", "data", "IPC$"]


def test_more_that_never_comes(windows: Peer) -> None:
    """A server that says that there is more and gives nothing is not asked for ever."""
    compat.login(windows.server, windows.admin, windows.password)
    windows.peer.windows.page = 0
    with pytest.raises(win32net.error, match="234"):
        win32net.NetSessionEnum(10, windows.server)
    with pytest.raises(win32_net_session.Croak, match="unknown Error: 234"):
        win32_net_session.Session(windows.server, 3).GetSessionInfo()


# --- Samba


@pytest.mark.samba
@pytest.mark.root
def test_samba_ends_for_root_only(samba: Samba) -> None:
    """BUILTIN\\Administrators may list; who is not uid 0 may not end, and hears so rather than that nobody is there."""
    peer = samba_peer(samba, samba.operator)
    compat.login(peer.server, peer.admin, peer.password)
    with peer.somebody():
        assert netapi.NetSessionDel(peer.server, r"\\127.0.0.1", peer.user) == codes.ERROR_ACCESS_DENIED
        assert netapi.NetSessionDel(peer.server, r"\\nowhere", peer.user) == codes.NERR_ClientNameNotFound
        assert peer.user in samba.user_names()


@pytest.mark.samba
@pytest.mark.root
def test_samba_is_never_told_to_end_everybody(samba: Samba) -> None:
    """Told to end the sessions of nobody in particular, smbd ends all there are."""
    peer = samba_peer(samba)
    compat.login(peer.server, peer.admin, peer.password)
    with peer.somebody():
        assert netapi.NetSessionDel(peer.server, None, None) == codes.ERROR_INVALID_PARAMETER
        assert netapi.NetSessionDel(peer.server, "", "") == codes.ERROR_INVALID_PARAMETER
        assert peer.user in samba.user_names()


@pytest.mark.samba
@pytest.mark.root
def test_samba_denies_who_is_no_administrator(samba: Samba) -> None:
    peer = samba_peer(samba)
    compat.login(peer.server, peer.user, peer.user_password)
    assert netapi.NetSessionEnum(peer.server, None, None, 0)[0] == codes.ERROR_ACCESS_DENIED
    assert netapi.NetSessionDel(peer.server, r"\\127.0.0.1", None) == codes.ERROR_ACCESS_DENIED
    assert netapi.NetFileEnum(peer.server, None, None, 3)[0] == codes.ERROR_ACCESS_DENIED


# --- the call that all of these make


async def test_a_manager_without_a_protocol() -> None:
    manager = FakeManager()
    assert not manager.is_samba
    with pytest.raises(Win32Error) as raised:
        await manager.call(srvsvc.NetrServerGetInfo(None, 100))
    assert raised.value.code == codes.ERROR_NOT_SUPPORTED


@pytest.mark.samba
@pytest.mark.root
def test_samba_answers_a_level_from_a_richer_one(samba: Samba, caplog: pytest.LogCaptureFixture) -> None:
    peer = samba_peer(samba)
    compat.login(peer.server, peer.admin, peer.password)
    with peer.somebody():
        assert netapi.NetSessionEnum(peer.server, None, None, 10)[0] == codes.ERROR_INVALID_LEVEL
        assert netapi.NetFileEnum(peer.server, None, None, 2)[0] == codes.ERROR_INVALID_LEVEL
        compat.login(peer.server, peer.admin, peer.password, richer_levels=True)
        whole = win32net.NetSessionEnum(1, peer.server)
        assert compat.answered_level() == 1
        with caplog.at_level("INFO", "lanman.compat"):
            found = win32net.NetSessionEnum(10, peer.server)
        assert compat.answered_level() == 1
        assert "level 10 is answered from level 1" in caplog.text
        names = ["client_name", "user_name", "active_time", "idle_time"]
        assert [list(entry) for entry in found] == [names] * len(whole)
        assert [entry["user_name"] for entry in found] == [entry["user_name"] for entry in whole]
        status, entries, *_ = netapi.NetSessionEnum(peer.server, None, peer.user, 10)
        assert (status, [entry.sesi10_username for entry in entries]) == (0, [peer.user])
        assert win32net.NetSessionGetInfo(10, peer.server, r"\\127.0.0.1", peer.user)["user_name"] == peer.user
    with peer.files():
        status, files, *_ = netapi.NetFileEnum(peer.server, None, None, 2)
        assert files
        assert (status, compat.answered_level()) == (0, 3)
        assert {entry.fi2_id for entry in files} == {entry["id"] for entry in win32net.NetFileEnum(3, peer.server)}
        # Where no level has all that is asked for, nothing is made up.
        for level in (2, 502):
            assert netapi.NetSessionEnum(peer.server, None, None, level)[0] == codes.ERROR_INVALID_LEVEL
        assert netapi.NetServerGetInfo(peer.server, 503) == (codes.ERROR_INVALID_LEVEL, None)


@pytest.mark.samba
@pytest.mark.root
def test_samba_files_of_a_client(samba: Samba) -> None:
    peer = samba_peer(samba)
    compat.login(peer.server, peer.admin, peer.password)
    with peer.files():
        status, everything, *_ = netapi.NetFileEnum(peer.server, None, None, 3)
        assert status == 0
        assert everything
        status, entries, read, total, _ = netapi.NetFileEnum(peer.server, None, r"\\127.0.0.1", 3)
        assert (status, read, total) == (0, len(everything), len(everything))
        assert {entry.fi3_id for entry in entries} == {entry.fi3_id for entry in everything}
        assert netapi.NetFileEnum(peer.server, None, r"\\192.0.2.9", 3)[:3] == (0, [], 0)
        assert len(win32net.NetFileEnum(3, peer.server, None, r"\\127.0.0.1")) == len(everything)
