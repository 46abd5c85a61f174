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
from dataclasses import field
from queue import Empty, SimpleQueue
from typing import Final

from lanman.plain import dataclass

THREADS: Final = 8
LANE_THREADS: Final = 4

# How long a thread without work stays, in seconds.
IDLE_FOR: Final = 10.0


@dataclass(slots=True, eq=False)
class Job:
    """Something to do in a thread. `work` must not raise. One that is `due` is done even when the pool is closing.
    `source` is whose it is, and `party` whom that works for: in a lane the parties take turns, and so do the sources of
    each, so that nobody waits for all of another's jobs, however many sources that one has."""

    lane: Hashable
    work: Callable[[], None]
    due: bool = False
    source: Hashable = None
    party: Hashable = None


@dataclass(slots=True, eq=False)
class _Lane:
    """Jobs by party and source; whose turn is next comes first in each."""

    parties: OrderedDict[Hashable, OrderedDict[Hashable, deque[Job]]] = field(default_factory=OrderedDict)
    waiting: int = 0
    busy: int = 0

    def put(self, job: Job) -> None:
        """Add a job behind the others of its source."""
        self.parties.setdefault(job.party, OrderedDict()).setdefault(job.source, deque()).append(job)
        self.waiting += 1

    def take(self) -> Job:
        """The next job; there is one."""
        party, sources = next(iter(self.parties.items()))
        source, jobs = next(iter(sources.items()))
        job = jobs.popleft()
        self.parties.move_to_end(party)
        sources.move_to_end(source)
        self._taken(job)
        return job

    def put_back(self, job: Job) -> None:
        """It has been taken, and could not be begun: it is the next again."""
        sources = self.parties.setdefault(job.party, OrderedDict())
        sources.setdefault(job.source, deque()).appendleft(job)
        sources.move_to_end(job.source, last=False)
        self.parties.move_to_end(job.party, last=False)
        self.waiting += 1
        self.busy -= 1

    def remove(self, job: Job) -> bool:
        """Whether it was waiting here."""
        sources = self.parties.get(job.party)
        jobs = sources.get(job.source) if sources is not None else None
        if jobs is None or job not in jobs:
            return False
        jobs.remove(job)
        self._taken(job)
        return True

    def keep_due(self) -> None:
        """Forget all that are not due."""
        due = [job for sources in self.parties.values() for jobs in sources.values() for job in jobs if job.due]
        self.parties.clear()
        self.waiting = 0
        for job in due:
            self.put(job)

    def _taken(self, job: Job) -> None:
        self.waiting -= 1
        sources = self.parties[job.party]
        if not sources[job.source]:
            del sources[job.source]
            if not sources:
                del self.parties[job.party]


class Pool:
    """Does jobs, those of one source in a lane in their order as far as several threads keep one.

    A job is given to a thread that waits, the one that has worked last, by a queue of that thread's own: what wakes a
    thread is half of what a small job costs.
    """

    def __init__(self, threads: int = THREADS, lane_threads: int = LANE_THREADS) -> None:
        self._limit = threads
        self._lane_limit = lane_threads
        self._lanes: OrderedDict[Hashable, _Lane] = OrderedDict()
        self._threads = 0
        self._idle: list[SimpleQueue[Job | None]] = []  # of the threads that wait, the one that has worked last is last
        self._closed = False
        self._lock = threading.Lock()

    def submit(self, job: Job) -> None:
        """Have a job done. After `close` only one that is `due`."""
        with self._lock:
            if self._closed and not job.due:
                return
            if self._idle and not self._lanes:  # nobody else wants a thread, as most often
                self._lanes[job.lane] = _Lane(busy=1)
                self._idle.pop().put(job)
                return
            if job.lane not in self._lanes:
                self._lanes[job.lane] = _Lane()
            self._lanes[job.lane].put(job)
            if self._idle:
                if (taken := self._take()) is not None:
                    self._idle.pop().put(taken)
                return
            taken = self._take(one_more=True)
            if taken is None or self._begin_thread(taken):
                return
            if self._threads:  # one of them will take it, or a thread that the next job gets
                self._lanes[taken.lane].put_back(taken)
                return
            self._threads += 1
        # The system has no thread for this process: better here than never.
        queue: SimpleQueue[Job | None] = SimpleQueue()
        queue.put(taken)
        self._run(queue, stays=False)

    def _begin_thread(self, job: Job) -> bool:
        """A new thread, for a job that has been taken; False if the system has none."""
        queue: SimpleQueue[Job | None] = SimpleQueue()
        queue.put(job)
        try:
            threading.Thread(target=self._run, args=(queue,), name="lanman-disk", daemon=True).start()
        except RuntimeError:
            return False
        self._threads += 1
        return True

    def cancel(self, job: Job) -> bool:
        """Take a job back. Whether that was still possible."""
        with self._lock:
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
        with self._lock:
            self._closed = True
            for lane in self._lanes.values():
                lane.keep_due()
            for queue in self._idle:
                queue.put(None)
            self._threads -= len(self._idle)
            self._idle.clear()

    def _run(self, queue: SimpleQueue[Job | None], *, stays: bool = True) -> None:
        job = queue.get()
        while job is not None:
            try:
                job.work()
            finally:
                with self._lock:
                    lane = self._lanes[job.lane]
                    lane.busy -= 1
                    self._tidy(job.lane, lane)
                    job = self._take()  # whatever the one before holds is not to wait for the next one
                    waits = job is None and stays and not self._closed and self._threads <= self._limit
                    if waits:
                        self._idle.append(queue)
                    elif job is None:
                        self._threads -= 1
            if waits:
                job = self._wait(queue)

    def _wait(self, queue: SimpleQueue[Job | None]) -> Job | None:
        """The next job for this thread, once there is one; None: the thread is to end."""
        try:
            return queue.get(timeout=IDLE_FOR)
        except Empty:
            with self._lock:
                if queue in self._idle:
                    self._idle.remove(queue)
                    self._threads -= 1
                    return None
        return queue.get()  # it has been given one in that instant

    def _take(self, *, one_more: bool = False) -> Job | None:
        """A job of a lane that has nothing under way, or else of any that may have one more under way; it is under way
        from now on. `one_more`: for a thread that would be one more."""
        above = self._threads + one_more > self._limit
        for limit in (1,) if above else (1, self._lane_limit):
            for key, lane in self._lanes.items():
                if lane.waiting and lane.busy < limit:
                    self._lanes.move_to_end(key)  # the other lanes' turn comes first
                    lane.busy += 1
                    return lane.take()
        return None

    def _tidy(self, key: Hashable, lane: _Lane) -> None:
        if not lane.waiting and not lane.busy:
            self._lanes.pop(key, None)
