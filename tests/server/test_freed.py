"""What belongs to a connection is gone when the connection is, without the cyclic garbage collector."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lanman.rpc.srvsvc import NetrSessionEnum
from lanman.server.disk_effects import CloseFile
from lanman.smb2.constants import FILE_DIRECTORY_FILE, FSCTL_PIPE_TRANSCEIVE, SMB2_OPLOCK_LEVEL_BATCH, Dialect
from lanman.smb2.messages import (
    ChangeNotifyRequest,
    EchoRequest,
    IoctlRequest,
    LockElement,
    LockRequest,
    QueryDirectoryRequest,
    ReadRequest,
    WriteRequest,
)
from support.disk_server import DiskWorld, FileClient
from support.raw_client import RawClient

# One of these kept alive keeps a connection's memory, or is a part of it.
WATCHED = frozenset(
    {
        "Acceptor",
        "Association",
        "Chain",
        "CommandWindow",
        "ConnectionDispatch",
        "Context",
        "Creating",
        "DiskOpen",
        "FileState",
        "Logon",
        "NamedPipe",
        "NtlmAcceptor",
        "Open",
        "Continuation",
        "Task",
        "PipeOpen",
        "Request",
        "RpcServer",
        "Scan",
        "ServerConnection",
        "Session",
        "TreeConnect",
        "Waiter",
        "Waiting",
        "WaitingLock",
        "Watch",
        "ServerSession",
        "ServerTree",
    }
)


def alive() -> Counter[str]:
    """How many of WATCHED there are, whether or not anybody can reach them."""
    return Counter(
        type(each).__name__
        for each in gc.get_objects()
        if type(each).__name__ in WATCHED
        and type(each).__module__.startswith("lanman.")
        and type(each).__module__ != "lanman.rpc.pdu"  # a Context there is a structure of bytes, which clients keep
    )


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DiskWorld]:
    world = DiskWorld(tmp_path)
    # One that stays, so that nothing goes because the last connection has gone.
    stays = RawClient(world, address="192.0.2.1")
    gc.collect()
    gc.disable()
    try:
        yield world
    finally:
        gc.enable()
    assert stays.connection.connection_id in world.dispatch.connections


def begun(world: DiskWorld) -> RawClient:
    connection = RawClient.__new__(RawClient)
    found = world.dispatch.connect("192.0.2.2", world.now)
    assert found is not None
    connection.connection = found
    return connection


def negotiated(world: DiskWorld) -> RawClient:
    return RawClient(world)


def half_a_log_on(world: DiskWorld) -> RawClient:
    client = RawClient(world)
    client.begin_log_on("ann")
    return client


def a_log_on_that_waits(world: DiskWorld) -> RawClient:
    client = half_a_log_on(world)
    client.send(client.pdu(client.last_leg()), pump=False)
    assert client.connection._waiting
    return client


def refused_log_ons(world: DiskWorld) -> RawClient:
    client = RawClient(world)
    for _ in range(3):
        client.session_id = 0
        client.begin_log_on("ann", "wrong")
        client.send(client.pdu(client.last_leg()))
    return client


def half_a_frame(world: DiskWorld) -> RawClient:
    client = RawClient(world)
    client.connection.receive_data((60000).to_bytes(4, "big") + bytes(50000), world.now)
    return client


def null_session(world: DiskWorld) -> RawClient:
    client = RawClient(world)
    assert client.log_on() == 0
    return client


def requests_not_begun(world: DiskWorld) -> RawClient:
    client = null_session(world)
    world.dispatch.scheduler._budget = 0
    client.send(*[client.pdu(EchoRequest()) for _ in range(20)], pump=False)
    assert client.connection.overloaded
    return client


def user(world: DiskWorld) -> FileClient:
    return world.user()


def opens_of_all_kinds(world: DiskWorld) -> FileClient:
    client = world.user()
    (world.folder / "folder").mkdir(exist_ok=True)
    client.open("", options=FILE_DIRECTORY_FILE)
    file_id = client.make("a.txt", b"contents", oplock=SMB2_OPLOCK_LEVEL_BATCH)
    client.want(LockRequest(file_id, [LockElement(0, 1, 0x12)]))
    folder = client.open("folder", options=FILE_DIRECTORY_FILE)
    client.ask(QueryDirectoryRequest(37, file_id=folder, name="*", output_buffer_length=65536))
    client.status("is not there")
    (world.folder / "a.txt").unlink()
    pipes = client.bind()
    pipes.call(NetrSessionEnum(None, None, None, 10))
    pipes.write(pipes.rpc.call(NetrSessionEnum(None, None, None, 10))[0])  # an answer that nobody reads
    return client


def requests_that_wait(world: DiskWorld) -> FileClient:
    client, other = world.user(), world.user("bob")
    other.make("locked", b"contents")
    held, wanted = other.open("locked"), client.open("locked")
    other.want(LockRequest(held, [LockElement(0, 1, 2)]))
    client.send(LockRequest(wanted, [LockElement(0, 1, 2)]))
    folder = client.open("", options=FILE_DIRECTORY_FILE)
    client.send(ChangeNotifyRequest(file_id=folder, output_buffer_length=4096, completion_filter=0xFFF))
    other.open("kept", disposition=3, oplock=SMB2_OPLOCK_LEVEL_BATCH)
    client.send(client.create("kept"))  # waits for the other's oplock
    tree = client.tree_id
    client.bind()
    client.send(ReadRequest(length=10, file_id=client.file_id))
    client.send(IoctlRequest(FSCTL_PIPE_TRANSCEIVE, client.file_id, b"\5\0", max_output_response=10))
    client.tree_id = tree
    world.held = lambda effect: not isinstance(effect, CloseFile)
    client.send(WriteRequest(bytes(100), 4096, wanted))
    client.send(QueryDirectoryRequest(37, file_id=folder, name="*", output_buffer_length=65536))
    client.send(QueryDirectoryRequest(37, file_id=folder, name="*", output_buffer_length=65536))
    client.send(client.create("other"))
    assert len(client.connection._waiting or ()) >= 7
    world.disconnect(other)
    del other
    return client


KINDS: list[Callable[[DiskWorld], RawClient | FileClient]] = [
    begun,
    negotiated,
    half_a_log_on,
    a_log_on_that_waits,
    refused_log_ons,
    half_a_frame,
    null_session,
    requests_not_begun,
    user,
    opens_of_all_kinds,
    requests_that_wait,
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_all_is_gone_with_the_connection(world: DiskWorld, kind: Callable[[DiskWorld], RawClient | FileClient]) -> None:
    before = alive()
    client = kind(world)
    assert alive()["ConnectionDispatch"] > before["ConnectionDispatch"]
    world.clients.pop(client.connection.connection_id, None)
    client.connection.connection_lost(world.now)
    del client
    world.let_go()
    world.advance(1.0)
    world.events.clear()
    assert not alive() - before


def test_all_is_gone_with_its_sessions(world: DiskWorld) -> None:
    """The connection stays; its sessions come and go."""
    client = world.connect(dialects=(Dialect.SMB_3_1_1,))
    client.log_on("ann").bind()
    client.log_off()
    before = alive()
    for _ in range(3):
        client.log_on("ann").bind()
        client.send(ReadRequest(length=10, file_id=client.file_id))
        client.log_off()
    world.advance(1.0)
    world.events.clear()
    assert not {name: number for name, number in (alive() - before).items() if name != "Request"}


def test_what_a_frame_says_that_it_will_bring_takes_no_memory(world: DiskWorld) -> None:
    client = RawClient(world)
    assert client.log_on("ann") == 0
    client.connection.receive_data((8 << 20).to_bytes(4, "big") + b"\xfeSMB", world.now)
    frame = client.connection.core._frame
    assert frame is not None
    assert len(frame) == 4
    for _ in range(10):
        client.connection.receive_data(bytes(1000), world.now)
    assert len(frame) == 10004


@pytest.mark.parametrize(("user", "large"), [("", False), ("ann", True)])
def test_frames_are_small_until_there_is_a_user(world: DiskWorld, user: str, large: bool) -> None:
    client = RawClient(world)
    assert client.log_on(user) == 0
    client.connection.receive_data((1 << 20).to_bytes(4, "big"), world.now)
    world.pump()
    assert bool(client.finished) is not large
