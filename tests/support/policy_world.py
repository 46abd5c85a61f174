"""Servers whose people come and go over simulated months, for policies: what was done to whom, and when.

Time is `World.now`, in true seconds; `World.offset` is by how much the clock of the wall is wrong. What a policy does
is judged by the world itself, in true time, from what was told and what was ended.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from lanman.errors import ConnectionLost
from lanman.manage.history.records import Deed
from lanman.manage.manager import Sessions
from lanman.manage.orders.listed import Order
from lanman.manage.orders.sessions import Given, SessionOrders
from lanman.manage.policies.kept import Standing
from lanman.net.tell.people import Message, NotTold, Person, Told
from lanman.records import FileInfo, SessionInfo
from support.fake_manager import FakeManager


class Killed(BaseException):
    """The program was killed."""


@dataclass
class MemoryNotes:
    """Notes of a database that outlive whoever wrote them. `kill_at` counts down the writes; at 0 the program is killed
    before the write, at a negative fraction below it after it."""

    kept: dict[str, dict[str, str]] = field(default_factory=dict)
    deeds: list[Deed] = field(default_factory=list)
    kill_at: int | None = None
    kill_after: bool = False
    writes: int = 0

    async def notes(self, role: str) -> dict[str, str]:
        return dict(self.kept.get(role, {}))

    async def put_notes(self, role: str, notes: Mapping[str, str | None], *deeds: Deed) -> None:
        self.writes += 1
        dies = self.kill_at is not None and self.writes == self.kill_at
        if dies and not self.kill_after:
            raise Killed
        found = self.kept.setdefault(role, {})
        for name, text in notes.items():
            if text is None:
                found.pop(name, None)
            else:
                found[name] = text
        self.deeds += deeds
        if dies:
            raise Killed


@dataclass
class Guest:
    """One session. Times are true ones."""

    client: str
    user: str
    begun: float
    used: float
    opens: int = 0


@dataclass
class Ending:
    """A session that was ended."""

    server: str
    guest: Guest
    at: float
    wall: float


@dataclass
class Notice:
    """A message that reached somebody, or may have."""

    server: str
    user: str
    at: float
    wall: float
    title: str
    told: Told


@dataclass
class World:
    """Several servers, a clock, and a way to tell people."""

    now: float = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    offset: float = 0.0
    boot: str = "first"
    guests: dict[str, list[Guest]] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    without_idle: set[str] = field(default_factory=set)
    endings: list[Ending] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    telling: Told = Told.YES
    takes: float = 0.0
    looks: int = 0
    own_user: str | None = None
    kill_in_order: bool = False
    kill_in_telling: bool = False

    name = "command"  # of the way to tell people

    # --- the clock

    def wall(self) -> float:
        return self.now + self.offset

    def standing(self) -> Standing:
        return Standing(self.boot, self.offset)

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("a round does not wait")

    # --- the way to tell people

    async def tell(self, person: Person, message: Message) -> None:
        self.now += self.takes
        told = self.telling
        self.notices.append(Notice(message.server, person.user_name, self.now, self.wall(), message.title, told))
        if self.kill_in_telling:
            self.kill_in_telling = False
            raise Killed
        if told is not Told.YES:
            raise NotTold("the way is closed", told=told)

    # --- the servers

    @asynccontextmanager
    async def open(self, server: str) -> AsyncIterator[WorldManager]:
        if server in self.away:
            raise ConnectionLost("away", server=server)
        yield WorldManager(self, server)

    def come(self, server: str, client: str, user: str, *, idle: float = 0.0, opens: int = 0) -> Guest:
        guest = Guest(client, user, self.now, self.now - idle, opens)
        self.guests.setdefault(server, []).append(guest)
        return guest

    def go(self, server: str, guest: Guest) -> None:
        self.guests[server].remove(guest)


class WorldManager(FakeManager):
    """One server of a world, at level 502."""

    def __init__(self, world: World, server: str) -> None:
        super().__init__(server=server, own_user=world.own_user)
        self.world = world

    async def sessions(
        self, *, client: str | None = None, user: str | None = None, level: int | None = None
    ) -> Sessions:
        world = self.world
        if self.server in world.away:
            raise ConnectionLost("away", server=self.server)
        world.looks += 1
        self.entries = [
            SessionInfo(
                guest.client,
                guest.user,
                guest.opens,
                int(world.now - guest.begun),
                None if self.server in world.without_idle else int(world.now - guest.used),
            )
            for guest in world.guests.get(self.server, ())
        ]
        return Sessions(self.server, self.level, list(self.entries))

    async def clients_called(self, client: str, names: Sequence[str]) -> frozenset[str]:
        return frozenset(name for name in names if name.lstrip("\\") == client.lstrip("\\"))

    async def files(
        self, *, path: str | None = None, user: str | None = None, client: str | None = None
    ) -> list[FileInfo]:
        return self.opened

    def _orders(self) -> SessionOrders:
        return replace(super()._orders(), wall_clock=self.world.wall)

    async def _give(self, order: Order) -> Given:
        world = self.world
        meant = [
            guest for guest in world.guests[self.server] if (guest.client, guest.user) == (order.client, order.user)
        ]
        for guest in meant:
            world.guests[self.server].remove(guest)
            world.endings.append(Ending(self.server, guest, world.now, world.wall()))
        if world.kill_in_order:
            world.kill_in_order = False
            raise Killed
        return None, False


def chance(seed: int) -> random.Random:
    """Chance that gives the same every time."""
    return random.Random(seed)
