"""What a request must be before anything else looks at it, and what every answer says to the browser.

Rules, in their order:

  - Where the listener is neither for this machine alone nor TLS, only the trusted proxy may ask at all.
  - What a proxy says of a request (`X-Forwarded-For`, `X-Forwarded-Proto`, the header that names a user) counts from
    the trusted proxy alone, whose address is compared exactly. A user's header from anybody else is refused.
  - Host is a numeric address, a name of this machine, of the certificate, or one that was allowed: a page on the
    Internet can make a name of its own lead here (DNS rebinding), but not one of these, nor an address.
  - A request that may change something comes from our own page, by what the browser says of it (Sec-Fetch-Site, else
    Origin); so does each one of the REST interface. A program that says neither is no browser, and has none's cookie.
  - A body is JSON, of at most `MAX_BODY` bytes, which are there after `BODY_TIMEOUT` seconds. GET has none.
  - Nobody else's page may show ours, read its answers or run a script in it; nothing of the interface is kept by
    caches. There is no CORS.

After a request whose body was not read, its connection ends.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import field
from http import HTTPStatus
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders

from lanman.faces.web.answers import Refused, error_answer
from lanman.faces.web.seldom import Seldom
from lanman.plain import dataclass
from lanman.shown import escape

log: Final = logging.getLogger("lanman.web")

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY: Final = 1 << 20
"""A plan names up to 10,000 rows by their keys."""
BODY_TIMEOUT: Final = 10.0
MAX_USER: Final = 256
SOCKET: Final = "unix"
"""What stands for the address of whoever comes by a Unix socket."""

API: Final = "/api/"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_CLOSE: Final = {"connection": "close"}

CONTENT_SECURITY_POLICY: Final = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
ALWAYS: Final = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts where the console listens. `hosts` are names in lower case, `*.example.com` among them; `proxy` is
    the address of the trusted proxy, or `SOCKET` for whoever comes by the Unix socket; `user_header` in lower case
    names the user there. `proxy_only`: nobody but the proxy may ask."""

    hosts: frozenset[str] = field(default_factory=lambda: frozenset({"localhost"}))
    proxy: str | None = None
    user_header: str | None = None
    proxy_only: bool = False


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from; `scope["state"]["origin"]`.

    `address` is that of the browser's machine as far as it is known, for limits and the log. `is_here`: whether it
    comes from this machine, and through no proxy. `proxy_user` is whom the trusted proxy says it to be.
    """

    address: str
    is_here: bool
    proxy_user: str | None = None


class Protection:
    """ASGI: the rules above, around an application."""

    def __init__(self, inner: Application, rules: Rules) -> None:
        self._inner = inner
        self._rules = rules
        self._seldom = Seldom(log)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI: one request."""
        if scope["type"] != "http":
            return

        async def answering(message: Message) -> None:
            if message["type"] == "http.response.start":
                _protect(message, scope["path"])
            await send(message)

        try:
            headers = Headers(scope=scope)
            scope.setdefault("state", {})["origin"] = self._origin(scope, headers)
            check_host(headers, self._rules.hosts)
            check_origin(scope, headers)
            body = await _body(scope, headers, receive)
        except Refused as refused:
            self._seldom.say(
                "%s: %s %s was refused: %s", _peer(scope), scope["method"], escape(scope["path"][:200]), refused.message
            )
            answer = error_answer(refused)
            answer.headers.update(_CLOSE)
            await answer(scope, receive, answering)
            return
        await self._inner(scope, receive if body is None else _again(body, receive), answering)

    def _origin(self, scope: Scope, headers: Headers) -> Origin:
        """Where it comes from. Takes over the scheme that a trusted proxy tells. Raises Refused."""
        rules, peer = self._rules, _peer(scope)
        is_proxy = rules.proxy is not None and peer == rules.proxy
        if rules.proxy_only and not is_proxy:
            raise Refused(HTTPStatus.FORBIDDEN, "only the proxy in front may ask here")
        named = headers.getlist(rules.user_header) if rules.user_header is not None else []
        forwarded = [part.strip() for value in headers.getlist("x-forwarded-for") for part in value.split(",")]
        if not is_proxy:
            if named:
                raise Refused(HTTPStatus.FORBIDDEN, f"{rules.user_header} counts from the trusted proxy alone")
            by_somebody = bool(forwarded) or "forwarded" in headers or "via" in headers
            return Origin(network(peer), not by_somebody and _is_here(peer, scope))
        if headers.get("x-forwarded-proto", "").lower() == "https":
            scope["scheme"] = "https"
        # The last one is what the proxy itself saw; those before it are what it was told.
        return Origin(network(_address(forwarded[-1]) if forwarded else peer), False, _user(named))


def _user(named: list[str]) -> str | None:
    if not named or named == [""]:
        return None
    if len(named) > 1 or len(named[0]) > MAX_USER:
        raise Refused(HTTPStatus.BAD_REQUEST, "the proxy names no user, or several")
    try:
        # What travels in headers is Latin-1 to ASGI, and UTF-8 to proxies.
        return named[0].encode("latin-1").decode()
    except ValueError:
        return named[0]


def _peer(scope: Scope) -> str:
    return peer_address(scope.get("client"))


def peer_address(peer: Any) -> str:
    """The address of a peer, in its usual form, from what a socket or ASGI has for it; `SOCKET` for a Unix socket's."""
    return _address(peer[0]) if isinstance(peer, tuple | list) and peer and peer[0] else SOCKET


def _address(text: str) -> str:
    """An address in its usual form; any other text as "" ."""
    bare = re.sub(r"\A\[([^\]]*)\](?::[0-9]+)?\Z", r"\1", text)
    bare = re.sub(r"\A([0-9.]+):[0-9]+\Z", r"\1", bare)
    try:
        address = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return ""
    return str(getattr(address, "ipv4_mapped", None) or address)


def _is_loopback(address: str) -> bool:
    return address != "" and ipaddress.ip_address(address).is_loopback


def _is_here(peer: str, scope: Scope) -> bool:
    """Whether a peer is on this machine: the socket, loopback, or the very address that it has come to."""
    server = scope.get("server")
    return peer == SOCKET or _is_loopback(peer) or (server is not None and peer != "" and peer == _address(server[0]))


def network(address: str) -> str:
    """Who is counted as one: an address, or the /64 that one of IPv6 is in."""
    if ":" not in address:
        return address
    return str(ipaddress.ip_network(f"{address}/64", strict=False)) if not _is_loopback(address) else address


# --- Host and Origin


def check_host(headers: Headers, hosts: frozenset[str]) -> None:
    """Raise Refused 421 for a Host that is none of ours, and 400 for none at all or for several."""
    named = headers.getlist("host")
    if len(named) != 1 or not named[0]:
        raise Refused(HTTPStatus.BAD_REQUEST, "a request names one host")
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]/@\s]+)(?::[0-9]{1,5})?", named[0])
    if match is None:
        raise Refused(HTTPStatus.BAD_REQUEST, "the host that a request names is none")
    host = match[1].lower()
    name = host.removesuffix(".")
    if _is_address(host) or name in hosts or f"*.{name.partition('.')[2]}" in hosts:
        return
    raise Refused(
        HTTPStatus.MISDIRECTED_REQUEST,
        f"{escape(host[:253])}: this console is not called so",
        hint=f"come by its address, or start it with --allow-host {escape(name[:253])}",
    )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def check_origin(scope: Scope, headers: Headers) -> None:
    """Raise Refused 403 for a request that another site's page has sent, as Go's CrossOriginProtection tells them."""
    site = headers.get("sec-fetch-site")
    if scope["method"] in _SAFE:
        if site in ("cross-site", "same-site") and scope["path"].startswith(API):
            raise Refused(HTTPStatus.FORBIDDEN, "another site's page may not ask")
        return
    if site is not None:
        if site not in ("same-origin", "none"):
            raise Refused(HTTPStatus.FORBIDDEN, "another site's page may not ask")
        return
    origins = headers.getlist("origin")
    if not origins:
        return
    match = re.fullmatch(r"https?://([^/?#@\s]+)", origins[0])
    if len(origins) > 1 or match is None or match[1].lower() != headers["host"].lower():
        raise Refused(HTTPStatus.FORBIDDEN, "another site's page may not ask")


# --- bodies


async def _body(scope: Scope, headers: Headers, receive: Receive) -> bytes | None:
    """The whole body of a request that may have one; None for one that has none. Raises Refused 400, 408, 413, 415."""
    length = headers.get("content-length", "0")
    if "transfer-encoding" in headers and "content-length" in headers:
        # A proxy in front may have taken the other length, and what follows for another request (RFC 9112 6.3).
        raise Refused(HTTPStatus.BAD_REQUEST, "a body has one length")
    if "transfer-encoding" not in headers and length == "0":
        return None
    if scope["method"] in _SAFE:
        raise Refused(HTTPStatus.BAD_REQUEST, f"{scope['method']} has no body")
    kind, _, parameters = headers.get("content-type", "").partition(";")
    if kind.strip().lower() != "application/json" or parameters.strip().lower() not in ("", "charset=utf-8"):
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "a body is application/json here")
    if not re.fullmatch(r"[0-9]{1,18}", length) or int(length) > MAX_BODY:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {MAX_BODY} bytes")
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            return await _read(receive)
    except TimeoutError:
        raise Refused(HTTPStatus.REQUEST_TIMEOUT, "the body did not come") from None


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(HTTPStatus.BAD_REQUEST, "the body did not come")
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {MAX_BODY} bytes")
        if not message.get("more_body", False):
            return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """ASGI's `receive` for a body that was read; what comes after it is as it was."""
    given = False

    async def once_more() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once_more


# --- answers


def _protect(start: Message, path: str) -> None:
    """Add to the beginning of an answer what every answer says."""
    headers = MutableHeaders(raw=list(start.get("headers", [])))
    for name, value in ALWAYS.items():
        headers[name] = value
    if path.startswith(API):
        headers["cache-control"] = "no-store"
    start["headers"] = headers.raw
