"""Which lines of a log are written when very many want to be. Pure: `now` is an argument.

Of each kind, and for each peer, `burst` lines are written in PERIOD seconds. What was left out is counted and told
when the period is over. At most KEYS peers are told apart; of all others together there is one line of each kind. So
a flood from however many addresses writes a bounded number of lines a minute, and still says that it was there.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from lanman.plain import dataclass

PERIOD: Final = 60.0
KEYS: Final = 256

OTHERS: Final = "other addresses"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """So many lines of a kind about a peer were not written, since the first that was."""

    kind: str
    peer: str
    count: int


@dataclass(slots=True)
class _Line:
    began: float
    written: int = 0
    left_out: int = 0


class Quiet:
    """Decides line by line."""

    def __init__(self) -> None:
        self._lines: OrderedDict[tuple[str, str], _Line] = OrderedDict()  # by `began`

    def allows(self, kind: str, peer: str, now: float, *, burst: int = 1) -> bool:
        """Whether a line is to be written. Take `over` before, or its count is not told until the next time."""
        key = kind, peer
        line = self._lines.get(key)
        if line is None:
            if len(self._lines) >= KEYS and peer != OTHERS:
                return self.allows(kind, OTHERS, now, burst=burst)
            line = self._lines[key] = _Line(now)
        if line.written < burst:
            line.written += 1
            return True
        line.left_out += 1
        return False

    def over(self, now: float) -> list[LeftOut]:
        """What was left out in the periods that are over. Asking forgets them."""
        told = []
        while self._lines:
            (kind, peer), line = next(iter(self._lines.items()))
            if now - line.began < PERIOD:
                break
            del self._lines[kind, peer]
            if line.left_out:
                told.append(LeftOut(kind, peer, line.left_out))
        return told

    def next_deadline(self) -> float | None:
        """When `over` has something to tell, at the earliest."""
        line = next(iter(self._lines.values()), None)
        return None if line is None else line.began + PERIOD
