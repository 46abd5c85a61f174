"""Nobody leaves the share: nothing outside is read, written or even told apart from what is not there."""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from lanman import codes
from lanman.fscc.attributes import FILE_ATTRIBUTE_HIDDEN, FILE_ATTRIBUTE_NORMAL, FILE_ATTRIBUTE_READONLY
from lanman.net.disk import files as files_module
from lanman.net.disk import folders, system
from lanman.net.disk.files import Files
from lanman.net.disk.guard import Guard
from lanman.net.disk.system import DiskRefused, status_of
from lanman.server import disk_effects as do
from lanman.server.disk_effects import Access, Kind, Opened, OpenFile
from lanman.smb2.constants import FILE_CREATE, FILE_OPEN_IF, FILE_OVERWRITE, FILE_OVERWRITE_IF, FILE_SUPERSEDE
from support.open_descriptors import open_files

SECRET = b"nobody's business"


class World:
    def __init__(self, tmp_path: Path) -> None:
        self.root = tmp_path / "share"
        self.outside = tmp_path / "outside"
        self.root.mkdir()
        (self.outside / "below").mkdir(parents=True)
        (self.outside / "secret").write_bytes(SECRET)
        self.files = Files(limit=1000)

    def keep_out_of(self, directory: Path) -> None:
        """As the Server keeps its clients out of its home."""
        self.files.close_all()
        self.files = Files(limit=1000, guard=Guard([directory]))

    def open(self, *path: str, **more: Any) -> Opened:
        return self.files.open(OpenFile(str(self.root), path, **more))

    def attempt(self, *path: str, **more: Any) -> str | bytes:
        """What an open comes to: a status, or what can be read."""
        try:
            opened = self.open(*path, access=Access.READ, **more)
        except DiskRefused as error:
            return codes.ntstatus_name(error.status)
        except OSError as error:
            return codes.ntstatus_name(status_of(error))
        try:
            if opened.stat.directory:
                return "a directory"
            return bytes(self.files.read(do.ReadFile(opened.handle, 0, 1000)))
        finally:
            self.files.close(do.CloseFile(opened.handle))

    def names(self, *path: str) -> list[str]:
        opened = self.open(*path, access=Access.READ)
        listing = self.files.list(do.ListDirectory(opened.handle, 100_000))
        self.files.close(do.CloseFile(opened.handle))
        assert listing.last
        return sorted(entry.name for entry in listing.entries)


@pytest.fixture(params=["the kernel follows links", "no link is followed", "without O_PATH"])
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """On systems that can do ever less."""
    if request.param != "the kernel follows links":
        monkeypatch.setattr(folders, "can_resolve_beneath", lambda: False)
    elif not system.can_resolve_beneath():
        pytest.skip("only on kernels with openat2")
    if request.param == "without O_PATH":
        naming = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
        for module in (folders, files_module):
            monkeypatch.setattr(module, "O_PATH", 0)
            monkeypatch.setattr(module, "NAMING", naming)
        monkeypatch.setattr(files_module, "can_reopen", lambda: False)
        monkeypatch.setattr(system, "can_reopen", lambda: False)
    world = World(tmp_path)
    before = open_files()
    yield world
    world.files.close_all()
    assert open_files() <= before
    assert (world.outside / "secret").read_bytes() == SECRET
    assert sorted(os.listdir(world.outside)) == ["below", "secret"]
    assert os.listdir(world.outside / "below") == []


def follows(world: World) -> bool:
    return bool(folders.can_resolve_beneath())  # type: ignore[attr-defined]


def names_nodes(world: World) -> bool:
    """Whether what is neither a file nor a directory can be named: only with O_PATH."""
    return bool(folders.O_PATH)  # type: ignore[attr-defined]


# --- names ---

UPWARDS = ["..", "../outside", "..\\outside", ".", "", "/", "/etc", "a/../..", "..\0", ".\uf029", "\uf029\uf029", ".. "]


@pytest.mark.parametrize("name", UPWARDS)
def test_no_name_leads_upwards(world: World, name: str) -> None:
    opened = world.open("file", disposition=FILE_CREATE)
    (world.root / "folder").mkdir()
    paths: list[tuple[str, ...]] = [(name, "outside", "secret"), ("folder", name, name, "outside", "secret")]
    for path in (*paths, (name,), ("folder", name)):
        assert str(world.attempt(*path)).startswith("STATUS_OBJECT_")
        with pytest.raises((DiskRefused, OSError)):
            world.files.look_up(do.LookUp(str(world.root), path))
    inside = {"folder", "file", ".\uf029", "\uf029\uf029", ".. "}
    paths = [(name, "outside", "new"), (name, "new"), ("folder", name, name, "new")]
    for path in paths:
        with pytest.raises((DiskRefused, OSError)):
            world.files.rename(do.RenameFile(opened.handle, path))
        with pytest.raises((DiskRefused, OSError)):
            world.open(*path, disposition=FILE_CREATE)
        with pytest.raises((DiskRefused, OSError)):
            world.open(*path, disposition=FILE_CREATE, kind=Kind.DIRECTORY)
    assert set(os.listdir(world.root)) <= inside
    assert sorted(os.listdir(world.root.parent)) == ["outside", "share"]


def test_deep_paths(world: World) -> None:
    """Longer than what the kernel takes at once."""
    path: tuple[str, ...] = ()
    for number in range(40):
        path = (*path, f"{number:03}" + "x" * 200)
        opened = world.open(*path, disposition=FILE_CREATE, kind=Kind.DIRECTORY)
        world.files.close(do.CloseFile(opened.handle))
    opened = world.open(*path, "file", disposition=FILE_CREATE)
    world.files.write(do.WriteFile(opened.handle, 0, b"deep"))
    assert world.attempt(*path, "FILE") == b"deep"
    assert world.attempt(*(name.upper() for name in path), "FILE") == b"deep"
    assert world.attempt(*path[:20], "nothing", *path[21:], "file") == "STATUS_OBJECT_PATH_NOT_FOUND"
    moved = world.files.rename(do.RenameFile(opened.handle, (*path[:30], "moved")))
    assert moved == (*path[:30], "moved")
    assert world.names(*path) == []


def test_a_path_of_many_names_that_are_not_there(world: World) -> None:
    assert world.attempt(*("a",) * 16000) == "STATUS_OBJECT_PATH_NOT_FOUND"
    assert world.attempt(*("a",) * 17000) == "STATUS_OBJECT_NAME_INVALID"
    assert world.attempt("x" * 32768) == "STATUS_OBJECT_NAME_INVALID"


# --- links ---


def test_links_that_leave_are_all_alike(world: World) -> None:
    """Whether there is anything where they lead to makes no difference."""
    links = {
        "absolute": str(world.outside / "secret"),
        "absolute-missing": str(world.outside / "missing"),
        "relative": "../outside/secret",
        "relative-missing": "../outside/missing",
        "far": "../" * 50 + "etc/passwd",
        "dangling": "missing",
        "loop": "loop",
        "magic": "/proc/self/root/etc/passwd",
        "into-itself": "../share/missing",
        "device": "/dev/zero",
    }
    for name, target in links.items():
        (world.root / name).symlink_to(target)
    for name in links:
        for disposition in range(6):
            taken = disposition == FILE_CREATE and names_nodes(world)  # it is listed, so the name is
            wanted = "STATUS_OBJECT_NAME_COLLISION" if taken else "STATUS_ACCESS_DENIED"
            assert world.attempt(name, disposition=disposition) == wanted, (name, disposition)
        for path in ((name, "x"), (name.upper(), "x", "y")):
            assert world.attempt(*path) in ("STATUS_ACCESS_DENIED", "STATUS_OBJECT_PATH_NOT_FOUND")
        if names_nodes(world):
            told = world.files.look_up(do.LookUp(str(world.root), (name,)))
            assert (told.size, told.allocation, told.directory) == (0, 0, False)
            assert told.file_id == (world.root / name).lstat().st_ino
        else:
            with pytest.raises(DiskRefused):
                world.files.look_up(do.LookUp(str(world.root), (name,)))
    assert world.names() == sorted(links)


def test_directories_that_are_links_out(world: World) -> None:
    (world.root / "out").symlink_to(world.outside)
    (world.root / "up").symlink_to("../outside")
    (world.root / "gone").symlink_to("../nowhere")
    opened = world.open("file", disposition=FILE_CREATE)
    for name in ("out", "up", "gone"):
        for path in ((name, "secret"), (name, "missing"), (name, "below", "x"), (name, "nowhere", "x"), (name,)):
            assert world.attempt(*path) == "STATUS_ACCESS_DENIED", path
            assert world.attempt(*path, disposition=FILE_OPEN_IF) == "STATUS_ACCESS_DENIED", path
        with pytest.raises(DiskRefused):
            world.open(name, "new", disposition=FILE_CREATE)
        with pytest.raises(DiskRefused):
            world.open(name, "new", disposition=FILE_CREATE, kind=Kind.DIRECTORY)
        with pytest.raises(DiskRefused):
            world.files.rename(do.RenameFile(opened.handle, (name, "new"), replace=True))


def test_links_that_stay_inside(world: World) -> None:
    (world.root / "folder" / "deep").mkdir(parents=True)
    (world.root / "folder" / "file").write_bytes(b"inside")
    (world.root / "to-file").symlink_to("folder/file")
    (world.root / "to-folder").symlink_to("folder/deep/..")
    (world.root / "folder" / "up").symlink_to("../folder/file")
    (world.root / "absolute").symlink_to(world.root / "folder" / "file")
    expected = b"inside" if follows(world) else "STATUS_ACCESS_DENIED"
    assert world.attempt("to-file") == expected
    assert world.attempt("TO-FILE") == expected
    assert world.attempt("to-folder", "file") == expected
    assert world.attempt("TO-FOLDER", "FILE") == expected
    assert world.attempt("folder", "up") == expected
    assert world.attempt("absolute") == expected
    assert world.names() == ["absolute", "folder", "to-file", "to-folder"]
    assert world.names("folder") == ["deep", "file", "up"]
    if follows(world):
        assert world.open("to-file").stat == world.open("folder", "file").stat


def test_a_link_is_deleted_and_moved_itself(world: World) -> None:
    if not follows(world):
        pytest.skip("only on kernels with openat2 is a link ever open")
    (world.root / "folder").mkdir()
    (world.root / "folder" / "file").write_bytes(b"inside")
    (world.root / "link").symlink_to("folder/file")
    (world.root / "directory").symlink_to("folder")
    opened = world.open("link")
    assert world.files.rename(do.RenameFile(opened.handle, ("moved",))) == ("moved",)
    assert (world.root / "moved").is_symlink()
    world.files.close(do.CloseFile(opened.handle, delete=True))
    opened = world.open("directory")
    world.files.check_deletable(do.CheckDeletable(opened.handle))
    world.files.close(do.CloseFile(opened.handle, delete=True))
    assert os.listdir(world.root) == ["folder"]
    assert (world.root / "folder" / "file").read_bytes() == b"inside"


def test_a_link_out_that_takes_the_place_of_what_is_open(world: World) -> None:
    (world.root / "file").write_bytes(b"inside")
    opened = world.open("file", access=Access.READ | Access.WRITE)
    os.unlink(world.root / "file")
    (world.root / "file").symlink_to(world.outside / "secret")
    world.files.overwrite(do.OverwriteFile(opened.handle))
    world.files.set(do.SetFile(opened.handle, end_of_file=5, attributes=FILE_ATTRIBUTE_READONLY))
    world.files.write(do.WriteFile(opened.handle, 0, b"inside"))
    with pytest.raises((DiskRefused, OSError)):
        world.files.rename(do.RenameFile(opened.handle, ("new",)))
    with pytest.raises((DiskRefused, OSError)):
        world.files.close(do.CloseFile(opened.handle, delete=True))


def test_a_folder_may_itself_be_reached_over_a_link(world: World) -> None:
    (world.root / "file").write_bytes(b"inside")
    link = world.root.with_name("link")
    link.symlink_to(world.root)
    world.root = link
    assert world.attempt("file") == b"inside"


# --- what is neither a file nor a directory ---


def test_special_files_are_not_touched(world: World) -> None:
    os.mkfifo(world.root / "fifo")
    listening = socket.socket(socket.AF_UNIX)
    with listening:
        current = os.getcwd()
        os.chdir(world.root)
        try:
            listening.bind("socket")
        finally:
            os.chdir(current)
        special = ["fifo", "socket"]
        with suppress(PermissionError):
            os.mknod(world.root / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
            os.mknod(world.root / "disk", stat.S_IFBLK | 0o666, os.makedev(253, 250))
            special += ["zero", "disk"]
        (world.root / "to-fifo").symlink_to("fifo")
        special.append("to-fifo")
        for name in special:
            for access in (Access.READ, Access.WRITE):
                with pytest.raises(DiskRefused) as refused:
                    world.open(name, access=access)
                assert refused.value.status == codes.STATUS_ACCESS_DENIED
            for disposition in (FILE_OVERWRITE, FILE_OVERWRITE_IF, FILE_SUPERSEDE):
                with pytest.raises(DiskRefused):
                    world.open(name, disposition=disposition)
            assert world.attempt(name, "below") in ("STATUS_OBJECT_PATH_NOT_FOUND", "STATUS_ACCESS_DENIED")
        assert world.names() == sorted(special)
        if not names_nodes(world):
            return
        for name in special:
            opened = world.open(name, maximum_allowed=True, maximal=True)
            assert (opened.access, opened.maximal, opened.stat.size) == (Access.NONE, Access.NONE, 0)
            files, handle = world.files, opened.handle
            actions: list[tuple[Any, Any]] = [
                (files.read, do.ReadFile(handle, 0, 1)),
                (files.write, do.WriteFile(handle, 0, b"x")),
                (files.set, do.SetFile(handle, end_of_file=0)),
                (files.set, do.SetFile(handle, attributes=FILE_ATTRIBUTE_HIDDEN)),
                (files.set, do.SetFile(handle, attributes=FILE_ATTRIBUTE_READONLY)),
                (files.set, do.SetFile(handle, last_write_time=1 << 56)),
                (files.set, do.SetFile(handle, allocation=0)),
                (files.overwrite, do.OverwriteFile(handle)),
            ]
            for perform, effect in actions:
                with pytest.raises((DiskRefused, OSError)):
                    perform(effect)
            # smbprotocol, and others, take READONLY off whatever they delete.
            before = os.lstat(world.root / name)
            files.set(do.SetFile(handle, attributes=FILE_ATTRIBUTE_NORMAL))
            assert os.lstat(world.root / name).st_ctime_ns == before.st_ctime_ns
            world.files.flush(do.FlushFile(opened.handle))
            assert world.files.volume(do.QueryVolume(opened.handle)).total
            world.files.close(do.CloseFile(opened.handle))
        for name in special:
            for access in (Access.NONE, Access.READ | Access.WRITE):
                with pytest.raises(DiskRefused) as refused:
                    world.open(name, disposition=FILE_CREATE, access=access)
                assert refused.value.status == codes.STATUS_OBJECT_NAME_COLLISION


def test_what_cannot_be_read_is_renamed_and_deleted_itself(world: World) -> None:
    """Or the folder that it is in could never go."""
    if not names_nodes(world):
        pytest.skip("only on systems with O_PATH can a link or a FIFO be named without being opened")
    folder = world.root / "folder"
    folder.mkdir()
    links = {
        "out": str(world.outside / "secret"),
        "out-directory": str(world.outside / "below"),
        "up": "../../outside/secret",
        "dangling": "missing",
        "loop": "loop",
        "magic": "/proc/self/root/etc/passwd",
    }
    for name, target in links.items():
        (folder / name).symlink_to(target)
    os.mkfifo(folder / "fifo")
    for name in [*links, "fifo"]:
        opened = world.open("folder", name.upper())
        assert world.files.rename(do.RenameFile(opened.handle, ("folder", name + "-moved"))) == (
            "folder",
            f"{name}-moved",
        )
        world.files.check_deletable(do.CheckDeletable(opened.handle))
        if name in links:
            assert os.readlink(folder / f"{name}-moved") == links[name]
        world.files.close(do.CloseFile(opened.handle, delete=True))
    opened = world.open("folder")
    world.files.check_deletable(do.CheckDeletable(opened.handle))
    world.files.close(do.CloseFile(opened.handle, delete=True))
    assert os.listdir(world.root) == []


def test_a_link_out_is_replaced_itself(world: World) -> None:
    (world.root / "out").symlink_to(world.outside / "secret")
    opened = world.open("file", disposition=FILE_CREATE)
    world.files.rename(do.RenameFile(opened.handle, ("out",), replace=True))
    assert not (world.root / "out").is_symlink()
    assert world.names() == ["out"]


def test_absolute_links_inside(world: World) -> None:
    if not follows(world):
        pytest.skip("only on kernels with openat2 is a link followed")
    root = world.root
    (root / "folder" / "deep").mkdir(parents=True)
    (root / "folder" / "file").write_bytes(b"inside")
    (root / "to-root").symlink_to(root)
    (root / "to-folder").symlink_to(f"{root}//./folder/")
    (root / "by-two").symlink_to(root / "to-folder" / "file")
    (root / "folder" / "relative").symlink_to("../to-folder/file")
    (root / "folder" / "deep" / "dots").symlink_to(f"{root}/folder/deep/../../to-folder/relative")
    for path in (("to-root", "folder", "file"), ("to-root", "to-root", "TO-FOLDER", "file"), ("to-folder", "file"),
                 ("by-two",), ("BY-TWO",), ("folder", "relative"), ("to-folder", "deep", "dots")):  # fmt: skip
        assert world.attempt(*path) == b"inside", path
    assert world.names("to-folder") == ["deep", "file", "relative"]
    opened = world.open("to-folder", "new", disposition=FILE_CREATE)
    assert opened.path == ("to-folder", "new")
    world.files.rename(do.RenameFile(opened.handle, ("to-root", "moved")))
    assert (root / "moved").exists()
    alias = root.with_name("alias")
    alias.symlink_to(root)
    (root / "by-alias").symlink_to(alias / "folder" / "file")
    assert world.attempt("by-alias") == "STATUS_ACCESS_DENIED", "not by a name that is not the share's"
    world.root = alias
    assert world.attempt("by-alias") == b"inside"
    assert world.attempt("by-two") == b"inside", "by its real name, too"


def test_absolute_links_that_only_begin_inside(world: World) -> None:
    (world.root / "folder").mkdir()
    (world.root / "abroad").symlink_to(world.outside)
    links = {
        "dots": f"{world.root}/../outside/secret",
        "folder-dots": f"{world.root}/folder/../../outside/secret",
        "longer": f"{world.root}2/secret",
        "shorter": str(world.root.parent),
        "by-link": f"{world.root}/abroad/secret",
        "by-link-dots": f"{world.root}/abroad/../outside/secret",
        "turning": f"{world.root}/turning2",
        "turning2": f"{world.root}/turning",
        "magic": f"{world.root}/../../../../../../../proc/self/root/etc/passwd",
        "missing": f"{world.root}/nothing",
    }
    for name, target in links.items():
        (world.root / name).symlink_to(target)
    for name in links:
        assert world.attempt(name) == "STATUS_ACCESS_DENIED", name
        assert world.attempt(name, "x") in ("STATUS_ACCESS_DENIED", "STATUS_OBJECT_PATH_NOT_FOUND"), name
        with pytest.raises((DiskRefused, OSError)):
            world.open(name, "new", disposition=FILE_CREATE)


def test_an_absolute_link_whose_way_is_swapped_for_a_link_out(world: World) -> None:
    target, link = world.root / "target", world.root / "link"
    target.mkdir()
    (target / "secret").write_bytes(b"inside")
    link.symlink_to(world.outside)
    (world.root / "absolute").symlink_to(target / "secret")
    with meanwhile(lambda: exchange(target, link)):
        outcomes = {world.attempt(name) for _ in range(TURNS) for name in ("absolute", "ABSOLUTE")}
    assert outcomes <= {b"inside", "STATUS_ACCESS_DENIED"}


# --- races ---


@contextmanager
def meanwhile(swap: Any) -> Iterator[None]:
    """Do that over and over in another thread."""
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            swap()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def exchange(first: Path, second: Path) -> None:
    """The two names change what they stand for, one after the other."""
    passing = first.with_name("passing")
    os.rename(first, passing)
    os.rename(second, first)
    os.rename(passing, second)


TURNS = 300


def test_a_directory_swapped_for_a_link_while_it_is_opened(world: World) -> None:
    target = world.root / "a" / "target"
    target.mkdir(parents=True)
    (target / "secret").write_bytes(b"inside")
    (target / "below").mkdir()
    link = world.root / "a" / "link"
    link.symlink_to(world.outside)
    outcomes = set()
    with meanwhile(lambda: exchange(target, link)):
        for turn in range(TURNS):
            outcomes.add(world.attempt("a", "target", "secret"))
            outcomes.add(world.attempt("A", "TARGET", "SECRET"))
            with suppress(DiskRefused, OSError):
                opened = world.open("a", "target", f"new{turn}", disposition=FILE_OPEN_IF)
                world.files.write(do.WriteFile(opened.handle, 0, b"overwritten"))
                world.files.close(do.CloseFile(opened.handle))
            with suppress(DiskRefused, OSError):
                opened = world.open("a", "target", "below", f"new{turn}", disposition=FILE_CREATE, kind=Kind.DIRECTORY)
                world.files.close(do.CloseFile(opened.handle, delete=bool(turn % 2)))
    assert outcomes <= {
        b"inside",
        "STATUS_ACCESS_DENIED",
        "STATUS_OBJECT_PATH_NOT_FOUND",
        "STATUS_OBJECT_NAME_NOT_FOUND",
    }
    assert SECRET not in outcomes


def test_a_file_swapped_for_a_link_or_a_fifo_while_it_is_opened(world: World) -> None:
    target, link, fifo = world.root / "target", world.root / "link", world.root / "fifo"
    target.write_bytes(b"inside")
    link.symlink_to(world.outside / "secret")
    os.mkfifo(fifo)
    outcomes = set()

    def swap() -> None:
        exchange(target, link)
        exchange(target, fifo)

    with meanwhile(swap):
        for _ in range(TURNS):
            outcomes.add(world.attempt("target"))
            with suppress(DiskRefused, OSError):
                opened = world.open("target", access=Access.WRITE, disposition=FILE_OVERWRITE_IF)
                world.files.overwrite(do.OverwriteFile(opened.handle))
                world.files.write(do.WriteFile(opened.handle, 0, b"inside"))
                world.files.set(do.SetFile(opened.handle, attributes=FILE_ATTRIBUTE_NORMAL))
                world.files.close(do.CloseFile(opened.handle))
    assert outcomes <= {
        b"inside",
        b"",
        "STATUS_ACCESS_DENIED",
        "STATUS_OBJECT_NAME_NOT_FOUND",
        "STATUS_SHARING_VIOLATION",
    }


def test_renaming_into_a_directory_that_is_swapped_for_a_link(world: World) -> None:
    target, link = world.root / "target", world.root / "link"
    target.mkdir()
    link.symlink_to(world.outside / "below")
    with meanwhile(lambda: exchange(target, link)):
        for turn in range(TURNS):
            opened = world.open(f"file{turn}", disposition=FILE_CREATE)
            for effect in (
                do.RenameFile(opened.handle, ("target", f"new{turn}")),
                do.RenameFile(opened.handle, ("target", f"new{turn}"), replace=True),
            ):
                with suppress(DiskRefused, OSError):
                    world.files.rename(effect)
            with suppress(DiskRefused, OSError):
                world.files.close(do.CloseFile(opened.handle, delete=True))


def test_listing_tells_nothing_of_what_is_outside(world: World) -> None:
    target, link = world.root / "target", world.root / "link"
    target.write_bytes(b"inside")
    link.symlink_to(world.outside / "secret")
    outside = (world.outside / "secret").stat()
    with meanwhile(lambda: exchange(target, link)):
        opened = world.open(access=Access.READ)
        for _ in range(TURNS):
            listing = world.files.list(do.ListDirectory(opened.handle, 100_000, restart=True))
            for entry in listing.entries:
                assert entry.stat is not None
                assert entry.stat.file_id != outside.st_ino
                assert entry.stat.size in (0, len(b"inside"))


# --- the Server's home in a folder that is shared


def test_nobody_gets_into_the_home(world: World) -> None:
    home = world.root / "ann" / "state"
    home.mkdir(parents=True)
    (home / "accounts").write_bytes(SECRET)
    (world.root / "ann" / "letter").write_bytes(b"dear bob")
    (world.root / "to the home").symlink_to("ann/state")
    (world.root / "to a file").symlink_to("ann/state/accounts")
    world.keep_out_of(home)
    for path in (
        ("ann", "state"),
        ("ann", "state", "accounts"),
        ("ANN", "State", "Accounts"),
        ("ann", "state", "missing"),
        ("to the home",),
        ("to the home", "accounts"),
        ("to a file",),
    ):
        assert world.attempt(*path) == "STATUS_ACCESS_DENIED", path
    assert world.attempt("ann", "letter") == b"dear bob"
    for create in (("ann", "state", "server.toml"), ("to the home", "server.toml")):
        with pytest.raises(DiskRefused, match="ACCESS_DENIED"):
            world.open(*create, access=Access.READ | Access.WRITE, disposition=FILE_CREATE)
    letter = world.open("ann", "letter", access=Access.READ)
    with pytest.raises(DiskRefused, match="ACCESS_DENIED"):
        world.files.rename(do.RenameFile(letter.handle, ("ann", "state", "accounts"), replace=True))
    (world.root / "ann" / "absolute").symlink_to(home)
    assert world.attempt("ann", "absolute", "accounts") == "STATUS_ACCESS_DENIED"
    if names_nodes(world):
        link = world.open("to a file")
        assert link.stat.size == 0
        world.files.close(do.CloseFile(link.handle, delete=True))
        assert not (world.root / "to a file").is_symlink()
    assert (home / "accounts").read_bytes() == SECRET
    assert [path.name for path in home.iterdir()] == ["accounts"]


def test_the_home_itself_is_no_share(world: World) -> None:
    (world.root / "accounts").write_bytes(SECRET)
    world.keep_out_of(world.root)
    assert world.attempt() == "STATUS_ACCESS_DENIED"
    assert world.attempt("accounts") == "STATUS_ACCESS_DENIED"
