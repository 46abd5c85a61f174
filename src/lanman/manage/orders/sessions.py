"""The orders that end sessions: given one after the other, and what became of each.

Rules:

  - Nothing ends that was not meant. Who would go with a session is planned from a fresh list (`lanman.manage.ending`),
    and an order whose bystanders have not been consented to is not given.
  - An order is given once. Where its answer was lost, or where answers mean little (smbd's), the list says what became
    of it: it is read again, with pauses, until the session is gone or the last pause is over.
  - The session of this program ends last, and by logging off: an order could take along the connection that the others
    travel on. What may be ours stands alone in its batch for the same reason.
  - Looking takes time for each that is listed, so orders are looked after in batches: many orders take time linear in
    their number.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from lanman import codes
from lanman.errors import LanmanError, Win32Error
from lanman.manage.ending import Consent, Listed, Order, Outcomes, Plan, agreed, described, left_alone, plan
from lanman.manage.manager import CloseResult, Sessions, no_such_session
from lanman.manage.own_session import OwnSession
from lanman.manage.selection import canonical_client
from lanman.net.dial import Within
from lanman.records import SessionInfo

# While a server ends what it was told to end: how long to wait before looking again, in seconds.
PAUSES: Final = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)

# What became of orders is looked up this many times at most, and after this many orders at least.
MAX_LOOKS: Final = 16
MIN_BATCH: Final = 8

NO_MATCH: Final = frozenset({codes.NERR_ClientNameNotFound, codes.NERR_UserNotFound})

Given = tuple[LanmanError | None, bool]
"""What came of giving an order: its error, and whether the answer or the connection was lost."""


def batch_size(number: int) -> int:
    """How many of so many orders are looked after together."""
    return max(MIN_BATCH, -(-number // MAX_LOOKS))


@dataclass(frozen=True, slots=True)
class SessionOrders:
    """Ends sessions of one server by what that server offers.

    `listed` gives all sessions as they are now, `give` gives one order, `log_off` ends the session of this program;
    each is awaited `within` a bound on its time. With `whole_connections` an order ends all sessions of a TCP
    connection, and its answer means little.
    """

    own: OwnSession
    whole_connections: bool
    within: Callable[[], Within]
    listed: Callable[[], Awaitable[Sessions]]
    give: Callable[[Order], Awaitable[Given]]
    log_off: Callable[[], Awaitable[None]]

    async def plan(self, sessions: Sequence[SessionInfo]) -> Plan:
        """The orders that end some sessions as things stand now."""
        async with self.within():
            entries = await self.listed()
            is_own = await self.own.recogniser(entries)
        return plan(sessions, entries, whole_connections=self.whole_connections, is_own=is_own)

    async def close(
        self, sessions: Sequence[SessionInfo], consent: Consent, done: Callable[[CloseResult], None] | None
    ) -> list[CloseResult]:
        """Give the orders that end `sessions`, as far as `consent` allows; a result for each, in order."""
        planned = await self.plan(sessions)
        outcomes = Outcomes(sessions, planned, done)
        may_go = agreed(consent)
        # The orders for one client of a Samba share one list of others: reading it for each would take quadratic time.
        all_may_go: dict[int, bool] = {}
        given: list[Order] = []
        for order in planned.orders:
            if id(order.others) not in all_may_go:
                all_may_go[id(order.others)] = all(map(may_go, order.others))
            if all_may_go[id(order.others)]:
                given.append(order)
            else:
                refused = left_alone(order, self.whole_connections)
                outcomes.settle(order, CloseResult(order.meant[0], refused, None, order.others))
        for batch in self._batches(given):
            await self._end(batch, outcomes)
        if self.whole_connections:
            await self._note_bystanders(outcomes)
        return outcomes.results()

    def _batches(self, orders: Sequence[Order]) -> Iterator[list[Order]]:
        """Orders that are looked after together. One that may take this connection along stands alone, at the end."""
        others = [order for order in orders if not self.own.is_our_user(order.user)]
        size = batch_size(len(others))
        for start in range(0, len(others), size):
            yield others[start : start + size]
        for order in orders:
            if self.own.is_our_user(order.user):
                yield [order]

    async def _end(self, orders: Sequence[Order], outcomes: Outcomes) -> None:
        """Give some orders, and settle what became of each."""
        doubtful: dict[Order, Given] = {}
        for order in orders:
            session = order.meant[0]
            if order.own and len(order.meant) == 1:
                async with self.within():
                    await self.log_off()
                note = "it was the session of this program itself, which has logged off"
                outcomes.settle(order, CloseResult(session, note=note))
                continue
            async with self.within():
                error, lost = await self.give(order)
            if self.whole_connections or lost:
                doubtful[order] = error, lost
            elif error is not None and error.code in NO_MATCH:
                gone = outcomes.has_ended_alike(order)
                missing = None if gone else no_such_session(order.client, order.user)
                outcomes.settle(order, CloseResult(session, missing))
            elif error is None and order.others:
                note = f"the server ended the sessions of {order.others_named} with it"
                outcomes.settle(order, CloseResult(session, None, note, order.others))
            else:
                outcomes.settle(order, CloseResult(session, error))
        if doubtful:
            await self._verify(doubtful, outcomes)

    async def _verify(self, doubtful: dict[Order, Given], outcomes: Outcomes) -> None:
        """Look whether sessions are gone, where the answers were lost or are known to mean little."""
        for pause in PAUSES:
            await asyncio.sleep(pause)
            async with self.within():
                listed = Listed(await self.listed())
            for order, (error, lost) in list(doubtful.items()):
                # The connection that looks is itself a session of its user. Where none was known for ours, one whose
                # order took along the connection that it came by was ours, under whatever name.
                own = order.own or (lost and not outcomes.own_is_known and self.own.is_our_user(order.user))
                if listed.count(order) <= int(own):
                    outcomes.settle(order, CloseResult(order.meant[0]))
                elif error is not None:
                    outcomes.settle(order, CloseResult(order.meant[0], error))
                else:
                    continue
                del doubtful[order]
            if not doubtful:
                return
        for order in doubtful:
            message = f"{order.client}: the server was told to end the session and still lists it"
            error = Win32Error(codes.NERR_InternalError, message, subject=order.client)
            outcomes.settle(order, CloseResult(order.meant[0], error))

    async def _note_bystanders(self, outcomes: Outcomes) -> None:
        """Say which sessions ended besides, where the server ended the whole TCP connection."""
        ended = [order for order, result in outcomes.result_of.items() if result.error is None and order.others]
        if not ended:
            return
        async with self.within():
            still_there = Listed(await self.listed())
        gone: dict[str, tuple[list[SessionInfo], str]] = {}
        for order in ended:
            client = canonical_client(order.client)
            if client not in gone:
                went = [entry for entry in order.others if not still_there.meant_by(entry)]
                gone[client] = went, described(went)
            result = outcomes.result_of[order]
            went, named = gone[client]
            if went:
                result.others = went
                result.note = f"Samba ended the whole connection: the sessions of {named} went with it"
