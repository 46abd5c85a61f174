"""Leases that smbprotocol asks for, and what the manager of this machine's Server tells of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import lanman
from lanman.manage.own import DetailedFile
from lanman.net.server import SmbServer
from lanman.settings import Configuration, ShareConfiguration
from support.loopback_server import PASSWORDS
from support.smbd import Account

pytest.importorskip("smbprotocol")
pytest.importorskip("impacket")
from smbprotocol.file_info import FileAttributes
from smbprotocol.open import CreateDisposition, FilePipePrinterAccessMask, ImpersonationLevel, Open, ShareAccess

from support.one_connection import OneConnection

ANN, BOB = Account("ann", PASSWORDS["ann"]), Account("bob", PASSWORDS["bob"])


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    folder = tmp_path / "folder"
    folder.mkdir()
    return Configuration(name="LANTEST", shares={"share": ShareConfiguration(str(folder))})


async def test_the_manager_tells_who_caches_what(server: SmbServer) -> None:
    """A lease of RWH is seen by its name and key in lists, explanations and the stream; an open for attributes by
    another client takes nothing from it."""

    def connect() -> OneConnection:
        one = OneConnection("127.0.0.1", server.port)
        one.open(one.log_on(ANN), "plan.txt", lease=True)
        return one

    one = await asyncio.to_thread(connect)
    try:
        other = await asyncio.to_thread(OneConnection, "127.0.0.1", server.port)
        await asyncio.to_thread(_look_at, other, "plan.txt")
        async with lanman.open_manager(home=server.home.path) as manager:
            (entry,) = [each for each in await manager.opened_files() if each.user_name == "ann"]
            assert isinstance(entry, DetailedFile)
            (opened,) = [each for each in server.service.opens() if each.session.user_name == "ann"]
            assert len(opened.lease_key) == 16
            key = opened.lease_key.hex()
            assert (entry.oplock, entry.lease, entry.lease_key) == ("", "RWH", key)
            (listed,) = [each for each in await manager.files() if each.user_name == "ann"]
            (again,) = await manager.detailed_files([listed])
            assert again == entry
            found = await lanman.explain(manager, "*plan.txt", user="ann")
            told = found.holders[0].as_json()
            assert (told["oplock"], told["lease"], told["lease_key"]) == ("", "RWH", key)
            async with manager.follow() as follower:
                (record,) = [each for each in follower.state.files.values() if each.user_name == "ann"]
                assert (record.oplock, record.lease, record.lease_key) == ("", "RWH", key)
        await asyncio.to_thread(other.close)
    finally:
        await asyncio.to_thread(one.close)


def _look_at(one: OneConnection, name: str) -> None:
    Open(one.log_on(BOB), name).create(
        ImpersonationLevel.Impersonation,
        FilePipePrinterAccessMask.FILE_READ_ATTRIBUTES,
        FileAttributes.FILE_ATTRIBUTE_NORMAL,
        ShareAccess.FILE_SHARE_READ | ShareAccess.FILE_SHARE_WRITE | ShareAccess.FILE_SHARE_DELETE,
        CreateDisposition.FILE_OPEN,
        0,
    )
