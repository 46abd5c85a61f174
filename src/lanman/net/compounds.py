"""Which servers take related requests in one frame, as this process has found out.

A hint and no more: whoever is not known here is sent a compound first, and one that is asked in single steps is only
asked more slowly. The least recently used are forgotten.

What was found out does not hold for ever: behind an address and a port there may be another server tomorrow (a tunnel,
a cluster's address, an update), and a connection that was lost may have been lost for another reason. A compound is
tried again after a minute, and after twice as long each time that it is refused again, up to a day.
"""

from __future__ import annotations

from typing import Final

# Bounds the memory of a process that asks very many servers, should all of them refuse.
MAX_KNOWN: Final = 4096


# Seconds after which a compound is tried again: first, and at most.
FIRST_AGAIN: Final = 60.0
LAST_AGAIN: Final = 86400.0


class Compounds:
    """The servers that refuse compounds, by address and port: the nodes of a cluster are servers of their own.

    `now` is a clock's time in seconds that never goes back.
    """

    def __init__(self) -> None:
        # When a compound is tried again, and for how long it was not to be.
        self._refused: dict[tuple[str, int], tuple[float, float]] = {}

    def refuses(self, address: str, port: int, now: float) -> bool:
        """Whether a server is known to refuse them, and has not refused one long ago."""
        key = (address, port)
        if key not in self._refused:
            return False
        self._refused[key] = known = self._refused.pop(key)  # used last
        return now < known[0]

    def refused(self, address: str, port: int, now: float) -> None:
        """Remember a server that has refused one."""
        again, pause = self._refused.pop((address, port), (0.0, 0.0))
        if now >= again:  # not one that was on its way together with the one that is known
            pause = min(2 * pause or FIRST_AGAIN, LAST_AGAIN)
            again = now + pause
        self._refused[address, port] = (again, pause)
        if len(self._refused) > MAX_KNOWN:
            del self._refused[next(iter(self._refused))]

    def taken(self, address: str, port: int) -> None:
        """A server has taken one."""
        self._refused.pop((address, port), None)


KNOWN: Final = Compounds()
"""What this process knows."""
