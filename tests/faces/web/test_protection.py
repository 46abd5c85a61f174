"""What a request must be, and what every answer says: requests of other sites, names that lead here, bodies."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import httpx
import pytest

from lanman.faces.web import protection
from lanman.faces.web.protection import MAX_BODY, Rules
from lanman.faces.web.seldom import MOST, WINDOW, Seldom
from support.web_guarded import guarded

LOGOUT = "/api/v1/logout"


@pytest.mark.parametrize(
    ("fields", "passes"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "x"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:8445"}, False),
        ({"Origin": "http://127.0.0.1:8445"}, True),
        ({"Origin": "http://127.0.0.1"}, False),
        ({"Origin": "http://127.0.0.1:3000"}, False),
        ({"Origin": "http://evil.example.com"}, False),
        ({"Origin": "http://127.0.0.1:8445.evil.example.com"}, False),
        ({"Origin": "http://127.0.0.1:8445@evil.example.com"}, False),
        ({"Origin": "null"}, False),
        ({}, True),  # no browser: a script, which has no cookie that somebody else's page could use
    ],
)
async def test_a_request_of_another_site_changes_nothing(fields: dict[str, str], passes: bool) -> None:
    async with guarded() as web, web.browser() as browser:
        await web.log_in(browser, "ann")
        assert (await browser.post(LOGOUT, headers=fields)).status_code == (204 if passes else 403)
        assert len(web.console.people) == (0 if passes else 1)


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_another_site_reads_nothing_either_but_may_link_to_the_page(site: str) -> None:
    async with guarded() as web, web.browser() as browser:
        assert (await browser.get("/api/v1/login", headers={"Sec-Fetch-Site": site})).status_code == 403
        answer = await browser.get("/", headers={"Sec-Fetch-Site": site})
        assert answer.status_code == 200
        assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8445", 200),
        ("LocalHost", 200),
        ("localhost.:8445", 200),
        ("127.0.0.1:8445", 200),
        ("192.0.2.1", 200),
        ("[::1]:8445", 200),
        ("console.example.com", 200),
        ("fs.apps.example.com:443", 200),
        ("apps.example.com", 421),
        ("a.b.apps.example.com", 421),
        ("evil.example.com", 421),
        ("localhost.evil.example.com", 421),
        ("127.0.0.1.evil.example.com", 421),
        ("localhost:8445@evil.example.com", 400),
        ("localhost/", 400),
        ("", 400),
        ("[::1", 400),
    ],
)
async def test_a_name_that_leads_here_is_not_enough(host: str, status: int) -> None:
    rules = Rules(frozenset({"localhost", "console.example.com", "*.apps.example.com"}))
    async with guarded(rules) as web, web.browser() as browser:
        assert (await browser.get("/api/v1/login", headers={"Host": host})).status_code == status


async def test_two_hosts_are_none() -> None:
    async with guarded() as web, web.browser() as browser:
        answer = await browser.get("/", headers=[("Host", "localhost"), ("Host", "localhost")])
        assert answer.status_code == 400


async def test_beyond_this_machine_without_tls_only_the_proxy_asks() -> None:
    rules = Rules(proxy="10.0.0.7", proxy_only=True)
    async with guarded(rules) as web:
        for peer, status in (("10.0.0.7", 200), ("10.0.0.8", 403), ("127.0.0.1", 403)):
            async with web.browser(peer=peer) as browser:
                assert (await browser.get("/")).status_code == status


@pytest.mark.parametrize("path", ["/", "/api/v1/login", "/api/v1/nothing", "/nothing", "/js/app.js"])
async def test_what_every_answer_says(path: str) -> None:
    async with guarded() as web, web.browser() as browser:
        fields = (await browser.get(path)).headers
        policy = {part.strip() for part in fields["content-security-policy"].split(";")}
        assert {"default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} <= policy
        assert "unsafe" not in fields["content-security-policy"]
        assert fields["x-content-type-options"] == "nosniff"
        assert fields["referrer-policy"] == "no-referrer"
        assert fields["cross-origin-opener-policy"] == "same-origin"
        assert fields["cross-origin-resource-policy"] == "same-origin"
        assert ("cache-control" not in fields or fields["cache-control"] == "no-store") == path.startswith("/api/") or (
            path == "/nothing"
        )


# --- bodies


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 404),
        ("application/json; charset=UTF-8", 404),
        ("application/json; charset=utf-16", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data", 415),
        ("", 415),
    ],
)
async def test_a_form_is_no_body(kind: str, status: int) -> None:
    async with guarded() as web, web.browser() as browser:
        body = json.dumps({"server": "fs9", "user": "ann", "password": "x"}).encode()
        answer = await browser.post("/api/v1/login", content=body, headers={"Content-Type": kind})
        assert answer.status_code == status


@pytest.mark.parametrize("body", [b"{", b"[1]", b"\xff", b"null", b"[" * 60000, b'{"server": 1}'])
async def test_what_is_no_json(body: bytes) -> None:
    async with guarded() as web, web.browser() as browser:
        answer = await browser.post("/api/v1/login", content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["schema"]) == (400, 1)


async def test_a_body_that_is_too_long_is_not_read_on() -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b" " * 8192

    async with guarded() as web, web.browser() as browser:
        fields = {"Content-Type": "application/json"}
        answer = await browser.post("/api/v1/login", content=endless(), headers=fields)
        assert (answer.status_code, answer.headers["connection"]) == (413, "close")
        assert read <= MAX_BODY // 8192 + 1
        answer = await browser.post("/api/v1/login", content=b" " * (MAX_BODY + 1), headers=fields)
        assert answer.status_code == 413


async def test_a_body_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protection, "BODY_TIMEOUT", 0.01)

    async def stuck() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with guarded() as web, web.browser() as browser:
        answer = await browser.post("/api/v1/login", content=stuck(), headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.headers["connection"]) == (408, "close")


async def test_a_question_has_no_body() -> None:
    async with guarded() as web, web.browser() as browser:
        answer = await browser.request("GET", "/", content=b"{}")
        assert (answer.status_code, answer.headers["connection"]) == (400, "close")


async def test_another_method_is_told_which_there_are() -> None:
    async with guarded() as web, web.browser() as browser:
        answer = await browser.put("/api/v1/login", json={})
        assert (answer.status_code, answer.json()["schema"]) == (405, 1)
        assert (await browser.options("/")).status_code == 405
        assert (await browser.head("/")).content == b""


# --- the log


async def test_what_is_refused_is_logged_and_escaped(caplog: pytest.LogCaptureFixture) -> None:
    async with guarded() as web, web.browser() as browser:
        await browser.post("/api/v1/log\u202eout?q=s3cret", headers={"Sec-Fetch-Site": "cross-site"})
    (line,) = [each for each in caplog.messages if "was refused" in each]
    assert line == r"127.0.0.1: POST /api/v1/log\u202eout was refused: another site's page may not ask"


def test_a_flood_of_refusals_writes_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    seldom = Seldom(logging.getLogger("lanman.web"), clock=lambda: now[0])
    for number in range(1000):
        seldom.say("refused %d", number)
    assert caplog.messages == [f"refused {number}" for number in range(MOST)]
    now[0] = WINDOW
    seldom.say("refused again")
    assert caplog.messages[MOST:] == ["980 more requests were refused", "refused again"]


async def test_an_error_of_ours_tells_nothing_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    async with guarded() as web, web.browser() as browser:

        def broken(*parts: object) -> None:
            raise RuntimeError("s3cret")

        monkeypatch.setattr(web.console.attempts, "begin", broken)
        sent = {"server": "fs1", "user": "ann", "password": "x"}
        with pytest.raises(RuntimeError):  # whoever runs it logs it
            await browser.post("/api/v1/login", json=sent)
        transport = browser._transport
        assert isinstance(transport, httpx.ASGITransport)
        transport.raise_app_exceptions = False
        answer = await browser.post("/api/v1/login", json=sent)
        assert (answer.status_code, answer.json()["schema"]) == (500, 1)
        assert "s3cret" not in answer.text
