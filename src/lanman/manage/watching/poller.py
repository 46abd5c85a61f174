"""Watches one server: asks it again and again, or follows it, and gives what has changed.

    async with watch("fs1", credentials, every=2) as poller:
        async for update in poller:
            for change in update.changes: ...

The rules:

  - lanman's own Server tells each event by itself (`Manager.follow`), to whom it lets follow; only when sessions were
    last used is asked for, `every` so many seconds. Every other server is asked for its lists: the next time after
    `every` seconds, or after `LOAD` times as long as the last answers took, whichever is later; counted from when they
    were asked for, and never two questions at once.
  - Each look gives an update, also one in which nothing has changed. Who takes updates slowly is asked for slowly.
  - Every question ends within `deadline` seconds; the Manager sees to that, and is not trusted with it.
  - A server that does not answer is an update with an `error` in the picture, which stays as it was. It is tried again
    with a new connection after `every` seconds (one that was followed, after one), then after pauses that double up to
    `MAX_PAUSE`, each a little at random, so that many who watch do not come back at once.
  - Where it answers in another way than before (another service of this machine, one that can no longer be followed),
    the picture is a first one again.
  - A log-on that was refused is not tried again: wrong passwords lock accounts. AuthenticationError is raised.
  - Refused are kinds of rows (`Picture.refused`); where all that is asked for is refused, the server does not answer.
  - Giving up waiting for an update loses nothing: the work goes on, and the next wait gives its result.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, TypeVar

from lanman import codes
from lanman.errors import AuthenticationError, EventsLost, LanmanError, TimedOut, Win32Error
from lanman.manage.cluster import is_cluster
from lanman.manage.kept import Opening
from lanman.manage.manager import DEFAULT_TIMEOUT, Manager
from lanman.manage.open import open_manager
from lanman.manage.watching.changes import Change, Gap, Picture, Update
from lanman.manage.watching.differ import Differ, Look
from lanman.manage.watching.matching import Begun
from lanman.manage.watching.rows import Kind
from lanman.net.dial import Within

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from lanman.events import Event
    from lanman.manage.granted import GrantedLevels
    from lanman.manage.watching.streamed import Streamed
    from lanman.net.control.follow import EventFollower
    from lanman.net.credentials import Credentials
    from lanman.records import SessionInfo

T = TypeVar("T")

EVERY: Final = 2.0
LOAD: Final = 20
MAX_PAUSE: Final = 60.0
ALL_KINDS: Final = frozenset(Kind)

# A Manager keeps its own deadline, with words about what it waited for; this much later it is broken off.
_GRACE: Final = 1.0

# What may have to be waited for until an update is there: opening, following, and the three lists.
_QUESTIONS: Final = 5

# How long one call waits for events, in seconds.
_WAIT: Final = 20.0


class Poller:
    """Watches one server. An async context manager, and an async iterator of updates that ends when it is closed.

    `picture` is what there is (`Update.picture`). `every` may be changed at any time.
    """

    def __init__(
        self,
        opening: Opening,
        *,
        server: str = "",
        every: float = EVERY,
        deadline: float = DEFAULT_TIMEOUT,
        kinds: frozenset[Kind] = ALL_KINDS,
        wall_clock: Callable[[], float] = time.time,
        steady_clock: Callable[[], float] | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.picture = Picture(server, kinds)
        self.every = every
        self._opening = opening
        self._deadline = deadline
        self._wall_clock = wall_clock
        self._steady_clock = steady_clock or steady_seconds
        self._chance = chance
        self._differ = Differ(self.picture)
        self._stream: Streamed | None = None
        self._open: _Open | None = None
        self._way: tuple[type[Manager], bool] | None = None
        self._failures = 0
        self._due = 0.0
        self._gap: Gap | None = None
        self._now = asyncio.Event()
        self._work: asyncio.Task[Update] | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Disconnect, and give no more updates. Never fails; may be called twice."""
        self._closed = True
        if self._work is not None:
            await _cancelled(self._work)
        await self._leave(None)

    def look_now(self) -> None:
        """Ask as soon as may be, and not when it is due."""
        self._now.set()

    @property
    def patience(self) -> float:
        """Within how many seconds from now the next update comes at the latest, if it is waited for: when the server is
        asked again, and what opening and all questions together may take."""
        return max(0.0, self._due - self._loop_time()) + _QUESTIONS * (self._deadline + _GRACE)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Update:
        """The next update. Raises AuthenticationError, which ends it; the end, once it is closed."""
        if self._closed:
            raise StopAsyncIteration
        if self._work is None:
            self._work = asyncio.create_task(self._next())
        work = self._work
        # Unlike awaiting it, this does not cancel the work when the waiting is cancelled.
        await asyncio.wait({work})
        if work.cancelled():
            raise StopAsyncIteration
        self._work = None
        return work.result()

    async def _next(self) -> Update:
        if self._open is None or self._open.follower is None:
            await self._until_due()
        began = self._loop_time()
        try:
            if self._open is None:
                self._open = await _Open.enter(self._opening)
                self.picture.server = self._open.manager.server or self.picture.server
                if self._open.follower is not None:
                    self._answers_as(self._open.manager)
                    return self._begin(self._open.follower)
            if self._open.follower is not None:
                return await self._follow(self._open, self._open.follower)
            return await self._look(self._open.manager)
        except AuthenticationError as error:
            await self._away(error, began)
            self._closed = True
            raise
        except LanmanError as error:
            await self._away(error, began)
            return Update(self.picture)

    # --- asking

    async def _look(self, manager: Manager) -> Update:
        """Ask for the lists, and find what has changed."""
        began, at = self._loop_time(), self._wall_clock()
        refused: dict[Kind, LanmanError] = {}
        # Files first: whoever has opened one of them is then among the sessions (`lanman.manage.watching.clients`).
        files = await self._ask(Kind.FILE, manager.files, refused)
        asked = Begun(self._steady_clock(), self._wall_clock())
        sessions = await self._ask(Kind.SESSION, manager.sessions, refused)
        took = max(0.0, self._steady_clock() - asked.steady)
        shares = await self._ask(Kind.SHARE, manager.shares, refused)
        if len(refused) == len(self.picture.kinds):
            raise refused.get(Kind.SESSION) or next(iter(refused.values()))
        self._answers_as(manager)
        changes = await self._compared(
            Look(asked, took, sessions, files, shares, manager.is_samba, not manager.is_samba)
        )
        self.picture.refused, self.picture.streamed = refused, False
        self.picture.asked_at, self.picture.duration = at, self._loop_time() - began
        self._due = began + max(self.every, LOAD * self.picture.duration)
        return self._answered(changes)

    async def _compared(self, look: Look) -> list[Change] | None:
        """What has changed, with other work done in between: comparing takes long where much is listed."""
        steps = self._differ.steps(look)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                changes: list[Change] | None = end.value
                return changes
            await asyncio.sleep(0)

    def _answers_as(self, manager: Manager) -> None:
        """The server answers by this Manager, and is followed or not. Where that is another way than before, it may be
        another service of this machine, and tells other things: nothing can be compared."""
        way = type(manager), self._open is not None and self._open.follower is not None
        if self._way is not None and way != self._way:
            self.picture.sessions, self.picture.files, self.picture.shares = {}, {}, {}
            self._differ, self._stream = Differ(self.picture), None
        self._way = way

    async def _ask(
        self, kind: Kind, question: Callable[[], Awaitable[T]], refused: dict[Kind, LanmanError]
    ) -> T | None:
        """The answer to one question; None where it is not asked, or is refused."""
        if kind not in self.picture.kinds:
            return None
        try:
            return await self._within_deadline(question())
        except Win32Error as error:
            refused[kind] = error
            return None

    async def _within_deadline(self, question: Awaitable[T], wait: float = 0.0) -> T:
        server = self.picture.server or None
        async with Within(wait + self._deadline + _GRACE, lambda: "it does not answer", server=server):
            return await question

    def _answered(self, changes: Sequence[Change] | None, events: Sequence[Event] = ()) -> Update:
        """The server has answered: an update with what has changed."""
        self._failures = 0
        self.picture.error = None
        gap, self._gap = self._gap, None
        if gap is not None:
            gap = gap._replace(until=self._wall_clock())
        return Update(self.picture, changes or (), changes is None, gap, events)

    # --- following

    def _begin(self, follower: EventFollower) -> Update:
        """Go on from the snapshot that the follower has."""
        from lanman.manage.watching.streamed import Streamed

        if self._stream is None:
            self._stream = Streamed(self.picture)
        self.picture.refused = {}
        self._due = self._loop_time()
        self._seen()
        return self._answered(self._stream.begin(follower.state, follower.instance, self._wall_clock()))

    def _seen(self) -> None:
        self.picture.asked_at, self.picture.duration = self._wall_clock(), 0.0

    async def _follow(self, open: _Open, follower: EventFollower) -> Update:
        """Wait for events, and ask when sessions were used where that is due; whichever comes first."""
        assert self._stream is not None
        while True:
            if open.events is None:
                self._wait_for_events(open, follower)
            pause = self._due - self._loop_time()
            if open.used is None and pause <= 0:
                open.used = asyncio.create_task(self._used(open.manager))
            awaited = [task for task in (open.events, open.used) if task is not None]
            await asyncio.wait(
                awaited, timeout=pause if open.used is None else None, return_when=asyncio.FIRST_COMPLETED
            )
            if open.events is not None and open.events.done():
                events, open.events = open.events, None
                if update := await self._happened(events, open, follower, self._stream):
                    return update
            elif open.used is not None and open.used.done():
                used, open.used = open.used, None
                self._seen()
                return self._answered(self._stream.used(*used.result()))

    def _wait_for_events(self, open: _Open, follower: EventFollower) -> None:
        open.events = asyncio.create_task(self._within_deadline(follower.more(_WAIT), _WAIT))

    async def _happened(
        self, got: asyncio.Task[list[Event]], open: _Open, follower: EventFollower, stream: Streamed
    ) -> Update | None:
        """What events have changed; None where there were none."""
        try:
            events = got.result()
        except EventsLost as error:
            self._gap = Gap(stream.seen_at, 0.0, error.message)
            await self._within_deadline(follower.begin_again())
            return self._begin(follower)
        self._seen()
        stream.seen_at = self._wall_clock()
        changes = [change for event in events for change in stream.take(event)]
        if stream.stopped:
            stopped = Win32Error(codes.NERR_ServerNotStarted, server=self.picture.server)
            await self._away(stopped, self._loop_time())
            return Update(self.picture, changes, events=events)
        # What comes next is waited for although nobody may ask for it now: a Server that stops says so once.
        self._wait_for_events(open, follower)
        return self._answered(changes, events) if events else None

    async def _used(self, manager: Manager) -> tuple[Sequence[SessionInfo], float]:
        """The sessions, whose idle times count, and when they were; none where the Server does not tell."""
        began, at = self._loop_time(), self._wall_clock()
        try:
            sessions: Sequence[SessionInfo] = await self._within_deadline(manager.sessions())
        except Win32Error:
            sessions = ()
        took = self._loop_time() - began
        self._due = began + max(self.every, LOAD * took)
        return sessions, at + took / 2

    # --- coming and going

    async def _away(self, error: LanmanError, began: float) -> None:
        """The server does not answer: let go of it until it is tried again."""
        self.picture.error = error
        if self._gap is None and self.picture.asked_at is not None:
            self._gap = Gap(self.picture.asked_at, 0.0, error.message)
        self._failures += 1
        # One that is stuck is not to be stuck again by being asked.
        slow = LOAD * (self._loop_time() - began) if isinstance(error, TimedOut) else 0.0
        # How often one that tells by itself is asked when sessions were used does not count.
        least = 0.0 if self._way is not None and self._way[1] else self.every
        pause = max(least, min(MAX_PAUSE, max(slow, 2.0 ** min(self._failures - 1, 10))))
        self._due = self._loop_time() + pause * (1 + self._chance() / 4)
        await self._leave(error)

    async def _leave(self, error: LanmanError | None) -> None:
        open, self._open = self._open, None
        if open is not None:
            await open.leave(error)

    async def _until_due(self) -> None:
        """Wait until the server is to be asked, or `look_now`."""
        pause = self._due - self._loop_time()
        if pause > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._now.wait()
        self._now.clear()

    def _loop_time(self) -> float:
        return asyncio.get_running_loop().time()


def steady_seconds() -> float:
    """Seconds that nobody sets, and that go on while the machine sleeps where the system has such a clock."""
    # time.monotonic stands still meanwhile on Linux.
    clock: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class _Open:
    """A Manager that is open, and a follower where the server can be followed; with what is waited for."""

    def __init__(self, manager: Manager, follower: EventFollower | None, stack: AsyncExitStack) -> None:
        self.manager = manager
        self.follower = follower
        self.events: asyncio.Task[list[Event]] | None = None
        self.used: asyncio.Task[tuple[Sequence[SessionInfo], float]] | None = None
        self._stack = stack

    @classmethod
    async def enter(cls, opening: Opening) -> _Open:
        """Open a Manager, and follow where that is possible. Raises LanmanError."""
        async with AsyncExitStack() as stack:
            manager = await stack.enter_async_context(opening())
            follower = None
            # A server that cannot be followed, or not by us, is asked.
            with contextlib.suppress(Win32Error):
                follower = await stack.enter_async_context(manager.follow())
            return cls(manager, follower, stack.pop_all())

    async def leave(self, error: LanmanError | None) -> None:
        """Disconnect; after an error without taking leave."""
        for task in (self.events, self.used):
            if task is not None:
                await _cancelled(task)
        with contextlib.suppress(LanmanError):
            await self._stack.__aexit__(None if error is None else type(error), error, None)


async def _cancelled(task: asyncio.Task[Any]) -> None:
    """Cancel a task, and wait until it has ended; nobody asks for what it was about."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


def watch(
    server: str | None = None,
    credentials: Credentials | None = None,
    *,
    every: float = EVERY,
    kinds: Collection[Kind | str] = ALL_KINDS,
    port: int | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    home: str | Path | None = None,
    encrypt: bool = False,
    granted: GrantedLevels | None = None,
    service: str | None = None,
    samba_config: str | None = None,
) -> Poller:
    """Watch a server, to be used in `async with`; see `Poller`.

    It is asked `every` so many seconds for `kinds`: some of "session", "file" and "share". `timeout` is how many
    seconds it may take to answer. The other arguments are those of `lanman.open_manager`. Nothing is done before the
    first update is waited for. Raises ValueError for a kind that there is not, for none, and for a time that is not
    positive.
    """
    if server is not None and is_cluster(server):
        raise ValueError("several servers are watched by lanman.watch_nodes")
    if not every > 0 or not timeout > 0:
        raise ValueError("times are in seconds, and positive")
    if not kinds:
        raise ValueError("nothing is watched: kinds are session, file and share")

    def opening() -> AbstractAsyncContextManager[Manager]:
        return open_manager(
            server,
            credentials,
            port=port,
            timeout=timeout,
            home=home,
            encrypt=encrypt,
            granted=granted,
            service=service,
            samba_config=samba_config,
        )

    return Poller(opening, server=server or "", every=every, deadline=timeout, kinds=frozenset(map(Kind, kinds)))
