"""The web console in programs without asyncio: it runs in a thread of its own.

with blocking_web_console(["fs1", "fs2"], credentials) as running:
    print(running.link)
    running.wait()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lanman.faces.web.program import WebConsole, web_console
from lanman.manage.background import BlockingService

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lanman.net.credentials import Credentials


def blocking_web_console(
    servers: str | Sequence[str] | None = None, credentials: Credentials | None = None, **options: Any
) -> BlockingWebConsole:
    """The web console, to be used in `with`; the options and what is raised are those of `lanman.web_console`."""
    return BlockingWebConsole(lambda: web_console(servers, credentials, **options))


class BlockingWebConsole(BlockingService[WebConsole]):
    """A WebConsole that serves in a thread, from `with` to the end of it."""

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
