"""Information classes of file systems (MS-FSCC 2.5): what QUERY_INFO tells of the volume that a file lies on."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from lanman.fscc.attributes import name32
from lanman.wire import Fixed, Structure, boolean, guid, i64, pad1, pad4, u32, u64, wire

FILE_FS_VOLUME_INFORMATION: Final = 1
FILE_FS_SIZE_INFORMATION: Final = 3
FILE_FS_DEVICE_INFORMATION: Final = 4
FILE_FS_ATTRIBUTE_INFORMATION: Final = 5
FILE_FS_CONTROL_INFORMATION: Final = 6
FILE_FS_FULL_SIZE_INFORMATION: Final = 7
FILE_FS_OBJECT_ID_INFORMATION: Final = 8
FILE_FS_SECTOR_SIZE_INFORMATION: Final = 11

# FileSystemAttributes of FileFsAttributeInformation.
FILE_CASE_PRESERVED_NAMES: Final = 0x00000002
FILE_UNICODE_ON_DISK: Final = 0x00000004
FILE_READ_ONLY_VOLUME: Final = 0x00080000

# DeviceType and Characteristics of FileFsDeviceInformation.
FILE_DEVICE_DISK: Final = 0x00000007
FILE_READ_ONLY_DEVICE: Final = 0x00000002
FILE_REMOTE_DEVICE: Final = 0x00000010

# Flags of FileFsSectorSizeInformation.
SSINFO_FLAGS_ALIGNED_DEVICE: Final = 0x00000001
SSINFO_FLAGS_PARTITION_ALIGNED_ON_DEVICE: Final = 0x00000002

UNLIMITED: Final = -1
"""A quota that is none."""


@wire()
class FileFsVolumeInformation(Structure):
    """When the volume came to be, its serial number and label."""

    volume_creation_time: u64
    volume_serial_number: u32
    volume_label: name32
    supports_objects: boolean = False
    reserved: ClassVar[pad1]


@wire()
class FileFsSizeInformation(Structure):
    """Allocation units, and the room in one of them. `available_allocation_units` are the caller's."""

    total_allocation_units: u64
    available_allocation_units: u64
    sectors_per_allocation_unit: u32
    bytes_per_sector: u32


@wire()
class FileFsDeviceInformation(Structure):
    """What kind of device it is."""

    device_type: u32
    characteristics: u32


@wire()
class FileFsAttributeInformation(Structure):
    """What the file system can do, its longest name in characters, and what it is called."""

    file_system_attributes: u32
    maximum_component_name_length: u32
    file_system_name: name32


@wire()
class FileFsControlInformation(Structure):
    """Quotas: when the content index begins and ceases, and what each user may have by default."""

    free_space_start_filtering: i64 = 0
    free_space_threshold: i64 = 0
    free_space_stop_filtering: i64 = 0
    default_quota_threshold: i64 = UNLIMITED
    default_quota_limit: i64 = UNLIMITED
    file_system_control_flags: u32 = 0
    reserved: ClassVar[pad4]


@wire()
class FileFsFullSizeInformation(Structure):
    """As FileFsSizeInformation, with what the caller may use and what there is."""

    total_allocation_units: u64
    caller_available_allocation_units: u64
    actual_available_allocation_units: u64
    sectors_per_allocation_unit: u32
    bytes_per_sector: u32


@wire()
class FileFsObjectIdInformation(Structure):
    """An identifier of the volume, and 48 bytes that a file system is free in."""

    object_id: guid
    extended_info: Annotated[bytes, Fixed("48s")] = bytes(48)


@wire()
class FileFsSectorSizeInformation(Structure):
    """Sizes of a sector, as it is addressed and as it is written; offsets of 0xFFFFFFFF are unknown."""

    logical_bytes_per_sector: u32
    physical_bytes_per_sector_for_atomicity: u32
    physical_bytes_per_sector_for_performance: u32
    effective_physical_bytes_per_sector_for_atomicity: u32
    flags: u32
    byte_offset_for_sector_alignment: u32
    byte_offset_for_partition_alignment: u32
