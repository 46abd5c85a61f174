"""Serial devices: operations 0 to 7, which MS-SRVS reserves (3.1.4) and Samba's IDL names.

LAN Manager had them. Windows does not put them on the wire, but Samba's tests call them, and get an answer.
"""

from __future__ import annotations

from typing import Annotated, Final

from lanman.records import CharDevInfo, CharDevQueueInfo
from lanman.rpc.levels import levels
from lanman.rpc.ndr import (
    LARGE_REQUEST,
    Call,
    Entries,
    Info,
    Response,
    optional_u32,
    ref_string,
    string,
    struct_level,
    u32,
    union_level,
)
from lanman.rpc.srvsvc.interface import MAX_PREFERRED_LENGTH, SRVSVC, ParmErrResponse, StatusResponse

CHARDEV_INFO: Final = levels(CharDevInfo, {0: "device", 1: "device status user time"}, strings="device user")
CHARDEVQ_INFO: Final = levels(
    CharDevQueueInfo, {0: "device", 1: "device priority devices users num_ahead"}, strings="device devices"
)
CharDevEntries = Annotated[list[CharDevInfo] | None, Entries(CHARDEV_INFO)]
CharDevQueueEntries = Annotated[list[CharDevQueueInfo] | None, Entries(CHARDEVQ_INFO)]
CharDevUnion = Annotated[CharDevInfo | None, Info(CHARDEV_INFO)]
CharDevQueueUnion = Annotated[CharDevQueueInfo | None, Info(CHARDEVQ_INFO)]


class NetrCharDevEnumResponse(Response):
    level: struct_level
    entries: CharDevEntries = None
    total_entries: u32 = 0
    resume_handle: optional_u32 = None
    status: u32 = 0


@SRVSVC.call(0)
class NetrCharDevEnum(Call[NetrCharDevEnumResponse]):
    """The serial devices."""

    levels = frozenset(CHARDEV_INFO.table)
    server_name: string
    level: struct_level
    entries: CharDevEntries = None
    prefered_maximum_length: u32 = MAX_PREFERRED_LENGTH
    resume_handle: optional_u32 = 0


class NetrCharDevGetInfoResponse(Response):
    level: union_level
    info: CharDevUnion = None
    status: u32 = 0


@SRVSVC.call(1)
class NetrCharDevGetInfo(Call[NetrCharDevGetInfoResponse]):
    """One serial device."""

    levels = frozenset(CHARDEV_INFO.table)
    server_name: string
    device_name: ref_string
    level: u32


@SRVSVC.call(2)
class NetrCharDevControl(Call[StatusResponse]):
    """Do something to a serial device."""

    server_name: string
    device_name: ref_string
    opcode: u32


class NetrCharDevQEnumResponse(Response):
    level: struct_level
    entries: CharDevQueueEntries = None
    total_entries: u32 = 0
    resume_handle: optional_u32 = None
    status: u32 = 0


@SRVSVC.call(3)
class NetrCharDevQEnum(Call[NetrCharDevQEnumResponse]):
    """The queues of serial devices."""

    levels = frozenset(CHARDEVQ_INFO.table)
    server_name: string
    user_name: string
    level: struct_level
    entries: CharDevQueueEntries = None
    prefered_maximum_length: u32 = MAX_PREFERRED_LENGTH
    resume_handle: optional_u32 = 0


class NetrCharDevQGetInfoResponse(Response):
    level: union_level
    info: CharDevQueueUnion = None
    status: u32 = 0


@SRVSVC.call(4)
class NetrCharDevQGetInfo(Call[NetrCharDevQGetInfoResponse]):
    """One queue."""

    levels = frozenset(CHARDEVQ_INFO.table)
    server_name: string
    queue_name: ref_string
    user_name: ref_string
    level: u32


@SRVSVC.call(5)
class NetrCharDevQSetInfo(Call[ParmErrResponse]):
    """Change a queue."""

    max_request = LARGE_REQUEST
    levels = frozenset(CHARDEVQ_INFO.table)
    server_name: string
    queue_name: ref_string
    level: u32
    info: CharDevQueueUnion
    parm_err: optional_u32 = 0


@SRVSVC.call(6)
class NetrCharDevQPurge(Call[StatusResponse]):
    """Empty a queue."""

    server_name: string
    queue_name: ref_string


@SRVSVC.call(7)
class NetrCharDevQPurgeSelf(Call[StatusResponse]):
    """Take a computer's own out of a queue."""

    server_name: string
    queue_name: ref_string
    computer_name: ref_string
