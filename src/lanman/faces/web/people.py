"""Who is logged on: people, what they may ask of which server, and their sessions, in memory alone.

Rules:

  - A session is known by a random id, which is new at each log-in, also where somebody who is logged on logs on at one
    more server. It ends when its person logs out, and after `IDLE` seconds without a request that they made: that a
    stream is open is none.
  - A person is one object from the first log-in to the end. When it ends, its accesses go, and with them the passwords;
    whoever asked for it (`on_end`) is told, and ends what runs for it.
  - There are at most `MAX_SESSIONS`, and `MAX_OF_ONE` of one name: one more of a name takes the place of the one that
    has been idle longest.

Time is an argument, in seconds by any clock that does not go back.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from lanman.shown import escape

if TYPE_CHECKING:
    from lanman.manage.kept import Opening
    from lanman.net.credentials import Credentials

log: Final = logging.getLogger("lanman.web")

IDLE: Final = 15 * 60.0
MAX_SESSIONS: Final = 1000
MAX_OF_ONE: Final = 16

Kind = Literal["link", "login", "proxy"]


@dataclass(frozen=True, slots=True)
class Access:
    """What a person may ask of one server: `opening` opens a Manager with that person's own credentials."""

    server: str
    user: str
    opening: Opening
    may_order: bool
    credentials: Credentials | None = field(default=None, repr=False)
    """Those of a log-in, which end with the person; None for the command's own."""


@dataclass(eq=False, slots=True)
class Person:
    """Somebody who is logged on; compared by identity. `accesses` by the servers' names."""

    name: str
    kind: Kind
    accesses: dict[str, Access] = field(default_factory=dict)
    ended: bool = False


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
        self._sessions: dict[str, _Session] = {}  # in the order of their last use
        self._on_end: list[Callable[[Person], None]] = []

    def on_end(self, listener: Callable[[Person], None]) -> None:
        """Call `listener` with each person that has ended, right then; its accesses are gone by then."""
        self._on_end.append(listener)

    def __len__(self) -> int:
        return len(self._sessions)

    def begin(self, person: Person, now: float) -> str:
        """Begin a session; its id. Raises TooMany."""
        self.expire(now)
        of_this_name = [
            key
            for key, each in self._sessions.items()
            if (each.person.name, each.person.kind) == (person.name, person.kind)
        ]
        if len(of_this_name) >= MAX_OF_ONE:
            self.end(of_this_name[0], "another log-in of the same name")
        if len(self._sessions) >= self._max_sessions:
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

    def end(self, key: str, why: str) -> None:
        """End a session, if there is one of this id."""
        session = self._sessions.pop(key, None)
        if session is None:
            return
        person = session.person
        log.info("%s is logged off: %s", escape(person.name), why)
        person.ended = True
        for access in person.accesses.values():
            if access.credentials is not None:
                access.credentials.password = None
        person.accesses.clear()
        for listener in self._on_end:
            listener(person)

    def expire(self, now: float) -> None:
        """End those that have been idle for too long."""
        for key in [key for key, each in self._sessions.items() if now - each.used_at >= self._idle]:
            self.end(key, "idle")

    def end_all(self, why: str) -> None:
        """End every session."""
        for key in list(self._sessions):
            self.end(key, why)
