"""What people and programs get wrong at a prompt and around it: NET's message, the right status, nothing changed."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lanman.records import FileInfo, SessionInfo
from support.fake_manager import Command
from support.process_server import Stage

LANMAN = [sys.executable, "-m", "lanman"]
NO_ANSWER = "No valid response was provided.\n\nMore help is available by typing NET HELPMSG 3757.\n"
INVALID = "This is an invalid response.\n"


@pytest.fixture
def server(command: Command) -> Command:
    command.manager.entries = [SessionInfo(r"\\pc7", "ann", 1, 1, 1, 0), SessionInfo(r"\\pc8", "bob", 0, 1, 1, 0)]
    command.manager.opened = [FileInfo(7, 1, 0, "/srv/a", "ann"), FileInfo(8, 1, 0, "/srv/b", "ann")]
    return command


ASKING = ["session /delete", r"session \\pc7 /delete", "session --user ann /delete", "file --user ann /close"]


def unchanged(command: Command) -> bool:
    return len(command.manager.entries) == len(command.manager.opened) == 2


@pytest.mark.parametrize("words", ASKING)
@pytest.mark.parametrize(
    "answers", ["", "maybe\n", "yn\n", "yess\n", "0\n1\n2\n", "yes please\n", "\x00\n", "y" * 5000]
)
def test_no_answer_that_is_one(server: Command, words: str, answers: str) -> None:
    result = server(words, answers)
    assert result.status == 2
    assert result.err.startswith(NO_ANSWER)
    assert result.out.count(INVALID) >= (1 if answers else 0)
    assert unchanged(server)


@pytest.mark.parametrize("words", ASKING)
@pytest.mark.parametrize("answers", ["n\n", "N", "no\n", " No \n", "what?\nn\n"])
def test_no(server: Command, words: str, answers: str) -> None:
    result = server(words, answers)
    assert (result.status, result.err) == (2, "")
    assert unchanged(server)


def test_a_program_that_answers_for_ever(server: Command) -> None:
    result = server("session /delete", "maybe\n" * 100_000)
    assert result.status == 2
    assert result.out.count(INVALID) == 10
    assert unchanged(server)


@pytest.mark.parametrize(
    ("words", "message_id", "status"),
    [
        ("session /delet /frob", 3506, 1),
        ("session /delete /c", 3507, 1),
        ("session /delete --client", 3952, 1),
        ("session /delete /client", 3952, 1),
        ("session /delete:all /y", 3952, 1),
        ("session /delete /y /n", 3510, 1),
        (r"session \\pc7 \\pc8 /delete /y", 3503, 1),
        (r"session \\pc7\share /delete /y", 3870, 1),
        (r"session \\ /delete /y", 3870, 1),
        ("file 7x /close", 3960, 1),
        ("file /close", 3503, 1),
        ("file 7 8", 3503, 1),
        ("file 7 /close --user ann", 3510, 1),
        ("file 7 /close /frob", 3506, 1),
        ("file 9 /close", 2314, 2),
        (r"session \\pc9 /delete /y", 2312, 2),
        ("session --user carol /delete /y", 2312, 2),
        ("config server /autodisconnect:abc", 3952, 1),
        ("config server /autodisconnect:65536", 3952, 1),
        ("config server /autodisconnect:-2", 3952, 1),
        ("config server /autodisconnect:1 /hidden:perhaps", 3952, 1),
        ("config server /autodisconnect:1 /frob", 3506, 1),
        ("config server extra /autodisconnect:1", 3503, 1),
        ("config spooler /autodisconnect:1", 3953, 1),
    ],
)
def test_a_line_that_is_wrong_changes_nothing(server: Command, words: str, message_id: int, status: int) -> None:
    result = server(words, "y\n" * 5)
    assert (result.status, result.out) == (status, "")
    assert f"NET HELPMSG {message_id}.\n" in result.err
    assert unchanged(server)
    assert not [told for told in server.manager.told if told != "left"]


# --- as processes


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage() as stage:
        stage.start()
        stage.connect("bob", 21, "plan.txt")
        yield stage


def sessions(stage: Stage) -> int:
    return stage.run("lanman session --csv").out.count("\n") - 1


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("net session /delete <&-", 2),
        ("net session /delete < /dev/null", 2),
        (r"printf '\xff\xfe\n' | net session /delete", 2),
        ("yes maybe | net session /delete", 2),
        ("head -c 100000 /dev/zero | net session /delete", 2),
        ("net session /delete > /dev/full < <(echo y)", 2),
        ("net session /delete >&- < <(echo y)", 2),
        (r"net session \\10.20.0.21 /delete >&- < <(echo y)", 2),
    ],
)
def test_a_prompt_that_nobody_can_answer_or_see(stage: Stage, line: str, status: int) -> None:
    if "/dev/full" in line and not Path("/dev/full").exists():
        pytest.skip("only on Linux is there /dev/full")
    result = stage.run(line)
    assert result.status == status
    assert "Traceback" not in result.err
    assert sessions(stage) == 1


def test_a_pipe_that_closes(stage: Stage) -> None:
    for line in ("net session | true", "net file | head -c 1 > /dev/null", "net help session | head -n 1 > /dev/null"):
        result = stage.run(f"set -o pipefail; {line}")
        assert "Traceback" not in result.err
        assert "Exception ignored" not in result.err
    assert sessions(stage) == 1


def test_a_password_that_is_no_text(stage: Stage) -> None:
    result = stage.run(r"printf 'a\xff\n' | net user frank '*' /add")
    assert result.status == 2
    assert "NET HELPMSG 2203" in result.err
    assert "Traceback" not in result.err
    assert stage.run("net user frank").status == 2


@pytest.mark.posix
@pytest.mark.parametrize(
    "words", [["session", b"\\\\\xff"], ["session", "--user", b"\xff"], ["file", b"\xff"], [b"\xff"]]
)
def test_arguments_that_are_no_text(words: list[str | bytes], tmp_path: Path) -> None:
    # With a home that is named no Samba of this machine is asked.
    home = os.environ | {"LANMAN_HOME": str(tmp_path)}
    result = subprocess.run([*LANMAN, *words], capture_output=True, stdin=subprocess.DEVNULL, timeout=60, env=home)
    assert result.returncode in (1, 2)
    assert b"Traceback" not in result.stderr


class Closed(io.StringIO):
    """A pipe that nobody reads any more."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


@pytest.mark.parametrize("form", ["", "--json", "--csv"])
@pytest.mark.parametrize(
    "line",
    [
        "session",
        "session /list",
        "session pc7",
        "session /delete /y",
        "file",
        "file 7",
        "file 7 /close",
        "file --path * /close /y",
        "share",
        "config server",
        "config",
        "statistics server",
        "helpmsg 5",
        "help",
        "session /?",
    ],
)
def test_a_reader_that_has_gone_is_told_nothing(
    command: Command, monkeypatch: pytest.MonkeyPatch, line: str, form: str
) -> None:
    command.manager.entries = [SessionInfo(r"\\pc7", "ann", 1)]
    command.manager.opened = [FileInfo(7, 1, 0, r"C:\a", "ann")]
    monkeypatch.setattr("sys.stdout", Closed())
    result = command(f"{line} {form}")
    assert (result.status, result.err) == (141, "")
