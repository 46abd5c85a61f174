"""What the disk asks of the operating system: everything that POSIX leaves open, and what Linux has beyond it.

The rules:

* Python has no openat2(2), statx(2) and renameat2(2); they are called through ctypes where the C library or the kernel
  has them, and their absence is found out by trying, once (`can_resolve_beneath`, `can_reopen`) or at each call. What
  takes their place elsewhere is weaker in one respect each: no link is followed, the time of creation may be unknown,
  another program can take a name in the instant between the look and the rename.
* Every function takes handles of directories and names in them, never a path from the root, but for `open_real`.
* They may be called in any thread. What the C library writes goes into a buffer of the calling thread.
* What the kernel refuses is an OSError, whose NTSTATUS is `status_of`; what a rule of ours refuses is `DiskRefused`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import sys
import threading
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from lanman import codes
from lanman.errors import LanmanError

_STATUS_OF_ERRNO: Final[Mapping[int, int]] = {
    errno.EPERM: codes.STATUS_ACCESS_DENIED,
    errno.EACCES: codes.STATUS_ACCESS_DENIED,
    errno.EBADF: codes.STATUS_ACCESS_DENIED,  # open, but not for what is asked of it
    errno.ELOOP: codes.STATUS_ACCESS_DENIED,  # a link that is not followed
    errno.ENOENT: codes.STATUS_OBJECT_NAME_NOT_FOUND,
    errno.ENOTDIR: codes.STATUS_OBJECT_PATH_NOT_FOUND,
    errno.EEXIST: codes.STATUS_OBJECT_NAME_COLLISION,
    errno.EISDIR: codes.STATUS_FILE_IS_A_DIRECTORY,
    errno.ENOTEMPTY: codes.STATUS_DIRECTORY_NOT_EMPTY,
    errno.ENAMETOOLONG: codes.STATUS_NAME_TOO_LONG,
    errno.EINVAL: codes.STATUS_INVALID_PARAMETER,
    errno.EXDEV: codes.STATUS_NOT_SAME_DEVICE,
    errno.EBUSY: codes.STATUS_SHARING_VIOLATION,
    errno.ETXTBSY: codes.STATUS_SHARING_VIOLATION,
    errno.EAGAIN: codes.STATUS_SHARING_VIOLATION,  # another program holds a lease on it
    errno.ENOMEM: codes.STATUS_INSUFFICIENT_RESOURCES,
    errno.ENFILE: codes.STATUS_TOO_MANY_OPENED_FILES,
    errno.EMFILE: codes.STATUS_TOO_MANY_OPENED_FILES,
    errno.ENOSPC: codes.STATUS_DISK_FULL,
    errno.EDQUOT: codes.STATUS_DISK_FULL,
    errno.EFBIG: codes.STATUS_DISK_FULL,
    errno.EROFS: codes.STATUS_MEDIA_WRITE_PROTECTED,
    errno.ESTALE: codes.STATUS_FILE_DELETED,
    errno.ENODEV: codes.STATUS_NO_SUCH_DEVICE,
    errno.ENXIO: codes.STATUS_NO_SUCH_DEVICE,
    errno.ETIMEDOUT: codes.STATUS_IO_TIMEOUT,
    errno.ENOTSUP: codes.STATUS_NOT_SUPPORTED,
    errno.ENOSYS: codes.STATUS_NOT_SUPPORTED,
}


class DiskRefused(Exception):
    """The disk, or a rule of ours about it, says no: the request fails with this NTSTATUS."""

    def __init__(self, status: int) -> None:
        super().__init__(codes.ntstatus_name(status))
        self.status = status


def status_of(error: OSError) -> int:
    """The NTSTATUS that tells a client what went wrong with the disk."""
    return _STATUS_OF_ERRNO.get(error.errno or 0, codes.STATUS_IO_DEVICE_ERROR)


def check_platform() -> None:
    """Raises LanmanError where a disk that nothing escapes cannot be built."""
    if os.open not in os.supports_dir_fd or not hasattr(os, "O_NOFOLLOW"):
        hint = "Run it on Linux, macOS or another POSIX system."
        if sys.platform == "win32":
            hint += " Windows' own is meant by --service windows."
        raise LanmanError(
            "no Server can be run on this system: it opens nothing by the handle of a directory (openat)",
            code=codes.ERROR_NOT_SUPPORTED,
            hint=hint,
        )


# (The constants that Windows has not are 0 here, so that it can say what it lacks: see check_platform.)
#
# O_PATH names a file without opening it: nothing happens to a FIFO or a device, and no permission is needed. Elsewhere
# O_NONBLOCK has to do.
O_PATH: Final = getattr(os, "O_PATH", 0)
O_NOFOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
O_DIRECTORY: Final = getattr(os, "O_DIRECTORY", 0)
OPENING: Final = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_CLOEXEC", 0)
NAMING: Final = (O_PATH | os.O_CLOEXEC if O_PATH else os.O_RDONLY | OPENING) | O_NOFOLLOW

# As many links as the kernel follows in one path.
MAX_LINKS: Final = 40

# A change this many nanoseconds ago may not show in a directory's time, which moves in ticks of the kernel's clock.
CLOCK_TICK: Final = 20_000_000

_AT_SYMLINK_NOFOLLOW: Final = 0x100
_AT_EMPTY_PATH: Final = 0x1000
_STATX_BTIME: Final = 0x800
_STATX_BASIC_AND_BTIME: Final = 0xFFF
_SYS_OPENAT2: Final = 437  # the same on every architecture but alpha
_SYS_GETXATTRAT: Final = 464  # since Linux 6.13, likewise
_RESOLVE_NO_MAGICLINKS: Final = 0x02
_RESOLVE_BENEATH: Final = 0x08
_RENAME_NOREPLACE: Final = 1
_EAGAIN_TRIES: Final = 32

_OPEN_HOW: Final = struct.Struct("=QQQ")
_XATTR_ARGS: Final = struct.Struct("=QII")
_STATX: Final = struct.Struct("=IIQIIIHxxQQQQ" + "qIxxxx" * 4 + "IIII")

_LINUX: Final = sys.platform == "linux"
_libc: Final = ctypes.CDLL(None, use_errno=True) if _LINUX else None


def _function(name: str, *argtypes: Any) -> Any:
    """A function of the C library that sets errno; None if it has no such function."""
    try:
        function = _libc[name] if _libc is not None else None  # each time a new one
    except AttributeError:
        return None
    if function is not None:
        function.argtypes = argtypes
        function.restype = ctypes.c_int
    return function


_int, _bytes = ctypes.c_int, ctypes.c_char_p
_syscall: Final = _function("syscall", ctypes.c_long, _int, _bytes, _bytes, ctypes.c_size_t)
_syscall_at: Final = _function("syscall", ctypes.c_long, _int, _bytes, ctypes.c_uint, _bytes, _bytes, ctypes.c_size_t)
_statx: Final = _function("statx", _int, _bytes, _int, ctypes.c_uint, ctypes.c_char_p)
_renameat2: Final = _function("renameat2", _int, _bytes, _int, _bytes, ctypes.c_uint)
_fstatfs: Final = _function("fstatfs", _int, ctypes.c_char_p)

# `f_type` is the first member of struct statfs: a word, on s390 half of one.
_STATFS_TYPE: Final = struct.Struct("=I" if _LINUX and os.uname().machine.startswith("s390") else "@L")


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))


def _openat2(directory: int, path: bytes, flags: int) -> int:
    how = _OPEN_HOW.pack(flags | os.O_CLOEXEC, 0, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
    for _ in range(_EAGAIN_TRIES):
        descriptor = _syscall(_SYS_OPENAT2, directory, path, how, len(how))
        if descriptor >= 0:
            return int(descriptor)
        # EAGAIN: something on the way was renamed meanwhile, and the kernel cannot tell whether `..` left.
        if ctypes.get_errno() not in (errno.EAGAIN, errno.EINTR):
            break
    raise _error()


@cache
def can_resolve_beneath() -> bool:
    """Whether the kernel can follow links without leaving a directory (Linux 5.6; some containers forbid it)."""
    if _syscall is None or not O_PATH or os.uname().machine == "alpha":
        return False
    try:
        root = os.open("/", O_PATH | os.O_CLOEXEC)
        try:
            os.close(_openat2(root, b".", O_PATH))
        finally:
            os.close(root)
    except OSError:
        return False
    return True


@cache
def can_reopen() -> bool:
    """Whether an O_PATH handle can be turned into one to read and write with, by way of /proc."""
    if not O_PATH:
        return False
    try:
        root = os.open("/", O_PATH | os.O_CLOEXEC)
        try:
            os.close(os.open(f"/proc/self/fd/{root}", os.O_RDONLY | os.O_CLOEXEC))
        finally:
            os.close(root)
    except OSError:
        return False
    return True


def open_beneath(directory: int, path: bytes, flags: int) -> int:
    """Open a relative path, following links that stay below `directory`. Only where `can_resolve_beneath`."""
    return _openat2(directory, path, flags)


def open_real(path: str) -> int:
    """A handle of a directory by its real path: raises NotADirectoryError or ELOOP where a link is on the way."""
    current = os.open("/", (O_PATH or os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in path.split("/"):
            if name:
                following = os.open(name, NAMING | os.O_DIRECTORY, dir_fd=current)
                os.close(current)
                current = following
    except BaseException:
        os.close(current)
        raise
    return current


def proc_fd_path(descriptor: int) -> str | int:
    """`/proc/self/fd/N` of an open file, for calls that refuse an O_PATH handle; without /proc the handle itself."""
    return f"/proc/self/fd/{descriptor}" if can_reopen() else descriptor


class _Buffer(threading.local):
    """Where statx and getxattrat write; one for each thread."""

    def __init__(self) -> None:
        self.raw = ctypes.create_string_buffer(256)
        self.whole = _XATTR_ARGS.pack(ctypes.addressof(self.raw), len(self.raw), 0)


_buffer: Final = _Buffer()


class Statx(NamedTuple):
    """What statx(2) says of a file; times are nanoseconds since 1970, `born` None where the disk does not know.

    `blocks` are of 512 bytes each. Where there is no statx it is what fstatat(2) says."""

    device: int
    inode: int
    mode: int
    links: int
    user_id: int
    group_id: int
    size: int
    blocks: int
    accessed: int
    born: int | None
    changed: int
    written: int

    @property
    def identity(self) -> tuple[int, int]:
        """Equal for two files exactly if they are one, as long as one of them is open."""
        return self.device, self.inode


def statx(directory: int, name: bytes = b"") -> Statx:
    """Statx of a name in a directory, links not followed; without a name, of the open file itself. Raises OSError."""
    if _statx is None:
        return _portable_stat(directory, name)
    buffer = _buffer.raw
    flags = _AT_SYMLINK_NOFOLLOW if name else _AT_EMPTY_PATH
    if _statx(directory, name, flags, _STATX_BASIC_AND_BTIME, buffer) != 0:
        if ctypes.get_errno() in (errno.ENOSYS, errno.EPERM):  # a container that does not know it
            return _portable_stat(directory, name)
        raise _error()
    # fmt: off
    (mask, _, _, links, user, group, mode, inode, size, blocks, _, accessed, accessed_ns, born, born_ns,
     changed, changed_ns, written, written_ns, _, _, major, minor) = _STATX.unpack_from(buffer)
    # fmt: on
    return Statx(
        os.makedev(major, minor),
        inode,
        mode,
        links,
        user,
        group,
        size,
        blocks,
        accessed * 1_000_000_000 + accessed_ns,
        born * 1_000_000_000 + born_ns if mask & _STATX_BTIME else None,
        changed * 1_000_000_000 + changed_ns,
        written * 1_000_000_000 + written_ns,
    )


def _portable_stat(directory: int, name: bytes) -> Statx:
    found = os.stat(name, dir_fd=directory, follow_symlinks=False) if name else os.fstat(directory)
    born = getattr(found, "st_birthtime", None)
    return Statx(
        found.st_dev,
        found.st_ino,
        found.st_mode,
        found.st_nlink,
        found.st_uid,
        found.st_gid,
        found.st_size,
        found.st_blocks,
        found.st_atime_ns,
        int(born * 1_000_000_000) if born is not None else None,
        found.st_ctime_ns,
        found.st_mtime_ns,
    )


def attribute_at(directory: int, name: bytes, key: bytes) -> bytes | None:
    """An extended attribute of a name in a directory, links not followed; b"" where there is none, or none for this
    process; None for more than 256 bytes. Only where `can_get_attribute_at`."""
    buffer = _buffer.raw
    size = _syscall_at(_SYS_GETXATTRAT, directory, name, _AT_SYMLINK_NOFOLLOW, key, _buffer.whole, _XATTR_ARGS.size)
    if size >= 0:
        return buffer.raw[:size]
    return None if ctypes.get_errno() == errno.ERANGE else b""


@cache
def can_get_attribute_at() -> bool:
    """Whether the kernel can be asked for an extended attribute by a directory and a name, without the way through
    /proc, which takes twice as long."""
    if _syscall_at is None or not O_PATH or os.uname().machine == "alpha":
        return False
    try:
        root = os.open("/", O_PATH | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        asked = (root, b".", 0, b"user.lanman", _buffer.whole, _XATTR_ARGS.size)
        return _syscall_at(_SYS_GETXATTRAT, *asked) >= 0 or ctypes.get_errno() not in (errno.ENOSYS, errno.EPERM)
    finally:
        os.close(root)


def file_system_type(descriptor: int) -> int | None:
    """`f_type` of the file system that what is open lies on (statfs(2)), 32 bits; None where there is no such thing."""
    if _fstatfs is None:
        return None
    buffer = _buffer.raw
    if _fstatfs(descriptor, buffer) != 0:
        raise _error()
    return int(_STATFS_TYPE.unpack_from(buffer)[0]) & 0xFFFFFFFF


# f_type of statfs(2), of file systems that ask nobody else what a file's times are (linux/magic.h).
# fmt: off
_OF_THIS_MACHINE: Final = {
    0xEF53: "ext2, ext3, ext4", 0x58465342: "xfs", 0x9123683E: "btrfs", 0x01021994: "tmpfs", 0x794C7630: "overlay",
    0xF2F52010: "f2fs", 0x2FC12FC1: "zfs", 0xCA451A4E: "bcachefs", 0x858458F6: "ramfs", 0x3153464A: "jfs",
    0x52654973: "reiserfs",
}
# fmt: on


# Of those, the ones that tell of an open file without asking a disk, whose time of change moves whenever an extended
# attribute is written, and that close what was only read without waiting. An overlay may lie on anything.
_TELL_AT_ONCE: Final = {0xEF53, 0x58465342, 0x9123683E, 0x01021994}


def tells_at_once(descriptor: int) -> bool:
    """Whether statx(2) of what is open waits for no disk and for no network, nor close(2) of it if it was not written
    to and still has a name. False where that cannot be found out."""
    try:
        return file_system_type(descriptor) in _TELL_AT_ONCE
    except OSError:
        return False


def is_at_hand(path: str | os.PathLike[str]) -> bool:
    """Whether a file is known to lie on a disk or in the memory of this machine, so that a look at its times waits for
    no network. False where that cannot be found out."""
    try:
        descriptor = os.open(path, O_PATH | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return file_system_type(descriptor) in _OF_THIS_MACHINE
    except OSError:
        return False
    finally:
        os.close(descriptor)


def rename_noreplace(source: int, name: bytes, target: int, new_name: bytes) -> None:
    """Rename by renameat2(RENAME_NOREPLACE): raises FileExistsError if the new name is taken.

    Where the file system or the C library cannot, the name is looked for first, so that another program may take it in
    between; names that this Server takes are serialised by `Folder.changing`."""
    if _renameat2 is not None:
        if _renameat2(source, name, target, new_name, _RENAME_NOREPLACE) == 0:
            return
        # EINVAL: this file system cannot; but also a directory that is to go below itself, which rename() refuses too.
        if ctypes.get_errno() not in (errno.EINVAL, errno.ENOSYS):
            raise _error()
    try:
        os.stat(new_name, dir_fd=target, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=target)
    else:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))


def check_room(descriptor: int, size: int) -> None:
    """Whether the file system has room for a file of `size` bytes. Raises OSError with ENOSPC. Nothing is preallocated:
    one request could take all that is left."""
    volume = os.fstatvfs(descriptor)
    has = os.fstat(descriptor).st_blocks * 512
    if volume.f_blocks and size > has + volume.f_bavail * (volume.f_frsize or volume.f_bsize):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def is_shareable(mode: int) -> bool:
    """A file or a directory; FIFOs, sockets, devices and links are none."""
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)
