"""A server that is watched and told over one connection: that of the poller.

A second connection would be a second session of ours at the server, and an order that ended the poller's would not know
that it is ours. So orders go to the Manager that the poller has open. While it has none, there is nobody to be told.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from lanman.errors import ConnectionLost
from lanman.faces.tui.model import Meant
from lanman.manage.cluster import Place
from lanman.manage.cluster.manager import ClusterManager
from lanman.manage.cluster.members import Members
from lanman.manage.kept import Opening
from lanman.manage.manager import DEFAULT_TIMEOUT, Manager
from lanman.manage.watching.nodes import Identities, NodesPoller
from lanman.manage.watching.poller import ALL_KINDS, EVERY, Poller
from lanman.manage.watching.rows import Kind


class PolledServer:
    """A server by what opens a Manager of it. `name` is what it was called, and `meant` says which rows are shown, if
    not all; see `lanman.faces.tui.app.Source`."""

    nodes = False

    def __init__(
        self,
        name: str,
        opening: Opening,
        *,
        every: float = EVERY,
        deadline: float = DEFAULT_TIMEOUT,
        kinds: frozenset[Kind] = ALL_KINDS,
        meant: Meant | None = None,
    ) -> None:
        self.name = name
        self.meant = meant
        self._opening = opening
        self._every, self._deadline, self._kinds = every, deadline, kinds
        self._open: Manager | None = None
        self._poller: Poller | None = None

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Manager]:
        async with self._opening() as manager:
            self._open = manager
            try:
                yield manager
            finally:
                self._open = None

    def watch(self) -> Poller:
        """What there is on it and what happens."""
        self._poller = Poller(
            self._opened, server=self.name, every=self._every, deadline=self._deadline, kinds=self._kinds
        )
        return self._poller

    def look_now(self) -> None:
        """Ask it as soon as may be: something has been done there."""
        if self._poller is not None:
            self._poller.look_now()

    @asynccontextmanager
    async def manager(self) -> AsyncIterator[Manager]:
        """The Manager that the poller has open. Raises ConnectionLost where it has none."""
        if self._open is None:
            raise ConnectionLost(f"{self.name} does not answer", hint="Orders wait until it answers again.")
        yield self._open


class PolledCluster:
    """Several nodes as one, by what opens a Manager of each; see PolledServer. Orders go to the node of each row."""

    nodes = True

    def __init__(
        self,
        name: str,
        openings: Mapping[str, Opening],
        *,
        every: float = EVERY,
        deadline: float = DEFAULT_TIMEOUT,
        kinds: frozenset[Kind] = ALL_KINDS,
        meant: Meant | None = None,
    ) -> None:
        self.name = name
        self.meant = meant
        self._openings = openings
        self._every, self._deadline, self._kinds = every, deadline, kinds
        self._identities = Identities()
        self._poller: NodesPoller | None = None

    def watch(self) -> NodesPoller:
        """What there is on all nodes and what happens."""

        async def pollers() -> dict[str, Poller]:
            return {
                node: Poller(
                    self._identities.opening(node, opening),
                    server=node,
                    every=self._every,
                    deadline=self._deadline,
                    kinds=self._kinds,
                )
                for node, opening in self._openings.items()
            }

        self._poller = NodesPoller(self.name, pollers, kinds=self._kinds)
        return self._poller

    def look_now(self) -> None:
        """Ask them as soon as may be: something has been done there."""
        if self._poller is not None:
            self._poller.look_now()

    @asynccontextmanager
    async def manager(self) -> AsyncIterator[Manager]:
        """A Manager of the nodes that the pollers have open. Raises ConnectionLost where they have none."""
        names = [node for node in self._openings if node not in self._identities.doubles]
        if not any(self._identities.manager(node) for node in names):
            raise ConnectionLost(f"{self.name} does not answer", hint="Orders wait until it answers again.")
        members = Members(self.name, [Place(node, node) for node in names], self._opened)
        try:
            yield ClusterManager(members, timeout=self._deadline)
        finally:
            await members.close()

    def _opened(self, place: Place) -> AbstractAsyncContextManager[Manager]:
        return self._open_at(place.node)

    @asynccontextmanager
    async def _open_at(self, node: str) -> AsyncIterator[Manager]:
        manager = self._identities.manager(node)
        if manager is None:
            raise ConnectionLost(f"{node} does not answer", hint="Orders wait until it answers again.")
        yield manager
