"""Channel sequence and lock sequence (MS-SMB2 3.3.5.2.10, 3.3.5.14): what a client may send once more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanman import codes
from lanman.fscc.controls import FSCTL_CREATE_OR_GET_OBJECT_ID
from lanman.fscc.files import FILE_POSITION_INFORMATION, FILE_RENAME_INFORMATION
from lanman.server.disk_effects import ReadFile, RenameFile, WriteFile
from lanman.server.files.caching import RH, R
from lanman.server.sequences import ChannelSequence, Era, LockSequences
from lanman.server.state import ServerOpen, unpack_file_id
from lanman.smb2.constants import (
    FILE_OPEN_IF,
    FSCTL_LMR_REQUEST_RESILIENCY,
    SMB2_CREATE_REQUEST_LEASE,
    SMB2_LOCKFLAG_EXCLUSIVE_LOCK,
    SMB2_LOCKFLAG_FAIL_IMMEDIATELY,
    SMB2_LOCKFLAG_UNLOCK,
    SMB2_OPLOCK_LEVEL_LEASE,
)
from lanman.smb2.messages import (
    ChangeNotifyRequest,
    CreateContext,
    CreateLeaseV2,
    IoctlRequest,
    LeaseBreakNotification,
    LockElement,
    LockRequest,
    Message,
    QueryInfoRequest,
    ReadRequest,
    SetInfoRequest,
    WriteRequest,
)
from support.disk_server import DiskWorld, FileClient, emptied_world

LATER = codes.ntstatus_name(codes.STATUS_FILE_NOT_AVAILABLE)
DONE = "STATUS_SUCCESS"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DiskWorld]:
    with emptied_world(tmp_path / "folder") as world:
        world.set(multichannel=True)
        yield world


def two_channels(world: DiskWorld) -> tuple[FileClient, FileClient]:
    """Two connections of one session, connected to the share over the first."""
    first = world.user("ann")
    second = FileClient(world)
    second.negotiate()
    second.bind_to(first)
    return first, second


def asked(client: FileClient, message: Message, sequence: int = 0, *, replay: bool = False) -> str:
    """How a request ends that says so of itself."""
    return client.result(sent(client, message, sequence, replay=replay))


def sent(client: FileClient, message: Message, sequence: int = 0, *, replay: bool = False) -> int:
    client.core.channel_sequence, client.core.replay = sequence, replay
    number = client.send(message)
    client.core.channel_sequence, client.core.replay = 0, False
    return number


def write(file_id: bytes, data: bytes = b"data") -> WriteRequest:
    return WriteRequest(data, file_id=file_id)


def opened_as(client: FileClient, file_id: bytes) -> ServerOpen:
    found = client.connection.channels[client.session_id].opens[unpack_file_id(file_id)[1]]
    assert found.file_id == file_id
    return found


# --- channel sequence: the rule


def test_the_numbers_of_the_specification() -> None:
    """Each request is answered before the next comes (smb2.replay.channel-sequence)."""
    for replay in (False, True):
        numbers = ChannelSequence()
        for number, taken in (
            (0, True),
            (0x8000, False),
            (0xFFFF, False),
            (0x7FFF, True),
            (0x7FFE, False),
            (0, False),
            (0x8000, True),
            (0xFFFF, True),
            (0, True),  # the count has begun anew
            (1, True),
            (0, False),
            (0xFFFF, False),
        ):
            era = numbers.begin(number, replay)
            assert (era is not None) == taken, hex(number)
            if era is not None:
                era.outstanding -= 1


def test_a_repetition_waits_for_what_was_sent_before() -> None:
    numbers = ChannelSequence(7)
    first = numbers.begin(7)
    assert first is not None
    assert numbers.begin(7, True) is not None, "nothing older is outstanding"
    assert numbers.begin(8, True) is None
    assert numbers.begin(7) is None, "the number is newer by now, although the repetition was refused"
    assert numbers.begin(8) is not None, "what is no repetition may go on"
    first.outstanding -= 1
    assert numbers.begin(8, True) is None
    first.outstanding -= 1
    assert numbers.outstanding_before == 0
    assert numbers.begin(8, True) is not None


def test_what_is_answered_counts_where_it_began() -> None:
    """A CHANGE_NOTIFY outlives 2**16 lost connections: the number is the same again (smb2.replay.replay7)."""
    numbers = ChannelSequence()
    notify = numbers.begin(0)
    for number in (30000, 60000, 0):
        era = numbers.begin(number)
        assert era is not None
        era.outstanding -= 1
    assert notify is not None
    assert numbers.outstanding_before == 1
    notify.outstanding -= 1
    assert numbers.outstanding_before == 0


class Naive:
    """3.3.5.2.10 and 3.3.4.1 to the letter, but for remembering by which of the two counts a request is counted."""

    def __init__(self) -> None:
        self.number = self.turn = 0
        self.requests: list[int] = []  # the turns of those that are outstanding

    def begin(self, number: int, replay: bool) -> int | None:
        ahead = (number - self.number) % 65536
        if ahead > 0x7FFF:
            return None
        if ahead:
            self.number, self.turn = number, self.turn + 1
        if replay and any(turn < self.turn for turn in self.requests):
            return None
        self.requests.append(self.turn)
        return self.turn


@given(st.lists(st.tuples(st.sampled_from([0, 1, 2, 0x7FFE, 0x7FFF, 0x8000, 0xFFFF]), st.booleans(), st.integers())))
@settings(max_examples=300, deadline=None)
def test_any_requests_are_counted_as_naively(history: list[tuple[int, bool, int]]) -> None:
    numbers, naive = ChannelSequence(), Naive()
    outstanding: list[tuple[Era, int]] = []
    for number, replay, answered in history:
        era, turn = numbers.begin(number, replay), naive.begin(number, replay)
        assert (era is None) == (turn is None)
        if era is not None and turn is not None:
            outstanding.append((era, turn))
        if outstanding and answered % 3:
            era, turn = outstanding.pop(answered % len(outstanding))
            era.outstanding -= 1
            naive.requests.remove(turn)
        assert numbers.outstanding_before == sum(turn < naive.turn for turn in naive.requests)


# --- channel sequence: over the wire


def changing(file_id: bytes) -> list[Message]:
    return [
        write(file_id),
        SetInfoRequest(1, FILE_POSITION_INFORMATION, bytes(8), file_id=file_id),
        IoctlRequest(FSCTL_CREATE_OR_GET_OBJECT_ID, file_id, b"", max_output_response=64),
    ]


def test_stragglers_that_change_something_are_refused(world: DiskWorld) -> None:
    ann = world.user("ann")
    file_id = ann.make("a", b"0")
    assert asked(ann, write(file_id), 1) == DONE
    for replay in (False, True):
        for message in changing(file_id):
            assert asked(ann, message, 0, replay=replay) == LATER
            assert asked(ann, message, 1, replay=replay) == DONE
        assert ann.get(file_id).status == codes.STATUS_SUCCESS, "what only asks is answered"
        assert asked(ann, QueryInfoRequest(1, FILE_POSITION_INFORMATION, 100, file_id=file_id)) == DONE


@pytest.mark.parametrize("dialect", [0x0202, 0x0210])
def test_dialects_without_it_have_a_status_there(world: DiskWorld, dialect: int) -> None:
    ann = world.user("ann", dialects=(dialect,))
    file_id = ann.make("a", b"0")
    assert asked(ann, write(file_id), 1) == DONE
    assert asked(ann, write(file_id), 0, replay=True) == DONE


def test_the_number_begins_with_that_of_the_create(world: DiskWorld) -> None:
    ann = world.user("ann")
    number = sent(ann, ann.create("a", disposition=FILE_OPEN_IF), 5)
    file_id = bytes(ann.answers[number].message.file_id)  # type: ignore[attr-defined]
    assert asked(ann, write(file_id), 4) == LATER
    assert asked(ann, write(file_id), 5) == DONE


def test_a_write_is_repeated_when_the_first_has_ended(world: DiskWorld) -> None:
    """A connection is lost while the disk writes. The client repeats the WRITE by another one and goes on with the next
    only when that is done; so the disk cannot bring back the first when both have been written."""
    first, second = two_channels(world)
    file_id = first.make("a", b"0000")
    world.held = lambda effect: isinstance(effect, WriteFile)
    sent(first, write(file_id, b"1111"))
    opened = opened_as(second, file_id)
    world.disconnect(first)
    assert asked(second, write(file_id, b"1111"), 1, replay=True) == LATER
    assert asked(second, write(file_id, b"1111"), 1, replay=True) == LATER
    world.let_go()
    assert opened.channel_sequence.outstanding_before == 0
    assert asked(second, write(file_id, b"1111"), 1, replay=True) == DONE
    assert asked(second, write(file_id, b"2222"), 1) == DONE
    assert (world.folder / "a").read_bytes() == b"2222"


def test_a_rename_that_goes_on_is_waited_for(world: DiskWorld) -> None:
    first, second = two_channels(world)
    file_id = first.make("a")
    new_name = "b".encode("utf-16-le")
    rename = SetInfoRequest(
        1,
        FILE_RENAME_INFORMATION,
        bytes(16) + len(new_name).to_bytes(4, "little") + new_name,
        file_id=file_id,
    )
    world.held = lambda effect: isinstance(effect, RenameFile)
    sent(first, rename)
    world.disconnect(first)
    assert asked(second, rename, 1, replay=True) == LATER
    world.let_go()
    assert asked(second, rename, 1, replay=True) == DONE
    assert [path.name for path in world.folder.iterdir()] == ["b"]


def test_what_only_waits_ends_with_its_connection(world: DiskWorld) -> None:
    """A READ under way counts until the disk has done it, a LOCK that waits for a range does not."""
    first, second = two_channels(world)
    file_id, other = first.make("a", b"0"), second.open("a")
    lock = [LockElement(0, 1, SMB2_LOCKFLAG_EXCLUSIVE_LOCK)]
    second.want(LockRequest(other, lock))
    sent(first, LockRequest(file_id, lock))
    world.disconnect(first)
    assert (
        asked(second, SetInfoRequest(1, FILE_POSITION_INFORMATION, bytes(8), file_id=file_id), 1, replay=True) == DONE
    )


def test_a_read_counts_until_the_disk_has_done_it(world: DiskWorld) -> None:
    first, second = two_channels(world)
    file_id = first.make("a", b"0")
    world.held = lambda effect: isinstance(effect, ReadFile)
    sent(first, ReadRequest(length=1, file_id=file_id))
    world.disconnect(first)
    assert asked(second, write(file_id), 1, replay=True) == LATER
    world.let_go()
    assert asked(second, write(file_id), 1, replay=True) == DONE


def test_a_notify_of_before_is_no_repetition(world: DiskWorld) -> None:
    """As the text has it: while it waits, nothing of its directory's is set again; but anything new is."""
    ann = world.user("ann")
    ann.mkdir("d")
    directory = ann.open("d", options=1)
    number = sent(ann, ChangeNotifyRequest(file_id=directory, output_buffer_length=1000, completion_filter=1))
    position = SetInfoRequest(1, FILE_POSITION_INFORMATION, bytes(8), file_id=directory)
    assert asked(ann, position, 1, replay=True) == LATER
    assert asked(ann, position, 1) == DONE
    ann.core.cancel(number)
    world.pump()
    assert ann.result(number) == "STATUS_CANCELLED"
    assert asked(ann, position, 1, replay=True) == DONE


def test_nobody_caches_what_was_there_before_a_write_that_came_late(world: DiskWorld) -> None:
    """The connection is lost while the disk writes; who comes in meanwhile is told when it has."""
    ann, bob = world.user("ann", guid=b"1" * 16), world.user("bob", guid=b"2" * 16)
    file_id = ann.make("a", b"0000")
    world.held = lambda effect: isinstance(effect, WriteFile)
    sent(ann, write(file_id, b"1111"))
    world.disconnect(ann)
    lease = CreateContext(SMB2_CREATE_REQUEST_LEASE, CreateLeaseV2(b"k" * 16, RH).pack())
    opened = bob.opened("a", oplock=SMB2_OPLOCK_LEVEL_LEASE, contexts=[lease], access=0x00120089)
    assert CreateLeaseV2.unpack(opened.contexts[0].data).lease_state & R
    assert bob.told == []
    world.let_go()
    (told,) = bob.told
    assert isinstance(told.message, LeaseBreakNotification)
    assert not told.message.new_lease_state & R


# --- lock sequence


def test_a_place_is_valid_when_a_request_has_succeeded() -> None:
    numbers = LockSequences()
    assert not numbers.is_done(0x11)
    numbers.done(0x11)
    assert numbers.is_done(0x11)
    assert not numbers.is_done(0x12), "another number"
    assert not numbers.is_done(0x11), "which has made the place free"
    for nowhere in (0x01, 0x411, 0xFFFFFFF1):
        numbers.done(nowhere)
        assert not numbers.is_done(nowhere)
    numbers.done(0x401)
    assert numbers.is_done(0x401), "the 64th"


EXCLUSIVE = SMB2_LOCKFLAG_EXCLUSIVE_LOCK | SMB2_LOCKFLAG_FAIL_IMMEDIATELY


def lock(file_id: bytes, sequence: int, flags: int = EXCLUSIVE, offset: int = 100) -> LockRequest:
    return LockRequest(file_id, [LockElement(offset, 100, flags)], sequence)


def locks_held(world: DiskWorld) -> int:
    return sum(each.num_locks for each in world.service.opens())


def test_a_lock_that_was_granted_is_granted_again(world: DiskWorld) -> None:
    first, second = two_channels(world)
    file_id = first.make("a")
    assert asked(first, lock(file_id, 0x11)) == DONE
    world.disconnect(first)
    assert asked(second, lock(file_id, 0x11), 1, replay=True) == DONE
    assert locks_held(world) == 1
    assert asked(second, lock(file_id, 0x12)) == "STATUS_LOCK_NOT_GRANTED"
    assert asked(second, lock(file_id, 0x21, SMB2_LOCKFLAG_UNLOCK)) == DONE
    assert asked(second, lock(file_id, 0x21, SMB2_LOCKFLAG_UNLOCK)) == DONE, "it is unlocked already"
    assert asked(second, lock(file_id, 0x22, SMB2_LOCKFLAG_UNLOCK)) == "STATUS_RANGE_NOT_LOCKED"
    assert locks_held(world) == 0


def test_a_lock_that_failed_is_tried_again(world: DiskWorld) -> None:
    ann, bob = world.user("ann"), world.user("bob")
    file_id, other = ann.make("a"), bob.open("a")
    bob.want(lock(other, 0))
    assert asked(ann, lock(file_id, 0x11)) == "STATUS_LOCK_NOT_GRANTED"
    bob.want(lock(other, 0, SMB2_LOCKFLAG_UNLOCK))
    assert asked(ann, lock(file_id, 0x11)) == DONE
    assert locks_held(world) == 1


def test_a_lock_that_waited_when_its_connection_was_lost_is_no_success(world: DiskWorld) -> None:
    first, second = two_channels(world)
    bob = world.user("bob")
    file_id, other = first.make("a"), bob.open("a")
    bob.want(lock(other, 0))
    number = sent(first, lock(file_id, 0x11, SMB2_LOCKFLAG_EXCLUSIVE_LOCK))
    assert first.pendings == [number]
    world.disconnect(first)
    number = sent(second, lock(file_id, 0x11, SMB2_LOCKFLAG_EXCLUSIVE_LOCK), 1, replay=True)
    assert second.result(number) == "", "it waits like the first"
    bob.want(lock(other, 0, SMB2_LOCKFLAG_UNLOCK))
    world.advance(0)
    assert second.result(number) == DONE
    assert locks_held(world) == 1
    assert asked(second, lock(file_id, 0x11), 1, replay=True) == DONE


def test_without_multichannel_no_sequence_is_kept(world: DiskWorld) -> None:
    world.set(multichannel=False)
    for dialect in (0x0202, 0x0210, 0x0311):
        ann = world.user("ann", dialects=(dialect,))
        file_id = ann.open("a", disposition=FILE_OPEN_IF)
        assert asked(ann, lock(file_id, 0x11)) == DONE
        assert asked(ann, lock(file_id, 0x11)) == "STATUS_LOCK_NOT_GRANTED"
        ann.shut(file_id)


# --- resilient opens


@pytest.mark.parametrize(
    ("dialect", "status"),
    [
        (0x0202, "STATUS_INVALID_DEVICE_REQUEST"),
        (0x0210, "STATUS_NOT_SUPPORTED"),
        (0x0300, "STATUS_NOT_SUPPORTED"),
        (0x0311, "STATUS_NOT_SUPPORTED"),
    ],
)
def test_resilient_opens_are_refused(world: DiskWorld, dialect: int, status: str) -> None:
    """3.3.5.15.9, for whatever open and whatever input."""
    ann = world.user("ann", dialects=(dialect,))
    file_id = ann.make("a")
    for data in (b"", bytes(8), b"\xff" * 8, b"\xff" * 1000):
        assert asked(ann, IoctlRequest(FSCTL_LMR_REQUEST_RESILIENCY, file_id, data)) == status
    nowhere = IoctlRequest(FSCTL_LMR_REQUEST_RESILIENCY, b"\x07" * 16, bytes(8))
    assert asked(ann, nowhere) == "STATUS_FILE_CLOSED"
    ann.tree_connect()
    pipe = ann.open_pipe()
    assert asked(ann, IoctlRequest(FSCTL_LMR_REQUEST_RESILIENCY, pipe, bytes(8))) == status
