"""What a connection has to send, handed to the kernel as it takes it.

asyncio's transport takes a copy of whatever the kernel does not take at once, and before Python 3.12 one more of all
that `writelines` is given. What waits here are the buffers themselves, and the kernel is given several in one call.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Final

from lanman.wire import Data

# How many buffers the kernel is given in one call; it takes no more than 1024 (IOV_MAX).
_AT_ONCE: Final = 64


class Outgoing:
    """The buffers that wait, and the non-blocking socket they go to. `size` is how many bytes the kernel has not taken.

    `send` and `go_on` raise OSError when the socket takes nothing any more.
    """

    __slots__ = ("_socket", "_waiting", "size")

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._waiting: list[Data] = []  # the last one is the next
        self.size = 0

    def send(self, parts: Sequence[Data]) -> None:
        """Send these buffers behind those that wait. They are not to change until they are sent."""
        if self._waiting:
            self._waiting[:0] = reversed(parts)
            self.size += sum(map(len, parts))
            return
        if len(parts) == 1:
            try:
                sent = self._socket.send(parts[0])
            except (BlockingIOError, InterruptedError):
                sent = 0
            self.size = len(parts[0]) - sent
            if self.size:
                self._waiting.append(memoryview(parts[0])[sent:])
            return
        self._waiting.extend(reversed(parts))
        self.size = sum(map(len, parts))
        self.go_on()

    def go_on(self) -> None:
        """Hand over until the kernel takes no more."""
        waiting = self._waiting
        while waiting:
            offered = waiting[: -_AT_ONCE - 1 : -1]
            try:
                sent = self._socket.sendmsg(offered)
            except (BlockingIOError, InterruptedError):
                return
            self.size -= sent
            for part in offered:
                if sent < len(part):
                    waiting[-1] = memoryview(part)[sent:]
                    return
                sent -= len(part)
                waiting.pop()

    def forget(self) -> None:
        """Nothing is to be sent any more."""
        self._waiting = []
        self.size = 0
