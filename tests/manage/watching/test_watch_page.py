"""The page on watching: its program, and the same without asyncio."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import lanman
from lanman.net.server import SmbServer
from support.loopback_server import running_server

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "watch-a-server.md"


@pytest.mark.posix
def test_the_page_prints_what_stands_below_its_code() -> None:
    text = PAGE.read_text()
    program = re.search(r"```python\n(.*?)```\n\n```text\n(.*?)```", text, re.DOTALL)
    assert program is not None
    done = subprocess.run([sys.executable, "-c", program[1]], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == (program[2], 0), done.stderr


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[SmbServer]:
    async with running_server(tmp_path / "home") as server:
        yield server


async def test_without_asyncio(server: SmbServer) -> None:
    import asyncio

    begun = threading.Event()

    def watch() -> list[str]:
        with lanman.blocking_watch(home=server.home.path, every=3600) as poller:
            assert next(poller).first
            # The second is about when sessions were used.
            while poller.more(0.001) is not None:
                pass
            begun.set()
            for update in poller:
                if update.changes:
                    poller.look_now()
                    break
            words = [change.what.value for change in update.changes]
        assert poller.more(0) is None
        assert list(poller) == []
        poller.close()
        assert len(poller.picture.sessions) == 1
        return words

    watching = asyncio.create_task(asyncio.to_thread(watch))
    await asyncio.to_thread(begun.wait)
    now = asyncio.get_running_loop().time()
    server.service.register_session(1, 1, r"\\PC1", "ann", now=now)
    server.flush()
    assert await watching == ["opened"]
