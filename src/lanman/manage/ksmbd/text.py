"""What ksmbd's files under /proc/fs/ksmbd and /sys/class/ksmbd-control say. Any bytes: a value or MalformedMessage.

Rules:

  - Three ways of writing are read: that of Linux 7.0, and two later ones, told apart by what stands there, not by a
    version. None of them was ever seen on a kernel by who wrote this: the formats are from its sources.
  - Columns are split at blanks. A user's name may have blanks in it, since what stands around it has none.
  - A file's name may have anything but `/` in it, line feeds too: a line that is no row belongs to the name before it.
    A name that is made to look like a row is taken for one; nothing in the file would tell.
  - In 7.0 a row of `files` has one name of an oplock after the other, and is broken after them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field
from datetime import UTC, datetime
from typing import Final

from lanman.errors import MalformedMessage
from lanman.plain import dataclass

MAX_FILE: Final = 64 << 20
"""Bytes of one file, at most."""

RUNNING: Final = "running"
GUEST: Final = "(Guest)"
ANONYMOUS: Final = "(Anonymous)"
IN_PROGRESS: Final = "progress"

_STATES: Final = frozenset({"startup", RUNNING, "reset", "shutdown"})
_SESSION_STATES: Final = frozenset({"valid", IN_PROGRESS, "expired"})
_MAX_ID: Final = 1 << 64

_NUMBER = r"(?:0x[0-9a-f]{1,16}|0{1,18})"
_FILE_HEAD: Final = re.compile(rf" ?({_NUMBER}) +({_NUMBER}) +({_NUMBER}) +({_NUMBER})(?= |$)")
_FILE_TAIL: Final = re.compile(r" *(0x[0-9a-f]{8}|0{10}) (0x[0-9a-f]{8}|0{10}) (.*)", re.DOTALL)
_OPLOCKS: Final = re.compile(r"(?: +(?:(?:OPLOCK|LEASE)_[A-Z]+|0x[0-9a-f]{1,7}(?= )))*")
_DIALECTS: Final = {0x202: "2.0.2", 0x210: "2.1", 0x300: "3.0", 0x302: "3.0.2", 0x311: "3.1.1"}


@dataclass(frozen=True, slots=True)
class Stats:
    """/sys/class/ksmbd-control/stats. `tcp_port` is None where a later format does not have it there."""

    state: str
    tcp_port: int | None = None


@dataclass(frozen=True, slots=True)
class Channel:
    """A row of sessions/sessions: one channel of a session. `user` is as it stands there."""

    client: str
    user: str
    session_id: int
    state: str


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree connect of a session. `is_pipe` is None where neither `pipe` nor `disk` stands there."""

    share: str
    id: int
    is_pipe: bool | None


@dataclass(slots=True)
class Details:
    """sessions/ID. `signing` and `encryption` are of the first channel that has them; None is not said."""

    signing: str | None = None
    encryption: str | None = None
    trees: list[Tree] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Connection:
    """An entry of clients: one connection. `last_active` is in seconds since 1970."""

    client: str
    dialect: str | None = None
    open_files: int | None = None
    last_active: float | None = None


@dataclass(frozen=True, slots=True)
class Open:
    """A row of files: an open file, by its persistent id. `name` is the last part of its path."""

    id: int
    tree_id: int
    access: int
    oplock: str
    name: str


@dataclass(frozen=True, slots=True)
class Used:
    """An entry of shares, which later kernels have: a share that is in use."""

    name: str
    tree_connects: int | None = None


def _malformed(name: str) -> MalformedMessage:
    return MalformedMessage(f"ksmbd's file {name} cannot be read", hint="see what it has: another kernel may differ")


def _lines(data: bytes, name: str) -> list[str]:
    if len(data) > MAX_FILE:
        raise MalformedMessage(f"ksmbd's file {name} is too long")
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    if lines[-1] == "":
        lines.pop()
    return lines


def _decimal(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 and int(text) < _MAX_ID else None


def parse_stats(data: bytes) -> Stats:
    """/sys/class/ksmbd-control/stats: format, state, TCP port, and seconds since its daemon was heard of."""
    words = data.decode("ascii", "replace").split()
    if len(words) < 2 or _decimal(words[0]) is None or words[1] not in _STATES:
        raise _malformed("stats")
    port = _decimal(words[2]) if len(words) > 2 else None
    return Stats(words[1], port if port is not None and 0 < port < 65536 else None)


# --- sessions


def parse_sessions(data: bytes) -> list[Channel]:
    """sessions/sessions: a row a channel, below a header."""
    lines = _lines(data, "sessions")
    if not lines or not lines[0].startswith("#"):
        raise _malformed("sessions")
    return [_channel(line) for line in lines[1:]]


def _channel(line: str) -> Channel:
    client, _, rest = line.strip(" ").partition(" ")
    rest, state = _last_word(rest)
    if state not in _SESSION_STATES:
        # The kernel writes none for a state that it has no name for.
        rest, state = f"{rest} {state}", ""
    user, number = _last_word(rest)
    id = _decimal(number)
    if not client or not user or id is None:
        raise _malformed("sessions")
    return Channel(client, user, id, state)


def _last_word(text: str) -> tuple[str, str]:
    before, _, last = text.strip(" ").rpartition(" ")
    return before.strip(" "), last


def parse_session(data: bytes) -> Details:
    """sessions/ID: lines `key<pad>\\tvalue`, some of them once a channel."""
    details = Details()
    for line in _lines(data, "sessions/ID"):
        name, tab, value = line.partition("\t")
        name = name.strip(" ")
        if not tab:
            raise _malformed("sessions/ID")
        if name == "signing" and details.signing is None:
            details.signing = value.strip() or None
        elif name == "encryption" and details.encryption is None:
            details.encryption = value.strip() or None
        elif name == "share":
            details.trees.append(_tree(value))
    return details


def _tree(value: str) -> Tree:
    share, tab, rest = value.rpartition("\t")
    words = rest.split()
    id = _decimal(words[0]) if words else None
    if not tab or id is None:
        raise _malformed("sessions/ID")
    return Tree(share, id, {"pipe": True, "disk": False}.get(words[1] if len(words) > 1 else ""))


# --- clients


def parse_clients(data: bytes) -> list[Connection]:
    """clients: rows below a header that begins with `#`, or blocks of `key:\\tvalue`."""
    lines = _lines(data, "clients")
    if lines and lines[0].startswith("#"):
        return [_connection(line) for line in lines[1:]]
    return [_connection_of(block) for block in _blocks(lines, "clients")]


def _connection(line: str) -> Connection:
    words = line.split()
    if len(words) != 6:
        raise _malformed("clients")
    return Connection(words[0], _dialect(words[1]), _decimal(words[3]), _time(words[5]))


def _connection_of(block: dict[str, str]) -> Connection:
    if not block.get("client"):
        raise _malformed("clients")
    return Connection(
        block["client"],
        _dialect(block.get("dialect", "")),
        _decimal(block.get("open_files", "")),
        _time(block.get("last_active", "")),
    )


def _dialect(text: str) -> str | None:
    return _DIALECTS.get(int(text, 16)) if re.fullmatch(r"0x[0-9a-f]{1,8}", text) else None


def _time(text: str) -> float | None:
    """Seconds since 1970 of a time in UTC, which is written without its zone."""
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _blocks(lines: list[str], name: str) -> Iterator[dict[str, str]]:
    """Blocks of lines `key:\\tvalue`, each ended by an empty line."""
    block: dict[str, str] = {}
    for line in [*lines, ""]:
        key, colon, value = line.partition(":")
        if colon:
            block.setdefault(key, value.strip("\t "))
        elif line:
            raise _malformed(name)
        elif block:
            yield block
            block = {}


def parse_shares(data: bytes) -> list[Used]:
    """shares, which later kernels have: blocks of `key:\\tvalue`."""
    found = []
    for block in _blocks(_lines(data, "shares"), "shares"):
        if not block.get("name"):
            raise _malformed("shares")
        found.append(Used(block["name"], _decimal(block.get("tree_connects", ""))))
    return found


def parse_server(data: bytes) -> dict[str, str]:
    """server: what stands before the counters of commands, `key: value` by its key."""
    lines = _lines(data, "server")
    if not lines or lines[0] != "Server":
        raise _malformed("server")
    found: dict[str, str] = {}
    for line in lines[1:]:
        if not line:
            break
        key, colon, value = line.partition(": ")
        if colon:
            found.setdefault(key, value)
    return found


# --- files


def parse_files(data: bytes) -> list[Open]:
    """files: rows below a header. A name may have line feeds in it."""
    lines = _lines(data, "files")
    if not lines or not lines[0].startswith("#"):
        raise _malformed("files")
    found: list[tuple[re.Match[str], str, str, list[str]]] = []
    head: tuple[re.Match[str], list[str]] | None = None
    for line in lines[1:]:
        if head is None and (match := _FILE_HEAD.match(line)):
            end = _OPLOCKS.match(line, match.end())
            assert end is not None
            oplocks, rest = end[0].split(), line[end.end() :]
            if tail := _FILE_TAIL.fullmatch(rest):
                found.append((match, " ".join(oplocks), tail[1], [tail[3]]))
                continue
            if oplocks and not rest.strip(" "):
                head = match, oplocks
                continue
        elif head is not None:
            tail = _FILE_TAIL.fullmatch(line)
            if tail is None:
                raise _malformed("files")
            found.append((head[0], " ".join(head[1]), tail[1], [tail[3]]))
            head = None
            continue
        if not found:
            raise _malformed("files")
        found[-1][3].append(line)
    if head is not None:
        raise _malformed("files")
    return [
        Open(int(match[2], 16), int(match[1], 16), int(access, 16), oplock, "\n".join(name))
        for match, oplock, access, name in found
    ]
