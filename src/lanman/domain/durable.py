"""Durable opens: which there are, how many each user has, and until when those are kept that are in no session."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush

from lanman.domain.nouns import Open
from lanman.domain.portions import Portions
from lanman.names import fold
from lanman.settings import RunningSettings


class DurableOpens:
    """All opens that their clients may reclaim after their sessions (Open.IsDurable), preserved or not.

    Those that are preserved are in a heap by the time at which they are closed if nobody has come for them. An entry is
    forgotten when its time comes, or when most entries are of opens that have been reclaimed or closed.
    """

    def __init__(self, settings: RunningSettings, portions: Portions) -> None:
        self._settings = settings
        self._portion = portions.new(
            "files that clients may reclaim",
            lambda: settings.current.limits.durable_opens,
            lambda: settings.current.limits.durable_opens_per_user,
            "set more in [limits]: durable_opens for all, durable_opens_per_user for each",
        )
        self._preserved: dict[int, Open] = {}
        self._heap: list[tuple[float, int]] = []

    def __len__(self) -> int:
        """How many there are, in sessions and preserved."""
        return self._portion.taken

    @property
    def preserved(self) -> Iterator[Open]:
        """Those that are in no session, the longest kept first."""
        return iter(list(self._preserved.values()))

    @property
    def any_preserved(self) -> bool:
        """Whether there are any of those."""
        return bool(self._preserved)

    def is_preserved(self, opened: Open) -> bool:
        """Whether an open is one of those."""
        return self._preserved.get(opened.global_id) is opened

    def add(self, opened: Open, owner: tuple[str, str], timeout: float) -> bool:
        """Make an open durable. Whether there was room for one more."""
        if opened.durable:
            return True
        limits = self._settings.current.limits
        if not (limits.durable_opens and limits.durable_opens_per_user):
            return False  # it is turned off: nobody has wanted more than others leave
        if not self._portion.take(_user(owner)):
            return False
        opened.durable, opened.owner, opened.durable_timeout = True, owner, timeout
        return True

    def forget(self, opened: Open) -> None:
        """A durable open is closed, or is to be durable no longer."""
        self._preserved.pop(opened.global_id, None)
        self._portion.give_back(_user(opened.owner))

    def preserve(self, opened: Open, now: float) -> None:
        """A durable open is in no session from now on."""
        opened.preserved = True
        opened.kept_until = now + opened.durable_timeout
        self._preserved[opened.global_id] = opened
        heappush(self._heap, (opened.kept_until, opened.global_id))
        if len(self._heap) > 2 * len(self._preserved) + 64:
            self._heap = [(each.kept_until, number) for number, each in self._preserved.items()]
            heapify(self._heap)

    def reclaim(self, opened: Open) -> None:
        """A preserved open is in a session again."""
        del self._preserved[opened.global_id]
        opened.preserved = False

    def next(self) -> float | None:
        """The earliest time at which a preserved open is to be closed."""
        while self._heap:
            time, global_id = self._heap[0]
            opened = self._preserved.get(global_id)
            if opened is not None and opened.kept_until == time:
                return time
            heappop(self._heap)
        return None

    def first(self) -> Open:
        """The open that `next` spoke of."""
        return self._preserved[self._heap[0][1]]


def _user(owner: tuple[str, str]) -> str:
    """By what key the owner of an open takes a part of what is shared out: as `Session.shares_as`. Guests and null
    sessions own none."""
    return fold(owner[0])
