"""Open files: NetrFileEnum, NetrFileGetInfo and NetrFileClose (MS-SRVS 3.1.4.2 to 3.1.4.4)."""

from __future__ import annotations

from typing import Annotated, Final

from lanman.records import FileInfo
from lanman.rpc.levels import levels
from lanman.rpc.ndr import Call, Entries, Info, Response, optional_u32, string, struct_level, u32, union_level
from lanman.rpc.srvsvc.interface import MAX_PREFERRED_LENGTH, SRVSVC, StatusResponse

FILE_INFO: Final = levels(
    FileInfo,
    {2: "id", 3: "id permissions num_locks path user_name"},
    strings="path user_name",
)
FileEntries = Annotated[list[FileInfo] | None, Entries(FILE_INFO)]
FileUnion = Annotated[FileInfo | None, Info(FILE_INFO)]


class NetrFileEnumResponse(Response):
    level: struct_level
    entries: FileEntries = None
    total_entries: u32 = 0
    resume_handle: optional_u32 = None
    status: u32 = 0


@SRVSVC.call(9)
class NetrFileEnum(Call[NetrFileEnumResponse]):
    """The open files below `base_path` and of a user, where given (MS-SRVS 3.1.4.2)."""

    levels = frozenset(FILE_INFO.table)
    server_name: string
    base_path: string
    user_name: string
    level: struct_level
    entries: FileEntries = None
    prefered_maximum_length: u32 = MAX_PREFERRED_LENGTH
    resume_handle: optional_u32 = 0


class NetrFileGetInfoResponse(Response):
    level: union_level
    info: FileUnion = None
    status: u32 = 0


@SRVSVC.call(10)
class NetrFileGetInfo(Call[NetrFileGetInfoResponse]):
    """One open file (MS-SRVS 3.1.4.3)."""

    levels = frozenset(FILE_INFO.table)
    server_name: string
    file_id: u32
    level: u32


class NetrFileCloseResponse(StatusResponse):
    pass


@SRVSVC.call(11)
class NetrFileClose(Call[NetrFileCloseResponse]):
    """Close an open file (MS-SRVS 3.1.4.4)."""

    server_name: string
    file_id: u32
