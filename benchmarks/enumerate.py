"""What it costs a server to list 10,000 sessions, open files and tree connects, and how long others wait meanwhile.

    .venv/bin/python benchmarks/enumerate.py [--sessions 10000] [--smbd-sessions 1000] [--rounds 5]
        [--peers lanman,smbd] [--loop uvloop] [--json]

Real sessions by NTLMv2 in a process of their own, 200 on each connection from other loopback addresses, and half as
many open files and tree connects (those of a connection on one of its sessions). The lists are asked over SMB, signed,
by lanman's own client, whose fragments are of 64 KiB; and by rpcclient and impacket, whose are of 4 KiB, each a READ.
The processor time is that of the server with all processes that it starts, the least of the rounds; of rpcclient its
whole visit, less that of a visit which lists nothing. Another client asks an ECHO every 4 ms meanwhile, whose own
processor time (some 0.05 ms each) is in it: the longest of each round, the median of the rounds, since what the machine
does beside counts in each.

smbd gives sessions at levels 0 and 1 alone, open files at 3, and no tree connects. It holds fewer, since a log-on takes
it ten times as long; so it is compared by the entry. Starting it takes root. Linux only.

To reach: NetrSessionEnum 502 of 10,000 in 40 ms of processor time, and no ECHO of another takes more than 10 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from bystander import Bystander  # noqa: E402
from crowd import Crowd  # noqa: E402
from figures import Figure, add_json, cannot_run, for_people, report  # noqa: E402
from transfer import process  # noqa: E402

from lanman.net.client import SmbClient  # noqa: E402
from lanman.net.credentials import Credentials  # noqa: E402
from lanman.rpc.srvsvc import NetrConnectionEnum, NetrFileEnum, NetrSessionEnum  # noqa: E402
from support.smbd import Account, Samba, Tools  # noqa: E402

SERVER, ALL = "127.0.0.1", 0xFFFFFFFF
ECHO_EVERY = 0.004
EACH = 200  # sessions of a connection
CALLS: dict[str, Callable[[], Any]] = {
    **{
        f"sessions, level {level}": lambda level=level: NetrSessionEnum(None, None, None, level, [], ALL, None)
        for level in (502, 2, 1, 10, 0)
    },
    "open files, level 3": lambda: NetrFileEnum(None, None, None, 3, [], ALL, None),
    "tree connects, level 1": lambda: NetrConnectionEnum(None, "share", 1, [], ALL, None),
}
GOAL = "sessions, level 502"
COMMANDS = {
    "sessions, level 1": "netsessenum",  # it can ask for another level of one client alone
}


@dataclass
class Peer:
    """A server. `marks` are words of the command lines of all its processes."""

    name: str
    tools: Tools
    administrator: Account
    user: Account
    mark: str
    known: tuple[str, ...]
    sessions: int

    def processor(self) -> float:
        """Seconds of processor time of all its processes so far."""
        return sum(self._each())

    def _each(self) -> Iterator[float]:
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with suppress(OSError):
                if self.mark.encode() in (entry / "cmdline").read_bytes():
                    # Its clock counts nanoseconds, /proc/PID/stat hundredths of a second: clock_getcpuclockid(3).
                    yield time.clock_gettime((~int(entry.name) << 3) | 2)


@dataclass
class Figures:
    """Of one list, by round: seconds of processor time, and the longest ECHO of another; and how many entries."""

    processor: list[float] = field(default_factory=list)
    longest: list[float] = field(default_factory=list)
    entries: int = 0


def start_lanman(stack: ExitStack, scratch: Path, options: argparse.Namespace) -> Peer:
    home, port = scratch / "home", free_port()
    home.mkdir(mode=0o700)
    folders(scratch / "share", connections_of(options.sessions))
    loop = f'loop = "{options.loop}"\n' if options.loop else ""
    (home / "server.toml").write_text(f"[server]\n{loop}")
    python = [sys.executable, "-m", "lanman", "--home", str(home)]
    environment = {"PYTHONPATH": str(ROOT / "src")}
    administrator, user = Account("admin", "an adm1n"), Account("ann", "a passw0rd")
    for account in (administrator, user):
        add = [*python, "user", account.user_name, account.password, "/add"]
        subprocess.run(add, check=True, capture_output=True, env=os.environ | environment)
    group = [*python, "localgroup", "Administrators", "admin", "/add"]
    subprocess.run(group, check=True, capture_output=True, env=os.environ | environment)
    serve = [*python, "serve", f"share={scratch / 'share'}", "--listen", SERVER, "--port", str(port)]
    stack.enter_context(process(serve, "Listening", scratch / "lanman.log", **environment))
    return Peer("lanman", Tools(scratch, port), administrator, user, str(home), tuple(CALLS), options.sessions)


def start_smbd(stack: ExitStack, options: argparse.Namespace) -> Peer:
    samba = stack.enter_context(Samba())
    folders(samba.share, connections_of(options.smbd_sessions))
    known = ("sessions, level 1", "sessions, level 0", "open files, level 3")
    return Peer("smbd", samba, samba.administrator, samba.user, str(samba.directory), known, options.smbd_sessions)


def connections_of(sessions: int) -> int:
    """On how many connections so many sessions are: fewer than fill one are on one."""
    return max(1, sessions // EACH)


def folders(share: Path, connections: int) -> None:
    """A folder of the share for each connection's files, where everybody may write."""
    share.mkdir(exist_ok=True)
    for path in (share, *(share / str(number) for number in range(connections))):
        path.mkdir(exist_ok=True)
        path.chmod(0o777)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((SERVER, 0))
        return int(probe.getsockname()[1])


async def by_lanman(peer: Peer, options: argparse.Namespace, bystander: Bystander) -> dict[str, Figures]:
    """Each list, again and again, by lanman's client in this process."""
    figures = {name: Figures() for name in peer.known}
    credentials = Credentials(peer.administrator.user_name, peer.administrator.password)
    async with SmbClient(SERVER, peer.tools.port, credentials) as client:
        pipe = await client.open_pipe()
        for _ in range(options.rounds):
            for name, found in figures.items():
                await asyncio.sleep(0.05)
                bystander.took()
                before = peer.processor()
                answer = await pipe.call(CALLS[name]())
                await asyncio.sleep(0.01)  # an ECHO that waited has its answer
                taken, echoes = peer.processor() - before, bystander.took()
                found.processor.append(taken)
                found.longest.append(max(echoes))
                found.entries = len(answer.entries)
                if answer.status:
                    raise SystemExit(f"{peer.name}, {name}: {answer.status}")
    return figures


def idle(bystander: Bystander) -> float:
    """The longest ECHO of a second in which nothing else happens, in seconds."""
    bystander.took()
    time.sleep(1)
    return max(bystander.took())


def by_rpcclient(peer: Peer, options: argparse.Namespace, bystander: Bystander) -> dict[str, Figures]:
    """The same by rpcclient: what its visit costs beyond one that lists nothing."""

    def visit(command: str) -> tuple[float, float, str]:
        bystander.took()
        before = peer.processor()
        said = peer.tools.rpcclient(peer.administrator, command)
        time.sleep(0.1)  # until the server has taken leave of it
        taken, echoes = peer.processor() - before, bystander.took()
        return taken, max(echoes), said

    figures = {name: Figures() for name in COMMANDS if name in peer.known}
    for _ in range(max(1, options.rounds // 2)):
        empty, _, _ = visit("netremotetod")
        for name, found in figures.items():
            taken, longest, said = visit(COMMANDS[name])
            if "ERR" in said:
                raise SystemExit(f"rpcclient, {peer.name}, {name}: {said[-300:]}")
            found.processor.append(taken - empty)
            found.longest.append(longest)
    return figures


def by_impacket(peer: Peer, options: argparse.Namespace, bystander: Bystander) -> dict[str, Figures]:
    """Level 502 by impacket, whose fragments are of 4 KiB too; what it computes itself comes after the measurement."""
    from impacket.dcerpc.v5 import srvs, transport

    if GOAL not in peer.known:
        return {}
    found = Figures()
    bound = transport.DCERPCTransportFactory(f"ncacn_np:{SERVER}[\\pipe\\srvsvc]")
    bound.set_dport(peer.tools.port)
    bound.set_credentials(peer.administrator.user_name, peer.administrator.password)
    dce = bound.get_dce_rpc()
    dce.connect()
    dce.bind(srvs.MSRPC_UUID_SRVS)
    for _ in range(max(1, options.rounds // 2)):
        request = srvs.NetrSessionEnum()
        request["ServerName"] = request["ClientName"] = request["UserName"] = srvs.NULL
        request["InfoStruct"]["Level"] = request["InfoStruct"]["SessionInfo"]["tag"] = 502
        request["InfoStruct"]["SessionInfo"]["Level502"]["Buffer"] = srvs.NULL
        request["PreferedMaximumLength"] = ALL
        bystander.took()
        before = peer.processor()
        dce.call(request.opnum, request)
        dce.recv()
        time.sleep(0.01)
        taken, echoes = peer.processor() - before, bystander.took()
        found.processor.append(taken)
        found.longest.append(max(echoes))
    dce.disconnect()
    return {GOAL: found}


def measure(peer: Peer, options: argparse.Namespace) -> dict[str, dict[str, Figures]]:
    """By client and list."""
    account = (peer.user.user_name, peer.user.password)
    with ExitStack() as stack:
        begun = time.monotonic()
        bystander = stack.enter_context(Bystander(peer.tools.port, account, ECHO_EVERY))
        crowd = Crowd(
            peer.tools.port,
            account,
            sessions=peer.sessions,
            connections=connections_of(peer.sessions),
            files=peer.sessions // 2,
            share="share",
        )
        stack.enter_context(crowd)
        print(f"{peer.name}: {peer.sessions} sessions in {time.monotonic() - begun:.0f} s", file=sys.stderr)
        longest = idle(bystander)
        print(
            f"{peer.name}: the longest ECHO of a second in which nothing is listed: {longest * 1000:.1f} ms",
            file=sys.stderr,
        )
        return {
            "lanman": asyncio.run(by_lanman(peer, options, bystander)),
            "rpcclient": by_rpcclient(peer, options, bystander),
            "impacket": by_impacket(peer, options, bystander),
        }


def table(measured: dict[str, dict[str, dict[str, Figures]]]) -> None:
    print("| List | server | client | entries | processor time of the server | longest ECHO of another |")
    print("|---|---|---|---|---|---|")
    for server, clients in measured.items():
        for client, lists in clients.items():
            for name, found in lists.items():
                print(
                    f"| {name} | {server} | {client} | {found.entries or 'as many'} "
                    f"| {min(found.processor) * 1000:.1f} ms | {statistics.median(found.longest) * 1000:.1f} ms |"
                )


def figures(measured: dict[str, dict[str, dict[str, Figures]]]) -> Iterator[Figure]:
    """What is to be reached, and what each entry takes beside smbd."""
    ours = measured["lanman"]["lanman"]
    goal = ours[GOAL]
    yield Figure(f"processor time for {goal.entries} {GOAL}", min(goal.processor) * 1000, "ms", goal=40)
    for name, found in ours.items():
        longest = statistics.median(found.longest) * 1000
        yield Figure(f"longest ECHO of another, {name}", longest, "ms", goal=10 if name == GOAL else None)
    for name, theirs in measured.get("smbd", {}).get("lanman", {}).items():
        ratio = (min(ours[name].processor) / ours[name].entries) / (min(theirs.processor) / theirs.entries)
        yield Figure(f"an entry of {name}", ratio, "x", peer="smbd")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=10000, help=f"{EACH} on each connection")
    parser.add_argument("--smbd-sessions", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", default="lanman,smbd", help="which of the two")
    parser.add_argument("--loop", default="", help="the event loop of lanman's Server ([server] loop)")
    add_json(parser)
    options = parser.parse_args()
    if "smbd" in options.peers and os.geteuid():
        cannot_run("starting smbd takes root; --peers lanman goes without it")
    measured = {}
    with for_people(options.json):
        for name in options.peers.split(","):
            with ExitStack() as stack:
                scratch = Path(tempfile.mkdtemp(prefix="lanman-enumerate-"))
                stack.callback(shutil.rmtree, scratch, ignore_errors=True)
                peer = start_lanman(stack, scratch, options) if name == "lanman" else start_smbd(stack, options)
                measured[name] = measure(peer, options)
        table(measured)
    report("enumerate", list(figures(measured)), options.json)


if __name__ == "__main__":
    main()
