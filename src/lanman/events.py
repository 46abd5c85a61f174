r"""What happens on a Server, as values: the one stream of events that leaves the domain.

    SessionOpened(sequence=41, time=1764079502.25, session=SessionRecord(id=7, client_name=r"\\192.0.2.7", ...))

The rules:

* An event is a value, and so is what it is about: a record of the session, file, share at the moment right after the
  change. Nothing in it leads to an object of the Server, and nothing changes it later.
* `sequence` counts the changes of one run of the Server from 1 on, without a gap; an event bears the number of its
  change. `time`, and every field named `..._at`, is in seconds since 1970, to the microsecond.
* What a closed session had is reported before the session itself: its files, then its tree connects.
* `ServerState` is the sum of events: whoever has the state after change N, and applies each later event once, has the
  state at any later time. Only the fields in `COUNTERS` move without an event (reading and writing make none): they are
  as of the moment when the record was made. The last record of a file or a session has their final values.

Records name things as MS-SRVS and MS-SMB2 3.3.1 do. Paths are those of the Server's machine; pipes are `\PIPE\name`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, Final, NamedTuple


class Reason(Enum):
    """Why something ended, or why a log-on was refused."""

    LOGOFF = "logged off"
    CLOSED = "closed by the client"
    DISCONNECTED = "connection lost"
    DELETED = "ended by an administrator"
    IDLE = "idle for too long"
    EXPIRED = "credentials expired"
    REPLACED = "replaced by a new session of the same client"
    STOPPED = "server stopped"
    SHARE_DELETED = "share deleted"
    SHARE_UNAVAILABLE = "share out of its bounds"
    RIGHTS = "access taken away"
    ACCOUNT = "account disabled or deleted"
    UNCLAIMED = "not reclaimed in time"
    GAVE_WAY = "gave way while its client was away"
    CREDENTIALS = "wrong user name or password"
    MALFORMED = "log-on that cannot be understood"
    UNENCRYPTED = "encryption is required"
    UNENCRYPTED_SHARE = "the share requires encryption"
    UNSIGNED = "does not sign; signing is required"
    NTLMV1 = "speaks NTLMv1; NTLMv2 is required"
    SMB1 = "speaks SMB 1 only"
    OTHER_USER = "renewed as another user"
    LIMIT = "too many sessions"
    PAUSED = "server paused"
    THROTTLED = "too many wrong passwords at once"


# --- records


class ConnectionRecord(NamedTuple):
    """A transport connection of a client, with or without sessions. The byte counts are of everything on it."""

    id: int
    address: str
    opened_at: float
    bytes_received: int
    bytes_sent: int


class SessionRecord(NamedTuple):
    """A session: what NetrSessionEnum lists, and what only the Server itself can say.

    `id` is its global id; `connection_ids` are its channels, the oldest first. `groups` are sorted. `expired`: its
    credentials have run out. `used_at` is when its last request came, `active_time` is in whole seconds
    (sesi502_time). `bytes_read` and `bytes_written` are of its files, those included that are closed.
    """

    id: int
    connection_ids: tuple[int, ...]
    client_name: str
    user_name: str
    domain: str
    address: str
    transport: str
    dialect: str
    signing: str
    encryption: str
    groups: tuple[str, ...]
    anonymous: bool
    guest: bool
    expired: bool
    begun_at: float
    used_at: float
    active_time: int
    bytes_read: int
    bytes_written: int


class TreeRecord(NamedTuple):
    """A tree connect: what NetrConnectionEnum lists, and whose it is. `type` is the share's, without the bits
    STYPE_TEMPORARY and STYPE_SPECIAL."""

    id: int
    session_id: int
    share: str
    type: int
    client_name: str
    user_name: str
    address: str
    connected_at: float


class FileRecord(NamedTuple):
    """An open file, folder or pipe: what NetrFileEnum lists, and whose it is, since when, and on which share.

    While it is preserved, between two sessions, `session_id` and `tree_id` are 0, and it has no client and no user;
    `owner` is the user who may reclaim it, and it is closed if nobody has done so at the time `expires_at`. Otherwise
    these are "" and 0. `durable`: its client may reclaim it after a lost connection.
    `access` is the granted access mask. `oplock` is "" for none, "level II", "exclusive" or "batch"; `lease` what its
    client may cache by a lease, "RWH", "RW", "RH", "R" or "", and `lease_key` that lease's key in hexadecimal digits,
    "" where it holds nothing. The byte counts are of READ and WRITE requests on files and of copies that the Server
    makes; pipes count nothing.
    """

    id: int
    session_id: int
    tree_id: int
    share: str
    path: str
    access: int
    num_locks: int
    oplock: str
    client_name: str
    user_name: str
    address: str
    opened_at: float
    bytes_read: int
    bytes_written: int
    lease: str = ""
    lease_key: str = ""
    durable: bool = False
    owner: str = ""
    expires_at: float = 0.0


class ShareRecord(NamedTuple):
    """A share: what NetrShareEnum lists of it that is not counted. `max_users` 0 is no limit.

    `guest_access` is what guests may do: "", "read" or "write". `problem` says why its folder cannot be used; "" if it
    can. `confined`: it must lie within the share roots whenever it is used.
    """

    name: str
    type: int
    path: str
    remark: str
    max_users: int
    hidden: bool
    guest_access: str
    encrypt_data: bool
    confined: bool
    problem: str


Record = ConnectionRecord | SessionRecord | TreeRecord | FileRecord | ShareRecord

COUNTERS: Final = frozenset({"used_at", "active_time", "bytes_read", "bytes_written", "bytes_received", "bytes_sent"})


def without_counters(record: Record) -> Record:
    """The record with zeros for what moves without an event: two such records differ only if something happened."""
    zeros: dict[str, Any] = dict.fromkeys(COUNTERS.intersection(record._fields), 0)
    return record._replace(**zeros)


# --- events


class ConnectionOpened(NamedTuple):
    """A client has connected, and may have to wait before it is read from."""

    sequence: int
    time: float
    connection: ConnectionRecord


class ConnectionClosed(NamedTuple):
    """A connection is gone; sessions for which it was the last channel ended before. `detail` is why the Server has
    ended it, in words for people; "" if the client has."""

    sequence: int
    time: float
    connection: ConnectionRecord
    detail: str = ""


class SessionOpened(NamedTuple):
    """A log-on has succeeded."""

    sequence: int
    time: float
    session: SessionRecord


class SessionExpired(NamedTuple):
    """Its credentials ran out. It stays, with its opens, until it logs on again or ends (MS-SMB2 3.3.6.3)."""

    sequence: int
    time: float
    session: SessionRecord


class SessionReauthenticated(NamedTuple):
    """It has logged on again, perhaps as another user; what it has open stays, and is that user's from now on."""

    sequence: int
    time: float
    session: SessionRecord


class SessionChanged(NamedTuple):
    """Its groups, its being a guest, or its channels are others now; with the first channel, the client of what it uses
    is another too."""

    sequence: int
    time: float
    session: SessionRecord


class SessionClosed(NamedTuple):
    """It is gone and its id means nothing any more. Its connections live on for their other sessions."""

    sequence: int
    time: float
    session: SessionRecord
    reason: Reason


class LogonRefused(NamedTuple):
    """A log-on failed, or a client cannot do what is required. `detail` is for the log, never for the client."""

    sequence: int
    time: float
    client_name: str
    user_name: str
    reason: Reason
    detail: str = ""


class TreeConnected(NamedTuple):
    """A session uses a share."""

    sequence: int
    time: float
    tree_connect: TreeRecord


class TreeDisconnected(NamedTuple):
    """It does so no more; what it had open there was closed before."""

    sequence: int
    time: float
    tree_connect: TreeRecord
    reason: Reason


class FileOpened(NamedTuple):
    """A file, folder or pipe is open."""

    sequence: int
    time: float
    file: FileRecord


class FileClosed(NamedTuple):
    """It is closed. Its record still has the locks and the oplock that it was closed with."""

    sequence: int
    time: float
    file: FileRecord
    reason: Reason


class FilePreserved(NamedTuple):
    """Its session ends with its connection, and it stays open: a durable open (MS-SMB2 3.3.7.1). It is no session's
    until it is reclaimed."""

    sequence: int
    time: float
    file: FileRecord


class FileReclaimed(NamedTuple):
    """A preserved open is in a session again, of a client that has reconnected (MS-SMB2 3.3.5.9.7)."""

    sequence: int
    time: float
    file: FileRecord


class FileRenamed(NamedTuple):
    """What is open has another path; `before` is the old one. One event for each open of it: `by` is the id of the open
    through which it was renamed."""

    sequence: int
    time: float
    file: FileRecord
    before: str
    by: int


class FileLocked(NamedTuple):
    """More byte ranges of it are locked, by `ranges`; the record has how many there are now."""

    sequence: int
    time: float
    file: FileRecord
    ranges: int


class FileUnlocked(NamedTuple):
    """Byte ranges of it are free again, as many as `ranges`; the record has how many are left."""

    sequence: int
    time: float
    file: FileRecord
    ranges: int


class OplockGranted(NamedTuple):
    """Its client may cache the file; the record says at which level."""

    sequence: int
    time: float
    file: FileRecord


class OplockBroken(NamedTuple):
    """Its oplock is of a lower level, or none; `before` is the level that it had."""

    sequence: int
    time: float
    file: FileRecord
    before: str


class LeaseChanged(NamedTuple):
    """By its lease, which other opens of its client may have too, more or less may be cached; `before` is what it
    was."""

    sequence: int
    time: float
    file: FileRecord
    before: str


class PermissionDenied(NamedTuple):
    """A TREE_CONNECT or a CREATE was answered with STATUS_ACCESS_DENIED (sts0_permerrors). `path` is as the client
    named it, below the share; "" for the share itself."""

    sequence: int
    time: float
    session_id: int
    client_name: str
    user_name: str
    address: str
    share: str
    path: str


class ShareAdded(NamedTuple):
    """It is shared."""

    sequence: int
    time: float
    share: ShareRecord


class ShareChanged(NamedTuple):
    """Something in its record is otherwise, or who may use it."""

    sequence: int
    time: float
    share: ShareRecord


class ShareAvailability(NamedTuple):
    """Its folder has gone or come back; `before` is what was the matter until now."""

    sequence: int
    time: float
    share: ShareRecord
    before: str


class ShareRemoved(NamedTuple):
    """It is shared no more; what was open on it was closed before."""

    sequence: int
    time: float
    share: ShareRecord


class SettingChanged(NamedTuple):
    """A setting has another value, which it had not `before`; both as `lanman.settings.settings_as_text` has them."""

    sequence: int
    time: float
    name: str
    value: str
    before: str


class ServerStarted(NamedTuple):
    """The Server lets clients in."""

    sequence: int
    time: float


class ServerStopped(NamedTuple):
    """It does so no more; all sessions ended before. Nothing follows in this run but connections that end."""

    sequence: int
    time: float


class ServerPaused(NamedTuple):
    """Newcomers are refused from now on, administrators excepted; who is there stays. `client_name` and `user_name` are
    those of the session that ordered it; on the Server's own machine there is no session, and the user is that of the
    system."""

    sequence: int
    time: float
    client_name: str
    user_name: str


class ServerContinued(NamedTuple):
    """Newcomers are let in again. Who ordered it is told as in `ServerPaused`."""

    sequence: int
    time: float
    client_name: str
    user_name: str


Event = (
    ConnectionOpened
    | ConnectionClosed
    | SessionOpened
    | SessionExpired
    | SessionReauthenticated
    | SessionChanged
    | SessionClosed
    | LogonRefused
    | TreeConnected
    | TreeDisconnected
    | FileOpened
    | FileClosed
    | FilePreserved
    | FileReclaimed
    | FileRenamed
    | FileLocked
    | FileUnlocked
    | OplockGranted
    | OplockBroken
    | LeaseChanged
    | PermissionDenied
    | ShareAdded
    | ShareChanged
    | ShareAvailability
    | ShareRemoved
    | SettingChanged
    | ServerStarted
    | ServerStopped
    | ServerPaused
    | ServerContinued
)


# --- the sum of them


class ServerState:
    """What there is on a Server after its change number `sequence`. Records are by id, shares and settings by name.

    `paused_by` is who has paused it, by client and user as in `ServerPaused`; None while it is not paused.
    """

    def __init__(self) -> None:
        self.sequence = 0
        self.running = False
        self.paused_by: tuple[str, str] | None = None
        self.connections: dict[int, ConnectionRecord] = {}
        self.sessions: dict[int, SessionRecord] = {}
        self.tree_connects: dict[int, TreeRecord] = {}
        self.files: dict[int, FileRecord] = {}
        self.shares: dict[str, ShareRecord] = {}
        self.settings: dict[str, str] = {}

    def __eq__(self, other: object) -> bool:
        """Whether nothing has happened between the two; what `COUNTERS` names does not count, nor does `sequence`."""
        return isinstance(other, ServerState) and self._compared() == other._compared()

    __hash__ = None  # type: ignore[assignment]

    def _compared(self) -> tuple[object, ...]:
        return (
            self.running,
            self.paused_by,
            self.settings,
            *({key: without_counters(each) for key, each in records.items()} for records in self._tables()),
        )

    def _tables(self) -> tuple[Mapping[Any, Record], ...]:
        return (self.connections, self.sessions, self.tree_connects, self.files, self.shares)

    def put(self, record: Record) -> None:
        """Have this record, in place of an older one of the same thing."""
        if isinstance(record, FileRecord):
            self.files[record.id] = record
        elif isinstance(record, TreeRecord):
            self.tree_connects[record.id] = record
        elif isinstance(record, SessionRecord):
            self.sessions[record.id] = record
        elif isinstance(record, ConnectionRecord):
            self.connections[record.id] = record
        else:
            self.shares[record.name] = record

    def apply(self, event: Event) -> None:
        """Take in one change. What it says to be gone may be gone already."""
        self.sequence = event.sequence
        match event:
            case FileClosed():
                self.files.pop(event.file.id, None)
            case TreeDisconnected():
                self.tree_connects.pop(event.tree_connect.id, None)
            case SessionClosed():
                self.sessions.pop(event.session.id, None)
            case ConnectionClosed():
                self.connections.pop(event.connection.id, None)
            case ShareRemoved():
                self.shares.pop(event.share.name, None)
            case SettingChanged():
                self.settings[event.name] = event.value
            case ServerStarted() | ServerStopped():
                self.running = isinstance(event, ServerStarted)
                self.paused_by = None
            case ServerPaused():
                self.paused_by = event.client_name, event.user_name
            case ServerContinued():
                self.paused_by = None
            case LogonRefused() | PermissionDenied():
                pass
            case SessionReauthenticated() | SessionChanged():
                self._renew(event.session)
            case _:
                self.put(event[2])

    def _renew(self, session: SessionRecord) -> None:
        """A session may have another user or first channel now, and so has what it uses."""
        before = self.sessions.get(session.id)
        self.sessions[session.id] = session
        whose = session.client_name, session.user_name, session.address
        if before is not None and (before.client_name, before.user_name, before.address) == whose:
            return  # a Server has many files, and rights change more often than this
        client_name, user_name, address = whose
        for tree in [tree for tree in self.tree_connects.values() if tree.session_id == session.id]:
            self.tree_connects[tree.id] = tree._replace(client_name=client_name, user_name=user_name, address=address)
        for file in [file for file in self.files.values() if file.session_id == session.id]:
            self.files[file.id] = file._replace(client_name=client_name, user_name=user_name, address=address)

    @property
    def size(self) -> int:
        """How many `events` there are."""
        return sum(map(len, self._tables())) + len(self.settings) + self.running + (self.paused_by is not None)

    def events(self) -> Iterator[Event]:
        """The events that lead here from nothing, each with the number and without the time of a change."""
        at = self.sequence, 0.0
        yield from (ConnectionOpened(*at, connection) for connection in self.connections.values())
        yield from (SessionOpened(*at, session) for session in self.sessions.values())
        yield from (ShareAdded(*at, share) for share in self.shares.values())
        yield from (TreeConnected(*at, tree) for tree in self.tree_connects.values())
        yield from (FileOpened(*at, file) for file in self.files.values())
        yield from (SettingChanged(*at, name, value, "") for name, value in self.settings.items())
        if self.running:
            yield ServerStarted(*at)
        if self.paused_by is not None:
            yield ServerPaused(*at, *self.paused_by)

    @property
    def paused(self) -> bool:
        """Whether newcomers are refused, administrators excepted."""
        return self.paused_by is not None

    def num_opens(self, session_id: int) -> int:
        """How many files, folders and pipes a session has open (sesi502_num_opens)."""
        return sum(file.session_id == session_id for file in self.files.values())
