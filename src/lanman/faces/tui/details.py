"""What `x` shows of a row: everything that is known of it, how it is known, and what taking it away would cost.

All of it is worked out from the last look (`lanman.manage.orders.costs`): no server is asked for it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from lanman.faces.text import MAY_BE_KEPT, UNKNOWN, duration, kept_for, number
from lanman.faces.tui.model import WatchedServer
from lanman.faces.tui.views import (
    EventRow,
    access,
    client,
    event_line,
    file_user,
    seconds_since,
    share_kind,
    share_limit,
    user,
)
from lanman.manage.orders.costs import cost_of_file, cost_of_session
from lanman.manage.orders.plan import Cost
from lanman.manage.watching.clients import may_be_kept, owner_unknown
from lanman.manage.watching.keys import How
from lanman.manage.watching.rows import FileRow, SessionRow, ShareRow
from lanman.names import fold

LABEL: Final = 16

MAX_LISTED: Final = 100
"""How many files a session's page names before it counts the rest."""

COSTS: Final = {
    Cost.NONE: "costs nothing",
    Cost.REOPEN: "the program sees an error, or opens it again",
    Cost.UNSAVED: "UNSAVED WORK LIKELY",
    Cost.UNKNOWN: "unknown cost",
}

HOWS: Final = {
    How.TOLD: "told by the server",
    How.INFERRED: "inferred: the user's only client",
    How.CANDIDATES: "one of these",
    How.SEEN: "seen between two looks",
    How.UNKNOWN: "not known",
}


def details(server: WatchedServer, row: Any, now: float) -> list[str]:
    """The lines of the page, not escaped."""
    if isinstance(row, SessionRow):
        return _session(server, row, now)
    if isinstance(row, FileRow):
        return _file(server, row, now)
    if isinstance(row, ShareRow):
        return _share(server, row)
    return _event(server, row, now)


def _sessions(server: WatchedServer, node: str | None) -> list[SessionRow]:
    """All of them, also those that are not shown; of a cluster those of a node."""
    return [] if server.picture is None else [one for one in server.picture.sessions.values() if one.key.node == node]


def _files(server: WatchedServer, node: str | None) -> list[FileRow]:
    return [] if server.picture is None else [one for one in server.picture.files.values() if one.key.node == node]


def _node(row: SessionRow | FileRow | ShareRow) -> list[str]:
    return [] if row.key.node is None else _lines(("Node", row.key.node))


def _lines(*pairs: tuple[str, str | None]) -> list[str]:
    return [f"{label:<{LABEL}}{UNKNOWN if value is None else value}" for label, value in pairs]


def _moment(at: float | None, now: float) -> str:
    if at is None:
        return UNKNOWN
    try:
        return f"{datetime.fromtimestamp(at):%Y-%m-%d %H:%M:%S} ({duration(seconds_since(at, now))} ago)"
    except (OverflowError, ValueError, OSError):
        return UNKNOWN


def _cost(cost: Cost, why: str, what: str) -> str:
    return f"{what}: {COSTS[cost]}" + (f" ({why})" if why else "")


def _session(server: WatchedServer, row: SessionRow, now: float) -> list[str]:
    files = files_of(server, row)
    cost, why = cost_of_session(row.as_listed(now), None if files is None else [file.as_listed() for file in files])
    lines = [f"A session of {user(row.user_name)} from {client(row.client_name)}", ""]
    lines += _node(row)
    lines += _lines(
        ("Address", row.address),
        ("Domain", row.domain),
        ("Open files", number(row.num_opens)),
        ("Idle", duration(seconds_since(row.used_at, now))),
        ("Since", _moment(row.begun_at, now) + (f", {HOWS[How.SEEN]}" if row.begun_how is How.SEEN else "")),
        ("Dialect", row.dialect),
        ("Signing", row.signing),
        ("Encryption", row.encryption),
        ("Connections", None if row.channels is None else f"{len(row.channels)}: {', '.join(row.channels)}"),
        ("Shares", None if row.shares is None else " ".join(row.shares) or "none"),
        ("Client type", row.client_type),
        ("Transport", row.transport),
    )
    lines += ["", _cost(cost, why, "Ending it")]
    if files is None:
        return [*lines, "", "Which files it has open cannot be told from those of the user's other sessions."]
    if files:
        lines += ["", f"It has {len(files)} of the listed files open:"]
        lines += [
            f"  {access(file.permissions):<6}{number(file.num_locks):>3} locks  {file.path}"
            for file in files[:MAX_LISTED]
        ]
        lines += [f"  and {len(files) - MAX_LISTED} more"] if len(files) > MAX_LISTED else []
    return lines


def files_of(server: WatchedServer, row: SessionRow) -> list[FileRow] | None:
    """The files that a session has open; None where they cannot be told from those of others, or are not told."""
    picture = server.picture
    if picture is None or row.user_name is None:
        return None
    of_node = _files(server, row.key.node)
    of_user = [file for file in of_node if not file.owner and fold(file.user_name or "") == fold(row.user_name)]
    if row.num_opens != 0 and any(owner_unknown(file.user_name, file.path, file.owner) for file in of_user):
        return None  # a null session's, or kept for somebody who is away
    if any(file.session is not None for file in of_user):
        return [file for file in of_user if file.session == row.key]
    sessions = [one for one in _sessions(server, row.key.node) if fold(one.user_name or "") == fold(row.user_name)]
    if row.num_opens == 0 and not row.user_name:
        return []
    if not of_user and (row.num_opens or not of_node):
        return None if row.num_opens != 0 else []
    return of_user if len(sessions) == 1 else None


def _file(server: WatchedServer, row: FileRow, now: float) -> list[str]:
    sessions = _sessions_with(server, row)
    cost, why = cost_of_file(row.as_listed(), [seconds_since(one.used_at, now) for one in sessions])
    whose = ", ".join(client(name) for name in row.candidates) if row.candidates else client(row.client_name)
    lines = [row.path or UNKNOWN, ""]
    lines += _node(row)
    lines += _lines(
        ("User", user(row.user_name)),
        ("Access", access(row.permissions)),
        ("Locks", number(row.num_locks)),
        ("Oplock", row.oplock),
        ("Lease", f"{row.lease}  {row.lease_key}".strip() if row.lease else row.lease),
        ("Kept for", _kept_for(row, now)),
        *([("Durable", "yes")] if row.durable and not row.owner else []),
        ("Share", row.share),
        ("File ID", number(row.id)),
        ("Client", f"{whose} ({HOWS[row.client_how]})"),
        ("Idle", ", ".join(duration(seconds_since(one.used_at, now)) for one in sessions) or None),
    )
    if row.opened_at is not None:
        lines += _lines(("Open since", f"{_moment(row.opened_at, now)}, {HOWS[row.opened_how]}"))
    else:
        lines += _lines(("Open since", f"not before {_moment(row.not_before, now)}" if row.not_before else None))
    lines += ["", _cost(cost, why, "Closing it")]
    also = [file for file in _files(server, row.key.node) if file.path == row.path and file.key != row.key]
    if also:
        lines += ["", "Others have it open too:"]
        lines += [f"  {file_user(file)}  {access(file.permissions)}  {client(file.client_name)}" for file in also]
    of_user = sum(file.user_name == row.user_name and not file.owner for file in _files(server, row.key.node)) - 1
    if of_user and row.user_name:
        lines += ["", f"{user(row.user_name)} has {of_user:,} more open."]
    return lines


def _kept_for(row: FileRow, now: float) -> str | None:
    """For whom a file is kept whose client is lost; None for one that somebody has open."""
    if row.owner:
        return kept_for(row.owner, row.expires_at, now)
    return MAY_BE_KEPT if owner_unknown(row.user_name, row.path, row.owner) else None


def _sessions_with(server: WatchedServer, row: FileRow) -> list[SessionRow]:
    """The sessions that may have a file open: none where it is kept for somebody who is away."""
    if may_be_kept(row.user_name, row.path, row.owner):
        return []
    if row.session is not None:
        return [one for one in _sessions(server, row.key.node) if one.key == row.session]
    if row.user_name is None:
        return []
    return [one for one in _sessions(server, row.key.node) if fold(one.user_name or "") == fold(row.user_name)]


def _share(server: WatchedServer, row: ShareRow) -> list[str]:
    lines = [f"The share {row.name}", ""]
    lines += _node(row)
    lines += _lines(
        ("Kind", share_kind(row.type)),
        ("Folder", row.path),
        ("Remark", row.remark),
        ("In use by", number(row.current_uses)),
        ("Limit", share_limit(row)),
        ("Problem", row.problem or ("none" if row.problem == "" else None)),
    )
    using = [one for one in _sessions(server, row.key.node) if one.shares and row.name in one.shares]
    if using:
        lines += ["", "Sessions that use it:"]
        lines += [f"  {user(one.user_name)}  {client(one.client_name)}" for one in using[:MAX_LISTED]]
        lines += [f"  and {len(using) - MAX_LISTED} more"] if len(using) > MAX_LISTED else []
    return lines


def _event(server: WatchedServer, row: EventRow, now: float) -> list[str]:
    lines = [event_line(row, now)]
    change = row.change
    if change is not None:
        since = "" if change.after is None else f", after {_moment(change.after, now)}"
        lines += ["", *_lines(("At", _moment(change.at, now) + since), ("Known", HOWS[change.how]))]
        lines += ["", *details(server, change.row, now)]
    return lines
