"""One round: looks at one server, and does what its policies decide. The shell around `machine`.

Rules:

  - What is about to be done is kept before it is done, and what became of it after: a program that is killed at any
    moment finds where it was (`lanman.manage.policies.promises`).
  - Orders are plan and run of `lanman.manage.orders`, in groups of at most MAX_LOOKS, before each of which the server
    is looked at again and everything is decided again. Those of one client are in one group: where a server ends whole
    connections, they are not each other's bystanders.
  - Bystanders, and sessions that may be this program's own, are never ended: nobody has told them, or needs to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol
from uuid import uuid4

from lanman import codes
from lanman.errors import LanmanError, Win32Error
from lanman.manage.history.records import Deed
from lanman.manage.orders.pauses import MAX_LOOKS
from lanman.manage.orders.plan import Cost, Outcome, Plan, Reason, Target, allows
from lanman.manage.orders.plan import What as Became
from lanman.manage.policies.machine import GONE, HELD_FOR, NO_POLICY, Decision, Settled, consider
from lanman.manage.policies.promises import Promise, State
from lanman.manage.policies.selecting import Choice, Match, View, choose
from lanman.manage.policies.words import Event, What, message_for, people_of
from lanman.manage.selection import canonical_client
from lanman.manage.watching.keys import SessionKey, same_session
from lanman.net.tell.people import Person, Told
from lanman.net.tell.teller import AT_ONCE, Teller

if TYPE_CHECKING:
    from lanman.manage.policies.declared import Policy
    from lanman.manage.policies.kept import Kept, Standing
    from lanman.manage.policies.looks import Looker
    from lanman.net.tell.people import Telling

OWN: Final = "it may be the session of this program itself"
NOT_FOUND: Final = "the server does not list it any more as it was looked at"
TOGETHER: Final = "the server ends it only together with others, who are not to be ended"
COSTS: Final[Mapping[Cost, str]] = {
    Cost.NONE: "nothing would be lost",
    Cost.REOPEN: "it has something open for reading",
    Cost.UNSAVED: "work may not be saved",
    Cost.UNKNOWN: "what it would cost is not known",
}


class Clock(Protocol):
    """Time; tests have one of their own."""

    def wall(self) -> float:
        """Seconds since 1970."""

    def standing(self) -> Standing:
        """How `wall` stands to a clock that nobody sets."""

    async def sleep(self, seconds: float) -> None:
        """Wait so long."""


Emit = Callable[[Event], None]


class Enforcer:
    """Carries out policies, server by server. `tellers` gives what tells people by some ways of lanman.toml, all of
    them for none; `by` is who runs this, for the deeds."""

    def __init__(
        self, kept: Kept, tellers: Callable[[tuple[str, ...]], Teller], clock: Clock, emit: Emit, *, by: str
    ) -> None:
        self._kept = kept
        self._tellers = tellers
        self._clock = clock
        self._emit_to = emit
        self._by = by
        self._said: dict[tuple[str, str], str] = {}
        self._own: dict[str, list[SessionKey]] = {}
        self._wanted: Mapping[str, Sequence[str] | None] = {}

    # --- what is no round

    async def check_clock(self) -> None:
        """Notice that the clock was set."""
        if shift := await self._kept.clock_is(self._clock.standing()):
            self._emit(What.CLOCK, text=f"the clock was set by {shift:+.0f} seconds, and all times with it")

    async def drop_all_but(
        self, wanted: Mapping[str, Sequence[str] | None], meant: Callable[[Promise], bool] = lambda one: True
    ) -> None:
        """Spare those whose policy, or whose server in it, is no longer there. `wanted` are the servers of each policy;
        None where they are not known now. Promises that are not `meant` stay as they are: they are of policies or
        servers that this run leaves out."""
        gone = []
        self._wanted = wanted
        for one in self._kept.promises.values():
            servers = wanted.get(one.policy, ())
            if one.state.is_open and servers is not None and one.server not in servers and meant(one):
                gone.append(Settled(one, State.SPARED, NO_POLICY))
        await self._settle(gone)

    # --- a round

    async def round(self, policies: Sequence[Policy], looker: Looker) -> None:
        """Look at a server, and do what is due there. Raises LanmanError where it cannot be looked at."""
        await self.check_clock()
        await self._kept.forget_old(self._clock.wall())
        view = await self._look(policies, looker)
        for policy in policies:
            while True:
                decision = await self._decided(policy, view)
                await self._settle(decision.settled)
                self._say_state(policy, looker.name, decision)
                if decision.stopped or decision.skipped or decision.asleep:
                    break
                if decision.new or decision.again:
                    await self._promise(policy, looker, decision)
                    decision.due = self._due_of_new(decision)
                if not decision.due:
                    break
                if policy.mode == "report":
                    await self._report(decision)
                else:
                    await self._end_some(policy, looker, decision.due)
                view = await self._look(policies, looker)

    async def _look(self, policies: Sequence[Policy], looker: Looker) -> View:
        """A look, with the names of clients that are to be left alone."""
        spares = await self._kept.spares(self._clock.wall())
        return await looker.look(policies, [spare.word for spare in spares])

    async def _decided(self, policy: Policy, view: View) -> Decision:
        now = self._clock.wall()
        choice = choose(policy, view) if policy.awake(now) else Choice(len(view.seen))
        own = self._own.get(view.server, ())
        matches = tuple(match for match in choice.matches if not any(same_session(key, match.seen.key) for key in own))
        spares = await self._kept.spares(now)
        promises = [*self._kept.of(policy.name, view.server), *self._ended_elsewhere(policy)]
        return consider(policy, view, replace(choice, matches=matches), promises, spares, now)

    def _ended_elsewhere(self, policy: Policy) -> Iterable[Promise]:
        """Whom a policy has ended on servers that it no longer names: they may be called otherwise by now, so these
        count for `at_most` on each that it does name."""
        servers = self._wanted.get(policy.name)
        if servers is None:
            return ()
        return (
            one
            for one in self._kept.promises.values()
            if one.policy == policy.name and one.state is State.ENDED and one.server not in servers
        )

    def _due_of_new(self, decision: Decision) -> list[tuple[Promise, Match]]:
        """What is due, with what was promised just now for at once: where nobody is to be told."""
        now = self._clock.wall()
        return [(promise, match) for promise, match in decision.due if promise.due_at <= now]

    # --- promising, and telling

    async def _promise(self, policy: Policy, looker: Looker, decision: Decision) -> None:
        now = self._clock.wall()
        new = await self._without_own(looker, decision.new)
        before = policy.tell.before if policy.tell is not None else 0
        made = [(_made(policy, looker.name, match, now, now + before), match) for match in new]
        if policy.tell is None or policy.mode == "report":
            for promise, _ in made:
                promise.state = State.TOLD
            await self._put([promise for promise, _ in made], "tell", "matched")
            decision.due += made if policy.tell is None else []
            return
        again = [promise for promise, _ in decision.again]
        for promise in again:
            promise.state, promise.due_at = State.TELLING, now + before
        await self._inform(policy, looker, [*(promise for promise, _ in made), *again])

    async def _without_own(self, looker: Looker, new: Sequence[Match]) -> list[Match]:
        """Those that are certainly not this program's own."""
        if not new:
            return []
        plan = await looker.plan([match.seen.entry for match in new], costs=False)
        own = [target.key for target in plan.targets if target.is_own and isinstance(target.key, SessionKey)]
        self._own[looker.name] = [*self._own.get(looker.name, [])[-63:], *own]
        return [match for match in new if not any(same_session(key, match.seen.key) for key in own)]

    async def _inform(self, policy: Policy, looker: Looker, promises: Sequence[Promise]) -> None:
        assert policy.tell is not None
        if not promises:
            return
        teller = self._tellers(policy.tell.by)
        people = people_of(promises, await looker.open_files())
        try:
            await self._put(promises, None, "")
        except LanmanError:
            for one in promises:
                one.state = State.UNTOLD
            raise
        now = self._clock.wall()
        due_at = max(one.due_at for one in promises)
        places = asyncio.Semaphore(AT_ONCE)

        async def tell(person: Person, theirs: Sequence[Promise]) -> None:
            async with places:
                [telling] = await teller.tell(
                    [person], message_for(policy, looker.name, person, theirs[0].why, due_at, now)
                )
            for one in theirs:
                _note_telling(policy, one, telling, self._clock.wall())

        async with asyncio.TaskGroup() as group:
            for person, theirs in people:
                group.create_task(tell(person, theirs))
        await self._put(promises, "tell", "")
        for one in promises:
            done = What.TOLD if one.state is State.TOLD and not one.again_at else What.NOT_TOLD
            self._emit(done, one.server, one.policy, one, one.reason)

    # --- ending

    async def _report(self, decision: Decision) -> None:
        promises = [promise for promise, _ in decision.due]
        for one in promises:
            one.state = State.REPORTED
        await self._put(promises, "end", "reported")
        for one in promises:
            self._emit(What.REPORTED, one.server, one.policy, one, one.why)

    async def _end_some(self, policy: Policy, looker: Looker, due: Sequence[tuple[Promise, Match]]) -> None:
        """End those of one group, and put off those that are left alone; the others are looked at again."""
        group = _group(due)
        plan = await looker.plan([match.seen.entry for _, match in group])
        targets = targets_of(plan, [match for _, match in group])
        held: dict[str, str] = {}
        chosen: dict[Target, Promise] = {}
        for (promise, _), target in zip(group, targets, strict=True):
            if target is None:
                held[promise.name] = NOT_FOUND
            elif target.is_own:
                held[promise.name] = OWN
            elif not _may_cost(policy, target):
                held[promise.name] = f"{COSTS[target.cost]} ({target.why})" if target.why else COSTS[target.cost]
            else:
                target.most_opens = (
                    None if policy.may_cost is Cost.UNSAVED else getattr(target.record, "num_opens", None)
                )
                chosen[target] = promise
        run = plan.only(lambda target: target in chosen)
        kept = set(run.targets)
        held |= {promise.name: TOGETHER for target, promise in chosen.items() if target not in kept}
        await self._hold([promise for promise, _ in group if promise.name in held], held)
        if kept:
            await self._run(policy, looker, run, {target: chosen[target] for target in run.targets})

    async def _run(self, policy: Policy, looker: Looker, plan: Plan, promised: Mapping[Target, Promise]) -> None:
        for promise in promised.values():
            promise.state = State.ENDING
        await self._put(list(promised.values()), None, "")
        outcomes = await looker.run(plan, None if policy.may_cost is Cost.UNSAVED else policy.may_cost)
        settled, held, failed, doubtful = [], {}, set(), set()
        for outcome in outcomes:
            promise = promised[outcome.target]
            if outcome.what is Became.DONE:
                settled.append(Settled(promise, State.ENDED, outcome.note or ""))
            elif _has_left(outcome):
                settled.append(Settled(promise, State.SPARED, GONE))
            else:
                held[promise.name] = "" if outcome.error is None else outcome.error.message
                if outcome.what is Became.FAILED:
                    failed.add(promise.name)
                    if _may_have_ended(outcome):
                        doubtful.add(promise.name)
        await self._settle(settled)
        await self._hold([promise for promise in promised.values() if promise.name in held], held, failed, doubtful)

    async def _hold(
        self,
        promises: Sequence[Promise],
        reasons: Mapping[str, str],
        failed: Collection[str] = (),
        doubtful: Collection[str] = (),
    ) -> None:
        """Leave some alone for now. What became of them is a deed where it is another than before. Those that are
        doubtful may have been ended: if they are gone at the next look, they were."""
        news = []
        for one in promises:
            reason = reasons[one.name]
            one.again_at = self._clock.wall() + HELD_FOR
            one.state = State.ENDING if one.name in doubtful else State.TOLD
            if one.reason != reason:
                one.reason = reason
                news.append(one)
        deeds = [self._deed(one, "end", "failed" if one.name in failed else "held") for one in news]
        await self._kept.put(*promises, deeds=deeds)
        for one in news:
            self._emit(What.HELD, one.server, one.policy, one, one.reason)

    # --- keeping, and saying: what has happened is kept before it is said

    async def _settle(self, settled: Sequence[Settled]) -> None:
        deeds = []
        for each in settled:
            one = each.promise
            one.state, one.reason, one.settled_at = each.state, each.reason, self._clock.wall()
            deeds.append(self._deed(one, "end", "done" if each.state is State.ENDED else "spared"))
        await self._kept.put(*(each.promise for each in settled), deeds=deeds)
        for each in settled:
            done = What.ENDED if each.state is State.ENDED else What.SPARED
            self._emit(done, each.promise.server, each.promise.policy, each.promise, each.reason)

    async def _put(self, promises: Sequence[Promise], verb: str | None, outcome: str) -> None:
        """Keep promises, with a deed for each where there is a verb."""
        deeds = []
        if verb is not None:
            for one in promises:
                became = outcome or ("done" if one.told == Told.YES.value else "failed")
                deeds.append(self._deed(one, verb, became))
        await self._kept.put(*promises, deeds=deeds)

    def _deed(self, one: Promise, verb: str, outcome: str) -> Deed:
        return Deed(
            round(self._clock.wall()),
            one.server,
            f"{self._by} (policy {one.policy})",
            verb,
            outcome,
            target=str(one.key),
            client_name=one.client_name,
            user_name=one.user_name,
            plan=one.policy,
            told=one.told or None,
            detail=one.reason or one.why,
        )

    def _say_state(self, policy: Policy, server: str, decision: Decision) -> None:
        """Say that nothing is done, and why, when it begins; and when it is over."""
        key = policy.name, server
        now = "stopped" if decision.stopped else "skipped" if decision.skipped else ""
        before = self._said.get(key, "")
        if now == before:
            return
        self._said[key] = now
        if now:
            what = What.STOPPED if decision.stopped else What.SKIPPED
            self._emit(what, server, policy.name, text=decision.stopped or decision.skipped)
        else:
            self._emit(What.GOES_ON, server, policy.name)

    def _emit(
        self, what: What, server: str = "", policy: str = "", promise: Promise | None = None, text: str = ""
    ) -> None:
        # What is shown afterwards is how it was then.
        shown = None if promise is None else replace(promise)
        self._emit_to(Event(self._clock.wall(), what, server, policy, shown, text))


def _made(policy: Policy, server: str, match: Match, now: float, due_at: float) -> Promise:
    key, entry = match.seen.key, match.seen.entry
    return Promise(
        uuid4().hex,
        policy.name,
        server,
        policy.mode,
        entry.client_name,
        entry.user_name,
        key.begun_at,
        key.id,
        now,
        due_at,
        match.why,
    )


def _note_telling(policy: Policy, promise: Promise, telling: Telling, now: float) -> None:
    """Note what became of telling somebody."""
    assert policy.tell is not None
    promise.told, promise.told_at = telling.told.value, now
    promise.due_at, promise.reason, promise.again_at = now + policy.tell.before, telling.reason, 0.0
    promise.state = State.TOLD
    if telling.told is Told.YES or not policy.tell.required:
        return
    if telling.told is Told.NO:
        promise.state, promise.again_at = State.UNTOLD, now + policy.tell.before
        return
    # Telling again might tell twice; so it is not, and without a notice that is known nobody is ended.
    promise.again_at = float("inf")
    promise.reason = f"whether a message came is not known: {telling.reason}"


def _may_cost(policy: Policy, target: Target) -> bool:
    return policy.may_cost is Cost.UNSAVED or allows(policy.may_cost, target.cost)


def _may_have_ended(outcome: Outcome) -> bool:
    """Whether an order that failed may have been carried out: only a server that said no has not done so."""
    error = outcome.error
    return not isinstance(error, Win32Error) or error.code == codes.NERR_InternalError


def _has_left(outcome: Outcome) -> bool:
    """Whether the session is gone: there is none, or another one."""
    if outcome.what is not Became.SPARED:
        return False
    other = outcome.error is not None and outcome.error.code == codes.NERR_ClientNameNotFound
    return outcome.reason is Reason.GONE or (outcome.reason is Reason.CHANGED and other)


def _group(due: Sequence[tuple[Promise, Match]]) -> list[tuple[Promise, Match]]:
    """The first of those that are due: clients one after the other, as long as no more than MAX_LOOKS orders come of
    it, and one client at least."""
    clients: dict[str, list[tuple[Promise, Match]]] = {}
    for one in due:
        clients.setdefault(canonical_client(one[1].seen.entry.client_name or ""), []).append(one)
    group: list[tuple[Promise, Match]] = []
    for theirs in clients.values():
        if group and len(group) + len(theirs) > MAX_LOOKS:
            break
        group += theirs
    return group


def targets_of(plan: Plan, matches: Sequence[Match]) -> list[Target | None]:
    """For each session its target in the plan, None where it is gone. A plan has targets for all of one client and user
    where the server cannot end one of them alone."""
    taken: set[int] = set()
    found: list[Target | None] = []
    for place, match in enumerate(matches):
        target = None
        for each in plan.asked[place] if place < len(plan.asked) else ():
            key: Hashable = plan.targets[each].key
            if each not in taken and isinstance(key, SessionKey) and same_session(key, match.seen.key):
                taken.add(each)
                target = plan.targets[each]
                break
        found.append(target)
    return found
