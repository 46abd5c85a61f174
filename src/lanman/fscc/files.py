"""Information classes of files (MS-FSCC 2.4): what QUERY_INFO tells and SET_INFO changes.

- The numbers are those of the classes; a structure is called as its class. FileNameInformation serves three classes.
- FileRenameInformation and FileLinkInformation have the layout that SMB2 uses; other protocols have another.
- Reserved bytes at the end of FileBasicInformation and FileStandardInformation are written and need not be there when
  the structure is read, since clients leave them out.
- FileAllInformation is made of the other structures, so a client reads them from it as from their own answers.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from lanman.fscc.attributes import name32
from lanman.wire import (
    Fixed,
    Structure,
    Variable,
    boolean,
    bytes16,
    i64,
    pad2,
    pad3,
    pad4,
    text,
    text_bytes,
    u8,
    u16,
    u32,
    u64,
    wire,
)

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
FILE_PIPE_INFORMATION: Final = 23
FILE_PIPE_LOCAL_INFORMATION: Final = 24
FILE_COMPRESSION_INFORMATION: Final = 28
FILE_NETWORK_OPEN_INFORMATION: Final = 34
FILE_ATTRIBUTE_TAG_INFORMATION: Final = 35
FILE_NORMALIZED_NAME_INFORMATION: Final = 48
FILE_ID_INFORMATION: Final = 59


# What a time of FileBasicInformation says to SET_INFO beside a time: leave it as it is; from now on leave it alone
# whatever this open does; no longer leave it alone.
TIME_KEEP: Final = 0
TIME_FREEZE: Final = 0xFFFFFFFFFFFFFFFF
TIME_THAW: Final = 0xFFFFFFFFFFFFFFFE


@wire(minimum=40)
class FileBasicInformation(Structure):
    """Times and attributes. 4 reserved bytes at its end are written, and not asked for when it is read."""

    creation_time: u64
    last_access_time: u64
    last_write_time: u64
    change_time: u64
    file_attributes: u32


@wire(minimum=24)
class FileStandardInformation(Structure):
    """Sizes, names and what becomes of it. `delete_pending`: it goes when it is closed."""

    allocation_size: u64
    end_of_file: u64
    number_of_links: u32
    delete_pending: boolean
    directory: boolean


@wire()
class FileInternalInformation(Structure):
    """The file's number on its volume."""

    index_number: u64


@wire()
class FileEaInformation(Structure):
    """The size of its extended attributes."""

    ea_size: u32


@wire()
class FileAccessInformation(Structure):
    """What its open was granted, an access mask."""

    access_flags: u32


@wire()
class FilePositionInformation(Structure):
    """Where reading and writing have come to."""

    current_byte_offset: i64


@wire()
class FileModeInformation(Structure):
    """The create options of its open that stay (MS-SMB2 2.2.13)."""

    mode: u32


@wire()
class FileAlignmentInformation(Structure):
    """How buffers of the device must be aligned: the power of two, less 1."""

    alignment_requirement: u32


@wire()
class FileAllInformation(Structure):
    """Eight classes in a row, and the file's path from the share's root on."""

    basic: FileBasicInformation
    reserved: ClassVar[pad4]
    standard: FileStandardInformation
    reserved2: ClassVar[pad2]
    internal: FileInternalInformation
    ea: FileEaInformation
    access: FileAccessInformation
    position: FilePositionInformation
    mode: FileModeInformation
    alignment: FileAlignmentInformation
    file_name: name32


@wire()
class FileNameInformation(Structure):
    """FileAlternateNameInformation, FileNormalizedNameInformation and FileNameInformation: a name, or a path."""

    file_name: name32


@wire()
class FileStreamInformation(Structure):
    """One stream of a file (`unpack_chain`, `pack_chain` at multiples of 8); the file itself is `::$DATA`."""

    next_entry_offset: ClassVar[pad4]
    stream_name: name32
    stream_size: i64
    stream_allocation_size: i64


@wire()
class FileCompressionInformation(Structure):
    """How it is compressed; format 0 is not at all. The shifts are powers of two."""

    compressed_file_size: i64
    compression_format: u16 = 0
    compression_unit_shift: u8 = 0
    chunk_shift: u8 = 0
    cluster_shift: u8 = 0
    reserved: ClassVar[pad3]


@wire()
class FileNetworkOpenInformation(Structure):
    """What a client shows of a file, in one answer."""

    creation_time: u64
    last_access_time: u64
    last_write_time: u64
    change_time: u64
    allocation_size: u64
    end_of_file: u64
    file_attributes: u32
    reserved: ClassVar[pad4]


@wire()
class FileAttributeTagInformation(Structure):
    """Attributes, and the tag of a reparse point."""

    file_attributes: u32
    reparse_tag: u32 = 0


@wire()
class FileIdInformation(Structure):
    """A number that no other file of the volume has, and the volume's."""

    volume_serial_number: u64
    file_id: bytes16


# --- named pipes

FILE_PIPE_MESSAGE_MODE: Final = 1
FILE_PIPE_FULL_DUPLEX: Final = 2
FILE_PIPE_CONNECTED_STATE: Final = 3


@wire()
class FilePipeInformation(Structure):
    """How a pipe is read (FILE_PIPE_MESSAGE_MODE or 0, bytes), and whether an operation waits (0) or fails (1)."""

    read_mode: u32
    completion_mode: u32


@wire()
class FilePipeLocalInformation(Structure):
    """What this end of a pipe is and has. `maximum_instances` 0xFFFFFFFF is no limit; `named_pipe_end` 0 a client's."""

    named_pipe_type: u32
    named_pipe_configuration: u32
    maximum_instances: u32
    current_instances: u32
    inbound_quota: u32
    read_data_available: u32
    outbound_quota: u32
    write_quota_available: u32
    named_pipe_state: u32
    named_pipe_end: u32 = 0


# --- what only SET_INFO has

MAX_NEW_NAME: Final = 65534
"""What a new name may have, in bytes: as much as that of a CREATE (MS-SMB2 2.2.13)."""


@wire()
class FileRenameInformation(Structure):
    """FileRenameInformation and FileLinkInformation, as SMB2 has them: a path from the share's root on.

    `root_directory` is always 0. Unlike the name of a file that there is, a new one must be UTF-16 without lone
    surrogates.
    """

    replace_if_exists: boolean
    reserved: ClassVar[Annotated[int, Fixed("7x", padding=True)]]
    root_directory: u64
    file_name: Annotated[str, Variable("nI", most=MAX_NEW_NAME, read=text, write=text_bytes)]


@wire()
class FileDispositionInformation(Structure):
    """Whether the file goes when it is closed."""

    delete_pending: boolean


@wire()
class FileAllocationInformation(Structure):
    """The room that it is to have."""

    allocation_size: i64


@wire()
class FileEndOfFileInformation(Structure):
    """Where it is to end."""

    end_of_file: i64
