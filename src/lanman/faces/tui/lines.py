"""A list of any length on the terminal: only the lines that can be seen are made.

textual's own table keeps a styled cell for each value of each row, which takes seconds for ten thousand rows
(benchmarks/watch_screen.py). Here a line is made when textual asks for it (`render_line`), so a list costs what a
window of it costs. Where the rows stand is `lanman.faces.tui.listing`'s business.

Three signs stand before each row, so that nothing is told by colour alone: `>` is the cursor, `*` a mark, and the third
is what the tab says of the row (`+` is new, `~` has changed).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import ClassVar, Generic, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from lanman.faces.text import fit, width
from lanman.faces.tui.listing import Direction, Listing, Presence, widths
from lanman.faces.tui.symbols import Symbols

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")

GUTTER = 4
"""The columns before the first cell: cursor, mark, sign, and a blank."""

BETWEEN = 2


class LineList(ScrollView, Generic[K, R], can_focus=True):
    """The rows of a `Listing`, with a cursor. `sign` gives one character for a row, `dimmed` says which are old."""

    DEFAULT_CSS = """
    LineList { height: 1fr; scrollbar-size: 0 0; overflow-x: hidden; overflow-y: auto; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"lines--cursor", "lines--marked", "lines--dim", "lines--new"}

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
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self.listing = listing
        self.symbols = symbols
        self.clock = clock
        self.sign = sign
        self.dimmed = False
        self.widths: list[int] = []
        self._seen_place: int | None = None

    # --- what is drawn

    def on_resize(self, event: events.Resize) -> None:
        """Other widths, and the cursor stays in sight."""
        self.widths = widths(self.listing.columns, event.size.width - GUTTER, between=BETWEEN)
        self._show_all()
        self._bring_into_sight()

    def show(self, listing: Listing[K, R]) -> None:
        """Show another listing, at its cursor."""
        self.listing = listing
        self.widths = widths(listing.columns, self.size.width - GUTTER, between=BETWEEN)
        self.scroll_to(y=0, animate=False)
        self._show_all()
        self._bring_into_sight()

    def rows_changed(self) -> None:
        """The listing has other rows, or others in its order: the cursor's row stays on its line of the terminal."""
        place, before = self.listing.place, self._seen_place
        top = self.scroll_offset.y
        was_in_sight = before is not None and top <= before < top + self.size.height
        self._show_all()
        if place is not None and before is not None and was_in_sight and place != before:
            follows = self.listing.follow and place == 0
            self.scroll_to(y=0 if follows else max(0, top + place - before), animate=False)
        if was_in_sight:
            self._bring_into_sight()

    def _show_all(self) -> None:
        self._seen_place = self.listing.place
        self.virtual_size = Size(self.size.width, len(self.listing.order))
        self.refresh()

    def _bring_into_sight(self) -> None:
        place = self.listing.place
        height = self.size.height
        if place is None or not height:
            return
        top = self.scroll_offset.y
        if place < top:
            self.scroll_to(y=place, animate=False)
        elif place >= top + height:
            self.scroll_to(y=place - height + 1, animate=False)

    def render_line(self, y: int) -> Strip:
        """One line of the window (textual's Line API)."""
        columns = self.size.width
        place = self.scroll_offset.y + y
        if place >= len(self.listing.order):
            return Strip.blank(columns, self.rich_style)
        key = self.listing.order[place]
        text = fit(self._line(key), columns)
        return Strip([Segment(text, self._style(key))], columns)

    def _line(self, key: K) -> str:
        listing = self.listing
        shown = self.symbols.shown
        gone = key == listing.current and listing.presence is not Presence.THERE
        cells = []
        for column, cell, room in zip(listing.columns, listing.cells(key, self.clock()), self.widths, strict=True):
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

    def _style(self, key: K) -> Style:
        listing = self.listing
        style = self.rich_style
        if key in listing.marked:
            style += self.get_component_rich_style("lines--marked", partial=True)
        if self.dimmed or (key == listing.current and listing.presence is not Presence.THERE):
            style += self.get_component_rich_style("lines--dim", partial=True)
        if key == listing.current:
            style += self.get_component_rich_style("lines--cursor", partial=True)
        return style

    # --- what people do

    def move(self, lines: int) -> None:
        """Move the cursor down by so many lines; up where negative."""
        self.listing.move(lines, self.clock())
        self._moved()

    def go_to(self, place: int) -> None:
        """Put the cursor on a line."""
        self.listing.go_to(place, self.clock())
        self._moved()

    def _moved(self) -> None:
        self._show_all()
        self._bring_into_sight()
        self.post_message(self.Moved())

    @property
    def page(self) -> int:
        """How far a page up or down goes."""
        return max(1, self.size.height - 1)

    def on_click(self, event: events.Click) -> None:
        """Put the cursor where somebody clicks."""
        place = self.scroll_offset.y + event.y
        if place < len(self.listing.order):
            self.go_to(place)


class Titles(Widget):
    """The titles of a list's columns: the one that `s` sorts by is underlined, and says which way it is sorted."""

    DEFAULT_CSS = """
    Titles { height: 1; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"titles--chosen"}

    def __init__(self, lines: LineList[K, R]) -> None:
        super().__init__()
        self.lines = lines

    def render_line(self, y: int) -> Strip:
        """The titles, over their columns."""
        listing, made = self.lines.listing, [Segment(" " * GUTTER, self.rich_style)]
        if len(self.lines.widths) != len(listing.columns):
            return Strip.blank(self.size.width, self.rich_style)
        for place, (column, room) in enumerate(zip(listing.columns, self.lines.widths, strict=True)):
            if not room:
                continue
            style = self.rich_style
            title = column.title
            if place == listing.column:
                style += self.get_component_rich_style("titles--chosen", partial=True)
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


__all__ = ["Direction", "LineList", "Titles"]
