"""What leaves the domain: one stream of events, in the order in which things happened.

When an event arrives the service already is as the event says. Everything that a closed session had is reported before
the session itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from lanman.domain.nouns import Open, Session, Share, TreeConnect


class Reason(Enum):
    """Why something ended, or why a log-on was refused."""

    LOGOFF = "logged off"
    CLOSED = "closed by the client"
    DISCONNECTED = "connection lost"
    DELETED = "ended by an administrator"
    IDLE = "idle for too long"
    EXPIRED = "credentials expired"
    REPLACED = "replaced by a new session of the same client"
    STOPPED = "server stopped"
    SHARE_DELETED = "share deleted"
    SHARE_UNAVAILABLE = "share out of its bounds"
    RIGHTS = "access taken away"
    ACCOUNT = "account disabled or deleted"
    CREDENTIALS = "wrong user name or password"
    MALFORMED = "log-on that cannot be understood"
    UNENCRYPTED = "encryption is required"
    UNENCRYPTED_SHARE = "the share requires encryption"
    UNSIGNED = "does not sign; signing is required"
    NTLMV1 = "speaks NTLMv1; NTLMv2 is required"
    SMB1 = "speaks SMB 1 only"
    OTHER_USER = "renewed as another user"
    LIMIT = "too many sessions"
    PAUSED = "server paused"
    THROTTLED = "too many wrong passwords at once"


@dataclass(slots=True)
class SessionOpened:
    session: Session


@dataclass(slots=True)
class SessionExpired:
    """Its credentials ran out. It stays, with its opens, until it logs on again or ends (MS-SMB2 3.3.6.2)."""

    session: Session


@dataclass(slots=True)
class SessionReauthenticated:
    session: Session


@dataclass(slots=True)
class SessionClosed:
    """It is gone and its id means nothing any more. Its connections live on for their other sessions."""

    session: Session
    reason: Reason


@dataclass(slots=True)
class TreeConnected:
    tree_connect: TreeConnect


@dataclass(slots=True)
class TreeDisconnected:
    tree_connect: TreeConnect
    reason: Reason


@dataclass(slots=True)
class FileOpened:
    open: Open


@dataclass(slots=True)
class FileClosed:
    """Whoever holds the local handle closes it now, locks and oplocks or not (MS-SMB2 3.3.4.17)."""

    open: Open
    reason: Reason


@dataclass(slots=True)
class LogonRefused:
    client_name: str
    user_name: str
    reason: Reason
    detail: str = ""  # what exactly was wrong; for the log, never for the client


@dataclass(slots=True)
class ShareAdded:
    share: Share


@dataclass(slots=True)
class ShareChanged:
    share: Share


@dataclass(slots=True)
class ShareAvailability:
    """Its folder has gone or come back; `share.problem` says what is the matter now, `before` what was until now."""

    share: Share
    before: str


@dataclass(slots=True)
class ShareRemoved:
    share: Share


Event = (
    SessionOpened
    | SessionExpired
    | SessionReauthenticated
    | SessionClosed
    | TreeConnected
    | TreeDisconnected
    | FileOpened
    | FileClosed
    | LogonRefused
    | ShareAdded
    | ShareChanged
    | ShareAvailability
    | ShareRemoved
)
