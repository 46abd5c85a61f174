"""A drain of our Server in memory, in virtual time: its phases, what it leaves behind, and what goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import lanman
from lanman.errors import AccessDenied, ConnectionLost, LanmanError, Win32Error
from lanman.manage.drain.looks import Looker, Scope, is_pipe
from lanman.manage.drain.machine import Happening, Rules, Verdict
from lanman.manage.drain.shell import Drain, DrainOrder, DrainResult, SystemClock, rules_of, scope_of
from lanman.manage.granted import GrantedLevels
from lanman.manage.manager import Manager
from lanman.manage.srvsvc import SrvsvcManager
from lanman.net.client import SmbClient
from lanman.net.drains import KeptDrain
from lanman.net.tell.people import Message, NotTold, Person
from lanman.net.tell.teller import Teller
from lanman.records import FileInfo, Statistics, TimeOfDay
from support.disk_server import READ, DiskWorld, FileClient
from support.drain_world import WorldLink
from support.passwords import PASSWORD
from support.scripted_windows import ScriptedWindows, Windows, windows_2019, windows_2025


class Scene:
    """A Server with people on it, and what happens at which second of the drain."""

    def __init__(self, folder: Path) -> None:
        (folder / "share").mkdir()
        for name in ("plan.txt", "budget.xlsx"):
            (folder / "share" / name).write_text("x")
        self.world = DiskWorld(folder / "share")
        self.world.accounts.add("root", PASSWORD)
        self.world.accounts.add_member("Administrators", "root")
        self.begun = self.world.now
        self.later: list[tuple[float, Callable[[], object]]] = []
        self.link = WorldLink(self.world, lambda: None)
        self.kept = KeptDrain("fs1", folder / "home")
        self.told: list[tuple[float, str]] = []
        self.kind: type[SrvsvcManager] = SrvsvcManager
        self.opened = 0

    def now(self) -> float:
        return 1_700_000_000.0 + self.world.now - self.begun

    async def sleep(self, seconds: float) -> None:
        until = self.world.now + seconds
        for at, what in sorted(self.later, key=lambda each: each[0]):
            if self.begun + at <= until:
                self.world.advance(max(0.0, self.begun + at - self.world.now))
                self.later.remove((at, what))
                what()
        self.world.advance(until - self.world.now)
        await asyncio.sleep(0)

    def at(self, second: float, what: Callable[[], object]) -> None:
        """Have something happen so many seconds after the beginning."""
        self.later.append((second, what))

    def user(self, name: str, *files: str, access: int = READ, address: str = "") -> FileClient:
        client = FileClient(self.world, address or f"192.0.2.{10 + len(self.world.clients)}")
        client.negotiate()
        client.log_on(name)
        client.tree_connect(r"\\server\share")
        for file in files:
            client.open(file, access=access)
        return client

    @asynccontextmanager
    async def opening(self) -> AsyncIterator[Manager]:
        self.opened += 1
        yield self.kind(self.link, timeout=None, deadline=None, granted=GrantedLevels())
        await self.link.close()

    async def drain(
        self, teller: Teller | None = None, *, order: DrainOrder | None = None, **rules: Any
    ) -> DrainResult:
        asked = order or DrainOrder()
        made = rules_of(**rules)
        async with Looker(self.opening, asked.scope, self, include_mine=made.include_mine) as looker:
            return await Drain(looker, made, asked, self.kept, teller=teller, on_event=self._event, clock=self).run()

    def _event(self, event: Any) -> None:
        who = f" {event.holder.user_name}" if event.holder is not None else ""
        self.told.append((round(event.at - 1_700_000_000.0), f"{event.what.value}{who}"))

    def said(self) -> list[str]:
        return [text for _, text in self.told]

    def users(self) -> list[str]:
        return sorted(session.user_name for session in self.world.service.sessions())


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


# --- how it goes


async def test_the_example_of_the_manual(scene: Scene) -> None:
    """Warned at once; who has nothing open goes when the warning is over, readers and writers when the grace is."""
    scene.user("ann")
    scene.user("bob", "budget.xlsx", access=0x001F01FF)
    reader = scene.user("root", "plan.txt")
    scene.at(700, lambda: scene.world.disconnect(reader))
    result = await scene.drain(warn=600, grace=300, end="all", quiet_for=30)
    assert (result.verdict, result.cordoned, result.paused) == (Verdict.DRAINED, True, True)
    told = [(at, text) for at, text in scene.told if text != "left"]
    assert [text for _, text in told] == [
        "paused",
        "ended ann",
        "gone root",
        "ended bob",
        "empty",
        "finished",
    ]
    times = [at for at, _ in told]
    assert times[1] == 600
    assert 700 <= times[2] <= 703
    assert times[3] == 900
    assert times[5] - times[4] == 30
    assert scene.world.service.paused
    pause = scene.kept.read()
    assert pause is not None
    assert pause.server == "fs1"


async def test_write_handles_are_ended_only_when_asked(scene: Scene) -> None:
    scene.user("bob", "budget.xlsx", access=0x001F01FF)
    scene.user("ann", "plan.txt")
    result = await scene.drain(end="readers", timeout=60, quiet_for=5)
    assert result.verdict is Verdict.TIMED_OUT
    assert [holder.user_name for holder in result.left] == ["bob"]
    assert "ended ann" in scene.said()
    assert scene.users() == ["bob"]
    assert not scene.world.service.paused
    assert scene.kept.read() is None


async def test_newcomers_are_kept_out_and_administrators_are_ended_again(scene: Scene) -> None:
    refused = []

    def knock() -> None:
        try:
            scene.user("ann")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is kept
            refused.append(error)

    scene.at(3, knock)
    scene.at(4, lambda: scene.user("root"))
    result = await scene.drain(quiet_for=30)
    assert result.drained
    assert len(refused) == 1
    assert scene.said().count("ended root") == 1
    assert scene.users() == []


async def test_a_plan_with_nobody_in_it(scene: Scene) -> None:
    result = await scene.drain(quiet_for=5)
    assert result.drained
    assert [text for text in scene.said() if text != "left"] == ["paused", "empty", "finished"]


async def test_nobody_is_told_whose_name_nobody_knows_and_all_others_are(scene: Scene) -> None:
    told: list[tuple[Person, Message]] = []

    class Way:
        name = "mail"

        async def tell(self, person: Person, message: Message) -> None:
            told.append((person, message))
            if person.user_name == "root":
                raise NotTold("no address known")

    scene.user("bob", "plan.txt")
    scene.user("bob", "budget.xlsx")
    scene.user("root")
    result = await scene.drain(Teller([Way()]), warn=60, end="all", quiet_for=0)
    assert result.drained
    assert {each.person.user_name: each.told.value for each in result.told} == {"bob": "yes", "root": "no"}
    person, message = told[0]
    assert (person.user_name, len(person.clients), len(person.files)) == ("bob", 2, 2)
    assert message.title.startswith("fs1 will be closed at ")
    assert "warned" in scene.said()


async def test_a_way_that_never_answers_holds_nothing_up(scene: Scene) -> None:
    class Way:
        name = "webhook"

        async def tell(self, person: Person, message: Message) -> None:
            await asyncio.Event().wait()

    scene.user("bob", "plan.txt")
    result = await scene.drain(Teller([Way()]), warn=60, end="all", quiet_for=0)
    assert result.drained


# --- what it leaves behind


@pytest.mark.parametrize("keep", [False, True])
async def test_a_time_out_opens_the_server_again_unless_it_is_to_stay_closed(scene: Scene, keep: bool) -> None:
    scene.user("bob", "plan.txt")
    result = await scene.drain(timeout=60, quiet_for=5, order=DrainOrder(keep_paused=keep))
    assert result.verdict is Verdict.TIMED_OUT
    assert scene.world.service.paused is keep
    assert result.paused is keep
    assert (scene.kept.read() is not None) is keep
    assert ("continued" in scene.said()) is not keep


async def test_an_interruption_opens_the_server_again(scene: Scene) -> None:
    scene.user("bob", "plan.txt")
    task = asyncio.ensure_future(scene.drain(timeout=600))
    scene.at(30, task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not scene.world.service.paused
    assert scene.said()[-2:] == ["finished", "continued"]
    assert scene.kept.read() is None


async def test_who_interrupts_again_and_again_does_not_keep_it_from_opening_the_server(scene: Scene) -> None:
    class Slow(SrvsvcManager):
        async def continue_(self) -> bool:
            for _ in range(3):
                task.cancel()  # Ctrl-C twice; SIGTERM, and SIGHUP after it
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            return await super().continue_()

    scene.kind = Slow
    scene.user("bob", "plan.txt")
    task = asyncio.ensure_future(scene.drain(timeout=600))
    scene.at(30, task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not scene.world.service.paused
    assert scene.said()[-2:] == ["finished", "continued"]
    assert scene.kept.read() is None


@pytest.mark.parametrize("paused_before", [False, True])
async def test_a_pause_that_somebody_has_ended_is_noticed_and_said(scene: Scene, paused_before: bool) -> None:
    """By `continue server`, or since the server was started again: newcomers come in, and nothing says otherwise."""
    if paused_before:
        scene.world.service.pause("10.20.0.9", "root")
    scene.at(3, lambda: scene.world.service.continue_("10.20.0.9", "root"))
    result = await scene.drain(quiet_for=30)
    assert (result.drained, result.cordoned, result.paused) == (True, False, False)
    assert scene.said() == ["paused", "empty", "not_paused", "finished"]
    assert scene.kept.read() is None


async def test_a_pause_of_somebody_else_who_came_after_it_was_ended_is_not_undone(scene: Scene) -> None:
    scene.user("root", "plan.txt")
    scene.at(3, lambda: scene.world.service.continue_("10.20.0.9", "root"))
    scene.at(20, lambda: scene.world.service.pause("10.20.0.9", "root"))
    result = await scene.drain(timeout=60, quiet_for=5)
    assert result.verdict is Verdict.TIMED_OUT
    assert scene.world.service.paused
    assert "continued" not in scene.said()


async def test_a_service_that_says_an_error_and_pauses_all_the_same_is_opened_again(scene: Scene) -> None:
    class Late(SrvsvcManager):
        async def pause(self) -> bool:
            await super().pause()
            raise Win32Error(1053, "the service did not answer in time")

    scene.kind = Late
    scene.user("ann")
    with pytest.raises(Win32Error, match="did not answer in time"):
        await scene.drain()
    assert not scene.world.service.paused
    assert scene.kept.read() is None


@pytest.mark.parametrize("end", ["idle", "readers"])
async def test_who_opens_a_file_between_look_and_order_is_not_ended(scene: Scene, end: str) -> None:
    class Quick(SrvsvcManager):
        async def end_sessions(self, plan: Any, **how: Any) -> Any:
            if not opened:
                opened.append(bob.open("budget.xlsx", access=0x001F01FF))
            return await super().end_sessions(plan, **how)

    opened: list[bytes] = []
    scene.kind = Quick
    bob = scene.user("bob", *(("plan.txt",) if end == "readers" else ()))
    result = await scene.drain(timeout=60, quiet_for=5, end=end)
    assert opened
    assert scene.users() == ["bob"]
    assert (result.verdict, [holder.user_name for holder in result.left]) == (Verdict.TIMED_OUT, ["bob"])


async def test_who_opens_a_file_between_look_and_order_is_ended_where_all_are(scene: Scene) -> None:
    class Quick(SrvsvcManager):
        async def end_sessions(self, plan: Any, **how: Any) -> Any:
            bob.open("budget.xlsx", access=0x001F01FF)
            return await super().end_sessions(plan, **how)

    scene.kind = Quick
    bob = scene.user("bob", "plan.txt")
    assert (await scene.drain(timeout=60, quiet_for=5, end="all")).drained


def test_the_clock_of_a_drain_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    wall, steady = [1_700_000_000.0], [50.0]
    monkeypatch.setattr("time.time", lambda: wall[0])
    monkeypatch.setattr("time.monotonic", lambda: steady[0])
    clock = SystemClock()
    assert clock.now() == 1_700_000_000.0
    wall[0] += 3600  # somebody sets the clock
    steady[0] += 2
    assert clock.now() == 1_700_000_002.0


async def test_whoever_listens_and_fails_leaves_nothing_closed(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    class ReaderHasGone(Exception):
        pass

    def gone(event: Any) -> None:
        raise ReaderHasGone

    scene.user("bob", "plan.txt")
    monkeypatch.setattr(scene, "_event", gone)
    with pytest.raises(ReaderHasGone):
        await scene.drain(timeout=60, quiet_for=5)
    assert not scene.world.service.paused
    assert scene.kept.read() is None


async def test_a_pause_that_was_there_before_stays(scene: Scene) -> None:
    scene.world.service.pause("10.20.0.9", "root")
    scene.user("root", "plan.txt")
    result = await scene.drain(timeout=60, quiet_for=5)
    assert result.verdict is Verdict.TIMED_OUT
    assert scene.world.service.paused
    assert not result.paused
    assert scene.kept.read() is None


@pytest.mark.parametrize(("noted_ago", "ours"), [(150, True), (300, False)])
async def test_a_pause_of_a_drain_that_was_killed_is_this_ones(scene: Scene, noted_ago: float, ours: bool) -> None:
    """But for a server that was started since: it runs then, so that pause is somebody else's."""

    class Told(SrvsvcManager):
        async def statistics(self) -> Statistics:
            return Statistics(start=1_000)

        async def time_of_day(self) -> TimeOfDay:
            return TimeOfDay(elapsedt=1_200)  # by the server's clock, whatever that is

    scene.kind = Told
    scene.world.service.pause("10.20.0.9", "root")
    scene.kept.note(scene.now() - noted_ago)
    scene.user("root", "plan.txt")
    result = await scene.drain(timeout=60, quiet_for=5)
    assert result.verdict is Verdict.TIMED_OUT
    assert scene.world.service.paused is not ours
    assert scene.kept.read() is None


async def test_two_drains_of_one_server_do_not_meet(scene: Scene) -> None:
    with scene.kept.held(), pytest.raises(Win32Error, match="another drain of it is running here"):
        await scene.drain()
    assert not scene.world.service.paused


# --- what goes wrong


async def test_a_server_without_a_pause_is_drained_all_the_same(scene: Scene) -> None:
    class NoPause(SrvsvcManager):
        async def service_state(self) -> Any:
            raise self._not_a_service("be paused")

    scene.kind = NoPause
    scene.user("ann")
    scene.at(10, lambda: scene.user("ann"))
    scene.at(20, lambda: scene.user("bob"))
    result = await scene.drain(quiet_for=15)
    assert (result.verdict, result.cordoned, result.paused) == (Verdict.DRAINED, False, False)
    ends = [at for at, text in scene.told if text.startswith("ended")]
    assert len(ends) == 3
    assert scene.told[-1][0] - ends[-1] >= 15
    assert scene.kept.read() is None


async def test_who_may_not_pause_does_nothing(scene: Scene) -> None:
    class Denied(SrvsvcManager):
        async def pause(self) -> bool:
            raise AccessDenied("no", server="fs1")

    scene.kind = Denied
    scene.user("ann")
    with pytest.raises(AccessDenied):
        await scene.drain()
    assert scene.users() == ["ann"]
    assert scene.kept.read() is None


async def test_a_pause_whose_answer_is_lost_is_undone(scene: Scene) -> None:
    class Lost(SrvsvcManager):
        async def pause(self) -> bool:
            await super().pause()
            raise ConnectionLost("the answer is lost", server="fs1")

    scene.kind = Lost
    scene.user("ann")
    with pytest.raises(ConnectionLost):
        await scene.drain()
    assert not scene.world.service.paused
    assert scene.kept.read() is None


async def test_a_server_that_cannot_be_opened_again_is_said_and_stays_noted(scene: Scene) -> None:
    class Stuck(SrvsvcManager):
        async def continue_(self) -> bool:
            raise ConnectionLost("no answer", server="fs1")

    scene.kind = Stuck
    scene.user("bob", "plan.txt")
    result = await scene.drain(timeout=60, quiet_for=5)
    assert result.paused
    assert scene.said()[-1] == "not_continued"
    assert scene.kept.read() is not None


async def test_looks_without_an_answer_are_no_looks_that_saw_nobody(scene: Scene) -> None:
    answers = []

    class Flaky(SrvsvcManager):
        async def sessions(self, **filters: Any) -> Any:
            answers.append(scene.now())
            if 10 < scene.now() - 1_700_000_000 < 40:
                raise ConnectionLost("no answer", server="fs1")
            return await super().sessions(**filters)

    scene.kind = Flaky
    result = await scene.drain(quiet_for=15)
    assert result.drained
    assert scene.said().count("failed") == 1
    assert scene.told[-1][0] >= 40 + 15
    assert scene.opened > 1


async def test_a_server_that_does_not_come_back_is_an_error_when_time_is_out(scene: Scene) -> None:
    class Gone(SrvsvcManager):
        async def sessions(self, **filters: Any) -> Any:
            if scene.now() - 1_700_000_000 > 10:
                raise ConnectionLost("no answer", server="fs1")
            return await super().sessions(**filters)

    scene.kind = Gone
    scene.user("bob", "plan.txt")
    with pytest.raises(ConnectionLost):
        await scene.drain(timeout=60, quiet_for=5)
    assert not scene.world.service.paused


async def test_an_order_that_is_denied_ends_the_drain(scene: Scene) -> None:
    class MayEndNobody(SrvsvcManager):
        async def end_sessions(self, plan: Any, **options: Any) -> Any:
            from lanman.manage.orders import Outcome, What

            return [Outcome(target, What.FAILED, None, AccessDenied("no", server="fs1")) for target in plan.targets]

    scene.kind = MayEndNobody
    scene.user("ann")
    with pytest.raises(AccessDenied):
        await scene.drain(timeout=60, quiet_for=5)
    assert "failed ann" in scene.said()
    assert not scene.world.service.paused


async def test_ones_own_other_session_keeps_it_from_being_drained(scene: Scene) -> None:
    scene.user("admin", "plan.txt", address="192.0.2.250")
    result = await scene.drain(timeout=60, quiet_for=5, end="all")
    assert result.verdict is Verdict.TIMED_OUT
    assert [holder.user_name for holder in result.left] == ["admin"]
    assert result.reasons == ("may be yours; --include-mine ends it too",)
    assert scene.users() == ["admin"]


async def test_ones_own_other_session_is_ended_where_that_was_asked_for(scene: Scene) -> None:
    scene.user("admin", "plan.txt", address="192.0.2.250")
    result = await scene.drain(timeout=60, quiet_for=5, end="all", include_mine=True)
    assert result.drained
    assert scene.users() == []


# --- a share, a path


async def test_a_share_is_drained_of_its_files_and_nobody_is_ended(scene: Scene) -> None:
    scene.user("bob", "plan.txt")
    scene.user("ann", "budget.xlsx", access=0x001F01FF)
    result = await scene.drain(order=DrainOrder(scope_of("share", None)), end="all", quiet_for=10)
    assert (result.drained, result.cordoned) == (True, False)
    assert sorted(text for text in scene.said() if text.startswith("ended")) == ["ended ann", "ended bob"]
    assert scene.users() == ["ann", "bob"]
    assert not scene.world.service.paused


async def test_readers_of_a_path_go_and_its_writers_stay(scene: Scene) -> None:
    scene.user("bob", "plan.txt")
    scene.user("bob", "budget.xlsx", access=0x001F01FF)
    result = await scene.drain(order=DrainOrder(Scope(path="*")), end="readers", quiet_for=5, timeout=30)
    assert result.verdict is Verdict.TIMED_OUT
    assert [holder.path for holder in result.left if holder.path] == [result.left[0].path]
    assert str(result.left[0].path).endswith("budget.xlsx")


async def test_a_share_that_does_not_exist(scene: Scene) -> None:
    with pytest.raises(Win32Error) as caught:
        await scene.drain(order=DrainOrder(Scope("nothing")))
    assert caught.value.code == 2310


# --- what may be asked for


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"warn": -1}, "warn must be a time"),
        ({"timeout": float("inf")}, "timeout must be a time"),
        ({"quiet_for": float("nan")}, "quiet_for must be a time"),
        ({"timeout": 60, "warn": 31}, "the time-out of 60 s is over before the times for warning, grace and quiet"),
        ({"end": "some"}, "end is idle, readers or all, and not 'some'"),
    ],
)
def test_times_that_cannot_be(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(Win32Error, match=message):
        rules_of(**wrong)


def test_the_usual_time_out_is_finite_and_leaves_time_for_the_others() -> None:
    assert rules_of() == Rules(timeout=1800)
    assert rules_of(warn=7200, grace=600).timeout == 7200 + 600 + 1800
    assert replace(rules_of(quiet_for=3600)).timeout == 7200


@pytest.mark.parametrize(
    ("share", "path"), [("a", "b"), ("", None), (None, ""), (None, r"\\fs1\projects\*"), (None, "//fs1/projects/*")]
)
def test_scopes_that_cannot_be(share: str | None, path: str | None) -> None:
    with pytest.raises(LanmanError):
        scope_of(share, path)


def test_what_happens_has_words_for_all_of_it() -> None:
    assert len({each.value for each in Happening}) == len(Happening)


# --- for programs


async def test_calls_for_programs_on_a_server_over_the_network(tmp_path: Path) -> None:
    """`lanman.drain` and its blocking twin, against our Server on a port."""
    (tmp_path / "share").mkdir()
    home = tmp_path / "home"
    who = lanman.Credentials("admin", PASSWORD)
    accounts = {"admin": PASSWORD, "bob": PASSWORD}
    async with lanman.Server({"share": tmp_path / "share"}, accounts, administrators=["admin"]) as server:
        client = SmbClient("127.0.0.1", server.port, lanman.Credentials("bob", PASSWORD))
        await client.connect()
        await client.log_on()
        how: dict[str, Any] = {"port": server.port, "home": home, "quiet_for": 0}
        events: list[str] = []
        result = await lanman.drain("127.0.0.1", who, on_event=lambda event: events.append(event.what.value), **how)
        assert (result.drained, result.cordoned, result.paused, result.left) == (True, True, True, ())
        assert events == ["paused", "left", "ended", "empty", "finished"]
        again = await asyncio.to_thread(lambda: lanman.blocking_drain("127.0.0.1", who, **how))
        assert (again.drained, again.paused) == (True, True)
        await client.abort()


async def test_wrong_arguments_of_programs_are_refused_before_a_server_is_asked() -> None:
    with pytest.raises(Win32Error, match="end is idle, readers or all"):
        await lanman.drain("192.0.2.1", end="everybody")
    with pytest.raises(Win32Error, match="a share or a path is drained, not both"):
        await lanman.drain("192.0.2.1", share="a", path="b")


# --- Windows, as far as the script of one goes


@pytest.mark.parametrize("made", [windows_2019, windows_2025])
async def test_a_windows_is_paused_drained_and_opened_again(made: Callable[[], Windows], tmp_path: Path) -> None:
    windows = made()
    windows.list_callers = True
    async with ScriptedWindows(windows) as server:
        who = lanman.Credentials("admin", server.password)
        how: dict[str, Any] = {"port": server.port, "home": tmp_path}
        result = await lanman.drain(server.host, who, quiet_for=0, timeout=0, **how)
        assert (result.verdict, result.cordoned, result.paused) == (Verdict.TIMED_OUT, True, False)
        assert len(result.left) == 6  # the program's own is none of them
        assert windows.services.orders == [("LanmanServer", 2), ("LanmanServer", 3)]
        result = await lanman.drain(server.host, who, quiet_for=0, end="all", **how)
        assert (result.drained, result.paused) == (True, True)
        assert windows.sessions == []
        assert server.complaints == []


async def test_files_that_outlive_their_sessions_keep_a_windows_from_being_drained(tmp_path: Path) -> None:
    """Durable and persistent handles: nobody is listed, and somebody's file is open all the same."""
    windows = windows_2019()
    windows.sessions.clear()
    left = [file for file in windows.files if not is_pipe(FileInfo(1, path=file.path))]
    assert left
    async with ScriptedWindows(windows) as server:
        who = lanman.Credentials("admin", server.password)
        how: dict[str, Any] = {"port": server.port, "home": tmp_path, "quiet_for": 0}
        result = await lanman.drain(server.host, who, timeout=0, **how)
        assert (result.verdict, len(result.left)) == (Verdict.TIMED_OUT, len(left))
        assert {holder.path for holder in result.left} == {file.path for file in left}
        result = await lanman.drain(server.host, who, end="all", **how)
        assert result.drained
        assert [file for file in windows.files if not is_pipe(FileInfo(1, path=file.path))] == []


@pytest.mark.parametrize(
    ("path", "pipe"),
    [
        (r"\srvsvc", True),
        (r"\PIPE\srvsvc", True),
        ("/pipe/srvsvc", True),
        (r"\pipe\a\b", True),
        (r"C:\pipe\a", False),
        ("/srv/a", False),
        ("/a", False),
        (r"C:\a", False),
    ],
)
def test_what_is_a_pipe(path: str, pipe: bool) -> None:
    assert is_pipe(FileInfo(1, path=path)) is pipe
