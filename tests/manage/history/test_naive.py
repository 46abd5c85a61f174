"""Random histories, played to the recorder and to a model that keeps whole stays in a list: both answer alike.

Midnights, servers that are away, recorders that are killed, stopped, held up and started again are among them. The
model knows no days, no rows and no database.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lanman.manage.history import Answer, GapRecord, GapWhy, Stay
from lanman.manage.watching.keys import How
from lanman.manage.watching.rows import FileRow, SessionRow
from support.recorded import DAY, NOON, Clock, ScriptedPoller, Stage, file, session

PATIENCE = 20
NEVER = 1 << 60

Row = SessionRow | FileRow


@dataclass
class Whole:
    """A stay, as one."""

    row: Row
    begun: int
    since: int
    slack: int
    how: How
    ended: int | None = None
    ended_slack: int = 0
    why: str | None = None


@dataclass
class Server:
    """What is known of a server."""

    name: str
    since: int | None = None
    seen: int = 0
    due: int = 0
    last: int | None = None  # look of the recorder that runs
    stays: list[Whole] = field(default_factory=list)
    gaps: list[list[Any]] = field(default_factory=list)  # begun, ended, why
    open: dict[Any, Whole] = field(default_factory=dict)
    truth: dict[Any, Row] = field(default_factory=dict)  # what is really there

    def gap(self) -> list[Any] | None:
        return next((gap for gap in self.gaps if gap[1] is None), None)


class Model:
    """All servers, and whether a recorder runs."""

    def __init__(self, *names: str) -> None:
        self.servers = {name: Server(name) for name in names}
        self.running = False

    def start(self) -> None:
        self.running = True
        for server in self.servers.values():
            server.last = None
            if server.since is None:
                continue
            for whole in server.open.values():
                whole.ended, whole.why = max(whole.begun, server.seen), "unknown"
            server.open.clear()
            server.due = server.seen
            if server.gap() is None:
                server.gaps.append([server.seen, None, GapWhy.NOT_RUNNING])

    def stop(self) -> None:
        self.running = False
        for server in self.servers.values():
            if server.last is not None:
                server.due = min(server.due, server.seen)

    def away(self, server: Server, now: int) -> None:
        if server.gap() is None:
            server.gaps.append([now if server.last is None else server.last, None, GapWhy.AWAY])
        if server.since is None:
            server.since = server.seen = now
        server.due = now + PATIENCE + 1

    def look(self, server: Server, now: int, opened: list[Row], closed: list[Row]) -> None:
        gap = server.gap()
        if gap is not None:
            gap[1] = max(gap[0], now)
        elif server.last is not None and now - server.last > PATIENCE:
            server.gaps.append([server.last, now, GapWhy.PAUSED])
        if server.last is None:
            for row in server.truth.values():
                self._begin_first(server, row, now)
        for row in closed:
            whole = server.open.pop(row.key)
            assert server.last is not None
            whole.ended, whole.why = now, "vanished"
            whole.ended_slack = now - server.last
        for row in opened:
            assert server.last is not None
            self._add(server, row, *self._seen_between(row, server.last, now))
        if server.since is None:
            server.since = now
        server.seen = server.last = now
        server.due = now + PATIENCE + 1

    def _begin_first(self, server: Server, row: Row, now: int) -> None:
        floor = now if server.since is None else min(server.seen, now)
        if isinstance(row, SessionRow) and row.begun_at is not None:
            upper = min(int(row.begun_at) + 3, now)
            lower = min(int(row.begun_at) - 3, upper)
            self._add(server, row, lower, upper - lower, How.TOLD, max(lower, floor))
        else:
            self._add(server, row, now, 0, How.UNKNOWN, now)

    @staticmethod
    def _seen_between(row: Row, after: int, now: int) -> tuple[int, int, How]:
        if isinstance(row, SessionRow) and row.begun_at is not None:
            lower = max(int(row.begun_at) - 3, after)
            return lower, max(lower, min(int(row.begun_at) + 3, now)) - lower, How.TOLD
        return after, now - after, How.SEEN

    def _add(self, server: Server, row: Row, since: int, slack: int, how: How, begun: int | None = None) -> None:
        whole = Whole(row, since if begun is None else begun, since, slack, how)
        server.open[row.key] = whole
        server.stays.append(whole)

    # --- answers

    def stays(self, since: int, until: int, now: int, means: Callable[[Row], bool]) -> Counter[Any]:
        found: Counter[Any] = Counter()
        for server in self.servers.values():
            recorded = self.running and server.due >= now
            lasting = recorded and server.gap() is None
            for whole in server.stays:
                end = whole.ended
                if end is None:
                    end = NEVER if lasting else max(whole.begun, server.seen)
                if whole.begun <= until and end >= since and means(whole.row):
                    shown, why = whole.ended, whole.why
                    if shown is None and not recorded:
                        shown, why = max(whole.begun, server.seen), "unknown"
                    path = whole.row.path if isinstance(whole.row, FileRow) else None
                    begin = whole.since, whole.slack, whole.how
                    found[server.name, whole.row.user_name, path, *begin, shown, whole.ended_slack, why] += 1
        return found

    def gaps(self, since: int, until: int, now: int) -> Counter[Any]:
        until = min(until, now)
        found: Counter[Any] = Counter()
        for server in self.servers.values():
            if server.since is None:
                continue
            lasting = False
            for begun, ended, why in server.gaps:
                if begun <= until and (ended is None or ended >= since):
                    found[server.name, begun, ended, why] += 1
                    lasting |= ended is None
            if since < server.since:
                found[server.name, None, server.since, GapWhy.NOT_KEPT] += 1
            recorded = self.running and server.due >= now
            if not recorded and until > server.seen and not lasting:
                found[server.name, server.seen, None, GapWhy.NOT_RUNNING] += 1
        return found


def told(answer: Answer) -> Counter[Any]:
    def one(stay: Stay) -> tuple[Any, ...]:
        begin = stay.begun_at, stay.begun_slack, stay.begun_how
        return stay.server, stay.user_name, stay.path, *begin, stay.ended_at, stay.ended_slack, stay.why

    return Counter(map(one, answer.stays))


def told_gaps(gaps: list[GapRecord]) -> Counter[Any]:
    return Counter((gap.server, gap.begun_at, gap.ended_at, gap.why) for gap in gaps)


names = st.sampled_from(["fs1", "fs2"])
pauses = st.one_of(st.integers(1, 15), st.sampled_from([40, 3600, DAY // 2, DAY - 7, DAY, 2 * DAY + 5]))
users = st.sampled_from(["ann", "bob"])
happenings = st.one_of(
    st.tuples(st.just("wait"), pauses),
    st.tuples(st.just("session"), names, users, st.integers(0, 100), st.booleans()),
    st.tuples(st.just("file"), names, users, st.integers(0, 3)),
    st.tuples(st.just("close"), names, st.integers(0, 9)),
    st.tuples(st.just("away"), names),
    st.tuples(st.just("look"), names),
    st.tuples(st.just("kill")),
    st.tuples(st.just("stop")),
)
histories = st.lists(st.tuples(pauses, happenings), min_size=4, max_size=30)


class Play:
    """One history, played to both."""

    def __init__(self, url: str) -> None:
        # Just before a midnight, so that short histories have one.
        self.clock = Clock(NOON + DAY // 2 - 30)
        self.stage = Stage(url, self.clock, "fs1", "fs2", keep=4000)
        self.model = Model("fs1", "fs2")
        self.begun = int(self.clock.now)
        self.number = 0
        self.looked: dict[str, dict[Any, Row]] = {"fs1": {}, "fs2": {}}

    @property
    def now(self) -> int:
        return int(self.clock.now)

    async def start(self) -> None:
        await self.stage.start()
        self.model.start()

    async def step(self, pause: int, happening: tuple[Any, ...]) -> None:
        self.clock.now += pause
        what, *arguments = happening
        if what == "wait":
            self.clock.now += arguments[0]
        elif what in ("kill", "stop"):
            await (self.stage.kill() if what == "kill" else self.stage.stop())
            if what == "stop":
                self.model.stop()
            self.model.running = False
            if pause % 2:
                await self.ask(pause)
            self.clock.now += pause
            await self.start()
        elif what == "away":
            self.stage.pollers[arguments[0]].away()
            self.model.away(self.model.servers[arguments[0]], self.now)
        else:
            self.happen(what, *arguments)
        await self.stage.play()

    def happen(self, what: str, name: str, *arguments: Any) -> None:
        server, poller = self.model.servers[name], self.stage.pollers[name]
        self.number += 1
        if what == "session":
            user, age, tells = arguments
            row = session(rf"\\pc{self.number}", user, self.now - age if tells else None)
            if server.last is not None and tells and self.now - age + 3 < server.last:
                row = session(rf"\\pc{self.number}", user, self.now)  # it would have been there at the look before
            server.truth[row.key] = row
        elif what == "file":
            user, number = arguments
            opened = file(self.number, rf"D:\data\{number}.txt", user)
            server.truth[opened.key] = opened
        elif what == "close" and server.truth:
            del server.truth[sorted(server.truth, key=str)[arguments[0] % len(server.truth)]]
        self.look(server, poller)

    def look(self, server: Server, poller: ScriptedPoller) -> None:
        rows = list(server.truth.values())
        if server.last is None:
            for row in rows:
                poller.picture.put(row)
            poller.look(first=True)
            self.model.look(server, self.now, [], [])
            return
        opened = [row for row in rows if row.key not in server.open]
        closed = [whole.row for key, whole in server.open.items() if key not in server.truth]
        poller.look(*map(poller.gone, closed), *map(poller.seen, opened))
        self.model.look(server, self.now, opened, closed)

    async def ask(self, seed: int) -> None:
        """Compare all kinds of questions, at times that matter."""
        now, store, model = self.now, self.stage.store, self.model
        if all(server.since is None for server in model.servers.values()):
            return
        midnight = NOON + DAY // 2
        times = [
            self.begun,
            midnight - 1,
            midnight,
            midnight + 1,
            midnight + DAY,
            now - 1,
            now,
            self.begun + seed * 977,
        ]
        for server in model.servers.values():
            for whole in server.stays[seed % 3 :: 3]:
                times += [whole.begun, *([] if whole.ended is None else [whole.ended, whole.ended + 1])]
        for time in {min(time, now) for time in times}:
            answer = await store.at(time)
            assert told(answer) == model.stays(time, time, now, lambda row: True), time - midnight
            assert told_gaps(answer.gaps) == model.gaps(time, time, now), time - midnight
        middle = self.begun + (now - self.begun) // 2
        for since, until in ((self.begun, now), (self.begun, middle), (middle, now), (midnight, midnight + 5)):
            if since > now:
                continue
            answer = await store.between(since, until)
            assert told(answer) == model.stays(since, until, now, lambda row: True)
            assert told_gaps(answer.gaps) == model.gaps(since, until, now)
        answer = await store.by_user("bob", since=middle)
        assert told(answer) == model.stays(middle, now, now, lambda row: row.user_name == "bob")
        wanted = r"D:\data\1.txt"
        answer = await store.who(wanted)
        assert told(answer) == model.stays(0, now, now, lambda row: isinstance(row, FileRow) and row.path == wanted)
        exported = [stay async for stay in store.export(middle, now)]
        assert told(Answer(exported, [], [])) == model.stays(middle, now, now, lambda row: True)


async def play(url: str, history: list[tuple[int, tuple[Any, ...]]]) -> None:
    played = Play(url)
    async with played.stage:
        await played.start()
        for pause, happening in history:
            await played.step(pause, happening)
        await played.ask(history[0][0])
        played.clock.now += 100
        await played.ask(history[-1][0])


def check(new_url: Callable[[], str], examples: int) -> None:
    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(histories)
    def run(history: list[tuple[int, tuple[Any, ...]]]) -> None:
        asyncio.run(play(new_url(), history))

    run()


def test_histories(new_url: Callable[[], str]) -> None:
    # Making the tables takes PostgreSQL longer than a history.
    check(new_url, 10 if new_url().startswith("postgresql") else 30)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_many_histories(new_url: Callable[[], str]) -> None:
    check(new_url, 1000)
