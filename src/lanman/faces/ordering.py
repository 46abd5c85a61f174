"""From rows of a screen, or of a page, to a plan, and to what became of it.

A plan is made from what the server lists now; the rows are what people have looked at. Between the two a session may
have ended and another of the same client and user begun, and a file's id may be another file's. So each target of a
plan is compared with the row that it was made for, by the same rule as two looks of the watcher
(`lanman.manage.watching.keys`), and what is not the same is left out of the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from lanman.manage.manager import Manager
from lanman.manage.orders import plan_files, plan_sessions, run
from lanman.manage.orders.plan import Outcome, Plan, Target, Verb
from lanman.manage.watching.keys import FileKey, SessionKey, same_file, same_session
from lanman.manage.watching.rows import FileRow, SessionRow

CHANGED = "no longer what was looked at: something else is there now"
TOGETHER = "cannot be ended alone: the order for it would end others of its client and user, which are not chosen"


class LeftOut(NamedTuple):
    """A row that people have looked at and no target of the plan is, and why; a sentence without a full stop."""

    row: SessionRow | FileRow
    why: str


class Chosen(NamedTuple):
    """A plan for what people have looked at, the row that each of its targets was made for, and what was left out."""

    plan: Plan
    rows: list[SessionRow | FileRow]
    left_out: list[LeftOut]


async def planned(
    verb: Verb, manager: Manager, rows: Sequence[SessionRow | FileRow], clock: Callable[[], float]
) -> Chosen:
    """The plan that ends sessions or closes files as they were looked at. Raises LanmanError where none can be made."""
    if verb is Verb.END:
        now = clock()
        plan = await plan_sessions(manager, [row.as_listed(now) for row in rows if isinstance(row, SessionRow)])
    else:
        plan = await plan_files(manager, [row.as_listed() for row in rows if isinstance(row, FileRow)])
    left_out = [LeftOut(rows[place], one.error.message) for place, one in sorted(plan.missing.items())]
    meant: dict[int, SessionRow | FileRow] = {}
    for row, places in zip(rows, plan.asked, strict=True):
        same = [plan.targets[place] for place in places if is_same(row, plan.targets[place])]
        meant |= {id(target): row for target in same}
        if places and not same:
            left_out.append(LeftOut(row, CHANGED))
    if len(meant) < len(plan.targets):
        plan = plan.only(lambda target: id(target) in meant)
    kept = {id(target) for target in plan.targets}
    left_out += [LeftOut(row, TOGETHER) for place, row in meant.items() if place not in kept]
    return Chosen(plan, [meant[id(target)] for target in plan.targets], left_out)


def is_same(row: SessionRow | FileRow, target: Target) -> bool:
    """Whether a target of a plan is what a row has shown."""
    if isinstance(row, SessionRow):
        return isinstance(target.key, SessionKey) and same_session(row.key, target.key)
    return isinstance(target.key, FileKey) and same_file(row.key, target.key)


async def carry_out(
    manager: Manager, plan: Plan, *, with_others: bool, done: Callable[[Outcome], None]
) -> list[Outcome]:
    """Run a plan: each target is read again right before its order. Our own session is always left alone."""
    return await run(manager, plan, with_others=with_others, include_mine=False, done=done)


def is_typed(line: str, server: str) -> bool:
    """Whether what a person has typed is a server's name, as it confirms a grave order."""
    return bool(line.strip("\\/ \t\r\n")) and line.strip().lstrip("\\/").casefold() == server.lstrip("\\/").casefold()
