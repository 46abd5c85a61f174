"""Hostile connections by the hundred, and an honest client among them (tests/support/hostile_crowd.py).

During each kind of them smbclient logs on and gets a file, three times of three, and the Server's process stays within
200 MiB; after them everything is given back. `make long` runs the whole of it: 1,500 connections from 1, 16 and 250
addresses. With one address it is that of the honest client. How long another client's ECHO takes is measured and not
asserted: LANMAN_FIGURES=FILE collects it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lanman.net.accounts import AccountFile
from lanman.net.client import SmbClient
from lanman.net.credentials import Credentials
from lanman.smb2.messages import EchoRequest
from support.hostile_crowd import KINDS, Crowd, descriptors, memory, say
from support.process_server import LANMAN
from support.smbd import Account, Tools
from support.waiting import wait_until

ANN = Account("ann", "Secret-1")
MEMORY = 200  # MiB


class Served:
    """A Server in a process of its own, which shares one file."""

    def __init__(self, folder: Path) -> None:
        (folder / "data").mkdir()
        (folder / "data" / "hello.txt").write_text("hello from here\n")
        home = folder / "home"
        home.mkdir(mode=0o700)
        AccountFile(home / "accounts").update(lambda accounts: accounts.add(ANN.user_name, ANN.password))
        self.log = folder / "log"
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen(
                [LANMAN, "--home", home, "serve", f"data={folder / 'data'}", "--listen", "127.0.0.1", "--port", "0"],
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        self.process = self._process.pid
        wait_until(lambda: "listening" in self.log.read_text() or self._process.poll() is not None)
        self.port = int(self.log.read_text().rpartition(" port ")[2])

    def close(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("served"))
    yield served
    served.close()


async def echoes(client: SmbClient, over: asyncio.Event) -> list[float]:
    """How long each ECHO took, in seconds, until it is over."""
    took = []
    while not over.is_set():
        before = time.perf_counter()
        await client._ask(EchoRequest())
        took.append(time.perf_counter() - before)
        await asyncio.sleep(0.02)
    return took


async def endure(served: Served, tools: Tools, kind: str, count: int, addresses: int) -> None:
    before = descriptors(served.process)
    loop = asyncio.get_running_loop()
    got = []
    async with SmbClient("127.0.0.1", served.port, Credentials(ANN.user_name, ANN.password)) as client:
        over = asyncio.Event()
        echoing = asyncio.create_task(echoes(client, over))
        crowd = Crowd(served.port, kind, count, addresses)
        try:
            await loop.run_in_executor(None, crowd.__enter__)
            started = time.perf_counter()
            for _ in range(3):
                got.append(await loop.run_in_executor(None, tools.smbclient, ANN, "get hello.txt -", "data"))
            took = (time.perf_counter() - started) / 3
            resident, highest = memory(served.process)
        finally:
            over.set()
            times = sorted(await echoing)
            await loop.run_in_executor(None, crowd.__exit__, None, None, None)
    wait_until(lambda: descriptors(served.process) <= before)
    say(
        kind=kind,
        connections=count,
        addresses=addresses,
        smbclient_seconds=round(took, 2),
        echo_milliseconds_median=round(times[len(times) // 2] * 1000, 1),
        echo_milliseconds_p99=round(times[len(times) * 99 // 100] * 1000, 1),
        echo_milliseconds_most=round(times[-1] * 1000, 1),
        memory_highest=highest,
        memory_during=resident,
        memory_after=memory(served.process)[0],
        log_bytes=served.log.stat().st_size,
    )
    assert ["hello from here" in text for text in got] == [True] * 3, got
    assert highest <= MEMORY
    assert "Traceback" not in served.log.read_text()


@pytest.mark.samba("smbclient")
@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux are all of 127.0.0.0/8 this machine's")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("addresses", [1, 16])
async def test_an_honest_client_is_served_among_hostile_ones(
    served: Served, samba_tools: Callable[..., Tools], kind: str, addresses: int
) -> None:
    await endure(served, samba_tools(served.port), kind, 200, addresses)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.samba("smbclient")
@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux are all of 127.0.0.0/8 this machine's")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("addresses", [1, 16, 250])
async def test_an_honest_client_is_served_among_1500_hostile_ones(
    served: Served, samba_tools: Callable[..., Tools], kind: str, addresses: int
) -> None:
    await endure(served, samba_tools(served.port), kind, 1500, addresses)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.samba("smbclient")
@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux is there /proc")
@pytest.mark.parametrize("kind", KINDS)
async def test_with_few_descriptors_it_is_the_same(
    tmp_path: Path, samba_tools: Callable[..., Tools], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))

    real: Any = subprocess.Popen
    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", lambda *words, **options: real(*words, preexec_fn=limit, **options))
        served = Served(tmp_path)
    try:
        await endure(served, samba_tools(served.port), kind, 1500, 16)
    finally:
        served.close()
    assert os.path.getsize(served.log) < 100_000
