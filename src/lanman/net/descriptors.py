"""How many descriptors this process may have, and so how many connections.

Each connection takes one, and so does each file that is open. Half of them are for connections; some are kept for the
control socket, the log and the account file, so that an administrator gets in and on when the rest are used up.
"""

from __future__ import annotations

from typing import Final

from lanman.plain import dataclass

RESERVE: Final = 64

# As many as are asked for where the system lets a process have more; connections beyond it ask for more themselves.
WANTED: Final = 65536


@dataclass(frozen=True, slots=True)
class Descriptors:
    """`limit` is the number of descriptors, `connections` how many connections fit."""

    limit: int
    connections: int

    @property
    def scarce_from(self) -> int:
        """Descriptors are numbered from the lowest free number on: one with this number says that few are left."""
        return self.limit - min(RESERVE, self.limit // 8)


def fit(connections: int) -> Descriptors:
    """Raise this process's limit as far as it may and need be, and see how many of `connections` fit."""
    limit = raise_limit(max(WANTED, 2 * connections + RESERVE))
    return Descriptors(limit, max(1, min(connections, (limit - min(RESERVE, limit // 8)) // 2)))


def raise_limit(wanted: int) -> int:
    """Raise this process's limit to `wanted` descriptors, or as far as it may; gives what it is then."""
    import resource  # Windows has no such module, and no Server of ours: see disk.system.check_platform

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if hard != unlimited:
        wanted = min(wanted, hard)
    if soft != unlimited and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (OSError, ValueError):
            pass  # macOS has a lower limit of its own; what there is has to do
    return wanted if soft == unlimited else soft
