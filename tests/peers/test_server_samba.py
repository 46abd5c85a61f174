"""Our Server under Samba's own clients: rpcclient lists and ends sessions, smbclient logs on in every dialect."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from lanman.net.server import SmbServer
from support.loopback_server import PASSWORDS
from support.smbd import Account, HeldClient, Tools

pytestmark = pytest.mark.samba("smbclient", "rpcclient")

ACCOUNTS = {name: Account(name, password) for name, password in PASSWORDS.items()}
DIALECTS = {"SMB2_02": "2.0.2", "SMB2_10": "2.1", "SMB3_00": "3.0", "SMB3_02": "3.0.2", "SMB3_11": "3.1.1"}

Aim = Callable[..., Tools]


@pytest.fixture
def tools(server: SmbServer, samba_tools: Aim) -> Tools:
    return samba_tools(server.port)


async def rpc(tools: Tools, user: str, *commands: str, options: tuple[str, ...] = ()) -> str:
    return await asyncio.to_thread(tools.rpcclient, ACCOUNTS[user], *commands, options=options)


async def smb(tools: Tools, user: str, command: str, share: str = "IPC$", options: tuple[str, ...] = ()) -> str:
    return await asyncio.to_thread(tools.smbclient, ACCOUNTS[user], command, share, options=options)


@asynccontextmanager
async def held(tools: Tools, user: str, options: tuple[str, ...] = ()) -> AsyncIterator[HeldClient]:
    """A client on IPC$. It logs off when it is closed, and the loop that is waiting for that is the Server's own."""
    client = await asyncio.to_thread(tools.hold, ACCOUNTS[user], "IPC$", options=options)
    try:
        yield client
    finally:
        await asyncio.to_thread(client.close)


# rpcclient takes one level of backslashes away, and of a list it prints the number of its entries.
HERE = "\\\\\\\\127.0.0.1"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_rpcclient_lists_sessions(tools: Tools, dialect: str) -> None:
    options = ("--option", f"client ipc max protocol={dialect}")
    async with held(tools, "ann"):
        said = await rpc(
            tools, "admin", "netsessenum", f"netsessenum {HERE}", f"netsessenum {HERE} ann", options=options
        )
        assert re.findall(r"Received (\d+) entries|result was (\w+)", said) == [("2", ""), ("2", ""), ("1", "")]
        said = await rpc(tools, "admin", "netsessenum nonsense", options=options)
        assert "WERR_NERR_INVALIDCOMPUTER" in said


async def test_rpcclient_may_only_list_as_an_administrator(tools: Tools) -> None:
    said = await rpc(tools, "ann", "netsessenum")
    assert "WERR_ACCESS_DENIED" in said


async def test_rpcclient_ends_sessions(server: SmbServer, tools: Tools) -> None:
    async with held(tools, "ann"), held(tools, "bob"):
        assert sorted(session.user_name for session in server.service.sessions()) == ["ann", "bob"]
        said = await rpc(tools, "admin", f"netsessdel {HERE} ann")
        assert "WERR" not in said, said
        assert [session.user_name for session in server.service.sessions()] == ["bob"]
        said = await rpc(tools, "admin", f"netsessdel {HERE} ann")
        assert "WERR_NERR_CLIENTNAMENOTFOUND" in said
        said = await rpc(tools, "bob", f"netsessdel {HERE} bob")
        assert "WERR_ACCESS_DENIED" in said


async def test_rpcclient_ends_its_own_session(server: SmbServer, tools: Tools) -> None:
    said = await rpc(tools, "admin", f"netsessdel {HERE} admin")
    assert "WERR" not in said, said
    assert "NT_STATUS" not in said, said
    assert server.service.sessions() == []


@pytest.mark.parametrize("first", ["SMB2_02", "NT1"])  # NT1: the negotiation begins in SMB 1
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_smbclient_logs_on(server: SmbServer, tools: Tools, dialect: str, first: str) -> None:
    protocols = {"min": first, "max": dialect}
    options = tuple(
        f"--option=client {kind}{end} protocol={protocol}"
        for kind in ("", "ipc ")
        for end, protocol in protocols.items()
    )
    async with held(tools, "ann", options):
        (session,) = server.service.sessions()
        assert session.user_name == "ann"
        assert session.dialect == DIALECTS[dialect]


async def test_smbclient_lists_shares(tools: Tools) -> None:
    said = await asyncio.to_thread(tools.run, "smbclient", ACCOUNTS["admin"], "-L", "127.0.0.1")
    assert re.search(r"IPC\$ +IPC", said), said


@pytest.mark.parametrize("login", [Account("ann", "wrong"), Account("nobody", "x"), Account("ann", "")])
async def test_a_wrong_password_is_refused(server: SmbServer, tools: Tools, login: Account) -> None:
    for said in (
        await asyncio.to_thread(tools.smbclient, login, "ls", "IPC$"),
        await asyncio.to_thread(tools.rpcclient, login, "netsessenum 127.0.0.1"),
    ):
        assert "NT_STATUS_LOGON_FAILURE" in said, said
    assert server.service.sessions() == []


async def test_a_share_that_there_is_not(tools: Tools) -> None:
    assert "NT_STATUS_BAD_NETWORK_NAME" in await smb(tools, "ann", "ls", "nothing")


async def test_smbclient_encrypts(server: SmbServer, tools: Tools) -> None:
    said = await rpc(tools, "admin", "netsessenum", options=("--client-protection=encrypt",))
    assert "Received 1 entries" in said
