"""Verbs that serve until they are told to end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable


def end_on_signals(end: Callable[[], object]) -> list[int]:
    """Have Ctrl-C and SIGTERM call `end`. What is given has the numbers of the signals that came; on Windows, where the
    signal ends the process, it stays empty."""
    told: list[int] = []

    def tell(number: int) -> None:
        told.append(number)
        end()

    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(number, tell, number)
    return told
