"""A list of any length on the terminal: only the lines that can be seen are made.

textual's own table keeps a styled cell for each value of each row, which takes seconds for ten thousand rows
(benchmarks/watch_screen.py). Here the lines of the window are made, so a list costs what a window of it costs; and
textual is told to write those that are others than before. textual's ScrollView would lay out the whole screen for
each row more or less, so which part is in sight is kept here. Where the rows stand is `lanman.faces.tui.listing`'s
business.

Three signs stand before each row, so that nothing is told by colour alone: `>` is the cursor, `*` a mark, and the third
is what the tab says of the row (`+` is new, `~` has changed).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import ClassVar, Generic, NamedTuple, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from lanman.faces.text import fit, width
from lanman.faces.tui.listing import Listing, Presence, widths
from lanman.faces.tui.symbols import Symbols

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")

GUTTER = 4
"""The columns before the first cell: cursor, mark, sign, and a blank."""

BETWEEN = 2

WHEEL = 3
"""How many lines a step of the mouse's wheel goes."""


class Look(NamedTuple):
    """What a line looks like beyond its text."""

    marked: bool = False
    old: bool = False
    at_cursor: bool = False


class LineList(Widget, Generic[K, R], can_focus=True):
    """The rows of a `Listing`, with a cursor. `sign` gives one character for a row; `dimmed` means that all are old.

    Its keys are the application's, and Tab does not leave it. Call `draw` when something that it shows has changed.
    """

    DEFAULT_CSS = """
    LineList { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.server(1)", show=False),
        Binding("shift+tab", "app.server(-1)", show=False),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"lines--cursor", "lines--marked", "lines--dim"}

    class Moved(Message):
        """The cursor stands elsewhere, or the window has been scrolled."""

    class Turned(Message):
        """A column's title was clicked."""

        def __init__(self, column: int) -> None:
            super().__init__()
            self.column = column

    def __init__(
        self,
        listing: Listing[K, R],
        symbols: Symbols,
        *,
        clock: Callable[[], float],
        sign: Callable[[K, R], str] = lambda key, row: " ",
        why_empty: Callable[[], str] = lambda: "",
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self.listing = listing
        self.symbols = symbols
        self.clock = clock
        self.sign = sign
        self.why_empty = why_empty
        self.dimmed = False
        self.chosen: int | None = None
        """The column that is chosen to be sorted by next; None is the one that is."""
        self._widths: tuple[object, list[int]] = (None, [])
        self.top = 0
        """The place of the row in the first line of the window."""
        self._seen_place: int | None = None
        self._drawn: list[tuple[str, Look]] = []
        self._drawn_for: object = None
        self._styles: dict[Look, Style] = {}

    # --- what is drawn

    @property
    def widths(self) -> list[int]:
        """How wide each column is now; 0 for one that there is no room for."""
        columns, room = self.listing.columns, self.size.width - GUTTER
        known_for = (id(columns), room)
        if self._widths[0] != known_for:
            self._widths = known_for, widths(columns, room, between=BETWEEN)
        return self._widths[1]

    def on_resize(self, event: events.Resize) -> None:
        """The cursor stays in sight."""
        self._bring_into_sight()
        self.draw()
        self.post_message(self.Moved())

    def show(self, listing: Listing[K, R]) -> None:
        """Show another listing, at its cursor."""
        self.listing = listing
        self.chosen = None
        self.top = 0
        self._bring_into_sight()
        self.draw()

    def rows_changed(self) -> None:
        """The listing has other rows, or others in its order: the cursor's row stays on its line of the terminal."""
        place, before = self.listing.place, self._seen_place
        if place is not None and before is not None and self.top <= before < self.top + self.size.height:
            follows = self.listing.follow and place == 0
            self.top = 0 if follows else max(0, self.top + place - before)
            self._bring_into_sight()
        self.draw()

    def _bring_into_sight(self) -> None:
        """Move the window so that the cursor is in it, and has no empty lines that rows could stand in."""
        place, height = self.listing.place, self.size.height
        if place is not None and height:
            self.top = max(min(self.top, place), place - height + 1)
        self.top = max(0, min(self.top, len(self.listing.order) - height))

    def draw(self) -> None:
        """Make the lines of the window, and have those written that are others than before."""
        self.top = max(0, min(self.top, len(self.listing.order) - self.size.height))
        self._seen_place = self.listing.place
        before, were_for = self._drawn, self._drawn_for
        self._make()
        if were_for != self._drawn_for:
            self.refresh()
            return
        width = self.size.width
        changed = [y for y, (old, new) in enumerate(zip(before, self._drawn, strict=True)) if old != new]
        if changed:
            self.refresh(*(Region(0, y, width, 1) for y in changed))

    def _make(self) -> None:
        size, order, now = self.size, self.listing.order, self.clock()
        keys = order[self.top : self.top + size.height]
        self._drawn = [(fit(self._line(key, now), size.width), self._look(key)) for key in keys]
        if not order and size.height:
            self._drawn.append((fit(f"    {self.symbols.shown(self.why_empty())}", size.width), Look()))
        self._drawn += [(" " * size.width, Look())] * (size.height - len(self._drawn))
        self._drawn_for = size

    def render_line(self, y: int) -> Strip:
        """One line of the window (textual's Line API)."""
        if self._drawn_for != self.size:
            self._make()
        text, look = self._drawn[y]
        return Strip([Segment(text, self._style(look))], self.size.width)

    def notify_style_update(self) -> None:
        """Other colours."""
        super().notify_style_update()
        self._styles.clear()

    def _line(self, key: K, now: float) -> str:
        listing = self.listing
        shown = self.symbols.shown
        gone = key == listing.current and listing.presence is not Presence.THERE
        cells = []
        for column, cell, room in zip(listing.columns, listing.cells(key, now), self.widths, strict=True):
            if room:
                made = column.fitted(shown(cell), room)
                cells.append(made.rjust(room) if column.right else fit(made, room))
        cursor = ">" if key == listing.current else " "
        mark = "*" if key in listing.marked else " "
        sign = "x" if gone else self.sign(key, listing.row(key))
        line = f"{cursor}{mark}{sign} {(' ' * BETWEEN).join(cells)}".rstrip()
        if gone:
            said = f"  [{listing.presence.value}]"
            line = fit(line, min(width(line), self.size.width - len(said))) + said
        return line

    def _look(self, key: K) -> Look:
        listing = self.listing
        at_cursor = key == listing.current
        old = self.dimmed or (at_cursor and listing.presence is not Presence.THERE)
        return Look(key in listing.marked, old, at_cursor)

    def _style(self, look: Look) -> Style:
        style = self._styles.get(look)
        if style is None:
            style = self.rich_style
            for name, has in zip(("marked", "dim", "cursor"), look, strict=True):
                if has:
                    style += self.get_component_rich_style(f"lines--{name}", partial=True)
            self._styles[look] = style
        return style

    # --- what people do

    def choose(self, column: int) -> None:
        """Choose the column that is sorted by next."""
        self.chosen = column

    def move(self, lines: int) -> None:
        """Move the cursor down by so many lines; up where negative."""
        self.listing.move(lines, self.clock())
        self._moved()

    def go_to(self, place: int) -> None:
        """Put the cursor on a line."""
        self.listing.go_to(place, self.clock())
        self._moved()

    def _moved(self) -> None:
        self._bring_into_sight()
        self.draw()
        self.post_message(self.Moved())

    @property
    def page(self) -> int:
        """How far a page up or down goes."""
        return max(1, self.size.height - 1)

    def on_click(self, event: events.Click) -> None:
        """Put the cursor where somebody clicks."""
        place = self.top + event.y
        if place < len(self.listing.order):
            self.go_to(place)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Look further down; the cursor stays."""
        self._scroll(WHEEL)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Look further up; the cursor stays."""
        self._scroll(-WHEEL)

    def _scroll(self, lines: int) -> None:
        self.top += lines
        self.draw()


class Titles(Widget):
    """The titles of a list's columns: the one that `s` sorts by is underlined, the sorted one says which way."""

    DEFAULT_CSS = """
    Titles { height: 1; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"titles--chosen"}

    def __init__(self, lines: LineList[K, R]) -> None:
        super().__init__()
        self.lines = lines
        self._drawn_for: object = None

    def draw(self) -> None:
        """Have the titles written anew if they are others than before."""
        listing, lines = self.lines.listing, self.lines
        now = id(listing.columns), tuple(lines.widths), listing.column, listing.direction, lines.chosen
        if now != self._drawn_for:
            self._drawn_for = now
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """The titles, over their columns."""
        listing, made = self.lines.listing, [Segment(" " * GUTTER, self.rich_style)]
        for place, (column, room) in enumerate(zip(listing.columns, self.lines.widths, strict=True)):
            if not room:
                continue
            style = self.rich_style
            title = column.title
            chosen = listing.column if self.lines.chosen is None else self.lines.chosen
            if place == chosen:
                style += self.get_component_rich_style("titles--chosen", partial=True)
            if place == listing.column:
                title += self.lines.symbols.direction(listing.direction)
            title = fit(title, room) if not column.right or len(title) > room else title.rjust(room)
            made += [Segment(title, style), Segment(" " * BETWEEN, self.rich_style)]
        return Strip(made).adjust_cell_length(self.size.width, self.rich_style)

    def on_click(self, event: events.Click) -> None:
        """Sort by the column that somebody clicks."""
        at = GUTTER
        for place, room in enumerate(self.lines.widths):
            if room and at <= event.x < at + room + BETWEEN:
                self.lines.post_message(LineList.Turned(place))
                return
            at += room + BETWEEN if room else 0
