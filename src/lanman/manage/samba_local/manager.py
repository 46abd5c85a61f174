"""The Manager of this machine's Samba, by its own tools: no password, and more than smbd's MS-SRVS says. For root.

Rules:

  - smbstatus is no snapshot, and its user is the Unix user: guests and null sessions are both the guest account.
  - What ends is a connection, with all sessions on it, and smbcontrol does not check that a process is the one that was
    meant. So each order is planned by (pid, unique id, client's port), these are read again just before the orders of a
    batch are given, and whoever else is on that connection by then and was not consented to keeps it alive.
  - An answer of smbcontrol means little: the list says what became of a connection.
  - One file is closed by smbd's MS-SRVS alone: over the network, by `closer`, where credentials were given.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final, NoReturn

from lanman import codes
from lanman.errors import LanmanError, Win32Error
from lanman.manage.clients import Clients
from lanman.manage.ending import Consent, Listed, agreed, described
from lanman.manage.manager import (
    NO_PAUSE_HINT,
    CloseResult,
    Manager,
    Sessions,
    no_such_file,
    no_such_session,
)
from lanman.manage.orders.sessions import PAUSES, batch_size
from lanman.manage.samba_local.status import IPC_SHARE, ServerId, Status, StatusOpen, StatusSession
from lanman.manage.samba_local.tools import SambaTools
from lanman.manage.selection import check_filters, select_files
from lanman.names import fold, unc_client
from lanman.net.dial import Within
from lanman.records import (
    ConnectionInfo,
    FileInfo,
    ServerInfo,
    SessionInfo,
    ShareInfo,
    Statistics,
    TimeOfDay,
    TransportInfo,
)
from lanman.shown import escape

# What smbstatus tells of a session is about what this level of MS-SRVS has.
LEVEL: Final = 1

STYPE_IPC: Final = 3
STYPE_SPECIAL: Final = 0x80000000

_CONFIGURED_HINT: Final = (
    "a Samba is configured in its smb.conf; `smbcontrol smbd reload-config` makes it read that again"
)
_CLOSE_HINT: Final = (
    "close it over the network: -S localhost -U USER, or --service samba -U USER; or end the session that has it open"
)


@dataclass(slots=True)
class SambaSession(SessionInfo):
    """A session of this machine's Samba, with what smbstatus tells beyond MS-SRVS.

    `begun` is told since 4.20; `seen_since` is that, or the time of the oldest tree connect: since then at least. Both
    are in seconds since 1970. `channels` are the client's addresses where there are several. `pid`, `unique_id`
    and `node` are the process that serves the connection.
    """

    address: str | None = None
    dialect: str | None = None
    signing: str | None = None
    encryption: str | None = None
    session_id: str | None = None
    begun: float | None = None
    seen_since: float | None = None
    channels: list[str] = field(default_factory=list)
    pid: int | None = None
    unique_id: int | None = None
    node: int | None = None


@dataclass(slots=True)
class SambaFile(FileInfo):
    """An open file of this machine's Samba, with what smbstatus tells beyond MS-SRVS."""

    client_name: str | None = None
    oplock: str | None = None
    opened_at: float | None = None
    pid: int | None = None


Connection = tuple[ServerId, str]
"""A process of smbd, and its client's address with the port."""


@dataclass(slots=True, eq=False)
class _Order:
    """A connection to be ended: the sessions meant by it, their places, and who else is on it."""

    connection: Connection
    meant: list[SambaSession] = field(default_factory=list)
    places: dict[int, None] = field(default_factory=dict)
    others: list[SambaSession] = field(default_factory=list)
    result: CloseResult | None = None


class SambaLocalManager(Manager):
    """A Manager of the smbd that `tools` are for; `main_pid` is its first process, which is never ended.

    `closer` opens a Manager of the same Samba over the network, to close files by.
    """

    def __init__(
        self,
        tools: SambaTools,
        *,
        timeout: float | None,
        deadline: float | None = None,
        main_pid: int | None = None,
        closer: Callable[[], AbstractAsyncContextManager[Manager]] | None = None,
    ) -> None:
        self.server = socket.gethostname()
        self._tools = tools
        self._timeout = timeout
        self._deadline = deadline
        self._main_pid = main_pid
        self._closer = closer
        self._clients = Clients()

    is_samba = True
    answered_by = "this machine's Samba, by its own tools"
    _no_pause_hint = NO_PAUSE_HINT

    async def close(self) -> None:
        """See `Manager.close`. There is nothing to close: each tool has ended."""

    def _within(self) -> Within:
        self._clients.waiting_for = None
        return Within(
            self._timeout,
            lambda: self._clients.waiting_for or "Samba's tools gave no answer",
            deadline=self._deadline,
            server=self.server,
        )

    # --- sessions

    async def sessions(
        self, *, client: str | None = None, user: str | None = None, level: int | None = None
    ) -> Sessions:
        """See `Manager.sessions`. Each is a SambaSession; the level is always 1."""
        check_filters(client=client, user=user)
        if level not in (None, LEVEL):
            raise Win32Error(codes.ERROR_INVALID_LEVEL, server=self.server, subject="the list of sessions")
        async with self._within():
            entries: list[SambaSession] = _entries(await self._tools.status())
            return Sessions(self.server, LEVEL, await self._clients.selected(entries, client, user))

    async def bystanders(self, sessions: Sequence[SessionInfo]) -> list[list[SessionInfo]]:
        """See `Manager.bystanders`: the others on the same connection, all of whom will end."""
        async with self._within():
            orders = _plan(sessions, _entries(await self._tools.status()))
        others: list[list[SessionInfo]] = [[] for _ in sessions]
        for order in orders:
            for place in order.places:
                others[place] += order.others
        return others

    async def close_sessions(
        self,
        sessions: Sequence[SessionInfo],
        *,
        with_others: Consent = False,
        done: Callable[[CloseResult], None] | None = None,
    ) -> list[CloseResult]:
        """See `Manager.close_sessions`; the rules stand at the top of this file."""
        if not sessions:
            return []
        async with self._within():
            orders = _plan(sessions, _entries(await self._tools.status()))
        may_go = agreed(with_others)
        given: list[_Order] = []
        for order in orders:
            if all(map(may_go, order.others)):
                given.append(order)
            else:
                order.result = _left_alone(order)
        results: dict[int, CloseResult] = {}

        def report() -> None:
            settled = _settled(sessions, orders)
            for place in settled.keys() - results.keys():
                results[place] = settled[place]
                if done is not None:
                    done(settled[place])

        report()
        size = batch_size(len(given))
        for start in range(0, len(given), size):
            await self._end(given[start : start + size], may_go)
            report()
        return [results[place] for place in range(len(sessions))]

    async def _end(self, orders: Sequence[_Order], may_go: Callable[[SessionInfo], bool]) -> None:
        """End some connections, after a look whether they are still what was planned; and settle each."""
        async with self._within():
            now = _by_connection(_entries(await self._tools.status(files=False)))
        told: list[_Order] = []
        for order in orders:
            there = now.get(order.connection, [])
            meant = {entry.session_id or entry.user_name for entry in order.meant}
            planned = meant | {entry.session_id or entry.user_name for entry in order.others}
            if not any((entry.session_id or entry.user_name) in meant for entry in there):
                session = order.meant[0]
                order.result = CloseResult(session, no_such_session(session.client_name, session.user_name))
                continue
            newcomers = [entry for entry in there if (entry.session_id or entry.user_name) not in planned]
            order.others += newcomers
            if not all(map(may_go, newcomers)):
                order.result = _left_alone(order)
                continue
            told.append(order)
        for order in list(told):
            try:
                self._check_process(order.connection[0])
                async with self._within():
                    await self._tools.end_connection(order.connection[0])
            except LanmanError as error:
                order.result = CloseResult(order.meant[0], error, None, list(order.others))
                told.remove(order)
        await self._verify(told)

    def _check_process(self, process: ServerId) -> None:
        """Refuse to tell anything but a client's process to end: the first one would take the whole server along."""
        if process.pid in (0, 1, self._main_pid, os.getpid()):
            raise Win32Error(codes.NERR_InternalError, f"process {process.pid} serves no client", server=self.server)

    async def _verify(self, orders: Sequence[_Order]) -> None:
        """Look whether connections are gone, and settle each."""
        left = list(orders)
        for pause in (*PAUSES, 0.8, 1.6):
            if not left:
                return
            await asyncio.sleep(pause)
            async with self._within():
                now = _by_connection(_entries(await self._tools.status(files=False)))
            for order in [order for order in left if order.connection not in now]:
                others: list[SessionInfo] = list(order.others)
                went = f"Samba ended the whole connection: the sessions of {described(others)} went with it"
                order.result = CloseResult(order.meant[0], None, went if others else None, others)
                left.remove(order)
        for order in left:
            client = unc_client(order.meant[0].client_name or "")
            message = f"{client}: smbd was told to end the connection and still lists it"
            error = Win32Error(codes.NERR_InternalError, message, subject=client)
            order.result = CloseResult(order.meant[0], error)

    # --- connections

    async def connections(self, qualifier: str) -> list[ConnectionInfo]:
        """See `Manager.connections`. The tree connects that smbstatus tells, `IPC$` too."""
        if not qualifier.strip("\\/ "):
            raise Win32Error(codes.ERROR_INVALID_PARAMETER, "connections are asked for by a share or by a \\\\client")
        async with self._within():
            status = await self._tools.status()
            by_client = qualifier.startswith(("\\", "/"))
            clients = await self._clients.meant(qualifier, _entries(status)) if by_client else frozenset()
        sessions = {session.id: session for session in status.sessions if session.id is not None}
        found: list[ConnectionInfo] = []
        for tree in status.trees:
            there = status.by_process.get(tree.server_id, [])
            session = sessions.get(tree.session_id or "") or (there[0] if len(there) == 1 else None)
            client = session.client if session is not None else tree.machine
            if client in clients if by_client else fold(tree.service) == fold(qualifier):
                found.append(
                    ConnectionInfo(
                        id=int(tree.tree_id) if tree.tree_id and tree.tree_id.isdecimal() else None,
                        type=STYPE_IPC if tree.service == IPC_SHARE else None,
                        num_users=1,
                        active_time=_age(status, tree.connected_at),
                        user_name=None if session is None else session.user_name,
                        net_name=tree.service if by_client else client,
                    )
                )
        return found

    # --- open files

    async def files(
        self, *, path: str | None = None, user: str | None = None, client: str | None = None
    ) -> list[FileInfo]:
        """See `Manager.files`. Each is a SambaFile, its path that on the disk, its number that of smbd's MS-SRVS."""
        check_filters(client=client, user=user, path=path)
        async with self._within():
            status = await self._tools.status()
            everything = _files(status)
            clients = None if client is None else await self._clients.meant(client, _entries(status))
        entries = [entry for entry in everything if clients is None or entry.client_name in clients]
        return select_files(entries, path=path, user=user, among=everything)

    async def file(self, id: int) -> FileInfo:
        """See `Manager.file`. Raises Win32Error 52 for a number that several open files have."""
        found = [entry for entry in await self.files() if entry.id == id]
        if not found:
            raise no_such_file(id)
        if len(found) > 1:
            paths = ", ".join(sorted({escape(entry.path or "?") for entry in found}))
            raise Win32Error(
                codes.ERROR_DUP_NAME,
                f"{id}: smbd gives this number to {len(found)} open files: {paths}",
                hint="closing it would close all of them; end a session instead",
                subject=f"open file {id}",
            )
        return found[0]

    async def close_file(self, id: int) -> FileInfo:
        """See `Manager.close_file`. Over the network, where credentials were given. Raises Win32Error 50 otherwise."""
        target = await self.file(id)
        if self._closer is None:
            raise Win32Error(
                codes.ERROR_NOT_SUPPORTED,
                f"{id}: none of Samba's own tools closes one file",
                hint=_CLOSE_HINT,
                subject=f"open file {id}",
            )
        async with self._closer() as remote:
            await remote.close_file(id)
        return target

    # --- shares and the server

    async def shares(self, level: int | None = None) -> list[ShareInfo]:
        """See `Manager.shares`. Those of the configuration, by testparm: anybody may ask."""
        async with self._within():
            shares = list((await self._tools.configured()).shares)
        return [*shares, ShareInfo(netname=IPC_SHARE, type=STYPE_IPC | STYPE_SPECIAL)]

    async def share(self, name: str) -> ShareInfo:
        """See `Manager.share`."""
        for entry in await self.shares():
            if fold(entry.netname or "") == fold(name):
                return entry
        raise Win32Error(codes.NERR_NetNameNotFound, server=self.server, subject=f"share {name}")

    async def server_info(self, level: int | None = None) -> ServerInfo:
        """See `Manager.server_info`. What the configuration says."""
        async with self._within():
            settings = (await self._tools.configured()).settings
        minutes = settings.get("deadtime", "")
        known = minutes.isascii() and minutes.isdigit()
        return ServerInfo(
            name=settings.get("netbios name") or self.server,
            comment=settings.get("server string"),
            disc=(int(minutes[:9]) or -1) if known else None,
        )

    def _refuse(self, what: str, hint: str = _CONFIGURED_HINT) -> NoReturn:
        raise Win32Error(codes.ERROR_NOT_SUPPORTED, what, hint=hint, server=self.server)

    async def add_share(self, name: str, path: str, *, remark: str = "", max_users: int = 0) -> None:
        """Raises Win32Error 50: shares are configured."""
        self._refuse("Samba's own tools share nothing at run time")

    async def set_share(self, name: str, *, remark: str | None = None, max_users: int | None = None) -> None:
        """Raises Win32Error 50: shares are configured."""
        self._refuse("Samba's own tools change no share")

    async def delete_share(self, name: str) -> None:
        """Raises Win32Error 50: shares are configured."""
        self._refuse("Samba's own tools delete no share")

    async def set_autodisconnect(self, minutes: int) -> None:
        """Raises Win32Error 50: it is configured."""
        self._refuse("the idle time is not changed at run time", "`deadtime` in smb.conf is the idle time, in minutes")

    async def set_comment(self, text: str) -> None:
        """Raises Win32Error 50: it is configured."""
        self._refuse("the comment is not changed at run time", "`server string` in smb.conf is the comment")

    async def set_hidden(self, hidden: bool) -> None:
        """Raises Win32Error 50: Samba has no such setting at run time."""
        self._refuse("whether the server is hidden is not changed at run time")

    async def statistics(self) -> Statistics:
        """Raises Win32Error 50: smbd counts nothing by default."""
        self._refuse("smbd does not tell its statistics", "no tool of Samba does")

    async def time_of_day(self) -> TimeOfDay:
        """Raises Win32Error 50."""
        self._refuse("Samba's tools do not tell the time", "the server's clock is this machine's: `date` tells it")

    async def transports(self) -> list[TransportInfo]:
        """Raises Win32Error 50."""
        self._refuse(
            "Samba's tools do not tell what smbd listens on", "`testparm -s` shows `smb ports` and `interfaces`"
        )


# --- records from a status


def _age(status: Status, since: float | None) -> int | None:
    return None if since is None or status.at is None else max(0, int(status.at - since))


def _entries(status: Status) -> list[SambaSession]:
    """The sessions. Where an open's session cannot be told, the numbers of all that may have it are unknown."""
    counts: Counter[StatusSession] = Counter()
    unknown: set[ServerId] = set()
    for open in status.opens:
        if (session := status.session_of(open)) is None:
            unknown.add(open.server_id)
        else:
            counts[session] += 1
    return [
        SambaSession(
            client_name=session.client,
            user_name=session.user_name,
            num_opens=None if session.server_id in unknown else counts[session],
            active_time=_age(status, session.begun),
            address=session.address,
            dialect=session.dialect,
            signing=str(session.signing),
            encryption=str(session.encryption),
            session_id=session.id,
            begun=session.begun,
            seen_since=status.seen_since(session),
            channels=[channel.remote_address for channel in session.channels],
            pid=session.server_id.pid,
            unique_id=session.server_id.unique_id,
            node=session.server_id.node,
        )
        for session in status.sessions
    ]


def _files(status: Status) -> list[SambaFile]:
    locks = None if status.locks is None else Counter((lock.server_id, lock.path) for lock in status.locks)
    openers = Counter((open.server_id, open.path) for open in status.opens)
    return [_file(status, open, locks, openers[open.server_id, open.path]) for open in status.opens]


def _file(status: Status, open: StatusOpen, locks: Counter[tuple[ServerId, str]] | None, openers: int) -> SambaFile:
    """An open file. Locks are told by process and path: with several opens of both, none knows whose they are."""
    session = status.session_of(open)
    number = 0 if locks is None else locks[open.server_id, open.path]
    there = status.by_process.get(open.server_id, [])
    return SambaFile(
        id=open.file_id,
        permissions=open.access_mask,
        num_locks=None if locks is None or (number and openers > 1) else number,
        path=open.path,
        user_name=None if session is None else session.user_name,
        client_name=there[0].client if there else None,
        oplock=open.oplock,
        opened_at=open.opened_at,
        pid=open.server_id.pid,
    )


# --- ending


def _connection(entry: SambaSession) -> Connection:
    return ServerId(entry.pid or 0, 0, entry.node or 0, entry.unique_id), entry.address or ""


def _by_connection(entries: Sequence[SambaSession]) -> dict[Connection, list[SambaSession]]:
    found: defaultdict[Connection, list[SambaSession]] = defaultdict(list)
    for entry in entries:
        found[_connection(entry)].append(entry)
    return dict(found)


def _plan(sessions: Sequence[SessionInfo], listed: Sequence[SambaSession]) -> list[_Order]:
    """The connections to end, and everybody who goes with each. Sessions that are not listed have no order."""
    index = Listed(listed)
    exact = {(_connection(entry), entry.session_id, entry.user_name): entry for entry in listed}
    orders: dict[Connection, _Order] = {}
    chosen: set[int] = set()
    for place, session in enumerate(sessions):
        meant: list[SambaSession]
        if isinstance(session, SambaSession) and session.pid is not None:
            entry = exact.get((_connection(session), session.session_id, session.user_name))
            meant = [] if entry is None else [entry]
        else:
            meant = [entry for entry in index.meant_by(session) if isinstance(entry, SambaSession)]
        for entry in meant:
            order = orders.setdefault(_connection(entry), _Order(_connection(entry)))
            order.places[place] = None
            if id(entry) not in chosen:
                chosen.add(id(entry))
                order.meant.append(entry)
    on_it = _by_connection(listed)
    for order in orders.values():
        order.others = [entry for entry in on_it[order.connection] if id(entry) not in chosen]
    return list(orders.values())


def _left_alone(order: _Order) -> CloseResult:
    session = order.meant[0]
    client = unc_client(session.client_name or "")
    others: list[SessionInfo] = list(order.others)
    error = Win32Error(
        codes.ERROR_BUSY,
        f"{client}, {escape(session.user_name or 'nobody')}: left alone: Samba ends whole connections, and "
        f"{described(others)} would end with it",
        hint="--with-others ends them too; so does the end of all of that client",
        subject=client,
    )
    return CloseResult(session, error, None, others)


def _settled(sessions: Sequence[SessionInfo], orders: Sequence[_Order]) -> dict[int, CloseResult]:
    """What became of each session, by its place, all of whose orders have a result."""
    of_place: defaultdict[int, list[_Order]] = defaultdict(list)
    for order in orders:
        for place in order.places:
            of_place[place].append(order)
    found: dict[int, CloseResult] = {}
    for place, session in enumerate(sessions):
        known = [order.result for order in of_place[place] if order.result is not None]
        if len(known) < len(of_place[place]):
            continue
        if not known:
            found[place] = CloseResult(session, no_such_session(session.client_name, session.user_name))
            continue
        first = next((one for one in known if one.error is not None), known[0])
        found[place] = CloseResult(session, first.error, first.note, first.others)
    return found
