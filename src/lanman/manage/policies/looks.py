"""Looking at a server for policies, at one Manager that stays open from look to look; and orders given there.

The looks are these, and not the poller's: what is decided stands on an answer that is seconds old, and the orders
follow on the same connection. Of files and shares nothing is asked that no policy needs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from lanman.errors import ConnectionLost, ProtocolError, Win32Error
from lanman.manage.kept import KeptManager, Opening
from lanman.manage.orders import plan_sessions, run
from lanman.manage.policies.declared import Policy
from lanman.manage.policies.promises import session_of
from lanman.manage.policies.selecting import FILES, SHARES, Seen, View
from lanman.manage.selection import is_address, is_pattern
from lanman.manage.watching.keys import session_key
from lanman.names import fold

if TYPE_CHECKING:
    from lanman.manage.orders import Cost, Outcome, Plan
    from lanman.records import FileInfo, SessionInfo

T = TypeVar("T")


class Looker(KeptManager):
    """One server, as `name` calls it. An async context manager, which closes the Manager that it has open. `took` is
    how many seconds the last look took, without connecting."""

    def __init__(self, name: str, opening: Opening, now: Callable[[], float]) -> None:
        super().__init__(opening)
        self.name = name
        self.took = 0.0
        self._now = now

    async def look(self, policies: Iterable[Policy], left: Iterable[str] = ()) -> View:
        """What the server lists, as far as some policies need it. `left` are words of spares, whose names of clients
        are looked up. Raises LanmanError; after a connection that was lost the next look connects anew."""
        wanted = [policy.select for policy in policies]
        needed = {key for select in wanted for key in FILES if getattr(select, key)}
        try:
            manager = await self.manager()
            began = asyncio.get_running_loop().time()
            # Files first: whoever has opened one of them is then among the sessions.
            files = await _told(manager.opened_files) if needed else None
            shares = await _told(manager.shares) if needed & set(SHARES) else None
            at = self._now()
            listed = (await manager.sessions()).entries
            names = [entry.client_name for entry in listed if entry.client_name]
            typed = [each for select in wanted for each in (*select.client, *select.not_client)]
            clients = {
                each: await manager.clients_called(each, names)
                for each in dict.fromkeys([*typed, *_looked_up(left, listed)])
                if not is_pattern(each) and not is_address(each)
            }
        except (ConnectionLost, ProtocolError):
            await self.close()
            raise
        self.took = asyncio.get_running_loop().time() - began
        folders = None if shares is None else {fold(one.netname or ""): one.path for one in shares if one.path}
        return View(self.name, at, [Seen(each, session_key(each, at)) for each in listed], files, folders, clients)

    async def plan(self, sessions: Sequence[SessionInfo], *, costs: bool = True) -> Plan:
        """How to end some sessions of the last look. Raises LanmanError."""
        try:
            return await plan_sessions(await self.manager(), sessions, costs=costs)
        except (ConnectionLost, ProtocolError):
            await self.close()
            raise

    async def run(self, plan: Plan, limit: Cost | None) -> list[Outcome]:
        """Run a plan; bystanders, and who costs more than the limit by now, are left alone. Raises LanmanError."""
        try:
            return await run(await self.manager(), plan, limit=limit)
        except (ConnectionLost, ProtocolError):
            await self.close()
            raise

    async def open_files(self) -> Sequence[FileInfo]:
        """What is open, to be named to those who are told; nothing where the server does not tell."""
        try:
            return await _told((await self.manager()).files) or ()
        except (ConnectionLost, ProtocolError):
            await self.close()
            return ()


def _looked_up(words: Iterable[str], listed: Sequence[SessionInfo]) -> Iterator[str]:
    """The words of spares that may be names of clients, which are looked up: no keys, and no users that are listed."""
    users = {fold(entry.user_name or "").rpartition("\\")[2].partition("@")[0] for entry in listed}
    for word in words:
        bare = fold(word).rpartition("\\")[2].partition("@")[0]
        if session_of(word) is None and (word[:1] in ("\\", "/") or bare not in users):
            yield word


async def _told(question: Callable[[], Awaitable[T]]) -> T | None:
    """An answer; None where the server refuses it."""
    try:
        return await question()
    except Win32Error:
        return None
