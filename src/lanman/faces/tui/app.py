"""The screen of `lanman watch`: four lists of each server, kept up to date while it is looked at.

    fs1  1,204 sessions (+3 -1)  318 files  9 locks  limit 20,000  polled 1 s ago, every 2 s  level 502
    1 Sessions  2 Files  3 Shares  4 Events                     / filter  ? help  READ-ONLY (w: allow orders)
        CLIENT         USER        OPENS         IDLE  SINCE   DIALECT  SHARES
    >   \\\\pc7          bob             2     00:42:10  09:12   3.1.1    projects
     *+ \\\\pc9          dave            1     00:00:00  14:05   3.0.2    pub
    14:05:02 + dave \\\\pc9   14:04:58 - eve \\\\pc2 vanished
    row 1 of 1,204   1 marked

Rules:

  - Nothing can be ended or closed before `w` is pressed, and never with `readonly`.
  - An order is for rows by their keys (`lanman.faces.tui.listing`). It is planned anew at the server, the plan is shown
    and asked about, and what became of each target is shown (`lanman.manage.orders`).
  - Each server is watched by a task of its own: one that does not answer delays no other, and no key press.
  - Nothing is told by colour alone, and the colours are the terminal's own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Final, Protocol

from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from lanman.errors import LanmanError
from lanman.events import SettingChanged
from lanman.faces.ordering import Chosen, carry_out, planned
from lanman.faces.text import width
from lanman.faces.tui.details import details
from lanman.faces.tui.help import HELP
from lanman.faces.tui.lines import LineList, Titles
from lanman.faces.tui.listing import Direction, Filter
from lanman.faces.tui.model import TABS, Meant, WatchedServer
from lanman.faces.tui.pages import OutcomePage, Page, PlanPage, TextLine
from lanman.faces.tui.symbols import Symbols
from lanman.faces.tui.views import event_line, whose
from lanman.manage.manager import Manager
from lanman.manage.orders.plan import Verb
from lanman.manage.watching.changes import Update
from lanman.manage.watching.rows import FileRow, SessionRow


class Source(Protocol):
    """A server that can be watched and told. `name` is what it was called; `meant` says which rows are shown, if not
    all."""

    name: str
    meant: Meant | None
    nodes: bool
    """Whether it is several nodes as one, which rows are shown with."""

    def watch(self) -> AbstractAsyncContextManager[AsyncIterator[Update]]:
        """What there is on it and what happens, until it is left; see `lanman.manage.watching`."""

    def manager(self) -> AbstractAsyncContextManager[Manager]:
        """The Manager that orders go to. The session of whoever watches must count as its own."""

    def look_now(self) -> None:
        """Ask as soon as may be: something has been done there."""


SEPARATOR: Final = "  "

INTERRUPTED: Final = 130
"""The exit status of who was interrupted by Ctrl-C."""


class WatchScreen(App[int]):
    """The application. `clock` gives seconds since 1970; `every` is how often servers are asked, in seconds."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { background: $background; layout: vertical; }
    #headline, Titles { text-style: bold; }
    #filter { height: 1; border: none; padding: 0; background: $background; display: none; }
    LineList > .lines--cursor { text-style: reverse; }
    LineList > .lines--marked { text-style: bold; }
    LineList > .lines--dim { text-style: dim; }
    Titles > .titles--chosen { text-style: underline bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,ctrl+q", "leave", show=False),
        Binding("ctrl+z", "suspend_process", show=False),
        # Before the page that is shown: it would copy text, or tell how to leave.
        Binding("ctrl+c", "interrupt", show=False, priority=True),
        Binding("1", "tab(0)", show=False),
        Binding("2", "tab(1)", show=False),
        Binding("3", "tab(2)", show=False),
        Binding("4", "tab(3)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("up,k", "move(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("home,g", "edge(False)", show=False),
        Binding("end,G", "edge(True)", show=False),
        Binding("left", "column(-1)", show=False),
        Binding("right", "column(1)", show=False),
        Binding("s", "sort", show=False),
        Binding("space", "mark", show=False),
        Binding("slash", "filter", show=False),
        Binding("escape", "undo", show=False),
        Binding("x,enter", "explain", show=False),
        Binding("c", "close", show=False),
        Binding("e", "end", show=False),
        Binding("w", "allow", show=False),
        Binding("p", "pause", show=False),
        Binding("y", "copy", show=False),
        Binding("question_mark,f1,h", "help", show=False),
    ]

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        every: float = 2.0,
        readonly: bool = False,
        symbols: Symbols | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        # The terminal's own colours; and with NO_COLOR none at all, where textual would make them grey.
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"
        self.sources = list(sources)
        self.servers = [WatchedServer(source.name, source.meant, nodes=source.nodes) for source in sources]
        self.every = every
        self.readonly = readonly
        self.symbols = symbols or Symbols()
        self.clock = clock
        self.allowed = False
        self.tab = 0
        self.at = 0
        self.unpaused = asyncio.Event()
        self.unpaused.set()
        self.message = ""
        self.failure: LanmanError | None = None
        """Why the screen was left by itself: the only server has never let us look."""
        self.orders_running = 0
        self._is_drawing = False
        self.lines: LineList[Any, Any] = LineList(
            self.server.listing(0), self.symbols, clock=clock, sign=self._sign, why_empty=self._why_empty, id="lines"
        )
        self.titles = Titles(self.lines)
        self.headline = TextLine(self.symbols, id="headline")
        self.tabs = TextLine(self.symbols, id="tabs")
        self.overview = TextLine(self.symbols, id="servers")
        self.newest = TextLine(self.symbols, id="newest")
        self.status = TextLine(self.symbols, id="status")

    @property
    def server(self) -> WatchedServer:
        """The server that is shown."""
        return self.servers[self.at]

    def _fatal_error(self) -> None:
        # textual would print all local variables: what peers say, unescaped, and whatever else there is.
        # `lanman.faces.tui.start` raises the error, as any other verb does.
        self._close_messages_no_wait()

    # --- what is drawn

    def compose(self) -> ComposeResult:
        """The lines from top to bottom."""
        yield self.headline
        if len(self.servers) > 1:
            yield self.overview
        yield self.tabs
        yield self.titles
        yield self.lines
        yield self.newest
        yield self.status
        yield Input(id="filter", placeholder="text, pat*ern, or !text for rows without it; empty for all", compact=True)

    def on_mount(self) -> None:
        """Watch every server, and show ages as they grow."""
        self.lines.focus()
        for place in range(len(self.sources)):
            self.run_worker(self._watch(place), group="watch", exit_on_error=True)
        self.set_interval(1.0, self.tick)
        self._say_all()

    def tick(self) -> None:
        """A second has passed: ages and idle times are others."""
        now = self.clock()
        for server in self.servers:
            server.tick(now)
        self.lines.draw()
        self._say_all()

    def on_resize(self, event: events.Resize) -> None:
        """What fits into the lines is another."""
        self.call_after_refresh(self._say_all)

    def _sign(self, key: Any, row: Any) -> str:
        return self.server.sign(key, row, self.clock())

    def _why_empty(self) -> str:
        return self.server.why_empty(self.tab)

    def _say_all(self) -> None:
        now, columns = self.clock(), self.size.width
        paused = not self.unpaused.is_set()
        parts = self.server.headline(now, self.symbols, every=self.every, paused=paused)
        self.headline.say(_weightiest(parts, columns))
        if len(self.servers) > 1:
            self.overview.say(self._overview(columns))
        self.tabs.say(self._tabs(columns))
        events = [event_line(event, now) for event in self.server.newest]
        self.newest.say(_fitting(events, columns) if events else "")
        self.status.say(self.message or self._position())
        self.titles.draw()

    def _overview(self, columns: int) -> str:
        parts = []
        for place, server in enumerate(self.servers):
            count = "waiting" if server.picture is None else f"{len(server.sessions.rows):,}"
            state = "AWAY" if server.is_old else count
            parts.append(f"[{server.name} {state}]" if place == self.at else f" {server.name} {state} ")
        line = f"servers (Tab): {' '.join(parts)}"
        # Of very many, the one that is shown and those behind it are seen.
        return line if width(line) <= columns else f"servers (Tab): {' '.join(parts[self.at :])}"

    def _tabs(self, columns: int) -> str:
        names = [
            f"[{place + 1} {name}]" if place == self.tab else f" {place + 1} {name} " for place, name in enumerate(TABS)
        ]
        if self.readonly:
            mode = "READ-ONLY (--readonly)"
        else:
            mode = "ORDERS ALLOWED (w: read-only)" if self.allowed else "READ-ONLY (w: allow orders)"
        left = "".join(names)
        for right in (f"/ filter   ? help   {mode}", f"? help  {mode}", mode):
            if len(left) + 2 + len(right) <= columns:
                return left + right.rjust(columns - len(left))
        return f"{left}  {mode}"

    def _position(self) -> str:
        listing = self.lines.listing
        parts = []
        if listing.order and listing.place is not None:
            parts.append(f"row {listing.place + 1:,} of {len(listing.order):,}")
        if listing.filter.pattern is not None:
            parts.append(f"filter {listing.filter.typed}, {listing.hidden:,} hidden")
        if listing.marked:
            parts.append(f"{len(listing.marked):,} marked")
        if listing.direction is not Direction.NONE:
            way = "upwards" if listing.direction is Direction.UP else "downwards"
            parts.append(f"sorted by {listing.columns[listing.column].title} {way}")
        return SEPARATOR.join(parts)

    def say(self, message: str) -> None:
        """Show a message in the last line until the next key is pressed."""
        self.message = message
        self.status.say(message or self._position())

    # --- what comes from the servers

    async def _watch(self, place: int) -> None:
        server, source = self.servers[place], self.sources[place]
        try:
            async with source.watch() as updates:
                async for update in updates:
                    await self.unpaused.wait()
                    await server.learn(update)
                    is_back = server.take(update, self.clock())
                    self._updated()
                    if is_back or any(isinstance(event, SettingChanged) for event in update.events):
                        self.run_worker(self._ask_for_limits(place), group=f"limits-{place}", exclusive=True)
            server.ended = "it is not watched any more"
        except LanmanError as error:
            server.ended = error.with_hint
            server.say(server.ended, self.clock())
            if len(self.servers) == 1 and (server.picture is None or server.picture.asked_at is None):
                # There is nothing to look at, and never will be.
                self.failure = error
                self.exit(None)
        self._updated()

    async def _ask_for_limits(self, place: int) -> None:
        """Ask for the limit of sessions and the idle time, which few servers refuse to tell. Of a cluster, each
        node has its own."""
        server, source = self.servers[place], self.sources[place]
        if source.nodes:
            return
        try:
            async with source.manager() as manager:
                server.take_info(await manager.server_info())
        except LanmanError as error:
            server.say(f"limit and idle time unknown: {error.message}", self.clock())
        self._updated()

    def _updated(self) -> None:
        """Show what has come, once for all that comes before it is shown."""
        if not self._is_drawing:
            self._is_drawing = True
            self.call_next(self._draw)

    def _draw(self) -> None:
        self._is_drawing = False
        self.lines.dimmed = self.server.is_old and self.tab != TABS.index("Events")
        self.lines.rows_changed()
        self._say_all()

    # --- keys

    def on_key(self, event: events.Key) -> None:
        """A key press takes the last message away."""
        if self.message:
            self.say("")

    def _show_list(self) -> None:
        self.lines.dimmed = self.server.is_old and self.tab != TABS.index("Events")
        self.lines.show(self.server.listing(self.tab))
        self._say_all()

    def action_tab(self, tab: int) -> None:
        """Show another list."""
        self.tab = tab
        self._show_list()

    def action_server(self, step: int) -> None:
        """Show another server."""
        self.at = (self.at + step) % len(self.servers)
        self._show_list()

    def action_move(self, lines: int) -> None:
        """Move the cursor."""
        self.lines.move(lines)

    def action_page(self, pages: int) -> None:
        """Move the cursor by what is seen at once."""
        self.lines.move(pages * self.lines.page)

    def action_edge(self, last: bool) -> None:
        """To the first row, or to the last."""
        self.lines.go_to(len(self.lines.listing.order) - 1 if last else 0)

    def on_line_list_moved(self, message: LineList.Moved) -> None:
        """The position is another, or the widths are."""
        self._say_all()

    def action_column(self, step: int) -> None:
        """Choose the column that `s` sorts by; what is sorted stays so until then."""
        listing = self.lines.listing
        shown = [place for place, room in enumerate(self.lines.widths) if room]
        chosen = listing.column if self.lines.chosen is None else self.lines.chosen
        place = shown.index(chosen) if chosen in shown else 0
        chosen = shown[(place + step) % len(shown)]
        self.lines.choose(chosen)
        self._say_all()
        self.say(f"s sorts by {listing.columns[chosen].title}")

    def action_sort(self) -> None:
        """Sort by the chosen column: upwards, downwards, and not at all."""
        self._sort(self.lines.chosen if self.lines.chosen is not None else self.lines.listing.column)

    def on_line_list_turned(self, message: LineList.Turned) -> None:
        """A column's title was clicked."""
        self._sort(message.column)

    def _sort(self, column: int) -> None:
        self.lines.choose(column)
        self.lines.listing.turn(column, self.clock())
        self.lines.rows_changed()
        self._say_all()

    def action_mark(self) -> None:
        """Mark the row under the cursor, and go on to the next."""
        if self.tab == TABS.index("Events"):
            self.say("Events are not marked.")
        elif self.lines.listing.toggle_mark():
            self.lines.move(1)
            self.lines.draw()
        else:
            self.say("That row is not there to be marked.")

    def action_filter(self) -> None:
        """Ask for the filter."""
        box = self.query_one("#filter", Input)
        box.value = self.lines.listing.filter.typed
        box.display = True
        self.status.display = False
        box.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Show what the filter lets through."""
        if event.input.id != "filter":
            return
        lost = self.lines.listing.set_filter(Filter.parse(event.value), self.clock())
        self._leave_filter()
        self.lines.rows_changed()
        self._say_all()
        if lost:
            self.say(f"{lost:,} marked row{'' if lost == 1 else 's'} hidden by the filter and no longer marked.")

    def _leave_filter(self) -> None:
        self.query_one("#filter", Input).display = False
        self.status.display = True
        self.lines.focus()

    def action_undo(self) -> None:
        """Escape: leave the filter's line; or take away marks, or else the filter."""
        listing = self.lines.listing
        if self.query_one("#filter", Input).display:
            self._leave_filter()
        elif listing.marked:
            listing.marked.clear()
            self.lines.draw()
        elif listing.filter.pattern is not None:
            listing.set_filter(Filter(), self.clock())
            self.lines.rows_changed()
        self._say_all()

    def action_explain(self) -> None:
        """Show everything that is known of a row."""
        listing = self.lines.listing
        if listing.current is not None and listing.order:
            now = self.clock()
            lines = details(self.server, listing.row(listing.current), now)
            self.push_screen(Page(self.symbols, self.server.name, lines))

    def action_copy(self) -> None:
        """Copy what is marked, or the row under the cursor, to the terminal's clipboard (OSC 52), with tabs between."""
        listing, now = self.lines.listing, self.clock()
        chosen = list(listing.targets())
        if not chosen:
            self.say("There is no row to copy.")
            return
        rows = ["\t".join(self.symbols.shown(cell) for cell in listing.cells(key, now)) for key in chosen]
        self.copy_to_clipboard("\n".join(rows))
        self.say(f"{len(rows):,} row{'' if len(rows) == 1 else 's'} copied, if the terminal allows it (OSC 52).")

    def action_pause(self) -> None:
        """Stop asking the servers, or go on."""
        if self.unpaused.is_set():
            self.unpaused.clear()
        else:
            self.unpaused.set()
        self._say_all()

    def action_help(self) -> None:
        """What the keys do."""
        self.push_screen(Page(self.symbols, "lanman watch", HELP))

    def action_leave(self) -> None:
        """Leave the screen, unless an order is being carried out."""
        if self.orders_running:
            self.say("An order is being carried out; wait for it, or see what becomes of it.")
            return
        self.exit(0)

    def action_interrupt(self) -> None:
        """Ctrl-C: leave at once. An order that has been given stays given; what is still to be given is not."""
        self.exit(INTERRUPTED)

    # --- orders

    def action_allow(self) -> None:
        """Allow orders, or no longer."""
        if self.readonly:
            self.say("The screen was started with --readonly: nothing can be ended or closed here.")
            return
        self.allowed = not self.allowed
        self._say_all()

    def action_end(self) -> None:
        """End sessions, after showing what that does."""
        self._order(Verb.END, "Sessions")

    def action_close(self) -> None:
        """Close files, after showing what that does."""
        self._order(Verb.CLOSE, "Files")

    def _order(self, verb: Verb, tab: str) -> None:
        if TABS[self.tab] != tab:
            key, done = ("e", "ends sessions") if verb is Verb.END else ("c", "closes files")
            self.say(f"{key} {done}: they are in tab {TABS.index(tab) + 1}.")
        elif not self.allowed:
            mode = "--readonly was given" if self.readonly else "w allows orders"
            self.say(f"READ-ONLY: nothing is ended or closed ({mode}).")
        elif not (targets := self.lines.listing.targets()):
            self.say("There is nothing to do it to: that row is no longer there, or no longer matches the filter.")
        elif self.orders_running:
            self.say("Another order is being carried out.")
        else:
            rows: list[SessionRow | FileRow] = list(targets.values())
            self.say("Asking the server what that would do ...")
            self.orders_running += 1
            self.run_worker(self._plan_and_run(verb, self.at, rows), group="orders")

    async def _plan_and_run(self, verb: Verb, place: int, rows: Sequence[SessionRow | FileRow]) -> None:
        try:
            async with self.sources[place].manager() as manager:
                chosen = await planned(verb, manager, rows, self.clock)
                left_out = [f"{whose(row)}: {why}" for row, why in chosen.left_out]
                answer = await self.push_screen_wait(PlanPage(self.symbols, chosen.plan, left_out))
                if answer.yes and chosen.plan.targets:
                    await self._carry_out(self.sources[place], manager, chosen, answer.with_others)
                else:
                    self.say("Nothing was done.")
        except LanmanError as error:
            self.say(f"Nothing was done: {error.with_hint}")
        finally:
            self.orders_running -= 1

    async def _carry_out(self, source: Source, manager: Manager, chosen: Chosen, with_others: bool) -> None:
        page = OutcomePage(self.symbols, chosen.plan)
        await self.push_screen(page)
        try:
            await carry_out(manager, chosen.plan, with_others=with_others, done=page.add)
        except LanmanError as error:
            page.finish(error.with_hint)
        else:
            page.finish()
        finally:
            source.look_now()


def _fitting(parts: Sequence[str], columns: int) -> str:
    """As many parts as there is room for, the first of them cut if need be."""
    line = ""
    for part in parts:
        longer = f"{line}{SEPARATOR}{part}" if line else part
        if line and width(longer) > columns:
            break
        line = longer
    return line


def _weightiest(parts: Sequence[tuple[int, str]], columns: int) -> str:
    """The parts in their order, without those that matter least where there is no room for all."""
    left = list(parts)
    while width(line := SEPARATOR.join(part for _, part in left)) > columns:
        rank = max(rank for rank, _ in left)
        if not rank:
            break
        left = [part for part in left if part[0] != rank]
    return line
