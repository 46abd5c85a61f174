"""The manual page is made from the verbs, and says what they say."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from lanman.faces.cli.loader import load, names
from lanman.faces.cli.manual import escaped, manual

PAGE = Path(__file__).parents[2] / "docs" / "man" / "lanman.1"


def test_the_page_is_the_one_that_the_verbs_make() -> None:
    assert PAGE.read_text() == manual(), "python -m lanman.faces.cli.manual > docs/man/lanman.1"


def test_every_verb_has_examples() -> None:
    for name in names():
        command = load(name)
        assert command.examples.strip(), name
        assert command.about.strip(), name
        assert all(line.startswith(("lanman ", "eval ")) for line in command.examples.strip().splitlines()), name


def test_every_verb_and_switch_is_in_the_page() -> None:
    text = PAGE.read_text()
    for name in names():
        assert f"\n.SS {name}\n" in text
    for switch in (r"/AUTODISCONNECT:n", r"\-\-client NAME", r"/DELETE", r"\-\-require\-encryption"):
        assert f".B {switch}" in text


@pytest.mark.parametrize(
    ("text", "roff"), [(r"\\pc7", r"\e\epc7"), (".SH", r"\&.SH"), ("'a'", r"\&'a'"), ("--x", r"\-\-x"), ("a.b", "a.b")]
)
def test_text_is_no_command(text: str, roff: str) -> None:
    assert escaped(text) == roff


def test_groff_has_nothing_to_say() -> None:
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    shown = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-P-cbou", str(PAGE)], capture_output=True, text=True, check=True
    )
    assert shown.stderr == ""
    assert "lanman - the Windows Server service" in shown.stdout.replace("\u2010", "-")
    assert r"\\pc7" in shown.stdout
