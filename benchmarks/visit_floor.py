"""The least that a visit can cost in Python: `logon_enumerate.py --floor`.

One visit of lanman is recorded, and what it sent is sent again by one generator, over a socket that blocks or by the
callbacks of asyncio's event loop: with this connection's identifiers, random numbers, NTLM response, hashes and
signatures in the places where they were. It makes every call of cryptography that lanman's client makes, checks every
signature that it checks, and reads of each answer no more than the next request needs: no object, no layout, no list of
sessions, no limit, no error in words. It is good for the server that was recorded, for 3.1.1 with AES-GMAC, and for
nothing else.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import socket
from collections.abc import Callable, Generator, Iterator
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
_AT_ONCE = 65536
Buffer = bytes | bytearray
_Visit = Generator[Buffer, bytes, Buffer]
_MECHANISMS = pack_mech_types([NTLMSSP_OID])


def _arrived(connection: socket.socket) -> bytes:
    """What has come."""
    if data := connection.recv(_AT_ONCE):
        return data
    raise SystemExit("the server has hung up")


def _number(data: Buffer | memoryview, at: int, size: int) -> int:
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


def _signature(mac: Callable[..., bytes], message: bytes, *, response: bool) -> bytes:
    """AES-GMAC of a message whose Signature is zero (MS-SMB2 3.1.4.1)."""
    return mac(message[24:32] + bytes((response, 0, 0, 0)), b"", message)


def _sign(mac: Callable[..., bytes], message: memoryview) -> None:
    message[48:64] = bytes(16)
    message[48:64] = _signature(mac, bytes(message), response=False)


def _verify(mac: Callable[..., bytes], message: memoryview) -> None:
    bare = b"".join((message[:48], bytes(16), message[64:]))
    if not hmac.compare_digest(_signature(mac, bare, response=True), message[48:64]):
        raise SystemExit("a wrong signature")


def _hash(before: bytes, message: Buffer) -> bytes:
    """The hash of what has been said before the log-on (MS-SMB2 3.1.4.4.1 and 3.2.5.3)."""
    return hashlib.sha512(before + message).digest()


def _messages(frame: memoryview) -> Iterator[memoryview]:
    """Those of a compound."""
    while following := _number(frame, 20, 4):
        yield frame[:following]
        frame = frame[following:]
    yield frame


def _next(visiting: _Visit, frames: bytes) -> Buffer:
    """What is to be sent after one frame or several; nothing after an interim answer (STATUS_PENDING)."""
    sent: Buffer = b""
    while frames:
        end = 4 + int.from_bytes(frames[:4], "big")
        if frames[12:16] != b"\x03\x01\0\0":
            sent = visiting.send(frames[4:end])
        frames = frames[end:]
    return sent


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


class _Floor:
    """One server, and what is sent to it."""

    def __init__(self, host: str, port: int, user: str, password: str) -> None:
        self.where = host, port
        who = lanman.Credentials(user, password)
        assert who.key is not None
        self.negotiate, self.setup, self.final, self.compound, self.call, self.leave = _recorded(host, port, who)
        self.logon = _Logon(self.final, user, who.key)
        # MS-SMB2 2.2.3: the salt is behind the head of the first context and three numbers.
        self.salt_at = 4 + _number(self.negotiate, 4 + 64 + 28, 4) + 8 + 6
        self.opening = self.setup[self.setup.index(b"NTLMSSP\0") :][:40]

    def visit(self) -> _Visit:
        """Yields what is to be sent, is sent the answers, and gives what to send at last."""
        negotiate, setup, call, leave = self.negotiate, self.setup, self.call, self.leave
        negotiate[80:96] = os.urandom(16)
        negotiate[self.salt_at : self.salt_at + 32] = os.urandom(32)
        answer = yield negotiate
        preauth = _hash(_hash(bytes(64), negotiate[4:]), answer)
        answer = yield setup
        preauth = _hash(_hash(preauth, setup[4:]), answer)
        session_id = answer[40:48]
        mac = yield from self._log_on(answer, preauth)
        for message in _messages(memoryview(self.compound)[4:]):
            message[40:48] = session_id
            _sign(mac, message)
        answer = yield self.compound
        answers: list[memoryview] = []
        while True:  # in one frame or in several
            for message in _messages(memoryview(answer)):
                _verify(mac, message)
                answers.append(message)
            if len(answers) == 3:
                break
            answer = yield b""
        call[40:44] = answers[0][36:40]
        call[76:92] = answers[1][128:144]
        call[44:52] = leave[44:52] = session_id
        _sign(mac, memoryview(call)[4:])
        answer = yield call
        _verify(mac, memoryview(answer))
        _sign(mac, memoryview(leave)[4:])
        return leave

    def _log_on(self, answer: bytes, preauth: bytes) -> Generator[Buffer, bytes, Callable[..., bytes]]:
        """Answer the challenge; what signs from then on."""
        final = self.final
        token = answer.index(b"NTLMSSP\0")
        end = token + _number(answer, token + 44, 4) + _number(answer, token + 40, 2)
        final[44:52] = answer[40:48]
        session_key = self.logon.answer(self.opening, answer[token:end])
        answer = yield final
        if not hmac.compare_digest(answer[-16:], self.logon.mac(session_key, 2)):
            raise SystemExit("the server does not know the password")
        derived = b"\0\0\0\1SMBSigningKey\0\0" + _hash(preauth, final[4:]) + b"\0\0\0\x80"
        mac = AESGCM(hmac.digest(session_key, derived, "sha256")[:16]).encrypt
        _verify(mac, memoryview(answer))
        return mac


def blocking_visitor(host: str, port: int, user: str, password: str) -> Callable[[], int]:
    """A visit over a socket that blocks. Gives 1."""
    floor = _Floor(host, port, user, password)

    def visit() -> int:
        with socket.create_connection(floor.where) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            visiting = floor.visit()
            sent = next(visiting)
            try:
                while True:
                    if sent:
                        connection.sendall(sent)
                    answer = _arrived(connection)
                    while len(answer) < 4 or len(answer) < 4 + int.from_bytes(answer[:4], "big"):
                        answer += _arrived(connection)
                    sent = _next(visiting, answer)
            except StopIteration as end:
                connection.sendall(end.value)
        return 1

    return visit


def looping_visitor(host: str, port: int, user: str, password: str) -> Callable[[], int]:
    """The same by asyncio's event loop, with a callback for what arrives and a task for all of the visit. Gives 1."""
    floor = _Floor(host, port, user, password)
    loop = asyncio.new_event_loop()

    async def visit() -> int:
        done = loop.create_future()
        visiting = floor.visit()
        arrived = b""

        def read() -> None:
            nonlocal arrived
            arrived += _arrived(connection)
            if len(arrived) < 4 or len(arrived) < 4 + int.from_bytes(arrived[:4], "big"):
                return
            answer, arrived = arrived, b""
            try:
                if sent := _next(visiting, answer):
                    connection.send(sent)
            except StopIteration as end:
                connection.send(end.value)
                done.set_result(1)

        with socket.socket() as connection:
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(connection, floor.where)
            loop.add_reader(connection, read)
            connection.send(next(visiting))
            result: int = await done
            loop.remove_reader(connection)
        return result

    return lambda: loop.run_until_complete(visit())
