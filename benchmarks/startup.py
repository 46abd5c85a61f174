"""How long the shortest commands take as whole processes, beside an interpreter that does nothing.

    .venv/bin/python benchmarks/startup.py [--rounds 15] [--revision COMMIT]... [--json]

The processes take turns within one run, so that what else the machine does falls on all of them. Processor time is the
least of all rounds, clock the median. `lanman session` is asked of our Server and of an smbd (as root, where there is
one) on this machine, with a log-on, and of a port that nobody listens on. `imports alone` is what loading asyncio and
cryptography takes. With `--revision` lanman as it was at that commit takes its turns, too. To reach:
`lanman session` of a near server at most 10 times the processor time of an interpreter that does nothing,
`lanman --version` 4 times.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from doctor import our_server, smbd
from figures import Figure, add_json, for_people, report
from revisions import environment, unpack

from support.smbd import missing_tools

# What the installed script does.
LANMAN = [sys.executable, "-c", "import sys; from lanman.__main__ import main; sys.exit(main())"]
NOTHING = "python3 -c pass"
GOALS = {"lanman session -S our Server": 10.0, "lanman session -S smbd": 10.0, "lanman --version": 4.0}
# The least processor times of two runs differ by so much.
TOLERANCE = 0.15


@dataclass(slots=True)
class Taken:
    """What a process took in each round, in seconds."""

    processor: list[float] = field(default_factory=list)
    clock: list[float] = field(default_factory=list)


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def commands() -> Iterator[dict[str, list[str]]]:
    """The commands by name, and the servers that they ask."""
    found = {
        "lanman --version": [*LANMAN, "--version"],
        "lanman helpmsg 5": [*LANMAN, "helpmsg", "5"],
        "lanman help": [*LANMAN, "help"],
        "lanman session -S closed port": [*LANMAN, "session", "-N", "-S", f"127.0.0.1:{closed_port()}"],
    }
    with contextlib.ExitStack() as stack:
        servers = {"our Server": our_server}
        if os.geteuid() == 0 and not missing_tools():
            servers["smbd"] = smbd
        for name, start in servers.items():
            port, account = stack.enter_context(start())
            found[f"lanman session -S {name}"] = [*LANMAN, "session", "-S", f"127.0.0.1:{port}", "-U", account.login]
        yield found


def run(command: list[str], variables: dict[str, str], taken: Taken) -> None:
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=variables,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    taken.clock.append(time.perf_counter() - begun)
    taken.processor.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def measure(rounds: int, revisions: list[str]) -> dict[str, Taken]:
    """What each process takes, by its name, in turns; the first two rounds, which compile modules, do not count."""
    found: dict[str, Taken] = {}
    with tempfile.TemporaryDirectory() as folder, commands() as asked:
        home = {"XDG_CONFIG_HOME": folder, "LANMAN_HOME": f"{folder}/home"}
        sources = {name: environment(unpack(name, Path(folder))) | home for name in ["", *revisions]}
        processes = {
            NOTHING: ([sys.executable, "-c", "pass"], sources[""]),
            "imports alone": ([sys.executable, "-c", "import asyncio, cryptography"], sources[""]),
        }
        for name, command in asked.items():
            for revision, variables in sources.items():
                processes[f"{name} ({revision})" if revision else name] = command, variables
        for number in range(rounds + 2):
            # In the opposite order in every other round.
            for name, (command, variables) in list(processes.items())[:: 1 if number % 2 else -1]:
                run(command, variables, Taken() if number < 2 else found.setdefault(name, Taken()))
        return {name: found[name] for name in processes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--revision", action="append", default=[], metavar="COMMIT", help="lanman at that commit, too")
    add_json(parser)
    options = parser.parse_args()
    found = measure(options.rounds, options.revision)
    nothing = found[NOTHING]
    figures = []
    with for_people(options.json):
        print("| Process | processor time | beside | clock, median | beside |\n|---|---|---|---|---|")
        for name, taken in found.items():
            processor, clock = min(taken.processor), statistics.median(taken.clock)
            ratio, slower = processor / min(nothing.processor), clock / statistics.median(nothing.clock)
            print(f"| `{name}` | {processor * 1000:.1f} ms | {ratio:.1f} x | {clock * 1000:.1f} ms | {slower:.1f} x |")
            if name in GOALS or name == "lanman help":
                goal = GOALS.get(name)
                figures.append(Figure(name, ratio, goal=goal, peer=NOTHING, tolerance=TOLERANCE))
                figures.append(Figure(f"{name}, clock", slower, goal=goal, peer=NOTHING, tolerance=2 * TOLERANCE))
    report("startup", figures, options.json)


if __name__ == "__main__":
    main()
