"""The orders that close files: planned, given one after the other, and what became of each.

Rules:

  - Right before its order an id is looked up again: where it means another file than was planned, or several, no order
    is given. Where one file cannot be asked for (Samba), the list is read, and few looks serve many orders.
  - Where an answer leaves a doubt, the list says whether the file is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from lanman import codes
from lanman.errors import LanmanError, Win32Error
from lanman.manage.answers import no_such_file, only_file
from lanman.manage.orders import pauses
from lanman.manage.orders.plan import Done, Missing, Outcome, Plan, Reason, Target, Verb, What
from lanman.manage.watching.keys import file_key, same_file
from lanman.plain import dataclass
from lanman.records import FileInfo

# So many files are asked for one by one, where that can be done; of more the list is read.
_FEW: Final = 8


@dataclass(frozen=True, slots=True)
class FileOrders:
    """Closes files of one server by what that server offers.

    `one` gives a file by its id, None where that is not to be had; `listed` gives all. `give` orders a file to be
    closed and says whether the list has to be read to see what came of it. Each takes its own time, and raises
    LanmanError.
    """

    server: str
    one: Callable[[int], Awaitable[FileInfo]] | None
    listed: Callable[[], Awaitable[list[FileInfo]]]
    give: Callable[[FileInfo], Awaitable[bool]]


By = dict[int | None, list[FileInfo]]
"""The open files by their ids, which may have several."""


def _by_id(files: Iterable[FileInfo]) -> By:
    found: By = {}
    for entry in files:
        found.setdefault(entry.id, []).append(entry)
    return found


async def plan(orders: FileOrders, server: str, files: Sequence[FileInfo]) -> Plan:
    """How to close some files, by what is open now."""
    made = Plan(Verb.CLOSE, server)
    listed = None
    if files and (orders.one is None or len(files) > _FEW):
        made.look = listed = _by_id(await orders.listed())
    place_of: dict[int, int] = {}
    for place, file in enumerate(files):
        made.asked.append([])
        try:
            now = await _now(orders, file, listed)
        except LanmanError as error:
            made.missing[place] = Missing(file, error)
            continue
        id = now.id or 0
        if id not in place_of:
            place_of[id] = len(made.targets)
            made.targets.append(Target(now, file_key(now)))
        made.asked[place].append(place_of[id])
    return made


async def _now(orders: FileOrders, file: FileInfo, listed: By | None) -> FileInfo:
    """What an id means now. Raises Win32Error 2314 where that is not the file that is meant, 52 where it is several."""
    id = file.id or 0
    if listed is None:
        assert orders.one is not None
        now = await orders.one(id)
    else:
        now = only_file(id, listed.get(file.id, []), orders.server)
    if not is_same(file, now):
        raise no_such_file(id)
    return now


def is_same(before: FileInfo, now: FileInfo) -> bool:
    """Whether two looks have seen the same open file: id, path and user, and when it was opened where that is told."""
    opened = [getattr(file, "opened_at", None) for file in (before, now)]
    return same_file(before, now) and (None in opened or opened[0] == opened[1])


async def run(orders: FileOrders, plan: Plan, *, at_once: bool, done: Done | None) -> list[Outcome]:
    """Give the orders of a plan; an outcome for each target, in order."""
    outcomes: dict[Target, Outcome] = {}

    def settle(outcome: Outcome) -> None:
        outcomes[outcome.target] = outcome
        if done is not None:
            done(outcome)

    look: By | None = plan.look if at_once and isinstance(plan.look, dict) else None
    size = 1 if orders.one is not None else pauses.batch_size(len(plan.targets))
    for start in range(0, len(plan.targets), size):
        if orders.one is None and look is None:
            look = _by_id(await orders.listed())
        batch = plan.targets[start : start + size]
        doubtful = await _give(orders, batch, None if orders.one is not None else look, settle)
        look = await _verify(orders, doubtful, settle) if doubtful else None
    return [outcomes[target] for target in plan.targets]


async def _give(
    orders: FileOrders, batch: Sequence[Target], look: By | None, settle: Callable[[Outcome], None]
) -> list[Target]:
    """Give the orders for some targets, each after a look; those of which it is not known what came of it."""
    doubtful = []
    for target in batch:
        file = target.record
        assert isinstance(file, FileInfo)
        try:
            now = await _now(orders, file, look)
        except LanmanError as error:
            settle(await _spared(orders, target, file, look, error))
            continue
        try:
            if await orders.give(now):
                doubtful.append(target)
            else:
                settle(Outcome(target, What.DONE))
        except LanmanError as error:
            settle(Outcome(target, What.FAILED, None, error))
    return doubtful


async def _spared(orders: FileOrders, target: Target, file: FileInfo, look: By | None, error: LanmanError) -> Outcome:
    """Why no order was given: the file is closed, or its id means something else by now."""
    if error.code == codes.ERROR_DUP_NAME:
        return Outcome(target, What.SPARED, Reason.CHANGED, error)
    if error.code != codes.NERR_FileIdNotFound:
        return Outcome(target, What.FAILED, None, error)
    there: object = None
    if look is not None:
        there = look.get(file.id)
    elif orders.one is not None:
        try:
            there = await orders.one(file.id or 0)
        except LanmanError:
            there = None
    if not there:
        return Outcome(target, What.SPARED, Reason.GONE, error)
    changed = Win32Error(
        codes.NERR_FileIdNotFound,
        f"{file.id}: left alone: it means another file than when it was listed",
        hint="list the open files again",
        subject=f"open file {file.id}",
    )
    return Outcome(target, What.SPARED, Reason.CHANGED, changed)


async def _verify(orders: FileOrders, targets: Sequence[Target], settle: Callable[[Outcome], None]) -> By:
    """Look whether files are closed, and settle each; what was seen in the end."""
    left = list(targets)
    listed: By = {}
    for pause in pauses.PAUSES:
        await asyncio.sleep(pause)
        listed = _by_id(await orders.listed())
        still = []
        for target in left:
            file = target.record
            assert isinstance(file, FileInfo)
            if any(is_same(file, entry) for entry in listed.get(file.id, ())):
                still.append(target)
            else:
                settle(Outcome(target, What.DONE))
        left = still
        if not left:
            break
    for target in left:
        file = target.record
        assert isinstance(file, FileInfo)
        message = f"{file.id}: the server was told to close {file.path} and still lists it"
        error = Win32Error(codes.NERR_InternalError, message, subject=f"open file {file.id}")
        settle(Outcome(target, What.FAILED, None, error))
    return listed
