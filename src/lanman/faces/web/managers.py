"""The Managers by which the console answers a person's questions: opened as that person, and kept for the next one.

Rules:

  - A Manager belongs to one person's access to one server, and answers nobody else.
  - It stays open for `KEEP` seconds after its last question, and ends with its person.
  - One that has lost its connection is not asked again: the next question opens another.
  - A log-on that was refused is not tried again with the same access: wrong passwords lock accounts. Who logs in anew
    has another access.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Final

from lanman.errors import AuthenticationError, ConnectionLost, LanmanError, ProtocolError

if TYPE_CHECKING:
    from lanman.faces.web.people import Access, Person
    from lanman.manage.manager import Manager

KEEP: Final = 60.0
LIMITS_LAST: Final = 300.0

_Key = tuple["Person", str]


class _Kept:
    """A Manager that is open, or being opened. `users` are the questions that it answers now."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.stack = contextlib.AsyncExitStack()
        self.opening = asyncio.Lock()
        self.manager: Manager | None = None
        self.users = 0
        self.used_at = 0.0
        self.is_over = False


class Managers:
    """Managers of people, by access."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, keep: float = KEEP) -> None:
        self._clock = clock
        self._keep = keep
        self._kept: dict[_Key, _Kept] = {}
        self._limits: dict[_Key, tuple[float, int | None]] = {}
        self.examining: set[Person] = set()
        """For whom an examination is running (`GET /doctor`)."""
        self._closing: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    @contextlib.asynccontextmanager
    async def of(self, person: Person, access: Access) -> AsyncIterator[Manager]:
        """A Manager for some questions. Raises what opening it raises."""
        access.refusal.check()
        key = person, access.server
        kept = self._kept.get(key)
        if kept is None or kept.access is not access:
            self._let_go(key)
            kept = self._kept[key] = _Kept(access)
        kept.users += 1
        try:
            async with kept.opening:
                if kept.manager is None:
                    kept.manager = await kept.stack.enter_async_context(access.opening())
            yield kept.manager
        except (ConnectionLost, ProtocolError):
            self._forget(key, kept)
            raise
        except AuthenticationError as error:
            access.refusal.error = error
            self._forget(key, kept)
            raise
        finally:
            kept.users -= 1
            kept.used_at = self._clock()
            if kept.is_over or kept.manager is None:
                self._forget(key, kept)
                self._end(kept)
            else:
                self._look_later()

    async def limit(self, person: Person, access: Access) -> int | None:
        """How many sessions the server admits, as it said within the last `LIMITS_LAST` seconds; None where it does not
        say. Raises what asking raises."""
        key, now = (person, access.server), self._clock()
        if (known := self._limits.get(key)) is not None and now - known[0] < LIMITS_LAST:
            return known[1]
        async with self.of(person, access) as manager:
            users = (await manager.server_info()).users
        if not person.ended:
            self._limits[key] = now, users
        return users

    def leave(self, person: Person) -> None:
        """A person has ended: so do their Managers, those that still answer once they have."""
        for key in [key for key in self._kept if key[0] is person]:
            self._let_go(key)
        self._limits = {key: each for key, each in self._limits.items() if key[0] is not person}

    async def close(self) -> None:
        """Disconnect from everywhere. May be called twice."""
        if self._timer is not None:
            self._timer.cancel()
        for key in list(self._kept):
            self._let_go(key)
        if self._closing:
            await asyncio.wait(self._closing)

    def _let_go(self, key: _Key) -> None:
        if (kept := self._kept.get(key)) is not None:
            self._forget(key, kept)
            self._end(kept)

    def _forget(self, key: _Key, kept: _Kept) -> None:
        kept.is_over = True
        if self._kept.get(key) is kept:
            del self._kept[key]

    def _end(self, kept: _Kept) -> None:
        if kept.users == 0:
            task = asyncio.ensure_future(_closed(kept.stack))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _look_later(self) -> None:
        if self._timer is None and self._kept:
            self._timer = asyncio.get_running_loop().call_later(self._keep, self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._clock()
        for key, kept in list(self._kept.items()):
            if kept.users == 0 and now - kept.used_at >= self._keep:
                self._let_go(key)
        self._look_later()


async def _closed(stack: contextlib.AsyncExitStack) -> None:
    with contextlib.suppress(LanmanError):
        await stack.aclose()
