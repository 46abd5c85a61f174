"""QUERY_INFO and SET_INFO: the information classes of MS-FSCC 2.4 and 2.5, made from what the disk's effects tell.

  - A class of QUERY_INFO is an entry of FILE_CLASSES or VOLUME_CLASSES: a function that makes its structure
    (`lanman.fscc`), the size below which a buffer is refused with STATUS_INFO_LENGTH_MISMATCH, and whether it may be
    cut with STATUS_BUFFER_OVERFLOW.
  - What SET_INFO brings is unpacked by `lanman.fscc` and checked here: CutShort is STATUS_INFO_LENGTH_MISMATCH, any
    other error STATUS_INVALID_PARAMETER. The result is an effect, which the caller performs.
  - A directory has no size. There are no extended attributes, streams, quotas or generated short names.

Nothing here performs an effect or waits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from lanman.dtyp import FILETIME_MAX
from lanman.fscc.attributes import FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_TEMPORARY
from lanman.fscc.files import (
    FILE_ACCESS_INFORMATION,
    FILE_ALIGNMENT_INFORMATION,
    FILE_ALL_INFORMATION,
    FILE_ALTERNATE_NAME_INFORMATION,
    FILE_ATTRIBUTE_TAG_INFORMATION,
    FILE_BASIC_INFORMATION,
    FILE_COMPRESSION_INFORMATION,
    FILE_EA_INFORMATION,
    FILE_ID_INFORMATION,
    FILE_INTERNAL_INFORMATION,
    FILE_MODE_INFORMATION,
    FILE_NETWORK_OPEN_INFORMATION,
    FILE_NORMALIZED_NAME_INFORMATION,
    FILE_POSITION_INFORMATION,
    FILE_STANDARD_INFORMATION,
    FILE_STREAM_INFORMATION,
    MAX_NEW_NAME,
    TIME_FREEZE,
    TIME_KEEP,
    TIME_THAW,
    FileAccessInformation,
    FileAlignmentInformation,
    FileAllInformation,
    FileAttributeTagInformation,
    FileBasicInformation,
    FileCompressionInformation,
    FileEaInformation,
    FileIdInformation,
    FileInternalInformation,
    FileModeInformation,
    FileNameInformation,
    FileNetworkOpenInformation,
    FilePositionInformation,
    FileRenameInformation,
    FileStandardInformation,
    FileStreamInformation,
)
from lanman.fscc.volumes import (
    FILE_CASE_PRESERVED_NAMES,
    FILE_DEVICE_DISK,
    FILE_FS_ATTRIBUTE_INFORMATION,
    FILE_FS_CONTROL_INFORMATION,
    FILE_FS_DEVICE_INFORMATION,
    FILE_FS_FULL_SIZE_INFORMATION,
    FILE_FS_OBJECT_ID_INFORMATION,
    FILE_FS_SECTOR_SIZE_INFORMATION,
    FILE_FS_SIZE_INFORMATION,
    FILE_FS_VOLUME_INFORMATION,
    FILE_READ_ONLY_DEVICE,
    FILE_READ_ONLY_VOLUME,
    FILE_REMOTE_DEVICE,
    FILE_UNICODE_ON_DISK,
    SSINFO_FLAGS_ALIGNED_DEVICE,
    SSINFO_FLAGS_PARTITION_ALIGNED_ON_DEVICE,
    FileFsAttributeInformation,
    FileFsControlInformation,
    FileFsDeviceInformation,
    FileFsFullSizeInformation,
    FileFsObjectIdInformation,
    FileFsSectorSizeInformation,
    FileFsSizeInformation,
    FileFsVolumeInformation,
)
from lanman.plain import dataclass
from lanman.server.disk_effects import NAME_MAX, SETTABLE_ATTRIBUTES, FileStat, SetFile, VolumeStat
from lanman.wire import Structure

# MS-FSCC 2.5.1: names keep their case and are Unicode; no security that could be set, no streams, no extended
# attributes.
_FILE_SYSTEM_ATTRIBUTES: Final = FILE_CASE_PRESERVED_NAMES | FILE_UNICODE_ON_DISK

# Values of a time in FileBasicInformation that set no time.
_LEAVE: Final = frozenset({TIME_KEEP, TIME_FREEZE, TIME_THAW})

_64_BITS: Final = 0xFFFFFFFFFFFFFFFF

# No class of SET_INFO has more behind its fixed part than a name.
MAX_SET_INFO: Final = MAX_NEW_NAME + 20


@dataclass(slots=True)
class Subject:
    """The file that is asked about: its FileStat, and what its open knows."""

    stat: FileStat
    name: str  # below the share, with a backslash in front
    access: int
    mode: int  # the create options that stay
    position: int
    delete_pending: bool


def _basic(subject: Subject) -> FileBasicInformation:
    stat = subject.stat
    return FileBasicInformation(
        stat.creation_time, stat.last_access_time, stat.last_write_time, stat.change_time, stat.attributes
    )


def _standard(subject: Subject) -> FileStandardInformation:
    stat = subject.stat
    links = max(stat.links - subject.delete_pending, 0) if not stat.directory else 1
    size = 0 if stat.directory else stat.size
    allocation = 0 if stat.directory else stat.allocation
    return FileStandardInformation(allocation, size, links, subject.delete_pending, stat.directory)


def _all(subject: Subject) -> FileAllInformation:
    return FileAllInformation(
        _basic(subject),
        _standard(subject),
        FileInternalInformation(subject.stat.file_id),
        FileEaInformation(0),
        FileAccessInformation(subject.access),
        FilePositionInformation(subject.position),
        FileModeInformation(subject.mode),
        FileAlignmentInformation(0),
        subject.name,
    )


def _network_open(subject: Subject) -> FileNetworkOpenInformation:
    stat = subject.stat
    sizes = (0, 0) if stat.directory else (stat.allocation, stat.size)
    times = (stat.creation_time, stat.last_access_time, stat.last_write_time, stat.change_time)
    return FileNetworkOpenInformation(*times, *sizes, stat.attributes)


def _streams(subject: Subject) -> bytes:
    if subject.stat.directory:
        return b""
    return FileStreamInformation("::$DATA", subject.stat.size, subject.stat.allocation).pack()


# A name of eight and three characters (MS-FSCC 2.1.5.2.1).
_SHORT: Final = re.compile(r"[A-Z0-9!#$%&'()\-@^_`{}~]{1,8}(\.[A-Z0-9!#$%&'()\-@^_`{}~]{1,3})?", re.IGNORECASE)


def short_name(name: str) -> str:
    """The short name of a file: its own, if that is one, else "".

    A generated name would not open the file, or would open another. A file without one should be answered with
    STATUS_OBJECT_NAME_NOT_FOUND (MS-FSA 2.1.5.12.4), at which smbclient's `allinfo` gives up; hence the empty name.
    """
    return name if _SHORT.fullmatch(name) else ""


def _alternate_name(subject: Subject) -> FileNameInformation:
    return FileNameInformation(short_name(subject.name.rpartition("\\")[2]))


@dataclass(frozen=True, slots=True)
class FileClass:
    """One class of QUERY_INFO: how it is made, and the smallest buffer that is accepted for it."""

    describe: Callable[[Subject], Structure | bytes]
    minimum: int
    variable: bool = False  # what does not fit is cut, and STATUS_BUFFER_OVERFLOW says so

    def pack(self, subject: Subject) -> bytes:
        """The class's bytes, all of them."""
        described = self.describe(subject)
        return described if isinstance(described, bytes) else described.pack()


FILE_CLASSES: Final[Mapping[int, FileClass]] = {
    FILE_BASIC_INFORMATION: FileClass(_basic, 40),
    FILE_STANDARD_INFORMATION: FileClass(_standard, 24),
    FILE_INTERNAL_INFORMATION: FileClass(lambda subject: FileInternalInformation(subject.stat.file_id), 8),
    FILE_EA_INFORMATION: FileClass(lambda subject: FileEaInformation(0), 4),
    FILE_ACCESS_INFORMATION: FileClass(lambda subject: FileAccessInformation(subject.access), 4),
    FILE_POSITION_INFORMATION: FileClass(lambda subject: FilePositionInformation(subject.position), 8),
    FILE_MODE_INFORMATION: FileClass(lambda subject: FileModeInformation(subject.mode), 4),
    FILE_ALIGNMENT_INFORMATION: FileClass(lambda subject: FileAlignmentInformation(0), 4),
    FILE_ALL_INFORMATION: FileClass(_all, 104, variable=True),
    FILE_ALTERNATE_NAME_INFORMATION: FileClass(_alternate_name, 8, variable=True),
    FILE_STREAM_INFORMATION: FileClass(_streams, 32, variable=True),
    FILE_COMPRESSION_INFORMATION: FileClass(lambda subject: FileCompressionInformation(subject.stat.size), 16),
    FILE_NETWORK_OPEN_INFORMATION: FileClass(_network_open, 56),
    FILE_ATTRIBUTE_TAG_INFORMATION: FileClass(lambda subject: FileAttributeTagInformation(subject.stat.attributes), 8),
    FILE_NORMALIZED_NAME_INFORMATION: FileClass(
        lambda subject: FileNameInformation(subject.name.lstrip("\\")), 8, variable=True
    ),
    FILE_ID_INFORMATION: FileClass(
        lambda subject: FileIdInformation(subject.stat.volume & _64_BITS, subject.stat.file_id.to_bytes(16, "little")),
        24,
    ),
}


# 3.3.5.20.1: the classes with attributes or times, which need FILE_READ_ATTRIBUTES.
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


def _fs_volume(volume: Volume) -> FileFsVolumeInformation:
    return FileFsVolumeInformation(volume.stat.creation_time, volume.stat.serial & 0xFFFFFFFF, volume.label)


def _sectors(volume: Volume) -> int:
    return max(volume.stat.block_size // _SECTOR, 1)


def _fs_size(volume: Volume) -> FileFsSizeInformation:
    total, available = volume.units
    return FileFsSizeInformation(total, available, _sectors(volume), _SECTOR)


def _fs_full_size(volume: Volume) -> FileFsFullSizeInformation:
    # What the disk reserves for root is not available to clients: both counts are what an ordinary user may use.
    total, available = volume.units
    return FileFsFullSizeInformation(total, available, available, _sectors(volume), _SECTOR)


def _fs_device(volume: Volume) -> FileFsDeviceInformation:
    read_only = FILE_READ_ONLY_DEVICE if volume.stat.read_only else 0
    return FileFsDeviceInformation(FILE_DEVICE_DISK, FILE_REMOTE_DEVICE | read_only)


def _fs_attribute(volume: Volume) -> FileFsAttributeInformation:
    read_only = FILE_READ_ONLY_VOLUME if volume.stat.read_only else 0
    return FileFsAttributeInformation(_FILE_SYSTEM_ATTRIBUTES | read_only, NAME_MAX, volume.file_system)


def _fs_object_id(volume: Volume) -> FileFsObjectIdInformation:
    return FileFsObjectIdInformation((volume.stat.serial & _64_BITS).to_bytes(16, "little"))


def _fs_sector_size(volume: Volume) -> FileFsSectorSizeInformation:
    block = volume.stat.block_size
    aligned = SSINFO_FLAGS_ALIGNED_DEVICE | SSINFO_FLAGS_PARTITION_ALIGNED_ON_DEVICE
    return FileFsSectorSizeInformation(_SECTOR, block, block, block, aligned, 0, 0)


@dataclass(frozen=True, slots=True)
class VolumeClass:
    """One class of QUERY_INFO about the volume; as FileClass."""

    describe: Callable[[Volume], Structure]
    minimum: int
    variable: bool = False

    def pack(self, volume: Volume) -> bytes:
        """The class's bytes, all of them."""
        return self.describe(volume).pack()


VOLUME_CLASSES: Final[Mapping[int, VolumeClass]] = {
    FILE_FS_VOLUME_INFORMATION: VolumeClass(_fs_volume, 24, variable=True),
    FILE_FS_SIZE_INFORMATION: VolumeClass(_fs_size, 24),
    FILE_FS_DEVICE_INFORMATION: VolumeClass(_fs_device, 8),
    FILE_FS_ATTRIBUTE_INFORMATION: VolumeClass(_fs_attribute, 16, variable=True),
    FILE_FS_CONTROL_INFORMATION: VolumeClass(lambda volume: FileFsControlInformation(), 48),  # no quotas
    FILE_FS_FULL_SIZE_INFORMATION: VolumeClass(_fs_full_size, 32),
    FILE_FS_OBJECT_ID_INFORMATION: VolumeClass(_fs_object_id, 64),
    FILE_FS_SECTOR_SIZE_INFORMATION: VolumeClass(_fs_sector_size, 28),
}


# --- setting


def read_basic(data: bytes, handle: int, directory: bool) -> SetFile:
    """The effect of a FileBasicInformation. Raises ValueError for a negative time, or an attribute it cannot have."""
    basic = FileBasicInformation.unpack(data)
    times = [
        None if time in _LEAVE else time
        for time in (basic.creation_time, basic.last_access_time, basic.last_write_time, basic.change_time)
    ]
    if any(time is not None and time > FILETIME_MAX for time in times):
        raise ValueError("a time before 1601")
    # MS-FSA 2.1.5.15.2
    attributes = basic.file_attributes
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
        keeps_access_time=_keeps(basic.last_access_time),
        keeps_write_time=_keeps(basic.last_write_time),
    )


def _keeps(time: int) -> bool | None:
    """Whether a time is kept from now on whatever this open does, as one that was set is (MS-FSA 2.1.5.15.2). None: as
    before."""
    return None if time == TIME_KEEP else time != TIME_THAW


def read_new_name(data: bytes) -> FileRenameInformation:
    """A FileRenameInformation or FileLinkInformation. Raises ValueError for a name that is not below the share."""
    new = FileRenameInformation.unpack(data)
    if new.root_directory or not new.file_name:
        raise ValueError("not a name below the share")
    return new


def not_negative(number: int) -> int:
    """An end of file, an allocation, a position: a signed number of 8 bytes. ValueError if it is negative."""
    if number < 0:
        raise ValueError("negative")
    return number
