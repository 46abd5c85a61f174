r"""SMB servers that mean harm to a manager, in memory and in virtual time: `WAYS` by their names.

    async with Hostile(WAYS["a byte at a time"]) as server: ...     # over a socket of the loopback interface
    with in_memory(monkeypatch, {"10.0.0.1": way, "10.0.0.2": None}): ...   # None: one that means no harm

Each is a Windows of the script until the first call of MS-SRVS comes, or as early as its way says: it knows the user's
password, so that its answers are signed and believed. What it then says goes out at a pace of `PACE` seconds, so that a
clock which jumps to the next timer goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, Final, Self

import pytest

from lanman import codes
from lanman.net.client import SmbClient, _ClientProtocol
from lanman.records import SessionInfo
from lanman.rpc import pdu as pdus
from lanman.rpc import srvsvc
from lanman.smb2 import constants as smb2
from lanman.smb2 import messages
from lanman.smb2.header import Header
from lanman.smb2.server import Request, Response
from support.scripted_windows import ScriptedWindows, _Connection, windows_2019

PACE: Final = 0.01

Way = Callable[["Speaker", Request, messages.IoctlRequest], None]


class Speaker(_Connection):
    """One connection of such a server."""

    server: Hostile

    def _IoctlRequest(self, request: Request, message: messages.IoctlRequest) -> Response | None:
        is_call = message.ctl_code == smb2.FSCTL_PIPE_TRANSCEIVE and bytes(message.input[2:3]) == b"\0"
        if not is_call or self.server.way is None:
            return super()._IoctlRequest(request, message)
        self.taken = True
        self.server.way(self, request, message)
        return None

    def _ReadRequest(self, request: Request, message: messages.ReadRequest) -> Response | None:
        if self.reads is None:
            return super()._ReadRequest(request, message)
        asyncio.get_running_loop().call_later(PACE, self.reads, request)
        return None

    taken = False
    reads: Callable[[Request], None] | None = None

    def _chain(self, requests: Sequence[Request]) -> None:
        """As the script does, but that nothing is said to be pending of what a way has taken in hand."""
        honest, self.core.pending = self.core.pending, self._pending  # type: ignore[method-assign, assignment]
        try:
            super()._chain(requests)
        finally:
            self.core.pending = honest  # type: ignore[method-assign]

    def _pending(self, request: Request) -> None:
        if not self.taken:
            type(self.core).pending(self.core, request)

    # --- what ways are made of

    def honest(self, request: Request, message: messages.IoctlRequest) -> bytes:
        """The bytes of the right answer."""
        response = super()._IoctlRequest(request, message)
        assert response is not None
        return self.bytes_of(response)

    def bytes_of(self, *responses: Response) -> bytes:
        """Answers as they would be sent, signed."""
        self.core.respond(list(responses))
        return b"".join(map(bytes, self.core.data_to_send()))

    def answer(self, request: Request, status: int, output: bytes) -> None:
        """An answer to a read, or to a call, with these bytes of the pipe."""
        message: messages.Message = messages.ReadResponse(output)
        if request.command == smb2.SMB2_IOCTL:
            message = messages.IoctlResponse(smb2.FSCTL_PIPE_TRANSCEIVE, bytes(16), output=output)
        self.transport.write(self.bytes_of(Response(request, status, message)))

    def for_ever(self, make: Callable[[int], bytes], number: int = 0) -> None:
        """Send these bytes, one after the other, as long as the connection is there."""
        if not self.transport.is_closing():
            self.transport.write(make(number))
            asyncio.get_running_loop().call_later(PACE, self.for_ever, make, number + 1)


class Hostile(ScriptedWindows):
    """The server. `way` None: it means no harm."""

    def __init__(self, way: Way | None) -> None:
        super().__init__(windows_2019())
        self.way = way

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Speaker(self), self.host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self


# --- ways


def byte_by_byte(speaker: Speaker, request: Request, message: messages.IoctlRequest) -> None:
    data = speaker.honest(request, message)
    speaker.for_ever(lambda number: data[number : number + 1])


def frame_without_end(speaker: Speaker, request: Request, message: messages.IoctlRequest) -> None:
    speaker.transport.write((8 << 20).to_bytes(4, "big"))
    speaker.for_ever(lambda number: bytes(512))


def oversized_frame(speaker: Speaker, request: Request, message: messages.IoctlRequest) -> None:
    speaker.transport.write(b"\0\xff\xff\xff")
    speaker.for_ever(lambda number: bytes(65536))


def frames_of_nothing(speaker: Speaker, request: Request, message: messages.IoctlRequest) -> None:
    speaker.for_ever(lambda number: bytes(262144))


def pending_for_ever(speaker: Speaker, request: Request, message: messages.IoctlRequest) -> None:
    type(speaker.core).pending(speaker.core, request)


def pending_again_and_again(speaker: Speaker, request: Request, message: messages.IoctlRequest) -> None:
    type(speaker.core).pending(speaker.core, request)
    data = b"".join(map(bytes, speaker.core.data_to_send()))
    speaker.for_ever(lambda number: data)


def compound_without_end(speaker: Speaker, request: Request, message: messages.IoctlRequest) -> None:
    header = Header(smb2.SMB2_ECHO, request.message_id, request.session_id, flags=1, next_command=72).pack()
    frame = (header + bytes(8)) * 100_000
    speaker.transport.write(len(frame).to_bytes(4, "big") + frame)


def compound_of_itself(speaker: Speaker, request: Request, message: messages.IoctlRequest) -> None:
    header = Header(smb2.SMB2_ECHO, request.message_id, request.session_id, flags=1, next_command=0xFFFFFFF8).pack()
    speaker.transport.write(b"\0\0\0\x80" + header + bytes(64))


def another_id(speaker: Speaker, request: Request, message: messages.IoctlRequest) -> None:
    data = speaker.honest(request, message)
    speaker.transport.write(data[:28] + (request.message_id + 1000).to_bytes(8, "little") + data[36:])


def wrong_signature(speaker: Speaker, request: Request, message: messages.IoctlRequest) -> None:
    data = speaker.honest(request, message)
    speaker.transport.write(data[:-1] + bytes([data[-1] ^ 1]))


def no_signature(speaker: Speaker, request: Request, message: messages.IoctlRequest) -> None:
    data = speaker.honest(request, message)
    speaker.transport.write(data[:20] + (1).to_bytes(4, "little") + data[24:52] + bytes(16) + data[68:])


def breaks_without_end(speaker: Speaker, request: Request, message: messages.IoctlRequest) -> None:
    header = Header(smb2.SMB2_OPLOCK_BREAK, smb2.UNSOLICITED, flags=1).pack()
    frame = header + messages.OplockBreak(0, bytes(16)).pack()
    data = (len(frame).to_bytes(4, "big") + frame) * 500
    speaker.for_ever(lambda number: data)


def changes_nobody_asked_for(speaker: Speaker, request: Request, message: messages.IoctlRequest) -> None:
    header = Header(smb2.SMB2_CHANGE_NOTIFY, smb2.UNSOLICITED, flags=1).pack()
    frame = header + messages.ChangeNotifyResponse(b"").pack()
    speaker.for_ever(lambda number: len(frame).to_bytes(4, "big") + frame)


def _fragments(size: int) -> Way:
    def way(speaker: Speaker, request: Request, message: messages.IoctlRequest) -> None:
        call = int.from_bytes(message.input[12:16], "little")
        first, more = (pdus.build(2, flags, call, bytes(8 + size)) for flags in (1, 0))
        speaker.reads = lambda read: speaker.answer(read, codes.STATUS_BUFFER_OVERFLOW, more)
        speaker.answer(request, codes.STATUS_BUFFER_OVERFLOW, first)

    return way


def more_than_was_asked_for(speaker: Speaker, request: Request, message: messages.IoctlRequest) -> None:
    shutdowns = pdus.build(pdus.SHUTDOWN, 3, 1, b"") * (4 << 16)  # 4 MiB
    speaker.reads = lambda read: speaker.answer(read, 0, shutdowns)
    speaker.answer(request, 0, shutdowns)


def shutdowns_without_end(speaker: Speaker, request: Request, message: messages.IoctlRequest) -> None:
    shutdowns = pdus.build(pdus.SHUTDOWN, 3, 1, b"") * 4096
    speaker.reads = lambda read: speaker.answer(read, 0, shutdowns)
    speaker.answer(request, 0, shutdowns)


def _list(page: Callable[[int], bytes]) -> Way:
    """Answers to NetrSessionEnum: `page(n)` gives the n-th, from 1 on, whichever handle is asked for."""
    asked = count(1)

    def way(speaker: Speaker, request: Request, message: messages.IoctlRequest) -> None:
        stub = page(next(asked))
        call = int.from_bytes(message.input[12:16], "little")
        pieces = pdus.fragments(pdus.RESPONSE, call, 0, 0, stub, 4280)
        unread = [bytearray(b"".join(pieces))]

        def more(size: int) -> tuple[int, bytes]:
            data, unread[0] = bytes(unread[0][:size]), unread[0][size:]
            return codes.STATUS_BUFFER_OVERFLOW if unread[0] else 0, data

        speaker.reads = lambda read: speaker.answer(read, *more(60_000))
        speaker.answer(request, *more(60_000))

    return way


def _sessions(number: int, text: str = "x" * 10) -> list[SessionInfo]:
    session = SessionInfo(rf"\\{text}", text, 1, 1, 1, 0, text, text)
    return [session] * number


def _page(number: int) -> Callable[[int], bytes]:
    """A page of so many sessions, which says that there are more; its resume handle is what it is given."""
    request = srvsvc.NetrSessionEnum(None, None, None, 502, resume_handle=0)
    page = request.response(502, _sessions(number), 1 << 30, 1, codes.ERROR_MORE_DATA).pack(False)
    return lambda handle: page[:-8] + handle.to_bytes(4, "little") + page[-4:]


WAYS: Final[dict[str, Way]] = {
    "a byte at a time": byte_by_byte,
    "a frame without end": frame_without_end,
    "an oversized frame": oversized_frame,
    "frames of nothing": frames_of_nothing,
    "pending for ever": pending_for_ever,
    "pending again and again": pending_again_and_again,
    "a compound without end": compound_without_end,
    "a compound of itself": compound_of_itself,
    "an answer for another id": another_id,
    "a wrong signature": wrong_signature,
    "no signature": no_signature,
    "breaks without end": breaks_without_end,
    "changes that nobody asked for": changes_nobody_asked_for,
    "empty fragments without end": _fragments(0),
    "large fragments without end": _fragments(60_000),
    "more than was asked for": more_than_was_asked_for,
    "shutdowns without end": shutdowns_without_end,
    "pages without end": _list(_page(2000)),
    "the same page again": _list(lambda number: _page(10)(7)),
    "pages of nothing": _list(_page(0)),
}

IN_TIME: Final = frozenset(
    {
        "a byte at a time",
        "a frame without end",
        "pending for ever",
        "empty fragments without end",
    }
)
"""The ways that break no rule: the deadline ends them. All others are found out before."""


# --- without a socket


class _Wire(asyncio.Transport):
    """One end of a connection in memory. What is written arrives in the next turn of the loop."""

    def __init__(self, name: str) -> None:
        super().__init__({"peername": (name, 445)})
        self.peer: _Wire
        self.protocol: asyncio.Protocol
        self._closed = False

    def write(self, data: Any) -> None:
        if not self._closed and data:
            asyncio.get_running_loop().call_soon(self.peer.arrived, bytes(data))

    def arrived(self, data: bytes) -> None:
        if not self._closed:
            self.protocol.data_received(data)

    def is_closing(self) -> bool:
        return self._closed

    def abort(self) -> None:
        if not self._closed:
            self._closed = True
            loop = asyncio.get_running_loop()
            loop.call_soon(self.protocol.connection_lost, None)
            loop.call_soon(self.peer.abort)

    close = abort


@contextlib.contextmanager
def in_memory(monkeypatch: pytest.MonkeyPatch, servers: Mapping[str, Hostile]) -> Iterator[None]:
    """SMB clients reach these servers, by their addresses, and no others."""

    async def dial(self: SmbClient) -> None:
        self.doing = f"port {self.port} did not answer"
        self.local_address, self.address = "10.9.9.9", self.server
        self._protocol = _ClientProtocol(self.server, self._core)
        ours, theirs = _Wire(self.server), _Wire("10.9.9.9")
        ours.peer, theirs.peer = theirs, ours
        ours.protocol, theirs.protocol = self._protocol, Speaker(servers[self.server])
        theirs.protocol.connection_made(theirs)
        self._protocol.connection_made(ours)

    with monkeypatch.context() as patch:
        patch.setattr(SmbClient, "dial", dial)
        yield
