r"""The Server: sockets, one timer, and everything that decides plugged together.

    home = Home("/var/lib/lanman")
    async with SmbServer(Configuration(listen=("127.0.0.1",), port=0), home) as server:
        print(server.port)
        await server.wait_stopped()

Starting takes the home's lock before anything else is touched, binds every address, then opens the control socket.
Leaving the context ends every session, sends what is still to be sent and closes all sockets. A peer that talks
nonsense loses its own connection and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
import uuid
from collections.abc import Callable, Hashable, Sequence
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from lanman.auth.outcome import Mechanism
from lanman.domain import (
    STYPE_IPC,
    STYPE_SPECIAL,
    STYPE_TEMPORARY,
    Event,
    Policy,
    ServerService,
    Share,
    ShareAdded,
    ShareRemoved,
)
from lanman.names import fold
from lanman.net import audit
from lanman.net.accounts import AccountFile
from lanman.net.audit import quoted
from lanman.net.configuration import (
    Configuration,
    ConfigurationError,
    read_configuration,
)
from lanman.net.control import ControlServer
from lanman.net.descriptors import Descriptors, fit
from lanman.net.disk import Disk
from lanman.net.disk.find import find_folder
from lanman.net.disk.guard import Guard
from lanman.net.home import Home
from lanman.net.listener import RETRY, Listener
from lanman.net.logs import Journal
from lanman.net.privileges import become, user_to_become
from lanman.net.server.apply import changeable, place_of, share_of, wire_settings
from lanman.net.server.protocol import DRAIN_TIMEOUT, SmbProtocol
from lanman.net.server.sockets import bind_all
from lanman.net.state import StateFile
from lanman.rpc.srvsvc import SRVSVC
from lanman.server.changes import FindFolder, KeepSettings, KeepShare
from lanman.server.configuration import ServerConfiguration
from lanman.server.dispatch import ConnectionDispatch, ServerDispatch
from lanman.server.effects import Effect
from lanman.server.pipes import Pipes
from lanman.server.srvsvc import ServerServiceEndpoint
from lanman.server.throttle import network_of
from lanman.smb2.server import ServerConnection

log: Final = logging.getLogger("lanman.server")

# How long the start waits for disks that do not answer, in seconds.
PATIENCE: Final = 1.0

BACKLOG: Final = 512

# While requests wait for room: how often is looked at what the kernel has taken of the answers, in seconds.
LOOK_AFTER: Final = 0.05

# 1601-01-01 to 1970-01-01 in units of 100 ns (MS-DTYP 2.3.3).
_FILETIME_EPOCH: Final = 116444736000000000


def filetime_now() -> int:
    """The time of day as a FILETIME."""
    return time.time_ns() // 100 + _FILETIME_EPOCH


class SmbServer:
    """A Server service with its home. Use it as an async context manager, or start() and stop() it.

    `port` and `addresses` are known once it has started; `service` is the domain, for those who embed it. `read` gives
    the configuration as it is now, for reload(); without it that is the home's server.toml. What was changed while an
    earlier Server ran lies over the configuration, but for the settings and shares whose names are in `said_now`.
    `private` are files that no client gets into, beside the home and the keytab: a configuration file elsewhere.
    `idle` is called on the event loop after the last connection has ended.
    """

    def __init__(
        self,
        configuration: Configuration,
        home: Home,
        *,
        read: Callable[[], Configuration] | None = None,
        said_now: frozenset[str] = frozenset(),
        private: Sequence[str | os.PathLike[str]] = (),
        idle: Callable[[], None] = lambda: None,
    ) -> None:
        self.configuration = configuration
        self._idle = idle
        self.home = home
        self._read = read or (lambda: read_configuration(home.configuration))
        self._base = configuration
        self._state = StateFile(home.settings)
        self._said_now = said_now
        keytab = configuration.keytab
        self._private = [home.path, *([keytab] if keytab else []), *private]
        self.accounts = AccountFile(home.accounts)
        self.settings = ServerConfiguration(
            name=configuration.name or socket.gethostname().split(".")[0].upper()[:15],
            session_rights=configuration.session_rights,
            share_roots=configuration.share_roots,
            **changeable(configuration),
            policy=Policy(null_session_linger=configuration.null_sessions.linger),
        )
        self.service = ServerService(self.settings.policy, start=int(time.time()))
        self.service.add_share(Share("IPC$", STYPE_IPC | STYPE_SPECIAL, remark="Remote IPC"))
        self.port = 0
        self.addresses: list[tuple[str, int]] = []
        self.endpoint = ServerServiceEndpoint(
            self.service,
            self.settings,
            wall_clock=lambda now: time.time() + now - self._loop.time(),
            minutes_west=lambda: -(time.localtime().tm_gmtoff // 60),
        )
        self._configured: dict[str, Share] = {}
        self._guid = uuid.uuid4().bytes_le
        self._exit = ExitStack()
        self._stopped = asyncio.Event()
        self._protocols: dict[int, SmbProtocol] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._running = False
        self._resting = False  # whether the loop does something else before more is done
        self._looking: asyncio.TimerHandle | None = None
        self.journal = Journal()
        self._listeners: list[Listener] = []
        self._exhausted_until = 0.0

    # --- life ---

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Take the home, bind, listen. Raises LanmanError with a sentence that names what is in the way."""
        self._loop = asyncio.get_running_loop()
        user = user_to_become(self.configuration.user, self.home)
        self._exit.enter_context(self.home.locked())
        try:
            listeners, self.addresses = bind_all(self.configuration)
            self.port = self.addresses[0][1]
            for listener in listeners:
                self._exit.callback(listener.close)
            become(user, self.home, kerberos=bool(self.configuration.keytab))
            self._state.forget(self._said_now)
            self._configure(self._base)
            self.service.listen(audit.listener(self._loop.time, self.journal))
            self._exit.callback(self.journal.close)
            self._dispatch = ServerDispatch(
                self.service,
                Pipes({"srvsvc": (SRVSVC, self.endpoint)}),
                wire_settings(self.configuration, self.settings.name, self._fit()),
                core=self._core,
                random=os.urandom,
                wall_clock=lambda now: time.time() + now - self._loop.time(),
                mechanisms=self._mechanisms(),
                failed=self._connection_failed,
            )
            self.endpoint.changes.perform = self._dispatch.perform_apart
            self._disk = Disk(
                self.accounts,
                self._completed,
                self._failed,
                self._press,
                self._performers(),
                private=self._private,
            )
            self._exit.callback(self._disk.close)
            for share in self.service.shares():
                self._confine(ShareAdded(share))
            self.service.listen(self._confine)
            self._running = True
            await self._look_at_shares()
            control = ControlServer(self.home.control, self)
            await control.start()
            self._exit.callback(control.close)
            for listener in listeners:
                self._listeners.append(
                    Listener(
                        listener,
                        lambda scarce: SmbProtocol(self, scarce=scarce),
                        backlog=BACKLOG,
                        has_room=self._has_room,
                        paused=self._paused,
                        scarce_from=self._descriptors.scarce_from,
                    )
                )
                self._exit.callback(self._listeners[-1].close)
        except BaseException:
            self._running = False
            self._exit.close()
            raise
        log.info("listening on %s", ", ".join(f"{host} port {port}" for host, port in self.addresses))

    async def _look_at_shares(self) -> None:
        """Look at the folders of all shares. One whose disk does not answer keeps nobody waiting for long."""
        looked = self._loop.create_future()
        self._dispatch.watch.start(self.tick())
        self._dispatch.watch.look_at_shares(self.service.shares(), lambda: looked.set_result(None))
        self.flush()
        await asyncio.wait([looked], timeout=PATIENCE)

    def _confine(self, event: Event) -> None:
        """Have the disk know which folders no link may lead to."""
        if isinstance(event, ShareAdded | ShareRemoved) and event.share.confined:
            self._disk.files.confined[event.share.path] += 1 if isinstance(event, ShareAdded) else -1

    async def stop(self) -> None:
        """End every session, send what is still to be sent, close all. May be called twice."""
        if not self._running:
            return
        self._running = False
        self.service.stop()
        self.flush()
        for timer in (self._timer, self._looking):
            if timer is not None:
                timer.cancel()
        protocols = list(self._protocols.values())
        for protocol in protocols:
            protocol.close()
        # What was closed is still to be deleted, if it was to be.
        await self._disk.drain(DRAIN_TIMEOUT)
        self._exit.close()
        if protocols:
            await asyncio.wait([protocol.gone for protocol in protocols], timeout=DRAIN_TIMEOUT)
            for protocol in protocols:
                protocol.abort()
            await asyncio.wait([protocol.gone for protocol in protocols], timeout=DRAIN_TIMEOUT)
        self._stopped.set()
        log.info("stopped")

    def request_stop(self) -> None:
        """Make wait_stopped() return; whoever waits there stops the Server."""
        self._stopped.set()

    async def wait_stopped(self) -> None:
        """Until somebody asks the Server to stop."""
        await self._stopped.wait()

    def reload(self) -> None:
        """Read the configuration again and apply what can be changed while running.

        Raises ConfigurationError; then nothing has changed. Addresses, the name, the user, the keytab and the
        realm stay until a new start. What is open on a share that is no longer there, or leads elsewhere now, is
        closed.
        """
        base = self._read()
        self._configure(base)
        self._base = base
        self._dispatch.settings = wire_settings(self.configuration, self.settings.name, self._fit())
        self._dispatch.admission.limits = self._dispatch.settings.limits
        self._dispatch.watch.reassess()
        self._dispatch.watch.look_at_shares(self.service.shares())
        self.flush()
        log.info("configuration read again")

    def _configure(self, base: Configuration) -> None:
        """Put a configuration in force, with what was changed at run time lying over it. Raises LanmanError; then
        nothing has changed."""
        configuration = self._over(base)
        self._share(configuration)
        self.settings.change(**changeable(configuration))
        self.settings.session_rights = configuration.session_rights
        self.settings.share_roots = configuration.share_roots
        self.settings.can_encrypt = configuration.encryption != "off"
        self.settings.policy.null_session_linger = configuration.null_sessions.linger
        if configuration.guest and not any(share.guest for share in configuration.shares.values()):
            log.warning("guests may log on, and no share lets them in: guest of [shares.NAME] does")
        self.configuration = configuration

    def _over(self, base: Configuration) -> Configuration:
        """The configuration and what was changed over it."""
        configuration = self._state.over(base)
        kept = self._state.share_names()
        # What came and went since a configuration was read last. What is temporary now is nobody's but its own.
        now = {fold(share.name): share for share in self.service.shares() if not share.type & STYPE_TEMPORARY}
        self._configured = {
            name: share for name, share in now.items() if name in kept or self._configured.get(name) is share
        }
        return configuration

    def _mechanisms(self) -> Callable[[], Sequence[Mechanism]]:
        """What each log-on may be made by besides NTLM."""
        if not self.configuration.keytab:
            return tuple
        from lanman.net.kerberos import accepting, keep_replays_in

        keep_replays_in(self.home.path)
        return accepting(self.configuration.keytab, self.configuration.domain.realm)

    def _performers(self) -> dict[type[Effect[Any]], Callable[[Any], Any]]:
        """What management calls want done on the disk."""
        return {
            FindFolder: partial(find_folder, guard=Guard((self.home.path,))),
            KeepSettings: lambda effect: self._state.keep_settings(self._base, effect.values),
            KeepShare: lambda effect: self._state.keep_share(self._base, effect.name, effect.share),
        }

    def _share(self, configuration: Configuration) -> None:
        """Share what the configuration says and nothing that it said before. Raises ConfigurationError; then nothing
        has changed. A folder that is not there stops nothing: its share is refused until it is."""
        wanted = {fold(name): share_of(name, each) for name, each in configuration.shares.items()}
        for name, share in wanted.items():
            if name not in self._configured and self.service.share_by_name(name) is not None:
                raise ConfigurationError(f"{share.name}: something is shared by this name already")
            if share.encrypt_data and configuration.encryption == "off":
                raise ConfigurationError(f"{share.name}: is to be encrypted, and encryption is off")
        for name, share in list(self._configured.items()):
            new = wanted.get(name)
            if new is None or place_of(new) != place_of(share):
                self.service.remove_share(share)
                del self._configured[name]
        for name, new in wanted.items():
            if (known := self._configured.get(name)) is None:
                self._configured[name] = new
                self.service.add_share(new)
            else:
                known.readers, known.writers, known.guest = new.readers, new.writers, new.guest
                known.hidden = new.hidden
                known.device_names = new.device_names
                if (known.remark, known.max_users) != (new.remark, new.max_users):
                    self.service.change_share(known, remark=new.remark, max_users=new.max_users)

    # --- sockets ---

    def _core(self, security_blob: bytes) -> ServerConnection:
        return ServerConnection(
            server_guid=self._guid,
            random=os.urandom,
            now_filetime=filetime_now,
            signing_required=self.configuration.signing == "required",
            encryption=self.configuration.encryption,
            security_blob=security_blob,
        )

    def _fit(self) -> Descriptors:
        """Raise the limit of descriptors as far as it may be, and say what fits."""
        wanted = self.configuration.limits.connections
        self._descriptors = fit(wanted)
        limit, connections = self._descriptors.limit, self._descriptors.connections
        if connections < wanted:
            log.warning(
                "[limits] connections = %d: %d fit the %d descriptors that this process may have (half are for open "
                "files); raise LimitNOFILE= in its systemd unit, or `ulimit -n`",
                wanted,
                connections,
                limit,
            )
        else:
            log.info("room for %d connections ([limits] connections); %d descriptors", connections, limit)
        return self._descriptors

    def _has_room(self) -> bool:
        return self._loop.time() >= self._exhausted_until and self._dispatch.admission.has_room()

    def _paused(self, why: str) -> None:
        reason = why or self._dispatch.settings.limits.reached("connections")
        self.journal.say(log, logging.WARNING, "accepting pauses", "", "accepting pauses until one ends: %s", reason)

    def admit(self, protocol: SmbProtocol, address: str, *, scarce: bool = False) -> ConnectionDispatch | None:
        """A new connection; None if there is no room for it."""
        if not self._running:
            return None
        connection = self._dispatch.connect(address, self._loop.time(), scarce=scarce)
        reached = self._dispatch.settings.limits.reached
        if connection is None:
            why = "too few descriptors are left" if scarce else reached("connections")
            self.say_of(address, "connection refused", "connection from %s refused: %s", address, why)
            self._exhausted_until = self._loop.time() + RETRY
            return None
        if connection.waits:
            why = reached("unauthenticated_per_address") + ", or " + reached("unauthenticated")
            self.say_of(address, "connection waits", "connection from %s waits: %s", address, why)
        self._protocols[connection.connection_id] = protocol
        self.flush()
        return connection

    def say_of(self, address: str, kind: str, message: str, *values: object) -> None:
        """Log what a peer has brought about, once in a while."""
        self.journal.say(log, logging.WARNING, kind, network_of(address), message, *values)

    def gone(self, connection: ConnectionDispatch) -> None:
        """A connection's transport is no more."""
        self._protocols.pop(connection.connection_id, None)
        connection.connection_lost(self._loop.time())
        self._exhausted_until = 0.0
        self.flush()
        if not self._protocols:
            self._loop.call_soon(self._idle)
        if self._dispatch.admission.has_room():
            for listener in self._listeners:
                listener.resume()

    # --- the loop's side of dispatch ---

    def tick(self) -> float:
        """What time it is; dispatch is told."""
        self._dispatch.now = now = self._loop.time()
        return now

    def flush(self) -> None:
        """Send, end, perform and set the timer: what whatever just happened has led to. What is left of it, when the
        loop has been held for long enough, is done after others had theirs."""
        if not self._resting:
            self._resting = True
            self._loop.call_soon(self._go_on)
        if self._looking is None and self._dispatch.lacks:
            self._looking = self._loop.call_later(LOOK_AFTER, self._look_what_is_sent)
        for connection in self._dispatch.ready():
            if (protocol := self._protocols.get(connection.connection_id)) is not None:
                protocol.flush()
        for ticket, effect in self._dispatch.effects():
            self._disk.perform(ticket, effect, self._dispatch.source_of(ticket))
        for ticket in self._dispatch.abandoned():
            self._disk.cancel(ticket)
        self._arm()

    def _go_on(self) -> None:
        """The loop has done something else."""
        self._resting = False
        self._dispatch.refill()
        if self._dispatch.busy:
            self._dispatch.run(self.tick())
            self.flush()

    def _look_what_is_sent(self) -> None:
        """Some wait for room, which others may have made without anybody having been told."""
        self._looking = None
        for protocol in list(self._protocols.values()):
            protocol.look_what_is_sent()
        self.flush()

    def _connection_failed(self, connection: ConnectionDispatch, error: Exception) -> None:
        """An error of ours costs this connection, and no other."""
        log.error("connection from %s ended by an error in the server", connection.address, exc_info=error)

    def _completed(self, ticket: int, result: Any) -> bool:
        taken = self._dispatch.completed(ticket, result, self._loop.time())
        self.flush()
        return taken

    def _failed(self, ticket: int, status: int, error: Exception | None) -> None:
        if error is not None:
            log.error("%s", quoted(str(error)))
        self._dispatch.failed(ticket, status, self._loop.time())
        self.flush()

    def _press(self, source: Hashable, more: bool) -> None:
        """A connection has brought more than the disks keep up with, or they have caught up with it."""
        for protocol in self._protocols.values():
            if protocol.is_of(source):
                (protocol.hold if more else protocol.let_go)("disk")

    def _arm(self) -> None:
        """One timer, for the earliest of all deadlines. One that rings too early does no harm."""
        deadline = self._dispatch.next_deadline() if self._running else None
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
            self._dispatch.expire(self._loop.time())
        finally:
            self.flush()
