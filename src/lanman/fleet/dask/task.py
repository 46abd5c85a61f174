"""What runs on a worker: a chunk of targets is asked there, with the secrets of the worker's own machine.

Rules:

  - A chunk comes with names of credentials. The secrets are read from the file `credentials` of whoever runs the
    worker, at each chunk, and go to the servers alone.
  - A chunk is asked once. Dask runs a task again when the worker that had it dies; but log-ons may have gone out by
    then, and what the lock-out guard has let out was for one run. So each chunk has a permit, which the first run takes
    away from the scheduler; a run that finds none asks nobody, and says so.
  - It asks in an event loop of its own, in the thread that Dask gives it: whatever servers do, the worker hears its
    scheduler.
"""

from __future__ import annotations

import asyncio
import pickle
import sys
import threading
from typing import Final

from distributed import Worker, get_worker
from distributed.utils import sync

from lanman import __version__, codes
from lanman.errors import LanmanError
from lanman.fleet.limits import raise_open_files
from lanman.fleet.logons import GIVEN, read_fleet_logons
from lanman.fleet.visit import Chunk, ChunkAnswer, Opener, ask_chunk_here
from lanman.manage.open import open_manager
from lanman.net.collector import SHORT_PAUSES
from lanman.net.credentials import Credentials
from lanman.plain import dataclass

_ANONYMOUS: Final = Credentials(anonymous=True)


@dataclass(frozen=True, slots=True)
class Unable:
    """A worker that cannot ask for anybody, and why."""

    worker: str
    why: str
    hint: str
    code: int = LanmanError.code


_lock = threading.Lock()
_running: dict[str, set[tuple[asyncio.AbstractEventLoop, asyncio.Task[ChunkAnswer]]]] = {}


def release() -> str:
    """What a worker and its client have to have in common: they exchange Python's own values."""
    return f"lanman {__version__}, Python {sys.version_info.major}.{sys.version_info.minor}"


def ask(wanted: str, parcel: bytes, permit: str, opener: Opener = open_manager) -> ChunkAnswer | Unable | None:
    """Ask a pickled Chunk. None: it was not asked, or not to the end; what has come of it is not known."""
    worker = get_worker()
    name = str(worker.name)
    if release() != wanted:
        return Unable(name, f"it has {release()}, and the sweep {wanted}", "install the same on all")
    if not _takes(worker, permit):
        return None
    chunk: Chunk = pickle.loads(parcel)
    try:
        known = dict(read_fleet_logons().credentials)
    except LanmanError as error:
        return Unable(name, error.text, error.hint or "see its file `credentials`", error.code)
    known[GIVEN] = _ANONYMOUS
    if missing := {job.credential for job in chunk.jobs if job.credential is not None} - known.keys():
        return Unable(
            name,
            f"it has no credential named {', '.join(sorted(missing))}",
            "write the same sections into the file `credentials` of the user that runs it",
            codes.ERROR_NOT_AUTHENTICATED,
        )
    threads = worker.state.nthreads
    if (room := raise_open_files()) is not None and room < chunk.in_flight * threads:
        return Unable(
            name,
            f"it may have {room} connections, and {threads} threads with {chunk.in_flight} each want more",
            "let it have more open files (`ulimit -n`), or start it with fewer --nthreads",
            codes.ERROR_TOO_MANY_OPEN_FILES,
        )
    try:
        with SHORT_PAUSES:
            return asyncio.run(_asked(chunk, known, name, opener))
    except asyncio.CancelledError:
        return None


def stop(sweep: str) -> None:
    """Have what a worker does for a sweep end at once."""
    with _lock:
        for loop, task in _running.get(sweep, ()):
            loop.call_soon_threadsafe(task.cancel)


async def _asked(chunk: Chunk, known: dict[str, Credentials], name: str, opener: Opener) -> ChunkAnswer:
    sweep = chunk.question.sweep
    mine = asyncio.get_running_loop(), asyncio.create_task(ask_chunk_here(chunk, known, worker=name, opener=opener))
    with _lock:
        _running.setdefault(sweep, set()).add(mine)
    try:
        return await mine[1]
    finally:
        with _lock:
            _running[sweep].discard(mine)
            if not _running[sweep]:
                del _running[sweep]


def _takes(worker: Worker, permit: str) -> bool:
    """Take the permit of a chunk away; whether it was there."""
    found: list[object] = sync(worker.loop, worker.scheduler.queue_get, name=permit, batch=True)
    return bool(found)
