"""Our Server under Samba's `net rpc`, which knows port 445 and no other: it runs on a loopback address of its own."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from lanman.net.server import SmbServer
from lanman.settings import Configuration, ShareConfiguration
from support.loopback_server import PASSWORDS, running_server
from support.smbd import Account, Tools

pytestmark = [pytest.mark.samba("net", "smbclient"), pytest.mark.root]

HOST, PORT = "127.0.0.9", 445


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[SmbServer]:
    """On port 445, with a folder in which a file lies."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, PORT))
        except OSError as error:
            pytest.skip(f"only on machines where {HOST} port {PORT} is free: {error}")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "plan.txt").write_text("a plan")
    shares = {"projects": ShareConfiguration(str(folder), comment="what we do")}
    configuration = replace(Configuration(name="LANTEST"), shares=shares)
    async with running_server(tmp_path / "home", configuration, host=HOST, port=PORT) as server:
        yield server


@pytest.fixture
def tools(server: SmbServer, tmp_path: Path) -> Tools:
    (tmp_path / "client").mkdir()
    return Tools(tmp_path / "client", PORT, HOST)


async def net_rpc(tools: Tools, user: str, *arguments: str) -> str:
    """What `net rpc` prints, errors included."""
    account = Account(user, PASSWORDS[user])
    return await asyncio.to_thread(tools.run, "net", account, "rpc", *arguments, "-S", HOST, "-d1")


async def test_shares_are_listed(tools: Tools) -> None:
    said = await net_rpc(tools, "ann", "share", "list")
    assert {"IPC$", "projects"} <= set(said.split()), said
    said = await net_rpc(tools, "ann", "share", "list", "--long")
    assert re.search(r"^projects +Disk +what we do", said, re.MULTILINE), said


async def test_a_file_is_listed_and_closed(server: SmbServer, tools: Tools) -> None:
    client = await asyncio.to_thread(tools.hold, Account("bob", PASSWORDS["bob"]), "projects")
    try:
        await asyncio.to_thread(client.command, "open plan.txt")
        said = await net_rpc(tools, "admin", "file")
        found = re.search(r"^(\d+)\s+bob\s+0x\w+\s+0\s+C:\\\S+\\folder\\plan\.txt", said, re.MULTILINE)
        assert found, said
        denied = await net_rpc(tools, "ann", "file", "close", found[1])
        assert "closed" not in denied.lower(), denied
        assert any(opened.path.endswith("plan.txt") for opened in server.service.opens())
        await net_rpc(tools, "admin", "file", "close", found[1])
        assert not any(opened.path.endswith("plan.txt") for opened in server.service.opens())
    finally:
        await asyncio.to_thread(client.close)
