"""The Server service: who is connected, to what, with which files open (MS-SRVS 3.1.1 and 3.1.6, MS-SMB2 3.3.4).

The rules, first:

* Every session, tree connect and open has a 32-bit id here that is never 0, only grows, and is not given again while
  its holder lives. These are the ids of the management calls; the wire's own are given by those who register.
* A session without opens is idle from its last request on. Autodisconnect takes it after its period, a null session
  goes after its own shorter one. A session with opens is never idle.
* Closing a session closes all it has, changes nothing else, and may be done twice. Its connections stay for their other
  sessions.
* All that happens is told to the listeners, once, in order, after it has happened.

No bytes, no status codes, no sockets and no clock: time is an argument and only goes forward.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterable
from enum import Enum
from heapq import heapify, heappop, heappush
from typing import Final

from lanman.domain.events import (
    Event,
    FileClosed,
    FileOpened,
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
from lanman.domain.idle import IdleOrder
from lanman.domain.nouns import (
    DIRECT_TCP,
    STYPE_TEMPORARY,
    Open,
    Session,
    Share,
    State,
    TreeConnect,
    fold_client,
    unc_name,
)
from lanman.domain.policy import Policy
from lanman.domain.statistics import Statistics
from lanman.names import fold

Listener = Callable[[Event], None]

_LAST_ID: Final = 0xFFFFFFFF


class Limit(Enum):
    """What there was no more room for."""

    SESSIONS = "sessions"
    SESSIONS_PER_CONNECTION = "sessions of this connection"
    TREE_CONNECTS = "tree connects of this session"
    OPENS = "open files of this session"
    SHARE_USERS = "users of this share"
    PAUSED = "new sessions while the server is paused"
    STOPPED = "sessions on a server that has stopped"


class LimitReached(Exception):
    """A registration was refused; nothing changed. `limit` says which rule refused it."""

    def __init__(self, limit: Limit) -> None:
        super().__init__(f"No room for more {limit.value}.")
        self.limit = limit


class ServerService:
    """The lists of sessions, tree connects, opens and shares, and the rules by which they change.

    `policy` may be changed at any time; what it says counts at once. `start` is when the service started, in seconds
    since 1970 (for the statistics alone).
    """

    def __init__(self, policy: Policy | None = None, *, start: int = 0) -> None:
        self.policy = policy or Policy()
        self.statistics = Statistics(start)
        self.paused = False
        self.stopped = False
        self._sessions: dict[int, Session] = {}
        self._by_session_id: dict[int, Session] = {}
        self._by_connection: dict[int, list[Session]] = {}
        self._by_names: dict[tuple[str, str], dict[int, Session]] = {}
        self._tree_connects: dict[int, TreeConnect] = {}
        self._opens: dict[int, Open] = {}
        self._shares: dict[str, Share] = {}
        self._last_session = self._last_tree_connect = self._last_open = 0
        self._idle = IdleOrder()
        self._anonymous = IdleOrder()
        self._expirations: list[tuple[float, int]] = []
        self._listeners: tuple[Listener, ...] = ()
        self._events: deque[Event] = deque()
        self._telling = False

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

        Raises LimitReached, having told the listeners that the log-on was refused, and ValueError for an id in use.
        """
        if session_id in self._by_session_id:
            raise ValueError(f"session id {session_id:#x} is in use")
        session = Session(
            global_id=0,
            session_id=session_id,
            connection_ids=(connection_id,),
            client_name=unc_name(client_name),
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
        )
        self._make_room(session, now)
        self._last_session = session.global_id = _next_id(self._last_session, self._sessions)
        self._sessions[session.global_id] = session
        self._by_session_id[session_id] = session
        self._by_connection.setdefault(connection_id, []).append(session)
        self._by_names.setdefault(_names(session), {})[session.global_id] = session
        self.statistics.sopens += 1
        self._order_of(session).put(session)
        self._watch_expiration(session)
        self._tell(SessionOpened(session))
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
        elif maximum := self.policy.max_sessions:
            # KB 122920: dropping those that autodisconnect would take frees their places. One administrator gets in
            # beyond the limit, so that somebody can end the others.
            if len(self._sessions) >= maximum:
                self.expire(now)
            if len(self._sessions) >= maximum + session.administrator:
                limit = Limit.SESSIONS
        if limit is not None:
            reason = Reason.PAUSED if limit in (Limit.PAUSED, Limit.STOPPED) else Reason.LIMIT
            self._tell(LogonRefused(session.client_name, session.user_name, reason))
            raise LimitReached(limit)

    def _is_full(self, connection_id: int) -> bool:
        maximum = self.policy.sessions_per_connection
        return 0 < maximum <= len(self._by_connection.get(connection_id, ()))

    def refuse_logon(
        self, client_name: str, user_name: str, reason: Reason = Reason.CREDENTIALS, detail: str = ""
    ) -> None:
        """Count and tell of a log-on that failed (MS-SMB2 3.3.5.5.3)."""
        if reason is Reason.CREDENTIALS:
            self.statistics.pwerrors += 1
        self._tell(LogonRefused(unc_name(client_name), user_name, reason, detail))

    def touch(self, session: Session, now: float) -> None:
        """A request came on it (MS-SMB2 3.3.5.2.8). O(1)."""
        if now > session.idle_time:
            session.idle_time = now
            if not session.opens and session.state is not State.CLOSED:
                self._order_of(session).put(session)

    def add_channel(self, session: Session, connection_id: int) -> None:
        """Bind one more connection to a session (MS-SMB2 3.3.5.5.2). It still lists once. Raises LimitReached."""
        _require_open(session)
        if connection_id in session.connection_ids:
            return
        if self._is_full(connection_id):
            raise LimitReached(Limit.SESSIONS_PER_CONNECTION)
        session.connection_ids += (connection_id,)
        self._by_connection.setdefault(connection_id, []).append(session)

    def expire_session(self, session: Session) -> None:
        """Its credentials have run out; it stays, with what it has open (MS-SMB2 3.3.6.2)."""
        if session.state is State.VALID:
            session.state = State.EXPIRED
            self.statistics.stimedout += 1
            self._tell(SessionExpired(session))

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
        self._forget_names(session)
        session.user_name = "" if anonymous else user_name
        self._by_names.setdefault(_names(session), {})[session.global_id] = session
        session.domain, session.groups = domain, groups
        session.anonymous, session.guest, session.expires_at = anonymous, guest, expires_at
        if not session.opens:
            self._order_of(session).put(session)
        self._watch_expiration(session)
        self._tell(SessionReauthenticated(session))

    def close_session(self, session: Session, reason: Reason) -> None:
        """Server Application Requests Closing a Session (MS-SMB2 3.3.4.12): its opens, its tree connects, then itself.

        Its connections are told by the event and stay up. Closing it again does nothing.
        """
        if session.state is State.CLOSED:
            return
        session.state = State.CLOSED
        self._order_of(session).discard(session)
        del self._sessions[session.global_id]
        del self._by_session_id[session.session_id]
        self._forget_names(session)
        for connection_id in session.connection_ids:
            self._leave(session, connection_id)
        self.statistics.sopens -= 1
        if reason is Reason.IDLE:
            self.statistics.stimedout += 1
        opens, session.opens = list(session.opens.values()), {}
        trees, session.tree_connects = list(session.tree_connects.values()), {}
        for opened in opens:
            self._forget_open(opened)
        for tree in trees:
            self._forget_tree_connect(tree)
        self._tell(
            *(FileClosed(opened, reason) for opened in opens),
            *(TreeDisconnected(tree, reason) for tree in trees),
            SessionClosed(session, reason),
        )

    def _forget_names(self, session: Session) -> None:
        alike = self._by_names[_names(session)]
        del alike[session.global_id]
        if not alike:
            del self._by_names[_names(session)]

    def close_sessions(self, sessions: Iterable[Session], reason: Reason) -> None:
        for session in list(sessions):
            self.close_session(session, reason)

    def close_connection(self, connection_id: int, reason: Reason = Reason.DISCONNECTED) -> None:
        """A connection is lost (MS-SMB2 3.3.7.1): sessions end for which it was the last channel."""
        for session in self.connection_sessions(connection_id):
            if len(session.connection_ids) == 1:
                self.close_session(session, reason)
            else:
                session.connection_ids = tuple(other for other in session.connection_ids if other != connection_id)
                self._leave(session, connection_id)

    def _leave(self, session: Session, connection_id: int) -> None:
        sessions = self._by_connection[connection_id]
        sessions.remove(session)
        if not sessions:
            del self._by_connection[connection_id]

    # --- tree connects ---

    def register_tree_connect(self, session: Session, tree_id: int, share: Share, now: float) -> TreeConnect:
        """Add a session's use of a share (MS-SRVS 3.1.6.6). Raises LimitReached for a full share or session."""
        _require_open(session)
        if tree_id in session.tree_connects:
            raise ValueError(f"tree id {tree_id} is in use")
        if self._shares.get(fold(share.name)) is not share:
            raise ValueError(f"{share.name} is not shared")
        if 0 < self.policy.tree_connects_per_session <= len(session.tree_connects):
            raise LimitReached(Limit.TREE_CONNECTS)
        if 0 < share.max_users <= share.current_uses:
            raise LimitReached(Limit.SHARE_USERS)
        self._last_tree_connect = _next_id(self._last_tree_connect, self._tree_connects)
        tree = TreeConnect(self._last_tree_connect, tree_id, session, share, now)
        self._tree_connects[tree.global_id] = session.tree_connects[tree_id] = tree
        share.current_uses += 1
        self._tell(TreeConnected(tree))
        return tree

    def close_tree_connect(self, tree: TreeConnect, reason: Reason = Reason.CLOSED) -> None:
        """End it with the opens made through it (MS-SMB2 3.3.5.8). Closing it again does nothing."""
        session = tree.session
        if session.tree_connects.get(tree.tree_id) is not tree:
            return
        del session.tree_connects[tree.tree_id]
        opens = [opened for opened in session.opens.values() if opened.tree_connect is tree]
        for opened in opens:
            self._remove_open(opened)
        self._forget_tree_connect(tree)
        self._tell(*(FileClosed(opened, reason) for opened in opens), TreeDisconnected(tree, reason))

    def _forget_tree_connect(self, tree: TreeConnect) -> None:
        del self._tree_connects[tree.global_id]
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
        if 0 < self.policy.opens_per_session <= len(session.opens):
            raise LimitReached(Limit.OPENS)
        self._last_open = _next_id(self._last_open, self._opens)
        opened = Open(self._last_open, file_id, session, tree, path, granted_access, now)
        if not session.opens:
            self._order_of(session).discard(session)
        self._opens[opened.global_id] = session.opens[file_id] = opened
        tree.open_count += 1
        self.statistics.fopens += 1
        self._tell(FileOpened(opened))
        return opened

    def set_locks(self, opened: Open, num_locks: int) -> None:
        """How many byte ranges of it are locked now (fi3_num_locks)."""
        opened.num_locks = num_locks

    def close_open(self, opened: Open, reason: Reason = Reason.CLOSED) -> None:
        """Server Application Requests Closing an Open (MS-SMB2 3.3.4.17). Closing it again does nothing."""
        if opened.session.opens.get(opened.file_id) is opened:
            self._remove_open(opened)
            self._tell(FileClosed(opened, reason))

    def _remove_open(self, opened: Open) -> None:
        session = opened.session
        del session.opens[opened.file_id]
        self._forget_open(opened)
        if not session.opens:
            self._order_of(session).put(session)

    def _forget_open(self, opened: Open) -> None:
        del self._opens[opened.global_id]
        opened.tree_connect.open_count -= 1
        self.statistics.fopens -= 1

    # --- shares ---

    def add_share(self, share: Share) -> None:
        """Share it from now on. ValueError if something is shared by that name already, in whatever case."""
        if self._shares.setdefault(fold(share.name), share) is not share:
            raise ValueError(f"{share.name} is shared already")
        self._tell(ShareAdded(share))

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
        self._tell(ShareChanged(share))

    def mark_share(self, share: Share, problem: str) -> None:
        """Its folder cannot be used, and why; or can again ("").

        What is open there fails by itself while the folder is gone. Where a share has left its bounds, it is closed.
        """
        if share.problem == problem:
            return
        before, share.problem = share.problem, problem
        if problem and share.confined:
            self._close_tree_connects(share, Reason.SHARE_UNAVAILABLE)
        self._tell(ShareAvailability(share, before))

    def remove_share(self, share: Share) -> None:
        """Stop sharing it: opens and tree connects on it end, the sessions stay. Removing it again does nothing."""
        if self._shares.get(fold(share.name)) is not share:
            return
        del self._shares[fold(share.name)]
        self._close_tree_connects(share, Reason.SHARE_DELETED)
        self._tell(ShareRemoved(share))

    def _close_tree_connects(self, share: Share, reason: Reason) -> None:
        if share.current_uses:
            for tree in [tree for tree in self._tree_connects.values() if tree.share is share]:
                self.close_tree_connect(tree, reason)

    # --- looking ---

    def sessions(self) -> list[Session]:
        """All sessions, oldest first: the SessionList of MS-SRVS 3.1.1.1."""
        return list(self._sessions.values())

    def tree_connects(self) -> list[TreeConnect]:
        return list(self._tree_connects.values())

    def opens(self) -> list[Open]:
        return list(self._opens.values())

    def shares(self) -> list[Share]:
        return list(self._shares.values())

    def session_by_global_id(self, global_id: int) -> Session | None:
        return self._sessions.get(global_id)

    def session_by_session_id(self, session_id: int) -> Session | None:
        """By the 64-bit id of the wire: GlobalSessionTable of MS-SMB2 3.3.1.5."""
        return self._by_session_id.get(session_id)

    def tree_connect_by_global_id(self, global_id: int) -> TreeConnect | None:
        return self._tree_connects.get(global_id)

    def open_by_global_id(self, global_id: int) -> Open | None:
        return self._opens.get(global_id)

    def share_by_name(self, name: str) -> Share | None:
        return self._shares.get(fold(name))

    def connection_sessions(self, connection_id: int) -> list[Session]:
        """The sessions of one connection. After SessionClosed for being idle, an empty list tells to end it too."""
        return list(self._by_connection.get(connection_id, ()))

    @property
    def connection_count(self) -> int:
        """How many connections have at least one session."""
        return len(self._by_connection)

    def select_sessions(self, client: str | None = None, user: str | None = None) -> list[Session]:
        """Sessions of this client and this user; None or "" means any (MS-SRVS 3.1.4.5). A user who is named exactly is
        meant alone, without others whose names differ in case.

        Where both are named, the time depends on how many are meant, and not on how many there are.
        """
        if not client and not user:
            return list(self._sessions.values())
        if client and user:
            found = list(self._by_names.get((fold_client(client), fold(user)), {}).values())
        else:
            found = [session for session in self._sessions.values() if matches(session, client, user)]
        return ([session for session in found if session.user_name == user] if user else []) or found

    def select_opens(
        self, *, path: str | None = None, client: str | None = None, user: str | None = None
    ) -> list[Open]:
        """Opens at or under a path (whole components), of this client and this user; None or "" means any. A user
        who is named exactly is meant alone."""
        if not (path or client or user):
            return list(self._opens.values())
        wanted = _components(path or "")
        found = [
            opened
            for opened in self._opens.values()
            if matches(opened.session, client, user) and _components(opened.path)[: len(wanted)] == wanted
        ]
        return ([opened for opened in found if opened.session.user_name == user] if user else []) or found

    # --- time ---

    def next_deadline(self) -> float | None:
        """When `expire` has something to do; None: never, as things stand. Ask again after anything has changed."""
        deadlines = [time for time, _ in (self._next_idle(), self._next_anonymous()) if time is not None]
        if (expiration := self._next_expiration()) is not None:
            deadlines.append(expiration)
        return min(deadlines, default=None)

    def expire(self, now: float) -> None:
        """End the sessions that have been idle for too long, and mark those whose credentials have run out."""
        for next_due in (self._next_idle, self._next_anonymous):
            while True:
                deadline, session = next_due()
                if session is None or deadline is None or deadline > now:
                    break
                self.close_session(session, Reason.IDLE)
        while (expiration := self._next_expiration()) is not None and expiration <= now:
            _, global_id = heappop(self._expirations)
            self.expire_session(self._sessions[global_id])

    def _next_idle(self) -> tuple[float | None, Session | None]:
        return _due(self._idle, self.policy.idle_period())

    def _next_anonymous(self) -> tuple[float | None, Session | None]:
        return _due(self._anonymous, self.policy.anonymous_period())

    def _next_expiration(self) -> float | None:
        """The earliest time at which a valid session's credentials run out; forgets entries that no longer hold."""
        while self._expirations:
            time, global_id = self._expirations[0]
            session = self._sessions.get(global_id)
            if session is not None and session.state is State.VALID and session.expires_at == time:
                return time
            heappop(self._expirations)
        return None

    def _watch_expiration(self, session: Session) -> None:
        if session.expires_at is None:
            return
        heappush(self._expirations, (session.expires_at, session.global_id))
        if len(self._expirations) > 2 * len(self._sessions) + 64:  # mostly of sessions that are gone
            self._expirations = [(s.expires_at, i) for i, s in self._sessions.items() if s.expires_at is not None]
            heapify(self._expirations)

    def _order_of(self, session: Session) -> IdleOrder:
        return self._anonymous if session.anonymous else self._idle

    # --- the service as a whole ---

    def start(self, start: int) -> None:
        """Start, or start again: statistics from zero (MS-SRVS 3.1.3). `start` is in seconds since 1970."""
        self.stopped = self.paused = False
        self.statistics.reset(start)

    def stop(self) -> None:
        """End every session and let no more in (MS-SRVS 3.1.6.12)."""
        self.stopped = True
        self.close_sessions(self._sessions.values(), Reason.STOPPED)

    # --- the stream of events ---

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Hear every event from now on; call the result to hear no more. A listener may call the service."""
        self._listeners += (listener,)

        def unsubscribe() -> None:
            self._listeners = tuple(other for other in self._listeners if other is not listener)

        return unsubscribe

    def _tell(self, *events: Event) -> None:
        """Tell every listener, in order.

        What a listener causes is told after what it was told, so that all hear the same order. An error of one does not
        keep the news from the others; it comes out at the end.
        """
        if not self._listeners:
            return
        self._events += events
        if self._telling:
            return
        self._telling = True
        errors: list[Exception] = []
        try:
            while self._events:
                event = self._events.popleft()
                for listener in self._listeners:
                    try:
                        listener(event)
                    except Exception as error:  # noqa: BLE001 - raised below, when all have heard
                        errors.append(error)
        finally:
            self._telling = False
        if errors:
            raise ExceptionGroup("listeners of the Server service failed", errors)


def matches(session: Session, client: str | None, user: str | None) -> bool:
    """Whether a session is of this client and this user; None or "" means any."""
    return (not client or fold_client(session.client_name) == fold_client(client)) and (
        not user or fold(session.user_name) == fold(user)
    )


def _names(session: Session) -> tuple[str, str]:
    """What `matches` compares."""
    return fold_client(session.client_name), fold(session.user_name)


def _require_open(session: Session) -> None:
    if session.state is State.CLOSED:
        raise ValueError("the session has ended")


def _next_id(last: int, alive: Container[int]) -> int:
    """The next id after `last` that nobody has: 1 follows 0xFFFFFFFF."""
    while True:
        last = last + 1 if last < _LAST_ID else 1
        if last not in alive:
            return last


def _due(order: IdleOrder, period: float | None) -> tuple[float | None, Session | None]:
    """The first of an order to fall due, and when."""
    if period is None or (session := order.first()) is None:
        return None, None
    return session.idle_time + period, session


def _components(path: str) -> list[str]:
    r"""A path as it is compared: `/srv/data` is `/SRV\Data\`. What begins with `\` is a pipe, not a file."""
    if not path:
        return []
    return [path[0], *(part for part in fold(path).replace("\\", "/").split("/") if part)]
