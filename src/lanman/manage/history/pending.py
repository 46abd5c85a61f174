"""What a recorder has yet to write, as values: rows of stays, their ends, gaps, and when servers were seen."""

from __future__ import annotations

from dataclasses import field
from typing import Final, NamedTuple

from lanman.manage.history.records import GapWhy
from lanman.manage.watching.keys import How
from lanman.plain import dataclass

GOES_ON: Final = ""
"""`why` of a row that was cut at midnight."""


class Person(NamedTuple):
    """Whose a stay is, and from where."""

    user_name: str | None
    client_name: str | None
    client_how: How
    candidates: tuple[str, ...] = ()
    address: str | None = None


class PathName(NamedTuple):
    """What is open: the share that it lies on, and its path; None for what is not known or not recorded."""

    share: str | None
    path: str | None


@dataclass(slots=True)
class StayRow:
    """A row of the table `stay`, with words where the table has numbers; `chain` is the id of its stay's first row."""

    id: int
    server: str
    person: Person
    kind: int
    path: PathName | None
    day: int
    begun: int
    begun_how: int
    slack: int
    access: int | None
    level: int | None
    first: int | None
    since: int | None
    ended: int | None = None
    ended_slack: int | None = None
    why: str | None = None

    @property
    def chain(self) -> int:
        """What numbers the stay: the id of its first row."""
        return self.id if self.first is None else self.first


@dataclass(slots=True)
class GapRow:
    """A row of the table `gap`."""

    id: int
    server: str
    begun: int
    ended: int | None
    why: GapWhy
    detail: str


class Seen(NamedTuple):
    """When a server was seen last, until when it will be again, and how often it is asked."""

    seen: int
    due: int
    every: int | None


@dataclass(slots=True)
class Pending:
    """All that is to be written in one transaction. What ends before its row was written is one row."""

    stays: dict[int, StayRow] = field(default_factory=dict)
    ends: dict[int, tuple[int, int, str]] = field(default_factory=dict)
    """By the row's id: when, how much earlier it can have been, why."""
    persons: dict[int, Person] = field(default_factory=dict)
    """Who it is, as is known better now, by the id of a stay's first row."""
    gaps: dict[int, GapRow] = field(default_factory=dict)
    gap_ends: dict[int, int] = field(default_factory=dict)
    seen: dict[str, Seen] = field(default_factory=dict)
    shares: dict[tuple[str, str], str] = field(default_factory=dict)
    """The folders of shares, by server and name."""

    def __len__(self) -> int:
        return len(self.stays) + len(self.ends) + len(self.persons) + len(self.gaps) + len(self.seen)

    def end(self, row: StayRow, ended: int, slack: int, why: str) -> None:
        """A row has its end."""
        row.ended, row.ended_slack, row.why = ended, slack, why
        if row.id not in self.stays:
            self.ends[row.id] = ended, slack, why

    def end_gap(self, id: int, ended: int) -> None:
        """A gap has its end."""
        if (row := self.gaps.get(id)) is not None:
            row.ended = max(row.begun, ended)
        else:
            self.gap_ends[id] = ended
