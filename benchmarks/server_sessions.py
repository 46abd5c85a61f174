"""What sessions cost a server: memory for each that is idle, and processor time for each log-on.

    .venv/bin/python benchmarks/server_sessions.py [--sessions 1000] [--logons 100] [--rounds 5]
        [--revision COMMIT]...

impacket's client logs on to `lanman serve` and to impacket's smbserver, by NTLMv2, and only the servers' processes are
looked at. A log-on is one connection: negotiate, log on, log off, hang up; the servers take turns, and the processor
time is that of all of a server's threads. Idle sessions are one a connection, so the connection counts too; memory is
what is anonymous and resident (`Anonymous` in /proc/PID/smaps_rollup), sockets are the kernel's. lanman's sessions are
measured in two halves: the first half still fills what Python keeps in reserve. With `--revision` lanman as it was at
that commit takes its turns, too. Linux only.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from impacket.smbconnection import SMBConnection
from revisions import environment, unpack

HOST = "127.0.0.1"
USER, PASSWORD = "ann", "a password"

IMPACKET = """
import sys
from impacket import smbserver
from impacket.ntlm import compute_lmhash, compute_nthash
port, user, password = sys.argv[1:]
server = smbserver.SimpleSMBServer(listenAddress="127.0.0.1", listenPort=int(port))
server.setSMB2Support(True)
server.addCredential(user, 0, compute_lmhash(password).hex(), compute_nthash(password).hex())
server.start()
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class Server:
    """A server in a process of its own."""

    def __init__(self, command: list[str], port: int, scratch: Path, variables: dict[str, str]) -> None:
        self.port = port
        self._log = (scratch / f"{port}.log").open("wb")
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log, cwd=scratch, env=variables)

    def wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection((HOST, self.port), 1).close()
                return
            except OSError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise SystemExit(f"a server did not start: {Path(self._log.name).read_text()}") from None
                time.sleep(0.05)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)
        self._log.close()

    def processor_time(self) -> float:
        """Seconds, user's and kernel's, of all threads that there were."""
        # Its clock counts nanoseconds, and /proc/PID/stat hundredths of a second. This is clock_getcpuclockid(3).
        return time.clock_gettime((~self._process.pid << 3) | 2)

    def memory(self) -> float:
        """Anonymous resident KiB."""
        found = re.search(r"^Anonymous: +(\d+) kB", Path(f"/proc/{self._process.pid}/smaps_rollup").read_text(), re.M)
        assert found is not None
        return float(found[1])

    def log_on(self) -> SMBConnection:
        connection = SMBConnection(HOST, HOST, sess_port=self.port)
        connection.login(USER, PASSWORD)
        return connection


@contextmanager
def servers(revisions: list[str]) -> Iterator[dict[str, Server]]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        scratch = Path(folder)
        started = {}
        for revision in ["", *revisions]:
            name, source, port = f"lanman {revision}".strip(), unpack(revision, scratch), free_port()
            lanman = [sys.executable, "-m", "lanman", "--home", str(scratch / f"{name} home")]
            variables = environment(source)
            subprocess.run([*lanman, "user", USER, PASSWORD, "/add"], check=True, capture_output=True, env=variables)
            started[name] = Server([*lanman, "serve", "--listen", HOST, "--port", str(port)], port, scratch, variables)
        port = free_port()
        impacket = [sys.executable, "-c", IMPACKET, str(port), USER, PASSWORD]
        started["impacket"] = Server(impacket, port, scratch, dict(os.environ))
        for server in started.values():
            stack.callback(server.stop)
        for server in started.values():
            server.wait_until_it_listens()
        yield started


def measure_logons(started: dict[str, Server], logons: int, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of the server's processor time for one log-on, by round."""
    taken: dict[str, list[float]] = {name: [] for name in started}
    for number in range(rounds + 1):
        for name, server in list(started.items())[:: 1 if number % 2 else -1]:
            begin = server.processor_time()
            for _ in range(logons):
                connection = server.log_on()
                connection.logoff()
                connection.close()
            time.sleep(0.1)  # until the last connection has ended
            if number:
                taken[name].append((server.processor_time() - begin) / logons * 1000)
    return taken


def measure_memory(server: Server, sessions: int) -> list[float]:
    """KiB for each idle session, of the first half and of the second."""
    held = []
    costs = []
    for _ in range(2):
        before = server.memory()
        held += [server.log_on() for _ in range(sessions // 2)]
        costs.append((server.memory() - before) / (sessions // 2))
    for connection in held:
        connection.close()
    return costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--logons", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--revision", action="append", default=[], metavar="COMMIT", help="lanman at that commit, too")
    arguments = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if soft != resource.RLIM_INFINITY else soft, hard))
    with servers(arguments.revision) as started:
        taken = measure_logons(started, arguments.logons, arguments.rounds)
        memory = {name: measure_memory(server, arguments.sessions) for name, server in started.items()}
    ours = statistics.median(taken["lanman"])
    print("| Server | a log-on, median | least | log-ons per processor second | lanman is |")
    print("|---|---|---|---|---|")
    for name, values in taken.items():
        median = statistics.median(values)
        print(f"| {name} | {median:.2f} ms | {min(values):.2f} ms | {1000 / median:.0f} | {median / ours:.1f} x |")
    print(f"\n| Server | an idle session, first {arguments.sessions // 2} | next {arguments.sessions // 2} |")
    print("|---|---|---|")
    for name, (first, second) in memory.items():
        print(f"| {name} | {first:.1f} KiB | {second:.1f} KiB |")


if __name__ == "__main__":
    main()
