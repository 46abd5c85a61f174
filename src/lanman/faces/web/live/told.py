"""What a server tells somebody: the look by which those are found who are told the same.

The rules:

  - Who is told by another service, at another level of sessions or shares, of fewer or more kinds, or whether it tells
    by itself, is told something else.
  - So is who is told of other shares: servers hide those that somebody may not use (Samba's `access based share enum`).
  - No server is known to hide single sessions or files from those whom it lists them for. As a backstop, who is told
    of less than half of what is shown is told something else.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from lanman.manage.kept import Opening
from lanman.manage.manager import Manager
from lanman.manage.watching.changes import Picture
from lanman.manage.watching.poller import Poller, steady_seconds
from lanman.manage.watching.rows import Kind

FEW: Final = 20
"""Of so few rows, any number may have come or gone between two looks."""


class Clocks(NamedTuple):
    """What time it is: `wall` in seconds since 1970, and `steady` in seconds that nobody sets."""

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = steady_seconds


class Told(NamedTuple):
    """In which way a server tells what there is. `shares` is how much it tells of shares: 2 with their folders, 1
    without, 0 their names alone, None where it told none."""

    by: str
    level: int | None
    kinds: frozenset[Kind]
    streamed: bool
    shares: int | None

    def is_same(self, other: Told) -> bool:
        """Whether two are told in the same way."""
        if None in (self.shares, other.shares):
            return self._replace(shares=None) == other._replace(shares=None)
        return self == other


class _Answering:
    """Who answers."""

    def __init__(self) -> None:
        self.manager: Manager | None = None


class Asked:
    """A poller of a server with somebody's credentials, and who answers it."""

    def __init__(self, opening: Opening, server: str, clocks: Clocks, *, every: float, timeout: float) -> None:
        # Nothing refers back to what has the rows: a look that is over is freed at once, and not when the collector
        # comes by.
        self._answering = answering = _Answering()

        @asynccontextmanager
        async def opened() -> AsyncIterator[Manager]:
            async with opening() as manager:
                answering.manager = manager
                yield manager

        self.poller = Poller(
            opened,
            server=server,
            every=every,
            deadline=timeout,
            wall_clock=clocks.wall,
            steady_clock=clocks.steady,
        )

    @property
    def manager(self) -> Manager | None:
        """The Manager that is open, or was last."""
        return self._answering.manager

    @property
    def picture(self) -> Picture:
        """What the poller has seen."""
        return self.poller.picture

    @property
    def told(self) -> Told:
        """How the server tells it, as it last did."""
        picture = self.picture
        return Told(
            type(self.manager).__name__,
            picture.level,
            picture.kinds - picture.refused.keys(),
            picture.streamed,
            shares_told(picture),
        )

    @property
    def cannot(self) -> Mapping[str, str]:
        """What the server cannot be told to do, and why."""
        return {} if self.manager is None else self.manager.cannot

    async def close(self) -> None:
        """Disconnect."""
        await self.poller.close()


def shares_told(picture: Picture) -> int | None:
    """How much is told of shares."""
    if not picture.shares:
        return None
    rows = picture.shares.values()
    if any(row.path is not None for row in rows):
        return 2
    return 1 if any(row.type is not None for row in rows) else 0


def is_told_as_much(picture: Picture, shown: Picture) -> bool:
    """Whether somebody's picture lacks nothing that another's shows: the same shares, and about as much of the rest."""
    if picture.shares.keys() != shown.shares.keys():
        return False
    pairs = ((picture.sessions, shown.sessions), (picture.files, shown.files))
    return all(2 * len(theirs) >= len(rows) - FEW for theirs, rows in pairs)
