"""What is done with files and directories, one effect after the other, on a real folder."""

from __future__ import annotations

import errno
import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lanman import codes
from lanman.errors import LanmanError
from lanman.fscc.attributes import (
    FILE_ATTRIBUTE_ARCHIVE,
    FILE_ATTRIBUTE_DIRECTORY,
    FILE_ATTRIBUTE_HIDDEN,
    FILE_ATTRIBUTE_NORMAL,
    FILE_ATTRIBUTE_READONLY,
    FILE_ATTRIBUTE_SYSTEM,
)
from lanman.names import fold
from lanman.net.disk.files import Files
from lanman.net.disk.folders import Folder, closing
from lanman.net.disk.system import CLOCK_TICK, DiskRefused, check_platform, status_of, tells_at_once
from lanman.server import disk_effects as do
from lanman.server.disk_effects import Access, Kind, Opened, OpenFile
from lanman.server.effects import LATER
from lanman.smb2.constants import (
    FILE_CREATE,
    FILE_OPEN,
    FILE_OPEN_IF,
    FILE_OVERWRITE,
    FILE_OVERWRITE_IF,
    FILE_SUPERSEDE,
)
from support.open_descriptors import open_files

READ_WRITE = Access.READ | Access.WRITE
FILETIME_2000 = 125911584000000000  # 2000-01-01


class World:
    """A share's folder, and whoever opens files in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = Files(limit=500)

    def open(self, *path: str, access: Access = READ_WRITE, **more: Any) -> Opened:
        return self.files.open(OpenFile(str(self.root), path, access, **more))

    def create(self, *path: str, data: bytes = b"", **more: Any) -> Opened:
        opened = self.open(*path, disposition=FILE_CREATE, **more)
        if data:
            self.files.write(do.WriteFile(opened.handle, 0, data))
        return opened

    def close(self, opened: Opened, *, delete: bool = False) -> do.FileStat:
        closed = self.files.close(do.CloseFile(opened.handle, delete))
        assert closed is not None
        return closed

    def put(self, *path: str, data: bytes = b"") -> None:
        self.close(self.create(*path, data=data))

    def names(self, *path: str, **more: Any) -> list[str]:
        opened = self.open(*path, access=Access.READ)
        try:
            entries: list[str] = []
            listing = self.files.list(do.ListDirectory(opened.handle, 1000, **more))
            entries += [entry.name for entry in listing.entries]
            while not listing.last:
                listing = self.files.list(do.ListDirectory(opened.handle, 1000, **more | {"restart": False}))
                entries += [entry.name for entry in listing.entries]
            return sorted(entries)
        finally:
            self.close(opened)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    root = tmp_path / "share"
    root.mkdir()
    before = open_files()
    world = World(root)
    yield world
    world.files.close_all()
    assert open_files() <= before, "every descriptor was given back"


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def refused(action: Any, *args: Any, **more: Any) -> str:
    """The name of the NTSTATUS with which something is refused."""
    with pytest.raises((DiskRefused, OSError)) as caught:
        action(*args, **more)
    error: Any = caught.value
    return codes.ntstatus_name(error.status if isinstance(error, DiskRefused) else status_of(error))


# --- opening ---


def test_what_is_created_is_opened_again_whatever_its_case(world: World) -> None:
    created = world.create("Letters", kind=Kind.DIRECTORY)
    assert created.created
    assert created.stat.directory
    assert created.stat.attributes == FILE_ATTRIBUTE_DIRECTORY
    letter = world.create("letters", "To Änne.txt", data=b"Dear")
    assert letter.path == ("Letters", "To Änne.txt")
    again = world.open("LETTERS", "to äNNE.TXT")
    assert again.path == letter.path
    assert not again.created
    assert again.stat.identity == letter.stat.identity
    assert again.stat.attributes == FILE_ATTRIBUTE_ARCHIVE
    assert (world.root / "Letters" / "To Änne.txt").read_bytes() == b"Dear"


def test_an_exact_name_goes_before_one_of_other_case(world: World) -> None:
    (world.root / "a").write_text("small")
    (world.root / "A").write_text("large")
    assert world.open("a").path == ("a",)
    assert world.open("A").path == ("A",)


@pytest.mark.parametrize(
    ("disposition", "there", "missing"),
    [
        (FILE_SUPERSEDE, "opened", "created"),
        (FILE_OPEN, "opened", "STATUS_OBJECT_NAME_NOT_FOUND"),
        (FILE_CREATE, "STATUS_OBJECT_NAME_COLLISION", "created"),
        (FILE_OPEN_IF, "opened", "created"),
        (FILE_OVERWRITE, "opened", "STATUS_OBJECT_NAME_NOT_FOUND"),
        (FILE_OVERWRITE_IF, "opened", "created"),
    ],
)
def test_dispositions(world: World, disposition: int, there: str, missing: str) -> None:
    (world.root / "there").write_text("kept")
    for name, expected in (("THERE", there), ("missing", missing)):
        if expected.startswith("STATUS"):
            assert refused(world.open, name, disposition=disposition) == expected
        else:
            assert world.open(name, disposition=disposition).created == (expected == "created")
    assert (world.root / "there").read_text() == "kept", "opening changes nothing that exists"
    assert sorted(os.listdir(world.root)) == (["there"] if missing.startswith("S") else ["missing", "there"])


def test_names_and_paths_that_are_missing(world: World) -> None:
    world.put("file")
    assert refused(world.open, "nothing") == "STATUS_OBJECT_NAME_NOT_FOUND"
    assert refused(world.open, "nothing", "file") == "STATUS_OBJECT_PATH_NOT_FOUND"
    assert refused(world.open, "file", "below") == "STATUS_OBJECT_PATH_NOT_FOUND"
    assert refused(world.create, "nothing", "new") == "STATUS_OBJECT_PATH_NOT_FOUND"


def test_files_are_no_directories(world: World) -> None:
    world.put("file")
    world.close(world.create("folder", kind=Kind.DIRECTORY))
    assert refused(world.open, "file", kind=Kind.DIRECTORY) == "STATUS_NOT_A_DIRECTORY"
    assert refused(world.open, "folder", kind=Kind.FILE) == "STATUS_FILE_IS_A_DIRECTORY"
    assert refused(world.open, "folder", disposition=FILE_OVERWRITE_IF) == "STATUS_FILE_IS_A_DIRECTORY"
    assert refused(world.create, "file", kind=Kind.DIRECTORY) == "STATUS_OBJECT_NAME_COLLISION"
    folder = world.open("folder")
    assert folder.stat.directory
    assert refused(world.files.write, do.WriteFile(folder.handle, 0, b"x")) == "STATUS_INVALID_DEVICE_REQUEST"


def test_the_folder_itself(world: World) -> None:
    opened = world.open(access=Access.READ)
    assert opened.path == ()
    assert opened.stat.directory
    assert refused(world.close, opened, delete=True) == "STATUS_CANNOT_DELETE"
    opened = world.open()
    assert refused(world.files.rename, do.RenameFile(opened.handle, ("x",))) == "STATUS_CANNOT_DELETE"


def test_a_folder_that_is_gone(world: World) -> None:
    opened = world.create("file", data=b"still here")
    os.rename(world.root, world.root.with_name("elsewhere"))
    assert refused(world.open, "file") == "STATUS_VOLUME_DISMOUNTED"
    assert refused(world.files.look_up, do.LookUp(str(world.root), ())) == "STATUS_VOLUME_DISMOUNTED"
    assert bytes(world.files.read(do.ReadFile(opened.handle, 0, 100))) == b"still here"
    world.root.mkdir()
    assert world.files.look_up(do.LookUp(str(world.root), ())).directory
    assert not world.files.volume(do.QueryVolume(world.open().handle)).read_only
    assert refused(world.open, "file") == "STATUS_OBJECT_NAME_NOT_FOUND"


def test_names_that_others_add_and_take_away_are_seen(world: World) -> None:
    assert refused(world.open, "LATER") == "STATUS_OBJECT_NAME_NOT_FOUND"
    os.utime(world.root, ns=(0, 1))  # well before: a directory that changed just now is not believed to be known
    assert refused(world.open, "LATER") == "STATUS_OBJECT_NAME_NOT_FOUND"
    (world.root / "later").touch()
    assert world.open("LATER").path == ("later",)
    os.rename(world.root / "later", world.root / "LaTeR")
    assert world.open("LATER").path == ("LaTeR",)
    os.unlink(world.root / "LaTeR")
    assert refused(world.open, "later") == "STATUS_OBJECT_NAME_NOT_FOUND"


def test_what_may_be_done_is_told(world: World) -> None:
    opened = world.create("file", maximal=True)
    assert opened.maximal == READ_WRITE
    assert world.open("file", access=Access.NONE, maximum_allowed=True).access == READ_WRITE


def test_no_more_files_than_the_process_can_have(world: World) -> None:
    world.files = Files(limit=4)  # three and the directory that they are in
    opened = [world.create(name) for name in "abc"]
    assert refused(world.create, "d") == "STATUS_TOO_MANY_OPENED_FILES"
    world.close(opened.pop())
    world.create("d")


def test_directories_listings_and_renames_take_descriptors_too(world: World) -> None:
    for name in "abcdefgh":
        (world.root / name).mkdir()
    before = descriptors()
    world.files = Files(limit=8)
    for name in "abcd":
        world.create(name, "file")
    assert world.files.directories() == 4
    assert refused(world.create, "e", "file") == "STATUS_TOO_MANY_OPENED_FILES"
    assert descriptors() - before <= 8
    world.files.close_all()
    world.files = Files(limit=8)
    listed = [world.open(name, access=Access.READ) for name in "abcd"]
    for opened in listed[:3]:
        world.files.list(do.ListDirectory(opened.handle, 10))
        world.files.list(do.ListDirectory(opened.handle, 10, restart=True))
    assert refused(world.files.list, do.ListDirectory(listed[3].handle, 10)) == "STATUS_TOO_MANY_OPENED_FILES"
    assert descriptors() - before <= 8
    world.close(listed[0])
    world.files.list(do.ListDirectory(listed[3].handle, 10))
    world.files.close_all()
    assert not world.files._scans
    world.files = Files(limit=8)
    files = [world.create(name) for name in ("1", "2", "3", "4", "5")]
    world.files.rename(do.RenameFile(files[0].handle, ("a", "1")))
    world.files.rename(do.RenameFile(files[1].handle, ("b", "2")))
    assert refused(world.files.rename, do.RenameFile(files[2].handle, ("c", "3"))) == "STATUS_TOO_MANY_OPENED_FILES"
    world.files.rename(do.RenameFile(files[2].handle, ("b", "3")))
    assert descriptors() - before <= 8


def test_names_of_every_kind_are_listed_and_opened(world: World) -> None:
    raw = [b"plain", b"q?", b"a:b", b"dot.", b"aux.c", b"\xff\xfe", "Ünïcödé \U0001f600".encode(), b"x" * 255, b"\x01"]
    for stored in raw:
        with open(os.path.join(os.fsencode(world.root), stored), "wb") as file:
            file.write(stored)
    names = world.names()
    assert len(names) == len(raw)
    contents = set()
    for name in names:
        opened = world.open(name)
        contents.add(bytes(world.files.read(do.ReadFile(opened.handle, 0, 300))))
        assert world.open(name.upper()).stat.identity == opened.stat.identity
    assert contents == set(raw)


# --- contents ---


def test_contents(world: World) -> None:
    opened = world.create("file", data=b"0123456789")
    handle = opened.handle
    assert bytes(world.files.read(do.ReadFile(handle, 3, 4))) == b"3456"
    assert bytes(world.files.read(do.ReadFile(handle, 8, 4))) == b"89"
    assert bytes(world.files.read(do.ReadFile(handle, 10, 4))) == b""
    assert bytes(world.files.read(do.ReadFile(handle, 1 << 60, 4))) == b""
    assert world.files.write(do.WriteFile(handle, None, memoryview(b"abc"))) == 3
    assert world.files.write(do.WriteFile(handle, 20, b"end", through=True)) == 3
    assert bytes(world.files.read(do.ReadFile(handle, 0, 100))) == b"0123456789abc" + bytes(7) + b"end"
    world.files.flush(do.FlushFile(handle))
    assert world.files.query(do.QueryFile(handle)).size == 23


def test_a_read_of_what_is_in_memory_needs_no_thread(world: World) -> None:
    opened = world.create("file", data=b"x" * 100_000)
    whole = world.files.try_read(do.ReadFile(opened.handle, 0, 65536))
    if whole is LATER:
        pytest.skip("this file system does not say whether a read would wait (RWF_NOWAIT)")
    assert bytes(whole) == b"x" * 65536
    end = world.files.try_read(do.ReadFile(opened.handle, 90_000, 65536))
    assert end is not LATER
    assert len(end) == 10_000
    behind = world.files.try_read(do.ReadFile(opened.handle, 200_000, 10))
    assert behind is not LATER
    assert len(behind) == 0
    world.close(opened)
    assert refused(world.files.try_read, do.ReadFile(opened.handle, 0, 10)) == "STATUS_FILE_CLOSED"


def put_a_while_ago(world: World, name: str) -> Path:
    """A file whose time of change is over, so that the next change shows in it."""
    with closing(os.open(world.root, os.O_RDONLY)) as descriptor:
        if not tells_at_once(descriptor):
            pytest.skip("this file system is not known to tell of files without waiting")
    world.put(name, data=b"contents")
    path = world.root / name
    while time.time_ns() - path.stat().st_ctime_ns < 2 * CLOCK_TICK:
        pass
    return path


def test_what_was_only_read_is_told_of_and_closed_without_a_thread(world: World) -> None:
    put_a_while_ago(world, "file")
    opened = world.open("file", access=Access.READ)
    query = do.QueryFile(opened.handle)
    assert world.files.try_query(query) == world.files.query(query) == opened.stat
    assert world.files.try_close(do.CloseFile(opened.handle)) == opened.stat
    assert refused(world.files.query, query) == "STATUS_FILE_CLOSED"
    again = world.open("file", access=Access.NONE)
    assert world.files.try_close(do.CloseFile(again.handle, tells=False)) is None
    assert len(world.files) == 0


def test_what_has_changed_since_is_asked_of_the_disk(world: World) -> None:
    path = put_a_while_ago(world, "file")
    opened = world.open("file", access=Access.READ)
    query = do.QueryFile(opened.handle)
    assert world.files.try_query(query) is not LATER
    writer = world.open("file")
    world.files.set(do.SetFile(writer.handle, attributes=FILE_ATTRIBUTE_HIDDEN, creation_time=FILETIME_2000))
    world.close(writer)
    assert world.files.try_query(query) is LATER
    assert world.files.try_close(do.CloseFile(opened.handle)) is LATER
    told = world.close(opened)
    assert (told.attributes, told.creation_time) == (FILE_ATTRIBUTE_HIDDEN, FILETIME_2000)
    just_now = world.open("file", access=Access.READ)
    path.write_bytes(b"longer than it was")
    assert world.files.try_query(do.QueryFile(just_now.handle)) is LATER


def test_what_has_just_changed_is_not_taken_for_known(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put_a_while_ago(world, "file")
    now = path.stat().st_ctime_ns + CLOCK_TICK // 2  # another change might be given the same time
    monkeypatch.setattr("lanman.net.disk.files.time.time_ns", lambda: now)
    opened = world.open("file", access=Access.READ)
    assert world.files.try_query(do.QueryFile(opened.handle)) is LATER
    assert world.files.try_close(do.CloseFile(opened.handle)) is LATER
    assert world.files.try_close(do.CloseFile(opened.handle, tells=False)) is None


def test_what_may_have_to_wait_is_not_closed_without_a_thread(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put_a_while_ago(world, "file")

    def later(opened: Opened, *, delete: bool = False) -> bool:
        return world.files.try_close(do.CloseFile(opened.handle, delete, tells=False)) is LATER

    reader, writer = world.open("file", access=Access.READ), world.open("file")
    assert later(writer), "what was written is still to be put somewhere"
    assert later(reader), "and some file systems do that at the first close, whoever's it is"
    world.close(writer)
    assert later(reader, delete=True)
    user = world.files.take(reader.handle)
    assert later(reader), "it is in use"
    world.files.put_back(user)
    path.unlink()
    assert later(reader), "all that it takes is freed with its last handle"
    world.close(reader)
    assert later(world.create("new", access=Access.READ)), "a handle that creates a file can write to it"
    monkeypatch.setattr("lanman.net.disk.system._TELL_AT_ONCE", frozenset())
    elsewhere = World(world.root)
    opened = elsewhere.open("new", access=Access.READ)
    assert elsewhere.files.try_query(do.QueryFile(opened.handle)) is LATER
    assert elsewhere.files.try_close(do.CloseFile(opened.handle, tells=False)) is LATER
    elsewhere.close(opened)


def test_eight_mebibytes_at_once(world: World) -> None:
    data = os.urandom(8 * 1024 * 1024)
    opened = world.create("large", data=data)
    assert bytes(world.files.read(do.ReadFile(opened.handle, 0, len(data)))) == data


def test_a_handle_that_cannot_write(world: World) -> None:
    world.put("file", data=b"kept")
    opened = world.open("file", access=Access.READ)
    assert refused(world.files.write, do.WriteFile(opened.handle, 0, b"x")) == "STATUS_ACCESS_DENIED"
    named = world.open("file", access=Access.NONE)
    assert refused(world.files.read, do.ReadFile(named.handle, 0, 1)) == "STATUS_ACCESS_DENIED"
    world.files.flush(do.FlushFile(named.handle))


@pytest.mark.parametrize("offset", [-1, 1 << 63, 1 << 64])
def test_offsets_that_no_file_has(world: World, offset: int) -> None:
    opened = world.create("file")
    with pytest.raises((OSError, OverflowError)):
        world.files.read(do.ReadFile(opened.handle, offset, 1))
    with pytest.raises((OSError, OverflowError)):
        world.files.write(do.WriteFile(opened.handle, offset, b"x"))


def test_overwriting(world: World) -> None:
    world.put("file", data=b"old")
    opened = world.open("file", access=Access.READ)
    after = world.files.overwrite(do.OverwriteFile(opened.handle, FILE_ATTRIBUTE_HIDDEN))
    assert (after.size, after.attributes) == (0, FILE_ATTRIBUTE_HIDDEN | FILE_ATTRIBUTE_ARCHIVE)
    assert (world.root / "file").read_bytes() == b""


@pytest.mark.parametrize("kernel", [True, False])
@pytest.mark.parametrize(("source", "target"), [(0, 5_000_000), (0, 100), (100, 0)])
def test_copying_on_the_server(
    world: World, monkeypatch: pytest.MonkeyPatch, source: int, target: int, kernel: bool
) -> None:
    if not kernel:
        monkeypatch.delattr(os, "copy_file_range", raising=False)
    data = os.urandom(3_000_000)
    opened = world.create("file", data=data)
    size = len(data) - source
    copied = world.files.copy(do.CopyFileRange(opened.handle, source, opened.handle, target, size))
    assert copied == size
    expected = bytearray(max(len(data), target + size))
    expected[: len(data)] = data
    expected[target : target + size] = data[source:]
    assert (world.root / "file").read_bytes() == bytes(expected)


def test_copying_more_than_there_is(world: World) -> None:
    opened, other = world.create("file", data=b"0123456789"), world.create("other")
    assert world.files.copy(do.CopyFileRange(opened.handle, 4, other.handle, 2, 100)) == 6
    assert (world.root / "other").read_bytes() == b"\0\x00456789"


# --- what is known about a file ---


def test_times_and_sizes(world: World) -> None:
    opened = world.create("file", data=b"12345")
    after = world.files.set(
        do.SetFile(
            opened.handle,
            end_of_file=100,
            creation_time=FILETIME_2000,
            last_access_time=FILETIME_2000 + 1,
            last_write_time=FILETIME_2000 + 2,
        )
    )
    assert after.size == 100
    assert after.creation_time == FILETIME_2000
    assert after.last_access_time == FILETIME_2000 + 1
    assert after.last_write_time == FILETIME_2000 + 2
    assert after.attributes == FILE_ATTRIBUTE_ARCHIVE
    assert after == world.files.look_up(do.LookUp(str(world.root), ("FILE",)))
    assert world.files.set(do.SetFile(opened.handle, allocation=3)).size == 3
    asked = world.files.set(do.SetFile(opened.handle, allocation=1 << 20))
    assert (asked.size, asked.allocation) == (3, 4096 if asked.allocation else 0), "nothing is reserved"


def test_sizes_are_set_by_handles_that_cannot_write(world: World) -> None:
    world.put("file", data=b"12345")
    opened = world.open("file", access=Access.NONE)
    assert world.files.set(do.SetFile(opened.handle, end_of_file=2)).size == 2


def test_attributes_are_kept_beside_the_file(world: World) -> None:
    opened = world.create("file", data=b"x", attributes=FILE_ATTRIBUTE_SYSTEM)
    assert opened.stat.attributes == FILE_ATTRIBUTE_SYSTEM | FILE_ATTRIBUTE_ARCHIVE
    hidden = FILE_ATTRIBUTE_HIDDEN | FILE_ATTRIBUTE_READONLY
    assert world.files.set(do.SetFile(opened.handle, attributes=hidden)).attributes == hidden
    assert os.stat(world.root / "file").st_mode & 0o222 == 0, "local programs see that it is read-only"
    assert (
        world.files.set(do.SetFile(opened.handle, attributes=hidden, creation_time=FILETIME_2000)).attributes == hidden
    )
    after = world.files.set(do.SetFile(opened.handle, attributes=FILE_ATTRIBUTE_NORMAL))
    assert after.attributes == FILE_ATTRIBUTE_NORMAL
    assert after.creation_time == FILETIME_2000
    assert os.stat(world.root / "file").st_mode & 0o200
    entry = world.files.list(do.ListDirectory(world.open(access=Access.READ).handle, 10_000)).entries[0]
    assert entry.stat == after
    os.chmod(world.root / "file", 0o444)
    assert world.files.query(do.QueryFile(opened.handle)).attributes & FILE_ATTRIBUTE_READONLY


def test_names_with_a_dot_are_hidden_until_somebody_says_otherwise(world: World) -> None:
    opened = world.create(".profile", attributes=FILE_ATTRIBUTE_ARCHIVE)
    assert opened.stat.attributes == FILE_ATTRIBUTE_HIDDEN | FILE_ATTRIBUTE_ARCHIVE
    after = world.files.set(do.SetFile(opened.handle, attributes=FILE_ATTRIBUTE_ARCHIVE))
    assert after.attributes == FILE_ATTRIBUTE_ARCHIVE


def test_what_others_wrote_into_our_attribute_is_nothing_to_us(world: World) -> None:
    opened = world.create("file")
    for nonsense in (b"", b"x", bytes(16), b"\x02" + bytes(15), b"\xff" * 100):
        os.setxattr(world.root / "file", "user.lanman.dos", nonsense)
        assert world.files.query(do.QueryFile(opened.handle)).attributes == FILE_ATTRIBUTE_ARCHIVE
    os.setxattr(world.root / "file", "user.lanman.dos", b"\x01" + b"\xff" * 15)
    assert world.files.query(do.QueryFile(opened.handle)).attributes & ~do.SETTABLE_ATTRIBUTES == 0


def test_the_volume(world: World) -> None:
    volume = world.files.volume(do.QueryVolume(world.open().handle))
    assert volume.total >= volume.free >= volume.available > 0
    assert volume.block_size > 0
    assert not volume.read_only


# --- names ---


def test_renaming(world: World) -> None:
    world.close(world.create("folder", kind=Kind.DIRECTORY))
    opened, other = world.create("file", data=b"x"), world.open("FILE")
    assert world.files.rename(do.RenameFile(opened.handle, ("FOLDER", "New"))) == ("folder", "New")
    assert sorted(os.listdir(world.root / "folder")) == ["New"]
    # Both handles were found by the old name: either of them now means the new one.
    assert world.files.rename(do.RenameFile(other.handle, ("folder", "nEW"))) == ("folder", "nEW")
    assert world.files.rename(do.RenameFile(other.handle, ("folder", "nEW"))) == ("folder", "nEW")
    world.close(opened, delete=True)
    assert os.listdir(world.root / "folder") == []
    assert bytes(world.files.read(do.ReadFile(other.handle, 0, 10))) == b"x"
    assert refused(world.close, other, delete=True) == "STATUS_OBJECT_NAME_NOT_FOUND"


def test_renaming_onto_something(world: World) -> None:
    world.put("Target", data=b"old")
    world.close(world.create("folder", kind=Kind.DIRECTORY))
    opened = world.create("file", data=b"new")
    rename = world.files.rename
    assert refused(rename, do.RenameFile(opened.handle, ("target",))) == "STATUS_OBJECT_NAME_COLLISION"
    assert refused(rename, do.RenameFile(opened.handle, ("folder",), replace=True)) == "STATUS_ACCESS_DENIED"
    assert refused(rename, do.RenameFile(opened.handle, ("nothing", "x"))) == "STATUS_OBJECT_PATH_NOT_FOUND"
    assert refused(rename, do.RenameFile(opened.handle, ("..", "x"))) == "STATUS_OBJECT_NAME_INVALID"
    assert refused(rename, do.RenameFile(opened.handle, ())) == "STATUS_OBJECT_NAME_INVALID"
    assert rename(do.RenameFile(opened.handle, ("target",), replace=True)) == ("target",)
    assert world.names() == ["folder", "target"]
    assert (world.root / "target").read_bytes() == b"new"


def test_renaming_one_name_of_a_file_onto_another(world: World) -> None:
    opened = world.create("file", data=b"x")
    os.link(world.root / "file", world.root / "second")
    assert world.files.query(do.QueryFile(opened.handle)).links == 2
    assert world.files.rename(do.RenameFile(opened.handle, ("second",), replace=True)) == ("second",)
    assert world.names() == ["second"]


def test_a_directory_that_is_renamed_takes_along_what_is_open_in_it(world: World) -> None:
    folder = world.create("folder", kind=Kind.DIRECTORY)
    opened = world.create("folder", "file")
    world.files.rename(do.RenameFile(folder.handle, ("moved",)))
    world.close(opened, delete=True)
    assert os.listdir(world.root / "moved") == []
    assert refused(world.files.rename, do.RenameFile(folder.handle, ("moved", "below"))) == "STATUS_INVALID_PARAMETER"


def test_deleting(world: World) -> None:
    folder = world.create("folder", kind=Kind.DIRECTORY)
    inside = world.create("folder", "file")
    for path, deletable in (((), False), (("folder",), False), (("folder", "file"), True)):
        for to_delete in (True, False):
            opened = world.open(*path, to_delete=to_delete)
            assert opened.deletable == (deletable and to_delete)
            world.close(opened)
    assert refused(world.files.check_deletable, do.CheckDeletable(folder.handle)) == "STATUS_DIRECTORY_NOT_EMPTY"
    world.files.check_deletable(do.CheckDeletable(inside.handle))
    assert world.close(inside, delete=True).links == 0
    world.files.check_deletable(do.CheckDeletable(folder.handle))
    world.close(folder, delete=True)
    assert os.listdir(world.root) == []


def test_deleting_a_directory_that_has_filled_up(world: World) -> None:
    folder = world.create("folder", kind=Kind.DIRECTORY)
    world.put("folder", "file")
    assert refused(world.close, folder, delete=True) == "STATUS_DIRECTORY_NOT_EMPTY"
    assert refused(world.close, folder) == "STATUS_FILE_CLOSED", "the handle is gone all the same"


def test_somebody_elses_file_of_that_name_is_not_deleted(world: World) -> None:
    opened = world.create("file")
    os.rename(world.root / "file", world.root / "kept")
    (world.root / "file").write_text("another")
    assert refused(world.files.rename, do.RenameFile(opened.handle, ("x",))) == "STATUS_OBJECT_NAME_NOT_FOUND"
    assert refused(world.close, opened, delete=True) == "STATUS_OBJECT_NAME_NOT_FOUND"
    assert world.names() == ["file", "kept"]


# --- directories ---


def test_listing_goes_on_where_it_was(world: World) -> None:
    expected = {f"file number {number}" for number in range(500)}
    for name in expected:
        (world.root / name).touch()
    opened = world.open(access=Access.READ)
    seen: list[str] = []
    for turn in range(2):
        seen.clear()
        listing = world.files.list(do.ListDirectory(opened.handle, 1500, restart=turn == 1))
        while not listing.last:
            assert 1 <= len(listing.entries) <= 15
            seen += [entry.name for entry in listing.entries]
            listing = world.files.list(do.ListDirectory(opened.handle, 1500))
        seen += [entry.name for entry in listing.entries]
        assert len(seen) == len(expected)
        assert set(seen) == expected
    assert world.files.list(do.ListDirectory(opened.handle, 1500)).last


def test_listing_chooses(world: World) -> None:
    for name in ("a.txt", "b.txt", "c.doc"):
        (world.root / name).write_text(name)
    assert world.names(wanted=lambda name: name.endswith(".txt")) == ["a.txt", "b.txt"]
    opened = world.open(access=Access.READ)
    bare = world.files.list(do.ListDirectory(opened.handle, 10_000, details=False))
    assert all(entry.stat is None for entry in bare.entries)
    full = world.files.list(do.ListDirectory(opened.handle, 10_000, restart=True))
    for entry in full.entries:
        assert entry.stat == world.files.look_up(do.LookUp(str(world.root), (entry.name,)))


def test_listing_what_is_no_directory(world: World) -> None:
    opened = world.create("file")
    assert refused(world.files.list, do.ListDirectory(opened.handle, 100)) == "STATUS_INVALID_PARAMETER"


# --- disks that say no ---


def test_a_file_system_that_is_full(world: World) -> None:
    """RLIMIT_FSIZE says so for one process alone."""
    code = f"""
import resource, sys
from lanman.net.disk.files import Files
from lanman.net.disk.folders import Folder
from lanman.net.disk.system import status_of
from lanman.fscc.attributes import *
from lanman.server.disk_effects import *
from lanman.smb2.constants import FILE_CREATE
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
files = Files(10)
opened = files.open(OpenFile({str(world.root)!r}, ("file",), Access.WRITE, FILE_CREATE))
try:
    files.write(WriteFile(opened.handle, 0, bytes(2000)))
except OSError as error:
    print(status_of(error))
"""
    assert int(run(code)) == codes.STATUS_DISK_FULL


@pytest.mark.root
def test_a_tmpfs_that_is_full(world: World, tmp_path: Path) -> None:
    small = world.root / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(small)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs root to mount a small file system")
    try:
        opened = world.create("small", "file")  # what is mounted inside a share belongs to it
        assert refused(world.files.write, do.WriteFile(opened.handle, 0, bytes(200_000))) == "STATUS_DISK_FULL"
        assert refused(world.files.set, do.SetFile(opened.handle, allocation=1 << 30)) == "STATUS_DISK_FULL"
        assert refused(world.create, "small", "big", allocation=1 << 30) == "STATUS_DISK_FULL"
        assert world.names("small") == ["file"], "what could not be created as asked for is not left half made"
        other = world.create("other")
        rename = do.RenameFile(other.handle, ("small", "other"))
        assert refused(world.files.rename, rename) == "STATUS_NOT_SAME_DEVICE"
        subprocess.run(["mount", "-o", "remount,ro", str(small)], check=False, capture_output=True)
        world.close(opened)
        world.files.close_all()
        subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
        assert refused(world.create, "small", "new") == "STATUS_MEDIA_WRITE_PROTECTED"
        reader = world.open("small", "file", access=Access.READ, maximum_allowed=True)
        assert reader.access == Access.READ
        checked = do.CheckDeletable(reader.handle)
        assert refused(world.files.check_deletable, checked) == "STATUS_MEDIA_WRITE_PROTECTED"
    finally:
        world.files.close_all()
        subprocess.run(["umount", str(small)], check=True)


def _populate(root: Path) -> None:
    for name, mode in (("secret", 0o600), ("public", 0o644)):
        (root / name).write_text("x")
        os.chmod(root / name, mode)
    (root / "locked").mkdir(mode=0o700)


_ORDINARY_USER = """
import os
import random
from lanman import codes
from lanman.errors import LanmanError
from lanman.net.disk.files import Files
from lanman.net.disk.folders import Folder
from lanman.net.disk.system import DiskRefused, check_platform, status_of
from lanman.fscc.attributes import *
from lanman.server.disk_effects import *
from lanman.smb2.constants import FILE_CREATE

os.setgroups([])
os.setgid(65534)
os.setuid(65534)
files = Files(10)
def attempt(*path, **more):
    try:
        opened = files.open(OpenFile(ROOT, path, maximal=True, **more))
        print(opened.access.value, opened.maximal.value)
        return opened
    except OSError as error:
        print(codes.ntstatus_name(status_of(error)))
    except DiskRefused as error:
        print(codes.ntstatus_name(error.status))
attempt("secret", access=Access.READ)
attempt("secret")
attempt("public", access=Access.READ)
attempt("public", access=Access.WRITE)
attempt("public", maximum_allowed=True)
attempt("locked", "x")
attempt("new", disposition=FILE_CREATE)
opened = attempt("public")
for action in (lambda: files.set(SetFile(opened.handle, attributes=FILE_ATTRIBUTE_HIDDEN)),
               lambda: files.set(SetFile(opened.handle, end_of_file=0)),
               lambda: files.check_deletable(CheckDeletable(opened.handle)),
               lambda: files.overwrite(OverwriteFile(opened.handle))):
    try:
        action()
        print("done")
    except OSError as error:
        print(codes.ntstatus_name(status_of(error)))
    except DiskRefused as error:
        print(codes.ntstatus_name(error.status))
"""

_DENIED = "STATUS_ACCESS_DENIED"
_EXPECTED = [_DENIED, "0", "0", "1", "1", _DENIED, "1", "1", *[_DENIED] * 2, "0", "1", *[_DENIED] * 4]


@pytest.mark.root
@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become somebody else")
def test_what_the_process_may_not_do() -> None:
    """As an ordinary user, after having been root: root is told no by no permission."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.chmod(root, 0o755)
        _populate(root)
        assert run(_ORDINARY_USER.replace("ROOT", repr(folder))).split() == _EXPECTED


_OWNER_OF_A_READ_ONLY_FILE = """
import os
from lanman.net.disk.files import Files
from lanman.net.disk.folders import Folder
from lanman.fscc.attributes import *
from lanman.server.disk_effects import *
from lanman.smb2.constants import FILE_CREATE
os.setgroups([]); os.setgid(1); os.setuid(1)
files = Files(10)
opened = files.open(OpenFile(ROOT, ("file",), Access.WRITE, FILE_CREATE))
for wanted in (FILE_ATTRIBUTE_READONLY, FILE_ATTRIBUTE_READONLY | FILE_ATTRIBUTE_HIDDEN):
    after = files.set(SetFile(opened.handle, attributes=wanted, creation_time=TIME))
    print(after.attributes == wanted, after.creation_time == TIME, oct(os.stat(ROOT + "/file").st_mode & 0o222))
"""


@pytest.mark.root
def test_a_read_only_file_stays_so_while_its_attributes_change() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        code = _OWNER_OF_A_READ_ONLY_FILE.replace("ROOT", repr(folder)).replace("TIME", str(FILETIME_2000))
        assert run(code).split() == ["True", "True", "0o0"] * 2


def test_what_was_flushed_survives(world: World) -> None:
    code = f"""
import os, signal
from lanman.net.disk.files import Files
from lanman.net.disk.folders import Folder
from lanman.fscc.attributes import *
from lanman.server.disk_effects import *
from lanman.smb2.constants import FILE_CREATE
files = Files(10)
opened = files.open(OpenFile({str(world.root)!r}, ("file",), Access.WRITE, FILE_CREATE))
files.write(WriteFile(opened.handle, 0, b"x" * 1000000))
files.flush(FlushFile(opened.handle))
os.write(1, b"flushed")
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert killed.stdout == b"flushed", killed.stderr.decode()
    assert killed.returncode == -9
    assert (world.root / "file").read_bytes() == b"x" * 1_000_000


def run(code: str) -> str:
    """What a Python of its own prints."""
    finished = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_every_error_has_a_status() -> None:
    assert status_of(OSError(errno.ENOSPC, "")) == codes.STATUS_DISK_FULL
    assert status_of(OSError(errno.EDQUOT, "")) == codes.STATUS_DISK_FULL
    assert status_of(OSError(errno.EMFILE, "")) == codes.STATUS_TOO_MANY_OPENED_FILES
    assert status_of(OSError(errno.EROFS, "")) == codes.STATUS_MEDIA_WRITE_PROTECTED
    assert status_of(OSError(errno.EIO, "")) == codes.STATUS_IO_DEVICE_ERROR
    assert status_of(OSError("unheard of")) == codes.STATUS_IO_DEVICE_ERROR


def test_no_descriptors_left(world: World) -> None:
    world.put("file")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    holes: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors() + 20, hard))
    try:
        with pytest.raises(OSError):  # noqa: PT012 - the last one of these is to fail
            while True:
                holes.append(os.open(world.root, os.O_RDONLY))
        assert refused(world.open, "file") == "STATUS_TOO_MANY_OPENED_FILES"
    finally:
        for hole in holes:
            os.close(hole)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert world.open("file").path == ("file",)


def test_a_system_without_directory_handles_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "supports_dir_fd", set())
    with pytest.raises(LanmanError, match="openat"):
        check_platform()


def test_an_empty_file_takes_no_room_whatever_is_kept_beside_it(world: World) -> None:
    """ext4 counts the block of its extended attributes; clients of smbtorture take it for contents."""
    opened = world.create("empty")
    path = world.root / "empty"
    try:
        os.setxattr(path, "user.big", bytes(3000))
    except OSError:
        pytest.skip("only on file systems with extended attributes")
    assert world.files.query(do.QueryFile(opened.handle)).allocation == 0


def test_an_allocation_that_no_disk_has(world: World) -> None:
    opened = world.create("file")
    for size in ((1 << 63) - 1, 1 << 63, (1 << 64) - 1):
        assert refused(world.files.set, do.SetFile(opened.handle, allocation=size)) == "STATUS_DISK_FULL"


def test_many_threads_at_once_leave_nothing_behind(world: World) -> None:
    names = ("a", "B", "c")
    for name in names:
        (world.root / name).mkdir()
    mistakes: list[BaseException] = []

    def play(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(150):
            path = (chance.choice(names).swapcase(), chance.choice("xyXY"))
            try:
                opened = world.open(*path, disposition=FILE_OPEN_IF, access=chance.choice([Access.NONE, READ_WRITE]))
                try:
                    target = (chance.choice(names), chance.choice("xyzXYZ"))
                    world.files.rename(do.RenameFile(opened.handle, target, replace=True))
                    world.files.overwrite(do.OverwriteFile(opened.handle, FILE_ATTRIBUTE_HIDDEN))
                    world.files.query(do.QueryFile(opened.handle))
                finally:
                    world.close(opened, delete=chance.random() < 0.5)
            except (DiskRefused, OSError) as error:
                status = error.status if isinstance(error, DiskRefused) else status_of(error)
                if status not in (codes.STATUS_OBJECT_NAME_NOT_FOUND, codes.STATUS_OBJECT_NAME_COLLISION):
                    mistakes.append(error)
            except BaseException as error:  # noqa: BLE001 - a thread ends here, and the test looks at what it met
                mistakes.append(error)

    threads = [threading.Thread(target=play, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert mistakes == []
    assert len(world.files) == 0
    assert not world.files._places
    assert not world.files._directories
    for name in names:
        left = os.listdir(world.root / name)
        assert len(left) == len({fold(each) for each in left}), "no two names differ in case alone"


@pytest.mark.parametrize("error", [PermissionError(errno.EACCES, "denied"), OSError(errno.ENAMETOOLONG, "too long")])
def test_a_name_that_cannot_be_looked_up_is_not_listed(
    world: World, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    """As in a listing of all, where it is left out: in a folder that may be read and not entered nothing is there."""

    def refuse(self: Folder, directory: int, name: bytes) -> bytes:
        raise error

    folder = world.open(access=Access.READ)
    monkeypatch.setattr(Folder, "look", refuse)
    assert world.files.list(do.ListDirectory(folder.handle, 1000, name="a")) == do.Listing((), last=True)
    error.errno = errno.EIO
    with pytest.raises(OSError, match=r"denied|too long"):
        world.files.list(do.ListDirectory(folder.handle, 1000, name="a"))


# --- what was created, and is taken back


def taken_back(opened: Opened) -> do.CloseFile:
    return do.CloseFile(opened.handle, delete=True, tells=False, unless_shared=True)


def test_what_was_created_is_taken_back(world: World) -> None:
    for kind in (Kind.FILE, Kind.DIRECTORY):
        access = READ_WRITE if kind is Kind.FILE else Access.NONE
        world.files.close(taken_back(world.create("new", kind=kind, access=access)))
        assert world.names() == []


@pytest.mark.parametrize("closed", [False, True])
def test_it_is_not_once_another_has_found_it(world: World, closed: bool) -> None:
    created, found = world.create("new"), world.open("NEW", access=Access.READ)
    if closed:
        world.close(found)
    world.files.close(taken_back(created))
    assert world.names() == ["new"]


def test_it_is_not_once_it_has_contents(world: World) -> None:
    created = world.create("new")
    (world.root / "new").write_bytes(b"of another program")
    world.files.close(taken_back(created))
    assert (world.root / "new").read_bytes() == b"of another program"


def test_it_is_not_where_it_was_opened_before_it_had_a_handle(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    register, found = Files._register, list[Opened]()

    def late(files: Files, *args: Any, created: bool) -> Opened:
        if created:
            found.append(world.open("new"))
        return register(files, *args, created=created)

    monkeypatch.setattr(Files, "_register", late)
    world.files.close(taken_back(world.create("new")))
    world.files.write(do.WriteFile(found[0].handle, 0, b"kept"))
    assert (world.root / "new").read_bytes() == b"kept"


@pytest.mark.parametrize("disposition", [FILE_OPEN, FILE_OPEN_IF])
def test_who_finds_it_while_it_is_taken_back_looks_again(
    world: World, monkeypatch: pytest.MonkeyPatch, disposition: int
) -> None:
    """The other has found the name when it begins to go, and comes by its place before or after it has gone."""
    unlink, waits = Files._unlink, threading.Event()

    def slow(folder: Folder, parent: int, name: bytes, *, directory: bool) -> None:
        assert waits.wait(10), "the other has come"
        unlink(folder, parent, name, directory=directory)

    created = world.create("new")
    find = Folder.find
    threads: list[threading.Thread] = []

    def found_then_taken_back(folder: Folder, *args: Any, **more: Any) -> Any:
        found = find(folder, *args, **more)
        if not threads:
            threads.append(threading.Thread(target=world.files.close, args=(taken_back(created),)))
            threads[0].start()
            while not world.files._going:
                assert threads[0].is_alive()
        return found

    place = Files._place

    def then_gone(files: Files, *args: Any, **more: Any) -> Any:
        waits.set()
        return place(files, *args, **more)

    monkeypatch.setattr(Files, "_unlink", staticmethod(slow))
    monkeypatch.setattr(Folder, "find", found_then_taken_back)
    monkeypatch.setattr(Files, "_place", then_gone)
    if disposition == FILE_OPEN:
        assert refused(world.open, "new") == "STATUS_OBJECT_NAME_NOT_FOUND"
        assert world.names() == []
    else:
        again = world.open("new", disposition=FILE_OPEN_IF)
        assert again.created
        world.files.write(do.WriteFile(again.handle, 0, b"theirs"))
        assert (world.root / "new").read_bytes() == b"theirs"
    threads[0].join()


def test_who_comes_by_it_when_it_has_gone_looks_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    created, place = world.create("new"), Files._place
    taken = [taken_back(created)]

    def late(files: Files, *args: Any, **more: Any) -> Any:
        while taken:
            files.close(taken.pop())
        return place(files, *args, **more)

    monkeypatch.setattr(Files, "_place", late)
    again = world.open("new", disposition=FILE_OPEN_IF)
    assert again.created
    assert again.stat.links == 1
    assert len(world.files) == 1


@pytest.mark.parametrize("found_first", [False, True])
def test_what_lacks_what_was_asked_for_stays_if_another_has_it(
    world: World, monkeypatch: pytest.MonkeyPatch, found_first: bool
) -> None:
    found = list[Opened]()

    def full(*args: Any) -> None:
        if found_first:
            found.append(world.open("new"))
            world.files.write(do.WriteFile(found[0].handle, 0, b"theirs"))
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("lanman.net.disk.files.check_room", full)
    with pytest.raises(OSError, match="full"):
        world.create("new", allocation=1)
    assert world.names() == (["new"] if found_first else [])
