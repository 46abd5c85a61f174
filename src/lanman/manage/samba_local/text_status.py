"""smbstatus' tables for people, which is all that Samba before 4.17, or one built without JSON, prints.

Rules:

  - Columns have minimum widths, counted in bytes: a long or non-ASCII name shifts what follows. So rows are read from
    what cannot be a name: the address with its port, the dialect, the date, an access mask.
  - A name with a line feed, or with three blanks in a row, makes its row ambiguous. A row that cannot be read is left
    out where it is one of the files, whose names clients choose, and counted in `left_out`; any other is an error.
  - Names may hold control characters and bytes that are no UTF-8, which are kept as surrogate escapes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from lanman.errors import MalformedMessage
from lanman.manage.samba_local.status import (
    DISCONNECTED,
    MAX_ENTRIES,
    MAX_OUTPUT,
    NO_NODE,
    Protection,
    ServerId,
    Status,
    StatusOpen,
    StatusSession,
    StatusTree,
    dialect_name,
    endpoint,
)

_PROCESS: Final = r"(?P<process>(?:\d{1,10}:)?\d{1,20}(?:\.\d{1,10})?)"
_SESSION: Final = re.compile(
    _PROCESS + r" +(?P<who>\S.*?) +(?P<machine>\S+) \((?P<address>ipv[46]:[^ ()]+)\) +"
    r"(?P<dialect>SMB\d_\d\d|SMB\d_\w\w|NT1|LANMAN\d|CORE\w*|Unknown \(0x[0-9a-fA-F]+\)) +"
    r"(?P<encryption>\S+) +(?P<signing>\S+) *"
)
_MONTHS: Final = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_DATE: Final = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?:" + "|".join(_MONTHS) + r") [ \d]\d \d\d:\d\d:\d\d \d{4}"
_TREE: Final = re.compile(
    r"(?P<service>\S.*?) +" + _PROCESS + r" +(?P<machine>\S+) +(?P<date>" + _DATE + r")(?P<zone> \S+)? +"
    r"(?P<encryption>\S+) +(?P<signing>\S+) *"
)
_OPENER: Final = r"(?P<process>disconnected|(?:\d{1,10}:)?\d{1,20}(?:\.\d{1,10})?)"
_OPEN: Final = re.compile(
    _OPENER + r" +(?P<uid>\d{1,10}) +[A-Z_]+(?:\|[A-Z_]+)* +0x(?P<mask>[0-9a-fA-F]{1,8}) +[A-Z]+ +"
    # From 4.25 on another column stands before the path.
    r"(?P<oplock>\S+) +(?:[^\s/]\S* +)?(?P<names>/.*?)   (?P<date>" + _DATE + r") *"
)
_OPEN_HEAD: Final = re.compile(_OPENER + r" +\d{1,10} +[A-Z_]+(?:\|[A-Z_]+)* +0x[0-9a-fA-F]{1,8} ")
_SHARES: Final = re.compile(r"Service +pid +Machine +Connected at +Encryption +Signing *")
_LOG_ON_UNDER_WAY: Final = "(auth in progress)"
_UTC_ZONES: Final = ("UTC", "GMT")


def parse_text(output: bytes) -> Status:
    """What smbstatus told in its tables. Raises MalformedMessage where that is no output of smbstatus."""
    if len(output) > MAX_OUTPUT:
        raise _malformed(f"has more than {MAX_OUTPUT >> 20} MiB")
    lines = output.decode("utf-8", "surrogateescape").split("\n")
    version = next((line for line in lines[:3] if line.startswith("Samba version ")), None)
    # With -S alone the version is not printed.
    if version is None and not any(_SHARES.fullmatch(line) for line in lines[:3]):
        raise _malformed("does not begin with its version")
    tables = _tables(lines)
    rows = tables.get("PID", ())
    if sum(map(len, tables.values())) > 4 * MAX_ENTRIES:
        raise _malformed("has too many rows")
    opens, left_out, left_out_of = _opens(tables.get("Pid", ()))
    status = Status(
        version=(version or "").removeprefix("Samba version ").strip(),
        sessions=tuple(_sessions(rows)),
        trees=tuple(_trees(tables.get("Service", ()))),
        opens=opens,
        left_out=left_out,
        left_out_of=left_out_of,
    )
    return status.joined()


def _malformed(what: str) -> MalformedMessage:
    return MalformedMessage(f"the output of smbstatus {what}", hint="see what `smbstatus` prints")


def _tables(lines: list[str]) -> dict[str, list[str]]:
    """The rows of each table, by the first word of its header. The headers of files and of locks begin alike."""
    tables: dict[str, list[str]] = {}
    current: list[str] = []
    for number, line in enumerate(lines):
        ruled = number + 1 < len(lines) and len(lines[number + 1]) > 8 and not lines[number + 1].strip("-")
        if ruled and (word := line.partition(" ")[0]) in ("PID", "Service", "Pid"):
            current = []
            tables.setdefault(word, current)
        elif line.strip("-\r ") and not line.endswith(":"):
            current.append(line)
    return tables


def _server_id(text: str) -> ServerId:
    if text == "disconnected":
        return ServerId(DISCONNECTED)
    node, colon, process = text.rpartition(":")
    pid, _, task = process.partition(".")
    return ServerId(int(pid), int(task or 0), int(node) if colon else NO_NODE)


def _protection(text: str) -> Protection:
    degree, parenthesis, cipher = text.partition("(")
    if parenthesis:
        return Protection(cipher.removesuffix(")"), degree)
    return Protection() if text == "-" else Protection(text, "full")


def _time(date: str, zone: str | None) -> float | None:
    """Seconds since 1970 of a date in UTC; None for one in another time zone, whose abbreviation tells no offset."""
    if zone is None or zone.strip() not in _UTC_ZONES:
        return None
    _, month, day, clock, year = date.split()
    hour, minute, second = map(int, clock.split(":"))
    try:
        at = datetime(int(year), _MONTHS.index(month) + 1, int(day), hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return at.timestamp()


def _sessions(rows: list[str] | tuple[()]) -> Iterator[StatusSession]:
    for row in rows:
        match = _SESSION.fullmatch(row)
        if match is None:
            raise _malformed("has a row of the sessions that cannot be read")
        user, group = _user_and_group(match["who"])
        if user == _LOG_ON_UNDER_WAY:
            continue
        yield StatusSession(
            server_id=_server_id(match["process"]),
            user_name=user,
            client=match["machine"],
            address=endpoint(match["address"]),
            group=group,
            dialect=dialect_name(match["dialect"]),
            signing=_protection(match["signing"]),
            encryption=_protection(match["encryption"]),
        )


def _user_and_group(text: str) -> tuple[str, str]:
    """A user and a group, each padded to 12 bytes at least; a blank in a name stands alone, or pads a long one."""
    if text.startswith(_LOG_ON_UNDER_WAY):
        return _LOG_ON_UNDER_WAY, ""
    parts = re.split(" {2,}", text, maxsplit=1)
    if len(parts) == 1:
        # A user of 12 bytes or more has one blank behind it.
        user, _, group = text.partition(" ")
        return user, group.strip()
    return parts[0], parts[1].strip()


def _trees(rows: list[str] | tuple[()]) -> Iterator[StatusTree]:
    for row in rows:
        match = _TREE.fullmatch(row)
        if match is None:
            raise _malformed("has a row of the tree connects that cannot be read")
        yield StatusTree(
            server_id=_server_id(match["process"]),
            service=match["service"],
            machine=match["machine"],
            connected_at=_time(match["date"], match["zone"]),
            signing=_protection(match["signing"]),
            encryption=_protection(match["encryption"]),
        )


def _opens(
    rows: list[str] | tuple[()],
) -> tuple[tuple[StatusOpen, ...], int, frozenset[ServerId] | None]:
    """The open files, how many could not be read, and of which processes those are, None for any."""
    found: list[StatusOpen] = []
    left_out = 0
    processes: set[ServerId | None] = set()
    broken = False
    for row in rows:
        match = _OPEN.fullmatch(row)
        names = match["names"].split("   ") if match is not None else []
        if match is None or len(names) != 2:
            head = _OPEN_HEAD.match(row)
            # What follows the first line of a name belongs to that; nothing else has no head.
            if head is not None or not broken:
                left_out += 1
                processes.add(None if head is None else _server_id(head["process"]))
            broken = True
            continue
        broken = False
        found.append(
            StatusOpen(
                server_id=_server_id(match["process"]),
                uid=int(match["uid"]),
                share_path=names[0],
                name=names[1],
                access_mask=int(match["mask"], 16),
                oplock="" if match["oplock"] == "NONE" else match["oplock"],
            )
        )
    known = frozenset(process for process in processes if process is not None)
    return tuple(found), left_out, known if len(known) == len(processes) else None
