"""The hub: who shares a poll, who does not, and what becomes of it when people come and go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from lanman.errors import AccessDenied, LanmanError
from lanman.faces.web.live.hub import Hub, Viewing
from lanman.manage.kept import Opening
from lanman.manage.manager import Manager, Sessions
from lanman.manage.watching.rows import Kind
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


@dataclass(frozen=True)
class Access:
    server: str
    user: str
    opening: Opening
    may_order: bool = True


@dataclass(eq=False)
class Person:
    name: str
    kind: str = "login"
    accesses: dict[str, Access] = field(default_factory=dict)
    ended: bool = False


def session(client: str, user: str, age: int = 3600, idle: int = 0) -> SessionInfo:
    return SessionInfo(client, user, 0, age, idle, 0, "", "")


@dataclass
class Stage:
    """A hub in front of a server, in virtual time."""

    clock: VirtualClock
    server: Server
    hub: Hub

    def person(self, name: str, rights: Rights | None = None, **more: Any) -> Person:
        self.server.rights[name] = rights or Rights()
        person = Person(name, **more)
        person.accesses[self.server.name] = Access(self.server.name, name, self.server.opening(name))
        return person

    async def joined(self, person: Person) -> Viewing:
        return await self.hub.join(person, person.accesses[self.server.name])

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


def test_two_who_are_told_the_same_share_one_poll() -> None:
    async def test(stage: Stage) -> None:
        ann, eve = stage.person("ann"), stage.person("eve")
        of_ann, of_eve = await stage.joined(ann), await stage.joined(eve)
        assert of_ann.poll is of_eve.poll
        assert (of_ann.state, of_eve.state) == ("up", "up")
        assert [row["user_name"] for row in of_eve.rows(Kind.SESSION)] == ["bob", "carol"]
        assert of_eve.rows(Kind.SESSION)[0] is of_ann.rows(Kind.SESSION)[0]
        stage.server.asked.clear()
        await asyncio.sleep(21)
        assert set(stage.server.asked) == {"ann"}
        assert len(stage.server.asked) == 3 * 10

    staged(test)
