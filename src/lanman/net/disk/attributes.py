"""What SMB wants to know about a file and POSIX does not keep: DOS attributes and the time of creation.

READONLY of a file is the absence of every write permission, so that local programs see it and a client sees theirs.
The others, and a time of creation that a client has set, are kept in one extended attribute, `user.lanman.dos`:
a version (one octet, 1), three octets 0, the attributes (32 bits), the FILETIME of creation or 0 (64 bits), all
little-endian. Without it a file is ARCHIVE, a directory is nothing more, and a name that begins with a dot is HIDDEN.
Where the disk has no extended attributes, what would be kept there is lost without an error: a client that copies a
file would take that for a failure of the copy.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from typing import Final, NamedTuple

from lanman.net.disk.system import Facts, can_reopen, reachable
from lanman.server.disk_effects import (
    FILE_ATTRIBUTE_ARCHIVE,
    FILE_ATTRIBUTE_DIRECTORY,
    FILE_ATTRIBUTE_HIDDEN,
    FILE_ATTRIBUTE_NORMAL,
    FILE_ATTRIBUTE_READONLY,
    SETTABLE_ATTRIBUTES,
    FileStat,
)

PREFIX: Final = "user.lanman."
_KEY: Final = PREFIX + "dos"
_KEPT: Final = struct.Struct("<B3xIQ")

# 1601-01-01 to 1970-01-01 in units of 100 ns (MS-DTYP 2.3.3), and the last moment that is not negative.
_FILETIME_EPOCH: Final = 116444736000000000
_FILETIME_MAX: Final = 0x7FFFFFFFFFFFFFFF

# What getxattr says where there is nothing, or where there can be nothing.
NO_SUCH_ATTRIBUTE: Final = frozenset(
    number for name in ("ENODATA", "ENOATTR") if (number := getattr(errno, name, None)) is not None
)
_NOTHING: Final = NO_SUCH_ATTRIBUTE | {errno.ENOTSUP, errno.ENOSYS, errno.EPERM, errno.EACCES}


class Kept(NamedTuple):
    """What the extended attribute says."""

    attributes: int
    creation_time: int


def filetime(nanoseconds: int) -> int:
    """A FILETIME from nanoseconds since 1970."""
    return min(max(nanoseconds // 100 + _FILETIME_EPOCH, 0), _FILETIME_MAX)


def nanoseconds(time: int) -> int:
    """Nanoseconds since 1970 from a FILETIME."""
    return (time - _FILETIME_EPOCH) * 100


def read_kept(descriptor: int, name: bytes = b"") -> Kept | None:
    """What is kept beside an open file, or beside a name in an open directory."""
    if not hasattr(os, "getxattr"):
        return None
    try:
        if name:
            if not can_reopen():
                return None
            raw = os.getxattr(b"/proc/self/fd/%d/%b" % (descriptor, name), _KEY, follow_symlinks=False)
        else:
            raw = os.getxattr(reachable(descriptor), _KEY)
    except OSError as error:
        if error.errno in _NOTHING or name:
            return None
        raise
    if len(raw) != _KEPT.size or raw[0] != 1:
        return None
    _, attributes, creation_time = _KEPT.unpack(raw)
    return Kept(attributes & SETTABLE_ATTRIBUTES, min(creation_time, _FILETIME_MAX))


def _write_kept(descriptor: int, kept: Kept | None) -> None:
    if not hasattr(os, "setxattr"):
        return
    try:
        try:
            _write_raw(descriptor, kept)
        except PermissionError:
            # Beside a file that nobody may write nothing is kept either (xattr(7)), unless one is root. SMB lets
            # READONLY files have their attributes set, so the owner takes the permission for that moment.
            mode = stat.S_IMODE(os.stat(descriptor).st_mode)
            if mode & 0o222:
                raise
            os.chmod(reachable(descriptor), mode | 0o200)
            try:
                _write_raw(descriptor, kept)
            finally:
                os.chmod(reachable(descriptor), mode)
    except OSError as error:
        if error.errno not in NO_SUCH_ATTRIBUTE and error.errno not in (errno.ENOTSUP, errno.ENOSYS):
            raise


def _write_raw(descriptor: int, kept: Kept | None) -> None:
    if kept is None:
        os.removexattr(reachable(descriptor), _KEY)
    else:
        os.setxattr(reachable(descriptor), _KEY, _KEPT.pack(1, *kept))


def _default(facts: Facts, name: bytes) -> int:
    hidden = FILE_ATTRIBUTE_HIDDEN if name.startswith(b".") else 0
    return hidden | (0 if stat.S_ISDIR(facts.mode) else FILE_ATTRIBUTE_ARCHIVE)


def file_stat(facts: Facts, kept: Kept | None, name: bytes) -> FileStat:
    """What a client is told. `name` is the last one of the path, b"" of a share's folder itself."""
    directory = stat.S_ISDIR(facts.mode)
    attributes = kept.attributes if kept is not None else _default(facts, name)
    if directory:
        attributes |= FILE_ATTRIBUTE_DIRECTORY
    elif facts.mode & 0o222 == 0:
        attributes |= FILE_ATTRIBUTE_READONLY
    else:
        attributes &= ~FILE_ATTRIBUTE_READONLY
    born = facts.born if facts.born is not None else min(facts.written, facts.changed)
    return FileStat(
        volume=facts.device,
        file_id=facts.inode,
        directory=directory,
        size=0 if directory else facts.size,
        allocation=0 if directory else facts.blocks * 512,
        creation_time=kept.creation_time if kept is not None and kept.creation_time else filetime(born),
        last_access_time=filetime(facts.accessed),
        last_write_time=filetime(facts.written),
        change_time=filetime(facts.changed),
        attributes=attributes or FILE_ATTRIBUTE_NORMAL,
        links=facts.links,
        mode=facts.mode,
        user_id=facts.user_id,
        group_id=facts.group_id,
    )


def set_attributes(descriptor: int, facts: Facts, name: bytes, attributes: int) -> None:
    """Give an open file these attributes and no others."""
    directory = stat.S_ISDIR(facts.mode)
    wanted = attributes & SETTABLE_ATTRIBUTES
    read_only = bool(wanted & FILE_ATTRIBUTE_READONLY) and not directory
    if not directory:
        wanted &= ~FILE_ATTRIBUTE_READONLY
    was_read_only = facts.mode & 0o222 == 0 and not directory
    # The extended attribute of a file that nobody may write cannot be written as it is: this order lets it be.
    if was_read_only and not read_only:
        os.chmod(reachable(descriptor), stat.S_IMODE(facts.mode) | 0o200)
    before = read_kept(descriptor)
    creation_time = before.creation_time if before is not None else 0
    is_default = wanted == _default(facts, name) and not creation_time
    if before != (now := None if is_default else Kept(wanted, creation_time)):
        _write_kept(descriptor, now)
    if read_only and not was_read_only:
        os.chmod(reachable(descriptor), stat.S_IMODE(facts.mode) & ~0o222)


def set_created_attributes(descriptor: int, facts: Facts, name: bytes, attributes: int) -> None:
    """The attributes of what has just been created or emptied. Every such file is ARCHIVE; a client that asks for
    nothing else leaves a name with a dot HIDDEN."""
    wanted = attributes & SETTABLE_ATTRIBUTES & ~FILE_ATTRIBUTE_ARCHIVE
    if wanted & ~FILE_ATTRIBUTE_READONLY:
        full = wanted | (0 if stat.S_ISDIR(facts.mode) else FILE_ATTRIBUTE_ARCHIVE)
    else:
        full = wanted | _default(facts, name)
    set_attributes(descriptor, facts, name, full)


def set_creation_time(descriptor: int, facts: Facts, name: bytes, time: int) -> None:
    """Keep a time of creation; the disk's own cannot be changed."""
    before = read_kept(descriptor)
    _write_kept(descriptor, Kept(before.attributes if before is not None else _default(facts, name), time))


def set_times(descriptor: int, facts: Facts, accessed: int | None, written: int | None) -> None:
    """Set the times that are given, FILETIMEs."""
    os.utime(
        reachable(descriptor),
        ns=(
            facts.accessed if accessed is None else nanoseconds(accessed),
            facts.written if written is None else nanoseconds(written),
        ),
    )
