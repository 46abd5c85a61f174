"""Names to addresses: each name once, in a bounded number of threads, and nobody waits beyond its time.

The system's resolver cannot be interrupted. A thread that it holds is one thread less until it lets go; whoever waited
for it has gone on by then. Threads are daemons: the end of the process does not wait for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, Final

from lanman import codes
from lanman.errors import ConnectionLost

MAX_THREADS: Final = 32
MAX_REMEMBERED: Final = 50_000
"""Names whose addresses are kept: those that were asked for last."""

Resolve = Callable[[str], tuple[str, ...]]


def system_addresses(name: str) -> tuple[str, ...]:
    """What the system's resolver says, in its order of preference. Raises OSError and UnicodeError."""
    found: list[Any] = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    families = (socket.AF_INET, socket.AF_INET6)
    return tuple(dict.fromkeys(where[0] for family, _, _, _, where in found if family in families))


class Lookups:
    """Looks names up for all visits of a process; made and used on one event loop."""

    def __init__(self, *, threads: int = MAX_THREADS, resolve: Resolve = system_addresses) -> None:
        self._resolve = resolve
        self._max_threads = threads
        self._threads = 0
        self._idle = 0
        self._lock = threading.Condition()
        self._queue: deque[tuple[asyncio.AbstractEventLoop, str, asyncio.Future[tuple[str, ...]]]] = deque()
        self._known: OrderedDict[str, asyncio.Future[tuple[str, ...]]] = OrderedDict()
        self._closed = False
        self.asked = 0
        """How many names the resolver was asked for."""

    async def addresses(self, name: str, seconds: float) -> tuple[str, ...]:
        """The addresses of a name. Raises ConnectionLost (53) where there are none, or none in so many seconds."""
        key = name.casefold()
        future = self._known.get(key)
        if future is None:
            loop = asyncio.get_running_loop()
            future = self._known[key] = loop.create_future()
            self.asked += 1
            self._begin(loop, name, future)
        self._known.move_to_end(key)
        while len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)
        try:
            async with asyncio.timeout(seconds):
                found = await asyncio.shield(future)
        except TimeoutError:
            raise _unknown(name, f"its name was not resolved within {seconds:g} seconds") from None
        if not found:
            raise _unknown(name, "no host of that name is known")
        return found

    def close(self) -> None:
        """Look nothing up any more, and let the threads go."""
        with self._lock:
            self._closed = True
            self._queue.clear()
            self._lock.notify_all()

    def _begin(self, loop: asyncio.AbstractEventLoop, name: str, future: asyncio.Future[tuple[str, ...]]) -> None:
        with self._lock:
            self._queue.append((loop, name, future))
            if len(self._queue) > self._idle and self._threads < self._max_threads:
                self._threads += 1
                threading.Thread(target=self._work, name="lanman-lookups", daemon=True).start()
            self._lock.notify()

    def _work(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
                while not self._queue and not self._closed:
                    self._lock.wait()
                self._idle -= 1
                if self._closed:
                    return
                loop, name, future = self._queue.popleft()
            try:
                found = self._resolve(name)
            except (OSError, UnicodeError):
                found = ()
            with contextlib.suppress(RuntimeError):  # the loop is closed by now
                loop.call_soon_threadsafe(_deliver, future, found)


def _deliver(future: asyncio.Future[tuple[str, ...]], found: tuple[str, ...]) -> None:
    if not future.done():
        future.set_result(found)


def _unknown(name: str, why: str) -> ConnectionLost:
    return ConnectionLost(
        why, code=codes.ERROR_BAD_NETPATH, hint="check the spelling, or give the server's address", server=name
    )
