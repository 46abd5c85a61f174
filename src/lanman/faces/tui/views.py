"""What the tabs say: the columns of sessions, open files, shares and events, and how each value is written.

Times of day are this machine's; what a server did not say is `-`. An idle session says other things each second while
its row stays the same, so cells are made for a time.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar

from lanman.faces.text import OWNER_UNKNOWN, UNKNOWN, duration, number, shorten, shorten_client, shorten_path
from lanman.faces.tui.listing import Column, client_order
from lanman.manage.watching.changes import Change, What
from lanman.manage.watching.clients import owner_unknown
from lanman.manage.watching.keys import How
from lanman.manage.watching.rows import FileRow, Kind, Row, SessionRow, ShareRow
from lanman.names import fold, unc_client

R = TypeVar("R")

NO_LIMIT: Final = 0xFFFFFFFF

# PERM_FILE_READ, and PERM_FILE_WRITE with PERM_FILE_CREATE (MS-SRVS 2.2.4.7); access masks have the same bits.
READS: Final = 0x1
WRITES: Final = 0x6

SIGNS: Final = {What.OPENED: "+", What.CLOSED: "-", What.CHANGED: "~"}


class EventRow(NamedTuple):
    """One line of the events: a change, or a sentence about the server itself."""

    number: int
    at: float
    change: Change | None = None
    said: str = ""


# --- values


def clock_time(at: float | None, now: float, *, seconds: bool = False) -> str:
    """A time as people say it: `09:12` of today, `24 Nov` of another day; of events with seconds, whatever the day."""
    if at is None:
        return UNKNOWN
    try:
        when, today = datetime.fromtimestamp(at), datetime.fromtimestamp(now)
    except (OverflowError, ValueError, OSError):
        return UNKNOWN
    if seconds:
        return f"{when:%H:%M:%S}"
    if when.date() == today.date():
        return f"{when:%H:%M}"
    return f"{when:%d %b}" if when.year == today.year else f"{when:%Y}"


def client(name: str | None) -> str:
    """A client as NET writes it."""
    return UNKNOWN if name is None else unc_client(name)


def user(name: str | None) -> str:
    """A user; a null session has none."""
    return UNKNOWN if name is None else name or "(nobody)"


def file_user(row: FileRow) -> str:
    """Who has a file open; of one that is kept for a client whose connection was lost, whose it is, where that is
    known."""
    if row.owner:
        return f"{row.owner} (away)"
    return f"({OWNER_UNKNOWN})" if owner_unknown(row.user_name, row.path, row.owner) else user(row.user_name)


def whose(row: SessionRow | FileRow) -> str:
    """What a row is, in a few words."""
    if isinstance(row, SessionRow):
        return f"{user(row.user_name)}  {client(row.client_name)}"
    return f"{file_user(row)}  {row.path or UNKNOWN}"


def seconds_since(at: float | None, now: float) -> int | None:
    """How many seconds ago; None where that is not known."""
    return None if at is None else max(0, int(now - at))


def access(mask: int | None) -> str:
    """How a file is open, in one word."""
    if mask is None:
        return UNKNOWN
    return "WRITE" if mask & WRITES else "READ" if mask & READS else "NONE"


def file_client(row: FileRow) -> str:
    """From where a file is open, as far as that is known: with `?` where it is inferred, `pc4|pc9` for one of these."""
    if row.client_how is How.CANDIDATES:
        return "|".join(unc_client(name) for name in row.candidates)
    if row.client_name is None:
        return UNKNOWN
    return unc_client(row.client_name) + ("?" if row.client_how is How.INFERRED else "")


def file_since(row: FileRow, now: float) -> str:
    """Since when: told or seen; or not before some time."""
    if row.opened_at is not None:
        return clock_time(row.opened_at, now)
    return UNKNOWN if row.not_before is None else f">{clock_time(row.not_before, now)}"


def share_kind(type: int | None) -> str:
    """What is shared (STYPE_, MS-SRVS 2.2.2.4)."""
    if type is None:
        return UNKNOWN
    return {0: "disk", 1: "print", 2: "device", 3: "IPC"}.get(type & 0xFF, number(type & 0xFF))


def share_limit(row: ShareRow) -> str:
    """How many may use it at once."""
    return "no limit" if row.max_uses == NO_LIMIT else number(row.max_uses)


# --- columns


def session_note(row: SessionRow, now: float, autodisconnect: int | None) -> str:
    """What is worth saying beside a session. `autodisconnect` is in minutes; None or -1 where there is none to say."""
    said = [word for word, is_so in (("guest", row.guest), ("null session", row.anonymous)) if is_so]
    if autodisconnect is not None and autodisconnect > 0 and row.num_opens == 0 and row.used_at is not None:
        left = autodisconnect * 60 - (seconds_since(row.used_at, now) or 0)
        if left > 0:
            minutes, seconds = divmod(left, 60)
            said.append(f"autodisconnect in {minutes:02}:{seconds:02}")
    return ", ".join(said)


def shorten_note(note: str, columns: int) -> str:
    """A note at most so wide: the time is what matters in it."""
    return shorten(note if len(note) <= columns else note.replace("autodisconnect in", "ends in"), columns)


class Autodisconnect:
    """How many idle minutes a server allows, once it has said so: the notes of its sessions read this."""

    minutes: int | None = None


def _names(
    title: str,
    said: Callable[[R], str],
    least: int,
    share: int,
    most: int | None = None,
    fitted: Callable[[str, int], str] = shorten,
) -> Column[R]:
    """A column of names, paths or words, which is wider where there is room."""

    def order(row: R) -> str | None:
        return None if (text := said(row)) in ("", UNKNOWN) else fold(text)

    return Column(title, lambda row, now: said(row), order, least, share, most, fitted=fitted)


def _clients(said: Callable[[R], str], name: Callable[[R], str | None], least: int) -> Column[R]:
    """A column of clients, addresses among them by number."""
    return Column(
        "CLIENT",
        lambda row, now: said(row),
        lambda row: client_order(name(row)),
        least,
        share=3,
        most=45,
        fitted=shorten_client,
    )


def _numbers(title: str, value: Callable[[R], int | None], least: int) -> Column[R]:
    """A column of numbers."""
    return Column(title, lambda row, now: number(value(row)), value, least, right=True)


def _users(least: int, said: Callable[[R], str]) -> Column[R]:
    return _names("USER", said, least, 2, 32)


def session_columns(autodisconnect: Autodisconnect) -> tuple[Column[SessionRow], ...]:
    """The columns of the sessions of one server."""
    return (
        _clients(lambda row: client(row.client_name), lambda row: row.client_name, 15),
        _users(10, lambda row: user(row.user_name)),
        _numbers("OPENS", lambda row: row.num_opens, 5),
        Column(
            "IDLE",
            lambda row, now: duration(seconds_since(row.used_at, now)),
            lambda row: None if row.used_at is None else -row.used_at,
            11,
            right=True,
            searched=False,
        ),
        Column("SINCE", lambda row, now: clock_time(row.begun_at, now), lambda row: row.begun_at, 6, searched=False),
        _names("DIALECT", lambda row: row.dialect or UNKNOWN, 7, 0),
        _names("SHARES", lambda row: UNKNOWN if row.shares is None else " ".join(row.shares), 10, 2, 40),
        Column(
            "NOTE",
            lambda row, now: session_note(row, now, autodisconnect.minutes),
            lambda row: session_note(row, 0, None) or None,
            24,
            share=1,
            fitted=shorten_note,
            searched=False,
        ),
    )


FILE_COLUMNS: Final[tuple[Column[FileRow], ...]] = (
    _names("PATH", lambda row: row.path or UNKNOWN, 24, 5, fitted=shorten_path),
    _users(10, file_user),
    Column("ACCESS", lambda row, now: access(row.permissions), lambda row: row.permissions, 6),
    _numbers("LOCKS", lambda row: row.num_locks, 5),
    _clients(file_client, lambda row: row.client_name, 13),
    Column(
        "SINCE",
        file_since,
        lambda row: row.not_before if row.opened_at is None else row.opened_at,
        7,
        searched=False,
    ),
    _numbers("ID", lambda row: row.id, 10),
)

SHARE_COLUMNS: Final[tuple[Column[ShareRow], ...]] = (
    _names("SHARE", lambda row: row.name, 14, 2, 40),
    _numbers("USERS", lambda row: row.current_uses, 5),
    Column("LIMIT", lambda row, now: share_limit(row), lambda row: row.max_uses, 8, right=True),
    _names("KIND", lambda row: share_kind(row.type), 6, 0),
    _names("FOLDER", lambda row: row.path or UNKNOWN, 20, 3, 80, fitted=shorten_path),
    _names("REMARK", lambda row: row.problem or row.remark or "", 13, 3),
)


def with_node(columns: tuple[Column[Any], ...], nodes: bool) -> tuple[Column[Any], ...]:
    """The columns, with one before them for the nodes where rows have some."""
    if not nodes:
        return columns
    node: Column[Any] = _names("NODE", lambda row: row.key.node or "", 9, 1, 24)
    return (node, *columns)


def event_who(row: EventRow) -> SessionRow | FileRow | None:
    """Whose event it is, where it is anybody's."""
    told = None if row.change is None else row.change.row
    return None if told is None or isinstance(told, ShareRow) else told


def event_user(row: EventRow) -> str:
    """The user of an event."""
    who = event_who(row)
    if who is None:
        return ""
    return file_user(who) if isinstance(who, FileRow) else user(who.user_name)


def event_client(row: EventRow) -> str:
    """The client of an event, as far as it is known."""
    who = event_who(row)
    if who is None:
        return ""
    return file_client(who) if isinstance(who, FileRow) else client(who.client_name)


def event_thing(row: EventRow) -> str:
    """What an event is about, and what was said of it: a path, a share, what changed, why it closed."""
    if row.change is None:
        return row.said
    change, told = row.change, row.change.row
    parts = []
    if isinstance(told, FileRow):
        parts.append(f"{told.path or UNKNOWN} ({access(told.permissions)})")
    elif isinstance(told, ShareRow):
        parts.append(told.name)
    if change.what is What.CHANGED and change.before is not None:
        parts += [_difference(name, change.before, told) for name in change.fields if name != "used_at"]
    if change.why:
        parts.append(change.why)
    if told.key.node is not None:
        parts.append(f"at {told.key.node}")
    return ", ".join(parts)


def _difference(name: str, before: Row, after: Row) -> str:
    old, new = (_value(getattr(row, name, None)) for row in (before, after))
    return f"{name} {old} -> {new}"


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or "none"
    return UNKNOWN if value is None else str(value)


def event_how(row: EventRow, now: float) -> str:
    """How an event is known: told by the server, or seen between two looks."""
    change = row.change
    if change is None:
        return ""
    if change.how is How.SEEN and change.after is not None:
        return f"after {clock_time(change.after, now, seconds=True)}"
    return change.how.value


def event_kind(row: EventRow) -> str:
    """What kind of thing an event is about."""
    return "server" if row.change is None else row.change.row.kind.value


def event_what(row: EventRow) -> str:
    """What has happened, in a word."""
    return "" if row.change is None else row.change.what.value


EVENT_COLUMNS: Final[tuple[Column[EventRow], ...]] = (
    Column("TIME", lambda row, now: clock_time(row.at, now, seconds=True), lambda row: row.number, 8),
    _names("EVENT", event_what, 7, 0),
    _names("KIND", event_kind, 7, 0),
    _users(9, event_user),
    _clients(event_client, event_client, 13),
    _names("WHAT", event_thing, 22, 6),
    Column("KNOWN", event_how, lambda row: row.number, 14, searched=False),
)


def event_sign(row: EventRow) -> str:
    """The sign before an event: `+`, `-`, `~`, and `!` where it is about the server itself; `o` for a file opened."""
    if row.change is None:
        return "!"
    if row.change.what is What.OPENED and row.change.row.kind is Kind.FILE:
        return "o"
    return SIGNS[row.change.what]


def event_line(row: EventRow, now: float) -> str:
    """An event in one short line, for the line of the newest: `14:05:02 + dave \\\\pc9`."""
    who = " ".join(part for part in (event_user(row), event_client(row)) if part)
    parts = [clock_time(row.at, now, seconds=True), event_sign(row), who, event_thing(row)]
    return " ".join(part for part in parts if part)
