"""Watching several servers at once: the updates of all of them, as they come.

    async with Several([watch("fs1"), watch("fs2", credentials)]) as several:
        async for update in several:
            update.picture.server, update.changes

The rules:

  - An update is one of a single server, which its picture names; those of one server come in their order.
  - A server is not asked again before its update was taken and the next one is waited for, so its picture stays as it
    is meanwhile. Nobody else waits for that: the others go on, and whoever came first is given first.
  - A log-on that was refused ends its poller alone: its last update has the error in its picture, an
    AuthenticationError. When the last poller has ended, so does the iteration.
  - Giving up waiting for an update loses nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lanman.errors import AuthenticationError
from lanman.manage.watching.changes import Update

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from lanman.manage.watching.poller import Poller


class Several:
    """Watches several servers. An async context manager, and an async iterator of updates; it closes its pollers."""

    def __init__(self, pollers: Sequence[Poller]) -> None:
        self.pollers = tuple(pollers)
        self._idle: list[Poller] = list(pollers)
        self._running: dict[asyncio.Task[Update | None], Poller] = {}
        self._done: deque[asyncio.Task[Update | None]] = deque()
        self._some = asyncio.Event()
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Disconnect from all of them, and give no more updates. May be called twice."""
        self._closed = True
        self._some.set()
        await asyncio.gather(*(poller.close() for poller in self.pollers))
        waiting = [*self._running, *self._done]
        self._running.clear()
        self._done.clear()
        # Each ends now, since its poller has. What it still had is not wanted any more.
        await asyncio.gather(*waiting, return_exceptions=True)

    def look_now(self) -> None:
        """Ask all of them as soon as may be, and not when they are due."""
        for poller in self.pollers:
            poller.look_now()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Update:
        """The next update of any of them; the end, once all have ended or it is closed."""
        while not self._closed:
            self._ask_again()
            if not self._running and not self._done:
                break
            self._some.clear()
            if not self._done:
                await self._some.wait()
                continue
            task = self._done.popleft()
            poller = self._running.pop(task)
            try:
                update = task.result()
            except AuthenticationError:
                return Update(poller.picture)
            if update is not None:
                self._idle.append(poller)
                return update
        raise StopAsyncIteration

    def _ask_again(self) -> None:
        """Have every poller at work whose last update was taken."""
        for poller in self._idle:
            task = asyncio.create_task(_next_of(poller))
            self._running[task] = poller
            task.add_done_callback(self._ended)
        self._idle.clear()

    def _ended(self, task: asyncio.Task[Update | None]) -> None:
        if not self._closed:
            self._done.append(task)
            self._some.set()


async def _next_of(poller: Poller) -> Update | None:
    return await anext(poller, None)
