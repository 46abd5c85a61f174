"""What is remembered of one server: from the updates of its watcher to rows of stays and gaps.

Pure: the times of an update are arguments. The rules:

  - A row in the picture is a stay. How exactly its begin and its end are known is told in
    `lanman.manage.history.records`; whole seconds are the seconds in which something happened.
  - A stay counts from when the recorder can know of it: from its begin, but not from before the last look that an
    earlier recorder has had (what there was then has its own stays), or before the first look of all.
  - Stays are cut at midnight UTC (`schema`). A change that comes after midnight finds them cut.
  - A file that is from fewer clients than was thought is the same stay, and so is one while it is kept for its user,
    whose client is lost, and after it was reclaimed. A session that is another user's, and a file that was renamed, are
    new ones.
  - A gap begins with the last look that succeeded and ends with the next one. It is noted when a server does not
    answer, when it refuses to tell of sessions or files, when events were lost, when the next look came later than it
    had to, and when the clock was set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from lanman.manage.history.pending import GOES_ON, GapRow, PathName, Pending, Person, Seen, StayRow
from lanman.manage.history.records import UNKNOWN_END, GapWhy
from lanman.manage.history.schema import DAY, HOWS, KINDS, storable
from lanman.manage.watching.changes import Change, Picture, Update, What
from lanman.manage.watching.clients import owner_unknown
from lanman.manage.watching.keys import SLACK, FileKey, How, SessionKey
from lanman.manage.watching.rows import FileRow, Kind, SessionRow, ShareRow
from lanman.names import fold

RENAMED: Final = "renamed"
"""Why a stay ended, where the file is open still, under another path."""
ANOTHER_USER: Final = "another user's now"
"""Why a stay ended, where the session goes on as another user's, or from another client."""

# How much two clocks may differ between two looks before one of them was set, in seconds.
_CLOCK_SLACK: Final = 2.0

_KINDS: Final = (Kind.SESSION, Kind.FILE)

StayKey = SessionKey | FileKey


class Times(NamedTuple):
    """When an update came: by the wall clock (seconds since 1970) and by one that nobody sets; and how many seconds
    later the next one comes at the latest, as long as the server answers."""

    wall: float
    steady: float
    patience: float


class Before(NamedTuple):
    """What a database knows of a server when a recorder begins: when it was seen last, and the gap that lasts."""

    seen: int
    gap: int | None


class Book:
    """The stays of one server that last. What is to be written is added to `pending`, which its owner exchanges.

    `before` is None where nothing was recorded yet. `kept_from` is the first day that is kept.
    """

    def __init__(
        self,
        server: str,
        new_id: Callable[[], int],
        new_gap: Callable[[], int],
        *,
        before: Before | None = None,
        paths: bool = True,
        every: float | None = None,
    ) -> None:
        self.server = server
        self.pending = Pending()
        self.kept_from = 0
        self.every = every
        self._new_id = new_id
        self._new_gap = new_gap
        self._paths = paths
        self._floor = None if before is None else before.seen
        self._seen: float | None = None
        self._wall = 0.0
        self._steady = 0.0
        self._patience = 0.0
        self._day: int | None = None
        self._every: int | None = None
        self._open: dict[StayKey, StayRow] = {}
        self._gaps: dict[GapWhy | Kind, int] = {}
        self._folders: dict[str, str] = {}
        if before is not None and before.gap is not None:
            self._gaps[GapWhy.AWAY] = before.gap

    def __len__(self) -> int:
        return len(self._open)

    # --- updates

    def take(self, update: Update, times: Times) -> None:
        """Take in one update."""
        picture = update.picture
        answered = picture.error is None
        at = picture.asked_at if answered and picture.asked_at is not None else times.wall
        if answered:
            self._note_gaps(update, at, times)
        for share in picture.shares.values() if update.first else ():
            self._note_share(share)
        if update.first:
            self._begin_again(picture, at)
        else:
            self._changed(update)
        if answered:
            self._cut(int(at) // DAY)
            self._was_seen(picture, at, times)
        else:
            self._away(picture, at, times)

    def _begin_again(self, picture: Picture, at: float) -> None:
        """Nothing can be compared with what there was before."""
        after = self._seen
        if after is None:
            # Between two recorders: what the server tells of it counts, and where it tells nothing, the gap says so.
            floor = int(at) if self._floor is None else min(self._floor, int(at))
        else:
            floor = int(at)
        self._cut(int(at) // DAY)
        for known in self._open.values():
            ended = max(int(at), known.begun)
            self.pending.end(known, ended, max(0, ended - int(after or at)), UNKNOWN_END)
        self._open.clear()
        for row in _stays_of(picture):
            self._begin(row, _begin_of_first(row, picture, at, after), picture, int(at), floor)

    def _changed(self, update: Update) -> None:
        for change in update.changes:
            row = change.row
            if isinstance(row, ShareRow):
                if change.what is not What.CLOSED:
                    self._note_share(row)
                continue
            self._cut(int(change.at) // DAY)
            if change.what is What.CLOSED:
                self._end(row.key, change, change.why or UNKNOWN_END)
            elif change.what is What.OPENED:
                self._end(row.key, change, UNKNOWN_END)  # there is none, as a rule
                self._begin(row, _begin_of(change, update.picture), update.picture, int(change.at))
            elif (known := self._open.get(row.key)) is not None:
                self._become(known, row, change, update.picture)

    def _become(self, known: StayRow, row: SessionRow | FileRow, change: Change, picture: Picture) -> None:
        """What is there is otherwise than it was."""
        person, path = _person(row), self._path_of(row)
        if isinstance(row, FileRow) and not row.user_name and row.user_name is not None:
            person = known.person  # it is kept for its user, whose connection is lost
        moved = path != known.path and path is not None and path.path is not None
        told = How.TOLD in (known.person.client_how, person.client_how)
        other = not _is_reclaimed(row, change) and (
            _differs(known.person.user_name, person.user_name)
            or (told and _differs(known.person.client_name, person.client_name))
        )
        if moved or other:
            self._end(row.key, change, RENAMED if moved else ANOTHER_USER)
            begun = _Begin(int(change.at), 0, How.TOLD)
            if change.how is not How.TOLD and change.after is not None:
                begun = _between(change.after, change.at)
            self._begin(row, begun, picture, int(change.at))
        elif person != known.person:
            known.person = person
            self.pending.persons[known.chain] = person

    # --- stays

    def _begin(
        self, row: SessionRow | FileRow, begin: _Begin, picture: Picture, at: int, floor: int | None = None
    ) -> None:
        lower = min(begin.lower, at)
        begun = max(lower, self.kept_from * DAY, lower if floor is None else floor)
        stay = StayRow(
            self._new_id(),
            self.server,
            _person(row),
            KINDS[row.kind],
            self._path_of(row),
            begun // DAY,
            begun,
            HOWS[begin.how],
            begin.slack,
            row.permissions if isinstance(row, FileRow) else None,
            picture.level if isinstance(row, SessionRow) else None,
            None,
            lower if lower < begun else None,
        )
        self.pending.stays[stay.id] = stay
        assert self._day is not None
        for day in range(stay.day + 1, self._day + 1):
            stay = self._cut_row(stay, day)
        self._open[row.key] = stay

    def _end(self, key: StayKey, change: Change, why: str) -> None:
        row = self._open.pop(key, None)
        if row is None:
            return
        ended = max(int(change.at), row.begun)
        slack = 0
        if change.how is not How.TOLD:
            after = change.after if change.after is not None else self._seen
            slack = 0 if after is None else max(0, ended - int(after))
        self.pending.end(row, ended, slack, why)

    def _cut(self, day: int) -> None:
        """Have all that lasts in rows of a day, if that is a later one than they are of."""
        if self._day is None:
            self._day = day
        if day <= self._day:
            return
        for each in range(max(self._day + 1, self.kept_from), day + 1):
            for key, row in self._open.items():
                self._open[key] = self._cut_row(row, each)
        self._day = day

    def _cut_row(self, row: StayRow, day: int) -> StayRow:
        """End a row at midnight, and have the next one of its stay."""
        since = row.begun if row.since is None else row.since
        self.pending.end(row, (row.day + 1) * DAY, 0, GOES_ON)
        new = StayRow(
            self._new_id(),
            row.server,
            row.person,
            row.kind,
            row.path,
            day,
            day * DAY,
            row.begun_how,
            row.slack,
            row.access,
            row.level,
            row.chain,
            since,
        )
        self.pending.stays[new.id] = new
        return new

    # --- paths

    def _note_share(self, share: ShareRow) -> None:
        if share.path and self._paths:
            self.pending.shares[self.server, share.name] = share.path
        if share.path:
            self._folders[_plain(share.path)] = share.name

    def _path_of(self, row: SessionRow | FileRow) -> PathName | None:
        if isinstance(row, SessionRow) or not self._paths:
            return None
        share = row.share or self._share_of(row.path)
        return PathName(_kept(share), _kept(row.path))

    def _share_of(self, path: str | None) -> str | None:
        """The share whose folder a path lies in; the innermost one."""
        here = "" if path is None else _plain(path)
        while here:
            if (share := self._folders.get(here)) is not None:
                return share
            here = here.rpartition("/")[0]
        return None

    # --- gaps

    def _note_gaps(self, update: Update, at: float, times: Times) -> None:
        """The server has answered: what was missed since the look before."""
        away = self._gaps.pop(GapWhy.AWAY, None)
        if away is not None:
            self.pending.end_gap(away, int(at))
        elif update.gap is not None:
            self._gap(GapWhy.EVENTS, int(update.gap.since), int(update.gap.until), update.gap.why)
        if self._seen is not None:
            passed, steady = times.wall - self._wall, times.steady - self._steady
            begun, ended = sorted((int(self._seen), int(at)))
            if abs(passed - steady) > _CLOCK_SLACK + self._patience_of_clock(steady):
                way = "forward" if passed > steady else "back"
                self._gap(GapWhy.CLOCK, begun, ended, f"set {way} by {abs(passed - steady):.0f} s")
            elif away is None and steady > self._patience and not update.picture.streamed:
                self._gap(GapWhy.PAUSED, begun, ended, f"the next look came after {steady:.0f} s")
        for kind in _KINDS:
            refused = update.picture.refused.get(kind)
            if refused is None and kind in self._gaps:
                self.pending.end_gap(self._gaps.pop(kind), int(at))
            elif refused is not None and kind not in self._gaps:
                begun = int(at if self._seen is None else self._seen)
                self._gaps[kind] = self._gap(GapWhy.NOT_TOLD, begun, None, f"{kind.value}s: {refused.message}")

    @staticmethod
    def _patience_of_clock(steady: float) -> float:
        # A clock that is slewed gains or loses 500 parts in a million (adjtimex), and a look takes its time.
        return steady / 1000

    def _away(self, picture: Picture, at: float, times: Times) -> None:
        if GapWhy.AWAY not in self._gaps:
            begun = int(at if self._seen is None else self._seen)
            detail = "" if picture.error is None else picture.error.message
            self._gaps[GapWhy.AWAY] = self._gap(GapWhy.AWAY, begun, None, detail)
        if self._floor is None:
            self._floor = int(at)  # what there is when it is seen first has been there since then, if it says so
        seen = self._floor if self._seen is None else int(self._seen)
        self.pending.seen[self.server] = Seen(seen, _due(times), self._asked_every(picture))

    def _gap(self, why: GapWhy, begun: int, ended: int | None, detail: str) -> int:
        id = self._new_gap()
        self.pending.gaps[id] = GapRow(id, self.server, begun, ended, why, detail)
        return id

    def _was_seen(self, picture: Picture, at: float, times: Times) -> None:
        assert self._day is not None
        # A change may be of the next day already, and what lasts is of the day in which the server was seen.
        at = max(at, float(self._day * DAY))
        self._seen, self._patience = at, times.patience
        self._wall, self._steady = times.wall, times.steady
        self.pending.seen[self.server] = Seen(int(at), _due(times), self._asked_every(picture))

    def _asked_every(self, picture: Picture) -> int | None:
        self._every = None if picture.streamed or self.every is None else max(1, round(self.every))
        return self._every

    def stop(self, wall: float) -> None:
        """The recorder ends: from the last look on nothing is known, and whoever reads is told so at once."""
        if self._seen is not None:
            self.pending.seen[self.server] = Seen(int(self._seen), int(min(self._seen, wall)), self._every)


def _due(times: Times) -> int:
    return int(times.wall + times.patience) + 1


class _Begin(NamedTuple):
    """When something began: at the earliest, and how many seconds later it can have been."""

    lower: int
    slack: int
    how: How


def _between(after: float, at: float) -> _Begin:
    return _Begin(int(after), max(0, int(at) - int(after)), How.SEEN)


def _told(row: SessionRow | FileRow, streamed: bool) -> tuple[float, float] | None:
    """When a row says that it began, and how much that may be off; None where it does not say."""
    if isinstance(row, FileRow):
        return (row.opened_at, 0.0) if row.opened_at is not None and row.opened_how is How.TOLD else None
    if row.begun_at is None or row.begun_how is not How.TOLD:
        return None
    return row.begun_at, 0.0 if streamed else SLACK


def _begin_of(change: Change, picture: Picture) -> _Begin:
    """When something began that a change tells of."""
    assert not isinstance(change.row, ShareRow)
    if change.how is How.TOLD:
        return _Begin(int(change.at), 0, How.TOLD)
    told = _told(change.row, picture.streamed)
    if change.after is None:
        return _begin_of_first(change.row, picture, change.at, None)
    if told is None or told[0] + told[1] < int(change.after):
        # It was not there at the look before, whatever it says: a clock was set.
        return _between(change.after, change.at)
    lower = max(int(told[0] - told[1]), int(change.after))
    upper = max(lower, min(int(told[0] + told[1]), int(change.at)))
    return _Begin(lower, upper - lower, How.TOLD)


def _begin_of_first(row: SessionRow | FileRow, picture: Picture, at: float, after: float | None) -> _Begin:
    """When something began that is there at a first look."""
    told = _told(row, picture.streamed)
    if told is not None:
        upper = min(int(told[0] + told[1]), int(at))
        lower = min(int(told[0] - told[1]), upper)
        return _Begin(lower, upper - lower, How.TOLD)
    return _Begin(int(at), 0, How.UNKNOWN)


def _stays_of(picture: Picture) -> Iterator[SessionRow | FileRow]:
    yield from picture.sessions.values()
    yield from picture.files.values()


def _person(row: SessionRow | FileRow) -> Person:
    user, client = _kept(row.user_name), _kept(row.client_name)
    if isinstance(row, FileRow):
        user = _kept(row.owner) if row.owner else user
        return Person(user, client, row.client_how, tuple(map(storable, row.candidates)))
    how = How.UNKNOWN if client is None else How.TOLD
    return Person(user, client, how, (), _kept(row.address))


def _is_reclaimed(row: SessionRow | FileRow, change: Change) -> bool:
    """Whether a file was kept for a lost client until now, of which nobody knew whose it was: it is its user's all
    along, since nobody else can reclaim it (MS-SMB2 3.3.5.9.7)."""
    before = change.before
    if not isinstance(row, FileRow) or not isinstance(before, FileRow) or not row.user_name:
        return False
    return owner_unknown(before.user_name, before.path, before.owner)


def _kept(text: str | None) -> str | None:
    return None if text is None else storable(text)


def _differs(before: str | None, now: str | None) -> bool:
    return before is not None and now is not None and before != now


def _plain(path: str) -> str:
    return fold(path.replace("\\", "/").rstrip("/"))
