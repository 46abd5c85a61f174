"""Clients that others wrote, at a Server with multichannel: those that have none notice nothing, and smbtorture binds
(`test_files_smbtorture.py`)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

import pytest

from lanman.net.server import SmbServer
from lanman.settings import Configuration
from support.loopback_server import PASSWORDS
from support.smbd import Account, Tools


@pytest.fixture
def configuration() -> Configuration:
    return Configuration(name="LANTEST", multichannel=True)


@pytest.mark.samba("smbclient")
@pytest.mark.parametrize("dialect", ["SMB2_10", "SMB3_00", "SMB3_11"])
async def test_smbclient(server: SmbServer, samba_tools: Callable[..., Tools], dialect: str) -> None:
    tools = samba_tools(server.port)
    account = Account("ann", PASSWORDS["ann"])
    client = await asyncio.to_thread(
        tools.hold, account, "IPC$", options=("--option", f"client max protocol={dialect}")
    )
    try:
        (session,) = server.service.sessions()
        assert (session.user_name, len(session.connection_ids)) == ("ann", 1)
        # It offers multichannel, and so is given an algorithm that takes no nonce.
        assert session.signing == ("HMAC-SHA256" if dialect == "SMB2_10" else "AES-128-CMAC")
    finally:
        await asyncio.to_thread(client.close)


async def test_smbprotocol(server: SmbServer) -> None:
    pytest.importorskip("smbprotocol")
    from smbprotocol.connection import Connection
    from smbprotocol.session import Session
    from smbprotocol.tree import TreeConnect

    def visit() -> int:
        connection = Connection(uuid.uuid4(), "127.0.0.1", server.port, require_signing=True)
        connection.connect(timeout=30)
        try:
            session = Session(connection, "ann", PASSWORDS["ann"])
            session.connect()
            TreeConnect(session, r"\\127.0.0.1\IPC$").connect()
            return len(server.service.sessions())
        finally:
            connection.disconnect(close=True)

    assert await asyncio.to_thread(visit) == 1
