"""The rows of one tab: which of them are shown, in which order, where the cursor stands, and which are marked.

Nothing here knows of a terminal; time and width are arguments. Rules:

  - **A row is its key, never its line.** Cursor and marks hold keys, so rows may come, go and move between a look at
    the screen and the next key press, and what was meant stays what was meant.
  - **The cursor's row stays where people see it.** One that has gone, or whose key means something else by now, or that
    the filter no longer lets through, is shown as such until the cursor leaves it; it is no target any more, and no
    other row gets the cursor in its place.
  - **What a filter hides is not marked.** `targets` has what is marked and shown, or else the row under the cursor.
  - Unknown values (None) sort last in both directions. Where nothing is sorted, rows stand as they came.

Sort keys and searched texts are made once for each row and again when it changes: a change costs what has changed, and
one pass over the keys.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import field
from enum import Enum
from fnmatch import translate
from re import IGNORECASE, Pattern, compile
from typing import Any, Generic, TypeVar

from lanman.faces.text import cut
from lanman.names import fold
from lanman.plain import dataclass
from lanman.shown import escape

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Column(Generic[R]):
    """One column: what it says of a row, how it sorts, and how wide it is.

    `text` gives the cell of a row at a time (seconds since 1970) as it may be searched and copied, not yet escaped.
    `order` gives what it is sorted by, None where that is not known. `least` is its width in columns of the terminal;
    what room is left goes to columns with a `share`, up to `most`. `fitted` makes a text fit that is too wide.
    """

    title: str
    text: Callable[[R, float], str]
    order: Callable[[R], Any]
    least: int
    share: int = 0
    most: int | None = None
    right: bool = False
    fitted: Callable[[str, int], str] = cut
    searched: bool = True
    """Whether a filter looks at it; not where it says another thing each second."""


def widths(columns: Iterable[Column[R]], available: int, *, between: int = 2) -> list[int]:
    """How wide each column is in so many columns of a terminal. They do not depend on what stands in them, so that
    nothing jumps; in less room than they need, the last ones are narrower, or not shown (0)."""
    columns = list(columns)
    found = [column.least for column in columns]
    room = available - sum(found) - between * (len(columns) - 1)
    for place in reversed(range(len(columns))):
        if room >= 0:
            break
        taken = min(found[place], -room)
        if found[place] - taken < 3:  # nothing can be read in it
            taken = found[place] + between
            found[place] = 0
        else:
            found[place] -= taken
        room += taken
    growing = [place for place, column in enumerate(columns) if column.share and found[place]]
    while room > 0 and growing:
        of_all = sum(columns[place].share for place in growing)
        given = {place: room * columns[place].share // of_all for place in growing}
        if not any(given.values()):
            given = {growing[0]: room}
        for place, more in given.items():
            most = columns[place].most
            more = more if most is None else min(more, most - found[place])
            found[place] += more
            room -= more
        growing = [place for place in growing if (most := columns[place].most) is None or found[place] < most]
    return found


def client_order(name: str | None) -> tuple[int, int, int, str] | None:
    """What clients are sorted by: addresses by number, those of IPv4 first, and names behind them."""
    if name is None:
        return None
    bare = name.lstrip("\\")
    try:
        address = ipaddress.ip_address(bare.strip("[]").partition("%")[0])
    except ValueError:
        return 1, 0, 0, fold(bare)
    return 0, address.version, int(address), bare


# --- the filter


@dataclass(frozen=True, slots=True)
class Filter:
    """What is typed behind `/`: a text, or a pattern with `*` and `?`, that some cell of a row must have in it.

    `!` in front turns it round. Letter case does not count, and `/` is `\\`. Empty lets everything through.
    """

    typed: str = ""
    inverse: bool = False
    pattern: Pattern[str] | None = None

    @classmethod
    def parse(cls, typed: str) -> Filter:
        """The filter that is typed so. Any text is one."""
        inverse = typed.startswith("!")
        wanted = typed.removeprefix("!").strip()
        if not wanted:
            return cls(typed.strip())
        # Only `*` and `?` mean more than themselves: brackets stand in names.
        literal = _one_way(wanted).replace("[", "[[]")
        return cls(typed.strip(), inverse, compile(translate(f"*{literal}*"), IGNORECASE))

    def lets_through(self, cells: Iterable[str]) -> bool:
        """Whether a row with these cells is shown."""
        if self.pattern is None:
            return True
        return any(map(self.pattern.match, cells)) is not self.inverse


def _one_way(text: str) -> str:
    return text.replace("/", "\\")


def _searched(cells: Iterable[str]) -> list[str]:
    """What a filter looks at: the cells as they are, and as they are shown where that differs."""
    found = []
    for cell in cells:
        found.append(_one_way(cell))
        if (shown := escape(cell)) != cell:
            found.append(_one_way(shown))
    return found


# --- the rows


class Direction(Enum):
    """How rows are sorted by a column."""

    NONE = 0
    UP = 1
    DOWN = 2


class Presence(Enum):
    """Whether the row under the cursor is still one of those that are shown."""

    THERE = ""
    GONE = "gone"
    HIDDEN = "no longer matches the filter"


@dataclass(slots=True)
class Listing(Generic[K, R]):
    """The rows of one tab. `follow`: as long as the cursor is on the first row, it stays on whatever is first.

    `newest_first` lists what came last at the top, where nothing is sorted.
    """

    columns: tuple[Column[R], ...]
    follow: bool = False
    newest_first: bool = False
    rows: dict[K, R] = field(default_factory=dict)
    order: list[K] = field(default_factory=list)
    """The keys that are shown, from top to bottom."""
    filter: Filter = field(default_factory=Filter)
    column: int = 0
    """The column that `turn` sorts by."""
    direction: Direction = Direction.NONE
    current: K | None = None
    marked: dict[K, None] = field(default_factory=dict)
    _left: R | None = None
    """The row under the cursor as it was last, where it has gone."""
    _another: bool = False
    """Whether what the cursor stood on went, and something else has come under the same key."""
    _sorted_by: dict[K, Any] = field(default_factory=dict)
    _through: dict[K, bool] = field(default_factory=dict)

    # --- what there is

    def replace(self, rows: Mapping[K, R], now: float) -> None:
        """Have these rows and no others."""
        gone = [key for key in self.rows if key not in rows]
        changed = {key: row for key, row in rows.items() if key not in self.rows or self.rows[key] != row}
        self.update(changed, gone, now)

    def update(self, changed: Mapping[K, R], gone: Iterable[K], now: float) -> None:
        """Rows are new or have changed, and others have gone."""
        for key in gone:
            row = self.rows.pop(key, None)
            if key == self.current and row is not None:
                self._left, self._another = row, key in changed
            self.marked.pop(key, None)
            self._forget(key)
        for key, row in changed.items():
            self.rows[key] = row
            self._forget(key)
        if self.current in self.rows and not self._another:
            self._left = None
        self._arrange(now)

    def _forget(self, key: K) -> None:
        self._sorted_by.pop(key, None)
        self._through.pop(key, None)

    def _arrange(self, now: float) -> None:
        """Find anew what is shown, and where."""
        at_top = self.follow and self.place in (None, 0)
        place = self.place
        keys = list(self.rows)
        if self.filter.pattern is not None:
            keys = [key for key in keys if self._is_let_through(key, now)]
        self.order = self._in_order(keys)
        if at_top:
            self.current, self._left, self._another = self.order[0] if self.order else None, None, False
        elif self.current is None:
            self.current = self.order[0] if self.order else None
        elif self.presence is not Presence.THERE:
            self._keep_in_sight(place)
        self.marked = {key: None for key in self.marked if self.shows(key)}

    def _is_let_through(self, key: K, now: float) -> bool:
        if (known := self._through.get(key)) is None:
            row = self.rows[key]
            cells = [column.text(row, now) for column in self.columns if column.searched]
            known = self.filter.lets_through(_searched(cells))
            self._through[key] = known
        return known

    def _in_order(self, keys: list[K]) -> list[K]:
        if self.direction is Direction.NONE:
            return keys[::-1] if self.newest_first else keys
        # Keys are tuples, whose hashes take time: each is looked up once, and places are what is sorted.
        by, made = self._sorted_by, self.columns[self.column].order
        values = []
        for key in keys:
            try:
                values.append(by[key])
            except KeyError:
                values.append(by.setdefault(key, made(self.rows[key])))
        known = [place for place, value in enumerate(values) if value is not None]
        known.sort(key=values.__getitem__, reverse=self.direction is Direction.DOWN)
        if len(known) < len(keys):
            known += [place for place, value in enumerate(values) if value is None]
        return [keys[place] for place in known]

    def _keep_in_sight(self, place: int | None) -> None:
        """The row under the cursor is no longer one of those that are shown: it stays on its line all the same."""
        assert self.current is not None
        if self._another and self.current in self.order:
            self.order.remove(self.current)
        self.order.insert(min(place or 0, len(self.order)), self.current)

    # --- what stands where

    def shows(self, key: K) -> bool:
        """Whether it is there and the filter lets it through."""
        return key in self.rows and self._through.get(key, True)

    def row(self, key: K) -> R:
        """A row that is in `order`: as it is, or as it was last where it has gone."""
        if key == self.current and self._left is not None:
            return self._left
        return self.rows[key]

    def cells(self, key: K, now: float) -> list[str]:
        """The cells of a row in full, not escaped."""
        row = self.row(key)
        return [column.text(row, now) for column in self.columns]

    @property
    def presence(self) -> Presence:
        """Whether the row under the cursor can be meant."""
        if self.current is None or self.current not in self.rows or self._another:
            return Presence.GONE
        return Presence.THERE if self._through.get(self.current, True) else Presence.HIDDEN

    @property
    def place(self) -> int | None:
        """On which line the cursor stands."""
        if self.current is None:
            return None
        try:
            return self.order.index(self.current)
        except ValueError:
            return None

    @property
    def hidden(self) -> int:
        """How many rows the filter hides."""
        return len(self.rows) - len(self.order) + (self.current is not None and self.presence is not Presence.THERE)

    def targets(self) -> dict[K, R]:
        """What an order means: what is marked, or else the row under the cursor. Empty where that is not there."""
        if self.marked:
            return {key: self.rows[key] for key in self.order if key in self.marked and self.shows(key)}
        if self.current is None or self.presence is not Presence.THERE:
            return {}
        return {self.current: self.rows[self.current]}

    # --- what people do

    def go_to(self, place: int, now: float) -> None:
        """Put the cursor on a line, or on the nearest that there is. A row that was only kept in sight goes."""
        if not self.order:
            return
        key = self.order[max(0, min(place, len(self.order) - 1))]
        if key == self.current:
            return
        was_kept = self.presence is not Presence.THERE
        self.current, self._left, self._another = key, None, False
        if was_kept:
            self._arrange(now)

    def move(self, lines: int, now: float) -> None:
        """Move the cursor down by so many lines; up where negative."""
        self.go_to((self.place or 0) + lines, now)

    def toggle_mark(self) -> bool:
        """Mark the row under the cursor, or take its mark away. False where it is not there to be marked."""
        if self.current is None or self.presence is not Presence.THERE:
            return False
        if self.current in self.marked:
            del self.marked[self.current]
        else:
            self.marked[self.current] = None
        return True

    def set_filter(self, filter: Filter, now: float) -> int:
        """Show what a filter lets through. Says how many marks went with what it hides."""
        before = len(self.marked)
        self.filter = filter
        self._through.clear()
        self._arrange(now)
        if self.presence is not Presence.THERE:
            self.current, self._left, self._another = None, None, False
            self._arrange(now)
        return before - len(self.marked)

    def turn(self, column: int, now: float) -> None:
        """Sort by a column: upwards, the second time downwards, the third time not at all."""
        again = column == self.column and self.direction is not Direction.NONE
        following = {Direction.UP: Direction.DOWN, Direction.DOWN: Direction.NONE, Direction.NONE: Direction.UP}
        self.direction = following[self.direction] if again else Direction.UP
        self.column = column
        self._sorted_by.clear()
        self._arrange(now)
