"""The journeys of a Manager with the wire cut after the first, second, third, ... thing that the client says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

import lanman
from lanman.errors import ConnectionLost, LanmanError
from lanman.manage.granted import GrantedLevels
from lanman.manage.orders import pauses as orders
from lanman.net.credentials import Credentials
from lanman.rpc.srvsvc import NetrSessionDel
from support.scripted_windows import ScriptedWindows, windows_2019


class Proxy:
    """A wire to a server that is cut when the client has spoken so often; `first_only` spares later connections."""

    def __init__(self, port: int, cut_after: int, *, deliver_last: bool, first_only: bool) -> None:
        self._port, self._cut_after = port, cut_after
        self._deliver_last, self._first_only = deliver_last, first_only
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        limit = 1000 if self._first_only and self.connections > 1 else self._cut_after
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._port)
        back = asyncio.create_task(self._carry_back(up_reader, writer))
        try:
            for number in range(1, limit + 1):
                data = await reader.read(65536)
                if not data:
                    break
                if number < limit or self._deliver_last:
                    up_writer.write(data)
            if self._deliver_last:
                up_writer.write_eof()  # the server gets to hear it all, and its last answer does not arrive
        finally:
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)
            writer.transport.abort()
            if self._deliver_last:
                await up_reader.read(-1)
            up_writer.close()

    async def _carry_back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)


@contextlib.asynccontextmanager
async def cut(
    server: ScriptedWindows, after: int, *, deliver_last: bool = False, first_only: bool = False
) -> AsyncIterator[tuple[int, Proxy]]:
    proxy = Proxy(server.port, after, deliver_last=deliver_last, first_only=first_only)
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(proxy.serve(reader, writer)))

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1], proxy
    finally:
        listener.close()
        async with asyncio.timeout(60):
            await asyncio.gather(*tasks, return_exceptions=True)


def opened(server: ScriptedWindows, port: int) -> contextlib.AbstractAsyncContextManager[lanman.Manager]:
    return lanman.open_manager("127.0.0.1", Credentials("admin", server.password), port=port, granted=GrantedLevels())


@pytest.mark.parametrize("deliver_last", [False, True])
@pytest.mark.parametrize("after", range(1, 6))
async def test_a_list_that_cannot_be_had_is_an_error(after: int, deliver_last: bool) -> None:
    async def visit(port: int) -> None:
        async with opened(server, port) as manager:
            await manager.sessions()

    async with ScriptedWindows(windows_2019()) as server, cut(server, after, deliver_last=deliver_last) as (port, _):
        with pytest.raises(LanmanError) as raised:
            await visit(port)
        assert isinstance(raised.value, ConnectionLost)
        assert raised.value.message.startswith("\\\\127.0.0.1: ")


async def test_a_wire_cut_while_logging_off_is_no_error() -> None:
    async with ScriptedWindows(windows_2019()) as server, cut(server, 6) as (port, _), opened(server, port) as manager:
        assert len((await manager.sessions()).entries) == 6


@pytest.mark.parametrize("deliver_last", [False, True])
async def test_a_question_is_asked_again_on_a_new_connection(deliver_last: bool) -> None:
    async with (
        ScriptedWindows(windows_2019()) as server,
        cut(server, 5, deliver_last=deliver_last, first_only=True) as (port, proxy),
        opened(server, port) as manager,
    ):
        assert (await manager.sessions()).entries == server.windows.sessions
        assert proxy.connections == 2


@pytest.mark.parametrize("delivered", [False, True])
async def test_an_order_is_given_once_and_what_became_of_it_is_looked_up(
    delivered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four to connect, one to list, one to look before the order, and the seventh is the order."""
    monkeypatch.setattr(orders, "PAUSES", (0.0, 0.0))
    async with (
        ScriptedWindows(windows_2019()) as server,
        cut(server, 7, deliver_last=delivered, first_only=True) as (port, proxy),
        opened(server, port) as manager,
    ):
        (target,) = (await manager.sessions(user="bob")).entries
        (ended,) = await manager.close_sessions([target])
        assert (ended.error is None) == delivered
        assert len([request for request in server.asked if type(request) is NetrSessionDel]) == int(delivered)
        assert proxy.connections == 2
