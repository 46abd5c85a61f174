"""Byte-range locks (MS-FSA 2.1.5.8, 2.1.5.9, 2.1.4.10): who may lock, read and write which part of a file.

A shared lock keeps others from writing, its owner too; an exclusive one keeps others from reading and writing. Shared
locks of one range go together, and with the exclusive one of the same open. A lock of no bytes lies between two of
them, and is met by ranges that reach across it.

No question looks at the locks one by one: a client may hold thousands, and ask about each byte that it reads. A range
[a, b) meets [c, d) if a < d and c < b. Of all ranges that begin before d, those that end at or before c do not meet it,
and there are no others that do not; so the number that meet it is the number of beginnings below d less the number of
ends up to c, two searches in sorted lists. What others hold is what all hold less what one holds oneself.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from dataclasses import field
from itertools import chain
from typing import Any, Final, Protocol

from lanman.domain import Portion
from lanman.plain import dataclass

END: Final = 1 << 64

# Locks that may be held by one open and on one file. A database of Access takes 9,500 for itself.
MAX_LOCKS_OF_OPEN: Final = 16384
MAX_LOCKS_OF_FILE: Final = 65536
# Locks that may be held on all files together, of which each user has a part: what keeps clients with many files open
# from taking all memory.
MAX_LOCKS: Final = 524288

# How many of one range are held is one number, so that there is no object for each: those that are not exclusive count
# one, those that are so many.
_EXCLUSIVE: Final = 1 << 32

# LOCK requests that may wait for ranges of one file.
MAX_WAITING: Final = 512


def most() -> int:
    """How many locks there may be on all files together."""
    return MAX_LOCKS


class Owner(Protocol):
    """An open that locks ranges. `handle_of` is the user of whose part of all locks they are."""

    handle_of: str


@dataclass(frozen=True, slots=True, eq=False)
class Lock:
    """A range that `owner` has locked."""

    owner: Owner
    offset: int
    length: int
    exclusive: bool


@dataclass(slots=True)
class _Ranges:
    """A multiset of ranges, of which it is known how many meet another."""

    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    points: list[int] = field(default_factory=list)  # where those of no bytes are

    def add(self, offset: int, length: int) -> None:
        """One more range."""
        if length:
            insort(self.starts, offset)
            insort(self.ends, offset + length)
        else:
            insort(self.points, offset)

    def remove(self, offset: int, length: int) -> None:
        """One of exactly this range less."""
        if length:
            del self.starts[bisect_left(self.starts, offset)]
            del self.ends[bisect_left(self.ends, offset + length)]
        else:
            del self.points[bisect_left(self.points, offset)]

    def meeting(self, offset: int, length: int) -> int:
        """How many of them meet a range."""
        end = offset + length
        found = bisect_left(self.starts, end) - bisect_right(self.ends, offset)
        if length and self.points:
            found += bisect_left(self.points, end) - bisect_right(self.points, offset)
        return found

    @classmethod
    def union(cls, parts: Iterable[_Ranges]) -> _Ranges:
        """All of them. The parts are sorted already, which makes this cheap."""
        parts = list(parts)
        return cls(
            sorted(chain.from_iterable(part.starts for part in parts)),
            sorted(chain.from_iterable(part.ends for part in parts)),
            sorted(chain.from_iterable(part.points for part in parts)),
        )


@dataclass(slots=True)
class _Held:
    """What is held: by one open, or by all."""

    count: int = 0
    exclusive: _Ranges = field(default_factory=_Ranges)
    shared: _Ranges = field(default_factory=_Ranges)

    def of_kind(self, exclusive: bool) -> _Ranges:
        """The exclusive ones, or the shared ones."""
        return self.exclusive if exclusive else self.shared


# What is held where nothing is. Nobody writes to it.
_NOTHING: Final = _Held()
_OF_NOBODY: Final[dict[Any, Any]] = {}


class Locks:
    """The locks on one file; `portion` counts those on all files. Most files have none, and take next to no memory for
    them."""

    __slots__ = ("_all", "_exact", "_held", "_portion")

    def __init__(self, portion: Portion[str]) -> None:
        self._all = _NOTHING
        self._portion = portion
        self._held: dict[Owner, _Held] = _OF_NOBODY
        # How many of each range an open has. They cannot be told apart.
        self._exact: dict[Owner, dict[tuple[int, int], int]] = _OF_NOBODY

    def __bool__(self) -> bool:
        return self._all.count > 0

    def count(self, owner: Owner) -> int:
        """How many of them this open has."""
        held = self._held.get(owner)
        return held.count if held is not None else 0

    def is_full(self, owner: Owner, more: int = 1) -> bool:
        """Whether this open, the file, its user, or all users would have more than may be with so many more. It is
        asked for somebody who is refused then."""
        if self._all.count + more > MAX_LOCKS_OF_FILE or self.count(owner) + more > MAX_LOCKS_OF_OPEN:
            return True
        if self._portion.fits(owner.handle_of, more):
            return False
        self._portion.refuse(owner.handle_of)
        return True

    def is_free(self, owner: Owner, offset: int, length: int, exclusive: bool) -> bool:
        """Whether no other lock is in the way of that one."""
        if not self._all.count:
            return True
        if exclusive and self._meeting(offset, length):
            return False
        return not self._exclusive_of_others(owner, offset, length)

    def lock(self, owner: Owner, offset: int, length: int, exclusive: bool) -> Lock | None:
        """Lock a range; None: it is in the way of another lock."""
        if not self.is_free(owner, offset, length, exclusive):
            return None
        if self._all is _NOTHING:
            self._all, self._held, self._exact = _Held(), {}, {}
        granted = Lock(owner, offset, length, exclusive)
        held = self._held.setdefault(owner, _Held())
        for each in (self._all, held):
            each.count += 1
            each.of_kind(exclusive).add(offset, length)
        self._portion.count(owner.handle_of, 1)
        exact = self._exact.setdefault(owner, {})
        exact[offset, length] = exact.get((offset, length), 0) + (_EXCLUSIVE if exclusive else 1)
        return granted

    def unlock(self, owner: Owner, offset: int, length: int) -> bool:
        """Take back a lock of exactly this range, an exclusive one first. False: there is none."""
        counts = self._exact.get(owner, {}).get((offset, length))
        if counts is None:
            return False
        self.remove(Lock(owner, offset, length, counts >= _EXCLUSIVE))
        return True

    def remove(self, lock: Lock) -> None:
        """Take back a lock that was granted, unless its owner has unlocked it meanwhile."""
        owner, key = lock.owner, (lock.offset, lock.length)
        counts = self._exact.get(owner, {}).get(key, 0)
        if not (counts // _EXCLUSIVE if lock.exclusive else counts % _EXCLUSIVE):
            return
        held, exact = self._held[owner], self._exact[owner]
        exact[key] -= _EXCLUSIVE if lock.exclusive else 1
        if not exact[key]:
            del exact[key]
        self._portion.give_back(owner.handle_of)
        for each in (self._all, held):
            each.count -= 1
            each.of_kind(lock.exclusive).remove(lock.offset, lock.length)
        if not held.count:
            del self._held[owner], self._exact[owner]

    def release(self, owner: Owner) -> bool:
        """Take back all locks of an open. Whether there were any."""
        held = self._held.pop(owner, None)
        exact = self._exact.pop(owner, None)
        if held is None or exact is None:
            return False
        self._all.count -= held.count
        self._portion.give_back(owner.handle_of, held.count)
        if 16 * held.count < self._all.count:
            for (offset, length), counts in exact.items():
                for exclusive, number in ((False, counts % _EXCLUSIVE), (True, counts // _EXCLUSIVE)):
                    for _ in range(number):
                        self._all.of_kind(exclusive).remove(offset, length)
        else:
            left = list(self._held.values())
            self._all.exclusive = _Ranges.union(each.exclusive for each in left)
            self._all.shared = _Ranges.union(each.shared for each in left)
        return True

    def prevents_reading(self, owner: Owner, offset: int, length: int) -> bool:
        """Whether a lock keeps this open from reading that range (MS-FSA 2.1.4.10)."""
        if not self._all.count or not length:
            return False
        return self._exclusive_of_others(owner, offset, length)

    def prevents_writing(self, owner: Owner, offset: int, length: int) -> bool:
        """Whether a lock, be it its own, keeps this open from writing that range (MS-FSA 2.1.4.10)."""
        if not self._all.count or not length:
            return False
        return self._all.shared.meeting(offset, length) > 0 or self._exclusive_of_others(owner, offset, length)

    def _meeting(self, offset: int, length: int) -> bool:
        return self._all.exclusive.meeting(offset, length) > 0 or self._all.shared.meeting(offset, length) > 0

    def _exclusive_of_others(self, owner: Owner, offset: int, length: int) -> bool:
        found = self._all.exclusive.meeting(offset, length)
        if found and (held := self._held.get(owner)) is not None:
            found -= held.exclusive.meeting(offset, length)
        return found > 0
