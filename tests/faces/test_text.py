"""Text: widths, cuts, times, and that nothing from a peer reaches a terminal as it came."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman.faces.text import Column, block, duration, escape, fit, row, shorten_path, width


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "00:00:00"),
        (13, "00:00:13"),
        (3913, "01:05:13"),
        (86399, "23:59:59"),
        (86400, "01D 00H 00M"),
        (98000, "01D 03H 13M"),
        (5 * 86400 + 22 * 3600 + 2 * 60 + 59, "05D 22H 02M"),
        (123 * 86400, "123D 00H 00M"),
        (None, "-"),
    ],
)
def test_duration(seconds: int | None, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("büro 7 日本", "büro 7 日本"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\nb\tc\x7f\x9b", "a\\x0ab\\x09c\\x7f\\x9b"),
        ("exe\u202egpj.", "exe\\u202egpj."),
        ("\u2066x\u2069\u200f", "\\u2066x\\u2069\\u200f"),
        ("half \ud83d", "half \\ud83d"),
        ("tag \U000e0041", "tag \\U000e0041"),
        ("whole \U0001f600", "whole \U0001f600"),
    ],
)
def test_escape(text: str, shown: str) -> None:
    assert escape(text) == shown


@given(st.text(alphabet=st.characters()))
def test_nothing_that_drives_a_terminal_is_left(text: str) -> None:
    shown = escape(text)
    shown.encode("utf-8")
    for character in shown:
        assert unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp")
        assert unicodedata.bidirectional(character) not in (
            "LRE",
            "RLE",
            "LRO",
            "RLO",
            "PDF",
            "LRI",
            "RLI",
            "FSI",
            "PDI",
        )


@given(st.text(), st.integers(0, 30))
def test_fit_is_exact(text: str, columns: int) -> None:
    assert width(fit(text, columns)) == columns


def test_row_aligns_wide_characters() -> None:
    columns = [Column(0, 6), Column(7, 4, right=True), Column(12, None)]
    assert row(columns, ["日本語の", "3", "end"]) == "日本語    3 end"
    assert row(columns, ["abcdefgh", "123456", "end"]) == "abcdef 123456 end"


def test_block_pads_labels_and_escapes_values() -> None:
    assert list(block([("User name", "a\x1bb"), ("Client type", "")], 16)) == ["User name       a\\x1bb", "Client type"]


@pytest.mark.parametrize(
    ("path", "columns", "shown"),
    [
        (r"C:\data\a.txt", 39, r"C:\data\a.txt"),
        (r"C:\data\projects\2024\quarter\budget-final.xlsx", 39, r"C:\data\...\quarter\budget-final.xlsx"),
        (r"C:\data\projects\2024\quarter\budget-final.xlsx", 30, r"C:\data\...\budget-final.xlsx"),
        (r"C:\projects\2024\quarter\budget-final.xlsx", 28, r"C:\...\budget-final.xlsx"),
        ("/srv/data/projects/2024/budget-final.xlsx", 30, "/srv/.../budget-final.xlsx"),
        (r"\PIPE\srvsvc", 39, r"\PIPE\srvsvc"),
        ("x" * 50, 39, "x" * 36 + "..."),
        (r"C:\a" + "\\" + "x" * 50, 39, r"C:\a" + "\\" + "x" * 31 + "..."),
        (r"C:\data\old" + "\\" + "x" * 50, 20, r"C:\...\xxxxxxxxxx..."),
    ],
)
def test_shorten_path(path: str, columns: int, shown: str) -> None:
    assert shorten_path(path, columns) == shown


@given(st.lists(st.text(alphabet="ab日", max_size=12), max_size=8).map("\\".join), st.integers(8, 40))
def test_a_shortened_path_fits_and_keeps_its_end(path: str, columns: int) -> None:
    shown = shorten_path(path, columns)
    assert width(shown) <= columns
    assert ("..." in shown) == (shown != path)
    if "..." in shown and not shown.endswith("..."):
        assert path.endswith(shown.rpartition("\\...")[2])
