"""Times as people type them and as they are shown: of the past, on this machine's clock unless a time says otherwise.

    14:05    14:05:30    2026-11-25 14:05    yesterday 14:05    2026-11-25    now    2026-11-25T13:05:00Z

Rules:

  - A time alone is of today, and a date alone is its first moment. `T` and a blank between the two are the same.
  - RFC 3339 names its offset: `Z`, `+01:00`. Everything else is local time, with the offset of that day.
  - Where clocks are put back, an hour comes twice. The first is meant, and the second where a span ends with it: a
    span is rather too long than too short. Which of the two it was is said.
  - Where clocks are put forward, an hour is not there. The moment at which they were is meant, and that is said.
  - A moment is in whole seconds: a fraction is left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final, NamedTuple

FORMS: Final = "A time is HH:MM or HH:MM:SS of today, one with its date (2026-11-25 14:05), or RFC 3339."

# strftime would take the locale's.
# fmt: off
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)
# fmt: on

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_DATE: Final = r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}|today|yesterday)"
_TIME: Final = r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:[.,][0-9]{1,9})?)?"
_OFFSET: Final = r"(?:z|[+-][0-9]{2}:[0-9]{2})"

_LAST_YEAR: Final = 9998  # a day later there must still be a date


class NotATime(ValueError):
    """What was typed is no time. The message says what it is, in a sentence."""


class Moment(NamedTuple):
    """A time in seconds since 1970. `note` says what was decided where a clock shows it twice or not at all."""

    at: int
    note: str = ""


def joined_words(words: Sequence[str]) -> list[str]:
    """The times in words, where a date and a time of day may be two words: `["2026-11-25", "14:05"]` is one time."""
    times: list[str] = []
    for word in words:
        is_time = re.match(r"[0-9]{1,2}:", word) is not None
        if times and is_time and re.fullmatch(_DATE, times[-1].strip().casefold()):
            times[-1] = f"{times[-1]} {word}"
        else:
            times.append(word)
    return times


def parse_moment(text: str, now: float, *, is_end: bool = False, zone: tzinfo | None = None) -> Moment:
    """The moment that a text means at `now` (seconds since 1970); `is_end`: a span ends with it.

    `zone` None is this machine's. Raises NotATime.
    """
    typed = " ".join(text.split()).casefold()
    if typed == "now":
        return Moment(int(now))
    found = re.fullmatch(rf"(?:({_DATE})(?:[t ](?=[0-9])|$))?(?:{_TIME} ?({_OFFSET})?)?", typed)
    if found is None or not typed:
        raise NotATime(f"{text!r} is no time. {FORMS}" if typed else f"It is empty. {FORMS}")
    day, hour, minute, second, offset = found.groups()
    if offset is not None and (day is None or not day[0].isdigit()):
        raise NotATime(f"{text}: an offset goes with a date, as in 2026-11-25T14:05:00+01:00.")
    try:
        naive = datetime.combine(_day(day, now, zone), _clock(hour, minute, second))
        if second == "60":  # RFC 3339 has leap seconds, clocks have not
            naive += timedelta(seconds=1)
        if not 1970 < naive.year <= _LAST_YEAR:
            raise ValueError("year is out of range")
        if offset is not None:
            return Moment(int((naive - _offset(offset)).replace(tzinfo=UTC).timestamp()))
        return _local(naive, zone, is_end=is_end)
    except (ValueError, OverflowError, OSError) as error:
        raise NotATime(f"{text}: {_reason(error)}. {FORMS}") from None


def _day(typed: str | None, now: float, zone: tzinfo | None) -> date:
    today = datetime.fromtimestamp(now, zone).date()
    if typed in (None, "today"):
        return today
    return today - timedelta(days=1) if typed == "yesterday" else date.fromisoformat(typed or "")


def _clock(hour: str | None, minute: str | None, second: str | None) -> time:
    return time(int(hour or 0), int(minute or 0), min(int(second or 0), 59) if second == "60" else int(second or 0))


def _offset(typed: str) -> timedelta:
    if typed == "z":
        return timedelta()
    hours, minutes = int(typed[1:3]), int(typed[4:6])
    if hours > 23 or minutes > 59:
        raise ValueError("the offset is no offset")
    return (1 if typed[0] == "+" else -1) * timedelta(hours=hours, minutes=minutes)


def _reason(error: Exception) -> str:
    """Python's own reason, where it is one for people: `hour must be in 0..23`."""
    words = str(error)
    return words if re.fullmatch(r"[a-z][a-z0-9 .]+", words) else "there is no such time"


def _local(naive: datetime, zone: tzinfo | None, *, is_end: bool) -> Moment:
    """A local time, which may be there twice or not at all (PEP 495: `fold` tells two readings of a clock apart)."""
    first, second = (int(naive.replace(fold=fold, tzinfo=zone).timestamp()) for fold in (0, 1))
    if first == second:
        return Moment(first)
    shown = f"{naive:%H:%M:%S}"
    where = day_words(naive.date())
    if first < second:
        meant, other = (second, first) if is_end else (first, second)
        order = ("second", "first") if is_end else ("first", "second")
        note = (
            f"{shown} comes twice on {where}, when clocks are put back: the {order[0]} is meant, "
            f"{rfc3339_local(meant, zone)}. Write {rfc3339_local(other, zone)} for the {order[1]}"
        )
        return Moment(meant, note)
    jump = _jump(second, first, zone)
    there = datetime.fromtimestamp(jump, zone)
    note = (
        f"{shown} is not there on {where}, when clocks are put forward: the moment at which they are is meant, "
        f"{there:%H:%M:%S}"
    )
    return Moment(jump, note)


def _jump(before: int, after: int, zone: tzinfo | None) -> int:
    """The moment at which the offset becomes another; it is later than `before`, and no later than `after`."""
    offset = _utc_offset(after, zone)
    while after - before > 1:
        middle = (before + after) // 2
        if _utc_offset(middle, zone) == offset:
            after = middle
        else:
            before = middle
    return after


def _utc_offset(at: float, zone: tzinfo | None) -> timedelta | None:
    return datetime.fromtimestamp(at, UTC).astimezone(zone).utcoffset()


# --- how they are shown


def rfc3339_local(at: float, zone: tzinfo | None = None) -> str:
    """A moment with the offset of its day: `2026-11-25T14:05:00+01:00`."""
    return datetime.fromtimestamp(int(at), UTC).astimezone(zone).isoformat()


def offset_words(at: float, zone: tzinfo | None = None) -> str:
    """The offset at a moment: `+01:00`."""
    return rfc3339_local(at, zone)[19:25]


def day_words(day: date, this_year: int | None = None) -> str:
    """A day: `25 November 2026`, and `25 November` in `this_year`."""
    words = f"{day.day} {_MONTHS[day.month - 1]}"
    return words if day.year == this_year else f"{words} {day.year}"


def moment_words(at: float, now: float, zone: tzinfo | None = None) -> str:
    """A moment in a sentence: `25 November at 14:05:00 (+01:00)`; with its year where that is not this one."""
    there = datetime.fromtimestamp(int(at), UTC).astimezone(zone)
    this_year = datetime.fromtimestamp(now, UTC).astimezone(zone).year
    return f"{day_words(there.date(), this_year)} at {there:%H:%M:%S} ({offset_words(at, zone)})"


def clock_words(at: float, beside: float, zone: tzinfo | None = None) -> str:
    """A moment in a column: `14:05:00` on the day of `beside`, else with its date: `2026-11-24 14:05:00`."""
    there = datetime.fromtimestamp(int(at), UTC).astimezone(zone)
    same_day = datetime.fromtimestamp(int(beside), UTC).astimezone(zone).date() == there.date()
    return f"{there:%H:%M:%S}" if same_day else f"{there:%Y-%m-%d %H:%M:%S}"


def soon_words(at: float, now: float, zone: tzinfo | None = None) -> str:
    """A moment to come, in a narrow column: `at 14:05` of the day of `now`, `Sat 00:05` of the six days after it, else
    its day, `2026-12-24`; `-` where no calendar has it."""
    try:
        there = datetime.fromtimestamp(at, UTC).astimezone(zone)
    except (OverflowError, ValueError, OSError):
        return "-"
    days = (there.date() - datetime.fromtimestamp(now, UTC).astimezone(zone).date()).days
    if days == 0:
        return f"at {there:%H:%M}"
    return f"{_DAYS[there.weekday()]} {there:%H:%M}" if 0 < days < 7 else f"{there:%Y-%m-%d}"
