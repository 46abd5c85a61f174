"""A browser whose clock is wrong by hours, in front of a real Server: what is idle, and how long ago things were, is
told by the clock of the console; an order by `idle>1h` means nobody who has just come."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from support.web_pages import Browsing
from support.web_world import consoled, fs1

pytestmark = pytest.mark.posix


@pytest.mark.parametrize("wrong", [timedelta(hours=5), timedelta(hours=-5)], ids=["ahead", "behind"])
async def test_a_clock_that_is_wrong_selects_nobody(wrong: timedelta, browsing: Browsing) -> None:
    from playwright.async_api import expect

    async with fs1() as world, consoled({"fs1": world.place}) as web:
        context = await browsing.context()
        await web.log_in(context, "ann")
        page = await context.new_page()
        await page.clock.install(time=datetime.now(UTC) + wrong)
        await page.goto(f"{web.url}/#/server/fs1/sessions?filter=idle%3C1h")
        await expect(page.get_by_role("row").filter(has_text="bob")).to_contain_text(re.compile(r"00:\d\d:\d\d"))
        counts = page.locator(".grid-counts")
        await expect(counts).to_have_text(re.compile(r"^(\d+) of \1 sessions"))
        await page.get_by_role("searchbox").fill("idle>1h")
        await expect(counts).to_have_text(re.compile(r"^0 of \d+ sessions"))
        browsing.allow("status of 501")  # there is no database
        # The last 24 hours of History end now.
        await page.goto(f"{web.url}/#/history")
        until = page.locator("input[name=until]")
        await expect(until).to_have_value(re.compile("T"))
        ends = datetime.fromisoformat(await until.input_value()).replace(tzinfo=UTC)
        assert abs(datetime.now(UTC) - ends) < timedelta(hours=1)
