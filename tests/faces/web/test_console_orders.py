"""Looking, explaining and giving orders, as people do it: ann and adam, each in a browser of their own."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from support.scripted_windows import ScriptedWindows, windows_2025
from support.web_pages import Browsing, axe
from support.web_world import Gate, Web, World, consoled, fs1

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

pytestmark = pytest.mark.posix


@pytest_asyncio.fixture(loop_scope="session")
async def world() -> AsyncIterator[World]:
    async with fs1() as world:
        yield world


@pytest_asyncio.fixture(loop_scope="session")
async def web(world: World) -> AsyncIterator[Web]:
    async with consoled({"fs1": world.place}) as web:
        yield web


def row(page: Page, words: str) -> Locator:
    """The lines of the grid in which this stands."""
    return page.get_by_role("row").filter(has_text=words)


def open_files(world: World, user: str) -> list[str]:
    return sorted(file.path.rpartition("/")[2] for file in world.server.files() if file.user_name == user and file.path)


async def test_find_a_file_explain_and_close_it(world: World, browsing: Browsing) -> None:
    """The console asks once in an hour here: what adam sees, he is told at once, and has not to wait for."""
    from playwright.async_api import expect

    async with consoled({"fs1": world.place}, every=3600) as web:
        ann = await web.page_of(await browsing.context(), "ann", "#/server/fs1/files")
        adam = await web.page_of(await browsing.context(), "adam", "#/server/fs1/files")
        await expect(row(adam, "budget.xlsx")).to_have_count(2)

        await ann.get_by_role("searchbox").fill("bob")
        await expect(row(ann, "bob")).to_have_count(2)
        await expect(row(ann, "carol")).to_have_count(0)
        await row(ann, "budget.xlsx").click()
        await ann.keyboard.press("Enter")
        details = ann.get_by_role("complementary", name="Details")
        await expect(details).to_contain_text("budget.xlsx")
        assert await axe(ann) == []
        await details.get_by_role("link", name=re.compile("^Explain")).click()
        await expect(ann.get_by_role("table", name="Who has it open")).to_contain_text("carol")
        await expect(ann.get_by_role("row").filter(has_text="bob")).to_contain_text("writes")
        await expect(ann.get_by_role("row").filter(has_text="bob")).to_contain_text("127.0.0.21")
        await ann.go_back()
        await expect(ann.get_by_role("searchbox")).to_have_value("bob")

        await row(ann, "budget.xlsx").click()
        await ann.get_by_role("button", name=re.compile("^Close")).click()
        dialog = ann.get_by_role("dialog")
        await expect(dialog).to_contain_text("budget.xlsx")
        await expect(dialog).to_contain_text("bob")
        assert await axe(ann) == []
        # The default is No, and nothing has happened.
        assert await ann.evaluate("document.activeElement.textContent") == "No"
        assert open_files(world, "bob") == ["budget.xlsx", "plan.docx"]

        await confirmed(dialog)
        await dialog.get_by_role("button", name=re.compile("^Close 1")).click()
        await expect(row(adam, "budget.xlsx")).to_have_count(1)
        await expect(row(adam, "carol")).to_have_count(1)
        await expect(dialog).to_contain_text("closed")
        assert open_files(world, "bob") == ["plan.docx"]
        assert open_files(world, "carol") == ["budget.xlsx"]


async def confirmed(dialog: Locator, name: str = "fs1") -> None:
    """Type the server's name where the plan is a grave one."""
    field = dialog.get_by_role("textbox")
    if await field.count():
        await field.fill(name)


async def test_what_changed_meanwhile_is_spared(browsing: Browsing) -> None:
    """The same file id, and another file; the same user at the same client, and another session."""
    from playwright.async_api import expect

    windows = windows_2025()
    async with ScriptedWindows(windows) as server:
        place = {"fs2": (server.host, server.port)}
        async with consoled(place, own="admin", password=server.password, every=3600) as web:
            page = await web.page_of(await browsing.context(), "admin", "#/server/fs2/files")
            await order(page, "budget.xlsx", "Close")
            windows.files[1] = replace(windows.files[1], path=r"C:\data\2019\another.xlsx")
            await confirmed(page.get_by_role("dialog"), "fs2")
            await page.get_by_role("dialog").get_by_role("button", name=re.compile("^Close 1")).click()
            await expect(page.get_by_role("dialog")).to_contain_text("left alone")
            await page.get_by_role("dialog").get_by_role("button", name="Close").click()
            assert server.closed == []

            await page.goto(f"{web.url}/#/server/fs2/sessions")
            await order(page, "10.0.0.12", "End")
            windows.sessions[-1] = replace(windows.sessions[-1], active_time=3605)
            await confirmed(page.get_by_role("dialog"), "fs2")
            await page.get_by_role("dialog").get_by_role("button", name=re.compile("^End 1")).click()
            await expect(page.get_by_role("dialog")).to_contain_text("left alone")
            assert server.ended == []


async def order(page: Page, words: str, verb: str) -> None:
    """As far as the question about the row in which the words stand."""
    from playwright.async_api import expect

    await row(page, words).click()
    await page.get_by_role("button", name=re.compile(f"^{verb}")).click()
    await expect(page.get_by_role("dialog")).to_contain_text(words)
    await expect(page.get_by_role("dialog").get_by_role("button", name=re.compile(f"^{verb} 1"))).to_be_visible()


async def test_no_is_the_default_and_escape_is_no(world: World, web: Web, browsing: Browsing) -> None:
    from playwright.async_api import expect

    ann = await web.page_of(await browsing.context(), "ann", "#/server/fs1/sessions")
    for key in ("Enter", "Escape"):
        await row(ann, "dave").click()
        await ann.get_by_role("button", name=re.compile("^End")).click()
        await expect(ann.get_by_role("dialog")).to_contain_text("dave")
        await ann.keyboard.press(key)
        await expect(ann.get_by_role("dialog")).to_have_count(0)
    assert open_files(world, "dave") == ["menu.pdf"]
    assert {path for method, path, _ in web.answered if method == "POST" and path.endswith("/run")} == set()


async def test_a_server_goes_away_and_comes_back(world: World, browsing: Browsing) -> None:
    from playwright.async_api import expect

    async with Gate(*world.place) as gate, consoled({"fs1": gate.place}) as web:
        ann = await web.page_of(await browsing.context(), "ann", "#/server/fs1/sessions")
        await expect(row(ann, "bob")).to_have_count(1)
        await gate.shut()
        await expect(ann.locator("main").get_by_role("status").filter(has_text="As of")).to_be_visible()
        # What was seen stays, and is said to be old; nothing can be ordered.
        await expect(row(ann, "bob")).to_have_count(1)
        assert await axe(ann) == []
        await row(ann, "bob").click()
        await expect(ann.get_by_role("button", name=re.compile("^End"))).to_have_attribute("aria-disabled", "true")
        await world.go("eve")
        await gate.open()
        await expect(row(ann, "eve")).to_have_count(0)
        await expect(ann.locator("main").get_by_role("status").filter(has_text="As of")).to_have_count(0)
        await expect(row(ann, "bob")).to_have_count(1)


async def test_who_has_no_rights_sees_what_the_server_tells_them(web: Web, browsing: Browsing) -> None:
    from playwright.async_api import expect

    context = await browsing.context()
    browsing.allow("status of 403")
    mallory = await web.page_of(context, "mallory", "#/server/fs1/sessions")
    await expect(mallory.locator("main")).to_contain_text("Not allowed")
    assert await axe(mallory) == []
    content = await mallory.content()
    await mallory.goto(f"{web.url}/#/server/fs1/files")
    await expect(mallory.locator("main")).to_contain_text("Not allowed")
    content += await mallory.content()
    for secret in ("budget.xlsx", "127.0.0.21", "carol"):
        assert secret not in content
        for path in ("sessions", "files"):
            answer = await context.request.get(f"{web.url}/api/v1/servers/fs1/{path}")
            assert secret not in await answer.text()


async def test_what_a_person_sees_alone_does_not_reach_another(web: Web, browsing: Browsing) -> None:
    """ann's picture is shared with adam, not with mallory, who came later and asks the same."""
    from playwright.async_api import expect

    ann = await web.page_of(await browsing.context(), "ann", "#/server/fs1/sessions")
    await expect(row(ann, "bob")).to_have_count(1)
    mallory = await web.page_of(await browsing.context(), "mallory", "#/server/fs1/sessions")
    browsing.allow("status of 403")
    await expect(mallory.locator("main")).to_contain_text("Not allowed")
    assert "bob" not in await mallory.locator("main").inner_text()


async def test_look_only(world: World, browsing: Browsing) -> None:
    from playwright.async_api import expect

    async with consoled({"fs1": world.place}, readonly=True) as web:
        context = await browsing.context()
        ann = await web.page_of(context, "ann", "#/server/fs1/sessions")
        await row(ann, "bob").click()
        await expect(ann.get_by_role("button", name=re.compile("^End"))).to_have_attribute("aria-disabled", "true")
        await expect(ann.locator("#who")).to_contain_text("look only")
        sessions = await (await context.request.get(f"{web.url}/api/v1/servers/fs1/sessions")).json()
        answer = await context.request.post(
            f"{web.url}/api/v1/servers/fs1/plans",
            data={"verb": "end", "targets": [sessions["rows"][0]["key"]]},
            headers={"Origin": web.url},
        )
        assert answer.status == 403


async def test_events_name_who_came_and_who_has_gone(world: World, web: Web, browsing: Browsing) -> None:
    from playwright.async_api import expect

    ann = await web.page_of(await browsing.context(), "ann", "#/server/fs1/sessions")
    await expect(row(ann, "eve")).to_have_count(1)
    await expect(ann.locator("#stream")).to_have_text("live")
    await ann.goto(f"{web.url}/#/events")
    await expect(ann.get_by_role("heading", name="Nothing has happened yet")).to_be_visible()
    await world.go("eve")
    await world.come("eve", 101, "pub")
    happened = ann.get_by_role("list", name="What happened, the newest first").get_by_role("listitem")
    await expect(happened.filter(has_text="gone").filter(has_text="eve")).to_contain_text("127.0.0.100")
    await expect(happened.filter(has_text="opened").filter(has_text="eve")).to_contain_text("127.0.0.101")
    assert await axe(ann) == []
