"""The web console in a program: from the moment that browsers can come, to the moment that they are gone.

    async with web_console(["fs1", "fs2"], credentials) as running:
        print(running.link)                       # http://127.0.0.1:8445/#once=...
        await running.wait()                      # until `stop` is called, or the task is cancelled

It ends within two seconds, whatever browsers and servers do: streams are told first, then answers have a second, then
everybody is let go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Final

from lanman.faces.web.app import make_app
from lanman.faces.web.console import EVERY, Console, Finding, Offered, Settings
from lanman.faces.web.listening import GRACE, LISTEN, Listening, Serving
from lanman.faces.web.logins import OneTime
from lanman.manage.cluster import configured_credentials, single_servers
from lanman.manage.cluster.gate import LogonGate
from lanman.manage.loopback import LOOPBACK
from lanman.manage.manager import DEFAULT_TIMEOUT
from lanman.manage.metrics.exporter import this_machine
from lanman.manage.open import open_manager
from lanman.net.approach import Approach
from lanman.net.drains import drain_name

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from lanman.client_settings import ClientConfiguration
    from lanman.faces.web.listening import Opened
    from lanman.manage.cluster import Place as Named
    from lanman.manage.doctor.report import Diagnosis
    from lanman.manage.kept import Opening
    from lanman.manage.manager import Manager
    from lanman.net.credentials import Credentials

LEAVE: Final = 1.5
"""How long everything may take at the end, in seconds."""


class WebConsole:
    """Serves the page, while it is entered. An async context manager; entering raises LanmanError where it cannot
    listen, and what finding servers raises."""

    def __init__(self, console: Console, listening: Listening) -> None:
        self.console = console
        self.where = ""
        """Where browsers come to, as `listen` was written, with the port that it has."""
        self.url: str | None = None
        """The page's address on this machine; None for a Unix socket."""
        self.once: str | None = None
        """The word of the one-time link; None where everybody has to log in, since a proxy stands in front."""
        self._listening = listening
        self._opened: Opened | None = None
        self._serving: Serving | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def link(self) -> str | None:
        """The one-time link: whoever on this machine opens it first, within ten minutes, is this user."""
        return None if self.url is None or self.once is None else f"{self.url}/#once={self.once}"

    async def __aenter__(self) -> Self:
        opened = self._listening.opened()
        try:
            await self.console.__aenter__()
        except BaseException:
            opened.place.close()
            raise
        once = OneTime(self.console.clock()) if opened.rules.proxy is None else None
        self.where, self.url, self.once = opened.place.where, opened.url, None if once is None else once.word
        self._opened = opened
        self._serving = Serving(make_app(self.console, once, opened.rules), opened)
        self._task = asyncio.create_task(self._serving.serve(sockets=[opened.place.socket]))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def stop(self) -> None:
        """Begin to end: streams end and nobody new is let in. May be called twice, and from a handler of signals."""
        if self._serving is not None:
            self._serving.should_exit = True
        self.console.people.end_all("the console ends")

    async def wait(self) -> None:
        """Wait until it has ended, by `stop` or by an error of lanman's own, which is raised."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def close(self) -> None:
        """End everything. May be called twice."""
        self.stop()
        task, self._task = self._task, None
        opened, self._opened = self._opened, None
        try:
            # One after the other they could take twice as long.
            closing = asyncio.create_task(self.console.close())
            running = {closing} if task is None else {closing, task}
            _, late = await asyncio.wait(running, timeout=LEAVE)
            for each in late:
                each.cancel()
            if late:
                await asyncio.wait(late, timeout=GRACE)
            if closing.done() and not closing.cancelled():
                closing.result()
        finally:
            if self._serving is not None:
                self._serving.abort()
            if opened is not None:
                opened.place.close()


def web_console(
    servers: str | Sequence[str] | None = None,
    credentials: Credentials | None = None,
    *,
    listen: str = LISTEN,
    tls_cert: str | None = None,
    tls_key: str | None = None,
    trust_proxy: str | None = None,
    user_header: str | None = None,
    allow_hosts: Sequence[str] = (),
    readonly: bool = False,
    database: str | None = None,
    every: float = EVERY,
    port: int | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    home: str | Path | None = None,
    service: str | None = None,
    samba_config: str | None = None,
    configuration: ClientConfiguration | None = None,
) -> WebConsole:
    """The web console of servers, to be used in `async with`; see `WebConsole`.

    `servers` are one or several, of which each may mean several (`lanman.open_manager`); None is this machine's.
    Whoever has the one-time link, or is named by a trusted proxy, asks them with `credentials`; everybody else logs in
    with their own, over SMB at `port`. Servers are asked `every` so many seconds while somebody watches. `listen`,
    `tls_cert`, `tls_key`, `trust_proxy`, `user_header` and `allow_hosts` are as in `lanman web`. `readonly`: nobody
    gives orders. `database` is the history's. The other arguments are those of `lanman.open_manager`.

    Raises ValueError for times out of range; entering raises LanmanError 87 for what does not go together, and what
    `lanman.manage.cluster.single_servers` raises. Needs the extra web: ModuleNotFoundError without it.
    """
    if not every > 0 or not timeout > 0:
        raise ValueError("times are in seconds, and positive")
    # One wrong password is not tried at all of them at once.
    together = Approach(around_logon=LogonGate().log_on)
    here: dict[str, Any] = {"home": home, "service": service, "samba_config": samba_config}

    def offered(place: Named, who: Credentials | None) -> Offered:
        def opening() -> AbstractAsyncContextManager[Manager]:
            return open_manager(place.server, who, port=place.port, timeout=timeout, approach=together, **here)

        return Offered(
            place.node or this_machine(),
            opening,
            over_smb(place.server, place.port, timeout),
            "" if who is None else who.logon_name,
            examined(place.server, place.port, timeout, who, **here),
            drain_name(place.server, place.port, service),
        )

    async def find() -> Sequence[Offered]:
        found: dict[str, Offered] = {}
        for each in [servers] if servers is None or isinstance(servers, str) else servers:
            who = credentials
            if who is None and each is not None:
                who = configured_credentials(each, configuration)
            for place in await single_servers(each, configuration, port=port):
                one = offered(place, who)
                found.setdefault(one.name, one)
        return list(found.values())

    listening = Listening(listen, tls_cert, tls_key, trust_proxy, user_header, tuple(allow_hosts))
    finding: Finding = find
    settings = Settings(readonly, database, every, timeout, home=None if home is None else str(home))
    return WebConsole(Console(finding, settings), listening)


class examined:
    """Examines a server (`lanman.doctor`) as somebody who has logged in, or with the command's own credentials; `here`
    are the options of `lanman.open_manager` that are about this machine."""

    def __init__(
        self, server: str | None, port: int | None, timeout: float, own: Credentials | None, **here: Any
    ) -> None:
        self._server, self._port, self._timeout, self._own, self._here = server, port, timeout, own, here

    async def __call__(self, credentials: Credentials | None) -> Diagnosis:
        """What is found, with one log-on."""
        from lanman.manage.doctor.run import doctor

        if credentials is None:
            return await doctor(self._server, self._own, port=self._port, deadline=self._timeout, **self._here)
        return await doctor(self._server or LOOPBACK, credentials, port=self._port, deadline=self._timeout)


class over_smb:
    """Opens a server as somebody who logs in: always over SMB, where the server itself judges the password. Without a
    server it is this machine's, at the loopback interface."""

    def __init__(self, server: str | None, port: int | None, timeout: float) -> None:
        self._server = LOOPBACK if server is None else server
        self._port = port
        self._timeout = timeout

    def __call__(self, credentials: Credentials, approach: Approach) -> Opening:
        """What opens a Manager with these credentials."""

        def opening() -> AbstractAsyncContextManager[Manager]:
            return open_manager(self._server, credentials, port=self._port, timeout=self._timeout, approach=approach)

        return opening
