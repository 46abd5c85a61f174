"""The Server's end of the control socket.

A client that does not read its answers is not read from either, and its next call waits: what is kept for it is one
answer beside the transport's buffer.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar, cast

from lanman.errors import LanmanError, RemoteProtocolError
from lanman.net.audit import quoted
from lanman.net.control.calls import ControlEndpoint, ControlledServer
from lanman.net.control.peer import peer_of, user_name_of
from lanman.net.home import bind_unix
from lanman.net.listener import Listener, Protocols
from lanman.rpc.control import LANMAN
from lanman.rpc.ndr import Response
from lanman.rpc.srvsvc import SRVSVC
from lanman.rpc.svcctl import SVCCTL
from lanman.server.association import Association
from lanman.server.rights import Caller
from lanman.server.svcctl import ServiceControlEndpoint

log: Final = logging.getLogger("lanman.control")

R = TypeVar("R", bound=Response)

# Connections that may wait to be accepted, and that may be there at a time.
BACKLOG: Final = 128
MAX_CONNECTIONS: Final = 256

# How long a connection that is to end has for answers that its client has not read, in seconds.
DRAIN_TIMEOUT: Final = 5.0


class ControlServer:
    """The Server's end of the socket."""

    def __init__(self, path: Path, server: ControlledServer) -> None:
        self._path = path
        self._server = server
        self._listening: Listener | None = None
        self._protocols: Protocols | None = None
        self._connections: set[ControlProtocol] = set()

    async def start(self) -> None:
        """Listen. What an earlier Server left there is removed: the home's lock says that it is gone."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            bind_unix(listener, self._path)
            self._protocols = Protocols(lambda scarce: ControlProtocol(self._server, self))
            self._listening = Listener(
                listener,
                self._protocols,
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
        # Followers that wait are given the last events, which have just happened.
        self._server.scheduler.expire(self._server.tick())
        for connection in list(self._connections):
            connection.close()

    def _has_room(self) -> bool:
        coming = self._protocols.coming if self._protocols is not None else 0
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
        self._endpoint: ControlEndpoint
        self._association: Association
        self._full = False  # whether answers wait to be read
        self._next: Callable[[], None] | None = None  # what goes on when they have been
        self._drain_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: ask the kernel who it is, and give them an association with the interfaces."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        self._owner.opened(self)
        uid = peer_of(transport.get_extra_info("socket"))
        caller = Caller(user_name_of(uid), local_admin=uid in (0, os.geteuid()))
        if not caller.local_admin:
            log.warning("user %s has reached the control socket and has no rights there", quoted(caller.user_name))
        self._endpoint = ControlEndpoint(self._server)
        services = ServiceControlEndpoint(self._server.service, os.urandom)
        self._association = Association(
            [(SRVSVC, self._server.endpoint), (LANMAN, self._endpoint), (SVCCTL, services)],
            caller,
            self._server.scheduler,
        )
        self._association.on_answers = self._send
        self._association.failed = self._failed
        self._association.run_piece = self._run_piece

    def _send(self, answers: list[bytes]) -> None:
        """An answer has come that had to wait for the disk or for its turn."""
        if not self._transport.is_closing():
            self._transport.writelines(answers)

    def _failed(self, error: Exception) -> None:
        """An error of the Server's own, which ends this connection and no other."""
        log.error("control connection ended by an error in the server", exc_info=error)
        self._transport.abort()

    def _run_piece(self, piece: Callable[[], None]) -> None:
        """Go on with the calls, once the client has read what is answered already."""
        if self._full:
            self._next = piece
        else:
            piece()

    def pause_writing(self) -> None:
        """asyncio: the client does not read."""
        self._full = True
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """asyncio: it has read most of what was answered."""
        self._full = False
        if self._transport.is_closing():
            return
        self._transport.resume_reading()
        if self._next is not None:
            # As any piece of a task: in a turn of its own, in which nothing else runs.
            self._server.scheduler.timers.at(self._server.tick(), self._go_on)
            self._server.flush()

    def _go_on(self, now: float) -> None:
        """What waited until the client has read its answers."""
        piece, self._next = self._next, None
        if piece is None:
            return
        try:
            self._run_piece(piece)
        except Exception as error:  # noqa: BLE001 - whatever it is, it costs this connection and no other
            self._failed(error)

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
        """End the connection once its answers are sent, or when that takes too long."""
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._drain_timer = asyncio.get_running_loop().call_later(DRAIN_TIMEOUT, self._transport.abort)

    def connection_lost(self, error: Exception | None) -> None:
        """asyncio: the socket is closed."""
        if self._drain_timer is not None:
            self._drain_timer.cancel()
        self._next = None
        self._association.close()
        self._endpoint.close()
        self._owner.closed(self)
