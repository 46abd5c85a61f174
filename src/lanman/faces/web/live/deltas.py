"""What is shown of a server, and what has changed in it since it was last told: updates of a poller in, deltas out.

    shown, pending = Shown(), Pending()
    pending.take(update.changes)                  # any number of times
    delta = yield from pending.merged(shown)      # what differs from what is shown
    shown.apply(delta)

The rules:

  - What is shown changes by deltas alone, or begins anew with a whole picture. So whoever has what was shown at some
    time, and applies each delta since, has what is shown now.
  - A delta says of a row that it is there (`open`: all of it), that it is otherwise (`change`: the fields that differ
    from what was shown, never none), or that it has gone (`close`: its names, why and when). A row is in one of the
    three at most: what came and went between two deltas is in none of them, and neither is what is again as it was.
  - Rows are as `lanman watch --json` has them (`lanman.manage.watching.forms`). The form of a row, and its text, is
    made once for as long as the row is as it is, however many ask for it.
  - What takes long where there are many rows is a generator that is run step by step, and yields nothing.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from lanman.manage.watching.changes import Change, Gap, Picture, What
from lanman.manage.watching.forms import field_form, gap_form, instant, names_form, row_form
from lanman.manage.watching.keys import Key
from lanman.manage.watching.rows import Kind, Row, SessionRow

STEP: Final = 200
"""So many rows are worked on at once, which takes a few milliseconds."""


class Closed(NamedTuple):
    """A row that has gone: its key, as a word, what it was last, why and when (seconds since 1970)."""

    key: str
    row: Row
    why: str | None
    at: float


class Changed(NamedTuple):
    """A row that is otherwise now, the names of the fields that differ, and the row as it was shown before."""

    key: str
    row: Row
    fields: tuple[str, ...]
    before: Row


class Delta(NamedTuple):
    """What differs from what is shown."""

    opened: Sequence[tuple[str, Row]] = ()
    changed: Sequence[Changed] = ()
    closed: Sequence[Closed] = ()

    @property
    def rows(self) -> int:
        """How many rows it is about."""
        return len(self.opened) + len(self.changed) + len(self.closed)


class Shown:
    """The rows that are shown of a server, by key as a word, in the order in which they came; and their forms."""

    def __init__(self) -> None:
        self._rows: dict[Kind, dict[str, Row]] = {kind: {} for kind in Kind}
        self._forms: dict[str, dict[str, Any]] = {}
        self._texts: dict[str, str] = {}
        self._words: dict[Key, str] = {}

    def begin(self, picture: Picture) -> Generator[None, None, None]:
        """Show a whole picture, which must stay as it is until this has ended. Nothing is shown otherwise before."""
        words: dict[Key, str] = {}
        found: dict[Kind, dict[str, Row]] = {}
        tables: Sequence[tuple[Kind, Mapping[Any, Row]]] = (
            (Kind.SESSION, picture.sessions),
            (Kind.FILE, picture.files),
            (Kind.SHARE, picture.shares),
        )
        for kind, table in tables:
            rows = found[kind] = {}
            for number, (key, row) in enumerate(table.items()):
                if number % STEP == STEP - 1:
                    yield
                rows[words.setdefault(key, str(key))] = row
        self._rows, self._words, self._forms, self._texts = found, words, {}, {}

    def apply(self, delta: Delta) -> None:
        """Show what a delta says. It must be one that was made for what is shown."""
        for closed in delta.closed:
            row = self._rows[closed.row.kind].pop(closed.key)
            self._words.pop(row.key, None)
            self._forget(closed.key)
        for changed in delta.changed:
            self._rows[changed.row.kind][changed.key] = changed.row
            self._forget(changed.key)
        for key, row in delta.opened:
            self._rows[row.kind][key] = row
            self._words[row.key] = key

    def _forget(self, key: str) -> None:
        self._forms.pop(key, None)
        self._texts.pop(key, None)

    def word(self, key: Key) -> str:
        """The word of a key, which takes long to make."""
        return self._words.get(key) or str(key)

    def row(self, key: str) -> Row | None:
        """The row that is shown with a key; None where there is none."""
        for rows in self._rows.values():
            if (row := rows.get(key)) is not None:
                return row
        return None

    def of(self, kind: Kind) -> Mapping[str, Row]:
        """The rows of a kind, by key. They are others after the next delta."""
        return self._rows[kind]

    def form(self, key: str, row: Row) -> dict[str, Any]:
        """A row that is shown, for programs; not to be changed."""
        form = self._forms.get(key)
        if form is None:
            form = self._forms[key] = row_form(row, key)
        return form

    def text(self, key: str, row: Row) -> str:
        """A row that is shown, as JSON."""
        text = self._texts.get(key)
        if text is None:
            text = self._texts[key] = as_json(self._forms.get(key) or row_form(row, key))
        return text

    def keep_text(self, key: str, text: str) -> None:
        """Have the text of a row, which somebody has made."""
        self._texts[key] = text


class Pending:
    """What has changed since the last delta was made."""

    def __init__(self) -> None:
        self._last: dict[Key, Change] = {}
        self.gap: Gap | None = None
        """The time of which not everything is known."""

    def __bool__(self) -> bool:
        return bool(self._last) or self.gap is not None

    def __len__(self) -> int:
        """How many rows something has happened to."""
        return len(self._last)

    def take(self, changes: Iterable[Change], gap: Gap | None = None) -> None:
        """Take in what has happened, in order."""
        for change in changes:
            # Behind those that were there: what is new is shown in the order in which it came.
            self._last.pop(change.row.key, None)
            self._last[change.row.key] = change
        if gap is not None:
            self.gap = gap if self.gap is None else self.gap._replace(until=gap.until)

    def clear(self) -> None:
        """Forget all of it: what is shown begins anew."""
        self._last, self.gap = {}, None

    def merged(self, shown: Shown) -> Generator[None, None, Delta]:
        """What differs from what is shown; and nothing is pending any more. Nothing may be taken in, nor be shown,
        before it has ended."""
        opened: list[tuple[str, Row]] = []
        changed: list[Changed] = []
        closed: list[Closed] = []
        for number, (key, change) in enumerate(self._last.items()):
            if number % STEP == STEP - 1:
                yield
            row, word = change.row, shown.word(key)
            before = shown.of(row.kind).get(word)
            if change.what is What.CLOSED:
                if before is not None:
                    closed.append(Closed(word, before, change.why, change.at))
            elif before is None:
                opened.append((word, row))
            elif fields := differing(before, row):
                changed.append(Changed(word, row, fields, before))
        self.clear()
        return Delta(opened, changed, closed)


def differing(before: Row, now: Row) -> tuple[str, ...]:
    """The names of the fields in which two rows of one kind differ."""
    return tuple(name for name, old, new in zip(now._fields, before, now, strict=True) if old != new)


def delta_text(delta: Delta, shown: Shown, gap: Gap | None = None) -> Iterator[str]:
    """A delta as JSON without the brace that opens it, in pieces of a row each: what goes before it is its head. The
    texts of rows that are new are kept for `shown`."""
    if gap is not None:
        yield f'"gap":{as_json(gap_form(gap))},'
    yield '"open":['
    for number, (key, row) in enumerate(delta.opened):
        text = as_json(row_form(row, key))
        shown.keep_text(key, text)
        yield f",{text}" if number else text
    yield '],"change":['
    for number, changed in enumerate(delta.changed):
        text = as_json(changed_form(changed))
        yield f",{text}" if number else text
    yield '],"close":['
    for number, closed in enumerate(delta.closed):
        text = as_json(closed_form(closed))
        yield f",{text}" if number else text
    yield "]}"


def changed_form(changed: Changed) -> dict[str, Any]:
    """A row that is otherwise: the fields that differ. Of a session with other connections also those that it had
    before, and its names: that is news by itself, and who hears of it may have no list to look in."""
    form = {"key": changed.key, "kind": changed.row.kind.value}
    if _is_otherwise_connected(changed):
        before: SessionRow = changed.before  # type: ignore[assignment]
        form |= names_form(changed.row) | {"channels_before": field_form("channels", before.channels)}
    return form | {name: field_form(name, getattr(changed.row, name)) for name in changed.fields if name != "key"}


def _is_otherwise_connected(changed: Changed) -> bool:
    """Whether a session has lost connections or has new ones. None stands for one (Samba), or is told where a session
    ended while details were asked for: that one is known now, or is not any more, is no news."""
    before, now = changed.before, changed.row
    if not isinstance(before, SessionRow) or not isinstance(now, SessionRow) or before.channels == now.channels:
        return False
    return None not in (before.channels, now.channels) or len(before.channels or now.channels or ()) > 1


def closed_form(closed: Closed) -> dict[str, Any]:
    """A row that has gone, with its names: who hears of it may never have seen it."""
    form = {"key": closed.key, "kind": closed.row.kind.value} | names_form(closed.row)
    return form | {"why": closed.why, "at": instant(closed.at)}


def as_json(value: Any) -> str:
    """A value as JSON, in ASCII alone: halves of surrogate pairs too, which names from the wire may hold."""
    return json.dumps(value, separators=(",", ":"))
