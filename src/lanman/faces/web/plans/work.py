"""What all kinds of plans have in common: rows that say what would happen, and a run that tells what became of each.

Making a piece of work asks the server and changes nothing. Running it looks again right before each order, and spares
what is not as it was looked at.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from lanman import codes
from lanman.errors import LanmanError, Win32Error
from lanman.manage.kept import Opening
from lanman.manage.orders.plan import Cost, What

if TYPE_CHECKING:
    from lanman.faces.web.people import Access, Person
    from lanman.manage.history.records import Deed

CHANGED: Final = "changed"


class NothingToDo(LanmanError):
    """What is asked for is so already."""

    code = codes.ERROR_CANCELLED

    def __init__(self, why: str) -> None:
        super().__init__(f"there is nothing to do: {why}", hint="look again")


class Tell(Protocol):
    """Hears what a run does, as it does it."""

    def outcome(self, number: int, outcome: Mapping[str, Any]) -> None:
        """What became of the row of this number: `outcome`, `reason`, `error`, `message` and `note`."""

    def event(self, event: Mapping[str, Any]) -> None:
        """Something else has happened: in a drain."""

    def deed(self, deed: Deed | None) -> None:
        """What history is to keep of it."""


class Place(NamedTuple):
    """Where a plan is for, and whose it is. `opening` opens Managers of that person, for this plan alone; `doer` is
    what history calls them, `home` where the notes of drains lie, and `drained_as` what the server is called there."""

    person: Person
    access: Access
    opening: Opening
    doer: str
    home: str | None = None
    drained_as: str = ""

    @property
    def server(self) -> str:
        """The server, as the console calls it."""
        return self.access.server


class Work(ABC):
    """What a plan does. `rows` are what would happen, one for each; `left_out` what was asked for and is no part of it;
    `bystanders` who would end besides."""

    rows: Sequence[dict[str, Any]] = ()
    left_out: Sequence[dict[str, Any]] = ()
    bystanders: Sequence[dict[str, Any]] = ()
    lasts: float = 900.0
    """How many seconds a run may take."""
    can_stop = False
    """Whether whoever ordered it may stop it."""

    def is_grave(self, *, with_others: bool) -> bool:
        """Whether the server's name has to be typed before it is run."""
        return False

    @abstractmethod
    async def run(self, place: Place, tell: Tell, *, with_others: bool) -> str | None:
        """Do it. How it ended, in a word, where that is more than the outcomes say. Raises LanmanError for what
        concerns all of it."""


def row(number: int, kind: str, key: str, cost: Cost = Cost.NONE, why: str = "", **more: Any) -> dict[str, Any]:
    """A row of a plan."""
    return {
        "number": number,
        "kind": kind,
        "key": key,
        "cost": cost.value,
        "cost_why": why,
        "is_own": False,
        "is_console": False,
        "num_bystanders": 0,
        **more,
    }


def outcome(
    what: What, error: LanmanError | None = None, *, reason: str | None = None, note: str | None = None
) -> dict[str, Any]:
    """What became of a row."""
    return {
        "outcome": what.value,
        "reason": reason,
        "error": None if error is None else error.code,
        "message": None if error is None else error.message,
        "hint": None if error is None else error.hint,
        "note": note,
    }


DONE: Final[Mapping[str, Any]] = outcome(What.DONE)


def changed(what: str) -> dict[str, Any]:
    """It is not as it was when the plan was made: nothing was ordered."""
    error = Win32Error(codes.ERROR_BUSY, f"left alone: {what} than when it was looked at", hint="look again")
    return outcome(What.SPARED, error, reason=CHANGED)


def failed(error: LanmanError) -> dict[str, Any]:
    """The server has refused it."""
    return outcome(What.FAILED, error)
