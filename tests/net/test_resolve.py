"""Names and addresses: what is already an address, and resolvers that never answer."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from lanman.errors import ConnectionLost
from lanman.net.resolve import addresses_of, name_of, numeric_address, resolve


@pytest.fixture
def stuck_resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    release = threading.Event()

    def never(*_: object, **__: object) -> list[object]:
        release.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", never)
    yield
    release.set()


@pytest.mark.parametrize(
    ("host", "family", "where"),
    [
        ("127.0.0.1", socket.AF_INET, ("127.0.0.1", 445)),
        ("::1", socket.AF_INET6, ("::1", 445, 0, 0)),
        ("[::1]", socket.AF_INET6, ("::1", 445, 0, 0)),
        ("fe80::1%7", socket.AF_INET6, ("fe80::1", 445, 0, 7)),
    ],
)
def test_what_is_an_address_is_not_looked_up(host: str, family: int, where: tuple[object, ...]) -> None:
    assert numeric_address(host, 445) == (family, where)


@pytest.mark.parametrize("host", ["fs1", "10.0.0", "10.0.0.1%3", "::1::", ""])
def test_what_is_a_name_is_no_address(host: str) -> None:
    assert numeric_address(host, 445) is None


def test_an_unknown_interface_is_named() -> None:
    with pytest.raises(ConnectionLost, match="no network interface 'nosuch0'"):
        numeric_address("fe80::1%nosuch0", 445)


async def test_localhost_has_addresses() -> None:
    assert await addresses_of("localhost") & {"127.0.0.1", "::1"}


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".example", "..", "exam\udc80ple"])
async def test_an_unknown_host_is_named(host: str) -> None:
    with pytest.raises(ConnectionLost, match=r"no host of that name|name service") as raised:
        await resolve(host, 445)
    assert raised.value.code == 53
    assert host in raised.value.message
    assert await addresses_of(host) == frozenset()


async def test_a_reverse_lookup_of_nothing() -> None:
    assert await name_of("pc7") is None


@pytest.mark.usefixtures("stuck_resolver")
async def test_a_resolver_that_never_answers_does_not_hold_us() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await resolve("fs1", 445)


def test_nor_the_process() -> None:
    program = """
import asyncio, socket, threading
socket.getaddrinfo = lambda *a, **k: threading.Event().wait()
from lanman.net.resolve import resolve
async def main():
    try:
        async with asyncio.timeout(0.01):
            await resolve("fs1", 445)
    except TimeoutError:
        print("gave up")
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "gave up\n"
    assert done.stderr == ""
