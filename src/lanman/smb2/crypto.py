"""Keys, signatures and encryption (MS-SMB2 3.1.4).

Only keys are kept, so an idle session takes a few hundred bytes: a cipher object takes 1 µs to make and 2.5 KiB.
A nonce is a counter behind a random prefix. It cannot repeat under one key as long as one Encryptor counts for it, so
the channels of a session share that object. What comes from the peer is compared in constant time.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Callable, Sequence
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
SMALL: Final = 8192
_TAG_SIZE: Final = 16
_NONCE: Final = struct.Struct("<QB3x")

# From here on a message is encrypted and decrypted where it is: the calls that it takes more cost less than the copies.
_LARGE: Final = 32768
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


def encryption_keys(dialect: int, session_key: bytes, preauth: bytes, cipher: int) -> tuple[bytes, bytes]:
    """The keys of what the client sends and of what the server sends (3.2.5.3.1, 3.3.5.5.3); empty below 3.0.

    `preauth` counts in 3.1.1 only. AES-256 takes the whole session key, the rest the first 16 bytes.
    """
    if dialect < Dialect.SMB_3_0:
        return b"", b""
    short = _short(session_key)
    if dialect < Dialect.SMB_3_1_1:
        inward = derive_key(short, b"SMB2AESCCM\0", b"ServerIn \0")
        return inward, derive_key(short, b"SMB2AESCCM\0", b"ServerOut\0")
    size = _KEY_SIZES[cipher]
    whole = session_key if size == 32 else short
    inward = derive_key(whole, b"SMBC2SCipherKey\0", preauth, size)
    return inward, derive_key(whole, b"SMBS2CCipherKey\0", preauth, size)


def _short(session_key: bytes) -> bytes:
    """Session.SessionKey: the first 16 bytes, padded with zeros."""
    return session_key[:16].ljust(16, b"\0")


def signing_nonce(message_id: int, *, response: bool, cancel: bool) -> bytes:
    """The 12-byte nonce of an AES-GMAC signature (3.1.4.1): the message id, the sender, and whether it is a CANCEL."""
    return _NONCE.pack(message_id, response | cancel << 1)


def sign(algorithm: int, key: bytes, parts: Sequence[Data], nonce: bytes) -> bytes:
    """The 16 bytes of signature of a message given in parts, whose Signature field is zero (3.1.4.1)."""
    whole: Data | None = None
    if len(parts) == 1:
        whole = parts[0]
    elif sum(map(len, parts)) <= SMALL:
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


def signer(algorithm: int, key: bytes) -> Callable[[Data, int, bool], bytes]:
    """`sign` of whole messages that are no CANCEL, by a message, its id and whether it is a response, for a key that is
    used again and again: with AES-GMAC its cipher is made once."""
    if algorithm != AES_GMAC:
        return lambda whole, message_id, response: sign(algorithm, key, (whole,), b"")
    encrypt, nonce = AESGCM(key).encrypt, _NONCE.pack
    return lambda whole, message_id, response: encrypt(nonce(message_id, response), b"", whole)


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
        nonce, header = self._next(len(message))
        encrypted = _aead(self._cipher, self._key).encrypt(nonce, message, header[20:])
        return [header[:4] + encrypted[-_TAG_SIZE:] + header[20:], memoryview(encrypted)[:-_TAG_SIZE]]

    def encrypt_parts(self, parts: Sequence[Data], *, in_place: bool) -> list[Data]:
        """The same of a message in parts. `in_place`: large buffers that can be written to are encrypted where they
        are, since nobody needs their contents any more."""
        size = sum(map(len, parts))
        if size < _LARGE or self._cipher in _CCM:  # OpenSSL has CCM in one piece only
            return self.encrypt(b"".join(parts))
        nonce, header = self._next(size)
        encryptor = Cipher(AES(self._key), GCM(nonce)).encryptor()
        encryptor.authenticate_additional_data(header[20:])
        encrypted: list[Data] = []
        for part in parts:
            view = memoryview(part)
            if in_place and len(view) >= _LARGE and not view.readonly:
                encryptor.update_into(view, view)
                encrypted.append(view)
            else:
                encrypted.append(encryptor.update(view))
        encryptor.finalize()
        return [header[:4] + encryptor.tag + header[20:], *encrypted]

    def _next(self, size: int) -> tuple[bytes, bytes]:
        """A nonce that was not used before, and the TRANSFORM_HEADER with it."""
        nonce = self._prefix + self._count.to_bytes(8, "little")
        self._count += 1
        return nonce, TransformHeader(nonce.ljust(16, b"\0"), size, self._session_id).pack()


def decrypt(cipher: int, key: bytes, header: TransformHeader, frame: memoryview) -> Data:
    """The message in an encrypted frame; of a large one whose buffer can be written to it takes the place. Raises
    RemoteProtocolError if its authentication tag is wrong."""
    nonce = header.nonce[: nonce_size(cipher)]
    try:
        if len(frame) >= _LARGE and not frame.readonly and cipher not in _CCM:
            message = frame[TRANSFORM_SIZE:]
            decryptor = Cipher(AES(key), GCM(nonce, header.signature)).decryptor()
            decryptor.authenticate_additional_data(frame[20:TRANSFORM_SIZE])
            decryptor.update_into(message, message)
            decryptor.finalize()  # before that nobody looks at it
            return message
        encrypted = b"".join((frame[TRANSFORM_SIZE:], header.signature))
        return _aead(cipher, key).decrypt(nonce, encrypted, bytes(frame[20:TRANSFORM_SIZE]))
    except InvalidTag:
        raise RemoteProtocolError("an encrypted message was changed in transit") from None
