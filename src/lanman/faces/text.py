"""Text for people: the tables, blocks and times of the NET command, and names from a peer made safe to show.

The layouts are those of NET itself, column by column, so that scripts which cut its output go on working. A field that
the server did not give (`None`) is shown as `-`, where NET would show a number or a name. On a terminal columns are as
wide as what stands in them, as far as there is room; elsewhere they have NET's widths. A name that is cut all the same
ends in `...`.

Names and paths come from a peer, who may put anything into them. Control characters could drive a terminal,
bidirectional ones could make `gpj.exe` read as `exe.jpg`: `lanman.shown.escape` shows both as what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from lanman.plain import dataclass
from lanman.shown import escape as escape

RULER: Final = "-" * 79
UNKNOWN: Final = "-"

# COMBINING GRAVE ACCENT: each character before it takes one column.
_FIRST_OF_ANOTHER_WIDTH: Final = "\u0300"

# --- columns


def width(text: str) -> int:
    """How many columns of a terminal the escaped `text` takes: wide characters take two, combining marks none.

    Each character is counted for itself, as terminals do that join no emoji; so the widths of parts add up.
    """
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    # Latin letters, which most names are made of, load nothing. Control characters do not come here: they are escaped.
    if character < _FIRST_OF_ANOTHER_WIDTH:
        return 1
    import unicodedata

    from rich.cells import cell_len

    # A spacing mark, as Indian scripts have them, takes a column in xterm and by glibc's wcwidth(); rich gives it none.
    return 1 if unicodedata.category(character) == "Mc" else cell_len(character)


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


def wrapped(text: str, room: int, *, indent: int = 0, breaks_words: bool = False) -> list[str]:
    """The lines of an escaped text, of so many columns at most where its words allow that, or break; at least one."""
    lines = [""]
    for word in text.split(" "):
        line = lines[-1]
        if line.strip() and width(line) + 1 + width(word) > room:
            lines.append(" " * indent + word)
        else:
            lines[-1] = f"{line} {word}" if line else word
        while breaks_words and width(lines[-1]) > room >= indent + 2:
            whole = lines[-1]
            lines[-1] = fit(whole, room).rstrip()
            lines.append(" " * indent + whole[len(lines[-1]) :])
    return lines


def cut(text: str, columns: int) -> str:
    """A text at most so wide, as NET cuts it: without a mark."""
    return fit(escape(text), columns).rstrip()


def shorten(text: str, columns: int) -> str:
    """A name at most so wide. What had to be cut ends in `...`: two that begin alike are not to look like one."""
    shown = escape(text)
    return shown if width(shown) <= columns else f"{fit(shown, columns - 3).rstrip()}..."


def shorten_client(text: str, columns: int) -> str:
    """A client's name at most so wide. Addresses of a network begin alike, so those keep their ends too."""
    if not (":" in text and text.isascii() and text.isprintable()) or len(text) <= columns:
        return shorten(text, columns)
    head = (columns - 3) // 2
    return f"{text[:head]}...{text[head + 3 - columns :]}"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: where it starts, and how wide it may grow; None is as wide as it likes.

    `fitted` makes a text fit. A first column with `own_line` puts what does not fit on a line of its own, whole.
    """

    start: int
    width: int | None
    right: bool = False
    fitted: Callable[[str, int], str] = cut
    own_line: bool = False


def row(columns: Sequence[Column], cells: Sequence[str]) -> str:
    """One row; cells are escaped, made to fit, and set where their columns start."""
    line = ""
    for column, cell in zip(columns, cells, strict=True):
        line += " " * max(column.start - width(line), 1 if line else 0)
        if column.width is None:
            line += escape(cell)
        elif column.right:
            # A number that does not fit is shown whole: a cut number would be a wrong one.
            line += escape(cell).rjust(column.width)
        else:
            line += fit(column.fitted(cell, column.width), column.width)
    return line.rstrip()


def widened(columns: Sequence[Column], rows: Sequence[Sequence[str]], available: int | None) -> tuple[Column, ...]:
    """The columns, wider where texts need it and a terminal of `available` columns has the room; None is no terminal.

    NET's own widths are the least. What room there is goes to those first that need the least.
    """
    if available is None or not rows:
        return tuple(columns)
    widest = [max(width(escape(cell)) for cell in cells) for cells in zip(*rows, strict=True)]
    last = columns[-1]
    room = available - last.start - (widest[-1] if last.width is None else last.width)
    wants = {
        place: widest[place] - column.width
        for place, column in enumerate(columns)
        if column.width is not None and not column.right and widest[place] > column.width
    }
    more = [0] * len(columns)
    for left, place in zip(range(len(wants), 0, -1), sorted(wants, key=wants.__getitem__), strict=True):
        more[place] = max(0, min(wants[place], room // left))
        room -= more[place]
    return tuple(
        replace(
            column,
            start=column.start + sum(more[:place]),
            width=None if column.width is None else column.width + more[place],
        )
        for place, column in enumerate(columns)
    )


def table_lines(
    header: str,
    columns: Sequence[Column],
    rows: Iterable[Sequence[str]],
    available: int | None,
    *,
    between: Sequence[str],
) -> Iterator[str]:
    """The header over its columns, `between`, a ruler, and the rows. `available` as for `widened`."""
    whole = list(rows)
    wide = widened(columns, whole, available)
    ends = [column.start for column in columns[1:]] + [len(header)]
    line = ""
    for old, new, end in zip(columns, wide, ends, strict=True):
        line = f"{line:<{new.start}}{header[old.start : end]}"
    yield line.rstrip()
    yield from between
    yield RULER + "-" * (wide[-1].start - columns[-1].start + (wide[-1].width or 0) - (columns[-1].width or 0))
    for cells in whole:
        first = wide[0]
        if first.own_line and first.width is not None and width(escape(cells[0])) > first.width:
            yield escape(cells[0]).rstrip()
            cells = ["", *cells[1:]]
        yield row(wide, cells)


def table(
    header: str, columns: Sequence[Column], rows: Iterable[Sequence[str]], available: int | None = None
) -> Iterator[str]:
    """The lines of a table as NET frames it; the success line is not part of it. `available` as for `widened`."""
    yield ""
    yield from table_lines(header, columns, rows, available, between=[""])


NODE_WIDTH: Final = 16


def with_nodes(
    header: str, columns: Sequence[Column], nodes: Iterable[str | None], narrower: int, *, spare: int = 0
) -> tuple[str, tuple[Column, ...]]:
    """The header and the columns with one before them for the nodes of a cluster, as wide as these need; `narrower` is
    the place of the column that makes room for it where it can, beyond the `spare` columns that there are."""
    widest = max([4, *(width(escape(node or "")) for node in nodes)])
    room = min(widest, NODE_WIDTH) + 1
    given = columns[narrower]
    less = max(0, min(room - spare, (given.width or 0) - NODE_WIDTH))
    cut_at = given.start + max((given.width or 0) - less, len(header[given.start :].split("  ", maxsplit=1)[0]))
    less = given.start + (given.width or 0) - cut_at
    moved = tuple(
        replace(
            column,
            start=column.start + room - (less if place > narrower else 0),
            width=None if column.width is None else column.width - (less if place == narrower else 0),
            own_line=False,
            fitted=shorten if column.own_line else column.fitted,
        )
        for place, column in enumerate(columns)
    )
    shown = header[:cut_at] + header[cut_at + less :]
    return f"{'Node':<{room}}{shown}", (Column(0, room - 1, fitted=shorten), *moved)


def block(pairs: Iterable[tuple[str, str]], label_width: int) -> Iterator[str]:
    """Lines of a label and a value, the labels padded to one width; values are escaped."""
    for label, value in pairs:
        yield f"{label:<{label_width}}{escape(value)}".rstrip()


# --- values


def number(value: int | None) -> str:
    """A number as NET shows it, `-` where it is not known."""
    return UNKNOWN if value is None else str(value)


def yes_no(value: bool | None) -> str:
    """`Yes` or `No`, `-` where it is not known."""
    return UNKNOWN if value is None else "Yes" if value else "No"


def duration(seconds: int | None) -> str:
    """`HH:MM:SS` below a day, `01D 03H 12M` from there on, as NET SESSION shows idle time."""
    if seconds is None:
        return UNKNOWN
    if seconds < 86400:
        return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{seconds // 86400:02}D {seconds // 3600 % 24:02}H {seconds // 60 % 60:02}M"


OWNER_UNKNOWN: Final = "owner unknown"
"""Whose a file is that has no user, where the server does not say for whom it is kept, nor whether it is."""

MAY_BE_KEPT: Final = f"{OWNER_UNKNOWN}: it is kept for a client whose connection was lost, or a null session's"
"""The same as a sentence."""


def kept_for(owner: str, expires_at: float | None, now: float) -> str:
    """For whom a file is kept whose connection was lost, and for how long; times are in seconds since 1970."""
    left = "" if expires_at is None else f", {duration(max(0, int(expires_at - now)))} more"
    return f"{owner}, whose connection was lost{left}"


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
