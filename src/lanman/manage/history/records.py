r"""What history answers: stays, gaps and deeds, as values of whole seconds since 1970 (UTC) and text.

A stay is the time from a session's begin to its end, or from a file's being opened to its being closed. How exactly its
ends are known:

  - It began at some moment from `begun_at` to `begun_at + begun_slack`, and ended at some moment from
    `ended_at - ended_slack` to `ended_at`. Both slacks are 0 where lanman's own Server has told the moment. Elsewhere
    they are as long as the time between two looks, or as a server's rounding of ages, or as a gap.
  - `begun_how` UNKNOWN: it was there already when the recorder began to look, which is `begun_at`; it began at any time
    before. `ended_at` is None while it lasts, as far as the recorder has seen.
  - A second is within a stay if any moment of it may be: `begun_at <= time <= ended_at`.

What the recorder did not see at all is a gap. An answer that touches one is incomplete, and has it in `gaps`.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from lanman import codes
from lanman.errors import LanmanError
from lanman.manage.watching.keys import How
from lanman.manage.watching.rows import Kind
from lanman.shown import rfc3339


class Deed(NamedTuple):
    """Something that was done to a server, or was planned or told: by an order, a drain, a policy.

    `at` is when, `who` whoever did it (a user, and for a policy its name behind it: `root (policy night)`), `verb` what
    (`end`, `close`, `tell`, `drain`, `spare`, ...). `target` is the key of what it was done to as one word
    (`str(SessionKey)`, `str(FileKey)`), None where it is the server; `client_name`, `user_name` and `path` say the same
    in the server's words. `plan` is the name of the policy or plan. `outcome` is one word: `done`, `failed`, `spared`,
    `changed`, `matched`, ...; `told` is `yes`, `no` or `unknown`, None where nobody was to be told. `detail` is for
    people.
    """

    at: int
    server: str
    who: str
    verb: str
    outcome: str
    target: str | None = None
    client_name: str | None = None
    user_name: str | None = None
    path: str | None = None
    plan: str | None = None
    told: str | None = None
    detail: str | None = None


ENDING: Final = frozenset({"end", "close", "drain"})
"""The verbs of deeds that end a stay, where their outcome is `done`."""

UNKNOWN_END: Final = "unknown"
"""Why a stay ended, where the recorder was not running any more: it was last seen at `ended_at`."""


class Stay(NamedTuple):
    r"""A session, or an open file, and how long it was there; see the top of this module for its times.

    `id` numbers it within its database. `client_name` is None where it is not known; `client_how` and `candidates` are
    those of `lanman.manage.watching.rows.FileRow`, and TOLD and none for a session. `path` is the server's own, None
    for a session, and where paths are not recorded; `share` is the share that it lies on, as far as that is known.
    `access` is the granted access mask, or the permissions that MS-SRVS lists (2.2.2.4); `level` the information level
    of NetrSessionEnum by which it was seen, None for a file.

    `why` it ended is a value of `lanman.events.Reason` or of `lanman.manage.watching.changes` (`vanished`, ...), or
    UNKNOWN_END; None while it lasts. `ended_by` is the deed that ended it, where one is noted.
    """

    id: int
    server: str
    kind: Kind
    user_name: str | None
    client_name: str | None
    client_how: How
    candidates: tuple[str, ...]
    address: str | None
    path: str | None
    share: str | None
    access: int | None
    level: int | None
    begun_at: int
    begun_slack: int
    begun_how: How
    ended_at: int | None
    ended_slack: int
    why: str | None
    ended_by: Deed | None = None

    def is_certain_at(self, time: int) -> bool:
        """Whether it was certainly there in that second, and not only possibly."""
        begun = self.begun_at + self.begun_slack <= time
        return begun and (self.ended_at is None or time <= self.ended_at - self.ended_slack)


class GapWhy(Enum):
    """Why something may have been missed; `GapRecord.detail` says more."""

    AWAY = "server away"
    NOT_RUNNING = "recorder not running"
    PAUSED = "recorder held up"
    """The recorder, or its machine, stood still: it slept, say."""
    CLOCK = "clock was set"
    EVENTS = "events lost"
    NOT_TOLD = "not told"
    """The server has refused to tell of sessions, or of files."""
    NOT_KEPT = "not kept"
    """Before the first look, or before what is kept."""


class GapRecord(NamedTuple):
    """A time in which a server was not seen. `begun_at` None: since ever; `ended_at` None: it lasts."""

    server: str
    begun_at: int | None
    ended_at: int | None
    why: GapWhy
    detail: str = ""

    def touches(self, since: int, until: int) -> bool:
        """Whether it has a second in common with the time from `since` to `until`, both included."""
        return (self.begun_at is None or self.begun_at <= until) and (self.ended_at is None or self.ended_at >= since)

    def hides(self, at: int) -> bool:
        """Whether nothing is known of a second: it lies between the looks before and after the gap."""
        return (self.begun_at is None or self.begun_at < at) and (self.ended_at is None or at < self.ended_at)


class Watched(NamedTuple):
    """A server that is recorded, or was: from when on something is kept, when it was last seen, and how many seconds
    there are between two looks (None for lanman's own Server, which tells by itself). `paths` whether paths are
    recorded."""

    server: str
    since: int
    seen_at: int
    every: int | None
    paths: bool


class Answer(NamedTuple):
    """Stays, the gaps that the answer touches, and the servers that it is about. `more`: there are more stays than were
    asked for; those given are the newest."""

    stays: list[Stay]
    gaps: list[GapRecord]
    watched: list[Watched]
    more: bool = False

    @property
    def complete(self) -> bool:
        """Whether no gap is touched; where one is, the exit status is 4."""
        return not self.gaps


class Count(NamedTuple):
    """How many sessions and open files there were in one second; None where the server was not seen then."""

    at: int
    sessions: int | None
    files: int | None


class Holder(NamedTuple):
    """Who holds a role (`recorder`, `policy`) in a database: which machine, which process, since when."""

    role: str
    host: str
    pid: int
    since: int

    def __str__(self) -> str:
        """Who it is, for a sentence."""
        return f"process {self.pid} on {self.host}, since {rfc3339(self.since)}"


class AlreadyHeld(LanmanError):
    """Another process holds the role; `holder` is who."""

    code = codes.ERROR_BUSY

    def __init__(self, holder: Holder, place: str) -> None:
        super().__init__(
            f"{place}: its {holder.role} is running already: {holder}",
            hint="Stop that one first, or name another database with --db.",
        )
        self.holder = holder


class Stats(NamedTuple):
    """What a database holds. `size` is in bytes; `schema` is the number of its newest step."""

    url: str
    schema: int
    size: int
    stays: int
    open_stays: int
    persons: int
    paths: int
    gaps: int
    deeds: int
    oldest_at: int | None
    newest_at: int | None
    watched: list[Watched]
    holders: list[Holder]
