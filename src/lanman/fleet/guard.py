"""How often a password may be tried before it is known to be right: a sweep must not lock an account.

One Guard counts for a whole sweep, wherever its servers are asked. Its rules:

  - Until a log-on with a credential has succeeded, no more than `limit` of them are under way or came to nothing: each
    could be the wrong password that locks the account. Who is beyond that waits; log-ons are short.
  - A success shows that the password is right: then nobody waits any more.
  - A wrong password takes that away again, until the next success. `limit` of them in all, or one answer that the
    account is locked, stop the use of the credential for good.
  - So a password that is wrong from the beginning is sent to `limit` servers and never to another. One that becomes
    wrong meanwhile is sent to those, too, whose log-on is under way when the first of them says so.
  - A sweep that is resumed goes on counting, as long as the password is the same.
  - A log-on that sent something to judge the password by and never got an answer counts as a wrong one until a success
    comes.
  - A log-on that is counted goes out when it is kept that it does: a sweep that is killed has not forgotten it.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import field
from enum import StrEnum
from typing import Final, Protocol

from lanman import codes
from lanman.errors import AuthenticationError, LanmanError
from lanman.fleet.values import FleetOutcome, Result
from lanman.plain import dataclass

DEFAULT_LIMIT: Final = 3


class Proof(StrEnum):
    """What a log-on showed of its password."""

    RIGHT = "right"
    WRONG = "wrong"
    LOCKED = "locked"
    UNKNOWN = "unknown"
    """It was sent, and no answer came."""
    UNSENT = "unsent"
    """Nothing was sent, or what was refused was not the password."""


class State(StrEnum):
    """How a credential may be used."""

    BOUND = "bound"
    """One log-on at a time is asked for."""
    FREE = "free"
    STOPPED = "stopped"


@dataclass(slots=True)
class _Known:
    is_right: bool = False
    wrong: int = 0
    unknown: int = 0
    out: int = 0
    stopped: str | None = None

    @property
    def state(self) -> State:
        """How the credential may be used."""
        if self.stopped is not None:
            return State.STOPPED
        return State.FREE if self.is_right else State.BOUND


class CredentialStopped(AuthenticationError):
    """The use of a credential was stopped before this server was asked."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(
            f"not asked: the credential {name!r} is not used any more: {why}",
            code=codes.ERROR_CANCELLED,
            hint="correct the password, see that the account is not locked, and --resume the sweep; with the same "
            "password, a larger --logon-failures",
        )


class Guard:
    """What is known of each credential, by its name. It counts, and never waits."""

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self.limit = limit
        self._known: dict[str, _Known] = {}

    def _of(self, name: str) -> _Known:
        return self._known.setdefault(name, _Known())

    def state(self, name: str) -> State:
        """How the credential may be used now."""
        return self._of(name).state

    def why_stopped(self, name: str) -> str:
        """Why its use was stopped; "" where it was not."""
        return self._of(name).stopped or ""

    def stopped(self) -> dict[str, str]:
        """The credentials whose use was stopped, and why."""
        return {name: known.stopped for name, known in self._known.items() if known.stopped is not None}

    def carry(self, name: str, wrong: int, unknown: int) -> None:
        """Go on with what an earlier run of the sweep has counted with this password. A log-on that had no answer when
        that run ended counts as wrong as well: it may have been."""
        known = self._of(name)
        known.wrong, known.unknown = wrong, unknown
        if known.wrong + known.unknown >= self.limit:
            known.stopped = _why(known)

    def counted(self) -> dict[str, tuple[int, int]]:
        """For each credential how many log-ons were wrong, and how many had no answer, or none yet. From any thread."""
        return {name: (known.wrong, known.unknown + known.out) for name, known in list(self._known.items())}

    def borrow(self, name: str, wanted: int = 1) -> int:
        """Up to so many log-ons that may go out before it is known whether the password is right; 0 for none now.

        Each has to be settled, as `counted`. A credential that is free needs none.
        """
        known = self._of(name)
        if known.stopped is not None:
            return 0
        given = max(0, min(wanted, self.limit - known.wrong - known.unknown - known.out))
        known.out += given
        return given

    def settle(self, name: str, proof: Proof, *, counted: bool) -> bool:
        """What a log-on showed. Whether the state has changed, or there is room for one who waits."""
        known = self._of(name)
        before = known.state
        if counted:
            known.out -= 1
        if proof is Proof.RIGHT:
            known.is_right, known.unknown = True, 0
        elif proof is Proof.WRONG:
            known.is_right = False
            known.wrong += 1
        elif proof is Proof.LOCKED:
            known.stopped = known.stopped or "its account is locked"
        elif proof is Proof.UNKNOWN and not known.is_right:
            known.unknown += 1
        if known.stopped is None and not known.is_right and known.wrong + known.unknown >= self.limit:
            known.stopped = _why(known)
        return counted or known.state is not before


def _why(known: _Known) -> str:
    wrong = f"{known.wrong} times the user name or the password was wrong" if known.wrong else ""
    unknown = f"{known.unknown} times no answer came to it before it had ever succeeded" if known.unknown else ""
    return " and ".join(part for part in (wrong, unknown) if part)


class Gate(Protocol):
    """Where a visit asks before it logs on."""

    async def admit(self, name: str) -> bool:
        """Wait until a log-on with the credential may go out; whether it is `counted`. Raises CredentialStopped."""

    def settle(self, name: str, proof: Proof, *, counted: bool) -> None:
        """Say what became of it, once for each that was admitted."""


@dataclass(slots=True)
class _Waiting:
    futures: deque[asyncio.Future[bool]] = field(default_factory=deque)


class GuardGate:
    """The gate of the process that has the Guard. `keep` begins to keep what is counted, for a sweep that goes on."""

    def __init__(self, guard: Guard, *, keep: Callable[[], Future[None]] | None = None) -> None:
        self.guard = guard
        self._keep = keep
        self._changed: Callable[[str], None] | None = None
        self._waiting: dict[str, _Waiting] = {}

    def on_change(self, changed: Callable[[str], None]) -> None:
        """Have `changed` called with the name of each credential whose state has changed."""
        self._changed = changed

    async def admit(self, name: str) -> bool:
        """See `Gate.admit`. Who waits is let in in the order of asking."""
        counted = await self._turn(name)
        if counted:
            try:
                await self.kept()
            except LanmanError as error:
                self.settle(name, Proof.UNSENT, counted=True)
                raise CredentialStopped(name, f"it cannot be kept how often it was tried: {error.message}") from error
            except BaseException:
                self.settle(name, Proof.UNSENT, counted=True)
                raise
        return counted

    async def kept(self) -> None:
        """Wait until what is counted is on the disk, where it is kept. Raises LanmanError. Others wait for the same:
        who is cancelled leaves it under way."""
        if self._keep is not None:
            await asyncio.shield(asyncio.wrap_future(self._keep()))

    async def _turn(self, name: str) -> bool:
        waiting = self._waiting.get(name)
        if waiting is None or not waiting.futures:
            state = self.guard.state(name)
            if state is State.FREE:
                return False
            if state is State.STOPPED:
                raise CredentialStopped(name, self.guard.why_stopped(name))
            if self.guard.borrow(name):
                return True
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(name, _Waiting()).futures.append(future)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None and future.result():
                self.settle(name, Proof.UNSENT, counted=True)
            raise

    def settle(self, name: str, proof: Proof, *, counted: bool) -> None:
        """See `Gate.settle`."""
        before = self.guard.state(name)
        has_changed = self.guard.settle(name, proof, counted=counted)
        if self._keep is not None and (counted or proof in (Proof.WRONG, Proof.UNKNOWN)):
            self._keep()
        if has_changed:
            self._let_in(name)
        if self._changed is not None and self.guard.state(name) is not before:
            self._changed(name)

    def _let_in(self, name: str) -> None:
        waiting = self._waiting.get(name)
        while waiting is not None and waiting.futures:
            future = waiting.futures[0]
            if not future.done():
                state = self.guard.state(name)
                if state is State.STOPPED:
                    future.set_exception(CredentialStopped(name, self.guard.why_stopped(name)))
                elif state is State.FREE:
                    future.set_result(False)
                elif self.guard.borrow(name):
                    future.set_result(True)
                else:
                    return
            waiting.futures.popleft()
        self._waiting.pop(name, None)


class OutOfAllowance(CredentialStopped):
    """What a chunk may try of a credential is used up."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "its allowance is used up")


class AllowanceGate:
    """The gate of a chunk, far from the Guard: so many log-ons of each credential until one has succeeded.

    A wrong password takes back what a success has given. `proofs` has all that was shown, for the Guard.
    """

    def __init__(self, allowances: Mapping[str, int | None]) -> None:
        self._left = dict(allowances)
        self._out: Counter[str] = Counter()
        self._settled = asyncio.Event()
        self.proofs: dict[str, list[tuple[Proof, bool]]] = {}

    async def admit(self, name: str) -> bool:
        """See `Gate.admit`. Raises OutOfAllowance where nothing can let it in any more."""
        while (left := self._left.get(name, 0)) is not None:
            if left > 0:
                self._left[name] = left - 1
                self._out[name] += 1
                return True
            if not self._out[name]:
                raise OutOfAllowance(name)
            self._settled = asyncio.Event() if self._settled.is_set() else self._settled
            await self._settled.wait()
        return False

    def settle(self, name: str, proof: Proof, *, counted: bool) -> None:
        """See `Gate.settle`."""
        self.proofs.setdefault(name, []).append((proof, counted))
        self._out[name] -= counted
        left = self._left.get(name, 0)
        if proof is Proof.RIGHT:
            self._left[name] = None
        elif proof is Proof.LOCKED or (proof is Proof.WRONG and left is None):
            self._left[name] = 0
        elif proof is Proof.UNSENT and counted and left is not None:
            self._left[name] = left + 1
        self._settled.set()

    @staticmethod
    def is_exhausted(outcome: FleetOutcome) -> bool:
        """Whether a target was not asked for want of an allowance."""
        return outcome.result is Result.CANCELLED and outcome.code == codes.ERROR_CANCELLED


_WRONG: Final = frozenset({codes.ERROR_LOGON_FAILURE, codes.ERROR_WRONG_PASSWORD})


def proof_of(error: LanmanError | None, *, was_sent: bool) -> Proof:
    """What the end of a log-on shows of its password; `was_sent`: something had left to judge it by."""
    if error is None:
        return Proof.RIGHT
    if isinstance(error, AuthenticationError):
        if error.code == codes.ERROR_ACCOUNT_LOCKED_OUT:
            return Proof.LOCKED
        return Proof.WRONG if error.code in _WRONG else Proof.UNSENT
    return Proof.UNKNOWN if was_sent else Proof.UNSENT
