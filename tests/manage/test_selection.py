"""Filters: every value that a server lists selects exactly itself, and nothing means everything."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from lanman import codes
from lanman.errors import Win32Error
from lanman.manage.selection import (
    Pattern,
    alike_clients,
    bare_client,
    check_filters,
    chosen_paths,
    chosen_users,
    equal_clients,
)
from lanman.names import unc_client
from lanman.shown import escape

# What file systems, people and attackers put into names.
PIECES = [
    *(
        "a",
        "B",
        "b",
        "ab",
        "[",
        "]",
        "[ab]",
        "[!a]",
        "{",
        "}",
        "{a,b}",
        "~",
        "~1",
        ".",
        "..",
        " ",
        "*",
        "?",
        "\\",
        "/",
        "@",
    ),
    *(
        "ß",
        "SS",
        "\u017f",
        "K",
        "K",
        "İ",
        "\u0131",
        "Σ",
        "ς",
        "é",
        "E\u0301",
        "\u202e",
        "\u200f",
        "א",
        "\U0001f5c4",
        "\U00010400",
    ),
    *("\ud83d", "\udc00", "\x1b", "\n", "\\x1b", "\\u202e", "C:", "::1", "10.0.0.1", "-", "'", '"', "%", ":"),
]
names = st.one_of(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map("".join),
    st.text(st.characters(codec=None), min_size=1, max_size=8),
)
lists = st.lists(names, min_size=1, max_size=8)


@given(lists, st.data())
@example([r"C:\data\[ab].txt", r"C:\data\a.txt", r"C:\data\b.txt"], None)
def test_a_listed_path_selects_exactly_itself(listed: list[str], data: st.DataObject | None) -> None:
    typed = listed[0] if data is None else data.draw(st.sampled_from(listed))
    assert chosen_paths(listed, typed) == {typed}


@given(lists, st.data())
@example(["strasse", "straße"], None)
@example(["EXAMPLE\\bob", "bob", "Bob"], None)
def test_a_listed_user_selects_exactly_itself(listed: list[str], data: st.DataObject | None) -> None:
    typed = listed[0] if data is None else data.draw(st.sampled_from(listed))
    if typed.endswith("\\") or typed.rpartition("\\")[2].startswith("@"):
        # Nothing but a domain: no such user is asked for.
        with pytest.raises(Win32Error):
            chosen_users(listed, typed)
    else:
        assert chosen_users(listed, typed) == {typed}


@given(lists, st.data(), st.sampled_from([str, unc_client, lambda name: "//" + name.lstrip("/\\")]))
@example(["pc7", "PC7", "pc7."], None, str)
def test_a_listed_client_selects_exactly_itself(listed: list[str], data: st.DataObject | None, shape: object) -> None:
    typed = listed[0] if data is None else data.draw(st.sampled_from(listed))
    assume(bare_client(typed))
    assert callable(shape)
    # With or without backslashes, and an address with or without brackets, it is shown as one and the same.
    same = {name for name in listed if unc_client(name) == unc_client(typed)}
    assert equal_clients(listed, shape(typed)) == same


@given(lists, st.data())
def test_what_is_shown_selects_what_it_shows(listed: list[str], data: st.DataObject) -> None:
    value = data.draw(st.sampled_from(listed))
    shown = escape(value)
    alike = {other for other in listed if escape(other) == shown}
    is_user = bool(shown.rpartition("\\")[2].partition("@")[0])
    if shown in listed or len(alike) == 1:
        # Of two that look the same the one that is written so is meant.
        wanted = {shown} if shown in listed else alike
        assert chosen_paths(listed, shown) == wanted
        assert not is_user or chosen_users(listed, shown) == wanted
    else:
        for choose in (chosen_paths, chosen_users) if is_user else (chosen_paths,):
            with pytest.raises(Win32Error, match="shown as"):
                choose(listed, shown)


@pytest.mark.parametrize("choose", [chosen_paths, chosen_users, equal_clients])
def test_of_several_that_are_shown_alike_none_is_meant(choose: Callable[[list[str], str], frozenset[str]]) -> None:
    listed = ["a\u202e\\u202e", "a\\u202e\u202e", "b"]
    with pytest.raises(Win32Error) as caught:
        choose(listed, "a\\u202e\\u202e")
    assert caught.value.code == codes.ERROR_DUP_NAME
    assert choose(listed, listed[0]) == {listed[0]}


@given(lists, names)
def test_filters_choose_among_what_is_listed(listed: list[str], typed: str) -> None:
    assert chosen_paths(listed, typed) <= set(listed)
    assert alike_clients(listed, typed) <= set(listed)


@pytest.mark.parametrize(
    ("listed", "typed", "meant"),
    [
        (["bob", "EXAMPLE\\bob"], r"EXAMPLE\bob", {"EXAMPLE\\bob"}),
        (["bob", "BOB"], r"EXAMPLE\bob", {"bob"}),
        (["Bob", "BOB"], r"EXAMPLE\bob", {"Bob", "BOB"}),
        (["bob", "OTHER\\bob"], r"EXAMPLE\bob", {"bob"}),
        (["bob", "bob@x"], "bob@x", {"bob@x"}),
        (["bob", "rob"], "bob@x", {"bob"}),
        (["EXAMPLE\\bob"], r"example\BOB", {"EXAMPLE\\bob"}),
        (["EXAMPLE\\bob"], "bob", set()),
        (["bob", "bo", "b*"], "b*", {"b*"}),
        (["bob", "bo", "rob"], "B*", {"bob", "bo"}),
        (["bob", "bib"], "b?b", {"bob", "bib"}),
        # Where no domains are listed, everybody of a domain is not everybody.
        (["bob", "ann"], r"EXAMPLE\*", set()),
        (["EXAMPLE\\bob", "ann"], r"EXAMPLE\*", {"EXAMPLE\\bob"}),
        (["bob", "[ab]"], "[AB]", {"[ab]"}),
        (["bob ", "bob"], "BOB", {"bob"}),
        (["bob."], "bob", set()),
        (["strasse", "STRASSE"], "straße", set()),
        (["", None], "*", set()),
    ],
)
def test_users(listed: list[str | None], typed: str, meant: set[str]) -> None:
    assert chosen_users(listed, typed) == meant


@pytest.mark.parametrize(
    ("listed", "typed", "meant"),
    [
        ([r"C:\d", r"C:\d\a", r"C:\D\b"], r"C:\d", {r"C:\d"}),
        ([r"C:\d", r"C:\d\a", r"C:\D\b"], r"C:\d\*", {r"C:\d\a", r"C:\D\b"}),
        ([r"C:\d", r"C:\d\a", r"C:\db"], "/d", {r"C:\d"}),
        # Without a drive it is C:, and not the path of that name on every drive.
        ([r"C:\d\a", r"E:\d\a"], "/d/a", {r"C:\d\a"}),
        ([r"E:\d\a", r"F:\D\A"], r"\d\a", set()),
        ([r"E:\d\a", r"c:\d\a"], "/d/*", {r"c:\d\a"}),
        ([r"C:\srv\A", r"C:\srv\a"], "/srv/a", {r"C:\srv\a"}),
        ([r"C:\srv\A", r"C:\srv\B"], "/srv/a", {r"C:\srv\A"}),
        ([r"C:\srv\*.txt", r"C:\srv\a.txt"], "/srv/*.txt", {r"C:\srv\*.txt"}),
        (["C:\\d\\", "C:\\d\\a"], r"C:\D", {"C:\\d\\"}),
        ([r"\PIPE\srvsvc"], "/pipe/srvsvc", {r"\PIPE\srvsvc"}),
        (["C:\\", r"C:\a"], "/", {"C:\\"}),
    ],
)
def test_paths(listed: list[str | None], typed: str, meant: set[str]) -> None:
    assert chosen_paths(listed, typed) == meant


@pytest.mark.parametrize(
    ("listed", "typed", "meant"),
    [
        ([r"\\PC7", "pc7.", "pc77"], "pc7", {r"\\PC7", "pc7."}),
        ([r"\\[fe80::7]", "10.0.0.7"], "FE80:0::7", {r"\\[fe80::7]"}),
        (["10.0.0.12", "10.0.0.7", "10.0.1.7"], "10.0.0.*", {"10.0.0.12", "10.0.0.7"}),
        ([r"\\[fe80::7]"], "fe80::?", {r"\\[fe80::7]"}),
        (["", ".", "pc7"], ".", {"."}),
    ],
)
def test_clients(listed: list[str | None], typed: str, meant: set[str]) -> None:
    assert (equal_clients(listed, typed) or alike_clients(listed, typed)) == meant


def test_empty_filters_are_none() -> None:
    for filters, code in (
        ({"client": ""}, 2351),
        ({"client": "\\\\"}, 2351),
        ({"user": ""}, 87),
        ({"user": "EXAMPLE\\"}, 87),
        ({"user": "@x"}, 87),
        ({"path": ""}, 87),
    ):
        with pytest.raises(Win32Error, match="empty") as raised:
            check_filters(**filters)
        assert raised.value.code == code
        assert raised.value.hint
    check_filters(client="pc7", user="bob", path="/")


# --- patterns


def slowly(pattern: str, text: str) -> bool:
    """The definition, tried in every way."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(slowly(pattern[1:], text[start:]) for start in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and slowly(pattern[1:], text[1:])


@given(st.text("ab*?[", max_size=8), st.text("ab[", max_size=8))
def test_a_pattern_is_what_it_is_defined_to_be(pattern: str, text: str) -> None:
    assert Pattern(pattern).matches(text) == slowly(pattern, text)


@pytest.mark.parametrize("part", ["a" * 5000 + "b", "?a" * 2500 + "b", "a*" * 2500 + "b", "*?" * 2500 + "b"])
def test_a_pattern_takes_time_linear_in_the_text(part: str) -> None:
    """Whoever tries every place again takes longer than a test may."""
    assert not Pattern(f"*{part}*{part}").matches("a" * 100_000)
