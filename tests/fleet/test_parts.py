"""What a sweep is made of: targets, guard, line, lookups, and what a kill leaves in a folder."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from lanman.errors import ConnectionLost, LanmanError, Win32Error
from lanman.fleet.guard import CredentialStopped, Guard, GuardGate, Proof, State
from lanman.fleet.line import Line, subnet_of
from lanman.fleet.lookups import Lookups
from lanman.fleet.store import Store
from lanman.fleet.targets import Exclusion, Shard, Sources, hosts, parse_shard, targets_of
from lanman.fleet.values import FleetOutcome, Kind, Result, Target
from lanman.versions import NewerVersion

# --- targets


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        ("fs1", [Target("fs1")]),
        (r"\\fs1", [Target("fs1")]),
        ("fs1:4450", [Target("fs1", 4450)]),
        ("[::0001]:4450", [Target("::1", 4450)]),
        (".", [Target(".")]),
        ("10.0.0.0/30", [Target("10.0.0.1"), Target("10.0.0.2")]),
        ("10.0.0.7/32", [Target("10.0.0.7")]),
        ("fs1,fs2:4450", [Target("fs1", node="fs1"), Target("fs2", 4450, node="fs2:4450")]),
        ('{"server": "fs1", "port": 7, "credential": "lab", "tags": ["a"]}', [Target("fs1", 7, "lab", '["a"]')]),
    ],
)
def test_what_is_typed(text: str, targets: Sequence[Target]) -> None:
    assert list(targets_of(text)) == targets


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.0/33",
        "10.0.0.0/4",
        "fs1:x",
        "{",
        '{"port": 1}',
        '{"server": "a", "prot": 1}',
        '{"server": "a", "port": 0}',
    ],
)
def test_what_is_none_is_an_error_that_names_it(text: str) -> None:
    with pytest.raises(Win32Error, match="list line 7"):
        list(targets_of(text, where="list line 7"))


def test_a_network_is_walked_across_its_subnets() -> None:
    network = ipaddress.ip_network("10.0.0.0/20")
    found = [str(address) for address in hosts(network)]
    assert sorted(found) == sorted(str(address) for address in network.hosts())
    assert max(Counter(address.rpartition(".")[0] for address in found[:64]).values()) == 4


def test_shards_have_each_target_once() -> None:
    names = [f"fs{n}" for n in range(1000)]
    shards = [Shard(number, 8) for number in range(1, 9)]
    assert [sum(shard.has(name) for shard in shards) for name in names] == [1] * 1000
    assert parse_shard("2/8").has("FS7") == shards[1].has("fs7")
    for text in ("0/8", "9/8", "a/b", "3"):
        with pytest.raises(Win32Error):
            parse_shard(text)


def test_exclusion() -> None:
    excluded = Exclusion(["dc*", "10.1.0.0/16", "10.2.0.7", "FS9", "::1"])
    for server in ("DC1", "10.1.2.3", "10.2.0.7", "fs9", "::1"):
        assert excluded.means(server), server
    for server in ("fs1", "10.2.0.8", "10.0.255.255", "::2"):
        assert not excluded.means(server), server
    assert excluded.means("fs1", ["10.1.9.9"])


def test_targets_are_counted_where_that_can_be_known(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("# none\nfs1\n\n10.0.0.0/24\n")
    assert Sources((f"@{tmp_path / 't'}", "10.1.0.0/16", "fs2")).checked() == 1 + 254 + 65534 + 1
    assert Sources(("fs1",), shard="1/2").checked() is None
    with pytest.raises(LanmanError, match="cannot be read"):
        Sources((f"@{tmp_path / 'none'}",)).checked()


# --- guard


def test_no_more_than_the_limit_go_out_before_one_is_right() -> None:
    guard = Guard(3)
    assert [guard.borrow("a") for _ in range(4)] == [1, 1, 1, 0]
    guard.settle("a", Proof.WRONG, counted=True)
    assert guard.borrow("a") == 0
    guard.settle("a", Proof.UNSENT, counted=True)
    assert guard.borrow("a") == 1
    guard.settle("a", Proof.RIGHT, counted=True)
    assert guard.state("a") is State.FREE
    guard.settle("a", Proof.WRONG, counted=False)
    assert guard.state("a") is State.BOUND
    guard.settle("a", Proof.WRONG, counted=True)
    assert guard.state("a") is State.STOPPED
    assert "3 times" in guard.why_stopped("a")
    assert guard.state("b") is State.BOUND


def test_a_locked_account_stops_at_once_and_unknown_counts_until_a_success() -> None:
    guard = Guard(3)
    guard.borrow("a")
    guard.settle("a", Proof.LOCKED, counted=True)
    assert guard.state("a") is State.STOPPED
    for proof in (Proof.UNKNOWN, Proof.UNKNOWN, Proof.RIGHT, Proof.UNKNOWN, Proof.UNKNOWN, Proof.UNKNOWN):
        guard.borrow("b")
        guard.settle("b", proof, counted=True)
    assert guard.state("b") is State.FREE


@pytest.mark.parametrize(
    ("wrong", "unknown", "more"), [(0, 0, 3), (1, 0, 2), (0, 2, 1), (1, 1, 1), (1, 2, 0), (0, 3, 0)]
)
def test_what_an_earlier_run_sent_counts_whether_or_not_it_was_answered(wrong: int, unknown: int, more: int) -> None:
    guard = Guard(3)
    guard.carry("a", wrong, unknown)
    assert guard.borrow("a", 9) == more
    assert (guard.state("a") is State.STOPPED) == (not more)


async def test_who_waits_at_the_gate_is_let_in_or_told_why_not() -> None:
    gate = GuardGate(Guard(1))
    assert await gate.admit("a")
    waiting = [asyncio.create_task(gate.admit("a")) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    gate.settle("a", Proof.UNSENT, counted=True)
    assert await waiting[1]
    gate.settle("a", Proof.WRONG, counted=True)
    with pytest.raises(CredentialStopped):
        await waiting[2]


# --- line


def test_line_bounds_all_a_subnet_and_a_second() -> None:
    line: Line[int] = Line(5, per_subnet=2)
    for number in range(6):
        line.offer(number, "a")
        line.offer(10 + number, "b")
    assert line.ready(0) == [0, 10, 1, 11]
    line.done("a")
    assert line.ready(0) == [2]
    line.offer(99, None)
    assert line.ready(0) == [99]
    slow: Line[int] = Line(100, rate=10)
    for number in range(10):
        slow.offer(number, None)
    assert len(slow.ready(100.0)) == 2
    assert slow.next_at() == pytest.approx(100.1)
    assert slow.ready(100.05) == []
    assert len(slow.ready(100.1)) == 1
    assert len(slow.clear()) == 7
    assert [subnet_of(text) for text in ("10.1.2.3", "fs1", "::1", "fe80::1:2")] == [
        "10.1.2",
        None,
        "0",
        "fe80" + "0" * 12,
    ]


# --- lookups


async def test_a_name_is_looked_up_once_and_one_that_hangs_holds_nobody() -> None:
    let_go = threading.Event()
    asked: list[str] = []

    def resolve(name: str) -> tuple[str, ...]:
        asked.append(name)
        if name == "hangs":
            let_go.wait()
        if name == "none":
            raise OSError("unknown")
        return ("10.0.0.1",)

    lookups = Lookups(threads=2, resolve=resolve)
    hanging = asyncio.create_task(lookups.addresses("hangs", 0.05))
    found = await asyncio.gather(*(lookups.addresses(name, 5) for name in ("fs1", "FS1", "fs2", "fs1")))
    assert found == [("10.0.0.1",)] * 4
    assert sorted(asked) == ["fs1", "fs2", "hangs"]
    with pytest.raises(ConnectionLost, match="no host of that name"):
        await lookups.addresses("none", 5)
    with pytest.raises(ConnectionLost, match=r"not resolved within 0\.05 seconds"):
        await hanging
    let_go.set()
    lookups.close()


# --- the folder


def outcome(number: int, result: Result = Result.OK) -> FleetOutcome:
    said = f'{{"server": "fs{number}"\n'.encode() * 2 if result is Result.OK else b""
    return FleetOutcome(Target(f"fs{number}"), result, count=len(said) and 2, said=said, source=b"}\n")


def test_what_was_written_and_never_marked_is_cut(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    store = Store.created(folder, kind=Kind.SESSIONS, format="jsonl", meta={})
    assert store.claim([Target("fs1"), Target("FS1"), Target("fs2"), Target("fs3")]) == [
        Target("fs1"),
        Target("fs2"),
        Target("fs3"),
    ]
    store.record([outcome(1), outcome(2, Result.DEAD)])
    store.close()
    for name in ("rows.jsonl", "outcomes.jsonl"):
        with (folder / name).open("a") as file:
            file.write('{"server": "fs3"}\n{"ser')
    store = Store.resumed(folder)
    assert (folder / "rows.jsonl").read_bytes() == outcome(1).lines
    assert len((folder / "outcomes.jsonl").read_text().splitlines()) == 2
    assert store.claim([Target("fs1"), Target("fs2"), Target("fs3")]) == [Target("fs3")]
    assert store.forget([Result.DEAD]) == 1
    assert [json.loads(line)["server"] for line in (folder / "outcomes.jsonl").read_text().splitlines()] == ["fs1"]
    store.close()
    (folder / "rows.jsonl").write_bytes(b"")
    with pytest.raises(LanmanError, match="shorter than it was"):
        Store.resumed(folder)


def test_a_newer_state_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    Store.created(folder, kind=Kind.SESSIONS, format="jsonl", meta={}).close()
    database = sqlite3.connect(folder / "state.sqlite")
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(NewerVersion, match="version 99"):
        Store.resumed(folder)
    (folder / "state.sqlite").write_bytes(b"nonsense" * 1000)
    with pytest.raises(LanmanError, match="is not the state of a sweep"):
        Store.resumed(folder)


_KILLED = """
import os, signal, sys
from pathlib import Path
from lanman.errors import LanmanError
from lanman.fleet import parts, store
from lanman.fleet.store import Store
from lanman.fleet.values import Kind

folder, format, again = Path(sys.argv[1]), *sys.argv[2:]
FILES = store.__file__, parts.__file__

def killed(step):
    # A process that begins a sweep in the folder, and is killed before the line of that number.
    if (child := os.fork()) == 0:
        left = step
        def trace(frame, event, _):
            nonlocal left
            if frame.f_code.co_filename not in FILES:
                return None
            left -= event == "line"
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            return trace
        sys.settrace(trace)
        Store.created(folder, kind=Kind.SESSIONS, format=format, meta={"texts": ["fs1"]})
        os._exit(0)
    return os.waitpid(child, 0)[1] != 0

step, seen = 1, set()
while killed(step):
    try:
        resumed = Store.resumed(folder)
    except LanmanError as error:
        seen.add(error.text.split(": ")[1])
        Store.created(folder, kind=Kind.FILES, format=again, meta={"texts": ["fs2"]}).close()
        resumed = Store.resumed(folder)
        assert (resumed.kind, resumed.meta("texts")) == (Kind.FILES, ["fs2"])
        names = {path.name for path in folder.iterdir() if path.name.startswith("rows.")} - {"rows.spool"}
        assert names == {f"rows.{again}"}, names
    else:
        seen.add("goes on")
        assert (resumed.kind, resumed.meta("texts")) == (Kind.SESSIONS, ["fs1"])
    resumed.discard()
    if folder.exists():
        folder.rmdir()
    step += 1
print(sorted(seen))
"""


@pytest.mark.posix
@pytest.mark.parametrize(("format", "again"), [("csv", "csv"), ("parquet", "jsonl")])
def test_wherever_the_beginning_is_killed_it_goes_on_or_can_be_begun_again(
    tmp_path: Path, format: str, again: str
) -> None:
    if format == "parquet":
        pytest.importorskip("pyarrow.parquet")
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, str(tmp_path / "s"), format, again], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(
        ["goes on", "the sweep in it was ended before it began", "there is no sweep in it"]
    )


def test_what_is_somebodys_is_never_taken_for_the_rest_of_a_sweep(tmp_path: Path) -> None:
    def refused(name: str, *, has_begun: bool = False) -> None:
        before = {path.name: path.is_file() and path.read_bytes() for path in tmp_path.iterdir()}
        begins: list[Callable[[Path], Store]] = [partial(Store.created, kind=Kind.FILES, format="csv", meta={})]
        for begin in begins if has_begun else [*begins, Store.resumed]:
            with pytest.raises(LanmanError, match=r"is not empty|there is no sweep|is not the state"):
                begin(tmp_path)
        assert {path.name: path.is_file() and path.read_bytes() for path in tmp_path.iterdir()} == before, name

    for name, holds in [
        ("notes.txt", b""),
        ("rows.csv", b'"server"\n"fs1"\n'),
        ("rows.csv", b"x"),
        ("rows.jsonl", b"{}\n"),
        ("outcomes.jsonl", b"{}\n"),
        ("targets.jsonl", b""),
        ("rows.parquet/part-000000.parquet", b""),
        ("rows.jsonl.bak", b""),
    ]:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(holds)
        refused(name)
        path.unlink()
        if path.parent != tmp_path:
            path.parent.rmdir()
    Store.created(tmp_path, kind=Kind.SESSIONS, format="jsonl", meta={}).close()
    refused("a sweep", has_begun=True)


@pytest.mark.posix
def test_what_others_have_put_into_a_folder_is_not_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is empty, and looks like what a sweep leaves that never began. They could read what is written into it, or
    have it written into another file."""

    def refused() -> None:
        with pytest.raises(LanmanError, match="is not empty"):
            Store.created(folder, kind=Kind.FILES, format="csv", meta={})
        assert not there.read_bytes()

    (folder := tmp_path / "s").mkdir()
    (there := tmp_path / "there").touch()
    for name in ("state.sqlite", "state.sqlite-wal", "outcomes.jsonl", "rows.jsonl"):
        for link in (os.symlink, os.link):
            link(there, folder / name)
            refused()
            (folder / name).unlink()
        (folder / name).touch()
        with monkeypatch.context() as patched:
            patched.setattr(os, "geteuid", lambda: 12345)
            refused()
        (folder / name).unlink()
    (folder / "state.sqlite").mkdir()  # a sweep of this name cannot be begun, and there is none to go on with
    refused()
    with pytest.raises(LanmanError, match="there is no sweep in it"):
        Store.resumed(folder)


@pytest.mark.posix
@pytest.mark.parametrize("format", ["jsonl", "csv", "parquet"])
def test_nobody_else_may_read_what_is_kept(tmp_path: Path, format: str) -> None:
    if format == "parquet":
        pytest.importorskip("pyarrow.parquet")
    before = os.umask(0)
    try:
        store = Store.created(tmp_path / "s", kind=Kind.SESSIONS, format=format, meta={})
        store.spool(["fs1"])
        store.close()
    finally:
        os.umask(before)
    assert {path.name for path in (tmp_path / "s").rglob("*") if path.stat().st_mode & 0o077} == set()


def test_a_sweep_that_begins_has_its_folder_to_itself(tmp_path: Path) -> None:
    """It has begun nothing yet, so that its folder looks like what another has left."""
    store = Store.created(tmp_path, kind=Kind.SESSIONS, format="jsonl", meta={})
    for begin in (Store.resumed, partial(Store.created, kind=Kind.FILES, format="csv", meta={})):
        with pytest.raises(LanmanError, match="another lanman works in it"):
            begin(tmp_path)
    assert sorted(path.name for path in tmp_path.glob("rows*")) == ["rows.jsonl"]
    store.close()
