"""What people's own programs do with files, and how they are to be answered: on a real folder, without a socket."""

from __future__ import annotations

import dataclasses
import errno
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from disk_world import READ, DiskWorld, FileClient
from lanman import codes
from lanman.server.disk_effects import QueryVolume, VolumeStat
from lanman.smb2.constants import (
    DELETE,
    FILE_CREATE,
    FILE_DELETE_ON_CLOSE,
    FILE_DIRECTORY_FILE,
    FILE_READ_ATTRIBUTES,
    SMB2_LOCKFLAG_EXCLUSIVE_LOCK,
    SMB2_LOCKFLAG_FAIL_IMMEDIATELY,
    SMB2_OPLOCK_LEVEL_EXCLUSIVE,
    SMB2_OPLOCK_LEVEL_II,
    SMB2_OPLOCK_LEVEL_NONE,
    SMB2_WATCH_TREE,
)
from lanman.smb2.messages import (
    ChangeNotifyRequest,
    CreateContext,
    LockElement,
    LockRequest,
    QueryInfoRequest,
    WriteRequest,
)

BASIC, DISPOSITION, ALLOCATION, END_OF_FILE, ALTERNATE_NAME = 4, 13, 19, 20, 21


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DiskWorld]:
    folder = tmp_path / "share"
    folder.mkdir()
    world = DiskWorld(folder)
    yield world
    for client in list(world.clients.values()):
        world.disconnect(client)
    world.let_go()
    assert len(world.files) == 0, "handles are left over"
    assert not world.dispatch.files._states


# --- names


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("a\\\\b", "STATUS_SUCCESS"),
        ("a\\\\\\\\b", "STATUS_SUCCESS"),
        ("a/b", "STATUS_SUCCESS"),
        ("a//b", "STATUS_SUCCESS"),
        ("a\\/b", "STATUS_SUCCESS"),
        ("a\\", "STATUS_SUCCESS"),
        ("a\\\\", "STATUS_SUCCESS"),
        ("a/", "STATUS_OBJECT_NAME_INVALID"),
        ("/a/b", "STATUS_INVALID_PARAMETER"),
        ("\\a", "STATUS_INVALID_PARAMETER"),
        ("\\\\a", "STATUS_INVALID_PARAMETER"),
        ("/", "STATUS_INVALID_PARAMETER"),
        ("a\\\\..\\b", "STATUS_OBJECT_NAME_INVALID"),
        ("a/..", "STATUS_OBJECT_NAME_INVALID"),
        ("..//a", "STATUS_OBJECT_NAME_INVALID"),
    ],
)
def test_separators_are_taken_as_samba_does(world: DiskWorld, name: str, status: str) -> None:
    (world.folder / "a").mkdir()
    (world.folder / "a" / "b").write_bytes(b"x")
    assert world.user().status(name, access=READ) == status


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("README.TXT", "README.TXT"),
        ("b", "b"),
        ("quarter.xls", "quarter.xls"),
        ("~$report.doc", "~$report.doc"),
        ("~$a.docx", ""),
        ("Quarterly figures.xlsx", ""),
        (".gitignore", ""),
        ("a.b.c", ""),
        ("Änne", ""),
    ],
)
def test_a_short_name_opens_its_file_or_there_is_none(world: DiskWorld, name: str, short: str) -> None:
    ann = world.user()
    file_id = ann.make(name)
    told = bytes(ann.want(QueryInfoRequest(1, ALTERNATE_NAME, 1024, file_id=file_id)).output)
    assert told[4:].decode("utf-16-le") == short
    assert not short or ann.status(short, access=READ) == "STATUS_SUCCESS"


# --- the volume


def test_free_space_is_what_an_ordinary_user_may_use(world: DiskWorld) -> None:
    """Twenty of these blocks are kept back for root."""
    full = VolumeStat(1, total=100 * 4096, free=30 * 4096, available=10 * 4096, block_size=4096, read_only=False,
                      creation_time=0)  # fmt: skip
    world._performers[QueryVolume] = lambda effect: full
    ann = world.user()
    folder = ann.open("", access=READ, options=FILE_DIRECTORY_FILE)
    told = bytes(ann.want(QueryInfoRequest(2, 7, 1024, file_id=folder)).output)
    assert struct.unpack_from("<QQQ", told) == (100, 10, 10)
    told = bytes(ann.want(QueryInfoRequest(2, 3, 1024, file_id=folder)).output)
    assert struct.unpack_from("<QQ", told) == (100, 10)


@pytest.mark.parametrize("name", ["NTFS", "LANMAN"])
def test_the_file_system_is_called_as_configured(world: DiskWorld, name: str) -> None:
    if name != "NTFS":
        world.dispatch.settings = dataclasses.replace(world.dispatch.settings, filesystem_name=name)
    ann = world.user()
    folder = ann.open("", access=READ, options=FILE_DIRECTORY_FILE)
    told = bytes(ann.want(QueryInfoRequest(2, 5, 1024, file_id=folder)).output)
    assert told[12:].decode("utf-16-le") == name


def test_room_that_the_disk_has_not_is_refused(world: DiskWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever copies a file wants to hear at its beginning that it does not fit, and nothing is left behind."""

    def full(descriptor: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("lanman.net.disk.files.set_aside", full)
    ann = world.user()
    request = ann.create("copy", disposition=FILE_CREATE)
    request.contexts = [CreateContext(b"AlSi", struct.pack("<Q", 1 << 40))]
    assert ann.ask(request).status == codes.STATUS_DISK_FULL
    assert list(world.folder.iterdir()) == []
    file_id = ann.make("a", b"x")
    assert ann.set(file_id, ALLOCATION, struct.pack("<Q", 1 << 40)) == "STATUS_DISK_FULL"


# --- watches


def watch(ann: FileClient, name: str) -> tuple[bytes, int]:
    """Watch a directory: its FileId, and the number of the request that waits."""
    folder = ann.open(name, access=READ, options=FILE_DIRECTORY_FILE)
    number = ann.send(ChangeNotifyRequest(SMB2_WATCH_TREE, 4096, folder, 0x17F))
    assert number in ann.pendings
    return folder, number


@pytest.mark.parametrize("way", ["disposition", "delete on close", "the watcher's own disposition", "lost connection"])
def test_a_watch_ends_when_its_folder_is_to_go(world: DiskWorld, way: str) -> None:
    """A client that closes when its watch ends would otherwise keep the folder in DELETE_PENDING for everybody."""
    ann, bob = world.user(), world.user("bob")
    ann.mkdir("d")
    if way.startswith("the watcher"):
        folder = ann.open("d", access=READ | DELETE, options=FILE_DIRECTORY_FILE)
        number = ann.send(ChangeNotifyRequest(SMB2_WATCH_TREE, 4096, folder, 0x17F))
        assert ann.set(folder, DISPOSITION, b"\1") == "STATUS_SUCCESS"
    else:
        folder, number = watch(ann, "d")
        options = FILE_DIRECTORY_FILE | (0 if way == "disposition" else FILE_DELETE_ON_CLOSE)
        other = bob.open("d", access=DELETE, options=options)
        assert ann.result(number) == ""
        if way == "disposition":
            assert bob.set(other, DISPOSITION, b"\1") == "STATUS_SUCCESS"
        elif way == "delete on close":
            bob.shut(other)
        else:
            world.disconnect(bob)
            world.pump()
            bob = world.user("bob")
    assert ann.result(number) == "STATUS_DELETE_PENDING"
    assert ann.ask(ChangeNotifyRequest(SMB2_WATCH_TREE, 4096, folder, 0x17F)).status == codes.STATUS_DELETE_PENDING
    assert bob.status("d", access=READ) == "STATUS_DELETE_PENDING"
    ann.shut(folder)
    if way == "disposition":
        bob.shut(other)
    assert bob.status("d", access=READ) == "STATUS_OBJECT_NAME_NOT_FOUND"


def test_a_watch_ends_whatever_share_its_folder_was_opened_by(world: DiskWorld) -> None:
    """The folder is what is deleted, not the path that leads to it."""
    (world.folder / "d" / "e").mkdir(parents=True)
    world.share("below", world.folder / "d")
    ann, bob = world.user("ann", "below"), world.user("bob")
    _, number = watch(ann, "e")
    bob.shut(bob.open("d\\e", access=DELETE, options=FILE_DIRECTORY_FILE | FILE_DELETE_ON_CLOSE))
    assert ann.result(number) == "STATUS_DELETE_PENDING"


def test_a_watch_that_is_too_small_once_stays_so(world: DiskWorld) -> None:
    """The first request's size is the watch's, as on Windows (smb2.notify.valid-req)."""
    ann, bob = world.user(), world.user("bob")
    folder = ann.open("", access=READ, options=FILE_DIRECTORY_FILE)
    for number, size in enumerate((1, 4096)):
        waiting = ann.send(ChangeNotifyRequest(0, size, folder, 0x17F))
        bob.mkdir(f"d{number}")
        assert ann.result(waiting) == "STATUS_NOTIFY_ENUM_DIR"


# --- oplocks


@pytest.mark.parametrize("what", ["write", "end of file", "allocation", "lock"])
def test_level_two_ends_with_a_change_of_ones_own_too(world: DiskWorld, what: str) -> None:
    """MS-FSA 2.1.4.12; smb2.oplock.levelii500 and the like."""
    ann = world.user()
    response = ann.opened("a", disposition=FILE_CREATE, oplock=SMB2_OPLOCK_LEVEL_II)
    assert response.oplock_level == SMB2_OPLOCK_LEVEL_II
    file_id = bytes(response.file_id)
    if what == "write":
        ann.want(WriteRequest(b"x", file_id=file_id))
    elif what == "lock":
        flags = SMB2_LOCKFLAG_EXCLUSIVE_LOCK | SMB2_LOCKFLAG_FAIL_IMMEDIATELY
        ann.want(LockRequest(file_id, [LockElement(0, 1, flags)]))
    else:
        kind = END_OF_FILE if what == "end of file" else ALLOCATION
        assert ann.set(file_id, kind, struct.pack("<Q", 0)) == "STATUS_SUCCESS"
    assert ann.breaks == [SMB2_OPLOCK_LEVEL_NONE]


def test_an_exclusive_oplock_outlives_changes_of_ones_own(world: DiskWorld) -> None:
    ann = world.user()
    response = ann.opened("a", disposition=FILE_CREATE, oplock=SMB2_OPLOCK_LEVEL_EXCLUSIVE)
    ann.want(WriteRequest(b"x", file_id=bytes(response.file_id)))
    assert ann.status("a", access=FILE_READ_ATTRIBUTES) == "STATUS_SUCCESS"
    assert ann.breaks == []
