"""What a drain decides, with times as numbers: whom it ends when, when it looks again, and what it calls drained."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from lanman.manage.drain.machine import (
    CAUTION,
    EVERY,
    OWN,
    End,
    Happening,
    Holder,
    Joint,
    Look,
    Machine,
    Phase,
    Rules,
    Verdict,
    counted,
    people,
)
from lanman.manage.orders.plan import Cost

NOBODY: tuple[Holder, ...] = ()
DAVE = Holder(r"\\pc9", "dave", 0, 1.0, Cost.NONE, "nothing is open")
CAROL = Holder(r"\\pc4", "carol", 1, 1.0, Cost.NONE, "read access, idle for 90 minutes")
EVE = Holder(r"\\pc2", "eve", 1, 1.0, Cost.REOPEN, "read access")
BOB = Holder(r"\\pc7", "bob", 2, 1.0, Cost.UNSAVED, "write access")
WHO = Holder(r"\\pc5", "who", None, None, Cost.UNKNOWN, "the server does not say")
ALL = (DAVE, CAROL, EVE, BOB, WHO)


def machine(**rules: object) -> Machine:
    made = Machine(Rules(**rules), 0.0)  # type: ignore[arg-type]
    made.cordoned(True, 0.0)
    made.take_events()
    return made


def look(holders: tuple[Holder, ...], at: float, answered: float | None = None) -> Look:
    return Look(holders, at, at if answered is None else answered)


def ended_at(one: Machine, at: float, holders: tuple[Holder, ...] = ALL) -> list[str]:
    return [holders[place].user_name or "" for place in one.looked(look(holders, at))]


def told(one: Machine) -> list[tuple[str, str | None]]:
    return [(event.what.value, None if event.holder is None else event.holder.user_name) for event in one.take_events()]


# --- who is ended when


@pytest.mark.parametrize(
    ("end", "after"),
    [
        (End.IDLE, ["dave", "carol"]),
        (End.READERS, ["dave", "carol", "eve"]),
        (End.ALL, ["dave", "carol", "eve", "bob", "who"]),
    ],
)
def test_who_is_ended_in_which_phase(end: End, after: list[str]) -> None:
    one = machine(warn=600, grace=300, end=end)
    assert (one.phase(0), ended_at(one, 0)) == (Phase.WARN, [])
    assert ended_at(one, 599) == []
    assert (one.phase(600), ended_at(one, 600)) == (Phase.WAIT, ["dave"])
    assert ended_at(one, 899) == ["dave"]
    assert (one.phase(900), ended_at(one, 900)) == (Phase.END, after)


def test_without_times_everything_begins_at_once() -> None:
    assert ended_at(machine(end=End.ALL), 0) == ["dave", "carol", "eve", "bob", "who"]
    assert ended_at(machine(), 0) == ["dave", "carol"]


def test_what_is_not_known_is_never_taken_for_nothing() -> None:
    for end in (End.IDLE, End.READERS):
        assert ended_at(machine(end=end), 0, (WHO,)) == []
    assert ended_at(machine(), 0, (replace(WHO, cost=Cost.NONE),)) == ["who"]


def test_files_are_ended_by_their_costs_alone() -> None:
    read = Holder(None, "eve", cost=Cost.NONE, id=1, path="C:\\a")
    one = machine(grace=10, end=End.IDLE)
    assert ended_at(one, 0, (read,)) == []
    assert ended_at(one, 10, (read,)) == ["eve"]


def test_ones_own_are_ended_only_where_that_was_asked_for() -> None:
    mine = replace(DAVE, is_own=True)
    one = machine(end=End.ALL)
    assert ended_at(one, 0, (mine, BOB)) == ["bob"]
    assert one.reasons[mine.who] == OWN
    assert ended_at(machine(end=End.ALL, include_mine=True), 0, (mine, BOB)) == ["dave", "bob"]


# --- drained


def test_it_is_drained_after_looks_that_saw_nobody_for_long_enough() -> None:
    one = machine(quiet_for=30)
    one.looked(look(NOBODY, 5, 6))
    assert (one.verdict, one.phase(6), one.next_look) == (None, Phase.QUIET, 6 + CAUTION)
    one.looked(look(NOBODY, 26))
    assert one.next_look == 28
    one.looked(look(NOBODY, 35.9, 99))
    assert one.verdict is None
    one.looked(look(NOBODY, 99, 99))
    assert one.verdict is Verdict.DRAINED
    assert one.take_events()[-1].message == "empty for 30 s"


def test_somebody_who_comes_begins_the_quiet_anew() -> None:
    one = machine(quiet_for=30)
    one.looked(look(NOBODY, 0))
    one.looked(look((DAVE,), 29))
    one.looked(look(NOBODY, 30))
    one.looked(look(NOBODY, 59))
    assert one.verdict is None
    one.looked(look(NOBODY, 60))
    assert one.verdict is Verdict.DRAINED


def test_a_look_without_an_answer_begins_the_quiet_anew() -> None:
    one = machine(quiet_for=30)
    one.looked(look(NOBODY, 0))
    one.not_looked(20, "no answer")
    one.not_looked(22, "no answer")
    assert told(one) == [("empty", None), ("failed", None)]
    one.looked(look(NOBODY, 31))
    assert one.verdict is None
    one.looked(look(NOBODY, 61))
    assert one.verdict is Verdict.DRAINED


def test_whoever_leaves_while_people_are_warned_shortens_it() -> None:
    one = machine(warn=600, quiet_for=0)
    one.looked(look((BOB,), 0))
    one.looked(look(NOBODY, 2))
    assert one.verdict is Verdict.DRAINED


# --- its time


def test_time_runs_out_after_a_last_look() -> None:
    one = machine(timeout=60)
    one.looked(look((BOB,), 59))
    assert one.next_look == 60
    one.looked(look((BOB,), 60))
    assert (one.verdict, one.left) == (Verdict.TIMED_OUT, (BOB,))
    assert one.take_events()[-1].message == "time ran out"


def test_time_runs_out_in_the_quiet_too() -> None:
    one = machine(timeout=60, quiet_for=30)
    one.looked(look(NOBODY, 40))
    one.looked(look(NOBODY, 60))
    assert one.verdict is Verdict.TIMED_OUT
    assert one.take_events()[-1].message == "time ran out; nobody was left, but not for 30 s"


def test_a_last_look_without_an_answer_is_a_failure() -> None:
    one = machine(timeout=60)
    one.looked(look((BOB,), 0))
    one.not_looked(60, "no answer")
    assert (one.verdict, one.left) == (Verdict.FAILED, (BOB,))


@pytest.mark.parametrize(("took", "next_look"), [(0.0, EVERY), (1.0, 1 + CAUTION), (10.0, 100)])
def test_a_busy_server_is_asked_less(took: float, next_look: float) -> None:
    one = machine(timeout=1000, warn=100)
    one.looked(look((BOB,), 0, took))
    assert one.next_look == next_look


def test_the_next_look_is_soon_after_somebody_was_ended_but_not_at_once() -> None:
    one = machine(end=End.ALL)
    one.looked(look((BOB,), 0))
    one.ended(0, BOB, None)
    assert 0 < one.next_look < EVERY


# --- what it tells


def test_who_has_gone_and_who_has_come() -> None:
    one = machine(warn=600)
    one.looked(look((BOB, BOB, EVE), 0))
    one.looked(look((BOB, DAVE), 2))
    assert told(one) == [("gone", "bob"), ("gone", "eve"), ("came", "dave")]
    one.looked(look((BOB, DAVE), 4))
    assert told(one) == []


def test_who_was_ended_has_not_gone_and_who_is_back_has_come() -> None:
    one = machine(end=End.ALL)
    one.looked(look((BOB, EVE), 0))
    one.ended(0, BOB, None)
    one.ended(0, EVE, None)
    one.looked(look((BOB,), 2))
    assert told(one) == [("left", None), ("ended", "bob"), ("ended", "eve"), ("came", "bob")]


def test_what_could_not_be_ended_is_told_once_with_its_reason() -> None:
    one = machine(end=End.ALL)
    for at in (0, 2, 4):
        one.looked(look((BOB,), at))
        one.ended(at, BOB, "eve would go along", spared=True)
    assert told(one) == [("left", None), ("spared", "bob")]
    assert one.reasons == {BOB.who: "eve would go along"}
    one.looked(look(NOBODY, 6))
    assert one.reasons == {}


def test_an_interruption_has_the_last_word_only_once() -> None:
    one = machine(quiet_for=0)
    one.stop(Verdict.INTERRUPTED, 1)
    one.stop(Verdict.FAILED, 2)
    assert (one.verdict, one.phase(3)) == (Verdict.INTERRUPTED, Phase.DONE)
    assert [event.what for event in one.take_events()] == [Happening.FINISHED]


# --- who counts


def test_of_those_that_may_be_ours_one_is_the_program_that_looks() -> None:
    assert counted(ALL) == (0, 1, 2, 3, 4)
    mine = [replace(DAVE, is_own=True, begun=begun) for begun in (5.0, 9.0, 7.0)]
    assert counted([BOB, *mine]) == (0, 1, 3)
    assert counted([]) == ()
    assert counted([Holder(None, "ann", id=1, path="C:\\a", is_own=True)]) == (0,)


def test_whom_to_tell() -> None:
    file = Holder(None, "bob", id=1, path="C:\\a")
    assert people([BOB, replace(BOB, client_name=r"\\pc8", files=("C:\\b",)), EVE, file]) == {
        "bob": ([r"\\pc7", r"\\pc8"], ["C:\\b", "C:\\a"]),
        "eve": ([r"\\pc2"], []),
    }


# --- whatever happens


@pytest.mark.parametrize("seed", range(300))
def test_it_never_says_drained_of_a_server_on_which_somebody_was(seed: int) -> None:
    """People come and go by chance and orders fail by chance; each look sees who is there when it is answered. Where it
    says drained, no look of the quiet saw anybody; and it comes to an end in its time."""
    chance = random.Random(seed)
    rules = Rules(
        warn=chance.choice([0, 20]),
        grace=chance.choice([0, 15]),
        timeout=120,
        end=chance.choice(list(End)),
        quiet_for=chance.choice([0, 3, 10]),
    )
    one = Machine(rules, 0.0)
    one.cordoned(chance.random() < 0.5, 0.0)
    there = [chance.choice(ALL) for _ in range(chance.randrange(6))]
    now, looks = 0.0, 0
    seen: list[tuple[float, float, int | None]] = []
    while one.verdict is None:
        assert one.next_look <= rules.timeout
        now = max(now, one.next_look)
        if not one.is_cordoned and chance.random() < 0.1:
            there.append(chance.choice(ALL))
        if there and chance.random() < 0.1:
            there.pop(chance.randrange(len(there)))
        asked, now = now, now + chance.choice([0, 0.01, 0.2])
        looks += 1
        assert looks < 500
        if chance.random() < 0.05:
            one.not_looked(now, "no answer")
            seen.append((asked, now, None))
            continue
        holders = tuple(there)
        seen.append((asked, now, len(holders)))
        for place in one.looked(look(holders, asked, now)):
            assert one.phase(now) in (Phase.WAIT, Phase.END)
            if chance.random() < 0.7:
                there.remove(holders[place])
                one.ended(now, holders[place], None)
            else:
                one.ended(now, holders[place], "refused")
    if one.verdict is Verdict.DRAINED:
        assert not there
        first = last = seen.pop()
        while seen and seen[-1][2] == 0:
            first = seen.pop()
        assert last[2] == 0
        assert last[0] - first[1] >= rules.quiet_for - 1e-9
    else:
        assert now >= rules.timeout


# --- several servers as one


def two(**rules: object) -> tuple[Machine, Machine]:
    joint = Joint(2)
    made = Machine(Rules(**rules), 0.0, joint), Machine(Rules(**rules), 0.0, joint)  # type: ignore[arg-type]
    for each in made:
        each.cordoned(True, 0.0)
    return made


def test_what_is_empty_early_goes_on_looking() -> None:
    first, second = two(quiet_for=30)
    first.looked(look(NOBODY, 0))
    second.looked(look((BOB,), 0))
    first.looked(look(NOBODY, 30))
    assert (first.verdict, first.next_look) == (None, 30 + EVERY)
    # Whoever comes there meanwhile is seen.
    first.looked(look((EVE,), 32))
    second.looked(look(NOBODY, 40))
    first.looked(look(NOBODY, 50))
    second.looked(look(NOBODY, 70))
    assert (first.verdict, second.verdict) == (None, None)
    second.looked(look(NOBODY, 79.5))
    first.looked(look(NOBODY, 80))
    assert (first.verdict, second.agreed(80)) == (None, False)
    second.looked(look(NOBODY, 80))
    assert second.verdict is Verdict.DRAINED
    # The other one is drained by that: no look of it is needed, and one that was under way ends nobody.
    assert first.looked(look((DAVE,), 79, 81)) == []
    assert first.verdict is Verdict.DRAINED


def test_one_that_was_not_seen_was_not_empty() -> None:
    first, second = two(quiet_for=10)
    first.looked(look(NOBODY, 0))
    second.looked(look(NOBODY, 0))
    first.not_looked(5, "it has gone")
    second.looked(look(NOBODY, 10))
    assert second.verdict is None
    first.looked(look(NOBODY, 6))
    first.looked(look(NOBODY, 16))
    assert not first.agreed(16)
    second.looked(look(NOBODY, 16))
    assert first.agreed(16)
    assert first.verdict is Verdict.DRAINED


def test_none_is_drained_where_time_ran_out_at_one() -> None:
    first, second = two(quiet_for=10, timeout=100)
    first.looked(look(NOBODY, 89))
    second.looked(look(NOBODY, 95))
    first.looked(look(NOBODY, 100))
    second.looked(look(NOBODY, 106))
    assert (first.verdict, second.verdict) == (Verdict.TIMED_OUT, Verdict.TIMED_OUT)
    assert [each.message for each in first.take_events()][-1] == "time ran out; nobody was left here"
