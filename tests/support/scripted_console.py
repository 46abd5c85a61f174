"""A web console whose servers are scripted: the pages as they are, and an interface that says what a test wants.

    console = ScriptedConsole()
    console.rows["fs1", "session"] = [session(1), session(2)]
    async with serving(console) as url:
        await page.goto(f"{url}/#/server/fs1/sessions")
        console.tell(open=[session(3)])

It keeps the places of the stream as the console does: a list is of the newest place, whoever resumes with
Last-Event-ID is given what came since, and is told `resync` where that is not known any more.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import lanman

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

STATIC: Final = Path(lanman.__file__).parent / "faces" / "web" / "static"
POLICY: Final = "default-src 'self'"

_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}

Row = dict[str, Any]

PERSON: Final[Row] = {"name": "tester", "kind": "login"}


def session(number: int, **more: Any) -> Row:
    """A session as the console tells it; each number has another client, user and times."""
    return {
        "key": f"session:{number}",
        "kind": "session",
        "client_name": f"\\\\10.0.{number // 250}.{number % 250 + 1}",
        "user_name": f"user{number % 97}",
        "num_opens": number % 7,
        "begun_at": _at(number * 7 % 80_000),
        "begun_how": "told",
        "used_at": _at(number * 13 % 5_000 + 60_000),
        **dict.fromkeys(("user_flags", "client_type", "transport", "shares", "domain", "address", "dialect")),
        **dict.fromkeys(("signing", "encryption", "anonymous", "guest", "channels")),
    } | more


def file(number: int, **more: Any) -> Row:
    """An open file as the console tells it."""
    return {
        "key": f"file:{number}",
        "kind": "file",
        "id": number,
        "path": f"C:\\data\\folder{number % 40}\\file{number}.xlsx",
        "user_name": f"user{number % 97}",
        "permissions": 1 + number % 3,
        "num_locks": number % 2,
        "client_name": f"\\\\10.0.0.{number % 250 + 1}",
        "client_how": "inferred",
        "candidates": [],
        "opened_at": _at(number % 70_000),
        "opened_how": "seen",
        **dict.fromkeys(("not_before", "session", "share", "oplock", "lease", "lease_key")),
    } | more


def share(name: str, **more: Any) -> Row:
    """A share as the console tells it."""
    return {
        "key": f"share:{name}",
        "kind": "share",
        "name": name,
        "type": 0,
        "path": f"C:\\srv\\{name}",
        "remark": "",
        "max_uses": 0xFFFFFFFF,
        "current_uses": 1,
        "problem": None,
    } | more


def _at(second: int) -> str:
    return f"2026-11-25T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.000Z"


class ScriptedConsole:
    """An ASGI application. `servers` is what `hello` says of them; `rows` are by server and kind."""

    def __init__(self) -> None:
        self.servers: dict[str, Row] = {
            "fs1": {"name": "fs1", "state": "up", "level": 502, "capabilities": {}, "why": {}}
        }
        self.rows: dict[tuple[str, str], list[Row]] = {}
        self.epoch = "e1"
        self.number = 0
        self.status = 200
        """How requests for the stream are answered."""
        self.list_status = 200
        self.asked: list[str] = []
        """The paths that were asked for, in order."""
        self.resumed: list[str] = []
        """The Last-Event-ID of each stream; "" for none."""
        self.plans: list[Row] = []
        self.readonly = False
        self._told: list[tuple[str, int, str]] = []
        self._streams: set[asyncio.Queue[str | None]] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        from starlette.requests import Request

        if scope["type"] != "http":
            return
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    # --- what a test says

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    def tell(self, server: str = "fs1", **parts: Sequence[Row]) -> None:
        """Have rows open, change and close, and tell all streams of it."""
        delta = {name: list(parts.get(name, ())) for name in ("open", "change", "close")}
        for row in delta["close"]:
            rows = self.rows[server, row["key"].split(":")[0]]
            rows[:] = [one for one in rows if one["key"] != row["key"]]
        for row in delta["open"]:
            self.rows.setdefault((server, row["kind"]), []).append(row)
        for row in delta["change"]:
            rows = self.rows[server, row["key"].split(":")[0]]
            rows[:] = [one | row if one["key"] == row["key"] else one for one in rows]
        first = self.number + 1
        self.say("delta", {"v": 1, "server": server, "seq": [first, first], "how": "polled", **delta})

    def say(self, name: str, data: Mapping[str, Any]) -> None:
        """Tell all streams of an event, with the next number."""
        self.number += 1
        event = f"id: {self.epoch}-{self.number}\nevent: {name}\ndata: {json.dumps(data)}\n\n"
        self._told.append((self.epoch, self.number, event))
        for queue in self._streams:
            queue.put_nowait(event)

    def have(self, server: str, **state: Any) -> None:
        """Something is otherwise about a server."""
        self.servers[server] |= state
        self.say("server", {"v": 1, "server": server, **self.servers[server]})

    def break_streams(self) -> None:
        """End all streams, as a network does."""
        for queue in self._streams:
            queue.put_nowait(None)

    def restart(self) -> None:
        """Be another run of the console: nobody can resume."""
        self.epoch += "x"
        self.number = 0
        self._told.clear()
        self.break_streams()

    # --- what it answers

    async def _answer(self, request: Request) -> Response:
        from starlette.responses import FileResponse, JSONResponse

        path = request.url.path
        self.asked.append(f"{request.method} {path}")
        if not path.startswith("/api/v1/"):
            file = STATIC / (path.lstrip("/") or "index.html")
            if not file.is_file():
                return JSONResponse(error(404, "there is nothing here"), status_code=404)
            return FileResponse(file, media_type=_TYPES.get(file.suffix), headers={"Content-Security-Policy": POLICY})
        match path.removeprefix("/api/v1/").split("/"):
            case ["events"]:
                return self._events(request)
            case ["login"]:
                return JSONResponse({"schema": 1, "person": PERSON, "readonly": self.readonly})
            case ["servers"]:
                return JSONResponse({"schema": 1, "servers": list(self.servers.values())})
            case ["servers", server, "plans"]:
                return JSONResponse(self._plan(server, await request.json()), status_code=201)
            case ["servers", server, kinds]:
                return self._list(server, kinds)
        return JSONResponse(error(404, "there is nothing here"), status_code=404)

    def _list(self, server: str, kinds: str) -> Response:
        from starlette.responses import JSONResponse

        if self.list_status != 200:
            return JSONResponse(error(self.list_status, "Access is denied."), status_code=self.list_status)
        rows = self.rows.get((server, kinds.removesuffix("s")), [])
        return JSONResponse({"schema": 1, "server": server, "at": f"{self.epoch}-{self.number}", "rows": rows})

    def _plan(self, server: str, asked: Row) -> Row:
        self.plans.append({"server": server, **asked})
        rows = [{"key": key, "cost": "reopen", "cost_why": "read access"} for key in asked["targets"]]
        plan = {"schema": 1, "plan": f"p{len(self.plans)}", "expires_in": 60, "rows": rows, "bystanders": []}
        return plan | {"left_out": [], "grave": False, "confirm": None}

    def _events(self, request: Request) -> Response:
        from starlette.responses import JSONResponse, StreamingResponse

        if self.status != 200:
            return JSONResponse(error(self.status, "not now"), status_code=self.status)
        last = request.headers.get("Last-Event-ID", "")
        self.resumed.append(last)
        return StreamingResponse(
            self._stream(last), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    async def _stream(self, last: str) -> AsyncIterator[str]:
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        hello = {
            "v": 1,
            "readonly": self.readonly,
            "person": PERSON,
            "servers": list(self.servers.values()),
        }
        epoch, _, number = last.rpartition("-")
        place = last if epoch == self.epoch else f"{self.epoch}-{self.number}"
        queue.put_nowait(f"id: {place}\nevent: hello\ndata: {json.dumps(hello)}\n\n")
        if epoch == self.epoch:
            for _, told, missed in self._told:
                if told > int(number):
                    queue.put_nowait(missed)
        elif last:
            queue.put_nowait(f"id: {self.epoch}-{self.number}\nevent: resync\ndata: {json.dumps({'v': 1})}\n\n")
        self._streams.add(queue)
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            self._streams.discard(queue)


def error(code: int, message: str) -> Row:
    """An error as the console answers it."""
    return {"schema": 1, "error": {"code": code, "message": message, "hint": None}}
