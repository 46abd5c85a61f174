"""How long the screen of `lanman watch` takes to show ten thousand sessions, changes of them, and events of a Server.

    .venv/bin/python benchmarks/watch_screen.py [--rows 10000] [--changes 500] [--rounds 5] [--events 300] [--json]

Both ends are the same for the screen and for textual's own DataTable, which has the same rows and columns in the same
process: from the moment at which the rows are there to the moment at which textual has written, to a driver that keeps
what a terminal would be sent, bytes in which the new text stands. The terminal has 200 columns and 50 lines, the list
is sorted by idle time when it changes, and every twentieth row does.

The latency of an event is from when it happens on a lanman Server in the same process and event loop to the bytes that
show it: the Server's control socket, its follower, the poller, the lists and the screen lie between. The event is a
session that begins; an event is given every 20 ms, not in step with the screen.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from figures import Figure, add_json, for_people, report
from textual.app import App, ComposeResult
from textual.drivers.headless_driver import HeadlessDriver
from textual.widgets import DataTable

from lanman.faces.tui.app import WatchScreen
from lanman.faces.tui.model import WatchedServer
from lanman.faces.tui.sources import PolledServer
from lanman.manage.manager import Manager
from lanman.manage.open import open_manager
from lanman.manage.watching.changes import Change, Picture, Update, What
from lanman.manage.watching.keys import How, SessionKey
from lanman.manage.watching.rows import SessionRow
from lanman.net.home import Home
from lanman.net.server import SmbServer
from lanman.settings import Configuration

SIZE = (200, 50)
NOW = time.time()


class Terminal(HeadlessDriver):
    """A terminal that keeps nothing of what it is sent, but says when a text was in it."""

    waits_for: tuple[str, asyncio.Event] | None = None
    seen_at = 0.0

    @property
    def is_headless(self) -> bool:
        return False  # a headless one would not be sent anything

    def write(self, data: str) -> None:
        if self.waits_for is not None and self.waits_for[0] in data:
            Terminal.seen_at = time.perf_counter()
            self.waits_for[1].set()
            Terminal.waits_for = None


async def shown(text: str, doing: Callable[[], None]) -> float:
    """The seconds from before `doing` until `text` was written to the terminal."""
    event = asyncio.Event()
    Terminal.waits_for = text, event
    began = time.perf_counter()
    doing()
    await asyncio.wait_for(event.wait(), 60)
    return Terminal.seen_at - began


def sessions(count: int) -> list[SessionRow]:
    rows = []
    for number in range(count):
        client, user = rf"\\10.{number >> 16}.{number >> 8 & 255}.{number & 255}", f"user{number % 700}"
        key = SessionKey(client, user, round(NOW - 3600))
        rows.append(SessionRow(key, client, user, number % 5, NOW - 3600, How.TOLD, NOW - number))
    return rows


class Given:
    """A server whose updates are put in by hand."""

    name = "fs1"
    meant = None
    nodes = False

    def __init__(self) -> None:
        self.updates: asyncio.Queue[Update] = asyncio.Queue()

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[AsyncIterator[Update]]:
        async def each() -> AsyncIterator[Update]:
            while True:
                yield await self.updates.get()

        yield each()

    @asynccontextmanager
    async def manager(self) -> AsyncIterator[Manager]:
        async with open_manager(home="/nonexistent") as manager:
            yield manager

    def look_now(self) -> None:
        pass


class Table(App[None]):
    """The same sessions in textual's own table."""

    ENABLE_COMMAND_PALETTE = False

    def compose(self) -> ComposeResult:
        yield DataTable()

    def on_mount(self) -> None:
        self.table: DataTable[str] = self.query_one(DataTable)
        for column in WatchedServer("").sessions.columns:
            self.table.add_column(column.title, key=column.title)

    def cells(self, row: SessionRow) -> list[str]:
        return [column.text(row, NOW) for column in WatchedServer("").sessions.columns]


@asynccontextmanager
async def running(app: App[object]) -> AsyncIterator[None]:
    app.driver_class = Terminal
    ready = asyncio.Event()
    task = asyncio.create_task(app.run_async(size=SIZE, auto_pilot=lambda pilot: _set(ready)))
    await asyncio.wait_for(ready.wait(), 30)
    await asyncio.sleep(0.2)
    yield
    app.exit()
    await task


async def _set(event: asyncio.Event) -> None:
    event.set()


def changed(rows: list[SessionRow], count: int, opens: int) -> list[SessionRow]:
    """Some rows with another number of opens, and used a moment ago."""
    step = max(1, len(rows) // count)
    return [row._replace(num_opens=opens, used_at=NOW - place / 100) for place, row in enumerate(rows[::step][:count])]


async def lanman(count: int, changes: int) -> list[float]:
    source, picture, rows = Given(), Picture("fs1"), sessions(count)
    screen = WatchScreen([source])
    async with running(screen):  # type: ignore[arg-type]
        for row in rows:
            picture.put(row)
        picture.level, picture.asked_at = 502, NOW
        first = await shown("user1 ", lambda: source.updates.put_nowait(Update(picture, first=True)))
        for _ in range(3):
            screen.action_column(1)
        screen.action_sort()
        await asyncio.sleep(0.5)
        after = changed(rows, changes, 4242)
        told = [
            Change(What.CHANGED, row, NOW, How.SEEN, NOW - 2, before=old, fields=("num_opens", "used_at"))
            for row, old in zip(after, rows[:: max(1, count // changes)], strict=False)
        ]

        def change() -> None:
            for each in told:
                picture.apply(each)
            source.updates.put_nowait(Update(picture, told))

        later = await shown("4242 ", change)
        sort = await shown("user", screen.action_sort)
        return [first, later, sort]


async def datatable(count: int, changes: int) -> list[float]:
    rows = sessions(count)
    app = Table()
    async with running(app):  # type: ignore[arg-type]

        def fill() -> None:
            for row in rows:
                app.table.add_row(*app.cells(row), key=str(row.key))

        first = await shown("user1 ", fill)
        app.table.sort("IDLE")
        await asyncio.sleep(0.5)
        after = changed(rows, changes, 4242)

        def change() -> None:
            for row in after:
                app.table.update_cell(str(row.key), "OPENS", "4242")
                app.table.update_cell(str(row.key), "IDLE", app.cells(row)[3])
            app.table.sort("IDLE")

        later = await shown("4242", change)
        sort = await shown("user", lambda: app.table.sort("IDLE", reverse=True) and None)
        return [first, later, sort]


async def events(count: int) -> tuple[list[float], list[float]]:
    """The seconds from each session's begin on a Server to the bytes that show it; and by how many the pauses between
    them were too long, which is what the machine adds."""
    found, late = [], []
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        server = SmbServer(Configuration(listen=("127.0.0.1",), port=0), home)
        async with server:
            source = PolledServer("own", lambda: open_manager(home=home.path))
            screen = WatchScreen([source])
            async with running(screen):  # type: ignore[arg-type]
                await asyncio.sleep(1)

                def begin(number: int) -> None:
                    now = asyncio.get_running_loop().time()
                    server.service.register_session(number, number, f"PC{number}", f"user{number:05}", now=now)
                    server.flush()

                for number in range(1, count + 1):
                    found.append(await shown(f"user{number:05}", lambda number=number: begin(number)))
                    before, pause = time.perf_counter(), 0.02 + number % 17 / 1000
                    await asyncio.sleep(pause)
                    late.append(time.perf_counter() - before - pause)
    return found, late


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--changes", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=300)
    add_json(parser)
    arguments = parser.parse_args()
    with for_people(arguments.json):
        figures = measure(arguments)
    report("watch_screen", figures, arguments.json)


def measure(arguments: argparse.Namespace) -> list[Figure]:
    """Two tables, and the figures."""
    ours, theirs = [], []
    for _ in range(arguments.rounds):
        ours.append(asyncio.run(lanman(arguments.rows, arguments.changes)))
        theirs.append(asyncio.run(datatable(arguments.rows, arguments.changes)))
    print(f"| {arguments.rows:,} rows | lanman watch | DataTable | ratio |\n|---|---|---|---|")
    whats = ("first paint", f"{arguments.changes} changes, sorted", "sorting the other way")
    figures = []
    for what, goal, one, other in zip(
        whats, (300.0, 50.0, None), zip(*ours, strict=True), zip(*theirs, strict=True), strict=True
    ):
        mine, table = statistics.median(one), statistics.median(other)
        print(f"| {what} | {mine * 1000:.0f} ms | {table * 1000:.0f} ms | {table / mine:.0f} x |")
        figures.append(Figure(f"{what}, beside", table / mine, "x", "higher", None, "textual's DataTable", 0.4))
        figures.append(Figure(what, mine * 1000, "ms", "lower", goal))
    found, late = asyncio.run(events(arguments.events))
    print(f"\n| {len(found)} events of our Server | median | 99th percentile | worst |\n|---|---|---|---|")
    print(f"| from the event to the screen | {percentiles(found)} |")
    print(f"| a pause of the same loop, too long by | {percentiles(late)} |")
    ninety_ninth = sorted(found)[int(len(found) * 0.99)] * 1000
    return [*figures, Figure("an event to the screen, 99th percentile", ninety_ninth, "ms", "lower", 50.0)]


def percentiles(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    at = (ordered[min(len(ordered) - 1, int(len(ordered) * share / 100))] * 1000 for share in (50, 99, 100))
    return " | ".join(f"{each:.1f} ms" for each in at)


if __name__ == "__main__":
    main()
