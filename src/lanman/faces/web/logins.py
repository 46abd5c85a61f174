"""Logging in and out: the routes, and who has sent a request (`request.state.person`).

Rules:

  - Each path below /api/v1 but those of `OPEN` wants somebody who is logged on: 401 otherwise.
  - A password is sent to the server that was named and to no other, and only to those that the command was given. It is
    kept in the credentials of that one access, and ends with it.
  - The one-time link is for this machine: it counts from the loopback interface and the socket, through no proxy, once,
    and for ten minutes.
  - Whom a trusted proxy names may look with the command's own credentials, and gives no orders. Whoever logs in besides
    is logged in as long as the proxy names the same user.
  - The cookie is `__Host-lanman` where the browser came by TLS, and `lanman-PORT` on plain loopback. Nothing but its
    random id is in it.
  - A request with the header `Lanman-Unattended` is none that a person made: the page sends it where it asks by itself.
    Neither is the one for a stream.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lanman.errors import LanmanError
from lanman.faces.web.answers import Refused, answer, error_answer, object_of, refused_by, text_of
from lanman.faces.web.attempts import TooOften
from lanman.faces.web.people import Access, Person, Refusal, TooMany
from lanman.net.approach import PLAIN, Approach
from lanman.net.credentials import Credentials
from lanman.shown import escape

if TYPE_CHECKING:
    from lanman.faces.web.console import Console, Offered
    from lanman.faces.web.protection import Application, Origin, Receive, Scope, Send

log: Final = logging.getLogger("lanman.web")

API: Final = "/api/v1/"
OPEN: Final = frozenset({f"{API}login", f"{API}healthz", f"{API}openapi.json"})
STREAM: Final = f"{API}events"
UNATTENDED: Final = "lanman-unattended"
ONCE_LASTS: Final = 600.0
MAX_NAME: Final = 256
MAX_PASSWORD: Final = 1024

NOBODY: Final = ("nobody is logged on", "log in first")


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
    # Browsers do not tell the ports of a host apart, and two consoles may run on one machine.
    return f"lanman-{server[1]}" if server and server[1] else "lanman-socket"


class WhoAsks:
    """ASGI: finds out whose request it is, behind `Protection`."""

    def __init__(self, inner: Application, console: Console) -> None:
        self._inner = inner
        self._console = console

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI: one request."""
        request = Request(scope)
        person, session = self._who(request)
        request.state.person, request.state.session = person, session
        path = scope["path"]
        if person is None and path.startswith(API) and path not in OPEN:
            refused = Refused(HTTPStatus.UNAUTHORIZED, NOBODY[0], hint=NOBODY[1])
            await error_answer(refused)(scope, receive, send)
            return
        await self._inner(scope, receive, send)

    def _who(self, request: Request) -> tuple[Person | None, str | None]:
        """Whose request it is, and the id of the session, where there is one."""
        people, now = self._console.people, self._console.clock()
        user = request.state.origin.proxy_user
        by_person = request.scope["path"] != STREAM and UNATTENDED not in request.headers
        key = request.cookies.get(cookie_name(request.scope), "")
        person = people.find(key, now) if key else None
        if person is not None and person.proxy_user != user:
            people.end(key, "the proxy names another user")
            person = None
        if person is not None:
            if by_person:
                people.touch(key, now)
            return person, key
        if user is None:
            return None, None
        return people.of_proxy(user, now, self._console.person_of_proxy, touch=by_person), None


def routes(console: Console, once: OneTime | None) -> list[Route]:
    """The routes of logging in and out. `once` is the word of the one-time link, where there is one."""

    async def show(request: Request) -> Response:
        person: Person | None = request.state.person
        if person is None:
            who = None
        else:
            who = {"name": person.name, "kind": person.kind, "servers": list(person.accesses)}
        return answer(servers=list(console.servers), readonly=console.settings.readonly, person=who)

    async def login(request: Request) -> Response:
        parts = await object_of(request)
        if "once" in parts:
            return _by_link(console, request, once, text_of(parts, "once"))
        return await _by_password(console, request, *(text_of(parts, name) for name in ("server", "user", "password")))

    async def logout(request: Request) -> Response:
        if request.state.session is not None:
            console.people.end(request.state.session, "logged out")
        response = Response(status_code=HTTPStatus.NO_CONTENT)
        _set_cookie(response, request, "", 0)
        return response

    return [
        Route(f"{API}login", show, methods=["GET"]),
        Route(f"{API}login", login, methods=["POST"]),
        Route(f"{API}logout", logout, methods=["POST"]),
    ]


def _by_link(console: Console, request: Request, once: OneTime | None, word: str) -> Response:
    origin: Origin = request.state.origin
    if once is None or not origin.is_here:
        log.warning("%s: a one-time link was refused: it is for this machine alone", origin.address)
        raise Refused(HTTPStatus.FORBIDDEN, "a one-time link is for the machine itself", hint="log in instead")
    if not once.use(word, console.clock()):
        log.warning("%s: a one-time link was refused", origin.address)
        raise Refused(
            HTTPStatus.UNAUTHORIZED, "this link was used, or is too old", hint="log in, or start `lanman web` again"
        )
    log.warning("%s: the one-time link was used", origin.address)
    return _begun(console, request, console.person_of_link())


async def _by_password(console: Console, request: Request, server: str, user: str, password: str) -> Response:
    offered = console.servers.get(server)
    if offered is None:
        known = ", ".join(console.servers)
        raise Refused(HTTPStatus.NOT_FOUND, "the console was not given this server", hint=f"it has {known}")
    credentials = _credentials(user, password)
    origin: Origin = request.state.origin
    access = await _log_on(console, offered, credentials, origin.address)
    person: Person | None = request.state.person
    # It may have ended, by idleness or in another tab, while the server judged the password.
    session = request.state.session
    if person is None or session is None or console.people.find(session, console.clock()) is not person:
        made = Person(access.user, "login", {server: access}, proxy_user=origin.proxy_user)
        return _begun(console, request, made)
    console.people.give(person, access)
    key = console.people.renew(session, console.clock())
    assert key is not None
    return _let_in(request, key)


def _credentials(user: str, password: str) -> Credentials:
    """Who logs in. `DOMAIN\\user`, `user@domain` and `user`, as the command takes them. Raises Refused 400."""
    name, percent, rest = user.strip().partition("%")
    named = Credentials.parse(name)
    named.user_name += percent + rest
    if not named.user_name.strip() or len(user) > MAX_NAME or not user.strip().isprintable():
        raise Refused(HTTPStatus.BAD_REQUEST, "the user's name is empty, or none", hint=r"it is USER or DOMAIN\USER")
    if len(password) > MAX_PASSWORD:
        raise Refused(HTTPStatus.BAD_REQUEST, f"a password has at most {MAX_PASSWORD} characters")
    if any("\ud800" <= each <= "\udfff" for each in password):
        raise Refused(HTTPStatus.BAD_REQUEST, "the password has half of a surrogate pair, which is no character")
    return Credentials(named.user_name, password, domain=named.domain)


async def _log_on(console: Console, offered: Offered, credentials: Credentials, address: str) -> Access:
    """Log on for real. Raises Refused."""
    who = escape(credentials.logon_name)
    account = credentials.user_name.partition("@")[0]
    try:
        attempt = console.attempts.begin(offered.name, account, address, console.clock())
    except TooOften as error:
        log.warning("%s: %s at %s may not try: %s", address, who, escape(offered.name), error.why)
        minutes = -(-error.wait // 60)
        hint = f"try again in {minutes} minutes" if error.wait > 60 else f"try again in {error.wait} seconds"
        raise Refused(
            HTTPStatus.TOO_MANY_REQUESTS, error.why, hint=hint, headers={"retry-after": str(error.wait)}
        ) from None
    proof = _Proof()
    opening = offered.opening_as(credentials, Approach(on_proof=proof.leaves, on_logon=proof.holds))
    try:
        async with opening():
            pass
    except LanmanError as error:
        credentials.password = None
        log.warning("%s: %s did not log on at %s: %s", address, who, escape(offered.name), escape(error.message))
        raise refused_by(error) from None
    finally:
        if proof.is_right:
            console.attempts.succeeded(attempt)
        elif proof.was_sent:
            # Without an answer it may have been judged all the same.
            console.attempts.failed(attempt, console.clock())
        else:
            console.attempts.forgiven(attempt)
    log.warning("%s: %s is logged on at %s", address, who, escape(offered.name))
    refusal = Refusal()
    opening = refusal.guard(offered.opening_as(credentials, PLAIN))
    may_order = not console.settings.readonly
    return Access(offered.name, credentials.logon_name, opening, may_order, credentials, refusal)


class _Proof:
    """What one log-on showed of its password."""

    was_sent = False
    is_right = False

    def leaves(self) -> None:
        """Something leaves that the server can judge the password by."""
        self.was_sent = True

    def holds(self) -> None:
        """The server has taken it."""
        self.is_right = True


def _begun(console: Console, request: Request, person: Person) -> Response:
    if request.state.session is not None:
        console.people.end(request.state.session, "another log-in")
    try:
        key = console.people.begin(person, console.clock())
    except TooMany:
        console.people.forget(person)
        raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "too many people are logged on", hint="try again later") from None
    return _let_in(request, key)


def _let_in(request: Request, key: str) -> Response:
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
