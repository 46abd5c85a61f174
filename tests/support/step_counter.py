"""How much work something is: the bytecode instructions that it executes in Python, which are the same on any machine.

What one call of C does counts as one; where that could be long, look at what the call is given.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def steps(work: Callable[[], object]) -> int:
    """The instructions that `work` takes."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event == "opcode":
            count += 1
        return trace

    before, collecting = sys.gettrace(), gc.isenabled()
    gc.disable()  # what others have left behind is no part of it
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
        if collecting:
            gc.enable()
    return count


def growth(work: Callable[[int], Callable[[], object]], few: int, many: int) -> float:
    """How much more work each of `many` is than each of `few`: 1 where it grows with the number, no faster.

    `work(number)` prepares, and what it gives is measured.
    """
    return steps(work(many)) / many / (steps(work(few)) / few)
