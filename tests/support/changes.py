"""What a page under docs/contributing tells to change, read from its blocks and made in a copy of the package.

A block marked `diff` changes the file that its first line names. Each `@@` begins a place: the lines that are there
already, with a blank before them, and among them those that come (`+`) or go (`-`). The place must occur exactly once.
A block marked `python` whose first line is `# src/…` or `# tests/…` is a new file.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class Changes:
    """What a page changes: places by the file they are in, and the text of new files. Paths begin at the project."""

    places: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    @property
    def touched(self) -> set[str]:
        """The files of the package that are changed or new."""
        return {name for name in [*self.places, *self.files] if name.startswith("src/")}

    @property
    def tests(self) -> dict[str, str]:
        """The new files that are tests."""
        return {name: text for name, text in self.files.items() if name.startswith("tests/")}


def changes_of(page: str) -> Changes:
    """Read the blocks of a page. ValueError: a line in a `diff` block is none."""
    changes = Changes()
    for language, block in BLOCK.findall(page):
        first, _, rest = block.partition("\n")
        if language == "diff":
            places = changes.places.setdefault(first.removeprefix("--- "), [])
            places += [_place(part) for part in re.split(r"^@@\n", rest, flags=re.MULTILINE)[1:]]
        elif language == "python" and first.startswith(("# src/", "# tests/")):
            changes.files[first.removeprefix("# ")] = rest
    return changes


def _place(part: str) -> tuple[str, str]:
    """What a place is before and after."""
    before, after = [], []
    for line in part.splitlines():
        if line[:1] not in ("", " ", "+", "-"):
            raise ValueError(f"not a line of a diff: {line!r}")
        if line[:1] != "+":
            before.append(line[1:])
        if line[:1] != "-":
            after.append(line[1:])
    return "\n".join(before) + "\n", "\n".join(after) + "\n"


def apply(changes: Changes, root: Path, copy: Path) -> None:
    """Copy the package of the project at `root` to `copy`, changed. ValueError: a place is not there, or not once."""
    shutil.copytree(root / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name, places in changes.places.items():
        path = copy / name
        text = path.read_text()
        for before, after in places:
            if text.count(before) != 1:
                raise ValueError(f"{name}: {text.count(before)} places like this:\n{before}")
            text = text.replace(before, after)
        path.write_text(text)
    for name, text in changes.files.items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text(text)
        # The fixtures that tests of this folder have.
        if (fixtures := (root / name).with_name("conftest.py")).exists():
            shutil.copy(fixtures, (copy / name).parent)
