"""The exporter in programs without asyncio: it runs in a thread of its own.

with blocking_exporter(["fs1", "fs2"], credentials) as running:
    print(running.where)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lanman.manage.background import BlockingService
from lanman.manage.metrics.exporter import Exporter, exporter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lanman.net.credentials import Credentials


def blocking_exporter(
    servers: str | Sequence[str] | None = None, credentials: Credentials | None = None, **options: Any
) -> BlockingExporter:
    """Figures of servers for Prometheus, to be used in `with`; the options and what is raised are those of
    `lanman.exporter`."""
    return BlockingExporter(lambda: exporter(servers, credentials, **options))


class BlockingExporter(BlockingService[Exporter]):
    """An Exporter that polls and answers scrapers in a thread, from `with` to the end of it."""

    @property
    def where(self) -> str:
        """Where scrapers come to; see `Exporter.where`."""
        return self._running.where

    def scrape(self, accept: str = "") -> tuple[str, bytes]:
        """The figures as a scraper gets them; see `Exporter.scrape`."""
        return self._background.run(self._running.scrape(accept))
