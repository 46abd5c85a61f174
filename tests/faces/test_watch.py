"""`lanman watch`: lines for people, JSON for programs, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lanman.errors import AccessDenied, AuthenticationError, ConnectionLost
from lanman.faces.cli.completion import candidates
from lanman.faces.cli.main import PROGRAM
from lanman.faces.cli.manual import manual
from lanman.faces.cli.watchfilter import RowFilter
from lanman.faces.cli.watchlines import change_words
from lanman.manage.manager import Sessions
from lanman.manage.watching.changes import Change, What
from lanman.manage.watching.keys import FileKey, How, SessionKey
from lanman.manage.watching.rows import FileRow, SessionRow
from lanman.records import FileInfo, SessionInfo
from support.fake_manager import Command, FakeManager

ANN = SessionInfo(r"\\pc7", "ann", 1, 100, 10)
BOB = SessionInfo(r"\\pc8", "bob", 1, 50, 5)


@pytest.fixture
def history(command: Command) -> Callable[..., None]:
    """Have the server list another thing at each look: the steps are called one after the other, and the last stays."""

    def play(*steps: Callable[[FakeManager], None]) -> None:
        left = list(steps)
        manager = command.manager
        real = manager.sessions

        async def sessions(**options: Any) -> Sessions:
            if left:
                left.pop(0)(manager)
            if manager.fails:
                raise manager.fails
            return await real(**options)

        manager.sessions = sessions  # type: ignore[method-assign]

    return play


def lists(*entries: SessionInfo) -> Callable[[FakeManager], None]:
    def step(manager: FakeManager) -> None:
        manager.entries, manager.fails = list(entries), None

    return step


def opens(*files: FileInfo) -> Callable[[FakeManager], None]:
    def step(manager: FakeManager) -> None:
        manager.opened = list(files)

    return step


def without_times(text: str) -> list[str]:
    return [re.sub(r"\d\d:\d\d:\d\d", "TIME", line) for line in text.splitlines()]


def test_a_line_for_each_event(command: Command, history: Callable[..., None]) -> None:
    history(lists(ANN), lists(ANN, BOB), lists(BOB))
    result = command("watch -S fs1 -N --every 0.001s --count 2")
    assert without_times(result.out) == [
        "TIME fs1: 1 session; level 502; asked every 0.001 s, what comes and goes in between is not seen",
        r"TIME session opened: bob from \\pc8",
        r"TIME session closed: ann from \\pc7: vanished",
    ]
    assert (result.status, result.err) == (0, "")


def test_open_files(command: Command, history: Callable[..., None]) -> None:
    history(
        lists(ANN), opens(FileInfo(5, 3, 0, r"C:\data\a.txt", "ann")), opens(FileInfo(5, 3, 2, r"C:\data\a.txt", "ann"))
    )
    result = command("watch -S fs1 -N --every 0.001 --count 2 --files")
    assert without_times(result.out) == [
        "TIME fs1: 1 session, 0 open files; level 502; asked every 0.001 s, what comes and goes in between is not seen",
        r"TIME file opened: C:\data\a.txt, ann from \\pc7, for writing",
        r"TIME file locks: C:\data\a.txt, ann from \\pc7, for writing: 2",
    ]


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        ("--user bob", [r"session opened: bob from \\pc8"]),
        ("--user BO*", [r"session opened: bob from \\pc8"]),
        ("--client pc8", [r"session opened: bob from \\pc8"]),
        ("--client //PC9", [r"session opened: eve from \\pc9"]),
        ("--path *.xlsx", [r"file opened: C:\b.xlsx, bob from \\pc8"]),
        ("--path c:/b* --user bob", [r"file opened: C:\b.xlsx, bob from \\pc8"]),
    ],
)
def test_filters(command: Command, history: Callable[..., None], words: str, seen: list[str]) -> None:
    eve = SessionInfo(r"\\pc9", "eve", 0, 1, 1)

    def open_files(manager: FakeManager) -> None:
        manager.opened = [FileInfo(1, 1, 0, r"C:\a.txt", "ann"), FileInfo(2, 1, 0, r"C:\b.xlsx", "bob")]

    history(lists(ANN), lists(ANN, BOB, eve), open_files)
    result = command(f"watch -S fs1 -N --every 0.001 --count 1 {words}")
    assert [re.sub(r"^\S+ ", "", line) for line in result.out.splitlines()[1:]] == seen


def test_programs_get_objects(command: Command, history: Callable[..., None]) -> None:
    history(lists(ANN), lists(ANN, BOB), lists(BOB))
    result = command("watch -S fs1 -N --every 0.001 --count 2 --json")
    hello, opened, closed = map(json.loads, result.out.splitlines())
    assert (hello["schema"], hello["event"], hello["server"], hello["seq"]) == (1, "hello", "fs1", 1)
    assert (hello["level"], hello["streamed"], hello["refused"], hello["error"]) == (502, False, {}, None)
    (row,) = hello["open"]
    assert (row["kind"], row["client_name"], row["user_name"], row["num_opens"]) == ("session", r"\\pc7", "ann", 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row["begun_at"])
    assert (row["dialect"], row["begun_how"]) == (None, "told")
    assert (opened["event"], opened["how"], opened["seq"]) == ("delta", "polled", 2)
    assert [each["user_name"] for each in opened["open"]] == ["bob"]
    assert (opened["change"], opened["close"]) == ([], [])
    (gone,) = closed["close"]
    assert (gone["key"], gone["why"], gone["how"], gone["client_name"]) == (row["key"], "vanished", "seen", r"\\pc7")
    assert gone["after_at"] <= gone["at"]


def test_a_server_that_goes_away_and_comes_back(command: Command, history: Callable[..., None]) -> None:
    def fail(manager: FakeManager) -> None:
        manager.fails = ConnectionLost("it has gone", server="fs1")

    for form in ("--plain", "--json"):
        history(lists(ANN), fail, lists(ANN, BOB))
        result = command(f"watch -S fs1 -N --every 0.001 --count 1 {form}")
        assert result.status == 4
        if form == "--plain":
            assert without_times(result.out)[1:] == [
                r"TIME fs1 does not answer; it last did at TIME: \\fs1: it has gone",
                r"TIME session opened: bob from \\pc8",
                r"TIME fs1 answers again: what came and went between TIME and TIME is missing (\\fs1: it has gone)",
            ]
        else:
            events = [json.loads(line) for line in result.out.splitlines()]
            assert [each["event"] for each in events] == ["hello", "server", "server", "delta"]
            down, up = events[1:3]
            assert (down["up"], down["error"]["code"], up["up"]) == (False, 64, True)
            assert up["gap"]["why"] == r"\\fs1: it has gone"


def test_several_servers(command: Command, history: Callable[..., None]) -> None:
    history(lists(ANN), lists(ANN), lists(ANN, BOB), lists(ANN, BOB))
    result = command("watch -S fs1,fs2:4450 -N --every 0.001 --count 2")
    assert sorted(without_times(result.out)[2:]) == [
        r"TIME fs1: session opened: bob from \\pc8",
        r"TIME fs2:4450: session opened: bob from \\pc8",
    ]
    named = {(options.get("port"), *arguments[:1]) for *arguments, options in command.manager.opened_with}
    assert named == {(None, "fs1"), (4450, "fs2")}


def test_the_only_server_has_to_answer(command: Command) -> None:
    command.manager.fails = AccessDenied(server="fs1", subject="the list of sessions")
    assert command("watch -S fs1 -N").status == 5
    command.manager.fails = ConnectionLost("nothing listens", server="fs1")
    result = command("watch -S fs1 -N --json")
    assert (result.status, result.out) == (2, "")
    assert "nothing listens" in result.err


def test_one_of_several_that_refuses_the_log_on_is_left_alone(command: Command) -> None:
    command.manager.fails = AuthenticationError("wrong password")
    result = command("watch -S fs1 -S fs2 -N")
    assert (result.status, result.out) == (4, "")
    assert result.err.count("is not watched any more: wrong password") == 2
    assert len(command.manager.opened_with) == 2


@pytest.mark.parametrize(
    "words",
    [
        "--every 0",
        "--every soon",
        "--for 0s",
        "--count 0",
        "--deadline -1",
        "--user=",
        "--client=",
        "--path=",
        "--csv",
        "--plain --json",
        "-S fs1:99999",
        "-S fs1,",
        "-S fs1 -S fs2:1 -p 2",
        "-S=",
    ],
)
def test_wrong_words(command: Command, words: str) -> None:
    result = command(["watch", "-S", "fs1", "-N", *words.split()])
    assert (result.status, result.out) == (1, "")
    assert "lanman watch" in result.err
    assert command.manager.opened_with == []


def test_what_a_peer_says_is_escaped(command: Command, history: Callable[..., None]) -> None:
    history(lists(), lists(SessionInfo("\\\\pc\x1b[2J7", "bo\u202eb", 0, 1, 1)))
    result = command("watch -S fs1 -N --every 0.001 --count 1")
    assert "\x1b" not in result.out
    assert "\u202e" not in result.out
    history(lists(), lists(SessionInfo("\\\\pc\x1b[2J7", "bo\u202eb", 0, 1, 1)))
    assert command("watch -S fs1 -N --every 0.001 --count 1 --json").out.isascii()


def test_help_and_completion(command: Command) -> None:
    page = command("help watch").out
    assert "lanman watch [-S HOST]..." in page
    assert "-S, --server HOST[:PORT]" in page
    assert "several" in page
    assert ".SS watch\n" in manual()
    assert ("--readonly", "the screen gives no orders") in candidates(["watch", "--re"], "--re", PROGRAM)


# --- words


def row(**fields: Any) -> FileRow:
    return FileRow(FileKey(5, "a", "bob"), 5, "a", "bob", **fields)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            Change(What.OPENED, row(candidates=(r"\\pc1", r"\\pc2"), client_how=How.CANDIDATES), 0, How.SEEN),
            r"file opened: a, bob from \\pc1 or \\pc2",
        ),
        (
            Change(What.CHANGED, row()._replace(path="b"), 0, How.TOLD, before=row(), fields=("path",)),
            "file renamed: b, bob: it was a",
        ),
        (Change(What.CHANGED, row(oplock="batch"), 0, How.TOLD, before=row(), fields=("oplock",)), None),
        (
            Change(What.OPENED, SessionRow(SessionKey("pc7", ""), "pc7", ""), 0, How.SEEN),
            "session opened: a null session from pc7",
        ),
        (
            Change(What.OPENED, SessionRow(SessionKey("pc7", None), "pc7", None), 0, How.SEEN),
            "session opened: from pc7",
        ),
    ],
)
def test_words(change: Change, words: str | None) -> None:
    assert change_words(change) == words


async def test_a_client_by_name_means_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    async def addresses_of(name: str) -> frozenset[str]:
        return frozenset({"10.0.0.7"}) if name == "pc7" else frozenset()

    monkeypatch.setattr("lanman.manage.clients.addresses_of", addresses_of)
    meant = RowFilter(client="pc7")
    rows = [SessionRow(SessionKey(name, "bob"), name, "bob") for name in (r"\\10.0.0.7", r"\\10.0.0.8", r"\\PC7")]
    await meant.learn(rows)
    assert [meant.means(each) for each in rows] == [True, False, True]


# --- as a process


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `lanman watch` for a Server that is started too, on any port."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LANMAN_")}
    environment |= {"LANMAN_HOME": str(tmp_path / "home"), "LC_ALL": "C"}
    command = [sys.executable, "-m", "lanman"]
    serving = subprocess.Popen(
        [*command, "serve", "--listen", "127.0.0.1", "--port", "0"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert serving.stdout is not None
    serving.stdout.readline()
    started: list[subprocess.Popen[str]] = []

    def start(*words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*command, "watch", *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in [*started, serving]:
        process.kill()
        process.communicate()


@pytest.mark.posix
def test_an_interrupt_ends_it(watching: Callable[..., subprocess.Popen[str]]) -> None:
    process = watching("--files")
    assert process.stdout is not None
    assert "it tells each event itself" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.strip()) == (130, "", "")


@pytest.mark.posix
def test_it_ends_when_its_reader_has_gone(watching: Callable[..., subprocess.Popen[str]]) -> None:
    """Though nothing happens that it could write."""
    process = watching("--plain")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 141
    assert process.stderr is not None
    assert process.stderr.read() == ""


def test_it_ends_by_itself(watching: Callable[..., subprocess.Popen[str]]) -> None:
    process = watching("--for", "0.001s", "--json")
    assert process.communicate(timeout=60)[1] == ""
    assert process.returncode in (0, 4)
