"""The records that management calls read and write, with the field names that pywin32 uses.

  - A field is `None` where the server did not say: the information level lacks it, or the server is known to invent it.
    0 and "" are values that a server sent.
  - One record serves all levels of its kind; which fields a level has is declared in `lanman.rpc.srvsvc`. The order of
    the fields is no order of the wire.
  - Durations are whole seconds, and points in time seconds since 1970, unless a record says otherwise.
  - `node` is the server of a cluster that a record is of, as rows and orders call it; None where a single server
    answered. It is not on the wire, and is shown where it is set.
  - Records are plain values: two are equal if their fields are, and changing one changes nothing on a server.

The sections are those of MS-SRVS.
"""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum

from lanman.plain import plain


class ServiceState(StrEnum):
    """What a service does (SERVICE_STATUS.dwCurrentState, MS-SCMR 2.2.47), in words.

    A `paused` Server service keeps who is there, and lets administrators alone in.
    """

    STOPPED = "stopped"
    START_PENDING = "start pending"
    STOP_PENDING = "stop pending"
    RUNNING = "running"
    CONTINUE_PENDING = "continue pending"
    PAUSE_PENDING = "pause pending"
    PAUSED = "paused"


@plain
class SessionInfo:
    """One session (SESSION_INFO_0, 1, 2, 10, 502: MS-SRVS 2.2.4.11 to 2.2.4.15).

    `client_name` is the name as the server lists it, with its leading backslashes where the server sends them.
    `user_flags`: SESS_GUEST 1, SESS_NOENCRYPTION 2.
    """

    client_name: str | None = None
    user_name: str | None = None
    num_opens: int | None = None
    active_time: int | None = None
    idle_time: int | None = None
    user_flags: int | None = None
    client_type: str | None = None
    transport: str | None = None
    node: str | None = field(default=None, kw_only=True, repr=False)


@plain
class FileInfo:
    """One open file, pipe or device (FILE_INFO_2 and 3: MS-SRVS 2.2.4.6, 2.2.4.7). `permissions` is an access mask."""

    id: int | None = None
    permissions: int | None = None
    num_locks: int | None = None
    path: str | None = None
    user_name: str | None = None
    node: str | None = field(default=None, kw_only=True, repr=False)


@plain
class ConnectionInfo:
    """One tree connect (CONNECTION_INFO_0 and 1: MS-SRVS 2.2.4.1, 2.2.4.2).

    `net_name` is the client's name when a share was asked for, and the share's name when a client was.
    """

    id: int | None = None
    type: int | None = None
    num_opens: int | None = None
    num_users: int | None = None
    active_time: int | None = None
    user_name: str | None = None
    net_name: str | None = None
    node: str | None = field(default=None, kw_only=True, repr=False)


@plain
class ShareInfo:
    """One share (SHARE_INFO_0, 1, 2, 501, 502, 503, 1004, 1005, 1006, 1501: MS-SRVS 2.2.4.22 to 2.2.4.31).

    `type` is STYPE_DISKTREE 0, PRINTQ 1, DEVICE 2 or IPC 3, with TEMPORARY 0x40000000 and SPECIAL 0x80000000 added.
    `max_uses` is 0xFFFFFFFF for no limit. `flags` are those of SHARE_INFO_1005: DFS, caching, encryption and the like.
    `security_descriptor` is in self-relative form (MS-DTYP 2.4.6). `server_name` is the scope, "*" for the default.
    """

    netname: str | None = None
    type: int | None = None
    remark: str | None = None
    permissions: int | None = None
    max_uses: int | None = None
    current_uses: int | None = None
    path: str | None = None
    passwd: str | None = None
    flags: int | None = None
    server_name: str | None = None
    security_descriptor: bytes | None = None
    node: str | None = field(default=None, kw_only=True, repr=False)


@plain
class ServerInfo:
    """A server and its configuration (SERVER_INFO_100 to 103, 502, 503, 599 and 1005 to 1556: MS-SRVS 2.2.4.40 on).

    `platform_id` is 500 for Windows NT and all its successors. `type` has the SV_TYPE_ bits. `disc` is in minutes, -1
    for never. `announce` is in seconds, `anndelta` in milliseconds. `users` is 0xFFFFFFFF for no limit. `capabilities`
    are of level 103. The members from `sessopens` on are named as in SERVER_INFO_599, which has them all; those that
    begin with "enable", and `timesource`, `acceptdownlevelapis` and `lmannounce`, are 0 or 1.
    """

    platform_id: int | None = None
    name: str | None = None
    version_major: int | None = None
    version_minor: int | None = None
    type: int | None = None
    comment: str | None = None
    users: int | None = None
    disc: int | None = None
    hidden: bool | None = None
    announce: int | None = None
    anndelta: int | None = None
    licenses: int | None = None
    userpath: str | None = None
    capabilities: int | None = None
    sessopens: int | None = None
    sessvcs: int | None = None
    opensearch: int | None = None
    sizreqbuf: int | None = None
    initworkitems: int | None = None
    maxworkitems: int | None = None
    rawworkitems: int | None = None
    irpstacksize: int | None = None
    maxrawbuflen: int | None = None
    sessusers: int | None = None
    sessconns: int | None = None
    maxpagedmemoryusage: int | None = None
    maxnonpagedmemoryusage: int | None = None
    enablesoftcompat: int | None = None
    enableforcedlogoff: int | None = None
    timesource: int | None = None
    acceptdownlevelapis: int | None = None
    lmannounce: int | None = None
    domain: str | None = None
    maxcopyreadlen: int | None = None
    maxcopywritelen: int | None = None
    minkeepsearch: int | None = None
    maxkeepsearch: int | None = None
    minkeepcomplsearch: int | None = None
    maxkeepcomplsearch: int | None = None
    threadcountadd: int | None = None
    numblockthreads: int | None = None
    scavtimeout: int | None = None
    minrcvqueue: int | None = None
    minfreeworkitems: int | None = None
    xactmemsize: int | None = None
    threadpriority: int | None = None
    maxmpxct: int | None = None
    oplockbreakwait: int | None = None
    oplockbreakresponsewait: int | None = None
    enableoplocks: int | None = None
    enableoplockforceclose: int | None = None
    enablefcbopens: int | None = None
    enableraw: int | None = None
    enablesharednetdrives: int | None = None
    minfreeconnections: int | None = None
    maxfreeconnections: int | None = None
    initsesstable: int | None = None
    initconntable: int | None = None
    initfiletable: int | None = None
    initsearchtable: int | None = None
    alertschedule: int | None = None
    errorthreshold: int | None = None
    networkerrorthreshold: int | None = None
    diskspacethreshold: int | None = None
    reserved: int | None = None
    maxlinkdelay: int | None = None
    minlinkthroughput: int | None = None
    linkinfovalidtime: int | None = None
    scavqosinfoupdatetime: int | None = None
    maxworkitemidletime: int | None = None


@plain
class TransportInfo:
    """What a server listens on (SERVER_TRANSPORT_INFO_0 to 3: MS-SRVS 2.2.4.93 to 2.2.4.96).

    `address` is the NetBIOS name, padded with blanks to 16 bytes; `network_address` the adapter's in hexadecimal.
    `flags`: SVTI2_REMAP_PIPE_NAMES 2, SVTI2_SCOPED_NAME 4. `password` has 256 bytes, `password_length` of them used.
    """

    number_of_vcs: int | None = None
    name: str | None = None
    address: bytes | None = None
    network_address: str | None = None
    domain: str | None = None
    flags: int | None = None
    password_length: int | None = None
    password: bytes | None = None


@plain
class Statistics:
    """What a server counted since `start`, in seconds since 1970 (STAT_SERVER_0: MS-SRVS 2.2.4.39).

    `fopens` files opened, `sopens` sessions, `stimedout` sessions ended for idleness, `pwerrors` wrong passwords,
    `permerrors` accesses denied. The byte counts come in two halves: see `bytes_sent` and `bytes_received`.
    """

    start: int = 0
    fopens: int = 0
    devopens: int = 0
    jobsqueued: int = 0
    sopens: int = 0
    stimedout: int = 0
    serrorout: int = 0
    pwerrors: int = 0
    permerrors: int = 0
    syserrors: int = 0
    bytessent_low: int = 0
    bytessent_high: int = 0
    bytesrcvd_low: int = 0
    bytesrcvd_high: int = 0
    avresponse: int = 0
    reqbufneed: int = 0
    bigbufneed: int = 0

    @property
    def bytes_sent(self) -> int:
        """The bytes sent to clients."""
        return self.bytessent_high << 32 | self.bytessent_low

    @property
    def bytes_received(self) -> int:
        """The bytes received from clients."""
        return self.bytesrcvd_high << 32 | self.bytesrcvd_low


@plain
class TimeOfDay:
    """A server's clock (TIME_OF_DAY_INFO: MS-SRVS 2.2.4.105). All but `timezone` are of UTC.

    `elapsedt` is in seconds since 1970, `msecs` since an arbitrary time, `timezone` in minutes west of Greenwich (-1:
    unknown), `tinterval` in ten-thousandths of a second; `hunds` hundredths of a second, `weekday` 0 for Sunday.
    """

    elapsedt: int = 0
    msecs: int = 0
    hours: int = 0
    mins: int = 0
    secs: int = 0
    hunds: int = 0
    timezone: int = 0
    tinterval: int = 0
    day: int = 0
    month: int = 0
    year: int = 0
    weekday: int = 0


@plain
class DiskInfo:
    """One disk drive, "C:" (DISK_INFO: MS-SRVS 2.2.4.91). An empty one ends the list on the wire."""

    disk: str = ""


@plain
class AliasInfo:
    """Another name of a server (SERVER_ALIAS_INFO_0: MS-SRVS 2.2.4.102)."""

    alias: str | None = None
    target: str | None = None
    default: bool | None = None
    reserved: int | None = None


@plain
class CharDevInfo:
    """One serial device, of LAN Manager's days (CHARDEV_INFO_0 and 1). No server of today has any."""

    device: str | None = None
    status: int | None = None
    user: str | None = None
    time: int | None = None


@plain
class CharDevQueueInfo:
    """One queue of serial devices, of LAN Manager's days (CHARDEVQ_INFO_0 and 1)."""

    device: str | None = None
    priority: int | None = None
    devices: str | None = None
    users: int | None = None
    num_ahead: int | None = None


@plain
class SessionDetails:
    """What lanman's own Server knows of a session and MS-SRVS cannot say. Told on its control socket only.

    `global_id` names the session among all of the Server's. `address` is the peer's, with its port. `dialect` is as
    "3.1.1"; `signing` and `encryption` name the algorithms in use, empty for none. `groups` are parted by commas.
    `channels` are the addresses of its connections, the oldest first, and `channel_signing` what signs on each, parted
    by line feeds; an older Server does not tell them. All have one dialect.
    """

    global_id: int = 0
    client_name: str | None = None
    user_name: str | None = None
    domain: str | None = None
    address: str | None = None
    dialect: str | None = None
    signing: str | None = None
    encryption: str | None = None
    groups: str | None = None
    anonymous: bool = False
    guest: bool = False
    channels: str | None = None
    channel_signing: str | None = None


@plain
class ShareDetails:
    """What lanman's own Server knows of a share and MS-SRVS cannot say. Told on its control socket only.

    `guest` is what guests may do there: "" (nothing), "read" or "write".
    """

    name: str | None = None
    guest: str | None = None


@plain
class FileDetails:
    """What lanman's own Server knows of an open file and MS-SRVS cannot say. Told on its control socket only.

    `id` is the file's, `session_id` the `global_id` of the session that has it open (0 while it is kept between two
    sessions), `opened_at` in seconds since 1970, and `share` through which share it is open. What its client may cache
    is in `oplock` ("level II", "exclusive", "batch", "" for none), or in `lease` ("RWH", "RW", "RH", "R", "" for
    nothing) with the `lease_key` in hexadecimal digits. `durable`: its client may reclaim it after a lost connection.
    While it is kept for that, `owner` is whose it is, and at `expires_at` (seconds since 1970, else 0) it is closed.
    """

    id: int = 0
    session_id: int = 0
    opened_at: int = 0
    share: str | None = None
    oplock: str | None = None
    lease: str | None = None
    lease_key: str | None = None
    durable: bool = False
    owner: str | None = None
    expires_at: int = 0


@plain
class ShareProblem:
    """A share that cannot be used as things are, and why."""

    name: str | None = None
    problem: str | None = None


@plain
class PortionDetails:
    """Of one kind of things that the users of a lanman Server share: how much is taken, and who was refused more. Told
    on its control socket only.

    `taken` of `most` are taken (`most` 0: there are none, or nobody has said how many), `of_user` of them by the `user`
    who has most. Since the start `refused` times somebody wanted more than a user may have, `refused_user` the last
    time; "" stands for nobody. `remedy` is what an administrator can choose; "" where there is no choice.
    """

    name: str | None = None
    taken: int = 0
    most: int = 0
    user: str | None = None
    of_user: int = 0
    refused: int = 0
    refused_user: str | None = None
    remedy: str | None = None


@plain
class RefusalDetails:
    """Clients of one name that a lanman Server has refused for one reason. Told on its control socket only.

    `reason` is in words, `user_name` and `detail` are those of the last time; `count` times in all, the `first` and the
    `last` in seconds since 1970. `remedy` is what an administrator can choose; "" where there is no choice.
    """

    client_name: str | None = None
    user_name: str | None = None
    reason: str | None = None
    detail: str | None = None
    remedy: str | None = None
    count: int = 0
    first: int = 0
    last: int = 0
