"""Plans and runs of orders at several nodes.

Rules:

  - Each node plans and runs its own part, and sees nothing of the others: an id, a client or a user of one node says
    nothing about another. A target goes to the node in its record, and to no other.
  - What is planned for a cluster has the node in the record, in the key and in the order, so nothing of two nodes is
    equal. Consent to a bystander is consent to that session of that node.
  - A node that is away when a plan is run leaves its targets FAILED with its error; the others are run all the same.
    So does one that is no node any more, or turned out to be another by a second address.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from lanman.errors import LanmanError
from lanman.manage.answers import Absent
from lanman.manage.cluster.members import Members
from lanman.manage.manager import Manager
from lanman.manage.orders.plan import Consent, Done, Missing, Outcome, Plan, Target, Verb, What
from lanman.plain import dataclass
from lanman.records import FileInfo, SessionInfo

R = TypeVar("R", SessionInfo, FileInfo)


class NodeOrder(NamedTuple):
    """An order as a node's own plan has it, and the node."""

    node: str
    order: Hashable


def stamp(records: Iterable[R], node: str) -> None:
    """Say of which node some records are."""
    for record in records:
        record.node = node


def at_node(error: LanmanError, node: str) -> LanmanError:
    """The error, which names the node where it named no server."""
    error.server = error.server or node
    return error


async def plan(
    members: Members,
    verb: Verb,
    records: Sequence[R],
    make: Callable[[Manager, Sequence[R]], Awaitable[Plan]],
) -> tuple[Plan, list[Absent]]:
    """The plan for records of several nodes, and the nodes that could not be asked; what was asked of these is missing
    in it."""
    places: dict[str, list[int]] = {}
    for place, record in enumerate(records):
        places.setdefault(members.member(record.node).node, []).append(place)

    async def at(node: str, manager: Manager) -> Plan:
        return await make(manager, [replace(records[place], node=None) for place in places[node]])

    plans, errors = await members.ask_each(list(places), at)
    whole = Plan(verb, members.server, asked=[[] for _ in records])
    looks: dict[str, object] = {}
    listed: list[SessionInfo] = []
    for node in [node for node in places if node in plans]:
        part = plans[node]
        looks[node] = part.look
        _add(whole, part, node, places[node])
        stamp(part.listed, node)
        listed += part.listed
    whole.look, whole.listed = looks, listed
    known = [part.level for part in plans.values() if part.level is not None]
    whole.level = known[0] if len(set(known)) == 1 else None
    for node, error in errors.items():
        whole.missing |= {place: Missing(records[place], at_node(error, node)) for place in places[node]}
    return whole, [Absent(node, error) for node, error in errors.items()]


def _add(whole: Plan, part: Plan, node: str, places: Sequence[int]) -> None:
    """Take in the plan of a node for what was asked for at some places."""
    begin = len(whole.targets)
    for target in part.targets:
        stamp(target.bystanders, node)
        target.record.node = node
        target.key = target.key._replace(node=node)
        target.order = None if target.order is None else NodeOrder(node, target.order)
        whole.targets.append(target)
    for place, targets in zip(places, part.asked, strict=True):
        whole.asked[place] = [begin + target for target in targets]
    for place, missing in part.missing.items():
        missing.record.node = node
        whole.missing[places[place]] = Missing(missing.record, at_node(missing.error, node))


@dataclass(slots=True)
class Run:
    """How a node's part of a plan is run: as `Manager.end_sessions` and `Manager.end_files`."""

    members: Members
    plan: Plan
    consent: Consent
    at_once: bool
    done: Done | None

    async def all(
        self, run: Callable[[Manager, Plan, Consent, Done], Awaitable[list[Outcome]]]
    ) -> tuple[list[Outcome], list[Absent]]:
        """Run it at all nodes at the same time; an outcome for each target, in order, and the nodes that went away."""
        of_node: dict[str, list[Target]] = {}
        outcomes: dict[Target, Outcome] = {}
        for target in self.plan.targets:
            try:
                of_node.setdefault(self.members.member(target.record.node).node, []).append(target)
            except LanmanError as unknown:
                self._settle(outcomes, target, Outcome(target, What.FAILED, None, unknown), target.record.node or "")

        async def at(node: str, manager: Manager) -> None:
            own = {_of_node(target): target for target in of_node[node]}

            def settle(outcome: Outcome) -> None:
                self._settle(outcomes, own[outcome.target], outcome, node)

            part = Plan(self.plan.verb, manager.server, list(own), level=self.plan.level)
            part.asked = [[place] for place in range(len(own))]
            looks = self.plan.look
            part.look = looks.get(node) if self.at_once and isinstance(looks, dict) else None
            part.listed = [entry for entry in self.plan.listed if entry.node == node]
            for outcome in await run(manager, part, self._consent_of(node), settle):
                # What went along is known in the end.
                outcomes[own[outcome.target]] = _told(outcome, own[outcome.target], node)

        _, errors = await self.members.ask_each(list(of_node), at)
        for node, error in errors.items():
            for target in of_node[node]:
                if target not in outcomes:
                    self._settle(outcomes, target, Outcome(target, What.FAILED, None, error), node)
        return [outcomes[target] for target in self.plan.targets], [
            Absent(node, error) for node, error in errors.items()
        ]

    def _settle(self, outcomes: dict[Target, Outcome], target: Target, outcome: Outcome, node: str) -> None:
        outcomes[target] = _told(outcome, target, node)
        if self.done is not None:
            self.done(outcomes[target])

    def _consent_of(self, node: str) -> Consent:
        if isinstance(self.consent, bool):
            return self.consent
        return [replace(session, node=None) for session in self.consent if session.node == node]


def _told(outcome: Outcome, target: Target, node: str) -> Outcome:
    """What became of a target, as the cluster tells it."""
    stamp(outcome.others, node)
    return replace(outcome, target=target, error=None if outcome.error is None else at_node(outcome.error, node))


def _of_node(target: Target) -> Target:
    """The target as its node's own plan has it."""
    order = target.order.order if isinstance(target.order, NodeOrder) else target.order
    return replace(target, key=target.key._replace(node=None), order=order)
