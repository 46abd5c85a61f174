"""Policies at work: servers that do not answer, policies that are read anew, and one runner for a database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from lanman.errors import AuthenticationError
from lanman.manage.cluster import Place
from lanman.manage.history import AlreadyHeld, open_store
from lanman.manage.history.database import StoreError
from lanman.manage.manager import Manager
from lanman.manage.policies.kept import ROLE, Standing, counted
from lanman.manage.policies.runner import Runner, Source
from lanman.manage.policies.servers import Access
from lanman.manage.policies.words import Event, What
from lanman.net.credentials import Credentials
from support.policy_world import MemoryNotes, World
from support.virtual_time import VirtualClock, run

POLICY = 'every = "1m"\n[policies.{name}]\nservers = ["fs1", "fs2"]\nmode = "enforce"\nselect = {{ idle = "2h" }}\n'


class Held(MemoryNotes):
    """A database in memory that somebody holds."""

    held = False

    @asynccontextmanager
    async def hold(self, role: str) -> AsyncIterator[None]:
        assert role == ROLE
        assert not self.held
        self.held = True
        try:
            yield
        finally:
            self.held = False


class Clock:
    """The clock of the loop's virtual time, which the world has too."""

    def __init__(self, clock: VirtualClock, world: World) -> None:
        self._clock = clock
        self._world = world
        world.now = clock.wall()

    def wall(self) -> float:
        self._world.now = self._clock.wall()
        return self._world.now

    def standing(self) -> Standing:
        return Standing("first", 0.0)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.wall()


class Lab:
    """A world, the files of a runner, and the runner."""

    def __init__(self, clock: VirtualClock, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = World()
        self.clock = Clock(clock, self.world)
        self.folder = folder
        self.notes = Held()
        self.events: list[Event] = []
        self.refusing: set[str] = set()
        (folder / "lanman.toml").write_text('[command]\nargv = ["/bin/true"]\n')
        self.write("night")
        monkeypatch.setattr("lanman.net.tell.command.CommandWay.tell", lambda way, *told: self.world.tell(*told))
        self.runner = self.anew()

    def anew(self, *names: str, server: str | None = None) -> Runner:
        """A runner of some policies, at some servers; all for none."""
        source = Source(self.folder / "policies.toml", names, folder=self.folder)
        return Runner(
            self.notes,
            source,
            Access(server),
            by="root",
            on_event=self.events.append,
            clock=self.clock,
            opens=self._opens,
        )

    def _opens(
        self, place: Place, credentials: Credentials | None
    ) -> Callable[[], AbstractAsyncContextManager[Manager]]:
        def opening() -> AbstractAsyncContextManager[Manager]:
            if place.node in self.refusing:
                raise AuthenticationError("wrong password")
            return self.world.open(place.node)

        return opening

    def write(self, name: str, more: str = "") -> None:
        (self.folder / "policies.toml").write_text(POLICY.format(name=name) + more)

    @property
    def said(self) -> list[tuple[What, str]]:
        return [(event.what, event.server) for event in self.events]

    async def during(self, script: Callable[[], Awaitable[None]]) -> None:
        """Run the policies while something happens, and stop them."""
        task = asyncio.ensure_future(self.runner.run())
        await script()
        assert not task.done()
        self.runner.stop()
        await task
        assert not self.notes.held


@pytest.fixture
def in_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Lab], Awaitable[None]]], None]:
    def test(script: Callable[[Lab], Awaitable[None]]) -> None:
        async def main(clock: VirtualClock) -> None:
            await script(Lab(clock, tmp_path, monkeypatch))

        run(main)

    return test


InLab = Callable[[Callable[[Lab], Awaitable[None]]], None]


def test_every_server_is_looked_at_and_the_due_are_ended_in_time(in_lab: InLab) -> None:
    async def script(lab: Lab) -> None:
        lab.world.come("fs1", r"\\pc1", "ann", idle=3 * 3600)
        lab.world.come("fs2", r"\\pc2", "bob", idle=2 * 3600 - 90)
        begun = lab.clock.wall()
        await lab.during(lambda: asyncio.sleep(1100))
        assert [(one.guest.user, one.at - begun) for one in lab.world.endings] == [("ann", 900.0), ("bob", 1020.0)]

    in_lab(script)


def test_a_server_that_is_away_holds_up_nobody_and_is_said_once(in_lab: InLab) -> None:
    async def script(lab: Lab) -> None:
        lab.world.come("fs1", r"\\pc1", "ann", idle=3 * 3600)
        lab.world.come("fs2", r"\\pc2", "bob", idle=3 * 3600)
        lab.world.away.add("fs2")

        async def happen() -> None:
            await asyncio.sleep(1000)
            lab.world.away.clear()
            await asyncio.sleep(1000)

        await lab.during(happen)
        assert [one.guest.user for one in lab.world.endings] == ["ann", "bob"]
        assert lab.said.count((What.AWAY, "fs2")) == 1
        assert lab.said.count((What.BACK, "fs2")) == 1

    in_lab(script)


def test_a_refused_log_on_is_not_tried_again_until_the_policies_are_read_anew(in_lab: InLab) -> None:
    async def script(lab: Lab) -> None:
        lab.refusing.add("fs2")

        async def happen() -> None:
            await asyncio.sleep(3600)
            assert lab.said == [(What.REFUSED, "fs2")]
            lab.runner.reload()
            await asyncio.sleep(10)
            assert lab.said.count((What.REFUSED, "fs2")) == 2

        await lab.during(happen)

    in_lab(script)


def test_policies_are_read_anew_and_mistakes_leave_the_old_ones(in_lab: InLab) -> None:
    async def script(lab: Lab) -> None:
        lab.world.come("fs1", r"\\pc1", "ann", idle=3 * 3600)

        async def happen() -> None:
            await asyncio.sleep(100)
            assert [event.what for event in lab.events] == [What.TOLD]
            lab.write("night", "at_mots = 3\n")
            lab.runner.reload()
            await asyncio.sleep(100)
            assert lab.events[-1].what is What.NOT_READ
            assert "line 6: [policies.night] at_mots is not a key of this section: `at_most`" in lab.events[-1].text
            await asyncio.sleep(800)
            assert [one.guest.user for one in lab.world.endings] == ["ann"]
            lab.world.come("fs1", r"\\pc1", "eve", idle=3 * 3600)
            await asyncio.sleep(100)
            lab.write("day")
            lab.runner.reload()
            await asyncio.sleep(10)
            assert [event.what for event in lab.events[-3:]] == [What.READ, What.SPARED, What.TOLD]
            assert lab.events[-2].text == "the policy is no longer there"

        await lab.during(happen)

    in_lab(script)


def test_it_goes_on_where_another_runner_has_stopped(in_lab: InLab) -> None:
    async def script(lab: Lab) -> None:
        lab.world.come("fs1", r"\\pc1", "ann", idle=3 * 3600)
        await lab.during(lambda: asyncio.sleep(100))
        await asyncio.sleep(500)
        lab.runner._stopping = False
        await lab.during(lambda: asyncio.sleep(400))
        assert (len(lab.world.notices), len(lab.world.endings)) == (1, 1)

    in_lab(script)


@pytest.mark.parametrize(("names", "server"), [((), "FS1"), (("other",), None), (("other",), "fs1")])
def test_a_narrower_run_leaves_the_promises_of_others_as_they_are(
    in_lab: InLab, names: tuple[str, ...], server: str | None
) -> None:
    """Those of other servers and policies are neither spared nor told again; the whole run ends them in time."""

    async def script(lab: Lab) -> None:
        lab.write("night", '[policies.other]\nservers = ["fs1"]\nmode = "enforce"\nselect = { user = "eve" }\n')
        lab.world.come("fs2", r"\\pc1", "ann", idle=3 * 3600)
        begun = lab.clock.wall()
        await lab.during(lambda: asyncio.sleep(100))
        lab.runner = lab.anew(*names, server=server)

        async def narrow() -> None:
            await asyncio.sleep(100)
            lab.runner.reload()
            await asyncio.sleep(100)

        await lab.during(narrow)
        assert [what for what, _ in lab.said] == [What.TOLD, What.READ]
        lab.runner = lab.anew()
        await lab.during(lambda: asyncio.sleep(900))
        assert [(one.guest.user, one.at - begun) for one in lab.world.endings] == [("ann", 900.0)]
        assert len(lab.world.notices) == 1

    in_lab(script)


def test_a_narrower_run_spares_what_is_no_longer_there_of_its_own(in_lab: InLab) -> None:
    async def script(lab: Lab) -> None:
        for server, user in (("fs1", "ann"), ("fs2", "bob")):
            lab.world.come(server, rf"\\{server}-pc", user, idle=3 * 3600)
        await lab.during(lambda: asyncio.sleep(100))
        lab.write("day")
        lab.runner = lab.anew(server="fs1")
        await lab.during(lambda: asyncio.sleep(100))
        spared = [event for event in lab.events if event.what is What.SPARED]
        assert [(event.server, event.text) for event in spared] == [("fs1", "the policy is no longer there")]

    in_lab(script)


def test_a_database_that_cannot_be_written_ends_it_before_anything_is_done(in_lab: InLab) -> None:
    async def script(lab: Lab) -> None:
        lab.world.come("fs1", r"\\pc1", "ann", idle=3 * 3600)

        async def put_notes(*notes: object) -> None:
            raise StoreError("the disk is full")

        lab.notes.put_notes = put_notes  # type: ignore[method-assign, assignment]
        with pytest.raises(StoreError, match="the disk is full"):
            await lab.runner.run()
        assert (lab.world.notices, lab.world.endings) == ([], [])
        assert not lab.notes.held

    in_lab(script)


def test_a_mistake_at_the_start_is_raised(in_lab: InLab) -> None:
    async def script(lab: Lab) -> None:
        lab.write("night", "mode = 1\n")
        with pytest.raises(Exception, match=r"policies\.toml line 6"):
            await lab.runner.run()
        assert not lab.notes.held

    in_lab(script)


def test_the_second_runner_is_told_who_the_first_one_is(tmp_path: Path) -> None:
    """In a real database; and what was done there is counted."""
    (tmp_path / "lanman.toml").write_text('[command]\nargv = ["/bin/true"]\n')
    (tmp_path / "policies.toml").write_text(POLICY.format(name="night") + "tell = false\n")
    world = World()
    world.come("fs1", r"\\pc1", "ann", idle=3 * 3600)

    class RealTime:
        def wall(self) -> float:
            return world.now

        def standing(self) -> Standing:
            return Standing("first", 0.0)

        async def sleep(self, seconds: float) -> None:
            await asyncio.sleep(seconds)

    async def main() -> None:
        def runner(store: object) -> Runner:
            return Runner(
                store,  # type: ignore[arg-type]
                Source(tmp_path / "policies.toml", folder=tmp_path),
                Access(),
                by="root",
                on_event=lambda event: ended.set() if event.what is What.ENDED else None,
                clock=RealTime(),
                opens=lambda place, credentials: lambda: world.open(place.node),
            )

        ended = asyncio.Event()
        async with open_store(tmp_path / "db") as store, open_store(tmp_path / "db") as other:
            first = runner(store)
            task = asyncio.ensure_future(first.run())
            await ended.wait()
            with pytest.raises(AlreadyHeld, match="its policy is running already: process"):
                await runner(other).run()
            first.stop()
            await task
            found = await counted(store, 0, 1 << 40)
            assert found == {("night", "done"): 1}

    asyncio.run(main())
