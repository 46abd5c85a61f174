"""Times as people type them. The clocks are those of named zones; what they do comes from the IANA database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman.faces.moments import (
    NotATime,
    clock_words,
    joined_words,
    moment_words,
    parse_moment,
    rfc3339_local,
    soon_words,
)

BERLIN = ZoneInfo("Europe/Berlin")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # puts its clocks by half an hour
APIA = ZoneInfo("Pacific/Apia")  # had no 30 December 2011
NOW = datetime(2026, 11, 25, 18, 30, 15, tzinfo=BERLIN).timestamp()


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("14:05", "2026-11-25T13:05:00"),
        ("9:05", "2026-11-25T08:05:00"),
        ("14:05:30", "2026-11-25T13:05:30"),
        ("14:05:30.999", "2026-11-25T13:05:30"),
        ("  14:05 ", "2026-11-25T13:05:00"),
        ("00:00", "2026-11-24T23:00:00"),
        ("2026-11-24 14:05", "2026-11-24T13:05:00"),
        ("2026-11-24T14:05", "2026-11-24T13:05:00"),
        ("2026-11-24t14:05:06", "2026-11-24T13:05:06"),
        ("2026-07-24 14:05", "2026-07-24T12:05:00"),  # summer time
        ("2026-11-24", "2026-11-23T23:00:00"),
        ("yesterday 14:05", "2026-11-24T13:05:00"),
        ("Yesterday", "2026-11-23T23:00:00"),
        ("today 14:05", "2026-11-25T13:05:00"),
        ("now", "2026-11-25T17:30:15"),
        # RFC 3339, its examples among them
        ("1985-04-12T23:20:50.52Z", "1985-04-12T23:20:50"),
        ("1996-12-19T16:39:57-08:00", "1996-12-20T00:39:57"),
        ("1990-12-31T23:59:60Z", "1991-01-01T00:00:00"),
        ("2026-11-25T14:05:00+01:00", "2026-11-25T13:05:00"),
        ("2026-11-25 14:05:00z", "2026-11-25T14:05:00"),
        ("2026-11-25T14:05:00-00:00", "2026-11-25T14:05:00"),
        ("2026-11-25T00:05:00+05:45", "2026-11-24T18:20:00"),
        ("2024-02-29", "2024-02-28T23:00:00"),
    ],
)
def test_forms(typed: str, meant: str) -> None:
    assert parse_moment(typed, NOW, zone=BERLIN) == (utc(meant), "")


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "It is empty."),
        ("  ", "It is empty."),
        ("noon", "'noon' is no time."),
        ("14", "is no time"),
        ("14:5", "is no time"),
        ("14:05:", "is no time"),
        ("14:05 pm", "is no time"),
        ("25.11.2026 14:05", "is no time"),
        ("2026-11-25T", "is no time"),
        ("2026-11-25x14:05", "is no time"),
        ("2026-11-2514:05", "is no time"),
        ("-14:05", "is no time"),
        ("14:05Z", "an offset goes with a date"),
        ("yesterday 14:05+01:00", "an offset goes with a date"),
        ("24:00", "hour must be in 0..23"),
        ("14:60", "minute must be in 0..59"),
        ("14:05:61", "second must be in 0..59"),
        ("2026-02-29", "day is out of range for month"),
        ("2026-13-01", "month must be in 1..12"),
        ("0001-01-01 00:00", "year is out of range"),
        ("1969-12-31T23:59:59Z", "year is out of range"),
        ("9999-12-31 23:59", "year is out of range"),
        ("2026-11-25T14:05:00+24:00", "the offset is no offset"),
        ("2026-11-25T14:05:00+01:60", "the offset is no offset"),
        ("\u0661\u0664:\u0660\u0665", "is no time"),
        ("14:05\x00", "is no time"),
    ],
)
def test_what_is_no_time_is_named_with_the_forms_that_are(typed: str, words: str) -> None:
    with pytest.raises(NotATime) as raised:
        parse_moment(typed, NOW, zone=BERLIN)
    assert words in str(raised.value)
    assert "HH:MM" in str(raised.value) or "2026-11-25T14:05:00+01:00" in str(raised.value)


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_is_refused(typed: str) -> None:
    try:
        moment = parse_moment(typed, NOW, zone=BERLIN)
    except NotATime:
        return
    assert moment.at >= 0


# --- when clocks are put back, and forward


def test_an_hour_that_comes_twice() -> None:
    first = parse_moment("2026-10-25 02:30", NOW, zone=BERLIN)
    assert first.at == utc("2026-10-25T00:30:00")
    assert first.note == (
        "02:30:00 comes twice on 25 October 2026, when clocks are put back: the first is meant, "
        "2026-10-25T02:30:00+02:00. Write 2026-10-25T02:30:00+01:00 for the second"
    )
    # What is offered for the other one means the other one.
    assert parse_moment("2026-10-25T02:30:00+01:00", NOW, zone=BERLIN) == (utc("2026-10-25T01:30:00"), "")
    # A span is rather too long than too short.
    last = parse_moment("2026-10-25 02:30", NOW, is_end=True, zone=BERLIN)
    assert last.at == utc("2026-10-25T01:30:00")
    assert "the second is meant, 2026-10-25T02:30:00+01:00" in last.note


@pytest.mark.parametrize("typed", ["2026-10-25 01:59:59", "2026-10-25 03:00", "2026-10-25"])
def test_beside_that_hour_nothing_is_decided(typed: str) -> None:
    assert parse_moment(typed, NOW, zone=BERLIN).note == ""


@pytest.mark.parametrize("is_end", [False, True])
@pytest.mark.parametrize("typed", ["02:00", "02:30", "02:59:59"])
def test_an_hour_that_is_not_there(typed: str, is_end: bool) -> None:
    moment = parse_moment(f"2026-03-29 {typed}", NOW, is_end=is_end, zone=BERLIN)
    assert moment.at == utc("2026-03-29T01:00:00")
    assert "is not there on 29 March 2026" in moment.note
    assert moment.note.endswith("is meant, 03:00:00")


def test_clocks_that_are_put_by_half_an_hour_and_by_a_day() -> None:
    assert parse_moment("2026-10-04 02:15", NOW, zone=LORD_HOWE).at == utc("2026-10-03T15:30:00")
    assert parse_moment("2026-10-04 02:30", NOW, zone=LORD_HOWE) == (utc("2026-10-03T15:30:00"), "")
    twice = parse_moment("2026-04-05 01:45", NOW, zone=LORD_HOWE)
    assert (twice.at, "comes twice" in twice.note) == (utc("2026-04-04T14:45:00"), True)
    assert parse_moment("2011-12-30 12:00", NOW, zone=APIA).at == utc("2011-12-30T10:00:00")


def test_today_is_that_of_the_clock_and_not_of_greenwich() -> None:
    late = datetime(2026, 11, 25, 0, 10, tzinfo=BERLIN).timestamp()
    assert parse_moment("00:05", late, zone=BERLIN).at == utc("2026-11-24T23:05:00")
    assert parse_moment("yesterday 23:00", late, zone=BERLIN).at == utc("2026-11-24T22:00:00")
    # On the day on which clocks are put back, today has the new offset by evening, and had the old one before.
    evening = datetime(2026, 10, 25, 20, 0, tzinfo=BERLIN).timestamp()
    assert parse_moment("01:00", evening, zone=BERLIN).at == utc("2026-10-24T23:00:00")
    assert parse_moment("04:00", evening, zone=BERLIN).at == utc("2026-10-25T03:00:00")


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2037, 12, 31)),
    st.sampled_from([BERLIN, LORD_HOWE, APIA, ZoneInfo("America/New_York"), ZoneInfo("Asia/Kathmandu")]),
)
def test_what_is_shown_is_what_was_typed(naive: datetime, zone: ZoneInfo) -> None:
    naive = naive.replace(microsecond=0)
    moment = parse_moment(f"{naive:%Y-%m-%d %H:%M:%S}", NOW, zone=zone)
    shown = datetime.fromtimestamp(moment.at, zone).replace(tzinfo=None, fold=0)
    if "is not there" in moment.note:
        assert shown > naive
        assert datetime.fromtimestamp(moment.at - 1, zone).replace(tzinfo=None) < naive
    else:
        assert shown == naive
    assert parse_moment(rfc3339_local(moment.at, zone), NOW, zone=zone) == (moment.at, "")


@pytest.fixture
def machine_in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if not hasattr(time, "tzset"):
        pytest.skip("only on systems whose zone a process can set")
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("machine_in_berlin")
@pytest.mark.parametrize("is_end", [False, True])
@pytest.mark.parametrize(
    "typed", ["14:05", "2026-07-01 00:00", "2026-10-25 02:30", "2026-03-29 02:30", "2026-11-25", "yesterday 3:00"]
)
def test_this_machines_clock(typed: str, is_end: bool) -> None:
    named = parse_moment(typed, NOW, is_end=is_end, zone=BERLIN)
    assert parse_moment(typed, NOW, is_end=is_end) == named
    assert rfc3339_local(named.at) == rfc3339_local(named.at, BERLIN)


# --- words


@pytest.mark.parametrize(
    ("words", "times"),
    [
        ("14:05", ["14:05"]),
        ("14:05 15:00", ["14:05", "15:00"]),
        ("2026-11-25 14:05", ["2026-11-25 14:05"]),
        ("2026-11-25 14:05 15:00", ["2026-11-25 14:05", "15:00"]),
        ("2026-11-25 14:05 2026-11-26 9:00", ["2026-11-25 14:05", "2026-11-26 9:00"]),
        ("2026-11-25 2026-11-26", ["2026-11-25", "2026-11-26"]),
        ("yesterday 14:05 now", ["yesterday 14:05", "now"]),
        ("2026-11-25T14:05 15:00", ["2026-11-25T14:05", "15:00"]),
        ("noon", ["noon"]),
        ("", []),
    ],
)
def test_a_date_and_a_time_may_be_two_words(words: str, times: list[str]) -> None:
    assert joined_words(words.split()) == times


def test_how_moments_are_shown() -> None:
    at = utc("2026-11-25T13:05:00")
    assert moment_words(at, NOW, BERLIN) == "25 November at 14:05:00 (+01:00)"
    assert moment_words(utc("2025-06-01T00:00:01"), NOW, BERLIN) == "1 June 2025 at 02:00:01 (+02:00)"
    assert clock_words(at, at, BERLIN) == "14:05:00"
    assert clock_words(at, at + timedelta(days=1).total_seconds(), BERLIN) == "2026-11-25 14:05:00"


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        ("2026-11-25T22:59:59", "at 23:59"),
        ("2026-11-25T23:00:00", "Thu 00:00"),
        ("2026-12-01T22:59:00", "Tue 23:59"),
        ("2026-12-01T23:00:00", "2026-12-02"),
        ("2026-11-24T22:59:59", "2026-11-24"),
    ],
)
def test_a_moment_to_come_is_short(at: str, shown: str) -> None:
    assert soon_words(utc(at), utc("2026-11-25T13:05:00"), BERLIN) == shown


def test_a_moment_that_no_calendar_has_is_unknown() -> None:
    assert soon_words(1e30, 0.0) == "-"
