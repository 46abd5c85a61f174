"""Long work shows that it goes on: a bar or a turning mark on standard error, where that is a terminal.

Nothing is shown of what is over in a moment, and nothing is left behind. Where standard error is a file or a pipe, or
the terminal can move no cursor (TERM=dumb), nothing is shown at all. Colours are rich's, which respects NO_COLOR.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from lanman.faces.cli.output import is_terminal
from lanman.faces.text import escape

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

T = TypeVar("T")

# Seconds before anything is shown; most work ends sooner, and loading what draws takes a tenth of one.
PATIENCE: Final = 0.5


def can_show() -> bool:
    """Whether standard error is a terminal that can move its cursor."""
    return is_terminal(sys.stderr) and os.environ.get("TERM", "dumb") != "dumb"


class Progress:
    """So many of so many: `with Progress("Ending sessions", 300) as progress: ... progress.advance()`."""

    def __init__(self, what: str, total: int, *, patience: float = PATIENCE) -> None:
        self._what, self._total, self._done = what, total, 0
        self._show_at = time.monotonic() + patience
        self._can_show = can_show()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self) -> None:
        """One more is done."""
        self._done += 1
        if self._bar is None and self._can_show and time.monotonic() >= self._show_at:
            self._start()
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done)

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(self._what, total=self._total)
        self._bar.start()


@contextlib.contextmanager
def turning_when_slow(what: str, *, patience: float = PATIENCE) -> Iterator[Callable[[], None]]:
    """For a body that looks again and again, and calls what it is given each time: `turning`, after a while."""
    show_at = time.monotonic() + patience
    with contextlib.ExitStack() as shown:
        wanted = can_show()

        def look() -> None:
            nonlocal wanted
            if wanted and time.monotonic() >= show_at:
                wanted = False
                shown.enter_context(turning(what))

        yield look


@contextlib.contextmanager
def turning(what: str) -> Iterator[None]:
    """A turning mark beside `what` while the body runs."""
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(Text(what)):
        yield


@asynccontextmanager
async def shown_waiting(what: str, opening: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """`opening`, with a turning mark for as long as it takes to enter it, once that takes a while."""
    if not can_show():
        async with opening as opened:
            yield opened
        return

    async def show() -> None:
        await asyncio.sleep(PATIENCE)
        with turning(escape(what)):
            await asyncio.Event().wait()

    waiting = asyncio.create_task(show())
    async with contextlib.AsyncExitStack() as stack:
        try:
            opened = await stack.enter_async_context(opening)
        finally:
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await waiting
        yield opened
