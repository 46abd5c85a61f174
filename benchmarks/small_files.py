"""How fast smbclient works with many small files: at lanman and at smbd in turns.

    .venv/bin/python benchmarks/small_files.py [--files 2000] [--entries 10000] [--renames 1000] [--rounds 3]
        [--protection off|sign|encrypt] [--revision COMMIT]... [--json]

One smbclient process for each kind of work, on the loopback interface, SMB 3.1.1, signed as it is by default; the
servers take turns within a round, in the opposite order in every other one:

    mput      files of 4 KiB into an empty folder          mget      the same ones back
    ls        a folder of 10,000 entries, ten times        rename    1,000 files of it, one command each
    rm        the 1,000 that were renamed, one command each

Beside the clock there is the processor time of the server: smbd's with all of its processes, those that have ended
included. smbclient waits for each answer, so that on the clock the client and two switches between processes are a part
of every request; where both cores are busy with other things, the processor time tells more. What is compared is the
least of the rounds. Starting smbd takes root.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from figures import Figure, add_json, cannot_run, for_people, report
from transfer import Peer, samba_peer, start_lanman  # which finds the package, figures and support

from support.smbd import Samba, missing_tools

SIZE = 4096
TIMES_LISTED = 10
GOAL = 0.7


def run(peer: Peer, protection: str, command: str) -> tuple[float, float]:
    """One smbclient with these commands: seconds on the clock, seconds of processor time of the server."""
    options = [f"--client-protection={protection}", "-t", "300", "-E"]
    smbclient = [*peer.tools.command("smbclient", peer.account), *options, f"//{peer.tools.host}/share"]
    before, began = peer.processor(), time.perf_counter()
    done = subprocess.run(smbclient, input=command, capture_output=True, text=True, timeout=600)
    took = time.perf_counter() - began
    if done.returncode or "NT_STATUS" in done.stdout + done.stderr:
        raise SystemExit(f"{peer.name}: {(done.stdout + done.stderr)[-2000:]}")
    time.sleep(0.3)  # until smbd has taken leave of the process that it started
    return took, peer.processor() - before


class Work:
    """What there is to be done, on both sides of the wire."""

    def __init__(self, options: argparse.Namespace, scratch: Path) -> None:
        self.files, self.entries, self.renames = options.files, options.entries, options.renames
        self.protection: str = options.protection
        self.source = scratch / "source"
        self.source.mkdir()
        for number in range(self.files):
            (self.source / f"file{number:05}.bin").write_bytes(os.urandom(SIZE))
        self.target = scratch / "target"

    def measure(self, peer: Peer) -> Iterator[tuple[str, tuple[float, float]]]:
        """Each kind of work, and what it has taken."""
        self._prepare(peer)
        commands: dict[str, Callable[[], str]] = {
            f"mput of {self.files:,} files": lambda: f"cd small\nprompt\nlcd {self.source}\nmput *\n",
            f"mget of {self.files:,} files": lambda: f"cd small\nprompt\nlcd {self.target}\nmget *\n",
            f"ls of {self.entries:,} entries": lambda: "cd many\n" + "ls\n" * TIMES_LISTED,
            f"rename of {self.renames:,}": lambda: "cd many\n" + self._each("rename entry{0:05}.txt renamed{0:05}.txt"),
            f"rm of {self.renames:,}": lambda: "cd many\n" + self._each("rm renamed{0:05}.txt"),
        }
        for what, command in commands.items():
            self.target.mkdir()
            clock, processor = run(peer, self.protection, command())
            if what.startswith("ls"):
                clock, processor = clock / TIMES_LISTED, processor / TIMES_LISTED
            yield what, (clock, processor)
            self._check(what.split()[0], peer)
            shutil.rmtree(self.target)

    def _each(self, command: str) -> str:
        # Every seventh: neither the first ones that a search would find, nor the last.
        return "".join(command.format(number * 7 % self.entries) + "\n" for number in range(self.renames))

    def _prepare(self, peer: Peer) -> None:
        for name in ("small", "many"):
            shutil.rmtree(peer.folder / name, ignore_errors=True)
            (peer.folder / name).mkdir(mode=0o777)
            (peer.folder / name).chmod(0o777)
        for number in range(self.entries):
            (peer.folder / "many" / f"entry{number:05}.txt").touch()

    def _check(self, what: str, peer: Peer) -> None:
        """Whether it was done."""
        many = {path.name for path in (peer.folder / "many").iterdir()}
        done = {
            "mput": lambda: len(list((peer.folder / "small").iterdir())) == self.files,
            "mget": lambda: all(
                (self.target / path.name).read_bytes() == path.read_bytes() for path in self.source.iterdir()
            ),
            "ls": lambda: len(many) == self.entries,
            "rename": lambda: sum(name.startswith("renamed") for name in many) == self.renames,
            "rm": lambda: len(many) == self.entries - self.renames,
        }
        if not done[what]():
            raise SystemExit(f"{peer.name}: {what} was not done as it should be")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--entries", type=int, default=10000)
    parser.add_argument("--renames", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--protection", choices=("off", "sign", "encrypt"), default="sign")
    parser.add_argument("--revision", action="append", default=[], metavar="COMMIT", help="lanman at that commit, too")
    add_json(parser)
    options = parser.parse_args()
    if missing := missing_tools():
        cannot_run(f"Samba is not installed: {', '.join(missing)}")
    results: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    with ExitStack() as stack:
        scratch = Path(tempfile.mkdtemp(prefix="lanman-small-"))
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        work = Work(options, scratch)
        samba = stack.enter_context(Samba())
        peers = [
            start_lanman(stack, scratch, samba.port + 1 + number, revision)
            for number, revision in enumerate(["", *options.revision])
        ]
        peers.append(samba_peer(samba))
        for number in range(options.rounds):
            for peer in peers if number % 2 else reversed(peers):
                for what, figures in work.measure(peer):
                    results[what][peer.name].append(figures)
    with for_people(options.json):
        show(options.rounds, [peer.name for peer in peers], results)
    report("small_files", list(beside_smbd(results)), options.json)


def beside_smbd(results: dict[str, dict[str, list[tuple[float, float]]]]) -> Iterator[Figure]:
    """The speeds beside smbd's: on the clock, and in processor time of the server."""
    for work, found in results.items():
        for place, what in enumerate(("speed", "work for each second of processor time")):
            ours, smbd = (max(min(each[place] for each in found[name]), 0.001) for name in ("lanman", "smbd"))
            goal = GOAL if not place else None
            yield Figure(f"{work}: {what} beside smbd's", smbd / ours, "x", "higher", goal, "smbd", tolerance=0.35)


def show(rounds: int, names: list[str], results: dict[str, dict[str, list[tuple[float, float]]]]) -> None:
    """Two tables."""
    for place, what in enumerate(("seconds on the clock", "seconds of processor time of the server")):
        print(f"\n{rounds} rounds, the least in {what}; to reach: {GOAL} of smbd's speed\n")
        print(f"| smbclient | {' | '.join(names)} | lanman's speed is |\n|---|{'---|' * len(names)}---|")
        for work, found in results.items():
            least = {name: min(figures[place] for figures in found[name]) for name in names}
            cells = " | ".join(f"{least[name]:.3f}" for name in names)
            ratios = ", ".join(f"{least[name] / least['lanman']:.2f} of {name}" for name in names if name != "lanman")
            print(f"| {work} | {cells} | {ratios} |")


if __name__ == "__main__":
    main()
