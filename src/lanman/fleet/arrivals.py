"""Outcomes on their way from whoever asks to the sweep that takes them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from lanman.errors import LanmanError
from lanman.fleet.values import FleetOutcome


class Arrivals:
    """What has come and was not taken yet. `failure` is why nothing more comes, once that is so."""

    def __init__(self) -> None:
        self.failure: LanmanError | None = None
        self._done: list[FleetOutcome] = []
        self._something = asyncio.Event()

    def came(self, outcomes: Iterable[FleetOutcome]) -> None:
        """Add some."""
        self._done += outcomes
        self._something.set()

    def fail(self, error: LanmanError) -> None:
        """Nobody asks any more; the first reason counts. What came before is given all the same."""
        self.failure = self.failure or error
        self._something.set()

    async def take(self) -> list[FleetOutcome]:
        """What has come since the last time; waits until something has. Raises `failure` once all was taken."""
        if self.failure is None:
            await self._something.wait()
        self._something.clear()
        if self.failure is not None and not self._done:
            raise self.failure
        done, self._done = self._done, []
        return done
