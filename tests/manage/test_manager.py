"""Names of clients and users, path globs: what a filter means before any server is asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman.manage.manager import (
    Sessions,
    no_such_file,
    no_such_session,
)
from lanman.manage.selection import canonical_client, chosen_paths, is_address, same_user, select_sessions
from lanman.names import unc_client
from lanman.records import SessionInfo


@pytest.mark.parametrize("typed", ["pc7", r"\\pc7", r"\pc7", "//pc7", "/pc7", r"\\PC7", " pc7 ", "pc7."])
def test_a_name_may_be_typed_in_many_ways(typed: str) -> None:
    assert canonical_client(typed) == "pc7"


@pytest.mark.parametrize(
    ("typed", "canonical", "unc"),
    [
        ("10.0.0.1", "10.0.0.1", r"\\10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1", r"\\[::ffff:10.0.0.1]"),
        ("::1", "::1", r"\\[::1]"),
        (r"\\[::1]", "::1", r"\\[::1]"),
        ("//[FE80::0001]", "fe80::1", r"\\[FE80::0001]"),
        (r"\\fe80:0::1%eth0", "fe80::1%eth0", r"\\[fe80:0::1%eth0]"),
    ],
)
def test_an_address_is_one_however_it_is_written(typed: str, canonical: str, unc: str) -> None:
    assert canonical_client(typed) == canonical
    assert unc_client(typed) == unc
    assert is_address(typed)


@pytest.mark.parametrize("typed", ["", "\\\\", "//", "  "])
def test_nothing_is_no_client(typed: str) -> None:
    assert canonical_client(typed) == ""
    assert not is_address(typed)


@given(st.text())
def test_the_canonical_form_is_a_fixed_point_of_adding_backslashes(typed: str) -> None:
    canonical = canonical_client(typed)
    assert canonical_client("\\\\" + canonical) == canonical_client(canonical)


@pytest.mark.parametrize(
    ("listed", "wanted", "same"),
    [
        ("ann", "ann", True),
        ("ANN", "ann", True),
        ("ann", r"CORP\Ann", True),
        ("ann", "ann@corp.example", True),
        ("ann", "bob", False),
        ("", "ann", False),
        ("", "", True),
        (None, "ann", False),
    ],
)
def test_a_user_is_meant_with_or_without_a_domain(listed: str | None, wanted: str, same: bool) -> None:
    assert same_user(listed, wanted) is same


def test_filters_are_both_or_either() -> None:
    one, two, three = SessionInfo(r"\\pc1", "ann"), SessionInfo("PC1", "bob"), SessionInfo(r"\\[::1]", "ann")
    everyone = [one, two, three]
    assert select_sessions(everyone, None, None) == everyone
    assert select_sessions(everyone, frozenset({"pc1"}), None) == [one, two]
    assert select_sessions(everyone, None, "ann") == [one, three]
    assert select_sessions(everyone, frozenset({"::1", "10.0.0.1"}), "ann") == [three]
    assert select_sessions(everyone, frozenset({"pc9"}), None) == []


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.xlsx", r"C:\data\plan.XLSX", True),
        ("/srv/data/*", r"C:\srv\data\a.txt", True),
        ("/srv/data", r"C:\srv\data\deep\a.txt", False),
        ("/srv/data", r"C:\srv\data", True),
        ("/srv/data/", r"C:\srv\data\a.txt", False),
        ("/srv/data", r"C:\srv\database", False),
        (r"C:\srv", r"C:\srv\data", False),
        (r"C:\srv\*", r"C:\srv\data", True),
        (r"C:\srv\*", "C:\\srv\\", False),
        ("/srv/data/", r"C:\SRV\data", True),
        ("[ab].txt", "a.txt", False),
        ("[AB].txt", "[ab].txt", True),
        ("*/", r"C:\anything", False),
        (r"D:\srv", r"C:\srv\data", False),
        ("a?.txt", "ab.txt", True),
        ("a?.txt", r"x\ab.txt", False),
        ("/", r"C:\anything", False),
        ("/", "C:\\", True),
        ("*", None, False),
    ],
)
def test_a_path_is_meant_by_a_glob(pattern: str, path: str | None, matches: bool) -> None:
    assert (path in chosen_paths([path], pattern)) is matches


def test_errors_name_what_was_not_there() -> None:
    assert no_such_session("pc7", "ann").code == 2312
    assert no_such_session("pc7", "ann").message.startswith(r"\\pc7 and user ann: A session does not exist")
    assert no_such_session().message.startswith("A session does not exist")
    assert no_such_file(99999).code == 2314
    assert no_such_file(99999).message.startswith("99999: ")


def test_sessions_are_a_sequence() -> None:
    ann, bob = SessionInfo("\\\\pc1", "ann"), SessionInfo("\\\\pc2", "bob")
    found = Sessions("fs1", 502, [ann, bob])
    assert (len(found), list(found), found[0], found[-1], found[:1]) == (2, [ann, bob], ann, bob, [ann])
    assert bob in found
    assert list(reversed(found)) == [bob, ann]
    assert found
    assert not Sessions("fs1", 502)
    with pytest.raises(IndexError):
        found[2]
