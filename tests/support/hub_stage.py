"""A hub of the web console in front of a server that answers from lists, in virtual time; and streams of it without a
socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from lanman.errors import AccessDenied, LanmanError
from lanman.faces.web.live.hub import Hub, Viewing
from lanman.faces.web.live.stream import EventStream
from lanman.faces.web.live.told import Clocks
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
    only: frozenset[str] | None = None
    """Whose sessions are told; None: everybody's."""


@dataclass
class Server:
    """A server whose lists a test changes, and which counts what it is asked, by whom."""

    clock: VirtualClock
    name: str = "fs1"
    sessions: list[SessionInfo] = field(default_factory=list)
    files: list[FileInfo] = field(default_factory=list)
    shares: list[ShareInfo] = field(default_factory=list)
    away: LanmanError | None = None
    hangs: bool = False
    broken: Exception | None = None
    cannot: dict[str, str] = field(default_factory=dict)
    rights: dict[str, Rights] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    logons: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    _since: dict[int, tuple[SessionInfo, float]] = field(default_factory=dict)

    async def reached(self) -> None:
        """Raises what keeps everybody from being answered; or takes no end."""
        if self.hangs:
            await asyncio.sleep(1e6)
        if self.broken is not None:
            raise self.broken
        if self.away is not None:
            raise self.away

    def as_old_as_now(self, entry: SessionInfo) -> SessionInfo:
        """A session as it is listed now: its ages are those that it had when it was first asked for, and grow."""
        _, since = self._since.setdefault(id(entry), (entry, self.clock.now))
        passed = int(self.clock.now - since)
        return replace(entry, active_time=(entry.active_time or 0) + passed, idle_time=(entry.idle_time or 0) + passed)

    def opening(self, user: str) -> Opening:
        """What opens a Manager with somebody's credentials."""

        @asynccontextmanager
        async def opened() -> AsyncIterator[Manager]:
            self.logons.append(user)
            await self.reached()
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

    @property
    def cannot(self) -> Mapping[str, str]:
        return self._script.cannot

    async def _rights(self, question: str) -> Rights:
        self._script.asked.append(self._user)
        await self._script.reached()
        rights = self._script.rights[self._user]
        if question in rights.denied:
            raise AccessDenied(server=self.server)
        return rights

    async def sessions(
        self, *, client: str | None = None, user: str | None = None, level: int | None = None
    ) -> Sessions:
        rights = await self._rights("sessions")
        told = [
            self._script.as_old_as_now(each)
            for each in self._script.sessions
            if rights.only is None or each.user_name in rights.only
        ]
        return Sessions(self.server, rights.level, told)

    async def files(
        self, *, path: str | None = None, user: str | None = None, client: str | None = None
    ) -> list[FileInfo]:
        await self._rights("files")
        return list(self._script.files)

    async def shares(self, level: int | None = None) -> list[ShareInfo]:
        rights = await self._rights("shares")
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

    @contextmanager
    def watched(self, *people: Person) -> Iterator[None]:
        """Streams of some people are open."""
        with ExitStack() as stack:
            for person in people:
                stack.enter_context(self.hub.listen(person, [self.server.name]))
            yield

    def log_off(self, person: Person) -> None:
        person.ended = True
        person.accesses.clear()
        self.hub.leave(person)


def staged(test: Callable[[Stage], Coroutine[Any, Any, None]]) -> None:
    async def with_clock(clock: VirtualClock) -> None:
        server = Server(clock)
        server.sessions = [session(r"\\pc7", "bob"), session(r"\\pc9", "carol")]
        server.files = [FileInfo(1, 1, 0, r"C:\data\a.txt", "bob")]
        server.shares = [ShareInfo("data", 0, "", path=r"C:\data")]
        hub = Hub(2.0, 10.0, clocks=Clocks(clock.wall, lambda: clock.now))
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
        self.sent: list[bytes] = []
        """The bodies, as they came."""
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
        self.sent.append(message["body"])
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
