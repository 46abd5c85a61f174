"""Targets as a thread reads them, for an event loop that never waits for a file, a pipe or a person at a keyboard."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Final

from lanman.fleet.values import Target

AHEAD: Final = 2048
"""Targets that are read before they are wanted."""
_BATCH: Final = 256


class Source:
    """Reads an iterator in a daemon thread, a bounded number of targets ahead."""

    def __init__(self, targets: Iterator[Target], *, batch: int = _BATCH) -> None:
        self._targets, self._batch = targets, batch
        self._loop = asyncio.get_running_loop()
        self._room = threading.Semaphore(AHEAD)
        self._is_stopped = False
        self._read: list[Target] = []
        self._is_over = False
        self._error: BaseException | None = None
        self._something = asyncio.Event()
        threading.Thread(target=self._work, name="lanman-targets", daemon=True).start()

    async def take(self) -> list[Target]:
        """What has been read; an empty list at the end. Raises what reading raised, after what was read before it."""
        while not self._read and not self._is_over:
            self._something.clear()
            await self._something.wait()
        read, self._read = self._read, []
        for _ in read:
            self._room.release()
        if not read and self._error is not None:
            raise self._error
        return read

    def stop(self) -> None:
        """Read no more. The thread may still hang in what it reads; nobody waits for it."""
        self._is_stopped = True
        self._room.release()

    def _work(self) -> None:
        error: BaseException | None = None
        batch: list[Target] = []
        try:
            for target in self._targets:
                self._room.acquire()
                if self._is_stopped:
                    return
                batch.append(target)
                if len(batch) >= self._batch:
                    self._deliver(batch)
                    batch = []
        except BaseException as caught:  # noqa: BLE001  # it is raised where the targets are taken
            error = caught
        self._deliver(batch, error, is_over=True)

    def _deliver(self, batch: list[Target], error: BaseException | None = None, *, is_over: bool = False) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed by now
            self._loop.call_soon_threadsafe(self._delivered, batch, error, is_over)

    def _delivered(self, batch: list[Target], error: BaseException | None, is_over: bool) -> None:
        self._read += batch
        self._error, self._is_over = error, is_over
        self._something.set()
