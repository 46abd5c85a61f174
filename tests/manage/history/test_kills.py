"""kill -9 of the recorder at its writes: at most the last second is lost, and no gap is hidden."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SUPPORT = Path(__file__).parents[2] / "support"

pytestmark = pytest.mark.posix


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that kills, compiled."""
    if sys.platform != "linux":
        pytest.skip("only on Linux: writes are counted by LD_PRELOAD")
    if shutil.which("gcc") is None:
        pytest.skip("not installed: gcc (see system-packages.txt)")
    library = tmp_path_factory.mktemp("shim") / "killed_at_write.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, SUPPORT / "killed_at_write.c", "-ldl"], check=True)
    return library


def kill_at_writes(place: str, shim: Path, stride: int) -> dict[str, int]:
    """Kill recorders, each `stride` steps later than the one before, until one comes to its end."""
    environment = os.environ | {"LD_PRELOAD": str(shim), "PYTHONPATH": str(SUPPORT.parent)}
    command = [sys.executable, str(SUPPORT / "killed_recorder.py"), place, str(stride)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("stride", [37, pytest.param(1, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_killed_at_writes(new_url: Callable[[], str], tmp_path: Path, shim: Path, stride: int) -> None:
    url = new_url()
    place = str(tmp_path) if url.startswith("sqlite") else url
    found = kill_at_writes(place, shim, stride)
    assert found["kills"] > 200 // stride
