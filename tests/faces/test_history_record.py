"""`lanman history record` and `forget` with a real database: whom they mean, what is waited for, what is asked."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lanman.errors import Win32Error
from lanman.faces.cli.historyrecord import servers_of
from lanman.faces.cli.invocation import Invocation
from lanman.manage.history import open_store
from lanman.manage.history.database import StoreError
from lanman.records import FileInfo, SessionInfo
from support.fake_manager import Command
from support.recorded import NOON, Clock, Stage, file, session

pytestmark = pytest.mark.posix

ANN = SessionInfo(r"\\pc7", "ann", 1, 100, 10)
PLAN = FileInfo(7, 1, 0, r"C:\plan.txt", "ann")


@pytest.fixture(autouse=True)
def home(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LANMAN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("LANMAN_DB", raising=False)
    (tmp_path / "home").mkdir(mode=0o700)
    folder = tmp_path / "config" / "lanman"
    folder.mkdir(parents=True, mode=0o700)
    (tmp_path / "config").chmod(0o700)
    (folder / "lanman.toml").write_text('[clusters.files]\nnodes = ["fs1", "fs2:4450"]\n')
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def no_log_is_left() -> Iterator[None]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    for handler in [each for each in root.handlers if each not in before]:
        root.removeHandler(handler)
    root.setLevel(level)


# --- record


@pytest.mark.parametrize(
    ("named", "port", "meant"),
    [
        (("fs1",), None, {"fs1": ("fs1", None)}),
        (("fs1", "FS1,fs2"), None, {"fs1": ("fs1", None), "fs2": ("fs2", None)}),
        (("fs1:4450",), None, {"fs1:4450": ("fs1", 4450)}),
        (("fs1",), 4450, {"fs1": ("fs1", 4450)}),
        (("cluster:files", "fs3"), None, {"fs1": ("fs1", None), "fs2:4450": ("fs2", 4450), "fs3": ("fs3", None)}),
        (("127.0.0.1*",), None, {"127.0.0.1": ("127.0.0.1", None)}),
    ],
)
def test_a_cluster_is_recorded_node_by_node(
    named: tuple[str, ...], port: int | None, meant: dict[str, tuple[str, int | None]]
) -> None:
    found = asyncio.run(servers_of(Invocation(given_port=port), named))
    assert {name: (each.server, each.port) for name, each in found.items()} == meant


def test_what_means_no_server() -> None:
    for named in (("cluster:none",), ("fs1,",), ("cluster:",)):
        with pytest.raises(Win32Error):
            asyncio.run(servers_of(Invocation(), named))


def test_what_is_seen_is_kept(command: Command, home: Path) -> None:
    command.manager.entries, command.manager.opened = [ANN], [PLAN]
    result = command("history record -S fs1 -N --every 0.05 --for 0.3")
    assert result.status == 0
    place = re.escape(str(home / "history.sqlite"))
    assert re.fullmatch(rf"Recording fs1 every 0\.05 s, kept 30 days, in {place}\n\n", result.out)
    answer = json.loads(command("history user ann --json").out)
    assert {(stay["server"], stay["kind"], stay["path"]) for stay in answer["stays"]} == {
        ("fs1", "session", None),
        ("fs1", "file", r"C:\plan.txt"),
    }


def test_without_paths_and_for_ever(command: Command, home: Path) -> None:
    command.manager.entries, command.manager.opened = [ANN], [PLAN]
    words = ["history", "record", "-S", "fs1", "-N", "--every", "0.05", "--for", "0.3", "--no-paths"]
    result = command([*words, "--keep", "forever", "--db", f"sqlite:///{home}/other"])
    assert result.out.startswith("Recording fs1 every 0.05 s, kept for ever, without paths, in ")
    assert b"plan.txt" not in (home / "other").read_bytes()
    (file,) = json.loads(
        command(["history", "user", "ann", "--kind", "file", "--db", str(home / "other"), "--json"]).out
    )["stays"]
    assert file["path"] is None


def test_a_database_that_goes_away_is_waited_for(
    command: Command, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[str] = []
    has_begun = False

    async def once(servers: Any, url: str, wish: Any, begun: asyncio.Event, looked: Any) -> None:
        tries.append(url)
        if has_begun:
            begun.set()
        if len(tries) == 1:
            raise StoreError("postgresql://h/x: gone\x1b", hint="Look whether PostgreSQL runs there.")
        await asyncio.Event().wait()

    monkeypatch.setattr("lanman.faces.cli.historyrecord._record_once", once)
    monkeypatch.setattr("lanman.faces.cli.historyrecord.AGAIN", 0.01)
    with caplog.at_level(logging.INFO):
        result = command("history record --db postgresql://h/x --for 0.5")
    assert (result.status, tries) == (0, ["postgresql://h/x"] * 2)
    assert r"postgresql://h/x: gone\x1b; trying again in 0.01 s" in caplog.text
    # What is wrong with a file from the beginning stays wrong. Later on it is a full disk, most likely.
    tries.clear()
    assert command("history record --db sqlite:///x --for 0.5").status == 2
    assert len(tries) == 1
    tries.clear()
    has_begun = True
    assert command("history record --db sqlite:///x --for 0.5").status == 0
    assert len(tries) == 2


# --- forget


@pytest.fixture
def kept(home: Path) -> Path:
    async def work() -> None:
        async with Stage(str(home / "history.sqlite"), Clock(), "fs1") as stage:
            await stage.start()
            fs1 = stage.pollers["fs1"]
            for row in (session(r"\\pc7", "bob", NOON - 600), session(r"\\pc8", "carol", NOON - 600)):
                fs1.picture.put(row)
            fs1.picture.put(file(1, r"D:\x", "bob", r"\\pc7"))
            fs1.look(first=True)
            await stage.play()

    asyncio.run(work())
    return home / "history.sqlite"


def users(place: Path) -> set[str | None]:
    async def work() -> set[str | None]:
        async with open_store(place) as store:
            return {stay.user_name for stay in (await store.between(0, NOON + 100)).stays}

    return asyncio.run(work())


def test_forget(command: Command, kept: Path) -> None:
    sentence = r"Of \\pc7, bob: 2 rows of sessions and files (one for each day) would be deleted."
    assert command("history forget --user bob /whatif").out == f"{sentence}\n\n"
    refused = command("history forget --user bob", answers="\n")
    assert refused.status == 2
    assert sentence in refused.out + refused.err
    assert users(kept) == {"bob", "carol"}
    done = command("history forget --user bob", answers="y\n")
    assert done.status == 0
    assert "were deleted." in done.out
    assert users(kept) == {"carol"}
    again = command("history forget --user bob /y")
    assert again.status == 2
    assert "nothing is kept of bob" in again.err
    answer = json.loads(command("history forget --client pc8 /y --json").out)
    assert (answer["deleted"], answer["rows"], answer["names"]) == (True, 1, [r"\\pc8", "carol"])


@pytest.mark.parametrize("words", ["forget", "forget /y", "forget --user bob -S fs1", "forget bob", "forget --path x"])
def test_forgetting_nobody(command: Command, kept: Path, words: str) -> None:
    assert command(f"history {words}").status == 1
    assert users(kept) == {"bob", "carol"}
