"""From where a file is open, and since when, as far as it follows from who has sessions: MS-SRVS tells neither.

A file that a server lists is its user's, and so from one of the clients from which that user has sessions. Files are
asked for before sessions, so that who had just come is listed too; who had just gone was there at the look before, and
counts as well. While the file stays open, the clients that it may be from become fewer and never more: whoever comes
later has not opened it.

A file without a user is a null session's, or nobody's: kept for a client whose connection was lost (MS-SMB2 3.3.4.20).
Nothing follows for it, but for a pipe, which is never kept, and where the server tells that it is not.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from lanman.manage.watching.keys import How
from lanman.manage.watching.rows import FileRow, SessionRow
from lanman.names import fold

NOWHERE: frozenset[str] = frozenset()

_PIPE: Final = "\\pipe\\"


def may_be_kept(user_name: str | None, path: str | None, owner: str | None) -> bool:
    """Whether nobody may have it open. `owner` is for whom it is kept, "" for nobody, None where that is not told."""
    if owner is not None:
        return bool(owner)
    return user_name == "" and not (path or "").replace("/", "\\").casefold().startswith(_PIPE)


def owner_unknown(user_name: str | None, path: str | None, owner: str | None) -> bool:
    """Whether it may be kept, and the server has not said for whom, nor whether it is. Arguments as `may_be_kept`."""
    return not owner and may_be_kept(user_name, path, owner)


class ClientsOfUsers:
    """The clients from which users have sessions, at the last look and at the one before, by folded user name."""

    def __init__(self) -> None:
        self._now: dict[str, frozenset[str]] = {}
        self._before: dict[str, frozenset[str]] = {}
        self._sessions: Collection[SessionRow] = ()
        self._begun: dict[str, float | None] | None = None
        self.changed: frozenset[str] = frozenset()
        """Users whose clients are not those of the look before, or were not then."""

    def look(self, sessions: Collection[SessionRow]) -> None:
        """Take in who has sessions now."""
        by_name: dict[str | None, set[str]] = {}
        for row in sessions:
            if row.client_name is not None:
                by_name.setdefault(row.user_name, set()).add(row.client_name)
        found: dict[str, frozenset[str]] = {}
        for name, clients in by_name.items():
            if name is not None:
                user = fold(name)
                found[user] = found.get(user, NOWHERE) | clients
        older, self._before, self._now = self._before, self._now, found
        self._sessions, self._begun = sessions, None
        self.changed = frozenset(
            user
            for user in {*found, *self._before, *older}
            if not found.get(user) == self._before.get(user) == older.get(user)
        )

    def of(self, user: str | None) -> frozenset[str]:
        """The clients from which a user's file may be open; none where that is not known."""
        if user is None:
            return NOWHERE
        folded = fold(user)
        return self._now.get(folded, NOWHERE) | self._before.get(folded, NOWHERE)

    def not_before(self, user: str | None) -> float | None:
        """When the first of a user's sessions began, which is no later than their files were opened; None where that
        is not known."""
        if self._begun is None:
            self._begun = {}
            for row in self._sessions:
                name = fold(row.user_name or "")
                earliest = self._begun.get(name, row.begun_at)
                known = earliest is not None and row.begun_at is not None
                self._begun[name] = min(earliest or 0.0, row.begun_at or 0.0) if known else None
        return None if user is None else self._begun.get(fold(user))

    def infer(self, row: FileRow) -> FileRow:
        """The row with the clients that it may be from; those that it had before are made fewer, where any is left."""
        possible = NOWHERE if may_be_kept(row.user_name, row.path, row.owner) else self.of(row.user_name)
        had = frozenset(row.candidates) if row.client_name is None else frozenset({row.client_name})
        if len(possible & had) == len(had) > 0:
            return row
        clients = tuple(sorted((possible & had) or possible))
        if len(clients) == 1:
            return row._replace(client_name=clients[0], client_how=How.INFERRED, candidates=())
        how = How.CANDIDATES if clients else How.UNKNOWN
        return row._replace(client_name=None, client_how=how, candidates=clients)
