"""What an idle session costs a server in memory, its connection included; and one with a lease and a durable open.

    .venv/bin/python benchmarks/session_memory.py [--sessions 1000] [--revision COMMIT]... [--json]
    .venv/bin/python benchmarks/session_memory.py --census [--sessions 1000]

Sessions are one a connection, by NTLMv2 and SMB 3.1.1. Those that are idle are impacket's client's, on `lanman serve`
and on impacket's smbserver. Those that have something open are our client's, on `lanman serve`: each with a tree
connect, and a file of its own under a lease of all rights and a durable handle. Memory is what is anonymous and
resident (`Anonymous` in /proc/PID/smaps_rollup) of the server's process; what sockets and files take is the kernel's.
It is measured in two halves, of which the worse counts: the first fills what Python keeps in reserve, and tables
double now and then. With `--revision` lanman as it was at that commit is measured, too. Linux only.

`--census` says what the memory holds instead: for the second half of the sessions the bytes that are allocated for
each, by line of source, and its objects by type.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from figures import Figure, add_json, for_people, report
from revisions import environment, unpack
from server_sessions import HOST, IMPACKET, PASSWORD, USER, Server, free_port, measure_memory

from lanman.dtyp import GENERIC_READ, GENERIC_WRITE
from lanman.net.client import SmbClient
from lanman.net.credentials import Credentials
from lanman.smb2.constants import (
    FILE_OPEN_IF,
    SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2,
    SMB2_CREATE_REQUEST_LEASE,
    SMB2_OPLOCK_LEVEL_LEASE,
)
from lanman.smb2.messages import CreateContext, CreateDurableHandleV2, CreateLease, CreateRequest, CreateResponse

# KiB for a session.
IDLE_GOAL, HOLDING_GOAL = 5.0, 8.0
ALL_RIGHTS = 7

CENSUS = Path(__file__).with_name("census.py")
# Bytes for a session from which on a line of source or a type is told.
WORTH_TELLING = 16


@contextmanager
def running(command: list[str], port: int, scratch: Path, variables: dict[str, str]) -> Iterator[Server]:
    server = Server(command, port, scratch, variables)
    try:
        server.wait_until_it_listens()
        yield server
    finally:
        server.stop()


@contextmanager
def lanman(revision: str, scratch: Path, started_by: tuple[str, ...] = ("-m", "lanman")) -> Iterator[Server]:
    """`lanman serve` as it was at a commit, with a share named data."""
    source, port = unpack(revision, scratch), free_port()
    folder = scratch / f"data {revision}"
    folder.mkdir()
    home = ["--home", str(scratch / f"home {revision}")]
    variables = environment(source)
    account = [sys.executable, "-m", "lanman", *home, "user", USER, PASSWORD, "/add"]
    subprocess.run(account, check=True, capture_output=True, env=variables)
    serve = [sys.executable, *started_by, *home, "serve", "--listen", HOST, "--port", str(port), f"data={folder}"]
    with running(serve, port, scratch, variables) as server:
        yield server


async def hold(port: int, number: int) -> SmbClient:
    """A session that has a file of its own open, under a lease and with a durable handle."""
    client = SmbClient(HOST, port, Credentials(USER, PASSWORD))
    await client.connect()
    await client.log_on()
    tree_id = await client.tree_connect("data")
    key = number.to_bytes(16, "little")
    create = CreateRequest(
        requested_oplock_level=SMB2_OPLOCK_LEVEL_LEASE,
        desired_access=GENERIC_READ | GENERIC_WRITE,
        share_access=7,
        create_disposition=FILE_OPEN_IF,
        name=f"file {number}",
        contexts=[
            CreateContext(SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2, CreateDurableHandleV2(0, 0, key).pack()),
            CreateContext(SMB2_CREATE_REQUEST_LEASE, CreateLease(key, ALL_RIGHTS).pack()),
        ],
    )
    (response,) = await client.request_all([create], tree_id)
    if not isinstance(response.message, CreateResponse) or len(response.message.contexts) != len(create.contexts):
        raise SystemExit(f"lease or durable handle was not granted ({response.status:#x})")
    return client


async def measure_holding(server: Server, sessions: int) -> tuple[float, float]:
    """KiB for each session with a lease and a durable open, of the first half and of the second."""
    costs = []
    before = server.memory()

    def half(_: int) -> None:
        nonlocal before
        now = server.memory()
        costs.append((now - before) / (sessions // 2))
        before = now

    await begin_holding(server, sessions, half)
    return costs[0], costs[1]


async def begin_holding(server: Server, sessions: int, half: Callable[[int], None]) -> None:
    """So many of them; `half` is called after each half."""
    held: list[SmbClient] = []
    for number in range(2):
        for _ in range(sessions // 2):
            held.append(await hold(server.port, len(held) + 1))
        half(number)
    for client in held:
        await client.abort()


def begin_idle(server: Server, sessions: int, half: Callable[[int], None]) -> None:
    """As `begin_holding`, of sessions that do nothing."""
    held = []
    for number in range(2):
        held += [server.log_on() for _ in range(sessions // 2)]
        half(number)
    for connection in held:
        connection.close()


def look(server: Server, file: Path) -> Any:
    """What has come to a server since the last look at what its memory holds."""
    file.unlink(missing_ok=True)
    os.kill(server._process.pid, signal.SIGUSR1)
    deadline = time.monotonic() + 60
    while not file.exists():
        if time.monotonic() > deadline:
            raise SystemExit("the server did not say what its memory holds")
        time.sleep(0.05)
    return json.loads(file.read_text())


def take_census(scratch: Path, sessions: int) -> None:
    """Tell what the second half of the sessions of both kinds consists of."""
    for what in ("idle", "lease, durable open"):
        folder = scratch / what
        folder.mkdir()
        file = folder / "census.json"
        with lanman("", folder, (str(CENSUS), str(file))) as server:
            found: list[Any] = []
            half = lambda _, server=server, file=file, found=found: found.append(look(server, file))  # noqa: E731
            if what == "idle":
                begin_idle(server, sessions, half)
            else:
                asyncio.run(begin_holding(server, sessions, half))
        each = sessions // 2
        print(f"\n{what}: {found[1]['bytes'] / each:.0f} bytes a session\n")
        print("| bytes | allocations | line | |\n|---|---|---|---|")
        for size, number, where, text in sorted(found[1]["lines"], reverse=True):
            if size / each >= WORTH_TELLING:
                print(f"| {size / each:.0f} | {number / each:.2f} | {where} | `{text[:80]}` |")
        print("\n| bytes | objects | type |\n|---|---|---|")
        for size, number, name in sorted(found[1]["types"], reverse=True):
            if size / each >= WORTH_TELLING:
                print(f"| {size / each:.0f} | {number / each:.2f} | {name} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--revision", action="append", default=[], metavar="COMMIT", help="lanman at that commit, too")
    parser.add_argument("--census", action="store_true", help="say what the memory holds instead")
    add_json(parser)
    arguments = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if soft != resource.RLIM_INFINITY else soft, hard))
    found: dict[tuple[str, str], tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        if arguments.census:
            take_census(scratch, arguments.sessions)
            return
        for revision in ["", *arguments.revision]:
            name = f"lanman {revision}".strip()
            with lanman(revision, scratch) as server:
                found[name, "idle"] = measure_memory(server, arguments.sessions)
            (scratch / f"again {revision}").mkdir()
            with lanman(revision, scratch / f"again {revision}") as server:
                found[name, "lease, durable open"] = asyncio.run(measure_holding(server, arguments.sessions))
        port = free_port()
        with running(
            [sys.executable, "-c", IMPACKET, str(port), USER, PASSWORD], port, scratch, dict(os.environ)
        ) as peer:
            found["impacket", "idle"] = measure_memory(peer, min(arguments.sessions, 200))
    with for_people(arguments.json):
        print("| Server | a session, its connection included | first half | second half |\n|---|---|---|---|")
        for (name, what), (first, second) in found.items():
            print(f"| {name} | {what} | {first:.1f} KiB | {second:.1f} KiB |")
    idle, holding, peer_idle = (
        max(found[key]) for key in (("lanman", "idle"), ("lanman", "lease, durable open"), ("impacket", "idle"))
    )
    figures = [
        Figure("idle session", idle, "KiB", goal=IDLE_GOAL, tolerance=0.1),
        Figure("session with a lease and a durable open", holding, "KiB", goal=HOLDING_GOAL, tolerance=0.1),
        Figure("idle session beside impacket's", idle / peer_idle, peer="impacket's smbserver"),
    ]
    report("session_memory", figures, arguments.json)


if __name__ == "__main__":
    main()
