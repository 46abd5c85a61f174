"""Hours of the week in NET's /TIMES grammar, by the clocks of a zone."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from lanman.manage.policies.hours import parse_hours

BERLIN = ZoneInfo("Europe/Berlin")
WEEK = 7 * 24 * 60


def minutes(*parts: tuple[int, int, int]) -> tuple[tuple[int, int], ...]:
    """Ranges in minutes of the week, from (day, first hour, last hour)."""
    return tuple(((day * 24 + start) * 60, (day * 24 + end) * 60) for day, start, end in parts)


WORKDAYS = minutes(*((day, 8, 18) for day in range(5)))


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        ("M-F,8am-6pm", WORKDAYS),
        ("m-f, 8:00-18:00", WORKDAYS),
        ("Monday-Friday,8 a.m.-6 p.m.", WORKDAYS),
        ("M,T,W,Th,F,08-18", WORKDAYS),
        ("mon-fri,8-18", WORKDAYS),
        ("Sa,Su", ((5 * 1440, WEEK),)),
        ("8:00-17:00", minutes(*((day, 8, 17) for day in range(7)))),
        ("M,4am-5pm;T,1pm-3pm;W,8:00-12:00,13:00-17:00", minutes((0, 4, 17), (1, 13, 15), (2, 8, 12), (2, 13, 17))),
        ("Sa-M,12pm-1pm", minutes((0, 12, 13), (5, 12, 13), (6, 12, 13))),
        ("F,10pm-6am", minutes((4, 22, 30))),
        ("Su,10pm-6am", minutes((0, 0, 6), (6, 22, 24))),
        ("Th,12am-12pm", minutes((3, 0, 12))),
        ("Tu,0:00-24:00", minutes((1, 0, 24))),
        ("F-F,8:30-8:45", ((4 * 1440 + 510, 4 * 1440 + 525),)),
        ("M,8-12;M,12-14;M,9-10", minutes((0, 8, 14))),
        ("all", ((0, WEEK),)),
        ("ALL", ((0, WEEK),)),
        ("M-Su", ((0, WEEK),)),
        ("10pm-6am;6:00-22:00", ((0, WEEK),)),
    ],
)
def test_what_is_written(text: str, ranges: tuple[tuple[int, int], ...]) -> None:
    hours = parse_hours(text)
    assert hours.ranges == ranges
    assert hours.always == (ranges == ((0, WEEK),))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "something is missing"),
        ("M-F,", "something is missing"),
        ("M-F,8am-6pm;", "something is missing"),
        ("S,8-9", "must say Sa or Su"),
        ("X-F,8-9", "'X' is none"),
        ("M-,8-9", "'' is none"),
        ("8am-6pm,M", "days before hours"),
        ("M,8am-6", "am or pm at both ends"),
        ("M,8am", "a beginning and an end"),
        ("M,8-8", "0:00-24:00 is a whole day"),
        ("M,24:00-6:00", "0:00-24:00 is a whole day"),
        ("M,25-26", "'25' is none"),
        ("M,13pm-2pm", "'13pm' is none"),
        ("M,0am-2am", "'0am' is none"),
        ("M,24:30-25:00", "'24:30' is none"),
        ("M,8:60-9:00", "'8:60' is none"),
        ("M,8:5-9:00", "such as 8am"),
        ("M,8-9-10", "such as 8am"),
        ("M\u2013F,8-9", "is none"),
    ],
)
def test_what_is_no_hours(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        parse_hours(text)
    assert str(caught.value).startswith("must ")
    assert str(caught.value).isascii()


def at(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


@pytest.mark.parametrize(
    ("when", "covered"),
    [
        ("2026-11-27T07:59:59", False),
        ("2026-11-27T08:00", True),
        ("2026-11-27T17:59:59.9", True),
        ("2026-11-27T18:00", False),
        ("2026-11-28T12:00", False),
        ("2026-07-01T08:00", True),
        ("2026-07-01T07:59", False),
    ],
)
def test_the_clocks_of_the_zone_count(when: str, covered: bool) -> None:
    assert parse_hours("M-F,8am-6pm").cover(at(when), BERLIN) is covered


def test_an_hour_that_is_left_out_and_one_that_comes_twice() -> None:
    """On 29 March 2026 clocks go from 2:00 to 3:00, on 25 October from 3:00 back to 2:00, both Sundays."""
    hours = parse_hours("Su,2:00-3:00")
    spring = datetime(2026, 3, 29, tzinfo=UTC).timestamp()
    autumn = datetime(2026, 10, 25, tzinfo=UTC).timestamp()
    assert [hours.cover(spring + minute * 60, BERLIN) for minute in range(-60, 180)].count(True) == 0
    assert [hours.cover(autumn + minute * 60, BERLIN) for minute in range(-60, 180)].count(True) == 120


def test_the_answer_changes_at_the_minute_that_it_says_all_year() -> None:
    hours = parse_hours("M-F,8am-6pm;Su,2:30-3:30")
    moment, last = at("2026-01-01T00:00"), at("2026-12-31T00:00")
    changes = []
    while (moment := hours.until(moment, BERLIN) or last) < last:
        assert hours.cover(moment, BERLIN) != hours.cover(moment - 1, BERLIN)
        changes.append(moment)
    assert len(changes) == len(set(changes))
    covered = sum(end - start for start, end in pairwise(changes) if hours.cover(start, BERLIN))
    # 52 weeks: of one Sunday the first half hour is left out, and of another one it comes twice.
    assert covered == 52 * (5 * 10 + 1) * 3600 - 1800 + 1800


def test_all_of_it_never_changes() -> None:
    assert parse_hours("all").until(0.0, BERLIN) is None
