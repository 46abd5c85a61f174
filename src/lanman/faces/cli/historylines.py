"""What history answers, as text: who was there, from when and until when, and what of it is not known.

Rules:

  - What a peer said is escaped. What is cut ends in `...`; a path is never cut.
  - A moment that is known to some seconds is shown with them: `09:31:05 ±5 s`. One that lies in a longer time is shown
    as that time. A day is shown where it is another one than that which was asked for.
  - Where a line would be wider than the terminal, what is longest stands on a line of its own below.
  - That something is missing is said above the answer, and never below it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Final

from lanman.faces.cli import output
from lanman.faces.moments import clock_words, moment_words
from lanman.faces.text import OWNER_UNKNOWN, duration, escape, shorten, shorten_client, width
from lanman.manage.history.forms import writes
from lanman.manage.history.records import UNKNOWN_END, Answer, GapRecord, GapWhy, Stats, Stay, Watched
from lanman.manage.watching.changes import VANISHED
from lanman.manage.watching.clients import owner_unknown
from lanman.manage.watching.keys import How
from lanman.manage.watching.rows import Kind
from lanman.names import unc_client
from lanman.plain import dataclass

NEAR: Final = 600
"""How many seconds around a moment are looked at for gaps."""

_FEW_SECONDS: Final = 120
_MAX_CANDIDATES: Final = 3

# How narrow the columns of users and clients may become.
_LEAST_USER: Final = 8
_LEAST_CLIENT: Final = 12
_INDENT: Final = "  "

SESSION: Final = "(session)"
"""What stands in the place of a path about a session, where there is room for both in a line."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for: a moment (`since` and `until` are equal) or a time, at `now`. None is no bound."""

    since: int | None
    until: int | None
    now: float

    @property
    def day(self) -> float:
        """A moment of the day that is not named in columns."""
        return self.now if self.until is None else self.until


# --- the moment and the time that was asked for


def heading_of_moment(asked: Asked, answer: Answer, near: Sequence[GapRecord]) -> Iterator[str]:
    """`On 25 November at 14:05:00 (+01:00), watched every 5 s, no gap within 10 minutes:`. `near` are the gaps within
    that time."""
    assert asked.until is not None
    when = f"On {moment_words(asked.until, asked.now)}"
    said = [
        _watched_words(each, asked.until, [gap for gap in near if gap.server == each.server]) for each in answer.watched
    ]
    if len(said) == 1 and not answer.gaps:
        yield f"{when}, {said[0]}:"
        return
    yield f"{when}:"
    for watched, words in zip(answer.watched, said, strict=True):
        if not any(gap.server == watched.server for gap in answer.gaps):
            yield f"{_INDENT}{escape(watched.server)}: {words}"
    yield from gap_warnings(answer.gaps, asked)


def _watched_words(watched: Watched, at: int, near: Sequence[GapRecord]) -> str:
    how = "told by the server itself" if watched.every is None else f"watched every {watched.every} s"
    if not near:
        return f"{how}, no gap within {NEAR // 60} minutes"
    ends = [end for gap in near for end in (gap.begun_at, gap.ended_at) if end is not None]
    away = min((abs(at - end) for end in ends), default=0)
    if near[0].why is GapWhy.NOT_KEPT and len(near) == 1:
        return f"{how}, for {duration(away)} by then"
    return f"{how}, a gap {duration(away)} away"


def heading_of_time(asked: Asked, answer: Answer) -> Iterator[str]:
    """`From 25 November at 14:00:00 (+01:00) to ...:`, and what is missing of it."""
    since = "the beginning" if asked.since is None else moment_words(asked.since, asked.now)
    until = "now" if asked.until is None else moment_words(asked.until, asked.now)
    yield f"From {since} to {until}:"
    yield from gap_warnings(answer.gaps, asked)


def gap_warnings(gaps: Sequence[GapRecord], asked: Asked, *, most: int = 10) -> Iterator[str]:
    """The sentences that say what is missing; none where nothing is."""
    for gap in gaps[:most]:
        yield f"{_INDENT}NOT SEEN: {gap_words(gap, asked)}"
    if len(gaps) > most:
        yield f"{_INDENT}NOT SEEN: {len(gaps) - most:,} more gaps; `lanman history gaps` lists them"
    if gaps:
        yield f"{_INDENT}This answer is not complete."


def gap_words(gap: GapRecord, asked: Asked) -> str:
    """A gap in words: `fs1 from 14:01:05 to 14:06:00: server away (error 121)`."""
    since = "" if gap.begun_at is None else f" from {clock_words(gap.begun_at, asked.day)}"
    until = "" if gap.ended_at is None else f" to {clock_words(gap.ended_at, asked.day)}"
    if gap.begun_at is None:
        until = f" before {clock_words(gap.ended_at, asked.day)}" if gap.ended_at is not None else ""
    detail = f" ({gap.detail})" if gap.detail else ""
    still = "" if gap.ended_at is not None else " until now"
    return escape(f"{gap.server}{since}{until}{still}: {gap.why.value}{detail}")


def closing(answer: Answer, *, files: bool) -> Iterator[str]:
    """What no answer of history tells."""
    every = max((each.every or 0 for each in answer.watched), default=0)
    what = "Opens" if files else "Sessions"
    if every:
        yield f"{what} shorter than {every} s are not seen."
    if files:
        yield "What they did with it is not known: that is an audit log's matter."


def wrapped(line: str) -> list[str]:
    """A sentence as a terminal shows it without breaking words; what follows the first line is indented further."""
    columns = output.terminal_columns()
    if columns is None or columns < 40 or width(line) < columns:
        return [line]
    from textwrap import wrap

    indent = line[: len(line) - len(line.lstrip())]
    return wrap(line, columns - 1, subsequent_indent=indent + _INDENT, break_on_hyphens=False, break_long_words=False)


# --- stays


def stay_lines(stays: Sequence[Stay], asked: Asked, *, paths: bool = True, servers: bool = False) -> Iterator[str]:
    """A table of stays. `paths`: their files differ, or some are sessions; `servers`: their servers do."""
    rows = [_cells(stay, asked) for stay in stays]
    available = output.terminal_columns()
    head = _Cells("SERVER", "USER", "CLIENT", "FROM", "UNTIL", "", "ACCESS", "FILE")
    files = any(stay.kind is Kind.FILE for stay in stays)
    shape = _shape([head, *rows], available, servers=servers, access=files, paths=paths and files)
    yield shape.line(head)
    for cells in rows:
        yield from shape.lines(cells)


@dataclass(frozen=True, slots=True)
class _Cells:
    """What stands in the columns about one stay, escaped. `why` it ended belongs behind `until`."""

    server: str
    user: str
    client: str
    since: str
    until: str
    why: str
    access: str
    path: str


def _cells(stay: Stay, asked: Asked) -> _Cells:
    is_file = stay.kind is Kind.FILE
    path = escape(stay.path or "(path not recorded)") if is_file else SESSION
    if stay.ended_at is None:
        until, why = "still there", ""
    else:
        until, why = _moment(stay.ended_at - stay.ended_slack, stay.ended_slack, asked, shown=stay.ended_at), _why(stay)
    if stay.why == UNKNOWN_END and stay.ended_by is None and stay.ended_at is not None:
        until, why = f"seen until {clock_words(stay.ended_at, asked.day)}", ""
    return _Cells(
        escape(stay.server),
        "-"
        if stay.user_name is None
        else escape(stay.user_name or (OWNER_UNKNOWN if _may_be_kept(stay) else "nobody")),
        _client(stay),
        _since(stay, asked),
        until,
        why,
        access_word(stay),
        path,
    )


def _may_be_kept(stay: Stay) -> bool:
    """Whether it is a file that nobody may have had open (`lanman.manage.watching.clients`)."""
    return stay.kind is Kind.FILE and owner_unknown(stay.user_name, stay.path, None)


def access_word(stay: Stay) -> str:
    """`READ`, `WRITE`, `-` where that is not known; nothing for a session."""
    if stay.kind is not Kind.FILE:
        return ""
    return {None: "-", True: "WRITE", False: "READ"}[writes(stay)]


def _client(stay: Stay) -> str:
    if stay.client_how is How.CANDIDATES and stay.candidates:
        named = [escape(name.lstrip("\\")) for name in stay.candidates[:_MAX_CANDIDATES]]
        more = len(stay.candidates) - len(named)
        return "|".join([*named, f"{more} more"] if more else named)
    return "-" if not stay.client_name else escape(unc_client(stay.client_name))


def _since(stay: Stay, asked: Asked) -> str:
    if stay.begun_how is How.UNKNOWN:
        return f"before {clock_words(stay.begun_at + stay.begun_slack, asked.day)}"
    if stay.begun_how is How.TOLD and 0 < stay.begun_slack <= _FEW_SECONDS:
        # An age in whole seconds: it began a little earlier or later than that says.
        half = stay.begun_slack // 2
        return f"{clock_words(stay.begun_at + half, asked.day)} {_plus_minus()}{stay.begun_slack - half} s"
    return _moment(stay.begun_at, stay.begun_slack, asked, shown=stay.begun_at + stay.begun_slack)


def _moment(first: int, slack: int, asked: Asked, *, shown: int) -> str:
    """A moment from `first` to `first + slack`; where that is short, `shown` with it: the look that has seen it."""
    if slack <= 0:
        return clock_words(shown, asked.day)
    if slack <= _FEW_SECONDS:
        return f"{clock_words(shown, asked.day)} {_plus_minus()}{slack} s"
    return f"{clock_words(first, asked.day)} to {clock_words(first + slack, first)}"


def _plus_minus() -> str:
    return "\u00b1" if output.can_write("\u00b1", sys.stdout) else "+-"


def _why(stay: Stay) -> str:
    """Why it ended: by whom, or what the server said; nothing where it was only seen to be gone."""
    deed = stay.ended_by
    if deed is not None:
        if deed.verb == "close":
            return f"closed by {escape(deed.who)}"
        return f"ended by {escape(deed.who)}" + ("" if deed.verb == "end" else f" ({escape(deed.verb)})")
    return "" if stay.why in (None, VANISHED) else escape(stay.why or "")


@dataclass(frozen=True, slots=True)
class _Shape:
    """How wide the columns are, and which of them have lines of their own."""

    server: int
    user: int
    client: int
    since: int
    until: int
    access: int
    path_below: bool
    why_below: bool
    paths: bool

    def line(self, cells: _Cells) -> str:
        """The line with all columns that have no line of their own."""
        parts = [
            (cells.server, self.server),
            (shorten(cells.user, self.user) if self.user < width(cells.user) else cells.user, self.user),
            (shorten_client(cells.client, self.client), self.client),
            (cells.since, self.since),
            (self._until(cells), self.until),
            (cells.access, self.access),
        ]
        line = "".join(f"{_INDENT}{_padded(text, columns)}" for text, columns in parts if columns)
        return (line if self.path_below or not self.paths else f"{line}{_INDENT}{cells.path}").rstrip()

    def lines(self, cells: _Cells) -> Iterator[str]:
        """All lines about one stay."""
        yield self.line(cells)
        indent = _INDENT * 3
        if self.why_below and cells.why:
            yield f"{indent}{cells.why}"
        if self.path_below and self.paths and cells.path != SESSION:
            yield f"{indent}{cells.path}"

    def _until(self, cells: _Cells) -> str:
        return cells.until if self.why_below else f"{cells.until} {cells.why}".rstrip()


def _shape(rows: Sequence[_Cells], available: int | None, *, servers: bool, access: bool, paths: bool) -> _Shape:
    """The widest columns that the terminal has room for."""

    def widest(texts: Sequence[str]) -> int:
        return max(map(width, texts))

    server = widest([row.server for row in rows]) if servers else 0
    user, client = widest([row.user for row in rows]), widest([row.client for row in rows])
    since = widest([row.since for row in rows])
    until, bare = widest([f"{row.until} {row.why}".rstrip() for row in rows]), widest([row.until for row in rows])
    kind = len("ACCESS") if access else 0
    path = widest([row.path for row in rows]) if paths else 0
    if available is None:
        return _Shape(server, user, client, since, until, kind, False, False, paths)
    fixed = sum(columns + len(_INDENT) for columns in (server, since, kind) if columns) + 2 * len(_INDENT)
    if fixed + user + client + until + path + 2 * len(_INDENT) < available:
        return _Shape(server, user, client, since, until, kind, False, False, paths)
    # The longest go below: first the path, then why it ended. Then names are cut.
    why_below = fixed + user + client + until + len(_INDENT) >= available
    room = available - 1 - fixed - (bare if why_below else until) - len(_INDENT)
    user = min(user, max(_LEAST_USER, room // 2, room - client))
    client = min(client, max(_LEAST_CLIENT, room - user))
    return _Shape(server, user, client, since, bare if why_below else until, kind, True, why_below, paths)


def _padded(text: str, columns: int) -> str:
    return text + " " * (columns - width(text))


# --- gaps, and what there is


def gap_lines(gaps: Sequence[GapRecord], asked: Asked) -> Iterator[str]:
    """A line for each gap."""
    for gap in gaps:
        yield f"{_INDENT}{gap_words(gap, asked)}"


def stats_lines(stats: Stats, now: float) -> Iterator[str]:
    """What a database holds."""
    pairs = [
        ("Database", stats.url),
        ("Size", f"{stats.size:,} bytes"),
        ("From", "-" if stats.oldest_at is None else moment_words(stats.oldest_at, now)),
        ("Until", "-" if stats.newest_at is None else moment_words(stats.newest_at, now)),
        ("Sessions and open files", f"{stats.stays:,} ({stats.open_stays:,} still there)"),
        ("Users and clients", f"{stats.persons:,}"),
        ("Paths", f"{stats.paths:,}"),
        ("Gaps", f"{stats.gaps:,}"),
        ("Deeds", f"{stats.deeds:,}"),
    ]
    yield from (f"{label:<28}{escape(value)}" for label, value in pairs)
    for watched in stats.watched:
        how = "told by the server itself" if watched.every is None else f"asked every {watched.every} s"
        paths = "" if watched.paths else ", without paths"
        seen = f"from {moment_words(watched.since, now)} to {moment_words(watched.seen_at, now)}"
        yield f"{'Server ' + escape(watched.server):<27} {seen}, {how}{paths}"
    for holder in stats.holders:
        yield f"{'Running: ' + escape(holder.role):<27} {escape(str(holder))}"
