"""What leaves the command: tables or data on standard output, errors and questions on standard error.

JSON is the exact form: what the server gave, unknown values as null, every character beyond ASCII escaped, so that it
is the same in every locale and cannot drive a terminal. CSV is meant for spreadsheets: control characters are escaped
as in the tables, an unknown value is an empty cell, every cell is in quotation marks, and where a spreadsheet would see
a formula begin (`=`, `+`, `-`, `@`, full-width ones too) there is an apostrophe, since users choose names and paths.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Final, TextIO

from lanman import codes
from lanman.errors import LanmanError
from lanman.faces.text import escape
from lanman.shown import cell

SCHEMA: Final = 1

EXIT_SUCCESS: Final = 0
EXIT_SYNTAX: Final = 1
EXIT_ERROR: Final = 2
EXIT_NOT_SO: Final = 3
"""The answer to the question is no: in use, not drained, problems found."""
EXIT_INCOMPLETE: Final = 4
"""Some servers did not answer, or a time was asked about of which not everything is known."""
EXIT_ACCESS_DENIED: Final = 5
EXIT_INTERRUPTED: Final = 130
EXIT_BROKEN_PIPE: Final = 141
"""What a shell reports of a program that SIGPIPE (13) ended."""


class StandardOutputError(Exception):
    """Standard output cannot be written: the reader has gone, the disk is full, the descriptor is closed."""


class Format(Enum):
    """How the answer is written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def emit(lines: Iterable[str]) -> None:
    """Write lines to standard output. Raises StandardOutputError."""
    write("".join(f"{line}\n" for line in lines))


def write(text: str) -> None:
    """Write to standard output at once. Raises StandardOutputError."""
    stream = sys.stdout
    if stream is None:
        # Python starts so when the descriptor is closed; print() would then say nothing at all.
        raise StandardOutputError("it is closed")
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError) as error:
        raise StandardOutputError(getattr(error, "strerror", None) or str(error)) from error


def complain(lines: Iterable[str]) -> None:
    """Write lines to standard error; a failure is ignored, since there is no other place to report it."""
    tell("".join(f"{line}\n" for line in lines))


def tell(text: str) -> None:
    """Write to standard error at once; a failure is ignored."""
    try:
        if sys.stderr is not None:
            sys.stderr.write(text)
            sys.stderr.flush()
    except (OSError, ValueError):
        return


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person is at the other end."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        # It has been closed.
        return False


def terminal_columns(stream: TextIO | None = None) -> int | None:
    """How many columns the terminal has at a stream, standard output; None where it is none, or does not say."""
    stream = stream or sys.stdout
    if stream is None or not is_terminal(stream):
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):
        return None


_NO_LANGUAGE: Final = frozenset({"C", "POSIX"})
# What Python sets LC_CTYPE to where the locale is C (PEP 538): it is no wish of anybody's.
_COERCED: Final = frozenset({"C.UTF-8", "C.utf8", "UTF-8"})


def can_write(text: str, stream: TextIO | None) -> bool:
    """Whether `stream` can take `text`: its encoding has the characters, and the locale is not C, of which Python
    writes UTF-8 all the same."""
    try:
        text.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    if sys.platform == "win32":
        return True
    language = os.environ.get("LANG") or "C"
    kind = os.environ.get("LC_CTYPE") or language
    if kind in _COERCED and language in _NO_LANGUAGE:
        kind = language
    return (os.environ.get("LC_ALL") or kind) not in _NO_LANGUAGE


# --- colour

BOLD: Final = "1"
RED: Final = "31"
YELLOW: Final = "33"


def coloured(text: str, style: str, stream: TextIO | None) -> str:
    """`text` in a style where `stream` is a terminal that can show it, unless NO_COLOR is set (no-color.org)."""
    if not text or os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb" or not is_terminal(stream):
        return text
    return f"\x1b[{style}m{text}\x1b[0m"


def heading(text: str) -> str:
    """A line of standard output that stands above others."""
    return coloured(text, BOLD, sys.stdout)


def success() -> None:
    """NET's success line, and the blank line behind it."""
    emit([codes.message_text(3500), ""])


def no_entries() -> None:
    """Print NET's line for an empty list, and the blank line behind it."""
    emit([codes.message_text(3683), ""])


# --- data


def fields(record: Any, first: str = "", *, only: bool = False) -> dict[str, Any]:
    """A record as a mapping for JSON: the names in `first` first, then all others in the record's own order. The node
    that it is of stands before them, and is left out where it is of none. `only` those in `first`, where so wanted."""
    names = [*first.split(), *(() if only else (field.name for field in dataclasses.fields(record)))]
    node = getattr(record, "node", None)
    of_node = {} if node is None else {"node": node}
    found = of_node | {name: _plain(getattr(record, name)) for name in dict.fromkeys(names) if name != "node"}
    if "ctdb_node" in found:
        # Schema 1 has it by this name; where a cluster's nodes are said, no session is of `--service samba`.
        found["node"] = found.pop("ctdb_node")
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (set, frozenset)):
        return sorted(_plain(item) for item in value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def emit_json(server: str | None, **parts: Any) -> None:
    """One object: the schema's number, the server's name, and `parts`."""
    import json

    document = {"schema": SCHEMA, **({} if server is None else {"server": server}), **parts}
    emit([json.dumps(document, indent=2)])


def emit_csv(records: Sequence[Mapping[str, Any]], header: Sequence[str]) -> None:
    """A header line, which stands even where nothing follows, and one line for each record (RFC 4180)."""
    columns = list(dict.fromkeys([*header, *(name for record in records for name in record)]))
    write(csv_text([dict(zip(columns, columns, strict=True)), *records], columns))


def csv_text(records: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """A line for each record, made safe as the top of this module says."""
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for record in records:
        writer.writerow([cell(record.get(name)) for name in columns])
    return text.getvalue()


# --- errors


def report(error: LanmanError) -> int:
    """Say on standard error what went wrong, in NET's words, and what to do about it; gives the exit status."""
    if codes.has_message_text(error.code):
        # One of NET's own: its insertions are in the error's message already.
        lines = [*error_lines(error.code, escape(error.message)), *([_alone(error.hint)] if error.hint else [])]
    elif error.code == codes.ERROR_DUP_NAME:
        # Windows' words for it are about names of computers alone; here it is any name or number that means several.
        lines = error_lines(error.code, escape(_sentence(error.with_hint)))
    else:
        lines = [*error_lines(error.code), *_more(error)]
    complain([coloured(lines[0], RED, sys.stderr), *lines[1:]])
    return EXIT_ACCESS_DENIED if error.code == codes.ERROR_ACCESS_DENIED else EXIT_ERROR


def error_lines(code: int, text: str | None = None) -> list[str]:
    """NET's report of a code. Codes from 2100 on are its own and need no number; HELPMSG explains them."""
    if codes.has_message_text(code) or 2100 <= code < 6000:
        own = text or (codes.message_text(code) if codes.has_message_text(code) else codes.win32_text(code))
        return [own, "", codes.message_text(3514, code), ""]
    return [codes.message_text(3502, code), "", text or codes.win32_text(code), ""]


def _more(error: LanmanError) -> list[str]:
    """The line that names the thing and the remedy; none when the error has nothing to add to NET's words."""
    general = codes.win32_text(error.code) if codes.has_win32_text(error.code) else ""
    if error.message == general:
        return [_alone(error.hint)] if error.hint else []
    if error.hint and general and error.message.endswith(f": {general}"):
        # NET's words stand above already: `\\\\pc9: ...` is what they are about.
        return [escape(f"{error.message.removesuffix(general)}{_sentence(error.hint)}")]
    return [escape(_sentence(error.with_hint))]


def _alone(hint: str) -> str:
    """A remedy that no name stands before."""
    return escape(_sentence(hint[:1].upper() + hint[1:]))


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def warn(text: str) -> None:
    """Write a warning to standard error, escaped; the command goes on, and its exit status stays."""
    complain([f"Warning: {escape(text)}"])


def note(text: str) -> None:
    """Write a sentence to standard error, escaped, about what was done and how; it is no error."""
    complain([f"Note: {escape(_sentence(text))}"])
