"""A process that asks servers: `python -m lanman.fleet.worker`, started by `lanman.fleet.processes`.

It reads jobs from its standard input and writes outcomes to its standard output, as `lanman.fleet.frames` has them. It
ends when its input does, whatever is under way: so it never outlives the sweep. Ctrl-C is not for it; the sweep says
what is to be done.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import signal
import sys
import threading
from typing import Any, BinaryIO, Final

from lanman.fleet.frames import packed, read_frame
from lanman.fleet.guard import CredentialStopped, Proof, State
from lanman.fleet.limits import raise_open_files
from lanman.fleet.scheduler import cancelled
from lanman.fleet.values import FleetOutcome, Job
from lanman.fleet.visit import Opener, Visitor
from lanman.manage.open import open_manager

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
    def __init__(self, writer: _Writer, opener: Opener) -> None:
        self._writer = writer
        self._opener = opener
        self._gate = PipeGate(writer)
        self._visitor: Visitor | None = None
        self._name = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._done: list[FleetOutcome] = []
        self._flushing: asyncio.TimerHandle | None = None

    def handle(self, words: tuple[Any, ...]) -> None:
        """A frame from the sweep."""
        what, *rest = words
        if what == "jobs":
            for job in rest[0]:
                task = asyncio.create_task(self._visit(job))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        elif what == "answer":
            self._gate.answered(*rest)
        elif what == "state":
            self._gate.set_state(*rest)
        elif what == "cancel":
            for task in self._tasks:
                task.cancel()
        elif what == "hello":
            question, credentials, self._name = rest
            self._visitor = Visitor(question, credentials, self._gate, worker=self._name, opener=self._opener)

    async def _visit(self, job: Job) -> None:
        assert self._visitor is not None
        outcome = cancelled(job, self._name)
        with contextlib.suppress(asyncio.CancelledError):
            outcome = await self._visitor.visit(job)
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
    raise_open_files()
    source, target = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # a stray print would break the frames
    # Before anything is asked that could end this process.
    target.write(packed("ready"))
    target.flush()
    asyncio.run(_serve(source, _Writer(target), opener))


async def _serve(source: BinaryIO, writer: _Writer, opener: Opener) -> None:
    loop = asyncio.get_running_loop()
    worker = _Worker(writer, opener)

    def read() -> None:
        while (words := read_frame(source)) is not None:
            loop.call_soon_threadsafe(worker.handle, words)
        os._exit(0)  # nothing is kept here, and nobody is there to hear of it

    threading.Thread(target=read, name="lanman-reader", daemon=True).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    main()
