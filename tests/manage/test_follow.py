"""Following this machine's Server by its Manager, with asyncio and without."""

from __future__ import annotations

import asyncio
import re
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import lanman
from lanman import codes
from lanman.domain import Reason
from lanman.errors import EventsLost, Win32Error
from lanman.events import Event, ServerStopped, SessionClosed, SessionOpened
from lanman.net.credentials import Credentials
from lanman.net.server import SmbServer
from support.loopback_server import PASSWORDS, running_server


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[SmbServer]:
    async with running_server(tmp_path / "home") as server:
        yield server


def log_on(server: SmbServer, number: int) -> None:
    now = asyncio.get_running_loop().time()
    server.service.register_session(number, number, f"PC{number}", "ann", now=now)
    server.flush()


async def test_each_event_until_the_server_stops(server: SmbServer) -> None:
    """The state goes with the events that were given out, and not with those that came with them."""
    async with lanman.open_manager(home=server.home.path) as manager, manager.follow() as follower:
        log_on(server, 1)
        log_on(server, 2)
        seen: list[tuple[type, int]] = []
        async for event in follower:
            seen.append((type(event), len(follower.state.sessions)))
            if len(seen) == 2:
                # The Manager's own questions go another way.
                assert len(await manager.sessions()) == 2
                server.service.close_session(server.service.sessions()[0], Reason.DELETED)
                server.service.stop()
                server.flush()
    assert seen == [
        (SessionOpened, 1),
        (SessionOpened, 2),
        (SessionClosed, 1),
        (SessionClosed, 0),
        (ServerStopped, 0),
    ]


async def test_who_is_too_slow_begins_again(server: SmbServer) -> None:
    server.feed._max_events = 3
    async with lanman.open_manager(home=server.home.path) as manager, manager.follow() as follower:
        for number in range(1, 9):
            log_on(server, number)
        with pytest.raises(EventsLost, match="missed") as caught:
            await anext(follower)
        assert caught.value.hint is not None
        assert "new snapshot" in caught.value.hint
        await follower.begin_again()
        assert len(follower.state.sessions) == 8
        log_on(server, 9)
        event = await anext(follower)
        assert isinstance(event, SessionOpened)
        assert event.session.id == 9


async def test_other_servers_cannot_be_followed(server: SmbServer) -> None:
    credentials = Credentials("admin", PASSWORDS["admin"])
    async with lanman.open_manager("127.0.0.1", credentials, port=server.port) as manager:
        with pytest.raises(Win32Error, match="cannot be followed") as caught:
            manager.follow()
    assert caught.value.code == codes.ERROR_NOT_SUPPORTED


async def test_without_asyncio(server: SmbServer) -> None:
    begun, again = threading.Event(), threading.Event()

    def follow() -> tuple[Event, int, list[Event]]:
        with lanman.connect(home=server.home.path) as manager, manager.follow() as follower:
            assert follower.more(0) == []
            begun.set()
            first = next(follower)
            follower.begin_again()
            known = len(follower.state.sessions)
            again.set()
            return first, known, list(follower)

    following = asyncio.create_task(asyncio.to_thread(follow))
    await asyncio.to_thread(begun.wait)
    log_on(server, 1)
    await asyncio.to_thread(again.wait)
    server.service.stop()
    server.flush()
    first, known, rest = await following
    assert isinstance(first, SessionOpened)
    assert known == 1
    assert [type(event) for event in rest] == [SessionClosed, ServerStopped]


async def test_the_page_prints_what_stands_below_its_code(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "how-to" / "follow-a-server.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (expected,) = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    (tmp_path / "program.py").write_text(program)
    run = await asyncio.create_subprocess_exec(
        sys.executable, "program.py", cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, complaints = await run.communicate()
    assert (said.decode(), run.returncode) == (expected, 0), complaints.decode()
