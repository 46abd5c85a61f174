"""The files that this process has open, for tests that show that each is given back."""

from __future__ import annotations

import os
from contextlib import suppress


def open_files() -> set[tuple[str, str]]:
    """Their numbers, and where each leads; nothing where there is no /proc.

    Sockets and pipes are not among them, and compare with `<=`: what an earlier test has left behind may be closed at
    any time by the garbage collector, which makes a mere count go down.
    """
    found = set()
    for number in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else ():
        with suppress(FileNotFoundError):  # the one by which the folder was listed
            if (target := os.readlink(f"/proc/self/fd/{number}")).startswith("/"):
                found.add((number, target))
    return found
