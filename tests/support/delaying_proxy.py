"""A proxy that counts round trips, and may make each longer: bytes pass unchanged, each so much later.

async with delaying_proxy(port, seconds=0.01) as proxy:     # 10 ms each way: 20 ms a round trip
    ...                                                     # a client connects to proxy.port
    assert proxy.connections[0].flights == 6
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial


@dataclass
class Passing:
    """One connection through the proxy. `flights` counts how often its client spoke when the server had spoken since,
    or first: each but those that it did not wait for is a round trip. `said` is what it said in each of them."""

    flights: int = 0
    said: list[bytes] = field(default_factory=list)
    answered: list[bytes] = field(default_factory=list)
    client_spoke_last: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def from_client(self, data: bytes) -> None:
        if not self.client_spoke_last:
            self.flights += 1
            self.said.append(b"")
        self.client_spoke_last = True
        self.said[-1] += data

    def from_server(self, data: bytes) -> None:
        if self.client_spoke_last:
            self.answered.append(b"")
        self.client_spoke_last = False
        self.answered[-1] += data


@dataclass
class Proxy:
    """`mute_from`: from this flight on, what the server says is kept back."""

    server_port: int
    seconds: float = 0.0
    mute_from: int | None = None
    port: int = 0
    connections: list[Passing] = field(default_factory=list)


class _End(asyncio.Protocol):
    """One side of a connection. What it hears leaves by the other side."""

    def __init__(self, proxy: Proxy, passing: Passing, *, is_server: bool) -> None:
        self.proxy, self.passing, self.is_server = proxy, passing, is_server
        self.transport: asyncio.Transport | None = None
        self.other: _End | None = None
        self.waiting: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        waiting, self.waiting = self.waiting, []
        for data in waiting:
            transport.write(data)

    def data_received(self, data: bytes) -> None:
        passing = self.passing
        if self.is_server:
            passing.from_server(data)
            if self.proxy.mute_from is not None and passing.flights >= self.proxy.mute_from:
                return
        else:
            passing.from_client(data)
        if self.other is not None:
            self._later(partial(self.other.send, data))

    def connection_lost(self, _: Exception | None) -> None:
        if not self.is_server:
            self.passing.ended.set()
        if self.other is not None:
            self._later(self.other.close)

    def send(self, data: bytes) -> None:
        if self.transport is None:
            self.waiting.append(data)
        else:
            self.transport.write(data)

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def _later(self, what: Callable[[], object]) -> None:
        loop = asyncio.get_running_loop()
        if self.proxy.seconds:
            loop.call_later(self.proxy.seconds, what)
        else:
            what()


@contextlib.asynccontextmanager
async def delaying_proxy(
    server_port: int, seconds: float = 0.0, *, host: str = "127.0.0.1", mute_from: int | None = None
) -> AsyncIterator[Proxy]:
    """A proxy for the server on that port. `seconds` is the delay of each direction: half a round trip."""
    proxy = Proxy(server_port, seconds, mute_from)
    loop = asyncio.get_running_loop()
    connecting: set[asyncio.Task[None]] = set()

    def accept() -> _End:
        passing = Passing()
        proxy.connections.append(passing)
        near, far = _End(proxy, passing, is_server=False), _End(proxy, passing, is_server=True)
        near.other, far.other = far, near

        async def connect() -> None:
            await loop.create_connection(lambda: far, host, server_port)

        connecting.add(loop.create_task(connect()))
        return near

    listener = await loop.create_server(accept, host, 0)
    proxy.port = listener.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listener.close()
        await asyncio.gather(*connecting, return_exceptions=True)
        for passing in proxy.connections:
            await passing.ended.wait()
