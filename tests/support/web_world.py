"""A web console in the event loop of a test, in front of Servers with people on them.

    async with fs1() as world, consoled({"fs1": world.place}) as web:
        context = await browsing.context()
        await web.log_in(context, "ann")
        page = await web.opened(context, "#/server/fs1/sessions")

The servers are real, and so is every byte between them and the console; who is on `fs1` are clients of ours, each from
a loopback address of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import lanman
from lanman.manage.history import Recorder, open_store
from lanman.manage.open import open_manager
from lanman.manage.watching.poller import Poller
from lanman.net.approach import PLAIN, Approach
from lanman.net.client import SmbClient
from lanman.net.credentials import Credentials
from lanman.smb2.messages import CreateRequest
from support.passwords import PASSWORD

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Page

    from lanman.faces.web.console import Console

READ, WRITE = 0x80000000, 0xC0000000
SHARE_ALL, OPEN = 7, 1

PEOPLE: Final[tuple[tuple[str, int, str, dict[str, int]], ...]] = (
    ("bob", 21, "projects", {"budget.xlsx": WRITE, "plan.docx": READ}),
    ("carol", 22, "projects", {"budget.xlsx": READ}),
    ("dave", 9, "pub", {"menu.pdf": READ}),
    ("eve", 100, "pub", {}),
    ("frank", 30, "projects", {"minutes.txt": WRITE}),
)
"""Who comes from where, and has which files of which share open for what."""
FILES: Final = {"projects": ("budget.xlsx", "plan.docx", "minutes.txt"), "pub": ("menu.pdf",)}
ADMINISTRATORS: Final = ("ann", "adam")
NOBODY: Final = "mallory"
"""A user of the Server with no rights to manage it."""


@dataclass
class World:
    """A Server with people on it, who come and go as a test says."""

    server: lanman.Server
    folder: Path
    people: dict[str, SmbClient] = field(default_factory=dict)

    @property
    def place(self) -> tuple[str, int]:
        return "127.0.0.1", self.server.port

    async def come(
        self, user: str, number: int = 21, share: str = "projects", files: Mapping[str, int] = {}
    ) -> SmbClient:
        """Somebody logs on from 127.0.0.`number`, and opens files of a share."""
        client = SmbClient(*self.place, Credentials(user, PASSWORD), local_address=f"127.0.0.{number}")
        self.people[user] = client
        await client.connect()
        await client.log_on()
        tree = await client.tree_connect(share)
        for name, access in files.items():
            request = CreateRequest(
                name=name, desired_access=access, share_access=SHARE_ALL, create_disposition=OPEN, create_options=0x40
            )
            (answer,) = await client.request_all([request], tree)
            assert answer.status == 0, (name, hex(answer.status))
        return client

    async def go(self, user: str) -> None:
        """Somebody hangs up."""
        await self.people.pop(user).abort()


@asynccontextmanager
async def fs1(people: Any = PEOPLE, *, users: tuple[str, ...] = (), **options: Any) -> AsyncIterator[World]:
    """The Server fs1: ann and adam are its administrators, mallory may log on and see nothing."""
    names = {*ADMINISTRATORS, NOBODY, *users, *(user for user, *_ in PEOPLE)}
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lanman-web-")))
        for share, files in FILES.items():
            (folder / share).mkdir()
            for file in files:
                (folder / share / file).write_text("a file\n")
        shares = {share: {"path": str(folder / share), "write": [*names]} for share in FILES}
        server = lanman.Server(
            shares,
            dict.fromkeys(names, PASSWORD),
            administrators=ADMINISTRATORS,
            **{"name": "fs1", "home": folder / "home", **options},
        )
        await stack.enter_async_context(server)
        world = World(server, folder)
        try:
            for user, number, share, opened in people:
                await world.come(user, number, share, opened)
            yield world
        finally:
            for user in [*world.people]:
                await world.go(user)


async def recorded(world: World, database: Path) -> str:
    """The address of a new history of fs1: eve was there, and has gone since."""
    opening = partial(open_manager, *world.place[:1], Credentials("ann", PASSWORD), port=world.server.port)
    poller = Poller(opening, server="fs1", every=0.05)
    store = open_store(database, make=True)
    async with store, Recorder(store, [poller]) as recorder:
        await anext(recorder)
        await world.go("eve")
        while any(row.user_name == "eve" for row in poller.picture.sessions.values()):
            await anext(recorder)
    return f"sqlite:///{database}"


class Gate:
    """A way to a server that can be shut: nobody gets through, and who was through is cut off."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._listening: asyncio.Server | None = None
        self._wires: set[asyncio.StreamWriter] = set()
        self.port = 0

    @property
    def place(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.shut()

    async def open(self) -> None:
        """Let people through, on the port of the first time."""
        self._listening = await asyncio.start_server(self._through, "127.0.0.1", self.port)
        self.port = self._listening.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        """Cut everybody off, and listen no more."""
        if self._listening is not None:
            self._listening.close()
            for wire in [*self._wires]:
                wire.transport.abort()
            await self._listening.wait_closed()
            self._listening = None

    async def _through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self._to)
        self._wires |= {writer, back}
        try:
            await asyncio.gather(_copy(reader, back), _copy(there, writer))
        finally:
            self._wires -= {writer, back}


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


@dataclass
class Web:
    """A console that is served at `url`. `word` is that of the one-time link, which makes a person of whom the command
    runs as; here that is ann."""

    url: str
    console: Console
    word: str
    noted: Noted
    password: str = PASSWORD
    """Everybody's."""

    @property
    def answered(self) -> list[tuple[str, str, int]]:
        """Method, path and status of every answer that has begun."""
        return self.noted.answered

    @property
    def streams(self) -> int:
        """How many streams of events are open."""
        return self.noted.streams

    @property
    def link(self) -> str:
        return f"{self.url}/#once={self.word}"

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def log_in(self, context: BrowserContext, user: str, *servers: str) -> None:
        """Log in without a page, at one server or several: the cookie is the context's afterwards."""
        for server in servers or [*self.console.servers]:
            answer = await context.request.post(
                f"{self.url}/api/v1/login",
                data={"server": server, "user": user, "password": self.password},
                headers={"Origin": self.url},
            )
            assert answer.status == 204, await answer.text()

    async def opened(self, context: BrowserContext, address: str = "") -> Page:
        """A new page of the context, at an address of the console."""
        page = await context.new_page()
        await page.goto(f"{self.url}/{address}")
        return page

    async def page_of(self, context: BrowserContext, user: str = "ann", address: str = "") -> Page:
        """A page of somebody who is logged in at all servers."""
        await self.log_in(context, user)
        return await self.opened(context, address)


@dataclass
class Noted:
    """An application, and what it answers."""

    app: Any
    answered: list[tuple[str, str, int]] = field(default_factory=list)
    streams: int = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.answered.append((scope["method"], scope["path"], message["status"]))
            await send(message)

        is_stream = scope["path"] == "/api/v1/events"
        self.streams += is_stream
        try:
            await self.app(scope, receive, sent)
        finally:
            self.streams -= is_stream


@asynccontextmanager
async def consoled(
    places: Mapping[str, tuple[str, int]], *, own: str = "ann", password: str = PASSWORD, **settings: Any
) -> AsyncIterator[Web]:
    """A console in front of servers, by the names that they have there. `settings` are those of the console; servers
    are asked ten times a second here."""
    from lanman.faces.web.app import make_app
    from lanman.faces.web.console import Console, Offered, Settings
    from lanman.faces.web.listening import Listening, Serving
    from lanman.faces.web.logins import OneTime

    def offered(name: str, host: str, port: int) -> Offered:
        def opening_as(credentials: Credentials, approach: Approach = PLAIN) -> Any:
            return partial(open_manager, host, credentials, port=port, approach=approach)

        return Offered(name, opening_as(Credentials(own, password)), opening_as)

    console = Console([offered(name, *place) for name, place in places.items()], Settings(**{"every": 0.1, **settings}))
    opened = Listening("127.0.0.1:0").opened()
    async with console:
        once = OneTime(console.clock())
        noted = Noted(make_app(console, once))
        server = Serving(noted, opened)
        task = asyncio.create_task(server.serve(sockets=[opened.place.socket]))
        try:
            yield Web(f"{opened.url}", console, once.word, noted, password)
        finally:
            await console.close()
            server.should_exit = True
            await task
            opened.place.close()
