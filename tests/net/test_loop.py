"""Which event loop the Server's own process runs on, and that it says so."""

from __future__ import annotations

import asyncio
import builtins
import re
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lanman import codes
from lanman.errors import LanmanError
from lanman.net.client import SmbClient, _ClientProtocol
from lanman.net.credentials import Credentials
from lanman.net.home import Home
from lanman.net.loop import loop_factory, loop_name
from lanman.net.server import SmbServer
from lanman.rpc.srvsvc import NetrSessionEnum
from lanman.settings import Configuration, Limits
from lanman.smb2.client import ClientConnection
from lanman.smb2.messages import EchoRequest
from support.loopback_server import PASSWORDS
from support.process_server import LANMAN
from support.waiting import free_port, until, wait_until

pytestmark = pytest.mark.posix


def without_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def find(name: str, *arguments: Any, **named: Any) -> Any:
        if name == "uvloop":
            raise ImportError(name)
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", find)


def name_on(wanted: str) -> str:
    """Whose loop it is."""

    async def name() -> str:
        return loop_name(asyncio.get_running_loop())

    with asyncio.Runner(loop_factory=loop_factory(wanted)) as runner:
        return runner.run(name())


def test_the_loop_is_what_the_setting_says() -> None:
    assert [name_on(wanted) for wanted in ("asyncio", "uvloop", "auto")] == ["asyncio", "uvloop", "uvloop"]


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    without_uvloop(monkeypatch)
    assert name_on("auto") == "asyncio"
    with pytest.raises(LanmanError, match="uvloop is not installed") as caught:
        loop_factory("uvloop")
    assert (caught.value.code, caught.value.hint) == (codes.ERROR_NOT_SUPPORTED, "pip install 'lanman[speed]'")


async def visits(home: Path) -> list[int]:
    """A Server in this loop, and what comes of some visits."""
    server = SmbServer(Configuration(name="LANTEST", listen=("127.0.0.1",), port=0), Home(home))
    server.accounts.update(lambda accounts: accounts.add("admin", PASSWORDS["admin"]))
    server.accounts.update(lambda accounts: accounts.add_member("Administrators", "admin"))
    found = []
    async with server:
        for _ in range(3):
            async with SmbClient("127.0.0.1", server.port, Credentials("admin", PASSWORDS["admin"])) as client:
                (echo,) = await client.request_all([EchoRequest()])
                pipe = await client.open_pipe()
                listed = await pipe.call(NetrSessionEnum(None, None, None, 502))
                found += [echo.status, len(listed.entries or ())]
            # What was answered is in the kernel, so that nothing counts as unsent.
            assert server.core.dispatch.room.output == 0
    return found


@pytest.mark.parametrize("wanted", ["asyncio", "uvloop"])
def test_a_server_and_its_clients_on_either(tmp_path: Path, wanted: str) -> None:
    with asyncio.Runner(loop_factory=loop_factory(wanted)) as runner:
        assert runner.run(visits(tmp_path)) == [0, 1] * 3


async def one_too_many(home: Path) -> tuple[int, int]:
    """Who comes when all places are taken has sent something already; how much of that the Server takes while it waits,
    and who is there when one has given way."""
    limits = Limits(unauthenticated_per_address=2)
    server = SmbServer(Configuration(name="LANTEST", listen=("127.0.0.1",), port=0, limits=limits), Home(home))
    core = ClientConnection(client_guid=bytes(16), random=bytes)
    core.negotiate()
    async with server:
        held = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
        await until(lambda: len(server.driver.protocols) == 2)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.writelines(core.data_to_send())
        await until(lambda: len(server.driver.protocols) == 3)
        (waiting,) = (each for each in server.driver.protocols.values() if each._holds)
        assert waiting._connection is not None
        taken = waiting._connection.traffic.bytes_received
        answer = await reader.readexactly(8)
        await until(lambda: len(server.driver.protocols) == 2)
        there = len(server.driver.protocols)
        for _, other in [*held, (reader, writer)]:
            other.close()
        assert answer[4:] == b"\xfeSMB"
    return taken, there


@pytest.mark.parametrize("wanted", ["asyncio", "uvloop"])
def test_nothing_is_taken_of_whoever_waits_for_a_place(tmp_path: Path, wanted: str) -> None:
    with asyncio.Runner(loop_factory=loop_factory(wanted)) as runner:
        assert runner.run(one_too_many(tmp_path)) == (0, 2)


@pytest.mark.parametrize("wanted", ["asyncio", "uvloop"])
def test_serve_says_which_it_is_and_obeys_signals(tmp_path: Path, wanted: str) -> None:
    port = free_port()
    home, said = tmp_path / "home", tmp_path / "said"
    home.mkdir(mode=0o700)
    (home / "server.toml").write_text(f'[server]\nloop = "{wanted}"\n')
    command = [str(LANMAN), "--home", str(home), "serve", "--listen", "127.0.0.1", "--port", str(port)]
    with said.open("wb") as log:
        running = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: "Listening on" in said.read_text())
        running.send_signal(signal.SIGHUP)
        wait_until(lambda: "configuration read again" in said.read_text())
    finally:
        running.terminate()
        assert running.wait(60) == 0
    assert re.search(rf"listening on 127\.0\.0\.1 port {port}; event loop: {wanted}$", said.read_text(), re.M)


async def given_up_as_soon_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> bool:
    """A client's task is cancelled from within `connection_made`. Whether it has ended so."""
    real = _ClientProtocol.connection_made

    def made(protocol: _ClientProtocol, transport: asyncio.BaseTransport) -> None:
        real(protocol, transport)
        task.cancel()

    monkeypatch.setattr(_ClientProtocol, "connection_made", made)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        task = asyncio.create_task(SmbClient("127.0.0.1", listening.getsockname()[1]).__aenter__())
        done, _ = await asyncio.wait([task], timeout=5)
        return bool(done) and task.cancelled()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_client_that_is_given_up_as_soon_as_its_connection_stands(monkeypatch: pytest.MonkeyPatch, loop: str) -> None:
    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
        assert runner.run(given_up_as_soon_as_it_stands(monkeypatch))
