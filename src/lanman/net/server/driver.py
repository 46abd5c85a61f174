"""What drives the Server's dispatch: one event loop, one timer, the sockets of all connections, and the disk.

The rules:

* Everything here runs on the event loop, in one thread. Dispatch, domain and endpoint are called from nowhere else.
* Each source of events (a socket, the timer, the disk, the control socket) tells dispatch, then calls `flush()`: it
  alone sends, ends connections, starts effects and sets the timer. `flush()` may be called at any time, also from
  within what it has called, and does each thing once.
* `tick()` comes before dispatch is told anything, so that dispatch knows what time it is.
* Dispatch does a bounded amount of work at a time. While some is left (`busy`), it is continued in the next turn of
  the loop and not in this one; `_continues` says that such a turn has been asked for.
* A connection is in `protocols` from the moment it is admitted until its transport is gone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Final

from lanman.errors import LanmanError
from lanman.net.accounts import AccountFile
from lanman.net.audit import quoted
from lanman.net.disk import Disk
from lanman.net.listener import RETRY, Listener
from lanman.net.logs import Journal
from lanman.net.server.protocol import DRAIN_TIMEOUT, SmbProtocol
from lanman.server.dispatch import ConnectionDispatch, ServerDispatch
from lanman.server.effects import Effect
from lanman.server.throttle import network_of

log: Final = logging.getLogger("lanman.server")

BACKLOG: Final = 512

# While requests wait for room: after how many seconds the kernel's share of the answers is looked at again.
RECHECK_AFTER: Final = 0.05


class Driver:
    """Drives one ServerDispatch until `stop()`.

    `accounts`, `performers` and `private` are for the disk (`net.disk.Disk`); `idle` is called on the event loop after
    the last connection has ended.
    """

    def __init__(
        self,
        dispatch: ServerDispatch,
        journal: Journal,
        accounts: AccountFile,
        *,
        performers: Mapping[type[Effect[Any]], Callable[[Any], Any]],
        private: Sequence[str | os.PathLike[str]] = (),
        idle: Callable[[], None] = lambda: None,
    ) -> None:
        self.dispatch = dispatch
        self.protocols: dict[int, SmbProtocol] = {}
        self.listeners: list[Listener] = []
        self.running = True
        self.disk = Disk(accounts, self._completed, self._failed, self._press, performers, private, self._ended)
        self._journal = journal
        self._idle = idle
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._recheck: asyncio.TimerHandle | None = None
        self._continues = False
        self._exhausted_until = 0.0

    # --- life ---

    def listen(self, sock: socket.socket, scarce_from: int) -> Listener:
        """Accept connections on a bound socket, which is the listener's from now on."""
        listener = Listener(
            sock,
            lambda scarce: SmbProtocol(self, scarce=scarce),
            backlog=BACKLOG,
            has_room=self._has_room,
            paused=self._paused,
            scarce_from=scarce_from,
        )
        self.listeners.append(listener)
        return listener

    async def stop(self) -> None:
        """Admit no more connections, send what there is, and end every connection.

        Returns once the disk has done what was under way, files that are deleted when they are closed included, or
        DRAIN_TIMEOUT seconds later. `running` may have been set to False before, so that the domain can be stopped in
        between."""
        self.running = False
        self.flush()
        for timer in (self._timer, self._recheck):
            if timer is not None:
                timer.cancel()
        for protocol in list(self.protocols.values()):
            protocol.close()
        await self.disk.drain(DRAIN_TIMEOUT)

    async def wait_gone(self) -> None:
        """Until every connection's transport is gone; those that take longer than DRAIN_TIMEOUT are aborted."""
        if protocols := list(self.protocols.values()):
            await asyncio.wait([protocol.gone for protocol in protocols], timeout=DRAIN_TIMEOUT)
            for protocol in protocols:
                protocol.abort()
            await asyncio.wait([protocol.gone for protocol in protocols], timeout=DRAIN_TIMEOUT)

    # --- the door ---

    def _has_room(self) -> bool:
        return self._loop.time() >= self._exhausted_until and self.dispatch.admission.has_room()

    def _paused(self, why: str) -> None:
        reason = why or self.dispatch.configuration.limits.reached("connections")
        self._journal.say(log, logging.WARNING, "accepting pauses", "", "accepting pauses until one ends: %s", reason)

    def admit(self, protocol: SmbProtocol, address: str, *, scarce: bool = False) -> ConnectionDispatch | None:
        """A new connection; None if there is no room for it."""
        if not self.running:
            return None
        connection = self.dispatch.connect(address, self._loop.time(), scarce=scarce)
        if connection is None:
            reached = self.dispatch.configuration.limits.reached
            why = "too few descriptors are left" if scarce else reached("connections")
            self.say_of(address, "connection refused", "connection from %s refused: %s", address, why)
            self._exhausted_until = self._loop.time() + RETRY
            return None
        if connection.waits:
            reached = self.dispatch.configuration.limits.reached
            why = reached("unauthenticated_per_address") + ", or " + reached("unauthenticated")
            self.say_of(address, "connection waits", "connection from %s waits: %s", address, why)
        self.protocols[connection.connection_id] = protocol
        self.flush()
        return connection

    def gone(self, connection: ConnectionDispatch) -> None:
        """A connection's transport is gone."""
        self.protocols.pop(connection.connection_id, None)
        connection.connection_lost(self._loop.time())
        self._exhausted_until = 0.0
        self.flush()
        if not self.protocols:
            self._loop.call_soon(self._idle)
        if self.dispatch.admission.has_room():
            for listener in self.listeners:
                listener.resume()

    def say_of(self, address: str, kind: str, message: str, *values: object) -> None:
        """Log what a peer has caused; of one kind and network, once in a while."""
        self._journal.say(log, logging.WARNING, kind, network_of(address), message, *values)

    # --- the event loop and dispatch ---

    def tick(self) -> float:
        """The event loop's time, in seconds; dispatch is told."""
        self.dispatch.scheduler.now = now = self._loop.time()
        return now

    def flush(self) -> None:
        """Send, end, perform and set the timer: everything that the last event has led to. Work that is left when the
        loop has been held for long enough is done in its next turn."""
        if not self._continues:
            self._continues = True
            self._loop.call_soon(self._continue)
        dispatch = self.dispatch
        if self._recheck is None and dispatch.room.lacks:
            self._recheck = self._loop.call_later(RECHECK_AFTER, self._recheck_sent)
        for connection in dispatch.ready():
            if (protocol := self.protocols.get(connection.connection_id)) is not None:
                protocol.flush()
        scheduler = dispatch.scheduler
        for ticket, effect in scheduler.effects():
            self.disk.perform(ticket, effect, scheduler.source_of(ticket))
        for ticket in scheduler.abandoned():
            self.disk.cancel(ticket)
        self._arm()

    def _continue(self) -> None:
        """Another turn of the loop has begun: go on with what is left."""
        self._continues = False
        self.dispatch.scheduler.refill()
        if self.dispatch.scheduler.busy:
            self.dispatch.scheduler.run(self.tick())
            self.flush()

    def _recheck_sent(self) -> None:
        """See how much the kernel has taken of every connection's answers: asyncio does not report it, and requests
        wait for that room."""
        self._recheck = None
        for protocol in list(self.protocols.values()):
            protocol.report_sent()
        self.flush()

    def _completed(self, ticket: int, result: Any) -> bool:
        taken = self.dispatch.scheduler.completed(ticket, result, self._loop.time())
        self.flush()
        return taken

    def _failed(self, ticket: int, status: int, error: Exception | None) -> None:
        if error is not None:
            log.error("%s", quoted(error.with_hint if isinstance(error, LanmanError) else str(error)))
        self.dispatch.scheduler.failed(ticket, status, self._loop.time())
        self.flush()

    def _ended(self, ticket: int) -> None:
        self.dispatch.scheduler.ended(ticket, self._loop.time())
        self.flush()

    def _press(self, source: Hashable, more: bool) -> None:
        """A connection has brought more than the disks keep up with, or they have caught up with it."""
        for protocol in self.protocols.values():
            if protocol.is_of(source):
                (protocol.hold if more else protocol.release)("disk")

    def _arm(self) -> None:
        """One timer, for the earliest of all deadlines. One that rings too early does no harm."""
        deadline = self.dispatch.next_deadline() if self.running else None
        if deadline is None:
            return
        if self._timer is not None:
            if not self._timer.cancelled() and self._timer.when() <= deadline:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._expire)

    def _expire(self) -> None:
        self._timer = None
        try:
            self.dispatch.expire(self._loop.time())
        finally:
            self.flush()


def connection_failed(connection: ConnectionDispatch | None, error: Exception) -> None:
    """Log an error of the Server's own, which ends this connection and no other; None: it is no connection's."""
    if connection is None:
        log.error("an error in the server", exc_info=error)
        return
    log.error("connection from %s ended by an error in the server", connection.address, exc_info=error)
