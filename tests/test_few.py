"""Mappings of nothing and of one behave as dicts do."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from lanman.few import NOTHING, One, with_one, without

KEYS = st.integers(0, 3)


@given(st.lists(st.tuples(st.booleans(), KEYS, st.integers())))
def test_as_a_dict(steps: list[tuple[bool, int, int]]) -> None:
    few: Mapping[int, int] = NOTHING
    model: dict[int, int] = {}
    for adding, key, value in steps:
        if adding:
            few = with_one(few, key, value)
            model[key] = value
        else:
            few = without(few, key)
            model.pop(key, None)
        assert few == model
        assert list(few.items()) == list(model.items())
        assert bool(few) == bool(model)
        for each in range(4):
            assert few.get(each, -1) == model.get(each, -1)
            assert (each in few) == (each in model)


def test_what_they_are_kept_in() -> None:
    """Nothing is one object for all, one entry is no dict, and what was kept before is not changed by it."""
    one = with_one(NOTHING, 1, "a")
    assert type(one) is One
    assert one[1] == "a"
    assert one.get(2) is None
    assert repr(one) == "{1: 'a'}"
    two = with_one(one, 2, "b")
    assert type(two) is dict
    assert dict(one) == {1: "a"}
    assert without(without(two, 1), 2) is NOTHING
    assert without(one, 1) is NOTHING
    assert without(one, 2) is one
    assert with_one(one, 1, "c") == {1: "c"}
