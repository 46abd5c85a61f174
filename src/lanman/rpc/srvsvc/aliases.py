"""Further names of the server: the calls NetrServerAlias* (MS-SRVS 3.1.4.44 to 3.1.4.46)."""

from __future__ import annotations

from typing import Annotated, Final

from lanman.records import AliasInfo
from lanman.rpc.levels import BOOLEAN, levels
from lanman.rpc.ndr import LARGE_REQUEST, Call, Entries, Info, Response, optional_u32, string, struct_level, u32
from lanman.rpc.srvsvc.interface import MAX_PREFERRED_LENGTH, SRVSVC, StatusResponse

ALIAS_INFO: Final = levels(
    AliasInfo, {0: "alias target default reserved"}, strings="alias target", kinds={"default": BOOLEAN}
)
AliasEntries = Annotated[list[AliasInfo] | None, Entries(ALIAS_INFO)]
AliasUnion = Annotated[AliasInfo | None, Info(ALIAS_INFO)]


class NetrServerAliasAddResponse(StatusResponse):
    pass


@SRVSVC.call(54)
class NetrServerAliasAdd(Call[NetrServerAliasAddResponse]):
    """Give the server one more name (MS-SRVS 3.1.4.44)."""

    max_request = LARGE_REQUEST
    levels = frozenset(ALIAS_INFO.table)
    server_name: string
    level: u32
    info: AliasUnion


class NetrServerAliasEnumResponse(Response):
    level: struct_level
    entries: AliasEntries = None
    total_entries: u32 = 0
    resume_handle: optional_u32 = None
    status: u32 = 0


@SRVSVC.call(55)
class NetrServerAliasEnum(Call[NetrServerAliasEnumResponse]):
    """The server's other names (MS-SRVS 3.1.4.45)."""

    levels = frozenset(ALIAS_INFO.table)
    server_name: string
    level: struct_level
    entries: AliasEntries = None
    prefered_maximum_length: u32 = MAX_PREFERRED_LENGTH
    resume_handle: optional_u32 = 0


class NetrServerAliasDelResponse(StatusResponse):
    pass


@SRVSVC.call(56)
class NetrServerAliasDel(Call[NetrServerAliasDelResponse]):
    """Take one of the server's other names (MS-SRVS 3.1.4.46)."""

    max_request = LARGE_REQUEST
    levels = frozenset(ALIAS_INFO.table)
    server_name: string
    level: u32
    info: AliasUnion
