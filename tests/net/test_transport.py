"""The transport of a client's connection: what is sent and received, and how it ends."""

from __future__ import annotations

import asyncio
import gc
import socket
import weakref
from collections.abc import Iterator

import pytest

from lanman.net.transport import SocketTransport, start
from support.waiting import until

pytestmark = pytest.mark.posix  # the event loop of Windows watches no sockets


class Heard(asyncio.Protocol):
    """Keeps what it is told."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.data = b""
        self.ends: list[Exception | None] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if data == b"wrong":
            raise ValueError("a mistake")
        self.data += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.ends.append(exc)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets, the first of which does not block and takes little at a time."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        theirs.settimeout(10)
        yield ours, theirs


@pytest.fixture
async def heard(pair: tuple[socket.socket, socket.socket]) -> Heard:
    protocol = Heard()
    await start(pair[0], protocol)
    assert isinstance(protocol.transport, SocketTransport)
    return protocol


async def test_its_socket_can_be_asked_for(heard: Heard, pair: tuple[socket.socket, socket.socket]) -> None:
    assert heard.transport.get_extra_info("socket") is pair[0]
    assert heard.transport.get_extra_info("cipher", "none") == "none"


def received(theirs: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        piece = theirs.recv(65536)
        assert piece
        found += piece
    return found


async def test_bytes_in_both_directions(pair: tuple[socket.socket, socket.socket], heard: Heard) -> None:
    heard.transport.write(b"one")
    heard.transport.writelines([b"two", memoryview(b"three")])
    assert received(pair[1], 11) == b"onetwothree"
    pair[1].sendall(b"four")
    await until(lambda: heard.data == b"four")
    heard.transport.close()
    assert heard.ends == [None]
    assert pair[1].recv(1) == b""


@pytest.mark.parametrize("pieces", [1, 7])
async def test_what_the_system_does_not_take_is_sent_later_and_in_order(
    pair: tuple[socket.socket, socket.socket], heard: Heard, pieces: int
) -> None:
    data = bytes(range(256)) * 4096
    for at in range(3):
        if pieces == 1:
            heard.transport.write(bytes([at]) + data)
        else:
            size = len(data) // pieces + 1
            parts = [data[begin : begin + size] for begin in range(0, len(data), size)]
            heard.transport.writelines([bytes([at]), *parts])
    heard.transport.close()
    heard.transport.write(b"too late")
    assert heard.transport.is_closing()
    assert not heard.ends
    found = await asyncio.get_running_loop().run_in_executor(None, received, pair[1], 3 * (len(data) + 1))
    assert found == b"".join(bytes([at]) + data for at in range(3))
    await until(lambda: heard.ends == [None])
    assert pair[1].recv(1) == b""
    assert pair[0].fileno() == -1


async def test_the_peer_s_end_is_the_end(pair: tuple[socket.socket, socket.socket], heard: Heard) -> None:
    pair[1].close()
    await until(lambda: heard.ends == [None])
    heard.transport.close()
    heard.transport.abort()
    assert heard.ends == [None]


async def test_a_connection_that_was_lost_is_found_out_by_writing(
    pair: tuple[socket.socket, socket.socket], heard: Heard
) -> None:
    pair[1].close()
    heard.transport.writelines([b"a", b"b"])
    (error,) = heard.ends
    assert isinstance(error, OSError)
    heard.transport.write(b"c")
    assert heard.ends == [error]


async def test_to_abort_drops_what_is_kept(pair: tuple[socket.socket, socket.socket], heard: Heard) -> None:
    data = bytes(1 << 20)
    heard.transport.write(data)
    heard.transport.abort()
    assert heard.ends == [None]
    assert pair[0].fileno() == -1
    size = 0
    while piece := pair[1].recv(65536):
        size += len(piece)
    assert size < len(data)


async def test_a_mistake_of_the_protocol_is_told_and_ends_its_connection(
    pair: tuple[socket.socket, socket.socket], heard: Heard
) -> None:
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
    pair[1].sendall(b"wrong")
    await until(lambda: bool(heard.ends))
    assert told == heard.ends
    assert isinstance(told[0], ValueError)


async def test_more_pieces_than_the_system_takes_in_one_call_are_no_end_of_it(
    pair: tuple[socket.socket, socket.socket], heard: Heard
) -> None:
    pieces = [at.to_bytes(2, "big") for at in range(3000)]
    heard.transport.writelines(pieces)
    heard.transport.close()
    found = await asyncio.get_running_loop().run_in_executor(None, received, pair[1], 6000)
    assert found == b"".join(pieces)
    await until(lambda: heard.ends == [None])


async def test_what_is_over_leaves_nothing_for_the_collector(pair: tuple[socket.socket, socket.socket]) -> None:
    """A connection and its protocol know each other, and a client that asks many servers has many of them."""
    protocol = Heard()
    await start(pair[0], protocol)
    left = weakref.ref(protocol), weakref.ref(protocol.transport)
    gc.disable()
    try:
        protocol.transport.abort()
        assert protocol.ends == [None]
        del protocol
        assert [each() for each in left] == [None, None]
    finally:
        gc.enable()
