"""The pictures of `lanman watch` in the documents are taken by a script, which runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"

SHOWS = {
    "watch-sessions": ["frank", "3.1.1", "READ-ONLY (w: allow orders)"],
    "watch-files": ["budget.xlsx", "WRITE"],
    "watch-explain": ["UNSAVED WORK LIKELY", "told by the server"],
    "watch-plan": ["End 2 sessions on fs1?", "Type fs1 and Enter"],
    "watch-events": ["ended by an administrator"],
}


def test_the_script_takes_each_picture(tmp_path: Path) -> None:
    script = ROOT / "demo" / "screenshots.py"
    done = subprocess.run([sys.executable, str(script), str(tmp_path)], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert {path.stem for path in tmp_path.iterdir()} == SHOWS.keys()
    for name, shown in SHOWS.items():
        picture = (tmp_path / f"{name}.svg").read_text(encoding="utf-8")
        text = " ".join("".join(ElementTree.fromstring(picture).itertext()).split())
        assert all(part in text for part in shown), (name, text)


def test_the_pictures_fetch_nothing_and_are_those_of_the_script() -> None:
    assert {path.stem for path in IMAGES.glob("watch-*.svg")} == SHOWS.keys()
    for path in IMAGES.glob("watch-*.svg"):
        picture = path.read_text(encoding="utf-8")
        named = set(re.findall(r"https?://[^\s\"')]+", picture))
        assert named <= {"http://www.w3.org/2000/svg", "https://www.textualize.io"}
        assert "font-face" not in picture
