"""Take the pictures of `lanman web` that stand in the documents, anew.

    .venv/bin/python demo/web_pictures.py [FOLDER]

The Server of the pictures of `lanman watch` (demo/screenshots.py) starts, with people on it, and a console in front of
it; a browser without a window (Debian's chromium) goes to each page, waits until it tells what it is to show, and
what it looks like is written as WebP into FOLDER (docs/images). Nothing in the pictures is invented but the people.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import secrets
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, async_playwright, expect
from screenshots import FOLDER, scene

import lanman
from lanman.faces.web.console import Console, Offered, Settings
from lanman.faces.web.listening import Listening
from lanman.faces.web.program import WebConsole
from lanman.manage.history import Recorder, open_store
from lanman.manage.watching.poller import Poller
from lanman.net.approach import Approach

DESK, TALL, PHONE = (1100, 620), (1100, 900), (390, 700)
QUALITY = 70


@dataclass(frozen=True)
class Picture:
    """A page, what has to be on it, and a button to be pressed there."""

    name: str
    heading: str
    address: str
    shows: tuple[str, ...]
    scheme: str = "light"
    size: tuple[int, int] = DESK
    press: str = ""


PICTURES = [
    Picture("web-servers", "Servers", "#/servers", ("fs1", "up")),
    Picture("web-sessions", "Sessions", "#/server/fs1/sessions", ("bob", "frank", "eve")),
    Picture("web-sessions-dark", "Sessions", "#/server/fs1/sessions", ("bob", "frank"), scheme="dark"),
    Picture("web-sessions-phone", "Sessions", "#/server/fs1/sessions", ("bob", "frank"), size=PHONE),
    Picture("web-files", "Open files", "#/server/fs1/files?filter=projects", ("budget.xlsx", "carol")),
    Picture("web-shares", "Shares", "#/server/fs1/shares", ("projects", "pub")),
    Picture("web-settings", "Settings", "#/server/fs1/settings", ("Comment",)),
    Picture("web-statistics", "Statistics", "#/server/fs1/statistics", ("Sessions",)),
    Picture("web-doctor", "Doctor", "#/server/fs1/doctor", ("Examine again",), press="Examine"),
    Picture(
        "web-explain", "Explain", "#/explain?server=fs1&path=\\\\fs1\\projects\\budget.xlsx", ("budget.xlsx", "bob")
    ),
    Picture("web-history", "History", "#/history", ("bob",), size=TALL),
    Picture("web-policies", "Policies", "#/policies", ("night", "bob")),
    Picture("web-events", "Events", "#/events", ("eve",)),
]


POLICIES = """
[policies.night]
servers = ["fs1"]
select = { idle = "1s", not_user = ["svc_*"] }
"""


async def record(server: lanman.Server, database: Path) -> None:
    """A history of what there is now."""
    poller = Poller(partial(lanman.open_manager, home=server.home), server="fs1")
    async with open_store(database, make=True) as store, Recorder(store, [poller]) as recorder:
        await anext(recorder)


@asynccontextmanager
async def console(server: lanman.Server, database: Path, policies: Path) -> AsyncIterator[str]:
    """A console of one server, which is this machine's; the one-time link."""

    def opening_as(credentials: lanman.Credentials, approach: Approach) -> Any:
        return partial(lanman.open_manager, "127.0.0.1", credentials, port=server.port, approach=approach)

    password = secrets.token_urlsafe(12)
    server.add_account("ann", password, administrator=True)

    def examine(_: lanman.Credentials | None) -> Any:
        return lanman.doctor("127.0.0.1", lanman.Credentials("ann", password), port=server.port)

    fs1 = Offered("fs1", partial(lanman.open_manager, home=server.home), opening_as, examine=examine)
    settings = Settings(database=f"sqlite:///{database}", policies=str(policies))
    async with WebConsole(Console([fs1], settings), Listening("127.0.0.1:0")) as running:
        assert running.link is not None
        yield running.link


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The browser. As root it starts without its sandbox alone."""
    async with async_playwright() as playwright:
        words = ["--no-sandbox"] if os.geteuid() == 0 else []
        yield await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=words)


async def is_there(page: Page, heading: str, shows: tuple[str, ...]) -> None:
    """Wait until the page of that heading shows these."""
    await expect(page.locator("main h1")).to_have_text(heading)
    await expect(page.locator("main [aria-busy=true], main .loading")).to_have_count(0)
    for words in shows:
        await expect(page.locator("main, dialog").last).to_contain_text(words)


async def take(page: Page, folder: Path, name: str) -> None:
    """Write what the page looks like."""
    # playwright itself writes PNG and JPEG, which are three times as large.
    debugger = await page.context.new_cdp_session(page)
    shot = await debugger.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
    (folder / f"{name}.webp").write_bytes(base64.b64decode(shot["data"]))
    print(folder / f"{name}.webp")


async def pictures(server: lanman.Server, link: str, folder: Path) -> None:
    """Go to each page, and give an order as far as the question."""
    async with chromium() as browser:
        context = await browser.new_context(locale="en-GB", reduced_motion="reduce")
        page = await context.new_page()
        await page.goto(link)
        await expect(page.get_by_role("button", name="Log out")).to_be_visible()
        url = link.partition("#")[0]
        for each in PICTURES:
            await page.emulate_media(color_scheme="dark" if each.scheme == "dark" else "light")
            await page.set_viewport_size({"width": each.size[0], "height": each.size[1]})
            await page.goto(url + each.address)
            await is_there(page, each.heading, ())
            if each.name == "web-events":
                server.end_sessions(user="eve")
            if each.press:
                await page.get_by_role("button", name=each.press).first.click()
            await is_there(page, each.heading, each.shows)
            await take(page, folder, each.name)
        await page.set_viewport_size({"width": DESK[0], "height": DESK[1]})
        await page.goto(f"{url}#/server/fs1/sessions")
        await is_there(page, "Sessions", ("bob",))
        await page.get_by_role("row").filter(has_text="bob").click()
        await page.get_by_role("button", name=re.compile("^End")).click()
        await is_there(page, "Sessions", ("bob",))
        await take(page, folder, "web-plan")
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="Log out").click()
        await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        await take(page, folder, "web-log-in")


async def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    async with scene() as server:
        database, policies = server.home / "history.db", server.home / "policies.toml"
        policies.write_text(POLICIES)
        await record(server, database)
        async with console(server, database, policies) as link:
            await pictures(server, link, folder)


if __name__ == "__main__":
    asyncio.run(main())
