"""What a policy has promised to whom: that a session is ended at a time. Values, and how they are kept as text.

  matched -> telling -> told -> ending -> ended
                |         |-> held (and again) ->|
                |-> lost  |-> reported           |-> spared

- TELLING is kept before anybody is told, and ENDING before an order is given: whoever is killed in between finds it,
  and knows that it may have happened.
- TOLD waits for `due_at`. What was due and left alone for the time being (it would cost too much, others would go
  along) stays TOLD with a `reason`, and is looked at again; nobody is told twice.
- LOST: the program was killed while somebody was told. Nobody knows whether a message came, so nothing is due; once
  the time is over that it may have named, all begins anew.
- REPORTED is where a promise of `mode = "report"` ends: the session would have been ended. It stays until the session
  is no longer meant, so that it is reported once.
- ENDED and SPARED are the end. They are kept while they count for `at_most`, and history keeps the deeds.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from enum import Enum
from typing import Any, Final
from urllib.parse import unquote

from lanman.errors import MalformedMessage
from lanman.manage.selection import Pattern, canonical_client, is_pattern
from lanman.manage.watching.keys import SessionKey, same_session
from lanman.names import fold
from lanman.plain import dataclass
from lanman.shown import rfc3339
from lanman.versions import check_version

VERSION: Final = 1

LATELY: Final = 3600
"""For so many seconds those who were ended count for `at_most`."""


class State(Enum):
    """Where a promise is."""

    TELLING = "telling"
    UNTOLD = "untold"
    TOLD = "told"
    LOST = "lost"
    REPORTED = "reported"
    ENDING = "ending"
    ENDED = "ended"
    SPARED = "spared"

    @property
    def is_open(self) -> bool:
        """Whether something may still become of it."""
        return self not in (State.ENDED, State.SPARED)


@dataclass(slots=True)
class Promise:
    """One session that a policy is to end. `name` is its own; times are in seconds since 1970.

    `server` is as policies and -S name it. `why` is why the session is meant, `reason` why it was spared, or is left
    alone for now. `told` is "yes", "no", "unknown", "" where nobody was to be told. `again_at` is when it is looked at
    again, or told again, where that is not at once.
    """

    name: str
    policy: str
    server: str
    mode: str
    client_name: str | None
    user_name: str | None
    begun_at: int | None
    id: int | str | None
    matched_at: float
    due_at: float
    why: str
    state: State = State.TELLING
    told_at: float | None = None
    told: str = ""
    reason: str = ""
    again_at: float = 0.0
    settled_at: float | None = None

    @property
    def key(self) -> SessionKey:
        """What the session is known by."""
        return SessionKey(self.client_name, self.user_name, self.begun_at, self.id)

    def as_text(self) -> str:
        """The promise as it is kept."""
        return json.dumps({"version": VERSION, **asdict(self), "state": self.state.value})

    def as_json(self) -> dict[str, Any]:
        """The promise for programs; times are RFC 3339."""
        return {
            "key": str(self.key),
            "policy": self.policy,
            "server": self.server,
            "mode": self.mode,
            "client_name": self.client_name,
            "user_name": self.user_name,
            "begun_at": rfc3339(self.begun_at),
            "state": self.state.value,
            "matched_at": rfc3339(self.matched_at),
            "told": self.told or None,
            "told_at": rfc3339(self.told_at),
            "due_at": rfc3339(self.due_at),
            "again_at": rfc3339(self.again_at) if self.again_at else None,
            "meant": self.why,
            "reason": self.reason or None,
        }

    def shifted(self, seconds: float) -> None:
        """The clock was set: every time of it is so many seconds later."""
        self.matched_at += seconds
        self.due_at += seconds
        self.again_at += seconds
        if self.begun_at is not None:
            self.begun_at = round(self.begun_at + seconds)
        self.told_at = None if self.told_at is None else self.told_at + seconds
        self.settled_at = None if self.settled_at is None else self.settled_at + seconds


_KINDS: Final = (
    ("name policy server mode why told reason", (str,)),
    ("client_name user_name", (str, type(None))),
    ("matched_at due_at again_at", (int, float)),
    ("told_at settled_at", (int, float, type(None))),
    ("begun_at", (int, type(None))),
    ("id", (int, str, type(None))),
)
"""What may stand for each field, as it is kept."""


def promise_of(text: str) -> Promise:
    """The promise that was kept as a text. Raises NewerVersion, and MalformedMessage for what is none."""
    try:
        document: dict[str, Any] = json.loads(text)
        check_version(int(document.pop("version")), VERSION)
        for names, kinds in _KINDS:
            for name in names.split():
                if not isinstance(document[name], kinds) or isinstance(document[name], bool):
                    raise TypeError(name)
        return Promise(**{**document, "state": State(document["state"])})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise MalformedMessage(f"a kept promise cannot be read: {error!r}") from None


def paired(promises: Iterable[Promise], keys: Iterable[SessionKey]) -> Iterator[tuple[Promise, int | None]]:
    """Each promise with the place of its session's key, None where there is none; each place is given once."""

    def group(key: SessionKey) -> tuple[str, str]:
        return canonical_client(key.client_name or ""), fold(key.user_name or "")

    places: defaultdict[tuple[str, str], list[tuple[int, SessionKey]]] = defaultdict(list)
    for place, key in enumerate(keys):
        places[group(key)].append((place, key))
    for promise in sorted(promises, key=lambda one: (one.begun_at or 0, one.name)):
        key = promise.key
        left = places.get(group(key), [])
        alike = [one for one in left if same_session(key, one[1])]
        found = min(alike, key=lambda one: abs((one[1].begun_at or 0) - (key.begun_at or 0)), default=None)
        if found is not None:
            left.remove(found)
        yield promise, None if found is None else found[0]


# --- who is left alone because somebody has said so


@dataclass(frozen=True, slots=True)
class Spare:
    """A session, a user or a client that is left alone until a time. `word` is as it was typed; `server` "" is every
    server."""

    word: str
    until: float
    server: str = ""
    by: str = ""

    def as_text(self) -> str:
        """The spare as it is kept."""
        return json.dumps({"version": VERSION, **asdict(self)})


def spare_of(text: str) -> Spare:
    """The spare that was kept as a text. Raises NewerVersion, and MalformedMessage for what is none."""
    try:
        document = json.loads(text)
        check_version(int(document["version"]), VERSION)
        return Spare(str(document["word"]), float(document["until"]), str(document["server"]), str(document["by"]))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise MalformedMessage(f"a kept spare cannot be read: {error!r}") from None


def session_of(word: str) -> SessionKey | None:
    """The key that a word of `str(SessionKey)` is; None for any other word."""
    word, at, node = word.partition("@")
    kind, *parts = word.split(":")
    if kind != "session" or len(parts) != 5:
        return None
    client, user, begun, id, number = (None if part == "*" else unquote(part) for part in parts)
    try:
        return SessionKey(
            client,
            user,
            None if begun is None else int(begun),
            _id(id),
            int(number or 0),
            unquote(node) if at else None,
        )
    except ValueError:
        return None


def _id(word: str | None) -> int | str | None:
    return int(word) if word is not None and word.isascii() and word.isdigit() else word


def covers(
    spare: Spare, key: SessionKey, server: str, now: float, clients: Mapping[str, frozenset[str]] | None = None
) -> bool:
    """Whether a session is left alone by a spare now. A word with slashes before it is a client, any other one a user
    or a client, whichever it is the name of: rather one too many is left alone. `clients` are the listed names that
    words mean which had to be looked up (`View.clients`)."""
    if spare.until <= now or (spare.server and canonical_client(spare.server) != canonical_client(server)):
        return False
    if (wanted := session_of(spare.word)) is not None:
        # Ids are compared as words: what was a number in a database may be one here, or not.
        ids = None in (wanted.id, key.id) or str(wanted.id) == str(key.id)
        here = wanted.node is None or canonical_client(wanted.node) == canonical_client(server)
        return ids and here and same_session(wanted._replace(id=None, node=None), key._replace(id=None, node=None))
    if key.client_name in (clients or {}).get(spare.word, ()):
        return True
    client = canonical_client(key.client_name or "")
    names = [(client, canonical_client(spare.word))]
    if spare.word[:1] not in ("\\", "/"):
        user = fold(key.user_name or "")
        bare = fold((key.user_name or "").rpartition("\\")[2].partition("@")[0])
        typed = fold(spare.word)
        names += [(user, typed), (bare, typed), (bare, typed.rpartition("\\")[2].partition("@")[0])]
    return any(
        bool(name) and (Pattern(wanted_name).matches(name) if is_pattern(wanted_name) else name == wanted_name)
        for name, wanted_name in names
    )
