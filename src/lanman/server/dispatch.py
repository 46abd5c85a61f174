"""A request on its way to its handler and an answer on its way back, for every connection of the Server.

One compound chain is answered as one frame, its requests one after the other. When one of them has to wait for I/O,
for a moment or for somebody else, its chain waits with it and all other chains go on. If it waits for long, the
answers before it leave, and it gets its STATUS_PENDING.

Work is done in steps that do little: look at one frame, begin one request, keep one answer. What a step leads to on its
own connection is done before what was there to do, and before the answer to the request that led to it; nothing is done
in the midst of a step. So steps never nest, however many requests one sets free. Connections take turns of a few
steps, and `run` ends when `BUDGET` is spent: the shell then lets others have the loop, calls `refill` and `run` again.

A request is judged (`ServerConnection.begin`) at the moment it runs. It does not run while there is no room for its
answer: what is answered and not sent, and what is being answered, is bounded for each connection and for all.

What the domain ends, whoever asked for it, comes back here as an event of its one stream: the connection then cancels
the requests that wait on it, lets go of what is open and forgets the session, and nothing else (MS-SMB2 3.3.4.12,
3.3.4.17). An answer that is being made meanwhile still leaves, signed.

The shell gives bytes, results of effects and the time; it takes `ready()` connections with bytes to send, `effects()`
to perform and the `next_deadline()`. Times are the seconds of one clock that only goes forward.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final, Literal, TypeVar

from lanman import codes
from lanman.auth.acceptor import Acceptor, Mechanism
from lanman.auth.accounts import Accounts
from lanman.domain import (
    STYPE_IPC,
    Event,
    LogonRefused,
    Open,
    Reason,
    ServerService,
    Session,
    Share,
    State,
    TreeConnect,
    unc_name,
)
from lanman.errors import RemoteProtocolError
from lanman.names import fold
from lanman.server.admission import POLL, Admission, AdmissionLimits, Place, Standing
from lanman.server.effects import Effect, Later, Outcome, Park, Perform, Reply
from lanman.server.files.backend import DiskShare
from lanman.server.files.table import Files
from lanman.server.handlers import COMMANDS, Command, Needs
from lanman.server.logon import Logon
from lanman.server.pipes import Pipes
from lanman.server.refusals import CHOICES, Refusals
from lanman.server.shares import PipeShare
from lanman.server.state import Context, ServerOpen, ServerSession, ShareBackend
from lanman.server.throttle import Throttle, network_of
from lanman.server.timers import Timer, Timers
from lanman.server.watch import Watch
from lanman.smb2.connection import Event as WireEvent
from lanman.smb2.constants import (
    SMB2_CHANGE_NOTIFY,
    SMB2_CREATE,
    SMB2_FLAGS_SIGNED,
    SMB2_LOCK,
    SMB2_NEGOTIATE,
    SMB2_READ,
    SMB2_SESSION_SETUP,
    SMB2_TREE_CONNECT,
)
from lanman.smb2.messages import IoctlRequest, Message, QueryDirectoryRequest, QueryInfoRequest, ReadRequest
from lanman.smb2.server import (
    CancelReceived,
    Request,
    RequestsReceived,
    Response,
    ServerConnection,
    Smb1Only,
    UnprotectedTreeConnect,
)
from lanman.wire import Data

# A request that waits is told so after this many seconds; at once if nobody can say how long it will be.
PENDING_AFTER: Final = 0.5

# 3.3.6.3 with note 442: a connection without a session is ended when it is older than this many seconds.
UNAUTHENTICATED_FOR: Final = 45.0

# How long the answer to a call that ended its own session waits on the pipe to be read.
LINGER: Final = 5.0

# What one `run` may cost, and one connection's turn in it. A step costs 1, and 1 more for every 64 KiB it signs,
# verifies, encrypts or decrypts: 20 to 50 microseconds.
BUDGET: Final = 64
TURN: Final = 8
_COSTS_ONE: Final = 65536

# How long a peer may leave answers unread, in seconds, while others wait for room.
UNREAD_FOR: Final = 10.0

# MS-SMB2 2.2.3.1, 2.2.3.1.2 and 2.2.3.1.7, as people name them.
_DIALECTS: Final = {0x0202: "2.0.2", 0x0210: "2.1", 0x0300: "3.0", 0x0302: "3.0.2", 0x0311: "3.1.1"}
_SIGNING: Final = {0: "HMAC-SHA256", 1: "AES-128-CMAC", 2: "AES-128-GMAC"}
_CIPHERS: Final = {1: "AES-128-CCM", 2: "AES-128-GCM", 3: "AES-256-CCM", 4: "AES-256-GCM"}

_NO_HANDLER: Final = Command(lambda context, message: Reply(codes.STATUS_NOT_SUPPORTED), Needs.TREE)


Encryption = Literal["off", "offered", "required"]

T = TypeVar("T")


def _no_matter(result: Any, status: int, now: float) -> None:
    """Nobody wants to know what came of it."""


def _nothing() -> None:
    """There is nothing to take back."""


def _answer_size(message: Message | None, core: ServerConnection) -> int:
    """How many bytes the answer to a request may hold, beside its fixed part. What is asked of a directory that may
    wait for ever takes none: what is kept for it is bounded where it is kept."""
    if core.negotiated is None:
        return 0
    if isinstance(message, ReadRequest):
        return min(message.length, core.negotiated.max_read_size)
    if isinstance(message, QueryInfoRequest | QueryDirectoryRequest):
        return min(message.output_buffer_length, core.negotiated.max_transact_size)
    if isinstance(message, IoctlRequest):
        return min(message.max_output_response, core.negotiated.max_transact_size)
    return 0


@dataclass(frozen=True, slots=True)
class Limits(AdmissionLimits):
    """What peers may take: connections, see `admission`; log-ons under way on one connection; memory for answers, in
    bytes."""

    logons_per_connection: int = 64
    # Null sessions and guests' on one connection, which costs its peer nothing.
    anonymous_sessions_per_connection: int = 64
    # Bytes that are answered, or are being answered, and that the transport has not sent: of one connection, of all,
    # and what a connection may always have.
    output_per_connection: int = 16 * 1024 * 1024
    output: int = 64 * 1024 * 1024
    output_always: int = 32 * 1024
    # Bytes of calls on pipes that are not answered, whole or not, and of answers that nobody has read yet. A connection
    # may always have `output_always`.
    unread_per_connection: int = 8 * 1024 * 1024
    unread: int = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """What the shell has decided about the wire. "required" encryption refuses whoever cannot."""

    server_name: str = "LANMAN"
    dns_name: str = ""
    signing_required: bool = True
    encryption: Encryption = "offered"
    guest: bool = False
    null_pipes: frozenset[str] = frozenset()
    null_shares: frozenset[str] = frozenset()
    filesystem_name: str = "NTFS"
    share_roots: tuple[str, ...] = ()
    end_sessions_of_removed_accounts: bool = True
    limits: Limits = field(default_factory=Limits)


@dataclass(slots=True, eq=False)
class Chain:
    """The requests of one frame, and the answers so far. `file_id` is the one that the next request may mean;
    `reserved` are the bytes that `responses` and the answer under way may come to, `under_way` those of the latter."""

    requests: list[Request]
    index: int = 0
    responses: list[Response] = field(default_factory=list)
    tree_id: int = 0
    file_id: int = 0
    failure: int = 0
    baseless: bool = False
    reserved: int = 0
    under_way: int = 0
    granted: int = 0  # bytes that are reserved for the answer of the next request, which has waited for them


@dataclass(slots=True, eq=False)
class Waiting:
    """A request that has to wait. `stop` takes back what it waits for; `cancellable` says that its client may do so."""

    chain: Chain
    context: Context
    stop: Callable[[], None]
    cancellable: bool = False
    pending_timer: Timer | None = None
    over: bool = False
    about: tuple[ServerOpen | ServerSession, ...] = ()  # its open and its session, when it began to wait


@dataclass(slots=True, eq=False)
class Outcoming:
    """A step: what has come of a request is to be kept, and then its chain goes on."""

    chain: Chain
    context: Context
    outcome: Outcome | Callable[[], Outcome]

    def drop(self) -> None:
        """Nobody wants it any more."""
        if isinstance(self.outcome, Park):
            self.outcome.start(lambda outcome, now: None)
            self.outcome.cancel()


Step = Outcoming | Callable[[float], None]


class ConnectionDispatch:
    """One connection: its sessions, its log-ons under way, its requests that wait.

    There are thousands that do nothing, so what is mostly empty is a list: an empty deque takes ten times as much.
    """

    # Without a dict of its own an idle connection takes 1 KiB less; tests put things of theirs into one.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "_cost",
        "_lacking",
        "_led_to",
        "_lost",
        "_named",
        "_reaper",
        "_reserved",
        "_soon",
        "_stalled",
        "_steps",
        "_unsent",
        "_waiting",
        "_waiting_on",
        "address",
        "at_once",
        "client_name",
        "connection_id",
        "core",
        "explained",
        "finished",
        "held_until",
        "logons",
        "network",
        "output",
        "place",
        "server",
        "sessions",
        "speaking",
        "unread",
        "unsent_since",
        "violation",
    )

    def __init__(
        self, server: ServerDispatch, connection_id: int, core: ServerConnection, address: str, now: float
    ) -> None:
        self.server = server
        self.connection_id = connection_id
        self.core = core
        self.address = address
        self.network = network_of(address)
        self.client_name = unc_name(address)
        self.sessions: dict[int, ServerSession] = {}
        self.logons: dict[int, Logon] = {}
        self._named: set[int] = set()  # the ids of the sessions that have a user with an account
        self.speaking: ServerOpen | None = None  # the pipe that a call is being made on by a WRITE, while it is
        self.held_until = now  # until when a refused log-on counts against the limits, even if its peer has gone
        self.finished: str | None = None  # why the shell is to end it, once all is sent
        self.violation = False  # whether that is for what the peer said
        self.explained = False  # whether the log has been told already why, in words that name the remedy
        self.at_once = False  # whether it is to end without what is still to be sent
        self.output = 0  # bytes: what is reserved for answers, and what is answered and not sent
        self.unread = 0  # bytes that its pipes keep: of calls, and of answers that nobody has read
        self.unsent_since = now
        self._reserved = 0
        self._unsent = 0
        self.place: Place | None = None
        self._lacking: set[Reason] = set()  # what its client lacks, as far as that has been told
        self._waiting: dict[int, Waiting] = {}
        self._waiting_on: dict[ServerOpen | ServerSession, dict[Waiting, None]] = {}  # the same, by what they are about
        self._steps: list[Step] = []  # the last one is the next
        self._led_to: list[Step] | None = None  # what the step under way leads to
        self._soon: list[Callable[[float], None]] = []
        self._stalled: list[tuple[Chain, int]] = []  # what waits for room, and for how much
        self._cost = 0
        self._lost = False
        self._reaper = server.timers.at(now + UNAUTHENTICATED_FOR, self._reap)

    # --- what the shell calls ---

    def receive_data(self, data: Data, now: float) -> None:
        """Take bytes from the peer; `data` may be used for something else afterwards. What cannot be understood ends
        the connection (`finished`)."""
        if not self._lost and self.finished is None:
            self.core.take(data)
            self._arrived(len(data), now)

    def receive_buffer(self) -> memoryview | None:
        """Where the peer's next bytes are better put than anywhere else; say by `received` how many there are."""
        return self.core.receive_buffer() if not self._lost and self.finished is None else None

    def received(self, count: int, now: float) -> None:
        """So many bytes have been put into `receive_buffer`; as `receive_data`."""
        if not self._lost and self.finished is None:
            self.core.received(count)
            self._arrived(count, now)

    def _arrived(self, count: int, now: float) -> None:
        self.server.now = now
        self.server.service.counters.bytes_received += count
        if self.core.has_frames:
            self.server.has_work(self)
            self.server.run(now)

    def data_to_send(self) -> list[Data]:
        """What there is to send, ready for the transport. Tell it by `sent` how much of it is left."""
        size = self.core.unsent
        data = self.core.data_to_send()
        self.server.service.counters.bytes_sent += size
        if size and not self._unsent:
            self.unsent_since = self.server.now
        self._unsent += size
        return data

    def withdraw(self) -> None:
        """It was never let in."""
        self._lost = True
        self._reaper.cancel()

    def sent(self, left: int, now: float) -> None:
        """So many bytes of `data_to_send` are still in the transport's buffer."""
        self.server.now = now
        if left < self._unsent:
            self.unsent_since = now
        self._unsent = left
        self._recount()

    @property
    def overloaded(self) -> bool:
        """Whether it has brought more than could be begun so far, so that the rest is better left in the kernel."""
        return not self._lost and (self.core.has_frames or bool(self._stalled))

    def connection_lost(self, now: float) -> None:
        """The transport is gone (MS-SMB2 3.3.7.1). May be called twice."""
        if self._lost:
            return
        self._lost = True
        self._reaper.cancel()
        self.logons.clear()
        for waiting in list(self._waiting.values()):
            self._release(waiting)
        self._drop_work()
        self.server.forget_connection(self, now)
        self._recount()
        self.server.run(now)

    # --- steps ---

    @property
    def has_work(self) -> bool:
        """Whether a turn would do something."""
        if self._lost:
            return False
        return bool(self._steps or self._soon or (self.core.has_frames and self._takes_frames))

    @property
    def _takes_frames(self) -> bool:
        return self.finished is None and not self._stalled

    def turn(self, now: float, most: int) -> int:
        """Do steps until they have cost `most`; what they have cost."""
        cost = 0
        while cost < most and not self._lost:
            if self._steps:
                step = self._steps.pop()
            elif self._soon:
                step = self._soon.pop(0)
            elif self.core.has_frames and self._takes_frames:
                step = self._next_frame
            else:
                break
            self._cost = 1
            self._do(step, now)
            cost += self._cost
        return cost

    def _do(self, step: Step, now: float) -> None:
        led_to = self._led_to = []
        try:
            if isinstance(step, Outcoming):
                self._come(step, now)
            else:
                step(now)
        except RemoteProtocolError as error:
            self._steps.extend(led_to)
            led_to.clear()
            self._tell_lacking(error)
            self._fail(str(error))
        finally:
            self._led_to = None
            self._steps.extend(reversed(led_to))
            if self._lost:
                self._drop_work()

    def _add(self, step: Step) -> None:
        """A step for this connection: next, if the step under way leads to it; otherwise after those there are."""
        if self._lost:
            if isinstance(step, Outcoming):
                step.drop()
        elif self._led_to is not None:
            self._led_to.append(step)
        else:
            self._steps.insert(0, step)
            self.server.has_work(self)

    def _drop_work(self) -> None:
        """Nothing more is to be done."""
        steps, self._steps = self._steps, []
        for step in steps:
            if isinstance(step, Outcoming):
                step.drop()
        self._soon.clear()
        self._stalled.clear()
        self.server.has_room_for(self)

    def _tell_lacking(self, error: RemoteProtocolError) -> None:
        self.explained = isinstance(error, Smb1Only | UnprotectedTreeConnect)
        if isinstance(error, Smb1Only):
            self.lacks(Reason.SMB1)
        elif isinstance(error, UnprotectedTreeConnect):
            names = [each.session.user_name for each in self.sessions.values()]
            self.lacks(Reason.UNSIGNED, names[0] if len(names) == 1 else "")

    def _fail(self, why: str) -> None:
        """The peer has done what ends the connection."""
        self._drop_work()
        self.violation = self.finished is None
        self.finish(why)

    def _next_frame(self, now: float) -> None:
        events = self.core.next_events()
        if self.place is not None and (events or (self.place.mute and self.core.negotiated is not None)):
            self.server.admission.progress(self.place, now)
        for event in events:
            self._receive_event(event, now)

    def _receive_event(self, event: WireEvent, now: float) -> None:
        if isinstance(event, RequestsReceived):
            self._cost += sum(request.size for request in event.requests) // _COSTS_ONE
            chain = Chain(event.requests)
            self._add(lambda now: self._advance(chain, now))
        elif isinstance(event, CancelReceived):
            waiting = self._waiting.get(event.message_id)
            if waiting is not None and waiting.cancellable:
                self._resume(waiting, Reply(codes.STATUS_CANCELLED), now, stop=True)

    # --- room for answers ---

    def _recount(self) -> None:
        output = 0 if self._lost else self._reserved + self.core.unsent + self._unsent
        difference, self.output = output - self.output, output
        self.server.output += difference
        if difference < 0:
            if self._stalled:
                self.use_room()
            self.server.use_room()

    def _fits(self, size: int) -> bool:
        """Whether an answer of `size` bytes is within what this connection may have."""
        return not self.output or self.output + size <= self.server.settings.limits.output_per_connection

    def _has_room(self, size: int) -> bool:
        """Whether an answer of `size` bytes may be made."""
        if self.output + size <= self.server.settings.limits.output_always:
            return True
        return self._fits(size) and self.server.has_room(self, size)

    def _stall(self, chain: Chain, size: int) -> None:
        """A chain goes on when there is room for its next answer."""
        self._stalled.append((chain, size))
        if self._fits(size):
            self.server.lacks_room(self)

    def use_room(self) -> bool:
        """Go on with the first chain that waits for room; then it is the turn of other connections. False: there is no
        room for it. The room is taken here, or others would have it before the chain's step comes."""
        if self._stalled and self._fits(self._stalled[0][1]):
            if not self._has_room(self._stalled[0][1]):
                self.server.lacks_room(self)
                return False
            chain, size = self._stalled.pop(0)
            chain.granted = size
            self._reserved += size
            self._recount()
            self._add(lambda now: self._advance(chain, now))
        self.server.has_room_for(self)
        if self._stalled and self._fits(self._stalled[0][1]):
            self.server.lacks_room(self)
        elif self.core.has_frames:
            self.server.has_work(self)
        return True

    def _reserve(self, chain: Chain, size: int) -> None:
        chain.reserved += size
        chain.under_way = size
        self._reserved += size
        self._recount()

    def _give_back(self, chain: Chain, size: int) -> None:
        chain.reserved -= size
        self._reserved -= size
        self._recount()

    def count_unread(self, difference: int) -> None:
        """Its pipes keep so many bytes more, or less."""
        self.unread += difference
        self.server.unread += difference

    @property
    def may_ask_pipes(self) -> bool:
        """Whether there is room for one more question to its pipes, and its answer."""
        limits = self.server.settings.limits
        if self.unread <= limits.output_always:
            return True  # whatever others keep
        return self.unread <= limits.unread_per_connection and self.server.unread <= limits.unread

    # --- chains ---

    def _advance(self, chain: Chain, now: float) -> None:
        """Go on with a chain until it waits, is answered, or others are to have their turn."""
        while chain.index < len(chain.requests):
            request = chain.requests[chain.index]
            pdu = request.pdu
            status = self.core.begin(request)
            size = 0 if status else _answer_size(request.message, self.core)
            granted, chain.granted = chain.granted, 0
            self._reserved -= granted  # it is the chain's from now on
            if size > granted and not self._makes_room(chain, size):
                request.pdu = pdu  # it is judged again when there is room
                self._stall(chain, size)
                return
            self._reserve(chain, size)
            context = Context(self, request, now, file_id=chain.file_id)
            outcome = self._begin(chain, context)
            if self._led_to:
                self._add(Outcoming(chain, context, outcome))
                return
            if not self._settle(chain, context, outcome, now):
                return
            self._cost += 1
            if self._cost >= TURN and chain.index < len(chain.requests):
                self._add(lambda now: self._advance(chain, now))
                return
        self._answer(chain)

    def _makes_room(self, chain: Chain, size: int) -> bool:
        """Whether there is room for an answer of that size, once those before it in the chain have left if need be."""
        # 3.3.4.1.3: one frame of answers is not larger than MaxTransactSize.
        if chain.responses and (chain.reserved + size > self.max_transact_size or not self._has_room(size)):
            self._answer(chain)
        return self._has_room(size)

    def _come(self, step: Outcoming, now: float) -> None:
        """Something has come of a request: keep it, and go on with its chain."""
        step.context.now = now
        outcome = step.outcome() if callable(step.outcome) else step.outcome
        if self._led_to:
            step.outcome = outcome
            self._add(step)
        elif self._settle(step.chain, step.context, outcome, now):
            self._advance(step.chain, now)

    def _answer(self, chain: Chain) -> None:
        """Send the answers that a chain has so far."""
        if chain.responses:
            before = self.core.unsent
            self.core.respond(chain.responses)
            chain.responses = []
            self._cost += (self.core.unsent - before) // _COSTS_ONE
        self._give_back(chain, chain.reserved - chain.under_way)
        self.server.mark_ready(self)

    def _begin(self, chain: Chain, context: Context) -> Outcome:
        """The checks of 3.3.5.2.9 to 3.3.5.2.11 in their order, then the handler."""
        request = context.request
        if request.status:
            if request.status == codes.STATUS_ACCESS_DENIED and not (request.flags & SMB2_FLAGS_SIGNED):
                self._lacks_protection(request)
            return Reply(request.status)
        if not request.related:
            chain.tree_id = request.tree_id
            chain.file_id = context.file_id = chain.failure = 0
            chain.baseless = False
        elif chain.failure and not chain.file_id:
            # 3.3.5.2.7.2: what wants the FileId of a CREATE that failed fails like it.
            # One that goes on from a request on no session at all makes no sense (smb2.compound.invalid2).
            return Reply(codes.STATUS_INVALID_PARAMETER if chain.baseless else chain.failure)
        command = COMMANDS.get(request.command, _NO_HANDLER)
        session = self.sessions.get(request.session_id)  # the one that the request was judged by
        if session is not None and session.session.state is State.CLOSED and not session.closing:
            session = None  # it is ending at this moment, and cancels the requests that wait on it
        if session is not None and not session.closing:
            # 3.3.5.2.8: idle time begins anew with every request whose signature held, an ECHO without session
            # excepted.
            self.server.service.touch(session.session, context.now)
        if command.needs >= Needs.SESSION:
            if session is None:
                chain.baseless = not request.related
                return Reply(codes.STATUS_USER_SESSION_DELETED)
            if (status := self._session_status(session, request, command)) != codes.STATUS_SUCCESS:
                return Reply(status)
            context.session = session
        if command.needs >= Needs.TREE and session is not None and not session.closing:
            context.tree = session.trees.get(chain.tree_id)
            if (
                context.tree is None
                or session.session.tree_connects.get(chain.tree_id) is not context.tree.tree_connect
            ):
                return Reply(codes.STATUS_NETWORK_NAME_DELETED)  # it may be ending at this moment, as a session may
            if context.tree.target.encrypt and not request.encrypted:
                self.lacks(Reason.UNENCRYPTED_SHARE, session.session.user_name)
                return Reply(codes.STATUS_ACCESS_DENIED)  # 3.3.5.2.11
        return command.handler(context, request.message)

    def _lacks_protection(self, request: Request) -> None:
        """A request was denied that is neither signed nor encrypted."""
        session = self.sessions.get(request.session_id)
        if session is not None and not request.encrypted:
            reason = Reason.UNENCRYPTED if session.encrypt else Reason.UNSIGNED
            self.lacks(reason, session.session.user_name)

    def lacks(self, reason: Reason, user_name: str = "") -> None:
        """The client cannot do what is required, or is not set to: say so, once for this connection."""
        if reason not in self._lacking:
            self._lacking.add(reason)
            self.server.service.refuse_logon(self.client_name, user_name, reason, CHOICES[reason])

    def _session_status(self, session: ServerSession, request: Request, command: Command) -> int:
        """3.3.5.2.9 for a session that is there; 0 if the request may go on."""
        if session.closing and request.command != SMB2_READ:
            self.forget(session)
            return codes.STATUS_USER_SESSION_DELETED
        if session.session.state is State.EXPIRED and not command.expired:
            return codes.STATUS_NETWORK_SESSION_EXPIRED
        if session.encrypt and not request.encrypted:
            return codes.STATUS_ACCESS_DENIED
        return codes.STATUS_SUCCESS

    def _settle(self, chain: Chain, context: Context, outcome: Outcome, now: float) -> bool:
        """Keep an answer, or wait for it. Whether the chain can go on."""
        if (
            isinstance(outcome, Park)
            and context.request.command in (SMB2_CHANGE_NOTIFY, SMB2_LOCK)
            and chain.index < len(chain.requests) - 1
        ):
            # 3.3.5.2.7 with note: what may wait for ever must be the last of its compound (smb2.compound.interim2).
            outcome = Reply(codes.STATUS_INTERNAL_ERROR)
        if not isinstance(outcome, Reply):
            self._wait(chain, context, outcome, now)
            return False
        request = context.request
        if outcome.status == codes.STATUS_ACCESS_DENIED and request.command in (SMB2_TREE_CONNECT, SMB2_CREATE):
            # 3.3.5.7 and 3.3.5.9: sts0_permerrors counts who may not connect to a share, and who may not open there.
            self.server.service.counters.permerrors += 1
        chain.responses.append(
            Response(request, outcome.status, outcome.message, session_id=outcome.session_id, tree_id=outcome.tree_id)
        )
        # 3.3.5.2.7.2: ids that an answer brings are those that a related request means.
        chain.tree_id = outcome.tree_id or chain.tree_id
        chain.file_id = context.file_id or chain.file_id
        chain.failure = outcome.status if outcome.status >> 30 == 3 else 0
        chain.under_way = 0
        chain.index += 1
        return True

    # --- requests that wait ---

    def _wait(self, chain: Chain, context: Context, outcome: Perform[Any] | Later | Park, now: float) -> None:
        waiting = Waiting(chain, context, _nothing)
        self._waiting[context.request.message_id] = waiting
        waiting.about = tuple(each for each in (context.opened, context.session) if each is not None)
        for about in waiting.about:
            self._waiting_on.setdefault(about, {})[waiting] = None
        if isinstance(outcome, Park):
            waiting.stop, waiting.cancellable = outcome.cancel, not outcome.brief
            if not outcome.brief:
                # Nobody knows when there will be an answer; what it will be made of is bounded where it is kept.
                self._give_back(chain, chain.under_way)
                chain.under_way = 0
            outcome.start(lambda reply, then: self._resume(waiting, reply, then))
        elif isinstance(outcome, Later):
            proceed = outcome.then
            timer = self.server.timers.at(outcome.at, lambda then: self._resume(waiting, lambda: proceed(then), then))
            waiting.stop = timer.cancel
        else:
            waiting.stop = self.server.perform(self, waiting, outcome)
        # 3.3.4.2: NEGOTIATE and SESSION_SETUP are never told to wait; an interim answer is no part of the hash that
        # protects them, and clients differ about it.
        if context.request.command in (SMB2_NEGOTIATE, SMB2_SESSION_SETUP) or waiting.over:
            return
        if isinstance(outcome, Park) and not (outcome.brief or outcome.soon):
            self._tell_pending(waiting)
        else:
            waiting.pending_timer = self.server.timers.at(now + PENDING_AFTER, lambda then: self._tell_pending(waiting))

    def _tell_pending(self, waiting: Waiting) -> None:
        """STATUS_PENDING for a request; the answers before it leave first, in a frame of their own."""
        if not waiting.over:
            self._answer(waiting.chain)
            self.core.pending(waiting.context.request)
            self.server.mark_ready(self)

    def _resume(
        self, waiting: Waiting, outcome: Outcome | Callable[[], Outcome], now: float, *, stop: bool = False
    ) -> None:
        """Go on with a request that has waited, and with its chain. `stop`: what it waits for is to be taken back."""
        if waiting.over:
            return
        self._release(waiting, stop=stop)
        self._add(Outcoming(waiting.chain, waiting.context, outcome))
        self.server.run(now)

    def completed(self, waiting: Waiting, outcome: Callable[[], Outcome], now: float) -> None:
        """The effect that a request waits for has been performed. What comes of it is taken at once: it may be a file
        that would stay open if its connection were lost before its turn."""
        if waiting.over:
            return
        self._release(waiting, stop=False)
        self._cost = 0
        self._do(Outcoming(waiting.chain, waiting.context, outcome), now)
        self.server.mark_ready(self)
        if self.has_work:
            self.server.has_work(self)

    def _release(self, waiting: Waiting, *, stop: bool = True) -> None:
        """It waits no more."""
        waiting.over = True
        self._waiting.pop(waiting.context.request.message_id, None)
        for about in waiting.about:
            others = self._waiting_on[about]
            del others[waiting]
            if not others:
                del self._waiting_on[about]
        waiting.about = ()
        if waiting.pending_timer is not None:
            waiting.pending_timer.cancel()
        forget, waiting.stop = waiting.stop, _nothing
        if stop:
            forget()

    def _cancel(
        self, about: ServerOpen | ServerSession, now: float, which: Callable[[Waiting], bool] = lambda waiting: True
    ) -> None:
        """3.3.4.17: requests that wait on what has ended are cancelled."""
        for waiting in [waiting for waiting in self._waiting_on.get(about, ()) if which(waiting)]:
            self._resume(waiting, Reply(codes.STATUS_CANCELLED), now, stop=True)

    # --- what the domain tells ---

    def soon(self, action: Callable[[float], None]) -> None:
        """Do it when the answers are made to what is being done."""
        if not self._lost:
            self._soon.append(action)
            self.server.has_work(self)

    def register_open(self, context: Context, path: str, granted_access: int) -> Open:
        """Tell the domain of something opened by a request. Raises LimitReached."""
        return self.server.service.register_open(
            context.wire_session.session,
            context.wire_tree.tree_connect,
            self.server.new_file_id(),
            path,
            granted_access,
            context.now,
        )

    def open_closed(self, opened: Open, reason: Reason, now: float) -> None:
        """3.3.4.17, the wire's part."""
        session = self.sessions.get(opened.session.session_id)
        wire_open = session.opens.get(opened.file_id) if session is not None else None
        if session is None or wire_open is None or wire_open.opened is not opened:
            return
        if wire_open is self.speaking:
            wire_open.closing = True
            return
        # Gone first: what is behind a cancelled request in its chain must not find it any more.
        del session.opens[opened.file_id]
        wire_open.ended(now)
        # I/O that was under way when the client itself closed the file comes to its end.
        self._cancel(wire_open, now, lambda waiting: waiting.cancellable or reason is not Reason.CLOSED)
        wire_open.released()

    def release(self, wire_open: ServerOpen) -> None:
        """Let go of something open; of its session too, if that only lived for its last words."""
        session = self.sessions.get(wire_open.opened.session.session_id)
        if session is None or session.opens.pop(wire_open.opened.file_id, None) is None:
            return
        wire_open.released()
        if session.closing and not session.opens:
            self.forget(session)

    def tree_disconnected(self, tree: TreeConnect) -> None:
        session = self.sessions.get(tree.session.session_id)
        found = session.trees.get(tree.tree_id) if session is not None else None
        if session is not None and found is not None and found.tree_connect is tree:
            del session.trees[tree.tree_id]

    def session_closed(self, session: Session, reason: Reason, now: float) -> None:
        """3.3.4.12, the wire's part. Its opens and tree connects have been told of before."""
        wire_session = self.sessions.get(session.session_id)
        if wire_session is None or wire_session.session is not session:
            return
        self.logons.pop(session.session_id, None)
        speaking = self.speaking
        self._cancel(wire_session, now, lambda waiting: speaking is None or waiting.context.opened is not speaking)
        if wire_session.opens:
            # Only the pipe that is being spoken to can be left: the caller has ended its own session.
            wire_session.closing = True
            wire_session.last_words = self.server.timers.at(now + LINGER, lambda then: self.forget(wire_session))
        else:
            self.forget(wire_session)
        if reason is Reason.IDLE and not self.sessions and not self.logons:
            self.finish("autodisconnect took its last session")

    def forget(self, session: ServerSession) -> None:
        """The wire's last of a session."""
        session_id = session.session.session_id
        if self.sessions.get(session_id) is not session:
            return
        self._cancel(session, self.server.now)
        if self.sessions.pop(session_id, None) is not session:
            return
        if session.last_words is not None:
            session.last_words.cancel()
        for wire_open in session.opens.values():
            wire_open.released()
        session.opens.clear()
        self.core.forget_session(session_id)
        self._named.discard(session_id)
        self.classify()
        if not self.sessions and not self._lost:
            self._reaper = self.server.timers.at(self.server.now + UNAUTHENTICATED_FOR, self._reap)
        self.server.mark_ready(self)

    def established(self, session: ServerSession) -> None:
        """A log-on has succeeded."""
        self._reaper.cancel()
        self.sessions[session.session.session_id] = session
        self.identified(session.session)

    def identified(self, session: Session) -> None:
        """One of its sessions has a user, or another one."""
        if session.anonymous or session.guest:
            self._named.discard(session.session_id)
        elif session.session_id in self.sessions:
            self._named.add(session.session_id)
        self.classify()

    def classify(self) -> None:
        """Tell admission whose sessions there are."""
        if self.place is None or self._lost:
            return
        if not self.sessions:
            standing = Standing.HALF_OPEN
        else:
            standing = Standing.NAMED if self._named else Standing.ANONYMOUS
        self.server.admission.holds(self.place, standing, self.server.now)

    @property
    def waits(self) -> bool:
        """Whether it is not to be read from yet."""
        return self.place is not None and self.place.standing is Standing.WAITING

    def refusal_of_anonymous(self) -> str:
        """Why no null session or guest is let in here; "" if they are."""
        most = self.server.settings.limits.anonymous_sessions_per_connection
        if len(self.sessions) - len(self._named) >= most:
            return f"there are {most} of them on this connection"
        return self.server.admission.refusal_of_anonymous(self.place) if self.place is not None else ""

    def displace(self, why: str) -> None:
        """Another connection gets its place."""
        self.finish(f"it gives way to another one: {why}", at_once=True)

    def finish(self, why: str, *, at_once: bool = False) -> None:
        """End the connection when what has been answered is sent, or at once."""
        self.at_once |= at_once
        if self.finished is None:
            self.finished = why
        self.server.mark_ready(self)

    def _reap(self, now: float) -> None:
        """3.3.6.3: it had no session for too long."""
        self.finish("nobody has logged on")

    # --- what handlers ask ---

    @property
    def dialect_name(self) -> str:
        return _DIALECTS.get(self.core.negotiated.dialect, "") if self.core.negotiated else ""

    @property
    def signing_name(self) -> str:
        """The algorithm that signs here: before 3.0 there is one, in 3.0 and 3.0.2 another, 3.1.1 negotiates it."""
        if self.core.negotiated is None:
            return ""
        if self.core.negotiated.dialect < 0x0300:
            return "HMAC-SHA256"
        return _SIGNING.get(self.core.negotiated.signing_algorithm, "AES-128-CMAC")

    @property
    def encryption_name(self) -> str:
        return _CIPHERS.get(self.core.negotiated.cipher, "") if self.core.negotiated else ""

    @property
    def can_encrypt(self) -> bool:
        return self.core.negotiated is not None and bool(self.core.negotiated.cipher)

    @property
    def max_read_size(self) -> int:
        return self.core.negotiated.max_read_size if self.core.negotiated else 0

    @property
    def max_write_size(self) -> int:
        return self.core.negotiated.max_write_size if self.core.negotiated else 0

    @property
    def max_transact_size(self) -> int:
        return self.core.negotiated.max_transact_size if self.core.negotiated else 0


class ServerDispatch:
    """All connections of the Server, over one ServerService.

    `core` makes the SMB2 core of a new connection; `random(n)` gives unpredictable bytes; `wall_clock` turns a time of
    the Server's clock into seconds since 1970. `failed` is told of an error of ours in a connection's step, which
    costs that connection; without it the error comes out of whatever the shell called.
    """

    def __init__(
        self,
        service: ServerService,
        pipes: Pipes,
        settings: Settings,
        *,
        core: Callable[[bytes], ServerConnection],
        random: Callable[[int], bytes],
        wall_clock: Callable[[float], float],
        mechanisms: Callable[[], Sequence[Mechanism]] = tuple,
        failed: Callable[[ConnectionDispatch, Exception], None] | None = None,
    ) -> None:
        self._mechanisms = mechanisms
        self._failed = failed
        self.service = service
        self.pipes = pipes
        self.settings = settings
        self.random = random
        self.wall_clock = wall_clock
        self.timers = Timers()
        self.throttle = Throttle(random)
        self.admission = Admission(settings.limits)
        self.refusals = Refusals()
        self.connections: dict[int, ConnectionDispatch] = {}
        self.now = 0.0
        self._core = core
        self._connection_ids = count(1)
        self._file_ids = count(1)
        self._tickets = count(1)
        self._performing: dict[int, tuple[ConnectionDispatch, Waiting, Perform[Any]]] = {}
        self._apart: dict[int, Callable[[Any, int, float], None]] = {}
        self._effects: list[tuple[int, Effect[Any]]] = []
        self._abandoned: list[int] = []
        self._ready: dict[ConnectionDispatch, None] = {}
        self.output = 0  # bytes, of all connections
        self.unread = 0  # bytes, of all pipes
        self._fresh: OrderedDict[ConnectionDispatch, None] = OrderedDict()  # have work, and have had no turn yet
        self._left: OrderedDict[ConnectionDispatch, None] = OrderedDict()  # have had a turn, and have more to do
        self._running = False
        self._budget = BUDGET
        self._lacking: OrderedDict[ConnectionDispatch, None] = OrderedDict()  # wait for room, first come first served
        self._eviction: Timer | None = None
        self._watching = False
        self._ipc = PipeShare(pipes)
        self.files = Files(self)
        self.watch = Watch(self)
        self._folders: dict[Share, DiskShare] = {}
        self._hint = self.new_acceptor().hint_token()
        service.attach(self)
        service.subscribe(self._logon_refused, LogonRefused, name="record of refusals")

    # --- what the shell calls ---

    def connect(self, address: str, now: float, *, scarce: bool = False) -> ConnectionDispatch | None:
        """A new connection from that address (an IPv4 or IPv6 address as text), which may have to wait. None: there is
        no room for it. `scarce`: the shell runs out of descriptors, so one that has no session must go for it."""
        self.now = now
        connection = ConnectionDispatch(self, next(self._connection_ids), self._core(self._hint), address, now)
        connection.place = self.admission.arrive(
            connection.network,
            now,
            admitted=lambda: self.mark_ready(connection),
            displaced=connection.displace,
            scarce=scarce,
        )
        if connection.place is None:
            connection.withdraw()
            return None
        self.connections[connection.connection_id] = connection
        self._watch_waiting(now)
        return connection

    def completed(self, ticket: int, result: Any, now: float) -> bool:
        """An effect has been performed, and this came of it. False: nobody waits for it any more, so undo it."""
        if (then := self._apart.pop(ticket, None)) is not None:
            self.now = now
            then(result, codes.STATUS_SUCCESS, now)
            self.run(now)
            return True
        return self._finish_effect(ticket, lambda perform: perform.then(result, now), now)

    def failed(self, ticket: int, status: int, now: float) -> None:
        """An effect could not be performed; `status` is an NTSTATUS."""
        if (then := self._apart.pop(ticket, None)) is not None:
            self.now = now
            then(None, status, now)
            self.run(now)
            return
        self._finish_effect(
            ticket, lambda perform: perform.failed(status, now) if perform.failed else Reply(status), now
        )

    def effects(self) -> list[tuple[int, Effect[Any]]]:
        """The effects to perform, each with the ticket under which its result is awaited. Asking takes them."""
        effects, self._effects = self._effects, []
        return effects

    def abandoned(self) -> list[int]:
        """The tickets whose results nobody waits for any more, so that their effects need not begin. Asking takes them;
        ask after `effects`."""
        abandoned, self._abandoned = self._abandoned, []
        return abandoned

    def source_of(self, ticket: int) -> int | None:
        """The id of the connection that waits for an effect."""
        found = self._performing.get(ticket)
        return found[0].connection_id if found is not None else None

    def ready(self) -> list[ConnectionDispatch]:
        """The connections that may have something to send, or that are to be ended. Asking takes them."""
        ready, self._ready = list(self._ready), {}
        return ready

    def next_deadline(self) -> float | None:
        """When `expire` has something to do; None: never, as things stand. Ask again after anything has changed."""
        deadlines = [at for at in (self.timers.next(), self.service.next_deadline()) if at is not None]
        return min(deadlines, default=None)

    def expire(self, now: float) -> None:
        """What time it is."""
        self.now = now
        self.service.expire(now)
        self.timers.expire(now)
        self.run(now)

    @property
    def busy(self) -> bool:
        """Whether there is work left: `refill` and `run` again, when the loop has done something else."""
        return bool(self._fresh or self._left)

    def refill(self) -> None:
        """The loop has done something else: `run` may go on."""
        self._budget = BUDGET

    def run(self, now: float) -> None:
        """Have the connections take their turns until there is nothing to do or the budget is spent. Those that have
        just got something to do and those that have more to do than one turn alternate."""
        if self._running:
            return
        self._running = True
        try:
            while self._budget > 0 and (self._fresh or self._left):
                for queue in (self._fresh, self._left):
                    if queue:
                        self._turn(queue.popitem(last=False)[0], now)
        finally:
            self._running = False

    def _turn(self, connection: ConnectionDispatch, now: float) -> None:
        try:
            self._budget -= connection.turn(now, TURN)
        except Exception as error:
            if self._failed is None:
                raise
            connection.finish("an error in the server", at_once=True)
            self._failed(connection, error)
        self.mark_ready(connection)
        self._fresh.pop(connection, None)
        if connection.has_work:
            self._left[connection] = None

    # --- what connections and handlers call ---

    def mark_ready(self, connection: ConnectionDispatch) -> None:
        if connection.connection_id in self.connections:
            self._ready[connection] = None

    def has_work(self, connection: ConnectionDispatch) -> None:
        """It has something to do."""
        if connection not in self._left:
            self._fresh[connection] = None

    def has_room(self, connection: ConnectionDispatch, size: int) -> bool:
        """Whether there is room for so many bytes more, and nobody waits who came before."""
        first = next(iter(self._lacking), connection)
        return first is connection and (not self.output or self.output + size <= self.settings.limits.output)

    def lacks_room(self, connection: ConnectionDispatch) -> None:
        """It waits for room. Those who do not read what they asked for go, if that lasts."""
        self._lacking[connection] = None
        if self._eviction is None:
            self._eviction = self.timers.at(self.now + UNREAD_FOR, self._evict)

    @property
    def lacks(self) -> bool:
        """Whether a request waits for room that others take."""
        return bool(self._lacking)

    def has_room_for(self, connection: ConnectionDispatch) -> None:
        """It waits for room no more."""
        self._lacking.pop(connection, None)

    def use_room(self) -> None:
        """There is more room than before: one chain of each connection in turn."""
        while self._lacking and next(iter(self._lacking)).use_room():
            pass

    def _evict(self, now: float) -> None:
        """While some wait for room, those go that have read nothing for long and hold more than everybody may."""
        self._eviction = None
        if not self._lacking:
            return
        least = self.settings.limits.output_always
        for each in list(self.connections.values()):
            if each.output > least and each.unsent_since <= now - UNREAD_FOR:
                each.finish("its peer does not read the answers, and others wait for the memory", at_once=True)
        self._eviction = self.timers.at(now + UNREAD_FOR, self._evict)

    def perform(self, connection: ConnectionDispatch, waiting: Waiting, perform: Perform[Any]) -> Callable[[], None]:
        """Have an effect performed; the result takes that back."""
        ticket = next(self._tickets)
        self._performing[ticket] = connection, waiting, perform
        self._effects.append((ticket, perform.effect))
        return lambda: self._abandon(ticket)

    def perform_apart(self, effect: Effect[T], then: Callable[[T | None, int, float], None] = _no_matter) -> None:
        """Have an effect performed that is no request's: whoever asked may be gone when it is. `then` gets the result
        and STATUS_SUCCESS, or None and why not."""
        ticket = next(self._tickets)
        self._apart[ticket] = then
        self._effects.append((ticket, effect))

    def _abandon(self, ticket: int) -> None:
        if self._performing.pop(ticket, None) is not None:
            self._abandoned.append(ticket)

    def _finish_effect(self, ticket: int, outcome: Callable[[Perform[Any]], Outcome], now: float) -> bool:
        self.now = now
        found = self._performing.pop(ticket, None)
        if found is None:
            return False
        connection, waiting, perform = found
        try:
            connection.completed(waiting, lambda: outcome(perform), now)
        except Exception as error:
            if self._failed is None:
                raise
            connection.finish("an error in the server", at_once=True)
            self._failed(connection, error)
        self.run(now)
        return True

    def _watch_waiting(self, now: float) -> None:
        """While connections wait, look again and again whether they still have to."""
        if self.admission.waiting and not self._watching:
            self._watching = True
            due = now + POLL
            self.timers.at(due, lambda then: self._look_at_waiting(then, then - due))

    def _look_at_waiting(self, now: float, late: float) -> None:
        self._watching = False
        self.admission.lags(late)
        self.admission.pump(now)
        self._watch_waiting(now)

    def forget_connection(self, connection: ConnectionDispatch, now: float) -> None:
        """It is lost: its sessions end, and so does its place among those that have none."""
        self.now = now
        self.service.close_connection(connection.connection_id, Reason.DISCONNECTED)
        for session in list(connection.sessions.values()):
            connection.forget(session)
        self.connections.pop(connection.connection_id, None)
        for queue in (self._ready, self._fresh, self._left, self._lacking):
            queue.pop(connection, None)
        if connection.place is None:
            return
        # Whoever hangs up in order not to wait for a refusal waits all the same: the place stays taken.
        ghost = connection.held_until > now and connection.place.standing is Standing.HALF_OPEN
        self.admission.gone(connection.place, now, ghost=ghost)
        connection.place = None
        if ghost:
            network = connection.network
            self.timers.at(connection.held_until, lambda then: self.admission.exorcise(network, then))

    def new_acceptor(self) -> Acceptor:
        """The server's half of a log-on. Until its accounts have been read there are none."""
        settings = self.settings
        return Acceptor(
            Accounts(),
            server_name=settings.server_name,
            dns_name=settings.dns_name,
            random=self.random,
            allow_anonymous=True,
            allow_guest=settings.guest,
            mechanisms=self._mechanisms(),
        )

    def new_session_id(self) -> int:
        """64 bits that nobody can guess. 0 and -1 are reserved (3.3.5.5.1)."""
        while True:
            session_id = int.from_bytes(self.random(8), "little")
            taken = self.service.session_by_session_id(session_id) is not None
            if session_id not in (0, 0xFFFFFFFFFFFFFFFF) and not taken:
                return session_id

    def new_file_id(self) -> int:
        return next(self._file_ids)

    def target_of(self, share: Share) -> ShareBackend:
        """What stands behind a share."""
        if share.type & 0xFFFF == STYPE_IPC:
            return self._ipc
        if (target := self._folders.get(share)) is None:
            target = self._folders[share] = DiskShare(share, self.files)
        return target

    def first_user_of(self, session: Session) -> tuple[str, str] | None:
        """The name and domain of the user whose log-on a session's keys come from; None: it has none."""
        for connection in self._connections_of(session):
            if (found := connection.sessions.get(session.session_id)) is not None and found.session is session:
                return found.first_user
        return None

    def is_null_share(self, name: str) -> bool:
        """MS-SRVS 3.1.6.18: whether a null session may connect to it."""
        return fold(name) in self.settings.null_shares

    # --- what the domain has this transport let go of ---

    def open_closed(self, opened: Open, reason: Reason) -> None:
        """An open has ended (MS-SMB2 3.3.4.17)."""
        for connection in self._connections_of(opened.session):
            connection.open_closed(opened, reason, self.now)

    def tree_disconnected(self, tree: TreeConnect) -> None:
        """A tree connect has ended."""
        for connection in self._connections_of(tree.session):
            connection.tree_disconnected(tree)

    def session_closed(self, session: Session, reason: Reason) -> None:
        """A session has ended (MS-SMB2 3.3.4.12)."""
        for connection in self._connections_of(session):
            connection.session_closed(session, reason, self.now)

    def session_identified(self, session: Session) -> None:
        """A session has logged on again."""
        for connection in self._connections_of(session):
            connection.identified(session)

    def share_removed(self, share: Share) -> None:
        """A share is no more."""
        self._folders.pop(share, None)

    def _logon_refused(self, event: Event) -> None:
        if isinstance(event, LogonRefused):
            self.refusals.add(event, self.now)

    def _connections_of(self, session: Session) -> list[ConnectionDispatch]:
        return [found for each in session.connection_ids if (found := self.connections.get(each)) is not None]
