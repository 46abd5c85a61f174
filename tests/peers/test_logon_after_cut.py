"""Programs that have no durable handles, on a connection that is reset in the middle of writing: they log on again at
once, and have the file that they had open, be it exclusively."""

from __future__ import annotations

import asyncio
import io
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from lanman.net.server import SmbServer
from lanman.settings import Configuration, ShareConfiguration
from support.loopback_server import PASSWORDS
from support.smbd import Account, Tools
from support.waiting import until

DATA = os.urandom(400_001)
NAME = "written.bin"

Put = Callable[[bytes], None]


class Cutter:
    """Between clients and the Server on a port. The next connection on which more than `after` bytes have come from its
    client is reset at both ends; then it cuts no more until it is told to again."""

    def __init__(self, port: int) -> None:
        self.after: int | None = None
        self.cuts = 0
        self._port = port

    async def serve(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        answers, server = await asyncio.open_connection("127.0.0.1", self._port)
        there = asyncio.ensure_future(self._pass_on(client, server, (server, back)))
        here = asyncio.ensure_future(self._pass_on(answers, back))
        await asyncio.wait([there, here], return_when=asyncio.FIRST_COMPLETED)
        for writer in (server, back):
            writer.close()
        await asyncio.wait([there, here])

    async def _pass_on(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        both: tuple[asyncio.StreamWriter, ...] = (),
    ) -> None:
        passed = 0
        with suppress(ConnectionError):
            while data := await source.read(65536):
                passed += len(data)
                if both and self.after is not None and passed > self.after:
                    self.after, self.cuts = None, self.cuts + 1
                    for writer in both:
                        reset(writer)
                    return
                sink.write(data)
                await sink.drain()


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection by a TCP reset."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@pytest.fixture
def configuration(folder: Path) -> Configuration:
    return Configuration(name="LANTEST", shares={"share": ShareConfiguration(str(folder))})


@pytest.fixture
async def cutter(server: SmbServer) -> AsyncIterator[tuple[Cutter, int]]:
    cutter = Cutter(server.port)
    listening = await asyncio.start_server(cutter.serve, "127.0.0.1", 0)
    async with listening:
        yield cutter, listening.sockets[0].getsockname()[1]


def put_by_impacket(port: int) -> Put:
    smbconnection = pytest.importorskip("impacket.smbconnection")

    def put(data: bytes) -> None:
        connection = smbconnection.SMBConnection("127.0.0.1", "127.0.0.1", sess_port=port)
        try:
            connection.login("ann", PASSWORDS["ann"])
            connection.putFile("share", NAME, io.BytesIO(data).read, shareAccessMode=0)
        finally:
            connection.close()

    return put


def put_by_smbprotocol(port: int) -> Put:
    smbclient = pytest.importorskip("smbclient")
    pool = pytest.importorskip("smbclient._pool")

    def put(data: bytes) -> None:
        cache: dict[str, object] = {}
        options = {"port": port, "connection_cache": cache, "username": "ann", "password": PASSWORDS["ann"]}
        try:
            # It shares with nobody unless it is told to.
            with smbclient.open_file(rf"\\127.0.0.1\share\{NAME}", "wb", buffering=0, **options) as file:
                for begin in range(0, len(data), 65536):
                    file.write(data[begin : begin + 65536])
        finally:
            pool.reset_connection_cache(fail_on_error=False, connection_cache=cache)

    return put


async def cut_and_come_again(server: SmbServer, cutter: Cutter, folder: Path, put: Put) -> None:
    """Twice cut, at other places; each time followed by the same, whole."""
    for after in (80_000, 240_000):
        cutter.after = after
        with pytest.raises(Exception):  # noqa: B017 - each program has errors of its own
            await asyncio.to_thread(put, DATA)
        await asyncio.to_thread(put, DATA[::-1])
        assert (folder / NAME).read_bytes() == DATA[::-1]
    assert cutter.cuts == 2
    await until(lambda: not server.service.opens())  # who leaves waits for no answer


async def test_impacket(server: SmbServer, cutter: tuple[Cutter, int], folder: Path) -> None:
    await cut_and_come_again(server, cutter[0], folder, put_by_impacket(cutter[1]))


# A file object of it that was cut off says so when it goes.
@pytest.mark.filterwarnings("ignore:unclosed SMB handle:ResourceWarning")
async def test_smbprotocol(server: SmbServer, cutter: tuple[Cutter, int], folder: Path) -> None:
    await cut_and_come_again(server, cutter[0], folder, put_by_smbprotocol(cutter[1]))


@pytest.mark.samba("smbclient")
async def test_smbclient(
    server: SmbServer,
    cutter: tuple[Cutter, int],
    folder: Path,
    tmp_path: Path,
    samba_tools: Callable[..., Tools],
) -> None:
    tools = samba_tools(cutter[1])

    def put(data: bytes) -> None:
        (tmp_path / "here").write_bytes(data)
        said = tools.smbclient(Account("ann", PASSWORDS["ann"]), f"put {tmp_path / 'here'} {NAME}")
        if "NT_STATUS" in said:
            raise ConnectionError(said)

    await cut_and_come_again(server, cutter[0], folder, put)
