"""The Manager of any SMB server: MS-SRVS calls on `\\PIPE\\srvsvc`.

Rules first:

  - The richest information level that the server grants is used. A level is refused by ERROR_INVALID_LEVEL, by
    ERROR_ACCESS_DENIED or by an RPC fault; access is denied only when the poorest level is denied too. What a server
    granted is remembered while the process lives, for this user.
  - A list continues while the status says so (ERROR_MORE_DATA), never because a resume handle is left over: Windows
    leaves one behind on success. A handle that comes back twice ends the asking.
  - Servers differ in which filters they honour, so every filter is applied here. An order names its client exactly as
    the server listed it.
  - Nothing ends that was not meant: who would go with a session is found out before its order, and without consent to
    all of them the order is not given (`lanman.manage.ending`).
  - Questions are asked again once when the connection turns out to be dead. Orders never are: what became of an order
    whose answer was lost is found out by connecting again and looking.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

from lanman import codes
from lanman.errors import AccessDenied, ConnectionLost, LanmanError, RemoteProtocolError, Win32Error
from lanman.manage import samba
from lanman.manage.ending import Consent, Listed, Order, Outcomes, Plan, agreed, described, left_alone, plan
from lanman.manage.link import Link
from lanman.manage.manager import (
    SESSION_LEVELS,
    CloseResult,
    FileCloseResult,
    Manager,
    Sessions,
    check_same_file,
    no_such_file,
    no_such_session,
)
from lanman.manage.selection import (
    alike_clients,
    canonical_client,
    check_filters,
    chosen_users,
    equal_clients,
    is_address,
    is_pattern,
    same_user,
    select_files,
    split_unc,
    unc_client,
)
from lanman.names import fold
from lanman.net.credentials import Credentials
from lanman.net.dial import Within
from lanman.net.identity import identity_of, own_name
from lanman.net.resolve import addresses_of, names_of
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
from lanman.rpc.ndr import MAX_ENTRIES, Call, EntryList, Response
from lanman.rpc.srvsvc.connections import NetrConnectionEnum
from lanman.rpc.srvsvc.files import NetrFileClose, NetrFileEnum, NetrFileGetInfo
from lanman.rpc.srvsvc.paths import drive_path
from lanman.rpc.srvsvc.server import NetrRemoteTOD, NetrServerGetInfo, NetrServerSetInfo, NetrServerStatisticsGet
from lanman.rpc.srvsvc.sessions import NetrSessionDel, NetrSessionEnum
from lanman.rpc.srvsvc.shares import NetrShareAdd, NetrShareDel, NetrShareEnum, NetrShareGetInfo, NetrShareSetInfo
from lanman.rpc.srvsvc.transports import NetrServerTransportEnum

R = TypeVar("R", bound=Response)
T = TypeVar("T")

# An answer that only says that this level, or this call, is not to be had.
_LEVEL_REFUSED: Final = frozenset(
    {
        codes.ERROR_ACCESS_DENIED,
        codes.ERROR_NOT_SUPPORTED,
        codes.ERROR_INVALID_LEVEL,
        codes.RPC_S_INVALID_TAG,
        codes.RPC_S_PROCNUM_OUT_OF_RANGE,
        codes.RPC_X_BAD_STUB_DATA,
    }
)
# An RPC fault that says that the server lacks the call.
_CALL_MISSING: Final = frozenset({codes.RPC_S_PROCNUM_OUT_OF_RANGE, codes.ERROR_NOT_SUPPORTED})
_NO_MATCH: Final = frozenset({codes.NERR_ClientNameNotFound, codes.NERR_UserNotFound})

SHARE_LEVELS: Final = (2, 1, 0)
SERVER_LEVELS: Final = (102, 101, 100)
TRANSPORT_LEVELS: Final = (0,)

# What a whole list may take on the wire, in bytes; in entries it may have what one answer may (MAX_ENTRIES).
MAX_LISTING: Final = 64 << 20

# NET's own message: "You entered an invalid value for the %1 option."
_INVALID_OPTION_VALUE: Final = 3952
_MAX_AUTODISCONNECT: Final = 65535
_NODISC: Final = 0xFFFFFFFF
_NO_LIMIT: Final = 0xFFFFFFFF  # shi2_max_uses
STYPE_DISKTREE: Final = 0

_NOT_IN_A_HINT: Final = frozenset("\\@*?")

# While smbd's processes end what they were told to end: how long to wait before looking again, in seconds.
_PATIENCE: Final = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)

# To look takes time for each that is listed. So that many orders take time linear in their number, what became of them
# is looked up this many times at most, and after this many orders at least.
_MAX_LOOKS: Final = 16
_MIN_BATCH: Final = 8

# A server that lists clients by name is asked about this many of its names at a time, and this many in all.
_LOOK_UPS: Final = 16
_MAX_LOOK_UPS: Final = 256
# How far a server's idea of a session's age may be beyond ours, in seconds.
_AGES_DIFFER: Final = 5

# Whether a name is our own is not worth waiting longer for, in seconds.
_OWN_NAME_PATIENCE: Final = 2.0

_granted: dict[tuple[str, int, bytes, str], int] = {}
"""The level that a server granted last: by server, port, identity and kind of question."""


class SrvsvcManager(Manager):
    """A Manager over a link, which is made again when it was lost. See `open_remote`."""

    def __init__(self, link: Link, *, timeout: float | None, deadline: float | None) -> None:
        self._link = link
        self._timeout = timeout
        self._deadline = deadline
        self._looking_up: str | None = None
        self._own_name: tuple[str, str] | None = None
        self._granted: dict[tuple[str, int, bytes, str], int] = {}
        self.server = link.server

    async def close(self) -> None:
        with contextlib.suppress(LanmanError):
            async with self._within():
                await self._link.close()

    def _within(self) -> Within:
        self._looking_up = None
        return Within(
            self._timeout, lambda: self._looking_up or self._link.doing, deadline=self._deadline, server=self.server
        )

    # --- clients

    async def _clients(self, client: str, listed: Iterable[SessionInfo]) -> frozenset[str]:
        """The client names among the listed sessions that a typed client means, as they are listed."""
        names = frozenset(entry.client_name for entry in listed if entry.client_name)
        found = equal_clients(names, client)
        if found or not names or is_pattern(client):
            return found or alike_clients(names, client)
        if is_address(client):
            return alike_clients(names, client) or await self._clients_at(canonical_client(client), names)
        self._looking_up = f"the name of the client {client} was not resolved here"
        addresses = frozenset(map(canonical_client, await addresses_of(canonical_client(client))))
        found = alike_clients(names, client, addresses)
        if not found and not all(map(is_address, names)):
            # A server that lists names may list another one of the same computer.
            for address in sorted(addresses):
                found |= alike_clients(names, client, await self._names_of(address))
        self._looking_up = None
        return found

    async def _clients_at(self, address: str, names: frozenset[str]) -> frozenset[str]:
        """Which listed names are those of an address: names that it has, else names that resolve to it."""
        by_name = frozenset(name for name in names if not is_address(name))
        if not by_name:
            return frozenset()
        self._looking_up = "the clients that it lists by name were not resolved here"
        found = alike_clients(by_name, address, await self._names_of(address))
        left = [] if found else sorted(by_name)[:_MAX_LOOK_UPS]
        while left:
            batch, left = left[:_LOOK_UPS], left[_LOOK_UPS:]
            resolved = await asyncio.gather(*(addresses_of(canonical_client(name)) for name in batch))
            found |= {name for name, known in zip(batch, resolved, strict=True) if _is_among(address, known)}
        self._looking_up = None
        return found

    async def _names_of(self, address: str) -> frozenset[str]:
        """The canonical names of an address. Who owns an address names it as he likes: each name must lead back."""
        names = await names_of(address)
        return frozenset([canonical_client(name) for name in names if _is_among(address, await addresses_of(name))])

    async def _own_names(self, listed: Iterable[SessionInfo]) -> frozenset[str]:
        """The canonical names under which the server may list this machine."""
        own = canonical_client(self._link.local_address)
        clients = frozenset(canonical_client(entry.client_name or "") for entry in listed) - {""}
        if not own or own in clients or all(map(is_address, clients)):
            return frozenset({own})
        try:
            async with asyncio.timeout(_OWN_NAME_PATIENCE):
                return frozenset({own}) | await self._names_of(own)
        except TimeoutError:
            return frozenset({own})

    # --- sessions

    async def sessions(
        self, *, client: str | None = None, user: str | None = None, level: int | None = None
    ) -> Sessions:
        check_filters(client=client, user=user)
        async with self._within():
            # Each filter looks at all that is listed: the server may apply the one that stands alone.
            answer = await self._sessions(user=user if client is None else None, level=level)
            entries = answer.entries
            users = None if user is None else chosen_users((entry.user_name for entry in entries), user)
            clients = None if client is None else await self._clients(client, entries)
            answer.entries = [
                entry
                for entry in entries
                if (clients is None or entry.client_name in clients) and (users is None or entry.user_name in users)
            ]
            return Sessions(self.server, answer.level, answer.entries)

    async def _sessions(self, user: str | None = None, level: int | None = None) -> Sessions:
        """What the server lists, as far as it is true. The user is a hint to the server, not a filter."""
        # An empty user would mean every user to the server, DOMAIN\user nobody, and a pattern whatever it likes.
        plain = user is not None and user.isascii() and user.isprintable() and not _NOT_IN_A_HINT & set(user)
        hint = user if user and plain else None

        async def ask(level: int) -> list[SessionInfo]:
            try:
                return await self._pages(
                    lambda resume: NetrSessionEnum(self._unc, None, hint, level, resume_handle=resume),
                    "the list of sessions",
                )
            except Win32Error as error:
                if hint is not None and error.code in _NO_MATCH:
                    return []
                raise

        granted, entries = await self._ladder("sessions", SESSION_LEVELS, level, ask)
        if self._link.is_samba:
            samba.correct_sessions(entries)
        for entry in entries:
            # No session has been idle for 136 years: it is how a server says that it does not know.
            entry.idle_time = None if entry.idle_time == samba.UNKNOWN_TIME else entry.idle_time
            entry.active_time = None if entry.active_time == samba.UNKNOWN_TIME else entry.active_time
        return Sessions(self.server, granted, entries)

    async def _plan(self, sessions: Sequence[SessionInfo]) -> Plan:
        """The orders that end some sessions as things stand now."""
        async with self._within():
            listed = (await self._sessions()).entries
            own = await self._own_names(listed)
        is_samba = self._link.is_samba
        return plan(sessions, listed, whole_connections=is_samba, is_own=lambda entry: self._is_own(entry, own))

    async def bystanders(self, sessions: Sequence[SessionInfo]) -> list[list[SessionInfo]]:
        if not sessions:
            return []
        others: list[list[SessionInfo]] = [[] for _ in sessions]
        for order in (await self._plan(sessions)).orders:
            for place in order.places:
                others[place] = _together(others[place], order.others)
        return others

    async def close_sessions(
        self,
        sessions: Sequence[SessionInfo],
        *,
        with_others: Consent = False,
        done: Callable[[CloseResult], None] | None = None,
    ) -> list[CloseResult]:
        if not sessions:
            return []
        planned = await self._plan(sessions)
        told = Outcomes(sessions, planned, done)
        may_go = agreed(with_others)
        # The orders for one client of a Samba have one list of others: to read it for each order would take a square.
        all_may_go: dict[int, bool] = {}
        given: list[Order] = []
        for order in planned.orders:
            if id(order.others) not in all_may_go:
                all_may_go[id(order.others)] = all(map(may_go, order.others))
            if all_may_go[id(order.others)]:
                given.append(order)
            else:
                told.tell(
                    order, CloseResult(order.meant[0], left_alone(order, self._link.is_samba), None, order.others)
                )
        for batch in self._batches(given):
            await self._end(batch, told)
        if self._link.is_samba:
            await self._note_bystanders(told)
        return told.outcomes()

    def _batches(self, orders: Sequence[Order]) -> Iterator[list[Order]]:
        """Orders that are looked after together. One that may take this connection along stands alone, at the end."""
        others = [order for order in orders if not self._is_our_user(order.user)]
        size = max(_MIN_BATCH, -(-len(others) // _MAX_LOOKS))
        for start in range(0, len(others), size):
            yield others[start : start + size]
        for order in orders:
            if self._is_our_user(order.user):
                yield [order]

    async def _end(self, orders: Sequence[Order], told: Outcomes) -> None:
        """Give some orders, and tell what became of each."""
        doubtful: dict[Order, tuple[LanmanError | None, bool]] = {}
        for order in orders:
            if order.own and len(order.meant) == 1:
                async with self._within():
                    await self._link.close()
                told.tell(
                    order,
                    CloseResult(order.meant[0], note="it was the session of this program itself, which has logged off"),
                )
                continue
            async with self._within():
                error, lost = await self._order(order)
            if self._link.is_samba or lost:
                doubtful[order] = error, lost
            elif error is not None and error.code in _NO_MATCH:
                gone = told.has_ended_alike(order)
                told.tell(
                    order, CloseResult(order.meant[0], None if gone else no_such_session(order.client, order.user))
                )
            elif error is None and order.others:
                note = f"the server ended the sessions of {order.others_named} with it"
                told.tell(order, CloseResult(order.meant[0], None, note, order.others))
            else:
                told.tell(order, CloseResult(order.meant[0], error))
        if doubtful:
            await self._verify_ends(doubtful, told)

    async def _order(self, order: Order) -> tuple[LanmanError | None, bool]:
        """Give an order: the error, and whether its answer or its connection was lost."""
        request = NetrSessionDel(self._unc, order.client, order.user or None)
        try:
            answer = await self._link.call(request, again=False)
        except ConnectionLost:
            return None, True
        except AccessDenied as denied:
            return denied, False
        if answer.status:
            return self._refusal(answer.status, f"the end of {order.client}", samba.END_HINT), False
        return None, not self._link.alive

    async def _verify_ends(self, doubtful: dict[Order, tuple[LanmanError | None, bool]], told: Outcomes) -> None:
        """Look whether sessions are gone, where the answers were lost or are known to mean little."""
        for pause in _PATIENCE:
            await asyncio.sleep(pause)
            async with self._within():
                listed = Listed((await self._sessions()).entries)
            for order, (error, lost) in list(doubtful.items()):
                # The connection that looks is itself a session of its user. Where none was known for ours, one whose
                # order took along the connection that it came by was ours, under whatever name.
                own = order.own or (lost and not told.own_is_known and self._is_our_user(order.user))
                if listed.count(order) <= int(own):
                    told.tell(order, CloseResult(order.meant[0]))
                elif error is not None:
                    told.tell(order, CloseResult(order.meant[0], error))
                else:
                    continue
                del doubtful[order]
            if not doubtful:
                return
        for order in doubtful:
            message = f"{order.client}: the server was told to end the session and still lists it"
            told.tell(order, CloseResult(order.meant[0], Win32Error(codes.NERR_InternalError, message)))

    async def _note_bystanders(self, told: Outcomes) -> None:
        """Say which sessions Samba ended besides: it ends the process that serves the whole TCP connection."""
        ended = [order for order, outcome in told.outcome_of.items() if outcome.error is None and order.others]
        if not ended:
            return
        async with self._within():
            still_there = Listed((await self._sessions()).entries)
        gone: dict[str, tuple[list[SessionInfo], str]] = {}
        for order in ended:
            client = canonical_client(order.client)
            if client not in gone:
                went = [entry for entry in order.others if not still_there.meant_by(entry)]
                gone[client] = went, described(went)
            outcome = told.outcome_of[order]
            went, named = gone[client]
            if went:
                outcome.others = went
                outcome.note = f"Samba ended the whole connection: the sessions of {named} went with it"

    def _is_own(self, session: SessionInfo, own_names: frozenset[str]) -> bool:
        """Whether a listed session may be the one that asks."""
        if canonical_client(session.client_name or "") not in own_names:
            return False
        # Networks behind translators have the same addresses. What was there before us is somebody else's.
        if session.active_time is not None and session.active_time > self._link.age + _AGES_DIFFER:
            return False
        return self._is_our_user(session.user_name)

    def _is_our_user(self, user: str | None) -> bool:
        if user is None:
            return True
        if self._own_name is None:
            self._own_name = own_name(self._link.credentials)
        own, domain = self._own_name
        if not own:
            return user == "" and self._link.credentials.anonymous
        if same_user(user, own):
            return True
        # A member of a domain may list it. Its short name is the first part of the long one, as a rule.
        listed_domain, backslash, name = user.rpartition("\\")
        ours = not domain or fold(domain.partition(".")[0]) == fold(listed_domain)
        return bool(backslash) and fold(name) == fold(own) and ours

    # --- connections

    async def connections(self, qualifier: str) -> list[ConnectionInfo]:
        async with self._within():
            if not qualifier.strip("\\/ "):
                raise Win32Error(
                    codes.ERROR_INVALID_PARAMETER,
                    "connections are asked for by a share or by a \\\\client",
                    server=self.server,
                )
            if not qualifier.startswith(("\\", "/")):
                return await self._connections(qualifier)
            check_filters(client=qualifier)
            names = await self._listed_names(qualifier)
            return [entry for name in names for entry in await self._connections(name)]

    async def _connections(self, qualifier: str) -> list[ConnectionInfo]:
        async def ask(level: int) -> list[ConnectionInfo]:
            return await self._pages(
                lambda resume: NetrConnectionEnum(self._unc, qualifier, level, resume_handle=resume),
                "the list of connections",
            )

        _, entries = await self._ladder("connections", (1, 0), None, ask)
        facts = [entry for entry in entries if not samba.is_invented(entry)]
        if self._link.is_samba and len(facts) < len(entries):
            raise Win32Error(
                codes.ERROR_NOT_SUPPORTED,
                "Samba does not tell its connections",
                hint="on the server itself, `smbstatus --shares` lists them",
                server=self.server,
            )
        return facts

    async def _listed_names(self, client: str) -> list[str]:
        """A client's names as the server lists them, with backslashes; as it was typed where it lists none."""
        listed = (await self._sessions()).entries
        clients = await self._clients(client, listed)
        found = [entry.client_name or "" for entry in listed if entry.client_name in clients]
        names = dict.fromkeys("\\\\" + name.lstrip("\\") for name in found)
        return list(names) or ([] if is_pattern(client) else [unc_client(client)])

    # --- files

    async def files(
        self, *, path: str | None = None, user: str | None = None, client: str | None = None
    ) -> list[FileInfo]:
        check_filters(client=client, user=user, path=path)
        everything: list[FileInfo] | None = None
        try:
            async with self._within():
                if client is None:
                    entries = everything = await self._files()
                else:
                    entries = await self._files_of_client(client)
                    if path is not None or user is not None:
                        everything = await self._files()
        except ConnectionLost as error:
            if self._link.is_samba and error.code == codes.ERROR_SEM_TIMEOUT:
                error.hint = samba.SLOW_HINT
            raise
        if path is not None and path not in {entry.path for entry in everything or ()}:
            path = await self._behind_share(path)
        return select_files(entries, path=path, user=user, among=everything)

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
            )
        folder = (await self.share(found.share)).path
        if folder is None or is_pattern(folder):
            raise Win32Error(
                codes.ERROR_NOT_SUPPORTED,
                f"the folder of the share {found.share} cannot be told",
                hint="give the path as `lanman file` lists it",
                server=self.server,
            )
        return found.below(folder)

    async def _is_called(self, name: str) -> bool:
        """Whether this server goes by a name or address."""
        wanted = canonical_client(name)
        async with self._within():
            answer = await self._link.call(NetrServerGetInfo(self._unc, 100))
            own = answer.info.name if answer.info is not None else None
            names = {canonical_client(known) for known in (self.server, self._link.server, own or self.server)}
            if wanted in names:
                return True
            # A longer name may be that of a namesake in another domain: its address tells.
            theirs = {wanted} if is_address(wanted) else await addresses_of(wanted)
            asked = canonical_client(self._link.server)
            return bool(theirs & ({asked} if is_address(asked) else await addresses_of(asked)))

    async def _files(self, user_or_client: str | None = None) -> list[FileInfo]:
        # An empty string is a user without a name to Samba: NULL is what means everyone.
        return await self._pages(
            lambda resume: NetrFileEnum(self._unc, None, user_or_client, 3, resume_handle=resume),
            "the list of open files",
        )

    async def _files_of_client(self, client: str) -> list[FileInfo]:
        if self._link.is_samba:
            return await self._files_of_client_by_user(client)
        found: dict[int | None, FileInfo] = {}
        for name in await self._listed_names(client):
            # Since Windows 7 a user name that begins with backslashes is the name of a client.
            found.update((entry.id, entry) for entry in await self._files(name))
        return list(found.values())

    async def _files_of_client_by_user(self, client: str) -> list[FileInfo]:
        """The files of the users of one client, where a server knows files by their users alone.

        That is an answer only while none of those users has a session from elsewhere.
        """
        sessions = (await self._sessions()).entries
        clients = await self._clients(client, sessions)
        here = {entry.user_name or "" for entry in sessions if entry.client_name in clients}
        there = {fold(entry.user_name or "") for entry in sessions if entry.client_name not in clients}
        if ambiguous := [user for user in sorted(here) if fold(user) in there]:
            raise Win32Error(
                codes.ERROR_NOT_SUPPORTED,
                f"cannot tell which of their files {', '.join(ambiguous)} opened from {unc_client(client)}",
                hint="Samba lists files by user only; filter by user, or by path",
                server=self.server,
            )
        # No other session has a user whose name differs in letter case alone.
        folded = set(map(fold, here))
        return [entry for entry in await self._files() if fold(entry.user_name or "") in folded]

    async def file(self, id: int) -> FileInfo:
        async with self._within():
            return await self._file(id)

    async def _file(self, id: int) -> FileInfo:
        if not self._link.is_samba:
            try:
                answer = await self._link.call(NetrFileGetInfo(self._unc, id, 3))
            except Win32Error as error:
                if error.code not in _LEVEL_REFUSED or error.code == codes.ERROR_ACCESS_DENIED:
                    raise
            else:
                if answer.status in (codes.ERROR_FILE_NOT_FOUND, codes.NERR_FileIdNotFound):
                    raise no_such_file(id)
                if answer.status not in _LEVEL_REFUSED or answer.status == codes.ERROR_ACCESS_DENIED:
                    self._check(answer.status, f"open file {id}")
                    return self._present(answer.info, f"open file {id}")
        return self._only_file(id, [entry for entry in await self._files() if entry.id == id])

    def _only_file(self, id: int, found: Sequence[FileInfo]) -> FileInfo:
        if not found:
            raise no_such_file(id)
        if len(found) > 1:
            # smbd's ids are a process id and a handle squeezed into 32 bits.
            paths = ", ".join(sorted({entry.path or "?" for entry in found}))
            raise Win32Error(
                codes.ERROR_DUP_NAME,
                f"{id}: \\\\{self.server} gave this number to {len(found)} open files: {paths}",
                hint="closing it would close all of them; end a session instead",
            )
        return found[0]

    async def close_file(self, id: int) -> FileInfo:
        async with self._within():
            target = await self._file(id)
            if await self._order_close(id):
                error = (await self._verify_closes([target]))[0]
                if error is not None:
                    raise error
            return target

    async def close_files(
        self, files: Sequence[FileInfo], *, done: Callable[[FileCloseResult], None] | None = None
    ) -> list[FileCloseResult]:
        if not self._link.is_samba:
            return await super().close_files(files, done=done)
        outcomes: list[FileCloseResult] = []
        size = max(_MIN_BATCH, -(-len(files) // _MAX_LOOKS))
        for start in range(0, len(files), size):
            for outcome in await self._close_batch(files[start : start + size]):
                outcomes.append(outcome)
                if done is not None:
                    done(outcome)
        return outcomes

    async def _close_batch(self, files: Sequence[FileInfo]) -> list[FileCloseResult]:
        """Close files of a server that has to be looked at before and after, and that lists all or nothing."""
        listed: dict[int | None, list[FileInfo]] = {}
        async with self._within():
            for entry in await self._files():
                listed.setdefault(entry.id, []).append(entry)
        outcomes: list[FileCloseResult] = []
        doubtful: list[FileCloseResult] = []
        for file in files:
            outcomes.append(outcome := FileCloseResult(file))
            try:
                now = self._only_file(file.id or 0, listed.get(file.id, []))
                if (file.path, file.user_name) != (None, None):
                    check_same_file(now, file)
                outcome.file = now
                async with self._within():
                    if await self._order_close(file.id or 0):
                        doubtful.append(outcome)
            except LanmanError as error:
                outcome.error = error
        if doubtful:
            errors = await self._verify_closes([outcome.file for outcome in doubtful])
            for outcome, failure in zip(doubtful, errors, strict=True):
                outcome.error = failure
        return outcomes

    async def _order_close(self, id: int) -> bool:
        """Tell the server to close a file; whether one has to look what came of it. Raises LanmanError.

        Samba says since 4.21 that it found no such file although it closed it, and before that said yes before it was
        done; others say so because it was closed meanwhile.
        """
        try:
            status = (await self._link.call(NetrFileClose(self._unc, id), again=False)).status
        except ConnectionLost:
            # It may have been the pipe that the order came through.
            return True
        not_found = status in (codes.ERROR_FILE_NOT_FOUND, codes.NERR_FileIdNotFound)
        if not not_found:
            self._check(status, f"the closing of file {id}", samba.END_HINT)
        return not_found or self._link.is_samba

    async def _verify_closes(self, targets: Sequence[FileInfo]) -> list[LanmanError | None]:
        """Look whether files are closed; an error for each that is still listed."""
        open_still: set[tuple[int | None, str | None]] = set()
        for pause in _PATIENCE:
            await asyncio.sleep(pause)
            async with self._within():
                open_still = {(entry.id, entry.path) for entry in await self._files()}
            if not any((target.id, target.path) in open_still for target in targets):
                break
        return [
            Win32Error(
                codes.NERR_InternalError, f"{target.id}: the server was told to close {target.path} and still lists it"
            )
            if (target.id, target.path) in open_still
            else None
            for target in targets
        ]

    # --- shares

    async def shares(self, level: int | None = None) -> list[ShareInfo]:
        async with self._within():

            async def ask(level: int) -> list[ShareInfo]:
                return await self._pages(
                    lambda resume: NetrShareEnum(self._unc, level, resume_handle=resume), "the list of shares"
                )

            _, entries = await self._ladder("shares", SHARE_LEVELS, level, ask)
            return entries

    async def share(self, name: str) -> ShareInfo:
        _require_share(name)
        async with self._within():

            async def ask(level: int) -> ShareInfo:
                answer = await self._link.call(NetrShareGetInfo(self._unc, name, level))
                # Samba 4.17 answers a name that it does not share with ERROR_INVALID_NAME.
                unknown = self._link.is_samba and answer.status == codes.ERROR_INVALID_NAME
                self._check(codes.NERR_NetNameNotFound if unknown else answer.status, f"share {name}")
                return self._present(answer.info, f"share {name}")

            _, entry = await self._ladder("share", SHARE_LEVELS, None, ask)
            return entry

    async def add_share(self, name: str, path: str, *, remark: str = "", max_users: int = 0) -> None:
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
            self._check_share(answer.status, f"the sharing of {path}", self._sharing_hint())

    async def set_share(self, name: str, *, remark: str | None = None, max_users: int | None = None) -> None:
        _require_share(name)
        async with self._within():
            if remark is not None:
                await self._set_share(name, 1004, ShareInfo(remark=remark))
            if max_users is not None:
                await self._set_share(name, 1006, ShareInfo(max_uses=max_users or _NO_LIMIT))

    async def _set_share(self, name: str, level: int, info: ShareInfo) -> None:
        answer = await self._link.call(NetrShareSetInfo(self._unc, name, level, info), again=False)
        self._check_share(answer.status, f"share {name}")

    async def delete_share(self, name: str) -> None:
        _require_share(name)
        async with self._within():
            answer = await self._link.call(NetrShareDel(self._unc, name), again=False)
            self._check_share(answer.status, f"share {name}")

    def _check_share(self, status: int, what: str, hint: str | None = None) -> None:
        # Samba 4.17 answers a name that it does not share with ERROR_INVALID_NAME.
        if self._link.is_samba and status == codes.ERROR_INVALID_NAME:
            status = codes.NERR_NetNameNotFound
        if status == codes.ERROR_ACCESS_DENIED and not self._link.is_samba and hint is not None:
            raise AccessDenied(hint=hint, server=self.server, subject=what)
        self._check(status, what, samba.SHARE_HINT)

    def _sharing_hint(self) -> str | None:
        """What may be in the way of sharing a folder, beside the right to share any."""
        who = self._link.credentials.logon_name or "the user"
        return (
            f"{who} must be one of the Administrators or Power Users there, and a Server of lanman shares over the "
            "network only what lies in a folder of share_roots in its server.toml"
        )

    # --- the server

    async def server_info(self, level: int | None = None) -> ServerInfo:
        async with self._within():
            return await self._server_info(level)

    async def _server_info(self, level: int | None = None) -> ServerInfo:
        async def ask(level: int) -> ServerInfo:
            answer = await self._link.call(NetrServerGetInfo(self._unc, level))
            self._check(answer.status, "its configuration")
            return self._present(answer.info, "its configuration")

        _, info = await self._ladder("server", SERVER_LEVELS, level, ask)
        return samba.server_info(info) if self._link.is_samba else info

    async def set_autodisconnect(self, minutes: int) -> None:
        if not -1 <= minutes <= _MAX_AUTODISCONNECT:
            raise Win32Error(
                _INVALID_OPTION_VALUE,
                f"{minutes} is no value for the idle time: -1 (never) to {_MAX_AUTODISCONNECT} minutes",
            )
        await self._set(1010, "disc", minutes, "the idle time")

    async def set_comment(self, text: str) -> None:
        await self._set(1005, "comment", text, "the comment")

    async def set_hidden(self, hidden: bool) -> None:
        await self._set(1016, "hidden", int(hidden), "whether the server is hidden")

    async def _set(self, level: int, name: str, value: Any, what: str) -> None:
        """Set one value, and read it back: Samba says yes and does nothing."""
        async with self._within():
            info = ServerInfo(**{name: value})
            answer = await self._link.call(NetrServerSetInfo(self._unc, level, info), again=False)
            self._check(answer.status, f"the setting of {what}")
            now = getattr(await self._server_info(), name)
            if now is None or (_signed(now) != value if isinstance(value, int) else now != value):
                kept = "" if now is None else f"; it is still {now!r}"
                raise Win32Error(
                    codes.ERROR_NOT_SUPPORTED,
                    f"accepted the setting of {what} and ignored it{kept}",
                    hint="a Samba is configured in its smb.conf" if self._link.is_samba else None,
                    server=self.server,
                )

    async def statistics(self) -> Statistics:
        async with self._within():
            answer = await self._only(NetrServerStatisticsGet(self._unc), "statistics")
            self._check(answer.status, "its statistics")
            return self._present(answer.info, "its statistics")

    async def time_of_day(self) -> TimeOfDay:
        async with self._within():
            answer = await self._only(NetrRemoteTOD(self._unc), "clock")
            self._check(answer.status, "its clock")
            return self._present(answer.info, "its clock")

    async def transports(self) -> list[TransportInfo]:
        async with self._within():
            try:
                return await self._pages(
                    lambda resume: NetrServerTransportEnum(self._unc, 0, resume_handle=resume),
                    "the list of transports",
                )
            except Win32Error as error:
                raise self._missing(error, "list of transports") from error

    # --- the protocol itself

    @property
    def is_samba(self) -> bool:
        return self._link.is_samba

    async def call(self, request: Call[R], *, again: bool = True) -> R:
        async with self._within():
            return await self._link.call(request, again=again)

    # --- how questions are asked

    @property
    def _unc(self) -> str:
        return f"\\\\{self.server}"

    async def _ladder(
        self, kind: str, levels: Sequence[int], level: int | None, ask: Callable[[int], Awaitable[T]]
    ) -> tuple[int, T]:
        """The answer at the richest level that is granted, and that level. A `level` that is given is the only one."""
        if level is not None:
            return level, await ask(level)
        credentials = self._link.credentials
        memory = (fold(self.server), self._link.port, identity_of(credentials, look=False), kind)
        # Whose ticket it is shows in the ticket cache alone, and may be another one's the next time.
        remembered = self._granted if credentials.kerberos and not credentials.user_name else _granted
        known = remembered.get(memory, levels[0])
        for level in levels[levels.index(known) :]:
            try:
                answer = await ask(level)
            except Win32Error as error:
                if error.code not in _LEVEL_REFUSED:
                    raise
                refusal = error
            else:
                remembered[memory] = level
                return level, answer
        remembered.pop(memory, None)
        raise refusal

    async def _pages(self, make: Callable[[int], Call[Any]], what: str) -> list[Any]:
        """A whole enumeration, page by page."""
        entries: list[Any] = []
        size = 0
        resume, seen = 0, set[int]()
        while True:
            answer = await self._link.call(make(resume))
            if answer.status not in (codes.ERROR_SUCCESS, codes.ERROR_MORE_DATA):
                raise self._refusal(answer.status, what)
            page = answer.entries or []
            size += page.size if isinstance(page, EntryList) else 0
            if len(entries) + len(page) > MAX_ENTRIES or size > MAX_LISTING:
                raise RemoteProtocolError(
                    f"{what} is longer than {MAX_ENTRIES:,} entries or {MAX_LISTING >> 20} MiB",
                    hint="no server has that much to tell; this one may be damaged or mean harm",
                    server=self.server,
                )
            entries.extend(page)
            if answer.status == codes.ERROR_SUCCESS:
                return entries
            seen.add(resume)
            resume = answer.resume_handle or 0
            if not page or resume in seen:
                raise RemoteProtocolError(f"says that there is more of {what} and does not give it", server=self.server)

    async def _only(self, request: Call[R], what: str) -> R:
        try:
            return await self._link.call(request)
        except Win32Error as error:
            raise self._missing(error, what) from error

    def _missing(self, error: Win32Error, what: str) -> Win32Error:
        """A fault for a call that the server lacks, in words; any other error as it is."""
        if error.code not in _CALL_MISSING:
            return error
        return Win32Error(codes.ERROR_NOT_SUPPORTED, f"this server does not tell its {what}", server=self.server)

    def _present(self, info: T | None, what: str) -> T:
        if info is None:
            raise RemoteProtocolError(f"gave no answer about {what} and called it a success", server=self.server)
        return info

    def _check(self, status: int, what: str, samba_hint: str = samba.LIST_HINT) -> None:
        if status != codes.ERROR_SUCCESS:
            raise self._refusal(status, what, samba_hint)

    def _refusal(self, status: int, what: str, samba_hint: str = samba.LIST_HINT) -> Win32Error:
        """A status as an error that names the server, what was asked, and the remedy where it can be told."""
        if status == codes.ERROR_ACCESS_DENIED:
            # A null session is a member of nothing, whatever is mapped.
            anonymous = self._link.credentials.anonymous
            hint = samba_hint if self._link.is_samba and not anonymous else self._denied_hint()
            return AccessDenied(hint=hint, server=self.server, subject=what)
        return Win32Error(status, server=self.server, subject=what)

    def _denied_hint(self) -> str:
        return _denied_hint(self._link.credentials, self.server)


# --- small words


def _together(some: list[SessionInfo], more: list[SessionInfo]) -> list[SessionInfo]:
    known = {id(session) for session in some}
    return some + [session for session in more if id(session) not in known] if some else more


def _is_among(address: str, known: Iterable[str]) -> bool:
    return address.partition("%")[0] in {canonical_client(one).partition("%")[0] for one in known}


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
