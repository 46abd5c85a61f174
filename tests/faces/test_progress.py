"""Long work: a bar on a terminal, nothing anywhere else, and an account of what was done when it is broken off."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from lanman.errors import ConnectionLost, LanmanError
from lanman.faces.cli import progress
from lanman.faces.cli.progress import Progress, shown_waiting, turning_when_slow
from lanman.manage.orders.plan import Done, Outcome, Plan, What
from lanman.records import FileInfo, SessionInfo
from support.fake_manager import Command, FakeManager


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def put_up(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """A terminal for standard error. Not a fixture: pytest puts its own stream back between setting up and the test."""
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return screen


def test_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = put_up(monkeypatch)
    with Progress("Ending sessions", 300, patience=0) as bar:
        for _ in range(300):
            bar.advance()
    assert "Ending sessions" in screen.getvalue()
    assert "300/300" in screen.getvalue()


def test_what_is_over_in_a_moment_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = put_up(monkeypatch)
    with Progress("Ending sessions", 300, patience=60) as bar:
        bar.advance()
    with turning_when_slow("Waiting", patience=60) as look:
        look()
    assert screen.getvalue() == ""


def test_a_turning_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = put_up(monkeypatch)
    with turning_when_slow("Waiting for the Server service", patience=0) as look:
        look()
        look()
    assert "Waiting for the Server service" in screen.getvalue()


def test_no_colour_when_none_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = put_up(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")
    with Progress("Ending sessions", 2, patience=0) as bar:
        bar.advance()
    assert "\x1b[3" not in screen.getvalue()


@pytest.mark.parametrize("stream", [io.StringIO(), None])
def test_nothing_off_a_terminal(stream: io.StringIO | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", stream)
    with Progress("Ending sessions", 2, patience=0) as bar:
        bar.advance()
    assert stream is None or stream.getvalue() == ""


def test_nothing_on_a_terminal_that_moves_no_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = put_up(monkeypatch)
    monkeypatch.setenv("TERM", "dumb")
    with Progress("Ending sessions", 2, patience=0) as bar:
        bar.advance()
    assert screen.getvalue() == ""


async def test_a_server_that_takes_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = put_up(monkeypatch)
    monkeypatch.setattr(progress, "PATIENCE", 0)

    @asynccontextmanager
    async def opening() -> AsyncIterator[str]:
        for _ in range(1000):
            await asyncio.sleep(0)
        yield "opened"

    async with shown_waiting("Waiting for \x1b]fs1", opening()) as opened:
        assert opened == "opened"
    assert "Waiting for \\x1b]fs1" in screen.getvalue()


async def test_a_server_that_cannot_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    put_up(monkeypatch)

    @asynccontextmanager
    async def opening() -> AsyncIterator[None]:
        raise ConnectionLost("gone")
        yield

    with pytest.raises(ConnectionLost):
        async with shown_waiting("Waiting", opening()):
            pass


# --- broken off


def hundreds() -> list[SessionInfo]:
    return [SessionInfo(f"\\\\pc{number}", f"user{number}", 0, 1, 1, 0, "", "") for number in range(300)]


@pytest.fixture
def broken(command: Command, monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], Command]:
    """A server that ends two sessions and no more, for the reason given."""

    def broken_by(reason: BaseException) -> Command:
        async def end_sessions(
            self: FakeManager, plan: Plan, *, done: Done | None = None, **_: object
        ) -> list[Outcome]:
            assert done is not None
            for target in plan.targets[:2]:
                assert isinstance(target.record, SessionInfo)
                self.entries.remove(target.record)
                done(Outcome(target, What.DONE))
            raise reason

        monkeypatch.setattr(FakeManager, "end_sessions", end_sessions)
        command.manager.entries = hundreds()[:4]
        return command

    return broken_by


@pytest.mark.parametrize(("words", "answers"), [("session /delete /y", ""), ("session /delete", "y\n")])
@pytest.mark.parametrize(
    ("reason", "status"),
    [(ConnectionLost("pc1: gone"), 2), (asyncio.CancelledError(), 130)],
    ids=["lost", "interrupted"],
)
def test_ending_that_is_broken_off(
    broken: Callable[[BaseException], Command],
    reason: BaseException,
    status: int,
    words: str,
    answers: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if isinstance(reason, asyncio.CancelledError):
        interrupted_as_asyncio_does(monkeypatch)
    result = broken(reason)(words, answers)
    assert result.status == status
    assert "The command completed successfully." not in result.out
    assert "These sessions were ended:\n\n    \\\\pc0, user0\n    \\\\pc1, user1\n\n" in result.err
    assert "when the work was broken off:\n\n    \\\\pc2, user2\n    \\\\pc3, user3\n\n" in result.err


def interrupted_as_asyncio_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """After Ctrl-C the main task is cancelled, and asyncio.run() raises KeyboardInterrupt for it."""
    run = asyncio.run

    def interrupted(work: object) -> object:
        try:
            return run(work)  # type: ignore[arg-type]
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None

    monkeypatch.setattr(asyncio, "run", interrupted)


def test_data_says_what_became_of_each(broken: Callable[[BaseException], Command]) -> None:
    result = broken(ConnectionLost("gone"))("session /delete /y --json")
    assert [one["error"] for one in json.loads(result.out)["ended"]] == [None, None, 64, 64]
    assert result.status == 2


def test_files_that_are_broken_off(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    command.manager.opened = [FileInfo(number, 1, 0, f"/srv/{number}", "ann") for number in range(4)]
    close_file = FakeManager.close_file

    async def until_the_third(self: FakeManager, id: int) -> FileInfo:
        if id == 1:
            raise LanmanError("1: denied", code=5)
        if id == 2:
            raise asyncio.CancelledError
        return await close_file(self, id)

    monkeypatch.setattr(FakeManager, "close_file", until_the_third)
    interrupted_as_asyncio_does(monkeypatch)
    result = command("file --user ann /close /y")
    assert result.status == 130
    assert result.err.startswith(
        "These files were closed:\n\n    0, /srv/0\n\n"
        "These files could not be closed:\n\n    1, /srv/1\n\n"
        "These files were not known to have been closed when the work was broken off:\n\n"
        "    2, /srv/2\n    3, /srv/3\n\n"
    )


def test_a_number_that_means_another_file_by_now(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody has thought about the question for a while, and the server has given the number anew."""
    command.manager.opened = [FileInfo(7, 1, 0, "/srv/a", "ann")]
    files = FakeManager.files

    async def then_another(self: FakeManager, **filters: str | None) -> list[FileInfo]:
        listed = await files(self, **filters)
        self.opened = [FileInfo(7, 1, 0, "/srv/b", "bob")]
        return listed

    monkeypatch.setattr(FakeManager, "files", then_another)
    result = command("file --user ann /close", "y\n")
    assert result.status == 2
    assert "NET HELPMSG 2314" in result.err
    assert [entry.path for entry in command.manager.opened] == ["/srv/b"]
