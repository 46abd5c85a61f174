"""Orders to this machine's smbd: what each ends, a look right before it, and what became of it.

Rules:

  - What ends is a connection with all its sessions, or the use of a share by all sessions of a connection. So each
    order is planned by (pid, unique id, client's port), with everybody who goes along.
  - smbd is read again before each order. Where it is another process or another client by then, nothing is told;
    whoever has come to that connection and was not consented to keeps it alive. One look serves all orders that follow
    within the time that it took itself, one second at most: looks take longer the more sessions there are, and so no
    more than half of the time goes into them.
  - The kernel is asked right before each order whether the process is still the one of that look, by when it began. One
    that has ended since is told nothing.
  - smbcontrol does not check whom a process serves. So a connection is ended by `kill-client-ip`, which smbd itself
    compares with its client: a process that took over the number in that moment stays, unless it serves the same
    client. `shutdown` is for a Samba without it, and for addresses that it does not take.
  - All of a client, whoever comes from there, is one order to all of smbd, and given only where it was asked for so.
  - An answer of smbcontrol means little: the list says what became of an order. An order is given once.
  - smbd's first process is never told anything: it would take the whole server along.
"""

from __future__ import annotations

import asyncio
import os
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field, replace
from time import monotonic
from typing import Final

from lanman import codes
from lanman.errors import LanmanError, Win32Error
from lanman.manage.answers import CloseResult, no_such_session
from lanman.manage.orders.listed import Listed, agreed, described
from lanman.manage.orders.pauses import PAUSES
from lanman.manage.orders.plan import Consent
from lanman.manage.samba_local.processes import beginning
from lanman.manage.samba_local.records import SambaSession, entries_of
from lanman.manage.samba_local.status import DISCONNECTED, NO_NODE, ServerId, Status, host_of
from lanman.manage.samba_local.tools import SambaTools, Table
from lanman.names import fold, unc_client
from lanman.net.dial import Within
from lanman.plain import dataclass
from lanman.records import SessionInfo
from lanman.shown import escape

Connection = tuple[ServerId, str]
"""A process of smbd, and its client's address with the port."""

_PAUSES: Final = (*PAUSES, 0.8, 1.6)

# How long a look may serve, in seconds.
_MAX_AGE: Final = 1.0


@dataclass(slots=True, eq=False)
class Order:
    """One order: the sessions that are meant by it, their places among those asked for, and who goes along.

    `whole_client` is the client's address where all of it was asked for, whoever it is. `marks` are what must be gone.
    """

    connection: Connection
    meant: list[SambaSession] = field(default_factory=list)
    places: dict[int, None] = field(default_factory=dict)
    others: list[SessionInfo] = field(default_factory=list)
    whole_client: str | None = None
    marks: frozenset[str] = frozenset()
    result: CloseResult | None = None


@dataclass(slots=True)
class Seen:
    """What an order may be given about, as smbd tells it now: by connection, who is concerned, and what would go."""

    sessions: dict[Connection, list[SambaSession]]
    marks: dict[Connection, frozenset[str]]


class Aim(ABC):
    """What orders end: `Connections`, or the use of a share."""

    why_others: str
    """Why others go along, in words."""
    went: str
    """What happened to those who went along, in words."""
    listed_still: str
    """What is wrong where an order had no effect, in words."""

    def __init__(self, tools: SambaTools) -> None:
        self._tools = tools

    @abstractmethod
    async def whole(self) -> Seen:
        """What there is, with what a plan has to name of it."""

    @abstractmethod
    async def look(self) -> Seen:
        """What there is, in less time."""

    @abstractmethod
    async def give(self, orders: Sequence[Order]) -> None:
        """Give the order for some connections, which are those of one client where there are several."""


class Connections(Aim):
    """Whole connections, with all their sessions."""

    why_others = "Samba ends whole connections, and {} would end with it"
    went = "Samba ended the whole connection: the sessions of {} went with it"
    listed_still = "smbd was told to end the connection and still lists it"

    async def whole(self) -> Seen:
        """See Aim."""
        return _connections(await self._tools.counted())

    async def look(self) -> Seen:
        """See Aim."""
        return _connections(await self._tools.status(Table.SESSIONS))

    async def give(self, orders: Sequence[Order]) -> None:
        """See Aim."""
        client = orders[0].whole_client
        if client is not None and await self._tools.end_client(client):
            return
        for order in orders:
            process, address = order.connection
            await self._tools.end_connection(process, host_of(address))


class ShareUse(Aim):
    """The tree connects of connections to one share, with what is open there. The sessions stay."""

    why_others = "Samba closes a share for all sessions of a connection, and {} would lose it too"
    went = "Samba closed the share for the whole connection: {} lost it too"
    listed_still = "smbd was told to close the share and still lists its use"

    def __init__(self, tools: SambaTools, share: str) -> None:
        super().__init__(tools)
        self._share = share

    async def whole(self) -> Seen:
        """See Aim."""
        return self._uses(await self._tools.counted())

    async def look(self) -> Seen:
        """See Aim."""
        return self._uses(await self._tools.connections())

    async def give(self, orders: Sequence[Order]) -> None:
        """See Aim."""
        for order in orders:
            await self._tools.close_share(order.connection[0], self._share)

    def _uses(self, status: Status) -> Seen:
        seen = _connections(status)
        trees = [tree for tree in status.trees if fold(tree.service) == fold(self._share)]
        of: defaultdict[ServerId, list[str | None]] = defaultdict(list)
        marks: defaultdict[ServerId, set[str]] = defaultdict(set)
        for tree in trees:
            of[tree.server_id].append(tree.session_id)
            marks[tree.server_id].add(tree.tree_id or str(tree.connected_at))
        users: dict[Connection, list[SambaSession]] = {}
        for connection, there in seen.sessions.items():
            # Without the session of a tree connect any session of the process may have it.
            ids = of.get(connection[0], [])
            using = [entry for entry in there if ids and (None in ids or entry.session_id in ids)]
            if using:
                users[connection] = using
        return Seen(users, {connection: frozenset(marks[connection[0]]) for connection in users})


def _connections(status: Status) -> Seen:
    found: defaultdict[Connection, list[SambaSession]] = defaultdict(list)
    for entry in entries_of(status):
        found[_connection(entry)].append(entry)
    return Seen(dict(found), dict.fromkeys(found, frozenset({""})))


def _connection(entry: SambaSession) -> Connection:
    node = NO_NODE if entry.ctdb_node is None else entry.ctdb_node
    return ServerId(entry.pid or 0, 0, node, entry.unique_id), entry.address or ""


def plan(sessions: Sequence[SessionInfo], seen: Seen) -> list[Order]:
    """An order for each connection that has some of `sessions`, and who goes along. What is not listed has no order."""
    listed = [entry for there in seen.sessions.values() for entry in there]
    index = Listed(listed)
    exact = {(_connection(entry), entry.session_id, entry.user_name): entry for entry in listed}
    orders: dict[Connection, Order] = {}
    chosen: set[int] = set()
    whoever: set[str] = set()
    for place, session in enumerate(sessions):
        if isinstance(session, SambaSession) and session.pid is not None:
            entry = exact.get((_connection(session), session.session_id, session.user_name))
            meant = [] if entry is None else [entry]
        else:
            meant = [entry for entry in index.meant_by(session) if isinstance(entry, SambaSession)]
            if session.user_name is None:
                whoever |= {entry.client_name or "" for entry in meant}
        for entry in meant:
            order = orders.setdefault(_connection(entry), Order(_connection(entry)))
            order.places[place] = None
            if id(entry) not in chosen:
                chosen.add(id(entry))
                order.meant.append(entry)
    for order in orders.values():
        order.others = [entry for entry in seen.sessions[order.connection] if id(entry) not in chosen]
    _mark_whole_clients(list(orders.values()), seen, whoever)
    return list(orders.values())


def _mark_whole_clients(orders: Sequence[Order], seen: Seen, whoever: set[str]) -> None:
    """Mark the orders that together are all of a client, where all of it was asked for.

    Only for a client that smbd knows by its address: by names, two clients may share one. And not in a cluster, where
    the order reaches one node.
    """
    planned = {order.connection for order in orders}
    elsewhere = {
        host_of(connection[1])
        for connection, there in seen.sessions.items()
        if connection not in planned
        or connection[0].node != NO_NODE
        or {entry.client_name for entry in there} != {host_of(connection[1])}
    }
    for order in orders:
        host = host_of(order.connection[1])
        if host in whoever and host not in elsewhere:
            order.whole_client = host


class Orders:
    """Gives the orders that end what `aim` is, each `within` a bound. `main_pid` is smbd's first process."""

    def __init__(self, aim: Aim, within: Callable[[], Within], main_pid: int | None) -> None:
        self._aim = aim
        self._within = within
        self._spared = frozenset({0, 1, os.getpid()} | ({main_pid} if main_pid is not None else set()))
        self._now: Seen | None = None
        self._serves_until = 0.0
        self._begun: dict[int, int | None] = {}

    async def end(
        self, sessions: Sequence[SessionInfo] | None, consent: Consent, done: Callable[[CloseResult], None] | None
    ) -> list[CloseResult]:
        """End what the aim has of `sessions`, of all for None, as far as `consent` allows; a result for each."""
        async with self._within():
            seen = await self._aim.whole()
        if sessions is None:
            sessions = [entry for there in seen.sessions.values() for entry in there]
        outcomes = _Outcomes(sessions, plan(sessions, seen), seen, done)
        self._now = None
        self._begun = {order.connection[0].pid: None for order in outcomes.orders if _is_here(order.connection[0])}
        may_go = agreed(consent)
        told: list[Order] = []
        for group in self._groups(outcomes.orders):
            given = await self._one(group, may_go, told, outcomes)
            told = [order for order in told if order.result is None] + given
        await self._verify(told, outcomes)
        return outcomes.results()

    def _groups(self, orders: Iterable[Order]) -> list[list[Order]]:
        """The orders that are given in one: all of a client, or a single one."""
        groups: list[list[Order]] = []
        of_client: dict[str, list[Order]] = {}
        for order in orders:
            if order.whole_client is None:
                groups.append([order])
            elif order.whole_client in of_client:
                of_client[order.whole_client].append(order)
            else:
                groups.append(of_client.setdefault(order.whole_client, [order]))
        return groups

    async def _one(
        self,
        group: Sequence[Order],
        may_go: Callable[[SessionInfo], bool],
        told: Sequence[Order],
        outcomes: _Outcomes,
    ) -> list[Order]:
        """Give one order, after a look whether things are still as planned; the orders whose end is to be seen."""
        agreed_to = [order for order in group if self._agreed(order, may_go, outcomes)]
        if not agreed_to:
            return []
        now = await self._looked()
        self._settle_gone(told, now, outcomes)
        ready = [order for order in agreed_to if self._as_planned(order, now, may_go, outcomes)]
        if not ready:
            return []
        try:
            for order in ready:
                self._check_process(order.connection[0])
            if running := [order for order in ready if self._is_same(order.connection[0])]:
                async with self._within():
                    await self._aim.give(running)
        except LanmanError as error:
            for order in ready:
                outcomes.settle(order, CloseResult(order.meant[0], error, None, order.others))
            return []
        return ready

    async def _looked(self) -> Seen:
        """What there is now, or was a moment ago: see the rules."""
        begin = monotonic()
        if self._now is None or begin >= self._serves_until:
            # Before the look: a process that takes over a number behind it has another beginning.
            self._begun = {pid: beginning(pid) for pid in self._begun}
            async with self._within():
                self._now = await self._aim.look()
            end = monotonic()
            self._serves_until = end + min(end - begin, _MAX_AGE)
        return self._now

    def _is_same(self, process: ServerId) -> bool:
        """Whether a process is still the one that was there at the last look."""
        return not _is_here(process) or beginning(process.pid) == self._begun[process.pid]

    def _agreed(self, order: Order, may_go: Callable[[SessionInfo], bool], outcomes: _Outcomes) -> bool:
        """Whether all who go along were consented to; else the order is settled, and nobody is told."""
        if order.whole_client is not None or all(map(may_go, order.others)):
            return True
        session = order.meant[0]
        client = unc_client(session.client_name or "")
        error = Win32Error(
            codes.ERROR_BUSY,
            f"{client}, {escape(session.user_name or 'nobody')}: left alone: "
            + self._aim.why_others.format(described(order.others)),
            hint="--with-others ends them too; so does the end of all of that client",
            subject=client,
        )
        outcomes.settle(order, CloseResult(session, error, None, order.others))
        return False

    def _as_planned(self, order: Order, now: Seen, may_go: Callable[[SessionInfo], bool], outcomes: _Outcomes) -> bool:
        """Whether an order still means what was planned, with nobody new who goes along; else it is settled."""
        there = now.sessions.get(order.connection, [])
        meant = set(map(_who, order.meant))
        if not any(_who(entry) in meant for entry in there):
            session = order.meant[0]
            listed = [entry for entries in now.sessions.values() for entry in entries]
            outcomes.settle(order, _not_there(session, listed))
            return False
        planned = meant | set(map(_who, order.others))
        order.others = [*order.others, *(entry for entry in there if _who(entry) not in planned)]
        order.marks = now.marks[order.connection]
        return self._agreed(order, may_go, outcomes)

    def _check_process(self, process: ServerId) -> None:
        """Refuse to tell anything but a client's process."""
        if process.pid in self._spared or process.pid >= DISCONNECTED:
            raise Win32Error(codes.NERR_InternalError, f"process {process.pid} serves no client")

    def _settle_gone(self, told: Iterable[Order], now: Seen, outcomes: _Outcomes) -> None:
        for order in told:
            if order.result is None and not order.marks & now.marks.get(order.connection, frozenset()):
                note = self._aim.went.format(described(order.others)) if order.others else None
                outcomes.settle(order, CloseResult(order.meant[0], None, note, order.others))

    async def _verify(self, told: Sequence[Order], outcomes: _Outcomes) -> None:
        """Look until what was ended is gone, with pauses; what is still there then was not ended."""
        left = list(told)
        for pause in _PAUSES:
            if not left:
                return
            await asyncio.sleep(pause)
            async with self._within():
                now = await self._aim.look()
            self._settle_gone(left, now, outcomes)
            left = [order for order in left if order.result is None]
        for order in left:
            client = unc_client(order.meant[0].client_name or "")
            error = Win32Error(codes.NERR_InternalError, f"{client}: {self._aim.listed_still}", subject=client)
            outcomes.settle(order, CloseResult(order.meant[0], error))


def _is_here(process: ServerId) -> bool:
    """Whether a process is this machine's, and not one of another node of a cluster."""
    return process.node == NO_NODE


def _who(entry: SessionInfo) -> tuple[str | None, str]:
    """What tells the sessions of one connection apart: their ids, where they have any, and their users. A session keeps
    its id where its client logs on anew as somebody else (MS-SMB2 3.3.5.5.2), who is not who was meant."""
    return getattr(entry, "session_id", None), fold(entry.user_name or "")


def _changed(session: SessionInfo) -> Win32Error:
    client = unc_client(session.client_name or "")
    return Win32Error(
        codes.NERR_ClientNameNotFound,
        f"{client}, {escape(session.user_name or 'nobody')}: left alone: it has ended, and another session is listed",
        hint="list the sessions again",
        subject=client,
    )


def _not_there(session: SessionInfo, listed: Iterable[SessionInfo]) -> CloseResult:
    """What is said of a session that is not listed as it was planned."""
    if _is_changed(session, listed):
        return CloseResult(session, _changed(session), is_changed=True)
    return CloseResult(session, no_such_session(session.client_name, session.user_name))


def _is_changed(session: SessionInfo, there: Iterable[SessionInfo]) -> bool:
    """Whether a session that has gone has left its place to another: one of its id, or of its client and user."""
    id, user = _who(session)
    return any(
        (id is not None and _who(entry)[0] == id)
        or (entry.client_name == session.client_name and _who(entry)[1] == user)
        for entry in there
    )


class _Outcomes:
    """What became of each session that was asked for: it is done when all orders that concern it are settled."""

    def __init__(
        self,
        sessions: Sequence[SessionInfo],
        orders: Sequence[Order],
        seen: Seen,
        done: Callable[[CloseResult], None] | None,
    ) -> None:
        self.orders = orders
        self._sessions = sessions
        self._done = done
        self._of_place: defaultdict[int, list[Order]] = defaultdict(list)
        for order in orders:
            for place in order.places:
                self._of_place[place].append(order)
        self._results: dict[int, CloseResult] = {}
        for place, session in enumerate(sessions):
            if place not in self._of_place:
                listed = (entry for there in seen.sessions.values() for entry in there)
                is_exact = isinstance(session, SambaSession) and session.pid is not None
                self._report(place, _not_there(session, listed if is_exact else ()))

    def settle(self, order: Order, result: CloseResult) -> None:
        """Note what became of an order, and report the sessions that are done with it."""
        order.result = result
        for place in order.places:
            known = [one.result for one in self._of_place[place] if one.result is not None]
            if len(known) == len(self._of_place[place]):
                first = next((one for one in known if one.error is not None), known[0])
                self._report(place, replace(first, session=self._sessions[place]))

    def _report(self, place: int, result: CloseResult) -> None:
        self._results[place] = result
        if self._done is not None:
            self._done(result)

    def results(self) -> list[CloseResult]:
        """One for each session, in the order in which they were given."""
        return [self._results[place] for place in range(len(self._sessions))]
