"""What drives the Server's dispatch: one event loop, one timer, the sockets of all connections, and the disk.

The rules:

* Everything here runs on the event loop, in one thread. Dispatch, domain and endpoint are called from nowhere else.
* Each source of events (a socket, the timer, the disk, the control socket) tells dispatch, then calls `flush()`: it
  alone sends, ends connections, starts effects and sets the timer. `flush()` may be called at any time, also from
  within what it has called, and does each thing once.
* `tick()` comes before dispatch is told anything, so that dispatch knows what time it is.
* Dispatch does a bounded amount of work at a time. While some is left, it is continued in the next turn of the loop and
  not in this one; `_continues` says that such a turn has been asked for. An event that leads to little needs none.
* A connection is in `protocols` from the moment it is admitted until its socket is closed and dispatch knows it. Those
  whose sockets are closed are in `_closed` until then, which is the end of the `flush` under way, or of the next one.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Final

from lanman.domain import Portion, user_named
from lanman.errors import LanmanError
from lanman.net.accounts import AccountFile
from lanman.net.audit import quoted
from lanman.net.disk import Disk
from lanman.net.listener import RETRY, Listener
from lanman.net.logs import Journal
from lanman.net.server.protocol import DRAIN_TIMEOUT, Arrivals, Hold, SmbProtocol
from lanman.server.dispatch import ConnectionDispatch, ServerDispatch
from lanman.server.effects import LATER, Effect
from lanman.server.throttle import network_of

log: Final = logging.getLogger("lanman.server")

# How many may have connected and not been accepted yet; the system may have less (net.core.somaxconn, 4096 on Linux).
# Beyond it Linux answers with cookies, and resets those whose cookie it does not take: in a flood that is anybody.
BACKLOG: Final = 16384

# How many seconds after the last connection, or most of a crowd, the Server is idle. One client that comes and goes
# makes it so once.
IDLE_AFTER: Final = 1.0

# From how many connections on they are a crowd; it has gone when a quarter of them are left.
CROWD: Final = 64

# For so many seconds nobody looks again when the domain has something to do: that is known to the second.
LOOK_EVERY: Final = 0.25


class Driver:
    """Drives one ServerDispatch until `stop()`.

    `accounts`, `performers` and `private` are for the disk (`net.disk.Disk`); `idle` is called on the event loop when
    the last connection has ended, or a crowd has gone, and it is still so IDLE_AFTER seconds later.
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
        self.arrivals = Arrivals()
        self.disk = Disk(accounts, self._completed, self._failed, self._press, performers, private, self._ended)
        dispatch.accounts_at_once = self.disk.accounts_at_once
        dispatch.scheduler.at_once = self._at_once
        dispatch.files.handles.limit = self.disk.files.limit
        dispatch.files.handles.further = self.disk.files.directories
        dispatch.service.portions.on_refused = self._say_refused
        self._journal = journal
        self._idle = idle
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = 0.0
        self._quiet: asyncio.TimerHandle | None = None
        self._most = 0  # connections at one time, since the Server was idle
        self._all_gone: asyncio.Future[None] | None = None
        self._continues = False
        self._closed: list[SmbProtocol] = []
        self._forgetting = False
        self._look_at = 0.0  # when to look again whom the domain ends, or what it forgets
        self._exhausted_until = 0.0

    # --- life ---

    def listen(self, sock: socket.socket, scarce_from: int) -> Listener:
        """Accept connections on a bound socket, which is the listener's from now on."""
        # Every connection has these from the socket that it was accepted on, without calls of its own.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        listener = Listener(
            sock,
            self._take,
            backlog=BACKLOG,
            has_room=self._has_room,
            paused=self._paused,
            scarce_from=scarce_from,
        )
        self.listeners.append(listener)
        return listener

    def _take(self, sock: socket.socket, peer: Any, scarce: bool) -> None:
        SmbProtocol(self, sock, peer, scarce=scarce)  # it is among `protocols` if it is admitted
        self.flush()  # now that it can be ended like any other

    async def stop(self) -> None:
        """Admit no more connections, send what there is, and end every connection.

        Returns once the disk has done what was under way, files that are deleted when they are closed included, or
        DRAIN_TIMEOUT seconds later. `running` may have been set to False before, so that the domain can be stopped in
        between."""
        self.running = False
        self.flush()
        for timer in (self._timer, self._quiet):
            if timer is not None:
                timer.cancel()
        for protocol in list(self.protocols.values()):
            protocol.close()
        self._forget_ended()
        await self.disk.drain(DRAIN_TIMEOUT)

    async def wait_gone(self) -> None:
        """Until every connection's transport is gone; those that take longer than DRAIN_TIMEOUT are aborted."""
        await self._until_gone()
        for protocol in list(self.protocols.values()):
            protocol.abort()
        self._forget_ended()
        await self._until_gone()

    async def _until_gone(self) -> None:
        if self.protocols:
            self._all_gone = self._loop.create_future()
            await asyncio.wait([self._all_gone], timeout=DRAIN_TIMEOUT)

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
        return connection

    def ended(self, protocol: SmbProtocol) -> None:
        """A connection's socket is closed."""
        self._closed.append(protocol)

    def _forget_ended(self) -> None:
        """Tell dispatch of the connections whose sockets are closed. What that leads to is done here too, by the one
        that is at it already: thousands may end at once."""
        if self._forgetting:
            return
        if self.dispatch.scheduler.within_step:
            self._loop.call_soon(self.flush)  # somebody has called `flush` from what a step has led to
            return
        self._forgetting = True
        try:
            while self._closed:
                self._closed.pop().lost()
        finally:
            self._forgetting = False

    def gone(self, connection: ConnectionDispatch) -> None:
        """A connection's socket is gone."""
        self.protocols.pop(connection.connection_id, None)
        if not self.protocols and self._all_gone is not None and not self._all_gone.done():
            self._all_gone.set_result(None)
        connection.connection_lost(self._loop.time())
        self._exhausted_until = 0.0
        self.flush()
        self._most = max(self._most, len(self.protocols) + 1)
        if self._is_idle and self._quiet is None and self.running:
            self._quiet = self._loop.call_later(IDLE_AFTER, self._is_quiet)
        if self.dispatch.admission.has_room():
            for listener in self.listeners:
                listener.resume()

    @property
    def _is_idle(self) -> bool:
        """Whether nobody is connected any more, or few of a crowd are."""
        return not self.protocols or (self._most >= CROWD and len(self.protocols) <= self._most // 4)

    def _is_quiet(self) -> None:
        self._quiet = None
        if self._is_idle:
            self._most = len(self.protocols)
            self._idle()

    def say_of(self, address: str, kind: str, message: str, *values: object) -> None:
        """Log what a peer has caused; of one kind and network, once in a while."""
        self._journal.say(log, logging.WARNING, kind, network_of(address), message, *values)

    def _say_refused(self, portion: Portion[str], user: str) -> None:
        """Log that somebody wanted more than a user may have; of each thing and user, once in a while."""
        name = user_named(user)
        kind = f"{portion.name}: a user has too many"
        self._journal.say(log, logging.WARNING, kind, name, "%s wanted more: %s", quoted(name), portion.reached(user))

    # --- the event loop and dispatch ---

    def tick(self) -> float:
        """The event loop's time, in seconds; dispatch is told."""
        self.dispatch.scheduler.now = now = self._loop.time()
        return now

    def flush(self) -> None:
        """Send, end, perform and set the timer: everything that the last event has led to. Work that is left when the
        loop has been held for long enough is done in its next turn."""
        dispatch = self.dispatch
        scheduler = dispatch.scheduler
        if dispatch.to_look_at:
            for connection in dispatch.ready():
                if (protocol := self.protocols.get(connection.connection_id)) is not None:
                    try:
                        protocol.flush()
                    except Exception as error:  # noqa: BLE001 # a mistake of ours: it costs this connection, no other
                        connection_failed(connection, error)
                        protocol.abort()
        if scheduler.unperformed:
            self._perform()
        if scheduler.unwanted:
            for ticket in scheduler.abandoned():
                self.disk.cancel(ticket)
        if scheduler.needs_turn and not self._continues:
            self._continues = True
            self._loop.call_soon(self._continue)
        if self._closed:
            self._forget_ended()
        # Looking for the next deadline after every event took a hundred steps each.
        rings_at = self._rings_at
        is_due = scheduler.now >= self._look_at or self._look_at < rings_at
        if is_due or scheduler.timers.soonest < rings_at or self._timer is None:
            self._arm()

    def _perform(self) -> None:
        """Give the disk what is to be performed."""
        scheduler = self.dispatch.scheduler
        for ticket, effect in scheduler.effects():
            source = scheduler.source_of(ticket)
            self.disk.perform(ticket, effect, source, self.dispatch.party_of(source))

    def _at_once(self, effect: Effect[Any]) -> Any:
        """As `Disk.at_once`, within a step. What was asked for before is given to the disk first, and so not overtaken:
        a file might be closed before it is read."""
        if not self.disk.tries(effect):
            return LATER
        if self.dispatch.scheduler.unperformed:
            self._perform()
        return self.disk.at_once(effect)

    def _continue(self) -> None:
        """Another turn of the loop has begun: go on with what is left."""
        self._continues = False
        self.dispatch.scheduler.refill()
        if self.dispatch.scheduler.busy:
            self.dispatch.scheduler.run(self.tick())
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
        if isinstance(source, int) and (protocol := self.protocols.get(source)) is not None:
            (protocol.hold if more else protocol.release)(Hold.DISK)

    def _arm(self) -> None:
        """One timer, for the earliest of all deadlines. One that rings too early does no harm."""
        if not self.running:
            return
        # The timer looks for what events have led to meanwhile.
        deadline, now = self.dispatch.scheduler.timers.next(), self.dispatch.scheduler.now
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY
            later = self.dispatch.service.next_deadline()
        else:
            later = self._look_at
        if later is not None and (deadline is None or later < deadline):
            deadline = later
        if deadline is None:
            return
        if self._timer is not None:
            if not self._timer.cancelled() and self._rings_at <= deadline:
                return
            self._timer.cancel()
        self._rings_at = deadline
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
