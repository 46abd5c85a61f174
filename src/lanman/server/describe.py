r"""The domain's objects as the records of management calls, and paths as those calls write them.

`/srv/data/a.txt` travels as `C:\srv\data\a.txt`, since Windows' consoles take nothing else; pipes are `\PIPE\name`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from lanman.domain import DIRECT_TCP, Open, ServerService, Session, Share, TreeConnect
from lanman.records import (
    ConnectionInfo,
    FileInfo,
    ServerInfo,
    SessionInfo,
    ShareInfo,
    Statistics,
    TimeOfDay,
    TransportInfo,
)
from lanman.server.configuration import ServerConfiguration

SESS_GUEST: Final = 0x1  # MS-SRVS 2.2.4.12
UNLIMITED: Final = 0xFFFFFFFF
SHI1005_FLAGS_ENCRYPT_DATA: Final = 0x8000  # MS-SRVS 2.2.4.29
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


def wire_path(path: str) -> str:
    """A path of this machine as the wire has it. Pipes, and the empty path of IPC$, are the same there."""
    return "C:" + path.replace("/", "\\") if path.startswith("/") else path


def local_path(path: str) -> str:
    r"""What `wire_path` was given: `C:\srv`, `c:/srv` and `/srv` are `/srv`; anything else is left as it is."""
    bare = path[2:] if path[:2].lower() == "c:" else path
    if bare != path or path.startswith("/"):
        return "/" + bare.replace("\\", "/").lstrip("/")
    return path


def session_info(session: Session, now: float) -> SessionInfo:
    """MS-SMB2 3.3.4.18. Clients of SMB 2 and 3 say nothing of their type: it is empty."""
    return SessionInfo(
        session.client_name,
        session.user_name,
        session.num_opens,
        session.active_seconds(now),
        session.idle_seconds(now),
        SESS_GUEST if session.guest else 0,
        "",
        session.transport,
    )


def file_info(opened: Open) -> FileInfo:
    """MS-SMB2 3.3.4.20: the permissions are the granted access."""
    return FileInfo(
        opened.global_id, opened.granted_access, opened.num_locks, wire_path(opened.path), opened.session.user_name
    )


def connection_info(tree: TreeConnect, now: float, *, net_name: str) -> ConnectionInfo:
    """MS-SMB2 3.3.4.19: a tree connect has one user."""
    return ConnectionInfo(
        tree.global_id,
        tree.share.type,
        tree.open_count,
        1,
        tree.active_seconds(now),
        tree.session.user_name,
        net_name,
    )


def share_info(share: Share) -> ShareInfo:
    """MS-SRVS 2.2.4.22 on. Access is by user, so there are neither permissions nor a password of the share's own."""
    return ShareInfo(
        netname=share.name,
        type=share.type,
        remark=share.remark,
        permissions=0,
        max_uses=share.max_users or UNLIMITED,
        current_uses=share.current_uses,
        path=wire_path(share.path),
        passwd="",
        flags=share_flags(share),
        server_name="*",
        security_descriptor=share.security_descriptor or None,
    )


def share_flags(share: Share) -> int:
    """SHARE_INFO_1005 (MS-SRVS 2.2.4.29)."""
    return share.flags | (SHI1005_FLAGS_ENCRYPT_DATA if share.encrypt_data else 0)


def server_info(configuration: ServerConfiguration) -> ServerInfo:
    """Every member of every level; MS-SRVS 3.1.4.17 chooses."""
    return ServerInfo(
        platform_id=PLATFORM_ID_NT,
        name=configuration.name,
        version_major=VERSION[0],
        version_minor=VERSION[1],
        type=SERVER_TYPE,
        comment=configuration.comment,
        users=configuration.max_sessions or UNLIMITED,
        disc=configuration.autodisconnect,
        hidden=configuration.hidden,
        sessopens=configuration.opens_per_session,
        sessusers=configuration.sessions_per_connection,
        sessconns=configuration.tree_connects_per_session,
        **FIXED_SETTINGS,
    )


def statistics(service: ServerService) -> Statistics:
    """STAT_SERVER_0 (MS-SRVS 2.2.4.39). Counters wrap at 32 bits, the bytes at 64."""
    counted = service.statistics
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


def transport_info(service: ServerService, configuration: ServerConfiguration) -> TransportInfo:
    """The one transport, SMB over TCP (MS-SRVS notes 30 and 31: a padded name, and no adapter's address)."""
    name = configuration.name.upper().encode("ascii", "replace")[:16]
    return TransportInfo(
        number_of_vcs=service.connection_count,
        name=DIRECT_TCP,
        address=name.ljust(16),
        network_address="000000000000",
        domain=FIXED_SETTINGS["domain"],
        flags=0,
    )
