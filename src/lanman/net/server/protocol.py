"""One connection's socket: bytes into and out of its `ConnectionDispatch`. It decides nothing.

What the event loop calls ends in `Shell.flush`, which sends, performs and sets the timer for all connections alike.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Hashable
from typing import Any, Final, Protocol

from lanman.net.audit import quoted
from lanman.server.dispatch import ConnectionDispatch

# Bytes that may wait to be sent to a peer before its next requests are left in the kernel.
WRITE_BUFFER: Final = 1024 * 1024

# How long a connection that is to end has for what is still to be sent, in seconds.
DRAIN_TIMEOUT: Final = 5.0


class Shell(Protocol):
    """What a connection's socket needs of the Server."""

    def admit(self, protocol: SmbProtocol, address: str, *, scarce: bool = False) -> ConnectionDispatch | None:
        """A new connection; None if there is no room for it."""

    def gone(self, connection: ConnectionDispatch) -> None:
        """A connection's transport is no more."""

    def say_of(self, address: str, kind: str, message: str, *values: object) -> None:
        """Log what a peer has brought about, once in a while."""

    def tick(self) -> float:
        """What time it is; dispatch is told."""

    def flush(self) -> None:
        """Do what whatever just happened has led to."""


# Where what has arrived is put first, unless much of its frame is there already. One for all connections, since
# each takes a copy of what is its own before the next is asked: what a peer says that it will send takes no memory.
_ARRIVALS: Final = memoryview(bytearray(256 * 1024))


class SmbProtocol(asyncio.BufferedProtocol):
    """One connection's socket. It decides nothing."""

    def __init__(self, server: Shell, *, scarce: bool = False) -> None:
        self._server = server
        self._scarce = scarce
        self._connection: ConnectionDispatch | None = None
        self._transport: asyncio.Transport
        self._closing = False
        self._in_place = False  # whether what comes next is put where it stays
        self._holds: set[str] = set()
        self._drain_timer: asyncio.TimerHandle | None = None
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: a client has connected; it is admitted, waits, or is refused."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=WRITE_BUFFER)
        if (sock := transport.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        address = peer_address(transport.get_extra_info("peername"))
        self._connection = self._server.admit(self, address, scarce=self._scarce)
        if self._connection is None:
            transport.abort()
        elif self._connection.waits:
            self.hold("admission")

    def get_buffer(self, sizehint: int) -> memoryview:
        """asyncio: where the next bytes go. In place where most of a frame has come, else into a buffer for all."""
        rest = self._connection.receive_buffer() if self._connection is not None and not self._closing else None
        self._in_place = rest is not None
        return _ARRIVALS if rest is None else rest

    def buffer_updated(self, nbytes: int) -> None:
        """asyncio: so many bytes have come."""
        connection = self._connection
        if connection is None or self._closing:
            return
        if self._in_place:
            connection.received(nbytes, self._server.tick())
            if connection.receive_buffer() is not None:
                return  # nothing has happened yet
        else:
            connection.receive_data(_ARRIVALS[:nbytes], self._server.tick())
        self._server.flush()

    def flush(self) -> None:
        """Send what there is; end the connection if it is to end."""
        connection = self._connection
        if connection is None or self._transport.is_closing():
            return
        if "admission" in self._holds and not connection.waits:
            self.release("admission")
        self._send(connection)
        if connection.finished is not None and not self._closing:
            violation = connection.violation  # what the peer said is in it, and so it is of one kind
            kind = (
                "connection ended by an error of the peer" if violation else f"connection ended, {connection.finished}"
            )
            message = "connection from %s ended: %s"
            if not connection.explained:
                self._server.say_of(connection.address, kind, message, connection.address, quoted(connection.finished))
            if connection.at_once:
                self.abort()
            else:
                self.close()
        elif connection.overloaded:
            self.hold("work")
        elif "work" in self._holds:
            self.release("work")

    def _send(self, connection: ConnectionDispatch) -> None:
        if data := connection.data_to_send():
            self._transport.writelines(data)
        connection.sent(self._transport.get_write_buffer_size(), self._server.tick())

    def close(self) -> None:
        """End it once all is sent, or when that takes too long."""
        if self._closing:
            return
        self._closing = True
        if self._connection is not None and not self._transport.is_closing():
            self._send(self._connection)
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._drain_timer = asyncio.get_running_loop().call_later(DRAIN_TIMEOUT, self._transport.abort)

    def abort(self) -> None:
        """End it now."""
        self._closing = True
        self._transport.abort()

    def is_of(self, source: Hashable) -> bool:
        """Whether this is the socket of the connection with that id."""
        return self._connection is not None and self._connection.connection_id == source

    def hold(self, why: str) -> None:
        """Leave the peer's next requests in the kernel for a while."""
        if not self._holds and not self._transport.is_closing():
            self._transport.pause_reading()
        self._holds.add(why)

    def release(self, why: str) -> None:
        """One reason less to wait."""
        self._holds.discard(why)
        if not self._holds and not self._closing:
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        """Much is to be sent that the kernel does not take yet. The peer is to read it first."""
        self.hold("answers")

    def resume_writing(self) -> None:
        """Most is sent."""
        self.release("answers")
        self.report_sent()
        self._server.flush()

    def report_sent(self) -> None:
        """Tell the connection how much the kernel has taken."""
        if self._connection is not None:
            self._connection.sent(self._transport.get_write_buffer_size(), self._server.tick())

    def connection_lost(self, error: Exception | None) -> None:
        """asyncio: the socket is closed."""
        if self._connection is not None:
            self._server.gone(self._connection)
            self._connection = None
        if self._drain_timer is not None:
            self._drain_timer.cancel()
        if not self.gone.done():
            self.gone.set_result(None)


def peer_address(peer: Any) -> str:
    """The address of a peer as text: no zone, and IPv4 as such even if it came in through an IPv6 socket."""
    host = str(peer[0]).partition("%")[0] if peer else "0.0.0.0"
    return host.removeprefix("::ffff:") if "." in host else host
