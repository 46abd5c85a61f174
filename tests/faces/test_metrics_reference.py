"""The page of the metrics is the one that their declarations make."""

from __future__ import annotations

from pathlib import Path

from lanman.faces.metrics_reference import PAGE, filled
from lanman.manage.metrics.table import TABLE, Why

TEXT = (Path(__file__).parents[2] / PAGE).read_text()


def test_page_is_as_the_declarations_make_it() -> None:
    assert filled(TEXT) == TEXT, "run .venv/bin/python -m lanman.faces.metrics_reference"


def test_every_metric_and_every_reason_is_on_the_page_once() -> None:
    for name in [*(each.name for each in TABLE), *(why.value for why in Why)]:
        assert TEXT.count(f"\n| `{name}`") == 1, name


def test_what_stands_outside_the_marks_is_left_alone() -> None:
    page = "before\n<!-- metrics -->\nold\n<!-- end of metrics -->\nafter\n"
    lines = filled(page).splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert "old" not in lines
