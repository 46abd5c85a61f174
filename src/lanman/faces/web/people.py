"""Who is logged on: people, what they may ask of which server, and their sessions, in memory alone.

Rules:

  - A session is known by a random id, which is new at each log-in, also where somebody who is logged on logs on at one
    more server. It ends when its person logs out, and after `IDLE` seconds without a request that they made: that a
    stream is open is none.
  - A person is one object from the first log-in to the end. When it ends, its accesses go, and with them the passwords;
    whoever asked for it (`on_end`) is told, and ends what runs for it.
  - There are at most `MAX_SESSIONS`, and `MAX_OF_ONE` of one name at one server, where it is one account: one more of
    them takes the place of the one that has been idle longest.
  - A log-on that a server has refused is not tried again with the same access, whatever it is for: wrong passwords lock
    accounts. Who logs in anew has another access.
  - Whom a proxy names has no id of a session: the proxy says who it is with each request. One person stands for all
    requests of one name, and ends like the others.

Time is an argument, in seconds by any clock that does not go back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import field
from typing import TYPE_CHECKING, Final, Literal

from lanman.errors import AuthenticationError
from lanman.plain import dataclass
from lanman.shown import escape

if TYPE_CHECKING:
    from lanman.manage.kept import Opening
    from lanman.manage.manager import Manager
    from lanman.net.credentials import Credentials

log: Final = logging.getLogger("lanman.web")

IDLE: Final = 15 * 60.0
MAX_SESSIONS: Final = 1000
MAX_OF_ONE: Final = 16

Kind = Literal["link", "login", "proxy"]


class Refusal:
    """Whether a server has refused the log-ons of an access: `error` is what it was refused with."""

    def __init__(self) -> None:
        self.error: AuthenticationError | None = None
        self._opening = asyncio.Lock()

    def check(self) -> None:
        """Raise what a log-on was refused with, if one was."""
        if self.error is not None:
            raise self.error

    def guard(self, opening: Opening) -> Opening:
        """The same opening, which asks a server once at a time, and no more after a log-on that it has refused."""

        @contextlib.asynccontextmanager
        async def guarded() -> AsyncIterator[Manager]:
            async with contextlib.AsyncExitStack() as stack:
                async with self._opening:
                    self.check()
                    try:
                        manager = await stack.enter_async_context(opening())
                    except AuthenticationError as error:
                        self.error = error
                        raise
                yield manager

        return guarded


@dataclass(frozen=True, slots=True)
class Access:
    """What a person may ask of one server: `opening` opens a Manager with that person's own credentials."""

    server: str
    user: str
    opening: Opening
    may_order: bool
    credentials: Credentials | None = field(default=None, repr=False)
    """Those of a log-in, which end with the access; None for the command's own."""
    refusal: Refusal = field(default_factory=Refusal, repr=False, compare=False)
    """What guards `opening`: of a log-in its own; of the command's own credentials one for each server."""

    def forget(self) -> None:
        """Forget the password of a log-in."""
        if self.credentials is not None:
            self.credentials.password = None


@dataclass(eq=False, slots=True)
class Person:
    """Somebody who is logged on; compared by identity. `accesses` by the servers' names. `proxy_user` is whom the
    trusted proxy said it to be at the log-in."""

    name: str
    kind: Kind
    accesses: dict[str, Access] = field(default_factory=dict)
    ended: bool = False
    proxy_user: str | None = None


@dataclass(slots=True)
class _Session:
    person: Person
    used_at: float


class TooMany(Exception):
    """No room for one more session."""


class People:
    """The sessions of people."""

    def __init__(self, *, idle: float = IDLE, max_sessions: int = MAX_SESSIONS) -> None:
        self._idle = idle
        self._max_sessions = max_sessions
        self._sessions: dict[str, _Session] = {}  # by id, in the order of their last use
        self._by_proxy: dict[str, _Session] = {}  # by name, in the order of their last use
        self._on_end: list[Callable[[Person], None]] = []

    def on_end(self, listener: Callable[[Person], None]) -> None:
        """Call `listener` with each person that has ended, right then; its accesses are gone by then."""
        self._on_end.append(listener)

    def __len__(self) -> int:
        return len(self._sessions) + len(self._by_proxy)

    # --- sessions

    def begin(self, person: Person, now: float) -> str:
        """Begin a session; its id. Raises TooMany."""
        self.expire(now)
        who = _account(person)
        of_this_name = [key for key, each in self._sessions.items() if _account(each.person) == who]
        if len(of_this_name) >= MAX_OF_ONE:
            self.end(of_this_name[0], "another log-in of the same name")
        if len(self) >= self._max_sessions:
            raise TooMany
        key = secrets.token_urlsafe(32)
        self._sessions[key] = _Session(person, now)
        return key

    def renew(self, key: str, now: float) -> str | None:
        """Give the session another id, and forget the one it had; None where there is none of that id."""
        if self.find(key, now) is None:
            return None
        session = self._sessions.pop(key)
        session.used_at = now
        new = secrets.token_urlsafe(32)
        self._sessions[new] = session
        return new

    def find(self, key: str, now: float) -> Person | None:
        """Whose session it is; None for one that has ended, or never was."""
        session = self._sessions.get(key)
        if session is None:
            return None
        if now - session.used_at >= self._idle:
            self.end(key, "idle")
            return None
        return session.person

    def touch(self, key: str, now: float) -> None:
        """Its person did something."""
        session = self._sessions.pop(key, None)
        if session is not None:
            session.used_at = now
            self._sessions[key] = session

    def of_proxy(self, name: str, now: float, make: Callable[[str], Person], *, touch: bool) -> Person:
        """Whom a proxy names, made anew where there is none of that name; one more than there may be takes the place of
        the one that has been idle longest. `touch`: that person did something."""
        session = self._by_proxy.get(name)
        if session is not None and now - session.used_at >= self._idle:
            self._end_of_proxy(name, "idle")
            session = None
        if session is None:
            if len(self._by_proxy) >= self._max_sessions:
                self._end_of_proxy(next(iter(self._by_proxy)), "too many others")
            session = self._by_proxy[name] = _Session(make(name), now)
        elif touch:
            session.used_at = now
            self._by_proxy[name] = self._by_proxy.pop(name)
        return session.person

    # --- what they may

    def give(self, person: Person, access: Access) -> None:
        """Let a person ask a server; a password that it had for it before is forgotten."""
        before = person.accesses.get(access.server)
        if before is not None:
            before.forget()
        person.accesses[access.server] = access

    # --- ends

    def end(self, key: str, why: str) -> None:
        """End a session, if there is one of this id."""
        session = self._sessions.pop(key, None)
        if session is not None:
            self._ended(session.person, why)

    def expire(self, now: float) -> None:
        """End those that have been idle for too long."""
        for sessions, end in ((self._sessions, self.end), (self._by_proxy, self._end_of_proxy)):
            for key in [key for key, each in sessions.items() if now - each.used_at >= self._idle]:
                end(key, "idle")

    def end_all(self, why: str) -> None:
        """End every session."""
        for key in list(self._sessions):
            self.end(key, why)
        for name in list(self._by_proxy):
            self._end_of_proxy(name, why)

    def _end_of_proxy(self, name: str, why: str) -> None:
        self._ended(self._by_proxy.pop(name).person, why)

    def _ended(self, person: Person, why: str) -> None:
        log.info("%s is logged off: %s", escape(person.name), why)
        self.forget(person)
        for listener in self._on_end:
            listener(person)

    def forget(self, person: Person) -> None:
        """Take everything from a person that it might ask servers with."""
        person.ended = True
        for access in person.accesses.values():
            access.forget()
        person.accesses.clear()


def _account(person: Person) -> tuple[str, Kind, str | None]:
    """Whose sessions count together: a name is somebody else at another server."""
    return person.name, person.kind, None if person.kind != "login" else next(iter(person.accesses), None)
