"""How long an honest client waits while another copies: ECHO on lanman and on smbd, in turns.

    .venv/bin/python benchmarks/echo.py [--size 256] [--rounds 2] [--loop asyncio] [--json]

smbclient gets and puts a large file, plain, signed and encrypted; a client in another process asks an ECHO every 20 ms
meanwhile, as long as that copies. Median, 99th percentile and longest, of all rounds together. What the machine makes
everybody wait is in all of them: so both servers are measured in one run. Starting smbd takes root. Linux only.

To reach: the 99th percentile is not worse than smbd's.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from bystander import Bystander, percentile  # noqa: E402
from enumerate import free_port  # noqa: E402
from figures import Figure, add_json, cannot_run, for_people, report  # noqa: E402
from transfer import PASSWORD, PROTECTIONS, Peer, process  # noqa: E402

from support.smbd import Account, Samba, Tools  # noqa: E402

ECHO_EVERY = 0.02
Times = dict[tuple[str, str, str], list[float]]


def start_lanman(stack: ExitStack, scratch: Path, loop: str) -> Peer:
    home, folder, port = scratch / "home", scratch / "lanman", free_port()
    home.mkdir(mode=0o700)
    folder.mkdir()
    chosen = f'loop = "{loop}"\n' if loop else ""
    (home / "server.toml").write_text(f'[server]\nsigning = "offered"\n{chosen}')
    python = [sys.executable, "-m", "lanman", "--home", str(home)]
    environment = {"PYTHONPATH": str(ROOT / "src")}
    add = [*python, "user", "daemon", PASSWORD, "/add"]
    subprocess.run(add, check=True, capture_output=True, env=os.environ | environment)
    serve = [*python, "serve", f"share={folder}", "--listen", "127.0.0.1", "--port", str(port)]
    running = stack.enter_context(process(serve, "Listening", scratch / "lanman.log", **environment))
    return Peer("lanman", Tools(scratch, port), Account("daemon", PASSWORD), running, folder)


def copy(peer: Peer, source: Path, protection: str, way: str, bystander: Bystander) -> list[float]:
    """What ECHOs take while the file is copied."""
    command = f"get {source.name} /dev/null" if way == "get" else f"put {source.name}"
    options = [f"--client-protection={protection}", "-t", "300", "-c", f"lcd {source.parent}; {command}"]
    smbclient = [*peer.tools.command("smbclient", peer.account), *options, f"//{peer.tools.host}/share"]
    bystander.took()
    done = subprocess.run(smbclient, capture_output=True, text=True, timeout=300)
    if "NT_STATUS" in done.stdout + done.stderr:
        raise SystemExit(f"{peer.name} {protection}: {done.stdout}{done.stderr}")
    return bystander.took()


def measure(peers: list[Peer], source: Path, rounds: int) -> Times:
    """By way, protection and server."""
    times: Times = defaultdict(list)
    with ExitStack() as stack:
        bystanders = {}
        for peer in peers:
            account = (peer.account.user_name, peer.account.password)
            bystanders[peer.name] = stack.enter_context(Bystander(peer.tools.port, account, ECHO_EVERY))
        for number in range(rounds):
            for protection in PROTECTIONS:
                for peer in peers[:: -1 if number % 2 else 1]:
                    for way in ("put", "get"):
                        found = copy(peer, source, protection, way, bystanders[peer.name])
                        times[way, protection, peer.name] += found
    return times


def beside_smbd(times: Times) -> Iterator[Figure]:
    """The 99th percentile beside smbd's: of each copy, and of all."""
    every: dict[str, list[float]] = defaultdict(list)
    for (_, _, name), found in times.items():
        every[name] += found
    for way, protection, name in times:
        if name == "lanman":
            ours, theirs = times[way, protection, "lanman"], times[way, protection, "smbd"]
            ratio = percentile(ours, 0.99) / percentile(theirs, 0.99)
            yield Figure(f"ECHO p99 during {way}, {protection}", ratio, "x", peer="smbd", tolerance=1.0)
    ratio = percentile(every["lanman"], 0.99) / percentile(every["smbd"], 0.99)
    yield Figure("ECHO p99 while another copies", ratio, "x", goal=1.0, peer="smbd", tolerance=0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256, help="MiB")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--loop", default="", help="the event loop of lanman's Server ([server] loop)")
    add_json(parser)
    options = parser.parse_args()
    if os.geteuid():
        cannot_run("starting smbd takes root")
    with ExitStack() as stack:
        scratch = Path(tempfile.mkdtemp(prefix="lanman-echo-"))
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        source = scratch / "source.bin"
        block = os.urandom(1 << 20)
        with source.open("wb") as file:
            for _ in range(options.size):
                file.write(block)
        samba = stack.enter_context(Samba())
        peers = [start_lanman(stack, scratch, options.loop), Peer("smbd", samba, samba.user, 0, samba.share)]
        times = measure(peers, source, options.rounds)
    with for_people(options.json):
        print("| Copy | server | ECHOs | median | 99 % | longest |")
        print("|---|---|---|---|---|---|")
        for (way, protection, name), found in times.items():
            figures = " | ".join(f"{percentile(found, part):.1f} ms" for part in (0.5, 0.99, 1.0))
            print(f"| {way}, {protection} | {name} | {len(found)} | {figures} |")
    report("echo", list(beside_smbd(times)), options.json)


if __name__ == "__main__":
    main()
