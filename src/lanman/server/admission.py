"""Who may connect, who waits and who has to go, when more come than there is room for. Pure: `now` is an argument.

A connection is in one of these states:

    WAITING    accepted, and not read from: there is no place for it yet
    HALF_OPEN  nobody has logged on to it (yet, or any more): it has one of the places for that
    ANONYMOUS  all its sessions are null sessions or guests'
    NAMED      somebody with an account has a session on it
    GONE

The rules:

* Half-open connections have `unauthenticated` places in all, `unauthenticated_per_address` for one network (an IPv4
  address, 64 bits of an IPv6 one). A connection that arrives when its places are taken is not refused: it takes the
  place of a silent one, or waits until there is a place. Those that wait are read from once they have one, so a burst
  of honest clients that reconnect in one instant gets in as fast as it logs on.
* Silent are: those that have sent nothing for MUTE seconds since they came; those that have sent something, and then
  no further request for SILENT seconds; those whose sessions have ended, at once; and those that have taken SLOW
  seconds, whatever they did. Those that have sent nothing go first, then the one that has been silent for longest. If
  all places are taken and none is silent, a network that has many gives one up to a network that has few.
* The more of a network's connections have been displaced for being silent, and the fewer have logged on, the less
  patience there is with it, down to LEAST: a burst of honest clients is never hurried, and an honest client behind the
  same address as a flood comes to its turn before it gives up.
* A Server that is behind with its work extends these times by as much: a connection that it has not read is not silent.
* The next free place goes to the network that has the fewest, and of its connections to the one that has waited
  longest. At most twice `unauthenticated` wait; one more pushes out the newest of the network that has most of them.
* Connections with null sessions and guests alone have limits of their own. There the next such *log-on* is refused;
  no connection with a session is ever closed for others.
* All connections together are at most `connections`. A newcomer beyond that takes the place of one without a session,
  of the network that has most of those; if all have one, the shell accepts no more until one ends (`has_room`).
* A peer that disconnects while its refusal is being delayed keeps its place (`ghost`) until the delay is over.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from lanman.settings import Limits, RunningSettings

# Seconds, see above; and how often whether somebody has become silent is looked at while others wait.
MUTE: Final = 1.0
SILENT: Final = 3.0
SLOW: Final = 10.0
LEAST: Final = {True: 0.3, False: 0.4}  # by whether it is mute
POLL: Final = 0.1

# How many that wait get a place at once: as many as one turn of the event loop should have to start.
SEATS: Final = 64

# A network has many places from this number on.
MANY: Final = 8


class Standing(Enum):
    """What a connection is, as admission sees it."""

    WAITING = auto()
    HALF_OPEN = auto()
    ANONYMOUS = auto()
    NAMED = auto()
    GONE = auto()


@dataclass(slots=True, eq=False)
class Place:
    """One connection. `admitted()` is called when it need not wait any more, `displaced(why)` when it has to go."""

    network: str
    admitted: Callable[[], None]
    displaced: Callable[[str], None]
    standing: Standing = Standing.GONE
    began: float = 0.0
    since: float = 0.0  # when it came, or made progress last
    mute: bool = True


@dataclass(slots=True)
class _Network:
    """What one network has: half-open connections, ghosts of such, those that wait in their order, anonymous ones."""

    half_open: dict[Place, None] = field(default_factory=dict)
    ghosts: int = 0
    waiting: OrderedDict[Place, None] = field(default_factory=OrderedDict)
    anonymous: int = 0
    failed: int = 0  # how many were displaced for being silent; halved by each that logs on

    def finds_silent(self, place: Place, now: float, lag: float) -> bool:
        """Whether one of its half-open connections may have to go."""
        patience = max((MUTE if place.mute else SILENT) / (1 + self.failed / MANY), LEAST[place.mute]) + 2 * lag
        return now - place.since >= patience or now - place.began >= SLOW + 2 * lag

    @property
    def taken(self) -> int:
        """How many places for half-open connections it takes, ghosts included."""
        return len(self.half_open) + self.ghosts

    @property
    def empty(self) -> bool:
        """Whether there is nothing to know of it any more."""
        return not (self.half_open or self.ghosts or self.waiting or self.anonymous)


class Admission:
    """The places of all connections. The limits are those in force, whenever one is looked at."""

    def __init__(self, settings: RunningSettings) -> None:
        self._settings = settings
        self.total = 0
        self.waiting = 0
        self.lag = 0.0
        self._networks: dict[str, _Network] = {}
        self._contended: dict[str, _Network] = {}  # those of which connections wait
        self._half_open: OrderedDict[Place, None] = OrderedDict()  # by `began`
        self._mute: OrderedDict[Place, None] = OrderedDict()  # by `since`
        self._spoken: OrderedDict[Place, None] = OrderedDict()  # by `since`
        self._ghosts = 0
        self._anonymous = 0
        self._touched: set[str] = set()  # networks that may have become empty

    # --- what the shell asks

    @property
    def limits(self) -> Limits:
        """[limits], as in force."""
        return self._settings.current.limits

    def has_room(self) -> bool:
        """Whether another connection could be accepted, be it in another's place."""
        return self.total < self.limits.connections or bool(self.waiting or self._half_open)

    def arrive(
        self,
        network: str,
        now: float,
        *,
        admitted: Callable[[], None],
        displaced: Callable[[str], None],
        scarce: bool = False,
    ) -> Place | None:
        """A new connection; None if there is no room for it. See its `standing`. `scarce`: descriptors run out, so that
        it must take another's place."""
        if scarce or self.total >= self.limits.connections:
            victim = self._least_of_all()
            if victim is None:
                return None
            self._displace(victim, "connections")
        place = Place(network, admitted, displaced, began=now, since=now)
        self.total += 1
        of = self._network(network)
        has_place = self._make_own_place(of, now) and self._make_place(of, now)
        if has_place and not of.waiting:
            self._seat(place, of, now)
        else:
            self._wait(place, of)
            if has_place and of.waiting:
                self._seat_first(of, now)
        self._tidy()
        return place

    def gone(self, place: Place, now: float, *, ghost: bool = False) -> None:
        """A connection has ended. `ghost`: its place stays taken until `exorcise`."""
        if place.standing is Standing.GONE:
            return
        was_half_open = place.standing is Standing.HALF_OPEN
        self._leave(place)
        place.standing = Standing.GONE
        self.total -= 1
        if ghost and was_half_open:
            self._network(place.network).ghosts += 1
            self._ghosts += 1
        self.pump(now)

    def exorcise(self, network: str, now: float) -> None:
        """A ghost's time is over."""
        self._network(network).ghosts -= 1
        self._ghosts -= 1
        self.pump(now)

    def lags(self, seconds: float) -> None:
        """So much too late the shell comes to things: what looks silent may have spoken and not been read."""
        self.lag = max(seconds, self.lag * 0.9)

    def pump(self, now: float) -> None:
        """Give places to those that wait, as far as there are any. Call it every POLL seconds while some do."""
        for _ in range(SEATS):
            if (of := self._next(now)) is None:
                break
            self._seat_first(of, now)
        self._tidy()

    def _seat_first(self, of: _Network, now: float) -> None:
        place, _ = of.waiting.popitem(last=False)
        self._stopped_waiting(place, of)
        self._seat(place, of, now)
        place.admitted()

    def _next(self, now: float) -> _Network | None:
        """The network to get the next free place, if there is one."""
        limit = self.limits.unauthenticated_per_address
        if self._contended and all(of.taken >= limit for of in self._contended.values()):
            # O(places), of which there are `unauthenticated`.
            for of in self._contended.values():
                if (victim := self._silent_of(of, now)) is not None:
                    self._displace(victim, "unauthenticated_per_address")
                    of.failed += 1
                    break
            else:
                return None
        below = [of for of in self._contended.values() if of.taken < limit]
        fewest = min(below, key=lambda of: of.taken) if below else None
        return fewest if fewest is not None and self._make_place(fewest, now) else None

    # --- what connections tell

    def progress(self, place: Place, now: float) -> None:
        """A whole request has come on it."""
        if place.standing is Standing.HALF_OPEN:
            place.since = now
            place.mute = False
            self._mute.pop(place, None)
            self._spoken[place] = None
            self._spoken.move_to_end(place)

    def refusal_of_anonymous(self, place: Place) -> str:
        """Why nobody may log on there without a name, or as guest; "" if they may."""
        if place.standing is not Standing.HALF_OPEN:
            return ""
        if self._anonymous >= self.limits.anonymous:
            return self.limits.reached("anonymous")
        of = self._networks.get(place.network)
        if of is not None and of.anonymous >= self.limits.anonymous_per_address:
            return self.limits.reached("anonymous_per_address")
        return ""

    def holds(self, place: Place, standing: Standing, now: float) -> None:
        """It has sessions, or none any more: ANONYMOUS, NAMED, HALF_OPEN."""
        if place.standing in (standing, Standing.GONE):
            return
        self._leave(place)
        of = self._network(place.network)
        if standing is Standing.HALF_OPEN:
            # Its sessions have ended. Nothing is under way on it, so it gives way at once.
            self._seat(place, of, now)
            del self._mute[place]
            place.mute, place.since = False, now - SILENT
            self._spoken[place] = None
            self._spoken.move_to_end(place, last=False)
        else:
            place.standing = standing
            if standing is Standing.NAMED:
                of.failed //= 2
            if standing is Standing.ANONYMOUS:
                of.anonymous += 1
                self._anonymous += 1
        self.pump(now)

    # --- places

    def _make_own_place(self, of: _Network, now: float) -> bool:
        """Whether a network may have one more place of its own, if need be by giving one up."""
        if of.taken >= self.limits.unauthenticated_per_address:
            victim = self._silent_of(of, now)
            if victim is None:
                return False
            self._displace(victim, "unauthenticated_per_address")
            of.failed += 1
        return True

    def _make_place(self, of: _Network, now: float) -> bool:
        """Whether there is a place for one more of that network among all, or one could be made."""
        if len(self._half_open) + self._ghosts >= self.limits.unauthenticated:
            victim = self._silent(now) or self._from_many(of)
            if victim is None:
                return False
            self._displace(victim, "unauthenticated")
        # Connections that had sessions, and have none any more, may be beyond the limits; each newcomer then takes one
        # of them away, and no more.
        return True

    def _silent(self, now: float) -> Place | None:
        """The connection that has been silent for longest; first those that have sent nothing."""
        for order, patience in ((self._mute, MUTE), (self._spoken, SILENT)):
            if (place := next(iter(order), None)) is not None and now - place.since >= patience + 2 * self.lag:
                return place
        place = next(iter(self._half_open), None)
        return place if place is not None and now - place.began >= SLOW else None

    def _silent_of(self, of: _Network, now: float) -> Place | None:
        candidates = [place for place in of.half_open if of.finds_silent(place, now, self.lag)]
        return min(candidates, key=lambda place: (not place.mute, place.since), default=None)

    def _from_many(self, of: _Network) -> Place | None:
        most = max(self._networks.values(), key=lambda other: len(other.half_open))
        if len(most.half_open) < MANY or len(most.half_open) < 2 * (of.taken + 1):
            return None
        return min(most.half_open, key=lambda place: (not place.mute, place.since))

    def _least_of_all(self) -> Place | None:
        """Who goes when there is no room for any more connections."""
        if self.waiting:
            return next(reversed(max(self._contended.values(), key=lambda of: len(of.waiting)).waiting))
        if not self._half_open:
            return None
        most = max(self._networks.values(), key=lambda of: len(of.half_open))
        return min(most.half_open, key=lambda place: (not place.mute, place.since))

    def _network(self, name: str) -> _Network:
        self._touched.add(name)
        return self._networks.setdefault(name, _Network())

    def _seat(self, place: Place, of: _Network, now: float) -> None:
        place.standing = Standing.HALF_OPEN
        place.began = place.since = now
        place.mute = True
        of.half_open[place] = None
        self._half_open[place] = self._mute[place] = None

    def _wait(self, place: Place, of: _Network) -> None:
        place.standing = Standing.WAITING
        of.waiting[place] = None
        self._contended[place.network] = of
        self.waiting += 1
        if self.waiting > 2 * self.limits.unauthenticated:
            most = max(self._contended.values(), key=lambda of: len(of.waiting))
            self._displace(next(reversed(most.waiting)), "unauthenticated")

    def _stopped_waiting(self, place: Place, of: _Network) -> None:
        self.waiting -= 1
        if not of.waiting:
            self._contended.pop(place.network, None)

    def _displace(self, place: Place, key: str) -> None:
        self._leave(place)
        place.standing = Standing.GONE
        self.total -= 1
        place.displaced(self.limits.reached(key))

    def _leave(self, place: Place) -> None:
        """It is no more what it was."""
        if place.standing in (Standing.NAMED, Standing.GONE):
            return
        of = self._network(place.network)
        if place.standing is Standing.HALF_OPEN:
            del of.half_open[place], self._half_open[place]
            self._mute.pop(place, None)
            self._spoken.pop(place, None)
        elif place.standing is Standing.WAITING:
            del of.waiting[place]
            self._stopped_waiting(place, of)
        else:
            of.anonymous -= 1
            self._anonymous -= 1

    def _tidy(self) -> None:
        """Forget networks that have nothing any more."""
        for name in self._touched:
            if (of := self._networks.get(name)) is not None and of.empty:
                del self._networks[name]
        self._touched.clear()
