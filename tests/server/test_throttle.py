"""Guessing passwords: how fast, from where, under which spelling. Time is an argument; nothing here waits."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from lanman import codes
from lanman.auth.accounts import Accounts
from lanman.domain import LogonRefused, Reason
from lanman.errors import StatusError
from lanman.server.throttle import Attempt, Throttle, _Counts, network_of
from support.memory_server import World
from support.passwords import PASSWORD


def numbers() -> Callable[[int], bytes]:
    """ "Random" bytes: 0, 1, 2, ..."""
    following = count()
    return lambda size: next(following).to_bytes(size, "little")


def guess(throttle: Throttle, network: str, account: str, now: float) -> float:
    """Wait for one's turn, be refused, and be told so. The time at which that is over."""
    attempt = Attempt(network, account)
    while (at := throttle.turn(attempt, now)) > now:
        now = at
    assert not attempt.displaced
    return now + throttle.refused(network, account, now)


def judged_by(throttle: Throttle, parallel: int, until: float, *, network: str = "a", account: str = "BOB") -> int:
    """How many guesses are judged up to a time, if so many are always under way and none waits for its answer."""
    now, judged = 0.0, 0
    attempts: list[tuple[float, Attempt]] = [(0.0, Attempt(network, account)) for _ in range(parallel)]
    while attempts and (now := min(at for at, _ in attempts)) <= until:
        attempts.sort(key=lambda each: each[0])
        _, attempt = attempts.pop(0)
        at = throttle.turn(attempt, now)
        if attempt.displaced:
            # The next one, at once; but let the clock move, or there would be no end of them.
            attempts.append((now + 0.01, Attempt(network, account)))
        elif at > now:
            attempts.append((at, attempt))
        else:
            judged += 1
            throttle.refused(network, account, now)
            attempts.append((now, Attempt(network, account)))
    return judged


def test_delays_grow_from_nothing_to_the_longest_and_are_forgotten() -> None:
    throttle = Throttle(numbers())
    now, delays = 0.0, []
    for _ in range(9):
        before, now = now, guess(throttle, "a", "ANN", now)
        delays.append(now - before)
    assert delays == pytest.approx([0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 4, 4])
    assert throttle.turn(Attempt("a", "ANN"), now) == now  # who has waited for the answer does not wait again
    assert throttle.refused("b", "ANN", now) == Throttle.LONGEST  # the answer, whoever is refused
    assert throttle.refused("a", "EVE", now) == Throttle.LONGEST
    assert throttle.refused("c", "EVE", now) == Throttle.FIRST
    assert throttle.refused("a", "ANN", now + Throttle.FORGET + 1) == 0


def test_parallel_guesses_are_no_faster_than_one_after_the_other() -> None:
    alone = judged_by(Throttle(numbers()), 1, 60)
    assert alone == pytest.approx(7 + 54 / 4, abs=2)
    for parallel in (2, 16, 200):
        assert judged_by(Throttle(numbers()), parallel, 60) == alone


def test_a_right_password_waits_for_nobody_else() -> None:
    throttle = Throttle(numbers())
    for number in range(100):
        throttle.refused(f"bot{number}", "ANN", 0)
        throttle.refused("nat", f"NAME{number}", 0)
    assert throttle.turn(Attempt("home", "ANN"), 0) == 0
    assert throttle.turn(Attempt("nat", "BOB"), 0) == 0


def test_a_turn_comes_before_a_client_gives_up() -> None:
    throttle = Throttle(numbers())
    for _ in range(10):
        throttle.refused("a", "ANN", 0)
    attempts = [Attempt("a", "ANN") for _ in range(50)]
    for attempt in attempts:
        throttle.turn(attempt, 0)
    waiting = [attempt for attempt in attempts if not attempt.displaced]
    assert len(waiting) == Throttle.WAITING
    assert attempts[-1] in waiting or attempts.index(waiting[0]) != 0  # not simply those that came first
    # Those that hung up, and so never ask again, keep no place.
    later = Attempt("a", "ANN")
    throttle.refused("a", "ANN", 5.5)
    throttle.turn(later, 5.5)
    assert not later.displaced
    fresh = [Attempt("a", "ANN") for _ in range(Throttle.WAITING - 1)]
    for attempt in fresh:
        throttle.turn(attempt, 5.5)
    assert not any(attempt.displaced for attempt in (later, *fresh))


def test_a_flood_of_names_and_addresses_flushes_nothing_out_cheaply() -> None:
    throttle = Throttle(numbers())
    for _ in range(8):
        throttle.refused("a", "ANN", 0)
    for number in range(3 * Throttle.KEYS):
        throttle.refused(f"b{number}", f"NAME{number}", 1)
    assert len(throttle._pairs) == len(throttle._accounts) == len(throttle._networks) == Throttle.KEYS
    assert throttle.turn(Attempt("a", "ANN"), 1) == 4
    assert throttle.refused("c", "ANN", 1) == Throttle.LONGEST
    # Who is squeezed out begins again with what the whole table has at least.
    assert throttle.refused("b0", "NAME0", 1) >= Throttle.FIRST * 2


def test_a_full_table_forgets_what_is_old_first() -> None:
    counts = _Counts(2, 10)
    counts.count("often", 0)
    assert counts.count("often", 0).count == 2
    counts.count("once", 15)
    assert counts.count("new", 15).count == 1
    assert counts.find("often", 15) is None
    assert counts.find("once", 15) is not None


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("::1", "::/64"),
        ("no address", "no address"),
        ("a:b", "a:b"),
    ],
)
def test_an_ipv6_site_is_one_peer(address: str, network: str) -> None:
    assert network_of(address) == network


# --- through the whole Server


def refused(world: World, name: str, *, address: str, password: str = "wrong") -> float:
    """A wrong guess on a connection of its own; how long its answer took."""
    client = world.connect(address=address)
    before = world.now
    with pytest.raises(StatusError) as caught:
        client.log_on(name, password)
    assert caught.value.status == codes.STATUS_LOGON_FAILURE
    world.disconnect(client)
    return world.now - before


@pytest.mark.parametrize("stem", ["bob", "zed"], ids=["an account", "nobody's name"])
def test_every_spelling_is_one_account(stem: str) -> None:
    spellings = [stem, stem.upper(), f"{stem}@there", f"{stem.title()}@elsewhere", f"{stem}@"]
    world = World()
    waits = [refused(world, name, address=f"2001:db8::{number}") for number, name in enumerate(spellings)]
    assert waits == pytest.approx([0, 0.1, 0.2, 0.4, 0.8])


def test_look_alikes_count_as_what_they_resolve_to() -> None:
    # Each by its own spelling of an account, if the accounts take it for one; else it is another name.
    world = World()
    world.accounts.add("Straße", PASSWORD)
    for name in ("straße", "STRAßE", "\u017ftraße"):
        client = world.connect(address="192.0.2.1")
        finish = client.log_on_step_by_step(name, "wrong")
        (logon,) = client.connection.logons.values()
        finish()
        assert logon.attempt is not None
        found = world.accounts.find(name)
        assert logon.attempt.account == ("STRAßE" if found is not None else logon.attempt.account)


def test_parallel_log_ons_of_one_account_wait_behind_each_other() -> None:
    world = World()
    for _ in range(8):
        refused(world, "bob", address="192.0.2.1")
    clients = [world.connect(address="192.0.2.1").log_on() for _ in range(3)]  # beside a null session each
    for client in clients:
        with pytest.raises(KeyError):
            client.log_on_step_by_step("bob", "wrong", wait=False)()

    def judged() -> int:
        return sum(isinstance(event, LogonRefused) for event in world.events) - 8

    # The first is judged at once, and waits for its answer.
    counts = [judged()]
    for _ in range(3):
        world.advance(Throttle.LONGEST - 0.5)
        counts.append(judged())
        world.advance(0.5)
        counts.append(judged())
    assert counts == [1, 1, 2, 2, 3, 3, 3]


def test_the_right_password_is_at_once_from_elsewhere_and_in_its_turn_from_there() -> None:
    world = World()
    for _ in range(9):
        refused(world, "bob", address="192.0.2.1")
    before = world.now
    guesser = world.connect(address="192.0.2.1")
    with pytest.raises(KeyError):
        guesser.log_on_step_by_step("bob", "wrong", wait=False)()
    world.connect(address="192.0.2.2").log_on("bob")
    world.connect(address="192.0.2.1").log_on("ann")
    assert world.now == before
    world.connect(address="192.0.2.1").log_on("bob")
    assert world.now == before + Throttle.LONGEST


def test_who_is_displaced_is_told_to_try_again_and_it_is_logged() -> None:
    world = World()
    for _ in range(9):
        refused(world, "bob", address="192.0.2.1")
    statuses = []
    for _ in range(Throttle.WAITING + 2):
        client = world.connect(address="192.0.2.1")
        try:
            statuses.append(client.log_on_step_by_step("bob", "wrong", wait=False)().status)
        except KeyError:
            pass  # it waits
    world.advance(60)
    told = [event.reason for event in world.events if isinstance(event, LogonRefused)]
    assert told.count(Reason.THROTTLED) == 1
    assert told.count(Reason.CREDENTIALS) == 9 + 1 + Throttle.WAITING
    assert statuses in ([], [codes.STATUS_REQUEST_NOT_ACCEPTED])


def test_accounts_that_changed_while_an_attempt_waited_count() -> None:
    world = World()
    for _ in range(9):
        refused(world, "bob", address="192.0.2.1")
    with pytest.raises(KeyError):
        world.connect(address="192.0.2.1").log_on_step_by_step("bob", "wrong", wait=False)()
    finish = world.connect(address="192.0.2.1").log_on_step_by_step("bob", wait=True)
    world.accounts = Accounts()
    assert finish().status == codes.STATUS_LOGON_FAILURE
