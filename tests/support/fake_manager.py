"""A Manager that answers from lists, in place of a server, and the command run against it."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from lanman import codes
from lanman.errors import LanmanError, Win32Error
from lanman.faces.cli import credentials
from lanman.faces.cli.main import run
from lanman.manage.manager import Manager, Sessions, no_such_file
from lanman.manage.orders.listed import Order, Pairs
from lanman.manage.orders.plan import Consent, Done, Outcome, Plan
from lanman.manage.orders.sessions import Given, SessionOrders
from lanman.manage.own_session import NoSession
from lanman.manage.selection import alike_clients, equal_clients, select_files, select_sessions
from lanman.net.dial import Within
from lanman.records import (
    ConnectionInfo,
    FileInfo,
    ServerInfo,
    ServiceState,
    SessionInfo,
    ShareInfo,
    Statistics,
    TimeOfDay,
    TransportInfo,
)


class Own(NoSession):
    """The sessions of one user are this program's own; None for nobody's."""

    def __init__(self, user: str | None) -> None:
        self.user = user

    async def recogniser(self, listed: Sequence[SessionInfo]) -> Callable[[SessionInfo], bool]:
        return lambda session: self.user is not None and session.user_name == self.user

    def is_our_user(self, user: str | None) -> bool:
        return self.user is not None and user == self.user


@dataclass
class FakeManager(Manager):
    """What it is asked to end or change, it does to its own lists. `fails` is raised by every question."""

    server: str = "FILER01"
    level: int = 502
    whole_connections: bool = False
    own_user: str | None = None
    entries: list[SessionInfo] = field(default_factory=list)
    opened: list[FileInfo] = field(default_factory=list)
    tree_connects: list[ConnectionInfo] = field(default_factory=list)
    shared: list[ShareInfo] = field(default_factory=list)
    info: ServerInfo = field(default_factory=ServerInfo)
    listening: list[TransportInfo] | None = None
    counted: Statistics = field(default_factory=Statistics)
    state: ServiceState | None = ServiceState.RUNNING
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

    async def plan_sessions(self, sessions: Sequence[SessionInfo]) -> Plan:
        return await self._orders().plan(sessions)

    async def end_sessions(
        self,
        plan: Plan,
        *,
        with_others: Consent = False,
        include_mine: bool = False,
        at_once: bool = False,
        done: Done | None = None,
    ) -> list[Outcome]:
        return await self._orders().run(plan, with_others, include_mine=include_mine, at_once=at_once, done=done)

    def _orders(self) -> SessionOrders:
        return SessionOrders(
            Own(self.own_user),
            self.whole_connections,
            within=lambda: Within(None, lambda: "a fake", deadline=None, server=self.server),
            listed=self.sessions,
            glance=self.sessions,
            grouped=partial(Pairs, whole_connections=self.whole_connections),
            give=self._give,
            log_off=self._log_off,
        )

    async def _give(self, order: Order) -> Given:
        if (error := self.refuses.get(order.user or "")) is not None:
            return error, False
        ended = [*order.meant, *order.others]
        self.entries = [entry for entry in self.entries if not any(entry is one for one in ended)]
        return None, False

    async def _log_off(self) -> None:
        self.entries = [entry for entry in self.entries if entry.user_name != self.own_user]

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

    async def service_state(self) -> ServiceState:
        if self.state is None:
            return await super().service_state()
        return self.state

    async def pause(self) -> bool:
        return await self._become(ServiceState.PAUSED)

    async def continue_(self) -> bool:
        return await self._become(ServiceState.RUNNING)

    async def _become(self, state: ServiceState) -> bool:
        if self.fails:
            raise self.fails
        before, self.state = await self.service_state(), state
        return before is not state

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
        monkeypatch.delenv("LANMAN_PASSWORD", raising=False)
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
