"""Watches several nodes as one: one picture, whose rows and keys carry their node.

    async with watch_nodes("cluster:files", credentials) as watcher:
        async for update in watcher:
            for change in update.changes: change.row.key.node, ...

The rules are those of `lanman.manage.watching.poller` for each node, and:

  - Each node has a poller of its own: one that is slow or away holds up no other, and lanman's own Servers among them
    are followed where they can be. The first update of each node is `first` for the whole picture.
  - A node that is away keeps its rows, as they were; `NodesPicture.away` says since when nothing is known of it, and
    why. The picture has an `error` only where no node answers.
  - A node by another address counts once (as in `lanman.manage.cluster.members`): whichever answered first.
  - A log-on that was refused is not tried again, and the others go on. Where all refuse it, AuthenticationError is
    raised.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from lanman.errors import AuthenticationError, LanmanError
from lanman.manage.cluster import Place, configured_credentials, single_servers
from lanman.manage.cluster.gate import LogonGate
from lanman.manage.cluster.identity import guid_of, name_of
from lanman.manage.kept import Opening
from lanman.manage.manager import DEFAULT_TIMEOUT, Manager, poverty
from lanman.manage.open import open_manager
from lanman.manage.watching.changes import Change, Picture, Update
from lanman.manage.watching.poller import ALL_KINDS, EVERY, Poller
from lanman.manage.watching.rows import FileRow, Kind, Row
from lanman.manage.watching.several import Several
from lanman.net.approach import Approach

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from lanman.client_settings import ClientConfiguration
    from lanman.net.credentials import Credentials

MakePollers = Callable[[], Awaitable[Mapping[str, Poller]]]
"""Gives a poller for each node, by what the node is called; once, when the first update is waited for."""


class Away(NamedTuple):
    """A node that does not answer: `since` is when it was last seen, in seconds since 1970; None: never."""

    error: LanmanError
    since: float | None


class NodeState(NamedTuple):
    """What was known of a node when its last update was given; see `Picture`."""

    error: LanmanError | None
    asked_at: float | None
    duration: float
    level: int | None
    streamed: bool
    refused: Mapping[Kind, LanmanError]


class NodesPicture(Picture):
    """What there is on all nodes. `away` are those that do not answer, `nodes` is what is known of each.

    `asked_at` is when the node that was asked longest ago was, of those that answer; `level` is the poorest.
    """

    def __init__(self, server: str, kinds: frozenset[Kind] = ALL_KINDS) -> None:
        super().__init__(server, kinds)
        self.nodes: dict[str, NodeState] = {}
        self.number = 0
        """How many nodes there are, those too of which nothing is known yet."""

    @property
    def away(self) -> dict[str, Away]:
        """The nodes that do not answer now."""
        return {node: Away(each.error, each.asked_at) for node, each in self.nodes.items() if each.error is not None}

    def learn(self) -> None:
        """Take over what all nodes together say of themselves."""
        there = [each for each in self.nodes.values() if each.error is None and each.asked_at is not None]
        errors = [each.error for each in self.nodes.values() if each.error is not None]
        self.error = errors[0] if errors and len(errors) >= self.number else None
        self.streamed = bool(there) and all(each.streamed for each in there)
        self.level = max((each.level for each in there if each.level is not None), key=poverty, default=None)
        if there:
            self.asked_at = min(each.asked_at or 0.0 for each in there)
            self.duration = max(each.duration for each in there)
        # A kind that any node tells has rows.
        refused = [each.refused for each in there]
        self.refused = {kind: refused[0][kind] for kind in Kind if refused and all(kind in each for each in refused)}

    def drop(self, node: str) -> None:
        """Have no rows of a node."""
        every: list[dict[Any, Any]] = [self.sessions, self.files, self.shares]
        for rows in every:
            for key in [key for key in rows if key.node == node]:
                del rows[key]


class NodesPoller:
    """Watches several nodes. An async context manager, and an async iterator of updates of one picture."""

    def __init__(self, server: str, make: MakePollers, *, kinds: frozenset[Kind] = ALL_KINDS) -> None:
        self.picture = NodesPicture(server, kinds)
        self._make = make
        self._several: Several | None = None
        self._node_of: dict[int, str] = {}
        self._every: float | None = None
        self._refused: dict[str, LanmanError] = {}
        self._doubles: set[str] = set()
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Disconnect from all nodes. May be called twice."""
        self._closed = True
        if self._several is not None:
            await self._several.close()

    @property
    def every(self) -> float:
        """How often the nodes are asked, in seconds; may be changed at any time."""
        pollers = () if self._several is None else self._several.pollers
        return pollers[0].every if pollers else self._every or EVERY

    @every.setter
    def every(self, seconds: float) -> None:
        self._every = seconds
        for poller in () if self._several is None else self._several.pollers:
            poller.every = seconds

    def look_now(self) -> None:
        """Ask all nodes as soon as may be."""
        if self._several is not None:
            self._several.look_now()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Update:
        """The next update of any node. Raises AuthenticationError where all have refused the log-on."""
        if self._closed:
            raise StopAsyncIteration
        if self._several is None:
            await self._begin()
        assert self._several is not None
        while True:
            try:
                update = await anext(self._several)
            except StopAsyncIteration:
                if self._refused and len(self._refused) >= self.picture.number:
                    raise next(iter(self._refused.values())) from None
                raise
            node = self._node_of[id(update.picture)]
            if isinstance(update.picture.error, SameNode):
                # Its poller waits for a minute and then finds out again; there is nothing to be shown of it.
                if node not in self._doubles:
                    self._doubles.add(node)
                    self.picture.number -= 1
                self.picture.nodes.pop(node, None)
                continue
            return self._taken(node, update)

    async def _begin(self) -> None:
        pollers = await self._make()
        self.picture.number = len(pollers)
        for node, poller in pollers.items():
            if self._every is not None:
                poller.every = self._every
            self._node_of[id(poller.picture)] = node
        self._several = Several(list(pollers.values()))

    def _taken(self, node: str, update: Update) -> Update:
        """The update of a node as one of the whole."""
        picture = self.picture
        # The node's own picture goes on behind our back.
        own = update.picture
        picture.nodes[node] = NodeState(
            own.error, own.asked_at, own.duration, own.level, own.streamed, dict(own.refused)
        )
        picture.learn()
        if isinstance(update.picture.error, AuthenticationError):
            self._refused[node] = update.picture.error
        gap = None if update.gap is None else update.gap._replace(why=f"{node}: {update.gap.why}")
        if update.first:
            picture.drop(node)
            for rows in (update.picture.sessions, update.picture.files, update.picture.shares):
                for row in rows.values():
                    picture.put(of_node(row, node))
            return Update(picture, (), True, gap, update.events)
        changes = [_change(change, node) for change in update.changes]
        for change in changes:
            picture.apply(change)
        return Update(picture, changes, False, gap, update.events)


def of_node(row: Any, node: str) -> Row:
    """A row, and whatever it names, as one of a node."""
    changed: Row = row._replace(key=row.key._replace(node=node))
    if isinstance(changed, FileRow) and changed.session is not None:
        changed = changed._replace(session=changed.session._replace(node=node))
    return changed


def _change(change: Change, node: str) -> Change:
    before = None if change.before is None else of_node(change.before, node)
    return change._replace(row=of_node(change.row, node), before=before)


# --- one node by several addresses


class SameNode(LanmanError):
    """A node is another one, by another address."""


class Identities:
    """Knows the nodes by what they call themselves, while they are open."""

    def __init__(self) -> None:
        self._open: dict[str, Manager] = {}
        self._first: dict[str, str] = {}

    def opening(self, node: str, opening: Opening) -> Opening:
        """The same, which raises SameNode where another node has turned out to be this one."""

        @asynccontextmanager
        async def opened() -> AsyncIterator[Manager]:
            if (first := self._first.get(node)) is not None:
                raise SameNode(f"is {first} by another address")
            async with opening() as manager:
                await self._check(node, manager)
                self._open[node] = manager
                try:
                    yield manager
                finally:
                    self._open.pop(node, None)

        return opened

    async def _check(self, node: str, manager: Manager) -> None:
        """Raises SameNode where a node that is open has this one's ServerGuid and name."""
        for other, known in list(self._open.items()):
            if guid_of(known) != guid_of(manager):
                continue
            names = [await name_of(each) for each in (known, manager)]
            if names[0] is not None and names[0] == names[1]:
                self._first[node] = other
                raise SameNode(f"is {other} by another address")

    @property
    def doubles(self) -> Mapping[str, str]:
        """Which nodes turned out to be which."""
        return self._first

    def manager(self, node: str) -> Manager | None:
        """The Manager of a node that is open."""
        return self._open.get(node)


def watch_nodes(
    server: str,
    credentials: Credentials | None = None,
    *,
    every: float = EVERY,
    kinds: Collection[Kind | str] = ALL_KINDS,
    port: int | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    encrypt: bool = False,
    configuration: ClientConfiguration | None = None,
) -> NodesPoller:
    """Watch several servers as one (`fs1,fs2`, `cluster:NAME`, `name*`), to be used in `async with`; see `NodesPoller`.

    The arguments are those of `lanman.watch` and `lanman.open_manager`. The nodes do not all log on at the same time,
    so that a wrong password locks no account. Waiting for the first update raises what `single_servers` does.
    """
    asked = frozenset(map(Kind, kinds))

    async def make() -> dict[str, Poller]:
        who = configured_credentials(server, configuration) if credentials is None else credentials
        approach = Approach(around_logon=LogonGate().log_on)
        identities = Identities()

        def opening(place: Place) -> Opening:
            return lambda: open_manager(
                place.server, who, port=place.port, timeout=timeout, encrypt=encrypt, approach=approach
            )

        return {
            place.node: Poller(
                identities.opening(place.node, opening(place)),
                server=place.node,
                every=every,
                deadline=timeout,
                kinds=asked,
            )
            for place in await single_servers(server, configuration, port=port)
        }

    return NodesPoller(server, make, kinds=asked)
