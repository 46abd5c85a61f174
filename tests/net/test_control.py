"""The control socket: the machine's own administrator needs no password, and nobody else gets in."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import stat
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from lanman import codes
from lanman.errors import AccessDenied, ConnectionLost, Win32Error
from lanman.net.control import client as control_client
from lanman.net.control import server as control_server
from lanman.net.control.client import ControlClient, ServerNotStarted
from lanman.net.control.server import ControlProtocol
from lanman.net.dial import Within
from lanman.net.home import Home, connect_unix
from lanman.net.server import SmbServer
from lanman.rpc.client import ResponseReceived, RpcClient
from lanman.rpc.srvsvc import SRVSVC, NetrServerGetInfo, NetrSessionDel, NetrSessionEnum
from lanman.settings import Configuration, Limits
from support.waiting import until


@pytest.fixture(params=["home", "h" * 160])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SmbServer]:
    configuration = Configuration(listen=("127.0.0.1",), port=0, name="HERE")
    async with SmbServer(configuration, Home(tmp_path / request.param)) as server:
        yield server


async def test_calls_are_answered_without_a_password(server: SmbServer) -> None:
    assert stat.S_IMODE(server.home.control.stat().st_mode) == 0o600
    server.service.register_session(99, 7, "192.0.2.1", "ann", now=asyncio.get_running_loop().time())
    async with ControlClient(server.home.control) as client:
        for level in (0, 1, 2, 10, 502):
            answer = await client.call(NetrSessionEnum(None, None, None, level))
            assert answer.status == 0
            assert answer.entries is not None
            assert [entry.client_name for entry in answer.entries] == [r"\\192.0.2.1"]
        info = (await client.call(NetrServerGetInfo(None, 101))).info
        assert info is not None
        assert info.name == "HERE"
        assert (await client.call(NetrSessionDel(None, None, "ann"))).status == 0
        assert (await client.call(NetrSessionDel(None, None, "ann"))).status == codes.NERR_ClientNameNotFound
    assert server.service.sessions() == []


async def test_many_at_once(server: SmbServer) -> None:
    async def ask() -> int:
        async with ControlClient(server.home.control) as client:
            answers = await asyncio.gather(*(client.call(NetrSessionEnum(None, None, None, 0)) for _ in range(5)))
            return sum(answer.status for answer in answers)

    assert await asyncio.gather(*(ask() for _ in range(20))) == [0] * 20


async def test_a_long_list(server: SmbServer) -> None:
    server.settings.current = replace(server.settings.current, limits=Limits(sessions_per_connection=0))
    for number in range(3000):
        server.service.register_session(
            1, number + 1, "192.0.2.1", f"user{number}", now=asyncio.get_running_loop().time()
        )
    async with ControlClient(server.home.control) as client:
        answer = await client.call(NetrSessionEnum(None, None, None, 502))
    assert answer.entries is not None
    assert len(answer.entries) == 3000
    assert answer.entries[-1].user_name == "user2999"


async def test_stop(server: SmbServer) -> None:
    stopped = asyncio.create_task(server.wait_stopped())
    async with ControlClient(server.home.control) as client:
        await client.stop()
    async with asyncio.timeout(60):
        await stopped


async def test_reload(server: SmbServer) -> None:
    server.home.configuration.write_text('[server]\ncomment = "again"\n')
    async with ControlClient(server.home.control) as client:
        await client.reload()
        assert server.settings.current.comment == "again"
        server.home.configuration.write_text("[server]\nport = 99999\n")
        with pytest.raises(Win32Error) as caught:
            await client.reload()
    assert caught.value.code == codes.ERROR_INVALID_DATA


async def test_a_server_that_closes_instead_of_answering(tmp_path: Path) -> None:
    path = tmp_path / "control"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        client = ControlClient(path)
        entering = asyncio.ensure_future(client.__aenter__())
        listener.setblocking(False)
        connection, _ = await asyncio.get_running_loop().sock_accept(listener)
        connection.close()
        with pytest.raises(ConnectionLost) as raised:
            await entering
    assert raised.value.message in (
        f"{path}: the Server has closed the connection",  # or the kernel's word, if it is still being written to
        f"{path}: {os.strerror(errno.EPIPE)}",
        f"{path}: {os.strerror(errno.ECONNRESET)}",
    )


async def test_somebody_else_has_no_rights(server: SmbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    # As if the socket's mode had been loosened, and an ordinary user had come in.
    monkeypatch.setattr(control_server, "peer_of", lambda sock: os.geteuid() + 12345)
    monkeypatch.setattr(ControlClient, "_check_peer", lambda client, uid: None)
    async with ControlClient(server.home.control) as client:
        assert (await client.call(NetrSessionEnum(None, None, None, 0))).status == codes.ERROR_ACCESS_DENIED
        assert (await client.call(NetrServerGetInfo(None, 101))).status == 0
    async with ControlClient(server.home.control) as commands:
        with pytest.raises(AccessDenied):
            await commands.stop()


async def test_a_socket_that_somebody_else_has_put_there(server: SmbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = server.home.control.parent.stat().st_uid
    for uid in {0, os.geteuid(), owner}:
        monkeypatch.setattr(control_client, "peer_of", lambda sock, uid=uid: uid)
        async with ControlClient(server.home.control):
            pass
    monkeypatch.setattr(control_client, "peer_of", lambda sock: 12345)
    with pytest.raises(AccessDenied, match="belongs to 12345, and not to the owner of the home"):
        await ControlClient(server.home.control).__aenter__()


@pytest.mark.root
async def test_a_planted_socket(tmp_path: Path) -> None:
    """A home that others may write to, in which one of them listens: nothing of what it says is believed."""
    tmp_path.chmod(0o777)
    path = tmp_path / "control"
    script = (
        "import os, socket, sys; os.setgid(65534); os.setuid(65534); s = socket.socket(socket.AF_UNIX); "
        f"s.bind({str(path)!r}); s.listen(); print('ready', flush=True); c, _ = s.accept(); "
        "sys.exit(bool(c.recv(1)))"
    )
    for folder in tmp_path.parents[:-1]:
        if not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)
    planted = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    assert planted.stdout is not None
    assert await planted.stdout.readline() == b"ready\n"
    with pytest.raises(AccessDenied, match="what listens there belongs to"):
        await ControlClient(path).__aenter__()
    assert await planted.wait() == 0, "nothing was sent to it"


async def test_a_link_to_another_socket(server: SmbServer, tmp_path: Path) -> None:
    """The owner of a home has root speak to the Server of that home and to nothing else of root's."""
    other = Home(tmp_path / "other")
    other.prepare()
    other.control.symlink_to(server.home.control)
    with pytest.raises(AccessDenied, match="is a link"):
        async with ControlClient(other.control):
            pass
    with socket.socket(socket.AF_UNIX) as client, pytest.raises(AccessDenied, match="is a link"):
        connect_unix(client, other.control)


async def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(ServerNotStarted) as caught:
        await ControlClient(tmp_path / "control").__aenter__()
    assert caught.value.code == 2114
    (tmp_path / "control").write_text("")
    with pytest.raises(ServerNotStarted):
        await ControlClient(tmp_path / "control").__aenter__()


async def test_a_socket_that_accepts_nobody_is_waited_for_as_long_as_the_caller_likes(tmp_path: Path) -> None:
    """Linux has connect() wait where as many wait to be accepted as may: it must not hold the event loop."""
    path = tmp_path / "control"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(0)
    waiting = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    for each in waiting:
        each.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            each.connect(str(path))
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    meanwhile = asyncio.create_task(others())
    try:
        with pytest.raises(ConnectionLost, match="does not answer"):
            async with Within(0.3, lambda: "it does not answer"):
                await ControlClient(path).__aenter__()
    finally:
        meanwhile.cancel()
        for each in (listener, *waiting):
            each.close()
    assert turns > 10


async def test_a_socket_left_behind_is_no_obstacle(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.control.write_text("")
    async with SmbServer(Configuration(listen=("127.0.0.1",), port=0), home), ControlClient(home.control):
        pass


async def test_nonsense_ends_the_conversation(server: SmbServer) -> None:
    if len(os.fsencode(server.home.control)) > 100:
        return
    reader, writer = await asyncio.open_unix_connection(server.home.control)
    writer.write(b"GET / HTTP/1.1\r\n\r\n" * 10)
    try:
        assert await reader.read() == b""
    except ConnectionResetError:
        pass
    writer.close()


async def test_a_server_that_goes_away(tmp_path: Path) -> None:
    home = Home(tmp_path)
    async with SmbServer(Configuration(listen=("127.0.0.1",), port=0), home):
        client = await ControlClient(home.control).__aenter__()
    with pytest.raises(ConnectionLost):
        await client.call(NetrSessionEnum(None, None, None, 0))
    client.close()


async def test_too_many_at_the_control_socket_wait_for_their_turn(
    server: SmbServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(control_server, "MAX_CONNECTIONS", 2)
    loop = asyncio.get_running_loop()
    silent = []
    for _ in range(5):
        silent.append(socket.socket(socket.AF_UNIX))
        silent[-1].setblocking(False)
        connect_unix(silent[-1], server.home.control)
    await until(lambda: "the control socket pauses: there are 2 control connections" in caplog.text)

    async def ask() -> int:
        async with ControlClient(server.home.control) as client:
            return (await client.call(NetrServerGetInfo(None, 101))).status

    asking = loop.create_task(ask())
    await asyncio.sleep(0.05)
    assert not asking.done()
    for each in silent:
        each.close()
    assert await asking == 0


async def test_no_descriptors_for_the_control_socket_are_one_line_in_the_log(
    server: SmbServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    accept = socket.socket.accept
    failed: list[socket.socket] = []

    def fail(self: socket.socket) -> tuple[socket.socket, object]:
        if self.family == socket.AF_UNIX and len(failed) < 3:
            failed.append(self)
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return accept(self)

    monkeypatch.setattr(socket.socket, "accept", fail)
    async with ControlClient(server.home.control) as client:
        assert (await client.call(NetrServerGetInfo(None, 101))).status == 0
    said = [record.getMessage() for record in caplog.records if record.levelname != "INFO"]
    assert said == ["the control socket pauses: too many open files"]


@pytest.fixture
def protocols(monkeypatch: pytest.MonkeyPatch) -> list[ControlProtocol]:
    """The Server's ends of all control connections, in the order in which they came."""
    found: list[ControlProtocol] = []
    made = ControlProtocol.connection_made

    def connection_made(self: ControlProtocol, transport: asyncio.BaseTransport) -> None:
        found.append(self)
        made(self, transport)

    monkeypatch.setattr(ControlProtocol, "connection_made", connection_made)
    return found


async def bound(server: SmbServer, client: socket.socket, sessions: int) -> RpcClient:
    """An association with srvsvc over that socket, which nobody reads from unless its test does."""
    server.settings.current = replace(server.settings.current, limits=Limits(sessions_per_connection=0))
    loop, rpc = asyncio.get_running_loop(), RpcClient()
    for number in range(1, sessions + 1):
        server.service.register_session(1, number, "192.0.2.1", f"user{number}", now=loop.time())
    client.setblocking(False)
    connect_unix(client, server.home.control)
    await loop.sock_sendall(client, rpc.bind(SRVSVC))
    rpc.receive_data(await loop.sock_recv(client, 65536))
    return rpc


async def test_who_does_not_read_its_answers_waits_for_the_next(
    server: SmbServer, monkeypatch: pytest.MonkeyPatch, protocols: list[ControlProtocol]
) -> None:
    """What is kept for it stays at one answer beside the transport's buffer; it gets all of them when it reads."""
    kept: list[int] = []
    send = ControlProtocol._send

    def measured(self: ControlProtocol, answers: list[bytes]) -> None:
        send(self, answers)
        kept.append(self._transport.get_write_buffer_size())

    monkeypatch.setattr(ControlProtocol, "_send", measured)
    loop, calls = asyncio.get_running_loop(), 60
    with socket.socket(socket.AF_UNIX) as client:
        rpc = await bound(server, client, 500)
        call = NetrSessionEnum(None, None, None, 502)
        await loop.sock_sendall(client, b"".join(pdu for _ in range(calls) for pdu in rpc.call(call)))
        await until(lambda: protocols[0]._full)
        for _ in range(1000):
            await asyncio.sleep(0)  # turns in which more would be answered
        most = max(kept)
        answers: list[ResponseReceived] = []
        while len(answers) < calls:
            data = await loop.sock_recv(client, 1 << 20)
            assert data
            for event in rpc.receive_data(data):
                assert isinstance(event, ResponseReceived)
                answers.append(event)
    assert most < 64 * 1024 + len(answers[0].stub) * 2
    assert most < len(answers[0].stub) * calls / 4
    assert [answer.call_id for answer in answers] == list(range(answers[0].call_id, answers[0].call_id + calls))
    assert len({len(answer.stub) for answer in answers}) == 1  # the same sessions; they grow older meanwhile


async def test_who_does_not_read_does_not_outlive_the_server(
    server: SmbServer, monkeypatch: pytest.MonkeyPatch, protocols: list[ControlProtocol]
) -> None:
    monkeypatch.setattr(control_server, "DRAIN_TIMEOUT", 0.0)
    gone = asyncio.Event()
    lost = ControlProtocol.connection_lost

    def connection_lost(self: ControlProtocol, error: Exception | None) -> None:
        lost(self, error)
        gone.set()

    monkeypatch.setattr(ControlProtocol, "connection_lost", connection_lost)
    with socket.socket(socket.AF_UNIX) as client:
        rpc = await bound(server, client, 5000)
        call = b"".join(rpc.call(NetrSessionEnum(None, None, None, 502)))
        await asyncio.get_running_loop().sock_sendall(client, call)
        await until(lambda: protocols[0]._full)
        await server.stop()
        async with asyncio.timeout(60):
            await gone.wait()
