"""What happens on this machine's own Server, as rows and changes: it tells each event, and nothing has to be guessed.

Pure: the events are arguments. The rules:

  - A session's key has its id, a file's the path and user that it was first seen with: keys stay as they are when a
    file is renamed or its session logs on again as somebody else.
  - An event changes the row that it is about, and those that count it: a file that opens changes its session's
    `num_opens`, a tree connect its session's `shares` and its share's `current_uses`.
  - Reading and writing make no events: `used_at` is what the last event or the last `used` has brought.
  - After a new snapshot what differs from before is told: what opened or changed meanwhile, and what closed, of which
    nobody knows why. Of another run of the Server, all that was before has closed.
  - An event takes constant time, but for a session whose client or user changes: that is linear in its files.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from lanman import events
from lanman.events import Event, FileRecord, Reason, ServerState, SessionRecord, ShareRecord, TreeRecord
from lanman.manage.own import path_at_home
from lanman.manage.watching.changes import RESTARTED, VANISHED, Change, Picture, What
from lanman.manage.watching.keys import SLACK, FileKey, How, SessionKey, ShareKey, told_id
from lanman.manage.watching.rows import FileRow, Row, SessionRow, ShareRow
from lanman.records import SessionInfo
from lanman.rpc.srvsvc.paths import local_path

R = TypeVar("R", SessionRow, FileRow, ShareRow)

LEVEL: Final = 502
"""What the sessions of an event have is at least what this level of NetrSessionEnum has."""

_NO_LIMIT: Final = 0xFFFFFFFF  # shi2_max_uses
_SESS_GUEST: Final = 0x1  # MS-SRVS 2.2.2.3


class Streamed:
    """Brings a picture up to date, event by event, and says what has changed."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self._instance: str | None = None
        self.seen_at = 0.0
        """Until when everything is known, in seconds since 1970."""
        self.stopped = False
        """Whether the Server has said that it stops, so that nothing follows in this run of it."""
        self._clear()

    def _clear(self) -> None:
        self._addresses: dict[int, str] = {}  # of connections
        self._sessions: dict[int, SessionRow] = {}
        self._files: dict[int, FileRow] = {}
        self._trees: dict[int, TreeRecord] = {}
        self._files_of: defaultdict[int, set[int]] = defaultdict(set)
        self._shares_of: defaultdict[int, Counter[str]] = defaultdict(Counter)
        self._shares: dict[str, ShareRow] = {}
        self._uses: Counter[str] = Counter()

    # --- snapshots

    def begin(self, state: ServerState, instance: str, now: float) -> list[Change] | None:
        """Take in what there is, at a time (seconds since 1970). The changes since what was known before; None for the
        first snapshot."""
        before, old, after = self._instance, _Rows(self), self.seen_at
        self._clear()
        again = before == instance
        self._addresses = {connection.id: connection.address for connection in state.connections.values()}
        for share in state.shares.values():
            self._shares[share.name] = _share_row(share, 0)
        for tree in state.tree_connects.values():
            self._connect(tree)
        for name, share_row in self._shares.items():
            self._shares[name] = share_row._replace(current_uses=self._uses[name])
        for file in state.files.values():
            self._files_of[file.session_id].add(file.id)
        for session in state.sessions.values():
            known = old.sessions.get(session.id) if again else None
            self._sessions[session.id] = self._session_row(session, known)
        for file in state.files.values():
            self._files[file.id] = self._file_row(file, old.files.get(file.id) if again else None)
        self._instance, self.seen_at, self.stopped = instance, now, not state.running
        new = _Rows(self)
        self._picture.level, self._picture.streamed = LEVEL, True
        changes = None if before is None else list(_differences(old, new, after, now, again=again))
        for row in new:
            self._picture.put(row)
        for row in old:
            if row.key not in new.keys:
                self._picture.remove(row)
        return None if changes is None else [change for change in changes if self._is_wanted(change)]

    def _is_wanted(self, change: Change) -> bool:
        return change.row.kind in self._picture.kinds

    # --- events

    def take(self, event: Event) -> list[Change]:
        """Take in one event; the changes that it makes, in order."""
        changes = [change for change in self._taken(event) if self._is_wanted(change)]
        for change in changes:
            self._picture.apply(change)
        return changes

    def _taken(self, event: Event) -> Iterator[Change]:
        match event:
            case events.FileClosed():
                yield from self._close_file(event.file.id, event.time, event.reason)
            case events.SessionClosed():
                self._files_of.pop(event.session.id, None)
                self._shares_of.pop(event.session.id, None)
                yield from _closed(self._sessions.pop(event.session.id, None), event.time, event.reason)
            case events.TreeConnected():
                self._connect(event.tree_connect)
                yield from self._used_share(event.tree_connect, event.time, event.time)
            case events.TreeDisconnected():
                if self._disconnect(event.tree_connect.id):
                    yield from self._used_share(event.tree_connect, event.time, None)
            case events.ShareRemoved():
                yield from _closed(self._shares.pop(event.share.name, None), event.time, Reason.SHARE_DELETED)
            case events.ShareAdded() | events.ShareChanged() | events.ShareAvailability():
                row = _share_row(event.share, self._uses[event.share.name])
                yield from _put(self._shares, event.share.name, row, event.time)
            case (
                events.SessionOpened()
                | events.SessionExpired()
                | events.SessionReauthenticated()
                | events.SessionChanged()
            ):
                yield from self._renew(event.session, event.time)
            case events.FileOpened():
                yield from self._put_file(event.file, event.time, opened=True)
            case (
                events.FilePreserved()
                | events.FileReclaimed()
                | events.FileRenamed()
                | events.FileLocked()
                | events.FileUnlocked()
                | events.OplockGranted()
                | events.OplockBroken()
                | events.LeaseChanged()
            ):
                yield from self._put_file(event.file, event.time, opened=False)
            case events.ConnectionOpened():
                self._addresses[event.connection.id] = event.connection.address
            case events.ConnectionClosed():
                self._addresses.pop(event.connection.id, None)
            case events.ServerStopped():
                self.stopped = True
            case _:
                return  # settings, refusals and the start are no rows

    def _renew(self, record: SessionRecord, at: float) -> Iterator[Change]:
        """A session is there, or is somebody else's; and so are its files."""
        row = self._session_row(record, self._sessions.get(record.id))
        yield from _put(self._sessions, record.id, row, at)
        for id in sorted(self._files_of[record.id]):
            file = self._files[id]._replace(client_name=row.client_name, user_name=row.user_name)
            yield from _put(self._files, id, file, at)

    def _put_file(self, record: FileRecord, at: float, *, opened: bool) -> Iterator[Change]:
        """A file is open, or is otherwise than it was; it may have another session, or none."""
        known = self._files.get(record.id)
        had = self._session_of(record.id, known)
        row = self._file_row(record, known)
        yield from _put(self._files, record.id, row, at)
        if had != record.session_id:
            if had is not None:
                self._files_of[had].discard(record.id)
                yield from self._count(had, at)
            self._files_of[record.session_id].add(record.id)
            yield from self._count(record.session_id, at, at if opened else None)

    def _session_of(self, id: int, row: FileRow | None) -> int | None:
        """The id of the session that a known file is in, 0 for none; None for a file that is not known."""
        if row is None:
            return None
        return row.session.id if row.session is not None and isinstance(row.session.id, int) else 0

    def _close_file(self, id: int, at: float, reason: Reason) -> Iterator[Change]:
        row = self._files.pop(id, None)
        session = self._session_of(id, row)
        yield from _closed(row, at, reason)
        if session is not None:
            self._files_of[session].discard(id)
            yield from self._count(session, at)

    def _count(self, session: int, at: float, used_at: float | None = None) -> Iterator[Change]:
        """A session has another number of files open, and perhaps was used."""
        if (row := self._sessions.get(session)) is not None:
            row = row._replace(num_opens=len(self._files_of[session]), used_at=used_at or row.used_at)
            yield from _put(self._sessions, session, row, at)

    def _connect(self, tree: TreeRecord) -> None:
        self._trees[tree.id] = tree
        self._shares_of[tree.session_id][tree.share] += 1
        self._uses[tree.share] += 1

    def _disconnect(self, id: int) -> bool:
        """Forget a tree connect. Whether it was known."""
        tree = self._trees.pop(id, None)
        if tree is None:
            return False
        self._uses[tree.share] -= 1
        if (of := self._shares_of.get(tree.session_id)) is not None:
            of[tree.share] -= 1
            if not of[tree.share]:
                del of[tree.share]
        if not self._uses[tree.share]:
            del self._uses[tree.share]
        return True

    def _used_share(self, tree: TreeRecord, at: float, used_at: float | None) -> Iterator[Change]:
        """A share is in use by more or by fewer."""
        if (session := self._sessions.get(tree.session_id)) is not None:
            session = session._replace(shares=self._shares_in_use(tree.session_id), used_at=used_at or session.used_at)
            yield from _put(self._sessions, tree.session_id, session, at)
        if (share := self._shares.get(tree.share)) is not None:
            yield from _put(self._shares, tree.share, share._replace(current_uses=self._uses[tree.share]), at)

    def _shares_in_use(self, session: int) -> tuple[str, ...]:
        return tuple(sorted(self._shares_of.get(session, ())))

    # --- when sessions were used

    def used(self, sessions: Iterable[SessionInfo], at: float) -> list[Change]:
        """Take in when sessions were used, as a list tells that was made at a time (seconds since 1970)."""
        changes: list[Change] = []
        for entry in sessions:
            id = told_id(entry)
            row = self._sessions.get(id) if isinstance(id, int) else None
            if row is None or entry.idle_time is None:
                continue
            used_at = at - entry.idle_time
            if row.used_at is None or abs(used_at - row.used_at) > SLACK:
                assert isinstance(id, int)
                changes += _put(self._sessions, id, row._replace(used_at=float(int(used_at))), at)
        changes = [change for change in changes if self._is_wanted(change)]
        for change in changes:
            self._picture.apply(change)
        return changes

    # --- rows

    def _session_row(self, record: SessionRecord, known: SessionRow | None) -> SessionRow:
        key = SessionKey(record.client_name, record.user_name, int(record.begun_at), record.id)
        return SessionRow(
            key if known is None else known.key,
            record.client_name,
            record.user_name,
            len(self._files_of.get(record.id, ())),
            record.begun_at,
            How.TOLD,
            # What a request has opened says that it was used, too.
            record.used_at if known is None else max(record.used_at, known.used_at or 0.0),
            _SESS_GUEST if record.guest else 0,
            "",
            record.transport,
            self._shares_in_use(record.id),
            record.domain,
            record.address,
            record.dialect,
            record.signing,
            record.encryption,
            record.anonymous,
            record.guest,
            tuple(self._addresses.get(each, "") for each in record.connection_ids),
        )

    def _file_row(self, record: FileRecord, known: FileRow | None) -> FileRow:
        path = path_at_home(record.path)
        session = self._sessions.get(record.session_id)
        return FileRow(
            FileKey(record.id, path, record.user_name) if known is None else known.key,
            record.id,
            path,
            record.user_name,
            record.access,
            record.num_locks,
            record.client_name or None,
            How.TOLD,
            (),
            record.opened_at,
            How.TOLD,
            None,
            None if session is None else session.key,
            record.share,
            record.oplock,
            record.lease,
            record.lease_key,
            record.durable,
            record.owner,
            record.expires_at or None,
        )


class _Rows:
    """All rows at a time, by the Server's own names for them."""

    def __init__(self, streamed: Streamed) -> None:
        self.sessions = streamed._sessions
        self.files = streamed._files
        self.shares = streamed._shares
        self._kinds = streamed._picture.kinds

    def __iter__(self) -> Iterator[Row]:
        tables: Sequence[Mapping[Any, Row]] = self.files, self.sessions, self.shares
        for rows in tables:
            for row in rows.values():
                if row.kind in self._kinds:
                    yield row

    @property
    def keys(self) -> set[object]:
        """The keys of all rows."""
        return {row.key for row in self}


def _share_row(record: ShareRecord, uses: int) -> ShareRow:
    return ShareRow(
        ShareKey(record.name),
        record.name,
        record.type,
        local_path(record.path),
        record.remark,
        record.max_users or _NO_LIMIT,
        uses,
        record.problem,
    )


# --- changes


def _put(rows: dict[Any, R], id: object, row: R, at: float) -> Iterator[Change]:
    """Have a row in place of the one before; the change that this is, if it is one."""
    before = rows.get(id)
    rows[id] = row
    if before is None:
        yield Change(What.OPENED, row, at, How.TOLD)
    elif before != row:
        yield Change(What.CHANGED, row, at, How.TOLD, before=before, fields=_differing(before, row))


def _differing(before: Row, now: Row) -> tuple[str, ...]:
    return tuple(name for name, old, new in zip(now._fields, before, now, strict=True) if old != new)


def _closed(row: Row | None, at: float, reason: Reason) -> Iterator[Change]:
    if row is not None:
        yield Change(What.CLOSED, row, at, How.TOLD, why=reason.value)


def _differences(old: _Rows, new: _Rows, after: float, now: float, *, again: bool) -> Iterator[Change]:
    """What has happened between two snapshots; between those of two runs, where it is not the same one `again`."""
    # A share is its name, which outlives the Server.
    tables: list[tuple[Mapping[Any, Row], Mapping[Any, Row], bool]]
    tables = [(old.files, new.files, again), (old.sessions, new.sessions, again), (old.shares, new.shares, True)]
    for before, rows, compare in tables:
        for id, row in before.items():
            if not compare or id not in rows:
                yield Change(What.CLOSED, row, now, How.SEEN, after, VANISHED if compare else RESTARTED)
    for before, rows, compare in reversed(tables):
        for id, row in rows.items():
            known = before.get(id) if compare else None
            if known is None:
                yield _opened_meanwhile(row, after, now)
            elif known != row:
                fields = _differing(known, row)
                yield Change(What.CHANGED, row, now, How.SEEN, after, before=known, fields=fields)


def _opened_meanwhile(row: Row, after: float, now: float) -> Change:
    """It opened between two snapshots, and may tell when."""
    at = row.opened_at if isinstance(row, FileRow) else row.begun_at if isinstance(row, SessionRow) else None
    if at is None or at < after:
        return Change(What.OPENED, row, now, How.SEEN, after)
    return Change(What.OPENED, row, at, How.TOLD)
