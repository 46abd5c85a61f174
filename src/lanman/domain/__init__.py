"""The domain: sessions, opens, shares and the rules that administrators set for them.

    server_service.py  the lists, and how they change
    nouns.py           what is in them
    policy.py          limits and times that are set
    portions.py        what users share, and who has how much of it
    ending.py          what has so much that it is ended in portions
    idle.py            who falls due when
    selection.py       whom a management call means
    counters.py        what is counted
    news.py            what is said of a change
    stream.py          who hears of it, in which order
    values.py          the nouns as the values that events carry

The events themselves are words of every floor: `lanman.events`. Their names are here too, since the domain makes them.
"""

from __future__ import annotations

from lanman.domain.counters import Counters
from lanman.domain.ending import AT_ONCE
from lanman.domain.news import Transport
from lanman.domain.nouns import (
    DIRECT_TCP,
    STYPE_DEVICE,
    STYPE_DISKTREE,
    STYPE_IPC,
    STYPE_PRINTQ,
    STYPE_SPECIAL,
    STYPE_TEMPORARY,
    Connection,
    Open,
    Session,
    Share,
    State,
    TreeConnect,
    fold_client,
    is_member,
)
from lanman.domain.portions import Portion, Portions, user_named
from lanman.domain.server_service import Limit, LimitReached, ServerService
from lanman.domain.stream import Failed, Listener
from lanman.events import (
    Event,
    FileClosed,
    FileOpened,
    FilePreserved,
    FileReclaimed,
    LogonRefused,
    Reason,
    SessionClosed,
    SessionExpired,
    SessionOpened,
    SessionReauthenticated,
    ShareAdded,
    ShareAvailability,
    ShareChanged,
    ShareRemoved,
    TreeConnected,
    TreeDisconnected,
)
from lanman.names import fold

__all__ = [
    "AT_ONCE",
    "DIRECT_TCP",
    "STYPE_DEVICE",
    "STYPE_DISKTREE",
    "STYPE_IPC",
    "STYPE_PRINTQ",
    "STYPE_SPECIAL",
    "STYPE_TEMPORARY",
    "Connection",
    "Counters",
    "Event",
    "Failed",
    "FileClosed",
    "FileOpened",
    "FilePreserved",
    "FileReclaimed",
    "Limit",
    "LimitReached",
    "Listener",
    "LogonRefused",
    "Open",
    "Portion",
    "Portions",
    "Reason",
    "ServerService",
    "Session",
    "SessionClosed",
    "SessionExpired",
    "SessionOpened",
    "SessionReauthenticated",
    "Share",
    "ShareAdded",
    "ShareAvailability",
    "ShareChanged",
    "ShareRemoved",
    "State",
    "Transport",
    "TreeConnect",
    "TreeConnected",
    "TreeDisconnected",
    "fold",
    "fold_client",
    "is_member",
    "user_named",
]
