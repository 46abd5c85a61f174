"""The rows of a tab without a terminal: what is meant by a key press, whatever happened since one last looked."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman.faces.tui.listing import Column, Direction, Filter, Listing, Presence, client_order, widths


@dataclass(frozen=True)
class Row:
    client: str | None = None
    user: str = ""
    opens: int | None = None


COLUMNS: tuple[Column[Row], ...] = (
    Column("CLIENT", lambda row, now: row.client or "-", lambda row: client_order(row.client), 16, 2, 40),
    Column("USER", lambda row, now: row.user, lambda row: row.user, 8, 1, 20),
    Column("OPENS", lambda row, now: str(row.opens), lambda row: row.opens, 5, right=True),
    Column("NOW", lambda row, now: str(now), lambda row: 0, 5, searched=False),
)


def listing(*users: str, follow: bool = False, newest_first: bool = False) -> Listing[str, Row]:
    made: Listing[str, Row] = Listing(COLUMNS, follow, newest_first)
    made.replace({user: Row(user=user) for user in users}, 0)
    return made


def rows(*users: str) -> dict[str, Row]:
    return {user: Row(user=user) for user in users}


def test_rows_that_move_take_the_cursor_along() -> None:
    some = listing("b", "d", "f")
    some.go_to(1, 0)
    some.turn(1, 0)
    some.update(rows("a", "c"), ["b"], 0)
    assert (some.order, some.current, some.place) == (["a", "c", "d", "f"], "d", 2)
    assert list(some.targets()) == ["d"]


def test_a_row_that_goes_keeps_the_cursor_and_is_no_target() -> None:
    some = listing("a", "b", "c")
    some.go_to(1, 0)
    some.update({}, ["b"], 0)
    assert (some.order, some.current, some.presence) == (["a", "b", "c"], "b", Presence.GONE)
    assert some.cells("b", 0)[1] == "b"
    assert some.targets() == {}
    assert not some.toggle_mark()
    some.update(rows("x"), ["a"], 0)
    assert (some.order[1], some.current, list(some.targets())) == ("b", "b", [])
    some.move(1, 0)
    assert (some.order, list(some.targets())) == (["c", "x"], ["x"])


def test_a_row_that_comes_back_under_its_key_is_a_target_again() -> None:
    some = listing("a", "b")
    some.update({}, ["a"], 0)
    some.update({"a": Row(user="a", opens=7)}, [], 0)
    assert some.presence is Presence.THERE
    assert some.targets() == {"a": Row(user="a", opens=7)}


def test_another_row_under_the_same_key_is_not_what_was_meant() -> None:
    some = listing("a", "b")
    some.toggle_mark()
    some.update({"a": Row(user="a", opens=7)}, ["a"], 0)
    assert (some.order, some.presence, some.targets()) == (["a", "b"], Presence.GONE, {})
    assert some.cells("a", 0)[2] == "None"
    some.move(1, 0)
    assert (some.order, some.current) == (["b", "a"], "b")
    some.move(1, 0)
    assert some.targets() == {"a": Row(user="a", opens=7)}


def test_a_list_that_runs_empty_and_fills_again() -> None:
    some = listing("a")
    some.replace({}, 0)
    assert (some.order, some.presence) == (["a"], Presence.GONE)
    some.replace(rows("b", "c"), 0)
    assert (some.order, some.targets()) == (["a", "b", "c"], {})
    some.go_to(2, 0)
    assert (some.order, list(some.targets())) == (["b", "c"], ["c"])


def test_marks_are_meant_before_the_cursor_and_go_with_their_rows() -> None:
    some = listing("a", "b", "c", "d")
    for place in (0, 2):
        some.go_to(place, 0)
        some.toggle_mark()
    some.go_to(3, 0)
    assert list(some.targets()) == ["a", "c"]
    some.update({}, ["c"], 0)
    assert list(some.targets()) == ["a"]
    some.update(rows("c"), [], 0)
    assert list(some.targets()) == ["a"]
    some.go_to(0, 0)
    some.toggle_mark()
    assert (some.marked, list(some.targets())) == ({}, ["a"])


def test_what_a_filter_hides_is_not_marked_afterwards_either() -> None:
    some = listing("ann", "bob", "anton")
    for place in (0, 1):
        some.go_to(place, 0)
        some.toggle_mark()
    assert some.set_filter(Filter.parse("an"), 0) == 1
    assert (some.order, list(some.targets())) == (["ann", "anton"], ["ann"])
    assert some.set_filter(Filter.parse(""), 0) == 0
    assert list(some.targets()) == ["ann"]


def test_a_row_that_changes_out_of_the_filter_is_kept_in_sight_and_is_no_target() -> None:
    some = listing("ann", "anton")
    some.set_filter(Filter.parse("an"), 0)
    some.toggle_mark()
    some.update({"ann": Row(user="eve")}, [], 0)
    assert (some.order, some.presence, some.targets()) == (["ann", "anton"], Presence.HIDDEN, {})
    some.move(1, 0)
    assert (some.order, list(some.targets())) == (["anton"], ["anton"])


def test_a_filter_that_hides_the_cursor_moves_it_to_what_is_shown() -> None:
    some = listing("ann", "bob")
    some.set_filter(Filter.parse("bob"), 0)
    assert (some.current, list(some.targets())) == ("bob", ["bob"])
    some.set_filter(Filter.parse("nobody of that name"), 0)
    assert (some.current, some.order, some.targets()) == (None, [], {})


@pytest.mark.parametrize(
    ("typed", "through"),
    [
        ("", ["x", "y", "z"]),
        ("!", ["x", "y", "z"]),
        ("PC", ["x", "y"]),
        ("!pc", ["z"]),
        (r"\\pc1", ["x"]),
        ("//pc1", ["x"]),
        ("pc*ann", []),
        ("p?2", ["y"]),
        ("ann[1]", ["x"]),
        ("!ann[1]", ["y", "z"]),
        ("\\x1b", ["z"]),
        ("\x1b", ["z"]),
        ("99.5", []),
        (" pc1 ", ["x"]),
    ],
)
def test_filters(typed: str, through: list[str]) -> None:
    some: Listing[str, Row] = Listing(COLUMNS)
    some.replace({"x": Row(r"\\PC1", "ann[1]"), "y": Row(r"\\pc2", "ann1"), "z": Row("10.0.0.1", "e\x1bve")}, 99.5)
    some.set_filter(Filter.parse(typed), 99.5)
    assert some.order == through


def test_sorting_turns_up_down_and_off() -> None:
    some: Listing[str, Row] = Listing(COLUMNS)
    some.replace({name: Row(opens=opens) for name, opens in {"a": 2, "b": None, "c": 10, "d": 1, "e": 2}.items()}, 0)
    orders = []
    for _ in range(4):
        some.turn(2, 0)
        orders.append("".join(some.order))
    assert orders == ["daecb", "caedb", "abcde", "daecb"]
    some.turn(1, 0)
    assert (some.column, some.direction) == (1, Direction.UP)


def test_sorting_follows_what_changes() -> None:
    some = listing("a", "b", "c")
    some.turn(2, 0)
    some.update({"a": Row(opens=5), "b": Row(opens=4), "c": Row(opens=3)}, [], 0)
    assert some.order == ["c", "b", "a"]
    some.update({"c": Row(opens=9)}, [], 0)
    assert some.order == ["b", "a", "c"]


def test_addresses_are_sorted_by_number_and_names_behind_them() -> None:
    names = ["pc10", r"\\10.0.0.100", "10.0.0.9", r"\\[fe80::2%3]", "PC2", "::1", r"\\9.255.0.1", "anna"]
    assert sorted(names, key=lambda name: client_order(name) or ()) == [
        r"\\9.255.0.1", "10.0.0.9", r"\\10.0.0.100", "::1", r"\\[fe80::2%3]", "anna", "pc10", "PC2",
    ]  # fmt: skip
    assert client_order(None) is None


def test_events_stay_at_the_newest_until_one_looks_back() -> None:
    some = listing("1", "2", follow=True, newest_first=True)
    assert (some.order, some.current) == (["2", "1"], "2")
    some.update(rows("3"), [], 0)
    assert (some.order, some.current) == (["3", "2", "1"], "3")
    some.move(1, 0)
    some.update(rows("4"), [], 0)
    assert (some.order, some.current, some.place) == (["4", "3", "2", "1"], "2", 2)


@pytest.mark.parametrize("available", [5, 20, 34, 40, 76, 120, 300])
def test_columns_never_need_more_than_there_is(available: int) -> None:
    found = widths(COLUMNS, available)
    shown = [width for width in found if width]
    assert sum(shown) + 2 * (len(shown) - 1) <= max(available, 16)
    assert all(width >= 3 for width in shown)
    assert found[0] <= 40
    assert found[1] <= 20


def test_room_goes_to_the_columns_that_share_it() -> None:
    assert widths(COLUMNS, 40) == [16, 8, 5, 5]
    assert widths(COLUMNS, 49) == [22, 11, 5, 5]
    assert widths(COLUMNS, 300) == [40, 20, 5, 5]
    assert widths(COLUMNS, 36) == [18, 9, 5, 0]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("come"), st.text("abcdef", min_size=1, max_size=2), st.integers(0, 3)),
        st.tuples(st.just("go"), st.text("abcdef", min_size=1, max_size=2), st.just(0)),
        st.tuples(st.just("turn"), st.just(""), st.integers(0, 2)),
        st.tuples(st.just("filter"), st.sampled_from(["", "a", "!a", "b"]), st.just(0)),
        st.tuples(st.just("mark"), st.just(""), st.just(0)),
        st.tuples(st.just("move"), st.just(""), st.integers(-3, 3)),
    ),
    max_size=40,
)


@given(steps)
def test_only_moving_and_filtering_change_what_is_meant(history: list[tuple[str, str, int]]) -> None:
    """A plain model: the cursor is a name; what is meant is what is marked, there and matches."""
    some: Listing[str, Row] = Listing(COLUMNS)
    there: dict[str, Row] = {}
    filtered = Filter()
    for step, name, number in history:
        before = some.current
        match step:
            case "come":
                there[name] = Row(user=name, opens=number)
                some.update({name: there[name]}, [], 0)
            case "go":
                there.pop(name, None)
                some.update({}, [name], 0)
            case "turn":
                some.turn(number, 0)
            case "filter":
                filtered = Filter.parse(name)
                some.set_filter(filtered, 0)
            case "mark":
                some.toggle_mark()
            case "move":
                some.move(number, 0)
        if step not in ("move", "filter") and before is not None:
            assert some.current == before
        through = {key for key, row in there.items() if filtered.lets_through([row.client or "-", row.user, "0"])}
        assert set(some.order) - {some.current} == through - {some.current}
        assert len(some.order) == len(set(some.order))
        assert some.targets().keys() <= through
        assert some.targets().keys() <= (some.marked.keys() or {some.current})
        assert some.current is None or some.order[some.place or 0] == some.current
