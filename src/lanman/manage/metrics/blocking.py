"""The exporter in programs without asyncio: it runs in a thread of its own.

with blocking_exporter(["fs1", "fs2"], credentials) as running:
    print(running.where)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lanman.manage.background import Background
from lanman.manage.metrics.exporter import Exporter, exporter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from lanman.net.credentials import Credentials


def blocking_exporter(
    servers: str | Sequence[str] | None = None, credentials: Credentials | None = None, **options: Any
) -> BlockingExporter:
    """Figures of servers for Prometheus, to be used in `with`; the options and what is raised are those of
    `lanman.exporter`."""

    async def make() -> Exporter:
        return exporter(servers, credentials, **options)

    background = Background()
    try:
        return BlockingExporter(background.run(make()), background)
    except BaseException:
        background.stop()
        raise


class BlockingExporter:
    """An Exporter that polls and answers scrapers in a thread, from `with` to the end of it."""

    def __init__(self, running: Exporter, background: Background) -> None:
        self._exporter = running
        self._background = background

    @property
    def where(self) -> str:
        """Where scrapers come to; see `Exporter.where`."""
        return self._exporter.where

    def __enter__(self) -> Self:
        try:
            self._background.run(self._exporter.__aenter__())
        except BaseException:
            self._background.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Answer nobody any more, disconnect, and end the thread. May be called twice."""
        self._background.close(self._exporter.close)

    def scrape(self, accept: str = "") -> tuple[str, bytes]:
        """The figures as a scraper gets them; see `Exporter.scrape`."""
        return self._background.run(self._exporter.scrape(accept))

    def wait(self) -> None:
        """Wait until it is closed. An interrupt (Ctrl-C) ends the waiting."""
        self._background.run(self._exporter.wait())
