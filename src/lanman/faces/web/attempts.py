"""How often a log-in may be tried: nobody is to guess a password here, no account is to be locked from here, and nobody
is to be kept out by strangers.

Rules:

  - Of one user's name, log-ins from strange addresses that have failed or are under way within any `WINDOW` seconds are
    counted over all addresses and servers together: a domain's account is one account at all of them. Domains are left
    out of the name, and so is what some directory leaves out when it compares names (accents, width, spaces).
  - There are `PER_USER` at most. From the first time that somebody has logged in under that name, one of these is kept
    for the addresses (of IPv6 the /64) from which they have: `STRANGE` are left for all others.
  - An address is known for the server and the name that it has logged in at, for as long as the console runs, up to
    `KNOWN_OF_ONE` of a name and `KNOWN` in all; those go first that were used longest ago. What has failed from there
    counts with what strangers have tried, and against nobody at another server, where the name may be somebody else's.
  - Of one strange address, `PER_ADDRESS` at most, and `IN_ALL` of all strange ones together; `UNDER_WAY` at once of
    strange ones, and as many of known ones. What is refused here is sent to no server.
  - What counts is a password that a server could have judged. One that was right does not count, nor does one that
    never was sent. A right one takes back those that failed before it at the same server, and at no other: there the
    same name may be somebody else.

A server that locks an account after three wrong passwords within half an hour, or later, locks none by this console
alone. Time is an argument, in seconds by any clock that does not go back.
"""

from __future__ import annotations

import math
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from lanman.names import fold
from lanman.plain import dataclass

WINDOW: Final = 30 * 60.0
PER_USER: Final = 2
STRANGE: Final = 1
PER_ADDRESS: Final = 10
IN_ALL: Final = 200
UNDER_WAY: Final = 16
"""So many log-ins are judged at once, of strange addresses, and of known ones."""
KNOWN: Final = 10_000
KNOWN_OF_ONE: Final = 16


class TooOften(Exception):
    """It is not to be tried now. `wait` is in how many seconds it may be, and `why` says what there was too much of."""

    def __init__(self, why: str, wait: float) -> None:
        super().__init__(why)
        self.why = why
        self.wait = max(1, math.ceil(wait))


@dataclass(eq=False, slots=True)
class Attempt:
    """One log-in. `at` is when it began; `is_known` whether that user has logged in from there before."""

    server: str
    user: str
    address: str
    at: float
    is_known: bool = False
    is_over: bool = False


class Attempts:
    """The log-ins that have failed lately, and those that are under way."""

    def __init__(self) -> None:
        self._counted: deque[Attempt] = deque()  # in the order in which they began
        self._known: dict[tuple[str, str, str], None] = {}  # server, user and address, in the order of their last use

    def __len__(self) -> int:
        return len(self._counted)

    @property
    def num_known(self) -> int:
        """How many addresses are known, each for a user at a server."""
        return len(self._known)

    def begin(self, server: str, user: str, address: str, now: float) -> Attempt:
        """Begin one, which `failed` or `forgiven` ends. `user` is without a domain. Raises TooOften."""
        while self._counted and self._counted[0].is_over and now - self._counted[0].at >= WINDOW:
            self._counted.popleft()
        name = account_key(user)
        attempt = Attempt(server, name, address, now, (server, name, address) in self._known)
        # What is under way counts however long it takes.
        lately = [each for each in self._counted if not each.is_over or now - each.at < WINDOW]
        for most, counts, why in self._bounds(attempt):
            found = [each for each in lately if counts(each)]
            if len(found) >= most:
                raise TooOften(why, _wait(found, most, now))
        self._counted.append(attempt)
        return attempt

    def _bounds(self, asked: Attempt) -> Iterable[tuple[int, Callable[[Attempt], bool], str]]:
        """How many there may be at most, of which, and what there is too much of otherwise."""
        too_many, of_this_name = "too many people log in at once", "log-ins under this name failed too often"
        if asked.is_known:
            yield UNDER_WAY, lambda each: each.is_known and not each.is_over, too_many
            yield PER_USER, lambda each: each.user == asked.user and _counts_for(each, asked), of_this_name
            return
        yield UNDER_WAY, lambda each: not each.is_known and not each.is_over, too_many
        yield PER_USER, lambda each: each.user == asked.user, of_this_name
        if any(user == asked.user for _, user, _ in self._known):
            yield STRANGE, lambda each: each.user == asked.user and not each.is_known, of_this_name
        there = "too many log-ins from there failed"
        yield PER_ADDRESS, lambda each: each.address == asked.address and not each.is_known, there
        yield IN_ALL, lambda each: not each.is_known, "too many log-ins failed"

    def failed(self, attempt: Attempt, now: float) -> None:
        """It counts, from now on."""
        self._counted.remove(attempt)
        attempt.at, attempt.is_over = now, True
        self._counted.append(attempt)

    def forgiven(self, attempt: Attempt) -> None:
        """The password was right, or no server has judged it: it does not count."""
        self._counted.remove(attempt)

    def succeeded(self, attempt: Attempt) -> None:
        """The password was right: those before it of this user at this server count no more, and its address is
        known."""
        self._counted = deque(
            each
            for each in self._counted
            if each is not attempt and not (each.is_over and (each.server, each.user) == (attempt.server, attempt.user))
        )
        place = attempt.server, attempt.user, attempt.address
        self._known.pop(place, None)
        of_this_name = [each for each in self._known if each[:2] == place[:2]]
        for old in of_this_name[: max(0, len(of_this_name) - KNOWN_OF_ONE + 1)]:
            del self._known[old]
        if len(self._known) >= KNOWN:
            del self._known[next(iter(self._known))]
        self._known[place] = None


def account_key(user: str) -> str:
    """A user's name, so that those are alike which some server takes for one: letter case, accents, width, spaces and
    characters that nobody sees make no difference, nor do periods at the end."""
    letters = unicodedata.normalize("NFKD", user)
    bare = "".join(each for each in letters if unicodedata.category(each)[0] not in "MCZ")
    return fold(unicodedata.normalize("NFKD", bare.casefold())).rstrip(".")


def _counts_for(each: Attempt, asked: Attempt) -> bool:
    """Whether an attempt under the same name counts for one from a known address."""
    return not each.is_known or each.server == asked.server or each.address == asked.address


def _wait(found: list[Attempt], most: int, now: float) -> float:
    """How long it takes until fewer than `most` of these count. One of those that are over has to become old; of what
    is under way nobody knows how long it takes."""
    over = [each for each in found if each.is_over]
    needed = len(found) - most
    return over[needed].at + WINDOW - now if len(over) == len(found) else 1.0
