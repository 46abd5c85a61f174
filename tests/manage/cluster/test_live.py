"""Real servers as one: two of ours, the machine's smbd, and a black hole, on addresses of the loopback interface."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest

from lanman.errors import AuthenticationError, TimedOut
from lanman.manage.kept import Opening
from lanman.manage.open import open_manager
from lanman.manage.orders import What, plan_sessions, run
from lanman.manage.watching.changes import Change
from lanman.manage.watching.changes import What as Happened
from lanman.manage.watching.nodes import Identities, NodesPoller, watch_nodes
from lanman.manage.watching.poller import Poller
from lanman.net.client import SmbClient
from lanman.net.credentials import Credentials
from lanman.net.server import SmbServer
from lanman.settings import Configuration
from support.loopback_server import PASSWORDS, running_server
from support.smbd import Samba

ADMIN = Credentials("admin", PASSWORDS["admin"])


@contextlib.contextmanager
def black_hole() -> Iterator[int]:
    """A port of 127.0.0.9 that takes no connection and refuses none: its queue is full."""
    with contextlib.ExitStack() as stack:
        hole = stack.enter_context(socket.socket())
        hole.bind(("127.0.0.9", 0))
        hole.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(hole.getsockname())
        yield hole.getsockname()[1]


@contextlib.asynccontextmanager
async def two_servers(folder: Path) -> AsyncIterator[Mapping[str, SmbServer]]:
    """Two Servers of ours, by the text that names each."""
    async with contextlib.AsyncExitStack() as stack:
        servers = {}
        for name, host in (("FS1", "127.0.0.2"), ("FS2", "127.0.0.3")):
            (folder / name).mkdir()
            server = await stack.enter_async_context(running_server(folder / name, Configuration(name=name), host=host))
            servers[f"{host}:{server.port}"] = server
        yield servers


@contextlib.asynccontextmanager
async def person(server: str, user: str) -> AsyncIterator[SmbClient]:
    """Somebody who is connected to a server."""
    host, _, port = server.partition(":")
    client = SmbClient(host, int(port), Credentials(user, PASSWORDS[user]))
    await client.connect()
    await client.log_on()
    try:
        yield client
    finally:
        await client.abort()


async def test_an_order_ends_one_of_two_equal_sessions(tmp_path: Path) -> None:
    async with two_servers(tmp_path) as servers:
        first, second = servers
        async with person(first, "bob"), person(second, "bob"), open_manager(",".join(servers), ADMIN) as manager:
            bobs = (await manager.sessions(user="bob")).entries
            assert [each.node for each in bobs] == [first, second]
            outcomes = await run(manager, await plan_sessions(manager, [bobs[1]]))
            assert [one.what for one in outcomes] == [What.DONE]
            assert [each.node for each in await manager.sessions(user="bob")] == [first]


async def test_one_server_by_two_addresses_counts_once(tmp_path: Path) -> None:
    async with running_server(tmp_path, Configuration(name="FS1"), host="0.0.0.0") as server:
        names = [f"127.0.0.2:{server.port}", f"127.0.0.3:{server.port}", f"localhost:{server.port}"]
        async with open_manager(",".join(names), ADMIN) as manager:
            assert {each.node for each in await manager.sessions()} == {names[0]}
            assert list(manager.nodes) == names[:1]


async def test_a_wrong_password_is_counted_twice_at_most(tmp_path: Path) -> None:
    async with running_server(tmp_path, Configuration(name="FS1"), host="0.0.0.0") as server:
        names = ",".join(f"127.0.0.{number}:{server.port}" for number in range(2, 9))
        async with open_manager(names, Credentials("admin", "wrong")) as manager:
            with pytest.raises(AuthenticationError, match="none of its 7 nodes answers"):
                await manager.sessions()
        async with open_manager(f"127.0.0.2:{server.port}", ADMIN) as manager:
            assert (await manager.statistics()).pwerrors == 2


@pytest.mark.samba
@pytest.mark.root
async def test_ours_smbd_and_a_black_hole_as_one(tmp_path: Path) -> None:
    with Samba() as samba, black_hole() as port:
        root = samba.administrator
        async with two_servers(tmp_path) as servers:
            for server in servers.values():
                server.accounts.update(lambda accounts: accounts.add(root.user_name, root.password))
                server.accounts.update(lambda accounts: accounts.add_member("Administrators", root.user_name))
            first, second = servers
            smbd, hole = f"127.0.0.1:{samba.port}", f"127.0.0.9:{port}"
            credentials = Credentials(root.user_name, root.password)
            text = f"{first},{hole},{smbd},{second}"
            async with person(first, "bob"), open_manager(text, credentials, timeout=6) as manager:
                sessions = await manager.sessions()
                assert {each.node for each in sessions} == {first, smbd, second}, sessions.missing
                assert [node for node, _ in sessions.missing] == [hole]
                assert isinstance(sessions.missing[0].error, TimedOut)
                # What the poorest says counts for all.
                assert sessions.level == 1
                assert {each.node for each in await manager.shares()} == {first, smbd, second}
                states = await manager.each(lambda node: node.service_state())
                # smbd has none, which is no reason to hide what the others say.
                assert [part.node for part in states.parts] == [first, second]
                assert [node for node, _ in states.missing] == [hole, smbd]


async def test_servers_of_this_machine_are_followed_and_watched_as_one(tmp_path: Path) -> None:
    async with two_servers(tmp_path) as servers:
        identities = Identities()

        def opening(home: Path) -> Opening:
            return lambda: open_manager(home=home, service="lanman")

        async def make() -> dict[str, Poller]:
            return {
                name: Poller(identities.opening(name, opening(tmp_path / name)), server=name) for name in ("FS1", "FS2")
            }

        async with NodesPoller("both", make) as poller, asyncio.timeout(60):
            for _ in range(2):
                await anext(poller)
            assert poller.picture.streamed
            async with person(list(servers)[1], "ann"):
                opened = [change async for change in _changes(poller, Happened.OPENED)]
            assert [(change.row.key.node, change.row.kind.value) for change in opened] == [("FS2", "session")]


async def test_named_servers_are_watched_as_one(tmp_path: Path) -> None:
    async with two_servers(tmp_path) as servers, watch_nodes(",".join(servers), ADMIN, every=0.05) as poller:
        async with asyncio.timeout(60):
            for _ in range(2):
                await anext(poller)
            assert {key.node for key in poller.picture.sessions} == set(servers)


async def _changes(poller: NodesPoller, what: Happened) -> AsyncIterator[Change]:
    """The first changes of a kind that come together."""
    async for update in poller:
        found = [change for change in update.changes if change.what is what]
        for change in found:
            yield change
        if found:
            return
