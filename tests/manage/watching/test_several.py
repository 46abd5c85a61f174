"""Several pollers as one stream of updates: none holds up another, and one that ends, ends alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from lanman.errors import AuthenticationError, ConnectionLost
from lanman.manage.manager import Manager, Sessions
from lanman.manage.watching.poller import Poller
from lanman.manage.watching.several import Several
from lanman.records import FileInfo, SessionInfo, ShareInfo
from support.fake_manager import FakeManager
from support.virtual_time import VirtualClock, run


class Slow(FakeManager):
    """A FakeManager that takes `takes` seconds to list sessions, and counts how often it was asked."""

    takes = 0.0
    looks = 0

    async def sessions(
        self, *, client: str | None = None, user: str | None = None, level: int | None = None
    ) -> Sessions:
        self.looks += 1
        await asyncio.sleep(self.takes)
        return await super().sessions(client=client, user=user, level=level)

    async def files(
        self, *, path: str | None = None, user: str | None = None, client: str | None = None
    ) -> list[FileInfo]:
        return []

    async def shares(self, level: int | None = None) -> list[ShareInfo]:
        return []


def poller_of(name: str, clock: VirtualClock, *, takes: float = 0.0, error: Exception | None = None) -> Poller:
    manager = Slow(name, entries=[SessionInfo(rf"\\of-{name}", "ann", 0, 60, 0)])
    manager.takes = takes

    @asynccontextmanager
    async def opening() -> AsyncIterator[Manager]:
        if error is not None:
            raise error
        yield manager

    return Poller(
        opening,
        server=name,
        every=2,
        deadline=50,
        wall_clock=clock.wall,
        steady_clock=lambda: clock.now,
        chance=lambda: 0.0,
    )


def looks(poller: Poller) -> int:
    """How often its server was asked."""
    assert poller._open is not None
    assert isinstance(poller._open.manager, Slow)
    return poller._open.manager.looks


def test_updates_come_as_they_are_there() -> None:
    async def play(clock: VirtualClock) -> None:
        quick, slow = poller_of("quick", clock), poller_of("slow", clock, takes=5)
        seen = []
        async with Several([slow, quick]) as several:
            async for update in several:
                seen.append((clock.now - 1000, update.picture.server, update.first))
                if len(seen) == 5:
                    break
        assert seen == [
            (0, "quick", True),
            (2, "quick", False),
            (4, "quick", False),
            (5, "slow", True),
            (6, "quick", False),
        ]

    run(play)


def test_who_was_refused_ends_alone() -> None:
    async def play(clock: VirtualClock) -> None:
        wrong = poller_of("wrong", clock, error=AuthenticationError("wrong password"))
        good, gone = poller_of("good", clock), poller_of("gone", clock, error=ConnectionLost("it is off"))
        updates = []
        async with Several([wrong, good, gone]) as several:
            async for update in several:
                updates.append((update.picture.server, type(update.picture.error)))
                if clock.now >= 1010:
                    break
        assert updates.count(("wrong", AuthenticationError)) == 1
        assert updates.count(("good", type(None))) == 6
        assert updates.count(("gone", ConnectionLost)) >= 2  # that one is tried again

    run(play)


def test_the_end_is_when_all_have_ended() -> None:
    async def play(clock: VirtualClock) -> None:
        refused = [poller_of(name, clock, error=AuthenticationError("no")) for name in ("fs1", "fs2")]
        async with Several(refused) as several:
            assert [update.picture.server async for update in several] == ["fs1", "fs2"]
            with pytest.raises(StopAsyncIteration):
                await anext(several)

    run(play)


def test_a_picture_stays_as_it_is_until_the_next_update_is_waited_for() -> None:
    async def play(clock: VirtualClock) -> None:
        one, other = poller_of("fs1", clock), poller_of("fs2", clock, takes=1)
        async with Several([one, other]) as several:
            update = await anext(several)
            assert update.picture.server == "fs1"
            await asyncio.sleep(100)
            assert looks(one) == 1
            assert looks(other) == 1
            assert [(await anext(several)).picture.server for _ in range(2)] == ["fs2", "fs1"]

    run(play)


def test_giving_up_waiting_loses_nothing() -> None:
    async def play(clock: VirtualClock) -> None:
        async with Several([poller_of("fs1", clock, takes=3)]) as several:
            for _ in range(2):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(1):
                        await anext(several)
            assert (await anext(several)).first
            assert clock.now == 1003

    run(play)


def test_closing_ends_who_waits() -> None:
    async def play(clock: VirtualClock) -> None:
        several = Several([poller_of("fs1", clock, takes=30), poller_of("fs2", clock, takes=30)])
        waiting = asyncio.create_task(anext(several, None))
        await asyncio.sleep(1)
        await several.close()
        assert await waiting is None
        await several.close()
        assert clock.now == 1001

    run(play)
