"""Which of the persons and paths in a database a typed filter means.

What may be meant is found by its key, an index; which of these are, `lanman.manage.selection` says. A pattern is looked
for among those that begin as it does, so one that begins with `*` is compared with all there are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lanman import codes
from lanman.errors import LanmanError
from lanman.manage.history.database import Database, chunks, marks, padded
from lanman.manage.history.keys import client_key, path_key, user_key
from lanman.manage.history.records import Stay
from lanman.manage.history.rows import ServerRow
from lanman.manage.selection import (
    alike_clients,
    bare_client,
    chosen_paths,
    chosen_users,
    equal_clients,
    is_pattern,
    split_unc,
    user_forms,
)
from lanman.names import fold

_MOST_CANDIDATES: Final = 500_000
_MOST_PATHS: Final = 10_000

_LAST: Final = "\U0010ffff"
_SHOWN: Final = re.compile(r"\\x([0-9a-f]{2})|\\u([0-9a-f]{4})|\\U([0-9a-f]{8})")


class Names:
    """The persons and paths of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def persons(self, user: str | None, client: str | None) -> frozenset[int] | None:
        """The persons that filters mean; None where there is no filter."""
        meant = None
        if user is not None:
            meant = await self._of_user(user)
        if client is not None:
            found = await self._of_client(client)
            meant = found if meant is None else meant & found
        return meant

    async def _of_user(self, typed: str) -> frozenset[int]:
        if is_pattern(typed):
            prefix = user_key(_literal(typed))
            where, values = "key >= ? AND key < ?", [prefix, prefix + _LAST]
        else:
            forms = [form for name in user_forms(typed) for form in (name, _unshown(name))]
            values = padded([user_key(form) for form in forms])
            where = f"key IN ({marks(values)})"
        rows = await self._candidates("person", "id, user_name", where, values)
        meant = chosen_users((name for _, name in rows), typed)
        return frozenset(id for id, name in rows if name in meant)

    async def _of_client(self, typed: str) -> frozenset[int]:
        if is_pattern(typed):
            # An IPv6 address may be written in several ways, of which the key is one.
            literal = _literal(bare_client(typed))
            prefix = "" if ":" in literal else client_key(literal)
            where, values = "key >= ? AND key < ?", [prefix, prefix + _LAST]
        else:
            values = [client_key(typed), client_key(_unshown(typed))]
            where = "key IN (?, ?)"
        rows = await self._candidates("person_client", "person, key", where, values)
        names: dict[int, list[str]] = {}
        for ids in chunks(sorted({int(id) for id, _ in rows})):
            ids = padded(ids)
            for id, name, candidates, address in await self._database.fetch(
                f"SELECT id, client_name, candidates, address FROM person WHERE id IN ({marks(ids)})", ids
            ):
                names[id] = _clients(name, candidates, address)
        meant = _chosen_clients([name for some in names.values() for name in some], typed)
        return frozenset(id for id, some in names.items() if meant.intersection(some))

    def of_client(self, stays: Sequence[Stay], typed: str) -> list[Stay]:
        """Those of the stays that are, or may be, from a client."""
        names = [[name for name in (stay.client_name, stay.address, *stay.candidates) if name] for stay in stays]
        meant = _chosen_clients([name for some in names for name in some], typed)
        return [stay for stay, some in zip(stays, names, strict=True) if meant.intersection(some)]

    async def paths(self, typed: str, servers: Mapping[int, ServerRow]) -> frozenset[int]:
        r"""The paths that a filter means: the server's own, a pattern, or `\\server\share\path`."""
        typed = await self.local_path(typed, servers)
        if is_pattern(typed):
            prefix = path_key(_literal(typed), whole=False)
            where, values = "key >= ? AND key < ?", [prefix, prefix + _LAST]
        else:
            where, values = "key IN (?, ?)", [path_key(typed), path_key(_unshown(typed))]
        rows = await self._candidates("path", "id, path", where, values)
        meant = chosen_paths((path for _, path in rows), typed)
        found = frozenset(id for id, path in rows if path in meant)
        if len(found) > _MOST_PATHS:
            raise LanmanError(
                f"{len(found):,} paths match {typed}, and no more than {_MOST_PATHS:,} are looked for at once",
                code=codes.ERROR_INVALID_PARAMETER,
                hint="Name a narrower pattern, or a time.",
            )
        return found

    async def local_path(self, typed: str, servers: Mapping[int, ServerRow]) -> str:
        r"""The path on the server of `\\server\share\path`; any other one as it is. Raises LanmanError for a share that
        was never seen."""
        unc = split_unc(typed)
        if unc is None:
            return typed
        ids = padded(sorted(servers))
        rows = await self._database.fetch(f"SELECT name, path FROM share WHERE server IN ({marks(ids)})", ids)
        for name, path in rows:
            if fold(name) == fold(unc.share):
                return unc.below(path)
        raise LanmanError(
            f"{unc.server} was never seen to share {unc.share}",
            code=codes.NERR_NetNameNotFound,
            hint="Name the path as the server has it.",
        )

    async def _candidates(self, table: str, columns: str, where: str, values: Sequence[str]) -> list[Any]:
        rows = await self._database.fetch(
            f"SELECT {columns} FROM {table} WHERE {where} LIMIT ?", (*values, _MOST_CANDIDATES + 1)
        )
        if len(rows) > _MOST_CANDIDATES:
            raise LanmanError(
                f"the pattern would have to be compared with more than {_MOST_CANDIDATES:,} names",
                code=codes.ERROR_INVALID_PARAMETER,
                hint="Have it begin with more than * or ?.",
            )
        return rows


def _clients(name: str | None, candidates: str | None, address: str | None) -> list[str]:
    import json

    several = [] if candidates is None else json.loads(candidates)
    return [each for each in (name, address, *several) if each]


def _chosen_clients(listed: Sequence[str], typed: str) -> frozenset[str]:
    return equal_clients(listed, typed) or alike_clients(listed, typed)


def _literal(pattern: str) -> str:
    """What stands before the first `*` or `?`."""
    return re.split(r"[*?]", pattern, maxsplit=1)[0]


def _unshown(typed: str) -> str:
    """A name that was typed as it is shown (`lanman.shown`), as it is."""

    def character(found: re.Match[str]) -> str:
        code = int(found[1] or found[2] or found[3], 16)
        return chr(code) if code <= 0x10FFFF else found[0]

    return _SHOWN.sub(character, typed)
