"""What asks the targets: in this process, in processes of this machine, in a chunk. Each job has one outcome."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lanman.fleet.guard import Guard, GuardGate
from lanman.fleet.processes import WORKER, Processes
from lanman.fleet.scheduler import InProcess, Scheduler
from lanman.fleet.values import FleetOutcome, Job, Kind, Question, Result, Target
from lanman.net.child import module_command
from lanman.net.credentials import Credentials
from lanman.settings import Configuration, Limits
from support import fleet_script
from support.loopback_server import PASSWORDS, running_server
from support.waiting import free_port

pytestmark = pytest.mark.posix

QUESTION = Question(Kind.SESSIONS, "test", deadline=20, connect=5)
WHO = {"admin": Credentials("admin", PASSWORDS["admin"]), "wrong": Credentials("admin", "nonsense")}
SCHEDULERS: list[Callable[[], Scheduler]] = [InProcess, lambda: Processes(2)]


def job(port: int, credential: str = "admin", server: str = "127.0.0.1") -> Job:
    return Job(Target(server, port), credential, 20.0)


@asynccontextmanager
async def started(scheduler: Scheduler, guard: Guard | None = None) -> AsyncIterator[Scheduler]:
    await scheduler.start(QUESTION, WHO, GuardGate(guard or Guard()))
    try:
        yield scheduler
    finally:
        await scheduler.close()


async def all_of(scheduler: Scheduler, count: int) -> list[FleetOutcome]:
    found: list[FleetOutcome] = []
    while len(found) < count:
        found += await scheduler.take()
    return found


@pytest.fixture
def closed_port() -> int:
    return free_port()


async def test_a_process_asks_no_more_at_a_time_than_it_may_have_connections(tmp_path: Path) -> None:
    """Whatever it is given: when another one has died, it gets the jobs of that one too."""
    limits = Limits(unauthenticated_per_address=1000)
    few = ["sh", "-c", 'ulimit -n 128; exec "$@"', "sh", *module_command(WORKER)]
    async with (
        running_server(tmp_path, Configuration(name="LANTEST", limits=limits), host="0.0.0.0") as server,
        started(Processes(1, command=few)) as scheduler,
    ):
        scheduler.give([Job(Target(f"127.0.0.{n}", server.port), "admin", 60.0) for n in range(1, 181)])
        found = await all_of(scheduler, 180)
    assert {each.result for each in found} == {Result.OK}
    assert len({each.server for each in found}) == 180


@pytest.mark.parametrize("is_here", [True, False])
async def test_what_was_given_and_never_began_is_cancelled_too(is_here: bool) -> None:
    few = ["sh", "-c", 'ulimit -n 70; exec "$@"', "sh", *fleet_script.WORKER]
    made = InProcess(opener=fleet_script.scripted) if is_here else Processes(1, command=few)
    async with started(made) as scheduler:
        scheduler.give([Job(Target(f"10.0.0.{n}", fleet_script.HANGS), "admin", 60.0) for n in range(1, 21)])
        scheduler.give([Job(Target("10.0.1.1", fleet_script.OK), "admin", 60.0)])
        scheduler.cancel()
        found = await all_of(scheduler, 21)
    assert Counter(each.result for each in found) == {Result.CANCELLED: 21}


@pytest.mark.parametrize("make", SCHEDULERS, ids=["in this process", "in processes"])
async def test_every_job_comes_back_once(make: Callable[[], Scheduler], tmp_path: Path, closed_port: int) -> None:
    async with running_server(tmp_path) as server, started(make()) as scheduler:
        port = server.port
        scheduler.give([job(port), job(closed_port), job(port, "wrong", "127.0.0.2"), job(port, server="localhost")])
        found = {(each.server, each.port): each for each in await all_of(scheduler, 4)}
    assert {where: each.result for where, each in found.items()} == {
        ("127.0.0.1", port): Result.OK,
        ("127.0.0.1", closed_port): Result.REFUSED,
        ("127.0.0.2", port): Result.REFUSED,
        ("localhost", port): Result.OK,
    }
    rows = found["127.0.0.1", port].rows
    assert rows[0]["user_name"] == "admin"
    assert rows[0]["as"] == "admin"
    assert rows[0]["dialect"] == "3.1.1"
    assert rows[0]["level"] == 502
