"""One server as the exporter knows it: the last picture, what has been counted since the start, and its series.

Pure: updates, answers and the time are arguments. The rules:

  - Everything comes from the last look; the time has a say in its age alone. So idle times are those of that look.
  - A server that does not answer keeps the figures of the last look for `KEPT` seconds, as long as Prometheus itself
    looks back, and then has none but `lanman_up`, `lanman_poll_age_seconds` and what was counted here.
  - What was counted here (opened, closed) goes on from the start of the exporter, whatever becomes of the server.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from lanman.manage.metrics import table
from lanman.manage.metrics.figures import Figures, Top, counted, label
from lanman.manage.metrics.table import BOUNDS, MAX_TOP, Metric, Why
from lanman.manage.watching.changes import RESTARTED, VANISHED, What
from lanman.manage.watching.rows import Kind, SessionRow

if TYPE_CHECKING:
    from lanman.manage.watching.changes import Picture, Update
    from lanman.records import PortionDetails, Statistics

KEPT: Final = 300.0
"""How long the figures of a server that does not answer are kept, in seconds: Prometheus' own look-back."""

_LE: Final = (*(f"{bound}.0" for bound in BOUNDS), "+Inf")

Sample = tuple[Metric, tuple[str, ...], float]
"""A metric, the values of its labels in their order, and its value."""


class Answers(NamedTuple):
    """What a server is asked for beyond its lists; None for what it does not tell.

    `limit` is how many sessions it admits, `portions` what its users share.
    """

    limit: int | None = None
    statistics: Statistics | None = None
    portions: Sequence[PortionDetails] = ()


class Watched:
    """A server. `name` is its label, and `top` how many names of users and clients have series, 0 for none."""

    def __init__(self, name: str, picture: Picture, top: int = 0) -> None:
        if not 0 <= top <= MAX_TOP:
            raise ValueError(f"names of 0 to {MAX_TOP} users and clients, not {top}")
        self.name = name
        self.picture = picture
        self.answers = Answers()
        self._top = top
        self._opened = 0
        self._closed: Counter[Why] = Counter()
        self._reasons: set[Why] = set()
        self._listed = False
        self._tells_idle = False
        self._figures = Figures()
        self._current = True

    def take(self, update: Update) -> None:
        """Take in what was seen."""
        picture = update.picture
        if picture.asked_at is None:
            return
        if picture.error is None:
            self._current = False
            self._listed |= Kind.SESSION in picture.kinds and Kind.SESSION not in picture.refused
            self._reasons |= set(Why) if picture.streamed else {Why.VANISHED}
        for change in update.changes:
            if isinstance(change.row, SessionRow):
                if change.what is What.OPENED:
                    self._opened += 1
                elif change.what is What.CLOSED:
                    why = why_of(change.why)
                    self._closed[why] += 1
                    self._reasons.add(why)

    def brought_up_to_date(self) -> Generator[None, None, None]:
        """Work out the figures of the last picture, in steps, where that was not done."""
        if self._current:
            return
        self._current = True
        figures = yield from counted(self.picture, self._top)
        if figures.sessions:
            self._tells_idle = figures.idle is not None
        elif not (self._tells_idle or self.picture.streamed):
            # Where nobody is there, nobody knows whether it would tell.
            figures = figures._replace(idle=None)
        self._figures = figures

    def samples(self, now: float) -> Iterator[Sample]:
        """Its series at a time (seconds since 1970), metric by metric; after `brought_up_to_date`."""
        picture, age = self.picture, self.picture.age(now)
        is_up = picture.error is None and age is not None
        yield self._one(table.UP, float(is_up))
        if age is not None:
            yield self._one(table.POLL_AGE, age)
        if is_up or (age is not None and age <= KEPT):
            yield from self._last()
        if self._listed:
            yield self._one(table.OPENED, self._opened)
            for why in Why:
                if why in self._reasons:
                    yield table.CLOSED, (self.name, why.value), self._closed[why]

    def _one(self, metric: Metric, value: float) -> Sample:
        return metric, (self.name,), value

    def _last(self) -> Iterator[Sample]:
        """What the last look has told."""
        picture, figures, (limit, statistics, portions) = self.picture, self._figures, self.answers
        single = {
            table.POLL_DURATION: None if picture.streamed else picture.duration,
            table.LEVEL: None if figures.sessions is None else picture.level,
            table.SESSIONS: figures.sessions,
            table.SESSION_LIMIT: limit,
            table.USERS: figures.users,
            table.CLIENTS: figures.clients,
            table.FILE_LOCKS: figures.locks,
            table.CONNECTIONS: figures.connections,
            table.KEPT_FILES: figures.kept,
        }
        for metric, value in single.items():
            if value is not None:
                yield self._one(metric, value)
        for access, number in (("read", figures.read), ("write", figures.write)):
            if number is not None:
                yield table.OPEN_FILES, (self.name, access), number
        for metric, buckets in ((table.SESSION_IDLE, figures.idle), (table.SESSION_AGE, figures.age)):
            for le, number in zip(_LE, buckets or (), strict=False):
                yield metric, (self.name, le), number
        yield from self._bounded(figures)
        if statistics is not None:
            yield from self._statistics(statistics)
        yield from self._portions(portions[: table.MAX_PORTIONS])

    def _bounded(self, figures: Figures) -> Iterator[Sample]:
        tops: tuple[Top | None, ...] = (
            figures.shares,
            figures.user_sessions,
            figures.user_files,
            figures.client_sessions,
        )
        for metric, top in zip(table.BOUNDED, tops, strict=True):
            if top is not None:
                for name, number in top.entries:
                    yield metric, (self.name, name), number
                yield table.TRUNCATED, (self.name, metric.name), top.left_out

    def _portions(self, portions: Sequence[PortionDetails]) -> Iterator[Sample]:
        for metric, told in (
            (table.PORTION_TAKEN, "taken"),
            (table.PORTION_LIMIT, "most"),
            (table.PORTION_REFUSED, "refused"),
        ):
            for each in portions:
                number = getattr(each, told)
                if number or metric is not table.PORTION_LIMIT:  # 0 stands for no limit too
                    yield metric, (self.name, label(each.name or "")), number

    def _statistics(self, statistics: Statistics) -> Iterator[Sample]:
        yield table.SERVER_BYTES, (self.name, "received"), statistics.bytes_received
        yield table.SERVER_BYTES, (self.name, "sent"), statistics.bytes_sent
        yield self._one(table.PASSWORD_ERRORS, statistics.pwerrors)
        yield self._one(table.PERMISSION_ERRORS, statistics.permerrors)
        yield self._one(table.TIMEOUTS, statistics.stimedout)


def build() -> Sample:
    """The series that tells the version."""
    from lanman import __version__

    return table.BUILD, (__version__,), 1.0


def why_of(text: str | None) -> Why:
    """The label's value for why a session has closed (`Change.why`)."""
    if text is None or text == VANISHED:
        return Why.VANISHED
    if text == RESTARTED:
        return Why.STOPPED
    from lanman.events import Reason

    return {
        Reason.LOGOFF: Why.LOGGED_OFF,
        Reason.CLOSED: Why.LOGGED_OFF,
        Reason.DISCONNECTED: Why.DISCONNECTED,
        Reason.DELETED: Why.ENDED,
        Reason.IDLE: Why.IDLE,
        Reason.REPLACED: Why.REPLACED,
        Reason.STOPPED: Why.STOPPED,
        Reason.ACCOUNT: Why.ACCOUNT,
        Reason.RIGHTS: Why.ACCOUNT,
        Reason.EXPIRED: Why.ACCOUNT,
    }.get(Reason(text), Why.REFUSED)
