"""Text: widths, cuts, times, and that nothing from a peer reaches a terminal as it came."""

from __future__ import annotations

import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman.faces.text import (
    Column,
    block,
    duration,
    escape,
    fit,
    row,
    shorten,
    shorten_client,
    shorten_path,
    table,
    width,
)


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
        ("a\uf021b \U000f0000", "a\\uf021b \\U000f0000"),
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


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("", 0),
        ("plain", 5),
        ("büro\xad", 5),
        ("日本", 4),
        ("한국", 4),
        ("u\u0308ber", 4),
        ("नी", 2),  # with a spacing mark
        ("דָּ", 1),  # with two points
        ("a\u200bb", 2),  # a space without a width
        ("\U0001f600", 2),
        ("\U0001f468\u200d\U0001f469", 4),  # two emoji, where they are not joined
        ("\u0378", 1),  # not assigned
    ],
)
def test_width(text: str, columns: int) -> None:
    assert width(text) == columns


@given(st.text(), st.text())
def test_widths_add_up(left: str, right: str) -> None:
    assert width(left + right) == width(left) + width(right)


def test_latin_letters_load_no_tables() -> None:
    program = (
        "import sys; from lanman.faces.text import Column, row; "
        "print(row([Column(0, 8), Column(9, None)], ['Jürgen', 'büro']), 'rich' in sys.modules)"
    )
    shown = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", program], capture_output=True, encoding="utf-8", check=True
    )
    assert shown.stdout == "Jürgen   büro False\n"


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


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("mira.holt", 9, "mira.holt"),
        ("mira.holtz", 9, "mira.h..."),
        ("日本語の名前です", 10, "日本語..."),
        ("a\x1bb", 20, "a\\x1bb"),
    ],
)
def test_a_name_that_is_cut_is_marked(text: str, columns: int, shown: str) -> None:
    assert shorten(text, columns) == shown
    assert width(shown) <= columns


def test_addresses_that_begin_alike_stay_apart() -> None:
    listed = [rf"\\[2001:db8:1234:5678:9abc:def0:1234:{host:04x}]" for host in range(300)]
    shown = {shorten_client(client, 22) for client in listed}
    assert len(shown) == 300
    assert all(len(one) == 22 and "..." in one for one in shown)
    assert shorten_client(r"\\[fe80::1]", 22) == r"\\[fe80::1]"
    assert shorten_client(r"\\a-client-with-a-very-long-name", 22) == r"\\a-client-with-a-v..."


LAYOUT = (Column(0, 6, fitted=shorten), Column(7, 6, fitted=shorten), Column(14, 3, right=True), Column(18, 4))
HEADER = "Name   User     # Idle"
ROWS = [["ann-marie", "x" * 30, "1", "0:01"], ["bob", "bob", "12345", "0:02"]]


@pytest.mark.parametrize(
    ("available", "lines"),
    [
        # No terminal, and one without room: the layout as it is.
        (None, ["Name   User     # Idle", "ann... xxx...   1 0:01", "bob    bob    12345 0:02"]),
        (22, ["Name   User     # Idle", "ann... xxx...   1 0:01", "bob    bob    12345 0:02"]),
        (10, ["Name   User     # Idle", "ann... xxx...   1 0:01", "bob    bob    12345 0:02"]),
        # Who needs the least comes first; the rest has what is left, and a mark.
        (30, ["Name      User          # Idle", "ann-marie xxxxxxxx...   1 0:01", "bob       bob         12345 0:02"]),
        (
            99,
            [
                f"Name      User{' ' * 29}# Idle",
                f"ann-marie {'x' * 30}   1 0:01",
                f"bob       bob{' ' * 28}12345 0:02",
            ],
        ),
    ],
)
def test_columns_widen_as_far_as_there_is_room(available: int | None, lines: list[str]) -> None:
    _, header, _, ruler, *rows = table(HEADER, LAYOUT, ROWS, available)
    assert [header, *rows] == lines
    assert set(ruler) == {"-"}
    assert len(ruler) == 79 + len(lines[0]) - len(HEADER)


@pytest.mark.parametrize("available", [None, 79, 100, 300])
@pytest.mark.parametrize("names", [["a"], ["a" * 12], ["a" * 13, "b"], ["é" * 40]])
def test_what_has_a_line_of_its_own_is_shown_whole(available: int | None, names: list[str]) -> None:
    columns = (Column(0, 12, own_line=True), Column(13, 31), Column(45, None))
    header = "Share name   Resource                        Remark"
    lines = list(table(header, columns, [[name, "C:", ""] for name in names], available))
    assert all(any(line.split("C:")[0].strip() == name for line in lines) for name in names)
