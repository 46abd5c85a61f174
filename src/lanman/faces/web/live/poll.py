"""What one poll of a server comes to: what is shown to all who share it, and the events that tell them of changes.

An update of the poller is taken in when it comes, and told in a delta with all others of the same quarter of a second.
Where more rows have changed than are worth telling one by one (`MAX_ROWS`), what is shown begins anew, and readers are
given the whole again.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Generator, Mapping
from typing import Any, Final, TypeVar

from lanman.errors import AccessDenied, LanmanError
from lanman.faces.web.live.deltas import STEP, Delta, Pending, Shown, as_json, delta_text
from lanman.faces.web.live.ring import Ring, event_bytes, place
from lanman.faces.web.live.told import Asked, Told
from lanman.manage.watching.changes import Gap, Picture, Update

T = TypeVar("T")

VERSION: Final = 1
"""The `v` of every event."""
PER_SECOND: Final = 4
MAX_ROWS: Final = 5000


class Numbers:
    """The numbers of all that a hub tells. `epoch` is another for each hub."""

    def __init__(self) -> None:
        self.epoch = secrets.token_hex(4)
        self.last = 0

    def next(self) -> int:
        """The next number."""
        self.last += 1
        return self.last

    def place(self, number: int | None = None) -> str:
        """The place of a number, or of the last one, as a word."""
        return place(self.epoch, self.last if number is None else number)


class Poll:
    """What is shown of a server to those who are `told` the same.

    `news` is called when there is something to tell, `otherwise` when the state of the server is another. `clock` gives
    seconds that do not go back.
    """

    def __init__(
        self,
        server: str,
        asked: Asked,
        numbers: Numbers,
        *,
        clock: Callable[[], float],
        news: Callable[[], None],
        otherwise: Callable[[], None],
    ) -> None:
        self.server = server
        self.told: Told = asked.told
        self.picture: Picture = asked.picture
        """What was seen last. It may be ahead of what is shown, by less than a second."""
        self.cannot: Mapping[str, str] = asked.cannot
        self.shown = Shown()
        self.ring = Ring(numbers.last)
        self.begun = asyncio.Event()
        """Whether anything is shown."""
        self.error: LanmanError | None = None
        """Why the server does not answer now."""
        self._numbers, self._clock, self._news, self._otherwise = numbers, clock, news, otherwise
        self._pending = Pending()
        self._due = 0.0
        self._state: object = None

    async def begin(self, asked: Asked) -> None:
        """Show what a poller has seen in its first look, in place of all that is shown."""
        self.picture, self.cannot = asked.picture, asked.cannot
        await self._begin_anew()
        self.be(None)

    async def _begin_anew(self) -> None:
        self._pending.clear()
        await _in_steps(self.shown.begin(self.picture))
        self.ring.begin_anew(self._numbers.next())
        self.begun.set()
        self._news()

    def be(self, error: LanmanError | None) -> None:
        """The server answers, or why it does not."""
        self.error = error
        state = error, dict(self.picture.refused)
        if state != self._state:
            self._state = state
            self._otherwise()

    async def run(self, asked: Asked) -> None:
        """Tell what a poller sees, until it is told something else than those who share the poll. Raises
        AuthenticationError where its log-on was refused."""
        while True:
            due = asyncio.timeout_at(self._due if self._pending else None)
            try:
                async with due:
                    update = await anext(asked.poller, None)
            except TimeoutError:
                if not due.expired():
                    raise
                await self._emit()
                continue
            if update is None or not self._is_same(asked):
                return
            await self._take(update)

    def _is_same(self, asked: Asked) -> bool:
        """Whether the others may be shown what the poller sees."""
        error = asked.picture.error
        if error is not None:
            return not isinstance(error, AccessDenied)
        return asked.told.is_same(self.told)

    async def _take(self, update: Update) -> None:
        if update.first:
            await self._begin_anew()
        else:
            self._pending.take(update.changes, update.gap)
            if self._pending and asyncio.get_running_loop().time() >= self._due:
                await self._emit()
        self.be(self.picture.error)

    async def _emit(self) -> None:
        """Tell what is pending, as one delta."""
        self._due = asyncio.get_running_loop().time() + 1 / PER_SECOND
        if len(self._pending) > MAX_ROWS:
            await self._begin_anew()
            return
        gap, delta = self._pending.gap, await _in_steps(self._pending.merged(self.shown))
        if not delta.rows and gap is None:
            return
        rows = await self._rows_of(delta, gap)
        # From here on nothing else runs: whoever asks is told what was shown before, or all of the delta.
        self.shown.apply(delta)
        first, number = self.ring.last + 1, self._numbers.next()
        head = as_json(self._head(first, number))
        self.ring.add(number, event_bytes(self._numbers.place(number), "delta", f"{head[:-1]},{rows}"), self._clock())
        self._news()

    async def _rows_of(self, delta: Delta, gap: Gap | None) -> str:
        pieces: list[str] = []
        for piece in delta_text(delta, self.shown, gap):
            pieces.append(piece)
            if len(pieces) % STEP == 0:
                await asyncio.sleep(0)
        return "".join(pieces)

    def _head(self, first: int, number: int) -> dict[str, Any]:
        picture = self.picture
        return {
            "v": VERSION,
            "server": self.server,
            "seq": [first, number],
            "t": None if picture.asked_at is None else round(picture.asked_at, 3),
            "how": "streamed" if picture.streamed else "polled",
        }


async def _in_steps(steps: Generator[None, None, T]) -> T:
    """What a generator gives in the end, with other work done between its steps."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        await asyncio.sleep(0)
