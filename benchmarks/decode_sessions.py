r"""Decode NetrSessionEnum's answer, level 502, from bytes to typed records: lanman, Samba's C bindings, impacket.

    python benchmarks/decode_sessions.py [--sessions 100000] [--rounds 5] [--impacket-sessions 2000]
        [--revision COMMIT]... [--json]

All decode the same bytes into the same records (`lanman.records.SessionInfo`), each as its users would, each in a
process of its own. lanman made the bytes; a peer that reads something else from them is a failure. impacket is given
fewer sessions, for it would take a minute otherwise; its rate does not grow with their number.

Samba's bindings are those of Debian's python3-samba, in the system's own Python. A peer that is missing is left out.
The peers take turns, and of all rounds the one with the least processor time counts: only the ratios mean anything.
With `--revision` lanman as it was at that commit takes its turns, too.
"""

from __future__ import annotations

import argparse
import pathlib
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

from figures import Figure, add_json, for_people, report
from revisions import environment, unpack

from lanman.records import SessionInfo
from lanman.rpc.srvsvc import NetrSessionEnumResponse

SOURCE = unpack("", pathlib.Path())

# Each peer is a function from the stub to the list of records, in a program around it.
PROGRAM = """
import pathlib, sys, time
sys.path.append({source!r})
from lanman.records import SessionInfo
{decode}
stub = pathlib.Path({file!r}).read_bytes()
best = float("inf")
for _ in range({repeat}):
    start = time.process_time()
    entries = decode(stub)
    best = min(best, time.process_time() - start)
    seen = f"{{len(entries)}} {{entries[-1]!r}}"
    del entries  # to give back the memory is no part of it
print(best)
print(seen)
"""

LANMAN = """
from lanman.rpc.srvsvc import NetrSessionEnumResponse
def decode(stub):
    return NetrSessionEnumResponse.unpack(stub).entries
"""

SAMBA = """
from samba.dcerpc import srvsvc
from samba.ndr import ndr_unpack_out
def decode(stub):
    call = srvsvc.NetSessEnum()
    ndr_unpack_out(call, stub)
    return [
        SessionInfo(s.client, s.user, s.num_open, s.time, s.idle_time, s.user_flags, s.client_type, s.transport)
        for s in call.out_info_ctr.ctr.array
    ]
"""

IMPACKET = r"""
from impacket.dcerpc.v5.srvs import NetrSessionEnumResponse
names = "cname username num_opens time idle_time user_flags cltype_name transport".split()
names = ["sesi502_" + name for name in names]
def decode(stub):
    buffer = NetrSessionEnumResponse(stub)["InfoStruct"]["SessionInfo"]["Level502"]["Buffer"]
    rows = ([entry[name] for name in names] for entry in buffer)
    return [SessionInfo(*(v.rstrip("\0") if isinstance(v, str) else v for v in row)) for row in rows]
"""


@dataclass
class Peer:
    name: str
    decode: str
    entries: list[SessionInfo]
    repeat: int = 2
    python: str = sys.executable
    source: pathlib.Path = SOURCE
    rate: float = 0.0


def sessions(count: int, *, surrogates: bool = False) -> list[SessionInfo]:
    """Sessions as a busy server has them. With `surrogates`, one character in them is not of the basic plane."""
    entries = [
        SessionInfo(
            f"\\\\10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}",
            f"user{n % 5000:05d}",
            n % 7,
            n,
            n % 900,
            int(n % 97 == 0),
            "",
            r"\Device\NetbiosSmb",
        )
        for n in range(count)
    ]
    if surrogates:
        entries[-1].user_name = "\N{GRINNING FACE}"
    return entries


def stub_of(entries: list[SessionInfo]) -> bytes:
    """The answer that holds them all."""
    return NetrSessionEnumResponse(502, entries, len(entries), 0).pack()


def run(peer: Peer, scratch: str) -> None:
    """Let a peer decode its entries; its rate is the best so far. Raises ImportError if the peer is missing."""
    file = pathlib.Path(scratch, "stub")
    file.write_bytes(stub_of(peer.entries))
    program = PROGRAM.format(source=str(peer.source), decode=peer.decode, file=str(file), repeat=peer.repeat)
    done = subprocess.run(
        [peer.python, "-c", program], capture_output=True, text=True, check=False, env=environment(peer.source)
    )
    if done.returncode:
        raise ImportError((done.stderr.strip().splitlines() or ["it failed"])[-1])
    best, seen = done.stdout.splitlines()
    if seen != f"{len(peer.entries)} {peer.entries[-1]!r}":
        raise SystemExit(f"{peer.name} read something else: {seen}")
    peer.rate = max(peer.rate, len(peer.entries) / float(best))


def fastest_encoding(entries: list[SessionInfo]) -> float:
    """Entries per second."""
    best = float("inf")
    for _ in range(5):
        start = time.process_time()
        stub_of(entries)
        best = min(best, time.process_time() - start)
    return len(entries) / best


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--impacket-sessions", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--revision", action="append", default=[], metavar="COMMIT", help="lanman at that commit, too")
    add_json(parser)
    options = parser.parse_args()
    with for_people(options.json):
        figures = measure(options)
    report("decode_sessions", figures, options.json)


def measure(options: argparse.Namespace) -> list[Figure]:
    """Let all take their turns, print a table, and give lanman's ratios to those that are here."""
    many = sessions(options.sessions)
    peers = [
        Peer("lanman", LANMAN, many),
        Peer("lanman, a surrogate pair in it", LANMAN, sessions(options.sessions, surrogates=True)),
        Peer("Samba's bindings", SAMBA, many, python="/usr/bin/python3"),
        Peer("impacket", IMPACKET, sessions(options.impacket_sessions), repeat=1),
    ]
    print(f"{options.sessions:,} sessions of level 502; Python {platform.python_version()}, {platform.machine()}\n")
    with tempfile.TemporaryDirectory() as scratch:
        for revision in options.revision:
            source = unpack(revision, pathlib.Path(scratch))
            peers.insert(1, Peer(f"lanman {revision}", LANMAN, many, source=source))
        for _ in range(options.rounds):
            for peer in list(peers):
                try:
                    run(peer, scratch)
                except (ImportError, FileNotFoundError) as reason:
                    print(f"{peer.name} is left out: {reason}\n")
                    peers.remove(peer)
    print(f"| {'decoding':30} | entries/s | lanman is |\n|{'-' * 32}|----------:|----------:|")
    for peer in peers:
        print(f"| {peer.name:30} | {peer.rate:9,.0f} | {peers[0].rate / peer.rate:8.1f}x |")
    print(
        f"\nlanman encodes the same, {len(stub_of(many)) / 2**20:.1f} MiB, at {fastest_encoding(many):,.0f} entries/s."
    )
    goals = {"Samba's bindings": 2.0, "impacket": 100.0}
    return [
        Figure(
            f"entries a second beside {peer.name}",
            peers[0].rate / peer.rate,
            "x",
            "higher",
            goals[peer.name],
            peer.name,
        )
        for peer in peers
        if peer.name in goals
    ]


if __name__ == "__main__":
    main()
