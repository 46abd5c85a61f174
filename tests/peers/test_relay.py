"""smbclient logs on through a man in the middle, signing required at both ends: nothing happens as the victim."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from lanman import codes
from lanman.settings import Configuration, ShareConfiguration
from support.loopback_server import PASSWORDS, running_server
from support.relay import ATTACKS, STOLEN, relaying
from support.smbd import Account, Tools

pytestmark = pytest.mark.samba("smbclient")

DIALECTS = ("SMB2_02", "SMB2_10", "SMB3_00", "SMB3_02", "SMB3_11")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("attack", ATTACKS)
async def test_nothing_happens_as_the_victim(
    tmp_path: Path, samba_tools: Callable[..., Tools], attack: str, dialect: str
) -> None:
    folder = tmp_path / "share"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    (folder / "secret.txt").write_text("secret")
    configuration = Configuration(name="LANTEST", shares={"share": ShareConfiguration(path=str(folder))})
    async with (
        running_server(tmp_path / "home", configuration) as server,
        relaying(attack, server.port) as (relay, port),
    ):
        happened: list[object] = []
        server.service.subscribe(happened.append)
        options = ("--option", f"client max protocol={dialect}", "--client-protection=sign")
        victim = Account("ann", PASSWORDS["ann"])
        await asyncio.to_thread(samba_tools(port).smbclient, victim, "ls", "share", options=options)
        assert relay.attacked
        assert not [event for event in happened if type(event).__name__ in ("TreeConnected", "FileOpened")]
        assert all(header.status in REFUSALS for header in relay.answers)
        assert not (folder / STOLEN).exists()
        # The same victim, without anybody in between.
        said = await asyncio.to_thread(samba_tools(server.port).smbclient, victim, "ls", "share", options=options)
        assert "secret.txt" in said


REFUSALS = frozenset(
    {
        codes.STATUS_ACCESS_DENIED,
        codes.STATUS_INVALID_PARAMETER,
        codes.STATUS_USER_SESSION_DELETED,
    }
)
