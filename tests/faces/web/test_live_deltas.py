"""Updates into deltas, and the ring: a snapshot and what was told since are the picture, whatever happened."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman.faces.web.live.deltas import Delta, Pending, Shown, delta_text
from lanman.faces.web.live.ring import Event, Ring, Source, event_bytes, news, place, place_of
from lanman.manage.watching.changes import VANISHED, Change, Gap, Picture, What
from lanman.manage.watching.forms import row_form
from lanman.manage.watching.keys import FileKey, How, SessionKey, ShareKey
from lanman.manage.watching.rows import FileRow, Kind, Row, SessionRow, ShareRow
from support.live_page import Page
from support.mirror import rows_of

NOW = 1764079502.0


def session(number: int, opens: int = 0, used: int = 0) -> SessionRow:
    key = SessionKey(rf"\\pc{number}", "bob", 1764000000)
    return SessionRow(key, rf"\\pc{number}", "bob", opens, NOW - 60, How.TOLD, NOW + used)


def file(number: int, locks: int = 0, used: int = 0) -> FileRow:
    path = rf"C:\data\{number}.txt"
    return FileRow(FileKey(number, path, "bob"), number, path, "bob", 3, locks, opened_at=NOW + used)


def share(number: int, uses: int = 0, limit: int = 0) -> ShareRow:
    return ShareRow(ShareKey(f"s{number}"), f"s{number}", 0, r"C:\s", "", limit, uses)


MAKE = (session, file, share)


class Server:
    """A server whose picture changes, as a poller tells it."""

    def __init__(self) -> None:
        self.picture = Picture("fs1")

    def step(self, kind: int, number: int, one: int, other: int) -> list[Change]:
        """Have a row become this or, where it is so already, go."""
        row: Row = MAKE[kind](number, one, other)
        before = rows_of(self.picture).get(row.key)
        if before is None:
            change = Change(What.OPENED, row, NOW, How.SEEN)
        elif before == row:
            change = Change(What.CLOSED, row, NOW, How.SEEN, why=VANISHED)
        else:
            fields = tuple(name for name, old, new in zip(row._fields, before, row, strict=True) if old != new)
            change = Change(What.CHANGED, row, NOW, How.SEEN, before=before, fields=fields)
        self.picture.apply(change)
        return [change]


STEPS = st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 1), st.integers(0, 1))


def forms(picture: Picture) -> dict[str, dict[str, Any]]:
    return {str(key): row_form(row) for key, row in rows_of(picture).items()}


def shown_forms(shown: Shown) -> dict[str, dict[str, Any]]:
    return {key: shown.form(key, row) for kind in Kind for key, row in shown.of(kind).items()}


def begun(picture: Picture) -> Shown:
    shown = Shown()
    for _ in shown.begin(picture):
        pass
    return shown


def merged(pending: Pending, shown: Shown) -> Delta:
    steps = pending.merged(shown)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            delta: Delta = end.value
            return delta


def read(delta: Delta, shown: Shown, gap: Gap | None = None) -> dict[str, Any]:
    data: dict[str, Any] = json.loads("{" + "".join(delta_text(delta, shown, gap)))
    return data


@given(st.lists(STEPS), st.lists(STEPS, min_size=1), st.sets(st.integers(0, 200)))
def test_what_is_shown_is_what_was_seen(before: list[Any], steps: list[Any], at: set[int]) -> None:
    server, pending = Server(), Pending()
    for step in before:
        server.step(*step)
    shown = begun(server.picture)
    page = Page()
    page.put("e-0", shown_forms(shown).values())
    number = 0
    for place_, step in enumerate(steps):
        pending.take(server.step(*step))
        if place_ in at or place_ == len(steps) - 1:
            delta = merged(pending, shown)
            told = read(delta, shown)
            shown.apply(delta)
            number += 1
            page.take({"seq": [number, number], **told})
            assert delta.rows == len(told["open"]) + len(told["change"]) + len(told["close"])
            assert not pending
            assert page.rows == shown_forms(shown) == forms(server.picture)
            assert {json.dumps(form) for form in page.rows.values()} == {
                json.dumps(json.loads(shown.text(key, row))) for kind in Kind for key, row in shown.of(kind).items()
            }


class Console:
    """A server that is shown, and told in a ring, without a loop: the order of things is that of the hub."""

    def __init__(self, **bounds: Any) -> None:
        self.server, self.pending, self.last, self.now = Server(), Pending(), 0, 0.0
        self.shown = begun(self.server.picture)
        self.ring = Ring(0, **bounds)

    def tell(self) -> None:
        delta = merged(self.pending, self.shown)
        if delta.rows:
            data = read(delta, self.shown)
            self.shown.apply(delta)
            first = self.ring.last + 1
            self.last += 1
            self.ring.add(self.last, json.dumps({"seq": [first, self.last], **data}).encode(), self.now)

    def begin_anew(self) -> None:
        self.pending.clear()
        for _ in self.shown.begin(self.server.picture):
            pass
        self.last += 1
        self.ring.begin_anew(self.last)


class Reader:
    """A page with a stream that breaks and goes on."""

    def __init__(self, console: Console) -> None:
        self.console, self.page = console, Page()
        self.position = console.last
        self.coming: list[Event | None] = []
        """What was sent and has not arrived; None is `resync`."""
        self.last_id = console.last

    def send(self) -> None:
        """The console sends what is new."""
        found = news({"fs1": Source(self.console.ring, 0)}, self.position)
        self.coming += [*found.events, *([None] if found.lost else [])]
        self.position = self.console.last

    def arrive(self, number: int) -> None:
        """So many of the events that were sent arrive."""
        for event in self.coming[:number]:
            if event is None:
                self.page.lost()
                self.last_id = self.position
            else:
                self.page.take(json.loads(event.data))
                self.last_id = event.number
        del self.coming[:number]

    def fetch(self) -> None:
        """The snapshot is asked for and comes."""
        self.page.put(place("e", self.console.last), shown_forms(self.console.shown).values())

    def reconnect(self) -> None:
        """The connection is lost, with all that was on the way, and made anew where the page was."""
        self.coming.clear()
        self.position = self.last_id


ORDERS = st.one_of(
    st.tuples(st.just("step"), STEPS),
    st.tuples(st.sampled_from(["tell", "send", "fetch", "reconnect", "anew", "later"]), st.just(0)),
    st.tuples(st.just("arrive"), st.integers(1, 3)),
)


@given(st.lists(ORDERS, max_size=60), st.integers(1, 4), st.integers(200, 3000))
def test_any_history_of_breaks_ends_with_the_picture(orders: Sequence[Any], events: int, size: int) -> None:
    console = Console(max_events=events, max_bytes=size, max_age=2.5)
    reader = Reader(console)
    for what, how in orders:
        if what == "step":
            console.pending.take(console.server.step(*how))
        elif what == "later":
            console.now += 1
            console.ring.expire(console.now)
        elif what == "tell":
            console.tell()
        elif what == "anew":
            console.begin_anew()
        elif what == "arrive":
            reader.arrive(how)
        else:
            getattr(reader, what)()
        assert len(console.ring) <= events
        assert console.ring.size <= size
    console.tell()
    reader.send()
    reader.arrive(len(reader.coming))
    if reader.page.at is None:
        reader.fetch()
    assert reader.page.rows == forms(console.server.picture)


def test_a_change_has_the_fields_that_differ_alone() -> None:
    server = Server()
    server.step(0, 1, 0, 0)
    shown, pending = begun(server.picture), Pending()
    pending.take(server.step(0, 1, 1, 0))
    told = read(merged(pending, shown), shown)
    assert told == {
        "open": [],
        "change": [{"key": r"session:%5C%5Cpc1:bob:1764000000:*:0", "kind": "session", "num_opens": 1}],
        "close": [],
    }


@pytest.mark.parametrize(
    ("before", "now", "is_told"),
    [
        (("a", "b"), ("a",), True),
        (("a",), ("b",), True),
        (None, ("a", "b"), True),  # Samba's tools name none where there is one
        (("a", "b"), None, True),
        (None, ("a",), False),  # unknown where the details of a session could not be asked for
        (("a",), None, False),
    ],
)
def test_other_connections_of_a_session_are_told_as_news(
    before: tuple[str, ...] | None, now: tuple[str, ...] | None, is_told: bool
) -> None:
    was = session(1)._replace(channels=before)
    picture = Picture("fs1")
    picture.sessions[was.key] = was
    shown, pending = begun(picture), Pending()
    pending.take([Change(What.CHANGED, was._replace(channels=now), NOW, How.TOLD)])
    (told,) = read(merged(pending, shown), shown)["change"]
    assert told["channels"] == (None if now is None else list(now))
    news = {"client_name": r"\\pc1", "user_name": "bob", "channels_before": None if before is None else list(before)}
    assert {name: told[name] for name in news if name in told} == (news if is_told else {})


def test_what_came_and_went_in_between_is_not_told() -> None:
    server = Server()
    shown, pending = begun(server.picture), Pending()
    pending.take(server.step(1, 1, 0, 0))
    pending.take(server.step(1, 1, 0, 0))
    assert merged(pending, shown) == Delta([], [], [])
    server.step(2, 1, 0, 0)
    shown = begun(server.picture)
    for _ in range(2):  # it goes, and is back as it was
        pending.take(server.step(2, 1, 0, 0))
    assert merged(pending, shown) == Delta([], [], [])


def test_a_gap_is_told_and_two_are_one() -> None:
    pending, shown = Pending(), Shown()
    pending.take((), Gap(10, 20, "it did not answer"))
    pending.take((), Gap(25, 30, "nor then"))
    assert pending
    gap = pending.gap
    told = read(merged(pending, shown), shown, gap)
    assert told["gap"] == {
        "since_at": "1970-01-01T00:00:10.000Z",
        "until_at": "1970-01-01T00:00:30.000Z",
        "why": "it did not answer",
    }
    assert not pending


def test_names_from_the_wire_are_told_as_they_are() -> None:
    name = 'bob\ud800\u202e\n\x00"</script>'
    row = SessionRow(SessionKey("pc", name, 1), "pc", name)
    server = Server()
    shown, pending = begun(server.picture), Pending()
    pending.take([Change(What.OPENED, row, NOW, How.SEEN)])
    delta = merged(pending, shown)
    data = event_bytes("e-1", "delta", "{" + "".join(delta_text(delta, shown)))
    assert data.count(b"\n") == 4  # three lines, and one that ends it
    assert json.loads(data.split(b"data: ")[1])["open"][0]["user_name"] == name


def test_a_form_is_made_once_for_as_long_as_a_row_is_as_it_is() -> None:
    server = Server()
    server.step(0, 1, 0, 0)
    server.step(0, 2, 0, 0)
    shown, pending = begun(server.picture), Pending()
    one, two = shown.of(Kind.SESSION).items()
    before = shown.form(*one), shown.form(*two), shown.text(*two)
    assert shown.form(*one) is before[0]
    pending.take(server.step(0, 1, 1, 0))
    shown.apply(merged(pending, shown))
    one, two = shown.of(Kind.SESSION).items()
    assert shown.form(*one) == row_form(one[1]) != before[0]
    assert shown.form(*two) is before[1]
    assert shown.text(*two) is before[2]
    assert shown.row(one[0]) is one[1]
    assert shown.row("session:nobody") is None


# --- the ring


def test_a_ring_keeps_the_newest() -> None:
    ring = Ring(5, max_events=3, max_bytes=100, max_age=10)
    for number in range(6, 11):
        ring.add(number, b"x" * 10, float(number))
    assert [event.number for event in ring.after(7) or ()] == [8, 9, 10]
    assert ring.after(6) is None
    assert ring.after(10) == []
    assert (ring.floor, ring.size, len(ring)) == (7, 30, 3)
    ring.expire(19.5)
    assert [event.number for event in ring.after(9) or ()] == [10]
    assert ring.after(8) is None
    ring.add(11, b"x" * 1000, 20.0)  # larger than the ring: nobody can go on over it
    assert (len(ring), ring.size, ring.floor) == (0, 0, 11)
    assert ring.after(10) is None
    assert ring.after(11) == []


def test_who_came_later_is_given_the_whole() -> None:
    ring = Ring(0)
    ring.add(1, b"of others", 0.0)
    assert news({"a": Source(ring, 2)}, 0).lost == ["a"]
    assert news({"a": Source(ring, 2)}, 2) == ([], [])
    assert news({"a": Source(ring, 0)}, 0) == ([(1, 0.0, b"of others")], [])


def test_who_is_too_far_behind_is_given_the_whole() -> None:
    one, other = Ring(0), Ring(0)
    for number in range(1, 9, 2):
        one.add(number, b"x" * 40, 0.0)
        other.add(number + 1, b"y", 0.0)
    found = news({"one": Source(one, 0), "other": Source(other, 0)}, 0, max_behind=100)
    assert found.lost == ["one"]
    assert [event.number for event in found.events] == [2, 4, 6, 8]
    found = news({"one": Source(one, 0), "other": Source(other, 0)}, 3, max_behind=100)
    assert [event.number for event in found.events] == [4, 5, 6, 7, 8]


@pytest.mark.parametrize(
    "text", [None, "", "7f3a", "7f3a-", "-5", "7f3a--5", "7f3a-1x", "7F3A-1", "7f3a-1\n", "7f3a-" + "9" * 19, "ü-1"]
)
def test_what_is_no_place(text: str | None) -> None:
    assert place_of(text) is None


def test_a_place() -> None:
    assert place_of(place("7f3a", 1042)) == ("7f3a", 1042)
