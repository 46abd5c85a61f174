"""Targets, questions, jobs and outcomes: plain values, which travel between processes and machines.

Rules:

  - Everything here can be pickled, and holds nothing that is secret: a job has the name of a credential.
  - Each target has exactly one outcome. Only a target whose outcome is `ok` has rows, and then it has all of them.
  - A row is a line of JSON, written where the server was asked: what the server said, then where that comes from
    (PROVENANCE). What is not known is null.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator, Mapping
from dataclasses import field, fields
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from lanman.names import fold
from lanman.plain import dataclass
from lanman.records import FileInfo, SessionInfo
from lanman.shown import rfc3339

DEFAULT_PORT: Final = 445
THIS_MACHINE: Final = "."
"""As a target: the Server service of this machine, by whatever way the Manager finds."""

_PIECE: Final = 1 << 16
"""Bytes of beginnings of rows that are put together with the rest at a time."""


def canonical(server: str) -> str:
    """One way to write an address, so that it is one target; ::ffff:10.0.0.5 is 10.0.0.5. Names are as they came."""
    if ":" not in server or "%" in server:
        return server
    try:
        address = ipaddress.IPv6Address(server)
    except ValueError:
        return server
    return str(address.ipv4_mapped or address)


def host_key(server: str) -> str:
    """What two spellings of one server have in common: no letter case, no dot at the end of a whole name."""
    return fold(canonical(server.rstrip(".") or server))


class Kind(StrEnum):
    """What the servers are asked."""

    SESSIONS = "sessions"
    FILES = "files"
    DOCTOR = "doctor"


class Result(StrEnum):
    """What became of a target."""

    OK = "ok"
    DENIED = "denied"
    """It answered, and may not be asked this by us."""
    DEAD = "dead"
    """No such name, no way there, or no connection in the time that one has."""
    REFUSED = "refused"
    """The machine is there, and nothing listens at the port."""
    TIMEOUT = "timeout"
    """It took the connection, and was not through when its time was over."""
    LOGON = "logon"
    """The log-on was refused, or was not tried: no credential, or no signing."""
    PROTOCOL = "protocol"
    """It answered something else than it should, hung up, or has nothing that can be managed."""
    CANCELLED = "cancelled"
    """It was not asked to the end: the sweep, or the use of its credential, was stopped. A resumed sweep asks it."""


@dataclass(frozen=True, slots=True)
class Target:
    """A server that is to be asked. `server` is what `open_manager` takes, or "." for this machine; `credential` names
    the one to use, where it is not found by a pattern. `tags` is whatever JSON came with it, as text; it comes back in
    rows and outcomes. `node` is the name of a cluster that the server is one of, as it was typed."""

    server: str
    port: int = DEFAULT_PORT
    credential: str | None = None
    tags: str | None = None
    node: str | None = None

    @property
    def key(self) -> str:
        """What makes it one target: its server, however it is written, and port."""
        return f"{host_key(self.server)}:{self.port}"


@dataclass(frozen=True, slots=True)
class Question:
    """What all targets are asked. Times are in seconds: `deadline` for a target in all, `connect` for its connection.

    `sweep` is the name of the sweep. `require_signing`: a password goes only to servers that insist on signing; else
    to all that can sign.
    """

    kind: Kind
    sweep: str
    deadline: float = 10.0
    connect: float = 1.0
    require_signing: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """A target that is to be asked now: as whom, where its addresses are known, how often it was begun, and how much of
    its time is left, in seconds. `credential` None is the null session."""

    target: Target
    credential: str | None
    seconds: float
    addresses: tuple[str, ...] = ()
    attempt: int = 1


@dataclass(slots=True)
class FleetOutcome:
    """What became of one target. `code` is the Win32 or NERR number, 0 for `ok`; `error` and `hint` are sentences.

    `asked_at` is in seconds since 1970, `took_ms` in milliseconds, without what was waited for others. `count` is the
    number of rows. Where they come from is the same for all rows of a target and longer than most of them, so it is
    there once: each line of `said` is the beginning of a row, which goes on with `source`.
    """

    target: Target
    result: Result
    code: int = 0
    error: str | None = None
    hint: str | None = None
    asked_at: float | None = None
    took_ms: int = 0
    address: str | None = None
    attempt: int = 1
    credential: str | None = None
    worker: str | None = None
    count: int = 0
    said: bytes = field(default=b"", repr=False)
    source: bytes = field(default=b"", repr=False)

    @property
    def server(self) -> str:
        """The server's name, as the target has it."""
        return self.target.server

    @property
    def port(self) -> int:
        """The server's port."""
        return self.target.port

    def pieces(self) -> Iterator[bytes]:
        """The rows as JSON lines, some hundreds at a time."""
        at = 0
        while at < len(self.said):
            end = self.said.find(b"\n", at + _PIECE) + 1 or len(self.said)
            yield self.said[at:end].replace(b"\n", self.source)
            at = end

    @property
    def lines(self) -> bytes:
        """The rows as JSON lines."""
        return b"".join(self.pieces())

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows, as JSON has them. They are decoded at each call."""
        return [json.loads(line) for line in self.lines.splitlines()]

    def record(self) -> dict[str, Any]:
        """The outcome as a line of outcomes.jsonl has it; `rows` is their number."""
        return {
            "server": self.target.server,
            "port": self.target.port,
            "outcome": self.result.value,
            "code": self.code,
            "hint": self.hint,
            "took_ms": self.took_ms,
            "error": self.error,
            "address": self.address,
            "asked_at": rfc3339(self.asked_at, timespec="milliseconds"),
            "attempt": self.attempt,
            "credential": self.credential,
            "node": self.target.node,
            "rows": self.count,
            "worker": self.worker,
            "tags": None if self.target.tags is None else json.loads(self.target.tags),
        }


# --- columns

TEXT: Final = "text"
INTEGER: Final = "integer"
REAL: Final = "real"
FLAG: Final = "flag"
TIME: Final = "time"
"""RFC 3339 in UTC, to the millisecond."""
JSON: Final = "json"

_TEXTS: Final = frozenset({"client_name", "user_name", "client_type", "transport", "path"})


def _of(record: type) -> dict[str, str]:
    return {each.name: TEXT if each.name in _TEXTS else INTEGER for each in fields(record) if each.name != "node"}


_FINDING: Final = dict.fromkeys(["id", "category", "check", "mark", "says", "cause", "needs", "why", "fix"], TEXT)

PROVENANCE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "server": TEXT,
        "address": TEXT,
        "port": INTEGER,
        "node": TEXT,
        "asked_at": TIME,
        "took_ms": INTEGER,
        "attempt": INTEGER,
        "dialect": TEXT,
        "mechanism": TEXT,
        "as": TEXT,
        "level": INTEGER,
        "call": TEXT,
        "samba": FLAG,
        "skew": REAL,
        "worker": TEXT,
        "lanman": TEXT,
        "sweep": TEXT,
        "tags": JSON,
    }
)
"""What every row says of where it comes from: columns and their kinds. `skew` is how many seconds the server's clock
is ahead of that of the machine that asked."""

COLUMNS: Final[Mapping[Kind, Mapping[str, str]]] = MappingProxyType(
    {
        Kind.SESSIONS: MappingProxyType({**_of(SessionInfo), **PROVENANCE}),
        Kind.FILES: MappingProxyType({**_of(FileInfo), **PROVENANCE}),
        Kind.DOCTOR: MappingProxyType({**_FINDING, "evidence": JSON, **PROVENANCE}),
    }
)
"""The columns of the rows of each kind of question, in order, with what is in them."""
