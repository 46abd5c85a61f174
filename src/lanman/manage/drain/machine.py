"""What a drain decides, without I/O.

Looks at a server go in with their times, and out come whom to end and when to look again.

    machine = Machine(rules, started=now)
    machine.cordoned(True, now)
    while machine.verdict is None:
        ... wait until machine.next_look ...
        for place in machine.looked(look): ... end look.holders[place] ...
        machine.ended(...)

The rules:

  - A holder is one that the drain counts: a session or, where a share or a path is drained, or no session is left, an
    open file. The session of the program that looks is none of them; others that may be its user's own are, and are
    ended only where that was asked for.
  - Phases follow each other by the clock: WARN (nobody is ended), WAIT (who has nothing open is ended at once), END
    (who may be ended by `Rules.end` is). Whoever comes meanwhile is treated like all others.
  - DRAINED is said only after looks that saw nobody, the first and the last of them at least `quiet_for` apart, and no
    look between them saw anybody or failed. A look counts by when it was begun; what begins the quiet counts by when
    its answer was there: so a session that was there at any time is never missed by rounding.
  - Drains of several servers (`Joint`) are drained together: the looks of each saw nobody in one and the same time of
    `quiet_for`. One that is empty before the others goes on looking.
  - The time-out counts from the start. It is finite, and it ends the drain after a last look.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import field
from enum import Enum
from typing import Final

from lanman.manage.orders.plan import Cost, is_grave
from lanman.manage.selection import canonical_client
from lanman.names import fold
from lanman.plain import dataclass

EVERY: Final = 2.0
"""Seconds from one look to the next, at least."""

CAUTION: Final = 20
"""The next look comes no sooner than this many times as long as the last one took: a busy server is not asked more."""

DEFAULT_QUIET: Final = 30.0
DEFAULT_TIMEOUT: Final = 1800.0
"""How long a drain goes on after the time for warning and grace, where nothing else was said."""


OWN: Final = "may be yours; --include-mine ends it too"


class Phase(Enum):
    """Where a drain is."""

    PLAN = "plan"
    CORDON = "cordon"
    WARN = "warn"
    WAIT = "wait"
    END = "end"
    QUIET = "quiet"
    DONE = "done"


class End(Enum):
    """Who is ended once the grace is over."""

    IDLE = "idle"
    """Who loses nothing: nothing is open, or only for reading, for over an hour without a request."""
    READERS = "readers"
    """Who has nothing open for writing, and no locks."""
    ALL = "all"
    """Everybody."""


class Verdict(Enum):
    """How a drain ended."""

    DRAINED = "drained"
    TIMED_OUT = "timed_out"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Rules:
    """What a drain is to do; times in seconds. `include_mine`: sessions of this program's own user are ended too."""

    warn: float = 0.0
    grace: float = 0.0
    timeout: float = DEFAULT_TIMEOUT
    end: End = End.IDLE
    quiet_for: float = DEFAULT_QUIET
    include_mine: bool = False
    every: float = EVERY

    def is_grave(self, holders: Sequence[Holder], kept: Sequence[Holder] = ()) -> bool:
        """Whether a person is to type the server's name before these are drained, and what is `kept` for clients that
        are away. Only `End.ALL` takes what may be unsaved away from anybody."""
        if self.end is End.ALL:
            holders = (*holders, *kept)
        costs = [holder.cost for holder in holders if not holder.is_own] if self.end is End.ALL else []
        return is_grave(len(holders), costs)


@dataclass(frozen=True, slots=True)
class Holder:
    """One whom the drain counts. `begun` is in seconds since 1970, None where it is not told or for a file; `files` are
    paths, as far as they are known; `is_own`: it may be this program's own user's. `owner`: for whom a file is kept
    that nobody has open, "" for nobody, None where that is not told."""

    client_name: str | None
    user_name: str | None
    num_opens: int | None = None
    begun: float | None = None
    cost: Cost = Cost.UNKNOWN
    why: str = ""
    is_own: bool = False
    id: int | None = None
    path: str | None = None
    files: tuple[str, ...] = ()
    owner: str | None = None

    @property
    def nothing_open(self) -> bool:
        """Whether its end takes nothing from anybody. At a level without a number, what costs nothing has nothing."""
        if self.path is not None:
            return False
        return self.num_opens == 0 or (self.num_opens is None and self.cost is Cost.NONE)

    @property
    def who(self) -> tuple[str, str, int | None]:
        """What it is known by from one look to the next; several may be alike."""
        return canonical_client(self.client_name or ""), fold(self.user_name or ""), self.id


@dataclass(frozen=True, slots=True)
class Look:
    """What one look saw. `asked_at` and `answered_at` are seconds since 1970 by this machine's clock."""

    holders: tuple[Holder, ...]
    asked_at: float
    answered_at: float


class Happening(Enum):
    """What an event of a drain tells."""

    PLANNED = "planned"
    PAUSED = "paused"
    NOT_PAUSED = "not_paused"
    TOLD = "told"
    """What became of telling one person."""
    WARNED = "warned"
    """Everybody was told who is to be, or could not be."""
    LEFT = "left"
    """A phase has begun in which people may be ended: `holders` are those who are there."""
    GONE = "gone"
    """It has left by itself."""
    CAME = "came"
    ENDED = "ended"
    SPARED = "spared"
    FAILED = "failed"
    """An order was refused, or a look had no answer."""
    EMPTY = "empty"
    CONTINUED = "continued"
    NOT_CONTINUED = "not_continued"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class Event:
    """Something has happened in a drain, `at` a time in seconds since 1970. `told` is yes, no or unknown; `message` a
    sentence without a full stop. `holders` are those who are there, for LEFT and FINISHED. `node` is the server's name
    where several are drained as one."""

    at: float
    phase: Phase
    what: Happening
    holder: Holder | None = None
    told: str | None = None
    message: str = ""
    holders: tuple[Holder, ...] = ()
    node: str | None = None


@dataclass(slots=True)
class Joint:
    """What drains of several servers have in common: they are drained together, once there was a time of `quiet_for`
    in which none of their looks saw anybody. `number` is how many there are. `is_agreed` by then, and for good."""

    number: int = 1
    is_agreed: bool = False
    _quiet: dict[int, tuple[float, float]] = field(default_factory=dict)

    def quiet(self, who: int, since: float, until: float, quiet_for: float) -> bool:
        """One of them was quiet from `since` to `until`; whether all were, for long enough."""
        self._quiet[who] = since, until
        if len(self._quiet) == self.number:
            begun = max(since for since, _ in self._quiet.values())
            self.is_agreed |= min(until for _, until in self._quiet.values()) - begun >= quiet_for
        return self.is_agreed

    def disturbed(self, who: int) -> None:
        """Somebody was seen at one of them, or it was not seen."""
        self._quiet.pop(who, None)


@dataclass(slots=True)
class Machine:
    """One drain. `events` are what has happened since they were last taken."""

    rules: Rules
    started: float
    joint: Joint = field(default_factory=Joint)
    events: list[Event] = field(default_factory=list)
    verdict: Verdict | None = None
    left: tuple[Holder, ...] = ()
    is_cordoned: bool = False
    next_look: float = 0.0
    reasons: dict[tuple[str, str, int | None], str] = field(default_factory=dict)
    """Why some could not be ended, by `Holder.who`."""
    _seen: Counter[tuple[str, str, int | None]] = field(default_factory=Counter)
    _ended: Counter[tuple[str, str, int | None]] = field(default_factory=Counter)
    _looks: int = 0
    _told_phase: Phase = Phase.WARN
    _quiet_since: float | None = None
    _blind: str = ""

    @property
    def until_warned(self) -> float:
        """When the time for warning is over."""
        return self.started + self.rules.warn

    @property
    def until_grace(self) -> float:
        """When the grace is over, and whoever may be is ended."""
        return self.until_warned + self.rules.grace

    @property
    def until(self) -> float:
        """When the time of the drain is over."""
        return self.started + self.rules.timeout

    def phase(self, now: float) -> Phase:
        """Where the drain is at a time."""
        if self.verdict is not None:
            return Phase.DONE
        if self._quiet_since is not None:
            return Phase.QUIET
        return Phase.WARN if now < self.until_warned else Phase.WAIT if now < self.until_grace else Phase.END

    # --- what goes in

    def cordoned(self, yes: bool, now: float, message: str = "") -> None:
        """Whether newcomers are kept out from now on."""
        self.is_cordoned = yes
        self._note(now, Happening.PAUSED if yes else Happening.NOT_PAUSED, message=message, phase=Phase.CORDON)
        self.next_look = now

    def told(self, now: float, user_name: str, told: str, reason: str) -> None:
        """What became of telling somebody."""
        holder = Holder(None, user_name)
        self._note(now, Happening.TOLD, holder, told=told, message=reason, phase=Phase.WARN)

    def looked(self, look: Look) -> list[int]:
        """Take in a look; the places in it of those who are to be ended now."""
        now = look.answered_at
        if self.joint.is_agreed:
            # It was begun before all were found to be drained, and nobody is ended after that.
            self._finish(Verdict.DRAINED, now)
            return []
        self._blind = ""
        self._compare(look)
        self.left = look.holders
        if look.holders:
            self._disturbed()
        elif self._quiet_since is None:
            self._quiet_since = now
            self._note(now, Happening.EMPTY, message="nobody is left")
        if self._quiet_since is not None and self.joint.quiet(
            id(self), self._quiet_since, look.asked_at, self.rules.quiet_for
        ):
            self._finish(Verdict.DRAINED, now)
            return []
        if now >= self.until:
            self._finish(Verdict.TIMED_OUT, now)
            return []
        self._plan_next(now, now - look.asked_at)
        self._tell_phase(now)
        for holder in look.holders:
            if holder.is_own and not self.rules.include_mine and now >= self.until_warned:
                self.ended(now, holder, OWN, spared=True)
        return [place for place, holder in enumerate(look.holders) if self._may_end(holder, now)]

    def not_looked(self, now: float, problem: str) -> None:
        """A look had no answer. Who was there meanwhile is not known, so the quiet begins anew."""
        if problem != self._blind:
            self._note(now, Happening.FAILED, message=problem)
        self._blind = problem
        self._disturbed()
        if now >= self.until:
            self._finish(Verdict.FAILED, now, message=problem)
            return
        self._plan_next(now, self.rules.every / CAUTION)

    def ended(self, now: float, holder: Holder, problem: str | None, *, spared: bool = False) -> None:
        """What became of ending one: `problem` None is that it has ended. The next look is soon then."""
        if problem is None:
            self.next_look = min(self.next_look, now + self.rules.every / 4)
            self._ended[holder.who] += 1
            self.reasons.pop(holder.who, None)
            self._note(now, Happening.ENDED, holder, message=holder.why)
        elif self.reasons.get(holder.who) != problem:
            self.reasons[holder.who] = problem
            self._note(now, Happening.SPARED if spared else Happening.FAILED, holder, message=problem)

    def agreed(self, now: float) -> bool:
        """Whether all of several drains are done, by what their looks have seen: then this one is too."""
        if self.joint.is_agreed and self.verdict is None:
            self._finish(Verdict.DRAINED, now)
        return self.verdict is not None

    def stop(self, verdict: Verdict, now: float, message: str = "") -> None:
        """End the drain from outside: it was interrupted, or something failed."""
        if self.verdict is None:
            self._finish(verdict, now, message=message)

    def take_events(self) -> list[Event]:
        """What has happened since the last call."""
        taken, self.events = self.events, []
        return taken

    def _disturbed(self) -> None:
        self._quiet_since = None
        self.joint.disturbed(id(self))

    # --- what is decided

    def ends_everybody(self, now: float) -> bool:
        """Whether people are ended by now whatever they have open."""
        return self.rules.end is End.ALL and now >= self.until_grace

    def _may_end(self, holder: Holder, now: float) -> bool:
        if now < self.until_warned or (holder.is_own and not self.rules.include_mine):
            return False
        if holder.nothing_open:
            return True
        if self.ends_everybody(now):
            return True
        if now < self.until_grace:
            return False
        harmless = (Cost.NONE,) if self.rules.end is End.IDLE else (Cost.NONE, Cost.REOPEN)
        return holder.cost in harmless

    def _plan_next(self, now: float, took: float) -> None:
        times = [now + max(self.rules.every, CAUTION * took), self.until]
        times += [at for at in (self.until_warned, self.until_grace) if at > now]
        if self._quiet_since is not None and now - took < self._quiet_since + self.rules.quiet_for:
            times.append(max(now, self._quiet_since + self.rules.quiet_for))
        self.next_look = min(times)

    def _tell_phase(self, now: float) -> None:
        """Tell who is there when the time for warning is over, and when the grace is."""
        phase = self.phase(now)
        if phase is not self._told_phase and phase is not Phase.QUIET:
            self._told_phase = phase
            self.events.append(Event(now, phase, Happening.LEFT, holders=self.left))

    def _compare(self, look: Look) -> None:
        """Tell who has gone and who has come since the last look."""
        by_who: dict[tuple[str, str, int | None], list[Holder]] = {}
        for holder in look.holders:
            by_who.setdefault(holder.who, []).append(holder)
        now = Counter({who: len(holders) for who, holders in by_who.items()})
        before = {holder.who: holder for holder in self.left}
        for who, number in self._seen.items():
            left_by_themselves = number - now[who] - self._ended[who]
            for _ in range(left_by_themselves):
                self._note(look.answered_at, Happening.GONE, before[who])
            if now[who] == 0:
                self.reasons.pop(who, None)
        if self._looks:
            for who, holders in by_who.items():
                stayed = max(0, self._seen[who] - self._ended[who])
                for holder in holders[stayed:]:
                    self._note(look.answered_at, Happening.CAME, holder)
        self._seen, self._looks = now, self._looks + 1
        self._ended.clear()

    def _finish(self, verdict: Verdict, now: float, message: str = "") -> None:
        phase = self.phase(now)
        self.verdict = verdict
        if verdict is not Verdict.DRAINED:
            self.joint.disturbed(id(self))
        if not message:
            message = {
                Verdict.DRAINED: f"empty for {self.rules.quiet_for:g} s",
                Verdict.TIMED_OUT: "time ran out"
                if self.left
                else "time ran out; nobody was left here"
                if self.joint.number > 1
                else f"time ran out; nobody was left, but not for {self.rules.quiet_for:g} s",
                Verdict.INTERRUPTED: "interrupted",
            }.get(verdict, "")
        self.events.append(Event(now, phase, Happening.FINISHED, message=message, holders=self.left))

    def _note(
        self,
        now: float,
        what: Happening,
        holder: Holder | None = None,
        *,
        told: str | None = None,
        message: str = "",
        phase: Phase | None = None,
    ) -> None:
        self.events.append(Event(now, phase or self.phase(now), what, holder, told, message))


def counted(holders: Sequence[Holder]) -> tuple[int, ...]:
    """The places of those who count: all but the session of the program that looks. Of those that may be it, the one
    that began last is taken for it."""
    own = [place for place, holder in enumerate(holders) if holder.is_own and holder.path is None]
    looking = max(own, key=lambda place: holders[place].begun or 0.0, default=None)
    return tuple(place for place in range(len(holders)) if place != looking)


def people(holders: Sequence[Holder]) -> dict[str, tuple[list[str], list[str]]]:
    """Whom to tell, by the names of their users: from which clients they are there, and what they have open."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    for holder in holders:
        clients, files = found.setdefault(holder.user_name or "", ([], []))
        if holder.client_name and holder.client_name not in clients:
            clients.append(holder.client_name)
        files += [path for path in (*holder.files, holder.path) if path and path not in files]
    return found
