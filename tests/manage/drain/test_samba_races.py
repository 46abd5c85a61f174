"""A drain of a real smbd, which cannot be closed to newcomers: never done while somebody whom it counts is there.

People come, open, close, leave and come back at once when they are ended, by chance; at some time they stop coming, and
only after that a drain can be done. Afterwards smbstatus says who is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from pathlib import Path

import pytest

import lanman
from lanman.errors import LanmanError
from lanman.manage.drain.looks import Looker, Scope
from lanman.manage.drain.machine import End, Event, Rules, Verdict
from lanman.manage.drain.shell import Drain, DrainOrder, SystemClock
from lanman.manage.granted import GrantedLevels
from lanman.net.client import SmbClient
from lanman.net.credentials import Credentials
from lanman.net.drains import KeptDrain
from lanman.smb2.messages import CreateRequest
from support.measured import say
from support.smbd import Account, Samba

pytestmark = [pytest.mark.samba, pytest.mark.root]

READ, WRITE, SHARE_ALL, OPEN_IF = 0x80000000, 0xC0000000, 7, 3


class Person:
    """Somebody at an address of their own, who comes back when ended."""

    def __init__(self, samba: Samba, account: Account, number: int, chance: random.Random) -> None:
        self.samba = samba
        self.account = account
        self.number = number
        self.chance = chance
        self.stops = asyncio.Event()

    async def live(self) -> None:
        while not self.stops.is_set():
            with contextlib.suppress(LanmanError, OSError, TimeoutError):
                await self._visit()
            await asyncio.sleep(self.chance.uniform(0, 0.05))

    async def _visit(self) -> None:
        credentials = Credentials(self.account.user_name, self.account.password)
        client = SmbClient(self.samba.host, self.samba.port, credentials, local_address=f"127.0.0.{20 + self.number}")
        try:
            async with asyncio.timeout(60):
                await client.connect()
                await client.log_on()
                tree = await client.tree_connect("share")
                while not self.stops.is_set() and self.chance.random() < 0.8:
                    access = self.chance.choice([READ, READ, WRITE])
                    name = f"file{self.chance.randrange(3)}.txt"
                    request = CreateRequest(
                        name=name, desired_access=access, share_access=SHARE_ALL, create_disposition=OPEN_IF
                    )
                    await client.request_all([request], tree)
                    await asyncio.sleep(self.chance.uniform(0, 0.1))
                if self.stops.is_set() and self.chance.random() < 0.5:
                    await asyncio.sleep(3600)  # stays, with what is open, until ended
        finally:
            await client.abort()


async def race(samba: Samba, home: Path, seed: int, *, by_tools: bool = False) -> Verdict:
    chance = random.Random(seed)
    accounts = [samba.user, samba.other_user]
    people = [Person(samba, chance.choice(accounts), number, chance) for number in range(chance.randrange(1, 5))]
    living = [asyncio.ensure_future(person.live()) for person in people]
    who = samba.administrator
    events: list[Event] = []

    def opening() -> contextlib.AbstractAsyncContextManager[lanman.Manager]:
        if by_tools:
            return lanman.open_manager(samba_config=str(samba.directory / "smb.conf"), timeout=30)
        credentials = Credentials(who.user_name, who.password)
        return lanman.open_manager(samba.host, credentials, port=samba.port, timeout=30, granted=GrantedLevels())

    async def stop_coming() -> None:
        await asyncio.sleep(chance.uniform(0, 0.5))
        for person in people:
            person.stops.set()

    rules = Rules(timeout=60, end=End.ALL, quiet_for=chance.choice([0, 0.1, 0.3]), every=0.05)
    stopping = asyncio.ensure_future(stop_coming())
    try:
        await asyncio.sleep(chance.uniform(0, 0.2))
        kept = KeptDrain("smbd", home)
        clock = SystemClock()
        async with Looker(opening, Scope(), clock) as looker:
            # "Where newcomers stop before the last look": a look that began after they have stopped is the last one.
            while True:
                drain = Drain(looker, rules, DrainOrder(), kept, on_event=events.append, clock=clock)
                began_stopped = stopping.done()
                result = await drain.run()
                if began_stopped or not result.drained:
                    break
                await stopping
        assert not result.cordoned
        if result.drained:
            there = await asyncio.to_thread(samba.user_names)
            assert set(there) <= {who.user_name}, (seed, there)
        return result.verdict
    finally:
        stopping.cancel()
        for task in living:
            task.cancel()
        await asyncio.gather(stopping, *living, return_exceptions=True)


@pytest.mark.parametrize("seed", range(3))
async def test_a_race_with_smbd(samba: Samba, tmp_path: Path, seed: int) -> None:
    assert await race(samba, tmp_path, seed) is Verdict.DRAINED


async def test_a_race_with_smbd_by_its_own_tools(samba: Samba, tmp_path: Path) -> None:
    assert await race(samba, tmp_path, 2, by_tools=True) is Verdict.DRAINED


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_a_hundred_races_with_smbd(samba: Samba, tmp_path: Path) -> None:
    verdicts = [await race(samba, tmp_path, seed) for seed in range(100)]
    assert verdicts.count(Verdict.DRAINED) >= 95
    say(races="smbd", number=100, drained=verdicts.count(Verdict.DRAINED), while_somebody_was_there=0)
