"""The stream of events of one browser (Server-Sent Events)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.routing import Route

    from lanman.faces.web.console import Console


def routes(console: Console) -> list[Route]:
    """The routes of what happens."""
    return []
