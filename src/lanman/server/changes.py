"""Management calls that change what outlives the Server: each waits for the disk, and they take turns.

Such a call is a generator. It yields the effects that it wants performed, one after the other, gets what came of them,
and returns its answer; an effect that fails is raised in it as a StatusError.

    def work(self) -> Work[Response]:
        path = yield FindFolder(...)
        yield KeepShare(...)
        self._service.add_share(...)
        return Response(...)

Only one of them is under way at a time, whoever made it, so that none finds things otherwise than it has just checked;
and it comes to its end whatever becomes of its caller. What is in force and what is kept are therefore always the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from lanman import codes
from lanman.domain import Share
from lanman.server.effects import Detached, Effect, Wait, Waiter, Work

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class FindFolder(Effect[str]):
    """The path of a folder that is to be shared, as it is to be kept.

    With `roots`, it is the real path, without links, and lies in one of them, or the effect fails with ACCESS_DENIED,
    whether or not there is such a folder. Without, the path is only looked at. OBJECT_PATH_NOT_FOUND: it is no folder.
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
    """The calls that wait for their turn, and whether one is under way."""

    def __init__(self) -> None:
        self._waiting: deque[Waiter[None]] = deque()
        self._under_way = False

    def alone(self, work: Work[R]) -> Work[R]:
        """Do it when no other change is under way, to its end, though whoever asked for it may have gone meanwhile."""
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
"""What a caller hears when the disk does not take a change; it is in the Server's log why."""
