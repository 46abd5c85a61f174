"""The exporter: polls servers, and answers scrapers from what was seen last.

    async with exporter(["fs1", "fs2"], credentials, listen="127.0.0.1:9745") as running:
        print(running.where)                      # 127.0.0.1:9745
        await running.wait()                      # until the task is cancelled

The rules:

  - A scrape asks no server. So one that does not answer delays no scrape, and none is asked more often than `every`
    says however many scrape.
  - Each server has one connection. What the poller does not ask for (how many sessions it admits, its counters) is
    asked over the same one, in a task of its own, about every `every` seconds.
  - A log-on that was refused is not tried again: wrong passwords lock accounts. The server is down from then on, and
    the exporter goes on, since one that is started again would try again.
  - Figures are worked out when they have changed and are asked for, or after a look. Scrapes that come within `FRESH`
    seconds are given the same text, whoever asks.
  - It ends within `LEAVE` seconds, whatever servers and scrapers do.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lanman import codes
from lanman.errors import AuthenticationError, LanmanError, Win32Error
from lanman.manage.cluster import configured_credentials, single_servers
from lanman.manage.cluster.gate import LogonGate
from lanman.manage.kept import Opening
from lanman.manage.manager import DEFAULT_TIMEOUT, Manager
from lanman.manage.metrics.ended import Ended
from lanman.manage.metrics.http import HttpServer
from lanman.manage.metrics.table import DEFAULT_TOP, MAX_TOP
from lanman.manage.metrics.watched import Answers, Watched, build
from lanman.manage.open import open_manager
from lanman.manage.watching.poller import Poller
from lanman.manage.watching.several import Several
from lanman.net.approach import Approach
from lanman.net.bound import Place, names_of_this_machine
from lanman.settings import METRICS_PORT, UNLIMITED
from lanman.shown import escape

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from lanman.client_settings import ClientConfiguration
    from lanman.manage.cluster import Place as Named
    from lanman.manage.granted import GrantedLevels
    from lanman.manage.metrics.exposition import Exposition
    from lanman.manage.metrics.watched import Sample
    from lanman.manage.watching.changes import Update
    from lanman.net.credentials import Credentials
    from lanman.records import PortionDetails, Statistics

log: Final = logging.getLogger("lanman.metrics")

LISTEN: Final = "127.0.0.1:9745"
EVERY: Final = 15.0
LEAVE: Final = 1.0
"""How long taking leave of servers may take at the end, in seconds."""
FRESH: Final = 0.5
"""For so many seconds the same text is given to all who ask."""


class Served(NamedTuple):
    """A server whose figures are given away: the name that its series have, and how a Manager of it is opened."""

    name: str
    opening: Opening


Finding = Callable[[], Awaitable[Sequence[Served]]]
"""Finds the servers, where they have to be looked up first."""


class Exporter:
    """Polls servers and answers scrapers, while it is entered. An async context manager.

    `names` says whether users and clients are named, the `top` of each. With `listen` None nobody can come, and
    `scrape` gives the figures. `database` is that of the history, for what policies have ended. Raises LanmanError 50
    without prometheus_client, ValueError for servers of one name and for values out of range; entering raises
    LanmanError where it cannot listen, and what finding servers raises.
    """

    def __init__(
        self,
        servers: Sequence[Served] | Finding,
        *,
        listen: str | None = LISTEN,
        every: float = EVERY,
        timeout: float = DEFAULT_TIMEOUT,
        names: bool = False,
        top: int = DEFAULT_TOP,
        database: str | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        if not every > 0 or not timeout > 0:
            raise ValueError("times are in seconds, and positive")
        if not 1 <= top <= MAX_TOP:
            raise ValueError(f"names of 1 to {MAX_TOP} users and clients, not {top}")
        # Only who makes one needs prometheus_client.
        from lanman.manage.metrics.exposition import Exposition

        self._exposition = Exposition
        self.where = ""
        """Where scrapers come to, as `listen` was written, with the port that it has."""
        self._listen = listen
        self._every = every
        self._timeout = timeout
        self._top = top if names else 0
        self._wall_clock = wall_clock
        self._http = HttpServer(self.scrape)
        self._find = servers if callable(servers) else None
        self._asked: list[_Asked] = [] if callable(servers) else self._each(servers)
        self._ended = None if database is None else Ended(database, timeout, wall_clock)
        self._place: Place | None = None
        self._polling: asyncio.Task[None] | None = None
        self._counting: asyncio.Task[None] | None = None
        self._over = asyncio.Event()
        self._working_out = asyncio.Lock()
        self._given: dict[str, tuple[float, bytes]] = {}

    def _each(self, servers: Sequence[Served]) -> list[_Asked]:
        """What asks each. Raises ValueError for two of one name: their series could not be told apart."""
        labels = [escape(each.name) for each in servers]
        if twice := sorted({label for label in labels if labels.count(label) > 1}):
            raise ValueError(f"two servers have one name: {', '.join(twice)}")
        return [
            _Asked(label, each.opening, self._every, self._timeout, self._top, self._wall_clock)
            for label, each in zip(labels, servers, strict=True)
        ]

    # --- life

    async def __aenter__(self) -> Self:
        if self._find is not None:
            self._asked = self._each(await self._find())
        if self._listen is not None:
            await self._start_listening(Place(self._listen, METRICS_PORT))
        self._polling = self._started(self._poll())
        if self._ended is not None:
            self._counting = self._started(self._ended.run(self._every))
        return self

    async def _start_listening(self, place: Place) -> None:
        self._place, self.where = place, place.where
        if not place.is_loopback:
            log.warning("%s: whoever reaches this address may read the figures, which are not encrypted", place.where)
        if place.path is None and place.is_loopback:
            self._http.host_names = names_of_this_machine()
        try:
            await self._http.start(place.socket)
        except BaseException:
            place.close()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Answer nobody any more, and disconnect. May be called twice."""
        await self._http.close()
        if self._place is not None:
            self._place.close()
        running = {task for task in (self._polling, self._counting) if task is not None}
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        self._over.set()

    async def wait(self) -> None:
        """Wait until it is closed. Raises what it cannot go on after, which is an error of lanman's own."""
        await self._over.wait()
        for task in (self._polling, self._counting):
            if task is not None and task.done() and not task.cancelled():
                task.result()

    def _started(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(self._has_ended)
        return task

    def _has_ended(self, task: asyncio.Task[None]) -> None:
        # That no server is asked any more is no end: what is known of them is still told.
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("nothing new is learnt any more, by an error of lanman's", exc_info=error)
            self._over.set()

    # --- scrapes

    async def first_look(self) -> list[tuple[str, LanmanError]]:
        """Wait until every server was seen, or could not be; those that could not, by name, and why. So it is with the
        database, whose name here is `history`."""
        for each in self._asked:
            await each.seen.wait()
            await each.answered()
        found = [(each.watched.name, each.poller.picture.error) for each in self._asked]
        if self._ended is not None:
            await self._ended.looked.wait()
            found.append(("history", self._ended.error))
        return [(name, error) for name, error in found if error is not None]

    async def samples(self) -> list[Sample]:
        """The figures as they are now: of each series its metric, the values of its labels, and its value."""
        async with self._working_out:
            return await self._samples()

    async def scrape(self, accept: str = "") -> tuple[str, bytes]:
        """The figures as a scraper gets them that sends the header Accept: the content type, and the text."""
        exposition = self._exposition(accept)
        # One at a time works them out, and all who came meanwhile get the same.
        async with self._working_out:
            now = asyncio.get_running_loop().time()
            given_at, text = self._given.get(exposition.content_type, (-FRESH, b""))
            if now - given_at >= FRESH:
                text = await self._written(exposition)
                self._given = {exposition.content_type: (now, text), **self._fresh(now)}
        return exposition.content_type, text

    def _fresh(self, now: float) -> dict[str, tuple[float, bytes]]:
        return {kind: given for kind, given in self._given.items() if now - given[0] < FRESH}

    async def _written(self, exposition: Exposition) -> bytes:
        pieces = []
        for piece in exposition.pieces(await self._samples()):
            pieces.append(piece)
            await asyncio.sleep(0)
        return b"".join(pieces)

    async def _samples(self) -> list[Sample]:
        samples = [build(), *(self._ended.samples() if self._ended is not None else ())]
        for each in self._asked:
            await each.bring_up_to_date()
            samples += each.watched.samples(self._wall_clock())
        return samples

    # --- polling

    async def _poll(self) -> None:
        by_picture = {id(each.poller.picture): each for each in self._asked}
        several = Several([each.poller for each in self._asked])
        try:
            async for update in several:
                asked = by_picture[id(update.picture)]
                asked.take(update)
                if not update.picture.streamed:
                    async with self._working_out:
                        await asked.bring_up_to_date()
        finally:
            for each in self._asked:
                await each.stop()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LEAVE):
                    await several.close()


class _Asked:
    """A server that is asked: its poller, and what is asked beside."""

    def __init__(
        self,
        name: str,
        opening: Opening,
        every: float,
        timeout: float,
        top: int,
        wall_clock: Callable[[], float],
    ) -> None:
        self._opening = opening
        self._timeout = timeout
        self._every = every
        self.poller = Poller(self._open, server=name, every=every, deadline=timeout, wall_clock=wall_clock)
        self.watched = Watched(name, self.poller.picture, top)
        self._manager: Manager | None = None
        self.seen = asyncio.Event()
        self._refused: set[str] = set()
        self._asking: asyncio.Task[None] | None = None
        self._due = 0.0
        self._trouble = ""

    @contextlib.asynccontextmanager
    async def _open(self) -> AsyncIterator[Manager]:
        """Opens the server, and keeps the Manager for what is asked beside."""
        async with self._opening() as manager:
            self._manager, self._refused = manager, set()
            try:
                yield manager
            finally:
                self._manager = None

    def take(self, update: Update) -> None:
        """Take in what was seen, and ask for the rest where that is due."""
        self._say(update.picture.error)
        self.watched.take(update)
        now = asyncio.get_running_loop().time()
        idle = self._asking is None or self._asking.done()
        if update.picture.error is None and self._manager is not None and idle and now >= self._due:
            # Not quite, or a look that comes a little early would be left out.
            self._due = now + self._every * 0.9
            self._asking = asyncio.create_task(self._ask(self._manager))
        self.seen.set()

    async def answered(self) -> None:
        """Wait until what was asked beside is answered."""
        if self._asking is not None:
            await asyncio.wait({self._asking})

    def _say(self, error: LanmanError | None) -> None:
        """Say once in the log that a server cannot be asked, and once that it can again."""
        trouble = "" if error is None else error.with_hint
        if trouble == self._trouble:
            return
        self._trouble = trouble
        if error is None:
            log.warning("%s answers again", self.watched.name)
        elif isinstance(error, AuthenticationError):
            log.error("%s is not asked any more: %s", self.watched.name, escape(trouble))
        else:
            log.warning("%s: %s", self.watched.name, escape(trouble))

    async def _ask(self, manager: Manager) -> None:
        """Ask for the limit and the counters. What fails is not told; that the server is away, the poller finds."""
        info = await self._answer("limit", manager.server_info)
        statistics: Statistics | None = await self._answer("statistics", manager.statistics)
        portions: list[PortionDetails] | None = await self._answer("portions", manager.portions)
        limit = None if info is None else info.users
        self.watched.answers = Answers(None if limit in (0, UNLIMITED) else limit, statistics, portions or ())

    async def _answer(self, name: str, question: Callable[[], Any]) -> Any:
        if name in self._refused:
            return None
        try:
            async with asyncio.timeout(self._timeout + LEAVE):
                return await question()
        except Win32Error as error:
            if error.code == codes.ERROR_NOT_SUPPORTED:
                self._refused.add(name)
        except (LanmanError, TimeoutError):
            pass  # the next look will tell
        return None

    async def bring_up_to_date(self) -> None:
        """Work out the figures, with other work done in between."""
        for _ in self.watched.brought_up_to_date():
            await asyncio.sleep(0)

    async def stop(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking})


def exporter(
    servers: str | Sequence[str] | None = None,
    credentials: Credentials | None = None,
    *,
    listen: str | None = LISTEN,
    every: float = EVERY,
    names: bool = False,
    top: int = DEFAULT_TOP,
    port: int | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    home: str | Path | None = None,
    encrypt: bool = False,
    granted: GrantedLevels | None = None,
    service: str | None = None,
    samba_config: str | None = None,
    database: str | None = None,
    configuration: ClientConfiguration | None = None,
) -> Exporter:
    """Figures of servers for Prometheus, to be used in `async with`; see `Exporter`.

    `servers` are one or several, of which each may mean several (`lanman.open_manager`): all are asked one by one.
    None is this machine's. They are asked `every` so many seconds, and one that does not answer within `timeout`
    seconds is down. `listen` is `ADDRESS:PORT`, `unix:/PATH`, or None for nowhere. With `names`, the `top` users and
    clients have series of their own. `database` is the history's, for what policies have ended. The other arguments are
    those of `lanman.open_manager`. Raises LanmanError 50 without prometheus_client (the extra metrics), and ValueError
    for values out of range; entering raises what `lanman.manage.cluster.single_servers` raises.
    """
    # One wrong password is not tried at all of them at once.
    approach = Approach(around_logon=LogonGate().log_on)

    def opening(place: Named, who: Credentials | None) -> Opening:
        def opened() -> AbstractAsyncContextManager[Manager]:
            return open_manager(
                place.server,
                who,
                port=place.port,
                timeout=timeout,
                home=home,
                encrypt=encrypt,
                granted=granted,
                service=service,
                samba_config=samba_config,
                approach=approach,
            )

        return opened

    async def find() -> Sequence[Served]:
        found: dict[str, Served] = {}
        for each in [servers] if servers is None or isinstance(servers, str) else servers:
            who = credentials
            if who is None and each is not None:
                who = configured_credentials(each, configuration)
            for place in await single_servers(each, configuration, port=port):
                name = place.node or this_machine()
                found.setdefault(name, Served(name, opening(place, who)))
        return list(found.values())

    return Exporter(find, listen=listen, every=every, timeout=timeout, names=names, top=top, database=database)


def this_machine() -> str:
    """What the series of this machine's service are called."""
    return socket.gethostname().partition(".")[0].lower()
