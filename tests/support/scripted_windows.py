r"""A server of the tests' own that answers as Windows Server 2019 and 2025 do, for the manager to be tried against.

    async with ScriptedWindows(windows_2019()) as server:
        credentials = Credentials("admin", server.password)
        async with open_manager(server.host, credentials, port=server.port) as manager: ...
        assert NetrSessionDel in map(type, server.asked)

Only the transport is lanman's own (smb2.ServerConnection, rpc.RpcServer, auth.Acceptor), and strangers test that
elsewhere. Every answer of srvsvc comes from the script in this file, not from our Server: what is listed stands in
plain lists, and what Windows does that a reader of MS-SRVS might not expect stands as a setting of `Windows`:

* client names begin with two backslashes; a client asked for without them is 2351, one to be ended so is 2312
  (MS-SRVS 3.1.4.5, 3.1.4.6);
* the resume handle is left non-zero in an answer of success (`resume_left`: a capture of Windows Server 2019 had 7);
* an answer may hold part of the list with ERROR_MORE_DATA (`page`), although all of it was asked for;
* rights (`users`): an administrator's; those of an authenticated user before Windows 10 1607, who may read session
  levels 0 and 10 ("legacy"); those of one after it, who may read none ("hardened");
* a compound's related requests go on with the tree connect and the pipe of the one before (`related`, `hangs_up`: it
  does not take them);
* 2022 and later speak AES-256 and AES-GMAC, 2025 asks for signing; any may ask for encryption;
* NTLM's challenge says the build, and the domain that the server is in (`build`, `joined`).
"""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import os
import secrets
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from types import TracebackType
from typing import Any, Final, Literal, Self

from lanman import codes
from lanman.auth.acceptor import Accepted, Acceptor, Refused
from lanman.auth.accounts import Accounts
from lanman.errors import MalformedMessage, RemoteProtocolError
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
from lanman.rpc import srvsvc, svcctl
from lanman.rpc.levels import Levels
from lanman.rpc.server import RpcServer
from lanman.smb2 import constants as smb2
from lanman.smb2 import messages
from lanman.smb2.constants import Dialect
from lanman.smb2.server import Request, RequestsReceived, Response, ServerConnection, Terms
from support.service_script import ServiceDatabase

Rights = Literal["administrator", "legacy", "hardened"]

CHAINED: Final = b"\xff" * 16  # in a related request: the file of the one before it (MS-SMB2 3.3.5.2.7.2)

DISKTREE, IPC, SPECIAL = 0, 3, 0x80000000
NETBIOS_SMB = r"\Device\NetbiosSmb"  # MS-SRVS 3.1.4.22: the transport of SMB over TCP port 445


@dataclass
class Fault(Exception):
    """An answer of the RPC layer instead of one of the call."""

    status: int


@dataclass
class Caller:
    """Who asks: the user of an SMB session, and where he sits, as a session list has it."""

    user_name: str
    client_name: str
    session_id: int
    handles: dict[bytes, tuple[str, int]] = field(default_factory=dict)  # of the pipe that is asked through


@dataclass
class Windows:
    """What the server says, and how it is set up. Change it as you like before or between calls."""

    info: ServerInfo
    sessions: list[SessionInfo] = field(default_factory=list)
    files: list[FileInfo] = field(default_factory=list)
    connections: list[tuple[str, ConnectionInfo]] = field(default_factory=list)  # by client; net_name is the share's
    shares: list[ShareInfo] = field(default_factory=list)
    statistics: Statistics = field(default_factory=Statistics)
    transports: list[TransportInfo] = field(default_factory=list)
    time_of_day: TimeOfDay = field(default_factory=TimeOfDay)
    file_clients: dict[int, str] = field(
        default_factory=dict
    )  # by file id, for those not opened by their user's only one

    users: dict[str, Rights] = field(
        default_factory=lambda: {"admin": "administrator", "ann": "legacy", "bob": "hardened"}
    )
    page: int | None = None  # entries in one answer, at most
    resume_left: int = 7
    list_callers: bool = False  # whether those who ask are in the list themselves, as on the real thing
    faults: dict[tuple[type, int | None], int] = field(default_factory=dict)  # by call and level (None: any): the fault

    dialects: Sequence[Dialect] = tuple(Dialect)
    ciphers: Sequence[int] = (smb2.AES_128_GCM, smb2.AES_128_CCM)
    signing_algorithms: Sequence[int] = ()  # none: it does not answer SMB2_SIGNING_CAPABILITIES, and CMAC signs
    signing_required: bool = False
    encryption: Literal["offered", "required", "off"] = "offered"
    logon_status: int = 0  # what every log-on is refused with: STATUS_PASSWORD_EXPIRED, ...
    ipc: bool = True  # whether there is an IPC$
    build: int = 17763  # what NTLM's challenge says; 14393 is the first that keeps sessions from authenticated users
    denied: tuple[type, ...] = ()  # the calls that nobody may make, whatever their rights
    silent: tuple[type, ...] = ()  # the calls that are never answered
    interface: bool = True  # whether the pipe srvsvc has the interface of MS-SRVS behind it
    signs: bool = True  # whether answers of a session are signed
    joined: str = ""  # the domain that the server is a member of; none: it is its own
    clock: float = 0.0  # how many seconds it is ahead
    services: ServiceDatabase = field(default_factory=ServiceDatabase)
    refused: dict[str, int] = field(default_factory=dict)  # by share or pipe (IPC$, srvsvc): the status of its opening
    asynchronous: bool = False  # whether pipe transactions are first answered with STATUS_PENDING
    related: int = 0  # the status that related requests of a compound are refused with; 0: they are taken
    hangs_up: bool = False  # whether it ends the connection instead of answering a compound
    nonsense: bool = False  # whether what it answers to a compound cannot be read
    encrypted_pipes: bool = False  # whether IPC$ alone wants encryption


def _server_info(name: str) -> ServerInfo:
    """Levels 102 and 503 of a Windows Server 2019 (a public capture), with the defaults of MS-SRVS notes 40 and 41."""
    numbers = {item.name: 0 for item in fields(ServerInfo)}
    return ServerInfo(
        **{
            **numbers,
            "platform_id": 500,
            "name": name,
            "version_major": 10,
            "type": 0x9003,
            "comment": "",
            "users": 16777216,
            "disc": 15,
            "hidden": False,
            "announce": 60,
            "anndelta": 3000,
            "userpath": "c:\\",
            "sessopens": 16384,
            "sessvcs": 1,
            "opensearch": 2048,
            "sessusers": 2048,
            "sessconns": 2048,
            "domain": "DOMAIN",
            "maxkeepsearch": 3600,
            "scavtimeout": 30,
            "maxmpxct": 50,
            "oplockbreakwait": 35,
            "oplockbreakresponsewait": 35,
        }  # type: ignore[arg-type]
    )


def _session(client: str, user: str, opens: int, active: int, idle: int, flags: int = 0) -> SessionInfo:
    # 2.2.4.15: SMB2 knows no client type; Windows sends an empty string.
    return SessionInfo(rf"\\{client}", user, opens, active, idle, flags, "", NETBIOS_SMB)


def _share(name: str, kind: int, path: str, remark: str) -> ShareInfo:
    return ShareInfo(name, kind, remark, 0, 0xFFFFFFFF, 1, path, None, 0, "*", b"\x01\x00\x04\x80" + bytes(16))


def windows_2019() -> Windows:
    """Windows Server 2019, freshly installed: three people on it, one of them twice, and a null session."""
    return Windows(
        _server_info("WIN2019"),
        sessions=[
            _session("10.0.0.7", "ann", 2, 3700, 13),
            _session("10.0.0.7", "bob", 0, 120, 120),
            _session("[fe80::7]", "ann", 1, 86400, 3905),
            _session("10.0.0.9", "PC9$", 0, 65, 60),
            _session("10.0.0.9", "", 0, 31, 30),
            _session("10.0.0.12", "Guest", 1, 5, 0, flags=1),
        ],
        files=[
            FileInfo(1677721603, 0x120089, 0, r"C:\data\plan.xlsx", "ann"),
            FileInfo(0x80000005, 0x12019F, 2, r"C:\data\2019\budget.xlsx", "ann"),
            FileInfo(0xFFFFFFF0, 0x100081, 0, "C:\\data\\", "Guest"),
            FileInfo(1677721607, 0x12019F, 0, r"\srvsvc", "admin"),
        ],
        connections=[
            (r"\\10.0.0.7", ConnectionInfo(1, DISKTREE, 2, 1, 3690, "ann", "data")),
            (r"\\10.0.0.7", ConnectionInfo(2, IPC, 0, 1, 3699, "ann", "IPC$")),
            (r"\\[fe80::7]", ConnectionInfo(3, DISKTREE, 1, 1, 86399, "ann", "data")),
            (r"\\10.0.0.12", ConnectionInfo(9, DISKTREE, 1, 1, 4, "Guest", "data")),
        ],
        shares=[
            _share("ADMIN$", DISKTREE | SPECIAL, "C:\\Windows", "Remote Admin"),
            _share("C$", DISKTREE | SPECIAL, "C:\\", "Default share"),
            _share("data", DISKTREE, "C:\\data", ""),
            _share("IPC$", IPC | SPECIAL, "", "Remote IPC"),
        ],
        statistics=Statistics(
            start=1700000000,
            fopens=17,
            sopens=6,
            stimedout=3,
            pwerrors=2,
            permerrors=1,
            bytessent_low=0xFFFFFFFE,
            bytessent_high=1,
            bytesrcvd_low=4096,
        ),
        transports=[
            TransportInfo(6, NETBIOS_SMB, b"WIN2019".ljust(16), "000000000000", "DOMAIN", 0),
            TransportInfo(0, r"\Device\NetBT_Tcpip_{F7A0}", b"WIN2019".ljust(16), "005056A10203", "DOMAIN", 0),
        ],
        time_of_day=TimeOfDay(1700003600, 123456, 23, 13, 20, 50, -60, 310, 14, 11, 2023, 2),
    )


def windows_2025() -> Windows:
    """Windows Server 2025: the same house, newer locks."""
    windows = windows_2019()
    windows.info.name = "WIN2025"
    windows.build = 26100
    windows.signing_required = True
    windows.ciphers = (smb2.AES_256_GCM, smb2.AES_256_CCM, smb2.AES_128_GCM, smb2.AES_128_CCM)
    windows.signing_algorithms = (smb2.AES_GMAC, smb2.AES_CMAC, smb2.HMAC_SHA256)
    return windows


# --- srvsvc -----------------------------------------------------------------------------------------------------------

# The levels that anybody may read (MS-SRVS 3.1.4.8, 3.1.4.10, 3.1.4.17, the API's pages); None: a call without levels.
ANYBODY: Final[dict[type, frozenset[int | None]]] = {
    srvsvc.NetrShareEnum: frozenset({0, 1}),
    srvsvc.NetrShareGetInfo: frozenset({0, 1, 501, 1005}),
    srvsvc.NetrServerGetInfo: frozenset({100, 101}),
    srvsvc.NetrRemoteTOD: frozenset({None}),
    svcctl.ROpenSCManagerW: frozenset({None}),  # SC_MANAGER_CONNECT; the service itself is another matter
    svcctl.ROpenServiceW: frozenset({None}),
    svcctl.RCloseServiceHandle: frozenset({None}),
}


class Script:
    """The calls. `answer` gives the response or raises Fault; `asked` remembers every request."""

    def __init__(self, windows: Windows) -> None:
        self.windows = windows
        self.asked: list[Any] = []
        self.ended: list[SessionInfo] = []
        self.closed: list[FileInfo] = []
        self.callers: dict[int, Caller] = {}  # those logged on, by session id
        self.gone: list[int] = []  # session ids ended by a call that is not answered yet

    def answer(self, request: Any, caller: Caller) -> Any:
        self.asked.append(request)
        level = getattr(request, "level", None)
        for key in ((type(request), level), (type(request), None)):
            if key in self.windows.faults:
                raise Fault(self.windows.faults[key])
        handler: Callable[[Any, Caller], Any] | None = getattr(self, f"_{type(request).__name__}", None)
        if handler is None:
            raise Fault(codes.nca_s_op_rng_error)
        if type(request) in self.windows.denied:
            return request.failed(codes.ERROR_ACCESS_DENIED)
        if not self._may(request, level, self.windows.users.get(caller.user_name, "hardened")):
            return request.failed(codes.ERROR_ACCESS_DENIED)
        return handler(request, caller)

    def _may(self, request: Any, level: int | None, rights: Rights) -> bool:
        if rights == "administrator" or level in ANYBODY.get(type(request), ()):
            return True
        return rights == "legacy" and isinstance(request, srvsvc.NetrSessionEnum) and level in (0, 10)

    def _listed(self) -> list[SessionInfo]:
        sessions = list(self.windows.sessions)
        if self.windows.list_callers:
            for caller in self.callers.values():
                sessions.append(_session(caller.client_name.removeprefix("\\\\"), caller.user_name, 1, 0, 0))
        return sessions

    def _enumerate(
        self, request: Any, levels: Levels[Any], entries: Sequence[Any], wanted: Callable[[Any], bool]
    ) -> Any:
        """The next page. A handle is the number of an entry in the unfiltered list (MS-SRVS 3.1.4.5)."""
        start = request.resume_handle or 0
        rest = [(number, entry) for number, entry in enumerate(entries, 1) if number > start and wanted(entry)]
        space = request.prefered_maximum_length
        page: list[Any] = []
        last = start
        for number, entry in rest:
            space -= _size(entry, levels, request.level)
            if space < 0 or len(page) == self.windows.page:
                break
            page.append(entry)
            last = number
        more = len(page) < len(rest)
        handle = None if request.resume_handle is None else last if more else self.windows.resume_left
        status = codes.ERROR_MORE_DATA if more else 0
        return request.response(request.level, page, len(rest), handle, status)

    def _NetrSessionEnum(self, request: srvsvc.NetrSessionEnum, caller: Caller) -> Any:
        if request.level not in (0, 1, 2, 10, 502):
            return request.failed(codes.ERROR_INVALID_LEVEL)
        if request.client_name and not request.client_name.startswith("\\\\"):
            return request.failed(codes.NERR_InvalidComputer)
        sessions = self._listed()

        def wanted(session: SessionInfo) -> bool:
            return _same(request.client_name, session.client_name) and _same(request.user_name, session.user_name)

        if (request.client_name or request.user_name) and not any(map(wanted, sessions)):
            known = any(_same(request.client_name, session.client_name) for session in sessions)
            return request.failed(codes.NERR_UserNotFound if known else codes.NERR_ClientNameNotFound)
        return self._enumerate(request, srvsvc.SESSION_INFO, sessions, wanted)

    def _NetrSessionDel(self, request: srvsvc.NetrSessionDel, caller: Caller) -> Any:
        if not request.client_name and not request.user_name:
            return request.failed(codes.ERROR_INVALID_PARAMETER)
        if request.client_name and not request.client_name.startswith("\\\\"):
            return request.failed(codes.NERR_ClientNameNotFound)
        ended = [
            session
            for session in self._listed()
            if _same(request.client_name, session.client_name) and _same(request.user_name, session.user_name)
        ]
        if not ended:
            return request.failed(codes.NERR_ClientNameNotFound)
        self.ended += ended
        self.windows.sessions = [session for session in self.windows.sessions if session not in ended]
        if self.windows.list_callers:
            self.gone += [
                one.session_id
                for one in self.callers.values()
                if _same(request.client_name, one.client_name) and _same(request.user_name, one.user_name)
            ]
        return srvsvc.NetrSessionDelResponse(0)

    def _NetrConnectionEnum(self, request: srvsvc.NetrConnectionEnum, caller: Caller) -> Any:
        if request.level not in (0, 1):
            return request.failed(codes.ERROR_INVALID_LEVEL)
        qualifier = request.qualifier
        if not qualifier:
            return request.failed(codes.ERROR_INVALID_PARAMETER)
        if qualifier.startswith("\\\\"):
            found = [entry for client, entry in self.windows.connections if _same(qualifier, client)]
        else:
            # 2.2.4.2: asked by share, a connection is named after its client.
            found = [
                ConnectionInfo(
                    entry.id, entry.type, entry.num_opens, entry.num_users, entry.active_time, entry.user_name, client
                )
                for client, entry in self.windows.connections
                if _same(qualifier, entry.net_name)
            ]
        return self._enumerate(request, srvsvc.CONNECTION_INFO, found, lambda entry: True)

    def _NetrFileEnum(self, request: srvsvc.NetrFileEnum, caller: Caller) -> Any:
        if request.level not in (2, 3):
            return request.failed(codes.ERROR_INVALID_LEVEL)

        def wanted(file: FileInfo) -> bool:
            base, user = request.base_path, request.user_name
            if base and not fnmatch.fnmatchcase(f"{file.path}\\".lower(), f"{base.rstrip(chr(92))}\\*".lower()):
                return False
            if user and user.startswith("\\\\"):  # since Windows 7: a client's name instead of a user's
                return _same(user, self.windows.file_clients.get(file.id or 0))
            return _same(user, file.user_name)

        return self._enumerate(request, srvsvc.FILE_INFO, self.windows.files, wanted)

    def _NetrFileGetInfo(self, request: srvsvc.NetrFileGetInfo, caller: Caller) -> Any:
        if request.level not in (2, 3):
            return request.failed(codes.ERROR_INVALID_LEVEL)
        for file in self.windows.files:
            if file.id == request.file_id:
                return srvsvc.NetrFileGetInfoResponse(request.level, file, 0)
        return request.failed(codes.ERROR_FILE_NOT_FOUND)

    def _NetrFileClose(self, request: srvsvc.NetrFileClose, caller: Caller) -> Any:
        for file in self.windows.files:
            if file.id == request.file_id:
                self.windows.files.remove(file)
                self.closed.append(file)
                return srvsvc.NetrFileCloseResponse(0)
        return request.failed(codes.NERR_FileIdNotFound)

    def _NetrShareEnum(self, request: srvsvc.NetrShareEnum, caller: Caller) -> Any:
        if request.level not in (0, 1, 2, 501, 502, 503):
            return request.failed(codes.ERROR_INVALID_LEVEL)
        return self._enumerate(request, srvsvc.SHARE_INFO, self.windows.shares, lambda entry: True)

    def _NetrShareGetInfo(self, request: srvsvc.NetrShareGetInfo, caller: Caller) -> Any:
        if request.level not in (0, 1, 2, 501, 502, 503, 1005):
            return request.failed(codes.ERROR_INVALID_LEVEL)
        for share in self.windows.shares:
            if _same(request.net_name, share.netname):
                return srvsvc.NetrShareGetInfoResponse(request.level, share, 0)
        return request.failed(codes.NERR_NetNameNotFound)

    def _NetrServerGetInfo(self, request: srvsvc.NetrServerGetInfo, caller: Caller) -> Any:
        if request.level not in (100, 101, 102, 103, 502, 503):
            return request.failed(codes.ERROR_INVALID_LEVEL)
        return srvsvc.NetrServerGetInfoResponse(request.level, self.windows.info, 0)

    def _NetrServerSetInfo(self, request: srvsvc.NetrServerSetInfo, caller: Caller) -> Any:
        names = {1005: "comment", 1010: "disc", 1016: "hidden", 1107: "users"}
        if request.level not in names or request.info is None:
            return request.failed(codes.ERROR_INVALID_LEVEL)
        name = names[request.level]
        setattr(self.windows.info, name, getattr(request.info, name))
        return srvsvc.NetrServerSetInfoResponse(request.parm_err, 0)

    def _NetrServerStatisticsGet(self, request: srvsvc.NetrServerStatisticsGet, caller: Caller) -> Any:
        if request.level:
            return request.failed(codes.ERROR_INVALID_LEVEL)
        if request.options:
            return request.failed(codes.ERROR_INVALID_PARAMETER)
        return srvsvc.NetrServerStatisticsGetResponse(self.windows.statistics, 0)

    def _NetrServerTransportEnum(self, request: srvsvc.NetrServerTransportEnum, caller: Caller) -> Any:
        if request.level not in (0, 1, 2):
            return request.failed(codes.ERROR_INVALID_LEVEL)
        return self._enumerate(request, srvsvc.TRANSPORT_INFO, self.windows.transports, lambda entry: True)

    def _NetrRemoteTOD(self, request: srvsvc.NetrRemoteTOD, caller: Caller) -> Any:
        return srvsvc.NetrRemoteTODResponse(self.windows.time_of_day, 0)

    # --- svcctl: what `Service Security and Access Rights` gives remote users, and KB 4457739 takes

    def _ROpenSCManagerW(self, request: svcctl.ROpenSCManagerW, caller: Caller) -> Any:
        return svcctl.ROpenSCManagerWResponse(_opened(caller, "", request.desired_access))

    def _ROpenServiceW(self, request: svcctl.ROpenServiceW, caller: Caller) -> Any:
        if caller.handles.get(request.sc_handle, ("-", 0))[0] != "":
            return request.failed(codes.ERROR_INVALID_HANDLE)
        if (service := self.windows.services.find(request.service_name)) is None:
            return request.failed(codes.ERROR_SERVICE_DOES_NOT_EXIST)
        if self.windows.users.get(caller.user_name) != "administrator":
            return request.failed(codes.ERROR_ACCESS_DENIED)
        return svcctl.ROpenServiceWResponse(_opened(caller, service.name, request.desired_access))

    def _RCloseServiceHandle(self, request: svcctl.RCloseServiceHandle, caller: Caller) -> Any:
        if caller.handles.pop(request.sc_handle, None) is None:
            return request.failed(codes.ERROR_INVALID_HANDLE)
        return svcctl.RCloseServiceHandleResponse()

    def _RQueryServiceStatus(self, request: svcctl.RQueryServiceStatus, caller: Caller) -> Any:
        name, access = caller.handles.get(request.sc_handle, ("", 0))
        if not name or not access & svcctl.SERVICE_QUERY_STATUS:
            return request.failed(codes.ERROR_ACCESS_DENIED if name else codes.ERROR_INVALID_HANDLE)
        found = self.windows.services.query(name)
        return svcctl.RQueryServiceStatusResponse(0x20, found.state, found.accepts, 0, 0, 0, found.wait_hint)

    def _RControlService(self, request: svcctl.RControlService, caller: Caller) -> Any:
        name, access = caller.handles.get(request.sc_handle, ("", 0))
        if not name or not access & svcctl.SERVICE_PAUSE_CONTINUE:
            return request.failed(codes.ERROR_ACCESS_DENIED if name else codes.ERROR_INVALID_HANDLE)
        status = self.windows.services.control(name, request.control)
        found = self.windows.services[name]
        answer = svcctl.RControlServiceResponse(0x20, found.state, found.accepts, 0, 0, 0, found.wait_hint)
        answer.status = status
        return answer


def _opened(caller: Caller, name: str, access: int) -> bytes:
    handle = bytes(4) + os.urandom(16)
    caller.handles[handle] = name, access
    return handle


def _same(asked: str | None, name: str | None) -> bool:
    """Whether a filter lets a name through: none, an empty one, or the same name in any case."""
    return not asked or asked.casefold() == (name or "").casefold()


def _size(entry: Any, levels: Levels[Any], level: int) -> int:
    """What an entry counts against the preferred maximum length: its structure, and the strings behind it."""
    values = [getattr(entry, name) for name, _ in levels.members(level)]
    return sum(4 + (2 * (len(value) + 1) if isinstance(value, str) else 0) for value in values)


# --- transport --------------------------------------------------------------------------------------------------------


class _Pipe:
    def __init__(self, name: str) -> None:
        self.handles: dict[bytes, tuple[str, int]] = {}  # of services: name (of the database: "") and rights
        self.rpc = RpcServer([srvsvc.SRVSVC if name == "srvsvc" else svcctl.SVCCTL])
        self.unread: deque[bytes] = deque()
        self.readers: deque[tuple[Request, int]] = deque()  # and how much they want

    def read(self, length: int) -> tuple[int, bytes] | None:
        if not self.unread:
            return None
        message = self.unread.popleft()
        if len(message) > length:
            self.unread.appendleft(message[length:])
            return codes.STATUS_BUFFER_OVERFLOW, message[:length]
        return codes.STATUS_SUCCESS, message


class _Session:
    def __init__(self, acceptor: Acceptor) -> None:
        self.acceptor = acceptor
        self.caller: Caller | None = None
        self.trees: set[int] = set()
        self.pipes: dict[bytes, _Pipe] = {}


class _Refused(Exception):
    def __init__(self, status: int) -> None:
        self.status = status


class _Connection(asyncio.Protocol):
    def __init__(self, server: ScriptedWindows) -> None:
        self.server = server
        windows = server.windows
        terms = Terms(
            server_guid=b"scripted windows",
            now_filetime=lambda: int((time.time() + windows.clock) * 10_000_000) + 116444736000000000,
            dialects=windows.dialects,
            ciphers=windows.ciphers,
            signing_algorithms=windows.signing_algorithms,
            signing_required=windows.signing_required,
            encryption=windows.encryption,
            security_blob=server.acceptor().hint_token(),
        )
        self.core = ServerConnection(terms, os.urandom)
        self.sessions: dict[int, _Session] = {}
        self.chained = CHAINED
        self.chained_tree = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        host = transport.get_extra_info("peername")[0]
        self.client_name = rf"\\[{host}]" if ":" in host else rf"\\{host}"
        self.server.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.server.connections.discard(self)
        for session_id in self.sessions:
            self.server.script.callers.pop(session_id, None)

    def data_received(self, data: bytes) -> None:
        try:
            for event in self.core.receive_data(data):
                if isinstance(event, RequestsReceived):
                    self._chain(event.requests)
        except RemoteProtocolError as error:
            self.server.complaints.append(str(error))
            self.flush()
            self.transport.close()
            return
        self.flush()

    def flush(self) -> None:
        self.transport.writelines(self.core.data_to_send())

    def _chain(self, requests: Sequence[Request]) -> None:
        responses = []
        if self.server.windows.hangs_up and len(requests) > 1:
            self.transport.close()
            return
        if self.server.windows.nonsense and len(requests) > 1:
            self.transport.write(b"\0\0\0\x07\xfeSMB\0\0\0")
            return
        for request in requests:
            if request.related:
                request.tree_id = self.chained_tree
            self.chained_tree = request.tree_id
            response = self._respond(request)
            if response is None:
                self.core.pending(request)  # a read of a pipe that has said nothing yet
            else:
                responses.append(response)
        if responses:
            if self.server.windows.asynchronous and requests[-1].command == smb2.SMB2_IOCTL:
                self.core.respond(responses[:-1])  # as smbd does: the last one alone may be waited for
                self.core.pending(requests[-1])
                responses = responses[-1:]
            self.core.respond(responses)
        for session_id in self.server.script.gone:
            self.server.forget(session_id)
        self.server.script.gone.clear()

    def _respond(self, request: Request) -> Response | None:
        if self.core.begin(request):
            return Response(request, request.status, None)
        if request.related and self.server.windows.related:
            return Response(request, self.server.windows.related, None)
        try:
            handler: Callable[[Request, Any], Response | None] = getattr(
                self, f"_{type(request.message).__name__}", self._unknown
            )
            return handler(request, request.message)
        except _Refused as refusal:
            return Response(request, refusal.status, None)

    def _unknown(self, request: Request, message: object) -> Response:
        raise _Refused(codes.STATUS_NOT_SUPPORTED)

    def _session(self, request: Request) -> _Session:
        session = self.sessions.get(request.session_id)
        if session is None or session.caller is None:
            raise _Refused(codes.STATUS_USER_SESSION_DELETED)
        if request.tree_id not in session.trees and request.command != smb2.SMB2_TREE_CONNECT:
            raise _Refused(codes.STATUS_NETWORK_NAME_DELETED)
        if self.server.windows.encrypted_pipes and session.trees and not request.encrypted:
            raise _Refused(codes.STATUS_ACCESS_DENIED)
        return session

    def _pipe(self, request: Request, file_id: bytes) -> tuple[_Session, _Pipe]:
        session = self._session(request)
        pipe = session.pipes.get(self.chained if file_id == CHAINED else file_id)
        if pipe is None:
            raise _Refused(codes.STATUS_FILE_CLOSED)
        return session, pipe

    def _EchoRequest(self, request: Request, message: messages.EchoRequest) -> Response:
        return Response(request, 0, messages.EchoResponse())

    def _SessionSetupRequest(self, request: Request, message: messages.SessionSetupRequest) -> Response:
        session_id = request.session_id or self.server.next_session_id()
        session = self.sessions.setdefault(session_id, _Session(self.server.acceptor()))
        step = session.acceptor.step(bytes(message.security_buffer), time.time() + self.server.windows.clock)
        if step.outcome is None:
            status = codes.STATUS_MORE_PROCESSING_REQUIRED
            return Response(request, status, messages.SessionSetupResponse(0, step.token), session_id=session_id)
        refused = step.outcome.status if isinstance(step.outcome, Refused) else self.server.windows.logon_status
        if refused or not isinstance(step.outcome, Accepted):
            del self.sessions[session_id]
            raise _Refused(refused)
        return self._log_on(request, session_id, session, step.outcome, step.token)

    def _log_on(self, request: Request, session_id: int, session: _Session, who: Accepted, token: bytes) -> Response:
        encrypt = self.server.windows.encryption == "required"
        session.caller = Caller(who.user_name, self.client_name, session_id)
        self.server.script.callers[session_id] = session.caller
        self.core.establish_session(
            session_id,
            who.session_key,
            request=request,
            sign=self.server.windows.signs and not who.anonymous,
            encrypt=encrypt,
        )
        flags = (smb2.SMB2_SESSION_FLAG_ENCRYPT_DATA if encrypt else 0) | (
            smb2.SMB2_SESSION_FLAG_IS_NULL if who.anonymous else 0
        )
        return Response(request, 0, messages.SessionSetupResponse(flags, token), session_id=session_id)

    def _LogoffRequest(self, request: Request, message: messages.LogoffRequest) -> Response:
        if request.session_id not in self.sessions:
            raise _Refused(codes.STATUS_USER_SESSION_DELETED)
        self.server.script.gone.append(request.session_id)
        return Response(request, 0, messages.LogoffResponse())

    def _TreeConnectRequest(self, request: Request, message: messages.TreeConnectRequest) -> Response:
        session = self._session(request)
        if not message.path.upper().endswith("\\IPC$") or not self.server.windows.ipc:
            raise _Refused(codes.STATUS_BAD_NETWORK_NAME)
        if "IPC$" in self.server.windows.refused:
            raise _Refused(self.server.windows.refused["IPC$"])
        self.chained_tree = tree_id = len(session.trees) + 1
        session.trees.add(tree_id)
        flags = 0x30 | (smb2.SMB2_SHAREFLAG_ENCRYPT_DATA if self.server.windows.encrypted_pipes else 0)
        answer = messages.TreeConnectResponse(smb2.SMB2_SHARE_TYPE_PIPE, flags, 0, 0x1F01FF)
        return Response(request, 0, answer, tree_id=tree_id)

    def _TreeDisconnectRequest(self, request: Request, message: messages.TreeDisconnectRequest) -> Response:
        self._session(request).trees.discard(request.tree_id)
        return Response(request, 0, messages.TreeDisconnectResponse())

    def _CreateRequest(self, request: Request, message: messages.CreateRequest) -> Response:
        session = self._session(request)
        name = message.name.lower()
        if name not in ("srvsvc", "svcctl"):
            raise _Refused(codes.STATUS_OBJECT_NAME_NOT_FOUND)
        if name in self.server.windows.refused:
            raise _Refused(self.server.windows.refused[name])
        self.chained = os.urandom(16)
        session.pipes[self.chained] = _Pipe(name if self.server.windows.interface else "svcctl")
        return Response(request, 0, messages.CreateResponse(file_attributes=0x80, file_id=self.chained))

    def _CloseRequest(self, request: Request, message: messages.CloseRequest) -> Response:
        session, pipe = self._pipe(request, message.file_id)
        session.pipes = {file_id: each for file_id, each in session.pipes.items() if each is not pipe}
        return Response(request, 0, messages.CloseResponse())

    def _WriteRequest(self, request: Request, message: messages.WriteRequest) -> Response:
        session, pipe = self._pipe(request, message.file_id)
        data = bytes(message.data)
        self._say(session, pipe, data)
        while pipe.readers and (found := pipe.read(pipe.readers[0][1])) is not None:
            status, output = found
            reader, _ = pipe.readers.popleft()
            self.core.respond([Response(reader, status, messages.ReadResponse(output))])
        return Response(request, 0, messages.WriteResponse(len(data)))

    def _ReadRequest(self, request: Request, message: messages.ReadRequest) -> Response | None:
        _, pipe = self._pipe(request, message.file_id)
        found = pipe.read(message.length)
        if found is None:
            pipe.readers.append((request, message.length))
            return None
        status, output = found
        return Response(request, status, messages.ReadResponse(output))

    def _IoctlRequest(self, request: Request, message: messages.IoctlRequest) -> Response | None:
        if message.ctl_code == smb2.FSCTL_VALIDATE_NEGOTIATE_INFO:
            answer = self.core.validate_negotiate_info(bytes(message.input))
            if answer is None:
                raise RemoteProtocolError("FSCTL_VALIDATE_NEGOTIATE_INFO does not fit")
            return Response(request, 0, messages.IoctlResponse(message.ctl_code, message.file_id, output=answer))
        if message.ctl_code != smb2.FSCTL_PIPE_TRANSCEIVE:
            raise _Refused(codes.STATUS_NOT_SUPPORTED)
        session, pipe = self._pipe(request, message.file_id)
        self._say(session, pipe, bytes(message.input))
        found = pipe.read(message.max_output_response)
        if found is None and self.server.windows.silent:
            return None
        status, output = found or (codes.STATUS_PIPE_EMPTY, b"")
        return Response(request, status, messages.IoctlResponse(message.ctl_code, message.file_id, output=output))

    def _say(self, session: _Session, pipe: _Pipe, data: bytes) -> None:
        """Give the endpoint what was written; what it answers can be read afterwards."""
        assert session.caller is not None
        for call in pipe.rpc.receive_data(data):
            try:
                session.caller.handles = pipe.handles
                asked = call.request()
                if type(asked) in self.server.windows.silent:
                    self.server.asked.append(asked)
                    continue
                answer = self.server.script.answer(asked, session.caller)
            except Fault as fault:
                pipe.rpc.fault(call, fault.status)
            except MalformedMessage:
                pipe.rpc.fault(call, codes.RPC_X_BAD_STUB_DATA)
            else:
                pipe.rpc.respond(call, answer.pack(call.ndr64))
        pipe.unread.extend(pipe.rpc.data_to_send())


class ScriptedWindows:
    """The server, listening on a port of the loopback interface: `async with`, or `running()` for code without a loop.

    `asked` are the srvsvc requests so far, `ended` and `closed` what was ended and closed by them; `complaints` say
    why connections were given up. Every user of the script has the same `password`.
    """

    host: Final = "127.0.0.1"

    def __init__(self, windows: Windows) -> None:
        self.windows = windows
        self.script = Script(windows)
        self.password = secrets.token_hex(8)
        self.port = 0
        self.complaints: list[str] = []
        self.connections: set[_Connection] = set()
        self._accounts = Accounts()
        for name in windows.users:
            self._accounts.add(name, self.password)
        self._last_session_id = 0x0000080400000000  # Windows' are large

    @property
    def asked(self) -> list[Any]:
        return self.script.asked

    @property
    def ended(self) -> list[SessionInfo]:
        return self.script.ended

    @property
    def closed(self) -> list[FileInfo]:
        return self.script.closed

    def acceptor(self) -> Acceptor:
        name = self.windows.info.name or ""
        version = struct.pack("<BBH3xB", 10 if self.windows.build >= 10240 else 6, 0, self.windows.build, 15)
        return Acceptor(
            self._accounts,
            server_name=name,
            dns_name=f"{name.lower()}.example",
            random=os.urandom,
            version=version,
            domain_name=self.windows.joined,
        )

    def next_session_id(self) -> int:
        self._last_session_id += 0x40000000000 + 1
        return self._last_session_id

    def forget(self, session_id: int) -> None:
        """End a live session of ours: the keys go, and its next request finds nothing."""
        self.script.callers.pop(session_id, None)
        for connection in self.connections:
            connection.sessions.pop(session_id, None)
            connection.core.forget_session(session_id)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), self.host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None
    ) -> None:
        self._server.close()
        for connection in list(self.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # so that the transports hear of it while the loop still runs

    @contextlib.contextmanager
    def running(self) -> Iterator[Self]:
        """Serve from a thread of its own, for tests of programs and of the blocking interface."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self.__aenter__(), loop).result()
            try:
                yield self
            finally:
                asyncio.run_coroutine_threadsafe(self.__aexit__(None, None, None), loop).result()
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
