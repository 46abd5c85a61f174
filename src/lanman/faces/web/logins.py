"""Logging in and out: the routes, and who has sent a request (`request.state.person`).

Rules:

  - Each path below /api/v1 but those of `OPEN` wants somebody who is logged on: 401 otherwise.
  - The cookie is `__Host-lanman` where the browser came by TLS, and `lanman-PORT` on plain loopback. Nothing but its
    random id is in it.
  - A request with the header `Lanman-Unattended` is none that a person made: the page sends it where it asks by itself.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lanman.errors import LanmanError
from lanman.faces.web.answers import Refused, answer, error_answer, object_of, refused_by, text_of
from lanman.faces.web.people import Access, Person, TooMany
from lanman.net.credentials import Credentials
from lanman.shown import escape

if TYPE_CHECKING:
    from lanman.faces.web.console import Console

log: Final = logging.getLogger("lanman.web")

API: Final = "/api/v1/"
OPEN: Final = frozenset({f"{API}login", f"{API}healthz", f"{API}openapi.json"})
STREAM: Final = f"{API}events"
UNATTENDED: Final = "lanman-unattended"
ONCE_LASTS: Final = 600.0

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class OneTime:
    """The word of the one-time link: used once, for ten minutes."""

    def __init__(self, now: float) -> None:
        self.word = secrets.token_urlsafe(32)
        self._until = now + ONCE_LASTS
        self._used = False

    def use(self, word: str, now: float) -> bool:
        """Whether it is that word, for the first time and in time; compared in constant time."""
        right = hmac.compare_digest(word.encode("utf-8", "replace"), self.word.encode())
        if not right or self._used or now >= self._until:
            return False
        self._used = True
        return True


def cookie_name(scope: Scope) -> str:
    """What the cookie of whoever sent a request is called."""
    if scope["scheme"] == "https":
        return "__Host-lanman"
    server = scope.get("server")
    return f"lanman-{server[1]}" if server is not None and server[1] else "lanman-socket"


class WhoAsks:
    """ASGI: finds out whose request it is."""

    def __init__(self, inner: Application, console: Console) -> None:
        self._inner = inner
        self._console = console

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI: one request."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        request = Request(scope)
        now = self._console.clock()
        key = request.cookies.get(cookie_name(scope), "")
        person = self._console.people.find(key, now)
        path = scope["path"]
        if person is not None and path != STREAM and UNATTENDED not in request.headers:
            self._console.people.touch(key, now)
        request.state.person = person
        request.state.session = key if person is not None else None
        if person is None and path.startswith(API) and path not in OPEN:
            refused = Refused(HTTPStatus.UNAUTHORIZED, "nobody is logged on", hint="log on first")
            await error_answer(refused)(scope, receive, send)
            return
        await self._inner(scope, receive, send)


def routes(console: Console, once: OneTime | None) -> list[Route]:
    """The routes of logging in and out. `once` is the word of the one-time link, where there is one."""

    async def show(request: Request) -> Response:
        person: Person | None = request.state.person
        return answer(
            servers=list(console.servers),
            readonly=console.settings.readonly,
            person=None
            if person is None
            else {"name": person.name, "kind": person.kind, "servers": list(person.accesses)},
        )

    async def login(request: Request) -> Response:
        parts = await object_of(request)
        if "once" in parts:
            word = text_of(parts, "once")
            if once is None or not once.use(word, console.clock()):
                raise Refused(HTTPStatus.UNAUTHORIZED, "this link was used already, or is too old")
            return _begun(console, request, console.person_of_link())
        server, user, password = (text_of(parts, name) for name in ("server", "user", "password"))
        access = await _log_on(console, server, user, password)
        person: Person | None = request.state.person
        if person is not None and person.kind == "login" and not person.ended:
            person.accesses[server] = access
            return _renewed(console, request)
        return _begun(console, request, Person(access.user, "login", {server: access}))

    async def logout(request: Request) -> Response:
        console.people.end(request.state.session, "by themselves")
        response = Response(status_code=HTTPStatus.NO_CONTENT)
        _set_cookie(response, request, "", 0)
        return response

    return [
        Route(f"{API}login", show, methods=["GET"]),
        Route(f"{API}login", login, methods=["POST"]),
        Route(f"{API}logout", logout, methods=["POST"]),
    ]


async def _log_on(console: Console, server: str, user: str, password: str) -> Access:
    """Log on for real. Raises Refused."""
    offered = console.servers.get(server)
    if offered is None:
        raise Refused(
            HTTPStatus.NOT_FOUND, "there is no such server here", hint=f"there are {', '.join(console.servers)}"
        )
    named = Credentials.parse(user) if "%" not in user else Credentials(user)
    if not named.user_name:
        raise Refused(HTTPStatus.BAD_REQUEST, "the user's name is empty")
    credentials = Credentials(named.user_name, password, domain=named.domain)
    opening = offered.opening_as(credentials)
    try:
        async with opening():
            pass
    except LanmanError as error:
        log.warning("%s at %s: not logged on: %s", escape(credentials.logon_name), escape(server), error.message)
        raise refused_by(error) from None
    log.info("%s is logged on at %s", escape(credentials.logon_name), escape(server))
    return Access(server, credentials.logon_name, opening, not console.settings.readonly, credentials)


def _begun(console: Console, request: Request, person: Person) -> Response:
    if request.state.session is not None:
        console.people.end(request.state.session, "another log-in")
    try:
        key = console.people.begin(person, console.clock())
    except TooMany:
        raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "too many people are logged on") from None
    response = Response(status_code=HTTPStatus.NO_CONTENT)
    _set_cookie(response, request, key)
    return response


def _renewed(console: Console, request: Request) -> Response:
    key = console.people.renew(request.state.session, console.clock())
    assert key is not None
    response = Response(status_code=HTTPStatus.NO_CONTENT)
    _set_cookie(response, request, key)
    return response


def _set_cookie(response: Response, request: Request, value: str, max_age: int | None = None) -> None:
    response.set_cookie(
        cookie_name(request.scope),
        value,
        max_age=max_age,
        path="/",
        secure=request.scope["scheme"] == "https",
        httponly=True,
        samesite="strict",
    )
