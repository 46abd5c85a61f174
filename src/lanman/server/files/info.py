"""The structures of QUERY_INFO and SET_INFO (MS-FSCC 2.4, 2.5), to and from what the disk knows."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from lanman.server.disk_effects import (
    FILE_ATTRIBUTE_DIRECTORY,
    FILE_ATTRIBUTE_TEMPORARY,
    NAME_MAX,
    SETTABLE_ATTRIBUTES,
    FileStat,
    SetFile,
    VolumeStat,
)

# MS-FSCC 2.4
FILE_BASIC_INFORMATION: Final = 4
FILE_STANDARD_INFORMATION: Final = 5
FILE_INTERNAL_INFORMATION: Final = 6
FILE_EA_INFORMATION: Final = 7
FILE_ACCESS_INFORMATION: Final = 8
FILE_RENAME_INFORMATION: Final = 10
FILE_LINK_INFORMATION: Final = 11
FILE_DISPOSITION_INFORMATION: Final = 13
FILE_POSITION_INFORMATION: Final = 14
FILE_FULL_EA_INFORMATION: Final = 15
FILE_MODE_INFORMATION: Final = 16
FILE_ALIGNMENT_INFORMATION: Final = 17
FILE_ALL_INFORMATION: Final = 18
FILE_ALLOCATION_INFORMATION: Final = 19
FILE_END_OF_FILE_INFORMATION: Final = 20
FILE_ALTERNATE_NAME_INFORMATION: Final = 21
FILE_STREAM_INFORMATION: Final = 22
FILE_COMPRESSION_INFORMATION: Final = 28
FILE_NETWORK_OPEN_INFORMATION: Final = 34
FILE_ATTRIBUTE_TAG_INFORMATION: Final = 35
FILE_NORMALIZED_NAME_INFORMATION: Final = 48
FILE_ID_INFORMATION: Final = 59
FILE_DISPOSITION_INFORMATION_EX: Final = 64
FILE_RENAME_INFORMATION_EX: Final = 65

# MS-FSCC 2.5
FILE_FS_VOLUME_INFORMATION: Final = 1
FILE_FS_SIZE_INFORMATION: Final = 3
FILE_FS_DEVICE_INFORMATION: Final = 4
FILE_FS_ATTRIBUTE_INFORMATION: Final = 5
FILE_FS_CONTROL_INFORMATION: Final = 6
FILE_FS_FULL_SIZE_INFORMATION: Final = 7
FILE_FS_OBJECT_ID_INFORMATION: Final = 8
FILE_FS_SECTOR_SIZE_INFORMATION: Final = 11

# MS-FSCC 2.5.1: names keep their case and are Unicode; no security that could be set, no streams, no extended
# attributes.
_FILE_SYSTEM_ATTRIBUTES: Final = 0x00000002 | 0x00000004
_READ_ONLY_VOLUME: Final = 0x00080000
_DISK_DEVICE: Final = 7
_REMOTE_DEVICE: Final = 0x00000010
_READ_ONLY_DEVICE: Final = 0x00000002

# What a time of SET_INFO may say beside a time (MS-FSCC 2.4.7): leave it; and from now on leave it alone, or no longer.
_FREEZE: Final = 0xFFFFFFFFFFFFFFFF
_THAW: Final = 0xFFFFFFFFFFFFFFFE
_LEAVE: Final = frozenset({0, _FREEZE, _THAW})

_BASIC: Final = struct.Struct("<QQQQI4x")
_STANDARD: Final = struct.Struct("<QQIBB2x")
_NETWORK_OPEN: Final = struct.Struct("<QQQQQQI4x")
_RENAME: Final = struct.Struct("<B7xQI")


# What a new name may have, in bytes: as much as that of a CREATE (MS-SMB2 2.2.13).
MAX_NEW_NAME: Final = 65534
MAX_SET_INFO: Final = MAX_NEW_NAME + _RENAME.size


class BadLength(Exception):
    """What came is too short for what it is to be: STATUS_INFO_LENGTH_MISMATCH."""


@dataclass(slots=True)
class Subject:
    """What is asked about, and what floor 2 knows of it beside the disk."""

    stat: FileStat
    name: str  # below the share, with a backslash in front
    access: int
    mode: int  # the create options that stay
    position: int
    delete_pending: bool


def _basic(subject: Subject) -> bytes:
    stat = subject.stat
    times = (stat.creation_time, stat.last_access_time, stat.last_write_time, stat.change_time)
    return _BASIC.pack(*times, stat.attributes)


def _standard(subject: Subject) -> bytes:
    stat = subject.stat
    links = max(stat.links - subject.delete_pending, 0) if not stat.directory else 1
    size = 0 if stat.directory else stat.size
    allocation = 0 if stat.directory else stat.allocation
    return _STANDARD.pack(allocation, size, links, subject.delete_pending, stat.directory)


def _name(subject: Subject) -> bytes:
    name = subject.name.encode("utf-16-le", "surrogatepass")
    return struct.pack("<I", len(name)) + name


def _all(subject: Subject) -> bytes:
    middle = struct.pack("<QIIQII", subject.stat.file_id, 0, subject.access, subject.position, subject.mode, 0)
    return _basic(subject) + _standard(subject) + middle + _name(subject)


def _network_open(subject: Subject) -> bytes:
    stat = subject.stat
    times = (stat.creation_time, stat.last_access_time, stat.last_write_time, stat.change_time)
    sizes = (0, 0) if stat.directory else (stat.allocation, stat.size)
    return _NETWORK_OPEN.pack(*times, *sizes, stat.attributes)


def _streams(subject: Subject) -> bytes:
    if subject.stat.directory:
        return b""
    name = "::$DATA".encode("utf-16-le")
    return struct.pack("<IIQQ", 0, len(name), subject.stat.size, subject.stat.allocation) + name


def _normalized_name(subject: Subject) -> bytes:
    name = subject.name.lstrip("\\").encode("utf-16-le", "surrogatepass")
    return struct.pack("<I", len(name)) + name


# A name of eight and three characters (MS-FSCC 2.1.5.2.1).
_SHORT: Final = re.compile(r"[A-Z0-9!#$%&'()\-@^_`{}~]{1,8}(\.[A-Z0-9!#$%&'()\-@^_`{}~]{1,3})?", re.IGNORECASE)


def short_name(name: str) -> str:
    """The short name that a file has: its own, if it is one. Every other has none, since a name that is made up would
    not open the file, or open another; that is told as an empty name, as smbclient's `allinfo` gives up at
    STATUS_OBJECT_NAME_NOT_FOUND (MS-FSA 2.1.5.12.2)."""
    return name if _SHORT.fullmatch(name) else ""


def _alternate_name(subject: Subject) -> bytes:
    name = short_name(subject.name.rpartition("\\")[2]).encode("utf-16-le")
    return struct.pack("<I", len(name)) + name


@dataclass(frozen=True, slots=True)
class FileClass:
    """One class of QUERY_INFO: how it is made, and the bytes below which nobody can say anything in it."""

    pack: Callable[[Subject], bytes]
    minimum: int
    variable: bool = False  # what does not fit is cut, and STATUS_BUFFER_OVERFLOW says so


FILE_CLASSES: Final[Mapping[int, FileClass]] = {
    FILE_BASIC_INFORMATION: FileClass(_basic, 40),
    FILE_STANDARD_INFORMATION: FileClass(_standard, 24),
    FILE_INTERNAL_INFORMATION: FileClass(lambda subject: struct.pack("<Q", subject.stat.file_id), 8),
    FILE_EA_INFORMATION: FileClass(lambda subject: bytes(4), 4),
    FILE_ACCESS_INFORMATION: FileClass(lambda subject: struct.pack("<I", subject.access), 4),
    FILE_POSITION_INFORMATION: FileClass(lambda subject: struct.pack("<Q", subject.position), 8),
    FILE_MODE_INFORMATION: FileClass(lambda subject: struct.pack("<I", subject.mode), 4),
    FILE_ALIGNMENT_INFORMATION: FileClass(lambda subject: bytes(4), 4),
    FILE_ALL_INFORMATION: FileClass(_all, 104, variable=True),
    FILE_ALTERNATE_NAME_INFORMATION: FileClass(_alternate_name, 8, variable=True),
    FILE_STREAM_INFORMATION: FileClass(_streams, 32, variable=True),
    FILE_COMPRESSION_INFORMATION: FileClass(lambda subject: struct.pack("<QHBBB3x", subject.stat.size, 0, 0, 0, 0), 16),
    FILE_NETWORK_OPEN_INFORMATION: FileClass(_network_open, 56),
    FILE_ATTRIBUTE_TAG_INFORMATION: FileClass(lambda subject: struct.pack("<II", subject.stat.attributes, 0), 8),
    FILE_NORMALIZED_NAME_INFORMATION: FileClass(_normalized_name, 8, variable=True),
    FILE_ID_INFORMATION: FileClass(
        lambda subject: struct.pack("<QQQ", subject.stat.volume & 0xFFFFFFFFFFFFFFFF, subject.stat.file_id, 0), 24
    ),
}


# 3.3.5.20.1: the classes that tell attributes or times.
NEED_ATTRIBUTES: Final = frozenset(
    {
        FILE_BASIC_INFORMATION,
        FILE_ALL_INFORMATION,
        FILE_NETWORK_OPEN_INFORMATION,
        FILE_ATTRIBUTE_TAG_INFORMATION,
    }
)


# --- the volume


@dataclass(slots=True)
class Volume:
    """A share's disk, and what the share calls it."""

    stat: VolumeStat
    label: str
    file_system: str

    @property
    def units(self) -> tuple[int, int]:
        """All allocation units, and those that an ordinary user may use."""
        block = self.stat.block_size
        return self.stat.total // block, self.stat.available // block


_SECTOR: Final = 512


def _fs_volume(volume: Volume) -> bytes:
    label = volume.label.encode("utf-16-le", "surrogatepass")
    head = struct.pack("<QIIBx", volume.stat.creation_time, volume.stat.serial & 0xFFFFFFFF, len(label), 0)
    return head + label


def _sectors(volume: Volume) -> int:
    return max(volume.stat.block_size // _SECTOR, 1)


def _fs_size(volume: Volume) -> bytes:
    total, available = volume.units
    return struct.pack("<QQII", total, available, _sectors(volume), _SECTOR)


def _fs_full_size(volume: Volume) -> bytes:
    # What the disk keeps back for root is nobody's room: both counts are what an ordinary user may use.
    total, available = volume.units
    return struct.pack("<QQQII", total, available, available, _sectors(volume), _SECTOR)


def _fs_device(volume: Volume) -> bytes:
    return struct.pack("<II", _DISK_DEVICE, _REMOTE_DEVICE | (_READ_ONLY_DEVICE if volume.stat.read_only else 0))


def _fs_attribute(volume: Volume) -> bytes:
    name = volume.file_system.encode("utf-16-le")
    attributes = _FILE_SYSTEM_ATTRIBUTES | (_READ_ONLY_VOLUME if volume.stat.read_only else 0)
    return struct.pack("<III", attributes, NAME_MAX, len(name)) + name


def _fs_sector_size(volume: Volume) -> bytes:
    block = volume.stat.block_size
    # MS-FSCC 2.5.8: logical and physical sectors, and that nobody knows how partitions are aligned.
    return struct.pack("<IIIIIII", _SECTOR, block, block, block, 0x3, 0, 0)


@dataclass(frozen=True, slots=True)
class VolumeClass:
    pack: Callable[[Volume], bytes]
    minimum: int
    variable: bool = False


VOLUME_CLASSES: Final[Mapping[int, VolumeClass]] = {
    FILE_FS_VOLUME_INFORMATION: VolumeClass(_fs_volume, 24, variable=True),
    FILE_FS_SIZE_INFORMATION: VolumeClass(_fs_size, 24),
    FILE_FS_DEVICE_INFORMATION: VolumeClass(_fs_device, 8),
    FILE_FS_ATTRIBUTE_INFORMATION: VolumeClass(_fs_attribute, 16, variable=True),
    # No quota, and no limit by default (MS-FSCC 2.5.2).
    FILE_FS_CONTROL_INFORMATION: VolumeClass(lambda volume: struct.pack("<qqqqqI4x", 0, 0, 0, -1, -1, 0), 48),
    FILE_FS_FULL_SIZE_INFORMATION: VolumeClass(_fs_full_size, 32),
    FILE_FS_OBJECT_ID_INFORMATION: VolumeClass(
        lambda volume: struct.pack("<QQ48x", volume.stat.serial & 0xFFFFFFFFFFFFFFFF, 0), 64
    ),
    FILE_FS_SECTOR_SIZE_INFORMATION: VolumeClass(_fs_sector_size, 28),
}


# --- setting


def read_basic(data: bytes, handle: int, directory: bool) -> SetFile:
    """FileBasicInformation (MS-FSCC 2.4.7): what it changes. ValueError: what such a file cannot be, or is no time."""
    if len(data) < 36:
        raise BadLength
    creation, access, write, change, attributes = struct.unpack_from("<QQQQI", data)
    times = [None if time in _LEAVE else time for time in (creation, access, write, change)]
    if any(time is not None and time >= 1 << 63 for time in times):
        raise ValueError("a time before 1601")
    # MS-FSA 2.1.5.15.2
    if (attributes & FILE_ATTRIBUTE_DIRECTORY and not directory) or (
        attributes & FILE_ATTRIBUTE_TEMPORARY and directory
    ):
        raise ValueError("an attribute of the other kind")
    return SetFile(
        handle,
        attributes=attributes & SETTABLE_ATTRIBUTES if attributes else None,
        creation_time=times[0],
        last_access_time=times[1],
        last_write_time=times[2],
        keeps_access_time=_keeps(access),
        keeps_write_time=_keeps(write),
    )


def _keeps(time: int) -> bool | None:
    """Whether a time stays from now on, whatever this open does: an explicit one does (MS-FSA 2.1.5.15.2). None: what
    held before."""
    return None if time == 0 else time != _THAW


@dataclass(slots=True)
class NewName:
    """FileRenameInformation and FileLinkInformation (MS-FSCC 2.4.37.2, 2.4.21.2): a path below the share."""

    name: str
    replace: bool


def read_new_name(data: bytes) -> NewName:
    """Raises BadLength, and ValueError for what is no name: a RootDirectory, an odd length, no UTF-16."""
    if len(data) < _RENAME.size:
        raise BadLength
    replace, root, length = _RENAME.unpack_from(data)
    if length > MAX_NEW_NAME:
        raise ValueError("longer than any name")
    name = data[_RENAME.size : _RENAME.size + length]
    if len(name) != length:
        raise BadLength
    if root or length % 2 or not length:
        raise ValueError("not a name below the share")
    return NewName(name.decode("utf-16-le"), bool(replace))


def read_number(data: bytes) -> int:
    """A signed number of 8 bytes that is not negative: an end of file, an allocation, a position."""
    if len(data) < 8:
        raise BadLength
    (number,) = struct.unpack_from("<q", data)
    if number < 0:
        raise ValueError("negative")
    return int(number)


def read_flag(data: bytes) -> bool:
    """One byte: FileDispositionInformation."""
    if not data:
        raise BadLength
    return bool(data[0])
