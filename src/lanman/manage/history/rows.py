"""Rows of the tables, as they are read: of servers, and of stays with the names of whom and what they are about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from lanman.manage.history.records import UNKNOWN_END, Stay
from lanman.manage.history.schema import DAY, HOW_OF, KIND_OF
from lanman.plain import dataclass

# LEFT JOIN, so that SQLite begins with the rows that are meant.
SELECT: Final = (
    "SELECT s.id, s.first, s.server, s.kind, s.begun, s.since, s.slack, s.begun_how, s.ended, s.ended_slack, s.why, "
    "s.access, s.level, s.day, s.person, p.user_name, p.client_name, p.client_how, p.candidates, p.address, n.share, "
    "n.path FROM stay s LEFT JOIN person p ON p.id = s.person LEFT JOIN path n ON n.id = s.path"
)

NEVER: Final = 1 << 62

End = tuple[int, int | None, int | None, int | None]
"""Of the last row of a stay: `begun`, `ended`, `ended_slack`, `why`."""


@dataclass(slots=True)
class ServerRow:
    """A row of the table `server`. `recorded`: a recorder runs that watches it. `lasting`: and it is not away, so that
    what was there when it was last seen is there still."""

    id: int
    name: str
    since: int
    seen: int
    due: int
    every: int | None
    oldest: int
    recorded: bool = False
    lasting: bool = False

    @property
    def kept_from(self) -> int:
        """From when on something is known."""
        return max(self.since, self.oldest * DAY)

    def asked_for(self, time: int) -> int:
        """When its rows are asked about for a question about a time: what lasts is of the day in which it was seen
        last, also where the next one has begun."""
        return min(time, (self.seen // DAY + 1) * DAY - 1) if self.lasting else time

    def end_of(self, begun: int, ended: int | None) -> int:
        """Until when a row counts: what lasts, until its server was seen last, or for ever."""
        if ended is not None:
            return ended
        return NEVER if self.lasting else max(begun, self.seen)


class StayRecord(NamedTuple):
    """A row of SELECT."""

    id: int
    first: int | None
    server: int
    kind: int
    begun: int
    since: int | None
    slack: int
    begun_how: int
    ended: int | None
    ended_slack: int | None
    why: int | None
    access: int | None
    level: int | None
    day: int
    person: int
    user_name: str | None
    client_name: str | None
    client_how: int
    candidates: str | None
    address: str | None
    share: str | None
    path: str | None

    @property
    def chain(self) -> int:
        """What numbers the stay: the id of its first row."""
        return self.id if self.first is None else self.first

    @property
    def order(self) -> tuple[int, int]:
        """By what the newest is found."""
        return self.begun, self.id

    def stay(self, server: ServerRow, end: End, words: Mapping[int, str]) -> Stay:
        """The stay that this is a row of, where its last row ends so."""
        begun, ended, slack, why = end
        word = None if why is None else words.get(why)
        if ended is None and not server.recorded:
            ended, word = max(begun, server.seen), UNKNOWN_END
        return Stay(
            self.chain,
            server.name,
            KIND_OF[self.kind],
            self.user_name,
            self.client_name,
            HOW_OF[self.client_how],
            _names(self.candidates),
            self.address,
            self.path,
            self.share,
            self.access,
            self.level,
            self.begun if self.since is None else self.since,
            self.slack,
            HOW_OF[self.begun_how],
            ended,
            slack or 0,
            word,
        )


def _names(candidates: str | None) -> tuple[str, ...]:
    if candidates is None:
        return ()
    names: list[Any] = json.loads(candidates)
    return tuple(map(str, names))
