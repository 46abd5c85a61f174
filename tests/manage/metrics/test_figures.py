"""What a picture comes to: right numbers, nothing for what is not told, names that fit labels."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman.errors import Win32Error
from lanman.manage.metrics.figures import NULL_SESSION, STEP, Figures, Top, counted, label
from lanman.manage.metrics.table import MAX_LABEL, MAX_SHARES, OTHERS
from lanman.manage.watching.changes import Picture
from lanman.manage.watching.keys import How
from lanman.manage.watching.rows import Kind, Row
from support.scripted_watch import NOW, file, session, share

T = TypeVar("T")


def worked_out(steps: Generator[None, None, T]) -> T:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


def picture(*rows: Row, refused: Kind | None = None) -> Picture:
    made = Picture("fs1")
    made.asked_at, made.level = NOW, 502
    for row in rows:
        made.put(row)
    if refused is not None:
        made.refused = {refused: Win32Error(5)}
    return made


def figures(*rows: Row, top: int = 0, refused: Kind | None = None) -> Figures:
    return worked_out(counted(picture(*rows, refused=refused), top))


def test_who_is_there() -> None:
    found = figures(
        session(r"\\PC7", "bob"),
        session(r"\\pc7", "BOB", age=10),
        session("//10.0.0.1", "carol"),
        session(r"\\10.0.0.1", ""),
    )
    assert (found.sessions, found.users, found.clients) == (4, 2, 2)


def test_idle_times_and_ages_are_counted_up_to_each_bound() -> None:
    found = figures(
        session("a", "a", idle=0, age=60),
        session("b", "b", idle=60, age=61),
        session("c", "c", idle=61, age=86401),
        session("d", "d", idle=8 * 86400, age=8 * 86400),
    )
    #                1m 5m 15m 1h 4h 8h 1d 7d  all
    assert found.idle == (2, 3, 3, 3, 3, 3, 3, 3, 4)
    assert found.age == (1, 2, 2, 2, 2, 2, 2, 3, 4)


def test_what_is_not_told_is_none() -> None:
    samba = figures(session("a", "ann", idle=None))
    assert samba.idle is None
    assert samba.age is not None
    level_0 = session("a", "x", idle=None)._replace(user_name=None, begun_at=NOW, begun_how=How.SEEN)
    found = figures(level_0, top=5)
    assert (found.sessions, found.users, found.idle, found.age, found.user_sessions) == (1, None, None, None, None)
    assert found.clients == 1
    nobody = picture()
    nobody.level = 0
    empty = worked_out(counted(nobody, 5))
    assert (empty.sessions, empty.clients) == (0, 0)
    assert (empty.users, empty.idle, empty.age, empty.user_sessions) == (None, None, None, None)
    no_access = figures(file(1, "x", "ann")._replace(permissions=None, num_locks=None), file(2, "y", "ann", 3, 2))
    assert (no_access.read, no_access.write, no_access.locks) == (None, None, None)
    assert figures(share("a", "/a")._replace(current_uses=None)).shares is None


@pytest.mark.parametrize("kind", Kind)
def test_a_kind_that_is_refused_has_no_figures(kind: Kind) -> None:
    told = figures(session("a", "ann"), file(1, "x", "ann"), share("a", "/a", 1), top=3, refused=kind)
    of_kind = {
        Kind.SESSION: ("sessions", "users", "clients", "idle", "age", "user_sessions", "client_sessions"),
        Kind.FILE: ("read", "write", "locks", "user_files"),
        Kind.SHARE: ("shares",),
    }
    for each, fields in of_kind.items():
        for name in fields:
            assert (getattr(told, name) is None) == (each is kind), name


def test_a_picture_that_was_never_seen_has_no_figures() -> None:
    assert worked_out(counted(Picture("fs1"), 20)) == Figures()


def test_files_by_access() -> None:
    found = figures(
        file(1, "a", "ann", 1), file(2, "b", "ann", 2, 1), file(3, "c", "ann", 4, 2), file(4, "d", "bob", 0x20)
    )
    assert (found.read, found.write, found.locks) == (2, 2, 3)


def test_the_shares_most_in_use_and_the_others_as_one() -> None:
    few = figures(share("a", "/a", 3), share("b", "/b", 0))
    assert few.shares == Top((("a", 3), ("b", 0)), 0)
    many = figures(*(share(f"s{number:04}", "/s", number) for number in range(MAX_SHARES + 3)))
    assert many.shares is not None
    assert many.shares.entries[0] == ("s0202", 202)
    assert many.shares.entries[-1] == (OTHERS, 0 + 1 + 2)
    assert len(many.shares.entries) == MAX_SHARES + 1
    assert many.shares.left_out == 3


def test_a_share_that_is_called_as_the_others_are_is_one_of_them() -> None:
    assert figures(share(OTHERS, "/a", 4), share("b", "/b", 1)).shares == Top((("b", 1), (OTHERS, 4)), 1)


def test_names_are_there_only_where_they_are_asked_for() -> None:
    rows = session(r"\\pc1", "ann"), session(r"\\pc2", "ann", age=9), session(r"\\pc2", "", age=8), file(1, "x", "bob")
    assert figures(*rows).user_sessions is None
    named = figures(*rows, top=2)
    assert named.user_sessions == Top((("ann", 2), (NULL_SESSION, 1)), 0)
    assert named.client_sessions == Top((("pc2", 2), ("pc1", 1)), 0)
    assert named.user_files == Top((("bob", 1),), 0)
    assert figures(*rows, top=1).user_sessions == Top((("ann", 2),), 1)


def test_equally_frequent_names_are_taken_by_name() -> None:
    found = figures(*(session("pc", user, age=number) for number, user in enumerate("dbca")), top=2)
    assert found.user_sessions == Top((("a", 1), ("b", 1)), 2)


def test_other_work_is_done_in_between() -> None:
    rows = [session(f"pc{number}", f"u{number}") for number in range(STEP + 1)]
    assert len(list(counted(picture(*rows), 5))) >= 5


@given(st.text())
def test_any_name_fits_a_label(name: str) -> None:
    shown = label(name)
    assert len(shown) <= MAX_LABEL
    shown.encode()
    assert not any(character < " " for character in shown)


@given(st.lists(st.text(min_size=1), max_size=30), st.integers(1, 5))
def test_labels_are_never_there_twice(names: list[str], top: int) -> None:
    rows = [session(name, name + "x" * MAX_LABEL, age=number) for number, name in enumerate(names)]
    found = figures(*rows, *(share(name, "/a", 1) for name in names), top=top)
    for each in (found.user_sessions, found.client_sessions, found.shares):
        labels = [name for name, _ in each.entries] if each is not None else []
        assert len(labels) == len(set(labels))
        assert each is found.shares or len(labels) <= top


def test_files_that_are_kept_are_no_null_sessions() -> None:
    """They have no user, and count as their owner's; over MS-SRVS whose they are may not be known."""
    rows = file(1, "a", "")._replace(owner="ann"), file(2, "a", "ann"), file(3, "a", ""), file(4, r"\PIPE\x", "")
    assert figures(*rows, top=9).user_files == Top((("ann", 2), ("(null session)", 1), ("(owner unknown)", 1)), 0)


def test_only_our_own_server_tells_of_connections_and_of_files_that_are_kept() -> None:
    rows = (
        session("a", "ann")._replace(channels=("192.0.2.1", "192.0.2.2")),
        session("b", "bob"),
        file(1, "x", "ann")._replace(durable=True),
        file(2, "y", "")._replace(durable=True, owner="ann", expires_at=NOW + 60),
        file(3, "z", ""),
    )
    seen = picture(*rows)
    found = worked_out(counted(seen))
    assert (found.connections, found.kept) == (None, None)
    seen.streamed = True
    found = worked_out(counted(seen))
    assert (found.connections, found.kept) == (3, 1)
    seen.refused = {Kind.FILE: Win32Error(5)}
    found = worked_out(counted(seen))
    assert (found.connections, found.kept) == (3, None)
    empty = picture()
    empty.streamed = True
    assert worked_out(counted(empty)).kept == 0
