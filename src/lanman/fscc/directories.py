"""Information classes that list a directory (MS-FSCC 2.4): an entry for each name, chained at multiples of 8.

A class with an id has the file's number on its volume; one that is "both" the short name too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final

from lanman.errors import LocalProtocolError, MalformedMessage
from lanman.fscc.attributes import file_name, file_name_bytes, name32
from lanman.wire import Fixed, Structure, pad2, pad4, u32, u64, wire

FILE_DIRECTORY_INFORMATION: Final = 1
FILE_FULL_DIRECTORY_INFORMATION: Final = 2
FILE_BOTH_DIRECTORY_INFORMATION: Final = 3
FILE_NAMES_INFORMATION: Final = 12
FILE_ID_BOTH_DIRECTORY_INFORMATION: Final = 37
FILE_ID_FULL_DIRECTORY_INFORMATION: Final = 38

ENTRY_ALIGNMENT: Final = 8

_NO_SHORT_NAME: Final = bytes(26)


def _read_short_name(data: bytes) -> str:
    """ShortNameLength, a reserved byte, and 12 characters of which so many bytes count."""
    if data[0] > 24:
        raise MalformedMessage("a short name has more than 12 characters")
    return file_name(data[2 : 2 + data[0]])


def _write_short_name(name: str) -> bytes:
    if not name:
        return _NO_SHORT_NAME
    data = file_name_bytes(name)
    if len(data) > 24:
        raise LocalProtocolError("a short name has at most 12 characters")
    return bytes((len(data), 0)) + data


name_8_3 = Annotated[str, Fixed("26s", read=_read_short_name, write=_write_short_name)]


@wire()
class FileDirectoryInformation(Structure):
    """Times, sizes and attributes of a name."""

    next_entry_offset: ClassVar[pad4]
    file_index: u32
    creation_time: u64
    last_access_time: u64
    last_write_time: u64
    change_time: u64
    end_of_file: u64
    allocation_size: u64
    file_attributes: u32
    file_name: name32


@wire()
class FileFullDirectoryInformation(FileDirectoryInformation):
    """The same, and the size of its extended attributes."""

    ea_size: u32 = 0


@wire()
class FileIdFullDirectoryInformation(FileFullDirectoryInformation):
    """FileFullDirectoryInformation with the file's number."""

    reserved: ClassVar[pad4]
    file_id: u64 = 0


@wire()
class FileBothDirectoryInformation(FileFullDirectoryInformation):
    """FileFullDirectoryInformation with the short name (8.3); "" where there is none."""

    short_name: name_8_3 = ""


@wire()
class FileIdBothDirectoryInformation(FileBothDirectoryInformation):
    """FileBothDirectoryInformation with the file's number."""

    reserved: ClassVar[pad2]
    file_id: u64 = 0


@wire()
class FileNamesInformation(Structure):
    """A name and nothing more."""

    next_entry_offset: ClassVar[pad4]
    file_index: u32
    file_name: name32


DETAILED_ENTRIES: Final[Mapping[int, type[FileDirectoryInformation]]] = {
    FILE_DIRECTORY_INFORMATION: FileDirectoryInformation,
    FILE_FULL_DIRECTORY_INFORMATION: FileFullDirectoryInformation,
    FILE_BOTH_DIRECTORY_INFORMATION: FileBothDirectoryInformation,
    FILE_ID_BOTH_DIRECTORY_INFORMATION: FileIdBothDirectoryInformation,
    FILE_ID_FULL_DIRECTORY_INFORMATION: FileIdFullDirectoryInformation,
}
"""The classes that tell more than names, by number."""
