"""What policies would do now: one look at every server, all at the same time. Nothing is done, and nobody is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any

from lanman.errors import LanmanError
from lanman.manage.orders.plan import Cost, Target, allows
from lanman.manage.policies.declared import Policies, Policy
from lanman.manage.policies.enforce import OWN, targets_of
from lanman.manage.policies.looks import Looker
from lanman.manage.policies.machine import Decision, consider
from lanman.manage.policies.promises import Promise, Spare, State, paired
from lanman.manage.policies.selecting import Choice, Match, View, choose
from lanman.manage.policies.servers import Served, Servers
from lanman.plain import dataclass
from lanman.shown import rfc3339


@dataclass(frozen=True, slots=True)
class Meant:
    """A session that a policy means, and what would become of it: `now` is "tell", "end", "wait" or "leave", `why` the
    reason of that or of its being meant. `due_at` is when it would be ended at the earliest, None where it is left."""

    match: Match
    now: str
    why: str
    due_at: float | None = None
    cost: Cost = Cost.UNKNOWN
    cost_why: str = ""

    def as_json(self) -> dict[str, Any]:
        """The session for programs."""
        entry, key = self.match.seen.entry, self.match.seen.key
        return {
            "key": str(key),
            "client_name": entry.client_name,
            "user_name": entry.user_name,
            "num_opens": entry.num_opens,
            "idle_time": entry.idle_time,
            "begun_at": rfc3339(key.begun_at),
            "meant": self.match.why,
            "now": self.now,
            "why": self.why,
            "due_at": rfc3339(self.due_at),
            "cost": self.cost.value,
            "cost_why": self.cost_why,
        }


@dataclass(frozen=True, slots=True)
class PolicyPlan:
    """What a policy would do on a server now. `error` is why that server could not be looked at; nothing else is known
    then. `decision` says why nothing is done where that is so: `asleep`, `skipped` or `stopped`."""

    policy: Policy
    server: str
    at: float
    decision: Decision = field(default_factory=Decision)
    choice: Choice = field(default_factory=lambda: Choice(0))
    meant: tuple[Meant, ...] = ()
    error: LanmanError | None = None

    def as_json(self) -> dict[str, Any]:
        """The plan for programs; times are RFC 3339."""
        looked = self.error is None
        return {
            "policy": self.policy.name,
            "server": self.server,
            "mode": self.policy.mode,
            "at": rfc3339(self.at),
            "error": None if self.error is None else self.error.code,
            "message": None if self.error is None else self.error.message,
            "asleep": self.decision.asleep if looked else None,
            "skipped": self.decision.skipped or None,
            "stopped": self.decision.stopped or None,
            "total": self.decision.total if looked else None,
            "matched": self.decision.meant if looked and not self.decision.skipped else None,
            "sessions": [each.as_json() for each in self.meant],
            "undecided": [
                {
                    "key": str(seen.key),
                    "client_name": seen.entry.client_name,
                    "user_name": seen.entry.user_name,
                    "why": why,
                }
                for seen, why in self.choice.undecided
            ],
        }


async def planned(
    policies: Policies,
    servers: Servers,
    now: Callable[[], float],
    *,
    promises: Sequence[Promise] = (),
    spares: Sequence[Spare] = (),
) -> list[PolicyPlan]:
    """What each policy would do on each of its servers. `promises` and `spares` are those that a runner has."""
    looked = await asyncio.gather(*(_look(each, now, promises, spares) for each in servers.served.values()))
    found = [each for some in looked for each in some]
    for name, error in servers.unknown.items():
        policy = policies.policies[name]
        found.append(PolicyPlan(policy, ", ".join(policy.servers), now(), error=error))
    order = {name: place for place, name in enumerate(policies.policies)}
    return sorted(found, key=lambda each: order[each.policy.name])


async def _look(
    served: Served, now: Callable[[], float], promises: Sequence[Promise], spares: Sequence[Spare]
) -> list[PolicyPlan]:
    try:
        async with Looker(served.name, served.opening, now) as looker:
            view = await looker.look(served.policies, [spare.word for spare in spares])
            return [await _one(policy, looker, view, now(), promises, spares) for policy in served.policies]
    except LanmanError as error:
        return [PolicyPlan(policy, served.name, now(), error=error) for policy in served.policies]


async def _one(
    policy: Policy, looker: Looker, view: View, now: float, promises: Sequence[Promise], spares: Sequence[Spare]
) -> PolicyPlan:
    choice = choose(policy, view)
    theirs = [one for one in promises if (one.policy, one.server) == (policy.name, looker.name)]
    decision = consider(policy, view, choice, theirs, spares, now)
    meant: tuple[Meant, ...] = ()
    if choice.matches and not decision.asleep:
        plan = await looker.plan([match.seen.entry for match in choice.matches])
        targets = targets_of(plan, choice.matches)
        promised = _promised(theirs, choice.matches, policy)
        left = {id(match.seen): spare for match, spare in decision.left}
        meant = tuple(
            _stopped(match, target, decision.stopped)
            if decision.stopped
            else _meant(policy, match, target, promised.get(id(match.seen)), left.get(id(match.seen)), now)
            for match, target in zip(choice.matches, targets, strict=True)
        )
    return PolicyPlan(policy, looker.name, now, decision, choice, meant)


def _promised(promises: Sequence[Promise], matches: Sequence[Match], policy: Policy) -> Mapping[int, Promise]:
    standing = [one for one in promises if one.state.is_open and one.mode == policy.mode]
    pairs = paired(standing, (match.seen.key for match in matches))
    return {id(matches[place].seen): one for one, place in pairs if place is not None}


def _stopped(match: Match, target: Target | None, why: str) -> Meant:
    cost, cost_why = (Cost.UNKNOWN, "") if target is None else (target.cost, target.why)
    return Meant(match, "leave", why, None, cost, cost_why)


def _meant(
    policy: Policy, match: Match, target: Target | None, promise: Promise | None, spare: Spare | None, now: float
) -> Meant:
    cost, cost_why = (Cost.UNKNOWN, "") if target is None else (target.cost, target.why)
    if spare is not None:
        return Meant(match, "leave", f"left alone until {rfc3339(spare.until)}", None, cost, cost_why)
    if target is not None and target.is_own:
        return Meant(match, "leave", OWN, None, cost, cost_why)
    before = 0 if policy.tell is None else policy.tell.before
    due_at = now + before if promise is None or promise.state in (State.UNTOLD, State.LOST) else promise.due_at
    if due_at > now:
        done = "wait" if promise is not None and promise.state is State.TOLD else "tell"
        return Meant(match, done, match.why, due_at, cost, cost_why)
    if not (policy.may_cost is Cost.UNSAVED or allows(policy.may_cost, cost)):
        return Meant(
            match, "leave", f"it may cost too much: {cost_why or 'what it costs is not known'}", None, cost, cost_why
        )
    if target is not None and target.bystanders:
        return Meant(match, "leave", f"{len(target.bystanders)} others would end with it", None, cost, cost_why)
    return Meant(match, "end", match.why, due_at, cost, cost_why)
