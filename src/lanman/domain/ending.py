"""Ends of very much at once: a session, a tree connect or a share with many opens.

The rules:

* What ends is over from the first moment on: it is asked for nothing, counts against no limit and is in no list of
  sessions or tree connects. Where it has more than AT_ONCE opens, they are closed in portions, between which others
  have their turn, and each is listed as long as it is open. The event that the whole has ended comes after those of its
  parts.
* Ends are done in the order in which they were begun. So whoever waits for those there are remembers how many were
  `begun`, and waits until as many have `finished`.
* Where nobody is there to go on with it (`on_begun`), everything ends at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

# How many opens are closed in one turn of the event loop: some 100,000 bytecode steps.
AT_ONCE: Final = 64

_OVER: Final = object()


class Endings:
    """What is being ended in portions. `under_way`: something is left of it. `on_begun` is called whenever there is one
    more, and sees to it that `go_on` is called until nothing is left."""

    __slots__ = ("_works", "begun", "finished", "on_begun", "under_way")

    def __init__(self) -> None:
        self._works: deque[Iterator[None]] = deque()
        self.begun = self.finished = 0
        self.under_way = False
        self.on_begun: Callable[[], None] = self.finish

    def begin(self, work: Iterator[None]) -> None:
        """End this, too: each step of it closes one open, or costs as much."""
        self._works.append(work)
        self.begun += 1
        self.under_way = True
        self.on_begun()

    def go_on(self, most: int) -> None:
        """Do so many steps, as far as there are as many."""
        for _ in range(most):
            if not self._works:
                return
            if next(self._works[0], _OVER) is _OVER:
                self._works.popleft()
                self.finished += 1
                self.under_way = bool(self._works)

    def finish(self) -> None:
        """Do all that is left."""
        while self.under_way:
            self.go_on(AT_ONCE)
