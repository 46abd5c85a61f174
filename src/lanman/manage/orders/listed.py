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
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import field
from functools import lru_cache
from typing import Final, Protocol

from lanman import codes
from lanman.errors import Win32Error
from lanman.manage.orders.plan import Consent
from lanman.manage.selection import bare_client, canonical_client
from lanman.names import fold, unc_client
from lanman.plain import dataclass
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


@dataclass(slots=True, eq=False)
class Order:
    """One order to be given, and what it would do. `client` and `user` are as the server lists them."""

    client: str
    user: str | None
    meant: list[SessionInfo] = field(default_factory=list)
    """The listed sessions that it is meant to end."""
    places: dict[int, None] = field(default_factory=dict)
    """Which of the sessions that were asked for it ends."""
    others: list[SessionInfo] = field(default_factory=list)
    """The listed sessions that it would, or may, end besides."""
    others_named: str = ""
    own: bool = False
    """Whether the session of this program is among those that are meant."""
    key: Hashable = None
    """What two orders differ in."""
    ends_client: bool = False
    """Whether all sessions of the client may end by it."""

    @property
    def folded(self) -> Pair:
        """What the server may take the order to name."""
        return _canonical(self.client), None if self.user is None else fold(self.user)


class Grouping(Protocol):
    """How the sessions of one list are ended by orders."""

    def orders_for(self, sessions: Sequence[SessionInfo]) -> tuple[list[Order], list[int]]:
        """The orders that end `sessions`, this program's own last; and the places of those that are not listed."""

    def order(self, key: Hashable, session: SessionInfo) -> Order:
        """The order of this key, to which a session belonged when it was planned; nothing is meant by it yet."""

    def entries(self, order: Order) -> list[SessionInfo]:
        """The listed sessions that an order may be meant for."""

    def find_others(self, orders: Sequence[Order]) -> None:
        """Find who else would end with each of some orders, which are all that are to be given."""

    def lists(self, order: Order, other: SessionInfo) -> bool:
        """Whether somebody is listed who would have ended with an order."""


class Pairs:
    """Orders that name a client and a user. `whole_connections`: each ends all of a TCP connection."""

    def __init__(
        self,
        entries: Sequence[SessionInfo],
        is_own: Callable[[SessionInfo], bool] = lambda session: False,
        *,
        whole_connections: bool = False,
    ) -> None:
        self._index = Listed(entries)
        self._is_own = is_own
        self._whole_connections = whole_connections

    def orders_for(self, sessions: Sequence[SessionInfo]) -> tuple[list[Order], list[int]]:
        """See `Grouping`."""
        orders: dict[Hashable, Order] = {}
        missing: list[int] = []
        asked_for: defaultdict[Pair, list[int]] = defaultdict(list)
        for place, session in enumerate(sessions):
            asked_for[_exact(session)].append(place)
        known: set[tuple[Pair, int]] = set()
        for places in asked_for.values():
            session = sessions[places[0]]
            meant = self._index.meant_by(session)
            if not meant:
                missing += places
            for entry in meant:
                # Without a user the order means all of the client, whoever is listed; and a list may lack its users.
                user = session.user_name if None in (session.user_name, entry.user_name) else entry.user_name
                key = (bare_client(entry.client_name or ""), user)
                if (order := orders.get(key)) is None:
                    orders[key] = order = self.order(key, entry)
                order.places.update(dict.fromkeys(places))
                if (key, id(entry)) not in known:
                    known.add((key, id(entry)))
                    order.meant.append(entry)
                order.own = order.own or self._is_own(entry)
        self.find_others(list(orders.values()))
        # A null session's order ends everybody of its client, and ours the connection that the orders travel on.
        return sorted(orders.values(), key=lambda order: (order.own, order.user == "")), missing

    def order(self, key: Hashable, session: SessionInfo) -> Order:
        """See `Grouping`. The client is named as it is listed."""
        assert isinstance(key, tuple)
        client = "\\\\" + (session.client_name or "").lstrip("\\")
        return Order(client, key[1], key=key, ends_client=self._whole_connections or not key[1])

    def entries(self, order: Order) -> list[SessionInfo]:
        """See `Grouping`."""
        return self._index.meant_by(SessionInfo(order.client, order.user))

    def lists(self, order: Order, other: SessionInfo) -> bool:
        """See `Grouping`. Who is on which connection is not told: anybody of that name counts."""
        return bool(self._index.meant_by(other))

    def find_others(self, orders: Sequence[Order]) -> None:
        """See `Grouping`."""
        chosen = {id(entry) for order in orders for entry in order.meant}
        of_client: dict[str, tuple[list[SessionInfo], str]] = {}
        for order in orders:
            client = _canonical(order.client)
            if not order.meant or (order.own and len(order.meant) == 1):
                # Our own session is ended by logging off, and no other session is on its connection.
                continue
            if self._whole_connections or not order.user:
                if client not in of_client:
                    others = _not_chosen(self._index.of_client[client], chosen, self._is_own)
                    of_client[client] = others, described(others)
                order.others, order.others_named = of_client[client]
            else:
                order.others = _not_chosen(self._index.of_user(order.meant[0]), chosen, self._is_own)
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


# --- consent


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
