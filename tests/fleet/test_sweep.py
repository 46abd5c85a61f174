"""A sweep from beginning to end, its servers scripted: each target exactly once, whatever is killed, and resumed."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import errno
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import lanman
from lanman import codes
from lanman.errors import AccessDenied, AuthenticationError, LanmanError, Win32Error
from lanman.fleet.guard import Guard, GuardGate
from lanman.fleet.processes import Processes
from lanman.fleet.scheduler import InProcess
from lanman.fleet.store import Store
from lanman.fleet.sweep import Sweep, sweep
from lanman.fleet.values import COLUMNS, FleetOutcome, Job, Kind, Result, Target
from lanman.net.approach import Approach
from lanman.net.credentials import Credentials
from support import fleet_script
from support.fleet_script import DEAD, DEADLY, DENIED, EXPECTED, OK, SESSIONS, SLOW, UNSIGNED, WHO, WORKER
from support.waiting import until

MANY = 1_000_000


def some(count: int, *ports: int) -> list[Target]:
    """So many targets, which behave by turns as the ports say."""
    return [Target(f"10.0.{n >> 8}.{n & 255}", ports[n % len(ports)]) for n in range(count)]


def scripted(targets: Any, **how: Any) -> Sweep:
    how = {"per_subnet": MANY, "deadline": 0.2, "connect": 0.1, "logon_failures": MANY, **how}
    how.setdefault("scheduler", InProcess(opener=fleet_script.scripted))
    return sweep("sessions", targets, WHO, **how)


async def outcomes_of(asked: Sweep) -> list[FleetOutcome]:
    async with asked as running:
        return [outcome async for outcome in running]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def check_folder(folder: Path, targets: list[Target]) -> None:
    """Every target has one outcome, the right one, and all of its rows or none."""
    outcomes = lines(folder / "outcomes.jsonl")
    assert Counter((each["server"], each["port"]) for each in outcomes) == Counter(
        (target.server, target.port) for target in targets
    )
    assert {each["outcome"] for each in outcomes if each["outcome"] != EXPECTED[each["port"]]} == set()
    expected = Counter(
        {target.server: SESSIONS for target in targets if EXPECTED[target.port] is Result.OK},
    )
    rows = lines(folder / "rows.jsonl")
    assert Counter(row["server"] for row in rows) == expected
    assert all(row["user_name"] == row["server"] for row in rows)


def found_of(found: list[FleetOutcome], port: int) -> FleetOutcome:
    return next(each for each in found if each.port == port)


async def test_each_target_has_one_outcome_and_it_is_the_right_one() -> None:
    ports = list(EXPECTED)
    targets = some(90, *ports)
    found = await outcomes_of(scripted([*targets, *targets[:40]]))
    assert Counter(each.target for each in found) == Counter(targets)
    assert all(each.result is EXPECTED[each.port] for each in found)
    assert all(len(each.rows) == (SESSIONS if each.result is Result.OK else 0) for each in found)
    assert {each.code for each in found if each.result is Result.DEAD} == {53}


async def test_a_row_says_where_it_comes_from() -> None:
    target = {"server": "fs9.invalid", "port": SLOW, "tags": ["a", 1]}
    asked = scripted([target])
    asked._lookups._resolve = lambda name: ("10.9.9.9",)
    (outcome,) = await outcomes_of(asked)
    row = outcome.rows[0]
    assert list(row) == list(COLUMNS[Kind.SESSIONS])
    assert row["tags"] == ["a", 1]
    assert (row["server"], row["port"], row["dialect"], row["mechanism"]) == ("fs9.invalid", SLOW, "3.1.1", "ntlm")
    assert (row["as"], row["level"], row["call"], row["samba"]) == ("ann", 502, "NetrSessionEnum", False)
    assert (row["lanman"], row["sweep"], row["attempt"]) == (lanman.__version__, asked.name, 1)
    assert row["took_ms"] >= 50


async def test_what_is_left_is_resumed_and_what_failed_is_retried(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    targets = some(300, OK, DENIED, DEAD)
    texts = tmp_path / "targets"
    texts.write_text("".join(f"{target.server}:{target.port}\n" for target in targets))
    asked = scripted([f"@{texts}"], out=folder, in_flight=20)
    async with asked as running:
        async for _ in running:
            break
    assert 0 < len(lines(folder / "outcomes.jsonl")) < 300
    await outcomes_of(scripted([], resume=folder))
    check_folder(folder, targets)
    again = await outcomes_of(scripted([], resume=folder, retry_failed=True))
    assert len(again) == 200
    check_folder(folder, targets)
    assert await outcomes_of(scripted([], resume=folder)) == []
    texts.write_text(texts.read_text() + "10.9.9.9:1\n")
    assert [each.server for each in await outcomes_of(scripted([], resume=folder))] == ["10.9.9.9"]


async def test_targets_that_come_once_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    targets = some(500, OK, SLOW)
    async with scripted(iter(targets), out=folder, in_flight=10) as running:
        async for _ in running:
            break
    with pytest.raises(LanmanError, match="not all targets of the stream") as caught:
        await outcomes_of(scripted([], resume=folder))
    assert caught.value.hint == "give the stream again, beside --resume"
    await outcomes_of(scripted(iter(targets), resume=folder))
    check_folder(folder, targets)


async def test_a_stream_of_which_nothing_had_been_read_is_asked_for_too(tmp_path: Path) -> None:
    """So it is where a sweep is killed right after it has begun. It is not at its end then, with no target asked."""
    folder = tmp_path / "s"

    def unread() -> Iterator[Target]:
        raise OSError("the command is killed here")
        yield Target("fs1")

    with pytest.raises(OSError, match="killed here"):
        await outcomes_of(scripted(unread(), out=folder))
    assert not (folder / "targets.jsonl").exists()
    with pytest.raises(LanmanError, match="not all targets of the stream"):
        await outcomes_of(scripted([], resume=folder))
    await outcomes_of(scripted(iter(some(3, OK)), resume=folder))
    check_folder(folder, some(3, OK))


async def test_a_line_that_is_none_ends_the_reading_and_nothing_else(tmp_path: Path) -> None:
    async def ask() -> None:
        async for outcome in running:
            found.append(outcome)

    found: list[FleetOutcome] = []
    async with scripted(iter(["10.0.0.1:1", "10.0.0.2:x", "10.0.0.3:1"])) as running:
        with pytest.raises(Win32Error, match=r"10\.0\.0\.2:x"):
            await ask()
    assert [each.server for each in found] == ["10.0.0.1"]


@pytest.mark.posix
async def test_three_wrong_passwords_and_no_more_over_all_processes() -> None:
    who = Credentials("ann", "wrong")
    asked = sweep(
        "sessions", some(200, OK), who, per_subnet=MANY, scheduler=Processes(2, command=WORKER), logon_failures=3
    )
    found = Counter(each.result for each in await outcomes_of(asked))
    assert found == {Result.LOGON: 3, Result.CANCELLED: 197}
    assert asked.guard.stopped() == {"-U": "3 times the user name or the password was wrong"}


async def test_a_wrong_password_is_counted_on_when_the_sweep_is_resumed(tmp_path: Path) -> None:
    async def ask(password: str, **how: Any) -> Counter[Result]:
        scheduler = InProcess(opener=fleet_script.scripted)
        asked = sweep("sessions", [], Credentials("ann", password), resume=folder, scheduler=scheduler, **how)
        return Counter(each.result for each in await outcomes_of(asked))

    folder = tmp_path / "s"
    (tmp_path / "t").write_text("".join(f"10.0.0.{n}:{OK}\n" for n in range(1, 21)))
    opener = InProcess(opener=fleet_script.scripted)
    who = Credentials("ann", "wrong")
    await outcomes_of(sweep("sessions", [f"@{tmp_path / 't'}"], who, out=folder, scheduler=opener, logon_failures=2))
    assert await ask("wrong") == {Result.CANCELLED: 18}
    assert await ask("wrong", retry_failed=True) == {Result.CANCELLED: 20}
    assert await ask("wrong", logon_failures=4) == {Result.LOGON: 2, Result.CANCELLED: 18}
    assert await ask("right", retry_failed=True) == {Result.OK: 20}


class AtOnce(ThreadPoolExecutor):
    """A thread that has done what it is given before it is known that it has it."""

    def submit(self, *words: Any, **named: Any) -> Future[Any]:
        future = super().submit(*words, **named)
        wait([future])
        return future


@pytest.mark.parametrize("thread", [ThreadPoolExecutor, AtOnce])
async def test_a_log_on_is_kept_before_it_goes_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, thread: type[ThreadPoolExecutor]
) -> None:
    """So a sweep that is killed and resumed again and again does not send a wrong password to three more each time.
    However soon the disk has one count, the next is kept too."""
    monkeypatch.setattr("lanman.fleet.sweep.ThreadPoolExecutor", thread)
    kept = [0]
    seen: list[int] = []
    keep = Store.keep

    def keep_and_note(store: Store, name: str, value: Any) -> None:
        keep(store, name, value)
        if name == "logons":
            kept.append(sum(value["-U"][:2]))

    def looking(server: str, who: Credentials, *, approach: Approach, **how: Any) -> Any:
        approach = replace(approach, on_proof=lambda: seen.append(kept[-1]))
        return fleet_script.scripted(server, who, approach=approach, **how)

    monkeypatch.setattr(Store, "keep", keep_and_note)
    targets = [f"10.0.0.{n}:{OK}" for n in range(1, 9)]
    wrong = Credentials("ann", "wrong")
    asked = sweep("sessions", targets, wrong, out=tmp_path / "s", scheduler=InProcess(opener=looking))
    assert Counter(each.result for each in await outcomes_of(asked)) == {Result.LOGON: 3, Result.CANCELLED: 5}
    assert (len(seen), min(seen) >= 1, max(seen)) == (3, True, 3)


async def test_who_gives_up_does_not_take_from_others_what_they_wait_for() -> None:
    """Two wait for the same count to be on the disk, and the time of one is over."""
    kept: Future[None] = Future()
    gate = GuardGate(Guard(3), keep=lambda: kept)
    first, second = asyncio.create_task(gate.admit("-U")), asyncio.create_task(gate.admit("-U"))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert not kept.cancelled()
    kept.set_result(None)
    assert await second is True
    assert gate.guard.counted() == {"-U": (0, 1)}


_SENT_AND_ENDED = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from lanman.fleet.processes import Processes
from lanman.fleet.scheduler import InProcess
from lanman.fleet.sweep import sweep
from lanman.net.credentials import Credentials
from support import fleet_script

async def main():
    how = dict(resume={folder!r}) if {resume} else dict(out={folder!r})
    targets = [] if {resume} else [f"10.0.0.{{n}}" for n in range(1, 21)]
    who = Credentials("ann", "wrong")
    sent = Path({sent!r})
    if {processes}:
        scheduler = Processes({processes}, command=fleet_script.noting_worker(sent))
    else:
        scheduler = InProcess(opener=fleet_script.noting(sent))
    async with sweep("sessions", targets, who, scheduler=scheduler, **how) as running:
        async for outcome in running:
            pass

asyncio.run(main())
"""


@pytest.mark.posix
@pytest.mark.parametrize(
    ("after", "by", "processes"),
    [
        ([1, 1, 1], signal.SIGKILL, 0),
        ([3, 9], signal.SIGKILL, 0),
        ([2, 1], signal.SIGKILL, 2),
        ([1, 1, 1], signal.SIGINT, 0),
        ([2, 1], signal.SIGINT, 2),
    ],
)
async def test_whenever_it_is_ended_a_password_goes_to_three_servers_in_all(
    tmp_path: Path, after: list[int], by: signal.Signals, processes: int
) -> None:
    """`after`: how many log-ons of each run are seen to go out before it is ended, while none is answered."""
    folder, sent = tmp_path / "s", tmp_path / "sent"
    sent.touch()

    def seen() -> int:
        return len(sent.read_text().splitlines())

    def has_come(count: int, ended: asyncio.Task[int]) -> bool:
        return seen() >= count or ended.done()

    for number, wanted in enumerate([*after, MANY]):
        before = seen()
        how = {"tests": str(Path(__file__).parents[1]), "folder": str(folder), "sent": str(sent)}
        script = _SENT_AND_ENDED.format(**how, resume=bool(number), processes=processes)
        client = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stderr=subprocess.DEVNULL)
        ended = asyncio.create_task(client.wait())
        await until(partial(has_come, before + wanted, ended), limit=60)
        if not ended.done():
            client.send_signal(by)
        await ended
    # The last run was not ended by anybody: it asked nobody any more, and all have an outcome.
    assert (client.returncode, seen()) == (0, before)
    assert 1 <= seen() <= 3
    assert Counter(each["outcome"] for each in lines(folder / "outcomes.jsonl")) == {"cancelled": 20}


class CountedProcesses(Processes):
    """Processes that note when they are given what, and how many of a subnet they have."""

    def __init__(self) -> None:
        super().__init__(2, command=WORKER)
        self.given: list[float] = []
        self.most = 0
        self._now: Counter[str] = Counter()

    def give(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self.given.append(asyncio.get_running_loop().time())
            subnet = job.target.server.rpartition(".")[0]
            self._now[subnet] += 1
            self.most = max(self.most, self._now[subnet])
        super().give(jobs)

    async def take(self) -> list[FleetOutcome]:
        found = await super().take()
        self._now.subtract(each.server.rpartition(".")[0] for each in found)
        return found


@pytest.mark.posix
async def test_rate_and_per_subnet_are_of_all_processes_together() -> None:
    scheduler = CountedProcesses()
    found = await outcomes_of(scripted(some(60, SLOW), scheduler=scheduler, rate=60.0, deadline=20))
    assert Counter(each.result for each in found) == {Result.OK: 60}
    assert len({each.worker for each in found}) == 2
    # A tenth of a second's may go at once (6); and of the next, no more than the time since has let.
    begun = scheduler.given[0]
    assert all(number <= 6 + 2 + 60 * (at - begun) for number, at in enumerate(scheduler.given))

    scheduler = CountedProcesses()
    targets = [Target(f"10.0.{n % 3}.{n}", SLOW) for n in range(60)]
    found = await outcomes_of(scripted(targets, scheduler=scheduler, per_subnet=4, deadline=20))
    assert Counter(each.result for each in found) == {Result.OK: 60}
    assert len({each.worker for each in found}) == 2
    assert scheduler.most == 4


async def test_a_sweep_goes_on_as_carefully_as_it_was_begun(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    begun = scripted(["10.0.0.1:1"], out=folder, polite=True, require_signing=True, rate=9.0, deadline=3.0)
    await outcomes_of(begun)
    again = sweep("sessions", [], WHO, resume=folder, per_subnet=7, scheduler=InProcess(opener=fleet_script.scripted))
    await outcomes_of(again)
    chosen = again.options
    assert (chosen.polite, chosen.require_signing, chosen.rate, chosen.deadline) == (True, True, 9.0, 3.0)
    assert (chosen.in_flight, chosen.per_subnet, chosen.logon_failures) == (16, 7, MANY)


async def test_no_password_goes_where_nothing_is_signed() -> None:
    (outcome,) = await outcomes_of(scripted(some(1, UNSIGNED)))
    assert (outcome.result, outcome.error) == (Result.LOGON, "does not sign, so no password was sent")


@pytest.mark.posix
async def test_a_process_that_dies_loses_nothing_and_one_server_takes_nobody_with_it() -> None:
    scheduler = Processes(2, command=WORKER)
    targets = [*some(300, OK, SLOW), Target("10.9.0.1", DEADLY)]
    found = await outcomes_of(scripted(targets, scheduler=scheduler, deadline=20))
    assert Counter(each.target for each in found) == Counter(targets)
    assert {each.server for each in found if each.result is not Result.OK} == {"10.9.0.1"}
    assert re.fullmatch(r"the processes that asked it ended, \d+ times", found_of(found, DEADLY).error or "")


@pytest.mark.posix
async def test_processes_that_end_at_once_are_an_error_that_says_why() -> None:
    broken = Processes(1, command=[sys.executable, "-c", "raise SystemExit('no such luck')"])
    with pytest.raises(LanmanError, match="no such luck"):
        await outcomes_of(scripted(some(3, OK), scheduler=broken))


async def test_csv_and_columns_have_the_same_rows(tmp_path: Path) -> None:
    targets = some(20, OK, DEAD)
    await outcomes_of(scripted(iter(targets), out=tmp_path / "c", format="csv"))
    rows = list(csv.DictReader((tmp_path / "c" / "rows.csv").read_text().splitlines()))
    assert list(rows[0]) == list(COLUMNS[Kind.SESSIONS])
    assert Counter(row["server"] for row in rows) == {each.server: SESSIONS for each in targets if each.port == OK}
    parquet = pytest.importorskip("pyarrow.parquet")
    await outcomes_of(scripted(iter(targets), out=tmp_path / "p", format="parquet"))
    await outcomes_of(scripted([], resume=tmp_path / "p", retry_failed=True))
    table = parquet.read_table(tmp_path / "p" / "rows.parquet")
    assert table.column_names == list(COLUMNS[Kind.SESSIONS])
    assert sorted(table["server"].to_pylist()) == sorted(row["server"] for row in rows)


async def test_a_folder_is_one_sweeps_alone(tmp_path: Path) -> None:
    async with scripted(some(1, SLOW), out=tmp_path / "s"):
        with pytest.raises(LanmanError, match="another lanman works in it"):
            await outcomes_of(scripted([], resume=tmp_path / "s"))
    with pytest.raises(LanmanError, match="is not empty"):
        await outcomes_of(scripted(some(1, OK), out=tmp_path / "s"))
    with pytest.raises(LanmanError, match="there is no sweep in it"):
        await outcomes_of(scripted([], resume=tmp_path))
    with pytest.raises(AuthenticationError, match="was begun as ann"):
        await outcomes_of(sweep("", [], resume=tmp_path / "s"))


async def test_nobody_to_be_is_said_before_anybody_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(AuthenticationError, match="nobody said who to be"):
        await outcomes_of(sweep("sessions", ["fs1"]))


@pytest.mark.posix
async def test_the_file_of_credentials_says_who_is_used_where(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text(
        '[lab]\nuser = "eve"\npassword = "x"\nhosts = ["10.7.*"]\n[net]\nuser = "bob"\npassword = "y"\n'
        'hosts = ["10.8.0.0/16"]\n[other]\nuser = "o"\nnt_hash = "0123456789abcdef0123456789abcdef"\n'
    )
    targets = [Target("10.7.0.1", OK), Target("10.8.3.1", OK), Target("10.0.0.1", OK), Target("10.0.0.2", OK, "other")]
    targets.append(Target("10.0.0.3", OK, "nobody"))
    file.chmod(0o600)
    found = await outcomes_of(scripted(targets, credentials_file=file))
    assert {each.server: each.credential for each in found} == {
        "10.7.0.1": "lab",
        "10.8.3.1": "net",
        "10.0.0.1": "-U",
        "10.0.0.2": "other",
        "10.0.0.3": None,
    }
    assert next(each for each in found if each.server == "10.0.0.3").result is Result.LOGON
    file.chmod(0o640)
    with pytest.raises(AccessDenied, match="others can read it"):
        await outcomes_of(scripted(targets, credentials_file=file))


def test_blocking() -> None:
    with lanman.blocking_sweep("files", some(3, OK), WHO, scheduler=InProcess(opener=fleet_script.scripted)) as running:
        assert sorted(outcome.server for outcome in running) == ["10.0.0.0", "10.0.0.1", "10.0.0.2"]
        assert running.progress.done == 3


# --- kills

_CLIENT = """
import asyncio, sys
sys.path.insert(0, {tests!r})
from lanman.fleet import parts
from lanman.fleet.processes import Processes
from lanman.fleet.sweep import sweep
from support.fleet_script import WHO, WORKER

parts.PART_ROWS = 100

async def main():
    how = dict(resume={folder!r}) if {resume} else dict(out={folder!r}, format={format!r})
    scheduler = Processes(2, command=WORKER)
    async with sweep("sessions", [] if {resume} else ["@" + {targets!r}], WHO, in_flight=60, per_subnet=10**6,
                     deadline=5, connect=0.01, scheduler=scheduler, **how) as running:
        number = 0
        async for outcome in running:
            number += 1
            if number % 25 == 0:
                print(*scheduler.pids, flush=True)

asyncio.run(main())
"""


def killed_and_resumed(
    folder: Path, targets: list[Target], kills: int, choose: random.Random, format: str = "jsonl"
) -> None:
    """Ask with processes, and kill -9 the client or one of its processes again and again; then resume to the end."""
    texts = folder.with_suffix(".targets")
    texts.write_text("".join(f"{target.server}:{target.port}\n" for target in targets))
    tests = str(Path(__file__).parents[1])
    for left in range(kills, -1, -1):
        resume = (folder / "state.sqlite").exists()
        if not resume and folder.exists():
            subprocess.run(["rm", "-r", str(folder)], check=True)
        script = _CLIENT.format(tests=tests, folder=str(folder), resume=resume, targets=str(texts), format=format)
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as client:
            assert client.stdout is not None
            wait = choose.randrange(1, 4) if left else MANY
            for number, line in enumerate(client.stdout, 1):
                if number < wait:
                    continue
                if choose.random() < 0.5:
                    with contextlib.suppress(ProcessLookupError):  # where all has been asked meanwhile
                        os.kill(int(choose.choice(line.split())), signal.SIGKILL)
                else:
                    client.kill()
                break
            client.stdout.read() if left else None
            client.wait()
    assert client.returncode == 0


@pytest.mark.posix
def test_kills_lose_no_target_and_give_none_twice(tmp_path: Path) -> None:
    targets = some(600, OK, SLOW, DEAD)
    killed_and_resumed(tmp_path / "s", targets, 4, random.Random(7))
    check_folder(tmp_path / "s", targets)


@pytest.mark.posix
def test_kills_leave_columns_with_each_row_once(tmp_path: Path) -> None:
    """Parts of 100 rows each, of which some are killed while they are written."""
    parquet = pytest.importorskip("pyarrow.parquet")
    targets = some(500, OK, SLOW, DEAD)
    folder = tmp_path / "s"
    killed_and_resumed(folder, targets, 3, random.Random(20), "parquet")
    rows = parquet.read_table(folder / "rows.parquet").to_pylist()
    assert Counter(row["server"] for row in rows) == {
        each.server: SESSIONS for each in targets if EXPECTED[each.port] is Result.OK
    }
    assert all(row["user_name"] == row["server"] for row in rows)
    outcomes = Counter((each["server"], each["port"]) for each in lines(folder / "outcomes.jsonl"))
    assert outcomes == Counter((each.server, each.port) for each in targets)
    found = sorted(each.name for each in (folder / "rows.parquet").iterdir())
    assert found == [f"part-{number:06}.parquet" for number in range(len(found))]
    assert len(found) > 1


@pytest.mark.long
@pytest.mark.posix
@pytest.mark.timeout(900)
def test_twenty_kills(tmp_path: Path) -> None:
    targets = some(3000, OK, SLOW, DEAD, DENIED)
    killed_and_resumed(tmp_path / "s", targets, 20, random.Random(18))
    check_folder(tmp_path / "s", targets)


async def test_a_folder_that_is_removed_ends_the_sweep_with_an_error(tmp_path: Path) -> None:
    """Not `done`: what it wrote since is nowhere."""
    folder = tmp_path / "s"
    targets = tmp_path / "targets"
    targets.write_text("".join(f"{target.server}:{OK}\n" for target in some(4000, OK)))

    async def asked() -> None:
        async with scripted([f"@{targets}"], out=folder, in_flight=10) as running:
            async for _ in running:
                if folder.exists():
                    shutil.rmtree(folder)

    with pytest.raises(LanmanError, match="was removed while the sweep wrote into it"):
        await asked()
    assert not folder.exists()


@pytest.mark.parametrize(
    ("number", "code", "hint"),
    [
        (errno.EACCES, codes.ERROR_ACCESS_DENIED, "name another folder with --out"),
        (errno.EROFS, codes.ERROR_WRITE_PROTECT, "name another folder with --out"),
        (errno.ENOTDIR, codes.ERROR_PATH_NOT_FOUND, "name another folder with --out"),
        (errno.ENAMETOOLONG, codes.ERROR_PATH_NOT_FOUND, "name another folder with --out"),
        (errno.ENOSPC, codes.ERROR_DISK_FULL, "what was kept before is whole: --resume goes on from it"),
        (errno.EIO, codes.ERROR_GEN_FAILURE, "what was kept before is whole: --resume goes on from it"),
    ],
)
async def test_a_folder_that_cannot_be_used_is_told_for_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: int, hint: str
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(LanmanError, match=re.escape(os.strerror(number))) as caught:
        await outcomes_of(scripted(["10.0.0.1"], out=tmp_path / "s"))
    assert (caught.value.code, caught.value.hint) == (code, hint)
