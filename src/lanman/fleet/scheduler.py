"""Where visits are made: the joint between a sweep and whoever asks its servers.

A Scheduler gets jobs and gives back outcomes, all of them plain values. What was asked, what it may cost an account
and what is kept of it is not its business: the sweep has the targets, the Guard and the store. `InProcess` asks in the
event loop of the sweep; `lanman.fleet.processes` asks in processes of this machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from lanman import codes
from lanman.fleet.arrivals import Arrivals
from lanman.fleet.guard import GuardGate
from lanman.fleet.values import FleetOutcome, Job, Question, Result
from lanman.fleet.visit import Opener, Visitor
from lanman.manage.open import open_manager
from lanman.net.credentials import Credentials


class Scheduler(Protocol):
    """What asks the targets of a sweep. Its rules:

    - Every job that is given comes back as exactly one outcome, whatever dies meanwhile.
    - `give` returns at once. The sweep gives no more than it was told may be in flight.
    - Log-ons go through the gate that `start` is given (`lanman.fleet.guard`), or through allowances of its Guard.
    """

    @property
    def processes(self) -> int:
        """How many processes of this machine connect to servers; 0 where others do."""

    @property
    def room(self) -> int | None:
        """How many targets in flight keep it busy, known when it was started; None where it is the same to it."""

    @property
    def hanging(self) -> Mapping[str, int]:
        """How many threads of which workers hang, so that they ask nobody until that worker is started again; after
        `close` those that hung when it was closed."""

    async def start(self, question: Question, credentials: Mapping[str, Credentials], gate: GuardGate) -> None:
        """Get ready. Raises LanmanError where that is not possible."""

    def give(self, jobs: Sequence[Job]) -> None:
        """Ask these."""

    async def take(self) -> list[FleetOutcome]:
        """What has come since the last time; waits until something has. Raises LanmanError where nobody asks any
        more."""

    def cancel(self) -> None:
        """Have what is in flight end at once, as `cancelled`; its outcomes still come, and soon."""

    async def close(self) -> None:
        """Let go of everything; nothing comes any more."""


class InProcess:
    """Asks in the event loop of the sweep: for few targets, and for tests."""

    processes = 1
    room = None
    hanging: Mapping[str, int] = MappingProxyType({})

    def __init__(self, *, opener: Opener = open_manager) -> None:
        self._opener = opener
        self._visitor: Visitor | None = None
        self._tasks: dict[asyncio.Task[FleetOutcome], Job] = {}
        self._arrivals = Arrivals()

    async def start(self, question: Question, credentials: Mapping[str, Credentials], gate: GuardGate) -> None:
        """See `Scheduler.start`."""
        self._visitor = Visitor(question, credentials, gate, worker="0", opener=self._opener)

    def give(self, jobs: Sequence[Job]) -> None:
        """See `Scheduler.give`."""
        for job in jobs:
            assert self._visitor is not None
            task = asyncio.create_task(self._visitor.visit(job))
            self._tasks[task] = job
            task.add_done_callback(self._ended)

    async def take(self) -> list[FleetOutcome]:
        """See `Scheduler.take`."""
        return await self._arrivals.take()

    def cancel(self) -> None:
        """See `Scheduler.cancel`."""
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """See `Scheduler.close`."""
        tasks = list(self._tasks)
        self.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[FleetOutcome]) -> None:
        """One is through, or was cancelled: maybe before its first step, so that it could say nothing itself."""
        job = self._tasks.pop(task)
        self._arrivals.came([cancelled(job, "0") if task.cancelled() else task.result()])


def cancelled(job: Job, worker: str | None = None) -> FleetOutcome:
    """The outcome of a job that was stopped."""
    return FleetOutcome(
        job.target,
        Result.CANCELLED,
        code=codes.ERROR_OPERATION_ABORTED,
        error="the sweep was stopped",
        hint="--resume asks it",
        attempt=job.attempt,
        credential=job.credential,
        worker=worker,
    )
