"""The assembly: what answers a request, from the outside in.

    async with Console([...]) as console:
        app = make_app(console)              # an ASGI application, without a socket

`protection` looks first, then `logins` finds out who it is, then comes the route.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette

from lanman.errors import LanmanError
from lanman.faces.web import api, logins, pages
from lanman.faces.web.answers import Refused, error_answer, refused_by
from lanman.faces.web.live import stream

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from lanman.faces.web.console import Console
    from lanman.faces.web.logins import Application, OneTime


def make_app(console: Console, once: OneTime | None = None) -> Application:
    """What answers requests to a console that is entered. `once` is the word of the one-time link, if there is one."""
    inner = Starlette(
        routes=[*logins.routes(console, once), *api.routes(console), *stream.routes(console), *pages.routes()],
        exception_handlers={Refused: _refuse, LanmanError: _refuse_for},
    )
    return logins.WhoAsks(inner, console)


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return error_answer(error)


async def _refuse_for(request: Request, error: Exception) -> Response:
    assert isinstance(error, LanmanError)
    return error_answer(refused_by(error))
