"""Leases of directories (MS-SMB2 3.3.5.9.11, MS-FSA 2.1.4.12): who may cache a listing, and what takes that back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lanman import codes
from lanman.dtyp import DELETE
from lanman.fscc.files import (
    FILE_BASIC_INFORMATION,
    FILE_DISPOSITION_INFORMATION,
    FILE_END_OF_FILE_INFORMATION,
    FILE_RENAME_INFORMATION,
)
from lanman.server.files.caching import NONE, RH, RW, RWH, R
from lanman.smb2.constants import (
    FILE_CREATE,
    FILE_DELETE_ON_CLOSE,
    FILE_DIRECTORY_FILE,
    FILE_OPEN,
    FILE_OVERWRITE,
    SMB2_CREATE_REQUEST_LEASE,
    SMB2_GLOBAL_CAP_DIRECTORY_LEASING,
    SMB2_LEASE_FLAG_PARENT_LEASE_KEY_SET,
    SMB2_OPLOCK_LEVEL_BATCH,
    SMB2_OPLOCK_LEVEL_LEASE,
    SMB2_OPLOCK_LEVEL_NONE,
)
from lanman.smb2.messages import (
    CreateContext,
    CreateLease,
    CreateLeaseV2,
    CreateResponse,
    LeaseBreak,
    LeaseBreakNotification,
    WriteRequest,
)
from support.disk_server import READ, DiskWorld, FileClient, emptied_world

HERE, THERE = b"\x01" * 16, b"\x02" * 16  # two clients
KEY, OTHER = b"k" * 16, b"l" * 16


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DiskWorld]:
    with emptied_world(tmp_path / "folder") as world:
        world.set(directory_leases=True)
        yield world
        for client in list(world.clients.values()):
            world.disconnect(client)
        world.let_go()
        assert len(world.dispatch.leases) == 0
        assert not world.dispatch.leases._directories


def user(
    world: DiskWorld, name: str = "ann", guid: bytes = HERE, *, dialect: int = 0x0311, share: str = "share"
) -> FileClient:
    """A client that knows leases of directories."""
    client = FileClient(world, guid=guid, dialects=(dialect,))
    client.core.capabilities = SMB2_GLOBAL_CAP_DIRECTORY_LEASING
    client.negotiate()
    client.log_on(name)
    client.tree_connect(rf"\\server\{share}")
    return client


def context(state: int, key: bytes = KEY, *, parent: bytes | None = None) -> CreateContext:
    flags = SMB2_LEASE_FLAG_PARENT_LEASE_KEY_SET if parent is not None else 0
    lease = CreateLeaseV2(key, state, flags, parent_lease_key=parent or bytes(16))
    return CreateContext(SMB2_CREATE_REQUEST_LEASE, lease.pack())


def leased(client: FileClient, name: str, state: int, key: bytes = KEY, **options: int) -> tuple[bytes, int]:
    """Open a directory with a lease; its FileId, and what the lease lets its client do."""
    options.setdefault("access", READ)
    response = client.opened(
        name, oplock=SMB2_OPLOCK_LEVEL_LEASE, contexts=[context(state, key)], options=FILE_DIRECTORY_FILE, **options
    )
    return bytes(response.file_id), state_of(response)


def state_of(response: CreateResponse) -> int:
    assert response.oplock_level == SMB2_OPLOCK_LEVEL_LEASE
    (found,) = response.contexts
    return CreateLeaseV2.unpack(found.data).lease_state


def told(client: FileClient) -> list[tuple[int, int, int]]:
    """The notices since this was last asked: flags, from what, to what."""
    notices = [event.message for event in client.told]
    client.told.clear()
    assert all(isinstance(each, LeaseBreakNotification) for each in notices)
    return [(each.flags, each.current_lease_state, each.new_lease_state) for each in notices]  # type: ignore[attr-defined]


BROKEN = [(1, RH, NONE)]


@pytest.mark.parametrize(
    ("on", "offered", "dialect", "said"),
    [
        (True, True, 0x0311, True),
        (True, True, 0x0300, True),
        (True, True, 0x0210, False),
        (True, False, 0x0311, False),
        (False, True, 0x0311, False),
    ],
)
def test_who_is_told_that_there_are_any(world: DiskWorld, on: bool, offered: bool, dialect: int, said: bool) -> None:
    """3.3.5.4; and who is not, gets none."""
    world.set(directory_leases=on)
    world.user().mkdir("d")
    client = user(world, dialect=dialect) if offered else world.user(guid=HERE, dialects=(dialect,))
    assert client.core.negotiated is not None
    assert bool(client.core.negotiated.capabilities & SMB2_GLOBAL_CAP_DIRECTORY_LEASING) == said
    lease = context(RH) if dialect >= 0x0300 else CreateContext(SMB2_CREATE_REQUEST_LEASE, CreateLease(KEY, RH).pack())
    response = client.opened("d", oplock=SMB2_OPLOCK_LEVEL_LEASE, contexts=[lease], options=FILE_DIRECTORY_FILE)
    assert response.oplock_level == (SMB2_OPLOCK_LEVEL_LEASE if said else SMB2_OPLOCK_LEVEL_NONE)
    assert len(response.contexts) == said


@pytest.mark.parametrize(("asked", "granted"), [(RWH, RH), (RH, RH), (RW, R), (R, R), (NONE, NONE)])
def test_what_is_granted(world: DiskWorld, asked: int, granted: int) -> None:
    ann = user(world)
    ann.mkdir("d")
    assert leased(ann, "d", asked)[1] == granted
    assert leased(user(world, "bob", THERE), "d", RWH)[1] == RH, "any number hold it at once"


def test_version_1_and_oplocks_are_for_files(world: DiskWorld) -> None:
    ann = user(world)
    ann.mkdir("d")
    lease = CreateContext(SMB2_CREATE_REQUEST_LEASE, CreateLease(KEY, RH).pack())
    response = ann.opened("d", oplock=SMB2_OPLOCK_LEVEL_LEASE, contexts=[lease])
    assert (response.oplock_level, response.contexts) == (SMB2_OPLOCK_LEVEL_NONE, [])
    assert ann.opened("d", oplock=SMB2_OPLOCK_LEVEL_BATCH).oplock_level == SMB2_OPLOCK_LEVEL_NONE


def renaming(new_name: str) -> bytes:
    name = new_name.encode("utf-16-le")
    return bytes(16) + len(name).to_bytes(4, "little") + name


def set_information(information_class: int, data: bytes) -> Callable[[FileClient, bytes], None]:
    def change(client: FileClient, file_id: bytes) -> None:
        assert client.set(file_id, information_class, data) == "STATUS_SUCCESS"

    return change


def write(client: FileClient, file_id: bytes) -> None:
    """What is written is told at the close (smb2.lease.v2_request)."""
    client.want(WriteRequest(b"more", file_id=file_id))
    assert not any(each.told for each in client.world.clients.values() if isinstance(each, FileClient))
    client.shut(file_id)


def delete(client: FileClient, file_id: bytes) -> None:
    assert client.set(file_id, FILE_DISPOSITION_INFORMATION, b"\x01") == "STATUS_SUCCESS"
    client.shut(file_id)


CHANGES = {
    "attributes": set_information(FILE_BASIC_INFORMATION, bytes(32) + (2).to_bytes(4, "little") + bytes(4)),
    "size": set_information(FILE_END_OF_FILE_INFORMATION, (7).to_bytes(8, "little")),
    "contents": write,
    "name": set_information(FILE_RENAME_INFORMATION, renaming(r"d\b")),
    "folder": set_information(FILE_RENAME_INFORMATION, renaming("b")),
    "deletion": delete,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("same_client", [False, True])
def test_what_changes_in_a_directory_breaks_its_leases(
    world: DiskWorld, change: Callable[[FileClient, bytes], None], same_client: bool
) -> None:
    """Nobody waits for the acknowledgement, and its own client is spared by nothing but its key."""
    ann = user(world)
    ann.mkdir("d")
    ann.shut(ann.make(r"d\a", b"contents"))
    leased(ann, "d", RH)
    actor = user(world, "bob", HERE if same_client else THERE)
    file_id = actor.open(r"d\a")
    assert told(ann) == [], "an open changes nothing"
    change(actor, file_id)
    assert told(ann) == BROKEN
    assert ann.ask(LeaseBreak(0, KEY, NONE)).status == codes.STATUS_SUCCESS


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_is_changed_for_its_lease_breaks_it_not(
    world: DiskWorld, change: Callable[[FileClient, bytes], None]
) -> None:
    """ParentLeaseKey (MS-FSA 2.1.4.12.2), of the same client alone."""
    ann, bob = user(world), user(world, "bob", THERE)
    ann.mkdir("d")
    ann.shut(ann.make(r"d\a", b"contents"))
    leased(ann, "d", RH)
    leased(bob, "d", RH)  # by the same key, which is another client's
    response = ann.opened(
        r"d\a", oplock=SMB2_OPLOCK_LEVEL_LEASE, contexts=[context(RWH, OTHER, parent=KEY)], disposition=FILE_OPEN
    )
    change(ann, bytes(response.file_id))
    assert told(ann) == []
    assert told(bob) == BROKEN


def test_new_names_and_emptied_files_break_it(world: DiskWorld) -> None:
    ann, bob = user(world), user(world, "bob", THERE)
    ann.mkdir("d")
    leased(ann, "d", RH)
    bob.shut(bob.open(r"d\a", disposition=FILE_CREATE))
    assert told(ann) == BROKEN
    ann.want(LeaseBreak(0, KEY, NONE))
    assert leased(ann, "d", RH)[1] == RH, "it is had again"
    bob.shut(bob.open(r"d\a", disposition=FILE_OVERWRITE))
    assert told(ann) == BROKEN
    ann.want(LeaseBreak(0, KEY, NONE))
    leased(ann, "d", RH)
    bob.mkdir(r"d\sub")
    assert told(ann) == BROKEN
    ann.want(LeaseBreak(0, KEY, NONE))
    leased(ann, "d", RH)
    bob.shut(bob.open(r"d\sub\deeper", disposition=FILE_CREATE))
    assert told(ann) == [], "what is deeper is no matter of its listing"


def test_a_folder_of_two_shares_is_one_directory(world: DiskWorld) -> None:
    ann = user(world)
    ann.mkdir("d")
    world.share("inner", world.folder / "d")
    leased(ann, "d", RH)
    inner = user(world, "bob", THERE, share="inner")
    inner.shut(inner.open("a", disposition=FILE_CREATE))
    assert told(ann) == BROKEN


def test_it_moves_with_its_directory(world: DiskWorld) -> None:
    ann, bob = user(world), user(world, "bob", THERE)
    ann.mkdir("d")
    file_id, _ = leased(ann, "d", RH, access=READ | DELETE)
    assert ann.set(file_id, FILE_RENAME_INFORMATION, renaming("e")) == "STATUS_SUCCESS"
    bob.mkdir("d")
    bob.shut(bob.open(r"d\a", disposition=FILE_CREATE))
    assert told(ann) == []
    bob.shut(bob.open(r"e\a", disposition=FILE_CREATE))
    assert told(ann) == BROKEN


def test_who_deletes_the_directory_waits_for_its_handles(world: DiskWorld) -> None:
    """H: to keep the directory open for no program (3.3.1.4)."""
    ann, bob = user(world), user(world, "bob", THERE)
    ann.mkdir("d")
    file_id, _ = leased(ann, "d", RH)
    other = bob.open("d", options=FILE_DELETE_ON_CLOSE | FILE_DIRECTORY_FILE)
    bob.shut(other)
    assert told(ann) == [(1, RH, R)]
    ann.shut(file_id)
    assert not (world.folder / "d").exists()


def test_a_sharing_violation_asks_for_its_handle(world: DiskWorld) -> None:
    ann, bob = user(world), user(world, "bob", THERE)
    ann.mkdir("d")
    file_id, _ = leased(ann, "d", RH, share=0)
    number = bob.send(bob.create("d", access=READ, options=FILE_DIRECTORY_FILE))
    assert told(ann) == [(1, RH, R)]
    assert bob.result(number) == ""
    ann.shut(file_id)
    assert bob.result(number) == "STATUS_SUCCESS"
