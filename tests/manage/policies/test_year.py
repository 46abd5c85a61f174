"""A simulated year of policies: people come, work, forget and leave; clocks are put twice for daylight saving and often
by hand; servers are away; the program is killed at any write, while it tells people and while it gives orders.

What has to hold is judged by the world, in true time, of every session that was ended:

  - a message had reached its user, `before` ago at least, and after the session had begun;
  - by the clocks of Berlin the policy was awake, and the session was idle for as long as the policy says;
  - no more than `at_most` were ended within an hour on a server;
  - once each, and no message was sent twice.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from datetime import UTC, datetime
from functools import partial
from random import Random
from zoneinfo import ZoneInfo

import pytest

from lanman.errors import ConnectionLost
from lanman.manage.policies.enforce import Enforcer
from lanman.manage.policies.kept import Kept
from lanman.manage.policies.looks import Looker
from lanman.manage.policies.machine import ANSWER_LOST
from lanman.manage.policies.reading import parse_policies
from lanman.manage.policies.words import Event, What
from lanman.net.tell.people import Told
from lanman.net.tell.teller import Teller
from support.policy_world import Guest, Killed, MemoryNotes, World, chance

BERLIN = ZoneInfo("Europe/Berlin")
EVERY = 300.0
BEFORE = 900
AT_MOST = 4
IDLE = 3600

POLICIES = f"""
[policies.night]
mode = "enforce"
select = {{ idle = "1h", not_user = ["svc_*"] }}
outside = "M-F,8am-6pm"
zone = "Europe/Berlin"
tell = {{ before = "15m" }}
at_most = {AT_MOST}
"""


class Year:
    """Two servers, their people, and all that goes wrong."""

    def __init__(self, seed: int, start: datetime) -> None:
        self.world = World(now=start.timestamp())
        self.world.takes = 2.0
        self.random: Random = chance(seed)
        self.notes = MemoryNotes()
        self.policies = list(parse_policies(POLICIES).policies.values())
        self.events: Counter[What] = Counter()
        self.kept = Kept(self.notes)
        self.enforcer = self._enforcer()
        self.kills = 0
        self.steps = 0

    def _enforcer(self) -> Enforcer:
        return Enforcer(self.kept, lambda names: Teller([self.world]), self.world, self._happened, by="root")

    def _happened(self, event: Event) -> None:
        self.events[event.what] += 1

    async def restart(self) -> None:
        self.notes.kill_at = None
        self.kept = Kept(self.notes)
        await self.kept.load(self.world.wall())
        self.enforcer = self._enforcer()

    # --- what happens by itself

    def live(self, server: str) -> None:
        """What people do within one step of time."""
        world, chance = self.world, self.random
        local = datetime.fromtimestamp(world.now, BERLIN)
        working = local.weekday() < 5 and 7 <= local.hour < 19
        guests = world.guests.setdefault(server, [])
        if len(guests) < 14 and chance.random() < (0.25 if working else 0.02):
            name = "svc_backup" if chance.random() < 0.05 else f"user{chance.randrange(30)}"
            client = rf"\\pc{chance.randrange(40)}"
            if all((guest.client, guest.user) != (client, name) for guest in guests):
                world.come(server, client, name)
        for guest in list(guests):
            if chance.random() < (0.02 if working else 0.01):
                world.go(server, guest)
            elif chance.random() < (0.3 if working else 0.03):
                guest.used = world.now

    def fail(self, server: str) -> None:
        """What goes wrong within one step of time."""
        world, chance = self.world, self.random
        if server in world.away:
            if chance.random() < 0.1:
                world.away.discard(server)
        elif chance.random() < 0.002:
            world.away.add(server)
        if chance.random() < 0.002:
            world.offset += chance.choice([-7200.0, -3600.0, -90.0, -1.0, 1.0, 90.0, 3600.0, 7200.0])
            self.steps += 1
        world.telling = Told.YES
        if chance.random() < 0.1:
            world.telling = chance.choice([Told.NO, Told.UNKNOWN])
        if chance.random() < 0.02:
            self.notes.writes, self.notes.kill_at = 0, chance.randrange(1, 6)
            self.notes.kill_after = chance.random() < 0.5
        world.kill_in_order = world.kill_in_order or chance.random() < 0.002
        world.kill_in_telling = world.kill_in_telling or chance.random() < 0.002

    async def step(self) -> None:
        self.world.now += EVERY
        for server in ("fs1", "fs2"):
            self.live(server)
            self.fail(server)
            try:
                async with Looker(server, partial(self.world.open, server), self.world.wall) as looker:
                    await self.enforcer.round(self.policies, looker)
            except ConnectionLost:
                continue
            except BaseException as error:
                if not _is_kill(error):
                    raise
                self.kills += 1
                if self.random.random() < 0.2:
                    self.world.now += self.random.randrange(60, 86400)
                await self.restart()

    # --- what has to hold

    def check(self) -> None:
        world = self.world
        assert len({id(ending.guest) for ending in world.endings}) == len(world.endings)
        notices = defaultdict(list)
        for notice in world.notices:
            notices[notice.server, notice.user].append(notice)
        for ending in world.endings:
            guest = ending.guest
            assert not guest.user.startswith("svc_")
            assert ending.at - guest.used >= IDLE - 1
            local = datetime.fromtimestamp(ending.wall, BERLIN)
            assert local.weekday() >= 5 or not 8 <= local.hour < 18, local
            assert any(
                notice.told is Told.YES and guest.begun <= notice.at <= ending.at - BEFORE
                for notice in notices[ending.server, guest.user]
            ), ending
        for server in ("fs1", "fs2"):
            times = [ending.at for ending in world.endings if ending.server == server]
            assert all(later - first >= 3600 for first, later in zip(times, times[AT_MOST:], strict=False))
        self.check_keeping()

    def check_keeping(self) -> None:
        """What is written down is what happened."""
        done = [deed for deed in self.notes.deeds if (deed.verb, deed.outcome) == ("end", "done")]
        # Who was killed around an order finds the session gone: the order may have ended it, or it has left since. At
        # the very end there was no look to find out.
        uncertain = [deed for deed in done if deed.detail == ANSWER_LOST]
        certain = len(done) - len(uncertain)
        assert certain <= len(self.world.endings) <= len(done) + 1
        assert len(uncertain) <= self.kills
        messages = Counter(
            (notice.server, notice.user, notice.title, round(notice.at // 86400))
            for notice in self.world.notices
            if notice.told is not Told.NO
        )
        assert max(messages.values()) == 1


def _is_kill(error: BaseException) -> bool:
    return isinstance(error, Killed) or (
        isinstance(error, BaseExceptionGroup) and all(_is_kill(each) for each in error.exceptions)
    )


async def _simulated(seed: int, start: datetime, days: int) -> Year:
    year = Year(seed, start)
    end = year.world.now + days * 86400
    while year.world.now < end:
        await year.step()
    year.check()
    return year


@pytest.mark.parametrize(("seed", "month", "day"), [(1, 3, 26), (2, 10, 22)])
def test_the_days_in_which_clocks_are_put(seed: int, month: int, day: int) -> None:
    year = asyncio.run(_simulated(seed, datetime(2026, month, day, tzinfo=UTC), 6))
    assert len(year.world.endings) > 10
    assert year.kills > 3
    assert year.events[What.SPARED] > 10


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_whole_year(seed: int) -> None:
    year = asyncio.run(_simulated(seed, datetime(2026, 1, 1, tzinfo=UTC), 365))
    assert len(year.world.endings) > 1000
    assert year.kills > 300
    assert year.steps > 100
    assert year.events[What.STOPPED] > 10


def test_the_world_can_tell_a_wrong_ending() -> None:
    """The checks are able to fail."""
    year = Year(1, datetime(2026, 1, 1, tzinfo=UTC))
    guest = Guest(r"\\pc1", "user1", year.world.now - 8000, year.world.now - 8000)
    year.world.guests["fs1"] = [guest]

    async def end() -> None:
        async with year.world.open("fs1") as manager:
            await manager.close_sessions((await manager.sessions()).entries)

    asyncio.run(end())
    assert len(year.world.endings) == 1
    with pytest.raises(AssertionError):
        year.check()
