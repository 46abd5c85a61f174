"""History in a file, by SQLite: the only module of history that speaks to it.

- One thread writes and one reads, each with a connection of its own. In WAL mode neither waits for the other.
- A transaction is on the disk when it has ended (`synchronous=FULL`); there is at most one or two in a second.
- The file has mode 0600 and lies where nobody else can exchange it (`lanman.net.place`). SQLite gives the files that it
  keeps beside it (`-wal`, `-shm`) the same mode.
- What is deleted is overwritten (`secure_delete`), for whoever may not keep it.
- A role is held by a lock on the file `NAME.ROLE` beside it, which says who holds it. The kernel lets go of it when the
  process ends, however it ends. It begins with a byte that Windows locks; what is to be read stands behind that.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from lanman.errors import AccessDenied, LanmanError
from lanman.manage.history.database import Row, StoreError, to_its_end
from lanman.manage.history.records import AlreadyHeld, Holder
from lanman.manage.history.schema import SQLITE, STEPS, statements
from lanman.net.atomic import try_lock
from lanman.net.place import place_of
from lanman.versions import NewerVersion, check_version

T = TypeVar("T")

APPLICATION_ID: Final = 0x4C4D4853  # "LMHS"

# How long a writer waits for another process that writes (a policy that notes a deed), in seconds.
_BUSY: Final = 10.0

# A checkpoint after so many pages of 4 KiB: a page that many batches change is then copied once.
_CHECKPOINT: Final = 8192
_CACHE: Final = "-65536"  # in KiB

# Who has just taken a lock writes itself there a moment later.
_TRIES: Final = 10
_PAUSE: Final = 0.02


class SqliteDatabase:
    """See `lanman.manage.history.database.Database`."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser().absolute()
        self.name = str(self.path)
        self._writer = _Connection(self.path, self.name)
        self._reader = _Connection(self.path, self.name)
        self._turn = asyncio.Lock()

    async def open(self) -> None:
        """See Database."""
        await asyncio.to_thread(make_file, self.path)
        await self._writer.run(self._migrate)

    def _migrate(self, connection: sqlite3.Connection) -> None:
        version = _check(connection, self.name)
        while version < len(STEPS):
            # Another process may do the same at this moment.
            connection.execute("BEGIN IMMEDIATE")
            try:
                version = _check(connection, self.name)
                if version < len(STEPS):
                    for statement in statements(STEPS[version], SQLITE):
                        connection.execute(statement)
                    version += 1
                    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                    connection.execute(f"PRAGMA user_version = {version}")
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise

    async def close(self) -> None:
        """See Database."""
        await self._reader.close()
        await self._writer.close()

    async def fetch(self, sql: str, parameters: Row = ()) -> list[Any]:
        """See Database."""
        return await self._reader.run(lambda connection: connection.execute(sql, parameters).fetchall())

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SqliteWriting]:
        """See Database."""
        async with self._turn:
            # Whoever is cancelled meanwhile must not leave a transaction open.
            try:
                await to_its_end(self._writer.execute("BEGIN IMMEDIATE"))
                yield SqliteWriting(self._writer)
            except BaseException:
                await to_its_end(self._writer.run(_roll_back))
                raise
            await to_its_end(self._writer.run(_commit))

    @asynccontextmanager
    async def hold(self, role: str, since: int) -> AsyncIterator[Holder]:
        """See Database."""
        holder = Holder(role, socket.gethostname(), os.getpid(), since)
        descriptor = _lock_file(self._lock_path(role), self.name)
        try:
            # Whoever only looks has it for a moment, and then what stands there may be of somebody who was killed.
            for _ in range(_TRIES):
                if try_lock(descriptor):
                    break
                await asyncio.sleep(_PAUSE)
            else:
                other = _read_holder(descriptor, role) or Holder(role, socket.gethostname(), 0, since)
                raise AlreadyHeld(other, self.name)
            _write_holder(descriptor, holder)
            yield holder
            os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)

    async def holder(self, role: str) -> Holder | None:
        """See Database."""
        if not self._lock_path(role).exists():
            return None
        descriptor = _lock_file(self._lock_path(role), self.name)
        try:
            for _ in range(_TRIES):
                if try_lock(descriptor):
                    return None
                if (other := _read_holder(descriptor, role)) is not None:
                    return other
                await asyncio.sleep(_PAUSE)
            return Holder(role, socket.gethostname(), 0, 0)
        finally:
            os.close(descriptor)

    def _lock_path(self, role: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{role}")

    async def schema(self) -> int:
        """See Database."""
        [(version,)] = await self.fetch("PRAGMA user_version")
        return int(version)

    async def size(self) -> int:
        """See Database."""
        total = 0
        for behind in ("", "-wal"):
            with suppress(FileNotFoundError):
                total += os.stat(f"{self.path}{behind}").st_size
        return total


class SqliteWriting:
    """See `lanman.manage.history.database.Writing`."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    async def fetch(self, sql: str, parameters: Row = ()) -> list[Any]:
        """See Writing."""
        return await self._connection.run(lambda connection: connection.execute(sql, parameters).fetchall())

    async def execute(self, sql: str, parameters: Row = ()) -> None:
        """See Writing."""
        await self._connection.execute(sql, parameters)

    async def many(self, sql: str, rows: Iterable[Row]) -> None:
        """See Writing."""
        await self._connection.run(lambda connection: connection.executemany(sql, rows))

    async def insert(self, table: str, columns: str, rows: Sequence[Row]) -> None:
        """See Writing."""
        marks = ", ".join("?" * (columns.count(",") + 1))
        await self.many(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)


class _Connection:
    """A connection and the one thread that may use it."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lanman history")
        self._connection: sqlite3.Connection | None = None
        self._closed = False

    def connect(self) -> sqlite3.Connection:
        """The connection, made at its first use; to be called in its thread."""
        if self._connection is None:
            # By URI, so that it is not made where it is not there any more.
            address = f"{self._path.as_uri()}?mode=rw"
            connection = sqlite3.connect(address, uri=True, timeout=_BUSY, isolation_level=None)
            try:
                _check(connection, self._name)  # before anything is done to it
                for setting in (
                    "journal_mode = WAL",
                    "synchronous = FULL",
                    "secure_delete = ON",
                    f"wal_autocheckpoint = {_CHECKPOINT}",
                    f"cache_size = {_CACHE}",
                ):
                    connection.execute(f"PRAGMA {setting}").fetchall()
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Have the thread do something with the connection. Raises StoreError."""
        if self._closed:
            raise StoreError(f"{self._name}: is closed")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, work)

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return work(self.connect())
        except sqlite3.Error as error:
            raise _failed(self._name, error) from None

    async def execute(self, sql: str, parameters: Row = ()) -> None:
        """Run a statement."""
        await self.run(lambda connection: connection.execute(sql, parameters))

    async def close(self) -> None:
        """Close the connection, and end the thread."""
        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
            self._thread.shutdown()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _commit(connection: sqlite3.Connection) -> None:
    try:
        connection.execute("COMMIT")
    except sqlite3.Error:
        _roll_back(connection)
        raise


def make_file(path: Path) -> None:
    """Have a database's file, mode 0600, in a folder that is made too. Raises AccessDenied and StoreError."""
    try:
        with place_of(path, make=True) as (folder, name):
            if os.name == "posix" and os.geteuid() == 0 and folder.owner[0] != 0:
                # SQLite opens its files by name, so whoever owns the folder could have root write elsewhere.
                raise AccessDenied(
                    f"{path}: root keeps no history in a folder of somebody else",
                    hint="Run this as the folder's owner, or name another database with --db.",
                )
            os.close(folder.open(name, os.O_RDWR | os.O_CREAT))
    except LanmanError:
        raise
    except OSError as error:
        raise _cannot_open(path, error) from None


def _lock_file(path: Path, name: str) -> int:
    try:
        with place_of(path) as (folder, file):
            return folder.open(file, os.O_RDWR | os.O_CREAT)
    except LanmanError:
        raise
    except OSError as error:
        raise _cannot_open(name, error) from None


def _cannot_open(path: str | Path, error: OSError) -> LanmanError:
    if isinstance(error, PermissionError):
        return AccessDenied(f"{path}: {error.strerror}", hint="Name another database with --db.")
    return StoreError(f"{path}: {error.strerror}", hint="Name another database with --db.")


def _write_holder(descriptor: int, holder: Holder) -> None:
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, b" " + json.dumps(holder._asdict()).encode() + b"\n")


def _read_holder(descriptor: int, role: str) -> Holder | None:
    """Who has written itself there; None for nobody, or not yet."""
    os.lseek(descriptor, 1, os.SEEK_SET)
    try:
        told = json.loads(os.read(descriptor, 4096))
        return Holder(role, str(told["host"]), int(told["pid"]), int(told["since"]))
    except (ValueError, KeyError, TypeError, UnicodeDecodeError):
        return None


def _check(connection: sqlite3.Connection, name: str) -> int:
    """How many steps it has had. Raises StoreError for what is no database of history, NewerVersion's sentence for a
    newer one."""
    with closing(connection.execute("PRAGMA application_id")) as found:
        [application] = found.fetchone()
    [version] = connection.execute("PRAGMA user_version").fetchone()
    [tables] = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (application or version or tables):
        raise StoreError(f"{name}: is a database of something else", hint="Name another one with --db.")
    try:
        check_version(version, len(STEPS))
    except NewerVersion as error:
        raise StoreError(f"{name}: {error.message}", hint=error.hint) from None
    return int(version)


def _failed(name: str, error: sqlite3.Error) -> StoreError:
    text = str(error)
    hint = None
    if "not a database" in text or "malformed" in text:
        hint = "Move the file away, or put back what a backup has of it."
    elif "locked" in text:
        hint = "Another program holds the file; stop that one."
    elif "full" in text:
        hint = "Make room on the disk, or keep fewer days with --keep."
    return StoreError(f"{name}: {text}", hint=hint)
