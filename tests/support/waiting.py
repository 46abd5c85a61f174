"""Waiting for what another task, thread or process brings about, and never for time to pass."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable


async def until(condition: Callable[[], object], *, limit: float = 60) -> None:
    """Let the event loop run until something holds. Raises TimeoutError after `limit` seconds."""
    async with asyncio.timeout(limit):
        while not condition():  # noqa: ASYNC110 - what is waited for may set no Event
            await asyncio.sleep(0.001)


def wait_until(condition: Callable[[], object], *, limit: float = 60) -> None:
    """Let other threads and processes run until something holds. Raises TimeoutError after `limit` seconds."""
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on, for a server that cannot choose one itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
