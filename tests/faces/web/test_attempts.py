"""How often a log-in may be tried."""

from __future__ import annotations

import pytest

from lanman.faces.web.attempts import (
    IN_ALL,
    KNOWN_OF_ONE,
    PER_ADDRESS,
    UNDER_WAY,
    WINDOW,
    Attempts,
    TooOften,
    account_key,
)


def fail(attempts: Attempts, user: str, now: float, *, server: str = "fs1", address: str = "10.0.0.1") -> None:
    attempts.failed(attempts.begin(server, user, address, now), now)


def test_two_wrong_passwords_of_a_name_whatever_the_address_the_server_and_the_letter_case() -> None:
    attempts = Attempts()
    fail(attempts, "ann", 0.0, server="fs1", address="10.0.0.1")
    fail(attempts, "ANN", 60.0, server="fs2", address="10.0.0.2")
    with pytest.raises(TooOften, match="this name") as refused:
        attempts.begin("fs3", "Ann", "10.0.0.3", 100.0)
    assert refused.value.wait == WINDOW - 100
    attempts.begin("fs1", "bob", "10.0.0.3", 100.0)
    attempts.begin("fs3", "ann", "10.0.0.3", WINDOW)


def test_those_under_way_count_too() -> None:
    attempts = Attempts()
    first = attempts.begin("fs1", "ann", "10.0.0.1", 0.0)
    attempts.begin("fs1", "ann", "10.0.0.2", 0.0)
    with pytest.raises(TooOften) as refused:
        attempts.begin("fs1", "ann", "10.0.0.3", WINDOW * 2)
    assert refused.value.wait == 1
    attempts.forgiven(first)
    attempts.begin("fs1", "ann", "10.0.0.3", WINDOW * 2)


def test_a_right_password_takes_back_those_of_its_server_alone() -> None:
    attempts = Attempts()
    fail(attempts, "ann", 0.0, server="fs2")
    attempts.succeeded(attempts.begin("fs1", "ann", "10.0.0.1", 1.0))
    # It was one of two, and the other is kept for where she has logged in: at fs1.
    with pytest.raises(TooOften):
        attempts.begin("fs2", "ann", "10.0.0.1", 3.0)
    attempts = Attempts()
    fail(attempts, "ann", 0.0)
    attempts.succeeded(attempts.begin("fs1", "ann", "10.0.0.1", 1.0))
    fail(attempts, "ann", 2.0)
    attempts.begin("fs1", "ann", "10.0.0.1", 3.0)


def enter(attempts: Attempts, user: str, now: float, *, server: str = "fs1", address: str = "10.0.0.1") -> None:
    attempts.succeeded(attempts.begin(server, user, address, now))


def test_strangers_keep_nobody_out_from_where_they_have_logged_in_before() -> None:
    attempts = Attempts()
    enter(attempts, "admin", 0.0, address="10.0.0.1")
    for hour in range(1, 50):
        now = hour * 3600.0
        refused = 0
        for number in range(20):
            try:
                fail(attempts, "admin", now, address=f"10.9.{number}.1", server=f"fs{number % 2 + 1}")
            except TooOften:
                refused += 1
        assert refused == 19  # the account has had one wrong password: two more were needed to lock it
        enter(attempts, "admin", now + 1, address="10.0.0.1")


@pytest.mark.parametrize("by_stranger", [0, 1])
def test_a_name_fails_twice_at_most_with_known_addresses_too(by_stranger: int) -> None:
    attempts = Attempts()
    enter(attempts, "ann", 0.0)
    for _ in range(by_stranger):
        fail(attempts, "ann", 1.0, address="10.9.0.1", server="fs2")
    for _ in range(2 - by_stranger):
        fail(attempts, "ann", 2.0)
    for address in ("10.0.0.1", "10.9.0.1", "10.9.0.2"):
        with pytest.raises(TooOften, match="this name"):
            attempts.begin("fs1", "ann", address, 3.0)
    attempts.begin("fs1", "ann", "10.0.0.1", 2 + WINDOW)


def test_an_address_is_known_at_that_server_alone() -> None:
    attempts = Attempts()
    enter(attempts, "ann", 0.0, server="fs2", address="10.9.0.1")  # somebody else of this name
    enter(attempts, "ann", 0.0, server="fs1", address="10.0.0.1")
    fail(attempts, "ann", 1.0, server="fs1", address="10.9.0.1")
    with pytest.raises(TooOften):
        attempts.begin("fs1", "ann", "10.9.0.1", 2.0)
    # What fails at fs2 from where it is known there takes nothing from those of fs1.
    fail(attempts, "ann", 2.0, server="fs2", address="10.9.0.1")
    enter(attempts, "ann", 3.0, server="fs1", address="10.0.0.1")


def test_known_addresses_are_let_in_while_strangers_fail_and_wait_everywhere() -> None:
    attempts = Attempts()
    enter(attempts, "ann", 0.0)
    for number in range(PER_ADDRESS):
        fail(attempts, f"user{number}", 1.0)
    for number in range(IN_ALL - PER_ADDRESS - UNDER_WAY):
        fail(attempts, f"other{number}", 1.0, address=f"10.1.{number}.1")
    for number in range(UNDER_WAY):
        attempts.begin("fs1", f"waiting{number}", f"10.2.{number}.1", 1.0)
    with pytest.raises(TooOften):
        attempts.begin("fs1", "bob", "10.3.0.1", 1.0)
    enter(attempts, "ann", 1.0)


def test_the_known_addresses_are_bounded_and_the_last_used_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lanman.faces.web.attempts.KNOWN", 200)
    attempts = Attempts()
    for number in range(KNOWN_OF_ONE + 5):
        enter(attempts, "ann", 0.0, address=f"10.0.{number}.1")
        enter(attempts, "ann", 0.0, address="10.0.0.1")
    assert attempts.num_known == KNOWN_OF_ONE
    fail(attempts, "ann", 1.0, address="10.9.0.1")
    for address, is_known in (("10.0.1.1", False), ("10.0.0.1", True)):
        if is_known:
            enter(attempts, "ann", 2.0, address=address)
        else:
            with pytest.raises(TooOften):
                attempts.begin("fs1", "ann", address, 2.0)
    for number in range(210):
        enter(attempts, f"user{number}", 3.0)
    assert attempts.num_known == 200


@pytest.mark.parametrize(
    "name", ["Ann", "\u00e4nn", "a\u0308nn", "\uff41\uff4e\uff4e", " ann", "a\u200bnn", "ann.", "an\u00f1", "a n n"]
)
def test_names_that_some_server_takes_for_one_count_as_one(name: str) -> None:
    assert account_key(name) == account_key("ann")


@pytest.mark.parametrize("name", ["anna", "an.n", "bob", "\u0430nn", "ann$"])
def test_other_names_do_not(name: str) -> None:
    assert account_key(name) != account_key("ann")


def test_an_address_that_tries_many_names() -> None:
    attempts = Attempts()
    for number in range(PER_ADDRESS):
        fail(attempts, f"user{number}", 0.0)
    with pytest.raises(TooOften, match="from there"):
        attempts.begin("fs1", "ann", "10.0.0.1", 1.0)
    attempts.begin("fs1", "ann", "10.0.0.2", 1.0)


def test_many_addresses_that_try_many_names_leave_a_bounded_trace() -> None:
    attempts = Attempts()
    for number in range(IN_ALL):
        fail(attempts, f"user{number}", 0.0, address=f"10.0.{number}.1")
    for number in range(1000):
        with pytest.raises(TooOften):
            attempts.begin("fs1", f"other{number}", f"10.1.{number}.1", 1.0)
    assert len(attempts) == IN_ALL
    attempts.begin("fs1", "ann", "10.2.0.1", WINDOW)
    assert len(attempts) == 1


def test_only_so_many_at_once() -> None:
    attempts = Attempts()
    for number in range(UNDER_WAY):
        attempts.begin("fs1", f"user{number}", f"10.0.{number}.1", 0.0)
    with pytest.raises(TooOften, match="at once"):
        attempts.begin("fs1", "ann", "10.1.0.1", 0.0)
