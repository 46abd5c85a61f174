"""What a watcher is given: the picture of a server, and what has changed in it since it was last given.

    async with watch("fs1", credentials, every=2) as watcher:      # lanman.manage.watching.poller
        async for update in watcher:
            update.picture.sessions                                 # what there is, by key
            for change in update.changes: ...                       # what has happened, in order

The rules:

  - The first update has the whole picture and no changes. So has a later one that is `first`: what was known before
    cannot be compared with it (the server tells no users any more, or tells them again).
  - Otherwise the picture before, with the changes applied in order, is the picture of the update.
  - A server that does not answer stays in the picture as it was last seen, with its `error` and its age.
  - There is one picture, the watcher's own, which is brought up to date before each update is given. Its rows are
    values; whoever wants to keep a picture copies its mappings.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from lanman.errors import LanmanError
from lanman.manage.watching.keys import FileKey, How, SessionKey, ShareKey
from lanman.manage.watching.rows import FileRow, Kind, Row, SessionRow, ShareRow

if TYPE_CHECKING:
    from lanman.events import Event

VANISHED: Final = "vanished"
"""Why something closed, where a later look did not find it. Our own Server gives the values of `events.Reason`."""
RESTARTED: Final = "server restarted"
"""Why something closed, where the server was started anew while nobody looked."""


class What(Enum):
    """What has happened to a row."""

    OPENED = "opened"
    CHANGED = "changed"
    CLOSED = "closed"


class Change(NamedTuple):
    """Something has happened. `row` is as it is now, or as it was last seen where it is CLOSED; `before` is the row
    that it takes the place of where it is CHANGED, and `fields` are the names of those in which the two differ.

    `at` is in seconds since 1970. Where `how` is TOLD, it happened then; where it is SEEN, between `after` (the look
    before; None where that is not known) and `at`. `why` it closed: a value of `lanman.events.Reason`, or VANISHED, or
    RESTARTED; None for what did not close.
    """

    what: What
    row: Row
    at: float
    how: How
    after: float | None = None
    why: str | None = None
    before: Row | None = None
    fields: tuple[str, ...] = ()


class Gap(NamedTuple):
    """A time in which things may have happened that no change tells of. `why` is in words."""

    since: float
    until: float
    why: str


class Picture:
    """What there is on a server, as it was last seen.

    `server` is its name, `level` the information level of its sessions, `streamed` whether it tells what happens by
    itself (lanman's own Server) or is asked again and again. `asked_at` is when the last look that succeeded began, in
    seconds since 1970, and `duration` how many seconds it took. `error` is why it does not answer now; None when it
    does. `refused` has, by kind, why it does not tell that kind of row. `kinds` is what is asked for.
    """

    def __init__(self, server: str, kinds: frozenset[Kind] = frozenset(Kind)) -> None:
        self.server = server
        self.kinds = kinds
        self.level: int | None = None
        self.streamed = False
        self.asked_at: float | None = None
        self.duration = 0.0
        self.error: LanmanError | None = None
        self.refused: dict[Kind, LanmanError] = {}
        self.sessions: dict[SessionKey, SessionRow] = {}
        self.files: dict[FileKey, FileRow] = {}
        self.shares: dict[ShareKey, ShareRow] = {}

    def age(self, now: float) -> float | None:
        """How many seconds ago the server was last seen; None where it never was."""
        return None if self.asked_at is None else max(0.0, now - self.asked_at)

    def put(self, row: Row) -> None:
        """Have this row, in place of an older one with its key."""
        if isinstance(row, SessionRow):
            self.sessions[row.key] = row
        elif isinstance(row, FileRow):
            self.files[row.key] = row
        else:
            self.shares[row.key] = row

    def remove(self, row: Row) -> None:
        """Have no row with the key of this one any more."""
        if isinstance(row, SessionRow):
            self.sessions.pop(row.key, None)
        elif isinstance(row, FileRow):
            self.files.pop(row.key, None)
        else:
            self.shares.pop(row.key, None)

    def apply(self, change: Change) -> None:
        """Take in one change."""
        if change.what is What.CLOSED:
            self.remove(change.row)
        else:
            self.put(change.row)


class Update(NamedTuple):
    """What a watcher is given at once. `first`: the picture compares with none before, and there are no changes.
    `gap` is the time in which something may have been missed, beyond what may always be between two looks. `events`
    are those of our own Server that led to the changes, and those that changed no row: log-ons that were refused.
    """

    picture: Picture
    changes: Sequence[Change] = ()
    first: bool = False
    gap: Gap | None = None
    events: Sequence[Event] = ()
