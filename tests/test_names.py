"""How names are compared: Windows' table of upper cases, one to one."""

from __future__ import annotations

import hashlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman.names import choose, fold, same

# SHA-256 over "LLLLUUUU,..." (code units in hexadecimal, lower case and upper case) of every entry of the table, in
# order: "Windows 8 Upper Case Mapping Table.txt", which is also the $UpCase that mkntfs writes.
ENTRIES = 973
TABLE = "c7c4218dc9a97cb8d86fff47d60dc6e7d47145f6cd7db53cd27f9b81f1470b98"


def test_the_table_is_that_of_windows() -> None:
    folded = [(code, ord(fold(chr(code)))) for code in range(0x10000)]
    entries = [f"{code:04x}{upper:04x}" for code, upper in folded if code != upper]
    assert len(entries) == ENTRIES, unicodedata.unidata_version
    assert hashlib.sha256(",".join(entries).encode()).hexdigest() == TABLE


def test_nothing_outside_the_basic_multilingual_plane_has_an_entry() -> None:
    beyond = "".join(map(chr, range(0x10000, 0x110000)))
    assert fold(beyond) == beyond


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("ann", "ANN"),
        ("Ärger.TXT", "äRGER.txt"),
        ("маша", "МАША"),
        ("\u1f80", "\u1f88"),  # alpha with an iota below it, whose upper case in Unicode are two letters
        ("\u01c6", "\u01c4"),  # dž, DŽ
    ],
)
def test_case_does_not_count(name: str, other: str) -> None:
    assert same(name, other)
    assert choose(name, [other, "x"]) == [other]


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("straße", "strasse"),
        ("straße", "STRASSE"),
        ("stra\u1e9ee", "straße"),  # the capital sharp s
        ("admini\u017ftrator", "administrator"),
        ("adm\u0131nistrator", "administrator"),
        ("adm\u0130nistrator", "administrator"),
        ("\u212aate", "kate"),  # the sign of kelvin
        ("\u212bke", "åke"),  # the sign of angstrom
        ("\u00b5", "\u03bc"),  # the sign of micro
        ("\u03bf\u03b4\u03bf\u03c2", "\u039f\u0394\u039f\u03a3"),  # with a final sigma, which has no upper case
        ("\u10d0", "\u1c90"),  # Georgian got capitals in 2018
        ("\u01c5", "\u01c4"),  # Dž is neither
        ("\ufb01x", "FIx"),  # a ligature
        ("e\u0301", "é"),
    ],
)
def test_these_are_not_the_same(name: str, other: str) -> None:
    assert not same(name, other)
    assert choose(name, [other]) == []


@given(st.text())
def test_a_name_keeps_its_length_and_folds_once(name: str) -> None:
    assert len(fold(name)) == len(name)
    assert fold(fold(name)) == fold(name)
    assert same(name, name)


@given(st.characters(), st.characters())
def test_no_two_lower_case_characters_meet(one: str, other: str) -> None:
    if one != other and fold(one) == fold(other):
        assert fold(one) in (one, other)


def test_what_is_written_exactly_is_meant_alone() -> None:
    assert choose("Ann", ["ann", "Ann", "ANN", "Ann", "bob"]) == ["Ann", "Ann"]
    assert choose("aNN", ["ann", "Ann", "bob"]) == ["ann", "Ann"]
    assert choose("carl", ["ann"]) == []
