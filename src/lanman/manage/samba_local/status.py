"""What smbstatus tells, as values: sessions, tree connects, opens, and byte-range locks.

`json_status` and `text_status` make these from its output. What a version of smbstatus does not tell is None.
"""

from __future__ import annotations

from dataclasses import field, replace
from typing import Final

from lanman.plain import dataclass

# A node of a Samba that is no cluster.
NO_NODE: Final = 0xFFFFFFFF

# In place of a process: a durable handle whose client is away.
DISCONNECTED: Final = 0xFFFFFFFFFFFFFFFF

# How many entries of one kind are read: what smbd serves on one machine is far below, and memory is bounded.
MAX_ENTRIES: Final = 1 << 18

# How much output of smbstatus is read, in bytes: an open takes 1 KB of JSON.
MAX_OUTPUT: Final = 64 << 20

IPC_SHARE: Final = "IPC$"


@dataclass(frozen=True, slots=True)
class ServerId:
    """A process of smbd, which serves one client. `unique_id` tells it from another that gets the same pid later."""

    pid: int
    task_id: int = 0
    node: int = NO_NODE
    unique_id: int | None = None

    @property
    def destination(self) -> str:
        """The process as smbcontrol takes it: `PID`, and `NODE:PID` in a cluster."""
        return str(self.pid) if self.node == NO_NODE else f"{self.node}:{self.pid}"


@dataclass(frozen=True, slots=True)
class Protection:
    """How packets are signed or encrypted. `degree`: none, partial (some packets so far), anonymous or full."""

    cipher: str = ""
    degree: str = "none"

    def __str__(self) -> str:
        """The algorithm, empty for none: `AES-128-GCM`, `AES-128-GCM (partial)`."""
        return self.cipher if self.degree in ("none", "full") or not self.cipher else f"{self.cipher} ({self.degree})"


@dataclass(frozen=True, slots=True)
class Channel:
    """One connection of a session (multichannel). Addresses are `192.0.2.7:50076`, `[::1]:50076`."""

    channel_id: str
    remote_address: str
    local_address: str = ""
    transport: str | None = None
    begun: float | None = None


@dataclass(frozen=True, slots=True)
class StatusSession:
    """A session. `id` is None in text output; `begun` is told since 4.20, in seconds since 1970.

    `user_name` is the Unix user, the guest account for guests and null sessions alike; None where smbstatus could not
    write it. `client` is the machine's name
    or address, `address` its address with the port.
    """

    server_id: ServerId
    user_name: str | None
    client: str
    address: str
    id: str | None = None
    uid: int | None = None
    group: str = ""
    dialect: str = ""
    signing: Protection = Protection()
    encryption: Protection = Protection()
    begun: float | None = None
    channels: tuple[Channel, ...] = ()


@dataclass(frozen=True, slots=True)
class StatusTree:
    """A tree connect. Text output names no session."""

    server_id: ServerId
    service: str
    machine: str
    connected_at: float | None = None
    session_id: str | None = None
    tree_id: str | None = None
    signing: Protection = Protection()
    encryption: Protection = Protection()


@dataclass(frozen=True, slots=True)
class StatusOpen:
    """An open file or directory. No output names its session; `share_file_id` and `lease_key` (hexadecimal digits) are
    told in JSON only."""

    server_id: ServerId
    uid: int | None
    share_path: str
    name: str
    access_mask: int
    share_file_id: int | None = None
    oplock: str = ""
    opened_at: float | None = None
    lease_key: str | None = None

    @property
    def lease(self) -> str:
        """What its client may cache by a lease: "RWH", "RW", "RH", "R" or ""."""
        return self.oplock[6:-1] if self.oplock.startswith("LEASE(") else ""

    @property
    def path(self) -> str:
        """The path on this machine's disk."""
        folder = self.share_path.rstrip("/")
        return f"{folder}/{self.name}" if self.name not in ("", ".") else folder or "/"

    @property
    def file_id(self) -> int | None:
        """The identification number that smbd's srvsvc gives this open; two opens may have the same."""
        if self.share_file_id is None or self.server_id.pid == DISCONNECTED:
            return None
        return (self.server_id.pid << 16 | self.share_file_id) & 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class StatusLock:
    """A byte-range lock. Before 4.19 offsets beyond 31 bits are not told truly."""

    server_id: ServerId
    path: str
    exclusive: bool
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Status:
    """One answer of smbstatus, which is no snapshot: its tables are read one after the other.

    `at` is when it was read, in seconds since 1970. `locks` is None where they were not asked for. `left_out` is how
    many open files it has that could not be read, and `left_out_of` the processes that have them, None for any.
    """

    version: str = ""
    configuration: str | None = None
    at: float | None = None
    sessions: tuple[StatusSession, ...] = ()
    trees: tuple[StatusTree, ...] = ()
    opens: tuple[StatusOpen, ...] = ()
    locks: tuple[StatusLock, ...] | None = None
    left_out: int = 0
    left_out_of: frozenset[ServerId] | None = frozenset()
    by_process: dict[ServerId, list[StatusSession]] = field(default_factory=dict, compare=False)

    def joined(self) -> Status:
        """The same with `by_process`, the sessions of each process, by which opens find their sessions."""
        found: dict[ServerId, list[StatusSession]] = {}
        for session in self.sessions:
            found.setdefault(session.server_id, []).append(session)
        return replace(self, by_process=found)

    def session_of(self, open: StatusOpen) -> StatusSession | None:
        """Whose open it is; None where that cannot be told.

        The only session of the process has all its opens, whatever user `admin users` or `force user` made of it.
        Among several, the user tells where one session alone has it.
        """
        there = self.by_process.get(open.server_id, [])
        if len(there) == 1:
            return there[0]
        alike = [session for session in there if open.uid is not None and session.uid == open.uid]
        return alike[0] if len(alike) == 1 else None

    def tells_all_opens_of(self, process: ServerId) -> bool:
        """Whether none of the open files of a process is known to be left out."""
        return self.left_out_of is not None and process not in self.left_out_of

    def seen_since(self, session: StatusSession) -> float | None:
        """Since when the session is there at least: its beginning, or its oldest tree connect where that is unknown."""
        if session.begun is not None:
            return session.begun
        alone = len(self.by_process.get(session.server_id, ())) == 1
        times = [
            tree.connected_at
            for tree in self.trees
            if tree.connected_at is not None
            and (tree.session_id == session.id if tree.session_id is not None else alone)
            and tree.server_id == session.server_id
        ]
        return min(times, default=None)


# smbstatus' names of dialects, as people write them; any other is shown as it is.
_DIALECTS: Final = {"SMB2_02": "2.0.2", "SMB2_10": "2.1", "SMB3_00": "3.0", "SMB3_02": "3.0.2", "SMB3_11": "3.1.1"}


def dialect_name(text: str) -> str:
    """`SMB3_11` as `3.1.1`."""
    return _DIALECTS.get(text, text)


def endpoint(text: str) -> str:
    """`ipv4:192.0.2.7:50076` and `ipv6:::1:50076` as people write them; any other text as it is."""
    kind, colon, rest = text.partition(":")
    if not colon or kind not in ("ipv4", "ipv6"):
        return text
    address, _, port = rest.rpartition(":")
    return f"[{address}]:{port}" if kind == "ipv6" else rest


def host_of(address: str) -> str:
    """The address without its port: `192.0.2.7:50076` as `192.0.2.7`, `[::1]:50076` as `::1`."""
    host = address.rpartition(":")[0]
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host
