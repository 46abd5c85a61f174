"""The Manager of this machine's own Server, and the same Server managed over SMB."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import lanman
from lanman import codes
from lanman.domain import Connection, Share
from lanman.errors import AccessDenied, AuthenticationError, Win32Error
from lanman.manage import loopback, own
from lanman.manage.own import DetailedFile, DetailedSession
from lanman.net.client import SmbClient
from lanman.net.control.calls import ControlEndpoint
from lanman.net.credentials import Credentials
from lanman.net.home import Home
from lanman.net.server import SmbServer
from lanman.rpc.control import GetSessionDetails
from lanman.settings import Configuration
from support.loopback_server import PASSWORDS, running_server
from support.waiting import free_port, until


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[SmbServer]:
    async with running_server(tmp_path / "home", Configuration(name="LANTEST")) as server:
        yield server


def client(server: SmbServer, user: str) -> SmbClient:
    return SmbClient("127.0.0.1", server.port, Credentials(user, PASSWORDS[user]))


async def test_no_password_and_more_details(server: SmbServer) -> None:
    async with client(server, "ann"), client(server, "bob"), lanman.open_manager(home=server.home.path) as manager:
        assert manager.server == "LANTEST"
        found = await manager.sessions()
        assert (found.level, [entry.user_name for entry in found.entries]) == (502, ["ann", "bob"])
        for entry in found.entries:
            assert isinstance(entry, DetailedSession)
            assert entry.client_name == r"\\127.0.0.1"
            assert (entry.address or "").startswith("127.0.0.1")
            assert entry.dialect == "3.1.1"
            assert entry.anonymous is False
        assert len({entry.global_id for entry in found.entries if isinstance(entry, DetailedSession)}) == 2
        (only,) = (await manager.sessions(user="bob", client="127.0.0.1")).entries
        assert only.user_name == "bob"


async def test_the_connections_of_a_session_are_told(server: SmbServer) -> None:
    async with client(server, "ann"), lanman.open_manager(home=server.home.path) as manager:
        (one,) = (await manager.sessions()).entries
        assert isinstance(one, DetailedSession)
        assert (one.channels, one.channel_signing) == (["127.0.0.1"], [one.signing])
        (session,) = server.service.sessions()
        server.service.open_connection(Connection(999, "192.0.2.8", signing="HMAC-SHA256"))
        server.service.add_channel(session, 999)
        (two,) = (await manager.sessions()).entries
        assert isinstance(two, DetailedSession)
        assert (two.channels, two.channel_signing) == (["127.0.0.1", "192.0.2.8"], [one.signing, "HMAC-SHA256"])
        # MS-SMB2 3.3.4.18: the session is listed as its first connection, whichever that is.
        server.service.close_connection(session.connection_id)
        (left,) = (await manager.sessions()).entries
        assert isinstance(left, DetailedSession)
        assert (left.client_name, left.address, left.signing) == (r"\\192.0.2.8", "192.0.2.8", "HMAC-SHA256")
        assert (left.channels, left.channel_signing) == (["192.0.2.8"], ["HMAC-SHA256"])


async def test_an_older_server_tells_no_connections(server: SmbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    really = ControlEndpoint.call

    def older(self: ControlEndpoint, caller: Any, request: Any, now: float) -> Any:
        if isinstance(request, GetSessionDetails) and request.level:
            return request.failed(codes.ERROR_INVALID_LEVEL)
        return really(self, caller, request, now)

    monkeypatch.setattr(ControlEndpoint, "call", older)
    async with client(server, "ann"), lanman.open_manager(home=server.home.path) as manager:
        (entry,) = (await manager.sessions()).entries
        assert isinstance(entry, DetailedSession)
        assert (entry.dialect, entry.channels, entry.channel_signing) == ("3.1.1", None, None)


async def test_one_is_ended_and_the_other_lives_on(server: SmbServer) -> None:
    async with client(server, "ann") as ann, client(server, "bob") as bob:
        async with lanman.open_manager(home=server.home.path) as manager:
            (ended,) = await manager.close_sessions((await manager.sessions(user="bob")).entries)
            assert (ended.error, ended.note) == (None, None)
            assert [entry.user_name for entry in (await manager.sessions()).entries] == ["ann"]
            (again,) = await manager.close_sessions([ended.session])
            assert again.error is not None
            assert again.error.code == 2312
        assert await ann.tree_connect("IPC$")
        with pytest.raises(lanman.LanmanError):
            await bob.tree_connect("IPC$")


async def test_the_same_server_over_smb(server: SmbServer) -> None:
    admin = Credentials("admin", PASSWORDS["admin"])
    async with client(server, "bob"), lanman.open_manager("127.0.0.1", admin, port=server.port) as manager:
        found = await manager.sessions()
        assert (found.level, [entry.user_name for entry in found.entries]) == (502, ["bob", "admin"])
        assert {entry.idle_time is None for entry in found.entries} == {False}
        outcome = await manager.close_sessions(found.entries)
        assert [ended.error for ended in outcome] == [None, None]
        assert [entry.user_name for entry in (await manager.sessions()).entries] == ["admin"]
    await until(lambda: not server.service.sessions())  # a client waits for no answer to its log-off


async def test_another_client_with_our_own_names(server: SmbServer) -> None:
    """The order that ends it ends us too, and its answer leaves first."""
    admin = Credentials("admin", PASSWORDS["admin"])
    async with client(server, "admin"), lanman.open_manager("127.0.0.1", admin, port=server.port) as manager:
        both = (await manager.sessions(user="admin")).entries
        assert len(both) == 2
        assert [ended.error for ended in await manager.close_sessions(both)] == [None, None]
        assert len((await manager.sessions()).entries) == 1


async def test_settings_are_read_back(server: SmbServer) -> None:
    async with lanman.open_manager(home=server.home.path) as manager:
        await manager.set_autodisconnect(-1)
        await manager.set_comment("over there")
        await manager.set_hidden(True)
        info = await manager.server_info()
        assert (info.disc, info.comment, info.hidden) == (-1, "over there", True)
        assert (await manager.statistics()).sopens == 0
        assert "IPC$" in [entry.netname for entry in await manager.shares()]
        assert (await manager.time_of_day()).elapsedt > 1_700_000_000
        assert await manager.transports()


async def test_a_path_is_this_machines_own(server: SmbServer) -> None:
    server.service.add_share(Share("data", path="/srv/data", guest="read"))
    async with lanman.open_manager(home=server.home.path) as manager:
        assert (await manager.share("data")).path == "/srv/data"
        assert {entry.netname: entry.guest for entry in await manager.shares()} == {"IPC$": "", "data": "read"}  # type: ignore[attr-defined]
        assert "/srv/data" in [entry.path for entry in await manager.shares()]
    admin = Credentials("admin", PASSWORDS["admin"])
    async with lanman.open_manager("127.0.0.1", admin, port=server.port) as manager:
        assert (await manager.share("data")).path == "C:\\srv\\data"


async def test_a_path_as_clients_write_it_is_this_machines_too(server: SmbServer) -> None:
    share = Share("docs", path="/srv/docs")
    server.service.add_share(share)
    async with client(server, "ann"), lanman.open_manager(home=server.home.path) as manager:
        (session,) = server.service.sessions()
        tree = server.service.register_tree_connect(session, 99, share, 0)
        server.service.register_open(session, tree, 99, r"C:\srv\docs\a.txt", 1, 0)
        for typed in (r"\\LANTEST\docs\a.txt", "//localhost/DOCS/A.TXT", r"\\127.0.0.1\docs\*"):
            assert [entry.path for entry in await manager.files(path=typed)] == ["/srv/docs/a.txt"]
        with pytest.raises(Win32Error, match=r"192\.0\.2\.7"):
            await manager.files(path=r"\\192.0.2.7\docs\a.txt")


async def test_no_server_is_2114(tmp_path: Path) -> None:
    with pytest.raises(Win32Error, match="The Server service is not started") as raised:
        async with lanman.open_manager(home=tmp_path):
            pass
    assert raised.value.code == 2114
    assert "lanman start server" in (raised.value.hint or "")


async def test_a_server_that_stops_under_us(tmp_path: Path) -> None:
    async with running_server(tmp_path / "home") as server:
        opening = lanman.open_manager(home=server.home.path)
        manager = await opening.__aenter__()
        await manager.sessions()
    with pytest.raises(lanman.LanmanError) as raised:
        await manager.sessions()
    assert raised.value.code == 2114
    await opening.__aexit__(None, None, None)


async def test_a_socket_that_may_not_be_opened_is_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def denied(link: own.ControlLink) -> None:
        raise AccessDenied(f"{link.home.control}: access denied")

    monkeypatch.setattr(own.ControlLink, "connect", denied)
    with pytest.raises(AccessDenied):
        async with lanman.open_manager(home=tmp_path):
            pass


async def test_another_program_where_a_home_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loopback, "PATIENCE", 0.01)
    monkeypatch.setattr(loopback, "SAMBA_PIDS", ())

    async def hint(port: int) -> str:
        with pytest.raises(Win32Error) as raised:
            async with lanman.open_manager(port=port, home=tmp_path):
                pass
        assert raised.value.code == 2114
        return raised.value.hint or ""

    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        said = await hint(port)
        assert f"another program serves port {port} of this machine" in said
        assert f"lanman session -S localhost:{port} -U USER" in said
    assert (
        await hint(port)
        == f"start one with `lanman start server --home {tmp_path}`, or name another machine's with --server"
    )
    # smbd may listen elsewhere than on the loopback interface.
    (tmp_path / "smbd.pid").write_text(f"{os.getpid()}\n")
    monkeypatch.setattr(loopback, "SAMBA_PIDS", (tmp_path / "nothing", tmp_path / "smbd.pid"))
    assert (await hint(port)).startswith("Samba runs on this machine, and not at 127.0.0.1")
    (tmp_path / "smbd.pid").write_text("not a number")
    assert (await hint(port)).startswith("start one with")


async def test_another_program_on_the_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "client_homes", lambda home: [Home(tmp_path)])
    monkeypatch.setattr(loopback, "PATIENCE", 0.01)

    async def open_here(port: int) -> None:
        async with lanman.open_manager(port=port):
            pass

    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(AuthenticationError, match="another program than lanman") as unsaid:
            await open_here(port)
        # Nothing was sent that could be incorrect.
        assert unsaid.value.code == 1244
    with pytest.raises(Win32Error) as raised:
        await open_here(port)
    assert raised.value.code == 2114


async def test_the_server_behind_the_port_where_we_have_credentials(
    server: SmbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own, "client_homes", lambda home: [Home(tmp_path / "none")])
    admin = Credentials("admin", PASSWORDS["admin"])
    async with lanman.open_manager(credentials=admin, port=server.port) as manager:
        assert [entry.user_name for entry in (await manager.sessions()).entries] == ["admin"]


async def test_many_questions_at_once(server: SmbServer) -> None:
    async with lanman.open_manager(home=server.home.path) as manager:
        answers = await asyncio.gather(*(manager.sessions() for _ in range(20)))
        assert [len(answer.entries) for answer in answers] == [0] * 20


def test_a_manager_loads_nothing_of_a_server() -> None:
    """A command is run a hundred times a day: neither the disk nor the other half of the protocol comes with it."""
    program = "import sys, lanman.manage.own; print(*(name for name in sys.modules if name.startswith('lanman.')))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = {".".join(name.split(".")[:3]) for name in done.stdout.split()}
    assert "lanman.net.control" in loaded
    assert not loaded & {
        "lanman.server",
        "lanman.domain",
        "lanman.net.disk",
        "lanman.net.server",
        "lanman.net.accounts",
    }


async def test_a_file_that_is_kept_is_told_with_its_owner_and_the_time_left(server: SmbServer, tmp_path: Path) -> None:
    """NetrFileEnum has it without a user; the control socket, `file`, `explain` and JSON say whose it is."""
    (tmp_path / "data").mkdir()
    server.service.add_share(share := Share("data", path=str(tmp_path / "data")))
    service = server.service
    service.open_connection(Connection(77, "192.0.2.7"))
    session = service.register_session(77, 77, "192.0.2.7", "ann", now=0)
    opened = service.register_open(
        session, service.register_tree_connect(session, 1, share, 0), 7, str(tmp_path / "data/plan"), 0x3, 0
    )
    service.make_durable(opened, ("ann", "LANTEST"), 90)
    service.set_oplock(opened, "batch")
    async with lanman.open_manager(home=server.home.path) as manager:
        (live,) = [each for each in await manager.opened_files() if (each.path or "").endswith("plan")]
        assert isinstance(live, DetailedFile)
        assert (live.user_name, live.durable, live.owner, live.expires_at) == ("ann", True, "", None)
        service.close_connection(77)
        (kept,) = [each for each in await manager.opened_files() if (each.path or "").endswith("plan")]
        assert isinstance(kept, DetailedFile)
        assert (kept.id, kept.user_name, kept.session_id) == (live.id, "", None)
        assert (kept.durable, kept.owner, kept.expires_at) == (True, "ann", int(opened.expires_at))
        (holder,) = (await lanman.explain(manager, kept.path or "")).holders
        assert (holder.owner, holder.expires_at, holder.session) == ("ann", kept.expires_at, None)
        assert holder.as_json()["expires_at"] is not None
        await manager.close_file(kept.id or 0)
        assert opened not in service.opens()
