"""The domain's events, kept for a while, so that others can follow what happens from a snapshot on.

    follower = feed.follow()
    state = yield from follower.snapshot()                    # what there is, after change number state.sequence
    events = follower.after(feed.instance, state.sequence)    # what has happened since
    follower.wait(call_me)                                    # call_me(), once, when there is more
    follower.close()

The rules:

* A position is the Server's instance and the number of a change in it. Every start of a Server is a new instance, with
  a random name: a number of an earlier run is never taken for one of this.
* Whoever applies the events after a position to the state at that position has the state at any later time, and sees
  each change exactly once.
* The newest events are kept in a ring, at most `max_events` of them and `max_bytes` of what they take in memory. A
  follower that is so slow that the next event for it has left the ring is told to begin again (`BeginAgain`), by a new
  snapshot; so is one with a position of another instance.
* While nobody follows, nothing is kept, and the domain makes no events for this. A position is worth something only as
  long as somebody follows.

Pure: nothing here waits. Everything is called from the event loop; `snapshot` and its steps never within a delivery of
the domain's (`ServerService.describe`).
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Generator
from itertools import islice
from typing import Final

from lanman.domain import ServerService
from lanman.events import Event, ServerState

# What is kept of the past, and what one answer has at most.
MAX_EVENTS: Final = 10_000
MAX_BYTES: Final = 8 * 1024 * 1024
BATCH_EVENTS: Final = 1_000
BATCH_BYTES: Final = 512 * 1024

# Records of a snapshot that are made in one turn.
PIECE: Final = 500

# An event and its record without their texts, and what the ring has for it.
_FIXED: Final = 512


class BeginAgain(Exception):
    """The events after a position are not known here, or not any more: take a new snapshot."""


class Feed:
    """The ring, and who follows. `instance` is a name that no other run of a Server has."""

    def __init__(
        self,
        service: ServerService,
        instance: str,
        *,
        max_events: int = MAX_EVENTS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.instance = instance
        self._service = service
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._ring: deque[tuple[Event, int]] = deque()
        self._size = 0
        self._last = 0  # the number of the newest event, kept or not
        self._followers: dict[Follower, None] = {}
        self._unsubscribe: Callable[[], None] | None = None

    def follow(self) -> Follower:
        """Somebody follows, until they close what they are given."""
        follower = Follower(self, self._service)
        self._followers[follower] = None
        if self._unsubscribe is None:
            self._last = self._service.sequence
            self._unsubscribe = self._service.subscribe(self._on_event, name="feed")
        return follower

    @property
    def followers(self) -> int:
        """How many follow."""
        return len(self._followers)

    @property
    def kept(self) -> tuple[int, int]:
        """How many events are kept, and how many bytes they take."""
        return len(self._ring), self._size

    def leave(self, follower: Follower) -> None:
        """A follower has closed."""
        self._followers.pop(follower, None)
        if not self._followers and self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
            self._ring.clear()
            self._size = 0

    def after(self, instance: str, sequence: int, max_events: int, max_bytes: int) -> list[Event]:
        """The events after a position: at most so many, which take at most so many bytes, but one at least if there is
        one. Raises BeginAgain."""
        first = self._last - len(self._ring) + 1
        if instance != self.instance or not first <= sequence + 1 <= self._last + 1:
            raise BeginAgain
        begin = sequence + 1 - first
        found: list[Event] = []
        for event, size in islice(self._ring, begin, begin + max_events):
            max_bytes -= size
            if found and max_bytes < 0:
                break
            found.append(event)
        return found

    def has_after(self, sequence: int) -> bool:
        """Whether there is more after a change, or that question has no answer any more."""
        return sequence != self._last

    def _on_event(self, event: Event) -> None:
        if event.sequence != self._last + 1:  # what is kept would have a gap
            self._ring.clear()
            self._size = 0
        self._last = event.sequence
        size = size_of(event)
        self._ring.append((event, size))
        self._size += size
        while self._ring and (len(self._ring) > self._max_events or self._size > self._max_bytes):
            self._size -= self._ring.popleft()[1]
        errors = []
        for follower in list(self._followers):
            try:
                follower.wake()
            except Exception as error:  # noqa: BLE001 - raised below, when the others have been woken
                errors.append(error)
        if errors:
            raise ExceptionGroup("followers failed", errors)


class Follower:
    """One that follows. `close` it in the end; until then the Server keeps events."""

    def __init__(self, feed: Feed, service: ServerService) -> None:
        self._feed = feed
        self._service = service
        self._more: Callable[[], None] | None = None
        self._closed = False

    @property
    def instance(self) -> str:
        """The instance that its positions are of."""
        return self._feed.instance

    def snapshot(self, size: int = PIECE) -> Generator[None, None, ServerState]:
        """What there is, at `sequence` of what is returned. Yields after each `size` records: others have a turn."""
        return self._service.describe(size)

    def after(
        self, instance: str, sequence: int, max_events: int = BATCH_EVENTS, max_bytes: int = BATCH_BYTES
    ) -> list[Event]:
        """The events after a position, those that happened first; see `Feed.after`. Raises BeginAgain."""
        return self._feed.after(instance, sequence, max_events, max_bytes)

    def wait(self, sequence: int, more: Callable[[], None]) -> None:
        """Have `more` called once, when there is something after a change: at once, if there is. It takes the place of
        what was to be called before, and must not ask for a snapshot itself."""
        self._more = more
        if self._feed.has_after(sequence):
            self.wake()

    def wake(self) -> None:
        """There is more."""
        more, self._more = self._more, None
        if more is not None:
            more()

    def close(self) -> None:
        """Follow no more; nothing is called after this. May be called twice."""
        self._more = None
        if not self._closed:
            self._closed = True
            self._feed.leave(self)


def size_of(event: Event) -> int:
    """How many bytes an event takes at most; texts that it shares with others count as its own."""
    size = _FIXED
    for field in event:
        if isinstance(field, str):
            size += sys.getsizeof(field)
        elif isinstance(field, tuple):
            for part in field:
                if isinstance(part, str):
                    size += sys.getsizeof(part)
                elif isinstance(part, tuple):
                    size += sum(map(sys.getsizeof, part))
    return size
