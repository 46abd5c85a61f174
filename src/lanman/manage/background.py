"""An event loop in a thread of its own, for programs without asyncio."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from lanman.errors import ConnectionLost

T = TypeVar("T")


class Background:
    """An event loop in a daemon thread, for calls from any other thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lanman", daemon=True)
        self._thread.start()
        self.running = True

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, which is cancelled when the waiting is interrupted."""
        if not self.running:
            work.close()
            raise ConnectionLost("this manager is closed")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self, last: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Run what `last` gives, and stop, whatever becomes of it. May be called twice: then nothing is done."""
        if self.running:
            try:
                self.run(last())
            finally:
                self.stop()

    def stop(self) -> None:
        """End the loop and its thread. Whatever still runs there is dropped."""
        self.running = False
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
