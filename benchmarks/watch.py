"""What watching costs: how late an event of our own Server is, and how long comparing two looks takes.

    .venv/bin/python benchmarks/watch.py [--visits 150] [--rows 10000] [--changes 500]

Lateness is from the time in the event, which the Server gives it, until the line of `lanman watch --json`, and that of
`--plain`, has been read here (a plain line tells no fractions of seconds, so the times are taken from the Server, which
is in this process); both clocks are this machine's. The Server, the clients whose visits make the events, and who reads
are in this process, and so wait for each other; `lanman watch` is a process of its own. Comparing is
`lanman.manage.watching.differ`, beside building the records of the same lists, which every look has to do as well; and
the longest step of it, which is how long an event loop is held up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import deque
from datetime import datetime
from pathlib import Path

from figures import Figure, add_json, for_people, report

import lanman
from lanman.events import SessionClosed, SessionOpened
from lanman.manage.manager import Sessions
from lanman.manage.watching.changes import Picture
from lanman.manage.watching.differ import Differ, Look
from lanman.manage.watching.matching import Begun
from lanman.records import FileInfo, SessionInfo


async def lateness(visits: int, form: str) -> list[float]:
    """Seconds from each event until its line is read, in order of size; of `--json` or `--plain`."""
    with tempfile.TemporaryDirectory() as folder:
        async with lanman.Server(
            accounts={"ann": "secret"}, administrators=["ann"], home=Path(folder) / "home"
        ) as server:
            environment = os.environ | {"LANMAN_HOME": str(server.home)}
            watching = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "lanman",
                "watch",
                form,
                env=environment,
                stdout=subprocess.PIPE,
                limit=1 << 24,
            )
            assert watching.stdout is not None
            await watching.stdout.readline()
            late: list[float] = []

            happened: deque[float] = deque()

            server.subscribe(lambda event: happened.append(event.time), SessionOpened, SessionClosed)

            async def read() -> None:
                assert watching.stdout is not None
                while line := await watching.stdout.readline():
                    now = time.time()
                    if form == "--plain":
                        if b"session opened" in line or b"session closed" in line:
                            late.append(now - happened.popleft())
                        continue
                    event = json.loads(line)
                    for change in [*event.get("open", []), *event.get("close", [])]:
                        late.append(now - datetime.fromisoformat(change["at"]).timestamp())

            reading = asyncio.create_task(read())
            ann = lanman.Credentials("ann", "secret")
            for _ in range(visits):
                async with lanman.open_manager("127.0.0.1", ann, port=server.port) as manager:
                    await manager.statistics()
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.5)
            watching.terminate()
            await watching.wait()
            await reading
    return sorted(late)


def compare(rows: int, changes: int) -> tuple[float, float, float, int]:
    """Processor seconds of one look at so many sessions and files, the best of five; those of its longest step, in the
    look in which that was shortest; those of building the records; and how many changes there were."""
    chance = random.Random(1)
    differ = Differ(Picture("fs1"))
    took, longest, built, found = 9e9, 9e9, 9e9, 0
    for number in range(6):
        at = 2 * number
        begun = time.process_time()
        sessions = [
            SessionInfo(
                rf"\\10.{i >> 8 & 255}.{i & 255}.1", f"user{i % 3000}", i % 5, 1000 + i % 977 + at, 5 + at, 0, "", ""
            )
            for i in range(rows)
        ]
        files = [FileInfo(i, 3, 0, rf"C:\data\folder\file{i}.txt", f"user{i % 3000}") for i in range(rows)]
        built = min(built, time.process_time() - begun)
        for i in chance.sample(range(rows), changes // 4):
            sessions[i].num_opens = 9 + number
        for i in chance.sample(range(rows), changes // 4):
            files[i].num_locks = 9 + number
        look = Look(Begun(100.0 + at, 1e9 + at), 0.01, Sessions("fs1", 502, sessions), files, [])
        steps, each = differ.steps(look), []
        while True:
            begun = time.process_time()
            try:
                next(steps)
            except StopIteration as end:
                changed = end.value
                break
            finally:
                each.append(time.process_time() - begun)
        if changed is not None:
            took, longest, found = min(took, sum(each)), min(longest, max(each)), len(changed)
    return took, longest, built, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visits", type=int, default=150)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--changes", type=int, default=500)
    add_json(parser)
    arguments = parser.parse_args()
    with for_people(arguments.json):
        figures = measure(arguments)
    report("watch", figures, arguments.json)


def measure(arguments: argparse.Namespace) -> list[Figure]:
    """Lines for people, and the figures."""
    figures = []
    for form in ("--json", "--plain"):
        late = asyncio.run(lateness(arguments.visits, form))
        print(f"{form}: {len(late)} events: late by {late[len(late) // 2] * 1e3:.1f} ms in the median, ", end="")
        print(f"{late[len(late) * 99 // 100] * 1e3:.1f} ms at the 99th percentile, {late[-1] * 1e3:.1f} ms at most")
        ninety_ninth = late[len(late) * 99 // 100] * 1e3
        figures.append(Figure(f"{form}: late, 99th percentile", ninety_ninth, "ms", "lower", 50.0))
    each = []
    for rows in (arguments.rows // 4, arguments.rows):
        took, longest, built, found = compare(rows, arguments.changes)
        each.append(took / rows)
        print(f"{rows:,} sessions and {rows:,} files, {found} changes: {took * 1e3:.1f} ms", end="")
        print(f", {longest * 1e3:.1f} ms of them at once; building their records {built * 1e3:.1f} ms")
    return [
        *figures,
        Figure("comparing a row, of all beside of a quarter", each[1] / each[0], "x", "lower", 1.5, tolerance=0.3),
        Figure("comparing beside building the records", took / built, "x", "lower", tolerance=0.3),
        Figure("longest step of comparing", longest * 1e3, "ms", "lower", 16.0),
    ]


if __name__ == "__main__":
    main()
