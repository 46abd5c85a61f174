"""How fast smbclient gets and puts a large file: from lanman, smbd and impacket's smbserver in turns.

    .venv/bin/python benchmarks/transfer.py [--size 512] [--rounds 3]

One smbclient, one file of random octets on the same disk, SMB 3.1.1; what is read goes to /dev/null, what is written
stays in the page cache. Unprotected, signed and encrypted; impacket's smbserver speaks SMB 2.1 and can only do the
first. The servers take turns within a round, in the opposite order in every other one, and each puts the file once
before it counts: in a virtual machine memory that nobody has touched lately has to come from the host first, which is
slower than any of them. Starting smbd takes root.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from samba import Account, Samba, Tools  # noqa: E402

PROTECTIONS = ("off", "sign", "encrypt")
PASSWORD = "a password"

IMPACKET = """
import sys
from impacket import smbserver
from impacket.ntlm import compute_lmhash, compute_nthash
port, folder, user, password = sys.argv[1:]
server = smbserver.SimpleSMBServer(listenAddress="127.0.0.1", listenPort=int(port))
server.addShare("share", folder)
server.setSMB2Support(True)
server.addCredential(user, 0, compute_lmhash(password).hex(), compute_nthash(password).hex())
server.start()
"""


@dataclass
class Peer:
    """A server: how smbclient reaches it, and which protections it knows."""

    name: str
    tools: Tools
    account: Account
    protections: tuple[str, ...] = PROTECTIONS


@contextmanager
def process(command: list[str], ready: str, log: Path, **environment: str) -> Iterator[None]:
    """A server that says `ready` in its log when it listens ("": when its port does)."""
    with log.open("wb") as output:
        running = subprocess.Popen(command, stdout=output, stderr=output, env=os.environ | environment)
    try:
        deadline = time.monotonic() + 20
        while ready not in log.read_text(errors="replace") and running.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        if running.poll() is not None:
            raise SystemExit(f"{command[0]} ended: {log.read_text()}")
        yield
    finally:
        running.terminate()
        running.wait(20)


def start_lanman(stack: ExitStack, scratch: Path, port: int) -> Peer:
    home = scratch / "home"
    home.mkdir()
    (home / "server.toml").write_text('[server]\nsigning = "offered"\n')
    folder = scratch / "lanman"
    folder.mkdir()
    python = [sys.executable, "-m", "lanman", "--home", str(home)]
    environment = {"PYTHONPATH": str(ROOT / "src")}
    add = [*python, "user", "daemon", PASSWORD, "/add"]
    subprocess.run(add, check=True, capture_output=True, env=os.environ | environment)
    serve = [*python, "serve", f"share={folder}", "--listen", "127.0.0.1", "--port", str(port)]
    stack.enter_context(process(serve, "Listening", scratch / "lanman.log", **environment))
    return Peer("lanman", Tools(scratch, port), Account("daemon", PASSWORD))


def start_impacket(stack: ExitStack, scratch: Path, port: int) -> Peer:
    folder = scratch / "impacket"
    folder.mkdir()
    command = [sys.executable, "-c", IMPACKET, str(port), str(folder), "daemon", PASSWORD]
    stack.enter_context(process(command, "Config file parsed", scratch / "impacket.log"))
    return Peer("impacket", Tools(scratch, port), Account("daemon", PASSWORD), ("off",))


def measure(peer: Peer, source: Path, protection: str) -> tuple[float, float]:
    """MB/s of a get and of a put, as smbclient says."""
    options = [f"--client-protection={protection}", "-t", "300"]
    put = f"put {source.name}; rm {source.name}; put {source.name}"
    command = f"lcd {source.parent}; {put}; get {source.name} /dev/null; rm {source.name}"
    smbclient = [*peer.tools.command("smbclient", peer.account), *options, "-c", command]
    done = subprocess.run([*smbclient, f"//{peer.tools.host}/share"], capture_output=True, text=True, timeout=600)
    said = done.stdout + done.stderr
    rates = [float(rate) * 1024 / 1e6 for rate in re.findall(r"\(([\d.]+) (?:kb|KiloBytes)/s", said)]
    if len(rates) < 2 or "NT_STATUS" in said:
        raise SystemExit(f"{peer.name} {protection}: {said}")
    return rates[-1], rates[-2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=512, help="MiB")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    results: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    with ExitStack() as stack:
        scratch = Path(tempfile.mkdtemp(prefix="lanman-transfer-"))
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        source = scratch / "source.bin"
        with source.open("wb") as file:
            for _ in range(options.size):
                file.write(os.urandom(1 << 20))
        samba = stack.enter_context(Samba())
        peers = [start_lanman(stack, scratch, samba.port + 1), Peer("smbd", samba, samba.user)]
        with suppress(ImportError):
            peers.append(start_impacket(stack, scratch, samba.port + 2))
        for number in range(options.rounds):
            for protection in PROTECTIONS:
                for peer in peers if number % 2 else reversed(peers):
                    if protection in peer.protections:
                        get, put = measure(peer, source, protection)
                        results[protection, "get", peer.name].append(get)
                        results[protection, "put", peer.name].append(put)
    print(f"{options.size} MiB, {options.rounds} rounds, the median in MB/s\n")
    print("| smbclient | lanman | smbd | impacket | lanman is |\n|---|---|---|---|---|")
    for protection in PROTECTIONS:
        for way in ("get", "put"):
            medians = {
                name: statistics.median(rates)
                for (kind, direction, name), rates in results.items()
                if (kind, direction) == (protection, way)
            }
            other = f"{medians['impacket']:.0f}" if "impacket" in medians else "-"
            label = {"off": "unprotected", "sign": "signed", "encrypt": "encrypted"}[protection]
            ratio = medians["lanman"] / medians["smbd"]
            print(
                f"| {way}, {label} | {medians['lanman']:.0f} | {medians['smbd']:.0f} | {other} | {ratio:.2f} of smbd |"
            )


if __name__ == "__main__":
    main()
