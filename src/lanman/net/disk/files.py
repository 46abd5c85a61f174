"""What is open on the disks of the shares, and every effect on it. Each method is run in a thread of the pool.

**Opening.** A file is first named (O_PATH), then looked at, and only then opened by that very handle through /proc:
nothing that is not a file or directory is ever opened, and nothing can be put in its place in between. What is neither
(a `node`: a link that leads nowhere or out, a FIFO, a socket, a device) stays named: it can be deleted and renamed, and
no more.

**Names.** A handle remembers the directory and the name by which it was found (its `_Place`), the directory as a handle
too: a delete or rename means that name in that directory, wherever both have gone meanwhile, and only if it is still
the same file. All handles found by one name share one place, so that a rename moves them all; all places in one
directory share one handle of it. Places and directories count their users, and go with the last. What was created for
somebody who does not get it is taken back, unless its place is or was another's too, or it has been written to.

**Who may call what.** Several threads at once, on one handle as well. The table of handles, places and directories is
changed under `_lock`, under which nothing is done that a disk could hold up. Names are looked for and then taken under
`Folder.changing`, since only so no other request of this Server takes them in between; other programs can, and every
such step says what then happens. A handle is used between `take` and `put_back` (`_using`): one that is closed
meanwhile keeps its descriptor until the last user has put it back, so no number is ever reused under an effect.

**At once.** `try_read`, `try_query` and `try_close` are called on the event loop, and do what waits for nothing: they
give LATER for all else. What is kept beside a file may lie on the disk; it is not read again as long as the file's time
of change is the one that it had when it was read (`Handle.kept_at`). What a client has open to write is for threads to
close: the next close of a file that was cut, whoever's it is, has some file systems put on the disk what it holds now.

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
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import field
from itertools import count
from typing import Final, Literal

from lanman import codes
from lanman.dtyp import filetime
from lanman.fscc.attributes import FILE_ATTRIBUTE_HIDDEN, FILE_ATTRIBUTE_READONLY, FILE_ATTRIBUTE_SYSTEM
from lanman.net.disk import attributes
from lanman.net.disk.find import share_problem
from lanman.net.disk.folders import Folder, Found, closing
from lanman.net.disk.guard import Guard, Identity
from lanman.net.disk.system import (
    CLOCK_TICK,
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
    tells_at_once,
)
from lanman.net.disk.translation import compared_name, disk_name, disk_path, wire_name, wire_path
from lanman.plain import dataclass
from lanman.server import disk_effects as effects
from lanman.server.disk_effects import Access, Entry, FileStat, Kind, Listing, Opened, Path, VolumeStat
from lanman.server.effects import LATER, Later
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

# A name is not listed that is gone since, that no file can have here, or whose directory may be read and not entered.
_NOT_LISTED: Final = frozenset({errno.ENOENT, errno.EACCES, errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ})

# For how many seconds it is believed of a device that it tells at once, and of how many.
_TELLING_FOR: Final = 1.0
_TELLING_KEPT: Final = 100


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
    shared: bool = False  # whether more than one handle has been found by it

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
    near: bool = False  # whether its file system tells at once (`tells_at_once`)
    kept: attributes.Kept | None = None  # what was kept beside it
    kept_at: int | None = None  # the time of change that it had then, in nanoseconds; None: it is to be read again
    identity: Identity = (0, 0)
    users: int = 0
    closed: bool = False
    scan: _Scan | None = None
    scanning: threading.Lock = field(default_factory=threading.Lock)

    @property
    def name(self) -> bytes:
        """The name that a delete or rename means; b"" for a share's own folder."""
        return self.place.name if self.place is not None else b""


class _Going(Exception):
    """What was found is just being taken back, until that is `over`."""

    def __init__(self, over: threading.Event) -> None:
        super().__init__()
        self.over = over


class _Scan:
    """A directory being read. Names come as the disk gives them."""

    def __init__(self, descriptor: int) -> None:
        with closing(os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=descriptor)) as readable:
            self.entries = os.scandir(readable)

    def close(self) -> None:
        """End the scan. The next one begins at the first name."""
        self.entries.close()


class Files:
    """The handles, and what is done with them. `limit` is how many descriptors they may have.

    A handle has one, and so have each directory that something is open in and each listing under way.
    """

    def __init__(self, limit: int, guard: Guard | None = None) -> None:
        self.limit = limit
        self._guard = guard or Guard()
        # Folders of shares that are refused once a link leads to them, with the number of their shares.
        self.confined: Counter[str] = Counter()
        self._numbers = count(1)
        self._handles: dict[int, Handle] = {}
        self._folders: dict[str, Folder] = {}
        self._directories: dict[Identity, _Directory] = {}
        self._places: dict[tuple[Identity, bytes, Identity], _Place] = {}
        self._going: dict[tuple[Identity, bytes, Identity], threading.Event] = {}  # names that are being taken back
        self._taken_back = 0  # how many were, or are being
        self._scans = 0
        self._writers: Counter[Identity] = Counter()  # handles that can write, by their files
        self._telling: dict[int, tuple[bool, float]] = {}  # whether a device tells at once, and until when that counts
        self._lock = threading.Lock()

    # --- handles ---

    def __len__(self) -> int:
        return len(self._handles)

    def directories(self) -> int:
        """How many directories are open because something is open in them."""
        return len(self._directories)

    def _check_room(self) -> None:
        """Raises DiskRefused where there are no descriptors left."""
        if len(self._handles) + len(self._directories) + self._scans >= self.limit:
            raise DiskRefused(codes.STATUS_TOO_MANY_OPENED_FILES)

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
        self._end_scan(handle)
        os.close(handle.descriptor)
        if handle.access & Access.WRITE:
            with self._lock:
                self._writers[handle.identity] -= 1
                if not self._writers[handle.identity]:
                    del self._writers[handle.identity]
        if handle.place is not None:
            self._release_place(handle.place)

    # --- places ---

    def _place(self, found: Found, *, created: bool) -> _Place:
        """The place of what was found; the directory's handle is taken over. Raises _Going."""
        assert found.name_is is not None
        assert found.parent_is is not None
        with self._lock:
            key = found.parent_is.identity, found.path[-1], found.name_is.identity
            if not created and (over := self._going.get(key)) is not None:
                raise _Going(over)
            directory = self._acquire_directory(found.take_parent(), found.parent_is.identity)
            place = _Place(directory, found.path, found.name_is.identity)
            known = self._places.setdefault(place.key, place)
            if known is not place:
                self._release_directory(directory)
                known.shared = True
            known.users += 1
            return known

    @contextmanager
    def _taking_back(self, key: tuple[Identity, bytes, Identity], own: _Place | None) -> Iterator[bool]:
        """A name that was created, by whoever has the place `own` (None: no handle has been made), may be removed: give
        whether nobody else has had it open since. Nobody opens it before the end then: it is looked for again."""
        over = threading.Event()
        with self._lock:
            alone = self._places.get(key) is own and not (own is not None and own.shared)
            if alone:
                self._going[key] = over
                self._taken_back += 1
        try:
            yield alone
        finally:
            if alone:
                with self._lock:
                    del self._going[key]
                over.set()

    def _release_place(self, place: _Place) -> None:
        with self._lock:
            place.users -= 1
            if not place.users:
                if self._places.get(place.key) is place:
                    del self._places[place.key]
                self._release_directory(place.directory)

    def _move(self, place: _Place, parent: int, identity: Identity, path: tuple[bytes, ...]) -> None:
        """What has that place has been renamed; the directory's handle is taken over."""
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
        self._check_room()
        folder = self._folder(effect.root)
        path = disk_path(effect.path)
        for _ in range(_TRIES):
            since = self._taken_back
            found = folder.find(path)
            try:
                if found.descriptor >= 0:
                    opened = self._open_existing(folder, found, effect)
                    if since != self._taken_back and self._is_gone(opened.handle):
                        self.release(opened.handle)
                        continue
                    opened.deletable = effect.to_delete and self._is_deletable(opened.handle)
                    return opened
                if effect.disposition not in _CREATING:
                    raise DiskRefused(codes.STATUS_OBJECT_NAME_NOT_FOUND)
                return self._create(folder, found, path[-1], effect)
            except FileExistsError:
                continue  # another program or request has just created it
            except _Going as going:
                going.over.wait()
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

    def _is_gone(self, number: int) -> bool:
        """Whether what a handle is of has no name any more: it was taken back between its being found and opened."""
        with self._using(number) as handle:
            try:
                return statx(handle.descriptor).links == 0
            except OSError:
                return True

    def _create(self, folder: Folder, found: Found, name: bytes, effect: effects.OpenFile) -> Opened:
        """Create what was not found; raises FileExistsError if it is there now."""
        with folder.changing:
            if folder.taken(found.parent, name):
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
            if effect.attributes and not attributes.has_created_attributes(found.there, effect.attributes):
                attributes.set_created_attributes(descriptor, found.there, name, effect.attributes)
                found.there = found.name_is = statx(descriptor)
            else:
                found.keeps_nothing = True
            if effect.allocation and effect.kind is not Kind.DIRECTORY:
                check_room(descriptor, effect.allocation)
            found.take_descriptor()
            return self._register(folder, found, descriptor, access, effect, created=True)
        except (OSError, DiskRefused):
            # A file that lacks what was asked for is not left behind.
            with suppress(OSError):
                self._uncreate(folder, found, name)
            raise

    def _uncreate(self, folder: Folder, found: Found, name: bytes) -> None:
        """Remove what was created, under `Folder.changing`, unless another has it open already or has written to it."""
        there = statx(found.parent, name)
        assert found.parent_is is not None
        with self._taking_back((found.parent_is.identity, name, there.identity), None) as alone:
            if alone and not _has_contents(statx(found.parent, name)):
                self._unlink(folder, found.parent, name, directory=stat.S_ISDIR(there.mode))

    def _register(
        self, folder: Folder, found: Found, descriptor: int, access: Access, effect: effects.OpenFile, *, created: bool
    ) -> Opened:
        """A handle for what was opened; its descriptor is taken over, and closed if that fails."""
        try:
            there = found.there or statx(descriptor)
            directory, node = stat.S_ISDIR(there.mode), not is_shareable(there.mode)
            maximal = _maximal(descriptor, directory) if effect.maximal and not node else Access.NONE
            by_link = found.there is not None and found.there is not found.name_is
            near = not created and not access & Access.WRITE and self._tells_at_once(descriptor, there.device)
            # Whatever changes it from now on gives it another time of change than one that is past.
            kept_at = there.changed if near and there.changed < time.time_ns() - CLOCK_TICK else None
            kept = None if node or found.keeps_nothing else attributes.read_kept(descriptor, opened=bool(access))
            result = attributes.file_stat(there, kept, found.path[-1] if found.path else b"")
            place = self._place(found, created=created) if found.path else None
        except BaseException:
            os.close(descriptor)
            raise
        handle = Handle(next(self._numbers), folder, descriptor, access, directory, node, place, named=created)
        handle.near, handle.kept, handle.kept_at = near, kept, kept_at
        handle.identity = place.name_is if place is not None and not by_link else there.identity
        if access & Access.WRITE:
            with self._lock:
                self._writers[handle.identity] += 1
        self._handles[handle.number] = handle
        return Opened(handle.number, result, wire_path(found.path), created, access, maximal, by_link)

    def _tells_at_once(self, descriptor: int, device: int) -> bool:
        now = time.monotonic()
        tells, until = self._telling.get(device, (False, now))
        if until <= now:
            tells = tells_at_once(descriptor)
            if len(self._telling) >= _TELLING_KEPT:
                self._telling = {}
            self._telling[device] = tells, now + _TELLING_FOR
        return tells

    @staticmethod
    def _stat(descriptor: int, name: bytes, *, opened: bool = False) -> FileStat:
        now = statx(descriptor)
        kept = attributes.read_kept(descriptor, opened=opened) if is_shareable(now.mode) else None
        return attributes.file_stat(now, kept, name)

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
            return self._stat(handle.descriptor, handle.name, opened=bool(handle.access))

    # --- contents ---

    def try_read(self, effect: effects.ReadFile) -> Data | Literal[Later.LATER]:
        """What a ReadFile gives if it is in memory; LATER if it would have to wait for the disk, or might."""
        if not hasattr(os, "RWF_NOWAIT"):
            return LATER
        handle = self.take(effect.handle)
        try:
            if not handle.can_try or handle.directory or handle.keeps_accessed:
                return LATER
            data = bytearray(effect.length)
            got = os.preadv(handle.descriptor, [data], effect.offset, os.RWF_NOWAIT)
            if got < effect.length and effect.offset + got < os.fstat(handle.descriptor).st_size:
                return LATER
            return memoryview(data)[:got]
        except BlockingIOError:
            return LATER
        except (OSError, OverflowError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOTSUP, errno.EINVAL, errno.ENOSYS):
                handle.can_try = False
            return LATER  # the thread will find out and tell
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
            return self._stat(handle.descriptor, handle.name, opened=bool(handle.access))

    def try_query(self, effect: effects.QueryFile) -> FileStat | Literal[Later.LATER]:
        """What a QueryFile gives if nothing has to be asked of a disk for it."""
        handle = self.take(effect.handle)
        try:
            return self._told_at_once(handle)
        except OSError:
            return LATER  # the thread will find out and tell
        finally:
            self.put_back(handle)

    @staticmethod
    def _told_at_once(handle: Handle) -> FileStat | Literal[Later.LATER]:
        if handle.kept_at is None:
            return LATER
        now = statx(handle.descriptor)
        if now.changed != handle.kept_at:
            return LATER
        return attributes.file_stat(now, handle.kept, handle.name)

    def set(self, effect: effects.SetFile) -> FileStat:
        """Perform SetFile. Raises DiskRefused with ACCESS_DENIED for a node, of which nothing can be changed."""
        with self._using(effect.handle) as handle:
            if handle.node:
                if not _changes_nothing(effect):
                    raise DiskRefused(codes.STATUS_ACCESS_DENIED)
                return self._stat(handle.descriptor, handle.name, opened=bool(handle.access))
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
            return self._stat(handle.descriptor, handle.name, opened=bool(handle.access))

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
            with self._target(handle, target) as (parent, real, parent_is):
                source = place.directory.descriptor
                old = place.name
                self._guard.check_removal(_require_name(place))
                if parent_is.identity not in self._directories:
                    self._check_room()
                existing = handle.folder.match(parent, target[-1])
                if existing is None:
                    rename_noreplace(source, old, parent, target[-1])
                elif not _is_place(place, parent, existing):
                    self._check_replacing(parent, existing, replace=effect.replace)
                    _rename_over(source, old, parent, existing, target[-1])
                elif target[-1] != old:
                    os.rename(old, target[-1], src_dir_fd=source, dst_dir_fd=parent)  # its case alone changes
                same = parent_is.identity == place.directory.identity
                handle.folder.names.renamed(source, old, source if same else parent, existing, target[-1])
                path = (*real, target[-1])
                self._move(place, os.dup(parent), parent_is.identity, path)
            return wire_path(path)

    def _check_replacing(self, parent: int, name: bytes, *, replace: bool) -> None:
        if not replace:
            raise DiskRefused(codes.STATUS_OBJECT_NAME_COLLISION)
        there = statx(parent, name)
        if stat.S_ISDIR(there.mode):
            raise DiskRefused(codes.STATUS_ACCESS_DENIED)
        self._guard.check_removal(there)

    @contextmanager
    def _target(self, handle: Handle, target: tuple[bytes, ...]) -> Iterator[tuple[int, tuple[bytes, ...], Statx]]:
        """The directory of a new name, its path, and what it is. No other request takes a name meanwhile."""
        if not target:
            raise DiskRefused(codes.STATUS_OBJECT_NAME_INVALID)
        folder = handle.folder
        with folder.opened() as root:
            parent, real, parent_is = folder.walk(root, target[:-1])
        with closing(parent), folder.changing:
            yield parent, real, parent_is

    def _is_deletable(self, number: int) -> bool:
        """Whether what a handle is of could be deleted now, as far as can be told."""
        try:
            self.check_deletable(effects.CheckDeletable(number))
        except (DiskRefused, OSError):
            return False
        return True

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

    def close(self, effect: effects.CloseFile) -> FileStat | None:
        """Perform CloseFile. The handle is gone even if the delete fails, which raises DiskRefused or OSError."""
        handle = self._remove(effect.handle)
        try:
            if effect.delete:
                with handle.folder.changing:
                    self._delete(handle, _require_place(handle), unless_shared=effect.unless_shared)
            return self._stat(handle.descriptor, handle.name, opened=bool(handle.access)) if effect.tells else None
        finally:
            self._discard(handle)

    def _delete(self, handle: Handle, place: _Place, *, unless_shared: bool) -> None:
        taking_back = self._taking_back(place.key, place) if unless_shared else nullcontext(True)
        with taking_back as deletes:
            now = _require_name(place)
            if not deletes or (unless_shared and _has_contents(now)):
                return
            self._guard.check_removal(now)
            self._unlink(handle.folder, place.directory.descriptor, place.name, directory=stat.S_ISDIR(now.mode))

    def try_close(self, effect: effects.CloseFile) -> FileStat | Literal[Later.LATER] | None:
        """Perform a CloseFile of what was only read, if nothing has to be asked of a disk for it. The last handle of
        what has no name any more is for a thread: all that it takes on the disk is freed when it is closed."""
        handle = self.take(effect.handle)
        told: FileStat | Literal[Later.LATER] | None = LATER
        try:
            is_read = handle.near and not effect.delete and handle.users == 1 and handle.identity not in self._writers
            if is_read and _has_name(handle):
                told = self._told_at_once(handle) if effect.tells else None
        except OSError:
            pass  # the thread will find out and tell
        finally:
            self.put_back(handle)
        if told is not LATER:
            self._discard(self._remove(effect.handle))
        return told

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
            if effect.name is not None:
                return self._only(handle, effect.name, details=effect.details)
            with handle.scanning:
                if effect.restart:
                    self._end_scan(handle)
                if handle.scan is None:
                    self._check_room()
                    handle.scan = _Scan(handle.descriptor)
                    with self._lock:
                        self._scans += 1
                return self._list(handle, handle.scan, effect)

    def _end_scan(self, handle: Handle) -> None:
        if handle.scan is not None:
            handle.scan.close()
            handle.scan = None
            with self._lock:
                self._scans -= 1

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
            entry = self._entry(handle, raw, name, is_link=found.is_symlink(), details=effect.details)
            if entry is not None:
                entries.append(entry)
                size += _ENTRY_SIZE + 2 * len(name)
                if size >= effect.size:
                    break
        return Listing(tuple(entries), last=False)

    def _only(self, handle: Handle, name: str, *, details: bool) -> Listing:
        """The one name that is wanted, if it is there."""
        found = None
        try:
            found = handle.folder.look(handle.descriptor, disk_name(name))
        except DiskRefused:  # no file can have that name
            pass
        except OSError as error:
            if error.errno not in _NOT_LISTED:
                raise
        entry = None
        if found is not None:
            raw, there = found
            is_link = stat.S_ISLNK(there.mode)
            entry = self._entry(handle, raw, wire_name(raw), is_link=is_link, details=details, there=there)
        return Listing((entry,) if entry is not None else (), last=True)

    @staticmethod
    def _entry(
        handle: Handle, raw: bytes, name: str, *, is_link: bool, details: bool, there: Statx | None = None
    ) -> Entry | None:
        """What is listed of a name; None if nothing is. `there` is what it is, if that is known."""
        try:
            if is_link:
                path = (*(handle.place.path if handle.place is not None else ()), raw)
                if not details:
                    return Entry(name, None)
                inside = handle.folder.inside(path)
                if inside is not None:
                    return Entry(name, attributes.file_stat(inside, None, raw))
            elif not details:
                return Entry(name, None)
            there = there or statx(handle.descriptor, raw)
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


def _has_name(handle: Handle) -> bool:
    """Whether what is open, and the directory that it was found in, still have names."""
    place = handle.place
    return bool(statx(handle.descriptor).links and (place is None or statx(place.directory.descriptor).links))


def _require_name(place: _Place) -> Statx:
    """Whether a place still holds what was found there: another program may have replaced it."""
    now = statx(place.directory.descriptor, place.name)
    if now.identity != place.name_is:
        raise DiskRefused(codes.STATUS_OBJECT_NAME_NOT_FOUND)
    return now


def _has_contents(there: Statx) -> bool:
    """Whether a file has been written to. A directory with anything in it cannot be removed anyway."""
    return stat.S_ISREG(there.mode) and there.size > 0


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


def _read(descriptor: int, length: int, offset: int) -> Data:
    """Up to `length` bytes, in a buffer of no more than there are: the core encrypts them where they are."""
    size = min(length, os.fstat(descriptor).st_size - offset)
    if size <= 0 or offset < 0 or not hasattr(os, "preadv"):
        return os.pread(descriptor, length, offset)  # a file may hold more than it says
    data = bytearray(size)
    got = os.preadv(descriptor, [data], offset)
    if got < size:
        _read_on(descriptor, data, got, offset)
    return memoryview(data)


def _read_on(descriptor: int, data: bytearray, got: int, offset: int) -> None:
    """Fill a buffer that has the first `got` bytes of those at `offset`, and cut it where the file ends by now."""
    while got < len(data):
        with memoryview(data) as view:
            more = os.preadv(descriptor, [view[got:]], offset + got)
        if not more:
            del data[got:]
        got += more


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
