"""Shares: the calls NetrShare* (MS-SRVS 3.1.4.7 to 3.1.4.16, and 3.1.4.47).

The levels of SHARE_INFO are not all for every call: each call names those that it takes. Levels 1004 to 1501 have one
member each and are for NetrShareSetInfo; NetrShareGetInfo takes 1005 of them as well.
"""

from __future__ import annotations

from typing import Annotated, Final

from lanman.records import ShareInfo
from lanman.rpc.levels import COUNTED, levels
from lanman.rpc.ndr import (
    LARGE_REQUEST,
    Call,
    Entries,
    Info,
    Response,
    handle,
    optional_u32,
    ref_string,
    string,
    struct_level,
    u32,
    union_level,
)
from lanman.rpc.srvsvc.interface import MAX_PREFERRED_LENGTH, SRVSVC, ParmErrResponse, StatusResponse

SHARE_INFO: Final = levels(
    ShareInfo,
    {
        0: "netname",
        1: "netname type remark",
        2: "netname type remark permissions max_uses current_uses path passwd",
        501: "netname type remark flags",
        502: "netname type remark permissions max_uses current_uses path passwd security_descriptor",
        503: "netname type remark permissions max_uses current_uses path passwd server_name security_descriptor",
        1004: "remark",
        1005: "flags",
        1006: "max_uses",
        1501: "security_descriptor",
    },
    strings="netname remark path passwd server_name",
    # shi502_reserved is the size of the security descriptor.
    kinds={"security_descriptor": COUNTED},
)
ShareEntries = Annotated[list[ShareInfo] | None, Entries(SHARE_INFO)]
ShareUnion = Annotated[ShareInfo | None, Info(SHARE_INFO)]


class NetrShareAddResponse(ParmErrResponse):
    pass


@SRVSVC.call(14)
class NetrShareAdd(Call[NetrShareAddResponse]):
    """Share a directory (MS-SRVS 3.1.4.7)."""

    max_request = LARGE_REQUEST
    levels = frozenset({2, 502, 503})
    server_name: string
    level: u32
    info: ShareUnion
    parm_err: optional_u32 = 0


class NetrShareEnumResponse(Response):
    level: struct_level
    entries: ShareEntries = None
    total_entries: u32 = 0
    resume_handle: optional_u32 = None
    status: u32 = 0


@SRVSVC.call(15)
class NetrShareEnum(Call[NetrShareEnumResponse]):
    """The shares (MS-SRVS 3.1.4.8)."""

    levels = frozenset({0, 1, 2, 501, 502, 503})
    server_name: string
    level: struct_level
    entries: ShareEntries = None
    prefered_maximum_length: u32 = MAX_PREFERRED_LENGTH
    resume_handle: optional_u32 = 0


class NetrShareEnumStickyResponse(Response):
    level: struct_level
    entries: ShareEntries = None
    total_entries: u32 = 0
    resume_handle: optional_u32 = None
    status: u32 = 0


@SRVSVC.call(36)
class NetrShareEnumSticky(Call[NetrShareEnumStickyResponse]):
    """The shares that a restart will bring back (MS-SRVS 3.1.4.9)."""

    levels = frozenset({0, 1, 2, 502, 503})
    server_name: string
    level: struct_level
    entries: ShareEntries = None
    prefered_maximum_length: u32 = MAX_PREFERRED_LENGTH
    resume_handle: optional_u32 = 0


class NetrShareGetInfoResponse(Response):
    level: union_level
    info: ShareUnion = None
    status: u32 = 0


@SRVSVC.call(16)
class NetrShareGetInfo(Call[NetrShareGetInfoResponse]):
    """One share (MS-SRVS 3.1.4.10)."""

    levels = frozenset({0, 1, 2, 501, 502, 503, 1005})
    server_name: string
    net_name: ref_string
    level: u32


class NetrShareSetInfoResponse(ParmErrResponse):
    pass


@SRVSVC.call(17)
class NetrShareSetInfo(Call[NetrShareSetInfoResponse]):
    """Change a share (MS-SRVS 3.1.4.11)."""

    max_request = LARGE_REQUEST
    levels = frozenset({1, 2, 502, 503, 1004, 1005, 1006, 1501})
    server_name: string
    net_name: ref_string
    level: u32
    info: ShareUnion
    parm_err: optional_u32 = 0


class NetrShareDelResponse(StatusResponse):
    pass


@SRVSVC.call(18)
class NetrShareDel(Call[NetrShareDelResponse]):
    """End a share, and close what is open on it (MS-SRVS 3.1.4.12)."""

    server_name: string
    net_name: ref_string
    reserved: u32 = 0


class NetrShareDelStickyResponse(StatusResponse):
    pass


@SRVSVC.call(19)
class NetrShareDelSticky(Call[NetrShareDelStickyResponse]):
    """Forget a share at the next start, but leave it now (MS-SRVS 3.1.4.13)."""

    server_name: string
    net_name: ref_string
    reserved: u32 = 0


class NetrShareDelStartResponse(Response):
    context_handle: handle = bytes(20)
    status: u32 = 0


@SRVSVC.call(37)
class NetrShareDelStart(Call[NetrShareDelStartResponse]):
    """Begin to end a share, in two steps (MS-SRVS 3.1.4.14)."""

    server_name: string
    net_name: ref_string
    reserved: u32 = 0


class NetrShareDelCommitResponse(Response):
    context_handle: handle = bytes(20)
    status: u32 = 0


@SRVSVC.call(38)
class NetrShareDelCommit(Call[NetrShareDelCommitResponse]):
    """End the share that NetrShareDelStart named (MS-SRVS 3.1.4.15)."""

    context_handle: handle


class NetrShareCheckResponse(Response):
    type: u32 = 0
    status: u32 = 0


@SRVSVC.call(20)
class NetrShareCheck(Call[NetrShareCheckResponse]):
    """Whether a path of the server is shared, and as what (MS-SRVS 3.1.4.16)."""

    server_name: string
    device: ref_string


class NetrShareDelExResponse(StatusResponse):
    pass


@SRVSVC.call(57)
class NetrShareDelEx(Call[NetrShareDelExResponse]):
    """End a share of a scope: level 0 or 503 (MS-SRVS 3.1.4.47)."""

    max_request = LARGE_REQUEST
    levels = frozenset({0, 503})
    server_name: string
    level: u32
    info: ShareUnion
