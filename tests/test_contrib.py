"""The systemd unit: systemd understands it, and what can be forbidden without a loss is forbidden."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parent.parent / "contrib" / "lanman.service"

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="only on machines with systemd")


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)


def test_systemd_understands_it(tmp_path: Path) -> None:
    text = UNIT.read_text().replace("/usr/bin/env lanman", "/bin/true").replace("Documentation=man:lanman(1)\n", "")
    (tmp_path / UNIT.name).write_text(text)
    done = analyze("verify", str(tmp_path / UNIT.name))
    assert (done.returncode, done.stderr) == (0, "")


def test_what_systemd_finds_exposed() -> None:
    done = analyze("security", "--offline=true", "--no-pager", str(UNIT))
    if "offline" in done.stderr:
        pytest.skip("only on systemd 250 and later")
    found = re.search(r"Overall exposure level for lanman.service: ([0-9.]+)", done.stdout)
    assert found is not None
    assert float(found[1]) <= 1.8
