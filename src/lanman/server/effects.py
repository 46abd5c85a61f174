"""What a handler may return: an answer, or what has to happen before there can be one.

    Reply       the answer
    Perform     I/O first, then go on: the effect says what, `then` takes its result
    Later       a moment first, then go on
    Park        somebody else will have the answer, or know how to go on: a pipe that has yet to speak, a held lock

Handlers touch no disk and no clock, and never wait. An effect names the I/O with all that it needs; floor 3 performs
it in a bounded pool and feeds the result back, and dispatch goes on where the handler left off. The order of replies
in a compound, cancellation and STATUS_PENDING are dispatch's business alone.

    def handle_read(context: Context, message: ReadRequest) -> Outcome:
        ...
        return Perform(ReadFile(open.handle, message.offset, message.length), lambda data, now: Reply(message=...))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from lanman import codes
from lanman.auth.acceptor import Acceptor, Step
from lanman.auth.accounts import Accounts
from lanman.smb2.messages import Message

T = TypeVar("T")


class Effect(Generic[T]):
    """I/O that a handler wants done; T is what comes of it."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class ReadAccounts(Effect[Accounts]):
    """The accounts as their file has them now."""


@dataclass(frozen=True, slots=True)
class StepLogon(Effect[Step]):
    """The next leg of a log-on whose mechanism may take long; `wall` is the time in seconds since 1970."""

    acceptor: Acceptor
    token: bytes
    wall: float


@dataclass(slots=True)
class Reply:
    """The answer. Without a message, an ERROR response with that status; an id that is not 0 replaces the request's."""

    status: int = codes.STATUS_SUCCESS
    message: Message | None = None
    session_id: int = 0
    tree_id: int = 0


@dataclass(slots=True)
class Perform(Generic[T]):
    """Perform the effect, then go on with its result. Failure is an NTSTATUS: the answer, unless `failed` takes it."""

    effect: Effect[T]
    then: Callable[[T, float], Outcome]
    failed: Callable[[int, float], Outcome] | None = None


@dataclass(slots=True)
class Later:
    """Go on at that time."""

    at: float
    then: Callable[[float], Outcome]


@dataclass(slots=True)
class Park:
    """Whoever `start` is told of this request goes on with it by `resume`; `cancel` makes them forget it.

    Its client is told at once that it waits and may cancel it, unless it is `brief`, as I/O is. `soon`: it may cancel
    it, and is told when it takes longer than was to be expected.
    """

    start: Callable[[Callable[[Outcome, float], None]], None]
    cancel: Callable[[], None]
    brief: bool = False
    soon: bool = False


Outcome = Reply | Perform[Any] | Later | Park
