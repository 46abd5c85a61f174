"""What a handler answers, and what it waits for.

A handler returns its `Reply`, or it is a generator that yields what has to happen first and returns its `Reply` then:

    ReadFile(...)     any Effect: I/O. What comes of it is the value of the `yield`; a failure is raised there as a
                      StatusError, which the generator may catch and which is the answer where it does not.
    Wait(waiter)      until somebody calls `waiter.wake(value)`; `value` is that of the `yield`
    Until(at)         until that time
    None              until others have had their turn
    Detached(work)    until another generator has come to its end, which it does even if this one is closed

    def handle_read(context: Context, message: ReadRequest) -> Outcome:
        ...
        data = yield ReadFile(open.handle, message.offset, message.length)
        return Reply(message=ReadResponse(data))

Handlers touch no disk and no clock. An effect names the I/O with all that it needs; floor 3 performs it in a bounded
pool, or at once where that waits for nothing (`Scheduler.at_once`). When a generator goes on, when it is closed and
what it may do then is told in `scheduler`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from enum import Enum
from typing import Any, Final, Generic, TypeAlias, TypeVar

from lanman import codes
from lanman.auth.acceptor import Acceptor, Step
from lanman.auth.accounts import Accounts
from lanman.plain import dataclass
from lanman.smb2.messages import Message, NetworkInterfaceInfo

T = TypeVar("T")


class Effect(Generic[T]):
    """I/O that a handler wants done; T is what comes of it."""

    __slots__ = ()


class Later(Enum):
    """LATER: an effect cannot be performed at once, since it waits for something, or might."""

    LATER = "later"


LATER: Final = Later.LATER


@dataclass(frozen=True, slots=True)
class ReadAccounts(Effect[Accounts]):
    """The accounts as their file has them now."""


@dataclass(frozen=True, slots=True)
class StepLogon(Effect[Step]):
    """The next round trip of a log-on whose mechanism may take long; `wall` is the time in seconds since 1970."""

    acceptor: Acceptor
    token: bytes
    wall: float


@dataclass(frozen=True, slots=True)
class ListInterfaces(Effect[Sequence[NetworkInterfaceInfo]]):
    """The addresses by which clients reach the Server, those of the fastest interfaces first."""


class Waiter(Generic[T]):
    """Where one generator waits and another part of the Server wakes it, once.

    It may be woken before anybody waits: then `Wait` goes on at once. Who keeps a Waiter in a list takes it out when
    the wait is over, however it ends: the generator does so by try/finally.
    """

    __slots__ = ("error", "on_woken", "value", "woken")

    def __init__(self) -> None:
        self.woken = False
        self.value: T | None = None
        self.error: Exception | None = None
        self.on_woken: Callable[[], None] | None = None  # the scheduler's

    def wake(self, value: T) -> None:
        """Have the generator go on with this value, in a step of its own. Waking it again changes nothing."""
        if not self.woken:
            self.value = value
            self._woken()

    def fail(self, error: Exception) -> None:
        """As `wake`, but the error is raised in it."""
        if not self.woken:
            self.error = error
            self._woken()

    def _woken(self) -> None:
        self.woken = True
        on_woken, self.on_woken = self.on_woken, None
        if on_woken is not None:
            on_woken()


@dataclass(frozen=True, slots=True)
class Wait(Generic[T]):
    """Wait until another part of the Server has the answer: a pipe without a message, a lock that is held.

    The client of a request is told STATUS_PENDING at once and may cancel it. `deferred`: it is told only if the wait
    takes longer than was to be expected. `cancellable` False: it cannot cancel it either, as it cannot cancel I/O.
    """

    waiter: Waiter[T]
    cancellable: bool = True
    deferred: bool = False


@dataclass(frozen=True, slots=True)
class Until:
    """Wait for a time of the Server's clock, in seconds."""

    at: float


@dataclass(frozen=True, slots=True)
class Detached:
    """Run another generator to its end, whatever becomes of this one. What it returns is the value of the `yield`, and
    what it raises is raised there."""

    work: Work[Any]


@dataclass(slots=True)
class Reply:
    """The answer. Without a message, an ERROR response with that status; an id that is not 0 replaces the request's."""

    status: int = codes.STATUS_SUCCESS
    message: Message | None = None
    session_id: int = 0
    tree_id: int = 0


Yielded: TypeAlias = "Effect[Any] | Wait[Any] | Until | Detached | None"

R = TypeVar("R")

Work: TypeAlias = Generator[Yielded, Any, R]
"""What yields the above and returns an R in the end."""

Outcome: TypeAlias = Reply | Work[Reply]
"""What a handler returns."""
