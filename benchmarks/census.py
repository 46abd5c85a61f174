"""`lanman`, which says on demand what its memory holds: for `session_memory.py --census`.

    python census.py FILE ARGUMENT...

is `lanman ARGUMENT...`. The first SIGUSR1 has it look; each one after that has it write to FILE what has come since:
the bytes that are allocated, by the line that has allocated them (tracemalloc), and the objects, by type. Of these all
are counted that can hold others; strings, numbers and bytes are in the lines alone. FILE appears whole.
"""

from __future__ import annotations

import gc
import json
import linecache
import os
import signal
import sys
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

Counts = dict[str, tuple[int, int]]


def objects() -> Counts:
    """How many there are of each type, and their bytes."""
    gc.collect()
    number: Counter[str] = Counter()
    size: Counter[str] = Counter()
    for each in gc.get_objects():
        name = f"{type(each).__module__}.{type(each).__qualname__}".removeprefix("builtins.")
        number[name] += 1
        size[name] += sys.getsizeof(each)
    return {name: (number[name], size[name]) for name in number}


class Census:
    """What was there at the last look."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lines: tracemalloc.Snapshot | None = None
        self._types: Counts = {}

    def look(self, *_: Any) -> None:
        """Write what has come since the last look."""
        types = objects()
        if self._lines is None:
            tracemalloc.start()
        lines = tracemalloc.take_snapshot()
        found: dict[str, Any] = {"bytes": 0, "lines": [], "types": []}
        if self._lines is not None:
            for difference in lines.compare_to(self._lines, "lineno"):
                frame = difference.traceback[0]
                if frame.filename != tracemalloc.__file__:
                    found["bytes"] += difference.size_diff
                    text = linecache.getline(frame.filename, frame.lineno).strip()
                    where = f"{frame.filename.rpartition('/lanman/')[2]}:{frame.lineno}"
                    found["lines"].append((difference.size_diff, difference.count_diff, where, text))
            for name, (number, size) in types.items():
                number_before, size_before = self._types.get(name, (0, 0))
                found["types"].append((size - size_before, number - number_before, name))
        self._lines, self._types = lines, types
        partial = self._file.with_suffix(".partial")
        partial.write_text(json.dumps(found))
        os.replace(partial, self._file)


def main() -> None:
    census = Census(Path(sys.argv.pop(1)))
    signal.signal(signal.SIGUSR1, census.look)
    from lanman.__main__ import main as lanman

    lanman()


if __name__ == "__main__":
    main()
