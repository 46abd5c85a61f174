r"""What sessions and open files are known by, from one look at a server to the next.

MS-SRVS gives a session no id, and the id of a file may be given again after it is closed. So:

  - A session is its client, its user and when it began: the time of the look less `active_time`, which two looks may
    see `SLACK` seconds apart. Where a server tells an id of its own (lanman's Server, this machine's Samba), that is
    compared as well.
  - A file is its id, its path and its user. For watching, one that loses its user, or has it again, is the same
    (`lanman.manage.watching.differ`); orders stay strict.
  - What was not told is None and differs from nothing: with no ages, a session is its client and its user; at level 0
    it is its client.
  - In a cluster it is of a `node`, and nothing of one node is the same as something of another.
  - Several may be equal: keys have a `number`, 0 for the first, and equal ones are counted. Which of them has gone
    cannot be told, and does not matter: they differ in nothing.

A key names a row (`lanman.manage.watching.rows`) for as long as the row is there. It is made when the row is first
seen and stays as it is: what is compared on each look are the servers' words, by `same_session` and `same_file`.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from lanman.manage.selection import canonical_client
from lanman.names import fold
from lanman.records import FileInfo, SessionInfo

SLACK: Final = 3.0
"""How many seconds two looks may differ in when the same session began."""


class How(Enum):
    """How something is known."""

    TOLD = "told"
    """The server has said so."""
    INFERRED = "inferred"
    """It follows from what the server has said: the user has sessions from one client, say."""
    CANDIDATES = "candidates"
    """It is one of several."""
    SEEN = "seen"
    """It happened between two looks."""
    UNKNOWN = "unknown"


class SessionKey(NamedTuple):
    """What a session is known by. `begun_at` is in whole seconds since 1970, by the clock of whoever looked; `id` is
    what the server calls it, where it has a name for it; `number` parts those that are equal otherwise."""

    client_name: str | None
    user_name: str | None
    begun_at: int | None = None
    id: int | str | None = None
    number: int = 0
    node: str | None = None

    def __str__(self) -> str:
        """The key as one word for JSON and web addresses; two keys of one server have two words."""
        return _word("session", self.client_name, self.user_name, self.begun_at, self.id, self.number, node=self.node)


class FileKey(NamedTuple):
    """What an open file is known by; `number` parts those that are equal otherwise (Samba's ids can collide)."""

    id: int | None
    path: str | None
    user_name: str | None
    number: int = 0
    node: str | None = None

    def __str__(self) -> str:
        """The key as one word for JSON and web addresses; two keys of one server have two words."""
        return _word("file", self.id, self.path, self.user_name, self.number, node=self.node)


class ShareKey(NamedTuple):
    """What a share is known by: its name."""

    name: str
    node: str | None = None

    def __str__(self) -> str:
        """The key as one word for JSON and web addresses."""
        return _word("share", self.name, node=self.node)


Key = SessionKey | FileKey | ShareKey


def _word(kind: str, *parts: object, node: str | None = None) -> str:
    """The parts behind each other, None as `*`, and the node, where there is one, behind an `@`; all that stands
    between them is escaped in them, halves of surrogate pairs too, which names from the wire may hold."""
    from urllib.parse import quote

    def escaped(part: object) -> str:
        return quote(str(part), safe="", errors="surrogatepass")

    word = ":".join([kind, *("*" if part is None else escaped(part) for part in parts)])
    return word if node is None else f"{word}@{escaped(node)}"


def session_key(entry: SessionInfo, looked_at: float) -> SessionKey:
    """What a listed session is known by, where the list was asked for at `looked_at` (seconds since 1970)."""
    begun_at = None if entry.active_time is None else int(looked_at - entry.active_time)
    return SessionKey(entry.client_name, entry.user_name, begun_at, told_id(entry), node=entry.node)


def told_id(entry: SessionInfo) -> int | str | None:
    """What the server itself calls a session, which only this machine's tell: `global_id` of lanman's Server
    (DetailedSession), `session_id` of Samba (SambaSession)."""
    found: int | str | None = getattr(entry, "global_id", None)
    if found is None:
        found = getattr(entry, "session_id", None)
    return found


def file_key(entry: FileInfo) -> FileKey:
    """What a listed file is known by."""
    return FileKey(entry.id, entry.path, entry.user_name, node=entry.node)


def same_session(before: SessionKey, now: SessionKey) -> bool:
    """Whether two looks have seen the same session, as far as can be told: nothing that both were told differs.

    Clients are the same however slashes and brackets are written, users where they are spelt alike or differ in letter
    case. The numbers do not count.
    """
    if _differ(before.node, now.node) or _differ(before.id, now.id):
        return False
    if None not in (before.begun_at, now.begun_at) and not within_slack(before.begun_at or 0, now.begun_at or 0):
        return False
    return _same_client(before.client_name, now.client_name) and _same_user(before.user_name, now.user_name)


def same_file(before: FileInfo | FileKey, now: FileInfo | FileKey) -> bool:
    """Whether two looks have seen the same open file: the same id, path and user. An id that was given again, another
    path and another user are another file; what one of the two was not told does not count."""
    if before.id != now.id or before.id is None or _differ(before.node, now.node):
        return False
    if None not in (before.path, now.path) and before.path != now.path:
        return False
    return _same_user(before.user_name, now.user_name)


def within_slack(one: float, other: float) -> bool:
    """Whether two times of beginning may be that of the same session."""
    return abs(one - other) <= SLACK


def _differ(before: object, now: object) -> bool:
    """Whether two things that were told differ."""
    return before is not None and now is not None and before != now


def _same_client(before: str | None, now: str | None) -> bool:
    if before is None or now is None or before == now:
        return True
    return canonical_client(before) == canonical_client(now)


def _same_user(before: str | None, now: str | None) -> bool:
    return before is None or now is None or before == now or fold(before) == fold(now)
