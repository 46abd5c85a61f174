"""What scrapers may do: one small request each, in time; whoever is slow or silent holds up nobody."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman.manage.metrics import http
from lanman.manage.metrics.http import MAX_HEAD, MAX_SCRAPERS, HttpServer, Request
from support.waiting import until

FIGURES = "text/plain; version=0.0.4", b"lanman_up 1\n"


async def figures(accept: str) -> tuple[str, bytes]:
    return FIGURES


@asynccontextmanager
async def serving(
    scrape: Callable[[str], Awaitable[tuple[str, bytes]]] = figures, names: frozenset[str] | None = None
) -> AsyncIterator[tuple[HttpServer, int]]:
    server = HttpServer(scrape, host_names=names)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        await server.start(listener)
        try:
            yield server, listener.getsockname()[1]
        finally:
            await server.close()


async def ask(port: int, request: bytes) -> tuple[int, str, bytes]:
    """The status, the head and the body of what is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode(), body


async def ended(reader: asyncio.StreamReader) -> bool:
    """Whether a connection ends without an answer. How an abort looks depends on what was read before."""
    try:
        return await reader.read() == b""
    except ConnectionError:
        return True


async def test_a_scrape() -> None:
    async with serving() as (_, port):
        status, head, body = await ask(port, b"GET /metrics?x=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (status, body) == (200, FIGURES[1])
        assert "Content-Type: text/plain; version=0.0.4\r\n" in head
        assert "Content-Length: 12\r\nConnection: close\r\n" in head
        assert (await ask(port, b"HEAD /metrics HTTP/1.0\r\n\r\n"))[2] == b""
        assert (await ask(port, b"\r\nGET http://x:1/metrics HTTP/1.1\r\n\r\n"))[0] == 200
        assert b"/metrics" in (await ask(port, b"GET / HTTP/1.1\r\n\r\n"))[2]


async def test_what_it_accepts_is_handed_on() -> None:
    async def accepted(accept: str) -> tuple[str, bytes]:
        return "text/plain", accept.encode()

    async with serving(accepted) as (_, port):
        request = b"GET /metrics HTTP/1.1\r\nACCEPT:  application/openmetrics-text \r\nAccept: text/plain\r\n\r\n"
        assert (await ask(port, request))[2] == b"application/openmetrics-text,text/plain"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /other HTTP/1.1\r\n\r\n", 404),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 405),
        (b"GET /metrics HTTP/2.0\r\n\r\n", 400),
        (b"GET /metrics\r\n\r\n", 400),
        (b"GET  /metrics HTTP/1.1\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nno header\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\n folded: x\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
        (b"GET /" + b"a" * MAX_HEAD + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET /metrics HTTP/1.1\r\nx: " + b"a" * MAX_HEAD, 431),
    ],
)
async def test_what_is_refused(request_: bytes, status: int) -> None:
    async with serving() as (_, port):
        assert (await ask(port, request_))[0] == status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:9745", 200),
        ("LOCALHOST", 200),
        ("127.0.0.1:9745", 200),
        ("[::1]:9745", 200),
        ("", 200),
        ("evil.example", 403),
        ("evil.example:9745", 403),
        ("localhost.evil.example", 403),
    ],
)
async def test_a_page_in_a_browser_gets_in_by_no_name_of_its_own(host: str, status: int) -> None:
    async with serving(names=frozenset({"localhost"})) as (_, port):
        assert (await ask(port, f"GET /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()))[0] == status


async def test_whoever_asks_too_slowly_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "HEAD_TIMEOUT", 0.0)
    async with serving() as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /met")
        assert await ended(reader)
        writer.close()


async def test_whoever_does_not_read_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    async def much(accept: str) -> tuple[str, bytes]:
        return "text/plain", b"x" * (1 << 24)

    monkeypatch.setattr(http, "SEND_TIMEOUT", 0.0)
    async with serving(much) as (server, port):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            await until(lambda: server._scrapers)
            await until(lambda: not server._scrapers)


async def test_one_more_takes_the_place_of_the_oldest_that_is_silent() -> None:
    async with serving() as (server, port):
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MAX_SCRAPERS)]
        await until(lambda: len(server._scrapers) == MAX_SCRAPERS)
        assert (await ask(port, b"GET /metrics HTTP/1.1\r\n\r\n"))[0] == 200
        assert await ended(silent[0][0])
        silent[1][1].write(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert (await silent[1][0].read()).endswith(FIGURES[1])
        for _, writer in silent:
            writer.close()


async def test_more_scrapers_than_there_may_be_are_told_to_come_again() -> None:
    go_on = asyncio.Event()

    async def slow(accept: str) -> tuple[str, bytes]:
        await go_on.wait()
        return FIGURES

    request = b"GET /metrics HTTP/1.1\r\n\r\n"
    async with serving(slow) as (server, port):
        asking = [asyncio.create_task(ask(port, request)) for _ in range(MAX_SCRAPERS)]
        await until(lambda: sum(each.answering is not None for each in server._scrapers) == MAX_SCRAPERS)
        assert (await ask(port, request))[0] == 503
        go_on.set()
        assert {status for status, _, _ in await asyncio.gather(*asking)} == {200}
        assert (await ask(port, request))[0] == 200


async def test_the_end_waits_for_nobody() -> None:
    async def never(accept: str) -> tuple[str, bytes]:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    async with serving(never) as (server, port):
        silent = await asyncio.open_connection("127.0.0.1", port)
        waiting = asyncio.create_task(ask(port, b"GET /metrics HTTP/1.1\r\n\r\n"))
        await until(lambda: any(each.answering is not None for each in server._scrapers))
    with pytest.raises((ConnectionError, IndexError)):
        await waiting
    silent[1].close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@given(st.binary(max_size=300))
def test_any_bytes_are_a_request_or_none(head: bytes) -> None:
    try:
        assert Request(head).method
    except ValueError:
        pass
