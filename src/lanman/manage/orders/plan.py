"""A plan: what an order would do, as values. It is made, shown, asked about, and run later, perhaps by another Manager.

Rules:

  - A target is one session, file or share as it was listed when the plan was made. What it is known by is in it: a
    session's client, user and begin, a file's id, path and user, a share's name and folder. Running the plan reads
    these again right before each order, and spares a target that means something else by then.
  - Bystanders are sessions that would end without being meant. They are spared, and so are the targets whose order
    would end them, without consent; so is the session of this program itself unless it is included.
  - What closing costs is worked out from what the server lists (`lanman.manage.orders.costs`). What it does not say is
    `Cost.UNKNOWN`, never a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from lanman.manage.watching.keys import FileKey, Key, SessionKey, ShareKey
from lanman.plain import dataclass
from lanman.records import FileInfo, SessionInfo, ShareInfo
from lanman.shown import rfc3339

if TYPE_CHECKING:
    from lanman.errors import LanmanError

Record = SessionInfo | FileInfo | ShareInfo


class Verb(Enum):
    """What is to be done to the targets of a plan."""

    END = "end"
    """Sessions are ended."""
    CLOSE = "close"
    """Open files are closed."""
    UNSHARE = "unshare"
    """A share is taken away, with what is open there."""


class Cost(Enum):
    """What the end of a session, or the closing of a file, may cost its user."""

    NONE = "none"
    """Nothing: it is open for reading alone, without locks, by somebody who has been idle for over an hour."""
    REOPEN = "reopen"
    """It is open for reading: the program sees an error, or opens it again."""
    UNSAVED = "unsaved"
    """It is open for writing, or has locks: what is not saved is lost."""
    UNKNOWN = "unknown"
    """The server does not say enough to tell."""

    @property
    def rank(self) -> int:
        """The higher, the worse. What is unknown is worse than a reopening, and better than a loss that is known."""
        return _RANKS.index(self)


_RANKS: Final = (Cost.NONE, Cost.REOPEN, Cost.UNKNOWN, Cost.UNSAVED)


class What(Enum):
    """What became of a target."""

    DONE = "done"
    SPARED = "spared"
    """No order was given for it."""
    FAILED = "failed"


class Reason(Enum):
    """Why a target was spared."""

    CHANGED = "changed"
    """By its client and user, its id, or its name, the server lists something else than when the plan was made."""
    GONE = "gone"
    """It had ended by itself."""
    BYSTANDERS = "bystanders"
    """Others would have ended with it, and there was no consent to that."""
    OWN = "own"
    """It is the session of this program itself."""


@dataclass(slots=True, eq=False)
class Target:
    """One thing that an order is for. `key` is what it is known by, and what is read again right before its order.

    `order` is the same for targets that one order ends; `bystanders` are the sessions that this order would end
    besides. `is_own`: it may be the session of this program. `why` says what makes the cost. A session that has more
    than `most_opens` open when it is read again is spared; None is no such bound.
    """

    record: Record
    key: Key
    order: Hashable = None
    bystanders: list[SessionInfo] = field(default_factory=list)
    is_own: bool = False
    cost: Cost = Cost.UNKNOWN
    why: str = ""
    most_opens: int | None = None

    @property
    def kind(self) -> str:
        """What it is: session, file or share."""
        return _KINDS[type(self.key)]


_KINDS: Final[Mapping[type, str]] = {SessionKey: "session", FileKey: "file", ShareKey: "share"}


@dataclass(slots=True, eq=False)
class Missing:
    """Something that was asked for and is not there, or cannot be meant; and why."""

    record: Record
    error: LanmanError


@dataclass(slots=True, eq=False)
class Plan:
    """What is to be done on one server. `asked` has, for each thing that was asked for, its targets' places.

    `missing` are the things that were asked for and are not there, by their places in what was asked for. `look` is
    what the Manager has seen, for a run that follows at once; `listed` are all sessions that it saw.
    """

    verb: Verb
    server: str
    targets: list[Target] = field(default_factory=list)
    missing: dict[int, Missing] = field(default_factory=dict)
    asked: list[list[int]] = field(default_factory=list)
    level: int | None = None
    look: object = field(default=None, repr=False)
    listed: Sequence[SessionInfo] = field(default=(), repr=False)

    @property
    def bystanders(self) -> list[SessionInfo]:
        """All sessions that would end without being meant, each once."""
        # Those of one client have one list.
        lists = {id(target.bystanders): target.bystanders for target in self.targets}.values()
        return list({id(other): other for others in lists for other in others}.values())

    @property
    def cost(self) -> Cost:
        """The worst that it would cost anybody."""
        return worst(target.cost for target in self.targets)

    def is_grave(self, *, with_others: bool = False) -> bool:
        """Whether a person is to type the server's name before this is run; `with_others`: bystanders end too."""
        costs = [target.cost for target in self.targets if not target.is_own]
        others = self.bystanders if with_others else []
        costs += [Cost.NONE if other.num_opens == 0 else Cost.UNKNOWN for other in others]
        return is_grave(len(self.targets) + len(others), costs)

    def only(self, keep: Callable[[Target], bool]) -> Plan:
        """The plan for the targets to keep, without those whose order ends one that is not to be kept."""
        left = {target.order for target in self.targets if not keep(target)} - {None}
        kept = [target for target in self.targets if keep(target) and target.order not in left]
        return Plan(self.verb, self.server, kept, {}, [[place] for place in range(len(kept))], self.level)

    def as_json(self) -> dict[str, Any]:
        """The plan for programs. Times are RFC 3339; what the server did not say is None."""
        return {
            "verb": self.verb.value,
            "level": self.level,
            "targets": [target_json(target) for target in self.targets],
            "missing": [
                {**record_json(one.record), "error": one.error.code, "message": one.error.message}
                for one in self.missing.values()
            ],
            "bystanders": [record_json(other, "client_name user_name num_opens") for other in self.bystanders],
        }


@dataclass(slots=True, eq=False)
class Outcome:
    """What became of one target.

    `reason` is why it was spared; `error` says it as an error too, or why the order failed. `others` are the sessions
    that went along, or would have. `note` is a sentence about something that one would not expect.
    """

    target: Target
    what: What
    reason: Reason | None = None
    error: LanmanError | None = None
    note: str | None = None
    others: list[SessionInfo] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The outcome for programs."""
        return {
            **target_json(self.target),
            "outcome": self.what.value,
            "reason": None if self.reason is None else self.reason.value,
            "error": None if self.error is None else self.error.code,
            "message": None if self.error is None else self.error.message,
            "note": self.note,
        }


Consent = bool | Sequence[SessionInfo]
"""Whether bystanders may end too: all of them, none, or the sessions of these clients and users."""

Done = Callable[[Outcome], None]
"""What is called with each outcome as it comes."""


def worst(costs: Iterable[Cost]) -> Cost:
    """The worst of some costs; nothing where there are none."""
    return max(costs, key=lambda cost: cost.rank, default=Cost.NONE)


def allows(limit: Cost, cost: Cost) -> bool:
    """Whether a cost is known, and no worse than a limit."""
    return cost is not Cost.UNKNOWN and cost.rank <= limit.rank


MANY: Final = 20
"""More than so many are not ended by one key."""


def is_grave(number: int, costs: Iterable[Cost]) -> bool:
    """Whether a person is to type the server's name before so many end, at these costs to others: where they are many,
    or somebody may lose work."""
    return number > MANY or any(cost in (Cost.UNSAVED, Cost.UNKNOWN) for cost in costs)


# --- for programs


def target_json(target: Target) -> dict[str, Any]:
    """A target for programs: what it is known by, its record, what it costs and why."""
    begun = {"begun_at": rfc3339(target.key.begun_at)} if isinstance(target.key, SessionKey) else {}
    return {
        "kind": target.kind,
        "key": str(target.key),
        **record_json(target.record),
        **begun,
        "cost": target.cost.value,
        "cost_why": target.why,
        "is_own": target.is_own,
        "num_bystanders": len(target.bystanders),
    }


FIELDS: Final[Mapping[type, str]] = {
    SessionInfo: "client_name user_name num_opens active_time idle_time",
    FileInfo: "id path user_name num_locks permissions",
    ShareInfo: "netname path current_uses",
}


def record_json(record: Record, names: str | None = None) -> dict[str, Any]:
    """The fields of a record that a plan is about."""
    if names is None:
        names = next(names for kind, names in FIELDS.items() if isinstance(record, kind))
    of_node = {} if record.node is None else {"node": record.node}
    return of_node | {name: getattr(record, name) for name in names.split()}
