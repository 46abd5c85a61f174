"""Text for people: the tables, blocks and times of the NET command, and names from a peer made safe to show.

The layouts are those of NET itself, column by column, so that scripts which cut its output go on working. A field that
the server did not give (`None`) is shown as `-`, where NET would show a number or a name.

Names and paths come from a peer, who may put anything into them. Control characters could drive a terminal,
bidirectional ones could make `gpj.exe` read as `exe.jpg`: `lanman.shown.escape` shows both as what they are.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from lanman.shown import escape as escape

RULER: Final = "-" * 79
UNKNOWN: Final = "-"

# --- columns


def width(text: str) -> int:
    """How many columns of a terminal `text` takes; East Asian wide characters take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def fit(text: str, columns: int) -> str:
    """`text` cut or padded to exactly `columns` columns."""
    if text.isascii():
        return text[:columns].ljust(columns)
    kept, used = [], 0
    for character in text:
        if (needed := _columns(character)) + used > columns:
            break
        kept.append(character)
        used += needed
    return "".join(kept) + " " * (columns - used)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: where it starts, and how wide it may grow; None is as wide as it likes."""

    start: int
    width: int | None
    right: bool = False


def row(columns: Sequence[Column], cells: Sequence[str]) -> str:
    """One row; cells are escaped, cut, and set where their columns start."""
    line = ""
    for column, cell in zip(columns, cells, strict=True):
        shown = escape(cell)
        line += " " * max(column.start - width(line), 1 if line else 0)
        if column.width is None:
            line += shown
        elif column.right:
            # A number that does not fit is shown whole: a cut number would be a wrong one.
            line += shown.rjust(column.width)
        else:
            line += fit(shown, column.width)
    return line.rstrip()


def table(header: str, rows: Iterable[str]) -> Iterator[str]:
    """The lines of a table as NET frames it; the success line is not part of it."""
    yield ""
    yield header
    yield ""
    yield RULER
    yield from rows


def block(pairs: Iterable[tuple[str, str]], label_width: int) -> Iterator[str]:
    """Lines of a label and a value, the labels padded to one width; values are escaped."""
    for label, value in pairs:
        yield f"{label:<{label_width}}{escape(value)}".rstrip()


# --- values


def number(value: int | None) -> str:
    return UNKNOWN if value is None else str(value)


def yes_no(value: bool | None) -> str:
    return UNKNOWN if value is None else "Yes" if value else "No"


def duration(seconds: int | None) -> str:
    """`HH:MM:SS` below a day, `01D 03H 12M` from there on, as NET SESSION shows idle time."""
    if seconds is None:
        return UNKNOWN
    if seconds < 86400:
        return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{seconds // 86400:02}D {seconds // 3600 % 24:02}H {seconds // 60 % 60:02}M"


def shorten_path(path: str, columns: int) -> str:
    """A path of at most `columns` columns: its beginning and first folder, `...`, and the last parts that fit.

    `C:\\data\\projects\\2024\\budget-final.xlsx` becomes `C:\\data\\...\\2024\\budget-final.xlsx`. Of a last part
    that does not fit, the beginning is shown, with `...` behind it.
    """
    shown = escape(path)
    if width(shown) <= columns:
        return shown
    separator = "\\" if "\\" in shown or "/" not in shown else "/"
    # The beginning is a drive (`C:`), nothing (`/srv`), or what stands before the first separator.
    first, *parts = shown.split(separator)
    for head in ([first, parts[0]] if parts else [first], [first]):
        tail: list[str] = []
        for part in reversed(parts[len(head) - 1 :]):
            if width(separator.join([*head, "...", part, *tail])) > columns:
                break
            tail.insert(0, part)
        if tail:
            return separator.join([*head, "...", *tail])
    whole = separator.join([first, "...", parts[-1]]) if len(parts) > 2 else shown
    return f"{fit(whole, columns - 3).rstrip()}..."
