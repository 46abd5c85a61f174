"""Rows and changes for programs: the same fields in `lanman watch --json` and wherever else they leave a program.

Times are RFC 3339 in UTC (`..._at`), what is not known is None, what has a fixed set of values is a word.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

from lanman.errors import LanmanError
from lanman.manage.watching.changes import Change, Gap, Picture, What
from lanman.manage.watching.rows import Row
from lanman.shown import rfc3339

# What names a row that has gone, beside its key.
_NAMES: Final = ("client_name", "user_name", "id", "path", "name")

# Fields whose value is that of another row's key.
_KEYS: Final = frozenset({"key", "session"})


def row_form(row: Row, key: str | None = None) -> dict[str, Any]:
    """All that is known of a row. `key` is the word of its key, where that is known already."""
    form: dict[str, Any] = {"key": key or str(row.key), "kind": row.kind.value}
    for name, value in zip(row._fields, row, strict=True):
        # Most are texts, or not known: thousands of rows are shown at once.
        if name != "key":
            form[name] = value if value is None or type(value) is str else field_form(name, value)
    return form


def change_form(change: Change) -> dict[str, Any]:
    """One change: the whole row where it opened, the fields that have changed, and the names of what has closed."""
    row = change.row
    if change.what is What.OPENED:
        form = row_form(row)
    else:
        form = {"key": str(row.key), "kind": row.kind.value}
        if change.what is What.CHANGED:
            form |= {name: field_form(name, getattr(row, name)) for name in change.fields}
        else:
            form |= names_form(row)
    if change.why is not None:
        form["why"] = change.why
    return form | {"at": instant(change.at), "after_at": instant(change.after), "how": change.how.value}


def names_form(row: Row) -> dict[str, Any]:
    """What names a row that has gone, beside its key; of a file without a user, `owner` too, where the server tells
    for whom it was kept ("" for nobody)."""
    form = {name: field_form(name, getattr(row, name)) for name in _NAMES if hasattr(row, name)}
    owner: str | None = getattr(row, "owner", None)
    return form if owner is None or form.get("user_name") else form | {"owner": owner}


def picture_form(picture: Picture) -> dict[str, Any]:
    """How a server is known: by which level, since when, what it does not tell and why."""
    return {
        "streamed": picture.streamed,
        "level": picture.level,
        "kinds": sorted(kind.value for kind in picture.kinds),
        "refused": {kind.value: error_form(error) for kind, error in picture.refused.items()},
        "asked_at": instant(picture.asked_at),
        "duration": round(picture.duration, 3),
        "error": None if picture.error is None else error_form(picture.error),
    }


def gap_form(gap: Gap | None) -> dict[str, Any] | None:
    """A time of which not everything is known."""
    return None if gap is None else {"since_at": instant(gap.since), "until_at": instant(gap.until), "why": gap.why}


def instant(at: float | None) -> str | None:
    """A time in seconds since 1970 in RFC 3339 to the millisecond; see `rfc3339`."""
    return rfc3339(at, timespec="milliseconds")


def error_form(error: LanmanError) -> dict[str, Any]:
    """An error: its number, what it says, and what to do about it."""
    return {"code": error.code, "message": error.message, "hint": error.hint}


def field_form(name: str, value: Any) -> Any:
    """The value of a field of a row."""
    if name in _KEYS:
        return None if value is None else str(value)
    if name.endswith("_at") or name == "not_before":
        return instant(value)
    if isinstance(value, Enum):
        return value.value
    return list(value) if isinstance(value, tuple) else value
