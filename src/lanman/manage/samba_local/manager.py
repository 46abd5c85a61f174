"""The Manager of this machine's Samba, by its own tools: no password, and more than smbd's MS-SRVS says. For root.

Rules:

  - smbstatus is no snapshot, and its user is the Unix user: guests and null sessions are both the guest account.
  - What ends is a connection, with all sessions on it: `orders` has the rules.
  - What smbstatus leaves out is said, in `incomplete`, and makes numbers unknown that it would have counted in.
  - One file is closed by smbd's MS-SRVS alone: over the network, by `closer`, where credentials were given.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, NoReturn

from lanman import codes
from lanman.errors import Win32Error
from lanman.manage.answers import no_such_session, only_file
from lanman.manage.clients import Clients
from lanman.manage.manager import (
    NO_PAUSE_HINT,
    CloseResult,
    Manager,
    Sessions,
)
from lanman.manage.orders.files import FileOrders
from lanman.manage.orders.plan import Consent, Done, Missing, Outcome, Plan, Reason, Target, Verb, What
from lanman.manage.samba_local.orders import Aim, Connections, Orders, ShareUse, plan
from lanman.manage.samba_local.processes import beginning, still_runs
from lanman.manage.samba_local.records import SambaSession, age, entries_of, files_of
from lanman.manage.samba_local.status import IPC_SHARE, Status
from lanman.manage.samba_local.tools import SambaTools
from lanman.manage.selection import check_filters, is_this_machine, select_files
from lanman.manage.watching.keys import session_key
from lanman.names import fold
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
        self._main_begun = None if main_pid is None else beginning(main_pid)
        self._closer = closer
        self._clients = Clients()

    is_samba = True
    answered_by = "this machine's Samba, by its own tools"
    _no_pause_hint = NO_PAUSE_HINT

    @property
    def cannot(self) -> Mapping[str, str]:
        """See `Manager.cannot`. One file is closed over the network alone."""
        cannot = {"share": _CONFIGURED_HINT, "set": _CONFIGURED_HINT, "pause": NO_PAUSE_HINT}
        return cannot if self._closer is not None else cannot | {"close": _CLOSE_HINT}

    async def close(self) -> None:
        """See `Manager.close`. There is nothing to close: each tool has ended."""

    def _within(self) -> Within:
        return self._clients.within(
            self._timeout, lambda: "Samba's tools gave no answer", deadline=self._deadline, server=self.server
        )

    def _noted(self, status: Status) -> Status:
        """Note what smbstatus leaves out, in `incomplete`. Raises Win32Error 1062 where smbd has ended.

        smbstatus tells of no server as of one with nobody on it.
        """
        if not status.sessions and self._main_pid is not None and not still_runs(self._main_pid, self._main_begun):
            raise Win32Error(
                codes.ERROR_SERVICE_NOT_ACTIVE, f"smbd, process {self._main_pid}, has ended", subject="Samba"
            )
        number = status.left_out
        plural = "s are" if number > 1 else " is"
        self.incomplete = f"{number} open file{plural} left out: no name that can be told" if number else None
        return status

    # --- sessions

    async def sessions(
        self, *, client: str | None = None, user: str | None = None, level: int | None = None
    ) -> Sessions:
        """See `Manager.sessions`. Each is a SambaSession; the level is always 1."""
        check_filters(client=client, user=user)
        if level not in (None, LEVEL):
            raise Win32Error(codes.ERROR_INVALID_LEVEL, server=self.server, subject="the list of sessions")
        async with self._within():
            entries: list[SambaSession] = entries_of(self._noted(await self._tools.counted()))
            return Sessions(self.server, LEVEL, await self._clients.selected(entries, client, user))

    async def bystanders(self, sessions: Sequence[SessionInfo]) -> list[list[SessionInfo]]:
        """See `Manager.bystanders`: the others on the same connection, all of whom will end."""
        async with self._within():
            orders = plan(sessions, await Connections(self._tools).whole())
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
        """See `Manager.close_sessions`; `lanman.manage.samba_local.orders` has the rules."""
        if not sessions:
            return []
        return await self._orders(Connections(self._tools)).end(sessions, with_others, done)

    async def plan_sessions(self, sessions: Sequence[SessionInfo]) -> Plan:
        """See `Manager.plan_sessions`: an order ends a connection, with all sessions on it."""
        async with self._within():
            at = time.time()
            seen = await Connections(self._tools).whole()
        made = Plan(Verb.END, self.server, asked=[[] for _ in sessions], level=LEVEL)
        made.listed = [entry for there in seen.sessions.values() for entry in there]
        for order in plan(sessions, seen):
            for entry in order.meant:
                for place in order.places:
                    made.asked[place].append(len(made.targets))
                made.targets.append(Target(entry, session_key(entry, at), order.connection, order.others))
        for place, session in enumerate(sessions):
            if not made.asked[place]:
                made.missing[place] = Missing(session, no_such_session(session.client_name, session.user_name))
        return made

    async def end_sessions(
        self,
        plan: Plan,
        *,
        with_others: Consent = False,
        include_mine: bool = False,
        at_once: bool = False,
        done: Done | None = None,
    ) -> list[Outcome]:
        """See `Manager.end_sessions`. Processes are looked up right before each order, and nobody here has a session
        of this program."""
        target_of = {id(target.record): target for target in plan.targets}
        records = [target.record for target in plan.targets if isinstance(target.record, SessionInfo)]

        def settle(result: CloseResult) -> None:
            if done is not None:
                done(_outcome(target_of[id(result.session)], result))

        results = await self.close_sessions(records, with_others=with_others, done=settle)
        return [_outcome(target_of[id(result.session)], result) for result in results]

    def _orders(self, aim: Aim) -> Orders:
        return Orders(aim, self._within, self._main_pid)

    async def disconnect_share(
        self,
        name: str,
        sessions: Sequence[SessionInfo] | None = None,
        *,
        with_others: Consent = False,
        done: Callable[[CloseResult], None] | None = None,
    ) -> list[CloseResult]:
        """See `Manager.disconnect_share`. Others on the same connection lose the share too; root only."""
        if not name.strip():
            raise Win32Error(codes.NERR_NetNameNotFound, server=self.server, subject="share")
        return await self._orders(ShareUse(self._tools, name)).end(sessions, with_others, done)

    async def clients_called(self, client: str, names: Sequence[str]) -> frozenset[str]:
        """See `Manager.clients_called`."""
        async with self._within():
            return await self._clients.meant(client, [SessionInfo(name) for name in names])

    async def is_called(self, name: str) -> bool:
        """See `Manager.is_called`."""
        return is_this_machine(name, self.server)

    # --- connections

    async def connections(self, qualifier: str) -> list[ConnectionInfo]:
        """See `Manager.connections`. The tree connects that smbstatus tells, `IPC$` too."""
        if not qualifier.strip("\\/ "):
            raise Win32Error(codes.ERROR_INVALID_PARAMETER, "connections are asked for by a share or by a \\\\client")
        async with self._within():
            status = await self._tools.connections()
            by_client = qualifier.startswith(("\\", "/"))
            clients = await self._clients.meant(qualifier, entries_of(status)) if by_client else frozenset()
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
                        active_time=age(status, tree.connected_at),
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
            status = self._noted(await self._tools.status())
            everything = files_of(status)
            clients = None if client is None else await self._clients.meant(client, entries_of(status))
        entries = [entry for entry in everything if clients is None or entry.client_name in clients]
        return select_files(entries, path=path, user=user, among=everything)

    async def file(self, id: int) -> FileInfo:
        """See `Manager.file`. Raises Win32Error 52 for a number that several open files have."""
        return only_file(id, [entry for entry in await self.files() if entry.id == id], self.server)

    async def close_file(self, id: int) -> FileInfo:
        """See `Manager.close_file`. Over the network, where credentials were given. Raises Win32Error 50 otherwise.

        Raises Win32Error 2314 where the number means another file there, which then is another Samba.
        """
        (closed,) = await self.close_files([FileInfo(id)])
        if closed.error is not None:
            raise closed.error
        return closed.file

    def _file_orders(self) -> FileOrders:
        return FileOrders(self.server, one=None, listed=self.files, give=self._give_close)

    async def _give_close(self, file: FileInfo) -> bool:
        id = file.id or 0
        if self._closer is None:
            raise Win32Error(
                codes.ERROR_NOT_SUPPORTED,
                f"{id}: none of Samba's own tools closes one file",
                hint=_CLOSE_HINT,
                subject=f"open file {id}",
            )
        async with self._closer() as remote:
            _check_same(await remote.file(id), file)
            await remote.close_file(id)
        return True

    async def plan_files(self, files: Sequence[FileInfo]) -> Plan:
        """See `Manager.plan_files`. A file that smbstatus tells no number of is missing, with Win32Error 50."""
        made = await super().plan_files([FileInfo(0) if file.id is None else file for file in files])
        for place, file in enumerate(files):
            if file.id is None:
                made.missing[place] = Missing(file, _no_number(file))
        return made

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


def _check_same(there: FileInfo, here: FileInfo) -> None:
    """Refuse to close a file over the network that is not the one that smbstatus told of."""
    # smbd shows `/srv/data/a.txt` as `C:\\srv\\data\\a.txt`.
    path = (there.path or "").removeprefix("C:").replace("\\", "/")
    if path != (here.path or "").replace("\\", "/"):
        raise Win32Error(
            codes.NERR_FileIdNotFound,
            f"{here.id}: over the network that is {escape(there.path or '?')}, and not {escape(here.path or '?')}",
            hint="another Samba answers there: say where this one listens with -S localhost:PORT",
            subject=f"open file {here.id}",
        )


def _outcome(target: Target, result: CloseResult) -> Outcome:
    """What became of a target."""
    error = result.error
    if error is None:
        return Outcome(target, What.DONE, None, None, result.note, result.others)
    reason = {codes.ERROR_BUSY: Reason.BYSTANDERS, codes.NERR_ClientNameNotFound: Reason.GONE}.get(error.code)
    reason = Reason.CHANGED if result.is_changed else reason
    what = What.FAILED if reason is None else What.SPARED
    return Outcome(target, what, reason, error, result.note, result.others)


def _no_number(file: FileInfo) -> Win32Error:
    path = escape(file.path or "?")
    return Win32Error(
        codes.ERROR_NOT_SUPPORTED,
        f"{path}: smbstatus tells no number of it, and by that alone a file is closed",
        hint="close it over the network: -S localhost -U USER",
        subject=path,
    )
