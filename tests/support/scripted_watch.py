"""Servers that are watched without one: what a watcher would give is scripted, and orders go to a Manager of lists."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from textual.pilot import Pilot

from lanman.errors import LanmanError
from lanman.events import Event
from lanman.faces.tui.app import Source, WatchScreen
from lanman.faces.tui.model import Meant
from lanman.faces.tui.symbols import Symbols
from lanman.manage.manager import Manager
from lanman.manage.watching.changes import VANISHED, Change, Gap, Picture, Update, What
from lanman.manage.watching.keys import FileKey, How, SessionKey, ShareKey
from lanman.manage.watching.rows import FileRow, Kind, Row, SessionRow, ShareRow
from support.fake_manager import FakeManager

NOW = 1764079502.0
"""What time it is, in seconds since 1970."""


def session(
    client: str, user: str, opens: int | None = 0, *, idle: float | None = 0, age: float = 3600, number: int = 0
) -> SessionRow:
    """A session as a polled server lists it."""
    used_at = None if idle is None else NOW - idle
    key = SessionKey(client, user, round(NOW - age), None, number)
    return SessionRow(key, client, user, opens, NOW - age, How.TOLD, used_at)


def file(id: int, path: str, user: str, permissions: int = 1, locks: int = 0, client: str | None = None) -> FileRow:
    """A file as a polled server lists it."""
    how = How.UNKNOWN if client is None else How.INFERRED
    return FileRow(FileKey(id, path, user), id, path, user, permissions, locks, client, how, not_before=NOW - 3600)


def share(name: str, path: str, uses: int = 0) -> ShareRow:
    """A share of a folder."""
    return ShareRow(ShareKey(name), name, 0, path, "", 0xFFFFFFFF, uses)


@dataclass
class ScriptedSource:
    """A server of which a test says what is seen of it: `first`, `now_changes`, `away`."""

    name: str = "fs1"
    told: Manager = field(default_factory=lambda: FakeManager("fs1"))
    meant: Meant | None = None
    nodes: bool = False
    left: bool = False
    looks: int = 0

    def __post_init__(self) -> None:
        self.picture = Picture(self.name)
        self._updates: asyncio.Queue[Update | LanmanError | None] = asyncio.Queue()

    def first(self, *rows: Row, level: int | None = 502, kinds: frozenset[Kind] = frozenset(Kind)) -> None:
        """The first look, which succeeds."""
        self.picture = Picture(self.name, kinds)
        for row in rows:
            self.picture.put(row)
        self.picture.level, self.picture.asked_at, self.picture.duration = level, NOW, 0.1
        self._updates.put_nowait(Update(self.picture, first=True))

    def changed(self, *changes: Change, at: float = NOW, gap: Gap | None = None, events: Sequence[Event] = ()) -> None:
        """A later look."""
        for change in changes:
            self.picture.apply(change)
        self.picture.asked_at, self.picture.error = at, None
        self._updates.put_nowait(Update(self.picture, changes, gap=gap, events=events))

    def away(self, error: LanmanError) -> None:
        """A look that fails."""
        self.picture.error = error
        self._updates.put_nowait(Update(self.picture))

    def fail(self, error: LanmanError) -> None:
        """The watcher gives up."""
        self._updates.put_nowait(error)

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[AsyncIterator[Update]]:
        """See `lanman.faces.tui.app.Source`."""
        try:
            yield self._all()
        finally:
            self.left = True

    async def _all(self) -> AsyncIterator[Update]:
        while (update := await self._updates.get()) is not None:
            if isinstance(update, LanmanError):
                raise update
            yield update

    def look_now(self) -> None:
        """See `lanman.faces.tui.app.Source`."""
        self.looks += 1

    @asynccontextmanager
    async def manager(self) -> AsyncIterator[Manager]:
        """See `lanman.faces.tui.app.Source`."""
        yield self.told


def opened(row: Row, at: float = NOW, how: How = How.SEEN) -> Change:
    """Something new."""
    return Change(What.OPENED, row, at, how, at - 2)


def closed(row: Row, at: float = NOW, why: str = VANISHED) -> Change:
    """Something that is no longer there."""
    return Change(What.CLOSED, row, at, How.SEEN, at - 2, why)


def became(before: Row, after: Row, at: float = NOW) -> Change:
    """Something that is otherwise now."""
    assert type(before) is type(after)
    fields = tuple(name for name, old, new in zip(before._fields, before, after, strict=True) if old != new)
    return Change(What.CHANGED, after, at, How.SEEN, at - 2, before=before, fields=fields)


async def _nothing_ready() -> None:
    """Wait until the loop has nothing to do but to wait."""
    loop = asyncio.get_running_loop()
    while loop._ready:  # type: ignore[attr-defined]  # noqa: ASYNC110
        await asyncio.sleep(0)


class Terminal:
    """A screen under test, and the keys that are pressed. Without `real_time`, `time` is what a test says."""

    def __init__(
        self,
        *sources: Source,
        readonly: bool = False,
        symbols: Symbols | None = None,
        every: float = 2,
        real_time: bool = False,
    ) -> None:
        self.time = NOW
        clock = time.time if real_time else lambda: self.time
        self.screen = WatchScreen(sources, every=every, readonly=readonly, symbols=symbols, clock=clock)
        self.pilot: Pilot[int]

    @asynccontextmanager
    async def shown(self, columns: int = 80, lines: int = 24) -> AsyncIterator[Terminal]:
        async with self.screen.run_test(size=(columns, lines)) as self.pilot:
            await self.settled()
            yield self

    async def press(self, *keys: str) -> list[str]:
        """Press them one after the other, each when everything that the one before has led to is done."""
        for key in keys:
            await self.pilot.press(key)
            await self.settled()
        return self.lines

    async def settled(self) -> list[str]:
        """The screen when nothing is left to do. Textual's own `pause` guesses that from how busy the process has been,
        which goes wrong where the machine is slow: here the loop itself tells that nothing is ready to run."""
        before: list[str] | None = None
        while (lines := self.lines) != before:
            before = lines
            await _nothing_ready()
            # Draws what is due, for which a timer would have to come first.
            await self.pilot.pause(0)
            await _nothing_ready()
        return lines

    @property
    def lines(self) -> list[str]:
        return [strip.text.rstrip() for strip in self.screen.screen._compositor.render_strips()]

    def row(self, word: str) -> str:
        found = [line for line in self.lines[2:-2] if word in line]
        assert len(found) == 1, (word, self.lines)
        return found[0]
