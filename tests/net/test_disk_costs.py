"""What small files and large folders cost: how often the system is called for each, which no other load changes."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from lanman.net.disk import system
from lanman.net.disk.files import Files
from lanman.net.disk.guard import Guard
from lanman.server import disk_effects as do
from lanman.server.disk_effects import Access, Kind, OpenFile
from lanman.smb2.constants import FILE_CREATE, FILE_OPEN

pytestmark = pytest.mark.skipif(not system.can_resolve_beneath(), reason="no openat2(2)")

ENTRIES = 3000

# Functions of ours that are one call of the system each, by ctypes; those of the module posix count by themselves.
_BY_CTYPES = frozenset({"statx", "_openat2", "file_system_type", "attribute_at"})
_READS_NAMES = frozenset({"listdir", "scandir"})


def calls(work: Callable[[], object]) -> Counter[str]:
    """How often `work` calls the system, by the names of the calls."""
    counted: Counter[str] = Counter()

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        if event == "c_call" and argument.__module__ == "posix":
            counted[argument.__name__] += 1
        elif event == "call" and frame.f_code.co_name in _BY_CTYPES and frame.f_globals is vars(system):
            counted[frame.f_code.co_name] += 1

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(before)
    for pure in ("fspath", "fsencode", "makedev", "major", "minor"):
        del counted[pure]
    return counted


class World:
    """A share, in the middle of a path of some depth, beside a home that nobody gets into."""

    def __init__(self, directory: Path) -> None:
        self.folder = directory / "a" / "b" / "share"
        (self.folder / "small").mkdir(parents=True)
        (directory / "home").mkdir()
        self.files = Files(limit=100, guard=Guard([directory / "home"]))

    def open(self, *path: str, **more: Any) -> do.Opened:
        return self.files.open(OpenFile(str(self.folder), path, **more))

    def put(self, name: str) -> None:
        """What a client does to put a small file."""
        access = Access.READ | Access.WRITE
        opened = self.open("small", name, access=access, disposition=FILE_CREATE, kind=Kind.FILE, attributes=0x20)
        self.files.write(do.WriteFile(opened.handle, 0, b"contents"))
        self.files.close(do.CloseFile(opened.handle, tells=False))

    def get(self, name: str) -> None:
        opened = self.open("small", name, access=Access.READ, disposition=FILE_OPEN, kind=Kind.FILE)
        self.files.read(do.ReadFile(opened.handle, 0, 100))
        self.files.close(do.CloseFile(opened.handle, tells=False))

    def rename(self, old: str, new: str) -> None:
        opened = self.open("small", old, disposition=FILE_OPEN)
        self.files.rename(do.RenameFile(opened.handle, ("small", new)))
        self.files.close(do.CloseFile(opened.handle, tells=False))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.files.close_all()


@pytest.fixture
def crowded(world: World) -> World:
    for number in range(ENTRIES):
        (world.folder / "small" / f"Entry{number:05}.txt").touch()
    return world


@pytest.mark.parametrize(
    ("what", "most"),
    [
        # The share's folder and the directory in it, and that once more by statx; the name, which is not there; the
        # directory's time before and after the file is made; the file, written; and the three handles are closed.
        (lambda world: world.put("second"), 12),
        (lambda world: world.get("first"), 20),
        (lambda world: world.rename("first", "other"), 26),
    ],
)
def test_a_small_file_costs_few_calls_of_the_system(world: World, what: Callable[[World], None], most: int) -> None:
    world.put("first")
    found = calls(lambda: what(world))
    assert 0 < found.total() <= most, found


def test_what_is_kept_is_asked_of_the_open_file_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = world.open("small", "a", access=Access.READ, disposition=FILE_CREATE, kind=Kind.FILE, attributes=0x22)
    world.files.close(do.CloseFile(opened.handle, tells=False))
    asked: list[object] = []
    really = os.getxattr

    def getxattr(of: int | str, key: str) -> bytes:
        asked.append(of)
        return really(of, key)

    monkeypatch.setattr("os.getxattr", getxattr)
    for access in (Access.READ, Access.WRITE):
        opened = world.open("small", "a", access=access)
        assert world.files.query(do.QueryFile(opened.handle)).attributes == opened.stat.attributes == 0x22
    assert len(asked) == 4
    assert all(isinstance(each, int) for each in asked), "not by way of /proc, which takes three times as long"
    assert (
        world.open("small", "a").stat.attributes == 0x22
    )  # nothing is asked of the file itself where it is only named


def test_a_folder_that_lies_deep_costs_no_more(world: World) -> None:
    deep = World(world.folder / "of" / "another" / "share" / "and" / "more")
    totals = []
    for each in (world, deep):
        each.put("first")
        totals.append(calls(lambda each=each: each.put("second")).total())  # type: ignore[misc]
    deep.files.close_all()
    assert totals[0] == totals[1]


def test_a_name_that_is_looked_for_reads_no_other(crowded: World) -> None:
    folder = crowded.open("small", access=Access.READ)
    all_of_it = {entry.name: entry for entry in everything(crowded, folder.handle)}

    def look() -> None:
        for name in ("Entry00000.txt", "Entry02999.txt"):
            listing = crowded.files.list(do.ListDirectory(folder.handle, 1000, restart=True, name=name))
            assert listing == do.Listing((all_of_it[name],), last=True)

    found = calls(look)
    assert not _READS_NAMES & found.keys(), found
    assert found.total() <= 20, found


def everything(world: World, handle: int) -> list[do.Entry]:
    entries: list[do.Entry] = []
    restart, last = True, False
    while not last:
        listing = world.files.list(do.ListDirectory(handle, 100_000, restart=restart))
        entries += listing.entries
        restart, last = False, listing.last
    return entries


@pytest.mark.parametrize("at_once", [True, False])
def test_a_listing_asks_twice_for_each_name(crowded: World, monkeypatch: pytest.MonkeyPatch, at_once: bool) -> None:
    if not at_once:
        monkeypatch.setattr("lanman.net.disk.attributes.can_get_attribute_at", lambda: False)
    folder = crowded.open("small", access=Access.READ)
    found = calls(lambda: everything(crowded, folder.handle))
    assert found.total() <= 2 * ENTRIES + 20, found


def test_what_is_kept_is_listed_alike_however_it_is_asked_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    if not system.can_get_attribute_at():
        pytest.skip("no getxattrat(2)")
    for name in ("plain", ".dotted", "hidden", "newer", "long", "older"):
        world.put(name)
    opened = world.open("small", "hidden", access=Access.READ | Access.WRITE)
    world.files.set(do.SetFile(opened.handle, attributes=0x2, creation_time=125911584000000000))
    world.files.close(do.CloseFile(opened.handle))
    small = world.folder / "small"
    (small / "link").symlink_to("hidden")
    (small / "nowhere").symlink_to("what is not there")
    os.mkfifo(small / "fifo")
    for name, raw in (("newer", b"\x09" + bytes(40)), ("long", bytes(1000)), ("older", b"\x01" + bytes(15))):
        os.setxattr(small / name, "user.lanman.dos", raw)
    folder = world.open("small", access=Access.READ)
    everything(world, folder.handle)  # which follows links, and so they have been accessed
    at_once = everything(world, folder.handle)
    by_name = {entry.name: entry.stat for entry in at_once}
    assert len(at_once) == 9
    hidden = by_name["hidden"]
    assert hidden is not None
    assert (hidden.attributes, hidden.creation_time) == (0x2, 125911584000000000)
    monkeypatch.setattr("lanman.net.disk.attributes.can_get_attribute_at", lambda: False)
    assert everything(world, folder.handle) == at_once


def test_it_is_found_whatever_its_case_and_the_folder_is_read_once(crowded: World) -> None:
    folder = crowded.open("small", access=Access.READ)

    def look() -> None:
        for number in range(100):
            listing = crowded.files.list(do.ListDirectory(folder.handle, 1000, name=f"ENTRY{number:05}.TXT"))
            assert [entry.name for entry in listing.entries] == [f"Entry{number:05}.txt"]
            missing = do.ListDirectory(folder.handle, 1000, name=f"missing{number}")
            assert crowded.files.list(missing) == do.Listing((), last=True)

    found = calls(look)
    assert sum(found[name] for name in _READS_NAMES) == 1, found


@pytest.mark.parametrize("name", ["..", ".", "a/b", "a\0b", "CON", "x" * 300, ""])
def test_a_name_that_no_file_can_have_is_not_there(world: World, name: str) -> None:
    folder = world.open("small", access=Access.READ)
    assert world.files.list(do.ListDirectory(folder.handle, 1000, name=name)) == do.Listing((), last=True)


def test_renames_in_a_large_folder_read_it_once(crowded: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lanman.net.disk.folders.TRUSTED_FOR", float("inf"))  # however slow this machine is just now

    def work() -> None:
        for number in range(0, 1000, 5):
            crowded.rename(f"Entry{number:05}.txt", f"renamed{number}")

    found = calls(work)
    assert found["listdir"] == 1, found
    assert found["scandir"] <= 1, found  # the home
    assert found.total() <= 200 * 26 + 10, found
