"""The control socket: how the machine's own people talk to their Server without a password.

A Unix-domain stream socket in the Server's home. It carries DCE/RPC PDUs one after the other, the same calls to the
same endpoint as `\\PIPE\\srvsvc`, and one small interface of our own for what MS-SRVS has no call for: stop, and read
the configuration again.

Who may: root, and the user that the Server runs as. They own what the Server owns, so there is nothing to protect
from them; the kernel says who they are. The socket admits no other user (mode 0600 in a folder of 0700); if that was
loosened, other users have no rights there: the endpoint refuses what needs them, and the interface of our
own answers fault 5.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar

from lanman import codes
from lanman.domain import ServerService, Session
from lanman.errors import AccessDenied, ConnectionLost, LanmanError, RemoteProtocolError, Win32Error
from lanman.net.audit import quoted
from lanman.net.exchange import next_event, response_of
from lanman.net.home import bind_unix, connect_unix
from lanman.net.listener import Listener
from lanman.net.logs import Journal
from lanman.records import SessionDetails, ShareDetails, ShareProblem
from lanman.rpc.client import BindAccepted, RpcClient
from lanman.rpc.client import Event as RpcEvent
from lanman.rpc.control import LANMAN, GetSessionDetails, GetShareDetails, GetShareProblems, Reload, Stop
from lanman.rpc.ndr import Call, Response
from lanman.rpc.srvsvc import SRVSVC
from lanman.server.association import Association
from lanman.server.rights import Caller
from lanman.server.scheduler import Scheduler
from lanman.server.srvsvc.endpoint import ServerServiceEndpoint

log: Final = logging.getLogger("lanman.control")

R = TypeVar("R", bound=Response)

READ_SIZE: Final = 256 * 1024

# Connections that may wait to be accepted, and that may be there at a time.
BACKLOG: Final = 128
MAX_CONNECTIONS: Final = 256

# After how many seconds a full socket is tried again.
CONNECT_AGAIN: Final = 0.02


class ServerNotStarted(LanmanError):
    """No Server listens on that control socket."""

    code = codes.NERR_ServerNotStarted

    def __init__(self, path: Path) -> None:
        super().__init__(
            "The Server service is not started.",
            hint=f"Nobody listens at {path}. Start it with `lanman start server`.",
        )


def peer_of(sock: socket.socket) -> int:
    """The user id of the process at the other end of a Unix-domain socket, by the kernel's word."""
    if sys.platform == "darwin":
        # struct xucred (sys/ucred.h) is what getpeereid() reads: version, uid, number of groups, 16 groups.
        SOL_LOCAL, LOCAL_PEERCRED = 0, 0x001
        version, uid = struct.unpack_from("=II", sock.getsockopt(SOL_LOCAL, LOCAL_PEERCRED, 76))
        if version != 0:
            raise OSError("the kernel's peer credentials are of a version that is not known")
        return int(uid)
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])


def user_name_of(uid: int) -> str:
    """The name of a user of this machine; its number where it has none."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


class ControlledServer(Protocol):
    """What the control socket needs of the Server."""

    @property
    def service(self) -> ServerService:
        """The domain."""

    @property
    def endpoint(self) -> ServerServiceEndpoint:
        """What answers the calls of srvsvc."""

    @property
    def scheduler(self) -> Scheduler:
        """What runs its calls."""

    @property
    def journal(self) -> Journal:
        """What says once in a while what would otherwise be said very often."""

    def tick(self) -> float:
        """What time it is; dispatch is told."""

    def flush(self) -> None:
        """Do what whatever just happened has led to."""

    def reload(self) -> None:
        """Read the configuration again. Raises ConfigurationError."""

    def request_stop(self) -> None:
        """Have the Server stop."""


class ControlServer:
    """The Server's end of the socket."""

    def __init__(self, path: Path, server: ControlledServer) -> None:
        self._path = path
        self._server = server
        self._listening: Listener | None = None
        self._connections: set[ControlProtocol] = set()

    async def start(self) -> None:
        """Listen. What an earlier Server left there is removed: the home's lock says that it is gone."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            bind_unix(listener, self._path)
            self._listening = Listener(
                listener,
                lambda scarce: ControlProtocol(self._server, self),
                backlog=BACKLOG,
                has_room=self._has_room,
                paused=self._paused,
            )
        except OSError as error:
            listener.close()
            raise LanmanError(f"{self._path}: {error.strerror}") from None

    def close(self) -> None:
        """Listen no more, and end what is connected once it has its answers."""
        if self._listening is not None:
            self._listening.close()
            self._path.unlink(missing_ok=True)
        for connection in list(self._connections):
            connection.close()

    def _has_room(self) -> bool:
        coming = self._listening.coming if self._listening is not None else 0
        return len(self._connections) + coming < MAX_CONNECTIONS

    def _paused(self, why: str) -> None:
        reason = why or f"there are {MAX_CONNECTIONS} control connections"
        self._server.journal.say(log, logging.WARNING, "control pauses", "", "the control socket pauses: %s", reason)

    def opened(self, connection: ControlProtocol) -> None:
        """Count a connection that has come."""
        self._connections.add(connection)

    def closed(self, connection: ControlProtocol) -> None:
        """Forget a connection that has gone, and accept others if accepting had paused."""
        self._connections.discard(connection)
        if self._listening is not None:
            self._listening.resume()


class ControlProtocol(asyncio.Protocol):
    """One conversation on the control socket."""

    def __init__(self, server: ControlledServer, owner: ControlServer) -> None:
        self._server = server
        self._owner = owner
        self._transport: asyncio.Transport
        self._association: Association

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: ask the kernel who it is, and give them an association with both interfaces."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._owner.opened(self)
        uid = peer_of(transport.get_extra_info("socket"))
        caller = Caller(user_name_of(uid), local_admin=uid in (0, os.geteuid()))
        if not caller.local_admin:
            log.warning("user %s has reached the control socket and has no rights there", quoted(caller.user_name))
        self._association = Association(
            [(SRVSVC, self._server.endpoint), (LANMAN, ControlEndpoint(self._server))], caller, self._server.scheduler
        )
        self._association.say = self._say
        self._association.failed = self._failed

    def _say(self, answers: list[bytes]) -> None:
        """An answer has come that had to wait for the disk or for its turn."""
        if not self._transport.is_closing():
            self._transport.writelines(answers)

    def _failed(self, error: Exception) -> None:
        """An error of the Server's own, which ends this connection and no other."""
        log.error("control connection ended by an error in the server", exc_info=error)
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """asyncio: answer the calls in these bytes. What is no RPC ends the connection."""
        self._server.tick()
        try:
            self._transport.writelines(self._association.receive_data(data))
        except RemoteProtocolError as error:
            log.warning("control connection ended: %s", quoted(str(error)))
            self._transport.abort()
        except Exception as error:  # noqa: BLE001 - whatever it is, it costs this connection and no other
            self._failed(error)
        self._server.flush()

    def close(self) -> None:
        """End the connection once its answers are sent."""
        self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """asyncio: the socket is closed."""
        self._association.close()
        self._owner.closed(self)


class ControlEndpoint:
    """What answers the control interface."""

    def __init__(self, server: ControlledServer) -> None:
        self._server = server

    def refuses(self, caller: Caller, call: type[Call[Any]], level: int | None) -> int:
        """Who is no administrator of the machine may make none of these calls."""
        return 0 if caller.local_admin else codes.ERROR_ACCESS_DENIED

    def call(self, caller: Caller, request: Any, now: float) -> Any:
        """Answer a call of the control interface. `now` is in seconds of the event loop."""
        if isinstance(request, Stop):
            # The answer leaves before anything is taken down.
            asyncio.get_running_loop().call_later(request.grace, self._server.request_stop)
            return request.failed(codes.ERROR_SUCCESS)
        if isinstance(request, Reload):
            return request.failed(self._reload())
        if request.level != 0:
            return request.failed(codes.ERROR_INVALID_LEVEL)
        if isinstance(request, GetShareProblems):
            shares = self._server.service.shares()
            return request.response(0, [ShareProblem(each.name, each.problem) for each in shares if each.problem], 0)
        if isinstance(request, GetShareDetails):
            shares = self._server.service.shares()
            return request.response(0, [ShareDetails(share.name, share.guest) for share in shares], 0)
        assert isinstance(request, GetSessionDetails)
        return request.response(0, [_details(session) for session in self._server.service.sessions()], 0)

    def _reload(self) -> int:
        try:
            self._server.reload()
        except LanmanError as error:
            log.error("the configuration is not read again: %s", quoted(error.message))
            return codes.ERROR_INVALID_DATA
        return codes.ERROR_SUCCESS


def _details(session: Session) -> SessionDetails:
    return SessionDetails(
        global_id=session.global_id,
        client_name=session.client_name,
        user_name=session.user_name,
        domain=session.domain,
        address=session.address,
        dialect=session.dialect,
        signing=session.signing,
        encryption=session.encryption,
        groups=", ".join(sorted(session.groups)),
        anonymous=session.anonymous,
        guest=session.guest,
    )


# --- the other end


class ControlClient:
    """A connection to the control socket of the Server of a home.

        async with ControlClient(home.control) as client:
            answer = await client.call(NetrSessionEnum(None, None, None, 502))

    One call is under way at a time. Entering raises ServerNotStarted where nobody listens and AccessDenied where the
    socket may not be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sock: socket.socket | None = None
        self._busy = asyncio.Lock()
        self._rpc = RpcClient()

    async def __aenter__(self) -> Self:
        self._sock = await self._connect()
        try:
            await self._bind()
        except BaseException:
            self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection. May be called twice."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    async def _connect(self) -> socket.socket:
        # Linux lets connect() on a Unix-domain socket wait while the backlog is full, or says EAGAIN where it may not
        # wait, and does not report when there is room again. The caller's deadline ends this.
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            while True:
                try:
                    connect_unix(sock, self._path)
                    break
                except BlockingIOError:
                    await asyncio.sleep(CONNECT_AGAIN)
            self._check_peer(peer_of(sock))
        except AccessDenied:
            sock.close()
            raise
        except PermissionError:
            sock.close()
            raise AccessDenied(
                f"{self._path}: access denied",
                hint="Only root and the user that the Server runs as may use its control socket.",
            ) from None
        except OSError:
            sock.close()
            raise ServerNotStarted(self._path) from None
        except BaseException:
            sock.close()
            raise
        return sock

    def _check_peer(self, uid: int) -> None:
        """Believe root, ourselves and the home's owner: others may have put a socket where a Server's is expected, and
        would tell us what they like. Raises AccessDenied and OSError."""
        if uid not in (0, os.geteuid(), os.stat(self._path.parent).st_uid):
            raise AccessDenied(
                f"{self._path}: what listens there belongs to {user_name_of(uid)}, and not to the owner of the home",
                hint="No Server of this home has made it. Look at who may write there, and remove it.",
            )

    async def _bind(self) -> None:
        for interface in (SRVSVC, LANMAN):
            event = await self._exchange([self._rpc.bind(interface)])
            if not isinstance(event, BindAccepted):
                raise RemoteProtocolError(f"{self._path}: what listens there is not a Server of this version")

    async def call(self, request: Call[R]) -> R:
        """Make a call of srvsvc or of the control interface. Raises ConnectionLost, and Win32Error for a fault."""
        async with self._busy:
            event = await self._exchange(self._rpc.call(request))
        return await response_of(request, event)

    async def _exchange(self, pdus: list[bytes]) -> RpcEvent:
        if self._sock is None:
            raise ConnectionLost(f"{self._path}: the connection is closed")
        try:
            await asyncio.get_running_loop().sock_sendall(self._sock, b"".join(pdus))
            return await next_event(self._rpc, b"", self._receive)
        except LanmanError:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise ConnectionLost(f"{self._path}: {error.strerror}") from None
        except BaseException:
            # Half an answer may be on its way: the connection is of no more use.
            self.close()
            raise

    async def _receive(self) -> bytes:
        assert self._sock is not None
        data = await asyncio.get_running_loop().sock_recv(self._sock, READ_SIZE)
        if not data:
            raise ConnectionLost(f"{self._path}: the Server has closed the connection")
        return data

    async def stop(self, grace: int = 0) -> None:
        """Have the Server stop in so many seconds. Returns when it has been told. Raises AccessDenied."""
        _check((await self.call(Stop(grace))).status)

    async def reload(self) -> None:
        """Have the Server read its configuration again. Raises AccessDenied, and Win32Error for a mistake in it."""
        _check((await self.call(Reload())).status)

    async def session_details(self) -> list[SessionDetails]:
        """What the Server knows of its sessions beyond MS-SRVS, in NetrSessionEnum's order. Raises AccessDenied."""
        answer = await self.call(GetSessionDetails())
        _check(answer.status)
        return answer.entries or []

    async def share_details(self) -> list[ShareDetails]:
        """What the Server knows of its shares beyond MS-SRVS. Raises AccessDenied, and Win32Error where a Server of an
        older version does not know the call."""
        answer = await self.call(GetShareDetails())
        _check(answer.status)
        return answer.entries or []

    async def share_problems(self) -> list[ShareProblem]:
        """The shares that cannot be used as things are. Raises AccessDenied."""
        answer = await self.call(GetShareProblems())
        _check(answer.status)
        return answer.entries or []


def _check(status: int) -> None:
    if status == codes.ERROR_ACCESS_DENIED:
        raise AccessDenied(hint="Only root and the user that the Server runs as may do that.")
    if status == codes.ERROR_INVALID_DATA:
        raise Win32Error(status, hint="The Server goes on as before; its log names the line of server.toml.")
    if status:
        raise Win32Error(status)
