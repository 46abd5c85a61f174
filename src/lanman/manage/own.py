"""The Manager of this machine's own Server, over its control socket: no password, and more than MS-SRVS can say.

Rules:

  - The calls are those of `\\PIPE\\srvsvc`; the kernel tells the Server which user asks. Who asks has no session,
    so none of those that are listed is this program's.
  - What MS-SRVS has no field for comes by calls of the control socket's own (`lanman.rpc.control`), and is added to the
    records: DetailedSession, DetailedShare. A Server that does not know such a call, or a caller who may not make it,
    leaves those fields None.
  - Paths are this machine's own here (`/srv/data/a.txt`), not those that Windows' consoles are shown.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from lanman import codes
from lanman.errors import AccessDenied, ConnectionLost, LanmanError, Win32Error
from lanman.manage.calls import Purpose
from lanman.manage.granted import GrantedLevels
from lanman.manage.link import Conversation
from lanman.manage.manager import Sessions
from lanman.manage.own_session import NoSession
from lanman.manage.selection import canonical_client, is_address
from lanman.manage.srvsvc import SrvsvcManager
from lanman.net.control.client import ControlClient, ServerNotStarted
from lanman.net.credentials import Credentials
from lanman.net.dial import Within
from lanman.net.home import Home, client_homes
from lanman.plain import dataclass
from lanman.records import (
    FileDetails,
    FileInfo,
    PortionDetails,
    RefusalDetails,
    SessionDetails,
    SessionInfo,
    ShareDetails,
    ShareInfo,
)
from lanman.rpc.ndr import Call, Interface, Response
from lanman.rpc.srvsvc.paths import local_path
from lanman.rpc.srvsvc.server import NetrServerGetInfo

if TYPE_CHECKING:
    from lanman.net.control.follow import EventFollower

R = TypeVar("R", bound=Response)


@dataclass(slots=True)
class DetailedSession(SessionInfo):
    """A session of this machine's Server, with what no level of MS-SRVS has a field for (see SessionDetails).

    `channels` are the addresses of its connections, the oldest first, and `channel_signing` what signs on each; None
    where an older Server does not tell them."""

    global_id: int | None = None
    domain: str | None = None
    address: str | None = None
    dialect: str | None = None
    signing: str | None = None
    encryption: str | None = None
    groups: str | None = None
    anonymous: bool | None = None
    guest: bool | None = None
    channels: list[str] | None = None
    channel_signing: list[str] | None = None


@dataclass(slots=True)
class DetailedShare(ShareInfo):
    """A share of this machine's Server, with what no level of MS-SRVS has a field for (see ShareDetails)."""

    guest: str | None = None


@dataclass(slots=True)
class DetailedFile(FileInfo):
    """An open file of this machine's Server, with what no level of MS-SRVS has a field for (see FileDetails)."""

    session_id: int | None = None
    opened_at: float | None = None
    share: str | None = None
    oplock: str | None = None
    lease: str | None = None
    lease_key: str | None = None
    durable: bool | None = None
    owner: str | None = None
    expires_at: float | None = None


class ControlLink:
    """The control socket of a home as what carries a Manager's calls. Connects again where it was lost."""

    port = 0
    age = 0.0
    local_address = ""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.server = socket.gethostname()
        self.credentials = Credentials(anonymous=True)
        self._client: ControlClient | None = None

    @property
    def alive(self) -> bool:
        """Whether the socket that the last call went over is open."""
        return self._client is not None

    @property
    def doing(self) -> str:
        """What is being waited for: the socket has a path, and no server's name."""
        return f"{self.home.control}: the Server does not answer"

    async def connect(self) -> ControlClient:
        """The live connection, made now if there is none. Raises ServerNotStarted and AccessDenied."""
        if self._client is None:
            self._client = await ControlClient(self.home.control).__aenter__()
        return self._client

    async def call(self, request: Call[R], *, again: bool = True) -> R:
        """Make a call. A question whose socket turns out to be dead is asked `again`, once."""
        try:
            return await (await self.connect()).call(request)
        except ConnectionLost:
            await self.close()
            if not again:
                raise
        return await (await self.connect()).call(request)

    @asynccontextmanager
    async def conversation(self, interface: Interface) -> AsyncIterator[Conversation]:
        """The same socket: the Server tells the handles of its connections apart. See `Link.conversation`."""
        try:
            client = await self.connect()
            await client.bind(interface)
            yield client
        except ConnectionLost:
            await self.close()
            raise

    async def session_details(self) -> list[SessionDetails]:
        """What the Server knows of its sessions beyond MS-SRVS; nothing for those who may not ask."""
        try:
            return await (await self.connect()).session_details()
        except AccessDenied:
            return []

    async def share_details(self) -> list[ShareDetails]:
        """What the Server knows of its shares beyond MS-SRVS; nothing for those who may not ask."""
        try:
            return await (await self.connect()).share_details()
        except Win32Error:  # denied, or a Server that was started before this call was made
            return []

    async def file_details(self) -> list[FileDetails]:
        """What the Server knows of open files beyond MS-SRVS; nothing for those who may not ask."""
        try:
            return await (await self.connect()).file_details()
        except Win32Error:  # denied, or a Server that was started before this call was made
            return []

    async def share_problems(self) -> dict[str, str]:
        """Why shares cannot be used, by their names; nothing for those who may not ask."""
        try:
            problems = await (await self.connect()).share_problems()
        except Win32Error:  # denied, or a Server that was started before this call was made
            return {}
        return {each.name or "": each.problem or "" for each in problems}

    async def refusals(self) -> list[RefusalDetails]:
        """Who was refused lately; nothing for those who may not ask."""
        try:
            return await (await self.connect()).refusals()
        except Win32Error:  # denied, or a Server that was started before this call was made
            return []

    async def portions(self) -> tuple[str, list[PortionDetails]]:
        """The Server's event loop, and what its users share; nothing for those who may not ask."""
        try:
            return await (await self.connect()).portions()
        except Win32Error:  # denied, or a Server that was started before this call was made
            return "", []

    async def close(self) -> None:
        """Close the socket; a later call connects again."""
        client, self._client = self._client, None
        if client is not None:
            client.close()


class OwnManager(SrvsvcManager):
    """A Manager of the Server whose control socket is in `home`."""

    def __init__(
        self,
        link: ControlLink,
        *,
        timeout: float | None,
        deadline: float | None,
        granted: GrantedLevels | None = None,
    ) -> None:
        super().__init__(link, timeout=timeout, deadline=deadline, granted=granted)
        self._control = link
        self._own_session = NoSession()

    @property
    def who_answers(self) -> str:
        """See `Manager.who_answers`."""
        return f"lanman's own Server of this machine, by its control socket in {self._control.home.path}"

    async def learn_name(self) -> None:
        """Learn the name that the Server goes by."""
        answer = await self._control.call(NetrServerGetInfo(None, 100))
        if answer.info is not None and answer.info.name:
            self.server = self._control.server = answer.info.name

    def _within(self) -> Within:
        def describe() -> str:
            # What does not answer is the socket, which has a path and no server's name.
            look_up = self._clients.waiting_for
            return f"\\\\{self.server}: {look_up}" if look_up else self._link.doing

        self._clients.waiting_for = None
        return Within(self._timeout, describe, deadline=self._deadline)

    async def _sessions(self, user: str | None = None, level: int | None = None) -> Sessions:
        answer = await super()._sessions(user, level)
        answer.entries = _with_details(answer.entries, await self._control.session_details())
        return answer

    async def _is_called(self, name: str) -> bool:
        wanted = canonical_client(name)
        if wanted in ("localhost", canonical_client(socket.gethostname())):
            return True
        if is_address(wanted) and ipaddress.ip_address(wanted.partition("%")[0]).is_loopback:
            return True
        return await super()._is_called(name)

    async def own_names(self, listed: Sequence[SessionInfo]) -> frozenset[str]:
        """See `Manager.own_names`. It is asked without a session; another program here may have one all the same."""
        return frozenset({"127.0.0.1", "::1"})

    def _denied_hint(self, purpose: Purpose) -> str:
        if purpose is Purpose.ADD_SHARE:
            return "the Server's own user must be able to read the folder"
        return "only root and the user that the Server runs as may do that"

    async def _files(self, user_or_client: str | None = None) -> list[FileInfo]:
        return [_at_home(entry) for entry in await super()._files(user_or_client)]

    async def _file(self, id: int) -> FileInfo:
        return _at_home(await super()._file(id))

    async def opened_files(self) -> list[FileInfo]:
        """See `Manager.opened_files`. Each is a DetailedFile."""
        return await self.detailed_files(await self.files())

    async def detailed_files(self, files: Sequence[FileInfo]) -> list[FileInfo]:
        """See `Manager.detailed_files`. Each is a DetailedFile."""
        async with self._within():
            known = {detail.id: detail for detail in await self._control.file_details()}
        detailed: list[FileInfo] = []
        for entry in files:
            file = DetailedFile(*(getattr(entry, name) for name in FileInfo.__match_args__))
            if (detail := known.get(entry.id or 0)) is not None:
                file.session_id, file.opened_at, file.share = detail.session_id or None, detail.opened_at, detail.share
                file.oplock, file.lease = detail.oplock or "", detail.lease or ""
                file.lease_key = detail.lease_key or ""
                file.durable, file.owner = detail.durable, detail.owner or ""
                file.expires_at = detail.expires_at or None
            detailed.append(file)
        return detailed

    async def shares(self, level: int | None = None) -> list[ShareInfo]:
        """See `Manager.shares`. Each is a DetailedShare with its path on this machine."""
        return await self._shared_at_home(await super().shares(level))

    async def share_problems(self) -> dict[str, str]:
        """See `Manager.share_problems`. The Server tells root and the user that it runs as."""
        async with self._within():
            return await self._control.share_problems()

    async def refusals(self) -> list[RefusalDetails]:
        """See `Manager.refusals`. The Server tells root and the user that it runs as."""
        async with self._within():
            return await self._control.refusals()

    async def portions(self) -> list[PortionDetails]:
        """See `Manager.portions`. The Server tells root and the user that it runs as."""
        async with self._within():
            return (await self._control.portions())[1]

    async def event_loop(self) -> str:
        """See `Manager.event_loop`. The Server tells root and the user that it runs as."""
        async with self._within():
            return (await self._control.portions())[0]

    @asynccontextmanager
    async def follow(self) -> AsyncIterator[EventFollower]:
        """See `Manager.follow`. Paths in records are as clients name them."""
        # It brings the whole vocabulary of events, which no other question needs.
        from lanman.net.control.follow import EventFollower

        async with AsyncExitStack() as stack:
            async with self._within():
                client = await stack.enter_async_context(ControlClient(self._control.home.control))
                follower = await EventFollower.begin(client)
            yield follower

    async def share(self, name: str) -> ShareInfo:
        """See `Manager.share`. A DetailedShare with its path on this machine."""
        (entry,) = await self._shared_at_home([await super().share(name)])
        return entry

    async def _shared_at_home(self, entries: Sequence[ShareInfo]) -> list[ShareInfo]:
        async with self._within():
            guests = {detail.name: detail.guest for detail in await self._control.share_details()}
        shares: list[ShareInfo] = []
        for entry in entries:
            share = DetailedShare(*(getattr(entry, name) for name in ShareInfo.__match_args__))
            share.path = None if entry.path is None else local_path(entry.path)
            share.guest = guests.get(entry.netname)
            shares.append(share)
        return shares

    async def add_share(self, name: str, path: str, *, remark: str = "", max_users: int = 0) -> None:
        """See `Manager.add_share`. A path with a backslash is refused (2116): it would arrive as another."""
        if "\\" in path and path.startswith("/"):
            raise Win32Error(codes.NERR_UnknownDevDir, f"{path}: a path with a backslash in it cannot be shared")
        await super().add_share(name, path, remark=remark, max_users=max_users)


# Fields of DetailedSession that SessionDetails has as one text.
_LISTS: Final = frozenset({"channels", "channel_signing"})


def _with_details(entries: Sequence[SessionInfo], details: Sequence[SessionDetails]) -> list[SessionInfo]:
    """The sessions with their details, which the Server tells in the same order but a moment later."""
    known: defaultdict[tuple[str | None, str | None], list[SessionDetails]] = defaultdict(list)
    for detail in reversed(details):
        known[detail.client_name, detail.user_name].append(detail)
    extra = {field.name for field in fields(DetailedSession)} - {field.name for field in fields(SessionInfo)}
    whole: list[SessionInfo] = []
    for entry in entries:
        session = DetailedSession(*(getattr(entry, name) for name in SessionInfo.__match_args__))
        if of_entry := known.get((entry.client_name, entry.user_name)):
            detail = of_entry.pop()
            for name in extra:
                value = getattr(detail, name)
                setattr(session, name, value.split("\n") if name in _LISTS and value is not None else value)
        whole.append(session)
    return whole


def _at_home(entry: FileInfo) -> FileInfo:
    return entry if entry.path is None else replace(entry, path=path_at_home(entry.path))


def path_at_home(path: str) -> str:
    """A path that the Server lists, or has in an event, as this machine has it: what `OwnManager.files` lists."""
    # Most paths are ASCII, and each of those is the same on the wire and on the disk.
    path = local_path(path)
    return path if path.isascii() else "/".join(map(_name_on_disk, path.split("/")))


def _name_on_disk(name: str) -> str:
    """What a name is called on this machine where the wire cannot say it: `a*b`, `a.`, bytes that are no UTF-8."""
    # Seldom needed, and it brings the Server's whole disk.
    from lanman.net.disk.system import DiskRefused
    from lanman.net.disk.translation import disk_name

    try:
        return os.fsdecode(disk_name(name))
    except DiskRefused:
        return name


async def find_control(home: str | Path | None) -> ControlLink | None:
    """The first control socket that answers. One that may not be opened counts when none does."""
    if not hasattr(socket, "AF_UNIX"):
        return None
    denied: LanmanError | None = None
    for candidate in client_homes(None if home is None else str(home)):
        link = ControlLink(candidate)
        try:
            await link.connect()
        except ServerNotStarted:
            continue
        except AccessDenied as error:
            denied = denied or error
            continue
        return link
    if denied is not None:
        raise denied
    return None
