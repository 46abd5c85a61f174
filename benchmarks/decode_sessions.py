r"""Decode NetrSessionEnum's answer, level 502, from bytes to typed records: lanman, Samba's C bindings, impacket.

    python benchmarks/decode_sessions.py [--sessions 100000] [--rounds 4] [--impacket-sessions 2000]

All decode the same bytes into the same records (`lanman.records.SessionInfo`), each as its users would. The bytes are
made by the first of them and checked by all: a peer that reads something else is a failure. impacket is given fewer
sessions, for it would take a minute otherwise; its rate does not grow with their number.

Samba's bindings are those of Debian's python3-samba, in the system's own Python. A peer that is missing is left out.
 Of several rounds the fastest counts, and the rounds of the peers alternate: only the ratios mean anything.
"""

from __future__ import annotations

import argparse
import pathlib
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable
from typing import Any

from lanman.records import SessionInfo
from lanman.rpc.srvsvc import NetrSessionEnumResponse

HERE = pathlib.Path(__file__).resolve().parent
SYSTEM_PYTHON = "/usr/bin/python3"

# Runs in the system's Python: reads a stub, decodes it `rounds` times, prints the fastest round in seconds.
SAMBA = """
import sys, time
sys.path.insert(0, sys.argv[1])
from samba.dcerpc import srvsvc
from samba.ndr import ndr_unpack_out
from lanman.records import SessionInfo

def decode(stub):
    call = srvsvc.NetSessEnum()
    ndr_unpack_out(call, stub)
    return [
        SessionInfo(s.client, s.user, s.num_open, s.time, s.idle_time, s.user_flags, s.client_type, s.transport)
        for s in call.out_info_ctr.ctr.array
    ]

stub = open(sys.argv[2], "rb").read()
best = float("inf")
for _ in range(int(sys.argv[3])):
    start = time.perf_counter()
    entries = decode(stub)
    best = min(best, time.perf_counter() - start)
    count, last = len(entries), repr(entries[-1])
    del entries  # to give back the memory is no part of it
print(best, count, last.encode().hex())
"""

IMPACKET_FIELDS = "cname username num_opens time idle_time user_flags cltype_name transport"


def sessions(count: int, *, surrogates: bool = False) -> list[SessionInfo]:
    """Sessions as a busy server has them. One name in an emoji's plane makes the whole text go string by string."""
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


def fastest(work: Callable[[], object], rounds: int) -> float:
    """How long the fastest of `rounds` took."""
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - start)
        del result  # to give back the memory is no part of it
    return best


def run_lanman(stub: bytes, entries: list[SessionInfo], rounds: int) -> float:
    """Entries per second."""
    assert NetrSessionEnumResponse.unpack(stub).entries == entries
    return len(entries) / fastest(lambda: NetrSessionEnumResponse.unpack(stub), rounds)


def run_samba(stub: bytes, entries: list[SessionInfo], rounds: int) -> float:
    """Entries per second."""
    with tempfile.TemporaryDirectory() as scratch:
        file = pathlib.Path(scratch, "stub")
        file.write_bytes(stub)
        command = [SYSTEM_PYTHON, "-c", SAMBA, str(HERE.parent / "src"), str(file), str(rounds)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImportError((done.stderr.strip().splitlines() or ["it failed"])[-1])
    best, count, last = done.stdout.split()
    assert int(count) == len(entries)
    assert last == repr(entries[-1]).encode().hex()
    return len(entries) / float(best)


def run_impacket(stub: bytes, entries: list[SessionInfo], rounds: int) -> float:
    """Entries per second."""
    from impacket.dcerpc.v5 import srvs

    names = ["sesi502_" + name for name in IMPACKET_FIELDS.split()]

    def value(found: Any) -> Any:
        return found.rstrip("\0") if isinstance(found, str) else found

    def decode() -> list[SessionInfo]:
        answer = srvs.NetrSessionEnumResponse(stub)
        buffer = answer["InfoStruct"]["SessionInfo"]["Level502"]["Buffer"]
        return [SessionInfo(*(value(entry[name]) for name in names)) for entry in buffer]

    assert decode() == entries
    return len(entries) / fastest(decode, rounds)


PEERS: dict[str, Callable[[bytes, list[SessionInfo], int], float]] = {
    "lanman": run_lanman,
    "lanman, a surrogate pair in it": run_lanman,
    "Samba's bindings": run_samba,
    "impacket": run_impacket,
}


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Entries per second of each peer, best of all rounds. Says which peers are missing."""
    many, few = sessions(options.sessions), sessions(options.impacket_sessions)
    paired = sessions(options.sessions, surrogates=True)
    work = {"impacket": few, "lanman, a surrogate pair in it": paired}
    rates: dict[str, float] = {}
    missing: set[str] = set()
    for _ in range(options.rounds):
        for name, run in PEERS.items():
            if name in missing:
                continue
            entries = work.get(name, many)
            try:
                rate = run(stub_of(entries), entries, 1 if name == "impacket" else 2)
            except (ImportError, FileNotFoundError) as reason:
                print(f"{name}: left out: {reason}")
                missing.add(name)
                continue
            rates[name] = max(rates.get(name, 0.0), rate)
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--impacket-sessions", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    print(f"{options.sessions:,} sessions of level 502; Python {platform.python_version()}, {platform.machine()}")
    rates = measure(options)
    print(f"\n| {'':32}| entries/s | lanman is |\n|{'-' * 33}|----------:|----------:|")
    for name, rate in rates.items():
        print(f"| {name:32}| {rate:9,.0f} | {rates['lanman'] / rate:8.1f}x |")
    stub, many = stub_of(sessions(options.sessions)), sessions(options.sessions)
    print(f"\nEncoding the same, {len(stub) / 2**20:.1f} MiB: {len(many) / fastest(lambda: stub_of(many), 3):,.0f}/s")


if __name__ == "__main__":
    main()
