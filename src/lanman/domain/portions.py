"""What all users share: how much of it there is, who has how much, and who is refused more.

The rules:

* A user has at most `PART` times as much as is free. So one who takes all there is to take has four fifths of it, two
  have four ninths each, and some is left for whoever comes next. There is no fixed part: one user alone still has most.
* A user may have a limit of its own besides (`most_of_one`).
* All of it takes the same, however many users there are.
* Guests and null sessions are one user together (`Session.shares_as`). So are accounts whose names differ in case
  alone. A session is the user's who logged on first, whatever it becomes.
* What is held is given back to the user from whom it was taken: whoever holds it remembers that key.
* What is refused is counted, and told to whoever listens (`Portions.on_refused`), so that an administrator learns it.
  Of whom that was nothing is kept but the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterator
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

PART: Final = 4
PIECE: Final = 1024  # users that are looked at in one turn


def no_limit() -> int | None:
    """There is as much as anybody wants."""
    return None


def user_named(key: str) -> str:
    """Whose key that is, for people: a user's name, "guests and null sessions", or of those on whose connections nobody
    has logged on the network."""
    return key.removeprefix("user ") or "guests and null sessions"


def _ignore(portion: Portion[str], user: str) -> None:
    """Ignore the result."""


class Portion(Generic[K]):
    """One kind of things, which `name` tells people in the plural. `taken` is how much of it all have together;
    `refused` how often somebody wanted too much, and `refused_last` who was the last (None: nobody). `remedy` is what
    an administrator can do about that, "" where no setting changes it. Users are told apart by keys."""

    __slots__ = (
        "_most",
        "_most_of_one",
        "_of",
        "_on_refused",
        "name",
        "refused",
        "refused_last",
        "remedy",
        "taken",
    )

    def __init__(
        self,
        name: str,
        most: Callable[[], int | None],
        most_of_one: Callable[[], int | None] = no_limit,
        on_refused: Callable[[Portion[K], K], None] | None = None,
        remedy: str = "",
    ) -> None:
        self.name = name
        self.remedy = remedy
        self.taken = self.refused = 0
        self.refused_last: K | None = None
        self._most = most
        self._most_of_one = most_of_one
        self._of: dict[K, int] = {}
        self._on_refused = on_refused

    @property
    def most(self) -> int | None:
        """How much there is for all; None: no limit."""
        return self._most()

    def of(self, user: K) -> int:
        """How much a user has."""
        return self._of.get(user, 0)

    def largest(self) -> Generator[None, None, tuple[K, int] | None]:
        """Who has most, and how much; None: nobody has any. It takes time in proportion to the users, so that it is for
        those who look, not for each; and it yields after every PIECE of them, so that others have their turns: whoever
        has come since it began is not looked at."""
        users, most = list(self._of), None
        for begin in range(0, len(users), PIECE):
            if begin:
                yield
            first = max(users[begin : begin + PIECE], key=self.of)
            if most is None or self.of(first) > self.of(most):
                most = first
        return None if most is None or not self.of(most) else (most, self.of(most))

    def fits(self, user: K, number: int = 1) -> bool:
        """Whether a user may have so much more: as much as if it was taken one by one."""
        having = self._of.get(user, 0) + number - 1
        limit, most = self._most_of_one(), self._most()
        if limit is not None and having >= limit:
            return False
        return most is None or having < PART * (most - self.taken - number + 1)

    def take(self, user: K, number: int = 1) -> bool:
        """So much more for a user. False: that is too much, and nothing is taken."""
        if self.fits(user, number):
            self.count(user, number)
            return True
        self.refuse(user)
        return False

    def refuse(self, user: K) -> None:
        """A user wanted too much."""
        self.refused += 1
        self.refused_last = user
        if self._on_refused is not None:
            self._on_refused(self, user)

    def reached(self, user: K) -> str:
        """The end of a sentence about somebody who wanted too much."""
        limit, most = self._most_of_one(), self._most()
        if limit is not None and self.of(user) >= limit:
            return f"{self.of(user)} {self.name} are as many as one user may have"
        return f"{self.of(user)} of {most} {self.name}, of which {self.taken} are taken; the rest is for others"

    def count(self, user: K, number: int) -> None:
        """So much more, or less, without a question."""
        self.taken += number
        left = self._of.get(user, 0) + number
        if left:
            self._of[user] = left
        else:
            self._of.pop(user, None)

    def give_back(self, user: K, number: int = 1) -> None:
        """So much less."""
        self.count(user, -number)

    def move(self, user: K, to: K, number: int) -> None:
        """What one user has is another's from now on."""
        if number and user != to:
            self.count(user, -number)
            self.count(to, number)


class Portions:
    """All that one Server's users share. `on_refused` is told what was refused, and to whom."""

    def __init__(self) -> None:
        self._all: list[Portion[str]] = []
        self.on_refused: Callable[[Portion[str], str], None] = _ignore

    def __iter__(self) -> Iterator[Portion[str]]:
        return iter(self._all)

    def new(
        self,
        name: str,
        most: Callable[[], int | None],
        most_of_one: Callable[[], int | None] = no_limit,
        remedy: str = "",
    ) -> Portion[str]:
        """One more kind of things."""
        made = Portion[str](name, most, most_of_one, self._refused, remedy)
        self._all.append(made)
        return made

    def _refused(self, portion: Portion[str], user: str) -> None:
        self.on_refused(portion, user)
