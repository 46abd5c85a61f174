"""Sessions: NetrSessionEnum and NetrSessionDel (MS-SRVS 3.1.4.5 and 3.1.4.6)."""

from __future__ import annotations

from typing import Annotated, Final

from lanman.records import SessionInfo
from lanman.rpc.levels import levels
from lanman.rpc.ndr import Call, Entries, Response, optional_u32, string, struct_level, u32
from lanman.rpc.srvsvc.interface import MAX_PREFERRED_LENGTH, SRVSVC, StatusResponse

SESSION_INFO: Final = levels(
    SessionInfo,
    {
        0: "client_name",
        1: "client_name user_name num_opens active_time idle_time user_flags",
        2: "client_name user_name num_opens active_time idle_time user_flags client_type",
        10: "client_name user_name active_time idle_time",
        502: "client_name user_name num_opens active_time idle_time user_flags client_type transport",
    },
    strings="client_name user_name client_type transport",
    alike="client_type transport",
)
SessionEntries = Annotated[list[SessionInfo] | None, Entries(SESSION_INFO)]


class NetrSessionEnumResponse(Response):
    level: struct_level
    entries: SessionEntries = None
    total_entries: u32 = 0
    resume_handle: optional_u32 = None
    status: u32 = 0


@SRVSVC.call(12)
class NetrSessionEnum(Call[NetrSessionEnumResponse]):
    """The sessions of a client and of a user, where given (MS-SRVS 3.1.4.5)."""

    levels = frozenset(SESSION_INFO.table)
    server_name: string
    client_name: string
    user_name: string
    level: struct_level
    entries: SessionEntries = None
    prefered_maximum_length: u32 = MAX_PREFERRED_LENGTH
    resume_handle: optional_u32 = 0


class NetrSessionDelResponse(StatusResponse):
    pass


@SRVSVC.call(13)
class NetrSessionDel(Call[NetrSessionDelResponse]):
    """End the sessions of a client and of a user, where given; one must be (MS-SRVS 3.1.4.6)."""

    server_name: string
    client_name: string
    user_name: string
