"""Feed the SMB cores changed conversations until the time is up: `python tests/fuzz/fuzz_cores.py --seconds 60`.

With atheris installed, `--atheris` lets it guide the changes by coverage; without it they are drawn from a seed, which
is printed, so that a finding can be had again with `--seed`. What is found is printed as hex, and the status is 1.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lanman.errors import RemoteProtocolError
from lanman.smb2.constants import SMB2_CREATE_REQUEST_LEASE
from lanman.smb2.messages import (
    CreateContext,
    CreateLease,
    CreateLeaseV2,
    CreateRequest,
    CreateResponse,
    EchoRequest,
    EchoResponse,
    LeaseBreak,
    LogoffRequest,
    LogoffResponse,
    OplockBreak,
    ReadRequest,
    ReadResponse,
    TreeConnectRequest,
    TreeConnectResponse,
)
from lanman.smb2.server import Request, ServerConnection
from support.smb2_pair import Answering, Wire, ask, connected, make_pair

VECTORS = Path(__file__).resolve().parent.parent / "vectors"


def reply(request: Request) -> Any:
    if isinstance(request.message, TreeConnectRequest):
        return TreeConnectResponse(1)
    if isinstance(request.message, ReadRequest):
        return ReadResponse(bytes(min(request.message.length, 100)))
    if isinstance(request.message, LogoffRequest):
        return LogoffResponse()
    if isinstance(request.message, CreateRequest):
        return CreateResponse(oplock_level=255, contexts=request.message.contexts)
    if isinstance(request.message, LeaseBreak | OplockBreak):
        return request.message
    return EchoResponse()


def leases() -> list[Any]:
    """Requests for leases of both versions, and what acknowledges a break."""
    key = b"k" * 16
    contexts = [CreateLease(key, 7).pack(), CreateLeaseV2(key, 7, 4, parent_lease_key=key, epoch=1).pack()]
    asked = [CreateContext(SMB2_CREATE_REQUEST_LEASE, data) for data in contexts]
    creates = [CreateRequest(requested_oplock_level=255, name="a", contexts=[context]) for context in asked]
    return [*creates, LeaseBreak(0, key, 3), OplockBreak(1, key)]


def corpus() -> list[tuple[bool, bytes]]:
    """Whether it is the client's, and the bytes: our own conversations, and those of real peers."""
    found: list[tuple[bool, bytes]] = []
    for encrypt in (False, True):
        wire, answer = Wire(), Answering(reply, encrypt=encrypt)
        client, server, session_id = connected(answer, wire, encrypt=encrypt)
        for message in (
            TreeConnectRequest(0, "x"),
            EchoRequest(),
            ReadRequest(length=50),
            *leases(),
            LogoffRequest(),
        ):
            ask(client, server, answer, message, session_id=session_id, wire=wire)
        found += [(True, bytes(wire.to_server)), (False, bytes(wire.to_client))]
    for path in sorted(VECTORS.glob("smb2_*.hex")):
        for mark in "><":
            lines = [line for line in path.read_text().splitlines() if line.startswith(mark)]
            frames = [bytes.fromhex(line[2:]) for line in lines]
            found.append((mark == ">", b"".join(len(frame).to_bytes(4, "big") + frame for frame in frames)))
    return found


def one(data: bytes, *, to_server: bool) -> None:
    """Give fresh cores `data`. Whatever comes out of it but events and RemoteProtocolError is a finding."""
    client, server = make_pair()
    client.negotiate()
    connection = server if to_server else client
    answer = Answering(reply, sign=False)
    at = 0
    try:
        while at < len(data):
            end = at + 4 + int.from_bytes(data[at : at + 4], "big")
            for event in connection.receive_data(data[at:end]):
                if isinstance(connection, ServerConnection):
                    answer(connection, event)
            connection.data_to_send()
            at = end
    except RemoteProtocolError:
        pass


def change(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 3, 8))):
        at = dice.randrange(len(changed) + 1)
        kind = dice.randrange(5)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << dice.randrange(8)
        elif kind == 1:
            changed[at : at + 4] = dice.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFF, 64)).to_bytes(4, "little")
        elif kind == 2:
            del changed[at : at + dice.randrange(1, 40)]
        elif kind == 3:
            changed[at:at] = dice.randbytes(dice.randrange(1, 40))
        else:
            start = dice.randrange(len(changed) + 1)
            changed[at : at + 64] = changed[start : start + 64]
    return bytes(changed)


def guided() -> None:
    """Let atheris choose."""
    import atheris  # type: ignore[import-untyped,import-not-found,unused-ignore]

    def test(data: bytes) -> None:
        one(data[1:], to_server=bool(data[:1] > b"\x7f"))

    atheris.instrument_all()
    atheris.Setup(sys.argv[:1], test)
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--atheris", action="store_true")
    options = parser.parse_args()
    if options.atheris:
        guided()
    seed = options.seed if options.seed is not None else random.randrange(1 << 32)
    dice, samples, runs = random.Random(seed), corpus(), 0
    end = time.monotonic() + options.seconds
    while time.monotonic() < end:
        to_server, sample = dice.choice(samples)
        data = change(sample, dice)
        try:
            one(data, to_server=to_server)
        except Exception as error:  # noqa: BLE001  # a finding, whatever it is
            print(f"seed {seed}, run {runs}: {error!r} to_server={to_server}\n{data.hex()}")
            return 1
        runs += 1
    print(f"{runs} conversations, seed {seed}: nothing found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
