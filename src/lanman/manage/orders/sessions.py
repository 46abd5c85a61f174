"""The orders that end sessions: planned, given one after the other, and what became of each.

Rules:

  - Nothing ends that was not meant. Right before its order each target is looked up again: one that the server does not
    list as it was planned is spared, and so is everybody whose order would end somebody without consent
    (`lanman.manage.orders.listed` says who that is). With very many orders, a look is right before several of them.
  - An order is given once. Where its answer was lost, or where answers mean little (smbd's), the list says what became
    of it: it is read again, with pauses, until the session is gone or the last pause is over.
  - The session of this program ends last, and by logging off: an order could take along the connection that the others
    travel on. What may be ours stands alone in its batch for the same reason.
  - Looking takes time for each that is listed, so there are few looks: many orders take time linear in their number.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping, Sequence
from typing import Final

from lanman import codes
from lanman.errors import LanmanError, Win32Error
from lanman.manage.answers import NO_MATCH, Sessions, no_such_session
from lanman.manage.orders import pauses
from lanman.manage.orders.listed import Grouping, Order, agreed, described, left_alone
from lanman.manage.orders.plan import Consent, Done, Missing, Outcome, Plan, Reason, Target, Verb, What
from lanman.manage.own_session import OwnSession
from lanman.manage.watching.keys import SessionKey, same_session, session_key
from lanman.names import unc_client
from lanman.net.dial import Within
from lanman.plain import dataclass
from lanman.records import SessionInfo
from lanman.shown import escape

OWN_NOTE: Final = "it was the session of this program itself, which has logged off"

Given = tuple[LanmanError | None, bool]
"""What came of giving an order: its error, and whether the answer or the connection was lost."""


@dataclass(slots=True)
class Look:
    """All sessions of a server as they were listed, `at` in seconds since 1970."""

    listed: Sessions
    at: float
    is_own: Callable[[SessionInfo], bool]
    grouping: Grouping


@dataclass(frozen=True, slots=True)
class SessionOrders:
    """Ends sessions of one server by what that server offers.

    `listed` gives all sessions as they are now, `glance` does without what is open in them, `give` gives one order,
    `log_off` ends the session of this program; each is awaited `within` a bound on its time. With `whole_connections`
    an order ends all sessions of a TCP connection, and its answer means little. `grouped` says which order ends what.
    `more_pauses` are for a server that takes longer than others to end a session. `wall_clock`: seconds since 1970;
    without one, those of the system.
    """

    own: OwnSession
    whole_connections: bool
    within: Callable[[], Within]
    listed: Callable[[], Awaitable[Sessions]]
    glance: Callable[[], Awaitable[Sessions]]
    grouped: Callable[[Sequence[SessionInfo], Callable[[SessionInfo], bool]], Grouping]
    give: Callable[[Order], Awaitable[Given]]
    log_off: Callable[[], Awaitable[None]]
    more_pauses: tuple[float, ...] = ()
    wall_clock: Callable[[], float] | None = None

    async def look(self, *, glance: bool = False) -> Look:
        """The sessions as they are now."""
        async with self.within():
            at = time.time() if self.wall_clock is None else self.wall_clock()
            listed = await (self.glance if glance else self.listed)()
            is_own = await self.own.recogniser(listed.entries)
            return Look(listed, at, is_own, self.grouped(listed.entries, is_own))

    async def plan(self, sessions: Sequence[SessionInfo]) -> Plan:
        """The orders that end some sessions as things stand now."""
        look = await self.look()
        orders, missing = look.grouping.orders_for(sessions)
        plan = Plan(Verb.END, look.listed.server, level=look.listed.level, look=look, listed=look.listed.entries)
        plan.asked = [[] for _ in sessions]
        equal: Counter[SessionKey] = Counter()
        for order in orders:
            for entry in order.meant:
                key = session_key(entry, look.at)
                for place in order.places:
                    plan.asked[place].append(len(plan.targets))
                numbered = key._replace(number=equal[key])
                equal[key] += 1
                plan.targets.append(Target(entry, numbered, order.key, order.others, look.is_own(entry)))
        for place in missing:
            session = sessions[place]
            plan.missing[place] = Missing(session, no_such_session(session.client_name, session.user_name))
        return plan

    async def run(
        self, plan: Plan, consent: Consent, *, include_mine: bool, at_once: bool, done: Done | None
    ) -> list[Outcome]:
        """Give the orders of a plan, as far as `consent` allows; an outcome for each target, in their order.

        `at_once`: the plan has just been made here, so its look is the one before the first order.
        """
        look = plan.look if at_once and isinstance(plan.look, Look) else None
        return await _Run(self, plan, consent, include_mine, done).all(look)


class _Run:
    """One run of a plan: which orders are left, and what became of the targets so far."""

    def __init__(
        self, orders: SessionOrders, plan: Plan, consent: Consent, include_mine: bool, done: Done | None
    ) -> None:
        self._orders = orders
        self._targets = plan.targets
        self._may_go = agreed(consent)
        self._done = done
        self._outcomes: dict[Target, Outcome] = {}
        self._meant: dict[Hashable, list[Target]] = {}
        for target in plan.targets:
            self._meant.setdefault(target.order, []).append(target)
        if not include_mine:
            self._spare_own()
        self._ended: dict[Order, list[Target]] = {}
        self._ended_pairs: dict[Hashable, Order] = {}
        self._ended_clients: dict[str, Order] = {}
        self._own_is_known = False

    async def all(self, look: Look | None) -> list[Outcome]:
        """Give all orders."""
        for batch in self._batches():
            if look is None:
                look = await self._orders.look()
            if given := self._to_be_given(batch, look):
                look = await self._end(given)
        if self._orders.whole_connections:
            await self._note_bystanders()
        return [self._outcomes[target] for target in self._targets]

    def _settle(
        self,
        targets: Sequence[Target],
        what: What,
        error: LanmanError | None = None,
        *,
        reason: Reason | None = None,
        note: str | None = None,
        others: list[SessionInfo] | None = None,
    ) -> None:
        for target in targets:
            outcome = Outcome(target, what, reason, error, note, [] if others is None else others)
            self._outcomes[target] = outcome
            if self._done is not None:
                self._done(outcome)

    def _spare_own(self) -> None:
        """Leave alone the session of this program, and whatever its order would end."""
        for key in [key for key, targets in self._meant.items() if any(target.is_own for target in targets)]:
            targets = self._meant.pop(key)
            self._settle(targets, What.SPARED, _own_spared(_session(targets[0])), reason=Reason.OWN)

    def _batches(self) -> Iterator[list[Hashable]]:
        """Orders that share a look. One that may take this connection along stands alone, at the end."""
        ours: list[Hashable] = []
        others: list[Hashable] = []
        for key, targets in self._meant.items():
            is_ours = self._orders.own.is_our_user(_session(targets[0]).user_name)
            (ours if is_ours else others).append(key)
        size = pauses.batch_size(len(others))
        for start in range(0, len(others), size):
            yield others[start : start + size]
        for key in ours:
            yield [key]

    # --- before the orders

    def _to_be_given(self, batch: Sequence[Hashable], look: Look) -> dict[Order, list[Target]]:
        """The orders that may be given by what is listed now, with their targets. Others are settled here."""
        self._own_is_known = any(map(look.is_own, look.listed.entries))
        # Whoever is meant by any of the orders is nobody's bystander.
        there = {key: self._still_there(key, targets, look) for key, targets in self._meant.items()}
        look.grouping.find_others([order for order, _ in there.values()])
        consented: dict[int, bool] = {}
        given: dict[Order, list[Target]] = {}
        for key in batch:
            order, present = there[key]
            known = set(present)
            self._settle_absent(order, [target for target in self._meant[key] if target not in known], look)
            if not present:
                continue
            if any(_opened_more(target, entry) for target, entry in zip(present, order.meant, strict=True)):
                self._settle(present, What.SPARED, _opened_more_error(_session(present[0])), reason=Reason.CHANGED)
                continue
            # Orders for one client of a Samba share one list of others: reading it for each would take quadratic time.
            if id(order.others) not in consented:
                consented[id(order.others)] = all(map(self._may_go, order.others))
            if consented[id(order.others)]:
                given[order] = present
            else:
                error = left_alone(order, self._orders.whole_connections)
                self._settle(present, What.SPARED, error, reason=Reason.BYSTANDERS, others=order.others)
        return given

    def _still_there(self, key: Hashable, targets: Sequence[Target], look: Look) -> tuple[Order, list[Target]]:
        """An order by what is listed now: which entries it means, and which of its targets they are."""
        order = look.grouping.order(key, _session(targets[0]))
        present: list[Target] = []
        for target, entry in _matched(targets, look.grouping.entries(order), look.at):
            present.append(target)
            order.meant.append(entry)
            order.own = order.own or look.is_own(entry)
        return order, present

    def _settle_absent(self, order: Order, targets: Sequence[Target], look: Look) -> None:
        """Targets that are not listed as they were planned."""
        if not targets:
            return
        listed = bool(look.grouping.entries(order))
        for target in targets:
            session = _session(target)
            if target.is_own:
                # The connection that the plan was made on has been closed.
                self._settle([target], What.DONE, note=OWN_NOTE)
            elif (ended := self._ended_with(order)) is not None:
                self._ended[ended].append(target)
                self._settle([target], What.DONE)
            elif listed:
                self._settle([target], What.SPARED, _changed(session), reason=Reason.CHANGED)
            else:
                gone = no_such_session(session.client_name, session.user_name)
                self._settle([target], What.SPARED, gone, reason=Reason.GONE)

    def _ended_with(self, order: Order) -> Order | None:
        """The order that was given and ended what this one would: the server could not tell the two apart, or it ended
        all of the client."""
        return self._ended_pairs.get(order.folded) or self._ended_clients.get(order.folded[0])

    # --- the orders, and after them

    def _ended_by(self, order: Order, targets: list[Target], note: str | None = None) -> None:
        self._ended[order] = list(targets)
        self._ended_pairs[order.folded] = order
        if order.ends_client:
            self._ended_clients[order.folded[0]] = order
        # Who goes along on a connection is looked up in the end.
        others = None if self._orders.whole_connections else order.others
        self._settle(targets, What.DONE, note=note, others=others)

    async def _end(self, given: Mapping[Order, list[Target]]) -> Look | None:
        """Give some orders, and settle what became of each. What was seen after all of them, if anything was."""
        doubtful: dict[Order, Given] = {}
        for order, targets in given.items():
            if order.own and len(order.meant) == 1:
                async with self._orders.within():
                    await self._orders.log_off()
                self._ended_by(order, targets, OWN_NOTE)
                continue
            async with self._orders.within():
                error, lost = await self._orders.give(order)
            if self._orders.whole_connections or lost:
                doubtful[order] = error, lost
            elif error is not None and error.code in NO_MATCH:
                if self._ended_with(order) is not None:
                    self._settle(targets, What.DONE)
                else:
                    self._settle(targets, What.SPARED, no_such_session(order.client, order.user), reason=Reason.GONE)
            elif error is not None:
                self._settle(targets, What.FAILED, error)
            else:
                note = f"the server ended the sessions of {order.others_named} with it" if order.others else None
                self._ended_by(order, targets, note)
        return await self._verify(doubtful, given) if doubtful else None

    async def _verify(self, doubtful: dict[Order, Given], given: Mapping[Order, list[Target]]) -> Look | None:
        """Look whether sessions are gone, where the answers were lost or are known to mean little."""
        look = None
        for pause in (*pauses.PAUSES, *self._orders.more_pauses):
            await asyncio.sleep(pause)
            look = await self._orders.look(glance=True)
            for order, (error, lost) in list(doubtful.items()):
                # The connection that looks is itself a session of its user. Where none was known for ours, one whose
                # order took along the connection that it came by was ours, under whatever name.
                own = order.own or (lost and not self._own_is_known and self._orders.own.is_our_user(order.user))
                # Somebody who has begun another session meanwhile is not who was ended.
                left = sum(1 for _ in _matched(given[order], look.grouping.entries(order), look.at))
                if left <= int(own):
                    self._ended_by(order, given[order])
                elif error is not None:
                    self._settle(given[order], What.FAILED, error)
                else:
                    continue
                del doubtful[order]
            if not doubtful:
                break
        for order in doubtful:
            message = f"{order.client}: the server was told to end the session and still lists it"
            error = Win32Error(codes.NERR_InternalError, message, subject=order.client)
            self._settle(given[order], What.FAILED, error)
        # What is open was not looked at, which is to be said of bystanders.
        return look if self._orders.glance is self._orders.listed else None

    async def _note_bystanders(self) -> None:
        """Say which sessions ended besides, where the server ended the whole TCP connection."""
        ended = [order for order in self._ended if order.others]
        if not ended:
            return
        look = await self._orders.look(glance=True)
        gone: dict[int, tuple[list[SessionInfo], str]] = {}
        for order in ended:
            if id(order.others) not in gone:
                went = [entry for entry in order.others if not look.grouping.lists(order, entry)]
                gone[id(order.others)] = went, described(went)
            went, named = gone[id(order.others)]
            if went:
                for target in self._ended[order]:
                    outcome = self._outcomes[target]
                    outcome.others = went
                    outcome.note = f"Samba ended the whole connection: the sessions of {named} went with it"


def _session(target: Target) -> SessionInfo:
    assert isinstance(target.record, SessionInfo)
    return target.record


def _matched(
    targets: Sequence[Target], entries: Sequence[SessionInfo], at: float
) -> Iterator[tuple[Target, SessionInfo]]:
    """Each target with the listed session that it is, each session once; in the order of when they began."""

    def place(key: SessionKey) -> tuple[str, float]:
        # Where the server tells an id, that alone counts; ages may be a second apart from look to look.
        return ("", key.begun_at or 0.0) if key.id is None else (str(key.id), 0.0)

    wanted = [(place(target.key), target.key, target) for target in targets if isinstance(target.key, SessionKey)]
    found = [(place(key := session_key(entry, at)), key, entry) for entry in entries]
    wanted.sort(key=lambda one: one[0], reverse=True)
    found.sort(key=lambda one: one[0], reverse=True)
    while wanted and found:
        (before, key, target), (now, other, entry) = wanted[-1], found[-1]
        if same_session(key, other):
            yield target, entry
            wanted.pop()
            found.pop()
        elif before < now:
            wanted.pop()
        else:
            found.pop()


# --- what is said of those who are spared


def _named(session: SessionInfo) -> str:
    return f"{unc_client(session.client_name or '')}, {escape(session.user_name or 'nobody')}"


def _changed(session: SessionInfo) -> Win32Error:
    return Win32Error(
        codes.NERR_ClientNameNotFound,
        f"{_named(session)}: left alone: that session has ended, and another one has begun since it was listed",
        hint="list the sessions again",
        subject=unc_client(session.client_name or ""),
    )


def _opened_more(target: Target, now: SessionInfo) -> bool:
    return target.most_opens is not None and now.num_opens is not None and now.num_opens > target.most_opens


def _opened_more_error(session: SessionInfo) -> Win32Error:
    return Win32Error(
        codes.ERROR_BUSY,
        f"{_named(session)}: left alone: more is open there than when it was looked at",
        hint="look at what is open again",
        subject=unc_client(session.client_name or ""),
    )


def _own_spared(session: SessionInfo) -> Win32Error:
    return Win32Error(
        codes.ERROR_BUSY,
        f"{_named(session)}: left alone: it may be the session of this program itself",
        hint="--include-mine ends it too",
        subject=unc_client(session.client_name or ""),
    )
