"""The keys of a session and of its channels (MS-SMB2 3.1.4.2, 3.3.1.8, 3.3.1.14).

Rules:

* A session's encryption keys come from its first log-on and belong to the session: every channel encrypts and decrypts
  with them. On each side there is one `SessionKeys` object for a session, and all connections that are its channels
  hold that object. Its `encryptor` counts the nonces; a copy would use a nonce twice under one key, which breaks
  AES-GCM and AES-CCM.
* A channel signs with its own key. That of the first channel is the session's (`SessionKeys.signing_key`). A further
  channel derives one from the log-on that binds it (3.2.5.3.3, 3.3.5.5.3); until then its messages are signed with
  `SessionKeys.signing_key`, by the algorithm of the session's first connection. The channel's is its own.
* A renewed log-on (3.3.5.5.2) changes no key.
* AES-GMAC takes its nonce from the MessageId (3.1.4.1). The messages that bind a channel have low MessageIds on their
  own connection and are signed with the session's key, which has signed those MessageIds on the first one. So a server
  that offers multichannel negotiates another algorithm wherever the client has one; no session is bound that was set up
  without multichannel, or from AES-GMAC to another algorithm or back.
* An anonymous or guest session has no keys. It is unprotected and has one channel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from lanman.codes import (
    STATUS_INVALID_PARAMETER,
    STATUS_NOT_SUPPORTED,
    STATUS_REQUEST_NOT_ACCEPTED,
    STATUS_REQUEST_OUT_OF_SEQUENCE,
)
from lanman.errors import LocalProtocolError
from lanman.smb2 import crypto
from lanman.smb2.constants import AES_GMAC, Dialect
from lanman.wire import Data

_PREAUTH_SIZE: Final = 64


class Agreed(Protocol):
    """What a connection has negotiated, as far as a binding depends on it."""

    dialect: int
    cipher: int
    signing_algorithm: int


class SessionKeys:
    """The keys that all channels of one session share, and what must be done with them.

    `protected` is false for an anonymous or guest session, and then there are no keys. `encrypt` (Session.EncryptData)
    demands that every message is encrypted. `decryption_key` (of what the peer sends) is empty where no cipher was
    negotiated; it and the key of `encryptor` are derived when one of them is first needed, since most sessions never
    encrypt. `signing_required` (Session.SigningRequired) is what a server demands of its client;
    a client always demands it. `signing_algorithm` is that of its first connection; `multichannel`: that has negotiated
    multichannel.
    """

    __slots__ = (
        "_encryption",
        "_encryptor",
        "_is_server",
        "_random",
        "cipher",
        "dialect",
        "encrypt",
        "multichannel",
        "protected",
        "session_id",
        "signing_algorithm",
        "signing_key",
        "signing_required",
    )

    def __init__(self, session_id: int, dialect: int, signing_algorithm: int, *, multichannel: bool = False) -> None:
        self.session_id = session_id
        self.dialect = dialect
        self.signing_algorithm = signing_algorithm
        self.multichannel = multichannel
        self.cipher = 0
        self.protected = False
        self.encrypt = False
        self.signing_key = b""
        self.signing_required = True
        # The keys that encrypt; until they are needed what they come from, the log-on's hash and the session key.
        self._encryption: tuple[bytes, bytes] | bytes = (b"", b"")
        self._is_server = False
        self._encryptor: crypto.Encryptor | None = None
        self._random: Callable[[int], bytes] | None = None

    def derive(
        self, session_key: bytes, preauth: bytes, cipher: int, random: Callable[[int], bytes], *, server: bool
    ) -> None:
        """Derive the keys of a protected session for one side (3.1.4.2).

        `session_key` is what the GSS exchange of the first log-on gave, `preauth` that log-on's hash (3.1.1 only),
        `cipher` what was negotiated, 0 for none. `random(n)` gives n unpredictable bytes, for the nonces' prefix.
        """
        self.protected = True
        self.signing_key = crypto.signing_key(self.dialect, session_key, preauth)
        if cipher:
            self.cipher = cipher
            self._encryption = preauth.ljust(_PREAUTH_SIZE, b"\0") + session_key
            self._is_server = server
            self._random = random

    def _encryption_keys(self) -> tuple[bytes, bytes]:
        """Those of what this side sends and of what the peer sends; empty where nothing can be encrypted."""
        if isinstance(self._encryption, bytes):
            preauth, session_key = self._encryption[:_PREAUTH_SIZE], self._encryption[_PREAUTH_SIZE:]
            inward, outward = crypto.encryption_keys(self.dialect, session_key, preauth, self.cipher)
            self._encryption = (outward, inward) if self._is_server else (inward, outward)
        return self._encryption

    @property
    def decryption_key(self) -> bytes:
        """That of what the peer sends; empty where nothing can be encrypted."""
        return self._encryption_keys()[1]

    @property
    def encryptor(self) -> crypto.Encryptor | None:
        """What encrypts for all channels of the session; None where no cipher was negotiated. Most sessions never
        encrypt, so it is made for the first message."""
        if self._encryptor is None and self._random is not None:
            self._encryptor = crypto.Encryptor(self.cipher, self._encryption_keys()[0], self.session_id, self._random)
        return self._encryptor

    def refusal_of_binding(self, agreed: Agreed, *, multichannel: bool = True) -> int:
        """Why a connection that has agreed on this may not be a channel of the session; 0 if it may (3.3.5.5).
        `multichannel`: whether this side has it at all (IsMultiChannelCapable).

        What is specified as one check after the other (dialect 2.x, another dialect) comes behind what Windows checks
        before (smbtorture's session.bind_negative_*): AES-GMAC goes with AES-GMAC alone. The cipher must be the same
        because the encryption keys are.
        """
        if (self.signing_algorithm == AES_GMAC) != (agreed.signing_algorithm == AES_GMAC):
            return STATUS_NOT_SUPPORTED if agreed.signing_algorithm == AES_GMAC else STATUS_REQUEST_OUT_OF_SEQUENCE
        if agreed.dialect < Dialect.SMB_3_0 or not multichannel:
            return STATUS_REQUEST_NOT_ACCEPTED
        if agreed.dialect != self.dialect or (self.protected and agreed.cipher != self.cipher):
            return STATUS_INVALID_PARAMETER
        return 0 if self.multichannel else STATUS_REQUEST_NOT_ACCEPTED

    def check_binding(self, agreed: Agreed) -> None:
        """Raise LocalProtocolError unless a connection that has agreed on this may be a channel (3.2.4.2.3)."""
        if not self.protected:
            raise LocalProtocolError("an anonymous or guest session cannot be bound to another connection")
        if self.dialect < Dialect.SMB_3_0 or agreed.dialect != self.dialect:
            raise LocalProtocolError(
                f"a session of dialect {self.dialect:#06x} cannot be bound in {agreed.dialect:#06x}"
            )
        if agreed.cipher != self.cipher:
            raise LocalProtocolError("a session cannot be bound to a connection with another cipher")
        if self.refusal_of_binding(agreed):
            raise LocalProtocolError("a session cannot be bound without multichannel, or from or to AES-GMAC")


class Channel:
    """A session on one connection: the session's keys, and the key that signs on this connection (3.3.1.14).
    `large_frames`: on account of it a server takes frames as long as was negotiated. `signer`: `crypto.signer` of that
    key, which a client keeps; a server has too many channels for that."""

    __slots__ = ("keys", "large_frames", "signer", "signing_key")

    def __init__(self, keys: SessionKeys, signing_key: bytes) -> None:
        self.keys = keys
        self.large_frames = False
        self.signer: Callable[[Data, int, bool], bytes] | None = None
        self.signing_key = signing_key
