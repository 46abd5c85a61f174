"""What may be written in policies.toml, each key declared once, with the declarations of `lanman.settings`.

    (above all sections)  File          [policies.NAME]  Policy
        select = { ... }  Select            tell = { ... }   Tell

A policy is a value, complete and checked where it came from a file (`lanman.manage.policies.reading`). The tables of
docs/reference/policies.md are made from these declarations. The rules that several keys make together are
`reading`'s.

Empty lists and texts are errors, wherever they stand: what selects nothing by accident would select everything the next
time. What is not written is None, or empty.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import field
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from lanman.errors import LanmanError
from lanman.manage.cluster import check as check_servers
from lanman.manage.orders.plan import MANY, Cost
from lanman.manage.policies.hours import Hours, parse_hours
from lanman.manage.selection import bare_client, empty_filter
from lanman.plain import dataclass
from lanman.settings import TEXT, Kind, Setting, declared, number, one_of, setting, settings_of
from lanman.shown import rfc3339, seconds_of

WAYS: Final = ("mail", "webhook", "command")
"""How people can be told: the sections of lanman.toml."""

PLACEHOLDERS: Final = frozenset({"time", "server", "user", "clients", "policy"})
"""What may stand in braces in `message`."""

MAX_SERVERS: Final = 1000
MAX_NAMES: Final = 1000

LONGEST_IDLE: Final = "longest idle"
NEWEST: Final = "newest"
OLDEST: Final = "oldest"

_YEAR: Final = 86400 * 365


# --- kinds


def _seconds(low: int, high: int, words: str) -> Kind[Any]:
    def check(value: Any) -> int:
        found = seconds_of(value) if isinstance(value, str) and value[-1:].isalpha() else None
        if found is None or found != int(found):
            raise ValueError('must be a duration in quotation marks with its unit, such as "90s", "15m" or "2h"')
        if not low <= found <= high:
            raise ValueError(f"must be a duration {words}")
        return int(found)

    return Kind(check, f"a duration {words}")


def _names(value: Any, what: str) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise ValueError(f"must be {what}, or a list of such")
    if not listed:
        raise ValueError("must not be empty: leave the key out if it is to say nothing")
    if len(listed) > MAX_NAMES:
        raise ValueError(f"must have at most {MAX_NAMES} names")
    for each in listed:
        if not each.strip():
            raise ValueError(f"must have no empty name: it is to be {what}")
    return tuple(dict.fromkeys(listed))


def _users(value: Any) -> tuple[str, ...]:
    for each in (found := _names(value, 'a user or a pattern, such as "bob" or "svc_*"')):
        if each.endswith(("\\", "@")):
            raise ValueError(f"must name users: {empty_filter('user', each)}")
    return found


def _clients(value: Any) -> tuple[str, ...]:
    for each in (found := _names(value, 'a client or a pattern, such as "pc7" or "10.9.*"')):
        if not bare_client(each):
            raise ValueError(f"must name clients: {empty_filter('client', each)}")
    return found


def _paths(value: Any) -> tuple[str, ...]:
    for each in (found := _names(value, 'a path or a pattern, such as "/srv/data/*.mdb"')):
        if each[:2] in ("\\\\", "//"):
            raise ValueError(f"must be paths as `lanman file` lists them; no server lists {each!a}")
    return found


def _shares(value: Any) -> tuple[str, ...]:
    return _names(value, 'the name of a share, such as "projects"')


def _servers(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError('must be a list of servers, such as ["fs1", "cluster:files"]')
    found = _names(value, 'a server, such as "fs1", "fs2:4450" or "cluster:files"')
    for each in found:
        try:
            check_servers(each)
        except LanmanError as error:
            raise ValueError(f"must name servers: {error.message}") from None
    return found


def _hours(value: Any) -> Hours:
    if not isinstance(value, str):
        raise ValueError('must be hours of the week in quotation marks, such as "M-F,8am-6pm"')
    return parse_hours(value)


def _zone(value: Any) -> ZoneInfo:
    text = TEXT.check(value)
    # What is no name of a zone is not looked for: the names are paths of files.
    if re.fullmatch(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", text):
        with suppress(OSError, ValueError, KeyError):  # there is none, or it is a folder
            return ZoneInfo(text)
    raise ValueError('must be a time zone of the IANA database, such as "Europe/Berlin" or "UTC"')


def _ways(value: Any) -> tuple[str, ...]:
    found = _names(value, 'one of "mail", "webhook" and "command"')
    for each in found:
        if each not in WAYS:
            raise ValueError(f'must be "mail", "webhook" or "command", and not {each!a}')
    return found


def _message(value: Any) -> str:
    text = TEXT.check(value)
    if not text.strip() or len(text) > 2000:
        raise ValueError("must be a text of 1 to 2000 characters")
    for name in re.findall(r"\{([^{}]*)\}", text):
        if name not in PLACEHOLDERS:
            known = ", ".join(f"{{{each}}}" for each in sorted(PLACEHOLDERS))
            raise ValueError(f"must have no other word in braces than {known}, and has {{{name}}}")
    return text


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _cost(value: Any) -> Cost:
    if value not in ("none", "reopen", "unsaved"):
        raise ValueError('must be "none", "reopen" or "unsaved"')
    return Cost(value)


_USERS: Final[Kind[Any]] = Kind(_users, "users or patterns")
_CLIENTS: Final[Kind[Any]] = Kind(_clients, "clients or patterns")
_PATHS: Final[Kind[Any]] = Kind(_paths, "paths or patterns")
_SHARES: Final[Kind[Any]] = Kind(_shares, "names of shares")
_OPENS: Final[Kind[Any]] = number(0, 0x7FFFFFFF)
_MAXIMUM: Final[Kind[Any]] = number(1, 1_000_000)
_ZONE: Final[Kind[Any]] = Kind(_zone, "a name of the IANA database")
_HOURS: Final[Kind[Any]] = Kind(_hours, "hours of the week")


# --- the sections


@dataclass(frozen=True, slots=True)
class Select:
    """Which sessions: those for which everything that is written holds."""

    idle: int | None = setting(
        None,
        _seconds(1, _YEAR, "of at least a second"),
        "who has done nothing for at least so long",
        default_text="none",
        example="2h",
    )
    age: int | None = setting(
        None,
        _seconds(1, _YEAR, "of at least a second"),
        "who has been connected for at least so long",
        default_text="none",
        example="12h",
    )
    opens: int | None = setting(None, _OPENS, "who has at most so many files open", default_text="none", example=0)
    user: tuple[str, ...] = setting(
        (), _USERS, "whose user is one of these, as `lanman session --user` understands it", default_text="none"
    )
    not_user: tuple[str, ...] = setting(
        (),
        _USERS,
        "whose user is none of these; with and without a domain, letter case does not count",
        default_text="none",
        example=["svc_*"],
    )
    client: tuple[str, ...] = setting(
        (), _CLIENTS, "who comes from one of these clients, as `--client` understands it", default_text="none"
    )
    not_client: tuple[str, ...] = setting(
        (), _CLIENTS, "who comes from none of these clients", default_text="none", example=["10.9.*"]
    )
    share: tuple[str, ...] = setting((), _SHARES, "who has something open in one of these shares", default_text="none")
    not_share: tuple[str, ...] = setting(
        (), _SHARES, "who has nothing open in any of these shares, for certain", default_text="none"
    )
    path: tuple[str, ...] = setting(
        (), _PATHS, "who has something open by one of these paths, as `lanman file` lists them", default_text="none"
    )
    not_path: tuple[str, ...] = setting(
        (), _PATHS, "who has nothing open by any of these paths, for certain", default_text="none"
    )


@dataclass(frozen=True, slots=True)
class Tell:
    """How people are told before they are ended."""

    by: tuple[str, ...] = field(
        default=(),
        metadata=declared(
            Kind(_ways, '`"mail"`, `"webhook"`, `"command"`'),
            "by which ways of lanman.toml",
            default_text="all that lanman.toml has",
            example=["mail", "command"],
        ),
    )
    before: int = field(
        default=900,
        metadata=declared(
            _seconds(1, 7 * 86400, "from a second to a week"),
            "how long before, at least",
            default_text='`"15m"`',
            example="15m",
        ),
    )
    required: bool = setting(
        True,
        Kind(_flag, "`true`, `false`"),
        "whether only those are ended whom a message has reached, as far as the mail server, web service or program "
        "says; with `false`, an attempt is enough",
    )
    message: str = setting(
        "",
        Kind(_message, "text"),
        "what they are told; `{time}`, `{server}`, `{user}`, `{clients}` and `{policy}` stand for what they say",
        default_text="a sentence with the time and the reason",
        example="Good night! {server} lets go of you at {time}.",
    )


SELECT: Final = settings_of("policies.NAME.select", Select)
TELL: Final = settings_of("policies.NAME.tell", Tell)


def _table(example: str, also: str = "") -> Kind[Mapping[str, Any]]:
    """A table within the section, whose own keys are checked by `reading`."""

    def check(value: Any) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise ValueError(f"must be a table such as {example}{also and f', or {also}'}")
        return value

    return Kind(check, f"a table{also and f', or `{also}`'}")


@dataclass(frozen=True, slots=True)
class Policy:
    """[policies.NAME]: which sessions on which servers are ended, when, and what has to come first. `tell` None: nobody
    is told."""

    name: str
    servers: tuple[str, ...] = field(
        default=(),
        metadata=declared(
            Kind(_servers, "servers"),
            "where it holds: servers, `cluster:NAME` and `name*` as for `-S`; each by itself",
            default_text="that of `-S`, or this machine's",
            example=["fs1", "cluster:files"],
        ),
    )
    mode: Literal["report", "enforce"] = setting(
        "report",
        one_of("report", "enforce"),
        'what is done: `"report"` says what would be, and `"enforce"` does it',
    )
    select: Select = field(
        default_factory=Select,
        metadata=declared(
            _table('{ idle = "2h" }'),
            "which sessions; see below",
            default_text="every session, where there is a maximum",
            example={"idle": "2h", "opens": 0},
        ),
    )
    max_sessions_per_user: int | None = setting(
        None,
        _MAXIMUM,
        "how many of them a user may have on one server; those beyond are ended",
        default_text="none",
        example=3,
    )
    max_sessions_per_client: int | None = setting(
        None,
        _MAXIMUM,
        "how many of them may come from one client to one server; those beyond are ended",
        default_text="none",
        example=5,
    )
    end: Literal["longest idle", "newest", "oldest"] = setting(
        "longest idle",
        one_of("longest idle", "newest", "oldest"),
        "which of those are beyond a maximum",
    )
    outside: Hours | None = field(
        default=None,
        metadata=declared(_HOURS, "the policy sleeps in these hours", default_text="none", example="M-F,8am-6pm"),
    )
    during: Hours | None = field(
        default=None,
        metadata=declared(
            _HOURS, "the policy sleeps outside these hours; `outside` or `during`, not both", default_text="none"
        ),
    )
    zone: ZoneInfo | None = field(
        default=None,
        metadata=declared(
            _ZONE,
            "by which clocks; required with `outside` and `during`",
            default_text="none",
            example="Europe/Berlin",
        ),
    )
    tell: Tell | None = field(
        default_factory=Tell,
        metadata=declared(
            _table('{ before = "15m" }', "false"),
            "how people are told first, see below; `false` tells nobody, and ends them when they are found",
            default_text="a table that says nothing",
            example={"before": "15m"},
        ),
    )
    then: Literal["end"] = setting("end", one_of("end"), "what happens then: the session is ended")
    may_cost: Cost = field(
        default=Cost.REOPEN,
        metadata=declared(
            Kind(_cost, '`"none"`, `"reopen"`, `"unsaved"`'),
            "what it may cost who is ended: nothing; a file that was open for reading; or work that was not saved. "
            "Who would lose more, or of whom that is not known, is left alone meanwhile",
            default_text='`"reopen"`',
            example="reopen",
        ),
    )
    at_most: int = setting(
        MANY,
        number(1, 1_000_000),
        "where more than so many are meant on one server, those ended within the last hour included, nothing is done "
        "there at all",
    )
    at_most_percent: int = setting(
        100, number(1, 100), "the same for so many of a hundred sessions of the server", default_text="100: no limit"
    )

    @property
    def hours(self) -> Hours | None:
        """The hours that are written, in one way or the other."""
        return self.outside or self.during

    def changes_at(self, now: float) -> float | None:
        """When it wakes up, or goes to sleep, after a time (seconds since 1970); None where it never sleeps."""
        return None if self.hours is None or self.zone is None else self.hours.until(now, self.zone)

    def as_json(self, now: float) -> dict[str, Any]:
        """The policy for programs, as it is at a time."""
        return {
            "policy": self.name,
            "servers": list(self.servers),
            "mode": self.mode,
            "awake": self.awake(now),
            "changes_at": rfc3339(self.changes_at(now)),
            "before": None if self.tell is None else self.tell.before,
            "at_most": self.at_most,
            "at_most_percent": self.at_most_percent,
            "may_cost": self.may_cost.value,
        }

    def awake(self, at: float) -> bool:
        """Whether it is awake at a time, in seconds since 1970."""
        if self.hours is None or self.zone is None:
            return True
        return self.hours.cover(at, self.zone) is (self.outside is None)

    @property
    def has_maximum(self) -> bool:
        """Whether it is about those beyond a maximum alone."""
        return self.max_sessions_per_user is not None or self.max_sessions_per_client is not None


@dataclass(frozen=True, slots=True)
class File:
    """Above all sections of policies.toml."""

    every: int = field(
        default=60,
        metadata=declared(
            _seconds(1, 3600, "from a second to an hour"),
            "how long it is from one look at a server to the next",
            default_text='`"1m"`',
            example="1m",
        ),
    )


@dataclass(frozen=True, slots=True)
class Policies:
    """All of policies.toml."""

    policies: Mapping[str, Policy] = field(default_factory=dict)
    every: int = 60
    source: str = "policies.toml"


FILE: Final = settings_of("", File)
POLICY: Final = settings_of("policies.NAME", Policy)
"""The keys of [policies.NAME], by name, in the order of the reference."""

SECTIONS: Final[Mapping[str, Mapping[str, Setting]]] = {
    "policies_file": FILE,
    "policies.NAME": POLICY,
    "policies.NAME.select": SELECT,
    "policies.NAME.tell": TELL,
}
"""All tables of the reference, by their names there."""
