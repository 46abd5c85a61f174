"""The command against a server that means harm: an error that names it, a status, and the others' answers."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.hostile_server import WAYS, Hostile
from support.process_server import LANMAN

DEADLINE = "1"  # seconds, for the ways that end by nothing else


def typed(words: Sequence[str], home: Path) -> subprocess.CompletedProcess[str]:
    """What becomes of a command."""
    environment = {**os.environ, "LANMAN_HOME": str(home), "XDG_CONFIG_HOME": str(home), "NO_COLOR": "1"}
    return subprocess.run([LANMAN, *words], env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.posix
@pytest.mark.parametrize("way", ["a frame without end", "a wrong signature", "more than was asked for"])
@pytest.mark.parametrize(
    "words",
    [["session"], ["file"], ["explain", "session"], ["explain", "C:\\data"], ["metrics", "--once"], ["doctor"]],
    ids=["session", "file", "explain", "path", "metrics", "doctor"],
)
def test_a_verb_ends_with_an_error_that_names_the_server(tmp_path: Path, words: list[str], way: str) -> None:
    with Hostile(WAYS[way]).running() as server:
        logon = ["-U", f"admin%{server.password}", "--timeout", DEADLINE]
        done = typed([*words, "-S", f"{server.host}:{server.port}", *logon], tmp_path)
    assert done.returncode == {"metrics": 4, "doctor": 3}.get(words[0], 2), done
    assert server.host in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert len(done.stderr) < 2000


@pytest.mark.posix
@pytest.mark.parametrize("way", ["a frame without end", "breaks without end", "large fragments without end"])
def test_of_a_fleet_one_that_means_harm_hurts_itself_alone(tmp_path: Path, way: str) -> None:
    hostile, honest = Hostile(WAYS[way]), Hostile(None)
    honest._accounts = hostile._accounts
    with hostile.running(), honest.running():
        targets = [f"{server.host}:{server.port}" for server in (hostile, honest)]
        words = ["fleet", "sessions", *targets, "-U", f"admin%{hostile.password}", "--deadline", DEADLINE]
        done = typed([*words, "--out", str(tmp_path / "sweep")], tmp_path)
    assert done.returncode == 4, done
    outcomes = [json.loads(line) for line in (tmp_path / "sweep" / "outcomes.jsonl").read_text().splitlines()]
    assert len(outcomes) == 2
    assert len((tmp_path / "sweep" / "rows.jsonl").read_text().splitlines()) == 6
