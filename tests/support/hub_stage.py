"""A hub of the web console in front of a server that answers from lists, in virtual time; and streams of it without a
socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from lanman.errors import AccessDenied, LanmanError
from lanman.faces.web.live.hub import Hub, Viewing
from lanman.faces.web.live.stream import EventStream
from lanman.faces.web.people import Access, Person
from lanman.manage.kept import Opening
from lanman.manage.manager import Manager, Sessions
from lanman.records import FileInfo, SessionInfo, ShareInfo
from support.fake_manager import FakeManager
from support.virtual_time import VirtualClock, run


@dataclass
class Rights:
    """What a server tells somebody. `refused` is why a log-on is refused, `denied` the lists that are."""

    level: int = 502
    denied: frozenset[str] = frozenset()
    refused: LanmanError | None = None
    folders: bool = True
    hidden: frozenset[str] = frozenset()


@dataclass
class Server:
    """A server whose lists a test changes, and which counts what it is asked, by whom."""

    name: str = "fs1"
    sessions: list[SessionInfo] = field(default_factory=list)
    files: list[FileInfo] = field(default_factory=list)
    shares: list[ShareInfo] = field(default_factory=list)
    away: LanmanError | None = None
    rights: dict[str, Rights] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    logons: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def opening(self, user: str) -> Opening:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Manager]:
            self.logons.append(user)
            if self.away is not None:
                raise self.away
            if (refused := self.rights[user].refused) is not None:
                raise refused
            self.open.append(user)
            try:
                yield _Told(self, user)
            finally:
                self.open.remove(user)

        return opened


class _Told(FakeManager):
    def __init__(self, script: Server, user: str) -> None:
        super().__init__(script.name)
        self._script, self._user = script, user

    def _rights(self, question: str) -> Rights:
        self._script.asked.append(self._user)
        if self._script.away is not None:
            raise self._script.away
        rights = self._script.rights[self._user]
        if question in rights.denied:
            raise AccessDenied(server=self.server)
        return rights

    async def sessions(
        self, *, client: str | None = None, user: str | None = None, level: int | None = None
    ) -> Sessions:
        rights = self._rights("sessions")
        return Sessions(self.server, rights.level, list(self._script.sessions))

    async def files(
        self, *, path: str | None = None, user: str | None = None, client: str | None = None
    ) -> list[FileInfo]:
        self._rights("files")
        return list(self._script.files)

    async def shares(self, level: int | None = None) -> list[ShareInfo]:
        rights = self._rights("shares")
        return [
            ShareInfo(each.netname, each.type, each.remark, path=each.path if rights.folders else None)
            for each in self._script.shares
            if each.netname not in rights.hidden
        ]


def session(client: str, user: str, age: int = 3600, idle: int = 0) -> SessionInfo:
    return SessionInfo(client, user, 0, age, idle, 0, "", "")


@dataclass
class Stage:
    """A hub in front of a server, in virtual time."""

    clock: VirtualClock
    server: Server
    hub: Hub

    def person(self, name: str, rights: Rights | None = None) -> Person:
        self.server.rights[name] = rights or Rights()
        access = Access(self.server.name, name, self.server.opening(name), may_order=True)
        return Person(name, "login", {self.server.name: access})

    async def joined(self, person: Person) -> Viewing:
        return await self.hub.join(person, person.accesses[self.server.name])

    def stream(self, person: Person, after: str | None = None) -> Browser:
        """A stream of a person, which begins at once."""
        return Browser(EventStream(self.hub, person, [self.server.name], after))

    def logged_off(self, person: Person) -> None:
        person.ended = True
        person.accesses.clear()
        self.hub.leave(person)


def staged(test: Callable[[Stage], Coroutine[Any, Any, None]]) -> None:
    async def with_clock(clock: VirtualClock) -> None:
        server = Server()
        server.sessions = [session(r"\\pc7", "bob"), session(r"\\pc9", "carol")]
        server.files = [FileInfo(1, 1, 0, r"C:\data\a.txt", "bob")]
        server.shares = [ShareInfo("data", 0, "", path=r"C:\data")]
        hub = Hub(2.0, 10.0, clock=lambda: clock.now)
        try:
            await test(Stage(clock, server, hub))
        finally:
            await hub.close()
        assert server.open == []
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(with_clock)


class Event(dict[str, Any]):
    """An event that a browser was sent: its data, with its `name` and `id`."""

    def __init__(self, name: str, id: str, data: dict[str, Any]) -> None:
        super().__init__(data)
        self.name, self.id = name, id


class Browser:
    """The other end of a stream: it takes what it is sent, unless it is `slow`; `leave` hangs up."""

    def __init__(self, stream: EventStream) -> None:
        self.events: list[Event] = []
        self.comments: list[str] = []
        self.status: int | None = None
        self.ended = False
        """Whether the end was sent."""
        self.waiting = 0
        """How many bytes were offered and not taken."""
        self._rest = b""
        self._takes = asyncio.Event()
        self._takes.set()
        self._gone = asyncio.Event()
        self.task = asyncio.create_task(stream({"type": "http"}, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        self.waiting = len(message["body"])
        await self._takes.wait()
        self.waiting = 0
        self.ended = not message.get("more_body", False)
        *blocks, self._rest = (self._rest + message["body"]).split(b"\n\n")
        for block in blocks:
            self._take(block.decode("ascii"))

    def _take(self, block: str) -> None:
        fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        self.comments += [line[1:].strip() for line in block.split("\n") if line.startswith(":")]
        if "data" in fields:
            self.events.append(Event(fields["event"], fields["id"], json.loads(fields["data"])))

    def slow(self, is_slow: bool = True) -> None:
        """Take nothing from now on, or take again."""
        if is_slow:
            self._takes.clear()
        else:
            self._takes.set()

    async def leave(self) -> None:
        """Hang up, and wait until the stream has ended."""
        self._gone.set()
        await self.task

    def named(self, name: str) -> list[Event]:
        """The events of a name."""
        return [event for event in self.events if event.name == name]

    @property
    def last_id(self) -> str:
        """What a browser sends as Last-Event-ID."""
        return self.events[-1].id
