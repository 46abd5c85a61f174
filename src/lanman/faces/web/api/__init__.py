"""The REST interface: a module for each noun, whose routes are gathered here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from lanman.faces.web.answers import answer

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from lanman.faces.web.console import Console


def routes(console: Console) -> list[Route]:
    """The routes of every noun, below /api/v1."""

    async def healthz(request: Request) -> Response:
        return answer(ok=True)

    return [Route("/api/v1/healthz", healthz)]
