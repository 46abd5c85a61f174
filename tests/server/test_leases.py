"""Leases over the wire: what clients are granted, told and answered, by client and key."""

from __future__ import annotations

import os
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanman import codes
from lanman.domain import Reason
from lanman.dtyp import READ_CONTROL
from lanman.events import LeaseChanged
from lanman.fscc.files import FILE_DISPOSITION_INFORMATION, FILE_END_OF_FILE_INFORMATION, FILE_RENAME_INFORMATION
from lanman.server.disk_effects import CheckDeletable, CloseFile, OverwriteFile, SetFile, WriteFile
from lanman.server.effects import Effect
from lanman.server.files.caching import HOLDABLE, NONE, RH, RW, RWH, R, W
from lanman.server.files.oplocks import BREAK_TIMEOUT
from lanman.server.resources import ResourceLimits
from lanman.smb2.constants import (
    FILE_CREATE,
    FILE_DELETE_ON_CLOSE,
    FILE_DIRECTORY_FILE,
    FILE_OPEN_IF,
    FILE_OVERWRITE,
    FILE_READ_ATTRIBUTES,
    SMB2_CREATE_REQUEST_LEASE,
    SMB2_GLOBAL_CAP_LEASING,
    SMB2_LEASE_FLAG_BREAK_IN_PROGRESS,
    SMB2_LEASE_FLAG_PARENT_LEASE_KEY_SET,
    SMB2_LOCKFLAG_EXCLUSIVE_LOCK,
    SMB2_OPLOCK_LEVEL_BATCH,
    SMB2_OPLOCK_LEVEL_LEASE,
    SMB2_OPLOCK_LEVEL_NONE,
)
from lanman.smb2.messages import (
    CloseRequest,
    CreateContext,
    CreateLease,
    CreateLeaseV2,
    CreateResponse,
    LeaseBreak,
    LeaseBreakNotification,
    LockElement,
    LockRequest,
    LogoffRequest,
    Message,
    SetInfoRequest,
    WriteRequest,
)
from support.disk_server import READ, DiskWorld, FileClient, emptied_world

HERE, THERE = b"\x01" * 16, b"\x02" * 16  # two clients
FIRST, SECOND = b"k" * 16, b"l" * 16  # two keys
DENIED_OTHERS = 0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DiskWorld]:
    with emptied_world(tmp_path / "folder") as world:
        yield world
        for client in list(world.clients.values()):
            world.disconnect(client)
        world.let_go()
        assert len(world.dispatch.leases) == 0
        assert not world.dispatch.leases._clients
        assert not world.dispatch.leases._told


def context(state: int, key: bytes = FIRST, *, version: int = 2, epoch: int = 0) -> CreateContext:
    lease = CreateLease(key, state) if version == 1 else CreateLeaseV2(key, state, epoch=epoch)
    return CreateContext(SMB2_CREATE_REQUEST_LEASE, lease.pack())


def leased(
    client: FileClient, name: str, state: int, key: bytes = FIRST, *, version: int = 2, epoch: int = 0, **options: int
) -> CreateResponse:
    """Open a file and ask for a lease."""
    options.setdefault("disposition", FILE_OPEN_IF)
    contexts = [context(state, key, version=version, epoch=epoch)]
    return client.opened(name, oplock=SMB2_OPLOCK_LEVEL_LEASE, contexts=contexts, **options)


def lease_of(response: CreateResponse) -> CreateLeaseV2:
    """What a response says of its lease; there is that context alone."""
    assert response.oplock_level == SMB2_OPLOCK_LEVEL_LEASE
    (found,) = response.contexts
    assert found.name == SMB2_CREATE_REQUEST_LEASE
    return CreateLeaseV2.unpack(found.data)


def told(client: FileClient) -> list[tuple[int, int, int]]:
    """The notices since this was last asked: flags, from what, to what."""
    notices = [event.message for event in client.told]
    client.told.clear()
    assert all(isinstance(each, LeaseBreakNotification) for each in notices)
    return [(each.flags, each.current_lease_state, each.new_lease_state) for each in notices]  # type: ignore[attr-defined]


def replace(client: FileClient) -> None:
    """The client logs on over another connection, in place of its session (3.3.5.5.3)."""
    again = FileClient(client.world, guid=HERE)
    again.negotiate()
    again.log_on("ann", previous=client.session_id)
    client.world.pump()


def acknowledge(client: FileClient, state: int, key: bytes = FIRST) -> str:
    answer = client.ask(LeaseBreak(0, key, state))
    client.world.advance(0)
    return codes.ntstatus_name(answer.status)


def test_a_lease_of_a_client_is_that_of_all_its_sessions_and_users(world: DiskWorld) -> None:
    ann, bob = world.user("ann", guid=HERE), world.user("bob", guid=HERE)
    assert lease_of(leased(ann, "a", RH)).lease_state == RH
    assert lease_of(leased(bob, "a", RWH)).lease_state == RWH
    assert len(world.dispatch.leases) == 1
    other = world.user("ann", guid=THERE)
    number = other.send(other.create("a"))
    assert told(ann) == [(1, RWH, RH)]
    assert told(bob) == []
    assert acknowledge(bob, RH) == "STATUS_SUCCESS"  # whichever of them may answer
    assert other.result(number) == "STATUS_SUCCESS"


def test_who_waits_is_told_so_and_may_give_up(world: DiskWorld) -> None:
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    leased(ann, "a", RWH)
    number = bob.send(bob.create("a"))
    assert bob.pendings == [number]
    bob.core.cancel(number)
    world.pump()
    assert bob.result(number) == "STATUS_CANCELLED"
    assert acknowledge(ann, RH) == "STATUS_SUCCESS"


def test_while_it_breaks_opens_of_the_same_key_go_through(world: DiskWorld) -> None:
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    leased(ann, "a", RWH)
    number = bob.send(bob.create("a"))
    lease = lease_of(leased(ann, "a", RWH))
    assert (lease.lease_state, lease.flags) == (RWH, SMB2_LEASE_FLAG_BREAK_IN_PROGRESS)
    assert acknowledge(ann, R) == "STATUS_SUCCESS"  # less than it was offered
    assert bob.result(number) == "STATUS_SUCCESS"
    assert lease_of(leased(ann, "a", NONE)).lease_state == R


def test_who_does_not_answer_loses_the_lease(world: DiskWorld) -> None:
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    leased(ann, "a", RWH)
    number = bob.send(bob.create("a"))
    world.advance(BREAK_TIMEOUT - 1)
    assert bob.result(number) == ""
    world.advance(2)
    assert bob.result(number) == "STATUS_SUCCESS"
    assert acknowledge(ann, RH) == "STATUS_UNSUCCESSFUL"
    assert lease_of(leased(ann, "a", NONE)).lease_state == NONE


def test_closing_the_last_open_is_an_answer(world: DiskWorld) -> None:
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    first, second = leased(ann, "a", RWH), leased(ann, "a", RWH)
    number = bob.send(bob.create("a"))
    ann.shut(bytes(first.file_id))
    assert bob.result(number) == ""
    ann.shut(bytes(second.file_id))
    assert bob.result(number) == "STATUS_SUCCESS"
    assert acknowledge(ann, RH) == "STATUS_OBJECT_NAME_NOT_FOUND"


@pytest.mark.parametrize("ends", ["connection", "session", "log-off"])
def test_the_end_of_its_sessions_is_an_answer(world: DiskWorld, ends: str) -> None:
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    leased(ann, "a", RWH)
    number = bob.send(bob.create("a"))
    if ends == "connection":
        world.disconnect(ann)
    elif ends == "session":
        (session,) = [each for each in world.service.sessions() if each.user_name == "ann"]
        world.service.close_session(session, Reason.DELETED)
    else:
        ann.want(LogoffRequest())
    world.pump()
    assert bob.result(number) == "STATUS_SUCCESS"


def test_a_notice_leaves_again_by_another_connection_when_the_first_is_lost(world: DiskWorld) -> None:
    ann, again = world.user(guid=HERE), world.user(guid=HERE)
    bob = world.user("bob", guid=THERE)
    leased(ann, "a", RWH)
    leased(again, "a", RWH)
    number = bob.send(bob.create("a"))
    assert told(ann) == [(1, RWH, RH)]
    assert told(again) == []
    world.disconnect(ann)
    world.pump()
    assert told(again) == [(1, RWH, RH)]
    assert bob.result(number) == ""
    assert acknowledge(again, RH) == "STATUS_SUCCESS"
    assert bob.result(number) == "STATUS_SUCCESS"


def test_a_notice_leaves_by_another_channel_of_the_session(world: DiskWorld) -> None:
    ann = world.user(guid=HERE)
    second = FileClient(world, guid=HERE)
    second.negotiate()
    second.bind_to(ann)
    bob = world.user("bob", guid=THERE)
    leased(ann, "a", RWH)
    number = bob.send(bob.create("a"))
    world.disconnect(ann)
    world.pump()
    assert told(second) == [(1, RWH, RH)]
    assert acknowledge(second, RH) == "STATUS_SUCCESS"
    assert bob.result(number) == "STATUS_SUCCESS"


def test_an_orphan_keeps_its_lease_until_it_is_in_the_way(world: DiskWorld) -> None:
    """Section 3.3.4.7: nobody can be told. Where W alone is taken it is closed too: it could not be reclaimed."""
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    leased(ann, "a", RWH)
    (kept,) = world.service.opens()
    world.service.make_durable(kept, ("ann", ""), 60)
    world.disconnect(ann)
    world.pump()
    assert [each.caching.rights for each in world.dispatch.leases] == [RWH]
    assert bob.status("a", access=FILE_READ_ATTRIBUTES) == "STATUS_SUCCESS"
    assert [each.caching.rights for each in world.dispatch.leases] == [RWH]
    assert bob.status("a", access=READ) == "STATUS_SUCCESS"
    assert len(world.dispatch.leases) == 0
    assert kept not in world.service.opens()


def test_an_orphan_is_closed_whose_handle_is_in_the_way(world: DiskWorld) -> None:
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    leased(ann, "a", RWH, share=DENIED_OTHERS)
    (kept,) = world.service.opens()
    world.service.make_durable(kept, ("ann", ""), 60)
    world.disconnect(ann)
    world.pump()
    assert bob.status("a") == "STATUS_SUCCESS"
    assert kept not in world.service.opens()


def test_a_sharing_violation_asks_for_the_handle_first(world: DiskWorld) -> None:
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    file_id = bytes(leased(ann, "a", RWH, share=DENIED_OTHERS).file_id)
    number = bob.send(bob.create("a"))
    assert told(ann) == [(1, RWH, RW)]
    acknowledge(ann, RW)
    assert bob.result(number) == "STATUS_SHARING_VIOLATION"
    ann.shut(file_id)
    leased(ann, "a", RWH, share=DENIED_OTHERS)
    number = bob.send(bob.create("a"))
    (open_,) = world.service.opens()
    world.service.close_open(open_, Reason.CLOSED)  # the client lets go of a file that it kept for no program
    world.pump()
    assert bob.result(number) == "STATUS_SUCCESS"


def test_who_writes_spares_its_own_key_alone(world: DiskWorld) -> None:
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    first = bytes(leased(ann, "a", RH).file_id)
    second = bytes(leased(bob, "a", RH, SECOND).file_id)
    ann.want(WriteRequest(b"x", file_id=first))
    assert told(ann) == []
    assert told(bob) == [(1, RH, NONE)]
    assert acknowledge(bob, NONE, SECOND) == "STATUS_SUCCESS"
    bob.want(LockRequest(second, [LockElement(0, 1, SMB2_LOCKFLAG_EXCLUSIVE_LOCK)]))
    assert told(ann) == [(1, RH, NONE)]


def test_who_asks_for_attributes_and_security_breaks_no_lease(world: DiskWorld) -> None:
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    leased(ann, "a", RWH)
    assert bob.status("a", access=FILE_READ_ATTRIBUTES | READ_CONTROL) == "STATUS_SUCCESS"
    assert told(ann) == []
    assert lease_of(leased(ann, "a", RWH)).lease_state == RWH


def test_a_deletion_waits_until_others_have_given_the_handle_back(world: DiskWorld) -> None:
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    mine = bytes(leased(ann, "a", RH).file_id)
    theirs = bytes(leased(bob, "a", RH, SECOND).file_id)
    number = bob.send(SetInfoRequest(1, FILE_DISPOSITION_INFORMATION, b"\x01", file_id=theirs))
    assert bob.pendings == [number]
    assert told(ann) == [(1, RH, R)]
    assert acknowledge(ann, R) == "STATUS_SUCCESS"
    assert bob.result(number) == "STATUS_SUCCESS"
    ann.shut(mine)


@pytest.mark.parametrize("what", [FILE_DISPOSITION_INFORMATION, FILE_RENAME_INFORMATION])
@pytest.mark.parametrize("asking", [0, 1])
def test_nothing_is_left_of_a_session_that_is_replaced_while_it_waits_for_its_own_handle(
    tmp_path: Path, what: int, asking: int
) -> None:
    """`emptied_world` looks. The end of the other open wakes the request; its own is gone before it goes on."""
    with emptied_world(tmp_path / "folder") as world:
        ann = world.user(guid=HERE)
        mine = [bytes(leased(ann, "a", RH, key).file_id) for key in (FIRST, SECOND)]
        name = "b".encode("utf-16-le")
        renaming = bytes(16) + len(name).to_bytes(4, "little") + name
        data = b"\x01" if what == FILE_DISPOSITION_INFORMATION else renaming
        number = ann.send(SetInfoRequest(1, what, data, file_id=mine[asking]))
        assert ann.pendings == [number]
        replace(ann)
        assert ann.result(number) != "STATUS_SUCCESS"
        assert len(list(world.folder.iterdir())) == 1


@pytest.mark.parametrize("oplock", [SMB2_OPLOCK_LEVEL_BATCH, SMB2_OPLOCK_LEVEL_LEASE])
def test_who_closes_a_file_before_its_open_is_answered_caches_nothing(world: DiskWorld, oplock: int) -> None:
    """Its FileId can be guessed."""
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    ann.shut(ann.open("a", disposition=FILE_OPEN_IF))
    world.held = lambda effect: isinstance(effect, OverwriteFile)
    asks = [context(RWH)] if oplock == SMB2_OPLOCK_LEVEL_LEASE else []
    number = ann.send(ann.create("a", oplock=oplock, contexts=asks, disposition=FILE_OVERWRITE))
    (opened,) = ann.connection.channels[ann.session_id].opens.values()
    ann.send(CloseRequest(0, opened.file_id))
    world.let_go()
    assert ann.result(number) == "STATUS_FILE_CLOSED"
    assert bob.opened("a", oplock=SMB2_OPLOCK_LEVEL_BATCH).oplock_level == SMB2_OPLOCK_LEVEL_BATCH
    assert told(ann) == []


def test_who_closes_a_file_before_its_deletion_is_answered_deletes_nothing(world: DiskWorld) -> None:
    ann, bob = world.user(), world.user("bob")
    mine = ann.open("a", disposition=FILE_OPEN_IF)
    theirs = bob.open("a")
    world.held = lambda effect: isinstance(effect, CheckDeletable)
    number = ann.send(SetInfoRequest(1, FILE_DISPOSITION_INFORMATION, b"\x01", file_id=mine))
    ann.send(CloseRequest(0, mine))
    world.let_go()
    assert ann.result(number) == "STATUS_FILE_CLOSED"
    bob.shut(theirs)
    assert (world.folder / "a").exists()


def test_whether_a_file_can_be_deleted_is_asked_again_when_others_had_to_give_way(world: DiskWorld) -> None:
    """Much may have happened since the disk has opened it."""
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    leased(ann, "a", RWH)
    number = bob.send(bob.create("a", options=FILE_DELETE_ON_CLOSE))
    asked: list[type[Effect[Any]]] = []

    def remember(effect: Effect[Any]) -> bool:
        asked.append(type(effect))
        return False

    world.held = remember
    assert acknowledge(ann, RH) == "STATUS_SUCCESS"
    assert bob.result(number) == "STATUS_SUCCESS"
    assert asked == [CheckDeletable]


def test_a_deletion_by_closing_waits_for_nobody(world: DiskWorld) -> None:
    """smb2.lease.initial_delete_tdis of later versions of Samba."""
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    mine = bytes(leased(ann, "a", RH).file_id)
    bob.shut(bob.open("a", options=FILE_DELETE_ON_CLOSE))
    assert told(ann) == [(1, RH, R)]
    ann.shut(mine)
    assert bob.status("a") == "STATUS_OBJECT_NAME_NOT_FOUND"


def test_a_rename_asks_others_for_the_handle_and_moves_the_lease(world: DiskWorld) -> None:
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    mine = bytes(leased(ann, "a", RH).file_id)
    leased(bob, "a", RH, SECOND)
    name = "b".encode("utf-16-le")
    data = bytes(16) + len(name).to_bytes(4, "little") + name
    number = ann.send(SetInfoRequest(1, FILE_RENAME_INFORMATION, data, file_id=mine))
    assert told(bob) == [(1, RH, R)]
    assert ann.result(number) == ""
    assert acknowledge(bob, R, SECOND) == "STATUS_SUCCESS"
    assert ann.result(number) == "STATUS_SUCCESS"
    assert lease_of(leased(ann, "b", RH)).lease_state == RH
    assert ann.status("a", disposition=FILE_OPEN_IF, oplock=255, contexts=[context(R)]) == "STATUS_INVALID_PARAMETER"


def test_one_key_is_of_one_file(world: DiskWorld) -> None:
    ann = world.user(guid=HERE)
    leased(ann, "a", RWH)
    asks = {"oplock": SMB2_OPLOCK_LEVEL_LEASE, "contexts": [context(RWH)], "disposition": FILE_OPEN_IF}
    assert ann.status("b", **asks) == "STATUS_INVALID_PARAMETER"
    assert ann.status("b", options=FILE_DIRECTORY_FILE, **asks) == "STATUS_INVALID_PARAMETER"
    assert not (world.folder / "b").exists()
    assert lease_of(leased(ann, "A", RWH)).lease_state == RWH  # names are the same in any case
    assert lease_of(leased(world.user(guid=THERE), "b", RWH)).lease_state == RWH  # another client's key


def test_the_key_of_a_file_that_goes_may_be_used_again(world: DiskWorld) -> None:
    """3.3.5.9.8, Lease.FileDeleteOnClose. The other file is not cached, as its lease would be of two files."""
    ann = world.user(guid=HERE)
    leased(ann, "a", RWH, options=FILE_DELETE_ON_CLOSE)
    assert lease_of(leased(ann, "b", RWH)).lease_state == NONE
    assert len(world.dispatch.leases) == 1


def test_epochs_count_grants_and_breaks(world: DiskWorld) -> None:
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    assert lease_of(leased(ann, "a", R, epoch=0xFFFE)).epoch == 0xFFFF
    assert lease_of(leased(ann, "a", R)).epoch == 0xFFFF
    assert lease_of(leased(ann, "a", RWH)).epoch == 0
    bob.send(bob.create("a"))
    (event,) = ann.told
    assert event.message.new_epoch == 1  # type: ignore[attr-defined]


def test_the_version_of_the_first_request_is_that_of_the_lease(world: DiskWorld) -> None:
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    leased(ann, "a", R, version=2, epoch=4)
    assert lease_of(leased(ann, "a", RWH, version=1)).epoch == 6
    first = leased(bob, "b", R, version=1)
    assert len(first.contexts[0].data) == 32
    second = leased(bob, "b", RWH, version=2, epoch=7)
    assert CreateLease.unpack(second.contexts[0].data).lease_state == RWH
    assert len(second.contexts[0].data) == 32
    ann.send(ann.create("b"))
    assert bob.told[-1].message.new_epoch == 0  # type: ignore[attr-defined]


def test_the_parent_is_answered_where_it_was_told(world: DiskWorld) -> None:
    ann = world.user(guid=HERE)
    for number, flags in enumerate((0, SMB2_LEASE_FLAG_PARENT_LEASE_KEY_SET)):
        data = CreateLeaseV2(bytes([number]) * 16, R, flags, parent_lease_key=b"p" * 16).pack()
        answer = ann.opened(
            f"a{number}",
            disposition=FILE_CREATE,
            oplock=SMB2_OPLOCK_LEVEL_LEASE,
            contexts=[CreateContext(SMB2_CREATE_REQUEST_LEASE, data)],
        )
        lease = lease_of(answer)
        assert (lease.flags, bytes(lease.parent_lease_key)) == (flags, b"p" * 16 if flags else bytes(16))


def test_what_changes_is_told(world: DiskWorld) -> None:
    """All opens of a lease are told of; who holds nothing has no key."""
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    first = bytes(leased(ann, "a", R).file_id)
    leased(ann, "a", RWH)
    world.events.clear()
    bob.send(bob.create("a"))
    acknowledge(ann, RH)
    ann.want(WriteRequest(b"x", file_id=first))
    changed = [event for event in world.events if isinstance(event, LeaseChanged)]
    assert [(event.before, event.file.lease, event.file.lease_key) for event in changed] == [
        ("RWH", "RH", FIRST.hex())
    ] * 2
    world.events.clear()
    bob.status("a", disposition=FILE_OVERWRITE)
    acknowledge(ann, NONE)
    changed = [event for event in world.events if isinstance(event, LeaseChanged)]
    assert [(event.before, event.file.lease, event.file.lease_key) for event in changed] == [("RH", "", "")] * 2


def test_directories_have_none(world: DiskWorld) -> None:
    ann = world.user(guid=HERE)
    ann.mkdir("d")
    answer = ann.opened("d", oplock=SMB2_OPLOCK_LEVEL_LEASE, contexts=[context(RH)])
    assert (answer.oplock_level, answer.contexts) == (SMB2_OPLOCK_LEVEL_NONE, [])
    assert len(world.dispatch.leases) == 0


@pytest.mark.parametrize("level", [SMB2_OPLOCK_LEVEL_NONE, SMB2_OPLOCK_LEVEL_BATCH])
def test_without_that_level_the_context_is_passed_over(world: DiskWorld, level: int) -> None:
    ann = world.user(guid=HERE)
    for data in (context(RWH).data, b"", bytes(1000)):
        answer = ann.opened(
            "a", disposition=FILE_OPEN_IF, oplock=level, contexts=[CreateContext(SMB2_CREATE_REQUEST_LEASE, data)]
        )
        assert (answer.oplock_level, answer.contexts) == (level, [])
        ann.shut(bytes(answer.file_id))


def test_without_a_context_there_is_no_oplock(world: DiskWorld) -> None:
    answer = world.user(guid=HERE).opened("a", disposition=FILE_OPEN_IF, oplock=SMB2_OPLOCK_LEVEL_LEASE)
    assert (answer.oplock_level, answer.contexts) == (SMB2_OPLOCK_LEVEL_NONE, [])


@pytest.mark.parametrize("size", [0, 1, 31, 33, 51, 53, 1000])
def test_wrong_sizes(world: DiskWorld, size: int) -> None:
    ann = world.user(guid=HERE)
    contexts = [CreateContext(SMB2_CREATE_REQUEST_LEASE, bytes(size))]
    status = ann.status("a", disposition=FILE_OPEN_IF, oplock=SMB2_OPLOCK_LEVEL_LEASE, contexts=contexts)
    assert status == "STATUS_INVALID_PARAMETER"
    assert not (world.folder / "a").exists()


@pytest.mark.parametrize(
    ("dialect", "offers", "first", "second"),
    [
        (0x0202, False, "NONE", "NONE"),
        (0x0210, True, "LEASE", "STATUS_INVALID_PARAMETER"),
        (0x0300, True, "LEASE", "LEASE"),
        (0x0311, True, "LEASE", "LEASE"),
    ],
)
def test_dialects(world: DiskWorld, dialect: int, offers: bool, first: str, second: str) -> None:
    ann = world.user(guid=HERE, dialects=(dialect,))
    assert ann.core.negotiated is not None
    assert bool(ann.core.negotiated.capabilities & SMB2_GLOBAL_CAP_LEASING) == offers
    for version, expected in ((1, first), (2, second)):
        answer = ann.ask(
            ann.create(
                "a", disposition=FILE_OPEN_IF, oplock=SMB2_OPLOCK_LEVEL_LEASE, contexts=[context(R, version=version)]
            )
        )
        if expected.startswith("STATUS"):
            assert codes.ntstatus_name(answer.status) == expected
        else:
            assert isinstance(answer.message, CreateResponse)
            assert answer.message.oplock_level == (255 if expected == "LEASE" else 0)
            assert len(answer.message.contexts) == (expected == "LEASE")


@pytest.mark.parametrize("state", [NONE, R, RH, RWH, W, 8, 0xFFFFFFFF])
def test_acknowledgements_that_nobody_asked_for(world: DiskWorld, state: int) -> None:
    ann = world.user(guid=HERE)
    assert acknowledge(ann, state) == "STATUS_OBJECT_NAME_NOT_FOUND"
    leased(ann, "a", RWH)
    assert acknowledge(ann, state) == "STATUS_UNSUCCESSFUL"
    assert acknowledge(ann, state, SECOND) == "STATUS_OBJECT_NAME_NOT_FOUND"
    other = world.user("bob", guid=THERE)
    other.send(other.create("a"))
    assert acknowledge(other, state) == "STATUS_OBJECT_NAME_NOT_FOUND"  # another client's lease
    assert [each.caching.rights for each in world.dispatch.leases] == [RWH]


@pytest.mark.parametrize("state", [RWH, RW, W, W | R, 8, 0xFFFFFFFF])
def test_more_than_was_offered_is_not_accepted(world: DiskWorld, state: int) -> None:
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    leased(ann, "a", RWH)
    number = bob.send(bob.create("a"))
    assert acknowledge(ann, state) == "STATUS_REQUEST_NOT_ACCEPTED"
    assert bob.result(number) == ""
    assert acknowledge(ann, RH) == "STATUS_SUCCESS"
    assert acknowledge(ann, RH) == "STATUS_UNSUCCESSFUL"


def test_an_acknowledgement_does_not_wait_behind_what_it_releases(world: DiskWorld) -> None:
    """Both are requests of one connection: the second session's CREATE waits, and the acknowledgement passes it."""
    ann = world.user(guid=HERE)
    leased(ann, "a", RWH)
    number = ann.send(ann.create("a", disposition=FILE_OVERWRITE))
    assert ann.result(number) == ""
    assert told(ann) == [(1, RWH, NONE)]
    assert acknowledge(ann, NONE) == "STATUS_SUCCESS"
    assert ann.result(number) == "STATUS_SUCCESS"


@pytest.mark.parametrize("limits", [ResourceLimits(leases_per_client=2), ResourceLimits(leases=2)])
def test_where_there_is_no_room_the_lease_is_refused_and_not_the_open(tmp_path: Path, limits: ResourceLimits) -> None:
    with emptied_world(tmp_path / "folder") as world:
        world.dispatch.leases.limits = limits
        ann = world.user(guid=HERE)
        states = [lease_of(leased(ann, f"a{each}", RWH, bytes([each]) * 16)).lease_state for each in range(4)]
        assert states == [RWH, RWH, NONE, NONE]
        assert len(world.dispatch.leases) == 2
        assert lease_of(leased(ann, "a0", RWH, bytes(16))).lease_state == RWH  # no new one
        other = lease_of(leased(world.user(guid=THERE), "b", RWH))
        assert other.lease_state == (NONE if limits.leases == 2 else RWH)


def test_an_oplock_and_a_lease_break_each_other(world: DiskWorld) -> None:
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    leased(ann, "a", RWH)
    number = bob.send(bob.create("a", oplock=SMB2_OPLOCK_LEVEL_BATCH))
    assert acknowledge(ann, RH) == "STATUS_SUCCESS"
    assert bob.answers[number].message.oplock_level == SMB2_OPLOCK_LEVEL_NONE  # type: ignore[attr-defined]


@given(
    contexts=st.lists(
        st.tuples(
            st.sampled_from((SMB2_CREATE_REQUEST_LEASE, b"RqLs\0", b"rqls", b"MxAc")),
            st.binary(max_size=60)
            | st.builds(
                lambda key, state, flags, version: (
                    CreateLease(key, state, flags) if version else CreateLeaseV2(key, state, flags)
                ).pack(),
                st.sampled_from((FIRST, SECOND)),
                st.sampled_from((R, RH, RWH, 0xFFFFFFFF)),
                st.integers(0, 0xFFFFFFFF),
                st.booleans(),
            ),
        ),
        max_size=3,
    ),
    name=st.sampled_from(("a", "b")),
    level=st.sampled_from((0, 9, 255)),
    acknowledgements=st.lists(
        st.tuples(st.sampled_from((FIRST, SECOND, bytes(16))), st.integers(0, 0xFFFFFFFF) | st.integers(0, 7)),
        max_size=3,
    ),
)
@settings(max_examples=100, deadline=None)
def test_whatever_is_asked_and_acknowledged(
    contexts: list[tuple[bytes, bytes]], name: str, level: int, acknowledgements: list[tuple[bytes, int]]
) -> None:
    """Each request has an answer, and what is granted can be held."""
    with tempfile.TemporaryDirectory() as folder:
        world = DiskWorld(Path(folder))
        ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
        leased(bob, "a", RWH)
        number = ann.send(
            ann.create(
                name,
                disposition=FILE_OPEN_IF,
                oplock=level,
                contexts=[CreateContext(*each) for each in contexts],
            )
        )
        for key, state in acknowledgements:
            for client in (ann, bob):
                assert client.ask(LeaseBreak(0, key, state)).status in (
                    codes.STATUS_SUCCESS,
                    codes.STATUS_OBJECT_NAME_NOT_FOUND,
                    codes.STATUS_UNSUCCESSFUL,
                    codes.STATUS_REQUEST_NOT_ACCEPTED,
                )
        world.advance(2 * BREAK_TIMEOUT)
        assert ann.result(number) in ("STATUS_SUCCESS", "STATUS_INVALID_PARAMETER")
        assert all(each.caching.rights in HOLDABLE for each in world.dispatch.files.leases)
        for each in list(world.clients.values()):
            world.disconnect(each)
        assert len(world.dispatch.files.leases) == 0


@pytest.mark.long
def test_ten_thousand_leases_are_held_and_broken(tmp_path: Path) -> None:
    """Time linear in their number: `test_caching` counts the steps; here is the whole of it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 11_000:
        pytest.skip("only on systems that let a process have 11,000 descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with emptied_world(tmp_path / "folder") as world:
            world.files.limit = 11_000
            ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
            bob.make("a")
            for number in range(10_000):
                leased(ann, "a", RH, number.to_bytes(16, "little"))
            assert len(world.dispatch.files.leases) == 10_000
            assert bob.status("a", disposition=FILE_OVERWRITE) == "STATUS_SUCCESS"
            keys = [event.message.lease_key for event in ann.told]  # type: ignore[attr-defined]
            assert told(ann) == [(1, RH, NONE)] * 10_000
            for key in keys:
                ann.want(LeaseBreak(0, bytes(key), NONE))
            world.advance(0)
            assert not any(each.caching.rights for each in world.dispatch.files.leases)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_another_user_of_the_same_guid_is_not_told_and_does_not_answer(world: DiskWorld) -> None:
    """A GUID travels in clear: who takes another's may neither swallow that client's notices nor answer them."""
    mallory = world.user("bob", guid=HERE)
    leased(mallory, "own", R, SECOND)  # the first connection of that GUID
    ann = world.user("ann", guid=HERE)
    leased(ann, "a", RWH)
    other = world.user("ann", guid=THERE)
    number = other.send(other.create("a"))
    assert told(mallory) == []
    assert told(ann) == [(1, RWH, RH)]
    assert acknowledge(mallory, RH) == "STATUS_OBJECT_NAME_NOT_FOUND"
    assert other.result(number) == ""
    assert acknowledge(ann, RH) == "STATUS_SUCCESS"
    assert other.result(number) == "STATUS_SUCCESS"


def _writes(client: FileClient, file_id: bytes) -> list[Message]:
    end_of_file = SetInfoRequest(1, FILE_END_OF_FILE_INFORMATION, (7).to_bytes(8, "little"), file_id=file_id)
    return [WriteRequest(b"new", 0, file_id), end_of_file]


@pytest.mark.parametrize("which", [0, 1])
def test_who_comes_in_while_the_disk_is_written_caches_nothing_old(world: DiskWorld, which: int) -> None:
    """Its rights were given after the write had taken those of the others back, and it may have read the old bytes."""
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    file_id = ann.make("a", b"old")
    world.held = lambda effect: isinstance(effect, WriteFile | SetFile)
    number = ann.send(_writes(ann, file_id)[which])
    assert lease_of(leased(bob, "a", R, SECOND)).lease_state == R
    assert told(bob) == []
    world.let_go()
    assert ann.result(number) == "STATUS_SUCCESS"
    assert told(bob) == [(0, R, NONE)]


def test_who_comes_in_while_a_file_is_emptied_caches_nothing_old(world: DiskWorld) -> None:
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    ann.shut(ann.make("a", b"old"))
    world.held = lambda effect: isinstance(effect, OverwriteFile)
    number = ann.send(ann.create("a", disposition=FILE_OVERWRITE))
    assert lease_of(leased(bob, "a", R, SECOND)).lease_state == R
    world.let_go()
    assert ann.result(number) == "STATUS_SUCCESS"
    assert told(bob) == [(0, R, NONE)]


def test_a_deletion_waits_for_no_handles_that_are_given_out_meanwhile(world: DiskWorld) -> None:
    """Or a client that asks again and again, by another key each time, would keep the file for ever."""
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    leased(ann, "a", RH)
    theirs = bytes(leased(bob, "a", RH, SECOND).file_id)
    number = bob.send(SetInfoRequest(1, FILE_DISPOSITION_INFORMATION, b"\x01", file_id=theirs))
    world.advance(BREAK_TIMEOUT - 1)
    assert lease_of(leased(ann, "a", RH, b"m" * 16)).lease_state == R
    world.advance(1)
    assert bob.result(number) == "STATUS_SUCCESS"


def test_a_directory_is_not_held_for_ever_by_more_and_more_opens_below_it(world: DiskWorld) -> None:
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    bob.mkdir("d")
    directory = bob.open("d")
    name = "e".encode("utf-16-le")
    data = bytes(16) + len(name).to_bytes(4, "little") + name
    leased(ann, r"d\0", RH, b"0" * 16)
    number = bob.send(SetInfoRequest(1, FILE_RENAME_INFORMATION, data, file_id=directory))
    for each in (1, 2):  # two steps of a break are the most that an honest client may need
        assert bob.result(number) == ""
        world.advance(BREAK_TIMEOUT - 1)
        leased(ann, rf"d\{each}", RH, str(each).encode() * 16)
        world.advance(1)
    assert bob.result(number) == "STATUS_ACCESS_DENIED"


def test_who_waits_for_a_file_waits_for_one_holder_of_w(world: DiskWorld) -> None:
    """And not for all those in turn who had asked for the same before."""
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    first = bytes(leased(ann, "a", RWH).file_id)
    asks = ann.create("a", oplock=SMB2_OPLOCK_LEVEL_LEASE, contexts=[context(RWH, SECOND)])
    queued, number = ann.send(asks), bob.send(bob.create("a"))
    ann.shut(first)
    world.advance(0)
    assert ann.result(queued) == bob.result(number) == "STATUS_SUCCESS"


@pytest.mark.parametrize("name", ["a", "b"])
def test_who_waits_for_a_name_to_go_does_not_wait_for_handles_of_another_name(world: DiskWorld, name: str) -> None:
    """Bob's client keeps the file open by its other name, and takes its time to say whether it goes on with that."""
    ann, bob, carl = world.user(guid=HERE), world.user("bob", guid=THERE), world.user("admin")
    ann.shut(ann.make("a"))
    os.link(world.folder / "a", world.folder / "b")
    leased(bob, "b", RH)
    doomed = ann.open("a", options=FILE_DELETE_ON_CLOSE)
    world.held = lambda effect: isinstance(effect, CloseFile) and effect.delete
    number = ann.send(CloseRequest(file_id=doomed))
    assert told(bob) == [(1, RH, R)]
    other = carl.send(carl.create(name))
    assert carl.result(other) == ""
    world.let_go()
    world.advance(0)
    assert ann.result(number) == "STATUS_SUCCESS"
    assert carl.result(other) == ("STATUS_OBJECT_NAME_NOT_FOUND" if name == "a" else "STATUS_SUCCESS")
