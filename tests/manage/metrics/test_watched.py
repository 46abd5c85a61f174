"""The series of one server: from the last look, none for what is not told, and what was counted meanwhile."""

from __future__ import annotations

from collections import Counter

import pytest

from lanman.errors import ConnectionLost
from lanman.manage.metrics import table
from lanman.manage.metrics.table import MAX_SERIES, MAX_TOP, Metric
from lanman.manage.metrics.watched import KEPT, Answers, Sample, Watched
from lanman.manage.watching.changes import Change, Picture, Update
from lanman.manage.watching.rows import Row
from lanman.records import PortionDetails, Statistics
from support.scripted_watch import NOW, closed, file, opened, session, share


def watched(*rows: Row, top: int = 0, streamed: bool = False) -> Watched:
    picture = Picture("fs1")
    picture.asked_at, picture.duration, picture.level, picture.streamed = NOW, 0.25, 502, streamed
    for row in rows:
        picture.put(row)
    made = Watched("fs1", picture, top)
    made.take(Update(picture, first=True))
    return made


def series(of: Watched, now: float = NOW) -> list[Sample]:
    for _ in of.brought_up_to_date():
        pass
    return list(of.samples(now))


def values(of: Watched, metric: Metric, now: float = NOW) -> dict[tuple[str, ...], float]:
    return {labels[1:]: value for each, labels, value in series(of, now) if each is metric}


def seen_again(of: Watched, *changes: Change) -> None:
    for change in changes:
        of.picture.apply(change)
    of.take(Update(of.picture, changes))


BOB, CAROL = session(r"\\pc7", "bob"), session(r"\\pc9", "carol", idle=100)


def test_one_look() -> None:
    fs1 = watched(BOB, CAROL, file(1, "x", "bob", 3, 1), share("pub", "/pub", 2))
    found = {metric.name: value for metric, labels, value in series(fs1, NOW + 3) if len(labels) == 1}
    assert found == {
        "lanman_up": 1,
        "lanman_poll_age_seconds": 3,
        "lanman_poll_duration_seconds": 0.25,
        "lanman_level": 502,
        "lanman_sessions": 2,
        "lanman_users": 2,
        "lanman_clients": 2,
        "lanman_file_locks": 1,
        "lanman_sessions_opened_total": 0,
    }
    assert values(fs1, table.OPEN_FILES) == {("read",): 0, ("write",): 1}
    assert values(fs1, table.SHARE_USERS) == {("pub",): 2}
    assert values(fs1, table.TRUNCATED) == {("lanman_share_users",): 0}
    assert list(values(fs1, table.SESSION_IDLE)) == [
        (le,) for le in ("60.0", "300.0", "900.0", "3600.0", "14400.0", "28800.0", "86400.0", "604800.0", "+Inf")
    ]


def test_one_that_was_never_seen_is_down_and_nothing_else() -> None:
    fs1 = Watched("fs1", Picture("fs1"))
    fs1.picture.error = ConnectionLost("no")
    fs1.take(Update(fs1.picture))
    assert [(metric.name, value) for metric, _, value in series(fs1)] == [("lanman_up", 0)]


def test_one_that_is_away_keeps_its_figures_for_a_while() -> None:
    fs1 = watched(BOB)
    seen_again(fs1, opened(CAROL), closed(BOB))
    fs1.picture.error = ConnectionLost("it does not answer")
    fs1.take(Update(fs1.picture))
    assert values(fs1, table.UP) == {(): 0}
    assert values(fs1, table.SESSIONS, NOW + KEPT) == {(): 1}
    later = {metric.name for metric, _, _ in series(fs1, NOW + KEPT + 1)}
    assert later == {
        "lanman_up",
        "lanman_poll_age_seconds",
        "lanman_sessions_opened_total",
        "lanman_sessions_closed_total",
    }
    fs1.picture.error, fs1.picture.asked_at = None, NOW + 1000
    fs1.take(Update(fs1.picture))
    assert values(fs1, table.SESSIONS, NOW + 1001) == {(): 1}


def test_who_came_and_went_is_counted() -> None:
    fs1 = watched(BOB)
    seen_again(fs1, opened(CAROL), opened(file(1, "x", "bob")))
    seen_again(fs1, closed(CAROL), closed(BOB))
    assert values(fs1, table.OPENED) == {(): 1}
    assert values(fs1, table.CLOSED) == {("vanished",): 2}


def test_our_own_server_tells_why() -> None:
    fs1 = watched(BOB, CAROL, streamed=True)
    seen_again(fs1, closed(BOB, why="logged off"), closed(CAROL, why="ended by an administrator"))
    found = values(fs1, table.CLOSED)
    assert len(found) == 9
    assert {why: number for (why,), number in found.items() if number} == {"logged_off": 1, "ended": 1}


def test_how_long_looks_take_is_none_where_there_are_none() -> None:
    assert values(watched(BOB, streamed=True), table.POLL_DURATION) == {}


def test_whether_idle_times_are_told_is_unknown_while_nobody_is_there() -> None:
    """A Samba would have idle times of nobody, and none as soon as somebody comes."""
    fs1 = watched()
    assert values(fs1, table.SESSION_IDLE) == {}
    seen_again(fs1, opened(session("pc", "ann", idle=None)))
    assert values(fs1, table.SESSION_IDLE) == {}
    fs2 = watched(BOB)
    assert values(fs2, table.SESSION_IDLE)[("+Inf",)] == 1
    seen_again(fs2, closed(BOB))
    assert values(fs2, table.SESSION_IDLE)[("+Inf",)] == 0
    assert values(watched(streamed=True), table.SESSION_IDLE)[("+Inf",)] == 0


def test_what_was_asked_beside() -> None:
    fs1 = watched(BOB)
    assert values(fs1, table.SESSION_LIMIT) == values(fs1, table.PASSWORD_ERRORS) == {}
    fs1.answers = Answers(20, Statistics(pwerrors=3, permerrors=4, stimedout=5, bytesrcvd_high=1, bytessent_low=7))
    assert values(fs1, table.SESSION_LIMIT) == {(): 20}
    assert values(fs1, table.PASSWORD_ERRORS) == {(): 3}
    assert values(fs1, table.PERMISSION_ERRORS) == {(): 4}
    assert values(fs1, table.TIMEOUTS) == {(): 5}
    assert values(fs1, table.SERVER_BYTES) == {("received",): 1 << 32, ("sent",): 7}


def test_what_users_share_is_told_by_kind() -> None:
    fs1 = watched(BOB)
    assert values(fs1, table.PORTION_TAKEN) == values(fs1, table.PORTION_REFUSED) == {}
    assert values(fs1, table.PORTION_LIMIT) == {}
    portions = [PortionDetails("open files", 7, 100, "ann", 5, 2, "bob"), PortionDetails("leases", 1)]
    fs1.answers = Answers(None, None, portions)
    assert values(fs1, table.PORTION_TAKEN) == {("open files",): 7, ("leases",): 1}
    # Leases have no limit here: that is no limit of 0, which a panel would divide by.
    assert values(fs1, table.PORTION_LIMIT) == {("open files",): 100}
    assert values(fs1, table.PORTION_REFUSED) == {("open files",): 2, ("leases",): 0}


def test_never_more_series_than_the_bound() -> None:
    rows: list[Row] = [share(f"s{number}", "/s", number) for number in range(1000)]
    rows += [session(f"pc{number}", f"u{number}", idle=number) for number in range(1000)]
    rows += [file(number, f"/f{number}", f"u{number}") for number in range(1000)]
    fs1 = watched(*rows, top=MAX_TOP, streamed=True)
    portions = [PortionDetails(f"things {number}", 1, 9) for number in range(100)]
    fs1.answers = Answers(2000, Statistics(), portions)
    found = series(fs1)
    # All but the duration of looks, which there are none of here.
    assert len(found) == table.most_series(MAX_TOP) - 1 <= MAX_SERIES
    assert max(Counter((metric, labels) for metric, labels, _ in found).values()) == 1
    per_metric = Counter(metric for metric, _, _ in found)
    for metric, number in per_metric.items():
        assert number <= (MAX_TOP if metric.most == table.TOP else metric.most), metric.name
    assert values(fs1, table.TRUNCATED) == {
        ("lanman_share_users",): 800,
        ("lanman_top_user_sessions",): 970,
        ("lanman_top_user_files",): 970,
        ("lanman_top_client_sessions",): 970,
    }


def test_names_out_of_range() -> None:
    with pytest.raises(ValueError, match="30"):
        Watched("fs1", Picture("fs1"), 31)
