"""The dialog by which orders are given: plan, question, run, outcome. In a browser in front of a scripted console."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from lanman.manage.watching.keys import FileKey
from support.waiting import until
from support.web_pages import Browsing, axe
from support.web_sample import BAD, HELLO, PAGES, PLAN, SEEN, SHOWN, sampled
from support.web_scripted import ScriptedConsole, scripted

pytestmark = pytest.mark.posix

KEYS = ["file:7:C%3A%5Cdata%5Cbudget.xlsx:ann:0"]
RUN = ("POST", "plans/p1/run")
MILD = {"grave": False, "confirm": None, "confirm_with_others": None}


def session(number: int, user: str, client: str, **more: Any) -> dict[str, Any]:
    row = {"number": number, "kind": "session", "key": f"session:{client}:{user}", "user_name": user}
    row |= {"client_name": client, "num_opens": 1, "cost": "none", "cost_why": "", "is_own": False}
    return row | {"num_bystanders": 0, "is_console": False} | more


async def begun(page: Page, name: str = "explain") -> ScriptedConsole:
    console = sampled(await scripted(page))
    await console.open(PAGES[name])
    await console.say("hello", HELLO)
    await expect(page.locator("main")).to_contain_text(SEEN[name])
    return console


async def asked(page: Page, console: ScriptedConsole, plan: dict[str, Any] | None = None) -> Locator:
    """The dialog of a plan, asked for by the first row's button."""
    console.answers["POST", "servers/fs1/plans"] = (201, plan or PLAN)
    await page.get_by_role("button", name="Close …").first.click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.locator(".plan")).to_be_visible()
    return dialog


@pytest.mark.parametrize("variant", ["light", "dark", "phone"])
async def test_a_plan_is_shown_with_every_cost_and_no_script_runs(browsing: Browsing, variant: str) -> None:
    page = await browsing.page(variant)
    console = await begun(page)
    left = [{"key": "file:9", "kind": "file", "path": f"C:\\{BAD}", "user_name": "eve", "why": "it has gone"}]
    others = [{"client_name": BAD, "user_name": BAD, "num_opens": 2}]
    dialog = await asked(page, console, PLAN | {"left_out": left, "bystanders": others})
    await expect(dialog).to_have_accessible_name("Close files on fs1")
    await expect(dialog).to_contain_text("may lose work")
    await expect(dialog).to_contain_text("it is open for writing")
    await expect(dialog).to_contain_text("it has gone")
    assert (await dialog.inner_text()).count(SHOWN) >= 4
    assert await axe(page) == []
    assert await page.evaluate("document.body.dataset.ran") is None
    assert console.bodies("POST", "servers/fs1/plans")[0]["verb"] == "close"
    assert console.bodies("POST", "servers/fs1/plans")[0]["targets"] == KEYS


@pytest.mark.parametrize("key", ["Enter", "Escape"])
async def test_the_answer_is_no_unless_one_says_otherwise(page: Page, key: str) -> None:
    console = await begun(page)
    dialog = await asked(page, console, PLAN | MILD)
    await expect(dialog.get_by_role("button", name="No")).to_be_focused()
    await page.keyboard.press(key)
    await expect(dialog).to_have_count(0)
    assert not console.bodies(*RUN)
    await expect(page.get_by_role("button", name="Close …").first).to_be_focused()


async def test_by_keys_alone_from_the_row_to_the_outcome(page: Page) -> None:
    console = await begun(page)
    await page.get_by_role("button", name="Close …").first.focus()
    await page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    run = dialog.get_by_role("button", name="Close 2 files")
    await expect(run).to_be_disabled()
    await expect(dialog.get_by_role("button", name="No")).to_be_focused()
    await page.keyboard.press("Shift+Tab")
    await page.keyboard.press("Shift+Tab")
    await expect(dialog.get_by_label("This may cost somebody")).to_be_focused()
    await page.keyboard.type("fs")
    await expect(run).to_be_disabled()
    await page.keyboard.type("1")
    await expect(run).to_be_enabled()
    for _ in range(3):
        await page.keyboard.press("Tab")
    await expect(run).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(dialog.get_by_role("button", name="Close: it goes on")).to_be_focused()
    assert console.bodies(*RUN) == [{"confirm": "fs1", "with_others": False}]
    spared = {"number": 0, "key": "file:7", "outcome": "spared", "reason": "changed", "message": "it is another file"}
    await console.say("plan", {"v": 1, "plan": "p1", "state": "running", "outcome": spared})
    await expect(dialog.locator(".target").first).to_contain_text("left alone it is another file")
    done = {"number": 1, "key": "file:8", "outcome": "done", "reason": None, "message": None}
    await console.say("plan", {"v": 1, "plan": "other", "state": "running", "outcome": done | {"outcome": "failed"}})
    await console.say("plan", {"v": 1, "plan": "p1", "state": "running", "outcome": done})
    await console.say("plan", {"v": 1, "plan": "p1", "state": "done", "verdict": None, "error": None, "note": None})
    await expect(dialog.get_by_role("status").first).to_have_text("1 closed, 1 left alone")
    assert await axe(page) == []
    await expect(dialog.get_by_role("button", name="Close")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(dialog).to_have_count(0)


async def test_focus_stays_in_the_dialog(page: Page) -> None:
    console = await begun(page)
    dialog = await asked(page, console)
    for _ in range(12):
        await page.keyboard.press("Tab")
        inside = "document.activeElement === document.body || document.activeElement.closest('dialog') !== null"
        assert await page.evaluate(inside)
    await expect(dialog).to_be_visible()


async def test_bystanders_end_only_where_a_box_is_ticked(page: Page) -> None:
    console = await begun(page)
    plan = (
        PLAN
        | MILD
        | {"verb": "end", "rows": [session(0, "ann", "pc1", num_bystanders=1), session(1, "me", "x", is_own=True)]}
    )
    plan |= {
        "bystanders": [{"client_name": "pc1", "user_name": "carl", "num_opens": None}],
        "confirm_with_others": "fs1",
    }
    dialog = await asked(page, console, plan)
    await expect(dialog).to_contain_text("1 other session would end with it")
    await expect(dialog).to_contain_text("your own session: it is left alone")
    await expect(dialog.get_by_label("This may cost somebody")).to_be_hidden()
    await dialog.get_by_label("End this one too").check()
    run = dialog.get_by_role("button", name="and 1 other")
    await expect(run).to_be_disabled()
    await dialog.get_by_label("This may cost somebody").fill("FS1")
    await run.click()
    await expect(dialog.get_by_role("button", name="Close: it goes on")).to_be_visible()
    assert console.bodies(*RUN) == [{"confirm": "FS1", "with_others": True}]


async def test_a_plan_that_is_too_old_cannot_be_run_and_one_looks_again(page: Page) -> None:
    await page.clock.install()
    console = await begun(page)
    dialog = await asked(page, console, PLAN | MILD)
    run = dialog.get_by_role("button", name="Close 2 files")
    await expect(run).to_be_enabled()
    await page.clock.run_for(30_000)
    await expect(dialog.locator(".clock")).to_contain_text("s")
    await expect(run).to_be_enabled()
    await page.clock.run_for(31_000)
    await expect(run).to_be_disabled()
    await expect(dialog.get_by_role("alert")).to_contain_text("too old")
    await expect(dialog.get_by_role("button", name="Look again")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(run).to_be_enabled()
    assert len(console.bodies("POST", "servers/fs1/plans")) == 2


async def test_closing_the_dialog_does_not_stop_the_run_and_its_end_is_told(page: Page) -> None:
    console = await begun(page)
    dialog = await asked(page, console, PLAN | MILD)
    await dialog.get_by_role("button", name="Close 2 files").click()
    await expect(dialog.get_by_role("button", name="Close: it goes on")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    failed = {"number": 0, "key": "file:7", "outcome": "failed", "reason": None, "message": "access denied"}
    await console.say("plan", {"v": 1, "plan": "p1", "state": "running", "outcome": failed})
    await console.say("plan", {"v": 1, "plan": "p1", "state": "done", "verdict": None, "error": None, "note": None})
    await expect(page.locator(".toast")).to_contain_text("1 failed")


async def test_where_the_stream_says_nothing_the_plan_is_asked_for(page: Page) -> None:
    await page.clock.install()
    console = await begun(page)
    done = [{"number": 0, "key": "file:7", "outcome": "done"}, {"number": 1, "key": "file:8", "outcome": "done"}]
    console.answers["GET", "plans/p1"] = PLAN | {"state": "done", "outcomes": done}
    dialog = await asked(page, console, PLAN | MILD)
    await dialog.get_by_role("button", name="Close 2 files").click()
    await expect(dialog.get_by_role("button", name="Close: it goes on")).to_be_visible()
    await page.clock.run_for(3_000)
    await expect(dialog.get_by_role("status").first).to_have_text("2 closed")


REFUSED = {
    409: ("nothing of what is meant is listed any more", "look at the list again", "Look again"),
    403: ("you give no orders at fs1", "log on there", "Close"),
    501: ("fs1 cannot do that: Samba has no pause", None, "Close"),
    502: ("fs1 does not answer", "is it started?", "Look again"),
}


@pytest.mark.parametrize("status", REFUSED)
async def test_a_plan_that_cannot_be_made_says_why_and_what_to_do(browsing: Browsing, page: Page, status: int) -> None:
    browsing.allow(f"status of {status}")
    message, hint, button = REFUSED[status]
    console = await begun(page)
    error = {"schema": 1, "error": {"code": status, "message": message, "hint": hint}}
    console.answers["POST", "servers/fs1/plans"] = (status, error)
    await page.get_by_role("button", name="Close …").first.click()
    dialog = page.get_by_role("dialog")
    problem = dialog.get_by_role("alert")
    for words in filter(None, [message, hint, "Nothing was done."]):
        await expect(problem).to_contain_text(words)
    await expect(dialog.get_by_role("button", name=button)).to_be_visible()
    assert await axe(page) == []


@pytest.mark.parametrize(
    ("status", "message"), [(409, "the plan was run already"), (410, "the plan is older than a minute")]
)
async def test_a_plan_that_is_not_run_says_why(browsing: Browsing, page: Page, status: int, message: str) -> None:
    browsing.allow(f"status of {status}")
    console = await begun(page)
    console.answers[RUN] = (status, {"schema": 1, "error": {"code": status, "message": message, "hint": "look again"}})
    dialog = await asked(page, console, PLAN | MILD)
    await dialog.get_by_role("button", name="Close 2 files").click()
    await expect(dialog.get_by_role("alert")).to_contain_text(message)
    await dialog.get_by_role("button", name="Look again").click()
    await expect(dialog.get_by_role("button", name="Close 2 files")).to_be_enabled()


async def test_a_setting_is_changed_by_a_plan(page: Page) -> None:
    console = await begun(page, "settings")
    row = {"number": 0, "kind": "setting", "key": "setting:autodisconnect", "name": "autodisconnect"}
    rows = [row | {"before": 15, "after": 30, "cost": "none", "cost_why": "", "is_own": False}]
    console.answers["POST", "servers/fs1/plans"] = (201, PLAN | MILD | {"verb": "set", "rows": rows})
    await page.get_by_role("button", name="Change Idle sessions").click()
    minutes = page.get_by_label("Idle sessions end after")
    await expect(minutes).to_be_focused()
    await minutes.fill("30")
    await page.get_by_role("button", name="Change …").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.locator(".target")).to_contain_text("15 → 30")
    assert console.bodies("POST", "servers/fs1/plans") == [{"verb": "set", "targets": [], "autodisconnect": 30}]
    assert await axe(page) == []
    await dialog.get_by_role("button", name="Change it").click()
    done = {"number": 0, "key": "setting:autodisconnect", "outcome": "done", "reason": None, "message": None}
    await console.say("plan", {"v": 1, "plan": "p1", "state": "running", "outcome": done})
    await console.say("plan", {"v": 1, "plan": "p1", "state": "done", "verdict": None, "error": None, "note": None})
    await dialog.get_by_role("button", name="Close").click()
    await until(lambda: [one.path for one in console.asked].count("servers/fs1/settings") == 2)


async def test_a_drain_is_planned_followed_and_stopped(page: Page) -> None:
    console = await begun(page, "settings")
    plan = PLAN | MILD | {"verb": "drain", "rows": [session(0, "ann", "pc1")], "can_stop": True}
    console.answers["POST", "servers/fs1/plans"] = (201, plan)
    console.answers["POST", "plans/p1/stop"] = (202, {"schema": 1, "plan": "p1", "state": "running"})
    await page.get_by_role("button", name="Drain …").click()
    form = page.get_by_role("dialog", name="Drain fs1")
    await form.get_by_label("Then end").select_option("readers")
    assert await axe(page) == []
    await form.get_by_role("button", name="Look who is there").click()
    dialog = page.get_by_role("dialog", name="Drain fs1")
    await expect(dialog.locator(".target")).to_contain_text("ann")
    sent = console.bodies("POST", "servers/fs1/plans")[0]
    assert sent == {"verb": "drain", "targets": [], "warn": 300, "grace": 300, "timeout": 1800} | {
        "end": "readers",
        "keep_paused": False,
    }
    await dialog.get_by_role("button", name="Begin to drain").click()
    event = {"phase": "warning", "happened_at": "2026-11-26T14:00:00Z", "key": "session:pc1:ann", "outcome": "told"}
    await console.say(
        "plan", {"v": 1, "plan": "p1", "state": "running", "event": event | {"told": "yes", "message": None}}
    )
    await expect(dialog.locator(".log")).to_contain_text("pc1 ann")
    await dialog.get_by_role("button", name="Stop draining").click()
    await expect(dialog.get_by_role("button", name="Being stopped")).to_be_disabled()
    await console.say("plan", {"v": 1, "plan": "p1", "state": "stopped", "verdict": None, "error": None, "note": None})
    await expect(dialog).to_contain_text("It was stopped")
    assert len([one for one in console.asked if one.path == "plans/p1/stop"]) == 1


async def test_keys_of_files_are_those_by_which_they_are_listed(page: Page) -> None:
    await begun(page, "help")
    files = [
        (7, "C:\\a b\\ü.txt", "ann", None),
        (8, BAD, BAD, "node@1"),
        (9, None, "", None),
        (0, "!'()*~-_.", "%", "n"),
    ]
    for number, path, user, node in files:
        form = {"id": number, "path": path, "user_name": user} | ({} if node is None else {"node": node})
        made = await page.evaluate("async (one) => (await import('./js/words.js')).fileKey(one)", form)
        assert made == str(FileKey(number, path, user, node=node))
    lone = await page.evaluate(
        r"async () => (await import('./js/words.js')).fileKey({id: 1, path: '\ud800', user_name: ''})"
    )
    assert lone is None
