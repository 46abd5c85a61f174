"""Every order is a plan and a run.

    plan = await plan_sessions(manager, await manager.sessions(user="bob"))
    for target in plan.targets: print(target.key, target.cost.value, target.why)
    for outcome in await run(manager, plan): print(outcome.target.key, outcome.what.value, outcome.reason)

A plan is made from what the server lists, and does nothing. A run reads each target again right before its order and
spares what has changed, whose bystanders nobody consented to, and the session of this program itself; and looks again
afterwards. What a plan and an outcome hold is in `lanman.manage.orders.plan`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lanman import codes
from lanman.errors import LanmanError, LocalProtocolError, Win32Error
from lanman.manage.answers import missing_of
from lanman.manage.orders.plan import (
    Consent,
    Cost,
    Done,
    Outcome,
    Plan,
    Reason,
    Target,
    Verb,
    What,
    allows,
    worst,
)
from lanman.manage.selection import is_below
from lanman.manage.watching.keys import SessionKey, ShareKey, file_key, same_session
from lanman.names import fold
from lanman.records import FileInfo, SessionInfo, ShareInfo

if TYPE_CHECKING:
    from lanman.manage.manager import Manager
    from lanman.manage.openers import Openers

__all__ = [
    "Consent",
    "Cost",
    "Done",
    "Outcome",
    "Plan",
    "Reason",
    "Target",
    "Verb",
    "What",
    "plan_files",
    "plan_sessions",
    "plan_share",
    "run",
]


async def plan_sessions(manager: Manager, sessions: Sequence[SessionInfo], *, costs: bool = True) -> Plan:
    """How to end sessions as `Manager.sessions` listed them, and who would go along; a target for each that would end.

    With `costs` the open files are asked for, to tell what it costs. Raises what `Manager.sessions` raises.
    """
    plan = await manager.plan_sessions(sessions)
    if costs and plan.targets:
        try:
            files = await manager.files()
        except Win32Error:
            files = None  # who may not ask may plan all the same: the costs are unknown
        set_session_costs(plan, files)
    return plan


async def plan_files(manager: Manager, files: Sequence[FileInfo], *, costs: bool = True) -> Plan:
    """How to close files as `Manager.files` listed them; a target for each that is open.

    Of a file of which no more than the id is known, the rest is asked for. With `costs` the sessions are asked for, to
    tell who has been idle. Raises what `Manager.files` raises.
    """
    plan = await manager.plan_files(files)
    if costs and plan.targets:
        try:
            sessions = (await manager.sessions()).entries
        except Win32Error:
            sessions = []
        from lanman.manage.openers import Openers  # only where costs are asked for, as with those below

        set_file_costs(plan, Openers(sessions))
    return plan


async def plan_share(manager: Manager, name: str, *, costs: bool = True) -> Plan:
    """How to take a share away: its first target is the share, and the others are the files that are open there.

    Raises Win32Error 2310 for a share that does not exist. Where the open files may not be asked for, the share's cost
    is unknown.
    """
    share = await manager.share(name)
    key = ShareKey(share.netname or name)
    plan = Plan(Verb.UNSHARE, manager.server, [Target(share, key, key)], asked=[[0]])
    if not costs:
        return plan
    target = plan.targets[0]
    try:
        files = await manager.files()
        sessions = (await manager.sessions()).entries
    except Win32Error:
        target.why = "which files are open there cannot be told"
        return plan
    folder = share.path
    if not folder:
        target.why = "the server does not say where it is"
        return plan
    from lanman.manage.openers import Openers

    plan.targets += [Target(file, file_key(file), key) for file in files if is_below(file.path, folder)]
    set_file_costs(plan, Openers(sessions))
    opened = plan.targets[1:]
    target.cost = worst(one.cost for one in opened)
    target.why = f"{len(opened)} open there" if opened else "nothing is open there"
    return plan


async def run(
    manager: Manager,
    plan: Plan,
    *,
    with_others: Consent = False,
    include_mine: bool = False,
    at_once: bool = False,
    limit: Cost | None = None,
    done: Done | None = None,
) -> list[Outcome]:
    """Do what a plan says; an outcome for each target, in their order. `done` is called with each as it comes.

    `with_others` agrees to bystanders: to all of them, or to the sessions of the clients and users that it holds. The
    session of this program is spared without `include_mine`. `at_once`: the plan has just been made, by this Manager.
    With a `limit` the costs are worked out anew, and what costs more by now is spared (`Reason.CHANGED`).
    Raises LocalProtocolError for the plan of another server.
    """
    if fold(plan.server) != fold(manager.server):
        raise LocalProtocolError(f"a plan for {plan.server} is not one for {manager.server}")
    if limit is not None and plan.verb is not Verb.UNSHARE:
        dearer = await _dearer(manager, plan, limit)
        for outcome in dearer.values():
            if done is not None:
                done(outcome)
        left = plan.only(lambda target: target not in dearer)
        given = await run(manager, left, with_others=with_others, include_mine=include_mine, done=done)
        settled = dearer | {outcome.target: outcome for outcome in given}
        return [settled[target] for target in plan.targets]
    if plan.verb is Verb.END:
        return await manager.end_sessions(
            plan, with_others=with_others, include_mine=include_mine, at_once=at_once, done=done
        )
    if plan.verb is Verb.CLOSE:
        return await manager.end_files(plan, at_once=at_once, done=done)
    outcomes = await _unshare(manager, plan)
    for outcome in outcomes:
        if done is not None:
            done(outcome)
    return outcomes


async def _dearer(manager: Manager, plan: Plan, limit: Cost) -> dict[Target, Outcome]:
    """The targets that cost more by now than they may, with those of the same orders; each is to be spared."""
    if plan.verb is Verb.END:
        now = await plan_sessions(manager, [one.record for one in plan.targets if isinstance(one.record, SessionInfo)])
    else:
        now = await plan_files(manager, [one.record for one in plan.targets if isinstance(one.record, FileInfo)])
    dearer: dict[Target, Outcome] = {}
    orders = set()
    for target, places in zip(plan.targets, now.asked, strict=True):
        found = [now.targets[place] for place in places if _is_same(target, now.targets[place])]
        if all(allows(limit, one.cost) for one in found):
            continue
        subject = target.record.client_name if isinstance(target.record, SessionInfo) else f"open file {target.key[0]}"
        changed = Win32Error(
            codes.ERROR_BUSY,
            f"{subject}: left alone: it costs more than when it was looked at",
            hint="look again",
            subject=subject,
        )
        dearer[target] = Outcome(target, What.SPARED, Reason.CHANGED, changed)
        orders.add(target.order)
    for target in plan.targets:
        if target.order is not None and target.order in orders and target not in dearer:
            together = Win32Error(codes.ERROR_BUSY, "left alone: it ends together with one that costs too much by now")
            dearer[target] = Outcome(target, What.SPARED, Reason.CHANGED, together)
    return dearer


def _is_same(before: Target, now: Target) -> bool:
    if isinstance(before.key, SessionKey) and isinstance(now.key, SessionKey):
        return same_session(before.key, now.key)
    return isinstance(before.record, FileInfo) and isinstance(now.record, FileInfo)


async def _unshare(manager: Manager, plan: Plan) -> list[Outcome]:
    """Take a share away, unless its name means another folder by now; and look what is still open there."""
    target, *opened = plan.targets
    share = target.record
    assert isinstance(share, ShareInfo)
    name = share.netname or ""
    try:
        now = await manager.share(name)
    except Win32Error as error:
        if error.code != codes.NERR_NetNameNotFound:
            raise
        return [Outcome(one, What.SPARED, Reason.GONE, error) for one in plan.targets]
    if now.path != share.path:
        changed = Win32Error(
            codes.NERR_NetNameNotFound,
            f"{name}: left alone: it is another folder than when it was looked at",
            hint="look at the share again",
            subject=f"share {name}",
        )
        return [Outcome(one, What.SPARED, Reason.CHANGED, changed) for one in plan.targets]
    await manager.delete_share(name)
    if not opened:
        return [Outcome(target, What.DONE)]
    try:
        still = {file_key(file) for file in await manager.files()}
    except LanmanError as error:
        # The share has gone, whatever comes of asking what is open.
        unknown = [Outcome(one, What.FAILED, None, error, "whether it is still open was not told") for one in opened]
        return [Outcome(target, What.DONE), *unknown]
    kept = Win32Error(codes.NERR_FileIdNotFound, "it is still open, though its share is gone")
    return [
        Outcome(target, What.DONE),
        *(Outcome(one, What.FAILED, None, kept) if one.key in still else Outcome(one, What.DONE) for one in opened),
    ]


# --- what it costs


def set_file_costs(plan: Plan, openers: Openers) -> None:
    """Work out what closing each file of a plan costs."""
    from lanman.manage.orders.costs import cost_of_file

    for target in plan.targets:
        if isinstance(target.record, FileInfo):
            idle = [session.idle_time for session in openers.of(target.record).sessions]
            target.cost, target.why = cost_of_file(target.record, idle)


def set_session_costs(plan: Plan, files: Sequence[FileInfo] | None) -> None:
    """Work out what the end of each session of a plan costs. `files` are all that are open; None: not told."""
    from lanman.manage.openers import Openers
    from lanman.manage.orders.costs import cost_of_session

    openers = Openers(plan.listed)
    untold = {node for node, _ in missing_of(files)}
    files_of: defaultdict[int, list[FileInfo]] = defaultdict(list)
    uncertain: set[int] = set()
    for file in files or ():
        opener = openers.of(file)
        if opener.session is not None:
            files_of[id(opener.session)].append(file)
        else:
            uncertain.update(map(id, opener.sessions))
    for target in plan.targets:
        if isinstance(target.record, SessionInfo):
            known = files is not None and target.record.user_name is not None and id(target.record) not in uncertain
            known = known and target.record.node not in untold
            theirs = files_of[id(target.record)] if known else None
            target.cost, target.why = cost_of_session(target.record, theirs)
