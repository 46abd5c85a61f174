"""No request is more work than its size says: steps are counted (see `steps`), not seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from disk_world import DiskWorld, FileClient
from lanman import codes
from lanman.server.files.locks import MAX_LOCKS_OF_OPEN, Locks
from lanman.smb2.constants import (
    SMB2_LOCKFLAG_EXCLUSIVE_LOCK,
    SMB2_LOCKFLAG_FAIL_IMMEDIATELY,
    SMB2_LOCKFLAG_SHARED_LOCK,
    SMB2_LOCKFLAG_UNLOCK,
    SMB2_OPLOCK_LEVEL_II,
)
from lanman.smb2.messages import (
    MAX_LOCK_ELEMENTS,
    CloseRequest,
    LockElement,
    LockRequest,
    ReadRequest,
    WriteRequest,
)
from steps import growth, steps

EXCLUSIVE = SMB2_LOCKFLAG_EXCLUSIVE_LOCK | SMB2_LOCKFLAG_FAIL_IMMEDIATELY
SHARED = SMB2_LOCKFLAG_SHARED_LOCK | SMB2_LOCKFLAG_FAIL_IMMEDIATELY

# What still counts as growing with the number: searches take a little longer among more.
LINEAR = 1.3


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DiskWorld]:
    folder = tmp_path / "share"
    folder.mkdir()
    world = DiskWorld(folder)
    yield world
    for client in list(world.clients.values()):
        world.disconnect(client)
    world.let_go()
    assert not world.dispatch.files._states
    assert not world.dispatch.files._names


def run(world: DiskWorld, client: FileClient, request: LockRequest) -> str:
    """Send a request that goes on in later turns, and see how it ends."""
    number = client.send(request)
    world.advance(0)
    return client.result(number)


def ranges(number: int, flags: int) -> list[LockElement]:
    return [LockElement(2 * at, 1, flags) for at in range(number)]


# --- byte ranges


@pytest.mark.parametrize("flags", [EXCLUSIVE, SHARED])
def test_each_of_many_ranges_is_as_much_work_as_each_of_few(world: DiskWorld, flags: int) -> None:
    ann = world.user()
    file_id = ann.make("a", b"x")

    def lock(number: int) -> Callable[[], object]:
        run(world, ann, LockRequest(file_id, ranges(MAX_LOCK_ELEMENTS, SMB2_LOCKFLAG_UNLOCK)))
        return lambda: run(world, ann, LockRequest(file_id, ranges(number, flags)))

    assert growth(lock, 250, MAX_LOCK_ELEMENTS) < LINEAR


def test_a_read_is_the_same_work_however_many_ranges_are_locked(world: DiskWorld) -> None:
    ann, bob = world.user(), world.user("bob")
    mine, other = ann.make("a", b"x" * 100), bob.open("a")
    run(world, ann, LockRequest(mine, ranges(10, EXCLUSIVE)))

    def read() -> None:
        ann.ask(ReadRequest(length=100, offset=0, file_id=mine))
        bob.ask(ReadRequest(length=100, offset=0, file_id=other))
        ann.ask(WriteRequest(b"y" * 100, file_id=mine))

    few = steps(read)
    run(world, ann, LockRequest(mine, [LockElement(50 + 2 * at, 1, EXCLUSIVE) for at in range(2000)]))
    assert steps(read) < few + 100


def test_more_ranges_than_a_request_may_name_are_refused(world: DiskWorld) -> None:
    ann = world.user()
    file_id = ann.make("a", b"x")
    most, more = ranges(MAX_LOCK_ELEMENTS, SHARED), ranges(MAX_LOCK_ELEMENTS + 1, SHARED)
    assert run(world, ann, LockRequest(file_id, most)) == "STATUS_SUCCESS"
    assert run(world, ann, LockRequest(file_id, more)) == "STATUS_INVALID_PARAMETER"
    assert world.service.opens()[0].num_locks == MAX_LOCK_ELEMENTS


def test_an_open_has_so_many_locks_and_no_more(world: DiskWorld) -> None:
    ann = world.user()
    file_id = ann.make("a", b"x")
    for number in range(6):
        elements = [LockElement(number << 32 | 2 * at, 1, SHARED) for at in range(MAX_LOCK_ELEMENTS)]
        assert run(world, ann, LockRequest(file_id, elements)) == "STATUS_SUCCESS"
    elements = [LockElement(99 << 32 | 2 * at, 1, SHARED) for at in range(10)]
    assert run(world, ann, LockRequest(file_id, elements)) == "STATUS_INSUFFICIENT_RESOURCES"
    assert world.service.opens()[0].num_locks == 6 * MAX_LOCK_ELEMENTS  # all of a request, or none
    assert 6 * MAX_LOCK_ELEMENTS <= MAX_LOCKS_OF_OPEN < 7 * MAX_LOCK_ELEMENTS


def test_many_ranges_take_turns_with_others(world: DiskWorld) -> None:
    """A request with many ranges does not hold the event loop until it is done, and ends with its open."""
    ann, bob = world.user(), world.user("bob")
    mine = ann.make("a", b"x")
    whole = steps(lambda: run(world, ann, LockRequest(mine, ranges(MAX_LOCK_ELEMENTS, EXCLUSIVE))))
    run(world, ann, LockRequest(mine, ranges(MAX_LOCK_ELEMENTS, SMB2_LOCKFLAG_UNLOCK)))
    number = ann.core.send(
        LockRequest(mine, ranges(MAX_LOCK_ELEMENTS, EXCLUSIVE)), session_id=ann.session_id, tree_id=ann.tree_id
    )
    data = b"".join(map(bytes, ann.core.data_to_send()))
    assert steps(lambda: ann.connection.receive_data(data, world.now)) < whole / 2
    turns = 0
    while not ann.result(number):
        assert steps(lambda: world.dispatch.expire(world.now)) < whole / 5
        turns += 1
        if turns == 3:
            bob.ask(CloseRequest(file_id=bob.open("a")))
        world.pump()
    assert turns > 5
    assert ann.result(number) == "STATUS_SUCCESS"
    # One whose open ends meanwhile leaves no lock behind.
    number = ann.send(LockRequest(mine, ranges(MAX_LOCK_ELEMENTS, SMB2_LOCKFLAG_UNLOCK)))
    ann.shut(mine)
    world.advance(0)
    assert ann.result(number) == "STATUS_FILE_CLOSED"


def test_zero_ranges_lie_between_two_bytes() -> None:
    locks, ann, bob = Locks(), object(), object()
    assert locks.lock(ann, 5, 0, True)
    assert locks.lock(bob, 5, 0, True)
    assert locks.lock(bob, 5, 5, True)
    assert locks.lock(bob, 0, 5, True)
    assert locks.lock(ann, 4, 2, False) is None
    assert locks.lock(ann, 3, 0, True) is None
    assert locks.release(bob)
    assert locks.lock(ann, 4, 2, True) is None
    assert locks.unlock(ann, 5, 0)
    assert locks.lock(ann, 4, 2, True)


# --- opens of one file


def test_one_more_open_is_the_same_work_however_many_there_are(world: DiskWorld) -> None:
    ann, bob = world.user(), world.user("bob")
    ann.shut(ann.make("a", b"x"))
    ann.mkdir("d")
    ann.shut(ann.make("d\\b"))

    def once() -> None:
        bob.shut(bob.open("a"))
        bob.ask(bob.create("d\\b", disposition=2))  # it is there: whether it is to be deleted is looked up
        file_id = bob.open("d")
        bob.set(file_id, 10, b"\0" * 16 + b"\4\0\0\0" + "e2".encode("utf-16-le"))
        bob.set(file_id, 10, b"\0" * 16 + b"\2\0\0\0" + "d".encode("utf-16-le"))
        bob.shut(file_id)

    once()
    few = steps(once)
    mine = [ann.open("a", oplock=SMB2_OPLOCK_LEVEL_II) for _ in range(300)]
    assert steps(once) < few + 3000  # nothing is done ten times for each of them
    writer = bob.open("a")
    bob.want(WriteRequest(b"z", file_id=writer))
    assert len(ann.breaks) == len(mine)
    assert steps(lambda: bob.want(WriteRequest(b"z", file_id=writer))) < steps(once)


def test_locks_that_wait_are_bounded(world: DiskWorld) -> None:
    ann, bob = world.user(), world.user("bob")
    mine, other = ann.make("a", b"x"), bob.open("a")
    run(world, ann, LockRequest(mine, [LockElement(0, 1, EXCLUSIVE)]))
    waiting = LockRequest(other, [LockElement(0, 1, SMB2_LOCKFLAG_EXCLUSIVE_LOCK)])
    numbers = [bob.send(waiting) for _ in range(60)]
    assert {bob.result(number) for number in numbers} == {""}
    state = next(iter(world.dispatch.files._states.values()))
    one = next(iter(state.waiting_locks))
    state.waiting_locks.update((type(one)(one.owner, 0, 1, True, one.granted), None) for _ in range(512))
    assert codes.ntstatus_name(bob.ask(waiting).status) == "STATUS_INSUFFICIENT_RESOURCES"
    for each in list(state.waiting_locks)[60:]:
        del state.waiting_locks[each]
