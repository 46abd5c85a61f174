"""Who has one of very many open files: `lanman explain`, beside Samba's rpcclient and impacket joined by hand.

    .venv/bin/python benchmarks/explain.py [--opens 10000] [--connections 10] [--rounds 3] [--json]

An smbd is started in a scratch folder, which takes root; smbprotocol opens files of its share and holds them. Whole
processes take turns and answer the same question: who has `report 00007.xlsx` open, from where. rpcclient's
`netfileenum` is the call of `net rpc file`, which itself knows no port but 445; it lists all files, and neither clients
nor shares. The script with impacket asks for the files, the sessions and the share, as `lanman explain` does, and joins
them by user. The time is the one on the clock, and the processor time of the process.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from figures import Figure, add_json, cannot_run, for_people, report  # noqa: E402

from support.one_connection import OneConnection  # noqa: E402
from support.smbd import Samba, missing_tools, tool  # noqa: E402

NAME = "report 00007.xlsx"

BY_HAND = r"""
import json, sys
from impacket.dcerpc.v5 import srvs, transport
host, port, user, password, share, name = sys.argv[1:]
pipe = transport.SMBTransport(host, int(port), r"\srvsvc", username=user, password=password)
dce = pipe.get_dce_rpc()
dce.connect()
dce.bind(srvs.MSRPC_UUID_SRVS)
folder = srvs.hNetrShareGetInfo(dce, share + "\x00", 2)["InfoStruct"]["ShareInfo2"]["shi2_path"][:-1]
listed = srvs.hNetrFileEnum(dce, srvs.NULL, srvs.NULL, 3)["InfoStruct"]["FileInfo"]["Level3"]["Buffer"]
files = [(entry["fi3_path_name"][:-1], entry["fi3_username"][:-1]) for entry in listed]
sessions = srvs.hNetrSessionEnum(dce, "\x00", srvs.NULL, 1)["InfoStruct"]["SessionInfo"]["Level1"]["Buffer"]
clients = {}
for entry in sessions:
    clients.setdefault(entry["sesi1_username"][:-1], set()).add(entry["sesi1_cname"][:-1])
wanted = (folder.rstrip("\\") + "\\" + name).lower()
print(json.dumps([(user, sorted(clients.get(user, ()))) for path, user in files if path.lower() == wanted]))
"""


def timed(words: Sequence[str]) -> tuple[float, float, bytes]:
    """Seconds on the clock, of processor time, and what was printed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LANMAN_")}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    done = subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env={**kept, "PYTHONPATH": str(ROOT / "src")},
        check=True,
    )
    took = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def hold(samba: Samba, stack: ExitStack, opens: int, connections: int) -> None:
    """Open so many files, from so many connections."""
    for number in range(connections):
        connection = stack.enter_context(OneConnection(samba.host, samba.port))
        tree = connection.log_on((samba.user, samba.other_user, samba.operator)[number % 3])
        for place in range(number, opens, connections):
            connection.open(tree, f"report {place:05}.xlsx")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--opens", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    add_json(parser)
    options = parser.parse_args()
    if os.geteuid() or missing_tools():
        cannot_run("smbd wants root, and Debian's samba")
    with for_people(options.json):
        figures = measure(options)
    report("explain", figures, options.json)


def measure(options: argparse.Namespace) -> list[Figure]:
    """All take their turns; a table, and what lanman takes beside the others."""
    with Samba() as samba, ExitStack() as stack:
        hold(samba, stack, options.opens, options.connections)
        who = samba.administrator
        path = f"//{samba.host}/share/{NAME}"
        login = ["-p", str(samba.port), "-U", who.login]
        client = [tool("rpcclient"), "-s", str(samba.configuration), *login, "-c", "netfileenum", samba.host]
        script = [
            sys.executable,
            "-c",
            BY_HAND,
            samba.host,
            str(samba.port),
            who.user_name,
            who.password,
            "share",
            NAME,
        ]
        programs = {
            "lanman explain": [sys.executable, "-m", "lanman", "explain", path, *login, "--json", "--timeout", "300"],
            "rpcclient netfileenum": client,
            "impacket, by hand": script,
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
        for _ in range(options.rounds):
            for name, words in programs.items():
                took, used, printed = timed(words)
                times[name].append((took, used))
                if name == "lanman explain":
                    assert len(json.loads(printed)["holders"]) == 1
                elif name.startswith("impacket"):
                    assert len(json.loads(printed)) == 1
    medians = {}
    for name, all_times in times.items():
        clock, used = (statistics.median(values) for values in zip(*all_times, strict=True))
        medians[name] = used
        print(f"{name:<22} {clock:8.2f} s on the clock  {used:8.2f} s of processor time")
    ours, least, by_hand = medians.values()
    return [
        Figure("processor time beside a join by hand", ours / by_hand, "x", "lower", 0.05, "impacket", 0.3),
        Figure("processor time beside a list alone", ours / least, "x", "lower", None, "rpcclient", 0.4),
    ]


if __name__ == "__main__":
    main()
