"""Which sessions of a server a policy means, by what the server lists; without I/O.

    choice = choose(policy, view)
    choice.matches, choice.undecided, choice.skipped

Rules:

  - A session is meant if everything that `select` says holds. What the server did not say is not guessed: a session of
    which something that counts is not known is undecided, and is not meant. Where a server says it of no session at
    all, the policy skips that server, with the reason.
  - Who is selected is selected as `lanman session --user` and `--client` do; who is left out is left out as widely as
    the name can be meant, with and without a domain.
  - When each session began has to be known, or what the server calls it: who was told must not be taken for somebody
    who has come since.
  - A maximum counts the sessions that `select` leaves, of each user (or client) on this server by itself. Those without
    a user, null sessions, have no maximum by user. Of those beyond, `end` says which; sessions that are alike in that
    are told apart by their keys, so that the same list gives the same answer.
  - Files are one session's where the server tells so, or where no other session can have them. Where several can, the
    file counts for each of them as something that is not known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from typing import Final

from lanman.manage.openers import Openers
from lanman.manage.policies.declared import LONGEST_IDLE, OLDEST, Policy, Select
from lanman.manage.selection import (
    Pattern,
    alike_clients,
    bare_client,
    canonical_client,
    chosen_paths,
    chosen_users,
    equal_clients,
    is_below,
    is_pattern,
)
from lanman.manage.watching.keys import SessionKey
from lanman.names import fold
from lanman.plain import dataclass
from lanman.records import FileInfo, SessionInfo
from lanman.shown import as_duration, escape


@dataclass(frozen=True, slots=True)
class Seen:
    """A session as it was listed, and what it is known by."""

    entry: SessionInfo
    key: SessionKey


@dataclass(frozen=True, slots=True)
class View:
    """What a server lists. `at` is when it was asked, in seconds since 1970. `files` None: it was not asked for, or is
    not told; `shares` are the folders of shares by folded names, None where they are not told. `clients` are the listed
    names that typed clients mean, for those that had to be looked up."""

    server: str
    at: float
    seen: Sequence[Seen]
    files: Sequence[FileInfo] | None = None
    shares: Mapping[str, str] | None = None
    clients: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    """A session that is meant, and why in words."""

    seen: Seen
    why: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What a policy means on a server: of `total` sessions, those. `undecided` are sessions of which too little is
    known, with what is missing; `skipped` is why nothing can be decided there at all, "" where it can."""

    total: int
    matches: tuple[Match, ...] = ()
    undecided: tuple[tuple[Seen, str], ...] = ()
    skipped: str = ""


# What a server may not say of a session, by the names of records: how to call it.
_FACTS: Final[Mapping[str, str]] = {
    "idle_time": "idle times",
    "active_time": "how long sessions have lasted",
    "num_opens": "how many files are open",
    "user_name": "users",
    "client_name": "clients",
}

# What each key of `select` needs.
_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "idle": ("idle_time",),
    "age": ("active_time",),
    "opens": ("num_opens",),
    "user": ("user_name",),
    "not_user": ("user_name",),
    "client": ("client_name",),
    "not_client": ("client_name",),
    "share": ("user_name",),
    "not_share": ("user_name",),
    "path": ("user_name",),
    "not_path": ("user_name",),
}
FILES: Final = ("share", "not_share", "path", "not_path")
SHARES: Final = ("share", "not_share")


def used(select: Select) -> list[str]:
    """The keys that say something."""
    return [key for key in _NEEDS if getattr(select, key) not in (None, ())]


def choose(policy: Policy, view: View) -> Choice:
    """What a policy means on a server. Its hours are not asked for here."""
    keys = used(policy.select)
    if why := _not_told(policy, keys, view):
        return Choice(len(view.seen), skipped=why)
    tests = _Tests(policy.select, view)
    meant: list[Seen] = []
    undecided: list[tuple[Seen, str]] = []
    for seen in view.seen:
        answer = tests.answer(keys, seen)
        if answer is True and _is_nameless(seen):
            answer = _NAMELESS
        if answer is True:
            meant.append(seen)
        elif answer is not False:
            undecided.append((seen, answer))
    if policy.has_maximum:
        matches, more = _beyond(policy, meant)
        return Choice(len(view.seen), tuple(matches), (*undecided, *more))
    why = described(policy.select)
    return Choice(len(view.seen), tuple(Match(seen, why) for seen in meant), tuple(undecided))


def described(select: Select) -> str:
    """What is selected, for people: `idle for 2h, at most 0 open files`."""
    parts = []
    if select.idle is not None:
        parts.append(f"idle for {as_duration(select.idle)}")
    if select.age is not None:
        parts.append(f"connected for {as_duration(select.age)}")
    if select.opens is not None:
        parts.append(f"at most {select.opens} open" if select.opens else "nothing open")
    if select.user:
        parts.append(f"user {_named(select.user)}")
    if select.client:
        parts.append(f"from {_named(select.client)}")
    if select.share or select.path:
        parts.append(f"something open in {_named([*select.share, *select.path])}")
    return ", ".join(parts) or "not left out"


def _named(names: Sequence[str]) -> str:
    """Some names, of many the first ones."""
    return " or ".join(map(escape, names[:3])) + (f" or {len(names) - 3} more" if len(names) > 3 else "")


def _not_told(policy: Policy, keys: Sequence[str], view: View) -> str:
    """What the server does not say of any session, and what cannot be decided without it."""
    if not view.seen:
        return ""
    needs = {key: _NEEDS[key] for key in keys}
    if policy.max_sessions_per_user is not None:
        needs["max_sessions_per_user"] = ("user_name",)
    if policy.max_sessions_per_client is not None:
        needs["max_sessions_per_client"] = ("client_name",)
    if policy.has_maximum:
        needs["end"] = ("idle_time" if policy.end == LONGEST_IDLE else "active_time",)
    for key, facts in needs.items():
        for fact in facts:
            if all(getattr(seen.entry, fact) is None for seen in view.seen):
                what = f'`end = "{policy.end}"`' if key == "end" else f"`{key}`"
                return f"it does not say {_FACTS[fact]}: {what} cannot be decided"
        if key in FILES and view.files is None:
            return f"it does not say what is open: `{key}` cannot be decided"
        if key in SHARES and (missing := _missing_share(getattr(policy.select, key), view.shares)):
            return f"{missing}: `{key}` cannot be decided"
    if all(_is_nameless(seen) for seen in view.seen):
        return f"{_NAMELESS}: which of them were told cannot be decided"
    return ""


_NAMELESS: Final = "it does not say how long sessions have lasted"


def _is_nameless(seen: Seen) -> bool:
    return seen.key.begun_at is None and seen.key.id is None


def _missing_share(names: Iterable[str], shares: Mapping[str, str] | None) -> str:
    if shares is None:
        return "it does not say where its shares are"
    missing = [name for name in names if not shares.get(fold(name))]
    return f"it has no share {escape(missing[0])}, or does not say where it is" if missing else ""


# --- what `select` says


Answer = bool | str
"""Yes, no, or what is not known."""


class _Tests:
    """The keys of a `select`, each against the sessions of one view."""

    def __init__(self, select: Select, view: View) -> None:
        self._select = select
        users = {seen.entry.user_name for seen in view.seen}
        clients = {seen.entry.client_name for seen in view.seen}
        self._users = frozenset().union(*(chosen_users(users, each) for each in select.user))
        self._not_users = frozenset(name for name in users if name and _is_any_user(name, select.not_user))
        self._clients = _meant_clients(view, clients, select.client)
        self._not_clients = _meant_clients(view, clients, select.not_client, widely=True)
        self._files = _Files(select, view) if any(getattr(select, key) for key in FILES) else None

    def answer(self, keys: Iterable[str], seen: Seen) -> Answer:
        """Whether a session is meant: no where any key says no, whatever is not known besides."""
        unknown = ""
        for key in keys:
            answer = self._one(key, seen)
            if answer is False:
                return False
            if answer is not True:
                unknown = unknown or answer
        return unknown or True

    def _one(self, key: str, seen: Seen) -> Answer:
        entry = seen.entry
        if key in FILES:
            assert self._files is not None
            return self._files.answer(key, entry)
        fact = getattr(entry, _NEEDS[key][0])
        if fact is None:
            return f"it does not say {_FACTS[_NEEDS[key][0]]}"
        if key in ("idle", "age"):
            return bool(fact >= getattr(self._select, key))
        if key == "opens":
            return bool(fact <= self._select.opens)
        chosen = {"user": self._users, "client": self._clients}.get(key)
        if chosen is not None:
            return fact in chosen
        return fact not in (self._not_users if key == "not_user" else self._not_clients)


def _is_any_user(listed: str, typed: Iterable[str]) -> bool:
    """Whether a listed user may be any of those that are typed, however either is written."""
    forms = {fold(listed), fold(_bare_user(listed))}
    for each in typed:
        for wanted in {fold(each), fold(_bare_user(each))}:
            if wanted in forms or (is_pattern(wanted) and any(map(Pattern(wanted).matches, forms))):
                return True
    return False


def _bare_user(name: str) -> str:
    return name.rpartition("\\")[2].partition("@")[0]


def _meant_clients(
    view: View, listed: Iterable[str | None], typed: Iterable[str], *, widely: bool = False
) -> frozenset[str]:
    """The listed clients that some typed ones mean; `widely`: all that any of them may mean."""
    found: frozenset[str] = frozenset()
    for each in typed:
        found |= view.clients.get(each, frozenset())
        equal = equal_clients(listed, each)
        found |= equal
        if widely or not equal:
            found |= alike_clients(listed, each)
        if widely and not is_pattern(each):
            wanted = canonical_client(each)
            found |= {name for name in listed if name and canonical_client(name) == wanted}
    return found


class _Files:
    """Whose files are open in the shares and by the paths that a `select` names."""

    def __init__(self, select: Select, view: View) -> None:
        files = view.files or ()
        openers = Openers(seen.entry for seen in view.seen)
        listed = [file.path for file in files]
        self._certain: dict[str, set[int]] = {}
        self._maybe: dict[str, set[int]] = {}
        for key in FILES:
            if not (wanted := getattr(select, key)):
                continue
            matches = _in_shares(wanted, view.shares or {}) if key in SHARES else _by_paths(wanted, listed)
            certain, maybe = self._certain.setdefault(key, set()), self._maybe.setdefault(key, set())
            for file in files:
                if file.path is None or matches(file.path):
                    opener = openers.of(file)
                    known = opener.session if file.path is not None else None
                    (maybe if known is None else certain).update(map(id, opener.sessions))
                    maybe.update(map(id, openers.may_have(file)))

    def answer(self, key: str, entry: SessionInfo) -> Answer:
        """Whether a session has, or certainly has not, something open there."""
        if id(entry) in self._certain[key]:
            return not key.startswith("not_")
        if id(entry) in self._maybe[key]:
            return "whether it has a file open is not known"
        return key.startswith("not_")


def _in_shares(names: Iterable[str], shares: Mapping[str, str]) -> Callable[[str], bool]:
    folders = [shares[fold(name)] for name in names]
    return lambda path: any(is_below(path, folder) for folder in folders)


def _by_paths(typed: Iterable[str], listed: Sequence[str | None]) -> Callable[[str], bool]:
    chosen = frozenset().union(*(chosen_paths(listed, each) for each in typed))
    return chosen.__contains__


# --- maxima


def _beyond(policy: Policy, meant: Sequence[Seen]) -> tuple[list[Match], list[tuple[Seen, str]]]:
    """The sessions beyond a maximum; and those of whoever has too many, where it cannot be said which."""
    matches: dict[int, Match] = {}
    undecided: dict[int, tuple[Seen, str]] = {}
    for most, by_user in ((policy.max_sessions_per_user, True), (policy.max_sessions_per_client, False)):
        if most is None:
            continue
        groups: defaultdict[str, list[Seen]] = defaultdict(list)
        for seen in meant:
            user, client = fold(seen.entry.user_name or ""), canonical_client(seen.entry.client_name or "")
            groups[user if by_user else client].append(seen)
        for group in (each for name, each in groups.items() if name and len(each) > most):
            if missing := _order_unknown(policy.end, group):
                undecided |= {id(seen): (seen, missing) for seen in group}
                continue
            name = group[0].entry.user_name if by_user else bare_client(group[0].entry.client_name or "")
            why = f"{escape(name or '')} has {len(group)} sessions, {most} are allowed"
            for seen in sorted(group, key=lambda each: _place(policy.end, each))[: len(group) - most]:
                matches.setdefault(id(seen), Match(seen, why))
    return list(matches.values()), [each for place, each in undecided.items() if place not in matches]


def _order_unknown(end: str, group: Iterable[Seen]) -> str:
    fact = "idle_time" if end == LONGEST_IDLE else "active_time"
    return f"it does not say {_FACTS[fact]}" if any(getattr(seen.entry, fact) is None for seen in group) else ""


def _place(end: str, seen: Seen) -> tuple[int, str]:
    """The place of a session among those of its group; the first ones are ended."""
    fact = seen.entry.idle_time if end == LONGEST_IDLE else seen.entry.active_time
    number = fact or 0
    return (-number if end in (LONGEST_IDLE, OLDEST) else number), str(seen.key)
