"""What a visit takes on a slow link: wall time and round trips through a proxy that delays.

    .venv/bin/python benchmarks/round_trips.py [--delay 20] [--rounds 5] [--json]

A visit is: connect, log on, open srvsvc, list the sessions, leave. Bytes pass through a proxy that adds half of
`--delay` milliseconds in each direction: the delay of a round trip, 20 ms where nothing else is said. Through it go, in
turns, lanman (the library, in a process that has its modules loaded and knows the server), rpcclient (the whole
process) and impacket, to an smbd and to a Server of lanman. The proxy is a process of its own, and tells how often each
client spoke and waited. The clock tells the delays, which the machine's load does not change much. Without smbd,
rpcclient or impacket what needs them is left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from figures import Figure, add_json, for_people, report  # noqa: E402
from logon_enumerate import impacket_visitor, lanman_visitor  # noqa: E402

from support.loopback_server import PASSWORDS  # noqa: E402
from support.smbd import Account, Samba, Tools, missing_tools  # noqa: E402

# lanman's round trips: NEGOTIATE, two of the log-on, all of the opening, the call.
GOAL = 5

SERVER = """
import asyncio, sys, tempfile
from pathlib import Path
sys.path[:0] = {path!r}
from support.loopback_server import running_server

async def main():
    with tempfile.TemporaryDirectory() as folder:
        async with running_server(Path(folder)) as server:
            print(server.port, flush=True)
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

asyncio.run(main())
"""

PROXY = """
import asyncio, sys
sys.path[:0] = {path!r}
from support.delaying_proxy import delaying_proxy

async def main():
    async with delaying_proxy({port}, {seconds}) as proxy:
        print(proxy.port, flush=True)
        loop = asyncio.get_running_loop()
        while await loop.run_in_executor(None, sys.stdin.readline):
            done = proxy.connections[-1]
            print(done.flights, len(done.answered), flush=True)

asyncio.run(main())
"""


@dataclass
class Proxy:
    """The proxy's process: where it listens, and what it has seen."""

    port: int
    process: subprocess.Popen[str]

    def flights(self) -> tuple[int, int]:
        """How often the client of the latest connection spoke, and how often it was answered."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        spoke, answered = self.process.stdout.readline().split()
        return int(spoke), int(answered)


@contextmanager
def started(script: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """A process that prints its port, and ends with its input."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", script], stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline()), process
        finally:
            process.kill()


@contextmanager
def proxied(port: int, seconds: float) -> Iterator[Proxy]:
    """A proxy in front of a server, `seconds` each way."""
    path = [str(ROOT / "src"), str(ROOT / "tests")]
    with started(PROXY.format(path=path, port=port, seconds=seconds)) as (own, process):
        yield Proxy(own, process)


def rpcclient_visitor(folder: Path, port: int, user: str, password: str) -> Callable[[], int]:
    """The whole process: what a script that calls it has."""
    tools = Tools(folder, port)

    def visit() -> int:
        return tools.rpcclient(Account(user, password), "netsessenum").count("username")

    return visit


@dataclass
class Found:
    """What a client took at a server."""

    seconds: float
    spoke: int
    answered: int


def measure(visitors: dict[str, Callable[[], int]], proxy: Proxy, rounds: int) -> dict[str, Found]:
    """The median wall time of a visit, the visitors in turns, and the flights of the last one."""
    times: dict[str, list[float]] = {name: [] for name in visitors}
    flights: dict[str, tuple[int, int]] = {}
    for visit in visitors.values():
        visit()  # modules are loaded, and what the server grants is known
    for _ in range(rounds):
        for name, visit in visitors.items():
            begun = time.perf_counter()
            visit()
            times[name].append(time.perf_counter() - begun)
            flights[name] = proxy.flights()
    return {name: Found(statistics.median(values), *flights[name]) for name, values in times.items()}


def visited(name: str, port: int, user: str, password: str, delay: float, rounds: int) -> dict[str, Found]:
    """All clients at one server, and a table of it."""
    with tempfile.TemporaryDirectory() as folder, proxied(port, delay / 2) as proxy:
        login = proxy.port, user, password
        visitors = {"lanman": lanman_visitor("127.0.0.1", *login)}
        if not missing_tools(("rpcclient",)):
            visitors["rpcclient"] = rpcclient_visitor(Path(folder), *login)
        if importlib.util.find_spec("impacket") is not None:
            visitors["impacket"] = impacket_visitor("127.0.0.1", *login)
        found = measure(visitors, proxy, rounds)
    for client, each in found.items():
        milliseconds = f"{each.seconds * 1000:.0f}"
        print(f"| {name} | {client} | {milliseconds} ms | {each.seconds / delay:.1f} | {each.spoke} |")
    return found


def main() -> None:
    """Measure, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--delay", type=float, default=20.0, help="milliseconds of a round trip")
    parser.add_argument("--rounds", type=int, default=5)
    add_json(parser)
    given = parser.parse_args()
    delay = given.delay / 1000
    figures: list[Figure] = []
    with ExitStack() as stack, for_people(given.json):
        print("| server | client | a visit | in delays | times that the client spoke |\n|---|---|---|---|---|")
        port, _ = stack.enter_context(started(SERVER.format(path=[str(ROOT / "src"), str(ROOT / "tests")])))
        servers = {"lanman's Server": (port, "admin", PASSWORDS["admin"])}
        if not missing_tools() and os.geteuid() == 0:
            samba = stack.enter_context(Samba())
            servers["smbd"] = samba.port, samba.administrator.user_name, samba.administrator.password
        for name, where in servers.items():
            found = visited(name, *where, delay, given.rounds)
            ours = found["lanman"]
            figures.append(Figure(f"round trips of a visit, {name}", ours.spoke - 1, "round trips", goal=GOAL))
            for peer in [each for each in found if each != "lanman"]:
                ratio = ours.seconds / found[peer].seconds
                figures.append(Figure(f"a visit at {given.delay:g} ms beside {peer}, {name}", ratio, peer=peer))
    report("round_trips", figures, given.json)


if __name__ == "__main__":
    main()
