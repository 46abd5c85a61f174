"""Who may log on when, where the same password is tried at many servers."""

from __future__ import annotations

import asyncio

import pytest

from lanman.errors import AuthenticationError
from lanman.manage.cluster.gate import MAX_REFUSALS, LogonGate, LogonGates, NotTried
from lanman.net.credentials import Credentials
from support import virtual_time
from support.virtual_time import VirtualClock


async def log_on(gate: LogonGate, takes: float, *, wrong: bool = False) -> float:
    async with gate.log_on():
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(takes)
        if wrong:
            raise AuthenticationError("wrong password")
        return began


def test_after_one_was_let_in_all_others_follow_at_once() -> None:
    async def test(clock: VirtualClock) -> None:
        gate, began = LogonGate(), clock.now
        at = await asyncio.gather(*(log_on(gate, 0.25) for _ in range(5)))
        assert [each - began for each in at] == [0.0, 0.25, 0.25, 0.25, 0.25]
        # And whoever comes later is not held up at all.
        before = clock.now
        assert await log_on(gate, 0.25) == before

    virtual_time.run(test)


def test_refusals_come_one_after_the_other_and_end() -> None:
    async def test(clock: VirtualClock) -> None:
        gate = LogonGate()
        found = await asyncio.gather(*(log_on(gate, 0.1, wrong=True) for _ in range(6)), return_exceptions=True)
        assert sum(isinstance(each, NotTried) for each in found) == 6 - MAX_REFUSALS
        assert all(isinstance(each, AuthenticationError) for each in found)

    virtual_time.run(test)


def test_one_that_is_given_up_gives_its_turn_away() -> None:
    async def test(clock: VirtualClock) -> None:
        gate, began = LogonGate(), clock.now
        first = asyncio.ensure_future(log_on(gate, 100))
        second = asyncio.ensure_future(log_on(gate, 0.1))
        asyncio.get_running_loop().call_later(0.2, first.cancel)
        assert await second - began == pytest.approx(0.2)
        assert first.cancelled()

    virtual_time.run(test)


def test_each_password_has_its_own_gate() -> None:
    gates = LogonGates()
    ann, bob = Credentials("ann", "a"), Credentials("bob", "b")
    assert gates.approach(ann).around_logon == gates.approach(Credentials("ann", "a")).around_logon
    assert gates.approach(ann).around_logon != gates.approach(bob).around_logon
