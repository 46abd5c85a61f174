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
from dataclasses import dataclass, field
from typing import Final

from lanman.dtyp import FILETIME_EPOCH
from lanman.errors import MalformedMessage

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
_PRODUCT: Final = struct.Struct("<BBH")


def hmac_md5(key: bytes, data: bytes) -> bytes:
    """HMAC_MD5 of MS-NLMP section 6; 16 bytes."""
    return hmac.digest(key, data, "md5")


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


class RC4:
    """The RC4 key stream (MS-NLMP section 6, RC4Init and RC4).

    Not OpenSSL's, which has RC4 only where its legacy provider is installed; a log-on needs 16 bytes of it. The key is
    scheduled when it is first used: a log-on has two streams for signatures, and many clients neither send nor ask for
    one.
    """

    __slots__ = ("_i", "_j", "_key", "_state")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._state: list[int] | None = None
        self._i = self._j = 0

    def _schedule(self) -> list[int]:
        state = self._state = list(range(256))
        stretched = self._key * (256 // len(self._key) + 1)
        j = 0
        for i, value, byte in zip(range(256), state, stretched, strict=False):  # `value` is state[i] as it is by then
            j = (j + value + byte) & 255
            state[i] = state[j]
            state[j] = value
        return state

    def __call__(self, data: bytes) -> bytes:
        """`data` combined with the next bytes of the stream."""
        state, i, j = self._state or self._schedule(), self._i, self._j
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
    at = 0
    while at + 4 <= len(data):
        id, length = _AV.unpack_from(data, at)
        at += 4
        if id == MsvAvEOL:
            return pairs
        if at + length > len(data):
            raise MalformedMessage("AV_PAIR beyond the end of its list")
        pairs[id] = data[at : at + length]
        at += length
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
        fields = []
        payload = b""
        names = (name.encode("utf-16-le") for name in (self.domain_name, self.user_name, self.workstation))
        for value in (self.lm_response, self.nt_response, *names, self.encrypted_session_key):
            fields.append(_FIELDS.pack(len(value), len(value), 88 + len(payload)))
            payload += value
        head = SIGNATURE + AUTHENTICATE.to_bytes(4, "little") + b"".join(fields)
        return head + self.flags.to_bytes(4, "little") + VERSION + bytes(MIC_LENGTH) + payload

    @classmethod
    def unpack(cls, token: bytes) -> AuthenticateMessage:
        """Read the message. Raises MalformedMessage."""
        expect(token, AUTHENTICATE, 64)
        flags = int.from_bytes(token[60:64], "little")
        found = [_field(token, at) for at in range(12, 60, 8)]
        payload = min((offset for offset, _ in found if offset), default=len(token))
        lm, nt, domain, user, workstation, key = (content for _, content in found)
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
    """NTLM message signatures (3.4.4) by an exported session key, with the sequence numbers of both directions."""

    __slots__ = ("_flags", "_in", "_in_key", "_in_number", "_out", "_out_key", "_out_number")

    def __init__(self, flags: int, session_key: bytes, *, server: bool) -> None:
        ours, theirs = (b"server-to-client", b"client-to-server")[:: 1 if server else -1]
        self._flags = flags
        self._out_key = _sign_key(session_key, ours)
        self._in_key = _sign_key(session_key, theirs)
        self._out = RC4(_seal_key(flags, session_key, ours))
        self._in = RC4(_seal_key(flags, session_key, theirs))
        self._out_number = self._in_number = 0

    def sign(self, data: bytes) -> bytes:
        """The 16-byte NTLMSSP_MESSAGE_SIGNATURE of our next message."""
        self._out_number += 1
        return self._mac(self._out_key, self._out, self._out_number - 1, data)

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Whether `signature` is right for the peer's next message."""
        self._in_number += 1
        return hmac.compare_digest(self._mac(self._in_key, self._in, self._in_number - 1, data), signature)

    def seal(self, data: bytes) -> bytes:
        """`data` encrypted for the peer; its signature is made over the plain text right after (3.4.3)."""
        return self._out(data)

    def _mac(self, key: bytes, stream: RC4, number: int, data: bytes) -> bytes:
        # 3.4.4.2: with extended session security; the checksum is encrypted where a key was exchanged.
        sequence = number.to_bytes(4, "little")
        checksum = hmac_md5(key, sequence + data)[:8]
        if self._flags & NTLMSSP_NEGOTIATE_KEY_EXCH:
            checksum = stream(checksum)
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
_ANONYMOUS_ENCRYPTED_KEY: Final = rc4k(bytes(16), ANONYMOUS_SESSION_KEY)


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
