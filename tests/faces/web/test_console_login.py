"""Logging in and out, in a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from support.passwords import PASSWORD
from support.web_pages import VARIANTS, Browsing, axe
from support.web_world import Web, consoled, fs1

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.posix


@pytest_asyncio.fixture(loop_scope="session")
async def web() -> AsyncIterator[Web]:
    async with fs1() as world, consoled({"fs1": world.place}) as web:
        yield web


async def fill(page: Page, user: str, password: str) -> None:
    await page.get_by_label("User").fill(user)
    await page.get_by_label("Password", exact=True).fill(password)
    await page.get_by_role("button", name="Log in").click()


async def test_log_in_and_out(web: Web, browsing: Browsing) -> None:
    from playwright.async_api import expect

    page = await browsing.page()
    await page.goto(web.url)
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    await fill(page, "ann", PASSWORD)
    await expect(page.get_by_role("button", name="Log out")).to_be_visible()
    await expect(page.locator("#who")).to_contain_text("ann")
    assert len(web.console.people) == 1
    for address in ("sessions", "files"):
        await page.goto(f"{web.url}/#/server/fs1/{address}")
        await expect(page.get_by_role("row").filter(has_text="bob").first).to_be_visible()

    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    assert len(web.console.people) == 0
    # Going back shows nothing of what was there.
    await page.go_back()
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    assert "bob" not in await page.content()


async def test_a_wrong_password_says_so_and_is_gone(web: Web, browsing: Browsing) -> None:
    from playwright.async_api import expect

    page = await browsing.page()
    browsing.allow("status of 401")
    await page.goto(web.url)
    await fill(page, "ann", "not this one")
    await expect(page.get_by_role("alert")).to_contain_text("incorrect")
    assert await page.evaluate("document.activeElement.type") == "password"
    assert await axe(page) == []
    await fill(page, "ann", PASSWORD)
    await expect(page.get_by_role("button", name="Log out")).to_be_visible()
    assert PASSWORD not in await page.content()
    assert await page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length") == 0


async def test_the_one_time_link_works_once(web: Web, browsing: Browsing) -> None:
    from playwright.async_api import expect

    page = await browsing.page()
    await page.goto(web.link)
    await expect(page.get_by_role("button", name="Log out")).to_be_visible()
    assert web.word not in page.url
    assert web.word not in await page.content()
    other = await browsing.page()
    browsing.allow("status of 401")
    await other.goto(web.link)
    await expect(other.get_by_role("alert")).to_contain_text("one-time link did not work")
    await expect(other.get_by_role("heading", name="Log in")).to_be_visible()


@pytest.mark.parametrize("variant", VARIANTS)
async def test_the_log_in_page_is_for_everybody(web: Web, browsing: Browsing, variant: str) -> None:
    from playwright.async_api import expect

    page = await browsing.page(variant)
    await page.goto(web.url)
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    assert await axe(page) == []
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
