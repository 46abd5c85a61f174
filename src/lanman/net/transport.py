"""A client's TCP connection as asyncio has transports, with less between it and its socket.

asyncio's own asks the system for addresses that are known, and takes a turn of the event loop to introduce itself to
its protocol, one to begin to read and one to end. Rules:

* It reads as soon as it is made. `connection_lost` is called once, within `close`, `abort`, a write or a turn of the
  loop, whichever ends the connection; the socket is closed then.
* What the system does not take at once is kept, without a bound: who asks is bounded by the server's credits.
* `close` waits for what is kept to be sent; `abort` drops it.
* Only on asyncio's own event loops that watch sockets. `connect` and `start` do on others what asyncio does.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from lanman.net.replies import Reply

T = TypeVar("T")

# As asyncio reads.
_READ_SIZE: Final = 256 * 1024
_SENDS_PIECES: Final = hasattr(socket.socket, "sendmsg")
# How many pieces the system takes in one call (IOV_MAX of Linux, macOS and the BSDs); more are an error (EMSGSIZE).
_PIECES_AT_ONCE: Final = 1024
# In place of the protocol of a connection that is over.
_OVER: Final = asyncio.Protocol()


async def connect(connection: socket.socket, where: Any) -> None:
    """Connect a socket, which does not block, to an address that needs no look-up. Raises OSError."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, asyncio.SelectorEventLoop):
        await loop.sock_connect(connection, where)
        return
    try:
        connection.connect(where)
    except (BlockingIOError, InterruptedError):
        reply: Reply[None] = Reply(loop)
        descriptor = connection.fileno()
        loop.add_writer(descriptor, _connected, connection, reply)
        try:
            await reply
        finally:
            loop.remove_writer(descriptor)


def _connected(connection: socket.socket, reply: Reply[None]) -> None:
    if reply.done():  # given up in this turn of the loop
        return
    if error := connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        reply.set_exception(OSError(error, os.strerror(error)))
    else:
        reply.set_result(None)
        reply.wake()


async def start(connection: socket.socket, protocol: asyncio.Protocol) -> None:
    """Have a connected socket, which does not block, served by a protocol. On failure the socket is the caller's."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, asyncio.SelectorEventLoop):
        protocol.connection_made(SocketTransport(loop, connection, protocol))
    else:  # uvloop's own is faster; Windows' has no readers
        await loop.create_connection(lambda: protocol, sock=connection)


class SocketTransport(asyncio.Transport):
    """The transport of one connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connection: socket.socket, protocol: asyncio.Protocol) -> None:
        self._loop = loop
        self._socket = connection
        self._descriptor = connection.fileno()
        self._protocol = protocol
        self._unsent: deque[bytes | memoryview] = deque()
        self._is_closing = False
        self._is_lost = False
        loop.add_reader(self._descriptor, self._read)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What is known of the connection: its `socket`, for options of it."""
        return self._socket if name == "socket" else default

    def is_closing(self) -> bool:
        """Whether it is closed, or will be when all is sent."""
        return self._is_closing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes, now or as soon as the system takes them. They are dropped when it is closing."""
        if self._is_closing:
            return
        sent = 0 if self._unsent else self._sent(self._socket.send, data)
        if sent < len(data) and not self._is_closing:
            self._keep(bytes(memoryview(data)[sent:]))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """The same of several pieces, which are not copied where the system takes them."""
        pieces = list(list_of_data)
        if self._is_closing or self._unsent or not _SENDS_PIECES:
            self.write(b"".join(pieces))
            return
        sent = self._sent(self._socket.sendmsg, pieces[:_PIECES_AT_ONCE])
        while pieces and sent >= len(pieces[0]):
            sent -= len(pieces.pop(0))
        if pieces and not self._is_closing:
            self._keep(b"".join((memoryview(pieces[0])[sent:], *pieces[1:])))

    def _sent(self, send: Callable[[T], int], data: T) -> int:
        """How many bytes the system takes now. The connection is closed where it has been lost."""
        try:
            return send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            self._lose(error)
            return 0

    def _keep(self, data: bytes) -> None:
        if not self._unsent:
            self._loop.add_writer(self._descriptor, self._write)
        self._unsent.append(data)

    def close(self) -> None:
        """Close it when all is sent."""
        if self._is_closing:
            return
        self._is_closing = True
        self._loop.remove_reader(self._descriptor)
        if not self._unsent:
            self._lose(None)

    def abort(self) -> None:
        """Close it now."""
        self._lose(None)

    def _read(self) -> None:
        try:
            data = self._socket.recv(_READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(error)
            return
        if not data:
            self.close()
            return
        protocol = self._protocol
        try:
            protocol.data_received(data)
        except Exception as error:  # noqa: BLE001 # a mistake in the protocol: said, and the end of its connection
            self._loop.call_exception_handler(
                {"message": "a protocol failed", "exception": error, "transport": self, "protocol": protocol}
            )
            self._lose(error)

    def _write(self) -> None:
        while self._unsent:
            data = self._unsent[0]
            sent = self._sent(self._socket.send, data)
            if self._is_lost:
                return
            if sent < len(data):
                self._unsent[0] = memoryview(data)[sent:]
                return
            self._unsent.popleft()
        self._loop.remove_writer(self._descriptor)
        if self._is_closing:
            self._lose(None)

    def _lose(self, error: Exception | None) -> None:
        if self._is_lost:
            return
        self._is_lost = True
        if not self._is_closing:
            self._is_closing = True
            self._loop.remove_reader(self._descriptor)
        if self._unsent:
            self._unsent.clear()
            self._loop.remove_writer(self._descriptor)
        self._socket.close()
        protocol, self._protocol = self._protocol, _OVER  # the two would be a cycle, for the collector to find
        protocol.connection_lost(error)
