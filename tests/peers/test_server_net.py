"""Our Server under Samba's `net rpc`, which knows port 445 and no other: it runs on a loopback address of its own."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lanman.net.server import SmbServer
from lanman.rpc.ndr import Call, Interface, Response, handle, rest, u32
from lanman.server.rights import Caller
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


# --- `net rpc service`, which asks LSA for the name and SID of the domain before it asks anything else

LSARPC = Interface("lsarpc", "12345778-1234-abcd-ef00-0123456789ab", 0)


class LsaOpenPolicyResponse(Response):
    policy: handle = b"\1" * 20
    status: u32 = 0


@LSARPC.call(6)
class LsaOpenPolicy(Call[LsaOpenPolicyResponse]):
    """MS-LSAD LsarOpenPolicy."""

    attributes: rest = b""


class LsaQueryInformationPolicyResponse(Response):
    information: rest = b""


@LSARPC.call(7)
class LsaQueryInformationPolicy(Call[LsaQueryInformationPolicyResponse]):
    """MS-LSAD LsarQueryInformationPolicy."""

    policy: handle
    information_class: rest = b""


class LsaCloseResponse(LsaOpenPolicyResponse):
    pass


@LSARPC.call(0)
class LsaClose(Call[LsaCloseResponse]):
    """MS-LSAD LsarClose."""

    policy: handle


class Lsa:
    """As much of LSA as `net rpc` wants to hear; our Server has none."""

    def refuses(self, caller: Caller, call: type[Call[Any]], level: int | None) -> int:
        return 0

    def call(self, caller: Caller, request: Any, now: float) -> Any:
        if not isinstance(request, LsaQueryInformationPolicy):
            return request.response()
        # POLICY_ACCOUNT_DOMAIN_INFO: the name "LANTEST", and S-1-5-21-1-2-3.
        name = "LANTEST".encode("utf-16-le")
        out = struct.pack("<IHxxHHII", 1, 5, len(name), len(name) + 2, 2, 3)
        out += struct.pack("<III", 8, 0, 7) + name + b"\0\0"
        out += struct.pack("<IBB6s4I", 4, 1, 4, b"\0\0\0\0\0\5", 21, 1, 2, 3)
        return request.response(out + bytes(4))


@pytest.fixture
def lsa(server: SmbServer) -> None:
    server.core.pipes._endpoints["lsarpc"] = LSARPC, Lsa


async def test_the_service_is_asked_paused_and_continued(lsa: None, server: SmbServer, tools: Tools) -> None:
    """Samba's `net rpc service`: it opens the service, sends the control, and waits for the state by asking."""
    said = await net_rpc(tools, "admin", "service", "list")
    assert re.search(r'^LanmanServer\s+"Server"', said, re.MULTILINE), said
    said = await net_rpc(tools, "admin", "service", "status", "LanmanServer")
    assert "LanmanServer service is running" in said, said
    assert re.search(r"Display Name\s*[:=]\s*\"?Server", said), said
    said = await net_rpc(tools, "admin", "service", "pause", "LanmanServer")
    assert server.service.paused, said
    assert "LanmanServer service is paused" in said, said
    said = await net_rpc(tools, "admin", "service", "status", "LanmanServer")
    assert "LanmanServer service is paused" in said, said
    refused = await net_rpc(tools, "ann", "share", "list")
    assert "NT_STATUS_SHARING_PAUSED" in refused or "paused" in refused, refused
    assert "IPC$" in await net_rpc(tools, "admin", "share", "list")
    said = await net_rpc(tools, "admin", "service", "resume", "LanmanServer")
    assert not server.service.paused, said
    assert "projects" in await net_rpc(tools, "ann", "share", "list")


async def test_the_service_is_neither_stopped_nor_started_nor_anybodys(
    lsa: None, server: SmbServer, tools: Tools
) -> None:
    said = await net_rpc(tools, "admin", "service", "stop", "LanmanServer")
    assert re.search(r"INVALID_SERVICE_CONTROL|not valid", said), said
    said = await net_rpc(tools, "admin", "service", "start", "LanmanServer")
    assert re.search(r"ALREADY_RUNNING|already running", said), said
    said = await net_rpc(tools, "admin", "service", "status", "Spooler")
    assert re.search(r"NO_SUCH_SERVICE|DOES_NOT_EXIST|does not exist", said), said
    for verb in (["list"], ["status", "LanmanServer"], ["pause", "LanmanServer"]):
        said = await net_rpc(tools, "ann", "service", *verb)
        assert re.search("ACCESS_DENIED|Access is denied", said), said
    assert not server.service.paused
