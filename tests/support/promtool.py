"""Debian's promtool and prometheus: what Prometheus itself says of figures, rules and configurations."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def need(*programs: str) -> None:
    """Skip the test where one of these is not installed."""
    if missing := [name for name in programs if shutil.which(name) is None]:
        pytest.skip(f"not installed: {', '.join(missing)} (see system-packages.txt)")


def promtool(*words: str, given: bytes = b"", folder: Path | None = None) -> tuple[int, str]:
    """Run promtool. Its exit status, and what it said."""
    need("promtool")
    done = subprocess.run(
        ["promtool", *words], input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, cwd=folder
    )
    return done.returncode, done.stdout.decode()


def check_metrics(text: bytes) -> None:
    """Fail where promtool finds anything about figures in the text format."""
    assert promtool("check", "metrics", given=text) == (0, ""), text.decode()
