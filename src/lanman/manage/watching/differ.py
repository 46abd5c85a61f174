"""What has happened between two looks at a server that has to be asked: the differences of its lists.

Pure: the looks are arguments, with the times at which they were. The rules:

  - Sessions are the same as `matching` says, files by what they are known by, shares by name. Equal ones are counted:
    where one of several has gone, it is the one with the highest number.
  - A row stays as it is while its session does nothing: `used_at` and `begun_at` are taken anew where they have moved
    by more than the slack. So an idle session has no changes.
  - An open file whose user goes, while its id and path stay, is kept for that user, whose connection was lost: `owner`.
    MS-SMB2 3.3.4.20 gives an open without a session no user. When that user is told again, it was reclaimed; where it
    had no user from the first, whoever is told then. Not of Samba, which lists nothing that is kept (4.17.12), and
    whose ids can be several files'.
  - What closed comes first, then what changed, then what opened. Files close before sessions, and open after them.
  - A kind that was not told this time has no rows. Where users or a kind of rows are told that were not told before, or
    no longer, nothing can be compared: the picture is a first one again.
  - The time of a look is linear in what is listed, but for sorting sessions that are equal. It may be taken in `steps`,
    so that an event loop does other work in between. The picture is what it was until the last one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar

from lanman.manage.manager import Sessions
from lanman.manage.watching.changes import VANISHED, Change, Picture, What
from lanman.manage.watching.clients import ClientsOfUsers, may_be_kept
from lanman.manage.watching.keys import SLACK, FileKey, How, SessionKey, ShareKey, told_id
from lanman.manage.watching.matching import Begun, Looks, may_be_same, pairs
from lanman.manage.watching.rows import FileRow, Row, SessionRow, ShareRow
from lanman.names import fold
from lanman.records import FileInfo, SessionInfo, ShareInfo

R = TypeVar("R", SessionRow, FileRow, ShareRow)
T = TypeVar("T")

STEP: Final = 500
"""How many rows are compared in one step."""

# What a server of this machine tells of a session beyond MS-SRVS, by the same name in its record and in the row.
_DETAILS: Final = ("domain", "address", "dialect", "signing", "encryption", "anonymous", "guest")


# What FileRow has of DetailedFile and SambaFile.
_BEYOND: Final = ("oplock", "lease", "lease_key", "durable", "owner", "expires_at")


class Look(NamedTuple):
    """What a server answered, None for what it was not asked or did not tell; and when, by both clocks.

    `at` is when the sessions were asked for (files are asked for just before), and `duration` how many seconds the
    answer took. `odd_ages`: an age of 0 may be any, as Samba's of a session that is not a second old. `kept_ids`: a
    file that is kept for a lost client is listed under the id that it had, without a user.
    """

    at: Begun
    duration: float
    sessions: Sessions | None
    files: Sequence[FileInfo] | None
    shares: Sequence[ShareInfo] | None
    odd_ages: bool = False
    kept_ids: bool = True

    @property
    def told(self) -> tuple[bool, ...]:
        """What it tells of: looks that differ in that do not compare."""
        users = self.sessions is not None and self.sessions.level != 0
        return self.sessions is not None, users, self.files is not None, self.shares is not None

    @property
    def answered(self) -> Begun:
        """When the answer was made: about in the middle."""
        return self.at.moved(self.duration / 2, self.duration / 2)


class Differ:
    """Brings a picture up to date, look by look, and says what has changed."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self._begun: dict[SessionKey, Begun | None] = {}
        self._clients = ClientsOfUsers()
        self._last: Look | None = None
        # The keys of files that are listed with another user than at first, by what they are listed as.
        self._known_as: dict[FileKey, FileKey] = {}

    def take(self, look: Look) -> list[Change] | None:
        """The changes since the look before; None where the picture compares with none before."""
        steps = self.steps(look)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                found: list[Change] | None = end.value
                return found

    def steps(self, look: Look) -> Generator[None, None, list[Change] | None]:
        """What `take` does, in steps of about `STEP` rows. Between two of them the picture stays as it was; whoever
        does not go on to the end has no use for the Differ any more."""
        made = _Changes(look, self._last)
        sessions, self._begun = yield from self._sessions(made)
        # Who has sessions says who may have which file.
        self._clients.look(sessions.values())
        yield
        files = yield from self._files(made)
        shares = yield from self._shares(made)
        changes = made.in_order() if made.compares else None
        self._picture.sessions, self._picture.files, self._picture.shares = sessions, files, shares
        self._picture.level = None if look.sessions is None else look.sessions.level
        self._last = look
        return changes

    # --- sessions

    def _sessions(
        self, made: _Changes
    ) -> Generator[None, None, tuple[dict[SessionKey, SessionRow], dict[SessionKey, Begun | None]]]:
        """The sessions of a look, and when they began."""
        groups = yield from self._groups(made.look)
        rows: dict[SessionKey, SessionRow] = {}
        begun: dict[SessionKey, Begun | None] = {}
        new: list[tuple[SessionInfo, Begun | None]] = []
        for step in _steps(groups.values()):
            for olds, entries in step:
                if len(olds) == len(entries) == 1:
                    # Nearly all: of one client and user there is one session, and it is the same as before.
                    row, entry = olds[0], entries[0]
                    at, before = made.begun(entry), self._begun[row.key]
                    if may_be_same(before, at, made.looks):
                        begun[row.key] = at or before
                        rows[row.key] = made.kept(row, _renewed(row, entry, at, made))
                    else:
                        made.closed(row)
                        new.append((entry, at))
                    continue
                known = [((entry, at := made.begun(entry)), at) for entry in entries]
                found, gone, opened = pairs([(row, self._begun[row.key]) for row in olds], known, made.looks)
                for row, (entry, at) in found:
                    begun[row.key] = at or self._begun[row.key]
                    rows[row.key] = made.kept(row, _renewed(row, entry, at, made))
                for row in gone:
                    made.closed(row)
                new += opened
            yield
        free = _FreeKeys(self._picture.sessions, rows)
        for opening in _steps(new):
            for entry, at in opening:
                row = _opened(free.key(entry, at), entry, at, made)
                rows[row.key], begun[row.key] = row, at
                made.opened(row, row.begun_at)
            yield
        return rows, begun

    def _groups(self, look: Look) -> Generator[None, None, dict[tuple[object, ...], _Group]]:
        """The rows of before and what is listed now, by what they are known by apart from when they began."""
        groups: dict[tuple[object, ...], _Group] = {}
        for step in _steps(self._picture.sessions.values()):
            for row in step:
                name = row.client_name, row.user_name, row.key.id
                if (group := groups.get(name)) is None:
                    groups[name] = [row], []
                else:
                    group[0].append(row)
            yield
        for listed in _steps(look.sessions.entries if look.sessions is not None else ()):
            for entry in listed:
                name = entry.client_name, entry.user_name, told_id(entry)
                if (group := groups.get(name)) is None:
                    groups[name] = [], [entry]
                else:
                    group[1].append(entry)
            yield
        return groups

    # --- files

    def _files(self, made: _Changes) -> Generator[None, None, dict[FileKey, FileRow]]:
        before, rows = self._picture.files, dict[FileKey, FileRow]()
        counts: defaultdict[tuple[int | None, str | None, str | None], int] = defaultdict(int)
        known_as, others = dict[FileKey, FileKey](), frozenset(self._known_as.values())
        new: list[tuple[FileKey, FileInfo]] = []
        for step in _steps(made.look.files or ()):
            for entry in step:
                base = entry.id, entry.path, entry.user_name
                listed = FileKey(*base, counts[base])
                counts[base] += 1
                key = self._known_as.get(listed)
                if key is not None:
                    known_as[listed] = key
                row = before.get(listed if key is None else key)
                if row is None or (key is None and listed in others):
                    new.append((listed, entry))
                else:
                    rows[row.key] = made.kept(row, self._renewed_file(row, entry))
            yield
        gone: dict[tuple[int | None, str | None], FileRow] = {}
        for listing in _steps(before.items()):
            for key, row in listing:
                if key not in rows:
                    gone[row.id, row.path] = row
            yield
        for opening in _steps(new):
            for listed, entry in opening:
                known = gone.get((entry.id, entry.path))
                if known is not None and made.look.kept_ids and _goes_on(known, entry):
                    del gone[entry.id, entry.path]
                    rows[known.key] = made.kept(known, self._renewed_file(self._passed_on(known, entry), entry))
                    if known.key != listed:
                        known_as[listed] = known.key
                    continue
                key = listed
                while key in rows or key in before:
                    key = key._replace(number=key.number + 1)
                if key != listed:
                    known_as[listed] = key
                rows[key] = row = self._new_file(key, entry, made)
                made.opened(row, row.opened_at)
            yield
        for listing in _steps(before.items()):
            for key, row in listing:
                if key not in rows:
                    made.closed(row)
            yield
        self._known_as = known_as
        return rows

    def _passed_on(self, row: FileRow, entry: FileInfo) -> FileRow:
        """The row of a file that is kept now, or was reclaimed (`_goes_on`)."""
        owner = None if entry.user_name else getattr(entry, "owner", None) or row.user_name
        row = row._replace(user_name=entry.user_name, owner=owner, client_name=None, candidates=())
        return self._clients.infer(row)

    def _new_file(self, key: FileKey, entry: FileInfo, made: _Changes) -> FileRow:
        row = FileRow(key, entry.id, entry.path, entry.user_name, entry.permissions, entry.num_locks)
        # This machine's Samba tells more than MS-SRVS has fields for (SambaFile).
        opened_at: float | None = getattr(entry, "opened_at", None)
        client: str | None = getattr(entry, "client_name", None)
        row = row._replace(**_told(entry))
        if opened_at is not None:
            row = row._replace(opened_at=opened_at, opened_how=How.TOLD)
        elif made.compares:
            row = row._replace(opened_at=made.at, opened_how=How.SEEN, not_before=made.after)
        elif not may_be_kept(entry.user_name, entry.path, row.owner):
            row = row._replace(not_before=self._clients.not_before(entry.user_name))
        if client is not None:
            return row._replace(client_name=client, client_how=How.TOLD)
        return self._clients.infer(row)

    def _renewed_file(self, row: FileRow, entry: FileInfo) -> FileRow:
        # Seldom has anybody come or gone.
        changed = self._clients.changed
        if changed and row.user_name is not None and row.client_how is not How.TOLD and fold(row.user_name) in changed:
            row = self._clients.infer(row)
        if (row.permissions, row.num_locks) != (entry.permissions, entry.num_locks):
            row = row._replace(permissions=entry.permissions, num_locks=entry.num_locks)
        if type(entry) is FileInfo and row.oplock is None:
            return row  # most servers tell nothing more
        told = _told(entry)
        return row if all(getattr(row, name) == value for name, value in told.items()) else row._replace(**told)

    # --- shares

    def _shares(self, made: _Changes) -> Generator[None, None, dict[ShareKey, ShareRow]]:
        before, rows = self._picture.shares, dict[ShareKey, ShareRow]()
        for step in _steps(made.look.shares or ()):
            for entry in step:
                key = ShareKey(entry.netname or "")
                now = ShareRow(key, key.name, entry.type, entry.path, entry.remark, entry.max_uses, entry.current_uses)
                if (row := before.get(key)) is None:
                    rows[key] = now
                    made.opened(now, None)
                else:
                    rows[key] = made.kept(row, now)
            yield
        for key, row in before.items():
            if key not in rows:
                made.closed(row)
        return rows


def _goes_on(row: FileRow, entry: FileInfo) -> bool:
    """Whether what is listed with the id and the path of a row is the same open file, which is now kept for its user,
    or was reclaimed by its user."""
    if entry.id is None or row.user_name is None or entry.user_name is None:
        return False
    told: str | None = getattr(entry, "owner", None)
    if row.user_name and not entry.user_name:
        return may_be_kept(entry.user_name, entry.path, told) and fold(told or row.user_name) == fold(row.user_name)
    if entry.user_name and may_be_kept(row.user_name, row.path, row.owner):
        return fold(row.owner or entry.user_name) == fold(entry.user_name)
    return False


# Rows of before, and what is listed now, of one client, user and id.
_Group = tuple[list[SessionRow], list[SessionInfo]]


def _steps(values: Iterable[T]) -> Iterator[list[T]]:
    """The values, so many at a time as one step takes."""
    left = iter(values)
    while step := list(islice(left, STEP)):
        yield step


class _Changes:
    """What has changed at a look, by what has happened. `compares`: it can be told, since there was a look before that
    told the same things."""

    def __init__(self, look: Look, last: Look | None) -> None:
        self.look = look
        self._answered = look.answered
        self.at = self._answered.wall
        self.after = None if last is None else last.at.wall
        self.compares = last is not None and last.told == look.told
        self.looks = Looks(look.at if last is None else last.at, look.at, _slack(look, last))
        self._closed: list[Change] = []
        self._changed: list[Change] = []
        self._opened: list[Change] = []

    def begun(self, entry: SessionInfo) -> Begun | None:
        """When a listed session began; None where that is not told."""
        age = entry.active_time
        if age is None or (age == 0 and self.look.odd_ages):
            return None
        steady, wall = self._answered
        return Begun(steady - age, wall - age)

    def opened(self, row: Row, at: float | None) -> None:
        """This row is new; it began at that time, as far as that is known."""
        at = self.at if at is None else min(max(at, self.after or 0.0), self.at)
        self._opened.append(Change(What.OPENED, row, at, How.SEEN, self.after))

    def closed(self, row: Row) -> None:
        """This row has gone."""
        self._closed.append(Change(What.CLOSED, row, self.at, How.SEEN, self.after, VANISHED))

    def kept(self, before: R, now: R) -> R:
        """The row to keep: the one before where nothing has changed."""
        if now is before or now == before:
            return before
        fields = tuple(name for name, old, new in zip(now._fields, before, now, strict=True) if old != new)
        self._changed.append(Change(What.CHANGED, now, self.at, How.SEEN, self.after, before=before, fields=fields))
        return now

    def in_order(self) -> list[Change]:
        """All of them. Files close before sessions, and open after them."""
        closed = sorted(self._closed, key=lambda change: isinstance(change.row, SessionRow))
        return [*closed, *self._changed, *self._opened]


def _slack(look: Look, last: Look | None) -> float:
    """How far two looks may differ in when a session began: what a slow answer adds to the whole seconds of ages."""
    durations = look.duration + (0.0 if last is None else last.duration)
    return max(SLACK, 1.0 + durations / 2)


class _FreeKeys:
    """Keys for new sessions, which neither a row of before nor one of now has. Linear in the number of keys."""

    def __init__(self, *taken: dict[SessionKey, SessionRow]) -> None:
        self._taken = taken
        self._next: dict[SessionKey, int] | None = None

    def key(self, entry: SessionInfo, begun: Begun | None) -> SessionKey:
        """The key of a session that began then."""
        begun_at = None if begun is None else int(begun.wall)
        key = SessionKey(entry.client_name, entry.user_name, begun_at, told_id(entry))
        if self._next is None:
            if not any(key in rows for rows in self._taken):
                return key
            self._next = {}
            for rows in self._taken:
                for each in rows:
                    base = each._replace(number=0)
                    self._next[base] = max(self._next.get(base, 0), each.number + 1)
        number = self._next.get(key, 0)
        self._next[key] = number + 1
        return key._replace(number=number)


def _opened(key: SessionKey, entry: SessionInfo, begun: Begun | None, made: _Changes) -> SessionRow:
    """The row of a session that is new."""
    begun_at, how = None, How.UNKNOWN
    if begun is not None:
        begun_at, how = float(int(begun.wall)), How.TOLD
    elif made.compares:
        begun_at, how = made.at, How.SEEN
    row = SessionRow(
        key,
        entry.client_name,
        entry.user_name,
        entry.num_opens,
        begun_at,
        how,
        None if entry.idle_time is None else float(int(made.at - entry.idle_time)),
        entry.user_flags,
        entry.client_type,
        entry.transport,
    )
    return row if type(entry) is SessionInfo else row._replace(**_details(entry))


def _details(entry: SessionInfo) -> dict[str, Any]:
    details: dict[str, Any] = {name: getattr(entry, name, None) for name in _DETAILS}
    # Samba's tools and ksmbd name no channels where there is one.
    channels = getattr(entry, "channels", None)
    return details | {"channels": tuple(channels) if channels else None}


def _renewed(row: SessionRow, entry: SessionInfo, begun: Begun | None, made: _Changes) -> SessionRow:
    """The row as the session is listed now. What moves by no more than the slack stays."""
    begun_at, how, used_at = row.begun_at, row.begun_how, None
    if begun is not None and (begun_at is None or how is not How.TOLD or abs(begun.wall - begun_at) > SLACK):
        begun_at, how = float(int(begun.wall)), How.TOLD
    if entry.idle_time is not None:
        at = made.at - entry.idle_time
        used_at = row.used_at if row.used_at is not None and abs(at - row.used_at) <= SLACK else float(int(at))
    same = (
        row.num_opens == entry.num_opens
        and row.begun_at == begun_at
        and row.begun_how is how
        and row.used_at == used_at
        and row.user_flags == entry.user_flags
        and row.client_type == entry.client_type
        and row.transport == entry.transport
    )
    if not same:
        row = row._replace(
            num_opens=entry.num_opens,
            begun_at=begun_at,
            begun_how=how,
            used_at=used_at,
            user_flags=entry.user_flags,
            client_type=entry.client_type,
            transport=entry.transport,
        )
    return row if type(entry) is SessionInfo else row._replace(**_details(entry))


def _told(entry: FileInfo) -> dict[str, Any]:
    """What servers of this machine tell of an open file beyond MS-SRVS: what its client may cache, and for whom it is
    kept."""
    return {name: getattr(entry, name, None) for name in _BEYOND}
