"""What people's own programs do with files, and how they are to be answered: on a real folder, without a socket."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from lanman import codes
from lanman.dtyp import DELETE
from lanman.server.disk_effects import QueryVolume, VolumeStat
from lanman.server.files.oplocks import BREAK_TIMEOUT
from lanman.smb2.constants import (
    FILE_CREATE,
    FILE_DELETE_ON_CLOSE,
    FILE_DIRECTORY_FILE,
    FILE_OPEN_IF,
    FILE_OVERWRITE,
    FILE_OVERWRITE_IF,
    FILE_READ_ATTRIBUTES,
    FILE_SUPERSEDE,
    FILE_WRITE_ATTRIBUTES,
    FSCTL_SRV_COPYCHUNK_WRITE,
    FSCTL_SRV_REQUEST_RESUME_KEY,
    SMB2_LOCKFLAG_EXCLUSIVE_LOCK,
    SMB2_LOCKFLAG_FAIL_IMMEDIATELY,
    SMB2_OPLOCK_LEVEL_BATCH,
    SMB2_OPLOCK_LEVEL_EXCLUSIVE,
    SMB2_OPLOCK_LEVEL_II,
    SMB2_OPLOCK_LEVEL_NONE,
    SMB2_WATCH_TREE,
)
from lanman.smb2.messages import (
    ChangeNotifyRequest,
    CreateContext,
    IoctlRequest,
    LockElement,
    LockRequest,
    OplockBreak,
    QueryDirectoryRequest,
    QueryInfoRequest,
    SetInfoRequest,
    WriteRequest,
)
from support.disk_server import READ, DiskWorld, FileClient, emptied_world

BASIC, RENAME, DISPOSITION, ALLOCATION, END_OF_FILE, ALTERNATE_NAME = 4, 10, 13, 19, 20, 21


def rename(name: str, *, replace: bool = False) -> bytes:
    data = name.encode("utf-16-le")
    return struct.pack("<B7xQI", replace, 0, len(data)) + data


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DiskWorld]:
    with emptied_world(tmp_path / "share") as world:
        yield world


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
        world.set(filesystem_name=name)
    ann = world.user()
    folder = ann.open("", access=READ, options=FILE_DIRECTORY_FILE)
    told = bytes(ann.want(QueryInfoRequest(2, 5, 1024, file_id=folder)).output)
    assert told[12:].decode("utf-16-le") == name


def test_room_that_the_disk_has_not_is_refused(world: DiskWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever copies a file wants to hear at its beginning that it does not fit, and nothing is left behind."""

    def full(descriptor: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("lanman.net.disk.files.check_room", full)
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


def test_a_watch_follows_its_folder(world: DiskWorld) -> None:
    """The folder is what is watched, whatever it is called meanwhile, and nothing that gets its old name."""
    ann, bob = world.user(), world.user("bob")
    ann.mkdir("d")
    ann.mkdir("target")
    folder, number = watch(ann, "d")
    for name in ("e", "E", "target\\f"):
        other = bob.open("d" if name == "e" else "e", access=DELETE, options=FILE_DIRECTORY_FILE)
        assert bob.set(other, RENAME, rename(name)) == "STATUS_SUCCESS"
        bob.shut(other)
    bob.mkdir("d")
    bob.shut(bob.make("d\\not here"))
    assert ann.result(number) == ""
    bob.shut(bob.make("target\\f\\here"))
    assert ann.result(number) == "STATUS_SUCCESS"
    number = ann.send(ChangeNotifyRequest(SMB2_WATCH_TREE, 4096, folder, 0x17F))
    bob.shut(bob.open("target\\f\\here", access=DELETE, options=FILE_DELETE_ON_CLOSE))
    assert ann.result(number) == "STATUS_SUCCESS"
    ann.shut(folder)
    bob.shut(bob.open("target\\f", access=DELETE, options=FILE_DIRECTORY_FILE | FILE_DELETE_ON_CLOSE))
    assert world.dispatch.files.watches.kept == 0


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


@pytest.mark.parametrize("answer", ["close", "keep it open", "nothing"])
def test_who_only_caches_a_file_gives_it_back_to_be_replaced(world: DiskWorld, answer: str) -> None:
    """A batch oplock lets a client keep open what its program has closed. An editor elsewhere that saves by renaming
    over it must not be refused for that (smb2.lease.v2_rename_target_overwrite has the same of a lease)."""
    ann, bob = world.user(), world.user("bob")
    held = ann.opened("a", disposition=FILE_CREATE, oplock=SMB2_OPLOCK_LEVEL_BATCH)
    file_id = bytes(held.file_id)
    assert held.oplock_level == SMB2_OPLOCK_LEVEL_BATCH
    new = bob.make("a.tmp", b"new")
    number = bob.send(SetInfoRequest(1, RENAME, rename("a", replace=True), file_id=new))
    assert number in bob.pendings
    assert ann.breaks == [SMB2_OPLOCK_LEVEL_II]
    if answer == "close":
        ann.shut(file_id)
    elif answer == "keep it open":
        ann.want(OplockBreak(SMB2_OPLOCK_LEVEL_II, file_id))
    else:
        world.advance(BREAK_TIMEOUT + 1)
    assert bob.result(number) == ("STATUS_SUCCESS" if answer == "close" else "STATUS_ACCESS_DENIED")
    assert (world.folder / "a").read_bytes() == (b"new" if answer == "close" else b"")


@pytest.mark.parametrize("kept", ["", "d\\a", "d\\e\\b"])
def test_who_only_caches_files_gives_them_back_for_their_folder_to_be_renamed(world: DiskWorld, kept: str) -> None:
    """MS-FSA 2.1.4.2."""
    (world.folder / "d" / "e").mkdir(parents=True)
    ann, bob = world.user(), world.user("bob")
    held = {}
    for name in ("d\\a", "d\\e\\b"):
        response = ann.opened(name, disposition=FILE_CREATE, oplock=SMB2_OPLOCK_LEVEL_BATCH)
        held[name] = bytes(response.file_id)
    folder = bob.open("d", access=DELETE, options=FILE_DIRECTORY_FILE)
    number = bob.send(SetInfoRequest(1, RENAME, rename("f"), file_id=folder))
    assert ann.breaks == [SMB2_OPLOCK_LEVEL_II] * 2
    for name, file_id in held.items():
        assert number in bob.pendings
        assert bob.result(number) == ""
        if name == kept:
            ann.want(OplockBreak(SMB2_OPLOCK_LEVEL_II, file_id))
        else:
            ann.shut(file_id)
    assert bob.result(number) == ("STATUS_ACCESS_DENIED" if kept else "STATUS_SUCCESS")
    assert (world.folder / "f").exists() is not bool(kept)


# --- attributes: what was set decides, what is made up is shown

NORMAL, ARCHIVE, HIDDEN, SYSTEM, READ_ONLY = 0x80, 0x20, 0x02, 0x04, 0x01
WRITE = 0x00120116


def attributes(ann: FileClient, name: str) -> int:
    response = ann.opened(name, access=FILE_READ_ATTRIBUTES)
    ann.shut(bytes(response.file_id))
    return response.file_attributes


def set_attributes(ann: FileClient, name: str, wanted: int, creation_time: int = 0) -> None:
    file_id = ann.open(name, access=FILE_WRITE_ATTRIBUTES)
    assert ann.set(file_id, BASIC, struct.pack("<QQQQI4x", creation_time, 0, 0, 0, wanted)) == "STATUS_SUCCESS"
    ann.shut(file_id)


@pytest.mark.parametrize("disposition", [FILE_OVERWRITE, FILE_OVERWRITE_IF, FILE_SUPERSEDE])
@pytest.mark.parametrize("wanted", [0, NORMAL, ARCHIVE])
def test_a_dot_file_is_written_twice(world: DiskWorld, disposition: int, wanted: int) -> None:
    ann = world.user()
    for name in (".gitignore", ".~lock.report.odt#", ".DS_Store"):
        for _ in range(3):
            file_id = ann.open(name, access=WRITE, disposition=FILE_OVERWRITE_IF, attributes=wanted)
            ann.want(WriteRequest(b"x", file_id=file_id))
            ann.shut(file_id)
        assert ann.status(name, access=WRITE, disposition=disposition, attributes=wanted) == "STATUS_SUCCESS"
        assert attributes(ann, name) == ARCHIVE | HIDDEN, "it is shown all the same"


def test_a_dot_file_that_a_local_program_made_is_overwritten(world: DiskWorld) -> None:
    (world.folder / ".profile").write_text("x")
    assert world.user().status(".profile", access=WRITE, disposition=FILE_OVERWRITE) == "STATUS_SUCCESS"


def test_what_is_read_and_written_back_is_not_set_by_that(world: DiskWorld) -> None:
    """As robocopy, tar and rsync do; also where the time of creation is kept, or another attribute is added."""
    ann = world.user()
    for name, creation_time in ((".a", 0), (".b", 130_000_000_000_000_000)):
        ann.shut(ann.make(name))
        set_attributes(ann, name, attributes(ann, name), creation_time)
        assert ann.status(name, access=WRITE, disposition=FILE_OVERWRITE) == "STATUS_SUCCESS"
    ann.shut(ann.make(".c"))
    set_attributes(ann, ".c", ARCHIVE | HIDDEN | SYSTEM)
    assert attributes(ann, ".c") == ARCHIVE | HIDDEN | SYSTEM
    assert ann.status(".c", access=WRITE, disposition=FILE_OVERWRITE, attributes=SYSTEM) == "STATUS_SUCCESS"


@pytest.mark.parametrize("protection", [HIDDEN, SYSTEM])
@pytest.mark.parametrize("name", ["a", ".a"])
def test_what_was_set_protects(world: DiskWorld, name: str, protection: int) -> None:
    """MS-FSA 2.1.5.1.2.1, whatever the name."""
    ann = world.user()
    ann.shut(ann.make(name, attributes=protection))
    for disposition in (FILE_OVERWRITE, FILE_OVERWRITE_IF, FILE_SUPERSEDE):
        assert ann.status(name, access=WRITE, disposition=disposition) == "STATUS_ACCESS_DENIED"
    assert ann.status(name, access=WRITE, disposition=FILE_OVERWRITE, attributes=protection) == "STATUS_SUCCESS"
    set_attributes(ann, name, ARCHIVE)
    assert attributes(ann, name) == ARCHIVE
    assert ann.status(name, access=WRITE, disposition=FILE_OVERWRITE) == "STATUS_SUCCESS"
    assert attributes(ann, name) == ARCHIVE, "who has said that it is not hidden has said so for good"


def test_a_hidden_that_was_set_goes_with_the_file_and_one_of_the_name_with_the_name(world: DiskWorld) -> None:
    ann = world.user()
    for name, new, wanted in (("a", ".b", HIDDEN), (".c", "d", HIDDEN)):
        file_id = ann.make(name, attributes=wanted)
        assert ann.set(file_id, RENAME, rename(new)) == "STATUS_SUCCESS"
        ann.shut(file_id)
        assert attributes(ann, new) & HIDDEN
        assert ann.status(new, access=WRITE, disposition=FILE_OVERWRITE) == "STATUS_ACCESS_DENIED"
    file_id = ann.make(".e")
    assert ann.set(file_id, RENAME, rename("f")) == "STATUS_SUCCESS"
    ann.shut(file_id)
    assert attributes(ann, "f") == ARCHIVE


def test_a_mode_without_write_permission_is_shown_and_forbids_writing_alone(world: DiskWorld) -> None:
    """As git makes its objects: they are replaced, renamed and deleted."""
    ann = world.user()
    for name in ("object", "old", "new", "going"):
        (world.folder / name).write_bytes(b"x")
        (world.folder / name).chmod(0o444)
    assert attributes(ann, "object") & READ_ONLY
    assert ann.status("object", access=WRITE) == "STATUS_ACCESS_DENIED"
    assert ann.status("object", access=WRITE, disposition=FILE_OVERWRITE) == "STATUS_ACCESS_DENIED"
    file_id = ann.open("new", access=DELETE)
    assert ann.set(file_id, RENAME, rename("old", replace=True)) == "STATUS_SUCCESS"
    ann.shut(file_id)
    ann.shut(ann.open("going", access=DELETE, options=FILE_DELETE_ON_CLOSE))
    file_id = ann.open("object", access=DELETE)
    assert ann.set(file_id, DISPOSITION, b"\1") == "STATUS_SUCCESS"
    ann.shut(file_id)
    assert [each.name for each in world.folder.iterdir()] == ["old"]


def test_a_file_that_a_client_made_read_only_stays(world: DiskWorld) -> None:
    ann = world.user()
    ann.shut(ann.make("a"))
    ann.shut(ann.make("b"))
    (world.folder / "a").chmod(0o664)
    set_attributes(ann, "a", ARCHIVE | READ_ONLY)
    assert (world.folder / "a").stat().st_mode & 0o222 == 0, "local programs see it"
    file_id = ann.open("b", access=DELETE)
    assert ann.set(file_id, RENAME, rename("a", replace=True)) == "STATUS_ACCESS_DENIED"
    assert ann.set(file_id, RENAME, rename("B", replace=True)) == "STATUS_SUCCESS"
    ann.shut(file_id)
    assert ann.status("a", access=DELETE, options=FILE_DELETE_ON_CLOSE) == "STATUS_CANNOT_DELETE"
    assert ann.set(ann.open("a", access=DELETE), DISPOSITION, b"\1") == "STATUS_CANNOT_DELETE"
    assert ann.status("a", access=WRITE) == "STATUS_ACCESS_DENIED"
    file_id = ann.open("a", access=DELETE)
    assert ann.set(file_id, RENAME, rename("c")) == "STATUS_SUCCESS", "a rename of its own is no harm"
    ann.shut(file_id)
    set_attributes(ann, "c", NORMAL)
    assert (world.folder / "c").stat().st_mode & 0o777 == 0o664, "what READONLY took away is given back"
    assert ann.status("c", access=DELETE, options=FILE_DELETE_ON_CLOSE) == "STATUS_SUCCESS"


def test_nobody_creates_what_is_read_only_and_goes_at_once(world: DiskWorld) -> None:
    """MS-FSA 2.1.5.1.1."""
    ann = world.user()
    for disposition in (FILE_CREATE, FILE_OPEN_IF, FILE_OVERWRITE_IF):
        status = ann.status("a", disposition=disposition, options=FILE_DELETE_ON_CLOSE, attributes=READ_ONLY)
        assert status == "STATUS_CANNOT_DELETE"
    assert list(world.folder.iterdir()) == []


def test_attributes_of_the_first_format_are_read(world: DiskWorld) -> None:
    """What a Server before this one has kept: it did not tell a HIDDEN of the name from one that was set, and READONLY
    of a file was its mode alone."""
    for name, kept in ((".a", HIDDEN | ARCHIVE), (".b", ARCHIVE), ("c", HIDDEN), ("d", SYSTEM)):
        (world.folder / name).write_bytes(b"x")
        os.setxattr(world.folder / name, "user.lanman.dos", struct.pack("<B3xIQ", 1, kept, 130_000_000_000_000_000))
    (world.folder / "d").chmod(0o444)
    ann = world.user()
    assert [attributes(ann, name) for name in (".a", ".b", "c", "d")] == [
        HIDDEN | ARCHIVE, ARCHIVE, HIDDEN, SYSTEM | READ_ONLY
    ]  # fmt: skip
    assert ann.opened(".a", access=READ).creation_time == 130_000_000_000_000_000
    assert ann.status(".a", access=WRITE, disposition=FILE_OVERWRITE) == "STATUS_SUCCESS"
    assert ann.status("c", access=WRITE, disposition=FILE_OVERWRITE) == "STATUS_ACCESS_DENIED"
    ann.shut(ann.open("d", access=DELETE, options=FILE_DELETE_ON_CLOSE))
    set_attributes(ann, ".b", attributes(ann, ".b") | SYSTEM)
    assert attributes(ann, ".b") == ARCHIVE | SYSTEM
    assert os.getxattr(world.folder / ".b", "user.lanman.dos")[0] == 2


# --- times

YEAR_1980 = 119_600_064_000_000_000
FREEZE, THAW = 0xFFFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFE
WRITTEN, ACCESSED = 2, 1  # where they stand among the four times


def times(ann: FileClient, file_id: bytes) -> tuple[int, ...]:
    """Creation, last access, last write, change."""
    told = bytes(ann.want(QueryInfoRequest(1, BASIC, 1024, file_id=file_id)).output)
    return struct.unpack_from("<QQQQ", told)


def set_time(ann: FileClient, file_id: bytes, which: int, time: int) -> None:
    four = [0, 0, 0, 0]
    four[which] = time
    assert ann.set(file_id, BASIC, struct.pack("<QQQQI4x", *four, 0)) == "STATUS_SUCCESS"


def change(ann: FileClient, file_id: bytes, how: str) -> None:
    if how == "write":
        ann.want(WriteRequest(b"more", file_id=file_id))
    elif how == "copy":
        source = ann.open("source", access=READ)
        key = bytes(ann.want(IoctlRequest(FSCTL_SRV_REQUEST_RESUME_KEY, source, max_output_response=32)).output)
        chunk = struct.pack("<24sI4xQQI4x", key[:24], 1, 0, 0, 1)
        ann.want(IoctlRequest(FSCTL_SRV_COPYCHUNK_WRITE, file_id, chunk, max_output_response=12))
        ann.shut(source)
    else:
        kind = END_OF_FILE if how == "end of file" else ALLOCATION
        _, size = struct.unpack_from("<QQ", ann.want(QueryInfoRequest(1, 5, 1024, file_id=file_id)).output)
        assert ann.set(file_id, kind, struct.pack("<Q", size - 1)) == "STATUS_SUCCESS"


def age(world: DiskWorld, name: str) -> None:
    """As if it had last been touched long ago, so that no two times are taken for one."""
    os.utime(world.folder / name, (1, 1))


WAYS = ["write", "end of file", "allocation", "copy"]


@pytest.mark.parametrize("how", WAYS)
def test_a_write_time_that_was_set_sticks(world: DiskWorld, how: str) -> None:
    """MS-FSA 2.1.4.17: a copy that is marked as of 1980 until it is complete stays so."""
    (world.folder / "source").write_bytes(b"x")
    ann = world.user()
    file_id = ann.make("a", b"first")
    set_time(ann, file_id, WRITTEN, YEAR_1980)
    change(ann, file_id, how)
    assert times(ann, file_id)[WRITTEN] == YEAR_1980
    set_time(ann, file_id, WRITTEN, 0)
    change(ann, file_id, how)
    assert times(ann, file_id)[WRITTEN] == YEAR_1980, "0 leaves all as it is"
    ann.shut(file_id)
    assert (world.folder / "a").stat().st_mtime == YEAR_1980 // 10_000_000 - 11_644_473_600
    again = ann.open("a")
    change(ann, again, how)
    assert times(ann, again)[WRITTEN] > YEAR_1980, "it held for that open"


@pytest.mark.parametrize("how", WAYS)
def test_a_write_time_is_frozen_and_thawed(world: DiskWorld, how: str) -> None:
    (world.folder / "source").write_bytes(b"x")
    ann, bob = world.user(), world.user("bob")
    file_id, other = ann.make("a", b"first"), bob.open("a")
    age(world, "a")
    long_ago = times(ann, file_id)[WRITTEN]
    set_time(ann, file_id, WRITTEN, FREEZE)
    change(ann, file_id, how)
    assert times(bob, other)[WRITTEN] == long_ago
    change(bob, other, how)
    now = times(ann, file_id)[WRITTEN]
    assert now > long_ago, "another open's changes count"
    change(ann, file_id, how)
    assert times(ann, file_id)[WRITTEN] == now
    age(world, "a")
    set_time(ann, file_id, WRITTEN, THAW)
    assert times(ann, file_id)[WRITTEN] == long_ago, "thawing changes nothing by itself"
    change(ann, file_id, how)
    assert times(ann, file_id)[WRITTEN] > long_ago


def test_a_time_of_access_that_was_set_sticks(world: DiskWorld) -> None:
    ann = world.user()
    file_id = ann.make("a", b"first")
    set_time(ann, file_id, ACCESSED, YEAR_1980)
    assert bytes(ann.get(file_id).message.data) == b"first"  # type: ignore[attr-defined]
    assert times(ann, file_id)[ACCESSED] == YEAR_1980
    change(ann, file_id, "write")
    assert times(ann, file_id)[ACCESSED] == YEAR_1980
    assert times(ann, file_id)[WRITTEN] > YEAR_1980


def test_attributes_alone_set_no_time(world: DiskWorld) -> None:
    ann = world.user()
    file_id = ann.make("a", b"first")
    age(world, "a")
    assert ann.set(file_id, BASIC, struct.pack("<QQQQI4x", 0, 0, 0, 0, HIDDEN)) == "STATUS_SUCCESS"
    change(ann, file_id, "write")
    assert times(ann, file_id)[WRITTEN] > YEAR_1980


# --- links and what is no file


def test_what_cannot_be_read_is_listed_and_deleted(world: DiskWorld) -> None:
    """It would keep its folder from ever going."""
    outside = world.folder.parent / "outside"
    outside.write_bytes(b"secret")
    folder = world.folder / "d"
    folder.mkdir()
    (folder / "dangling").symlink_to("nowhere")
    (folder / "leaving").symlink_to(outside)
    os.mkfifo(folder / "fifo")
    ann = world.user()
    for name in ("d\\dangling", "d\\leaving", "d\\fifo"):
        assert ann.status(name, access=READ) == "STATUS_ACCESS_DENIED"
        assert ann.status(name, access=WRITE, disposition=FILE_OVERWRITE_IF) == "STATUS_ACCESS_DENIED"
        opened = ann.opened(name, access=FILE_READ_ATTRIBUTES)
        assert opened.end_of_file == 0
        ann.shut(bytes(opened.file_id))
        file_id = ann.open(name, access=DELETE)
        assert ann.set(file_id, RENAME, rename(f"{name}2")) == "STATUS_SUCCESS"
        ann.shut(file_id)
        ann.shut(ann.open(f"{name}2", access=DELETE, options=FILE_DELETE_ON_CLOSE))
    ann.shut(ann.open("d", access=DELETE, options=FILE_DIRECTORY_FILE | FILE_DELETE_ON_CLOSE))
    assert list(world.folder.iterdir()) == []
    assert outside.read_bytes() == b"secret"


@pytest.mark.parametrize("way", ["disposition", "delete on close"])
@pytest.mark.parametrize("last", ["link", "file"])
def test_deleting_a_link_leaves_the_file(world: DiskWorld, way: str, last: str) -> None:
    """Whoever closes last; and the file goes by its own name, whoever has it open by the link."""
    (world.folder / "file").write_bytes(b"x")
    (world.folder / "file").chmod(0o644)
    (world.folder / "link").symlink_to("file")
    ann, bob = world.user(), world.user("bob")
    other = bob.open("file")
    options = FILE_DELETE_ON_CLOSE if way == "delete on close" else 0
    link = ann.open("link", access=DELETE, options=options)
    if way == "disposition":
        assert ann.set(link, DISPOSITION, b"\1") == "STATUS_SUCCESS"
    if last == "link":
        bob.shut(other)
    ann.shut(link)
    if last == "file":
        assert bob.status("file", access=READ) == "STATUS_SUCCESS", "it is not to go"
        bob.shut(other)
    assert [each.name for each in world.folder.iterdir()] == ["file"]


@pytest.mark.parametrize("last", ["link", "file"])
def test_deleting_a_file_leaves_its_link(world: DiskWorld, last: str) -> None:
    (world.folder / "file").write_bytes(b"x")
    (world.folder / "link").symlink_to("file")
    ann = world.user()
    link, file_id = ann.open("link", access=READ), ann.open("file")
    assert ann.set(file_id, DISPOSITION, b"\1") == "STATUS_SUCCESS"
    for each in (file_id, link) if last == "link" else (link, file_id):
        ann.shut(each)
    assert [each.name for each in world.folder.iterdir()] == ["link"]
    assert ann.status("file") == "STATUS_OBJECT_NAME_NOT_FOUND"


# --- names of devices


def listed(ann: FileClient, pattern: str = "*") -> list[str]:
    folder = ann.open("", access=READ, options=FILE_DIRECTORY_FILE)
    answer = ann.ask(QueryDirectoryRequest(12, file_id=folder, name=pattern, output_buffer_length=65536))
    ann.shut(folder)
    names, at = [], 0
    while answer.status == codes.STATUS_SUCCESS:
        data = bytes(answer.message.output)  # type: ignore[attr-defined]
        following, _, length = struct.unpack_from("<III", data, at)
        names.append(data[at + 12 : at + 12 + length].decode("utf-16-le"))
        at += following
        if not following:
            break
    return sorted(set(names) - {".", ".."})


def test_names_of_devices_are_refused_by_default(world: DiskWorld) -> None:
    (world.folder / "aux.c").write_bytes(b"x")
    ann = world.user()
    assert listed(ann) == ["\uf061ux.c"]
    assert ann.status("aux.c", access=READ) == "STATUS_OBJECT_NAME_INVALID"
    assert ann.status("con", disposition=FILE_CREATE) == "STATUS_OBJECT_NAME_INVALID"
    assert ann.status("\uf061ux.c", access=READ) == "STATUS_SUCCESS"


def test_names_of_devices_are_names_where_that_is_configured(world: DiskWorld) -> None:
    world.share("source", world.folder, device_names=True)
    ann, bob = world.user("ann", "source"), world.user("bob", "source")
    folder = bob.open("", access=READ, options=FILE_DIRECTORY_FILE)
    number = bob.send(ChangeNotifyRequest(SMB2_WATCH_TREE, 4096, folder, 0x17F))
    ann.mkdir("con")
    assert bytes(bob.answers[number].message.output)[12:].decode("utf-16-le") == "con"  # type: ignore[attr-defined]
    file_id = ann.make("con\\aux.c", b"x")
    assert (world.folder / "con" / "aux.c").read_bytes() == b"x"
    assert [each.path for each in world.service.opens()][-1] == str(world.folder / "con" / "aux.c")
    told = bytes(ann.want(QueryInfoRequest(1, 18, 1024, file_id=file_id)).output)
    assert told[100:].decode("utf-16-le") == "\\con\\aux.c"
    assert ann.set(file_id, RENAME, rename("CON\\nul")) == "STATUS_SUCCESS"
    assert ann.set(file_id, RENAME, rename("PRN.txt")) == "STATUS_SUCCESS"
    ann.shut(file_id)
    assert listed(ann) == ["PRN.txt", "con"]
    assert listed(ann, "prn*") == ["PRN.txt"]
    assert listed(ann, "CON") == ["con"]
    assert ann.status("prn.TXT", access=READ) == "STATUS_SUCCESS"
    assert ann.status("a:b") == "STATUS_OBJECT_NAME_INVALID", "and no others"


def test_who_asks_for_attributes_alone_gets_no_oplock_beside_an_exclusive_one(world: DiskWorld) -> None:
    """smb2.oplock.exclusive4, batch8: it has broken nothing, so nothing can be shared with it."""
    ann, bob = world.user(), world.user("bob")
    ann.opened("a", disposition=FILE_CREATE, oplock=SMB2_OPLOCK_LEVEL_EXCLUSIVE)
    response = bob.opened("a", access=FILE_READ_ATTRIBUTES, oplock=SMB2_OPLOCK_LEVEL_EXCLUSIVE)
    assert response.oplock_level == SMB2_OPLOCK_LEVEL_NONE
    assert ann.breaks == []


def test_who_reads_attributes_alone_may_cache_and_then_nobody_is_alone(world: DiskWorld) -> None:
    """smb2.oplock.batch9."""
    ann, bob = world.user(), world.user("bob")
    response = ann.opened("a", access=FILE_READ_ATTRIBUTES, disposition=FILE_CREATE, oplock=SMB2_OPLOCK_LEVEL_II)
    assert response.oplock_level == SMB2_OPLOCK_LEVEL_II
    response = bob.opened("a", oplock=SMB2_OPLOCK_LEVEL_EXCLUSIVE)
    assert response.oplock_level == SMB2_OPLOCK_LEVEL_II
    bob.want(WriteRequest(b"x", file_id=bytes(response.file_id)))
    assert ann.breaks == bob.breaks == [SMB2_OPLOCK_LEVEL_NONE]


def test_a_chunk_that_the_source_does_not_have_is_not_counted(world: DiskWorld) -> None:
    """smb2.ioctl.copy_chunk_src_exceed_multi."""
    ann = world.user()
    source, target = ann.make("a", b"0123456789"), ann.make("b")
    key = bytes(ann.want(IoctlRequest(FSCTL_SRV_REQUEST_RESUME_KEY, source, max_output_response=32)).output)
    chunks = struct.pack("<24sI4x", key[:24], 2) + struct.pack("<QQI4xQQI4x", 0, 0, 6, 6, 6, 6)
    answer = ann.ask(IoctlRequest(FSCTL_SRV_COPYCHUNK_WRITE, target, chunks, max_output_response=12))
    assert answer.status == codes.STATUS_INVALID_VIEW_SIZE
    assert struct.unpack("<III", answer.message.output) == (1, 0, 6)  # type: ignore[attr-defined]


def test_nothing_is_compressed(world: DiskWorld) -> None:
    ann = world.user()
    file_id = ann.make("a")
    assert bytes(ann.want(IoctlRequest(0x9003C, file_id, max_output_response=2)).output) == bytes(2)
    ann.want(IoctlRequest(0x9C040, file_id, bytes(2), max_output_response=2))
    answer = ann.ask(IoctlRequest(0x9C040, file_id, struct.pack("<H", 1), max_output_response=2))
    assert answer.status == codes.STATUS_NOT_SUPPORTED


@pytest.mark.parametrize("way", ["disposition", "delete on close"])
@pytest.mark.parametrize("renamed", [False, True])
def test_of_a_file_with_two_names_the_one_that_was_deleted_goes(world: DiskWorld, way: str, *, renamed: bool) -> None:
    """Whoever closes last, by whatever name."""
    (world.folder / "a").write_bytes(b"x")
    os.link(world.folder / "a", world.folder / "b")
    ann, bob = world.user(), world.user("bob")
    other = bob.open("b")
    file_id = ann.open("a", access=DELETE, options=FILE_DELETE_ON_CLOSE if way == "delete on close" else 0)
    if way == "disposition":
        assert ann.set(file_id, DISPOSITION, b"\1") == "STATUS_SUCCESS"
    if renamed:
        assert ann.set(file_id, RENAME, rename("c")) == "STATUS_SUCCESS"
    ann.shut(file_id)
    bob.shut(other)
    assert [each.name for each in world.folder.iterdir()] == ["b"]
    assert bob.status("b") == "STATUS_SUCCESS"
