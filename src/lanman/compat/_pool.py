"""The connections behind the calls, kept for a while: with smbd a log-on costs 22 ms, and a call after it 0.6.

The originals ride on Windows' redirector, which keeps connections too, so scripts call in loops without a thought. One
connection is kept for each server and each identity there (`net.identity.identity_of`), `KEEP` seconds beyond its last
use, and logged off then and when the program ends. A forked child begins without any.

Calls may come from any thread, also one that runs an event loop: the connection lives on a loop in a thread of its own.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import field
from typing import Any, Final

from lanman.compat._endpoint import Address, Login
from lanman.errors import LanmanError
from lanman.manage.sync import BlockingManager, connect
from lanman.names import fold, same
from lanman.net.identity import identity_of
from lanman.plain import dataclass

KEEP: Final = 10.0

Key = tuple[Any, ...]


@dataclass(slots=True)
class Connection:
    """A manager that may be in use by several callers at once. `fresh` until the first of them has been served."""

    address: Address | None
    opening: threading.Lock = field(default_factory=threading.Lock)
    manager: BlockingManager | None = None
    fresh: bool = True
    users: int = 0
    idle_since: float = 0.0


class Pool:
    """Connections by server and login."""

    def __init__(self, keep: float = KEEP, clock: Callable[[], float] = time.monotonic) -> None:
        self.keep = keep
        self._clock = clock
        self._changed = threading.Condition()
        self._connections: dict[Key, Connection] = {}
        self._reaper: threading.Thread | None = None

    @contextlib.contextmanager
    def borrow(self, address: Address | None, login: Login) -> Iterator[tuple[BlockingManager, bool]]:
        """A live manager, and whether it was connected just now. Raises LanmanError when it cannot be."""
        key = _key(address, login)
        with self._changed:
            connection = self._connections.setdefault(key, Connection(address))
            connection.users += 1
        try:
            # A second caller waits for the first one's log-on; callers of other servers do not.
            with connection.opening:
                if connection.manager is None:
                    connection.manager = _open(address, login)
                fresh, connection.fresh = connection.fresh, False
            yield connection.manager, fresh
        finally:
            self._give_back(key, connection)

    def _give_back(self, key: Key, connection: Connection) -> None:
        with self._changed:
            connection.users -= 1
            if connection.users:
                return
            if self._connections.get(key) is connection:
                if connection.manager is None:
                    del self._connections[key]
                    return
                connection.idle_since = self._clock()
                if self._reaper is None:
                    self._reaper = threading.Thread(target=self._reap, name="lanman-compat", daemon=True)
                    self._reaper.start()
                return
        # It was taken out of the pool while it was in use.
        _leave(connection)

    def _reap(self) -> None:
        """Log off connections that have been idle for `keep` seconds; ends when none is kept."""
        while True:
            with self._changed:
                now = self._clock()
                idle = {key: one for key, one in self._connections.items() if not one.users}
                due = [key for key, one in idle.items() if one.idle_since + self.keep <= now]
                leaving = [self._connections.pop(key) for key in due]
                if not leaving:
                    if not self._connections:
                        self._reaper = None
                        return
                    waits = [one.idle_since + self.keep - now for one in idle.values()]
                    self._changed.wait(max(0.01, min(waits, default=self.keep)))
            for connection in leaving:
                _leave(connection)

    def close(self, place: tuple[str, int] | None = None) -> None:
        """Log off from a host (port 0: all its ports), or from all; a connection in use as soon as it is free."""
        with self._changed:
            wanted = [key for key, one in self._connections.items() if place is None or _is_at(one.address, *place)]
            taken = [self._connections.pop(key) for key in wanted]
            self._changed.notify_all()
            leaving = [one for one in taken if not one.users]
        for connection in leaving:
            _leave(connection)

    def __len__(self) -> int:
        return len(self._connections)


def _key(address: Address | None, login: Login) -> Key:
    # Which Server is this machine's own depends on the environment.
    place = (os.environ.get("LANMAN_HOME"),) if address is None else (fold(address.host), address.port)
    return place, identity_of(login.credentials), login.timeout, login.encrypt


def _is_at(address: Address | None, host: str, port: int) -> bool:
    return address is not None and same(address.host, host) and port in (0, address.port)


def _open(address: Address | None, login: Login) -> BlockingManager:
    if address is None:
        # Where a home is named, no other Server of this machine is meant.
        home = os.environ.get("LANMAN_HOME") or None
        return connect(None, login.credentials, timeout=login.timeout, home=home, encrypt=login.encrypt)
    return connect(address.host, login.credentials, port=address.port, timeout=login.timeout, encrypt=login.encrypt)


def _leave(connection: Connection) -> None:
    if connection.manager is not None:
        with contextlib.suppress(LanmanError):
            connection.manager.close()


_pool = Pool()
_abandoned: list[Pool] = []


def borrow(address: Address | None, login: Login) -> contextlib.AbstractContextManager[tuple[BlockingManager, bool]]:
    """A manager from the process's pool; see Pool.borrow."""
    return _pool.borrow(address, login)


def close(place: tuple[str, int] | None = None) -> None:
    """Log off what the process's pool keeps; see Pool.close."""
    _pool.close(place)


def _begin_anew() -> None:
    """In a forked child: the threads are gone, and the connections are the parent's."""
    global _pool  # noqa: PLW0603 - there is one for the process
    # Kept alive: collecting it would close the parent's connections.
    _abandoned.append(_pool)
    _pool = Pool()


atexit.register(close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
