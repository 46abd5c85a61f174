"""A copy of a picture that is kept by the changes alone: what everybody has who shows or keeps what is watched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lanman.manage.watching.changes import Change, Picture, What
from lanman.manage.watching.rows import Row


class Mirror:
    """Takes pictures that are first ones, and changes; complains of a change that does not fit."""

    def __init__(self) -> None:
        self.rows: dict[object, Row] = {}

    def first(self, picture: Picture) -> None:
        """Begin with a whole picture."""
        self.rows = rows_of(picture)

    def take(self, changes: Iterable[Change]) -> None:
        """Apply changes, in order."""
        for change in changes:
            key = change.row.key
            if change.what is What.OPENED:
                assert key not in self.rows, f"{key} was there already"
                assert (change.before, change.fields, change.why) == (None, (), None)
                self.rows[key] = change.row
            elif change.what is What.CHANGED:
                before = self.rows[key]
                assert change.before == before
                assert change.fields == tuple(
                    name for name in before._fields if getattr(before, name) != getattr(change.row, name)
                )
                assert change.fields
                self.rows[key] = change.row
            else:
                assert self.rows.pop(key) == change.row
                assert change.why


def rows_of(picture: Picture) -> dict[object, Row]:
    """All rows of a picture, by key."""
    tables: list[Mapping[Any, Row]] = [picture.sessions, picture.files, picture.shares]
    rows: dict[object, Row] = {key: row for table in tables for key, row in table.items()}
    assert all(row.key == key for key, row in rows.items())
    return rows
