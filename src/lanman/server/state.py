"""Sessions, tree connects and opens as requests find them, beside what the domain knows of them.

The domain's Session, TreeConnect and Open say who is connected to what and are what management sees. These say how to
go on with a request: which share answers on a tree, which pipe or file stands behind a FileId. Each holds its domain
object. `sessions` has the tables that they are in, and the rules by which they begin and end. The protocols are what
handlers and opens may ask of the connection and of the Server.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, Final, Protocol

from lanman import codes
from lanman.auth.acceptor import Acceptor
from lanman.auth.accounts import Accounts
from lanman.domain import Open, Reason, ServerService, Session, Share, State, TreeConnect
from lanman.errors import StatusError
from lanman.few import NOTHING
from lanman.plain import dataclass
from lanman.server.disk_effects import CheckShare
from lanman.server.effects import Outcome, Reply, Wait, Waiter, Work
from lanman.server.resources import ResourceLimits
from lanman.server.scheduler import Scheduler
from lanman.server.sequences import ChannelSequence, Era
from lanman.server.throttle import Attempt, Throttle
from lanman.server.timers import Timer
from lanman.settings import Configuration
from lanman.smb2.constants import SMB2_CREATE, SMB2_FLAGS_REPLAY_OPERATION, SMB2_IOCTL, SMB2_SET_INFO, SMB2_WRITE
from lanman.smb2.messages import (
    ChangeNotifyRequest,
    CloseRequest,
    CreateRequest,
    FlushRequest,
    IoctlRequest,
    LockRequest,
    OplockBreak,
    QueryDirectoryRequest,
    QueryInfoRequest,
    ReadRequest,
    SetInfoRequest,
    WriteRequest,
)
from lanman.smb2.server import Request, ServerConnection
from lanman.smb2.session import SessionKeys

# 3.3.5.2.7.2: a related request that names this FileId means the one of the request before it.
CHAINED_FILE_ID: Final = b"\xff" * 16

# 3.3.5.2.10: what is refused when its channel sequence is stale.
_CHANGING: Final = (SMB2_WRITE, SMB2_SET_INFO, SMB2_IOCTL)
# What may have a file changed by the disk when nobody waits for it any more: an OVERWRITE too.
_CHANGING_LATE: Final = (*_CHANGING, SMB2_CREATE)

# Opens that have been closed and are looked at in one turn of the event loop.
_LOOKED_AT: Final = 1024

_FILE_ID: Final = struct.Struct("<QQ")


def pack_file_id(persistent_id: int, volatile_id: int) -> bytes:
    """A FileId, 16 bytes (MS-SMB2 2.2.14.1)."""
    return _FILE_ID.pack(persistent_id, volatile_id)


def unpack_file_id(data: bytes) -> tuple[int, int]:
    """The persistent and the volatile half of a FileId."""
    persistent_id, volatile_id = _FILE_ID.unpack(data)
    return persistent_id, volatile_id


@dataclass(slots=True, eq=False)
class ServerSession:
    """A session. Its `channels` are the connections that it is on, the oldest first; at least one, even when it has
    ended. `keys` are what they share. `trees` are by tree id, `opens` by the volatile half of the FileId.

    `speaking` is the pipe that a call is being made on, while it is. `closing` means that the domain has ended it by
    its own request, written to a pipe, and that nothing but the answer is still to be read; `lingers` ends the wait for
    that. `unread` are the bytes that its pipes keep: of calls, and of answers that nobody has read; they count on its
    first channel. `first_user` are the user's name and domain whose log-on its keys come from; None: it has none, and
    is protected by nothing. `stranger`: it is that of a guest without an account.
    """

    session: Session
    keys: SessionKeys
    channels: tuple[HandlerConnection, ...]
    trees: Mapping[int, ServerTree] = field(default_factory=lambda: NOTHING)
    opens: Mapping[int, ServerOpen] = field(default_factory=lambda: NOTHING)
    last_tree_id: int = 0
    speaking: ServerOpen | None = None
    closing: bool = False
    lingers: Timer | None = None
    unread: int = 0
    first_user: tuple[str, str] | None = None
    stranger: bool = False

    @property
    def connection(self) -> HandlerConnection:
        """The first channel (Session.Connection): what the Server sends unsolicited leaves by it."""
        return self.channels[0]

    def is_of_user_of(self, other: ServerSession) -> bool:
        """Whether the same user has logged on in the other session; who has no keys is nobody but that session's."""
        return self is other or (self.first_user is not None and self.first_user == other.first_user)

    @property
    def has_ended(self) -> bool:
        """Whether it has; some of its opens may still have to be closed."""
        return self.session.state is State.CLOSED

    @property
    def encrypt(self) -> bool:
        """Session.EncryptData: what comes unencrypted is refused."""
        return self.keys.encrypt

    def count_unread(self, difference: int) -> None:
        """Its pipes keep so many bytes more, or less."""
        self.unread += difference
        self.connection.count_unread(difference)

    def send_oplock_break(self, notification: OplockBreak) -> HandlerConnection:
        """Break the oplock of one of its opens (3.3.4.6), on the first channel that is not about to end. Gives that."""
        connection = next((each for each in self.channels if each.finished is None), self.connection)
        connection.core.send_oplock_break(notification, session_id=self.session.session_id)
        connection.mark_ready()
        return connection


@dataclass(slots=True, eq=False)
class Logon:
    """A log-on under way. `existing` is the session that is to be renewed, `binding` the one that its connection is to
    be bound to; `busy` while a token is being looked at.

    `fresh` says that no token has come yet: NTLM decides nothing by its first message, so that is answered without a
    look at the accounts.
    """

    session_id: int
    acceptor: Acceptor
    started: float
    existing: ServerSession | None = None
    binding: ServerSession | None = None
    busy: bool = False
    fresh: bool = True
    attempt: Attempt | None = None
    accounts: Accounts | None = None  # by which the token under way is judged


@dataclass(slots=True, eq=False)
class ServerTree:
    """A tree connect and the share that answers on it."""

    tree_connect: TreeConnect
    backend: ShareBackend
    maximal_access: int = 0


class ShareBackend(ABC):
    """What a tree connect leads to: the pipes of IPC$, or a folder."""

    share_type: int
    capabilities: int

    @property
    @abstractmethod
    def share_flags(self) -> int:
        """SMB2_SHAREFLAG_ of the TREE_CONNECT response, as things stand."""

    @property
    def encrypt(self) -> bool:
        """Share.EncryptData: what comes unencrypted is refused."""
        return False

    @abstractmethod
    def access_for(self, session: Session) -> int:
        """The most that a session may do here (TreeConnect.MaximalAccess); 0: it may not connect."""

    @abstractmethod
    def create(self, context: Context, message: CreateRequest) -> Outcome:
        """SMB2 CREATE (MS-SMB2 3.3.5.9)."""


class ServerOpen(ABC):
    """Something open: what a request with its FileId does. Everything is refused until a kind of open knows better.

    The persistent half of its FileId is the domain's `Open.file_id`, unique in the Server and never another. The
    volatile half is the same until the open is reclaimed. `session` is None while it is preserved. `channel_sequence`
    has the requests on it that are not answered yet. `replay_eligible` (Open.IsReplayEligible): nothing has been asked
    of it yet, so its client may never have heard of it, and may send its CREATE again.
    """

    __slots__ = (
        "__weakref__",
        "_settling",
        "channel_sequence",
        "closing",
        "open",
        "replay_eligible",
        "session",
        "tells_when_closed",
        "tree",
        "volatile_id",
    )

    def __init__(self, open_: Open, session: ServerSession, tree: ServerTree) -> None:
        self.open = open_
        self.session: ServerSession | None = session
        self.tree = tree
        self.volatile_id = open_.file_id
        self.closing = False  # ended by its own request, as its session may be
        self.tells_when_closed = False  # its client wants to know what there is to know of it then
        self.channel_sequence = ChannelSequence()
        self.replay_eligible = False
        self._settling: tuple[Waiter[None], ...] = ()

    @property
    def persistent_id(self) -> int:
        """The half of the FileId that stays (Open.DurableFileId)."""
        return self.open.file_id

    @property
    def file_id(self) -> bytes:
        """Its FileId, as requests name it."""
        return pack_file_id(self.open.file_id, self.volatile_id)

    def read(self, context: Context, message: ReadRequest) -> Outcome:
        """SMB2 READ (MS-SMB2 3.3.5.12)."""
        return Reply(codes.STATUS_INVALID_DEVICE_REQUEST)

    def write(self, context: Context, message: WriteRequest) -> Outcome:
        """SMB2 WRITE (MS-SMB2 3.3.5.13)."""
        return Reply(codes.STATUS_INVALID_DEVICE_REQUEST)

    def flush(self, context: Context, message: FlushRequest) -> Outcome:
        """SMB2 FLUSH (MS-SMB2 3.3.5.11)."""
        return Reply(codes.STATUS_INVALID_DEVICE_REQUEST)

    def ioctl(self, context: Context, message: IoctlRequest) -> Outcome:
        """SMB2 IOCTL with a control code of this open (MS-SMB2 3.3.5.15)."""
        return Reply(codes.STATUS_INVALID_DEVICE_REQUEST)

    def query_info(self, context: Context, message: QueryInfoRequest) -> Outcome:
        """SMB2 QUERY_INFO (MS-SMB2 3.3.5.20)."""
        return Reply(codes.STATUS_NOT_SUPPORTED)

    def set_info(self, context: Context, message: SetInfoRequest) -> Outcome:
        """SMB2 SET_INFO (MS-SMB2 3.3.5.21)."""
        return Reply(codes.STATUS_NOT_SUPPORTED)

    def lock(self, context: Context, message: LockRequest) -> Outcome:
        """SMB2 LOCK (MS-SMB2 3.3.5.14)."""
        return Reply(codes.STATUS_INVALID_DEVICE_REQUEST)

    def query_directory(self, context: Context, message: QueryDirectoryRequest) -> Outcome:
        """SMB2 QUERY_DIRECTORY (MS-SMB2 3.3.5.18)."""
        return Reply(codes.STATUS_INVALID_PARAMETER)

    def change_notify(self, context: Context, message: ChangeNotifyRequest) -> Outcome:
        """SMB2 CHANGE_NOTIFY (MS-SMB2 3.3.5.19)."""
        return Reply(codes.STATUS_INVALID_PARAMETER)

    def oplock_break(self, context: Context, message: OplockBreak) -> Outcome:
        """SMB2 OPLOCK_BREAK Acknowledgment (MS-SMB2 3.3.5.22.1)."""
        return Reply(codes.STATUS_INVALID_OPLOCK_PROTOCOL)

    def channel_lost(self, connection: HandlerConnection) -> None:
        """Its session goes on without this connection: what went unsolicited by it may not have arrived."""
        return

    def changes_late(self) -> None:
        """What a request on it has had done goes on, and nobody waits for it any more. `changed_late` comes at its
        end, whether or not it is still open then."""
        return

    def changed_late(self) -> None:
        """What a request on it has had done is done only now, when nobody waited for it any more."""
        return

    def settled(self) -> Work[None]:
        """Wait until nothing is under way any more for requests whose connections are lost: what they have the disk do
        would come after what the next ones want."""
        while self.channel_sequence.outstanding:
            waiter: Waiter[None] = Waiter()
            self._settling += (waiter,)
            yield Wait(waiter, cancellable=False, deferred=True)

    @property
    def name_going(self) -> Waiter[Any] | None:
        """What is woken when the disk has taken away the name that goes with it, now that it is closed; None: none
        goes, or it is gone."""
        return None

    def one_less(self) -> None:
        """A request is over for which something was under way."""
        settling, self._settling = self._settling, ()
        for waiter in settling:
            waiter.wake(None)

    def ended(self, now: float) -> None:
        """It is about to be released. Requests that wait on it are cancelled then, if they are not answered now."""
        return

    @abstractmethod
    def close(self, context: Context, message: CloseRequest) -> Outcome:
        """SMB2 CLOSE (MS-SMB2 3.3.5.10) of what the domain has closed already."""

    @abstractmethod
    def released(self) -> None:
        """It has ended, whoever ended it: let go of what stands behind it. Requests that wait were cancelled before."""


def when_gone(opens: Sequence[ServerOpen], reply: Reply) -> Outcome:
    """The answer to what has closed these, once the disk has taken away the names that go with them (3.3.4.17): its
    client may delete the directory next that they were in."""
    return _when_gone(opens, reply) if any(each.name_going is not None for each in opens) else reply


def _when_gone(opens: Sequence[ServerOpen], reply: Reply, tree: ServerTree | None = None) -> Work[Reply]:
    for number, each in enumerate(opens, 1):
        if number % _LOOKED_AT == 0:
            yield None
        going = each.name_going if tree is None or each.tree is tree else None
        if going is not None:
            yield Wait(going, cancellable=False)
    return reply


def when_many_gone(
    ends: EndTable, opens: Sequence[ServerOpen], reply: Reply, tree: ServerTree | None = None
) -> Work[Reply]:
    """As `when_gone`, where these are closed in portions; of the opens those alone that are on that tree connect."""
    yield from ends.passed()
    return (yield from _when_gone(opens, reply, tree))


class AccountsAndRights(Protocol):
    """What handlers ask of `watch`, which follows what changes between requests."""

    def read(self) -> Work[Accounts]:
        """The accounts as they are now; what has changed is in force. Raises StatusError if they cannot be read."""

    def follow(self, session: Session, accounts: Accounts | None) -> None:
        """A session whose log-on was judged by these accounts has begun, or has been renewed."""

    def look_up(self) -> Waiter[None]:
        """Look at the accounts; what is woken when that which has changed is in force."""

    def check_of(self, share: Share) -> CheckShare:
        """The look at a share's folder."""

    def mark(self, share: Share, problem: str) -> None:
        """What came of a look at a share's folder: why it cannot be used, "" if it can."""


class Judge(Protocol):
    """What is asked of `judging`. `alert`: of the rights of some sessions more than usual is to be asked."""

    alert: bool

    def access(self, session: ServerSession, tree: ServerTree) -> int:
        """The most that a session may do on a tree connect of its own now."""

    def may_have(self, session: ServerSession, server_open: ServerOpen) -> bool:
        """Whether a session may go on with an open that a request is about. If not, it is closed."""

    def allowed(self, session: Session, tree: ServerTree) -> int:
        """The most that a session may do on a tree connect as things are now; 0: it may not make it any more."""


class Sessions(Protocol):
    """What handlers ask of `sessions`."""

    def by_id(self, session_id: int) -> ServerSession | None:
        """The session of that id, whichever connections it is on."""

    def find(self, session: Session) -> ServerSession | None:
        """The session of a domain's session; None if it has ended."""

    def establish(self, session: ServerSession) -> None:
        """A log-on has succeeded: the session begins."""

    def bind(self, session: ServerSession, connection: HandlerConnection) -> None:
        """Make a connection one more channel of a session. Raises LimitReached and ValueError."""

    def register_open(
        self, session: ServerSession, tree: ServerTree, path: str, granted_access: int, now: float
    ) -> Open:
        """Tell the domain of something opened on a tree connect. Raises LimitReached and ValueError."""

    def add_open(self, server_open: ServerOpen) -> None:
        """What a request with the FileId of a registered open will find."""

    def find_open(self, persistent_id: int) -> ServerOpen | None:
        """The open of that persistent id, preserved ones included."""

    def reclaim(self, server_open: ServerOpen, session: ServerSession, tree: ServerTree) -> None:
        """Put a preserved open into a session, which may have it. Raises LimitReached and ValueError."""

    def release(self, server_open: ServerOpen) -> None:
        """Release an open whose last answer has been read."""


class EndTable(Protocol):
    """What handlers ask of `ending`."""

    def passed(self) -> Work[bool]:
        """Wait until all is closed that is to be closed now. Whether there was anything."""


class LeaseTable(Protocol):
    """What handlers ask of the leases."""

    def acknowledge(self, client: bytes, key: bytes, rights: int, session: ServerSession, now: float) -> int:
        """A client has come down to these rights of a lease, and says so in that session (3.3.5.22.2); the status."""


class HandlerServer(Protocol):
    """What handlers ask of the Server."""

    service: ServerService
    resources: ResourceLimits
    scheduler: Scheduler
    throttle: Throttle
    wall_clock: Callable[[float], float]

    @property
    def configuration(self) -> Configuration:
        """The settings in force."""

    @property
    def sessions(self) -> Sessions:
        """All sessions and opens."""

    @property
    def multichannel(self) -> bool:
        """Whether a session may be bound to further connections."""

    @property
    def leases(self) -> LeaseTable:
        """All leases."""

    @property
    def ends(self) -> EndTable:
        """What is ended in portions."""

    @property
    def watch(self) -> AccountsAndRights:
        """What follows accounts and shares."""

    @property
    def judging(self) -> Judge:
        """What ends that which rights do not allow any more."""

    def new_session_id(self) -> int:
        """64 unpredictable bits (3.3.5.5.1)."""

    def new_acceptor(self) -> Acceptor:
        """The server's half of a log-on."""

    def backend_of(self, share: Share) -> ShareBackend:
        """What stands behind a share."""

    def has_pipe(self, name: str) -> bool:
        """Whether there is a pipe of that (canonical) name."""

    def is_null_share(self, name: str) -> bool:
        """Whether a null session may connect to that share."""


class HandlerConnection(Protocol):
    """What handlers and opens ask of the connection that a request came on."""

    core: ServerConnection
    connection_id: int
    address: str
    network: str
    channels: Mapping[int, ServerSession]
    logons: Mapping[int, Logon]
    held_until: float
    finished: str | None

    @property
    def server(self) -> HandlerServer:
        """The Server that it belongs to."""

    @property
    def client_name(self) -> str:
        """The client, as sessions name it."""

    @property
    def dialect_name(self) -> str:
        """The dialect as people name it; "" before NEGOTIATE."""

    @property
    def signing_name(self) -> str:
        """The algorithm that signs here."""

    @property
    def encryption_name(self) -> str:
        """The cipher that encrypts here; "": none."""

    @property
    def can_encrypt(self) -> bool:
        """Whether a cipher has been negotiated."""

    @property
    def max_read_size(self) -> int:
        """Connection.MaxReadSize, in bytes."""

    @property
    def max_write_size(self) -> int:
        """Connection.MaxWriteSize, in bytes."""

    @property
    def max_transact_size(self) -> int:
        """Connection.MaxTransactSize, in bytes."""

    @property
    def may_ask_pipes(self) -> bool:
        """Whether there is room for one more question to its pipes, and its answer."""

    def count_unread(self, difference: int) -> None:
        """Its pipes keep so many bytes more, or less."""

    def lacks(self, reason: Reason, user_name: str = "") -> None:
        """The client cannot do what is required: say so, once for this connection."""

    def refusal_of_anonymous(self) -> str:
        """Why null sessions and guests are refused here; "" if they are not."""

    def refusal_of_user(self, user_name: str) -> str:
        """Why nobody may log on here by that name, who is no guest; "" if they may."""

    def channel_begun(self, session: ServerSession) -> None:
        """It is a channel of that session from now on."""

    def channel_ended(self, session: ServerSession) -> None:
        """It is no channel of that session any more."""

    def identified(self, session: Session) -> None:
        """One of its sessions has a user, or another one."""

    def awaited_opens(self, session: ServerSession) -> list[ServerOpen]:
        """The opens that requests of a session wait on."""

    def cancel_all(
        self,
        about: ServerOpen | ServerSession,
        now: float,
        *,
        cancellable_only: bool = False,
        spared: ServerOpen | None = None,
    ) -> None:
        """Cancel its requests that wait on what has ended, but for those of an open that is spared."""

    def defer(self, action: Callable[[float], None]) -> None:
        """Do it when the answers are made to what is being done."""

    def mark_ready(self) -> None:
        """There may be something to send."""

    def finish(self, why: str, *, at_once: bool = False) -> None:
        """End the connection when what has been answered is sent, or at once."""

    def fail(self, error: Exception) -> None:
        """An error of ours costs this connection: end it at once, and tell the shell."""


@dataclass(slots=True)
class Context:
    """A request on its way: what it came on, and what its ids stand for. A handler that needs no session has none.

    `now` is the time of the step that its handler is in; it is another after each yield. `era` is where it is counted
    as outstanding on its open, if it is. `survives`: it is known by a name that its client has given it, and goes on
    when its connection is lost and others of its session are there.
    """

    connection: HandlerConnection
    request: Request
    now: float
    session: ServerSession | None = None
    tree: ServerTree | None = None
    opened: ServerOpen | None = None
    file_id: int = 0
    era: Era | None = None
    survives: bool = False

    @property
    def server(self) -> HandlerServer:
        """The Server that it came to."""
        return self.connection.server

    @property
    def checked_session(self) -> ServerSession:
        """The session of a command that needs one."""
        assert self.session is not None, "the command's row in COMMANDS says that it needs a session"
        return self.session

    @property
    def checked_tree(self) -> ServerTree:
        """The tree connect of a command that needs one."""
        assert self.tree is not None, "the command's row in COMMANDS says that it needs a tree connect"
        return self.tree

    def find_open(self, file_id: bytes) -> ServerOpen | None:
        """The open that a request names; in a compound the one before it, if it says so.

        It counts as outstanding on that from then on. Raises StatusError where what has been sent since, or what has
        not come to its end yet, forbids it (3.3.5.2.10).
        """
        opens = self.checked_session.opens
        if file_id != CHAINED_FILE_ID:
            persistent_id, self.file_id = _FILE_ID.unpack(file_id)
            found = opens.get(self.file_id)
            if found is None or found.open.file_id != persistent_id:
                self.file_id = 0  # no open has it
                return None
        elif (found := opens.get(self.file_id)) is None:
            return None
        if found.tree is not self.tree and self.tree is not None:
            # A FileId counts on the tree connect that it was opened on (smb2.tcon). The reading of a last answer has
            # none any more.
            return None
        if not self.may_have(found):
            return None
        self.opened = found
        found.replay_eligible = False
        request = self.request
        self.era = found.channel_sequence.begin(request.channel_sequence, request.flags & SMB2_FLAGS_REPLAY_OPERATION)
        if self.era is None and request.command in _CHANGING:
            raise StatusError(codes.STATUS_FILE_NOT_AVAILABLE)
        return found

    def may_have(self, server_open: ServerOpen) -> bool:
        """Whether its session may go on with that open as things are now. If not, it is closed."""
        judging = self.server.judging
        return not judging.alert or judging.may_have(self.checked_session, server_open)

    def made(self, server_open: ServerOpen) -> None:
        """A CREATE has opened or reclaimed this: it is what those behind it in its compound may mean."""
        self.opened, self.file_id = server_open, server_open.volatile_id
        server_open.channel_sequence.restart(self.request.channel_sequence)

    def goes_on_without(self, lost: object) -> bool:
        """Whether it goes on when that connection is lost, which it came on."""
        channels = self.session.channels if self.survives and self.session is not None else ()
        return any(each is not lost and each.finished is None for each in channels)

    def step(self, step: Callable[[], None]) -> None:
        """Take a step of it without its connection: another one of its session stands for that."""
        self.now = self.server.scheduler.now
        session = self.checked_session
        if self.connection not in session.channels:
            self.connection = session.connection
        step()

    def over(self) -> None:
        """It is outstanding no more."""
        era, self.era = self.era, None
        if era is not None:
            era.outstanding -= 1

    def outlived(self) -> Callable[[], None]:
        """Nobody waits for it any more, and something may be under way for it all the same: what to call when that has
        come to its end. So long it is outstanding, whatever it is answered."""
        changing = Context(self.connection, self.request, self.now, opened=self.opened, era=self.era)
        self.era = None
        late = self.opened if self.request.command in _CHANGING_LATE else None
        if late is not None:
            late.changes_late()

        def ended() -> None:
            changing.over()
            if changing.opened is not None:
                changing.opened.one_less()
            if late is not None:
                late.changed_late()

        return ended
