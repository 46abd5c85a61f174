"""Orders are noted in history where there is one, and never depend on it."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
from pathlib import Path

import pytest

from lanman.errors import Win32Error
from lanman.manage.history import Deed, open_store
from lanman.records import FileInfo, SessionInfo
from support.fake_manager import Command

pytestmark = pytest.mark.posix

ANN = SessionInfo(r"\\pc7", "ann", 1, 100, 10)
BOB = SessionInfo(r"\\pc8", "bob", 1, 50, 5)
PLAN = FileInfo(7, 1, 0, r"C:\plan.txt", "bob")


@pytest.fixture
def home(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    command.manager.entries, command.manager.opened = [ANN, BOB], [PLAN]
    monkeypatch.setenv("LANMAN_HOME", str(tmp_path))
    monkeypatch.delenv("LANMAN_DB", raising=False)
    tmp_path.chmod(0o700)
    return tmp_path


def make(home: Path, name: str = "history.sqlite") -> None:
    async def work() -> None:
        async with open_store(home / name):
            pass

    asyncio.run(work())


def deeds(home: Path, name: str = "history.sqlite") -> list[Deed]:
    async def work() -> list[Deed]:
        async with open_store(home / name, make=False) as store:
            return await store.deeds(0, 10**11)

    return asyncio.run(work())


def noted(deed: Deed) -> tuple[str, str, str, str | None, str | None, str | None]:
    return deed.who, deed.verb, deed.outcome, deed.client_name, deed.user_name, deed.path


def test_nothing_is_made_where_nothing_is_kept(command: Command, home: Path) -> None:
    assert command("session //pc7 /delete /y").status == 0
    assert list(home.iterdir()) == []


def test_sessions(command: Command, home: Path) -> None:
    make(home)
    command.manager.refuses["bob"] = Win32Error(5)
    result = command("session --client pc* /delete /y -S fs1 -U EXAMPLE\\eve%x")
    assert result.status == 5
    found = deeds(home)
    assert [noted(deed) for deed in found] == [
        (r"EXAMPLE\eve", "end", "done", r"\\pc7", "ann", None),
        (r"EXAMPLE\eve", "end", "failed", r"\\pc8", "bob", None),
    ]
    assert {deed.server for deed in found} == {"fs1"}
    assert all((deed.target or "").startswith("session:") for deed in found)


@pytest.mark.parametrize("words", ["file 7 /close", "file --user bob /close /y", "file 7 7 /close /y"])
def test_files(command: Command, home: Path, words: str) -> None:
    make(home)
    command(words)
    first = deeds(home)[0]
    assert noted(first)[1:] == ("close", "done", None, "bob", r"C:\plan.txt")
    assert first.server == socket.gethostname()
    assert first.target == "file:7:C%3A%5Cplan.txt:bob:0"


def test_explain(command: Command, home: Path) -> None:
    make(home)
    assert command("explain *plan.txt --close /y").status == 0
    assert [noted(deed)[1:3] for deed in deeds(home)] == [("close", "done")]


def test_drain_into_another_database(command: Command, home: Path) -> None:
    make(home, "other")
    command.manager.opened = []
    words = ["drain", "--end", "all", "--quiet-for", "0.01s", "--db", str(home / "other"), "/y"]
    result = command(words)
    assert (result.status, result.err) == (0, "")
    assert {noted(deed)[1:5] for deed in deeds(home, "other")} == {
        ("drain", "done", r"\\pc7", "ann"),
        ("drain", "done", r"\\pc8", "bob"),
    }


def test_a_dry_run_and_an_answer_of_no_are_no_deeds(command: Command, home: Path) -> None:
    make(home)
    command("session //pc7 /delete /whatif")
    command("session //pc7 /delete /n")
    command("drain --dry-run")
    assert deeds(home) == []


def test_an_order_does_not_depend_on_it(command: Command, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "history.sqlite").write_bytes(b"this is no database, and was none" * 100)
    result = command("session //pc7 /delete /y")
    assert result.status == 0
    assert command.manager.entries == [BOB]
    assert result.err.startswith("Warning: who did this is not noted in history: ")
    monkeypatch.setenv("LANMAN_DB", "postgresql://ann:secret@127.0.0.1:1/history")
    result = command("session //pc8 /delete /y")
    assert (result.status, command.manager.entries) == (0, [])
    assert "not noted in history" in result.err
    assert "secret" not in result.err


def test_a_database_that_is_held_up_does_not_hold_up_the_order(
    command: Command, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(home)
    monkeypatch.setattr("lanman.manage.history.sqlite._BUSY", 0.1)
    with sqlite3.connect(home / "history.sqlite") as other:
        other.execute("BEGIN IMMEDIATE")
        result = command("session //pc7 /delete /y")
        other.rollback()
    assert result.status == 0
    assert "not noted in history" in result.err
