"""A man in the middle for tests: it lets a victim log on to a Server through it, and adds unsigned requests of its own.

It knows no key. It passes the victim's bytes on, and puts what `attack` says beside the last round trip of the log-on:

    compound    behind the victim's last SESSION_SETUP, in one frame with it
    related     the same, as related operations
    pipelined   in frames of its own right behind it, before it is answered
    after       in frames of their own once it is answered
    renewal     the victim renews a null session that the relay has begun: its tokens go there under that session's id
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from lanman.auth.initiator import AnonymousInitiator
from lanman.smb2.constants import SMB2_FLAGS_RELATED_OPERATIONS, SMB2_PROTOCOL_ID, SMB2_SESSION_SETUP
from lanman.smb2.header import Header
from lanman.smb2.messages import (
    CloseRequest,
    CreateRequest,
    Message,
    SessionSetupRequest,
    SessionSetupResponse,
    TreeConnectRequest,
    WriteRequest,
    unpack_request,
)

ATTACKS = ("compound", "related", "pipelined", "after", "renewal")
STOLEN = "stolen.txt"

# What the attacker wants done as the victim.
PLAN: Sequence[Message] = (
    TreeConnectRequest(0, r"\\server\share"),
    CreateRequest(desired_access=0x0012019F, share_access=7, create_disposition=3, name=STOLEN),
    WriteRequest(b"written by the relay", file_id=b"\xff" * 16),
    CloseRequest(file_id=b"\xff" * 16),
)


@dataclass
class Relay:
    """Between a victim and the Server on `port`. `answers` are the headers of what the Server said to its own
    requests; `attacked` says that there was an occasion."""

    attack: str
    port: int
    attacked: bool = False
    answers: list[Header] = field(default_factory=list)
    own_ids: set[int] = field(default_factory=set)
    shift: int = 0  # how many message ids the attacker has used up
    session_id: int = 0
    null_session: int = 0
    round_trips: int = 0

    async def serve(self, victim: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reader, server = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._to_server(victim, server, reader, writer))
        except* (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            for each in (server, writer):
                each.close()
                with suppress(ConnectionError):
                    await each.wait_closed()

    async def _to_server(
        self,
        victim: asyncio.StreamReader,
        server: asyncio.StreamWriter,
        reader: asyncio.StreamReader,
        back: asyncio.StreamWriter,
    ) -> None:
        """One exchange after the other, as the victim makes them until its log-on has ended."""
        while True:
            frame = await _frame(victim)
            header = Header.unpack(memoryview(frame)) if frame[:4] == SMB2_PROTOCOL_ID else None
            if header is None or header.command != SMB2_SESSION_SETUP:
                _send(server, frame)
                await self._answer(reader, back)
                continue
            self.round_trips += 1
            if self.attack == "renewal":
                await self._renewal(frame, header, server, reader, back)
            elif self.round_trips == 1:
                _send(server, frame)
                await self._answer(reader, back)
            else:
                await self._log_on(frame, header, server, reader, back)

    async def _answer(self, reader: asyncio.StreamReader, back: asyncio.StreamWriter) -> Header | None:
        frame = await _frame(reader)
        _send(back, frame)
        return Header.unpack(memoryview(frame)) if frame[:4] == SMB2_PROTOCOL_ID else None

    # --- at SESSION_SETUP ---

    async def _log_on(
        self,
        frame: bytes,
        header: Header,
        server: asyncio.StreamWriter,
        reader: asyncio.StreamReader,
        back: asyncio.StreamWriter,
    ) -> None:
        """The last round trip: what comes out of it is the attacker's to use."""
        self.attacked = True
        self.session_id = header.session_id
        plan = self._plan(header.message_id + 1)
        if self.attack in ("compound", "related"):
            _send(server, _compound([frame, *plan], related=self.attack == "related"))
        elif self.attack == "pipelined":
            server.write(b"".join(len(each).to_bytes(4, "big") + each for each in [frame, *plan]))
        else:
            _send(server, frame)
            await self._read_requests(reader, 1)
            for each in plan:
                _send(server, each)
        await self._read_requests(reader, len(plan) + (self.attack != "after"))
        back.close()  # the victim has done what it was good for

    def _plan(self, message_id: int, session_id: int = 0) -> list[bytes]:
        frames = []
        for number, message in enumerate(PLAN):
            header = Header(message.command, message_id + number, session_id or self.session_id, 1, credits=1)
            self.own_ids.add(header.message_id)
            frames.append(header.pack() + message.pack())
        return frames

    async def _read_requests(self, reader: asyncio.StreamReader, number: int) -> list[Header]:
        """The answers to so many requests, or all until the Server hangs up."""
        heard: list[Header] = []
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while len(heard) < number:
                rest = memoryview(await _frame(reader))
                while True:
                    header = Header.unpack(rest)
                    heard.append(header)
                    if not header.next_command:
                        break
                    rest = rest[header.next_command :]
        self.answers += [header for header in heard if header.message_id in self.own_ids]
        return heard

    # --- at a renewal ---

    async def _renewal(
        self,
        frame: bytes,
        header: Header,
        server: asyncio.StreamWriter,
        reader: asyncio.StreamReader,
        back: asyncio.StreamWriter,
    ) -> None:
        """Begin a null session, then pass the victim's tokens on as if it were renewed."""
        if not self.null_session:
            initiator = AnonymousInitiator()
            token = initiator.step(None)
            session_id = 0
            for _ in range(2):
                setup = SessionSetupRequest(0, 1, 0, 0, token or b"", 0)
                own = Header(
                    SMB2_SESSION_SETUP, header.message_id + self.shift, session_id, credits=16, credit_charge=0
                )
                self.shift += 1
                _send(server, own.pack() + setup.pack())
                answer = await _frame(reader)
                session_id = Header.unpack(memoryview(answer)).session_id
                response = SessionSetupResponse.unpack(memoryview(answer)) if len(answer) > 72 else None
                token = (
                    initiator.step(bytes(response.security_buffer)) if response and response.security_buffer else None
                )
            self.null_session = session_id
        message = unpack_request(SMB2_SESSION_SETUP, memoryview(frame))
        assert isinstance(message, SessionSetupRequest)
        own = Header(SMB2_SESSION_SETUP, header.message_id + self.shift, self.null_session, credits=16)
        _send(server, own.pack() + message.pack())
        answer = await _frame(reader)
        answered = Header.unpack(memoryview(answer))
        if self.round_trips == 1:
            answered.message_id = header.message_id
            _send(back, answered.pack() + answer[64:])
            return
        self.attacked = True
        self.answers.append(answered)
        for each in self._plan(own.message_id + 1, self.null_session):
            _send(server, each)
        await self._read_requests(reader, len(PLAN))
        back.close()


async def _frame(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))


def _send(writer: asyncio.StreamWriter, frame: bytes) -> None:
    writer.write(len(frame).to_bytes(4, "big") + frame)


def _compound(frames: Sequence[bytes], *, related: bool) -> bytes:
    parts = []
    for number, frame in enumerate(frames):
        data = bytearray(frame)
        if related and number:
            header = Header.unpack(memoryview(frame))
            header.flags |= SMB2_FLAGS_RELATED_OPERATIONS
            data[:64] = header.pack()
        if number < len(frames) - 1:
            data += bytes(-len(data) % 8)
            data[20:24] = len(data).to_bytes(4, "little")
        parts.append(bytes(data))
    return b"".join(parts)


@asynccontextmanager
async def relaying(attack: str, port: int) -> AsyncIterator[tuple[Relay, int]]:
    """A relay to the Server on `port`, and the port that victims connect to."""
    relay = Relay(attack, port)
    listening = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    async with listening:
        yield relay, listening.sockets[0].getsockname()[1]
