"""An event loop in a thread of its own, for programs without asyncio."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from lanman.errors import ConnectionLost

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

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


class Closing:
    """What is closed at the end of a `with` statement."""

    def close(self) -> None:
        """Give everything back. May be called twice."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Service(Protocol):
    """What serves from its beginning until it is closed: an exporter, a web console."""

    async def __aenter__(self) -> object:
        """Begin."""

    async def close(self) -> None:
        """End everything. May be called twice."""

    async def wait(self) -> None:
        """Wait until it has ended."""


S = TypeVar("S", bound=Service)


class BlockingService(Closing, Generic[S]):
    """A service that runs in a thread of its own, from `with` to the end of it.

    It is made by `make`, there; what that raises is raised here.
    """

    def __init__(self, make: Callable[[], S]) -> None:
        self._background = Background()

        async def made() -> S:
            return make()

        try:
            self._running = self._background.run(made())
        except BaseException:
            self._background.stop()
            raise

    def __enter__(self) -> Self:
        try:
            self._background.run(self._entered())
        except BaseException:
            self._background.stop()
            raise
        return self

    async def _entered(self) -> None:
        await self._running.__aenter__()

    def close(self) -> None:
        """Let go of everybody whom it serves, and end the thread. May be called twice."""
        self._background.close(self._running.close)

    def wait(self) -> None:
        """Wait until it has ended. An interrupt (Ctrl-C) ends the waiting."""
        self._background.run(self._running.wait())
