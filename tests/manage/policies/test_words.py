"""What people are told."""

from __future__ import annotations

from datetime import UTC, datetime

from lanman.manage.policies.declared import Policy
from lanman.manage.policies.promises import Promise
from lanman.manage.policies.reading import parse_policies
from lanman.manage.policies.words import message_for, people_of
from lanman.net.tell.people import Person
from lanman.records import FileInfo

NOW = datetime(2026, 11, 27, 16, 50, tzinfo=UTC).timestamp()
BOB = Person("bob", (r"\\pc2", r"\\[::1]"))


def policy(text: str) -> Policy:
    hours = 'outside = "M-F,8am-6pm"\nzone = "Europe/Berlin"'
    return parse_policies(f'[policies.night]\nselect = {{ user = "*" }}\n{hours}\n{text}\n').policies["night"]


def test_when_and_why_by_the_clocks_of_the_zone() -> None:
    message = message_for(policy(""), "fs1", BOB, "idle for 2h", NOW + 900, NOW)
    assert message.title == "fs1 ends your connection at 18:05 CET"
    assert message.text == (
        "Your connection to the file server fs1 from pc2, ::1 will be ended at 18:05 CET or later, by the policy night "
        "(idle for 2h). Please save your work and close your files there."
    )
    assert "2026-11-28 17:50 CET" in message_for(policy(""), "fs1", BOB, "x", NOW + 86400, NOW).title


def test_what_is_written_is_told_as_it_is_written() -> None:
    text = "{user}@{server} ({clients}) {policy}: {time}; { is a brace"
    own = policy(f'tell = {{ message = "{text}" }}')
    evil = Person("{server}{time", ("pc{user}",))
    told = message_for(own, "fs1", evil, "x", NOW + 900, NOW).text
    assert told == "{server}{time@fs1 (pc{user}) night: 18:05 CET; { is a brace"


def test_each_person_once_with_what_they_have_open() -> None:
    def promised(client: str, user: str) -> Promise:
        return Promise(f"{client}{user}", "night", "fs1", "enforce", client, user, 1, None, 0.0, 0.0, "")

    promises = [promised("pc1", "bob"), promised("pc2", "BOB"), promised("pc1", "ann"), promised("pc3", "")]
    files = [
        FileInfo(1, 1, 0, "/srv/a", "Bob"),
        FileInfo(2, 1, 0, r"\PIPE\srvsvc", "ann"),
        FileInfo(3, 1, 0, None, "ann"),
    ]
    found = people_of(promises, files)
    assert [(person.user_name, person.clients, person.files, len(theirs)) for person, theirs in found] == [
        ("bob", ("pc1", "pc2"), ("/srv/a",), 2),
        ("ann", ("pc1",), (), 1),
        ("", ("pc3",), (), 1),
    ]
