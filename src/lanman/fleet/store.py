"""The folder of a sweep: rows, outcomes, and the state that lets it go on after any end.

    rows.jsonl | rows.csv | rows.parquet/    what the servers said
    outcomes.jsonl                           one line a target
    state.sqlite                             which targets are known, and what became of them
    targets.jsonl                            those that came over standard input, or from a program

Rules:

  - Rows are flushed to the disk, then outcomes, then the targets are marked, in one transaction that also says how long
    the files are. What stands in a file beyond that was never marked: it is cut off when the sweep goes on. So a row
    belongs to its target exactly once, wherever the program was killed.
  - A sweep goes on by the set of what is marked, and never by a position.
  - outcomes.jsonl can be made anew from the state, and is where targets are to be asked again.
  - One process works in a folder at a time: SQLite's own lock holds it, and is taken before any other file is touched.
  - A sweep has begun when its state has tables. What a program leaves that was killed before that is empty files of
    ours, and as good as an empty folder. What another user has put there is not: they could read what is written.
  - The state has a version; a newer one is refused.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final, Protocol

from lanman import codes
from lanman.errors import LanmanError
from lanman.fleet.values import COLUMNS, FleetOutcome, Kind, Result, Target
from lanman.shown import cell
from lanman.versions import check_version

VERSION: Final = 1
STATE: Final = "state.sqlite"
OUTCOMES: Final = "outcomes.jsonl"
TARGETS: Final = "targets.jsonl"
_ROWS: Final = "rows."
_STATE_FILES: Final = frozenset({STATE, f"{STATE}-wal", f"{STATE}-shm", f"{STATE}-journal"})
FORMATS: Final = ("jsonl", "csv", "parquet")

_SCHEMA: Final = """
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE target(key TEXT PRIMARY KEY, result TEXT, rows INTEGER, line TEXT) WITHOUT ROWID;
"""

# Files that everybody could read would tell who is where.
_MODE: Final = 0o600


class Rows(Protocol):
    """What rows are written to."""

    def write(self, outcomes: Sequence[FleetOutcome]) -> None:
        """Write the rows of these, and have them on the disk."""

    def size(self) -> str:
        """How much of it counts, as `cut` understands it."""

    def cut(self, size: str) -> None:
        """Let go of what was written beyond that."""

    def roll(self, *, final: bool) -> bool:
        """Make a whole of what is gathered, if it is enough for one, or the last; whether the size has changed. It is
        called between a size that was kept and the next one."""

    def close(self) -> None:
        """Close the files."""


class LineRows:
    """Rows as lines of JSON, or of CSV with a header line."""

    def __init__(self, path: Path, kind: Kind, *, csv: bool = False) -> None:
        self._columns = list(COLUMNS[kind]) if csv else None
        self._file = _opened(path)
        if csv and self._file.tell() == 0:
            self._file.write(_header(kind))
            self._file.flush()

    def write(self, outcomes: Sequence[FleetOutcome]) -> None:
        """See `Rows.write`."""
        for outcome in outcomes:
            pieces = outcome.pieces()
            self._file.writelines(pieces if self._columns is None else csv_lines(pieces, self._columns))
        _on_disk(self._file)

    def size(self) -> str:
        """See `Rows.size`: in bytes."""
        return str(self._file.tell())

    def cut(self, size: str) -> None:
        """See `Rows.cut`."""
        cut_to(self._file, int(size), "rows")

    def roll(self, *, final: bool) -> bool:
        """See `Rows.roll`: lines are whole at any time."""
        return False

    def close(self) -> None:
        """See `Rows.close`."""
        self._file.close()


def _header(kind: Kind) -> bytes:
    return f"{','.join(_quoted(name) for name in COLUMNS[kind])}\n".encode()


def csv_lines(pieces: Iterable[bytes], columns: Sequence[str]) -> Iterator[bytes]:
    """Lines of JSON as lines of CSV, every cell in quotation marks."""
    for piece in pieces:
        for line in piece.splitlines():
            row = json.loads(line)
            yield f"{','.join(_quoted(_plain(row.get(name))) for name in columns)}\n".encode()


def _plain(value: Any) -> str:
    return cell(json.dumps(value)) if isinstance(value, dict | list) else cell(value)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


class Store:
    """The folder of one sweep. Every method blocks; they are called one at a time, from any thread.

    Raises LanmanError where the folder cannot be used.
    """

    def __init__(self, folder: Path, *, kind: Kind, format: str, meta: dict[str, Any] | None) -> None:
        self.folder = folder
        self.kind, self.format = kind, format
        self._is_ours = False
        self._database = _connected(folder / STATE)
        self._spool: IO[bytes] | None = None
        with contextlib.ExitStack() as undone:
            undone.callback(self._database.close)
            if meta is not None:
                self._clear_leavings()
            self._outcomes = undone.enter_context(_opened(folder / OUTCOMES))
            self._rows = _rows(folder, kind, format)
            undone.callback(self._rows.close)
            if meta is not None:
                self._create(meta)
            undone.pop_all()

    @classmethod
    def created(cls, folder: Path, *, kind: Kind, format: str, meta: dict[str, Any]) -> Store:
        """A new sweep in a folder that is made now, is empty, or has what one left that never began. Raises LanmanError
        80 for one that is not empty."""
        is_there = folder.exists()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _never_began(folder):
                raise _not_empty(folder)
        except OSError as error:
            raise _failed(folder, error) from None
        store = cls(folder, kind=kind, format=format, meta={**meta, "kind": kind.value, "format": format})
        store._is_ours = not is_there
        return store

    @classmethod
    def resumed(cls, folder: Path) -> Store:
        """The sweep in a folder, as it was left. Raises LanmanError 2 where there is none, NewerVersion."""
        path = folder / STATE
        try:
            if folder.is_dir() and any(folder.iterdir()) and _never_began(folder) and not _has_begun_in(path):
                raise LanmanError(
                    f"{folder}: the sweep in it was ended before it began: nobody was asked",
                    code=codes.ERROR_FILE_NOT_FOUND,
                    hint="begin it again, with --out and this folder",
                )
        except OSError as error:
            raise _failed(folder, error) from None
        if not path.is_file():
            raise LanmanError(
                f"{folder}: there is no sweep in it",
                code=codes.ERROR_FILE_NOT_FOUND,
                hint="name the folder that an earlier sweep was told with --out",
            )
        with contextlib.closing(_connected(path)) as database:
            try:
                (found,) = database.execute("PRAGMA user_version").fetchone()
                check_version(found, VERSION)
                known = dict(database.execute("SELECT name, value FROM meta"))
                kind, format = Kind(json.loads(known["kind"])), json.loads(known["format"])
            except LanmanError as error:
                error.text = f"{path}: {error.text}"
                raise
            except (sqlite3.Error, KeyError, ValueError) as error:
                raise _damaged(path, error) from None
        store = cls(folder, kind=kind, format=format, meta=None)
        try:
            store._recover()
        except BaseException:
            store.close()
            raise
        return store

    # --- what is known of the sweep

    def meta(self, name: str) -> Any:
        """A value that was kept; None where there is none."""
        found = self._database.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if found is None else json.loads(found[0])

    def keep(self, name: str, value: Any) -> None:
        """Keep a value."""
        with self._changing():
            self._put(name, value)

    def counts(self) -> dict[Result, int]:
        """How many targets have each result."""
        asked = "SELECT result, count(*) FROM target WHERE result IS NOT NULL GROUP BY result"
        return {Result(result): count for result, count in self._database.execute(asked)}

    def rows(self) -> int:
        """How many rows there are in all."""
        return int(self._database.execute("SELECT coalesce(sum(rows), 0) FROM target").fetchone()[0])

    # --- the course of a sweep

    def claim(self, targets: Sequence[Target]) -> list[Target]:
        """Those of them that nobody has asked yet, each once. They are known from now on."""
        with self._changing():
            insert = "INSERT OR IGNORE INTO target(key) VALUES (?)"
            return [target for target in targets if self._database.execute(insert, (target.key,)).rowcount]

    def record(self, outcomes: Sequence[FleetOutcome]) -> None:
        """Keep outcomes and their rows: on the disk when it returns."""
        self._check_is_there()
        lines = [json.dumps(outcome.record()) for outcome in outcomes]
        try:
            self._rows.write(outcomes)
            self._outcomes.write("".join(f"{line}\n" for line in lines).encode())
            _on_disk(self._outcomes)
        except OSError as error:
            raise _failed(self.folder, error) from None
        with self._changing():
            self._database.executemany(
                "INSERT INTO target(key, result, rows, line) VALUES (?, ?, ?, ?) ON CONFLICT(key) DO UPDATE SET "
                "result = excluded.result, rows = excluded.rows, line = excluded.line",
                [
                    (outcome.target.key, outcome.result.value, outcome.count, line)
                    for outcome, line in zip(outcomes, lines, strict=True)
                ],
            )
            self._put_sizes()
        self._roll(final=False)

    def _check_is_there(self) -> None:
        """Files that were removed can still be written to, and nobody finds in them what was written."""
        if not (self.folder / STATE).exists():
            raise LanmanError(
                f"{self.folder}: was removed while the sweep wrote into it",
                code=codes.ERROR_FILE_NOT_FOUND,
                hint="begin it again, in a folder that stays",
            )

    def spool(self, lines: Iterable[str]) -> None:
        """Keep targets that cannot be read a second time."""
        if self._spool is None:
            self._spool = _opened(self.folder / TARGETS)
        try:
            self._spool.write("".join(f"{line}\n" for line in lines).encode())
            _on_disk(self._spool)
        except OSError as error:
            raise _failed(self.folder, error) from None

    def spooled(self) -> Path | None:
        """Where such targets are; None where there are none. A last line that was cut is not one of them."""
        path = self.folder / TARGETS
        if not path.is_file():
            return None
        with _opened(path) as file:
            file.seek(0)
            whole = sum(len(line) for line in file if line.endswith(b"\n"))
            cut_to(file, whole, "targets")
        return path

    def forget(self, results: Iterable[Result]) -> int:
        """Have the targets of these results asked again; how many they are. They have no rows."""
        wanted = [result.value for result in results]
        marks = ", ".join("?" * len(wanted))
        with self._changing():
            gone = self._database.execute(f"DELETE FROM target WHERE result IN ({marks})", wanted).rowcount
            if gone:
                self._put("stale", True)
        if gone:
            self._remake_outcomes()
        return int(gone)

    def finish(self) -> None:
        """Make a whole of what is gathered: the last part of the columns."""
        self._roll(final=True)

    def _roll(self, *, final: bool) -> None:
        try:
            has_changed = self._rows.roll(final=final)
        except OSError as error:
            raise _failed(self.folder, error) from None
        if has_changed:
            with self._changing():
                self._put_sizes()

    def discard(self) -> None:
        """Leave the folder as it was before `created`: nothing was asked, and nothing is to be resumed."""
        self.close()
        with contextlib.suppress(OSError):
            for path in self.folder.iterdir():
                if path.name.startswith((STATE, OUTCOMES, TARGETS, _ROWS)):
                    path.rmdir() if path.is_dir() else path.unlink()
            if self._is_ours:
                self.folder.rmdir()

    def close(self) -> None:
        """Close the files. May be called twice."""
        self._database.close()
        self._rows.close()
        self._outcomes.close()
        if self._spool is not None:
            self._spool.close()

    # --- how

    def _clear_leavings(self) -> None:
        """Let go of the rows of one that never began, which may be of another format. Nobody else is in the folder."""
        try:
            if _has_begun(self._database) or not _never_began(self.folder):
                raise _not_empty(self.folder)
            for path in self.folder.glob(f"{_ROWS}*"):
                path.rmdir() if path.is_dir() else path.unlink()
        except OSError as error:
            raise _failed(self.folder, error) from None

    def _create(self, meta: dict[str, Any]) -> None:
        with self._changing():
            for statement in _SCHEMA.strip().split(";\n"):
                if statement.strip(";\n "):
                    self._database.execute(statement)
            self._database.execute(f"PRAGMA user_version = {VERSION}")
            for name, value in meta.items():
                self._put(name, value)
            self._put_sizes()
        if os.name == "posix":
            descriptor = os.open(self.folder, os.O_RDONLY)
            with contextlib.suppress(OSError):
                os.fsync(descriptor)
            os.close(descriptor)

    def _recover(self) -> None:
        """Let go of what was never marked."""
        try:
            self._rows.cut(self.meta("rows"))
            with self._changing():
                self._database.execute("DELETE FROM target WHERE result IS NULL")
            if self.meta("stale"):
                self._remake_outcomes()
            else:
                cut_to(self._outcomes, int(self.meta("outcomes")), "outcomes")
        except OSError as error:
            raise _failed(self.folder, error) from None
        except (TypeError, ValueError) as error:
            raise _damaged(self.folder / STATE, error) from None

    def _remake_outcomes(self) -> None:
        """Write outcomes.jsonl anew from the state. Until it is marked as whole, a next start does it again."""
        path = self.folder / OUTCOMES
        new = path.with_suffix(".new")
        try:
            with open(new, "wb", opener=_private) as file:
                for (line,) in self._database.execute("SELECT line FROM target WHERE line IS NOT NULL ORDER BY key"):
                    file.write(f"{line}\n".encode())
                _on_disk(file)
            self._outcomes.close()
            os.replace(new, path)
            self._outcomes = _opened(path)
        except OSError as error:
            raise _failed(self.folder, error) from None
        with self._changing():
            self._put("stale", False)
            self._put_sizes()

    def _put(self, name: str, value: Any) -> None:
        self._database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, json.dumps(value)))

    def _put_sizes(self) -> None:
        self._put("rows", self._rows.size())
        self._put("outcomes", self._outcomes.tell())

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        try:
            with self._database:
                self._database.execute("BEGIN IMMEDIATE")
                yield
        except sqlite3.Error as error:
            raise LanmanError(
                f"{self.folder / STATE}: cannot be written: {error}",
                code=codes.ERROR_DISK_FULL,
                hint="what was kept before is whole: --resume goes on from it",
            ) from None


def _rows(folder: Path, kind: Kind, format: str) -> Rows:
    if format == "parquet":
        from lanman.fleet.parts import PartRows

        return PartRows(folder, kind)
    return LineRows(folder / f"{_ROWS}{format}", kind, csv=format == "csv")


def _connected(path: Path) -> sqlite3.Connection:
    """The database, which is this process's alone from now on. Raises LanmanError 32 where another has it."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, _MODE))
        database = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute("BEGIN EXCLUSIVE")
            database.execute("COMMIT")
        except BaseException:
            database.close()
            raise
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise _damaged(path, error) from None
        raise LanmanError(
            f"{path.parent}: another lanman works in it",
            code=codes.ERROR_SHARING_VIOLATION,
            hint="wait until that one is through, or name another folder",
        ) from None
    except sqlite3.Error as error:
        raise _damaged(path, error) from None
    except OSError as error:
        raise _failed(path.parent, error) from None
    return database


def _not_empty(folder: Path) -> LanmanError:
    return LanmanError(
        f"{folder}: is not empty",
        code=codes.ERROR_FILE_EXISTS,
        hint="name another folder with --out, or go on with what is in it: --resume",
    )


def _never_began(folder: Path) -> bool:
    """Whether a folder has nothing but what a sweep makes before its state has tables. The state is not looked into."""
    return all(_is_own(path) and (path.name in _STATE_FILES or _is_blank(path)) for path in folder.iterdir())


def _is_own(path: Path) -> bool:
    """Whether it is a file or folder of this user alone. Whoever owns one, or has another name for it or a link there,
    would have what is written into it."""
    found = path.lstat()
    if not (stat.S_ISDIR(found.st_mode) if path.name == f"{_ROWS}parquet" else stat.S_ISREG(found.st_mode)):
        return False
    return os.name != "posix" or (found.st_uid == os.geteuid() and (found.st_nlink == 1 or path.is_dir()))


def _is_blank(path: Path) -> bool:
    """Whether it is a file of ours, or a folder, without a row in it."""
    if path.name == f"{_ROWS}parquet":
        return not any(path.iterdir())
    if path.name not in (OUTCOMES, f"{_ROWS}jsonl", f"{_ROWS}csv", f"{_ROWS}spool"):
        return False
    if path.name != f"{_ROWS}csv":
        return not path.stat().st_size
    headers = [_header(kind) for kind in Kind]
    if path.stat().st_size > max(map(len, headers)):
        return False
    said = path.read_bytes()
    return any(header.startswith(said) for header in headers)


def _has_begun(database: sqlite3.Connection) -> bool:
    return bool(database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])


def _has_begun_in(path: Path) -> bool:
    """Whether a state has tables. Raises LanmanError where it cannot be looked into."""
    if not path.is_file():
        return False
    with contextlib.closing(_connected(path)) as database:
        return _has_begun(database)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, _MODE)


def _opened(path: Path) -> IO[bytes]:
    """A file that is written at its end. Raises LanmanError."""
    try:
        file = open(path, "r+b" if path.exists() else "w+b", opener=_private)  # noqa: SIM115  # the store closes it
        file.seek(0, os.SEEK_END)
    except OSError as error:
        raise _failed(path.parent, error) from None
    return file


def _on_disk(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def cut_to(file: IO[bytes], size: int, what: str) -> None:
    """Cut a file to a size that it has at least. Raises LanmanError where it has become shorter."""
    if file.seek(0, os.SEEK_END) < size:
        raise LanmanError(
            f"the file of the {what} is shorter than it was: somebody has changed it",
            code=codes.ERROR_INVALID_DATA,
            hint="put it back as it was, or begin a new sweep",
        )
    file.truncate(size)
    file.seek(size)


_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_ABSENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})


def _failed(folder: Path, error: OSError) -> LanmanError:
    another = "name another folder with --out"
    if isinstance(error, PermissionError):
        code, hint = codes.ERROR_ACCESS_DENIED, another
    elif error.errno == errno.EROFS:
        code, hint = codes.ERROR_WRITE_PROTECT, another
    elif error.errno in _ABSENT:
        code, hint = codes.ERROR_PATH_NOT_FOUND, another
    else:
        code = codes.ERROR_DISK_FULL if error.errno in _FULL else codes.ERROR_GEN_FAILURE
        hint = "what was kept before is whole: --resume goes on from it"
    return LanmanError(f"{folder}: cannot be used: {error.strerror}", code=code, hint=hint)


def _damaged(path: Path, error: Exception) -> LanmanError:
    return LanmanError(
        f"{path}: is not the state of a sweep ({error})",
        code=codes.ERROR_INVALID_DATA,
        hint="name the folder of a sweep, or begin a new one",
    )


class Unkept:
    """In the place of a Store, where nothing is kept: it knows which targets were claimed, and no more."""

    folder = None

    def __init__(self) -> None:
        # "" is a file of SQLite's own, which has no name and goes with the connection.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("CREATE TABLE target(key TEXT PRIMARY KEY) WITHOUT ROWID")

    def claim(self, targets: Sequence[Target]) -> list[Target]:
        """See `Store.claim`."""
        insert = "INSERT OR IGNORE INTO target VALUES (?)"
        with self._database:
            self._database.execute("BEGIN")
            return [target for target in targets if self._database.execute(insert, (target.key,)).rowcount]

    def record(self, outcomes: Sequence[FleetOutcome]) -> None:
        """Nothing is kept."""

    def spool(self, lines: Iterable[str]) -> None:
        """Nothing is kept."""

    def keep(self, name: str, value: Any) -> None:
        """Nothing is kept."""

    def finish(self) -> None:
        """Nothing is kept."""

    def discard(self) -> None:
        """See `Store.discard`."""
        self.close()

    def close(self) -> None:
        """Let go of it."""
        self._database.close()
