"""The audit log: one line for each session opened, renewed, refused and ended, and why.

A subscriber of the domain's events (`lanman.events`), of KINDS alone.

    session opened client="\\\\192.0.2.7" user="ann" id=3 dialect="3.1.1" signing="AES-128-GMAC" encryption=""
    session renewed client="\\\\192.0.2.7" user="ann" id=3 domain="" anonymous=no guest=no
    session refused client="\\\\192.0.2.7" user="ann" reason="wrong user name or password" detail="..."
    session ended client="\\\\192.0.2.7" user="ann" id=3 reason="ended by an administrator" seconds=61
    server paused client="\\\\192.0.2.9" user="admin"

Who paused or continued the Server on its own machine has no client, and is a user of the system.

A peer without an account brings about refusals and null sessions as fast as it likes: of those, BURST lines are written
in a minute for each address and kind, then how many were left out. What is about somebody with an account is always
written.

Values in quotation marks are JSON strings in ASCII: what a peer sends can neither end a line nor colour a terminal.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from json.encoder import encode_basestring_ascii
from typing import Final

from lanman.events import (
    Event,
    LogonRefused,
    Reason,
    ServerContinued,
    ServerPaused,
    SessionClosed,
    SessionExpired,
    SessionOpened,
    SessionReauthenticated,
    SessionRecord,
    ShareAvailability,
)
from lanman.net.logs import Journal
from lanman.server.throttle import network_of
from lanman.server.watch import NOT_LOOKED_AT

_server_log: Final = logging.getLogger("lanman.server")
audit_log: Final = logging.getLogger("lanman.audit")

# Ends that the client or the rules bring about are everyday; these are worth a second look.
_NOTABLE: Final = frozenset({Reason.DELETED, Reason.CREDENTIALS, Reason.OTHER_USER, Reason.ACCOUNT})


def quoted(text: str) -> str:
    """Text from a peer, fit for one field of one line."""
    return encode_basestring_ascii(text)


def _has_account(session: SessionRecord) -> bool:
    """Whether a user with an account has made it: it has keys, though it may have been renewed anonymously."""
    return bool(session.signing) or not (session.anonymous or session.guest)


# Lines a minute about one address without an account, of one kind.
BURST: Final = 10


# What there are lines about.
KINDS: Final = (
    SessionOpened,
    SessionReauthenticated,
    SessionExpired,
    SessionClosed,
    LogonRefused,
    ShareAvailability,
    ServerPaused,
    ServerContinued,
)


def listener(journal: Journal) -> Callable[[Event], None]:
    """What writes the audit log; `journal` bounds what peers without an account can bring about."""
    return _AuditLog(journal).on_event


class _AuditLog:
    """Writes a line for each event of KINDS."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def on_event(self, event: Event) -> None:
        """Write what this event calls for, if anything."""
        if isinstance(event, SessionOpened):
            self._opened(event.session)
        elif isinstance(event, SessionReauthenticated):
            self._of_session(
                "session renewed", event.session, logging.INFO, "session renewed " + _WHO, *_who(event.session)
            )
        elif isinstance(event, LogonRefused):
            self._refused(event)
        elif isinstance(event, ShareAvailability):
            _share_availability(event)
        elif isinstance(event, SessionExpired):
            audit_log.info("session expired user=%s id=%d", quoted(event.session.user_name), event.session.id)
        elif isinstance(event, SessionClosed):
            self._closed(event)
        elif isinstance(event, ServerPaused | ServerContinued):
            what = "paused" if isinstance(event, ServerPaused) else "continued"
            # It decides who gets in: worth a second look.
            audit_log.warning("server %s client=%s user=%s", what, quoted(event.client_name), quoted(event.user_name))

    def _bounded(self, kind: str, client_name: str, level: int, message: str, *values: object) -> None:
        peer = network_of(client_name.strip("\\[]"))
        self._journal.say(audit_log, level, kind, peer, message, *values, burst=BURST)

    def _of_session(self, kind: str, session: SessionRecord, level: int, message: str, *values: object) -> None:
        if _has_account(session):
            audit_log.log(level, message, *values)
        else:
            self._bounded(kind, session.client_name, level, message, *values)

    def _opened(self, session: SessionRecord) -> None:
        self._of_session(
            "null or guest session opened",
            session,
            logging.INFO,
            "session opened " + _WHO + " dialect=%s signing=%s encryption=%s",
            *_who(session),
            quoted(session.dialect),
            quoted(session.signing),
            quoted(session.encryption),
        )

    def _refused(self, event: LogonRefused) -> None:
        self._bounded(
            f"session refused, {event.reason.value}",
            event.client_name,
            logging.WARNING,
            "session refused client=%s user=%s reason=%s detail=%s",
            quoted(event.client_name),
            quoted(event.user_name),
            quoted(event.reason.value),
            quoted(event.detail),
        )

    def _closed(self, event: SessionClosed) -> None:
        session = event.session
        self._of_session(
            "null or guest session ended",
            session,
            logging.WARNING if event.reason in _NOTABLE else logging.INFO,
            "session ended client=%s user=%s id=%d reason=%s seconds=%d",
            quoted(session.client_name),
            quoted(session.user_name),
            session.id,
            quoted(event.reason.value),
            session.active_time,
        )


_WHO: Final = "client=%s user=%s id=%d domain=%s anonymous=%s guest=%s"


def _who(session: SessionRecord) -> tuple[object, ...]:
    """The values of _WHO."""
    return (
        quoted(session.client_name),
        quoted(session.user_name),
        session.id,
        quoted(session.domain),
        "yes" if session.anonymous else "no",
        "yes" if session.guest else "no",
    )


def _share_availability(event: ShareAvailability) -> None:
    share = event.share
    if share.problem:
        _server_log.warning("share %s is left out: %s: %s", quoted(share.name), quoted(share.path), share.problem)
    elif event.before != NOT_LOOKED_AT:
        _server_log.info("share %s is there again: %s", quoted(share.name), quoted(share.path))
