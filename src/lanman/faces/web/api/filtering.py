"""Which rows of a list are meant, and in which order they stand.

The rules:

  - Filters mean what they mean for `lanman session` and `lanman file`: beside all that is listed, equal before alike
    (`lanman.manage.selection`). Where a share is, is known from the shares that are shown.
  - `q` is another thing: words that a row has to have in it, as people type them, whatever their letter case.
  - What sorts is the value, and for clients the address; what is not known is last in both directions. Rows that are
    equal in that stand by their keys, so a list that goes on with `after` repeats no row and leaves none out.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ipaddress
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from lanman.faces.web.api.routing import bad_request
from lanman.manage.clients import Clients
from lanman.manage.selection import (
    canonical_client,
    check_filters,
    chosen_paths,
    chosen_users,
    is_address,
    is_pattern,
    split_unc,
)
from lanman.manage.watching.rows import FileRow, Kind, Row, SessionRow, ShareRow
from lanman.names import fold
from lanman.records import SessionInfo

STEP: Final = 200
"""So many rows are worked on before others have their turn."""

_OF_KIND: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.SESSION: SessionRow._fields,
    Kind.FILE: FileRow._fields,
    Kind.SHARE: ShareRow._fields,
}
_NO_ORDER: Final = frozenset({"session", "candidates", "channels", "shares"})

Order = tuple[Any, ...]
"""What a row is sorted by: () where it is not known."""


class Wanted(NamedTuple):
    """What a list is asked for."""

    user: str | None = None
    client: str | None = None
    path: str | None = None
    words: tuple[str, ...] = ()
    field: str = "key"
    down: bool = False
    limit: int | None = None
    after: tuple[Order, str] | None = None

    @classmethod
    def of(cls, query: Mapping[str, Any], kind: Kind) -> Wanted:
        """What the parameters say. Raises Refused 400, and Win32Error 87 and 2351 for a filter that is empty."""
        words = tuple(fold(query["q"]).split()) if "q" in query else ()
        if "q" in query and not words:
            raise bad_request("the parameter q is blank: it would select everything", "give it words, or leave it out")
        sort = query.get("sort", "key")
        after = _place_of(query["after"]) if "after" in query else None
        field = sort.removeprefix("-")
        named = {name: query.get(name) for name in ("user", "client", "path")}
        check_filters(**named)
        return cls(**named, words=words, field=field, down=sort[0] == "-", limit=query.get("limit"), after=after)


class Found(NamedTuple):
    """The rows that are given, how many the filters select, and how to go on."""

    rows: list[tuple[str, Row]]
    matching: int
    next: str | None


def sorts(kind: Kind) -> list[str]:
    """By what a list of a kind may be sorted."""
    fields = [name for name in _OF_KIND[kind] if name not in _NO_ORDER]
    return [*fields, *(f"-{name}" for name in fields)]


async def chosen(rows: Mapping[str, Row], wanted: Wanted, shares: Iterable[Row]) -> Found:
    """Those of the rows that are wanted, by key. Raises Refused 400, and Win32Error 87, 2351 and 52 for a filter that
    is empty or means several."""
    found = await _filtered(rows, wanted, shares)
    placed: list[tuple[Order, str, Row]] = []
    for number, (key, row) in enumerate(found.items()):
        placed.append((_order(row, wanted.field, key), key, row))
        if number % STEP == STEP - 1:
            await asyncio.sleep(0)
    known = sorted((each for each in placed if each[0]), key=lambda each: each[:2], reverse=wanted.down)
    unknown = sorted((each for each in placed if not each[0]), key=lambda each: each[1])
    inline = [*known, *unknown]
    if wanted.after is not None:
        inline = _behind(inline, wanted.after, down=wanted.down)
    given = inline if wanted.limit is None else inline[: wanted.limit]
    more = _place(given[-1]) if len(given) < len(inline) else None
    return Found([(key, row) for _, key, row in given], len(found), more)


# --- filters


async def _filtered(rows: Mapping[str, Row], wanted: Wanted, shares: Iterable[Row]) -> Mapping[str, Row]:
    clients = users = paths = None
    if wanted.client is not None:
        names = dict.fromkeys(name for row in rows.values() for name in _clients(row))
        clients = await Clients().meant(wanted.client, [SessionInfo(name) for name in names])
    if wanted.user is not None:
        users = chosen_users((getattr(row, "user_name", None) for row in rows.values()), wanted.user)
    if wanted.path is not None:
        typed = _local(wanted.path, shares)
        paths = chosen_paths((getattr(row, "path", None) for row in rows.values()), typed)
    found: dict[str, Row] = {}
    for number, (key, row) in enumerate(rows.items()):
        if (
            (clients is None or not clients.isdisjoint(_clients(row)))
            and (users is None or getattr(row, "user_name", None) in users)
            and (paths is None or getattr(row, "path", None) in paths)
            and _has(row, wanted.words)
        ):
            found[key] = row
        if number % STEP == STEP - 1:
            await asyncio.sleep(0)
    return found


def _clients(row: Row) -> tuple[str, ...]:
    """The clients that a row is from, or may be from."""
    if isinstance(row, FileRow) and row.client_name is None:
        return row.candidates
    name = None if isinstance(row, ShareRow) else row.client_name
    return () if name is None else (name,)


def _local(path: str, shares: Iterable[Row]) -> str:
    r"""What `\\server\share\path` is on the server itself; another path as it is. Where the folder of the share is not
    told, it is found by the end of the paths."""
    unc = split_unc(path)
    if unc is None:
        return path
    named = [row for row in shares if isinstance(row, ShareRow) and fold(row.name) == fold(unc.share)]
    if not named:
        raise bad_request(f"there is no share {unc.share} here", "name one of its shares, or the path as it is listed")
    folder = named[0].path
    if folder and not is_pattern(folder):
        return unc.below(folder)
    if not unc.rest:
        raise bad_request(f"where the share {unc.share} is, is not told", "name the path as it is listed")
    return "*\\" + unc.rest.replace("/", "\\")


def _has(row: Row, words: tuple[str, ...]) -> bool:
    if not words:
        return True
    values = (value for name, value in zip(row._fields, row, strict=True) if name not in ("key", "session"))
    hay = fold("\n".join(text for value in values for text in _texts(value)))
    return all(word in hay for word in words)


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, tuple):
        return value
    return (str(value),) if isinstance(value, int) and not isinstance(value, bool) else ()


# --- order


def _order(row: Row, field: str, key: str) -> Order:
    value = key if field == "key" else getattr(row, field)
    if value is None:
        return ()
    if field in ("client_name", "address"):
        return _client_order(value)
    if isinstance(value, str):
        return (fold(value), value)
    return (value,) if isinstance(value, int | float) else (str(value.value),)


def _client_order(name: str) -> Order:
    """Addresses by number, then names."""
    canonical = canonical_client(name)
    if is_address(canonical):
        address = ipaddress.ip_address(canonical.partition("%")[0])
        return (0, address.version, int(address), canonical)
    return (1, 0, 0, canonical)


def _place(row: tuple[Order, str, Row]) -> str:
    """The place of a row in a list, as a word."""
    return base64.urlsafe_b64encode(json.dumps([row[0], row[1]]).encode()).decode().rstrip("=")


def _place_of(word: str) -> tuple[Order, str]:
    try:
        decoded = base64.b64decode(word + "=" * (-len(word) % 4), b"-_", validate=True)
        order, key = json.loads(decoded)
        if not isinstance(order, list) or not isinstance(key, str):
            raise TypeError
        if not all(isinstance(part, str | int | float) for part in order):
            raise TypeError
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise bad_request("the parameter after is no `next` of a list", "begin the list again") from None
    return tuple(order), key


def _behind(
    inline: list[tuple[Order, str, Row]], after: tuple[Order, str], *, down: bool
) -> list[tuple[Order, str, Row]]:
    """The rows behind a place, whether or not a row is still there."""
    order, key = after

    def is_behind(each: tuple[Order, str, Row]) -> bool:
        if not order or not each[0]:
            return not each[0] and (bool(order) or each[1] > key)
        return (each[:2] < (order, key)) if down else (each[:2] > (order, key))

    try:
        return [each for each in inline if is_behind(each)]
    except TypeError:
        raise bad_request("the parameter after is of a list in another order", "begin the list again") from None
