"""How often a log-in may be tried: nobody is to guess a password here, and no account is to be locked from here.

Rules:

  - Of one user's name, `PER_USER` log-ins at most have failed or are under way within any `WINDOW` seconds, from
    whatever address and at all servers together: a domain's account is one account at all of them. Domains are left out
    of the name, since one account can be written with and without.
  - Of one address, `PER_ADDRESS` at most, and `IN_ALL` of all together. What is refused here is sent to no server.
  - What counts is a password that a server could have judged. One that was right does not count, nor does one that
    never was sent. A right one takes back those that failed before it at the same server, and at no other: there the
    same name may be somebody else.

A server that locks an account after three wrong passwords within half an hour, or later, locks none by this console
alone. Time is an argument, in seconds by any clock that does not go back.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

from lanman.names import fold

WINDOW: Final = 30 * 60.0
PER_USER: Final = 2
PER_ADDRESS: Final = 10
IN_ALL: Final = 200
UNDER_WAY: Final = 16
"""So many log-ins are judged at once."""


class TooOften(Exception):
    """It is not to be tried now. `wait` is in how many seconds it may be, and `why` says what there was too much of."""

    def __init__(self, why: str, wait: float) -> None:
        super().__init__(why)
        self.why = why
        self.wait = max(1, math.ceil(wait))


@dataclass(eq=False, slots=True)
class Attempt:
    """One log-in. `at` is when it began."""

    server: str
    user: str
    address: str
    at: float
    is_over: bool = False


class Attempts:
    """The log-ins that have failed lately, and those that are under way."""

    def __init__(self) -> None:
        self._counted: deque[Attempt] = deque()  # in the order in which they began

    def __len__(self) -> int:
        return len(self._counted)

    def begin(self, server: str, user: str, address: str, now: float) -> Attempt:
        """Begin one, which `failed` or `forgiven` ends. `user` is without a domain. Raises TooOften."""
        while self._counted and self._counted[0].is_over and now - self._counted[0].at >= WINDOW:
            self._counted.popleft()
        # What is under way counts however long it takes.
        lately = [each for each in self._counted if not each.is_over or now - each.at < WINDOW]
        name = fold(user)
        bounds = (
            (UNDER_WAY, [each for each in lately if not each.is_over], "too many people log in at once"),
            (PER_USER, [each for each in lately if each.user == name], "log-ins under this name failed too often"),
            (PER_ADDRESS, [each for each in lately if each.address == address], "too many log-ins from there failed"),
            (IN_ALL, lately, "too many log-ins failed"),
        )
        for most, found, why in bounds:
            if len(found) >= most:
                # One of those that are over has to become old; of what is under way nobody knows how long it takes.
                over = [each for each in found if each.is_over]
                raise TooOften(why, over[0].at + WINDOW - now if len(over) == len(found) else 1.0)
        attempt = Attempt(server, name, address, now)
        self._counted.append(attempt)
        return attempt

    def failed(self, attempt: Attempt, now: float) -> None:
        """It counts, from now on."""
        self._counted.remove(attempt)
        attempt.at, attempt.is_over = now, True
        self._counted.append(attempt)

    def forgiven(self, attempt: Attempt) -> None:
        """The password was right, or no server has judged it: it does not count."""
        self._counted.remove(attempt)

    def succeeded(self, attempt: Attempt) -> None:
        """The password was right: those before it of this user at this server count no more."""
        self._counted = deque(
            each
            for each in self._counted
            if each is not attempt and not (each.is_over and (each.server, each.user) == (attempt.server, attempt.user))
        )
