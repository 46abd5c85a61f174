"""Rows as columns: a folder of Parquet files, which readers take for one table. It needs the extra `parquet`.

A Parquet file is whole or nothing. So rows are gathered as lines in rows.spool, and every 50,000 of them, and in the
end, become a part (`lanman.manage.parquet`); then the state says that there is one part more, and nothing gathered. A
part that the state knows nothing of is removed, and made again from the lines.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Final

from lanman import codes
from lanman.errors import LanmanError
from lanman.fleet.values import COLUMNS, FLAG, INTEGER, JSON, REAL, TEXT, TIME, FleetOutcome, Kind
from lanman.manage.parquet import Holds, check_parquet, parquet_part

PART_ROWS: Final = 50_000
SPOOL: Final = "rows.spool"
FOLDER: Final = "rows.parquet"
_PART: Final = "part-"

_HOLDS: Final = {
    TEXT: Holds.TEXT,
    INTEGER: Holds.NUMBER,
    REAL: Holds.REAL,
    FLAG: Holds.TRUTH,
    TIME: Holds.INSTANT,
    JSON: Holds.JSON,
}


class PartRows:
    """Rows as parts of a table; see `lanman.fleet.store.Rows`. Its size is the number of parts and that of the lines
    that are gathered, in bytes."""

    def __init__(self, folder: Path, kind: Kind) -> None:
        check_parquet()
        self._columns = {name: _HOLDS[what] for name, what in COLUMNS[kind].items()}
        self._folder = folder / FOLDER
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._spool: IO[bytes] = open(folder / SPOOL, "a+b", opener=_private)  # noqa: SIM115  # closed by `close`
        self._parts = 0
        self._gathered = 0
        self._counted = 0

    def write(self, outcomes: Sequence[FleetOutcome]) -> None:
        """See `Rows.write`."""
        if self._gathered != self._spool.seek(0, os.SEEK_END):
            self._spool.truncate(self._gathered)
        for outcome in outcomes:
            self._spool.writelines(outcome.pieces())
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
        whole = {self._part(each) for each in range(parts)}
        for path in self._folder.iterdir():
            if path.name.removeprefix(".").startswith(_PART) and path not in whole:
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
        return self._folder / f"{_PART}{number:06}.parquet"

    def _make_part(self) -> None:
        """What is gathered becomes a part. The lines stay until the state has heard of it."""
        self._spool.seek(0)
        with parquet_part(self._part(self._parts), self._columns) as table:
            table.add(map(json.loads, islice(self._spool, self._counted)))
        self._parts += 1
        self._gathered = self._counted = 0


def _private(path: str, flags: int) -> int:
    """Open a file that nobody else may read: it tells who is where."""
    return os.open(path, flags, 0o600)
