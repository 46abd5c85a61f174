"""What is told to anybody: that the console answers, and what its interface is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lanman.faces.web.answers import JsonAnswer, answer
from lanman.faces.web.api.routing import Asked, declared, route
from lanman.faces.web.api.shapes import truth

if TYPE_CHECKING:
    from starlette.responses import Response


@route("GET", "/healthz", "Whether it answers", answers={"ok": truth()}, is_open=True)
async def healthz(asked: Asked) -> Response:
    """Says that the console answers, and nothing else."""
    return answer(ok=True)


@route("GET", "/openapi.json", "This description", media="application/json", is_open=True)
async def openapi(asked: Asked) -> Response:
    """OpenAPI 3.1, made from what is checked."""
    from lanman.faces.web.openapi import description

    return JsonAnswer(description(declared()))
