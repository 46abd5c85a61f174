"""Who is logged on to the web console."""

from __future__ import annotations

import pytest

from lanman.faces.web.people import IDLE, MAX_OF_ONE, Access, People, Person, TooMany
from lanman.net.credentials import Credentials
from support.web_guarded import Judge


def access(server: str, password: str) -> Access:
    credentials = Credentials("ann", password)
    return Access(server, "ann", Judge().opening_as(credentials), True, credentials)


def test_a_session_ends_after_fifteen_idle_minutes() -> None:
    people, ended = People(), list[Person]()
    people.on_end(ended.append)
    person = Person("ann", "login")
    key = people.begin(person, 0.0)
    people.touch(key, 100.0)
    assert people.find(key, 99.0 + IDLE) is person
    assert people.find(key, 100.0 + IDLE) is None
    assert ended == [person]
    assert person.ended


def test_what_nobody_asks_for_ends_too() -> None:
    people, ended = People(), list[Person]()
    people.on_end(ended.append)
    people.begin(person := Person("ann", "login"), 0.0)
    people.of_proxy("bob", 100.0, lambda name: Person(name, "proxy"), touch=True)
    people.expire(IDLE)
    assert (ended, len(people)) == ([person], 1)
    people.expire(100.0 + IDLE)
    assert len(people) == 0


def test_a_new_id_leaves_the_old_one_worth_nothing() -> None:
    people = People()
    person = Person("ann", "login")
    key = people.begin(person, 0.0)
    new = people.renew(key, 1.0)
    assert new not in (None, key)
    assert people.find(key, 1.0) is None
    assert people.find(new or "", 1.0) is person
    assert people.renew(key, 1.0) is None


def test_the_password_ends_with_the_session() -> None:
    people = People()
    first, second = access("fs1", "one"), access("fs1", "two")
    person = Person("ann", "login", {"fs1": first})
    key = people.begin(person, 0.0)
    people.give(person, second)
    assert first.credentials is not None
    assert second.credentials is not None
    assert (first.credentials.password, second.credentials.password) == (None, "two")
    people.end(key, "logged out")
    assert (second.credentials.password, person.accesses) == (None, {})
    assert "two" not in repr(second)


def test_as_many_as_there_may_be() -> None:
    people = People(max_sessions=MAX_OF_ONE + 1)
    first = Person("ann", "login")
    keys = [people.begin(first if number == 0 else Person("ann", "login"), number) for number in range(MAX_OF_ONE)]
    people.touch(keys[0], 50.0)
    people.begin(Person("ann", "login"), 51.0)
    assert not first.ended
    assert people.find(keys[1], 51.0) is None
    people.begin(Person("bob", "login"), 52.0)
    with pytest.raises(TooMany):
        people.begin(Person("carol", "login"), 53.0)


def test_whom_a_proxy_names_is_one_person_and_no_more_than_there_may_be() -> None:
    people, made = People(max_sessions=2), list[Person]()

    def make(name: str) -> Person:
        made.append(Person(name, "proxy"))
        return made[-1]

    ann = people.of_proxy("ann", 0.0, make, touch=True)
    assert people.of_proxy("ann", 1.0, make, touch=True) is ann
    people.of_proxy("bob", 2.0, make, touch=True)
    people.of_proxy("ann", 3.0, make, touch=True)
    people.of_proxy("carol", 4.0, make, touch=True)
    assert [each.name for each in made if each.ended] == ["bob"]
    assert people.of_proxy("ann", 3.0 + IDLE, make, touch=False) is not ann


def test_the_same_name_at_another_server_is_somebody_else() -> None:
    people = People()
    ann = Person("ann", "login", {"fs1": access("fs1", "one")})
    key = people.begin(ann, 0.0)
    for number in range(MAX_OF_ONE + 5):
        people.begin(Person("ann", "login", {"fs2": access("fs2", "two")}), 1.0 + number)
    assert people.find(key, 100.0) is ann
    assert len(people) == 1 + MAX_OF_ONE
