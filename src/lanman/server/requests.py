"""The requests of one connection: from its frames to their handlers, and their answers back.

One compound chain is answered as one frame, its requests one after the other. When one of them has to wait, its chain
waits with it and all other chains go on. If it waits for long, the answers before it leave, and it gets its
STATUS_PENDING. `scheduler` tells what a handler is while it waits; here it belongs to its chain, as `Chain.work`. A
request is

    in a frame   received, not looked at. It is judged (`ServerConnection.begin`) at the moment it runs, and not before.
    stalled      there is no room for its answer (`room`). It is judged again when there is.
    running      its handler is between two yields
    kept back    what it has answered or yielded is known, and has led to other steps, which come first
    waiting      in `_waiting`, by its message id, and in `_waiting_on`, by the open and the session that it is about
    answered     its Response is in the chain, which goes on with the next request or is sent

A step looks at one frame, begins one request, goes on with one, or keeps one answer. What a step leads to on its own
connection is done before what was there to do, and before the answer to the request that led to it; nothing is done in
the midst of a step. So steps never nest, however many requests one sets free.

Cancelled (3.3.4.17, 3.3.5.16), a request that waits is answered with STATUS_CANCELLED, and its handler is closed at
once. When the connection is lost all of its handlers are closed, whether they wait or a step of theirs was queued, and
no step is taken any more. A CREATE that its client may find again over another connection of its session goes on alone
(`Context.goes_on_without`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import field
from typing import Any, Final

from lanman import codes
from lanman.errors import RemoteProtocolError, StatusError
from lanman.plain import dataclass
from lanman.server.effects import LATER, Effect, Outcome, Reply, Until, Wait, Work, Yielded
from lanman.server.room import Room
from lanman.server.scheduler import TURN, Scheduler, Suspension, raise_in
from lanman.server.state import Context, ServerOpen, ServerSession
from lanman.server.timers import Timer
from lanman.smb2.connection import Event as WireEvent
from lanman.smb2.constants import SMB2_CHANGE_NOTIFY, SMB2_LOCK, SMB2_NEGOTIATE, SMB2_SESSION_SETUP
from lanman.smb2.messages import IoctlRequest, Message, QueryDirectoryRequest, QueryInfoRequest, ReadRequest
from lanman.smb2.server import CancelReceived, Request, RequestsReceived, Response, ServerConnection
from lanman.smb2.session import SessionKeys

# A request that waits is told so after this many seconds; at once if it is not known how long it will be.
PENDING_AFTER: Final = 0.5

_QUERIES: Final = (QueryInfoRequest, QueryDirectoryRequest)  # a union would be made at each look

# Bytes that cost as much as a step.
_COSTS_ONE: Final = 65536


def _may_wait_for_ever(context: Context) -> bool:
    return context.request.command in (SMB2_CHANGE_NOTIFY, SMB2_LOCK)


def _answer_size(message: Message | None, core: ServerConnection) -> int:
    """How many bytes the answer to a request may hold, beside its fixed part. What is asked of a directory that may
    wait for ever takes none: what is kept for it is bounded where it is kept."""
    if core.negotiated is None:
        return 0
    if isinstance(message, ReadRequest):
        return min(message.length, core.negotiated.max_read_size)
    if isinstance(message, _QUERIES):
        return min(message.output_buffer_length, core.negotiated.max_transact_size)
    if isinstance(message, IoctlRequest):
        return min(message.max_output_response, core.negotiated.max_transact_size)
    return 0


@dataclass(slots=True, eq=False)
class Chain:
    """The requests of one frame, and the answers so far. `work` is the handler that is under way; `file_id` the one
    that the next request may mean; `reserved` are the bytes that `responses` and the answer under way may come to,
    `under_way` those of the latter."""

    requests: list[Request]
    index: int = 0
    work: Work[Reply] | None = None
    responses: list[Response] = field(default_factory=list)
    tree_id: int = 0
    file_id: int = 0
    failure: int = 0
    baseless: bool = False
    reserved: int = 0
    under_way: int = 0
    granted: int = 0  # bytes that are reserved for the answer of the next request, which has waited for them

    @property
    def is_last(self) -> bool:
        """Whether no request follows the one that is under way."""
        return self.index == len(self.requests) - 1


class Waiting(Suspension):
    """A request that waits. `cancellable` says that its client may cancel it; `about` are its open and its session,
    when it began to wait."""

    __slots__ = ("about", "cancellable", "chain", "context", "over", "pending_timer", "requests")

    def __init__(self, requests: Requests, chain: Chain, context: Context) -> None:
        self.on = None
        self.requests = requests
        self.chain = chain
        self.context = context
        self.cancellable = False
        self.pending_timer: Timer | None = None
        self.over = False
        self.about: tuple[ServerOpen | ServerSession, ...] = ()

    @property
    def source(self) -> int:
        """The id of its connection."""
        return self.requests.connection_id

    def resume(self, value: Any, error: Exception | None) -> None:
        """In a step of its connection."""
        self.requests.resume(self, Continuation(self.chain, self.context, value=value, error=error))

    def completed(self, value: Any, error: Exception | None) -> None:
        """At once, as a step of its connection."""
        self.requests.completed(self, Continuation(self.chain, self.context, value=value, error=error))


@dataclass(slots=True, eq=False)
class Continuation:
    """A step: a request goes on. `outcome` is what has come of it, to be kept; without, its handler gets the value of
    its yield, or has the error raised there."""

    chain: Chain
    context: Context
    outcome: Reply | Yielded = None
    value: Any = None
    error: Exception | None = None


Step = Continuation | Callable[[float], None]


class Requests(ABC):
    """One connection's requests. `output` is in bytes: what is reserved for answers, and what is answered and not sent.

    There are thousands that do nothing, so what is mostly empty is None then, and what is hardly ever anything else is
    a tuple: an empty deque takes ten times as much.
    """

    __slots__ = (
        "_beyond",
        "_cost",
        "_deferred",
        "_led_to",
        "_lost",
        "_reserved",
        "_room",
        "_scheduler",
        "_stalled",
        "_steps",
        "_unsent",
        "_waiting",
        "_waiting_on",
        "connection_id",
        "core",
        "finished",
        "output",
        "party",
        "unsent_since",
        "violation",
    )

    def __init__(
        self, connection_id: int, core: ServerConnection, scheduler: Scheduler, room: Room, party: str, now: float
    ) -> None:
        self.connection_id = connection_id
        self.party = party  # whom it works for: who takes turns
        self.core = core
        self.finished: str | None = None  # why the shell is to end it, once all is sent
        self.violation = False  # whether that is for what the peer said
        self.output = 0
        self._beyond = 0  # what it counts for of the room that users share
        self.unsent_since = now
        self._scheduler = scheduler
        self._room = room
        self._reserved = 0
        self._unsent = 0
        self._waiting: dict[int, Waiting] | None = None
        self._waiting_on: dict[ServerOpen | ServerSession, dict[Waiting, None]] | None = None
        self._steps: list[Step] | None = None  # the last one is the next
        self._led_to: list[Step] | None = None  # what the step under way leads to
        self._deferred: tuple[Callable[[float], None], ...] = ()
        self._stalled: tuple[tuple[Chain, int], ...] = ()  # what waits for room, and for how much
        self._cost = 0
        self._lost = False

    # --- what the connection decides ---

    @abstractmethod
    def new_context(self, request: Request, now: float, file_id: int) -> Context:
        """What the handler of a request is to know."""

    @abstractmethod
    def session_keys(self, request: Request) -> SessionKeys | None:
        """The keys of the session that a request names, if this connection is no channel of it: it may ask to be."""

    @abstractmethod
    def begin(self, chain: Chain, context: Context) -> Outcome:
        """Check what 3.3.5.2.9 to 3.3.5.2.11 demand, and have a request handled."""

    @abstractmethod
    def answered(self, context: Context, reply: Reply) -> None:
        """A request has its answer."""

    @abstractmethod
    def frame_begins(self, events: list[WireEvent], now: float) -> None:
        """A frame has been understood, with these events."""

    @abstractmethod
    def explain(self, error: RemoteProtocolError) -> None:
        """The peer has broken the rules: tell in the log what it lacks, if that is known."""

    @abstractmethod
    def mark_ready(self) -> None:
        """There may be something to send, or to be ended: the shell is to look."""

    @abstractmethod
    def finish(self, why: str, *, at_once: bool = False) -> None:
        """End the connection when what has been answered is sent, or at once."""

    @abstractmethod
    def fail(self, error: Exception) -> None:
        """An error of ours costs this connection: end it at once, and tell the shell."""

    # --- steps ---

    @property
    def has_work(self) -> bool:
        """Whether a turn would do something."""
        if self._lost:
            return False
        return bool(self._steps or self._deferred or (self.core.arrived and self._takes_frames))

    @property
    def _takes_frames(self) -> bool:
        return self.finished is None and not self._stalled

    @property
    def overloaded(self) -> bool:
        """Whether it has brought more than could be begun so far, so that the rest is better left in the kernel."""
        return not self._lost and bool(self.core.arrived or self._stalled)

    def turn(self, now: float, most: int) -> int:
        """Do steps until they have cost `most`; what they have cost."""
        cost = 0
        try:
            while cost < most and not self._lost:
                if self._steps:
                    step = self._steps.pop()
                elif self._deferred:
                    step, self._deferred = self._deferred[0], self._deferred[1:]
                elif self.core.arrived and self._takes_frames:
                    step = self._next_frame
                else:
                    break
                self._cost = 1
                self._do(step, now)
                cost += self._cost
        finally:
            if not self._steps:
                self._steps = None
            self.mark_ready()
        return cost

    def defer(self, action: Callable[[float], None]) -> None:
        """Do it when the answers are made to what is being done."""
        if not self._lost:
            self._deferred += (action,)
            self._scheduler.has_work(self)

    def _do(self, step: Step, now: float) -> None:
        led_to = self._led_to = []
        try:
            if isinstance(step, Continuation):
                self._go_on(step, now)
            else:
                step(now)
        except RemoteProtocolError as error:
            if led_to:
                self._put_first(led_to.copy())
                led_to.clear()
            self.explain(error)
            self._break_off(str(error))
        finally:
            self._led_to = None
            if led_to:
                led_to.reverse()
                self._put_first(led_to)
            if self._lost:
                self._drop_work()

    def _put_first(self, steps: list[Step]) -> None:
        """The last of them is the next."""
        if self._steps is None:
            self._steps = steps
        else:
            self._steps.extend(steps)

    def _add(self, step: Step) -> None:
        """A step for this connection: next, if the step under way leads to it; otherwise after those there are."""
        if self._lost:
            if isinstance(step, Continuation):
                self._drop(step)
        elif self._led_to is not None:
            self._led_to.append(step)
        else:
            self._steps = self._steps or []
            self._steps.insert(0, step)
            self._scheduler.has_work(self)

    def _drop_work(self) -> None:
        """Nothing more is to be done."""
        steps, self._steps = self._steps, None
        for step in steps or ():
            if isinstance(step, Continuation):
                self._drop(step)
        self._deferred = self._stalled = ()
        self._room.stop_waiting(self)

    def _drop(self, step: Continuation) -> None:
        """A request is not to go on, and nobody is to have its answer."""
        self._close_work(step.chain)
        step.context.over()

    def _break_off(self, why: str) -> None:
        """The peer has done what ends the connection."""
        self._drop_work()
        self.violation = self.finished is None
        self.finish(why)

    def lose(self) -> None:
        """The transport is gone: close every handler, and take no step any more."""
        self._lost = True
        for waiting in list(self._waiting.values()) if self._waiting else ():
            if waiting.context.goes_on_without(self):
                self._hand_over(waiting)
            else:
                self._release(waiting, withdraw=True)
                waiting.context.over()
        self._drop_work()

    def _hand_over(self, waiting: Waiting) -> None:
        """A request goes on, though nobody is to have its answer."""
        work, waiting.chain.work = waiting.chain.work, None
        assert work is not None, "it waits"
        self._scheduler.hand_over(waiting, work, waiting.context.step)
        self._release(waiting)

    def _next_frame(self, now: float) -> None:
        events = self.core.next_events()
        self.frame_begins(events, now)
        if len(events) == 1 and isinstance(event := events[0], RequestsReceived) and len(event.requests) == 1:
            # Most frames. The frame has led to nothing else, so this would be the next step anyhow.
            self._cost += 1 + event.requests[0].size // _COSTS_ONE
            self._advance(Chain(event.requests), now)
            return
        for event in events:
            if isinstance(event, RequestsReceived):
                self._cost += sum(request.size for request in event.requests) // _COSTS_ONE
                self._add_chain(Chain(event.requests))
            elif isinstance(event, CancelReceived):
                waiting = self._waiting.get(event.message_id) if self._waiting else None
                if waiting is not None and waiting.cancellable:
                    self._cancel(waiting, now)

    def _add_chain(self, chain: Chain) -> None:
        self._add(lambda now: self._advance(chain, now))

    # --- room for answers ---

    def sent(self, left: int, now: float) -> None:
        """So many bytes of what was given out to be sent are still in the transport's buffer."""
        self._scheduler.now = now
        if left < self._unsent:
            self.unsent_since = now
        self._unsent = left
        self.recount()

    def all_sent(self) -> None:
        """All that was given out to be sent has left the transport, at once. As `sent` with nothing left."""
        self._unsent = 0
        self.recount()

    def unread_for(self, now: float) -> float:
        """For how many seconds the transport has been rid of nothing of what it has; 0 where it has nothing. What is
        still being answered nobody could have read."""
        return now - self.unsent_since if self._unsent else 0.0

    def recount(self) -> None:
        """Count what its answers take, and use what room has come free."""
        output = 0 if self._lost else self._reserved + self.core.unsent + self._unsent
        if output == self.output:
            return
        difference, self.output = output - self.output, output
        room = self._room
        room.output += difference
        if self._beyond or output > room.always:
            beyond = output if output > room.always else 0
            room.answers.count(self.party, beyond - self._beyond)
            self._beyond = beyond
        if difference < 0:
            if self._stalled:
                self.use_room()
            room.use()

    def _fits(self, size: int) -> bool:
        """Whether an answer of `size` bytes is within what this connection may have."""
        return not self.output or self.output + size <= self._room.limits.output_per_connection

    def _has_room(self, size: int) -> bool:
        """Whether an answer of `size` bytes may be made."""
        if self.output + size <= self._room.limits.output_always:
            return True
        return self._fits(size) and self._room.has_room(self, size)

    def _stall(self, chain: Chain, size: int) -> None:
        """A chain goes on when there is room for its next answer."""
        self._stalled += ((chain, size),)
        if self._fits(size):
            self._room.wait(self)

    @property
    def lacking(self) -> int:
        """How much room the first chain wants that waits for some."""
        return self._stalled[0][1] if self._stalled else 0

    def use_room(self) -> bool:
        """Go on with the first chain that waits for room; then it is the turn of other connections. False: there is no
        room for it. The room is taken here, or others would have it before the chain's step comes."""
        if self._stalled and self._fits(self._stalled[0][1]):
            if not self._has_room(self._stalled[0][1]):
                self._room.wait(self)
                return False
            (chain, size), self._stalled = self._stalled[0], self._stalled[1:]
            chain.granted = size
            self._reserved += size
            self.recount()
            self._add_chain(chain)
        self._room.stop_waiting(self)
        if self._stalled and self._fits(self._stalled[0][1]):
            self._room.wait(self)
        elif self.core.arrived:
            self._scheduler.has_work(self)
        return True

    def _reserve(self, chain: Chain, size: int) -> None:
        chain.under_way = size
        chain.reserved += size
        self._reserved += size
        self.recount()

    def _give_back(self, chain: Chain, size: int) -> None:
        chain.reserved -= size
        self._reserved -= size
        self.recount()

    # --- chains ---

    def _advance(self, chain: Chain, now: float) -> None:
        """Go on with a chain until it waits, is answered, or others are to have their turn."""
        while chain.index < len(chain.requests):
            request = chain.requests[chain.index]
            pdu = request.pdu
            binding = self.session_keys(request) if request.command == SMB2_SESSION_SETUP else None
            status = self.core.begin(request, binding=binding)
            size = 0 if status else _answer_size(request.message, self.core)
            if granted := chain.granted:
                chain.granted = 0
                self._reserved -= granted  # it is the chain's from now on
            if size:
                if size > granted and not self._makes_room(chain, size):
                    request.pdu = pdu  # it is judged again when there is room
                    self._stall(chain, size)
                    return
                self._reserve(chain, size)
            else:
                chain.under_way = 0
            context = self.new_context(request, now, chain.file_id)
            outcome = self._begin(chain, context)
            if self._led_to:
                self._add(Continuation(chain, context, outcome))
                return
            if not self._settle(chain, context, outcome, now):
                return
            self._cost += 1
            if self._cost >= TURN and chain.index < len(chain.requests):
                self._add_chain(chain)
                return
        self._answer(chain)

    def _makes_room(self, chain: Chain, size: int) -> bool:
        """Whether there is room for an answer of that size, once those before it in the chain have left if need be."""
        # 3.3.4.1.3: one frame of answers is not larger than MaxTransactSize.
        largest = self.core.negotiated.max_transact_size if self.core.negotiated else 0
        if chain.responses and (chain.reserved + size > largest or not self._has_room(size)):
            self._answer(chain)
        return self._has_room(size)

    def _begin(self, chain: Chain, context: Context) -> Reply | Yielded:
        """Have a request handled, up to its answer or to what its handler yields first."""
        try:
            outcome = self.begin(chain, context)
        except StatusError as refused:
            return Reply(refused.status)
        if isinstance(outcome, Reply):
            return outcome
        chain.work = outcome
        return self._step(chain, context, None, None)

    def _step(self, chain: Chain, context: Context, value: Any, error: Exception | None) -> Reply | Yielded:
        """Go on with a handler, up to its answer or to what it yields next."""
        work, chain.work = chain.work, None
        assert work is not None
        try:
            what = work.send(value) if error is None else raise_in(work, error)
            while isinstance(what, Effect) and (result := self._scheduler.at_once(what)) is not LATER:
                self._cost += 1
                what = work.send(result)
        except StopIteration as end:
            reply: Reply = end.value
            return reply
        except StatusError as refused:
            refused.__traceback__ = None  # as in `raise_in`
            return Reply(refused.status)
        if isinstance(what, Wait) and what.cancellable and _may_wait_for_ever(context) and not chain.is_last:
            # 3.3.5.2.7 with note: what may wait for ever must be the last of its compound (smb2.compound.interim2).
            work.close()
            return Reply(codes.STATUS_INTERNAL_ERROR)
        chain.work = work
        return Until(context.now) if what is None else what

    def _close_work(self, chain: Chain) -> None:
        """Close the handler that a chain has under way, which gives back what it holds."""
        work, chain.work = chain.work, None
        if work is not None:
            try:
                work.close()
            except Exception as error:  # noqa: BLE001 - whatever it is, it costs this connection and no other
                self.fail(error)

    def _go_on(self, step: Continuation, now: float) -> None:
        """Go on with a handler or keep what has come of it, and go on with its chain."""
        step.context.now = now
        outcome = step.outcome
        if outcome is None and step.context.opened is not None and not step.context.may_have(step.context.opened):
            outcome = self._is_taken(step)
        elif outcome is None:
            outcome = self._step(step.chain, step.context, step.value, step.error)
        if self._led_to:
            step.outcome = outcome
            self._add(step)
        elif self._settle(step.chain, step.context, outcome, now):
            self._advance(step.chain, now)

    def _is_taken(self, step: Continuation) -> Reply:
        """What a request has waited on may not be its session's any more, and has been closed: as if it had been while
        the request waited. What the disk has done for it by then is no less done."""
        ended = step.context.outlived()
        self._close_work(step.chain)
        ended()
        return Reply(codes.STATUS_CANCELLED)

    def _answer(self, chain: Chain) -> None:
        """Send the answers that a chain has so far."""
        if chain.responses:
            before = self.core.unsent
            self.core.respond(chain.responses)
            chain.responses = []
            self._cost += (self.core.unsent - before) // _COSTS_ONE
        if chain.reserved:
            self._give_back(chain, chain.reserved - chain.under_way)  # what is left counts when it is sent: `sent`

    def _settle(self, chain: Chain, context: Context, outcome: Reply | Yielded, now: float) -> bool:
        """Keep an answer, or wait for what was yielded. Whether the chain can go on."""
        if not isinstance(outcome, Reply):
            self._wait(chain, context, outcome, now)
            return False
        request = context.request
        self.answered(context, outcome)
        chain.responses.append(Response(request, outcome.status, outcome.message, outcome.session_id, outcome.tree_id))
        # 3.3.5.2.7.2: ids that an answer brings are those that a related request means.
        chain.tree_id = outcome.tree_id or chain.tree_id
        chain.file_id = context.file_id or chain.file_id
        chain.failure = outcome.status if outcome.status >> 30 == 3 else 0
        chain.under_way = 0
        chain.index += 1
        return True

    # --- requests that wait ---

    def _wait(self, chain: Chain, context: Context, what: Yielded, now: float) -> None:
        waiting = Waiting(self, chain, context)
        if self._waiting is None or self._waiting_on is None:
            self._waiting, self._waiting_on = {}, {}
        self._waiting[context.request.message_id] = waiting
        opened, session = context.opened, context.session
        if session is not None:
            waiting.about = (session,) if opened is None else (opened, session)
        for about in waiting.about:
            self._waiting_on.setdefault(about, {})[waiting] = None
        at_once = False
        if isinstance(what, Wait) and what.cancellable:
            waiting.cancellable = True
            at_once = not what.deferred
            # It may wait for ever, and so reserves no room; what the answer is made of is bounded where it is kept.
            self._give_back(chain, chain.under_way)
            chain.under_way = 0
        self._scheduler.suspend(waiting, what)
        # 3.3.4.2: NEGOTIATE and SESSION_SETUP are never told to wait; an interim answer is no part of the hash that
        # protects them, and clients differ about it.
        if context.request.command in (SMB2_NEGOTIATE, SMB2_SESSION_SETUP) or waiting.over:
            return
        if at_once:
            self._send_pending(waiting)
        else:
            waiting.pending_timer = self._scheduler.timers.at(
                now + PENDING_AFTER, lambda then: self._send_pending(waiting)
            )

    def _send_pending(self, waiting: Waiting) -> None:
        """STATUS_PENDING for a request; the answers before it leave first, in a frame of their own."""
        if not waiting.over:
            self._answer(waiting.chain)
            self.core.pending(waiting.context.request)
            self.mark_ready()

    def resume(self, waiting: Waiting, step: Continuation) -> None:
        """Go on with a request that has waited, and with its chain, in a step of its own."""
        if not waiting.over:
            self._release(waiting)
            self._add(step)
            self._scheduler.run(self._scheduler.now)

    def completed(self, waiting: Waiting, step: Continuation) -> None:
        """The effect that a request waits for has been performed. What has come is given to its handler at once: it may
        be a file that would stay open if its connection were lost before its turn."""
        if waiting.over:
            return
        try:
            self._release(waiting)
            self._cost = 0
            self._do(step, self._scheduler.now)
        except Exception as error:  # noqa: BLE001 - whatever it is, it costs this connection and no other
            self.fail(error)
        self.mark_ready()
        if self.has_work:
            self._scheduler.has_work(self)

    def _release(self, waiting: Waiting, *, withdraw: bool = False) -> None:
        """It waits no more. `withdraw`: take back what it waits for, and close its handler."""
        waiting.over = True
        assert self._waiting is not None, "it has waited"
        assert self._waiting_on is not None, "it has waited"
        self._waiting.pop(waiting.context.request.message_id, None)
        for about in waiting.about:
            others = self._waiting_on[about]
            del others[waiting]
            if not others:
                del self._waiting_on[about]
        if not self._waiting:
            self._waiting = self._waiting_on = None
        waiting.about = ()
        if waiting.pending_timer is not None:
            waiting.pending_timer.cancel()
        if withdraw:
            self._scheduler.withdraw(waiting, waiting.context.outlived)
            self._close_work(waiting.chain)
        waiting.on = None

    def _cancel(self, waiting: Waiting, now: float) -> None:
        """Answer a request that waits with STATUS_CANCELLED."""
        self._release(waiting, withdraw=True)
        self._add(Continuation(waiting.chain, waiting.context, Reply(codes.STATUS_CANCELLED)))
        self._scheduler.run(now)

    def awaited_opens(self, session: ServerSession) -> list[ServerOpen]:
        """The opens that requests of a session wait on."""
        found = (waiting.context.opened for waiting in (self._waiting_on or {}).get(session, ()))
        return list({each: None for each in found if each is not None})

    def cancel_all(
        self,
        about: ServerOpen | ServerSession,
        now: float,
        *,
        cancellable_only: bool = False,
        spared: ServerOpen | None = None,
    ) -> None:
        """3.3.4.17: requests that wait on what has ended are cancelled, but for those of an open that is spared.
        `cancellable_only`: only those that their client may cancel, not I/O."""
        for waiting in list(self._waiting_on.get(about, ())) if self._waiting_on else ():
            if cancellable_only and not waiting.cancellable:
                continue
            if spared is not None and waiting.context.opened is spared:
                continue
            if not waiting.over:
                self._cancel(waiting, now)
