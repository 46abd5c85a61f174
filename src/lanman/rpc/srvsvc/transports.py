"""Transports: the calls NetrServerTransport* (MS-SRVS 3.1.4.22 to 3.1.4.26)."""

from __future__ import annotations

from typing import Annotated, Final

from lanman.records import TransportInfo
from lanman.rpc.levels import BYTES_256, COUNTED_BEHIND, levels
from lanman.rpc.ndr import (
    LARGE_REQUEST,
    Call,
    Entries,
    InlineInfo,
    Response,
    Structure,
    optional_u32,
    string,
    struct_level,
    u32,
)
from lanman.rpc.srvsvc.interface import MAX_PREFERRED_LENGTH, SRVSVC, StatusResponse

TRANSPORT_INFO: Final = levels(
    TransportInfo,
    {
        0: "number_of_vcs name address network_address",
        1: "number_of_vcs name address network_address domain",
        2: "number_of_vcs name address network_address domain flags",
        3: "number_of_vcs name address network_address domain flags password_length password",
    },
    strings="name network_address domain",
    kinds={"address": COUNTED_BEHIND, "password": BYTES_256},
)
TransportEntries = Annotated[list[TransportInfo] | None, Entries(TRANSPORT_INFO)]
TransportUnion = Annotated[TransportInfo | None, InlineInfo(TRANSPORT_INFO)]
TransportStructure = Annotated[TransportInfo, Structure(TRANSPORT_INFO, 0)]


class NetrServerTransportAddResponse(StatusResponse):
    pass


@SRVSVC.call(25)
class NetrServerTransportAdd(Call[NetrServerTransportAddResponse]):
    """Listen on one more transport; level 0 (MS-SRVS 3.1.4.22)."""

    max_request = LARGE_REQUEST
    levels = frozenset({0})
    server_name: string
    level: u32
    info: TransportStructure


class NetrServerTransportAddExResponse(StatusResponse):
    pass


@SRVSVC.call(41)
class NetrServerTransportAddEx(Call[NetrServerTransportAddExResponse]):
    """Listen on one more transport; levels 0 to 3 (MS-SRVS 3.1.4.23)."""

    max_request = LARGE_REQUEST
    levels = frozenset(TRANSPORT_INFO.table)
    server_name: string
    level: u32
    info: TransportUnion


class NetrServerTransportEnumResponse(Response):
    level: struct_level
    entries: TransportEntries = None
    total_entries: u32 = 0
    resume_handle: optional_u32 = None
    status: u32 = 0


@SRVSVC.call(26)
class NetrServerTransportEnum(Call[NetrServerTransportEnumResponse]):
    """What the server listens on (MS-SRVS 3.1.4.24)."""

    levels = frozenset({0, 1, 2})
    server_name: string
    level: struct_level
    entries: TransportEntries = None
    prefered_maximum_length: u32 = MAX_PREFERRED_LENGTH
    resume_handle: optional_u32 = 0


class NetrServerTransportDelResponse(StatusResponse):
    pass


@SRVSVC.call(27)
class NetrServerTransportDel(Call[NetrServerTransportDelResponse]):
    """Stop to listen on a transport; level 0 (MS-SRVS 3.1.4.25)."""

    max_request = LARGE_REQUEST
    levels = frozenset({0})
    server_name: string
    level: u32
    info: TransportStructure


class NetrServerTransportDelExResponse(StatusResponse):
    pass


@SRVSVC.call(53)
class NetrServerTransportDelEx(Call[NetrServerTransportDelExResponse]):
    """Stop to listen on a transport; levels 0 to 3 (MS-SRVS 3.1.4.26)."""

    max_request = LARGE_REQUEST
    levels = frozenset(TRANSPORT_INFO.table)
    server_name: string
    level: u32
    info: TransportUnion
