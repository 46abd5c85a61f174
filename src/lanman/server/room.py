"""Memory for answers and pipes, of all connections together: who has how much of it, and who waits for some.

What is answered and not sent, and what is being answered, is bounded for each connection (see `requests`) and for all
together, here.

* A user has a part of it (`domain.portions`), over all connections; those on which nobody has logged on count by
  network (`Holder.party`). What a connection holds counts for that if it is more than everybody may have.
* Room is given in turns: one request of each user, and of each connection of that user. Who waits for room that others
  have holds those up that have come later; whose user has some, and could have no more, does not.
* While some wait, connections whose peers have read nothing for long and hold more than everybody may are ended.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from lanman.domain import Portions
from lanman.server.resources import ResourceLimits
from lanman.server.scheduler import Scheduler
from lanman.server.timers import Timer

# How long a peer may leave answers unread, in seconds, while others wait for room.
UNREAD_FOR: Final = 10.0


class Holder(Protocol):
    """A connection, as far as its memory goes. `output` is in bytes, and so is `lacking`: what the first request wants
    that waits for room."""

    party: str
    output: int

    def unread_for(self, now: float) -> float:
        """For how many seconds its peer has read nothing of what there is to read; 0 where it has read all."""

    @property
    def lacking(self) -> int:
        """How much room the first request wants that waits for some."""

    def use_room(self) -> bool:
        """Go on with the first request that waits for room. False: there is no room for it."""

    def finish(self, why: str, *, at_once: bool = False) -> None:
        """End it."""


class Room:
    """The memory of all connections. `output` is what answers take, in bytes; `answers` who has how much of that beyond
    `always`, `pipes` who has how much on pipes."""

    def __init__(
        self,
        scheduler: Scheduler,
        limits: Callable[[], ResourceLimits],
        holders: Callable[[], Iterable[Holder]],
        portions: Portions,
    ) -> None:
        self.output = 0
        self.always = limits().output_always
        self.answers = portions.new("bytes of answers", self._most_answers)
        self.pipes = portions.new("bytes on pipes", lambda: self.limits.unread)
        self._scheduler = scheduler
        self._limits = limits
        self._holders = holders
        # Who waits for room, by whom they work for: both first come, first served.
        self._lacking: OrderedDict[str, OrderedDict[Holder, None]] = OrderedDict()
        self._waits_as: dict[Holder, str] = {}
        self._eviction: Timer | None = None

    @property
    def limits(self) -> ResourceLimits:
        """The limits that are in force now."""
        return self._limits()

    def _most_answers(self) -> int:
        """What is there for those who have more than everybody may."""
        return self.limits.output - self.output + self.answers.taken

    @property
    def unread(self) -> int:
        """What pipes keep, in bytes."""
        return self.pipes.taken

    def has_room_for_pipes(self, party: str) -> bool:
        """Whether the pipes of a user may keep more."""
        if self.pipes.fits(party):
            return True
        self.pipes.refuse(party)
        return False

    def has_room(self, holder: Holder, size: int) -> bool:
        """Whether there is room for so many bytes more, and no other connection has waited longer."""
        self.always = self.limits.output_always
        if next(iter(self._lacking.get(holder.party, ())), holder) is not holder:
            return False  # of one user too, who wants little would come before who wants much
        if self.output and not self.answers.fits(holder.party, size):
            return False
        return self._first() in (None, holder)

    def _first(self) -> Holder | None:
        """Whose turn it is to have room."""
        for party, holders in self._lacking.items():
            first = next(iter(holders))
            if not self.answers.of(party) or self.answers.fits(party, first.lacking):
                return first
        return None

    def wait(self, holder: Holder) -> None:
        """It waits for room. Those who do not read what they asked for go, if that lasts."""
        party = self._waits_as.setdefault(holder, holder.party)
        self._lacking.setdefault(party, OrderedDict())[holder] = None
        if self._eviction is None:
            self._eviction = self._scheduler.timers.at(self._scheduler.now + UNREAD_FOR, self._evict)

    def stop_waiting(self, holder: Holder) -> None:
        """It waits for room no more."""
        party = self._waits_as.pop(holder, None)
        if party is not None:
            holders = self._lacking[party]
            del holders[holder]
            if not holders:
                del self._lacking[party]

    def change_party(self, holder: Holder, party: str, beyond: int) -> None:
        """It works for somebody else from now on; `beyond` is what it counts for of `answers`."""
        self.answers.move(holder.party, party, beyond)
        waits = holder in self._waits_as
        self.stop_waiting(holder)
        holder.party = party
        if waits:
            self.wait(holder)
        if self._lacking:
            self.use()

    def use(self) -> None:
        """There is more room than before: one request of each user in turn, and of each connection of theirs."""
        while self._lacking and (first := self._first()) is not None:
            party = self._waits_as[first]
            if not first.use_room():
                return
            if party in self._lacking:
                self._lacking.move_to_end(party)

    def _evict(self, now: float) -> None:
        """While some wait for room, those go that have read nothing for long and hold more than everybody may."""
        self._eviction = None
        if not self._lacking:
            return
        least = self.limits.output_always
        for each in list(self._holders()):
            if each.output > least and each.unread_for(now) >= UNREAD_FOR:
                each.finish("its peer does not read the answers, and others wait for the memory", at_once=True)
        self._eviction = self._scheduler.timers.at(now + UNREAD_FOR, self._evict)
