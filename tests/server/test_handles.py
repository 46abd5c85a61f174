"""The handles of files are shared out among users: whoever takes all there are to take leaves some for everybody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lanman.domain import Portion, Portions, Reason
from lanman.errors import StatusError
from lanman.server.disk_effects import OpenFile
from lanman.server.files.handles import Handles
from lanman.settings import Configuration, Limits, RunningSettings
from lanman.smb2.constants import (
    FILE_CREATE,
    FILE_DELETE_ON_CLOSE,
    FILE_DIRECTORY_FILE,
    FILE_OPEN_IF,
    SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2,
    SMB2_CREATE_REQUEST_LEASE,
    SMB2_LOCKFLAG_EXCLUSIVE_LOCK,
    SMB2_LOCKFLAG_FAIL_IMMEDIATELY,
    SMB2_LOCKFLAG_UNLOCK,
    SMB2_OPLOCK_LEVEL_BATCH,
    SMB2_OPLOCK_LEVEL_LEASE,
)
from lanman.smb2.messages import (
    CreateContext,
    CreateDurableHandleV2,
    CreateLease,
    LockElement,
    LockRequest,
    LogoffRequest,
)
from support.disk_server import READ, DiskWorld, FileClient
from support.step_counter import steps

TOO_MANY = "STATUS_TOO_MANY_OPENED_FILES"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DiskWorld]:
    """With 100 handles in all. At the end none is taken any more."""
    world = DiskWorld(tmp_path)
    world.dispatch.files.handles.limit = 100
    yield world
    for client in list(world.clients.values()):
        world.disconnect(client)
    world.pump()
    for opened in world.service.durable.preserved:
        world.service.close_open(opened, Reason.DELETED)
    assert len(world.dispatch.files.handles) == 0


def opens_all(client: FileClient, name: str = "file") -> int:
    """It opens a file until it is refused; how often it was let."""
    done = 0
    while (status := client.status(name, disposition=FILE_OPEN_IF)) == "STATUS_SUCCESS":
        done += 1
    assert status == TOO_MANY
    return done


def test_the_folders_that_files_are_open_in_are_not_free_for_others(world: DiskWorld) -> None:
    """Each of them takes a descriptor of its own: files in folders of their own take two."""
    world.dispatch.files.handles.further = world.files.directories
    for number in range(100):
        (world.folder / f"{number}").mkdir()
    ann, bob = world.user("ann"), world.user("bob")
    statuses = [ann.status(f"{number}\\file", disposition=FILE_CREATE) for number in range(100)]
    assert statuses == ["STATUS_SUCCESS"] * 45 + [TOO_MANY] * 55
    assert world.files.directories() + len(world.files) == 90
    assert opens_all(bob) == 8


def test_one_user_leaves_some_to_the_others_over_however_many_sessions(world: DiskWorld) -> None:
    ann = world.user("ann")
    assert opens_all(ann) == 80
    assert opens_all(world.user("ann")) == opens_all(world.user("ANN")) == 0
    bob = world.user("bob")
    assert opens_all(bob) == 16
    bob.want(LogoffRequest())
    assert opens_all(world.user("admin")) == 16
    ann.want(LogoffRequest())
    assert opens_all(world.user("ann")) == 68  # of 84


def test_directories_count_twice_since_they_are_opened_once_more_to_be_listed(world: DiskWorld) -> None:
    ann = world.user("ann")
    ann.mkdir("folder")
    assert opens_all(ann, "folder") == 40
    assert ann.status("new", disposition=FILE_CREATE, options=FILE_DIRECTORY_FILE) == TOO_MANY
    assert not (world.folder / "new").exists()
    assert len(world.dispatch.files.handles) == 80


def test_the_setting_is_a_limit_of_its_own_and_of_now(world: DiskWorld) -> None:
    world.set(limits=Limits(opens_per_user=2))
    ann = world.user("ann")
    assert opens_all(ann) == 2
    world.user("ann").bind()  # no handle stands behind a pipe
    world.set(limits=Limits(opens_per_user=4))
    assert opens_all(ann) == 2
    world.set(limits=Limits(opens_per_user=0))
    assert opens_all(ann) == 76


def test_where_the_disk_has_not_said_how_many_the_setting_alone_counts() -> None:
    handles = Handles(RunningSettings(Configuration(limits=Limits(opens_per_user=1000))), Portions())
    for _ in range(1000):
        handles.take("ANN")
    with pytest.raises(StatusError):
        handles.take("ANN")
    handles.take("BOB")


def test_what_is_refused_takes_none(world: DiskWorld) -> None:
    ann = world.user("ann")
    (world.folder / "private").touch(mode=0o600)
    ann.make("alone", access=READ, share=0)
    for _ in range(20):
        assert ann.status("missing") == "STATUS_OBJECT_NAME_NOT_FOUND"
        assert ann.status("alone", access=READ) == "STATUS_SHARING_VIOLATION"
        assert ann.status("alone", options=1 << 31) == "STATUS_INVALID_PARAMETER"
        ann.shut(ann.make("gone", options=FILE_DELETE_ON_CLOSE))
    assert len(world.dispatch.files.handles) == 1


def test_requests_that_wait_for_the_disk_count(world: DiskWorld) -> None:
    ann, bob = world.user("ann"), world.user("bob")
    world.held = lambda effect: isinstance(effect, OpenFile)
    waiting = [ann.send(ann.create(f"{number}", disposition=FILE_OPEN_IF)) for number in range(85)]
    world.pump()
    assert sum(number in ann.answers for number in waiting) == 5
    lost = bob.send(bob.create("b", disposition=FILE_OPEN_IF))
    world.pump()
    assert lost not in bob.answers
    assert len(world.dispatch.files.handles) == 81
    world.disconnect(bob)
    assert len(world.dispatch.files.handles) == 80
    world.let_go()
    world.pump()
    assert len(world.dispatch.files.handles) == len(world.service.opens()) == 80


def test_requests_that_wait_for_another_client_count(world: DiskWorld) -> None:
    ann, bob = world.user("ann"), world.user("bob")
    ann.open("file", disposition=FILE_OPEN_IF, oplock=SMB2_OPLOCK_LEVEL_BATCH)
    for _ in range(85):
        bob.send(bob.create("file"))
    world.pump()
    assert len(world.dispatch.files.handles) == 81  # bob has 80 of them, which wait for ann's answer, and no open
    assert len(world.service.opens()) == 1


def test_what_is_kept_for_a_lost_connection_counts_for_its_user(world: DiskWorld) -> None:
    ann = world.user("ann")
    for number in range(6):
        guid = CreateDurableHandleV2(0, 0, bytes([number + 1]) * 16).pack()
        durable = CreateContext(SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2, guid)
        ann.opened(f"{number}", disposition=FILE_OPEN_IF, oplock=SMB2_OPLOCK_LEVEL_BATCH, contexts=[durable])
    world.disconnect(ann)
    kept = list(world.service.durable.preserved)
    assert len(world.dispatch.files.handles) == len(kept) == 6
    assert opens_all(world.user("ann")) + len(kept) == 80
    world.service.close_open(kept[0], Reason.DELETED)
    assert opens_all(world.user("ann")) == 1


def test_guests_and_null_sessions_have_one_part_together(world: DiskWorld) -> None:
    first, second, ann = world.user("ann"), world.user("bob"), world.user("admin")
    world.share("open", world.folder, guest="write")
    for client in (first, second):
        session = world.service.session_by_session_id(client.session_id)
        assert session is not None
        world.service.change_rights(session, frozenset(), guest=True)
        session.shares_as = ""  # as if it had been one from the beginning
        client.tree_connect(r"\\server\open")
    assert opens_all(first) == 80
    assert opens_all(second) == 0
    assert opens_all(ann) == 16


def test_counting_takes_the_same_however_many_users_there_are() -> None:
    def one(users: int) -> int:
        handles = Handles(RunningSettings(), Portions())
        handles.limit = 1_000_000
        for number in range(users):
            handles.take(f"user {number}")

        def take() -> None:
            handles.take("ann")
            handles.give_back("ann")

        return steps(take)

    assert one(10) == one(10_000)


# --- what else is shared out in the same manner


def portion(world: DiskWorld, name: str) -> Portion[str]:
    """One of the things that users share, by its name."""
    (found,) = [each for each in world.service.portions if each.name == name]
    return found


def test_one_user_leaves_pipes_and_leases_to_the_others(world: DiskWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, str]] = []
    world.service.portions.on_refused = lambda portion, user: told.append((portion.name, user))
    for name in ("open pipes", "leases"):
        monkeypatch.setattr(portion(world, name), "_most", lambda: 10)
    ann, bob = world.user("ann"), world.user("bob")
    for at, (client, number) in enumerate(((ann, 8), (bob, 2))):
        client.tree_connect(r"\\server\IPC$")
        statuses = [client.status("srvsvc") for _ in range(number + 1)]
        assert statuses == ["STATUS_SUCCESS"] * number + [TOO_MANY]
        client.tree_connect(r"\\server\share")
        levels = []
        for key in range(number + 1):
            lease = CreateContext(SMB2_CREATE_REQUEST_LEASE, CreateLease(bytes([key + 1, at]) * 8, 1, 0).pack())
            made = client.opened(f"{key}", disposition=FILE_OPEN_IF, oplock=SMB2_OPLOCK_LEVEL_LEASE, contexts=[lease])
            levels.append(CreateLease.unpack(made.contexts[0].data).lease_state)
        assert levels == [1] * number + [0]
    assert told == [("open pipes", "ANN"), ("leases", "ANN"), ("open pipes", "BOB"), ("leases", "BOB")]
    for client in (ann, bob):
        world.disconnect(client)
    assert [each.name for each in world.service.portions if each.taken] == []


def test_a_lock_that_waits_is_refused_when_it_is_free_and_there_is_no_room(world: DiskWorld) -> None:
    """Not before: as long as another has the range, it waits on."""
    locks = portion(world, "byte-range locks")
    locks._most = lambda: 10
    ann, bob = world.user("ann"), world.user("bob")
    hers, his = (client.open("file", disposition=FILE_OPEN_IF) for client in (ann, bob))
    at_once = SMB2_LOCKFLAG_EXCLUSIVE_LOCK | SMB2_LOCKFLAG_FAIL_IMMEDIATELY
    bob.want(LockRequest(his, [LockElement(each, 1, at_once) for each in (100, 200)]))
    ann.want(LockRequest(hers, [LockElement(each, 1, at_once) for each in range(6)]))
    second, first = (
        ann.send(LockRequest(hers, [LockElement(each, 1, SMB2_LOCKFLAG_EXCLUSIVE_LOCK)])) for each in (200, 100)
    )
    ann.want(LockRequest(hers, [LockElement(6, 1, at_once)]))
    bob.want(LockRequest(his, [LockElement(200, 1, SMB2_LOCKFLAG_UNLOCK)]))
    assert (ann.result(second), ann.result(first)) == ("STATUS_SUCCESS", "")
    bob.want(LockRequest(his, [LockElement(100, 1, SMB2_LOCKFLAG_UNLOCK)]))
    assert ann.result(first) == "STATUS_INSUFFICIENT_RESOURCES"
    assert (locks.of("ANN"), locks.of("BOB")) == (8, 0)
    ann.shut(hers)
    assert locks.taken == 0
