"""The server itself: its configuration, disks, statistics and clock (MS-SRVS 3.1.4.17 to 3.1.4.21).

SERVER_INFO has three kinds of levels:

    100 to 103          what the server is, and what users see of it
    502, 503            how it is tuned
    599, 1005 to 1556   to be written only: 503 with more members; and one member alone

The first two can be read, and all of them but 100 and 103 can be written. A level of one member is 1000 and the number
that the member has in ParmErr (2.2.2.12); MS-SRVS leaves out some.
"""

from __future__ import annotations

from typing import Annotated, Final

from lanman.records import ServerInfo, Statistics, TimeOfDay
from lanman.rpc.levels import levels
from lanman.rpc.ndr import (
    LARGE_REQUEST,
    Call,
    Info,
    Response,
    Structure,
    disk_container,
    optional_u32,
    string,
    u32,
    union_level,
)
from lanman.rpc.srvsvc.interface import MAX_PREFERRED_LENGTH, SRVSVC, ParmErrResponse

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
ServerUnion = Annotated[ServerInfo | None, Info(SERVER_INFO)]
StatisticsPointer = Annotated[Statistics | None, Structure(STATISTICS, 0, unique=True)]
TimeOfDayPointer = Annotated[TimeOfDay | None, Structure(TIME_OF_DAY, 0, unique=True)]


class NetrServerGetInfoResponse(Response):
    level: union_level
    info: ServerUnion = None
    status: u32 = 0


@SRVSVC.call(21)
class NetrServerGetInfo(Call[NetrServerGetInfoResponse]):
    """The server and its configuration (MS-SRVS 3.1.4.17)."""

    levels = frozenset({100, 101, 102, 103, 502, 503})
    server_name: string
    level: u32


class NetrServerSetInfoResponse(ParmErrResponse):
    pass


@SRVSVC.call(22)
class NetrServerSetInfo(Call[NetrServerSetInfoResponse]):
    """Change the configuration (MS-SRVS 3.1.4.18)."""

    max_request = LARGE_REQUEST
    levels = frozenset(SERVER_INFO.table) - {100, 103}
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

    levels = frozenset({0})
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

    levels = frozenset({0})
    server_name: string
    service: string = None
    level: u32 = 0
    options: u32 = 0


class NetrRemoteTODResponse(Response):
    info: TimeOfDayPointer = None
    status: u32 = 0


@SRVSVC.call(28)
class NetrRemoteTOD(Call[NetrRemoteTODResponse]):
    """The server's clock (MS-SRVS 3.1.4.21)."""

    server_name: string
