"""The console in front of a server that means harm and of one that does not: whoever looks at the latter sees it."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from support.hostile_server import WAYS, Hostile
from support.web_world import Web, consoled

pytestmark = pytest.mark.posix

TIMEOUT = 5.0  # seconds, for the way that ends by nothing else


def asked(web: Web, path: str, cookie: str = "", body: Any = None) -> tuple[int, str, bytes]:
    """A request and its answer: status, cookie, body."""
    request = urllib.request.Request(f"{web.url}/api/v1/{path}", headers={"Origin": web.url, "Cookie": cookie})
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers.get("set-cookie", "").partition(";")[0], answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, "", error.read()


@pytest.mark.parametrize(
    ("way", "expected"), [("a frame without end", 504), ("breaks without end", 502), ("more than was asked for", 502)]
)
async def test_one_that_means_harm_hides_no_other(way: str, expected: int) -> None:
    hostile, honest = Hostile(WAYS[way]), Hostile(None)
    honest._accounts = hostile._accounts
    async with hostile, honest:
        places = {"bad": (hostile.host, hostile.port), "good": (honest.host, honest.port)}
        async with consoled(places, own="admin", password=hostile.password, timeout=TIMEOUT) as web:
            status, cookie, _ = await asyncio.to_thread(asked, web, "login", "", {"once": web.word})
            assert status == 204
            bad = asyncio.create_task(asyncio.to_thread(asked, web, "servers/bad/sessions", cookie))
            for _ in range(5):
                status, _, body = await asyncio.to_thread(asked, web, "servers/good/sessions", cookie)
                assert status == 200, body
                seen = json.loads(body)
                assert (seen["state"], seen["error"], len(seen["rows"])) == ("up", None, 6)
            status, _, body = await bad
            assert status == expected, body
            assert b"Traceback" not in body
            assert len(body) < 2000
            status, _, body = await asyncio.to_thread(asked, web, "servers", cookie)
            assert status == 200
            assert {each["name"] for each in json.loads(body)["servers"]} == {"bad", "good"}
