"""Hours of the week as NET USER /TIMES has them: `M-F,8am-6pm`, `M,W,8:00-12:00,13:00-17:00;Sa,9-12`, `all`.

    times = "all" | entry *( ";" entry )
    entry = ( days | hours | days "," hours )        items of each parted by commas; days stand first
    day   = a day of the week, spelled out or as far as it is told from others; T is Tuesday, Th Thursday
    hour  = 8, 08:30, 24:00, or with am and pm: 8am, 8:30 p.m.; 12am is midnight, 12pm noon

Rules:

  - Days without hours are whole days; hours without days are those of every day.
  - A range of days may go over the end of the week (`Sa-M`), one of hours over midnight (`10pm-6am`): it belongs to the
    day on which it begins, so `F,10pm-6am` ends on Saturday morning.
  - NET has whole hours alone; here there are minutes too. A range is from its beginning up to, and without, its end.
  - What NET would guess is an error: am or pm at one end alone, an hour without an end, the letter S.
  - A week is one of clocks on the wall: at each moment counts what they show. An hour that they show twice counts
    twice, and one that they leave out not at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Final

from lanman.plain import dataclass

DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_DAY: Final = 24 * 60
_WEEK: Final = 7 * _DAY

_TIME: Final = re.compile(r"(\d{1,2})(?::(\d{2}))?\s*(?:([ap])\.?m\.?)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Hours:
    """Parts of a week. `ranges` are in minutes since Monday 0:00, in order, apart from each other; `text` is as it was
    written."""

    ranges: tuple[tuple[int, int], ...]
    text: str

    @property
    def always(self) -> bool:
        """Whether the whole week is in it."""
        return self.ranges == ((0, _WEEK),)

    def cover(self, at: float, zone: tzinfo) -> bool:
        """Whether a time, in seconds since 1970, is in it by the clocks of a zone."""
        shown = datetime.fromtimestamp(at, UTC).astimezone(zone)
        minute = shown.weekday() * _DAY + shown.hour * 60 + shown.minute
        return any(start <= minute < end for start, end in self.ranges)

    def until(self, at: float, zone: tzinfo) -> float | None:
        """When what `cover` says of a time changes, in seconds since 1970; None where it never does. Takes up to ten
        thousand steps."""
        now = self.cover(at, zone)
        minute = (int(at) // 60 + 1) * 60
        # A week, and an hour that is shown twice.
        return next(
            (each for each in range(minute, minute + (_WEEK + 120) * 60, 60) if self.cover(each, zone) != now), None
        )


def parse_hours(text: str) -> Hours:
    """The hours that a text has. Raises ValueError with a sentence that follows the name of what has them."""
    if text.strip().casefold() == "all":
        return Hours(((0, _WEEK),), text)
    ranges: list[tuple[int, int]] = []
    for entry in text.split(";"):
        ranges += _entry([item.strip() for item in entry.split(",")], text)
    return Hours(_joined(ranges), text)


def _entry(items: Sequence[str], text: str) -> Iterator[tuple[int, int]]:
    days: list[int] = []
    hours: list[tuple[int, int]] = []
    for item in items:
        if not item:
            raise ValueError(f'must be hours such as "M-F,8am-6pm"; in {text!a} something is missing')
        if item[0].isdigit():
            hours.append(_range(item))
        elif hours:
            raise ValueError(f"must have days before hours, and {item!a} stands behind some: begin a new part with ;")
        else:
            days += _days(item)
    for day in days or range(7):
        for start, end in hours or [(0, _DAY)]:
            yield day * _DAY + start, day * _DAY + end


def _days(item: str) -> list[int]:
    first, dash, last = item.partition("-")
    start = _day(first.strip())
    end = _day(last.strip()) if dash else start
    return [day % 7 for day in range(start, end + (1 if end >= start else 8))]


def _day(word: str) -> int:
    folded = word.casefold().rstrip(".")
    if folded == "t":
        return 1
    found = [number for number, name in enumerate(DAYS) if folded and name.casefold().startswith(folded)]
    if len(found) == 1:
        return found[0]
    if folded == "s":
        raise ValueError("must say Sa or Su: S is Saturday and Sunday")
    raise ValueError(f"must have days M, T, W, Th, F, Sa, Su, or spelled out; {word!a} is none")


def _range(item: str) -> tuple[int, int]:
    first, dash, last = item.partition("-")
    if not dash:
        raise ValueError(f"must have a beginning and an end for hours, such as 8am-6pm; {item!a} has one of them")
    (start, half), (end, other) = _minute(first.strip(), item), _minute(last.strip(), item)
    if half != other:
        raise ValueError(f"must have am or pm at both ends or at none, and {item!a} has it at one")
    if start in (_DAY, end):
        raise ValueError(f"must have hours that end after they begin; {item!a} does not, and 0:00-24:00 is a whole day")
    return start, end if end > start else end + _DAY


def _minute(word: str, item: str) -> tuple[int, bool]:
    """The minute of the day, and whether it was said with am or pm."""
    found = _TIME.fullmatch(word)
    if found is None:
        raise ValueError(f"must have hours such as 8am, 6:30pm, 8:00 or 18:30; {item!a} has none")
    hour, minute, half = int(found[1]), int(found[2] or 0), (found[3] or "").casefold()
    most = 12 if half else 24
    if hour > most or minute > 59 or (half and hour == 0) or (hour == 24 and minute):
        raise ValueError(f"must have hours of a day; {word!a} is none")
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    return hour * 60 + minute, bool(half)


def _joined(ranges: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The same minutes in order, within the week, those that touch as one."""
    cut: list[tuple[int, int]] = []
    for start, end in ranges:
        cut.append((start, min(end, _WEEK)))
        if end > _WEEK:
            cut.append((0, end - _WEEK))
    joined: list[tuple[int, int]] = []
    for start, end in sorted(cut):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)
