"""How long the lists of the web console take with very many rows, in Debian's Chromium, and Tabulator beside them.

    .venv/bin/python benchmarks/web_grid.py [--rows 10000] [--changes 500] [--rounds 7] [--only grid|page]
        [--json]

`grid`: one page with the console's own grid and Tabulator (its virtual DOM, the same columns, values and width), in
turns in the same run. "script" is what the calls themselves and the layout that they cause take, which is what keeps a
page from answering; "drawn" is until the second frame after them, by when the browser has drawn it: two frames that
nothing happens in take some 30 ms; "used" is the processor time of the page's thread for all of it, by the browser's
own count, which depends least on what else a machine does. The list is sorted by idle time when rows change, so those
have to move. "task" is the longest that PerformanceObserver tells (longtask: over 50 ms) in any round.

`page`: the console's whole page in front of a scripted interface: from the beginning of the navigation to rows,
changes over the stream, sort, filter; and the longest task of each.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests")]

from figures import Figure, add_json, cannot_run, for_people, report  # noqa: E402

from support.scripted_console import STATIC, ScriptedConsole, session  # noqa: E402
from support.web_pages import chromium, opened, serving  # noqa: E402

if TYPE_CHECKING:
    from playwright.async_api import Page

TABULATOR = ROOT / "tests" / "npm" / "node_modules" / "tabulator-tables" / "dist"

PAGE = """<!doctype html><html lang=en><meta charset=utf-8><title>lists</title>
<link rel=stylesheet href=/style.css><link rel=stylesheet href=/grid.css>
<link rel=stylesheet href=/tabulator/css/tabulator.min.css>
<main style="height: 700px; width: 1200px; display: flex" id=place></main>
<script src=/tabulator/js/tabulator.min.js></script>
<script type=module src=/bench.js></script>"""


class Bench(ScriptedConsole):
    """The scripted console, with a page for both grids."""

    async def _answer(self, request: Any) -> Any:
        from starlette.responses import FileResponse, HTMLResponse

        path = request.url.path
        if path == "/bench":
            return HTMLResponse(PAGE)
        if path == "/bench.js":
            return FileResponse(ROOT / "benchmarks" / "web_grid.js", media_type="text/javascript")
        if path.startswith("/tabulator/"):
            return FileResponse(TABULATOR / path.removeprefix("/tabulator/"))
        return await super()._answer(request)


STEPS = ("build", "sort", "back", "delta", "filter", "all", "scroll", "end")
SHOWN = ("build", "delta", "sort", "filter", "scroll")


async def compare_grids(page: Page, url: str, rows: int, changed: int, rounds: int) -> list[Figure]:
    """Both grids in turns, and the median of each measure; how much more Tabulator uses."""
    await page.goto(f"{url}/bench")
    await page.wait_for_function("window.ready")
    await page.evaluate("rows => { window.rows = rows }", [session(number) for number in range(rows)])
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("Performance.enable", {"timeDomain": "threadTicks"})

    async def used() -> float:
        told = await devtools.send("Performance.getMetrics")
        return float(next(one["value"] for one in told["metrics"] if one["name"] == "TaskDuration")) * 1000

    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    nodes = {}
    for number in range(rounds + 1):
        for whose in ("own", "Tabulator"):
            for what in STEPS:
                before = await used()
                asked = [whose, what, changed, number]
                one = await page.evaluate("([whose, what, changed, round]) => step(whose, what, changed, round)", asked)
                if number:  # the first round is for the compiler
                    found.setdefault((whose, what), []).append(one | {"used": await used() - before})
                if what == "filter":
                    nodes[whose] = await page.evaluate("whose => nodes(whose)", whose)
    print(f"\n{rows:,} rows, {changed} changes, the median of {rounds} rounds in ms; nodes on the page: {nodes}")
    heads = f"{'script':>8}{'drawn':>8}{'task':>6}"
    print(f"{'':8}{'own: used':>10}{heads}{'Tabulator: used':>18}{heads}")
    figures = []
    for what in SHOWN:
        own, theirs = _medians(found["own", what]), _medians(found["Tabulator", what])
        each = "".join(
            f"{measured['used']:{wide}.1f}{measured['script']:8.1f}{measured['all']:8.1f}{measured['task']:6.0f}"
            for measured, wide in ((own, 10), (theirs, 18))
        )
        ratios = [theirs[of] / max(own[of], 0.1) for of in ("used", "script")]
        print(f"{what:8}{each}   {ratios[0]:.1f} x used, {ratios[1]:.1f} x script")
        goal = 3.0 if what == "delta" else None
        figures.append(Figure(f"{what}: processor time beside", ratios[0], "x", "higher", goal, "Tabulator", 0.4))
    return figures


def _medians(measured: list[dict[str, float]]) -> dict[str, float]:
    found = {name: statistics.median(one[name] for one in measured) for name in ("used", "script", "all")}
    return found | {"task": max(one["task"] for one in measured)}


async def whole_page(page: Page, console: ScriptedConsole, url: str, rows: int, changed: int) -> None:
    """The console's page: from the navigation to rows, and what changes afterwards."""
    console.rows["fs1", "session"] = [session(number) for number in range(rows)]
    await page.add_init_script(
        "window.tasks = [];"
        "new PerformanceObserver(list => list.getEntries().forEach(entry => tasks.push(entry.duration)))"
        ".observe({ type: 'longtask', buffered: true });"
    )
    await page.goto("about:blank")
    await page.goto(f"{url}/#/server/fs1/sessions?sort=idle", wait_until="commit")
    shown = await page.evaluate(
        "async () => { while (!document.querySelector('.grid-body .grid-row:not([hidden])'))"
        " await new Promise(requestAnimationFrame);"
        " await new Promise(requestAnimationFrame); return performance.now() }"
    )
    longest = await _longest(page)
    print(f"\nthe page with {rows:,} rows: {shown:.0f} ms from the navigation to rows, longest task {longest} ms")
    await page.evaluate("tasks.length = 0")
    for number in range(10):
        step = [
            {"key": f"session:{(one * 37 + number) % rows}", "kind": "session", "num_opens": one % 50 + number}
            for one in range(changed)
        ]
        console.tell(change=step, open=[session(rows + number, user_name=f"newcomer{number}")])
        await page.wait_for_function(
            "count => document.querySelector('.grid-counts').textContent.startsWith(count)",
            arg=f"{rows + number + 1:,}",
        )
    print(f"10 deltas of {changed} over the stream: longest task {await _longest(page)} ms")
    await page.evaluate("tasks.length = 0")
    for title in ("Client", "User", "Opens"):
        await page.get_by_role("columnheader", name=title).click()
    print(f"sorted by three columns: longest task {await _longest(page)} ms")
    await page.evaluate("tasks.length = 0")
    await page.get_by_role("searchbox").press_sequentially("user4 opens>2", delay=80)
    await page.wait_for_function("document.querySelector('.grid-counts').textContent.includes(' of ')")
    print(f"a filter typed: longest task {await _longest(page)} ms")


async def _longest(page: Page) -> int:
    await page.wait_for_timeout(200)
    return round(await page.evaluate("Math.max(0, ...tasks)"))


async def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--changes", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", choices=["grid", "page"])
    add_json(parser)
    asked = parser.parse_args()
    assert STATIC.exists()
    if not TABULATOR.exists():
        cannot_run("Tabulator is missing: npm ci --prefix tests/npm")
    console = Bench()
    figures = []
    with for_people(asked.json):
        async with serving(console) as url, chromium() as browser, opened(browser) as (context, _):
            if asked.only != "page":
                page = await context.new_page()
                figures += await compare_grids(page, url, asked.rows, asked.changes, asked.rounds)
            if asked.only != "grid":
                await whole_page(await context.new_page(), console, url, asked.rows, asked.changes)
            console.status = 503
            console.break_streams()
    report("web_grid", figures, asked.json)


asyncio.run(main())
