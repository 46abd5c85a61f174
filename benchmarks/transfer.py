"""How fast smbclient gets and puts a large file: at lanman and smbd, and impacket's smbserver if asked for, in turns.

    .venv/bin/python benchmarks/transfer.py [--size 512] [--rounds 3] [--impacket] [--revision COMMIT]... [--json]

One smbclient, one file of random bytes on the same disk, SMB 3.1.1; what is read goes to /dev/null, what is written
stays in the page cache. Unprotected, signed and encrypted; impacket's smbserver speaks SMB 2.1 and can only do the
first. The servers take turns within a round, in the opposite order in every other one, and each puts the file once
before it counts: in a virtual machine memory that nobody has touched lately has to come from the host first, which is
slower than any of them. Starting smbd takes root.

Beside what smbclient says, the processor time of the server for the file, with the processes that it started. With
`--revision` lanman as it was at that commit takes its turns, too.
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

from figures import Figure, add_json, cannot_run, for_people, report  # noqa: E402
from revisions import unpack  # noqa: E402

from support.smbd import Account, Samba, Tools, missing_tools  # noqa: E402

PROTECTIONS = ("off", "sign", "encrypt")
GOAL = 0.9
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
    process: int
    folder: Path
    protections: tuple[str, ...] = PROTECTIONS

    def processor(self) -> float:
        """The seconds of processor time that it has taken with all processes that it started, ended ones included."""
        ticks = 0
        for process in descendants(self.process):
            with suppress(FileNotFoundError, ProcessLookupError):  # it ends just now, and is counted with its parent
                fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
                ticks += sum(map(int, fields[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")


def descendants(process: int) -> Iterator[int]:
    """A process and those that it started, and so on, as far as they live."""
    yield process
    with suppress(FileNotFoundError, ProcessLookupError):
        for child in Path(f"/proc/{process}/task/{process}/children").read_text().split():
            yield from descendants(int(child))


def samba_peer(samba: Samba) -> Peer:
    """smbd as a peer, for its ordinary user."""
    assert samba._process is not None
    return Peer("smbd", samba, samba.user, samba._process.pid, samba.share)


@contextmanager
def process(command: list[str], ready: str, log: Path, **environment: str) -> Iterator[int]:
    """A server that says `ready` in its log when it listens ("": when its port does); its process id."""
    with log.open("wb") as output:
        running = subprocess.Popen(command, stdout=output, stderr=output, env=os.environ | environment)
    try:
        deadline = time.monotonic() + 20
        while ready not in log.read_text(errors="replace") and running.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        if running.poll() is not None:
            raise SystemExit(f"{command[0]} ended: {log.read_text()}")
        yield running.pid
    finally:
        running.terminate()
        running.wait(20)


def start_lanman(stack: ExitStack, scratch: Path, port: int, revision: str = "") -> Peer:
    name, source = f"lanman {revision}".strip(), unpack(revision, scratch)
    home = scratch / f"{name} home"
    home.mkdir(mode=0o700)
    (home / "server.toml").write_text('[server]\nsigning = "offered"\n')
    folder = scratch / name
    folder.mkdir()
    python = [sys.executable, "-m", "lanman", "--home", str(home)]
    environment = {"PYTHONPATH": str(source)}
    add = [*python, "user", "daemon", PASSWORD, "/add"]
    subprocess.run(add, check=True, capture_output=True, env=os.environ | environment)
    serve = [*python, "serve", f"share={folder}", "--listen", "127.0.0.1", "--port", str(port)]
    running = stack.enter_context(process(serve, "Listening", scratch / f"{name}.log", **environment))
    assert str(source) in Path(f"/proc/{running}/environ").read_text(errors="replace")
    return Peer(name, Tools(scratch, port), Account("daemon", PASSWORD), running, folder)


def start_impacket(stack: ExitStack, scratch: Path, port: int) -> Peer:
    folder = scratch / "impacket"
    folder.mkdir()
    command = [sys.executable, "-c", IMPACKET, str(port), str(folder), "daemon", PASSWORD]
    running = stack.enter_context(process(command, "Config file parsed", scratch / "impacket.log"))
    return Peer("impacket", Tools(scratch, port), Account("daemon", PASSWORD), running, folder, ("off",))


def measure(peer: Peer, source: Path, protection: str) -> dict[str, tuple[float, float]]:
    """MB/s of a get and of a put, as smbclient says, and the seconds of processor time that the server took for it."""
    name, figures = source.name, {}
    for way, command in (("put", f"put {name}; rm {name}; put {name}"), ("get", f"get {name} /dev/null; rm {name}")):
        options = [f"--client-protection={protection}", "-t", "300", "-c", f"lcd {source.parent}; {command}"]
        before = peer.processor()
        smbclient = [*peer.tools.command("smbclient", peer.account), *options, f"//{peer.tools.host}/share"]
        done = subprocess.run(smbclient, capture_output=True, text=True, timeout=600)
        said = done.stdout + done.stderr
        rates = [float(rate) * 1024 / 1e6 for rate in re.findall(r"\(([\d.]+) (?:kb|KiloBytes)/s", said)]
        if not rates or "NT_STATUS" in said:
            raise SystemExit(f"{peer.name} {protection}: {said}")
        time.sleep(0.3)  # until smbd has taken leave of the process that it started
        figures[way] = rates[-1], (peer.processor() - before) / len(rates)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=512, help="MiB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--impacket", action="store_true", help="impacket's smbserver, too, which takes minutes")
    parser.add_argument("--revision", action="append", default=[], metavar="COMMIT", help="lanman at that commit, too")
    add_json(parser)
    options = parser.parse_args()
    if missing := missing_tools():
        cannot_run(f"Samba is not installed: {', '.join(missing)}")
    results: dict[tuple[str, str, str], list[tuple[float, float]]] = defaultdict(list)
    with ExitStack() as stack:
        scratch = Path(tempfile.mkdtemp(prefix="lanman-transfer-"))
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        source = scratch / "source.bin"
        with source.open("wb") as file:
            for _ in range(options.size):
                file.write(os.urandom(1 << 20))
        samba = stack.enter_context(Samba())
        peers = [
            start_lanman(stack, scratch, samba.port + 1 + number, revision)
            for number, revision in enumerate(["", *options.revision])
        ]
        peers.append(samba_peer(samba))
        if options.impacket:
            peers.append(start_impacket(stack, scratch, samba.port + 20))
        for number in range(options.rounds):
            for protection in PROTECTIONS:
                for peer in peers if number % 2 else reversed(peers):
                    if protection in peer.protections:
                        for way, figures in measure(peer, source, protection).items():
                            results[protection, way, peer.name].append(figures)
    with for_people(options.json):
        show(options.size, options.rounds, [peer.name for peer in peers], results)
    report("transfer", list(beside_smbd(results)), options.json)


def label(protection: str, way: str) -> str:
    """What is done, in words."""
    return f"{way}, { {'off': 'unprotected', 'sign': 'signed', 'encrypt': 'encrypted'}[protection] }"


def beside_smbd(results: dict[tuple[str, str, str], list[tuple[float, float]]]) -> Iterator[Figure]:
    """The speeds beside smbd's."""
    for protection in PROTECTIONS:
        for way in ("get", "put"):
            ours, smbd = (
                statistics.median(rate for rate, _ in results[protection, way, name]) for name in ("lanman", "smbd")
            )
            yield Figure(f"{label(protection, way)}: speed beside smbd's", ours / smbd, "x", "higher", GOAL, "smbd")


def show(
    size: int, rounds: int, names: list[str], results: dict[tuple[str, str, str], list[tuple[float, float]]]
) -> None:
    """Two tables."""
    for place, what in enumerate(("MB/s", "seconds of processor time of the server")):
        print(f"\n{size} MiB, {rounds} rounds, the median in {what}\n")
        print(f"| smbclient | {' | '.join(names)} | lanman is |\n|---|{'---|' * len(names)}---|")
        for protection in PROTECTIONS:
            for way in ("get", "put"):
                medians = {
                    name: statistics.median([figures[place] for figures in found])
                    for name in names
                    if (found := results[protection, way, name])
                }
                cells = " | ".join(f"{medians[name]:.3g}" if name in medians else "-" for name in names)
                ratios = ", ".join(
                    f"{medians['lanman'] / medians[name]:.2f} of {name}"
                    for name in names
                    if name in medians and name not in ("lanman", "impacket")
                )
                print(f"| {label(protection, way)} | {cells} | {ratios} |")


if __name__ == "__main__":
    main()
