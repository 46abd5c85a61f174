"""Log lines that a peer can cause at will: a few, and then how many there were."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

MOST: Final = 20
WINDOW: Final = 60.0


class Seldom:
    """Writes `MOST` lines of a kind in `WINDOW` seconds; the next one after that says how many were left out."""

    def __init__(self, log: logging.Logger, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._since = clock()
        self._written = 0
        self._left_out = 0

    def say(self, line: str, *parts: object) -> None:
        """Write a line, if there were not too many of late."""
        now = self._clock()
        if now - self._since >= WINDOW:
            if self._left_out:
                self._log.warning("%d more requests were refused", self._left_out)
            self._since, self._written, self._left_out = now, 0, 0
        if self._written >= MOST:
            self._left_out += 1
            return
        self._written += 1
        self._log.warning(line, *parts)
