"""The shapes of rows: what `lanman.manage.watching.forms` makes of those of `lanman.manage.watching.rows`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from lanman.faces.web.api.common import COUNT, HOW, NAME, NAMES, WHEN
from lanman.faces.web.api.shapes import Shape, or_null, record, said, truth, whole, words
from lanman.manage.watching.rows import FileRow, Kind, SessionRow, ShareRow

_KEY: Final = said("what names it in plans and in the stream of events")
_FLAG: Final = or_null(truth())

_TOLD: Final[Mapping[str, Shape]] = {
    "begun_how": HOW,
    "client_how": HOW,
    "opened_how": HOW,
    "num_opens": COUNT,
    "user_flags": or_null(whole("1 for a guest, 2 for a session that is not encrypted")),
    "anonymous": _FLAG,
    "guest": _FLAG,
    "durable": _FLAG,
    "shares": or_null(NAMES),
    "channels": or_null(NAMES),
    "candidates": NAMES,
    "id": COUNT,
    "permissions": or_null(whole("an access mask")),
    "num_locks": COUNT,
    "type": or_null(whole("0 for a disk, 3 for pipes, 2147483648 added where it is a special one")),
    "max_uses": or_null(whole("4294967295 for no limit")),
    "current_uses": COUNT,
    "not_before": WHEN,
    "name": said(),
}


def _shape(kind: Kind, fields: tuple[str, ...]) -> Shape:
    members = {name: WHEN if name.endswith("_at") else _TOLD.get(name, NAME) for name in fields if name != "key"}
    return record({"key": _KEY, "kind": words(kind.value), **members})


ROWS: Final[Mapping[Kind, Shape]] = MappingProxyType(
    {
        Kind.SESSION: _shape(Kind.SESSION, SessionRow._fields),
        Kind.FILE: _shape(Kind.FILE, FileRow._fields),
        Kind.SHARE: _shape(Kind.SHARE, ShareRow._fields),
    }
)
"""The shape of a row of each kind."""
