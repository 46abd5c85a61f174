"""How long the shortest commands take as whole processes, beside an interpreter that does nothing.

    .venv/bin/python benchmarks/startup.py [--rounds 40] [--revision COMMIT]...

The processes take turns within one run, so that what else the machine does falls on all of them; the median counts.
`lanman session` is asked of a port that nobody listens on: what it takes is to load everything and to fail. With
`--revision` lanman as it was at that commit takes its turns, too.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from revisions import environment, unpack


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# What the installed script does.
LANMAN = [sys.executable, "-c", "import sys; from lanman.__main__ import main; sys.exit(main())"]


def commands() -> dict[str, list[str]]:
    return {
        "lanman --version": [*LANMAN, "--version"],
        "lanman helpmsg 5": [*LANMAN, "helpmsg", "5"],
        "lanman session -S closed-port": [*LANMAN, "session", "-N", "-S", f"127.0.0.1:{closed_port()}"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--revision", action="append", default=[], metavar="COMMIT", help="lanman at that commit, too")
    options = parser.parse_args()
    taken: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        here = unpack("", Path(folder))
        sources = {revision: unpack(revision, Path(folder)) for revision in ["", *options.revision]}
        for number in range(options.rounds + 2):
            processes = {"python3 -c pass": ([sys.executable, "-c", "pass"], here)}
            for name, command in commands().items():
                for revision, source in sources.items():
                    processes[f"{name} ({revision})" if revision else name] = command, source
            # In the opposite order in every other round.
            for name, (command, source) in list(processes.items())[:: 1 if number % 2 else -1]:
                start = time.perf_counter()
                subprocess.run(
                    command,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=environment(source),
                    check=False,
                )
                if number >= 2:
                    taken.setdefault(name, []).append(time.perf_counter() - start)
            order = list(processes)
    nothing = statistics.median(taken["python3 -c pass"])
    print("| Process | median | least | beside `python3 -c pass` |\n|---|---|---|---|")
    for name in order:
        median, least = statistics.median(taken[name]), min(taken[name])
        print(f"| `{name}` | {median * 1000:.1f} ms | {least * 1000:.1f} ms | {median / nothing:.1f} x |")


if __name__ == "__main__":
    main()
