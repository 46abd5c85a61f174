"""What sessions cost a server: memory for each that is idle, and processor time for each log-on.

    .venv/bin/python benchmarks/server_sessions.py [--sessions 1000] [--logons 60] [--rounds 5] [--json]
        [--revision COMMIT]... [--floor]

impacket's client logs on to `lanman serve`, to impacket's smbserver and to smbd, by NTLMv2, and only the servers'
processes are looked at. A log-on is one connection: negotiate, log on, log off, hang up; the servers take turns, and
the processor time is that of all of a server's threads and processes, those that have ended included: smbd forks one
for each connection. What each connection has agreed on is said: lanman and smbd prove the negotiation, sign the log-on
and encrypt the log-off (3.1.1), impacket's server does none of that (2.x). lanman runs a second time on uvloop (the
extra `speed`) where that is installed.

Idle sessions are one a connection, so the connection counts too; memory is what is anonymous and resident (`Anonymous`
in /proc/PID/smaps_rollup), sockets are the kernel's. lanman's sessions are measured in two halves: the first half still
fills what Python keeps in reserve. With `--revision` lanman as it was at that commit takes its turns, too, and
with `--floor` the least that a server in Python takes (`bare_server.py`), which has no sessions to measure. Linux only;
smbd takes root, and is left out without it. To reach: 5 times impacket's log-ons for each second of processor time, 8
times smbd's; 5 KiB for an idle session.
"""

from __future__ import annotations

import argparse
import importlib.util
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

from bare_server import record
from figures import Figure, add_json, for_people, report
from impacket.smbconnection import SMBConnection
from revisions import environment, unpack

sys.path[:0] = [str(Path(__file__).resolve().parent.parent / "tests")]
from support.smbd import Samba, missing_tools  # noqa: E402

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


# `lanman` on asyncio's own loop, and on uvloop's, whichever it would choose.
LOOPS = {
    "lanman": "import sys; sys.modules['uvloop'] = None\n",
    "lanman, uvloop": "import asyncio, uvloop; asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())\n",
}
MAIN = "from lanman.__main__ import main; main()"
FLOOR = "bare loop"

TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class Server:
    """A server in a process of its own."""

    def __init__(self, command: list[str], port: int, scratch: Path, variables: dict[str, str]) -> None:
        self.port = port
        self.login = USER, PASSWORD
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
        connection.login(*self.login)
        return connection

    def agreed(self) -> str:
        """What a connection to it has agreed on."""
        connection = self.log_on()
        smb = connection.getSMBServer()
        protection = [
            name
            for name, has_it in (
                ("signed", smb._Session["SigningActivated"]),
                ("encrypts", smb._Connection["SupportsEncryption"]),
            )
            if has_it
        ]
        connection.logoff()
        connection.close()
        return f"{connection.getDialect():#06x} {' '.join(protection) or 'unprotected'}"


class Smbd(Server):
    """smbd, with all processes that it has or has had."""

    def __init__(self, samba: Samba) -> None:
        self.port = samba.port
        self.login = samba.user.user_name, samba.user.password
        process = samba._process
        assert process is not None
        self._process = process

    def stop(self) -> None:
        """Its fixture stops it."""

    def processor_time(self) -> float:
        """Seconds, user's and kernel's, of the process and all below it, and of all those that it has waited for."""
        own: dict[int, tuple[int, int]] = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdecimal():
                try:
                    values = (folder / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue  # it has ended; its parent has its time, or will have
                own[int(folder.name)] = int(values[1]), sum(map(int, values[11:15]))

        def is_below(process: int) -> bool:
            while process in own:
                if process == self._process.pid:
                    return True
                process = own[process][0]
            return False

        return sum(ticks for process, (_, ticks) in own.items() if is_below(process)) / TICKS


@contextmanager
def servers(revisions: list[str], *, floor: bool) -> Iterator[dict[str, Server]]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        scratch = Path(folder)
        started: dict[str, Server] = {}
        loops = ["lanman", *(["lanman, uvloop"] if importlib.util.find_spec("uvloop") is not None else [])]
        for name, revision in [*((loop, "") for loop in loops), *((f"lanman {each}", each) for each in revisions)]:
            source, port = unpack(revision, scratch), free_port()
            variables = environment(source)
            lanman = [sys.executable, "-c", LOOPS.get(name, LOOPS["lanman"]) + MAIN, "--home"]
            lanman.append(str(scratch / f"{name} home"))
            subprocess.run([*lanman, "user", USER, PASSWORD, "/add"], check=True, capture_output=True, env=variables)
            started[name] = Server([*lanman, "serve", "--listen", HOST, "--port", str(port)], port, scratch, variables)
        port = free_port()
        impacket = [sys.executable, "-c", IMPACKET, str(port), USER, PASSWORD]
        started["impacket"] = Server(impacket, port, scratch, dict(os.environ))
        if os.geteuid() == 0 and not missing_tools():
            started["smbd"] = Smbd(stack.enter_context(Samba()))
        else:
            print("(no smbd: it takes root, and Samba)", file=sys.stderr)
        for server in started.values():
            stack.callback(server.stop)
        for server in started.values():
            server.wait_until_it_listens()
        if floor:
            answers, script = scratch / "answers", Path(__file__).with_name("bare_server.py")
            answers.write_text(record(started["lanman"].port, started["lanman"].login))
            command, port = [sys.executable, str(script)], free_port()
            started[FLOOR] = Server([*command, str(port), str(answers)], port, scratch, dict(os.environ))
            stack.callback(started[FLOOR].stop)
            started[FLOOR].wait_until_it_listens()
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


def figures(taken: dict[str, list[float]], memory: dict[str, list[float]]) -> list[Figure]:
    """The goals; the least of a server's rounds is what its work takes, the rest is what else the machine did."""
    found = []
    ours = {name: min(values) for name, values in taken.items() if name in LOOPS}
    for name, mine in ours.items():
        for peer, goal in (("impacket", 5.0), ("smbd", 8.0)):
            if peer in taken:
                ratio = min(taken[peer]) / mine
                found.append(Figure(f"log-ons of {name} beside {peer}", ratio, "x", "higher", goal, peer))
        if name in memory:
            found.append(Figure(f"an idle session of {name}", max(memory[name]), "KiB", "lower", 5.0))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--logons", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--revision", action="append", default=[], metavar="COMMIT", help="lanman at that commit, too")
    parser.add_argument("--floor", action="store_true", help="also the system calls and the cryptography alone")
    add_json(parser)
    arguments = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if soft != resource.RLIM_INFINITY else soft, hard))
    with servers(arguments.revision, floor=arguments.floor) as started:
        agreed = {name: server.agreed() for name, server in started.items() if name != FLOOR}
        taken = measure_logons(started, arguments.logons, arguments.rounds)
        measured = [
            name for name in started if arguments.sessions and name not in ("smbd", FLOOR)
        ]  # smbd: a process for each
        memory = {name: measure_memory(started[name], arguments.sessions) for name in measured}
    with for_people(arguments.json):
        show(agreed, taken, memory, arguments.sessions)
    report("server_sessions", figures(taken, memory), arguments.json)


def show(agreed: dict[str, str], taken: dict[str, list[float]], memory: dict[str, list[float]], sessions: int) -> None:
    """The tables for people."""
    ours = min(taken["lanman"])
    print("| Server | agreed on | a log-on, median | least | log-ons per processor second | lanman is |")
    print("|---|---|---|---|---|---|")
    for name, values in taken.items():
        median, least = statistics.median(values), min(values)
        rate = f"{1000 / least:.0f} | {least / ours:.1f} x"
        print(f"| {name} | {agreed.get(name, 'as lanman')} | {median:.2f} ms | {least:.2f} ms | {rate} |")
    if not memory:
        return
    print(f"\n| Server | an idle session, first {sessions // 2} | next {sessions // 2} |")
    print("|---|---|---|")
    for name, (first, second) in memory.items():
        print(f"| {name} | {first:.1f} KiB | {second:.1f} KiB |")


if __name__ == "__main__":
    main()
