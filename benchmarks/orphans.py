"""How long it takes to keep durable opens whose connection is lost, and to close them when nobody has come for them.

    .venv/bin/python benchmarks/orphans.py [--numbers 2500 5000 10000] [--json]

One client in memory (no sockets) opens so many files of a real folder with durable handles; its connection is lost, and
the time passes for which they are kept. Processor time of each, and of the longest turn of the event loop while they
are closed. The time is to be linear in their number, and the turn the same for any.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from figures import Figure, add_json, for_people, report  # noqa: E402

from lanman.settings import Limits  # noqa: E402
from lanman.smb2.constants import (  # noqa: E402
    FILE_CREATE,
    SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2,
    SMB2_OPLOCK_LEVEL_BATCH,
)
from lanman.smb2.messages import CreateContext, CreateDurableHandleV2  # noqa: E402
from support.disk_server import DiskWorld  # noqa: E402


def measure(number: int, folder: Path) -> tuple[float, float, float, float]:
    """Seconds to open them, to lose the connection, to close them all; and the longest turn of the latter."""
    world = DiskWorld(folder)
    world.files._limit = 2 * number
    world.set(limits=Limits(durable_opens=2 * number, durable_opens_per_user=number))
    client = world.user()
    begun = time.process_time()
    for each in range(1, number + 1):
        asked = CreateDurableHandleV2(0, 0, each.to_bytes(16, "little")).pack()
        context = CreateContext(SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2, asked)
        client.open(str(each), disposition=FILE_CREATE, oplock=SMB2_OPLOCK_LEVEL_BATCH, contexts=[context])
    opened = time.process_time()
    world.disconnect(client)
    lost = time.process_time()
    assert len(world.service.durable) == number
    world.now += 61
    longest = 0.0
    while (deadline := world.dispatch.next_deadline()) is not None and deadline <= world.now:
        turn = time.process_time()
        world.dispatch.expire(world.now)
        longest = max(longest, time.process_time() - turn)
        world.pump()
    closed = time.process_time()
    assert not world.service.opens()
    assert len(world.files) == 0
    return opened - begun, lost - opened, closed - lost, longest


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--numbers", type=int, nargs="+", default=[2500, 5000, 10_000])
    add_json(parser)
    options = parser.parse_args()
    with for_people(options.json):
        figures = compare(options.numbers)
    report("orphans", figures, options.json)


def compare(numbers: list[int]) -> list[Figure]:
    """A table, and how the cost of each grows from the fewest to the most."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(numbers) + 1000), hard))
    print("| orphans | opened | kept | closed | longest turn |\n|---|---|---|---|---|")
    each = {}
    for number in numbers:
        with tempfile.TemporaryDirectory() as folder:
            opened, kept, closed, longest = measure(number, Path(folder))
        each[number] = closed / number
        print(f"| {number:,} | {opened:.2f} s | {kept:.3f} s | {closed:.2f} s | {longest * 1000:.0f} ms |", flush=True)
    growth = each[max(numbers)] / each[min(numbers)]
    return [
        Figure("closing one, of the most beside of the fewest", growth, "x", "lower", 1.5, tolerance=0.5),
        Figure("longest turn of the event loop", longest * 1000, "ms", "lower", 16.0),
    ]


if __name__ == "__main__":
    main()
