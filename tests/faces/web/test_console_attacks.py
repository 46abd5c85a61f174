"""Pages of somebody else, in the browser of a person who is logged in."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from support.passwords import PASSWORD
from support.waiting import until
from support.web_pages import Browsing, serving
from support.web_world import Web, World, consoled, fs1

pytestmark = pytest.mark.posix


@pytest_asyncio.fixture(loop_scope="session")
async def world() -> AsyncIterator[World]:
    async with fs1() as world:
        yield world


@pytest_asyncio.fixture(loop_scope="session")
async def web(world: World) -> AsyncIterator[Web]:
    async with consoled({"fs1": world.place}) as web:
        yield web


def site(html: str) -> Any:
    """A site of somebody else: one page, in all its addresses."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        from starlette.responses import HTMLResponse

        await HTMLResponse(f"<!doctype html><meta charset=utf-8><title>elsewhere</title>{html}")(scope, receive, send)

    return app


HOSTS = ("127.0.0.1", "localhost", "evil.example")
"""From where: another port of the same host, to which a browser sends its cookies; another host; another site."""

POSTS = [
    ("logout", {}),
    ("login", {"server": "fs1", "user": "mallory", "password": PASSWORD}),
    ("servers/fs1/plans", {"verb": "end", "targets": []}),
]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("how", ["form", "fetch"])
async def test_a_post_from_another_origin_does_nothing(web: Web, browsing: Browsing, host: str, how: str) -> None:
    context = await browsing.context()
    await web.log_in(context, "ann")
    (cookie,) = await context.cookies()
    web.answered.clear()
    forms = "".join(
        # A form can be made to send JSON: the name is its beginning, the value its end.
        f"<form id=f{number} method=post enctype=text/plain target=frame{number} action='{web.url}/api/v1/{path}'>"
        f"<input name='{json.dumps(body)[:-1]}{',' if body else ''}\"x\":\"' value='\"}}'></form>"
        f"<iframe name=frame{number}></iframe>"
        for number, (path, body) in enumerate(POSTS)
    )
    async with serving(site(forms)) as url:
        browsing.allow("")
        page = await context.new_page()
        await page.goto(url.replace("127.0.0.1", host))
        if how == "form":
            await page.evaluate("[...document.forms].forEach((form) => form.submit())")
        else:
            await page.evaluate(
                """async ([url, posts]) => {
                    for (const [path, body] of posts)
                        for (const mode of ['no-cors', 'cors'])
                            await fetch(`${url}/api/v1/${path}`, {
                                method: 'POST', mode, credentials: 'include', body: JSON.stringify(body),
                                headers: mode === 'cors' ? {'Content-Type': 'text/plain'} : {},
                            }).catch(() => null);
                }""",
                [web.url, POSTS],
            )
        await until(lambda: len([1 for method, *_ in web.answered if method == "POST"]) >= len(POSTS))
    assert {status for method, _, status in web.answered if method == "POST"} == {403}, web.answered
    assert [each["value"] for each in await context.cookies()] == [cookie["value"]]
    (person,) = [web.console.people.find(cookie["value"], web.console.clock())]
    assert person is not None
    assert person.name == "ann"


@pytest.mark.parametrize("host", HOSTS)
async def test_another_origin_reads_nothing(web: Web, browsing: Browsing, host: str) -> None:
    context = await browsing.context()
    await web.log_in(context, "ann")
    browsing.allow("")
    html = f"<script src='{web.url}/api/v1/servers'></script><iframe src='{web.url}/'></iframe>"
    async with serving(site(html)) as url:
        page = await context.new_page()
        await page.goto(url.replace("127.0.0.1", host))
        read = await page.evaluate(
            """async (url) => {
                const got = [];
                for (const path of ['servers', 'login', 'servers/fs1/sessions'])
                    await fetch(`${url}/api/v1/${path}`, {credentials: 'include'})
                        .then((answer) => answer.text()).then((text) => got.push(text)).catch(() => null);
                await new Promise((resolve) => {
                    const source = new EventSource(`${url}/api/v1/events`, {withCredentials: true});
                    source.addEventListener('hello', (event) => { got.push(event.data); resolve(); });
                    source.onerror = () => { source.close(); resolve(); };
                });
                return got;
            }""",
            web.url,
        )
        assert read == []
        frame = page.frames[1]
        assert "lanman" not in await frame.title()
        assert await frame.locator("#main").count() == 0


async def test_a_name_that_was_bound_to_this_machine_is_refused(web: Web, browsing: Browsing) -> None:
    """DNS rebinding: for the browser the attacker's page and the console are one origin then."""
    browsing_context = await browsing.context()
    browsing.allow("")
    page = await browsing_context.new_page()
    answer = await page.goto(f"http://evil.example:{web.port}/")
    assert answer is not None
    assert answer.status in (400, 403, 421)
    read = await page.evaluate(
        """async (posts) => {
            const got = [(await fetch('/api/v1/login')).status];
            for (const [path, body] of posts)
                got.push((await fetch(`/api/v1/${path}`, {method: 'POST', body: JSON.stringify(body)})).status);
            return got;
        }""",
        POSTS,
    )
    assert set(read) <= {400, 403, 421}
    assert await browsing_context.cookies() == []


async def test_a_session_is_new_at_each_log_in_and_dead_after_log_out(web: Web, browsing: Browsing) -> None:
    context = await browsing.context()
    name = f"lanman-{web.port}"
    await context.add_cookies([{"name": name, "value": "fixed-by-somebody", "url": web.url}])
    await web.log_in(context, "ann")
    (first,) = await context.cookies()
    assert first["value"] != "fixed-by-somebody"
    await web.log_in(context, "ann")
    (second,) = await context.cookies()
    assert second["value"] != first["value"]
    assert (second["httpOnly"], second["sameSite"]) == (True, "Strict")
    await context.request.post(f"{web.url}/api/v1/logout", headers={"Origin": web.url}, data={})
    assert await context.cookies() == []
    for old in (first, second):
        await context.add_cookies([{"name": name, "value": old["value"], "url": web.url}])
        answer = await context.request.get(f"{web.url}/api/v1/servers")
        assert answer.status == 401


TRAVERSALS = (
    "/../pages.py",
    "/..%2fpages.py",
    "/%2e%2e/pages.py",
    "/js/..%2f..%2fpages.py",
    "/js/../../pages.py",
    "/..\\pages.py",
    "/..%5cpages.py",
    "/js/%2e%2e%5c%2e%2e%5cpages.py",
    "//etc/passwd",
    "/%2fetc%2fpasswd",
    "/js/..%00/app.js",
    "/js%00.js",
    "/%c0%ae%c0%ae/pages.py",
    "/static/../pages.py",
    "/.%2e/__init__.py",
    "/js",
    "/js/",
    "/js/pages",
)


async def test_nothing_but_the_console_s_files_is_given_away() -> None:
    async with consoled({}) as web:
        for path in TRAVERSALS:
            reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
            head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{web.port}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode("latin-1"))
            answer = await reader.read()
            writer.close()
            assert re.match(rb"HTTP/1.1 (400|403|404) ", answer), (path, answer[:200])
            assert b"import" not in answer
            assert b"root:" not in answer
