"""lanman on Windows as a client: of a Server of ours and of an smbd, which `run.py` has started on the other side."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from typing import Any

import pytest

import lanman
from lanman.net.credentials import Credentials
from windows.conftest import Ran

SERVERS: dict[str, Any] = json.loads(os.environ.get("LANMAN_TEST_SERVERS", "{}"))


@pytest.fixture(params=["ours", "samba"])
def server(request: pytest.FixtureRequest) -> dict[str, Any]:
    found = SERVERS.get(request.param)
    if found is None:
        pytest.skip("only on a run of tests/windows/run.py, as root for the smbd, are there servers")
    assert isinstance(found, dict)
    return found


def test_the_command(lanman: Callable[..., Ran], server: dict[str, Any]) -> None:
    words = ["session", "-S", "127.0.0.1", "--port", str(server["port"]), "-U", server["user"], "--json"]
    ran = lanman(*words, LANMAN_PASSWORD=server["password"])
    assert ran.status == 0, ran.err
    users = [each["user_name"] for each in json.loads(ran.text)["sessions"]]
    assert server["user"] in users
    wrong = lanman(*words, LANMAN_PASSWORD="wrong")
    assert wrong.status == 2
    assert b"1326" in wrong.err


@pytest.mark.parametrize("loop", ["ProactorEventLoop", "SelectorEventLoop"])
def test_a_program(server: dict[str, Any], loop: str) -> None:
    async def ask() -> list[str | None]:
        credentials = Credentials(server["user"], server["password"])
        async with lanman.open_manager("127.0.0.1", credentials, port=server["port"]) as manager:
            assert (await manager.server_info()).platform_id == 500
            return [each.user_name for each in (await manager.sessions()).entries]

    with asyncio.Runner(loop_factory=getattr(asyncio, loop)) as runner:
        assert server["user"] in runner.run(ask())


def test_a_blocking_program(server: dict[str, Any]) -> None:
    credentials = Credentials(server["user"], server["password"])
    with lanman.connect("127.0.0.1", credentials, port=server["port"]) as manager:
        assert server["user"] in [each.user_name for each in manager.sessions().entries]


def test_nothing_listens(lanman: Callable[..., Ran]) -> None:
    ran = lanman("session", "-S", "127.0.0.1", "--port", "9", "-N")
    assert ran.status == 2
    assert b"nothing listens on port 9" in ran.err
