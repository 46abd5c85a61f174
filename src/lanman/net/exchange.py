"""An RPC call over whatever carries it: the pipe of an SMB session, or the control socket.

One call is under way at a time on an association, and its PDUs come in order: what is read belongs to the call that was
written last. A caller that is interrupted in between leaves an association that is of no more use.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import TYPE_CHECKING, TypeVar

from lanman import codes
from lanman.errors import AccessDenied, RemoteProtocolError, Win32Error
from lanman.rpc.client import Event, FaultReceived, ResponseReceived, RpcClient, ShutdownReceived
from lanman.rpc.ndr import Response

if TYPE_CHECKING:
    from lanman.rpc.ndr import Call

T = TypeVar("T")
R = TypeVar("R", bound=Response)


async def next_event(rpc: RpcClient, data: bytes, receive: Callable[[], Awaitable[bytes]]) -> Event:
    """The next thing that the server says on an association, of `data` and of as much more as that takes.

    A server that would rather have the connection closed (shutdown, C706 12.6.4.11) is not obliged by an answer.
    """
    while True:
        for event in rpc.receive_data(data):
            if not isinstance(event, ShutdownReceived):
                return event
        data = await receive()


async def response_of(request: Call[R], event: Event, server: str | None = None) -> R:
    """The response to a call, whatever status is in it, decoded in pieces.

    Raises AccessDenied or another Win32Error for an RPC fault, RemoteProtocolError for anything but an answer to a
    call, and MalformedMessage for a stub that is no such response.
    """
    name = type(request).__name__
    if isinstance(event, ResponseReceived):
        return await in_turns(request.answer_in_pieces(event.stub, event.ndr64))
    if not isinstance(event, FaultReceived):
        raise RemoteProtocolError(f"{name} was answered by a {type(event).__name__}", server=server)
    code = codes.fault_to_win32(event.status)
    message = f"{name}: {codes.win32_text(code)}"
    if code == codes.ERROR_ACCESS_DENIED:
        raise AccessDenied(message, server=server, subject=name)
    raise Win32Error(code, message, server=server, subject=name)


async def in_turns(work: Generator[None, None, T]) -> T:
    """The result of work in pieces, with a turn of the event loop between two: signals and deadlines are heard."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            value: T = end.value
            return value
        await asyncio.sleep(0)
