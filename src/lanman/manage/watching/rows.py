"""What there is on a server, as rows: sessions, open files and shares, the same from every kind of server.

Rows are values: nothing changes one. `None` is "not told", as in `lanman.records`. Durations are not among their
fields: `begun_at`, `used_at` and `opened_at` are in seconds since 1970, so that a session that is idle has the same row
at every look.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from lanman.manage.watching.keys import FileKey, How, SessionKey, ShareKey
from lanman.records import FileInfo, SessionInfo

if TYPE_CHECKING:
    from lanman.events import Event


class Kind(Enum):
    """What a row is about."""

    SESSION = "session"
    FILE = "file"
    SHARE = "share"


class SessionRow(NamedTuple):
    """A session. `begun_at` and `used_at` may be `SLACK` seconds off where the server tells whole seconds of age.

    `begun_how` is TOLD, SEEN (between two looks, of which `begun_at` is the second) or UNKNOWN. `shares` are the names
    of those in use, `channels` the addresses of its connections, the oldest first. They and all that is after `shares`
    are told by this machine's servers alone.
    """

    key: SessionKey
    client_name: str | None
    user_name: str | None
    num_opens: int | None = None
    begun_at: float | None = None
    begun_how: How = How.UNKNOWN
    used_at: float | None = None
    user_flags: int | None = None
    client_type: str | None = None
    transport: str | None = None
    shares: tuple[str, ...] | None = None
    domain: str | None = None
    address: str | None = None
    dialect: str | None = None
    signing: str | None = None
    encryption: str | None = None
    anonymous: bool | None = None
    guest: bool | None = None
    channels: tuple[str, ...] | None = None

    @property
    def kind(self) -> Kind:
        """What it is about: a session."""
        return Kind.SESSION

    def as_listed(self, now: float) -> SessionInfo:
        """The row as `Manager.sessions` would list it at a time, for `Manager.close_sessions` and plans."""
        return SessionInfo(
            self.client_name,
            self.user_name,
            self.num_opens,
            None if self.begun_at is None else max(0, int(now - self.begun_at)),
            None if self.used_at is None else max(0, int(now - self.used_at)),
            self.user_flags,
            self.client_type,
            self.transport,
            node=self.key.node,
        )


class FileRow(NamedTuple):
    """An open file, folder, pipe or device.

    `client_name` is who has it open; `client_how` is TOLD, INFERRED (the user has sessions from this client alone),
    CANDIDATES (from several: `client_name` is None, and `candidates` are their names) or UNKNOWN. `opened_at` is when
    it was opened; `opened_how` is TOLD, SEEN (at the first look after it was opened) or UNKNOWN. `not_before` is a time
    before which it was certainly not open, as far as one is known: that of the look before it was seen, or when the
    first session began that may have it. `session` and `share` are told by lanman's own Server, `oplock`, `lease` and
    `lease_key` by it and by this machine's Samba.

    `durable`: its client may reclaim it after a lost connection. While it is kept for that, nobody has it open, and it
    has no user; `owner` is whose it is, and `expires_at` when it is closed. It is the same row before, meanwhile and
    afterwards. lanman's own Server tells all of that. Of a server that is asked again and again, `owner` is the user
    whom the same id and path had at an earlier look; one that never had a user there may be kept, for whom is not known
    (MS-SMB2 3.3.4.20), and `owner` is None.
    """

    key: FileKey
    id: int | None
    path: str | None
    user_name: str | None
    permissions: int | None = None
    num_locks: int | None = None
    client_name: str | None = None
    client_how: How = How.UNKNOWN
    candidates: tuple[str, ...] = ()
    opened_at: float | None = None
    opened_how: How = How.UNKNOWN
    not_before: float | None = None
    session: SessionKey | None = None
    share: str | None = None
    oplock: str | None = None
    lease: str | None = None
    lease_key: str | None = None
    durable: bool | None = None
    owner: str | None = None
    expires_at: float | None = None

    @property
    def kind(self) -> Kind:
        """What it is about: a file."""
        return Kind.FILE

    def as_listed(self) -> FileInfo:
        """The row as `Manager.files` lists it, for `Manager.close_files` and plans."""
        return FileInfo(self.id, self.permissions, self.num_locks, self.path, self.user_name, node=self.key.node)


class ShareRow(NamedTuple):
    """A share. `max_uses` is 0xFFFFFFFF for no limit. `problem` says why it cannot be used; "" where it can, and None
    where the server does not tell, which only lanman's own does."""

    key: ShareKey
    name: str
    type: int | None = None
    path: str | None = None
    remark: str | None = None
    max_uses: int | None = None
    current_uses: int | None = None
    problem: str | None = None

    @property
    def kind(self) -> Kind:
        """What it is about: a share."""
        return Kind.SHARE


Row = SessionRow | FileRow | ShareRow


def refused_row(event: Event) -> SessionRow | None:
    """Somebody who was refused (LogonRefused, PermissionDenied), as a row for filters; None where the event is about
    something else."""
    # `lanman.events` takes time to load, and is not needed where servers are asked.
    if type(event).__name__ not in ("LogonRefused", "PermissionDenied"):
        return None
    client: str = getattr(event, "client_name", "")
    user: str = getattr(event, "user_name", "")
    return SessionRow(SessionKey(client, user), client, user)
