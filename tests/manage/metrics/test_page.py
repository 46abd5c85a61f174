"""The page on figures for Prometheus: its program runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("prometheus_client", reason="only on machines with the extra metrics")

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "figures-for-prometheus.md"


@pytest.mark.posix
def test_the_program_of_the_page() -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert re.match(r"figures are at 127\.0\.0\.1:[1-9]\d*\n", done.stdout)
    assert re.search(r'^lanman_up\{server=".+"\} 1\.0$', done.stdout, re.MULTILINE)
