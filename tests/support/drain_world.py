"""Our Server in memory, in virtual time, with people who come, open, close and leave by chance while it is drained.

The one who drains is a client of that Server too, and asks by real calls. Chance acts before
each call is made, after each answer, and while the drain waits: at every point where on a network somebody else could.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from lanman import codes
from lanman.errors import AuthenticationError, ConnectionLost, StatusError
from lanman.manage.drain.looks import Looker, Scope
from lanman.manage.drain.machine import Event
from lanman.manage.drain.shell import Drain, DrainOrder, DrainResult, rules_of
from lanman.manage.granted import GrantedLevels
from lanman.manage.manager import Manager, Sessions
from lanman.manage.srvsvc import SrvsvcManager
from lanman.net.credentials import Credentials
from lanman.net.drains import KeptDrain
from lanman.rpc.srvsvc.sessions import NetrSessionEnum
from support.disk_server import ALL, READ, DiskWorld, FileClient
from support.passwords import PASSWORD

OURS = "192.0.2.250"
ROUND_TRIP = 0.01
FILES = ("plan.txt", "budget.xlsx", "notes.txt")

Act = Callable[[], None]


class WorldClock:
    """Virtual time, which passes in small steps while chance acts."""

    def __init__(self, world: DiskWorld, act: Act, chance: random.Random) -> None:
        self.world = world
        self.start = 1_700_000_000.0 - world.now
        self._act = act
        self._chance = chance

    def now(self) -> float:
        return self.start + self.world.now

    async def sleep(self, seconds: float) -> None:
        until = self.world.now + seconds
        while self.world.now < until:
            self._act()
            self.world.advance(min(until - self.world.now, self._chance.uniform(0.05, 2.0)))


class WorldLink:
    """The connection of who drains."""

    server = "fs1"
    port = 445
    local_address = OURS
    doing = "the Server in memory"
    is_samba = False

    def __init__(self, world: DiskWorld, act: Act) -> None:
        self.world = world
        self.credentials = Credentials("admin", PASSWORD)
        self.seen = 0
        """How many other sessions there were at the last answer to a list of sessions."""
        self._act = act
        self._client: FileClient | None = None
        self._since = 0.0

    @property
    def age(self) -> float:
        return self.world.now - self._since

    @property
    def alive(self) -> bool:
        return self._client is not None

    def client(self) -> FileClient:
        if self._client is None or self._client.finished:
            client = FileClient(self.world, OURS)
            client.negotiate()
            self._client = client.log_on("admin")  # type: ignore[assignment]
            self._since = self.world.now
            client.bind()
        assert self._client is not None
        return self._client

    async def call(self, request: Any, *, again: bool = True) -> Any:
        self._act()
        self.world.advance(ROUND_TRIP)
        for last in (not again, True):
            client = self.client()
            try:
                answer = client.call(request)
                break
            except (StatusError, KeyError, AssertionError) as error:
                self._client = None
                if last:
                    raise ConnectionLost("the session was ended") from error
        if isinstance(request, NetrSessionEnum):
            own = self._own_id()
            self.seen = sum(1 for each in self.world.service.sessions() if each.global_id != own)
        self._act()
        return answer

    def _own_id(self) -> int:
        client = self.client()
        return client.connection.channels[client.session_id].session.global_id

    @asynccontextmanager
    async def conversation(self, interface: Any) -> AsyncIterator[Any]:
        client = FileClient(self.world, OURS)
        client.negotiate()
        client.log_on("admin").bind(interface)

        class Calls:
            async def call(self, request: Any) -> Any:
                return client.call(request)

        try:
            yield Calls()
        finally:
            self.world.disconnect(client)

    async def close(self) -> None:
        if self._client is not None:
            self.world.disconnect(self._client)
            self._client = None


class People:
    """Those who use the Server: `act` has one of them do something, or nobody."""

    def __init__(self, world: DiskWorld, chance: random.Random, *, users: tuple[str, ...], rate: float) -> None:
        self.world = world
        self.chance = chance
        self.users = users
        self.rate = rate
        self.there: list[tuple[str, FileClient, list[bytes]]] = []
        self.refused = 0
        self.came = 0
        self._addresses = 0

    def act(self) -> None:
        while self.chance.random() < self.rate:
            self.act_once()

    def act_once(self) -> None:
        what = self.chance.choice(["come", "come", "open", "open", "shut", "leave", "cut", "wait"])
        if what == "come":
            self.come(self.chance.choice(self.users))
        elif self.there and what != "wait":
            person = self.chance.choice(self.there)
            try:
                self._do(what, *person)
            except (StatusError, KeyError, AssertionError):
                self._drop(person)

    def come(self, user: str) -> None:
        self._addresses = self._addresses % 200 + 1
        client = FileClient(self.world, f"192.0.2.{self._addresses}")
        client.negotiate()
        try:
            client.log_on(user)
            client.tree_connect(r"\\server\share")
        except StatusError:
            self.refused += 1
            self.world.disconnect(client)
            return
        self.came += 1
        self.there.append((user, client, []))

    def _do(self, what: str, user: str, client: FileClient, opened: list[bytes]) -> None:
        if client.finished:
            raise KeyError
        if what == "open":
            access = self.chance.choice([READ, READ, ALL])
            opened.append(client.open(self.chance.choice(FILES), access=access))
        elif what == "shut" and opened:
            client.shut(opened.pop())
        elif what == "leave":
            client.log_off()
            self._drop((user, client, opened))
        elif what == "cut":
            self._drop((user, client, opened))

    def _drop(self, person: tuple[str, FileClient, list[bytes]]) -> None:
        with suppress(KeyError):
            self.world.disconnect(person[1])
        if person in self.there:
            self.there.remove(person)


class Looked(SrvsvcManager):
    """A Manager that remembers how many sessions there really were at each look."""

    def __init__(self, race: Race, **options: Any) -> None:
        super().__init__(race.link, **options)
        self._race = race

    async def sessions(self, **filters: Any) -> Sessions:
        asked_at = self._race.clock.now()
        found = await super().sessions(**filters)
        self._race.looks.append((asked_at, self._race.link.seen))
        return found


class Race:
    """One drain of one such Server."""

    def __init__(self, folder: Path, seed: int) -> None:
        chance = random.Random(seed)
        for name in FILES:
            (folder / name).write_text("x")
        self.world = DiskWorld(folder)
        self.world.accounts.add("root", PASSWORD)
        self.world.accounts.add_member("Administrators", "root")
        users = chance.choice([("ann", "bob"), ("ann", "bob", "root"), ("ann", "bob", "root", "admin", "")])
        self.people = People(self.world, chance, users=users, rate=chance.choice([0.05, 0.2, 0.5]))
        for _ in range(chance.randrange(8)):
            self.people.act_once()
        self.link = WorldLink(self.world, self.people.act)
        self.clock = WorldClock(self.world, self.people.act, chance)
        self.events: list[Event] = []
        self.looks: list[tuple[float, int]] = []
        """When each look was begun, and how many sessions there were at its answer besides that of who drains."""
        self.rules = rules_of(
            warn=chance.choice([0, 0, 20]),
            grace=chance.choice([0, 15]),
            timeout=120,
            end=chance.choice(["idle", "readers", "all", "all"]),
            quiet_for=chance.choice([0, 5, 30]),
            include_mine=chance.random() < 0.5,
        )

    @asynccontextmanager
    async def opening(self) -> AsyncIterator[Manager]:
        yield Looked(self, timeout=None, deadline=None, granted=GrantedLevels())
        await self.link.close()

    async def run(self, home: Path, **order: Any) -> DrainResult:
        kept = KeptDrain("fs1", home)
        asked = DrainOrder(**order)
        async with Looker(self.opening, asked.scope, self.clock, include_mine=self.rules.include_mine) as looker:
            drain = Drain(looker, self.rules, asked, kept, on_event=self.events.append, clock=self.clock)
            return await drain.run()

    def others(self) -> list[str]:
        """The users of all sessions that there are."""
        return [session.user_name for session in self.world.service.sessions()]


__all__ = ["AuthenticationError", "Race", "Scope", "codes"]
