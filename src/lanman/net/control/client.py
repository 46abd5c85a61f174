"""A connection to the control socket of this machine's Server."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from lanman import codes
from lanman.errors import AccessDenied, ConnectionLost, LanmanError, RemoteProtocolError, Win32Error
from lanman.net.control.peer import peer_of, user_name_of
from lanman.net.exchange import next_event, response_of
from lanman.net.home import connect_unix
from lanman.records import FileDetails, PortionDetails, RefusalDetails, SessionDetails, ShareDetails, ShareProblem
from lanman.rpc.client import BindAccepted, RpcClient
from lanman.rpc.client import Event as RpcEvent
from lanman.rpc.control import (
    LANMAN,
    GetFileDetails,
    GetPortions,
    GetRefusals,
    GetSessionDetails,
    GetShareDetails,
    GetShareProblems,
    Reload,
    Stop,
)
from lanman.rpc.ndr import Call, Interface, Response
from lanman.rpc.srvsvc.interface import SRVSVC

R = TypeVar("R", bound=Response)

READ_SIZE: Final = 256 * 1024

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
        self._further: set[Interface] = set()

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

    async def bind(self, interface: Interface) -> None:
        """Agree on one more interface, once. Raises Win32Error 1717 where the Server does not know it."""
        async with self._busy:
            if interface in self._further:
                return
            event = await self._exchange([self._rpc.bind(interface)])
            if not isinstance(event, BindAccepted):
                message = f"{self._path}: the Server was started by a version of lanman that has no {interface.name}"
                raise Win32Error(codes.RPC_S_UNKNOWN_IF, message, hint="Start it again.")
            self._further.add(interface)

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
        answer = await self.call(GetSessionDetails(1))
        if answer.status == codes.ERROR_INVALID_LEVEL:  # a Server of an older version
            answer = await self.call(GetSessionDetails(0))
        _check(answer.status)
        return answer.entries or []

    async def share_details(self) -> list[ShareDetails]:
        """What the Server knows of its shares beyond MS-SRVS. Raises AccessDenied, and Win32Error where a Server of an
        older version does not know the call."""
        answer = await self.call(GetShareDetails())
        _check(answer.status)
        return answer.entries or []

    async def file_details(self) -> list[FileDetails]:
        """What the Server knows of open files beyond MS-SRVS. Raises AccessDenied, and Win32Error where a Server of an
        older version does not know the call."""
        answer = await self.call(GetFileDetails())
        _check(answer.status)
        return answer.entries or []

    async def share_problems(self) -> list[ShareProblem]:
        """The shares that cannot be used as things are. Raises AccessDenied."""
        answer = await self.call(GetShareProblems())
        _check(answer.status)
        return answer.entries or []

    async def refusals(self) -> list[RefusalDetails]:
        """Who was refused lately, the most recent first. Raises AccessDenied, and Win32Error where a Server of an older
        version does not know the call."""
        answer = await self.call(GetRefusals())
        _check(answer.status)
        return answer.entries or []

    async def portions(self) -> tuple[str, list[PortionDetails]]:
        """The event loop that the Server runs on, and what its users share. Raises AccessDenied, and Win32Error where a
        Server of an older version does not know the call."""
        answer = await self.call(GetPortions())
        _check(answer.status)
        return answer.loop or "", answer.entries or []


def _check(status: int) -> None:
    if status == codes.ERROR_ACCESS_DENIED:
        raise AccessDenied(hint="Only root and the user that the Server runs as may do that.")
    if status == codes.ERROR_INVALID_DATA:
        raise Win32Error(status, hint="The Server goes on as before; its log names the line of server.toml.")
    if status:
        raise Win32Error(status)
