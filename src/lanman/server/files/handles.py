"""Who has how many of the handles that the disk can give, so that no user takes those of all (`domain.portions`).

The rules:

* A handle counts from before the disk is asked for it until it is given back, whether a CREATE that waits has it, an
  open in a session, or one that is kept for a lost connection. Pipes have none.
* A user has at most `opens_per_user`, and a part of those that the disk can give.
* A directory counts twice: the disk opens it once more to list it. The directories that something is open in are the
  disk's own; there are fewer for users (`further`), so that a user who opens each file in a directory of its own does
  not take all.
"""

from __future__ import annotations

from collections.abc import Callable

from lanman import codes
from lanman.domain import Portions
from lanman.errors import StatusError
from lanman.settings import RunningSettings


class Handles:
    """How many each user has, and all together. `limit` is how many the disk can give; None: nobody has said.
    `further` is how many it has taken besides."""

    def __init__(self, settings: RunningSettings, portions: Portions) -> None:
        self.limit: int | None = None
        self.further: Callable[[], int] = lambda: 0
        self._settings = settings
        self._portion = portions.new(
            "open files",
            self._most,
            self._most_of_one,
            "set more [limits] opens_per_user, or more descriptors: LimitNOFILE= of its unit, or `ulimit -n`",
        )
        self.give_back = self._portion.give_back

    def _most(self) -> int | None:
        return None if self.limit is None else self.limit - self.further()

    def _most_of_one(self) -> int | None:
        return self._settings.current.limits.opens_per_user or None

    def __len__(self) -> int:
        """How many are taken."""
        return self._portion.taken

    def take(self, user: str) -> None:
        """One more for a user, by the key that `Session.shares_as` gives. StatusError where that is too many."""
        if not self._portion.take(user):
            raise StatusError(codes.STATUS_TOO_MANY_OPENED_FILES)
