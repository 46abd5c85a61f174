"""Which session of one look is which of the next, beside a reference that tries everything with everything."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanman.manage.watching.matching import Begun, Looks, pairs

Known = list[tuple[str, Begun | None]]


def reference(before: Known, now: Known, looks: Looks) -> tuple[set[tuple[str, str]], set[str], set[str]]:
    """The rules as they stand at the top of the file, in quadratic time."""
    olds, news = dict(before), dict(now)
    found: set[tuple[str, str]] = set()

    def take(old: str, new: str) -> None:
        found.add((old, new))
        del olds[old], news[new]

    def near(clock: Callable[[Begun], float], apart: float) -> None:
        in_order = sorted((clock(at), place, new) for place, (new, at) in enumerate(news.items()) if at is not None)
        for at, _, new in in_order:
            candidates = [
                (clock(begun), place, old)
                for place, (old, begun) in enumerate(olds.items())
                if begun is not None and abs(clock(begun) - at) <= apart
            ]
            if candidates:
                take(min(candidates)[2], new)

    for apart in (1.0, 2.0, looks.slack):
        near(lambda begun: begun.steady, apart)
    slept_between = (looks.now.wall - looks.before.wall) - (looks.now.steady - looks.before.steady)
    if slept_between > 1:
        for apart in (1.0, 2.0, looks.slack):
            near(lambda begun: begun.wall, apart)

    def all_clocks(at: Begun, test: Callable[[float, float], bool]) -> bool:
        return test(at.steady, looks.before.steady) and test(at.wall, looks.before.wall)

    for new, at in list(news.items()):
        old = next((old for old, begun in olds.items() if begun is not None), None)
        if old and at is not None and all_clocks(at, lambda begun, look: begun + looks.slack < look):
            take(old, new)
    for new, at in list(news.items()):
        if olds and at is None:
            take(next(iter(olds)), new)
    for new, at in list(news.items()):
        old = next((old for old, begun in olds.items() if begun is None), None)
        if old and at is not None and not all_clocks(at, lambda begun, look: begun - looks.slack > look):
            take(old, new)
    return found, set(olds), set(news)


def knowns(name: str, most: int) -> st.SearchStrategy[Known]:
    times = st.none() | st.tuples(st.integers(0, 24), st.sampled_from([0, 0, 0, 7]))
    return st.lists(times, min_size=most == 1, max_size=most).map(
        lambda found: [
            (f"{name}{place}", None if time is None else Begun(time[0] / 2, 1000 + time[0] / 2 + time[1]))
            for place, time in enumerate(found)
        ]
    )


LOOKS = st.builds(
    lambda before, later, step, slack: Looks(
        Begun(before, 1000 + before), Begun(before + later, 1000 + before + later + step), slack
    ),
    st.integers(0, 14),
    st.integers(0, 8),
    st.sampled_from([0.0, 1.0, 7.0, -40.0]),
    st.sampled_from([3.0, 4.5]),
)


@settings(max_examples=500)
@given(knowns("old", 1), knowns("new", 1), LOOKS)
def test_one_and_one_as_the_reference(before: Known, now: Known, looks: Looks) -> None:
    found, gone, new = pairs(before, now, looks)
    assert (set(found), set(gone), set(new)) == reference(before, now, looks)


@settings(max_examples=300)
@given(knowns("old", 6), knowns("new", 6), LOOKS)
def test_as_the_reference(before: Known, now: Known, looks: Looks) -> None:
    found, gone, new = pairs(before, now, looks)
    assert (set(found), set(gone), set(new)) == reference(before, now, looks)
    assert len(found) + len(gone) == len(before)
    assert len(found) + len(new) == len(now)


def at(seconds: float) -> Begun:
    return Begun(seconds, 1e9 + seconds)


def matched(before: list[float | None], now: list[float | None], *, last: float = 100.0, next: float = 110.0) -> str:
    """`0-1` for a pair of places; then those that have gone and those that are new."""
    olds = [(str(place), None if when is None else at(when)) for place, when in enumerate(before)]
    news = [(str(place), None if when is None else at(when)) for place, when in enumerate(now)]
    found, gone, new = pairs(olds, news, Looks(at(last), at(next)))
    words = (
        sorted(f"{old}-{later}" for old, later in found) + [f"-{old}" for old in gone] + [f"+{each}" for each in new]
    )
    return " ".join(words)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ([50.0], [53.0], "0-0"),
        ([50.0], [47.0], "0-0"),
        ([99.0], [102.01], "-0 +0"),
        ([99.0], [104.0], "-0 +0"),
        # The nearest counts: one of two has gone, and it is not the one that began just then.
        ([50.0, 53.0], [53.0], "1-0 -0"),
        ([50.0, 53.0], [50.4], "0-0 -1"),
        ([50.0, 50.0, 50.0], [50.0, 50.0], "0-0 1-1 -2"),
        # It says that it began before the last look, which has not seen it: its clock was set.
        ([99.0], [60.0], "0-0"),
        ([99.0, 50.0], [60.0, 50.0], "0-0 1-1"),
        ([99.0], [97.5, 60.0], "0-0 +1"),
        # Ages that are not told.
        ([None, None], [None], "0-0 -1"),
        ([50.0], [None], "0-0"),
        ([None], [50.0], "0-0"),
        ([None], [102.0], "0-0"),
        ([None], [108.0], "-0 +0"),
        ([50.0, None], [None, 50.0], "0-1 1-0"),
    ],
)
def test_examples(before: list[float | None], now: list[float | None], expected: str) -> None:
    assert matched(before, now) == expected


def test_a_clock_that_was_set_ends_no_session() -> None:
    before = [("bob", at(50.0))]
    later = Looks(at(100.0), Begun(110.0, 1e9 + 110 + 3600))
    assert pairs(before, [("bob", Begun(50.0, 1e9 + 50 + 3600))], later)[0]
    # The machine has slept, and its steady clock with it: a session that began meanwhile is another one.
    assert pairs(before, [("bob", Begun(50.0 - 3600, 1e9 + 50))], later)[0]
    assert not pairs(before, [("bob", Begun(50.0 - 600, 1e9 + 50 + 3000))], later)[0]


def test_a_wall_clock_that_was_set_back_makes_no_session_of_now_one_of_before() -> None:
    """It was set back by as much as has passed: the new session began when the old one did, by that clock alone."""
    looks = Looks(at(100.0), Begun(3800.0, 1e9 + 200))
    before = [("bob", at(50.0)), ("bob, later", at(90.0))]
    assert not pairs(before[:1], [("bob", Begun(3650.0, 1e9 + 50))], looks)[0]
    assert not pairs(before, [("bob", Begun(3650.0, 1e9 + 50)), ("bob, later", Begun(3690.0, 1e9 + 90))], looks)[0]
    # Who has been there all the time still is the same.
    assert (
        len(pairs(before, [("bob", Begun(50.0, 1e9 - 3550)), ("bob, later", Begun(90.0, 1e9 - 3510))], looks)[0]) == 2
    )


def test_the_time_is_that_of_sorting() -> None:
    crowd: list[tuple[str, Begun | None]] = [(str(place), at(50.0)) for place in range(50_000)]
    found, gone, new = pairs(crowd, [*crowd[1:], ("new", at(108.0))], Looks(at(100.0), at(110.0)))
    assert (len(found), len(gone), new) == (49_999, 1, ["new"])
