"""Finding the files that the program keeps, so that other users cannot substitute them.

Root acts in homes of others: it starts a Server that becomes an ordinary user, and runs `lanman user` in that user's
home. Whoever owns the home could put a link where root writes, and have root write, or give away, any file of the
machine. The rules:

* A path is opened directory by directory, each in the one before it, and what was found is judged by its open handle.
* The last directory is the home. It and those above belong to root, to who one is, or, where one is root, to the home's
  owner; others may not write to them, unless the sticky bit keeps what is in them in its place (/tmp).
* Links on the way are followed if root or who one is made them (systemd's /var/lib/lanman is one of root's).
* What is in the home is opened by the home's handle, never over a link, and only if it is a file. What is written to
  has one name only, and belongs to somebody whom the home could belong to.
* What root creates there belongs to the home's owner, by its handle (fchown).

On Windows there are no handles of directories, and no root: paths have to do.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import field

# Kept under names of their own: steps that only look are no steps after which something could be half done.
from os import close as _close
from os import open as _open
from pathlib import Path
from typing import Final

from lanman.errors import AccessDenied
from lanman.plain import dataclass

_WINDOWS: Final = sys.platform == "win32"
_O_PATH: Final = getattr(os, "O_PATH", 0)
_LOOK: Final = _O_PATH | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_SAFELY: Final = (
    getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_MAX_LINKS: Final = 40
_TRIES: Final = 16


@dataclass(slots=True)
class Directory:
    """A directory in which files are kept. Names in it are single names. Use it within `directory` or `place_of`."""

    path: Path
    descriptor: int | None  # None on Windows
    owner: tuple[int, int] = (0, 0)  # user and group id
    mode: int = 0o700

    def at(self, name: str) -> str:
        """The name as the calls of `os` want it together with `descriptor`."""
        return name if self.descriptor is not None else str(self.path / name)

    def open(self, name: str, flags: int, mode: int = 0o600) -> int:
        """Open a file in it, or with O_CREAT make it. Raises AccessDenied for what is no file of the home's, OSError
        as open(2) does."""
        if not flags & os.O_CREAT:
            try:
                descriptor = os.open(self.at(name), flags | _SAFELY, dir_fd=self.descriptor)
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.EMLINK):
                    raise _refused(self.path / name, "is a link", "Remove it.") from None
                if error.errno == errno.ENXIO:  # a socket, or a FIFO without a reader
                    raise _refused(self.path / name, "is not a file", "Remove it.") from None
                raise
            return self._checked(name, flags, descriptor)
        for _ in range(_TRIES):
            try:
                descriptor = os.open(self.at(name), flags | os.O_EXCL | _SAFELY, mode, dir_fd=self.descriptor)
            except FileExistsError:
                if flags & os.O_EXCL:
                    raise
            else:
                self.give_to_owner(descriptor)
                return descriptor
            with suppress(FileNotFoundError):  # gone again
                return self.open(name, flags & ~os.O_CREAT)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)

    def give_to_owner(self, descriptor: int, owner: tuple[int, int] | None = None) -> None:
        """What root has made there is the home's owner's, or that of the file whose place it takes."""
        if not _WINDOWS and os.geteuid() == 0:
            os.fchown(descriptor, *(owner or self.owner))

    def _checked(self, name: str, flags: int, descriptor: int) -> int:
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                if stat.S_ISDIR(found.st_mode):
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
                raise _refused(self.path / name, "is not a file", "Remove it.")
            if not _WINDOWS and flags & (os.O_WRONLY | os.O_RDWR):
                if found.st_nlink > 1:
                    raise _refused(self.path / name, "has a second name elsewhere (a hard link)", "Remove it.")
                if found.st_uid not in (0, os.geteuid(), self.owner[0]):
                    raise _refused(self.path / name, f"belongs to {_name_of(found.st_uid)}", "Remove it.")
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def stat(self, name: str) -> os.stat_result | None:
        """What is there of that name, a link itself; None if nothing is."""
        try:
            return os.stat(self.at(name), dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def unlink(self, name: str) -> None:
        """Remove a name, if it is there."""
        with suppress(FileNotFoundError):
            os.unlink(self.at(name), dir_fd=self.descriptor)

    def replace(self, name: str, target: str) -> None:
        """Put one file in the place of another."""
        os.replace(self.at(name), self.at(target), src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    @contextmanager
    def readable(self) -> Iterator[int]:
        """A handle that can do more than name it: to sync, chmod, chown and list it by. Not on Windows."""
        descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.descriptor)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def sync(self) -> None:
        """Force its names to the disk. Windows has no such call and orders by itself."""
        if self.descriptor is not None:
            with self.readable() as descriptor:
                os.fsync(descriptor)


@contextmanager
def directory(path: str | os.PathLike[str], *, make: bool = False) -> Iterator[Directory]:
    """The directory `path`; with `make`, it is made with mode 0700 where there is none. Raises AccessDenied for one
    that others could change or exchange, OSError as open(2) does."""
    walk = _Walk(Path(path), make, of_file=False)
    try:
        yield walk.run()[0]
    finally:
        walk.close()


@contextmanager
def place_of(path: str | os.PathLike[str], *, make: bool = False) -> Iterator[tuple[Directory, str]]:
    """The directory that the file `path` is in, and its name there, the link that may stand there followed. With
    `make`, the directory is made. Raises as `directory`."""
    walk = _Walk(Path(path), make, of_file=True)
    try:
        yield walk.run()
    finally:
        walk.close()


def read_file(path: str | os.PathLike[str], most: int) -> tuple[bytes, os.stat_result] | None:
    """A file of the program's, no more than `most` bytes of it; None where there is none. Raises as `directory`."""
    try:
        with place_of(path) as (folder, name):
            descriptor = folder.open(name, os.O_RDONLY)
            with open(descriptor, "rb") as file:
                return file.read(most), os.fstat(file.fileno())
    except FileNotFoundError:
        return None


@dataclass(slots=True)
class _Walk:
    """One path on its way from the root of the machine."""

    path: Path
    make: bool
    of_file: bool
    _handles: list[int] = field(default_factory=list)  # from the root down to where it is
    _names: list[str] = field(default_factory=list)
    _directories: list[tuple[str, os.stat_result]] = field(default_factory=list)  # all that were gone through
    _links: list[tuple[str, os.stat_result]] = field(default_factory=list)

    def run(self) -> tuple[Directory, str]:
        """Go there: the directory, open, and the name in it of a file (the last name of a directory's own path on
        Windows). Raises AccessDenied where somebody else could have decided what is there, and OSError."""
        if _WINDOWS:
            folder = self.path.parent if self.of_file else self.path
            if self.make:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return Directory(folder, None), self.path.name
        todo = deque(str(self.path.absolute()).split("/"))
        self._begin()
        name = ""
        while todo:
            part = todo.popleft()
            if part in ("", "."):
                continue
            if part == "..":
                self._up()
                continue
            last = self.of_file and not any(todo)
            target = self._step(part, last=last, home=not any(todo))
            if target is not None:
                if target.startswith("/"):
                    self._begin()
                todo.extendleft(reversed(target.split("/")))
            elif last:
                name = part
        self._judge()
        found = os.fstat(self._handles[-1])
        owner = found.st_uid, found.st_gid
        return Directory(Path(self._where()), self._handles[-1], owner, stat.S_IMODE(found.st_mode)), name

    def close(self) -> None:
        """Close every handle that is open."""
        for handle in self._handles:
            _close(handle)
        self._handles.clear()

    def _begin(self) -> None:
        self.close()
        self._names.clear()
        self._enter(_open("/", _LOOK | os.O_DIRECTORY), None)

    def _up(self) -> None:
        if len(self._handles) > 1:
            _close(self._handles.pop())
            self._names.pop()

    def _where(self, name: str | None = None) -> str:
        return "/" + "/".join([*self._names, *([] if name is None else [name])])

    def _enter(self, handle: int, name: str | None) -> None:
        self._handles.append(handle)
        if name is not None:
            self._names.append(name)
        self._directories.append((self._where(), os.fstat(handle)))

    def _step(self, name: str, *, last: bool, home: bool) -> str | None:
        """Go into a directory, or be told where a link leads. The last name of a file may be anything, or nothing."""
        here = self._handles[-1]
        try:
            target = self._link(here, name)
        except FileNotFoundError:
            if last:
                return None
            if not self.make:
                raise
            # Not before it is sure that this is a place to make something in.
            self._judge()
            with suppress(FileExistsError):
                os.mkdir(name, 0o700 if home or self.of_file else 0o755, dir_fd=here)
            target = self._link(here, name)
        if target is None and not last:
            self._enter(_open(name, _LOOK | os.O_DIRECTORY, dir_fd=here), name)
        return target

    def _link(self, here: int, name: str) -> str | None:
        """Where a link leads; None for what is none. Raises FileNotFoundError, and OSError for a circle of links."""
        found = os.stat(name, dir_fd=here, follow_symlinks=False)
        if not stat.S_ISLNK(found.st_mode):
            return None
        if len(self._links) == _MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), self._where(name))
        if _O_PATH:
            # What is judged and what is read is one and the same link.
            handle = _open(name, _LOOK, dir_fd=here)
            try:
                found, target = os.fstat(handle), os.readlink("", dir_fd=handle)
            finally:
                _close(handle)
        else:
            target = os.readlink(name, dir_fd=here)
            again = os.stat(name, dir_fd=here, follow_symlinks=False)
            if (again.st_dev, again.st_ino) != (found.st_dev, found.st_ino):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), self._where(name))
        self._links.append((self._where(name), found))
        return target

    def _judge(self) -> None:
        """Raises AccessDenied if anybody else could decide where this path leads."""
        me = os.geteuid()
        owner = os.fstat(self._handles[-1]).st_uid
        allowed = {0, me, owner} if me == 0 else {0, me}
        for path, found in self._links:
            if found.st_uid not in (0, me):
                raise _refused(path, f"is a link that {_name_of(found.st_uid)} has made", "Name the folder itself.")
        for path, found in self._directories:
            if found.st_uid not in allowed and not _is_unmapped(found.st_uid):
                raise _refused(path, f"belongs to {_name_of(found.st_uid)}", "Choose another folder with --home.")
            if found.st_mode & stat.S_ISVTX:
                continue
            if found.st_mode & stat.S_IWOTH:
                raise _refused(path, "others may write to it", f"chmod o-w {path}")
            if found.st_mode & stat.S_IWGRP and not _is_private_group(found.st_uid, found.st_gid):
                raise _refused(path, "others may write to it, the members of its group", f"chmod g-w {path}")


def _refused(path: str | Path, problem: str, remedy: str) -> AccessDenied:
    return AccessDenied(f"{path}: {problem}, so nothing is kept there", hint=remedy)


def _name_of(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _is_private_group(uid: int, gid: int) -> bool:
    """Whether a group is its user's alone, as distributions make one for each user, or root's."""
    if gid == 0:
        return True
    import grp
    import pwd

    try:
        user, group = pwd.getpwuid(uid), grp.getgrgid(gid)
    except KeyError:
        return False
    return user.pw_gid == gid and user.pw_name == group.gr_name and set(group.gr_mem) <= {user.pw_name}


def _is_unmapped(uid: int) -> bool:
    """Whether a user is one that this user namespace cannot name: in a container, whoever runs the machine."""
    try:
        overflow = int(Path("/proc/sys/kernel/overflowuid").read_text())
        return uid == overflow and int(Path("/proc/self/uid_map").read_text().split()[2]) < 0xFFFFFFFF
    except (OSError, ValueError, IndexError):
        return False
