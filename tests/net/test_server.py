"""The Server with real sockets: what asyncio, the kernel and a real file add to what the tests in memory show."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from lanman import codes
from lanman.domain.policy import idle_period
from lanman.errors import AuthenticationError, LanmanError
from lanman.events import Event, SettingChanged
from lanman.manage.open import open_manager
from lanman.net.client import SmbClient
from lanman.net.control.client import ControlClient
from lanman.net.credentials import Credentials
from lanman.net.disk.system import DiskRefused
from lanman.net.home import Home, HomeError
from lanman.net.server import SmbServer
from lanman.net.server.protocol import peer_address
from lanman.rpc.srvsvc import NetrSessionEnum
from lanman.server.disk_effects import OpenFile
from lanman.settings import Configuration, Limits, ShareConfiguration
from lanman.smb2.client import ClientConnection
from support.loopback_server import running_server
from support.waiting import until

LOOPBACK = Configuration(listen=("127.0.0.1",), port=0)


def with_users(server: SmbServer) -> SmbServer:
    server.accounts.update(lambda accounts: accounts.add("admin", "secret"))
    server.accounts.update(lambda accounts: accounts.add("ann", "secret"))
    server.accounts.update(lambda accounts: accounts.add_member("Administrators", "admin"))
    return server


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[SmbServer]:
    async with with_users(SmbServer(LOOPBACK, Home(tmp_path / "home"))) as server:
        yield server


def logged_on(server: SmbServer, user: str, *, host: str = "127.0.0.1") -> SmbClient:
    return SmbClient(host, server.port, Credentials(user, "secret"))


async def test_start_and_stop(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    for _ in range(2):
        async with SmbServer(LOOPBACK, home) as server:
            assert server.port
            assert home.control.is_socket()
            with pytest.raises(HomeError):
                await SmbServer(LOOPBACK, home).start()
        assert not home.control.exists()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port))


async def test_a_port_in_use_is_named(server: SmbServer, tmp_path: Path) -> None:
    with pytest.raises(LanmanError, match=f"port {server.port} of 127.0.0.1: another program"):
        await SmbServer(replace(LOOPBACK, port=server.port), Home(tmp_path / "other")).start()
    async with SmbServer(LOOPBACK, Home(tmp_path / "other")):
        pass


@pytest.mark.parametrize("address", ["not an address", "127.0.0.1.2", "localhost", "::1:", "[127.0.0.1]"])
async def test_an_address_that_is_none(address: str, tmp_path: Path) -> None:
    with pytest.raises(LanmanError, match="not an IPv4 or IPv6 address"):
        await SmbServer(replace(LOOPBACK, listen=(address,)), Home(tmp_path)).start()


async def test_an_address_with_a_port_of_its_own(tmp_path: Path) -> None:
    async with SmbServer(replace(LOOPBACK, listen=("127.0.0.1:0", "127.0.0.2")), Home(tmp_path)) as server:
        assert server.addresses == [("127.0.0.1", server.port), ("127.0.0.2", server.port)]
        configuration = replace(LOOPBACK, listen=("127.0.0.3", f"127.0.0.2:{server.port}"))
        with pytest.raises(LanmanError, match=f"port {server.port} of 127.0.0.2: another program"):
            await SmbServer(configuration, Home(tmp_path / "other")).start()


async def test_an_address_of_another_machine(tmp_path: Path) -> None:
    with pytest.raises(LanmanError, match=r"192\.0\.2\.1: this machine has no such address"):
        await SmbServer(replace(LOOPBACK, listen=("192.0.2.1",)), Home(tmp_path)).start()


@pytest.mark.parametrize(
    ("peer", "name"),
    [
        (("192.0.2.7", 1), "192.0.2.7"),
        (("::ffff:192.0.2.7", 1, 0, 0), "192.0.2.7"),
        (("2001:db8::7", 1, 0, 0), "2001:db8::7"),
        (("fe80::7%eth0", 1, 0, 2), "fe80::7"),
        (None, "0.0.0.0"),
    ],
)
def test_addresses(peer: object, name: str) -> None:
    assert peer_address(peer) == name


async def test_both_families(tmp_path: Path) -> None:
    if not socket.has_ipv6:
        pytest.skip("only on machines with IPv6")
    configuration = replace(LOOPBACK, listen=("127.0.0.1", "::1"))
    async with with_users(SmbServer(configuration, Home(tmp_path))) as server:
        assert server.addresses == [("127.0.0.1", server.port), ("::1", server.port)]
        for host in ("127.0.0.1", "::1"):
            async with logged_on(server, "ann", host=host):
                (session,) = server.service.sessions()
                assert session.client_name == (r"\\127.0.0.1" if host == "127.0.0.1" else r"\\[::1]")
            await until(lambda: not server.service.sessions())


async def test_a_client_of_smb_1_is_told_of_in_one_line(server: SmbServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    offer = b"\xffSMB\x72" + bytes(27) + b"\0\x0c\0" + b"\x02NT LM 0.12\0"
    writer.write(len(offer).to_bytes(4, "big") + offer)
    assert await reader.read() == b""
    writer.close()
    async with logged_on(server, "admin"):  # whatever is said of it has been said
        pass
    (line,) = (message for message in caplog.messages if "SMB 1" in message)
    assert "session refused" in line
    assert "turn SMB 2 or later on at the client" in line


async def test_nonsense_ends_one_connection(server: SmbServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with logged_on(server, "admin") as client:
        for nonsense in (
            b"GET / HTTP/1.1\r\n\r\n",
            b"\0\0\0\4abcd",
            b"\0\xff\xff\xff",
            b"\0\0\0\x44\xfeSMB" + bytes(64),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(nonsense)
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
        pipe = await client.open_pipe()
        answer = await pipe.call(NetrSessionEnum(None, None, None, 0))
        assert answer.status == 0
    assert "ended" in caplog.text


async def test_a_peer_that_does_not_read_its_answers_is_read_no_more(server: SmbServer) -> None:
    core = ClientConnection(client_guid=bytes(16), random=os.urandom)
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", server.port))
        sock.setblocking(False)
        core.negotiate()
        await loop.sock_sendall(sock, b"".join(core.data_to_send()))
        core.receive_data(await loop.sock_recv(sock, 65536))
        (protocol,) = server.driver.protocols.values()
        paused = []
        protocol._transport.pause_reading = lambda: paused.append(True)  # type: ignore[method-assign]
        protocol._transport.write(bytes(8 * 1024 * 1024))
        assert paused == [True]


async def test_whoever_comes_when_its_places_are_taken_waits_and_gets_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    configuration = replace(LOOPBACK, limits=Limits(unauthenticated_per_address=2))
    async with with_users(SmbServer(configuration, Home(tmp_path))) as server:
        held = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
        await until(lambda: len(server.driver.protocols) == 2)
        # Until those two have been silent for a moment this one is not read from.
        async with logged_on(server, "ann"):
            assert len(server.service.sessions()) == 1
            assert len(server.driver.protocols) == 2
        for _, other in held:
            other.close()
    waits, ended = (message for message in caplog.messages if message.startswith("connection from 127.0.0.1"))
    assert waits.startswith("connection from 127.0.0.1 waits: [limits] unauthenticated_per_address = 2 is reached")
    assert ended.endswith('"it gives way to another one: [limits] unauthenticated_per_address = 2 is reached"')


async def test_a_burst_of_clients_that_reconnect_in_one_instant_gets_in_whole(server: SmbServer) -> None:
    async with AsyncExitStack() as stack:
        await asyncio.gather(*(stack.enter_async_context(logged_on(server, "ann")) for _ in range(200)))
        assert len(server.service.sessions()) == 200
        assert server.driver.dispatch.admission.total == 200
    await until(lambda: server.driver.dispatch.admission.total == 0)


async def test_accepting_pauses_while_all_connections_have_sessions(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    configuration = replace(LOOPBACK, limits=Limits(connections=2))
    async with (
        with_users(SmbServer(configuration, Home(tmp_path))) as server,
        logged_on(server, "ann"),
        logged_on(server, "ann") as second,
    ):
        third = asyncio.create_task(logged_on(server, "ann").__aenter__())
        await until(lambda: server.driver.listeners[0].is_paused)
        assert len(server.driver.protocols) == 2
        await second.abort()
        client = await third
        assert len(server.service.sessions()) == 2
        await client.abort()
    assert [message for message in caplog.messages if message.startswith("accepting")] == [
        "accepting pauses until one ends: [limits] connections = 2 is reached"
    ]


async def test_when_descriptors_run_out_those_without_a_session_give_way(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with with_users(SmbServer(LOOPBACK, Home(tmp_path))) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        await until(lambda: server.driver.protocols)
        server.driver.listeners[0]._scarce_from = 0
        async with logged_on(server, "ann"):
            assert await nothing_from(reader)
            late, other = await asyncio.open_connection("127.0.0.1", server.port)
            assert await nothing_from(late)
            other.close()
        writer.close()
    assert any(message.endswith("refused: too few descriptors are left") for message in caplog.messages)


async def nothing_from(reader: asyncio.StreamReader) -> bool:
    """Whether the peer closes the connection without a word."""
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


async def test_stopping_ends_sessions(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "lanman.audit")
    async with with_users(SmbServer(LOOPBACK, Home(tmp_path))) as server:
        client = await logged_on(server, "ann").__aenter__()
    assert server.service.sessions() == []
    await client.abort()
    opened, ended = (record.getMessage() for record in caplog.records if record.name == "lanman.audit")
    assert opened.startswith(r'session opened client="\\\\127.0.0.1" user="ann" id=1')
    assert ended.startswith(r'session ended client="\\\\127.0.0.1" user="ann" id=1 reason="server stopped"')


async def test_refusals_are_audited_with_escapes(server: SmbServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "lanman.audit")
    with pytest.raises(LanmanError) as caught:
        await logged_on(server, "e\nv\x1bil").__aenter__()
    assert caught.value.code == codes.ERROR_LOGON_FAILURE
    assert caplog.messages == [
        r'session refused client="\\\\127.0.0.1" user="e\nv\u001bil" '
        'reason="wrong user name or password" detail="unknown user"'
    ]


async def test_configuration_is_read_again(server: SmbServer) -> None:
    server.home.configuration.write_text('[server]\ncomment = "hello"\nautodisconnect = 3\nsession_rights = "legacy"\n')
    server.reload()
    assert server.settings.current.comment == "hello"
    assert idle_period(server.settings.current) == 180
    server.home.configuration.write_text("[server]\nautodisconnect = 99999\n")
    with pytest.raises(LanmanError, match="line 2"):
        server.reload()
    assert server.settings.current.autodisconnect == 3


async def test_limits_that_this_process_cannot_keep_do_not_change_and_change_back(tmp_path: Path) -> None:
    """Anonymous connections have at most half of the places, whatever the file says."""
    configuration = replace(LOOPBACK, limits=Limits(connections=10))
    async with SmbServer(configuration, Home(tmp_path), read=lambda: replace(configuration, comment="new")) as server:
        assert server.settings.current.limits == Limits(connections=10, anonymous=5)
        changed: list[tuple[str, str]] = []

        def on_event(event: Event) -> None:
            assert isinstance(event, SettingChanged)
            changed.append((event.name, event.value))

        server.service.subscribe(on_event, SettingChanged)
        server.reload()
        assert server.settings.current.limits == Limits(connections=10, anonymous=5)
        assert changed == [("comment", "new")]


async def test_an_account_file_that_is_damaged(server: SmbServer, caplog: pytest.LogCaptureFixture) -> None:
    server.home.accounts.write_text("what is this")
    with pytest.raises(LanmanError):
        await logged_on(server, "ann").__aenter__()
    assert "line 1" in caplog.text


@pytest.mark.parametrize("kind", ["connected", "negotiated", "half a frame", "nothing read", "logged on"])
async def test_a_connection_is_freed_with_its_socket_without_the_garbage_collector(
    server: SmbServer, kind: str
) -> None:
    def left() -> list[str]:
        # asyncio's transport, emptied, stays: it holds a method of its own.
        kinds = ("SmbProtocol", "ConnectionDispatch", "ServerConnection", "ServerSession")
        return sorted(type(each).__name__ for each in gc.get_objects() if type(each).__name__ in kinds)

    gc.collect()
    before = left()
    gc.disable()
    try:
        if kind == "logged on":
            async with logged_on(server, "ann"):
                assert left() != before
        else:
            await _connect_and_leave(server, kind)
        await until(lambda: not server.driver.protocols)
        await until(lambda: left() == before)
    finally:
        gc.enable()


async def _connect_and_leave(server: SmbServer, kind: str) -> None:
    loop = asyncio.get_running_loop()
    core = ClientConnection(client_guid=bytes(16), random=os.urandom)
    with socket.socket() as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, ("127.0.0.1", server.port))
        await until(lambda: server.driver.protocols)
        if kind != "connected":
            core.negotiate()
            await loop.sock_sendall(sock, b"".join(core.data_to_send()))
            await loop.sock_recv(sock, 65536)
        if kind == "half a frame":
            await loop.sock_sendall(sock, (60000).to_bytes(4, "big") + bytes(50000))
        if kind == "nothing read":
            (protocol,) = server.driver.protocols.values()
            protocol._transport.write(bytes(8 * 1024 * 1024))
            protocol.close()


async def test_a_peer_that_reads_late_gets_all(server: SmbServer) -> None:
    """Its requests are left in the kernel, and the others go on."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, ("127.0.0.1", server.port))
        core = ClientConnection(client_guid=bytes(16), random=os.urandom)
        core.negotiate()
        await loop.sock_sendall(sock, b"".join(core.data_to_send()))
        core.receive_data(await loop.sock_recv(sock, 65536))
        (protocol,) = server.driver.protocols.values()
        protocol._transport.write(bytes(4 * 1024 * 1024))
        assert not protocol._transport.is_reading()
        async with logged_on(server, "ann"):
            pass
        size = 0
        while size < 4 * 1024 * 1024:
            size += len(await loop.sock_recv(sock, 1 << 20))
        await until(protocol._transport.is_reading)


async def test_a_folder_that_is_gone_stops_neither_the_start_nor_a_reload(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    (tmp_path / "data").mkdir()
    shares = {name: ShareConfiguration(str(tmp_path / name)) for name in ("data", "gone")}
    said = [replace(LOOPBACK, shares=shares)]
    async with SmbServer(said[0], Home(tmp_path / "home"), read=lambda: said[-1]) as server:
        assert f'share "gone" is left out: "{tmp_path}/gone": there is no such folder' in caplog.text
        async with ControlClient(server.home.control) as client:
            assert [(each.name, each.problem) for each in await client.share_problems()] == [
                ("gone", "there is no such folder")
            ]
            said.append(replace(said[0], shares={**shares, "data": replace(shares["data"], read=("admin",))}))
            await client.reload()
            data = server.service.share_by_name("data")
            assert data is not None
            assert data.readers == frozenset({"admin"})
            (tmp_path / "gone").mkdir()
            server.reload()
            await until(lambda: "there again" in caplog.text)
            assert await client.share_problems() == []


async def test_who_was_refused_is_told_on_the_control_socket(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        for _ in range(2):
            with pytest.raises(AuthenticationError):
                async with SmbClient("127.0.0.1", server.port, Credentials("ann", "wrong")):
                    pass
        async with open_manager(home=tmp_path) as manager:
            (refusal,) = await manager.refusals()
    assert (refusal.client_name, refusal.user_name, refusal.count) == (r"\\127.0.0.1", "ann", 2)
    assert refusal.reason == "wrong user name or password"
    assert abs(refusal.last - time.time()) < 60
    assert refusal.first <= refusal.last


async def test_its_configuration_and_keytab_are_in_no_share(tmp_path: Path) -> None:
    """Whoever may write to a folder above them would be asked what is shared with whom at the next reload."""
    (tmp_path / "lanman.toml").write_text("")
    shared = {"data": ShareConfiguration(str(tmp_path))}
    configuration = Configuration(listen=("127.0.0.1",), port=0, shares=shared)
    async with SmbServer(configuration, Home(tmp_path / "home"), private=[tmp_path / "lanman.toml"]) as server:
        for name in ("home", "lanman.toml"):
            with pytest.raises(DiskRefused):
                server.driver.disk.files.open(OpenFile(str(tmp_path), (name,)))
    with_keys = SmbServer(replace(configuration, keytab="/etc/krb5.keytab"), Home(tmp_path / "home"))
    assert "/etc/krb5.keytab" in with_keys._private
