"""Durable handles over the wire: granted, kept, reclaimed, and closed in time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman.server.files.durable import DurableRequest, Reconnect, read_durable
from lanman.server.state import pack_file_id
from lanman.smb2.constants import (
    FILE_OPEN_IF,
    SMB2_CREATE_DURABLE_HANDLE_RECONNECT,
    SMB2_CREATE_DURABLE_HANDLE_RECONNECT_V2,
    SMB2_CREATE_DURABLE_HANDLE_REQUEST,
    SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2,
    SMB2_DHANDLE_FLAG_PERSISTENT,
    Dialect,
)
from lanman.smb2.messages import (
    CreateContext,
    CreateDurableHandle,
    CreateDurableHandleReconnect,
    CreateDurableHandleReconnectV2,
    CreateDurableHandleV2,
)
from support.disk_server import DiskWorld, emptied_world

HERE, THERE = b"\x01" * 16, b"\x02" * 16  # two clients
FIRST, SECOND = b"g" * 16, b"h" * 16  # two GUIDs of opens
FILE_ID = pack_file_id(7, 9)

DHNQ = CreateContext(SMB2_CREATE_DURABLE_HANDLE_REQUEST, CreateDurableHandle().pack())
DHNC = CreateContext(SMB2_CREATE_DURABLE_HANDLE_RECONNECT, CreateDurableHandleReconnect(FILE_ID).pack())


def dh2q(guid: bytes = FIRST, timeout: int = 0, flags: int = 0) -> CreateContext:
    return CreateContext(SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2, CreateDurableHandleV2(timeout, flags, guid).pack())


def dh2c(file_id: bytes = FILE_ID, guid: bytes = FIRST, flags: int = 0) -> CreateContext:
    data = CreateDurableHandleReconnectV2(file_id, guid, flags).pack()
    return CreateContext(SMB2_CREATE_DURABLE_HANDLE_RECONNECT_V2, data)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DiskWorld]:
    with emptied_world(tmp_path / "folder") as world:
        yield world


def read(*contexts: CreateContext, dialect: int = Dialect.SMB_3_1_1) -> DurableRequest | Reconnect | None:
    return read_durable({each.name: each.data for each in contexts}, dialect)


def test_what_the_contexts_of_durable_handles_say() -> None:
    assert read() is None
    assert read(CreateContext(b"QFid")) is None
    assert read(DHNQ) == DurableRequest(1)
    assert read(DHNC) == Reconnect(1, 7)
    assert read(DHNQ, DHNC) == Reconnect(1, 7)
    assert read(dh2q(timeout=1500)) == DurableRequest(2, 1500, FIRST)
    assert read(dh2q(flags=SMB2_DHANDLE_FLAG_PERSISTENT | 4)) == DurableRequest(2, 0, FIRST, persistent=True)
    assert read(dh2c()) == Reconnect(2, 7, FIRST)
    assert read(dh2c(flags=SMB2_DHANDLE_FLAG_PERSISTENT)) == Reconnect(2, 7, FIRST, persistent=True)


def test_their_bytes() -> None:
    """MS-SMB2 2.2.13.2.3, .4, .11 and .12."""
    assert DHNQ.data == bytes(16)
    assert DHNC.data == bytes.fromhex("0700000000000000 0900000000000000")
    asked = dh2q(timeout=0x01020304, flags=2)
    assert asked.data == bytes.fromhex("04030201 02000000") + bytes(8) + FIRST
    assert dh2c(flags=2).data == FILE_ID + FIRST + bytes.fromhex("02000000")


def test_contexts_that_exclude_one_another() -> None:
    """MS-SMB2 3.3.5.9.6, .7, .10 and .12; smb2.durable-v2-open.create-blob."""
    for some in combinations([DHNQ, DHNC, dh2q(), dh2c()], 2):
        if some == (DHNQ, DHNC):
            continue
        with pytest.raises(ValueError, match="exclude"):
            read(*some)


def test_before_3_0_nobody_knows_the_second_version() -> None:
    assert read(dh2q(), dialect=Dialect.SMB_2_1) is None
    assert read(CreateContext(SMB2_CREATE_DURABLE_HANDLE_RECONNECT_V2, b"?"), dialect=Dialect.SMB_2_1) is None
    assert read(DHNQ, dh2q(), dialect=Dialect.SMB_2_0_2) == DurableRequest(1)
    assert read(DHNC, dh2c(), dialect=Dialect.SMB_2_1) == Reconnect(1, 7)


@given(st.sampled_from([DHNQ, DHNC, dh2q(), dh2c()]), st.binary(max_size=64))
def test_contexts_of_a_wrong_size(context: CreateContext, data: bytes) -> None:
    if len(data) != len(context.data):
        with pytest.raises(ValueError, match="bytes of data"):
            read(CreateContext(context.name, data))
    else:
        assert read(CreateContext(context.name, data)) is not None


def test_opens_are_found_by_the_guids_of_their_client_and_of_their_own(world: DiskWorld) -> None:
    guids = world.dispatch.files.create_guids
    here, there = world.user(guid=HERE), world.user(guid=THERE)
    one = here.open("a", disposition=FILE_OPEN_IF, contexts=[dh2q()])
    two = here.open("a", disposition=FILE_OPEN_IF, contexts=[dh2q(SECOND)])
    other = there.open("a", contexts=[dh2q()])
    here.open("a", contexts=[DHNQ])
    assert len(guids) == 3
    found = [guids.find(*key) for key in ((HERE, FIRST), (HERE, SECOND), (THERE, FIRST))]
    assert [each.open.file_id for each in found if each is not None] == [
        int.from_bytes(file_id[:8], "little") for file_id in (one, two, other)
    ]
    assert guids.find(THERE, SECOND) is None
    here.shut(one)
    assert guids.find(HERE, FIRST) is None
    there.log_off()
    assert guids.find(THERE, FIRST) is None
    here.get(two)  # so its GUID is free again: its client has had the answer to its CREATE
    newer = here.open("a", contexts=[dh2q(SECOND)])
    here.shut(two)
    known = guids.find(HERE, SECOND)
    assert known is not None
    assert known.open.file_id == int.from_bytes(newer[:8], "little")
