"""What history costs at ten million rows: questions, writing, and the disk.

    .venv/bin/python benchmarks/history.py [--rows 10000000] [--days 30] [--folder DIR] [--postgresql]

One server, watched for 30 days: stays come evenly, 95 of 100 last two minutes in the mean and the others 10,000 s, so
that some 2,300 are there at any time; by 5,000 users of 2,000 clients, in 300,000 paths of which few are often open.
The tables are filled in bulk, which is not measured. Then, each the median of 20 with another time, user or path:

  - `Store.at`, from the call to the records; and its query alone, beside that of a table without the cut at midnight,
    which has an index by begin and end too.
  - `Store.who` of a path that has been open more than 200 times: its last 200.
  - rows written by `lanman.manage.history.writer`, which the recorder has: stays that open and end, in transactions of
    what a recorder has pending at most.
  - the file, by day; beside what a compressed JSON of all that is there would take at each poll (dolphie's way), of the
    same stays; zstd's program where it is installed, else zlib.

With --postgresql the same in PostgreSQL (Debian's, as the tests start it).
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import json
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from lanman.manage.history import open_store
from lanman.manage.history.keys import client_key, path_key, user_key
from lanman.manage.history.pending import PathName, Pending, Person, Seen, StayRow
from lanman.manage.history.recorder import MOST_PENDING
from lanman.manage.history.schema import CUT, DAY, HOWS, POSTGRESQL, SQLITE, STEPS, statements
from lanman.manage.history.store import Store
from lanman.manage.history.writer import Writer, hash_of
from lanman.manage.watching.keys import How

FIRST_DAY = 20_000
USERS, CLIENTS, PATHS = 5_000, 2_000, 300_000
VANISHED = 1
ROUNDS = 20
STAY = (
    "id, server, person, kind, path, day, begun, ended, begun_how, slack, ended_slack, why, access, level, first, since"
)

Row = tuple[Any, ...]


def persons() -> list[Person]:
    chance = random.Random(1)
    return [
        Person(f"user{number}", rf"\\client{chance.randrange(CLIENTS)}", How.TOLD, (), f"10.0.{number % 250}.7")
        for number in range(USERS)
    ]


def path_name(number: int) -> PathName:
    return PathName("projects", rf"D:\projects\customer {number % 977}\of year {number % 11}\budget {number}.xlsx")


def stays(rows: int, days: int) -> Iterator[tuple[int, int, int, int]]:
    """Person, path (0: a session), begin and end of each stay, by begin."""
    chance = random.Random(2)
    spread, start = days * DAY, FIRST_DAY * DAY
    for number in range(rows):
        begun = start + number * spread // rows
        lasts = chance.expovariate(1 / 120 if chance.random() < 0.95 else 1 / 10_000)
        # Few paths are open often: the cube of a number below 1 is small, as a rule.
        path = 1 + int(PATHS * chance.random() ** 3) if chance.random() < 0.8 else 0
        yield chance.randrange(USERS) + 1, path, begun, begun + int(lasts)


def cut(rows: int, days: int) -> Iterator[Row]:
    """The rows of the table `stay`."""
    id = 0
    for person, path, begun, ended in stays(rows, days):
        first, day = None, begun // DAY
        while True:
            id += 1
            midnight = (day + 1) * DAY
            here = max(begun, day * DAY)
            goes_on = ended >= midnight
            since = None if first is None else begun
            end = (midnight, 0, CUT) if goes_on else (ended, 5, VANISHED)
            kind = 1 if path else 0
            yield (id, 1, person, kind, path or None, day, here, end[0], 1, 5, end[1], end[2], 1, 502, first, since)
            if not goes_on:
                break
            first, day = first or id, day + 1


def tables(days: int) -> dict[str, tuple[str, list[Row]]]:
    """The other tables that are filled."""
    last = (FIRST_DAY + days) * DAY
    people = persons()
    return {
        "server": (
            "id, name, since, seen, due, every, oldest",
            [(1, "fs1", FIRST_DAY * DAY, last, last, 5, FIRST_DAY)],
        ),
        "word": ("id, word", [(VANISHED, "vanished")]),
        "person": (
            "id, user_name, client_name, client_how, candidates, address, key, hash",
            [
                (
                    id,
                    p.user_name,
                    p.client_name,
                    HOWS[p.client_how],
                    None,
                    p.address,
                    user_key(p.user_name or ""),
                    hash_of(p),
                )
                for id, p in enumerate(people, 1)
            ],
        ),
        "person_client": (
            "key, person",
            [(client_key(name or ""), id) for id, p in enumerate(people, 1) for name in (p.client_name, p.address)],
        ),
        "path": (
            "id, share, path, key, hash",
            [
                (id, name.share, name.path, path_key(name.path or ""), hash_of(name))
                for id, name in ((id, path_name(id)) for id in range(1, PATHS + 1))
            ],
        ),
        "share": ("server, name, path", [(1, "projects", r"D:\projects")]),
    }


def fill_sqlite(file: Path, rows: int, days: int) -> int:
    """A file as a recorder of so many days would have left it. How many rows of stays it has."""
    connection = sqlite3.connect(file, isolation_level=None)
    for setting in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -500000", "temp_store = MEMORY"):
        connection.execute(f"PRAGMA {setting}")
    later = []
    for statement in statements(STEPS[0], SQLITE):
        (later.append if statement.startswith("CREATE INDEX stay") else connection.execute)(statement)
    connection.execute("BEGIN")
    for table, (columns, content) in tables(days).items():
        marks = ", ".join("?" * len(content[0]))
        connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", content)
    connection.executemany(f"INSERT INTO stay ({STAY}) VALUES ({', '.join('?' * 16)})", cut(rows, days))
    connection.execute("COMMIT")
    for statement in later:
        connection.execute(statement)
    from lanman.manage.history.sqlite import APPLICATION_ID

    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("PRAGMA user_version = 1")
    [count] = connection.execute("SELECT count(*) FROM stay").fetchone()
    connection.close()
    return int(count)


def fill_uncut(file: Path, rows: int, days: int) -> None:
    """The same stays in one row each, with an index by begin and end."""
    connection = sqlite3.connect(file, isolation_level=None)
    for setting in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -500000"):
        connection.execute(f"PRAGMA {setting}")
    connection.execute("CREATE TABLE stay (id INTEGER PRIMARY KEY, server, person, kind, path, begun, ended)")
    connection.execute("BEGIN")
    content = ((1, person, path and 1, path, begun, ended) for person, path, begun, ended in stays(rows, days))
    connection.executemany("INSERT INTO stay (server, person, kind, path, begun, ended) VALUES (?,?,?,?,?,?)", content)
    connection.execute("COMMIT")
    connection.execute("CREATE INDEX stay_begun ON stay (server, begun, ended)")
    connection.close()


async def fill_postgresql(url: str, rows: int, days: int) -> None:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        await connection.execute("CREATE TABLE meta (name TEXT PRIMARY KEY, value BIGINT NOT NULL)")
        await connection.execute("INSERT INTO meta VALUES ('schema', 1)")
        later = []
        for statement in statements(STEPS[0], POSTGRESQL):
            if statement.startswith("CREATE INDEX stay"):
                later.append(statement)
            else:
                await connection.execute(statement)
        for table, (columns, content) in tables(days).items():
            await connection.copy_records_to_table(table, columns=columns.split(", "), records=content)
        await connection.copy_records_to_table("stay", columns=STAY.split(", "), records=cut(rows, days))
        for statement in later:
            await connection.execute(statement)
        await connection.execute("VACUUM ANALYZE", timeout=3600)
    finally:
        await connection.close()


# --- measuring


async def median(work: Callable[[int], Awaitable[object]]) -> str:
    """Milliseconds on the clock, and of processor time of this process."""
    took, used = [], []
    for number in range(ROUNDS):
        begun, processor = time.perf_counter(), time.process_time()
        await work(number)
        took.append(time.perf_counter() - begun)
        used.append(time.process_time() - processor)
    return f"{statistics.median(took) * 1000:.1f} ms ({statistics.median(used) * 1000:.1f} of processor time)"


def some_time(number: int, days: int) -> int:
    return (FIRST_DAY + 1 + number * (days - 2) // ROUNDS) * DAY + 14 * 3600 + 5 * 60 + number * 97


async def questions(store: Store, days: int, what: str) -> None:
    async def at(number: int) -> None:
        answer = await store.at(some_time(number, days))
        found.append(len(answer.stays))

    async def query(number: int) -> None:
        time = some_time(number, days)
        await store.database.fetch(
            f"{select} AND begun >= ? AND ended - begun <= 600 UNION ALL "
            f"{select} AND (ended IS NULL OR ended - begun > 600)",
            (time // DAY, time, time, time - 600, time // DAY, time, time),
        )

    async def who(number: int) -> None:
        answer = await store.who(path_name(1 + number).path or "", limit=200)
        last["path"].append(len(answer.stays))

    async def user(number: int) -> None:
        answer = await store.by_user(f"user{number * 7}", limit=200)
        last["user"].append(len(answer.stays))

    select = (
        "SELECT id, person, path, begun, ended FROM stay WHERE server = 1 AND day = ? AND begun <= ? AND ended >= ?"
    )
    found: list[int] = []
    last: dict[str, list[int]] = {"path": [], "user": []}
    print(f"{what}: who was there at a time: {await median(at)}, {statistics.mean(found):.0f} stays")
    print(f"{what}: its query alone: {await median(query)}")
    for of, work in (("path", who), ("user", user)):
        took = await median(work)
        # Of ten million rows each has more than are asked for; of fewer, what there is.
        assert min(last[of]), f"there is a {of} without a stay: more --rows are wanted"
        print(f"{what}: a {of}'s last {statistics.median_low(last[of])}: {took}")


async def uncut(file: Path, days: int) -> None:
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA cache_size = -65536")

    async def query(number: int) -> None:
        time = some_time(number, days)
        connection.execute(
            "SELECT id, person, path, begun, ended FROM stay WHERE server = 1 AND begun <= ? AND ended >= ?",
            (time, time),
        ).fetchall()

    print(f"SQLite: the query without the cut at midnight: {await median(query)}")
    connection.close()


async def writing(store: Store, days: int, what: str, rounds: int = 6) -> None:
    """Rows as a recorder writes them: stays that have begun and ended by then; and those that begin in one transaction
    and end in the next."""
    chance = random.Random(3)
    writer = Writer(store.database)
    await writer.begin([], paths=True)
    people = persons()
    day = FIRST_DAY + days
    for ended, name in ((True, "that have ended by then"), (False, "that end in the next transaction")):
        before: list[StayRow] = []
        rows, transactions = 0, []
        begun_at, processor = time.perf_counter(), time.process_time()
        for number in range(rounds):
            pending = Pending()
            for row in before:
                pending.end(row, row.begun + 5, 5, "vanished")
            before = []
            for _ in range(MOST_PENDING // 4):
                path = path_name(1 + int(PATHS * 1.1 * chance.random() ** 3))
                at = day * DAY + number
                id, person = writer.new_id(), chance.choice(people)
                row = StayRow(id, "fs1", person, 1, path, day, at, 1, 5, 1, None, None, None)
                pending.stays[row.id] = row
                if ended:
                    pending.end(row, at + 5, 5, "vanished")
                else:
                    before.append(row)
            pending.seen["fs1"] = Seen(day * DAY + number, day * DAY + number, 5)
            rows += len(pending.stays)
            once = time.perf_counter()
            await writer.write(pending)
            transactions.append(time.perf_counter() - once)
        took, processor = time.perf_counter() - begun_at, time.process_time() - processor
        print(
            f"{what}: {rows:,} stays {name}: {rows / took:,.0f} rows/s, {rows / processor:,.0f} per second of "
            f"processor time; a transaction {statistics.median(transactions):.2f} s"
        )


def snapshots(rows: int, days: int, every: int = 5, sample: int = 120) -> float:
    """Bytes a day of compressed snapshots of all that is there, one each `every` seconds; from `sample` of them."""
    people = persons()
    middle = FIRST_DAY * DAY + days * DAY // 2
    polls = [middle + number * every for number in range(sample)]
    there: list[tuple[int, int, int, int]] = []
    total = 0
    source = ((b, e, p, n) for p, n, b, e in stays(rows, days) if e >= polls[0])
    following = next(source)
    for poll in polls:
        while following[0] <= poll:
            heapq.heappush(there, (following[1], *following[:1], *following[2:]))
            following = next(source)
        while there and there[0][0] < poll:
            heapq.heappop(there)
        listed = [
            {
                "user_name": people[person - 1].user_name,
                "client_name": people[person - 1].client_name,
                "path": path_name(path).path if path else None,
                "begun_at": begun,
            }
            for _, begun, person, path in sorted(there, key=lambda each: each[1])
        ]
        total += len(compressed(json.dumps(listed).encode()))
    return total / sample * DAY / every


def compressed(data: bytes) -> bytes:
    if shutil.which("zstd"):
        return subprocess.run(["zstd", "-q", "-3", "-c"], input=data, capture_output=True, check=True).stdout
    return zlib.compress(data)


async def run(options: argparse.Namespace, folder: Path) -> None:
    file, other = folder / "history.sqlite", folder / "uncut.sqlite"
    begun = time.perf_counter()
    count = fill_sqlite(file, options.rows, options.days)
    fill_uncut(other, options.rows, options.days)
    print(f"filled {options.rows:,} stays in {count:,} rows, in {time.perf_counter() - begun:.0f} s")
    size = file.stat().st_size
    method = "zstd -3" if shutil.which("zstd") else "zlib"
    blobs = snapshots(options.rows, options.days)
    print(
        f"SQLite: {size / 2**30:.2f} GiB, {size / options.days / 2**20:.1f} MiB a day, {size / count:.0f} bytes a row"
    )
    ratio = blobs / (size / options.days)
    print(f"snapshots every 5 s by {method}: {blobs / 2**20:.1f} MiB a day, {ratio:.1f} times that")
    clock = lambda: float((FIRST_DAY + options.days) * DAY)  # noqa: E731
    async with open_store(file, wall_clock=clock) as store:
        await questions(store, options.days, "SQLite")
        await uncut(other, options.days)
        await writing(store, options.days, "SQLite")
    if options.postgresql:
        from support.postgres import Postgres

        server = Postgres()
        try:
            url = server.new_database()
            await fill_postgresql(url, options.rows, options.days)
            async with open_store(url, wall_clock=clock) as store:
                size = await store.database.size()
                print(f"PostgreSQL: {size / 2**30:.2f} GiB, {size / options.days / 2**20:.1f} MiB a day")
                await questions(store, options.days, "PostgreSQL")
                await writing(store, options.days, "PostgreSQL")
        finally:
            server.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--postgresql", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        asyncio.run(run(options, Path(folder)))


if __name__ == "__main__":
    main()
