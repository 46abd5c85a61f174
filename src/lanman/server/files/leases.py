"""Leases (MS-SMB2 3.3.1.11, 3.3.1.12, 3.3.4.7, 3.3.5.9.8, 3.3.5.9.11, 3.3.5.22.2): what a client may cache of a file,
by all of its opens together.

The rules:

* A client is a ClientGuid, whoever logs on and on however many connections. Its lease is known by its key, and is of
  one file. It begins with the first open that asks for it and ends with its last open, orphaned ones included: an open
  that outlives its session keeps its lease in force.
* What may be held at once, and what takes it back, is told in `caching`. Here a client is told, and is given
  `BREAK_TIMEOUT` to answer for each step.
* A notice leaves by the first connection of the client that has asked for a lease, is still there, and has a session of
  a user who has the file open; such a user alone may acknowledge. GUIDs travel in clear and prove nothing: who has
  taken another's is not told what that client is to answer, and answers nothing for it. If the connection is lost
  before the client has answered, the notice leaves once more by another one. Where no session is left that has the
  file open, nobody can be told, and the lease holds nothing any more.
* Orphans are closed when their lease loses H: they could not be reclaimed, and would only be in the way of others.
* An acknowledgement is taken in when it comes. What it releases, and what is to be told next, has its turn after that.
* The version of its first request is that of the lease, and of all answers about it.
* There are only so many leases, and a part of them for each user: for the one whose open has begun it. Who has no room
  for one opens the file without.
* A directory has leases where its client has negotiated that, of R and H: R is to cache its listing. What changes a
  name in it, or what its listing tells of one, takes that from all but the client and key that the change is made for
  (ParentLeaseKey), and waits for nobody. What is written to a file counts when it is closed. Directories are found by
  their paths below the root of the machine, since a folder may be part of several shares.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

from lanman import codes
from lanman.domain import Open, Portions
from lanman.few import NOTHING, with_one, without
from lanman.names import fold
from lanman.plain import dataclass
from lanman.server.disk_effects import Path
from lanman.server.files.caching import HOLDABLE, NONE, Caching, Event, FileCaching, Holder, Notice, steady
from lanman.server.files.oplocks import BREAK_TIMEOUT
from lanman.server.resources import ResourceLimits
from lanman.server.scheduler import Scheduler
from lanman.server.state import HandlerConnection, ServerSession
from lanman.server.timers import Timer
from lanman.smb2.constants import (
    SMB2_CREATE_REQUEST_LEASE,
    SMB2_LEASE_FLAG_BREAK_IN_PROGRESS,
    SMB2_LEASE_FLAG_PARENT_LEASE_KEY_SET,
    SMB2_NOTIFY_BREAK_LEASE_FLAG_ACK_REQUIRED,
    Dialect,
)
from lanman.smb2.messages import (
    LEASE_SIZE,
    LEASE_V2_SIZE,
    CreateContext,
    CreateLease,
    CreateLeaseV2,
    LeaseBreakNotification,
)

_NO_KEY: Final = bytes(16)


def lease_name(root: str, path: Path) -> tuple[str, Path]:
    """By what the file of a lease is known (Lease.Filename): the folder of its share, and its path below that."""
    return root, folded(path)


@lru_cache(maxsize=16)
def folded(path: Path) -> Path:
    """A path in one case. What asks for the same one more than once, for an open, keeps one object."""
    return tuple(map(fold, path))


def place_of(root: str, path: Path) -> str:
    """Where the name `path` below a share's folder is, whichever share it is reached by."""
    return fold("/".join([root.rstrip("/"), *path]))


def path_below(folder: str, root: str, path: Path) -> Path | None:
    """The path below `folder` of the name `path` below `root`; None: it is not below that."""
    above, name = folder.rstrip("/") + "/", "/".join([root.rstrip("/"), *path])
    return tuple(name.removeprefix(above).split("/")) if name.startswith(above) else None


class LeaseRequest(NamedTuple):
    """What a CREATE asks for. `parent_key` is None where none was given; `version` is 1 or 2."""

    client: bytes
    key: bytes
    wanted: int
    version: int
    parent_key: bytes | None
    epoch: int

    def answer(self, rights: int, flags: int = 0) -> CreateContext:
        """The context of the response."""
        if self.version == 1:
            return CreateContext(SMB2_CREATE_REQUEST_LEASE, CreateLease(self.key, rights, flags).pack())
        if self.parent_key is not None:
            flags |= SMB2_LEASE_FLAG_PARENT_LEASE_KEY_SET
        lease = CreateLeaseV2(self.key, rights, flags, parent_lease_key=self.parent_key or _NO_KEY, epoch=self.epoch)
        return CreateContext(SMB2_CREATE_REQUEST_LEASE, lease.pack())


def read_request(data: bytes, client: bytes, dialect: int) -> LeaseRequest | None:
    """The lease that a CREATE asks for whose RequestedOplockLevel is SMB2_OPLOCK_LEVEL_LEASE, by its context (3.3.5.9).

    None: in this dialect there is none. Raises ValueError where it has a size that the dialect does not know.
    """
    if dialect < Dialect.SMB_2_1:
        return None
    if len(data) == LEASE_SIZE:
        first = CreateLease.unpack(data)
        return LeaseRequest(client, first.lease_key, first.lease_state, 1, None, 0)
    if len(data) != LEASE_V2_SIZE or dialect < Dialect.SMB_3_0:
        raise ValueError("an SMB2_CREATE_REQUEST_LEASE context of a wrong size")
    lease = CreateLeaseV2.unpack(data)
    has_parent = lease.flags & SMB2_LEASE_FLAG_PARENT_LEASE_KEY_SET
    parent_key = lease.parent_lease_key if has_parent else None
    return LeaseRequest(client, lease.lease_key, lease.lease_state, 2, parent_key, lease.epoch)


class LeasedFile(Protocol):
    """The file that a lease is of."""

    caching: FileCaching

    @property
    def delete_pending(self) -> bool:
        """Whether it is to go."""

    def report_lease(self, opened: LeasedOpen, lease: Lease) -> None:
        """Tell the domain what an open's lease lets its client do now. One that nobody could reclaim is closed."""

    def wake(self, now: float) -> None:
        """Something has changed that those may wait for who were not admitted."""

    def close(self, open_: Open) -> None:
        """Close an open of it."""


class Actor(Protocol):
    """An open that something is changed through, and for which of its client's directory leases, if for any."""

    client_guid: bytes
    parent_key: bytes | None


class LeasedOpen(Protocol):
    """An open that has a lease. `root` is the folder of its share and `path` its path below that."""

    open: Open
    session: ServerSession | None
    root: str
    path: Path
    delete_on_close: bool
    lease: Lease | None
    replay_eligible: bool

    @property
    def more_than_stat(self) -> bool:
        """Whether it does more than ask for attributes and for the security descriptor."""


class Lease(Holder):
    """One lease. `opens` are those that have it, in the order in which they were made."""

    __slots__ = (
        "_answered",
        "_leases",
        "_owed",
        "_timer",
        "_told",
        "_told_by",
        "client",
        "directory",
        "epoch",
        "key",
        "name",
        "of",
        "opens",
        "parent_key",
        "state",
        "version",
        "with_contents",
    )

    is_lease = True

    def __init__(
        self, leases: Leases, request: LeaseRequest, state: LeasedFile, name: tuple[str, Path], of: str, directory: bool
    ) -> None:
        super().__init__()
        self._leases = leases
        self.client = request.client
        self.directory = directory
        self.key = request.key
        self.version = request.version
        self.parent_key = request.parent_key
        self.epoch = request.epoch
        self.state = state
        self.name = name
        self.of = of  # the user of whose part of all leases it is
        self.opens: Mapping[LeasedOpen, None] = NOTHING
        self.with_contents = 0  # opens that do more than ask for attributes
        self._answered = False  # whether any CREATE has been told of it
        self._owed: Notice | None = None  # what its client is still to be told
        self._told: Notice | None = None  # what it has been told, and is to answer
        self._told_by: HandlerConnection | None = None
        self._timer: Timer | None = None

    @property
    def goes(self) -> bool:
        """Whether its file is to be deleted (Lease.FileDeleteOnClose)."""
        return self.state.delete_pending or any(each.delete_on_close for each in self.opens)

    # --- its opens ---

    def join(self, opened: LeasedOpen) -> None:
        """One more open has it."""
        self.opens = with_one(self.opens, opened, None)
        self.with_contents += opened.more_than_stat
        opened.lease = self
        self._report(opened)

    def part(self, opened: LeasedOpen) -> None:
        """An open is gone. With the last one it ends; that acknowledges whatever was asked of it."""
        self.opens = without(self.opens, opened)
        self.with_contents -= opened.more_than_stat
        opened.lease = None
        if not self.opens:
            self._settle(Caching())
            self._leases.forget(self)
        elif self.caching.breaking and all(each.session is None for each in self.opens):
            self._settle(Caching())  # who was to acknowledge is gone, and the others are orphans

    def ask(self, wanted: int, *, others_open: bool, ranges_locked: bool) -> None:
        """Promote it to what a CREATE wants, if that is more than it holds, and all of it can be had; what holds
        nothing gets what can be had of it."""
        first, self._answered = not self._answered, True
        held = self.caching.rights
        gets = held
        if not self.caching.breaking and wanted in HOLDABLE and wanted & held == held:
            granted = self.state.caching.grantable(wanted, self, others_open=others_open, ranges_locked=ranges_locked)
            if not held or granted == wanted:
                gets = granted
        if gets != held:
            self._become(steady(gets))
        if first or gets != held:
            self._count_epoch()

    def answer(self) -> CreateContext:
        """The context of a CREATE's response, as it stands."""
        flags = SMB2_LEASE_FLAG_BREAK_IN_PROGRESS if self.caching.breaking else 0
        told = LeaseRequest(self.client, self.key, NONE, self.version, self.parent_key, self.epoch)
        return told.answer(self.caching.rights, flags)

    # --- taking it back ---

    def take(self, left: int, now: float) -> None:
        """3.3.4.7."""
        caching, notice = self.caching.take(left)
        self._become(caching)
        if notice is not None:
            self._count_epoch()  # and not for further steps of the same break, as Windows (3.3.4.7, note 248)
            self._notify(notice, now)

    def acknowledge(self, rights: int, now: float) -> int:
        """3.3.5.22.2; the status."""
        offered = self.caching.offered
        if offered is None or self._owed is not None:
            return codes.STATUS_UNSUCCESSFUL
        if rights & ~offered:
            return codes.STATUS_REQUEST_NOT_ACCEPTED
        caching, self._owed = self.caching.acknowledge(rights)
        owed = self._owed
        self._settle(caching)
        self._owed = owed
        self._leases.scheduler.timers.at(now, self._go_on)
        return codes.STATUS_SUCCESS

    def _go_on(self, now: float) -> None:
        """Its acknowledgement is answered: what comes next."""
        owed, self._owed = self._owed, None
        if owed is not None:
            self._notify(owed, now)
        self.state.wake(now)

    def _notify(self, notice: Notice, now: float) -> None:
        """Have its client know."""
        if notice.acknowledged:
            self._told = notice
            self._timer = self._leases.scheduler.timers.at(now + BREAK_TIMEOUT, self._timed_out)
        self._send(notice)

    def tell_again(self, now: float) -> None:
        """The connection is lost that its client was told by."""
        self._told_by = None
        if self._told is not None:
            self._send(self._told)
            if not self.caching.breaking:
                self.state.wake(now)

    def _send(self, notice: Notice) -> None:
        connection = self._connection()
        if connection is None:
            self._give_up()
            return
        flags = SMB2_NOTIFY_BREAK_LEASE_FLAG_ACK_REQUIRED if notice.acknowledged else 0
        epoch = self.epoch if self.version == 2 else 0
        # Neither signed nor encrypted, for no session (3.3.4.7).
        connection.core.send_oplock_break(LeaseBreakNotification(epoch, flags, self.key, notice.before, notice.after))
        connection.mark_ready()
        if notice.acknowledged:
            self._told_by = connection
            self._leases.told(self, connection)

    def _connection(self) -> HandlerConnection | None:
        """By what its client is told: None if no session has its file open."""
        sessions = {each.session: None for each in self.opens if each.session and not each.session.has_ended}
        if not sessions:
            return None
        users = {each.first_user for each in sessions} - {None}
        for connection in self._leases.connections_of(self.client):
            if connection.finished is None and any(
                each in sessions or each.first_user in users for each in connection.channels.values()
            ):
                return connection
        return next(iter(sessions)).connection

    def is_open_to_user_of(self, session: ServerSession) -> bool:
        """Whether the user of that session has its file open by it."""
        return any(each.session is not None and each.session.is_of_user_of(session) for each in self.opens)

    def _give_up(self) -> None:
        """Nobody can be told: all of its opens are orphaned, or are about to be closed. None of them could
        be reclaimed by a lease that holds nothing, so they are closed, as Windows does where W alone is taken too
        (smb2.durable-open.lease)."""
        self._settle(Caching())

    def _settle(self, caching: Caching) -> None:
        """What was asked of its client is over."""
        self._owed = self._told = None
        if self._told_by is not None:
            self._leases.told_no_more(self, self._told_by)
            self._told_by = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._become(caching)

    def _timed_out(self, now: float) -> None:
        self._settle(Caching())
        self.state.wake(now)

    def _become(self, caching: Caching) -> None:
        before = self.caching
        self.state.caching.put(self, caching)
        if (before.rights, before.breaking) != (caching.rights, caching.breaking):
            for each in list(self.opens):  # who hears of it may close some
                self._report(each)

    def _report(self, opened: LeasedOpen) -> None:
        self.state.report_lease(opened, self)

    def _count_epoch(self) -> None:
        self.epoch = (self.epoch + 1) & 0xFFFF


@dataclass(slots=True)
class _Client:
    """What one ClientGuid has: its leases by their keys, and the connections by which it has asked for any."""

    leases: Mapping[bytes, Lease] = field(default_factory=lambda: NOTHING)
    connections: Mapping[HandlerConnection, None] = field(default_factory=lambda: NOTHING)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to know of it."""
        return not self.leases and not self.connections


class Leases:
    """All leases (GlobalLeaseTableList), by client and key."""

    def __init__(self, scheduler: Scheduler, limits: ResourceLimits, portions: Portions) -> None:
        self.scheduler = scheduler
        self.limits = limits
        self._clients: dict[bytes, _Client] = {}
        self._told: dict[HandlerConnection, dict[Lease, None]] = {}
        self._directories: dict[str, dict[Lease, None]] = {}
        self._portion = portions.new("leases", lambda: self.limits.leases)

    def __len__(self) -> int:
        """How many there are."""
        return self._portion.taken

    def __iter__(self) -> Iterator[Lease]:
        for client in self._clients.values():
            yield from client.leases.values()

    def find(self, client: bytes, key: bytes) -> Lease | None:
        """A client's lease."""
        found = self._clients.get(client)
        return found.leases.get(key) if found is not None else None

    def begin(
        self,
        request: LeaseRequest,
        state: LeasedFile,
        name: tuple[str, Path],
        connection: HandlerConnection,
        of: str,
        *,
        directory: bool = False,
    ) -> Lease | None:
        """A lease of a client that has none of that key, with no right yet; it has asked by that connection, as the
        user `of`. None: there is no room for it."""
        client = self._clients.setdefault(request.client, _Client())
        client.connections = with_one(client.connections, connection, None)
        if len(client.leases) >= self.limits.leases_per_client or not self._portion.take(of):
            return None
        lease = Lease(self, request, state, name, of, directory)
        client.leases = with_one(client.leases, request.key, lease)
        self._enter_place(lease)
        return lease

    def moved(self, lease: Lease, name: tuple[str, Path]) -> None:
        """Its file has been renamed."""
        self._leave_place(lease)
        lease.name = name
        self._enter_place(lease)

    def _enter_place(self, lease: Lease) -> None:
        if lease.directory:
            self._directories.setdefault(place_of(*lease.name), {})[lease] = None

    def _leave_place(self, lease: Lease) -> None:
        if lease.directory:
            place = place_of(*lease.name)
            del self._directories[place][lease]
            if not self._directories[place]:
                del self._directories[place]

    def listing_changed(self, root: str, path: Path, by: Actor, now: float) -> None:
        """A name has changed in the directory `path` of the folder `root`, or what is listed of it."""
        if not self._directories:
            return
        spared = self.find(by.client_guid, by.parent_key) if by.parent_key is not None else None
        for state in {each.state: None for each in self._directories.get(place_of(root, path), ())}:
            state.caching.take(Event.CHANGE, spared, now)

    def forget(self, lease: Lease) -> None:
        """Its last open is gone."""
        self._leave_place(lease)
        client = self._clients[lease.client]
        client.leases = without(client.leases, lease.key)
        self._portion.give_back(lease.of)
        if client.is_empty:
            del self._clients[lease.client]

    def connections_of(self, client: bytes) -> Iterable[HandlerConnection]:
        """Its connections by which it has asked for a lease, in that order."""
        return self._clients[client].connections

    def heard(self, lease: Lease, connection: HandlerConnection) -> None:
        """The client of a lease has asked for it on that connection, by which it can be told."""
        client = self._clients[lease.client]
        client.connections = with_one(client.connections, connection, None)

    def acknowledge(self, client: bytes, key: bytes, rights: int, session: ServerSession, now: float) -> int:
        """3.3.5.22.2; the status. Who has not got the file open knows of no lease of it."""
        lease = self.find(client, key)
        if lease is None or not lease.is_open_to_user_of(session):
            return codes.STATUS_OBJECT_NAME_NOT_FOUND
        for each in lease.opens:
            each.replay_eligible = False  # its client knows of them
        return lease.acknowledge(rights, now)

    def told(self, lease: Lease, connection: HandlerConnection) -> None:
        """A client was told by that connection, and has yet to answer."""
        self._told.setdefault(connection, {})[lease] = None

    def told_no_more(self, lease: Lease, connection: HandlerConnection) -> None:
        """It has answered, or need not any more."""
        others = self._told.get(connection)
        if others is not None:
            others.pop(lease, None)
            if not others:
                del self._told[connection]

    def connection_lost(self, connection: HandlerConnection, now: float) -> None:
        """What was told by it and not answered is told once more, by another one."""
        guid = connection.core.client_guid
        client = self._clients.get(guid)
        if client is not None:
            client.connections = without(client.connections, connection)
            if client.is_empty:
                del self._clients[guid]
        for lease in self._told.pop(connection, {}):
            lease.tell_again(now)
