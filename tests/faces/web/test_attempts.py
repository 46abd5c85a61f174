"""How often a log-in may be tried."""

from __future__ import annotations

import pytest

from lanman.faces.web.attempts import IN_ALL, PER_ADDRESS, UNDER_WAY, WINDOW, Attempts, TooOften


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
    fail(attempts, "ann", 2.0, server="fs2")
    with pytest.raises(TooOften):
        attempts.begin("fs2", "ann", "10.0.0.1", 3.0)
    attempts = Attempts()
    fail(attempts, "ann", 0.0)
    attempts.succeeded(attempts.begin("fs1", "ann", "10.0.0.1", 1.0))
    fail(attempts, "ann", 2.0)
    attempts.begin("fs1", "ann", "10.0.0.1", 3.0)


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
