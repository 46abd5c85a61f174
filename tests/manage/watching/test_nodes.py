"""Several nodes watched as one: rows with their node, and what stays of a node that is away. By virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from lanman.errors import AuthenticationError, ConnectionLost
from lanman.manage.manager import Manager
from lanman.manage.watching.changes import Update, What
from lanman.manage.watching.nodes import Identities, NodesPoller
from lanman.manage.watching.poller import Poller, watch
from support import virtual_time
from support.cluster_world import FOREVER, Node, files, sessions
from support.fake_manager import FakeManager
from support.virtual_time import VirtualClock


class Watched:
    """Nodes that are watched as one."""

    def __init__(self, clock: VirtualClock, *nodes: Node) -> None:
        self.nodes = {node.name: node for node in nodes}
        self.clock = clock
        self.identities = Identities()

    def poller(self) -> NodesPoller:
        async def make() -> dict[str, Poller]:
            return {name: self._poller(node) for name, node in self.nodes.items()}

        return NodesPoller("cluster:files", make)

    def _poller(self, node: Node) -> Poller:
        @asynccontextmanager
        async def opening() -> AsyncIterator[Manager]:
            await asyncio.sleep(node.connects)
            if node.wrong:
                raise AuthenticationError("wrong password")
            if node.error is not None:
                raise node.error
            yield node.manager

        return Poller(
            self.identities.opening(node.name, opening),
            server=node.name,
            wall_clock=self.clock.wall,
            steady_clock=lambda: self.clock.now,
            chance=lambda: 0.0,
        )


def rows(update: Update) -> list[tuple[str | None, str | None]]:
    return [(key.node, row.user_name) for key, row in update.picture.sessions.items()]


def test_equal_rows_of_two_nodes_are_two(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(clock: VirtualClock) -> None:
        watched = Watched(
            clock,
            Node("fs1", FakeManager(entries=sessions("pc7/bob"), opened=files(2))),
            Node("fs2", FakeManager(entries=sessions("pc7/bob"), opened=files(2))),
        )
        async with watched.poller() as poller:
            first = await anext(poller)
            assert first.first
            second = await anext(poller)
            assert sorted(rows(second)) == [("fs1", "bob"), ("fs2", "bob")]
            assert [(key.node, key.id) for key in second.picture.files] == [("fs1", 2), ("fs2", 2)]
            assert {str(key).rpartition("@")[2] for key in second.picture.sessions} == {"fs1", "fs2"}
            watched.nodes["fs2"].manager.entries = []
            changes = [change for _ in range(2) for change in (await anext(poller)).changes]
            assert [(change.what, change.row.key.node) for change in changes] == [(What.CLOSED, "fs2")]
            assert rows(second) == [("fs1", "bob")]

    virtual_time.run(test)


def test_a_node_that_goes_away_keeps_its_rows_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(clock: VirtualClock) -> None:
        watched = Watched(
            clock,
            Node("fs1", FakeManager(entries=sessions("pc7/bob"))),
            Node("fs2", FakeManager(entries=sessions("pc9/eve"))),
        )
        async with watched.poller() as poller:
            await anext(poller)
            await anext(poller)
            watched.nodes["fs2"].manager.fails = ConnectionLost("gone")
            watched.nodes["fs2"].error = ConnectionLost("gone")
            for _ in range(6):
                update = await anext(poller)
                assert not [change for change in update.changes if change.what is What.CLOSED]
            assert sorted(rows(update)) == [("fs1", "bob"), ("fs2", "eve")]
            assert list(poller.picture.away) == ["fs2"]
            assert poller.picture.away["fs2"].since is not None
            assert poller.picture.error is None
            watched.nodes["fs2"].manager.fails = watched.nodes["fs2"].error = None
            while poller.picture.away:
                update = await anext(poller)
            assert update.gap is not None
            assert update.gap.why.startswith("fs2: ")

    virtual_time.run(test)


def test_a_black_hole_holds_up_nobody() -> None:
    async def test(clock: VirtualClock) -> None:
        watched = Watched(clock, Node("hole", connects=FOREVER), Node("fs2", FakeManager(entries=sessions("pc9/eve"))))
        async with watched.poller() as poller:
            began = clock.now
            assert rows(await anext(poller)) == [("fs2", "eve")]
            assert clock.now == began

    virtual_time.run(test)


def test_one_refused_log_on_ends_that_node_alone_and_all_end_the_watch() -> None:
    async def test(clock: VirtualClock) -> None:
        watched = Watched(clock, Node("fs1", wrong=True), Node("fs2", FakeManager(entries=sessions("pc9/eve"))))
        async with watched.poller() as poller:
            updates = [await anext(poller) for _ in range(4)]
            assert list(poller.picture.away) == ["fs1"]
            assert rows(updates[-1]) == [("fs2", "eve")]
        both = Watched(clock, Node("fs1", wrong=True), Node("fs2", wrong=True))
        async with both.poller() as poller:
            with pytest.raises(AuthenticationError):
                await _all(poller)

    virtual_time.run(test)


async def _all(poller: NodesPoller) -> None:
    async for _ in poller:
        pass


def test_a_node_by_two_addresses_counts_once() -> None:
    async def test(clock: VirtualClock) -> None:
        watched = Watched(
            clock,
            Node("fs1", FakeManager(entries=sessions("pc7/bob")), called="FS1"),
            Node("10.0.0.1", FakeManager(entries=sessions("pc7/bob")), called="fs1"),
        )
        async with watched.poller() as poller:
            for _ in range(4):
                update = await anext(poller)
            assert rows(update) == [("fs1", "bob")]
            assert list(poller.picture.nodes) == ["fs1"]
            assert watched.identities.doubles == {"10.0.0.1": "fs1"}

    virtual_time.run(test)


def test_several_servers_are_no_server_of_watch() -> None:
    with pytest.raises(ValueError, match="watch_nodes"):
        watch("fs1,fs2")
