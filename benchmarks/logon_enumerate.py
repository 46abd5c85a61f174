"""What it costs a client to connect, log on, list the sessions and leave: processor time per server visited.

    .venv/bin/python benchmarks/logon_enumerate.py [--rounds 30] [--visits 1] [--server HOST:PORT --login USER%PASSWORD]
                                                   [--floor] [--json]

lanman, impacket, smbprotocol and Samba's C bindings visit the same smbd in turns within one run, so that what else the
machine does falls on all of them; with --visits each makes so many visits a turn, as a sweep of many servers does, and
does not begin every one of them with the processor's caches full of the others' code. Each has all its modules loaded
and one visit behind it. smbprotocol has no srvsvc: it is handed the two
DCE/RPC requests ready made and its answer is not decoded, which favours it. Samba's bindings run in the system's
Python, if that has them. Without --server an smbd is started from a scratch folder, which takes root. Beside a table by
the median there are figures by the least of all rounds, which is what other load falsifies least. With --floor two more
take turns: the least that a visit can cost in Python, which sends and checks the same and understands nothing
(visit_floor.py), over a socket that blocks and by asyncio.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from figures import Figure, add_json, cannot_run, for_people, report  # noqa: E402

import lanman  # noqa: E402

# What lanman's processor time is to be of another's, at most.
GOALS = {"impacket": 1 / 10, "smbprotocol": 1 / 5, "Samba's bindings": None}

BINDINGS = """
import sys, time
from samba import credentials, param
from samba.dcerpc import srvsvc
host, port, user, password = sys.argv[1:]
loadparm = param.LoadParm()
loadparm.load_default()
loadparm.set("smb ports", port)
loadparm.set("client min protocol", "SMB3_11")
who = credentials.Credentials()
who.guess(loadparm)
who.set_username(user)
who.set_password(password)
who.set_kerberos_state(credentials.DONT_USE_KERBEROS)
def visit():
    pipe = srvsvc.srvsvc(f"ncacn_np:{host}[\\\\pipe\\\\srvsvc]", loadparm, who)
    info = srvsvc.NetSessInfoCtr()
    info.level = 1
    info.ctr = srvsvc.NetSessCtr1()
    pipe.NetSessEnum(None, None, None, info, 0xFFFFFFFF, 0)
visit()
print("ready", flush=True)
for visits in sys.stdin:
    begin = time.process_time()
    for _ in range(int(visits)):
        visit()
    print(time.process_time() - begin, flush=True)
"""


def lanman_visitor(host: str, port: int, user: str, password: str) -> Callable[[], int]:
    """One visit on an event loop that is already there, as a sweep of many servers has it."""
    loop = asyncio.new_event_loop()
    who = lanman.Credentials(user, password)

    async def visit() -> int:
        async with lanman.open_manager(host, who, port=port) as manager:
            return len((await manager.sessions()).entries)

    return lambda: loop.run_until_complete(visit())


def impacket_visitor(host: str, port: int, user: str, password: str) -> Callable[[], int]:
    from impacket.dcerpc.v5 import srvs, transport
    from impacket.smbconnection import SMBConnection

    def visit() -> int:
        connection = SMBConnection(host, host, sess_port=port)
        connection.login(user, password)
        rpc = transport.SMBTransport(host, filename=r"\srvsvc", smb_connection=connection).get_dce_rpc()
        rpc.connect()
        rpc.bind(srvs.MSRPC_UUID_SRVS)
        answer = srvs.hNetrSessionEnum(rpc, "\0", "\0", 1)
        entries = len(answer["InfoStruct"]["SessionInfo"]["Level1"]["Buffer"])
        rpc.disconnect()
        connection.logoff()
        connection.close()
        return entries

    return visit


def smbprotocol_visitor(host: str, port: int, user: str, password: str) -> Callable[[], int]:
    from smbprotocol.connection import Connection
    from smbprotocol.ioctl import CtlCode, IOCTLFlags, SMB2IOCTLRequest, SMB2IOCTLResponse
    from smbprotocol.open import (
        CreateDisposition,
        CreateOptions,
        FilePipePrinterAccessMask,
        ImpersonationLevel,
        Open,
        ShareAccess,
    )
    from smbprotocol.session import Session
    from smbprotocol.tree import TreeConnect

    from lanman.rpc import pdu
    from lanman.rpc.client import RpcClient
    from lanman.rpc.srvsvc import NetrSessionEnum

    enumerate_sessions = NetrSessionEnum(None, None, None, 1)
    requests = [RpcClient().bind()]
    requests += pdu.fragments(pdu.REQUEST, 2, 0, enumerate_sessions.opnum, enumerate_sessions.pack(), 4280)

    def visit() -> int:
        connection = Connection(uuid.uuid4(), host, port)
        connection.connect()
        session = Session(connection, user, password, require_encryption=False, auth_protocol="ntlm")
        session.connect()
        tree = TreeConnect(session, rf"\\{host}\IPC$")
        tree.connect()
        pipe = Open(tree, "srvsvc")
        pipe.create(
            ImpersonationLevel.Impersonation,
            FilePipePrinterAccessMask.GENERIC_READ | FilePipePrinterAccessMask.GENERIC_WRITE,
            0,
            ShareAccess.FILE_SHARE_READ | ShareAccess.FILE_SHARE_WRITE,
            CreateDisposition.FILE_OPEN,
            CreateOptions.FILE_NON_DIRECTORY_FILE,
        )
        for request in requests:
            ioctl = SMB2IOCTLRequest()
            ioctl["ctl_code"] = CtlCode.FSCTL_PIPE_TRANSCEIVE
            ioctl["file_id"] = pipe.file_id
            ioctl["max_output_response"] = 65536
            ioctl["flags"] = IOCTLFlags.SMB2_0_IOCTL_IS_FSCTL
            ioctl["buffer"] = request
            sent = connection.send(ioctl, session.session_id, tree.tree_connect_id)
            answer = SMB2IOCTLResponse()
            answer.unpack(connection.receive(sent)["data"].get_value())
        pipe.close()
        connection.disconnect()
        return len(answer["buffer"].get_value())

    return visit


def here(visit: Callable[[], int]) -> Callable[[int], float]:
    """Makes so many visits in this process; the seconds of processor time (all threads) that they take."""

    def turn(visits: int) -> float:
        begin = time.process_time()
        for _ in range(visits):
            visit()
        return time.process_time() - begin

    if visit() < 1:
        raise SystemExit("a visit listed nothing")
    return turn


def measure(turns: dict[str, Callable[[int], float]], rounds: int, visits: int) -> dict[str, list[float]]:
    """Milliseconds of processor time of a visit, the clients taking turns of `visits`."""
    times: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(rounds):
        for name, turn in turns.items():
            times[name].append(turn(visits) * 1000 / visits)
    return times


@contextmanager
def bindings(host: str, port: int, user: str, password: str) -> Iterator[Callable[[int], float] | None]:
    """As `here` by Samba's C bindings, in a process of the system's Python; None where there are none."""
    command = [shutil.which("python3", path="/usr/bin") or sys.executable, "-c", BINDINGS]
    with subprocess.Popen(
        [*command, host, str(port), user, password],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asks, told = process.stdin, process.stdout

        def turn(visits: int) -> float:
            print(visits, file=asks, flush=True)
            return float(told.readline())

        if told.readline() != "ready\n":
            print(f"(no Samba bindings: {process.communicate()[1].strip()})", file=sys.stderr)
            yield None
            return
        yield turn


@contextmanager
def server(argument: str | None, login: str | None) -> Iterator[tuple[str, int, str, str]]:
    if argument is not None and login is not None:
        host, _, port = argument.rpartition(":")
        user, _, password = login.partition("%")
        yield host, int(port), user, password
        return
    from support.smbd import Samba, missing_tools  # tests/support/smbd.py

    if missing_tools() or os.geteuid():
        cannot_run("without --server it takes Samba (system-packages.txt), and to be root")
    with Samba() as smbd:
        yield smbd.host, smbd.port, smbd.administrator.user_name, smbd.administrator.password


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--visits", type=int, default=1, help="visits a turn")
    parser.add_argument("--server", metavar="HOST:PORT")
    parser.add_argument("--login", metavar="USER%PASSWORD")
    parser.add_argument("--floor", action="store_true", help="measure the least that a visit can cost in Python, too")
    add_json(parser)
    arguments = parser.parse_args()
    with (
        for_people(arguments.json),
        server(arguments.server, arguments.login) as (host, port, user, password),
        bindings(host, port, user, password) as native,
    ):
        visitors = {
            "lanman": lanman_visitor(host, port, user, password),
            "impacket": impacket_visitor(host, port, user, password),
            "smbprotocol": smbprotocol_visitor(host, port, user, password),
        }
        if arguments.floor:
            from visit_floor import blocking_visitor, looping_visitor

            visitors["floor, blocking"] = blocking_visitor(host, port, user, password)
            visitors["floor, asyncio"] = looping_visitor(host, port, user, password)
        turns = {name: here(visit) for name, visit in visitors.items()}
        if native is not None:
            turns["Samba's bindings"] = native
        times = measure(turns, arguments.rounds, arguments.visits)
        ours = statistics.median(times["lanman"])
        print("| client | median ms | least ms | times lanman's |")
        print("|---|---|---|---|")
        for name, values in times.items():
            median = statistics.median(values)
            print(f"| {name} | {median:.2f} | {min(values):.2f} | {median / ours:.1f} |")
    least = min(times["lanman"])
    figures = [Figure("processor time of a visit", least, "ms")]
    for peer in times.keys() & GOALS.keys():
        figures.append(Figure(f"a visit beside {peer}", least / min(times[peer]), goal=GOALS[peer], peer=peer))
    report("logon_enumerate", sorted(figures, key=lambda each: each.name), arguments.json)


if __name__ == "__main__":
    main()
