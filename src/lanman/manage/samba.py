"""The Manager of a Samba: what smbd reports wrongly or not at all, and what it does besides what it was told.

Seen on 4.17.12 unless noted. Samba answers MS-SRVS from a table of processes. Many fields have a constant in them, a
few calls do more than they say, and some say that they failed when they did not. Each method here compensates
for one of these, so that users of a Manager need not know. docs/design.md lists the traps by number.

  - An order to end a session ends the process that serves the TCP connection, with all users on it; the answer means
    little. So all others of that client may go along, every order is verified by looking, and who went is reported.
  - Files are known by their users alone, by ids that can be ambiguous, and at level 3 alone; NetrFileGetInfo faults. So
    the list is read for everything, before and after a close, and closes are looked after in batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from lanman import codes
from lanman.errors import TimedOut, Win32Error
from lanman.manage.calls import Purpose
from lanman.manage.manager import NO_PAUSE_HINT
from lanman.manage.srvsvc import UNKNOWN_TIME, SrvsvcManager
from lanman.names import fold, unc_client
from lanman.records import ConnectionInfo, FileInfo, ServerInfo, ServiceState, SessionInfo

if TYPE_CHECKING:
    from lanman.manage.orders.files import FileOrders

# NetrServerGetInfo answers these with constants, whatever is configured.
_CONSTANT_SERVER_FIELDS: Final = frozenset({"users", "disc", "hidden", "announce", "anndelta", "licenses", "userpath"})

MAP_ADMINISTRATORS: Final = (
    "on the server: net groupmap add sid=S-1-5-32-544 unixgroup=GROUP type=builtin, and make the user a member of GROUP"
)
LIST_HINT: Final = f"Samba lets only its BUILTIN\\Administrators ask this. O{MAP_ADMINISTRATORS[1:]}"
END_HINT: Final = (
    "Samba lets BUILTIN\\Administrators list, but only root and Domain Admins end or close: "
    "name the user in `admin users` of the section [IPC$] of its smb.conf. In [global] that would make the user root "
    "for every file as well"
)
SHARE_HINT: Final = (
    "Samba shares at run time where its smb.conf has `add share command`, `change share command` and "
    "`delete share command`, and the user has SeDiskOperatorPrivilege or is root"
)
SLOW_HINT: Final = (
    "a Samba with very many open files answers sooner with `srvsvc:file enum count locks = false` in its smb.conf"
)

_IGNORED_HINT: Final = "a Samba is configured in its smb.conf"
_CANNOT: Final = MappingProxyType(
    {"set": f"Samba says yes to other settings and ignores them: {_IGNORED_HINT}", "pause": NO_PAUSE_HINT}
)

_HINTS: Final = {
    Purpose.LIST: LIST_HINT,
    Purpose.CLOSE: END_HINT,
    Purpose.ADD_SHARE: SHARE_HINT,
    Purpose.CHANGE_SHARE: SHARE_HINT,
    Purpose.SERVICE: LIST_HINT,
}


class SambaManager(SrvsvcManager):
    """A Manager of an smbd."""

    is_samba = True
    _whole_connections = True
    _ignored_hint = _IGNORED_HINT
    _no_pause_hint = NO_PAUSE_HINT

    @property
    def cannot(self) -> Mapping[str, str]:
        """See `Manager.cannot`. What it shares at run time is a matter of its smb.conf."""
        return _CANNOT

    # --- sessions

    def _correct(self, entries: Sequence[SessionInfo]) -> None:
        """Samba knows no idle times, and a young session's age may underflow."""
        for entry in entries:
            entry.idle_time = None
            if entry.active_time == UNKNOWN_TIME:
                entry.active_time = 0

    # --- connections

    async def _connections(self, qualifier: str) -> list[ConnectionInfo]:
        entries = await super()._connections(qualifier)
        # One constant entry stands for the list.
        if any(entry.user_name == "dummy_user" for entry in entries):
            raise Win32Error(
                codes.ERROR_NOT_SUPPORTED,
                "Samba does not tell its connections",
                hint="on the server itself, `smbstatus --shares` lists them",
                server=self.server,
                subject="the list of connections",
            )
        return entries

    # --- files

    async def _listed_files(self, client: str | None, *, whole: bool) -> tuple[list[FileInfo], list[FileInfo] | None]:
        try:
            return await super()._listed_files(client, whole=whole)
        except TimedOut as error:
            error.hint = SLOW_HINT
            raise

    async def _files_of_client(self, client: str) -> list[FileInfo]:
        """The files of the users of one client: Samba knows files by their users alone.

        That is an answer only while none of those users has a session from elsewhere.
        """
        sessions = (await self._sessions()).entries
        clients = await self._clients.meant(client, sessions)
        here = {entry.user_name or "" for entry in sessions if entry.client_name in clients}
        there = {fold(entry.user_name or "") for entry in sessions if entry.client_name not in clients}
        if ambiguous := [user for user in sorted(here) if fold(user) in there]:
            raise Win32Error(
                codes.ERROR_NOT_SUPPORTED,
                f"cannot tell which of their files {', '.join(ambiguous)} opened from {unc_client(client)}",
                hint="Samba lists files by user only; filter by user, or by path",
                server=self.server,
                subject=f"the open files of {unc_client(client)}",
            )
        # No other session has a user whose name differs in letter case alone.
        folded = set(map(fold, here))
        return [entry for entry in await self._files() if fold(entry.user_name or "") in folded]

    async def _file(self, id: int) -> FileInfo:
        return self._only_file(id, [entry for entry in await self._files() if entry.id == id])

    def _file_orders(self) -> FileOrders:
        from lanman.manage.orders.files import FileOrders

        return FileOrders(self.server, one=None, listed=self.files, give=self._give_close)

    async def _give_close(self, file: FileInfo) -> bool:
        """See SrvsvcManager. Since 4.21 smbd reports that it found no such file although it closed it, and earlier
        versions report success before it is closed: the list decides."""
        await super()._give_close(file)
        return True

    # --- shares and the server

    async def service_state(self) -> ServiceState:
        """See `Manager.service_state`. The services of smbd's \\PIPE\\svcctl are others."""
        raise self._not_a_service("tell the state of its service")

    async def pause(self) -> bool:
        """See `Manager.pause`."""
        raise self._not_a_service("be paused")

    async def continue_(self) -> bool:
        """See `Manager.continue_`."""
        raise self._not_a_service("be paused")

    def _share_status(self, status: int) -> int:
        """Samba 4.17 answers a name that it does not share with ERROR_INVALID_NAME."""
        return codes.NERR_NetNameNotFound if status == codes.ERROR_INVALID_NAME else status

    async def _server_info(self, level: int | None = None) -> ServerInfo:
        info = await super()._server_info(level)
        names = {field.name for field in fields(info)} & _CONSTANT_SERVER_FIELDS
        return replace(info, **dict.fromkeys(names))

    def _denied_hint(self, purpose: Purpose) -> str:
        # A null session is a member of nothing, whatever is mapped.
        return super()._denied_hint(Purpose.LIST) if self._link.credentials.anonymous else _HINTS[purpose]
