"""`drain`: lets everybody leave a server, and says what happens.

    async with Looker(opening, order.scope, clock) as looker:
        result = await Drain(looker, rules, order, kept).run()
    if result.drained: ...

Rules:

  - First comes a look, whose errors are the caller's. Then a pause is noted (`lanman.net.drains`), and only then made.
  - A drain that does not end with DRAINED opens the server again, if it was the drain that closed it, unless it is to
    stay closed. So it is for errors, for a time-out and where the task is cancelled; who cancels it twice does not
    keep it from that.
  - Before each look the server is asked whether it is paused still. Where somebody has continued it, or it was started
    again, that is somebody's decision: it is said, and newcomers are treated like the others from then on.
  - A pause that was there before is somebody else's, and stays; one that a drain before has noted is this one's, unless
    the server was started after that.
  - Who is to be told is told while time passes: nothing waits for a mail server.
  - An order that is denied ends the drain: this user can end nobody. A server that does not answer ends it with its
    time only.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import warnings
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lanman import codes
from lanman.errors import AccessDenied, ConnectionLost, LanmanError, Win32Error
from lanman.manage.drain.looks import Aside, Clock, Looker, Scope, Sight
from lanman.manage.drain.machine import (
    DEFAULT_QUIET,
    DEFAULT_TIMEOUT,
    End,
    Event,
    Happening,
    Holder,
    Joint,
    Machine,
    Phase,
    Rules,
    Verdict,
    people,
)
from lanman.manage.kept import Opening
from lanman.manage.manager import DEFAULT_TIMEOUT as DEFAULT_DEADLINE
from lanman.manage.manager import Manager
from lanman.manage.orders import Outcome, Plan, What
from lanman.names import fold
from lanman.net.drains import KeptDrain
from lanman.net.tell.people import Message, Person, Telling, Told
from lanman.plain import dataclass
from lanman.records import ServiceState
from lanman.shown import escape

if TYPE_CHECKING:
    from lanman.net.credentials import Credentials
    from lanman.net.tell.teller import Teller


TELLING: Final = "lanman-tell"
"""The name of the task in which people are told."""

MAX_NAMED: Final = 5
"""How many are named in one sentence of those who were not told."""


_CLOCKS_DRIFT: Final = 2
"""Seconds by which the ages of a server and of a note may be wrong: both are in whole seconds."""


@dataclass(slots=True)
class DrainResult:
    """How a drain ended. `left` are those who were there at the last look, and `reasons` say of each why it could not
    be ended, "" where nothing but time kept it. `cordoned`: newcomers were kept out. `paused`: the drain has left the
    server closed."""

    server: str
    verdict: Verdict
    left: tuple[Holder, ...] = ()
    reasons: tuple[str, ...] = ()
    cordoned: bool = False
    paused: bool = False
    told: list[Telling] = field(default_factory=list)
    nodes: dict[str, DrainResult] = field(default_factory=dict)
    """Of several servers that are one: how it ended at each, by their names."""

    @property
    def drained(self) -> bool:
        """Whether nobody was there for long enough."""
        return self.verdict is Verdict.DRAINED


@dataclass(frozen=True, slots=True)
class DrainOrder:
    """What a drain is asked for, beyond `Rules`. `message` None is a sentence with the time."""

    scope: Scope = field(default_factory=Scope)
    cordon: bool = True
    keep_paused: bool = False
    message: str | None = None


class SystemClock:
    """The time at which it was made, and what has passed since: nobody is ended earlier, and no server called empty,
    because the clock of this machine was set."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """Seconds since 1970."""
        return self._offset + time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait so long."""
        await asyncio.sleep(max(0.0, seconds))


class Drain:
    """One drain of one server; `run` does it. `on_event` is called with each event as it happens. Those of several
    servers have one `joint`."""

    def __init__(
        self,
        looker: Looker,
        rules: Rules,
        order: DrainOrder,
        kept: KeptDrain | None,
        *,
        teller: Teller | None = None,
        on_event: Callable[[Event], None] | None = None,
        clock: Clock | None = None,
        joint: Joint | None = None,
    ) -> None:
        self._looker = looker
        self._order = order
        self._kept = kept
        self._teller = teller
        self._on_event = on_event
        self._clock = clock or SystemClock()
        self._machine = Machine(rules, self._clock.now(), joint or Joint())
        self._closed_by_us = False
        self._server = ""
        self._told: list[Telling] = []
        self._telling: asyncio.Task[None] | None = None

    async def run(self) -> DrainResult:
        """Drain, and leave the server as it should be. Raises LanmanError, and CancelledError after it has done so."""
        machine = self._machine
        with contextlib.ExitStack() as stack:
            if self._kept is not None and self._order.scope.whole:
                stack.enter_context(self._kept.held())
            sight = await self._looker.look()
            self._server = sight.server
            machine.left = sight.look.holders
            try:
                await self._cordon()
                await self._begin_telling(sight)
                await self._watch()
            except asyncio.CancelledError:
                machine.stop(Verdict.INTERRUPTED, self._clock.now())
                raise
            except LanmanError as error:
                machine.stop(Verdict.FAILED, self._clock.now(), error.message)
                raise
            finally:
                # Whatever fails, an `on_event` whose reader has gone among it, the server is not left closed by that.
                machine.stop(Verdict.FAILED, self._clock.now())
                try:
                    self._publish()
                finally:
                    try:
                        await self._end_telling()
                    finally:
                        await uninterrupted(self._reopen())
        reasons = tuple(machine.reasons.get(holder.who, "") for holder in machine.left)
        assert machine.verdict is not None
        return DrainResult(
            self._server,
            machine.verdict,
            machine.left,
            reasons,
            machine.is_cordoned,
            self._closed_by_us,
            self._told,
        )

    # --- keeping newcomers out

    async def _cordon(self) -> None:
        if not self._order.cordon or not self._order.scope.whole:
            why = "" if self._order.scope.whole else "only a whole server can be paused"
            self._machine.cordoned(False, self._clock.now(), why)
            self._publish()
            return
        try:
            await self._pause()
        except Win32Error as error:
            if error.code != codes.ERROR_NOT_SUPPORTED:
                raise
            self._machine.cordoned(False, self._clock.now(), error.with_hint)
        self._publish()

    async def _pause(self) -> None:
        """Pause the server, and know whether it is this drain's to open it again."""
        manager = await self._looker.manager()
        was_paused = await manager.service_state() is ServiceState.PAUSED
        earlier = None if self._kept is None else self._kept.read()
        if earlier is not None and was_paused and await self._started_since(manager, earlier.paused_at):
            earlier = None  # a server that is started again runs: this pause is another one
        ours = not was_paused or earlier is not None
        if ours and self._kept is not None:
            self._kept.note(self._clock.now())
        # Before the order: what became of one whose answer is lost nobody knows.
        self._closed_by_us = ours
        try:
            paused_now = await manager.pause()
        except Win32Error as error:
            # A service that took the order and did not do it in time may do it yet.
            if isinstance(error, AccessDenied) or error.code == codes.ERROR_NOT_SUPPORTED:
                self._closed_by_us = False
                if earlier is None:
                    self._forget()
            raise
        message = ""
        if earlier is not None and not paused_now:
            message = "an earlier drain had paused it"
        elif not paused_now:
            message = "it was paused before"
            self._closed_by_us = False
            self._forget()
        self._machine.cordoned(True, self._clock.now(), message)

    async def _started_since(self, manager: Manager, paused_at: float) -> bool:
        """Whether the server was started later than a time by this machine's clock; False where it does not say.
        Ages are compared: two machines' clocks need not agree."""
        try:
            start = (await manager.statistics()).start
            now = (await manager.time_of_day()).elapsedt
        except Win32Error:
            return False
        return 0 < start <= now and now - start + _CLOCKS_DRIFT < self._clock.now() - paused_at

    async def _check_cordon(self) -> None:
        """Notice that the server is paused no longer."""
        manager = await self._looker.manager()
        if (state := await manager.service_state()) is ServiceState.PAUSED:
            return
        self._closed_by_us = False
        self._forget()
        message = f"it is {state.value} by now: somebody has continued it, or it was started again"
        self._machine.cordoned(False, self._clock.now(), message)
        self._publish()

    def _forget(self) -> None:
        if self._kept is not None:
            self._kept.forget()

    async def _reopen(self) -> None:
        """Open the server again, if it was this drain that closed it and it is not to stay so."""
        if self._machine.verdict is not Verdict.DRAINED and not self._order.keep_paused:
            await self.reopen()

    @property
    def is_closed(self) -> bool:
        """Whether the server is closed by this drain."""
        return self._closed_by_us

    async def reopen(self) -> None:
        """Open the server again, if it was this drain that closed it, even where it is drained; `on_event` hears of it.
        Never fails."""
        if not self._closed_by_us:
            return
        now = self._clock.now()
        try:
            await self._continue()
        except LanmanError as error:
            self._emit(Event(now, Phase.DONE, Happening.NOT_CONTINUED, message=error.with_hint))
            return
        self._closed_by_us = False
        self._emit(Event(now, Phase.DONE, Happening.CONTINUED))

    async def _continue(self) -> None:
        try:
            await (await self._looker.manager()).continue_()
        except ConnectionLost:
            await self._looker.close()
            await (await self._looker.manager()).continue_()
        self._forget()

    # --- telling people

    async def _begin_telling(self, sight: Sight) -> None:
        if self._teller is None or not self._machine.rules.warn or not sight.look.holders:
            return
        files = await self._looker.open_files()
        found = [
            Person(user, tuple(clients), tuple(paths or files.get(fold(user), ())))
            for user, (clients, paths) in people(sight.look.holders).items()
        ]
        title, text = _words(self._server, self._order, self._machine.until_warned)
        message = Message(self._server, title, self._order.message or text)
        self._telling = asyncio.create_task(self._inform(self._teller, found, message), name=TELLING)

    async def _inform(self, teller: Teller, found: list[Person], message: Message) -> None:
        self._told = await teller.tell(found, message, self._was_told)
        self._emit(Event(self._clock.now(), Phase.WARN, Happening.WARNED, message=summary(self._told)))

    def _was_told(self, telling: Telling) -> None:
        self._machine.told(self._clock.now(), telling.person.user_name, telling.told.value, telling.reason)
        self._publish()

    async def _end_telling(self) -> None:
        if self._telling is not None:
            if not self._telling.done():
                self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)

    # --- watching

    async def _watch(self) -> None:
        machine = self._machine
        while machine.verdict is None:
            if (wait := machine.next_look - self._clock.now()) > 0:
                await self._clock.sleep(wait)
            if machine.agreed(self._clock.now()):
                self._publish()
                return
            try:
                if machine.is_cordoned:
                    await self._check_cordon()
                sight = await self._looker.look()
            except ConnectionLost as error:
                await self._looker.close()
                machine.not_looked(self._clock.now(), error.message)
                self._publish()
                if machine.verdict is not None:
                    raise
                continue
            wanted = machine.looked(sight.look)
            self._publish()
            if wanted:
                await self._end(sight, wanted)

    async def _end(self, sight: Sight, wanted: Sequence[int]) -> None:
        denied: list[AccessDenied] = []

        def done(holder: Holder, outcome: Outcome) -> None:
            problem = None
            spared = outcome.what is What.SPARED
            if outcome.what is not What.DONE:
                problem = outcome.error.message if outcome.error is not None else ""
                if isinstance(outcome.error, AccessDenied):
                    denied.append(outcome.error)
                if spared and not problem:
                    return  # it has left by itself, or is another one by now: the next look sees
            self._machine.ended(self._clock.now(), holder, problem, spared=spared)
            self._publish()

        try:
            everybody = self._machine.ends_everybody(self._clock.now())
            await self._looker.end(sight, wanted, done, whatever_is_open=everybody)
        except ConnectionLost as error:
            self._machine.not_looked(self._clock.now(), error.message)
        if denied:
            raise denied[0]

    # --- saying what happens

    def _publish(self) -> None:
        for event in self._machine.take_events():
            self._emit(event)

    def _emit(self, event: Event) -> None:
        if self._on_event is not None:
            self._on_event(event)


async def uninterrupted(work: Coroutine[Any, Any, None]) -> None:
    """Await work to its end, whoever cancels the task meanwhile; that one's CancelledError comes after it."""
    task = asyncio.ensure_future(work)
    interrupted: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            interrupted = error
    task.result()
    if interrupted is not None:
        raise interrupted


def summary(told: Sequence[Telling]) -> str:
    """What became of telling people, in one sentence: `warned 11 of 12: mail 11; dave: no address known`."""
    ways: dict[str, int] = {}
    for telling in told:
        for outcome in telling.ways:
            if outcome.told is Told.YES:
                ways[outcome.way] = ways.get(outcome.way, 0) + 1
    parts = [", ".join(f"{way} {number}" for way, number in ways.items())] if ways else []
    missed = [telling for telling in told if telling.told is not Told.YES]
    parts += [f"{escape(each.person.user_name or 'nobody')}: {each.reason}" for each in missed[:MAX_NAMED]]
    if len(missed) > MAX_NAMED:
        parts.append(f"{len(missed) - MAX_NAMED} more were not")
    return f"warned {len(told) - len(missed)} of {len(told)}" + (f": {'; '.join(parts)}" if parts else "")


def _words(server: str, order: DrainOrder, at: float) -> tuple[str, str]:
    """The line above what people are told, and what they are told where nothing else was said."""
    when = datetime.fromtimestamp(at).astimezone().strftime("%H:%M %Z").strip()
    if order.scope.share is not None:
        what = f"The share {order.scope.share} of the file server {server}"
    elif order.scope.path is not None:
        what = f"A part of the file server {server}"
    else:
        what = f"The file server {server}"
    return (
        f"{server} will be closed at {when}",
        f"{what} will be closed at {when}. Please save your work and close your files there: what is open then may be "
        "closed, and what is not saved is lost.",
    )


def check_rules(rules: Rules) -> None:
    """Raises Win32Error 87 for times that cannot be: below zero, for ever, or a time-out before the others are over."""
    for name in ("warn", "grace", "timeout", "quiet_for"):
        if not 0 <= getattr(rules, name) < float("inf"):
            raise Win32Error(codes.ERROR_INVALID_PARAMETER, f"{name} must be a time, none below zero and none for ever")
    if rules.warn + rules.grace + rules.quiet_for > rules.timeout:
        raise Win32Error(
            codes.ERROR_INVALID_PARAMETER,
            f"the time-out of {rules.timeout:g} s is over before the times for warning, grace and quiet are: "
            f"{rules.warn + rules.grace + rules.quiet_for:g} s",
            hint="Give a longer time-out, or leave it out.",
        )


def rules_of(
    *,
    warn: float = 0.0,
    grace: float = 0.0,
    timeout: float | None = None,
    end: str | End = End.IDLE,
    quiet_for: float = DEFAULT_QUIET,
    include_mine: bool = False,
) -> Rules:
    """The rules of these times in seconds; without a time-out, half an hour after warning and grace. Raises Win32Error
    87 as `check_rules`, and for another `end` than "idle", "readers" and "all"."""
    try:
        ending = End(end)
    except ValueError:
        raise Win32Error(codes.ERROR_INVALID_PARAMETER, f"end is idle, readers or all, and not {end!r}") from None
    whole = warn + grace + max(DEFAULT_TIMEOUT, 2 * quiet_for) if timeout is None else timeout
    rules = Rules(warn, grace, whole, ending, quiet_for, include_mine)
    check_rules(rules)
    return rules


def scope_of(share: str | None, path: str | None) -> Scope:
    r"""Raises Win32Error 87 for a share and a path together, for empty ones, and for `\\server\share\path`: no server
    lists open files so, and nobody at all would be found there."""
    if share is not None and path is not None:
        raise Win32Error(codes.ERROR_INVALID_PARAMETER, "a share or a path is drained, not both")
    if "" in (share, path):
        raise Win32Error(codes.ERROR_INVALID_PARAMETER, "an empty name is no share and no path")
    if path is not None and path.replace("/", "\\").startswith("\\\\"):
        raise Win32Error(
            codes.ERROR_INVALID_PARAMETER,
            f"no server lists open files as {path}",
            hint="Name the path as `lanman file` lists it, or the share.",
        )
    return Scope(share, path)


def opening_of(
    server: str | None,
    credentials: Credentials | None,
    *,
    deadline: float = DEFAULT_DEADLINE,
    **how: object,
) -> Opening:
    """What opens a Manager of the server, again and again; `deadline` seconds bound each of its questions."""
    from lanman.manage.open import open_manager

    return lambda: open_manager(server, credentials, timeout=deadline, **how)  # type: ignore[arg-type]


def configured_teller(warn: Callable[[str], None] = warnings.warn) -> Teller:
    """What tells people as lanman.toml says; `warn` is called with what its owner should know. Raises LanmanError for a
    mistake in it, and for no way to tell."""
    from lanman.net.client_configuration import FILE, configuration_folder, read_client_configuration
    from lanman.net.tell.teller import Teller

    configuration = read_client_configuration()
    for warning in configuration.warnings:
        warn(warning)
    teller = Teller.of(configuration)
    if not teller.ways:
        raise LanmanError(
            f"nobody can be told: {configuration_folder() / FILE} has no [mail], [webhook] or [command]",
            code=codes.ERROR_FILE_NOT_FOUND,
            hint="Write one, or leave out the warning and give a grace.",
        )
    return teller


class Seen(NamedTuple):
    """Whom a drain would count now, and the plan for them; and what is open for clients that are away, which counts in
    the drain of a whole server once no session is left."""

    plan: Plan
    holders: tuple[Holder, ...]
    kept: tuple[Holder, ...] = ()


async def look(opening: Opening, scope: Scope, *, include_mine: bool = False, aside: Aside | None = None) -> Seen:
    """Look once; `aside` as for `Looker`. Raises LanmanError."""
    async with Looker(opening, scope, SystemClock(), include_mine=include_mine, aside=aside) as looker:
        sight = await looker.look()
        sessions = scope.whole and any(holder.path is None for holder in sight.look.holders)
        kept = await looker.kept() if sessions else []
    wanted = {id(sight.plan.targets[place]) for place in sight.places if place is not None}
    return Seen(sight.plan.only(lambda target: id(target) in wanted), sight.look.holders, tuple(kept))
