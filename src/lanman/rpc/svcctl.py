r"""The Service Control Manager Remote Protocol: the calls of `\PIPE\svcctl` that ask and control a service (MS-SCMR).

    stub = ROpenSCManagerW(None, None, SC_MANAGER_CONNECT).pack()
    answer = request.answer(stub)                       # an ROpenSCManagerWResponse

A call stands here once, for both ends: its request and its response. Class names are the specification's, fields its
parameters' in snake_case, and `status` is what the method returns. A handle is that of the association on which it was
opened, and means nothing on another. Of the operations of MS-SCMR these are the ones that ask, pause, continue, start
and stop; what creates, changes and deletes services is not declared, so that it is answered by nca_op_rng_error.

What MS-SCMR puts into a buffer instead of into parameters is packed and unpacked here too: SERVICE_STATUS_PROCESS, and
arrays of ENUM_SERVICE_STATUSW, whose strings stand in the same buffer at offsets from its beginning.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import field
from typing import Annotated, Final

from lanman.errors import MalformedMessage
from lanman.plain import dataclass
from lanman.records import ServiceState
from lanman.rpc.levels import levels
from lanman.rpc.ndr import (
    Bounded,
    Call,
    Interface,
    Response,
    Structure,
    handle,
    optional_u32,
    raw_bytes,
    ref_string,
    rest,
    string,
    u32,
)

SVCCTL: Final = Interface("svcctl", "367abb81-9844-35f1-ad32-98f038001003", 2)

SERVER_SERVICE: Final = "LanmanServer"
"""The Server service's name; NET calls it by what it is displayed as, Server."""

# 3.1.4: rights to the database of services, and to a service.
SC_MANAGER_CONNECT: Final = 0x0001
SC_MANAGER_ENUMERATE_SERVICE: Final = 0x0004
SC_MANAGER_ALL_ACCESS: Final = 0xF003F
SERVICE_QUERY_CONFIG: Final = 0x0001
SERVICE_QUERY_STATUS: Final = 0x0004
SERVICE_ENUMERATE_DEPENDENTS: Final = 0x0008
SERVICE_START: Final = 0x0010
SERVICE_STOP: Final = 0x0020
SERVICE_PAUSE_CONTINUE: Final = 0x0040
SERVICE_INTERROGATE: Final = 0x0080
SERVICE_USER_DEFINED_CONTROL: Final = 0x0100
SERVICE_ALL_ACCESS: Final = 0xF01FF

# 3.1.4.2: the control codes.
SERVICE_CONTROL_STOP: Final = 1
SERVICE_CONTROL_PAUSE: Final = 2
SERVICE_CONTROL_CONTINUE: Final = 3
SERVICE_CONTROL_INTERROGATE: Final = 4

# 2.2.47: dwControlsAccepted, dwServiceType.
SERVICE_ACCEPT_PAUSE_CONTINUE: Final = 0x2
SERVICE_WIN32_OWN_PROCESS: Final = 0x10

# 3.1.4.13 and 3.1.4.14: which services are listed.
SERVICE_ACTIVE: Final = 1
SERVICE_INACTIVE: Final = 2

SC_STATUS_PROCESS_INFO: Final = 0

STATES: Final[dict[int, ServiceState]] = dict(enumerate(ServiceState, 1))
"""SERVICE_STATUS.dwCurrentState (2.2.47)."""

# 3.1.4.14, 3.1.4.17, 3.1.4.38: how long a buffer may be asked for.
MAX_LIST: Final = 256 * 1024

list_size = Annotated[int, Bounded("I", MAX_LIST)]
small_size = Annotated[int, Bounded("I", 8 * 1024)]

MAX_SERVICE_NAME: Final = 256
"""3.1.4.16: the longest name of a service, in characters."""

HANDLE_SIZE: Final = 20
NO_HANDLE: Final = bytes(HANDLE_SIZE)


class HandleResponse(Response):
    """A handle, and the outcome."""

    sc_handle: handle = NO_HANDLE
    status: u32 = 0


class ServiceStatusResponse(Response):
    """SERVICE_STATUS (2.2.47) and the outcome. `state` is a number of STATES; `wait_hint` is in milliseconds."""

    service_type: u32 = 0
    state: u32 = 0
    controls_accepted: u32 = 0
    win32_exit_code: u32 = 0
    service_exit_code: u32 = 0
    checkpoint: u32 = 0
    wait_hint: u32 = 0
    status: u32 = 0


class RCloseServiceHandleResponse(HandleResponse):
    """The handle is all zeros then."""


@SVCCTL.call(0)
class RCloseServiceHandle(Call[RCloseServiceHandleResponse]):
    """Close a handle of whatever kind (MS-SCMR 3.1.4.1)."""

    sc_handle: handle


class RControlServiceResponse(ServiceStatusResponse):
    """The state after the control was taken, or refused by 1052, 1061 or 1062."""


@SVCCTL.call(1)
class RControlService(Call[RControlServiceResponse]):
    """Pause, continue or stop a service, or ask it for its state (MS-SCMR 3.1.4.2)."""

    sc_handle: handle
    control: u32


class RQueryServiceStatusResponse(ServiceStatusResponse):
    pass


@SVCCTL.call(6)
class RQueryServiceStatus(Call[RQueryServiceStatusResponse]):
    """What a service does (MS-SCMR 3.1.4.7)."""

    sc_handle: handle


class ServicesResponse(Response):
    """`buffer` is as long as was asked for, and has `returned` services in it: see `unpack_services`."""

    buffer: raw_bytes = b""
    bytes_needed: u32 = 0
    returned: u32 = 0


class REnumDependentServicesWResponse(ServicesResponse):
    status: u32 = 0


@SVCCTL.call(13)
class REnumDependentServicesW(Call[REnumDependentServicesWResponse]):
    """The services that cannot run without a service (MS-SCMR 3.1.4.13)."""

    sc_handle: handle
    service_state: u32
    buffer_size: list_size = 0


class REnumServicesStatusWResponse(ServicesResponse):
    resume_index: optional_u32 = None
    status: u32 = 0


@SVCCTL.call(14)
class REnumServicesStatusW(Call[REnumServicesStatusWResponse]):
    """The services, with what they do (MS-SCMR 3.1.4.14)."""

    sc_handle: handle
    service_type: u32
    service_state: u32
    buffer_size: list_size = 0
    resume_index: optional_u32 = None


class ROpenSCManagerWResponse(HandleResponse):
    pass


@SVCCTL.call(15)
class ROpenSCManagerW(Call[ROpenSCManagerWResponse]):
    """Open the database of services (MS-SCMR 3.1.4.15)."""

    machine_name: string
    database_name: string
    desired_access: u32


class ROpenServiceWResponse(HandleResponse):
    pass


@SVCCTL.call(16)
class ROpenServiceW(Call[ROpenServiceWResponse]):
    """Open a service by its name (MS-SCMR 3.1.4.16)."""

    sc_handle: handle
    service_name: ref_string
    desired_access: u32


@dataclass(slots=True)
class ServiceConfig:
    """QUERY_SERVICE_CONFIGW (2.2.15): how a service is installed."""

    service_type: int = 0
    start_type: int = 0
    error_control: int = 0
    binary_path_name: str | None = None
    load_order_group: str | None = None
    tag_id: int = 0
    dependencies: str | None = None
    service_start_name: str | None = None
    display_name: str | None = None


_CONFIG: Final = levels(
    ServiceConfig,
    {0: " ".join(ServiceConfig.__dataclass_fields__)},
    strings="binary_path_name load_order_group dependencies service_start_name display_name",
)


class RQueryServiceConfigWResponse(Response):
    config: Annotated[ServiceConfig, Structure(_CONFIG, 0)] = ServiceConfig()
    bytes_needed: u32 = 0
    status: u32 = 0


@SVCCTL.call(17)
class RQueryServiceConfigW(Call[RQueryServiceConfigWResponse]):
    """How a service is installed (MS-SCMR 3.1.4.17)."""

    sc_handle: handle
    buffer_size: small_size = 0


class RStartServiceWResponse(Response):
    status: u32 = 0


@SVCCTL.call(19)
class RStartServiceW(Call[RStartServiceWResponse]):
    """Start a service (MS-SCMR 3.1.4.19). `arguments` is argv as it came; without any, a null pointer."""

    sc_handle: handle
    argc: u32 = 0
    arguments: rest = bytes(8)  # the null pointer of NDR64; that of NDR is the first half of it


class RQueryServiceStatusExResponse(Response):
    """`buffer` is as long as was asked for: see `pack_status_process`."""

    buffer: raw_bytes = b""
    bytes_needed: u32 = 0
    status: u32 = 0


@SVCCTL.call(40)
class RQueryServiceStatusEx(Call[RQueryServiceStatusExResponse]):
    """What a service does, and in which process (MS-SCMR 3.1.4.38). `info_level` is SC_STATUS_PROCESS_INFO."""

    sc_handle: handle
    info_level: u32 = SC_STATUS_PROCESS_INFO
    buffer_size: small_size = 0


# --- what stands in buffers


@dataclass(slots=True)
class ServiceStatus:
    """SERVICE_STATUS (2.2.47). `state` is a number of STATES."""

    service_type: int = 0
    state: int = 0
    controls_accepted: int = 0
    win32_exit_code: int = 0
    service_exit_code: int = 0
    checkpoint: int = 0
    wait_hint: int = 0

    def values(self) -> tuple[int, ...]:
        """The members, in their order."""
        return tuple(getattr(self, name) for name in type(self).__dataclass_fields__)


@dataclass(slots=True)
class ServiceEntry:
    """ENUM_SERVICE_STATUSW (2.2.11): one of a list of services."""

    name: str
    display_name: str
    status: ServiceStatus = field(default_factory=ServiceStatus)


_ENTRY: Final = struct.Struct("<II7I")
_STATUS_PROCESS: Final = struct.Struct("<9I")


def pack_status_process(status: ServiceStatus, process_id: int = 0, flags: int = 0) -> bytes:
    """SERVICE_STATUS_PROCESS (MS-SCMR 2.2.49)."""
    return _STATUS_PROCESS.pack(*status.values(), process_id, flags)


def pack_services(entries: Sequence[ServiceEntry]) -> bytes:
    """An array of ENUM_SERVICE_STATUSW and, behind it, its strings."""
    texts, heads = bytearray(), bytearray()
    at = _ENTRY.size * len(entries)
    for entry in entries:
        offsets = []
        for text in (entry.name, entry.display_name):
            offsets.append(at + len(texts))
            texts += text.encode("utf-16-le", "surrogatepass") + b"\0\0"
        heads += _ENTRY.pack(*offsets, *entry.status.values())
    return bytes(heads + texts)


def unpack_services(buffer: bytes, count: int) -> list[ServiceEntry]:
    """The first `count` services in a buffer. Raises MalformedMessage."""
    if count * _ENTRY.size > len(buffer):
        raise MalformedMessage(f"{count} services in {len(buffer)} bytes")
    entries = []
    for number in range(count):
        name, display_name, *status = _ENTRY.unpack_from(buffer, number * _ENTRY.size)
        entries.append(ServiceEntry(_text_at(buffer, name), _text_at(buffer, display_name), ServiceStatus(*status)))
    return entries


def _text_at(buffer: bytes, offset: int) -> str:
    # No name is longer, so many entries that share one text cannot be made to cost much.
    end = offset
    while buffer[end : end + 2] not in (b"\0\0", b"") and end - offset <= 2 * MAX_SERVICE_NAME:
        end += 2
    if buffer[end : end + 2] != b"\0\0":
        raise MalformedMessage(f"the name of a service at {offset} of {len(buffer)} bytes has no end")
    return str(buffer[offset:end], "utf-16-le", "surrogatepass")
