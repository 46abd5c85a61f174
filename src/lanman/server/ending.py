"""Ends that go in portions (`domain.ending`), and those who wait for them.

The rules:

* AT_ONCE opens are closed in one turn of the event loop, whatever has ended: sessions, tree connects, shares. What has
  no more than that ends in the turn in which it is ended.
* LOGOFF, TREE_DISCONNECT and the management calls that end something are answered when all of it is closed.
* What is still to be closed is in nobody's way. Its client is told of no oplock or lease that is taken back: nobody
  would answer. A request that may have been refused because of it waits until it is closed, and is tried again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from lanman import codes
from lanman.domain import AT_ONCE, ServerService
from lanman.server.effects import Wait, Waiter, Work
from lanman.server.scheduler import Scheduler

# How often a request is tried again. Whoever ends very much without pause holds nobody up for ever.
MOST_TRIES: Final = 16

# How requests end that opens of others are in the way of, or what others have taken of what there is for all.
_BY_OTHERS: Final = frozenset(
    {
        codes.STATUS_ACCESS_DENIED,
        codes.STATUS_CANNOT_DELETE,
        codes.STATUS_DELETE_PENDING,
        codes.STATUS_DIRECTORY_NOT_EMPTY,
        codes.STATUS_DUPLICATE_OBJECTID,
        codes.STATUS_FILE_NOT_AVAILABLE,
        codes.STATUS_INSUFFICIENT_RESOURCES,
        codes.STATUS_INVALID_PARAMETER,  # a lease's key that is another file's
        codes.STATUS_LOCK_NOT_GRANTED,
        codes.STATUS_OBJECT_NAME_COLLISION,
        codes.STATUS_SHARING_VIOLATION,
        codes.STATUS_TOO_MANY_OPENED_FILES,
    }
)


class Ends:
    """Of one Server."""

    __slots__ = ("_at_work", "_endings", "_scheduler", "_service", "_waiting")

    def __init__(self, service: ServerService, scheduler: Scheduler) -> None:
        self._service = service
        self._endings = service.endings
        self._scheduler = scheduler
        self._at_work = False
        self._waiting: deque[tuple[int, Waiter[None]]] = deque()  # by how many ends are to have finished
        self._endings.on_begun = self._begin

    def _begin(self) -> None:
        if not self._at_work:
            self._scheduler.start(self._go_on())

    def _go_on(self) -> Work[None]:
        self._at_work = True
        try:
            while self._endings.under_way:
                yield None
                self._service.end_some(AT_ONCE)
                while self._waiting and self._waiting[0][0] <= self._endings.finished:
                    self._waiting.popleft()[1].wake(None)
        finally:
            self._at_work = False

    @property
    def under_way(self) -> bool:
        """Whether anything is still to be closed."""
        return self._endings.under_way

    @property
    def finished(self) -> int:
        """How many ends have come to theirs."""
        return self._endings.finished

    def passed(self) -> Work[bool]:
        """Wait until all is closed that is to be closed now. Whether there was anything."""
        if not self._endings.under_way:
            return False
        waiter: Waiter[None] = Waiter()
        self._waiting.append((self._endings.begun, waiter))
        yield Wait(waiter, cancellable=False, deferred=True)
        return True

    def until(self, is_free: Callable[[], bool]) -> Work[bool]:
        """Wait for what is to be closed as long as something is not free. Whether it is."""
        for _ in range(MOST_TRIES):
            if is_free() or not (yield from self.passed()):
                break
        return is_free()

    def explain(self, status: int, since: int) -> bool:
        """Whether a request may have been refused with that status because of what is to be closed now, or was when
        `finished` was `since`."""
        return status in _BY_OTHERS and (self._endings.under_way or self._endings.finished != since)
