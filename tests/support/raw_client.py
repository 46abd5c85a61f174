"""A client of `World` that sends what its test says, byte by byte: it checks nothing and signs only when it is told to.

raw = RawClient(world, Dialect.SMB_3_1_1)
raw.begin_log_on("ann")
answers = raw.send(raw.compound([raw.last_leg(), TreeConnectRequest(...)]))
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from lanman.net.credentials import Credentials
from lanman.net.initiators import initiator_for
from lanman.smb2 import crypto
from lanman.smb2.connection import Negotiated
from lanman.smb2.constants import (
    AES_CMAC,
    AES_GMAC,
    HMAC_SHA256,
    SHA_512,
    SMB2_CANCEL,
    SMB2_FLAGS_RELATED_OPERATIONS,
    SMB2_FLAGS_SIGNED,
    SMB2_PREAUTH_INTEGRITY_CAPABILITIES,
    SMB2_SIGNING_CAPABILITIES,
    Dialect,
)
from lanman.smb2.header import Header
from lanman.smb2.messages import (
    Message,
    NegotiateContext,
    NegotiateRequest,
    PreauthIntegrityCapabilities,
    SessionSetupRequest,
    SessionSetupResponse,
    SigningCapabilities,
)
from support.memory_server import World
from support.passwords import PASSWORD

Answer = tuple[Header, memoryview]


class _NoCore:
    """What World.pump asks a client for: it has nothing to send by itself."""

    def data_to_send(self) -> list[bytes]:
        return []


class RawClient:
    """One connection that has negotiated. `session_id` and `key` are those of the last log-on that succeeded."""

    def __init__(self, world: World, dialect: Dialect = Dialect.SMB_3_1_1, *, address: str = "192.0.2.99") -> None:
        connection = world.dispatch.connect(address, world.now)
        assert connection is not None
        self.world = world
        self.connection = connection
        self.core = _NoCore()
        self.finished = ""
        self.dialect = dialect
        self.next_id = 0
        self.session_id = self.tree_id = 0
        self.key = b""
        self.answers: list[Answer] = []
        self._bytes = b""
        self._initiator: Any = None
        self._hash = bytes(64)
        world.clients[connection.connection_id] = self  # type: ignore[assignment]
        self._negotiate()

    def _negotiate(self) -> None:
        contexts = []
        if self.dialect == Dialect.SMB_3_1_1:
            preauth = PreauthIntegrityCapabilities([SHA_512], os.urandom(32))
            signing = SigningCapabilities([AES_GMAC])
            contexts = [
                NegotiateContext(SMB2_PREAUTH_INTEGRITY_CAPABILITIES, preauth.pack()),
                NegotiateContext(SMB2_SIGNING_CAPABILITIES, signing.pack()),
            ]
        pdu = self.pdu(NegotiateRequest([self.dialect], 1, 0, bytes(16), contexts), credits=31)
        ((_, answer),) = self.send(pdu)
        self._hash = crypto.preauth_hash(crypto.preauth_hash(self._hash, pdu), answer)
        self.algorithm = AES_CMAC if self.dialect >= Dialect.SMB_3_0 else HMAC_SHA256
        if self.dialect == Dialect.SMB_3_1_1:
            self.algorithm = AES_GMAC

    @property
    def negotiated(self) -> Negotiated:
        assert self.connection.core.negotiated is not None
        return self.connection.core.negotiated

    # --- what World asks of a client ---

    def deliver(self, data: bytes) -> None:
        self._bytes += data
        while len(self._bytes) >= 4 and len(self._bytes) >= (size := 4 + int.from_bytes(self._bytes[:4], "big")):
            frame, self._bytes = memoryview(self._bytes[4:size]), self._bytes[size:]
            while True:
                header = Header.unpack(frame)
                following = header.next_command
                self.answers.append((header, frame[:following] if following else frame))
                if not following:
                    break
                frame = frame[following:]

    # --- requests ---

    def header(self, message: Message, **fields: Any) -> Header:
        fields = {"session_id": self.session_id, "tree_id": self.tree_id, "credits": 64, "credit_charge": 1, **fields}
        if self.dialect == Dialect.SMB_2_0_2:
            fields["credit_charge"] = 0
        header = Header(message.command, self.next_id, **fields)
        self.next_id += max(header.credit_charge, 1)
        return header

    def pdu(self, message: Message, **fields: Any) -> bytes:
        """A request that is not signed."""
        return self.header(message, **fields).pack() + message.pack()

    def signed(self, message: Message, *, more: bool = False, **fields: Any) -> bytes:
        """A request that is signed with the session's key. `more`: another follows in its frame."""
        header, body = self.header(message, **fields), message.pack()
        header.flags |= SMB2_FLAGS_SIGNED
        if more:
            body += bytes(-len(body) % 8)
            header.next_command = 64 + len(body)
        bare = header.pack()
        nonce = crypto.signing_nonce(header.message_id, response=False, cancel=header.command == SMB2_CANCEL)
        return bare[:48] + crypto.sign(self.algorithm, self.key, [bare, body], nonce) + body

    def compound(self, messages: Sequence[Message], *, related: bool = False, **fields: Any) -> bytes:
        """Requests of one frame, none of them signed."""
        parts = []
        for number, message in enumerate(messages):
            flags = SMB2_FLAGS_RELATED_OPERATIONS if related and number else 0
            header, body = self.header(message, flags=flags, **fields), message.pack()
            if number < len(messages) - 1:
                body += bytes(-len(body) % 8)
                header.next_command = 64 + len(body)
            parts.append(header.pack() + body)
        return b"".join(parts)

    def send(self, *frames: bytes, pump: bool = True) -> list[Answer]:
        """Send frames in one piece; what is answered, if it is waited for."""
        data = b"".join(len(frame).to_bytes(4, "big") + frame for frame in frames)
        self.connection.receive_data(data, self.world.now)
        if pump:
            self.world.pump()
        answers, self.answers = self.answers, []
        return answers

    def statuses(self, *frames: bytes) -> list[int]:
        """Send frames; the statuses of what is answered."""
        return [header.status for header, _ in self.send(*frames)]

    # --- a log-on ---

    def begin_log_on(self, user: str = "", password: str = PASSWORD, *, session_id: int = 0, sign: bool = False) -> int:
        """The first round trip; the id of the session that is to be. `sign` it when a session with keys is renewed."""
        credentials = Credentials(user, password) if user else Credentials(anonymous=True)
        self._initiator = initiator_for(credentials, "server")
        make = self.signed if sign else self.pdu
        pdu = make(_setup(self._initiator.step(None)), session_id=session_id, tree_id=0)
        ((header, answer),) = self.send(pdu)
        self._token = self._initiator.step(bytes(SessionSetupResponse.unpack(answer).security_buffer))
        self._leg_hash = crypto.preauth_hash(crypto.preauth_hash(self._hash, pdu), answer)
        self.session_id = header.session_id
        return self.session_id

    def last_leg(self) -> SessionSetupRequest:
        """The message that ends the log-on which has begun."""
        return _setup(self._token)

    def log_on(self, user: str = "", password: str = PASSWORD) -> int:
        """All of a new log-on, whose keys are then known; its status."""
        self.begin_log_on(user, password)
        pdu = self.pdu(self.last_leg(), tree_id=0)
        ((header, _),) = self.send(pdu)
        if not header.status:
            preauth = crypto.preauth_hash(self._leg_hash, pdu)
            self.key = crypto.signing_key(self.dialect, self._initiator.session_key, preauth)
        return header.status

    def renew(self, user: str = "", password: str = PASSWORD, *, sign: bool = True) -> Answer:
        """All of a renewed log-on of the current session; the last answer."""
        self.begin_log_on(user, password, session_id=self.session_id, sign=sign)
        make = self.signed if sign else self.pdu
        (answer,) = self.send(make(self.last_leg(), tree_id=0))
        return answer


def _setup(token: bytes | None) -> SessionSetupRequest:
    return SessionSetupRequest(0, 1, 0, 0, token or b"", 0)
