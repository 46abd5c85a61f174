"""`lanman watch`: lines for people, JSON for programs, and how it ends."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
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
from lanman.net.client import SmbClient
from lanman.net.credentials import Credentials
from lanman.records import FileInfo, SessionInfo, ShareInfo
from support.fake_manager import Command, FakeManager
from support.passwords import PASSWORD
from support.waiting import free_port

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


PROJECTS = ShareInfo("projects", 0, "", max_uses=0xFFFFFFFF, current_uses=1, path=r"D:\projects")


def shares(*entries: ShareInfo) -> Callable[[FakeManager], None]:
    def step(manager: FakeManager) -> None:
        manager.shared = list(entries)

    return step


def test_shares(command: Command, history: Callable[..., None]) -> None:
    history(
        lists(ANN),
        shares(PROJECTS),
        shares(replace(PROJECTS, current_uses=2)),  # who uses it is no event of the share
        shares(replace(PROJECTS, remark="new\x1b[2J", max_uses=5)),
        shares(),
    )
    result = command("watch -S fs1 -N --every 0.001 --count 3 --shares --plain")
    assert without_times(result.out)[0].startswith("TIME fs1: 1 session, 0 shares; level 502;")
    assert without_times(result.out)[1:] == [
        r"TIME share added: projects, D:\projects",
        r"TIME share changed: projects: its remark is 'new\x1b[2J'; at most 5 users",
        r"TIME share removed: projects, D:\projects: vanished",
    ]
    history(lists(ANN), shares(PROJECTS))
    hello, delta = map(json.loads, command("watch -S fs1 -N --every 0.001 --count 1 --shares --json").out.splitlines())
    assert hello["kinds"] == ["session", "share"]
    assert [(each["kind"], each["name"], each["path"]) for each in delta["open"]] == [
        ("share", "projects", r"D:\projects")
    ]


@pytest.mark.parametrize("told", [True, False])
def test_a_path_of_a_share(command: Command, history: Callable[..., None], told: bool) -> None:
    command.manager.server = "fs1"
    command.manager.shared = [PROJECTS if told else replace(PROJECTS, path=None)]

    def open_files(manager: FakeManager) -> None:
        manager.opened = [
            FileInfo(1, 1, 0, r"D:\other\a.xlsx", "ann"),
            FileInfo(2, 1, 0, r"D:\projects\a.xlsx", "ann"),
            FileInfo(3, 1, 0, r"D:\projects\a.txt", "ann"),
        ]

    history(lists(ANN), open_files)
    # The path names the server: no -S is needed.
    words = ["--path", r"\\fs1\projects\*.xlsx", "--count", "1" if told else "2"]
    result = command(["watch", "-N", "--plain", "--every", "0.001", *words])
    assert result.err == ""
    lines = [re.sub(r"^\S+ ", "", line) for line in result.out.splitlines()]
    opened = [r"file opened: D:\projects\a.xlsx, ann from \\pc7"]
    if told:
        assert lines[1:] == opened
    else:
        assert lines[1:] == [
            "fs1 does not tell where that share is: files are meant by the end of their paths",
            r"file opened: D:\other\a.xlsx, ann from \\pc7",
            *opened,
        ]
    assert [arguments[0] for *arguments, _ in command.manager.opened_with] == ["fs1"]


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        (r"\\fs1\none\a", 2, "share"),
        (r"\\fs2\projects\a", 2, r"is a path of \\fs2"),
        (r"\\fs1", 2, "names a server and a share"),
    ],
)
def test_a_path_of_no_share(command: Command, path: str, status: int, words: str) -> None:
    command.manager.server = "fs1"
    result = command(["watch", "-S", "fs1", "-N", "--plain", "--path", path])
    assert (result.status, result.out) == (status, "")
    assert words in result.err


def test_filters_are_passed_to_the_screen(
    command: Command, history: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []

    async def run_screen(sources: Any, *, every: float, readonly: bool) -> int:
        shown.append((every, readonly))
        for source in sources:
            async with source.watch() as poller:
                update = await anext(poller)
                rows = [*update.picture.sessions.values(), *update.picture.files.values()]
                await source.meant.learn(rows)
                shown.append((str(source.meant), [row.user_name for row in rows if source.meant.means(row)]))
        return 0

    monkeypatch.setattr("lanman.faces.tui.start.is_possible", lambda: True)
    monkeypatch.setattr("lanman.faces.tui.start.run_screen", run_screen)
    command.manager.entries = [ANN, BOB]
    result = command("watch -S fs1 -S fs2 -N --user bob --client pc8 --readonly --every 1s")
    assert (result.status, result.out) == (0, "")
    assert shown == [(1.0, True), *[("--client pc8 --user bob", ["bob"])] * 2]


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
        r"-S fs1,fs2 --path \\fs1\projects\a",
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


KEPT = row(owner="bob")._replace(user_name="")


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
            Change(What.CHANGED, KEPT, 0, How.SEEN, before=row(), fields=("user_name", "owner")),
            "file kept: a, bob, whose client is lost",
        ),
        (
            Change(What.CHANGED, row(), 0, How.SEEN, before=KEPT, fields=("user_name", "owner")),
            "file reclaimed: a, bob",
        ),
        (Change(What.CLOSED, KEPT, 0, How.SEEN, why="vanished"), "file closed: a, bob, whose client is lost: vanished"),
        (Change(What.OPENED, KEPT._replace(owner=None), 0, How.SEEN), "file opened: a, owner unknown"),
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


LANMAN = [sys.executable, "-m", "lanman"]


class Watching:
    """A Server that runs as a process of its own, on any port, and `lanman watch` beside it."""

    def __init__(self, home: Path) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LANMAN_")}
        self.environment = environment | {"LANMAN_HOME": str(home), "LC_ALL": "C"}
        self._started: list[subprocess.Popen[str]] = []
        self.port = free_port()
        self.serving = self.serve()

    def serve(self) -> subprocess.Popen[str]:
        """Start the Server, and wait until it serves."""
        self.serving = subprocess.Popen(
            [*LANMAN, "serve", "--listen", "127.0.0.1", "--port", str(self.port)],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._started.append(self.serving)
        assert self.serving.stdout is not None
        assert "started successfully" in self.serving.stdout.readline()
        return self.serving

    def add_user(self, name: str) -> None:
        """Make an account of the Server's, with the tests' password."""
        words = [*LANMAN, "user", name, PASSWORD, "/add"]
        subprocess.run(words, env=self.environment, check=True, capture_output=True)

    def __call__(self, *words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*LANMAN, "watch", *words],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        return process

    def close(self) -> None:
        for process in self._started:
            process.kill()
            process.communicate()


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[Watching]:
    """Starts `lanman watch` for a Server that is started too."""
    watching = Watching(tmp_path / "home")
    yield watching
    watching.close()


@pytest.mark.posix
def test_an_interrupt_ends_it(watching: Watching) -> None:
    process = watching("--files")
    assert process.stdout is not None
    assert "it tells each event itself" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.strip()) == (130, "", "")


@pytest.mark.posix
def test_it_ends_when_its_reader_has_gone(watching: Watching) -> None:
    """Though nothing happens that it could write."""
    process = watching("--plain")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 141
    assert process.stderr is not None
    assert process.stderr.read() == ""


def test_it_ends_by_itself(watching: Watching) -> None:
    process = watching("--for", "0.001s", "--json")
    assert process.communicate(timeout=60)[1] == ""
    assert process.returncode in (0, 4)


@pytest.mark.posix
async def test_a_server_that_is_killed_and_starts_anew(watching: Watching) -> None:
    """Who was there has gone with it, and nobody knows when; who comes later is told; nothing else is."""
    watching.add_user("bob")
    process = watching("--json", "--every", "1h")
    assert process.stdout is not None

    def event() -> dict[str, Any]:
        assert process.stdout is not None
        while True:
            found: dict[str, Any] = json.loads(process.stdout.readline())
            if found["event"] != "delta" or found["open"] or found["close"]:  # else: a session was used
                return found

    assert event()["open"] == []
    bob = Credentials("bob", PASSWORD)
    async with SmbClient("127.0.0.1", watching.port, bob):
        (opened,) = event()["open"]
        assert (opened["user_name"], opened["how"]) == ("bob", "told")
        watching.serving.kill()
        watching.serving.wait()
        down = event()
    assert (down["event"], down.get("up")) == ("server", False), down
    assert down["error"]["message"]
    watching.serve()
    up = event()
    assert (up["event"], up["up"], up["error"]) == ("server", True, None)
    assert up["gap"]["since_at"] <= up["gap"]["until_at"]
    gone = event()
    assert (gone["event"], gone["open"], gone["change"]) == ("delta", [], [])
    (closed,) = gone["close"]
    assert (closed["key"], closed["why"], closed["how"]) == (opened["key"], "server restarted", "seen")
    assert closed["after_at"] <= closed["at"]
    async with SmbClient("127.0.0.1", watching.port, bob):
        (again,) = event()["open"]
        assert (again["user_name"], again["how"]) == ("bob", "told")
        assert again["key"] != opened["key"]
        process.send_signal(signal.SIGINT)
        rest, err = process.communicate(timeout=60)
    assert (process.returncode, rest, err.strip()) == (130, "", "")


@pytest.mark.posix
def test_the_screen_on_a_terminal(watching: Watching) -> None:
    """It starts, shows its Server, and `q` leaves with 0 and the terminal as it was."""
    pytest.importorskip("textual")
    import fcntl
    import pty
    import struct
    import termios

    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    before = termios.tcgetattr(slave)
    process = subprocess.Popen(
        [*LANMAN, "watch", "--user", "bob"],
        env=watching.environment | {"TERM": "xterm"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    said = b""
    try:
        while b"told as it happens" not in said or b"only --user bob" not in said:
            assert select.select([master], [], [], 60)[0], said
            said += os.read(master, 65536)
        os.write(master, b"q")
        while process.poll() is None or select.select([master], [], [], 0)[0]:
            if select.select([master], [], [], 1)[0]:
                said += os.read(master, 65536)
        assert process.returncode == 0
        assert b"\x1b[?1049l" in said  # back from the alternate screen
        assert termios.tcgetattr(slave) == before
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)
