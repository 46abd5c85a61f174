"""The web console in programs without asyncio: it runs in a thread of its own.

with blocking_web_console(["fs1", "fs2"], credentials) as running:
    print(running.link)
    running.wait()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lanman.faces.web.program import WebConsole, web_console
from lanman.manage.background import Background

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from lanman.net.credentials import Credentials


def blocking_web_console(
    servers: str | Sequence[str] | None = None, credentials: Credentials | None = None, **options: Any
) -> BlockingWebConsole:
    """The web console, to be used in `with`; the options and what is raised are those of `lanman.web_console`."""

    async def make() -> WebConsole:
        return web_console(servers, credentials, **options)

    background = Background()
    try:
        return BlockingWebConsole(background.run(make()), background)
    except BaseException:
        background.stop()
        raise


class BlockingWebConsole:
    """A WebConsole that serves in a thread, from `with` to the end of it."""

    def __init__(self, running: WebConsole, background: Background) -> None:
        self._running = running
        self._background = background

    @property
    def where(self) -> str:
        """Where browsers come to; see `WebConsole.where`."""
        return self._running.where

    @property
    def url(self) -> str | None:
        """The page's address on this machine; see `WebConsole.url`."""
        return self._running.url

    @property
    def link(self) -> str | None:
        """The one-time link; see `WebConsole.link`."""
        return self._running.link

    def __enter__(self) -> Self:
        try:
            self._background.run(self._running.__aenter__())
        except BaseException:
            self._background.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of everybody, and end the thread. May be called twice."""
        self._background.close(self._running.close)

    def wait(self) -> None:
        """Wait until it has ended. An interrupt (Ctrl-C) ends the waiting."""
        self._background.run(self._running.wait())
