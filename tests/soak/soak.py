"""Weeks of a Server in an hour: mixed work on `lanman serve`, and the truth from outside at every check.

    make soak [ARGS="--minutes 60"]        or: .venv/bin/python tests/soak/soak.py [--minutes 1] [--people 8] [--seed N]
    make soak ARGS="--memory --churns 1000000"

With sockets (`support/soak_stage.py`): `lanman serve` in a process of its own, and beside it `lanman watch --json`,
`lanman history record` and a scraper of the exporter; people, some of them smbclient and impacket, who come, work and
leave. Between rounds everybody stands still, and the lists have to be what people hold. At the end nobody is left, and
the Server's process has to hold what it held when nobody had come yet.

With `--memory` (`support/soak_memory.py`) the same Server above its sockets, in this process and under a clock that
jumps: so a million sessions take an hour or two of one core.

A line for each check; the status is 0, or 1 with what was wrong. `--churns` ends it after so many sessions.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent / "src")]

from support.soak_held import anonymous  # noqa: E402
from support.soak_memory import Churn  # noqa: E402
from support.soak_stage import Stage  # noqa: E402

# So many objects more than after the first part of it may be there when nobody is: caches that fill, no more.
MOST_OBJECTS: Final = 500


def in_memory(churns: int, minutes: float, seed: int, every: int = 5_000) -> None:
    """So many sessions, or as many as there is time for; what is seen every so many."""
    with tempfile.TemporaryDirectory() as folder:
        churn, end = Churn(Path(folder), seed=seed), time.monotonic() + 60 * minutes
        first = None
        due = min(every, max(1, churns // 4))
        while churn.churns < churns and time.monotonic() < end:
            before = churn.churns + due
            steps = 0
            while churn.churns < min(before, churns) and time.monotonic() < end:
                churn.step()
                steps += 1
                if steps % 100 == 0:
                    churn.check()
                    churn.world.events.clear()
            objects = churn.empty()
            first = objects if first is None else first
            print(
                f"{churn.churns:,} sessions, {objects - first:+} objects, {anonymous()} KiB, "
                + ", ".join(f"{count:,} {way}" for way, count in sorted(churn.endings.items())),
                flush=True,
            )
            assert objects - first <= MOST_OBJECTS, f"{objects - first} objects more than at first"
        churn.end()
        if len(churn.memory.looks) >= 6:
            print(churn.memory.judged())


def main() -> int:
    """Run until the time is up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--churns", type=int)
    parser.add_argument("--rounds", type=int, default=10**9, help="with sockets: so many checks at most")
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--memory", action="store_true", help="both ends in this process, without sockets")
    options = parser.parse_args()
    bounded = options.churns is not None or options.rounds < 10**9
    minutes = options.minutes if options.minutes is not None else 1e9 if bounded else 1.0
    churns = options.churns if options.churns is not None else 10**12
    print(f"seed {options.seed}", flush=True)
    try:
        if options.memory:
            in_memory(churns, minutes, options.seed)
        else:
            with tempfile.TemporaryDirectory(prefix="soak") as folder:
                stage = Stage(Path(folder), options.people, options.seed)
                asyncio.run(stage.run(churns, minutes, options.rounds))
    except AssertionError as error:
        print(f"WRONG: {error}", flush=True)
        return 1
    print("nothing was wrong")
    return 0


if __name__ == "__main__":
    sys.exit(main())
