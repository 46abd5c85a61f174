"""What it takes to list the open files and sessions of this machine's Samba by its own tools, beside smbstatus itself.

    .venv/bin/python benchmarks/local_samba.py [--opens 3000] [--connections 10] [--rounds 5] [--json]

An smbd is started in a scratch folder, which takes root; smbprotocol opens files of its share and holds them. Whole
processes take turns: smbstatus, and lanman, which runs smbstatus and makes a table or JSON of what it tells. The time
is the one on the clock, and the processor time of the process with all that it starts.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from figures import Figure, add_json, cannot_run, for_people, report  # noqa: E402

from support.one_connection import OneConnection  # noqa: E402
from support.smbd import Samba, missing_tools, tool  # noqa: E402


def timed(words: Sequence[str]) -> tuple[float, float, bytes]:
    """Seconds on the clock, of processor time, and what was printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, env=environment(), check=True)
    took = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return took, used, done.stdout


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LANMAN_")}
    return {**kept, "PYTHONPATH": str(ROOT / "src")}


def hold(samba: Samba, stack: ExitStack, opens: int, connections: int) -> None:
    """Open so many files, from so many connections."""
    for number in range(connections):
        connection = stack.enter_context(OneConnection(samba.host, samba.port))
        tree = connection.log_on((samba.user, samba.other_user, samba.operator)[number % 3])
        for place in range(number, opens, connections):
            connection.open(tree, f"report {place:05}.xlsx")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--opens", type=int, default=3000)
    parser.add_argument("--connections", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    add_json(parser)
    options = parser.parse_args()
    if os.geteuid() or missing_tools(["smbstatus"]):
        cannot_run("smbd wants root, and Debian's samba")
    with for_people(options.json):
        figures = measure(options)
    report("local_samba", figures, options.json)


def measure(options: argparse.Namespace) -> list[Figure]:
    """All take their turns; a table, and what lanman takes beside what it runs."""
    with Samba() as samba, ExitStack() as stack:
        hold(samba, stack, options.opens, options.connections)
        configuration = str(samba.directory / "smb.conf")
        lanman = [sys.executable, "-m", "lanman"]
        here = ["--samba-config", configuration, "--timeout", "60"]
        programs = {
            "smbstatus": [tool("smbstatus"), "-s", configuration],
            "smbstatus --json -B": [tool("smbstatus"), "-s", configuration, "--json", "-B"],
            "lanman file --json": [*lanman, "file", "--json", *here],
            "lanman file": [*lanman, "file", *here],
            "lanman session": [*lanman, "session", *here],
        }
        listed = json.loads(timed(programs["lanman file --json"])[2])["files"]
        if len(listed) != options.opens:
            raise SystemExit(f"{len(listed)} of {options.opens} open files were listed")
        results: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
        for _ in range(options.rounds):
            for name, words in programs.items():
                results[name].append(timed(words)[:2])
    print(f"{options.opens} open files, {options.connections} connections, {options.rounds} rounds")
    medians = {}
    for name, pairs in results.items():
        took, used = (statistics.median(column) for column in zip(*pairs, strict=True))
        medians[name] = took, used
        print(f"{name:<22} {took:6.2f} s, {used:6.2f} s of processor time")
    ratio = medians["lanman file --json"][1] / medians["smbstatus --json -B"][1]
    return [
        Figure("processor time beside smbstatus --json", ratio, "x", "lower", None, "smbstatus"),
        Figure("lanman file --json", medians["lanman file --json"][0], "s", "lower", 3.0),
    ]


if __name__ == "__main__":
    main()
