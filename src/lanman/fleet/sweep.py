"""One question to very many servers: `sweep()`, an async iterator of outcomes.

    async with lanman.sweep("sessions", ["10.0.0.0/16", "@servers.txt"], credentials, out="sweep") as sweep:
        async for outcome in sweep:
            print(outcome.server, outcome.result, len(outcome.rows))

Rules:

  - A target is read, claimed (so that it is asked once, however often it is named), looked up, given a credential, put
    in line, asked, recorded, and then handed out; each exactly once. What is between reading and recording is bounded,
    whatever the number of targets.
  - An outcome is handed out when it is on the disk, where a folder is kept.
  - Leaving, by an error or Ctrl-C too, ends what is in flight at once. What was in flight has the outcome `cancelled`,
    what was never begun has none, and both are asked when the sweep is resumed.
  - All that blocks, the disk and the source of targets, is done in threads of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import sys
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, astuple, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from lanman import codes
from lanman.errors import AuthenticationError, LanmanError, Win32Error
from lanman.fleet import targets as reading
from lanman.fleet.guard import DEFAULT_LIMIT, Guard, GuardGate
from lanman.fleet.limits import raise_open_files
from lanman.fleet.line import Line, subnet_of
from lanman.fleet.logons import Logons, read_fleet_logons
from lanman.fleet.lookups import Lookups
from lanman.fleet.scheduler import InProcess, Scheduler
from lanman.fleet.source import Source
from lanman.fleet.store import FORMATS, STATE, Store, Unkept
from lanman.fleet.targets import STANDARD_INPUT, Sources
from lanman.fleet.values import THIS_MACHINE, FleetOutcome, Job, Kind, Question, Result, Target
from lanman.fleet.visit import is_numeric, result_of
from lanman.manage.manager import DEFAULT_TIMEOUT
from lanman.plain import dataclass

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from lanman.net.credentials import Credentials

T = TypeVar("T")

DEFAULT_IN_FLIGHT: Final = 1000
DEFAULT_PER_SUBNET: Final = 50
DEFAULT_CONNECT: Final = 1.0
FEW: Final = 64
"""So many targets are asked in the process of the sweep itself, where nobody says otherwise."""

# What `polite` means where nothing else is said: no more than a person with a script would do.
POLITE_IN_FLIGHT: Final = 16
POLITE_PER_SUBNET: Final = 2
POLITE_RATE: Final = 5.0

# Seconds for which outcomes are gathered before they go to the disk, and the number that goes there at once.
_GATHER: Final = 0.2
_MANY: Final = 1000
# Seconds that what is in flight has to say that it was cancelled.
_LAST_WORDS: Final = 1.0
_HANDED_OUT: Final = 256
# Seconds over which the rate is told, and between the looks that it is told from.
_RATE_OVER: Final = 10.0
_TICK: Final = 0.5

RETRIED: Final = tuple(result for result in Result if result is not Result.OK)


@dataclass(frozen=True, slots=True)
class Options:
    """How a sweep asks. None is the default, which `polite` changes."""

    deadline: float = DEFAULT_TIMEOUT
    connect: float = DEFAULT_CONNECT
    in_flight: int | None = None
    per_subnet: int | None = None
    rate: float | None = None
    processes: int | None = None
    logon_failures: int = DEFAULT_LIMIT
    require_signing: bool = False
    polite: bool = False

    def chosen(self) -> Options:
        """The same with defaults filled in. Raises Win32Error 87 for what cannot be."""
        for name in ("deadline", "connect", "in_flight", "per_subnet", "rate", "logon_failures"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise Win32Error(codes.ERROR_INVALID_PARAMETER, f"{name} is {value}: it has to be more than 0")
        if self.processes is not None and self.processes < 0:
            raise Win32Error(codes.ERROR_INVALID_PARAMETER, f"processes is {self.processes}: it cannot be negative")
        polite = self.polite
        return replace(
            self,
            connect=min(self.connect, self.deadline),
            in_flight=self.in_flight or (POLITE_IN_FLIGHT if polite else DEFAULT_IN_FLIGHT),
            per_subnet=self.per_subnet or (POLITE_PER_SUBNET if polite else DEFAULT_PER_SUBNET),
            rate=self.rate or (POLITE_RATE if polite else None),
        )


@dataclass(slots=True)
class Progress:
    """How far a sweep is. `total` None: it is not known yet. `rate` is targets a second, over the last ten; `counts`
    and `rows` have those of earlier runs, too."""

    counts: Counter[Result] = field(default_factory=Counter)
    rows: int = 0
    total: int | None = None
    in_flight: int = 0
    rate: float = 0.0
    seconds: float = 0.0

    @property
    def done(self) -> int:
        """How many targets have an outcome."""
        return self.counts.total()

    @property
    def eta(self) -> float | None:
        """Seconds that the rest may take; None where that cannot be said."""
        return None if self.total is None or not self.rate else max(0, self.total - self.done) / self.rate


def sweep(
    kind: str,
    targets: str | Iterable[str | Target | Mapping[str, Any]] = (),
    credentials: Credentials | None = None,
    *,
    out: str | Path | None = None,
    format: str = "jsonl",
    port: int = 445,
    credentials_file: str | Path | None = None,
    exclude: str | Path | None = None,
    shard: str | None = None,
    resume: str | Path | None = None,
    retry_failed: bool = False,
    scheduler: Scheduler | str | None = None,
    **options: Any,
) -> Sweep:
    """Ask very many servers for their "sessions" or "files", or have the "doctor" see why they do not answer.

    `targets` are texts as the command takes them (`lanman.fleet.targets`), or targets one by one from anything that can
    be iterated, which is read as it is needed. `credentials` serve where no section of the file `credentials`
    (`credentials_file`; this user's) is meant for a target. `out` is a folder for rows, outcomes and state, `format`
    that of the rows: "jsonl", "csv" or "parquet". `exclude` is a file, `shard` as "2/8". `resume` goes on in the folder
    of an earlier sweep, with its targets and kind; `retry_failed` asks again all that came to anything but `ok`.
    `scheduler` asks in another place than processes of this machine: the workers of a Dask cluster, by the address of
    its scheduler (tls://HOST:PORT, or tcp:// to this machine), or a `lanman.fleet.scheduler.Scheduler`. It has to be
    named again when a sweep is resumed. `options` are the fields of `Options`: times in
    seconds, `in_flight`, `per_subnet`, `rate` a second, `processes`, `logon_failures`, `require_signing`, `polite`.

    Enter it (`async with`), and iterate: FleetOutcomes, each target once. Entering raises Win32Error 87 for what cannot
    be understood, ConfigurationError, AccessDenied, and LanmanErrors of the folder. What a server does raises nothing.
    """
    texts, streams = _sorted_out(targets)
    return Sweep(
        None if resume is not None and not kind else _kind(kind),
        Sources(
            texts,
            port,
            None if exclude is None else os.path.abspath(exclude),
            shard,
        ),
        streams,
        credentials,
        Options(**options),
        out=None if out is None else Path(out).absolute(),
        format=format,
        credentials_file=None if credentials_file is None else Path(credentials_file).absolute(),
        resume=None if resume is None else Path(resume).absolute(),
        retry_failed=retry_failed,
        scheduler=scheduler,
    )


def _kind(text: str) -> Kind:
    try:
        return Kind(text)
    except ValueError:
        raise Win32Error(
            codes.ERROR_INVALID_PARAMETER, f"{text!r} is nothing to ask: {', '.join(Kind)}", hint="name one of them"
        ) from None


Stream = Callable[[int], Iterator[Target]]
"""Targets that can be read once, given the port of those that name none."""


def _sorted_out(given: str | Iterable[str | Target | Mapping[str, Any]]) -> tuple[tuple[str, ...], list[Stream]]:
    """Texts that can be read again at any time, and streams that cannot."""
    if isinstance(given, str):
        given = [given]
    if not isinstance(given, list | tuple) or not all(isinstance(each, str) for each in given):
        return (), [lambda port: _of_values(given, port)]
    texts: list[str] = []
    streams: list[Stream] = []
    for text in given:
        assert isinstance(text, str)
        if text == STANDARD_INPUT:
            streams.append(lambda port: reading.stream_targets(sys.stdin, "standard input", port))
        elif text.startswith("@") and os.path.exists(text[1:]) and not os.path.isfile(text[1:]):
            path = os.path.abspath(text[1:])  # a pipe, as `@<(command)` is
            streams.append(lambda port, path=path: reading.file_targets(path, port))  # type: ignore[misc]
        elif text.startswith("@"):
            texts.append(f"@{os.path.abspath(text[1:])}")
        else:
            texts.append(text)
    return tuple(texts), streams


def _of_values(given: Iterable[str | Target | Mapping[str, Any]], port: int) -> Iterator[Target]:
    import json

    for each in given:
        if isinstance(each, Target):
            yield each
        else:
            yield from reading.targets_of(each if isinstance(each, str) else json.dumps(dict(each)), port)


class Sweep:
    """A sweep, made by `sweep`. A context manager, and an iterator of outcomes; `progress` may be asked at any time."""

    def __init__(
        self,
        kind: Kind | None,
        sources: Sources,
        streams: Sequence[Stream],
        credentials: Credentials | None,
        options: Options,
        *,
        out: Path | None,
        format: str,
        credentials_file: Path | None,
        resume: Path | None,
        retry_failed: bool,
        scheduler: Scheduler | str | None,
    ) -> None:
        self._given = options
        self.options = options.chosen()
        self.folder = out or resume
        self.is_narrowed = False
        """Whether fewer are asked at a time than was wanted, for want of open files."""
        self.name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        self.guard = Guard(self.options.logon_failures)
        self._kind, self._sources, self._streams = kind, replace(sources, shuffled=self.options.polite), list(streams)
        self._credentials, self._credentials_file = credentials, credentials_file
        self._format, self._resume, self._retry = format, resume, retry_failed
        self._address = scheduler if isinstance(scheduler, str) else None
        self._scheduler = None if isinstance(scheduler, str) else scheduler
        self._may_widen = options.in_flight is None and not options.polite
        self._store: Store | Unkept
        self._logons: Logons
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lanman-store")
        self._counts: Future[None] | None = None
        self._line: Line[Job] = Line(self.options.in_flight or 1, self.options.per_subnet, self.options.rate)
        self._lookups = Lookups()
        self._source: Source | None = None
        self._subnets: dict[str, str | None] = {}
        self._looking: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._finished: list[FleetOutcome] = []
        self._keeping: asyncio.Task[None] | None = None
        self._held = 0
        self._is_fed = False
        self._room, self._news = asyncio.Event(), asyncio.Event()
        self._out: asyncio.Queue[FleetOutcome | None] = asyncio.Queue(_HANDED_OUT)
        self._tasks: list[asyncio.Task[None]] = []
        self._failure: BaseException | None = None
        self._bad_target: LanmanError | None = None
        self._progress = Progress()
        self._ticks: deque[tuple[float, int]] = deque()
        self._begun = time.monotonic()

    # --- what programs see

    @property
    def progress(self) -> Progress:
        """How far it is."""
        now = time.monotonic()
        while len(self._ticks) > 1 and self._ticks[0][0] < now - _RATE_OVER:
            self._ticks.popleft()
        found = self._progress
        if self._ticks:
            since, done = self._ticks[0]
            found.rate = (found.done - done) / max(now - since, 0.1)
        found.in_flight, found.seconds = self._line.out, now - self._begun
        return found

    @property
    def hanging(self) -> Mapping[str, int]:
        """How many threads of which workers of a cluster hang, or hung at the end: they asked nobody any more."""
        return {} if self._scheduler is None else self._scheduler.hanging

    @property
    def is_kept(self) -> bool:
        """Whether its folder has what `resume` goes on from: not where there is none, nor where it never began."""
        return self.folder is not None and (self.folder / STATE).is_file()

    def __aiter__(self) -> AsyncIterator[FleetOutcome]:
        return self

    async def __anext__(self) -> FleetOutcome:
        outcome = await self._out.get()
        if outcome is not None:
            return outcome
        self._out.put_nowait(None)
        if self._failure is not None:
            raise self._failure
        if self._bad_target is not None:
            raise self._bad_target
        raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        try:
            await self._open()
        except BaseException:
            await self._close(unbegun=self._resume is None)
            raise
        self._begun = time.monotonic()
        self._ticks.append((self._begun, self._progress.done))
        for work in (self._feed, self._collect, self._commit):
            self._tasks.append(asyncio.create_task(self._looked_after(work())))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        closing = asyncio.ensure_future(self._close())
        # A second interrupt does not keep what is known from the disk.
        while not closing.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(closing)
        closing.result()

    # --- beginning

    async def _open(self) -> None:
        if self._format not in FORMATS:
            raise Win32Error(codes.ERROR_INVALID_PARAMETER, f"{self._format!r} is no format: {', '.join(FORMATS)}")
        if self._format == "parquet":
            from lanman.manage.parquet import check_parquet

            check_parquet()
        await self._in_thread(self._go_on if self._resume is not None else self._begin)
        if self._kind is None:
            raise Win32Error(codes.ERROR_INVALID_PARAMETER, "nobody said what to ask", hint=", ".join(Kind))
        self._logons = await self._in_thread(lambda: read_fleet_logons(self._credentials_file, self._credentials))
        if self._resume is not None:
            await self._in_thread(self._carry_counts)
        if not self._logons.credentials and self._sources.texts != (THIS_MACHINE,):
            raise AuthenticationError(
                "nobody said who to be at the servers",
                code=codes.ERROR_NOT_AUTHENTICATED,
                hint="give -U, or sections with `hosts` in the file `credentials`; -N asks anonymously",
            )
        limit = raise_open_files()
        scheduler = self._scheduler = self._scheduler or self._chosen_scheduler()
        if limit is not None and 0 < limit * scheduler.processes < (self.options.in_flight or 1):
            self.is_narrowed = True
            self._ask_at_a_time(limit * scheduler.processes)
        question = Question(
            self._kind, self.name, self.options.deadline, self.options.connect, self.options.require_signing
        )
        await scheduler.start(question, self._logons.credentials, GuardGate(self.guard, keep=self._keep_counts))
        if self._may_widen and scheduler.room is not None:
            self._ask_at_a_time(scheduler.room)

    def _ask_at_a_time(self, count: int) -> None:
        self.options = replace(self.options, in_flight=count)
        self._line = Line(count, self.options.per_subnet, self.options.rate)

    def _keep_counts(self) -> Future[None]:
        """Have what log-ons came to on the disk, for a run that goes on: the password itself is not kept."""
        # What is counted now is kept by one that has not begun, and by none that has.
        if self._counts is None or self._counts.running() or self._counts.done():
            self._counts = self._thread.submit(self._write_counts)
        return self._counts

    def _write_counts(self) -> None:
        counts = {
            name: [*counted, self._print_of(self._logons.credentials[name])]
            for name, counted in self.guard.counted().items()
            if name in self._logons.credentials
        }
        self._store.keep("logons", counts)

    def _print_of(self, who: Credentials) -> str:
        """Eight bits by which a sweep sees that a password is another one; nobody can find the password by them."""
        return hashlib.sha256(f"{self.name} {astuple(who)!r}".encode("utf-8", "surrogatepass")).hexdigest()[:2]

    def _carry_counts(self) -> None:
        if not isinstance(self._store, Store):
            return
        for name, (wrong, unknown, known_by) in (self._store.meta("logons") or {}).items():
            who = self._logons.credentials.get(name)
            if who is not None and self._print_of(who) == known_by:
                self.guard.carry(name, wrong, unknown)

    def _chosen_scheduler(self) -> Scheduler:
        if self._address is not None:
            return _dask_workers(self._address)
        count = self.options.processes
        if count is None:
            total = self._progress.total
            few = (total is not None and total <= FEW) or self.options.polite
            count = 0 if few else _processors()
        if not count:
            return InProcess()
        from lanman.fleet.processes import Processes

        return Processes(count)

    def _begin(self) -> None:
        """A new sweep."""
        total = self._sources.checked()
        self._progress.total = total if not self._streams else None
        if self.folder is None:
            self._store = Unkept()
            return
        assert self._kind is not None
        given = self._credentials
        meta = {
            "sweep": self.name,
            "texts": self._sources.texts,
            "port": self._sources.port,
            "exclude": self._sources.exclude,
            "shard": self._sources.shard,
            "shuffled": self._sources.shuffled,
            "logon": None if given is None else given.logon_name,
            "credentials_file": None if self._credentials_file is None else str(self._credentials_file),
            "whole": not self._streams,
            "begun_at": time.time(),
            "options": asdict(self._given),
        }
        self._store = Store.created(self.folder, kind=self._kind, format=self._format, meta=meta)

    def _go_on(self) -> None:
        """An earlier sweep: its targets, those that are named besides, and what is to be asked again."""
        assert self._resume is not None
        self._store = store = Store.resumed(self._resume)
        if self._kind not in (None, store.kind):
            raise Win32Error(
                codes.ERROR_INVALID_PARAMETER, f"{self._resume} is a sweep of {store.kind}", hint=f"ask {store.kind}"
            )
        self._kind, self._format, self.name = store.kind, store.format, store.meta("sweep")
        self._go_on_as(store.meta("options") or {})
        kept = store.meta("logon")
        if kept is not None and self._credentials is None:
            raise AuthenticationError(
                f"the sweep was begun as {kept or 'a null session'}, and nobody said so now",
                code=codes.ERROR_NOT_AUTHENTICATED,
                hint=f"give -U {kept} again" if kept else "give -N again",
            )
        file = store.meta("credentials_file")
        if self._credentials_file is None and file is not None:
            self._credentials_file = Path(file)
        added = tuple(text for text in self._sources.texts if text not in store.meta("texts"))
        self._sources = Sources(
            (*store.meta("texts"), *added),
            store.meta("port"),
            store.meta("exclude"),
            store.meta("shard"),
            store.meta("shuffled"),
        )
        if added:
            store.keep("texts", self._sources.texts)
        store.forget(RETRIED if self._retry else (Result.CANCELLED,))
        self._progress.counts.update(store.counts())
        self._progress.rows = store.rows()
        self._progress.total = self._sources.checked()
        if not self._streams and not store.meta("whole"):
            self._bad_target = LanmanError(
                "not all targets of the stream had been read when the sweep ended",
                code=codes.ERROR_MORE_DATA,
                hint="give the stream again, beside --resume",
            )
        if (path := store.spooled()) is not None:
            self._progress.total = None
            self._streams.insert(0, lambda port: reading.file_targets(path, port))

    def _go_on_as(self, kept: Mapping[str, Any]) -> None:
        """Ask as the sweep was begun, wherever nobody says otherwise now: as slowly, and as carefully."""
        default, given = Options(), self._given
        left = {
            name: kept[name]
            for name in asdict(given)
            if name in kept and getattr(given, name) == getattr(default, name)
        }
        self.options = options = replace(given, **left).chosen()
        self._may_widen = left.get("in_flight", given.in_flight) is None and not options.polite
        self.guard.limit = options.logon_failures
        self._line = Line(options.in_flight or 1, options.per_subnet, options.rate)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # --- the course

    async def _looked_after(self, work: Any) -> None:
        """One of the tasks: what it fails of is the end of the sweep."""
        try:
            await work
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  # it is raised where outcomes are taken
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if self._failure is None:
            self._failure = error
            while self._out.full():
                self._out.get_nowait()
            self._out.put_nowait(None)

    async def _feed(self) -> None:
        sources = self._sources
        exclusion = await self._in_thread(sources.exclusion)
        is_kept = isinstance(self._store, Store)
        spooled = 1 if is_kept and self._resume is not None and self._store.spooled() is not None else 0  # type: ignore[union-attr]
        flows: list[tuple[Iterator[Target], bool]] = [(sources.targets(), False)]
        for number, stream in enumerate(self._streams):
            flows.append((sources.taken(stream(sources.port)), number >= spooled))
        try:
            for flow, is_new in flows:
                self._source = source = Source(flow, batch=1 if is_new else 256)
                while batch := await source.take():
                    if is_new:
                        lines = [reading.as_line(target) for target in batch]
                        await self._in_thread(lambda lines=lines: self._store.spool(lines))  # type: ignore[misc]
                    for claimed in await self._in_thread(lambda batch=batch: self._store.claim(batch)):  # type: ignore[misc]
                        self._enter(claimed, exclusion)
                    self._pump()
                    await self._wait_for_room()
            if self._streams and self._bad_target is None:
                await self._in_thread(lambda: self._store.keep("whole", True))
        except LanmanError as error:
            # What was read before it is asked all the same.
            self._bad_target = error
        self._is_fed = True
        if self._bad_target is None:
            self._progress.total = self._progress.done + self._held
        self._news.set()

    async def _wait_for_room(self) -> None:
        window = max(256, 4 * (self.options.in_flight or 1))
        while self._held >= window:
            self._room.clear()
            await self._room.wait()

    def _enter(self, target: Target, exclusion: reading.Exclusion) -> None:
        """A target that is to be asked: straight into line, or looked up first."""
        self._held += 1
        if target.server == THIS_MACHINE or is_numeric(target.server):
            self._into_line(target, (), self.options.deadline)
            return
        task = asyncio.create_task(self._look_up(target, exclusion))
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)

    async def _look_up(self, target: Target, exclusion: reading.Exclusion) -> None:
        begun = time.monotonic()
        try:
            found = await self._lookups.addresses(target.server, self.options.deadline)
        except LanmanError as error:
            self._over(target, error, took=time.monotonic() - begun)
            return
        if exclusion.means(target.server, found):
            excluded = LanmanError(
                "its address is excluded", code=codes.ERROR_CANCELLED, hint="see the file of --exclude"
            )
            self._over(target, excluded, result=Result.CANCELLED)
            return
        left = max(0.1, self.options.deadline - (time.monotonic() - begun))
        self._into_line(target, found, left)
        self._pump()

    def _into_line(self, target: Target, addresses: tuple[str, ...], seconds: float) -> None:
        name = None
        if target.server != THIS_MACHINE:
            try:
                name = self._logons.choose(target, addresses)
            except LanmanError as error:
                self._over(target, error)
                return
        subnet = subnet_of(addresses[0] if addresses else target.server)
        self._subnets[target.key] = subnet
        self._line.offer(Job(target, name, seconds, addresses), subnet)

    def _over(self, target: Target, error: LanmanError, *, took: float = 0.0, result: Result | None = None) -> None:
        """A target whose outcome is known without asking it."""
        self._finished.append(
            FleetOutcome(
                target,
                result or result_of(error),
                error.code,
                error.text,
                error.hint,
                asked_at=time.time() - took,
                took_ms=round(took * 1000),
            )
        )
        self._news.set()

    def _pump(self) -> None:
        """Begin what may begin."""
        loop = asyncio.get_running_loop()
        assert self._scheduler is not None
        if jobs := self._line.ready(loop.time()):
            self._scheduler.give(jobs)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (at := self._line.next_at()) is not None:
            self._timer = loop.call_at(at, self._pump)

    async def _collect(self) -> None:
        assert self._scheduler is not None
        while True:
            for outcome in await self._scheduler.take():
                self._line.done(self._subnets.pop(outcome.target.key))
                self._finished.append(outcome)
            self._pump()
            self._news.set()

    async def _commit(self) -> None:
        """Put outcomes on the disk and hand them out, until there are no more."""
        while not (self._is_fed and not self._held):
            await self._news.wait()
            self._news.clear()
            if len(self._finished) < min(_MANY, self._held):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_GATHER):
                        while len(self._finished) < min(_MANY, self._held):
                            await self._news.wait()
                            self._news.clear()
            await self._record()
        await self._in_thread(self._store.finish)
        await self._out.put(None)

    async def _record(self) -> None:
        batch, self._finished = self._finished, []
        if not batch:
            return
        # What has begun to be kept is kept to the end, whoever stops waiting for it.
        self._keeping = asyncio.create_task(self._keep(batch))
        await asyncio.shield(self._keeping)
        self._room.set()
        for outcome in batch:
            await self._out.put(outcome)

    async def _keep(self, batch: Sequence[FleetOutcome]) -> None:
        await self._in_thread(lambda: self._store.record(batch))
        for outcome in batch:
            self._progress.counts[outcome.result] += 1
            self._progress.rows += outcome.count
        self._held -= len(batch)
        now = time.monotonic()
        if now - self._ticks[-1][0] > _TICK:
            self._ticks.append((now, self._progress.done))

    # --- the end

    async def _close(self, *, unbegun: bool = False) -> None:
        if self._source is not None:
            self._source.stop()
        if self._timer is not None:
            self._timer.cancel()
        feeding = self._tasks[:1]
        committing = self._tasks[2:]
        for task in (*feeding, *committing, *self._looking):
            task.cancel()
        await asyncio.gather(*feeding, *committing, *self._looking, return_exceptions=True)
        try:
            await self._keep_the_rest()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            if self._scheduler is not None:
                await self._scheduler.close()
            self._lookups.close()
            if hasattr(self, "_store"):
                await self._in_thread(self._store.discard if unbegun else self._store.close)
            self._thread.shutdown()

    async def _keep_the_rest(self) -> None:
        """What is in flight ends now; what has come of it is kept."""
        if not self._tasks or self._scheduler is None:
            return
        self._line.clear()
        if self._line.out and self._failure is None:
            self._scheduler.cancel()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORDS):
                    while self._line.out:
                        self._news.clear()
                        await self._news.wait()
        if self._keeping is not None:
            await self._keeping
        batch, self._finished = self._finished, []
        if batch and self._failure is None:
            await self._keep(batch)
        if self._failure is None:
            await self._in_thread(self._store.finish)


def _dask_workers(address: str) -> Scheduler:
    """The workers of a Dask cluster. Raises LanmanError 50 where the extra is not installed, Win32Error 87 for an
    address that cannot be used."""
    from lanman.fleet.dask.address import checked_address

    checked_address(address)
    try:
        from lanman.fleet.dask.scheduler import DaskWorkers
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("lanman"):
            raise
        raise LanmanError(
            "no Dask cluster can be used here", code=codes.ERROR_NOT_SUPPORTED, hint="pip install 'lanman[cluster]'"
        ) from None
    return DaskWorkers(address)


def _processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
