"""What a terminal is taken to understand."""

from __future__ import annotations

import io

import pytest

from lanman.faces.tui.symbols import Symbols


def stream(encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding)


@pytest.mark.parametrize(
    ("encoding", "environment", "ascii"),
    [
        ("utf-8", {"LANG": "de_DE.UTF-8"}, False),
        ("utf-8", {"LC_ALL": "C.UTF-8"}, False),
        ("utf-8", {"LC_CTYPE": "C.UTF-8", "LANG": "C.UTF-8"}, False),
        ("utf-8", {"LC_CTYPE": "C.UTF-8", "LANG": "de_DE.UTF-8"}, False),
        # Python has set LC_CTYPE by itself, as PEP 538 has it.
        ("utf-8", {"LC_CTYPE": "C.UTF-8", "LANG": "C"}, True),
        ("utf-8", {"LC_CTYPE": "C.UTF-8"}, True),
        ("utf-8", {"LC_ALL": "C", "LANG": "de_DE.UTF-8"}, True),
        ("utf-8", {}, True),
        ("ascii", {"LANG": "de_DE.UTF-8"}, True),
        ("iso8859-1", {"LANG": "de_DE.ISO-8859-1"}, True),
    ],
)
def test_symbols_need_an_encoding_and_a_locale(encoding: str, environment: dict[str, str], ascii: bool) -> None:
    assert Symbols.of(stream(encoding), environment).ascii is ascii


def test_without_a_stream_nothing_but_ascii_is_sure() -> None:
    assert Symbols.of(None, {"LANG": "de_DE.UTF-8"}).ascii


def test_names_are_shown_as_far_as_the_encoding_has_them() -> None:
    latin = Symbols.of(stream("iso8859-1"), {"LANG": "de_DE.ISO-8859-1"})
    assert latin.shown("J\u00fcrgen \u5c71\x1b") == "J\u00fcrgen \\u5c71\\x1b"
    assert Symbols("ascii", True).shown("J\u00fcrgen") == "J\\xfcrgen"
    assert Symbols().shown("J\u00fcrgen \u5c71\u202e") == "J\u00fcrgen \u5c71\\u202e"
