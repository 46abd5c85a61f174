"""What real peers said, read and written again to the same bytes (tests/vectors/smb2_*.hex)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lanman.smb2.connection import Connection
from lanman.smb2.constants import SMB2_CREATE_REQUEST_LEASE
from lanman.smb2.header import Header
from lanman.smb2.messages import (
    LEASE_SIZE,
    LEASE_V2_SIZE,
    CreateLease,
    CreateLeaseV2,
    CreateRequest,
    CreateResponse,
    Message,
    unpack_request,
    unpack_response,
)

VECTORS = Path(__file__).parent.parent / "vectors"
FILES = sorted(VECTORS.glob("smb2_*.hex"))


def frames(path: Path) -> Iterator[tuple[bool, bytes]]:
    """Whether it is the client's, and the frame."""
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            mark, data = line.split()
            yield mark == ">", bytes.fromhex(data)


def messages(path: Path) -> Iterator[tuple[Header, memoryview, Message]]:
    for is_client, frame in frames(path):
        if frame[:4] != b"\xfeSMB":
            continue
        for header, pdu in Connection._split(memoryview(frame)):
            if is_client:
                yield header, pdu, unpack_request(header.command, pdu)
            else:
                yield header, pdu, unpack_response(header.command, header.status, pdu)


def careless(path: Path, pdu: bytes, packed: bytes, message: Message) -> bytes:
    """`pdu` without what peers put where nothing stands: a byte for an empty part, and gaps."""
    name = type(message).__name__
    if len(packed) < len(pdu) < len(packed) + 8 and not any(pdu[len(packed) :]):
        # smbclient ends a name with a terminator that its length does not count; smbprotocol goes on to a multiple of
        # 8, and so does smbd with the last of a compound.
        return pdu[: len(packed)]
    if name in ("ErrorResponse", "ReadRequest") and len(pdu) == len(packed):
        return pdu[:-1] + b"\0"
    if name == "NegotiateRequest":
        return pdu.replace(b"\xff\xff", b"\0\0")  # impacket fills gaps with ff
    if name == "WriteRequest" and "windows" in path.name:
        return pdu[:104] + b"\0\0" + pdu[106:]  # Windows says where a channel's information would begin
    return pdu


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_read_and_written_again(path: Path) -> None:
    found = 0
    for header, pdu, message in messages(path):
        packed = header.pack() + message.pack()
        if header.next_command:
            packed += bytes(header.next_command - len(packed))
        raw = bytes(pdu)
        assert packed == raw or packed == careless(path, raw, packed, message), type(message).__name__
        found += 1
    assert found >= 4


def test_there_are_vectors_of_each_peer() -> None:
    assert len(FILES) >= 10
    seen = {(header.command, is_request(header)) for path in FILES for header, _, _ in messages(path)}
    assert {command for command, request in seen if request} >= {0, 1, 2, 3, 4, 5, 6, 8, 9, 11, 14, 16, 17}


def is_request(header: Header) -> bool:
    return not header.flags & 1


def test_leases_are_read_and_written_again() -> None:
    """Of both versions, asked for and granted by strangers; what the second of an old client says is of version 2, as
    the lease is."""
    sizes: list[tuple[bool, int]] = []
    for header, _, message in messages(VECTORS / "smb2_smbtorture_lease.hex"):
        for context in message.contexts if isinstance(message, CreateRequest | CreateResponse) else []:
            if context.name == SMB2_CREATE_REQUEST_LEASE:
                kind: type[CreateLease | CreateLeaseV2] = (
                    CreateLease if len(context.data) == LEASE_SIZE else CreateLeaseV2
                )
                assert kind.unpack(context.data).pack() == context.data
                sizes.append((is_request(header), len(context.data)))
    assert {size for request, size in sizes if request} == {LEASE_SIZE, LEASE_V2_SIZE}
    assert sizes[2:4] == [(True, LEASE_SIZE), (False, LEASE_V2_SIZE)]
    kinds = {type(message).__name__ for _, _, message in messages(VECTORS / "smb2_smbtorture_lease.hex")}
    assert {"LeaseBreakNotification", "LeaseBreak"} <= kinds
