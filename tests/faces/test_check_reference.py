"""The page of the checks is the one that their declarations make."""

from __future__ import annotations

from pathlib import Path

from lanman.faces.check_reference import PAGE, filled, in_markdown
from lanman.manage.doctor.run import checks

TEXT = (Path(__file__).parents[2] / PAGE).read_text()


def test_page_is_as_the_declarations_make_it() -> None:
    assert filled(TEXT) == TEXT, "run .venv/bin/python -m lanman.faces.check_reference"


def test_every_check_and_every_cause_is_on_the_page() -> None:
    for check in checks():
        section = TEXT.partition(f"\n### {check.id} ")[2].partition("\n##")[0]
        assert section, check.id
        for cause in check.causes:
            assert f"\n* `{cause.word}`. " in section, (check.id, cause.word)


def test_what_stands_outside_the_marks_is_left_alone() -> None:
    page = "before\n<!-- checks -->\nold\n<!-- end of checks -->\nafter\n"
    lines = filled(page).splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert "old" not in lines


def test_nothing_of_a_text_is_markup() -> None:
    assert in_markdown(r"C:\*_a `b_c`") == r"C:\\\*\_a `b_c`"
