"""`lanman history export`: all that is kept of some time, one stay after the other, in constant memory.

JSON lines are the exact form: a first line with the schema and the time, then the gaps, then the stays, each an object
with `record` in it. CSV has the stays alone, made safe for spreadsheets (`lanman.faces.cli.output`); its gaps are said
on standard error. For Parquet it is a folder with `stays.parquet` and `gaps.parquet` (`lanman.manage.parquet`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lanman.faces.cli import output
from lanman.faces.cli.historyquery import (
    EVER,
    EXIT_INCOMPLETE,
    Question,
    gaps_of,
    meant_servers,
    opened_store,
    warn_of_gaps,
)
from lanman.faces.cli.output import Format
from lanman.faces.dialect import DialectError
from lanman.faces.text import escape
from lanman.manage.history import forms
from lanman.manage.history.records import GapRecord, Stay
from lanman.manage.history.store import Store
from lanman.shown import rfc3339

if TYPE_CHECKING:
    from lanman.faces.cli.invocation import Invocation
    from lanman.manage.parquet import Holds

STAYS: Final = "stays.parquet"
GAPS: Final = "gaps.parquet"

BATCH: Final = 1000
"""How many stays are written at once."""


def export(
    invocation: Invocation, database: str | None, question: Question, parquet: str | None, *, lines: bool
) -> int | None:
    """Write all stays of the time that is asked for. Gives the exit status. Raises LanmanError.

    DialectError 3510: several formats. Without one it is JSON lines.
    """
    formats = [invocation.format is Format.CSV, lines or invocation.format is Format.JSON, parquet is not None]
    if sum(formats) > 1:
        raise DialectError(3510, hint="Give one of --csv, --json and --parquet.")
    if parquet is not None and not parquet:
        raise DialectError(3952, "--parquet", "It is a folder.")
    return asyncio.run(_export(invocation, database, question, parquet))


async def _export(invocation: Invocation, database: str | None, question: Question, parquet: str | None) -> int | None:
    if parquet is not None:
        from lanman.manage.parquet import check_parquet

        check_parquet()
    async with opened_store(invocation, database) as store:
        gaps = await gaps_of(store, question.since, question.until, question.servers)
        batches = _batches(store, question)
        if parquet is not None:
            await _write_parquet(Path(parquet), batches, gaps)
        else:
            text = _csv if invocation.format is Format.CSV else _json_lines
            for part in text(question, gaps, None):
                output.write(part)
            async for batch in batches:
                for part in text(question, gaps, batch):
                    output.write(part)
    if invocation.format is Format.CSV or parquet is not None:
        warn_of_gaps(gaps, question.asked)
    return EXIT_INCOMPLETE if gaps else None


async def _write_parquet(folder: Path, batches: AsyncIterator[list[Stay]], gaps: Sequence[GapRecord]) -> None:
    from lanman.manage.parquet import parquet_file

    with parquet_file(folder / STAYS, _columns(forms.ROW_FIELDS)) as stays:
        async for batch in batches:
            stays.add(map(forms.stay_row, batch))
    with parquet_file(folder / GAPS, _columns(forms.GAP_FIELDS)) as lacking:
        lacking.add(map(forms.gap_form, gaps))
    written = {STAYS: stays.rows, GAPS: lacking.rows}
    output.emit([*(f"{rows:>12,} rows  {escape(str(folder / name))}" for name, rows in written.items()), ""])


def _columns(fields: Sequence[str]) -> dict[str, Holds]:
    from lanman.manage.parquet import Holds

    def holds(name: str) -> Holds:
        if name.endswith("_at"):
            return Holds.MOMENT
        return Holds.NUMBER if name in forms.NUMBERS else Holds.TRUTH if name in forms.TRUTHS else Holds.TEXT

    return {name: holds(name) for name in fields}


async def _batches(store: Store, question: Question) -> AsyncIterator[list[Stay]]:
    since, until = question.since or 0, EVER if question.until is None else question.until
    batch: list[Stay] = []
    for server in await meant_servers(question.servers):
        async for stay in store.export(since, until, server=server):
            batch.append(stay)
            if len(batch) == BATCH:
                yield batch
                batch = []
    if batch:
        yield batch


def _csv(question: Question, gaps: list[GapRecord], batch: list[Stay] | None) -> Iterator[str]:
    """What stands before all batches (None), or a batch."""
    if batch is None:
        yield output.csv_text([{name: name for name in forms.ROW_FIELDS}], forms.ROW_FIELDS)
    else:
        yield output.csv_text(map(forms.stay_row, batch), forms.ROW_FIELDS)


def _json_lines(question: Question, gaps: list[GapRecord], batch: list[Stay] | None) -> Iterator[str]:
    if batch is None:
        span = {"since_at": rfc3339(question.since), "until_at": rfc3339(question.until)}
        yield _object("export", {"schema": output.SCHEMA, **span, "complete": not gaps})
        yield "".join(_object("gap", forms.gap_form(gap)) for gap in gaps)
    else:
        yield "".join(_object("stay", forms.stay_form(stay)) for stay in batch)


def _object(record: str, form: dict[str, Any]) -> str:
    return json.dumps({"record": record, **form}) + "\n"
