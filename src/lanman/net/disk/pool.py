"""A few threads for what may take long, in lanes that cannot block each other.

Each share has a lane and the accounts have one. A lane keeps no more than `LANE_THREADS` threads busy, and there are
`THREADS` in all; but a lane of which nothing is under way always gets a thread, if need be one more. So a disk that
hangs holds up its own share, and a log-on never waits for a share.

The threads are daemons: one that hangs in the kernel does not keep the process from ending.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final

THREADS: Final = 8
LANE_THREADS: Final = 4

# How long a thread without work stays, in seconds.
IDLE_FOR: Final = 10.0


@dataclass(slots=True, eq=False)
class Job:
    """Something to do in a thread. `work` must not raise. One that is `due` is done even when the pool is closing.
    `source` is whose it is: in a lane the sources take turns, so that no source waits for all of another's jobs."""

    lane: Hashable
    work: Callable[[], None]
    due: bool = False
    source: Hashable = None


@dataclass(slots=True, eq=False)
class _Lane:
    sources: OrderedDict[Hashable, deque[Job]] = field(default_factory=OrderedDict)  # whose turn is next comes first
    waiting: int = 0
    busy: int = 0

    def put(self, job: Job) -> None:
        """Add a job behind the others of its source."""
        self.sources.setdefault(job.source, deque()).append(job)
        self.waiting += 1

    def take(self) -> Job:
        """The next job; there is one."""
        source, jobs = next(iter(self.sources.items()))
        job = jobs.popleft()
        self.sources.move_to_end(source)
        self._taken(source)
        return job

    def remove(self, job: Job) -> bool:
        """Whether it was waiting here."""
        jobs = self.sources.get(job.source)
        if jobs is None or job not in jobs:
            return False
        jobs.remove(job)
        self._taken(job.source)
        return True

    def keep_due(self) -> None:
        """Forget all that are not due."""
        due = [job for jobs in self.sources.values() for job in jobs if job.due]
        self.sources.clear()
        self.waiting = 0
        for job in due:
            self.put(job)

    def _taken(self, source: Hashable) -> None:
        self.waiting -= 1
        if not self.sources[source]:
            del self.sources[source]


class Pool:
    """Does jobs, those of one source in a lane in their order as far as several threads keep one."""

    def __init__(self, threads: int = THREADS, lane_threads: int = LANE_THREADS) -> None:
        self._limit = threads
        self._lane_limit = lane_threads
        self._lanes: OrderedDict[Hashable, _Lane] = OrderedDict()
        self._threads = 0
        self._idle = 0
        self._closed = False
        self._work = threading.Condition()

    def submit(self, job: Job) -> None:
        """Have a job done. After `close` only one that is `due`."""
        with self._work:
            if self._closed and not job.due:
                return
            self._lanes.setdefault(job.lane, _Lane()).put(job)
            lanes = self._lanes.values()
            runnable = sum(min(lane.waiting, self._lane_limit - lane.busy) for lane in lanes)
            starved = sum(not lane.busy for lane in lanes)  # a lane that is kept has work
            self._work.notify()
            if self._idle < starved or (self._idle < runnable and self._threads < self._limit):
                self._threads += 1
                self._idle += 1  # until it takes its first job
                threading.Thread(target=self._run, name="lanman-disk", daemon=True).start()

    def cancel(self, job: Job) -> bool:
        """Take a job back. Whether that was still possible."""
        with self._work:
            lane = self._lanes.get(job.lane)
            if lane is None or not lane.remove(job):
                return False
            self._tidy(job.lane, lane)
            return True

    def waiting(self, lane: Hashable) -> int:
        """How many jobs of a lane have not begun."""
        found = self._lanes.get(lane)
        return found.waiting if found is not None else 0

    def close(self) -> None:
        """Take no more jobs, and forget those that have not begun but for the ones that are due."""
        with self._work:
            self._closed = True
            for lane in self._lanes.values():
                lane.keep_due()
            self._work.notify_all()

    def _run(self) -> None:
        with self._work:
            while (job := self._next()) is not None:
                lane = self._lanes[job.lane]
                lane.busy += 1
                self._idle -= 1
                self._work.release()
                try:
                    job.work()
                finally:
                    self._work.acquire()
                    self._idle += 1
                    lane.busy -= 1
                    self._tidy(job.lane, lane)
                    del job  # whatever it holds is not to wait for the next one
            self._threads -= 1
            self._idle -= 1

    def _next(self) -> Job | None:
        """The next job for this thread, once there is one; None: the thread is to end."""
        waited = True
        while True:
            if (job := self._take()) is not None:
                return job
            if self._closed or not waited or self._threads > self._limit:
                return None
            waited = self._work.wait(IDLE_FOR)

    def _take(self) -> Job | None:
        """A job of a lane that has nothing under way, or else of any that may have one more under way."""
        allowed = [1] if self._threads > self._limit else [1, self._lane_limit]
        for limit in allowed:
            for key, lane in self._lanes.items():
                if lane.waiting and lane.busy < limit:
                    self._lanes.move_to_end(key)  # the other lanes' turn comes first
                    return lane.take()
        return None

    def _tidy(self, key: Hashable, lane: _Lane) -> None:
        if not lane.waiting and not lane.busy:
            self._lanes.pop(key, None)
