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
  Neither is one whose request has come and waits for its turn (`Newcomer.unheard`), but for SLOW.
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
from collections.abc import Collection
from dataclasses import field
from enum import Enum, auto
from typing import Final, Protocol

from lanman.plain import dataclass
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


class Newcomer(Protocol):
    """A connection, as far as admission has to do with it."""

    @property
    def unheard(self) -> bool:
        """Whether it has sent a request that has not had its turn yet."""

    def mark_ready(self) -> None:
        """It need not wait any more."""

    def displace(self, why: str) -> None:
        """It has to go."""


@dataclass(slots=True, eq=False)
class Place:
    """The place of one connection, which is told of what becomes of it."""

    network: str
    newcomer: Newcomer
    standing: Standing = Standing.GONE
    began: float = 0.0
    since: float = 0.0  # when it came, or made progress last
    mute: bool = True


@dataclass(slots=True, eq=False)
class _Network:
    """What one network has: half-open connections, ghosts of such, those that wait in their order, anonymous ones.

    `mute` and `spoken` are its half-open connections once more, each in the order of `since`."""

    half_open: dict[Place, None] = field(default_factory=dict)
    mute: dict[Place, None] = field(default_factory=dict)
    spoken: OrderedDict[Place, None] = field(default_factory=OrderedDict)
    ghosts: int = 0
    waiting: OrderedDict[Place, None] = field(default_factory=OrderedDict)
    anonymous: int = 0
    failed: int = 0  # how many were displaced for being silent; halved by each that logs on

    def finds_silent(self, place: Place, now: float, lag: float) -> bool:
        """Whether one of its half-open connections may have to go."""
        if now - place.began >= SLOW + 2 * lag:
            return True
        if place.newcomer.unheard:
            return False
        patience = max((MUTE if place.mute else SILENT) / (1 + self.failed / MANY), LEAST[place.mute]) + 2 * lag
        return now - place.since >= patience

    def silent(self, now: float, lag: float) -> Place | None:
        """Which of its half-open connections has to go, if one may: the first of those `finds_silent` is true of."""
        for order in (self.mute, self.spoken, self.half_open):
            if (place := next(iter(order), None)) is not None and self.finds_silent(place, now, lag):
                return place
        return None

    @property
    def quietest(self) -> Place:
        """The half-open connection that has said nothing for longest."""
        return next(iter(self.mute or self.spoken))

    @property
    def taken(self) -> int:
        """How many places for half-open connections it takes, ghosts included."""
        return len(self.half_open) + self.ghosts

    @property
    def empty(self) -> bool:
        """Whether there is nothing to know of it any more."""
        return not (self.half_open or self.ghosts or self.waiting or self.anonymous)


class _Ranking:
    """Networks by how many of something each has. Numbers change by one, and there are few that differ: all that is
    counted together has as many as the limits allow, so that a thousand different numbers would be half a million."""

    def __init__(self) -> None:
        self._number: dict[_Network, int] = {}
        self._having: dict[int, dict[_Network, None]] = {}

    def put(self, of: _Network, number: int | None) -> None:
        """It has so many now; None: it is not to be counted any more."""
        before = self._number.get(of)
        if before == number:
            return
        if before is not None:
            del self._number[of]
            others = self._having[before]
            del others[of]
            if not others:
                del self._having[before]
        if number is not None:
            self._number[of] = number
            self._having.setdefault(number, {})[of] = None

    def most(self) -> _Network | None:
        """One of those that have most; None if nobody has any."""
        return next(iter(self._having[max(self._having)])) if self._having else None

    def all(self) -> Collection[_Network]:
        """All that are counted."""
        return self._number

    def fewest(self) -> _Network | None:
        """Of those that have fewest, the one that has had so many for longest."""
        return next(iter(self._having[min(self._having)])) if self._having else None


class Admission:
    """The places of all connections. The limits are those in force, whenever one is looked at."""

    def __init__(self, settings: RunningSettings) -> None:
        self._settings = settings
        self.total = 0
        self.waiting = 0
        self.lag = 0.0
        self._networks: dict[str, _Network] = {}
        # Those of which connections wait, by how many do, and by how many places they take.
        self._most_waiting, self._contended = _Ranking(), _Ranking()
        self._most_half_open = _Ranking()
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
        newcomer: Newcomer,
        *,
        scarce: bool = False,
    ) -> Place | None:
        """A new connection; None if there is no room for it. See its `standing`. `scarce`: descriptors run out, so that
        it must take another's place."""
        if scarce or self.total >= self.limits.connections:
            victim = self._least_of_all()
            if victim is None:
                return None
            self._displace(victim, "connections")
        place = Place(network, newcomer, began=now, since=now)
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
            of = self._network(place.network)
            of.ghosts += 1
            self._ghosts += 1
            self._counted(of)
        self.pump(now)

    def exorcise(self, network: str, now: float) -> None:
        """A ghost's time is over."""
        of = self._network(network)
        of.ghosts -= 1
        self._ghosts -= 1
        self._counted(of)
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
        self.waiting -= 1
        self._seat(place, of, now)
        place.newcomer.mark_ready()

    def _next(self, now: float) -> _Network | None:
        """The network to get the next free place, if there is one."""
        limit = self.limits.unauthenticated_per_address
        fewest = self._contended.fewest()
        if fewest is not None and fewest.taken >= limit:
            # All have as many as they may. There are no more of these than `unauthenticated` has room for.
            for of in self._contended.all():
                if (victim := of.silent(now, self.lag)) is not None:
                    self._displace(victim, "unauthenticated_per_address")
                    of.failed += 1
                    break
            fewest = self._contended.fewest()
        if fewest is None or fewest.taken >= limit:
            return None
        return fewest if self._make_place(fewest, now) else None

    # --- what connections tell

    def progress(self, place: Place, now: float) -> None:
        """A whole request has come on it."""
        if place.standing is Standing.HALF_OPEN:
            place.since = now
            of = self._networks[place.network]
            if place.mute:
                self._hush(place, of)
                place.mute = False
                self._spoken[place] = of.spoken[place] = None
            else:
                self._spoken.move_to_end(place)
                of.spoken.move_to_end(place)

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
            self._hush(place, of)
            place.mute, place.since = False, now - SILENT
            for order in (self._spoken, of.spoken):
                order[place] = None
                order.move_to_end(place, last=False)
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
            victim = of.silent(now, self.lag)
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
            place = next(iter(order), None)
            if place is not None and now - place.since >= patience + 2 * self.lag and not place.newcomer.unheard:
                return place
        place = next(iter(self._half_open), None)
        return place if place is not None and now - place.began >= SLOW else None

    def _from_many(self, of: _Network) -> Place | None:
        most = self._most_half_open.most()
        if most is None or len(most.half_open) < MANY or len(most.half_open) < 2 * (of.taken + 1):
            return None
        return most.quietest

    def _least_of_all(self) -> Place | None:
        """Who goes when there is no room for any more connections."""
        if (most := self._most_waiting.most()) is not None:
            return next(reversed(most.waiting))
        most = self._most_half_open.most()
        return most.quietest if most is not None else None

    def _hush(self, place: Place, of: _Network) -> None:
        """It is neither among those that have said nothing nor among those that have."""
        if place.mute:
            del self._mute[place], of.mute[place]
        else:
            del self._spoken[place], of.spoken[place]

    def _counted(self, of: _Network) -> None:
        """What a network has of places has changed."""
        self._most_half_open.put(of, len(of.half_open) or None)
        if of.waiting or of in self._contended.all():
            self._most_waiting.put(of, len(of.waiting) or None)
            self._contended.put(of, of.taken if of.waiting else None)

    def _network(self, name: str) -> _Network:
        self._touched.add(name)
        if (found := self._networks.get(name)) is None:
            found = self._networks[name] = _Network()
        return found

    def _seat(self, place: Place, of: _Network, now: float) -> None:
        place.standing = Standing.HALF_OPEN
        place.began = place.since = now
        place.mute = True
        of.half_open[place] = of.mute[place] = None
        self._half_open[place] = self._mute[place] = None
        self._counted(of)

    def _wait(self, place: Place, of: _Network) -> None:
        place.standing = Standing.WAITING
        of.waiting[place] = None
        self.waiting += 1
        self._counted(of)
        if self.waiting > 2 * self.limits.unauthenticated and (most := self._most_waiting.most()) is not None:
            self._displace(next(reversed(most.waiting)), "unauthenticated")

    def _displace(self, place: Place, key: str) -> None:
        self._leave(place)
        place.standing = Standing.GONE
        self.total -= 1
        place.newcomer.displace(self.limits.reached(key))

    def _leave(self, place: Place) -> None:
        """It is no more what it was."""
        if place.standing in (Standing.NAMED, Standing.GONE):
            return
        of = self._network(place.network)
        if place.standing is Standing.HALF_OPEN:
            del of.half_open[place], self._half_open[place]
            self._hush(place, of)
            self._counted(of)
        elif place.standing is Standing.WAITING:
            del of.waiting[place]
            self.waiting -= 1
            self._counted(of)
        else:
            of.anonymous -= 1
            self._anonymous -= 1

    def _tidy(self) -> None:
        """Forget networks that have nothing any more."""
        for name in self._touched:
            if (of := self._networks.get(name)) is not None and of.empty:
                del self._networks[name]
        self._touched.clear()
