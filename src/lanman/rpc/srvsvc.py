r"""The Server Service Remote Protocol: every call of `\PIPE\srvsvc`, for both ends (MS-SRVS 3.1.4).

    stub = NetrSessionEnum(None, None, None, 502).pack()
    answer = request.answer(stub)                       # a NetrSessionEnumResponse

Class names are the specification's, fields its parameters' in snake_case; `info` and `entries` are the records at the
heart of a call. `level` says which of a record's fields travel: see the tables of levels. A level that is not in them
decodes as a request without entries or info, so that the method can answer ERROR_INVALID_LEVEL.
"""

from __future__ import annotations

from typing import Annotated, Final

from lanman.records import (
    AliasInfo,
    CharDevInfo,
    CharDevQueueInfo,
    ConnectionInfo,
    FileInfo,
    ServerInfo,
    SessionInfo,
    ShareInfo,
    Statistics,
    TimeOfDay,
    TransportInfo,
)
from lanman.rpc.levels import BOOLEAN, COUNTED, COUNTED_BEHIND, OCTETS_256, levels
from lanman.rpc.ndr import (
    LARGE_REQUEST,
    Entries,
    Info,
    InlineInfo,
    Interface,
    Structure,
    disk_container,
    handle,
    i32,
    optional_u32,
    raw_bytes,
    ref_string,
    rest,
    string,
    struct_level,
    u32,
    union_level,
    wide_buffer,
)
from lanman.rpc.ndr import (
    Call as Call,
)
from lanman.rpc.ndr import (
    Response as Response,
)

SRVSVC: Final = Interface("srvsvc", "4b324fc8-1670-01d3-1278-5a47bf6ee188", 3)
MAX_PREFERRED_LENGTH: Final = 0xFFFFFFFF

# --- Information levels: the fields of a record in wire order ---------------------------------------------------------

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

CONNECTION_INFO: Final = levels(
    ConnectionInfo,
    {0: "id", 1: "id type num_opens num_users active_time user_name net_name"},
    strings="user_name net_name",
)

FILE_INFO: Final = levels(
    FileInfo,
    {2: "id", 3: "id permissions num_locks path user_name"},
    strings="path user_name",
)

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

_SERVER_102: Final = (
    "platform_id name version_major version_minor type comment users disc hidden announce anndelta licenses userpath"
)
_SERVER_502: Final = (
    "sessopens sessvcs opensearch sizreqbuf initworkitems maxworkitems rawworkitems irpstacksize maxrawbuflen "
    "sessusers sessconns maxpagedmemoryusage maxnonpagedmemoryusage enablesoftcompat enableforcedlogoff timesource "
    "acceptdownlevelapis lmannounce"
)
_SERVER_503: Final = _SERVER_502 + (
    " domain maxcopyreadlen maxcopywritelen minkeepsearch maxkeepsearch minkeepcomplsearch maxkeepcomplsearch "
    "threadcountadd numblockthreads scavtimeout minrcvqueue minfreeworkitems xactmemsize threadpriority maxmpxct "
    "oplockbreakwait oplockbreakresponsewait enableoplocks enableoplockforceclose enablefcbopens enableraw "
    "enablesharednetdrives minfreeconnections maxfreeconnections"
)
_SERVER_599: Final = _SERVER_503 + (
    " initsesstable initconntable initfiletable initsearchtable alertschedule errorthreshold networkerrorthreshold "
    "diskspacethreshold reserved maxlinkdelay minlinkthroughput linkinfovalidtime scavqosinfoupdatetime "
    "maxworkitemidletime"
)

SERVER_INFO: Final = levels(
    ServerInfo,
    {
        100: "platform_id name",
        101: "platform_id name version_major version_minor type comment",
        102: _SERVER_102,
        103: _SERVER_102 + " capabilities",
        502: _SERVER_502,
        503: _SERVER_503,
        599: _SERVER_599,
        1005: "comment",
        1010: "disc",
        1016: "hidden",
        1017: "announce",
        1018: "anndelta",
        1107: "users",
        1501: "sessopens",
        1502: "sessvcs",
        1503: "opensearch",
        1506: "maxworkitems",
        1510: "sessusers",
        1511: "sessconns",
        1512: "maxnonpagedmemoryusage",
        1513: "maxpagedmemoryusage",
        1514: "enablesoftcompat",
        1515: "enableforcedlogoff",
        1516: "timesource",
        1518: "lmannounce",
        1523: "maxkeepsearch",
        1528: "scavtimeout",
        1529: "minrcvqueue",
        1530: "minfreeworkitems",
        1533: "maxmpxct",
        1534: "oplockbreakwait",
        1535: "oplockbreakresponsewait",
        1536: "enableoplocks",
        1538: "enablefcbopens",
        1539: "enableraw",
        1540: "enablesharednetdrives",
        1541: "minfreeconnections",
        1542: "maxfreeconnections",
        1543: "initsesstable",
        1544: "initconntable",
        1545: "initfiletable",
        1546: "initsearchtable",
        1547: "alertschedule",
        1548: "errorthreshold",
        1549: "networkerrorthreshold",
        1550: "diskspacethreshold",
        1552: "maxlinkdelay",
        1553: "minlinkthroughput",
        1554: "linkinfovalidtime",
        1555: "scavqosinfoupdatetime",
        1556: "maxworkitemidletime",
    },
    strings="name comment userpath domain",
    signed=(
        "disc enablesoftcompat enableforcedlogoff timesource acceptdownlevelapis lmannounce enableoplocks "
        "enableoplockforceclose enablefcbopens enableraw enablesharednetdrives"
    ),
    bools="hidden",
)

TRANSPORT_INFO: Final = levels(
    TransportInfo,
    {
        0: "number_of_vcs name address network_address",
        1: "number_of_vcs name address network_address domain",
        2: "number_of_vcs name address network_address domain flags",
        3: "number_of_vcs name address network_address domain flags password_length password",
    },
    strings="name network_address domain",
    kinds={"address": COUNTED_BEHIND, "password": OCTETS_256},
)

STATISTICS: Final = levels(
    Statistics,
    {
        0: "start fopens devopens jobsqueued sopens stimedout serrorout pwerrors permerrors syserrors bytessent_low "
        "bytessent_high bytesrcvd_low bytesrcvd_high avresponse reqbufneed bigbufneed"
    },
)

TIME_OF_DAY: Final = levels(
    TimeOfDay,
    {0: "elapsedt msecs hours mins secs hunds timezone tinterval day month year weekday"},
    signed="timezone",
)

ALIAS_INFO: Final = levels(
    AliasInfo, {0: "alias target default reserved"}, strings="alias target", kinds={"default": BOOLEAN}
)
CHARDEV_INFO: Final = levels(CharDevInfo, {0: "device", 1: "device status user time"}, strings="device user")
CHARDEVQ_INFO: Final = levels(
    CharDevQueueInfo, {0: "device", 1: "device priority devices users num_ahead"}, strings="device devices"
)

SessionEntries = Annotated[list[SessionInfo] | None, Entries(SESSION_INFO)]
ConnectionEntries = Annotated[list[ConnectionInfo] | None, Entries(CONNECTION_INFO)]
FileEntries = Annotated[list[FileInfo] | None, Entries(FILE_INFO)]
ShareEntries = Annotated[list[ShareInfo] | None, Entries(SHARE_INFO)]
TransportEntries = Annotated[list[TransportInfo] | None, Entries(TRANSPORT_INFO)]
AliasEntries = Annotated[list[AliasInfo] | None, Entries(ALIAS_INFO)]
CharDevEntries = Annotated[list[CharDevInfo] | None, Entries(CHARDEV_INFO)]
CharDevQueueEntries = Annotated[list[CharDevQueueInfo] | None, Entries(CHARDEVQ_INFO)]
FileUnion = Annotated[FileInfo | None, Info(FILE_INFO)]
ShareUnion = Annotated[ShareInfo | None, Info(SHARE_INFO)]
ServerUnion = Annotated[ServerInfo | None, Info(SERVER_INFO)]
AliasUnion = Annotated[AliasInfo | None, Info(ALIAS_INFO)]
CharDevUnion = Annotated[CharDevInfo | None, Info(CHARDEV_INFO)]
CharDevQueueUnion = Annotated[CharDevQueueInfo | None, Info(CHARDEVQ_INFO)]
TransportUnion = Annotated[TransportInfo | None, InlineInfo(TRANSPORT_INFO)]
TransportStructure = Annotated[TransportInfo, Structure(TRANSPORT_INFO, 0)]
StatisticsPointer = Annotated[Statistics | None, Structure(STATISTICS, 0, unique=True)]
TimeOfDayPointer = Annotated[TimeOfDay | None, Structure(TIME_OF_DAY, 0, unique=True)]


class StatusResponse(Response):
    """The answer of a call that gives nothing but its outcome."""

    status: u32 = 0


class ParmErrResponse(Response):
    """The answer of a Set or Add call: on ERROR_INVALID_PARAMETER, `parm_err` is the number of the bad member."""

    parm_err: optional_u32 = None
    status: u32 = 0


# --- Connections, files, sessions (MS-SRVS 3.1.4.1 to 3.1.4.6) --------------------------------------------------------


class NetrConnectionEnumResponse(Response):
    level: struct_level
    entries: ConnectionEntries = None
    total_entries: u32 = 0
    resume_handle: optional_u32 = None
    status: u32 = 0


@SRVSVC.call(8)
class NetrConnectionEnum(Call[NetrConnectionEnumResponse]):
    r"""The tree connects to a share, or of a client if `qualifier` begins with `\\` (MS-SRVS 3.1.4.1)."""

    server_name: string
    qualifier: string
    level: struct_level
    entries: ConnectionEntries = None
    prefered_maximum_length: u32 = MAX_PREFERRED_LENGTH
    resume_handle: optional_u32 = 0


class NetrFileEnumResponse(Response):
    level: struct_level
    entries: FileEntries = None
    total_entries: u32 = 0
    resume_handle: optional_u32 = None
    status: u32 = 0


@SRVSVC.call(9)
class NetrFileEnum(Call[NetrFileEnumResponse]):
    """The open files below `base_path` and of a user, where given (MS-SRVS 3.1.4.2)."""

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


class NetrSessionEnumResponse(Response):
    level: struct_level
    entries: SessionEntries = None
    total_entries: u32 = 0
    resume_handle: optional_u32 = None
    status: u32 = 0


@SRVSVC.call(12)
class NetrSessionEnum(Call[NetrSessionEnumResponse]):
    """The sessions of a client and of a user, where given (MS-SRVS 3.1.4.5)."""

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


# --- Shares (MS-SRVS 3.1.4.7 to 3.1.4.16) -----------------------------------------------------------------------------


class NetrShareAddResponse(ParmErrResponse):
    pass


@SRVSVC.call(14)
class NetrShareAdd(Call[NetrShareAddResponse]):
    """Share a directory (MS-SRVS 3.1.4.7)."""

    max_request = LARGE_REQUEST
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

    server_name: string
    net_name: ref_string
    level: u32


class NetrShareSetInfoResponse(ParmErrResponse):
    pass


@SRVSVC.call(17)
class NetrShareSetInfo(Call[NetrShareSetInfoResponse]):
    """Change a share (MS-SRVS 3.1.4.11)."""

    max_request = LARGE_REQUEST
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


class NetrShareCheckResponse(Response):
    type: u32 = 0
    status: u32 = 0


@SRVSVC.call(20)
class NetrShareCheck(Call[NetrShareCheckResponse]):
    """Whether a path of the server is shared, and as what (MS-SRVS 3.1.4.16)."""

    server_name: string
    device: ref_string


# --- The server itself (MS-SRVS 3.1.4.17 to 3.1.4.28) -----------------------------------------------------------------


class NetrServerGetInfoResponse(Response):
    level: union_level
    info: ServerUnion = None
    status: u32 = 0


@SRVSVC.call(21)
class NetrServerGetInfo(Call[NetrServerGetInfoResponse]):
    """The server and its configuration (MS-SRVS 3.1.4.17)."""

    server_name: string
    level: u32


class NetrServerSetInfoResponse(ParmErrResponse):
    pass


@SRVSVC.call(22)
class NetrServerSetInfo(Call[NetrServerSetInfoResponse]):
    """Change the configuration (MS-SRVS 3.1.4.18)."""

    max_request = LARGE_REQUEST
    server_name: string
    level: u32
    info: ServerUnion
    parm_err: optional_u32 = 0


class NetrServerDiskEnumResponse(Response):
    disks: disk_container = None
    total_entries: u32 = 0
    resume_handle: optional_u32 = None
    status: u32 = 0


@SRVSVC.call(23)
class NetrServerDiskEnum(Call[NetrServerDiskEnumResponse]):
    """The disk drives; an empty name ends the list (MS-SRVS 3.1.4.19)."""

    server_name: string
    level: u32 = 0
    disks: disk_container = None
    prefered_maximum_length: u32 = MAX_PREFERRED_LENGTH
    resume_handle: optional_u32 = 0


class NetrServerStatisticsGetResponse(Response):
    info: StatisticsPointer = None
    status: u32 = 0


@SRVSVC.call(24)
class NetrServerStatisticsGet(Call[NetrServerStatisticsGetResponse]):
    """What the server counted (MS-SRVS 3.1.4.20)."""

    server_name: string
    service: string = None
    level: u32 = 0
    options: u32 = 0


class NetrServerTransportAddResponse(StatusResponse):
    pass


@SRVSVC.call(25)
class NetrServerTransportAdd(Call[NetrServerTransportAddResponse]):
    """Listen on one more transport; level 0 (MS-SRVS 3.1.4.23)."""

    max_request = LARGE_REQUEST
    server_name: string
    level: u32
    info: TransportStructure


class NetrServerTransportEnumResponse(Response):
    level: struct_level
    entries: TransportEntries = None
    total_entries: u32 = 0
    resume_handle: optional_u32 = None
    status: u32 = 0


@SRVSVC.call(26)
class NetrServerTransportEnum(Call[NetrServerTransportEnumResponse]):
    """What the server listens on (MS-SRVS 3.1.4.25)."""

    server_name: string
    level: struct_level
    entries: TransportEntries = None
    prefered_maximum_length: u32 = MAX_PREFERRED_LENGTH
    resume_handle: optional_u32 = 0


class NetrServerTransportDelResponse(StatusResponse):
    pass


@SRVSVC.call(27)
class NetrServerTransportDel(Call[NetrServerTransportDelResponse]):
    """Stop to listen on a transport; level 0 (MS-SRVS 3.1.4.26)."""

    max_request = LARGE_REQUEST
    server_name: string
    level: u32
    info: TransportStructure


class NetrRemoteTODResponse(Response):
    info: TimeOfDayPointer = None
    status: u32 = 0


@SRVSVC.call(28)
class NetrRemoteTOD(Call[NetrRemoteTODResponse]):
    """The server's clock (MS-SRVS 3.1.4.21)."""

    server_name: string


# --- Paths and names (MS-SRVS 3.1.4.29 to 3.1.4.34) -------------------------------------------------------------------


class NetprPathTypeResponse(Response):
    path_type: u32 = 0
    status: u32 = 0


@SRVSVC.call(30)
class NetprPathType(Call[NetprPathTypeResponse]):
    """What kind of path a path is (MS-SRVS 3.1.4.29)."""

    server_name: string
    path_name: ref_string
    flags: u32 = 0


class NetprPathCanonicalizeResponse(Response):
    """`outbuf` has as many bytes as were asked for: UTF-16 up to the first NUL."""

    outbuf: raw_bytes = b""
    path_type: u32 = 0
    status: u32 = 0


@SRVSVC.call(31)
class NetprPathCanonicalize(Call[NetprPathCanonicalizeResponse]):
    """A path in canonical form; `outbuf_len` is in bytes (MS-SRVS 3.1.4.30)."""

    server_name: string
    path_name: ref_string
    outbuf_len: u32
    prefix: ref_string = ""
    path_type: u32 = 0
    flags: u32 = 0


class NetprPathCompareResponse(Response):
    """`status` is -1, 0 or 1 for the order, or an error."""

    status: i32 = 0


@SRVSVC.call(32)
class NetprPathCompare(Call[NetprPathCompareResponse]):
    """The order of two paths (MS-SRVS 3.1.4.31)."""

    server_name: string
    path_name_1: ref_string
    path_name_2: ref_string
    path_type: u32 = 0
    flags: u32 = 0


class NetprNameValidateResponse(StatusResponse):
    pass


@SRVSVC.call(33)
class NetprNameValidate(Call[NetprNameValidateResponse]):
    """Whether a name is valid for its type (MS-SRVS 3.1.4.32)."""

    server_name: string
    name: ref_string
    name_type: u32
    flags: u32 = 0


class NetprNameCanonicalizeResponse(Response):
    """`outbuf` has as many UTF-16 code units as were asked for: the name ends at the first NUL."""

    outbuf: wide_buffer = ""
    status: u32 = 0


@SRVSVC.call(34)
class NetprNameCanonicalize(Call[NetprNameCanonicalizeResponse]):
    """A name in canonical form; `outbuf_len` is in code units (MS-SRVS 3.1.4.33)."""

    server_name: string
    name: ref_string
    outbuf_len: u32
    name_type: u32
    flags: u32 = 0


class NetprNameCompareResponse(Response):
    """`status` is -1, 0 or 1 for the order, or an error."""

    status: i32 = 0


@SRVSVC.call(35)
class NetprNameCompare(Call[NetprNameCompareResponse]):
    """The order of two names (MS-SRVS 3.1.4.34)."""

    server_name: string
    name_1: ref_string
    name_2: ref_string
    name_type: u32
    flags: u32 = 0


# --- More of shares (MS-SRVS 3.1.4.9, 3.1.4.14, 3.1.4.15) -------------------------------------------------------------


class NetrShareEnumStickyResponse(Response):
    level: struct_level
    entries: ShareEntries = None
    total_entries: u32 = 0
    resume_handle: optional_u32 = None
    status: u32 = 0


@SRVSVC.call(36)
class NetrShareEnumSticky(Call[NetrShareEnumStickyResponse]):
    """The shares that a restart will bring back (MS-SRVS 3.1.4.9)."""

    server_name: string
    level: struct_level
    entries: ShareEntries = None
    prefered_maximum_length: u32 = MAX_PREFERRED_LENGTH
    resume_handle: optional_u32 = 0


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


class NetrShareDelExResponse(StatusResponse):
    pass


@SRVSVC.call(57)
class NetrShareDelEx(Call[NetrShareDelExResponse]):
    """End a share of a scope: level 0 or 503 (MS-SRVS 3.1.4.54)."""

    max_request = LARGE_REQUEST
    server_name: string
    level: u32
    info: ShareUnion


# --- More of transports, and aliases (MS-SRVS 3.1.4.24, 3.1.4.27, 3.1.4.50 to 3.1.4.52) -------------------------------


class NetrServerTransportAddExResponse(StatusResponse):
    pass


@SRVSVC.call(41)
class NetrServerTransportAddEx(Call[NetrServerTransportAddExResponse]):
    """Listen on one more transport; levels 0 to 3 (MS-SRVS 3.1.4.24)."""

    max_request = LARGE_REQUEST
    server_name: string
    level: u32
    info: TransportUnion


class NetrServerTransportDelExResponse(StatusResponse):
    pass


@SRVSVC.call(53)
class NetrServerTransportDelEx(Call[NetrServerTransportDelExResponse]):
    """Stop to listen on a transport; levels 0 to 3 (MS-SRVS 3.1.4.27)."""

    max_request = LARGE_REQUEST
    server_name: string
    level: u32
    info: TransportUnion


class NetrServerAliasAddResponse(StatusResponse):
    pass


@SRVSVC.call(54)
class NetrServerAliasAdd(Call[NetrServerAliasAddResponse]):
    """Give the server one more name (MS-SRVS 3.1.4.50)."""

    max_request = LARGE_REQUEST
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
    """The server's other names (MS-SRVS 3.1.4.51)."""

    server_name: string
    level: struct_level
    entries: AliasEntries = None
    prefered_maximum_length: u32 = MAX_PREFERRED_LENGTH
    resume_handle: optional_u32 = 0


class NetrServerAliasDelResponse(StatusResponse):
    pass


@SRVSVC.call(56)
class NetrServerAliasDel(Call[NetrServerAliasDelResponse]):
    """Take one of the server's other names (MS-SRVS 3.1.4.52)."""

    max_request = LARGE_REQUEST
    server_name: string
    level: u32
    info: AliasUnion


# --- Distributed file system: dead since Windows Server 2003 (MS-SRVS 3.1.4.35 to 3.1.4.43) ---------------------------


class NetrDfsGetVersionResponse(Response):
    version: u32 = 0
    status: u32 = 0


@SRVSVC.call(43)
class NetrDfsGetVersion(Call[NetrDfsGetVersionResponse]):
    """The version of DFS that the server has (MS-SRVS 3.1.4.35)."""

    server_name: string


class DfsCall(Call[StatusResponse]):
    """A DFS call that no server answers but by ERROR_NOT_SUPPORTED. Its parameters are not read."""

    server_name: string
    parameters: rest = b""


@SRVSVC.call(44)
class NetrDfsCreateLocalPartition(DfsCall):
    """MS-SRVS 3.1.4.36."""


@SRVSVC.call(45)
class NetrDfsDeleteLocalPartition(DfsCall):
    """MS-SRVS 3.1.4.37."""


@SRVSVC.call(46)
class NetrDfsSetLocalVolumeState(DfsCall):
    """MS-SRVS 3.1.4.38."""


@SRVSVC.call(49)
class NetrDfsDeleteExitPoint(DfsCall):
    """MS-SRVS 3.1.4.41."""


@SRVSVC.call(50)
class NetrDfsModifyPrefix(DfsCall):
    """MS-SRVS 3.1.4.40."""


@SRVSVC.call(51)
class NetrDfsFixLocalVolume(DfsCall):
    """MS-SRVS 3.1.4.42."""


# --- Serial devices: of LAN Manager's days, never on Windows' wire, but Samba's IDL has them and its tests call them --


class NetrCharDevEnumResponse(Response):
    level: struct_level
    entries: CharDevEntries = None
    total_entries: u32 = 0
    resume_handle: optional_u32 = None
    status: u32 = 0


@SRVSVC.call(0)
class NetrCharDevEnum(Call[NetrCharDevEnumResponse]):
    """The serial devices."""

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

    server_name: string
    queue_name: ref_string
    user_name: ref_string
    level: u32


@SRVSVC.call(5)
class NetrCharDevQSetInfo(Call[ParmErrResponse]):
    """Change a queue."""

    max_request = LARGE_REQUEST
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
