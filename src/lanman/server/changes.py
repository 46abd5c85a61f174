"""Management calls that change what outlives the Server: each waits for the disk, and they take turns.

Such a call is a generator. It yields the effects that it wants performed, one after the other, gets what came of them,
and returns its answer; an effect that fails is raised in it as `EffectFailed`.

    def work(self) -> Work[Response]:
        path = yield FindFolder(...)
        yield KeepShare(...)
        self._service.add_share(...)
        return Response(...)

Only one of them is under way at a time, whoever made it, so that none finds things otherwise than it has just checked.
What is in force and what is kept are therefore always the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from lanman import codes
from lanman.domain import Share
from lanman.server.effects import Effect

R = TypeVar("R")

Work = Generator[Effect[Any], Any, R]


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
    """Keep these members of ServerConfiguration beyond the Server's end."""

    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class KeepShare(Effect[None]):
    """Keep a share as it is here; None: keep that it is no more."""

    name: str
    share: Share | None


class EffectFailed(Exception):
    """An effect could not be performed; `status` is an NTSTATUS."""

    def __init__(self, status: int) -> None:
        super().__init__(codes.ntstatus_name(status))
        self.status = status


class Deferred(Generic[R]):
    """An answer that is still to come. `then` says who is to have it, and when it came."""

    __slots__ = ("_answers", "_then")

    def __init__(self) -> None:
        self._answers: list[tuple[R, float]] = []
        self._then: Callable[[R, float], None] | None = None

    def then(self, callback: Callable[[R, float], None]) -> None:
        self._then = callback
        for answer, now in self._answers:
            callback(answer, now)

    def come(self, answer: R, now: float) -> None:
        """This is the answer."""
        self._answers.append((answer, now))
        if self._then is not None:
            self._then(answer, now)

    def at_once(self) -> R | Deferred[R]:
        """The answer, if it has come already, or else this."""
        return self._answers[0][0] if self._answers else self


Perform = Callable[[Effect[Any], Callable[[Any, int, float], None]], None]
"""Has an effect performed. Then its result and STATUS_SUCCESS are told, or None and why not; and the time."""


@dataclass(slots=True, eq=False)
class _Turn:
    work: Work[Any]
    deferred: Deferred[Any]


@dataclass(slots=True)
class Changes:
    """The calls that wait for their turn, and the one whose turn it is.

    `perform` is the shell's to set. Until it is, nothing is kept and there are no folders.
    """

    perform: Perform | None = None
    _waiting: deque[_Turn] = field(default_factory=deque)
    _current: _Turn | None = None

    def run(self, work: Work[R], now: float) -> R | Deferred[R]:
        """Do it when its turn comes; the answer, if that is at once. What `work` raises ends it, and comes out here."""
        turn = _Turn(work, Deferred[R]())
        self._waiting.append(turn)
        self._advance(now)
        return turn.deferred.at_once()

    def _advance(self, now: float) -> None:
        while self._current is None and self._waiting:
            self._current = self._waiting.popleft()
            self._step(lambda work: next(work), now)

    def _step(self, go_on: Callable[[Work[Any]], Effect[Any]], now: float) -> None:
        """Go on with the current one, up to its next effect or its end."""
        turn = self._current
        assert turn is not None
        try:
            effect = go_on(turn.work)
        except StopIteration as end:
            self._current = None
            turn.deferred.come(end.value, now)
            return
        except BaseException:
            self._current = None
            raise
        (self.perform or _without_a_disk(now))(effect, self._performed)

    def _performed(self, result: Any, status: int, now: float) -> None:
        try:
            if status == codes.STATUS_SUCCESS:
                self._step(lambda work: work.send(result), now)
            else:
                self._step(lambda work: work.throw(EffectFailed(status)), now)
        finally:
            self._advance(now)


def _without_a_disk(now: float) -> Perform:
    def perform(effect: Effect[Any], then: Callable[[Any, int, float], None]) -> None:
        then(None, codes.STATUS_NOT_SUPPORTED if isinstance(effect, FindFolder) else codes.STATUS_SUCCESS, now)

    return perform


KEEPING_FAILED: Final = codes.ERROR_GEN_FAILURE
"""What a caller hears when the disk does not take a change; it is in the Server's log why."""
