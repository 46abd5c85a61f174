"""What was told lately, so that whoever was away for a moment goes on where they were.

Everything that a hub tells anybody has a number, which grows; a `Ring` has the newest of what some people are told, and
there is one for each poll of a server and one for each person. A place in the stream is `EPOCH-NUMBER`: the epoch is
another in each run of the console. The rules:

  - A ring has at most `MAX_EVENTS` events, of `MAX_BYTES` together, none older than `MAX_AGE` seconds.
  - `floor` is the number up to which something is missing. Whoever has been told no more than an earlier number cannot
    go on, and has to be given the whole again (`resync`).
  - Readers have a position and no queue: who is slow finds that what they have not read yet is gone, or too much
    (`MAX_BEHIND` bytes of one server), and is given the whole again. So a reader takes no room.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from typing import Final, NamedTuple

MAX_EVENTS: Final = 10_000
MAX_BYTES: Final = 32 << 20
MAX_AGE: Final = 300.0
MAX_BEHIND: Final = 1 << 20


class Event(NamedTuple):
    """Something that was told: its number, when (seconds of any clock that does not go back), and its bytes."""

    number: int
    at: float
    data: bytes


class Ring:
    """The newest events that some people were told. `floor` is the number that there is at the beginning."""

    def __init__(
        self, floor: int, *, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES, max_age: float = MAX_AGE
    ) -> None:
        self.floor = floor
        self.last = floor
        """The number of the newest event that was ever there, or of the last beginning."""
        self.size = 0
        """How many bytes there are."""
        self._events: deque[Event] = deque()
        self._max_events, self._max_bytes, self._max_age = max_events, max_bytes, max_age

    def __len__(self) -> int:
        return len(self._events)

    def add(self, number: int, data: bytes, now: float) -> None:
        """Have one more event, whose number is higher than any before."""
        self._events.append(Event(number, now, data))
        self.size += len(data)
        self.last = number
        while len(self._events) > self._max_events or self.size > self._max_bytes:
            self._drop()
        self.expire(now)

    def begin_anew(self, number: int) -> None:
        """Have no events: nobody can go on from a place before `number`."""
        self._events.clear()
        self.size = 0
        self.floor = self.last = number

    def expire(self, now: float) -> None:
        """Have no event that is too old."""
        while self._events and self._events[0].at <= now - self._max_age:
            self._drop()

    def _drop(self) -> None:
        event = self._events.popleft()
        self.size -= len(event.data)
        self.floor = event.number

    def after(self, number: int) -> list[Event] | None:
        """The events since a number, in order; None where some of them are missing."""
        if number < self.floor:
            return None
        found: list[Event] = []
        for event in reversed(self._events):
            if event.number <= number:
                break
            found.append(event)
        found.reverse()
        return found


class Source(NamedTuple):
    """A ring that somebody reads. `since` is when they came to be told what is in it: not before that number."""

    ring: Ring
    since: int


class News(NamedTuple):
    """What somebody is to be told: the events of all that they read, in order, and the names of those sources of which
    they have to be given the whole again."""

    events: list[Event]
    lost: list[str]


def news(sources: Mapping[str, Source], position: int, *, max_behind: int = MAX_BEHIND) -> News:
    """What is new since a position."""
    events: list[Event] = []
    lost: list[str] = []
    for name, (ring, since) in sources.items():
        if ring.last <= position and since <= position:
            continue
        found = None if position < since else ring.after(position)
        if found is None or (len(found) > 1 and sum(len(event.data) for event in found) > max_behind):
            lost.append(name)
        else:
            events += found
    events.sort(key=lambda event: event.number)
    return News(events, lost)


def place(epoch: str, number: int) -> str:
    """A place in the stream as a word: `7f3a-1042`."""
    return f"{epoch}-{number}"


def place_of(text: str | None) -> tuple[str, int] | None:
    """The epoch and number of a word; None for any other text."""
    found = re.fullmatch(r"([0-9a-f]{1,32})-([0-9]{1,18})", text or "", re.ASCII)
    return None if found is None else (found[1], int(found[2]))


def event_bytes(number: str, name: str, data: str) -> bytes:
    """An event as Server-Sent Events have it (HTML, 9.2). `data` is JSON, which has no line breaks."""
    return f"id: {number}\nevent: {name}\ndata: {data}\n\n".encode("ascii")
