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
from lanman.net.server import SmbServer
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


async def test_a_server_tells_when_the_last_connection_has_ended(tmp_path: Path) -> None:
    told = asyncio.Event()
    configuration = Configuration(listen=("127.0.0.1",), port=0)
    async with SmbServer(configuration, Home(tmp_path / "home"), idle=told.set) as server:
        one, another = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
        async with asyncio.timeout(10):
            await until(lambda: len(server.driver.protocols) == 2)
            one[1].close()
            await until(lambda: len(server.driver.protocols) == 1)
            await asyncio.sleep(0)
            assert not told.is_set()
            another[1].close()
            await told.wait()
