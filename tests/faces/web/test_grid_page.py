"""The lists of the web console in a browser: sessions, open files and shares, in front of a scripted interface."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from support.scripted_console import ScriptedConsole, file, session, share
from support.waiting import until
from support.web_pages import Browsing, axe, serving

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.posix


class Site:
    """A scripted console, and pages of it."""

    def __init__(self, console: ScriptedConsole, url: str, browsing: Browsing) -> None:
        self.console = console
        self.url = url
        self.browsing = browsing

    async def page(self, path: str = "server/fs1/sessions", variant: str = "light", *, rows: bool = True) -> Page:
        """A page of a context of its own, with rows on it."""
        return await self.on(await self.browsing.page(variant), path, rows=rows)

    async def on(self, page: Page, path: str = "server/fs1/sessions", *, rows: bool = True) -> Page:
        """The same on a page that there is."""
        await page.goto(f"{self.url}/#/{path}")
        if rows:
            await page.wait_for_selector(".grid-body .grid-row:not([hidden])")
        # Rows may be there before the stream is: until then the page does not know whether they are still true.
        await expect(page, "document.getElementById('stream').textContent", "live")
        return page

    def have(self, *rows: dict[str, Any]) -> None:
        """Rows that the server has from the beginning."""
        for row in rows:
            self.console.rows.setdefault(("fs1", row["kind"]), []).append(row)


@pytest_asyncio.fixture(loop_scope="session")
async def site(browsing: Browsing) -> AsyncIterator[Site]:
    """A console with no rows."""
    console = ScriptedConsole()
    async with serving(console) as url:
        yield Site(console, url, browsing)
        # Pages are still there, and try again.
        browsing.allow("503|ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY")
        console.status = 503
        console.break_streams()


def column_of(number: int) -> str:
    """A script: what stands in a column of the rows that are there, from top to bottom."""
    rows = f"{SHOWN}.sort((one, other) => one.ariaRowIndex - other.ariaRowIndex)"
    return f"{rows}.map(row => row.children[{number}].textContent)"


async def cells(page: Page, column: int) -> list[str]:
    """What stands in a column, now: rows are drawn at the frame after what moves them."""
    return list(await page.evaluate(column_of(column)))


async def expect_cells(page: Page, column: int, *texts: str) -> None:
    """Wait until this stands in a column, and nothing else."""
    await expect(page, column_of(column), list(texts))


async def expect(page: Page, script: str, value: Any) -> None:
    """Wait until a script gives a value. What it asks for may not be there yet."""
    waiting = (
        f"value => {{ try {{ return JSON.stringify({script}) === JSON.stringify(value) }} catch {{ return false }} }}"
    )
    try:
        await page.wait_for_function(waiting, arg=value)
    except Exception:
        assert await page.evaluate(script) == value
        raise


SHOWN = "[...document.querySelectorAll('.grid-body .grid-row:not([hidden])')]"
COUNTS = "document.querySelector('.grid-counts').textContent"
FOCUSED = "document.activeElement.textContent"
SELECTED = f"{SHOWN}.filter(row => row.ariaSelected === 'true').map(row => row.children[1].textContent).sort()"
SAID = "document.querySelector('.grid-frame [role=status]').textContent"


async def test_ten_thousand_rows_are_some_forty_nodes_that_scroll(site: Site) -> None:
    site.have(*(session(number) for number in range(10_000)))
    page = await site.page()
    await expect(page, COUNTS, "10,000 sessions")
    assert await page.get_by_role("grid", name="Sessions of fs1").get_attribute("aria-rowcount") == "10001"
    for share_of in (0.25, 0.5, 0.99, 0.1):
        await page.evaluate(
            "share => { const box = document.querySelector('.grid-scroll'); box.scrollTop = share * box.scrollHeight }",
            share_of,
        )
        await expect(page, f"{SHOWN}.some(row => row.ariaRowIndex > {int(10_000 * share_of)})", True)
        assert await page.evaluate(f"{SHOWN}.length") < 60
    await page.locator(".grid-cell[tabindex='0']").focus()
    await page.keyboard.press("Control+End")
    await expect(page, FOCUSED, "\\\\10.0.39.250")
    assert await page.evaluate("document.activeElement.parentElement.ariaRowIndex") == "10001"
    # It stays, and keeps the focus, when it is scrolled away.
    await page.evaluate("document.querySelector('.grid-scroll').scrollTop = 0")
    await expect(page, f"{SHOWN}.some(row => row.ariaRowIndex === '2')", True)
    assert await page.evaluate(FOCUSED) == "\\\\10.0.39.250"


async def test_a_person_with_a_keyboard_alone_finds_selects_looks_and_orders(site: Site) -> None:
    site.have(*(session(number, user_name=f"user{number}") for number in range(40)))
    page = await site.page()
    await page.keyboard.press("/")
    await page.keyboard.type("user:user3*")
    await expect(page, COUNTS, "11 of 40 sessions")
    await page.keyboard.press("Enter")
    await expect(page, FOCUSED, "\\\\10.0.0.4")
    await page.keyboard.press("Space")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Shift+Space")
    assert await page.evaluate(SELECTED) == ["\\\\10.0.0.31", "\\\\10.0.0.32", "\\\\10.0.0.4"]
    await page.keyboard.press("ArrowRight")
    assert await page.evaluate(FOCUSED) == "user31"
    await page.keyboard.press("Enter")
    await expect(page, "document.querySelector('.details h2').textContent", "user31 at \\\\10.0.0.32")
    await expect(page, "document.activeElement.className", "details")
    await page.keyboard.press("Escape")
    await expect(page, FOCUSED, "user31")
    await page.keyboard.press("Delete")
    await page.get_by_role("dialog").wait_for()
    await until(lambda: site.console.plans)
    assert site.console.plans[0]["targets"] == ["session:3", "session:30", "session:31"]
    assert (site.console.plans[0]["server"], site.console.plans[0]["verb"]) == ("fs1", "end")
    await page.keyboard.press("Escape")
    await expect(page, FOCUSED, "user31")
    await page.keyboard.press("Escape")
    assert await page.evaluate(SELECTED) == []
    await page.keyboard.press("?")
    await page.get_by_role("dialog", name="Keys and filters").wait_for()


async def test_headings_sort_by_key_and_mouse_and_say_so(site: Site) -> None:
    opens = [3, None, 10, 2]
    site.have(*(session(number, num_opens=value) for number, value in enumerate(opens)))
    page = await site.page()
    await page.locator(".grid-cell[tabindex='0']").focus()
    for key in ("ArrowUp", "ArrowRight", "ArrowRight", "Enter"):
        await page.keyboard.press(key)
    await expect(page, "document.activeElement.ariaSort", "ascending")
    await expect_cells(page, 3, "2", "3", "10", "-")
    await page.get_by_role("columnheader", name="Opens").click()
    await expect(page, "document.activeElement.ariaSort", "descending")
    await expect_cells(page, 3, "10", "3", "2", "-")
    assert await page.evaluate(SAID) == "Sorted by Opens, descending"
    assert await page.evaluate("location.hash") == "#/server/fs1/sessions?sort=-opens"
    await page.get_by_role("columnheader", name="Opens").click()
    await expect(page, "document.activeElement.ariaSort", "none")
    await expect_cells(page, 3, "3", "-", "10", "2")


async def test_what_a_screen_reader_is_told(site: Site) -> None:
    site.have(session(1, user_name="bob"), session(2, user_name="eve"))
    page = await site.page()
    await page.locator(".grid-cell[tabindex='0']").focus()
    await page.keyboard.press("Space")
    told = await page.get_by_role("grid").aria_snapshot()
    assert 'columnheader "Client"' in told
    assert '- gridcell "bob"' in told
    assert re.search(r"row .*bob.*\[selected\]", told)
    assert not re.search(r"row .*eve.*\[selected\]", told)
    assert await axe(page) == []


async def test_who_has_gone_leaves_the_selection_and_nobody_inherits_it(site: Site) -> None:
    site.have(*(session(number) for number in range(5)))
    page = await site.page()
    await page.locator(".grid-cell[tabindex='0']").focus()
    await page.keyboard.press("Space")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Space")
    site.console.tell(close=[{"key": "session:1", "kind": "session", "why": "logged off"}])
    await expect(page, SAID, "1 selected session has gone; 1 session left in the selection")
    # It stays in sight under the cursor, and cannot be meant.
    await expect(page, "document.activeElement.parentElement.classList.contains('is-gone')", True)
    await page.keyboard.press("Space")
    assert await page.evaluate(SELECTED) == ["\\\\10.0.0.1"]
    site.console.tell(open=[session(1, user_name="another")])
    await expect(page, COUNTS, "5 sessions")
    assert await page.evaluate(SELECTED) == ["\\\\10.0.0.1"]
    await page.keyboard.press("Escape")
    await page.keyboard.press("Delete")
    assert site.console.plans == []
    # Below stands who has come, by the order of clients, and then the next one.
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Delete")
    await until(lambda: site.console.plans)
    assert site.console.plans[0]["targets"] == ["session:2"]


async def test_a_list_that_nobody_has_sorted_stands_by_its_first_column(site: Site) -> None:
    site.have(*(session(number, client_name=rf"\\10.0.0.{number}") for number in (101, 10, 22)))
    page = await site.page()
    clients = [r"\\10.0.0.10", r"\\10.0.0.22", r"\\10.0.0.101"]
    await expect(page, f"{SHOWN}.map(row => row.children[1].textContent)", clients)


async def test_a_click_means_the_row_that_was_there_when_the_button_went_down(site: Site) -> None:
    site.have(*(session(number, num_opens=10 + number) for number in range(20)))
    page = await site.page("server/fs1/sessions?sort=opens")
    pick = page.locator(".grid-body .grid-row:not([hidden]) .is-pick").nth(2)
    box = await pick.bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + 5, box["y"] + 5)
    await page.mouse.down()
    site.console.tell(open=[session(99, num_opens=0)])
    await expect(page, COUNTS, "21 sessions")
    await page.mouse.up()
    assert await page.evaluate(SELECTED) == []
    await page.mouse.down()
    await page.mouse.up()
    assert len(await page.evaluate(SELECTED)) == 1


async def test_changes_come_in_place_and_in_order_and_are_marked(site: Site) -> None:
    site.have(*(session(number, num_opens=number) for number in range(5)))
    page = await site.page("server/fs1/sessions?sort=-opens")
    site.console.tell(change=[{"key": "session:0", "kind": "session", "num_opens": 9}], open=[session(7, num_opens=3)])
    # Marks go after three seconds: they are waited for first.
    marked = f"{SHOWN}.map(row => row.className.match(/is-(new|changed)/)?.[1]).filter(Boolean).sort()"
    await expect(page, marked, ["changed", "new"])
    await expect_cells(page, 3, "9", "4", "3", "3", "2", "1")


async def test_what_happens_before_the_stream_begins_is_not_missed(site: Site) -> None:
    site.have(session(1), session(2))
    site.console.status = 503
    page = await site.browsing.page()
    site.browsing.allow("503")
    await page.goto(f"{site.url}/#/server/fs1/sessions")
    await expect(page, COUNTS, "2 sessions")
    site.console.tell(open=[session(3)], close=[{"key": "session:1", "kind": "session"}])
    site.console.status = 200
    await expect_cells(page, 1, "\\\\10.0.0.3", "\\\\10.0.0.4")


async def test_who_goes_on_at_once_after_a_dialog_has_the_keys_where_they_went(site: Site) -> None:
    """The event by which a dialog is closed comes later than its closing."""
    site.have(share("data"), share("home"))
    page = await site.page("server/fs1/shares")
    await page.get_by_role("button", name="Share a folder").click()
    await page.get_by_role("dialog").wait_for()
    focused = await page.evaluate(
        """async () => {
          const dialog = document.querySelector("dialog");
          const closed = new Promise((resolve) => dialog.addEventListener("close", resolve));
          dialog.close();
          document.querySelector(".grid-cell[tabindex='0']").focus();
          await closed;
          return document.activeElement.textContent;
        }"""
    )
    assert focused == "data"


# --- the stream


async def test_tabs_of_a_browser_have_one_stream(site: Site) -> None:
    site.have(session(1))
    context = await site.browsing.context()
    pages = [await site.on(await context.new_page()) for _ in range(3)]
    assert site.console.streams == 1
    site.console.tell(open=[session(2)])
    for page in pages:
        await expect(page, COUNTS, "2 sessions")
    for page in pages[:2]:
        await page.close()
    site.console.tell(close=[{"key": "session:1", "kind": "session"}])
    await expect(pages[2], COUNTS, "1 session")
    assert (site.console.streams, site.console.resumed) == (1, [""])


async def test_where_there_is_no_shared_worker_one_tab_leads_and_the_next_resumes(site: Site) -> None:
    site.have(session(1))
    context = await site.browsing.context()
    await context.add_init_script("delete window.SharedWorker")
    first, second = [await site.on(await context.new_page()) for _ in range(2)]
    assert site.console.streams == 1
    site.console.tell(open=[session(2)])
    for page in (first, second):
        await expect(page, COUNTS, "2 sessions")
    await first.close()
    await until(lambda: len(site.console.resumed) == 2 and site.console.streams == 1)
    assert site.console.resumed == ["", "e1-1"]
    site.console.tell(open=[session(3)])
    await expect(second, COUNTS, "3 sessions")


async def test_what_was_missed_is_made_up_for_and_nothing_is_there_twice(site: Site) -> None:
    site.have(*(session(number) for number in range(3)))
    page = await site.page()
    keys = "[...document.querySelectorAll('.grid-body .grid-row:not([hidden])')].map(row => row.node.entry.key).sort()"
    site.console.status = 503
    site.browsing.allow("503")
    site.console.break_streams()
    await expect(page, "document.querySelector('.banner.stale') !== null", True)
    await expect(page, f"{SHOWN}.every(row => row.classList.contains('is-old'))", True)
    site.console.tell(open=[session(8)], close=[{"key": "session:1", "kind": "session"}])
    site.console.status = 200
    await expect(page, keys, ["session:0", "session:2", "session:8"])
    await expect(page, "document.querySelector('.banner.stale') === null", True)
    # The console starts anew: the stream cannot go on, and the list is asked for again.
    site.console.rows["fs1", "session"] = [session(2), session(8, num_opens=77), session(9)]
    site.console.restart()
    await expect(page, keys, ["session:2", "session:8", "session:9"])
    assert "77" in await cells(page, 3)
    site.console.tell(close=[{"key": "session:2", "kind": "session"}])
    await expect(page, keys, ["session:8", "session:9"])


# --- what can be the matter


async def test_an_empty_list_says_so_and_fills_by_itself(site: Site) -> None:
    page = await site.page(rows=False)
    await page.get_by_text("Nobody is connected.").wait_for()
    assert await axe(page) == []
    site.console.tell(open=[session(1)])
    await expect(page, COUNTS, "1 session")


async def test_a_person_without_rights_is_told_so(site: Site) -> None:
    site.console.list_status = 403
    page = await site.page(rows=False)
    site.browsing.allow("403")
    await page.get_by_text("Access is denied.").first.wait_for()
    assert await axe(page) == []


async def test_a_server_that_goes_away_leaves_its_rows_and_no_orders(site: Site) -> None:
    site.have(session(1))
    page = await site.page()
    site.console.have(
        "fs1",
        state="away",
        error={"code": 53, "message": "the server was not found", "hint": None},
        asked_at="2026-11-25T11:00:00.000Z",
    )
    await page.get_by_text("the server was not found").wait_for()
    button = page.get_by_role("button", name="End")
    await page.locator(".grid-cell[tabindex='0']").focus()
    await page.keyboard.press("Space")
    assert await button.get_attribute("aria-disabled") == "true"
    described = await button.get_attribute("aria-describedby")
    assert "does not answer" in await page.locator(f"#{described}").inner_text()
    await page.keyboard.press("Delete")
    assert site.console.plans == []
    assert await axe(page) == []
    site.console.have("fs1", state="up")
    await expect(page, "document.querySelector('.banner.stale') === null", True)
    assert await button.get_attribute("aria-disabled") == "false"


async def test_an_order_that_a_server_cannot_take_says_why(site: Site) -> None:
    site.console.servers["fs1"] |= {"capabilities": {"share": False}, "why": {"share": "this server takes none"}}
    site.have(share("data"))
    page = await site.page("server/fs1/shares")
    await page.locator(".grid-cell[tabindex='0']").focus()
    await page.keyboard.press("Space")
    button = page.get_by_role("button", name="Stop sharing")
    described = await button.get_attribute("aria-describedby")
    assert "this server takes none" in await page.locator(f"#{described}").inner_text()
    await button.press("Enter")
    assert site.console.plans == []


async def test_a_filter_with_a_mistake_says_so_and_lets_nothing_more_through(site: Site) -> None:
    site.have(*(session(number, user_name=f"user{number}") for number in range(5)))
    page = await site.page()
    await page.get_by_role("searchbox").fill("user:user3")
    await expect(page, COUNTS, "1 of 5 sessions")
    await page.get_by_role("searchbox").fill("user:user3 idle>soon")
    await page.get_by_text("soon is no duration: write it as in idle>1h30m").wait_for()
    assert await page.evaluate(COUNTS) == "1 of 5 sessions"
    assert await axe(page) == []
    mistaken = await site.page("server/fs1/sessions?filter=owner:bob", rows=False)
    await mistaken.get_by_text("The filter is not understood: nothing is shown.").wait_for()
    assert await mistaken.evaluate(f"{SHOWN}.length") == 0


# --- habits


async def test_an_address_says_what_is_shown(site: Site) -> None:
    site.have(*(file(number) for number in range(200)))
    page = await site.page("server/fs1/files?filter=path:*9.xlsx&sort=-id&columns=id,path")
    await expect(page, COUNTS, "20 of 200 files")
    titles = await page.locator("[role=columnheader] .grid-title").all_inner_texts()
    assert titles == ["ID", "Path"]
    assert (await cells(page, 1))[:2] == ["199", "189"]
    await page.get_by_role("searchbox").fill("")
    await expect(page, "location.hash", "#/server/fs1/files?sort=-id&columns=id%2Cpath")


async def test_columns_are_chosen_and_kept(site: Site) -> None:
    site.have(session(1, domain="EXAMPLE"))
    context = await site.browsing.context()
    page = await site.on(await context.new_page())
    await page.get_by_role("button", name="Columns").click()
    dialog = page.get_by_role("dialog", name="Columns")
    await dialog.get_by_label("Domain", exact=True).check()
    await dialog.get_by_label("Client", exact=True).uncheck()
    await dialog.get_by_role("button", name="Move User down").click()
    assert await axe(page) == []
    await page.keyboard.press("Escape")
    titles = await page.locator("[role=columnheader] .grid-title").all_inner_texts()
    assert titles[:3] == ["Opens", "User", "Idle"]
    assert titles[-1] == "Domain"
    again = await site.on(await context.new_page())
    assert await again.locator("[role=columnheader] .grid-title").all_inner_texts() == titles


async def test_csv_and_print_have_all_that_is_shown(site: Site) -> None:
    site.have(*(session(number, user_name="=cmd" if number == 3 else f"user{number}") for number in range(300)))
    page = await site.page("server/fs1/sessions?filter=!user:user7&columns=client,user,since")
    await expect(page, COUNTS, "299 of 300 sessions")
    async with page.expect_download() as downloading:
        await page.get_by_role("button", name="CSV").click()
    path = await (await downloading.value).path()
    lines = path.read_bytes().decode("utf-8-sig").split("\r\n")
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    assert lines[0] == "Client,User,Since"
    assert lines[4] == "\\\\10.0.0.4,'=cmd,2026-11-25T00:00:21.000Z"
    assert (len(lines), lines[-1]) == (301, "")
    await page.evaluate("dispatchEvent(new Event('beforeprint'))")
    await page.emulate_media(media="print")
    assert await page.locator("table.grid-print tbody tr").count() == 299
    assert await page.locator(".grid-scroll").is_hidden()
    await page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert await page.locator("table.grid-print").count() == 0


async def test_what_peers_chose_is_text_and_made_visible(site: Site) -> None:
    odd = "<img src=x onerror=alert(1)>\u202egpj.exe\x1b[31m"
    site.have(session(1, user_name=odd), file(1, path=f"C:\\{odd}", user_name=odd), share(odd, remark=odd))
    shown = "<img src=x onerror=alert(1)>\\u202egpj.exe\\x1b[31m"
    for kind, column in (("sessions", 2), ("files", 1), ("shares", 1)):
        page = await site.page(f"server/fs1/{kind}")
        assert shown in (await cells(page, column))[0]
        await page.locator(".grid-cell[tabindex='0']").focus()
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", level=2).filter(has_text="onerror").wait_for()
        assert await page.locator(".details img, .grid img").count() == 0
        text = await page.locator("main").inner_text()
        assert "\u202e" not in text
        assert "\x1b" not in text


async def test_a_phone_has_two_lines_for_each_row_and_a_box_to_sort_by(site: Site) -> None:
    site.have(*(session(number, num_opens=9 - number) for number in range(10)))
    page = await site.page(variant="phone")
    row = page.locator(".grid-body .grid-row:not([hidden])").first
    box = await row.bounding_box()
    assert box is not None
    assert box["height"] > 40
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await page.get_by_role("combobox", name="Sort by").select_option("opens")
    await expect(
        page,
        f"{SHOWN}[0] && document.querySelector('[aria-rowindex=\"2\"]:not([hidden]) .phone-title').textContent",
        "\\\\10.0.0.10",
    )
    assert await axe(page) == []
    await row.tap()
    await page.locator(".details:not([hidden])").wait_for()
    assert await axe(page) == []


async def test_details_show_at_once_that_a_connection_is_lost(site: Site) -> None:
    site.have(session(1, channels=["192.0.2.1", "192.0.2.2"]))
    page = await site.page()
    await page.locator(".grid-cell[tabindex='0']").focus()
    await page.keyboard.press("Enter")
    shown = "document.querySelector('.details').textContent.match(/Connections(\\d: [0-9., ]+)/)?.[1]"
    await expect(page, shown, "2: 192.0.2.1, 192.0.2.2")
    change = {"key": "session:1", "kind": "session", "channels": ["192.0.2.1"]}
    site.console.tell(change=[change | {"channels_before": ["192.0.2.1", "192.0.2.2"]}])
    await expect(page, shown, "1: 192.0.2.1")


@pytest.mark.parametrize(("variant", "kind"), [("light", "files"), ("dark", "sessions"), ("dark-phone", "shares")])
async def test_axe_finds_nothing_on_lists_with_details(site: Site, variant: str, kind: str) -> None:
    site.have(*(session(number) for number in range(50)), *(file(number) for number in range(50)), share("data"))
    page = await site.page(f"server/fs1/{kind}", variant)
    await page.locator(".grid-cell[tabindex='0']").focus()
    await page.keyboard.press("Space")
    await page.keyboard.press("Enter")
    await page.locator(".details:not([hidden])").wait_for()
    assert await axe(page) == []


async def test_a_log_in_that_is_over_is_said_and_orders_wait(site: Site) -> None:
    site.have(session(1))
    page = await site.page()
    site.browsing.allow("401")
    site.console.status = 401
    site.console.break_streams()
    await page.get_by_text("Your log-in is over.").wait_for()
    await expect(page, f"{SHOWN}.every(row => row.classList.contains('is-old'))", True)


async def test_shares_are_added_and_changed_by_their_forms(site: Site) -> None:
    site.have(share("data"), share("home", remark="homes"))
    page = await site.page("server/fs1/shares")
    await page.get_by_role("button", name="Share a folder").click()
    await page.get_by_role("dialog").get_by_role("button", name="Leave it").click()
    await page.locator(".grid-cell[tabindex='0']").focus()
    await page.keyboard.press("Control+a")
    change = page.get_by_role("button", name="Change", exact=False).first
    await expect(page, SELECTED, ["data", "home"])
    assert await change.get_attribute("aria-disabled") == "true"
    await page.keyboard.press("Escape")
    await page.keyboard.press("ArrowDown")
    await change.click()
    assert await page.get_by_role("dialog").get_by_label("Remark").input_value() == "homes"


async def test_a_path_that_is_too_long_is_cut_at_its_beginning(site: Site) -> None:
    # The end is what tells files of one folder apart.
    site.have(*(file(number, path=f"C:\\{'a-long-folder' * 12}\\({number}) plan.docx") for number in (1, 2)))
    page = await site.page("server/fs1/files", "phone")
    seen = await page.evaluate(
        """() => [...document.querySelectorAll(".grid-body .grid-row:not([hidden]) .keeps-end")].map((cell) => {
          const [box, text] = [cell.getBoundingClientRect(), document.createRange()];
          const node = cell.firstChild.firstChild;
          text.setStart(node, node.length - "(1) plan.docx".length);
          text.setEnd(node, node.length);
          const end = text.getBoundingClientRect();
          return [cell.scrollWidth > cell.clientWidth, end.left >= box.left && end.right <= box.right + 1];
        })"""
    )
    assert seen == [[True, True], [True, True]]
    assert (await page.locator(".grid-body .keeps-end").first.text_content() or "").endswith("\\(1) plan.docx")
