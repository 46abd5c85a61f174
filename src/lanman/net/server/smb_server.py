r"""The Server: sockets, one timer, and everything that decides plugged together.

    home = Home("/var/lib/lanman")
    async with SmbServer(Configuration(listen=("127.0.0.1",), port=0), home) as server:
        print(server.port)
        await server.wait_stopped()

The order of the start is what it promises, and what failed on the way leaves nothing behind:

1. The home's lock, before anything is touched: of two Servers of one home the second changes nothing.
2. Every address is bound, while the process may still be root; then it becomes its user, for good.
3. The configuration is put in force, with what was changed at run time over it. The audit log hears of all that comes.
4. The disk, then a look at the folders of all shares, which waits for PATIENCE seconds and no longer.
5. The control socket, last the listeners: no request is answered before the Server is complete.

Leaving the context is the way back: nothing new is admitted, every session is ended, what is still to be sent is sent,
and all sockets are closed. It takes DRAIN_TIMEOUT seconds at most where a peer or a disk does not go along.

`start`, `stop`, `reload` and everything that the control socket calls run on the event loop. A peer that talks nonsense
loses its own connection and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from lanman.auth.outcome import Mechanism
from lanman.domain import (
    Event,
    ShareAdded,
    ShareRemoved,
)
from lanman.net import audit
from lanman.net.accounts import AccountFile
from lanman.net.configuration import read_configuration
from lanman.net.control.server import ControlServer
from lanman.net.descriptors import fit
from lanman.net.disk.find import find_folder
from lanman.net.disk.guard import Guard
from lanman.net.disk.system import check_platform
from lanman.net.home import Home
from lanman.net.interfaces import local_addresses, reachable
from lanman.net.logs import Journal
from lanman.net.loop import loop_name, serve_in
from lanman.net.overlay import SettingsFile
from lanman.net.privileges import become, user_to_become
from lanman.net.server.apply import AppliedConfiguration, fitted
from lanman.net.server.driver import Driver, connection_failed
from lanman.net.server.sockets import bind_all
from lanman.net.server_facts import new_server_guid
from lanman.records import RefusalDetails
from lanman.server.changes import FindFolder
from lanman.server.core import Server
from lanman.server.effects import Effect, ListInterfaces
from lanman.server.feed import Feed
from lanman.server.refusals import CHOICES
from lanman.settings import Configuration, RunningSettings

log: Final = logging.getLogger("lanman.server")

# How long the start waits for disks that do not answer, in seconds.
PATIENCE: Final = 1.0


class SmbServer:
    """A Server service with its home. Use it as an async context manager, or start() and stop() it.

    `port` and `addresses` are known once it has started; `service` is the domain, for those who embed it. `read` gives
    the configuration as it is now, for reload(); without it that is the home's server.toml. What was changed while an
    earlier Server ran lies over the configuration, but for the settings and shares whose names are in `said_now`.
    `private` are files that no client gets into, beside the home and the keytab: a configuration file elsewhere.
    `idle` is called on the event loop when the last connection has ended and no other has come for a moment, and so
    when most of a crowd has.
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
        self._idle = idle
        self.home = home
        self._read = read or (lambda: read_configuration(home.configuration))
        self._state = SettingsFile(home.settings)
        self._said_now = said_now
        keytab = configuration.keytab
        self._private = [home.path, *([keytab] if keytab else []), *private]
        self.accounts = AccountFile(home.accounts)
        name = configuration.name or socket.gethostname().split(".")[0].upper()[:15]
        self.settings = RunningSettings(replace(configuration, name=name))
        self._loop_time: Callable[[], float] = lambda: 0.0
        self._offered: Callable[[], Sequence[Mechanism]] = tuple
        self.core = Server(
            self.settings,
            os.urandom,
            self._wall_clock,
            guid=new_server_guid(os.urandom),
            dns_name=socket.gethostname().lower(),
            start=int(time.time()),
            minutes_west=lambda: -(time.localtime().tm_gmtoff // 60),
            mechanisms=lambda: self._offered(),  # noqa: PLW0108 - what is offered is known at the start
            connection_failed=connection_failed,
            listener_failed=self._listener_failed,
        )
        self.service = self.core.service
        self.endpoint = self.core.endpoint
        self.scheduler = self.core.scheduler
        self.feed = Feed(self.service, os.urandom(8).hex())
        self.port = 0
        self.addresses: list[tuple[str, int]] = []
        self.journal = Journal()
        self._applied = AppliedConfiguration(configuration, self._state, self.service, self.settings)
        self._exit = ExitStack()
        self._stopped = asyncio.Event()
        self._driver: Driver | None = None

    @property
    def configuration(self) -> Configuration:
        """The configuration in force, with what was changed at run time lying over what was read."""
        return self._applied.current

    @property
    def refusals(self) -> list[RefusalDetails]:
        """Who was refused lately, the most recent first."""
        return [
            RefusalDetails(
                each.client_name,
                each.user_name,
                each.reason.value,
                each.detail,
                CHOICES.get(each.reason, ""),
                each.count,
                int(self._wall_clock(each.first)),
                int(self._wall_clock(each.last)),
            )
            for each in self.core.dispatch.refusals.recent()
        ]

    @property
    def driver(self) -> Driver:
        """What drives the Server. Raises RuntimeError before start()."""
        if self._driver is None:
            raise RuntimeError("the Server was not started")
        return self._driver

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
        check_platform()
        self._loop = asyncio.get_running_loop()
        serve_in(self._loop)
        self._loop_time = self._loop.time
        user = user_to_become(self.configuration.user, self.home)
        self._exit.enter_context(self.home.locked())
        try:
            listeners, self.addresses = bind_all(self.configuration)
            self.port = self.core.dispatch.port = self.addresses[0][1]
            for listener in listeners:
                self._exit.callback(listener.close)
            become(user, self.home, kerberos=bool(self.configuration.keytab))
            self._state.forget(self._said_now)
            self._applied.apply(self._applied.base, self._fit)
            self.service.subscribe(audit.listener(self.journal), *audit.KINDS, name="audit log")
            self._exit.callback(self.journal.close)
            self._offered = self._mechanisms()
            self._driver = driver = Driver(
                self.core.dispatch,
                self.journal,
                self.accounts,
                performers=self._performers(),
                private=self._private,
                idle=self._idle,
            )
            self._exit.callback(driver.disk.close)
            for share in self.service.shares():
                self._confine(share.path if share.confined else "", 1)
            self.service.subscribe(self._shares_changed, ShareAdded, ShareRemoved, name="confined folders")
            await self._look_at_shares()
            control = ControlServer(self.home.control, self)
            await control.start()
            self._exit.callback(control.close)
            self.service.start(int(time.time()))
            for listener in listeners:
                self._exit.callback(driver.listen(listener, self._descriptors.scarce_from).close)
        except BaseException:
            if self._driver is not None:
                self._driver.running = False
            self._exit.close()
            raise
        where = ", ".join(f"{host} port {port}" for host, port in self.addresses)
        log.info("listening on %s; event loop: %s", where, loop_name(self._loop))

    def _wall_clock(self, now: float) -> float:
        """The time of day, in seconds since 1970, at a time of the event loop."""
        return time.time() + now - self._loop_time()

    async def _look_at_shares(self) -> None:
        """Look at the folders of all shares, for up to PATIENCE seconds: a disk may not answer."""
        looked = self._loop.create_future()
        watch = self.core.dispatch.watch
        watch.start(self.tick())
        watch.look_at_shares(self.service.shares(), lambda: looked.set_result(None))
        self.flush()
        await asyncio.wait([looked], timeout=PATIENCE)

    def _shares_changed(self, event: Event) -> None:
        if isinstance(event, ShareAdded | ShareRemoved) and event.share.confined:
            self._confine(event.share.path, 1 if isinstance(event, ShareAdded) else -1)

    def _confine(self, path: str, shares: int) -> None:
        """Have the disk know which folders no link may lead to: so many shares more are of this one."""
        if path:
            self.driver.disk.files.confined[path] += shares

    def _listener_failed(self, name: str, event: Event | None, error: BaseException) -> None:
        """An error of ours in what hears of the domain's changes. Everything goes on without it."""
        what = f"event {event.sequence}, {type(event).__name__}" if event is not None else "what has ended"
        self.journal.say(log, logging.ERROR, f"{name} failed", "", "%s failed on %s", name, what, error=error)

    async def stop(self) -> None:
        """End every session, send what is still to be sent, close all. May be called twice."""
        if (driver := self._driver) is None or not driver.running:
            return
        driver.running = False
        driver.tick()
        self.service.stop()
        await driver.stop()
        self._exit.close()
        await driver.wait_gone()
        self._stopped.set()
        log.info("stopped")

    def request_stop(self) -> None:
        """Make wait_stopped() return; its caller then stops the Server."""
        self._stopped.set()

    async def wait_stopped(self) -> None:
        """Wait until request_stop() is called."""
        await self._stopped.wait()

    def reload(self) -> None:
        """Read the configuration again and apply what can be changed while running.

        Raises ConfigurationError; then nothing has changed. Addresses, the name, the user, the keytab and the
        realm stay until a new start. What is open on a share that is no longer there, or leads elsewhere now, is
        closed.
        """
        self._applied.apply(self._read(), self._fit)
        self.core.dispatch.watch.reassess()
        self.core.dispatch.watch.look_at_shares(self.service.shares())
        self.flush()
        log.info("configuration read again")

    def _mechanisms(self) -> Callable[[], Sequence[Mechanism]]:
        """What each log-on may be made by besides NTLM."""
        if not self.configuration.keytab:
            return tuple
        from lanman.net.kerberos import accepting, keep_replays_in

        keep_replays_in(self.home.path)
        return accepting(self.configuration.keytab, self.configuration.domain.realm)

    def _performers(self) -> dict[type[Effect[Any]], Callable[[Any], Any]]:
        """What management calls and clients want to have done, or to know."""
        return {
            FindFolder: partial(find_folder, guard=Guard((self.home.path,))),
            ListInterfaces: lambda effect: reachable(self.addresses, self.port, local_addresses()),
            **self._applied.performers(),
        }

    def _fit(self, configuration: Configuration) -> Configuration:
        """Raise the limit of descriptors as far as it may be, say what fits, and return the configuration with that."""
        wanted = configuration.limits.connections
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
        return fitted(configuration, connections)

    def tick(self) -> float:
        """The event loop's time, in seconds; dispatch is told. Before anything else is told it from outside."""
        return self.driver.tick()

    def flush(self) -> None:
        """Send, end, perform and set the timer: everything that was told from outside has led to."""
        self.driver.flush()
