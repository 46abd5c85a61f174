"""The hub: one poll of a server for all who are told the same by it.

    viewing = await hub.join(person, access)      # for each request or stream; joining again costs nothing
    viewing.at, viewing.rows(Kind.SESSION)        # the place in the stream that is shown, and what is
    with hub.listen(person, ["fs1"]) as listener: # a stream: listener.news() whenever listener.some is set

The rules:

  - Nobody sees what the server would not tell them. Whoever comes looks once with their own credentials; who is told
    the same (`lanman.faces.web.live.told`) shares the poll of the others, on whoever's credentials it runs, and who is
    told something else has a poll of their own. This look is repeated every `RECHECK` seconds. Those who come with the
    very same opening (the command's own credentials) are known to be told the same.
  - A poll is shown to the others only while it is told what it was told when they were compared with it. When the one
    leaves on whose credentials it runs, is refused, or is told something else, another's takes its place, and all are
    given the whole again (`resync`).
  - A log-on that was refused is not tried again with that opening: only by logging in again. Whoever may log on and is
    told nothing is denied too, and looked at again with the next check.
  - A person has a viewing of a server as long as a stream of theirs is open, and `LINGER` seconds after they last
    asked; never after `leave`.
  - What is told has numbers of one sequence (`lanman.faces.web.live.ring`). A delta is made, and written as JSON, once
    for all who share a poll.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from lanman.errors import AccessDenied, AuthenticationError, LanmanError
from lanman.faces.web.live.deltas import Shown, as_json
from lanman.faces.web.live.poll import VERSION, Numbers, Poll
from lanman.faces.web.live.ring import News, Ring, Source, event_bytes, news, place_of
from lanman.faces.web.live.told import Asked, Clocks, is_told_as_much
from lanman.manage.kept import Opening
from lanman.manage.manager import DEFAULT_TIMEOUT, ORDERS
from lanman.manage.watching.changes import Picture
from lanman.manage.watching.forms import error_form, instant
from lanman.manage.watching.poller import EVERY
from lanman.manage.watching.rows import Kind, Row
from lanman.shown import escape

if TYPE_CHECKING:
    from lanman.faces.web.people import Access, Person

log: Final = logging.getLogger("lanman.web")

RECHECK: Final = 300.0
LINGER: Final = 60.0
DRAIN_TIMEOUT: Final = 0.75
CHECKS: Final = 2
"""So many people's first looks at one server go on at once."""
MAX_PAUSE: Final = 60.0
MAX_STREAMS: Final = 500
MAX_STREAMS_OF_ONE: Final = 16
_TIDY: Final = 10.0


def _failed(server: str, error: Exception) -> LanmanError:
    """Log what cannot happen, and say that it has."""
    log.error("looking at %s failed", escape(server), exc_info=error)
    return LanmanError(f"looking at {server} failed", hint="the log of the console says why")


class LoggedOut(AuthenticationError):
    """A person is not logged on any more."""


def _logged_out() -> LoggedOut:
    return LoggedOut("nobody is logged on any more", hint="log on again")


class TooManyStreams(LanmanError):
    """No more streams: of this person, or of all where `of_all`."""

    def __init__(self, message: str, *, hint: str, of_all: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.of_all = of_all


class Viewing:
    """What one person is shown of one server. Made by `Hub.attend`.

    `error` is why nothing new is known of it, None where all is well; `denied` says that it is for lack of rights.
    """

    def __init__(self, hub: Hub, person: Person, access: Access) -> None:
        self.person, self.access, self.server = person, access, access.server
        self.error: LanmanError | None = None
        self.denied = False
        self.since = 0
        """From which number on what is told of the server is theirs."""
        self.used_at = 0.0
        self.checked_at = 0.0
        """When the server last told this person what those are told who share the poll."""
        self.known = asyncio.Event()
        """Whether it is known what the server tells this person, or why it does not."""
        self.shared: _Shared | None = None
        self.wake = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self.told_state: object = None
        self._hub = hub

    @property
    def state(self) -> str:
        """`up`, `away` or `denied`."""
        if self.denied:
            return "denied"
        poll = self.poll
        return "up" if poll is not None and poll.begun.is_set() and poll.error is None else "away"

    @property
    def poll(self) -> Poll | None:
        """The poll that is shared; None where there is none yet, or none for this person."""
        return None if self.shared is None else self.shared.poll

    @property
    def picture(self) -> Picture | None:
        """What was seen of the server last; None where nothing is shown. It may be ahead of what is shown."""
        poll = self.poll
        return poll.picture if poll is not None and poll.begun.is_set() else None

    @property
    def shown(self) -> Shown:
        """What is shown; nothing where nothing is known."""
        return _NOTHING_SHOWN if self.poll is None else self.poll.shown

    @property
    def at(self) -> str:
        """The place in the stream of events that what is shown is of. A delta applies to it whose last number is
        higher."""
        return self._hub.numbers.place()

    def rows(self, kind: Kind) -> list[dict[str, Any]]:
        """What is shown of a kind, as `lanman watch --json` has it. The rows are shared: they are not to be changed."""
        shown = self.shown
        return [shown.form(key, row) for key, row in shown.of(kind).items()]

    def row(self, key: str) -> Row | None:
        """The row with a key, as it is shown; None where there is none."""
        return self.shown.row(key)

    def refused(self, kind: Kind) -> LanmanError | None:
        """Why the server does not tell a kind; None where it does, or nothing is known."""
        picture = self.picture
        return None if picture is None else picture.refused.get(kind)

    def form(self) -> dict[str, Any]:
        """The state of the server, as `hello` and `server` events tell it, without its name."""
        return _state_form(self)


_NOTHING_SHOWN: Final = Shown()


class _Shared:
    """A poll, and those who share it, the first first; it runs on the credentials of the `runner`."""

    def __init__(self, poll: Poll, runner: Viewing) -> None:
        self.poll = poll
        self.runner: Viewing | None = runner
        self.asked: Asked | None = None
        """The poller that runs now."""
        self.viewings: dict[Viewing, None] = {}
        self.task: asyncio.Task[None] | None = None


class _Place:
    """A server."""

    def __init__(self) -> None:
        self.shared: list[_Shared] = []
        self.viewings: dict[Viewing, None] = {}
        self.checks = asyncio.Semaphore(CHECKS)
        self.refused: WeakKeyDictionary[Opening, AuthenticationError] = WeakKeyDictionary()
        """Openings whose log-on was refused."""


class _Guest:
    """A person, and what they alone are told."""

    def __init__(self, number: int, now: float) -> None:
        self.ring = Ring(number)
        self.since = number
        self.viewings: dict[str, Viewing] = {}
        self.listeners: set[Listener] = set()
        self.left_at = now
        """When somebody last had anything of it."""


class Listener:
    """A stream of a person. `some` is set when there may be news; `ended` when they are logged off, or the hub ends.

    `position` is the number that they were told up to; `resumed` says that they were, and did not come just now.
    """

    def __init__(self, hub: Hub, person: Person, servers: Sequence[str], position: int | None) -> None:
        self.person, self.servers = person, servers
        self.resumed = position is not None
        self.position = hub.numbers.last if position is None else position
        self.some = asyncio.Event()
        self.ended = asyncio.Event()
        self._hub = hub

    def news(self) -> News:
        """What is new since it was last asked for. It counts as told."""
        self.some.clear()
        found = self._hub.news(self)
        self.position = self._hub.numbers.last
        return found

    def begin(self) -> None:
        """Whoever came just now is told what comes from now on."""
        if not self.resumed:
            self.position = self._hub.numbers.last


class Hub:
    """Asks servers every so many seconds, for whoever joins; a server that takes longer than `timeout` is away."""

    def __init__(self, every: float = EVERY, timeout: float = DEFAULT_TIMEOUT, *, clocks: Clocks | None = None) -> None:
        self.every, self.timeout = every, timeout
        self.numbers = Numbers()
        self.streams = 0
        """How many are open."""
        self._clocks = clocks or Clocks()
        self._clock = self._clocks.steady
        self._places: dict[str, _Place] = {}
        self._guests: dict[Person, _Guest] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._tidying: asyncio.Task[None] | None = None
        self._closed = False

    # --- coming and going

    def attend(self, person: Person, access: Access) -> Viewing:
        """The viewing of a server, begun now if there is none. Raises LoggedOut for who is not logged on any more."""
        if self._closed or person.ended:
            raise _logged_out()
        guest = self._guest(person)
        viewing = guest.viewings.get(access.server)
        if viewing is not None and viewing.access is not access:
            self._end(guest.viewings.pop(access.server))
            viewing = None
        if viewing is None:
            viewing = guest.viewings[access.server] = Viewing(self, person, access)
            self._places.setdefault(access.server, _Place()).viewings[viewing] = None
            viewing.task = asyncio.create_task(self._keep(viewing))
        viewing.used_at = self._clock()
        if self._tidying is None:
            self._tidying = asyncio.create_task(self._tidy())
        return viewing

    async def join(self, person: Person, access: Access) -> Viewing:
        """The same, when it is known what the server tells this person, or why nothing is. Raises LoggedOut."""
        viewing = self.attend(person, access)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.timeout):
                await viewing.known.wait()
        if person.ended:
            raise _logged_out()
        return viewing

    def look_now(self, server: str) -> None:
        """Have a server asked as soon as may be: something was done there."""
        place = self._places.get(server)
        for shared in () if place is None else place.shared:
            if shared.asked is not None:
                shared.asked.poller.look_now()

    def leave(self, person: Person) -> None:
        """End what runs for a person: their streams, and what is asked with their credentials."""
        guest = self._guests.pop(person, None)
        if guest is None:
            return
        for listener in guest.listeners:
            listener.ended.set()
        for viewing in guest.viewings.values():
            self._end(viewing)

    def stop(self) -> None:
        """End all streams, now."""
        self._closed = True
        for guest in self._guests.values():
            for listener in guest.listeners:
                listener.ended.set()

    async def close(self) -> None:
        """End all streams and disconnect from all servers. May be called twice."""
        self.stop()
        for person in list(self._guests):
            self.leave(person)
        if self._tidying is not None:
            self._tidying.cancel()
            await asyncio.wait({self._tidying})
            self._tidying = None
        # A server that hangs is not waited for: what is left is broken off where it is.
        for _ in range(2):
            if self._ending:
                await asyncio.wait(self._ending, timeout=DRAIN_TIMEOUT)
            for task in self._ending:
                task.cancel()

    def _guest(self, person: Person) -> _Guest:
        guest = self._guests.get(person)
        if guest is None:
            guest = self._guests[person] = _Guest(self.numbers.last, self._clock())
        return guest

    def _end(self, viewing: Viewing) -> None:
        """End a viewing."""
        place = self._places[viewing.server]
        del place.viewings[viewing]
        if viewing.task is not None:
            self._cancel(viewing.task)
        self._unseat(place, viewing)
        viewing.known.set()
        if not place.viewings and not place.refused:
            del self._places[viewing.server]

    def _cancel(self, task: asyncio.Task[None]) -> None:
        """Cancel a task, whose end `close` waits for."""
        task.cancel()
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _tidy(self) -> None:
        """Let go of what nobody has looked at for a while."""
        while True:
            await asyncio.sleep(_TIDY)
            now = self._clock()
            for person, guest in list(self._guests.items()):
                for name, viewing in list(guest.viewings.items()):
                    is_watched = any(name in listener.servers for listener in guest.listeners)
                    if is_watched:
                        viewing.used_at = now
                    elif now - viewing.used_at >= LINGER:
                        self._end(guest.viewings.pop(name))
                if guest.viewings or guest.listeners:
                    guest.left_at = now
                elif now - guest.left_at >= RECHECK:
                    del self._guests[person]

    # --- who is told what

    async def _keep(self, viewing: Viewing) -> None:
        """Find out what the server tells this person, again and again."""
        place, tries = self._places[viewing.server], 0
        while True:
            if self._runs_like(viewing):
                self._merge(place, viewing)
                pause = RECHECK
            elif viewing.poll is not None and viewing.poll.error is not None:
                pause = MAX_PAUSE  # whose poll it is finds out when it answers again
            else:
                async with place.checks:
                    answered = await self._look_safely(place, viewing)
                if viewing.access.opening in place.refused:
                    return
                tries = 0 if answered else tries + 1
                pause = RECHECK if answered else min(2.0**tries, MAX_PAUSE)
            viewing.wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await viewing.wake.wait()

    def _runs_like(self, viewing: Viewing) -> bool:
        """Whether the poll that is shared runs with this person's own opening: it is the look by itself."""
        shared = viewing.shared
        runner = None if shared is None else shared.runner
        return runner is not None and runner.access.opening is viewing.access.opening

    async def _look_safely(self, place: _Place, viewing: Viewing) -> bool:
        """The same as `_look`; what cannot happen is logged, and is no answer."""
        try:
            return await self._look(place, viewing)
        except Exception as error:  # noqa: BLE001 - whatever it is, it costs this look and no other
            self._not_answered(place, viewing, _failed(viewing.server, error))
            return False

    def _merge(self, place: _Place, viewing: Viewing) -> None:
        """Have all who share a poll share another, where they are told the same by now."""
        mine = viewing.shared
        assert mine is not None
        for other in place.shared:
            pictures = mine.poll.picture, other.poll.picture
            if (
                other is not mine
                and other.poll.told.is_same(mine.poll.told)
                and is_told_as_much(*pictures)
                and is_told_as_much(*reversed(pictures))
            ):
                for each in list(mine.viewings):
                    self._seat(place, each, other)
                return

    async def _look(self, place: _Place, viewing: Viewing) -> bool:
        """Look with a person's own credentials, and have them share a poll. Whether the server has answered."""
        opening = viewing.access.opening
        if (refused := place.refused.get(opening)) is not None:
            self._deny(place, viewing, refused)
            return True
        for shared in place.shared:
            if shared.runner is not None and shared.runner.access.opening is opening:
                self._seat(place, viewing, shared)
                return True
        asked: Asked | None = self._ask(viewing)
        assert asked is not None
        try:
            await anext(asked.poller)
            error = asked.picture.error
            if isinstance(error, AccessDenied):
                self._deny(place, viewing, error)
            elif error is not None:
                self._not_answered(place, viewing, error)
            else:
                shared = self._shared_with(place, viewing, asked)
                self._seat(place, viewing, shared)
                self._answers(place)
                if shared.task is None:
                    shared.task = asyncio.create_task(self._run(place, shared, asked))
                    asked = None
            return not error or isinstance(error, AccessDenied)
        except AuthenticationError as refusal:
            self._refuse(place, opening, refusal)
            return True
        finally:
            if asked is not None:
                await asked.close()

    def _ask(self, viewing: Viewing) -> Asked:
        return Asked(viewing.access.opening, viewing.server, self._clocks, every=self.every, timeout=self.timeout)

    def _shared_with(self, place: _Place, viewing: Viewing, asked: Asked) -> _Shared:
        """The poll of those who are told what somebody has just been told; a new one where nobody is."""
        for shared in place.shared:
            poll = shared.poll
            if asked.told.is_same(poll.told) and is_told_as_much(asked.picture, poll.picture):
                return shared
        poll = Poll(
            viewing.server,
            asked,
            self.numbers,
            clock=self._clock,
            news=lambda: self._some(shared),
            otherwise=lambda: self._otherwise(place, shared),
        )
        shared = _Shared(poll, viewing)
        place.shared.append(shared)
        return shared

    def _seat(self, place: _Place, viewing: Viewing, shared: _Shared) -> None:
        """Have somebody share a poll."""
        viewing.error, viewing.denied, viewing.checked_at = None, False, self._clock()
        if viewing.shared is shared:
            return
        self._unseat(place, viewing)
        viewing.shared = shared
        shared.viewings[viewing] = None
        viewing.since = self.numbers.next()
        if shared.poll.begun.is_set():
            viewing.known.set()
        self._emit_state(viewing)

    def _unseat(self, place: _Place, viewing: Viewing) -> None:
        """Have somebody share no poll. Where it runs on their credentials, another's take over."""
        shared, viewing.shared = viewing.shared, None
        if shared is None:
            return
        del shared.viewings[viewing]
        if not shared.viewings:
            place.shared.remove(shared)
        if shared.runner is not viewing:
            return
        shared.runner = None
        if shared.task is not None and shared.task is not asyncio.current_task():
            old = shared.task
            self._cancel(old)
            if shared.viewings:
                shared.task = asyncio.create_task(self._run(place, shared, None, after=old))

    def _refuse(self, place: _Place, opening: Opening, error: AuthenticationError) -> None:
        """A log-on was refused: nobody tries it again."""
        place.refused[opening] = error
        for viewing in [each for each in place.viewings if each.access.opening is opening]:
            self._deny(place, viewing, error)
            viewing.wake.set()

    def _deny(self, place: _Place, viewing: Viewing, error: LanmanError) -> None:
        """The server tells somebody nothing."""
        viewing.error, viewing.denied = error, True
        self._unseat(place, viewing)
        viewing.known.set()
        self._emit_state(viewing)

    def _not_answered(self, place: _Place, viewing: Viewing, error: LanmanError) -> None:
        """A look had no answer. What is shown goes on being shown for a time: it was theirs to see."""
        if viewing.shared is not None and self._clock() - viewing.checked_at < 2 * RECHECK:
            return
        self._unseat(place, viewing)
        viewing.error = error
        viewing.known.set()
        self._emit_state(viewing)

    def _answers(self, place: _Place) -> None:
        """The server answers: those who wait for that look at once."""
        for viewing in place.viewings:
            if viewing.shared is None and not viewing.denied:
                viewing.wake.set()

    # --- one poll for many

    async def _run(
        self, place: _Place, shared: _Shared, asked: Asked | None, after: asyncio.Task[None] | None = None
    ) -> None:
        """Show what a poller sees to all who share it, and let another's take over where it cannot go on."""
        if after is not None:
            await asyncio.wait({after})
        try:
            if asked is not None:
                await shared.poll.begin(asked)
            while shared.viewings:
                if asked is None and (asked := await self._next_runner(place, shared)) is None:
                    return
                shared.asked = asked
                await self._poll(place, shared, asked)
                shared.asked = None
                await asked.close()
                asked = None
        except Exception as error:  # noqa: BLE001 - whatever it is, it costs this look and no other
            failed = _failed(shared.poll.server, error)
            for viewing in list(shared.viewings):
                self._unseat(place, viewing)
                self._not_answered(place, viewing, failed)
                asyncio.get_running_loop().call_later(MAX_PAUSE, viewing.wake.set)
        finally:
            if asked is not None:
                shared.asked = None
                await asked.close()

    async def _poll(self, place: _Place, shared: _Shared, asked: Asked) -> None:
        """Poll until it cannot go on with the credentials that it runs on."""
        runner = shared.runner
        assert runner is not None
        try:
            await shared.poll.run(asked)
        except AuthenticationError as error:
            self._refuse(place, runner.access.opening, error)
            return
        if isinstance(asked.picture.error, AccessDenied):
            self._deny(place, runner, asked.picture.error)
        else:
            self._look_again(place, runner)

    def _look_again(self, place: _Place, viewing: Viewing) -> None:
        """Somebody is told something else by now than those whose poll they share."""
        self._unseat(place, viewing)
        self._emit_state(viewing)
        viewing.wake.set()

    async def _next_runner(self, place: _Place, shared: _Shared) -> Asked | None:
        """Go on with the credentials of another of those who share a poll; None where none is left."""
        while shared.viewings:
            runner = shared.runner = self._successor(shared)
            asked: Asked | None = self._ask(runner)
            assert asked is not None
            try:
                if await self._begins(place, shared, runner, asked):
                    going, asked = asked, None
                    return going
            except AuthenticationError as error:
                self._refuse(place, runner.access.opening, error)
            finally:
                if asked is not None:
                    await asked.close()
        return None

    def _successor(self, shared: _Shared) -> Viewing:
        """Whose credentials are next: of one who watches, where anybody does."""
        for viewing in shared.viewings:
            guest = self._guests.get(viewing.person)
            if guest is not None and any(viewing.server in each.servers for each in guest.listeners):
                return viewing
        return next(iter(shared.viewings))

    async def _begins(self, place: _Place, shared: _Shared, runner: Viewing, asked: Asked) -> bool:
        """Wait for the first answer to somebody's credentials. Whether the poll goes on with it."""
        async for _ in asked.poller:
            error = asked.picture.error
            if error is None and asked.told.is_same(shared.poll.told):
                await shared.poll.begin(asked)
                return True
            if error is None:
                self._look_again(place, runner)
                return False
            if isinstance(error, AccessDenied):
                self._deny(place, runner, error)
                return False
            shared.poll.be(error)
        return False

    # --- telling

    def tell_plan(self, person: Person, event: Mapping[str, Any]) -> None:
        """Tell a person what became of something in their plan: a `plan` event in their streams, and in nobody else's.
        Nothing for who is logged off."""
        if not person.ended and not self._closed:
            self._emit(person, "plan", {"v": VERSION, **event})

    def state_of(self, person: Person, server: str) -> dict[str, Any]:
        """The state of a server for a person, as `hello` has it: its name, `state` (`up`, `away`, `denied`, `login`),
        what it can be told and why not. Looks at it from now on, if they may."""
        access = person.accesses.get(server)
        if access is None:
            why = f"log in at {server} first"
            return {"name": server, "state": "login", **_NO_FORM, **_abilities(dict.fromkeys(ORDERS, why))}
        return {"name": server, **self.attend(person, access).form()}

    def _emit_state(self, viewing: Viewing) -> None:
        """Tell a person the state of a server, where it is another than before."""
        form = viewing.form()
        asked_at = form.pop("asked_at")
        if form != viewing.told_state and viewing.person in self._guests:
            viewing.told_state = form
            told = {"v": VERSION, "server": viewing.server, **form, "asked_at": asked_at}
            self._emit(viewing.person, "server", told)

    def _emit(self, person: Person, name: str, value: Mapping[str, Any]) -> None:
        guest = self._guest(person)
        number = self.numbers.next()
        guest.ring.add(number, event_bytes(self.numbers.place(number), name, as_json(value)), self._clock())
        self._wake(guest)

    def _wake(self, guest: _Guest) -> None:
        for listener in guest.listeners:
            listener.some.set()

    def _some(self, shared: _Shared) -> None:
        """There is something to tell those who share a poll."""
        for viewing in shared.viewings:
            if (guest := self._guests.get(viewing.person)) is not None:
                self._wake(guest)

    def _otherwise(self, place: _Place, shared: _Shared) -> None:
        """The state of a server is another for those who share a poll."""
        for viewing in shared.viewings:
            if shared.poll.begun.is_set():
                viewing.known.set()
            self._emit_state(viewing)
        if shared.poll.error is None:
            self._answers(place)

    # --- streams

    @contextlib.contextmanager
    def listen(self, person: Person, servers: Sequence[str], after: str | None = None) -> Iterator[Listener]:
        """A stream of a person about some servers, from now on, or from a place that they were told up to, if this hub
        can go on from there. Raises LoggedOut, TooManyStreams."""
        if self._closed or person.ended:
            raise _logged_out()
        guest = self._guest(person)
        if len(guest.listeners) >= MAX_STREAMS_OF_ONE:
            raise TooManyStreams(
                f"{MAX_STREAMS_OF_ONE} streams of one person are open already", hint="close other pages of the console"
            )
        if self.streams >= MAX_STREAMS:
            raise TooManyStreams(
                f"{MAX_STREAMS} streams are open already", hint="try again when others have left", of_all=True
            )
        listener = Listener(self, person, servers, self.position(after))
        guest.listeners.add(listener)
        self.streams += 1
        try:
            yield listener
        finally:
            self.streams -= 1
            guest.listeners.discard(listener)

    def position(self, after: str | None) -> int | None:
        """The number of a place that somebody was told up to; None where there is none. Of another run of the console
        nothing is known any more: 0."""
        if after is None:
            return None
        known = place_of(after)
        return known[1] if known is not None and known[0] == self.numbers.epoch and known[1] <= self.numbers.last else 0

    def news(self, listener: Listener) -> News:
        """What is new for a stream. The name "" in what is lost is that of what the person alone is told."""
        guest = self._guests.get(listener.person)
        if guest is None:
            return News([], [])
        sources = {"": Source(guest.ring, guest.since)}
        for name in listener.servers:
            viewing = guest.viewings.get(name)
            if viewing is not None and viewing.poll is not None and viewing.poll.begun.is_set():
                sources[name] = Source(viewing.poll.ring, viewing.since)
        for source in sources.values():
            source.ring.expire(self._clock())
        return news(sources, listener.position)


_NO_FORM: Final[Mapping[str, Any]] = MappingProxyType(
    {"level": None, "streamed": False, "kinds": [], "refused": {}, "error": None, "user": None, "asked_at": None}
)


def _state_form(viewing: Viewing) -> dict[str, Any]:
    poll, state = viewing.poll, viewing.state
    form = {"state": state, **_NO_FORM, "user": viewing.access.user}
    error = viewing.error
    if poll is not None and poll.begun.is_set():
        picture = poll.picture
        error = poll.error
        form |= {
            "level": picture.level,
            "streamed": picture.streamed,
            "kinds": sorted(kind.value for kind in picture.kinds - picture.refused.keys()),
            "refused": {kind.value: error_form(each) for kind, each in picture.refused.items()},
            "asked_at": instant(picture.asked_at),
        }
    form["error"] = None if error is None else error_form(error)
    return form | _abilities(_why_not(viewing))


def _why_not(viewing: Viewing) -> dict[str, str]:
    """Which orders somebody cannot give at a server, and why."""
    if not viewing.access.may_order:
        if viewing.person.kind == "proxy":
            return dict.fromkeys(ORDERS, "you are known by a proxy and may look: log in at the server to give orders")
        return dict.fromkeys(ORDERS, "this console only looks (--readonly)")
    if viewing.state == "denied":
        return dict.fromkeys(ORDERS, f"{viewing.server} tells you nothing")
    if viewing.poll is None or viewing.state != "up":
        return dict.fromkeys(ORDERS, f"{viewing.server} does not answer at the moment")
    refused = viewing.poll.picture.refused
    why = {
        order: f"{viewing.server} does not tell you its {kind.value}s"
        for order, kind in (("end", Kind.SESSION), ("drain", Kind.SESSION), ("close", Kind.FILE), ("share", Kind.SHARE))
        if kind in refused
    }
    return why | dict(viewing.poll.cannot)


def _abilities(why: Mapping[str, str]) -> dict[str, Any]:
    return {"capabilities": {order: order not in why for order in ORDERS}, "why": dict(why)}
