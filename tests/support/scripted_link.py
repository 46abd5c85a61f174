"""A server behind a Manager's link, without bytes: sessions, files and shares that end, close and change.

server = ScriptedServer(samba=True, sessions=[...])
server.after(NetrSessionDel, lambda: server.sessions.append(...))     # it changes right after the first order
manager = server.manager()
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from lanman.errors import Win32Error
from lanman.manage.granted import GrantedLevels
from lanman.manage.samba import SambaManager
from lanman.manage.srvsvc import SrvsvcManager
from lanman.net.credentials import Credentials
from lanman.records import FileInfo, ServerInfo, SessionInfo, ShareInfo
from lanman.rpc.ndr import Interface
from lanman.rpc.srvsvc.files import (
    NetrFileClose,
    NetrFileCloseResponse,
    NetrFileEnum,
    NetrFileEnumResponse,
    NetrFileGetInfo,
    NetrFileGetInfoResponse,
)
from lanman.rpc.srvsvc.server import NetrServerGetInfo, NetrServerGetInfoResponse
from lanman.rpc.srvsvc.sessions import (
    NetrSessionDel,
    NetrSessionDelResponse,
    NetrSessionEnum,
    NetrSessionEnumResponse,
)
from lanman.rpc.srvsvc.shares import (
    NetrShareDel,
    NetrShareDelResponse,
    NetrShareGetInfo,
    NetrShareGetInfoResponse,
)


class ScriptedServer:
    """A link whose server has these lists. `asked` is every request, `ended` and `closed` what orders did."""

    port = 445
    age = 1e9
    alive = True
    doing = "no answer"
    local_address = "10.0.0.9"

    def __init__(
        self,
        *,
        samba: bool = False,
        levels: Iterable[int] = (502, 2, 1, 10, 0),
        sessions: Iterable[SessionInfo] = (),
        files: Iterable[FileInfo] = (),
        shares: Iterable[ShareInfo] = (),
        knows_files: bool = True,
        user: str = "admin",
    ) -> None:
        self.server = "fs1"
        self.samba, self.levels, self.knows_files = samba, frozenset(levels), knows_files
        self.sessions, self.files, self.shares = list(sessions), list(files), list(shares)
        self.credentials = Credentials(user, "secret")
        self.asked: list[Any] = []
        self.ended: list[SessionInfo] = []
        self.closed: list[FileInfo] = []
        self.connections_closed = 0
        self._after: list[tuple[type, Callable[[], object]]] = []

    def manager(self) -> SrvsvcManager:
        kind = SambaManager if self.samba else SrvsvcManager
        return kind(self, timeout=None, deadline=None, granted=GrantedLevels())

    def after(self, call: type, action: Callable[[], object]) -> None:
        """Do something right after the next call of a kind, once."""
        self._after.append((call, action))

    def count(self, call: type) -> int:
        """How many calls of a kind there were."""
        return sum(1 for request in self.asked if type(request) is call)

    @asynccontextmanager
    async def conversation(self, interface: Interface) -> AsyncIterator[ScriptedServer]:
        yield self

    async def close(self) -> None:
        self.connections_closed += 1

    async def call(self, request: Any, *, again: bool = True) -> Any:
        self.asked.append(request)
        answer = getattr(self, f"_{type(request).__name__}")(request)
        for one in list(self._after):
            if one[0] is type(request):
                self._after.remove(one)
                one[1]()
                break
        return answer

    def _NetrSessionEnum(self, request: NetrSessionEnum) -> NetrSessionEnumResponse:
        if request.level not in self.levels:
            return NetrSessionEnumResponse(request.level, None, 0, 0, 124)
        entries = list(self.sessions)
        return NetrSessionEnumResponse(request.level, entries, len(entries), 0, 0)

    def _NetrSessionDel(self, request: NetrSessionDel) -> NetrSessionDelResponse:
        client = (request.client_name or "").lstrip("\\")
        hit = [one for one in self.sessions if (one.client_name or "").lstrip("\\") == client]
        meant = [one for one in hit if request.user_name in (None, one.user_name)]
        if not meant:
            return NetrSessionDelResponse(2312)
        gone = hit if self.samba else meant
        self.ended += gone
        self.sessions = [one for one in self.sessions if not any(one is each for each in gone)]
        return NetrSessionDelResponse(0)

    def _NetrFileEnum(self, request: NetrFileEnum) -> NetrFileEnumResponse:
        if not self.knows_files:
            raise Win32Error(50)
        return NetrFileEnumResponse(request.level, list(self.files), len(self.files), 0, 0)

    def _NetrFileGetInfo(self, request: NetrFileGetInfo) -> NetrFileGetInfoResponse:
        found = next((one for one in self.files if one.id == request.file_id), None)
        return NetrFileGetInfoResponse(request.level, found, 0 if found else 2)

    def _NetrFileClose(self, request: NetrFileClose) -> NetrFileCloseResponse:
        hit = [one for one in self.files if one.id == request.file_id]
        self.closed += hit
        self.files = [one for one in self.files if one.id != request.file_id]
        return NetrFileCloseResponse(0 if hit else 2314)

    def _NetrShareGetInfo(self, request: NetrShareGetInfo) -> NetrShareGetInfoResponse:
        found = next((one for one in self.shares if one.netname == request.net_name), None)
        return NetrShareGetInfoResponse(request.level, found, 0 if found else 2310)

    def _NetrShareDel(self, request: NetrShareDel) -> NetrShareDelResponse:
        self.shares = [one for one in self.shares if one.netname != request.net_name]
        return NetrShareDelResponse(0)

    def _NetrServerGetInfo(self, request: NetrServerGetInfo) -> NetrServerGetInfoResponse:
        return NetrServerGetInfoResponse(request.level, ServerInfo(name="FS1"), 0)
