"""An event loop whose clock stands still while there is something to do, and jumps to the next timer when there is not.

What waits for hours is tested in no time, and gives the same times in every run. It is for what does no real I/O: while
that is waited for, the clock jumps too.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualClock:
    """The clocks of `run`: the loop's own, which begins at 1000, and a wall clock, which can be `set`."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.offset = 1_700_000_000.0

    def wall(self) -> float:
        """Seconds since 1970."""
        return self.now + self.offset

    def set(self, seconds: float) -> None:
        """The wall clock is set so many seconds later."""
        self.offset += seconds


class _Selector(selectors.SelectSelector):
    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        found = super().select(0)
        if not found:
            self._clock.now += timeout
        return found


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(_Selector(clock))
        self._clock = clock

    def time(self) -> float:
        return self._clock.now


def run(test: Callable[[VirtualClock], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine function, which is given the clock, in a loop of virtual time."""
    clock = VirtualClock()
    with asyncio.Runner(loop_factory=lambda: _Loop(clock)) as runner:
        return runner.run(test(clock))
