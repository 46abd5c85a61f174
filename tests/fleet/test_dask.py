"""A sweep by the workers of a Dask cluster: each target once, whatever is killed, and no secret sent."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from fleet.test_sweep import MANY, check_folder, lines, outcomes_of, some
from lanman.errors import ConnectionLost, LanmanError, Win32Error
from lanman.faces.cli.output import Format
from lanman.faces.cli.verbs import fleet
from lanman.fleet.dask.address import checked_address, is_protected
from lanman.fleet.guard import Guard, GuardGate
from lanman.fleet.sweep import Sweep, sweep
from lanman.fleet.values import Job, Kind, Question, Result, Target
from lanman.manage.manager import Manager
from lanman.net.credentials import Credentials
from support.fleet_script import DEAD, DEADLY, EXPECTED, HANGS, OK, SLOW, WHO, WRONG, ScriptedManager
from support.loopback_server import PASSWORDS, running_server
from support.process_server import LANMAN

pytest.importorskip("distributed", reason="the extra `cluster` is not installed")

from lanman.fleet.dask.scheduler import DaskWorkers
from support.dask_cluster import (
    SECTION,
    WRONG_ANSWERS,
    DaskCluster,
    failing_ask,
    few_files_ask,
    hanging_ask,
    other_release,
    scripted_ask,
    wrong_ask,
)
from support.waiting import until

pytestmark = pytest.mark.posix


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with DaskCluster(tmp_path_factory.mktemp("dask"), workers=1, nanny=True) as started:
        yield started


@pytest.fixture(scope="module")
def tls_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with DaskCluster(tmp_path_factory.mktemp("dask-tls"), workers=1, tls=True) as started:
        section = f'[admin]\nuser = "admin"\npassword = "{PASSWORDS["admin"]}"\nhosts = ["*"]\n'
        started.credentials.write_text(section)
        yield started


def by(cluster: DaskCluster, targets: Any, *, task: Any = scripted_ask, chunk: int = 40, **how: Any) -> Sweep:
    how = {"per_subnet": MANY, "deadline": 2, "connect": 0.05, "logon_failures": MANY, **how}
    how.setdefault("credentials_file", cluster.credentials)
    scheduler = DaskWorkers(cluster.address, task=task, chunk=chunk)
    return sweep("sessions", targets, scheduler=scheduler, **how)


def test_only_a_scheduler_that_is_protected_is_used() -> None:
    assert checked_address("tls://dask.example.com") == "tls://dask.example.com:8786"
    assert checked_address("tcp://127.0.0.1:99") == "tcp://127.0.0.1:99"
    assert checked_address("tcp://[::1]:99") == "tcp://[::1]:99"
    assert checked_address("tcp://localhost") == "tcp://localhost:8786"
    for text in ("tcp://10.0.0.5:8786", "tcp://dask.example.com:8786", "tcp://127.0.0.1.example.com:8786"):
        with pytest.raises(Win32Error, match="is not protected") as caught:
            checked_address(text)
        assert "tls://" in (caught.value.hint or "")
    for text in ("10.0.0.5:8786", "inproc://1", "ucx://h:1", "tls://", "tls://h:0", "tls://h:99999", "tls://a b:1", ""):
        with pytest.raises(Win32Error, match="is no scheduler's address"):
            checked_address(text)
    assert not is_protected("tcp://0.0.0.0:1")


async def test_each_target_has_one_outcome_and_no_secret_leaves_the_client(cluster: DaskCluster) -> None:
    targets = some(180, *EXPECTED)
    asked = by(cluster, targets, deadline=1.5)
    found = await outcomes_of(asked)
    assert Counter(each.target for each in found) == Counter(targets)
    assert all(each.result is EXPECTED[each.port] for each in found)
    row = next(each for each in found if each.port == OK).rows[0]
    assert (row["as"], row["lanman"] != "", row["sweep"]) == ("ann", True, asked.name)
    assert row["worker"].startswith("tcp://127.0.0.1")


async def test_three_wrong_passwords_and_no_more_over_all_chunks(cluster: DaskCluster) -> None:
    asked = by(cluster, some(200, WRONG), logon_failures=3, chunk=10)
    found = Counter(each.result for each in await outcomes_of(asked))
    assert found == {Result.LOGON: 3, Result.CANCELLED: 197}
    assert asked.guard.stopped() == {"lab": "3 times the user name or the password was wrong"}


async def test_a_right_password_goes_to_all(cluster: DaskCluster) -> None:
    found = await outcomes_of(by(cluster, some(300, DEAD, OK), logon_failures=3, chunk=50))
    assert Counter(each.result for each in found) == {Result.OK: 150, Result.DEAD: 150}


async def test_a_server_that_ends_workers_takes_no_other_with_it(cluster: DaskCluster) -> None:
    targets = [*some(12, OK, SLOW), Target("10.9.0.1", DEADLY)]
    found = await outcomes_of(by(cluster, targets, chunk=4))
    assert Counter(each.target for each in found) == Counter(targets)
    assert {each.server for each in found if each.result is not Result.OK} == {"10.9.0.1"}
    deadly = next(each for each in found if each.port == DEADLY)
    assert deadly.error == f"the workers that asked it were lost, {deadly.attempt} times"


async def test_a_worker_that_cannot_ask_is_named_with_the_remedy(cluster: DaskCluster) -> None:
    with pytest.raises(LanmanError, match=r"the worker tcp://127\.0\.0\.1.* it has lanman .* and the sweep") as caught:
        await outcomes_of(by(cluster, some(3, OK), task=other_release))
    assert caught.value.hint == "install the same on all"
    with pytest.raises(LanmanError, match="it may have 10 connections, and 2 threads with 40 each want more") as caught:
        await outcomes_of(by(cluster, some(3, OK), task=few_files_ask))
    assert "ulimit -n" in (caught.value.hint or "")
    targets = [Target("10.0.0.1", OK, "elsewhere")]
    here = cluster.home / "here"
    here.write_text('[elsewhere]\nuser = "eve"\npassword = "x"\n')
    here.chmod(0o600)
    with pytest.raises(LanmanError, match="it has no credential named elsewhere"):
        await outcomes_of(by(cluster, targets, credentials_file=here))
    cluster.credentials.chmod(0o644)
    try:
        with pytest.raises(LanmanError, match=r"cannot ask: .*others can read it"):
            await outcomes_of(by(cluster, [Target("10.0.0.1", OK, "elsewhere")], credentials_file=here))
    finally:
        cluster.credentials.chmod(0o600)


@pytest.mark.parametrize("name", WRONG_ANSWERS)
async def test_what_a_worker_answers_that_it_was_not_asked_is_not_kept(
    cluster: DaskCluster, tmp_path: Path, name: str
) -> None:
    """Another target's outcome, one too many, none at all: the sweep ends with an error, and goes on where that is
    mended, with each target once."""
    targets = tmp_path / "targets"
    targets.write_text("".join(f"{each.server}:{each.port}\n" for each in some(5, OK)))
    folder = tmp_path / "s"
    with pytest.raises(LanmanError, match="answered something else than it was asked"):
        await outcomes_of(by(cluster, [f"@{targets}"], out=folder, task=wrong_ask(name), logon_failures=9))
    assert lines(folder / "outcomes.jsonl") == []
    again = sweep(
        "sessions",
        resume=folder,
        scheduler=DaskWorkers(cluster.address, task=scripted_ask),
        per_subnet=MANY,
        logon_failures=99,
    )
    await outcomes_of(again)
    check_folder(folder, some(5, OK))


async def test_a_worker_that_fails_is_not_taken_for_a_scheduler_that_is_gone(cluster: DaskCluster) -> None:
    with pytest.raises(LanmanError, match=r"a worker failed: OSError: \[Errno 24\] Too many open files"):
        await outcomes_of(by(cluster, some(2, OK), task=failing_ask))


async def test_what_workers_have_of_a_run_that_was_killed_answers_nothing_of_the_next(cluster: DaskCluster) -> None:
    """Both have the sweep's name, and number their chunks alike."""
    found = []
    runs = [DaskWorkers(cluster.address, task=scripted_ask) for _ in range(2)]
    for number, (run, port) in enumerate(zip(runs, (HANGS, OK), strict=True)):
        await run.start(Question(Kind.SESSIONS, "again", 1.0, 0.1), {"lab": WHO}, GuardGate(Guard()))
        run.give([Job(Target(f"10.0.{number}.1", port), "lab", 1.0)])
    for run in reversed(runs):
        found += await run.take()
    for run in runs:
        await run.close()
    assert [(each.server, each.result) for each in found] == [
        ("10.0.1.1", Result.OK),
        ("10.0.0.1", Result.TIMEOUT),
    ]


async def loaded(cluster: DaskCluster) -> DaskCluster:
    """Whose workers have loaded what they need, which takes as long as a short bound on a chunk."""
    await outcomes_of(by(cluster, some(4, OK), deadline=30))
    return cluster


async def test_a_chunk_whose_worker_hangs_is_given_to_another(
    cluster: DaskCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its heartbeats go on, and what it says in the end comes too late. Who looks at the sweep is told which it was."""
    targets = some(60, OK)
    how: dict[str, Any] = {"per_subnet": MANY, "deadline": 0.2, "logon_failures": MANY}
    await loaded(cluster)
    with hanging_ask(tmp_path / "hangs", 1) as task:
        scheduler = DaskWorkers(cluster.address, task=task, chunk=20, margin=1)
        asked = sweep("sessions", targets, scheduler=scheduler, credentials_file=cluster.credentials, **how)
        assert asked.hanging == {}
        found = await outcomes_of(asked)
    assert Counter(each.target for each in found) == Counter(targets)
    assert {each.result for each in found} == {Result.OK}
    assert Counter(each.attempt for each in found) == {1: 40, 2: 20}
    names = {each.worker for each in found}
    ((worker, threads),) = asked.hanging.items()
    assert threads == 1
    assert {worker.partition(" (")[0]} == names
    fleet._Run(asked, Format.JSON, False).summary()
    assert json.loads(capsys.readouterr().out)["hanging_workers"] == {worker: 1}
    fleet._Run(asked, Format.TABLE, False).summary()
    said = capsys.readouterr().out
    assert f"The worker {worker} has 1 thread that hangs and asks nobody: end that worker, and start it again." in said


async def test_a_chunk_that_hangs_has_spent_its_log_ons(cluster: DaskCluster, tmp_path: Path) -> None:
    how: dict[str, Any] = {"per_subnet": MANY, "deadline": 0.2, "logon_failures": 3}
    await loaded(cluster)
    with hanging_ask(tmp_path / "hangs", 1) as task:
        scheduler = DaskWorkers(cluster.address, task=task, margin=1)
        asked = sweep("sessions", some(9, OK), scheduler=scheduler, credentials_file=cluster.credentials, **how)
        found = await outcomes_of(asked)
    assert {each.result for each in found} == {Result.CANCELLED}
    assert asked.guard.stopped() == {"lab": "3 times no answer came to it before it had ever succeeded"}


async def test_a_sweep_ends_where_all_workers_hang(cluster: DaskCluster, tmp_path: Path) -> None:
    how: dict[str, Any] = {"per_subnet": MANY, "deadline": 0.2, "logon_failures": MANY}
    await loaded(cluster)
    with hanging_ask(tmp_path / "hangs", 9) as task:
        scheduler = DaskWorkers(cluster.address, task=task, chunk=20, margin=1)
        asked = sweep("sessions", some(60, OK), scheduler=scheduler, credentials_file=cluster.credentials, **how)
        with pytest.raises(LanmanError, match="all 2 threads of the workers hang") as caught:
            await outcomes_of(asked)
    (worker,) = asked.hanging
    assert asked.hanging == {worker: 2}
    assert f"end these workers and start new ones: {worker}; --resume" in (caught.value.hint or "")


async def test_all_workers_that_hang_are_named_where_they_were_found_at_once(
    cluster: DaskCluster, tmp_path: Path
) -> None:
    class Late(DaskWorkers):
        """Who asked second for the name of a worker has it later."""

        begun = ended = 0

        async def _worker_with(self, key: str) -> str:
            self.begun += 1
            is_second = self.begun == 2
            name = await super()._worker_with(key)
            await until(lambda: self.begun >= 2 and self.ended >= is_second)
            for _ in range(10 * is_second):
                await asyncio.sleep(0)
            self.ended += 1
            return name

    how: dict[str, Any] = {"per_subnet": MANY, "deadline": 0.2, "logon_failures": MANY}
    await loaded(cluster)
    with hanging_ask(tmp_path / "hangs", 9) as task:
        scheduler = Late(cluster.address, task=task, chunk=20, margin=1)
        asked = sweep("sessions", some(60, OK), scheduler=scheduler, credentials_file=cluster.credentials, **how)
        with pytest.raises(LanmanError, match="all 2 threads of the workers hang") as caught:
            await outcomes_of(asked)
    assert "unknown" not in f"{caught.value.hint} {asked.hanging}"


async def test_this_machine_is_asked_here_and_not_on_a_worker(cluster: DaskCluster) -> None:
    @asynccontextmanager
    async def here(server: str | None, credentials: object, **_: object) -> AsyncIterator[Manager]:
        assert server is None
        yield cast("Manager", ScriptedManager("here"))

    asked = sweep(
        "sessions",
        [".", "10.0.0.1:1"],
        scheduler=DaskWorkers(cluster.address, task=scripted_ask, opener=here),
        credentials_file=cluster.credentials,
    )
    found = {each.server: each for each in await outcomes_of(asked)}
    assert {server: each.result for server, each in found.items()} == {".": Result.OK, "10.0.0.1": Result.OK}
    assert {row["user_name"] for row in found["."].rows} == {"here"}
    assert (found["."].worker or "").startswith("tcp:") is False


async def test_a_resumed_sweep_asks_no_more_at_a_time_than_it_was_begun_with(
    cluster: DaskCluster, tmp_path: Path
) -> None:
    for name, how, expected in (("a", {"polite": True}, 16), ("b", {"in_flight": 7}, 7), ("c", {}, None)):
        folder = tmp_path / name
        await outcomes_of(by(cluster, ["10.0.0.1:1"], out=folder, **how))
        scheduler = DaskWorkers(cluster.address, task=scripted_ask)
        async with sweep("sessions", resume=folder, scheduler=scheduler) as again:
            assert again.options.in_flight == (expected or scheduler.room)


@pytest.mark.parametrize(
    ("certificate", "why"),
    [
        ("this", ""),
        ("other", "and this machine do not accept each other's certificates"),
        ("missing", "certificates for tls://127.0.0.1"),
        (None, "this machine has no certificates for tls://127.0.0.1"),
    ],
)
async def test_the_command_by_tls(tls_cluster: DaskCluster, tmp_path: Path, certificate: str | None, why: str) -> None:
    """With a certificate of the authority it asks; with a stranger's, or none, it is told so and nothing is asked."""
    async with running_server(tmp_path / "home") as server:
        names = {} if certificate is None else tls_cluster.client_environ(certificate)
        process = await asyncio.create_subprocess_exec(
            *(str(LANMAN), "fleet", "sessions", f"127.0.0.1:{server.port}", "--out", "s"),
            *("--credentials", str(tls_cluster.credentials), "--scheduler", tls_cluster.address, "--json"),
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"XDG_CONFIG_HOME": str(tmp_path)} | names,
        )
        out, err = await process.communicate()
    assert process.returncode == (2 if why else 0), (out, err)
    if not why:
        assert err == b""
        assert json.loads(out)["outcomes"]["ok"] == 1
        return
    said = " ".join(err.decode().split())
    assert out == b""
    assert tls_cluster.address in said
    assert why in said
    assert "Warning" not in said
    assert not (tmp_path / "s").exists()  # so the same command can be given again


async def test_ctrl_c_while_a_scheduler_says_nothing_promises_no_folder(tmp_path: Path) -> None:
    """It takes the connection, and that is all. There is nothing to go on from, and nothing is left behind."""
    (tmp_path / "credentials").write_text(SECTION)
    (tmp_path / "credentials").chmod(0o600)
    connected = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            *(str(LANMAN), "fleet", "sessions", "127.0.0.1:1", "--out", "s", "--credentials", "credentials"),
            *("--scheduler", f"tcp://127.0.0.1:{port}"),
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"XDG_CONFIG_HOME": str(tmp_path)},
        )
        await connected.wait()
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
    assert (process.returncode, err) == (130, b"")
    assert out.startswith(b"Stopped after ")
    assert out.endswith(b". No target.\n")
    assert not (tmp_path / "s").exists()


async def test_a_scheduler_that_says_nothing_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lanman.fleet.dask.scheduler._ANSWER", 0.2)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        scheduler = DaskWorkers(f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        with pytest.raises(ConnectionLost, match="no Dask scheduler answers"):
            await scheduler.start(Question(Kind.SESSIONS, "s"), {}, GuardGate(Guard()))


async def test_a_password_that_was_typed_stays_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    # Dask goes on trying for so long, though the port is closed.
    monkeypatch.setattr("lanman.fleet.dask.scheduler._CONNECT", 0.2)
    scheduler = DaskWorkers("tcp://127.0.0.1:1")
    gate = GuardGate(Guard())
    with pytest.raises(LanmanError, match="was given to this command alone"):
        await scheduler.start(Question(Kind.SESSIONS, "s"), {"-U": Credentials("ann", "x")}, gate)
    with pytest.raises(ConnectionLost, match="no Dask scheduler answers"):
        await scheduler.start(Question(Kind.SESSIONS, "s"), {}, gate)


async def test_who_leaves_waits_for_no_server_and_no_worker_goes_on_asking(
    cluster: DaskCluster, tmp_path: Path
) -> None:
    # An hour each; were they not stopped, they would hold both threads of the worker.
    targets = [*some(8, OK), *some(8, HANGS)]
    async with by(cluster, iter(targets), out=tmp_path / "s", chunk=8, deadline=3600, connect=1) as running:
        async for outcome in running:
            assert outcome.result is Result.OK
            break
    assert Counter(each["outcome"] for each in lines(tmp_path / "s" / "outcomes.jsonl")) == {"ok": 8, "cancelled": 8}
    assert [each.result for each in await outcomes_of(by(cluster, some(1, OK)))] == [Result.OK]


# --- kills

_CLIENT = """
import asyncio, sys
sys.path.insert(0, {tests!r})
from fleet.test_sweep import MANY
from lanman.fleet.dask.scheduler import DaskWorkers
from lanman.fleet.sweep import sweep
from support.dask_cluster import scripted_ask

async def main():
    how = dict(resume={folder!r}) if {resume} else dict(out={folder!r}, credentials_file={credentials!r})
    scheduler = DaskWorkers({address!r}, task=scripted_ask, chunk=20)
    async with sweep("sessions", [] if {resume} else ["@" + {targets!r}], per_subnet=MANY, deadline=5, connect=0.01,
                     in_flight=120, scheduler=scheduler, **how) as running:
        number = 0
        async for outcome in running:
            number += 1
            if number % 25 == 0:
                print(number, flush=True)

asyncio.run(main())
"""


def killed_and_resumed(cluster: DaskCluster, folder: Path, targets: list[Target], kills: int, seed: int) -> None:
    """Kill -9 the client, a worker or the scheduler, at random moments; then resume to the end."""
    choose = random.Random(seed)
    texts = folder.with_suffix(".targets")
    texts.write_text("".join(f"{target.server}:{target.port}\n" for target in targets))
    victims = ["worker", "scheduler", "client"]
    for left in range(kills, -1, -1):
        resume = (folder / "state.sqlite").exists()
        if not resume and folder.exists():
            subprocess.run(["rm", "-r", str(folder)], check=True)
        script = _CLIENT.format(
            tests=str(Path(__file__).parents[1]),
            folder=str(folder),
            resume=resume,
            targets=str(texts),
            address=cluster.address,
            credentials=str(cluster.credentials),
        )
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as client:
            assert client.stdout is not None
            victim = victims[left % 3] if left else ""
            wait = choose.randrange(1, 4)
            for number, _ in enumerate(client.stdout, 1):
                if number != wait or not victim:
                    continue
                if victim == "client":
                    client.kill()
                elif victim == "scheduler":
                    cluster.scheduler.kill()
                else:
                    dead = cluster.workers.pop(choose.randrange(len(cluster.workers)))
                    dead.kill()
                    dead.wait()
                    cluster.add_worker()
            client.wait()
        if victim == "scheduler":
            cluster.stop()
            cluster.start()
    assert client.returncode == 0


def test_kills_lose_no_target_and_give_none_twice(tmp_path: Path) -> None:
    targets = some(400, OK, SLOW, DEAD)
    with DaskCluster(tmp_path, workers=2) as cluster:
        killed_and_resumed(cluster, tmp_path / "s", targets, 3, 7)
    check_folder(tmp_path / "s", targets)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_twenty_kills(tmp_path: Path) -> None:
    targets = some(3000, OK, SLOW, DEAD)
    with DaskCluster(tmp_path, workers=2) as cluster:
        killed_and_resumed(cluster, tmp_path / "s", targets, 20, 18)
    check_folder(tmp_path / "s", targets)
