"""Debian's Chromium, by playwright, for what can be said of a page in a browser only.

    async with chromium() as browser, opened(browser, "dark") as (context, faults):
        page = await context.new_page()
        await page.goto(url)
        assert await axe(page) == []

The rules:

* Whatever a page says to the browser's console as an error (a violation of its Content-Security-Policy among others)
  and every exception of a script is a fault of the page. `Faults` has them, and a test fails by them unless it said
  which ones it brings about: `faults.allow("status of 401")`.
* A context has nothing of another one: no cookies, no cache, no storage.
* What is asserted of a page is waited for by playwright's `expect`, or by `until`; no test waits for time to pass.
* axe-core is evaluated by the debugger, to which no policy of the page applies: what is judged is the page as served.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, WebError

CHROMIUM: Final = "chromium"
AXE: Final = Path(__file__).parents[1] / "npm" / "node_modules" / "axe-core" / "axe.min.js"
KEPT: Final = Path(__file__).parents[2] / "build" / "pages-of-failed-tests"

ELSEWHERE: Final = "example"
"""Names that end in this lead to this machine in these browsers, as an attacker's would: http://evil.example:8000."""

PATIENCE: Final = 30_000
"""How long is waited for what a page is to show, in milliseconds."""

DESK: Final = {"width": 1280, "height": 800}
PHONE: Final = {"width": 390, "height": 844}

# What a context may be like: the options that playwright has for it. Times of pages are those of one zone and language.
_ALIKE: Final[dict[str, Any]] = {"locale": "en-GB", "timezone_id": "UTC", "reduced_motion": "reduce"}
VARIANTS: Final[dict[str, dict[str, Any]]] = {
    "light": _ALIKE | {"color_scheme": "light", "viewport": DESK},
    "dark": _ALIKE | {"color_scheme": "dark", "viewport": DESK},
    "phone": _ALIKE | {"color_scheme": "light", "viewport": PHONE, "has_touch": True},
    "dark-phone": _ALIKE | {"color_scheme": "dark", "viewport": PHONE, "has_touch": True},
}


def missing() -> str | None:
    """Why no page can be looked at here; None where one can."""
    if shutil.which(CHROMIUM) is None:
        return f"not installed: {CHROMIUM} (see system-packages.txt)"
    absent = [name for name in ("playwright", "starlette", "uvicorn") if importlib.util.find_spec(name) is None]
    return f"not installed: {', '.join(absent)} (see pyproject.toml)" if absent else None


def missing_axe() -> str | None:
    """Why axe-core cannot be asked here; None where it can."""
    return None if AXE.exists() else "not installed: axe-core (npm ci --prefix tests/npm)"


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser without a window, which is in the event loop that asks for it. It takes 0.6 s."""
    from playwright.async_api import async_playwright

    words = [f"--host-resolver-rules=MAP *.{ELSEWHERE} 127.0.0.1"]
    if os.geteuid() == 0:
        words.append("--no-sandbox")  # Chromium does not start with one as root
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which(CHROMIUM), args=words)
        try:
            yield browser
        finally:
            await browser.close()


class Faults:
    """What the pages of a context did wrong, in words, in order; and `said`, all of what they said to the console."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self._wrong: list[str] = []
        self._allowed: list[str] = []

    def allow(self, pattern: str) -> None:
        """What matches this regular expression is what the test brings about."""
        self._allowed.append(pattern)

    def listed(self) -> list[str]:
        """What was not allowed, before or afterwards."""
        return [words for words in self._wrong if not any(re.search(pattern, words) for pattern in self._allowed)]

    def console(self, message: ConsoleMessage) -> None:
        """Take what a page says to the browser's console."""
        words = f"{message.type}: {message.text} ({message.location.get('url', '')})"
        self.said.append(words)
        # The browser asks for the icon by itself, when it likes: after a test's server has gone, too.
        if message.type == "error" and "/favicon.ico" not in f"{message.text} {message.location}":
            self._wrong.append(words)

    def raised(self, error: WebError) -> None:
        """Take an exception that no script caught."""
        self.said.append(f"exception: {error.error}")
        self._wrong.append(self.said[-1])


@asynccontextmanager
async def opened(
    browser: Browser, variant: str = "light", **options: Any
) -> AsyncIterator[tuple[BrowserContext, Faults]]:
    """A new context of a variant, further options over it, and the faults of its pages."""
    context = await browser.new_context(**VARIANTS[variant] | options)
    context.set_default_timeout(PATIENCE)
    faults = Faults()
    context.on("console", faults.console)
    context.on("weberror", faults.raised)
    try:
        yield context, faults
    finally:
        await context.close()


class Browsing:
    """Contexts of one test, and what all their pages did wrong."""

    def __init__(self, browser: Browser, stack: AsyncExitStack) -> None:
        self._browser = browser
        self._stack = stack
        self._contexts: list[BrowserContext] = []
        self.faults: list[Faults] = []

    async def context(self, variant: str = "light", **options: Any) -> BrowserContext:
        """Another person's browser, so to say."""
        context, faults = await self._stack.enter_async_context(opened(self._browser, variant, **options))
        self._contexts.append(context)
        self.faults.append(faults)
        return context

    async def page(self, variant: str = "light", **options: Any) -> Page:
        """A page of its own context."""
        return await (await self.context(variant, **options)).new_page()

    def allow(self, pattern: str) -> None:
        """What matches is what the test brings about, in the contexts there are."""
        for faults in self.faults:
            faults.allow(pattern)

    async def keep(self, name: str) -> None:
        """Pictures of all pages, and what they said, for whoever looks into why a test failed."""
        KEPT.mkdir(parents=True, exist_ok=True)
        pages = [page for context in self._contexts for page in context.pages]
        for number, page in enumerate(pages, 1):
            path = KEPT / f"{re.sub(r'[^A-Za-z0-9_]+', '-', name)}-{number}.png"
            await page.screenshot(path=path)
            print(f"{page.url} looked like {path}", file=sys.stderr)
        for faults in self.faults:
            print("\n".join(["the console of the browser:", *faults.said]), file=sys.stderr)


async def axe(page: Page, within: str = "", *, rules: tuple[str, ...] = ()) -> list[str]:
    """What axe-core finds on the page as it is now, or in the part of it that a selector names: a line for each place.
    Everything is asked for but rules that axe-core itself calls experimental, or else the rules that are named."""
    if why := missing_axe():
        pytest.skip(why)
    if not await page.evaluate("typeof window.axe === 'object'"):
        await page.evaluate(AXE.read_text(encoding="utf-8"))
    options = {"resultTypes": ["violations"]} | ({"runOnly": list(rules)} if rules else {})
    found = await page.evaluate("([within, options]) => axe.run(within || document, options)", [within, options])
    return [
        f"{fault['impact']}: {fault['id']}: {fault['help']}: {node['html'][:200]} ({node['failureSummary']})"
        for fault in found["violations"]
        for node in fault["nodes"]
    ]


@asynccontextmanager
async def serving(app: Any, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """An ASGI application in this event loop, on a free port of the loopback interface: its address."""
    import uvicorn

    listening = socket.create_server((host, 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1, lifespan="off"))
    task = asyncio.create_task(server.serve([listening]))
    try:
        yield f"http://{host}:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listening.close()
