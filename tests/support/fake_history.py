"""A store of history that answers from lists, in place of a database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lanman.errors import LanmanError
from lanman.manage.history.records import Answer, Deed, GapRecord, Holder, Stats, Stay, Watched
from lanman.manage.history.store import Store
from lanman.manage.selection import Pattern
from lanman.manage.watching.keys import How
from lanman.manage.watching.rows import Kind


def seconds(text: str) -> int:
    """`2026-11-25T14:05:00Z` in seconds since 1970."""
    return int(datetime.fromisoformat(text).timestamp())


def session(user: str, client: str, begun: int, ended: int | None = None, **more: Any) -> Stay:
    """A session that was seen by looks 5 seconds apart, its begin told to 3 seconds."""
    given: dict[str, Any] = {"begun_slack": 3, "begun_how": How.TOLD, "ended_slack": 5, "why": "vanished"}
    given |= more if ended is not None else more | {"ended_slack": 0, "why": None}
    return Stay(
        given.pop("id", 1), given.pop("server", "fs1"), Kind.SESSION, user, client, How.TOLD, (), None, None, None,
        None, 502, begun, given.pop("begun_slack"), given.pop("begun_how"), ended, given.pop("ended_slack"),
        given.pop("why"), **given,
    )  # fmt: skip


def opened(path: str | None, user: str, client: str | None, begun: int, ended: int | None = None, **more: Any) -> Stay:
    """A file that was seen open by looks 5 seconds apart; `candidates` are the clients that it may be from."""
    given: dict[str, Any] = {"begun_slack": 5, "begun_how": How.SEEN, "ended_slack": 5, "why": "vanished", "access": 1}
    given |= more if ended is not None else more | {"ended_slack": 0, "why": None}
    candidates = given.pop("candidates", ())
    how = How.CANDIDATES if candidates else How.UNKNOWN if client is None else How.INFERRED
    return Stay(
        given.pop("id", 1), given.pop("server", "fs1"), Kind.FILE, user, client, how, candidates, None, path, None,
        given.pop("access"), None, begun, given.pop("begun_slack"), given.pop("begun_how"), ended,
        given.pop("ended_slack"), given.pop("why"), **given,
    )  # fmt: skip


@dataclass
class FakeStore(Store):
    """`stays`, `lacking` (gaps) and `servers` are what it has. `asked` is what it was asked for."""

    stays: list[Stay] = field(default_factory=list)
    lacking: list[GapRecord] = field(default_factory=list)
    servers: list[Watched] = field(default_factory=list)
    noted: list[Deed] = field(default_factory=list)
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    size: int = 4096

    @asynccontextmanager
    async def hold(self, role: str) -> AsyncIterator[Holder]:
        yield Holder(role, "here", 1, 0)

    async def holder(self, role: str) -> Holder | None:
        return None

    async def note_deed(self, *deeds: Deed) -> None:
        self.noted += deeds

    async def deeds(self, since: int, until: int, *, server: str | None = None, plan: str | None = None) -> list[Deed]:
        return [deed for deed in self.noted if since <= deed.at <= until]

    async def at(self, time: int, **filters: Any) -> Answer:
        return await self.between(time, time, **filters)

    async def between(self, since: int, until: int, *, limit: int | None = None, **filters: Any) -> Answer:
        self.asked.append((since, until, limit, {name: value for name, value in filters.items() if value}))
        self._check(filters.get("server"))
        found = [
            stay
            for stay in self.stays
            if stay.begun_at <= until and (stay.ended_at is None or stay.ended_at >= since) and _means(stay, **filters)
        ]
        gaps = await self.gaps(since, until, server=filters.get("server"))
        more = limit is not None and len(found) > limit
        return Answer(found[-limit:] if limit else found, gaps, self._watched(filters.get("server")), more)

    async def who(self, path: str, *, limit: int = 200, **span: Any) -> Answer:
        return await self._last({"path": path}, limit, **span)

    async def by_user(self, user: str, *, limit: int = 200, **span: Any) -> Answer:
        return await self._last({"user": user}, limit, **span)

    async def by_client(self, client: str, *, limit: int = 200, **span: Any) -> Answer:
        return await self._last({"client": client}, limit, **span)

    async def _last(
        self, filters: dict[str, str], limit: int, *, since: int | None, until: int | None, server: str | None
    ) -> Answer:
        answer = await self.between(since or 0, until or 10**11, limit=limit, server=server, **filters)
        return answer._replace(stays=answer.stays[::-1])

    async def gaps(
        self, since: int | None = None, until: int | None = None, *, server: str | None = None
    ) -> list[GapRecord]:
        self._check(server)
        span = (0 if since is None else since, 10**11 if until is None else until)
        return [gap for gap in self.lacking if gap.touches(*span) and server in (None, gap.server)]

    async def watched(self) -> list[Watched]:
        return self.servers

    async def stats(self) -> Stats:
        return Stats(
            "fake", 1, self.size, len(self.stays), sum(stay.ended_at is None for stay in self.stays), 2, 3,
            len(self.lacking), len(self.noted), None, None, self.servers, [Holder("recorder", "here", 12, 1764000000)],
        )  # fmt: skip

    async def export(self, since: int, until: int, *, server: str | None = None) -> AsyncIterator[Stay]:
        for stay in (await self.between(since, until, server=server)).stays:
            yield stay

    async def close(self) -> None:
        self.asked.append(("closed",))

    def _check(self, server: str | None) -> None:
        if server is not None and server not in [each.server for each in self.servers]:
            raise LanmanError(f"nothing was recorded of {server}", code=53)

    def _watched(self, server: str | None) -> list[Watched]:
        return [each for each in self.servers if server in (None, each.server)]


def _means(
    stay: Stay,
    *,
    server: str | None = None,
    path: str | None = None,
    user: str | None = None,
    client: str | None = None,
) -> bool:
    wanted = {stay.server: server, stay.path: path, stay.user_name: user, (stay.client_name or "").lstrip("\\"): client}
    return all(each is None or Pattern(each).matches(value or "") for value, each in wanted.items())
