"""Names that are markup, and names that hide: of users, clients, files and shares, and comments."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from lanman.records import FileInfo, SessionInfo
from support.scripted_windows import ScriptedWindows, windows_2025
from support.web_pages import Browsing
from support.web_world import Web, consoled

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.posix

IMG = "<img src=x onerror=alert(1)>"
SCRIPT = "</td></script><script>alert(1)</script>"
BIDI = "bob\N{RIGHT-TO-LEFT OVERRIDE}gpj.exe"
CLOSED = "'\"><svg/onload=alert(1)>${alert(1)}{{7*7}}"


@contextmanager
def no_script(page: Page) -> Iterator[None]:
    """Nothing of a name may run, or become an element."""
    dialogs: list[str] = []

    async def seen(dialog: Any) -> None:
        dialogs.append(dialog.message)
        await dialog.dismiss()

    page.on("dialog", seen)
    yield
    assert dialogs == []


@pytest_asyncio.fixture(loop_scope="session")
async def hostile() -> AsyncIterator[Web]:
    windows = windows_2025()
    windows.info.comment = IMG
    names = (IMG, SCRIPT, BIDI, CLOSED)
    windows.sessions = [
        SessionInfo(rf"\\{name}" if name != SCRIPT else r"\\10.0.0.7", name, 1, 3600 + number, 30, 0, name, "")
        for number, name in enumerate(names)
    ]
    windows.files = [FileInfo(number, 3, 1, rf"C:\data\{name}.txt", name) for number, name in enumerate(names, 7)]
    for share, name in zip(windows.shares, names, strict=False):
        share.remark = name
    windows.shares[-1].path = rf"C:\{IMG}"
    async with ScriptedWindows(windows) as server:
        windows.users["ann"] = "administrator"
        async with consoled({"fs2": (server.host, server.port)}, own="ann", password=server.password) as web:
            yield web


@pytest.mark.parametrize("address", ["sessions", "files", "shares", "settings", "statistics"])
async def test_names_that_are_markup_are_text(hostile: Web, browsing: Browsing, address: str) -> None:
    from playwright.async_api import expect

    context = await browsing.context()
    await hostile.log_in(context, "ann")
    page = await context.new_page()
    with no_script(page):
        await page.goto(f"{hostile.url}/#/server/fs2/{address}")
        if address in ("sessions", "files", "shares"):
            await expect(page.get_by_text(IMG).first).to_be_visible()
        else:
            await expect(page.locator("main h1")).to_be_visible()
        assert await page.locator("main img, main svg[onload], main script").count() == 0
        text = await page.evaluate("document.body.textContent")
        assert not set(text) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068")
