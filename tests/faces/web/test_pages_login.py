"""Logging in, out and in again, in a browser in front of a scripted console."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Page, expect

from support.web_pages import Browsing, axe
from support.web_sample import ANSWERS, HELLO, PAGES, PERSON, SEEN, sampled
from support.web_scripted import Asked, ScriptedConsole, scripted

pytestmark = pytest.mark.posix

LOGIN = {"schema": 1, "servers": ["fs1", "fs2", "fs9"], "readonly": False}


class Door:
    """The console's log-in: nobody is in at first; `refusal` is what the next ones are answered."""

    def __init__(self, console: ScriptedConsole) -> None:
        self.inside = False
        self.refusal: tuple[int, Any] | None = None
        self.sent: list[Any] = []
        console.answers["GET", "login"] = lambda _: LOGIN | {"person": PERSON if self.inside else None}
        console.answers["POST", "login"] = self.enter
        console.answers["POST", "logout"] = self.leave

    def enter(self, asked: Asked) -> Any:
        self.sent.append(asked.body)
        if self.refusal is not None:
            return self.refusal
        self.inside = True
        return 204, None

    def leave(self, asked: Asked) -> Any:
        self.inside = False
        return 204, None


def refusal(status: int, message: str, hint: str | None = None) -> tuple[int, Any]:
    return status, {"schema": 1, "error": {"code": status, "message": message, "hint": hint}}


async def at_the_door(page: Page, place: str) -> tuple[ScriptedConsole, Door]:
    console = sampled(await scripted(page))
    door = Door(console)
    await console.open(place)
    return console, door


async def fill_in(page: Page, password: str = "secret") -> None:
    await page.get_by_label("Server", exact=True).select_option("fs2")
    await page.get_by_label("User").fill("CORP\\bob")
    await page.get_by_label("Password", exact=True).fill(password)


@pytest.mark.parametrize("variant", ["light", "dark", "phone"])
async def test_the_page_has_what_password_managers_and_axe_want(browsing: Browsing, variant: str) -> None:
    page = await browsing.page(variant)
    await at_the_door(page, PAGES["doctor"])
    await expect(page.get_by_label("User")).to_have_attribute("autocomplete", "username")
    await expect(page.get_by_label("Password", exact=True)).to_have_attribute("autocomplete", "current-password")
    assert await axe(page) == []


async def test_logging_in_by_keys_leads_to_the_page_that_one_came_for(page: Page) -> None:
    console, door = await at_the_door(page, PAGES["explain"])
    await expect(page.get_by_label("Server", exact=True)).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_label("Server", exact=True)).to_have_value("fs2")
    await page.keyboard.press("Tab")
    await page.keyboard.type("CORP\\bob")
    await page.keyboard.press("Tab")
    await page.keyboard.type("secret")
    await page.keyboard.press("Enter")
    await console.say("hello", HELLO)
    await expect(page.locator("main")).to_contain_text(SEEN["explain"])
    assert door.sent == [{"server": "fs2", "user": "CORP\\bob", "password": "secret"}]
    assert page.url.endswith(PAGES["explain"])
    assert "secret" not in await page.content()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refusal(401, "the user name or password is wrong"), "Is the server the right one?"),
        (refusal(502, "fs2 does not answer", "is it started?"), "is it started?"),
        (refusal(429, "too many attempts", "wait 30 seconds"), "wait 30 seconds"),
    ],
)
async def test_a_refusal_says_what_to_do_and_keeps_what_was_typed(
    browsing: Browsing, page: Page, answer: tuple[int, Any], words: str
) -> None:
    browsing.allow("status of")
    console, door = await at_the_door(page, PAGES["servers"])
    door.refusal = answer
    await fill_in(page)
    await page.get_by_role("button", name="Log in").click()
    problem = page.get_by_role("alert")
    await expect(problem).to_contain_text(answer[1]["error"]["message"])
    await expect(problem).to_contain_text(words)
    await expect(page.get_by_label("User")).to_have_value("CORP\\bob")
    await expect(page.get_by_label("Password", exact=True)).to_be_focused()
    assert await axe(page) == []
    door.refusal = None
    await page.get_by_role("button", name="Log in").click()
    await console.say("hello", HELLO)
    await expect(page.get_by_role("heading", level=1, name="Servers")).to_be_visible()


async def test_a_password_can_be_looked_at(page: Page) -> None:
    await at_the_door(page, PAGES["servers"])
    password = page.get_by_label("Password", exact=True)
    await password.fill("secret")
    await page.get_by_role("button", name="Show").click()
    await expect(password).to_have_attribute("type", "text")
    await page.get_by_role("button", name="Hide").click()
    await expect(password).to_have_attribute("type", "password")


async def test_the_one_time_link_is_exchanged_and_leaves_the_address_and_the_history(page: Page) -> None:
    console, door = await at_the_door(page, "#once=w0rd&to=%2Fpolicies")
    await console.say("hello", HELLO)
    await expect(page.get_by_role("heading", level=1, name="Policies")).to_be_visible()
    assert door.sent == [{"once": "w0rd"}]
    assert "w0rd" not in page.url
    assert page.url.endswith("#/policies")
    await page.go_back()
    assert "w0rd" not in page.url
    assert not [asked for asked in console.asked if "w0rd" in asked.path or "w0rd" in str(asked.params)]


async def test_a_link_that_was_used_says_so_and_leaves_the_log_in(browsing: Browsing, page: Page) -> None:
    browsing.allow("status of 401")
    console = sampled(await scripted(page))
    door = Door(console)
    door.refusal = refusal(401, "this link was used already, or is too old")
    await console.open("#once=old")
    await expect(page.get_by_role("alert").first).to_contain_text("used already")
    await expect(page.get_by_label("Server", exact=True)).to_be_focused()
    assert "old" not in page.url
    assert await axe(page) == []


async def test_logging_out_ends_at_the_log_in(page: Page) -> None:
    console, door = await at_the_door(page, PAGES["servers"])
    await fill_in(page)
    await page.get_by_role("button", name="Log in").click()
    await console.say("hello", HELLO)
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_role("heading", level=1, name="Log in")).to_be_visible()
    assert not door.inside
    await expect(page.get_by_text("fs9")).to_have_count(1)  # the server to log in to, and no list of servers


async def test_an_expired_log_in_asks_over_the_page_and_goes_on_where_one_was(browsing: Browsing, page: Page) -> None:
    browsing.allow("status of 401")
    console, door = await at_the_door(page, PAGES["servers"])
    await fill_in(page)
    await page.get_by_role("button", name="Log in").click()
    await console.say("hello", HELLO)
    await page.goto(f"{page.url.split('#')[0]}{PAGES['explain'].split('?')[0]}")
    await page.get_by_label("File, as people").fill("\\\\fs1\\projects\\budget.xlsx")
    await page.get_by_label("Only client").fill("pc1")
    door.inside = False
    console.answers["GET", "explain"] = lambda _: (
        ANSWERS["GET", "explain"] if door.inside else refusal(401, "nobody is logged on")
    )
    await page.get_by_role("button", name="Explain").click()
    dialog = page.get_by_role("dialog", name="Log in again")
    await expect(dialog).to_be_visible()
    assert await axe(page) == []
    await dialog.get_by_label("User").fill("bob")
    await dialog.get_by_label("Password", exact=True).fill("secret")
    await dialog.get_by_role("button", name="Log in").click()
    await expect(dialog).to_have_count(0)
    await expect(page.locator("main")).to_contain_text(SEEN["explain"])
    await expect(page.get_by_label("Only client")).to_have_value("pc1")


async def test_another_server_is_logged_in_to_from_its_card(page: Page) -> None:
    console = sampled(await scripted(page))
    door = Door(console)
    door.inside = True
    await console.open(PAGES["servers"])
    await console.say("hello", HELLO)
    await page.get_by_role("button", name="Log in at fs9").click()
    dialog = page.get_by_role("dialog", name="Log in at fs9")
    await expect(dialog.get_by_label("Server", exact=True)).to_have_value("fs9")
    await dialog.get_by_label("User").fill("bob")
    await dialog.get_by_label("Password", exact=True).fill("secret")
    await page.keyboard.press("Enter")
    await expect(dialog).to_have_count(0)
    assert door.sent == [{"server": "fs9", "user": "bob", "password": "secret"}]


@pytest.mark.parametrize(
    ("hello", "words"),
    [
        (HELLO | {"readonly": True}, "--readonly"),
        (HELLO | {"person": {"name": "carol", "kind": "proxy"}}, "known by a proxy"),
    ],
)
async def test_who_may_only_look_is_told_so_at_each_order(page: Page, hello: dict[str, Any], words: str) -> None:
    console = sampled(await scripted(page))
    await console.open(PAGES["settings"])
    await console.say("hello", hello)
    await page.get_by_role("link", name="Statistics").click()
    await page.get_by_role("link", name="Settings").click()
    pause = page.get_by_role("button", name="Pause …")
    await expect(pause).to_have_attribute("aria-disabled", "true")
    assert words in (await pause.get_attribute("title") or "")
    await pause.click(force=True)
    await expect(page.locator(".toast")).to_contain_text(words)
    assert not console.bodies("POST", "servers/fs1/plans")
