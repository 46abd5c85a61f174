"""What policies say: to who is told, and of what they do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo
from enum import Enum

from lanman.manage.policies.declared import Policy
from lanman.manage.policies.promises import Promise
from lanman.manage.selection import bare_client
from lanman.names import fold
from lanman.net.tell.people import Message, Person
from lanman.plain import dataclass
from lanman.records import FileInfo


class What(Enum):
    """What has happened."""

    TOLD = "told"
    NOT_TOLD = "not told"
    ENDED = "ended"
    REPORTED = "reported"
    """It would have been ended."""
    SPARED = "spared"
    HELD = "held"
    """It is due, and left alone for now."""
    STOPPED = "stopped"
    """More are meant than may be: nothing is done."""
    SKIPPED = "skipped"
    """The server lacks what the policy needs to know."""
    GOES_ON = "goes on"
    """It was stopped or skipped, and is no longer."""
    AWAY = "away"
    BACK = "back"
    REFUSED = "refused"
    """The log-on was refused; the server is asked no more."""
    CLOCK = "clock"
    """The clock was set, and all times with it."""
    READ = "read"
    """The policies were read anew."""
    NOT_READ = "not read"
    """They could not be read anew; those before hold."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened, at a time in seconds since 1970; for what is not about one session `promise` is
    None. `text` says why, or more."""

    at: float
    what: What
    server: str = ""
    policy: str = ""
    promise: Promise | None = None
    text: str = ""


def people_of(promises: Iterable[Promise], files: Sequence[FileInfo]) -> list[tuple[Person, list[Promise]]]:
    """Who is to be told of some promises, each person once."""
    theirs: dict[str, list[Promise]] = {}
    for one in promises:
        theirs.setdefault(fold(one.user_name or ""), []).append(one)
    opened: dict[str, list[str]] = {}
    for file in files:
        if file.path and not file.path.casefold().startswith("\\pipe\\"):
            opened.setdefault(fold(file.user_name or ""), []).append(file.path)
    return [
        (
            Person(
                group[0].user_name or "",
                tuple(dict.fromkeys(one.client_name for one in group if one.client_name)),
                tuple(opened.get(user, ())),
            ),
            group,
        )
        for user, group in theirs.items()
    ]


def shown_time(at: float, zone: tzinfo | None, now: float) -> str:
    """A time for people: of today its hour, of another day with the day; by the clocks of a zone, or this machine's."""
    time = datetime.fromtimestamp(at).astimezone(zone)
    today = datetime.fromtimestamp(now).astimezone(zone).date() == time.date()
    return time.strftime("%H:%M %Z" if today else "%Y-%m-%d %H:%M %Z").strip()


def message_for(policy: Policy, server: str, person: Person, why: str, due_at: float, now: float) -> Message:
    """What a person is told; `why` is why sessions of theirs are meant."""
    when = shown_time(due_at, policy.zone, now)
    clients = ", ".join(bare_client(each) for each in person.clients)
    assert policy.tell is not None
    if policy.tell.message:
        text = policy.tell.message
        values = {"time": when, "server": server, "user": person.user_name, "clients": clients, "policy": policy.name}
        # In one pass: what a peer's name brings in is not looked at again.
        parts = text.split("{")
        filled = [parts[0]]
        for part in parts[1:]:
            name, brace, rest = part.partition("}")
            filled.append(f"{values[name]}{rest}" if brace and name in values else "{" + part)
        return Message(server, f"{server} ends your connection at {when}", "".join(filled))
    return Message(
        server,
        f"{server} ends your connection at {when}",
        f"Your connection to the file server {server} from {clients or 'your computer'} will be ended at {when} or "
        f"later, by the policy {policy.name} ({why}). Please save your work and close your files there.",
    )
