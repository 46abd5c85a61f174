"""The browser's side of the console against a scripted one: the real pages, and answers that a test writes down.

No server and no socket: every request of the page is answered by the test.

    console = await scripted(page)
    console.answers["GET", "servers"] = {"schema": 1, "servers": [...]}
    await console.open("#/servers")
    await console.say("hello", {...})

An answer is what JSON the path answers with, or a pair of a status and that, or a function of what is asked (`Asked`)
that returns one of both. What has no answer is 404. Everything that is asked stands in `asked`.
"""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import lanman
from support.web_pages import PATIENCE

if TYPE_CHECKING:
    from playwright.async_api import Page, Route

ORIGIN: Final = "http://console.test"
STATIC: Final = Path(lanman.__file__).parent / "faces" / "web" / "static"

_POLICY: Final = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

# In place of the browser's stream: a test says what comes. A request for it is answered here and not by a route, which
# would have to be answered in full.
_SOURCES: Final = """
delete window.SharedWorker;
window.sources = new Set();
window.streaming = new Promise((resolve, reject) => {
  window.streams = resolve;
  setTimeout(() => reject(new Error("the page has asked for no stream")), PATIENCE);
});
window.streaming.catch(() => {});
const asking = window.fetch;
window.fetch = (what, init) => {
  if (!new URL(what, document.baseURI).pathname.endsWith("/api/v1/events")) return asking(what, init);
  const body = new ReadableStream({
    start(source) {
      window.sources.add(source);
      init?.signal?.addEventListener("abort", () => {
        window.sources.delete(source);
        source.error(init.signal.reason);
      });
      window.streams();
    },
  });
  return Promise.resolve(new Response(body, { headers: { "Content-Type": "text/event-stream" } }));
};
"""

_SAY: Final = """
async (text) => {
  await window.streaming;
  for (const source of window.sources) source.enqueue(new TextEncoder().encode(text));
}
"""


class Asked(NamedTuple):
    """A request that the page has made of the REST interface. `path` is behind `/api/v1/`."""

    method: str
    path: str
    params: dict[str, str]
    body: Any


Answer = Any | Callable[[Asked], Any]


class ScriptedConsole:
    """A page of the console, and what it is told."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.answers: dict[tuple[str, str], Answer] = {}
        self.asked: list[Asked] = []
        self._sequence = 0

    async def open(self, place: str = "") -> None:
        """Open the console at a place: `#/servers`."""
        await self.page.goto(f"{ORIGIN}/{place}")

    async def say(self, event: str, data: Any) -> None:
        """Send an event by the stream; waits until there is one."""
        self._sequence += 1
        text = f"id: e-{self._sequence}\nevent: {event}\ndata: {json.dumps(data)}\n\n"
        await self.page.evaluate(_SAY, text)

    def bodies(self, method: str, path: str) -> list[Any]:
        """What was sent to a path, in order."""
        return [asked.body for asked in self.asked if (asked.method, asked.path) == (method, path)]

    async def answer(self, route: Route) -> None:
        """Answer one request of the page."""
        request = route.request
        url = urlsplit(request.url)
        if url.path.startswith("/api/v1/"):
            params = {name: values[-1] for name, values in parse_qs(url.query).items()}
            asked = Asked(request.method, unquote(url.path.removeprefix("/api/v1/")), params, request.post_data_json)
            self.asked.append(asked)
            status, body = self._of(asked)
            await route.fulfill(
                status=status, content_type="application/json", body="" if body is None else json.dumps(body)
            )
            return
        file = STATIC / (url.path.lstrip("/") or "index.html")
        if not file.is_file():
            await route.fulfill(status=404, body="")
            return
        kind = "text/javascript" if file.suffix == ".js" else mimetypes.guess_type(file.name)[0]
        headers = {"Content-Type": kind or "text/plain", "Content-Security-Policy": _POLICY}
        await route.fulfill(status=200, body=file.read_bytes(), headers=headers)

    def _of(self, asked: Asked) -> tuple[int, Any]:
        answer = self.answers.get((asked.method, asked.path))
        if callable(answer):
            answer = answer(asked)
        if answer is None:
            return 404, {"schema": 1, "error": {"code": 404, "message": f"nothing at {asked.path}", "hint": None}}
        return answer if isinstance(answer, tuple) else (200, answer)


async def scripted(page: Page) -> ScriptedConsole:
    """The scripted console behind a page."""
    console = ScriptedConsole(page)
    await page.add_init_script(_SOURCES.replace("PATIENCE", str(PATIENCE)))
    await page.route("**/*", console.answer)
    return console
