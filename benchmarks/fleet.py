"""What a sweep costs its client: beside impacket in 100 threads, and against the number of targets.

    .venv/bin/python benchmarks/fleet.py visits [--count 1000] [--processes 2] [--in-flight 100] [--json]
    .venv/bin/python benchmarks/fleet.py sizes [--sizes 100 1000 10000 100000] [--keep docs/images/what-it-costs.json]

`visits`: a Server of lanman in a process of its own answers at as many loopback addresses as there are targets. `lanman
fleet`'s sweep asks them, then impacket in 100 threads of a process of its own. What counts is the processor time of the
clients, all of their processes, by visit; the Server shares the machine with them. `warm` is a visit of a sweep that is
under way: what --count targets take more than a fifth of them, by the difference, so without starting the processes.
All targets are one Server here, so each visit lists as many sessions as there are visits in flight.

`sizes`: targets whose servers are scripted in the processes that would ask them (`tests/support/fleet_script.py`), a
tenth of them dead: what a sweep costs but for the protocol. Memory is the largest resident size of all its processes
together.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import ipaddress
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from figures import Figure, add_json, cannot_run, for_people, report  # noqa: E402

from lanman.fleet.processes import Processes  # noqa: E402
from lanman.fleet.sweep import sweep  # noqa: E402
from lanman.net.credentials import Credentials  # noqa: E402
from support.answering_server import answering_server  # noqa: E402
from support.fleet_script import DEAD, OK, WHO, WORKER  # noqa: E402
from support.loopback_server import PASSWORDS  # noqa: E402

IMPACKET = """
import resource, sys, threading, queue
from impacket.dcerpc.v5 import srvs, transport
from impacket.smbconnection import SMBConnection
port, user, password, threads = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
targets = queue.SimpleQueue()
for line in sys.stdin: targets.put(line.strip())
failed = []

def visit(host):
    connection = SMBConnection(host, host, sess_port=port, timeout=60)
    connection.login(user, password)
    rpc = transport.SMBTransport(host, filename=r"\\srvsvc", smb_connection=connection).get_dce_rpc()
    rpc.connect()
    rpc.bind(srvs.MSRPC_UUID_SRVS)
    srvs.hNetrSessionEnum(rpc, "\\0", "\\0", 502)
    rpc.disconnect()
    connection.logoff()
    connection.close()

def work():
    while True:
        try: host = targets.get_nowait()
        except queue.Empty: return
        try: visit(host)
        except Exception as error: failed.append(repr(error))

before = resource.getrusage(resource.RUSAGE_SELF)
workers = [threading.Thread(target=work) for _ in range(threads)]
for each in workers: each.start()
for each in workers: each.join()
after = resource.getrusage(resource.RUSAGE_SELF)
print(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, len(failed), failed[:1])
"""


def hosts(count: int) -> list[str]:
    """So many loopback addresses."""
    first = int(ipaddress.ip_address("127.1.0.1"))
    return [str(ipaddress.ip_address(first + number)) for number in range(count)]


def used() -> float:
    """Processor seconds of this process and of those that it has waited for."""
    found = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in found)


def resident(pid: int) -> int:
    """The resident size of a process in KiB; 0 where it has gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
    except (OSError, IndexError):
        return 0


async def swept(targets: list[str], who: Credentials, scheduler: Processes, **how: Any) -> tuple[dict[str, int], int]:
    """Ask; how many have each outcome, and the most memory of all processes together, in MiB."""
    most = 0

    async def look() -> None:
        nonlocal most
        while True:
            most = max(most, sum(map(resident, [os.getpid(), *scheduler.pids])))
            await asyncio.sleep(0.1)

    with tempfile.TemporaryDirectory() as folder:
        how = {"per_subnet": 10**6, "scheduler": scheduler, "out": Path(folder) / "out", **how}
        async with sweep("sessions", targets, who, **how) as running:
            looking = asyncio.create_task(look())
            async for _ in running:
                pass
            looking.cancel()
        return {each.value: count for each, count in running.progress.counts.items()}, most // 1024


def visits(count: int, processes: int, in_flight: int, threads: int) -> list[Figure]:
    """lanman beside impacket."""
    with answering_server() as port:
        few = count // 5
        begin, _ = swept_once(few, port, processes, in_flight)
        whole, seconds = swept_once(count, port, processes, in_flight)
        ours, warm = whole / count, (whole - begin) / (count - few)
        print(f"lanman    {ours * 1000:8.2f} ms a visit  {count / seconds:7.1f}/s, warm {warm * 1000:.2f} ms")
        theirs = impacket_visit(min(count, 300), port, threads)
        print(f"impacket / lanman: {theirs / ours:.1f}")
    return [
        Figure("a visit of a sweep beside impacket's", ours / theirs, goal=1 / 15, peer="impacket in threads"),
        Figure("a visit of a warm sweep", warm * 1000, "ms", goal=1.4),
        Figure("servers a second of two processors", 2 / warm, "/s", "higher", goal=1400),
    ]


def swept_once(count: int, port: int, processes: int, in_flight: int) -> tuple[float, float]:
    """Processor seconds of a sweep's processes, and seconds."""
    texts = [f"{host}:{port}" for host in hosts(count)]
    who = Credentials("admin", PASSWORDS["admin"])
    before, begun = used(), time.monotonic()
    counts, memory = asyncio.run(
        swept(texts, who, Processes(processes), in_flight=in_flight, deadline=60.0, connect=30.0)
    )
    print(f"{count} targets: {counts}, {memory} MiB")
    assert counts["ok"] == count, counts
    return used() - before, time.monotonic() - begun


def impacket_visit(count: int, port: int, threads: int) -> float:
    """Processor seconds of a visit by impacket, in threads of one process."""
    few = hosts(count)
    words = [sys.executable, "-c", IMPACKET, str(port), "admin", PASSWORDS["admin"], str(threads)]
    begun = time.monotonic()
    done = subprocess.run(words, input="\n".join(few), capture_output=True, text=True, check=True)
    theirs, failed, example = done.stdout.split(maxsplit=2)
    rate = len(few) / (time.monotonic() - begun)
    each = float(theirs) / len(few)
    print(f"impacket  {each * 1000:8.2f} ms a visit  {rate:7.1f}/s  failed {failed} {example.strip()}")
    return each


def sizes(counts: list[int], processes: int, plot: Path | None) -> None:
    """Seconds and memory by the number of targets."""
    found = []
    for count in counts:
        texts = [f"{host}:{DEAD if number % 10 == 0 else OK}" for number, host in enumerate(hosts(count))]
        before, begun = used(), time.monotonic()
        results, memory = asyncio.run(
            swept(texts, WHO, Processes(processes, command=WORKER), in_flight=1000, logon_failures=1000)
        )
        seconds = time.monotonic() - begun
        assert sum(results.values()) == count, results
        found.append(
            {"targets": count, "seconds": round(seconds, 2), "memory": memory, "cpu": round(used() - before, 2)}
        )
        print(json.dumps(found[-1]), results, flush=True)
    if plot is not None:
        kept = json.loads(plot.read_text())
        plot.write_text(json.dumps(kept | {"fleet": found}, indent=1) + "\n")


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("visits", "sizes"))
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--in-flight", type=int, default=100)
    parser.add_argument("--threads", type=int, default=100)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000, 10_000, 100_000])
    parser.add_argument("--keep", type=Path, dest="plot", help="the data of the plots, benchmarks/plots.py")
    add_json(parser)
    given = parser.parse_args()
    if given.what == "visits":
        if importlib.util.find_spec("impacket") is None:
            cannot_run("impacket is not installed")
        with for_people(given.json):
            figures = visits(given.count, given.processes, given.in_flight, given.threads)
        report("fleet", figures, given.json)
    else:
        sizes(given.sizes, given.processes, given.plot)


if __name__ == "__main__":
    main()
