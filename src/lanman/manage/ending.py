"""What orders end: which listed sessions each order means, and who goes with them without having been meant.

An order of NetrSessionDel names a client and a user, and servers read it in three ways:

  - Every session of that client and that user ends; letter case does not count, so `Bob` goes with `bob`.
  - An empty user, which is a null session's, is no filter: every session of the client ends (MS-SRVS 3.1.4.6).
  - smbd ends the process that serves the TCP connection, with all the users on it. Its list does not tell connections
    apart, so everybody of that client may go: terminal servers have many users on one connection.

Each listed name is read once and everything is found by key, so a plan takes time linear in the list.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from lanman import codes
from lanman.errors import Win32Error
from lanman.manage.manager import CloseResult, no_such_session
from lanman.manage.selection import bare_client, canonical_client
from lanman.names import fold, unc_client
from lanman.records import SessionInfo
from lanman.shown import escape

Pair = tuple[str, str | None]
"""A client and a user: what an order can name, and what a list can be searched for."""

# How many users a sentence names before it counts the rest.
MAX_NAMED: Final = 8

_canonical = lru_cache(maxsize=1024)(canonical_client)


def _exact(session: SessionInfo) -> Pair:
    return bare_client(session.client_name or ""), session.user_name


def _folded(session: SessionInfo) -> Pair:
    user = session.user_name
    return _canonical(session.client_name or ""), None if user is None else fold(user)


class Listed:
    """The sessions that a server lists, found by client and user."""

    def __init__(self, entries: Iterable[SessionInfo]) -> None:
        self.of_client: defaultdict[str, list[SessionInfo]] = defaultdict(list)
        self._exact: defaultdict[Pair, list[SessionInfo]] = defaultdict(list)
        self._folded: defaultdict[Pair, list[SessionInfo]] = defaultdict(list)
        for entry in entries:
            pair = _folded(entry)
            self.of_client[pair[0]].append(entry)
            self._folded[pair].append(entry)
            self._exact[_exact(entry)].append(entry)

    def meant_by(self, session: SessionInfo) -> list[SessionInfo]:
        """The entries that a session, as it was listed before or as it was typed, stands for."""
        client, user = _folded(session)
        if not client:
            return []
        if user is None:
            return self.of_client.get(client, [])
        if exact := self._exact.get(_exact(session)):
            return exact
        # A level without users names none: any of that client may be it.
        return [*self._folded.get((client, user), ()), *self._folded.get((client, None), ())]

    def of_user(self, session: SessionInfo) -> list[SessionInfo]:
        """The entries of a session's client and user, where letter case does not count."""
        client, user = _folded(session)
        return [*self._folded.get((client, user), ()), *self._folded.get((client, None), ())]

    def count(self, order: Order) -> int:
        """How many sessions are listed that an order means."""
        if order.user is None:
            return len(self.of_client.get(_canonical(order.client), ()))
        pair = SessionInfo(order.client, order.user)
        unnamed = self._folded.get((_canonical(order.client), None), ())
        return len(self._exact.get(_exact(pair), ())) + len(unnamed)


@dataclass(slots=True, eq=False)
class Order:
    """One order to be given, and what it would do. `client` and `user` are as the server lists them."""

    client: str
    user: str | None
    meant: list[SessionInfo] = field(default_factory=list)
    places: dict[int, None] = field(default_factory=dict)
    """Which of the sessions that were asked for it ends."""
    others: list[SessionInfo] = field(default_factory=list)
    """The bystanders: sessions that would end without having been asked for. One list for all orders of a client."""
    others_named: str = ""
    """The bystanders' users and open files, in words."""
    own: bool = False
    """Whether the session of this program is among those that are meant."""


@dataclass(slots=True)
class Plan:
    """The orders that end some sessions, ours last, and the places of those that the server does not list."""

    orders: list[Order]
    missing: list[int]
    own_is_known: bool
    """Whether the session of this program was recognised in the list."""


def plan(
    sessions: Sequence[SessionInfo],
    listed: Sequence[SessionInfo],
    *,
    whole_connections: bool = False,
    is_own: Callable[[SessionInfo], bool] = lambda session: False,
) -> Plan:
    """How to end `sessions` of a server that lists `listed`, and who would go with them.

    `whole_connections`: a server that ends all of a connection. `is_own` tells which entry may be this
    program's own session.
    """
    index = Listed(listed)
    orders: dict[Pair, Order] = {}
    missing: list[int] = []
    asked_for: defaultdict[Pair, list[int]] = defaultdict(list)
    for place, session in enumerate(sessions):
        asked_for[_exact(session)].append(place)
    for places in asked_for.values():
        session = sessions[places[0]]
        meant = index.meant_by(session)
        if not meant:
            missing += places
        for entry in meant:
            # Without a user the order means all of the client, whoever is listed; and a list may lack its users.
            user = session.user_name if None in (session.user_name, entry.user_name) else entry.user_name
            key = (bare_client(entry.client_name or ""), user)
            if (order := orders.get(key)) is None:
                orders[key] = order = Order("\\\\" + (entry.client_name or "").lstrip("\\"), user)
            order.places.update(dict.fromkeys(places))
            order.meant.append(entry)
            order.own = order.own or is_own(entry)
    _find_others(list(orders.values()), index, whole_connections, is_own)
    # A null session's order ends everybody of its client, and ours the connection that the orders travel on.
    in_order = sorted(orders.values(), key=lambda order: (order.own, order.user == ""))
    return Plan(in_order, missing, any(map(is_own, listed)))


def _find_others(
    orders: Sequence[Order], index: Listed, whole_connections: bool, is_own: Callable[[SessionInfo], bool]
) -> None:
    chosen = {id(entry) for order in orders for entry in order.meant}
    of_client: dict[str, tuple[list[SessionInfo], str]] = {}
    for order in orders:
        client = _canonical(order.client)
        if order.own and len(order.meant) == 1:
            # Our own session is ended by logging off, and no other session is on its connection.
            continue
        if whole_connections or not order.user:
            if client not in of_client:
                others = _not_chosen(index.of_client[client], chosen, is_own)
                of_client[client] = others, described(others)
            order.others, order.others_named = of_client[client]
        else:
            order.others = _not_chosen(index.of_user(order.meant[0]), chosen, is_own)
            order.others_named = described(order.others)


def _not_chosen(
    entries: Iterable[SessionInfo], chosen: set[int], is_own: Callable[[SessionInfo], bool]
) -> list[SessionInfo]:
    """Entries that are not to be ended, without the one session of this program, which has a connection to itself."""
    others = [entry for entry in entries if id(entry) not in chosen]
    own = next((place for place, entry in enumerate(others) if is_own(entry)), None)
    if own is not None:
        del others[own]
    return others


class Outcomes:
    """What became of each order, for the sessions that it ends: passed to `done` as it happens, and kept."""

    def __init__(
        self, sessions: Sequence[SessionInfo], planned: Plan, done: Callable[[CloseResult], None] | None
    ) -> None:
        self.result_of: dict[Order, CloseResult] = {}
        self.own_is_known = planned.own_is_known
        self._sessions, self._planned, self._done = sessions, planned, done
        self._orders_of: dict[int, list[Order]] = {}
        self._ended: set[tuple[str, str | None]] = set()
        for order in planned.orders:
            for place in order.places:
                self._orders_of.setdefault(place, []).append(order)
        for place in planned.missing:
            self._report(self._result(place))

    def settle(self, order: Order, result: CloseResult) -> None:
        """Say what became of an order. A session is done when all the orders that end it are settled."""
        self.result_of[order] = result
        if result.error is None:
            self._ended.add(_folded_pair(order))
        for place in order.places:
            if all(one in self.result_of for one in self._orders_of[place]):
                self._report(self._result(place))

    def has_ended_alike(self, order: Order) -> bool:
        """Whether an order that the server cannot tell from this one has ended sessions."""
        return _folded_pair(order) in self._ended

    def results(self) -> list[CloseResult]:
        """What became of each session, in the order in which they were given."""
        return [self._result(place) for place in range(len(self._sessions))]

    def _result(self, place: int) -> CloseResult:
        session = self._sessions[place]
        known = [self.result_of[order] for order in self._orders_of.get(place, ())]
        if not known:
            return CloseResult(session, no_such_session(session.client_name, session.user_name))
        first = next((one for one in known if one.error is not None), known[0])
        return CloseResult(session, first.error, first.note, first.others)

    def _report(self, result: CloseResult) -> None:
        if self._done is not None:
            self._done(result)


def _folded_pair(order: Order) -> tuple[str, str | None]:
    return _canonical(order.client), None if order.user is None else fold(order.user)


# --- consent


Consent = bool | Sequence[SessionInfo]
"""Whether bystanders may end too: all of them, none, or the sessions of these clients and users."""


def agreed(consent: Consent) -> Callable[[SessionInfo], bool]:
    """A test whether a bystander may end too."""
    if isinstance(consent, bool):
        return lambda session: consent
    pairs = {_exact(session) for session in consent}
    return lambda session: _exact(session) in pairs


def left_alone(order: Order, whole_connections: bool) -> Win32Error:
    """Why an order was not given: the bystanders who would have ended with it."""
    client = unc_client(order.client)
    if order.user == "" and not whole_connections:
        return Win32Error(
            codes.ERROR_NOT_SUPPORTED,
            f"{client}: its null session cannot be ended alone: {order.others_named} would end with it",
            hint="--with-others ends them too; so does the end of all of that client",
            subject=client,
        )
    reason = "the server ends whole connections, and " if whole_connections else ""
    return Win32Error(
        codes.ERROR_BUSY,
        f"{client}, {escape(order.user or 'nobody')}: left alone: {reason}{order.others_named} "
        f"{'may' if whole_connections else 'would'} end with it",
        hint="--with-others ends them too; so does the end of all of that client",
        subject=client,
    )


def described(sessions: Sequence[SessionInfo]) -> str:
    """Whose sessions, and how many files they have open: `bob (2 open files), ann`."""
    opens: dict[str, int | None] = {}
    for session in sessions:
        name = escape(session.user_name or "nobody")
        known = opens.get(name, 0)
        opens[name] = None if known is None or session.num_opens is None else known + session.num_opens
    named = [_with_opens(name, count) for name, count in list(opens.items())[:MAX_NAMED]]
    if len(opens) > MAX_NAMED:
        named.append(f"{len(opens) - MAX_NAMED} more")
    return ", ".join(named)


def _with_opens(name: str, count: int | None) -> str:
    if count is None:
        return f"{name} (open files unknown)"
    return f"{name} ({count} open file{'' if count == 1 else 's'})" if count else name
