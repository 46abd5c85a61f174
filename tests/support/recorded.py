"""Servers that are recorded without one: what their pollers give is scripted, and so is the time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lanman.errors import ConnectionLost
from lanman.manage.history import Recorder, open_store
from lanman.manage.manager import Manager
from lanman.manage.watching.changes import VANISHED, Change, Gap, Update, What
from lanman.manage.watching.keys import FileKey, How, SessionKey, ShareKey
from lanman.manage.watching.poller import Poller
from lanman.manage.watching.rows import FileRow, Row, SessionRow, ShareRow

DAY = 86400
NOON = 20_000 * DAY + DAY // 2
"""Noon of some day, in seconds since 1970."""


class Clock:
    """The clocks of a recorder and its store, which a test sets: `now`, and a steady one that goes along."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now
        self.set_by = 0.0

    def wall(self) -> float:
        """Seconds since 1970."""
        return self.now

    def steady(self) -> float:
        """The same, but that nobody sets it."""
        return self.now - self.set_by

    def set(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self.now += seconds
        self.set_by += seconds


class ScriptedPoller(Poller):
    """A poller whose updates a test makes: `look`, `away`. One look follows the other after `every` seconds."""

    def __init__(self, server: str, clock: Clock, *, every: float = 5, patience: float = 20) -> None:
        super().__init__(_nobody, server=server, every=every)
        self.clock = clock
        self.waiting = patience
        self.queue: asyncio.Queue[Update | None] = asyncio.Queue()
        self.last: float | None = None
        self.ended = False

    @property
    def patience(self) -> float:
        """See Poller."""
        return self.waiting

    async def __anext__(self) -> Update:
        update = None if self.ended else await self.queue.get()
        if update is None:
            raise StopAsyncIteration
        return update

    async def close(self) -> None:
        """See Poller."""
        self.ended = True
        self.queue.put_nowait(None)

    # --- what happens

    def look(self, *changes: Change, first: bool = False, gap: Gap | None = None) -> Update:
        """A look that succeeds now, and what it shows."""
        for change in changes:
            self.picture.apply(change)
        self.picture.asked_at, self.picture.error, self.picture.level = self.clock.now, None, 502
        self.last = self.clock.now
        update = Update(self.picture, () if first else changes, first, gap)
        self.queue.put_nowait(update)
        return update

    def away(self, text: str = "it is off") -> Update:
        """A look that fails."""
        self.picture.error = ConnectionLost(text)
        update = Update(self.picture)
        self.queue.put_nowait(update)
        return update

    def seen(self, row: Row) -> Change:
        """A row that was not there at the look before."""
        return Change(What.OPENED, row, self.clock.now, How.SEEN, self.last)

    def told(self, row: Row) -> Change:
        """A row, as our own Server tells of it."""
        return Change(What.OPENED, row, self.clock.now, How.TOLD)

    def gone(self, row: Row, why: str = VANISHED) -> Change:
        """A row that was there at the look before."""
        return Change(What.CLOSED, row, self.clock.now, How.SEEN, self.last, why)

    def ended_as_told(self, row: Row, why: str) -> Change:
        """A row that has ended, as our own Server tells."""
        return Change(What.CLOSED, row, self.clock.now, How.TOLD, why=why)

    def changed(self, before: Row, now: Row) -> Change:
        """A row in place of another."""
        return Change(What.CHANGED, now, self.clock.now, How.SEEN, self.last, before=before)


@asynccontextmanager
async def _nobody() -> AsyncIterator[Manager]:
    raise AssertionError("nobody is asked")
    yield


def session(client: str, user: str, begun_at: float | None = None, number: int = 0) -> SessionRow:
    """A session; it began at a time that its server tells, or at one that is not known."""
    key = SessionKey(client, user, None if begun_at is None else int(begun_at), None, number)
    return SessionRow(key, client, user, 0, begun_at, How.UNKNOWN if begun_at is None else How.TOLD)


def file(id: int, path: str, user: str, client: str | None = None, access: int = 1) -> FileRow:
    """An open file, of which its server does not tell since when."""
    how = How.UNKNOWN if client is None else How.INFERRED
    return FileRow(FileKey(id, path, user), id, path, user, access, 0, client, how)


def share(name: str, path: str) -> ShareRow:
    """A share of a folder."""
    return ShareRow(ShareKey(name), name, 0, path)


class Stage:
    """A store, and a recorder of some servers on it; `play` has the recorder take in what was scripted."""

    def __init__(self, url: str, clock: Clock, *servers: str, keep: int = 30, paths: bool = True) -> None:
        self.url = url
        self.clock = clock
        self.servers = servers
        self.options = {"keep": keep, "paths": paths}
        self.store = open_store(url, wall_clock=clock.wall)
        self.pollers: dict[str, ScriptedPoller] = {}
        self.recorder: Recorder | None = None

    async def __aenter__(self) -> Stage:
        await self.store.open()
        return self

    async def __aexit__(self, *error: object) -> None:
        if self.recorder is not None:
            await self.stop()
        await self.store.close()

    async def start(self) -> None:
        """Start the recorder; nothing is known to its pollers."""
        self.pollers = {name: ScriptedPoller(name, self.clock) for name in self.servers}
        # A store of its own, as in a process of its own.
        store = open_store(self.url, wall_clock=self.clock.wall)
        recorder = Recorder(
            store,
            list(self.pollers.values()),
            wall_clock=self.clock.wall,
            steady_clock=self.clock.steady,
            **self.options,  # type: ignore[arg-type]
        )
        try:
            await recorder.open()
        except BaseException:
            await store.close()
            raise
        self.recorder = recorder

    async def play(self) -> None:
        """Have everything that was scripted taken in, and written."""
        assert self.recorder is not None
        while any(poller.queue.qsize() for poller in self.pollers.values()):
            await anext(self.recorder)
        await self.recorder.flush()

    async def stop(self) -> None:
        """Stop the recorder as it is meant to be."""
        recorder, self.recorder = self.recorder, None
        assert recorder is not None
        await recorder.close()
        await recorder.store.close()

    async def kill(self) -> None:
        """Have the recorder gone, as if it were killed: nothing more is written."""
        recorder, self.recorder = self.recorder, None
        assert recorder is not None
        for task in recorder._tasks:
            task.cancel()
        await asyncio.gather(*recorder._tasks, return_exceptions=True)
        recorder._tasks = []
        await recorder._stack.aclose()
        await recorder.store.close()
