"""What policies have ended, as the history's database tells it: a counter that goes on from look to look.

- The database is opened for each look and let go of after it. One that is not there yet, or cannot be read, is tried
  again at the next look; what was counted until then stays.
- A deed is counted when it is `SETTLED` seconds old, so that none is missed which another process has just noted.
- There are at most `MAX_POLICIES` policies; those with the fewest deeds beyond them are one, `OTHERS`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from lanman.errors import LanmanError, TimedOut
from lanman.manage.metrics import table
from lanman.manage.metrics.figures import label
from lanman.manage.metrics.table import MAX_POLICIES, OTHERS
from lanman.shown import escape

if TYPE_CHECKING:
    from lanman.manage.metrics.watched import Sample

log: Final = logging.getLogger("lanman.metrics")

SETTLED: Final = 5
"""How old a deed is before it is counted, in seconds."""


class Ended:
    """What policies have ended since the database begins, `database` being as `lanman.manage.history.open_store` has
    it. A look ends within `timeout` seconds."""

    def __init__(self, database: str, timeout: float, wall_clock: Callable[[], float]) -> None:
        self._database = database
        self._timeout = timeout
        self._wall_clock = wall_clock
        self._counted: Counter[tuple[str, str]] = Counter()
        self._until = -1
        self.error: LanmanError | None = None
        """Why the last look failed; None where it did not."""
        self.looked = asyncio.Event()

    async def run(self, every: float) -> None:
        """Look again and again; until it is cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(every)

    async def look(self) -> None:
        """Count what has come."""
        from lanman.manage.history.opening import open_store
        from lanman.manage.policies.kept import counted

        until = int(self._wall_clock()) - SETTLED
        before, self.error = self.error, None
        try:
            async with asyncio.timeout(self._timeout):
                if until > self._until:
                    async with open_store(self._database, make=False) as store:
                        self._counted += await counted(store, self._until + 1, until)
                        self._until = until
        except TimeoutError:
            self.error = TimedOut("the database does not answer")
        except LanmanError as error:
            self.error = error
        if self.error is not None and (before is None or before.message != self.error.message):
            log.warning("what policies have ended is not known: %s", escape(self.error.with_hint))
        self.looked.set()

    def samples(self) -> Iterator[Sample]:
        """The series: for each policy and outcome, how many."""
        totals: Counter[str] = Counter()
        for (policy, _), number in self._counted.items():
            totals[policy] += number
        first = sorted(totals, key=lambda policy: (-totals[policy], policy))[:MAX_POLICIES]
        shown: Counter[tuple[str, str]] = Counter()
        for (policy, outcome), number in self._counted.items():
            shown[label(policy) if policy in first else OTHERS, label(outcome)] += number
        for labels, number in sorted(shown.items()):
            yield table.POLICY_ENDED, labels, number
