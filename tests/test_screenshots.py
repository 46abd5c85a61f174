"""The pictures of `lanman watch` and of `lanman web` in the documents are taken by scripts, which run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from support import web_pages

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


def test_the_pages_of_the_web_console_are_taken_by_a_script(tmp_path: Path) -> None:
    """It waits until each page shows what it is to show, and fails where one does not."""
    if why := web_pages.missing():
        pytest.skip(why)
    script = ROOT / "demo" / "web_pictures.py"
    done = subprocess.run([sys.executable, str(script), str(tmp_path)], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    taken = {path.name: path for path in tmp_path.iterdir()}
    kept = {path.name: path for path in IMAGES.glob("web-*.webp")}
    assert taken.keys() == kept.keys()
    for name, path in kept.items():
        assert _size(path) == _size(taken[name]), name
        assert path.stat().st_size < 60_000, name


def test_each_page_of_the_web_console_is_in_the_guide() -> None:
    guide = (ROOT / "docs" / "how-to" / "the-pages-of-the-web-console.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[([^\]]{20,})\]\(\.\./images/(web-[a-z-]+\.webp)\)", guide)
    assert {name for _, name in shown} == {path.name for path in IMAGES.glob("web-*.webp")}


def _size(path: Path) -> tuple[int, int]:
    """Width and height of a WebP in the extended format (RFC 9649 2.7)."""
    data = path.read_bytes()
    assert (data[:4], data[8:16]) == (b"RIFF", b"WEBPVP8X")
    width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    return width, height
