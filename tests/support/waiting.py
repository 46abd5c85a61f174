"""Waiting for what another task, thread or process brings about, and never for time to pass; and ports for servers."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Callable
from itertools import count


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


# Below the ports that systems give away by themselves (32768 on Linux, 49152 elsewhere): one of those that is free now
# is the next connection's, of anybody. Each worker of pytest-xdist has some of its own, of which none comes twice soon.
_FIRST_PORT, _PORTS, _WORKERS = 20000, 1000, 12
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_numbers = count(secrets.randbelow(_PORTS))


def free_port() -> int:
    """A port that nothing listens on, and that nothing takes unasked: for a server that cannot choose one itself, or
    for one that is not there."""
    for number in _numbers:
        port = _FIRST_PORT + _worker % _WORKERS * _PORTS + number % _PORTS
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        return port
    raise AssertionError
