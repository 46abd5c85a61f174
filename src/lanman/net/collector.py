"""Python's cyclic collector in a process that is a Server and nothing else.

By default it looks at every object of the process again and again, in the midst of whatever is done: 25 ms for the
modules alone, and in proportion to what clients have open and locked on top. Nothing on the way of a connection needs
it: all of that is freed when the connection is.
"""

from __future__ import annotations

import gc
import threading
from types import TracebackType
from typing import Final

# gc.set_threshold: objects that are new before they are looked at; how often that happens before those that outlived it
# are looked at once more; and how often that happens before all are.
_THRESHOLDS: Final = (3000, 5, 200)


def keep_pauses_short() -> None:
    """Have the collector never look again at what there is now, and seldom at all of the rest. For the whole process,
    so it is for the program to call, once it has started."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)


class _ShortPauses:
    """The same for as long as somebody is within, in whatever threads: for what runs in a process of others, which has
    its own ways back afterwards."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._within = 0
        self._before = gc.get_threshold()

    def __enter__(self) -> None:
        with self._lock:
            self._within += 1
            if self._within == 1:
                self._before = gc.get_threshold()
                gc.freeze()
                gc.set_threshold(*_THRESHOLDS)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._within -= 1
            if not self._within:
                gc.set_threshold(*self._before)
                gc.unfreeze()


SHORT_PAUSES: Final = _ShortPauses()
