"""Connections and the Server: what a request is judged by, and what has to follow when something ends.

`requests` carries the requests of a connection to their handlers and back, and `scheduler` says when. Here is what that
is about: which session, tree connect and rights a request has (3.3.5.2.9 to 3.3.5.2.11), which sessions a connection is
a channel of, and whether it may stay. `sessions` has the sessions themselves and what is open.

What the domain ends, whoever asked for it, it has `sessions` end: the connections then cancel the requests that wait on
it, the open is released, the session forgotten, and nothing else (MS-SMB2 3.3.4.12, 3.3.4.17). An answer that is being
made meanwhile still leaves, signed.

The shell gives bytes, results of effects and the time; it takes `ready()` connections with bytes to send, the
scheduler's `effects()` to perform and the `next_deadline()`. Times are the seconds of one clock that only goes forward.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from sys import intern
from typing import Final

from lanman import codes
from lanman.auth.acceptor import Acceptor, Mechanism
from lanman.auth.accounts import Accounts
from lanman.domain import (
    STYPE_IPC,
    Connection,
    Event,
    LogonRefused,
    Reason,
    ServerService,
    Session,
    Share,
    State,
)
from lanman.errors import RemoteProtocolError
from lanman.few import NOTHING, with_one, without
from lanman.names import fold, unc_client
from lanman.server.admission import POLL, Admission, Place, Standing
from lanman.server.effects import Outcome, Reply
from lanman.server.ending import Ends
from lanman.server.files.backend import DiskShare
from lanman.server.files.leases import Leases
from lanman.server.files.table import Files
from lanman.server.handlers import COMMANDS, Command, Needs
from lanman.server.judging import Judging
from lanman.server.pipes import Pipes
from lanman.server.refusals import CHOICES, Refusals
from lanman.server.requests import Chain, Requests
from lanman.server.resources import ResourceLimits
from lanman.server.room import Room
from lanman.server.scheduler import Scheduler
from lanman.server.sessions import SessionTable
from lanman.server.shares import PipeShare
from lanman.server.state import Context, Logon, ServerSession, ShareBackend
from lanman.server.throttle import Throttle, network_of
from lanman.server.timers import Timer
from lanman.server.watch import Watch
from lanman.settings import Configuration, RunningSettings
from lanman.smb2.connection import Event as WireEvent
from lanman.smb2.constants import SMB2_CREATE, SMB2_FLAGS_SIGNED, SMB2_READ, SMB2_TREE_CONNECT
from lanman.smb2.messages import CreateRequest, TreeConnectRequest
from lanman.smb2.server import Request, ServerConnection, Smb1Only, UnprotectedTreeConnect
from lanman.smb2.session import SessionKeys
from lanman.wire import Data

# 3.3.6.3 with note 442: a connection without a session is ended when it is older than this many seconds.
UNAUTHENTICATED_FOR: Final = 45.0

# 2.1: SMB over TCP.
SMB_PORT: Final = 445

# MS-SMB2 2.2.3.1, 2.2.3.1.2 and 2.2.3.1.7, as people name them.
_DIALECTS: Final = {0x0202: "2.0.2", 0x0210: "2.1", 0x0300: "3.0", 0x0302: "3.0.2", 0x0311: "3.1.1"}
_SIGNING: Final = {0: "HMAC-SHA256", 1: "AES-128-CMAC", 2: "AES-128-GMAC"}
_CIPHERS: Final = {1: "AES-128-CCM", 2: "AES-128-GCM", 3: "AES-256-CCM", 4: "AES-256-GCM"}

# The accounts of a log-on before they have been read for it. Nobody changes them.
_NOBODY: Final = Accounts()

_NO_HANDLER: Final = Command(lambda context, message: Reply(codes.STATUS_NOT_SUPPORTED), Needs.TREE)


def party_of(shares_as: str) -> str:
    """The name under which a user's connections take turns, which is no network's; one object for thousands."""
    return intern(f"user {shares_as}")


def _not_at_once() -> Accounts | None:
    return None


class ConnectionDispatch(Requests):
    """One connection: its channels, its log-ons under way, and its requests."""

    # Without a dict of its own an idle connection takes 1 KiB less; tests put things of theirs into one.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "_lacking",
        "_nameless",
        "_reaper",
        "address",
        "at_once",
        "channels",
        "explained",
        "held_until",
        "logons",
        "network",
        "place",
        "server",
        "unread",
    )

    def __init__(
        self, server: ServerDispatch, connection_id: int, core: ServerConnection, address: str, now: float
    ) -> None:
        self.network = network_of(address)
        super().__init__(connection_id, core, server.scheduler, server.room, self.network, now)
        self.server = server
        self.address = address
        self.channels: Mapping[int, ServerSession] = NOTHING  # its sessions, by their ids
        self.traffic = Connection(connection_id, address)
        self.logons: Mapping[int, Logon] = NOTHING
        self._nameless: Mapping[int, Session] = NOTHING  # its null sessions and guests', which few connections have
        self.held_until = now  # until when a refused log-on counts against the limits, even if its peer has gone
        self.explained = False  # whether the log has been told already why, in words that name the remedy
        self.at_once = False  # whether it is to end without what is still to be sent
        self.unread = 0  # bytes that its pipes keep: of calls, and of answers that nobody has read
        self.place: Place | None = None
        self._lacking: tuple[Reason, ...] = ()  # what its client lacks, as far as that has been told; a set takes more
        self._reaper: Timer | None = server.scheduler.timers.at(now + UNAUTHENTICATED_FOR, self._reap)

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
        scheduler = self._scheduler
        scheduler.now = now
        self.server.service.counters.bytes_received += count
        self.traffic.bytes_received += count
        if self.core.arrived:
            scheduler.serve(self, now)

    def data_to_send(self) -> list[Data]:
        """What there is to send, ready for the transport. Tell it by `sent` how much of it is left."""
        size = self.core.unsent
        if size:
            self.server.service.counters.bytes_sent += size
            self.traffic.bytes_sent += size
            if not self._unsent:
                self.unsent_since = self._scheduler.now
            self._unsent += size
        return self.core.data_to_send()

    def withdraw(self) -> None:
        """Drop a connection that admission did not accept."""
        self._lost = True
        self._spare()

    def connection_lost(self, now: float) -> None:
        """The transport is gone (MS-SMB2 3.3.7.1). May be called twice."""
        if self._lost:
            return
        self._spare()
        self.logons = NOTHING
        self.lose()
        self.server.forget_connection(self, now)
        self.recount()
        self._scheduler.run(now)

    # --- what becomes of its requests ---

    def mark_ready(self) -> None:
        """There may be something to send, or to be ended."""
        if not self._lost:
            self.server.to_look_at[self] = None

    def fail(self, error: Exception) -> None:
        """An error of ours costs this connection, and no other."""
        self.server.connection_failed(self, error)

    def frame_begins(self, events: list[WireEvent], now: float) -> None:
        """Admission is told that the peer gets on."""
        if self.place is not None and (events or (self.place.mute and self.core.negotiated is not None)):
            self.server.admission.progress(self.place, now)

    def explain(self, error: RemoteProtocolError) -> None:
        """The peer has broken the rules; some do because they lack what is required."""
        self.explained = isinstance(error, Smb1Only | UnprotectedTreeConnect)
        if isinstance(error, Smb1Only):
            self.lacks(Reason.SMB1)
        elif isinstance(error, UnprotectedTreeConnect):
            names = [each.session.user_name for each in self.channels.values()]
            self.lacks(Reason.UNSIGNED, names[0] if len(names) == 1 else "")

    def new_context(self, request: Request, now: float, file_id: int) -> Context:
        """What the handler of a request is to know."""
        return Context(self, request, now, file_id=file_id)

    def answered(self, context: Context, reply: Reply) -> None:
        """3.3.5.7 and 3.3.5.9: sts0_permerrors counts who may not connect to a share, and who may not open there."""
        if context.era is not None:
            context.era.outstanding -= 1
            context.era = None
        request = context.request
        if reply.status != codes.STATUS_ACCESS_DENIED or request.command not in (SMB2_TREE_CONNECT, SMB2_CREATE):
            return
        share = path = ""
        if isinstance(request.message, TreeConnectRequest):
            share = request.message.path.rpartition("\\")[2]
        elif isinstance(request.message, CreateRequest):
            path = request.message.name
            share = context.tree.tree_connect.share.name if context.tree is not None else ""
        self.server.service.deny_access(context.session.session if context.session is not None else None, share, path)

    def count_unread(self, difference: int) -> None:
        """Its pipes keep so many bytes more, or less."""
        self.unread += difference
        self.server.room.pipes.count(self.party, difference)

    @property
    def may_ask_pipes(self) -> bool:
        """Whether there is room for one more question to its pipes, and its answer."""
        limits = self.server.resources
        if self.unread <= limits.output_always:
            return True  # whatever others keep
        return self.unread <= limits.unread_per_connection and self.server.room.has_room_for_pipes(self.party)

    def session_keys(self, request: Request) -> SessionKeys | None:
        """The keys of the session that a request names, if this connection is no channel of it: it may ask to be."""
        found = None if request.session_id in self.channels else self.server.sessions.by_id(request.session_id)
        return found.keys if found is not None else None

    def begin(self, chain: Chain, context: Context) -> Outcome:
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
        session = self.channels.get(request.session_id)  # the one that the request was judged by
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
            if context.tree.backend.encrypt and not request.encrypted:
                self.lacks(Reason.UNENCRYPTED_SHARE, session.session.user_name)
                return Reply(codes.STATUS_ACCESS_DENIED)  # 3.3.5.2.11
        judging = self.server.judging
        if judging.alert and session is not None and not judging.may_use(session, context.tree):
            # What comes next, when its turn has come: its tree connect is to end, or the session with all that it has.
            return Reply(
                codes.STATUS_USER_SESSION_DELETED
                if context.tree is None or session.has_ended
                else codes.STATUS_NETWORK_NAME_DELETED
            )
        return command.handler(context, request.message)

    def _lacks_protection(self, request: Request) -> None:
        """A request was denied that is neither signed nor encrypted."""
        session = self.channels.get(request.session_id)
        if session is not None and not request.encrypted:
            reason = Reason.UNENCRYPTED if session.encrypt else Reason.UNSIGNED
            self.lacks(reason, session.session.user_name)

    def lacks(self, reason: Reason, user_name: str = "") -> None:
        """The client cannot do what is required, or is not set to: say so, once for this connection."""
        if reason not in self._lacking:
            self._lacking += (reason,)
            self.server.service.refuse_logon(self.client_name, user_name, reason, CHOICES[reason])

    def _session_status(self, session: ServerSession, request: Request, command: Command) -> int:
        """3.3.5.2.9 for a session that is there; 0 if the request may go on."""
        if session.closing and request.command != SMB2_READ:
            self.server.sessions.forget(session)
            return codes.STATUS_USER_SESSION_DELETED
        if session.session.state is State.EXPIRED and not command.expired:
            return codes.STATUS_NETWORK_SESSION_EXPIRED
        if session.encrypt and not request.encrypted:
            return codes.STATUS_ACCESS_DENIED
        return codes.STATUS_SUCCESS

    # --- what the domain tells ---

    def channel_begun(self, session: ServerSession) -> None:
        """A log-on has succeeded, or has bound it to a session."""
        self._spare()
        self.traffic.signing = self.signing_name
        self.channels = with_one(self.channels, session.session.session_id, session)
        self.identified(session.session)

    def channel_ended(self, session: ServerSession) -> None:
        """Nothing of a session is left on this connection, which stays."""
        session_id = session.session.session_id
        if self.channels.get(session_id) is not session:
            return
        self.channels = without(self.channels, session_id)
        self._nameless = without(self._nameless, session_id)
        self.core.forget_session(session_id)
        self.classify()
        if not self.channels:
            self._work_for(self.network)
        if not self.channels and not self._lost:
            self._reaper = self._scheduler.timers.at(self._scheduler.now + UNAUTHENTICATED_FOR, self._reap)
        self.mark_ready()

    def identified(self, session: Session) -> None:
        """One of its sessions has a user, or another one."""
        session_id = session.session_id
        if not (session.anonymous or session.guest):
            self._work_for(party_of(session.shares_as))  # as whoever logged on last
            self._nameless = without(self._nameless, session_id)
        elif session_id in self.channels:
            self._nameless = with_one(self._nameless, session_id, session)
        self.classify()

    def classify(self) -> None:
        """Tell admission whose sessions there are."""
        if self.place is None or self._lost:
            return
        if not self.channels:
            standing = Standing.HALF_OPEN
        else:
            standing = Standing.NAMED if len(self._nameless) < len(self.channels) else Standing.ANONYMOUS
        self.server.admission.holds(self.place, standing, self._scheduler.now)

    @property
    def waits(self) -> bool:
        """Whether it is not to be read from yet."""
        return self.place is not None and self.place.standing is Standing.WAITING

    def refusal_of_anonymous(self) -> str:
        """Why null sessions and guests are refused here; "" if they are not."""
        most = self.server.resources.anonymous_sessions_per_connection
        if len(self._nameless) >= most:
            return f"there are {most} of them on this connection"
        return self.server.admission.refusal_of_anonymous(self.place) if self.place is not None else ""

    def refusal_of_user(self, user_name: str) -> str:
        """Why nobody may log on here by that name, who is no guest; "" if they may."""
        party = party_of(fold(user_name))
        most = self.server.configuration.limits.connections
        most -= most // 5
        if party == self.party or self.server.connections_of.get(party, 0) < most:
            return ""
        return f"this user has {most} connections, four fifths of [limits] connections"

    def _work_for(self, party: str) -> None:
        """From now on it takes that one's turns, and counts for it if it is a user."""
        if party == self.party:
            return
        counted = self.server.connections_of
        if self.party is not self.network:
            counted[self.party] -= 1
            if not counted[self.party]:
                del counted[self.party]
        if party is not self.network:
            counted[party] = counted.get(party, 0) + 1
        self.server.room.pipes.move(self.party, party, self.unread)
        self.server.room.change_party(self, party, self._beyond)

    @property
    def unheard(self) -> bool:
        """Whether a whole frame has come that has not had its turn yet."""
        return self.core.has_frames

    def displace(self, why: str) -> None:
        """Another connection gets its place."""
        self.finish(f"it gives way to another one: {why}", at_once=True)

    def finish(self, why: str, *, at_once: bool = False) -> None:
        """End the connection when what has been answered is sent, or at once."""
        self.at_once |= at_once
        if self.finished is None:
            self.finished = why
        self.mark_ready()

    def _spare(self) -> None:
        """It is not to be ended for having no session."""
        if self._reaper is not None:
            self._reaper.cancel()
            self._reaper = None

    def _reap(self, now: float) -> None:
        """3.3.6.3: it had no session for too long."""
        self.finish("nobody has logged on")

    # --- what handlers ask ---

    @property
    def client_name(self) -> str:
        """The client, as sessions name it."""
        return unc_client(self.address)

    @property
    def dialect_name(self) -> str:
        """The dialect as people name it, as "3.1.1"; "" before NEGOTIATE."""
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
        """The cipher that encrypts here, as "AES-128-GCM"; "": none."""
        return _CIPHERS.get(self.core.negotiated.cipher, "") if self.core.negotiated else ""

    @property
    def can_encrypt(self) -> bool:
        """Whether a cipher has been negotiated."""
        return self.core.negotiated is not None and bool(self.core.negotiated.cipher)

    @property
    def max_read_size(self) -> int:
        """Connection.MaxReadSize (MS-SMB2 3.3.1.7), in bytes; 0 before NEGOTIATE."""
        return self.core.negotiated.max_read_size if self.core.negotiated else 0

    @property
    def max_write_size(self) -> int:
        """Connection.MaxWriteSize (MS-SMB2 3.3.1.7), in bytes; 0 before NEGOTIATE."""
        return self.core.negotiated.max_write_size if self.core.negotiated else 0

    @property
    def max_transact_size(self) -> int:
        """Connection.MaxTransactSize (MS-SMB2 3.3.1.7), in bytes; 0 before NEGOTIATE."""
        return self.core.negotiated.max_transact_size if self.core.negotiated else 0


class ServerDispatch:
    """All connections of the Server, over one ServerService.

    `core` makes the SMB2 core of a new connection; `random(n)` gives unpredictable bytes; `wall_clock` turns a time of
    the Server's clock into seconds since 1970. `failed` is told of an error of ours: in a connection's step, which
    costs that connection, or in a task, which is no connection's. Without it the error comes out of what the shell
    called.
    """

    def __init__(
        self,
        service: ServerService,
        pipes: Pipes,
        settings: RunningSettings,
        *,
        core: Callable[[bytes], ServerConnection],
        random: Callable[[int], bytes],
        wall_clock: Callable[[float], float],
        mechanisms: Callable[[], Sequence[Mechanism]] = tuple,
        dns_name: str = "",
        resources: ResourceLimits | None = None,
        failed: Callable[[ConnectionDispatch | None, Exception], None] | None = None,
    ) -> None:
        self._mechanisms = mechanisms
        self._failed = failed
        self.service = service
        self.pipes = pipes
        self.settings = settings
        self.resources = resources or ResourceLimits()
        self.dns_name = dns_name
        self.port = 0  # the Server's; the shell knows it when it listens
        # The accounts as they are now, where that takes no effect; None: it takes a ReadAccounts. The shell knows.
        self.accounts_at_once: Callable[[], Accounts | None] = _not_at_once
        self.random = random
        self.wall_clock = wall_clock
        self.scheduler = Scheduler(None if failed is None else lambda error: failed(None, error))
        self.connections: dict[int, ConnectionDispatch] = {}
        self.connections_of: dict[str, int] = {}  # how many have a session of a user, by the name of its turns
        self.room = Room(self.scheduler, lambda: self.resources, self.connections.values, service.portions)
        self.throttle = Throttle(random)
        self.admission = Admission(settings)
        self.refusals = Refusals()
        self._core = core
        self._connection_ids = count(1)
        self.to_look_at: dict[ConnectionDispatch, None] = {}  # what `ready` gives: connections put themselves in
        self._watching = False
        self._ipc = PipeShare(pipes, settings, service.portions)
        self.sessions = SessionTable(service, self.scheduler, self._share_removed)
        self.files = Files(self.scheduler, service, self.resources)
        self.judging = Judging(self)
        self.watch = Watch(self)
        self._folders: dict[Share, DiskShare] = {}
        self._hint: bytes | None = None  # what NEGOTIATE says of the mechanisms there are
        service.attach(self.sessions)
        service.subscribe(self._logon_refused, LogonRefused, name="record of refusals")

    # --- what the shell calls ---

    def connect(self, address: str, now: float, *, scarce: bool = False) -> ConnectionDispatch | None:
        """A new connection from that address (an IPv4 or IPv6 address as text), which may have to wait. None: there is
        no room for it. `scarce`: the shell runs out of descriptors, so one that has no session must go for it."""
        self.scheduler.now = now
        if self._hint is None:
            self._hint = self.new_acceptor().hint_token()
        connection = ConnectionDispatch(self, next(self._connection_ids), self._core(self._hint), address, now)
        connection.place = self.admission.arrive(
            connection.network,
            now,
            connection,
            scarce=scarce,
        )
        if connection.place is None:
            connection.withdraw()
            return None
        self.connections[connection.connection_id] = connection
        self.service.open_connection(connection.traffic)
        self._watch_waiting(now)
        return connection

    def ready(self) -> list[ConnectionDispatch]:
        """The connections that may have something to send, or that are to be ended. Asking takes them."""
        ready, self.to_look_at = list(self.to_look_at), {}
        return ready

    def party_of(self, connection_id: int | None) -> str:
        """Whom a connection works for, as those are that take turns; "" for what is no connection's."""
        found = self.connections.get(connection_id) if connection_id is not None else None
        return found.party if found is not None else ""

    def next_deadline(self) -> float | None:
        """When `expire` has something to do; None: never, as things stand. Ask again after anything has changed."""
        timer, session = self.scheduler.timers.next(), self.service.next_deadline()
        if timer is None or session is None:
            return session if timer is None else timer
        return timer if timer < session else session

    def expire(self, now: float) -> None:
        """What time it is."""
        self.scheduler.now = now
        self.service.expire(now)
        self.scheduler.expire(now)

    # --- what connections and handlers call ---

    def connection_failed(self, connection: ConnectionDispatch, error: Exception) -> None:
        """An error of ours in a step of that connection: it is ended, and the shell is told."""
        connection.finish("an error in the server", at_once=True)
        if self._failed is None:
            raise error
        self._failed(connection, error)

    def _watch_waiting(self, now: float) -> None:
        """While connections wait, look again and again whether they still have to."""
        if self.admission.waiting and not self._watching:
            self._watching = True
            due = now + POLL
            self.scheduler.timers.at(due, lambda then: self._look_at_waiting(then, then - due))

    def _look_at_waiting(self, now: float, late: float) -> None:
        self._watching = False
        self.admission.lags(late)
        self.admission.pump(now)
        self._watch_waiting(now)

    def forget_connection(self, connection: ConnectionDispatch, now: float) -> None:
        """It is lost: its sessions end, and so does its place among those that have none."""
        self.scheduler.now = now
        self.sessions.connection_lost(connection)
        self.files.leases.connection_lost(connection, now)
        self.connections.pop(connection.connection_id, None)
        self.to_look_at.pop(connection, None)
        self.scheduler.forget(connection)
        self.room.stop_waiting(connection)
        if connection.place is None:
            return
        # Disconnecting does not shorten the delay of a refusal: the place stays taken until it is over.
        ghost = connection.held_until > now and connection.place.standing is Standing.HALF_OPEN
        self.admission.gone(connection.place, now, ghost=ghost)
        connection.place = None
        if ghost:
            network = connection.network
            self.scheduler.timers.at(connection.held_until, lambda then: self.admission.exorcise(network, then))

    @property
    def configuration(self) -> Configuration:
        """The settings in force."""
        return self.settings.current

    @property
    def multichannel(self) -> bool:
        """IsMultiChannelCapable (MS-SMB2 3.3.1.5): whether a session may be bound to further connections. Clients learn
        of addresses and not of ports, and take the one that is SMB's."""
        wanted = self.configuration.multichannel
        return self.port == SMB_PORT if wanted == "auto" else wanted

    def new_acceptor(self) -> Acceptor:
        """The server's half of a log-on. Until its accounts have been read there are none."""
        configuration = self.configuration
        return Acceptor(
            _NOBODY,
            server_name=configuration.name,
            dns_name=self.dns_name,
            random=self.random,
            allow_anonymous=True,
            allow_guest=configuration.guest,
            mechanisms=self._mechanisms(),
        )

    def new_session_id(self) -> int:
        """64 unpredictable bits. 0 and -1 are reserved (3.3.5.5.1)."""
        while True:
            session_id = int.from_bytes(self.random(8), "little")
            taken = self.service.session_by_session_id(session_id) is not None
            if session_id not in (0, 0xFFFFFFFFFFFFFFFF) and not taken:
                return session_id

    def backend_of(self, share: Share) -> ShareBackend:
        """What stands behind a share."""
        if share.type & 0xFFFF == STYPE_IPC:
            return self._ipc
        if (backend := self._folders.get(share)) is None:
            backend = self._folders[share] = DiskShare(share, self.files)
        return backend

    @property
    def leases(self) -> Leases:
        """All leases."""
        return self.files.leases

    @property
    def ends(self) -> Ends:
        """What is ended in portions."""
        return self.files.ends

    def session_of(self, session: Session) -> ServerSession | None:
        """Its session of a domain's session; None if that has ended."""
        return self.sessions.find(session)

    def has_pipe(self, name: str) -> bool:
        """Whether there is a pipe of that (canonical) name."""
        return self.pipes.find(name) is not None

    def is_null_share(self, name: str) -> bool:
        """Whether a null session may connect to that share (Windows' NullSessionShares; for pipes MS-SRVS 3.1.6.17)."""
        return self.configuration.null_sessions.has_share(name)

    # --- what the domain tells ---

    def _share_removed(self, share: Share) -> None:
        """A share is no more, and nothing is open on it."""
        self._folders.pop(share, None)

    def _logon_refused(self, event: Event) -> None:
        if isinstance(event, LogonRefused):
            self.refusals.add(event, self.scheduler.now)
