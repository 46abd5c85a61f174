"""Sessions in the order in which they fall due, the least recently active first."""

from __future__ import annotations

from collections import OrderedDict

from lanman.domain.nouns import Session


class IdleOrder:
    """Sessions by `idle_time`. Touching one is a move to the end, O(1), because time only goes forward.

    The exception is a session that has been idle for long and comes in late, since someone else closed its last open:
    it is put at the end as well, and the order is mended once when it is next asked for.
    """

    __slots__ = ("_latest", "_mend", "_order")

    def __init__(self) -> None:
        self._order: OrderedDict[Session, None] = OrderedDict()
        self._latest = float("-inf")
        self._mend = False

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, session: object) -> bool:
        return session in self._order

    def put(self, session: Session) -> None:
        """Add a session, or move it to where its `idle_time` says."""
        self._order[session] = None
        self._order.move_to_end(session)
        if session.idle_time < self._latest:
            self._mend = True
        else:
            self._latest = session.idle_time

    def discard(self, session: Session) -> None:
        self._order.pop(session, None)
        if not self._order:
            self._latest = float("-inf")
            self._mend = False

    def first(self) -> Session | None:
        """The least recently active session."""
        if self._mend:
            self._order = OrderedDict.fromkeys(sorted(self._order, key=lambda session: session.idle_time))
            self._mend = False
        return next(iter(self._order), None)
