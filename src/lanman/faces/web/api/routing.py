"""How a path of the REST interface is declared: once, for what answers, what is checked, and what is documented.

    @route("GET", "/servers/{server}/shares", "Shares", answers={"rows": many(SHARE)}, query={"limit": whole()})
    async def shares(asked: Asked) -> Response: ...

The rules:

  - What a request may have is checked before its handler runs: the parameters of the query by name, form and number
    (none twice, none empty, none that is not known), and the body by its shape.
  - A path belongs to somebody who is logged on, unless it is declared `open`.
  - Whatever goes wrong is an answer of one form; of what lanman itself did wrong it says nothing, and the log all.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from starlette.exceptions import HTTPException
from starlette.routing import Route

from lanman import codes
from lanman.errors import LanmanError
from lanman.faces.web.answers import SCHEMA, Refused, error_answer, refused_by
from lanman.faces.web.api.shapes import Mismatch, Shape, check, record, shown, whole
from lanman.plain import dataclass

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from lanman.faces.web.console import Console
    from lanman.faces.web.people import Access, Person

log: Final = logging.getLogger("lanman.web")

PREFIX: Final = "/api/v1"

MAX_DEPTH: Final = 8
"""How deep objects and lists of a body may lie in each other."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request whose parts are as they were declared. `query` has what was given, `body` the object that was sent."""

    console: Console
    request: Request
    query: Mapping[str, Any]
    body: Mapping[str, Any]

    @property
    def person(self) -> Person:
        """Who asks."""
        person: Person | None = self.request.state.person
        if person is None:
            raise Refused(
                HTTPStatus.UNAUTHORIZED, "nobody is logged on", code=codes.ERROR_NOT_AUTHENTICATED, hint="log on first"
            )
        return person

    def named(self, name: str) -> str:
        """A part of the path."""
        return str(self.request.path_params[name])

    def known(self, name: str) -> str:
        """The name of a server that the console has. Raises Refused 404."""
        if name not in self.console.servers:
            raise Refused(
                HTTPStatus.NOT_FOUND,
                f"there is no server {shown(name)} here",
                code=codes.ERROR_BAD_NETPATH,
                hint=f"there are {', '.join(self.console.servers)}",
            )
        return name

    def access(self, server: str | None = None) -> Access:
        """What this person may ask of a server: the one in the path, or in the query. Raises Refused 404 for a server
        that there is not, 403 for one where this person is not logged on."""
        name = self.known(server or self.request.path_params.get("server") or self.query.get("server") or "")
        access = self.person.accesses.get(name)
        if access is None:
            raise Refused(
                HTTPStatus.FORBIDDEN,
                f"you are not logged on at {name}",
                code=codes.ERROR_NOT_AUTHENTICATED,
                hint=f"log on at {name} too",
            )
        return access


Handler = Callable[[Asked], Awaitable["Response"]]


@dataclass(frozen=True, slots=True)
class Declared:
    """One path and method. `answers` are the members of its answer beside `schema`; None for one that is no JSON, of
    the type `media`. `refusals` are the statuses of errors that are its own, beside those that all have."""

    method: str
    path: str
    summary: str
    handler: Handler = field(repr=False)
    about: str = ""
    query: Mapping[str, Shape] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    body: Shape | None = None
    answers: Mapping[str, Shape] | None = None
    optional: tuple[str, ...] = ()
    status: int = 200
    media: str = "application/json"
    refusals: tuple[int, ...] = ()
    is_open: bool = False

    @property
    def answer(self) -> Shape | None:
        """The shape of its whole answer."""
        if self.answers is None:
            return None
        return record({"schema": VERSION, **self.answers}, optional=self.optional)

    @property
    def parts(self) -> list[str]:
        """The names in its path."""
        return re.findall(r"\{(\w+)\}", self.path)


VERSION: Final = whole("the version of this form", SCHEMA, SCHEMA)

_declared: Final[list[Declared]] = []


def route(method: str, path: str, summary: str, **how: Any) -> Callable[[Handler], Handler]:
    """Declare a path, below `/api/v1`; see `Declared`."""

    def declare(handler: Handler) -> Handler:
        about = " ".join((handler.__doc__ or "").split())
        _declared.append(Declared(method, f"{PREFIX}{path}", summary, handler, about, **how))
        return handler

    return declare


def declared() -> list[Declared]:
    """Every path and method that was declared, by path; those of modules that were imported."""
    return sorted(_declared, key=lambda each: (each.path, each.method))


def routes_of(console: Console, each: Iterable[Declared]) -> list[Route]:
    """The routes of these, one for each path: so that another method is answered with those that there are."""
    by_path: dict[str, dict[str, Declared]] = {}
    for one in each:
        by_path.setdefault(one.path, {})[one.method] = one
    return [Route(path, _endpoint(console, methods), methods=_METHODS) for path, methods in by_path.items()]


def no_such_path() -> Route:
    """What answers below /api where nothing else does; it stands behind all other routes there."""

    async def nothing(request: Request) -> Response:
        refused = Refused(
            HTTPStatus.NOT_FOUND,
            "there is no such path",
            code=codes.ERROR_NOT_FOUND,
            hint=f"{PREFIX}/openapi.json tells which there are",
        )
        return error_answer(refused)

    return Route("/api/{rest:path}", nothing, methods=["GET"])


# A path has all of them, so that one that it does not know is answered here, and by no other route.
_METHODS: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def _endpoint(console: Console, methods: Mapping[str, Declared]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        one = methods.get("GET" if request.method == "HEAD" else request.method)
        if one is None:
            return error_answer(_not_so(request.method, methods))
        try:
            asked = Asked(console, request, _query(request, one), await _body(request, one))
            return await one.handler(asked)
        except Refused as refused:
            return error_answer(refused)
        except LanmanError as error:
            return error_answer(refused_by(error))
        except TimeoutError:  # of one of our own bounds; a server's own is a LanmanError
            return error_answer(_too_late())
        except HTTPException:
            raise
        except Exception:  # whatever it is, whoever asked is told so and no more
            log.exception("%s %s failed by an error of lanman's", one.method, one.path)
            return error_answer(failed())

    return endpoint


def _not_so(method: str, methods: Iterable[str]) -> Refused:
    allowed = ", ".join(sorted({*methods, *(("HEAD",) if "GET" in methods else ())}))
    return Refused(
        HTTPStatus.METHOD_NOT_ALLOWED,
        f"there is no {shown(method)} of this",
        code=codes.ERROR_NOT_SUPPORTED,
        hint=f"there is {allowed}",
        headers={"allow": allowed},
    )


def _too_late() -> Refused:
    return Refused(
        HTTPStatus.GATEWAY_TIMEOUT,
        "this has not been answered in time",
        code=codes.ERROR_SEM_TIMEOUT,
        hint="nothing was done; try again",
    )


def failed() -> Refused:
    """What is said where lanman itself did something wrong."""
    return Refused(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "this failed by an error of lanman's",
        code=codes.NERR_InternalError,
        hint="the log of `lanman web` says more",
    )


# --- what was sent


def bad_request(message: str, hint: str | None = None) -> Refused:
    """400: what was sent cannot be meant."""
    return Refused(HTTPStatus.BAD_REQUEST, message, code=codes.ERROR_INVALID_PARAMETER, hint=hint)


def _query(request: Request, one: Declared) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, text in request.query_params.multi_items():
        if name not in one.query:
            known = f"there are {', '.join(one.query)}" if one.query else "there are none"
            raise bad_request(f"the parameter {shown(name)} is not known here", known)
        if name in found:
            raise bad_request(f"the parameter {name} is given twice", "give it once")
        if not text:
            raise bad_request(
                f"the parameter {name} is empty: it would select nothing, or everything",
                "give it a value, or leave it out",
            )
        found[name] = _converted(name, text, one.query[name])
    for name in one.needs:
        if name not in found:
            raise bad_request(f"the parameter {name} is missing", one.query[name].get("description"))
    return found


def _converted(name: str, text: str, shape: Shape) -> Any:
    kind = shape["type"]
    value: Any = text
    if kind == "boolean" and text in ("true", "false"):
        value = text == "true"
    elif kind == "integer" and re.fullmatch(r"-?[0-9]{1,18}", text, re.ASCII):
        value = int(text)
    elif kind == "number" and re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,9})?", text, re.ASCII):
        value = float(text)
    _matches(value, shape, name)
    return value


def _matches(value: Any, shape: Shape, name: str = "") -> None:
    try:
        check(value, shape, name)
    except Mismatch as mismatch:
        raise bad_request(str(mismatch)) from None


async def _body(request: Request, one: Declared) -> dict[str, Any]:
    if one.body is None:
        # An object without members is as good as nothing: pages send one with every POST.
        if one.method != "GET" and (data := await request.body()) and parsed(data) != {}:
            raise bad_request("nothing is to be sent with this")
        return {}
    value = parsed(await request.body())
    _matches(value, one.body)
    assert isinstance(value, dict)
    return value


def parsed(data: bytes) -> Any:
    """The value that JSON means: in UTF-8, each name once, no NaN, not too deep. Raises Refused 400."""
    if _depth(data) > MAX_DEPTH:
        raise bad_request(f"objects and lists lie in each other deeper than {MAX_DEPTH}")
    try:
        return json.loads(data.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except ValueError:  # UnicodeDecodeError too, and numbers of thousands of digits
        raise bad_request("what was sent is no JSON in UTF-8") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise bad_request(f"{shown(name)} is given twice", "give it once")
            seen.add(name)
    return found


def _no_constant(name: str) -> Any:
    raise bad_request(f"{name} is no number of JSON")


_TEXTS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_ALL_ELSE: Final = re.compile(rb"[^][{}]+")


def _depth(data: bytes) -> int:
    depth = deepest = 0
    for byte in _ALL_ELSE.sub(b"", _TEXTS.sub(b"", data)):
        depth += 1 if byte in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest
