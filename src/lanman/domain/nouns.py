"""Connection, Session, TreeConnect, Open and Share, as MS-SMB2 3.3.1 and MS-SRVS 3.1.1 name them.

The rules:

* They are plain records. Only `ServerService` changes them; everybody else reads. The exceptions are the byte counts,
  which whoever moves the bytes adds to, since that happens too often for a call.
* Two of them are the same only when they are one object.
* Times are the seconds of whatever clock drives the service, but for those named `..._at`: these are in seconds since
  1970, taken once, as events show them (`lanman.events`).
* They never leave the Server: events and management calls show values made of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum, auto
from typing import Final, Literal

from lanman.few import NOTHING
from lanman.names import ADMINISTRATORS, fold
from lanman.plain import dataclass

DIRECT_TCP: Final = "\\Device\\NetbiosSmb"  # the transport name that Windows gives SMB over TCP port 445

# MS-SRVS 2.2.2.4: what a share is, and the bits that may be added to it.
STYPE_DISKTREE: Final = 0
STYPE_PRINTQ: Final = 1
STYPE_DEVICE: Final = 2
STYPE_IPC: Final = 3
STYPE_TEMPORARY: Final = 0x40000000
STYPE_SPECIAL: Final = 0x80000000


def fold_client(name: str) -> str:
    r"""A client's name as it is compared: neither case, leading backslashes nor the brackets of `\\[::1]` count."""
    return fold(name.lstrip("\\").removeprefix("[").removesuffix("]"))


class State(Enum):
    """Of a registered session (MS-SMB2 3.3.1.8). Those still logging on are not registered."""

    VALID = auto()
    EXPIRED = auto()
    CLOSED = auto()


@dataclass(slots=True, eq=False)
class Connection:
    """A transport connection of a client (MS-SMB2 3.3.1.7), by its address. The byte counts are of all that has gone
    over it. `signing` is the algorithm that signs on it; "" before that is known."""

    connection_id: int
    address: str
    signing: str = ""
    opened_at: float = 0.0
    bytes_received: int = 0
    bytes_sent: int = 0


@dataclass(slots=True, eq=False)
class Share:
    """One shared resource (MS-SMB2 3.3.1.6, MS-SRVS 3.1.1.7).

    `path` is the real one; `max_users` 0 means no limit; `hidden` ones are listed for those who manage shares alone.
    `readers` and `writers` are names of users and groups. Without readers every user reads, without writers whoever
    reads may write too; a writer always reads. `guest` is what guests may do, whatever the lists say: nothing (""),
    "read" or "write". `encrypt_data`: what comes unencrypted is refused.
    `device_names`: files may have the names that Windows keeps for devices.
    `problem` says why the folder cannot be used now; "" if it can. `confined`: it must lie within the share roots
    whenever it is used.
    """

    name: str
    type: int = STYPE_DISKTREE
    path: str = ""
    remark: str = ""
    max_users: int = 0
    current_uses: int = 0
    flags: int = 0
    hidden: bool = False
    security_descriptor: bytes = b""
    readers: frozenset[str] | None = None
    writers: frozenset[str] | None = None
    guest: Literal["", "read", "write"] = ""
    encrypt_data: bool = False
    device_names: bool = False
    problem: str = ""
    confined: bool = False

    def may_read(self, session: Session) -> bool:
        """Whether a session's user, or guest, may read here."""
        if session.guest:
            return self.guest != ""
        return self.readers is None or session.is_among(self.readers) or self._is_writer(session)

    def may_write(self, session: Session) -> bool:
        """Whether a session's user, or guest, may write here; who may not read may not write."""
        if session.guest:
            return self.guest == "write"
        return self.may_read(session) and (self.writers is None or self._is_writer(session))

    def _is_writer(self, session: Session) -> bool:
        return self.writers is not None and session.is_among(self.writers)


@dataclass(slots=True, eq=False)
class Session:
    """One security context of one client (MS-SMB2 3.3.1.8).

    `connection_ids` are its channels, the oldest first; `client_name`, `address` and `signing` are those of the first.
    `creation_time` is when its first log-on message came, `idle_time` (the specification's name) when its last request
    did; `begun_at` is the former as events show it. `bytes_read` and `bytes_written` are those of its opens that are
    closed.

    `shares_as` is by what key it takes its part of what is shared out among users: its user, "" for all null sessions
    and guests together. It stays the one of the first log-on, whatever it becomes: a session that is anonymous for a
    while would let its user have the part of two.
    """

    global_id: int
    session_id: int
    connection_ids: tuple[int, ...]
    client_name: str
    user_name: str
    creation_time: float
    idle_time: float
    domain: str = ""
    anonymous: bool = False
    guest: bool = False
    groups: frozenset[str] = frozenset()
    state: State = State.VALID
    expires_at: float | None = None
    address: str = ""
    transport: str = DIRECT_TCP
    dialect: str = ""
    signing: str = ""
    encryption: str = ""
    begun_at: float = 0.0
    shares_as: str = ""
    bytes_read: int = 0
    bytes_written: int = 0
    tree_connects: Mapping[int, TreeConnect] = field(default_factory=lambda: NOTHING)
    opens: Mapping[int, Open] = field(default_factory=lambda: NOTHING)

    @property
    def connection_id(self) -> int:
        """The connection that the session was set up on, or the oldest that is left of its channels."""
        return self.connection_ids[0]

    @property
    def num_opens(self) -> int:
        """Files, folders and pipes open on it, the caller's own pipe included."""
        return len(self.opens)

    @property
    def administrator(self) -> bool:
        """A member of Administrators by a log-on of its own."""
        return not (self.anonymous or self.guest) and is_member(self.groups, ADMINISTRATORS)

    def is_among(self, names: frozenset[str]) -> bool:
        """Whether the user, or a group of theirs, is one of these. Null sessions and guests are nobody."""
        if self.anonymous or self.guest:
            return False
        return any(fold(name) == fold(self.user_name) or is_member(self.groups, name) for name in names)

    def times(self, now: float) -> tuple[int, int]:
        """Whole seconds since it was set up (sesi502_time), and since its last request (sesi502_idle_time), which are
        never more."""
        active = max(0, int(now - self.creation_time))
        return active, min(max(0, int(now - self.idle_time)), active)


@dataclass(slots=True, eq=False)
class TreeConnect:
    """One session's use of one share (MS-SMB2 3.3.1.9). `tree_id` is unique in its session, `global_id` everywhere."""

    global_id: int
    tree_id: int
    session: Session
    share: Share
    creation_time: float
    connected_at: float = 0.0
    open_count: int = 0

    @property
    def is_connected(self) -> bool:
        """Whether neither it nor its session has ended, though opens of it may still have to be closed."""
        session = self.session
        return session.state is not State.CLOSED and session.tree_connects.get(self.tree_id) is self

    def active_seconds(self, now: float) -> int:
        """Whole seconds since it was made (coni1_time)."""
        return max(0, int(now - self.creation_time))


@dataclass(slots=True, eq=False)
class Open:
    r"""One open file, folder or pipe (MS-SMB2 3.3.1.10). `path` is the real one, or `\PIPE\name`.

    `oplock` is "" for none, "level II", "exclusive" or "batch"; `lease` is as in `events.FileRecord`, and `lease_key`
    are its bytes. `bytes_read` and `bytes_written` are what READ and WRITE requests on a file, and copies that the
    Server makes, have moved.

    One that is `durable` (Open.IsDurable) may outlive its session. It is `preserved` then: in no session, until it is
    reclaimed or closed; `session` and `tree_connect` are those that it was in. `owner` is the user who may reclaim it,
    by name and domain (Open.DurableOwner), `durable_timeout` for how many seconds it is kept; `kept_until` and
    `expires_at` say until when, by the service's clock and as events show it. `breaking`: its client has been told to
    cache less, and has not answered.
    """

    global_id: int
    file_id: int
    session: Session
    tree_connect: TreeConnect
    path: str
    granted_access: int
    creation_time: float
    opened_at: float = 0.0
    num_locks: int = 0
    oplock: str = ""
    lease: str = ""
    lease_key: bytes = b""
    bytes_read: int = 0
    bytes_written: int = 0
    durable: bool = False
    owner: tuple[str, str] = ("", "")
    durable_timeout: float = 0.0
    kept_until: float = 0.0
    expires_at: float = 0.0
    breaking: bool = False
    preserved: bool = False

    @property
    def reclaimable(self) -> bool:
        """Whether it is durable and its client may keep it open for no program: by a batch oplock, or a lease with H.
        Others cannot be reclaimed (MS-SMB2 3.3.5.9.7)."""
        return self.durable and (self.oplock == "batch" or "H" in self.lease)

    @property
    def ending(self) -> bool:
        """Whether it is about to be closed, or preserved, because its session or its tree connect has ended."""
        return not (self.preserved or self.tree_connect.is_connected)

    @property
    def outlives(self) -> bool:
        """Whether it is kept when its session ends with its connection (MS-SMB2 3.3.7.1)."""
        return self.reclaimable and not self.breaking

    @property
    def user_name(self) -> str:
        """Who has it open (fi3_username): "" while it is preserved (MS-SMB2 3.3.4.20)."""
        return "" if self.preserved else self.session.user_name


def is_member(groups: frozenset[str], group: str) -> bool:
    """Whether a set of group names has this one, in whatever case."""
    wanted = fold(group)
    return group in groups or any(fold(name) == wanted for name in groups)
