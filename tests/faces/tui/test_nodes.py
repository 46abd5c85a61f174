"""Several nodes on the screen: one list with the node of each row, and orders at that node."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from lanman.errors import ConnectionLost
from lanman.faces.tui.sources import PolledCluster
from lanman.manage.manager import Manager
from support.cluster_world import Node, files, sessions
from support.fake_manager import FakeManager
from support.scripted_watch import Terminal


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> dict[str, Node]:
    return {
        "fs1": Node("fs1", FakeManager(entries=sessions("pc7/bob"), opened=files(2))),
        "fs2": Node("fs2", FakeManager(entries=sessions("pc7/bob"), opened=files(2))),
    }


def source(nodes: Mapping[str, Node]) -> PolledCluster:
    def opening(node: Node) -> AbstractAsyncContextManager[Manager]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Manager]:
            if node.error is not None:
                raise node.error
            yield node.manager

        return opened()

    return PolledCluster("cluster:files", {name: lambda node=node: opening(node) for name, node in nodes.items()})  # type: ignore[misc]


async def test_rows_have_their_node(nodes: dict[str, Node]) -> None:
    async with Terminal(source(nodes)).shown(100, 12) as terminal:
        assert "NODE" in terminal.lines[2]
        shown = [line.replace(">", " ").split() for line in terminal.lines[3:5]]
        assert sorted(words[:3] for words in shown) == [["fs1", r"\\pc7", "bob"], ["fs2", r"\\pc7", "bob"]]
        assert terminal.lines[0].startswith("cluster:files")


async def test_an_order_goes_to_the_node_of_the_row_under_the_cursor(nodes: dict[str, Node]) -> None:
    async with Terminal(source(nodes), real_time=True).shown(120, 14) as terminal:
        await terminal.press("w")
        place = next(place for place, line in enumerate(terminal.lines[3:5]) if "fs2" in line)
        page = await terminal.press(*["down"] * place, "e")
        assert page[0] == "End 1 session on cluster:files?"
        await terminal.press("y")
        assert len(nodes["fs1"].manager.entries) == 1
        assert nodes["fs2"].manager.entries == []


async def test_a_node_that_is_away_is_named(nodes: dict[str, Node]) -> None:
    nodes["fs2"].error = ConnectionLost("nothing listens there")
    async with Terminal(source(nodes)).shown(100, 12) as terminal:
        assert "AWAY: fs2" in terminal.lines[0]
        assert "fs1" in terminal.lines[3]
        events = "\n".join(await terminal.press("4"))
        assert "fs2 does not answer" in events
        assert "answers again" not in events


async def test_what_is_known_of_a_file_is_of_its_own_node(nodes: dict[str, Node]) -> None:
    nodes["fs2"].manager.entries = []
    async with Terminal(source(nodes)).shown(100, 30) as terminal:
        await terminal.press("2")
        place = next(place for place, line in enumerate(terminal.lines[3:5]) if "fs2" in line)
        page = "\n".join(await terminal.press(*["down"] * place, "x"))
        assert "Node            fs2" in page
        assert "Others have it open too" not in page
