"""Which sessions a policy means, by what a server lists and by what it does not say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from lanman.manage.own import DetailedFile
from lanman.manage.policies.declared import Policy
from lanman.manage.policies.reading import parse_policies
from lanman.manage.policies.selecting import Choice, Seen, View, choose, described
from lanman.manage.watching.keys import session_key
from lanman.records import FileInfo, SessionInfo

NOW = 1_000_000.0

PEOPLE = [
    SessionInfo(r"\\pc1", "ann", 0, 9000, 7200),
    SessionInfo(r"\\PC1", "bob", 2, 600, 0),
    SessionInfo(r"\\10.9.0.4", "svc_backup", 1, 90000, 50),
    SessionInfo("10.9.0.5", r"EXAMPLE\carol", 0, 60, 60),
    SessionInfo(r"\\pc7", "", 0, 9000, 9000),
]


def policy(text: str) -> Policy:
    return parse_policies(f"[policies.p]\n{text}\n").policies["p"]


def view(
    people: Sequence[SessionInfo] = PEOPLE,
    files: Sequence[FileInfo] | None = None,
    shares: Mapping[str, str] | None = None,
    clients: Mapping[str, frozenset[str]] | None = None,
) -> View:
    return View("fs1", NOW, [Seen(one, session_key(one, NOW)) for one in people], files, shares, clients or {})


def users(choice: Choice) -> list[str | None]:
    return [match.seen.entry.user_name for match in choice.matches]


@pytest.mark.parametrize(
    ("select", "meant"),
    [
        ('idle = "2h"', ["ann", ""]),
        ('idle = "7201s"', [""]),
        ('age = "1d"', ["svc_backup"]),
        ("opens = 0", ["ann", r"EXAMPLE\carol", ""]),
        ("opens = 1", ["ann", "svc_backup", r"EXAMPLE\carol", ""]),
        ('user = "*"', ["ann", "bob", "svc_backup", r"EXAMPLE\carol"]),
        ('user = ["ANN", "bob"]', ["ann", "bob"]),
        ('user = "svc_*"', ["svc_backup"]),
        ('not_user = ["svc_*", "Ann"]', ["bob", r"EXAMPLE\carol", ""]),
        ('not_user = "carol"', ["ann", "bob", "svc_backup", ""]),
        (r'not_user = "OTHER\\carol@x"', ["ann", "bob", "svc_backup", ""]),
        ('client = "pc1"', ["bob"]),
        ('client = "PC7"', [""]),
        ('client = "10.9.*"', ["svc_backup", r"EXAMPLE\carol"]),
        ('not_client = "pc1"', ["svc_backup", r"EXAMPLE\carol", ""]),
        ('not_client = ["10.9.*", "//PC7"]', ["ann", "bob"]),
        ('opens = 0, idle = "1m", not_user = "ann"', [r"EXAMPLE\carol", ""]),
        ('user = "nobody-at-all"', []),
    ],
)
def test_whom_select_means(select: str, meant: list[str]) -> None:
    people = [one if one.client_name != r"\\PC1" else SessionInfo(r"\\pc1", *_rest(one)) for one in PEOPLE]
    listed = PEOPLE if "pc1" not in select or "not_" in select else [PEOPLE[1], *people[2:]]
    found = choose(policy(f"select = {{ {select} }}"), view(listed))
    assert users(found) == meant
    assert (found.total, found.skipped, found.undecided) == (len(listed), "", ())


@pytest.mark.parametrize(
    ("select", "why"),
    [
        ('idle = "90m", opens = 0', "idle for 1h30m, nothing open"),
        ('age = "1d", opens = 2', "connected for 1d, at most 2 open"),
        ('user = ["a", "b"], client = "10.9.*"', "user a or b, from 10.9.*"),
        ('user = ["a", "b", "c", "d", "e"]', "user a or b or c or 2 more"),
        ('share = "x", path = "*.mdb"', "something open in x or *.mdb"),
        ('not_user = "svc_*"', "not left out"),
    ],
)
def test_why_in_words(select: str, why: str) -> None:
    assert described(policy(f"select = {{ {select} }}").select) == why


def _rest(one: SessionInfo) -> tuple[str | None, int | None, int | None, int | None]:
    return one.user_name, one.num_opens, one.active_time, one.idle_time


def test_a_client_that_was_looked_up() -> None:
    known = {"server.example.com": frozenset({r"\\10.9.0.4"})}
    assert users(choose(policy('select = { client = "server.example.com" }'), view(clients=known))) == ["svc_backup"]
    left = users(choose(policy('select = { not_client = "server.example.com" }'), view(clients=known)))
    assert left == ["ann", "bob", r"EXAMPLE\carol", ""]


@pytest.mark.parametrize(
    ("text", "field", "said"),
    [
        ('select = { idle = "2h" }', "idle_time", "it does not say idle times: `idle` cannot be decided"),
        ('select = { age = "2h" }', "active_time", "it does not say how long sessions have lasted: `age` cannot"),
        ("select = { opens = 0 }", "num_opens", "it does not say how many files are open: `opens` cannot"),
        ('select = { not_user = "a" }', "user_name", "it does not say users: `not_user` cannot be decided"),
        ('select = { client = "a" }', "client_name", "it does not say clients: `client` cannot be decided"),
        ("max_sessions_per_user = 1", "user_name", "it does not say users: `max_sessions_per_user` cannot"),
        ("max_sessions_per_user = 1", "idle_time", 'it does not say idle times: `end = "longest idle"` cannot'),
        ('max_sessions_per_client = 1\nend = "oldest"', "active_time", '`end = "oldest"` cannot be decided'),
        ('select = { path = "*" }', "num_opens", "it does not say what is open: `path` cannot be decided"),
        ('select = { share = "x" }', "num_opens", "it does not say what is open: `share` cannot be decided"),
        ('select = { user = "ann" }', "active_time", "which of them were told cannot be decided"),
    ],
)
def test_a_server_that_lacks_a_fact_is_skipped(text: str, field: str, said: str) -> None:
    people = [SessionInfo(one.client_name, *_rest(one)) for one in PEOPLE]
    for one in people:
        setattr(one, field, None)
    found = choose(policy(text), view(people))
    assert found.matches == ()
    assert said in found.skipped


def test_one_of_whom_something_is_not_said_is_undecided() -> None:
    people = [*PEOPLE, SessionInfo(r"\\pc9", "dave", 0, 9000, None), SessionInfo(r"\\pc9", "eve", 0, None, 9000)]
    found = choose(policy('select = { idle = "2h", opens = 0 }'), view(people))
    assert users(found) == ["ann", ""]
    assert [(seen.entry.user_name, why) for seen, why in found.undecided] == [
        ("dave", "it does not say idle times"),
        ("eve", "it does not say how long sessions have lasted"),
    ]
    # What is known says no already.
    found = choose(policy('select = { idle = "2h", user = "ann" }'), view(people))
    assert (users(found), found.undecided) == (["ann"], ())


FILES = [
    FileInfo(1, 1, 0, "/srv/projects/a.txt", "bob"),
    FileInfo(2, 3, 0, "/srv/home/b.mdb", "svc_backup"),
    FileInfo(3, 1, 0, "/srv/home/c.txt", "twice"),
]
SHARES = {"PROJECTS": "/srv/projects", "HOME": "/srv/home"}
TWICE = [SessionInfo(r"\\pc5", "twice", 1, 100, 1), SessionInfo(r"\\pc6", "twice", 1, 100, 1)]


@pytest.mark.parametrize(
    ("select", "meant", "undecided"),
    [
        ('share = "projects"', ["bob"], 0),
        ('share = ["Projects", "home"]', ["bob", "svc_backup"], 2),
        ('not_share = "home"', ["ann", "bob", r"EXAMPLE\carol", ""], 2),
        ('path = "*.mdb"', ["svc_backup"], 0),
        ('path = "/srv/projects/a.txt"', ["bob"], 0),
        ('not_path = "*.mdb"', ["ann", "bob", r"EXAMPLE\carol", "", "twice", "twice"], 0),
        ('not_path = "*.txt", user = "t*"', [], 2),
    ],
)
def test_who_has_what_open(select: str, meant: list[str], undecided: int) -> None:
    found = choose(policy(f"select = {{ {select} }}"), view([*PEOPLE, *TWICE], FILES, SHARES))
    assert (users(found), len(found.undecided), found.skipped) == (meant, undecided, "")


@pytest.mark.parametrize("many", [300, pytest.param(16_384, marks=pytest.mark.long)])
@pytest.mark.parametrize("told", [False, True])
def test_what_is_kept_for_clients_that_are_away_is_in_no_session(many: int, told: bool) -> None:
    """No session is meant because of it, neither its user's own nor a null session's. Where it is not told that it is
    kept, a null session may have it open, and is neither meant nor spared by it."""
    kept: list[FileInfo] = [
        DetailedFile(number, 3, 0, f"/srv/home/{number}.mdb", "", durable=True, owner="ann", expires_at=NOW + 60)
        if told
        else FileInfo(number, 3, 0, f"/srv/home/{number}.mdb", "")
        for number in range(many)
    ]
    others = ["ann", "bob", "svc_backup", r"EXAMPLE\carol"]
    for select, meant in (
        ('path = "*.mdb"', []),
        ('share = "home"', []),
        ('not_path = "*.mdb"', others),
        ('not_share = "home"', others),
    ):
        found = choose(policy(f"select = {{ {select} }}"), view(PEOPLE, kept, SHARES))
        undecided = [(seen.entry.user_name, why) for seen, why in found.undecided]
        assert undecided == ([] if told else [("", "whether it has a file open is not known")])
        assert users(found) == [*meant, *([""] if told and meant else [])]
    found = choose(policy('select = { not_path = "*.mdb" }'), view(PEOPLE, [FileInfo(1, 3, 0, r"\PIPE\x.mdb", "")]))
    assert "" not in users(found), "a pipe is never kept: it is the null session's"


def test_a_share_that_is_not_there_decides_nothing() -> None:
    found = choose(policy('select = { not_share = "projekts" }'), view(PEOPLE, FILES, SHARES))
    assert found.matches == ()
    assert found.skipped == "it has no share projekts, or does not say where it is: `not_share` cannot be decided"


def _sessions(*idle: int | None, user: str = "bob", client: str | None = None) -> list[SessionInfo]:
    return [SessionInfo(client or rf"\\pc{n}", user, 0, 1000 + n, each) for n, each in enumerate(idle)]


@pytest.mark.parametrize(
    ("text", "clients"),
    [
        ("", [r"\\pc1", r"\\pc3"]),
        ('end = "longest idle"', [r"\\pc1", r"\\pc3"]),
        ('end = "oldest"', [r"\\pc4", r"\\pc3"]),
        ('end = "newest"', [r"\\pc0", r"\\pc1"]),
    ],
)
def test_those_beyond_a_maximum(text: str, clients: list[str]) -> None:
    people = [*_sessions(10, 500, 20, 400, 30), *_sessions(1, 2, 3, user="BOBBY")]
    found = choose(policy(f"max_sessions_per_user = 3\n{text}"), view(people))
    assert [match.seen.entry.client_name for match in found.matches] == clients
    assert found.matches[0].why == "bob has 5 sessions, 3 are allowed"


def test_letter_case_does_not_make_another_user() -> None:
    people = [*_sessions(10, 500), *_sessions(1, 2, user="BOB")]
    assert len(choose(policy("max_sessions_per_user = 3"), view(people)).matches) == 1


def test_a_maximum_counts_those_whom_select_leaves() -> None:
    people = [*_sessions(10, 500, 20, 400, 30), *_sessions(9, 9, 9, 9, user="svc_x"), *_sessions(9, 9, 9, 9, user="")]
    found = choose(policy('max_sessions_per_user = 3\nselect = { not_user = "svc_*" }'), view(people))
    assert users(found) == ["bob", "bob"]
    assert users(choose(policy('max_sessions_per_user = 3\nselect = { idle = "400s" }'), view(people))) == []


def test_a_maximum_by_client() -> None:
    people = [*_sessions(5, 6, 7, client=r"\\pc1"), *_sessions(8, user="eve", client="PC1"), *_sessions(9, user="eve")]
    found = choose(policy("max_sessions_per_client = 2"), view(people))
    assert [(match.seen.entry.user_name, match.seen.entry.idle_time) for match in found.matches] == [
        ("eve", 8),
        ("bob", 7),
    ]


def test_who_has_too_many_is_undecided_where_their_order_is_not_known() -> None:
    found = choose(policy("max_sessions_per_user = 2"), view([*_sessions(5, None, 7), *_sessions(1, user="eve")]))
    assert (found.matches, len(found.undecided)) == ((), 3)


def test_nobody_there() -> None:
    assert choose(policy('select = { idle = "2h" }'), view([])) == Choice(0)
