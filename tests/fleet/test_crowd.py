"""A crowd of servers on the loopback interface: ours, an smbd, black holes, closed ports, some that trickle, some that
refuse the password. Each has its outcome, once, and none delays the others."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lanman.fleet.sweep import sweep
from lanman.fleet.values import Result, Target
from lanman.settings import Configuration, Limits
from support.loopback_server import PASSWORDS, running_server
from support.process_server import LANMAN
from support.smbd import Samba
from support.waiting import free_port

pytestmark = [
    pytest.mark.posix,
    pytest.mark.skipif(sys.platform != "linux", reason="only on Linux: its whole 127.0.0.0/8 is this machine"),
]

CONFIGURATION = Configuration(name="CROWD", limits=Limits(unauthenticated=10**6, unauthenticated_per_address=10**6))


@contextlib.contextmanager
def black_hole() -> Iterator[int]:
    """A port whose queue of connections is full: nothing beyond it is answered."""
    with socket.socket() as server, contextlib.ExitStack() as stack:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        yield server.getsockname()[1]


@asynccontextmanager
async def trickler(asked: asyncio.Event | None = None) -> AsyncIterator[int]:
    """Says a byte of a long frame now and then, for ever; `asked` is set when somebody has come."""

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if asked is not None:
            asked.set()
        writer.write(b"\0\0\xff\xff")
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            while not reader.at_eof():
                writer.write(b"\xfe")
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.close()

    server = await asyncio.start_server(trickle, "0.0.0.0", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def addresses(count: int) -> Iterator[str]:
    for number in range(count):
        yield f"127.1.{number >> 8}.{number & 255}"


async def crowd(count: int, samba: Samba, tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text(
        f'[ours]\nuser = "admin"\npassword = "{PASSWORDS["admin"]}"\n[bad]\nuser = "admin"\npassword = "x"\n'
        f'[theirs]\nuser = "{samba.administrator.user_name}"\npassword = "{samba.administrator.password}"\n'
    )
    file.chmod(0o600)
    # A Server lets an address wait that sends wrong passwords: those who do have one of their own.
    async with (
        running_server(tmp_path / "home", CONFIGURATION, host="0.0.0.0") as server,
        running_server(tmp_path / "strict", CONFIGURATION, host="0.0.0.0") as strict,
        trickler() as slow,
    ):
        with black_hole() as hole:
            closed = free_port()
            ports = {0: (hole, Result.DEAD), 1: (closed, Result.REFUSED), 2: (slow, Result.TIMEOUT)}
            expected: dict[Target, Result] = {Target(samba.host, samba.port, "theirs"): Result.OK}
            for number, address in enumerate(addresses(count)):
                port, result = ports.get(number % 10, (server.port, Result.OK))
                where = "127.0.0.1" if port == hole else address
                if port == hole and number:
                    continue  # there is one such address
                wrong = number % (40 if count < 1000 else 400) == 7
                port, result = (strict.port, Result.LOGON) if wrong else (port, result)
                expected[Target(where, port, "bad" if wrong else "ours")] = result
            begun = time.monotonic()
            asked = sweep(
                "sessions",
                iter(expected),
                credentials_file=file,
                in_flight=200,
                deadline=20.0,
                connect=5.0,
                per_subnet=10**6,
                logon_failures=10**6,
                processes=2,
            )
            async with asked as running:
                found = [outcome async for outcome in running]
    assert Counter(each.target for each in found) == Counter(list(expected))
    assert {(each.target, each.result) for each in found} == set(expected.items())
    # Those that trickle take their whole time, beside each other.
    assert time.monotonic() - begun < 20.0 * (2 + count / 400)


@pytest.mark.samba
@pytest.mark.root
async def test_a_crowd(samba: Samba, tmp_path: Path) -> None:
    await crowd(60, samba, tmp_path)


@pytest.mark.long
@pytest.mark.samba
@pytest.mark.root
@pytest.mark.timeout(1800)
async def test_a_crowd_of_ten_thousand(samba: Samba, tmp_path: Path) -> None:
    await crowd(10_000, samba, tmp_path)


async def test_ctrl_c_ends_it_soon_and_keeps_everything(tmp_path: Path) -> None:
    asked = asyncio.Event()
    async with trickler(asked) as slow:
        words = [str(LANMAN), "fleet", "sessions", "127.9.0.0/25", "-p", str(slow), "-U", "ann%x", "--out", "s"]
        words += ["--per-subnet", "1000", "--processes", "2", "--deadline", "300"]
        process = await asyncio.create_subprocess_exec(
            *words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        async with asyncio.timeout(30):
            await asked.wait()
        begun = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        out, err = await process.communicate()
    assert (process.returncode, err) == (130, b"")
    assert b"To go on: lanman fleet --resume s\n" in out
    # Two on a machine that does nothing else; those that trickle would take 300.
    assert time.monotonic() - begun < 60
    outcomes = (tmp_path / "s" / "outcomes.jsonl").read_text().splitlines()
    assert all('"outcome": "cancelled"' in line for line in outcomes)
