"""The assembly: what answers a request, from the outside in.

    async with Console([...]) as console:
        app = make_app(console)              # an ASGI application, without a socket

`protection` looks first, then `logins` finds out who it is, then comes the route.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse

from lanman.errors import LanmanError
from lanman.faces.web import api, logins, pages
from lanman.faces.web.answers import Refused, error_answer, refused_by
from lanman.faces.web.live import stream
from lanman.faces.web.protection import API, Protection, Rules

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from lanman.faces.web.console import Console
    from lanman.faces.web.logins import OneTime
    from lanman.faces.web.protection import Application

log: Final = logging.getLogger("lanman.web")


def make_app(console: Console, once: OneTime | None = None, rules: Rules | None = None) -> Application:
    """What answers requests to a console that is entered. `once` is the word of the one-time link, if there is one;
    `rules` what a request must be, without which this machine is called localhost and nothing is trusted."""
    inner = Starlette(
        routes=[
            *logins.routes(console, once),
            *api.routes(console),
            *stream.routes(console),
            api.no_such_path(),
            *pages.routes(),
        ],
        exception_handlers={
            Refused: _refuse,
            LanmanError: _refuse_for,
            HTTPException: _refuse_by_starlette,
            Exception: _fail,
        },
    )
    return Protection(logins.WhoAsks(inner, console), rules or Rules())


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return error_answer(error)


async def _refuse_for(request: Request, error: Exception) -> Response:
    assert isinstance(error, LanmanError)
    return error_answer(refused_by(error))


async def _refuse_by_starlette(request: Request, error: Exception) -> Response:
    """No such path, or not with this method."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    if request.scope["path"].startswith(API):
        return error_answer(Refused(status, f"{status.phrase}: there is no such thing here", headers=_headers(error)))
    return PlainTextResponse(f"{status.phrase}\n", status, headers=_headers(error))


def _headers(error: HTTPException) -> dict[str, str] | None:
    return None if error.headers is None else dict(error.headers)


async def _fail(request: Request, error: Exception) -> Response:
    """An error of ours, which whoever runs the server of ASGI logs."""
    words = "an error of lanman's, which its log tells"
    return error_answer(Refused(HTTPStatus.INTERNAL_SERVER_ERROR, words))
