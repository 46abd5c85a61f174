"""Everybody leaves a server, or a share or a path of it (`lanman.manage.drain`).

The rules:

  - The plan is a look: who is there now, and what their end costs; then what is open for clients that are away, which
    counts in the drain of a whole server once no session is left. Whom the drain ends is decided by its rules and by
    what it sees from then on; and so it is with who comes meanwhile.
  - It ends by itself: `timeout` is finite, and at most `LONGEST`. It goes on when whoever ordered it logs out or goes
    away, since a server that is half empty is worth nothing; whoever is logged on at the server as the same user may
    see it and stop it. When the console ends, it is stopped.
  - One that is stopped, fails or runs out of time opens the server again, unless it is to stay paused.
  - Sessions of this console do not count: they are never ended, and would never leave.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from lanman.faces.deeds import Doer, deed_of_event
from lanman.faces.drainforms import event_form, holder_form, result_form
from lanman.faces.text import OWNER_UNKNOWN
from lanman.faces.web.plans.targets import bystander, is_of_console
from lanman.faces.web.plans.work import Place, Tell, Work, row
from lanman.manage.drain.looks import Looker
from lanman.manage.drain.machine import Event, Holder, Rules
from lanman.manage.drain.shell import (
    Drain,
    DrainOrder,
    Seen,
    SystemClock,
    configured_teller,
    look,
    rules_of,
    scope_of,
)
from lanman.manage.manager import Manager
from lanman.net.drains import KeptDrain, drain_name
from lanman.records import SessionInfo

if TYPE_CHECKING:
    from lanman.net.tell.teller import Teller

LONGEST: Final = 6 * 3600.0
"""How many seconds a drain may take, at most."""

REOPENING: Final = 60.0
"""For so many seconds longer than its time-out a drain may take: it opens the server again in the end."""

Connected = Callable[[], Mapping[str, int]]
"""How many Managers of this console are connected to the server, by user."""


class Draining(Work):
    """A drain. Made by `draining`."""

    can_stop = True

    def __init__(self, rules: Rules, order: DrainOrder, teller: Teller | None, seen: Seen, aside: Aside) -> None:
        plan, holders, self._kept = seen
        self._rules, self._order, self._teller, self._aside = rules, order, teller, aside
        self._holders = tuple(holders)
        self.lasts = rules.timeout + REOPENING
        self.rows = [_row(number, holder) for number, holder in enumerate((*holders, *self._kept))]
        for made, holder in zip(self.rows[len(holders) :], self._kept, strict=True):
            whose = holder.owner or OWNER_UNKNOWN
            made["cost_why"] = ", ".join(filter(None, [f"open for a client that is away ({whose})", made["cost_why"]]))
        self.bystanders = [bystander(other) for other in plan.bystanders]

    def is_grave(self, *, with_others: bool) -> bool:
        """See `Work.is_grave`."""
        return self._rules.is_grave(self._holders, self._kept)

    async def run(self, place: Place, tell: Tell, *, with_others: bool) -> str | None:
        """See `Work.run`. The word is the verdict: drained, timed_out, failed."""
        doer, began = Doer(place.doer, place.server, "drain"), time.time()

        def happened(event: Event) -> None:
            tell.event(event_form(event, place.server, began))
            tell.deed(deed_of_event(doer, event))

        clock, scope = SystemClock(), self._order.scope
        kept = KeptDrain(place.drained_as or drain_name(place.server), place.home)
        async with Looker(place.opening, scope, clock, aside=self._aside) as looker:
            drain = Drain(looker, self._rules, self._order, kept, teller=self._teller, on_event=happened, clock=clock)
            result = await drain.run()
        tell.event({"result": result_form(result, place.server)})
        return result.verdict.value


class Aside:
    """Which listed sessions are this console's, beside the one of the Manager that looks, whose user is `looking`.

    Lists do not mark them. Of those that are from this machine and of somebody who is logged on here, as many are left
    out as this console has open, and the oldest: the Manager that looks was opened last.
    """

    def __init__(self, connected: Connected, looking: str) -> None:
        self._connected, self._looking = connected, looking

    async def __call__(self, manager: Manager, listed: Sequence[SessionInfo]) -> list[SessionInfo]:
        """Those of the sessions that do not count."""
        names = await manager.own_names(listed)
        found: list[SessionInfo] = []
        for user, number in self._connected().items():
            theirs = [each for each in listed if is_of_console(each, names, [user])]
            theirs.sort(key=lambda each: -(each.active_time or 0))
            found += theirs[: max(0, number - 1 if user == self._looking else number)]
        return found


async def draining(place: Place, asked: Mapping[str, Any], connected: Connected) -> Draining:
    """The work that drains, as it is asked for. Raises Win32Error 87 for what cannot be, and LanmanError for what the
    look raises, and where nobody can be told."""
    times = {name: asked[name] for name in ("warn", "grace", "quiet_for") if name in asked}
    rules = rules_of(**times, timeout=asked.get("timeout"), end=asked.get("end", "idle"))
    scope = scope_of(asked.get("share"), asked.get("path"))
    order = DrainOrder(scope, asked.get("cordon", True), asked.get("keep_paused", False), asked.get("message"))
    teller = await asyncio.to_thread(configured_teller) if rules.warn else None
    aside = Aside(connected, place.access.user)
    seen = await look(place.opening, scope, aside=aside)
    return Draining(rules, order, teller, seen, aside)


def _row(number: int, holder: Holder) -> dict[str, Any]:
    form = holder_form(holder)
    kind = "session" if holder.path is None else "file"
    made = row(number, kind, form["key"], holder.cost, holder.why)
    return made | {name: value for name, value in form.items() if name not in ("cost_why", "owner")}
