"""How many bytecode steps a log-on, an OPEN, a READ and a WRITE take, here and at another commit, in one run.

Client, Server and disk stand in one process in memory, without socket or clock, so the number is the same at each run,
whatever else the machine does. What the stand-ins of the tests do for themselves (`tests/support`) is not counted: it
is not the same at both commits. One call of C counts as one step.

The default, ff17593, is the last commit before durable handles, channel sequences and repetitions: what they add to
requests that use none of them is to be nothing.

    benchmarks/steps.py [--revision ff17593] [--json]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from figures import Figure, add_json, cannot_run, for_people, report
from revisions import ROOT, environment, unpack

BEFORE = "ff17593"

# Run at both commits, so it uses what both have. The counter is its own: a commit that has one has another.
CHILD = """
import gc, json, sys, tempfile
from pathlib import Path

TESTS = sys.argv[1]
sys.path.insert(0, TESTS)

from lanman.smb2.constants import FILE_CREATE
from lanman.smb2.messages import CloseRequest, CreateRequest, LogoffRequest, ReadRequest, WriteRequest
from support.disk_server import DiskWorld

WARM = 20  # what is compiled, or kept, at its first uses


def steps(work):
    count = 0

    def within(frame, event, argument):
        nonlocal count
        count += event == "opcode"
        return within

    def trace(frame, event, argument):
        frame.f_trace_lines = False
        frame.f_trace_opcodes = not frame.f_code.co_filename.startswith(TESTS)
        return within

    gc.disable()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)
        gc.enable()
    return count


def least(work):
    for _ in range(WARM):
        work()
    return min(steps(work) for _ in range(3))


with tempfile.TemporaryDirectory() as folder:
    world = DiskWorld(Path(folder))

    def visit():
        client = world.connect()
        client.log_on("ann")
        client.ask(LogoffRequest())
        world.disconnect(client)

    found = {"log-on": least(visit)}
    client = world.user()
    contents = bytes(4096)
    file_id = client.make("a", contents)
    found["READ of 4 KiB"] = least(lambda: client.want(ReadRequest(length=4096, file_id=file_id)))
    found["WRITE of 4 KiB"] = least(lambda: client.want(WriteRequest(contents, file_id=file_id)))
    found["CREATE and CLOSE"] = least(lambda: client.shut(client.open("a")))
    world.disconnect(client)

print(json.dumps(found))
"""


def count(source: Path, tests: Path) -> dict[str, int]:
    """The steps of each thing with those sources and their stand-ins."""
    ended = subprocess.run(
        [sys.executable, "-c", CHILD, str(tests)], env=environment(source), capture_output=True, text=True, check=False
    )
    if ended.returncode:
        cannot_run(f"{source}: {ended.stderr.strip().splitlines()[-1]}")
    found: dict[str, int] = json.loads(ended.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Bytecode steps of requests, here and at another commit.")
    parser.add_argument("--revision", default=BEFORE, help=f"the commit to compare with (default: {BEFORE})")
    add_json(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            source = unpack(options.revision, Path(scratch), "tests/support")
        except subprocess.CalledProcessError:
            cannot_run(f"this copy of the project does not have commit {options.revision}")
        before = count(source, source.parent / "tests")
        now = count(ROOT / "src", ROOT / "tests")
    with for_people(options.json):
        print(f"{'':18} {options.revision:>10} {'now':>10}")
        for name, steps in now.items():
            print(f"{name:18} {before[name]:10,} {steps:10,} {steps / before[name]:8.3f} x")
    report(
        "steps",
        [
            # Nothing but the code and Python's version changes them, so little is much.
            Figure(
                name,
                steps / before[name],
                goal=None if name.startswith("CREATE") else 1.0,
                peer=options.revision,
                tolerance=0.02,
            )
            for name, steps in now.items()
        ],
        options.json,
    )


if __name__ == "__main__":
    main()
