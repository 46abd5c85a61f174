r"""The Manager of any SMB server: MS-SRVS calls on `\PIPE\srvsvc`.

Rules:

  - How a question is asked (levels, pages, what a refusal means) is the business of `lanman.manage.calls`, which of
    the listed clients is meant that of `lanman.manage.clients`, and how sessions are ended that of
    `lanman.manage.orders`. Here stands which calls answer which method.
  - Servers differ in which filters they honour, so every filter is applied here. An order names its client exactly as
    the server listed it.
  - A method that is public takes its time (`_within`) and may be called from anywhere; a private one is called within
    that time, and may be overridden by a class for a kind of server.
  - A method loads the calls that it makes, but for those about sessions, and what gives orders: a command makes few of
    them, and declaring all takes longer than asking.
  - Questions are asked again once when the connection turns out to be dead. Orders never are: what became of an order
    whose answer was lost is found out by connecting again and looking.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from lanman import codes
from lanman.errors import AccessDenied, ConnectionLost, LanmanError, Win32Error
from lanman.manage.answers import NO_MATCH, only_file
from lanman.manage.calls import LEVEL_REFUSED, Calls, Purpose
from lanman.manage.clients import Clients
from lanman.manage.granted import GrantedLevels
from lanman.manage.link import Link, SmbLink
from lanman.manage.manager import SESSION_LEVELS, Manager, Sessions, no_such_file
from lanman.manage.own_session import OwnSession
from lanman.manage.selection import (
    canonical_client,
    check_filters,
    is_pattern,
    select_files,
    split_unc,
)
from lanman.names import fold, unc_client
from lanman.net.credentials import Credentials
from lanman.net.dial import Within
from lanman.records import (
    ConnectionInfo,
    FileInfo,
    ServerInfo,
    ServiceState,
    SessionInfo,
    ShareInfo,
    Statistics,
    TimeOfDay,
    TransportInfo,
)
from lanman.rpc.ndr import Call, Response
from lanman.rpc.srvsvc.paths import drive_path
from lanman.rpc.srvsvc.sessions import NetrSessionDel, NetrSessionEnum

if TYPE_CHECKING:
    from lanman.manage.orders.files import FileOrders
    from lanman.manage.orders.listed import Order
    from lanman.manage.orders.plan import Consent, Done, Outcome, Plan
    from lanman.manage.orders.sessions import Given, SessionOrders
    from lanman.manage.service import ServiceControl
    from lanman.net.server_facts import ServerFacts

R = TypeVar("R", bound=Response)
T = TypeVar("T")

SHARE_LEVELS: Final = (2, 1, 0)
SERVER_LEVELS: Final = (102, 101, 100)
TRANSPORT_LEVELS: Final = (0,)

UNKNOWN_TIME: Final = 0xFFFFFFFF

# NET's own message: "You entered an invalid value for the %1 option."
_INVALID_OPTION_VALUE: Final = 3952
_MAX_AUTODISCONNECT: Final = 65535
_NODISC: Final = 0xFFFFFFFF
_NO_LIMIT: Final = 0xFFFFFFFF  # shi2_max_uses
STYPE_DISKTREE: Final = 0

_NOT_IN_A_HINT: Final = frozenset("\\@*?")
_FILE_NOT_FOUND: Final = frozenset({codes.ERROR_FILE_NOT_FOUND, codes.NERR_FileIdNotFound})


class SrvsvcManager(Manager):
    """A Manager over a link, which is made again when it was lost. Opened by `lanman.manage.open.open_manager`.

    What a kind of server answers otherwise than MS-SRVS says is overridden by a class for it, as SambaManager does.
    """

    _whole_connections = False
    """Whether an order to end a session ends all sessions of its TCP connection."""
    _ignored_hint: str | None = None
    """What to do where the server accepts a setting and ignores it."""

    def __init__(
        self,
        link: Link,
        *,
        timeout: float | None,
        deadline: float | None,
        granted: GrantedLevels | None = None,
    ) -> None:
        self._link = link
        self._timeout = timeout
        self._deadline = deadline
        self._clients = Clients()
        self._own_session = OwnSession(link, self._clients)
        self._asks = Calls(link, GrantedLevels() if granted is None else granted, self._denied_hint)
        self.server = link.server

    @property
    def who_answers(self) -> str:
        """See `Manager.who_answers`."""
        if self.answered_by is not None:
            return self.answered_by
        kind = ", a Samba," if self.is_samba else ""
        return f"\\\\{self.server}{kind} over SMB, port {self._link.port}"

    @property
    def server_facts(self) -> ServerFacts | None:
        """See `Manager.server_facts`."""
        return self._link.facts if isinstance(self._link, SmbLink) else None

    @property
    def server_address(self) -> str | None:
        """See `Manager.server_address`."""
        return self._link.address or None if isinstance(self._link, SmbLink) else None

    async def close(self) -> None:
        """Log off and disconnect; never fails and never waits beyond the deadline."""
        with contextlib.suppress(LanmanError):
            async with self._within():
                await self._link.close()

    def _within(self) -> Within:
        """The bound on one method: what is awaited in it ends in time, or raises TimedOut."""
        return self._clients.within(
            self._timeout, lambda: self._link.doing, deadline=self._deadline, server=self.server
        )

    # --- sessions

    async def sessions(
        self, *, client: str | None = None, user: str | None = None, level: int | None = None
    ) -> Sessions:
        """See `Manager.sessions`. NetrSessionEnum, page by page, at the richest level that is granted."""
        check_filters(client=client, user=user)
        async with self._within():
            # The server may apply the filter that stands alone.
            answer = await self._sessions(user=user if client is None else None, level=level)
            entries = await self._clients.selected(answer.entries, client, user)
            return Sessions(self.server, answer.level, entries)

    async def _sessions(self, user: str | None = None, level: int | None = None) -> Sessions:
        """What the server lists, as far as it is true. The user is a hint to the server, not a filter."""
        # Servers take an empty user for every user and DOMAIN\user for none; what they do with a pattern varies.
        plain = user is not None and user.isascii() and user.isprintable() and not _NOT_IN_A_HINT & set(user)
        hint = user if user and plain else None

        async def ask(level: int) -> list[SessionInfo]:
            try:
                return await self._asks.pages(
                    lambda resume: NetrSessionEnum(self._unc, None, hint, level, resume_handle=resume),
                    "the list of sessions",
                )
            except Win32Error as error:
                if hint is not None and error.code in NO_MATCH:
                    return []
                raise

        granted, entries = await self._asks.at_level("sessions", SESSION_LEVELS, level, ask)
        self._correct(entries)
        return Sessions(self.server, granted, entries)

    def _correct(self, entries: Sequence[SessionInfo]) -> None:
        """Set to None what the server reports without knowing it."""
        for entry in entries:
            # 0xFFFFFFFF seconds are 136 years: a server that sends them does not know.
            if entry.idle_time == UNKNOWN_TIME:
                entry.idle_time = None
            if entry.active_time == UNKNOWN_TIME:
                entry.active_time = None

    async def own_names(self, listed: Sequence[SessionInfo]) -> frozenset[str]:
        """See `Manager.own_names`."""
        if not self._link.local_address:
            return frozenset()
        async with self._within():
            return await self._clients.own_names(self._link.local_address, listed)

    async def plan_sessions(self, sessions: Sequence[SessionInfo]) -> Plan:
        """See `Manager.plan_sessions`."""
        return await self._orders().plan(sessions)

    async def end_sessions(
        self,
        plan: Plan,
        *,
        with_others: Consent = False,
        include_mine: bool = False,
        at_once: bool = False,
        done: Done | None = None,
    ) -> list[Outcome]:
        """See `Manager.end_sessions`; the rules are those of `lanman.manage.orders.sessions`."""
        return await self._orders().run(plan, with_others, include_mine=include_mine, at_once=at_once, done=done)

    def _orders(self) -> SessionOrders:
        from lanman.manage.orders.listed import Pairs
        from lanman.manage.orders.sessions import SessionOrders

        listed = self._sessions
        return SessionOrders(
            self._own_session,
            self._whole_connections,
            within=self._within,
            listed=listed,
            glance=listed,
            grouped=partial(Pairs, whole_connections=self._whole_connections),
            give=self._give_order,
            log_off=self._link.close,
        )

    async def _give_order(self, order: Order) -> Given:
        request = NetrSessionDel(self._unc, order.client, order.user or None)
        try:
            answer = await self._link.call(request, again=False)
        except ConnectionLost:
            return None, True
        except AccessDenied as denied:
            return denied, False
        if answer.status:
            return self._asks.refusal(answer.status, f"the end of {order.client}", Purpose.CLOSE), False
        return None, not self._link.alive

    # --- connections

    async def connections(self, qualifier: str) -> list[ConnectionInfo]:
        """See `Manager.connections`. A client is asked for under each name that the server lists it by."""
        async with self._within():
            if not qualifier.strip("\\/ "):
                raise Win32Error(
                    codes.ERROR_INVALID_PARAMETER,
                    "connections are asked for by a share or by a \\\\client",
                    server=self.server,
                    subject="the list of connections",
                )
            if not qualifier.startswith(("\\", "/")):
                return await self._connections(qualifier)
            check_filters(client=qualifier)
            names = await self._listed_names(qualifier)
            return [entry for name in names for entry in await self._connections(name)]

    async def _connections(self, qualifier: str) -> list[ConnectionInfo]:
        from lanman.rpc.srvsvc.connections import NetrConnectionEnum

        async def ask(level: int) -> list[ConnectionInfo]:
            return await self._asks.pages(
                lambda resume: NetrConnectionEnum(self._unc, qualifier, level, resume_handle=resume),
                "the list of connections",
            )

        _, entries = await self._asks.at_level("connections", (1, 0), None, ask)
        return entries

    async def _listed_names(self, client: str) -> list[str]:
        """A client's names as the server lists them, with backslashes; as it was typed where it lists none."""
        listed = (await self._sessions()).entries
        clients = await self._clients.meant(client, listed)
        found = [entry.client_name or "" for entry in listed if entry.client_name in clients]
        names = dict.fromkeys("\\\\" + name.lstrip("\\") for name in found)
        return list(names) or ([] if is_pattern(client) else [unc_client(client)])

    # --- files

    async def files(
        self, *, path: str | None = None, user: str | None = None, client: str | None = None
    ) -> list[FileInfo]:
        r"""See `Manager.files`. NetrFileEnum at level 3; `\\server\share\path` is looked up behind its share."""
        check_filters(client=client, user=user, path=path)
        entries, everything = await self._listed_files(client, whole=path is not None or user is not None)
        if path is not None and path not in {entry.path for entry in everything or ()}:
            path = await self._behind_share(path)
        return select_files(entries, path=path, user=user, among=everything)

    async def _listed_files(self, client: str | None, *, whole: bool) -> tuple[list[FileInfo], list[FileInfo] | None]:
        """The files of a client, and those of everybody where the `whole` list is needed to select from them."""
        async with self._within():
            if client is None:
                entries = await self._files()
                return entries, entries
            return await self._files_of_client(client), await self._files() if whole else None

    async def _behind_share(self, path: str) -> str:
        r"""The server's own path for `\\server\share\path`, as clients write it; any other path as it is.

        Raises Win32Error 53 for another server than this, 2310 for a share that does not exist.
        """
        if (found := split_unc(path)) is None:
            return path
        if not await self._is_called(found.server):
            raise Win32Error(
                codes.ERROR_BAD_NETPATH,
                f"{path}: is a path of \\\\{found.server}, and the one that is asked is \\\\{self.server}",
                hint=f"ask that one with --server {found.server}, or give the path without its server",
                subject=path,
            )
        folder = (await self.share(found.share)).path
        if folder is None or is_pattern(folder):
            raise Win32Error(
                codes.ERROR_NOT_SUPPORTED,
                f"the folder of the share {found.share} cannot be told",
                hint="give the path as `lanman file` lists it",
                server=self.server,
                subject=f"share {found.share}",
            )
        return found.below(folder)

    async def clients_called(self, client: str, names: Sequence[str]) -> frozenset[str]:
        """See `Manager.clients_called`."""
        async with self._within():
            return await self._clients.meant(client, [SessionInfo(name) for name in names])

    async def is_called(self, name: str) -> bool:
        """See `Manager.is_called`."""
        return await self._is_called(name)

    async def _is_called(self, name: str) -> bool:
        """Whether this server goes by a name or address."""
        from lanman.rpc.srvsvc.server import NetrServerGetInfo

        wanted = canonical_client(name)
        if wanted in {canonical_client(known) for known in (self.server, self._link.server)}:
            return True
        async with self._within():
            answer = await self._link.call(NetrServerGetInfo(self._unc, 100))
            own = answer.info.name if answer.info is not None else None
            names = {canonical_client(known) for known in (self.server, self._link.server, own or self.server)}
            if wanted in names:
                return True
            # A longer name may be that of a namesake in another domain: its address tells.
            return await self._clients.is_host(wanted, self._link.server)

    async def _files(self, user_or_client: str | None = None) -> list[FileInfo]:
        from lanman.rpc.srvsvc.files import NetrFileEnum

        # An empty string is a user without a name to Samba: NULL is what means everyone.
        return await self._asks.pages(
            lambda resume: NetrFileEnum(self._unc, None, user_or_client, 3, resume_handle=resume),
            "the list of open files",
        )

    async def _files_of_client(self, client: str) -> list[FileInfo]:
        found: dict[int | None, FileInfo] = {}
        for name in await self._listed_names(client):
            # Since Windows 7 a user name that begins with backslashes is the name of a client.
            found.update((entry.id, entry) for entry in await self._files(name))
        return list(found.values())

    async def file(self, id: int) -> FileInfo:
        """See `Manager.file`. NetrFileGetInfo at level 3, or the list where the server lacks the call."""
        async with self._within():
            return await self._file(id)

    async def _file(self, id: int) -> FileInfo:
        from lanman.rpc.srvsvc.files import NetrFileGetInfo

        try:
            answer = await self._link.call(NetrFileGetInfo(self._unc, id, 3))
        except Win32Error as error:
            if error.code not in LEVEL_REFUSED or error.code == codes.ERROR_ACCESS_DENIED:
                raise
        else:
            if answer.status in _FILE_NOT_FOUND:
                raise no_such_file(id)
            if answer.status not in LEVEL_REFUSED or answer.status == codes.ERROR_ACCESS_DENIED:
                self._asks.check(answer.status, f"open file {id}")
                return self._asks.present(answer.info, f"open file {id}")
        return self._only_file(id, [entry for entry in await self._files() if entry.id == id])

    def _only_file(self, id: int, found: Sequence[FileInfo]) -> FileInfo:
        return only_file(id, found, self.server)

    async def close_file(self, id: int) -> FileInfo:
        """See `Manager.close_file`. Where the answer leaves a doubt, the list is read to see."""
        (closed,) = await self.close_files([FileInfo(id)])
        if closed.error is not None:
            raise closed.error
        return closed.file

    def _file_orders(self) -> FileOrders:
        from lanman.manage.orders.files import FileOrders

        return FileOrders(self.server, one=self.file, listed=self.files, give=self._give_close)

    async def _give_close(self, file: FileInfo) -> bool:
        """Tell the server to close a file; whether the list has to be read to see the result. Raises LanmanError.

        That no such file was found may mean that it has been closed meanwhile.
        """
        from lanman.rpc.srvsvc.files import NetrFileClose

        id = file.id or 0
        async with self._within():
            try:
                status = (await self._link.call(NetrFileClose(self._unc, id), again=False)).status
            except ConnectionLost:
                # It may have been the pipe that the order came through.
                return True
            if status in _FILE_NOT_FOUND:
                return True
            self._asks.check(status, f"the closing of file {id}", Purpose.CLOSE)
            return False

    # --- shares

    async def shares(self, level: int | None = None) -> list[ShareInfo]:
        """See `Manager.shares`. NetrShareEnum, page by page."""
        from lanman.rpc.srvsvc.shares import NetrShareEnum

        async with self._within():

            async def ask(level: int) -> list[ShareInfo]:
                return await self._asks.pages(
                    lambda resume: NetrShareEnum(self._unc, level, resume_handle=resume), "the list of shares"
                )

            _, entries = await self._asks.at_level("shares", SHARE_LEVELS, level, ask)
            return entries

    async def share(self, name: str) -> ShareInfo:
        """See `Manager.share`. NetrShareGetInfo."""
        from lanman.rpc.srvsvc.shares import NetrShareGetInfo

        _require_share(name)
        async with self._within():

            async def ask(level: int) -> ShareInfo:
                answer = await self._link.call(NetrShareGetInfo(self._unc, name, level))
                self._asks.check(self._share_status(answer.status), f"share {name}")
                return self._asks.present(answer.info, f"share {name}")

            _, entry = await self._asks.at_level("share", SHARE_LEVELS, None, ask)
            return entry

    async def add_share(self, name: str, path: str, *, remark: str = "", max_users: int = 0) -> None:
        """See `Manager.add_share`. NetrShareAdd at level 2; a path without a drive travels behind `C:`."""
        from lanman.rpc.srvsvc.shares import NetrShareAdd

        async with self._within():
            info = ShareInfo(
                netname=name,
                type=STYPE_DISKTREE,
                remark=remark,
                permissions=0,
                max_uses=max_users or _NO_LIMIT,
                current_uses=0,
                path=drive_path(path),
            )
            answer = await self._link.call(NetrShareAdd(self._unc, 2, info), again=False)
            self._asks.check(self._share_status(answer.status), f"the sharing of {path}", Purpose.ADD_SHARE)

    async def set_share(self, name: str, *, remark: str | None = None, max_users: int | None = None) -> None:
        """See `Manager.set_share`. NetrShareSetInfo at level 1004 (remark) and 1006 (number of users)."""
        _require_share(name)
        async with self._within():
            if remark is not None:
                await self._set_share(name, 1004, ShareInfo(remark=remark))
            if max_users is not None:
                await self._set_share(name, 1006, ShareInfo(max_uses=max_users or _NO_LIMIT))

    async def _set_share(self, name: str, level: int, info: ShareInfo) -> None:
        from lanman.rpc.srvsvc.shares import NetrShareSetInfo

        answer = await self._link.call(NetrShareSetInfo(self._unc, name, level, info), again=False)
        self._asks.check(self._share_status(answer.status), f"share {name}", Purpose.CHANGE_SHARE)

    async def delete_share(self, name: str) -> None:
        """See `Manager.delete_share`. NetrShareDel."""
        from lanman.rpc.srvsvc.shares import NetrShareDel

        _require_share(name)
        async with self._within():
            answer = await self._link.call(NetrShareDel(self._unc, name), again=False)
            self._asks.check(self._share_status(answer.status), f"share {name}", Purpose.CHANGE_SHARE)

    def _share_status(self, status: int) -> int:
        """What a status of a call about a share means."""
        return status

    # --- the server

    async def server_info(self, level: int | None = None) -> ServerInfo:
        """See `Manager.server_info`. NetrServerGetInfo."""
        async with self._within():
            return await self._server_info(level)

    async def _server_info(self, level: int | None = None) -> ServerInfo:
        from lanman.rpc.srvsvc.server import NetrServerGetInfo

        async def ask(level: int) -> ServerInfo:
            answer = await self._link.call(NetrServerGetInfo(self._unc, level))
            self._asks.check(answer.status, "its configuration")
            return self._asks.present(answer.info, "its configuration")

        _, info = await self._asks.at_level("server", SERVER_LEVELS, level, ask)
        return info

    async def set_autodisconnect(self, minutes: int) -> None:
        """See `Manager.set_autodisconnect`. The setting is read back."""
        if not -1 <= minutes <= _MAX_AUTODISCONNECT:
            raise Win32Error(
                _INVALID_OPTION_VALUE,
                f"{minutes} is no value for the idle time: -1 (never) to {_MAX_AUTODISCONNECT} minutes",
            )
        await self._set(1010, "disc", minutes, "the idle time")

    async def set_comment(self, text: str) -> None:
        """See `Manager.set_comment`. The setting is read back."""
        await self._set(1005, "comment", text, "the comment")

    async def set_hidden(self, hidden: bool) -> None:
        """See `Manager.set_hidden`. The setting is read back."""
        await self._set(1016, "hidden", int(hidden), "whether the server is hidden")

    async def _set(self, level: int, name: str, value: Any, what: str) -> None:
        """Set one value, and read it back: Samba reports success and changes nothing."""
        from lanman.rpc.srvsvc.server import NetrServerSetInfo

        async with self._within():
            info = ServerInfo(**{name: value})
            answer = await self._link.call(NetrServerSetInfo(self._unc, level, info), again=False)
            self._asks.check(answer.status, f"the setting of {what}")
            now = getattr(await self._server_info(), name)
            if now is None or (_signed(now) != value if isinstance(value, int) else now != value):
                kept = "" if now is None else f"; it is still {now!r}"
                raise Win32Error(
                    codes.ERROR_NOT_SUPPORTED,
                    f"accepted the setting of {what} and ignored it{kept}",
                    hint=self._ignored_hint,
                    server=self.server,
                    subject=f"the setting of {what}",
                )

    async def statistics(self) -> Statistics:
        """See `Manager.statistics`. Raises Win32Error 50 where the server lacks NetrServerStatisticsGet."""
        from lanman.rpc.srvsvc.server import NetrServerStatisticsGet

        async with self._within():
            answer = await self._asks.optional(NetrServerStatisticsGet(self._unc), "statistics")
            self._asks.check(answer.status, "its statistics")
            return self._asks.present(answer.info, "its statistics")

    async def time_of_day(self) -> TimeOfDay:
        """See `Manager.time_of_day`. Raises Win32Error 50 where the server lacks NetrRemoteTOD."""
        from lanman.rpc.srvsvc.server import NetrRemoteTOD

        async with self._within():
            answer = await self._asks.optional(NetrRemoteTOD(self._unc), "clock")
            self._asks.check(answer.status, "its clock")
            return self._asks.present(answer.info, "its clock")

    async def transports(self) -> list[TransportInfo]:
        """See `Manager.transports`. Raises Win32Error 50 where the server lacks NetrServerTransportEnum."""
        from lanman.rpc.srvsvc.transports import NetrServerTransportEnum

        async with self._within():
            try:
                return await self._asks.pages(
                    lambda resume: NetrServerTransportEnum(self._unc, 0, resume_handle=resume),
                    "the list of transports",
                )
            except Win32Error as error:
                raise self._asks.missing(error, "list of transports") from error

    # --- the service

    @property
    def _service(self) -> ServiceControl:
        # It brings MS-SCMR, which hardly any command needs.
        from lanman.manage.service import ServiceControl

        return ServiceControl(self._asks)

    async def service_state(self) -> ServiceState:
        """See `Manager.service_state`. RQueryServiceStatus."""
        async with self._within():
            return await self._service.state()

    async def pause(self) -> bool:
        """See `Manager.pause`. RControlService, and RQueryServiceStatus until it is paused."""
        async with self._within():
            return await self._service.pause()

    async def continue_(self) -> bool:
        """See `Manager.continue_`. RControlService, and RQueryServiceStatus until it runs."""
        async with self._within():
            return await self._service.continue_()

    # --- the protocol itself

    async def call(self, request: Call[R], *, again: bool = True) -> R:
        """See `Manager.call`."""
        async with self._within():
            return await self._link.call(request, again=again)

    # --- how questions are asked

    @property
    def _unc(self) -> str:
        return self._asks.unc

    def _denied_hint(self, purpose: Purpose) -> str:
        """What to do about a denial; the likeliest causes first."""
        credentials = self._link.credentials
        if purpose is Purpose.SERVICE and not credentials.anonymous:
            who = credentials.logon_name or "the user"
            return (
                f"{who} must be one of the Administrators there; a local account of a Windows, by remote UAC, is none"
            )
        if purpose is Purpose.ADD_SHARE:
            # What may be in the way of sharing a folder, beside the right to share any.
            who = credentials.logon_name or "the user"
            return (
                f"{who} must be one of the Administrators or Power Users there, and a Server of lanman shares over the "
                "network only what lies in a folder of share_roots in its server.toml"
            )
        return _denied_hint(credentials, self.server)


# --- small words


def _require_share(name: str) -> None:
    if not name:
        raise Win32Error(codes.ERROR_INVALID_PARAMETER, "the name of the share is empty", hint="name one share")


def _signed(value: int | str) -> int | str:
    return value - (1 << 32) if isinstance(value, int) and value == _NODISC else value


def _denied_hint(credentials: Credentials, server: str) -> str:
    """The likely causes, the likeliest first, of a denial by a server that is no Samba."""
    if credentials.anonymous:
        return "a null session may not ask this; log on with -U"
    who = credentials.logon_name or "the user"
    member = f"{who} must be one of the Administrators or Server Operators there"
    if not credentials.domain or fold(credentials.domain) in (".", fold(server).partition(".")[0]):
        return (
            f"{member}; where it is, but as a local account of a Windows, remote UAC takes the right away "
            "until LocalAccountTokenFilterPolicy is 1; since Windows 10 1607 the descriptor SrvsvcSessionInfo "
            "keeps everyone else from every level"
        )
    return f"{member}; since Windows 10 1607 the descriptor SrvsvcSessionInfo keeps everyone else from every level"
