"""Who is logged on to the web console."""

from __future__ import annotations

from lanman.faces.web.people import IDLE, People, Person


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
