"""The Manager of any SMB server: MS-SRVS calls on `\\PIPE\\srvsvc`.

Rules first:

  - The richest information level that the server grants is used. A level is refused by ERROR_INVALID_LEVEL, by
    ERROR_ACCESS_DENIED or by an RPC fault; access is denied only when the poorest level is denied too. What a server
    granted is remembered while the process lives, for this user.
  - A list continues while the status says so (ERROR_MORE_DATA), never because a resume handle is left over: Windows
    leaves one behind on success. A handle that comes back twice ends the asking.
  - Servers differ in which filters they honour, so every filter is applied here. An order names its client exactly as
    the server listed it.
  - Questions are asked again once when the connection turns out to be dead. Orders never are: what became of an order
    whose answer was lost is found out by connecting again and looking.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from lanman import codes
from lanman.errors import AccessDenied, ConnectionLost, LanmanError, RemoteProtocolError, Win32Error
from lanman.manage import samba
from lanman.manage.base import (
    SESSION_LEVELS,
    Ended,
    Manager,
    Sessions,
    canonical_client,
    is_address,
    no_such_file,
    no_such_session,
    path_matcher,
    same_user,
    select_sessions,
    unc_client,
)
from lanman.manage.link import Link, SmbLink, split_server
from lanman.net.dial import Within
from lanman.net.logon import Credentials
from lanman.net.resolve import addresses_of
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
from lanman.rpc.ndr import Call, Response
from lanman.rpc.srvsvc import (
    NetrConnectionEnum,
    NetrFileClose,
    NetrFileEnum,
    NetrFileGetInfo,
    NetrRemoteTOD,
    NetrServerGetInfo,
    NetrServerSetInfo,
    NetrServerStatisticsGet,
    NetrServerTransportEnum,
    NetrSessionDel,
    NetrSessionEnum,
    NetrShareAdd,
    NetrShareDel,
    NetrShareEnum,
    NetrShareGetInfo,
    NetrShareSetInfo,
)

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

# NET's own message: "You entered an invalid value for the %1 option."
_INVALID_OPTION_VALUE: Final = 3952
_MAX_AUTODISCONNECT: Final = 65535
_NODISC: Final = 0xFFFFFFFF
_NO_LIMIT: Final = 0xFFFFFFFF  # shi2_max_uses
STYPE_DISKTREE: Final = 0

# While smbd's processes end what they were told to end: how long to wait before looking again, in seconds.
_PATIENCE: Final = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)

_granted: dict[tuple[str, int, str, str], int] = {}
"""The level that a server granted last: by server, port, user and kind of question."""


class RemoteManager(Manager):
    """A Manager over a link, which is made again when it was lost. See `open_remote`."""

    def __init__(self, link: Link, *, timeout: float | None, deadline: float | None) -> None:
        self._link = link
        self._timeout = timeout
        self._deadline = deadline
        self._looking_up: str | None = None
        self.server = link.server

    async def close(self) -> None:
        with contextlib.suppress(LanmanError):
            async with self._within():
                await self._link.close()

    def _within(self) -> Within:
        self._looking_up = None
        return Within(self._timeout, lambda: self._looking_up or self._link.doing, deadline=self._deadline)

    async def _meanings(self, client: str) -> frozenset[str]:
        """`_meanings()`; where the time runs out meanwhile, it is this machine's resolver that gave no answer."""
        self._looking_up = f"\\\\{self.server}: the name of the client {client} was not resolved here"
        meanings = await _meanings(client)
        self._looking_up = None
        return meanings

    # --- sessions

    async def sessions(
        self, *, client: str | None = None, user: str | None = None, level: int | None = None
    ) -> Sessions:
        async with self._within():
            clients = None if client is None else await self._meanings(client)
            answer = await self._sessions(user=user, level=level)
            return Sessions(self.server, answer.level, select_sessions(answer.entries, clients, user))

    async def _sessions(self, user: str | None = None, level: int | None = None) -> Sessions:
        """What the server lists, as far as it is true. The user is a hint to the server, not a filter."""
        # An empty user would mean every user to the server, and DOMAIN\user nobody.
        hint = user if user and "\\" not in user and "@" not in user else None

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
        return Sessions(self.server, granted, entries)

    async def close_sessions(
        self, sessions: Sequence[SessionInfo], *, done: Callable[[Ended], None] | None = None
    ) -> list[Ended]:
        async with self._within():
            if not sessions:
                return []
            listed = (await self._sessions()).entries
            alike: dict[Pair, list[SessionInfo]] = {}
            for session in sessions:
                alike.setdefault(_pair(session), []).append(session)
            pairs = {pair: same[-1] for pair, same in alike.items()}
            # The pair that is us goes last: its end is the end of this connection.
            order = sorted(pairs, key=lambda pair: self._is_own(pairs[pair]))
            fates: dict[Pair, Ended] = {}
            for pair in order:
                fates[pair] = await self._end(pairs[pair], listed, set(pairs))
                if done is not None:
                    for session in alike[pair]:
                        done(Ended(session, fates[pair].error, fates[pair].note))
            if self._link.is_samba:
                await self._note_bystanders(listed, fates)
            return [Ended(session, fates[_pair(session)].error, fates[_pair(session)].note) for session in sessions]

    async def _end(self, target: SessionInfo, listed: Sequence[SessionInfo], doomed: set[Pair]) -> Ended:
        """End every session of one client and user, and tell what became of them."""
        matches = [entry for entry in listed if _is_meant(entry, target)]
        if not matches:
            return Ended(target, no_such_session(target.client_name, target.user_name))
        if target.user_name == "" and (bystander := _named_bystander(target, listed, doomed)) is not None:
            # 3.1.4.6: an empty user name is no filter. The order would end the others of that client too.
            return Ended(
                target,
                Win32Error(
                    codes.ERROR_NOT_SUPPORTED,
                    f"{unc_client(target.client_name or '')}: its null session cannot be ended alone",
                    hint=f"the server would end the session of {bystander} with it; end all of that client",
                ),
            )
        own = self._is_own(target)
        if own and len(matches) == 1:
            await self._link.close()
            return Ended(target, note="it was the session of this program itself, which has logged off")
        client = "\\\\" + (matches[0].client_name or "").lstrip("\\")
        try:
            answer = await self._link.call(NetrSessionDel(self._unc, client, target.user_name or None), again=False)
            error = self._refusal(answer.status, f"the end of {client}", samba.END_HINT) if answer.status else None
        except ConnectionLost:
            error = None
        except AccessDenied as denied:
            error = denied
        if error is not None and not self._link.is_samba:
            return Ended(target, no_such_session(client, target.user_name) if error.code in _NO_MATCH else error)
        if error is None and self._link.alive and not self._link.is_samba:
            return Ended(target)
        return await self._verify_end(target, own, error)

    async def _verify_end(self, target: SessionInfo, own: bool, error: LanmanError | None) -> Ended:
        """Look whether a session is gone, where the answer was lost or is known to mean little."""
        left: list[SessionInfo] = []
        for pause in _PATIENCE:
            await asyncio.sleep(pause)
            left = [entry for entry in (await self._sessions()).entries if _is_meant(entry, target)]
            # The connection that looks is itself a session of that user.
            if len(left) <= int(own):
                return Ended(target)
            if error is not None:
                return Ended(target, error)
        return Ended(
            target,
            Win32Error(
                codes.NERR_InternalError,
                f"{unc_client(target.client_name or '')}: the server was told to end the session and still lists it",
            ),
        )

    async def _note_bystanders(self, before: Sequence[SessionInfo], fates: dict[Pair, Ended]) -> None:
        """Say which sessions Samba ended besides: it ends the process that serves the whole TCP connection."""
        ended = [fate for fate in fates.values() if fate.error is None]
        if not ended:
            return
        still_there = {_pair(entry) for entry in (await self._sessions()).entries}
        for fate in ended:
            client = canonical_client(fate.session.client_name or "")
            others = {
                entry.user_name or "nobody": None
                for entry in before
                if canonical_client(entry.client_name or "") == client
                and _pair(entry) not in fates
                and _pair(entry) not in still_there
            }
            if others:
                fate.note = f"Samba ended the whole connection: the sessions of {', '.join(others)} went with it"

    def _is_own(self, session: SessionInfo) -> bool:
        """Whether a listed session may be the one that asks."""
        client = canonical_client(session.client_name or "")
        if client != canonical_client(self._link.local_address):
            return False
        return session.user_name is None or same_user(session.user_name, self._link.credentials.user_name)

    # --- connections

    async def connections(self, qualifier: str) -> list[ConnectionInfo]:
        async with self._within():
            if not qualifier.strip("\\/ "):
                raise Win32Error(
                    codes.ERROR_INVALID_PARAMETER,
                    f"\\\\{self.server}: connections are asked for by a share or by a \\\\client",
                )
            if not qualifier.startswith(("\\", "/")):
                return await self._connections(qualifier)
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
                f"\\\\{self.server}: Samba does not tell its connections",
                hint="on the server itself, `smbstatus --shares` lists them",
            )
        return facts

    async def _listed_names(self, client: str) -> list[str]:
        """A client's names as the server lists them, with backslashes; as it was typed where it lists none."""
        clients = await self._meanings(client)
        listed = select_sessions((await self._sessions()).entries, clients, None)
        names = dict.fromkeys("\\\\" + (entry.client_name or "").lstrip("\\") for entry in listed)
        return list(names) or [unc_client(client)]

    # --- files

    async def files(
        self, *, path: str | None = None, user: str | None = None, client: str | None = None
    ) -> list[FileInfo]:
        try:
            async with self._within():
                entries = await self._files_of_client(client) if client is not None else await self._files()
        except ConnectionLost as error:
            if self._link.is_samba and error.code == codes.ERROR_SEM_TIMEOUT:
                error.hint = samba.SLOW_HINT
            raise
        if path is not None:
            matches = path_matcher(path)
            entries = [entry for entry in entries if matches(entry.path)]
        return [entry for entry in entries if user is None or same_user(entry.user_name, user)]

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
        clients = await self._meanings(client)
        sessions = (await self._sessions()).entries
        here = {(entry.user_name or "").casefold() for entry in select_sessions(sessions, clients, None)}
        there = {
            (entry.user_name or "").casefold()
            for entry in sessions
            if canonical_client(entry.client_name or "") not in clients
        }
        if ambiguous := here & there:
            raise Win32Error(
                codes.ERROR_NOT_SUPPORTED,
                f"\\\\{self.server}: cannot tell which of their files {', '.join(sorted(ambiguous))} opened "
                f"from {unc_client(client)}",
                hint="Samba lists files by user only; filter by user, or by path",
            )
        return [entry for entry in await self._files() if (entry.user_name or "").casefold() in here]

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
        found = [entry for entry in await self._files() if entry.id == id]
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
            try:
                status = (await self._link.call(NetrFileClose(self._unc, id), again=False)).status
            except ConnectionLost:
                # It may have been the pipe that the order came through.
                status = codes.ERROR_FILE_NOT_FOUND
            not_found = status in (codes.ERROR_FILE_NOT_FOUND, codes.NERR_FileIdNotFound)
            if not not_found:
                self._check(status, f"the closing of file {id}", samba.END_HINT)
            if not_found or self._link.is_samba:
                # Samba says so since 4.21 although it closed the file, and before that said yes before it was done;
                # others say so because it was closed meanwhile.
                await self._verify_close(target)
            return target

    async def _verify_close(self, target: FileInfo) -> None:
        for pause in _PATIENCE:
            await asyncio.sleep(pause)
            if not any(entry.id == target.id and entry.path == target.path for entry in await self._files()):
                return
        raise Win32Error(
            codes.NERR_InternalError, f"{target.id}: the server was told to close {target.path} and still lists it"
        )

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
                path=_wire_path(path),
            )
            answer = await self._link.call(NetrShareAdd(self._unc, 2, info), again=False)
            self._check_share(answer.status, f"the sharing of {path}", self._sharing_hint())

    async def set_share(self, name: str, *, remark: str | None = None, max_users: int | None = None) -> None:
        async with self._within():
            if remark is not None:
                await self._set_share(name, 1004, ShareInfo(remark=remark))
            if max_users is not None:
                await self._set_share(name, 1006, ShareInfo(max_uses=max_users or _NO_LIMIT))

    async def _set_share(self, name: str, level: int, info: ShareInfo) -> None:
        answer = await self._link.call(NetrShareSetInfo(self._unc, name, level, info), again=False)
        self._check_share(answer.status, f"share {name}")

    async def delete_share(self, name: str) -> None:
        async with self._within():
            answer = await self._link.call(NetrShareDel(self._unc, name), again=False)
            self._check_share(answer.status, f"share {name}")

    def _check_share(self, status: int, what: str, hint: str | None = None) -> None:
        # Samba 4.17 answers a name that it does not share with ERROR_INVALID_NAME.
        if self._link.is_samba and status == codes.ERROR_INVALID_NAME:
            status = codes.NERR_NetNameNotFound
        if status == codes.ERROR_ACCESS_DENIED and not self._link.is_samba and hint is not None:
            raise AccessDenied(f"\\\\{self.server}: access denied to {what}", hint=hint)
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
                    f"\\\\{self.server}: accepted the setting of {what} and ignored it{kept}",
                    hint="a Samba is configured in its smb.conf" if self._link.is_samba else None,
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
        memory = (self.server.casefold(), self._link.port, self._link.credentials.logon_name, kind)
        known = _granted.get(memory, levels[0])
        for level in levels[levels.index(known) :]:
            try:
                answer = await ask(level)
            except Win32Error as error:
                if error.code not in _LEVEL_REFUSED:
                    raise
                refusal = error
            else:
                _granted[memory] = level
                return level, answer
        _granted.pop(memory, None)
        raise refusal

    async def _pages(self, make: Callable[[int], Call[Any]], what: str) -> list[Any]:
        """A whole enumeration, page by page."""
        entries: list[Any] = []
        resume, seen = 0, set[int]()
        while True:
            answer = await self._link.call(make(resume))
            if answer.status not in (codes.ERROR_SUCCESS, codes.ERROR_MORE_DATA):
                raise self._refusal(answer.status, what)
            page = answer.entries or []
            entries.extend(page)
            if answer.status == codes.ERROR_SUCCESS:
                return entries
            seen.add(resume)
            resume = answer.resume_handle or 0
            if not page or resume in seen:
                raise RemoteProtocolError(f"\\\\{self.server}: says that there is more of {what} and does not give it")

    async def _only(self, request: Call[R], what: str) -> R:
        try:
            return await self._link.call(request)
        except Win32Error as error:
            raise self._missing(error, what) from error

    def _missing(self, error: Win32Error, what: str) -> Win32Error:
        """A fault for a call that the server lacks, in words; any other error as it is."""
        if error.code not in _CALL_MISSING:
            return error
        return Win32Error(codes.ERROR_NOT_SUPPORTED, f"\\\\{self.server}: this server does not tell its {what}")

    def _present(self, info: T | None, what: str) -> T:
        if info is None:
            raise RemoteProtocolError(f"\\\\{self.server}: gave no answer about {what} and called it a success")
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
            return AccessDenied(f"\\\\{self.server}: access denied to {what}", hint=hint)
        return Win32Error(status, f"\\\\{self.server}: {what}: {codes.win32_text(status)}")

    def _denied_hint(self) -> str:
        return _denied_hint(self._link.credentials, self.server)


@contextlib.asynccontextmanager
async def open_remote(
    server: str,
    credentials: Credentials | None,
    *,
    port: int,
    timeout: float | None,
    encrypt: bool,
    deadline: float | None,
) -> AsyncIterator[RemoteManager]:
    """A Manager of the server of that name; see `lanman.manage.base.open_manager`."""
    name, port = split_server(server, port)
    link = SmbLink(name, port, credentials if credentials is not None else Credentials(anonymous=True), encrypt)
    manager = RemoteManager(link, timeout=timeout, deadline=deadline)
    try:
        async with Within(timeout, lambda: link.doing, deadline=deadline):
            await link.connect()
        yield manager
    except BaseException:
        # Nobody waits for a polite farewell.
        await link.abort()
        raise
    await manager.close()


# --- small words


Pair = tuple[str, str | None]


def _pair(session: SessionInfo) -> Pair:
    """What NetrSessionDel can name: a client and a user."""
    user = session.user_name
    return canonical_client(session.client_name or ""), None if user is None else user.casefold()


def _is_meant(entry: SessionInfo, target: SessionInfo) -> bool:
    """Whether an order that names the target's client and user means this entry."""
    client, user = _pair(target)
    entry_client, entry_user = _pair(entry)
    return bool(client) and entry_client == client and (user is None or entry_user in (user, None))


def _named_bystander(target: SessionInfo, listed: Sequence[SessionInfo], doomed: set[Pair]) -> str | None:
    """A user whose session an order for a null session would end without having been asked to."""
    for entry in listed:
        client, user = _pair(entry)
        if user and client == _pair(target)[0] and not doomed & {(client, user), (client, None)}:
            return entry.user_name
    return None


def _wire_path(path: str) -> str:
    r"""A path of the server as MS-SRVS has it: `/srv/data` is `C:\srv\data` to servers that are not Windows."""
    return "C:" + path.replace("/", "\\") if path.startswith("/") else path


def _signed(value: int | str) -> int | str:
    return value - (1 << 32) if isinstance(value, int) and value == _NODISC else value


async def _meanings(client: str) -> frozenset[str]:
    """The canonical names that a client typed by a user may be listed under: itself, and every address of it."""
    canonical = canonical_client(client)
    if not canonical:
        raise Win32Error(codes.NERR_InvalidComputer, f"{client!r}: {codes.win32_text(codes.NERR_InvalidComputer)}")
    if is_address(canonical):
        return frozenset({canonical})
    return frozenset({canonical}) | {canonical_client(address) for address in await addresses_of(canonical)}


def _denied_hint(credentials: Credentials, server: str) -> str:
    """The likely causes, the likeliest first, of a denial by a server that is no Samba."""
    if credentials.anonymous:
        return "a null session may not ask this; log on with -U"
    who = credentials.logon_name or "the user"
    member = f"{who} must be one of the Administrators or Server Operators there"
    if not credentials.domain or credentials.domain.casefold() in (".", server.casefold().partition(".")[0]):
        return (
            f"{member}; where it is, but as a local account of a Windows, remote UAC takes the right away "
            "until LocalAccountTokenFilterPolicy is 1; since Windows 10 1607 the descriptor SrvsvcSessionInfo "
            "keeps everyone else from every level"
        )
    return f"{member}; since Windows 10 1607 the descriptor SrvsvcSessionInfo keeps everyone else from every level"
