"""`lanman explain` against a fake server: what it shows, what it does, and its exit statuses."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest

from lanman.errors import AccessDenied, Win32Error
from lanman.records import FileInfo, SessionInfo, ShareInfo
from support.fake_manager import Command

PATH = r"\\FILER01\projects\budget.xlsx"


@pytest.fixture(autouse=True)
def scene(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "filer01")
    command.manager.entries = [
        SessionInfo(r"\\pc7", "bob", 2, None, 2530),
        SessionInfo(r"\\pc4", "carol", 1, None, 3),
        SessionInfo(r"\\pc9", "carol", 0, None, 7200),
    ]
    command.manager.opened = [
        FileInfo(5812, 3, 2, r"D:\projects\budget.xlsx", "bob"),
        FileInfo(5990, 1, 0, r"D:\projects\budget.xlsx", "carol"),
        FileInfo(6000, 1, 0, r"D:\projects\plan.txt", "bob"),
    ]
    command.manager.shared = [ShareInfo("projects", 0, path=r"D:\projects")]


SHOWN = r"""\\FILER01\projects\budget.xlsx
  = D:\projects\budget.xlsx
  open twice, once for writing

  bob  WRITE  2 locks  id 5812
    from \\pc7 (the user's only session)
    idle 00:42:10
    open since: not known
    closing costs: UNSAVED WORK LIKELY (write access, 2 locks)
    the same user has 1 more open

  carol  READ  0 locks  id 5990
    from \\pc4 or \\pc9 (the user's sessions)
    idle 00:00:03
    open since: not known
    closing costs: the program sees an error, or opens it again (read access)

"""


@pytest.mark.parametrize("words", [["explain", PATH], ["EXPLAIN", PATH.replace("\\", "/")], ["expl", "-N", PATH]])
def test_who_has_it(command: Command, words: list[str]) -> None:
    result = command(words)
    assert (result.status, result.err) == (0, "")
    assert result.out.splitlines()[1:] == SHOWN.splitlines()[1:]


def test_the_path_names_the_server(command: Command) -> None:
    command(["explain", PATH, "-N"])
    command(["explain", "-S", "fs9", "-N", "*.txt"])
    command(["explain", r"\\localhost\projects\x"])
    command(["explain", r"\\localhost\projects\x", "-p", "4450", "-N"])
    assert [arguments[0] for arguments in command.manager.opened_with] == [None, "fs9", None, "localhost"]


def test_several_files(command: Command) -> None:
    result = command(["explain", "*projects*"])
    assert result.out.count("\n  open ") == 2
    assert "D:\\projects\\plan.txt\n  open once\n" in result.out


def test_for_programs(command: Command) -> None:
    data = json.loads(command(["explain", PATH, "--json"]).out)
    assert (data["schema"], data["path"], data["local_path"]) == (1, PATH, r"D:\projects\budget.xlsx")
    bob, carol = data["holders"]
    assert (bob["client_name"], bob["client_how"], bob["cost"], bob["locks"]) == (r"\\pc7", "inferred", "unsaved", 2)
    assert (carol["client_name"], carol["candidates"]) == (None, [r"\\pc4", r"\\pc9"])
    assert carol["opened_at"] is None
    rows = list(csv.DictReader(io.StringIO(command(["explain", PATH, "--csv"]).out)))
    assert [row["cost"] for row in rows] == ["unsaved", "reopen"]


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ([PATH, "-q"], 3),
        ([PATH, "/quiet", "--user", "bob"], 3),
        ([PATH, "-q", "--user", "eve"], 0),
        ([r"\\FILER01\projects\nothing", "-q"], 0),
        ([PATH, "-q", "--client", "pc9"], 4),
        ([PATH, "-q", "--client", "pc1"], 0),
        ([r"\\FILER01\nothing\x", "-q"], 2),
        ([PATH, "--wait", "0.001"], 3),
        ([r"\\FILER01\projects\nothing", "--wait", "1h30m"], 0),
    ],
)
def test_the_exit_status_answers(command: Command, words: list[str], status: int) -> None:
    result = command(["explain", *words])
    assert result.status == status
    assert result.out == "" or "--wait" in words


@pytest.mark.parametrize(("error", "loud"), [(AccessDenied("denied"), 5), (Win32Error(50), 2)])
def test_what_cannot_be_known(command: Command, error: Win32Error, loud: int) -> None:
    command.manager.fails = error
    assert command(["explain", PATH]).status == loud
    assert command(["explain", PATH, "-q"]).status == 4


def test_closing_is_asked_about(command: Command) -> None:
    for answer in ("\n", "n\n", "y\n", "elsewhere\n"):
        result = command(["explain", PATH, "--close"], answer)
        assert result.status == 2
        assert "type the server's name (FILER01)" in result.out
    assert len(command.manager.opened) == 3
    result = command(["explain", PATH, "--close"], "filer01\n")
    assert result.status == 0
    assert result.out.endswith("The command completed successfully.\n\n")
    assert [file.id for file in command.manager.opened] == [6000]


def test_what_costs_little_is_asked_about_by_yes_and_no(command: Command) -> None:
    result = command(["explain", PATH, "--close", "--if-cost", "reopen"], "y\n")
    assert "(Y/N) [N]: " in result.out
    # bob's write handle is left.
    assert result.status == 3
    assert "left alone" in result.err
    assert [file.id for file in command.manager.opened] == [5812, 6000]


def test_a_dry_run_does_nothing(command: Command) -> None:
    result = command(["explain", PATH, "--close", "/WHATIF"])
    assert (result.status, len(command.manager.opened)) == (0, 3)
    assert "Nothing was done: this is the plan." in result.out
    data = json.loads(command(["explain", PATH, "--end-session", "--dry-run", "--json"]).out)
    assert [target["user_name"] for target in data["plan"]["targets"]] == ["bob"]
    # carol's may be either of two: neither is ended.
    assert "1 of them, which are left alone" in data["missing"][-1]


def test_ending_the_session(command: Command) -> None:
    result = command(["explain", PATH, "--user", "bob", "--end-session", "/y", "--json"])
    assert [one["outcome"] for one in json.loads(result.out)["outcomes"]] == ["done"]
    assert [entry.user_name for entry in command.manager.entries] == ["carol", "carol"]


def test_nobody_to_close(command: Command) -> None:
    result = command(["explain", r"\\FILER01\projects\nothing", "--close", "/y"])
    assert result.status == 0
    assert r"Nobody has \\FILER01\projects\nothing open." in result.out


@pytest.mark.parametrize(
    "words",
    [
        [],
        [""],
        [PATH, "--close", "--end-session"],
        [PATH, "--if-cost", "reopen"],
        [PATH, "--close", "--if-cost", "much"],
        [PATH, "--dry-run"],
        [PATH, "--wait", "x"],
        [PATH, "--user", ""],
    ],
)
def test_wrong_words(command: Command, words: list[str]) -> None:
    assert command(["explain", *words]).status == 1
    assert command.manager.opened_with == []


def test_what_peers_say_is_escaped(command: Command) -> None:
    command.manager.opened = [FileInfo(1, 1, 0, "D:\\projects\\a\x1b[2J", "b\nob")]
    result = command(["explain", "*"])
    assert "\x1b" not in result.out
    assert "b\\nob" in result.out or "b\\x0aob" in result.out


def test_a_path_that_is_found_by_its_end_closes_nothing(command: Command) -> None:
    """D:\\other\\budget.xlsx is another file."""
    command.manager.shared = [ShareInfo("projects", 0)]
    command.manager.opened = [FileInfo(1, 3, 0, r"D:\other\budget.xlsx", "bob")]
    assert "found by the end of their paths" in command(["explain", PATH]).out
    for words in (["--close"], ["--end-session"], ["--close", "--dry-run"]):
        result = command(["explain", PATH, "/y", *words])
        assert result.status == 2
        assert "give the path as `lanman file` lists it" in result.err
    assert (len(command.manager.opened), len(command.manager.entries)) == (1, 3)


def test_who_is_left_alone_is_said(command: Command) -> None:
    """A session costs what all of its files do, and whose session it is may not be known."""
    command.manager.opened = [
        FileInfo(1, 1, 0, r"D:\projects\budget.xlsx", "bob"),
        FileInfo(2, 1, 0, r"D:\projects\budget.xlsx", "eve"),
        FileInfo(3, 3, 0, r"D:\projects\other.xlsx", "eve"),
    ]
    command.manager.entries = [SessionInfo(r"\\pc7", "bob", 1, None, 5), SessionInfo(r"\\pc8", "eve", 2, None, 5)]
    result = command(["explain", PATH, "--end-session", "--if-cost", "reopen", "/y"])
    assert (result.status, [entry.user_name for entry in command.manager.entries]) == (3, ["eve"])
    assert "1 left alone: it costs more than --if-cost allows" in result.err
    command.manager.opened[0] = replace(command.manager.opened[0], id=4, user_name="nobody-listed")
    result = command(["explain", PATH, "--end-session", "/y"])
    assert (result.status, command.manager.entries) == (3, [])
    assert "1 left alone: which session has it open is not known" in result.err


def test_a_client_that_cannot_be_told_is_not_nobody(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    command.manager.opened = [FileInfo(1, 1, 0, r"D:\projects\budget.xlsx", "somebody")]
    assert command(["explain", PATH, "-q", "--client", "pc7"]).status == 4
    command.manager.opened = [FileInfo(1, 1, 0, r"D:\projects\budget.xlsx", None)]
    assert command(["explain", PATH, "-q", "--user", "bob"]).status == 4
    # What a Samba never tells makes no answer doubtful that does not hang on it.
    monkeypatch.setattr(type(command.manager), "is_samba", True)
    command.manager.opened = [FileInfo(1, 1, 0, r"D:\projects\budget.xlsx", "bob")]
    assert command(["explain", PATH, "-q", "--client", "pc9"]).status == 0
    assert json.loads(command(["explain", PATH, "--client", "pc9", "--json"]).out)["num_unsure"] == 0


def test_others_who_go_along_are_agreed_to_by_the_servers_name(command: Command) -> None:
    """They may have unsaved work, whatever the one who is meant has."""
    command.manager.whole_connections = True
    command.manager.opened = [FileInfo(1, 1, 0, r"D:\projects\budget.xlsx", "bob")]
    command.manager.entries = [SessionInfo(r"\\pc7", "bob", 1, None, 5), SessionInfo(r"\\pc7", "eve", 2, None, 5)]
    result = command(["explain", PATH, "--end-session", "--with-others"], "y\n")
    assert (result.status, len(command.manager.entries)) == (2, 2)
    assert "type the server's name" in result.out
