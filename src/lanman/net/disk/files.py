"""What is open on the disks of the shares, and every effect on it. Each method is run in a thread of the pool.

**Opening.** A file is first named (O_PATH), then looked at, and only then opened by that very handle through /proc:
nothing that is not a file or directory is ever opened, and nothing can be put in its place in between. What is neither
(a `node`: a link that leads nowhere or out, a FIFO, a socket, a device) stays named: it can be deleted and renamed, and
no more.

**Names.** A handle remembers the directory and the name by which it was found (its `_Place`), the directory as a handle
too: a delete or rename means that name in that directory, wherever both have gone meanwhile, and only if it is still
the same file. All handles found by one name share one place, so that a rename moves them all; all places in one
directory share one handle of it. Places and directories count their users, and go with the last.

**Who may call what.** Several threads at once, on one handle as well. The table of handles, places and directories is
changed under `_lock`, under which nothing is done that a disk could hold up. Names are looked for and then taken under
`Folder.changing`, since only so no other request of this Server takes them in between; other programs can, and every
such step says what then happens. A handle is used between `take` and `put_back` (`_using`): one that is closed
meanwhile keeps its descriptor until the last user has put it back, so no number is ever reused under an effect.

**Times.** POSIX changes a file's times with every read and write. Where a client has asked for them to stay
(`keeps_accessed`, `keeps_written`), they are put back afterwards, by one handle of a file at a time.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from collections import Counter
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from lanman import codes
from lanman.dtyp import filetime
from lanman.fscc.attributes import FILE_ATTRIBUTE_HIDDEN, FILE_ATTRIBUTE_READONLY, FILE_ATTRIBUTE_SYSTEM
from lanman.net.disk import attributes
from lanman.net.disk.find import share_problem
from lanman.net.disk.folders import Folder, Found, closing
from lanman.net.disk.guard import Guard, Identity
from lanman.net.disk.system import (
    NAMING,
    O_PATH,
    OPENING,
    DiskRefused,
    Statx,
    can_reopen,
    check_room,
    is_shareable,
    proc_fd_path,
    rename_noreplace,
    statx,
)
from lanman.net.disk.translation import compared_name, disk_path, wire_name, wire_path
from lanman.server import disk_effects as effects
from lanman.server.disk_effects import Access, Entry, FileStat, Kind, Listing, Opened, Path, VolumeStat
from lanman.smb2.constants import FILE_CREATE, FILE_OPEN_IF, FILE_OVERWRITE, FILE_OVERWRITE_IF, FILE_SUPERSEDE
from lanman.wire import Data

# How often a name is looked up again that appears and vanishes while it is being opened.
_TRIES: Final = 16

# Names that one ListDirectory looks at; it may ask for fewer bytes.
_NAMES_AT_ONCE: Final = 4096
_ENTRY_SIZE: Final = 100

# How many seconds one ListDirectory looks at names before it gives what it has: another waits for its thread, and the
# event loop for the interpreter. Looked at after so many names.
LISTING_BUDGET: Final = 0.05
_NAMES_BETWEEN: Final = 64

_COPY_PIECE: Final = 1024 * 1024

_CREATING: Final = frozenset({FILE_SUPERSEDE, FILE_CREATE, FILE_OPEN_IF, FILE_OVERWRITE_IF})
_OVERWRITING: Final = frozenset({FILE_SUPERSEDE, FILE_OVERWRITE, FILE_OVERWRITE_IF})

_FLAGS: Final = {
    Access.NONE: os.O_RDONLY,
    Access.READ: os.O_RDONLY,
    Access.WRITE: os.O_WRONLY,
    Access.READ | Access.WRITE: os.O_RDWR,
}


@dataclass(slots=True, eq=False)
class _Directory:
    """A directory in which something is open; one handle for all that is."""

    descriptor: int
    identity: Identity
    users: int = 0


@dataclass(slots=True, eq=False)
class _Place:
    """The directory and name of what is open. All handles found by that name share it, so that a rename moves them.

    `name_is` is the identity of what has the name: of the file, or of the link that led to it.
    """

    directory: _Directory
    path: tuple[bytes, ...]
    name_is: Identity
    users: int = 0

    @property
    def name(self) -> bytes:
        """The last name of the path, as it is spelt on the disk."""
        return self.path[-1]

    @property
    def key(self) -> tuple[Identity, bytes, Identity]:
        """What all handles of one name have in common: the directory, the name in it, and what has that name."""
        return self.directory.identity, self.name, self.name_is


@dataclass(slots=True, eq=False)
class Handle:
    """Something open. `users` are the effects under way on it; when it is `closed` the last of them closes it."""

    number: int
    folder: Folder
    descriptor: int
    access: Access
    directory: bool
    node: bool  # neither a file nor a directory: it is never opened
    place: _Place | None  # None: the share's folder itself
    named: bool = False  # not flushed since it was created
    keeps_accessed: bool = False  # times that stay as they are whatever this handle does
    keeps_written: bool = False
    can_try: bool = True  # whether its file system can say that a read would have to wait
    users: int = 0
    closed: bool = False
    scan: _Scan | None = None
    scanning: threading.Lock = field(default_factory=threading.Lock)

    @property
    def name(self) -> bytes:
        """The name that a delete or rename means; b"" for a share's own folder."""
        return self.place.name if self.place is not None else b""


class _Scan:
    """A directory being read. Names come as the disk gives them."""

    def __init__(self, descriptor: int) -> None:
        with closing(os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=descriptor)) as readable:
            self.entries = os.scandir(readable)

    def close(self) -> None:
        """End the scan. The next one begins at the first name."""
        self.entries.close()


class Files:
    """The handles, and what is done with them."""

    def __init__(self, limit: int, guard: Guard | None = None) -> None:
        self._limit = limit
        self._guard = guard or Guard()
        # Folders of shares that are refused once a link leads to them, with the number of their shares.
        self.confined: Counter[str] = Counter()
        self._numbers = count(1)
        self._handles: dict[int, Handle] = {}
        self._folders: dict[str, Folder] = {}
        self._directories: dict[Identity, _Directory] = {}
        self._places: dict[tuple[Identity, bytes, Identity], _Place] = {}
        self._lock = threading.Lock()

    # --- handles ---

    def __len__(self) -> int:
        return len(self._handles)

    def root_of(self, number: int) -> str | None:
        """The folder that a handle is of; None if there is no such handle."""
        handle = self._handles.get(number)
        return handle.folder.path if handle is not None else None

    def close_all(self, but: Set[int] = frozenset()) -> None:
        """Close everything but these; what is in use by an effect, when that ends."""
        for number in set(self._handles) - but:
            self.release(number)

    def release(self, number: int) -> None:
        """Close a handle, if it is still there."""
        with suppress(DiskRefused):
            self._discard(self._remove(number))

    def _folder(self, root: str) -> Folder:
        with self._lock:
            return self._folders.setdefault(root, Folder(root, self._guard, self.confined))

    @contextmanager
    def _using(self, number: int) -> Iterator[Handle]:
        handle = self.take(number)
        try:
            yield handle
        finally:
            self.put_back(handle)

    def take(self, number: int) -> Handle:
        """Use a handle: it stays open until it is put back. Raises DiskRefused with FILE_CLOSED."""
        with self._lock:
            handle = self._handles.get(number)
            if handle is None:
                raise DiskRefused(codes.STATUS_FILE_CLOSED)
            handle.users += 1
            return handle

    def put_back(self, handle: Handle) -> None:
        """Use a handle no more. The last to put back one that is closed closes its descriptor."""
        with self._lock:
            handle.users -= 1
            last = handle.closed and not handle.users
        if last:
            self._close(handle)

    def _remove(self, number: int) -> Handle:
        """Take a handle out of the table; the caller then discards it."""
        with self._lock:
            handle = self._handles.pop(number, None)
            if handle is None:
                raise DiskRefused(codes.STATUS_FILE_CLOSED)
            return handle

    def _discard(self, handle: Handle) -> None:
        with self._lock:
            handle.closed = True
            last = not handle.users
        if last:
            self._close(handle)

    def _close(self, handle: Handle) -> None:
        if handle.scan is not None:
            handle.scan.close()
        os.close(handle.descriptor)
        if handle.place is not None:
            self._release_place(handle.place)

    # --- places ---

    def _place(self, found: Found) -> _Place:
        """The place of what was found; the directory's handle is taken over."""
        assert found.name_is is not None
        identity = statx(found.parent).identity  # not under the lock, which a disk that hangs must not hold
        with self._lock:
            directory = self._acquire_directory(found.take_parent(), identity)
            place = _Place(directory, found.path, found.name_is.identity)
            known = self._places.setdefault(place.key, place)
            if known is not place:
                self._release_directory(directory)
            known.users += 1
            return known

    def _release_place(self, place: _Place) -> None:
        with self._lock:
            place.users -= 1
            if not place.users:
                if self._places.get(place.key) is place:
                    del self._places[place.key]
                self._release_directory(place.directory)

    def _move(self, place: _Place, parent: int, path: tuple[bytes, ...]) -> None:
        """What has that place has been renamed; the directory's handle is taken over."""
        identity = statx(parent).identity
        with self._lock:
            if self._places.get(place.key) is place:
                del self._places[place.key]
            old, place.directory, place.path = place.directory, self._acquire_directory(parent, identity), path
            self._release_directory(old)
            self._places.setdefault(place.key, place)

    def _acquire_directory(self, descriptor: int, identity: Identity) -> _Directory:
        """The one handle of a directory; this one becomes it, or is closed."""
        directory = self._directories.get(identity)
        if directory is None:
            directory = self._directories[identity] = _Directory(descriptor, identity)
        else:
            os.close(descriptor)
        directory.users += 1
        return directory

    def _release_directory(self, directory: _Directory) -> None:
        directory.users -= 1
        if not directory.users:
            del self._directories[directory.identity]
            os.close(directory.descriptor)

    # --- opening ---

    def open(self, effect: effects.OpenFile) -> Opened:
        """Perform OpenFile. Raises DiskRefused and OSError; then nothing is open, and nothing was created."""
        if len(self._handles) >= self._limit:
            raise DiskRefused(codes.STATUS_TOO_MANY_OPENED_FILES)
        folder = self._folder(effect.root)
        path = disk_path(effect.path)
        for _ in range(_TRIES):
            found = folder.find(path)
            try:
                if found.descriptor >= 0:
                    return self._open_existing(folder, found, effect)
                if effect.disposition not in _CREATING:
                    raise DiskRefused(codes.STATUS_OBJECT_NAME_NOT_FOUND)
                return self._create(folder, found, path[-1], effect)
            except FileExistsError:
                continue  # another program or request has just created it
            finally:
                found.close()
        raise DiskRefused(codes.STATUS_SHARING_VIOLATION)

    def _open_existing(self, folder: Folder, found: Found, effect: effects.OpenFile) -> Opened:
        assert found.there is not None
        directory = stat.S_ISDIR(found.there.mode)
        node = not is_shareable(found.there.mode)
        if effect.disposition == FILE_CREATE:
            raise DiskRefused(codes.STATUS_OBJECT_NAME_COLLISION)
        if node and effect.access:
            raise DiskRefused(codes.STATUS_ACCESS_DENIED)
        if directory and (effect.kind is Kind.FILE or effect.disposition in _OVERWRITING):
            raise DiskRefused(codes.STATUS_FILE_IS_A_DIRECTORY)
        if not directory and effect.kind is Kind.DIRECTORY:
            raise DiskRefused(codes.STATUS_NOT_A_DIRECTORY)
        if node:
            if effect.disposition in _OVERWRITING:
                raise DiskRefused(codes.STATUS_ACCESS_DENIED)
            return self._register(folder, found, found.take_descriptor(), Access.NONE, effect, created=False)
        access, descriptor = _reopen(found, effect.access, effect.maximum_allowed, directory)
        return self._register(folder, found, descriptor, access, effect, created=False)

    def _create(self, folder: Folder, found: Found, name: bytes, effect: effects.OpenFile) -> Opened:
        """Create what was not found; raises FileExistsError if it is there now."""
        with folder.changing:
            if folder.match(found.parent, name) is not None:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            found.path = (*found.path[:-1], name)
            if effect.kind is Kind.DIRECTORY:
                os.mkdir(name, 0o777, dir_fd=found.parent)
                access = effect.access & Access.READ
                flags = (
                    NAMING | os.O_DIRECTORY if not access else os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | OPENING
                )
                descriptor = os.open(name, flags, dir_fd=found.parent)
            else:
                access = Access.READ | Access.WRITE
                flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | OPENING
                descriptor = os.open(name, flags, 0o666, dir_fd=found.parent)
            folder.names.added(found.parent, name)
        found.descriptor = descriptor
        try:
            found.there = found.name_is = statx(descriptor)
            if effect.attributes:
                attributes.set_created_attributes(descriptor, found.there, name, effect.attributes)
            if effect.allocation and effect.kind is not Kind.DIRECTORY:
                check_room(descriptor, effect.allocation)
            found.take_descriptor()
            return self._register(folder, found, descriptor, access, effect, created=True)
        except OSError:
            # A file that lacks what was asked for is not left behind.
            with suppress(OSError):
                self._unlink(folder, found.parent, name, directory=effect.kind is Kind.DIRECTORY)
            raise

    def _register(
        self, folder: Folder, found: Found, descriptor: int, access: Access, effect: effects.OpenFile, *, created: bool
    ) -> Opened:
        """A handle for what was opened; its descriptor is taken over, and closed if that fails."""
        try:
            mode = (found.there or statx(descriptor)).mode
            directory, node = stat.S_ISDIR(mode), not is_shareable(mode)
            maximal = _maximal(descriptor, directory) if effect.maximal and not node else Access.NONE
            by_link = found.there is not None and found.there is not found.name_is
            result = self._stat(descriptor, found.path[-1] if found.path else b"")
            place = self._place(found) if found.path else None
        except BaseException:
            os.close(descriptor)
            raise
        handle = Handle(next(self._numbers), folder, descriptor, access, directory, node, place, named=created)
        self._handles[handle.number] = handle
        return Opened(handle.number, result, wire_path(found.path), created, access, maximal, by_link)

    @staticmethod
    def _stat(descriptor: int, name: bytes) -> FileStat:
        now = statx(descriptor)
        return attributes.file_stat(now, attributes.read_kept(descriptor) if is_shareable(now.mode) else None, name)

    def look_up(self, effect: effects.LookUp) -> FileStat:
        """Perform LookUp. Raises DiskRefused with OBJECT_NAME_NOT_FOUND where only the last name is missing."""
        found = self._folder(effect.root).find(disk_path(effect.path))
        try:
            if found.descriptor < 0:
                raise DiskRefused(codes.STATUS_OBJECT_NAME_NOT_FOUND)
            return self._stat(found.descriptor, found.path[-1] if found.path else b"")
        finally:
            found.close()

    def overwrite(self, effect: effects.OverwriteFile) -> FileStat:
        """Perform OverwriteFile: cut to no bytes, then give it its attributes. Raises DiskRefused for a node."""
        with self._using(effect.handle) as handle:
            _require_contents(handle)
            attributes.check_writable(handle.descriptor)
            _truncate(handle, 0)
            if effect.allocation:
                check_room(handle.descriptor, effect.allocation)
            now = statx(handle.descriptor)
            attributes.set_created_attributes(handle.descriptor, now, handle.name, effect.attributes)
            return self._stat(handle.descriptor, handle.name)

    # --- contents ---

    def try_read(self, effect: effects.ReadFile) -> Data | None:
        """What a ReadFile gives if it is in memory; None if it would have to wait for the disk, or might."""
        if not hasattr(os, "RWF_NOWAIT"):
            return None
        handle = self.take(effect.handle)
        try:
            if not handle.can_try or handle.directory or handle.keeps_accessed:
                return None
            data = bytearray(effect.length)
            got = os.preadv(handle.descriptor, [data], effect.offset, os.RWF_NOWAIT)
            if got < effect.length and effect.offset + got < os.fstat(handle.descriptor).st_size:
                return None
            return memoryview(data)[:got]
        except BlockingIOError:
            return None
        except (OSError, OverflowError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOTSUP, errno.EINVAL, errno.ENOSYS):
                handle.can_try = False
            return None  # the thread will find out and tell
        finally:
            self.put_back(handle)

    def read(self, effect: effects.ReadFile) -> Data:
        """Perform ReadFile. Raises DiskRefused with INVALID_DEVICE_REQUEST for a directory."""
        with self._using(effect.handle) as handle:
            _require_file(handle)
            if not handle.keeps_accessed:
                return _read(handle.descriptor, effect.length, effect.offset)
            with _keeping_times(handle):
                return _read(handle.descriptor, effect.length, effect.offset)

    def write(self, effect: effects.WriteFile) -> int:
        """Perform WriteFile: all of the data, or OSError. Raises DiskRefused for a directory."""
        with self._using(effect.handle) as handle:
            _require_file(handle)
            with _keeping_times(handle):
                _write(handle.descriptor, effect.data, effect.offset)
            if effect.through:
                self._flush(handle)
            return len(effect.data)

    def copy(self, effect: effects.CopyFileRange) -> int:
        """Perform CopyFileRange: by copy_file_range(2) where the kernel can, else by reading and writing."""
        with self._using(effect.source) as source, self._using(effect.target) as target:
            _require_file(source)
            _require_file(target)
            with _keeping_times(target):
                return _copy(
                    source.descriptor, effect.source_offset, target.descriptor, effect.target_offset, effect.length
                )

    def flush(self, effect: effects.FlushFile) -> None:
        """Perform FlushFile: the contents and, if this handle has created the file, the directory that it is in."""
        with self._using(effect.handle) as handle:
            self._flush(handle)

    def _flush(self, handle: Handle) -> None:
        if handle.access or not O_PATH:
            os.fsync(handle.descriptor)
        if handle.named and handle.place is not None:
            directory = handle.place.directory.descriptor
            with closing(os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)) as readable:
                os.fsync(readable)
            handle.named = False

    # --- what is known about it ---

    def query(self, effect: effects.QueryFile) -> FileStat:
        """Perform QueryFile."""
        with self._using(effect.handle) as handle:
            return self._stat(handle.descriptor, handle.name)

    def set(self, effect: effects.SetFile) -> FileStat:
        """Perform SetFile. Raises DiskRefused with ACCESS_DENIED for a node, of which nothing can be changed."""
        with self._using(effect.handle) as handle:
            if handle.node:
                if not _changes_nothing(effect):
                    raise DiskRefused(codes.STATUS_ACCESS_DENIED)
                return self._stat(handle.descriptor, handle.name)
            now = statx(handle.descriptor)
            if effect.allocation is not None or effect.end_of_file is not None:
                _require_file(handle)
                with _keeping_times(handle):
                    _resize(handle, now, effect)
            # A file that becomes read-only is given its other attributes first, one that ceases to be last.
            becomes = effect.attributes is not None and effect.attributes & FILE_ATTRIBUTE_READONLY
            if not becomes:
                self._set_attributes(handle, effect)
            if effect.creation_time is not None:
                attributes.set_creation_time(handle.descriptor, handle.name, effect.creation_time)
            if becomes:
                self._set_attributes(handle, effect)
            if effect.last_access_time is not None or effect.last_write_time is not None:
                now = statx(handle.descriptor)
                attributes.set_times(handle.descriptor, now, effect.last_access_time, effect.last_write_time)
            if effect.keeps_access_time is not None:
                handle.keeps_accessed = effect.keeps_access_time
            if effect.keeps_write_time is not None:
                handle.keeps_written = effect.keeps_write_time
            return self._stat(handle.descriptor, handle.name)

    @staticmethod
    def _set_attributes(handle: Handle, effect: effects.SetFile) -> None:
        if effect.attributes is not None:
            now = statx(handle.descriptor)
            attributes.set_attributes(handle.descriptor, now, handle.name, effect.attributes)

    def volume(self, effect: effects.QueryVolume) -> VolumeStat:
        """Perform QueryVolume: fstatvfs(3) in bytes."""
        with self._using(effect.handle) as handle:
            return _volume(handle.descriptor)

    def check_share(self, effect: effects.CheckShare) -> str:
        """Perform CheckShare: why a share's folder cannot be used, in words; "" if it can."""
        return share_problem(effect.root, effect.roots, self._guard)

    # --- names ---

    def rename(self, effect: effects.RenameFile) -> Path:
        """Perform RenameFile, and give the new path as it is spelt on the disk. All handles of the old name follow.

        Raises DiskRefused (CANNOT_DELETE, OBJECT_NAME_NOT_FOUND, OBJECT_NAME_COLLISION, ACCESS_DENIED) and OSError.
        """
        with self._using(effect.handle) as handle:
            place = _require_place(handle)
            target = disk_path(effect.target)
            with self._target(handle, target) as (parent, real):
                source = place.directory.descriptor
                old = place.name
                self._guard.check_removal(_require_name(place))
                existing = handle.folder.match(parent, target[-1])
                if existing is None:
                    rename_noreplace(source, old, parent, target[-1])
                elif not _is_place(place, parent, existing):
                    self._check_replacing(parent, existing, replace=effect.replace)
                    _rename_over(source, old, parent, existing, target[-1])
                elif target[-1] != old:
                    os.rename(old, target[-1], src_dir_fd=source, dst_dir_fd=parent)  # its case alone changes
                handle.folder.names.removed(source, old)
                if existing is not None:
                    handle.folder.names.removed(parent, existing)
                handle.folder.names.added(parent, target[-1])
                path = (*real, target[-1])
                self._move(place, os.dup(parent), path)
            return wire_path(path)

    def _check_replacing(self, parent: int, name: bytes, *, replace: bool) -> None:
        if not replace:
            raise DiskRefused(codes.STATUS_OBJECT_NAME_COLLISION)
        there = statx(parent, name)
        if stat.S_ISDIR(there.mode):
            raise DiskRefused(codes.STATUS_ACCESS_DENIED)
        self._guard.check_removal(there)

    @contextmanager
    def _target(self, handle: Handle, target: tuple[bytes, ...]) -> Iterator[tuple[int, tuple[bytes, ...]]]:
        """The directory that a new name is to be in, and its path. No other request takes a name meanwhile."""
        if not target:
            raise DiskRefused(codes.STATUS_OBJECT_NAME_INVALID)
        folder = handle.folder
        with folder.opened() as root:
            parent, real = folder.walk(root, target[:-1])
        with closing(parent), folder.changing:
            yield parent, real

    def check_deletable(self, effect: effects.CheckDeletable) -> None:
        """Perform CheckDeletable: what unlink(2) or rmdir(2) would say now, without doing it."""
        with self._using(effect.handle) as handle:
            place = _require_place(handle)
            self._guard.check_removal(_require_name(place))
            if handle.directory and statx(handle.descriptor).identity == place.name_is:
                with (
                    closing(
                        os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=handle.descriptor)
                    ) as readable,
                    os.scandir(readable) as entries,
                ):
                    if next(entries, None) is not None:
                        raise DiskRefused(codes.STATUS_DIRECTORY_NOT_EMPTY)
            parent = place.directory.descriptor
            if os.fstatvfs(parent).f_flag & os.ST_RDONLY:
                raise DiskRefused(codes.STATUS_MEDIA_WRITE_PROTECTED)
            if not os.access(".", os.W_OK | os.X_OK, dir_fd=parent, effective_ids=True):
                raise DiskRefused(codes.STATUS_ACCESS_DENIED)

    def close(self, effect: effects.CloseFile) -> FileStat:
        """Perform CloseFile. The handle is gone even if the delete fails, which raises DiskRefused or OSError."""
        handle = self._remove(effect.handle)
        try:
            if effect.delete:
                place = _require_place(handle)
                with handle.folder.changing:
                    now = _require_name(place)
                    self._guard.check_removal(now)
                    directory = stat.S_ISDIR(now.mode)
                    self._unlink(handle.folder, place.directory.descriptor, place.name, directory=directory)
            return self._stat(handle.descriptor, handle.name)
        finally:
            self._discard(handle)

    @staticmethod
    def _unlink(folder: Folder, parent: int, name: bytes, *, directory: bool) -> None:
        if directory:
            os.rmdir(name, dir_fd=parent)
        else:
            os.unlink(name, dir_fd=parent)
        folder.names.removed(parent, name)

    # --- directories ---

    def list(self, effect: effects.ListDirectory) -> Listing:
        """Perform ListDirectory. Each handle has one scan, which one effect at a time advances."""
        with self._using(effect.handle) as handle:
            if not handle.directory:
                raise DiskRefused(codes.STATUS_INVALID_PARAMETER)
            with handle.scanning:
                if effect.restart and handle.scan is not None:
                    handle.scan.close()
                    handle.scan = None
                if handle.scan is None:
                    handle.scan = _Scan(handle.descriptor)
                return self._list(handle, handle.scan, effect)

    def _list(self, handle: Handle, scan: _Scan, effect: effects.ListDirectory) -> Listing:
        entries: list[Entry] = []
        size = 0
        until = time.monotonic() + LISTING_BUDGET
        for number in range(1, _NAMES_AT_ONCE + 1):
            if number % _NAMES_BETWEEN == 0 and time.monotonic() > until:
                break
            found = next(scan.entries, None)
            if found is None:
                return Listing(tuple(entries), last=True)
            raw = os.fsencode(found.name)
            name = wire_name(raw)
            if effect.wanted is not None and not effect.wanted(name):
                continue
            entry = self._entry(handle, found, raw, name, details=effect.details)
            if entry is not None:
                entries.append(entry)
                size += _ENTRY_SIZE + 2 * len(name)
                if size >= effect.size:
                    break
        return Listing(tuple(entries), last=False)

    @staticmethod
    def _entry(handle: Handle, found: os.DirEntry[str], raw: bytes, name: str, *, details: bool) -> Entry | None:
        """What is listed of a name; None if nothing is."""
        try:
            if found.is_symlink():
                path = (*(handle.place.path if handle.place is not None else ()), raw)
                if not details:
                    return Entry(name, None)
                inside = handle.folder.inside(path)
                if inside is not None:
                    return Entry(name, attributes.file_stat(inside, None, raw))
            elif not details:
                return Entry(name, None)
            there = statx(handle.descriptor, raw)
            if not is_shareable(there.mode):
                return Entry(name, attributes.file_stat(there, None, raw))
            return Entry(name, attributes.file_stat(there, attributes.read_kept(handle.descriptor, raw), raw))
        except OSError:
            return None  # gone since, or in a directory that may be read and not entered


def _reopen(found: Found, access: Access, maximum_allowed: bool, directory: bool) -> tuple[Access, int]:
    """A handle that can do what is wanted, for what was named."""
    attempts = [access]
    if maximum_allowed:
        attempts = [access | Access.READ | Access.WRITE, access | Access.READ, access | Access.WRITE, access]
    last: PermissionError | None = None
    for wanted in dict.fromkeys(attempts):
        if directory:
            wanted &= ~Access.WRITE
        try:
            return wanted, _open_named(found, wanted, directory)
        except PermissionError as error:
            last = error
        except OSError as error:
            # A read-only disk refuses to write as a permission would.
            if error.errno != errno.EROFS or wanted == access:
                raise
    assert last is not None
    raise last


def _open_named(found: Found, access: Access, directory: bool) -> int:
    if not access:
        return found.take_descriptor()
    flags = _FLAGS[access] | OPENING | (os.O_DIRECTORY if directory else 0)
    if can_reopen():
        return os.open(f"/proc/self/fd/{found.descriptor}", flags)
    if not found.path or (directory and access == Access.READ):
        return os.open(".", flags, dir_fd=found.descriptor)
    descriptor = os.open(found.path[-1], flags | os.O_NOFOLLOW, dir_fd=found.parent)
    if found.there is None or statx(descriptor).identity != found.there.identity:
        os.close(descriptor)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))  # it has changed: look again
    return descriptor


def _maximal(descriptor: int, directory: bool) -> Access:
    """What this process may do with the contents."""
    place = proc_fd_path(descriptor)
    if not isinstance(place, str):
        return Access.READ | Access.WRITE
    result = Access.NONE
    if os.access(place, os.R_OK, effective_ids=True):
        result |= Access.READ
    if os.access(place, os.W_OK | (os.X_OK if directory else 0), effective_ids=True):
        result |= Access.WRITE
    return result


def _require_file(handle: Handle) -> None:
    if handle.directory:
        raise DiskRefused(codes.STATUS_INVALID_DEVICE_REQUEST)


def _require_contents(handle: Handle) -> None:
    if handle.node:
        raise DiskRefused(codes.STATUS_ACCESS_DENIED)


_KEPT_OF_NO_NODE: Final = FILE_ATTRIBUTE_READONLY | FILE_ATTRIBUTE_HIDDEN | FILE_ATTRIBUTE_SYSTEM


def _changes_nothing(effect: effects.SetFile) -> bool:
    """Whether a node, of which nothing is kept, is left as it is by that: clients take the attributes off what they
    are about to delete."""
    values = (
        effect.end_of_file,
        effect.allocation,
        effect.creation_time,
        effect.last_access_time,
        effect.last_write_time,
    )
    return all(value is None for value in values) and not (effect.attributes or 0) & _KEPT_OF_NO_NODE


def _require_place(handle: Handle) -> _Place:
    """Where a handle was found; a share's own folder can be neither deleted nor moved."""
    if handle.place is None:
        raise DiskRefused(codes.STATUS_CANNOT_DELETE)
    return handle.place


def _require_name(place: _Place) -> Statx:
    """Whether a place still holds what was found there: another program may have replaced it."""
    now = statx(place.directory.descriptor, place.name)
    if now.identity != place.name_is:
        raise DiskRefused(codes.STATUS_OBJECT_NAME_NOT_FOUND)
    return now


def _is_place(place: _Place, parent: int, name: bytes) -> bool:
    """Whether a name is that of a place, spelt as the disk may well let it be spelt."""
    return (
        compared_name(name) == compared_name(place.name)
        and statx(parent).identity == place.directory.identity
        and statx(parent, name).identity == place.name_is
    )


def _rename_over(source: int, old: bytes, parent: int, existing: bytes, new: bytes) -> None:
    """Put what is `old` in place of what is `existing`, and have it spelt `new`. At no moment is neither there."""
    linked = statx(source, old)
    os.rename(old, existing, src_dir_fd=source, dst_dir_fd=parent)
    # rename(2) does nothing if both are names of one file.
    if linked.links > 1:
        with suppress(FileNotFoundError):
            if statx(source, old).identity == linked.identity:
                os.unlink(old, dir_fd=source)
    if new != existing:
        with suppress(FileExistsError):
            rename_noreplace(parent, existing, parent, new)


def _truncate(handle: Handle, size: int) -> None:
    if handle.access & Access.WRITE:
        os.ftruncate(handle.descriptor, size)
    else:
        os.truncate(proc_fd_path(handle.descriptor), size)


# Times that are kept are wrong for a moment; two handles of one file keep them one after the other.
_KEEPING: Final = tuple(threading.Lock() for _ in range(64))


@contextmanager
def _keeping_times(handle: Handle) -> Iterator[None]:
    """Have what is done within leave the times alone that the handle keeps: POSIX has them change with every write."""
    if not handle.keeps_written and not handle.keeps_accessed:
        yield
        return
    with _KEEPING[statx(handle.descriptor).inode % len(_KEEPING)]:
        before = statx(handle.descriptor)
        try:
            yield
        finally:
            now = statx(handle.descriptor)
            wanted = (
                before.accessed if handle.keeps_accessed else now.accessed,
                before.written if handle.keeps_written else now.written,
            )
            # PermissionError: another user's file, which may be written to while its times may not be set.
            with suppress(PermissionError):
                if wanted != (now.accessed, now.written):
                    os.utime(proc_fd_path(handle.descriptor), ns=wanted)


def _read(descriptor: int, length: int, offset: int) -> bytes:
    data = os.pread(descriptor, length, offset)
    while 0 < len(data) < length:
        more = os.pread(descriptor, length - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data


def _resize(handle: Handle, now: Statx, effect: effects.SetFile) -> None:
    if effect.allocation is not None:
        if effect.allocation < now.size:
            _truncate(handle, effect.allocation)
        elif effect.allocation > now.blocks * 512:
            check_room(handle.descriptor, effect.allocation)
    if effect.end_of_file is not None:
        _truncate(handle, effect.end_of_file)


def _write(descriptor: int, data: Data, offset: int | None) -> None:
    left = memoryview(data)
    if offset is None and not hasattr(os, "RWF_APPEND"):
        offset = os.fstat(descriptor).st_size
    while left:
        if offset is None:
            written = os.pwritev(descriptor, [left], 0, os.RWF_APPEND)
        else:
            written = os.pwrite(descriptor, left, offset)
            offset += written
        left = left[written:]


def _copy(source: int, source_offset: int, target: int, target_offset: int, length: int) -> int:
    done = 0
    while done < length and hasattr(os, "copy_file_range"):
        try:
            copied = os.copy_file_range(source, target, length - done, source_offset + done, target_offset + done)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EBADF):
                raise
            break
        if not copied:
            return done
        done += copied
    pieces = range(done, length, _COPY_PIECE)
    # Within one file, what is copied upwards is copied from its end, or it would copy what it has just written.
    upwards = target_offset > source_offset and statx(source).identity == statx(target).identity
    for at in reversed(pieces) if upwards else pieces:
        data = os.pread(source, min(_COPY_PIECE, length - at), source_offset + at)
        _write(target, data, target_offset + at)
        done += len(data)
    return done


def _volume(descriptor: int) -> VolumeStat:
    volume = os.fstatvfs(descriptor)
    now = statx(descriptor)
    block = volume.f_frsize or volume.f_bsize
    return VolumeStat(
        serial=(now.device ^ now.device >> 32) & 0xFFFFFFFF,
        total=volume.f_blocks * block,
        free=volume.f_bfree * block,
        available=volume.f_bavail * block,
        block_size=block,
        read_only=bool(volume.f_flag & os.ST_RDONLY),
        creation_time=filetime(now.born if now.born is not None else min(now.written, now.changed)),
    )
