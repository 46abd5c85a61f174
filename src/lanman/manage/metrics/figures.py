"""What a picture of a server comes to, in numbers. Pure, and linear in what is listed.

It is worked out in steps of `STEP` rows, so that an event loop does other work in between; the rows are those that were
there when it began. What was not told is None. Names of peers are made fit for labels (`label`): two names that are the
same afterwards, or to the server, are one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import lru_cache
from heapq import nsmallest
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lanman.manage.metrics.table import BOUNDS, MAX_LABEL, MAX_SHARES, OTHERS
from lanman.manage.orders.costs import WRITES
from lanman.manage.selection import canonical_client
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

# How many clients' names are remembered in the form in which they are compared.
_REMEMBERED: Final = 65536


class Top(NamedTuple):
    """The most frequent of some names, as labels with how often, and how many others there are."""

    entries: tuple[tuple[str, int], ...] = ()
    left_out: int = 0


class Figures(NamedTuple):
    """What there is on a server, in numbers; None for what it does not tell.

    `idle` and `age` are how many sessions are within each of `BOUNDS`, and all of which it is told.
    """

    sessions: int | None = None
    users: int | None = None
    clients: int | None = None
    idle: tuple[int, ...] | None = None
    age: tuple[int, ...] | None = None
    read: int | None = None
    write: int | None = None
    locks: int | None = None
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
    by_user = yield from _merged(users, fold, NULL_SESSION)
    by_client = yield from _merged(clients, _client)
    return figures._replace(
        sessions=len(rows),
        users=sum(1 for name in by_user if name) if tells_users else None,
        clients=len(by_client),
        idle=idle.cumulative if nobody or idle.total else None,
        age=age.cumulative if nobody or age.total else None,
        user_sessions=_top(by_user.values(), top) if top and tells_users else None,
        client_sessions=_top(by_client.values(), top) if top else None,
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


# --- files

_ACCESS: Final = attrgetter("permissions")
_LOCKS: Final = attrgetter("num_locks")


def _files(figures: Figures, rows: Sequence[FileRow], top: int) -> Generator[None, None, Figures]:
    accesses: Counter[int | None] = Counter()
    locks: Counter[int | None] = Counter()
    users: Counter[str | None] = Counter()
    for begin in range(0, len(rows), STEP):
        step = rows[begin : begin + STEP]
        accesses.update(map(_ACCESS, step))
        locks.update(map(_LOCKS, step))
        if top:
            users.update(map(_USER, step))
        yield
    by_user = yield from _merged(users, fold, NULL_SESSION)
    tells_access = None not in accesses
    write = sum(number for access, number in accesses.items() if (access or 0) & WRITES)
    return figures._replace(
        read=len(rows) - write if tells_access else None,
        write=write if tells_access else None,
        locks=None if None in locks else sum((each or 0) * number for each, number in locks.items()),
        user_files=_top(by_user.values(), top) if top else None,
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
    first = _top(uses.items(), MAX_SHARES)
    if first.left_out or others:
        others_uses += sum(uses.values()) - sum(number for _, number in first.entries)
        return Top((*first.entries, (OTHERS, others_uses)), first.left_out + others)
    return first


# --- names


def _merged(
    names: Counter[str | None], folded: Callable[[str], str], nobody: str = ""
) -> Generator[None, None, dict[str, tuple[str, int]]]:
    """Names with how often, one entry for those that are the same: by the form in which they are compared, as a label
    with the number. `nobody` is the label of the empty name."""
    merged: dict[str, tuple[str, int]] = {}
    for place, (name, number) in enumerate(names.items(), 1):
        if not place % STEP:
            yield
        if name is None:
            continue
        key = folded(name)
        known = merged.get(key)
        merged[key] = (name or nobody, number) if known is None else (known[0], known[1] + number)
    return merged


@lru_cache(_REMEMBERED)
def _client(name: str) -> str:
    return canonical_client(name)


def _top(entries: Iterable[tuple[str, int]], most: int) -> Top:
    """The most frequent, by name where they are equally frequent."""
    every: list[Any] = [(-number, name) for name, number in entries]
    first: dict[str, int] = {}
    for number, name in nsmallest(most, every):
        shown = label(name.lstrip("\\/"))
        # Names that differ behind the cut alone are one.
        first[shown] = first.get(shown, 0) - number
    return Top(tuple(first.items()), max(0, len(every) - most))
