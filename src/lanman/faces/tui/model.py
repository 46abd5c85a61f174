"""One server as the screen knows it: its four lists, its events, and what is said of it in the first line.

Updates (`lanman.manage.watching.changes`) go in, rows and sentences come out; nothing here knows of a terminal.

  - The lists hold values of their own, by key: the watcher's picture is brought up to date behind our back.
  - A server that is away keeps its rows; what is said of it has their age, in words. So does a node of a cluster: its
    rows have a sign of their own.
  - What happened while nobody could see is an event too: a gap is a line of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol, TypeVar

from lanman.errors import LanmanError
from lanman.events import (
    Event,
    LogonRefused,
    PermissionDenied,
    ServerContinued,
    ServerPaused,
    ServerStarted,
    ServerStopped,
    SettingChanged,
)
from lanman.faces.text import duration
from lanman.faces.tui.listing import Listing
from lanman.faces.tui.symbols import Symbols
from lanman.faces.tui.views import (
    EVENT_COLUMNS,
    FILE_COLUMNS,
    NO_LIMIT,
    SHARE_COLUMNS,
    Autodisconnect,
    EventRow,
    client,
    clock_time,
    event_sign,
    session_columns,
    user,
    with_node,
)
from lanman.manage.watching.changes import Change, Picture, Update, What
from lanman.manage.watching.keys import FileKey, Key, SessionKey, ShareKey
from lanman.manage.watching.nodes import Away, NodesPicture
from lanman.manage.watching.rows import FileRow, Kind, Row, SessionRow, ShareRow, refused_row
from lanman.records import ServerInfo

MAX_EVENTS: Final = 10_000
"""How many events are kept; the oldest go first."""

RECENT: Final = 60.0
"""The arrivals and departures of so many seconds are counted beside the number of sessions."""

FRESH: Final = 10.0
"""For so many seconds a row is marked as new, or as changed."""

K = TypeVar("K", bound=Key)
R = TypeVar("R", bound=SessionRow | FileRow)

AnyListing = Listing[Any, Any]

TABS: Final = ("Sessions", "Files", "Shares", "Events")
KINDS: Final = (Kind.SESSION, Kind.FILE, Kind.SHARE, None)


class Meant(Protocol):
    """Says which rows are shown, and in words (`str`) which those are. `learn` has to see a row first."""

    async def learn(self, rows: Iterable[Row]) -> None:
        """Look up what has to be known to judge some rows."""

    def means(self, row: Row) -> bool:
        """Whether this row is shown."""


class WatchedServer:
    """What is known of one server that is watched. `name` is what it is called until it says its own name.

    `meant` chooses the rows that are listed. What is worked out from all of them uses the picture.
    """

    def __init__(self, name: str, meant: Meant | None = None, *, nodes: bool = False) -> None:
        self.name = name
        self.meant = meant
        self.picture: Picture | None = None
        self.ended = ""
        """Why it is no longer watched; "" while it is."""
        self.limit: int | None = None
        self.locks = 0
        self.autodisconnect = Autodisconnect()
        self.sessions: Listing[SessionKey, SessionRow] = Listing(with_node(session_columns(self.autodisconnect), nodes))
        self.files: Listing[FileKey, FileRow] = Listing(with_node(FILE_COLUMNS, nodes))
        self.shares: Listing[ShareKey, ShareRow] = Listing(with_node(SHARE_COLUMNS, nodes))
        self.events: Listing[int, EventRow] = Listing(EVENT_COLUMNS, follow=True, newest_first=True)
        self.newest: deque[EventRow] = deque(maxlen=20)
        # The picture is brought up to date behind our back, so what it was is kept here.
        self._answers: bool | None = None
        self._number = 0
        self._away: set[str] = set()
        self._moves: deque[tuple[float, What]] = deque()
        self._fresh: dict[Key, tuple[float, str]] = {}

    def listing(self, tab: int) -> AnyListing:
        """The list of a tab, by its place in TABS."""
        return (self.sessions, self.files, self.shares, self.events)[tab]

    # --- what comes in

    def take(self, update: Update, now: float) -> bool:
        """Take in what a watcher gives. True if the server answers and did not before."""
        self._take_away(update, now)
        did_answer, self._answers = self._answers, update.picture.error is None
        picture = self.picture = update.picture
        if update.gap is not None:
            self._say(
                update.gap.until, f"changes since {_time(update.gap.since)} may be missing: {update.gap.why}", now
            )
        if update.first:
            self.sessions.replace(self._shown(picture.sessions), now)
            self.files.replace(self._shown(picture.files), now)
            self.shares.replace(dict(picture.shares), now)
        else:
            self._take_changes(update.changes, now)
        self._add(
            [
                self._numbered(event.time or now, said)
                for event in update.events
                if (said := in_words(event)) and ((row := refused_row(event)) is None or self._is_shown(row))
            ],
            now,
        )
        self.locks = sum(row.num_locks or 0 for row in self.files.rows.values())
        if did_answer is not False and picture.error is not None:
            self._say(now, f"does not answer: {picture.error}", now)
        elif did_answer is False and picture.error is None:
            self._say(now, "answers again", now)
        return self._answers and not did_answer

    def _take_away(self, update: Update, now: float) -> None:
        """Say which nodes of a cluster went away, and which are there again."""
        if not isinstance(update.picture, NodesPicture):
            return
        away = update.picture.away
        for node, each in away.items():
            if node not in self._away:
                self._say(now, f"{node} does not answer: {each.error}", now)
        for node in self._away - away.keys():
            self._say(now, f"{node} answers again", now)
        self._away = set(away)

    async def learn(self, update: Update) -> None:
        """Look up what has to be known to choose rows, before `take`."""
        if self.meant is not None:
            rows: list[Row] = [change.row for change in update.changes]
            rows += [row for row in map(refused_row, update.events) if row is not None]
            if update.first:
                rows = [*update.picture.sessions.values(), *update.picture.files.values()]
            await self.meant.learn(rows)

    def _is_shown(self, row: Row) -> bool:
        return self.meant is None or row.kind is Kind.SHARE or self.meant.means(row)

    def _shown(self, rows: dict[K, R]) -> dict[K, R]:
        if self.meant is None:
            return dict(rows)
        return {key: row for key, row in rows.items() if self._is_shown(row)}

    def _take_changes(self, changes: Iterable[Change], now: float) -> None:
        changed: dict[Kind, dict[Key, Row]] = {kind: {} for kind in Kind}
        gone: dict[Kind, dict[Key, None]] = {kind: {} for kind in Kind}
        events = []
        for change in changes:
            row = change.row
            kind, key = row.kind, row.key
            if not self._is_shown(row) and not (change.before and self._is_shown(change.before)):
                continue
            if change.what is What.CLOSED or not self._is_shown(row):
                changed[kind].pop(key, None)
                gone[kind][key] = None
            else:
                # A key that went and came is another thing under the same name: its mark goes all the same.
                changed[kind][key] = row
            if tells(change, files=self._is_told(Kind.FILE)):
                self._number += 1
                events.append(EventRow(self._number, change.at, change))
            if change.what is What.OPENED or set(change.fields) - {"used_at"}:
                self._fresh[key] = now, "+" if change.what is What.OPENED else "~"
            if kind is Kind.SESSION and change.what is not What.CHANGED:
                self._moves.append((now, change.what))
        listings: dict[Kind, AnyListing] = {
            Kind.SESSION: self.sessions,
            Kind.FILE: self.files,
            Kind.SHARE: self.shares,
        }
        for kind, listing in listings.items():
            if changed[kind] or gone[kind]:
                listing.update(changed[kind], gone[kind], now)
        self._add(events, now)

    def say(self, said: str, now: float) -> None:
        """Put a sentence about the server among its events."""
        self._say(now, said, now)

    def _say(self, at: float, said: str, now: float) -> None:
        self._add([self._numbered(at, said)], now)

    def _numbered(self, at: float, said: str) -> EventRow:
        self._number += 1
        return EventRow(self._number, at, None, said)

    def _add(self, events: list[EventRow], now: float) -> None:
        if not events:
            return
        self.newest.extendleft(events)
        oldest = list(self.events.rows)[: max(0, len(self.events.rows) + len(events) - MAX_EVENTS)]
        self.events.update({event.number: event for event in events[-MAX_EVENTS:]}, oldest, now)

    def take_info(self, info: ServerInfo) -> None:
        """Take in what the server tells of its limit, and of when it disconnects idle sessions."""
        self.limit = None if info.users in (None, NO_LIMIT) else info.users
        self.autodisconnect.minutes = info.disc

    # --- what comes out

    @property
    def is_away(self) -> bool:
        """Whether it does not answer."""
        return self.picture is not None and self.picture.error is not None

    @property
    def away(self) -> Mapping[str, Away]:
        """The nodes of a cluster that do not answer."""
        return self.picture.away if isinstance(self.picture, NodesPicture) else {}

    @property
    def is_old(self) -> bool:
        """Whether the rows are what they were, and not what is."""
        return self.is_away or bool(self.ended)

    def sign(self, key: Any, row: Any, now: float) -> str:
        """One character for a row: `+` is new, `~` has changed; an event's own."""
        if isinstance(row, EventRow):
            return event_sign(row)
        if getattr(key, "node", None) in self.away:
            return "?"
        at, sign = self._fresh.get(key, (0.0, " "))
        return sign if now - at < FRESH else " "

    def tick(self, now: float) -> None:
        """Forget what is no longer new."""
        while self._moves and self._moves[0][0] <= now - RECENT:
            self._moves.popleft()
        if any(now - at >= FRESH for at, _ in self._fresh.values()):
            self._fresh = {key: value for key, value in self._fresh.items() if now - value[0] < FRESH}

    def headline(self, now: float, symbols: Symbols, *, every: float, paused: bool) -> list[tuple[int, str]]:
        """What is said of it in the first line, each part with how little it matters: those may be left out."""
        picture = self.picture
        if picture is None:
            return [(0, self.name), (0, self.ended or "waiting for its answer")]
        parts = [(0, picture.server or self.name)]
        if self.meant is not None:
            parts.append((0, f"only {self.meant}"))
        if self.ended:
            parts.append((0, f"NO LONGER WATCHED: {self.ended}; rows of {_time(picture.asked_at)}"))
        elif self.away and picture.error is None:
            lost = (
                f"{node} (rows of {_time(each.since)})" if each.since else f"{node}" for node, each in self.away.items()
            )
            parts.append((0, f"AWAY: {', '.join(lost)}"))
        elif picture.error is not None:
            age = picture.age(now)
            since = "" if age is None else f" for {duration(int(age))}, rows of {_time(picture.asked_at)}"
            parts.append((0, f"AWAY{since}"))
        was_seen = picture.asked_at is not None
        if was_seen:
            parts.append((1, _many(len(self.sessions.rows), "session") + self._moved(symbols, now)))
        if was_seen and self._is_told(Kind.FILE):
            parts.append((3, _many(len(self.files.rows), "file")))
            parts.append((6, _many(self.locks, "lock") if self.locks else ""))
        parts.append((4, "" if self.limit is None else f"limit {self.limit:,}"))
        parts.append((0, "PAUSED" if paused else ""))
        if picture.error is None and not self.ended:
            parts.append((2, _looked(picture, now, every)))
        parts.append((5, "" if picture.level is None else f"level {picture.level}"))
        return [(rank, part) for rank, part in parts if part]

    def _moved(self, symbols: Symbols, now: float) -> str:
        moves = [what for at, what in self._moves if at > now - RECENT]
        plus, minus = moves.count(What.OPENED), moves.count(What.CLOSED)
        return f" (+{plus} {symbols.minus}{minus})" if plus or minus else ""

    def _is_told(self, kind: Kind) -> bool:
        picture = self.picture
        return picture is not None and kind in picture.kinds and kind not in picture.refused

    def why_empty(self, tab: int) -> str:
        """What stands in place of a list without rows."""
        picture, kind = self.picture, KINDS[tab]
        if kind is None:
            return "Nothing has happened since the screen started."
        if self.listing(tab).rows:
            return "No row matches the filter. / and Enter shows all."
        if picture is None or (picture.asked_at is None and picture.error is None):
            return self.ended or f"Waiting for {self.name}."
        if picture.asked_at is None and picture.error is not None:
            return _sentence(picture.error)
        if kind not in picture.kinds:
            return f"{TABS[tab]} are not asked for."
        if self.meant is not None and kind not in picture.refused and kind is not Kind.SHARE:
            return f"There are none that {self.meant} selects."
        if kind in picture.refused:
            return _sentence(picture.refused[kind])
        return "There are none."


def tells(change: Change, *, files: bool) -> bool:
    """Whether a change is worth an event. That somebody has used a session is none; nor is a number that has changed
    because of what has an event of its own. `files`: whether those have."""
    silent = {"used_at", "current_uses", *(("num_opens",) if files else ())}
    return change.what is not What.CHANGED or bool(set(change.fields) - silent)


def in_words(event: Event) -> str:
    """An event of our own Server that changes no row, in words; "" for all others."""
    match event:
        case LogonRefused():
            return f"log-on refused: {_who(event)}: {event.reason.value}"
        case PermissionDenied():
            return f"access denied: {_who(event)}: {event.share}\\{event.path}".rstrip("\\")
        case SettingChanged():
            return f"setting {event.name}: {event.before or '-'} -> {event.value}"
        case ServerStarted():
            return "lets clients in"
        case ServerStopped():
            return "has stopped"
        case ServerPaused():
            return "is paused: newcomers are refused, administrators excepted"
        case ServerContinued():
            return "lets newcomers in again"
    return ""


def _who(event: LogonRefused | PermissionDenied) -> str:
    return f"{user(event.user_name)} {client(event.client_name)}"


def _time(at: float | None) -> str:
    return clock_time(at, at or 0.0, seconds=True)


def _many(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _looked(picture: Picture, now: float, every: float) -> str:
    if picture.streamed:
        return "told as it happens"
    age = picture.age(now)
    return "" if age is None else f"polled {age:.0f} s ago, every {every:g} s"


def _sentence(error: LanmanError) -> str:
    return error.with_hint
