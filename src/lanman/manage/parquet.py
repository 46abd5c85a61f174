"""Rows as Parquet files, written by pyarrow (extra `parquet`): those of the history, and the parts of a sweep's table.

A file is written under another name, which readers of folders pass over, put on the disk, and then put in the place of
an older one: a reader never meets half a file. Only its owner may read it: such files say who had what open. Texts are
as they were given, since nothing here is shown or calculated; but for halves of surrogate pairs, which UTF-8 cannot
hold and are written as `\\\\udc80`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, Final

from lanman import codes
from lanman.errors import AccessDenied, LanmanError

INSTALL: Final = "pip install 'lanman[parquet]'"

GROUP: Final = 5_000
"""How many rows are held before they are written as a group."""


class Holds(Enum):
    """What a column holds; any value may be None."""

    TEXT = "text"
    NUMBER = "number"
    TRUTH = "truth"
    REAL = "real"
    MOMENT = "moment"
    """To the second: seconds since 1970, or RFC 3339."""
    INSTANT = "instant"
    """The same to the millisecond."""
    JSON = "json"
    """Any value that JSON has, as its text."""


def check_parquet() -> None:
    """Raises LanmanError 50 where pyarrow is missing, with the remedy."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise LanmanError(
            "Parquet files are written with pyarrow, which is not installed",
            code=codes.ERROR_NOT_SUPPORTED,
            hint=f"{INSTALL}, or take another format",
        ) from None


class ParquetTable:
    """A file that is being written, a group of rows at a time; see `parquet_file`. `rows` is how many it has."""

    def __init__(self, file: Any, columns: Mapping[str, Holds]) -> None:
        import pyarrow
        import pyarrow.parquet

        types = {
            Holds.TEXT: pyarrow.string(),
            Holds.NUMBER: pyarrow.int64(),
            Holds.TRUTH: pyarrow.bool_(),
            Holds.REAL: pyarrow.float64(),
            Holds.MOMENT: pyarrow.timestamp("s", tz="UTC"),
            Holds.INSTANT: pyarrow.timestamp("ms", tz="UTC"),
            Holds.JSON: pyarrow.string(),
        }
        self._columns = columns
        self._make = pyarrow.Table.from_pylist
        self._schema = pyarrow.schema([(name, types[holds]) for name, holds in columns.items()])
        self._writer = pyarrow.parquet.ParquetWriter(file, self._schema, compression="zstd")
        self._held: list[dict[str, Any]] = []
        self.rows = 0

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rows, or hold them until there is a group of them."""
        for row in rows:
            self._held.append({name: _value(row.get(name), holds) for name, holds in self._columns.items()})
            if len(self._held) >= GROUP:
                self.flush()

    def flush(self) -> None:
        """Write what is held."""
        if self._held:
            self._writer.write_table(self._make(self._held, schema=self._schema))
            self.rows += len(self._held)
            self._held = []

    def close(self) -> None:
        """Write the end of such a file."""
        self._writer.close()


@contextmanager
def parquet_part(path: Path, columns: Mapping[str, Holds]) -> Iterator[ParquetTable]:
    """A file of that name, which is in its place and on the disk once the context has ended without an error; an older
    one stays as it was then. A process that is killed leaves `.NAME.PID`. Raises OSError."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        unfinished.unlink(missing_ok=True)
        with os.fdopen(os.open(unfinished, flags, 0o600), "wb") as file:
            table = ParquetTable(file, columns)
            try:
                yield table
                table.flush()
            finally:
                table.close()  # while there is a file that it may write to
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


@contextmanager
def parquet_file(path: Path, columns: Mapping[str, Holds]) -> Iterator[ParquetTable]:
    """The same for a file that somebody has named: its folder is made.

    Raises LanmanError where it cannot be written, or pyarrow is missing.
    """
    check_parquet()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with parquet_part(path, columns) as table:
            yield table
    except OSError as error:
        kind = AccessDenied if isinstance(error, PermissionError) else LanmanError
        raise kind(f"{path}: cannot be written: {error.strerror or error}", hint="name another folder") from None


def _value(value: Any, holds: Holds) -> Any:
    if value is None:
        return None
    if holds in (Holds.MOMENT, Holds.INSTANT):
        return datetime.fromisoformat(value) if isinstance(value, str) else datetime.fromtimestamp(value, UTC)
    if holds is Holds.JSON:
        return json.dumps(value)
    return str(value).encode("utf-8", "backslashreplace").decode() if holds is Holds.TEXT else value
