"""A page of the web console, as far as it keeps lists, by the rules of `static/js/store.js`.

It complains of a delta that does not fit exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lanman.faces.web.live.ring import place_of

Row = Mapping[str, Any]


class Page:
    """The rows of a server, from a snapshot and the deltas since."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.at: int | None = None
        """The number that the rows are of; None where a snapshot is wanted."""
        self.epoch = ""
        self.applied: list[int] = []
        """The numbers of the deltas that were applied since the snapshot."""
        self._kept: list[Row] = []

    def lost(self) -> None:
        """A snapshot has to be asked for (`resync`)."""
        self.at = None
        self._kept = []

    def put(self, at: str, rows: Iterable[Row]) -> None:
        """The snapshot has come."""
        known = place_of(at)
        assert known is not None
        self.epoch, self.at = known
        self.rows = {row["key"]: dict(row) for row in rows}
        self.applied = []
        kept, self._kept = self._kept, []
        for delta in kept:
            self.take(delta)

    def take(self, delta: Row) -> None:
        """A delta has come: keep it for the snapshot, leave it out, or apply it."""
        if self.at is None:
            self._kept.append(delta)
            return
        first, last = delta["seq"]
        assert first <= last
        if last <= self.at:
            return
        assert first <= self.at + 1 or first <= max(self.applied, default=self.at) + 1, "something is missing"
        self._apply(delta)
        self.at = last
        self.applied.append(last)

    def _apply(self, delta: Row) -> None:
        keys = [row["key"] for part in ("open", "change", "close") for row in delta[part]]
        assert len(keys) == len(set(keys)), "a row is told of twice"
        for row in delta["close"]:
            gone = self.rows.pop(row["key"])
            assert gone["kind"] == row["kind"]
        for row in delta["open"]:
            assert row["key"] not in self.rows, "it was there already"
            self.rows[row["key"]] = dict(row)
        for row in delta["change"]:
            before = self.rows[row["key"]]
            fields = {name: value for name, value in row.items() if name not in ("key", "kind", "channels_before")}
            if "channels_before" in row:  # it has the names of its session too
                assert row["channels_before"] == before["channels"]
                fields = {name: value for name, value in fields.items() if before[name] != value}
            assert fields, "a change of nothing"
            assert all(before[name] != value for name, value in fields.items()), "a field that is as it was"
            before |= fields
