"""The Server service: who is connected, to what, with which files open (MS-SRVS 3.1.1 and 3.1.6, MS-SMB2 3.3.4).

The rules, first:

* Every session, tree connect and open has a 32-bit id here that is never 0, only grows, and is not given again while
  its holder lives. These are the ids of the management calls; the wire's own are given by those who register.
* A session without opens is idle from its last request on. Autodisconnect takes it after its period, a null session
  goes after its own shorter one. A session with opens is never idle.
* Closing a session closes all it has, changes nothing else, and may be done twice. Its connections stay for their other
  sessions. Where it has very many opens, they are closed in portions (`ending.py`), as are those of a tree connect.
* Durable opens outlive a session that ends with its connection, by a log-off, or because its client has come again
  (MS-SMB2 3.3.7.1, 3.3.5.6, 3.3.5.5.3), if they can be reclaimed then. Preserved, they are listed without a user and in
  no session, until they are reclaimed or closed. They are closed when their time is over, with their share, and when
  the service stops. So many are closed in one `expire`; it is due again at once if there are more.
* Paused, the service keeps who is there, with all that they have open and go on to open, and lets in administrators
  alone: there is no other new session, and no new tree connect of a session that was there before (KB Q110061, "Effects
  of Pausing a Service"). The pause ends when the service is continued, or started again.
* Every change is whole before anybody hears of it. Then the transport lets go of what stands behind what has ended, and
  the subscribers get the event, in one order for all (`stream.py`): a method that changes something returns after that,
  unless it was called by one of those who hear. Reading and writing make no event; they only add to the byte counts.
* Whatever a subscriber does or raises, the lists here stay true, and the caller that made the change goes on.

No bytes, no status codes, no sockets and no clock: time is an argument of what is judged by it, and only goes forward.
Events also say when they happened, and since when things are; for that alone the service is given two clocks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Generator, Iterable, Iterator, Mapping
from enum import Enum
from sys import intern
from typing import Any, Final, Generic, Literal, TypeVar

from lanman import events
from lanman.domain.counters import Counters
from lanman.domain.durable import DurableOpens
from lanman.domain.ending import AT_ONCE, Endings
from lanman.domain.idle import Expirations, IdleOrder
from lanman.domain.news import News, Transport
from lanman.domain.nouns import (
    DIRECT_TCP,
    STYPE_TEMPORARY,
    Connection,
    Open,
    Session,
    Share,
    State,
    TreeConnect,
    fold_client,
)
from lanman.domain.policy import anonymous_period, idle_period
from lanman.domain.portions import Portions
from lanman.domain.selection import is_at_or_under, path_components, prefer_exact_user
from lanman.domain.stream import Failed, Listener
from lanman.domain.values import connection_record, file_record, share_record, tree_record
from lanman.events import Reason
from lanman.few import NOTHING, with_one, without
from lanman.names import fold, unc_client
from lanman.settings import Configuration, RunningSettings, settings_as_text

K = TypeVar("K")

_LAST_ID: Final = 0xFFFFFFFF

# The ends of a session that its durable opens outlive.
_PRESERVING: Final = frozenset({Reason.DISCONNECTED, Reason.LOGOFF, Reason.REPLACED})

# Sessions and tree connects of all together: so many, or this times the connections there may be.
SESSIONS: Final = 65536
TREE_CONNECTS: Final = 131072

# Opens that are passed over because they are of other tree connects, at the cost of closing one.
_LOOKED_AT: Final = 64

# How many preserved opens whose time is over are closed at once.
UNCLAIMED_AT_ONCE: Final = 64


class Limit(Enum):
    """What there was no more room for."""

    SESSIONS = "sessions"
    SESSIONS_PER_USER = "sessions of this user"
    SESSIONS_PER_CONNECTION = "sessions of this connection"
    TREE_CONNECTS = "tree connects of this session"
    TREE_CONNECTS_PER_USER = "tree connects of this user"
    OPENS = "open files of this session"
    SHARE_USERS = "users of this share"
    PAUSED = "sessions and tree connects on a server that is paused"
    STOPPED = "sessions on a server that has stopped"


class LimitReached(Exception):
    """A registration was refused; nothing changed. `limit` says which rule refused it."""

    def __init__(self, limit: Limit) -> None:
        super().__init__(f"No room for more {limit.value}.")
        self.limit = limit


class ServerService:
    """The lists of sessions, tree connects, opens and shares, and the rules by which they change.

    What `settings` says counts at once whenever it is changed. `start` is when the service started, in seconds
    since 1970 (for the statistics alone). `clock` gives the time that the other methods are given as `now`; it says
    from when on an open is preserved, and events need it. `time_of_day` turns such a time into seconds since 1970, for
    events alone. `failed` is told of errors in listeners: see `stream.py`.
    """

    def __init__(
        self,
        settings: RunningSettings | None = None,
        *,
        start: int = 0,
        clock: Callable[[], float] = lambda: 0.0,
        time_of_day: Callable[[float], float] = lambda now: now,
        failed: Failed | None = None,
    ) -> None:
        self.settings = settings or RunningSettings()
        self.counters = Counters(start)
        self.paused_by: tuple[str, str] | None = None  # by client and user, as in events.ServerPaused
        self.stopped = False
        self._running = False
        self._sessions: dict[int, Session] = {}
        self._by_session_id: dict[int, Session] = {}
        self._by_connection = _Groups[int]()
        self._by_names = _Groups[str]()
        self._tree_connects: dict[int, TreeConnect] = {}
        self.endings = Endings()
        self._ending = 0  # sessions that are, and still in `_sessions`
        self._with_ending_trees: dict[Session, int] = {}  # how many of its tree connects are, while it goes on
        self._opens: dict[int, Open] = {}
        self._shares: dict[str, Share] = {}
        self._last_session = self._last_tree_connect = self._last_open = 0
        self._idle = IdleOrder()
        self._anonymous = IdleOrder()
        self._expirations = Expirations(self._sessions)
        self._connections: dict[int, Connection] = {}
        self.portions = Portions()
        self._sessions_shared = self.portions.new(
            "sessions", lambda: self._most(SESSIONS, 16), remedy="set more [limits] connections: 16 sessions for each"
        )
        self._trees_shared = self.portions.new(
            "tree connects",
            lambda: self._most(TREE_CONNECTS, 32),
            remedy="set more [limits] connections: 32 tree connects for each",
        )
        self.durable = DurableOpens(self.settings, self.portions)
        self._clock = clock
        self._news = News(clock, time_of_day, failed)
        self.settings.on_replaced = self._settings_replaced

    def _most(self, least: int, of_each: int) -> int:
        return max(least, of_each * self.settings.current.limits.connections)

    # --- connections ---

    def open_connection(self, connection: Connection) -> None:
        """A client has connected (MS-SMB2 3.3.5.1). ValueError for an id in use."""
        if self._connections.setdefault(connection.connection_id, connection) is not connection:
            raise ValueError(f"connection id {connection.connection_id} is in use")
        connection.opened_at = self._news.now_of_day()
        self._news.connection(events.ConnectionOpened, connection)
        self._news.deliver()

    def close_connection(self, connection_id: int, reason: Reason = Reason.DISCONNECTED, detail: str = "") -> None:
        """A connection is lost (MS-SMB2 3.3.7.1): sessions end for which it was the last channel. `detail` is why the
        Server has ended it, in words for people; "" if the client has."""
        left = AT_ONCE
        with self._news.whole():
            for session in self.connection_sessions(connection_id):
                if len(session.connection_ids) == 1:
                    number = len(session.opens)
                    self.close_session(session, reason, left)
                    left -= number if number <= left else 0
                else:
                    session.connection_ids = tuple(other for other in session.connection_ids if other != connection_id)
                    self._leave(session, connection_id)
                    self._show_first_channel(session)
                    self._news.session(events.SessionChanged, session)
            if self.endings.under_way:
                self.endings.begin(self._end_connection(connection_id, detail))
            elif (connection := self._connections.pop(connection_id, None)) is not None:
                self._news.connection(events.ConnectionClosed, connection, detail)

    def _end_connection(self, connection_id: int, detail: str) -> Iterator[None]:
        yield
        if (connection := self._connections.pop(connection_id, None)) is not None:
            self._news.connection(events.ConnectionClosed, connection, detail)

    def _show_first_channel(self, session: Session) -> None:
        """A session is listed with the client name of Session.Connection, its oldest channel (MS-SMB2 3.3.4.18)."""
        connection = self._connections.get(session.connection_id)
        if connection is not None and session.signing:
            session.signing = connection.signing
        if connection is not None and connection.address != session.address:
            self._by_names.drop(_names(session.client_name, session.user_name), session)
            session.address, session.client_name = connection.address, unc_client(connection.address)
            self._by_names.put(_names(session.client_name, session.user_name), session)

    def _leave(self, session: Session, connection_id: int) -> None:
        self._by_connection.drop(connection_id, session)

    # --- sessions ---

    def register_session(
        self,
        connection_id: int,
        session_id: int,
        client_name: str,
        user_name: str,
        *,
        now: float,
        domain: str = "",
        anonymous: bool = False,
        guest: bool = False,
        groups: frozenset[str] = frozenset(),
        address: str = "",
        transport: str = DIRECT_TCP,
        dialect: str = "",
        signing: str = "",
        encryption: str = "",
        created: float | None = None,
        expires_at: float | None = None,
    ) -> Session:
        """Add a session whose log-on has succeeded (MS-SRVS 3.1.6.2). `created` is the time of its first message.

        Raises LimitReached, after the event that the log-on was refused, and ValueError for an id in use.
        """
        if session_id in self._by_session_id:
            raise ValueError(f"session id {session_id:#x} is in use")
        session = Session(
            global_id=0,
            session_id=session_id,
            connection_ids=(connection_id,),
            client_name=unc_client(client_name),
            user_name="" if anonymous else user_name,
            creation_time=now if created is None else created,
            idle_time=now,
            domain=domain,
            anonymous=anonymous,
            guest=guest,
            groups=groups,
            expires_at=expires_at,
            address=address,
            transport=transport,
            dialect=dialect,
            signing=signing,
            encryption=encryption,
            begun_at=self._news.of_day(now if created is None else created),
            shares_as="" if anonymous or guest else intern(fold(user_name)),
        )
        self._make_room(session, now)
        self._sessions_shared.count(session.shares_as, 1)
        self._last_session = session.global_id = _next_id(self._last_session, self._sessions)
        self._sessions[session.global_id] = session
        self._by_session_id[session_id] = session
        self._by_connection.put(connection_id, session)
        self._by_names.put(_names(session.client_name, session.user_name), session)
        self.counters.sopens += 1
        self._order_of(session).put(session)
        self._expirations.watch(session)
        self._news.session(events.SessionOpened, session)
        self._news.deliver()
        return session

    def _make_room(self, session: Session, now: float) -> None:
        """The limits of sessions, for one that wants in."""
        limit: Limit | None = None
        if self.stopped:
            limit = Limit.STOPPED
        elif self.paused and not session.administrator:
            limit = Limit.PAUSED
        elif self._is_full(session.connection_id):
            limit = Limit.SESSIONS_PER_CONNECTION
        elif maximum := self.settings.current.max_sessions:
            # KB 122920: dropping those that autodisconnect would take frees their places. One administrator gets in
            # beyond the limit, so that somebody can end the others.
            if len(self._sessions) - self._ending >= maximum:
                self.expire(now)
            if len(self._sessions) - self._ending >= maximum + session.administrator:
                limit = Limit.SESSIONS
        if limit is None and not (session.administrator or self._sessions_shared.fits(session.shares_as)):
            self._sessions_shared.refuse(session.shares_as)
            limit = Limit.SESSIONS_PER_USER
        if limit is not None:
            reason = Reason.PAUSED if limit in (Limit.PAUSED, Limit.STOPPED) else Reason.LIMIT
            self._refuse(session.client_name, session.user_name, reason)
            raise LimitReached(limit)

    def _is_full(self, connection_id: int) -> bool:
        maximum = self.settings.current.limits.sessions_per_connection
        return 0 < maximum <= len(self._by_connection.get(connection_id))

    def refuse_logon(
        self, client_name: str, user_name: str, reason: Reason = Reason.CREDENTIALS, detail: str = ""
    ) -> None:
        """Count and report a log-on that failed (MS-SMB2 3.3.5.5.3). `detail` is for the log."""
        if reason is Reason.CREDENTIALS:
            self.counters.pwerrors += 1
        self._refuse(unc_client(client_name), user_name, reason, detail)

    def _refuse(self, client_name: str, user_name: str, reason: Reason, detail: str = "") -> None:
        self._news.post_plain(events.LogonRefused, client_name, user_name, reason, detail)
        self._news.deliver()

    def deny_access(self, session: Session | None, share: str, path: str = "") -> None:
        """Count that a session may not connect to a share, or not open a path of it, which is as the client named it
        (MS-SMB2 3.3.5.7 and 3.3.5.9), and report it. Without a session it is only counted."""
        self.counters.permerrors += 1
        if session is None:
            return
        self._news.post_plain(
            events.PermissionDenied,
            session.global_id,
            session.client_name,
            session.user_name,
            session.address,
            share,
            path,
        )
        self._news.deliver()

    def touch(self, session: Session, now: float) -> None:
        """A request came on it (MS-SMB2 3.3.5.2.8). O(1)."""
        if now > session.idle_time:
            session.idle_time = now
            if not session.opens and session.state is not State.CLOSED:
                self._order_of(session).put(session)

    def add_channel(self, session: Session, connection_id: int) -> None:
        """Bind one more connection to a session (MS-SMB2 3.3.5.5). It still lists once. Raises LimitReached."""
        _require_open(session)
        if connection_id in session.connection_ids:
            return
        if self._is_full(connection_id):
            raise LimitReached(Limit.SESSIONS_PER_CONNECTION)
        session.connection_ids += (connection_id,)
        self._by_connection.put(connection_id, session)
        self._news.session(events.SessionChanged, session)
        self._news.deliver()

    def change_rights(self, session: Session, groups: frozenset[str], *, guest: bool) -> bool:
        """What its account may do is otherwise: these groups, or a guest's rights. Whether that changed anything."""
        if (session.groups, session.guest) == (groups, guest):
            return False
        session.groups, session.guest = groups, guest
        if session.state is not State.CLOSED:
            self._news.session(events.SessionChanged, session)
            self._news.deliver()
        return True

    def expire_session(self, session: Session) -> None:
        """Its credentials have run out; it stays, with what it has open (MS-SMB2 3.3.6.3)."""
        if session.state is State.VALID:
            session.state = State.EXPIRED
            self.counters.stimedout += 1
            self._news.session(events.SessionExpired, session)
            self._news.deliver()

    def reauthenticate(
        self,
        session: Session,
        user_name: str,
        *,
        domain: str = "",
        groups: frozenset[str] = frozenset(),
        anonymous: bool = False,
        guest: bool = False,
        expires_at: float | None = None,
    ) -> None:
        """It has logged on again under its old id (MS-SMB2 3.3.5.5.2); what it has open stays, and so does its age."""
        _require_open(session)
        self._order_of(session).discard(session)
        session.state = State.VALID
        self._by_names.drop(_names(session.client_name, session.user_name), session)
        session.user_name = "" if anonymous else user_name
        self._by_names.put(_names(session.client_name, session.user_name), session)
        session.domain, session.groups = domain, groups
        session.anonymous, session.guest, session.expires_at = anonymous, guest, expires_at
        if not session.opens:
            self._order_of(session).put(session)
        self._expirations.watch(session)
        self._news.session_renewed(session)
        self._news.deliver()

    def close_session(self, session: Session, reason: Reason, most: int = AT_ONCE) -> None:
        """Server Application Requests Closing a Session (MS-SMB2 3.3.4.12): its opens, its tree connects, then itself.

        Its connections stay up. Closing it again does nothing. Its durable opens are preserved if that is a reason to.
        With more opens than `most` it ends in portions.
        """
        if session.state is State.CLOSED:
            return
        session.state = State.CLOSED
        self._sessions_shared.give_back(session.shares_as)
        self._order_of(session).discard(session)
        del self._by_session_id[session.session_id]
        for connection_id in session.connection_ids:
            self._leave(session, connection_id)
        self.counters.sopens -= 1
        if reason is Reason.IDLE:
            self.counters.stimedout += 1
        if session.opens or session.tree_connects or self._with_ending_trees:
            if len(session.opens) > most or session in self._with_ending_trees:
                self._begin_to_end(session, reason)
                return
            self._close_all_of(session, reason)
        del self._sessions[session.global_id]
        self._by_names.drop(_names(session.client_name, session.user_name), session)
        self._news.session_closed(session, reason)
        self._news.deliver()

    def _close_all_of(self, session: Session, reason: Reason) -> None:
        """Its opens and its tree connects, at once."""
        opens, session.opens = list(session.opens.values()), NOTHING
        trees, session.tree_connects = list(session.tree_connects.values()), NOTHING
        for opened in opens:
            self._leave_for_good(opened, reason)
        for tree in trees:
            self._give_back(tree)
            del self._tree_connects[tree.global_id]
        for opened in opens:
            self._say_ended(opened, reason)
        for tree in trees:
            self._news.tree_disconnected(tree, reason)

    def _begin_to_end(self, session: Session, reason: Reason) -> None:
        """It has ended; what it has is closed in portions."""
        self._ending += 1
        for tree in session.tree_connects.values():
            self._give_back(tree)
        self._news.session_ending(session, reason)
        self.endings.begin(self._end_session(session, reason))
        self._news.deliver()

    def _end_session(self, session: Session, reason: Reason) -> Iterator[None]:
        """Nobody opens anything in it any more, but others may close what is still open."""
        for opened in list(session.opens.values()):
            yield
            self._end_open(session, opened, reason)
        for tree in list(session.tree_connects.values()):
            yield
            session.tree_connects = without(session.tree_connects, tree.tree_id)
            del self._tree_connects[tree.global_id]
            self._news.tree_disconnected(tree, reason)
        self._ending -= 1
        del self._sessions[session.global_id]
        self._by_names.drop(_names(session.client_name, session.user_name), session)
        self._news.session_closed(session, reason)

    def _end_open(self, session: Session, opened: Open, reason: Reason) -> None:
        """One of what ends, unless it is gone by now."""
        if session.opens.get(opened.file_id) is not opened:
            return
        session.opens = without(session.opens, opened.file_id)
        self._leave_for_good(opened, reason)
        self._say_ended(opened, reason)

    def _leave_for_good(self, opened: Open, reason: Reason) -> None:
        """It is in its session no more, which ends for that reason."""
        if opened.outlives and reason in _PRESERVING:
            self._preserve(opened)
        else:
            self._forget_open(opened)

    def _say_ended(self, opened: Open, reason: Reason) -> None:
        if opened.preserved:
            self._news.file_preserved(opened)
        else:
            self._news.file_closed(opened, reason)

    def is_ending(self, session: Session) -> bool:
        """Whether it has ended, and not all that it had has been closed."""
        return session.state is State.CLOSED and self._sessions.get(session.global_id) is session

    def close_sessions(self, sessions: Iterable[Session], reason: Reason) -> None:
        """Close each of these sessions, for one reason."""
        left = AT_ONCE
        with self._news.whole():
            for session in list(sessions):
                number = len(session.opens)
                self.close_session(session, reason, left)
                left -= number if number <= left else 0

    def end_some(self, most: int) -> None:
        """Go on with what is being ended: close so many opens."""
        with self._news.whole():
            self.endings.go_on(most)

    # --- tree connects ---

    def register_tree_connect(self, session: Session, tree_id: int, share: Share, now: float) -> TreeConnect:
        """Add a session's use of a share (MS-SRVS 3.1.6.6). Raises LimitReached for a full share or session, and while
        the service is paused for who is no administrator."""
        _require_open(session)
        if self.paused and not session.administrator:
            raise LimitReached(Limit.PAUSED)
        if tree_id in session.tree_connects:
            raise ValueError(f"tree id {tree_id} is in use")
        if self._shares.get(fold(share.name)) is not share:
            raise ValueError(f"{share.name} is not shared")
        if 0 < self.settings.current.limits.tree_connects_per_session <= len(session.tree_connects):
            raise LimitReached(Limit.TREE_CONNECTS)
        if 0 < share.max_users <= share.current_uses:
            raise LimitReached(Limit.SHARE_USERS)
        if not self._trees_shared.take(session.shares_as):
            raise LimitReached(Limit.TREE_CONNECTS_PER_USER)
        self._last_tree_connect = _next_id(self._last_tree_connect, self._tree_connects)
        tree = TreeConnect(self._last_tree_connect, tree_id, session, share, now, self._news.of_day(now))
        self._tree_connects[tree.global_id] = tree
        session.tree_connects = with_one(session.tree_connects, tree_id, tree)
        share.current_uses += 1
        self._news.tree(events.TreeConnected, tree)
        self._news.deliver()
        return tree

    def close_tree_connect(self, tree: TreeConnect, reason: Reason = Reason.CLOSED) -> None:
        """End it with the opens made through it (MS-SMB2 3.3.5.8). Closing it again does nothing."""
        self._disconnect(tree, reason, AT_ONCE)

    def _disconnect(self, tree: TreeConnect, reason: Reason, most: int) -> int:
        """End it, and at once if it has no more opens than `most`; how many more could have been closed."""
        session = tree.session
        if not tree.is_connected:
            return most
        session.tree_connects = without(session.tree_connects, tree.tree_id)
        self._give_back(tree)
        number = tree.open_count
        if number > most:
            self._with_ending_trees[session] = self._with_ending_trees.get(session, 0) + 1
            self._news.tree_ending(tree, reason)
            self.endings.begin(self._end_tree(tree, reason))
            self._news.deliver()
            return most
        opens = [opened for opened in session.opens.values() if opened.tree_connect is tree] if number else []
        for opened in opens:
            self._remove_open(opened)
        del self._tree_connects[tree.global_id]
        for opened in opens:
            self._news.file_closed(opened, reason)
        self._news.tree_disconnected(tree, reason)
        self._news.deliver()
        return most - number

    def _end_tree(self, tree: TreeConnect, reason: Reason) -> Iterator[None]:
        """As `_end_session`."""
        session = tree.session
        for number, opened in enumerate(list(session.opens.values())):
            if not tree.open_count:
                break
            if opened.tree_connect is not tree:
                if number % _LOOKED_AT == 0:
                    yield
                continue
            yield
            if session.opens.get(opened.file_id) is opened:
                self._remove_open(opened)
                self._news.file_closed(opened, reason)
        yield
        self._with_ending_trees[session] -= 1
        if not self._with_ending_trees[session]:
            del self._with_ending_trees[session]
        del self._tree_connects[tree.global_id]
        self._news.tree_disconnected(tree, reason)

    def _give_back(self, tree: TreeConnect) -> None:
        """It counts for nobody any more."""
        self._trees_shared.give_back(tree.session.shares_as)
        tree.share.current_uses -= 1

    # --- opens ---

    def register_open(
        self, session: Session, tree: TreeConnect, file_id: int, path: str, granted_access: int, now: float
    ) -> Open:
        """Add a file, folder or pipe that a session has opened (MS-SRVS 3.1.6.4). Raises LimitReached.

        ValueError says that the session or its tree connect has ended meanwhile, or that the file id is in use.
        """
        _require_open(session)
        if session.tree_connects.get(tree.tree_id) is not tree:
            raise ValueError("the tree connect has ended")
        if file_id in session.opens:
            raise ValueError(f"file id {file_id:#x} is in use")
        if 0 < self.settings.current.limits.opens_per_session <= len(session.opens):
            raise LimitReached(Limit.OPENS)
        self._last_open = _next_id(self._last_open, self._opens)
        opened = Open(self._last_open, file_id, session, tree, path, granted_access, now, self._news.of_day(now))
        if not session.opens:
            self._order_of(session).discard(session)
        self._opens[opened.global_id] = opened
        session.opens = with_one(session.opens, file_id, opened)
        tree.open_count += 1
        self.counters.fopens += 1
        self._news.file(events.FileOpened, opened)
        self._news.deliver()
        return opened

    def set_locks(self, opened: Open, num_locks: int) -> None:
        """How many byte ranges of it are locked now (fi3_num_locks)."""
        more, opened.num_locks = num_locks - opened.num_locks, num_locks
        if more and self._is_open(opened):
            kind = events.FileLocked if more > 0 else events.FileUnlocked
            self._news.file(kind, opened, abs(more))
            self._news.deliver()

    def set_oplock(self, opened: Open, oplock: str, *, breaking: bool = False) -> None:
        """Which oplock its client has now: "", "level II", "exclusive" or "batch"."""
        before, opened.oplock, opened.breaking = opened.oplock, oplock, breaking
        if before != oplock and self._is_open(opened):
            if before:
                self._news.file(events.OplockBroken, opened, before)
            else:
                self._news.file(events.OplockGranted, opened)
            self._news.deliver()

    def set_lease(self, opened: Open, lease: str, key: bytes, *, breaking: bool = False) -> None:
        """What the lease that its client has for it allows now: "RWH", "RW", "RH", "R" or ""; `key` is the lease's."""
        before = opened.lease
        opened.lease, opened.lease_key, opened.breaking = lease, key if lease else b"", breaking
        if before != lease and self._is_open(opened):
            self._news.file(events.LeaseChanged, opened, before)
            self._news.deliver()

    def rename_open(self, opened: Open, path: str, by: Open) -> None:
        """What it has open is called otherwise now, renamed through the open `by`."""
        before, opened.path = opened.path, path
        if self._is_open(opened):
            self._news.file(events.FileRenamed, opened, before, by.global_id)
            self._news.deliver()

    def _is_open(self, opened: Open) -> bool:
        return self._opens.get(opened.global_id) is opened

    def close_open(self, opened: Open, reason: Reason = Reason.CLOSED) -> None:
        """Server Application Requests Closing an Open (MS-SMB2 3.3.4.17), preserved or not. Closing it again does
        nothing."""
        if self._is_open(opened):
            if opened.preserved:
                self._forget_open(opened)
            else:
                self._remove_open(opened)
            self._news.file_closed(opened, reason)
            self._news.deliver()

    def _remove_open(self, opened: Open) -> None:
        session = opened.session
        session.opens = without(session.opens, opened.file_id)
        self._forget_open(opened)
        if not session.opens and session.state is not State.CLOSED:
            self._order_of(session).put(session)

    def _forget_open(self, opened: Open) -> None:
        del self._opens[opened.global_id]
        if not opened.preserved:
            self._leave_session(opened)
        if opened.durable:
            self.durable.forget(opened)
        self.counters.fopens -= 1

    def _leave_session(self, opened: Open) -> None:
        """It counts no more on its tree connect, and what it has moved is kept by its session."""
        opened.tree_connect.open_count -= 1
        opened.session.bytes_read += opened.bytes_read
        opened.session.bytes_written += opened.bytes_written

    # --- opens that outlive their session ---

    def make_durable(self, opened: Open, owner: tuple[str, str], timeout: float) -> bool:
        """Have an open outlive its session by so many seconds (Open.IsDurable, MS-SMB2 3.3.5.9.6); `owner` is its user,
        by name and domain. It does as long as it is `reclaimable`, so it is told before its oplock or lease is. Whether
        there was room for one more."""
        return self._is_open(opened) and self.durable.add(opened, owner, timeout)

    def make_ordinary(self, opened: Open) -> None:
        """An open that is in a session goes with it after all."""
        if opened.durable and not opened.preserved and self._is_open(opened):
            self.durable.forget(opened)
            opened.durable = False

    def _preserve(self, opened: Open) -> None:
        self._leave_session(opened)
        self.durable.preserve(opened, self._clock())
        opened.expires_at = self._news.of_day(opened.kept_until)

    def reclaim_open(self, opened: Open, session: Session, tree: TreeConnect) -> None:
        """A preserved open is in a session again (MS-SMB2 3.3.5.9.7); it keeps its ids. Raises LimitReached.

        Whether the session may have it is for the caller to check. ValueError: it is not preserved (any more), the
        session or its tree connect has ended, or leads to another share.
        """
        _require_open(session)
        if not self.durable.is_preserved(opened):
            raise ValueError("the open is not preserved")
        if session.tree_connects.get(tree.tree_id) is not tree or tree.share is not opened.tree_connect.share:
            raise ValueError("the tree connect has ended, or leads to another share")
        if 0 < self.settings.current.limits.opens_per_session <= len(session.opens):
            raise LimitReached(Limit.OPENS)
        self.durable.reclaim(opened)
        opened.session, opened.tree_connect = session, tree
        if not session.opens:
            self._order_of(session).discard(session)
        session.opens = with_one(session.opens, opened.file_id, opened)
        tree.open_count += 1
        # What it has moved in other sessions is not this one's.
        session.bytes_read -= opened.bytes_read
        session.bytes_written -= opened.bytes_written
        self._news.file(events.FileReclaimed, opened)
        self._news.deliver()

    def _close_preserved(self, reason: Reason, share: Share | None = None) -> int:
        """Close the preserved opens of a share, or all; how many more could have been closed at once."""
        opens = self._preserved_of(share)
        if len(opens) > AT_ONCE:
            self.endings.begin(self._end_preserved(opens, reason))
            return 0
        for opened in opens:
            self.close_open(opened, reason)
        return AT_ONCE - len(opens)

    def _preserved_of(self, share: Share | None) -> list[Open]:
        return [each for each in self.durable.preserved if share is None or each.tree_connect.share is share]

    def _end_preserved(self, opens: list[Open], reason: Reason) -> Iterator[None]:
        for opened in opens:
            yield
            self.close_open(opened, reason)

    # --- shares ---

    def add_share(self, share: Share) -> None:
        """Share it from now on. ValueError if something is shared by that name already, in whatever case."""
        if self._shares.setdefault(fold(share.name), share) is not share:
            raise ValueError(f"{share.name} is shared already")
        self._news.share(events.ShareAdded, share)
        self._news.deliver()

    def change_share(
        self,
        share: Share,
        *,
        remark: str | None = None,
        max_users: int | None = None,
        encrypt_data: bool | None = None,
        temporary: bool = False,
    ) -> None:
        """Change what may be changed while it is in use. Those who are above a new limit of users stay.

        `temporary`: it is a share of this run of the service alone, from now on.
        """
        if remark is not None:
            share.remark = remark
        if max_users is not None:
            share.max_users = max_users
        if encrypt_data is not None:
            share.encrypt_data = encrypt_data
        if temporary:
            share.type |= STYPE_TEMPORARY
        self._news.share(events.ShareChanged, share)
        self._news.deliver()

    def change_access(
        self,
        share: Share,
        *,
        readers: frozenset[str] | None,
        writers: frozenset[str] | None,
        guest: Literal["", "read", "write"],
        hidden: bool,
        device_names: bool,
    ) -> None:
        """Who may use it and how it is seen are otherwise; nothing happens where they are not. Who has it open and may
        not any more is for the caller to look for."""
        before = share.readers, share.writers, share.guest, share.hidden, share.device_names
        if before == (readers, writers, guest, hidden, device_names):
            return
        share.readers, share.writers, share.guest = readers, writers, guest
        share.hidden, share.device_names = hidden, device_names
        self._news.share(events.ShareChanged, share)
        self._news.deliver()

    def mark_share(self, share: Share, problem: str) -> None:
        """Its folder cannot be used, and why; or can again ("").

        What is open there fails by itself while the folder is gone. Where a share has left its bounds, it is closed.
        """
        if share.problem == problem:
            return
        before, share.problem = share.problem, problem
        with self._news.whole():
            if problem and share.confined:
                self._close_tree_connects(share, Reason.SHARE_UNAVAILABLE)
            self._news.share(events.ShareAvailability, share, before)

    def remove_share(self, share: Share) -> None:
        """Stop sharing it: opens and tree connects on it end, the sessions stay. Removing it again does nothing."""
        if self._shares.get(fold(share.name)) is not share:
            return
        del self._shares[fold(share.name)]
        with self._news.whole():
            self._close_tree_connects(share, Reason.SHARE_DELETED)
            if self.endings.under_way:
                self.endings.begin(self._end_share(share))
            else:
                self._news.share_removed(share)

    def _end_share(self, share: Share) -> Iterator[None]:
        yield
        self._news.share_removed(share)

    def _close_tree_connects(self, share: Share, reason: Reason) -> None:
        left = self._close_preserved(reason, share)
        if share.current_uses:
            for tree in [tree for tree in self._tree_connects.values() if tree.share is share]:
                left = self._disconnect(tree, reason, left)
        if self.endings.under_way:
            self.endings.begin(self._end_preserved_since(share, reason))

    def _end_preserved_since(self, share: Share, reason: Reason) -> Iterator[None]:
        """Sessions that were being ended already have left more of it."""
        yield
        yield from self._end_preserved(self._preserved_of(share), reason)

    # --- looking ---

    def sessions(self) -> list[Session]:
        """All sessions, oldest first: the SessionList of MS-SRVS 3.1.1.1."""
        if not self._ending:
            return list(self._sessions.values())
        return [each for each in self._sessions.values() if each.state is not State.CLOSED]

    def tree_connects(self) -> list[TreeConnect]:
        """All tree connects, oldest first (MS-SRVS 3.1.1.1: ConnectionList)."""
        if not self.endings.under_way:
            return list(self._tree_connects.values())
        return [each for each in self._tree_connects.values() if each.is_connected]

    def opens(self) -> list[Open]:
        """All opens, oldest first (MS-SRVS 3.1.1.1: FileList)."""
        return list(self._opens.values())

    def shares(self) -> list[Share]:
        """All shares, in the order in which they were added."""
        return list(self._shares.values())

    def session_by_session_id(self, session_id: int) -> Session | None:
        """By the 64-bit id of the wire: GlobalSessionTable of MS-SMB2 3.3.1.5."""
        return self._by_session_id.get(session_id)

    def open_by_global_id(self, global_id: int) -> Open | None:
        """By the 32-bit id of the management calls; None if there is none."""
        return self._opens.get(global_id)

    def share_by_name(self, name: str) -> Share | None:
        """By its name in whatever case; None if nothing is shared by it."""
        return self._shares.get(fold(name))

    def connection_sessions(self, connection_id: int) -> list[Session]:
        """The sessions of one connection. Once autodisconnect has taken its last session, it is to end too."""
        return list(self._by_connection.get(connection_id))

    def channels_of(self, session: Session) -> list[Connection]:
        """The connections of a session, the oldest first."""
        return [self._connections[each] for each in session.connection_ids if each in self._connections]

    @property
    def connection_count(self) -> int:
        """How many connections have at least one session."""
        return len(self._by_connection)

    def select_sessions(self, client: str | None = None, user: str | None = None) -> list[Session]:
        """Sessions of this client and this user; None or "" means any (MS-SRVS 3.1.4.5). A user who is named exactly is
        meant alone, without others whose names differ in case.

        Where both are named, the time depends on how many are meant, and not on how many there are.
        """
        found = self._sessions_of(client, user)
        if self._ending:
            found = [each for each in found if each.state is not State.CLOSED]
        return prefer_exact_user(found, user, lambda session: session)

    def _sessions_of(self, client: str | None, user: str | None) -> list[Session]:
        """As `select_sessions`, but for users whose names differ in case: those are all meant. So are sessions that
        are being ended, as long as they have files open."""
        if client and user:
            return list(self._by_names.get(_names(client, user)))
        if not (client or user):
            return list(self._sessions.values())
        place, name = (0, fold_client(client)) if client else (2, fold(user or ""))
        found = [
            session
            for names, alike in self._by_names.items()
            if names.partition("\0")[place] == name
            for session in alike
        ]
        return sorted(found, key=lambda session: session.global_id)

    def select_opens(
        self, *, path: str | None = None, client: str | None = None, user: str | None = None, size: int
    ) -> Generator[None, None, list[Open]]:
        """Opens at or under a path (whole components), of this client and this user; None or "" means any. A user
        who is named exactly is meant alone. Preserved opens are no client's and no user's.

        A generator that yields after each `size` opens, so that others have their turn.
        """
        if not (path or client or user):
            return list(self._opens.values())
        wanted = path_components(path or "")
        sessions = set(self._sessions_of(client, user)) if client or user else None
        found = []
        for number, opened in enumerate(self.opens(), 1):
            is_theirs = sessions is None or (opened.session in sessions and not opened.preserved)
            if is_theirs and is_at_or_under(opened.path, wanted):
                found.append(opened)
            if number % size == 0:
                yield
        return prefer_exact_user(found, user, lambda opened: opened.session)

    # --- time ---

    def next_deadline(self) -> float | None:
        """When `expire` has something to do; None: never, as things stand. Ask again after anything has changed."""
        earliest = self._expirations.next()
        for deadline in (self._next_idle()[0], self._next_anonymous()[0], self.durable.next()):
            if deadline is not None and (earliest is None or deadline < earliest):
                earliest = deadline
        return earliest

    def expire(self, now: float) -> None:
        """End the sessions that have been idle for too long, mark those whose credentials have run out, and close what
        nobody has reclaimed in time."""
        with self._news.whole():
            for next_due in (self._next_idle, self._next_anonymous):
                while True:
                    deadline, session = next_due()
                    if session is None or deadline is None or deadline > now:
                        break
                    self.close_session(session, Reason.IDLE)
            while (expiration := self._expirations.next()) is not None and expiration <= now:
                self.expire_session(self._expirations.pop())
            for _ in range(UNCLAIMED_AT_ONCE):
                if (until := self.durable.next()) is None or until > now:
                    break
                self.close_open(self.durable.first(), Reason.UNCLAIMED)

    def _next_idle(self) -> tuple[float | None, Session | None]:
        return self._due(self._idle, idle_period)

    def _next_anonymous(self) -> tuple[float | None, Session | None]:
        return self._due(self._anonymous, anonymous_period)

    def _due(
        self, order: IdleOrder, period_of: Callable[[Configuration], float | None]
    ) -> tuple[float | None, Session | None]:
        """The first of an order to fall due, and when. Asked after every event: most often the order is empty."""
        if (session := order.first()) is None or (period := period_of(self.settings.current)) is None:
            return None, None
        return session.idle_time + period, session

    def _order_of(self, session: Session) -> IdleOrder:
        return self._anonymous if session.anonymous else self._idle

    # --- the service as a whole ---

    def start(self, start: int) -> None:
        """Start, or start again: statistics from zero (MS-SRVS 3.1.3). `start` is in seconds since 1970."""
        self.stopped, self.paused_by = False, None
        self._running = True
        self.counters.reset(start)
        self._news.post_plain(events.ServerStarted)
        self._news.deliver()

    def stop(self) -> None:
        """End every session, close what is preserved, and let no more in (MS-SRVS 3.1.6.12)."""
        self.stopped, self.paused_by = True, None
        was_running, self._running = self._running, False
        with self._news.whole():
            self.close_sessions(self._sessions.values(), Reason.STOPPED)
            self.endings.finish()  # what is lost just now is preserved by that
            self._close_preserved(Reason.STOPPED)
            self.endings.finish()
            if was_running:
                self._news.post_plain(events.ServerStopped)

    @property
    def paused(self) -> bool:
        """Whether newcomers are refused, administrators excepted."""
        return self.paused_by is not None

    def pause(self, client_name: str, user_name: str) -> bool:
        """Refuse newcomers from now on, administrators excepted. Who orders it is told as in `events.ServerPaused`.
        Whether that changed anything: not where it was paused already, or has stopped."""
        if self.paused or self.stopped:
            return False
        self.paused_by = client_name, user_name
        self._news.post_plain(events.ServerPaused, client_name, user_name)
        self._news.deliver()
        return True

    def continue_(self, client_name: str, user_name: str) -> bool:
        """Let newcomers in again. Whether it was paused until now."""
        if not self.paused:
            return False
        self.paused_by = None
        self._news.post_plain(events.ServerContinued, client_name, user_name)
        self._news.deliver()
        return True

    def _settings_replaced(self, before: Configuration) -> None:
        old, new = settings_as_text(before), settings_as_text(self.settings.current)
        for name, value in new.items():
            if old[name] != value:
                self._news.post_plain(events.SettingChanged, name, value, old[name])
        self._news.deliver()

    # --- the stream of events ---

    def attach(self, transport: Transport) -> None:
        """Have this transport told of what has ended, before all who subscribe."""
        self._news.transport = transport

    def subscribe(self, on_event: Listener, *kinds: type, name: str = "") -> Callable[[], None]:
        """Have `on_event` called with every event of these classes of `lanman.events`, or of all, from now on; call the
        result to hear no more. It may call the service. `name` is what a report of its errors calls it."""
        return self._news.subscribe(on_event, *kinds, name=name)

    @property
    def sequence(self) -> int:
        """The number of the last change."""
        return self._news.sequence

    def describe(self, size: int) -> Generator[None, None, events.ServerState]:
        """What there is, with the number of the last change that it is after. A generator that yields after each `size`
        records, so that others have their turn.

        What happens meanwhile is taken in: an object is described when its turn comes, and its events are applied to
        what is described already. So no step may be taken within a delivery, where some have heard of a change and
        others have not: RuntimeError.
        """
        self._news.require_quiet()
        state = events.ServerState()
        cancel = self.subscribe(state.apply, name="a state being described")
        try:
            state.running, state.paused_by = self._running, self.paused_by
            state.settings = settings_as_text(self.settings.current)
            for number, record in enumerate(self._records(), 1):
                state.put(record)
                if number % size == 0:
                    yield
                    self._news.require_quiet()
        finally:
            cancel()
        state.sequence = self.sequence
        return state

    def _records(self) -> Iterator[events.Record]:
        """The records of what there is at the first step and still is when its turn comes."""
        tables: tuple[tuple[Mapping[Any, Any], Callable[[Any], events.Record]], ...] = (
            (self._connections, connection_record),
            (self._sessions, self._news.session_record),
            (self._tree_connects, tree_record),
            (self._opens, file_record),
            (self._shares, share_record),
        )
        for table, keys, describe in [(table, list(table), describe) for table, describe in tables]:
            for key in keys:
                if (found := table.get(key)) is not None:
                    yield describe(found)


class _Groups(Generic[K]):
    """Sessions by something that they have in common. Most groups have one session, which stands for itself then."""

    __slots__ = ("_groups",)

    def __init__(self) -> None:
        self._groups: dict[K, Session | dict[int, Session]] = {}

    def __len__(self) -> int:
        """How many groups there are."""
        return len(self._groups)

    def get(self, key: K) -> Collection[Session]:
        """The sessions of a group, the oldest first; none if it is not there."""
        found = self._groups.get(key)
        if found is None:
            return ()
        return found.values() if isinstance(found, dict) else (found,)

    def items(self) -> Iterator[tuple[K, Collection[Session]]]:
        """All groups with their keys."""
        for key, found in self._groups.items():
            yield key, found.values() if isinstance(found, dict) else (found,)

    def put(self, key: K, session: Session) -> None:
        """Add a session to a group."""
        found = self._groups.setdefault(key, session)
        if isinstance(found, dict):
            found[session.global_id] = session
        elif found is not session:
            self._groups[key] = {found.global_id: found, session.global_id: session}

    def drop(self, key: K, session: Session) -> None:
        """Take a session out of a group."""
        found = self._groups[key]
        if isinstance(found, dict):
            del found[session.global_id]
        if found is session or not found:
            del self._groups[key]


def _names(client: str, user: str) -> str:
    """What management calls select sessions by, as it is compared. No name of a client has a NUL."""
    return f"{fold_client(client)}\0{fold(user)}"


def _require_open(session: Session) -> None:
    if session.state is State.CLOSED:
        raise ValueError("the session has ended")


def _next_id(last: int, alive: Container[int]) -> int:
    """The next unused id after `last`: 1 follows 0xFFFFFFFF."""
    while True:
        last = last + 1 if last < _LAST_ID else 1
        if last not in alive:
            return last
