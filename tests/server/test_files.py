"""Files of a share, from request to answer, on a real folder and without a socket."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from lanman import codes
from lanman.domain import Reason, Share
from lanman.dtyp import DELETE, MAXIMUM_ALLOWED
from lanman.errors import StatusError
from lanman.server.disk_effects import CloseFile, ListDirectory, LookUp, Opened, OpenFile, WriteFile
from lanman.server.effects import Effect
from lanman.server.files.open import DiskOpen
from lanman.server.files.oplocks import BREAK_TIMEOUT
from lanman.server.files.table import shares_conflict
from lanman.server.requests import PENDING_AFTER
from lanman.smb2.constants import (
    FILE_APPEND_DATA,
    FILE_CREATE,
    FILE_CREATED,
    FILE_DELETE_ON_CLOSE,
    FILE_DIRECTORY_FILE,
    FILE_EXECUTE,
    FILE_OPEN,
    FILE_OPEN_IF,
    FILE_OPENED,
    FILE_OVERWRITE_IF,
    FILE_READ_ATTRIBUTES,
    FILE_READ_DATA,
    FILE_SHARE_READ,
    FILE_WRITE_DATA,
    FSCTL_SRV_COPYCHUNK,
    FSCTL_SRV_REQUEST_RESUME_KEY,
    SMB2_LOCKFLAG_EXCLUSIVE_LOCK,
    SMB2_LOCKFLAG_FAIL_IMMEDIATELY,
    SMB2_LOCKFLAG_SHARED_LOCK,
    SMB2_LOCKFLAG_UNLOCK,
    SMB2_OPLOCK_LEVEL_BATCH,
    SMB2_OPLOCK_LEVEL_II,
    SMB2_OPLOCK_LEVEL_NONE,
    SMB2_WATCH_TREE,
)
from lanman.smb2.messages import (
    ChangeNotifyRequest,
    CloseRequest,
    CreateContext,
    CreateResponse,
    FlushRequest,
    IoctlRequest,
    LockElement,
    LockRequest,
    LogoffRequest,
    OplockBreak,
    QueryDirectoryRequest,
    QueryInfoRequest,
    ReadRequest,
    SetInfoRequest,
    TreeDisconnectRequest,
    WriteRequest,
)
from support.disk_server import ALL, READ, DiskWorld, FileClient, emptied_world

RENAME, DISPOSITION, END_OF_FILE = 10, 13, 20
EXCLUSIVE = SMB2_LOCKFLAG_EXCLUSIVE_LOCK
AT_ONCE = SMB2_LOCKFLAG_EXCLUSIVE_LOCK | SMB2_LOCKFLAG_FAIL_IMMEDIATELY


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DiskWorld]:
    with emptied_world(tmp_path / "share") as world:
        yield world


def rename(name: str, *, replace: bool = False) -> bytes:
    data = name.encode("utf-16-le")
    return struct.pack("<B7xQI", replace, 0, len(data)) + data


def lock(client: FileClient, file_id: bytes, *ranges: tuple[int, int, int]) -> LockRequest:
    return LockRequest(file_id, [LockElement(*each) for each in ranges])


def names(client: FileClient, pattern: str = "*", path: str = "") -> list[str]:
    """What a listing tells, in small portions."""
    folder = client.open(path, access=READ, options=FILE_DIRECTORY_FILE)
    found = []
    while True:
        answer = client.ask(QueryDirectoryRequest(12, file_id=folder, name=pattern, output_buffer_length=100))
        if answer.status != codes.STATUS_SUCCESS:
            break
        data, at = bytes(answer.message.output), 0  # type: ignore[attr-defined]
        while True:
            following, _, length = struct.unpack_from("<III", data, at)
            found.append(data[at + 12 : at + 12 + length].decode("utf-16-le"))
            if not following:
                break
            at += following
    client.shut(folder)
    return sorted(found)


# --- reading, writing, names


def test_what_is_written_is_read(world: DiskWorld) -> None:
    ann = world.user()
    file_id = ann.make("a.txt", b"hello")
    assert bytes(ann.get(file_id).message.data) == b"hello"  # type: ignore[attr-defined]
    assert ann.get(file_id, offset=5).status == codes.STATUS_END_OF_FILE
    ann.want(FlushRequest(file_id))
    ann.shut(file_id)
    assert (world.folder / "a.txt").read_bytes() == b"hello"
    assert ann.get(file_id).status == codes.STATUS_FILE_CLOSED


def test_the_domain_knows_what_is_open(world: DiskWorld) -> None:
    ann = world.user()
    ann.mkdir("folder")
    file_id = ann.make("folder\\a.txt")
    (opened,) = world.service.opens()
    assert opened.path == str(world.folder / "folder" / "a.txt")
    assert opened.granted_access == ALL
    ann.want(lock(ann, file_id, (0, 10, EXCLUSIVE)))
    assert opened.num_locks == 1
    assert ann.set(file_id, RENAME, rename("b.txt")) == "STATUS_SUCCESS"
    assert opened.path == str(world.folder / "b.txt")
    ann.shut(file_id)
    assert world.service.opens() == []


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("\\a", "STATUS_INVALID_PARAMETER"),
        ("..\\outside", "STATUS_OBJECT_NAME_INVALID"),
        ("a\\..\\..\\outside", "STATUS_OBJECT_NAME_INVALID"),
        ("a\\\\b", "STATUS_OBJECT_PATH_NOT_FOUND"),
        ("a/../../outside", "STATUS_OBJECT_NAME_INVALID"),
        ("link", "STATUS_ACCESS_DENIED"),
        ("link\\inner", "STATUS_ACCESS_DENIED"),
        ("fifo", "STATUS_ACCESS_DENIED"),
        ("a.txt:stream", "STATUS_OBJECT_NAME_INVALID"),
        ("missing", "STATUS_OBJECT_NAME_NOT_FOUND"),
        ("missing\\a", "STATUS_OBJECT_PATH_NOT_FOUND"),
        ("x" * 16000, "STATUS_OBJECT_NAME_INVALID"),
    ],
)
def test_nothing_leads_out_of_the_share(world: DiskWorld, name: str, status: str) -> None:
    outside = world.folder.parent / "outside"
    outside.mkdir()
    (world.folder / "link").symlink_to(outside)
    os.mkfifo(world.folder / "fifo")
    ann = world.user()
    assert ann.status(name) == status
    assert list(outside.iterdir()) == []
    assert names(ann) == [".", "..", "fifo", "link"]


def test_a_rename_does_not_lead_out_either(world: DiskWorld) -> None:
    ann = world.user()
    file_id = ann.make("a")
    assert ann.set(file_id, RENAME, rename("..\\a")) == "STATUS_OBJECT_NAME_INVALID"
    assert ann.set(file_id, RENAME, rename("\\..\\a")) == "STATUS_OBJECT_NAME_INVALID"
    assert ann.set(file_id, RENAME, b"\0" * 19) == "STATUS_INFO_LENGTH_MISMATCH"
    assert ann.set(file_id, RENAME, rename("ab")[:-1]) == "STATUS_INFO_LENGTH_MISMATCH"
    assert names(ann) == [".", "..", "a"]


def test_directories_are_listed_in_portions(world: DiskWorld) -> None:
    ann = world.user()
    for number in range(20):
        ann.shut(ann.make(f"file{number}.txt"))
    assert len(names(ann)) == 22
    assert names(ann, "FILE1?.TXT") == [f"file{number}.txt" for number in range(10, 20)]
    assert names(ann, "nothing*") == []


# --- rights


def test_who_may_do_what_on_a_share(world: DiskWorld, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "a").write_bytes(b"x")
    share = world.share("other", folder, readers=frozenset({"bob"}), writers=frozenset({"ANN"}))
    ann, bob = world.user("ann", "other"), world.user("bob", "other")
    with pytest.raises(StatusError) as refused:
        world.user("admin", "other")
    assert refused.value.status == codes.STATUS_ACCESS_DENIED
    assert ann.status("a", access=ALL) == "STATUS_SUCCESS"
    assert bob.status("a", access=ALL) == "STATUS_ACCESS_DENIED"
    assert bob.status("a", access=READ) == "STATUS_SUCCESS"
    assert bob.status("b", access=READ, disposition=FILE_CREATE) == "STATUS_ACCESS_DENIED"
    assert bob.status("b", access=READ, disposition=FILE_OPEN_IF) == "STATUS_OBJECT_NAME_NOT_FOUND"
    assert bob.status("a", access=READ, disposition=FILE_OVERWRITE_IF) == "STATUS_ACCESS_DENIED"
    assert bob.status("a", access=READ | DELETE) == "STATUS_ACCESS_DENIED"
    assert bob.opened("a", access=MAXIMUM_ALLOWED)
    assert [opened.granted_access for opened in world.service.opens()][-1] == 0x001200A9
    share.writers = None
    share.readers = None
    assert world.user("admin", "other").status("a") == "STATUS_SUCCESS"


def test_a_share_that_is_encrypted_is_not_spoken_to_in_the_clear(world: DiskWorld, tmp_path: Path) -> None:
    world.share("secret", tmp_path, encrypt_data=True)
    ann = world.user("ann", "secret")
    assert ann.status("a", disposition=FILE_OPEN_IF) == "STATUS_ACCESS_DENIED"


@pytest.mark.parametrize("more", [0, 0x80, 0x80000000])
def test_who_may_only_read_deletes_nothing_on_close(world: DiskWorld, more: int) -> None:
    """MAXIMUM_ALLOWED comes to what is allowed, which does not include DELETE."""
    share = world.service.share_by_name("share")
    assert share is not None
    bob = world.user("bob")
    bob.shut(bob.make("letter", b"dear ann"))
    share.writers = frozenset({"bob"})
    ann = world.user("ann")
    for disposition in (FILE_OPEN, FILE_OPEN_IF):
        access = 0x02000000 | more
        status = ann.status("letter", options=FILE_DELETE_ON_CLOSE, access=access, disposition=disposition)
        assert status == "STATUS_ACCESS_DENIED"
        ann.shut(ann.open("letter", access=access, disposition=disposition))
    assert bob.status("letter", access=0x02000000, options=FILE_DELETE_ON_CLOSE) == "STATUS_SUCCESS"
    world.disconnect(bob)
    world.pump()
    assert not (world.folder / "letter").exists()


def test_read_only_files_are_neither_written_nor_deleted(world: DiskWorld) -> None:
    ann = world.user()
    ann.shut(ann.make("a", attributes=1))
    assert ann.status("a", access=ALL) == "STATUS_ACCESS_DENIED"
    assert ann.status("a", access=DELETE, options=FILE_DELETE_ON_CLOSE) == "STATUS_CANNOT_DELETE"
    file_id = ann.open("a", access=DELETE)
    assert ann.set(file_id, DISPOSITION, b"\1") == "STATUS_CANNOT_DELETE"


# --- share modes, deletion


def test_share_modes_keep_others_out(world: DiskWorld) -> None:
    ann, bob = world.user(), world.user("bob")
    file_id = ann.make("a", share=FILE_SHARE_READ)
    assert bob.status("A") == "STATUS_SHARING_VIOLATION"
    assert bob.status("a", access=READ) == "STATUS_SUCCESS"
    assert bob.status("a", access=READ, share=FILE_SHARE_READ) == "STATUS_SHARING_VIOLATION"  # ann may write
    assert bob.status("a", access=FILE_READ_ATTRIBUTES, share=0) == "STATUS_SUCCESS"
    ann.shut(file_id)
    assert bob.status("a") == "STATUS_SUCCESS"


def test_what_is_deleted_goes_with_its_last_open(world: DiskWorld) -> None:
    ann, bob = world.user(), world.user("bob")
    first = ann.make("a")
    second = bob.open("a")
    assert ann.set(first, DISPOSITION, b"\1") == "STATUS_SUCCESS"
    assert bob.status("a") == "STATUS_DELETE_PENDING"
    assert bob.status("a", disposition=FILE_CREATE) == "STATUS_DELETE_PENDING"
    ann.shut(first)
    assert (world.folder / "a").exists()
    bob.shut(second)
    assert not (world.folder / "a").exists()
    assert bob.status("a") == "STATUS_OBJECT_NAME_NOT_FOUND"


@pytest.mark.parametrize("other", range(8))
def test_counted_share_modes_are_those_of_each_pair(world: DiskWorld, other: int) -> None:
    rights = (FILE_READ_DATA, FILE_EXECUTE, FILE_WRITE_DATA, FILE_APPEND_DATA, DELETE, FILE_READ_ATTRIBUTES)
    accesses = [first | second for first, second in product(rights, repeat=2)]
    ann = world.user()
    for access in accesses:
        file_id = ann.open("a", access=access, share=other, disposition=FILE_OPEN_IF)
        (opened,) = ann.connection.channels[ann.session_id].opens.values()
        assert isinstance(opened, DiskOpen)
        for asked, share in product(accesses, range(8)):
            assert opened.state.violates(asked, share) == shares_conflict(asked, share, access, other)
        ann.shut(file_id)


def test_how_often_the_disk_is_asked_when_a_name_is_looked_for_and_deleted(world: DiskWorld) -> None:
    """As smbclient's `rm NAME` does. Each of these is a way to a thread and back."""
    ann = world.user()
    ann.shut(ann.make("a"))
    asked: list[type[Effect[Any]]] = []

    def remember(effect: Effect[Any]) -> bool:
        asked.append(type(effect))
        return False

    world.held = remember
    folder = ann.open("", access=READ, options=FILE_DIRECTORY_FILE)
    for status in ("STATUS_SUCCESS", "STATUS_NO_MORE_FILES"):
        question = QueryDirectoryRequest(12, file_id=folder, name="a", output_buffer_length=100)
        assert codes.ntstatus_name(ann.ask(question).status) == status
    ann.shut(ann.open("a", access=DELETE, options=FILE_DELETE_ON_CLOSE))
    ann.shut(folder)
    assert asked == [OpenFile, ListDirectory, OpenFile, CloseFile, CloseFile]
    assert not (world.folder / "a").exists()


def test_delete_on_close_goes_even_if_the_client_does(world: DiskWorld) -> None:
    ann = world.user()
    ann.make("a", options=FILE_DELETE_ON_CLOSE)
    world.disconnect(ann)
    world.pump()
    assert not (world.folder / "a").exists()


@pytest.mark.parametrize("disposition", [FILE_OPEN, FILE_OPEN_IF, FILE_CREATE])
@pytest.mark.parametrize("can_go", [True, False])
def test_who_opens_a_name_that_is_just_going_waits_until_it_has_gone(
    world: DiskWorld, disposition: int, can_go: bool
) -> None:
    """Its last open is closed: to clients it has gone with that, though the disk takes its time (smb2.oplock.exclusive9
    makes a folder in the place of one whose connection has just been cut)."""
    ann, bob = world.user(), world.user("bob")
    ann.mkdir("d")
    file_id = ann.open("d", options=FILE_DELETE_ON_CLOSE | FILE_DIRECTORY_FILE)
    world.held = lambda effect: isinstance(effect, CloseFile) and effect.delete
    number = ann.send(CloseRequest(file_id=file_id))
    other = bob.send(bob.create("d", disposition=disposition, options=FILE_DIRECTORY_FILE))
    assert ann.result(number) == bob.result(other) == ""
    assert bob.pendings == [], "it is a matter of moments"
    world.advance(PENDING_AFTER)
    assert bob.pendings == [other]
    if not can_go:
        (world.folder / "d" / "of another program").touch()
    world.let_go()
    assert ann.result(number) == "STATUS_SUCCESS"
    status = "STATUS_SUCCESS"
    if disposition == FILE_OPEN and can_go:
        status = "STATUS_OBJECT_NAME_NOT_FOUND"
    elif disposition == FILE_CREATE and not can_go:
        status = "STATUS_OBJECT_NAME_COLLISION"
    assert bob.result(other) == status
    assert (world.folder / "d").exists() == (disposition != FILE_OPEN or not can_go)


@pytest.mark.parametrize("by", ["its name", "another name", "nobody"])
def test_what_is_written_is_not_lost_with_a_file_that_goes_while_it_is_opened(world: DiskWorld, by: str) -> None:
    """The disk has opened the old file, and another client's close takes it away before the Server hears of either."""
    ann, bob = world.user(), world.user("bob")
    ann.shut(ann.make("a", b"old"))
    os.link(world.folder / "a", world.folder / "b")
    doomed = ann.open("b" if by == "another name" else "a", options=FILE_DELETE_ON_CLOSE)
    world.told_late = lambda effect: isinstance(effect, OpenFile)
    number = bob.send(bob.create("a", disposition=FILE_OPEN_IF))
    if by == "nobody":
        world.tell()
    ann.shut(doomed)
    world.tell()
    assert bob.result(number) == "STATUS_SUCCESS"
    answer = bob.answers[number].message
    assert isinstance(answer, CreateResponse)
    assert answer.create_action == (FILE_CREATED if by == "its name" else FILE_OPENED)
    bob.want(WriteRequest(b"new", file_id=answer.file_id))
    bob.shut(answer.file_id)
    names = {"its name": "ab", "another name": "a", "nobody": "b"}[by]
    assert sorted(each.name for each in world.folder.iterdir()) == list(names)
    if by != "nobody":  # then he was the last to close it, and knew that it was to go
        assert (world.folder / "a").read_bytes() == b"new"


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("can_go", [True, False])
def test_what_is_just_going_is_not_in_the_way_of_a_rename(world: DiskWorld, replace: bool, can_go: bool) -> None:
    ann, bob = world.user(), world.user("bob")
    doomed = ann.make("a", options=FILE_DELETE_ON_CLOSE)
    kept = bob.make("b", b"kept")
    world.held = lambda effect: isinstance(effect, CloseFile) and effect.delete
    ann.send(CloseRequest(file_id=doomed))
    number = bob.send(SetInfoRequest(1, RENAME, rename("a", replace=replace), file_id=kept))
    assert bob.result(number) == ""
    if not can_go:
        (world.folder / "a").unlink()
        (world.folder / "a").write_bytes(b"another program's")
    world.let_go()
    assert bob.result(number) == ("STATUS_SUCCESS" if can_go or replace else "STATUS_OBJECT_NAME_COLLISION")
    bob.shut(kept)
    expected = {"a": b"kept"} if can_go or replace else {"a": b"another program's", "b": b"kept"}
    assert {each.name: each.read_bytes() for each in world.folder.iterdir()} == expected


@pytest.mark.parametrize("told", ["before", "after"])
def test_who_creates_what_has_gone_meanwhile_is_not_refused(world: DiskWorld, told: str) -> None:
    """The disk has met the old file, and it has gone before the Server hears of that, or looks what it was."""
    ann, bob = world.user(), world.user("bob")
    file_id = ann.make("a", options=FILE_DELETE_ON_CLOSE)
    late = OpenFile if told == "before" else LookUp
    world.told_late = lambda effect: isinstance(effect, late)
    if told == "after":
        world.held = lambda effect: isinstance(effect, CloseFile)
        ann.send(CloseRequest(file_id=file_id))
        other = bob.send(bob.create("a", disposition=FILE_CREATE))
    else:
        other = bob.send(bob.create("a", disposition=FILE_CREATE))
        ann.shut(file_id)
    world.let_go()
    assert bob.result(other) == ""
    world.tell()
    assert bob.result(other) == "STATUS_SUCCESS"


def test_who_creates_what_is_there_is_refused_whatever_else_goes(world: DiskWorld) -> None:
    ann, bob = world.user(), world.user("bob")
    ann.shut(ann.make("kept"))
    os.link(world.folder / "kept", world.folder / "other")
    for name in ("a", "other"):
        going = ann.open(name, disposition=FILE_OPEN_IF, options=FILE_DELETE_ON_CLOSE)
        world.held = lambda effect: isinstance(effect, CloseFile) and effect.delete
        ann.send(CloseRequest(file_id=going))
        number = bob.send(bob.create("kept", disposition=FILE_CREATE))
        assert bob.result(number) == ("STATUS_OBJECT_NAME_COLLISION" if name == "a" else "")
        world.let_go()
        assert bob.result(number) == "STATUS_OBJECT_NAME_COLLISION"


def test_a_new_file_may_have_the_identity_of_one_whose_removal_is_not_heard_of_yet(world: DiskWorld) -> None:
    """A disk gives the number of a file that is gone to the next one at once."""
    ann, bob = world.user(), world.user("bob")
    file_id = ann.make("a", options=FILE_DELETE_ON_CLOSE)
    ((volume, number),) = world.dispatch.files._states
    really_open = world._performers[OpenFile]

    def reused(effect: OpenFile) -> Opened:
        opened: Opened = really_open(effect)
        return replace(opened, stat=replace(opened.stat, volume=volume, file_id=number))

    world._performers[OpenFile] = reused
    world.held = lambda effect: isinstance(effect, CloseFile)
    ann.send(CloseRequest(file_id=file_id))
    made = bob.send(bob.create("b", disposition=FILE_CREATE))
    world.let_go()
    assert bob.result(made) == "STATUS_SUCCESS"
    assert [each.name for each in world.folder.iterdir()] == ["b"]


def test_a_directory_with_something_in_it_stays(world: DiskWorld) -> None:
    ann = world.user()
    ann.mkdir("d")
    ann.shut(ann.make("d\\a"))
    folder = ann.open("d", options=FILE_DIRECTORY_FILE)
    assert ann.set(folder, DISPOSITION, b"\1") == "STATUS_DIRECTORY_NOT_EMPTY"
    file_id = ann.open("d\\a")
    assert ann.set(folder, RENAME, rename("e")) == "STATUS_ACCESS_DENIED"
    ann.shut(file_id)
    assert ann.set(folder, RENAME, rename("e")) == "STATUS_SUCCESS"
    assert names(ann, path="e") == [".", "..", "a"]


@pytest.mark.parametrize("request_", [CloseRequest, TreeDisconnectRequest, LogoffRequest])
def test_who_was_told_that_a_file_is_closed_can_delete_its_directory(
    world: DiskWorld, request_: type[CloseRequest | TreeDisconnectRequest | LogoffRequest]
) -> None:
    ann, bob = world.user(), world.user("bob")
    ann.mkdir("d")
    file_id = ann.make("d\\a", options=FILE_DELETE_ON_CLOSE)
    folder = bob.open("d", options=FILE_DIRECTORY_FILE)
    world.held = lambda effect: isinstance(effect, CloseFile)
    ended = ann.send(CloseRequest(file_id=file_id) if request_ is CloseRequest else request_())
    assert ann.result(ended) == ""
    assert bob.set(folder, DISPOSITION, b"\1") == "STATUS_DIRECTORY_NOT_EMPTY"
    world.let_go()
    assert ann.result(ended) == "STATUS_SUCCESS"
    assert bob.set(folder, DISPOSITION, b"\1") == "STATUS_SUCCESS"


@pytest.mark.parametrize("request_", [TreeDisconnectRequest, LogoffRequest])
def test_nobody_waits_for_the_end_of_what_stays(
    world: DiskWorld, request_: type[TreeDisconnectRequest | LogoffRequest]
) -> None:
    ann = world.user()
    ann.make("a")
    world.held = lambda effect: isinstance(effect, CloseFile)
    assert ann.result(ann.send(request_())) == "STATUS_SUCCESS"


@pytest.mark.parametrize("request_", [TreeDisconnectRequest, LogoffRequest])
def test_who_leaves_while_names_go_is_forgotten(
    world: DiskWorld, request_: type[TreeDisconnectRequest | LogoffRequest]
) -> None:
    ann = world.user()
    ann.make("a", options=FILE_DELETE_ON_CLOSE)
    world.held = lambda effect: isinstance(effect, CloseFile)
    ann.send(request_())
    world.disconnect(ann)
    world.let_go()
    assert not list(world.folder.iterdir())


def test_what_is_open_is_not_replaced(world: DiskWorld) -> None:
    ann = world.user()
    first, second = ann.make("a"), ann.make("b")
    assert ann.set(first, RENAME, rename("b")) == "STATUS_OBJECT_NAME_COLLISION"
    assert ann.set(first, RENAME, rename("b", replace=True)) == "STATUS_ACCESS_DENIED"
    ann.shut(second)
    assert ann.set(first, RENAME, rename("b", replace=True)) == "STATUS_SUCCESS"
    assert names(ann) == [".", "..", "b"]


# --- byte ranges


def test_a_lock_waits_for_its_range(world: DiskWorld) -> None:
    ann, bob = world.user(), world.user("bob")
    first = ann.make("a", b"0123456789")
    second = bob.open("a")
    ann.want(lock(ann, first, (0, 5, EXCLUSIVE)))
    assert bob.get(second).status == codes.STATUS_FILE_LOCK_CONFLICT
    assert bob.get(second, length=5, offset=5).status == codes.STATUS_SUCCESS
    assert bob.ask(lock(bob, second, (4, 1, AT_ONCE))).status == codes.STATUS_LOCK_NOT_GRANTED
    number = bob.send(lock(bob, second, (4, 1, EXCLUSIVE)))
    assert bob.pendings == [number]
    ann.want(lock(ann, first, (0, 5, SMB2_LOCKFLAG_UNLOCK)))
    assert bob.result(number) == "STATUS_SUCCESS"
    assert ann.ask(WriteRequest(b"x", 4, file_id=first)).status == codes.STATUS_FILE_LOCK_CONFLICT
    assert ann.ask(lock(ann, first, (0, 5, SMB2_LOCKFLAG_UNLOCK))).status == codes.STATUS_RANGE_NOT_LOCKED


def test_a_lock_that_waits_can_be_given_up(world: DiskWorld) -> None:
    ann, bob = world.user(), world.user("bob")
    first = ann.make("a")
    second = bob.open("a")
    ann.want(lock(ann, first, (0, 5, EXCLUSIVE)))
    number = bob.send(lock(bob, second, (0, 1, EXCLUSIVE)))
    bob.core.cancel(number)
    world.pump()
    assert bob.result(number) == "STATUS_CANCELLED"
    other = bob.send(lock(bob, second, (0, 1, EXCLUSIVE)))
    bob.shut(second)
    assert bob.result(other) == "STATUS_RANGE_NOT_LOCKED"
    ann.want(lock(ann, first, (0, 5, SMB2_LOCKFLAG_UNLOCK)))
    assert world.service.opens()[0].num_locks == 0


def test_several_locks_are_all_or_none(world: DiskWorld) -> None:
    ann, bob = world.user(), world.user("bob")
    first, second = ann.make("a"), bob.open("a")
    ann.want(lock(ann, first, (10, 1, EXCLUSIVE)))
    several = lock(bob, second, (0, 1, AT_ONCE), (10, 1, AT_ONCE))
    assert bob.ask(several).status == codes.STATUS_LOCK_NOT_GRANTED
    ann.want(lock(ann, first, (0, 1, AT_ONCE)))
    waiting = lock(bob, second, (20, 1, EXCLUSIVE), (21, 1, EXCLUSIVE))
    assert bob.ask(waiting).status == codes.STATUS_INVALID_PARAMETER
    beyond = lock(bob, second, (0xFFFFFFFFFFFFFFFF, 2, SMB2_LOCKFLAG_SHARED_LOCK))
    assert bob.ask(beyond).status == codes.STATUS_INVALID_LOCK_RANGE


# --- what ends, and by whom


def test_closing_by_an_administrator_takes_everything(world: DiskWorld) -> None:
    ann, bob = world.user(), world.user("bob")
    first = ann.make("a", oplock=SMB2_OPLOCK_LEVEL_BATCH, share=0)
    ann.want(lock(ann, first, (0, 5, EXCLUSIVE)))
    number = bob.send(bob.create("a"))  # waits for the oplock to be broken
    assert bob.result(number) == ""
    (opened,) = world.service.opens()
    world.service.close_open(opened, Reason.DELETED)
    world.pump()
    assert bob.result(number) == "STATUS_SUCCESS"
    assert ann.get(first).status == codes.STATUS_FILE_CLOSED
    assert ann.ask(OplockBreak(0, first)).status == codes.STATUS_FILE_CLOSED
    assert ann.status("a") == "STATUS_SUCCESS"


def test_a_directory_that_is_closed_watches_no_more(world: DiskWorld) -> None:
    ann = world.user()
    folder = ann.open("", access=READ, options=FILE_DIRECTORY_FILE)
    number = ann.send(ChangeNotifyRequest(0, 4096, folder, 0x17F))
    (opened,) = world.service.opens()
    world.service.close_open(opened, Reason.DELETED)
    world.pump()
    assert ann.result(number) == "STATUS_NOTIFY_CLEANUP"


def test_ending_a_session_closes_its_files_and_no_others(world: DiskWorld) -> None:
    ann, bob = world.user(), world.user("bob")
    ann.make("a")
    second = bob.make("b")
    (session,) = world.service.select_sessions(user="ann")
    world.service.close_session(session, Reason.DELETED)
    world.pump()
    assert [opened.path for opened in world.service.opens()] == [str(world.folder / "b")]
    assert len(world.files) == 1
    assert bob.get(second, length=0).status == codes.STATUS_SUCCESS


@pytest.mark.parametrize("kind", [OpenFile, WriteFile, CloseFile])
def test_a_client_that_goes_while_the_disk_works_leaves_nothing(world: DiskWorld, kind: type) -> None:
    ann = world.user()
    file_id = ann.make("a")
    world.held = lambda effect: isinstance(effect, kind)
    ann.send(ann.create("b", disposition=FILE_OPEN_IF))
    ann.send(WriteRequest(b"x", file_id=file_id))
    ann.send(CloseRequest(file_id=file_id))
    world.disconnect(ann)
    world.let_go()
    assert len(world.files) == 0


def test_a_disk_that_hangs_is_told_of_and_holds_up_nobody_else(world: DiskWorld) -> None:
    ann = world.user()
    file_id = ann.make("a")
    world.held = lambda effect: isinstance(effect, WriteFile)
    number = ann.send(WriteRequest(b"x", file_id=file_id))
    world.advance(1)
    assert ann.pendings == [number]
    assert ann.get(file_id, length=0).status == codes.STATUS_SUCCESS
    world.let_go()
    assert ann.result(number) == "STATUS_SUCCESS"


def test_the_right_status_for_what_the_disk_says(world: DiskWorld) -> None:
    ann = world.user()
    file_id = ann.make("a")
    world.fail_effects = codes.STATUS_DISK_FULL
    assert ann.ask(WriteRequest(b"x", file_id=file_id)).status == codes.STATUS_DISK_FULL
    world.fail_effects = 0
    assert ann.ask(WriteRequest(b"x", file_id=file_id)).status == codes.STATUS_SUCCESS


# --- oplocks


@pytest.fixture
def holder(world: DiskWorld) -> FileClient:
    """A client with a batch oplock on a, which is `file_id`."""
    ann = world.user()
    response = ann.opened("a", disposition=FILE_CREATE, oplock=SMB2_OPLOCK_LEVEL_BATCH)
    assert response.oplock_level == SMB2_OPLOCK_LEVEL_BATCH
    ann.file_id = bytes(response.file_id)
    return ann


def test_an_oplock_is_broken_before_somebody_else_gets_in(world: DiskWorld, holder: FileClient) -> None:
    bob = world.user("bob")
    number = bob.send(bob.create("a", oplock=SMB2_OPLOCK_LEVEL_BATCH))
    assert bob.pendings == [number]
    assert holder.breaks == [SMB2_OPLOCK_LEVEL_II]
    assert holder.want(OplockBreak(SMB2_OPLOCK_LEVEL_II, holder.file_id)).oplock_level == SMB2_OPLOCK_LEVEL_II
    assert bob.answers[number].message.oplock_level == SMB2_OPLOCK_LEVEL_II  # type: ignore[attr-defined]
    second = bytes(bob.answers[number].message.file_id)  # type: ignore[attr-defined]
    bob.want(WriteRequest(b"x", file_id=second))
    assert holder.breaks == [SMB2_OPLOCK_LEVEL_II, SMB2_OPLOCK_LEVEL_NONE]
    assert holder.ask(OplockBreak(0, holder.file_id)).status == codes.STATUS_INVALID_OPLOCK_PROTOCOL


def test_who_does_not_acknowledge_loses_the_oplock(world: DiskWorld, holder: FileClient) -> None:
    bob = world.user("bob")
    number = bob.send(bob.create("a", disposition=FILE_OVERWRITE_IF))
    world.advance(BREAK_TIMEOUT - 1)
    assert bob.result(number) == ""
    world.advance(2)
    assert bob.result(number) == "STATUS_SUCCESS"
    assert holder.breaks == [SMB2_OPLOCK_LEVEL_NONE]


def test_closing_is_an_answer_too(world: DiskWorld, holder: FileClient) -> None:
    bob = world.user("bob")
    number = bob.send(bob.create("a", oplock=SMB2_OPLOCK_LEVEL_BATCH))
    holder.shut(holder.file_id)
    assert bob.answers[number].message.oplock_level == SMB2_OPLOCK_LEVEL_BATCH  # type: ignore[attr-defined]


def test_who_only_asks_for_attributes_breaks_nothing(world: DiskWorld, holder: FileClient) -> None:
    bob = world.user("bob")
    assert bob.status("a", access=FILE_READ_ATTRIBUTES) == "STATUS_SUCCESS"
    assert holder.breaks == []


def test_who_waits_for_an_oplock_may_give_up(world: DiskWorld, holder: FileClient) -> None:
    bob = world.user("bob")
    number = bob.send(bob.create("a"))
    bob.core.cancel(number)
    world.pump()
    assert bob.result(number) == "STATUS_CANCELLED"
    other = bob.send(bob.create("a"))
    world.disconnect(bob)
    world.pump()
    assert other
    assert len(world.files) == 1


# --- notifications, copies, contexts


def changes(answer: object) -> list[tuple[int, str]]:
    data, at, found = bytes(answer.message.output), 0, []  # type: ignore[attr-defined]
    while True:
        following, action, length = struct.unpack_from("<III", data, at)
        found.append((action, data[at + 12 : at + 12 + length].decode("utf-16-le")))
        if not following:
            return found
        at += following


def test_changes_are_told_of(world: DiskWorld) -> None:
    ann, bob = world.user(), world.user("bob")
    folder = ann.open("", access=READ, options=FILE_DIRECTORY_FILE)
    watch = ChangeNotifyRequest(SMB2_WATCH_TREE, 4096, folder, 0x17F)
    number = ann.send(watch)
    assert ann.pendings == [number]
    bob.mkdir("d")
    assert changes(ann.answers[number]) == [(1, "d")]
    file_id = bob.make("d\\a")
    assert bob.set(file_id, RENAME, rename("d\\b")) == "STATUS_SUCCESS"
    assert changes(ann.ask(watch)) == [(1, "d\\a"), (4, "d\\a"), (5, "d\\b")]
    bob.want(WriteRequest(b"x", file_id=file_id))
    assert bob.set(file_id, DISPOSITION, b"\1") == "STATUS_SUCCESS"
    bob.shut(file_id)
    assert changes(ann.ask(watch)) == [(3, "d\\b"), (2, "d\\b")]


@pytest.mark.parametrize(
    ("watched", "by", "seen"),
    [
        (("share", ""), ("inner", "n"), r"d\n"),
        (("share", "d"), ("inner", "n"), "n"),
        (("share", "D"), ("inner", r"deep\n"), r"deep\n"),
        (("inner", ""), ("share", r"d\n"), "n"),
        (("inner", ""), ("share", r"D\DEEP\n"), r"deep\n"),
        (("inner", "deep"), ("share", r"d\deep\n"), "n"),
        (("inner", "deep"), ("same", r"deep\n"), "n"),
        (("inner", ""), ("share", "n"), None),
        (("inner", "deep"), ("share", r"d\n"), None),
        (("inner", ""), ("share", "d2"), None),
        (("beside", ""), ("share", r"d\n"), None),
        (("beside", ""), ("inner", "n"), None),
        (("inner", ""), ("beside", "n"), None),
        (("inner", ""), ("share", r"D\n"), "n"),
    ],
)
def test_changes_through_another_share_are_told_of(
    world: DiskWorld, watched: tuple[str, str], by: tuple[str, str], seen: str | None
) -> None:
    (world.folder / "d" / "deep").mkdir(parents=True)
    world.share("inner", world.folder / "d")
    world.service.add_share(Share("same", path=f"{world.folder}/d/"))
    # Another folder, whose name differs by case alone: what is in it is no business of the first one's watchers.
    world.share("beside", world.folder.parent / f"{world.folder.name.upper()}" / "D")
    (world.folder.parent / f"{world.folder.name.upper()}" / "D").mkdir(parents=True)
    ann, bob = world.user(share=watched[0]), world.user("bob", share=by[0])
    folder = ann.open(watched[1], access=READ, options=FILE_DIRECTORY_FILE)
    number = ann.send(ChangeNotifyRequest(SMB2_WATCH_TREE, 4096, folder, 0x17F))
    bob.mkdir(by[1])
    assert ann.result(number) == ("STATUS_SUCCESS" if seen else "")
    if seen:
        assert changes(ann.answers[number]) == [(1, seen)]


def test_the_server_copies(world: DiskWorld) -> None:
    ann = world.user()
    source, target = ann.make("a", b"0123456789"), ann.make("b")
    key = bytes(ann.want(IoctlRequest(FSCTL_SRV_REQUEST_RESUME_KEY, source, max_output_response=32)).output)
    chunks = struct.pack("<24sI4x", key[:24], 2) + struct.pack("<QQI4xQQI4x", 2, 0, 3, 0, 3, 2)
    answer = ann.want(IoctlRequest(FSCTL_SRV_COPYCHUNK, target, chunks, max_output_response=12))
    assert struct.unpack("<III", answer.output) == (2, 0, 5)
    assert bytes(ann.get(target).message.data) == b"23401"  # type: ignore[attr-defined]
    large = struct.pack("<24sI4x", key[:24], 1) + struct.pack("<QQI4x", 0, 0, 1 << 25)
    refused = ann.ask(IoctlRequest(FSCTL_SRV_COPYCHUNK, target, large, max_output_response=12))
    assert refused.status == codes.STATUS_INVALID_PARAMETER
    assert struct.unpack("<III", refused.message.output) == (256, 1 << 20, 1 << 24)  # type: ignore[attr-defined]
    strange = struct.pack("<24sI4x", b"\7" * 24, 1) + struct.pack("<QQI4x", 0, 0, 1)
    nobody = ann.ask(IoctlRequest(FSCTL_SRV_COPYCHUNK, target, strange, max_output_response=12))
    assert nobody.status == codes.STATUS_OBJECT_NAME_NOT_FOUND


def test_create_contexts(world: DiskWorld) -> None:
    ann = world.user()
    request = ann.create("a", disposition=FILE_CREATE)
    request.contexts = [CreateContext(b"MxAc"), CreateContext(b"QFid"), CreateContext(b"DHnQ", bytes(16))]
    response = ann.want(request)
    told = {context.name: context.data for context in response.contexts}
    assert struct.unpack("<II", told[b"MxAc"]) == (0, ALL)
    assert struct.unpack_from("<Q", told[b"QFid"])[0] == (world.folder / "a").stat().st_ino
    assert b"DHnQ" not in told
    request = ann.create("a")
    request.contexts = [CreateContext(b"TWrp", bytes(8))]
    assert ann.ask(request).status == codes.STATUS_OBJECT_NAME_NOT_FOUND


def test_security_is_shown_and_not_set(world: DiskWorld) -> None:
    ann = world.user()
    file_id = ann.make("a")
    (world.folder / "a").chmod(0o640)
    descriptor = bytes(ann.want(QueryInfoRequest(3, 0, 1024, additional_information=7, file_id=file_id)).output)
    revision, _, control, owner, _, sacl, dacl = struct.unpack_from("<BBHIIII", descriptor)
    assert (revision, control, sacl) == (1, 0x8004, 0)
    assert descriptor[owner : owner + 2] == b"\1\2"
    assert struct.unpack_from("<HH", descriptor, dacl + 2)[1] == 2  # owner and group; nothing for others
    small = ann.ask(QueryInfoRequest(3, 0, 4, additional_information=7, file_id=file_id))
    assert small.status == codes.STATUS_BUFFER_TOO_SMALL


def test_sizes_are_set(world: DiskWorld) -> None:
    ann = world.user()
    file_id = ann.make("a", b"0123456789")
    assert ann.set(file_id, END_OF_FILE, struct.pack("<Q", 3)) == "STATUS_SUCCESS"
    assert (world.folder / "a").read_bytes() == b"012"
    assert ann.set(file_id, END_OF_FILE, struct.pack("<q", -1)) == "STATUS_INVALID_PARAMETER"
    assert ann.set(file_id, END_OF_FILE, b"") == "STATUS_INFO_LENGTH_MISMATCH"
    reader = ann.open("a", access=READ)
    assert ann.set(reader, END_OF_FILE, struct.pack("<Q", 0)) == "STATUS_ACCESS_DENIED"
    assert ann.ask(ReadRequest(length=1, offset=1 << 63, file_id=file_id)).status == codes.STATUS_INVALID_PARAMETER


def test_room_that_is_asked_for_is_told_and_not_taken(world: DiskWorld) -> None:
    """One request could take all that is left on the disk, by a file that looks empty."""
    ann = world.user()
    asked = CreateContext(b"AlSi", struct.pack("<Q", 1 << 20))
    request = ann.create("a", disposition=FILE_CREATE)
    request.contexts = [asked]
    created = ann.want(request)
    assert created.allocation_size == 1 << 20
    file_id = bytes(created.file_id)
    path = world.folder / "a"
    assert path.stat().st_blocks == 0

    def allocation() -> int:
        answer = ann.want(QueryInfoRequest(1, 5, output_buffer_length=24, file_id=file_id))
        return int.from_bytes(bytes(answer.output)[:8], "little")

    assert allocation() == 1 << 20
    assert ann.set(file_id, 19, struct.pack("<Q", 2 << 20)) == "STATUS_SUCCESS"
    assert allocation() == 2 << 20
    assert path.stat().st_blocks == 0
    assert ann.set(file_id, 19, struct.pack("<Q", 1 << 60)) == "STATUS_DISK_FULL"
    assert ann.set(file_id, END_OF_FILE, struct.pack("<Q", 10)) == "STATUS_SUCCESS"
    assert allocation() < 1 << 20
