"""What a sweep costs its client: beside impacket in 100 threads, and against the number of targets.

    .venv/bin/python benchmarks/fleet.py visits [--count 1000] [--processes 2] [--in-flight 100]
    .venv/bin/python benchmarks/fleet.py sizes [--sizes 100 1000 10000 100000] [--plot docs/images/fleet-cost.svg]

`visits`: a Server of lanman in a process of its own answers at as many loopback addresses as there are targets. `lanman
fleet`'s sweep asks them, then impacket in 100 threads of a process of its own. What counts is the processor time of the
clients, all of their processes, by visit; the Server shares the machine with them.

`sizes`: targets whose servers are scripted in the processes that would ask them (`tests/support/fleet_script.py`), a
tenth of them dead: what a sweep costs but for the protocol. Memory is the largest resident size of all its processes
together.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import json
import math
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

from lanman.fleet.processes import Processes  # noqa: E402
from lanman.fleet.sweep import sweep  # noqa: E402
from lanman.net.credentials import Credentials  # noqa: E402
from support.fleet_script import DEAD, OK, WHO, WORKER  # noqa: E402
from support.loopback_server import PASSWORDS  # noqa: E402

SERVER = """
import asyncio, sys, tempfile
from pathlib import Path
sys.path[:0] = {path!r}
from dataclasses import replace
from lanman.settings import Configuration, Limits
from support.loopback_server import running_server

async def main():
    limits = Limits(unauthenticated=100000, unauthenticated_per_address=100000)
    with tempfile.TemporaryDirectory() as folder:
        async with running_server(Path(folder), Configuration(name="FLEET", limits=limits), host="0.0.0.0") as server:
            print(server.port, flush=True)
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

asyncio.run(main())
"""

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


def visits(count: int, processes: int, in_flight: int, threads: int) -> None:
    """lanman beside impacket."""
    script = SERVER.format(path=[str(ROOT / "src"), str(ROOT / "tests")])
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", script], stdin=pipe, stdout=pipe, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        texts = [f"{host}:{port}" for host in hosts(count)]
        who = Credentials("admin", PASSWORDS["admin"])
        before, begun = used(), time.monotonic()
        counts, memory = asyncio.run(
            swept(texts, who, Processes(processes), in_flight=in_flight, deadline=60.0, connect=30.0)
        )
        seconds = time.monotonic() - begun
        ours = (used() - before) / count
        print(f"lanman    {ours * 1000:8.2f} ms a visit  {count / seconds:7.1f}/s  {memory} MiB  {counts}")
        few = hosts(min(count, 300))
        words = [sys.executable, "-c", IMPACKET, str(port), "admin", PASSWORDS["admin"], str(threads)]
        begun = time.monotonic()
        done = subprocess.run(words, input="\n".join(few), capture_output=True, text=True, check=True)
        theirs, failed, example = done.stdout.split(maxsplit=2)
        rate = len(few) / (time.monotonic() - begun)
        theirs_each = float(theirs) / len(few)
        print(f"impacket  {theirs_each * 1000:8.2f} ms a visit  {rate:7.1f}/s  failed {failed} {example.strip()}")
        print(f"impacket / lanman: {theirs_each / ours:.1f}")
        assert server.stdin is not None
        server.stdin.close()


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
        plot.write_text(svg(found))


def svg(found: list[dict[str, Any]]) -> str:
    """Seconds (left) and MiB (right) by targets; both axes by powers of ten."""
    width, height, left, right, top, bottom = 640, 360, 60, 60, 40, 50

    def at(targets: float, value: float) -> tuple[float, float]:
        x = left + (math.log10(targets) - 2) / 3 * (width - left - right)
        y = height - bottom - (math.log10(max(value, 0.1)) + 1) / 4 * (height - top - bottom)
        return round(x, 1), round(y, 1)

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        '<text x="320" y="20" text-anchor="middle">A sweep by its number of targets, one in ten dead</text>',
    ]
    for power in range(-1, 4):
        _, y = at(100, 10.0**power)
        lines.append(f'<line x1="{left}" y1="{y}" x2="{width - right}" y2="{y}" stroke="#ddd"/>')
        lines.append(f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{10.0**power:g}</text>')
    for power in range(2, 6):
        x, _ = at(10.0**power, 1)
        lines.append(f'<text x="{x}" y="{height - bottom + 18}" text-anchor="middle">{10**power:,}</text>')
    lines.append(f'<text x="{width / 2}" y="{height - 10}" text-anchor="middle">targets</text>')
    for name, label, colour in (("seconds", "seconds", "#0072b2"), ("memory", "MiB, all processes", "#d55e00")):
        points = [at(each["targets"], each[name]) for each in found]
        lines.append(
            f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="'
            + " ".join(f"{x},{y}" for x, y in points)
            + '"/>'
        )
        for (x, y), each in zip(points, found, strict=True):
            lines.append(f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>')
            lines.append(f'<text x="{x}" y="{y - 7}" text-anchor="middle" fill="{colour}">{each[name]:g}</text>')
        lines.append(
            f'<text x="{width - right}" y="{top - 8 + 14 * (name == "memory")}" text-anchor="end" '
            f'fill="{colour}">{label}</text>'
        )
    return "\n".join([*lines, "</svg>", ""])


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("visits", "sizes"))
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--in-flight", type=int, default=100)
    parser.add_argument("--threads", type=int, default=100)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000, 10_000, 100_000])
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    if given.what == "visits":
        visits(given.count, given.processes, given.in_flight, given.threads)
    else:
        sizes(given.sizes, given.processes, given.plot)


if __name__ == "__main__":
    main()
