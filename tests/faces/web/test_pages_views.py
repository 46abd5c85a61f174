"""What single pages do: servers, explain, doctor, history with its chart, policies, events, statistics, shares. In a
browser in front of a scripted console."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import Page, expect

from support.web_pages import Browsing, axe
from support.web_sample import ANSWERS, DELTA, HELLO, HISTORY, PAGES, PLAN, SEEN, SERVERS, STATISTICS, sampled
from support.web_scripted import ScriptedConsole, scripted

pytestmark = pytest.mark.posix


async def opened(page: Page, name: str, **answers: Any) -> ScriptedConsole:
    """A page; `answers` are of GET paths, with `_` for `/`."""
    console = sampled(await scripted(page))
    for path, answer in answers.items():
        console.answers["GET", path.replace("_", "/")] = answer
    await console.open(PAGES[name])
    await console.say("hello", HELLO)
    return console


# --- servers


async def test_servers_say_what_they_are_what_they_do_not_tell_and_what_cannot_be_ordered(page: Page) -> None:
    await opened(page, "servers")
    cards = page.locator("li.card")
    await expect(cards).to_have_count(5)
    await expect(cards.nth(0)).to_contain_text("18 of 20")
    await expect(cards.nth(0)).to_contain_text("CORP\\bob")
    await expect(cards.nth(0).get_by_role("meter")).to_have_attribute("aria-label", "Sessions")
    await expect(cards.nth(1)).to_contain_text("open files: access denied to its files. needs Server Operators")
    await expect(cards.nth(1)).to_contain_text("pause, drain: Samba has no pause")
    await expect(cards.nth(1)).to_contain_text("Sharesnot told")
    await expect(cards.nth(2)).to_contain_text("What is shown is of")
    await expect(cards.nth(3)).to_contain_text("ask ann")


async def test_a_server_that_goes_away_and_comes_back_is_shown_at_once(page: Page) -> None:
    console = await opened(page, "servers")
    card = page.locator("li.card").first
    await expect(card).to_contain_text("up")
    error = {"code": 1231, "message": "fs1 does not answer", "hint": "is it started?"}
    away = SERVERS[0] | {"server": "fs1", "state": "away", "error": error}
    await console.say("server", away)
    await expect(card).to_contain_text("does not answer")
    await expect(page.locator("#side")).to_contain_text("fs1, does not answer")
    await console.say("server", SERVERS[0] | {"server": "fs1"})
    await expect(card.locator(".tag").first).to_have_text("up")


async def test_a_meter_that_is_nearly_full_says_so_in_words_too(page: Page) -> None:
    console = await opened(page, "servers")
    await console.say("server", SERVERS[0] | {"server": "fs1", "sessions": 20})
    await expect(page.locator("li.card").first.locator(".meter .full").last).to_have_text("20 of 20")


# --- explain


async def test_explain_says_how_it_knows_and_takes_the_server_from_the_path(page: Page) -> None:
    console = await opened(page, "explain")
    row = page.get_by_role("row")
    await expect(row.nth(1)).to_contain_text("worked out: the user has sessions from there alone")
    await expect(row.nth(1)).to_contain_text("writes, 2 locks, lease RWH")
    await expect(row.nth(1)).to_contain_text("not before")
    await expect(row.nth(2)).to_contain_text("one of \\\\pc2")
    await page.get_by_label("File, as people").fill("\\\\FS2\\projects\\x.docx")
    async with page.expect_request(lambda request: "explain?server=fs2" in request.url):
        await page.keyboard.press("Enter")
    await expect(page.get_by_label("Server", exact=True)).to_have_value("fs2")
    await expect(row).to_have_count(3)
    assert [one.params["server"] for one in console.asked if one.path == "explain"] == ["fs1", "fs2"]
    await expect(page).to_have_url(re.compile("server=fs2"))


async def test_nobody_has_it_open(page: Page) -> None:
    told: Any = ANSWERS["GET", "explain"]
    answer = told | {"holders": [], "missing": [], "num_unsure": 0}
    await opened(page, "explain", explain=answer)
    await expect(page.locator("main")).to_contain_text("Nobody holds \\\\fs1\\projects\\budget.xlsx")
    assert await axe(page) == []


# --- doctor


async def test_the_doctors_report_is_copied_as_text_and_stays_while_one_looks_elsewhere(browsing: Browsing) -> None:
    page = await browsing.page("light")
    await page.add_init_script(
        "Object.defineProperty(navigator, 'clipboard', {value: {writeText: (t) => { window.copied = t; }}})"
    )
    console = await opened(page, "doctor")
    await expect(page.locator("main")).to_contain_text("1 problem, 1 warning.")
    await page.get_by_role("button", name="Copy as text").click()
    copied = await page.evaluate("window.copied")
    assert "problem" in copied
    assert "what helps: add the user to Server Operators" in copied
    assert "\u202e" not in copied
    await page.get_by_role("link", name="Statistics").first.click()
    await page.get_by_role("link", name="Doctor").first.click()
    await expect(page.locator("main")).to_contain_text("1 problem, 1 warning.")
    assert len([one for one in console.asked if one.path == "doctor"]) == 1


# --- history


async def test_a_gap_is_never_shown_as_nobody(page: Page) -> None:
    await opened(page, "history", history_between=HISTORY | {"stays": []})
    await expect(page.locator("main")).to_contain_text("Nobody looked during 1 gap")
    await expect(page.locator("main")).to_contain_text("Nobody is known to have been there")
    await expect(page.locator("main")).to_contain_text("In the gaps above nobody looked")


async def test_gaps_without_begin_or_end_and_a_chart_of_nothing_but_gaps_say_so(page: Page) -> None:
    gap = HISTORY["gaps"][0]
    gaps = [gap | {"begun_at": None}, gap | {"ended_at": None}]
    points = [{"at": f"2026-11-26T0{hour}:00:00Z", "sessions": None, "files": None} for hour in range(3)]
    series = {"schema": 1, "server": "fs1", "step": 3600, "points": points, "gaps": gaps}
    await opened(page, "history", history_between=HISTORY | {"gaps": gaps}, history_series=series)
    banner = page.locator("section.banner")
    await expect(banner).to_contain_text("fs1: until 2026-11-26 04:00:00 +00:00: recorder not running")
    await expect(banner).to_contain_text("fs1: from 2026-11-26 03:00:00 +00:00 on: recorder not running")
    await expect(page.locator("figure")).to_contain_text("Nobody looked at any of the times that are drawn")


async def test_without_gaps_nobody_is_nobody(page: Page) -> None:
    await opened(page, "history", history_between=HISTORY | {"stays": [], "gaps": [], "complete": True})
    await expect(page.get_by_role("heading", name="Nobody was there", exact=True)).to_be_visible()


async def test_a_server_that_was_never_recorded_is_not_empty(page: Page) -> None:
    await opened(page, "history", history_between=HISTORY | {"stays": [], "gaps": [], "watched": []})
    await expect(page.locator("main")).to_contain_text("Nothing was recorded of that server")


async def test_the_chart_goes_by_keys_and_says_where_it_stands(page: Page) -> None:
    await opened(page, "history")
    chart = page.locator(".chart")
    await expect(chart.locator("canvas")).to_be_visible()
    await chart.focus()
    said = page.locator("figure [role=status]")
    await page.keyboard.press("Home")
    await expect(said).to_have_text("2026-11-26 00:00:00 +00:00: 0 sessions, 2 open files")
    for _ in range(3):
        await page.keyboard.press("ArrowRight")
    await expect(said).to_have_text("2026-11-26 03:00:00 +00:00: nobody looked")
    await page.keyboard.press("End")
    await expect(said).to_have_text("2026-11-26 11:00:00 +00:00: 11 sessions, 2 open files")
    await page.get_by_text("The same as a table").click()
    table = page.get_by_role("table", name="Sessions and open files over time")
    await expect(table.get_by_role("row")).to_have_count(13)
    await expect(table.get_by_role("row").nth(4)).to_contain_text("nobody looked")
    assert await axe(page) == []


async def test_with_a_filter_the_chart_counts_what_is_selected(page: Page) -> None:
    console = await opened(page, "history")
    await page.get_by_label("User").fill("ann")
    await page.get_by_role("button", name="Show").click()
    await page.locator(".chart").focus()
    said = page.locator("figure [role=status]")
    await page.keyboard.press("Home")
    await expect(said).to_contain_text("1 sessions, 0 open files")
    between = [one.params for one in console.asked if one.path == "history/between"]
    assert [one.get("user") for one in between] == [None, "ann"]
    assert len([one for one in console.asked if one.path == "history/series"]) == 1
    await expect(page).to_have_url(re.compile("user=ann"))


async def test_where_no_database_is_named_it_says_so(browsing: Browsing, page: Page) -> None:
    browsing.allow("status of 501")
    error = {"code": 50, "message": "no database of history is named", "hint": "name one with --db"}
    refused = (501, {"schema": 1, "error": error})
    await opened(page, "history", history_between=refused, history_series=refused)
    await expect(page.locator(".state")).to_contain_text("no database of history is named. name one with --db")
    assert await axe(page) == []


async def test_counting_stays_agrees_with_counting_them_one_by_one(page: Page) -> None:
    await opened(page, "help")
    made = await page.evaluate(
        """async ([stays, gaps]) => {
          const { counted } = await import("./js/chart.js");
          return counted(stays, gaps, {since: 1795651200, until: 1795651200 + 12 * 3600});
        }""",
        [HISTORY["stays"], HISTORY["gaps"]],
    )
    times, sessions, files = made
    assert len(times) == len(sessions) == len(files) == 401
    hour = 3600
    for at, some, open_files in zip(times, sessions, files, strict=True):
        past = at - 1795651200
        if 3 * hour <= past < 4 * hour:
            assert (some, open_files) == (None, None)
        else:
            assert some == (past < 2 * hour) + (past >= 6 * hour)
            assert open_files == (8 * hour <= past < 10 * hour)


# --- policies


async def test_policies_that_cannot_look_say_so_beside_those_that_there_are(browsing: Browsing, page: Page) -> None:
    browsing.allow("status of 502")
    refused = (502, {"schema": 1, "error": {"code": 1231, "message": "fs1 does not answer", "hint": None}})
    console = sampled(await scripted(page))
    console.answers["GET", "policies/plan"] = refused
    console.answers["GET", "policies/status"] = refused
    await console.open(PAGES["policies"])
    await console.say("hello", HELLO)
    await expect(page.get_by_role("heading", name="evening")).to_be_visible()
    await expect(page.locator("main")).to_contain_text("fs1 does not answer")


# --- events


async def test_events_come_live_are_paused_and_filtered(page: Page) -> None:
    console = await opened(page, "events")
    await expect(page.locator("main")).to_contain_text("Nothing has happened yet")
    assert await axe(page) == []
    await console.say("delta", DELTA)
    lines = page.locator(".events li")
    await expect(lines).to_have_count(3)
    await page.get_by_role("button", name="Pause").click()
    await console.say("delta", DELTA | {"seq": [3, 4], "open": [], "close": DELTA["close"]})
    await expect(page.get_by_role("status").filter(has_text="Paused. 1 more")).to_be_visible()
    await expect(lines).to_have_count(3)
    await page.get_by_role("button", name="Go on").click()
    await expect(lines).to_have_count(4)
    await page.get_by_label("Filter").fill("DAVE pc2")
    await expect(lines).to_have_count(2)
    await expect(page).to_have_url(re.compile("filter=DAVE"))


async def test_a_lost_connection_of_a_session_is_an_event(page: Page) -> None:
    console = await opened(page, "events")
    change = {"key": "session:1", "kind": "session", "client_name": "pc1", "user_name": "ann"}
    two = ["192.0.2.1", "192.0.2.2"]
    lost = change | {"channels": ["192.0.2.1"], "channels_before": two}
    await console.say("delta", DELTA | {"seq": [1, 2], "open": [], "close": [], "change": [lost]})
    line = page.locator(".events li").first
    await expect(line).to_contain_text("connections")
    await expect(line).to_contain_text("session  ann  \\\\pc1  lost 192.0.2.2, now 1 connection")
    bound = change | {"channels": [*two, "192.0.2.2"], "channels_before": two}
    moved = change | {"channels": ["192.0.2.3"], "channels_before": ["192.0.2.1"]}
    samba = change | {"channels": two, "channels_before": None}
    other = {"key": "session:1", "kind": "session", "num_opens": 3}
    changes = [bound, moved, samba, other]
    await console.say("delta", DELTA | {"seq": [3, 4], "open": [], "close": [], "change": changes})
    lines = page.locator(".events li")
    await expect(lines).to_have_count(4)
    await expect(lines.nth(2)).to_contain_text("new 192.0.2.2, now 3 connections")
    await expect(lines.nth(1)).to_contain_text("lost 192.0.2.1, new 192.0.2.3, now 1 connection")
    await expect(lines.nth(0)).to_contain_text("pc1  now 2 connections")
    assert await axe(page) == []


# --- statistics


async def test_statistics_grow_while_one_looks(page: Page) -> None:
    await page.clock.install()
    console = await opened(page, "statistics")
    await expect(page.locator("main")).to_contain_text(SEEN["statistics"])
    # Until it is stopped the page's clock goes on by itself, as far as the machine lets it: the first rate is any.
    await page.clock.pause_at(datetime.now(UTC) + timedelta(hours=1))
    for sopens, words in ((1230, r"1,230"), (1280, r"1,280 \+10/s")):
        more = STATISTICS | {"sopens": sopens}
        console.answers["GET", "servers/fs1/statistics"] = {"schema": 1, "server": "fs1", "statistics": more}
        await page.clock.run_for(5_000)
        await expect(page.locator("main")).to_contain_text(re.compile(words))


# --- shares


async def test_a_share_is_added_by_a_form_and_a_plan(page: Page) -> None:
    console = sampled(await scripted(page))
    for name in ("shares", "sessions"):
        console.answers["GET", f"servers/fs1/{name}"] = {"schema": 1, "at": "e-0", "rows": [], "total": 0}
    row = {"number": 0, "kind": "share", "key": "share:new", "name": "new", "path": "/srv/new", "remark": "for all"}
    row |= {"max_users": 0, "action": "add", "cost": "none", "cost_why": "", "is_own": False}
    plan = PLAN | {"verb": "share", "rows": [row], "grave": False, "confirm": None, "confirm_with_others": None}
    console.answers["POST", "servers/fs1/plans"] = (201, plan)
    await console.open("#/server/fs1/shares")
    await console.say("hello", HELLO)
    await page.get_by_role("button", name="Share a folder").click()
    form = page.get_by_role("dialog", name="Share a folder of fs1")
    await form.get_by_label("Name").fill("new")
    await form.get_by_label("Folder on the server").fill("/srv/new")
    await form.get_by_label("Remark").fill("for all")
    assert await axe(page) == []
    await page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Share a folder of fs1")
    await expect(dialog.locator(".target")).to_contain_text("is shared, for any number of users: for all")
    sent = {"verb": "share", "targets": [], "action": "add", "name": "new", "path": "/srv/new", "remark": "for all"}
    assert console.bodies("POST", "servers/fs1/plans") == [sent | {"max_users": 0}]
