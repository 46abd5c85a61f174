"""Which session of one look is which of the next: pairs of those that may be the same, the likeliest first.

All that is here is about sessions that do not differ in what they are known by (`lanman.manage.watching.keys`), apart
from when they began. That is the time of the look less an age in whole seconds, so it moves a little from look to look;
and clocks are set. A session is therefore taken for the same as one before, in this order, each of both being taken
once:

  1. where both began within one second of each other by the steady clock, within two, within `slack`;
  2. the same by the wall clock, where that went further than the steady clock between the looks: this machine may have
     slept, and the steady clock with it. Where the wall clock was set back, only the steady one is right;
  3. where it began before the look before by both clocks, though that look has not seen it begin then: the server's
     clock was set;
  4. where its age is not told, or was not told the last time, unless it began after the last look.

What is left has gone, or is new. The time is that of sorting.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

from lanman.manage.watching.keys import SLACK

B = TypeVar("B")
N = TypeVar("N")

# How far two beginnings may be apart, from the likeliest on. Beyond the last is `slack`.
_STEPS: Final = (1.0, 2.0)

# By how many seconds the wall clock may go further than the steady one between two looks before that means anything.
_CLOCKS_DIFFER: Final = 1.0


class Begun(NamedTuple):
    """When something began, on two clocks: the steady one, and that which tells seconds since 1970."""

    steady: float
    wall: float

    def moved(self, steady: float, wall: float) -> Begun:
        """So much later on each."""
        return Begun(self.steady + steady, self.wall + wall)


class Looks(NamedTuple):
    """When there was a look and the one before, on the same clocks; and how far apart two times of beginning may be."""

    before: Begun
    now: Begun
    slack: float = SLACK

    @property
    def may_have_slept(self) -> bool:
        """Whether this machine may have slept between the two, and its steady clock with it."""
        steady, wall = self.now.steady - self.before.steady, self.now.wall - self.before.wall
        return wall - steady > _CLOCKS_DIFFER


def pairs(
    before: Sequence[tuple[B, Begun | None]], now: Sequence[tuple[N, Begun | None]], looks: Looks
) -> tuple[list[tuple[B, N]], list[B], list[N]]:
    """Which of `now` is which of `before`; and those of `before` that have gone, and those of `now` that are new.

    Each comes with when it began, None where that is not told.
    """
    if not before or not now:
        return [], [each for each, _ in before], [each for each, _ in now]
    if len(before) == len(now) == 1:
        (old, old_begun), (new, new_begun) = before[0], now[0]
        if may_be_same(old_begun, new_begun, looks):
            return [(old, new)], [], []
        return [], [old], [new]
    matching = _Matching(before, now, looks)
    matching.run()
    return matching.found, [each for each, _ in matching.before], [each for each, _ in matching.now]


def may_be_same(before: Begun | None, now: Begun | None, looks: Looks) -> bool:
    """Whether one session may be another; the rules of the file, for one alone."""
    if now is None:
        return True
    if before is None:
        return not _is_new(now, looks)
    if abs(before.steady - now.steady) <= looks.slack:
        return True
    if looks.may_have_slept and abs(before.wall - now.wall) <= looks.slack:
        return True
    return _is_old(now, looks)


def _is_new(begun: Begun, looks: Looks) -> bool:
    """Whether it began after the look before, by both clocks."""
    return begun.steady - looks.slack > looks.before.steady and begun.wall - looks.slack > looks.before.wall


def _is_old(begun: Begun, looks: Looks) -> bool:
    """Whether it began before the look before, by both clocks."""
    return begun.steady + looks.slack < looks.before.steady and begun.wall + looks.slack < looks.before.wall


class _Matching(Generic[B, N]):
    """The pairs that are `found`, and what is left of `before` and `now`."""

    def __init__(
        self, before: Sequence[tuple[B, Begun | None]], now: Sequence[tuple[N, Begun | None]], looks: Looks
    ) -> None:
        self.before = list(before)
        self.now = list(now)
        self.found: list[tuple[B, N]] = []
        self._looks = looks

    def run(self) -> None:
        """Find all pairs, the likeliest first."""
        slack = self._looks.slack
        for apart in (*_STEPS, slack):
            self._pair_near(apart, lambda begun: begun.steady)
        if self._looks.may_have_slept:
            for apart in (*_STEPS, slack):
                self._pair_near(apart, lambda begun: begun.wall)
        self._pair_in_order(
            lambda begun: begun is not None, lambda begun: begun is not None and _is_old(begun, self._looks)
        )
        self._pair_in_order(lambda begun: True, lambda begun: begun is None)
        self._pair_in_order(
            lambda begun: begun is None, lambda begun: begun is not None and not _is_new(begun, self._looks)
        )

    def _pair_near(self, apart: float, clock: Callable[[Begun], float]) -> None:
        """Pair those that began so near each other by a clock: as many as can be."""
        olds = sorted((clock(begun), place) for place, (_, begun) in enumerate(self.before) if begun is not None)
        news = sorted((clock(begun), place) for place, (_, begun) in enumerate(self.now) if begun is not None)
        taken_olds, taken_news = set[int](), set[int]()
        old = new = 0
        while old < len(olds) and new < len(news):
            difference = olds[old][0] - news[new][0]
            if abs(difference) <= apart:
                taken_olds.add(olds[old][1])
                taken_news.add(news[new][1])
                self.found.append((self.before[olds[old][1]][0], self.now[news[new][1]][0]))
            old += difference <= apart
            new += difference >= -apart
        self._leave_out(taken_olds, taken_news)

    def _pair_in_order(
        self, old_counts: Callable[[Begun | None], bool], new_counts: Callable[[Begun | None], bool]
    ) -> None:
        """Pair those that count, one after the other, as long as there are both."""
        olds = [place for place, (_, begun) in enumerate(self.before) if old_counts(begun)]
        news = [place for place, (_, begun) in enumerate(self.now) if new_counts(begun)]
        for old, new in zip(olds, news, strict=False):
            self.found.append((self.before[old][0], self.now[new][0]))
        number = min(len(olds), len(news))
        self._leave_out(set(olds[:number]), set(news[:number]))

    def _leave_out(self, olds: set[int], news: set[int]) -> None:
        if olds:
            self.before = [each for place, each in enumerate(self.before) if place not in olds]
            self.now = [each for place, each in enumerate(self.now) if place not in news]
