"""Very many sessions of our Server are ended over the wire, in orders that take the same time each, with progress."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

import lanman
from lanman.domain import selection
from lanman.manage.manager import CloseResult
from lanman.net.credentials import Credentials
from lanman.settings import Configuration
from support.loopback_server import PASSWORDS, running_server


async def end_all(home: Path, number: int) -> int:
    """Register so many sessions, end them over SMB, and count how often the Server compares one with an order."""
    compared = 0

    def profile(frame: Any, event: str, _: Any) -> None:
        nonlocal compared
        if event == "call" and frame.f_code is selection.matches.__code__:
            compared += 1

    async with running_server(home, Configuration(name="LANTEST")) as server:
        now = asyncio.get_running_loop().time()
        for one in range(number):
            server.service.register_session(10**6 + one, 10**6 + one, f"192.0.2.{one % 200}", f"user{one}", now=now)
        admin = Credentials("admin", PASSWORDS["admin"])
        async with lanman.open_manager("127.0.0.1", admin, port=server.port) as manager:
            everybody = [entry for entry in (await manager.sessions()).entries if entry.user_name != "admin"]
            assert len(everybody) == number
            told: list[CloseResult] = []
            sys.setprofile(profile)
            try:
                outcome = await manager.close_sessions(everybody, done=told.append)
            finally:
                sys.setprofile(None)
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
