"""A process that asks servers: `python -m lanman.fleet.worker`, started by `lanman.fleet.processes`.

It reads jobs from its standard input and writes outcomes to its standard output, as `lanman.fleet.frames` has them. It
ends when its input does, whatever is under way: so it never outlives the sweep. Ctrl-C is not for it; the sweep says
what is to be done.
"""

from __future__ import annotations

import asyncio
import os
import queue
import signal
import sys
import threading
from collections import deque
from typing import Any, BinaryIO, Final

from lanman.fleet.frames import packed, read_frame
from lanman.fleet.guard import CredentialStopped, Proof, State
from lanman.fleet.limits import raise_open_files
from lanman.fleet.scheduler import cancelled
from lanman.fleet.values import FleetOutcome, Job
from lanman.fleet.visit import Opener, Visitor
from lanman.manage.open import open_manager
from lanman.net.collector import keep_pauses_short

# Seconds for which outcomes are gathered before they are sent, and how many are sent at once.
_GATHER: Final = 0.02
_MANY: Final = 100


class PipeGate:
    """The gate of a worker: it asks the sweep, unless it knows that the credential is free."""

    def __init__(self, send: _Writer) -> None:
        self._send = send
        self._states: dict[str, tuple[State, str]] = {}
        self._asked: dict[int, asyncio.Future[bool]] = {}
        self._last = 0

    async def admit(self, name: str) -> bool:
        """See `Gate.admit`."""
        state, why = self._states.get(name, (State.BOUND, ""))
        if state is State.FREE:
            return False
        if state is State.STOPPED:
            raise CredentialStopped(name, why)
        self._last += 1
        number = self._last
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asked[number] = future
        self._send.put("admit", number, name)
        try:
            return await future
        except asyncio.CancelledError:
            self._send.put("withdraw", number)
            raise
        finally:
            del self._asked[number]

    def settle(self, name: str, proof: Proof, *, counted: bool) -> None:
        """See `Gate.settle`. What changes nothing is not sent."""
        if proof in (Proof.WRONG, Proof.LOCKED):
            self._states.pop(name, None)
        if counted or proof in (Proof.WRONG, Proof.LOCKED) or self._states.get(name, (None,))[0] is not State.FREE:
            self._send.put("settle", name, proof, counted)

    def answered(self, number: int, name: str, counted: bool | None, why: str) -> None:
        """The sweep has answered one that asked; `counted` None is no."""
        future = self._asked.get(number)
        if future is None or future.done():
            return
        if counted is None:
            future.set_exception(CredentialStopped(name, why))
        else:
            future.set_result(counted)

    def set_state(self, name: str, state: State, why: str) -> None:
        """The sweep says how a credential may be used from now on."""
        self._states[name] = state, why


class _Writer:
    """Writes frames in a thread, in order: a pipe that is full holds nobody up."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._queue: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="lanman-writer", daemon=True).start()

    def put(self, *words: Any) -> None:
        """Send a frame."""
        self._queue.put(packed(*words))

    def _work(self) -> None:
        try:
            while True:
                self._stream.write(self._queue.get())
                if self._queue.empty():
                    self._stream.flush()
        except (OSError, ValueError):
            os._exit(1)  # the sweep has gone


class _Worker:
    """Asks what it is given, `room` at a time: each connection is an open file."""

    def __init__(self, writer: _Writer, opener: Opener, room: int) -> None:
        self._writer = writer
        self._room = room
        self._waiting: deque[Job] = deque()
        self._opener = opener
        self._gate = PipeGate(writer)
        self._visitor: Visitor | None = None
        self._name = ""
        self._tasks: dict[asyncio.Task[FleetOutcome], Job] = {}
        self._done: list[FleetOutcome] = []
        self._flushing: asyncio.TimerHandle | None = None

    def handle(self, words: tuple[Any, ...]) -> None:
        """A frame from the sweep."""
        what, *rest = words
        if what == "jobs":
            self._waiting += rest[0]
            self._begin_what_may()
        elif what == "answer":
            self._gate.answered(*rest)
        elif what == "state":
            self._gate.set_state(*rest)
        elif what == "cancel":
            for job in self._waiting:
                self._came(cancelled(job, self._name))
            self._waiting.clear()
            for task in self._tasks:
                task.cancel()
        elif what == "hello":
            question, credentials, self._name = rest
            self._visitor = Visitor(question, credentials, self._gate, worker=self._name, opener=self._opener)

    def _begin_what_may(self) -> None:
        while self._waiting and len(self._tasks) < self._room:
            assert self._visitor is not None
            job = self._waiting.popleft()
            task = asyncio.create_task(self._visitor.visit(job))
            self._tasks[task] = job
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[FleetOutcome]) -> None:
        """One is through, or was cancelled: maybe before its first step, so that it could say nothing itself."""
        job = self._tasks.pop(task)
        self._came(cancelled(job, self._name) if task.cancelled() else task.result())
        self._begin_what_may()

    def _came(self, outcome: FleetOutcome) -> None:
        self._done.append(outcome)
        if len(self._done) >= _MANY:
            self._flush()
        elif self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_later(_GATHER, self._flush)

    def _flush(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        if self._done:
            done, self._done = self._done, []
            self._writer.put("outcomes", done)


def main(opener: Opener = open_manager) -> None:
    """Ask what comes over standard input, until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    room = raise_open_files()
    source, target = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # a stray print would break the frames
    # Before anything is asked that could end this process.
    target.write(packed("ready"))
    target.flush()
    keep_pauses_short()
    asyncio.run(_serve(source, _Writer(target), opener, sys.maxsize if room is None else room))


async def _serve(source: BinaryIO, writer: _Writer, opener: Opener, room: int) -> None:
    loop = asyncio.get_running_loop()
    worker = _Worker(writer, opener, room)

    def read() -> None:
        while (words := read_frame(source)) is not None:
            loop.call_soon_threadsafe(worker.handle, words)
        os._exit(0)  # nothing is kept here, and nobody is there to hear of it

    threading.Thread(target=read, name="lanman-reader", daemon=True).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    main()
