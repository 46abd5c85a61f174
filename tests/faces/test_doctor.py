"""What `lanman doctor` prints: columns, words, short, data; its statuses; and that no peer drives the terminal."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Iterator

import pytest

from lanman.faces.cli import doctor_lines, output
from lanman.faces.cli.completion import candidates
from lanman.faces.cli.main import PROGRAM
from lanman.faces.text import width
from lanman.manage.doctor import report
from lanman.manage.doctor.report import Diagnosis, Finding, Mark
from support.fake_manager import Command
from support.scripted_windows import ScriptedWindows, windows_2019


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedWindows]:
    script = windows_2019()
    script.joined = "EXAMPLE"
    script.time_of_day.elapsedt = int(time.time())
    script.encryption = "off"
    script.info.comment = "\x1b]0;owned\x07"
    with ScriptedWindows(script).running() as server:
        yield server


@pytest.fixture(autouse=True)
def symbols(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "can_write", lambda text, stream: True)


def options(server: ScriptedWindows, user: str) -> list[str]:
    return ["-S", f"{server.host}:{server.port}", "-U", f"{user}%{server.password}"]


def test_statuses(command: Command, server: ScriptedWindows) -> None:
    for words, status in (
        (["-U", "x"], 1),
        (options(server, "admin"), 0),
        ([*options(server, "admin"), "--strict"], 3),  # encryption is not offered
        (options(server, r"EXAMPLE\bob"), 3),
        ([*options(server, "bob"), "--deadline", "0"], 1),
        (["LD999"], 1),
        (["-S", "127.0.0.1:1", "-N"], 2),
        (["-S", "127.0.0.1:1", "-N", "--short"], 2),
        (["-S", "127.0.0.1", "-p", "0", "-N"], 1),
        (["--list-checks"], 0),
    ):
        if words == ["-U", "x"]:
            words = ["--short", "--plain", "-N", "-S", "fs1"]
        result = command(["doctor", *words])
        assert (result.status, "Traceback" in result.err) == (status, False), (words, result)
        assert (result.out == "") is (status == 1), words


def test_columns(command: Command, server: ScriptedWindows) -> None:
    result = command(["doctor", *options(server, r"EXAMPLE\bob")])
    lines = result.out.splitlines()
    assert max(map(width, lines)) <= 79
    (denied,) = (line for line in lines if line.startswith("levels"))
    mark = doctor_lines.SYMBOLS[Mark.PROBLEM]
    assert denied.startswith(f"levels        {mark} 502, 2, 1, 10, 0: access denied   ")
    assert denied.endswith("   LD034")
    (warned,) = (line for line in lines if line.endswith("LD021"))
    assert warned.lstrip().startswith("‼ encryption not offered")
    assert any(line.lstrip().startswith("needs: a member of Administrators") for line in lines)
    assert lines[-2] == "2 problems, 1 warning. More: `lanman help doctor LD034`."
    assert result.err == ""


@pytest.mark.parametrize("columns", [80, 200, 20])
def test_widths(columns: int, monkeypatch: pytest.MonkeyPatch, command: Command, server: ScriptedWindows) -> None:
    monkeypatch.setattr(output, "terminal_columns", lambda: columns)
    lines = command(["doctor", *options(server, "bob")]).out.splitlines()
    # What is meant to be pasted is not broken: a key of the registry is one word.
    assert all(width(line) < max(columns, 80) or "HKLM" in line for line in lines)
    assert (len(lines) < 20) is (columns == 200)


def test_ascii_where_the_terminal_lacks_the_marks(
    monkeypatch: pytest.MonkeyPatch, command: Command, server: ScriptedWindows
) -> None:
    monkeypatch.setattr(output, "can_write", lambda text, stream: False)
    result = command(["doctor", *options(server, "bob")])
    assert result.out.isascii()
    assert "x 502" in result.out
    assert "! encryption" in result.out
    assert "+ SMB 3.1.1" in result.out


@pytest.mark.parametrize(
    ("names", "encoding", "can"),
    [
        ({"LANG": "de_DE.UTF-8"}, "utf-8", True),
        ({"LANG": "C.UTF-8"}, "utf-8", True),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, "utf-8", False),  # PEP 538 has set the latter
        ({"LC_CTYPE": "C.UTF-8"}, "utf-8", False),
        ({"LANG": "C", "LC_CTYPE": "de_DE.UTF-8"}, "utf-8", True),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "C"}, "utf-8", False),
        ({"LANG": "C", "LC_ALL": "C.UTF-8"}, "utf-8", True),
        ({"LANG": "de_DE"}, "iso8859-1", False),
        ({"LANG": "de_DE.UTF-8"}, "nonsense", False),
    ],
)
def test_what_a_stream_can_take(
    names: dict[str, str], encoding: str, can: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the fixture above
    for name in ("LANG", "LC_ALL", "LC_CTYPE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in names.items():
        monkeypatch.setenv(name, value)

    class Stream(io.StringIO):
        pass

    Stream.encoding = encoding
    if sys.platform != "win32":
        assert output.can_write("".join(doctor_lines.SYMBOLS.values()), Stream()) is can
    assert output.can_write("√", None) is False


def test_words_for_screen_readers(command: Command, server: ScriptedWindows) -> None:
    lines = command(["doctor", "--plain", "levels", *options(server, "bob")]).out.splitlines()
    assert lines[0] == "levels, problem, LD034: 502, 2, 1, 10, 0: access denied"
    assert lines[1].startswith("levels, LD034, needs: a member of Administrators")
    assert lines[-1].startswith("1 problem.")
    assert all(line.isascii() for line in lines)


def test_data(command: Command, server: ScriptedWindows) -> None:
    result = command(["doctor", "--json", *options(server, r"EXAMPLE\bob")])
    answer = json.loads(result.out)
    assert result.status == 3
    assert (answer["schema"], answer["server"], answer["verdict"]) == (1, "127.0.0.1", "problems")
    assert (answer["problems"], answer["warnings"]) == (2, 1)
    assert answer["asked_at"].endswith("Z")  # as every verb writes it
    (denied,) = (each for each in answer["findings"] if each["id"] == "LD034")
    assert denied["cause"] == "since-1607"
    assert denied["evidence"]["build"] == 17763
    assert denied["evidence"]["levels"] == {"502": 5, "2": 5, "1": 5, "10": 5, "0": 5}
    assert set(denied) == set(report.FIELDS)
    header, *rows = command(["doctor", "--csv", *options(server, "bob")]).out.splitlines()
    assert header.startswith('"id","category","check","mark","says","cause"')
    assert any('"LD034","levels","sessions","problem"' in row for row in rows)
    listed = json.loads(command("doctor --list-checks --json files").out)["checks"]
    assert [each["id"] for each in listed] == ["LD050", "LD051"]
    assert '"LD050"' in command("doctor --list-checks --csv").out


def test_what_a_peer_says_is_escaped() -> None:
    nasty = "\x1b[31mowned\u202e"
    finding = Finding("LD071", "server", "kind", Mark.PROBLEM, nasty, "x", nasty, nasty, nasty, {"name": nasty})
    calm = Finding("LD071", "server", "kind", Mark.OK, nasty)
    diagnosis = Diagnosis(nasty, (finding, calm), 0.0, 0.0)
    for lines in (
        doctor_lines.report_lines(diagnosis, strict=False),
        doctor_lines.plain_lines(diagnosis, strict=False),
        doctor_lines.short_lines(diagnosis),
    ):
        text = "\n".join(lines)
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert r"\x1b" in text


def test_help_of_a_check(command: Command) -> None:
    page = command("help doctor ld034").out
    assert page.startswith("LD034: sessions (levels)\n")
    assert "since-1607\n" in page
    assert "{" not in page
    assert command("help doctor LD034 LD050").status == 1
    assert command("help doctor").status == 0
    assert command("help session LD034").status == 1


def test_completion() -> None:
    assert ("levels", "the management interface, and which information levels of sessions it grants") in list(
        candidates(["doctor"], "le", PROGRAM)
    )
    assert list(candidates(["doctor"], "ld034", PROGRAM)) == [("LD034", "levels: sessions")]
    assert list(candidates(["help", "doctor"], "ld034", PROGRAM)) == [("LD034", "levels: sessions")]
    assert ("--list-checks", "list the checks, and make none") in list(candidates(["doctor"], "--list", PROGRAM))
