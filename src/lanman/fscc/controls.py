"""Control codes of file systems and pipes (MS-FSCC 2.3), and what goes in and comes out with them in an IOCTL.

Those that MS-SMB2 itself defines, server-side copy among them, are in `lanman.smb2`.
"""

from __future__ import annotations

from typing import ClassVar, Final

from lanman.fscc.attributes import name32
from lanman.wire import Structure, boolean, guid, i64, pad1, u16, u32, wire

FSCTL_GET_COMPRESSION: Final = 0x0009003C
FSCTL_SET_COMPRESSION: Final = 0x0009C040
FSCTL_CREATE_OR_GET_OBJECT_ID: Final = 0x000900C0

COMPRESSION_FORMAT_NONE: Final = 0


@wire()
class Compression(Structure):
    """FSCTL_GET_COMPRESSION's output and FSCTL_SET_COMPRESSION's input."""

    compression_format: u16 = COMPRESSION_FORMAT_NONE


@wire()
class FileObjectIdBuffer(Structure):
    """FILE_OBJECTID_BUFFER, type 1: an identifier that stays with the file, and where and as what it was born."""

    object_id: guid
    birth_volume_id: guid = bytes(16)
    birth_object_id: guid = bytes(16)
    domain_id: guid = bytes(16)


@wire()
class PipeWait(Structure):
    """FSCTL_PIPE_WAIT's input: wait until the pipe of that name can be opened. `timeout` is in 100 ns, negative, and
    counts only if it is specified."""

    timeout: i64
    name: name32
    timeout_specified: boolean = False
    reserved: ClassVar[pad1]


@wire()
class PipePeek(Structure):
    """FSCTL_PIPE_PEEK's output, without data: what could be read."""

    named_pipe_state: u32
    read_data_available: u32
    number_of_messages: u32 = 0
    message_length: u32 = 0
