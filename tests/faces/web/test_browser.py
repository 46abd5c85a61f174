"""The browser that the console is looked at with: what it finds wrong with pages that are wrong."""

from __future__ import annotations

import pytest

from support.waiting import until
from support.web_pages import VARIANTS, Browsing, axe, serving

pytestmark = pytest.mark.posix

PAGES = {
    "/": "<main><h1>Sessions</h1><p>Nobody is there.</p></main>",
    "/inline": "<main><h1>Sessions</h1><script>document.title = 'changed'</script></main>",
    "/style": "<main><h1 style='color: red'>Sessions</h1></main>",
    "/raises": "<main><h1>Sessions</h1><script src='raises.js'></script></main>",
    "/unnamed": "<main><h1>Sessions</h1><button></button></main>",
    "/favicon.ico": "",
    "/raises.js": "throw new Error('broken')",
}


async def app(scope: dict[str, object], receive: object, send: object) -> None:
    """Pages under the policy of the console."""
    from starlette.requests import Request
    from starlette.responses import Response

    path = Request(scope).url.path
    kind = "text/javascript" if path.endswith(".js") else "text/html"
    html = f"<!doctype html><html lang=en><meta charset=utf-8><title>page</title>{PAGES.get(path, '')}"
    response = Response(
        PAGES[path] if path.endswith(".js") else html,
        status_code=200 if path in PAGES else 404,
        media_type=kind,
        headers={"Content-Security-Policy": "default-src 'self'"},
    )
    await response(scope, receive, send)  # type: ignore[arg-type]


@pytest.mark.parametrize("variant", VARIANTS)
async def test_a_good_page_has_no_faults_in_any_variant(browsing: Browsing, variant: str) -> None:
    async with serving(app) as url:
        page = await browsing.page(variant)
        await page.goto(url)
        assert await axe(page) == []
        dark = await page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
        assert dark == ("dark" in variant)
        assert await page.evaluate("innerWidth") == (390 if "phone" in variant else 1280)
    assert browsing.faults[0].listed() == []


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/inline", "Content Security Policy"),
        ("/style", "Content Security Policy"),
        ("/raises", "broken"),
        ("/nowhere", "status of 404"),
    ],
)
async def test_faults_are_noticed(browsing: Browsing, path: str, words: str) -> None:
    async with serving(app) as url:
        page = await browsing.page()
        await page.goto(url + path)
        await until(lambda: browsing.faults[0].listed())
    (fault,) = browsing.faults[0].listed()
    assert words in fault
    browsing.allow(words)
    assert browsing.faults[0].listed() == []


async def test_axe_finds_a_button_without_a_name(browsing: Browsing) -> None:
    async with serving(app) as url:
        page = await browsing.page()
        await page.goto(f"{url}/unnamed")
        (found,) = await axe(page)
        assert found.startswith("critical: button-name")
        assert await axe(page, "h1") == []
