"""What one more request and one more session cost the Server, in numbers that no load changes."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lanman.smb2.constants import (
    FILE_OPEN_IF,
    SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2,
    SMB2_CREATE_REQUEST_LEASE,
    SMB2_OPLOCK_LEVEL_LEASE,
)
from lanman.smb2.messages import CreateContext, CreateDurableHandleV2, CreateLease, ReadRequest, WriteRequest
from support.disk_server import DiskWorld, FileClient, emptied_world
from support.step_counter import steps

# Sessions before those that are measured, for what is kept from the first ones on, and those.
BEFORE, SESSIONS = 50, 200


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DiskWorld]:
    with emptied_world(tmp_path / "folder") as world:
        yield world
        for connection in list(world.dispatch.connections.values()):
            connection.connection_lost(world.now)
        world.advance(1000)


def test_the_steps_of_read_and_write(world: DiskWorld) -> None:
    """Client, Server and disk in memory. They took 6,892 and 7,307 when this was written, with Python 3.11, and no
    more before there were channel sequences, repetitions and late changes (benchmarks/steps.py)."""
    client = world.user()
    contents = bytes(4096)
    file_id = client.make("a", contents)
    read, write = ReadRequest(length=4096, file_id=file_id), WriteRequest(contents, file_id=file_id)
    for request in (read, write) * 20:  # what is compiled at its first uses
        client.want(request)
    assert steps(lambda: client.want(read)) < 7_300
    assert steps(lambda: client.want(write)) < 7_700


def idle(world: DiskWorld, number: int) -> FileClient:
    """A session that does nothing."""
    client = FileClient(world, guid=number.to_bytes(16, "little"))
    client.negotiate()
    client.log_on("ann")
    return client


def holding(world: DiskWorld, number: int) -> FileClient:
    """A session with a file of its own open, under a lease of all rights and a durable handle."""
    client = idle(world, number)
    client.tree_connect(r"\\server\share")
    key = number.to_bytes(16, "little")
    durable = CreateContext(SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2, CreateDurableHandleV2(0, 0, key).pack())
    lease = CreateContext(SMB2_CREATE_REQUEST_LEASE, CreateLease(key, 7).pack())
    opened = client.opened(
        f"file {number}", disposition=FILE_OPEN_IF, oplock=SMB2_OPLOCK_LEVEL_LEASE, contexts=[durable, lease]
    )
    assert len(opened.contexts) == 2
    return client


@pytest.mark.parametrize(("session", "most"), [(idle, 2_900), (holding, 7_000)])
def test_the_bytes_that_a_session_keeps(
    world: DiskWorld, session: Callable[[DiskWorld, int], FileClient], most: int
) -> None:
    """With its connection, and without what the event loop and the system keep for that. They were 2,723 and
    6,552 when this was written, with Python 3.11; benchmarks/session_memory.py measures a whole process."""

    def begin(number: int) -> None:
        client = session(world, number)
        del world.clients[client.connection.connection_id]  # the connection stays; its client is forgotten

    for number in range(1, BEFORE):
        begin(number)
    gc.collect()
    tracemalloc.start()
    try:
        kept, _ = tracemalloc.get_traced_memory()
        for number in range(BEFORE, BEFORE + SESSIONS):
            begin(number)
        world.events.clear()
        gc.collect()
        now, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(world.service.sessions()) == BEFORE + SESSIONS - 1
    assert (now - kept) / SESSIONS < most
