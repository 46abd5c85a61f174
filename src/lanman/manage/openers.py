"""Which session has a file open, as far as that is known, and how.

MS-SRVS does not say it: a file has a user, and no client. Rules:

  - What a server of this machine tells counts: a session's number (lanman's Server), a client (Samba's tools).
  - Otherwise it is a session of the file's user. With one alone, or several from one client, the client is inferred;
    with several clients each is a candidate; where none is listed, nothing is known.
  - What may be kept for a client whose connection was lost is no session's (`watching.clients.may_be_kept`).
  - Nobody has opened a file before their session began, nor at another node of a cluster.

Sessions are found by key, so many files take time linear in their number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from lanman.manage.selection import canonical_client
from lanman.manage.watching.clients import may_be_kept, owner_unknown
from lanman.manage.watching.keys import How, told_id
from lanman.names import fold
from lanman.plain import dataclass
from lanman.records import FileInfo, SessionInfo


@dataclass(frozen=True, slots=True)
class Opener:
    """Who has a file open. `sessions` are those that may have; `client_name` is theirs where it is one alone."""

    sessions: tuple[SessionInfo, ...] = ()
    client_name: str | None = None
    how: How = How.UNKNOWN

    @property
    def session(self) -> SessionInfo | None:
        """The one session that has it open, where that is known."""
        return self.sessions[0] if len(self.sessions) == 1 else None

    @property
    def candidates(self) -> list[str]:
        """The clients that may have it open, where they are several."""
        names = dict.fromkeys(session.client_name for session in self.sessions if session.client_name)
        return list(names) if self.client_name is None else []


class Openers:
    """The sessions of a server, found by what is told of open files."""

    def __init__(self, sessions: Iterable[SessionInfo]) -> None:
        self._by_id: dict[tuple[str | None, int | str], SessionInfo] = {}
        self._by_user: defaultdict[tuple[str | None, str], list[SessionInfo]] = defaultdict(list)
        for session in sessions:
            if (id := told_id(session)) is not None:
                self._by_id[session.node, id] = session
            if session.user_name is not None:
                self._by_user[session.node, fold(session.user_name)].append(session)

    def of(self, file: FileInfo) -> Opener:
        """Who has a file open."""
        id = getattr(file, "session_id", None)
        if id is not None and (session := self._by_id.get((file.node, id))) is not None:
            return Opener((session,), session.client_name, How.TOLD)
        owner: str | None = getattr(file, "owner", None)
        if owner:
            return Opener()
        theirs = [] if file.user_name is None else self._by_user.get((file.node, fold(file.user_name)), [])
        told: str | None = getattr(file, "client_name", None)
        if told is not None:
            return Opener(tuple(_from(theirs, file, told)), told, How.TOLD)
        clients = {canonical_client(session.client_name or "") for session in theirs}
        if not clients or may_be_kept(file.user_name, file.path, owner):
            return Opener()
        if len(clients) == 1:
            return Opener(tuple(theirs), theirs[0].client_name, How.INFERRED)
        return Opener(tuple(theirs), None, How.CANDIDATES)

    def may_have(self, file: FileInfo) -> list[SessionInfo]:
        """The null sessions that may have a file open of which it is not told whether it is kept for a client that is
        away: `of` names nobody for it."""
        if owner_unknown(file.user_name, file.path, getattr(file, "owner", None)):
            return self._by_user.get((file.node, ""), [])
        return []


def _from(sessions: Iterable[SessionInfo], file: FileInfo, client: str) -> list[SessionInfo]:
    """Those of one client; and of the process that serves it, where the server tells that."""
    pid = getattr(file, "pid", None)
    wanted = canonical_client(client)
    return [
        session
        for session in sessions
        if canonical_client(session.client_name or "") == wanted
        and (pid is None or getattr(session, "pid", None) in (None, pid))
    ]
