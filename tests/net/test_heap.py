"""The C library's heap of a process that is a Server, and what a Server says when nobody is connected any more."""

from __future__ import annotations

import asyncio
import platform
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lanman.net.home import Home
from lanman.net.server import SmbServer, driver
from lanman.settings import Configuration
from support.waiting import until


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only on glibc is the heap told what to keep")
def test_frames_come_from_what_was_freed_and_all_is_given_back() -> None:
    script = """
        import resource
        from lanman.net import heap

        def resident():
            return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

        def frames():
            for _ in range(20):
                three = [bytes(8_000_000) for _ in range(3)]
                del three

        heap.keep_freed()
        frames()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        frames()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 2000)
        kept = resident()
        heap.give_back()
        print(kept - resident() > 16_000_000)
    """
    said = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    assert said == "True\nTrue\n"


async def test_a_server_tells_when_the_last_connection_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "IDLE_AFTER", 0.0)
    told = asyncio.Event()
    configuration = Configuration(listen=("127.0.0.1",), port=0)
    async with SmbServer(configuration, Home(tmp_path / "home"), idle=told.set) as server:
        one, another = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
        async with asyncio.timeout(60):
            await until(lambda: len(server.driver.protocols) == 2)
            one[1].close()
            await until(lambda: len(server.driver.protocols) == 1)
            await asyncio.sleep(0)
            assert not told.is_set()
            another[1].close()
            await told.wait()


async def test_a_server_tells_when_a_crowd_has_gone_though_some_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "IDLE_AFTER", 0.0)
    monkeypatch.setattr(driver, "CROWD", 8)
    told: list[int] = []
    configuration = Configuration(listen=("127.0.0.1",), port=0)
    async with SmbServer(configuration, Home(tmp_path / "home"), idle=lambda: told.append(there())) as server:

        def there() -> int:
            return len(server.driver.protocols)

        async def go_down_to(number: int) -> None:
            while len(writers) > number:
                writers.pop().close()
            await until(lambda: there() == number and server.driver._quiet is None)

        async with asyncio.timeout(60):
            writers = [(await asyncio.open_connection("127.0.0.1", server.port))[1] for _ in range(8)]
            await until(lambda: there() == 8)
            await go_down_to(3)
            assert not told
            await go_down_to(2)
            assert told == [2]
            await go_down_to(1)
            assert told == [2], "of those few nobody leaves much"
            await go_down_to(0)
            assert told == [2, 0]


async def test_one_client_that_comes_and_goes_makes_a_server_idle_once(tmp_path: Path) -> None:
    """Whatever it does then is not done after every connection."""
    told: list[None] = []

    configuration = Configuration(listen=("127.0.0.1",), port=0)
    async with SmbServer(configuration, Home(tmp_path / "home"), idle=lambda: told.append(None)) as server:
        async with asyncio.timeout(60):
            for _ in range(3):
                _, writer = await asyncio.open_connection("127.0.0.1", server.port)
                await until(lambda: len(server.driver.protocols) == 1)
                writer.close()
                await until(lambda: not server.driver.protocols)
        (due,) = [handle for handle in [server.driver._quiet] if handle is not None]
        assert not told
        due.cancel()
        server.driver._is_quiet()
        assert len(told) == 1
