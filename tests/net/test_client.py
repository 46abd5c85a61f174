"""The client against servers that misbehave: always an error with the server's name, and nothing left over."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from lanman import codes
from lanman.errors import ConnectionLost, LanmanError, RemoteProtocolError, Win32Error
from lanman.net.client import SmbClient
from lanman.net.compounds import KNOWN
from lanman.net.credentials import Credentials
from lanman.net.dial import Within
from lanman.smb2.constants import FSCTL_VALIDATE_NEGOTIATE_INFO, SMB2_FLAGS_SERVER_TO_REDIR, Dialect
from lanman.smb2.header import Header
from lanman.smb2.messages import EchoRequest, ErrorResponse
from support.loopback_server import PASSWORDS, running_server
from support.platforms import tasks_left

ANN = Credentials("ann", "secret")
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[int]:
    """A TCP server whose every connection follows the script; its port."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await script(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
        await asyncio.sleep(0)  # asyncio.start_server's transports report their end in the next turn of the loop


async def request(reader: asyncio.StreamReader) -> bytes:
    """One framed message (MS-SMB2 2.1)."""
    return await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(4, "big") + message


async def refused(script: Script, seconds: float = 30.0) -> LanmanError:
    """What a log-on to a server of that script raises; nothing of it may be left afterwards."""
    async with scripted(script) as port:
        before = tasks_left()
        client = SmbClient("127.0.0.1", port, ANN)
        with pytest.raises(LanmanError, match=r"^\\\\127\.0\.0\.1: ") as raised:
            async with Within(seconds, lambda: client.doing, server="127.0.0.1"), client:
                raise AssertionError("logged on")
        # What accepts and serves is the script's side, which may not have been at it yet.
        left = [task for task in tasks_left() - before if not re.search("serve|_accept_connection", repr(task))]
        assert left == []
    return raised.value


async def test_a_server_that_says_nothing() -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read(-1)

    error = await refused(silent, seconds=0.05)
    assert isinstance(error, ConnectionLost)
    assert "says nothing within 0.05 seconds" in error.message
    assert error.code == 121
    assert "--timeout" in (error.hint or "")


async def test_a_server_that_trickles() -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        for byte in framed(b"\xfeSMB" + bytes(60)):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.004)  # what is tested is that a byte now and then does not move the deadline

    error = await refused(trickle, seconds=0.05)
    assert error.code == 121


async def test_a_server_that_hangs_up() -> None:
    async def hang_up(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await request(reader)

    error = await refused(hang_up)
    assert isinstance(error, ConnectionLost)
    assert "hung up on the first message" in error.message
    assert "SMB 1" in (error.hint or "")


async def test_a_server_of_smb_1_alone() -> None:
    async def smb1(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(framed(b"\xffSMBr" + bytes(27) + b"\0\0\0"))
        await reader.read(-1)

    error = await refused(smb1)
    assert isinstance(error, Win32Error)
    assert error.code == 384
    assert codes.has_win32_text(error.code)
    assert "speaks SMB 1 only" in error.message


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        framed(b"\xfeSMB" + bytes(3)),
        framed(b"\xfeSMB" + bytes(200)),
        framed(b""),
        b"\x00\xff\xff\xff" + b"\xfeSMB" + bytes(60),
    ],
)
async def test_a_server_of_something_else(answer: bytes) -> None:
    async def something(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(answer)

    error = await refused(something)
    assert isinstance(error, RemoteProtocolError | ConnectionLost)
    assert error.hint


async def test_nothing_is_left_after_a_cancellation() -> None:
    reached, gone = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await request(reader)
        reached.set()
        assert await reader.read(-1) == b""
        gone.set()

    async with scripted(silent) as port:

        async def visit() -> None:
            async with SmbClient("127.0.0.1", port, ANN):
                raise AssertionError("logged on")

        task = asyncio.create_task(visit())
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await gone.wait()


@pytest.mark.posix
@pytest.mark.parametrize("status", [codes.STATUS_USER_SESSION_DELETED, codes.STATUS_NETWORK_SESSION_EXPIRED])
@pytest.mark.parametrize("together", [True, False])
async def test_a_downgrade_that_is_confirmed_by_nobody(tmp_path: Path, status: int, together: bool) -> None:
    """Whoever is on the way takes 3.x out of the NEGOTIATE, and answers in place of the server when that is asked what
    was negotiated: with a status that a client takes unsigned, since a server may have lost the session's keys."""

    def weakened(message: bytes) -> bytes:
        changed = bytearray(message)
        if message[12:14] == b"\0\0":  # NEGOTIATE (MS-SMB2 2.2.3): 2.1 in place of every dialect of 3.x
            for at in range(100, 100 + 2 * message[66], 2):
                changed[at : at + 2] = min(message[at : at + 2], b"\x10\x02", key=lambda it: it[::-1])
        return bytes(changed)

    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(framed(await request(reader)))

    async with running_server(tmp_path) as server:

        async def between(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            theirs, ours = await asyncio.open_connection("127.0.0.1", server.port)
            task = asyncio.create_task(answers(theirs, writer))
            try:
                while True:
                    message = await request(reader)
                    if message[68:72] == FSCTL_VALIDATE_NEGOTIATE_INFO.to_bytes(4, "little"):
                        header = Header.unpack(memoryview(message))
                        header.flags, header.status, header.credits = SMB2_FLAGS_SERVER_TO_REDIR, status, 1
                        writer.write(framed(header.pack() + ErrorResponse().pack()))
                    else:
                        ours.write(framed(weakened(message)))
            finally:
                task.cancel()
                ours.close()

        async with scripted(between) as port:
            if not together:
                KNOWN.refused("127.0.0.1", port, asyncio.get_running_loop().time())
            credentials = Credentials("ann", PASSWORDS["ann"])
            async with SmbClient("127.0.0.1", port, credentials, dialects=(0x0202, 0x0210, 0x0302)) as client:
                assert client.negotiated.dialect == Dialect.SMB_2_1
                with pytest.raises(ConnectionLost):
                    await client.open_pipe()


@pytest.mark.posix
@pytest.mark.parametrize("connected", [True, False])
async def test_a_pipe_whose_connection_ends_while_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, connected: bool
) -> None:
    """Two answers come in one read. Who has the first of them gives the connection up; the second is the CREATE's, or
    the TREE_CONNECT's, whose share wants encryption."""
    monkeypatch.setattr("lanman.net.client._encrypts", lambda response: not connected)
    async with running_server(tmp_path) as server:
        KNOWN.refused("127.0.0.1", server.port, asyncio.get_running_loop().time())
        async with SmbClient("127.0.0.1", server.port, Credentials("ann", PASSWORDS["ann"])) as client:
            if connected:
                await client.tree_connect()
            protocol = client._protocol
            assert protocol is not None
            arrived: list[bytes] = []
            receive = protocol.data_received

            def both(data: bytes) -> None:
                arrived.append(data)
                if b"".join(arrived).count(b"\xfeSMB") == 2:
                    receive(b"".join(arrived))

            protocol.data_received = both  # type: ignore[method-assign]

            async def give_up() -> None:
                await client.request(EchoRequest())
                await client.abort()

            left = asyncio.create_task(give_up())
            await asyncio.sleep(0)
            with pytest.raises(ConnectionLost, match="closed here"):
                await client.open_pipe()
            await left
