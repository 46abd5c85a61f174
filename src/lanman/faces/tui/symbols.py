"""What a terminal can show: symbols, or ASCII in their place, and text from a peer made safe for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, TextIO

from lanman.faces.tui.listing import Direction
from lanman.plain import dataclass
from lanman.shown import escape

_SYMBOLS: Final = "\u2212\u25b2\u25bc\u2502"


@dataclass(frozen=True, slots=True)
class Symbols:
    """What can be shown. `encoding` is the terminal's; `ascii` means that symbols would not be understood."""

    encoding: str = "utf-8"
    ascii: bool = False

    @classmethod
    def of(cls, stream: TextIO | None, environment: Mapping[str, str] = os.environ) -> Symbols:
        """What the terminal at `stream` can show: neither more than its encoding has, nor than its locale says.

        In the C locale Python writes UTF-8 whatever the terminal is (PEP 538), so the locale is asked too.
        """
        encoding = getattr(stream, "encoding", None) or "ascii"
        try:
            _SYMBOLS.encode(encoding)
        except (UnicodeError, LookupError):
            return cls("ascii" if encoding.lower().startswith("utf") else encoding, True)
        said = environment.get("LC_ALL") or environment.get("LC_CTYPE") or environment.get("LANG") or "C"
        coerced = said in ("C.UTF-8", "C.utf8", "UTF-8") and not environment.get("LC_ALL")
        if said in ("C", "POSIX") or (coerced and environment.get("LANG", "C") in ("", "C", "POSIX")):
            return cls("ascii", True)
        return cls(encoding, False)

    def shown(self, text: str) -> str:
        """A text from a peer as it can be shown: controls, and what the encoding lacks, as escapes."""
        text = escape(text)
        if text.isascii() or self.encoding.startswith("utf"):
            return text
        return text.encode(self.encoding, "backslashreplace").decode(self.encoding)

    @property
    def minus(self) -> str:
        """The sign before what has become less."""
        return "-" if self.ascii else "\u2212"

    def direction(self, direction: Direction) -> str:
        """How a column is sorted."""
        signs = ("", "^", "v") if self.ascii else ("", "\u25b2", "\u25bc")
        return signs[direction.value]
