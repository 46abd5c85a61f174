"""Records what watchers see: one recorder for a database.

    async with Recorder(store, [watch("fs1"), watch("fs2")], keep=30) as recorder:
        async for update in recorder:       # each is remembered by then, or will be within a second
            ...

The rules:

  - The role `recorder` of the database is held from the beginning to the end: a second recorder is refused
    (AlreadyHeld).
  - What has happened is written at most `BATCH` seconds later, all of it in one transaction, with when each server was
    seen. A recorder that is killed has lost what came since, and whoever reads is told of the gap.
  - Where writing takes longer than what happens, updates are taken later: what is pending stays bounded.
  - What cannot be written ends the recorder with that error (StoreError); a service starts it again.
  - Once a day, and when it begins, what is no longer kept is deleted.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

from lanman.manage.background import Background, Closing
from lanman.manage.history.book import Book, Times
from lanman.manage.history.database import to_its_end
from lanman.manage.history.pending import Pending
from lanman.manage.history.schema import DAY
from lanman.manage.history.store import RECORDER, Store
from lanman.manage.history.writer import Writer
from lanman.manage.watching.poller import Poller, steady_seconds
from lanman.manage.watching.several import Several

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from lanman.manage.watching.changes import Update

KEEP: Final = 30
"""How many days are kept, where no other number is named."""

BATCH: Final = 0.5
"""How many seconds something waits at most until it is written."""

MOST_PENDING: Final = 50_000


class Recorder:
    """Records several servers. An async context manager, and an async iterator of the updates that it has taken in.

    `keep` is how many days are kept, today included; `paths` whether paths of files are recorded. The clocks are those
    of the pollers. Opening raises AlreadyHeld, LanmanError.
    """

    def __init__(
        self,
        store: Store,
        pollers: Sequence[Poller],
        *,
        keep: int = KEEP,
        paths: bool = True,
        wall_clock: Callable[[], float] = time.time,
        steady_clock: Callable[[], float] = steady_seconds,
    ) -> None:
        if keep < 1:
            raise ValueError("at least one day is kept: today")
        self.store = store
        self._keep = keep
        self._paths = paths
        self._wall_clock = wall_clock
        self._steady_clock = steady_clock
        self._several = Several(pollers)
        self._writer = Writer(store.database)
        self._books: dict[int, tuple[Book, Poller]] = {}
        self._pending = Pending()
        self._some = asyncio.Event()
        self._written = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._stack = AsyncExitStack()
        self._kept_from: int | None = None
        self._due = asyncio.Event()

    @property
    def servers(self) -> list[str]:
        """What the servers are called in the database."""
        return [book.server for book, _ in self._books.values()]

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Begin: hold the role, and put in order what an earlier recorder has left. Raises AlreadyHeld, LanmanError."""
        async with AsyncExitStack() as stack:
            await self.store.open()
            await stack.enter_async_context(self.store.hold(RECORDER))
            names = [_name_of(poller) for poller in self._several.pollers]
            before = await self._writer.begin(names, paths=self._paths)
            for name, poller in zip(names, self._several.pollers, strict=True):
                book = Book(
                    name,
                    self._writer.new_id,
                    self._writer.new_gap,
                    before=before.get(name),
                    paths=self._paths,
                    every=poller.every,
                )
                book.pending = self._pending
                self._books[id(poller.picture)] = book, poller
            self._keep_from(int(self._wall_clock()) // DAY)
            self._tasks = [asyncio.create_task(self._write_on()), asyncio.create_task(self._retain_on())]
            self._stack = stack.pop_all()

    async def close(self) -> None:
        """End: write what is pending, and let go. May be called twice. Raises LanmanError where that fails."""
        await self._several.close()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        async with self._stack:
            for end in ends:
                if isinstance(end, Exception):
                    raise end
            if tasks:
                for book, _ in self._books.values():
                    book.stop(self._wall_clock())
                await self._write()

    async def flush(self) -> None:
        """Write what is pending, now. It is on the disk when this returns. Raises LanmanError."""
        self._raise_failure()
        await self._write()

    def look_now(self) -> None:
        """Ask all servers as soon as may be."""
        self._several.look_now()

    async def run(self) -> None:
        """Record until it is closed, or no server is left to be asked. Raises LanmanError."""
        async for _ in self:
            pass

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Update:
        """The next update, taken in. Raises LanmanError where what came before cannot be written; the end, where no
        server is left."""
        while len(self._pending) > MOST_PENDING:
            self._raise_failure()
            self._written.clear()
            await self._or_failure(self._written.wait())
        self._raise_failure()
        update: Update | None = await self._or_failure(anext(self._several, None))
        if update is None:
            raise StopAsyncIteration
        book, poller = self._books[id(update.picture)]
        book.take(update, Times(self._wall_clock(), self._steady_clock(), poller.patience))
        self._some.set()
        today = int(self._wall_clock()) // DAY
        if self._kept_from is None or today - self._keep + 1 > self._kept_from:
            self._keep_from(today)
        return update

    # --- writing

    def _keep_from(self, today: int) -> None:
        self._kept_from = today - self._keep + 1
        for book, _ in self._books.values():
            book.kept_from = self._kept_from
        self._due.set()

    async def _write_on(self) -> None:
        """Write what is pending, again and again."""
        while True:
            await self._some.wait()
            self._some.clear()
            if len(self._pending) <= MOST_PENDING:
                await asyncio.sleep(BATCH)
            await self._write()

    async def _write(self) -> None:
        pending, self._pending = self._pending, Pending()
        for book, _ in self._books.values():
            book.pending = self._pending
        if len(pending) or pending.gap_ends or pending.shares:
            # A transaction that has begun is ended, also where the recorder is.
            await to_its_end(self._writer.write(pending))
        self._written.set()

    async def _retain_on(self) -> None:
        """Delete what is no longer kept, whenever a day is over."""
        while True:
            await self._due.wait()
            self._due.clear()
            assert self._kept_from is not None
            await self._writer.retain(self._kept_from)

    def _raise_failure(self) -> None:
        """Raises what has ended the writing."""
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _or_failure(self, work: Any) -> Any:
        """The result of some waiting; or what has ended the writing, meanwhile."""
        waiting = asyncio.ensure_future(work)
        try:
            await asyncio.wait({waiting, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                self._raise_failure()
            return await waiting
        finally:
            if not waiting.done():
                waiting.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await waiting


def _name_of(poller: Poller) -> str:
    """What a server is called in the database: as it was named; this machine by its own name."""
    return poller.picture.server or socket.gethostname()


class BlockingRecorder(Closing):
    """A Recorder for programs without asyncio: a context manager, and an iterator of updates. It works in a thread of
    its own as long as it is open, and opens the store for itself."""

    def __init__(self, store: Store, pollers: Sequence[Poller], **options: Any) -> None:
        self._background = Background()
        self._recorder = self._background.run(self._made(store, pollers, options))

    @staticmethod
    async def _made(store: Store, pollers: Sequence[Poller], options: dict[str, Any]) -> Recorder:
        return Recorder(store, pollers, **options)

    def __enter__(self) -> Self:
        try:
            self._background.run(self._recorder.open())
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """Write what is pending, let go of the store, and end the thread. May be called twice."""
        self._background.close(self._close)

    async def _close(self) -> None:
        try:
            await self._recorder.close()
        finally:
            await self._recorder.store.close()

    def run(self) -> None:
        """Record until no server is left to be asked, or it is interrupted. Raises LanmanError."""
        for _ in self:
            pass

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Update:
        """The next update, taken in; the end, once it is closed."""
        update = self._background.run(self._next()) if self._background.running else None
        if update is None:
            raise StopIteration
        return update

    async def _next(self) -> Update | None:
        return await anext(self._recorder, None)
