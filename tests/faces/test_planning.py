"""A plan is shown before anything is done: `--dry-run` in both dialects, and this command's own session."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from lanman.records import ConnectionInfo, FileInfo, SessionInfo, ShareInfo
from support.fake_manager import Command


@pytest.fixture(autouse=True)
def scene(command: Command) -> None:
    command.manager.entries = [
        SessionInfo(r"\\pc7", "bob", 1, 5000, 7200),
        SessionInfo(r"\\pc8", "eve", 2, 5000, 10),
        SessionInfo(r"\\pc9", "admin", 0, 5, 0),
    ]
    command.manager.opened = [
        FileInfo(7, 1, 0, r"C:\data\plan.txt", "bob"),
        FileInfo(8, 3, 2, r"C:\data\budget.xlsx", "eve"),
    ]
    command.manager.shared = [ShareInfo("data", 0, path=r"C:\data")]
    command.manager.own_user = "admin"


SESSIONS = r"""
Target                                   Cost     Why

-------------------------------------------------------------------------------
\\pc7, bob                               none     read access, idle for 120 minutes: C:\data\plan.txt
\\pc8, eve                               unsaved  write access, 2 locks: C:\data\budget.xlsx
\\pc9, admin                             none     nothing is open

Of these may be this command's own, which --include-mine ends too:

    \\pc9, admin

Nothing was done: this is the plan.

"""


@pytest.mark.parametrize(
    "words",
    ["session /delete --dry-run", "session /del /WHATIF", "SESSION /whatif /delete /y", "sess --delete --whatif"],
)
def test_the_end_of_sessions(command: Command, words: str) -> None:
    result = command(words)
    assert (result.status, result.out, result.err) == (0, SESSIONS, "")
    assert len(command.manager.entries) == 3


def test_who_would_go_along(command: Command) -> None:
    command.manager.whole_connections = True
    command.manager.entries[1] = replace(command.manager.entries[1], client_name=r"\\pc7")
    result = command("session --user bob /delete /y --dry-run")
    assert "The server may end these sessions with them:\n\n    \\\\pc7, eve (open files: 2)\n" in result.out
    plan = json.loads(command("session --user bob /delete --dry-run --json").out)["plan"]
    assert [(one["user_name"], one["cost"], one["num_bystanders"]) for one in plan["targets"]] == [("bob", "none", 1)]
    assert plan["bystanders"] == [{"client_name": r"\\pc7", "user_name": "eve", "num_opens": 2}]
    assert (plan["verb"], plan["level"], plan["missing"]) == ("end", 502, [])


def test_a_plan_with_nobody_in_it(command: Command) -> None:
    command.manager.entries = []
    assert command("session /delete --dry-run").out == "There are no entries in the list.\n\n"
    assert json.loads(command("session /delete --dry-run --json").out)["plan"]["targets"] == []
    assert command("session --user nobody /delete --dry-run").status == 2
    assert command("file --user nobody /close --dry-run").status == 2
    assert command("share nothing /delete --dry-run").status == 2


def test_the_closing_of_files(command: Command) -> None:
    result = command("file --user eve /close --dry-run")
    assert result.status == 0
    assert r"8 C:\data\budget.xlsx, eve               unsaved  write access, 2 locks" in result.out
    data = json.loads(command("file 7 99 /close --dry-run --json").out)["plan"]
    assert [(one["id"], one["cost"]) for one in data["targets"]] == [(7, "none")]
    assert [(one["id"], one["error"]) for one in data["missing"]] == [(99, 2314)]
    assert len(command.manager.opened) == 2
    lines = command("file 8 /close --dry-run --csv").out.splitlines()
    assert lines[0].startswith('"kind","key","client_name"')
    assert '"unsaved"' in lines[1]


def test_the_end_of_a_share(command: Command) -> None:
    result = command("share data /delete --dry-run")
    assert result.status == 0
    assert r"data (C:\data)                           unsaved  2 open there" in result.out
    assert command.manager.shared
    assert command("share data /delete /y").status == 0
    assert not command.manager.shared


@pytest.mark.parametrize(
    "words", ["session --dry-run", "session --include-mine", "file --dry-run", "share data /whatif"]
)
def test_a_plan_is_of_an_order(command: Command, words: str) -> None:
    assert command(words).status == 1


def test_this_commands_own_session(command: Command) -> None:
    result = command("session /delete /y")
    assert (result.status, result.out) == (0, "The command completed successfully.\n\n")
    assert r"Note: \\pc9, admin: left alone" in result.err
    assert [entry.user_name for entry in command.manager.entries] == ["admin"]
    # Where nothing else was meant, it was not done.
    result = command("session --user admin /delete /y --json")
    assert (result.status, json.loads(result.out)["ended"][0]["reason"]) == (2, "own")
    assert "--include-mine" in result.err
    assert command("session --user admin /delete /y --include-mine").status == 0
    assert command.manager.entries == []


# --- what changed while somebody was thinking


def thinking(monkeypatch: pytest.MonkeyPatch, change: Callable[[], None], answer: str) -> None:
    """A person at whose answer the server changes."""

    class Thinking(io.StringIO):
        def readline(self, size: int | None = -1) -> str:  # type: ignore[override]
            change()
            return f"{answer}\n"

    monkeypatch.setattr("io.StringIO", Thinking)


def test_a_session_that_began_anew_during_the_question_is_spared(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change() -> None:
        command.manager.entries[1] = SessionInfo(r"\\pc8", "eve", 2, 1, 0)

    thinking(monkeypatch, change, "y")
    result = command("session --user eve /delete", "y\n")
    assert result.status == 2
    assert "another one has begun" in result.err
    assert len(command.manager.entries) == 3


@pytest.mark.parametrize(
    "changed",
    [FileInfo(8, 3, 2, r"C:\data\other.xlsx", "eve"), FileInfo(8, 3, 2, r"C:\data\budget.xlsx", "bob")],
    ids=["path", "user"],
)
@pytest.mark.parametrize(
    ("words", "answer"),
    [("file --user eve /close", "y"), (r"explain C:\\data\\budget.xlsx --close", "FILER01")],
    ids=["file", "explain"],
)
def test_a_number_that_means_another_file_after_the_question_is_spared(
    command: Command, monkeypatch: pytest.MonkeyPatch, changed: FileInfo, words: str, answer: str
) -> None:
    def change() -> None:
        command.manager.opened[1] = changed

    thinking(monkeypatch, change, answer)
    result = command(words.replace("\\\\", "\\").split(), "y\n")
    assert result.status == 2
    assert changed in command.manager.opened


def test_a_share_that_is_another_folder_after_the_question_is_spared(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    command.manager.tree_connects = [ConnectionInfo(1, 0, 2, 1, 10, "bob", "data")]

    def change() -> None:
        command.manager.shared = [ShareInfo("data", 0, path=r"C:\other")]

    thinking(monkeypatch, change, "y")
    result = command("share data /delete", "y\n")
    assert result.status == 2
    assert "another folder" in result.err
    assert command.manager.shared
