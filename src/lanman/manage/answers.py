"""What Managers answer, and the errors that all of them raise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field
from typing import Final, Generic, NamedTuple, TypeVar, overload

from lanman import codes
from lanman.errors import LanmanError, Win32Error
from lanman.names import unc_client
from lanman.plain import dataclass
from lanman.records import FileInfo, SessionInfo
from lanman.shown import escape

T = TypeVar("T")

NO_MATCH: Final = frozenset({codes.NERR_ClientNameNotFound, codes.NERR_UserNotFound})
"""What a server says where no session has that client, or that user."""


class Absent(NamedTuple):
    """A node of a cluster whose part an answer lacks, and why."""

    node: str
    error: LanmanError


class Listed(list[T]):
    """A list as several nodes gave it. `missing` are the nodes whose part it lacks; with any, it is not the whole."""

    def __init__(self, entries: Iterable[T] = (), missing: Sequence[Absent] = ()) -> None:
        super().__init__(entries)
        self.missing = list(missing)


class Part(NamedTuple, Generic[T]):
    """What one node answered; `node` is "" where a single server did."""

    node: str
    answer: T


class Answers(NamedTuple, Generic[T]):
    """What the nodes answered, in their order, and those of which there is no answer."""

    parts: list[Part[T]]
    missing: list[Absent]


def missing_of(answer: object) -> Sequence[Absent]:
    """The nodes whose part an answer of a Manager lacks; none where a single server gave it."""
    found: Sequence[Absent] = getattr(answer, "missing", ())
    return found


@dataclass(slots=True)
class Sessions(Sequence[SessionInfo]):
    """The answer to `Manager.sessions`: a sequence of the sessions, in the order in which the server lists them.

    `server` is who was asked, `level` the information level that it granted (502, 2, 1, 10 or 0). Fields that the
    level lacks are `None` in every entry. Those of this machine's Server are `lanman.manage.own.DetailedSession`, with
    what MS-SRVS has no field for. `entries` is the list itself. Of a cluster, each entry has its `node`, `level` is the
    poorest that a node granted, and `missing` are the nodes that are not in it.
    """

    server: str
    level: int
    entries: list[SessionInfo] = field(default_factory=list)
    missing: list[Absent] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[SessionInfo]:
        return iter(self.entries)

    @overload
    def __getitem__(self, index: int) -> SessionInfo: ...
    @overload
    def __getitem__(self, index: slice) -> list[SessionInfo]: ...
    def __getitem__(self, index: int | slice) -> SessionInfo | list[SessionInfo]:
        return self.entries[index]


@dataclass(slots=True)
class CloseResult:
    """What became of one session that was to be closed. `error` is None when the server no longer lists it.

    `note` is a sentence about something the caller would not expect, such as other sessions that ended with it.
    `others` are the sessions that went along without being among those to end; where `error` is Win32Error 170 (50
    for a null session), the session was left alone because they would have. `is_changed`: it has gone, and another
    session of its client and user, or of its id, is listed.
    """

    session: SessionInfo
    error: LanmanError | None = None
    note: str | None = None
    others: list[SessionInfo] = field(default_factory=list)
    is_changed: bool = False


@dataclass(slots=True)
class FileCloseResult:
    """What became of one file that was to be closed. `error` is None when the server no longer lists it."""

    file: FileInfo
    error: LanmanError | None = None


# --- errors


def no_such_session(client: str | None = None, user: str | None = None) -> Win32Error:
    """NERR_ClientNameNotFound, naming what was asked for."""
    who = " and ".join(part for part in (unc_client(client) if client else "", f"user {user}" if user else "") if part)
    message = codes.win32_text(codes.NERR_ClientNameNotFound)
    return Win32Error(
        codes.NERR_ClientNameNotFound,
        f"{who}: {message}" if who else message,
        hint="`lanman session` lists the sessions and the names under which the server knows its clients",
        subject=who or None,
    )


def no_such_file(id: int) -> Win32Error:
    """NERR_FileIdNotFound, naming the id."""
    return Win32Error(
        codes.NERR_FileIdNotFound,
        f"{id}: {codes.win32_text(codes.NERR_FileIdNotFound)}",
        hint="`lanman file` lists the open files and their identification numbers",
        subject=f"open file {id}",
    )


def only_file(id: int, found: Sequence[FileInfo], server: str) -> FileInfo:
    """The one open file of a list that has this id. Raises Win32Error 2314 for none, 52 for several."""
    if not found:
        raise no_such_file(id)
    if len(found) > 1:
        # smbd's ids are a process id and a handle squeezed into 32 bits.
        paths = ", ".join(sorted({escape(entry.path or "?") for entry in found}))
        raise Win32Error(
            codes.ERROR_DUP_NAME,
            f"{id}: \\\\{server} gave this number to {len(found)} open files: {paths}",
            hint="closing it would close all of them; end a session instead",
            subject=f"open file {id}",
        )
    return found[0]
