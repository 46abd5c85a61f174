"""How many connections a process may have at a time."""

from __future__ import annotations

import sys
from typing import Final

# What a process needs beside its connections: pipes, the resolver's sockets, a database.
_RESERVE: Final = 64
_MOST: Final = 65536


def raise_open_files() -> int | None:
    """Let this process have as many open files as it may, up to 65536; how many connections that allows, None where
    the system counts otherwise."""
    if sys.platform == "win32":
        return None
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else min(_MOST, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return None if soft == resource.RLIM_INFINITY else max(1, soft - _RESERVE)
