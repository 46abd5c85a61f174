"""File attributes (MS-FSCC 2.6), and how the name of a file travels."""

from __future__ import annotations

from typing import Annotated, Final

from lanman.errors import MalformedMessage
from lanman.wire import Data, Variable

FILE_ATTRIBUTE_READONLY: Final = 0x00000001
FILE_ATTRIBUTE_HIDDEN: Final = 0x00000002
FILE_ATTRIBUTE_SYSTEM: Final = 0x00000004
FILE_ATTRIBUTE_DIRECTORY: Final = 0x00000010
FILE_ATTRIBUTE_ARCHIVE: Final = 0x00000020
FILE_ATTRIBUTE_NORMAL: Final = 0x00000080
FILE_ATTRIBUTE_TEMPORARY: Final = 0x00000100
FILE_ATTRIBUTE_SPARSE_FILE: Final = 0x00000200
FILE_ATTRIBUTE_OFFLINE: Final = 0x00001000
FILE_ATTRIBUTE_NOT_CONTENT_INDEXED: Final = 0x00002000

MAX_NAME: Final = 255
"""The longest name of a file, in UTF-16 code units (2.1.5.2)."""


def file_name(view: Data) -> str:
    """UTF-16LE. A name on NTFS is any 16-bit units, so lone surrogates are kept as they are."""
    try:
        return str(view, "utf-16-le", "surrogatepass")
    except UnicodeDecodeError:
        raise MalformedMessage("a name has half a character at its end") from None


def file_name_bytes(name: str) -> bytes:
    """What `file_name` reads."""
    return name.encode("utf-16-le", "surrogatepass")


name32 = Annotated[str, Variable("nI", read=file_name, write=file_name_bytes)]
"""A name behind the fixed part, its length in bytes a 32-bit field."""
