"""What runs when: generators that wait, and connections that take turns.

**What runs.** Everything that may have to wait is a generator of `effects.Work`: the handler of a request, which
`requests` keeps with its chain, and a `Task`, which belongs to no request: a management call, a look at the accounts,
the closing of a file. Both are run here alike; they differ in who gives them their turn.

**States.** A generator is

    running      between two yields. Nothing else runs then: there is one thread, and steps never nest.
    waiting      it has yielded an effect, a Waiter or a time, and is held by a `Suspension` until that comes
    queued       what it waited for has come, and the step in which it goes on has yet to be taken
    over         it has returned or raised, or has been closed

and it leaves `waiting` in exactly one of three ways:

* *Its effect is performed* (`completed`, `failed`). It goes on at once, in that very call: what has come may be a file
  that somebody has to own, and a queued step may be dropped. An effect that waits for nothing is performed where it is
  yielded (`at_once`), and the generator goes on without having waited; that costs as much as a step.
* *It is woken, or its time has come.* It becomes queued. A request goes on in a step of its connection, a task in the
  next turn of the event loop.
* *It is cancelled*, because its client says so, or what it is about has ended: the open, the session, the connection.
  It is closed at once, wherever it waits, and so is one whose queued step is dropped. Its `finally` blocks give back
  what it holds. An effect under way is abandoned (`abandoned`); if it is performed all the same, `completed` says False
  and the shell undoes it. It is over when the shell says so (`ended`), and not before. A task that is cancelled by
  what it does itself is closed at its next yield.

**What may be called from where.** The shell calls `completed`, `failed`, `expire`, `run` and what a connection has for
it from the event loop alone, never from within another call. Generators, and the listeners of the domain's events, may
wake waiters, set timers, start tasks, perform effects detached and end connections. Within a step, a piece of a task,
an effect's result or a timer that runs nothing else: what it leads to is queued, and `run` does nothing. Only what the
shell itself ends, by telling the domain, has its turns at once. A `finally` block may do all of this; it may not yield,
since the one that closes it does not wait.

**Errors.** StatusError is an answer: the one of the request whose generator lets it through. Any other exception is an
error of ours. It ends the connection whose step it came out of, and no other (`Lane.fail`); out of a task it ends that
task. Either way the shell is told (`on_error`), and it says so in the log.

**Turns.** Work is done in steps that do little, in turns of a few steps (`TURN`). Whom connections work for take turns
(`Lane.party`: a user, or the network of those on which nobody has logged on), and among the connections of one party
those take turns; so whoever has five hundred of them has no more turns than whoever has one. Parties, and connections
of one party, that have just got something to do alternate with those that have more to do than one turn. `run` ends
when `BUDGET` is spent. The shell then lets others have the loop, calls `refill` and `run` again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any, Final, Generic, Protocol, TypeVar

from lanman.errors import StatusError
from lanman.server.effects import LATER, Detached, Effect, Until, Wait, Waiter, Work, Yielded
from lanman.server.timers import Timer, Timers

R = TypeVar("R")

# What one `run` may cost, and one connection's turn in it. A step costs 1, and 1 more for every 64 KiB it signs,
# verifies, encrypts or decrypts: 20 to 50 microseconds.
BUDGET: Final = 64
_HALF: Final = BUDGET // 2
TURN: Final = 8


class Lane(Protocol):
    """What takes turns: a connection. `party` is whom it works for."""

    party: str

    @property
    def has_work(self) -> bool:
        """Whether a turn would do something."""

    def turn(self, now: float, most: int) -> int:
        """Do steps until they have cost `most`; what they have cost."""

    def fail(self, error: Exception) -> None:
        """An error of ours has come out of its turn."""


class Suspension(ABC):
    """A generator that waits, held until it goes on or is closed. `on` is what it waits for."""

    __slots__ = ("on",)

    def __init__(self) -> None:
        self.on: int | Timer | Waiter[Any] | None = None

    @property
    @abstractmethod
    def source(self) -> int | None:
        """The id of the connection whose request it is; None: it is no request's."""

    @abstractmethod
    def resume(self, value: Any, error: Exception | None) -> None:
        """It has been woken, or its time has come: queue it, to go on with the value or by raising the error."""

    @abstractmethod
    def completed(self, value: Any, error: Exception | None) -> None:
        """Its effect is performed: go on at once, with the value or by raising the error."""

    def due(self, now: float) -> None:
        """Its time has come."""
        self.resume(now, None)


def raise_in(work: Work[Any], error: Exception) -> Yielded:
    """Raise an error in a generator, which goes on up to its next yield. Raises what it raises or returns by."""
    try:
        return work.throw(error)
    finally:
        error.__traceback__ = None  # it holds the frames that hold the error: neither would be freed


class Task(Suspension, Generic[R]):
    """A generator that is no request's. Its first piece has run when `Scheduler.start` returns.

    `done` is told what it has returned; `failed` what else it has raised. Each later piece is a call of `around`, which
    is given it and may leave it undone: then the task does not go on any more, and is to be cancelled. `yielded` is
    what it waits for.
    """

    __slots__ = ("_around", "_done", "_failed", "_running", "_scheduler", "_work", "over", "yielded")

    def __init__(
        self,
        scheduler: Scheduler,
        work: Work[R],
        done: Callable[[R], None] | None,
        failed: Callable[[Exception], None],
        around: Callable[[Callable[[], None]], None] | None,
    ) -> None:
        super().__init__()
        self._scheduler = scheduler
        self._work = work
        self._done = done
        self._failed = failed
        self._around = around
        self._running = False
        self.over = False
        self.yielded: Yielded = None

    @property
    def source(self) -> None:
        """It is no connection's."""

    @property
    def waits_for_turn(self) -> bool:
        """Whether what it waits for is a matter of moments: its turn, or what is told of only when it takes long."""
        return not self.over and (self.yielded is None or (isinstance(self.yielded, Wait) and self.yielded.deferred))

    def step(self, value: Any, error: Exception | None) -> None:
        """Go on up to the next yield or the end. Raises what the generator raises."""
        if self.over:
            return
        self._running = True
        try:
            self.yielded = self._work.send(value) if error is None else raise_in(self._work, error)
            while isinstance(self.yielded, Effect) and not self.over:
                if (result := self._scheduler.at_once(self.yielded)) is LATER:
                    break
                self._scheduler.spend(1)
                self.yielded = self._work.send(result)
        except StopIteration as end:
            self._end()
            if self._done is not None:
                self._done(end.value)
            return
        except BaseException:
            self._end()
            raise
        finally:
            self._running = False
        if self.over:
            self._work.close()  # it has been cancelled by what it did itself
            return
        try:
            self._scheduler.suspend(self, self.yielded)
        except TypeError:
            self._end()
            self._work.close()
            raise

    def _end(self) -> None:
        self.over = True
        self._around = None

    def resume(self, value: Any, error: Exception | None) -> None:
        """In the next turn of the event loop."""
        self.on = self._scheduler.timers.at(self._scheduler.now, lambda now: self.completed(value, error))

    def due(self, now: float) -> None:
        """Go on: it has a turn of its own already."""
        self.completed(now, None)

    def completed(self, value: Any, error: Exception | None) -> None:
        """Go on at once."""
        self.on = None
        try:
            if self._around is None:
                self.step(value, error)
            else:
                self._around(lambda: self.step(value, error))
        except Exception as raised:  # noqa: BLE001 - whatever it is, it costs this task and no other
            self._failed(raised)

    def cancel(self) -> None:
        """Close it. What it waits for is abandoned."""
        if not self.over:
            self._end()
            self._scheduler.withdraw(self)
            if not self._running:
                self._work.close()


class _Party:
    """Several connections of one party that wait: those that have had no turn yet, and those that have more to do."""

    __slots__ = ("_next_left", "fresh", "left")

    def __init__(self, first: Lane) -> None:
        self.fresh: OrderedDict[Lane, None] = OrderedDict()
        self.left: OrderedDict[Lane, None] = OrderedDict({first: None})
        self._next_left = True

    def take(self) -> Lane:
        """Whose turn it is, of either kind in turn; there is one."""
        queue = self.left if (self._next_left and self.left) or not self.fresh else self.fresh
        self._next_left = queue is self.fresh
        return queue.popitem(last=False)[0]

    def drop(self, lane: Lane) -> None:
        """It does not wait any more."""
        self.fresh.pop(lane, None)
        self.left.pop(lane, None)

    def __bool__(self) -> bool:
        return bool(self.fresh or self.left)


class _Turns:
    """Connections that wait for a turn. All of it takes the same however many there are.

    `waiting` has all of them, with the party that each waits in, since it may have another one meanwhile. It is looked
    at from outside, which is cheaper than a call. A party is in one of the orders, that of those which had nothing to
    do before or that of the others; most parties have one connection, which stands for itself.
    """

    __slots__ = ("_fresh", "_left", "_next_left", "waiting")

    def __init__(self) -> None:
        self.waiting: dict[Lane, str] = {}
        self._fresh: OrderedDict[str, Lane | _Party] = OrderedDict()
        self._left: OrderedDict[str, Lane | _Party] = OrderedDict()
        self._next_left = False

    def put(self, lane: Lane, *, more: bool = False) -> None:
        """It waits from now on; `more`: it has had a turn, and has more to do."""
        party = self.waiting[lane] = lane.party
        order = self._left if party in self._left else self._fresh
        found = order.get(party)
        if found is None:
            (self._left if more else self._fresh)[party] = lane
            return
        if not isinstance(found, _Party):
            found = order[party] = _Party(found)
        (found.left if more else found.fresh)[lane] = None

    def take(self) -> Lane:
        """Whose turn it is, which waits no more; its party comes behind the others. There is one."""
        order = self._left if (self._next_left and self._left) or not self._fresh else self._fresh
        self._next_left = order is self._fresh
        party, found = order.popitem(last=False)
        if isinstance(found, _Party):
            lane = found.take()
            if found:
                self._left[party] = found
        else:
            lane = found
        del self.waiting[lane]
        return lane

    def drop(self, lane: Lane) -> None:
        """It does not wait any more."""
        party = self.waiting.pop(lane, None)
        if party is None:
            return
        order = self._left if party in self._left else self._fresh
        found = order[party]
        if isinstance(found, _Party):
            found.drop(lane)
        if found is lane or not found:
            del order[party]


class _EndOfTask(Waiter[R]):
    """What is woken when a task is over, which runs on if nobody waits for that."""

    __slots__ = ()


def _later(effect: Effect[Any]) -> Any:
    return LATER


def _ignoring(effect: Effect[Any]) -> Work[None]:
    with suppress(StatusError):
        yield effect


class Scheduler:
    """What one Server's generators wait for, and whose turn it is. `now` is the time that the shell has told last;
    `at_once`, the shell's, performs an effect that waits for nothing and gives its result, or LATER."""

    def __init__(self, on_error: Callable[[Exception], None] | None = None) -> None:
        self.now = 0.0
        self.timers = Timers()
        self.at_once: Callable[[Effect[Any]], Any] = _later
        self._on_error = on_error
        self._tickets = count(1)
        self._performing: dict[int, Suspension] = {}
        self.unperformed: list[tuple[int, Effect[Any]]] = []  # for `effects`
        self.unwanted: list[int] = []  # for `abandoned`
        self._outliving: dict[int, Callable[[], None]] = {}  # abandoned, and not known to be over
        self._turns = _Turns()
        self._running = False
        self._budget = BUDGET

    # --- what the shell calls ---

    def completed(self, ticket: int, result: Any, now: float) -> bool:
        """An effect has been performed, with this result. False: it is not waited for any more, so undo it."""
        return self._finish(ticket, result, None, now)

    def failed(self, ticket: int, status: int, now: float) -> None:
        """An effect could not be performed; `status` is an NTSTATUS."""
        self._finish(ticket, None, status, now)

    def ended(self, ticket: int, now: float) -> None:
        """An effect that was abandoned is not under way any more: it was performed all the same, or never will be."""
        self.now = now
        if (ended := self._outliving.pop(ticket, None)) is not None:
            ended()

    def effects(self) -> list[tuple[int, Effect[Any]]]:
        """The effects to perform, each with the ticket under which its result is awaited. Asking takes them."""
        effects, self.unperformed = self.unperformed, []
        return effects

    def abandoned(self) -> list[int]:
        """The tickets whose results are not waited for any more, so that their effects need not begin. Asking takes
        them; ask after `effects`."""
        abandoned, self.unwanted = self.unwanted, []
        return abandoned

    def source_of(self, ticket: int) -> int | None:
        """The id of the connection that waits for an effect; None: it is no connection's."""
        found = self._performing.get(ticket)
        return found.source if found is not None else None

    def expire(self, now: float) -> None:
        """What time it is: do what is due, then what that has led to."""
        self.now = now
        before, self._running = self._running, True  # so that what a timer does is not interrupted by others' turns
        try:
            self.timers.expire(now)
        finally:
            self._running = before
        self.run(now)

    @property
    def busy(self) -> bool:
        """Whether there is work left: `refill` and `run` again, when the loop has done something else."""
        return bool(self._turns.waiting)

    @property
    def needs_turn(self) -> bool:
        """Whether the loop should do something else soon, and then `refill`: there is work left, or half of what may be
        done before that is spent."""
        return self._budget <= _HALF or bool(self._turns.waiting)

    @property
    def within_step(self) -> bool:
        """Whether a step, a piece of a task or a timer is under way, so that dispatch is not to be told anything."""
        return self._running

    def refill(self) -> None:
        """The loop has done something else: `run` may go on."""
        self._budget = BUDGET

    def spend(self, cost: int) -> None:
        """Something has been done that is no step of a connection, and has cost as much as so many."""
        self._budget -= cost

    def serve(self, lane: Lane, now: float) -> None:
        """A connection has something to do: as `has_work` and `run`. Most often nobody else waits, and it has its turn
        at once."""
        if self._running or self._budget <= 0 or self._turns.waiting:
            self.has_work(lane)
        else:
            self._running = True
            try:
                self._turn(lane, now)
            finally:
                self._running = False
            if not self._turns.waiting:
                return
        self.run(now)

    def run(self, now: float) -> None:
        """Have the connections take their turns until there is nothing to do or the budget is spent. Within a turn this
        does nothing."""
        if self._running or not self._turns.waiting:
            return
        self._running = True
        try:
            while self._budget > 0 and self._turns.waiting:
                self._turn(self._turns.take(), now)
        finally:
            self._running = False

    def _turn(self, lane: Lane, now: float) -> None:
        try:
            self._budget -= lane.turn(now, TURN)
        except Exception as error:  # noqa: BLE001 - whatever it is, it costs this connection and no other
            lane.fail(error)
        if lane in self._turns.waiting:
            self._turns.drop(lane)
        if lane.has_work:
            self._turns.put(lane, more=True)

    def _finish(self, ticket: int, result: Any, status: int | None, now: float) -> bool:
        self.now = now
        found = self._performing.pop(ticket, None)
        if found is None:
            self.ended(ticket, now)
            return False
        found.on = None
        before, self._running = self._running, True  # so that the step is not interrupted by others' turns
        try:
            found.completed(result, None if status is None else StatusError(status))
        finally:
            self._running = before
        self.run(now)
        return True

    # --- what connections and generators call ---

    def has_work(self, lane: Lane) -> None:
        """It has something to do, and gets a turn."""
        if lane not in self._turns.waiting:
            self._turns.put(lane)

    def forget(self, lane: Lane) -> None:
        """It is lost, and gets no turn any more."""
        self._turns.drop(lane)

    def start(
        self,
        work: Work[R],
        done: Callable[[R], None] | None = None,
        failed: Callable[[Exception], None] | None = None,
        around: Callable[[Callable[[], None]], None] | None = None,
    ) -> Task[R]:
        """Run a generator as a task of its own, up to its first yield now; see Task. Raises what it raises up to there.
        Without `failed` the shell is told what it raises later."""
        task = Task(self, work, done, failed or self.report_error, around)
        before, self._running = self._running, True  # so that its first piece is not interrupted by others' turns
        try:
            task.step(None, None)
        finally:
            self._running = before
        return task

    def perform_detached(self, effect: Effect[Any]) -> None:
        """Have an effect performed, and ignore the result."""
        self.start(_ignoring(effect))

    def suspend(self, who: Suspension, what: Yielded) -> None:
        """Hold a generator until what it has yielded comes."""
        if isinstance(what, Effect):
            who.on = ticket = next(self._tickets)
            self._performing[ticket] = who
            self.unperformed.append((ticket, what))
        elif isinstance(what, Wait):
            self._wait(who, what.waiter)
        elif isinstance(what, Detached):
            self._wait(who, self._detach(what.work))
        elif what is None or isinstance(what, Until):
            who.on = self.timers.at(self.now if what is None else what.at, who.due)
        else:
            raise TypeError(f"a handler or task has yielded {what!r}")

    def _wait(self, who: Suspension, waiter: Waiter[Any]) -> None:
        if waiter.woken:
            who.resume(waiter.value, waiter.error)
        else:
            who.on = waiter
            waiter.on_woken = lambda: who.resume(waiter.value, waiter.error)

    def _detach(self, work: Work[R]) -> Waiter[R]:
        """Start a task; what is woken at its end. The shell is told what it raises when that is not waited for."""
        waiter: Waiter[R] = _EndOfTask()

        def failed(error: Exception) -> None:
            if waiter.on_woken is None:
                self.report_error(error)
            waiter.fail(error)

        try:
            self.start(work, waiter.wake, failed)
        except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
            waiter.fail(error)
        return waiter

    def withdraw(self, who: Suspension, outlived: Callable[[], Callable[[], None]] | None = None) -> None:
        """It does not wait any more: take back what it waits for. Where that may go on all the same, what `outlived`
        gives is called at its end."""
        on, who.on = who.on, None
        if isinstance(on, int):
            if self._performing.pop(on, None) is not None:
                self.unwanted.append(on)
                if outlived is not None:
                    self._outliving[on] = outlived()
        elif isinstance(on, Timer):
            on.cancel()
        elif on is not None:
            runs_on = outlived is not None and isinstance(on, _EndOfTask)
            on.on_woken = outlived() if outlived is not None and runs_on else None

    def hand_over(self, who: Suspension, work: Work[Any], around: Callable[[Callable[[], None]], None]) -> None:
        """What `who` has run goes on as a task of its own, which waits for what it waits for. What it returns is
        nobody's, and neither is a StatusError."""

        def failed(error: Exception) -> None:
            if not isinstance(error, StatusError):
                self.report_error(error)

        task: Task[Any] = Task(self, work, None, failed, around)
        on, who.on = who.on, None
        if isinstance(on, int):
            self._performing[on] = task
            task.on = on
        elif isinstance(on, Timer):
            on.cancel()
            task.on = self.timers.at(on.at, task.due)
        elif on is not None:
            self._wait(task, on)

    def report_error(self, error: Exception) -> None:
        """An error of ours that is no connection's. Without anybody to be told, it is raised."""
        if self._on_error is None:
            raise error
        self._on_error(error)
