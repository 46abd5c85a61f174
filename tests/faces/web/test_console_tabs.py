"""One stream for all tabs of a browser, also where it has no SharedWorker; one for each tab where it has nothing by
which tabs could agree."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from support.waiting import until
from support.web_pages import Browsing
from support.web_world import Web, World, consoled, fs1

pytestmark = pytest.mark.posix

EVENTS = "/api/v1/events"


@pytest_asyncio.fixture(loop_scope="session")
async def world() -> AsyncIterator[World]:
    async with fs1() as world:
        yield world


@pytest_asyncio.fixture(loop_scope="session")
async def web(world: World) -> AsyncIterator[Web]:
    async with consoled({"fs1": world.place}) as web:
        yield web


@pytest.mark.parametrize(
    ("lacks", "streams"), [((), 1), (("SharedWorker",), 1), (("SharedWorker", "BroadcastChannel"), 3)]
)
async def test_tabs(world: World, web: Web, browsing: Browsing, lacks: tuple[str, ...], streams: int) -> None:
    from playwright.async_api import expect

    context = await browsing.context()
    for name in lacks:
        await context.add_init_script(f"delete window.{name}")
    await web.log_in(context, "ann")
    tabs = [await web.opened(context, f"#/server/fs1/{page}") for page in ("sessions", "files", "sessions")]
    for tab, words in zip(tabs, ("bob", "budget.xlsx", "carol"), strict=True):
        await expect(tab.get_by_role("row").filter(has_text=words).first).to_be_visible()
    await until(lambda: web.streams == streams)
    assert [status for _, path, status in web.answered if path == EVENTS] == [200] * streams
    for tab in tabs:
        await expect(tab.locator("#stream")).to_have_text("live")

    # All tabs go on when the first is closed, which brought the stream about.
    await tabs[0].close()
    await world.go("eve")
    await world.go("bob")
    await expect(tabs[2].get_by_role("row").filter(has_text="bob")).to_have_count(0)
    await expect(tabs[1].get_by_role("row").filter(has_text="bob")).to_have_count(0)
    for tab in tabs[1:]:
        await tab.close()
    await until(lambda: web.streams == 0)


async def test_a_log_in_in_one_tab_is_one_in_all(web: Web, browsing: Browsing) -> None:
    from playwright.async_api import expect

    context = await browsing.context()
    browsing.allow("status of 401")
    await web.log_in(context, "ann")
    tabs = [await web.opened(context, f"#/server/fs1/{page}") for page in ("sessions", "files")]
    for tab in tabs:
        await expect(tab.get_by_role("row").filter(has_text="bob").first).to_be_visible()
    web.console.people.end_all("the console ends")
    for tab in tabs:
        await expect(tab.get_by_role("dialog")).to_contain_text("or the console was started again")
    dialog = tabs[0].get_by_role("dialog")
    await dialog.locator("input[name=user]").fill("ann")
    await dialog.locator("input[name=password]").fill(web.password)
    await dialog.get_by_role("button", name="Log in", exact=True).click()
    for tab in tabs:
        await expect(tab.get_by_role("dialog")).to_have_count(0)
        await expect(tab.locator("#stream")).to_have_text("live")
