"""The structures of lmshare.h and lmserver.h, with the names of their members; what C leaves at zero is zero here.

Rules:

  - Members stand in the order in which MS-SRVS has them, so that a record fills them by position (`structure`), and a
    structure a record (`record`). The level of a structure is the number behind its name.
  - Strings are str or None, numbers are unsigned as they travelled; a BOOL is 0 or 1.
"""

from __future__ import annotations

from dataclasses import astuple, fields
from typing import Any, TypeVar

from lanman.plain import dataclass
from lanman.rpc.levels import Levels

S = TypeVar("S")
Record = TypeVar("Record")


@dataclass(slots=True)
class SESSION_INFO_0:
    """MS-SRVS 2.2.4.11."""

    sesi0_cname: str | None = None


@dataclass(slots=True)
class SESSION_INFO_1:
    """MS-SRVS 2.2.4.12. Times are in seconds; `user_flags`: SESS_GUEST, SESS_NOENCRYPTION."""

    sesi1_cname: str | None = None
    sesi1_username: str | None = None
    sesi1_num_opens: int = 0
    sesi1_time: int = 0
    sesi1_idle_time: int = 0
    sesi1_user_flags: int = 0


@dataclass(slots=True)
class SESSION_INFO_2:
    """MS-SRVS 2.2.4.13."""

    sesi2_cname: str | None = None
    sesi2_username: str | None = None
    sesi2_num_opens: int = 0
    sesi2_time: int = 0
    sesi2_idle_time: int = 0
    sesi2_user_flags: int = 0
    sesi2_cltype_name: str | None = None


@dataclass(slots=True)
class SESSION_INFO_10:
    """MS-SRVS 2.2.4.14."""

    sesi10_cname: str | None = None
    sesi10_username: str | None = None
    sesi10_time: int = 0
    sesi10_idle_time: int = 0


@dataclass(slots=True)
class SESSION_INFO_502:
    """MS-SRVS 2.2.4.15."""

    sesi502_cname: str | None = None
    sesi502_username: str | None = None
    sesi502_num_opens: int = 0
    sesi502_time: int = 0
    sesi502_idle_time: int = 0
    sesi502_user_flags: int = 0
    sesi502_cltype_name: str | None = None
    sesi502_transport: str | None = None


@dataclass(slots=True)
class FILE_INFO_2:
    """MS-SRVS 2.2.4.6. Ids are unsigned."""

    fi2_id: int = 0


@dataclass(slots=True)
class FILE_INFO_3:
    """MS-SRVS 2.2.4.7. Ids are unsigned."""

    fi3_id: int = 0
    fi3_permissions: int = 0
    fi3_num_locks: int = 0
    fi3_pathname: str | None = None
    fi3_username: str | None = None


@dataclass(slots=True)
class CONNECTION_INFO_0:
    """MS-SRVS 2.2.4.1."""

    coni0_id: int = 0


@dataclass(slots=True)
class CONNECTION_INFO_1:
    """MS-SRVS 2.2.4.2."""

    coni1_id: int = 0
    coni1_type: int = 0
    coni1_num_opens: int = 0
    coni1_num_users: int = 0
    coni1_time: int = 0
    coni1_username: str | None = None
    coni1_netname: str | None = None


@dataclass(slots=True)
class SERVER_INFO_100:
    """Members as lmserver.h has them."""

    sv100_platform_id: int = 0
    sv100_name: str | None = None


@dataclass(slots=True)
class SERVER_INFO_101:
    """Members as lmserver.h has them."""

    sv101_platform_id: int = 0
    sv101_name: str | None = None
    sv101_version_major: int = 0
    sv101_version_minor: int = 0
    sv101_type: int = 0
    sv101_comment: str | None = None


@dataclass(slots=True)
class SERVER_INFO_102:
    """`disc` is in minutes, SV_NODISC (-1) for never; `users` 0xFFFFFFFF for no limit."""

    sv102_platform_id: int = 0
    sv102_name: str | None = None
    sv102_version_major: int = 0
    sv102_version_minor: int = 0
    sv102_type: int = 0
    sv102_comment: str | None = None
    sv102_users: int = 0
    sv102_disc: int = 0
    sv102_hidden: int = 0
    sv102_announce: int = 0
    sv102_anndelta: int = 0
    sv102_licenses: int = 0
    sv102_userpath: str | None = None


@dataclass(slots=True)
class SERVER_INFO_502:
    """Members as lmserver.h has them."""

    sv502_sessopens: int = 0
    sv502_sessvcs: int = 0
    sv502_opensearch: int = 0
    sv502_sizreqbuf: int = 0
    sv502_initworkitems: int = 0
    sv502_maxworkitems: int = 0
    sv502_rawworkitems: int = 0
    sv502_irpstacksize: int = 0
    sv502_maxrawbuflen: int = 0
    sv502_sessusers: int = 0
    sv502_sessconns: int = 0
    sv502_maxpagedmemoryusage: int = 0
    sv502_maxnonpagedmemoryusage: int = 0
    sv502_enablesoftcompat: int = 0
    sv502_enableforcedlogoff: int = 0
    sv502_timesource: int = 0
    sv502_acceptdownlevelapis: int = 0
    sv502_lmannounce: int = 0


@dataclass(slots=True)
class SERVER_INFO_503:
    """Members as lmserver.h has them."""

    sv503_sessopens: int = 0
    sv503_sessvcs: int = 0
    sv503_opensearch: int = 0
    sv503_sizreqbuf: int = 0
    sv503_initworkitems: int = 0
    sv503_maxworkitems: int = 0
    sv503_rawworkitems: int = 0
    sv503_irpstacksize: int = 0
    sv503_maxrawbuflen: int = 0
    sv503_sessusers: int = 0
    sv503_sessconns: int = 0
    sv503_maxpagedmemoryusage: int = 0
    sv503_maxnonpagedmemoryusage: int = 0
    sv503_enablesoftcompat: int = 0
    sv503_enableforcedlogoff: int = 0
    sv503_timesource: int = 0
    sv503_acceptdownlevelapis: int = 0
    sv503_lmannounce: int = 0
    sv503_domain: str | None = None
    sv503_maxcopyreadlen: int = 0
    sv503_maxcopywritelen: int = 0
    sv503_minkeepsearch: int = 0
    sv503_maxkeepsearch: int = 0
    sv503_minkeepcomplsearch: int = 0
    sv503_maxkeepcomplsearch: int = 0
    sv503_threadcountadd: int = 0
    sv503_numblockthreads: int = 0
    sv503_scavtimeout: int = 0
    sv503_minrcvqueue: int = 0
    sv503_minfreeworkitems: int = 0
    sv503_xactmemsize: int = 0
    sv503_threadpriority: int = 0
    sv503_maxmpxct: int = 0
    sv503_oplockbreakwait: int = 0
    sv503_oplockbreakresponsewait: int = 0
    sv503_enableoplocks: int = 0
    sv503_enableoplockforceclose: int = 0
    sv503_enablefcbopens: int = 0
    sv503_enableraw: int = 0
    sv503_enablesharednetdrives: int = 0
    sv503_minfreeconnections: int = 0
    sv503_maxfreeconnections: int = 0


@dataclass(slots=True)
class SERVER_INFO_1005:
    """The comment alone."""

    sv1005_comment: str | None = None


@dataclass(slots=True)
class SERVER_INFO_1010:
    """One member of level 102 alone."""

    sv1010_disc: int = 0


@dataclass(slots=True)
class SERVER_INFO_1016:
    """One member of level 102 alone."""

    sv1016_hidden: int = 0


@dataclass(slots=True)
class SERVER_INFO_1017:
    """One member of level 102 alone."""

    sv1017_announce: int = 0


@dataclass(slots=True)
class SERVER_INFO_1018:
    """One member of level 102 alone."""

    sv1018_anndelta: int = 0


@dataclass(slots=True)
class SERVER_INFO_1107:
    """One member of level 102 alone."""

    sv1107_users: int = 0


def structure(kind: type[S], levels: Levels[Any], level: int, record: Any) -> S:
    """A record as the structure of its level; a truth value becomes a BOOL."""
    values = [getattr(record, name) for name in levels.table[level].split()]
    return kind(*(int(value) if isinstance(value, bool) else value for value in values))


def record(levels: Levels[Record], level: int, of: Any) -> Record:
    """The record of a structure. Raises TypeError for what is no dataclass of as many members."""
    names = levels.table[level].split()
    if len(fields(of)) != len(names):
        raise TypeError(f"{type(of).__name__} is not of level {level}")
    return levels.record(**dict(zip(names, astuple(of), strict=True)))
