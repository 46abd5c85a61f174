"""The Manager of this machine's ksmbd, by the files of the kernel and its ksmbd.conf: read-only, and for root.

Rules:

  - Nothing is ended, closed or changed: the kernel takes no order for one session or file, only for the whole server.
  - A session is told with its client's address and not with its connection. What `clients` tells of a connection is a
    session's where its address has that session and that connection alone; else it is unknown.
  - An open file has no user, no client and no folder: neither its tree connect's id nor its name says whose it is.
  - The open files are read where somebody asks for them, and for nothing else: `kernel` says why.
"""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from types import MappingProxyType
from typing import Final, NoReturn, TypeVar

from lanman import codes
from lanman.errors import Win32Error
from lanman.manage.answers import Sessions, only_file
from lanman.manage.clients import Clients
from lanman.manage.ksmbd.conf import STYPE_DISKTREE, STYPE_IPC
from lanman.manage.ksmbd.kernel import Kernel
from lanman.manage.ksmbd.text import ANONYMOUS, GUEST, IN_PROGRESS, Channel, Connection, Details
from lanman.manage.manager import Manager
from lanman.manage.orders.plan import Consent, Done, Outcome, Plan
from lanman.manage.selection import check_filters, select_files
from lanman.names import fold
from lanman.net.dial import Within
from lanman.net.resolve import in_daemon_thread
from lanman.plain import dataclass
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

T = TypeVar("T")

# What ksmbd's files tell of a session is about what this level of MS-SRVS has.
LEVEL: Final = 1

SESS_GUEST: Final = 1

_CONFIGURED_HINT: Final = "ksmbd is configured in its ksmbd.conf; `ksmbd.control --reload` makes it read that again"
_END_HINT: Final = "`ksmbd.control --shutdown` ends all of it; there is nothing between that and waiting"
_ENDS_NOTHING: Final = "ksmbd ends no session by itself: the kernel takes no order for that"
_CLOSES_NOTHING: Final = "ksmbd closes no file by itself: the kernel takes no order for that"
_NO_PAUSE_HINT: Final = "ksmbd has no pause: a rule of the firewall for its port keeps newcomers out"

_CANNOT: Final = MappingProxyType(
    {
        "end": _ENDS_NOTHING,
        "close": _CLOSES_NOTHING,
        "share": _CONFIGURED_HINT,
        "set": _CONFIGURED_HINT,
        "pause": _NO_PAUSE_HINT,
        "drain": _ENDS_NOTHING,
    }
)


@dataclass(slots=True)
class KsmbdSession(SessionInfo):
    """A session of this machine's ksmbd, with what its files tell beyond MS-SRVS.

    `state` is "valid" or "expired", `channels` the client's address once for each channel.
    """

    session_id: int | None = None
    state: str | None = None
    dialect: str | None = None
    signing: str | None = None
    encryption: str | None = None
    channels: list[str] = field(default_factory=list)


@dataclass(slots=True)
class KsmbdFile(FileInfo):
    """An open file of this machine's ksmbd. Its `path` is the last part of it; `tree_id` is that of some session."""

    tree_id: int | None = None
    oplock: str | None = None


class KsmbdManager(Manager):
    """A Manager of this machine's ksmbd, whose files `kernel` reads. `now` is the clock, in seconds since 1970."""

    answered_by = "this machine's ksmbd, by its files"
    _no_pause_hint = _NO_PAUSE_HINT

    def __init__(
        self,
        kernel: Kernel,
        *,
        timeout: float | None,
        deadline: float | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.server = socket.gethostname()
        self._kernel = kernel
        self._timeout = timeout
        self._deadline = deadline
        self._now = now
        self._clients = Clients()

    @property
    def cannot(self) -> Mapping[str, str]:
        """See `Manager.cannot`: it takes no order at all."""
        return _CANNOT

    async def close(self) -> None:
        """See `Manager.close`. There is nothing to close."""

    async def check_running(self) -> None:
        """Raise Win32Error 1062 where it does not serve."""
        await self._asked(self._kernel.check_running)

    def _within(self) -> Within:
        return self._clients.within(
            self._timeout, lambda: "the kernel gave no answer", deadline=self._deadline, server=self.server
        )

    async def _asked(self, read: Callable[[], T]) -> T:
        async with self._within():
            return await in_daemon_thread(read)

    def _refuse(self, what: str, hint: str = _CONFIGURED_HINT) -> NoReturn:
        raise Win32Error(codes.ERROR_NOT_SUPPORTED, what, hint=hint, server=self.server, subject="ksmbd")

    # --- sessions

    async def sessions(
        self, *, client: str | None = None, user: str | None = None, level: int | None = None
    ) -> Sessions:
        """See `Manager.sessions`. Each is a KsmbdSession; the level is always 1. A guest's user is `(Guest)`."""
        check_filters(client=client, user=user)
        if level not in (None, LEVEL):
            raise Win32Error(codes.ERROR_INVALID_LEVEL, server=self.server, subject="the list of sessions")
        async with self._within():
            entries = await in_daemon_thread(self._entries)
            return Sessions(self.server, LEVEL, [*await self._clients.selected(entries, client, user)])

    def _entries(self) -> list[KsmbdSession]:
        channels = self._kernel.channels()
        connections = self._kernel.connections()
        # Of those that are logging on nobody is there yet, but they have a connection like the others.
        sessions: dict[int, list[Channel]] = {}
        for channel in channels:
            sessions.setdefault(channel.session_id, []).append(channel)
        at = Counter(channel.client for channel in channels)
        by_client: dict[str, list[Connection]] = {}
        for connection in connections:
            by_client.setdefault(connection.client, []).append(connection)
        entries = []
        for id, parts in sessions.items():
            if parts[0].state != IN_PROGRESS:
                there = by_client.get(parts[0].client, [])
                only = there[0] if len(parts) == len(there) == at[parts[0].client] == 1 else None
                dialects = {one.dialect for part in parts for one in by_client.get(part.client, [])}
                dialect = dialects.pop() if len(dialects) == 1 else None
                entries.append(self._entry(parts, dialect, only, self._kernel.details(id) or Details()))
        return entries

    def _entry(
        self, parts: list[Channel], dialect: str | None, only: Connection | None, details: Details
    ) -> KsmbdSession:
        first = parts[0]
        idle = None if only is None or only.last_active is None else max(0, int(self._now() - only.last_active))
        return KsmbdSession(
            client_name=first.client,
            user_name=_user(first),
            num_opens=None if only is None else only.open_files,
            idle_time=idle,
            user_flags=SESS_GUEST if first.user == GUEST else 0,
            session_id=first.session_id,
            state=first.state or None,
            dialect=dialect,
            signing=details.signing,
            encryption=details.encryption,
            channels=[part.client for part in parts],
        )

    async def plan_sessions(self, sessions: Sequence[SessionInfo]) -> Plan:
        """Raises Win32Error 50: ksmbd ends no session."""
        self._refuse(_ENDS_NOTHING, _END_HINT)

    async def end_sessions(
        self,
        plan: Plan,
        *,
        with_others: Consent = False,
        include_mine: bool = False,
        at_once: bool = False,
        done: Done | None = None,
    ) -> list[Outcome]:
        """Raises Win32Error 50: ksmbd ends no session."""
        self._refuse(_ENDS_NOTHING, _END_HINT)

    # --- connections

    async def connections(self, qualifier: str) -> list[ConnectionInfo]:
        """See `Manager.connections`. The tree connects of the sessions, `IPC$` too."""
        if not qualifier.strip("\\/ "):
            raise Win32Error(codes.ERROR_INVALID_PARAMETER, "connections are asked for by a share or by a \\\\client")
        by_client = qualifier.startswith(("\\", "/"))
        async with self._within():
            trees = await in_daemon_thread(self._trees)
            listed = [SessionInfo(client_name=channel.client) for channel, _ in trees]
            clients = await self._clients.meant(qualifier, listed) if by_client else frozenset()
        return [
            ConnectionInfo(
                id=tree.id,
                type={True: STYPE_IPC, False: STYPE_DISKTREE, None: None}[tree.is_pipe],
                num_users=1,
                user_name=_user(channel),
                net_name=tree.share if by_client else channel.client,
            )
            for channel, details in trees
            for tree in details.trees
            if (channel.client in clients if by_client else fold(tree.share) == fold(qualifier))
        ]

    def _trees(self) -> list[tuple[Channel, Details]]:
        """The first channel of each session, and what its file says."""
        first: dict[int, Channel] = {}
        for channel in self._kernel.channels():
            first.setdefault(channel.session_id, channel)
        return [(channel, self._kernel.details(id) or Details()) for id, channel in first.items()]

    # --- open files

    async def files(
        self, *, path: str | None = None, user: str | None = None, client: str | None = None
    ) -> list[FileInfo]:
        """See `Manager.files`. Each is a KsmbdFile, its path the file's name alone. Raises Win32Error 50 where those of
        a user or a client are asked for: ksmbd does not tell whose a file is."""
        check_filters(client=client, user=user, path=path)
        if user is not None or client is not None:
            self._refuse("ksmbd does not tell who opened a file", "list the open files of everybody")
        return select_files(await self._asked(self._files), path=path, user=None)

    def _files(self) -> list[KsmbdFile]:
        return [
            KsmbdFile(id=open.id, permissions=open.access, path=open.name, tree_id=open.tree_id, oplock=open.oplock)
            for open in self._kernel.opens()
        ]

    async def file(self, id: int) -> FileInfo:
        """See `Manager.file`."""
        return only_file(id, [entry for entry in await self.files() if entry.id == id], self.server)

    async def close_file(self, id: int) -> FileInfo:
        """Raises Win32Error 50: ksmbd closes no file."""
        self._refuse(_CLOSES_NOTHING, _END_HINT)

    async def plan_files(self, files: Sequence[FileInfo]) -> Plan:
        """Raises Win32Error 50: ksmbd closes no file."""
        self._refuse(_CLOSES_NOTHING, _END_HINT)

    async def end_files(self, plan: Plan, *, at_once: bool = False, done: Done | None = None) -> list[Outcome]:
        """Raises Win32Error 50: ksmbd closes no file."""
        self._refuse(_CLOSES_NOTHING, _END_HINT)

    # --- shares and the server

    async def shares(self, level: int | None = None) -> list[ShareInfo]:
        """See `Manager.shares`. Those of ksmbd.conf, which anybody may ask for who may read it; how many use them is
        told to root by later kernels."""
        return await self._asked(self._shares)

    def _shares(self) -> list[ShareInfo]:
        shares = list(self._kernel.configured().shares)
        used = {fold(share.name): share.tree_connects for share in self._kernel.used_shares() or ()}
        for share in shares:
            share.current_uses = used.get(fold(share.netname or ""))
        return shares

    async def share(self, name: str) -> ShareInfo:
        """See `Manager.share`."""
        for entry in await self.shares():
            if fold(entry.netname or "") == fold(name):
                return entry
        raise Win32Error(codes.NERR_NetNameNotFound, server=self.server, subject=f"share {name}")

    async def server_info(self, level: int | None = None) -> ServerInfo:
        """See `Manager.server_info`. What the kernel says, to root, and what ksmbd.conf says."""
        return await self._asked(self._server_info)

    def _server_info(self) -> ServerInfo:
        told = self._kernel.server() or {}
        settings = self._kernel.configured().settings
        minutes = settings.get("deadtime", "")
        known = minutes.isascii() and minutes.isdigit()
        return ServerInfo(
            name=told.get("netbios") or settings.get("netbios name"),
            comment=told.get("name") or settings.get("server string"),
            disc=(int(minutes[:9]) or -1) if known else None,
        )

    async def add_share(self, name: str, path: str, *, remark: str = "", max_users: int = 0) -> None:
        """Raises Win32Error 50: shares are configured."""
        self._refuse("ksmbd shares nothing at run time", "`ksmbd.addshare` adds a share to its ksmbd.conf")

    async def set_share(self, name: str, *, remark: str | None = None, max_users: int | None = None) -> None:
        """Raises Win32Error 50: shares are configured."""
        self._refuse("ksmbd changes no share at run time", "`ksmbd.addshare` changes a share in its ksmbd.conf")

    async def delete_share(self, name: str) -> None:
        """Raises Win32Error 50: shares are configured."""
        self._refuse("ksmbd deletes no share at run time", "`ksmbd.addshare` removes a share from its ksmbd.conf")

    async def set_autodisconnect(self, minutes: int) -> None:
        """Raises Win32Error 50: it is configured."""
        self._refuse(
            "the idle time is not changed at run time", "`deadtime` in ksmbd.conf is the idle time, in minutes"
        )

    async def set_comment(self, text: str) -> None:
        """Raises Win32Error 50: it is configured."""
        self._refuse("the comment is not changed at run time", "`server string` in ksmbd.conf is the comment")

    async def set_hidden(self, hidden: bool) -> None:
        """Raises Win32Error 50: ksmbd has no such setting."""
        self._refuse("whether the server is hidden is not changed at run time")

    async def statistics(self) -> Statistics:
        """Raises Win32Error 50: what ksmbd counts is not what MS-SRVS has."""
        self._refuse(
            "ksmbd counts other things than the Server service",
            "as root, `cat /proc/fs/ksmbd/server` shows its counters",
        )

    async def time_of_day(self) -> TimeOfDay:
        """Raises Win32Error 50."""
        self._refuse("ksmbd does not tell the time", "the server's clock is this machine's: `date` tells it")

    async def transports(self) -> list[TransportInfo]:
        """Raises Win32Error 50."""
        self._refuse("ksmbd does not tell what it listens on", "/sys/class/ksmbd-control/stats has its TCP port")


def _user(channel: Channel) -> str:
    """The user; null sessions have none."""
    return "" if channel.user == ANONYMOUS else channel.user
