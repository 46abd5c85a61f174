"""What is to be done when, by the seconds of one clock that only goes forward."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from math import inf

Action = Callable[[float], None]


class Timer:
    """Something to do at a time, unless it is cancelled before. It forgets what to do when that is done or cancelled,
    so that nothing is kept alive by a timer that is over."""

    __slots__ = ("_timers", "action", "at")

    def __init__(self, timers: Timers, at: float, action: Action) -> None:
        self._timers = timers
        self.at = at
        self.action: Action | None = action

    @property
    def cancelled(self) -> bool:
        """Whether it will do nothing any more."""
        return self.action is None

    def cancel(self) -> None:
        """Do nothing. Cancelling it again, or when it is done, changes nothing."""
        if self.action is not None:
            self.action = None
            self._timers.one_less()


class Timers:
    """All timers. Cancelled ones leave the heap when their time comes, or when they are most of it. `soonest`: nothing
    is to be done before that time, as far as one can tell without a look at the heap (`next`)."""

    def __init__(self) -> None:
        self.soonest = inf
        self._heap: list[tuple[float, int, Timer]] = []
        self._numbers = count()
        self._alive = 0

    def __len__(self) -> int:
        """How many have something to do."""
        return self._alive

    def at(self, at: float, action: Action) -> Timer:
        """Do it at that time, or as soon as `expire` is called after it."""
        timer = Timer(self, at, action)
        heapq.heappush(self._heap, (at, next(self._numbers), timer))
        self.soonest = min(self.soonest, at)
        self._alive += 1
        return timer

    def next(self) -> float | None:
        """When `expire` has something to do; None: never."""
        while self._heap and self._heap[0][2].cancelled:
            heapq.heappop(self._heap)
        self.soonest = self._heap[0][0] if self._heap else inf
        return self._heap[0][0] if self._heap else None

    def expire(self, now: float) -> None:
        """Do what is due. What this itself puts off, to go on in the next turn of the event loop, is left for that."""
        before = next(self._numbers)
        while (at := self.next()) is not None and at <= now and self._heap[0][1] < before:
            timer = heapq.heappop(self._heap)[2]
            action = timer.action
            timer.cancel()
            if action is not None:
                action(now)

    def one_less(self) -> None:
        """A timer has nothing to do any more."""
        self._alive -= 1
        if len(self._heap) > 2 * self._alive + 64:
            self._heap = [entry for entry in self._heap if not entry[2].cancelled]
            heapq.heapify(self._heap)
