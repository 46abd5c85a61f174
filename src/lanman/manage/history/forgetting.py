"""Deleting what is kept of a person: all stays of a user, or from a client, and what was done to them.

The rules:

  - It is planned first: how much there is. The run deletes what is there then.
  - No recorder may run meanwhile: it would go on with what was deleted. So the role is held, or refused.
  - Whoever is meant is found as every question finds them. A file that may be from one of several clients goes with
    each of these.
  - Names that nothing is left of are deleted too. SQLite writes zeros over all of it.
  - That somebody has done something to others is kept: it is about those.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from lanman.manage.history.database import Database, Writing, chunks, marks, padded
from lanman.manage.history.names import Names
from lanman.manage.history.store import RECORDER, Store
from lanman.manage.history.writer import Writer
from lanman.manage.selection import check_filters

_AT_ONCE: Final = 2_000


class Traces(NamedTuple):
    """What is kept of somebody: how many names of users and clients, rows of stays (one for each day), and deeds."""

    names: tuple[str, ...]
    rows: int
    deeds: int

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to delete."""
        return not self.rows and not self.deeds and not self.names


async def traces_of(store: Store, *, user: str | None = None, client: str | None = None) -> Traces:
    """What is kept of a user, of a client, or of a user at a client. Raises Win32Error 87 for an empty name or none."""
    check_filters(user=user, client=client)
    if user is None and client is None:
        raise ValueError("whose traces? name a user or a client")
    persons = await _persons(store.database, user, client)
    names, rows, deeds = await _names(store.database, persons), 0, 0
    for ids in chunks(sorted(persons)):
        ids = padded(ids)
        [(found,)] = await store.database.fetch(f"SELECT count(*) FROM stay WHERE person IN ({marks(ids)})", ids)
        rows += int(found)
    for where, parameters in _deeds_of(names, user, client):
        [(found,)] = await store.database.fetch(f"SELECT count(*) FROM deed WHERE {where}", parameters)
        deeds += int(found)
    shown = sorted({name for pair in names for name in pair if name})
    return Traces(tuple(shown), rows, deeds)


async def delete_traces(store: Store, *, user: str | None = None, client: str | None = None) -> Traces:
    """Delete all of it; what it was. Raises AlreadyHeld where a recorder runs, and what `traces_of` raises."""
    async with store.hold(RECORDER):
        found = await traces_of(store, user=user, client=client)
        persons = await _persons(store.database, user, client)
        names = await _names(store.database, persons)
        async with store.database.transaction() as writing:
            await _overwrite(store.database, writing)
            for where, parameters in _deeds_of(names, user, client):
                await writing.execute(f"DELETE FROM deed WHERE {where}", parameters)
        for ids in chunks(sorted(persons)):
            await _delete_stays(store.database, padded(ids))
        # Persons and paths of which nothing is left go as they do when their time is over.
        await Writer(store.database).retain(0)
        return found


async def _persons(database: Database, user: str | None, client: str | None) -> frozenset[int]:
    return await Names(database).persons(user, client) or frozenset()


async def _names(database: Database, persons: frozenset[int]) -> set[tuple[str | None, str | None]]:
    """The users and clients of some persons, as they were listed."""
    names = set()
    for ids in chunks(sorted(persons)):
        ids = padded(ids)
        rows = await database.fetch(f"SELECT user_name, client_name FROM person WHERE id IN ({marks(ids)})", ids)
        names |= {(user, client) for user, client in rows}
    return names


def _deeds_of(
    names: set[tuple[str | None, str | None]], user: str | None, client: str | None
) -> list[tuple[str, list[str]]]:
    """The conditions by which the deeds that were done to them are found."""
    users = sorted({name for name, _ in names if name})
    clients = sorted({name for _, name in names if name})
    conditions = []
    if user is not None and client is None:
        conditions = [(f"user_name IN ({marks(some)})", some) for some in map(padded, chunks(users))]
    elif client is not None and user is None:
        conditions = [(f"client_name IN ({marks(some)})", some) for some in map(padded, chunks(clients))]
    else:
        pairs = [(name, where) for name, where in sorted(names, key=str) if name and where]
        conditions = [("user_name = ? AND client_name = ?", [name, where]) for name, where in pairs]
    return conditions


async def _delete_stays(database: Database, ids: list[int]) -> None:
    """Delete the rows of some persons, so many at once that nobody waits long for the database."""
    while True:
        async with database.transaction() as writing:
            await _overwrite(database, writing)
            found = await writing.fetch(f"SELECT id FROM stay WHERE person IN ({marks(ids)}) LIMIT ?", [*ids, _AT_ONCE])
            await writing.many("DELETE FROM stay WHERE id = ?", [(id,) for (id,) in found])
        if len(found) < _AT_ONCE:
            return


async def _overwrite(database: Database, writing: Writing) -> None:
    """Have SQLite write zeros over what is deleted; PostgreSQL's VACUUM makes room, and nothing more."""
    from lanman.manage.history.sqlite import SqliteDatabase

    if isinstance(database, SqliteDatabase):
        await writing.fetch("PRAGMA secure_delete = ON")
