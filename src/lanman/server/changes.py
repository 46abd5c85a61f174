"""Management calls that change what outlives the Server: each waits for the disk, and one runs at a time.

Such a call is a generator. It yields effects one after the other, is given their results, and returns its answer; an
effect that fails is raised in it as a StatusError.

    def work(self) -> Work[Response]:
        path = yield FindFolder(...)
        yield KeepShare(...)
        self._service.add_share(...)
        return Response(...)

No other change runs between two steps of one, so that what it has checked still holds when it acts; and it is finished
even if its caller has disconnected. Therefore what is in force and what is kept are always the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from lanman import codes
from lanman.domain import Share
from lanman.plain import dataclass
from lanman.server.effects import Detached, Effect, Wait, Waiter, Work

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class FindFolder(Effect[str]):
    """The path of a folder that is to be shared, as it is to be kept.

    With `roots`, it is the real path, without links, and lies in one of them; otherwise the effect fails with
    STATUS_ACCESS_DENIED, whether or not there is such a folder. With None, any folder will do, and the path stays as it
    is. STATUS_OBJECT_PATH_NOT_FOUND: it is not a folder.
    """

    path: str
    roots: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class KeepSettings(Effect[None]):
    """Keep these settings, by name, beyond the Server's end."""

    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class KeepShare(Effect[None]):
    """Keep a share as it is here; None: keep that it is no more."""

    name: str
    share: Share | None


class Changes:
    """The queue of changes: those that wait for their turn, and whether one is running."""

    def __init__(self) -> None:
        self._waiting: deque[Waiter[None]] = deque()
        self._under_way = False

    def alone(self, work: Work[R]) -> Work[R]:
        """Run a change when no other is running, to its end even if its caller disconnects; its answer."""
        result: R = yield Detached(self._in_turn(work))
        return result

    def _in_turn(self, work: Work[R]) -> Work[R]:
        if self._under_way:
            turn: Waiter[None] = Waiter()
            self._waiting.append(turn)
            yield Wait(turn)
        self._under_way = True
        try:
            return (yield from work)
        finally:
            self._under_way = bool(self._waiting)
            if self._waiting:
                self._waiting.popleft().wake(None)


KEEPING_FAILED: Final = codes.ERROR_GEN_FAILURE
"""The answer to a change that could not be kept on the disk; the Server's log says why."""
