"""A share of `/`: what shows the kernel, its processes and the Server's own memory is refused, and so is the home."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from lanman import codes
from lanman.net.disk import system
from lanman.net.disk.files import Files
from lanman.net.disk.folders import JUDGED_FOR, Folder
from lanman.net.disk.guard import NO_STORAGE, Guard, no_storage
from lanman.net.disk.system import DiskRefused, status_of
from lanman.server import disk_effects as do
from lanman.server.disk_effects import Access, OpenFile

SECRET = b"nobody's business"

pytestmark = pytest.mark.skipif(system.file_system_type(0) is None, reason="no statfs(2)")


class World:
    """A share of `root`, with a home, and other things, that nobody gets into."""

    def __init__(self, root: str | Path, *private: Path) -> None:
        self.root = str(root)
        self.files = Files(limit=1000, guard=Guard(private))

    def attempt(self, path: str | Path, access: Access = Access.READ) -> str | bytes:
        """What an open of that path comes to, as seen from the share."""
        names = tuple(name for name in os.path.relpath(path, self.root).split("/") if name != ".")
        try:
            opened = self.files.open(OpenFile(self.root, names, access=access))
        except DiskRefused as error:
            return codes.ntstatus_name(error.status)
        except OSError as error:
            return codes.ntstatus_name(status_of(error))
        try:
            return b"" if opened.stat.directory else bytes(self.files.read(do.ReadFile(opened.handle, 0, 100)))
        finally:
            self.files.close(do.CloseFile(opened.handle))


def mounted(kind: str) -> Iterator[str]:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, found, *_ = line.split()
        if found == kind and "\\" not in place:
            yield place


@pytest.mark.parametrize(
    "path",
    ["/proc", "/proc/self/mem", "/proc/self/maps", "/proc/PID/environ", "/proc/self/root/etc", "/proc/1"],
)
def test_a_share_of_everything_tells_nothing_of_processes(path: str) -> None:
    assert World("/").attempt(path.replace("PID", str(os.getpid()))) == "STATUS_ACCESS_DENIED"


@pytest.mark.parametrize("path", ["/proc", "/proc/self", "/proc/PID/fd", "/proc/PID/task"])
def test_nor_does_a_share_that_begins_there(path: str) -> None:
    path = path.replace("PID", str(os.getpid()))
    world = World(path)
    assert world.attempt(path) == "STATUS_ACCESS_DENIED"
    for name in os.listdir(path)[:5]:
        assert world.attempt(f"{path}/{name}") == "STATUS_ACCESS_DENIED"
    with pytest.raises(DiskRefused, match="ACCESS_DENIED"):
        world.files.look_up(do.LookUp(path, ()))


def test_every_file_system_that_is_mounted_here_and_is_no_storage() -> None:
    world = World("/")
    for kind in ("proc", "sysfs", "debugfs", "tracefs", "cgroup", "cgroup2", "securityfs", "bpf", "devpts", "mqueue"):
        for place in mounted(kind):
            assert world.attempt(place) == "STATUS_ACCESS_DENIED", place
            with suppress(PermissionError):
                for name in sorted(os.listdir(place))[:3]:
                    assert world.attempt(f"{place}/{name}") == "STATUS_ACCESS_DENIED", (place, name)


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero", "/dev/mem", "/dev/tty"])
def test_devices_are_refused_by_their_type(path: str) -> None:
    if os.path.exists(path):
        assert World("/").attempt(path) == "STATUS_ACCESS_DENIED"


def test_a_tmpfs_is_storage(tmp_path: Path) -> None:
    for place in [str(tmp_path), *(place for place in mounted("tmpfs") if os.access(place, os.W_OK))]:
        file = Path(place) / f"lanman-test-{os.getpid()}"
        with suppress(OSError):
            file.write_bytes(b"stored")
        try:
            if file.exists() and not any(
                place.startswith(other) for kind in ("sysfs", "proc") for other in mounted(kind)
            ):
                assert World("/").attempt(file) == b"stored", place
        finally:
            file.unlink(missing_ok=True)


def test_numbers_are_of_32_bits() -> None:
    assert all(0 < number < 1 << 32 for number in NO_STORAGE)
    with open("/proc/self/maps") as file:
        assert no_storage(file.fileno()) == "proc"


# --- the home


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "state" / "lanman"
    (home / "sub" / "deep").mkdir(parents=True)
    for place in (home / "accounts", home / "sub" / "backup", home / "sub" / "deep" / "backup"):
        place.write_bytes(SECRET)
    return home


@pytest.mark.parametrize("root", ["/", "state", "state/lanman", "state/lanman/sub", "state/lanman/sub/deep"])
def test_the_home_at_any_depth(tmp_path: Path, home: Path, root: str) -> None:
    world = World(tmp_path / root, home)
    for path in (home / "accounts", home / "sub", home / "sub" / "backup", home / "sub" / "deep" / "backup"):
        if path.is_relative_to(tmp_path / root):
            assert world.attempt(path) == "STATUS_ACCESS_DENIED", path


def test_what_comes_into_the_home_later(tmp_path: Path, home: Path) -> None:
    world = World(tmp_path, home)
    (home / "new" / "deep").mkdir(parents=True)
    (home / "new" / "deep" / "backup").write_bytes(SECRET)
    assert world.attempt(home / "new" / "deep" / "backup") == "STATUS_ACCESS_DENIED"
    assert World(home / "new", home).attempt(home / "new" / "deep" / "backup") == "STATUS_ACCESS_DENIED"


def test_a_hard_link_into_the_home(tmp_path: Path, home: Path) -> None:
    (tmp_path / "public").mkdir()
    os.link(home / "accounts", tmp_path / "public" / "letter")
    (tmp_path / "public" / "to").symlink_to(home / "sub")
    assert World(tmp_path / "public", home).attempt(tmp_path / "public" / "letter") == "STATUS_ACCESS_DENIED"
    assert World(tmp_path, home).attempt(tmp_path / "public" / "to") == "STATUS_ACCESS_DENIED"


@pytest.mark.parametrize("folder", ["state", "link", "on the way"])
def test_what_leads_to_the_home_stays_where_it_is(tmp_path: Path, folder: str) -> None:
    """Else whoever may write above the home would put one of their own in its place, with accounts of their own."""
    home = tmp_path / "state" / "of" / "lanman"
    home.mkdir(parents=True)
    (home / "accounts").write_bytes(SECRET)
    (tmp_path / "link").symlink_to("on the way/of")
    (tmp_path / "on the way").symlink_to(tmp_path / "state")
    (tmp_path / "free").mkdir()
    (tmp_path / "letter").write_bytes(b"dear bob")
    files = Files(limit=100, guard=Guard([tmp_path / "link" / "lanman"]))
    root = str(tmp_path)
    before = sorted(os.walk(tmp_path))
    for target in ("new", "free/new"):
        with pytest.raises(DiskRefused) as refused:
            files.rename(do.RenameFile(files.open(OpenFile(root, (folder,))).handle, tuple(target.split("/")), False))
        assert refused.value.status == codes.STATUS_ACCESS_DENIED
    with pytest.raises((DiskRefused, OSError)):
        files.check_deletable(do.CheckDeletable(files.open(OpenFile(root, (folder,))).handle))
    with pytest.raises((DiskRefused, OSError)):
        files.close(do.CloseFile(files.open(OpenFile(root, (folder,))).handle, delete=True))
    letter = files.open(OpenFile(root, ("letter",)))
    with pytest.raises(DiskRefused) as refused:
        files.rename(do.RenameFile(letter.handle, (folder,), True))
    assert refused.value.status == codes.STATUS_ACCESS_DENIED
    assert sorted(os.walk(tmp_path)) == before
    assert (tmp_path / "link" / "lanman" / "accounts").read_bytes() == SECRET
    files.rename(do.RenameFile(files.open(OpenFile(root, ("free",))).handle, ("new",), False))


def test_the_keytab_is_nobody_s(tmp_path: Path, home: Path) -> None:
    """Whoever has it writes itself a ticket of an administrator. It may be replaced while the Server runs."""
    keytab = tmp_path / "krb5.keytab"
    keytab.write_bytes(SECRET)
    (tmp_path / "letter").write_bytes(b"dear bob")
    os.link(keytab, tmp_path / "other")
    world = World(tmp_path, home, keytab)
    letter = world.files.open(OpenFile(str(tmp_path), ("letter",))).handle
    for _ in range(2):
        assert world.attempt(keytab) == "STATUS_ACCESS_DENIED"
        assert world.attempt(tmp_path / "other") == "STATUS_ACCESS_DENIED"
        with pytest.raises(DiskRefused):
            world.files.rename(do.RenameFile(letter, ("krb5.keytab",), True))
        (tmp_path / "new").write_bytes(SECRET)
        (tmp_path / "new").replace(keytab)
        (tmp_path / "other").unlink()
        os.link(keytab, tmp_path / "other")
    assert world.attempt(tmp_path / "letter") == b"dear bob"


def test_more_than_can_be_known_of_a_home(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole disk in the home: what is beyond counting is found from below."""
    monkeypatch.setattr("lanman.net.disk.guard._MAX_KNOWN", 1)
    world = World(tmp_path, home)
    assert world.attempt(home / "sub" / "deep" / "backup") == "STATUS_ACCESS_DENIED"
    assert World(home / "sub", home).attempt(home / "sub" / "deep" / "backup") == "STATUS_ACCESS_DENIED"


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Path]:
    """A place where things are mounted, and none is afterwards."""
    place = tmp_path / "share" / "mounted"
    place.mkdir(parents=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False, capture_output=True)


def mount_or_skip(*words: object) -> None:
    done = subprocess.run(["mount", *map(str, words)], check=False, capture_output=True)
    if done.returncode:
        pytest.skip("nothing can be mounted here")


@pytest.mark.parametrize("part", ["", "sub", "sub/deep"])
def test_a_bind_mount_of_the_home(home: Path, mount: Path, part: str) -> None:
    mount_or_skip("--bind", home / part, mount)
    for root in (mount, mount.parent, "/"):
        world = World(root, home)
        assert world.attempt(mount) == "STATUS_ACCESS_DENIED"
        assert all(world.attempt(mount / name) == "STATUS_ACCESS_DENIED" for name in os.listdir(home / part))


def test_proc_mounted_elsewhere(home: Path, mount: Path) -> None:
    mount_or_skip("--bind", f"/proc/{os.getpid()}", mount)
    for root in (mount, mount.parent, "/"):
        assert World(root, home).attempt(mount / "mem") == "STATUS_ACCESS_DENIED"


def test_storage_below_what_is_none(tmp_path: Path) -> None:
    """A tmpfs below sysfs, as control groups of version 1 have it, is reached over sysfs."""
    for place in mounted("tmpfs"):
        if any(place.startswith(f"{other}/") for other in mounted("sysfs")):
            assert World("/").attempt(place) == "STATUS_ACCESS_DENIED"


# --- the guard's word counts for a moment


class Asked(Guard):
    """A guard that says whom it was asked of."""

    def __init__(self, *private: Path) -> None:
        super().__init__(private)
        self.asked: list[int] = []

    def check(self, descriptor: int, there: system.Statx, root: int | None = None) -> None:
        self.asked.append(there.inode)
        super().check(descriptor, there, root)


def test_a_directory_is_judged_once_in_a_while(tmp_path: Path) -> None:
    guard, now = Asked(), [100.0]
    folder = Folder(str(tmp_path), guard, clock=lambda: now[0])
    (tmp_path / "d").mkdir()

    def asked() -> int:
        guard.asked.clear()
        folder.find((b"d", b"file")).close()
        return len(guard.asked)

    assert [asked(), asked()] == [1, 0]
    now[0] += JUDGED_FOR
    assert [asked(), asked()] == [1, 0]


def test_a_directory_that_has_the_inode_of_one_that_is_gone_is_judged(tmp_path: Path) -> None:
    guard = Asked()
    folder = Folder(str(tmp_path), guard, clock=lambda: 100.0)
    with folder.opened() as root:
        there = system.statx(root)
        for born in (1, 1, 2):
            folder._judge(root, there._replace(born=born), root)
    assert len(guard.asked) == 2


def test_within_that_moment_no_file_of_the_home_and_nothing_outside_is_reached(tmp_path: Path) -> None:
    """A directory that was the share's a moment ago is moved into the home, and a link out takes its place."""
    share, home, outside = tmp_path / "share", tmp_path / "share" / "home", tmp_path / "outside"
    for each in (home, share / "d", outside):
        each.mkdir(parents=True)
    (share / "d" / "file").write_bytes(b"once shared")
    (outside / "file").write_bytes(SECRET)
    world = World(share, home)
    assert world.attempt(share / "d" / "file") == b"once shared"
    (share / "d").rename(home / "d")
    (share / "d").symlink_to(outside)
    assert world.attempt(home / "d" / "file") == "STATUS_ACCESS_DENIED"
    assert world.attempt(share / "d" / "file") == "STATUS_ACCESS_DENIED"
    assert world.attempt(home) == "STATUS_ACCESS_DENIED"
