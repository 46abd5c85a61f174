"""A Server that is killed: what its administrators changed is there when it starts again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Lanman = Callable[..., subprocess.CompletedProcess[str]]

START = ("start", "server", "--listen", "127.0.0.1", "--port", "0", "--timeout", "30")


@pytest.fixture
def lanman(tmp_path: Path) -> Lanman:
    """Runs the command with a home of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LANMAN_")}
    environment["LANMAN_HOME"] = str(tmp_path / "home")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "lanman", *words]
        return subprocess.run(command, input="secret\n", capture_output=True, text=True, env=environment, timeout=60)

    return run


def process_of(home: Path) -> int:
    """The Server's process, as it wrote itself into the lock."""
    return int((home / "lock").read_text())


def test_killed_after_every_change(lanman: Lanman, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    home = tmp_path / "home"
    assert lanman(*START).returncode == 0
    try:
        for change in (
            ("config", "server", "/autodisconnect:30"),
            ("config", "server", "/srvcomment:kept"),
            ("share", f"docs={tmp_path / 'data'}", "/remark:first"),
            ("share", "docs", "/remark:second", "/users:4"),
            ("user", "ann", "*", "/add"),
        ):
            done = lanman(*change)
            assert done.returncode == 0, done.stderr
            os.kill(process_of(home), signal.SIGKILL)
            assert lanman(*START).returncode == 0
        configuration = json.loads(lanman("config", "server", "--json").stdout)["configuration"]
        assert (configuration["disc"], configuration["comment"]) == (30, "kept")
        (docs,) = [share for share in json.loads(lanman("share", "--json").stdout)["shares"] if share["name"] == "docs"]
        assert (docs["path"], docs["remark"], docs["max_users"]) == (str(tmp_path / "data"), "second", 4)
        assert "ann" in lanman("user").stdout
    finally:
        lanman("stop", "server", "--timeout", "30")


def test_a_folder_that_is_served_again_is_shared_again(lanman: Lanman, tmp_path: Path) -> None:
    """Whoever names a folder on the command line means it, though they stopped sharing it the last time."""
    (tmp_path / "data").mkdir()
    home = tmp_path / "home"
    command = [sys.executable, "-m", "lanman", "serve", f"--home={home}", "--listen=127.0.0.1", "--port=0"]
    for _ in range(2):
        with subprocess.Popen([*command, str(tmp_path / "data")], stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                assert server.stdout.readline() == "The Server service was started successfully.\n"
                assert "data" in lanman("share").stdout
                assert lanman("share", "data", "/delete").returncode == 0
                assert "data" not in lanman("share").stdout
            finally:
                server.terminate()
