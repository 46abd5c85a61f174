"""Accepting connections, as many as there is room for.

asyncio's own accepting goes on when descriptors run out, with a traceback each time. This one asks first whether there
is room, leaves new connections in the kernel's queue while there is none, and goes on when there is some again.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any, Final

# How many connections are accepted in one turn of the event loop, when so many come.
AT_ONCE: Final = 64

# When to look again, in seconds, if nothing says before that there is room.
RETRY: Final = 1.0

_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


Taker = Callable[[socket.socket, Any, bool], None]
"""What is given each connection: its socket, which is non-blocking and the taker's from now on; its peer's address; and
whether descriptors run out."""


class Protocols:
    """A Taker that has asyncio make a transport of each connection; `make(scarce)` gives its protocol."""

    def __init__(self, make: Callable[[bool], asyncio.BaseProtocol]) -> None:
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def coming(self) -> int:
        """How many have been accepted and have no protocol yet."""
        return len(self._tasks)

    def __call__(self, sock: socket.socket, address: Any, scarce: bool) -> None:
        """Have a transport made of an accepted connection."""
        task = self._loop.create_task(self._connect(sock, scarce))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, sock: socket.socket, scarce: bool) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: self._make(scarce), sock)
        except OSError:
            sock.close()  # it has gone already


class Listener:
    """Accepts on one bound socket, which it owns.

    `has_room()` says whether to accept at all; `take` is given each connection, `scarce` if its descriptor is numbered
    `scarce_from` or above; `paused(why)` is told when accepting pauses.
    """

    def __init__(
        self,
        sock: socket.socket,
        take: Taker,
        *,
        backlog: int,
        has_room: Callable[[], bool] = lambda: True,
        paused: Callable[[str], None] = lambda why: None,
        scarce_from: int = 1 << 31,
    ) -> None:
        self._sock = sock
        self._take = take
        self._has_room = has_room
        self._paused = paused
        self._scarce_from = scarce_from
        self._loop = asyncio.get_running_loop()
        self._retry: asyncio.TimerHandle | None = None
        self._closed = False
        self._at_once = 1  # how many to accept before others have their turn: more only while more are found
        sock.setblocking(False)
        sock.listen(backlog)
        self._loop.add_reader(sock.fileno(), self._ready)

    @property
    def is_paused(self) -> bool:
        """Whether it accepts no connections for now."""
        return self._retry is not None

    def resume(self) -> None:
        """There may be room again."""
        if self._retry is not None and not self._closed:
            self._retry.cancel()
            self._retry = None
            self._loop.add_reader(self._sock.fileno(), self._ready)

    def close(self) -> None:
        """Listen no more. May be called twice."""
        if self._closed:
            return
        if self._retry is not None:
            self._retry.cancel()
        else:
            self._loop.remove_reader(self._sock.fileno())
        self._closed = True
        self._sock.close()

    def _ready(self) -> None:
        for _ in range(self._at_once):
            if not self._has_room():
                return self._pause("")
            try:
                sock, address = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                self._at_once = 1
                return None
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    return self._pause((error.strerror or "no resources").lower())
                continue  # that one has gone already
            sock.setblocking(False)
            self._take(sock, address, sock.fileno() >= self._scarce_from)
        self._at_once = min(2 * self._at_once, AT_ONCE)
        return None

    def _pause(self, why: str) -> None:
        self._loop.remove_reader(self._sock.fileno())
        self._retry = self._loop.call_later(RETRY, self.resume)
        self._paused(why)
