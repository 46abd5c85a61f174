"""How long the shortest commands take as whole processes, beside an interpreter that does nothing.

    .venv/bin/python benchmarks/startup.py [--rounds 40]

The processes take turns within one run, so that what else the machine does falls on all of them; the median counts.
`lanman session` is asked of a port that nobody listens on: what it takes is to load everything and to fail.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

SCRIPT = Path(sys.executable).with_name("lanman")


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def commands() -> dict[str, list[str]]:
    lanman = [str(SCRIPT)] if SCRIPT.exists() else [sys.executable, "-m", "lanman"]
    return {
        "python3 -c pass": [sys.executable, "-c", "pass"],
        "lanman --version": [*lanman, "--version"],
        "lanman helpmsg 5": [*lanman, "helpmsg", "5"],
        "lanman session -S closed-port": [*lanman, "session", "-N", "-S", f"127.0.0.1:{closed_port()}"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    # Compiled modules are kept, as they are for everybody else.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    taken: dict[str, list[float]] = {name: [] for name in commands()}
    for number in range(rounds + 2):
        for name, command in commands().items():
            start = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, check=False)
            if number >= 2:
                taken[name].append(time.perf_counter() - start)
    nothing = statistics.median(taken["python3 -c pass"])
    print("| Process | median | beside `python3 -c pass` |\n|---|---|---|")
    for name, times in taken.items():
        median = statistics.median(times)
        print(f"| `{name}` | {median * 1000:.1f} ms | {median / nothing:.1f} x |")


if __name__ == "__main__":
    main()
