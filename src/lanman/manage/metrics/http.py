"""The little of HTTP that a scraper needs: GET and HEAD of /metrics, one request for each connection.

The rules:

  - A request has a head of at most `MAX_HEAD` bytes, which is there after `HEAD_TIMEOUT` seconds; an answer is taken
    within `SEND_TIMEOUT` seconds. Otherwise the connection ends.
  - There are at most `MAX_SCRAPERS` connections. One more takes the place of the oldest that has not asked yet; where
    all have asked, it is told to come again (503).
  - On an address of the loopback interface, Host is an address, `localhost` or a name of this machine: a page in a
    browser cannot read figures by a name that it made lead here.
  - What has been answered is closed. Nothing that a peer sends raises anything or is written to a log.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final, cast

MAX_HEAD: Final = 8192
MAX_SCRAPERS: Final = 16
HEAD_TIMEOUT: Final = 5.0
SEND_TIMEOUT: Final = 10.0

PATH: Final = "/metrics"
_PLAIN: Final = "text/plain; charset=utf-8"
_REQUEST_LINE: Final = re.compile(r"([A-Z]{1,16}) (\S{1,2048}) HTTP/1\.[01]")
_FIELD: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*")

Scrape = Callable[[str], Awaitable[tuple[str, bytes]]]
"""Gives the content type and the figures, for a header Accept."""


class Request:
    """The head of a request. Raises ValueError for what is none."""

    def __init__(self, head: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        if (line := _REQUEST_LINE.fullmatch(first)) is None:
            raise ValueError("not a request line")
        self.method, target = line[1], line[2]
        # A proxy may be asked in the absolute form (RFC 9112 3.2.2).
        self.path = re.sub(r"\Ahttps?://[^/?#]*", "", target, flags=re.IGNORECASE).partition("?")[0]
        fields: dict[str, list[str]] = {}
        for each in filter(None, lines):
            if (field := _FIELD.fullmatch(each)) is None:
                raise ValueError("not a header")
            fields.setdefault(field[1].lower(), []).append(field[2])
        self.fields: Mapping[str, str] = {name: ",".join(values) for name, values in fields.items()}


class HttpServer:
    """Answers scrapers on a socket that listens, which stays its owner's to close.

    `host_names` are those that a request may name in Host; None admits any.
    """

    def __init__(self, scrape: Scrape, *, host_names: frozenset[str] | None = None) -> None:
        self.scrape = scrape
        self.host_names = host_names
        self._server: asyncio.Server | None = None
        self._scrapers: dict[_Scraper, None] = {}  # in the order in which they came
        self._refused: set[_Scraper] = set()  # whose answer is on the way

    async def start(self, listener: socket.socket) -> None:
        """Accept from now on."""
        listener.setblocking(False)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Scraper(self), sock=listener)

    async def close(self) -> None:
        """End all connections, and accept no more. May be called twice."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        tasks = [task for each in [*self._scrapers, *self._refused] if (task := each.abort()) is not None]
        await asyncio.gather(*tasks, return_exceptions=True)

    def has_room(self, scraper: _Scraper) -> bool:
        """Count a connection that has come; whether it may ask."""
        if len(self._scrapers) >= MAX_SCRAPERS:
            silent = next((each for each in self._scrapers if each.answering is None), None)
            if silent is None:
                self._refused.add(scraper)
                return False
            silent.abort()
            self._scrapers.pop(silent, None)
        self._scrapers[scraper] = None
        return True

    def gone(self, scraper: _Scraper) -> None:
        """Forget a connection that has ended."""
        self._scrapers.pop(scraper, None)
        self._refused.discard(scraper)


class _Scraper(asyncio.Protocol):
    """One connection."""

    def __init__(self, server: HttpServer) -> None:
        self.answering: asyncio.Task[None] | None = None
        self._server = server
        self._head = bytearray()
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None
        self._asked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: somebody has come."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        self._within(HEAD_TIMEOUT)
        if not self._server.has_room(self):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "too many ask at once")

    def connection_lost(self, error: Exception | None) -> None:
        """asyncio: the connection has ended."""
        if self._timer is not None:
            self._timer.cancel()
        if self.answering is not None:
            self.answering.cancel()
        self._server.gone(self)

    def abort(self) -> asyncio.Task[None] | None:
        """End the connection at once; what still works for it, if anything does."""
        self._transport.abort()
        if self.answering is not None:
            self.answering.cancel()
        return self.answering

    def data_received(self, data: bytes) -> None:
        """asyncio: a piece of the request, or of what nobody asked for."""
        if self._asked:
            return
        # An empty line before the request is no part of it (RFC 9112 2.2).
        self._head += data if self._head else data.lstrip(b"\r\n")
        end = self._head.find(b"\r\n\r\n")
        if end < 0 and len(self._head) <= MAX_HEAD:
            return
        if not 0 <= end <= MAX_HEAD:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the request is too long")
            return
        try:
            request = Request(bytes(self._head[:end]))
        except ValueError:
            self._refuse(HTTPStatus.BAD_REQUEST, "this is no request")
            return
        self._asked = True
        self._head.clear()
        self._handle(request)

    def _handle(self, request: Request) -> None:
        whole = request.method != "HEAD"
        if not self._is_ours(request.fields.get("host", "")):
            self._refuse(HTTPStatus.FORBIDDEN, "this address is asked by itself or as localhost", whole=whole)
        elif request.method not in ("GET", "HEAD"):
            self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "there is GET and HEAD", fields="Allow: GET, HEAD\r\n")
        elif request.path == "/":
            self._answer(HTTPStatus.OK, _PLAIN, f"lanman: the figures are at {PATH}\n".encode(), whole=whole)
        elif request.path != PATH:
            self._refuse(HTTPStatus.NOT_FOUND, f"the figures are at {PATH}", whole=whole)
        else:
            # How long it takes to work them out is no fault of the scraper.
            self._within(None)
            self.answering = asyncio.create_task(self._scrape(request.fields.get("accept", ""), whole))

    def _is_ours(self, host: str) -> bool:
        names = self._server.host_names
        name = re.sub(r":[0-9]*\Z", "", host).lower()
        if names is None or not name or name in names:
            return True
        try:
            ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
        except ValueError:
            return False
        return True

    async def _scrape(self, accept: str, whole: bool) -> None:
        try:
            content_type, figures = await self._server.scrape(accept)
        except Exception:
            # An error of ours, which the loop reports; the scraper is told that there is one.
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "an error of lanman's", whole=whole)
            raise
        self._answer(HTTPStatus.OK, content_type, figures, whole=whole)

    def _refuse(self, status: HTTPStatus, why: str, *, fields: str = "", whole: bool = True) -> None:
        self._asked = True
        self._answer(status, _PLAIN, f"{why}\n".encode(), fields=fields, whole=whole)

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes, *, fields: str = "", whole: bool) -> None:
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\nCache-Control: no-store\r\n"
            f"X-Content-Type-Options: nosniff\r\n{fields}\r\n"
        )
        self._within(SEND_TIMEOUT)
        self._transport.write(head.encode("latin-1") + (body if whole else b""))
        self._transport.close()  # after what is written has gone

    def _within(self, seconds: float | None) -> None:
        """End the connection after so long; not by itself, for None."""
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = None if seconds is None else loop.call_later(seconds, self._transport.abort)
