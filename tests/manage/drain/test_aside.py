"""Sessions that the program which drains keeps for other work do not count, and its own is taken off besides."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from lanman.manage.drain.looks import Scope
from lanman.manage.drain.shell import look
from lanman.manage.manager import Manager
from lanman.records import SessionInfo
from support.fake_manager import FakeManager


async def aside(manager: Manager, listed: Sequence[SessionInfo]) -> list[SessionInfo]:
    return [entry for entry in listed if entry.user_name == "watcher"][:1]


async def test_who_is_aside_does_not_count() -> None:
    manager = FakeManager(
        own_user="admin",
        entries=[
            SessionInfo(r"\\pc7", "watcher", 1, 50, 0),
            SessionInfo(r"\\pc8", "watcher", 1, 50, 0),
            SessionInfo(r"\\pc9", "admin", 1, 2, 0),
        ],
    )

    @asynccontextmanager
    async def opening() -> AsyncIterator[FakeManager]:
        yield manager

    plan, holders, _ = await look(opening, Scope(), aside=aside)
    # One watcher is the program's; the other is somebody's. The session that looks is not counted as ever.
    assert [(holder.client_name, holder.user_name) for holder in holders] == [(r"\\pc8", "watcher")]
    assert [target.record.node for target in plan.targets] == [None]
    _, everybody, _ = await look(opening, Scope())
    assert len(everybody) == 2
    assert await manager.own_names([]) == frozenset()
