"""The control socket while the Server is busy: administrators need it just then.

In counts, which no other process changes: in how many turns of the event loop a call is answered, with a crowd and
without one, and how much the Server does for the crowd in one of these turns.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from lanman.manage.open import open_manager
from lanman.net.client import SmbClient
from lanman.net.control.client import ControlClient
from lanman.net.credentials import Credentials
from lanman.net.server import SmbServer
from lanman.rpc.srvsvc import NetrServerStatisticsGet, NetrSessionEnum
from lanman.server.scheduler import BUDGET, TURN, Scheduler
from lanman.smb2.messages import EchoRequest
from support.loopback_server import PASSWORDS, running_server
from support.waiting import until

CROWD = 16


class Turns:
    """Counts the turns of the running loop, and the most that the Server's scheduler has done in one."""

    def __init__(self) -> None:
        self.count = self.done = self.most = 0
        self._loop = asyncio.get_running_loop()
        self._next = self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self.count += 1
        self.most, self.done = max(self.most, self.done), 0
        self._next = self._loop.call_soon(self._turn)

    def stop(self) -> None:
        self._next.cancel()


@pytest.fixture
async def turns(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Turns]:
    turns = Turns()
    turn = Scheduler._turn

    def counted(scheduler: Scheduler, lane: Any, now: float) -> None:
        before = scheduler._budget
        turn(scheduler, lane, now)
        turns.done += before - scheduler._budget

    monkeypatch.setattr(Scheduler, "_turn", counted)
    yield turns
    turns.stop()


@contextlib.asynccontextmanager
async def crowd(server: SmbServer) -> AsyncIterator[list[int]]:
    """Clients each of which has as many requests under way as it may, for as long as this lasts; how many were
    answered."""
    answered = [0]

    async def ask(number: int) -> None:
        async with SmbClient("127.0.0.1", server.port, Credentials("ann", PASSWORDS["ann"])) as client:
            while True:
                await client.request_all([EchoRequest() for _ in range(100)], 0)
                answered[0] += 100

    tasks = [asyncio.create_task(ask(number)) for number in range(CROWD)]
    try:
        yield answered
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def in_turns(turns: Turns, work: Callable[[], Awaitable[object]]) -> int:
    """In how many turns of the loop something is done."""
    before = turns.count
    await work()
    return turns.count - before


async def test_a_busy_server_answers_it_in_as_many_turns_as_an_idle_one(tmp_path: Path, turns: Turns) -> None:
    """A new connection, a call, a list, a pause: each takes the turns that it takes when nobody else is there, and the
    Server does no more than its budget in any of them."""

    async def come() -> None:
        async with ControlClient(server.home.control) as client:
            await client.call(NetrServerStatisticsGet(None, None, 0))

    async def pause() -> None:
        async with open_manager(home=tmp_path) as manager:
            assert await manager.pause()
            assert await manager.continue_()

    async with running_server(tmp_path) as server, ControlClient(server.home.control) as control:

        async def sessions() -> None:
            await control.call(NetrSessionEnum(None, None, None, 502))

        deeds = (come, sessions, pause)
        await pause()  # what is imported and compiled once
        idle = [await in_turns(turns, deed) for deed in deeds]
        async with crowd(server) as answered:
            await until(lambda: answered[0] >= 100 * CROWD)
            turns.most, before = 0, answered[0]
            busy = [await in_turns(turns, deed) for _ in range(10) for deed in deeds]
            assert answered[0] > before, "nobody else was there"
        for number, deed in enumerate(deeds):
            assert max(busy[number :: len(deeds)]) <= idle[number] + 4, (deed.__name__, idle, busy)
        assert turns.most <= 2 * (BUDGET + TURN), turns.most
