"""The Server with real sockets: what asyncio, the kernel and a real file add to what the tests in memory show."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lanman import codes
from lanman.domain.policy import idle_period
from lanman.domain.portions import PIECE
from lanman.errors import AuthenticationError, LanmanError
from lanman.events import Event, SettingChanged
from lanman.manage.open import open_manager
from lanman.net.client import SmbClient
from lanman.net.control.client import ControlClient
from lanman.net.credentials import Credentials
from lanman.net.disk import AT_ONCE
from lanman.net.disk.system import DiskRefused
from lanman.net.home import Home, HomeError
from lanman.net.loop import loop_name
from lanman.net.server import SmbServer, smb_server
from lanman.net.server.protocol import Hold, SmbProtocol, peer_address
from lanman.rpc.srvsvc import NetrSessionEnum
from lanman.server.disk_effects import Access, CloseFile, OpenFile, ReadFile
from lanman.server.dispatch import ConnectionDispatch
from lanman.server.effects import Effect, Work
from lanman.server.watch import Watch
from lanman.settings import Configuration, Limits, ShareConfiguration
from lanman.smb2.client import ClientConnection
from lanman.smb2.messages import CreateRequest, EchoRequest
from support.loopback_server import PASSWORDS, running_server
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


async def test_it_starts_beside_a_disk_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How the folders of its shares look is good to know, and waited for no longer than a while."""
    looks: list[object] = []
    monkeypatch.setattr(smb_server, "PATIENCE", 0.01)
    monkeypatch.setattr(Watch, "look_at_shares", lambda *look: looks.append(look))
    async with SmbServer(LOOPBACK, Home(tmp_path / "home")) as server:
        assert (server.port > 0, len(looks)) == (True, 1)


async def test_users_share_the_handles_that_its_disk_has(server: SmbServer) -> None:
    assert server.driver.dispatch.files.handles.limit == server.driver.disk.files.limit >= 64


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
        protocol._outgoing.send([bytes(8 * 1024 * 1024)])
        protocol.flush()
        assert Hold(protocol._holds) == Hold.ANSWERS
        assert not protocol.is_reading


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
            await until(lambda: len(server.driver.protocols) == 2)
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


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux are all of 127.0.0.0/8 this machine's")
async def test_a_burst_of_connections_waits_in_the_system(tmp_path: Path) -> None:
    """Beyond the line that Linux keeps for a socket it answers with cookies, and resets whom it does not believe."""
    if int(Path("/proc/sys/net/core/somaxconn").read_text()) < 1024:
        pytest.skip("net.core.somaxconn is below 1024")
    async with running_server(tmp_path) as server:
        with contextlib.ExitStack() as stack:
            established = 0
            for number in range(700):
                client = stack.enter_context(socket.socket())
                client.setblocking(False)
                client.bind((f"127.0.3.{1 + number % 100}", 0))
                with contextlib.suppress(BlockingIOError):
                    client.connect(("127.0.0.1", server.port))
                with contextlib.suppress(OSError):
                    client.getpeername()
                    established += 1
            assert established == 700  # while the event loop has not run
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
    def left() -> Counter[str]:
        kinds = ("SmbProtocol", "ConnectionDispatch", "ServerConnection", "ServerSession")
        return Counter(name for each in gc.get_objects() if (name := type(each).__name__) in kinds)

    gc.collect()
    before = left()
    gc.disable()
    try:
        if kind == "logged on":
            async with logged_on(server, "ann"):
                assert not left() <= before
        else:
            await _connect_and_leave(server, kind)
        await until(lambda: not server.driver.protocols)
        await until(lambda: left() <= before)
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
            protocol._outgoing.send([bytes(8 * 1024 * 1024)])
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
        protocol._outgoing.send([bytes(4 * 1024 * 1024)])
        protocol.flush()
        assert not protocol.is_reading
        async with logged_on(server, "ann"):
            pass
        size = 0
        while size < 4 * 1024 * 1024:
            size += len(await loop.sock_recv(sock, 1 << 20))
        await until(lambda: protocol.is_reading)


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


async def test_what_users_share_is_told_on_the_control_socket(tmp_path: Path) -> None:
    """How much of each kind is taken, by whom most, who was refused last and what to do; and nothing of it is kept."""
    (tmp_path / "data").mkdir()
    shared = {"data": ShareConfiguration(str(tmp_path / "data"))}
    limits = Limits(opens_per_user=2)
    async with running_server(tmp_path / "home", Configuration(shares=shared, limits=limits)) as server:
        async with SmbClient("127.0.0.1", server.port, Credentials("ann", PASSWORDS["ann"])) as client:
            tree = await client.tree_connect("data")
            asked = [CreateRequest(name=name, desired_access=0x2, create_disposition=2) for name in ("a", "b", "c")]
            answers = [(await client.request_all([each], tree))[0] for each in asked]
            assert [answer.status for answer in answers] == [0, 0, codes.STATUS_TOO_MANY_OPENED_FILES]
            async with open_manager(home=tmp_path / "home") as manager:
                told = {each.name: each for each in await manager.portions()}
                assert await manager.event_loop() == loop_name(asyncio.get_running_loop())
        files = told["open files"]
        assert (files.taken, files.user, files.of_user, files.refused, files.refused_user) == (2, "ANN", 2, 1, "ANN")
        assert "[limits] opens_per_user" in (files.remedy or "")
        assert (told["sessions"].taken, told["sessions"].refused, told["sessions"].refused_user) == (1, 0, "")
        assert {each.name for each in server.service.portions} == told.keys()
        await until(lambda: not any(each.taken for each in server.service.portions))


async def test_what_very_many_share_is_looked_for_in_turns(server: SmbServer) -> None:
    """Who has most among tens of thousands: others have their turns meanwhile."""
    for portion in server.service.portions:
        for number in range(20 * PIECE):
            portion.count(f"USER{number}", 1 + number % 5)
        portion.count("USER7", 5)
    turns, loop = [0], asyncio.get_running_loop()

    def turn() -> None:
        turns[0] += 1
        loop.call_soon(turn)

    async with ControlClient(server.home.control) as client:
        turn()
        _, told = await client.portions()
    assert [(each.user, each.of_user) for each in told] == [("USER7", 8)] * len(told)
    assert turns[0] >= 20 * len(told)


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


async def test_servers_of_two_event_loops_share_no_buffer(tmp_path: Path) -> None:
    """Two threads would write into it at once, and one client's bytes be taken for another's."""
    async with AsyncExitStack() as stack:
        buffers = []
        for name in ("one", "two"):
            server = await stack.enter_async_context(SmbServer(LOOPBACK, Home(tmp_path / name)))
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            stack.callback(writer.close)
            protocols = server.driver.protocols
            await until(lambda protocols=protocols: bool(protocols))  # type: ignore[misc]
            (protocol,) = protocols.values()
            buffers.append(protocol._server.arrivals.few)
        buffers[0][:4], buffers[1][:4] = b"1111", b"2222"
        assert bytes(buffers[0][:4]) == b"1111"


@pytest.mark.parametrize("step", ["receive_data", "receive_buffer", "data_to_send"])
async def test_a_mistake_in_one_connection_s_turn_costs_no_other(
    server: SmbServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, step: str
) -> None:
    unhandled: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: unhandled.append(context))
    async with logged_on(server, "ann") as other:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        await until(lambda: len(server.driver.protocols) == 2)
        struck = server.driver.dispatch.connections[max(server.driver.protocols)]
        real = getattr(ConnectionDispatch, step)

        def fail(connection: ConnectionDispatch, *arguments: Any) -> Any:
            if connection is struck:
                raise MemoryError
            return real(connection, *arguments)

        monkeypatch.setattr(ConnectionDispatch, step, fail)
        core = ClientConnection(client_guid=bytes(16), random=os.urandom)
        core.negotiate()
        writer.writelines(core.data_to_send())
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
        await until(lambda: len(server.driver.protocols) == 1)
        (echo,) = await other.request_all([EchoRequest()])
        assert echo.status == 0
    assert "connection from 127.0.0.1 ended by an error in the server" in caplog.text
    assert not unhandled


async def test_a_connection_that_gives_way_as_soon_as_it_has_come_is_ended(
    server: SmbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = server.driver.dispatch.connect

    def connect(address: str, now: float, *, scarce: bool = False) -> ConnectionDispatch | None:
        connection = real(address, now, scarce=scarce)
        assert connection is not None
        connection.displace("a test")
        return connection

    monkeypatch.setattr(server.driver.dispatch, "connect", connect)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()
    assert not server.driver.protocols
    assert not server.driver.dispatch.connections


async def test_a_connection_that_brings_too_much_is_found_without_a_look_at_the_others(server: SmbServer) -> None:
    class Unseen(dict[int, SmbProtocol]):
        """Thousands of connections, which nobody is to go through."""

        def values(self) -> Any:
            raise AssertionError

    driver = server.driver
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    await until(lambda: bool(driver.protocols))
    protocols, driver.protocols = driver.protocols, Unseen(driver.protocols)
    ((number, protocol),) = protocols.items()
    driver._press(number, True)
    assert protocol._holds == Hold.DISK
    driver._press(number, False)
    assert not protocol._holds
    for nobody in (number + 1, None):
        driver._press(nobody, True)
    assert not protocol._holds
    driver.protocols = protocols
    writer.close()


async def test_what_waits_for_nothing_overtakes_nothing_of_the_same_turn(server: SmbServer, tmp_path: Path) -> None:
    """A client may close a file in the frame after that of a long read."""
    (tmp_path / "file").write_bytes(b"x" * (AT_ONCE + 1))
    scheduler, disk = server.driver.dispatch.scheduler, server.driver.disk
    opened = disk.files.open(OpenFile(str(tmp_path), ("file",), Access.READ))
    told: list[Any] = []

    def work(effect: Effect[Any]) -> Work[None]:
        told.append((yield effect))

    scheduler.start(work(ReadFile(opened.handle, 0, AT_ONCE + 1)), failed=told.append)
    scheduler.start(work(CloseFile(opened.handle, tells=False)), failed=told.append)
    assert told == [], "it is closed after what was asked for before"
    assert [type(effect) for _, effect in scheduler.unperformed] == [CloseFile], "the disk has the read"
    server.driver.flush()
    await until(lambda: len(told) == 2)
