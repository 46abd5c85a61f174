"""A CREATE that is sent once more (MS-SMB2 3.3.5.9, 3.3.5.9.10)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lanman.fscc.files import FILE_POSITION_INFORMATION
from lanman.server.disk_effects import OpenFile, OverwriteFile, QueryFile, WriteFile
from lanman.server.files.caching import RH, RWH
from lanman.server.files.oplocks import BREAK_TIMEOUT
from lanman.smb2.constants import (
    FILE_CREATE,
    FILE_CREATED,
    FILE_DIRECTORY_FILE,
    FILE_OPEN,
    FILE_OPEN_IF,
    FILE_OPENED,
    FILE_OVERWRITE_IF,
    FILE_OVERWRITTEN,
    FILE_READ_ATTRIBUTES,
    SMB2_CREATE_DURABLE_HANDLE_RECONNECT,
    SMB2_CREATE_DURABLE_HANDLE_RECONNECT_V2,
    SMB2_CREATE_DURABLE_HANDLE_REQUEST,
    SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2,
    SMB2_CREATE_QUERY_MAXIMAL_ACCESS_REQUEST,
    SMB2_CREATE_QUERY_ON_DISK_ID,
    SMB2_CREATE_REQUEST_LEASE,
    SMB2_OPLOCK_LEVEL_BATCH,
    SMB2_OPLOCK_LEVEL_EXCLUSIVE,
    SMB2_OPLOCK_LEVEL_II,
    SMB2_OPLOCK_LEVEL_LEASE,
    SMB2_OPLOCK_LEVEL_NONE,
)
from lanman.smb2.messages import (
    CreateContext,
    CreateDurableHandleReconnect,
    CreateDurableHandleReconnectV2,
    CreateDurableHandleV2,
    CreateLeaseV2,
    CreateResponse,
    FlushRequest,
    LeaseBreak,
    LockElement,
    LockRequest,
    Message,
    OplockBreak,
    QueryInfoRequest,
    ReadRequest,
    SetInfoRequest,
    TreeConnectRequest,
    WriteRequest,
)
from support.disk_server import READ, DiskWorld, FileClient, emptied_world
from support.memory_server import Client

HERE, THERE = b"\x01" * 16, b"\x02" * 16  # two clients
GUID, OTHER = b"g" * 16, b"h" * 16  # two CREATEs
KEY = b"k" * 16
LATER, TWICE, DENIED = "STATUS_FILE_NOT_AVAILABLE", "STATUS_DUPLICATE_OBJECTID", "STATUS_ACCESS_DENIED"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DiskWorld]:
    with emptied_world(tmp_path / "folder") as world:
        world.set(multichannel=True)
        yield world
        for client in list(world.clients.values()):
            world.disconnect(client)
        world.let_go()
        world.advance(1000)
        assert not world.dispatch.files.creating


def channel(world: DiskWorld, first: Client) -> FileClient:
    """One more connection of a session."""
    second = FileClient(world, guid=HERE)
    second.negotiate()
    second.bind_to(first)
    return second


def durable(guid: bytes = GUID) -> CreateContext:
    return CreateContext(SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2, CreateDurableHandleV2(0, 0, guid).pack())


def lease(state: int = RWH, key: bytes = KEY) -> CreateContext:
    return CreateContext(SMB2_CREATE_REQUEST_LEASE, CreateLeaseV2(key, state).pack())


def send(
    client: FileClient,
    name: str = "a",
    *contexts: CreateContext,
    guid: bytes = GUID,
    replay: bool = False,
    **options: Any,
) -> int:
    """A CREATE with a CreateGuid."""
    client.core.replay = replay
    options.setdefault("disposition", FILE_OPEN_IF)
    number = client.send(client.create(name, contexts=[durable(guid), *contexts], **options))
    client.core.replay = False
    return number


def status(client: FileClient, *contexts: CreateContext, replay: bool = True, **options: Any) -> str:
    return client.result(send(client, "a", *contexts, replay=replay, **options))


def opened(client: FileClient, *contexts: CreateContext, replay: bool = False, **options: Any) -> CreateResponse:
    """What such a CREATE is answered, which succeeds."""
    number = send(client, "a", *contexts, replay=replay, **options)
    assert client.result(number) == "STATUS_SUCCESS"
    message = client.answers[number].message
    assert isinstance(message, CreateResponse)
    return message


def names(response: CreateResponse) -> set[bytes]:
    return {bytes(each.name) for each in response.contexts}


BATCH = SMB2_OPLOCK_LEVEL_BATCH


def test_the_same_open_answers(world: DiskWorld) -> None:
    """Whatever else it asks for: another disposition, share mode, access, name."""
    ann = world.user("ann", guid=HERE)
    first = opened(ann, oplock=BATCH, share=0)
    for options in (
        {"oplock": BATCH},
        {"disposition": FILE_CREATE},
        {"share": 7},
        {"access": READ},
        {"disposition": FILE_OVERWRITE_IF},
    ):
        again = opened(ann, replay=True, **({"oplock": BATCH, "share": 0} | options))
        assert again == first
    assert ann.answers[send(ann, "b", replay=True, oplock=BATCH)].message == first
    assert first.create_action == FILE_CREATED
    assert len(world.service.opens()) == 1
    assert ann.told == []
    assert [path.name for path in world.folder.iterdir()] == ["a"]
    assert status(world.user("bob", guid=THERE), replay=False, guid=OTHER, share=7) == ""  # it waits for the oplock


def test_on_another_connection_too(world: DiskWorld) -> None:
    """The answer was lost with the first one."""
    ann = world.user("ann", guid=HERE)
    second = channel(world, ann)
    first = opened(ann, oplock=BATCH)
    world.disconnect(ann)
    assert opened(second, oplock=BATCH, replay=True) == first
    second.want(WriteRequest(b"data", file_id=bytes(first.file_id)))


@pytest.mark.parametrize("replay", [False, True])
def test_without_the_context_nothing_is_repeated(world: DiskWorld, replay: bool) -> None:
    ann = world.user("ann", guid=HERE)
    ann.core.replay = replay
    assert ann.open("a", disposition=FILE_OPEN_IF) != ann.open("a", disposition=FILE_OPEN_IF)
    assert ann.status("a", disposition=FILE_CREATE) == "STATUS_OBJECT_NAME_COLLISION"


def test_who_does_not_say_that_it_is_a_repetition_is_refused(world: DiskWorld) -> None:
    ann = world.user("ann", guid=HERE)
    first = opened(ann)
    assert status(ann, replay=False) == TWICE
    ann.shut(bytes(first.file_id))
    assert opened(ann).file_id != first.file_id, "the GUID is free again"


def test_another_client_has_other_guids(world: DiskWorld) -> None:
    ann, bob = world.user("ann", guid=HERE), world.user("bob", guid=THERE)
    first = opened(ann)
    assert opened(bob).file_id != first.file_id
    assert opened(bob, guid=OTHER, replay=True).file_id != first.file_id


def test_other_users_and_sessions_have_it_not(world: DiskWorld) -> None:
    ann = world.user("ann", guid=HERE)
    opened(ann)
    assert status(world.user("bob", guid=HERE)) == DENIED
    assert status(world.user("ann", guid=HERE)) == TWICE
    ann.tree_id = ann.ask(TreeConnectRequest(0, r"\\server\share"), tree_id=0).header.tree_id
    assert status(ann) == TWICE, "a FileId counts on its tree connect alone"


def test_what_is_kept_for_its_client_is_reclaimed_and_not_repeated(world: DiskWorld) -> None:
    ann = world.user("ann", guid=HERE)
    first = opened(ann, oplock=BATCH)
    world.disconnect(ann)
    ann = world.user("ann", guid=HERE)
    assert status(ann, oplock=BATCH) == TWICE
    reconnect = CreateDurableHandleReconnectV2(bytes(first.file_id), GUID)
    context = CreateContext(SMB2_CREATE_DURABLE_HANDLE_RECONNECT_V2, reconnect.pack())
    back = ann.opened("a", oplock=BATCH, contexts=[context])
    assert status(ann, oplock=BATCH, share=7) != TWICE, "its client has its FileId by now"
    assert back.create_action == FILE_OPENED


def test_a_lease_is_told_as_it_is(world: DiskWorld) -> None:
    ann = world.user("ann", guid=HERE)
    options: dict[str, Any] = {"oplock": SMB2_OPLOCK_LEVEL_LEASE}
    first = opened(ann, lease(RH), **options)
    other = opened(ann, lease(RWH), guid=OTHER, **options)
    again = opened(ann, lease(RH), replay=True, **options)
    assert again.file_id == first.file_id
    (found,) = [each for each in again.contexts if each.name == SMB2_CREATE_REQUEST_LEASE]
    assert CreateLeaseV2.unpack(found.data).lease_state == RWH
    assert names(again) == names(first) == {SMB2_CREATE_REQUEST_LEASE, SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2}
    assert status(ann, lease(RH, b"l" * 16), **options) == DENIED
    assert status(ann, oplock=BATCH) == DENIED
    ann.shut(bytes(other.file_id))


def test_a_lease_for_an_oplock_is_refused(world: DiskWorld) -> None:
    ann = world.user("ann", guid=HERE)
    opened(ann, oplock=BATCH)
    assert status(ann, lease(RH), oplock=SMB2_OPLOCK_LEVEL_LEASE) == DENIED


@pytest.mark.parametrize(
    ("held", "asked", "told"),
    [
        (BATCH, BATCH, BATCH),
        (BATCH, SMB2_OPLOCK_LEVEL_NONE, SMB2_OPLOCK_LEVEL_NONE),
        (BATCH, SMB2_OPLOCK_LEVEL_II, SMB2_OPLOCK_LEVEL_II),
        (BATCH, SMB2_OPLOCK_LEVEL_EXCLUSIVE, SMB2_OPLOCK_LEVEL_EXCLUSIVE),
        (SMB2_OPLOCK_LEVEL_II, BATCH, SMB2_OPLOCK_LEVEL_II),
        (SMB2_OPLOCK_LEVEL_NONE, BATCH, SMB2_OPLOCK_LEVEL_NONE),
    ],
)
def test_of_an_oplock_no_more_is_told_than_is_asked_for_and_held(
    world: DiskWorld, held: int, asked: int, told: int
) -> None:
    ann = world.user("ann", guid=HERE)
    first = opened(ann, oplock=held)
    assert first.oplock_level == held
    again = opened(ann, oplock=asked, replay=True)
    assert (again.oplock_level, again.file_id) == (told, first.file_id)
    assert (SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2 in names(again)) == (told == BATCH)


def test_contexts_that_are_asked_for_are_answered(world: DiskWorld) -> None:
    ann = world.user("ann", guid=HERE)
    asked = [
        CreateContext(SMB2_CREATE_QUERY_MAXIMAL_ACCESS_REQUEST, b""),
        CreateContext(SMB2_CREATE_QUERY_ON_DISK_ID, b""),
    ]
    first = opened(ann, *asked, oplock=BATCH)
    again = opened(ann, *asked, oplock=BATCH, replay=True)
    assert again == first
    assert names(first) == {b"MxAc", b"QFid", b"DH2Q"}


def asking(file_id: bytes) -> list[Message]:
    return [
        ReadRequest(length=1, file_id=file_id),
        WriteRequest(b"x", file_id=file_id),
        FlushRequest(file_id=file_id),
        QueryInfoRequest(1, FILE_POSITION_INFORMATION, 100, file_id=file_id),
        SetInfoRequest(1, FILE_POSITION_INFORMATION, bytes(8), file_id=file_id),
        LockRequest(file_id, [LockElement(0, 1, 0x12)]),
    ]


@pytest.mark.parametrize("number", range(6))
def test_who_has_asked_something_of_it_has_had_the_answer(world: DiskWorld, number: int) -> None:
    ann = world.user("ann", guid=HERE)
    first = opened(ann)
    ann.ask(asking(bytes(first.file_id))[number])
    assert opened(ann, replay=True).file_id != first.file_id


def test_who_acknowledges_a_break_knows_of_it(world: DiskWorld) -> None:
    ann, bob = world.user("ann", guid=HERE), world.user("bob", guid=THERE)
    first = opened(ann, oplock=BATCH)
    bob.send(bob.create("a"))
    ann.want(OplockBreak(SMB2_OPLOCK_LEVEL_II, bytes(first.file_id)))
    second = opened(ann, replay=True)
    assert second.file_id != first.file_id
    leased = opened(ann, lease(RH), guid=OTHER, oplock=SMB2_OPLOCK_LEVEL_LEASE)
    ann.ask(LeaseBreak(0, KEY, 0))  # nobody asked for that, and all the same
    assert opened(ann, lease(RH), guid=OTHER, replay=True, oplock=SMB2_OPLOCK_LEVEL_LEASE).file_id != leased.file_id


def test_directories_and_opens_for_attributes_are_not_found_again(world: DiskWorld) -> None:
    ann = world.user("ann", guid=HERE)
    first = opened(ann, access=READ, options=FILE_DIRECTORY_FILE)
    assert opened(ann, access=READ, options=FILE_DIRECTORY_FILE, replay=True).file_id != first.file_id
    first = opened(ann, access=FILE_READ_ATTRIBUTES, guid=OTHER)
    assert opened(ann, access=FILE_READ_ATTRIBUTES, guid=OTHER, replay=True).file_id != first.file_id


# --- while the first is under way


@pytest.mark.parametrize("replay", [False, True])
def test_while_it_waits_the_client_is_to_ask_again(world: DiskWorld, replay: bool) -> None:
    ann, bob = world.user("ann", guid=HERE), world.user("bob", guid=THERE)
    held = opened(bob, oplock=BATCH)
    number = send(ann, oplock=BATCH)
    assert ann.result(number) == ""
    for _ in range(3):
        assert status(ann, oplock=BATCH, replay=replay) == LATER
    assert len(bob.told) == 1
    bob.shut(bytes(held.file_id))
    assert ann.result(number) == "STATUS_SUCCESS"
    first = ann.answers[number].message
    assert opened(ann, oplock=BATCH, replay=True) == first


def test_one_that_fails_is_done_anew(world: DiskWorld) -> None:
    ann = world.user("ann", guid=HERE)
    assert status(ann, replay=False, disposition=FILE_OPEN) == "STATUS_OBJECT_NAME_NOT_FOUND"
    assert status(ann, disposition=FILE_OPEN) == "STATUS_OBJECT_NAME_NOT_FOUND"
    assert status(ann) == "STATUS_SUCCESS"


def test_one_that_is_cancelled_is_done_anew(world: DiskWorld) -> None:
    ann, bob = world.user("ann", guid=HERE), world.user("bob", guid=THERE)
    held = opened(bob, oplock=BATCH)
    number = send(ann)
    ann.core.cancel(number)
    world.pump()
    assert ann.result(number) == "STATUS_CANCELLED"
    number = send(ann, replay=True)
    assert ann.result(number) == ""
    bob.shut(bytes(held.file_id))
    assert ann.result(number) == "STATUS_SUCCESS"


def test_it_goes_on_when_its_connection_is_lost(world: DiskWorld) -> None:
    """While there is another one of its session (smb2.replay.dhv2-pending2*)."""
    ann, bob = world.user("ann", guid=HERE), world.user("bob", guid=THERE)
    second, third = channel(world, ann), channel(world, ann)
    held = opened(bob, oplock=BATCH)
    options: dict[str, Any] = {"oplock": SMB2_OPLOCK_LEVEL_LEASE}
    send(ann, "a", lease(), **options)
    world.disconnect(ann)
    assert status(second, lease(), **options) == LATER
    world.disconnect(second)
    assert status(third, lease(), **options) == LATER
    bob.shut(bytes(held.file_id))
    world.advance(0)
    assert len(world.service.opens()) == 1
    first = opened(third, lease(), replay=True, **options)
    assert first.create_action == FILE_OPENED
    number = bob.send(bob.create("a"))
    assert len(third.told) == 1, "what its lease's client is told leaves by a connection that is there"
    third.want(LeaseBreak(0, KEY, RH))
    world.advance(0)
    assert bob.result(number) == "STATUS_SUCCESS"


@pytest.mark.parametrize("effect", [OpenFile, OverwriteFile])
def test_it_goes_on_with_what_the_disk_does(world: DiskWorld, effect: type) -> None:
    ann = world.user("ann", guid=HERE)
    ann.shut(ann.make("a", b"contents"))
    second = channel(world, ann)
    world.held = lambda each: isinstance(each, effect)
    send(ann, disposition=FILE_OVERWRITE_IF)
    world.disconnect(ann)
    assert status(second, disposition=FILE_OVERWRITE_IF) == LATER
    world.let_go()
    again = opened(second, replay=True, disposition=FILE_OVERWRITE_IF)
    assert again.create_action == FILE_OVERWRITTEN
    assert len(world.service.opens()) == 1


def test_it_ends_with_its_session(world: DiskWorld) -> None:
    ann, bob = world.user("ann", guid=HERE), world.user("bob", guid=THERE)
    second = channel(world, ann)
    held = opened(bob, oplock=BATCH)
    send(ann, oplock=BATCH)
    world.disconnect(ann)
    world.disconnect(second)
    bob.shut(bytes(held.file_id))
    world.advance(BREAK_TIMEOUT)
    assert not world.service.opens()
    ann = world.user("ann", guid=HERE)
    assert status(ann, oplock=BATCH) == "STATUS_SUCCESS"


def test_without_another_connection_it_ends_at_once(world: DiskWorld) -> None:
    ann, bob = world.user("ann", guid=HERE), world.user("bob", guid=THERE)
    held = opened(bob, oplock=BATCH)
    send(ann, oplock=BATCH)
    world.disconnect(ann)
    assert not world.dispatch.files.creating
    bob.shut(bytes(held.file_id))
    assert not world.service.opens()


def test_one_that_ends_while_it_is_looked_at_is_no_answer(world: DiskWorld) -> None:
    ann = world.user("ann", guid=HERE)
    second = channel(world, ann)
    first = opened(ann)
    world.held = lambda effect: isinstance(effect, QueryFile)
    number = send(second, replay=True)
    ann.shut(bytes(first.file_id))
    world.let_go()
    assert second.result(number) == LATER
    assert opened(second, replay=True).file_id != first.file_id


# --- reclaiming what the disk is still busy with


@pytest.mark.parametrize("dialect", [0x0210, 0x0300, 0x0311])
def test_what_is_reclaimed_has_no_write_of_before_under_way(world: DiskWorld, dialect: int) -> None:
    """The connection is lost while the disk writes, and the client comes again: its next WRITE stays."""
    ann = world.user("ann", guid=HERE, dialects=(dialect,))
    contexts = [durable() if dialect >= 0x0300 else CreateContext(SMB2_CREATE_DURABLE_HANDLE_REQUEST, bytes(16))]
    file_id = ann.open("a", oplock=BATCH, contexts=contexts, disposition=FILE_CREATE)
    world.held = lambda effect: isinstance(effect, WriteFile)
    ann.send(WriteRequest(b"1111", file_id=file_id))
    world.disconnect(ann)
    ann = world.user("ann", guid=HERE, dialects=(dialect,))
    reconnect = CreateContext(SMB2_CREATE_DURABLE_HANDLE_RECONNECT, CreateDurableHandleReconnect(file_id).pack())
    if dialect >= 0x0300:
        data = CreateDurableHandleReconnectV2(file_id, GUID).pack()
        reconnect = CreateContext(SMB2_CREATE_DURABLE_HANDLE_RECONNECT_V2, data)
    number = ann.send(ann.create("a", oplock=BATCH, contexts=[reconnect]))
    assert ann.result(number) == ""
    world.let_go()
    world.advance(0)
    assert ann.result(number) == "STATUS_SUCCESS"
    back = ann.answers[number].message
    assert isinstance(back, CreateResponse)
    ann.want(WriteRequest(b"2222", file_id=bytes(back.file_id)))
    assert (world.folder / "a").read_bytes() == b"2222"
