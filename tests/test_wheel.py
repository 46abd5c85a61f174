"""What is in the wheel besides modules: the page of the web console, and the licences of what others wrote of it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STATIC = ROOT / "src" / "lanman" / "faces" / "web" / "static"

pytest.importorskip("hatchling", reason="only on machines with hatchling, which builds the wheel")


def test_the_page_is_in_the_wheel_whole(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        inside = {name for name in opened.namelist() if "/static/" in name}
        assert inside == {str(path.relative_to(ROOT / "src")) for path in STATIC.rglob("*") if path.is_file()}
        assert {name.split("/")[5] for name in inside if "/vendor/" in name and name.endswith("/LICENSE")} == {
            path.name for path in (STATIC / "vendor").iterdir()
        }
