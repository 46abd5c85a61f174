"""How text from a peer is shown to people: what could drive or deceive a terminal is written as what it is.

And how a time is written for programs, and a duration by people.

Control characters could drive a terminal, bidirectional ones could make `gpj.exe` read as `exe.jpg`. A value that was
shown this way can be typed back as it was shown: filters know this form too.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

# C0 and C1 controls, DEL; the line and paragraph separators; marks without width, the bidirectional ones among them
# (UAX 9: ALM LRM RLM LRE RLE PDF LRO RLO LRI RLI FSI PDI); tag characters; halves of surrogate pairs, which UTF-16
# from the wire may hold and no output encoding can; and characters for private use, which stand for what a wire cannot
# say (`a*b.txt`) and have no shape, so that many names would look like one.
_UNSAFE: Final = (
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff\ue000-\uf8ff\U000f0000-\U0010ffff]"
)


def escape(text: str) -> str:
    """`text` with every character that could drive or deceive a terminal written as `\\x1b`, `\\u202e`."""
    return text if text.isascii() and text.isprintable() else _unsafe().sub(_as_escape, text)


@cache
def _unsafe() -> re.Pattern[str]:
    """Only compiled where there is something to look for: so large a set takes longer than all names of most lists."""
    return re.compile(_UNSAFE)


def _as_escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


# What begins a formula in a spreadsheet, full-width signs too: at the start of a cell, and behind what may be taken for
# the end of one, which depends on where the spreadsheet runs. Only compiled where CSV is written: it takes time.
_FORMULA: Final = "(^|[,;|])(\\s*)(?=[=+\\-@\uff1d\uff0b\uff0d\uff20])"


def cell(value: Any) -> str:
    """A value as a cell of comma-separated values for a spreadsheet: escaped, "" for None, `true` or `false`, and an
    apostrophe where a formula would begin, since users choose names and paths."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return cell(" ".join(str(item) for item in value))
    if not isinstance(value, str):
        return str(value)
    return re.sub(_FORMULA, r"\1\2'", escape(value))


def rfc3339(at: float | None, *, timespec: str = "seconds") -> str | None:
    """A time in seconds since 1970 as RFC 3339 has it, in UTC; None for none, or for one that no calendar has.

    `timespec` is how fine: "seconds" or "milliseconds".
    """
    from datetime import UTC, datetime

    if at is None:
        return None
    try:
        return datetime.fromtimestamp(at, UTC).isoformat(timespec=timespec).replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return None


def seconds_of(text: str) -> float | None:
    """The seconds of a duration as people write it: `1d2h30m5.5s`, any part of that, a number alone; None for what is
    none."""
    parts = re.fullmatch(
        r"(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9}(?:\.[0-9]{1,3})?)s?)?", text
    )
    if parts is None or not any(parts.groups()):
        return None
    return sum(float(part or 0) * unit for part, unit in zip(parts.groups(), (86400, 3600, 60, 1), strict=True))


def as_duration(seconds: float) -> str:
    """Whole seconds as `seconds_of` understands them, without parts that are none: `1d2h`, `15m`, `0s`."""
    left, parts = int(seconds), []
    for unit, letter in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        number, left = divmod(left, unit)
        if number:
            parts.append(f"{number}{letter}")
    return "".join(parts) or "0s"
