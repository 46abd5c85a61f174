"""The pages "How to add …": what each tells to change is changed in a copy, and the page's own test passes there.

The files that a page touches are counted: what is promised is that there is one on each side.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.changes import Changes, apply, changes_of

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs" / "contributing").glob("add-*.md"))

# By page, the files of the package that it changes, and no others.
TOUCHED = {
    "add-a-setting": {"src/lanman/settings.py"},
    "add-a-srvsvc-call": {"src/lanman/rpc/srvsvc/sessions.py", "src/lanman/server/srvsvc/sessions.py"},
    "add-a-verb": {"src/lanman/faces/cli/verbs/count.py"},
    "add-an-information-level": {"src/lanman/rpc/srvsvc/sessions.py"},
}


def run(copy: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a Python module where `copy` has the package, and this project its tests' helpers."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(copy / "src"), str(ROOT / "tests")])}
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=copy, env=environment, capture_output=True, text=True, check=False
    )


def run_test(copy: Path, name: str) -> subprocess.CompletedProcess[str]:
    return run(copy, "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_the_page_adds_works(page: Path, tmp_path: Path) -> None:
    changes = changes_of(page.read_text())
    assert changes.touched == TOUCHED[page.stem]
    assert changes.tests
    apply(changes, ROOT, tmp_path)
    for name in changes.tests:
        done = run_test(tmp_path, name)
        assert done.returncode == 0, done.stdout + done.stderr
        assert " passed" in done.stdout
    ruff = ["--config", str(ROOT / "pyproject.toml"), *changes.touched]
    for command in (["check", "--no-cache"], ["format", "--check", "--no-cache"]):
        done = run(tmp_path, "ruff", *command, *ruff)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_without_its_changes_the_test_of_the_page_fails(page: Path, tmp_path: Path) -> None:
    files = changes_of(page.read_text()).tests
    apply(Changes(files=files), ROOT, tmp_path)
    for name in files:
        assert run_test(tmp_path, name).returncode != 0


def test_every_page_is_linked() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    assert {f"docs/contributing/{page.name}" for page in PAGES} <= set(re.findall(r"\]\(([^)]+)\)", text))
    assert {page.stem for page in PAGES} == TOUCHED.keys()


def test_a_place_that_is_not_there_once_is_refused(tmp_path: Path) -> None:
    (tmp_path / "project" / "src").mkdir(parents=True)
    (tmp_path / "project" / "src" / "a.py").write_text("x = 1\ny = 2\nx = 1\n")
    page = "```diff\n--- src/a.py\n@@\n {}\n+z = 3\n```\n"
    for number, line in enumerate(("x = 1", "x = 4")):
        with pytest.raises(ValueError, match="places like this"):
            apply(changes_of(page.format(line)), tmp_path / "project", tmp_path / str(number))
    apply(changes_of(page.format("y = 2")), tmp_path / "project", tmp_path / "copy")
    assert (tmp_path / "copy" / "src" / "a.py").read_text() == "x = 1\ny = 2\nz = 3\nx = 1\n"
