"""A server that lists very much: all of it comes, and all processes of a sweep together stay small."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from lanman.fleet.processes import Processes
from lanman.fleet.sweep import sweep
from lanman.fleet.values import Result
from lanman.net.credentials import Credentials
from support.answering_server import answering_server
from support.loopback_server import PASSWORDS

pytestmark = [
    pytest.mark.posix,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the most memory that a process has had"),
]

BOUND = 300 << 20
"""Bytes of all processes together."""


def most_resident(pid: int) -> int:
    """The most memory that a process has had, in bytes: VmHWM of proc(5)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    return 0


_CLIENT = """
import asyncio, sys
sys.path.insert(0, {tests!r})
from fleet.test_many_rows import asked
print(asyncio.run(asked({port}, {format!r}, {folder!r})))
"""


async def asked(port: int, format: str, folder: str) -> int:
    """The most memory of this process and of the two that ask, each at its own worst moment."""
    scheduler = Processes(2)
    who = Credentials("admin", PASSWORDS["admin"])
    how: dict[str, Any] = {"scheduler": scheduler, "out": folder, "format": format, "deadline": 120.0}
    async with sweep("sessions", [f"127.0.0.1:{port}"], who, **how) as running:
        async for outcome in running:
            assert outcome.result is Result.OK, outcome
        return sum(map(most_resident, [os.getpid(), *scheduler.pids]))


LONG = [pytest.mark.long, pytest.mark.timeout(300)]


@pytest.mark.parametrize(
    ("rows", "format"),
    [
        (10_000, "csv"),
        pytest.param(100_000, "jsonl", marks=LONG),
        pytest.param(100_000, "csv", marks=LONG),
        pytest.param(100_000, "parquet", marks=LONG),
    ],
)
async def test_all_rows_of_one_server_in_bounded_memory(tmp_path: Path, rows: int, format: str) -> None:
    if format == "parquet":
        pytest.importorskip("pyarrow.parquet")
    folder = tmp_path / "s"
    with answering_server(lists=rows) as port:
        how = {"tests": str(Path(__file__).parents[1]), "port": port, "format": format, "folder": str(folder)}
        script = _CLIENT.format(**how)
        client = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
        out, _ = await client.communicate()
    assert client.returncode == 0
    used = int(out)
    print(f"{rows:,} rows as {format}: {used >> 20} MiB")
    assert used <= BOUND
    if format == "parquet":
        import pyarrow.parquet

        assert pyarrow.parquet.read_table(folder / "rows.parquet").num_rows == rows
        return
    with (folder / f"rows.{format}").open() as file:
        assert sum(1 for _ in file) == rows + (format == "csv")
