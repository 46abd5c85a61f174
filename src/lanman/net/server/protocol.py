"""One connection's socket: bytes into and out of its `ConnectionDispatch`.

The rules:

* It decides nothing.
* What the event loop calls ends in `Shell.flush`, which sends, performs and sets the timer for all connections alike.
* What has arrived is put into one buffer for all connections of a Server, or where it stays (`Arrivals`).
* Reading pauses as long as there is a reason (`Hold`).
* The loop says when there is something to read, and when there is room again for what is to be sent; what is done then
  is done here. A transport of asyncio's would take two more turns of the loop for each connection, six more system
  calls, and the memory of five objects. So it is on every loop that has `add_reader`.
* A socket is closed in the very turn in which it is to be, and the Server is told of it at the end of `Shell.flush`.
"""

from __future__ import annotations

import asyncio
import socket
from enum import IntFlag
from typing import Any, Final, Protocol

from lanman.net.audit import quoted
from lanman.net.server.outgoing import Outgoing
from lanman.server.dispatch import ConnectionDispatch

# Bytes that may wait to be sent to a peer before its next requests are left in the kernel, and how few it has to be
# again before they are read.
WRITE_BUFFER: Final = 1024 * 1024
_FEW_UNSENT: Final = WRITE_BUFFER // 4

# How long a connection that is to end has for what is still to be sent, in seconds.
DRAIN_TIMEOUT: Final = 5.0


class Arrivals:
    """Where what has arrived is put first, unless much of its frame is there already. One for all connections of a
    Server, which are one thread's, since each takes a copy of what is its own before the next is asked: what a peer
    says that it will send takes no memory."""

    __slots__ = ("all", "few")

    def __init__(self) -> None:
        self.all: Final = memoryview(bytearray(256 * 1024))
        # As much of it as a connection is given on which nobody has logged on: a crowd of these that pours takes so
        # little time for each in one turn of the event loop. Nobody has to say more before a log-on than fits into a
        # frame or two.
        self.few: Final = self.all[: 16 * 1024]


class Shell(Protocol):
    """What a connection's socket needs of the Server."""

    @property
    def arrivals(self) -> Arrivals:
        """Where bytes are put first."""

    def admit(self, protocol: SmbProtocol, address: str, *, scarce: bool = False) -> ConnectionDispatch | None:
        """A new connection; None if there is no room for it."""

    def ended(self, protocol: SmbProtocol) -> None:
        """A connection's socket is closed; by the end of the next `flush` the Server has forgotten it."""

    def gone(self, connection: ConnectionDispatch) -> None:
        """A connection's socket is no more."""

    def say_of(self, address: str, kind: str, message: str, *values: object) -> None:
        """Log what a peer has brought about, once in a while."""

    def tick(self) -> float:
        """What time it is; dispatch is told."""

    def flush(self) -> None:
        """Do what whatever just happened has led to."""


class Hold(IntFlag):
    """Why a peer's next requests are left in the kernel for a while."""

    ADMISSION = 1  # there is no place for it yet
    WORK = 2  # it has brought more than could be begun so far
    ANSWERS = 4  # much is to be sent that it does not read
    DISK = 8  # it has brought more than the disks keep up with


# As plain numbers, which are compared for each answer.
_ADMISSION: Final = int(Hold.ADMISSION)
_WORK: Final = int(Hold.WORK)
_ANSWERS: Final = int(Hold.ANSWERS)


class SmbProtocol:
    """One connection's socket, non-blocking, which is its own from now on. It decides nothing."""

    # There are thousands.
    __slots__ = (
        "_closing",
        "_connection",
        "_drain_timer",
        "_holds",
        "_loop",
        "_outgoing",
        "_server",
        "_writing",
        "socket",
    )

    def __init__(self, server: Shell, sock: socket.socket, peer: Any, *, scarce: bool = False) -> None:
        """A client has connected; it is admitted, waits, or is refused. `peer` is its address as `accept` gives it."""
        self._server = server
        self._loop = asyncio.get_running_loop()
        self.socket = sock
        self._outgoing = Outgoing(sock)
        self._closing = False
        self._writing = False  # whether the loop is to tell when the kernel takes something again
        self._holds = 0
        self._drain_timer: asyncio.TimerHandle | None = None
        self._connection: ConnectionDispatch | None = None
        self._connection = connection = server.admit(self, peer_address(peer), scarce=scarce)
        if connection is None:
            self._closing = True
            sock.close()
        elif connection.waits:
            self._holds = _ADMISSION
        else:
            self._loop.add_reader(sock.fileno(), self._readable)

    @property
    def is_reading(self) -> bool:
        """Whether what comes is taken."""
        return not self._holds and not self._closing

    def _readable(self) -> None:
        """The loop: something has come, or the peer has hung up."""
        connection = self._connection
        if connection is None or self._closing:
            return
        try:
            if not self._receive(connection):
                return  # nothing has happened yet
        except Exception as error:  # noqa: BLE001 # a mistake of ours, or no memory for a frame: it costs this connection
            connection.fail(error)
        self._server.flush()

    def _receive(self, connection: ConnectionDispatch) -> bool:
        """Take what has come. Whether anything follows from it."""
        server = self._server
        rest = connection.receive_buffer()
        arrivals = server.arrivals
        try:
            if rest is not None:
                count = self.socket.recv_into(rest)
            else:
                count = self.socket.recv_into(arrivals.all if connection.channels else arrivals.few)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            count = -1  # it is no more
        if count <= 0:
            if count or not self._outgoing.size:
                self.abort()
            else:
                self.close()
        elif rest is None:
            connection.receive_data(arrivals.all[:count], server.tick())
        else:
            connection.received(count, server.tick())
            return connection.receive_buffer() is None
        return True

    def flush(self) -> None:
        """Send what there is; end the connection if it is to end."""
        connection = self._connection
        if connection is None or self._closing:
            return
        if self._holds & _ADMISSION and not connection.waits:
            self.release(Hold.ADMISSION)
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
            self.hold(Hold.WORK)
        elif self._holds & _WORK:
            self.release(Hold.WORK)

    def _send(self, connection: ConnectionDispatch) -> None:
        outgoing = self._outgoing
        data = connection.data_to_send()
        if data:
            try:
                outgoing.send(data)
            except OSError:
                self.abort()
                return
        elif not outgoing.size:
            return
        left = outgoing.size
        if not left:
            connection.all_sent()  # as mostly; when that was, nobody asks
            return
        connection.sent(left, self._server.tick())
        if not self._writing:
            self._writing = True
            self._loop.add_writer(self.socket.fileno(), self._writable)
        if left > WRITE_BUFFER:
            self.hold(Hold.ANSWERS)

    def close(self) -> None:
        """End it once all is sent, or when that takes too long."""
        if self._closing:
            return
        if self._connection is not None:
            self._send(self._connection)
            if self._closing:
                return  # the peer has gone meanwhile
        self._stop_reading()
        self._closing = True
        if self._outgoing.size:
            self._drain_timer = self._loop.call_later(DRAIN_TIMEOUT, self._took_too_long)
        else:
            self._end()

    def abort(self) -> None:
        """End it now."""
        self._stop_reading()
        self._closing = True
        self._end()

    def _took_too_long(self) -> None:
        self._end()
        self._server.flush()

    def _end(self) -> None:
        """Close the socket."""
        if self.socket.fileno() < 0:
            return
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self.socket.fileno())
        self.socket.close()
        self._outgoing.forget()
        if self._drain_timer is not None:
            self._drain_timer.cancel()
        self._server.ended(self)

    def lost(self) -> None:
        """Have the Server forget it."""
        if (connection := self._connection) is not None:
            self._connection = None
            self._server.gone(connection)

    def hold(self, why: Hold) -> None:
        """Leave the peer's next requests in the kernel for a while."""
        self._stop_reading()
        self._holds |= int(why)

    def release(self, why: Hold) -> None:
        """One reason less to wait."""
        if self._holds & why:
            self._holds &= ~int(why)
            if not self._holds and not self._closing:
                self._loop.add_reader(self.socket.fileno(), self._readable)

    def _stop_reading(self) -> None:
        if not self._holds and not self._closing:
            self._loop.remove_reader(self.socket.fileno())

    def _writable(self) -> None:
        """The loop: the kernel takes something again."""
        try:
            self._outgoing.go_on()
        except OSError:
            self.abort()
        else:
            self._has_written()
        self._server.flush()

    def _has_written(self) -> None:
        left = self._outgoing.size
        self.report_sent()
        if not left:
            self._writing = False
            self._loop.remove_writer(self.socket.fileno())
            if self._closing:
                self._end()
        if left <= _FEW_UNSENT and self._holds & _ANSWERS:
            self.release(Hold.ANSWERS)

    def report_sent(self) -> None:
        """Tell the connection how much the kernel has taken."""
        if self._connection is not None:
            self._connection.sent(self._outgoing.size, self._server.tick())


def peer_address(peer: Any) -> str:
    """The address of a peer as text: no zone, and IPv4 as such even if it came in through an IPv6 socket."""
    host = str(peer[0]).partition("%")[0] if peer else "0.0.0.0"
    return host.removeprefix("::ffff:") if "." in host else host
