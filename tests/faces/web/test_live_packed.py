"""Long answers, packed for who takes that, and piece by piece."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest

from lanman.faces.web.live.packed import json_stream, packed, takes_gzip

PIECES = [b'{"rows": [', *(b'"row %d",' % number for number in range(20_000)), b"0]}"]


async def pieces() -> AsyncIterator[bytes]:
    for piece in PIECES:
        yield piece


async def sent(accept: str | None) -> tuple[dict[str, str], list[bytes]]:
    response = json_stream(pieces(), accept)
    bodies = [bytes(body) async for body in response.body_iterator if isinstance(body, bytes)]
    return dict(response.headers), bodies


def test_packed_for_who_takes_it() -> None:
    headers, bodies = asyncio.run(sent("gzip, deflate, br"))
    assert (headers["content-encoding"], headers["vary"]) == ("gzip", "accept-encoding")
    assert gzip.decompress(b"".join(bodies)) == b"".join(PIECES)
    assert len(bodies) > 1  # not all of it at the end


def test_plain_for_who_does_not() -> None:
    headers, bodies = asyncio.run(sent(None))
    assert "content-encoding" not in headers
    assert headers["vary"] == "accept-encoding"
    assert bodies == PIECES


def test_nothing_is_something_too() -> None:
    async def nothing() -> AsyncIterator[bytes]:
        for piece in PIECES[:0]:
            yield piece

    async def collected() -> bytes:
        return b"".join([piece async for piece in packed(nothing())])

    assert gzip.decompress(asyncio.run(collected())) == b""


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        ("gzip", True),
        ("GZIP;q=0.5", True),
        ("br, gzip ; q=1.0", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("br", False),
        ("identity", False),
        ("x-gzip2", False),
        ("gzip;q=much", False),
        ("", False),
        (None, False),
    ],
)
def test_who_takes_it(header: str | None, takes: bool) -> None:
    assert takes_gzip(header) is takes
