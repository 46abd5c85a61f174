"""Sessions that end and files that close, from rows that people have looked at (`lanman.faces.ordering`).

The rules:

  - A target is compared with the row that was looked at, when the plan is made, and again right before its order.
  - The session of the Manager that gives the orders is always spared. Further sessions of this console (its polls, and
    those of others who are logged on) are marked, as far as the server's list tells them: by this machine's address and
    the names of those who are logged on here. Ending one does no more than have it log on again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from lanman.faces.deeds import Doer, deed_of_outcome
from lanman.faces.ordering import Chosen, LeftOut, carry_out, planned
from lanman.faces.web.plans.work import Place, Tell, Work, row
from lanman.manage.manager import Manager
from lanman.manage.orders.plan import Outcome, Plan, Record, Target, Verb, record_json, target_json
from lanman.manage.selection import canonical_client, same_user
from lanman.manage.watching.forms import row_form
from lanman.manage.watching.rows import FileRow, SessionRow
from lanman.records import SessionInfo

GONE: Final = "it is no longer listed"
IsConsole = Callable[[Record], bool]
"""Whether something in a plan may be a session of this console."""

_LEFT_OUT: Final = ("key", "kind", "client_name", "user_name", "id", "path")


class Targets(Work):
    """Sessions or files. Made by `looked_at`."""

    def __init__(self, chosen: Chosen, gone: Sequence[str], is_console: IsConsole) -> None:
        self._plan = plan = chosen.plan
        self._numbers = {id(target): number for number, target in enumerate(plan.targets)}
        rows = zip(plan.targets, chosen.rows, strict=True)
        self.rows = [_row(number, target, one, is_console) for number, (target, one) in enumerate(rows)]
        self.left_out = [_left_out(one) for one in chosen.left_out]
        self.left_out += [_gone(key) for key in gone]
        self.bystanders = [bystander(other, is_console) for other in plan.bystanders]

    def is_grave(self, *, with_others: bool) -> bool:
        """See `Work.is_grave`."""
        return self._plan.is_grave(with_others=with_others)

    async def run(self, place: Place, tell: Tell, *, with_others: bool) -> str | None:
        """See `Work.run`."""
        doer = Doer(place.doer, place.server, self._plan.verb.value)

        def done(one: Outcome) -> None:
            form = one.as_json()
            told = {name: form[name] for name in ("outcome", "reason", "error", "message", "note")}
            hint = None if one.error is None else one.error.hint
            tell.deed(deed_of_outcome(doer, one))
            tell.outcome(self._numbers[id(one.target)], {**told, "hint": hint})

        async with place.opening() as manager:
            await carry_out(manager, self._plan, with_others=with_others, done=done)
        return None


async def looked_at(
    verb: Verb,
    manager: Manager,
    rows: Mapping[str, SessionRow | FileRow | None],
    users: Collection[str],
    clock: Callable[[], float] = time.time,
) -> Targets:
    """The work for rows by their keys, None for those that are no longer there. `users` are those who are logged on at
    this server by the console. Raises LanmanError where no plan can be made."""
    there = [one for one in rows.values() if one is not None]
    chosen = await planned(verb, manager, there, clock)
    gone = [key for key, one in rows.items() if one is None]
    return Targets(chosen, gone, await _of_console(manager, chosen.plan, users))


async def _of_console(manager: Manager, plan: Plan, users: Collection[str]) -> IsConsole:
    """A test whether a session of a plan may be one of this console's."""
    sessions = [target.record for target in plan.targets if isinstance(target.record, SessionInfo)]
    names = await manager.own_names([*sessions, *plan.bystanders]) if sessions else frozenset()
    return lambda record: isinstance(record, SessionInfo) and is_of_console(record, names, users)


def is_of_console(session: Any, names: Collection[str], users: Collection[str]) -> bool:
    """Whether a listed session may be one of this console's: from this machine, of somebody who is logged on here."""
    if canonical_client(session.client_name or "") not in names or not session.user_name:
        return False
    return any(same_user(session.user_name, user.rpartition("\\")[2]) for user in users)


def bystander(other: SessionInfo, is_console: IsConsole = lambda record: False) -> dict[str, Any]:
    """Somebody who would end besides."""
    return record_json(other, "client_name user_name num_opens") | {"is_console": is_console(other)}


def _row(number: int, target: Target, looked: SessionRow | FileRow, is_console: IsConsole) -> dict[str, Any]:
    form = target_json(target)
    made = row(number, form.pop("kind"), form.pop("key"))
    return {**made, **form, "key": str(looked.key), "is_console": is_console(target.record) and not target.is_own}


def _left_out(one: LeftOut) -> dict[str, Any]:
    form = row_form(one.row)
    return {name: form.get(name) for name in _LEFT_OUT} | {"why": one.why}


def _gone(key: str) -> dict[str, Any]:
    return dict.fromkeys(_LEFT_OUT) | {"key": key, "kind": key.partition(":")[0], "why": GONE}
