"""What was done to servers, and which stays it ended."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from lanman.events import Reason
from lanman.manage.history.database import Database, Writing
from lanman.manage.history.records import ENDING, UNKNOWN_END, Deed, Stay
from lanman.manage.history.schema import storable
from lanman.manage.selection import bare_client, canonical_client
from lanman.manage.watching.changes import VANISHED
from lanman.manage.watching.rows import Kind
from lanman.names import fold

_COLUMNS: Final = "at, server, who, verb, outcome, target, client_name, user_name, path, plan, told, detail"

# Why a stay may have ended that a deed has ended: what a Server says of an order, and where nobody said.
_BY_ORDER: Final = frozenset({Reason.DELETED.value, VANISHED, UNKNOWN_END})

_SLACK: Final = 2
"""By how many seconds a deed may be noted late, or by another machine's clock."""

_DONE: Final = "done"


class Deeds:
    """The deeds of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, deeds: Sequence[Deed]) -> None:
        """Note deeds; without paths, where paths are not recorded."""
        if not deeds:
            return
        async with self._database.transaction() as writing:
            await self.note_in(writing, deeds)

    async def note_in(self, writing: Writing, deeds: Sequence[Deed]) -> None:
        """The same within a transaction."""
        found = await writing.fetch("SELECT value FROM setting WHERE name = 'paths'")
        if found and found[0][0] == "no":
            deeds = [_without_path(deed) for deed in deeds]
        await writing.insert("deed", _COLUMNS, [_row(deed) for deed in deeds])

    async def between(self, since: int, until: int, server: str | None, plan: str | None) -> list[Deed]:
        """The deeds of a time, the oldest first."""
        where, parameters = "", [since, until]
        values: list[int | str] = [*parameters]
        if plan is not None:
            where = " AND plan = ?"
            values.append(storable(plan))
        rows = await self._database.fetch(
            f"SELECT {_COLUMNS} FROM deed WHERE at >= ? AND at <= ?{where} ORDER BY at, id", values
        )
        deeds = [Deed(*row) for row in rows]
        return [deed for deed in deeds if server is None or _bare(deed.server) == _bare(server)]

    async def explain(self, stays: list[Stay]) -> list[Stay]:
        """The stays, with the deeds that have ended some."""
        ended = [stay for stay in stays if stay.ended_at is not None and stay.why in _BY_ORDER]
        if not ended:
            return stays
        since = min(stay.ended_at - stay.ended_slack for stay in ended if stay.ended_at is not None) - _SLACK
        until = max(stay.ended_at for stay in ended if stay.ended_at is not None) + _SLACK
        rows = await self._database.fetch(
            f"SELECT {_COLUMNS} FROM deed WHERE at >= ? AND at <= ? AND outcome = ? ORDER BY at, id",
            (since, until, _DONE),
        )
        deeds = [deed for deed in (Deed(*row) for row in rows) if deed.verb in ENDING]
        if not deeds:
            return stays
        times = [deed.at for deed in deeds]
        return [_explained(stay, deeds, times) for stay in stays]


def _explained(stay: Stay, deeds: Sequence[Deed], times: Sequence[int]) -> Stay:
    if stay.ended_at is None or stay.why not in _BY_ORDER:
        return stay
    for place in range(bisect_left(times, stay.ended_at - stay.ended_slack - _SLACK), len(deeds)):
        if times[place] > stay.ended_at + _SLACK:
            break
        if _has_ended(deeds[place], stay):
            return stay._replace(ended_by=deeds[place])
    return stay


def _has_ended(deed: Deed, stay: Stay) -> bool:
    """Whether a deed was done to this session or file, or to the session that the file was in."""
    if _bare(deed.server) != _bare(stay.server):
        return False
    of_file = deed.path is not None or (deed.target or "").startswith("file:")
    if of_file and (stay.kind is not Kind.FILE or (deed.path is not None and deed.path != stay.path)):
        return False
    if deed.user_name is not None and stay.user_name is not None and fold(deed.user_name) != fold(stay.user_name):
        return False
    if deed.client_name is not None:
        clients = {canonical_client(name) for name in (stay.client_name, stay.address, *stay.candidates) if name}
        if clients and canonical_client(deed.client_name) not in clients:
            return False
    return any(each is not None for each in (deed.user_name, deed.client_name, deed.path))


def _without_path(deed: Deed) -> Deed:
    """A deed without what names a path: a file's key, and what is said for people."""
    if deed.path is None and not (deed.target or "").startswith("file:"):
        return deed
    return deed._replace(path=None, target=None, detail=None)


def _row(deed: Deed) -> tuple[int | str | None, ...]:
    return tuple(storable(part) if isinstance(part, str) else part for part in deed)


def _bare(name: str) -> str:
    return fold(bare_client(storable(name)))
