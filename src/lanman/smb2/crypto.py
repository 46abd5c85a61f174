"""Keys, signatures and encryption (MS-SMB2 3.1.4).

Only keys are kept, so an idle session takes a few hundred bytes: a cipher object takes 1 µs to make and 2.5 KiB.
A nonce is a counter behind a random prefix. It cannot repeat under one key as long as one Encryptor counts for it, so
the channels of a session share that object. What comes from the peer is compared in constant time.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM
from cryptography.hazmat.primitives.cmac import CMAC

from lanman.errors import RemoteProtocolError
from lanman.smb2.constants import (
    AES_128_CCM,
    AES_128_GCM,
    AES_256_CCM,
    AES_256_GCM,
    AES_CMAC,
    AES_GMAC,
    HMAC_SHA256,
    Dialect,
)
from lanman.smb2.header import NO_SIGNATURE, SIGNATURE_AT, TRANSFORM_SIZE, TransformHeader
from lanman.wire import Data

# Below this a message is signed in one piece: joining it costs less than the calls saved.
_SMALL: Final = 8192
_TAG_SIZE: Final = 16
_CCM: Final = frozenset({AES_128_CCM, AES_256_CCM})
_KEY_SIZES: Final = {AES_128_CCM: 16, AES_128_GCM: 16, AES_256_CCM: 32, AES_256_GCM: 32}


def preauth_hash(previous: bytes, message: Data) -> bytes:
    """The pre-authentication integrity hash with one more message in it (3.2.5.2, 3.3.5.4): SHA-512, 64 bytes."""
    digest = hashlib.sha512(previous)
    digest.update(message)
    return digest.digest()


def derive_key(key: bytes, label: bytes, context: bytes, size: int = 16) -> bytes:
    """SP800-108 in counter mode with HMAC-SHA256 (3.1.4.2). `size` is in bytes, at most 32: one block is enough."""
    block = b"\0\0\0\1" + label + b"\0" + context + (size * 8).to_bytes(4, "big")
    return hmac.digest(key, block, "sha256")[:size]


@dataclass(slots=True)
class Keys:
    """The keys of one session. `client_to_server` and `server_to_client` are empty where nothing can be encrypted."""

    signing: bytes
    client_to_server: bytes = b""
    server_to_client: bytes = b""

    def __repr__(self) -> str:
        return "Keys(...)"


def signing_key(dialect: int, session_key: bytes, preauth: bytes) -> bytes:
    """The 16-byte key that signs: of a session (3.2.5.3.1, 3.3.5.5.3), or of a further channel (3.2.5.3.3).

    `session_key` is that of the log-on which established the session or bound the channel. `preauth` is the hash of
    that log-on on its own connection; it counts in 3.1.1 only.
    """
    short = _short(session_key)
    if dialect < Dialect.SMB_3_0:
        return short
    if dialect < Dialect.SMB_3_1_1:
        return derive_key(short, b"SMB2AESCMAC\0", b"SmbSign\0")
    return derive_key(short, b"SMBSigningKey\0", preauth)


def session_keys(dialect: int, session_key: bytes, preauth: bytes, cipher: int) -> Keys:
    """What a session's key becomes in each dialect (3.2.5.3.1, 3.3.5.5.3).

    `preauth` counts in 3.1.1 only, `cipher` is 0 where there is none. AES-256 takes the whole session key, the rest the
    first 16 bytes.
    """
    signing = signing_key(dialect, session_key, preauth)
    if dialect < Dialect.SMB_3_0 or not cipher:
        return Keys(signing)
    short = _short(session_key)
    if dialect < Dialect.SMB_3_1_1:
        inward = derive_key(short, b"SMB2AESCCM\0", b"ServerIn \0")
        return Keys(signing, inward, derive_key(short, b"SMB2AESCCM\0", b"ServerOut\0"))
    size = _KEY_SIZES[cipher]
    whole = session_key if size == 32 else short
    inward = derive_key(whole, b"SMBC2SCipherKey\0", preauth, size)
    return Keys(signing, inward, derive_key(whole, b"SMBS2CCipherKey\0", preauth, size))


def _short(session_key: bytes) -> bytes:
    """Session.SessionKey: the first 16 bytes, padded with zeros."""
    return session_key[:16].ljust(16, b"\0")


def signing_nonce(message_id: int, *, response: bool, cancel: bool) -> bytes:
    """The 12-byte nonce of an AES-GMAC signature (3.1.4.1): the message id, the sender, and whether it is a CANCEL."""
    return message_id.to_bytes(8, "little") + bytes((response | cancel << 1, 0, 0, 0))


def sign(algorithm: int, key: bytes, parts: Sequence[Data], nonce: bytes) -> bytes:
    """The 16 bytes of signature of a message given in parts, whose Signature field is zero (3.1.4.1)."""
    whole: Data | None = None
    if len(parts) == 1:
        whole = parts[0]
    elif sum(map(len, parts)) <= _SMALL:
        whole = b"".join(parts)
    if algorithm == AES_CMAC:
        cmac = CMAC(AES(key))
        for part in (whole,) if whole is not None else parts:
            cmac.update(part)  # type: ignore[arg-type]  # any buffer is accepted; the annotation says bytes
        return cmac.finalize()
    if algorithm == AES_GMAC:
        if whole is not None:
            return AESGCM(key).encrypt(nonce, b"", whole)
        encryptor = Cipher(AES(key), GCM(nonce)).encryptor()
        for part in parts:
            encryptor.authenticate_additional_data(part)
        encryptor.finalize()
        return encryptor.tag
    if algorithm == HMAC_SHA256:
        if whole is not None:
            return hmac.digest(key, whole, "sha256")[:16]
        digest = hmac.new(key, digestmod="sha256")
        for part in parts:
            digest.update(part)
        return digest.digest()[:16]
    raise ValueError(f"no signing algorithm {algorithm}")


def verify(algorithm: int, key: bytes, pdu: memoryview, nonce: bytes) -> bool:
    """Whether the signature in a message's header is right."""
    expected = sign(algorithm, key, (pdu[:SIGNATURE_AT], NO_SIGNATURE, pdu[SIGNATURE_AT + 16 :]), nonce)
    return hmac.compare_digest(expected, pdu[SIGNATURE_AT : SIGNATURE_AT + 16])


def nonce_size(cipher: int) -> int:
    """Bytes of nonce: 11 for CCM, 12 for GCM (2.2.41)."""
    return 11 if cipher in _CCM else 12


def _aead(cipher: int, key: bytes) -> AESCCM | AESGCM:
    return AESCCM(key) if cipher in _CCM else AESGCM(key)


class Encryptor:
    """Encrypts what one side sends in one session, on all its channels (3.1.4.3).

    Each nonce is new: a counter behind random bytes. There must be one Encryptor for a key: never copy one.
    """

    __slots__ = ("_cipher", "_count", "_key", "_prefix", "_session_id")

    def __init__(self, cipher: int, key: bytes, session_id: int, random: Callable[[int], bytes]) -> None:
        self._cipher = cipher
        self._key = key
        self._session_id = session_id
        self._prefix = random(nonce_size(cipher) - 8)
        self._count = 0

    def encrypt(self, message: Data) -> list[Data]:
        """TRANSFORM_HEADER and ciphertext of one message or compound."""
        nonce = self._prefix + self._count.to_bytes(8, "little")
        self._count += 1
        header = TransformHeader(nonce.ljust(16, b"\0"), len(message), self._session_id).pack()
        encrypted = _aead(self._cipher, self._key).encrypt(nonce, message, header[20:])
        return [header[:4] + encrypted[-_TAG_SIZE:] + header[20:], memoryview(encrypted)[:-_TAG_SIZE]]


def decrypt(cipher: int, key: bytes, header: TransformHeader, frame: memoryview) -> bytes:
    """The message in an encrypted frame. Raises RemoteProtocolError if its authentication tag is wrong."""
    nonce = header.nonce[: nonce_size(cipher)]
    encrypted = b"".join((frame[TRANSFORM_SIZE:], header.signature))
    try:
        return _aead(cipher, key).decrypt(nonce, encrypted, bytes(frame[20:TRANSFORM_SIZE]))
    except InvalidTag:
        raise RemoteProtocolError("an encrypted message was changed in transit") from None
