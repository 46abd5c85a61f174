"""What the screen makes of updates, without a terminal."""

from __future__ import annotations

import pytest

from lanman.domain import Reason
from lanman.errors import ConnectionLost
from lanman.events import Event, LogonRefused, PermissionDenied, ServerPaused, SettingChanged
from lanman.faces.tui import model
from lanman.faces.tui.model import WatchedServer, in_words
from lanman.faces.tui.pages import folded
from lanman.faces.tui.symbols import Symbols
from lanman.faces.tui.views import clock_time, event_line
from lanman.manage.watching.changes import Picture, Update
from lanman.manage.watching.rows import Row
from support.scripted_watch import NOW, became, closed, opened, session

BOB = session(r"\\pc7", "bob", 2)


def server(*rows: Row) -> tuple[WatchedServer, Picture]:
    watched, picture = WatchedServer("fs1"), Picture("fs1")
    for row in rows:
        picture.put(row)
    picture.asked_at = NOW
    watched.take(Update(picture, first=True), NOW)
    return watched, picture


def test_that_somebody_has_used_a_session_is_no_event() -> None:
    watched, picture = server(BOB)
    used = BOB._replace(used_at=NOW + 1)
    watched.take(Update(picture, [became(BOB, used)]), NOW)
    assert (list(watched.events.rows), watched.sessions.rows[BOB.key]) == ([], used)
    assert watched.sign(BOB.key, used, NOW) == " "


def test_events_are_bounded_and_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "MAX_EVENTS", 5)
    watched, picture = server()
    for number in range(4):
        some = [opened(session(f"pc{number}{part}", "ann")) for part in range(3)]
        watched.take(Update(picture, some), NOW)
    assert list(watched.events.rows) == [8, 9, 10, 11, 12]
    watched.take(Update(picture, [opened(session(f"pc{number}", "ann")) for number in range(20)]), NOW)
    assert list(watched.events.rows) == [28, 29, 30, 31, 32]


def test_a_session_that_went_and_came_is_another_one() -> None:
    watched, picture = server(BOB)
    watched.sessions.toggle_mark()
    watched.take(Update(picture, [closed(BOB), opened(BOB)]), NOW)
    assert (list(watched.sessions.rows), watched.sessions.targets()) == ([BOB.key], {})


def test_it_answers_again_once() -> None:
    watched, picture = server()
    picture.error = ConnectionLost("no answer")
    assert not watched.take(Update(picture), NOW)
    assert not watched.take(Update(picture), NOW)
    picture.error = None
    assert watched.take(Update(picture), NOW)
    assert not watched.take(Update(picture), NOW)
    assert [row.said for row in watched.events.rows.values()] == ["does not answer: no answer", "answers again"]


def test_what_is_new_is_forgotten() -> None:
    watched, picture = server()
    watched.take(Update(picture, [opened(BOB)]), NOW)
    assert watched.sign(BOB.key, BOB, NOW + 9) == "+"
    watched.tick(NOW + 11)
    watched.tick(NOW + 61)
    assert (watched._fresh, list(watched._moves)) == ({}, [])


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (
            LogonRefused(1, NOW, r"\\pc7", "bob", Reason.CREDENTIALS),
            r"log-on refused: bob \\pc7: wrong user name or password",
        ),
        (
            PermissionDenied(1, NOW, 7, r"\\pc7", "bob", "10.0.0.7", "projects", r"secret\a.txt"),
            r"access denied: bob \\pc7: projects\secret\a.txt",
        ),
        (PermissionDenied(1, NOW, 7, r"\\pc7", "", "", "projects", ""), r"access denied: (nobody) \\pc7: projects"),
        (SettingChanged(1, NOW, "comment", "new", ""), "setting comment: - -> new"),
        (ServerPaused(1, NOW, "", "root"), "is paused: newcomers are refused, administrators excepted"),
    ],
)
def test_events_of_our_own_server_in_words(event: Event, said: str) -> None:
    assert in_words(event) == said
    watched, picture = server()
    watched.take(Update(picture, events=[event]), NOW)
    (row,) = watched.events.rows.values()
    assert event_line(row, NOW).endswith(f" ! {said}")


def test_parts_of_the_first_line_go_by_what_they_matter() -> None:
    watched, picture = server(BOB)
    picture.level, watched.limit = 502, 20000
    parts = watched.headline(NOW + 5, Symbols(), every=2, paused=True)
    assert [part for _, part in parts] == [
        "fs1", "1 session", "0 files", "limit 20,000", "PAUSED", "polled 5 s ago, every 2 s", "level 502",
    ]  # fmt: skip
    picture.streamed = True
    assert "told as it happens" in [part for _, part in watched.headline(NOW, Symbols(), every=2, paused=False)]


def test_times_that_no_calendar_has_are_unknown() -> None:
    assert clock_time(1e18, NOW) == clock_time(None, NOW) == "-"
    assert clock_time(NOW - 400 * 86400, NOW).isdigit()
    assert clock_time(NOW - 40 * 86400, NOW)[3:].isalpha()


@pytest.mark.parametrize(
    ("line", "columns", "parts"),
    [
        ("short", 20, ["short"]),
        ("  one two three four", 12, ["  one two", "    three", "    four"]),
        ("x" * 25, 10, ["x" * 10, "  " + "x" * 8, "  " + "x" * 7]),
        ("\u5c71" * 8, 10, ["\u5c71" * 5, "  " + "\u5c71" * 3]),
        ("", 20, [""]),
        (" " * 14 + "one two", 10, ["", "     one", "     two"]),
    ],
)
def test_long_lines_are_folded(line: str, columns: int, parts: list[str]) -> None:
    assert folded(line, columns) == parts
