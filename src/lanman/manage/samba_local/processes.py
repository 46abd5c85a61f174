"""When a process of this machine began: what tells it from another one that gets the same number later."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

PROCESSES: Path = Path("/proc")
"""Where the system tells of processes."""

# proc(5): the 22nd field, counted from the third, which stands behind the name of the program.
_STARTTIME: Final = 22 - 3


def beginning(pid: int) -> int | None:
    """When a process began, in the kernel's ticks since the machine did; None where it is gone, or none is told."""
    try:
        fields = (PROCESSES / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return int(fields[_STARTTIME]) if len(fields) > _STARTTIME and fields[_STARTTIME].isdigit() else None


def still_runs(pid: int, begun: int | None) -> bool:
    """Whether the process of that number that began then runs; where beginnings are not told, whether any does."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        # It is another user's.
        pass
    except (OSError, OverflowError):
        return False
    return beginning(pid) == begun
