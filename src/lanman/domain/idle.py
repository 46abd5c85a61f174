"""Sessions in the order in which they fall due: for being idle, and because their credentials run out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from heapq import heapify, heappop, heappush

from lanman.domain.nouns import Session, State


class IdleOrder:
    """Sessions by `idle_time`. Touching one is a move to the end, O(1), because time only goes forward.

    The exception is a session that has been idle for long and comes in late, since someone else closed its last open:
    it is put at the end as well, and the whole is sorted once when it is next asked for.
    """

    __slots__ = ("_latest", "_order", "_unsorted")

    def __init__(self) -> None:
        self._order: OrderedDict[Session, None] = OrderedDict()
        self._latest = float("-inf")
        self._unsorted = False

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, session: object) -> bool:
        return session in self._order

    def put(self, session: Session) -> None:
        """Add a session, or move it to where its `idle_time` says."""
        self._order[session] = None
        self._order.move_to_end(session)
        if session.idle_time < self._latest:
            self._unsorted = True
        else:
            self._latest = session.idle_time

    def discard(self, session: Session) -> None:
        """Remove a session, if it is there."""
        self._order.pop(session, None)
        if not self._order:
            self._latest = float("-inf")
            self._unsorted = False

    def first(self) -> Session | None:
        """The least recently active session."""
        if self._unsorted:
            self._order = OrderedDict.fromkeys(sorted(self._order, key=lambda session: session.idle_time))
            self._unsorted = False
        for session in self._order:
            return session
        return None


class Expirations:
    """When the credentials of sessions run out. `sessions` are those that live, by global id.

    An entry is forgotten when its time comes, or when most entries are of sessions that are gone.
    """

    def __init__(self, sessions: Mapping[int, Session]) -> None:
        self._sessions = sessions
        self._heap: list[tuple[float, int]] = []

    def __len__(self) -> int:
        """How many entries are kept."""
        return len(self._heap)

    def watch(self, session: Session) -> None:
        """Take in a session, or one whose credentials now run out at another time; nothing if they never do."""
        if session.expires_at is None:
            return
        heappush(self._heap, (session.expires_at, session.global_id))
        if len(self._heap) > 2 * len(self._sessions) + 64:
            self._heap = [(s.expires_at, i) for i, s in self._sessions.items() if s.expires_at is not None]
            heapify(self._heap)

    def next(self) -> float | None:
        """The earliest time at which a valid session's credentials run out."""
        while self._heap:
            time, global_id = self._heap[0]
            session = self._sessions.get(global_id)
            if session is not None and session.state is State.VALID and session.expires_at == time:
                return time
            heappop(self._heap)
        return None

    def pop(self) -> Session:
        """The session that `next` spoke of."""
        return self._sessions[heappop(self._heap)[1]]
