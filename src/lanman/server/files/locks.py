"""Byte-range locks (MS-FSA 2.1.5.7, 2.1.5.8, 2.1.4.10): who may lock, read and write which part of a file.

A shared lock keeps others from writing, its owner too; an exclusive one keeps others from reading and writing. Shared
locks of one range go together, and with the exclusive one of the same open. A lock of no octets lies between two of
them, and is met by ranges that reach across it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

END: Final = 1 << 64


@dataclass(slots=True, eq=False)
class Lock:
    """A range that `owner` (an open) has locked."""

    owner: object
    offset: int
    length: int
    exclusive: bool

    def touches(self, offset: int, length: int) -> bool:
        if length and (self.offset, self.length) == (offset, length):
            return True
        return self.offset < offset + length and offset < self.offset + self.length


class Locks:
    """The locks on one file, in the order in which they were granted."""

    def __init__(self) -> None:
        self._locks: list[Lock] = []

    def __bool__(self) -> bool:
        return bool(self._locks)

    def count(self, owner: object) -> int:
        """How many of them this open has."""
        return sum(lock.owner is owner for lock in self._locks)

    def lock(self, owner: object, offset: int, length: int, exclusive: bool) -> Lock | None:
        """Lock a range; None: it is in the way of another lock."""
        for lock in self._locks:
            if (exclusive or (lock.exclusive and lock.owner is not owner)) and lock.touches(offset, length):
                return None
        granted = Lock(owner, offset, length, exclusive)
        self._locks.append(granted)
        return granted

    def unlock(self, owner: object, offset: int, length: int) -> bool:
        """Take back a lock of exactly this range, an exclusive one first. False: there is none."""
        found = [lock for lock in self._locks if lock.owner is owner and (lock.offset, lock.length) == (offset, length)]
        if not found:
            return False
        self.remove(next((lock for lock in found if lock.exclusive), found[0]))
        return True

    def remove(self, lock: Lock) -> None:
        self._locks.remove(lock)

    def release(self, owner: object) -> bool:
        """Take back all locks of an open. Whether there were any."""
        before = len(self._locks)
        self._locks = [lock for lock in self._locks if lock.owner is not owner]
        return len(self._locks) < before

    def prevents_reading(self, owner: object, offset: int, length: int) -> bool:
        if not self._locks or not length:
            return False
        return any(lock.exclusive and lock.owner is not owner and lock.touches(offset, length) for lock in self._locks)

    def prevents_writing(self, owner: object, offset: int, length: int) -> bool:
        if not self._locks or not length:
            return False
        return any(
            (lock.owner is not owner or not lock.exclusive) and lock.touches(offset, length) for lock in self._locks
        )
