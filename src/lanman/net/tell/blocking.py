"""Libraries that block, with an absolute deadline: a thread that need not come to an end, and a way to end its wait.

The time-outs of such libraries are of each step: a peer that sends one byte at a time would never reach them. So what
is late is told to `abort`, which shuts its socket down, and nobody waits for its thread any longer; it is a daemon, so
the program may end while it still waits for a name server.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T], seconds: float, abort: Callable[[], None]) -> T:
    """The result of `work` in a thread of its own. Raises what it raises, and TimeoutError after so many seconds."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        try:
            outcome: tuple[T | None, BaseException | None] = (work(), None)
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is awaited
            outcome = (None, error)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, *outcome)

    threading.Thread(target=run, name="lanman-tell", daemon=True).start()
    try:
        async with asyncio.timeout(seconds):
            return await future
    except (TimeoutError, asyncio.CancelledError):
        abort()
        raise


def shut_down(connection: socket.socket | None) -> None:
    """End what waits for this socket, in whichever thread. Closing it is left to that thread."""
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
