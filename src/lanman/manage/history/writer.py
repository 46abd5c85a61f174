"""Writes what a recorder has pending: one transaction for all of it. And what is done when it begins, and every day.

- Persons, paths, words and servers have a number in the database. Those that were used last are remembered, so that
  they are not looked for again; what is remembered is forgotten where it was deleted or not kept.
- When a recorder begins, whatever was left open by one that was killed ended when its server was seen last, for unknown
  reasons; from then on there is a gap, which lasts until the server is seen again.
- What is no longer kept is first told to readers (`server.oldest`), then deleted in small transactions. Persons and
  paths go with the last stay that names them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from hashlib import blake2b
from itertools import count
from typing import Any, Final, Generic, TypeVar

from lanman.manage.history.book import Before
from lanman.manage.history.database import Database, Writing, chunks, marks, padded
from lanman.manage.history.keys import client_key, path_key, user_key
from lanman.manage.history.pending import GOES_ON, PathName, Pending, Person, StayRow
from lanman.manage.history.records import UNKNOWN_END, GapWhy
from lanman.manage.history.schema import CUT, DAY, HOW_OF, HOWS, storable
from lanman.manage.watching.keys import How

V = TypeVar("V", bound=Sequence[Any])

_MOST_REMEMBERED: Final = 100_000
_DELETED_AT_ONCE: Final = 2_000
_CHECKED_AT_ONCE: Final = 20_000

_STAY: Final = (
    "id, server, person, kind, path, day, begun, ended, begun_how, slack, ended_slack, why, access, level, first, since"
)
_PERSON: Final = "id, user_name, client_name, client_how, candidates, address, key, hash"


class Writer:
    """The one that writes stays and gaps to a database: whoever holds the role `recorder`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._servers: dict[str, int] = {}
        self._words: dict[str, int] = {}
        self._persons = _Interned[Person]("person", _find_persons, _add_persons)
        self._paths = _Interned[PathName]("path", _find_paths, _add_paths)
        self._next_stay = count(1)
        self._next_gap = count(1)

    def new_id(self) -> int:
        """An id for a row of `stay`."""
        return next(self._next_stay)

    def new_gap(self) -> int:
        """An id for a row of `gap`."""
        return next(self._next_gap)

    async def begin(self, servers: Collection[str], *, paths: bool) -> dict[str, Before]:
        """Put in order what an earlier recorder has left; what is known of those of the servers that it knew."""
        before = {}
        async with self._database.transaction() as writing:
            self._next_stay = count(await _newest(writing, "stay") + 1)
            self._next_gap = count(await _newest(writing, "gap") + 1)
            self._words = {word: id for id, word in await writing.fetch("SELECT id, word FROM word")}
            await _set(writing, "paths", "yes" if paths else "no")
            known = await writing.fetch("SELECT id, name, seen FROM server")
            unknown = await self._word(writing, UNKNOWN_END)
            for id, name, seen in known:
                self._servers[name] = id
                await _close(writing, id, seen, unknown)
                if name in servers:
                    before[name] = Before(seen, await self._open_gap(writing, id, seen))
        return before

    async def _open_gap(self, writing: Writing, server: int, seen: int) -> int:
        """The gap of a server that lasts, which begins here unless there is one."""
        found = await writing.fetch("SELECT id FROM gap WHERE server = ? AND ended IS NULL ORDER BY id", (server,))
        if found:
            return int(found[0][0])
        id = self.new_gap()
        row = (id, server, seen, None, GapWhy.NOT_RUNNING.value, "")
        await writing.insert("gap", "id, server, begun, ended, why, detail", [row])
        return id

    async def write(self, pending: Pending) -> None:
        """Write all that is pending, in one transaction."""
        try:
            async with self._database.transaction() as writing:
                await self._write(writing, pending)
        except BaseException:
            # What was given a number in a transaction that is undone has none.
            self._forget()
            raise

    def _forget(self) -> None:
        self._servers, self._words = {}, {}
        self._persons.forget()
        self._paths.forget()

    async def _write(self, writing: Writing, pending: Pending) -> None:
        servers = await self._server_ids(writing, pending)
        rows = list(pending.stays.values())
        persons = await self._persons.numbers(writing, {row.person for row in rows} | {*pending.persons.values()})
        paths = await self._paths.numbers(writing, {row.path for row in rows if row.path is not None})
        ends = []
        for row in rows:
            await self._word(writing, row.why)
        for id, (ended, slack, why) in pending.ends.items():
            ends.append((ended, slack, await self._word(writing, why), id))
        await writing.insert("stay", _STAY, [self._stay(row, servers, persons, paths) for row in rows])
        await writing.many("UPDATE stay SET ended = ?, ended_slack = ?, why = ? WHERE id = ?", ends)
        amended = [(persons[person], chain) for chain, person in pending.persons.items()]
        await writing.many("UPDATE stay SET person = ? WHERE id = ?", amended)
        await writing.many("UPDATE stay SET person = ? WHERE first = ?", amended)
        gaps = [
            (gap.id, servers[gap.server], gap.begun, gap.ended, gap.why.value, storable(gap.detail))
            for gap in pending.gaps.values()
        ]
        await writing.insert("gap", "id, server, begun, ended, why, detail", gaps)
        await writing.many(
            "UPDATE gap SET ended = CASE WHEN begun > ? THEN begun ELSE ? END WHERE id = ?",
            [(ended, ended, id) for id, ended in pending.gap_ends.items()],
        )
        await writing.many(
            "INSERT INTO share (server, name, path) VALUES (?, ?, ?) "
            "ON CONFLICT (server, name) DO UPDATE SET path = excluded.path",
            [(servers[server], storable(name), storable(path)) for (server, name), path in pending.shares.items()],
        )
        await writing.many(
            "UPDATE server SET seen = ?, due = ?, every = ? WHERE id = ?",
            [(*seen, servers[server]) for server, seen in pending.seen.items()],
        )

    def _stay(
        self, row: StayRow, servers: dict[str, int], persons: dict[Person, int], paths: dict[PathName, int]
    ) -> tuple[Any, ...]:
        return (
            row.id,
            servers[row.server],
            persons[row.person],
            row.kind,
            None if row.path is None else paths[row.path],
            row.day,
            row.begun,
            row.ended,
            row.begun_how,
            row.slack,
            row.ended_slack,
            None if row.why is None else CUT if row.why == GOES_ON else self._words[row.why],
            row.access,
            row.level,
            row.first,
            row.since,
        )

    async def _server_ids(self, writing: Writing, pending: Pending) -> dict[str, int]:
        names = {row.server for row in pending.stays.values()} | {gap.server for gap in pending.gaps.values()}
        names |= {*pending.seen} | {server for server, _ in pending.shares}
        for name in sorted(names - self._servers.keys()):
            kept = storable(name)
            found = await writing.fetch("SELECT id FROM server WHERE name = ?", (kept,))
            if not found:
                seen = pending.seen[name]
                await writing.execute(
                    "INSERT INTO server (id, name, since, seen, due, every, oldest) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (await _newest(writing, "server") + 1, kept, seen.seen, *seen, seen.seen // DAY),
                )
                found = await writing.fetch("SELECT id FROM server WHERE name = ?", (kept,))
            self._servers[name] = int(found[0][0])
        return self._servers

    async def _word(self, writing: Writing, word: str | None) -> int:
        """The number of why something ended."""
        if word is None or word == GOES_ON:
            return CUT
        if word not in self._words:
            kept = storable(word)
            found = await writing.fetch("SELECT id FROM word WHERE word = ?", (kept,))
            id = int(found[0][0]) if found else await _newest(writing, "word") + 1
            if not found:
                await writing.insert("word", "id, word", [(id, kept)])
            self._words[word] = id
        return self._words[word]

    # --- what is no longer kept

    async def retain(self, oldest: int) -> None:
        """Delete what is of days before `oldest` (days since 1970)."""
        async with self._database.transaction() as writing:
            await writing.execute("UPDATE server SET oldest = ? WHERE oldest < ?", (oldest, oldest))
        whole = True
        while whole:
            async with self._database.transaction() as writing:
                found = await writing.fetch(
                    "SELECT s.id FROM server v JOIN stay s ON s.server = v.id AND s.day < ? LIMIT ?",
                    (oldest, _DELETED_AT_ONCE),
                )
                await writing.many("DELETE FROM stay WHERE id = ?", [(id,) for (id,) in found])
                whole = len(found) == _DELETED_AT_ONCE
        before = oldest * DAY
        async with self._database.transaction() as writing:
            await writing.execute("DELETE FROM gap WHERE ended < ?", (before,))
            await writing.execute("DELETE FROM deed WHERE at < ?", (before,))
        for table, names in (("person", self._persons), ("path", self._paths)):
            await self._drop_unused(table, names)

    async def _drop_unused(self, table: str, names: _Interned[Any]) -> None:
        """Delete the persons or paths of no stay."""
        last = 0
        while True:
            async with self._database.transaction() as writing:
                ids = await writing.fetch(
                    f"SELECT id FROM {table} WHERE id > ? ORDER BY id LIMIT ?", (last, _CHECKED_AT_ONCE)
                )
                if not ids:
                    return
                first, last = last, int(ids[-1][0])
                unused = await writing.fetch(
                    f"SELECT id FROM {table} WHERE id > ? AND id <= ? "
                    f"AND NOT EXISTS (SELECT 1 FROM stay WHERE stay.{table} = {table}.id)",
                    (first, last),
                )
                names.forget()
                if table == "person":
                    await writing.many("DELETE FROM person_client WHERE person = ?", [(id,) for (id,) in unused])
                await writing.many(f"DELETE FROM {table} WHERE id = ?", [(id,) for (id,) in unused])


async def _newest(writing: Writing, table: str) -> int:
    [(newest,)] = await writing.fetch(f"SELECT coalesce(max(id), 0) FROM {table}")
    return int(newest)


async def _set(writing: Writing, name: str, value: str) -> None:
    await writing.execute(
        "INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


async def _close(writing: Writing, server: int, seen: int, unknown: int) -> None:
    """End what a recorder that was killed has left open on a server, and say that nobody watches it."""
    await writing.execute(
        "UPDATE stay SET ended = CASE WHEN begun > ? THEN begun ELSE ? END, ended_slack = 0, why = ? "
        "WHERE server = ? AND day >= ? AND ended IS NULL",
        (seen, seen, unknown, server, seen // DAY),
    )
    await writing.execute(
        "UPDATE gap SET ended = CASE WHEN begun > ? THEN begun ELSE ? END "
        "WHERE server = ? AND ended IS NULL AND why = ?",
        (seen, seen, server, GapWhy.NOT_TOLD.value),
    )
    await writing.execute("UPDATE server SET due = ? WHERE id = ?", (seen, server))


# --- what has a number


class _Interned(Generic[V]):
    """Values of which each has a number in a table."""

    def __init__(
        self,
        table: str,
        find: Callable[[Writing, Sequence[int]], Any],
        add: Callable[[Writing, Sequence[tuple[int, int, V]]], Any],
    ) -> None:
        self._table = table
        self._find = find
        self._add = add
        self._known: dict[V, int] = {}

    def forget(self) -> None:
        """Look for all of them again."""
        self._known = {}

    async def numbers(self, writing: Writing, values: Collection[V]) -> dict[V, int]:
        """The numbers of values; new ones are added. May have more than was asked for."""
        if len(self._known) > _MOST_REMEMBERED:
            self._known = {value: self._known[value] for value in values if value in self._known}
        missing = [value for value in values if value not in self._known]
        if missing:
            hashes = {value: hash_of(value) for value in missing}
            for some in chunks(sorted(set(hashes.values()))):
                for value, id in await self._find(writing, some):
                    if value in hashes:
                        self._known.setdefault(value, id)
            new = [value for value in missing if value not in self._known]
            first = await _newest(writing, self._table) + 1 if new else 0
            await self._add(writing, [(id, hashes[value], value) for id, value in enumerate(new, first)])
            self._known.update((value, id) for id, value in enumerate(new, first))
        return self._known


def hash_of(value: Sequence[Any]) -> int:
    """A number by which a person or a path is looked for: 64 bits, the same in every process."""
    plain = json.dumps([part.value if isinstance(part, How) else part for part in value])
    return int.from_bytes(blake2b(plain.encode(), digest_size=8).digest(), "little", signed=True)


async def _find_persons(writing: Writing, hashes: Sequence[int]) -> list[tuple[Person, int]]:
    hashes = padded(hashes)
    found = await writing.fetch(f"SELECT {_PERSON} FROM person WHERE hash IN ({marks(hashes)})", hashes)
    return [(_as_person(row), int(row[0])) for row in found]


def _as_person(row: Sequence[Any]) -> Person:
    candidates = () if row[4] is None else tuple(json.loads(row[4]))
    return Person(row[1], row[2], HOW_OF[row[3]], candidates, row[5])


async def _add_persons(writing: Writing, new: Sequence[tuple[int, int, Person]]) -> None:
    rows, clients = [], []
    for id, hash, person in new:
        rows.append(
            (
                id,
                person.user_name,
                person.client_name,
                HOWS[person.client_how],
                json.dumps(list(person.candidates)) if person.candidates else None,
                person.address,
                None if person.user_name is None else user_key(person.user_name),
                hash,
            )
        )
        names = {person.client_name, *person.candidates, person.address} - {None, ""}
        clients += [(key, id) for key in sorted({client_key(name) for name in names if name})]
    await writing.insert("person", _PERSON, rows)
    await writing.insert("person_client", "key, person", clients)


async def _find_paths(writing: Writing, hashes: Sequence[int]) -> list[tuple[PathName, int]]:
    hashes = padded(hashes)
    found = await writing.fetch(f"SELECT id, share, path FROM path WHERE hash IN ({marks(hashes)})", hashes)
    return [(PathName(share, path), int(id)) for id, share, path in found]


async def _add_paths(writing: Writing, new: Sequence[tuple[int, int, PathName]]) -> None:
    rows = [
        (id, path.share, path.path, None if path.path is None else path_key(path.path), hash) for id, hash, path in new
    ]
    await writing.insert("path", "id, share, path, key, hash", rows)
