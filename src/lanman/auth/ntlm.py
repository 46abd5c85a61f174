"""NTLM (MS-NLMP): its messages, its keys and signatures, and the client's half of an anonymous log-on.

The halves of an NTLMv2 log-on are in `ntlm_client` and `ntlm_server`. Here:

  - Messages are NEGOTIATE, CHALLENGE and AUTHENTICATE (2.2.1). Names and responses lie behind the fixed part, in any
    order; their bounds are checked, and any bytes give a message or MalformedMessage.
  - `ntowf_v2` and `rc4k` derive the keys (3.3.2, 3.4.5.1). The session key that both sides end up with is what SMB
    signs and encrypts with.
  - `SessionSecurity` signs and seals with that key in both directions (3.4.4). It counts messages, so each signature is
    made or verified once and in order. Only extended session security is supported, never the weaker form.
  - An anonymous log-on has no secret: its key is 16 zero bytes.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Callable
from dataclasses import field
from functools import cache
from typing import TYPE_CHECKING, Final

from lanman.dtyp import FILETIME_EPOCH
from lanman.errors import MalformedMessage
from lanman.plain import dataclass

if TYPE_CHECKING:
    from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
    from cryptography.hazmat.primitives.ciphers import Cipher

SIGNATURE: Final = b"NTLMSSP\x00"

# 1.3.6.1.4.1.311.2.2.10
NTLMSSP_OID: Final = bytes.fromhex("2b06010401823702020a")

NEGOTIATE: Final = 1
CHALLENGE: Final = 2
AUTHENTICATE: Final = 3

# 2.2.2.5
NTLMSSP_NEGOTIATE_UNICODE: Final = 0x00000001
NTLMSSP_NEGOTIATE_OEM: Final = 0x00000002
NTLMSSP_REQUEST_TARGET: Final = 0x00000004
NTLMSSP_NEGOTIATE_SIGN: Final = 0x00000010
NTLMSSP_NEGOTIATE_SEAL: Final = 0x00000020
NTLMSSP_NEGOTIATE_NTLM: Final = 0x00000200
NTLMSSP_NEGOTIATE_ANONYMOUS: Final = 0x00000800
NTLMSSP_NEGOTIATE_ALWAYS_SIGN: Final = 0x00008000
NTLMSSP_TARGET_TYPE_SERVER: Final = 0x00020000
NTLMSSP_NEGOTIATE_EXTENDED_SESSIONSECURITY: Final = 0x00080000
NTLMSSP_NEGOTIATE_TARGET_INFO: Final = 0x00800000
NTLMSSP_NEGOTIATE_VERSION: Final = 0x02000000
NTLMSSP_NEGOTIATE_128: Final = 0x20000000
NTLMSSP_NEGOTIATE_KEY_EXCH: Final = 0x40000000
NTLMSSP_NEGOTIATE_56: Final = 0x80000000

OFFER: Final = (
    NTLMSSP_NEGOTIATE_UNICODE
    | NTLMSSP_REQUEST_TARGET
    | NTLMSSP_NEGOTIATE_SIGN
    | NTLMSSP_NEGOTIATE_NTLM
    | NTLMSSP_NEGOTIATE_ALWAYS_SIGN
    | NTLMSSP_NEGOTIATE_EXTENDED_SESSIONSECURITY
    | NTLMSSP_NEGOTIATE_VERSION
    | NTLMSSP_NEGOTIATE_128
    | NTLMSSP_NEGOTIATE_KEY_EXCH
    | NTLMSSP_NEGOTIATE_56
)
"""What our clients ask for (3.1.5.1.1)."""

SIGNS: Final = NTLMSSP_NEGOTIATE_SIGN | NTLMSSP_NEGOTIATE_EXTENDED_SESSIONSECURITY
"""Without both of them nothing can be signed soundly (3.4.4)."""

# 2.2.2.1
MsvAvEOL: Final = 0
MsvAvNbComputerName: Final = 1
MsvAvNbDomainName: Final = 2
MsvAvDnsComputerName: Final = 3
MsvAvDnsDomainName: Final = 4
MsvAvFlags: Final = 6
MsvAvTimestamp: Final = 7
MsvAvTargetName: Final = 9

# MsvAvFlags: the AUTHENTICATE message carries a MIC.
MIC_PROVIDED: Final = 0x00000002

# 2.2.2.10: major 6, minor 1, build 7601, NTLMSSP_REVISION_W2K3. Only its last byte has a meaning.
VERSION: Final = struct.pack("<BBH3xB", 6, 1, 7601, 0x0F)

MIC_LENGTH: Final = 16
_FIELDS: Final = struct.Struct("<HHI")
_AV: Final = struct.Struct("<HH")
# Length and offset of LmChallengeResponse, NtChallengeResponse, DomainName, UserName, Workstation and
# EncryptedRandomSessionKey; NegotiateFlags.
_AUTHENTICATE: Final = struct.Struct("<12x" + "H2xI" * 6 + "I")
# Signature, kind, the same fields with their maximum length, NegotiateFlags, Version and 16 zero bytes of MIC.
_AUTHENTICATE_HEAD: Final = struct.Struct("<8sI" + "HHI" * 6 + "I8s16x")
_PRODUCT: Final = struct.Struct("<BBH")


def hmac_md5(key: bytes, data: bytes) -> bytes:
    """HMAC_MD5 of MS-NLMP section 6; 16 bytes."""
    return hmac.digest(key, data, "md5")


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


class RC4:
    """The RC4 key stream (MS-NLMP section 6, RC4Init and RC4).

    OpenSSL's, or one of our own where its legacy provider, or a policy, does not let it have RC4; that takes six times
    as long. The key is scheduled when it is first used: a log-on has two streams for signatures, and many clients
    neither send nor ask for one.
    """

    __slots__ = ("_key", "_stream")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._stream: Callable[[bytes], bytes] | None = None

    def __call__(self, data: bytes) -> bytes:
        """`data` combined with the next bytes of the stream."""
        stream = self._stream
        if stream is None:
            stream = self._stream = _openssl_stream(self._key) or _Stream(self._key)
        return stream(data)


@cache
def _openssl() -> tuple[type[Cipher[None]], type[ARC4], type[Exception]]:
    """What makes OpenSSL's streams, imported when the first is made."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
    from cryptography.hazmat.primitives.ciphers import Cipher

    return Cipher, ARC4, UnsupportedAlgorithm


def _openssl_stream(key: bytes) -> Callable[[bytes], bytes] | None:
    """The stream of a 16-byte key; None where OpenSSL makes none."""
    cipher, arc4, unsupported = _openssl()
    try:
        return cipher(arc4(key), None).encryptor().update
    except (unsupported, ValueError):  # ValueError: it takes keys of some lengths only
        return None


class _Stream:
    """RC4 without OpenSSL."""

    __slots__ = ("_i", "_j", "_state")

    def __init__(self, key: bytes) -> None:
        self._i = self._j = 0
        state = self._state = list(range(256))
        stretched = key * (256 // len(key) + 1)
        j = 0
        for i, value, byte in zip(range(256), state, stretched, strict=False):  # `value` is state[i] as it is by then
            j = (j + value + byte) & 255
            state[i] = state[j]
            state[j] = value

    def __call__(self, data: bytes) -> bytes:
        """`data` combined with the next bytes of the stream."""
        state, i, j = self._state, self._i, self._j
        out = bytearray(len(data))
        for at, byte in enumerate(data):
            i = (i + 1) & 255
            value = state[i]
            j = (j + value) & 255
            state[i] = other = state[j]
            state[j] = value
            out[at] = byte ^ state[(value + other) & 255]
        self._i, self._j = i, j
        return bytes(out)


# --- messages


def message_type(token: bytes) -> int:
    """NEGOTIATE, CHALLENGE or AUTHENTICATE. Raises MalformedMessage when `token` is not an NTLM message."""
    if len(token) < 12 or token[:8] != SIGNATURE:
        raise MalformedMessage("not an NTLM message")
    return int.from_bytes(token[8:12], "little")


def expect(token: bytes, kind: int, size: int) -> None:
    """Raises MalformedMessage unless `token` is an NTLM message of that kind with at least `size` bytes."""
    if (found := message_type(token)) != kind:
        raise MalformedMessage(f"NTLM message {found}, expected {kind}")
    if len(token) < size:
        raise MalformedMessage(f"NTLM message {kind} of only {len(token)} bytes")


def _field(token: bytes, at: int) -> tuple[int, bytes]:
    """Offset and content of the (length, maximum length, offset) triple at `at`; offset 0 when it is empty."""
    length, _, offset = _FIELDS.unpack_from(token, at)
    if not length:
        return 0, b""
    if offset + length > len(token):
        raise MalformedMessage("NTLM field beyond the end of its message")
    return offset, token[offset : offset + length]


def _text(data: bytes, flags: int) -> str:
    # 2.2.1: OEM strings are in a code page that the message does not name; only systems before 2000 lack Unicode.
    if not flags & NTLMSSP_NEGOTIATE_UNICODE:
        return data.decode("cp1252", "replace")
    try:
        return data.decode("utf-16-le")
    except UnicodeDecodeError:
        raise MalformedMessage("NTLM name that is not UTF-16") from None


def pack_av_pairs(pairs: dict[int, bytes]) -> bytes:
    """AV_PAIRs in the order given, terminated by MsvAvEOL (2.2.2.1)."""
    return b"".join(_AV.pack(id, len(value)) + value for id, value in pairs.items()) + bytes(4)


def unpack_av_pairs(data: bytes) -> dict[int, bytes]:
    """The AV_PAIRs up to MsvAvEOL, which must be there; what follows it is ignored (2.2.2.1)."""
    pairs: dict[int, bytes] = {}
    at, size = 4, len(data)
    while at <= size:
        id, length = _AV.unpack_from(data, at - 4)
        if id == MsvAvEOL:
            return pairs
        end = at + length
        if end > size:
            raise MalformedMessage("AV_PAIR beyond the end of its list")
        pairs[id] = data[at:end]
        at = end + 4
    raise MalformedMessage("AV_PAIR list without its end")


def packed_filetime(now: float) -> bytes:
    """The FILETIME of MsvAvTimestamp and of a response, from seconds since 1970."""
    return struct.pack("<Q", int(now * 10_000_000) + FILETIME_EPOCH & 0xFFFFFFFFFFFFFFFF)


def pack_negotiate(flags: int) -> bytes:
    """NEGOTIATE_MESSAGE (2.2.1.1) without domain and workstation."""
    return SIGNATURE + NEGOTIATE.to_bytes(4, "little") + flags.to_bytes(4, "little") + bytes(16) + VERSION


@dataclass(slots=True)
class ChallengeMessage:
    """CHALLENGE_MESSAGE (2.2.1.2)."""

    flags: int
    server_challenge: bytes
    target_name: str = ""
    target_info: dict[int, bytes] = field(default_factory=dict)
    version: bytes = VERSION

    @property
    def product_version(self) -> tuple[int, int, int] | None:
        """Major, minor and build (2.2.2.10), which servers send for people to read; None where there is none."""
        found = _PRODUCT.unpack_from(self.version)
        return found if any(found) else None

    def name(self, id: int) -> str:
        """A name of the target information, "" where the server does not tell it."""
        return self.target_info.get(id, b"").decode("utf-16-le", "replace")

    @property
    def time(self) -> float | None:
        """The server's time, in seconds since 1970; None where it does not tell it."""
        stamp = self.target_info.get(MsvAvTimestamp, b"")
        return (int.from_bytes(stamp, "little") - FILETIME_EPOCH) / 10_000_000 if len(stamp) == 8 else None

    def pack(self) -> bytes:
        """The message, with a Version whatever the flags say, as Windows sends it."""
        name = self.target_name.encode("utf-16-le" if self.flags & NTLMSSP_NEGOTIATE_UNICODE else "cp1252", "replace")
        info = pack_av_pairs(self.target_info)
        return b"".join(
            (
                SIGNATURE,
                CHALLENGE.to_bytes(4, "little"),
                _FIELDS.pack(len(name), len(name), 56),
                self.flags.to_bytes(4, "little"),
                self.server_challenge,
                bytes(8),
                _FIELDS.pack(len(info), len(info), 56 + len(name)),
                self.version,
                name,
                info,
            )
        )

    @classmethod
    def unpack(cls, token: bytes) -> ChallengeMessage:
        """Read the message: 32 bytes are enough without NTLMSSP_NEGOTIATE_TARGET_INFO. Raises MalformedMessage."""
        expect(token, CHALLENGE, 32)
        flags = int.from_bytes(token[20:24], "little")
        info: dict[int, bytes] = {}
        if flags & NTLMSSP_NEGOTIATE_TARGET_INFO and len(token) >= 48:
            raw = _field(token, 40)[1]
            info = unpack_av_pairs(raw) if raw else {}
        told = flags & NTLMSSP_NEGOTIATE_VERSION and len(token) >= 56
        version = token[48:56] if told else bytes(len(VERSION))
        return cls(flags, token[24:32], _text(_field(token, 12)[1], flags), info, version)


@dataclass(slots=True)
class AuthenticateMessage:
    """AUTHENTICATE_MESSAGE (2.2.1.3). `mic_offset` is where the MIC is, 0 where there is no room for one."""

    flags: int
    lm_response: bytes = field(default=b"", repr=False)
    nt_response: bytes = field(default=b"", repr=False)
    domain_name: str = ""
    user_name: str = ""
    workstation: str = ""
    encrypted_session_key: bytes = field(default=b"", repr=False)
    mic_offset: int = 0

    @property
    def is_anonymous(self) -> bool:
        """3.2.5.1.2: no user name, no NT response, and an LM response that is empty or one zero byte."""
        return not self.user_name and not self.nt_response and self.lm_response in (b"", b"\x00")

    def pack(self) -> bytes:
        """The message with its Version and 16 zero bytes of MIC, names in Unicode."""
        values = (
            self.lm_response,
            self.nt_response,
            self.domain_name.encode("utf-16-le"),
            self.user_name.encode("utf-16-le"),
            self.workstation.encode("utf-16-le"),
            self.encrypted_session_key,
        )
        fields: list[int] = []
        at = 88
        for value in values:
            size = len(value)
            fields += (size, size, at)
            at += size
        return _AUTHENTICATE_HEAD.pack(SIGNATURE, AUTHENTICATE, *fields, self.flags, VERSION) + b"".join(values)

    @classmethod
    def unpack(cls, token: bytes) -> AuthenticateMessage:
        """Read the message. Raises MalformedMessage."""
        expect(token, AUTHENTICATE, 64)
        size = payload = len(token)
        values = _AUTHENTICATE.unpack_from(token)
        flags = values[12]
        found = []
        for length, offset in zip(values[0:12:2], values[1:12:2], strict=True):
            if length and 0 < offset < payload:
                payload = offset
            if length and offset + length > size:
                raise MalformedMessage("NTLM field beyond the end of its message")
            found.append(token[offset : offset + length] if length else b"")
        lm, nt, domain, user, workstation, key = found
        return cls(
            flags,
            lm,
            nt,
            _text(domain, flags),
            _text(user, flags),
            _text(workstation, flags),
            key,
            # Windows always sends Version and MIC; some clients leave the Version out when it was not negotiated.
            72 if payload >= 88 else 64 if payload >= 80 else 0,
        )


# --- keys


def ntowf_v2(hash: bytes, user_name: str, domain: str) -> bytes:
    """ResponseKeyNT (3.3.2, NTOWFv2) from an NT hash; only the user name is upper-cased, and that by the caller."""
    return hmac_md5(hash, (user_name + domain).encode("utf-16-le", "surrogatepass"))


def rc4k(key: bytes, data: bytes) -> bytes:
    """RC4K of MS-NLMP section 6: `data` under a fresh stream."""
    return RC4(key)(data)


class SessionSecurity:
    """NTLM message signatures (3.4.4) by an exported session key, with the sequence numbers of both directions. Many
    clients neither send nor ask for one, so the keys of a direction are derived for its first."""

    __slots__ = ("_flags", "_in", "_key", "_out", "_server")

    def __init__(self, flags: int, session_key: bytes, *, server: bool) -> None:
        self._flags = flags
        self._key = session_key
        self._server = server
        self._in: _Direction | None = None
        self._out: _Direction | None = None

    def sign(self, data: bytes) -> bytes:
        """The 16-byte NTLMSSP_MESSAGE_SIGNATURE of our next message."""
        return self._outward.mac(data)

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Whether `signature` is right for the peer's next message."""
        if self._in is None:
            self._in = _Direction(self._flags, self._key, _FROM_CLIENT if self._server else _FROM_SERVER)
        return hmac.compare_digest(self._in.mac(data), signature)

    def seal(self, data: bytes) -> bytes:
        """`data` encrypted for the peer; its signature is made over the plain text right after (3.4.3)."""
        return self._outward.stream(data)

    @property
    def _outward(self) -> _Direction:
        if self._out is None:
            self._out = _Direction(self._flags, self._key, _FROM_SERVER if self._server else _FROM_CLIENT)
        return self._out


_FROM_CLIENT: Final = b"client-to-server"
_FROM_SERVER: Final = b"server-to-client"


class _Direction:
    """What is signed and sealed in one direction: its keys, its stream, and how many signatures there were."""

    __slots__ = ("_encrypts", "_key", "_number", "stream")

    def __init__(self, flags: int, session_key: bytes, direction: bytes) -> None:
        self._key = _sign_key(session_key, direction)
        self._encrypts = flags & NTLMSSP_NEGOTIATE_KEY_EXCH != 0
        self._number = 0
        self.stream = RC4(_seal_key(flags, session_key, direction))

    def mac(self, data: bytes) -> bytes:
        """The signature of its next message."""
        # 3.4.4.2: with extended session security; the checksum is encrypted where a key was exchanged.
        sequence = self._number.to_bytes(4, "little")
        self._number += 1
        checksum = hmac_md5(self._key, sequence + data)[:8]
        if self._encrypts:
            checksum = self.stream(checksum)
        return b"\x01\x00\x00\x00" + checksum + sequence


def _sign_key(session_key: bytes, direction: bytes) -> bytes:
    # 3.4.5.2; the constants include their terminating zero.
    return _md5(session_key + b"session key to " + direction + b" signing key magic constant\x00")


def _seal_key(flags: int, session_key: bytes, direction: bytes) -> bytes:
    # 3.4.5.3
    strength = 16 if flags & NTLMSSP_NEGOTIATE_128 else 7 if flags & NTLMSSP_NEGOTIATE_56 else 5
    return _md5(session_key[:strength] + b"session key to " + direction + b" sealing key magic constant\x00")


def security_context(flags: int, session_key: bytes, *, server: bool) -> SessionSecurity | None:
    """What signs for these negotiated flags; None where signing, or extended session security, was not negotiated."""
    return SessionSecurity(flags, session_key, server=server) if flags & SIGNS == SIGNS else None


# --- the anonymous client

# RC4 under the anonymous key, 16 zero bytes, keeps nothing secret, so the exchanged key may be those zeros too.
ANONYMOUS_SESSION_KEY: Final = bytes(16)
_ANONYMOUS_ENCRYPTED_KEY: Final = _Stream(bytes(16))(ANONYMOUS_SESSION_KEY)


def anonymous_negotiate() -> bytes:
    """The NEGOTIATE_MESSAGE of a client that will log on anonymously (2.2.1.1)."""
    return pack_negotiate(OFFER)


def anonymous_authenticate(challenge: bytes) -> bytes:
    """The AUTHENTICATE_MESSAGE of an anonymous log-on (3.1.5.1.2, 3.3.2). Raises MalformedMessage.

    No names, no NT response, an LM response of one zero byte. Whether or not a key is exchanged, the session key is
    ANONYMOUS_SESSION_KEY.
    """
    server = ChallengeMessage.unpack(challenge)
    flags = OFFER & server.flags | NTLMSSP_NEGOTIATE_ANONYMOUS | NTLMSSP_NEGOTIATE_UNICODE
    key = _ANONYMOUS_ENCRYPTED_KEY if flags & NTLMSSP_NEGOTIATE_KEY_EXCH else b""
    return AuthenticateMessage(flags, lm_response=b"\x00", encrypted_session_key=key).pack()
