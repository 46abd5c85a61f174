"""How long `lanman doctor` takes on a healthy server, as a whole process.

    .venv/bin/python benchmarks/doctor.py [--rounds 10] [--json]

Our Server and an smbd (as root, where it is installed) each in turns with `lanman session -S` of the same server, whose
one question it takes, and with rpcclient's `netsessenum`. To reach: 2 seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from figures import Figure, add_json, for_people, report

from support.loopback_server import PASSWORDS, running_server
from support.smbd import Account, Samba, missing_tools

LANMAN = [sys.executable, "-c", "import sys; from lanman.__main__ import main; sys.exit(main())"]
GOAL = 2.0


@contextmanager
def our_server() -> Iterator[tuple[int, Account]]:
    """Our Server in a thread, and an administrator of it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    with tempfile.TemporaryDirectory() as folder:
        context = running_server(Path(folder))
        server = asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result()
        try:
            yield server.port, Account("admin", PASSWORDS["admin"])
        finally:
            asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()


@contextmanager
def smbd() -> Iterator[tuple[int, Account]]:
    """An smbd, and who may list there."""
    with Samba() as server:
        yield server.port, server.administrator


def measure(port: int, account: Account, rounds: int) -> dict[str, list[float]]:
    """The seconds that each command takes, in turns."""
    where = ["-S", f"127.0.0.1:{port}", "-U", account.login]
    commands = {"lanman doctor": [*LANMAN, "doctor", *where], "lanman session": [*LANMAN, "session", *where]}
    if not missing_tools(["rpcclient"]):
        ask = ["rpcclient", "-p", str(port), "-U", account.login, "-c", "netsessenum", "127.0.0.1"]
        commands["rpcclient netsessenum"] = ask
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            begun = time.perf_counter()
            done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
            assert name == "rpcclient netsessenum" or done.returncode == 0, (name, done.returncode)
            if number:
                taken[name].append(time.perf_counter() - begun)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    add_json(parser)
    options = parser.parse_args()
    with for_people(options.json):
        figures = compare(options.rounds)
    report("doctor", figures, options.json)


def compare(rounds: int) -> list[Figure]:
    """A table, and what an examination takes beside a list."""
    figures = []
    servers = {"lanman Server": our_server}
    if os.geteuid() == 0 and not missing_tools():
        servers["smbd 4.17"] = smbd
    print("| Server | Process | median | most | of the goal |\n|---|---|---|---|---|")
    for server, start in servers.items():
        medians: dict[str, float] = {}
        with start() as (port, account):
            for name, times in measure(port, account, rounds).items():
                median = statistics.median(times)
                medians[name] = median
                print(f"| {server} | `{name}` | {median:.3f} s | {max(times):.3f} s | {median / GOAL:.0%} |")
        ratio = medians["lanman doctor"] / medians["lanman session"]
        figures.append(Figure(f"{server}: beside lanman session", ratio, "x", "lower", None, "lanman session"))
        figures.append(Figure(f"{server}: an examination", medians["lanman doctor"], "s", "lower", GOAL))
    return figures


if __name__ == "__main__":
    main()
