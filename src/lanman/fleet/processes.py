"""Asks in processes of this machine, each with an event loop of its own.

Rules:

  - A process gets its jobs, and the credentials for them, over its standard input, and hands back outcomes. It keeps
    nothing: the sweep has the targets, the Guard and the store.
  - When one dies, another takes its place, and what it had is asked again. What was lost twice goes, together, to a
    process that has nothing else; when that dies too, in two halves one after the other, until it is known which server
    it is that kills processes. That one has an outcome, and takes no other with it.
  - Log-ons that a dead process had under way may have been sent: the Guard counts them so.
  - Processes that die one after the other without ever handing back anything are the end of the sweep.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from lanman import codes
from lanman.errors import LanmanError
from lanman.fleet.arrivals import Arrivals
from lanman.fleet.frames import Frames, packed
from lanman.fleet.guard import CredentialStopped, GuardGate, Proof, State
from lanman.fleet.scheduler import cancelled
from lanman.fleet.values import FleetOutcome, Job, Question, Result
from lanman.net.child import environment, module_command
from lanman.net.credentials import Credentials

WORKER: Final = "lanman.fleet.worker"
MAX_LOSSES: Final = 3
MAX_DEATHS: Final = 8
"""Deaths in a row, without an outcome between them, after which no process is started any more."""

MAX_STILLBORN: Final = 4
"""The same for those that never came to be ready."""

_CHUNK: Final = 1 << 18
_TO_END: Final = 1.0
_LAST_WORDS: Final = 2000


class _Process:
    """One process: its pipes, the jobs that it has, and the log-ons that it owes an answer for."""

    def __init__(self, name: str, command: Sequence[str], owner: Processes, *, alone: bool = False) -> None:
        self.name, self.alone = name, alone
        self.jobs: dict[str, Job] = {}
        self.owed: Counter[str] = Counter()
        self.is_ready = self.is_over = False
        self.last_words = b""
        self._command, self._owner = command, owner
        self._child: asyncio.subprocess.Process | None = None
        self._unsent: list[bytes] = []
        self._asking: dict[int, asyncio.Task[None]] = {}
        self._granted: dict[int, str] = {}

    @property
    def pid(self) -> int | None:
        """The number of the process."""
        return None if self._child is None else self._child.pid

    def send(self, *words: Any) -> None:
        """Send a frame, now or when the process has been started."""
        frame = packed(*words)
        if self._child is None:
            self._unsent.append(frame)
        elif not self.is_over and self._child.stdin is not None and not self._child.stdin.is_closing():
            self._child.stdin.write(frame)

    async def run(self) -> None:
        """Start the process and hear what it says, until it ends."""
        own_group: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            own_group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        self._child = child = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env=environment(),
            limit=_CHUNK,
            **own_group,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.writelines(self._unsent)
        self._unsent.clear()
        words = asyncio.create_task(self._hear_last_words())
        try:
            frames = Frames()
            while data := await child.stdout.read(_CHUNK):
                for frame in frames.receive(data):
                    self._handle(frame)
        finally:
            self.is_over = True
            for task in self._asking.values():
                task.cancel()
            # It ends when its input does. Only one that does not is killed: that asks for its end beside whoever waits.
            child.stdin.close()
            try:
                async with asyncio.timeout(_TO_END):
                    await asyncio.gather(child.wait(), words)
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
                await child.wait()

    async def _hear_last_words(self) -> None:
        assert self._child is not None
        assert self._child.stderr is not None
        while data := await self._child.stderr.read(4096):
            self.last_words = (self.last_words + data)[-_LAST_WORDS:]

    def _handle(self, words: tuple[Any, ...]) -> None:
        what, *rest = words
        if what == "outcomes":
            for outcome in rest[0]:
                self.jobs.pop(outcome.target.key, None)
            self._owner.came(rest[0])
        elif what == "admit":
            number, name = rest
            task = self._asking[number] = asyncio.create_task(self._admit(number, name))
            task.add_done_callback(lambda _: self._asking.pop(number, None))
        elif what == "withdraw":
            self._withdraw(rest[0])
        elif what == "settle":
            name, proof, counted = rest
            self.owed[name] -= counted
            self._owner.gate.settle(name, proof, counted=counted)
        elif what == "ready":
            self.is_ready = True
            self._owner.stillborn = 0

    async def _admit(self, number: int, name: str) -> None:
        try:
            counted = await self._owner.gate.admit(name)
        except CredentialStopped:
            self.send("answer", number, name, None, self._owner.gate.guard.why_stopped(name))
            return
        if counted:
            self.owed[name] += 1
            self._granted[number] = name
        self.send("answer", number, name, counted, "")

    def _withdraw(self, number: int) -> None:
        """A visit has ended while it waited, or just as it was let in."""
        if (task := self._asking.get(number)) is not None:
            task.cancel()
        elif (name := self._granted.pop(number, None)) is not None:
            self.owed[name] -= 1
            self._owner.gate.settle(name, Proof.UNSENT, counted=True)


class Processes:
    """So many processes of this machine. `command` starts one, where it is not the usual one."""

    room = None
    hanging: Mapping[str, int] = MappingProxyType({})

    def __init__(self, count: int, *, command: Sequence[str] | None = None) -> None:
        self.processes = max(1, count)
        self._command = module_command(WORKER) if command is None else list(command)
        self._processes: dict[_Process, asyncio.Task[None]] = {}
        self._losses: Counter[str] = Counter()
        self._suspects: deque[list[Job]] = deque()
        """Groups of jobs that were lost twice or more."""
        self._arrivals = Arrivals()
        self._deaths = 0
        self.stillborn = 0
        """Processes in a row that ended before they were ready."""
        self._last_name = 0
        self._is_closing = self._is_cancelled = False
        self._hello: tuple[Any, ...] = ()
        self.gate: GuardGate
        """Where log-ons are let in."""

    @property
    def pids(self) -> list[int]:
        """The numbers of the processes that run."""
        return [process.pid for process in self._processes if process.pid is not None and not process.is_over]

    async def start(self, question: Question, credentials: Mapping[str, Credentials], gate: GuardGate) -> None:
        """See `Scheduler.start`."""
        self.gate = gate
        gate.on_change(self._say_state)
        self._hello = question, dict(credentials)
        for _ in range(self.processes):
            self._begin()

    def _begin(self, *, alone: bool = False) -> _Process:
        self._last_name += 1
        process = _Process(f"{os.getpid()}.{self._last_name}", self._command, self, alone=alone)
        process.send("hello", *self._hello, process.name)
        for name in self._hello[1]:
            if (state := self.gate.guard.state(name)) is not State.BOUND:
                process.send("state", name, state, self.gate.guard.why_stopped(name))
        self._processes[process] = asyncio.create_task(self._look_after(process))
        return process

    def give(self, jobs: Sequence[Job]) -> None:
        """See `Scheduler.give`. Each goes to the process that has least."""
        batches: dict[_Process, list[Job]] = {}
        able = [process for process in self._processes if not process.alone and not process.is_over]
        if not able and jobs and self._arrivals.failure is None:
            able = [self._begin()]
        for job in jobs if able else ():
            process = min(able, key=lambda each: len(each.jobs))
            process.jobs[job.target.key] = job
            batches.setdefault(process, []).append(job)
        for process, batch in batches.items():
            process.send("jobs", batch)

    async def take(self) -> list[FleetOutcome]:
        """See `Scheduler.take`."""
        return await self._arrivals.take()

    def came(self, outcomes: Iterable[FleetOutcome]) -> None:
        """Outcomes of a process."""
        self._deaths = 0
        self._arrivals.came(outcomes)
        self._give_suspect()

    def cancel(self) -> None:
        """See `Scheduler.cancel`."""
        self._is_cancelled = True
        self.came([cancelled(job) for group in self._suspects for job in group])
        self._suspects.clear()
        for process in self._processes:
            process.send("cancel")

    async def close(self) -> None:
        """See `Scheduler.close`."""
        self._is_closing = True
        tasks = list(self._processes.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _say_state(self, name: str) -> None:
        state, why = self.gate.guard.state(name), self.gate.guard.why_stopped(name)
        for process in self._processes:
            process.send("state", name, state, why)

    async def _look_after(self, process: _Process) -> None:
        """Until it dies; then see that nothing of what it had is lost."""
        error: LanmanError | None = None
        try:
            await process.run()
        except OSError as failure:
            error = LanmanError(f"no process can be started: {failure.strerror}", code=codes.ERROR_NOT_ENOUGH_MEMORY)
        finally:
            process.is_over = True
            del self._processes[process]
        for name, count in process.owed.items():
            for _ in range(count):
                self.gate.settle(name, Proof.UNKNOWN, counted=True)
        self._deaths += not process.alone  # each death of that one makes a group smaller
        self.stillborn += not process.is_ready
        if error is None and (self.stillborn >= MAX_STILLBORN or self._deaths >= MAX_DEATHS):
            words = process.last_words.decode(errors="replace").strip().splitlines()
            error = LanmanError(
                "the processes that ask end at once" + (f": {words[-1]}" if words else ""),
                code=codes.ERROR_NOT_ENOUGH_MEMORY if not words else LanmanError.code,
                hint="see whether the system ends them: memory, limits; --processes 0 asks without any",
            )
        if error is not None:
            self._arrivals.fail(error)
        self._take_over(list(process.jobs.values()), was_alone=process.alone)

    def _take_over(self, jobs: Sequence[Job], *, was_alone: bool) -> None:
        """Have what a dead process had asked by others."""
        again: list[Job] = []
        suspects: list[Job] = []
        over: list[FleetOutcome] = []
        for job in jobs:
            key = job.target.key
            self._losses[key] += 1
            if self._is_cancelled or self._arrivals.failure is not None:
                over.append(cancelled(job))
            elif was_alone and len(jobs) == 1 and self._losses[key] >= MAX_LOSSES:
                over.append(_lost(job))
            elif self._losses[key] > 1:
                suspects.append(replace(job, attempt=job.attempt + 1))
            else:
                again.append(replace(job, attempt=job.attempt + 1))
        half = (len(suspects) + 1) // 2 if was_alone else len(suspects)
        self._suspects.extendleft(group for group in (suspects[half:], suspects[:half]) if group)
        if over:
            self._arrivals.came(over)
        if self._arrivals.failure is not None or self._is_closing:
            return
        while sum(not process.alone for process in self._processes) < self.processes:
            self._begin()
        self.give(again)
        self._give_suspect()

    def _give_suspect(self) -> None:
        """The next group of those that were lost twice, to the process that has nothing else."""
        if not self._suspects:
            return
        alone = next((process for process in self._processes if process.alone and not process.is_over), None)
        if alone is None:
            alone = self._begin(alone=True)
        if not alone.jobs:
            group = self._suspects.popleft()
            alone.jobs = {job.target.key: job for job in group}
            alone.send("jobs", group)


def _lost(job: Job) -> FleetOutcome:
    return FleetOutcome(
        job.target,
        Result.PROTOCOL,
        code=LanmanError.code,
        error=f"the processes that asked it ended, {job.attempt} times",
        hint="ask it alone, with --processes 0",
        attempt=job.attempt,
        credential=job.credential,
    )
