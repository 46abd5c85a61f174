"""The client's side of a sweep by a Dask cluster: a `lanman.fleet.scheduler.Scheduler` over chunks of targets.

Rules:

  - Targets, Guard, state and output stay with the client. What goes to a worker is a chunk: targets with one name of a
    credential, and how many log-ons may go out before one has succeeded. That is borrowed from the Guard, chunk by
    chunk; while a password is not known to be right, and less is to be had than is wanted, few targets go ahead.
  - A chunk runs once (`lanman.fleet.dask.task`). When its worker is lost, it is asked again in two halves. What was
    lost twice is asked one group after the other, in halves again, until it is known which server it is that ends
    workers. That one has an outcome, and takes no other with it.
  - Log-ons that a lost worker had under way may have been sent: the Guard counts them so.
  - A worker that hangs with its heartbeats going has its chunk for as long as its targets may take and a margin, from
    when it was seen to have begun. Then others are asked, as if it were lost, and what it still says is nothing. Its
    thread asks nobody any more, and who looks at the sweep is told so. Where every thread of the workers hangs, the
    sweep ends.
  - An answer has each target of its chunk once and no other, and shows no more log-ons than the chunk was given: what
    else a worker says ends the sweep, and is not kept. Chunks of an earlier run of the sweep, which workers may still
    have, are other ones.
  - The target "." is this machine, and is asked here.
  - A scheduler that is gone, or says nothing, ends the sweep: it costs what was in flight, and `--resume` goes on. So
    does a worker that cannot ask: another release, no credentials.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import pickle
import secrets
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from distributed import CancelledError, Client, Future, KilledWorker, Queue, Security
from distributed.comm.core import FatalCommClosedError

from lanman import codes
from lanman.errors import ConnectionLost, LanmanError
from lanman.fleet.arrivals import Arrivals
from lanman.fleet.dask.address import checked_address, is_protected
from lanman.fleet.dask.task import Unable, ask, release, stop
from lanman.fleet.guard import CredentialStopped, GuardGate, Proof, State
from lanman.fleet.logons import GIVEN
from lanman.fleet.scheduler import cancelled
from lanman.fleet.values import THIS_MACHINE, FleetOutcome, Job, Question, Result
from lanman.fleet.visit import Chunk, ChunkAnswer, Opener, Visitor, result_of
from lanman.manage.open import open_manager
from lanman.net.credentials import Credentials
from lanman.plain import dataclass

CHUNK: Final = 200
SCOUTS: Final = 16
"""So many targets go ahead with a password that is not known to be right, where the Guard gives less than is wanted."""

MAX_LOSSES: Final = 3
PATIENCE: Final = 60.0
"""Seconds without any worker after which a sweep is ended."""

MARGIN: Final = 30.0
"""Seconds that a chunk may take beyond the time of its targets."""

_CONNECT: Final = 10.0
_ANSWER: Final = 15.0
_LOOK_EVERY: Final = 1.0
# Seconds for which jobs are gathered to a chunk that is not full.
_GATHER: Final = 0.05
# Seconds for the end: Ctrl-C has two in all.
_GOODBYE: Final = 0.4

# So many workers are named in one sentence.
_NAMED: Final = 5
_UNKNOWN: Final = "of an unknown name"
_CERTIFICATES: Final = "set distributed.comm.tls (ca-file, client.cert, client.key) in Dask's configuration"

Ask = Callable[[str, bytes, str], ChunkAnswer | Unable | None]


@dataclass(frozen=True, slots=True)
class _Group:
    """Jobs with one credential, and how often they were lost together."""

    jobs: tuple[Job, ...]
    losses: int = 0


@dataclass(slots=True)
class _Sent:
    """A chunk that is out, and how many log-ons it has of the Guard."""

    group: _Group
    borrowed: int
    is_suspect: bool = False
    future: Future | None = None
    hangs: bool = False


def _is_about_certificates(error: BaseException | None) -> bool:
    """Whether a connection ended for want of a certificate that both accept. By TLS 1.3 the other side may say so
    after its own part is through (RFC 8446 4.4.2.4), so that it is seen in the first words of Dask's own."""
    while error is not None:
        if isinstance(error, FatalCommClosedError) or "SSL" in str(error) or "during handshake" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


class DaskWorkers:
    """The workers of the Dask scheduler at `address`. `task` is what they run, `patience` seconds without a worker,
    `margin` what a chunk may take beyond its targets' time, `opener` what opens this machine's own Manager."""

    def __init__(
        self,
        address: str,
        *,
        task: Ask = ask,
        chunk: int = CHUNK,
        patience: float = PATIENCE,
        margin: float = MARGIN,
        opener: Opener = open_manager,
    ) -> None:
        self.address = checked_address(address)
        self._task, self._size, self._patience, self._opener = task, chunk, patience, opener
        self._margin = margin
        # What hangs, and the worker that has it; None where that is being asked for.
        self._hanging: dict[asyncio.Task[ChunkAnswer | Unable | None], str | None] = {}
        self._hung: Mapping[str, int] | None = None
        self._names: dict[str, str] = {}  # of workers, by their addresses
        self._client: Client
        self._gate: GuardGate
        self._question: Question
        self._anonymous: frozenset[str] = frozenset()
        self._threads = self._workers = 0
        self._waiting: dict[str | None, deque[Job]] = {}
        self._groups: deque[_Group] = deque()
        self._suspects: deque[_Group] = deque()
        self._out: dict[asyncio.Task[None], _Sent] = {}
        self._here: dict[asyncio.Task[None], Job] = {}
        # A sweep that is resumed has its name again, and numbers its chunks from the beginning.
        self._run = secrets.token_hex(8)
        self._last = 0
        self._timer: asyncio.TimerHandle | None = None
        self._watching: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._arrivals = Arrivals()
        self._is_cancelled = False

    processes = 0

    @property
    def room(self) -> int:
        """How many targets keep the workers busy that were there at the start: a chunk for each thread, and one more
        for each worker."""
        return self._size * max(1, self._threads + self._workers)

    @property
    def hanging(self) -> Mapping[str, int]:
        """See `Scheduler.hanging`. Workers are named as outcomes name them, and by address where that is another."""
        return Counter(name or _UNKNOWN for name in self._hanging.values()) if self._hung is None else self._hung

    async def start(self, question: Question, credentials: Mapping[str, Credentials], gate: GuardGate) -> None:
        """See `Scheduler.start`. Raises ConnectionLost where there is no scheduler, LanmanError for workers that have
        another release, or are not protected, and for secrets that workers cannot have."""
        given = credentials.get(GIVEN)
        if given is not None and not given.anonymous:
            raise LanmanError(
                "who to be was given to this command alone, and workers read secrets from their own machine",
                code=codes.ERROR_NOT_AUTHENTICATED,
                hint="write a section with `hosts` into the file `credentials`, here and on each worker, without -U",
            )
        self._question, self._gate = question, gate
        self._anonymous = frozenset(name for name, each in credentials.items() if each.anonymous)
        # What it has to say of connections is said here.
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        try:
            self._client = await self._connected()
        except (OSError, TimeoutError) as error:
            if _is_about_certificates(error):
                raise ConnectionLost(
                    f"{self.address} and this machine do not accept each other's certificates",
                    code=codes.ERROR_BAD_NETPATH,
                    hint=f"have one authority sign both, and {_CERTIFICATES}",
                ) from error
            raise ConnectionLost(
                f"no Dask scheduler answers at {self.address}",
                code=codes.ERROR_BAD_NETPATH,
                hint="start it with `dask scheduler`, and see that this machine reaches it",
            ) from error
        await self._check_workers()
        self._watching = asyncio.create_task(self._watch())

    async def _connected(self) -> Client:
        """A client, connected. Its own timeout does not bound one that takes the connection and says nothing."""
        client = Client(
            self.address,
            asynchronous=True,
            security=self._security(),
            set_as_default=False,
            timeout=_CONNECT,
            name="lanman",
            direct_to_workers=False,
        )
        try:
            async with asyncio.timeout(_ANSWER):
                await client
        except BaseException:
            await _let_go(client)
            raise
        return client

    def _security(self) -> Security:
        """What Dask's configuration has for the address. Raises LanmanError for certificates that cannot be used."""
        if not self.address.startswith("tls:"):
            return Security()
        try:
            security = Security(require_encryption=True)
            context = security.get_connection_args("client")["ssl_context"]
        except (OSError, TypeError, ValueError, RuntimeError) as error:
            raise LanmanError(
                f"this machine's certificates for {self.address} cannot be used: {error}",
                code=codes.ERROR_INVALID_PARAMETER,
                hint=_CERTIFICATES,
            ) from error
        if context is None:
            raise LanmanError(
                f"this machine has no certificates for {self.address}",
                code=codes.ERROR_INVALID_PARAMETER,
                hint=_CERTIFICATES,
            )
        return security

    # --- the workers

    async def _check_workers(self) -> None:
        """Raises LanmanError for a worker that has another release. Those that come later are asked by the task."""
        self._look_at(await self._identity())
        try:
            async with asyncio.timeout(_ANSWER):
                found: dict[str, Any] = await self._client.run(release, on_error="return")
        except TimeoutError as error:
            raise ConnectionLost(
                f"a worker of the Dask scheduler at {self.address} does not answer",
                code=codes.ERROR_UNEXP_NET_ERR,
                hint="end the workers that hang",
            ) from error
        except OSError as error:
            raise self._gone() from error
        for worker, its in found.items():
            if isinstance(its, OSError):
                continue  # it has gone meanwhile
            if isinstance(its, BaseException):
                self._raise_unable(Unable(worker, f"it has no such lanman: {its}", "install the same on all"))
            elif its != release():
                self._raise_unable(Unable(worker, f"it has {its}, and this is {release()}", "install the same on all"))

    async def _identity(self) -> dict[str, Any]:
        try:
            async with asyncio.timeout(_ANSWER):
                found: dict[str, Any] = await self._client.scheduler.identity(n_workers=-1)
        except (OSError, TimeoutError, AttributeError) as error:
            # AttributeError: the client has given up, and has no scheduler any more.
            raise self._gone() from error
        return found

    def _look_at(self, identity: Mapping[str, Any]) -> None:
        workers: Mapping[str, Any] = identity["workers"]
        for address in workers:
            if not is_protected(address):
                self._raise_unable(Unable(address, "it is reached without TLS", "start it with tls://"))
        self._names = {address: str(each.get("name", address)) for address, each in workers.items()}
        self._workers = len(workers)
        self._threads = sum(each["nthreads"] for each in workers.values())

    async def _watch(self) -> None:
        """See that there are a scheduler, and workers."""
        loop = asyncio.get_running_loop()
        last_seen = loop.time()
        while self._arrivals.failure is None:
            await asyncio.sleep(_LOOK_EVERY)
            try:
                self._look_at(await self._identity())
            except LanmanError as error:
                self._fail(error)
                return
            if self._workers or not self._out:
                last_seen = loop.time()
            elif loop.time() - last_seen > self._patience:
                self._fail(
                    LanmanError(
                        f"the scheduler has had no worker for {self._patience:g} seconds",
                        code=codes.ERROR_BAD_NETPATH,
                        hint=f"start some with `dask worker {self.address}`",
                    )
                )

    def _gone(self) -> LanmanError:
        return ConnectionLost(
            f"the Dask scheduler at {self.address} does not answer any more",
            code=codes.ERROR_UNEXP_NET_ERR,
            hint="start it again; --resume asks what was in flight",
        )

    def _raise_unable(self, unable: Unable) -> None:
        raise LanmanError(f"the worker {unable.worker} cannot ask: {unable.why}", code=unable.code, hint=unable.hint)

    def _fail(self, error: LanmanError) -> None:
        self._arrivals.fail(error)

    # --- jobs

    def give(self, jobs: Sequence[Job]) -> None:
        """See `Scheduler.give`."""
        for job in jobs:
            if job.target.server == THIS_MACHINE:
                self._here[asyncio.create_task(self._ask_here(job))] = job
            else:
                self._waiting.setdefault(job.credential, deque()).append(job)
        self._send_what_may(whole=True)
        if self._timer is None and any(self._waiting.values()):
            self._timer = asyncio.get_running_loop().call_later(_GATHER, self._gathered)

    def _gathered(self) -> None:
        self._timer = None
        self._send_what_may(whole=False)

    async def _ask_here(self, job: Job) -> None:
        outcome = await Visitor(self._question, {}, self._gate, worker="0", opener=self._opener).visit(job)
        if (task := asyncio.current_task()) is not None and self._here.pop(task, None) is not None:
            self._came([outcome])

    async def take(self) -> list[FleetOutcome]:
        """See `Scheduler.take`."""
        return await self._arrivals.take()

    def cancel(self) -> None:
        """See `Scheduler.cancel`. Workers are told to stop; nobody waits until they have."""
        self._is_cancelled = True
        over = [job for waiting in self._waiting.values() for job in waiting]
        over += [job for group in (*self._groups, *self._suspects) for job in group.jobs]
        over += [job for sent in self._out.values() for job in sent.group.jobs]
        over += self._here.values()
        self._waiting.clear()
        self._groups.clear()
        self._suspects.clear()
        self._stop_workers()
        self._came([cancelled(job) for job in over])

    def _stop_workers(self) -> None:
        for task in (*self._out, *self._here):
            task.cancel()
        self._here.clear()
        if (self._out or self._hanging) and self._stopping is None:
            self._stopping = asyncio.create_task(self._say_stop())
        self._out.clear()

    async def _say_stop(self) -> None:
        with contextlib.suppress(OSError, TimeoutError, AttributeError):
            await self._client.run(stop, self._question.sweep, on_error="ignore")

    async def close(self) -> None:
        """See `Scheduler.close`."""
        if self._timer is not None:
            self._timer.cancel()
        if not hasattr(self, "_client"):
            return
        self._hung = self.hanging
        tasks: list[asyncio.Task[Any]] = [*filter(None, [self._watching]), *self._out, *self._here, *self._hanging]
        self._stop_workers()
        for task in tasks:
            task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE):
                await asyncio.gather(*tasks, *filter(None, [self._stopping]), return_exceptions=True)
        await _let_go(self._client)

    # --- chunks

    def _send_what_may(self, *, whole: bool) -> None:
        """Send the chunks that the Guard allows; of those that are not full, none where `whole`."""
        if self._is_cancelled or self._arrivals.failure is not None:
            return
        for _ in range(len(self._groups)):
            self._send(self._groups.popleft(), self._groups)
        if self._suspects and not any(sent.is_suspect for sent in self._out.values()):
            self._send(self._suspects.popleft(), self._suspects, is_suspect=True)
        for waiting in self._waiting.values():
            while len(waiting) >= self._size or (waiting and not whole):
                group = _Group(tuple(waiting.popleft() for _ in range(min(self._size, len(waiting)))))
                held: deque[_Group] = deque()
                self._send(group, held)
                for each in held:
                    waiting.extendleft(reversed(each.jobs))
                if held:
                    break

    def _send(self, group: _Group, back: deque[_Group], *, is_suspect: bool = False) -> None:
        """Send a group, or as much of it as may be; the rest goes to `back`."""
        name, guard = group.jobs[0].credential, self._gate.guard
        borrowed = 0
        allowances: dict[str, int | None] = {}
        if name is not None:
            state = State.FREE if name in self._anonymous else guard.state(name)
            if state is State.STOPPED:
                self._came([_stopped(job, guard.why_stopped(name)) for job in group.jobs])
                return
            allowances[name] = None
            if state is State.BOUND:
                borrowed = guard.borrow(name, len(group.jobs))
                allowances[name] = borrowed
                if not borrowed:
                    back.append(group)
                    return
                if borrowed < len(group.jobs) and len(group.jobs) > SCOUTS:
                    back.append(_Group(group.jobs[SCOUTS:], group.losses))
                    group = _Group(group.jobs[:SCOUTS], group.losses)
        self._last += 1
        chunk = Chunk(self._question, group.jobs, allowances, in_flight=self._size)
        sent = _Sent(group, borrowed, is_suspect)
        task = asyncio.create_task(self._ask(sent, chunk, f"lanman-{self._question.sweep}-{self._run}-{self._last}"))
        self._out[task] = sent

    async def _ask(self, sent: _Sent, chunk: Chunk, permit: str) -> None:
        """Have a chunk asked, and see to what comes of it."""
        if sent.borrowed:
            try:
                await self._gate.kept()
            except LanmanError as error:
                self._fail(error)
                return
        queue = Queue(permit, client=self._client)
        try:
            await queue
            await queue.put(True)
            sent.future = self._client.submit(
                self._task, release(), pickle.dumps(chunk), permit, key=permit, pure=False, retries=0
            )
            answer = await self._in_time(sent, queue, permit)
        except KilledWorker:
            answer = None
        except Exception as error:  # noqa: BLE001  # whatever a worker raises
            has_answered = sent.future is not None and sent.future.status == "error"
            is_gone = not has_answered and isinstance(error, CancelledError | OSError | AttributeError)
            self._fail(self._gone() if is_gone else _failed(error))
            return
        finally:
            if sent.future is not None and not sent.hangs:
                sent.future.release()
            # Made and awaited, it is registered twice; to let go of it once too often does nothing.
            with contextlib.suppress(OSError, AttributeError):
                queue.close()
                queue.close()
        task = asyncio.current_task()
        if task is None or self._out.pop(task, None) is None:
            return  # it was cancelled meanwhile
        if isinstance(answer, Unable):
            try:
                self._raise_unable(answer)
            except LanmanError as error:
                self._fail(error)
        elif answer is None:
            self._lost(sent)
        elif _is_answer(answer, sent):
            self._answered(sent, answer)
        else:
            self._give_back(sent, Proof.UNKNOWN)
            self._fail(
                LanmanError(
                    "a worker answered something else than it was asked",
                    code=codes.ERROR_INVALID_DATA,
                    hint="see that all have the same lanman; --resume goes on",
                )
            )
        self._send_what_may(whole=self._timer is not None)

    def _longest(self, sent: _Sent) -> float:
        """Seconds that a chunk may take once it has begun."""
        side_by_side = min(self._size, sent.borrowed or self._size)
        return math.ceil(len(sent.group.jobs) / side_by_side) * self._question.deadline + self._margin

    async def _in_time(self, sent: _Sent, queue: Queue, key: str) -> ChunkAnswer | Unable | None:
        """What a chunk's future gives; None where its worker hangs. It has begun when its permit is gone."""
        assert sent.future is not None
        answering = asyncio.create_task(_result(sent.future))
        has_begun = False
        try:
            while True:
                await asyncio.wait([answering], timeout=self._longest(sent))
                if answering.done():
                    return answering.result()
                if has_begun:
                    break
                has_begun = not await queue.qsize()
        except BaseException:
            answering.cancel()
            raise
        sent.hangs = True
        self._hanging[answering] = None
        answering.add_done_callback(lambda task: self._hangs_no_more(sent, task))
        worker = await self._worker_with(key)
        if answering in self._hanging:
            self._hanging[answering] = worker
        # Where others are still being asked for, the last of them sees to this, and names all.
        if len(self._hanging) >= self._threads > 0 and None not in self._hanging.values():
            names = sorted(self.hanging)
            shown = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
            self._fail(
                LanmanError(
                    f"all {self._threads} threads of the workers hang",
                    code=codes.ERROR_UNEXP_NET_ERR,
                    hint=f"end these workers and start new ones: {shown}; --resume asks what they had",
                )
            )
        return None

    async def _worker_with(self, key: str) -> str:
        """The worker that a task runs on, in words."""
        try:
            async with asyncio.timeout(_ANSWER):
                running: Mapping[str, Sequence[str]] = await self._client.processing()
        except (OSError, TimeoutError, AttributeError):
            running = {}  # what is the matter with the scheduler, the watch finds
        for address, keys in running.items():
            if key in keys:
                name = self._names.get(address, address)
                return name if name == address else f"{name} ({address})"
        return _UNKNOWN

    def _hangs_no_more(self, sent: _Sent, answering: asyncio.Task[ChunkAnswer | Unable | None]) -> None:
        self._hanging.pop(answering, None)
        if not answering.cancelled():
            answering.exception()  # what it says is nothing now
        if sent.future is not None:
            sent.future.release()

    def _answered(self, sent: _Sent, answer: ChunkAnswer) -> None:
        name = sent.group.jobs[0].credential
        for proof, counted in () if name is None else answer.proofs.get(name, ()):
            if proof is not Proof.UNSENT:  # that one was let out again there
                self._gate.settle(name or "", proof, counted=counted)
                sent.borrowed -= counted
        self._give_back(sent, Proof.UNSENT)
        if answer.left:
            left = {job.target for job in answer.left}
            self._groups.append(_Group(tuple(job for job in sent.group.jobs if job.target in left), sent.group.losses))
        self._came(answer.outcomes)

    def _give_back(self, sent: _Sent, proof: Proof) -> None:
        while sent.borrowed > 0:
            self._gate.settle(sent.group.jobs[0].credential or "", proof, counted=True)
            sent.borrowed -= 1

    def _lost(self, sent: _Sent) -> None:
        """Have what a lost worker had asked by others, in halves."""
        self._give_back(sent, Proof.UNKNOWN)
        losses = sent.group.losses + 1
        jobs = tuple(replace(job, attempt=job.attempt + 1) for job in sent.group.jobs)
        if len(jobs) == 1 and sent.is_suspect and losses >= MAX_LOSSES:
            self._came([_lost(sent.group.jobs[0])])
            return
        half = (len(jobs) + 1) // 2
        halves = [_Group(part, losses) for part in (jobs[:half], jobs[half:]) if part]
        if losses > 1:
            self._suspects.extendleft(reversed(halves))
        else:
            self._groups.extend(halves)

    def _came(self, outcomes: Sequence[FleetOutcome]) -> None:
        self._arrivals.came(outcomes)


async def _result(future: Future) -> ChunkAnswer | Unable | None:
    found: ChunkAnswer | Unable | None = await future
    return found


def _failed(error: Exception) -> LanmanError:
    """What a worker raised, in one line."""
    return LanmanError(f"a worker failed: {type(error).__name__}: {error}", hint="see that all have the same lanman")


def _is_answer(answer: object, sent: _Sent) -> bool:
    """Whether it is an answer to what was sent: each target once and no other, no log-on that was not let out."""
    if not isinstance(answer, ChunkAnswer):
        return False
    try:
        its = Counter([outcome.target for outcome in answer.outcomes] + [job.target for job in answer.left])
        name = sent.group.jobs[0].credential
        proofs = () if name is None else answer.proofs.get(name, ())
        tried = sum(counted and proof is not Proof.UNSENT for proof, counted in proofs)
        return (
            its == Counter(job.target for job in sent.group.jobs)
            and all(isinstance(each, FleetOutcome) and isinstance(each.result, Result) for each in answer.outcomes)
            and all(isinstance(proof, Proof) and isinstance(counted, bool) for proof, counted in proofs)
            and tried <= sent.borrowed
        )
    except (AttributeError, TypeError, ValueError):
        return False


async def _let_go(client: Client) -> None:
    with contextlib.suppress(OSError, TimeoutError, CancelledError):
        await client.close(timeout=_GOODBYE)


def _stopped(job: Job, why: str) -> FleetOutcome:
    """The outcome of a job whose credential is not used any more."""
    error = CredentialStopped(job.credential or "", why)
    return FleetOutcome(
        job.target,
        result_of(error),
        error.code,
        error.text,
        error.hint,
        attempt=job.attempt,
        credential=job.credential,
    )


def _lost(job: Job) -> FleetOutcome:
    return FleetOutcome(
        job.target,
        Result.PROTOCOL,
        code=LanmanError.code,
        error=f"the workers that asked it were lost, {job.attempt} times",
        hint="ask it alone, without --scheduler",
        attempt=job.attempt,
        credential=job.credential,
    )
