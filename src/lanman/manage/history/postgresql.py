"""History in PostgreSQL, by asyncpg: the only module that speaks to it, and with the extra `postgresql` alone.

- One connection writes and one reads. Tables are made in the first schema of the search path
  (`?search_path=NAME` in the URL chooses another).
- A role is held by an advisory lock of the connection that writes. The server lets go of it when that connection ends,
  as it does when its process ends, however it ends. Without the connection nothing can be written, so whoever has lost
  the lock writes nothing. The table `holder` says who has taken it; the number of its server process tells an entry
  that is still true from one that was left behind.
- What comes of an error is StoreError; a URL is shown without its password.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import os
import socket
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

from lanman import codes
from lanman.errors import LanmanError
from lanman.manage.history.database import Row, StoreError, to_its_end, without_password
from lanman.manage.history.records import AlreadyHeld, Holder
from lanman.manage.history.schema import POSTGRESQL, STEPS, statements
from lanman.versions import NewerVersion, check_version

if TYPE_CHECKING:
    import asyncpg

# Advisory locks are known by two numbers, for the whole of a database: these are ours.
_LOCKS: Final = 0x4C4D4853
_MIGRATION: Final = 0

_CONNECT: Final = 10.0  # seconds

# Questions find few rows of many by indexes. The planner expects far too many of stays that begin before a time and end
# behind it: it would read whole tables instead, and compile what takes no time.
_READING: Final = {"enable_hashjoin": "off", "enable_mergejoin": "off", "jit": "off"}

_TRIES: Final = 20
_PAUSE: Final = 0.05

_META: Final = 'CREATE TABLE IF NOT EXISTS meta (name TEXT COLLATE "C" PRIMARY KEY, value BIGINT NOT NULL)'
_HOLDERS: Final = (
    'CREATE TABLE IF NOT EXISTS holder (role TEXT COLLATE "C" PRIMARY KEY, host TEXT NOT NULL, pid BIGINT NOT NULL, '
    "since BIGINT NOT NULL, backend BIGINT NOT NULL)"
)
_MADE: Final = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename IN ('meta', 'holder')"

_QUOTE: Final = "Write / ? # @ : and % in a name or a password as %2F %3F %23 %40 %3A %25."


class PostgresqlDatabase:
    """See `lanman.manage.history.database.Database`."""

    def __init__(self, url: str) -> None:
        try:
            import asyncpg
        except ImportError:
            raise LanmanError(
                "PostgreSQL needs asyncpg, which is not installed",
                code=codes.ERROR_NOT_SUPPORTED,
                hint='Install it: pip install "lanman[postgresql]"',
            ) from None
        self._asyncpg = asyncpg
        self._url = url
        self.name = without_password(url)
        self._writer: asyncpg.Connection | None = None
        self._reader: asyncpg.Connection | None = None
        self._turn = asyncio.Lock()
        self._reading = asyncio.Lock()
        self._closed = False

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """What asyncpg and sockets raise, as StoreError."""
        try:
            yield
        except self._asyncpg.PostgresError as error:
            raise StoreError(f"{self.name}: {error}") from None
        except TimeoutError:
            raise StoreError(f"{self.name}: the database does not answer") from None
        except (self._asyncpg.InterfaceError, OSError, ValueError) as error:
            raise StoreError(f"{self.name}: {error}", hint="Look whether PostgreSQL runs there.") from None

    async def _connect(self, settings: Mapping[str, str] | None = None) -> asyncpg.Connection:
        if self._closed:
            raise StoreError(f"{self.name}: is closed")
        try:
            return await self._asyncpg.connect(
                self._url,
                timeout=_CONNECT,
                server_settings={"application_name": f"lanman {os.getpid()}", **(settings or {})},
            )
        except self._asyncpg.InterfaceError:
            raise
        except ValueError:
            # What it says of a URL that it does not understand may quote a part of the password.
            raise StoreError(f"{self.name}: is no URL of PostgreSQL", hint=_QUOTE) from None

    async def open(self) -> None:
        """See Database."""
        with self._errors():
            self._writer = await self._connect()
            async with self._writer.transaction():
                # Two that do this at once would meet in the catalogue.
                await self._writer.execute("SELECT pg_advisory_xact_lock($1, $2)", _LOCKS, _MIGRATION)
                # Whoever may only read may not even ask to have a table made that is there.
                if await self._writer.fetchval(_MADE) < 2:
                    for table in (_META, _HOLDERS):
                        await self._writer.execute(table)
            version = await self._step()
            while version < len(STEPS):
                version = await self._step()

    async def _step(self) -> int:
        """Run the next step, if there is one. How many were run."""
        assert self._writer is not None
        async with self._writer.transaction():
            await self._writer.execute("SELECT pg_advisory_xact_lock($1, $2)", _LOCKS, _MIGRATION)
            found = await self._writer.fetchval("SELECT value FROM meta WHERE name = 'schema'")
            version = int(found or 0)
            try:
                check_version(version, len(STEPS))
            except NewerVersion as error:
                raise StoreError(f"{self.name}: {error.message}", hint=error.hint) from None
            if version < len(STEPS):
                for statement in statements(STEPS[version], POSTGRESQL):
                    await self._writer.execute(statement)
                version += 1
                await self._writer.execute(
                    "INSERT INTO meta VALUES ('schema', $1) ON CONFLICT (name) DO UPDATE SET value = $1", version
                )
            return version

    async def close(self) -> None:
        """See Database."""
        self._closed = True
        connections, self._writer, self._reader = (self._writer, self._reader), None, None
        for connection in connections:
            if connection is not None:
                try:
                    await connection.close(timeout=_CONNECT)
                except (self._asyncpg.PostgresError, self._asyncpg.InterfaceError, OSError, TimeoutError):
                    connection.terminate()

    async def fetch(self, sql: str, parameters: Row = ()) -> list[Any]:
        """See Database."""
        async with self._reading:
            with self._errors():
                if self._reader is None or self._reader.is_closed():
                    self._reader = await self._connect(_READING)
                return list(await self._reader.fetch(numbered(sql), *parameters))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[PostgresqlWriting]:
        """See Database."""
        async with self._turn:
            writer = self._writer
            if writer is None or self._closed:
                raise StoreError(f"{self.name}: is closed")
            # In SQL: asyncpg's Transaction does not say whether it has begun, where that was cancelled.
            try:
                with self._errors():
                    await to_its_end(writer.execute("BEGIN"))
                yield PostgresqlWriting(self, writer)
            except BaseException:
                if not writer.is_closed():
                    with self._errors():
                        await to_its_end(writer.execute("ROLLBACK"))
                raise
            with self._errors():
                await to_its_end(writer.execute("COMMIT"))

    @asynccontextmanager
    async def hold(self, role: str, since: int) -> AsyncIterator[Holder]:
        """See Database."""
        holder = Holder(role, socket.gethostname(), os.getpid(), since)
        for _ in range(_TRIES):
            async with self._turn:
                with self._errors():
                    if await self._try_lock(holder):
                        break
            if (other := await self.holder(role)) is not None:
                raise AlreadyHeld(other, self.name)
            await asyncio.sleep(_PAUSE)
        else:
            raise AlreadyHeld(Holder(role, "?", 0, since), self.name)
        try:
            yield holder
        finally:
            async with self._turn:
                if self._writer is not None and not self._writer.is_closed():
                    with self._errors():
                        await self._writer.execute("SELECT pg_advisory_unlock($1, $2)", _LOCKS, _number(role))

    async def _try_lock(self, holder: Holder) -> bool:
        if self._writer is None:
            raise StoreError(f"{self.name}: is closed")
        # A lock that this very connection has would be given once more.
        mine = await self._writer.fetchval(
            f"SELECT count(*) FROM ({_LOCKED}) AS held WHERE pid = pg_backend_pid()", _LOCKS, _number(holder.role)
        )
        if mine or not await self._writer.fetchval("SELECT pg_try_advisory_lock($1, $2)", _LOCKS, _number(holder.role)):
            return False
        await self._writer.execute(
            "INSERT INTO holder VALUES ($1, $2, $3, $4, pg_backend_pid()) ON CONFLICT (role) DO UPDATE "
            "SET host = excluded.host, pid = excluded.pid, since = excluded.since, backend = excluded.backend",
            *holder,
        )
        return True

    async def holder(self, role: str) -> Holder | None:
        """See Database."""
        for _ in range(_TRIES):
            found = await self.fetch(
                f"SELECT holder.host, holder.pid, holder.since FROM ({_LOCKED}) AS held "
                "LEFT JOIN holder ON holder.role = $3 AND holder.backend = held.pid",
                (_LOCKS, _number(role), role),
            )
            if not found:
                return None
            if found[0][0] is not None:
                return Holder(role, *found[0])
            await asyncio.sleep(_PAUSE)  # it writes itself there a moment after it has the lock
        return Holder(role, "?", 0, 0)

    async def schema(self) -> int:
        """See Database."""
        [[version]] = await self.fetch("SELECT value FROM meta WHERE name = 'schema'")
        return int(version)

    async def size(self) -> int:
        """See Database."""
        [[size]] = await self.fetch(
            "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class "
            "WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
        )
        return int(size)


_LOCKED: Final = (
    "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND classid = $1::bigint::oid "
    "AND objid = $2::bigint::oid AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class PostgresqlWriting:
    """See `lanman.manage.history.database.Writing`."""

    def __init__(self, database: PostgresqlDatabase, connection: asyncpg.Connection) -> None:
        self._database = database
        self._connection = connection

    async def fetch(self, sql: str, parameters: Row = ()) -> list[Any]:
        """See Writing."""
        with self._database._errors():
            return list(await self._connection.fetch(numbered(sql), *parameters))

    async def execute(self, sql: str, parameters: Row = ()) -> None:
        """See Writing."""
        with self._database._errors():
            await self._connection.execute(numbered(sql), *parameters)

    async def many(self, sql: str, rows: Iterable[Row]) -> None:
        """See Writing."""
        with self._database._errors():
            await self._connection.executemany(numbered(sql), rows)

    async def insert(self, table: str, columns: str, rows: Sequence[Row]) -> None:
        """See Writing."""
        names = [name.strip() for name in columns.split(",")]
        with self._database._errors():
            await self._connection.copy_records_to_table(table, columns=names, records=rows)


def _number(role: str) -> int:
    """The number of a role's lock: positive, and not that of migrations."""
    return crc32(role.encode()) & 0x7FFFFFFF or 1


@functools.lru_cache(256)
def numbered(sql: str) -> str:
    """SQL with PostgreSQL's parameters, `$1`, in place of `?`."""
    if "?" not in sql:
        return sql
    numbers = itertools.count(1)
    return "".join(f"${next(numbers)}" if character == "?" else character for character in sql)
