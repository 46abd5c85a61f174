"""A sweep by a Dask cluster beside the same sweep by processes of this machine, in turns, in one run.

    .venv/bin/python benchmarks/fleet_dask.py [--targets 4000] [--rounds 3] [--workers 2] [--threads 2] [--json]
    .venv/bin/python benchmarks/fleet_dask.py --scripted [--targets 20000]

A Server of lanman in a process of its own answers at as many loopback addresses as there are targets, and lists ten
sessions whatever is in flight. Scheduler and workers run on this machine; both sweeps have as many visits in flight at
most, keep no folder, and begin when their processes are there. What counts is how long a sweep takes by the clock, and
the processor time of all clients (for Dask the command, its scheduler and its workers) by visit; the Server shares the
machine with them. Of the rounds the least of each counts. To reach: 5 % over local at most.

`--scripted`: nobody is asked over a network: what servers answer is scripted (tests/support/fleet_script.py), one in
ten of them dead for 0.1 seconds, each of the others after a log-on with three rows. So a visit costs next to nothing,
and what is seen is what a target costs on its way through the cluster.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from figures import Figure, add_json, cannot_run, for_people, report  # noqa: E402

from fleet import hosts  # noqa: E402
from lanman.fleet.processes import Processes  # noqa: E402
from lanman.fleet.scheduler import Scheduler  # noqa: E402
from lanman.fleet.sweep import sweep  # noqa: E402
from lanman.fleet.values import Result, Target  # noqa: E402
from support.answering_server import answering_server  # noqa: E402
from support.fleet_script import DEAD, OK, WORKER  # noqa: E402
from support.loopback_server import PASSWORDS  # noqa: E402
from support.waiting import until  # noqa: E402

if TYPE_CHECKING:
    from support.dask_cluster import DaskCluster

GOAL = 1.05
LISTED = 10
TICK = os.sysconf("SC_CLK_TCK")


def used(pids: Sequence[int]) -> float:
    """Processor seconds of this process and of those."""
    found = time.process_time()
    for pid in pids:
        # The fields behind the name, which may have spaces: utime and stime are 14 and 15 of proc(5).
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        found += (int(fields[11]) + int(fields[12])) / TICK
    return found


@dataclass
class Spent:
    """What a sweep took: seconds by the clock, and processor seconds of its clients."""

    clock: float
    processor: float

    def least(self, other: Spent) -> Spent:
        """The less of each."""
        return Spent(min(self.clock, other.clock), min(self.processor, other.processor))


@dataclass
class Course:
    """What is asked, and how: targets, the time that a connection has, the outcomes that there should be."""

    targets: list[Target]
    credentials: Path
    in_flight: int
    connect: float
    answer: int

    async def spent(self, scheduler: Scheduler, pids: Callable[[], Sequence[int]]) -> Spent:
        """Ask by a scheduler, from when its processes are there. `pids` are the processes besides this one."""
        may_begin = threading.Event()

        def held_back() -> Iterator[Target]:
            may_begin.wait()
            yield from self.targets

        asked = sweep(
            "sessions",
            held_back(),
            scheduler=scheduler,
            credentials_file=self.credentials,
            in_flight=self.in_flight,
            per_subnet=10**6,
            deadline=60.0,
            connect=self.connect,
        )
        async with asked as running:
            try:
                if isinstance(scheduler, Processes):
                    await until(lambda: all(each.is_ready for each in scheduler._processes))
                before, begun = used(pids()), time.perf_counter()
            finally:
                may_begin.set()
            async for _ in running:
                pass
            took = Spent(time.perf_counter() - begun, used(pids()) - before)
            assert running.progress.counts[Result.OK] == self.answer, running.progress.counts
            assert running.progress.done == len(self.targets)
        return took


def measured(course: Course, cluster: DaskCluster, command: list[str] | None, task: object, rounds: int) -> list[Spent]:
    """What the two sweeps took at least, by processes and by the cluster."""
    from lanman.fleet.dask.scheduler import CHUNK, DaskWorkers

    workers = [cluster.scheduler.pid, *(each.pid for each in cluster.workers)]
    found: list[list[Spent]] = []
    for number in range(-1, rounds):
        local = Processes(len(cluster.workers), command=command)
        here = asyncio.run(course.spent(local, lambda local=local: local.pids))  # type: ignore[misc]
        # What waits at the scheduler, a chunk for each worker, is not in flight at any server.
        course.in_flight += CHUNK * len(cluster.workers)
        dask = DaskWorkers(cluster.address, task=task)  # type: ignore[arg-type]
        there = asyncio.run(course.spent(dask, lambda: workers))
        course.in_flight -= CHUNK * len(cluster.workers)
        print(
            f"{number}: processes {here.clock:6.2f} s, {per_target(here, course):.3f} ms of processor a target; "
            f"Dask {there.clock:6.2f} s, {per_target(there, course):.3f} ms; ratios {there.clock / here.clock:.3f}, "
            f"{there.processor / here.processor:.3f}",
            flush=True,
        )
        if number >= 0:  # the first is for what is loaded once
            found.append([here, there])
    least = found[0]
    for more in found[1:]:
        least = [each.least(other) for each, other in zip(least, more, strict=True)]
    return least


def per_target(spent: Spent, course: Course) -> float:
    """Milliseconds of processor time by target."""
    return spent.processor / len(course.targets) * 1000


@contextlib.contextmanager
def real(count: int, cluster: DaskCluster, in_flight: int) -> Iterator[Course]:
    """Visits of a Server."""
    cluster.credentials.write_text(f'[lab]\nuser = "admin"\npassword = "{PASSWORDS["admin"]}"\nhosts = ["*"]\n')
    with answering_server(LISTED) as port:
        targets = [Target(host, port) for host in hosts(count)]
        yield Course(targets, cluster.credentials, in_flight, 30.0, count)


@contextlib.contextmanager
def scripted(count: int, cluster: DaskCluster, in_flight: int) -> Iterator[Course]:
    """Visits of nobody."""
    targets = [Target(host, DEAD if number % 10 == 0 else OK) for number, host in enumerate(hosts(count))]
    yield Course(targets, cluster.credentials, in_flight, 0.1, sum(target.port == OK for target in targets))


def main() -> None:
    """Measure, and say so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scripted", action="store_true")
    parser.add_argument("--targets", type=int, help="4,000, or 20,000 scripted ones")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    add_json(parser)
    given = parser.parse_args()
    if importlib.util.find_spec("distributed") is None:
        cannot_run("Dask is not installed: pip install 'lanman[cluster]'")
    from lanman.fleet.dask.scheduler import CHUNK
    from lanman.fleet.dask.task import ask
    from support.dask_cluster import DaskCluster, scripted_ask

    count = given.targets or (20_000 if given.scripted else 4000)
    in_flight = CHUNK * given.workers * given.threads
    with (
        for_people(given.json),
        tempfile.TemporaryDirectory() as folder,
        DaskCluster(Path(folder), workers=given.workers, threads=given.threads) as cluster,
        (scripted if given.scripted else real)(count, cluster, in_flight) as course,
    ):
        command, task = (WORKER, scripted_ask) if given.scripted else (None, ask)
        here, there = measured(course, cluster, command, task, given.rounds)
        for name, spent in (("processes", here), ("Dask", there)):
            print(
                f"{name:9} {count / spent.clock:8,.0f} targets/s  {per_target(spent, course):.3f} ms of processor each"
            )
    what = "scripted answers" if given.scripted else "visits"
    goal = None if given.scripted else GOAL
    peer = "processes of this machine"
    figures = [
        Figure(f"{what} by Dask, by the clock", there.clock / here.clock, goal=goal, peer=peer),
        Figure(f"{what} by Dask, processor time", there.processor / here.processor, goal=goal, peer=peer),
    ]
    report("fleet_dask", figures, given.json)


if __name__ == "__main__":
    main()
