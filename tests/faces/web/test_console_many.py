"""Ten thousand sessions on a page."""

from __future__ import annotations

import pytest

from lanman.records import SessionInfo
from support.scripted_windows import ScriptedWindows, windows_2025
from support.web_pages import Browsing, axe
from support.web_world import consoled

pytestmark = pytest.mark.posix

ROWS = 10_000


async def test_ten_thousand_rows_scroll(browsing: Browsing) -> None:
    from playwright.async_api import expect

    windows = windows_2025()
    windows.sessions = [
        SessionInfo(rf"\\10.1.{n >> 8}.{n & 255}", f"user{n:05}", n % 7, 3600 + n, n % 600, 0, "", "")
        for n in range(ROWS)
    ]
    async with ScriptedWindows(windows) as server:
        place = {"fs2": (server.host, server.port)}
        async with consoled(place, own="admin", password=server.password, every=3600) as web:
            page = await web.page_of(await browsing.context(), "admin", "#/server/fs2/sessions?sort=user")
            grid = page.get_by_role("grid")
            await expect(grid.get_by_role("row").filter(has_text="user00000")).to_be_visible()
            await expect(grid).to_have_attribute("aria-rowcount", str(ROWS + 1))
            await expect(page.locator("main")).to_contain_text("10,000")

            await grid.get_by_role("row").filter(has_text="user00000").click()
            await page.keyboard.press("Control+End")
            await expect(grid.get_by_role("row").filter(has_text="user09999")).to_be_visible()
            for middle in (0.25, 0.5, 0.75):
                await page.locator(".grid-scroll").evaluate(
                    "(e, part) => { e.scrollTop = e.scrollHeight * part }", middle
                )
                number = ROWS * middle
                near = grid.get_by_role("row").filter(has_text=f"user{number:05.0f}")
                await expect(near).to_be_visible()
            # What is not seen is not in the page.
            assert await grid.get_by_role("row").count() < 120
            assert await axe(page) == []

            await page.get_by_role("searchbox").fill("user0777")
            await expect(grid).to_have_attribute("aria-rowcount", "11")
            # An order means what is shown, and a plan for ten has ten lines.
            await grid.get_by_role("row").filter(has_text="user07770").click()
            await page.keyboard.press("Control+a")
            await expect(page.locator("main")).to_contain_text("10")
