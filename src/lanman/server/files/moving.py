"""Renames that the disk has under way, by the names that they take away and give.

Whoever would open such a name to change it, create it or give it to something else waits until the disk has done that:
a rename whose client is gone comes late, and would put another file in the place of one that somebody has opened and
written to since. So does whoever would open anything below such a name, to read too: a directory takes along what is
below it, and that would be known by a path which leads nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lanman.server.effects import Wait, Waiter, Work
from lanman.server.files.leases import place_of

_REMEMBERED: Final = 4096
"""How many places of renames that have ended are remembered. One that is not may have been any."""


class Moving:
    """The places that a rename concerns, whichever share they are reached by, while the disk is busy with it."""

    __slots__ = ("_forgotten", "_last", "_waiting", "ended")

    def __init__(self) -> None:
        self._waiting: dict[str, dict[Waiter[None], None]] = {}
        self._last: dict[str, int] = {}  # places, by the number of the last rename of each, in that order
        self._forgotten = 0  # the number of the last that is not remembered
        self.ended = 0
        """How many have ended."""

    def __len__(self) -> int:
        return len(self._waiting)

    def disturbs(self, since: int, root: str, path: tuple[str, ...], *, itself: bool = True) -> bool:
        """Whether the name `path` below the folder `root` has to be looked at again: a rename of a directory above it
        is under way, or one from or to it (unless not `itself`), or one of these has ended since `ended` was
        `since`."""
        if not self._waiting and since == self.ended:
            return False
        place = place_of(root, path)
        if self._holding(place, itself=itself) is not None:
            return True
        return since < self._forgotten or any(self._last.get(each, 0) > since for each in _upwards(place))

    def wait(self, root: str, path: tuple[str, ...], *, itself: bool = True) -> Work[None]:
        """Wait until no rename is under way of a directory above that name, or from or to it (unless not `itself`)."""
        if not self._waiting:
            return
        place = place_of(root, path)
        while (held := self._holding(place, itself=itself)) is not None:
            yield from self._until_ended(held)

    def is_free(self, root: str, *paths: tuple[str, ...]) -> bool:
        """Whether a rename that concerns these names may begin: none is under way of them, above them or below."""
        return not self._waiting or self._in_the_way({place_of(root, path) for path in paths}) is None

    def wait_until_free(self, root: str, *paths: tuple[str, ...]) -> Work[None]:
        """Wait until it may."""
        if not self._waiting:
            return
        places = {place_of(root, path) for path in paths}
        while (held := self._in_the_way(places)) is not None:
            yield from self._until_ended(held)

    def begin(self, root: str, *paths: tuple[str, ...]) -> Move:
        """A rename concerns these names from now on, which are free; until `Move.end`."""
        places = frozenset(place_of(root, path) for path in paths)
        self._waiting |= {place: {} for place in places}
        return Move(self, places)

    def end(self, places: frozenset[str]) -> None:
        """They are concerned no more: who waits looks again."""
        self.ended += 1
        for place in places:
            self._last.pop(place, None)
            self._last[place] = self.ended
            if len(self._last) > _REMEMBERED:
                self._forgotten = self._last.pop(next(iter(self._last)))
            for waiter in list(self._waiting.pop(place)):
                waiter.wake(None)

    def _holding(self, place: str, *, itself: bool) -> str | None:
        """What is concerned of a place and those above it."""
        return next((each for each in _upwards(place) if each in self._waiting and (itself or each != place)), None)

    def _in_the_way(self, places: set[str]) -> str | None:
        """What is concerned of places, those above them and those below."""
        for place in places:
            if (held := self._holding(place, itself=True)) is not None:
                return held
        inside = tuple(f"{place}/" for place in places)
        return next((each for each in self._waiting if each.startswith(inside)), None)

    def _until_ended(self, place: str) -> Work[None]:
        waiter: Waiter[None] = Waiter()
        waiting = self._waiting[place]
        waiting[waiter] = None
        try:
            yield Wait(waiter, deferred=True)
        finally:
            waiting.pop(waiter, None)


class Move:
    """One rename. `begun`: the disk has been asked for it, and ends it, whatever becomes of who wanted it."""

    __slots__ = ("_moving", "_places", "begun")

    def __init__(self, moving: Moving, places: frozenset[str]) -> None:
        self._moving = moving
        self._places = places
        self.begun = False

    def end(self) -> None:
        """It is done, or will not be."""
        self._moving.end(self._places)


def _upwards(place: str) -> Iterator[str]:
    """A place and those above it."""
    while place:
        yield place
        place = place.rpartition("/")[0]
