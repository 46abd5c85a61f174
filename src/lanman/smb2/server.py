"""The server's half of an SMB 2/3 connection (MS-SMB2 3.3): NEGOTIATE, message ids and credits, protection, answers.

    connection = ServerConnection(Terms(server_guid=..., now_filetime=..., security_blob=hint), os.urandom)
    for event in connection.receive_data(data):
        if isinstance(event, RequestsReceived):
            for request in event.requests:
                status = connection.begin(request) or ...
            connection.respond([Response(request, status, message) for request in event.requests])

Rules:

* NEGOTIATE is answered here, SMB 1's multi-protocol one too. Everything else comes out as RequestsReceived, one event
  for each frame, and waits for `respond`.
* A request has no `message` until `begin` has judged it, against its session as it is when the request is to run: it
  may have arrived before the log-on that gave the session its keys, or wait behind one in its compound. A request that
  must be refused whatever it asks has a `status` then: its signature is wrong or missing, its body is malformed, or it
  follows a SESSION_SETUP in one frame. What ends the connection raises RemoteProtocolError: message ids outside the
  window, encryption that does not hold, an unprotected TREE_CONNECT on 3.1.1.
* A session that this core does not know is no error here: the request comes out unsigned, and the caller, who knows
  the sessions, answers. Answers to requests that came before `forget_session` are still signed as they would have been.
* A session has one or more channels. `establish_session` makes its first one and returns its `SessionKeys`, which
  `bind_channel` on another connection takes. To have a SESSION_SETUP verified that asks for a binding, `begin` is given
  those keys; whether it may be bound is for the caller to say. A session that ends is forgotten on every connection by
  the caller (`forget_session`).
* Credits: few before the log-on, then as many as the client asks for, up to MAX_CREDITS. Requests that wait bring
  theirs only while there are no more than MAX_WAITING of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Final, Literal

from lanman.codes import (
    STATUS_ACCESS_DENIED,
    STATUS_INVALID_PARAMETER,
    STATUS_MORE_PROCESSING_REQUIRED,
    STATUS_NOT_SUPPORTED,
    STATUS_PENDING,
    STATUS_SMB_NO_PREAUTH_INTEGRITY_HASH_OVERLAP,
    STATUS_SUCCESS,
)
from lanman.errors import LocalProtocolError, MalformedMessage, RemoteProtocolError
from lanman.few import NOTHING, with_one, without
from lanman.plain import dataclass
from lanman.smb2 import crypto
from lanman.smb2.connection import (
    FIRST_FRAME_LIMIT,
    Connection,
    Event,
    Negotiated,
    chain,
    credits_for,
    default_signing_algorithm,
)
from lanman.smb2.constants import (
    AES_128_CCM,
    AES_GMAC,
    ALL_CIPHERS,
    ALL_DIALECTS,
    ALL_SIGNING_ALGORITHMS,
    CREDIT_SIZE,
    SHA_512,
    SMB1_PROTOCOL_ID,
    SMB2_CANCEL,
    SMB2_ENCRYPTION_CAPABILITIES,
    SMB2_FLAGS_ASYNC_COMMAND,
    SMB2_FLAGS_RELATED_OPERATIONS,
    SMB2_FLAGS_REPLAY_OPERATION,
    SMB2_FLAGS_SERVER_TO_REDIR,
    SMB2_FLAGS_SIGNED,
    SMB2_GLOBAL_CAP_DIRECTORY_LEASING,
    SMB2_GLOBAL_CAP_ENCRYPTION,
    SMB2_GLOBAL_CAP_LARGE_MTU,
    SMB2_GLOBAL_CAP_LEASING,
    SMB2_GLOBAL_CAP_MULTI_CHANNEL,
    SMB2_NEGOTIATE,
    SMB2_NEGOTIATE_SIGNING_ENABLED,
    SMB2_NEGOTIATE_SIGNING_REQUIRED,
    SMB2_OPLOCK_BREAK,
    SMB2_PREAUTH_INTEGRITY_CAPABILITIES,
    SMB2_SESSION_FLAG_BINDING,
    SMB2_SESSION_SETUP,
    SMB2_SIGNING_CAPABILITIES,
    SMB2_TREE_CONNECT,
    SMB2_WILDCARD,
    UNSOLICITED,
    Dialect,
)
from lanman.smb2.header import Header
from lanman.smb2.messages import (
    SALT_SIZE,
    EncryptionCapabilities,
    ErrorResponse,
    Message,
    NegotiateContext,
    NegotiateRequest,
    NegotiateResponse,
    PreauthIntegrityCapabilities,
    SessionSetupRequest,
    SigningCapabilities,
    ValidateNegotiateInfoRequest,
    ValidateNegotiateInfoResponse,
    filled_in,
    unpack_request,
)
from lanman.smb2.session import Channel, SessionKeys
from lanman.wire import Data

INITIAL_CREDITS: Final = 32
MAX_CREDITS: Final = 8192  # as Windows and Samba
MAX_WAITING: Final = 512
_SMB1_NEGOTIATE: Final = 0x72
_SMB1_HEADER_SIZE: Final = 32


class Smb1Only(RemoteProtocolError):
    """The client offers no dialect of SMB 2 or 3."""


class UnprotectedTreeConnect(RemoteProtocolError):
    """MS-SMB2 3.3.5.7: on 3.1.1 it must be signed or encrypted."""


@dataclass(slots=True, eq=False)
class Request:
    """A request. `session_id` and `tree_id` of a related one are those of the request before it in its compound.

    `message` and `signed` are set by `ServerConnection.begin`. A `status` that is not zero is what it must be refused
    with, and then `message` is None. `size` is bytes on the wire, header included. `async_id` is set by
    `ServerConnection.pending`. Dialects before 3.0 have no `channel_sequence`, which is 0 then, and no replays.
    """

    message_id: int
    command: int
    session_id: int
    tree_id: int
    credit_charge: int
    flags: int
    message: Message | None
    related: bool
    signed: bool
    encrypted: bool
    size: int
    status: int = 0
    async_id: int = 0
    credits_requested: int = 0
    channel_sequence: int = 0
    credited: bool = field(default=False, repr=False)
    channel: Channel | None = field(default=None, repr=False)  # its keys, kept beyond forget_session
    binding: SessionKeys | None = field(default=None, repr=False)  # what signs the answer: see `begin`
    preauth: bytes = field(default=b"", repr=False)
    establishes: bool = field(default=False, repr=False)
    pdu: memoryview | None = field(default=None, repr=False)  # until `begin`

    @property
    def replay(self) -> bool:
        """Whether its client has sent it before, and has had no answer (SMB2_FLAGS_REPLAY_OPERATION)."""
        return bool(self.flags & SMB2_FLAGS_REPLAY_OPERATION)


@dataclass(slots=True)
class Response:
    """An answer. A `message` of None is an ErrorResponse; `session_id` and `tree_id` of 0 are the request's."""

    request: Request
    status: int = STATUS_SUCCESS
    message: Message | None = None
    session_id: int = 0
    tree_id: int = 0


@dataclass(slots=True)
class RequestsReceived(Event):
    """The requests of one frame, in order: one, or a compound of several."""

    requests: list[Request]


@dataclass(slots=True)
class CancelReceived(Event):
    """CANCEL of a request that is not answered yet; `async_id` is 0 if it had no interim response."""

    message_id: int
    async_id: int


class CommandWindow:
    """CommandSequenceWindow, the message ids that may come (3.3.1.1): from low up to high, without those that came.
    `_came` has a bit for each of the latter, the lowest that of low: they are few, and a client may leave gaps."""

    __slots__ = ("_came", "_high", "_low")

    def __init__(self) -> None:
        self._low = 0
        self._high = 1
        self._came = 0

    @property
    def available(self) -> int:
        """How many ids may still come: the credits that the client has."""
        return self._high - self._low - self._came.bit_count()

    def take(self, first: int, count: int) -> bool:
        """Use up `count` ids from `first` on; False if one of them is outside the window or was used."""
        low, came = self._low, self._came
        if first < low or first + count > self._high:
            return False
        if first == low and not came:
            self._low = low + count
            return True
        ids = ((1 << count) - 1) << (first - low)
        if came & ids:
            return False
        came |= ids
        without_gap = (~came & (came + 1)).bit_length() - 1
        self._low = low + without_gap
        self._came = came >> without_gap
        return True

    def grant(self, wanted: int, most: int) -> int:
        """Credits for an answer: what the client asks for, until it has `most`, and at least one if it has none left.

        3.3.1.1: a client that leaves an early id unused gets no more when the window has grown to four times `most`.
        """
        size = available = self._high - self._low
        if self._came:
            available -= self._came.bit_count()
        room = most - available if size < 4 * most else 0
        granted = wanted if wanted < room else room
        if granted <= 0:
            granted = 0 if available else 1
        self._high += granted
        return granted


# How much of what was settled is remembered for others; clients choose a part of it.
MOST_SETTLED: Final = 64


@dataclass(slots=True, eq=False)
class Terms:
    """What a server offers: the same to all its connections, as long as its settings stay.

    `signing_algorithms` and `ciphers` are best first. `multichannel` offers to bind sessions to further connections,
    and then prefers AES-GMAC to no other algorithm. `encryption` "off" negotiates none; "offered" and "required" are
    the same here: `establish_session` says which session is encrypted. `security_blob` is the GSS token of
    the NEGOTIATE response. `leasing`: there are leases for files, which 2.1 and later know; `directory_leasing`: for
    directories too, which 3.x knows. `now_filetime()` is the time for NEGOTIATE as a FILETIME.
    """

    server_guid: bytes
    now_filetime: Callable[[], int] = lambda: 0
    dialects: Sequence[int] = ALL_DIALECTS
    signing_algorithms: Sequence[int] = ALL_SIGNING_ALGORITHMS
    ciphers: Sequence[int] = ALL_CIPHERS
    max_transact_size: int = 8 * 1024 * 1024
    max_read_size: int = 8 * 1024 * 1024
    max_write_size: int = 8 * 1024 * 1024
    signing_required: bool = True
    encryption: Literal["offered", "required", "off"] = "offered"
    multichannel: bool = False
    security_blob: bytes = b""
    leasing: bool = False
    directory_leasing: bool = False
    # Bodies of NEGOTIATE responses, without time and salt, by what was settled: of each there are a few choices.
    answers: dict[tuple[int, int, int | None, int | None], bytes] = field(default_factory=dict, init=False, repr=False)
    # What was settled, by the same and the client's security mode, which may be anything.
    settled: dict[tuple[int, int, int, int, int], Negotiated] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.encryption == "off":
            self.ciphers = ()

    @property
    def security_mode(self) -> int:
        """SecurityMode of the NEGOTIATE response."""
        required = SMB2_NEGOTIATE_SIGNING_REQUIRED if self.signing_required else 0
        return SMB2_NEGOTIATE_SIGNING_ENABLED | required

    def sizes_in(self, dialect: int) -> tuple[int, int, int]:
        """MaxTransactSize, MaxReadSize and MaxWriteSize (2.2.4). Without multi-credit requests, which 2.0.2 has not, a
        payload is at most what one credit pays for."""
        if dialect == Dialect.SMB_2_0_2:
            return CREDIT_SIZE, CREDIT_SIZE, CREDIT_SIZE
        return self.max_transact_size, self.max_read_size, self.max_write_size

    def settle(self, dialect: int, capabilities: int, cipher: int, signing: int, security_mode: int) -> Negotiated:
        """What NEGOTIATE has settled with a client of that security mode: one for all connections where it is the same.
        Nobody changes it."""
        key = dialect, capabilities, cipher, signing, security_mode
        found = self.settled.get(key)
        if found is None:
            sizes = self.sizes_in(dialect)
            found = Negotiated(
                dialect=dialect,
                max_transact_size=sizes[0],
                max_read_size=sizes[1],
                max_write_size=sizes[2],
                server_guid=self.server_guid,
                security_mode=security_mode,
                capabilities=capabilities,
                security_blob=self.security_blob,
                cipher=cipher,
                signing_algorithm=signing,
                signing_required=bool(security_mode & SMB2_NEGOTIATE_SIGNING_REQUIRED),
            )
            if len(self.settled) < MOST_SETTLED:
                self.settled[key] = found
        return found

    def answer(self, dialect: int, capabilities: int, cipher: int | None, signing: int | None, salt: bytes) -> bytes:
        """The body of a NEGOTIATE response, as of now. `cipher` and `signing` are what its contexts on 3.1.1 say, None
        where there is none of that type; `salt` is the 32 bytes in the other one."""
        settled = dialect, capabilities, cipher, signing
        body = self.answers.get(settled)
        if body is None:
            body = self.answers[settled] = self._answer(dialect, capabilities, cipher, signing)
        return filled_in(body, self.now_filetime(), salt if dialect == Dialect.SMB_3_1_1 else b"")

    def _answer(self, dialect: int, capabilities: int, cipher: int | None, signing: int | None) -> bytes:
        contexts: list[NegotiateContext] = []
        if dialect == Dialect.SMB_3_1_1:
            preauth = PreauthIntegrityCapabilities([SHA_512], bytes(SALT_SIZE))
            contexts.append(NegotiateContext(preauth.type, preauth.pack()))
        if cipher is not None:
            contexts.append(NegotiateContext(SMB2_ENCRYPTION_CAPABILITIES, EncryptionCapabilities([cipher]).pack()))
        if signing is not None:
            contexts.append(NegotiateContext(SMB2_SIGNING_CAPABILITIES, SigningCapabilities([signing]).pack()))
        return NegotiateResponse(
            dialect,
            self.security_mode,
            self.server_guid,
            capabilities,
            *self.sizes_in(dialect),
            security_buffer=self.security_blob,
            contexts=contexts,
        ).pack()


class ServerConnection(Connection):
    """A server's end, on its terms. `random(n)` gives n unpredictable bytes."""

    # Tests put things of theirs into a dict; without one an idle connection takes 1 KiB less.
    __slots__ = (
        "__dict__",
        "_large",
        "_logons",
        "_most_credits",
        "_multi_protocol",
        "_offer",
        "_requests",
        "_terms",
        "_window",
        "client_guid",
    )
    _is_server = True

    def __init__(self, terms: Terms, random: Callable[[int], bytes]) -> None:
        super().__init__(random)
        self._terms = terms
        self._offer: NegotiateRequest | None = None
        self.client_guid = b""  # Connection.ClientGuid, once that is negotiated
        self._window = CommandWindow()
        self._most_credits = INITIAL_CREDITS
        self._multi_protocol = False
        self._requests: dict[int, Request] | None = None  # None while there are none
        self._logons: Mapping[int, bytes] = NOTHING
        self._large = 0  # channels for which frames may be as long as was negotiated

    # --- requests ---

    def _receive_frame(self, frame: memoryview, events: list[Event]) -> None:
        if bytes(frame[:4]) == SMB1_PROTOCOL_ID:
            self._receive_smb1(frame)
            return
        messages, encrypted_for = self._open(frame)
        requests: list[Request] = []
        logs_on = False
        for header, pdu in self._split(messages):
            # 3.3.5.2: a response from a client ends the connection.
            if header.flags & SMB2_FLAGS_SERVER_TO_REDIR:
                raise RemoteProtocolError("a response from the client")
            if header.command == SMB2_CANCEL:
                self._receive_cancel(header, pdu, encrypted_for, events)
                continue
            cost = self._cost(header) if header.credit_charge > 1 else 1
            if not self._window.take(header.message_id, cost):
                raise RemoteProtocolError(f"message id {header.message_id} is outside the window or was used")
            if self.negotiated is None or header.command == SMB2_NEGOTIATE:
                self._receive_negotiate(header, pdu)
                return
            request = self._request(header, pdu, requests[-1] if requests else None, encrypted_for)
            if logs_on:
                # Somebody between client and server may have appended them to the frame of another's log-on.
                request.status = STATUS_INVALID_PARAMETER
            logs_on |= request.command == SMB2_SESSION_SETUP
            if self._requests is None:
                self._requests = {}
            self._requests[request.message_id] = request
            requests.append(request)
        if requests:
            events.append(RequestsReceived(requests))

    def _cost(self, header: Header) -> int:
        """3.3.5.2.3."""
        return header.credit_charge or 1 if self.negotiated is not None and self.negotiated.multi_credit else 1

    def _request(
        self, header: Header, pdu: memoryview, before: Request | None, encrypted_for: Channel | None
    ) -> Request:
        flags, sequence, status = header.flags, header.status & 0xFFFF, 0
        session_id, tree_id = header.session_id, header.tree_id
        related = flags & SMB2_FLAGS_RELATED_OPERATIONS != 0
        if related:
            # 3.3.5.2.7.2
            if before is None:
                status = STATUS_INVALID_PARAMETER
            else:
                session_id, tree_id = before.session_id, before.tree_id
        if encrypted_for is not None and session_id != encrypted_for.keys.session_id:
            # 3.3.5.2.9: an encrypted request speaks for the session whose key encrypted it.
            raise RemoteProtocolError("a request in another session's encryption")
        if self.negotiated is None or self.negotiated.dialect < Dialect.SMB_3_0:
            flags, sequence = flags & ~SMB2_FLAGS_REPLAY_OPERATION, 0
        return Request(
            header.message_id,
            header.command,
            session_id,
            tree_id,
            header.credit_charge,
            flags,
            None,
            related,
            False,
            encrypted_for is not None,
            len(pdu),
            status,
            credits_requested=header.credits,
            channel_sequence=sequence,
            channel=encrypted_for or self._channels.get(session_id),
            pdu=pdu,
        )

    def begin(self, request: Request, *, binding: SessionKeys | None = None) -> int:
        """A request is to run now: judge it, and read its body. Returns the status to refuse it with, or 0, and then
        its `message` is set. Raises RemoteProtocolError. A second call changes nothing.

        It is judged by what holds now, not when it arrived: if its session has keys by now, it must be signed.
        `binding` are the keys of the session that it names, where another connection established it: a SESSION_SETUP
        with SMB2_SESSION_FLAG_BINDING is verified with them. Where that holds it is `signed` and has its `binding` set,
        and until this connection is bound those keys sign what answers it.
        """
        pdu, request.pdu = request.pdu, None
        if pdu is None:
            return request.status
        if not request.encrypted:
            request.channel = self._channels.get(request.session_id, request.channel)
        status = self._check_protection(request, pdu)
        if request.command == SMB2_SESSION_SETUP and request.channel is None and self._is_311:
            request.preauth = crypto.preauth_hash(self._logons.get(request.session_id, self._preauth), pdu)
        request.status = request.status or status
        if not request.status:
            self._read_body(request, pdu)
        if binding is not None and request.channel is None:
            self._check_binding(request, pdu, binding)
        return request.status

    def _check_protection(self, request: Request, pdu: memoryview) -> int:
        """3.3.5.2.4, and what 3.3.5.2.9 and 3.3.5.7 say about encryption and TREE_CONNECT. 0: it may go on."""
        channel = request.channel
        if channel is None or not channel.keys.protected or request.encrypted:
            return 0
        if request.flags & SMB2_FLAGS_SIGNED:
            request.signed = self._verify(channel.signing_key, request.message_id, pdu)
        if request.command == SMB2_TREE_CONNECT and self._is_311 and not request.signed and not request.status:
            self._dead = True
            raise UnprotectedTreeConnect("TREE_CONNECT is neither signed nor encrypted")
        if not request.signed and (channel.keys.signing_required or request.flags & SMB2_FLAGS_SIGNED):
            return STATUS_ACCESS_DENIED
        return STATUS_ACCESS_DENIED if channel.keys.encrypt else 0

    def _check_binding(self, request: Request, pdu: memoryview, keys: SessionKeys) -> None:
        """Whether a SESSION_SETUP that asks for a binding is signed with the session's key (3.3.5.2.4)."""
        message = request.message
        if not isinstance(message, SessionSetupRequest) or not message.flags & SMB2_SESSION_FLAG_BINDING:
            return
        if keys.signing_key and request.flags & SMB2_FLAGS_SIGNED:
            request.signed = self._verify(keys.signing_key, request.message_id, pdu, algorithm=keys.signing_algorithm)
        request.binding = keys if request.signed else None

    def _read_body(self, request: Request, pdu: memoryview) -> None:
        try:
            message = unpack_request(request.command, pdu)
        except MalformedMessage:
            request.status = STATUS_INVALID_PARAMETER
            return
        # 3.3.5.2.5: a request for more than its CreditCharge covers is refused.
        is_beyond = credits_for(message) > max(request.credit_charge, 1)
        if is_beyond and self.negotiated is not None and self.negotiated.multi_credit:
            request.status = STATUS_INVALID_PARAMETER
        else:
            request.message = message

    def _receive_cancel(
        self, header: Header, pdu: memoryview, encrypted_for: Channel | None, events: list[Event]
    ) -> None:
        """3.3.5.16: no credit, no answer. One that is not protected as its session demands is ignored."""
        if self.negotiated is None:
            raise RemoteProtocolError("CANCEL before NEGOTIATE")
        if encrypted_for is None and not self._may_cancel(header, pdu):
            return
        if encrypted_for is not None and header.session_id != encrypted_for.keys.session_id:
            raise RemoteProtocolError("a request in another session's encryption")
        requests = self._requests or {}
        if header.flags & SMB2_FLAGS_ASYNC_COMMAND:
            request = requests.get(header.async_id - 1)
            if request is not None and not request.async_id:
                request = None
        else:
            request = requests.get(header.message_id)
        if request is not None and request.session_id == header.session_id:
            events.append(CancelReceived(request.message_id, request.async_id))

    def _may_cancel(self, header: Header, pdu: memoryview) -> bool:
        """Whether to obey a CANCEL that is not encrypted. Windows and Samba sign it, as 3.2.4.1.1 says."""
        channel = self._channels.get(header.session_id)
        if channel is None or not channel.keys.protected:
            return True
        if channel.keys.encrypt:
            return False
        if header.flags & SMB2_FLAGS_SIGNED:
            return self._verify(channel.signing_key, header.message_id, pdu, cancel=True)
        return not channel.keys.signing_required

    # --- answers ---

    def respond(self, responses: Sequence[Response]) -> None:
        """Answer requests in one frame: a compound of several, signed or encrypted as they were, with new credits."""
        if not responses:
            return
        frame: list[Data] = []
        last = len(responses) - 1
        for number, response in enumerate(responses):
            header, body = self._response(response)
            if number < last:
                chain(header, body)
            head = self._protect(response.request, header, body)
            if header.command == SMB2_SESSION_SETUP:
                self._hash_session_setup(response, header, [head, *body])
            frame.append(head)
            frame += body
        self._send_frame(frame, _encryptor_for(responses[0].request))

    def _response(self, response: Response) -> tuple[Header, list[Data]]:
        request = response.request
        if self._requests is None or self._requests.pop(request.message_id, None) is not request:
            raise LocalProtocolError(f"message {request.message_id} is not pending")
        if not self._requests:
            self._requests = None
        flags = SMB2_FLAGS_SERVER_TO_REDIR | request.flags & SMB2_FLAGS_RELATED_OPERATIONS
        header = Header(
            request.command,
            request.message_id,
            response.session_id or request.session_id,
            response.tree_id or request.tree_id,
            flags,
            response.status,
            0,
            request.credit_charge,
        )
        if request.async_id:
            header.flags |= SMB2_FLAGS_ASYNC_COMMAND
            header.async_id = request.async_id
        if not request.credited:
            # 3.3.4.2: if an interim response granted the credits, this one grants none.
            header.credits = self._grant(request.credits_requested)
        message = response.message
        return header, (message if message is not None else ErrorResponse()).parts()

    def _protect(self, request: Request, header: Header, body: list[Data]) -> bytes:
        """3.3.4.1.1: what was signed, or should have been, is answered signed."""
        channel = request.channel
        if channel is None and request.binding is not None:
            # The log-on that binds this connection has not succeeded: the session's own key signs.
            keys = request.binding
            return self._sign(keys.signing_key, header, body, algorithm=keys.signing_algorithm)
        if channel is None and header.status >> 30 == 3:
            # There is no key for it. Windows and Samba repeat the flag, and Samba's clients insist on it.
            header.flags |= request.flags & SMB2_FLAGS_SIGNED
        if channel is None or not channel.keys.protected or request.encrypted:
            return header.pack()
        # 3.3.5.5.3: the answer that ends a log-on is signed, one that renews a session too; Samba's client insists.
        ends_logon = header.command == SMB2_SESSION_SETUP and header.status == 0
        if request.signed or request.establishes or ends_logon or channel.keys.signing_required:
            return self._sign(channel.signing_key, header, body)
        return header.pack()

    def _hash_session_setup(self, response: Response, header: Header, parts: list[Data]) -> None:
        """3.3.5.5: every message of the log-on but the last answer is part of the hash that the keys come from."""
        request = response.request
        if response.status != STATUS_MORE_PROCESSING_REQUIRED:
            self._forget_logon(request.session_id)
        elif request.preauth:
            preauth = crypto.preauth_hash(request.preauth, b"".join(parts))
            self._logons = with_one(self._logons, header.session_id, preauth)

    def _forget_logon(self, session_id: int) -> None:
        """A log-on is over."""
        self._logons = without(self._logons, session_id)

    def _grant(self, wanted: int) -> int:
        if self._channels:
            self._most_credits = MAX_CREDITS
        return self._window.grant(wanted, self._most_credits)

    def pending(self, request: Request) -> int:
        """Send an interim response (3.3.4.2); returns the AsyncId, which the answer will carry.

        The interim response grants the credits, unless too many requests are pending: then the answer does. It is not
        signed. It is encrypted if the request was.
        """
        if self._requests is None or self._requests.get(request.message_id) is not request:
            raise LocalProtocolError(f"message {request.message_id} is not pending")
        if not request.async_id:
            # Made of the message id, and never 0: a CANCEL, which takes no credit, finds its request without a search.
            request.async_id = request.message_id + 1
            request.credited = len(self._requests) <= MAX_WAITING
            header = Header(
                request.command,
                request.message_id,
                request.session_id,
                0,
                SMB2_FLAGS_SERVER_TO_REDIR | SMB2_FLAGS_ASYNC_COMMAND,
                STATUS_PENDING,
                self._grant(request.credits_requested) if request.credited else 0,
                request.credit_charge,
                async_id=request.async_id,
            )
            self._send_frame([header.pack(), *ErrorResponse().parts()], _encryptor_for(request))
        return request.async_id

    def send_oplock_break(self, message: Message, *, session_id: int = 0) -> None:
        """Send an oplock or lease break notification (3.3.4.6, 3.3.4.7), encrypted if the session is."""
        header = Header(SMB2_OPLOCK_BREAK, UNSOLICITED, flags=SMB2_FLAGS_SERVER_TO_REDIR)
        channel = self._channels.get(session_id)
        encryptor = channel.keys.encryptor if channel is not None and channel.keys.encrypt else None
        self._send_frame([header.pack(), *message.parts()], encryptor)

    # --- sessions ---

    def establish_session(
        self,
        session_id: int,
        session_key: bytes,
        *,
        request: Request,
        sign: bool = True,
        encrypt: bool = False,
        large_frames: bool = True,
    ) -> SessionKeys:
        """A log-on has succeeded (3.3.5.5.3); called before `respond` with the answer to `request`, its last round
        trip. The session's keys, which its other channels share.

        `sign` is false for anonymous and guest sessions alone: they have no secret key. Others are signed,
        and its requests must be where this server or the client demands it. `encrypt` refuses what is not encrypted.
        `large_frames`: frames may be as long as was negotiated; a session that cannot write does not need that.
        A renewed log-on changes nothing here: the keys stay those of the first.
        """
        self._forget_logon(session_id)
        if (known := self._channels.get(session_id)) is not None:
            return known.keys
        if self.negotiated is None or request.command != SMB2_SESSION_SETUP:
            raise LocalProtocolError("a session begins with SESSION_SETUP")
        if encrypt and not (sign and self.negotiated.cipher):
            raise LocalProtocolError("this session cannot be encrypted")
        channel = self._first_channel(session_id, session_key, request.preauth, protected=sign, encrypt=encrypt)
        channel.keys.signing_required = self._requires_signing(request)
        self._add_channel(channel, request, large_frames=large_frames)
        return channel.keys

    def bind_channel(self, keys: SessionKeys, session_key: bytes, *, request: Request) -> None:
        """The log-on that ends with `request` binds this connection to a session that another one has established
        (3.3.5.5.3); called before `respond` with the answer to it.

        `session_key` is that of this log-on. The channel's signing key comes from it; the session's keys do not change,
        nor does whether it must be signed: as at Samba, what its other channels may send stays what it was.
        Whether the session may be bound is the caller's decision. Raises LocalProtocolError where it cannot: it is
        unprotected, is bound already, or differs in its dialect or cipher; or `request` does not ask for it.
        """
        self._forget_logon(keys.session_id)
        if request.binding is not keys:
            raise LocalProtocolError("a channel is bound by a SESSION_SETUP that was verified with the session's key")
        channel = self._further_channel(keys, session_key, request.preauth)
        self._add_channel(channel, request, large_frames=True)

    def refuse_binding(self, request: Request) -> None:
        """A request to be bound is refused before its log-on is looked at. Its answer is signed with the session's key
        as others are, but not where that would take a nonce: the session's own connection may have used it."""
        if request.binding is not None and request.binding.signing_algorithm == AES_GMAC:
            request.binding = None

    def _requires_signing(self, request: Request) -> bool:
        """Session.SigningRequired (3.3.5.5.3), as this server, the NEGOTIATE or the SESSION_SETUP has it."""
        assert self.negotiated is not None
        mode = request.message.security_mode if isinstance(request.message, SessionSetupRequest) else 0
        return (
            self._terms.signing_required
            or self.negotiated.signing_required
            or bool(mode & SMB2_NEGOTIATE_SIGNING_REQUIRED)
        )

    def _add_channel(self, channel: Channel, request: Request, *, large_frames: bool) -> None:
        self._channels = with_one(self._channels, channel.keys.session_id, channel)
        request.channel, request.establishes = channel, True
        if large_frames:
            channel.large_frames = True
            self._large += 1
            self._allow_large_frames()

    def forget_session(self, session_id: int) -> None:
        """Drop this connection's channel of a session, or a log-on under way. Requests that came before are still
        answered under its keys."""
        self._forget_logon(session_id)
        channel = self._channels.get(session_id)
        super().forget_session(session_id)
        if channel is not None and channel.large_frames:
            self._large -= 1
            if not self._large:
                self._frame_limit = FIRST_FRAME_LIMIT

    # --- NEGOTIATE ---

    @property
    def _is_311(self) -> bool:
        return self.negotiated is not None and self.negotiated.dialect == Dialect.SMB_3_1_1

    def _receive_smb1(self, frame: memoryview) -> None:
        """SMB 1's NEGOTIATE that offers SMB 2 (3.3.5.3). It is message 0, and not part of any hash."""
        if self.negotiated is not None or self._multi_protocol or not self._window.take(0, 1):
            raise RemoteProtocolError("an SMB 1 message on an SMB 2 connection")
        if len(frame) < _SMB1_HEADER_SIZE + 3 or frame[4] != _SMB1_NEGOTIATE or frame[_SMB1_HEADER_SIZE]:
            raise MalformedMessage("an SMB 1 message that is not a NEGOTIATE")
        offered = bytes(frame[_SMB1_HEADER_SIZE + 3 :]).split(b"\0")
        self._multi_protocol = True
        if b"\x02SMB 2.???" in offered and max(self._terms.dialects) > Dialect.SMB_2_0_2:
            response = self._terms.answer(SMB2_WILDCARD, SMB2_GLOBAL_CAP_LARGE_MTU, None, None, b"")
        elif b"\x02SMB 2.002" in offered and Dialect.SMB_2_0_2 in self._terms.dialects:
            # SMB 1 has no SecurityMode: the client sends 0 when it validates the NEGOTIATE (3.3.5.15.12).
            offer = NegotiateRequest([Dialect.SMB_2_0_2], 0)
            self._settle(offer, Dialect.SMB_2_0_2, 0, 0, default_signing_algorithm(Dialect.SMB_2_0_2))
            response = self._terms.answer(Dialect.SMB_2_0_2, 0, None, None, b"")
        else:
            raise Smb1Only("the client speaks SMB 1 only")
        self._answer_negotiate(Header(SMB2_NEGOTIATE, 0), STATUS_SUCCESS, response)

    def _receive_negotiate(self, header: Header, pdu: memoryview) -> None:
        """3.3.5.4."""
        if self.negotiated is not None or header.command != SMB2_NEGOTIATE or header.next_command:
            raise RemoteProtocolError("a connection must begin with one NEGOTIATE, not compounded")
        try:
            offer = NegotiateRequest.unpack(pdu)
            if not offer.dialects:
                raise MalformedMessage("NEGOTIATE: no dialect")
            status, response = self._negotiate(offer)
        except MalformedMessage:
            status, response = STATUS_INVALID_PARAMETER, None
        answer = self._answer_negotiate(header, status, response)
        if self._is_311:
            self._preauth = crypto.preauth_hash(crypto.preauth_hash(self._preauth, pdu), answer)

    def _negotiate(self, offer: NegotiateRequest) -> tuple[int, bytes | None]:
        """The status and the body of the response. On success `negotiated` is set."""
        common = set(offer.dialects) & {int(dialect) for dialect in self._terms.dialects}
        if not common:
            return STATUS_NOT_SUPPORTED, None
        dialect = max(common)
        capabilities = 0
        if dialect > Dialect.SMB_2_0_2:
            capabilities = SMB2_GLOBAL_CAP_LARGE_MTU | (SMB2_GLOBAL_CAP_LEASING if self._terms.leasing else 0)
        cipher, signing, salt = 0, default_signing_algorithm(dialect), b""
        said: tuple[int | None, int | None] = None, None
        if dialect >= Dialect.SMB_3_0 and self._terms.multichannel:
            capabilities |= offer.capabilities & SMB2_GLOBAL_CAP_MULTI_CHANNEL
        if dialect >= Dialect.SMB_3_0 and self._terms.directory_leasing:
            capabilities |= offer.capabilities & SMB2_GLOBAL_CAP_DIRECTORY_LEASING
        if dialect in (Dialect.SMB_3_0, Dialect.SMB_3_0_2):
            if offer.capabilities & SMB2_GLOBAL_CAP_ENCRYPTION and AES_128_CCM in self._terms.ciphers:
                cipher = AES_128_CCM
                capabilities |= SMB2_GLOBAL_CAP_ENCRYPTION
        elif dialect == Dialect.SMB_3_1_1:
            offered = _contexts_by_type(offer.contexts)
            if (
                SHA_512
                not in PreauthIntegrityCapabilities.unpack(offered[SMB2_PREAUTH_INTEGRITY_CAPABILITIES]).hash_algorithms
            ):
                return STATUS_SMB_NO_PREAUTH_INTEGRITY_HASH_OVERLAP, None
            nonces_repeat = bool(capabilities & SMB2_GLOBAL_CAP_MULTI_CHANNEL)
            salt = self._random(SALT_SIZE)
            said = self._choose(offered, avoid=AES_GMAC if nonces_repeat else None)
            cipher, signing = said[0] or 0, signing if said[1] is None else said[1]
        self._settle(offer, dialect, capabilities, cipher, signing)
        return STATUS_SUCCESS, self._terms.answer(dialect, capabilities, *said, salt)

    def _choose(self, offered: dict[int, bytes], *, avoid: int | None) -> tuple[int | None, int | None]:
        """Cipher and signing algorithm, as the contexts of the response say; None: it has none of that type. The
        signing algorithm to `avoid` is chosen only if there is no other (see `session`)."""
        cipher = signing = None
        if (data := offered.get(SMB2_ENCRYPTION_CAPABILITIES)) is not None and self._terms.ciphers:
            theirs = EncryptionCapabilities.unpack(data).algorithms
            cipher = next((each for each in self._terms.ciphers if each in theirs), 0)
        if (data := offered.get(SMB2_SIGNING_CAPABILITIES)) is not None:
            theirs = SigningCapabilities.unpack(data).algorithms
            common = sorted(
                (each for each in self._terms.signing_algorithms if each in theirs), key=lambda it: it == avoid
            )
            signing = next(iter(common), None)
        return cipher, signing

    def _settle(self, offer: NegotiateRequest, dialect: int, capabilities: int, cipher: int, signing: int) -> None:
        self._offer = offer if dialect < Dialect.SMB_3_1_1 else None  # for validate_negotiate_info alone
        self.client_guid = offer.client_guid
        self.negotiated = self._terms.settle(dialect, capabilities, cipher, signing, offer.security_mode)

    def _answer_negotiate(self, header: Header, status: int, response: bytes | None) -> bytes:
        granted = self._window.grant(header.credits, INITIAL_CREDITS)
        answer = Header(
            SMB2_NEGOTIATE, header.message_id, 0, 0, SMB2_FLAGS_SERVER_TO_REDIR, status, granted, header.credit_charge
        )
        answer.process_id = header.process_id
        message = answer.pack() + (response if response is not None else ErrorResponse().pack())
        self._send_frame([message])
        return message

    def validate_negotiate_info(self, data: bytes) -> bytes | None:
        """The output of FSCTL_VALIDATE_NEGOTIATE_INFO for this input. None: end the connection (3.3.5.15.12)."""
        offer, negotiated = self._offer, self.negotiated
        if offer is None or negotiated is None or self._is_311:
            return None
        try:
            info = ValidateNegotiateInfoRequest.unpack(data)
        except MalformedMessage:
            return None
        if info != ValidateNegotiateInfoRequest(
            offer.capabilities, offer.client_guid, offer.security_mode, offer.dialects
        ):
            return None
        return ValidateNegotiateInfoResponse(
            negotiated.capabilities, self._terms.server_guid, self._terms.security_mode, negotiated.dialect
        ).pack()


def _encryptor_for(request: Request) -> crypto.Encryptor | None:
    """What encrypts the answer to a request: its session's Encryptor, if the request was encrypted (3.3.4.1.4)."""
    return request.channel.keys.encryptor if request.encrypted and request.channel is not None else None


def _contexts_by_type(contexts: list[NegotiateContext]) -> dict[int, bytes]:
    """3.3.5.4: at most one of each type, and one of PREAUTH_INTEGRITY_CAPABILITIES. Raises MalformedMessage."""
    found = {context.type: context.data for context in contexts}
    if len(found) != len(contexts) or SMB2_PREAUTH_INTEGRITY_CAPABILITIES not in found:
        raise MalformedMessage("NEGOTIATE: contexts missing or repeated")
    return found
