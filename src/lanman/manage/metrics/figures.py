"""What a picture of a server comes to, in numbers. Pure, and linear in what is listed.

It is worked out in steps of `STEP` rows, so that an event loop does other work in between; the rows are those that were
there when it began. What was not told is None. Names of peers are made fit for labels (`label`): two names that are the
same afterwards, or to the server, are one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from functools import lru_cache
from heapq import nlargest, nsmallest
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from lanman.manage.metrics.table import BOUNDS, MAX_LABEL, MAX_SHARES, OTHERS
from lanman.manage.orders.costs import WRITES
from lanman.manage.selection import canonical_client
from lanman.manage.watching.clients import owner_unknown
from lanman.manage.watching.keys import How
from lanman.manage.watching.rows import Kind
from lanman.names import fold
from lanman.shown import escape

if TYPE_CHECKING:
    from lanman.manage.watching.changes import Picture
    from lanman.manage.watching.rows import FileRow, SessionRow, ShareRow

STEP: Final = 2000
"""How many rows are counted in one step."""

NULL_SESSION: Final = "(null session)"
"""The user of those that have none."""
OWNER_UNKNOWN: Final = "(owner unknown)"
"""The user of files that may be kept for a lost client, where the server does not say whose they are."""

# How many clients' names are remembered in the form in which they are compared.
_REMEMBERED: Final = 65536


class Top(NamedTuple):
    """The most frequent of some names, as labels with how often, and how many others there are."""

    entries: tuple[tuple[str, int], ...] = ()
    left_out: int = 0


class Figures(NamedTuple):
    """What there is on a server, in numbers; None for what it does not tell.

    `idle` and `age` are how many sessions are within each of `BOUNDS`, and all of which it is told. `connections` are
    those of all sessions, and `kept` the files that are open for a client whose connection was lost.
    """

    sessions: int | None = None
    users: int | None = None
    clients: int | None = None
    idle: tuple[int, ...] | None = None
    age: tuple[int, ...] | None = None
    read: int | None = None
    write: int | None = None
    locks: int | None = None
    connections: int | None = None
    kept: int | None = None
    shares: Top | None = None
    user_sessions: Top | None = None
    user_files: Top | None = None
    client_sessions: Top | None = None


def counted(picture: Picture, top: int = 0) -> Generator[None, None, Figures]:
    """The figures of a picture, in steps; those of `top` names of users and clients, or of none."""
    at = picture.asked_at or 0.0
    sessions, files, shares = list(picture.sessions.values()), list(picture.files.values()), picture.shares.values()
    figures = Figures()
    if _is_told(picture, Kind.SHARE):
        figures = figures._replace(shares=_shares(shares))
    yield
    if _is_told(picture, Kind.SESSION):
        figures = yield from _sessions(figures, sessions, at, top, empty_is_told=picture.level != 0)
    if _is_told(picture, Kind.FILE):
        figures = yield from _files(figures, files, top)
    if picture.streamed:
        figures = yield from _own(figures, sessions, files)
    return figures


def _is_told(picture: Picture, kind: Kind) -> bool:
    return picture.asked_at is not None and kind in picture.kinds and kind not in picture.refused


def label(text: str) -> str:
    """A name that a peer made up, as a label has it: nothing in it can deceive, and it is not long."""
    shown = escape(text)
    return shown if len(shown) <= MAX_LABEL else f"{shown[: MAX_LABEL - 3]}..."


# --- sessions

_USER: Final = attrgetter("user_name")
_CLIENT: Final = attrgetter("client_name")


def _sessions(
    figures: Figures, rows: Sequence[SessionRow], at: float, top: int, *, empty_is_told: bool
) -> Generator[None, None, Figures]:
    users: Counter[str | None] = Counter()
    clients: Counter[str | None] = Counter()
    idle, age = _Buckets(), _Buckets()
    for begin in range(0, len(rows), STEP):
        step = rows[begin : begin + STEP]
        users.update(map(_USER, step))
        clients.update(map(_CLIENT, step))
        idle.add([at - row.used_at for row in step if row.used_at is not None])
        age.add([at - row.begun_at for row in step if row.begun_at is not None and row.begun_how is How.TOLD])
        yield
    # Of nobody level 0 tells as little as of somebody.
    nobody = not rows and empty_is_told
    tells_users = nobody or any(name is not None for name in users)
    by_user = yield from _merged(users, _user)
    by_client = yield from _merged(clients, _client)
    return figures._replace(
        sessions=len(rows),
        users=len(by_user.often) - ("" in by_user.often) if tells_users else None,
        clients=len(by_client.often),
        idle=idle.cumulative if nobody or idle.total else None,
        age=age.cumulative if nobody or age.total else None,
        user_sessions=_top(by_user, top, NULL_SESSION) if top and tells_users else None,
        client_sessions=_top(by_client, top) if top else None,
    )


class _Buckets:
    """How many values are within each of `BOUNDS`."""

    def __init__(self) -> None:
        self._within = [0] * len(BOUNDS)
        self.total = 0

    def add(self, values: list[float]) -> None:
        """Count some values."""
        values.sort()
        self.total += len(values)
        for place, bound in enumerate(BOUNDS):
            self._within[place] += bisect_right(values, bound)

    @property
    def cumulative(self) -> tuple[int, ...]:
        """How many are within each bound, and in all."""
        return (*self._within, self.total)


# --- what lanman's own Server tells


def _own(figures: Figures, sessions: Sequence[SessionRow], files: Sequence[FileRow]) -> Generator[None, None, Figures]:
    """Of what the figures so far are of: sessions, files, both."""
    connections = kept = 0
    for begin in range(0, len(sessions), STEP):
        connections += sum(len(row.channels or ("",)) for row in sessions[begin : begin + STEP])
        yield
    for begin in range(0, len(files), STEP):
        kept += sum(row.expires_at is not None for row in files[begin : begin + STEP])
        yield
    return figures._replace(
        connections=None if figures.sessions is None else connections,
        kept=None if figures.read is None else kept,
    )


# --- files

_ACCESS: Final = attrgetter("permissions")
_LOCKS: Final = attrgetter("num_locks")


def _whose(row: FileRow) -> str | None:
    """Whose a file is: what is kept for a lost client has no user, and counts as its owner's, where that is known."""
    if row.user_name:
        return row.user_name
    return OWNER_UNKNOWN if owner_unknown(row.user_name, row.path, row.owner) else row.owner or row.user_name


def _files(figures: Figures, rows: Sequence[FileRow], top: int) -> Generator[None, None, Figures]:
    accesses: Counter[int | None] = Counter()
    locks: Counter[int | None] = Counter()
    users: Counter[str | None] = Counter()
    for begin in range(0, len(rows), STEP):
        step = rows[begin : begin + STEP]
        accesses.update(map(_ACCESS, step))
        locks.update(map(_LOCKS, step))
        if top:
            users.update(map(_whose, step))
        yield
    by_user = yield from _merged(users, _user)
    tells_access = None not in accesses
    write = sum(number for access, number in accesses.items() if (access or 0) & WRITES)
    return figures._replace(
        read=len(rows) - write if tells_access else None,
        write=write if tells_access else None,
        locks=None if None in locks else sum((each or 0) * number for each, number in locks.items()),
        user_files=_top(by_user, top, NULL_SESSION) if top else None,
    )


# --- shares


def _shares(rows: Iterable[ShareRow]) -> Top | None:
    """Those most in use, and all others as one; None where nothing is told of any."""
    uses: Counter[str] = Counter()
    others, others_uses, told = 0, 0, False
    for row in rows:
        if row.current_uses is None:
            continue
        told = True
        name = label(row.name)
        if name == OTHERS:  # somebody has called a share so
            others, others_uses = others + 1, others_uses + row.current_uses
        else:
            uses[name] += row.current_uses
    if not told:
        return None
    first = _top(Names(uses, dict(zip(uses, uses, strict=True))), MAX_SHARES)
    if first.left_out or others:
        others_uses += sum(uses.values()) - sum(number for _, number in first.entries)
        return Top((*first.entries, (OTHERS, others_uses)), first.left_out + others)
    return first


# --- names


class Names(NamedTuple):
    """How often names are there, by the form in which they are compared; and how each is written."""

    often: Mapping[str, int]
    written: Mapping[str, str]


def _merged(names: Counter[str | None], folded: Callable[[str], str]) -> Generator[None, None, Names]:
    """Names with how often, one for those that are the same; as it was written first."""
    del names[None]
    known = {name: number for name, number in names.items() if name is not None}
    keys: list[str] = []
    left = iter(known)
    while step := list(islice(left, STEP)):
        keys += map(folded, step)
        yield
    # Of names that come first the last ones are put in first, and what is put in later stays.
    written = dict(zip(reversed(keys), reversed(known), strict=True))
    if len(written) == len(known):
        return Names(dict(zip(keys, known.values(), strict=True)), written)
    often: Counter[str] = Counter()
    for key, number in zip(keys, known.values(), strict=True):
        often[key] += number
    return Names(often, written)


@lru_cache(_REMEMBERED)
def _user(name: str) -> str:
    return fold(name)


@lru_cache(_REMEMBERED)
def _client(name: str) -> str:
    # What an address of digits and dots is anyway, which nearly all are.
    bare = name.lstrip("\\/")
    return bare if bare.isascii() and bare.replace(".", "0").isdigit() and bare[-1] != "." else canonical_client(name)


def _top(names: Names, most: int, nobody: str = "") -> Top:
    """The most frequent, by name where they are equally frequent. `nobody` is the label of the empty name."""
    often, written = names
    least = min(nlargest(most, often.values()), default=0)
    more = sorted((key for key, number in often.items() if number > least), key=lambda key: (-often[key], written[key]))
    equal = (written[key] for key, number in often.items() if number == least)
    shown: dict[str, int] = {}
    for name, number in [
        *((written[key], often[key]) for key in more),
        *((name, least) for name in nsmallest(most - len(more), equal)),
    ]:
        # Names that differ behind the cut alone are one.
        each = label(name.lstrip("\\/") or nobody)
        shown[each] = shown.get(each, 0) + number
    return Top(tuple(shown.items()), max(0, len(often) - most))
