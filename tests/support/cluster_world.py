"""Nodes of a cluster that answer from lists, and can be slow, away, or refuse the log-on; and the cluster of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from lanman.errors import AuthenticationError, LanmanError, TimedOut
from lanman.manage.cluster import Place
from lanman.manage.cluster.gate import LogonGate
from lanman.manage.cluster.manager import ClusterManager
from lanman.manage.cluster.members import Members
from lanman.manage.manager import Manager
from lanman.net.dial import Within
from lanman.records import FileInfo, ServerInfo, SessionInfo
from support.fake_manager import FakeManager

FOREVER = 1e9


@dataclass
class Node:
    """A server behind a name. `connects` and `log_on` take so many seconds, FOREVER for a black hole; `wrong`: it
    refuses the log-on. `called` is what it calls itself."""

    name: str
    manager: FakeManager = field(default_factory=FakeManager)
    connects: float = 0.0
    log_on: float = 0.0
    wrong: bool = False
    error: LanmanError | None = None
    called: str | None = None
    opened: int = 0
    tried: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.manager.server = self.name
        self.manager.info = ServerInfo(name=self.called or self.name)


def sessions(*pairs: str, active: int | None = 100) -> list[SessionInfo]:
    """Sessions written `client/user`."""
    made = (pair.split("/") for pair in pairs)
    return [SessionInfo(f"\\\\{client}", user, 1, active, 5) for client, user in made]


def files(*ids: int, user: str = "bob", path: str = r"C:\a.txt") -> list[FileInfo]:
    """Open files of these numbers."""
    return [FileInfo(id, 1, 0, path, user) for id in ids]


class World:
    """Nodes, by name, and how they are opened: as over SMB, within `timeout` seconds."""

    def __init__(self, nodes: Sequence[Node], timeout: float = 10.0) -> None:
        self.nodes = {node.name: node for node in nodes}
        self.timeout = timeout

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    @asynccontextmanager
    async def cluster(self, server: str = "cluster:files") -> AsyncIterator[ClusterManager]:
        """The nodes as one Manager, opened as `open_manager` does."""
        gate = LogonGate()

        @asynccontextmanager
        async def opening(place: Place) -> AsyncIterator[Manager]:
            node = self.nodes[place.node]
            async with Within(self.timeout, lambda: "no answer", server=node.name):
                await self._open(node, gate)
            yield node.manager

        members = Members(server, [Place(name, name) for name in self.nodes], opening)
        try:
            yield ClusterManager(members, timeout=self.timeout)
        finally:
            await members.close()

    async def _open(self, node: Node, gate: LogonGate) -> None:
        node.opened += 1
        await asyncio.sleep(node.connects)
        if node.error is not None:
            raise node.error
        async with gate.log_on():
            node.tried.append(asyncio.get_running_loop().time())
            await asyncio.sleep(node.log_on)
            if node.wrong:
                raise AuthenticationError("the user name or password is incorrect", server=node.name)


def timed_out(error: LanmanError) -> bool:
    """Whether an answer did not come in time."""
    return isinstance(error, TimedOut)
