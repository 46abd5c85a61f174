"""Plans, each with the person who made it: from the look that made it until its outcomes have been read.

    planned -> running -> done | stopped | failed
       |-> expired

The rules:

  - A plan does nothing. It can be run for `LASTS` seconds, once, by the person who made it.
  - A run has a Manager of its own, with that person's credentials, and goes on to its end whoever logs out, or goes
    away: who begins an order has the right to, and a half that nobody knows of helps nobody. Every run is bounded
    (`Work.lasts`). The password that it needs is its own copy, which goes with it.
  - Several plans may be for one server, and run at the same time: each looks again right before each order.
  - What became of each row is told as it comes, in the streams of the person, and kept for `KEEP` seconds.
  - Somebody else's plan is refused; a run that may be stopped may be seen and stopped by whoever is logged on at the
    server as the same user and may give orders there.
  - There are at most `MOST` plans, and `MOST_OF_ONE` of a person; those go first that are over, and were made first.
  - Where a database is named, what was done is noted there. An order does not depend on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Protocol

from lanman import codes
from lanman.errors import LanmanError
from lanman.faces.ordering import is_typed
from lanman.faces.web.answers import Refused
from lanman.faces.web.plans.work import Place, Work
from lanman.manage.history.records import Deed
from lanman.names import fold
from lanman.plain import dataclass
from lanman.shown import escape

if TYPE_CHECKING:
    from lanman.faces.web.people import Access, Person
    from lanman.manage.kept import Opening

log: Final = logging.getLogger("lanman.web")

LASTS: Final = 60.0
KEEP: Final = 900.0
MOST: Final = 1000
MOST_OF_ONE: Final = 50
MOST_MAKING: Final = 4
"""How many plans of one person are being made at once: each asks the server several questions."""
MOST_EVENTS: Final = 10_000
"""How many events of a drain are kept; the newest."""


class State(Enum):
    """Where a plan is."""

    PLANNED = "planned"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"
    EXPIRED = "expired"

    @property
    def is_over(self) -> bool:
        """Whether nothing will become of it any more."""
        return self not in (State.PLANNED, State.RUNNING)


@dataclass(eq=False, slots=True)
class Kept:
    """A plan, and what became of it. `made_at` and `over_at` are by the console's clock, in seconds."""

    id: str
    person: Person
    access: Access
    verb: str
    work: Work
    made_at: float
    state: State = State.PLANNED
    outcomes: dict[int, dict[str, Any]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    verdict: str | None = None
    error: LanmanError | None = None
    note: str | None = None
    with_others: bool = False
    over_at: float = 0.0
    task: asyncio.Task[None] | None = None

    @property
    def server(self) -> str:
        """The server that it is for."""
        return self.access.server


class Settings(Protocol):
    """What is set for the console."""

    @property
    def readonly(self) -> bool:
        """Whether it gives no orders."""

    @property
    def home(self) -> str | None:
        """Where the notes of drains lie; None for the default home."""


class Named(Protocol):
    """A server."""

    @property
    def drained_as(self) -> str:
        """What it is called in the notes of drains."""


class Noting(Protocol):
    """What keeps deeds."""

    async def note(self, deeds: Sequence[Deed]) -> None:
        """Note what was done, where that is wanted. Raises LanmanError."""


class Owner(Protocol):
    """What plans need of the console: see `lanman.faces.web.console.Console`."""

    @property
    def settings(self) -> Settings:
        """What is set."""

    @property
    def clock(self) -> Callable[[], float]:
        """Seconds that do not go back."""

    @property
    def history(self) -> Noting:
        """What keeps deeds."""

    @property
    def servers(self) -> Mapping[str, Named]:
        """The servers, by name."""

    def doer(self, access: Access) -> str:
        """What history calls whoever has an access."""

    def opening_for(self, access: Access) -> tuple[Opening, Callable[[], None]]:
        """How Managers are opened for a work that outlives a session; and what forgets the password."""

    def look_now(self, server: str) -> None:
        """Something was done to a server."""


class Plans:
    """The plans of a console."""

    def __init__(self, console: Owner, emit: Callable[[Person, Mapping[str, Any]], None]) -> None:
        self._console = console
        self._emit = emit
        self._kept: dict[str, Kept] = {}
        self._closed = False
        self._making: Counter[Person] = Counter()

    # --- making

    @contextlib.contextmanager
    def making(self, person: Person) -> Iterator[None]:
        """While a plan is being made. Raises Refused 429 for somebody who has too many made at once."""
        if self._making[person] >= MOST_MAKING:
            raise Refused(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"{MOST_MAKING} plans of yours are being made already",
                code=codes.ERROR_BUSY,
                hint="wait for them",
            )
        self._making[person] += 1
        try:
            yield
        finally:
            self._making[person] -= 1
            if not self._making[person]:
                del self._making[person]

    def place(self, person: Person, access: Access) -> Place:
        """Where a plan of a person is for."""
        settings = self._console.settings
        console, server = self._console, self._console.servers[access.server]
        return Place(person, access, access.opening, console.doer(access), settings.home, server.drained_as)

    def keep(self, person: Person, access: Access, verb: str, work: Work) -> Kept:
        """Keep a plan that was made. Raises Refused 429 where there are too many that run."""
        self._tidy()
        self._make_room(person)
        now = self._console.clock()
        kept = Kept(secrets.token_urlsafe(16), person, access, verb, work, now)
        self._kept[kept.id] = kept
        return kept

    def _make_room(self, person: Person) -> None:
        for most, theirs in (
            (MOST_OF_ONE, [each for each in self._kept.values() if each.person is person]),
            (MOST, list(self._kept.values())),
        ):
            idle = sorted(
                (each for each in theirs if each.state is not State.RUNNING), key=lambda each: not each.state.is_over
            )
            for each in idle[: max(0, len(theirs) - most + 1)]:
                del self._kept[each.id]
            if len(theirs) - len(idle) >= most:
                raise Refused(
                    HTTPStatus.TOO_MANY_REQUESTS,
                    "too many plans are being run",
                    code=codes.ERROR_BUSY,
                    hint="wait until some have ended",
                )

    def _tidy(self) -> None:
        """Let plans expire, and forget those that have been over for long."""
        now = self._console.clock()
        for each in list(self._kept.values()):
            if each.state is State.PLANNED and (now - each.made_at >= LASTS or each.person.ended):
                each.state, each.over_at = State.EXPIRED, now
            if each.state.is_over and now - each.over_at >= KEEP:
                del self._kept[each.id]

    # --- finding

    def expires_in(self, kept: Kept) -> int:
        """For how many whole seconds it can still be run."""
        return max(0, int(LASTS - (self._console.clock() - kept.made_at)))

    def find(self, person: Person, id: str) -> Kept:
        """The plan of this id. Raises Refused 404, and 403 for somebody else's."""
        self._tidy()
        kept = self._kept.get(id)
        if kept is None:
            raise Refused(
                HTTPStatus.NOT_FOUND,
                "there is no such plan",
                code=codes.ERROR_NOT_FOUND,
                hint="it may be over for long: make it again",
            )
        if kept.person is not person and not self._may_stop(person, kept):
            raise Refused(
                HTTPStatus.FORBIDDEN,
                "that is somebody else's plan",
                code=codes.ERROR_ACCESS_DENIED,
                hint="make one of your own",
            )
        return kept

    def of(self, person: Person) -> list[Kept]:
        """The plans that a person may see, the newest first."""
        self._tidy()
        theirs = [each for each in self._kept.values() if each.person is person or self._may_stop(person, each)]
        return theirs[::-1]

    @staticmethod
    def _may_stop(person: Person, kept: Kept) -> bool:
        """Whether it is a run that somebody else may see and stop: one that goes on for long."""
        access = person.accesses.get(kept.server)
        if access is None or not access.may_order or not kept.work.can_stop or kept.state is State.PLANNED:
            return False
        return person.kind == kept.person.kind and fold(access.user) == fold(kept.access.user)

    # --- running

    def run(self, person: Person, id: str, confirm: str | None, *, with_others: bool) -> Kept:
        """Begin to run a plan. Raises Refused."""
        kept = self.find(person, id)
        if kept.person is not person:
            raise Refused(HTTPStatus.FORBIDDEN, "that is somebody else's plan", code=codes.ERROR_ACCESS_DENIED)
        if kept.state is State.EXPIRED:
            raise Refused(
                HTTPStatus.GONE,
                f"the plan was made more than {LASTS:.0f} seconds ago",
                code=codes.ERROR_CANCELLED,
                hint="make it again: the server may be otherwise by now",
            )
        if kept.state is not State.PLANNED:
            raise Refused(
                HTTPStatus.CONFLICT,
                "the plan was run already",
                code=codes.ERROR_BUSY,
                hint="make another one for what is left",
            )
        self.check_may_order(person, kept.access)
        if kept.work.is_grave(with_others=with_others) and not is_typed(confirm or "", kept.server):
            raise Refused(
                HTTPStatus.BAD_REQUEST,
                "many would be ended, or unsaved work may be lost: the server's name has to be typed",
                code=codes.ERROR_INVALID_PARAMETER,
                hint=f"confirm is {kept.server}",
            )
        kept.state, kept.with_others = State.RUNNING, with_others
        opening, wipe = self._console.opening_for(kept.access)
        place = self.place(person, kept.access)._replace(opening=opening)
        log.info("%s runs a plan: %s at %s", escape(place.doer), kept.verb, escape(kept.server))
        kept.task = asyncio.create_task(self._run(kept, place, wipe))
        return kept

    def check_may_order(self, person: Person, access: Access) -> None:
        """Raise Refused 403 for somebody who gives no orders."""
        if self._console.settings.readonly:
            message, hint = "this console only looks", "start it without --readonly"
        elif person.kind == "proxy":
            message, hint = "you are known by a proxy and may look", "log on at the server to give orders"
        elif not access.may_order or person.ended or self._closed:
            message, hint = f"you give no orders at {access.server}", "log on there"
        else:
            return
        raise Refused(HTTPStatus.FORBIDDEN, message, code=codes.ERROR_ACCESS_DENIED, hint=hint)

    async def _run(self, kept: Kept, place: Place, wipe: Callable[[], None]) -> None:
        noter = _Noter(self._console.history)
        teller = _Teller(self, kept, noter)
        state = State.DONE
        try:
            async with asyncio.timeout(kept.work.lasts):
                kept.verdict = await kept.work.run(place, teller, with_others=kept.with_others)
        except LanmanError as error:
            state, kept.error = State.FAILED, error
        except TimeoutError:
            state = State.FAILED
            kept.error = LanmanError(
                f"it has not ended within {kept.work.lasts:.0f} seconds",
                code=codes.ERROR_SEM_TIMEOUT,
                hint="look what became of the rest, and make another plan",
            )
        except asyncio.CancelledError:
            state = State.STOPPED
        except Exception:  # whatever it is, whoever waits for it is told
            log.exception("a plan failed by an error of lanman's")
            state = State.FAILED
            kept.error = LanmanError("this failed by an error of lanman's", code=codes.NERR_InternalError)
        finally:
            wipe()
            with contextlib.suppress(asyncio.CancelledError):
                kept.note = await noter.finish()
            kept.state, kept.over_at = state, self._console.clock()
            self.told(kept, self.progress(kept))
            self._console.look_now(kept.server)

    def stop(self, person: Person, id: str) -> Kept:
        """Stop a run that goes on for long: what it has closed is opened again. Raises Refused."""
        kept = self.find(person, id)
        self.check_may_order(person, person.accesses.get(kept.server, kept.access))
        if kept.state is not State.RUNNING or kept.task is None:
            raise Refused(
                HTTPStatus.CONFLICT, "the plan is not being run", code=codes.ERROR_BUSY, hint="there is nothing to stop"
            )
        if not kept.work.can_stop:
            raise Refused(
                HTTPStatus.CONFLICT,
                "what was ordered cannot be taken back",
                code=codes.ERROR_BUSY,
                hint="it is over in a moment",
            )
        self._cancel(kept)
        return kept

    @staticmethod
    def _cancel(kept: Kept) -> None:
        """Cancel a run. One that has not taken its first step takes that first: what ends a run is in it."""
        task = kept.task
        assert task is not None
        asyncio.get_running_loop().call_soon(task.cancel)

    # --- telling

    def told(self, kept: Kept, what: Mapping[str, Any]) -> None:
        """Tell the streams of a plan's person."""
        self._emit(kept.person, {"plan": kept.id, "server": kept.server, "verb": kept.verb, **what})

    def progress(self, kept: Kept) -> dict[str, Any]:
        """Where a plan is."""
        error = kept.error
        return {
            "state": kept.state.value,
            "verdict": kept.verdict,
            "error": None if error is None else {"code": error.code, "message": error.message, "hint": error.hint},
            "note": kept.note,
        }

    # --- life

    def leave(self, person: Person) -> None:
        """A person has ended: what they have planned is not run any more."""
        self._tidy()

    async def close(self) -> None:
        """Stop drains, which opens their servers again, and wait for what else is under way. May be called twice."""
        self._closed = True
        running = [each for each in self._kept.values() if each.task is not None and not each.task.done()]
        for each in running:
            self._cancel(each)
        tasks = [each.task for each in running if each.task is not None]
        if tasks:
            await asyncio.wait(tasks)


class _Teller:
    """Hears what a run does: keeps it, tells it, and has history keep it."""

    def __init__(self, plans: Plans, kept: Kept, noter: _Noter) -> None:
        self._plans, self._kept, self._noter = plans, kept, noter

    def outcome(self, number: int, outcome: Mapping[str, Any]) -> None:
        """See `Tell.outcome`."""
        row = self._kept.work.rows[number]
        told = {"number": number, "key": row["key"], "kind": row["kind"], **outcome}
        self._kept.outcomes[number] = told
        self._plans.told(self._kept, {"state": self._kept.state.value, "outcome": told})

    def event(self, event: Mapping[str, Any]) -> None:
        """See `Tell.event`."""
        told = dict(event)
        self._kept.events.append(told)
        del self._kept.events[:-MOST_EVENTS]
        self._plans.told(self._kept, {"state": self._kept.state.value, "event": told})

    def deed(self, deed: Deed | None) -> None:
        """See `Tell.deed`."""
        if deed is not None:
            self._noter.hold(deed)


class _Noter:
    """Notes what is done as it is done: a drain goes on for hours, and what it did must not be lost with it."""

    def __init__(self, history: Noting) -> None:
        self._history = history
        self._held: list[Deed] = []
        self._writing: asyncio.Task[None] | None = None
        self._trouble: str | None = None

    def hold(self, deed: Deed) -> None:
        """Have this noted soon."""
        self._held.append(deed)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def _write(self) -> None:
        while self._held:
            deeds, self._held = self._held, []
            try:
                await self._history.note(deeds)
            except LanmanError as error:
                self._trouble = f"who did this is not noted in history: {error.with_hint}"
                log.warning("%s", escape(self._trouble))

    async def finish(self) -> str | None:
        """Wait until all of it is noted; what went wrong, in a sentence."""
        if self._writing is not None:
            await asyncio.wait({self._writing})
        return self._trouble
