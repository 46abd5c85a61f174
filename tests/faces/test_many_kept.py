"""Files that are kept for lost clients, and very many of them: what is listed, planned, drained and explained. Nobody
who has no name is selected by it, and no session goes because of them."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from lanman.manage.own import DetailedFile
from lanman.records import FileInfo, SessionInfo, ShareInfo
from support.fake_manager import Command

MANY = pytest.mark.parametrize("many", [300, pytest.param(16_384, marks=pytest.mark.long)])
TOLD = pytest.mark.parametrize("told", [False, True])

WRITE = 3


@pytest.fixture
def kept(command: Command, many: int, told: bool) -> Command:
    """A server that keeps `many` files for bob, who is away, and says so if `told`. eve's session has no name."""
    command.manager.entries = [SessionInfo(r"\\pc7", "ann", 1, 100, 10), SessionInfo(r"\\pc8", "", 0, 100, 10)]
    command.manager.opened = [FileInfo(1, WRITE, 0, r"D:\data\open", "ann")]
    command.manager.shared = [ShareInfo("data", 0, "", path=r"D:\data")]
    for number in range(many):
        path = rf"D:\data\{number}"
        command.manager.opened.append(
            DetailedFile(2 + number, WRITE, 0, path, "", durable=True, owner="bob", expires_at=time.time() + 90)
            if told
            else FileInfo(2 + number, WRITE, 0, path, "")
        )
    return command


@MANY
@TOLD
def test_what_is_kept_is_listed_and_said_to_be(kept: Command, many: int, told: bool) -> None:
    listed = json.loads(kept("file --json").out)
    files = listed["files"] if isinstance(listed, dict) else listed
    assert len(files) == many + 1
    assert [each["user_name"] for each in files if each["user_name"]] == ["ann"]
    shown = kept("file 2").out
    assert ("Kept for         bob, whose connection was lost" in shown) is told
    assert ("Kept for         owner unknown" in shown) is not told


@MANY
@TOLD
def test_what_is_kept_is_nobodys_session(kept: Command, many: int, told: bool) -> None:
    """Drain and a dry run of it count sessions, and none has it open: not even the one that has no name either. What is
    kept counts later, and that is said."""
    whose = "bob" if told else "owner unknown"
    said = f"{many} files are open for clients that are away ({whose} {many}), and will count when no session is left"
    assert kept("drain --check").out.splitlines() == [
        "2 left: ann \\\\pc7 (1 file), nobody \\\\pc8 (nothing open)",
        said,
        "",
    ]
    answer = json.loads(kept("drain --check --json").out)
    assert (len(answer["left"]), answer["empty"], len(answer["kept"])) == (2, False, many)
    assert {each["owner"] for each in answer["kept"]} == ({"bob"} if told else {None})
    assert {each["cost"] for each in answer["kept"]} == {"unsaved"}
    assert len(json.loads(kept("drain --dry-run --json").out)["kept"]) == many
    lines = kept("drain --dry-run").out.splitlines()
    assert lines[2].endswith("UNSAVED WORK LIKELY (write access: D:\\data\\open)")
    assert lines[3].split() == [r"\\pc8", "0", "nothing", "(nothing", "is", "open)"]
    assert lines[4:] == [said, ""]
    kept.manager.entries = []
    assert kept("drain --check").out.startswith(f"{many + 1} left: ")
    assert kept("drain --check").status == 3
    kept.manager.opened = []
    assert kept("drain --check").out.startswith("Nobody is on ")


@MANY
@TOLD
def test_a_folder_is_drained_of_what_is_kept(kept: Command, many: int, told: bool) -> None:
    answer = json.loads(kept("drain --check --share data --json").out)
    assert len(answer["left"]) == many + 1
    assert {each["user_name"] for each in answer["left"]} == {"", "ann"}
    shown = kept("drain --dry-run --share data").out.splitlines()
    whose = ["bob", "(away)"] if told else ["owner", "unknown"]
    assert shown[3].split(maxsplit=4) == ["2", *whose, "unsaved", r"D:\data\0"]
    assert len(shown) < 60, "very many are counted, not listed"


@MANY
@TOLD
@pytest.mark.parametrize("words", ["file /close --user=", "file --user=", "session /delete --user=", "drain --user="])
def test_nothing_is_selected_by_an_empty_user(kept: Command, many: int, told: bool, words: str) -> None:
    before = len(kept.manager.entries), len(kept.manager.opened)
    result = kept([*words.split(), "/y"] if "/" in words else words.split())
    assert result.status == 1
    assert result.out == ""
    assert (len(kept.manager.entries), len(kept.manager.opened)) == before


@MANY
@TOLD
def test_they_are_explained_as_somebodys_who_is_away(kept: Command, many: int, told: bool) -> None:
    found = json.loads(kept(["explain", "--json", r"D:\data\*"]).out)
    holders = found["holders"]
    assert len(holders) == many + 1
    away = [each for each in holders if each["path"] != r"D:\data\open"] if "path" in holders[0] else holders[1:]
    assert {each["client_name"] for each in away} == {None}
    assert {each["owner"] for each in away} == ({"bob"} if told else {None})
    of_bob = kept(["explain", r"D:\data\*", "--user", "bob"]).out
    if told:
        assert of_bob.count("kept for bob") == many
    else:
        assert f"Not known: {many} more have no user, and may be kept for bob." in of_bob


class Clock:
    """Virtual time."""

    time = 1_700_049_600.0

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        type(self).time += seconds


@pytest.mark.parametrize("many", [300])
@TOLD
def test_draining_a_share_closes_what_is_kept_and_ends_nobody(
    kept: Command, many: int, told: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("lanman.manage.drain.shell.SystemClock", Clock)
    monkeypatch.setenv("LANMAN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    result = kept("drain --share data --grace 1m --end all --quiet-for 10s /y")
    assert (result.status, result.err) == (0, "")
    assert kept.manager.opened == []
    assert [entry.user_name for entry in kept.manager.entries] == ["ann", ""]
    assert f"{many + 1} left" in result.out
    assert (r"bob (away) D:\data\0" if told else r"owner unknown D:\data\0") in result.out


@pytest.mark.parametrize("many", [1])
@TOLD
def test_what_is_kept_counts_before_the_question(kept: Command, many: int, told: bool) -> None:
    """It is closed too once everybody has gone: a person is to know that before saying yes."""
    kept.manager.entries = [SessionInfo(r"\\pc7", "ann", 0, 100, 10)]
    kept.manager.opened = kept.manager.opened[1:]
    whose = "bob" if told else "owner unknown"
    result = kept("drain --end all", answers="y\n")
    assert f"1 file is open for clients that are away ({whose} 1), and will count when no session is left" in result.out
    assert result.status == 2, "the server's name is to be typed"
    assert kept.manager.opened
    assert kept.manager.entries
    assert kept("drain --check --share data").out.startswith("1 left: ")
