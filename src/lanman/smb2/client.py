"""The client's half of an SMB 2/3 connection (MS-SMB2 3.2): message ids, credits, and the checks of each answer.

    connection = ClientConnection(client_guid=..., random=os.urandom)
    connection.negotiate()                                   # then send data_to_send(), feed receive_data()
    message_id = connection.send(SessionSetupRequest(...))   # until its answer is STATUS_SUCCESS
    connection.establish_session(session_id, session_key, final=message_id)
    connection.send(TreeConnectRequest(0, path), session_id=session_id)

A second connection to the same server can be made a channel of that session (3.2.4.2.3):

    keys = connection.establish_session(...)
    second.start_binding(keys)                               # after its NEGOTIATE
    message_id = second.send(SessionSetupRequest(SMB2_SESSION_FLAG_BINDING, ...), session_id=keys.session_id)
    second.bind_channel(keys, session_key, final=message_id)

Rules:

* Every request of an established session is signed, or encrypted; so is every answer, or the connection is dead.
  Exceptions are STATUS_PENDING (3.2.5.1.3), and the two statuses of a server that no longer has the keys (the session
  has ended or expired).
* An answer must be one to a request that is waiting, of its command and of its session.
* The channels of a session share one `SessionKeys`; each connection has its own message ids, credits and signing key. A
  session that ends is forgotten on every connection by the caller (`forget_session`).
* The final SESSION_SETUP answer proves, on 3.1.1, that the messages before it were not modified; below 3.1.1
  `build_validate_negotiate` and `check_validate_negotiate` do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from lanman.codes import (
    STATUS_MORE_PROCESSING_REQUIRED,
    STATUS_NETWORK_SESSION_EXPIRED,
    STATUS_PENDING,
    STATUS_SUCCESS,
    STATUS_USER_SESSION_DELETED,
)
from lanman.errors import LocalProtocolError, MalformedMessage, RemoteProtocolError, Unprotected
from lanman.smb2 import crypto
from lanman.smb2.connection import Connection, Event, Negotiated, credits_for, default_signing_algorithm
from lanman.smb2.constants import (
    AES_128_CCM,
    ALL_CIPHERS,
    ALL_DIALECTS,
    ALL_SIGNING_ALGORITHMS,
    ANY_FILE_ID,
    FSCTL_VALIDATE_NEGOTIATE_INFO,
    SHA_512,
    SMB1_PROTOCOL_ID,
    SMB2_CANCEL,
    SMB2_ENCRYPTION_CAPABILITIES,
    SMB2_FLAGS_ASYNC_COMMAND,
    SMB2_FLAGS_SERVER_TO_REDIR,
    SMB2_FLAGS_SIGNED,
    SMB2_GLOBAL_CAP_ENCRYPTION,
    SMB2_GLOBAL_CAP_LARGE_MTU,
    SMB2_GLOBAL_CAP_MULTI_CHANNEL,
    SMB2_LOGOFF,
    SMB2_NEGOTIATE,
    SMB2_NEGOTIATE_SIGNING_REQUIRED,
    SMB2_OPLOCK_BREAK,
    SMB2_PREAUTH_INTEGRITY_CAPABILITIES,
    SMB2_SESSION_SETUP,
    SMB2_SIGNING_CAPABILITIES,
    UNSOLICITED,
    Dialect,
)
from lanman.smb2.header import Header
from lanman.smb2.messages import (
    CancelRequest,
    EncryptionCapabilities,
    ErrorResponse,
    IoctlRequest,
    IoctlResponse,
    Message,
    NegotiateContext,
    NegotiateRequest,
    NegotiateResponse,
    NetnameNegotiateContextId,
    PreauthIntegrityCapabilities,
    SigningCapabilities,
    ValidateNegotiateInfoRequest,
    ValidateNegotiateInfoResponse,
    command_name,
    unpack_response,
)
from lanman.smb2.session import Channel, SessionKeys
from lanman.wire import Data

CREDITS_WANTED: Final = 128
# What a server that no longer has a session's keys may answer unsigned. Forging it only ends the session.
_KEYLESS: Final = frozenset({STATUS_USER_SESSION_DELETED, STATUS_NETWORK_SESSION_EXPIRED})
# 3.2.5.2: a server that negotiates less than this is refused.
_LEAST_SIZE: Final = 4096


@dataclass(slots=True)
class ResponseReceived(Event):
    """A request was answered. `message` is the command's response, or an ErrorResponse where `status` calls for one."""

    message_id: int
    status: int
    header: Header
    message: Message
    size: int


@dataclass(slots=True)
class PendingReceived(Event):
    """An interim response (STATUS_PENDING): the answer will come later."""

    message_id: int
    async_id: int


@dataclass(slots=True)
class OplockBreakReceived(Event):
    """The server breaks an oplock or a lease: OplockBreak or LeaseBreakNotification."""

    header: Header
    message: Message


@dataclass(slots=True)
class _Pending:
    """A request that waits for its answer. `preauth` is the hash including it, for a log-on."""

    command: int
    session_id: int
    channel: Channel | None
    encrypted: bool
    preauth: bytes = b""
    async_id: int = 0
    cancelled: bool = False


@dataclass(slots=True)
class _Final:
    """The answer that ended a log-on, kept until it can be verified with the keys of the session."""

    header: Header
    pdu: bytes
    preauth: bytes


class ClientConnection(Connection):
    """A client's end. `random(n)` gives n unpredictable bytes.

    `dialects`, `signing_algorithms` and `ciphers` are what is offered, algorithms best first; `encrypt` encrypts every
    session, and refuses one that cannot be. A `server_name` that is not empty is sent in NEGOTIATE on 3.1.1.
    `multichannel` says there that sessions may be bound to further connections.
    """

    _is_server = False

    def __init__(
        self,
        *,
        client_guid: bytes,
        random: Callable[[int], bytes],
        dialects: Sequence[int] = ALL_DIALECTS,
        signing_algorithms: Sequence[int] = ALL_SIGNING_ALGORITHMS,
        ciphers: Sequence[int] = ALL_CIPHERS,
        encrypt: bool = False,
        server_name: str = "",
        multichannel: bool = False,
    ) -> None:
        super().__init__(random)
        if not dialects:
            raise LocalProtocolError("no dialect to offer")
        self._client_guid = client_guid
        self._dialects = sorted(int(dialect) for dialect in dialects)
        self._signing_algorithms = list(signing_algorithms)
        self._ciphers = list(ciphers)
        self._encrypt = encrypt
        self._server_name = server_name
        self._multichannel = multichannel
        self._offer: NegotiateRequest | None = None
        self._offer_pdu = b""
        self._next_id = 0
        self._credits = 1
        self._pending: dict[int, _Pending] = {}
        self._logons: dict[int, bytes] = {}
        self._finals: dict[int, _Final] = {}
        self._bindings: dict[int, SessionKeys] = {}  # by session id: sessions that this connection is being bound to

    # --- asking ---

    @property
    def credits(self) -> int:
        """Credits that are left to send requests with."""
        return self._credits

    def negotiate(self) -> int:
        """Send the NEGOTIATE (3.2.4.2.2); its message id. `negotiated` is set when its answer has come."""
        if self._offer is not None:
            raise LocalProtocolError("NEGOTIATE was sent before")
        capabilities = 0
        if self._dialects[-1] >= Dialect.SMB_3_0:
            capabilities = SMB2_GLOBAL_CAP_LARGE_MTU | (SMB2_GLOBAL_CAP_ENCRYPTION if self._ciphers else 0)
            capabilities |= SMB2_GLOBAL_CAP_MULTI_CHANNEL if self._multichannel else 0
        contexts: list[NegotiateContext] = []
        if Dialect.SMB_3_1_1 in self._dialects:
            contexts = self._contexts()
        # 2.2.3: a client that knows 2.0.2 only has no GUID.
        client_guid = self._client_guid if self._dialects[-1] > Dialect.SMB_2_0_2 else bytes(16)
        self._offer = NegotiateRequest(
            self._dialects, SMB2_NEGOTIATE_SIGNING_REQUIRED, capabilities, client_guid, contexts
        )
        header, body = self._request(self._offer, 0, 0, 0)
        pdu = header.pack() + b"".join(body)
        self._offer_pdu = pdu
        self._send_frame([pdu])
        return header.message_id

    def _contexts(self) -> list[NegotiateContext]:
        offered: list[
            PreauthIntegrityCapabilities | EncryptionCapabilities | SigningCapabilities | NetnameNegotiateContextId
        ] = [PreauthIntegrityCapabilities([SHA_512], self._random(32))]
        if self._ciphers:
            offered.append(EncryptionCapabilities(self._ciphers))
        if self._signing_algorithms:
            offered.append(SigningCapabilities(self._signing_algorithms))
        if self._server_name:
            offered.append(NetnameNegotiateContextId(self._server_name))
        return [NegotiateContext(each.type, each.pack()) for each in offered]

    def charge(self, message: Message) -> int:
        """The credits that a request would take (CreditCharge, 3.1.5.2)."""
        return credits_for(message) if self.negotiated is not None and self.negotiated.multi_credit else 1

    def can_send(self, message: Message) -> bool:
        """Whether there are enough credits for it."""
        return self.charge(message) <= self._credits

    def send(self, message: Message, *, session_id: int = 0, tree_id: int = 0) -> int:
        """Send a request; its message id. Raises LocalProtocolError without enough credits, or before NEGOTIATE."""
        channel = self._ready(session_id)
        header, body = self._request(message, session_id, tree_id, 0)
        if message.command == SMB2_SESSION_SETUP and channel is None:
            self._send_session_setup(header, body, self._pending[header.message_id])
        else:
            self._send_protected(header, body, channel)
        return header.message_id

    def _send_protected(self, header: Header, body: list[Data], channel: Channel | None) -> None:
        """Encrypted or signed as the session wants it (3.2.4.1.1, 3.2.4.1.8)."""
        if channel is None or not channel.keys.protected:
            self._send_frame([header.pack(), *body])
        elif channel.keys.encrypt:
            self._send_frame([header.pack(), *body], channel.keys.encryptor)
        else:
            self._send_frame([self._sign(channel.signing_key, header, body), *body])

    def cancel(self, message_id: int) -> None:
        """Ask the server to cancel a request (3.2.4.24), which is still answered. No error if it is not pending."""
        pending = self._pending.get(message_id)
        if pending is None or pending.cancelled or self._dead:
            return
        pending.cancelled = True
        header = Header(SMB2_CANCEL, message_id, pending.session_id)
        if pending.async_id:
            header.flags, header.async_id = SMB2_FLAGS_ASYNC_COMMAND, pending.async_id
        body = CancelRequest().parts()
        self._send_protected(header, body, pending.channel)

    def _ready(self, session_id: int) -> Channel | None:
        if self._dead:
            raise LocalProtocolError("the connection is dead")
        if self.negotiated is None:
            raise LocalProtocolError("nothing has been negotiated yet")
        return self._channels.get(session_id)

    def _request(self, message: Message, session_id: int, tree_id: int, flags: int) -> tuple[Header, list[Data]]:
        """Header and body of a request, which is pending from now on."""
        charge = self.charge(message)
        if charge > self._credits:
            raise LocalProtocolError(
                f"{command_name(message.command)} costs {charge} credits, {self._credits} are left"
            )
        body = message.parts()
        multi_credit = self.negotiated is not None and self.negotiated.multi_credit
        self._credits -= charge
        header = Header(
            message.command,
            self._next_id,
            session_id,
            tree_id,
            flags,
            0,
            max(charge, CREDITS_WANTED - self._credits),
            charge if multi_credit else 0,
        )
        self._next_id += charge
        channel = self._channels.get(session_id)
        encrypted = channel is not None and channel.keys.encrypt
        self._pending[header.message_id] = _Pending(message.command, session_id, channel, encrypted)
        return header, body

    def _send_session_setup(self, header: Header, body: list[Data], pending: _Pending) -> None:
        """A round trip of a new session's log-on, or of one that binds this connection to a session, which is signed
        with the session's key. All of them are part of the hash that the keys come from (3.2.5.3)."""
        binding = self._bindings.get(header.session_id)
        head = (
            header.pack()
            if binding is None
            else self._sign(binding.signing_key, header, body, algorithm=binding.signing_algorithm)
        )
        pdu = head + b"".join(body)
        if self.negotiated is not None and self.negotiated.dialect == Dialect.SMB_3_1_1:
            pending.preauth = crypto.preauth_hash(self._logons.get(header.session_id, self._preauth), pdu)
        self._send_frame([pdu])

    # --- sessions ---

    def establish_session(
        self,
        session_id: int,
        session_key: bytes,
        *,
        final: int,
        encrypt: bool = False,
        anonymous_or_guest: bool = False,
    ) -> SessionKeys:
        """The log-on that the answer to `final` ended is a session now (3.2.5.3.1); its keys.

        `final` is the message id of the SESSION_SETUP that was answered with STATUS_SUCCESS, which is verified now.
        After a renewed log-on (3.2.5.3.2) nothing changes: the keys stay those of the first.
        Raises RemoteProtocolError where the answer is not the server's, or where it cannot encrypt and should.
        """
        kept = self._finals.pop(final, None)
        self._logons.pop(session_id, None)
        if (known := self._channels.get(session_id)) is not None:
            return known.keys
        if kept is None or kept.header.session_id != session_id or self.negotiated is None:
            raise LocalProtocolError(f"message {final} ended no log-on of session {session_id:#x}")
        encrypt = encrypt or self._encrypt
        if encrypt and not self.negotiated.cipher:
            raise self._failed("the session is to be encrypted, and the server cannot")
        if encrypt and anonymous_or_guest:
            raise self._failed("an anonymous or guest session has no key to encrypt with")
        channel = self._first_channel(
            session_id, session_key, kept.preauth, protected=not anonymous_or_guest, encrypt=encrypt
        )
        if channel.keys.protected:
            # 3.2.5.3.1: on 3.1.1 that signature is what protects everything before it.
            self._check_final(kept, channel, required=self.negotiated.dialect == Dialect.SMB_3_1_1)
        self._channels[session_id] = channel
        self._allow_large_frames()
        return channel.keys

    def start_binding(self, keys: SessionKeys) -> None:
        """Make ready to bind this connection to a session that another one has established (3.2.4.2.3).

        The SESSION_SETUP requests that follow for that session are signed with its key. Raises LocalProtocolError where
        this connection cannot be a channel of it.
        """
        if self.negotiated is None or keys.session_id in self._channels:
            raise LocalProtocolError("a channel is bound once, after NEGOTIATE")
        keys.check_binding(self.negotiated)
        self._bindings[keys.session_id] = keys

    def bind_channel(self, keys: SessionKeys, session_key: bytes, *, final: int) -> None:
        """The log-on that the answer to `final` ended binds this connection to the session (3.2.5.3.3).

        `session_key` is that of this log-on; the channel's signing key comes from it, and nothing else does.
        Raises RemoteProtocolError where the answer is not signed with the channel's key.
        """
        kept = self._finals.pop(final, None)
        if kept is None or self._bindings.pop(kept.header.session_id, None) is not keys:
            raise LocalProtocolError(f"message {final} bound no session")
        channel = self._further_channel(keys, session_key, kept.preauth)
        self._check_final(kept, channel, required=True)
        self._channels[keys.session_id] = channel
        self._allow_large_frames()

    def _check_final(self, kept: _Final, channel: Channel, *, required: bool) -> None:
        """The answer that ended a log-on is signed with the key that the log-on gave; `required`: it must be signed."""
        if kept.header.flags & SMB2_FLAGS_SIGNED:
            if not self._verify(channel.signing_key, kept.header.message_id, memoryview(kept.pdu)):
                raise self._failed(
                    "the log-on's last answer is signed wrongly: the negotiation was modified in transit"
                )
        elif required:
            raise self._failed("the log-on's last answer is not signed")

    def forget_session(self, session_id: int) -> None:
        """Drop this connection's channel of a session, or a binding under way."""
        super().forget_session(session_id)
        self._bindings.pop(session_id, None)

    def encrypt_session(self, session_id: int) -> None:
        """Encrypt from now on, because a share wants it (3.2.5.5). RemoteProtocolError where that is impossible."""
        channel = self._channels.get(session_id)
        if channel is None:
            raise LocalProtocolError(f"there is no session {session_id:#x}")
        if channel.keys.encryptor is None:
            raise self._failed("the server wants encryption without having negotiated it")
        channel.keys.encrypt = True

    def _failed(self, why: str) -> Unprotected:
        self._dead = True
        return Unprotected(why)

    # --- validating the NEGOTIATE (dialects below 3.1.1) ---

    def build_validate_negotiate(self) -> IoctlRequest:
        """The request that makes the server repeat, signed, what was negotiated (3.2.5.5); for any tree connect."""
        offer = self._offer
        if offer is None:
            raise LocalProtocolError("nothing has been negotiated yet")
        info = ValidateNegotiateInfoRequest(offer.capabilities, offer.client_guid, offer.security_mode, offer.dialects)
        return IoctlRequest(
            ctl_code=FSCTL_VALIDATE_NEGOTIATE_INFO, file_id=ANY_FILE_ID, input=info.pack(), max_output_response=24
        )

    def check_validate_negotiate(self, response: IoctlResponse) -> None:
        """Raise RemoteProtocolError if this is not what the server's NEGOTIATE response said (3.2.5.14.12).

        An error status from a server that does not know the request proves as much, because the answer is signed. Only
        STATUS_ACCESS_DENIED means that the NEGOTIATE was modified; the caller checks for it.
        """
        if self.negotiated is None:
            raise LocalProtocolError("nothing has been negotiated yet")
        info = ValidateNegotiateInfoResponse.unpack(memoryview(response.output))
        negotiated = self.negotiated
        if (info.capabilities, info.guid, info.security_mode, info.dialect) != (
            negotiated.capabilities,
            negotiated.server_guid,
            negotiated.security_mode,
            negotiated.dialect,
        ):
            raise self._failed("the NEGOTIATE was modified in transit: the connection has been weakened")

    # --- answers ---

    def _receive_frame(self, frame: memoryview, events: list[Event]) -> None:
        if bytes(frame[:4]) == SMB1_PROTOCOL_ID:
            raise MalformedMessage("the server speaks SMB 1")
        messages, encrypted_for = self._open(frame)
        for header, pdu in self._split(messages):
            if not header.flags & SMB2_FLAGS_SERVER_TO_REDIR:
                raise RemoteProtocolError("the server sends a request")
            if header.message_id == UNSOLICITED:
                self._receive_break(header, pdu, events)
            else:
                self._receive_response(header, pdu, encrypted_for, events)

    def _receive_break(self, header: Header, pdu: memoryview, events: list[Event]) -> None:
        # 3.2.5.19: the one message that a server sends unsolicited. It is not signed.
        if header.command != SMB2_OPLOCK_BREAK or not self._channels:
            raise RemoteProtocolError(f"an unsolicited {command_name(header.command)} from the server")
        events.append(OplockBreakReceived(header, unpack_response(header.command, STATUS_SUCCESS, pdu)))

    def _receive_response(
        self, header: Header, pdu: memoryview, encrypted_for: Channel | None, events: list[Event]
    ) -> None:
        pending = self._pending.get(header.message_id)
        if pending is None or pending.command != header.command:
            raise RemoteProtocolError(f"a response to no request: {command_name(header.command)} {header.message_id}")
        if header.session_id != pending.session_id and pending.session_id:
            raise RemoteProtocolError(f"{command_name(header.command)} is answered for another session")
        if encrypted_for is not None and encrypted_for is not pending.channel:
            raise RemoteProtocolError(f"{command_name(header.command)} is encrypted with another session's key")
        if header.status == STATUS_PENDING:
            self._receive_interim(header, pending, events)
            return
        if header.flags & SMB2_FLAGS_ASYNC_COMMAND and header.async_id != pending.async_id:
            raise RemoteProtocolError(f"{command_name(header.command)} has another AsyncId")
        channel = pending.channel
        if channel is not None and channel.keys.protected and encrypted_for is None:
            self._check_signature(channel, header, pdu, pending)
        message = unpack_response(header.command, header.status, pdu)
        del self._pending[header.message_id]
        self._credits += header.credits
        if header.command == SMB2_NEGOTIATE:
            self._receive_negotiate(header, message, pdu)
        elif header.command == SMB2_SESSION_SETUP and channel is None:
            self._receive_session_setup(header, pdu, pending)
        elif header.command == SMB2_LOGOFF and header.status == STATUS_SUCCESS:
            self._channels.pop(pending.session_id, None)
        events.append(ResponseReceived(header.message_id, header.status, header, message, len(pdu)))

    def _receive_interim(self, header: Header, pending: _Pending, events: list[Event]) -> None:
        """3.2.5.1.5. It is not signed, so it only changes how a CANCEL names the request."""
        if not header.flags & SMB2_FLAGS_ASYNC_COMMAND or not header.async_id or pending.async_id:
            raise RemoteProtocolError(f"{command_name(header.command)}: an interim answer without its own AsyncId")
        if header.command in (SMB2_NEGOTIATE, SMB2_SESSION_SETUP):
            raise RemoteProtocolError(f"{command_name(header.command)} cannot have an interim response")
        pending.async_id = header.async_id
        self._credits += header.credits
        events.append(PendingReceived(header.message_id, header.async_id))

    def _check_signature(self, channel: Channel, header: Header, pdu: memoryview, pending: _Pending) -> None:
        """3.2.5.1.3, for an answer that was not encrypted."""
        if header.status in _KEYLESS:
            return  # unsigned, or it repeats the flag of its request, with a signature of no key
        if not header.flags & SMB2_FLAGS_SIGNED:
            raise Unprotected(f"the answer to {command_name(header.command)} is not signed")
        if not self._verify(channel.signing_key, header.message_id, pdu):
            raise Unprotected(f"the answer to {command_name(header.command)} is signed wrongly")
        if pending.encrypted:
            raise Unprotected(f"the answer to {command_name(header.command)} is not encrypted")

    def _receive_session_setup(self, header: Header, pdu: memoryview, pending: _Pending) -> None:
        if header.status == STATUS_MORE_PROCESSING_REQUIRED:
            self._check_new_session(header, pdu, pending)
            if pending.preauth:
                self._logons[header.session_id] = crypto.preauth_hash(pending.preauth, pdu)
            return
        self._logons.pop(pending.session_id, None)
        if header.status == STATUS_SUCCESS:
            self._check_new_session(header, pdu, pending)
            self._finals[header.message_id] = _Final(header, bytes(pdu), pending.preauth)
        else:
            self._bindings.pop(pending.session_id, None)  # the session itself is not affected

    def _check_new_session(self, header: Header, pdu: memoryview, pending: _Pending) -> None:
        """A log-on goes on or ends well: its session's id must be a new one, or that of the binding."""
        if not header.session_id or header.session_id in self._channels:
            raise RemoteProtocolError("SESSION_SETUP: the new session's id is taken")
        binding = self._bindings.get(header.session_id)
        if binding is None or header.status == STATUS_SUCCESS:
            return  # the last answer is verified when there is the key for it
        # 3.3.4.1.1: until then the server signs with the session's key.
        signed = header.flags & SMB2_FLAGS_SIGNED and self._verify(
            binding.signing_key, header.message_id, pdu, algorithm=binding.signing_algorithm
        )
        if pending.session_id != header.session_id or not signed:
            raise Unprotected("the answer to a SESSION_SETUP that binds a session is not signed with its key")

    # --- NEGOTIATE ---

    def _receive_negotiate(self, header: Header, message: Message, pdu: memoryview) -> None:
        """3.2.5.2."""
        if isinstance(message, ErrorResponse):
            return
        assert isinstance(message, NegotiateResponse)
        dialect = message.dialect_revision
        if dialect not in self._dialects:
            raise RemoteProtocolError(f"the server chose dialect {dialect:#06x}, which was not offered")
        if min(message.max_transact_size, message.max_read_size, message.max_write_size) < _LEAST_SIZE:
            raise RemoteProtocolError(f"the server accepts payloads of less than {_LEAST_SIZE} bytes")
        cipher, signing = 0, default_signing_algorithm(dialect)
        encrypts = dialect >= Dialect.SMB_3_0 and bool(message.capabilities & SMB2_GLOBAL_CAP_ENCRYPTION)
        if encrypts and AES_128_CCM in self._ciphers:
            cipher = AES_128_CCM
        if dialect == Dialect.SMB_3_1_1:
            cipher, signing = self._chosen(message)
            self._preauth = crypto.preauth_hash(crypto.preauth_hash(self._preauth, self._offer_pdu), pdu)
        self.negotiated = Negotiated(
            dialect=dialect,
            max_transact_size=message.max_transact_size,
            max_read_size=message.max_read_size,
            max_write_size=message.max_write_size,
            server_guid=message.server_guid,
            client_guid=self._client_guid,
            security_mode=message.security_mode,
            capabilities=message.capabilities,
            security_blob=message.security_buffer,
            cipher=cipher,
            signing_algorithm=signing,
            signing_required=bool(message.security_mode & SMB2_NEGOTIATE_SIGNING_REQUIRED),
            system_time=message.system_time,
        )
        self._offer_pdu = b""

    def _chosen(self, message: NegotiateResponse) -> tuple[int, int]:
        """Cipher and signing algorithm from the contexts of 3.1.1."""
        contexts: dict[int, bytes] = {}
        for context in message.contexts:
            if contexts.setdefault(context.type, context.data) is not context.data:
                raise RemoteProtocolError(f"the server sent negotiate context {context.type} twice")
        hashes = contexts.get(SMB2_PREAUTH_INTEGRITY_CAPABILITIES)
        if hashes is None or PreauthIntegrityCapabilities.unpack(hashes).hash_algorithms != [SHA_512]:
            raise RemoteProtocolError("the server chose no hash for pre-authentication integrity")
        cipher, signing = 0, default_signing_algorithm(Dialect.SMB_3_1_1)
        if (data := contexts.get(SMB2_ENCRYPTION_CAPABILITIES)) is not None:
            cipher = _only(EncryptionCapabilities.unpack(data).algorithms, [*self._ciphers, 0], "cipher")
        if (data := contexts.get(SMB2_SIGNING_CAPABILITIES)) is not None:
            offered = self._signing_algorithms
            signing = _only(SigningCapabilities.unpack(data).algorithms, offered, "signing algorithm")
        return cipher, signing


def _only(chosen: Sequence[int], offered: Sequence[int], what: str) -> int:
    if len(chosen) != 1 or chosen[0] not in offered:
        raise RemoteProtocolError(f"the server chose a {what} that was not offered")
    return chosen[0]
