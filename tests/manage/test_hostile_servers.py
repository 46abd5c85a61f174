"""The manager against servers that mean harm (tests/support/hostile_server.py): bounded time, bounded memory, an error.

Time is virtual, and memory is what Python allocates at most, counted while the question is under way.
"""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from lanman.errors import LanmanError, ProtocolError, TimedOut
from lanman.manage import Manager, calls, open_manager
from lanman.manage.watching.poller import Poller
from lanman.manage.watching.several import Several
from lanman.net.credentials import Credentials
from support import virtual_time
from support.hostile_server import IN_TIME, WAYS, Hostile, in_memory
from support.measured import say
from support.virtual_time import VirtualClock

SECONDS = 10.0
MEMORY = 48  # MiB: a list is 32 MiB at most while it comes
SERVER = "10.0.0.1"


def ask(
    monkeypatch: pytest.MonkeyPatch, way: str, question: Callable[[Manager], Awaitable[Any]]
) -> tuple[LanmanError, float, float]:
    """What a question to such a server ends with, after how many seconds, and MiB at most."""
    server = Hostile(WAYS[way])

    async def body(clock: VirtualClock) -> tuple[LanmanError, float, float]:
        credentials = Credentials("admin", server.password)
        before = asyncio.all_tasks()
        began = clock.now
        gc.collect()
        tracemalloc.start()
        try:
            with pytest.raises(LanmanError) as raised:
                async with open_manager(SERVER, credentials, timeout=SECONDS) as manager:
                    await question(manager)
            most = tracemalloc.get_traced_memory()[1] / (1 << 20)
        finally:
            tracemalloc.stop()
        assert asyncio.all_tasks() == before
        return raised.value, clock.now - began, most

    with in_memory(monkeypatch, {SERVER: server}):
        return virtual_time.run(body)


@pytest.mark.parametrize("way", WAYS)
def test_a_question_ends_with_an_error_in_time_and_in_little_memory(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    monkeypatch.setattr(calls, "MAX_ENTRIES", 20_000)  # of 262,144; see below
    check(monkeypatch, way, MEMORY)


@pytest.mark.long
def test_a_list_without_end_is_taken_as_long_as_a_list_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    check(monkeypatch, "pages without end", 128)


def check(monkeypatch: pytest.MonkeyPatch, way: str, memory: float) -> None:
    error, seconds, mebibytes = ask(monkeypatch, way, lambda manager: manager.sessions())
    say(way=way, seconds=round(seconds, 2), mebibytes=round(mebibytes, 1), error=str(error))
    assert seconds <= SECONDS + 0.1
    assert mebibytes <= memory
    assert str(error).startswith(rf"\\{SERVER}: ")
    assert isinstance(error, TimedOut) == (way in IN_TIME)
    assert isinstance(error, TimedOut | ProtocolError)


@pytest.mark.parametrize("way", WAYS)
def test_of_several_servers_one_that_means_harm_hurts_itself_alone(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """The nodes of a cluster are asked at once: the others' answers are there, as soon as they would be without it."""
    monkeypatch.setattr(calls, "MAX_ENTRIES", 4_000)
    hostile, honest = Hostile(WAYS[way]), Hostile(None)
    honest._accounts = hostile._accounts

    async def body(clock: VirtualClock) -> None:
        began = clock.now
        credentials = Credentials("admin", hostile.password)
        async with open_manager("10.0.0.1,10.0.0.2", credentials, timeout=SECONDS) as manager:
            answers = await manager.each(lambda node: node.sessions())
            assert clock.now - began <= SECONDS + 0.1
            assert [absent.node for absent in answers.missing] == ["10.0.0.1"]
            assert [len(part.answer) for part in answers.parts] == [6]
            later = clock.now
            files = await manager.files()
            assert clock.now - later <= SECONDS + 0.1
            assert len([file for file in files if file.user_name == "ann"]) == 2

    with in_memory(monkeypatch, {"10.0.0.1": hostile, "10.0.0.2": honest}):
        virtual_time.run(body)


@pytest.mark.parametrize("way", WAYS)
def test_of_several_servers_that_are_watched_one_that_means_harm_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """The honest one is looked at as often as it is to be; of the other only why it is not there is shown."""
    monkeypatch.setattr(calls, "MAX_ENTRIES", 4_000)
    hostile, honest = Hostile(WAYS[way]), Hostile(None)
    honest._accounts = hostile._accounts
    every, looked = 2.0, 8

    async def body(clock: VirtualClock) -> None:
        credentials = Credentials("admin", hostile.password)
        pollers = [
            Poller(
                partial(open_manager, server, credentials, timeout=SECONDS),
                server=server,
                every=every,
                deadline=SECONDS,
                wall_clock=clock.wall,
                steady_clock=lambda: clock.now,
                chance=lambda: 0.0,
            )
            for server in ("10.0.0.1", "10.0.0.2")
        ]
        began, told = clock.now, 0
        before = asyncio.all_tasks()
        times: list[float] = []
        async with Several(pollers) as several:
            async for update in several:
                picture = update.picture
                if picture.server == "10.0.0.1":
                    assert not picture.sessions
                    told += picture.error is not None or bool(picture.refused)
                else:
                    assert picture.error is None
                    assert len(picture.sessions) == 6
                    times.append(clock.now - began)
                if len(times) >= looked and told:
                    break
        assert asyncio.all_tasks() == before
        assert all(at <= every * number + 0.5 for number, at in enumerate(times[:looked])), times

    with in_memory(monkeypatch, {"10.0.0.1": hostile, "10.0.0.2": honest}):
        virtual_time.run(body)
