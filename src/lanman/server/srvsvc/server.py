"""The server itself: its configuration, disks, statistics and clock (MS-SRVS 3.1.4.17 to 3.1.4.21).

What can be set is what has an effect on this Server: the settings that have a member (`lanman.settings`). Of what
NetrServerSetInfo brings, the members that say who the server is are passed over; any other must be what it already is,
so that what was read can be written back with one value changed. Nothing is set unless all can be, and it is kept on
the disk before it is in force. A refusal names the bad member by its number in ParmErr.

Members that this Server has no setting for show Windows' defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, Final

from lanman import codes
from lanman.domain import ServerService
from lanman.errors import StatusError
from lanman.records import DiskInfo, ServerInfo, Statistics, TimeOfDay
from lanman.rpc.srvsvc.server import (
    SERVER_INFO,
    NetrRemoteTOD,
    NetrRemoteTODResponse,
    NetrServerDiskEnum,
    NetrServerDiskEnumResponse,
    NetrServerGetInfo,
    NetrServerGetInfoResponse,
    NetrServerSetInfo,
    NetrServerStatisticsGet,
    NetrServerStatisticsGetResponse,
)
from lanman.server.changes import KEEPING_FAILED, KeepSettings
from lanman.server.effects import Work
from lanman.server.rights import ALL_OPERATORS, ANYBODY, MANAGERS, OPERATORS, Rights
from lanman.server.srvsvc.calls import CallContext, CallRefused, answers, require_lengths
from lanman.settings import BY_MEMBER, Configuration, value_of

_32_BITS: Final = 0xFFFFFFFF

PLATFORM_ID_NT: Final = 500
VERSION: Final = (10, 0)
# MS-SRVS 2.2.2.7: WORKSTATION, SERVER, NT, SERVER_NT, as Windows Server 2019 has them, and SERVER_UNIX.
SERVER_TYPE: Final = 0x00009803

# Members that this Server has no setting for show Windows' defaults (MS-SRVS notes 40 and 41).
FIXED_SETTINGS: Final[dict[str, Any]] = {
    "announce": 240,
    "anndelta": 3000,
    "licenses": 0,
    "userpath": "c:\\",
    "capabilities": 0,
    "sessvcs": 1,
    "opensearch": 2048,
    "sizreqbuf": 4356,
    "initworkitems": 4,
    "maxworkitems": 16,
    "rawworkitems": 4,
    "irpstacksize": 11,
    "maxrawbuflen": 65535,
    "maxpagedmemoryusage": 0xFFFFFFFF,
    "maxnonpagedmemoryusage": 0xFFFFFFFF,
    "enablesoftcompat": 1,
    "enableforcedlogoff": 1,
    "timesource": 0,
    "acceptdownlevelapis": 1,
    "lmannounce": 0,
    "domain": "WORKGROUP",
    "maxcopyreadlen": 8192,
    "maxcopywritelen": 0,
    "minkeepsearch": 480,
    "maxkeepsearch": 3600,
    "minkeepcomplsearch": 240,
    "maxkeepcomplsearch": 600,
    "threadcountadd": 2,
    "numblockthreads": 2,
    "scavtimeout": 30,
    "minrcvqueue": 2,
    "minfreeworkitems": 2,
    "xactmemsize": 524288,
    "threadpriority": 1,
    "maxmpxct": 50,
    "oplockbreakwait": 35,
    "oplockbreakresponsewait": 35,
    "enableoplocks": 1,
    "enableoplockforceclose": 0,
    "enablefcbopens": 1,
    "enableraw": 1,
    "enablesharednetdrives": 0,
    "minfreeconnections": 2,
    "maxfreeconnections": 4096,
    "initsesstable": 4,
    "initconntable": 8,
    "initfiletable": 16,
    "initsearchtable": 8,
    "alertschedule": 5,
    "errorthreshold": 10,
    "networkerrorthreshold": 5,
    "diskspacethreshold": 10,
    "reserved": 0,
    "maxlinkdelay": 60,
    "minlinkthroughput": 0,
    "linkinfovalidtime": 60,
    "scavqosinfoupdatetime": 300,
    "maxworkitemidletime": 30,
}


def server_info(configuration: Configuration) -> ServerInfo:
    """Every member of every level; the level chooses."""
    changeable = {
        name: each.member.shown(value_of(configuration, each)) for name, each in BY_MEMBER.items() if each.member
    }
    return ServerInfo(
        platform_id=PLATFORM_ID_NT,
        name=configuration.name,
        version_major=VERSION[0],
        version_minor=VERSION[1],
        type=SERVER_TYPE,
        **(FIXED_SETTINGS | changeable),
    )


def statistics(service: ServerService) -> Statistics:
    """STAT_SERVER_0 (MS-SRVS 2.2.4.39). Counters wrap at 32 bits, the bytes at 64."""
    counted = service.counters
    return Statistics(
        start=counted.start & _32_BITS,
        fopens=counted.fopens & _32_BITS,
        sopens=counted.sopens & _32_BITS,
        stimedout=counted.stimedout & _32_BITS,
        pwerrors=counted.pwerrors & _32_BITS,
        permerrors=counted.permerrors & _32_BITS,
        bytessent_low=counted.bytes_sent & _32_BITS,
        bytessent_high=counted.bytes_sent >> 32 & _32_BITS,
        bytesrcvd_low=counted.bytes_received & _32_BITS,
        bytesrcvd_high=counted.bytes_received >> 32 & _32_BITS,
    )


def time_of_day(unix: float, minutes_west: int) -> TimeOfDay:
    """TIME_OF_DAY_INFO (MS-SRVS 2.2.4.105) of a time in seconds since 1970."""
    moment = datetime.fromtimestamp(unix, UTC)
    return TimeOfDay(
        elapsedt=int(unix) & _32_BITS,
        msecs=int(unix * 1000) & _32_BITS,
        hours=moment.hour,
        mins=moment.minute,
        secs=moment.second,
        hunds=moment.microsecond // 10_000,
        timezone=minutes_west,
        tinterval=310,
        day=moment.day,
        month=moment.month,
        year=moment.year,
        weekday=moment.isoweekday() % 7,
    )


# --- what can be set


IDENTITY: Final = frozenset(
    {"platform_id", "name", "version_major", "version_minor", "type", "licenses", "userpath", "domain", "reserved"}
)

# 2.2.2.12: what ParmErr calls a bad member. Those of level 599 are numbered in its order, from 501 on.
_MEMBERS: Final = [member.name for member in fields(ServerInfo)]
PARM_ERR: Final[Mapping[str, int]] = {
    "announce": 17,
    "anndelta": 18,
    **{member: number for number, member in enumerate(_MEMBERS[_MEMBERS.index("sessopens") :], 501)},
    **{name: each.member.parameter for name, each in BY_MEMBER.items() if each.member},
}


# --- the calls


def _check_name(request: NetrServerGetInfo) -> None:
    require_lengths(request.server_name)


@answers(
    NetrServerGetInfo,
    # note 80; the API page adds the other operators for 102, of which 103 has only one member more.
    rights=Rights(OPERATORS, {100: ANYBODY, 101: ANYBODY, 102: ALL_OPERATORS, 103: ALL_OPERATORS, 502: MANAGERS}),
    check=_check_name,
)
def server_get_info(context: CallContext, request: NetrServerGetInfo) -> NetrServerGetInfoResponse:
    """NetrServerGetInfo (MS-SRVS 3.1.4.17)."""
    return NetrServerGetInfoResponse(request.level, server_info(context.configuration), codes.NERR_Success)


@answers(NetrServerSetInfo, rights=Rights(OPERATORS), exclusive=True)
def server_set_info(context: CallContext, request: NetrServerSetInfo) -> Work[None]:
    """NetrServerSetInfo (MS-SRVS 3.1.4.18): the members of the level."""
    info, settings = request.info, context.settings
    assert info is not None
    shown = server_info(settings.current)
    values: dict[str, Any] = {}
    for member in SERVER_INFO.table[request.level].split():
        value = getattr(info, member)
        if member in IDENTITY or value == getattr(shown, member):
            continue
        if (setting := BY_MEMBER.get(member)) is None:
            raise CallRefused(codes.ERROR_NOT_SUPPORTED, PARM_ERR[member])
        try:
            values[setting.name] = setting.from_member(value)
        except ValueError:
            raise CallRefused(codes.ERROR_INVALID_PARAMETER, PARM_ERR[member]) from None
    if changes := settings.changed(**values):
        try:
            yield KeepSettings(changes)
        except StatusError:
            raise CallRefused(KEEPING_FAILED, 0) from None
        settings.change(**changes)


@answers(NetrServerDiskEnum, rights=Rights(OPERATORS))
def server_disk_enum(context: CallContext, request: NetrServerDiskEnum) -> NetrServerDiskEnumResponse:
    """NetrServerDiskEnum (MS-SRVS 3.1.4.19): the one that paths here begin with, and the empty one at the end."""
    return NetrServerDiskEnumResponse([DiskInfo("C:"), DiskInfo("")], 1, request.resume_handle, codes.NERR_Success)


@answers(NetrServerStatisticsGet, rights=Rights(OPERATORS))
def server_statistics_get(context: CallContext, request: NetrServerStatisticsGet) -> NetrServerStatisticsGetResponse:
    """NetrServerStatisticsGet (MS-SRVS 3.1.4.20)."""
    if request.options:
        raise CallRefused(codes.ERROR_INVALID_PARAMETER)
    return NetrServerStatisticsGetResponse(statistics(context.service), codes.NERR_Success)


@answers(NetrRemoteTOD, rights=Rights(ANYBODY))  # note 90
def remote_tod(context: CallContext, request: NetrRemoteTOD) -> NetrRemoteTODResponse:
    """NetrRemoteTOD (MS-SRVS 3.1.4.21)."""
    return NetrRemoteTODResponse(
        time_of_day(context.wall_clock(context.now), context.minutes_west()), codes.NERR_Success
    )
