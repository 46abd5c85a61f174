"""What the service says of its changes: first to the transport, which lets go of what has ended, then as an event.

A method here queues (`stream.py` has the rules); `deliver` follows once the change is whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from lanman import events
from lanman.domain import values
from lanman.domain.nouns import Connection, Open, Session, Share, TreeConnect
from lanman.domain.stream import EventStream, Failed
from lanman.events import Reason


class Transport(Protocol):
    """What carries the sessions, and holds what stands behind their opens. It is told first of what has ended, with the
    domain's own objects, so that it lets go of it. An error in it is reported as a listener's is."""

    def open_closed(self, opened: Open, reason: Reason) -> None:
        """Close the local handle, locks and oplocks or not (MS-SMB2 3.3.4.17)."""

    def open_preserved(self, opened: Open) -> None:
        """Take an open out of its session, which is about to end, and keep it."""

    def tree_ending(self, tree: TreeConnect, reason: Reason) -> None:
        """A tree connect has ended, and so many opens with it that they are closed in portions: they are not to be
        found from now on."""

    def tree_disconnected(self, tree: TreeConnect) -> None:
        """Forget a tree connect; its opens were closed before."""

    def session_ending(self, session: Session, reason: Reason) -> None:
        """A session has ended, with many opens; as `tree_ending`."""

    def session_closed(self, session: Session, reason: Reason) -> None:
        """Forget a session (MS-SMB2 3.3.4.12); all that it had was told of before. Its connections stay up."""

    def session_identified(self, session: Session) -> None:
        """A session has logged on again, perhaps as another user."""

    def share_removed(self, share: Share) -> None:
        """Forget a share; what was open on it was closed before."""


class News(EventStream):
    """The service's events about its own objects. `clock` and `time_of_day` are those of `ServerService`."""

    def __init__(
        self, clock: Callable[[], float], time_of_day: Callable[[float], float], failed: Failed | None
    ) -> None:
        super().__init__(self.now_of_day, failed)
        self.transport: Transport | None = None
        self._clock = clock
        self._time_of_day = time_of_day

    def of_day(self, now: float) -> float:
        """A time of the service's clock in seconds since 1970, to the microsecond."""
        return round(self._time_of_day(now), 6)

    def now_of_day(self) -> float:
        """The time of day, in seconds since 1970, to the microsecond."""
        return self.of_day(self._clock())

    def session_record(self, session: Session) -> events.SessionRecord:
        """A session as it is now."""
        return values.session_record(session, self._clock(), self.of_day)

    def connection(self, kind: type[events.Event], connection: Connection, *rest: object) -> None:
        """Queue an event about a connection; `rest` are its fields behind the record."""
        self.post(kind, values.connection_record, connection, *rest)

    def session(self, kind: type[events.Event], session: Session) -> None:
        """Queue an event about a session."""
        self.post(kind, self.session_record, session)

    def session_renewed(self, session: Session) -> None:
        """It has logged on again."""
        if self.transport is not None:
            self.react(self.transport.session_identified, session)
        self.post(events.SessionReauthenticated, self.session_record, session)

    def session_ending(self, session: Session, reason: Reason) -> None:
        """It has ended; the event comes when all that it had is closed."""
        if self.transport is not None:
            self.react(self.transport.session_ending, session, reason)

    def session_closed(self, session: Session, reason: Reason) -> None:
        """It has ended."""
        if self.transport is not None:
            self.react(self.transport.session_closed, session, reason)
        self.post(events.SessionClosed, self.session_record, session, reason)

    def tree(self, kind: type[events.Event], tree: TreeConnect) -> None:
        """Queue an event about a tree connect."""
        self.post(kind, values.tree_record, tree)

    def tree_ending(self, tree: TreeConnect, reason: Reason) -> None:
        """As `session_ending`."""
        if self.transport is not None:
            self.react(self.transport.tree_ending, tree, reason)

    def tree_disconnected(self, tree: TreeConnect, reason: Reason) -> None:
        """It has ended."""
        if self.transport is not None:
            self.react(self.transport.tree_disconnected, tree)
        self.post(events.TreeDisconnected, values.tree_record, tree, reason)

    def file(self, kind: type[events.Event], opened: Open, *rest: object) -> None:
        """Queue an event about an open; `rest` are its fields behind the record."""
        self.post(kind, values.file_record, opened, *rest)

    def file_closed(self, opened: Open, reason: Reason) -> None:
        """It has ended."""
        if self.transport is not None:
            self.react(self.transport.open_closed, opened, reason)
        self.post(events.FileClosed, values.file_record, opened, reason)

    def file_preserved(self, opened: Open) -> None:
        """It stays open, and its session ends."""
        if self.transport is not None:
            self.react(self.transport.open_preserved, opened)
        self.post(events.FilePreserved, values.file_record, opened)

    def share(self, kind: type[events.Event], share: Share, *rest: object) -> None:
        """Queue an event about a share; `rest` are its fields behind the record."""
        self.post(kind, values.share_record, share, *rest)

    def share_removed(self, share: Share) -> None:
        """It is shared no more."""
        if self.transport is not None:
            self.react(self.transport.share_removed, share)
        self.post(events.ShareRemoved, values.share_record, share)
