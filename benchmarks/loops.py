"""What requests cost the Server on asyncio's event loop and on uvloop, in turns: `[server] loop`.

    .venv/bin/python benchmarks/loops.py [--rounds 6] [--json]

A Server on each; lanman's client on a blocking socket, SMB 3.1.1, signed. Processor time of the Server's process, all
of its threads included, for one log-on with its connection, one ECHO, one READ of 4 KiB and one of 1 MiB; the least of
the rounds. Linux only; needs the extra speed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from bystander import Client  # noqa: E402
from enumerate import free_port  # noqa: E402
from figures import Figure, add_json, cannot_run, for_people, report  # noqa: E402
from transfer import process  # noqa: E402

from lanman.smb2.messages import CreateRequest, ReadRequest, TreeConnectRequest  # noqa: E402

ACCOUNT = ("ann", "a passw0rd")
LOOPS = ("asyncio", "uvloop")
MEBIBYTE = 1 << 20


def start(stack: ExitStack, scratch: Path, loop: str) -> tuple[int, int]:
    """A Server on that loop: its port and process."""
    home, port = scratch / loop, free_port()
    home.mkdir(mode=0o700)
    (home / "server.toml").write_text(f'[server]\nloop = "{loop}"\n')
    python = [sys.executable, "-m", "lanman", "--home", str(home)]
    environment = {"PYTHONPATH": str(ROOT / "src")}
    add = [*python, "user", *ACCOUNT, "/add"]
    subprocess.run(add, check=True, capture_output=True, env=os.environ | environment)
    serve = [*python, "serve", f"share={scratch / 'share'}", "--listen", "127.0.0.1", "--port", str(port)]
    return port, stack.enter_context(process(serve, "Listening", scratch / f"{loop}.log", **environment))


def works(port: int) -> dict[str, tuple[int, Callable[[], Any]]]:
    """What is measured, and how often in a round."""
    client = Client(port)
    session = client.log_on(*ACCOUNT)
    tree = client.ask(TreeConnectRequest(flags=0, path=r"\\127.0.0.1\share"), session).header.tree_id
    asked = CreateRequest(impersonation_level=2, desired_access=1, share_access=7, create_disposition=1, name="file")
    file = client.ask(asked, session, tree).message.file_id

    def log_on() -> None:
        visitor = Client(port)
        visitor.log_on(*ACCOUNT)
        visitor.close()

    def read(length: int) -> Callable[[], Any]:
        request = ReadRequest(file_id=file, offset=0, length=length, minimum_count=0)
        return lambda: client.ask(request, session, tree)

    return {
        "a log-on": (60, log_on),
        "an ECHO": (500, client.echo),
        "a READ of 4 KiB": (300, read(4096)),
        "a READ of 1 MiB": (60, read(MEBIBYTE)),
    }


def measure(rounds: int, scratch: Path) -> dict[str, dict[str, list[float]]]:
    """Seconds by work, loop and round."""
    (scratch / "share").mkdir()
    (scratch / "share" / "file").write_bytes(os.urandom(MEBIBYTE))
    taken: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with ExitStack() as stack:
        servers = {loop: start(stack, scratch, loop) for loop in LOOPS}
        wanted = {loop: works(port) for loop, (port, _) in servers.items()}
        for number in range(rounds + 1):
            for loop in LOOPS[:: 1 if number % 2 else -1]:
                clock = (~servers[loop][1] << 3) | 2  # clock_getcpuclockid(3)
                for name, (times, work) in wanted[loop].items():
                    before = time.clock_gettime(clock)
                    for _ in range(times):
                        work()
                    if name == "a log-on":
                        time.sleep(0.05)  # until the last connection has ended
                    if number:
                        taken[name][loop].append((time.clock_gettime(clock) - before) / times)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    add_json(parser)
    options = parser.parse_args()
    if importlib.util.find_spec("uvloop") is None:
        cannot_run("uvloop is not installed: pip install 'lanman[speed]'")
    scratch = Path(tempfile.mkdtemp(prefix="lanman-loops-"))
    try:
        taken = measure(options.rounds, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    figures = []
    with for_people(options.json):
        print("| Work | asyncio | uvloop | uvloop as part of asyncio |")
        print("|---|---|---|---|")
        for name, loops in taken.items():
            plain, fast = (min(loops[loop]) for loop in LOOPS)
            print(f"| {name} | {plain * 1e6:.0f} us | {fast * 1e6:.0f} us | {fast / plain:.2f} |")
            figures.append(Figure(f"{name} on uvloop", fast / plain, "x", peer="asyncio", tolerance=0.15))
    report("loops", figures, options.json)


if __name__ == "__main__":
    main()
