"""Every page of the console, for everybody: axe-core finds nothing, in dark and light and at a phone's width."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from support.web_pages import VARIANTS, Browsing, axe
from support.web_world import Web, consoled, fs1, recorded

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.posix

# Where each page is, what it is headed, and what stands on it once it is there.
PAGES = {
    "#/servers": ("Servers", "fs1"),
    "#/server/fs1/sessions": ("Sessions", "bob"),
    "#/server/fs1/files": ("Open files", "budget.xlsx"),
    "#/server/fs1/shares": ("Shares", "projects"),
    "#/server/fs1/settings": ("Settings", "Comment"),
    "#/server/fs1/statistics": ("Statistics", "accepted"),
    "#/server/fs1/doctor": ("Doctor", "Examine"),
    "#/explain?server=fs1&path=*budget*": ("Explain", "carol"),
    "#/history": ("History", "eve"),
    "#/policies": ("Policies", "idle"),
    "#/events": ("Events", "Nothing has happened yet"),
    "#/help": ("Keys and help", "Escape"),
    "#/licences": ("Licences", "uPlot"),
    "#/nowhere": ("There is no such page", ""),
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def web() -> AsyncIterator[Web]:
    async with fs1() as world:
        policies = world.folder / "policies.toml"
        policies.write_text('[policies.idle]\nservers = ["fs1"]\nselect = { idle = "1s" }\n')
        database = await recorded(world, world.folder / "history.db")
        async with consoled({"fs1": world.place}, every=2, database=database, policies=str(policies)) as web:
            yield web


async def shown(page: Page, url: str, address: str) -> None:
    """Go to a page, and wait until what it tells is there."""
    from playwright.async_api import expect

    heading, words = PAGES[address]
    await page.goto(f"{url}/{address}")
    await expect(page.locator("main h1")).to_have_text(heading)
    await expect(page.locator("main [aria-busy=true], main .loading")).to_have_count(0)
    await expect(page.locator("main")).to_contain_text(words)


# What is asked of each variant: in the dark other colours are shown, and nothing else is different.
RULES: dict[str, tuple[str, ...]] = {
    "light": (),
    "dark": ("color-contrast",),
    "phone": (),
    "dark-phone": ("color-contrast",),
}


@pytest.mark.parametrize("variant", VARIANTS)
async def test_axe_finds_nothing_on_any_page(web: Web, browsing: Browsing, variant: str) -> None:
    context = await browsing.context(variant)
    await web.log_in(context, "ann")
    page = await web.opened(context)
    found = {}
    titles = set()
    for address in PAGES:
        await shown(page, web.url, address)
        titles.add(await page.title())
        faults = await axe(page, rules=RULES[variant])
        if await page.locator("h1").count() != 1:
            faults.append("it has not one heading")
        # Nothing but a grid or a table scrolls sideways, inside itself.
        if not await page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
            faults.append("it is wider than the window")
        if faults:
            found[address] = faults
    assert found == {}
    assert len(titles) == len(PAGES)
