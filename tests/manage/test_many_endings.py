"""Very many sessions of our Server are ended over the wire, in orders that take the same time each, with progress."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

import lanman
from lanman.domain import Session
from lanman.domain.server_service import _Groups
from lanman.manage.manager import CloseResult
from lanman.net.credentials import Credentials
from lanman.settings import Configuration
from support.loopback_server import PASSWORDS, running_server


class _Looked(_Groups[str]):
    """The sessions by their names, and how many names were looked at one after the other."""

    looked = 0

    def items(self) -> Iterator[tuple[str, Collection[Session]]]:
        self.looked += len(self)
        return super().items()


async def end_all(home: Path, number: int) -> int:
    """Register so many sessions, end them over SMB, and count how often the Server compares one with an order."""
    async with running_server(home, Configuration(name="LANTEST")) as server:
        server.service._by_names = names = _Looked()
        now = asyncio.get_running_loop().time()
        for one in range(number):
            server.service.register_session(10**6 + one, 10**6 + one, f"192.0.2.{one % 200}", f"user{one}", now=now)
        admin = Credentials("admin", PASSWORDS["admin"])
        async with lanman.open_manager("127.0.0.1", admin, port=server.port) as manager:
            everybody = [entry for entry in (await manager.sessions()).entries if entry.user_name != "admin"]
            assert len(everybody) == number
            told: list[CloseResult] = []
            names.looked = 0
            outcome = await manager.close_sessions(everybody, done=told.append)
            compared = names.looked
            assert [ended.error for ended in outcome] == [None] * number
            assert [id(ended.session) for ended in told] == [id(entry) for entry in everybody]
            assert [entry.user_name for entry in (await manager.sessions()).entries] == ["admin"]
    return compared


async def test_a_sample(tmp_path: Path) -> None:
    few, many = await end_all(tmp_path / "few", 50), await end_all(tmp_path / "many", 200)
    assert many <= 5 * max(few, 50)


@pytest.mark.long
async def test_five_thousand(tmp_path: Path) -> None:
    await end_all(tmp_path / "home", 5000)
