"""The hub: one poll of a server for all who may see the same of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lanman.faces.web.people import Person


class Hub:
    """Asks servers `every` so many seconds, for whoever joins."""

    def __init__(self, every: float, timeout: float) -> None:
        self.every = every
        self.timeout = timeout

    def leave(self, person: Person) -> None:
        """End what runs for a person who has logged off."""

    async def close(self) -> None:
        """End all streams and disconnect. May be called twice."""
