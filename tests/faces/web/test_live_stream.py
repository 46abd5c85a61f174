"""The stream of a browser: what it tells, how it goes on after a break, who is slow, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanman.errors import ConnectionLost
from lanman.faces.web.live import poll, ring
from lanman.faces.web.live.deltas import delta_text
from lanman.faces.web.live.hub import Viewing
from lanman.faces.web.live.stream import DRAIN_TIMEOUT, PIECE, SILENCE, STALLED
from lanman.faces.web.people import Person
from lanman.manage.watching.rows import Kind
from lanman.records import FileInfo
from support.hub_stage import Browser, Stage, session, staged
from support.live_page import Page

AWAY = ConnectionLost("fs1 does not answer", server="fs1")


def rows(viewing: Viewing) -> dict[str, dict[str, Any]]:
    return {row["key"]: row for kind in Kind for row in viewing.rows(kind)}


def test_hello_tells_who_one_is_and_what_there_is() -> None:
    async def test(stage: Stage) -> None:
        ann = stage.person("ann")
        browser = stage.stream(ann)
        await asyncio.sleep(0.5)
        (hello,) = browser.events
        assert (browser.status, hello.name, hello["v"], hello["readonly"]) == (200, "hello", 1, False)
        assert hello["person"] == {"name": "ann", "kind": "login"}
        (server,) = hello["servers"]
        assert server["asked_at"] is not None
        del server["asked_at"]
        assert server == {
            "name": "fs1",
            "state": "up",
            "level": 502,
            "streamed": False,
            "kinds": ["file", "session", "share"],
            "refused": {},
            "error": None,
            "user": "ann",
            "capabilities": dict.fromkeys(("end", "close", "share", "set", "pause", "drain"), True),
            "why": {},
        }
        assert hello.id == stage.hub.numbers.place()
        await browser.leave()

    staged(test)


def test_hello_does_not_wait_for_a_server_that_hangs() -> None:
    async def test(stage: Stage) -> None:
        stage.server.hangs = True
        browser = stage.stream(stage.person("ann"))
        await asyncio.sleep(1.5)
        (hello,) = browser.events
        assert hello["servers"][0]["state"] == "away"
        await browser.leave()

    staged(test)


def test_what_has_changed_is_told_and_what_is_idle_is_not() -> None:
    async def test(stage: Stage) -> None:
        ann = stage.person("ann")
        browser = stage.stream(ann)
        await asyncio.sleep(1)
        viewing = await stage.joined(ann)
        page = Page()
        page.put(viewing.at, rows(viewing).values())
        for _ in range(10):
            await asyncio.sleep(2)
        assert len(browser.events) == 1  # sessions that are idle send nothing
        stage.server.sessions[0].num_opens = 3
        stage.server.sessions.append(session(r"\\pc8", "dave", age=1))
        stage.server.files.clear()
        await asyncio.sleep(3)
        (delta,) = browser.named("delta")
        assert delta.id == ring.place(stage.hub.numbers.epoch, delta["seq"][1])
        assert (delta["v"], delta["server"], delta["how"]) == (1, "fs1", "polled")
        assert [row["user_name"] for row in delta["open"]] == ["dave"]
        assert [set(row) for row in delta["change"]] == [{"key", "kind", "num_opens"}]
        assert [(row["kind"], row["why"]) for row in delta["close"]] == [("file", "vanished")]
        page.take(delta)
        assert page.rows == rows(viewing)
        await browser.leave()

    staged(test)


def test_at_most_four_deltas_a_second() -> None:
    async def test(stage: Stage) -> None:
        stage.hub.every = 0.01
        browser = stage.stream(stage.person("ann"))
        await asyncio.sleep(1)
        for number in range(200):
            stage.server.files.append(FileInfo(number + 10, 1, 0, f"{number}.txt", "bob"))
            await asyncio.sleep(0.01)
        await asyncio.sleep(1)
        deltas = browser.named("delta")
        assert 7 <= len(deltas) <= 10
        assert sum(len(delta["open"]) for delta in deltas) == 200
        await browser.leave()

    staged(test)


def test_a_delta_is_written_once_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[object] = []

    def counted(*given: Any) -> Iterator[str]:
        written.append(given)
        return delta_text(*given)

    monkeypatch.setattr(poll, "delta_text", counted)

    async def test(stage: Stage) -> None:
        browsers = [stage.stream(stage.person(f"user{number}")) for number in range(30)]
        await asyncio.sleep(1)
        stage.server.files.clear()
        await asyncio.sleep(3)
        assert len(written) == 1
        assert {len(browser.named("delta")) for browser in browsers} == {1}
        assert len({id(browser.sent[-1]) for browser in browsers}) == 1  # the very same bytes
        for browser in browsers:
            await browser.leave()

    staged(test)


def test_a_break_goes_on_where_it_was() -> None:
    async def test(stage: Stage) -> None:
        ann = stage.person("ann")
        browser = stage.stream(ann)
        await asyncio.sleep(1)
        last = browser.last_id
        await browser.leave()
        stage.server.files.clear()
        await asyncio.sleep(10)
        stage.server.sessions.pop()
        await asyncio.sleep(10)
        browser = stage.stream(ann, last)
        await asyncio.sleep(1)
        assert [event.name for event in browser.events] == ["hello", "delta", "delta"]
        assert browser.events[0].id == last
        assert [len(event["close"]) for event in browser.named("delta")] == [1, 1]
        await browser.leave()
        browser = stage.stream(ann, browser.last_id)
        await asyncio.sleep(1)
        assert [event.name for event in browser.events] == ["hello"]
        await browser.leave()

    staged(test)


@pytest.mark.parametrize("after", ["0123-1", "nonsense", "{epoch}-99999999", "{epoch}-0"])
def test_a_place_that_is_not_known_is_given_the_whole(after: str) -> None:
    async def test(stage: Stage) -> None:
        ann = stage.person("ann")
        await stage.joined(ann)
        browser = stage.stream(ann, after.format(epoch=stage.hub.numbers.epoch))
        await asyncio.sleep(1)
        assert [event.name for event in browser.events if event.name != "server"] == ["hello", "resync"]
        assert browser.named("resync")[0]["server"] == "fs1"
        await browser.leave()

    staged(test)


def test_who_is_away_for_too_long_is_given_the_whole() -> None:
    async def test(stage: Stage) -> None:
        ann = stage.person("ann")
        browser = stage.stream(ann)
        await asyncio.sleep(1)
        last = browser.last_id
        await browser.leave()
        with stage.watched(ann):
            stage.server.files.clear()
            await asyncio.sleep(200)
            stage.server.sessions.pop()
            await asyncio.sleep(150)
        browser = stage.stream(ann, last)
        await asyncio.sleep(1)
        assert len(browser.named("resync")) == 1
        await browser.leave()

    staged(test)


def test_a_slow_reader_is_given_the_whole_and_takes_no_room() -> None:
    async def test(stage: Stage) -> None:
        stage.hub.every = 0.25
        ann = stage.person("ann")
        viewing = await stage.joined(ann)
        slow, other = stage.stream(ann), stage.stream(ann)
        await asyncio.sleep(1)
        page = Page()
        page.put(viewing.at, rows(viewing).values())
        slow.slow()
        begun = stage.clock.now
        while stage.clock.now - begun < STALLED - 5:
            stage.server.files = [
                FileInfo(number, 1, 0, f"{'x' * 100}{stage.clock.now}.txt", "bob") for number in range(60)
            ]
            await asyncio.sleep(0.5)
            assert slow.waiting <= PIECE
        assert len(other.named("delta")) > 90
        assert viewing.poll is not None
        assert viewing.poll.ring.size <= ring.MAX_BYTES
        slow.slow(False)
        await asyncio.sleep(0.5)
        assert len(slow.named("delta")) <= 2  # the one that was on its way
        (resync,) = slow.named("resync")
        page.lost()
        page.put(viewing.at, rows(viewing).values())
        stage.server.files.clear()
        await asyncio.sleep(1)
        page.take(slow.named("delta")[-1])
        assert page.rows == rows(viewing)
        assert slow.events.index(resync) < slow.events.index(slow.named("delta")[-1])
        for browser in (slow, other):
            await browser.leave()

    staged(test)


def test_who_takes_nothing_at_all_is_let_go() -> None:
    async def test(stage: Stage) -> None:
        browser = stage.stream(stage.person("ann"))
        await asyncio.sleep(1)
        browser.slow()
        await asyncio.sleep(SILENCE + STALLED + 1)
        assert browser.task.done()
        assert stage.hub.streams == 0

    staged(test)


def test_what_is_large_is_sent_in_pieces() -> None:
    async def test(stage: Stage) -> None:
        browser = stage.stream(stage.person("ann"))
        await asyncio.sleep(1)
        stage.server.files = [FileInfo(number, 1, 0, f"{'x' * 200}{number}.txt", "bob") for number in range(2000)]
        await asyncio.sleep(3)
        (delta,) = browser.named("delta")
        assert len(delta["open"]) == 2000
        assert max(map(len, browser.sent)) <= PIECE
        await browser.leave()

    staged(test)


def test_more_than_is_worth_telling_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poll, "MAX_ROWS", 50)

    async def test(stage: Stage) -> None:
        ann = stage.person("ann")
        browser = stage.stream(ann)
        viewing = await stage.joined(ann)
        await asyncio.sleep(1)
        stage.server.files = [FileInfo(number, 1, 0, f"{number}.txt", "bob") for number in range(10, 80)]
        await asyncio.sleep(3)
        assert [event.name for event in browser.events] == ["hello", "resync"]
        assert len(viewing.rows(Kind.FILE)) == 70
        stage.server.files.pop()
        await asyncio.sleep(3)
        page = Page()
        page.put(
            browser.named("resync")[0].id, [*rows(viewing).values(), {"key": "file:79:79.txt:bob:0", "kind": "file"}]
        )
        page.take(browser.named("delta")[0])
        assert page.rows == rows(viewing)
        await browser.leave()

    staged(test)


def test_a_comment_comes_while_there_is_nothing() -> None:
    async def test(stage: Stage) -> None:
        browser = stage.stream(stage.person("ann"))
        await asyncio.sleep(4 * SILENCE + 1)
        assert len(browser.comments) == 4
        assert len(browser.events) == 1
        await browser.leave()

    staged(test)


@pytest.mark.parametrize("is_slow", [False, True])
@pytest.mark.parametrize("way", ["log-out", "stop", "close"])
def test_it_ends_at_once(way: str, is_slow: bool) -> None:
    async def test(stage: Stage) -> None:
        stage.hub.every = 0.25
        ann, eve = stage.person("ann"), stage.person("eve")
        browser, other = stage.stream(ann), stage.stream(eve)
        await asyncio.sleep(1)
        if is_slow:
            browser.slow()
            stage.server.files.clear()
            await asyncio.sleep(1)
        begun = stage.clock.now
        if way == "log-out":
            stage.log_off(ann)
        elif way == "stop":
            stage.hub.stop()
        else:
            await stage.hub.close()
        await browser.task
        assert stage.clock.now - begun <= (DRAIN_TIMEOUT if is_slow else 0.01) + 0.01
        assert browser.ended is not is_slow
        assert other.task.done() == other.ended == (way != "log-out" and (way == "close" or other.task.done()))
        await other.leave()

    staged(test)


def test_the_browser_has_gone() -> None:
    async def test(stage: Stage) -> None:
        browser = stage.stream(stage.person("ann"))
        await asyncio.sleep(1)
        assert stage.hub.streams == 1
        browser.slow()
        stage.server.files.clear()
        await asyncio.sleep(3)
        await browser.leave()
        assert stage.hub.streams == 0

    staged(test)


# --- any history


class Story:
    """People who come, go and come back while their server lives its life, in any order."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.people: dict[str, Person] = {}
        self.browsers: dict[str, Browser] = {}
        self.pages: dict[str, Page] = {}
        self.taken: dict[str, int] = {}
        self.last: dict[str, str] = {}
        stage.server.sessions.clear()

    async def connect(self, name: str) -> None:
        """A stream is opened, where this person was."""
        if name not in self.people:
            self.people[name] = self.stage.person(name)
        if name not in self.browsers:
            self.browsers[name] = self.stage.stream(self.people[name], self.last.get(name))
            self.pages.setdefault(name, Page())
            self.taken[name] = 0
            await asyncio.sleep(0.001)

    async def hang_up(self, name: str) -> None:
        """The connection is lost; what was not taken is lost too."""
        if (browser := self.browsers.pop(name, None)) is not None:
            await browser.leave()

    async def log_off(self, name: str) -> None:
        """Somebody logs off, and is another person when they come back."""
        await self.hang_up(name)
        if (person := self.people.pop(name, None)) is not None:
            self.stage.log_off(person)
            self.pages.pop(name, None)
            self.last.pop(name, None)

    async def take(self, name: str) -> None:
        """The page takes what has come, and asks for the whole where it has to."""
        if (browser := self.browsers.get(name)) is None:
            return
        page = self.pages[name]
        for event in browser.events[self.taken[name] :]:
            if event.name == "delta":
                page.take(event)
            elif event.name == "resync":
                page.lost()
            if event.name == "hello" and page.epoch and not event.id.startswith(page.epoch):
                page.lost()
            self.last[name] = event.id
        self.taken[name] = len(browser.events)
        if page.at is None:
            viewing = await self.stage.joined(self.people[name])
            if viewing.state == "up":
                page.put(viewing.at, rows(viewing).values())

    async def change(self, number: int, opens: int) -> None:
        """A session comes, is otherwise, or goes."""
        there = {entry.client_name: entry for entry in self.stage.server.sessions}
        entry = there.get(rf"\\pc{number}")
        if entry is None:
            self.stage.server.sessions.append(session(rf"\\pc{number}", f"user{number}", age=0))
        elif opens:
            entry.num_opens = (entry.num_opens or 0) + opens
        else:
            self.stage.server.sessions.remove(entry)

    async def check(self) -> None:
        """In the end every page has what the server lists."""
        self.stage.server.away = None
        for name in list(self.people):
            await self.connect(name)
        await asyncio.sleep(130)
        for name, page in self.pages.items():
            await self.take(name)
            viewing = await self.stage.joined(self.people[name])
            assert viewing.state == "up"
            assert page.rows == rows(viewing)
            listed = [(row["client_name"], row["num_opens"]) for row in viewing.rows(Kind.SESSION)]
            assert sorted(listed) == sorted(
                (entry.client_name, entry.num_opens) for entry in self.stage.server.sessions
            )
            await self.hang_up(name)


NAMES = st.sampled_from(["ann", "eve"])
CHAPTERS = st.one_of(
    st.tuples(st.sampled_from(["connect", "hang_up", "log_off", "take"]), NAMES),
    st.tuples(st.just("change"), st.integers(0, 3), st.integers(0, 2)),
    st.tuples(st.just("time"), st.sampled_from([0.1, 1.0, 2.0, 7.0, 70.0])),
    st.tuples(st.just("away"), st.booleans()),
)


@given(st.lists(CHAPTERS, max_size=25))
@settings(max_examples=100)
def test_any_history_ends_with_what_the_server_lists(chapters: Sequence[Any]) -> None:
    async def test(stage: Stage) -> None:
        story = Story(stage)
        for what, *how in chapters:
            if what == "time":
                await asyncio.sleep(how[0])
            elif what == "away":
                stage.server.away = AWAY if how[0] else None
            else:
                await getattr(story, what)(*how)
        await story.check()

    staged(test)
