"""What `lanman watch` writes: a line of words for each event, or an object of JSON for each update.

The lines are meant to be read aloud: words in place of signs, no columns, nothing that is written over. What a peer
says is escaped. A line begins with the time of the event on this machine's clock; another day is announced by a line of
its own. Not every change is an event for people: that a session was used, or has one more file open, is told to
programs alone.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from lanman.faces.cli import output
from lanman.faces.cli.watchfilter import RowFilter
from lanman.faces.text import OWNER_UNKNOWN, escape
from lanman.manage.watching.changes import Change, Picture, Update, What
from lanman.manage.watching.clients import owner_unknown
from lanman.manage.watching.forms import change_form, gap_form, instant, picture_form, row_form
from lanman.manage.watching.keys import How
from lanman.manage.watching.rows import FileRow, Kind, Row, SessionRow, ShareRow, refused_row

if TYPE_CHECKING:
    from lanman.events import Event

# Bits of an open file that let its opener change it: PERM_FILE_WRITE and PERM_FILE_CREATE of MS-SRVS 2.2.4.7, which as
# an access mask are FILE_WRITE_DATA and FILE_APPEND_DATA.
_WRITING: Final = 0x6

NO_LIMIT: Final = 0xFFFFFFFF  # shi2_max_uses


class Writer(ABC):
    """Writes what happens on one server. `name` is what it was called; `several` are watched beside each other."""

    def __init__(self, name: str, meant: RowFilter, shown: frozenset[Kind], *, several: bool = False) -> None:
        self.name = name
        self._meant = meant
        self._shown = shown
        self._several = several
        self.written = 0
        """How many events were written."""
        self.incomplete = False
        """Whether something may be missing: it did not answer, or not in time."""

    async def write(self, update: Update) -> None:
        """Write an update. Raises StandardOutputError."""
        await self._meant.learn(change.row for change in update.changes)
        refusals = [row for row in map(refused_row, update.events) if row is not None]
        await self._meant.learn(refusals)
        if update.first:
            await self._meant.learn([*update.picture.sessions.values(), *update.picture.files.values()])
        self.incomplete |= update.gap is not None or update.picture.error is not None
        self._write(update)

    def _rows(self, picture: Picture) -> Iterator[Row]:
        for rows in (picture.sessions, picture.files, picture.shares):
            yield from (row for row in rows.values() if self._is_meant(row))

    def _is_meant(self, row: Row) -> bool:
        return row.kind in self._shown and self._meant.means(row)

    def _changes(self, update: Update) -> list[Change]:
        return [
            change
            for change in update.changes
            if self._is_meant(change.row) or (change.before is not None and self._is_meant(change.before))
        ]

    def _events(self, update: Update) -> Iterator[Event]:
        """What happened without changing a row, and is meant."""
        for event in update.events:
            row = refused_row(event)
            if row is not None and self._meant.means(row):
                yield event

    @abstractmethod
    def _write(self, update: Update) -> None: ...


# --- for programs


class Records(Writer):
    """One JSON object a line: `hello` with all rows, `delta` with changes, `server` for its coming and going."""

    _seq = 0
    _up: bool | None = None

    def _write(self, update: Update) -> None:
        picture = update.picture
        if picture.error is not None:
            if update.changes:
                self._delta(update)
            if self._up is not False:
                self._emit("server", up=False, **picture_form(picture))
            self._up = False
            return
        if self._up is False:
            self._emit("server", up=True, gap=gap_form(update.gap), **picture_form(picture))
        elif update.gap is not None:
            self._emit("gap", **(gap_form(update.gap) or {}))
        self._up = True
        if update.first:
            self._emit("hello", **picture_form(picture), open=[row_form(row) for row in self._rows(picture)])
        else:
            self._delta(update)

    def _delta(self, update: Update) -> None:
        changes = self._changes(update)
        if changes:
            parts: dict[str, Any] = {
                name: [change_form(change) for change in changes if change.what is what]
                for name, what in (("open", What.OPENED), ("change", What.CHANGED), ("close", What.CLOSED))
            }
            self._emit("delta", how="streamed" if update.picture.streamed else "polled", **parts)
            self.written += len(changes)
        for event in self._events(update):
            self._emit("refused", **_refusal(event))
            self.written += 1

    def _emit(self, event: str, **parts: Any) -> None:
        self._seq += 1
        now = time.time()
        head = {"schema": output.SCHEMA, "event": event, "server": self.name, "seq": self._seq}
        output.write(json.dumps({**head, "t": round(now, 3), "at": instant(now), **parts}) + "\n")


def _refusal(event: Event) -> dict[str, Any]:
    form = {name: value for name, value in event._asdict().items() if name not in ("sequence", "time", "reason")}
    reason = getattr(event, "reason", None)
    return {
        "what": "log-on" if reason is not None else "access",
        "refused_at": instant(event.time),
        **form,
        "why": None if reason is None else reason.value,
    }


# --- for people


class Lines(Writer):
    """A line of words for each event."""

    _day = ""
    _error = ""

    def __init__(
        self, name: str, meant: RowFilter, shown: frozenset[Kind], *, every: float, several: bool = False
    ) -> None:
        super().__init__(name, meant, shown, several=several)
        self._every = every

    def _write(self, update: Update) -> None:
        picture = update.picture
        for change in self._changes(update):
            if (words := change_words(change)) is not None:
                self._event(change.at, words)
        for event in self._events(update):
            self._event(event.time, refusal_words(event))
        now = time.time()
        if picture.error is not None:
            if picture.error.message != self._error:
                self._error = picture.error.message
                last = "" if picture.asked_at is None else f"; it last did at {clock(picture.asked_at)}"
                self._line(now, f"{self.name} does not answer{last}: {picture.error.message}")
            return
        again, self._error = self._error, ""
        if update.gap is not None:
            missing = f"what came and went between {clock(update.gap.since)} and {clock(update.gap.until)} is missing"
            self._line(now, f"{self.name}{' answers again' if again else ''}: {missing} ({update.gap.why})")
        if update.first:
            self._line(now, f"{self.name}: {self._summary(picture)}")
            if self._meant.path_how is How.INFERRED:
                self._line(
                    now, f"{self.name} does not tell where that share is: files are meant by the end of their paths"
                )
            for kind, error in picture.refused.items():
                self._line(now, f"{self.name} does not tell its {kind.value}s: {error.message}")

    def _summary(self, picture: Picture) -> str:
        rows = list(self._rows(picture))
        counts = []
        for kind in (Kind.SESSION, Kind.FILE, Kind.SHARE):
            if kind in self._shown:
                number = sum(row.kind is kind for row in rows)
                counts.append(f"{number:,} {'open ' * (kind is Kind.FILE)}{kind.value}{'s' * (number != 1)}")
        if picture.streamed:
            return f"{', '.join(counts)}; it tells each event itself"
        level = "" if picture.level is None else f"; level {picture.level}"
        return f"{', '.join(counts)}{level}; asked every {self._every:g} s, what comes and goes in between is not seen"

    def _event(self, at: float, words: str) -> None:
        self.written += 1
        self._line(at, f"{self.name}: {words}" if self._several else words)

    def _line(self, at: float, words: str) -> None:
        day = time.strftime("%Y-%m-%d", time.localtime(at))
        lines = [f"{clock(at)} {escape(words)}"]
        if day > self._day:
            if self._day:
                lines.insert(0, day)
            self._day = day
        output.emit(lines)


def clock(at: float) -> str:
    """The time of day on this machine's clock: `14:05:02`."""
    return time.strftime("%H:%M:%S", time.localtime(at))


def change_words(change: Change) -> str | None:
    """A change in words; None for one that people need not hear of."""
    row = change.row
    if change.what is What.CHANGED:
        return _changed_words(change)
    what = change.what.value
    if isinstance(row, ShareRow):
        what = "added" if change.what is What.OPENED else "removed"
    words = f"{row.kind.value} {what}: {_named(row)}"
    return words if change.why is None else f"{words}: {change.why}"


def _changed_words(change: Change) -> str | None:
    row, before, fields = change.row, change.before, set(change.fields)
    if isinstance(row, FileRow) and isinstance(before, FileRow):
        if row.owner and not before.owner:
            return f"file kept: {_named(row)}"
        if row.user_name and before.user_name == "":
            return f"file reclaimed: {_named(row)}"
        if "path" in fields:
            return f"file renamed: {_named(row)}: it was {before.path}"
        if "num_locks" in fields and row.num_locks is not None:
            return f"file locks: {_named(row)}: {row.num_locks}"
    if isinstance(row, SessionRow) and isinstance(before, SessionRow) and fields & {"user_name", "client_name"}:
        return f"session changed: {_named(row)}: it was {_who(before.user_name, [before.client_name])}"
    if isinstance(row, ShareRow) and (words := _share_words(row, fields)):
        return f"share changed: {row.name}: {words}"
    return None


def _share_words(row: ShareRow, fields: set[str]) -> str:
    """What is otherwise of a share; "" where it is only used by more or by fewer."""
    limit = "no limit" if row.max_uses in (None, NO_LIMIT) else f"at most {row.max_uses:,} users"
    parts = {
        "path": f"its folder is {row.path}",
        "remark": f"its remark is {row.remark!r}",
        "max_uses": limit,
        "problem": f"it cannot be used: {row.problem}" if row.problem else "it can be used",
        "type": "its type is another",
    }
    return "; ".join(words for name, words in parts.items() if name in fields)


def _named(row: Row) -> str:
    if isinstance(row, SessionRow):
        return _who(row.user_name, [row.client_name])
    if isinstance(row, FileRow):
        clients: Sequence[str | None] = row.candidates or [row.client_name]
        writing = ", for writing" if (row.permissions or 0) & _WRITING else ""
        who = _who(row.user_name, clients)
        if row.owner:
            who = f"{row.owner}, whose client is lost"
        elif owner_unknown(row.user_name, row.path, row.owner):
            who = OWNER_UNKNOWN
        return f"{row.path or f'number {row.id}'}, {who}{writing}"
    return row.name if row.path is None else f"{row.name}, {row.path}"


def _who(user: str | None, clients: Sequence[str | None]) -> str:
    """`bob from \\\\pc7`; what is not told is left out."""
    named = "" if user is None else user or "a null session"
    known = [client for client in clients if client]
    where = f"from {' or '.join(known)}" if known else ""
    return " ".join(filter(None, [named, where])) or "somebody"


def refusal_words(event: Event) -> str:
    """Who was refused what, and why."""
    who = _who(getattr(event, "user_name", ""), [getattr(event, "client_name", None)])
    if (reason := getattr(event, "reason", None)) is not None:
        return f"log-on refused: {who}: {reason.value}"
    share, path = getattr(event, "share", ""), getattr(event, "path", "")
    return f"access denied: {who}: share {share}" + (f", {path}" if path else "")
