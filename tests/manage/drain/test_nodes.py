"""Drains of several servers at once: all are closed in the end, or none. By virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from lanman.errors import AccessDenied, LanmanError
from lanman.manage.drain.machine import Verdict
from lanman.manage.drain.nodes import together
from lanman.manage.drain.shell import Drain, DrainResult
from support import virtual_time
from support.virtual_time import VirtualClock


@dataclass
class Scripted:
    """A drain that takes so long, and ends so; it opens its server again as `Drain` does."""

    takes: float
    ends: Verdict | LanmanError = Verdict.DRAINED
    told: list[str] = field(default_factory=list)
    is_closed: bool = False

    async def run(self) -> DrainResult:
        self.is_closed = True
        try:
            await asyncio.sleep(self.takes)
            if isinstance(self.ends, LanmanError):
                raise self.ends
        except BaseException:
            await self.reopen()
            raise
        if self.ends is not Verdict.DRAINED:
            await self.reopen()
        return DrainResult("node", self.ends, paused=self.is_closed)

    async def reopen(self) -> None:
        if self.is_closed:
            self.told.append("opened")
            self.is_closed = False


def run(*drains: Scripted, keep_paused: bool = False, cancel_at: float | None = None) -> dict[str, DrainResult]:
    async def test(clock: VirtualClock) -> dict[str, DrainResult]:
        named: Any = {f"fs{number}": cast(Drain, each) for number, each in enumerate(drains, 1)}
        task = asyncio.ensure_future(together(named, keep_paused=keep_paused))
        if cancel_at is not None:
            asyncio.get_running_loop().call_later(cancel_at, task.cancel)
        return await task

    return virtual_time.run(test)


def test_all_are_drained() -> None:
    results = run(Scripted(1), Scripted(5))
    assert [each.paused for each in results.values()] == [True, True]


def test_where_one_runs_out_of_time_none_stays_closed() -> None:
    first, second = Scripted(1), Scripted(5, Verdict.TIMED_OUT)
    results = run(first, second)
    assert [(each.verdict, each.paused) for each in results.values()] == [
        (Verdict.DRAINED, False),
        (Verdict.TIMED_OUT, False),
    ]
    assert (first.told, second.told) == (["opened"], ["opened"])


def test_unless_they_are_to_stay_closed() -> None:
    first = Scripted(1)
    assert run(first, Scripted(5, Verdict.TIMED_OUT), keep_paused=True)["fs1"].paused
    assert first.told == []


def test_one_that_fails_ends_the_others() -> None:
    first, second, third = Scripted(1), Scripted(2, AccessDenied()), Scripted(1000)
    with pytest.raises(AccessDenied) as raised:
        run(first, second, third)
    assert raised.value.server == "fs2"
    assert first.told == second.told == third.told == ["opened"]


def test_an_interruption_opens_all() -> None:
    first, second = Scripted(1), Scripted(1000)
    with pytest.raises(asyncio.CancelledError):
        run(first, second, cancel_at=5)
    assert first.told == second.told == ["opened"]
