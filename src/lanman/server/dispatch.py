"""A request on its way to its handler and an answer on its way back, for every connection of the Server.

One compound chain is answered as one frame, its requests one after the other. When one of them has to wait for I/O,
for a moment or for somebody else, its chain waits with it and all other chains go on. If it waits for long, the
answers before it leave, and it gets its STATUS_PENDING.

What the domain ends, whoever asked for it, comes back here as an event of its one stream: the connection then cancels
the requests that wait on it, lets go of what is open and forgets the session, and nothing else (MS-SMB2 3.3.4.12,
3.3.4.17). An answer that is being made meanwhile still leaves, signed.

The shell gives bytes, results of effects and the time; it takes `ready()` connections with bytes to send, `effects()`
to perform and the `next_deadline()`. Times are the seconds of one clock that only goes forward.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final, Literal, TypeVar

from lanman import codes
from lanman.auth.acceptor import Acceptor, Mechanism
from lanman.auth.accounts import Accounts
from lanman.names import fold
from lanman.server.effects import Effect, Later, Outcome, Park, Perform, Reply
from lanman.server.files.table import Files
from lanman.server.files.target import DiskShare
from lanman.server.handlers import COMMANDS, Command, Needs
from lanman.server.logon import Logon
from lanman.server.pipes import Pipes
from lanman.server.shares import PipeShare
from lanman.server.state import Context, Target, WireOpen, WireSession
from lanman.server.throttle import Throttle, network_of
from lanman.service import (
    STYPE_IPC,
    Event,
    FileClosed,
    Open,
    Reason,
    ServerService,
    Session,
    SessionClosed,
    Share,
    ShareRemoved,
    State,
    TreeConnect,
    TreeDisconnected,
    unc_name,
)
from lanman.smb2.connection import Event as WireEvent
from lanman.smb2.constants import (
    SMB2_CHANGE_NOTIFY,
    SMB2_CREATE,
    SMB2_LOCK,
    SMB2_NEGOTIATE,
    SMB2_READ,
    SMB2_SESSION_SETUP,
    SMB2_TREE_CONNECT,
)
from lanman.smb2.server import CancelReceived, Request, RequestsReceived, Response, ServerConnection
from lanman.wire import Data

# A request that waits is told so after this many seconds; at once if nobody can say how long it will be.
PENDING_AFTER: Final = 0.5

# 3.3.6.3 with note 442: a connection without a session is ended when it is older than this many seconds.
UNAUTHENTICATED_FOR: Final = 45.0

# How long the answer to a call that ended its own session waits on the pipe to be read.
LAST_WORDS_FOR: Final = 5.0

# MS-SMB2 2.2.3.1, 2.2.3.1.2 and 2.2.3.1.7, as people name them.
_DIALECTS: Final = {0x0202: "2.0.2", 0x0210: "2.1", 0x0300: "3.0", 0x0302: "3.0.2", 0x0311: "3.1.1"}
_SIGNING: Final = {0: "HMAC-SHA256", 1: "AES-128-CMAC", 2: "AES-128-GMAC"}
_CIPHERS: Final = {1: "AES-128-CCM", 2: "AES-128-GCM", 3: "AES-256-CCM", 4: "AES-256-GCM"}

_NO_HANDLER: Final = Command(lambda context, message: Reply(codes.STATUS_NOT_SUPPORTED), Needs.TREE)


Encryption = Literal["off", "offered", "required"]

T = TypeVar("T")


def _no_matter(result: Any, status: int, now: float) -> None:
    """Nobody wants to know what came of it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What peers may take before they have said who they are: connections in all and from one address, and log-ons
    under way on one connection."""

    unauthenticated: int = 1024
    unauthenticated_per_address: int = 64
    logons_per_connection: int = 64


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
    limits: Limits = field(default_factory=Limits)


@dataclass(slots=True, eq=False)
class Timer:
    """Something to do at a time, unless it is cancelled before."""

    at: float
    action: Callable[[float], None]
    cancelled: bool = False


class Timers:
    """What is to be done when. Cancelled ones are forgotten when their time comes."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._numbers = count()

    def at(self, at: float, action: Callable[[float], None]) -> Timer:
        timer = Timer(at, action)
        heapq.heappush(self._heap, (at, next(self._numbers), timer))
        return timer

    def next(self) -> float | None:
        while self._heap and self._heap[0][2].cancelled:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def expire(self, now: float) -> None:
        """Do what is due. What this itself puts off, to go on in the next turn of the event loop, is left for that."""
        before = next(self._numbers)
        while (at := self.next()) is not None and at <= now and self._heap[0][1] < before:
            heapq.heappop(self._heap)[2].action(now)


@dataclass(slots=True, eq=False)
class Chain:
    """The requests of one frame, and the answers so far. `file_id` is the one that the next request may mean."""

    requests: list[Request]
    index: int = 0
    responses: list[Response] = field(default_factory=list)
    session_id: int = 0
    tree_id: int = 0
    file_id: int = 0
    failure: int = 0
    baseless: bool = False


@dataclass(slots=True, eq=False)
class Waiting:
    """A request that has to wait. `stop` takes back what it waits for; `cancellable` says that its client may do so."""

    chain: Chain
    context: Context
    stop: Callable[[], None]
    cancellable: bool = False
    pending_timer: Timer | None = None
    over: bool = False


class ConnectionDispatch:
    """One connection: its sessions, its log-ons under way, its requests that wait."""

    def __init__(
        self, server: ServerDispatch, connection_id: int, core: ServerConnection, address: str, now: float
    ) -> None:
        self.server = server
        self.connection_id = connection_id
        self.core = core
        self.address = address
        self.network = network_of(address)
        self.client_name = unc_name(address)
        self.sessions: dict[int, WireSession] = {}
        self.logons: dict[int, Logon] = {}
        self.speaking: WireOpen | None = None  # the pipe that a call is being made on by a WRITE, while it is
        self.held_until = now  # until when a refused log-on counts against the limits, even if its peer has gone
        self.finished: str | None = None  # why the shell is to end it, once all is sent
        self._waiting: dict[int, Waiting] = {}
        self._soon: deque[Callable[[float], None]] = deque()
        self._busy = False
        self._lost = False
        self._reaper = server.timers.at(now + UNAUTHENTICATED_FOR, self._reap)

    # --- what the shell calls ---

    def receive_data(self, data: Data, now: float) -> None:
        """Take bytes from the peer. Raises RemoteProtocolError: the connection is dead."""
        self.server.now = now
        self.server.service.statistics.bytes_received += len(data)
        self._enter(lambda: self._receive(self.core.receive_data(data), now), now)

    def received(self, count: int, now: float) -> None:
        """So many octets were put where the core wants the rest of a frame (`core.receive_buffer`)."""
        self.server.now = now
        self.server.service.statistics.bytes_received += count
        self._enter(lambda: self._receive(self.core.received(count), now), now)

    def data_to_send(self) -> list[Data]:
        """What there is to send, ready for the transport."""
        data = self.core.data_to_send()
        self.server.service.statistics.bytes_sent += sum(map(len, data))
        return data

    def connection_lost(self, now: float) -> None:
        """The transport is gone (MS-SMB2 3.3.7.1). May be called twice."""
        if self._lost:
            return
        self._lost = True
        self._reaper.cancelled = True
        self.logons.clear()
        for waiting in list(self._waiting.values()):
            self._release(waiting)
        self._soon.clear()
        self.server.forget_connection(self, now)

    # --- what the core tells ---

    def _enter(self, work: Callable[[], None], now: float) -> None:
        """Work on this connection, then do what was put off until the answers were made."""
        if self._lost:
            return
        if self._busy:
            work()
            return
        self._busy = True
        try:
            work()
            while self._soon:
                self._soon.popleft()(now)
        finally:
            self._busy = False
            self.server.mark_ready(self)

    def _receive(self, events: list[WireEvent], now: float) -> None:
        for event in events:
            if self.finished is None:
                self._receive_event(event, now)

    def _receive_event(self, event: WireEvent, now: float) -> None:
        if isinstance(event, RequestsReceived):
            self._advance(Chain(event.requests), now)
        elif isinstance(event, CancelReceived):
            waiting = self._waiting.get(event.message_id)
            if waiting is not None and waiting.cancellable:
                self._resume(waiting, Reply(codes.STATUS_CANCELLED), now, stop=True)

    # --- chains ---

    def _advance(self, chain: Chain, now: float) -> None:
        """Go on with a chain until it waits or is answered."""
        while chain.index < len(chain.requests):
            request = chain.requests[chain.index]
            context = Context(self, request, now, file_id=chain.file_id)
            outcome = self._begin(chain, context)
            if not self._settle(chain, context, outcome, now):
                return
        self._answer(chain)

    def _answer(self, chain: Chain) -> None:
        """Send the answers that a chain has so far."""
        if chain.responses:
            self.core.respond(chain.responses)
            chain.responses = []

    def _begin(self, chain: Chain, context: Context) -> Outcome:
        """The checks of 3.3.5.2.9 to 3.3.5.2.11 in their order, then the handler."""
        request = context.request
        if request.status:
            return Reply(request.status)
        if not request.related:
            chain.session_id, chain.tree_id = request.session_id, request.tree_id
            chain.file_id = context.file_id = chain.failure = 0
            chain.baseless = False
        elif chain.failure and not chain.file_id:
            # 3.3.5.2.7.2: what wants the FileId of a CREATE that failed fails like it.
            # One that goes on from a request on no session at all makes no sense (smb2.compound.invalid2).
            return Reply(codes.STATUS_INVALID_PARAMETER if chain.baseless else chain.failure)
        command = COMMANDS.get(request.command, _NO_HANDLER)
        session = self.sessions.get(chain.session_id)
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
                return Reply(codes.STATUS_ACCESS_DENIED)  # 3.3.5.2.11
        return command.handler(context, request.message)

    def _session_status(self, session: WireSession, request: Request, command: Command) -> int:
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
            self.server.service.statistics.permerrors += 1
        chain.responses.append(
            Response(request, outcome.status, outcome.message, session_id=outcome.session_id, tree_id=outcome.tree_id)
        )
        # 3.3.5.2.7.2: ids that an answer brings are those that a related request means.
        chain.session_id = outcome.session_id or chain.session_id
        chain.tree_id = outcome.tree_id or chain.tree_id
        chain.file_id = context.file_id or chain.file_id
        chain.failure = outcome.status if outcome.status >> 30 == 3 else 0
        chain.index += 1
        return True

    # --- requests that wait ---

    def _wait(self, chain: Chain, context: Context, outcome: Perform[Any] | Later | Park, now: float) -> None:
        waiting = Waiting(chain, context, lambda: None)
        self._waiting[context.request.message_id] = waiting
        if isinstance(outcome, Park):
            waiting.stop, waiting.cancellable = outcome.cancel, not outcome.brief
            outcome.start(lambda reply, then: self._resume(waiting, reply, then))
        elif isinstance(outcome, Later):
            proceed = outcome.then
            timer = self.server.timers.at(outcome.at, lambda then: self._resume(waiting, lambda: proceed(then), then))
            waiting.stop = lambda: setattr(timer, "cancelled", True)
        else:
            waiting.stop = self.server.perform(self, waiting, outcome)
        # 3.3.4.2: NEGOTIATE and SESSION_SETUP are never told to wait; an interim answer is no part of the hash that
        # protects them, and clients differ about it.
        if context.request.command in (SMB2_NEGOTIATE, SMB2_SESSION_SETUP) or waiting.over:
            return
        if isinstance(outcome, Park) and not outcome.brief:
            self._tell_pending(waiting)
        else:
            waiting.pending_timer = self.server.timers.at(
                now + PENDING_AFTER, lambda then: self._enter(lambda: self._tell_pending(waiting), then)
            )

    def _tell_pending(self, waiting: Waiting) -> None:
        """STATUS_PENDING for a request; the answers before it leave first, in a frame of their own."""
        if not waiting.over:
            self._answer(waiting.chain)
            self.core.pending(waiting.context.request)

    def _resume(
        self, waiting: Waiting, outcome: Outcome | Callable[[], Outcome], now: float, *, stop: bool = False
    ) -> None:
        """Go on with a request that has waited, and with its chain. `stop`: what it waits for is to be taken back."""
        if waiting.over:
            return
        self._release(waiting, stop=stop)

        def proceed() -> None:
            waiting.context.now = now
            result = outcome() if callable(outcome) else outcome
            if self._settle(waiting.chain, waiting.context, result, now):
                self._advance(waiting.chain, now)

        self._enter(proceed, now)

    def completed(self, waiting: Waiting, outcome: Callable[[], Outcome], now: float) -> None:
        """The effect that a request waits for has been performed."""
        self._resume(waiting, outcome, now)

    def _release(self, waiting: Waiting, *, stop: bool = True) -> None:
        """It waits no more."""
        waiting.over = True
        self._waiting.pop(waiting.context.request.message_id, None)
        if waiting.pending_timer is not None:
            waiting.pending_timer.cancelled = True
        if stop:
            waiting.stop()

    def _cancel(self, which: Callable[[Waiting], bool], now: float) -> None:
        """3.3.4.17: requests that wait on what has ended are cancelled."""
        for waiting in [waiting for waiting in self._waiting.values() if which(waiting)]:
            self._resume(waiting, Reply(codes.STATUS_CANCELLED), now, stop=True)

    # --- what the domain tells ---

    def soon(self, action: Callable[[float], None]) -> None:
        """Do it when the answers to what has arrived are made."""
        self._soon.append(action)

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
        self._cancel(
            lambda waiting: (
                waiting.context.opened is wire_open and (waiting.cancellable or reason is not Reason.CLOSED)
            ),
            now,
        )
        wire_open.released()

    def release(self, wire_open: WireOpen) -> None:
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
        self._cancel(
            lambda waiting: (
                waiting.context.session is wire_session and (speaking is None or waiting.context.opened is not speaking)
            ),
            now,
        )
        if wire_session.opens:
            # Only the pipe that is being spoken to can be left: the caller has ended its own session.
            wire_session.closing = True
            self.server.timers.at(now + LAST_WORDS_FOR, lambda then: self.forget(wire_session))
        else:
            self.forget(wire_session)
        if reason is Reason.IDLE and not self.sessions and not self.logons:
            self.finish("autodisconnect took its last session")

    def forget(self, session: WireSession) -> None:
        """The wire's last of a session."""
        session_id = session.session.session_id
        if self.sessions.get(session_id) is not session:
            return
        self._cancel(lambda waiting: waiting.context.session is session, self.server.now)
        if self.sessions.pop(session_id, None) is not session:
            return
        for wire_open in session.opens.values():
            wire_open.released()
        session.opens.clear()
        self.core.forget_session(session_id)
        if not self.sessions and not self._lost:
            self.server.count_unauthenticated(self.address, 1)
            self._reaper = self.server.timers.at(self.server.now + UNAUTHENTICATED_FOR, self._reap)
        self.server.mark_ready(self)

    def established(self, session: WireSession) -> None:
        """A log-on has succeeded."""
        if not self.sessions:
            self.server.count_unauthenticated(self.address, -1)
            self._reaper.cancelled = True
        self.sessions[session.session.session_id] = session

    def finish(self, why: str) -> None:
        """End the connection when what has been answered is sent."""
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
    the Server's clock into seconds since 1970.
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
    ) -> None:
        self._mechanisms = mechanisms
        self.service = service
        self.pipes = pipes
        self.settings = settings
        self.random = random
        self.wall_clock = wall_clock
        self.timers = Timers()
        self.throttle = Throttle(random)
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
        self._unauthenticated = 0
        self._unauthenticated_of: dict[str, int] = {}
        self._ipc = PipeShare(pipes)
        self.files = Files(self)
        self._folders: dict[Share, DiskShare] = {}
        self._hint = self.new_acceptor().hint_token()
        service.listen(self._heard)

    # --- what the shell calls ---

    def connect(self, address: str, now: float) -> ConnectionDispatch | None:
        """A new connection from that address (an IPv4 or IPv6 address as text). None: it is not let in."""
        self.now = now
        limits = self.settings.limits
        if (
            self._unauthenticated >= limits.unauthenticated
            or self._unauthenticated_of.get(address, 0) >= limits.unauthenticated_per_address
        ):
            return None
        connection = ConnectionDispatch(self, next(self._connection_ids), self._core(self._hint), address, now)
        self.connections[connection.connection_id] = connection
        self.count_unauthenticated(address, 1)
        return connection

    def completed(self, ticket: int, result: Any, now: float) -> bool:
        """An effect has been performed, and this came of it. False: nobody waits for it any more, so undo it."""
        if (then := self._apart.pop(ticket, None)) is not None:
            self.now = now
            then(result, codes.STATUS_SUCCESS, now)
            return True
        return self._finish_effect(ticket, lambda perform: perform.then(result, now), now)

    def failed(self, ticket: int, status: int, now: float) -> None:
        """An effect could not be performed; `status` is an NTSTATUS."""
        if (then := self._apart.pop(ticket, None)) is not None:
            self.now = now
            then(None, status, now)
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

    # --- what connections and handlers call ---

    def mark_ready(self, connection: ConnectionDispatch) -> None:
        self._ready[connection] = None

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
        connection.completed(waiting, lambda: outcome(perform), now)
        return True

    def count_unauthenticated(self, address: str, difference: int) -> None:
        """One more or one less connection of that address that has no session."""
        self._unauthenticated += difference
        left = self._unauthenticated_of.get(address, 0) + difference
        if left:
            self._unauthenticated_of[address] = left
        else:
            del self._unauthenticated_of[address]

    def forget_connection(self, connection: ConnectionDispatch, now: float) -> None:
        """It is lost: its sessions end, and so does its place among those that have none."""
        self.now = now
        had_sessions = bool(connection.sessions)
        self.service.close_connection(connection.connection_id, Reason.DISCONNECTED)
        for session in list(connection.sessions.values()):
            connection.forget(session)
        self.connections.pop(connection.connection_id, None)
        self._ready.pop(connection, None)
        if had_sessions:
            return
        if connection.held_until > now:
            # Whoever hangs up in order not to wait for a refusal waits all the same: the place stays taken.
            self.timers.at(connection.held_until, lambda then: self.count_unauthenticated(connection.address, -1))
        else:
            self.count_unauthenticated(connection.address, -1)

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

    def target_of(self, share: Share) -> Target:
        """What stands behind a share."""
        if share.type & 0xFFFF == STYPE_IPC:
            return self._ipc
        if (target := self._folders.get(share)) is None:
            target = self._folders[share] = DiskShare(share, self.files)
        return target

    def is_null_share(self, name: str) -> bool:
        """MS-SRVS 3.1.6.18: whether a null session may connect to it."""
        return fold(name) in self.settings.null_shares

    def _heard(self, event: Event) -> None:
        """The domain's stream of events."""
        if isinstance(event, FileClosed):
            for connection in self._connections_of(event.open.session):
                connection.open_closed(event.open, event.reason, self.now)
        elif isinstance(event, TreeDisconnected):
            for connection in self._connections_of(event.tree_connect.session):
                connection.tree_disconnected(event.tree_connect)
        elif isinstance(event, ShareRemoved):
            self._folders.pop(event.share, None)
        elif isinstance(event, SessionClosed):
            for connection in self._connections_of(event.session):
                connection.session_closed(event.session, event.reason, self.now)

    def _connections_of(self, session: Session) -> list[ConnectionDispatch]:
        return [found for each in session.connection_ids if (found := self.connections.get(each)) is not None]
