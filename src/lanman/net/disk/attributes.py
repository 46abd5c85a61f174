"""What SMB has of a file and POSIX does not keep: DOS attributes and the time of creation.

What a client has set is kept in one extended attribute, `user.lanman.dos`, little-endian:

    version 2   2 (8 bits), flags (8 bits), the write permissions that READONLY took away (16 bits), the attributes
                (32 bits), the FILETIME of creation or 0 (64 bits). Flag 1: the attributes were set; flag 2: the name
                does not decide about HIDDEN.
    version 1   1 (8 bits), 0 (24 bits), the attributes (32 bits), the FILETIME of creation or 0 (64 bits). Only read.
                It does not tell a HIDDEN that was set from one that the name had made, nor holds READONLY of a file.
    newer ones  are not understood: the file is shown as one of which nothing is kept, the log says so once, and what
                would write over it is refused (`check_writable`).

What no client has set is derived: a file is ARCHIVE, a directory has no further attribute, a name that begins with a
dot is HIDDEN, a file without write permissions is READONLY. Derived attributes are shown and decide nothing, except
that a READONLY file is not written to. `FileStat.set_attributes` are those that were set, and those protect a file from
being deleted or overwritten (MS-FSA 2.1.5.1.2.1). Setting what is shown already sets nothing: clients read attributes
and write them back.

A file that a client makes READONLY loses its write permissions too, so that local programs see it, and gets them back.
Where the disk has no extended attributes, what would be kept there is lost without an error: a client that copies a
file would take that for a failure of the copy.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
import struct
from typing import Final, NamedTuple

from lanman import codes
from lanman.dtyp import FILETIME_MAX, filetime, nanoseconds
from lanman.fscc.attributes import (
    FILE_ATTRIBUTE_ARCHIVE,
    FILE_ATTRIBUTE_DIRECTORY,
    FILE_ATTRIBUTE_HIDDEN,
    FILE_ATTRIBUTE_NORMAL,
    FILE_ATTRIBUTE_READONLY,
)
from lanman.net.disk.system import (
    DiskRefused,
    Statx,
    attribute_at,
    can_get_attribute_at,
    can_reopen,
    proc_fd_path,
)
from lanman.server.disk_effects import SETTABLE_ATTRIBUTES, FileStat
from lanman.versions import NewerVersion, check_version

_log: Final = logging.getLogger("lanman.server")

PREFIX: Final = "user.lanman."
_KEY: Final = PREFIX + "dos"
_KEY_AT: Final = _KEY.encode()
_KEPT: Final = struct.Struct("<BBHIQ")
_FIRST: Final = struct.Struct("<B3xIQ")
_VERSION: Final = 2
_ATTRIBUTES_SET: Final = 1
_HIDDEN_DECIDED: Final = 2

_WRITERS: Final = 0o222

# What getxattr says where there is nothing, or where there can be nothing.
NO_SUCH_ATTRIBUTE: Final = frozenset(
    number for name in ("ENODATA", "ENOATTR") if (number := getattr(errno, name, None)) is not None
)
_NOTHING: Final = NO_SUCH_ATTRIBUTE | {errno.ENOTSUP, errno.ENOSYS, errno.EPERM, errno.EACCES}


class Kept(NamedTuple):
    """What the extended attribute says. `attributes` None: none were set. `by_name`: the name decides about HIDDEN;
    None where version 1 does not tell. `taken` are the write permissions that READONLY took away."""

    attributes: int | None = None
    creation_time: int = 0
    by_name: bool | None = True
    taken: int = 0

    def set_on(self, name: bytes) -> int:
        """The attributes that were set."""
        attributes = self.attributes or 0
        if self.by_name is None and _is_dotted(name):
            attributes &= ~FILE_ATTRIBUTE_HIDDEN
        return attributes

    def is_hidden_by(self, name: bytes) -> bool:
        """Whether it is HIDDEN because of its name alone."""
        if not _is_dotted(name) or self.set_on(name) & FILE_ATTRIBUTE_HIDDEN:
            return False
        if self.by_name is None:
            return bool((self.attributes or 0) & FILE_ATTRIBUTE_HIDDEN)
        return self.by_name


_NOTHING_KEPT: Final = Kept()


def _is_dotted(name: bytes) -> bool:
    return name.startswith(b".")


def read_kept(descriptor: int, name: bytes = b"", *, opened: bool = False) -> Kept | None:
    """What is kept beside an open file, or beside a name in an open directory; None too for a version that is not
    known. `opened`: it is no O_PATH handle, so that it can be asked itself, in a third of the time."""
    raw = _read_raw(descriptor, name, opened=opened)
    if not raw:
        return None
    try:
        check_version(raw[0], _VERSION)
    except NewerVersion as error:
        _warn_of(descriptor, name, error)
        return None
    return _parsed(raw)


def check_writable(descriptor: int) -> None:
    """Raises DiskRefused if a newer lanman has kept something beside an open file, which writing would destroy."""
    _before(descriptor)


def _before(descriptor: int) -> Kept:
    """What is kept and is about to be changed. Raises DiskRefused as `check_writable`."""
    raw = _read_raw(descriptor)
    if not raw:
        return _NOTHING_KEPT
    try:
        check_version(raw[0], _VERSION)
    except NewerVersion as error:
        _warn_of(descriptor, b"", error)
        raise DiskRefused(codes.STATUS_NOT_SUPPORTED) from None
    return _parsed(raw) or _NOTHING_KEPT


# Versions that the log has told of. One sentence names the first such file: a folder may hold thousands of them.
_told: Final[set[int]] = set()


def _warn_of(descriptor: int, name: bytes, error: NewerVersion) -> None:
    if error.found in _told:
        return
    _told.add(error.found)
    folder = "?"
    with contextlib.suppress(OSError):  # where there is no /proc
        folder = os.readlink(f"/proc/self/fd/{descriptor}")
    path = os.path.join(folder, os.fsdecode(name)) if name else folder
    _log.warning("%a: the attribute %s: %s. %s", path, _KEY, error.message, error.hint)


def _read_raw(descriptor: int, name: bytes = b"", *, opened: bool = False) -> bytes:
    """The extended attribute; b"" where there is none."""
    if not hasattr(os, "getxattr"):
        return b""
    try:
        if name:
            if can_get_attribute_at() and (raw := attribute_at(descriptor, name, _KEY_AT)) is not None:
                return raw
            if not can_reopen():
                return b""
            return os.getxattr(b"/proc/self/fd/%d/%b" % (descriptor, name), _KEY, follow_symlinks=False)
        return os.getxattr(descriptor if opened else proc_fd_path(descriptor), _KEY)
    except OSError as error:
        if error.errno in _NOTHING or name:
            return b""
        raise


def _parsed(raw: bytes) -> Kept | None:
    if len(raw) != _KEPT.size:
        return None
    if raw[0] == 1:
        _, attributes, creation_time = _FIRST.unpack(raw)
        return Kept(attributes & SETTABLE_ATTRIBUTES, min(creation_time, FILETIME_MAX), by_name=None)
    version, flags, taken, attributes, creation_time = _KEPT.unpack(raw)
    if version != _VERSION:
        return None
    return Kept(
        attributes & SETTABLE_ATTRIBUTES if flags & _ATTRIBUTES_SET else None,
        min(creation_time, FILETIME_MAX),
        not flags & _HIDDEN_DECIDED,
        taken & _WRITERS,
    )


def _write_kept(descriptor: int, kept: Kept | None) -> None:
    if not hasattr(os, "setxattr"):
        return
    try:
        try:
            _write_raw(descriptor, kept)
        except PermissionError:
            # The extended attributes of a file without write permissions are not writable either (xattr(7)), except
            # to root. SMB lets READONLY files have their attributes set: the owner takes the permission meanwhile.
            mode = stat.S_IMODE(os.stat(descriptor).st_mode)
            if mode & 0o222:
                raise
            os.chmod(proc_fd_path(descriptor), mode | 0o200)
            try:
                _write_raw(descriptor, kept)
            finally:
                os.chmod(proc_fd_path(descriptor), mode)
    except OSError as error:
        if error.errno not in NO_SUCH_ATTRIBUTE and error.errno not in (errno.ENOTSUP, errno.ENOSYS):
            raise


def _write_raw(descriptor: int, kept: Kept | None) -> None:
    if kept is None:
        os.removexattr(proc_fd_path(descriptor), _KEY)
    else:
        flags = (0 if kept.attributes is None else _ATTRIBUTES_SET) | (0 if kept.by_name else _HIDDEN_DECIDED)
        raw = _KEPT.pack(_VERSION, flags, kept.taken, kept.attributes or 0, kept.creation_time)
        os.setxattr(proc_fd_path(descriptor), _KEY, raw)


def _default(statx: Statx) -> int:
    return 0 if stat.S_ISDIR(statx.mode) else FILE_ATTRIBUTE_ARCHIVE


def _is_unwritable(statx: Statx) -> bool:
    return stat.S_ISREG(statx.mode) and not statx.mode & _WRITERS


def file_stat(statx: Statx, kept: Kept | None, name: bytes) -> FileStat:
    """What a client is told. `name` is the last one of the path, b"" of a share's folder itself."""
    device, inode, mode, links, user_id, group_id, size, blocks, accessed, born, changed, written = statx
    kind = stat.S_IFMT(mode)
    directory, sized = kind == stat.S_IFDIR, kind == stat.S_IFREG
    kept = kept or _NOTHING_KEPT
    decided = kept.set_on(name) if kept.attributes is not None else 0
    attributes = decided if kept.attributes is not None else _default(statx)
    if directory:
        attributes |= FILE_ATTRIBUTE_DIRECTORY
    elif sized and not mode & _WRITERS:
        attributes |= FILE_ATTRIBUTE_READONLY
    if _is_dotted(name) and kept.is_hidden_by(name):
        attributes |= FILE_ATTRIBUTE_HIDDEN
    # In the order in which they are declared: a listing makes one of these for each name.
    return FileStat(
        device,
        inode,
        directory,
        size if sized else 0,
        # Some file systems (ext4) count the block that extended attributes lie in, which holds nothing of the file.
        blocks * 512 if sized and size else 0,
        kept.creation_time or filetime(born if born is not None else min(written, changed)),
        filetime(accessed),
        filetime(written),
        filetime(changed),
        attributes or FILE_ATTRIBUTE_NORMAL,
        links,
        mode,
        user_id,
        group_id,
        decided,
    )


def set_attributes(descriptor: int, statx: Statx, name: bytes, attributes: int) -> None:
    """Give an open file these attributes and no others. What is shown already, and was not set, is not set by that."""
    wanted = attributes & SETTABLE_ATTRIBUTES
    before = _before(descriptor)
    by_name: bool | None = True
    if _is_dotted(name):
        by_name = before.is_hidden_by(name) and bool(wanted & FILE_ATTRIBUTE_HIDDEN)
        if by_name:
            wanted &= ~FILE_ATTRIBUTE_HIDDEN
    if _is_unwritable(statx) and not before.set_on(name) & FILE_ATTRIBUTE_READONLY and wanted & FILE_ATTRIBUTE_READONLY:
        kept = wanted & ~FILE_ATTRIBUTE_READONLY
    else:
        kept = wanted
    _keep(descriptor, statx, before, Kept(kept, before.creation_time, by_name), bool(wanted & FILE_ATTRIBUTE_READONLY))


def has_created_attributes(statx: Statx, attributes: int) -> bool:
    """Whether what has just been created is as its client wants it without anything being kept."""
    default = _default(statx)
    return attributes & SETTABLE_ATTRIBUTES | default == default and not _is_unwritable(statx)


def set_created_attributes(descriptor: int, statx: Statx, name: bytes, attributes: int) -> None:
    """The attributes of what has just been created or emptied, which its client has set, every one. Each such file is
    ARCHIVE, and a name with a dot is HIDDEN whether or not the client has asked for that."""
    wanted = attributes & SETTABLE_ATTRIBUTES | _default(statx)
    before = _before(descriptor)
    by_name = not _is_dotted(name) or before == _NOTHING_KEPT or before.is_hidden_by(name)
    _keep(
        descriptor, statx, before, Kept(wanted, before.creation_time, by_name), bool(wanted & FILE_ATTRIBUTE_READONLY)
    )


def _keep(descriptor: int, statx: Statx, before: Kept, now: Kept, read_only: bool) -> None:
    """Keep that, and have the write permissions agree with whether it is READONLY."""
    mode = stat.S_IMODE(statx.mode)
    if stat.S_ISDIR(statx.mode):
        writers = mode & _WRITERS
    elif read_only:
        writers = 0
        now = now._replace(taken=mode & _WRITERS or before.taken)
    else:
        writers = mode & _WRITERS or before.taken or 0o200
    # A file needs a write permission while its extended attribute is written: hence this order.
    if writers and not mode & _WRITERS:
        os.chmod(proc_fd_path(descriptor), mode | writers)
    if now.attributes == _default(statx) and now.by_name and not now.creation_time:
        if before != _NOTHING_KEPT:
            _write_kept(descriptor, None)
    elif now != before:
        _write_kept(descriptor, now)
    if not writers and mode & _WRITERS:
        os.chmod(proc_fd_path(descriptor), mode & ~_WRITERS)


def set_creation_time(descriptor: int, name: bytes, time: int) -> None:
    """Keep a time of creation; the disk's own cannot be changed."""
    before = _before(descriptor)
    if before.by_name is None:
        before = before._replace(
            attributes=before.set_on(name), by_name=not _is_dotted(name) or before.is_hidden_by(name)
        )
    _write_kept(descriptor, before._replace(creation_time=time))


def set_times(descriptor: int, statx: Statx, accessed: int | None, written: int | None) -> None:
    """Set the times that are given, FILETIMEs."""
    os.utime(
        proc_fd_path(descriptor),
        ns=(
            statx.accessed if accessed is None else nanoseconds(accessed),
            statx.written if written is None else nanoseconds(written),
        ),
    )
