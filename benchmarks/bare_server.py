"""The least that a server in Python takes for a log-on: the system calls and the cryptography, and nothing between.

    record(port, login) -> str      what a Server answered to a log-on of impacket's client, as JSON
    python bare_server.py PORT FILE

serves what was recorded to whoever connects, to each the same. It is a bare event loop of asyncio: it accepts, reads
as often and as much, calls what a log-on by NTLMv2 on 3.1.1 calls for keys, hashes, signature and encryption, on as
many bytes, looks at a file, writes two lines of log, and sends as many bytes. It understands nothing, checks nothing
and keeps nothing, so it is no server: what a log-on takes beyond it is what is left to save.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import socket
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from impacket.smbconnection import SMBConnection

sys.path[:0] = [str(Path(__file__).resolve().parent.parent / "src")]
from lanman.auth.ntlm import hmac_md5, rc4k  # noqa: E402
from lanman.smb2 import crypto  # noqa: E402
from lanman.smb2.constants import AES_128_GCM, AES_CMAC, SMB2_LOGOFF  # noqa: E402
from lanman.smb2.header import Header, TransformHeader  # noqa: E402
from lanman.smb2.messages import LogoffResponse  # noqa: E402

HOST = "127.0.0.1"

# What the client encrypts cannot be answered again: it is given in the clear, which impacket's client takes as well.
_LOGOFF_MESSAGE = 4


def _frame(sock: socket.socket) -> bytes:
    """The next frame with its four bytes of length; empty at the end."""
    head = sock.recv(4, socket.MSG_WAITALL)
    return head + sock.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL) if len(head) == 4 else b""


def record(port: int, login: tuple[str, str]) -> str:
    """Log on at a Server and off again. What it answered to each frame, in hexadecimal; the last is not answered."""
    answers: list[str] = []
    with socket.create_server((HOST, 0)) as listening:

        def between() -> None:
            client, _ = listening.accept()
            with client, socket.create_connection((HOST, port)) as server:
                while frame := _frame(client):
                    server.sendall(frame)
                    answer = _frame(server)
                    answers.append(answer.hex())
                    client.sendall(answer)

        thread = threading.Thread(target=between)
        thread.start()
        connection = SMBConnection(HOST, HOST, sess_port=listening.getsockname()[1])
        connection.login(*login)
        session_id = connection.getSMBServer()._Session["SessionID"]
        connection.logoff()
        connection.close()
        thread.join()
    plain = Header(SMB2_LOGOFF, _LOGOFF_MESSAGE, session_id, flags=1, credits=1).pack() + LogoffResponse().pack()
    answers = [each for each in answers if each]
    answers[-1] = (len(plain).to_bytes(4, "big") + plain).hex()
    return json.dumps(answers)


class _Bare:
    """The loop's side: one for each connection, with how many frames have come."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, answers: list[bytes], file: str) -> None:
        self._loop, self._socket, self._answers, self._file = loop, sock, answers, file
        self._count = 0
        self._buffer = bytearray(16 * 1024)
        loop.add_reader(sock.fileno(), self._readable)

    def _readable(self) -> None:
        size = self._socket.recv_into(self._buffer)
        number = self._count
        self._count += 1
        if not size or number == len(self._answers):
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            return
        _WORK[number](bytes(self._buffer[4:size]), self._answers[number], self._file)
        self._socket.send(self._answers[number])


def _multi_protocol(frame: bytes, answer: bytes, file: str) -> None:
    """SMB 1's NEGOTIATE, which is in no hash."""


def _negotiate(frame: bytes, answer: bytes, file: str) -> None:
    os.urandom(32)
    crypto.preauth_hash(crypto.preauth_hash(_HASH, frame), answer)


def _challenge(frame: bytes, answer: bytes, file: str) -> None:
    os.urandom(8)
    os.urandom(8)
    crypto.preauth_hash(crypto.preauth_hash(_HASH, frame), answer)


def _authenticate(frame: bytes, answer: bytes, file: str) -> None:
    """MS-NLMP 3.3.2, MS-SMB2 3.1.4.2: the proof, the session's key, the key that signs, and the signature."""
    crypto.preauth_hash(_HASH, frame)
    os.stat(file)
    response_key = hmac_md5(_KEY, frame[:8])
    proof = hmac_md5(response_key, frame[-200:])
    hmac.compare_digest(proof, _KEY)
    rc4k(hmac_md5(response_key, proof), _KEY)
    crypto.sign(AES_CMAC, crypto.signing_key(0x0311, _KEY, _HASH), (answer,), b"")
    os.write(2, _OPENED)


def _log_off(frame: bytes, answer: bytes, file: str) -> None:
    _, outward = crypto.encryption_keys(0x0311, _KEY, _HASH, AES_128_GCM)
    message = crypto.Encryptor(AES_128_GCM, outward, 1, os.urandom).encrypt(frame[52:])
    whole = memoryview(b"".join(message))
    crypto.decrypt(AES_128_GCM, outward, TransformHeader.unpack(whole), whole)
    os.write(2, _CLOSED)


_HASH, _KEY = hashlib.sha512().digest(), bytes(range(16))
_OPENED, _CLOSED = b"opened".ljust(180) + b"\n", b"closed".ljust(122) + b"\n"
_WORK: tuple[Callable[[bytes, bytes, str], None], ...] = (
    _multi_protocol,
    _negotiate,
    _challenge,
    _authenticate,
    _log_off,
)


def _accept(loop: asyncio.AbstractEventLoop, listening: socket.socket, answers: list[bytes], file: str) -> None:
    try:
        sock, _ = listening.accept()
    except BlockingIOError:
        return
    sock.setblocking(False)
    _Bare(loop, sock, answers, file)


async def _serve(port: int, file: str, answers: list[bytes]) -> None:
    with socket.create_server((HOST, port), backlog=128) as listening:
        listening.setblocking(False)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        loop = asyncio.get_running_loop()
        loop.add_reader(listening.fileno(), partial(_accept, loop, listening, answers, file))
        await loop.create_future()


if __name__ == "__main__":
    recorded = [bytes.fromhex(each) for each in json.loads(Path(sys.argv[2]).read_text())]
    asyncio.run(_serve(int(sys.argv[1]), sys.argv[2], recorded))
