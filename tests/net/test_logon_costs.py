"""What a log-on costs the Server beyond what it is for: threads, turns of the event loop; and that nothing is known for
longer than it is true."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lanman.auth.accounts import Account, Accounts
from lanman.errors import AuthenticationError
from lanman.net import atomic
from lanman.net.accounts import AccountFile
from lanman.net.client import SmbClient
from lanman.net.credentials import Credentials
from lanman.net.disk import system
from lanman.net.home import Home
from lanman.net.server import SmbServer
from lanman.net.server.driver import LOOK_EVERY
from lanman.server.effects import ReadAccounts
from lanman.settings import Configuration
from lanman.smb2.messages import LogoffRequest
from support.memory_server import World
from support.step_counter import steps
from support.waiting import until

AGED = itertools.count(1_000_000_000)


class Counted:
    """A Server on a loopback address, with the looks at the accounts that took a thread."""

    def __init__(self, server: SmbServer) -> None:
        self.server = server
        self.by_thread = 0
        read = server.driver.disk._performers[ReadAccounts]

        def count(effect: ReadAccounts) -> Accounts:
            self.by_thread += 1
            accounts: Accounts = read(effect)
            return accounts

        server.driver.disk._performers[ReadAccounts] = count

    def change(self, password: str) -> None:
        """Give ann a password, as long ago as it takes for the file to be trusted."""
        self.server.accounts.update(lambda accounts: accounts.set_password("ann", password))
        self.age()

    def age(self) -> None:
        at = next(AGED)
        os.utime(self.server.home.accounts, (at, at))

    async def log_on(self, password: str = "secret") -> None:
        async with SmbClient("127.0.0.1", self.server.port, Credentials("ann", password)):
            pass


@pytest.fixture
async def counted(tmp_path: Path) -> AsyncIterator[Counted]:
    async with SmbServer(Configuration(listen=("127.0.0.1",), port=0), Home(tmp_path / "home")) as server:
        server.accounts.update(lambda accounts: accounts.add("ann", "secret"))
        counted = Counted(server)
        counted.age()
        yield counted


async def test_an_unchanged_accounts_file_costs_no_thread(counted: Counted) -> None:
    await counted.log_on()
    assert counted.by_thread >= 1
    before = counted.by_thread
    for _ in range(5):
        await counted.log_on()
    assert counted.by_thread == before


async def test_a_changed_password_is_seen_by_the_next_log_on(counted: Counted) -> None:
    await counted.log_on()
    await counted.log_on()
    counted.change("another")
    with pytest.raises(AuthenticationError):
        await counted.log_on()
    await counted.log_on("another")
    counted.server.accounts.update(lambda accounts: accounts.change("ann", disabled=True))
    with pytest.raises(AuthenticationError):
        await counted.log_on("another")


@pytest.mark.parametrize("aged", [False, True])
async def test_a_removed_account_is_seen_by_the_next_log_on(counted: Counted, aged: bool) -> None:
    await counted.log_on()

    def remove(accounts: Accounts) -> Account:
        return accounts.delete("ann")

    counted.server.accounts.update(remove)
    if aged:
        counted.age()
    for _ in range(2):
        with pytest.raises(AuthenticationError):
            await counted.log_on()
    counted.server.home.accounts.unlink()
    with pytest.raises(AuthenticationError):
        await counted.log_on()


async def test_a_young_file_is_read_each_time(counted: Counted) -> None:
    """It may have been replaced within one tick of the file system's clock."""
    counted.change("secret")
    os.utime(counted.server.home.accounts)
    await counted.log_on()
    before = counted.by_thread
    await counted.log_on()
    assert counted.by_thread == before + 1


async def test_accounts_on_a_network_file_system_are_never_waited_for(
    counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "file_system_type", lambda descriptor: 0x6969)  # NFS
    counted.change("secret")
    for number in range(3):
        before = counted.by_thread
        await counted.log_on()
        assert counted.by_thread == before + 1, number


def test_unchanged_is_what_read_would_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "accounts"
    file = AccountFile(path)
    assert file.unchanged() is None
    assert file.read() == Accounts()
    assert file.unchanged() is None  # there may be one within the same tick
    AccountFile(path).update(lambda accounts: accounts.add("ann", "secret"))
    os.utime(path, (10, 10))
    known = file.read()
    assert file.unchanged() is known
    monkeypatch.setattr(atomic.AtomicFile, "read", None)  # it is not read
    assert file.unchanged() is known
    os.utime(path, (11, 11))
    assert file.unchanged() is None
    path.unlink()
    assert file.unchanged() is None


def test_which_files_are_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert system.is_at_hand(tmp_path) is (system.file_system_type(os.open(tmp_path, os.O_RDONLY)) is not None)
    assert not system.is_at_hand(tmp_path / "missing")
    for kind in (0x6969, 0xFE534D42, 0x65735546, None):  # NFS, SMB, FUSE, unknown
        monkeypatch.setattr(system, "file_system_type", lambda descriptor, kind=kind: kind)
        assert not system.is_at_hand(tmp_path)


async def test_whom_the_domain_ends_is_looked_for_once_in_a_while_and_never_missed(counted: Counted) -> None:
    driver, service = counted.server.driver, counted.server.service
    looks: list[float] = []
    real = service.next_deadline

    def look() -> float | None:
        looks.append(driver.dispatch.scheduler.now)
        return real()

    service.next_deadline = look  # type: ignore[method-assign]
    driver._look_at = driver.tick() + LOOK_EVERY  # somebody has just looked
    for _ in range(10):
        driver.flush()
    assert not looks
    soon = driver.dispatch.scheduler.now + 2 * LOOK_EVERY
    service.next_deadline = lambda: soon  # type: ignore[method-assign]
    driver.flush()
    assert driver._timer is not None
    assert driver._timer.when() <= driver._look_at  # then it is looked for
    driver._look_at = 0.0
    driver._timer.cancel()
    driver._timer = None
    driver.flush()
    assert driver._timer is not None
    assert driver._timer.when() <= soon


async def test_connections_send_at_once_and_find_out_when_their_peer_is_gone(counted: Counted) -> None:
    """They have that from the listening socket, without a call for each."""
    _, writer = await asyncio.open_connection("127.0.0.1", counted.server.port)
    protocols = counted.server.driver.protocols
    await until(lambda: len(protocols) == 1)
    (protocol,) = protocols.values()
    accepted = protocol.socket
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    writer.close()
    await until(lambda: not protocols)


async def test_a_connection_takes_no_task_and_is_forgotten_in_the_turn_in_which_it_ends(counted: Counted) -> None:
    """Each turn of the loop would be a system call and some 250 steps."""
    driver = counted.server.driver
    tasks = asyncio.all_tasks()
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.setblocking(False)
        await loop.sock_connect(client, ("127.0.0.1", counted.server.port))
        await until(lambda: len(driver.protocols) == 1)
        assert asyncio.all_tasks() == tasks
        (protocol,) = driver.protocols.values()
        protocol.abort()
        driver.flush()
        assert not driver.protocols
        assert protocol.socket.fileno() < 0
        assert await loop.sock_recv(client, 1) == b""


def test_the_steps_of_a_log_on() -> None:
    """Client and Server in memory: negotiate, log on, log off, hang up. They take 34,200; 34,900 before what stands in
    front of a first NTLM message was read once for all log-ons, 38,000 before the client packed headers without objects
    and what NTLM usually says was compared instead of read, 40,900 before most frames were one step each and SPNEGO was
    read in one pass, and 75,300 before RC4 was OpenSSL's, tokens were read once and whole frames were taken as they
    come."""
    world = World()

    def visit() -> None:
        client = world.connect()
        client.log_on("ann")
        client.ask(LogoffRequest())
        world.disconnect(client)

    for _ in range(20):  # what is compiled at its first uses
        visit()
    assert steps(visit) < 35_700


async def test_a_pipe_is_opened_without_a_thread(counted: Counted) -> None:
    """Each opening looks at the accounts; so does each call, which was without a thread before."""
    for each in range(3):
        async with SmbClient("127.0.0.1", counted.server.port, Credentials("ann", "secret")) as client:
            before = counted.by_thread
            await client.open_pipe()
            assert each == 0 or counted.by_thread == before
