"""The sessions of the whole Server with their channels, and its opens (MS-SMB2 3.3.1.5: GlobalSessionTable and
GlobalOpenTable; 3.3.1.14: channels).

Rules:

* A session stands above its connections. Its trees and opens belong to it, and a request finds them whichever channel
  it came by. A connection holds its channels by session id (`ConnectionDispatch.channels`), and finds no other session.
* What belongs to a connection and not to the session: message ids and credits, requests that wait, the signing key. An
  answer leaves by the channel that its request came by. What the Server sends unsolicited leaves by the first channel.
* A channel that is lost takes its own requests with it, and what an open had sent by it and waits for is sent again by
  another (3.3.4.6). The session ends with its last channel (3.3.7.1).
* A session that ends, for whatever reason, ends all its channels, and nothing else of its connections (3.3.4.12).
* An open stands above its session: it is in the table by the persistent half of its FileId until it is released. One
  that the domain preserves when its session ends (`domain.durable`) is in no session until it is reclaimed,
  with a new volatile half (3.3.5.9.7), or closed. Its locks, its oplock and its share modes stay in force.
* Whatever ends is first ended in the domain, which then calls `open_closed`, `tree_disconnected`, `session_closed` or
  `open_preserved` here. Only what has no domain object any more is ended here: a session that waits for its last answer
  to be read (`ServerSession.closing`).
* What ends in portions is found no more from its first moment on (`session_ending`, `tree_ending`), and none of its
  requests waits any longer. `open_closed` and the others come when its opens are closed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Final

from lanman.domain import Open, Reason, ServerService, Session, Share, TreeConnect
from lanman.few import NOTHING, with_one, without
from lanman.server.scheduler import Scheduler
from lanman.server.state import HandlerConnection, ServerOpen, ServerSession, ServerTree

# How many seconds the answer to a call that ended its own session waits on the pipe to be read.
LINGER: Final = 5.0


class SessionTable:
    """All sessions by their ids, and all opens by their persistent ids. Iterating gives the sessions.

    It is the domain's Transport, which is told first of what has ended; `share_removed` is the part of that which
    somebody else does.
    """

    def __init__(self, service: ServerService, scheduler: Scheduler, share_removed: Callable[[Share], None]) -> None:
        self.share_removed = share_removed
        self._service = service
        self._scheduler = scheduler
        self._sessions: dict[int, ServerSession] = {}
        self._opens: dict[int, ServerOpen] = {}
        self._file_ids = count(1)

    def __iter__(self) -> Iterator[ServerSession]:
        return iter(list(self._sessions.values()))

    def find(self, session: Session) -> ServerSession | None:
        """The session of a domain's session; None if it has ended here."""
        found = self._sessions.get(session.session_id)
        return found if found is not None and found.session is session else None

    def by_id(self, session_id: int) -> ServerSession | None:
        """The session of that id, whichever connections it is on."""
        return self._sessions.get(session_id)

    def find_open(self, persistent_id: int) -> ServerOpen | None:
        """The open of that persistent id, preserved ones included."""
        return self._opens.get(persistent_id)

    # --- channels ---

    def establish(self, session: ServerSession) -> None:
        """A log-on has succeeded (3.3.5.5.3): the session begins, with the one channel that it has."""
        self._sessions[session.session.session_id] = session
        session.connection.channel_begun(session)

    def bind(self, session: ServerSession, connection: HandlerConnection) -> None:
        """Make a connection one more channel of a session (3.3.5.5.3), whose user has logged on there again. Its core
        binds it next (`ServerConnection.bind_channel`).

        Raises LimitReached where the connection has as many sessions as it may, and ValueError where the session has
        ended.
        """
        if self.find(session.session) is not session or session.closing:
            raise ValueError("the session has ended")
        self._service.add_channel(session.session, connection.connection_id)
        if self.find(session.session) is not session:
            raise ValueError("the session has ended")  # a subscriber ended it at once
        if connection not in session.channels:
            session.channels += (connection,)
            connection.channel_begun(session)

    def connection_lost(self, connection: HandlerConnection) -> None:
        """A connection is gone (3.3.7.1), and its channels with it: sessions end for which it was the last."""
        self._service.close_connection(connection.connection_id, Reason.DISCONNECTED, connection.finished or "")
        for session in list(connection.channels.values()):
            if session.channels == (connection,):
                self.forget(session)  # it waited for its last answer to be read
            else:
                self._leave(session, connection)

    def _leave(self, session: ServerSession, connection: HandlerConnection) -> None:
        """The session goes on by its other channels."""
        first = session.connection
        session.channels = tuple(each for each in session.channels if each is not connection)
        if session.connection is not first:
            first.count_unread(-session.unread)
            session.connection.count_unread(session.unread)
        connection.channel_ended(session)
        for server_open in list(session.opens.values()):
            server_open.channel_lost(connection)

    # --- opens ---

    def register_open(
        self, session: ServerSession, tree: ServerTree, path: str, granted_access: int, now: float
    ) -> Open:
        """Tell the domain of something opened on a tree connect. `add_open` follows. Raises LimitReached, and
        ValueError where one of them has ended, or who heard of the open has closed it at once."""
        opened = self._service.register_open(
            session.session, tree.tree_connect, next(self._file_ids), path, granted_access, now
        )
        if session.session.opens.get(opened.file_id) is not opened:
            raise ValueError("the open has ended")
        return opened

    def add_open(self, server_open: ServerOpen) -> None:
        """What a request with the FileId of a registered open will find."""
        session = server_open.session
        assert session is not None, "an open begins in a session"
        self._opens[server_open.persistent_id] = server_open
        session.opens = with_one(session.opens, server_open.volatile_id, server_open)

    def reclaim(self, server_open: ServerOpen, session: ServerSession, tree: ServerTree) -> None:
        """Put a preserved open into a session (3.3.5.9.7, 3.3.5.9.12), on a tree connect to the same share. Its FileId
        has a new volatile half from now on.

        Whether the session may have it is for the caller to check. Raises LimitReached, and ValueError where it is not
        preserved or the session or the tree connect has ended.
        """
        self._service.reclaim_open(server_open.open, session.session, tree.tree_connect)
        if session.session.opens.get(server_open.persistent_id) is not server_open.open:
            raise ValueError("the open has ended")  # as in `register_open`
        server_open.session, server_open.tree = session, tree
        server_open.volatile_id = next(self._file_ids)
        session.opens = with_one(session.opens, server_open.volatile_id, server_open)

    def release(self, server_open: ServerOpen) -> None:
        """Release an open that the domain has closed already, and whose last answer has been read now; its session too,
        if that only waited for it."""
        session = server_open.session
        if session is None or server_open.volatile_id not in session.opens:
            return
        session.opens = without(session.opens, server_open.volatile_id)
        self._release(server_open)
        if session.closing and not session.opens:
            self.forget(session)

    def _release(self, server_open: ServerOpen) -> None:
        self._opens.pop(server_open.persistent_id, None)
        server_open.released()

    # --- what the domain has ended ---

    def open_closed(self, closed: Open, reason: Reason) -> None:
        """An open has ended (3.3.4.17): its requests are cancelled on all channels, and it is released."""
        server_open = self._opens.get(closed.file_id)
        if server_open is None or server_open.open is not closed:
            return
        session, now = server_open.session, self._scheduler.now
        if session is not None and (session.speaking is server_open or server_open.closing):
            server_open.closing = True
            return
        if session is not None:
            # Gone first: what is behind a cancelled request in its chain must not find it any more.
            session.opens = without(session.opens, server_open.volatile_id)
        server_open.ended(now)
        for connection in session.channels if session is not None else ():
            # I/O that was under way when the client itself closed the file comes to its end.
            connection.cancel_all(server_open, now, cancellable_only=reason is Reason.CLOSED)
        self._release(server_open)

    def open_preserved(self, opened: Open) -> None:
        """An open outlives its session, which is about to end (3.3.7.1). Nobody can ask for anything on it any more;
        what it holds stays."""
        server_open = self._opens.get(opened.file_id)
        if server_open is None or server_open.open is not opened or server_open.session is None:
            return
        session, server_open.session = server_open.session, None
        session.opens = without(session.opens, server_open.volatile_id)
        for connection in session.channels:
            connection.cancel_all(server_open, self._scheduler.now)

    def tree_ending(self, tree: TreeConnect, reason: Reason) -> None:
        """A tree connect has ended, and its opens are to be closed in portions."""
        session = self.find(tree.session)
        found = session.trees.get(tree.tree_id) if session is not None else None
        if session is None or found is None or found.tree_connect is not tree:
            return
        session.trees = without(session.trees, tree.tree_id)
        self._end_waiting(session, found, cancellable_only=reason is Reason.CLOSED)

    def _end_waiting(
        self, session: ServerSession, tree: ServerTree | None = None, *, cancellable_only: bool = False
    ) -> None:
        """Answer or cancel the requests that wait on opens of a session, or of one of its tree connects."""
        now = self._scheduler.now
        for connection in session.channels:
            for server_open in connection.awaited_opens(session):
                if server_open is not session.speaking and (tree is None or server_open.tree is tree):
                    server_open.ended(now)
                    connection.cancel_all(server_open, now, cancellable_only=cancellable_only)

    def tree_disconnected(self, tree: TreeConnect) -> None:
        """A tree connect has ended; its opens have been closed before."""
        session = self.find(tree.session)
        found = session.trees.get(tree.tree_id) if session is not None else None
        if session is not None and found is not None and found.tree_connect is tree:
            session.trees = without(session.trees, tree.tree_id)

    def session_ending(self, session: Session, reason: Reason) -> None:
        """A session has ended, and its opens are to be closed in portions: it is as if they had been."""
        found = self.find(session)
        if found is None:
            return
        self._end_waiting(found)
        speaking, found.opens = found.speaking, NOTHING
        if speaking is not None:
            speaking.closing = True
            found.opens = with_one(found.opens, speaking.volatile_id, speaking)
        self.session_closed(session, reason)

    def session_closed(self, session: Session, reason: Reason) -> None:
        """A session has ended (3.3.4.12), on all its channels. Its opens and tree connects have ended before."""
        found = self.find(session)
        if found is None or found.closing:
            return
        now = self._scheduler.now
        for connection in found.channels:
            connection.logons = without(connection.logons, session.session_id)
            connection.cancel_all(found, now, spared=found.speaking)
        if found.opens:
            # Only the pipe that a call is being made on can be left: the caller has ended its own session.
            found.closing = True
            found.lingers = self._scheduler.timers.at(now + LINGER, lambda then: self.forget(found))
        else:
            self.forget(found)
        if reason is Reason.IDLE:
            for connection in found.channels:
                if not connection.channels and not connection.logons:
                    connection.finish("autodisconnect took its last session")

    def session_identified(self, session: Session) -> None:
        """A session has logged on again, perhaps as another user."""
        found = self.find(session)
        for connection in found.channels if found is not None else ():
            connection.identified(session)

    def forget(self, session: ServerSession) -> None:
        """Nothing of a session is left, on any of its channels."""
        if self.find(session.session) is not session:
            return
        for connection in session.channels:
            connection.cancel_all(session, self._scheduler.now)
        if self._sessions.pop(session.session.session_id, None) is not session:
            return
        if session.lingers is not None:
            session.lingers.cancel()
        for server_open in session.opens.values():
            self._release(server_open)
        session.opens = NOTHING
        for connection in session.channels:
            connection.channel_ended(session)
