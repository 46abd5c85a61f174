"""An RPC call over whatever carries it: what is read, what comes of it, and that others have their turn meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterable

import pytest

from lanman import codes
from lanman.errors import AccessDenied, ConnectionLost, MalformedMessage, RemoteProtocolError, Win32Error
from lanman.net.dial import Within
from lanman.net.exchange import in_turns, next_event, response_of
from lanman.rpc import pdu as pdus
from lanman.rpc.client import BindAccepted, FaultReceived, ResponseReceived, RpcClient
from lanman.rpc.server import RpcServer
from lanman.rpc.srvsvc import SRVSVC, NetrSessionDel, NetrSessionDelResponse

REQUEST = NetrSessionDel(None, None, "ann")
SHUTDOWN = pdus.build(pdus.SHUTDOWN, pdus.PFC_WHOLE, 0, b"")


def pieces(data: Iterable[bytes]) -> Callable[[], Awaitable[bytes]]:
    """What is read, one piece at a time."""
    left = iter(data)

    async def receive() -> bytes:
        return next(left)

    return receive


def binding() -> tuple[RpcClient, bytes]:
    """A client that has sent its bind, and the answer to it."""
    client, server = RpcClient(), RpcServer([SRVSVC])
    server.receive_data(client.bind())
    return client, b"".join(server.data_to_send())


@pytest.mark.parametrize("cut", [0, 1, 30])
async def test_an_event_is_read_in_as_many_pieces_as_it_comes_in(cut: int) -> None:
    client, answer = binding()
    assert await next_event(client, answer[:cut], pieces([answer[cut:]])) == BindAccepted(SRVSVC, False)


async def test_a_server_that_wants_to_close_has_not_answered() -> None:
    client, answer = binding()
    assert await next_event(client, SHUTDOWN, pieces([answer])) == BindAccepted(SRVSVC, False)


async def test_a_response_has_the_status_that_the_server_gave() -> None:
    stub = NetrSessionDelResponse(codes.NERR_ClientNameNotFound).pack()
    response = await response_of(REQUEST, ResponseReceived(1, stub))
    assert response == NetrSessionDelResponse(codes.NERR_ClientNameNotFound)


async def test_a_response_that_is_none() -> None:
    with pytest.raises(MalformedMessage):
        await response_of(REQUEST, ResponseReceived(1, b""))
    with pytest.raises(RemoteProtocolError, match=r"^\\\\fs1: NetrSessionDel was answered by a BindAccepted$"):
        await response_of(REQUEST, BindAccepted(SRVSVC, False), "fs1")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [(5, 5, AccessDenied), (0x1C010002, 1745, Win32Error), (0x000006F7, 1783, Win32Error)],
)
async def test_a_fault_is_an_error_that_names_server_and_call(status: int, code: int, kind: type[Win32Error]) -> None:
    with pytest.raises(kind) as raised:
        await response_of(REQUEST, FaultReceived(1, status), "fs1")
    error = raised.value
    assert (error.code, error.server, error.subject) == (code, "fs1", "NetrSessionDel")
    assert error.message == f"\\\\fs1: NetrSessionDel: {codes.win32_text(code)}"


async def test_work_in_pieces_hears_its_deadline() -> None:
    """An answer that takes long to decode does not outlast the time that its caller allows."""
    pieces = 0

    def endless() -> Generator[None, None, None]:
        nonlocal pieces
        while pieces < 1000:
            pieces += 1
            yield

    with pytest.raises(ConnectionLost, match="it is being read within 0 seconds"):
        async with Within(0, lambda: "it is being read"):
            await in_turns(endless())
    assert pieces < 10


async def test_work_in_pieces_gives_what_comes_of_it() -> None:
    def short() -> Generator[None, None, int]:
        yield
        yield
        return 3

    assert await in_turns(short()) == 3
