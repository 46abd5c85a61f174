"""Watching a server: when it is asked, what it is asked for, and what happens where it does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from lanman import codes
from lanman.errors import AccessDenied, AuthenticationError, ConnectionLost, LanmanError, TimedOut
from lanman.manage.manager import Manager, Sessions
from lanman.manage.watching.changes import Update
from lanman.manage.watching.keys import How
from lanman.manage.watching.poller import Poller, watch
from lanman.manage.watching.rows import Kind, SessionRow
from lanman.net.credentials import Credentials
from lanman.records import FileInfo, SessionInfo, ShareInfo
from support.fake_manager import FakeManager
from support.scripted_windows import ScriptedWindows, windows_2019
from support.virtual_time import VirtualClock, run


@dataclass
class Slow(FakeManager):
    """A FakeManager that takes time to answer, and remembers when it was asked."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    takes: float = 0.0
    asked: list[tuple[str, float]] = field(default_factory=list)
    busy: int = 0

    async def _answer(self, what: str) -> None:
        assert not self.busy, "two questions at once"
        self.busy += 1
        self.asked.append((what, self.clock.now))
        try:
            await asyncio.sleep(self.takes)
        finally:
            self.busy -= 1

    async def sessions(
        self, *, client: str | None = None, user: str | None = None, level: int | None = None
    ) -> Sessions:
        await self._answer("sessions")
        return await super().sessions(client=client, user=user, level=level)

    async def files(
        self, *, path: str | None = None, user: str | None = None, client: str | None = None
    ) -> list[FileInfo]:
        await self._answer("files")
        if "files" in self.refuses:
            raise self.refuses["files"]
        return list(await super().files(path=path, user=user, client=client))

    async def shares(self, level: int | None = None) -> list[ShareInfo]:
        await self._answer("shares")
        if "shares" in self.refuses:
            raise self.refuses["shares"]
        return self.shared

    def times(self, what: str) -> list[float]:
        return [at for asked, at in self.asked if asked == what]


class Network:
    """A server that can be opened, as long as `down` is None."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.manager = Slow(clock=clock)
        self.down: LanmanError | None = None
        self.opened: list[float] = []
        self.left = 0

    @asynccontextmanager
    async def opening(self) -> AsyncIterator[Manager]:
        self.opened.append(self.clock.now)
        if self.down is not None:
            raise self.down
        try:
            yield self.manager
        finally:
            self.left += 1

    def poller(self, *, every: float = 2.0, kinds: frozenset[Kind] = frozenset(Kind)) -> Poller:
        return Poller(
            self.opening,
            server="fs1",
            every=every,
            kinds=kinds,
            wall_clock=self.clock.wall,
            steady_clock=lambda: self.clock.now,
            chance=lambda: 0.0,
        )


def brief(changes: object) -> list[str]:
    assert isinstance(changes, (list, tuple))
    return [f"{change.what.value} {change.row.kind.value}" for change in changes]


async def take(poller: Poller, number: int) -> list[Update]:
    return [await anext(poller) for _ in range(number)]


def test_asks_every_so_many_seconds() -> None:
    async def test(clock: VirtualClock) -> None:
        network = Network(clock)
        async with network.poller(every=2.0) as poller:
            await take(poller, 4)
        assert network.manager.times("sessions") == [1000, 1002, 1004, 1006]
        assert [what for what, _ in network.manager.asked[:3]] == ["files", "sessions", "shares"]
        assert network.opened == [1000]
        assert network.left == 1

    run(test)


def test_a_slow_server_is_asked_less_often_and_never_twice_at_once() -> None:
    async def test(clock: VirtualClock) -> None:
        network = Network(clock)
        network.manager.takes = 0.5  # three questions a look
        async with network.poller(every=2.0) as poller:
            updates = await take(poller, 3)
            assert network.manager.times("files") == [1000, 1030, 1060]
            assert updates[-1].picture.duration == 1.5
            network.manager.takes = 0.0
            await take(poller, 3)
        assert network.manager.times("files")[3:] == [1090, 1092, 1094]

    run(test)


def test_who_takes_updates_slowly_is_asked_for_slowly() -> None:
    async def test(clock: VirtualClock) -> None:
        network = Network(clock)
        async with network.poller(every=2.0) as poller:
            await anext(poller)
            await asyncio.sleep(100)
            await anext(poller)
        assert network.manager.times("sessions") == [1000, 1100]

    run(test)


def test_giving_up_an_update_loses_nothing() -> None:
    async def test(clock: VirtualClock) -> None:
        network = Network(clock)
        network.manager.takes = 3.0
        async with network.poller() as poller:
            for _ in range(8):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(anext(poller), 1.0)
            assert (await anext(poller)).first
        assert network.manager.times("sessions") == [1003]

    run(test)


def test_look_now_does_not_wait_until_it_is_due() -> None:
    async def test(clock: VirtualClock) -> None:
        network = Network(clock)
        async with network.poller(every=3600) as poller:
            await anext(poller)
            asyncio.get_running_loop().call_later(5, poller.look_now)
            await anext(poller)
        assert network.manager.times("sessions") == [1000, 1005]

    run(test)


def test_only_what_is_watched_is_asked_for() -> None:
    async def test(clock: VirtualClock) -> None:
        network = Network(clock)
        async with network.poller(kinds=frozenset({Kind.SESSION})) as poller:
            await anext(poller)
        assert [what for what, _ in network.manager.asked] == ["sessions"]

    run(test)


def test_what_opens_changes_and_closes() -> None:
    async def test(clock: VirtualClock) -> None:
        network = Network(clock)
        manager = network.manager
        manager.entries = [SessionInfo(r"\\pc7", "bob", 1, 100, 10, 0, "", "")]
        manager.opened = [FileInfo(5, 1, 0, r"C:\a.txt", "bob")]
        manager.shared = [ShareInfo("data", 0)]
        async with network.poller() as poller:
            update = await anext(poller)
            assert update.first
            assert not update.changes
            assert [row.client_name for row in update.picture.sessions.values()] == [r"\\pc7"]
            assert [row.path for row in update.picture.files.values()] == [r"C:\a.txt"]
            assert [row.name for row in update.picture.shares.values()] == ["data"]
            assert (update.picture.server, update.picture.level, update.picture.error) == ("FILER01", 502, None)
            assert update.picture.asked_at == clock.wall()

            manager.entries = [SessionInfo(r"\\pc7", "bob", 1, 102, 12, 0, "", "")]
            assert not (await anext(poller)).changes  # idle

            manager.entries = [
                SessionInfo(r"\\pc7", "bob", 2, 104, 0, 0, "", ""),
                SessionInfo(r"\\pc8", "eve", 0, 1, 1, 0, "", ""),
            ]
            manager.opened = [FileInfo(6, 3, 1, r"C:\b.txt", "bob")]
            update = await anext(poller)
            assert brief(update.changes) == ["closed file", "changed session", "opened session", "opened file"]
            closed, changed, opened, _ = update.changes
            assert (closed.why, closed.how, closed.at, closed.after) == (
                "vanished",
                How.SEEN,
                clock.wall(),
                clock.wall() - 2,
            )
            assert set(changed.fields) == {"num_opens", "used_at"}
            assert (opened.at, opened.how) == (clock.wall() - 1, How.SEEN)
            assert not update.first

    run(test)


def test_a_server_that_is_away_keeps_its_rows_and_is_tried_again_with_pauses() -> None:
    async def test(clock: VirtualClock) -> None:
        network = Network(clock)
        network.manager.entries = [SessionInfo(r"\\pc7", "bob", 1, 100, 10)]
        async with network.poller(every=2.0) as poller:
            await anext(poller)
            network.manager.fails = ConnectionLost("it has gone", server="fs1")
            network.down = ConnectionLost("nothing listens", server="fs1")
            for _ in range(9):
                update = await anext(poller)
                assert update.picture.error is not None
                assert len(update.picture.sessions) == 1
                assert not update.changes
            pauses = [later - sooner for sooner, later in zip(network.opened[1:], network.opened[2:], strict=False)]
            assert pauses == [2, 4, 8, 16, 32, 60, 60]
            assert update.picture.age(clock.wall()) == clock.now - 1000
            away = clock.wall()

            network.manager.fails = network.down = None
            network.manager.entries.append(SessionInfo(r"\\pc8", "eve", 0, 5, 5))
            network.manager.entries[0].active_time = 100 + int(clock.now + 60) - 1000
            update = await anext(poller)
            assert update.picture.error is None
            assert brief(update.changes) == ["changed session", "opened session"]  # bob was active meanwhile
            assert update.gap is not None
            assert (update.gap.since, update.gap.until) == (clock.offset + 1000, away + 60)
            assert "gone" in update.gap.why
            assert (await anext(poller)).gap is None

    run(test)


def test_a_server_that_was_never_there_is_an_update_too() -> None:
    async def test(clock: VirtualClock) -> None:
        network = Network(clock)
        network.down = ConnectionLost("nothing listens")
        async with network.poller() as poller:
            update = await anext(poller)
            assert update.picture.error is network.down
            assert (update.picture.asked_at, update.picture.age(clock.wall())) == (None, None)
            network.down = None
            update = await anext(poller)
            assert update.first
            assert update.gap is None

    run(test)


def test_a_server_that_hangs_is_not_asked_soon_again() -> None:
    async def test(clock: VirtualClock) -> None:
        network = Network(clock)
        network.manager.takes = 1e9
        async with network.poller() as poller:
            update = await anext(poller)
            assert isinstance(update.picture.error, TimedOut)
            assert clock.now == 1011
            assert not network.manager.busy
            await anext(poller)
        assert network.opened == [1000, 1071]

    run(test)


def test_a_refused_log_on_is_not_tried_again() -> None:
    async def test(clock: VirtualClock) -> None:
        network = Network(clock)
        network.down = AuthenticationError("wrong password")
        async with network.poller() as poller:
            with pytest.raises(AuthenticationError):
                await anext(poller)
            assert poller.picture.error is network.down
            assert [update async for update in poller] == []
        assert network.opened == [1000]

    run(test)


def test_what_is_refused_leaves_the_rest() -> None:
    async def test(clock: VirtualClock) -> None:
        network = Network(clock)
        manager = network.manager
        manager.entries = [SessionInfo(r"\\pc7", "bob", 1, 100, 10)]
        manager.refuses["files"] = AccessDenied(server="fs1")
        async with network.poller() as poller:
            update = await anext(poller)
            assert update.picture.error is None
            assert update.picture.refused == {Kind.FILE: manager.refuses["files"]}
            assert len(update.picture.sessions) == 1
            # From now on files are told: that they are there is no event.
            manager.refuses.clear()
            manager.opened = [FileInfo(5, 1, 0, r"C:\a.txt", "bob")]
            update = await anext(poller)
            assert update.first
            assert update.picture.refused == {}
            assert len(update.picture.files) == 1

    run(test)


def test_where_all_is_refused_it_does_not_answer() -> None:
    async def test(clock: VirtualClock) -> None:
        network = Network(clock)
        denied = AccessDenied(server="fs1")
        network.manager.fails = denied
        network.manager.refuses["shares"] = AccessDenied(server="fs1", subject="the list of shares")
        async with network.poller() as poller:
            update = await anext(poller)
            assert update.picture.error is denied
            assert update.picture.error.code == codes.ERROR_ACCESS_DENIED

    run(test)


def test_closing_ends_the_question_that_is_asked() -> None:
    async def test(clock: VirtualClock) -> None:
        network = Network(clock)
        network.manager.takes = 5.0
        async with network.poller() as poller:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(poller), 1.0)
        assert not network.manager.busy
        assert network.left == 1
        assert [update async for update in poller] == []
        await poller.close()

    run(test)


def test_closing_while_an_update_is_waited_for_ends_the_iteration() -> None:
    async def test(clock: VirtualClock) -> None:
        network = Network(clock)
        poller = network.poller(every=3600)
        await anext(poller)
        asyncio.get_running_loop().call_later(5, lambda: closing.append(asyncio.create_task(poller.close())))
        closing: list[asyncio.Task[None]] = []
        assert [update async for update in poller] == []
        await closing[0]

    run(test)


@pytest.mark.parametrize("options", [{"every": 0}, {"every": float("nan")}, {"timeout": -1}, {"kinds": ()}])
def test_nonsense_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"seconds|nothing is watched"):
        watch("fs1", **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="pipes"):
        watch("fs1", kinds=["pipes"])


async def test_no_port_is_named_where_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that is named means a server that is reached by it, and not this machine's Samba or Windows' own."""
    given: list[int | None] = []

    def opened(server: str | None, credentials: object, *, port: int | None, **options: object) -> object:
        given.append(port)
        raise ConnectionLost("nothing listens")

    monkeypatch.setattr("lanman.manage.watching.poller.open_manager", opened)
    for watching in (watch(), watch(port=445)):
        async with watching as poller:
            assert not (await anext(poller)).picture.sessions
    assert given == [None, 445]


async def test_a_scripted_windows() -> None:
    """What Windows lists, by an administrator and by somebody who is told level 10 and shares without folders."""
    for user, level, refused in (("admin", 502, set()), ("ann", 10, {Kind.FILE})):
        async with ScriptedWindows(windows_2019()) as server:
            credentials = Credentials(user, server.password)
            windows = server.script.windows
            async with watch("127.0.0.1", credentials, port=server.port, every=0.001) as poller:
                update = await anext(poller)
                picture = update.picture
                assert (update.first, picture.streamed, picture.level) == (True, False, level)
                assert set(picture.refused) == refused
                assert len(picture.sessions) == len(windows.sessions)
                assert len(picture.files) == (0 if refused else len(windows.files))
                assert {row.name for row in picture.shares.values()} == {share.netname for share in windows.shares}
                assert {row.client_how for row in picture.files.values()} <= {
                    How.INFERRED,
                    How.CANDIDATES,
                    How.UNKNOWN,
                }
                assert {(row.dialect, row.shares) for row in picture.sessions.values()} == {(None, None)}
                gone = windows.sessions.pop()
                while not (update := await anext(poller)).changes:
                    pass
                (change,) = update.changes
                assert (change.what.value, change.why, change.how) == ("closed", "vanished", How.SEEN)
                assert isinstance(change.row, SessionRow)
                assert (change.row.client_name, change.row.user_name) == (gone.client_name, gone.user_name)
