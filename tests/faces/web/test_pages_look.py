"""Each page of the console, and each state of it: what axe-core finds in dark and light, no script of a peer that runs,
no sideways scrolling on a phone. In front of a scripted console."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

import lanman
from support.web_pages import Browsing, axe
from support.web_sample import BAD, DELTA, HELLO, PAGES, SEEN, SHOWN, sampled
from support.web_scripted import ScriptedConsole, scripted

pytestmark = pytest.mark.posix

ROOT = Path(__file__).parents[3]
STATIC = Path(lanman.__file__).parent / "faces" / "web" / "static"


async def opened(page: Page, name: str) -> ScriptedConsole:
    console = sampled(await scripted(page))
    await console.open(PAGES[name])
    await console.say("hello", HELLO)
    if name == "events":
        await console.say("delta", DELTA)
    await expect(page.locator("main")).to_contain_text(SEEN[name])
    await expect(page.locator("main [aria-busy=true], main .loading")).to_have_count(0)
    return console


async def sideways(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    width = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert isinstance(width, int)
    return width


@pytest.mark.parametrize("variant", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
async def test_axe_finds_nothing_and_no_script_runs(browsing: Browsing, name: str, variant: str) -> None:
    page = await browsing.page(variant)
    await opened(page, name)
    assert await axe(page) == []
    assert await page.locator("h1").count() == 1
    assert await page.evaluate("document.body.dataset.ran") is None
    text = await page.locator("body").inner_text()
    assert "\u202e" not in text
    if name not in ("servers", "licences", "help", "statistics"):
        assert SHOWN in text


@pytest.mark.parametrize("width", [320, 480])
async def test_no_page_scrolls_sideways_on_a_phone(browsing: Browsing, width: int) -> None:
    page = await browsing.page("phone", viewport={"width": width, "height": 640})
    for name in PAGES:
        await opened(page, name)
        assert (name, await sideways(page)) == (name, 0)
        await page.goto("about:blank")


async def test_on_a_phone_the_navigation_opens_and_closes_by_keys(browsing: Browsing) -> None:
    page = await browsing.page("phone")
    await opened(page, "servers")
    menu = page.get_by_role("button", name="Menu")
    await expect(page.get_by_role("link", name="Policies")).to_be_hidden()
    await menu.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("link", name="Policies")).to_be_visible()
    assert await axe(page) == []
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("link", name="Policies")).to_be_hidden()
    await expect(menu).to_be_focused()


async def test_the_skip_link_comes_first_and_leads_to_the_page(page: Page) -> None:
    await opened(page, "servers")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()


async def test_another_page_has_its_name_in_the_title_and_the_focus_on_its_heading(page: Page) -> None:
    await opened(page, "servers")
    await page.get_by_role("link", name="Policies").click()
    await expect(page.get_by_role("heading", level=1, name="Policies")).to_be_focused()
    await expect(page).to_have_title("Policies - lanman")
    await expect(page.get_by_role("link", name="Policies")).to_have_attribute("aria-current", "page")


async def test_an_address_of_no_page_says_so(page: Page) -> None:
    console = sampled(await scripted(page))
    await console.open("#/nothing/here")
    await expect(page.get_by_role("heading", level=1)).to_have_text("There is no such page")
    assert await axe(page) == []


REFUSALS = {
    "denied": (403, 5, "access denied to srvsvc", "it needs Server Operators", "Not allowed"),
    "not there": (501, 50, "Samba does not count", None, "Not possible here"),
    "broken": (502, 1231, "fs1 does not answer", "is it started?", "That did not work"),
}


@pytest.mark.parametrize("variant", ["light", "dark"])
@pytest.mark.parametrize("refusal", REFUSALS)
async def test_states_say_what_to_do(browsing: Browsing, refusal: str, variant: str) -> None:
    status, code, message, hint, title = REFUSALS[refusal]
    page = await browsing.page(variant)
    browsing.allow(f"status of {status}")
    console = sampled(await scripted(page))
    asked = ("GET", "servers/fs1/statistics")
    well = console.answers[asked]
    console.answers[asked] = (status, {"schema": 1, "error": {"code": code, "message": message, "hint": hint}})
    await console.open(PAGES["statistics"])
    await console.say("hello", HELLO)
    state = page.locator(".state")
    await expect(state.get_by_role("heading")).to_have_text(title)
    await expect(state).to_contain_text(message)
    if hint:
        await expect(state).to_contain_text(hint)
    assert await axe(page) == []
    if refusal == "broken":
        console.answers[asked] = well
        await state.get_by_role("button", name="Try again").click()
        await expect(page.locator("main")).to_contain_text(SEEN["statistics"])


async def test_waiting_is_told_after_a_while_and_not_at_once(page: Page) -> None:
    console = sampled(await scripted(page))
    await console.open(PAGES["servers"])
    await console.say("hello", HELLO)
    delay = await page.evaluate(
        """async () => {
          const { loading } = await import("./js/parts.js");
          const element = loading("Asking");
          document.getElementById("main").append(element);
          const { animationDelay, opacity } = getComputedStyle(element);
          return [animationDelay, element.getAttribute("role")];
        }"""
    )
    assert delay == ["0.2s", "status"]


async def test_printed_there_is_the_page_and_no_navigation(page: Page) -> None:
    await opened(page, "explain")
    await page.emulate_media(media="print")
    await expect(page.locator("#side")).to_be_hidden()
    await expect(page.get_by_role("table")).to_be_visible()


async def test_forced_colours_keep_what_is_told(page: Page) -> None:
    await page.emulate_media(forced_colors="active")
    await opened(page, "servers")
    await expect(page.locator("main .tag", has_text="does not answer")).to_be_visible()
    border = "getComputedStyle(document.querySelector('main .tag')).borderTopStyle"
    assert await page.evaluate(border) == "solid"


def test_licences_are_those_of_the_project_and_of_what_is_vendored() -> None:
    assert (STATIC / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    page = (STATIC / "js" / "pages" / "licences.js").read_text()
    for vendored in (STATIC / "vendor").iterdir():
        assert (vendored / "LICENSE").is_file()
        version = (vendored / "README.md").read_text().splitlines()[0].removeprefix("# ")
        assert version in page
        assert f"vendor/{vendored.name}/LICENSE" in page


def test_nothing_is_loaded_from_elsewhere_and_nothing_stands_inline() -> None:
    html = (STATIC / "index.html").read_text()
    assert "://" not in html
    assert "style=" not in html
    assert "<style" not in html
    assert html.count("<script") == 1
    for script in (STATIC / "js").rglob("*.js"):
        text = script.read_text()
        assert "innerHTML" not in text, script
        assert "insertAdjacentHTML" not in text, script
        assert re.search("https?://", text) is None, script


def test_the_bad_name_would_run() -> None:
    """What the tests above show holds for a name that is markup."""
    assert "<script>" in BAD
    assert "onerror" in BAD
