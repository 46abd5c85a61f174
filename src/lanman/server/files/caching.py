"""What clients may cache of one file, and what takes it back from them (MS-FSA 2.1.4.12, 2.1.5.18; MS-SMB2 3.3.5.22).

Rights are those of a lease: R to cache what was read, W to keep back what was written, H to keep the file open for no
program. Oplocks are of the same kind: level II is R, exclusive is RW, batch is RWH. The rules:

* A `Holder` has rights together: an oplock is held by one open, a lease by all opens of one key of one client. It is
  never in its own way.
* W is held by one holder, and only while nobody else holds any right and no other open may do more than ask for
  attributes. R, and H among leases, any number hold at once. `FileCaching.grantable` is the one place that decides.
* What somebody does with the file is an `Event`. The tables say what each event leaves to whom; the rest is taken.
* Nothing is taken from a client but by a notice. Who holds R alone has lost it with that. Who holds more keeps it all
  until the client has acknowledged, and is `breaking` so long. While it is, no second notice is sent: what else is
  demanded meanwhile is kept in `demanded`, and goes step by step when the first break is over (RWH, RH, R, none).
* Who comes in waits for a holder of W, and for all steps of a break that began when W was held. Who is in the way of
  open handles waits for a holder of H. For others nobody waits.

No time, no session and no bytes are here. `Caching` is a value and `take` and `acknowledge` are its transitions; an
oplock or a lease tells its client, and watches the clock.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cache
from itertools import islice
from typing import ClassVar, Final, NamedTuple

from lanman.few import NOTHING, with_one, without
from lanman.smb2.constants import SMB2_LEASE_HANDLE_CACHING, SMB2_LEASE_READ_CACHING, SMB2_LEASE_WRITE_CACHING

NONE: Final = 0
R: Final = SMB2_LEASE_READ_CACHING
H: Final = SMB2_LEASE_HANDLE_CACHING
W: Final = SMB2_LEASE_WRITE_CACHING
RH: Final = R | H
RW: Final = R | W
RWH: Final = R | W | H

# 3.3.1.4: what can be held. H and W are worth nothing without R.
HOLDABLE: Final = (NONE, R, RH, RW, RWH)


@cache
def rights_name(rights: int) -> str:
    """As people write them: "RWH", "RH", "RW", "R" or ""."""
    return "".join(letter for letter, right in (("R", R), ("W", W), ("H", H)) if rights & right)


class Event(Enum):
    """What somebody does who may be in the way of what others cache."""

    OPEN = "an open that reads, writes or deletes"
    READ_SECURITY = "an open that asks for attributes and for the security descriptor"
    OVERWRITE = "an open that empties the file"
    CHANGE = "its contents or its size change, or byte ranges of it are locked"
    HANDLE = "the handles of others are in the way: a sharing violation, a rename, a deletion"
    HANDLE_OVERWRITE = "a sharing violation of an open that would empty the file"


# What an event leaves of a lease.
_OF_LEASES: Final = {
    Event.OPEN: RH,
    Event.READ_SECURITY: RWH,
    Event.OVERWRITE: NONE,
    Event.CHANGE: NONE,
    Event.HANDLE: RW,
    Event.HANDLE_OVERWRITE: RW,
}
# What it leaves of an oplock, by what that is; all where nothing is said. Of exclusive and batch oplocks no CHANGE can
# come but from the open that has it, and an exclusive oplock does not keep a file open.
_OF_OPLOCKS: Final = {
    Event.OPEN: {RW: R, RWH: R},
    Event.READ_SECURITY: {RW: R, RWH: R},
    Event.OVERWRITE: {R: NONE, RW: NONE, RWH: NONE},
    Event.CHANGE: {R: NONE},
    Event.HANDLE: {RWH: R},
    Event.HANDLE_OVERWRITE: {RWH: NONE},
}
# What whoever causes an event waits for: that nobody else breaks who holds this.
_WAITS_FOR: Final = {
    Event.OPEN: W,
    Event.READ_SECURITY: W,
    Event.OVERWRITE: W,
    Event.CHANGE: NONE,
    Event.HANDLE: H,
    Event.HANDLE_OVERWRITE: H,
}


class Notice(NamedTuple):
    """What a client is told: it holds `before` and is to come down to `after`. `acknowledged`: it is to say so."""

    before: int
    after: int
    acknowledged: bool


class Caching(NamedTuple):
    """What a client may cache. `offered` is what it was told to come down to, until it has acknowledged; `demanded` is
    what others leave it when all is over. `holds_up`: the break began when W was held."""

    rights: int = NONE
    offered: int | None = None
    demanded: int = RWH
    holds_up: bool = False

    @property
    def breaking(self) -> bool:
        """Whether its client has yet to acknowledge."""
        return self.offered is not None

    def take(self, left: int) -> tuple[Caching, Notice | None]:
        """Leave it no more than `left`."""
        if self.breaking:
            return self._replace(demanded=self.demanded & left), None
        return _ask(self.rights, left, left, bool(self.rights & W))

    def acknowledge(self, rights: int) -> tuple[Caching, Notice | None]:
        """Its client, which is breaking, has come down to these rights: no more than were offered. It may have to go
        on at once."""
        rights = rights if rights in HOLDABLE else NONE
        # The handles go first: RH, R, none.
        left = self.demanded | R if rights & H else self.demanded
        return _ask(rights, left, self.demanded, self.holds_up)


@cache
def steady(rights: int) -> Caching:
    """These rights, none of which is being taken back: one for all who have them."""
    return Caching(rights)


# What most opens have.
_UNCACHED: Final = steady(NONE)


def _ask(rights: int, left: int, demanded: int, holds_up: bool) -> tuple[Caching, Notice | None]:
    """Have a client come down from these rights to those that are left."""
    kept = rights & left
    if kept == rights:
        return steady(rights), None
    if rights == R:
        return steady(kept), Notice(rights, kept, acknowledged=False)
    return Caching(rights, kept, demanded, holds_up), Notice(rights, kept, acknowledged=True)


class Holder(ABC):
    """Who holds rights of a file: an oplock or a lease. `caching` is changed by `FileCaching.put` alone."""

    __slots__ = ("caching",)

    is_lease: ClassVar[bool]

    def __init__(self) -> None:
        self.caching = _UNCACHED

    @abstractmethod
    def take(self, left: int, now: float) -> None:
        """Take all from it but what is left, and have its client know."""


class _Kind(NamedTuple):
    """What holders have in common that are looked at together."""

    is_lease: bool
    rights: int
    breaking: bool
    demanded: int
    holds_up: bool

    def left_by(self, event: Event) -> int:
        """What an event leaves of what they hold."""
        if self.is_lease:
            return _OF_LEASES[event]
        return _OF_OPLOCKS[event].get(self.rights, RWH)

    def is_touched(self, left: int) -> bool:
        """Whether that would be news for them."""
        return bool((self.demanded if self.breaking else self.rights) & ~left)

    def is_waited_for(self, event: Event) -> bool:
        """Whether who causes an event waits until they have acknowledged."""
        if not self.breaking or (self.is_lease and event is Event.READ_SECURITY):
            return False
        awaited = _WAITS_FOR[event]
        return bool(self.rights & awaited) or (awaited == W and self.holds_up)


class FileCaching:
    """Who caches one file. Holders are kept by what they hold, so that one open more costs the same however many there
    are, and what is taken from all of them costs once for each."""

    __slots__ = ("_kinds",)

    def __init__(self) -> None:
        self._kinds: Mapping[_Kind, Mapping[Holder, None]] = NOTHING

    def put(self, holder: Holder, caching: Caching) -> None:
        """A holder may cache something else from now on."""
        before = _kind_of(holder)
        if before is not None:
            others = without(self._kinds[before], holder)
            self._kinds = with_one(self._kinds, before, others) if others else without(self._kinds, before)
        holder.caching = caching
        after = _kind_of(holder)
        if after is not None:
            self._kinds = with_one(self._kinds, after, with_one(self._kinds.get(after, NOTHING), holder, None))

    def take(self, event: Event, by: Holder | None, now: float) -> None:
        """Something happens, by an open of the holder `by` if it has one: take from the others what must not stay."""
        for kind in list(self._kinds):
            left = kind.left_by(event)
            if not kind.is_touched(left):
                continue
            for holder in list(self._kinds.get(kind, ())):
                if holder is not by and _kind_of(holder) == kind:  # telling one may have closed the opens of another
                    holder.take(left, now)

    def keeps_waiting(self, event: Event, by: Holder | None) -> bool:
        """Whether who causes an event waits for the acknowledgement of others."""
        return any(kind.is_waited_for(event) for kind in self._kinds_of_others(by))

    @property
    def keeps_handles(self) -> bool:
        """Whether any client may keep it open for no program."""
        return any(kind.rights & H for kind in self._kinds)

    def awaited(self) -> list[Holder]:
        """Who has yet to give handles back: nobody, one, or two of those that have."""
        found = (holder for kind, some in self._kinds.items() if kind.breaking and kind.rights & H for holder in some)
        return list(islice(found, 2))

    def grantable(self, wanted: int, asking: Holder, *, others_open: bool, ranges_locked: bool) -> int:
        """What a holder may have of the rights that it wants (MS-FSA 2.1.5.18.1, 2.1.5.18.2).

        `others_open`: somebody else has the file open for more than attributes; `ranges_locked`: byte ranges are.
        """
        others = list(self._kinds_of_others(asking))
        if any(kind.rights & W for kind in others):
            return NONE  # an open for attributes alone, which has broken nothing
        rights = wanted if wanted in HOLDABLE else NONE
        if others_open or others:
            rights &= RH if asking.is_lease else R
        if asking.is_lease:
            if any(not kind.is_lease for kind in others):
                rights &= ~H
        elif any(kind.is_lease and kind.rights & H for kind in others):
            return NONE
        return NONE if ranges_locked and not rights & W else rights

    def _kinds_of_others(self, by: Holder | None) -> Iterator[_Kind]:
        """What others than `by` hold."""
        return (kind for kind, holders in self._kinds.items() if len(holders) > (by in holders))


def _kind_of(holder: Holder) -> _Kind | None:
    """What it is looked at together with; None: it holds nothing."""
    rights, offered, demanded, holds_up = holder.caching
    return _kind(holder.is_lease, rights, offered is not None, demanded, holds_up) if rights else None


# There are few of them, and thousands of files with the same.
_kind = cache(_Kind)
