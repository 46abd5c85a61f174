"""Asks one server, by whatever Manager answers for it, and makes an outcome and rows of it; asks a chunk of them.

Rules:

  - Whatever a server does is an outcome: nothing that it can cause is raised.
  - The time of a target is absolute. A server that says a byte a second has no more of it than one that says nothing;
    only the wait at the gate, which is for others, is not counted.
  - A password goes to no server that does not sign, and to none before the gate has let it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import field, replace
from json.encoder import encode_basestring_ascii
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from lanman import __version__, codes
from lanman.errors import AccessDenied, AuthenticationError, LanmanError, TimedOut, Unprotected
from lanman.fleet.guard import AllowanceGate, CredentialStopped, Gate, Proof, proof_of
from lanman.fleet.logons import read_fleet_logons
from lanman.fleet.lookups import Lookups
from lanman.fleet.values import THIS_MACHINE, FleetOutcome, Job, Kind, Question, Result
from lanman.manage.granted import GrantedLevels
from lanman.manage.open import open_manager
from lanman.net.approach import Approach
from lanman.net.credentials import Credentials
from lanman.net.dial import Within
from lanman.net.resolve import numeric_address
from lanman.plain import dataclass
from lanman.shown import rfc3339

if TYPE_CHECKING:
    from lanman.manage.doctor.report import Diagnosis
    from lanman.manage.manager import Manager
    from lanman.net.server_facts import ServerFacts

Opener = Callable[..., AbstractAsyncContextManager["Manager"]]

_DEAD: Final = frozenset(
    {codes.ERROR_BAD_NETPATH, codes.ERROR_NETWORK_UNREACHABLE, codes.ERROR_HOST_UNREACHABLE, codes.ERROR_BAD_NET_NAME}
)
_CALLS: Final = {Kind.SESSIONS: "NetrSessionEnum", Kind.FILES: "NetrFileEnum"}
_ANONYMOUS: Final = Credentials(anonymous=True)


def result_of(error: LanmanError) -> Result:
    """What an error makes of a target."""
    if isinstance(error, CredentialStopped):
        return Result.CANCELLED
    if isinstance(error, AuthenticationError):
        return Result.LOGON
    if isinstance(error, AccessDenied):
        return Result.DENIED
    if error.code == codes.ERROR_CONNECTION_REFUSED:
        return Result.REFUSED
    if error.code in _DEAD:
        return Result.DEAD
    return Result.TIMEOUT if isinstance(error, TimedOut) else Result.PROTOCOL


class Visitor:
    """Asks servers a question. `credentials` are by name, `worker` is who asks, `opener` is `open_manager` or a
    stand-in of it. With `lookups`, names that come without addresses are looked up there."""

    def __init__(
        self,
        question: Question,
        credentials: Mapping[str, Credentials],
        gate: Gate,
        *,
        worker: str,
        opener: Opener = open_manager,
        lookups: Lookups | None = None,
    ) -> None:
        self.question = question
        self.worker = worker
        self._credentials = credentials
        self._gate = gate
        self._opener = opener
        self._lookups = lookups

    async def visit(self, job: Job) -> FleetOutcome:
        """Ask one. Ends in the time of the job, and raises CancelledError alone."""
        call = _Visit(self.question, job, self._credentials, self._gate, self.worker)
        try:
            if job.target.server == THIS_MACHINE:
                return await self._ask_here(call)
            if self._lookups is not None and not job.addresses and not is_numeric(job.target.server):
                found = await self._lookups.addresses(job.target.server, job.seconds)
                call.job = job = replace(job, addresses=found, seconds=call.seconds_left)
            ask = _doctor if self.question.kind is Kind.DOCTOR else self._ask
            return call.finished(await ask(call))
        except LanmanError as error:
            return call.failed(error)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is this target's, and others go on
            return call.failed(_not_foreseen(error))

    async def _ask(self, call: _Visit) -> _Rows:
        loop = asyncio.get_running_loop()
        target = call.job.target
        opening = self._opener(
            target.server,
            call.credentials,
            port=target.port,
            timeout=self.question.deadline,
            deadline=loop.time() + call.job.seconds,
            granted=GrantedLevels(),  # each server is asked once: there is nothing to remember
            approach=call.approach,
        )
        try:
            async with opening as manager:
                return await _listed(manager, call)
        except BaseException as error:
            call.ended(error)
            raise

    async def _ask_here(self, call: _Visit) -> FleetOutcome:
        """This machine's Server service: the kernel, or its tools, say who asks, and there is no log-on."""
        if self.question.kind is Kind.DOCTOR:
            from lanman.manage.doctor.run import doctor

            diagnosis = await doctor(deadline=self.question.deadline)
            return call.finished(_findings(diagnosis, call, None))
        deadline = asyncio.get_running_loop().time() + call.job.seconds
        async with self._opener(None, None, timeout=self.question.deadline, deadline=deadline) as manager:
            call.mechanism = "local"
            return call.finished(await _listed(manager, call))


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows as an outcome has them."""

    count: int
    said: bytes
    source: bytes


class _Visit:
    """One visit: its clock, what is known of the connection, and what the gate is owed."""

    def __init__(
        self, question: Question, job: Job, credentials: Mapping[str, Credentials], gate: Gate, worker: str
    ) -> None:
        self.question, self.job, self.worker = question, job, worker
        self.asked_at = time.time()
        self._begun = time.perf_counter()
        self._held = 0.0
        self._took: float | None = None
        self.address: str | None = None
        self.facts: ServerFacts | None = None
        self.skew: float | None = None
        self.credentials = _ANONYMOUS if job.credential is None else credentials[job.credential]
        who = self.credentials
        self.mechanism = "anonymous" if who.anonymous else "kerberos" if who.kerberos else "ntlm"
        self._gate = gate
        self._counted: bool | None = None
        self._was_sent = False
        self.within: Within | None = None
        """What bounds the visit from outside, where the Manager does not."""
        self.approach = Approach(
            job.addresses,
            min(question.connect, job.seconds),
            self._before_logon,
            on_proof=self._sent,
            on_logon=self._succeeded,
        )

    @property
    def seconds_left(self) -> float:
        """What is left of the time of the job."""
        return max(0.001, self.job.seconds - (time.perf_counter() - self._begun - self._held))

    async def _before_logon(self, facts: ServerFacts) -> None:
        self.facts = facts
        if facts.negotiate_time is not None:
            self.skew = round(facts.negotiate_time - time.time(), 3)
        if self.credentials.anonymous or self.job.credential is None:
            return
        self._check_signing(facts)
        begun = time.perf_counter()
        try:
            with contextlib.nullcontext() if self.within is None else self.within.suspended():
                self._counted = await self._gate.admit(self.job.credential)
        finally:
            self._held += time.perf_counter() - begun
        self._was_sent = False

    def _check_signing(self, facts: ServerFacts) -> None:
        """Raises Unprotected where a password would go to a server that does not sign."""
        if self.credentials.kerberos:
            return
        if not facts.signs or (self.question.require_signing and not facts.signing_required):
            lacks = "does not sign" if not facts.signs else "does not insist on signing"
            raise WithheldPassword(
                f"{lacks}, so no password was sent",
                hint="turn on signing there, or log on by Kerberos, which sends none",
                server=self.job.target.server,
            )

    def _sent(self) -> None:
        self._was_sent = True

    def _succeeded(self) -> None:
        self._settle(Proof.RIGHT)

    def ended(self, error: BaseException) -> None:
        """It ended with an error, or was cancelled: what that shows, if the log-on was not through."""
        known = error if isinstance(error, LanmanError) else LanmanError("interrupted")
        self._settle(proof_of(known, was_sent=self._was_sent))

    def _settle(self, proof: Proof) -> None:
        counted, self._counted = self._counted, None
        if counted is not None and self.job.credential is not None:
            self._gate.settle(self.job.credential, proof, counted=counted)

    def answered(self) -> int:
        """The answer is there; how many milliseconds it took. What follows is saying good-bye."""
        if self._took is None:
            self._took = time.perf_counter() - self._begun - self._held
        return round(self._took * 1000)

    def finished(self, rows: _Rows) -> FleetOutcome:
        """The outcome `ok`, with rows."""
        return self._outcome(Result.OK, count=rows.count, said=rows.said, source=rows.source)

    def failed(self, error: LanmanError) -> FleetOutcome:
        """The outcome that an error makes."""
        withheld = isinstance(error, WithheldPassword)
        return self._outcome(
            Result.LOGON if withheld else result_of(error), code=error.code, error=error.text, hint=error.hint
        )

    def _outcome(self, result: Result, **more: Any) -> FleetOutcome:
        job = self.job
        return FleetOutcome(
            job.target,
            result,
            asked_at=self.asked_at,
            took_ms=self.answered(),
            address=self.address or self._only_address(),
            attempt=job.attempt,
            credential=job.credential,
            worker=self.worker,
            **more,
        )

    def _only_address(self) -> str | None:
        """The address that was asked, where there was no choice."""
        if self.job.addresses:
            return self.job.addresses[0] if len(self.job.addresses) == 1 else None
        return self.job.target.server if is_numeric(self.job.target.server) else None


class WithheldPassword(Unprotected):
    """A server to which no password is sent, since it does not protect what follows."""


async def _listed(manager: Manager, call: _Visit) -> _Rows:
    kind = call.question.kind
    level: int | None = None
    call.address, call.facts = manager.server_address, manager.server_facts
    if kind is Kind.SESSIONS:
        answer = await manager.sessions()
        level, rows = answer.level, _SESSION_ROW.of(answer.entries)
    else:
        level, rows = 3, _FILE_ROW.of(await manager.files())
    source = _source(call, level=level, name=_CALLS[kind], samba=manager.is_samba)
    return _rows(rows, source, call)


class _Row:
    """Rows as json.dumps writes them, of records whose fields are texts, numbers and None. A server may list thousands,
    and encoding each alone took a tenth of a visit."""

    def __init__(self, names: str) -> None:
        fields = names.split()
        self._values: Callable[[object], tuple[str | int | None, ...]] = attrgetter(*fields)
        self._form = "{" + ", ".join(f'"{name}": %s' for name in fields) + "}"

    def of(self, records: Iterable[object]) -> Iterator[str]:
        """A row for each record."""
        form, values = self._form, self._values
        return (form % tuple(map(_json, values(record))) for record in records)


def _json(value: str | int | None) -> str | int:
    return "null" if value is None else encode_basestring_ascii(value) if isinstance(value, str) else value


_SESSION_ROW: Final = _Row("client_name user_name num_opens active_time idle_time user_flags client_type transport")
_FILE_ROW: Final = _Row("id permissions num_locks path user_name")


def _rows(said: Iterable[str], source: Mapping[str, Any], call: _Visit) -> _Rows:
    """What was said, an object each, and where it comes from. An object has no line break, which JSON escapes."""
    tags = "null" if call.job.target.tags is None else call.job.target.tags
    begun = [f"{row[:-1]}\n" for row in said]
    ends = f', {json.dumps(source)[1:-1]}, "tags": {tags}}}\n'
    return _Rows(len(begun), "".join(begun).encode("ascii"), ends.encode("ascii", "backslashreplace"))


def _source(call: _Visit, *, level: int | None, name: str | None, samba: bool | None) -> dict[str, Any]:
    """PROVENANCE, but for the tags. What is known of it now."""
    job, who = call.job, call.credentials
    return {
        "server": job.target.server,
        "address": call.address,
        "port": job.target.port if job.target.server != THIS_MACHINE else None,
        "node": job.target.node,
        "asked_at": rfc3339(call.asked_at, timespec="milliseconds"),
        "took_ms": call.answered(),
        "attempt": job.attempt,
        "dialect": call.facts.dialect if call.facts is not None else None,
        "mechanism": call.mechanism,
        "as": who.logon_name or None,
        "level": level,
        "call": name if call.facts is not None else None,
        "samba": samba,
        "skew": call.skew,
        "worker": call.worker,
        "lanman": __version__,
        "sweep": call.question.sweep,
    }


# --- doctor


async def _doctor(call: _Visit) -> _Rows:
    """Have the doctor examine it. Raises what keeps a diagnosis from being one: nobody there, or no log-on."""
    from lanman.manage.doctor.facts import Stage
    from lanman.manage.doctor.run import examined

    target = call.job.target
    call.within = Within(call.job.seconds, lambda: "the examination was not through", server=target.server)
    try:
        async with call.within:
            facts, diagnosis = await examined(
                target.server, call.credentials, port=target.port, deadline=call.job.seconds, approach=call.approach
            )
    except BaseException as error:
        call.ended(error)
        raise
    if facts.stage < Stage.LOGGED_ON and facts.failure is not None:
        call.ended(facts.failure)
        raise _with_fix(facts.failure, diagnosis)
    call.address, call.facts = facts.address or None, facts.told
    return _findings(diagnosis, call, facts.is_samba)


def _with_fix(failure: LanmanError, diagnosis: Diagnosis) -> LanmanError:
    """The failure, with what the doctor has found to help."""
    fix = next((finding.fix for finding in diagnosis.problems if finding.fix), None)
    if fix is not None and not isinstance(failure, CredentialStopped | WithheldPassword):
        failure.hint = fix
    return failure


def _findings(diagnosis: Diagnosis, call: _Visit, samba: bool | None) -> _Rows:
    rows = [
        json.dumps(
            {
                "id": each.id,
                "category": each.category,
                "check": each.check,
                "mark": each.mark.value,
                "says": each.says,
                "cause": each.cause,
                "needs": each.needs,
                "why": each.why,
                "fix": each.fix,
                "evidence": each.evidence,
            }
        )
        for each in diagnosis.findings
    ]
    return _rows(rows, _source(call, level=None, name=None, samba=samba), call)


def is_numeric(server: str) -> bool:
    """Whether a server is named by an address, which need not be looked up."""
    try:
        return numeric_address(server, 0) is not None
    except LanmanError:
        return True


def _not_foreseen(error: Exception) -> LanmanError:
    """An error of this program, or of this machine: what can be said of it in one line."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, OSError):
        return LanmanError(f"this machine: {text}", hint="see its limits: open files (ulimit -n), memory, ports")
    return LanmanError(f"lanman failed at it: {text}", hint="please report it")


# --- a chunk


@dataclass(frozen=True, slots=True)
class Chunk:
    """Targets that are asked together, wherever that is. `allowances` has, for each credential, how many log-ons may go
    out before one has succeeded; None for any number. `in_flight` is how many are asked at a time."""

    question: Question
    jobs: tuple[Job, ...]
    allowances: Mapping[str, int | None]
    in_flight: int = 200


@dataclass(slots=True)
class ChunkAnswer:
    """What became of a chunk. `left` are the jobs that were not asked, since the allowance of their credential was used
    up; `proofs` what each log-on showed, by credential, and whether it was one of the allowance."""

    outcomes: list[FleetOutcome] = field(default_factory=list)
    left: list[Job] = field(default_factory=list)
    proofs: dict[str, list[tuple[Proof, bool]]] = field(default_factory=dict)


def ask_chunk(
    chunk: Chunk,
    credentials: Mapping[str, Credentials] | None = None,
    *,
    worker: str,
    opener: Opener = open_manager,
) -> ChunkAnswer:
    """Ask the targets of a chunk, each in its own time, and hand back all that came of it. It blocks.

    Without `credentials`, those of this machine's file are read. Raises ConfigurationError and AccessDenied for a file
    that cannot be used; nothing that a server can cause.
    """
    known = read_fleet_logons().credentials if credentials is None else credentials
    return asyncio.run(ask_chunk_here(chunk, known, worker=worker, opener=opener))


async def ask_chunk_here(
    chunk: Chunk, credentials: Mapping[str, Credentials], *, worker: str, opener: Opener = open_manager
) -> ChunkAnswer:
    """The same in the event loop that runs; nothing is read from a file."""
    gate = AllowanceGate(chunk.allowances)
    answer = ChunkAnswer(proofs=gate.proofs)
    lookups = Lookups()
    visitor = Visitor(chunk.question, credentials, gate, worker=worker, opener=opener, lookups=lookups)
    waiting = iter(chunk.jobs)

    async def work() -> None:
        for job in waiting:
            outcome = await visitor.visit(job)
            if gate.is_exhausted(outcome):
                answer.left.append(job)
            else:
                answer.outcomes.append(outcome)

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(chunk.in_flight, len(chunk.jobs))):
                tasks.create_task(work())
    finally:
        lookups.close()
    return answer
