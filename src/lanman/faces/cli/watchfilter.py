"""Which of the rows that are watched are meant: `--client`, `--user`, `--path`.

What a filter selects is said in `lanman.manage.selection`, with one difference: a row is judged as it comes, and not
beside all others. So a name that is typed also means those that differ from it in letter case alone, even while one is
there that equals it.

A path may be one of a share, `\\\\server\\share\\path`: where the share's folder is, the server is asked whenever it is
connected to (`find`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lanman.manage.clients import Clients
from lanman.manage.explain import listed_path
from lanman.manage.manager import Manager
from lanman.manage.selection import chosen_paths, chosen_users
from lanman.manage.watching.keys import How
from lanman.manage.watching.rows import FileRow, Row, SessionRow, ShareRow
from lanman.records import SessionInfo

# How many names are remembered with what was found; a peer chooses its own.
MAX_REMEMBERED: Final = 20_000


class RowFilter:
    """Says which rows are meant. `learn` has to see a row first: a client may have to be looked up by name."""

    def __init__(self, *, client: str | None = None, user: str | None = None, path: str | None = None) -> None:
        self._client, self._user, self._path = client, user, path
        self._typed = path
        self.path_how: How | None = None
        """How the folder of a path's share is known; None where the path names none."""
        self._clients = Clients()
        self._known: dict[tuple[str, str], bool] = {}

    def __str__(self) -> str:
        """What it selects, as it is typed: `--user bob`; "" where that is all."""
        given = ("client", self._client), ("user", self._user), ("path", self._typed)
        return " ".join(f"--{name} {value}" for name, value in given if value is not None)

    async def find(self, manager: Manager) -> None:
        """Find what a path of a share is on a server. Raises what `lanman.manage.explain.explain` does."""
        if self._typed is not None:
            self._path, self.path_how = await listed_path(manager, self._typed)

    async def learn(self, rows: Iterable[Row]) -> None:
        """Look up the clients of some rows, where they are asked for by name and listed by address, or the other way
        round."""
        if self._client is None:
            return
        if len(self._known) > MAX_REMEMBERED:
            self._known.clear()
        for row in rows:
            for name in _clients(row):
                if ("client", name) not in self._known:
                    meant = await self._clients.meant(self._client, [SessionInfo(name)])
                    self._known["client", name] = bool(meant)

    def means(self, row: Row) -> bool:
        """Whether this row is meant. Shares have neither a client nor a user: those filters leave them out."""
        if isinstance(row, ShareRow):
            return self._client is self._user is self._path is None
        if self._client is not None and not any(self._known.get(("client", name), False) for name in _clients(row)):
            return False
        if self._user is not None and not self._is_user(getattr(row, "user_name", None)):
            return False
        return self._path is None or (isinstance(row, FileRow) and self._is_path(row.path))

    def _is_user(self, name: str | None) -> bool:
        if not name or self._user is None:
            return False
        if (found := self._known.get(("user", name))) is None:
            found = self._known["user", name] = bool(chosen_users([name], self._user))
        return found

    def _is_path(self, path: str | None) -> bool:
        return bool(path) and self._path is not None and bool(chosen_paths([path], self._path))


def _clients(row: Row) -> tuple[str, ...]:
    """The clients that a row is from, or may be from."""
    if isinstance(row, FileRow) and row.client_name is None:
        return row.candidates
    name = row.client_name if isinstance(row, SessionRow | FileRow) else None
    return () if name is None else (name,)
