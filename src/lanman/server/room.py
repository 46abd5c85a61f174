"""Memory for answers and pipes, of all connections together: who has how much of it, and who waits for some.

What is answered and not sent, and what is being answered, is bounded for each connection (see `requests`) and for all
together, here. Room is given in turns: one request of each connection that waits. While some wait, connections whose
peers have read nothing for long and hold more than everybody may are ended.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from lanman.server.resources import ResourceLimits
from lanman.server.scheduler import Scheduler
from lanman.server.timers import Timer

# How long a peer may leave answers unread, in seconds, while others wait for room.
UNREAD_FOR: Final = 10.0


class Holder(Protocol):
    """A connection, as far as its memory goes. `output` is in bytes."""

    output: int
    unsent_since: float

    def use_room(self) -> bool:
        """Go on with the first request that waits for room. False: there is no room for it."""

    def finish(self, why: str, *, at_once: bool = False) -> None:
        """End it."""


class Room:
    """The memory of all connections. `output` is what answers take, `unread` what pipes keep, both in bytes."""

    def __init__(
        self,
        scheduler: Scheduler,
        limits: Callable[[], ResourceLimits],
        holders: Callable[[], Iterable[Holder]],
    ) -> None:
        self.output = 0
        self.unread = 0
        self._scheduler = scheduler
        self._limits = limits
        self._holders = holders
        self._lacking: OrderedDict[Holder, None] = OrderedDict()  # wait for room, first come first served
        self._eviction: Timer | None = None

    @property
    def limits(self) -> ResourceLimits:
        """The limits that are in force now."""
        return self._limits()

    @property
    def lacks(self) -> bool:
        """Whether a request waits for room that others take."""
        return bool(self._lacking)

    def has_room(self, holder: Holder, size: int) -> bool:
        """Whether there is room for so many bytes more, and no other connection has waited longer."""
        first = next(iter(self._lacking), holder)
        return first is holder and (not self.output or self.output + size <= self.limits.output)

    def wait(self, holder: Holder) -> None:
        """It waits for room. Those who do not read what they asked for go, if that lasts."""
        self._lacking[holder] = None
        if self._eviction is None:
            self._eviction = self._scheduler.timers.at(self._scheduler.now + UNREAD_FOR, self._evict)

    def stop_waiting(self, holder: Holder) -> None:
        """It waits for room no more."""
        self._lacking.pop(holder, None)

    def use(self) -> None:
        """There is more room than before: one request of each connection in turn."""
        while self._lacking and next(iter(self._lacking)).use_room():
            pass

    def _evict(self, now: float) -> None:
        """While some wait for room, those go that have read nothing for long and hold more than everybody may."""
        self._eviction = None
        if not self._lacking:
            return
        least = self.limits.output_always
        for each in list(self._holders()):
            if each.output > least and each.unsent_since <= now - UNREAD_FOR:
                each.finish("its peer does not read the answers, and others wait for the memory", at_once=True)
        self._eviction = self._scheduler.timers.at(now + UNREAD_FOR, self._evict)
