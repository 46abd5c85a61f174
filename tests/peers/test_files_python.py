"""Our Server's folders under impacket and smbprotocol: put, list, get, copy on the server, rename, times, delete."""

from __future__ import annotations

import asyncio
import io
import os
from pathlib import Path

import pytest

from lanman.net.server import SmbServer
from lanman.settings import Configuration, ShareConfiguration
from support.loopback_server import PASSWORDS
from support.waiting import until

DATA = os.urandom(1_000_001)


@pytest.fixture
def configuration(folder: Path) -> Configuration:
    return Configuration(name="LANTEST", shares={"share": ShareConfiguration(str(folder))})


def use_impacket(port: int) -> None:
    smbconnection = pytest.importorskip("impacket.smbconnection")
    connection = smbconnection.SMBConnection("127.0.0.1", "127.0.0.1", sess_port=port)
    try:
        connection.login("ann", PASSWORDS["ann"])

        def listed(pattern: str) -> list[str]:
            return sorted(entry.get_longname() for entry in connection.listPath("share", pattern))

        connection.createDirectory("share", "folder")
        connection.putFile("share", "folder/a.txt", io.BytesIO(DATA).read)
        out = io.BytesIO()
        connection.getFile("share", "folder/a.txt", out.write)
        assert out.getvalue() == DATA
        connection.rename("share", "folder/a.txt", "folder/b.txt")
        assert listed("folder/*") == [".", "..", "b.txt"]
        connection.deleteFile("share", "folder/b.txt")
        connection.deleteDirectory("share", "folder")
        assert listed("*") == [".", ".."]
    finally:
        connection.close()


def use_smbprotocol(port: int, folder: Path) -> None:
    smbclient = pytest.importorskip("smbclient")
    pool = pytest.importorskip("smbclient._pool")
    cache: dict[str, object] = {}
    options = {"port": port, "connection_cache": cache, "username": "ann", "password": PASSWORDS["ann"]}
    root = r"\\127.0.0.1\share"
    try:
        smbclient.mkdir(rf"{root}\folder", **options)
        with smbclient.open_file(rf"{root}\folder\a.txt", "wb", **options) as file:
            file.write(DATA)
        with smbclient.open_file(rf"{root}\folder\a.txt", "rb", **options) as file:
            assert file.read() == DATA
        smbclient.copyfile(rf"{root}\folder\a.txt", rf"{root}\folder\b.txt", **options)
        smbclient.rename(rf"{root}\folder\b.txt", rf"{root}\folder\c.txt", **options)
        smbclient.utime(rf"{root}\folder\c.txt", times=(1e9, 1e9), **options)
        assert sorted(smbclient.listdir(rf"{root}\folder", **options)) == ["a.txt", "c.txt"]
        assert smbclient.stat(rf"{root}\folder\c.txt", **options).st_mtime == 1e9
        assert (folder / "folder" / "c.txt").read_bytes() == DATA
        assert smbclient.stat_volume(root, **options).total_size > 0
        for name in ("a.txt", "c.txt"):
            smbclient.remove(rf"{root}\folder\{name}", **options)
        smbclient.rmdir(rf"{root}\folder", **options)
        assert smbclient.listdir(root, **options) == []
    finally:
        pool.reset_connection_cache(connection_cache=cache)


async def test_impacket(server: SmbServer) -> None:
    await asyncio.to_thread(use_impacket, server.port)
    await until(lambda: not server.service.opens())  # who leaves waits for no answer


async def test_smbprotocol(server: SmbServer, folder: Path) -> None:
    await asyncio.to_thread(use_smbprotocol, server.port, folder)
    await until(lambda: not server.service.opens())  # who leaves waits for no answer
