"""Who to be, which connections are kept, and from where the calls may be made."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from lanman import compat
from lanman.auth.md4 import nt_hash
from lanman.compat import _logins, _pool, netapi, win32net
from lanman.compat._endpoint import Address, Login
from lanman.compat._logins import address_of, login, login_for
from lanman.compat._pool import Pool
from lanman.errors import AuthenticationError, ConnectionLost, LanmanError, Win32Error
from lanman.net import identity, kerberos
from lanman.net.credentials import Credentials
from lanman.net.identity import identity_of
from support.compat_peers import Peer, scripted
from support.smbd import Samba
from support.waiting import wait_until


def who(server: str | None) -> Credentials | None:
    return login_for(address_of(server)).credentials


# --- names of servers


@pytest.mark.parametrize(
    ("server", "address"),
    [
        (None, None),
        ("", None),
        (".", None),
        ("\\\\.", None),
        ("fs1", Address("fs1", 445)),
        (r"\\fs1", Address("fs1", 445)),
        (r"\\fs1:4450", Address("fs1", 4450)),
        ("//fs1", Address("fs1", 445)),
        ("[fe80::7]:4450", Address("fe80::7", 4450)),
        ("fe80::7", Address("fe80::7", 445)),
    ],
)
def test_servers(server: str | None, address: Address | None) -> None:
    assert address_of(server) == address


# --- login


def test_the_nearest_login_counts() -> None:
    compat.login(None, "everywhere", "p")
    compat.login(r"\\FS1", "on-fs1", "p")
    compat.login(r"\\fs1:4450", "on-that-port", "p")
    assert [
        getattr(who(server), "user_name", None) for server in ("fs2", "fs1", r"\\fs1:445", r"\\Fs1:4450", None)
    ] == [
        "everywhere",
        "on-fs1",
        "on-fs1",
        "on-that-port",
        "everywhere",
    ]
    compat.logout(r"\\fs1:4450")
    assert who(r"\\fs1:4450") == Credentials("on-fs1", "p")
    compat.logout("fs1")
    assert who("fs1") == Credentials("everywhere", "p")
    compat.logout()
    assert who("fs1") == Credentials(anonymous=True)
    assert who(None) is None


def test_what_a_login_says() -> None:
    compat.login("fs1", r"DOM\ann", "secret", timeout=3, encrypt=True)
    assert login_for(address_of("fs1")) == Login(Credentials("ann", "secret", domain="DOM"), 3, True)
    compat.login("fs1", "ann@dom.example", "secret")
    assert who("fs1") == Credentials("ann@dom.example", "secret")
    compat.login("fs1", "ann", nt_hash="0" * 32)
    assert who("fs1") == Credentials("ann", nt_hash=bytes(16))
    compat.login("fs1", "ann", nt_hash=bytes(16), domain="DOM")
    assert who("fs1") == Credentials("ann", nt_hash=bytes(16), domain="DOM")
    compat.login("fs1", kerberos=True)
    assert who("fs1") == Credentials(kerberos=True)
    compat.login("fs1", anonymous=True)
    assert who("fs1") == Credentials(anonymous=True)
    assert "secret" not in repr(Login(Credentials("ann", "secret")))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"user": "ann"},
        {"password": "p"},
        {"user": "ann", "password": "p", "nt_hash": bytes(16)},
        {"user": "ann", "nt_hash": bytes(15)},
        {"user": "ann", "nt_hash": "xyz"},
        {"user": "ann", "password": "p", "anonymous": True},
        {"kerberos": True, "anonymous": True},
    ],
)
def test_what_cannot_be_meant(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        compat.login("fs1", **options)
    assert who("fs1") == Credentials(anonymous=True)


def test_a_login_at_what_is_no_server() -> None:
    with pytest.raises(Win32Error):
        compat.login("a b", "ann", "p")


# --- the environment


@pytest.mark.parametrize(
    ("environment", "credentials"),
    [
        ({"USER": "ann", "PASSWORD": "p%w"}, Credentials("ann", "p%w")),
        ({"USER": r"DOM\ann", "PASSWORD": "p"}, Credentials("ann", "p", domain="DOM")),
        ({"USER": "ann", "DOMAIN": "DOM", "PASSWORD": ""}, Credentials("ann", "", domain="DOM")),
        ({"USER": "ann", "NT_HASH": "f" * 32}, Credentials("ann", nt_hash=b"\xff" * 16)),
        ({"USER": "ann", "KERBEROS": "1"}, Credentials("ann", kerberos=True)),
        ({"KERBEROS": "1"}, Credentials(kerberos=True)),
        ({"KERBEROS": "0"}, None),
        ({}, None),
    ],
)
def test_environment(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], credentials: Credentials | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(f"LANMAN_{name}", value)
    assert who("fs1") == (credentials or Credentials(anonymous=True))
    assert who(None) == credentials
    compat.login("fs1", "bob", "p")
    assert who("fs1") == Credentials("bob", "p")


def test_a_password_alone_is_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANMAN_PASSWORD", "p")
    monkeypatch.setattr("getpass.getuser", lambda: "me")
    assert who("fs1") == Credentials("me", "p")


@pytest.mark.parametrize("environment", [{"USER": "ann"}, {"USER": "ann", "NT_HASH": "short"}])
def test_an_environment_that_says_too_little(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(f"LANMAN_{name}", value)
    with pytest.raises(AuthenticationError):
        who("fs1")
    assert netapi.NetSessionEnum("fs1", None, None, 10)[0] == 1326
    assert who(None) is None


def test_log_on_by_environment(windows: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANMAN_USER", windows.admin)
    monkeypatch.setenv("LANMAN_NT_HASH", nt_hash(windows.password).hex())
    assert win32net.NetSessionEnum(10, windows.server)


def test_log_on_as_somebody_else_in_between(windows: Peer) -> None:
    compat.login(windows.server, windows.admin, windows.password)
    assert netapi.NetSessionEnum(windows.server, None, None, 1)[0] == 0
    compat.login(windows.server, windows.user, windows.password)
    assert netapi.NetSessionEnum(windows.server, None, None, 1)[0] == 5
    compat.login(windows.server, windows.admin, windows.password)
    assert netapi.NetSessionEnum(windows.server, None, None, 1)[0] == 0


# --- this machine's Server


def test_this_machine(ours: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANMAN_HOME", str(ours.home))
    with ours.somebody():
        for server in (None, "", ".", "\\\\."):
            assert ours.user in [entry["user_name"] for entry in win32net.NetSessionEnum(10, server)]
        # Who asks through the control socket has no session, so only bob's pipe is open.
        (pipe,) = win32net.NetFileEnum(3)
        assert pipe["user_name"] == ours.user
        win32net.NetSessionDel(None, None, ours.user)
        assert win32net.NetSessionEnum(502) == []


# --- what is kept


def test_one_log_on_for_many_calls(windows: Peer) -> None:
    compat.login(windows.server, windows.admin, windows.password)
    for _ in range(5):
        win32net.NetSessionEnum(10, windows.server)
    assert len(windows.peer.connections) == 1
    compat.logout(windows.server)
    assert len(_pool._pool) == 0


def test_logout_leaves(windows: Peer) -> None:
    compat.login(windows.server, windows.admin, windows.password)
    win32net.NetSessionEnum(10, windows.server)
    compat.logout("127.0.0.1")  # every port of it
    wait_until(lambda: windows.peer.script.callers == {})
    assert netapi.NetSessionEnum(windows.server, None, None, 10)[0] == 0  # the login was the port's


def test_an_order_finds_a_connection_that_died(windows: Peer) -> None:
    compat.login(windows.server, windows.admin, windows.password)
    win32net.NetSessionEnum(10, windows.server)
    for session_id in list(windows.peer.script.callers):
        windows.peer.forget(session_id)
    assert netapi.NetSessionDel(windows.server, r"\\10.0.0.7", "ann") == 0
    assert len(windows.peer.ended) == 1


def test_an_order_to_end_oneself(ours: Peer) -> None:
    compat.login(ours.server, ours.admin, ours.password)
    assert netapi.NetSessionDel(ours.server, r"\\127.0.0.1", ours.admin) == 0
    assert [entry["user_name"] for entry in win32net.NetSessionEnum(10, ours.server)] == [ours.admin]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class FakeManager:
    """Counts how often it is left."""

    made: list[FakeManager] = []

    def __init__(self) -> None:
        self.left = threading.Event()
        self.made.append(self)

    def close(self) -> None:
        self.left.set()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[FakeManager]:
    FakeManager.made = []
    monkeypatch.setattr(_pool, "connect", lambda *arguments, **options: FakeManager())
    return FakeManager.made


FS1, FS2 = Address("fs1", 445), Address("fs2", 445)
ANN = Login(Credentials("ann", "p"))


def test_kept_for_a_while_and_left(made: list[FakeManager]) -> None:
    clock = Clock()
    pool = Pool(keep=10, clock=clock)
    with pool.borrow(FS1, ANN) as (first, fresh):
        assert fresh
    with pool.borrow(Address("FS1", 445), ANN) as (again, fresh):
        assert again is first
        assert not fresh
    with pool.borrow(FS2, ANN), pool.borrow(FS1, Login(Credentials("bob", "p"))), pool.borrow(None, ANN):
        assert len(made) == 4
        clock.now = 100
        pool.close(("fs2", 0))  # wakes the one who looks at the clock; what is in use stays
        assert made[0].left.wait(60)
        assert not made[1].left.is_set()
    assert made[1].left.is_set()
    assert [one.left.is_set() for one in made[2:]] == [False, False]
    pool.close()
    assert all(one.left.is_set() for one in made)
    assert len(pool) == 0


@pytest.mark.posix
def test_one_identitys_connection_serves_no_other(made: list[FakeManager], monkeypatch: pytest.MonkeyPatch) -> None:
    principal = "ann@EXAMPLE.COM"
    monkeypatch.setattr(identity, "find_spec", lambda name: name)
    monkeypatch.setattr(kerberos, "principal_of", lambda who: principal)
    pool = Pool()

    def borrowed(**credentials: Any) -> FakeManager:
        with pool.borrow(FS1, Login(Credentials(**credentials))) as (manager, _):
            return manager  # type: ignore[return-value]

    base: dict[str, Any] = {"user_name": "ann", "password": "p", "kerberos": True}
    assert borrowed(**base) is borrowed(**base)
    changes: list[dict[str, Any]] = [
        {"user_name": "bob"},
        {"password": "q"},
        {"nt_hash": bytes(16)},
        {"domain": "D"},
        {"kerberos": False},
        {"keytab": "/k"},
        {"ccache": "FILE:/c"},
        {"anonymous": True},
    ]
    assert {name for change in changes for name in change} == {each.name for each in fields(Credentials) if each.init}
    assert len({id(borrowed(**base)), *(id(borrowed(**{**base, **change})) for change in changes)}) == 9
    # Where the ticket cache says who: another cache, another principal in it, another user of this machine.
    first = borrowed(kerberos=True)
    principal = "bob@EXAMPLE.COM"
    second = borrowed(kerberos=True)
    monkeypatch.setenv("KRB5CCNAME", "FILE:/elsewhere")
    third = borrowed(kerberos=True)
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    fourth = borrowed(kerberos=True)
    assert len({id(first), id(second), id(third), id(fourth)}) == 4
    assert borrowed(kerberos=True) is fourth
    pool.close()


def test_an_identity_tells_no_secret() -> None:
    key = identity_of(Credentials("ann", "secret", nt_hash=b"0123456789abcdef"))
    assert len(key) == 16
    assert key != identity_of(Credentials("ann", "secre", nt_hash=b"0123456789abcdef"))
    assert key not in (identity_of(None), b"0123456789abcdef")


def test_a_connection_that_cannot_be_made_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise ConnectionLost("no")

    monkeypatch.setattr(_pool, "connect", refuse)
    pool = Pool()
    for _ in range(2):
        with pytest.raises(ConnectionLost), pool.borrow(FS1, ANN):
            pass
    assert len(pool) == 0


def test_a_failed_log_off_is_not_reported(made: list[FakeManager], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: FakeManager) -> None:
        raise LanmanError("no")

    monkeypatch.setattr(FakeManager, "close", fail)
    pool = Pool()
    with pool.borrow(FS1, ANN):
        pass
    pool.close()


# --- from where


def test_from_many_threads(windows: Peer) -> None:
    compat.login(windows.server, windows.admin, windows.password)
    everybody = [session.user_name for session in windows.peer.windows.sessions] + ["admin"]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: win32net.NetSessionEnum(10, windows.server), range(40)))
    assert all([entry["user_name"] for entry in answer] == everybody for answer in answers)
    assert len(windows.peer.connections) == 1


def test_threads_and_servers_do_not_wait_for_each_other() -> None:
    with scripted() as one, scripted() as other:
        compat.login(None, one.admin, one.password)
        compat.login(other.server, other.admin, other.password)
        with ThreadPoolExecutor(8) as threads:
            asked = [one.server, other.server] * 10
            statuses = list(threads.map(lambda server: netapi.NetSessionEnum(server, None, None, 10)[0], asked))
        assert statuses == [0] * 20


async def test_inside_a_running_loop(windows: Peer) -> None:
    compat.login(windows.server, windows.admin, windows.password)
    assert win32net.NetSessionEnum(10, windows.server)
    # Better: the loop goes on meanwhile.
    answers = await asyncio.gather(*(asyncio.to_thread(win32net.NetSessionEnum, 10, windows.server) for _ in range(4)))
    assert [len(answer) for answer in answers] == [7] * 4


async def test_the_loop_that_serves_is_asked_from_a_thread(tmp_path: Path) -> None:
    """A call blocks its thread. Made on the loop that is to answer it, it would wait for itself: so from another."""
    from support.loopback_server import PASSWORDS, running_server

    async with running_server(tmp_path / "home") as server:
        name = f"127.0.0.1:{server.port}"
        compat.login(name, "admin", PASSWORDS["admin"], timeout=0.2)
        with pytest.raises(win32net.error) as raised:
            win32net.NetSessionEnum(10, name)
        assert raised.value.winerror in (53, 64, 121)
        compat.login(name, "admin", PASSWORDS["admin"])
        (mine,) = await asyncio.to_thread(win32net.NetSessionEnum, 10, name, None, "admin")
        assert mine["user_name"] == "admin"
        await asyncio.to_thread(compat.logout)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only on systems that fork")
def test_a_forked_child_begins_anew(windows: Peer) -> None:
    """In a process of its own: what forks here has no other threads than the connection's."""
    program = f"""
import os, sys
from lanman import compat
from lanman.compat import netapi
compat.login({windows.server!r}, {windows.admin!r}, {windows.password!r}, timeout=30)
assert netapi.NetSessionEnum({windows.server!r}, None, None, 10)[0] == 0
child = os.fork()
status = netapi.NetSessionEnum({windows.server!r}, None, None, 10)[0]
if not child:
    compat.logout()
    os._exit(status)
assert status == 0
_, code = os.waitpid(child, 0)
assert netapi.NetSessionEnum({windows.server!r}, None, None, 10)[0] == 0
sys.exit(os.waitstatus_to_exitcode(code))
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_end_of_the_program_is_polite(windows: Peer) -> None:
    program = f"""
from lanman import compat
from lanman.compat import win32net
compat.login({windows.server!r}, {windows.admin!r}, {windows.password!r}, timeout=30)
print(len(win32net.NetSessionEnum(10, {windows.server!r})))
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout, done.stderr) == (0, "7\n", "")
    wait_until(lambda: windows.peer.script.callers == {})  # logged off, not cut off


def test_imports_cost_little() -> None:
    """Neither a connection nor a cryptography is loaded by an import of a stand-in alone."""
    program = "import sys, lanman.compat.win32net; print('spnego' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100)
    assert done.stdout == "False\n"


def test_nothing_is_kept_of_what_was_never_asked() -> None:
    with contextlib.suppress(Win32Error):
        _logins.address_of("a b")
    assert len(_pool._pool) == 0


@pytest.mark.samba
@pytest.mark.root
def test_others_of_a_client_of_samba_end_only_where_the_login_agrees(samba: Samba) -> None:
    server, root = f"{samba.host}:{samba.port}", samba.administrator
    with samba.hold(samba.user) as stays, samba.hold(samba.other_user):
        login(server, root.user_name, root.password)
        with pytest.raises(win32net.error) as raised:
            win32net.NetSessionDel(server, None, samba.other_user.user_name)
        assert raised.value.winerror == 170
        assert sorted(entry["user_name"] for entry in win32net.NetSessionEnum(1, server)) == ["daemon", "games", "root"]
        login(server, root.user_name, root.password, with_others=True)
        win32net.NetSessionDel(server, None, samba.other_user.user_name)
        # They had connections of their own, which smbd does not tell.
        assert sorted(entry["user_name"] for entry in win32net.NetSessionEnum(1, server)) == ["daemon", "root"]
        assert "blocks available" in stays.command("ls")
