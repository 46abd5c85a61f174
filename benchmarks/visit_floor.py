"""The least that a visit can cost in Python: `logon_enumerate.py --floor`.

One visit of lanman is recorded, and what it sent is sent again by one straight function over a blocking socket: with
this connection's identifiers, random numbers, NTLM response, hashes and signatures in the places where they were. It
makes every call of cryptography that lanman's client makes, checks every signature that it checks, and reads of each
answer no more than the next request needs: no object, no event loop, no layout, no list of sessions, no error in words.
It is good for the server that was recorded, for 3.1.1 with AES-GMAC, and for nothing else.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import socket
from collections.abc import Callable
from unittest import mock

from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import lanman
from lanman.auth.ntlm import NTLMSSP_OID
from lanman.auth.spnego import pack_mech_types
from lanman.net.transport import SocketTransport

# MS-NLMP 3.4.5.2, 3.4.5.3: sign and seal, of the client and of the server.
_MAGIC = [
    f"session key to {side}-to-{other} {what} key magic constant\0".encode()
    for side, other in (("client", "server"), ("server", "client"))
    for what in ("signing", "sealing")
]
_MECHANISMS = pack_mech_types([NTLMSSP_OID])


def _number(data: bytes | bytearray | memoryview, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")


def _rc4(key: bytes, data: bytes) -> bytes:
    return Cipher(ARC4(key), None).encryptor().update(data)


def _recorded(host: str, port: int, who: lanman.Credentials) -> list[bytearray]:
    """What lanman sends in a visit: NEGOTIATE, two SESSION_SETUPs, the compound, the call, LOGOFF."""
    frames: list[bytearray] = []
    write = SocketTransport.write

    def record(transport: SocketTransport, data: bytes) -> None:
        frames.append(bytearray(data))
        write(transport, data)

    async def visit() -> None:
        async with lanman.open_manager(host, who, port=port) as manager:
            await manager.sessions()

    asyncio.run(visit())  # which information level is granted is known from then on
    with mock.patch.object(SocketTransport, "write", record):
        asyncio.run(visit())
    if len(frames) != 6:
        raise SystemExit(f"a visit of this server sends {len(frames)} frames, and the floor knows six")
    return frames


def _answer(connection: socket.socket) -> bytes:
    """The next frame that is no interim answer (STATUS_PENDING)."""
    while True:
        data = connection.recv(4, socket.MSG_WAITALL)
        data = connection.recv(int.from_bytes(data, "big"), socket.MSG_WAITALL)
        if data[8:12] != b"\x03\x01\0\0":
            return data


def _signature(mac: Callable[..., bytes], message: bytes | bytearray, *, response: bool) -> bytes:
    """AES-GMAC of a message whose Signature is zero (MS-SMB2 3.1.4.1)."""
    return mac(bytes(message[24:32]) + bytes((response, 0, 0, 0)), b"", bytes(message))


def _sign(mac: Callable[..., bytes], message: memoryview) -> None:
    message[48:64] = bytes(16)
    message[48:64] = _signature(mac, bytearray(message), response=False)


def _verify(mac: Callable[..., bytes], message: bytes) -> None:
    if not hmac.compare_digest(_signature(mac, message[:48] + bytes(16) + message[64:], response=True), message[48:64]):
        raise SystemExit("a wrong signature")


class _Logon:
    """Where the parts of the recorded AUTHENTICATE are, and how they are made anew (MS-NLMP 3.1.5.1.2, 3.4)."""

    def __init__(self, frame: bytearray, user: str, key: bytes) -> None:
        self.frame = frame
        self.token = frame.index(b"NTLMSSP\0")
        self.response = self.token + _number(frame, self.token + 24, 4)
        self.response_end = self.response + _number(frame, self.token + 20, 2)
        self.key_at = self.token + _number(frame, self.token + 56, 4)
        self.end = self.key_at + 16
        self.stamp = bytes(frame[self.response + 24 : self.response + 32])
        self.stamps = [self.response + 24, frame.index(self.stamp, self.response + 32)]
        self.hash, self.user = key, user.upper().encode("utf-16-le")

    def answer(self, opening: bytes | bytearray, challenge: bytes) -> bytes:
        """Fill the frame; the session key."""
        frame, random = self.frame, os.urandom(24)
        flags_at = challenge.index(b"\x07\x00\x08\x00", 48) + 4  # MsvAvTimestamp
        for at in self.stamps:
            frame[at : at + 8] = challenge[flags_at : flags_at + 8]
        frame[self.response + 32 : self.response + 40] = random[:8]
        key = hmac.digest(self.hash, self.user, "md5")
        blob = frame[self.response + 16 : self.response_end]
        proof = hmac.digest(key, challenge[24:32] + blob, "md5")
        frame[self.response : self.response + 16] = proof
        base, session_key = hmac.digest(key, proof, "md5"), random[8:]
        frame[self.key_at : self.end] = _rc4(base, session_key)
        frame[self.token + 72 : self.token + 88] = bytes(16)
        mic = hmac.digest(session_key, opening + challenge + frame[self.token : self.end], "md5")
        frame[self.token + 72 : self.token + 88] = mic
        frame[-16:] = self.mac(session_key, 0)
        return session_key

    def mac(self, session_key: bytes, side: int) -> bytes:
        """The signature of the list of mechanisms."""
        signs, seals = (hashlib.md5(session_key + magic).digest() for magic in _MAGIC[side : side + 2])
        return b"\1\0\0\0" + _rc4(seals, hmac.digest(signs, bytes(4) + _MECHANISMS, "md5")[:8]) + bytes(4)


def floor_visitor(host: str, port: int, user: str, password: str) -> Callable[[], int]:
    """A visit that reads no list: how many bytes of one came."""
    who = lanman.Credentials(user, password)
    assert who.key is not None
    negotiate, setup, final, compound, call, leave = _recorded(host, port, who)
    logon = _Logon(final, user, who.key)
    salt_at = 4 + 64 + _number(negotiate, 4 + 64 + 28, 4) - 64 + 8 + 6
    opening = setup[setup.index(b"NTLMSSP\0") :][:40]
    digest = hashlib.sha512

    def visit() -> int:
        with socket.create_connection((host, port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            negotiate[80:96] = os.urandom(16)
            negotiate[salt_at : salt_at + 32] = os.urandom(32)
            connection.sendall(negotiate)
            preauth = digest(bytes(64) + negotiate[4:]).digest()
            preauth = digest(preauth + _answer(connection)).digest()
            connection.sendall(setup)
            answer = _answer(connection)
            preauth = digest(digest(preauth + setup[4:]).digest() + answer).digest()
            session_id = answer[40:48]
            token = answer.index(b"NTLMSSP\0")
            info_end = token + _number(answer, token + 44, 4) + _number(answer, token + 40, 2)
            final[44:52] = session_id
            session_key = logon.answer(opening, answer[token:info_end])
            connection.sendall(final)
            answer = _answer(connection)
            preauth = digest(preauth + final[4:]).digest()
            if not hmac.compare_digest(answer[-16:], logon.mac(session_key, 2)):
                raise SystemExit("the server does not know the password")
            derived = b"\0\0\0\1SMBSigningKey\0\0" + preauth + b"\0\0\0\x80"
            mac = AESGCM(hmac.digest(session_key, derived, "sha256")[:16]).encrypt
            _verify(mac, answer)
            whole = memoryview(compound)[4:]
            while True:
                following = _number(whole, 20, 4)
                message = whole[: following or len(whole)]
                message[40:48] = session_id
                _sign(mac, message)
                if not following:
                    break
                whole = whole[following:]
            connection.sendall(compound)
            answers: list[bytes] = []
            while len(answers) < 3:  # in one frame or in several
                rest = _answer(connection)
                while rest:
                    following = _number(rest, 20, 4) or len(rest)
                    _verify(mac, rest[:following])
                    answers.append(rest[:following])
                    rest = rest[following:]
            call[40:44] = answers[0][36:40]
            call[44:52] = session_id
            call[4 + 64 + 8 : 4 + 64 + 24] = answers[1][128:144]
            _sign(mac, memoryview(call)[4:])
            connection.sendall(call)
            answer = _answer(connection)
            _verify(mac, answer)
            leave[44:52] = session_id
            _sign(mac, memoryview(leave)[4:])
            connection.sendall(leave)
            return len(answer)

    return visit
