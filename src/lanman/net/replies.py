"""What a task waits for and the event loop's side brings: an answer, which the task goes on with at once.

An asyncio.Future wakes its task in the loop's next turn, which asks the system once more what has arrived: a client
that asks one thing after the other would have two turns for each answer. A `Reply` is what asyncio takes for a future
(`asyncio.isfuture`), and differs in this:

* `set_result` says that the answer is there, and `wake`, later, runs the task that waits for it there and then. It is
  called by code that the event loop calls, when that has nothing else left to do.
* Within a task no other can be run. There `wake` leaves it to the loop's next turn; so do `set_exception` and `cancel`,
  which are called from anywhere.
* One task waits for it. A failure that nobody asks for is not reported: who gives an answer up has a reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from contextvars import Context

T = TypeVar("T")


class Reply(Generic[T]):
    """One answer, or the failure in its place."""

    # Most are never changed from this: an object sets what differs.
    _asyncio_future_blocking = False
    _is_done = False
    _error: BaseException | None = None
    _callback: Callable[[Reply[T]], object] | None = None
    _context: Context | None = None
    _result: T

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    # --- what asyncio's tasks call

    def __await__(self) -> Generator[Any, None, T]:
        if not self._is_done:
            if self._callback is not None:
                raise RuntimeError("another task waits for this answer")
            self._asyncio_future_blocking = True
            yield self
        if self._error is not None:
            raise self._error
        return self._result

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that it belongs to."""
        return self._loop

    def add_done_callback(self, callback: Callable[[Reply[T]], object], *, context: Context | None = None) -> None:
        """Have `callback(reply)` called when it is done; in the loop's next turn, if it is already."""
        self._callback, self._context = callback, context
        if self._is_done:
            self._wake_later()

    def cancel(self, msg: object = None) -> bool:
        """Give it up: who waits is cancelled. False where it is done; who waits still is told that then, since whoever
        was to call `wake` may have been ended before (a SystemExit in a task that was told earlier)."""
        if self._is_done:
            self._wake_later()
            return False
        self.set_exception(asyncio.CancelledError() if msg is None else asyncio.CancelledError(msg))
        return True

    def result(self) -> T:
        """The answer; raises the failure in its place."""
        if self._error is not None:
            raise self._error
        if not self._is_done:
            raise asyncio.InvalidStateError("there is no answer yet")
        return self._result

    # --- what its two sides call

    def done(self) -> bool:
        """Whether there is an answer or a failure."""
        return self._is_done

    def cancelled(self) -> bool:
        """Whether it was given up."""
        return isinstance(self._error, asyncio.CancelledError)

    def exception(self) -> BaseException | None:
        """The failure; None for an answer, or while there is neither."""
        return self._error

    def set_result(self, result: T) -> None:
        """The answer is there; `wake` tells who waits."""
        self._result = result
        self._is_done = True

    def set_exception(self, error: BaseException) -> None:
        """It fails. Who waits is told in the loop's next turn."""
        self._error = error
        self._is_done = True
        self._wake_later()

    def wake(self) -> None:
        """Run who waits for it."""
        callback, context = self._callback, self._context
        if callback is None:
            return
        if context is None or asyncio.current_task(self._loop) is not None:
            self._wake_later()
            return
        self._callback = None
        context.run(callback, self)

    def _wake_later(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            self._loop.call_soon(callback, self, context=self._context)
