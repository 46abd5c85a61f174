"""A sweep by a Dask cluster beside the same sweep by processes of this machine, in one run.

    .venv/bin/python benchmarks/fleet_dask.py [--targets 20000] [--rounds 3] [--workers 2] [--threads 4]

Nobody is asked over a network: what servers answer is scripted (tests/support/fleet_script.py), one in ten of them dead
for 0.1 seconds, each of the others after a log-on with three rows. Scheduler and workers run on this machine; both
sweeps have as many in flight, and neither keeps a folder. To reach: 5 % over local at most.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from lanman.fleet.dask.scheduler import DaskWorkers  # noqa: E402
from lanman.fleet.processes import Processes  # noqa: E402
from lanman.fleet.scheduler import Scheduler  # noqa: E402
from lanman.fleet.sweep import sweep  # noqa: E402
from lanman.fleet.values import Target  # noqa: E402
from support.dask_cluster import DaskCluster, scripted_ask  # noqa: E402
from support.fleet_script import DEAD, OK, WORKER  # noqa: E402


async def seconds(scheduler: Scheduler, targets: list[Target], credentials: Path, in_flight: int) -> float:
    """How long a sweep takes, from when its scheduler is ready."""
    asked = sweep(
        "sessions",
        iter(targets),
        scheduler=scheduler,
        credentials_file=credentials,
        in_flight=in_flight,
        per_subnet=10**6,
        connect=0.1,
    )
    async with asked as running:
        begun = time.perf_counter()
        count = 0
        async for _ in running:
            count += 1
        took = time.perf_counter() - begun
    assert count == len(targets)
    return took


def main() -> None:
    """Measure, and say so."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--targets", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=4)
    given = parser.parse_args()
    targets = [
        Target(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", DEAD if n % 10 == 0 else OK) for n in range(given.targets)
    ]
    in_flight = 200 * given.workers * (given.threads + 1)
    local, dask = [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        DaskCluster(Path(folder), workers=given.workers, threads=given.threads) as cluster,
    ):
        for number in range(-1, given.rounds):
            here = asyncio.run(
                seconds(Processes(given.workers, command=WORKER), targets, cluster.credentials, in_flight)
            )
            there = asyncio.run(
                seconds(DaskWorkers(cluster.address, task=scripted_ask), targets, cluster.credentials, in_flight)
            )
            if number < 0:
                continue  # the first is for what is loaded once
            local.append(here)
            dask.append(there)
            print(f"{number}: processes {here:.2f} s, Dask {there:.2f} s, ratio {there / here:.3f}", flush=True)
    ratio = statistics.median(dask) / statistics.median(local)
    rates = [
        f"{name} {len(targets) / statistics.median(took):,.0f}/s"
        for name, took in (("processes", local), ("Dask", dask))
    ]
    print(f"{len(targets):,} targets, {os.cpu_count()} processors: {', '.join(rates)}, {100 * (ratio - 1):+.1f} %")


if __name__ == "__main__":
    main()
