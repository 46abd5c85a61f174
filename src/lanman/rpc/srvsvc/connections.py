"""Tree connects: NetrConnectionEnum (MS-SRVS 3.1.4.1)."""

from __future__ import annotations

from typing import Annotated, Final

from lanman.records import ConnectionInfo
from lanman.rpc.levels import levels
from lanman.rpc.ndr import Call, Entries, Response, optional_u32, string, struct_level, u32
from lanman.rpc.srvsvc.interface import MAX_PREFERRED_LENGTH, SRVSVC

CONNECTION_INFO: Final = levels(
    ConnectionInfo,
    {0: "id", 1: "id type num_opens num_users active_time user_name net_name"},
    strings="user_name net_name",
)
ConnectionEntries = Annotated[list[ConnectionInfo] | None, Entries(CONNECTION_INFO)]


class NetrConnectionEnumResponse(Response):
    level: struct_level
    entries: ConnectionEntries = None
    total_entries: u32 = 0
    resume_handle: optional_u32 = None
    status: u32 = 0


@SRVSVC.call(8)
class NetrConnectionEnum(Call[NetrConnectionEnumResponse]):
    r"""The tree connects to a share, or of a client if `qualifier` begins with `\\` (MS-SRVS 3.1.4.1)."""

    levels = frozenset(CONNECTION_INFO.table)
    server_name: string
    qualifier: string
    level: struct_level
    entries: ConnectionEntries = None
    prefered_maximum_length: u32 = MAX_PREFERRED_LENGTH
    resume_handle: optional_u32 = 0
