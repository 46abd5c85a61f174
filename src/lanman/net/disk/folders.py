r"""The folder of a share, and how a path below it is found without ever leaving it.

A path is never judged as text: it is a sequence of names that hold no separator and are not `..`, and each is opened in
the directory that the one before it led to. A directory that is swapped for a link while this goes on is a link when it
is opened, or is still the directory.

    openat2(RESOLVE_BENEATH)   the kernel follows links and refuses whatever leaves the folder
    without it                 no link is followed at all

To the kernel every absolute link leaves. One that begins with the path of the share's folder is written into the path
instead, name by name, and the kernel is asked again: it has the last word whatever a link says.

A link that leads nowhere or out, a FIFO, a socket, a device are a `node`: named, and never opened. It is listed as a
file of no size, and can be deleted and renamed, or the folder that it is in could never go.

Names are looked for as they are spelt, the whole path at once. Only if that fails it is walked name by name, and a name
that is not there is looked for without regard to case among those that are. The names of directories that were searched
are kept until the directory changes. What this Server itself adds is added to them, or each file put into a folder of a
hundred thousand would mean reading them all again; what others add in the same instant is then seen a moment later
(`TRUSTED_FOR`), if it is spelt otherwise than it was asked for.

A directory that the guard has just let pass (`JUDGED_FOR`) is not looked at again with all that is above it, or each
small file would cost as much as its folder is deep. Where it lies can have changed meanwhile, by somebody on this
machine; what is in it was open to clients before that.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import field
from typing import Final

from lanman import codes
from lanman.net.disk.guard import Guard, Identity
from lanman.net.disk.system import (
    CLOCK_TICK,
    MAX_LINKS,
    NAMING,
    O_DIRECTORY,
    O_PATH,
    DiskRefused,
    Statx,
    can_resolve_beneath,
    is_shareable,
    open_beneath,
    open_real,
    statx,
)
from lanman.net.disk.translation import compared_name
from lanman.plain import dataclass

# The kernel takes paths of up to 4095 bytes at once; what is longer is walked in pieces.
_PIECE: Final = 4000

# How many seconds names that were read are believed although the directory may have changed unseen.
TRUSTED_FOR: Final = 2.0

_NAMES_KEPT: Final = 500_000
_DIRECTORIES_KEPT: Final = 1000

# How many seconds the guard's word on a directory counts, and of how many directories of a share it is kept.
JUDGED_FOR: Final = 1.0
_JUDGED_KEPT: Final = 1000


@contextmanager
def closing(descriptor: int) -> Iterator[int]:
    """Close it in the end."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@dataclass(slots=True)
class _Known:
    """The names in a directory, by how they compare."""

    written: int  # the directory's time when they were read, or when the last of ours was added
    names: dict[str, bytes]
    doubtful_since: float | None = None  # monotonic seconds; None if its time tells of every change


class NameCache:
    """Names of directories, for look-ups that disregard case. Bounded; used by several threads."""

    def __init__(self) -> None:
        self._known: OrderedDict[Identity, _Known] = OrderedDict()
        self._count = 0
        self._lock = threading.Lock()

    def match(self, directory: int, name: bytes, now: Statx | None = None) -> bytes | None:
        """The name in that directory that differs from this one in case alone; None if there is none. `now` is what
        was known of the directory before the name was found missing."""
        folded = compared_name(name)
        known = self._current(now) if now is not None else None
        if known is None:  # or another thread has added a name since
            now = statx(directory)
            known = self._current(now) or self._read(directory, now)
        return known.names.get(folded)

    def _read(self, directory: int, now: Statx) -> _Known:
        known = _read_names(directory, now.written)
        with self._lock:
            self._keep(now.identity, known)
        return known

    def added(self, directory: int, name: bytes) -> None:
        """This Server has put that name there."""
        self._changed(directory, [(name, name)])

    def removed(self, directory: int, name: bytes) -> None:
        """This Server has taken that name away."""
        self._changed(directory, [(name, None)])

    def renamed(self, source: int, old: bytes, target: int, replaced: bytes | None, new: bytes) -> None:
        """This Server has renamed that, in the place of what had the name `replaced`."""
        gone = [(replaced, None)] if replaced is not None else []
        if source == target:
            self._changed(source, [(old, None), *gone, (new, new)])
        else:
            self._changed(source, [(old, None)])
            self._changed(target, [*gone, (new, new)])

    def forget(self, directory: int) -> None:
        """The names were found to be wrong."""
        with self._lock:
            self._drop(statx(directory).identity)

    def _changed(self, directory: int, changes: Sequence[tuple[bytes, bytes | None]]) -> None:
        """Names, and what is by now in their places."""
        if not self._known:  # names that are read from now on are those that are there now
            return
        with suppress(OSError), self._lock:
            now = statx(directory)
            if (known := self._known.get(now.identity)) is None:
                return
            for name, now_there in changes:
                folded = compared_name(name)
                if now_there is not None:
                    self._count += folded not in known.names
                    known.names[folded] = now_there
                elif known.names.get(folded) == name and known.names.pop(folded, None) is not None:
                    self._count -= 1
            known.written = now.written
            if known.doubtful_since is None:
                known.doubtful_since = time.monotonic()

    def _current(self, now: Statx) -> _Known | None:
        """The names that were read, if they are still those that are there."""
        with self._lock:
            known = self._known.get(now.identity)
            if known is None or known.written != now.written:
                return None
            if known.doubtful_since is not None and time.monotonic() - known.doubtful_since >= TRUSTED_FOR:
                return None
            self._known.move_to_end(now.identity)
            return known

    def _keep(self, identity: Identity, known: _Known) -> None:
        self._drop(identity)
        self._known[identity] = known
        self._count += len(known.names)
        while self._known and (self._count > _NAMES_KEPT or len(self._known) > _DIRECTORIES_KEPT):
            self._drop(next(iter(self._known)))

    def _drop(self, identity: Identity) -> None:
        if (known := self._known.pop(identity, None)) is not None:
            self._count -= len(known.names)


def _read_names(directory: int, written: int) -> _Known:
    doubtful = time.time_ns() - written < CLOCK_TICK
    known = _Known(written, {}, time.monotonic() if doubtful else None)
    with closing(os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)) as readable:
        # Sorted, so that of two names that differ in case alone it is always the same one.
        for name in sorted(map(os.fsencode, os.listdir(readable)), reverse=True):
            known.names[compared_name(name)] = name
    return known


@dataclass(slots=True)
class Found:
    """Where a path leads. `parent` is a handle of the last name's directory (-1 for the folder itself), `descriptor`
    names what is there (-1 if nothing is). Both are the caller's to close, by `close`. `parent_is` is what was known of
    the directory before the last name was looked for."""

    parent: int
    path: tuple[bytes, ...]
    parent_is: Statx | None = None
    descriptor: int = -1
    there: Statx | None = None  # what is there
    name_is: Statx | None = None  # the same, or the link by which it was found
    keeps_nothing: bool = False  # it has just been created, and nothing is kept beside it

    def take_parent(self) -> int:
        """The directory's handle, which the caller is to close from now on."""
        parent, self.parent = self.parent, -1
        return parent

    def take_descriptor(self) -> int:
        """The handle of what was found, which the caller is to close from now on."""
        descriptor, self.descriptor = self.descriptor, -1
        return descriptor

    def close(self) -> None:
        """Close the handles that were not taken. May be called twice."""
        for descriptor in (self.take_parent(), self.take_descriptor()):
            if descriptor >= 0:
                os.close(descriptor)


@dataclass(slots=True, eq=False)
class Folder:
    """A share's folder on the disk. The path that the administrator gave may itself lead over links."""

    path: str
    guard: Guard = field(default_factory=Guard)
    confined: Mapping[str, int] = field(default_factory=dict)  # the folders that no link may lead to
    names: NameCache = field(default_factory=NameCache)
    changing: threading.Lock = field(default_factory=threading.Lock)  # held while a name is looked for and then taken
    clock: Callable[[], float] = time.monotonic
    # Until when the guard's word counts, by identity and birth: a new directory may have the inode of one that is gone.
    _judged: OrderedDict[tuple[Identity, int | None], float] = field(default_factory=OrderedDict)

    @contextmanager
    def opened(self) -> Iterator[int]:
        """A handle of the folder. It is opened anew each time: a disk may be mounted there, or the folder come back."""
        try:
            if self.confined.get(self.path):
                descriptor = open_real(self.path)
            else:
                descriptor = os.open(self.path, (O_PATH or os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            raise DiskRefused(codes.STATUS_VOLUME_DISMOUNTED) from None
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise DiskRefused(codes.STATUS_VOLUME_DISMOUNTED) from None
        with closing(descriptor):
            yield descriptor

    def find(self, path: tuple[bytes, ...]) -> Found:
        """Where a path leads. Raises DiskRefused with OBJECT_PATH_NOT_FOUND or ACCESS_DENIED, or OSError."""
        with self.opened() as root:
            if not path:
                return self._examine(root, Found(-1, (), descriptor=os.open(".", NAMING | os.O_DIRECTORY, dir_fd=root)))
            parent, real, parent_is = self.walk(root, path[:-1])
            found = Found(parent, (*real, path[-1]), parent_is)
            try:
                self._find_last(root, found)
            except BaseException:
                found.close()
                raise
            return found

    def _examine(self, root: int, found: Found) -> Found:
        try:
            found.there = found.name_is = statx(found.descriptor)
            if stat.S_ISLNK(found.there.mode) and (followed := self._followed(root, found.path)) is not None:
                os.close(found.take_descriptor())
                found.descriptor, found.there = followed
            else:
                self._judge(found.descriptor, found.there, root, found.parent_is)
        except BaseException:
            found.close()
            raise
        return found

    def _judge(self, descriptor: int, there: Statx, root: int, parent: Statx | None = None) -> None:
        """Raises DiskRefused for what the guard does not let pass. A file beside others of its directory's device lies
        on the file system that the directory lies on, which has been judged."""
        if not stat.S_ISDIR(there.mode):
            if parent is not None and parent.device == there.device:
                self.guard.check_identity(there.identity)
            else:
                self.guard.check(descriptor, there, root)
            return
        now, key = self.clock(), (there.identity, there.born)
        if self._judged.get(key, now) > now:
            return
        self.guard.check(descriptor, there, root)
        self._judged[key] = now + JUDGED_FOR
        while len(self._judged) > _JUDGED_KEPT:
            with suppress(KeyError):  # another thread has been faster
                self._judged.popitem(last=False)

    def _followed(self, root: int, path: tuple[bytes, ...]) -> tuple[int, Statx] | None:
        """A handle of what a link leads to, and what that is; None if the link is all that there is for a client."""
        try:
            descriptor = self._follow(root, path, 0)
        except (DiskRefused, PermissionError):
            return None
        try:
            there = statx(descriptor)
            if (directory := _directory_of(descriptor)) is not None:
                self.guard.check_identity(directory)
            self.guard.check(descriptor, there, root)
            if not is_shareable(there.mode):
                raise DiskRefused(codes.STATUS_ACCESS_DENIED)
        except DiskRefused:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor, there

    def _find_last(self, root: int, found: Found) -> None:
        """Name what is there by the last name of a path, if anything is."""
        name = found.path[-1]
        try:
            found.descriptor = self._name(found.parent, name)
        except FileNotFoundError:
            match = self._match_folded(found.parent, name, found.parent_is)
            if match is None:
                return
            found.path = (*found.path[:-1], match)
            try:
                found.descriptor = self._name(found.parent, match)
            except FileNotFoundError:
                self.names.forget(found.parent)
                return
        self._examine(root, found)

    def _name(self, parent: int, name: bytes) -> int:
        """A handle that names something, be it what it may. Without O_PATH, only what can be shared is touched."""
        if not O_PATH and not is_shareable(statx(parent, name).mode):
            raise DiskRefused(codes.STATUS_ACCESS_DENIED)
        return os.open(name, NAMING, dir_fd=parent)

    def match(self, directory: int, name: bytes) -> bytes | None:
        """The name that is there, this one or one that differs in case alone."""
        try:
            statx(directory, name)
        except FileNotFoundError:
            return self._match_folded(directory, name)
        return name

    def look(self, directory: int, name: bytes) -> tuple[bytes, Statx] | None:
        """The same, and what it is. Raises OSError if that cannot be said."""
        try:
            return name, statx(directory, name)
        except FileNotFoundError:
            other = self._match_folded(directory, name)
        return (other, statx(directory, other)) if other is not None else None

    def taken(self, directory: int, name: bytes) -> bool:
        """Whether there is a name that is to be created, as far as is known: who creates it finds out whether it is
        there spelt in the same way."""
        return self._match_folded(directory, name) is not None

    def _match_folded(self, directory: int, name: bytes, now: Statx | None = None) -> bytes | None:
        """The name that is there and differs in case alone."""
        try:
            return self.names.match(directory, name, now)
        except PermissionError:  # a directory that may be passed through and not be read
            return None

    # --- directories ---

    def walk(self, root: int, path: tuple[bytes, ...]) -> tuple[int, tuple[bytes, ...], Statx]:
        """A handle of a directory, for the caller to close, its path as the disk has it, and what is known of it."""
        directory, real = self._walk(root, path)
        try:
            now = statx(directory)
            self._judge(directory, now, root)
        except BaseException:
            os.close(directory)
            raise
        return directory, real, now

    def _walk(self, root: int, path: tuple[bytes, ...]) -> tuple[int, tuple[bytes, ...]]:
        if can_resolve_beneath():
            try:
                return _open_pieces(root, path), path
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EAGAIN, errno.EXDEV):
                    raise _refusal(error) from None
        current = os.dup(root)
        real: list[bytes] = []
        try:
            for name in path:
                following, name = self._step(root, current, real, name)
                os.close(current)
                current = following
                real.append(name)
        except BaseException as error:
            os.close(current)
            if isinstance(error, OSError):
                raise _refusal(error) from None
            raise
        return current, tuple(real)

    def _step(self, root: int, current: int, real: Sequence[bytes], name: bytes) -> tuple[int, bytes]:
        """From a directory into one of its own, whatever the case of its name."""
        there = self.match(current, name)
        if there is None:
            raise DiskRefused(codes.STATUS_OBJECT_PATH_NOT_FOUND)
        try:
            return os.open(there, NAMING | os.O_DIRECTORY, dir_fd=current), there
        except OSError as error:
            # O_DIRECTORY on a link is ENOTDIR, without O_PATH also ELOOP.
            if error.errno not in (errno.ENOTDIR, errno.ELOOP) or not stat.S_ISLNK(statx(current, there).mode):
                raise
        return self._follow(root, (*real, there), os.O_DIRECTORY), there

    def _follow(self, root: int, path: tuple[bytes, ...], flags: int) -> int:
        """Open what a link leads to, if the kernel says that it stays below the folder."""
        names: tuple[bytes, ...] | None = path
        if not can_resolve_beneath() or not O_PATH:
            names = None
        try:
            for _ in range(MAX_LINKS):
                if names is None:
                    break
                try:
                    return _open_pieces(root, names, flags)
                except OSError as error:
                    if error.errno != errno.EXDEV:
                        raise
                names = self._expand(root, names)
        except OSError as error:
            # A link that leads nowhere is refused like one that leads out: nothing outside makes a difference.
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EXDEV, errno.ELOOP, errno.EAGAIN):
                raise
        raise DiskRefused(codes.STATUS_ACCESS_DENIED)

    def _expand(self, root: int, path: tuple[bytes, ...]) -> tuple[bytes, ...] | None:
        """A path with what its first link says in place of that link; None if there is none, or it leads out."""
        current = os.dup(root)
        try:
            for index, name in enumerate(path):
                if name == b"..":
                    following = _open_pieces(root, path[: index + 1])
                else:
                    following = os.open(name, NAMING, dir_fd=current)
                os.close(current)
                current = following
                if not stat.S_ISLNK(statx(current).mode):
                    continue
                said = os.readlink(b"", dir_fd=current)
                inner = tuple(part for part in said.split(b"/") if part not in (b"", b"."))
                if not said.startswith(b"/"):
                    return (*path[:index], *inner, *path[index + 1 :])
                for prefix in (os.fsencode(self.path), os.readlink(b"/proc/self/fd/%d" % root)):
                    beginning = tuple(part for part in prefix.split(b"/") if part not in (b"", b"."))
                    if inner[: len(beginning)] == beginning:
                        return (*inner[len(beginning) :], *path[index + 1 :])
                return None
        finally:
            os.close(current)
        return None

    def inside(self, path: tuple[bytes, ...]) -> Statx | None:
        """What a link leads to; None if the link is all that there is for a client."""
        try:
            with self.opened() as root:
                followed = self._followed(root, path)
        except (OSError, DiskRefused):
            return None
        if followed is None:
            return None
        os.close(followed[0])
        return followed[1]


def _directory_of(descriptor: int) -> Identity | None:
    """The directory that what a link led to is in; None where the system does not tell."""
    try:
        there = os.stat(os.path.dirname(os.readlink(f"/proc/self/fd/{descriptor}")))
    except OSError:
        return None
    return there.st_dev, there.st_ino


def _refusal(error: OSError) -> Exception:
    """What an error on the way to the last name comes to."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return DiskRefused(codes.STATUS_OBJECT_PATH_NOT_FOUND)
    if error.errno in (errno.EXDEV, errno.ELOOP):
        return DiskRefused(codes.STATUS_ACCESS_DENIED)
    return error


def _open_pieces(root: int, path: tuple[bytes, ...], flags: int = O_DIRECTORY) -> int:
    """Open a path by openat2, in as many pieces as its length needs. The last one is opened with `flags`."""
    pieces: list[bytes] = []
    start, size = 0, 0
    for index, name in enumerate(path):
        if size + len(name) + 1 > _PIECE:
            pieces.append(b"/".join(path[start:index]))
            start, size = index, 0
        size += len(name) + 1
    pieces.append(b"/".join(path[start:]) or b".")
    current = root
    try:
        for index, piece in enumerate(pieces):
            is_last = index == len(pieces) - 1
            following = open_beneath(current, piece, O_PATH | (flags if is_last else os.O_DIRECTORY))
            if current != root:
                os.close(current)
            current = following
    except BaseException:
        if current != root:
            os.close(current)
        raise
    return current
