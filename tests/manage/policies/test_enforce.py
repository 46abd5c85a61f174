"""Rounds of policies at servers of a simulated world: who is told, who is ended, and what is left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import pytest

from lanman.errors import ConnectionLost
from lanman.manage.orders.listed import Order
from lanman.manage.orders.sessions import Given
from lanman.manage.policies.declared import Policy
from lanman.manage.policies.enforce import Enforcer
from lanman.manage.policies.kept import Kept, spare
from lanman.manage.policies.looks import Looker
from lanman.manage.policies.promises import State
from lanman.manage.policies.reading import parse_policies
from lanman.manage.policies.words import Event, What
from lanman.net.tell.people import Told
from lanman.net.tell.teller import Teller
from lanman.records import FileInfo
from support.policy_world import Killed, MemoryNotes, World, WorldManager

IDLE = 'mode = "enforce"\nselect = { idle = "2h" }\n'


def policy(text: str) -> Policy:
    return parse_policies(f"[policies.night]\n{text}").policies["night"]


class Lab:
    """One server, fs1, its policies, and a program that can be killed."""

    def __init__(self, *policies: Policy) -> None:
        self.world = World()
        self.notes = MemoryNotes()
        self.policies = list(policies)
        self.events: list[Event] = []
        self.kept = Kept(self.notes)
        self.enforcer = self._enforcer()

    def _enforcer(self) -> Enforcer:
        return Enforcer(self.kept, lambda names: Teller([self.world]), self.world, self.events.append, by="root")

    async def restart(self) -> None:
        self.notes.kill_at = None
        self.kept = Kept(self.notes)
        await self.kept.load(self.world.wall())
        self.enforcer = self._enforcer()

    async def round(self, seconds: float = 0.0) -> None:
        self.world.now += seconds
        async with Looker("fs1", partial(self.world.open, "fs1"), self.world.wall) as looker:
            await self.enforcer.round(self.policies, looker)

    async def rounds(self, seconds: float, every: float = 60.0) -> None:
        for _ in range(int(seconds // every)):
            await self.round(every)

    @property
    def said(self) -> list[What]:
        return [event.what for event in self.events]

    @property
    def ended(self) -> list[str]:
        return [ending.guest.user for ending in self.world.endings]

    @property
    def outcomes(self) -> list[tuple[str, str, str | None]]:
        return [(deed.verb, deed.outcome, deed.told) for deed in self.notes.deeds]


def test_told_first_then_ended() -> None:
    async def main() -> None:
        lab = Lab(policy(IDLE))
        lab.world.come("fs1", r"\\pc1", "ann", idle=3 * 3600)
        lab.world.come("fs1", r"\\pc2", "bob")
        await lab.round()
        assert [(notice.user, notice.server) for notice in lab.world.notices] == [("ann", "fs1")]
        await lab.rounds(14 * 60)
        assert lab.ended == []
        await lab.rounds(2 * 60)
        assert lab.ended == ["ann"]
        await lab.rounds(600)
        assert lab.said == [What.TOLD, What.ENDED]
        assert lab.outcomes == [("tell", "done", "yes"), ("end", "done", "yes")]
        deed = lab.notes.deeds[-1]
        assert (deed.who, deed.plan, deed.client_name, deed.user_name) == (
            "root (policy night)",
            "night",
            r"\\pc1",
            "ann",
        )

    asyncio.run(main())


def test_who_comes_back_to_work_is_spared() -> None:
    async def main() -> None:
        lab = Lab(policy(IDLE))
        ann = lab.world.come("fs1", r"\\pc1", "ann", idle=3 * 3600)
        await lab.round()
        ann.used = lab.world.now
        await lab.rounds(1800)
        assert lab.ended == []
        assert lab.said == [What.TOLD, What.SPARED]
        # Idle again: that is another promise, of which she is told anew.
        await lab.rounds(2 * 3600)
        assert lab.ended == ["ann"]
        assert len(lab.world.notices) == 2

    asyncio.run(main())


def test_report_is_the_default_and_does_nothing() -> None:
    async def main() -> None:
        lab = Lab(policy('select = { idle = "2h" }\n'))
        lab.world.come("fs1", r"\\pc1", "ann", idle=3 * 3600)
        await lab.rounds(3600)
        await lab.restart()
        await lab.rounds(3600)
        assert (lab.ended, lab.world.notices) == ([], [])
        assert lab.said == [What.REPORTED]
        assert [deed.outcome for deed in lab.notes.deeds] == ["matched", "reported"]
        # From then on in earnest: what was reported was told to nobody, so all begins anew.
        lab.policies = [policy(IDLE)]
        await lab.rounds(14 * 60)
        assert len(lab.world.notices) == 1
        assert lab.ended == []
        await lab.rounds(180)
        assert lab.ended == ["ann"]

    asyncio.run(main())


def test_too_many_stop_everything_before_anybody_is_told() -> None:
    async def main() -> None:
        lab = Lab(policy(IDLE + "at_most = 3\n"))
        for number in range(4):
            lab.world.come("fs1", rf"\\pc{number}", f"user{number}", idle=3 * 3600)
        await lab.rounds(7200)
        assert (lab.ended, lab.world.notices) == ([], [])
        assert lab.said == [What.STOPPED]
        assert lab.events[0].text == "4 of 4 match; at_most is 3"
        lab.world.go("fs1", lab.world.guests["fs1"][0])
        await lab.rounds(1200)
        assert len(lab.ended) == 3
        # Three within an hour are three: the next one waits until the hour is over.
        lab.world.come("fs1", r"\\pc9", "user9", idle=3 * 3600)
        await lab.rounds(1800)
        assert len(lab.ended) == 3
        await lab.rounds(3600)
        assert len(lab.ended) == 4

    asyncio.run(main())


def test_too_many_of_a_hundred() -> None:
    async def main() -> None:
        lab = Lab(policy(IDLE + "at_most_percent = 25\n"))
        lab.world.come("fs1", r"\\pc1", "ann", idle=3 * 3600)
        for number in range(2):
            lab.world.come("fs1", rf"\\busy{number}", f"user{number}")
        await lab.round()
        assert lab.events[0].text == "1 of 3 match; at_most_percent is 25"
        lab.world.come("fs1", r"\\busy9", "user9")
        await lab.rounds(1200)
        assert lab.ended == ["ann"]

    asyncio.run(main())


def test_a_limit_holds_when_more_come_between_the_notice_and_the_deadline() -> None:
    async def main() -> None:
        lab = Lab(policy(IDLE + "at_most = 2\n"))
        for number in range(2):
            lab.world.come("fs1", rf"\\pc{number}", f"user{number}", idle=3 * 3600)
        await lab.round()
        lab.world.come("fs1", r"\\pc9", "user9", idle=3 * 3600)
        await lab.rounds(3600)
        assert lab.ended == []
        assert lab.said == [What.TOLD, What.TOLD, What.STOPPED]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("before", "told"), [("tell = false", Told.YES), ("tell = { required = false }", Told.NO)], ids=["nobody", "failed"]
)
def test_a_notice_that_a_policy_asks_for_by_now_is_given_first(before: str, told: Told) -> None:
    """Due and left alone because of her work when nobody had to be told; then the file is edited, and she saves it."""

    async def main() -> None:
        lab = Lab(policy(IDLE + before))
        lab.world.telling = told
        ann = lab.world.come("fs1", r"\\pc1", "ann", idle=3 * 3600, opens=1)
        await lab.rounds(1800)
        assert lab.ended == []
        assert What.HELD in lab.said
        lab.policies, lab.world.telling, ann.opens = [policy(IDLE)], Told.YES, 0
        lab.world.notices.clear()
        await lab.rounds(10 * 60)
        assert (lab.ended, [notice.told for notice in lab.world.notices]) == ([], [Told.YES])
        await lab.rounds(10 * 60)
        assert lab.ended == ["ann"]

    asyncio.run(main())


def test_who_may_have_been_ended_counts_as_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order is given, its answer and the looks after it are lost; then she is gone."""

    async def main() -> None:
        lab = Lab(policy(IDLE + "at_most = 1\n"))
        lab.world.come("fs1", r"\\pc1", "ann", idle=3 * 3600)
        await lab.rounds(14 * 60)
        give = WorldManager._give

        async def lost(manager: WorldManager, order: Order) -> Given:
            await give(manager, order)
            lab.world.guests["fs1"] += [ending.guest for ending in lab.world.endings]  # listed for a while yet
            return ConnectionLost("gone", server="fs1"), True

        monkeypatch.setattr(WorldManager, "_give", lost)
        await lab.round(120)
        assert lab.said[-1] is What.HELD
        monkeypatch.setattr(WorldManager, "_give", give)
        lab.world.guests["fs1"].clear()
        lab.world.come("fs1", r"\\pc2", "bob", idle=3 * 3600)
        await lab.rounds(1800)
        assert lab.ended == ["ann"]
        assert lab.said[-2:] == [What.ENDED, What.STOPPED]

    asyncio.run(main())


def test_a_server_that_is_called_otherwise_by_now_has_no_new_limit() -> None:
    async def main() -> None:
        lab = Lab(policy(IDLE + "at_most = 1\n"))
        lab.world.come("old", r"\\pc1", "ann", idle=3 * 3600)
        for name, minutes in (("old", 20), ("new", 30)):
            await lab.enforcer.drop_all_but({"night": [name]})
            for _ in range(minutes):
                lab.world.now += 60
                async with Looker(name, partial(lab.world.open, name), lab.world.wall) as looker:
                    await lab.enforcer.round(lab.policies, looker)
            lab.world.come("new", r"\\pc2", "bob", idle=3 * 3600)
        assert lab.ended == ["ann"]
        assert lab.events[-1].text.startswith("2 of 2 match (1 of them ended within the last hour)")

    asyncio.run(main())


@pytest.mark.parametrize("server", ["", "FS1", r"\\\\fs1"])
def test_a_client_that_is_left_alone_is_looked_up(monkeypatch: pytest.MonkeyPatch, server: str) -> None:
    """Servers list clients by address; people name them."""

    async def called(manager: WorldManager, client: str, names: Sequence[str]) -> frozenset[str]:
        return frozenset(names) & {r"\\10.0.0.7"} if client.lstrip("\\") == "pc7" else frozenset()

    monkeypatch.setattr(WorldManager, "clients_called", called)

    async def main() -> None:
        for word in ("pc7", r"\\pc7"):
            lab = Lab(policy(IDLE))
            lab.world.come("fs1", r"\\10.0.0.7", "ann", idle=3 * 3600)
            lab.world.come("fs1", r"\\10.0.0.8", "bob", idle=3 * 3600)
            now = lab.world.wall()
            await spare(lab.notes, word, now + 7200, server=server, by="root", now=now)
            await lab.rounds(3600)
            assert lab.ended == ["bob"]

    asyncio.run(main())


@pytest.mark.parametrize("told", [Told.NO, Told.UNKNOWN])
def test_who_was_not_told_is_not_ended(told: Told) -> None:
    async def main() -> None:
        lab = Lab(policy(IDLE))
        lab.world.telling = told
        lab.world.come("fs1", r"\\pc1", "ann", idle=3 * 3600)
        await lab.rounds(3600)
        assert lab.ended == []
        # Nothing has reached her for certain: it is tried again. Where something may have, it is not.
        assert len(lab.world.notices) == (4 if told is Told.NO else 1)
        await lab.restart()
        lab.world.telling = Told.YES
        await lab.rounds(3600)
        assert lab.ended == (["ann"] if told is Told.NO else [])

    asyncio.run(main())


@pytest.mark.parametrize("told", [Told.NO, Told.UNKNOWN])
def test_an_attempt_is_enough_where_the_policy_says_so(told: Told) -> None:
    async def main() -> None:
        lab = Lab(policy(IDLE + "tell = { required = false }\n"))
        lab.world.telling = told
        lab.world.come("fs1", r"\\pc1", "ann", idle=3 * 3600)
        await lab.rounds(1200)
        assert lab.ended == ["ann"]
        assert lab.outcomes == [("tell", "failed", told.value), ("end", "done", told.value)]

    asyncio.run(main())


def test_nobody_is_told_on_purpose() -> None:
    async def main() -> None:
        lab = Lab(policy(IDLE + "tell = false\n"))
        lab.world.come("fs1", r"\\pc1", "ann", idle=3 * 3600)
        await lab.round()
        assert (lab.ended, lab.world.notices) == (["ann"], [])
        assert lab.outcomes == [("tell", "matched", None), ("end", "done", None)]

    asyncio.run(main())


def test_hours_that_are_over_spare() -> None:
    async def main() -> None:
        # 2026-01-01 is a Thursday; the world begins at 1:00 in Berlin.
        lab = Lab(policy(IDLE + 'during = "Th,1:00-1:10"\nzone = "Europe/Berlin"\n'))
        lab.world.come("fs1", r"\\pc1", "ann", idle=3 * 3600)
        await lab.round()
        assert lab.said == [What.TOLD]
        await lab.rounds(3600)
        assert lab.ended == []
        assert lab.said == [What.TOLD, What.SPARED]
        assert lab.events[-1].text == "the hours are over"

    asyncio.run(main())


def _opened(user: str, permissions: int) -> FileInfo:
    return FileInfo(7, permissions, 0, "/srv/a.txt", user)


@pytest.mark.parametrize(
    ("may_cost", "permissions", "ended"),
    [("none", 1, False), ("reopen", 1, True), ("reopen", 3, False), ("unsaved", 3, True)],
)
def test_work_that_is_not_saved_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, may_cost: str, permissions: int, ended: bool
) -> None:
    async def main() -> None:
        lab = Lab(policy(f'mode = "enforce"\nselect = {{ age = "1s" }}\nmay_cost = "{may_cost}"\n'))
        lab.world.come("fs1", r"\\pc1", "ann", opens=1)

        async def files(*arguments: object, **filters: object) -> list[FileInfo]:
            return [_opened("ann", permissions)]

        monkeypatch.setattr("support.policy_world.WorldManager.files", files)
        await lab.rounds(3000)
        assert (lab.ended == ["ann"]) is ended
        assert len(lab.world.notices) == 1
        held = [event for event in lab.events if event.what is What.HELD]
        assert len(held) == (0 if ended else 1)
        if not ended:
            # As soon as it is closed, what she was told happens.
            monkeypatch.undo()
            lab.world.guests["fs1"][0].opens = 0
            await lab.rounds(600)
            assert lab.ended == ["ann"]
            assert len(lab.world.notices) == 1

    asyncio.run(main())


def test_bystanders_are_never_ended() -> None:
    """One order ends all of a client and user: who is not meant keeps the others."""

    async def main() -> None:
        lab = Lab(policy(IDLE))
        lab.world.come("fs1", r"\\pc1", "ann", idle=3 * 3600)
        lab.world.now += 60
        lab.world.come("fs1", r"\\pc1", "ann")
        await lab.rounds(1800)
        assert lab.ended == []
        assert lab.said == [What.TOLD, What.HELD]
        lab.world.go("fs1", lab.world.guests["fs1"][1])
        await lab.rounds(600)
        assert lab.ended == ["ann"]

    asyncio.run(main())


def test_many_are_ended_in_groups_with_a_look_before_each() -> None:
    async def main() -> None:
        lab = Lab(policy(IDLE + "at_most = 100\ntell = false\n"))
        for number in range(50):
            lab.world.come("fs1", rf"\\pc{number}", f"user{number}", idle=3 * 3600)
        await lab.round()
        assert len(lab.ended) == 50
        assert len(set(lab.ended)) == 50

    asyncio.run(main())


def test_who_wakes_up_while_others_are_ended_is_not() -> None:
    async def main() -> None:
        lab = Lab(policy(IDLE + "at_most = 100\ntell = false\n"))
        guests = [lab.world.come("fs1", rf"\\pc{number}", f"user{number}", idle=3 * 3600) for number in range(20)]
        last = guests[-1]

        def wake(event: Event) -> None:
            if event.what is What.ENDED:
                last.used = lab.world.now

        lab.enforcer._emit_to = wake
        await lab.round()
        assert len(lab.ended) == 19
        assert last.user not in lab.ended

    asyncio.run(main())


@pytest.mark.parametrize(
    ("word", "left"),
    [("ann", True), ("ANN", True), (r"\\pc1", True), ("pc1", True), ("a*", True), (r"\\ann", False), ("bob", False)],
)
def test_somebody_is_left_alone_for_a_time(word: str, left: bool) -> None:
    async def main() -> None:
        lab = Lab(policy(IDLE))
        world = lab.world
        world.come("fs1", r"\\pc1", "ann", idle=3 * 3600)
        await lab.round()
        await spare(lab.notes, word, world.wall() + 7200, by="root", now=world.wall())
        await lab.rounds(3600)
        assert (lab.ended == []) is left
        await lab.rounds(3600 + 1200)
        assert lab.ended == ["ann"]
        assert len(world.notices) == (2 if left else 1)

    asyncio.run(main())


def test_a_session_is_left_alone_by_its_key() -> None:
    async def main() -> None:
        lab = Lab(policy(IDLE))
        world = lab.world
        world.come("fs1", r"\\pc1", "ann", idle=3 * 3600)
        world.come("fs1", r"\\pc2", "ann", idle=3 * 3600)
        await lab.round()
        key = next(str(one.key) for one in lab.kept.promises.values() if one.client_name == r"\\pc1")
        await spare(lab.notes, f"{key}@fs2", world.wall() + 7200, by="root", now=world.wall())
        await spare(lab.notes, f"{key}@fs1", world.wall() + 7200, by="root", now=world.wall())
        await lab.rounds(3600)
        assert [ending.guest.client for ending in world.endings] == [r"\\pc2"]
        await spare(lab.notes, f"{key}@fs1", 0.0, by="root", now=world.wall())
        await lab.rounds(1200)
        assert len(world.endings) == 2

    asyncio.run(main())


def test_a_server_that_lacks_a_fact_is_skipped_with_the_reason() -> None:
    async def main() -> None:
        lab = Lab(policy(IDLE))
        lab.world.without_idle.add("fs1")
        lab.world.come("fs1", r"\\pc1", "ann", idle=3 * 3600)
        await lab.rounds(3600)
        assert (lab.ended, lab.world.notices, lab.said) == ([], [], [What.SKIPPED])
        assert lab.events[0].text == "it does not say idle times: `idle` cannot be decided"

    asyncio.run(main())


def _every_kill() -> list[tuple[Callable[[Lab, int], None], int]]:
    def at_write(lab: Lab, number: int) -> None:
        lab.notes.kill_at, lab.notes.writes = number // 2, 0
        lab.notes.kill_after = bool(number % 2)

    def in_telling(lab: Lab, number: int) -> None:
        lab.world.kill_in_telling = True

    def in_order(lab: Lab, number: int) -> None:
        lab.world.kill_in_order = True

    return [*((at_write, number) for number in range(2, 14)), (in_telling, 0), (in_order, 0)]


@pytest.mark.parametrize(("arm", "number"), _every_kill())
def test_killed_at_any_moment(arm: Callable[[Lab, int], None], number: int) -> None:
    """Nobody is ended without a message that named a time at least as long before; no message is sent twice; and the
    session is ended once in the end."""

    async def main() -> None:
        lab = Lab(policy(IDLE))
        lab.world.come("fs1", r"\\pc1", "ann", idle=3 * 3600)
        arm(lab, number)
        killed = 0
        for _ in range(60):
            try:
                await lab.round(60)
            except BaseException as error:
                if not _is_kill(error):
                    raise
                killed += 1
                await lab.restart()
        assert killed <= 1
        assert lab.ended == ["ann"]
        [ending] = lab.world.endings
        assert any(notice.at <= ending.at - 900 for notice in lab.world.notices)
        assert len({notice.title for notice in lab.world.notices}) == len(lab.world.notices) <= 2
        done = [deed for deed in lab.notes.deeds if (deed.verb, deed.outcome) == ("end", "done")]
        assert len(done) == 1
        assert [one.state for one in lab.kept.promises.values() if one.state is State.ENDED] == [State.ENDED]

    asyncio.run(main())


def _is_kill(error: BaseException) -> bool:
    return isinstance(error, Killed) or (
        isinstance(error, BaseExceptionGroup) and all(_is_kill(each) for each in error.exceptions)
    )


def test_a_deadline_outlives_a_server_that_is_away_and_a_runner_that_is_not_there() -> None:
    async def main() -> None:
        lab = Lab(policy(IDLE))
        lab.world.come("fs1", r"\\pc1", "ann", idle=3 * 3600)
        await lab.round()
        lab.world.away.add("fs1")
        for _ in range(30):
            with pytest.raises(ConnectionLost):
                await lab.round(60)
        lab.world.away.clear()
        lab.world.now += 86400
        await lab.restart()
        await lab.round()
        assert lab.ended == ["ann"]
        assert len(lab.world.notices) == 1

    asyncio.run(main())


@pytest.mark.parametrize("step", [3600.0, -3600.0, 86400.0, 30.0])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_clock_that_is_set_takes_no_time_from_anybody(step: float, restarted: bool) -> None:
    async def main() -> None:
        lab = Lab(policy(IDLE))
        lab.world.come("fs1", r"\\pc1", "ann", idle=3 * 3600)
        await lab.round()
        lab.world.offset += step
        if restarted:
            await lab.restart()
        await lab.rounds(14 * 60)
        assert lab.ended == []
        await lab.rounds(3 * 60)
        assert lab.ended == ["ann"]
        assert len(lab.world.notices) == 1

    asyncio.run(main())


def test_a_policy_that_has_gone_spares_whom_it_had_told() -> None:
    async def main() -> None:
        lab = Lab(policy(IDLE))
        lab.world.come("fs1", r"\\pc1", "ann", idle=3 * 3600)
        await lab.round()
        await lab.enforcer.drop_all_but({"night": None})
        assert lab.said == [What.TOLD]
        await lab.enforcer.drop_all_but({"other": ["fs1"]})
        assert lab.said == [What.TOLD, What.SPARED]
        assert lab.events[-1].text == "the policy is no longer there"

    asyncio.run(main())


def test_own_sessions_are_neither_told_nor_ended() -> None:
    async def main() -> None:
        lab = Lab(policy(IDLE))
        lab.world.come("fs1", r"\\pc1", "ann", idle=3 * 3600)
        lab.world.own_user = "ann"
        await lab.rounds(3600)
        assert (lab.ended, lab.world.notices) == ([], [])

    asyncio.run(main())
