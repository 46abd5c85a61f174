"""The stream of events of one browser: `GET /api/v1/events?servers=a,b` (Server-Sent Events, HTML 9.2).

The rules:

  - It begins with `hello`: who one is, and the state of each server, as it is known within `SETTLE` seconds. What there
    is on them comes from the lists, each with the place in the stream that it is of.
  - It tells what was told since the place that the browser was told up to (the header `Last-Event-ID`, or `after=`),
    where that is still known; else `resync` for each server of which something is missing.
  - A reader has no queue: what it is sent is what is new when it has taken what came before. One that takes nothing for
    `STALLED` seconds is let go. What is sent at once is at most `PIECE` bytes of what all readers share.
  - A comment comes after `SILENCE` seconds of nothing.
  - It ends when the person is logged off, when the browser has gone, and when the hub stops: at once, whatever it is
    doing.
"""

from __future__ import annotations

import asyncio
import contextlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response
from starlette.routing import Route

from lanman.faces.web.answers import Refused
from lanman.faces.web.live.deltas import as_json
from lanman.faces.web.live.hub import Hub, Listener, TooManyStreams
from lanman.faces.web.live.poll import VERSION
from lanman.faces.web.live.ring import News, event_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from lanman.faces.web.console import Console
    from lanman.faces.web.people import Person

SILENCE: Final = 15.0
STALLED: Final = 60.0
SETTLE: Final = 1.0
DRAIN_TIMEOUT: Final = 0.5
PIECE: Final = 64 << 10
RETRY: Final = 2000
"""After how many milliseconds a browser comes back whose stream ended."""

HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
    # Nothing follows on the connection of a stream: it need not wait for that.
    (b"connection", b"close"),
)
LOST: Final = "more has happened than is kept for a slow reader, or it is seen by another look"


def routes(console: Console) -> list[Route]:
    """The routes of what happens."""

    async def events(request: Request) -> Response:
        person: Person = request.state.person
        servers = _servers(request.query_params.get("servers"), list(console.servers))
        after = request.headers.get("last-event-id") or request.query_params.get("after")
        return EventStream(console.hub, person, servers, after, readonly=console.settings.readonly)

    return [Route("/api/v1/events", events, methods=["GET"])]


def _servers(asked: str | None, known: Sequence[str]) -> list[str]:
    """The servers that a stream is about: all, or those that are named. Raises Refused 404."""
    if not asked:
        return list(known)
    names = list(dict.fromkeys(asked.split(",")))
    if unknown := [name for name in names if name not in known]:
        raise Refused(
            HTTPStatus.NOT_FOUND, f"there is no server {unknown[0]} here", hint=f"there are {', '.join(known)}"
        )
    return names


class EventStream(Response):
    """The answer that goes on. Refuses with 429 or 503 where too many are open."""

    def __init__(
        self, hub: Hub, person: Person, servers: Sequence[str], after: str | None, *, readonly: bool = False
    ) -> None:
        self.background = None
        self._hub, self._person, self._servers, self._after = hub, person, servers, after
        self._readonly = readonly

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI: the whole life of the stream."""
        with contextlib.ExitStack() as stack:
            try:
                listener = stack.enter_context(self._hub.listen(self._person, self._servers, self._after))
            except TooManyStreams as error:
                status = HTTPStatus.SERVICE_UNAVAILABLE if error.of_all else HTTPStatus.TOO_MANY_REQUESTS
                raise Refused(status, error.message, hint=error.hint, headers={"retry-after": "30"}) from None
            telling = asyncio.create_task(self._write(listener, send))
            ends = [asyncio.create_task(listener.ended.wait()), asyncio.create_task(_gone(receive))]
            try:
                await asyncio.wait([telling, *ends], return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (telling, *ends):
                    task.cancel()
                await asyncio.wait([telling, *ends])
            if not telling.cancelled() and (failure := telling.exception()) is not None:
                if not isinstance(failure, TimeoutError | OSError):
                    raise failure
                return
        # Without this the browser takes the end for a broken connection, which is no harm where it has gone.
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(DRAIN_TIMEOUT):
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(self, listener: Listener, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
        await self._send(send, await self._hello(listener))
        while True:
            news = listener.news()
            for event in news.events:
                await self._send(send, event.data)
            for data in self._lost(news, listener):
                await self._send(send, data)
            if not await _is_set(listener.some, SILENCE):
                await self._send(send, b": nothing new\n\n")

    async def _send(self, send: Send, data: bytes) -> None:
        """Send something, and wait until it was taken. Raises TimeoutError."""
        async with asyncio.timeout(STALLED):
            for begin in range(0, len(data), PIECE):
                await send({"type": "http.response.body", "body": data[begin : begin + PIECE], "more_body": True})

    async def _hello(self, listener: Listener) -> bytes:
        """Who one is, and the state of each server. Its place is the one that the stream goes on from."""
        hub, person = self._hub, self._person
        known = [hub.attend(person, access).known for access in self._accesses()]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE):
                for each in known:
                    await each.wait()
        states = [hub.state_of(person, name) for name in self._servers]
        listener.begin()
        hello = {
            "v": VERSION,
            "readonly": self._readonly,
            "person": {"name": person.name, "kind": person.kind},
            "every": hub.every,
            "servers": states,
        }
        event = event_bytes(hub.numbers.place(listener.position), "hello", as_json(hello))
        return b"retry: %d\n" % RETRY + event

    def _accesses(self) -> list[Any]:
        accesses = self._person.accesses
        return [accesses[name] for name in self._servers if name in accesses]

    def _lost(self, news: News, listener: Listener) -> list[bytes]:
        """`resync` for each server of which something is missing."""
        names = listener.servers if "" in news.lost else news.lost
        number = self._hub.numbers.place(listener.position)
        return [event_bytes(number, "resync", as_json({"v": VERSION, "server": name, "why": LOST})) for name in names]


async def _gone(receive: Receive) -> None:
    """Wait until the browser has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _is_set(event: asyncio.Event, wait: float) -> bool:
    """Whether an event is set within so many seconds."""
    try:
        async with asyncio.timeout(wait):
            await event.wait()
    except TimeoutError:
        return False
    return True
