"""The C library's heap in a process that is a Server and nothing else (glibc; elsewhere nothing is done).

By default glibc returns what lies free at the end of its heap to the system as soon as that is more than a frame or
two of 8 MiB: transfers then spend more time on page faults than on encryption. So a little more is kept while there are
connections, and all of it is given back when there have been none for a moment, or a crowd of them has gone: what a
crowd has left lies between what is in use, and of that glibc gives nothing back by itself.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Final

# mallopt(3): bytes that may lie free at the end of the heap, and from which size on a block is mapped by itself.
_M_TRIM_THRESHOLD: Final = (-1, 32 * 1024 * 1024)
_M_MMAP_THRESHOLD: Final = (-3, 16 * 1024 * 1024)


def keep_freed() -> None:
    """Keep freed memory for the next frames. For the whole process, so it is for the program to call."""
    if (mallopt := _function("mallopt")) is not None:
        for parameter, value in (_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD):
            mallopt(parameter, value)


def give_back() -> None:
    """Return all that is free to the system."""
    if (malloc_trim := _function("malloc_trim")) is not None:
        malloc_trim(ctypes.c_size_t(0))


def _function(name: str) -> Callable[..., int] | None:
    """A function of the C library; None where it has none of that name."""
    try:
        found: Callable[..., int] | None = getattr(ctypes.CDLL(None), name, None)
    except (OSError, TypeError):  # Windows has no library of that kind
        return None
    return found
