"""What no client gets into, whatever folder is shared: the Server's home, and file systems that are no storage.

The rules:

* **The home**, at any depth: a directory or file in it is known by its device and inode, so that neither a link, a hard
  link nor a bind mount leads there; and what lies on the home's device is looked at from below, directory by directory
  up to the root of the machine, so that it does not matter how much lies in the home. The same for the keytab, by
  which whoever has it writes tickets of any user, and for a configuration file elsewhere.
* **What leads to the home** stays where it is: neither a directory above it nor a link on its path can be moved,
  replaced or deleted, or whoever may write there would put a home of their own in its place, with its own accounts.
* **proc, sysfs, debugfs, cgroup and their like** show the kernel and its processes, the Server's own memory among them.
  They are refused by the type that the kernel gives for what is open (fstatfs(2)), wherever they are mounted. What is
  mounted below one of them is found from below as well: a path that leaves the device of the share's folder is followed
  upwards again.
* A tmpfs is storage. Devices, FIFOs and sockets are named and never opened (`is_shareable`), on any file system.
"""

from __future__ import annotations

import os
import stat
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from lanman import codes
from lanman.net.disk.system import CLOCK_TICK, MAX_LINKS, O_PATH, DiskRefused, Statx, file_system_type, statx
from lanman.plain import dataclass

Identity = tuple[int, int]

# f_type of statfs(2), of what is no storage (linux/magic.h, and the file systems' own sources).
# fmt: off
NO_STORAGE: Final = {
    0x9FA0: "proc", 0x62656572: "sysfs", 0x64626720: "debugfs", 0x74726163: "tracefs", 0x73636673: "securityfs",
    0x27E0EB: "cgroup", 0x63677270: "cgroup2", 0x62656570: "configfs", 0xCAFE4A11: "bpf", 0x6165676C: "pstore",
    0xDE5E81E4: "efivarfs", 0x42494E4D: "binfmt_misc", 0x1CD1: "devpts", 0x19800202: "mqueue",
    0x958458F6: "hugetlbfs", 0x65735543: "fusectl", 0x6E736673: "nsfs", 0x50494446: "pidfs", 0x50495045: "pipefs",
    0x534F434B: "sockfs", 0x09041934: "anon_inodefs", 0x62646576: "bdev", 0x67596969: "rpc_pipefs",
    0x6E667364: "nfsd", 0xF97CFF8C: "selinuxfs", 0x43415D53: "smackfs", 0x5A3C69F0: "apparmorfs",
    0xABBA1974: "xenfs", 0x07655821: "resctrl", 0x6C6F6F70: "binderfs", 0x444D4142: "dma-buf",
    0x5345434D: "secretmem", 0x454D444D: "devmem", 0x9FA1: "openpromfs", 0x9FA2: "usbfs", 0x0BAD1DEA: "futexfs",
    0x73727279: "spufs", 0x4F504E50: "openpromfs", 0x474D454D: "guest-memfd",
}
# fmt: on

# How many files of a home are known by device and inode: more than any home has, fewer than a disk in its place.
_MAX_KNOWN: Final = 20_000

# As deep as a path of PATH_MAX can lead.
_MAX_STEPS: Final = 4096


def no_storage(descriptor: int) -> str:
    """What a file system is called that shows no stored files; "" for one that does, or where that is not known."""
    kind = file_system_type(descriptor)
    return "" if kind is None else NO_STORAGE.get(kind, "")


@dataclass(frozen=True, slots=True)
class _Tree:
    """The private directories and files with all that is in them, as it was read."""

    identities: frozenset[Identity] = frozenset()
    devices: frozenset[int] = frozenset()
    times: tuple[tuple[str, int, int], ...] = ()  # inode and time of what a change is noticed by
    doubtful: bool = False  # changed so recently that the next change might not be noticed


class Guard:
    """What is refused in all shares. `private` are the directories and files that no client gets into.

    Used by several threads."""

    def __init__(self, private: Iterable[str | os.PathLike[str]] = ()) -> None:
        self._paths = tuple(os.path.abspath(os.fspath(path)) for path in private)
        self._private = tuple(os.path.realpath(path) for path in self._paths)
        self._tree = self._read()

    def check(self, descriptor: int, there: Statx, root: int | None = None) -> None:
        """Raises DiskRefused with ACCESS_DENIED for what is not to be shared. `descriptor` names it, a directory or a
        file; `root` is the share's folder, if it was found by a path below that."""
        self.check_identity(there.identity)
        if no_storage(descriptor):
            raise DiskRefused(codes.STATUS_ACCESS_DENIED)
        if stat.S_ISDIR(there.mode) and (
            there.device in self._tree.devices or (root is not None and there.device != statx(root).device)
        ):
            self._check_above(descriptor)

    def check_identity(self, identity: Identity) -> None:
        """Raises DiskRefused for what is in a private directory."""
        if self._private and identity[0] in self._tree.devices:
            if self._is_stale():
                self._tree = self._read()
            if identity in self._tree.identities:
                raise DiskRefused(codes.STATUS_ACCESS_DENIED)

    def check_removal(self, there: Statx) -> None:
        """Raises DiskRefused with ACCESS_DENIED if what has a name there is to have it no more, and leads to what is
        private."""
        if stat.S_ISDIR(there.mode) or stat.S_ISLNK(there.mode):
            for path in self._paths:
                if there.identity in _way(path):
                    raise DiskRefused(codes.STATUS_ACCESS_DENIED)
        else:
            self.check_identity(there.identity)

    def _check_above(self, descriptor: int) -> None:
        """Look at every directory above, as they are mounted."""
        identities = self._tree.identities
        for above in _ancestors(descriptor):
            if statx(above).identity in identities or no_storage(above):
                raise DiskRefused(codes.STATUS_ACCESS_DENIED)

    def _is_stale(self) -> bool:
        tree = self._tree
        return tree.doubtful or any(_written(path) != was for path, *was in tree.times)

    def _read(self) -> _Tree:
        identities: set[Identity] = set()
        times: list[tuple[str, int, int]] = []
        newest = 0
        waiting = list(self._private)
        while waiting and len(identities) < _MAX_KNOWN:
            path = waiting.pop()
            try:
                found = os.lstat(path)
                identities.add((found.st_dev, found.st_ino))
                is_directory = stat.S_ISDIR(found.st_mode)
                if is_directory or path in self._private:
                    times.append((path, found.st_ino, found.st_mtime_ns))
                    newest = max(newest, found.st_mtime_ns)
                if not is_directory:
                    continue
                with os.scandir(path) as entries:
                    waiting += [entry.path for entry in entries]
            except OSError:  # gone meanwhile, or not ours to read
                continue
        devices = frozenset(device for device, _ in identities)
        return _Tree(frozenset(identities), devices, tuple(times), time.time_ns() - newest < CLOCK_TICK)


def _way(path: str) -> Iterator[Identity]:
    """The directories and links that a path leads through, its end included, as things are now."""
    todo = deque(path.split("/"))
    here, links = "/", 0
    while todo:
        part = todo.popleft()
        if part in ("", "."):
            continue
        here = os.path.dirname(here) if part == ".." else os.path.join(here, part)
        try:
            found = os.lstat(here)
            target = os.readlink(here) if stat.S_ISLNK(found.st_mode) else None
        except OSError:
            return
        yield found.st_dev, found.st_ino
        if target is not None:
            links += 1
            if links > MAX_LINKS:
                return
            todo.extendleft(reversed(target.split("/")))
            here = "/" if target.startswith("/") else os.path.dirname(here)


def _written(path: str) -> list[int]:
    try:
        found = os.lstat(path)
    except OSError:
        return []
    return [found.st_ino, found.st_mtime_ns]


def _ancestors(descriptor: int) -> Iterator[int]:
    """Handles of the directories above one, up to the root or to where this process may not look any further. Each is
    closed when the next is asked for."""
    current, last = os.dup(descriptor), statx(descriptor).identity
    try:
        for _ in range(_MAX_STEPS):
            try:
                above = os.open("..", (O_PATH or os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=current)
            except PermissionError:
                return
            os.close(current)
            current = above
            if (identity := statx(current).identity) == last:
                return
            last = identity
            yield current
    finally:
        os.close(current)
