"""The calls by which a control connection follows the Server (`lanman.rpc.control_events`).

The rules:

* One connection is one follower, from its first snapshot on until it ends. At most MAX_FOLLOWERS follow at a time.
* Nothing that is long is done in one turn of the event loop: snapshots are made, and answers packed, in pieces. Answers
  are bounded: a part of a snapshot by PART and PART_BYTES, events by BATCH_EVENTS and BATCH_BYTES.
* A snapshot is kept here until its last part has been asked for; another one takes its place.
* A call that waits for events is answered when there are some, in the next turn of the event loop, so that what happens
  together arrives together; or when its time has run out, MAX_WAIT at the latest. It is closed with its connection.
* A follower that is too slow, or comes with a position of another run of the Server, has to begin again.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import islice
from typing import Any, Final

from lanman import codes
from lanman.events import Event, ServerState
from lanman.rpc.control_events import (
    EventEntry,
    TakeSnapshot,
    TakeSnapshotResponse,
    WaitForEvents,
    WaitForEventsResponse,
    pack_event,
)
from lanman.server.effects import Wait, Waiter, Work
from lanman.server.feed import BATCH_EVENTS, BeginAgain, Feed, Follower, size_of
from lanman.server.scheduler import Scheduler

MAX_FOLLOWERS: Final = 64

# Seconds that one call waits at most.
MAX_WAIT: Final = 60.0

# Events that are packed in one turn of the event loop: about a millisecond.
PACKED_AT_ONCE: Final = 100

# Events of a snapshot in one answer, at most, and how much they take in memory; it may be twice as much on the wire.
PART: Final = 1000
PART_BYTES: Final = 4 * 1024 * 1024


class Following:
    """One control connection's calls. `close` it when the connection ends."""

    def __init__(self, feed: Feed, scheduler: Scheduler) -> None:
        self._feed = feed
        self._scheduler = scheduler
        self._follower: Follower | None = None
        self._being_made: Generator[None, None, ServerState] | None = None
        self._rest: Iterator[Event] = iter(())
        self._left = 0
        self._at = 0  # the number of the change that the snapshot is after

    def call(self, request: TakeSnapshot | WaitForEvents) -> Any:
        """The response to a call, or a generator of `Work` that makes it."""
        if isinstance(request, WaitForEvents):
            return self._wait(request)
        return self._begin(request) if request.begin else self._next_part()

    def close(self) -> None:
        """Follow no more."""
        if self._being_made is not None:
            self._being_made.close()
        if self._follower is not None:
            self._follower.close()
        self._rest = iter(())

    def _begin(self, request: TakeSnapshot) -> Work[TakeSnapshotResponse]:
        if self._follower is None:
            if self._feed.followers >= MAX_FOLLOWERS:
                return request.failed(codes.ERROR_REQ_NOT_ACCEP)
            self._follower = self._feed.follow()
        self._being_made = self._follower.snapshot()
        try:
            state = yield from self._being_made
        finally:
            self._being_made = None
        self._rest = state.events()
        self._left = state.size
        self._at = state.sequence
        return (yield from self._next_part())

    def _next_part(self) -> Work[TakeSnapshotResponse]:
        part: list[Event] = []
        size = 0
        for event in islice(self._rest, PART):
            part.append(event)
            size += size_of(event)
            if size >= PART_BYTES:
                break
        self._left -= len(part)
        left = self._left
        return TakeSnapshotResponse(
            instance=self._feed.instance,
            sequence_low=self._at & 0xFFFFFFFF,
            sequence_high=self._at >> 32,
            left=left,
            entries=(yield from _packed(part)),
        )

    def _wait(self, request: WaitForEvents) -> Work[WaitForEventsResponse]:
        follower = self._follower
        if follower is None:
            return request.failed(codes.ERROR_NOTIFY_ENUM_DIR)
        instance, sequence = request.instance or "", request.sequence_high << 32 | request.sequence_low
        most = min(max(1, request.max_events), BATCH_EVENTS)
        try:
            found = follower.after(instance, sequence, most)
            if not found and request.milliseconds:
                yield from self._until_more(follower, sequence, min(request.milliseconds / 1000, MAX_WAIT))
                found = follower.after(instance, sequence, most)
        except BeginAgain:
            return request.failed(codes.ERROR_NOTIFY_ENUM_DIR)
        return WaitForEventsResponse(entries=(yield from _packed(found)))

    def _until_more(self, follower: Follower, sequence: int, seconds: float) -> Work[None]:
        waiter: Waiter[None] = Waiter()
        timer = self._scheduler.timers.at(self._scheduler.now + seconds, lambda now: waiter.wake(None))
        follower.wait(sequence, lambda: waiter.wake(None))
        try:
            yield Wait(waiter)
        finally:
            timer.cancel()


def _packed(events: list[Event]) -> Work[list[EventEntry]]:
    """The events as they travel, a piece in each turn."""
    entries: list[EventEntry] = []
    for begin in range(0, len(events), PACKED_AT_ONCE):
        if begin:
            yield None
        entries += map(pack_event, events[begin : begin + PACKED_AT_ONCE])
    return entries
