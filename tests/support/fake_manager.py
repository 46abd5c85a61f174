"""A Manager that answers from lists, in place of a server, and the command run against it."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from lanman import codes
from lanman.errors import LanmanError, Win32Error
from lanman.faces.cli import credentials
from lanman.faces.cli.main import run
from lanman.manage.ending import Consent, agreed
from lanman.manage.manager import CloseResult, Manager, Sessions, no_such_file
from lanman.manage.selection import alike_clients, equal_clients, select_files, select_sessions
from lanman.records import (
    ConnectionInfo,
    FileInfo,
    ServerInfo,
    SessionInfo,
    ShareInfo,
    Statistics,
    TimeOfDay,
    TransportInfo,
)


@dataclass
class FakeManager(Manager):
    """What it is asked to end or change, it does to its own lists. `fails` is raised by every question."""

    server: str = "FILER01"
    level: int = 502
    whole_connections: bool = False
    entries: list[SessionInfo] = field(default_factory=list)
    opened: list[FileInfo] = field(default_factory=list)
    tree_connects: list[ConnectionInfo] = field(default_factory=list)
    shared: list[ShareInfo] = field(default_factory=list)
    info: ServerInfo = field(default_factory=ServerInfo)
    listening: list[TransportInfo] | None = None
    counted: Statistics = field(default_factory=Statistics)
    fails: LanmanError | None = None
    refuses: dict[str, LanmanError] = field(default_factory=dict)
    told: list[Any] = field(default_factory=list)
    opened_with: list[tuple[Any, ...]] = field(default_factory=list)

    async def close(self) -> None:
        self.told.append("left")

    async def sessions(
        self, *, client: str | None = None, user: str | None = None, level: int | None = None
    ) -> Sessions:
        if self.fails:
            raise self.fails
        names = [entry.client_name for entry in self.entries]
        clients = None if client is None else equal_clients(names, client) or alike_clients(names, client)
        found = select_sessions(self.entries, None, user)
        return Sessions(
            self.server, self.level, [entry for entry in found if clients is None or entry.client_name in clients]
        )

    async def bystanders(self, sessions: Sequence[SessionInfo]) -> list[list[SessionInfo]]:
        return [self._others(session, sessions) for session in sessions]

    def _others(self, session: SessionInfo, sessions: Sequence[SessionInfo]) -> list[SessionInfo]:
        if not self.whole_connections:
            return []
        return [entry for entry in self.entries if entry.client_name == session.client_name and entry not in sessions]

    async def close_sessions(
        self,
        sessions: Sequence[SessionInfo],
        *,
        with_others: Consent = False,
        done: Callable[[CloseResult], None] | None = None,
    ) -> list[CloseResult]:
        ended = []
        for session in sessions:
            error = self.refuses.get(session.user_name or "")
            others = self._others(session, sessions)
            if not all(map(agreed(with_others), others)):
                error = Win32Error(codes.ERROR_BUSY, "left alone")
            if error is None:
                self.entries = [entry for entry in self.entries if entry not in (session, *others)]
            ended.append(CloseResult(session, error, None, others))
            if done is not None:
                done(ended[-1])
        return ended

    async def connections(self, qualifier: str) -> list[ConnectionInfo]:
        if "connections" in self.refuses:
            raise self.refuses["connections"]
        self.told.append(("connections", qualifier))
        return self.tree_connects

    async def files(
        self, *, path: str | None = None, user: str | None = None, client: str | None = None
    ) -> list[FileInfo]:
        if self.fails:
            raise self.fails
        return select_files(self.opened, path=path, user=user)

    async def file(self, id: int) -> FileInfo:
        if (found := next((entry for entry in self.opened if entry.id == id), None)) is None:
            raise no_such_file(id)
        return found

    async def close_file(self, id: int) -> FileInfo:
        found = await self.file(id)
        if found.path in self.refuses:
            raise self.refuses[found.path]
        self.opened.remove(found)
        return found

    async def shares(self, level: int | None = None) -> list[ShareInfo]:
        return self.shared

    async def share(self, name: str) -> ShareInfo:
        found = next((entry for entry in self.shared if entry.netname == name), None)
        if found is None:
            raise Win32Error(codes.NERR_NetNameNotFound)
        return found

    async def add_share(self, name: str, path: str, *, remark: str = "", max_users: int = 0) -> None:
        if "add_share" in self.refuses:
            raise self.refuses["add_share"]
        self.told.append(("add_share", name, path, remark, max_users))
        self.shared.append(ShareInfo(name, 0, remark, max_uses=max_users or 0xFFFFFFFF, path=path))

    async def set_share(self, name: str, *, remark: str | None = None, max_users: int | None = None) -> None:
        await self.share(name)
        self.told.append(("set_share", name, remark, max_users))

    async def delete_share(self, name: str) -> None:
        self.shared.remove(await self.share(name))
        self.told.append(("delete_share", name))

    async def server_info(self, level: int | None = None) -> ServerInfo:
        return self.info

    async def set_autodisconnect(self, minutes: int) -> None:
        self.told.append(("autodisconnect", minutes))

    async def set_comment(self, text: str) -> None:
        self.told.append(("comment", text))

    async def set_hidden(self, hidden: bool) -> None:
        self.told.append(("hidden", hidden))

    async def statistics(self) -> Statistics:
        return self.counted

    async def time_of_day(self) -> TimeOfDay:
        return TimeOfDay()

    async def transports(self) -> list[TransportInfo]:
        if self.listening is None:
            raise LanmanError("no such call", code=1745)
        return self.listening


@dataclass
class Result:
    status: int
    out: str
    err: str


class Command:
    """The command with a fake server behind it: `command("session /delete", answers="y")`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.manager = FakeManager()
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        for name in ("LANMAN_PASSWORD", "LANMAN_HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr("lanman.manage.open.open_manager", self._open)
        # Whoever runs the tests at a terminal is not to be asked for passwords.
        monkeypatch.setattr(credentials, "has_terminal", lambda: False)

    @asynccontextmanager
    async def _open(self, *arguments: Any, **options: Any) -> AsyncIterator[FakeManager]:
        self.manager.opened_with.append((*arguments, options))
        try:
            yield self.manager
        finally:
            await self.manager.close()

    def __call__(self, words: str | Sequence[str], answers: str = "") -> Result:
        self._monkeypatch.setattr("sys.stdin", io.StringIO(answers))
        self._capsys.readouterr()
        status = run(words.split() if isinstance(words, str) else words)
        captured = self._capsys.readouterr()
        return Result(status, captured.out, captured.err)
