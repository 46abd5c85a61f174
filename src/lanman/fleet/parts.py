"""Rows as columns: a folder of Parquet files, which readers take for one table. It needs the extra `parquet`.

A Parquet file is whole or nothing. So rows are gathered as lines in rows.spool, and every 50,000 of them, and in the
end, become a part: it is written beside, put on the disk and given its name; then the state says that there is one part
more, and nothing gathered. A part that the state knows nothing of is removed, and made again from the lines.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

from lanman import codes
from lanman.errors import LanmanError
from lanman.fleet.values import COLUMNS, FLAG, INTEGER, JSON, REAL, TEXT, TIME, FleetOutcome, Kind
from lanman.manage.parquet import check_parquet

PART_ROWS: Final = 50_000
SPOOL: Final = "rows.spool"
FOLDER: Final = "rows.parquet"


class PartRows:
    """Rows as parts of a table; see `lanman.fleet.store.Rows`. Its size is the number of parts and that of the lines
    that are gathered, in bytes."""

    def __init__(self, folder: Path, kind: Kind) -> None:
        check_parquet()
        self._columns = COLUMNS[kind]
        self._folder = folder / FOLDER
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._spool: IO[bytes] = open(folder / SPOOL, "a+b")  # noqa: SIM115  # closed by `close`
        self._parts = 0
        self._gathered = 0
        self._counted = 0

    def write(self, outcomes: Sequence[FleetOutcome]) -> None:
        """See `Rows.write`."""
        if self._gathered != self._spool.seek(0, os.SEEK_END):
            self._spool.truncate(self._gathered)
        for outcome in outcomes:
            self._spool.write(outcome.lines)
            self._counted += outcome.count
        self._spool.flush()
        os.fsync(self._spool.fileno())
        self._gathered = self._spool.tell()

    def size(self) -> str:
        """See `Rows.size`."""
        return f"{self._parts} {self._gathered}"

    def cut(self, size: str) -> None:
        """See `Rows.cut`."""
        parts, gathered = map(int, size.split())
        if self._spool.seek(0, os.SEEK_END) < gathered or not all(self._part(each).exists() for each in range(parts)):
            raise LanmanError(
                f"{self._folder.parent}: a part of the rows is missing: somebody has changed it",
                code=codes.ERROR_INVALID_DATA,
                hint="put it back as it was, or begin a new sweep",
            )
        self._parts, self._gathered = parts, gathered
        self._spool.truncate(gathered)
        self._spool.seek(0)
        self._counted = sum(1 for _ in self._spool)
        for path in self._folder.iterdir():
            if path.suffix == ".new" or (path.suffix == ".parquet" and path >= self._part(parts)):
                path.unlink()

    def roll(self, *, final: bool) -> bool:
        """See `Rows.roll`."""
        if self._counted < (1 if final and self._parts else 0 if final else PART_ROWS):
            return False
        self._make_part()
        return True

    def close(self) -> None:
        """See `Rows.close`."""
        self._spool.close()

    def _part(self, number: int) -> Path:
        return self._folder / f"part-{number:06}.parquet"

    def _make_part(self) -> None:
        """What is gathered becomes a part. The lines stay until the state has heard of it."""
        import pyarrow
        import pyarrow.parquet

        self._spool.seek(0)
        rows = [json.loads(line) for line in self._spool.read(self._gathered).splitlines()]
        schema = pyarrow.schema([(name, _type(kind)) for name, kind in self._columns.items()])
        columns = {name: [_value(row, name, kind) for row in rows] for name, kind in self._columns.items()}
        new = self._part(self._parts).with_suffix(".new")
        with open(new, "wb") as file:
            pyarrow.parquet.write_table(pyarrow.table(columns, schema=schema), file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self._part(self._parts))
        self._parts += 1
        self._gathered = self._counted = 0


def _type(kind: str) -> Any:
    import pyarrow

    types = {
        TEXT: pyarrow.string,
        JSON: pyarrow.string,
        INTEGER: pyarrow.int64,
        REAL: pyarrow.float64,
        FLAG: pyarrow.bool_,
    }
    return pyarrow.timestamp("ms", tz="UTC") if kind == TIME else types[kind]()


def _value(row: Mapping[str, Any], name: str, kind: str) -> Any:
    value = row.get(name)
    if value is None:
        return None
    if kind == JSON:
        return json.dumps(value)
    if kind == TIME:
        return datetime.fromisoformat(value).astimezone(UTC)
    if kind == TEXT:
        # Halves of surrogate pairs, which a peer may send, are no text in UTF-8.
        return str(value).encode("utf-8", "backslashreplace").decode()
    return value
