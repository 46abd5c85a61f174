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

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from hmac import compare_digest
from typing import Final

from lanman.codes import (
    STATUS_MORE_PROCESSING_REQUIRED,
    STATUS_NETWORK_SESSION_EXPIRED,
    STATUS_PENDING,
    STATUS_SUCCESS,
    STATUS_USER_SESSION_DELETED,
)
from lanman.errors import LocalProtocolError, MalformedMessage, RemoteProtocolError, Unprotected
from lanman.few import with_one, without
from lanman.plain import dataclass
from lanman.smb2 import crypto
from lanman.smb2.connection import (
    Connection,
    Event,
    Negotiated,
    credits_for,
    default_signing_algorithm,
    messages_behind,
)
from lanman.smb2.constants import (
    AES_128_CCM,
    ALL_CIPHERS,
    ALL_DIALECTS,
    ALL_SIGNING_ALGORITHMS,
    ANY_FILE_ID,
    FSCTL_VALIDATE_NEGOTIATE_INFO,
    RELATED_TREE_ID,
    SHA_512,
    SMB1_PROTOCOL_ID,
    SMB2_CANCEL,
    SMB2_ENCRYPTION_CAPABILITIES,
    SMB2_FLAGS_ASYNC_COMMAND,
    SMB2_FLAGS_RELATED_OPERATIONS,
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
    SMB2_PROTOCOL_ID,
    SMB2_SESSION_SETUP,
    SMB2_SIGNING_CAPABILITIES,
    UNSOLICITED,
    Dialect,
)
from lanman.smb2.header import HEADER_SIZE, NO_SIGNATURE, SIGNATURE_AT, Header, pack_request
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
# What a server that no longer has a session's keys may answer unsigned: it proves nothing, and ends the session.
KEYLESS: Final = frozenset({STATUS_USER_SESSION_DELETED, STATUS_NETWORK_SESSION_EXPIRED})
# 3.2.5.2: a server that negotiates less than this is refused.
_LEAST_SIZE: Final = 4096
# Of the hash that protects NEGOTIATE; as Windows has it.
_SALT_SIZE: Final = 32


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


class NoCredits(LocalProtocolError):
    """The server has to answer before more can be asked: nothing was sent."""


class _Pending:
    """A request that waits for its answer. `preauth` is the hash including it, for a log-on."""

    # Most are never changed from this: an object sets what differs.
    preauth = b""
    async_id = 0
    cancelled = False

    def __init__(self, command: int, session_id: int, channel: Channel | None) -> None:
        self.command = command
        self.session_id = session_id
        self.channel = channel
        self.encrypted = channel is not None and channel.keys.encrypt


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
        self._dialects = sorted(map(int, dialects))
        self._signing_algorithms = list(signing_algorithms)
        self._ciphers = list(ciphers)
        self._encrypt = encrypt
        self._server_name = server_name
        self._multichannel = multichannel
        self._offer: NegotiateRequest | None = None
        self._offer_pdu = b""
        self._next_id = 0
        self._credits = 1
        self._multi_credit = False  # `negotiated.multi_credit`, which each request asks for several times
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
        # 2.2.3: a client that knows 2.0.2 only has no GUID.
        client_guid = self._client_guid if self._dialects[-1] > Dialect.SMB_2_0_2 else bytes(16)
        self._offer = NegotiateRequest(self._dialects, SMB2_NEGOTIATE_SIGNING_REQUIRED, capabilities, client_guid)
        head, middle, tail = _offer(
            tuple(self._dialects),
            capabilities,
            tuple(self._ciphers),
            tuple(self._signing_algorithms),
            self._server_name,
        )
        salt = self._random(_SALT_SIZE) if tail is not None else b""
        message_id, self._next_id = self._next_id, self._next_id + 1
        self._credits -= 1
        self._pending[message_id] = _Pending(SMB2_NEGOTIATE, 0, None)
        header = pack_request(SMB2_NEGOTIATE, message_id, 0, 0, 0, CREDITS_WANTED - self._credits, 0, 0)
        self._offer_pdu = b"".join((header, head, client_guid, middle, salt, tail or b""))
        self._send_frame([self._offer_pdu])
        return message_id

    def charge(self, message: Message) -> int:
        """The credits that a request would take (CreditCharge, 3.1.5.2)."""
        return credits_for(message) if self._multi_credit else 1

    def can_send(self, message: Message) -> bool:
        """Whether there are enough credits for it."""
        return self.charge(message) <= self._credits

    def send(self, message: Message, *, session_id: int = 0, tree_id: int = 0) -> int:
        """Send a request; its message id. Raises NoCredits, and LocalProtocolError before NEGOTIATE."""
        channel = self._ready(session_id)
        message_id = self._next_id
        if channel is None and message.command == SMB2_SESSION_SETUP:
            header, body = self._request(message, session_id, tree_id, 0)
            self._send_session_setup(header, body, self._pending[message_id])
        else:
            self._send_on(channel, self._protected(message, session_id, tree_id, 0, channel))
        return message_id

    def can_send_all(self, messages: Sequence[Message]) -> bool:
        """Whether there are any, and enough credits for a compound of them."""
        if not self._multi_credit:
            return 0 < len(messages) <= self._credits
        return 0 < sum(map(credits_for, messages)) <= self._credits

    def send_compound(self, messages: Sequence[Message], *, session_id: int, tree_id: int = 0) -> list[int]:
        """Send requests of a session in one frame, as related operations (3.2.4.1.4); their message ids.

        The server takes them one after the other, each going on from the one before: ANY_FILE_ID is the FileId that a
        CREATE among them gave, and without a `tree_id` the first is the TREE_CONNECT that the others are on. They are
        answered one by one, in one frame or in several. Raises NoCredits without enough for all.
        """
        channel = self._ready(session_id)
        if not self.can_send_all(messages):
            raise NoCredits(f"a compound of {len(messages)} requests, {self._credits} credits are left")
        frame: list[Data] = []
        message_ids: list[int] = []
        last = len(messages) - 1
        for number, message in enumerate(messages):
            # The session's id is in each, although it would be that of the one before: smbd 4.17 answers with the ids
            # that a request has, and an answer has to be for its session.
            flags = SMB2_FLAGS_RELATED_OPERATIONS if number else 0
            tree = tree_id or (RELATED_TREE_ID if number else 0)
            message_ids.append(self._next_id)
            frame += self._protected(message, session_id, tree, flags, channel, is_last=number == last)
        self._send_on(channel, frame)
        return message_ids

    def _protected(
        self,
        message: Message,
        session_id: int,
        tree_id: int,
        flags: int,
        channel: Channel | None,
        *,
        is_last: bool = True,
    ) -> list[Data]:
        """A request in pieces, which is pending from now on: signed where its session wants it (3.2.4.1.1), padded and
        with NextCommand where another one follows in its compound (3.2.4.1.4)."""
        message_id, wanted, charge, body = self._begin(message, session_id, channel)
        following = 0
        if not is_last:
            following = HEADER_SIZE + sum(map(len, body))
            if gap := -following % 8:
                body.append(bytes(gap))
                following += gap
        if channel is None or channel.signer is None or channel.keys.encrypt:
            return [
                pack_request(message.command, message_id, session_id, tree_id, flags, wanted, charge, following),
                *body,
            ]
        flags |= SMB2_FLAGS_SIGNED
        head = pack_request(message.command, message_id, session_id, tree_id, flags, wanted, charge, following)
        if following or sum(map(len, body)) <= crypto.SMALL:
            whole = b"".join((head, *body))
            return [head[:SIGNATURE_AT], channel.signer(whole, message_id, False), whole[HEADER_SIZE:]]
        assert self.negotiated is not None
        nonce = crypto.signing_nonce(message_id, response=False, cancel=False)
        signature = crypto.sign(self.negotiated.signing_algorithm, channel.signing_key, (head, *body), nonce)
        return [head[:SIGNATURE_AT] + signature, *body]

    def cancel(self, message_id: int) -> None:
        """Ask the server to cancel a request (3.2.4.24), which is still answered. No error if it is not pending."""
        pending = self._pending.get(message_id)
        if pending is None or pending.cancelled or self._dead:
            return
        pending.cancelled = True
        header = Header(SMB2_CANCEL, message_id, pending.session_id)
        if pending.async_id:
            header.flags, header.async_id = SMB2_FLAGS_ASYNC_COMMAND, pending.async_id
        self._send_protected(header, CancelRequest().parts(), pending.channel)

    def _send_protected(self, header: Header, body: list[Data], channel: Channel | None) -> None:
        """Encrypted or signed as the session wants it (3.2.4.1.1, 3.2.4.1.8)."""
        self._send_on(channel, [self._head(header, body, channel), *body])

    def _head(self, header: Header, body: list[Data], channel: Channel | None) -> bytes:
        """A header, signed where its session wants it: what is encrypted is not."""
        if channel is None or not channel.keys.protected or channel.keys.encrypt:
            return header.pack()
        return self._sign(channel.signing_key, header, body)

    def _send_on(self, channel: Channel | None, parts: list[Data]) -> None:
        """A frame, encrypted where its session wants it."""
        self._send_frame(parts, channel.keys.encryptor if channel is not None and channel.keys.encrypt else None)

    def _ready(self, session_id: int) -> Channel | None:
        if self._dead:
            raise LocalProtocolError("the connection is dead")
        if self.negotiated is None:
            raise LocalProtocolError("nothing has been negotiated yet")
        return self._channels.get(session_id)

    def _request(self, message: Message, session_id: int, tree_id: int, flags: int) -> tuple[Header, list[Data]]:
        """Header and body of a request, which is pending from now on."""
        message_id, wanted, charge, body = self._begin(message, session_id, self._channels.get(session_id))
        return Header(message.command, message_id, session_id, tree_id, flags, 0, wanted, charge), body

    def _begin(self, message: Message, session_id: int, channel: Channel | None) -> tuple[int, int, int, list[Data]]:
        """Message id, credits to ask for, CreditCharge and body of a request, which is pending from now on."""
        message_id, command = self._next_id, message.command
        charge, told = 1, 0
        if self._multi_credit:
            charge = told = credits_for(message)
        left = self._credits - charge
        if left < 0:
            raise NoCredits(f"{command_name(command)} costs {charge} credits, {self._credits} are left")
        body = message.parts()
        self._credits = left
        self._next_id = message_id + charge
        self._pending[message_id] = _Pending(command, session_id, channel)
        wanted = CREDITS_WANTED - left
        return message_id, wanted if wanted > charge else charge, told, body

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
            channel.signer = crypto.signer(self.negotiated.signing_algorithm, channel.signing_key)
            # 3.2.5.3.1: on 3.1.1 that signature is what protects everything before it.
            self._check_final(kept, channel, required=self.negotiated.dialect == Dialect.SMB_3_1_1)
        self._channels = with_one(self._channels, session_id, channel)
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
        assert self.negotiated is not None
        channel.signer = crypto.signer(self.negotiated.signing_algorithm, channel.signing_key)
        self._check_final(kept, channel, required=True)
        self._channels = with_one(self._channels, keys.session_id, channel)
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

        An error status from a server that does not know the request proves as much, because the answer is signed.
        STATUS_ACCESS_DENIED means that the NEGOTIATE was modified, and one of KEYLESS proves nothing; the caller checks
        for these.
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
        encrypted_for: Channel | None = None
        if frame[0] != SMB2_PROTOCOL_ID[0]:  # with that, whatever is no header of SMB 2 is refused below
            if bytes(frame[:4]) == SMB1_PROTOCOL_ID:
                raise MalformedMessage("the server speaks SMB 1")
            frame, encrypted_for = self._open(frame)
        header = Header.unpack(frame)
        if not header.next_command:
            self._receive_response(header, frame, encrypted_for, events)
            return
        for each, pdu in messages_behind(header, frame):
            self._receive_response(each, pdu, encrypted_for, events)

    def _receive_break(self, header: Header, pdu: memoryview, events: list[Event]) -> None:
        # 3.2.5.19: the one message that a server sends unsolicited. It is not signed.
        if header.command != SMB2_OPLOCK_BREAK or not self._channels:
            raise RemoteProtocolError(f"an unsolicited {command_name(header.command)} from the server")
        events.append(OplockBreakReceived(header, unpack_response(header.command, STATUS_SUCCESS, pdu)))

    def _receive_response(
        self, header: Header, pdu: memoryview, encrypted_for: Channel | None, events: list[Event]
    ) -> None:
        message_id, command, status, flags = header.message_id, header.command, header.status, header.flags
        if not flags & SMB2_FLAGS_SERVER_TO_REDIR:
            raise RemoteProtocolError("the server sends a request")
        if message_id == UNSOLICITED:
            self._receive_break(header, pdu, events)
            return
        pending = self._pending.get(message_id)
        if pending is None or pending.command != command:
            raise RemoteProtocolError(f"a response to no request: {command_name(command)} {message_id}")
        if header.session_id != pending.session_id and pending.session_id:
            raise RemoteProtocolError(f"{command_name(command)} is answered for another session")
        channel = pending.channel
        if encrypted_for is not None and encrypted_for is not channel:
            raise RemoteProtocolError(f"{command_name(command)} is encrypted with another session's key")
        if status == STATUS_PENDING:
            self._receive_interim(header, pending, events)
            return
        if flags & SMB2_FLAGS_ASYNC_COMMAND and header.async_id != pending.async_id:
            raise RemoteProtocolError(f"{command_name(command)} has another AsyncId")
        if channel is not None and channel.keys.protected and encrypted_for is None:
            self._check_signature(channel, header, pdu, pending)
        message = unpack_response(command, status, pdu)
        del self._pending[message_id]
        self._credits += header.credits
        if command == SMB2_NEGOTIATE:
            self._receive_negotiate(header, message, pdu)
        elif command == SMB2_SESSION_SETUP and channel is None:
            self._receive_session_setup(header, pdu, pending)
        elif command == SMB2_LOGOFF and status == STATUS_SUCCESS:
            self._channels = without(self._channels, pending.session_id)
        events.append(ResponseReceived(message_id, status, header, message, len(pdu)))

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
        if header.status in KEYLESS:
            return  # unsigned, or it repeats the flag of its request, with a signature of no key
        if not header.flags & SMB2_FLAGS_SIGNED:
            raise Unprotected(f"the answer to {command_name(header.command)} is not signed")
        if channel.signer is not None and len(pdu) <= crypto.SMALL:
            bare = b"".join((pdu[:SIGNATURE_AT], NO_SIGNATURE, pdu[HEADER_SIZE:]))
            expected = channel.signer(bare, header.message_id, True)
            is_signed = compare_digest(expected, header.signature)
        else:
            is_signed = self._verify(channel.signing_key, header.message_id, pdu)
        if not is_signed:
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
            security_mode=message.security_mode,
            capabilities=message.capabilities,
            security_blob=message.security_buffer,
            cipher=cipher,
            signing_algorithm=signing,
            signing_required=bool(message.security_mode & SMB2_NEGOTIATE_SIGNING_REQUIRED),
            system_time=message.system_time,
        )
        self._multi_credit = self.negotiated.multi_credit
        self._offer_pdu = b""

    def _chosen(self, message: NegotiateResponse) -> tuple[int, int]:
        """Cipher and signing algorithm from the contexts of 3.1.1."""
        contexts: dict[int, bytes] = {}
        for context in message.contexts:
            if contexts.setdefault(context.type, context.data) is not context.data:
                raise RemoteProtocolError(f"the server sent negotiate context {context.type} twice")
        hashes = contexts.get(SMB2_PREAUTH_INTEGRITY_CAPABILITIES)
        if hashes is None or not _is_sha_512(hashes):
            raise RemoteProtocolError("the server chose no hash for pre-authentication integrity")
        cipher, signing = 0, default_signing_algorithm(Dialect.SMB_3_1_1)
        if (data := contexts.get(SMB2_ENCRYPTION_CAPABILITIES)) is not None:
            cipher = _only(data, EncryptionCapabilities, [*self._ciphers, 0], "cipher")
        if (data := contexts.get(SMB2_SIGNING_CAPABILITIES)) is not None:
            signing = _only(data, SigningCapabilities, self._signing_algorithms, "signing algorithm")
        return cipher, signing


_ONE: Final = struct.Struct("<HH")
_ONE_HASH: Final = struct.Struct("<HHH")


def _is_sha_512(data: bytes) -> bool:
    """Whether the context of the hash names that one alone."""
    if len(data) >= _ONE_HASH.size:
        count, salt_size, algorithm = _ONE_HASH.unpack_from(data)
        if count == 1 and len(data) >= _ONE_HASH.size + salt_size:
            return bool(algorithm == SHA_512)
    return PreauthIntegrityCapabilities.unpack(data).hash_algorithms == [SHA_512]


def _only(
    data: bytes,
    kind: type[EncryptionCapabilities] | type[SigningCapabilities],
    offered: Sequence[int],
    what: str,
) -> int:
    """The one algorithm of a context, which has to be of those offered."""
    count, algorithm = _ONE.unpack_from(data) if len(data) >= _ONE.size else (0, 0)
    if count != 1 and len(algorithms := kind.unpack(data).algorithms) == 1:
        count, algorithm = 1, algorithms[0]
    if count != 1 or algorithm not in offered:
        raise RemoteProtocolError(f"the server chose a {what} that was not offered")
    return int(algorithm)


@lru_cache(maxsize=16)
def _offer(
    dialects: tuple[int, ...],
    capabilities: int,
    ciphers: tuple[int, ...],
    algorithms: tuple[int, ...],
    server_name: str,
) -> tuple[bytes, bytes, bytes | None]:
    """The body of a NEGOTIATE before its GUID, between that and the salt of its contexts, and behind it: None without
    contexts, which 3.1.1 alone has. Nothing else in it differs between the connections of a program."""
    contexts: list[NegotiateContext] = []
    if Dialect.SMB_3_1_1 in dialects:
        offered: list[
            PreauthIntegrityCapabilities | EncryptionCapabilities | SigningCapabilities | NetnameNegotiateContextId
        ] = [PreauthIntegrityCapabilities([SHA_512], bytes(_SALT_SIZE))]
        if ciphers:
            offered.append(EncryptionCapabilities(ciphers))
        if algorithms:
            offered.append(SigningCapabilities(algorithms))
        if server_name:
            offered.append(NetnameNegotiateContextId(server_name))
        contexts = [NegotiateContext(each.type, each.pack()) for each in offered]
    (body,) = NegotiateRequest(
        list(dialects), SMB2_NEGOTIATE_SIGNING_REQUIRED, capabilities, bytes(16), contexts
    ).parts()
    body = bytes(body)
    # 2.2.3: ClientGuid is at 12, NegotiateContextOffset behind it. The salt ends the first context.
    if not contexts:
        return body[:12], body[28:], None
    salt_at = int.from_bytes(body[28:32], "little") - HEADER_SIZE + 8 + len(contexts[0].data) - _SALT_SIZE
    return body[:12], body[28:salt_at], body[salt_at + _SALT_SIZE :]
