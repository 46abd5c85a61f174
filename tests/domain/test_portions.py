"""What users share: nobody takes all, however much there is, and it is counted and told who wanted too much."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman.domain import Event, Limit, LimitReached, LogonRefused, Portion, Portions, Reason, ServerService, Share
from lanman.domain.portions import PIECE
from support.step_counter import steps


def largest_of(portion: Portion[str]) -> tuple[str, int] | None:
    """Who has most, looked for without a pause."""
    looks = portion.largest()
    while True:
        try:
            next(looks)
        except StopIteration as ended:
            return ended.value  # type: ignore[no-any-return]


def takes_all(portion: Portion[str], user: str) -> int:
    """A user takes one by one until refused; how many there were."""
    done = 0
    while portion.take(user):
        done += 1
    return done


def test_each_leaves_a_fifth_of_what_was_free() -> None:
    portion = Portion[str]("things", lambda: 100)
    assert [takes_all(portion, user) for user in ("ann", "bob", "carol")] == [80, 16, 4]
    assert not portion.take("dan")
    assert portion.taken == 100
    portion.give_back("ann", 50)
    assert takes_all(portion, "dan") == 40
    assert takes_all(portion, "bob") == 5  # 21, and five are left
    assert largest_of(portion) == ("dan", 40)


def test_there_may_be_a_limit_for_each_and_none_for_all() -> None:
    portion = Portion[str]("things", lambda: None, lambda: 3)
    assert (takes_all(portion, "ann"), takes_all(portion, "bob")) == (3, 3)
    assert portion.reached("ann") == "3 things are as many as one user may have"


@given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 60))
def test_many_at_once_fit_where_they_would_one_by_one(taken: int, having: int, number: int) -> None:
    at_once, one_by_one = (Portion[str]("things", lambda: 300) for _ in range(2))
    for portion in (at_once, one_by_one):
        portion.count("others", taken)
        portion.count("ann", having)
    assert at_once.take("ann", number) == (sum(one_by_one.take("ann") for _ in range(number)) == number)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-20, 20)), max_size=60))
def test_it_never_gives_out_more_than_there_is(done: list[tuple[str, int]]) -> None:
    portion, held = Portion[str]("things", lambda: 50), dict.fromkeys("abc", 0)
    for user, number in done:
        if number > 0 and portion.take(user, number):
            held[user] += number
        elif number < 0:
            portion.give_back(user, min(-number, held[user]))
            held[user] -= min(-number, held[user])
        assert {user: portion.of(user) for user in held} == held
        assert portion.taken == sum(held.values()) <= 50
    for user, number in held.items():
        portion.give_back(user, number)
    assert largest_of(portion) is None


def test_who_has_most_is_looked_for_in_pieces() -> None:
    """So that others have their turns; some of the users go meanwhile, and some come."""
    portion = Portion[str]("things", lambda: None)
    for number in range(3 * PIECE + 1):
        portion.take(f"user {number}", 1 + number % 7)
    portion.take(f"user {2 * PIECE}", 50)
    portion.take("user 1", 60)
    looks = portion.largest()
    next(looks)
    portion.give_back("user 1", portion.of("user 1"))
    for number in range(PIECE, 2 * PIECE):
        portion.give_back(f"user {number}", portion.of(f"user {number}"))
    portion.take("somebody new", 3)
    assert [next(looks), next(looks)] == [None, None]
    with pytest.raises(StopIteration) as ended:
        next(looks)
    assert ended.value.value == (f"user {2 * PIECE}", portion.of(f"user {2 * PIECE}"))


def test_who_wanted_too_much_is_told_and_counted() -> None:
    portions, told = Portions(), list[tuple[str, str]]()
    portion = portions.new("things", lambda: 5)
    portions.on_refused = lambda portion, user: told.append((portion.name, user))
    assert takes_all(portion, "ann") == 4
    assert (told, portion.refused, list(portions)) == ([("things", "ann")], 1, [portion])
    assert portion.reached("ann") == "4 of 5 things, of which 4 are taken; the rest is for others"


def test_it_takes_the_same_however_many_users_there_are() -> None:
    def one(users: int) -> int:
        portion = Portion[str]("things", lambda: 1_000_000)
        for number in range(users):
            portion.take(f"user {number}")

        def take() -> None:
            portion.take("ann")
            portion.give_back("ann")

        return steps(take)

    assert one(10) == one(10_000)


# --- sessions and tree connects


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> ServerService:
    """There may be 100 sessions, and 50 tree connects."""
    made = ServerService()
    monkeypatch.setattr(made, "_most", lambda least, of_each: 100 if of_each == 16 else 50)
    made.add_share(Share("data", path="/data"))
    return made


def held(service: ServerService) -> dict[str, int]:
    return {portion.name: portion.taken for portion in service.portions if portion.taken}


def test_one_user_leaves_sessions_and_tree_connects_to_the_others(service: ServerService) -> None:
    refused: list[Event] = []
    service.subscribe(refused.append, LogonRefused, name="test")
    sessions = [service.register_session(1, number, r"\\PC", "ann", now=0) for number in range(80)]
    with pytest.raises(LimitReached) as raised:
        service.register_session(2, 80, r"\\PC", "ANN", now=0)
    assert raised.value.limit is Limit.SESSIONS_PER_USER
    assert [each.reason for each in refused if isinstance(each, LogonRefused)] == [Reason.LIMIT]
    bob = service.register_session(2, 81, r"\\PC", "bob", now=0)
    # An administrator gets in, to end those of others.
    service.register_session(2, 82, r"\\PC", "ann", now=0, groups=frozenset({"Administrators"}))
    share = service.share_by_name("data")
    assert share is not None
    trees = [service.register_tree_connect(sessions[number % 80], number + 1, share, 0) for number in range(40)]
    with pytest.raises(LimitReached) as raised:
        service.register_tree_connect(sessions[0], 100, share, 0)
    assert raised.value.limit is Limit.TREE_CONNECTS_PER_USER
    service.register_tree_connect(bob, 1, share, 0)
    service.close_tree_connect(trees[0])
    service.register_tree_connect(sessions[0], 100, share, 0)
    assert held(service) == {"sessions": 82, "tree connects": 41}
    for session in list(service.sessions()):
        service.close_session(session, Reason.DELETED)
    assert held(service) == {}


def test_a_session_stays_the_part_of_who_logged_on_first(service: ServerService) -> None:
    """Or a user would have the part of two: sessions that are anonymous for a while, and as many again."""
    share = service.share_by_name("data")
    assert share is not None
    session = service.register_session(1, 1, r"\\PC", "ann", now=0)
    service.register_tree_connect(session, 1, share, 0)
    sessions, trees = list(service.portions)[:2]
    service.change_rights(session, frozenset(), guest=True)
    service.reauthenticate(session, "", anonymous=True)
    assert (sessions.of("ANN"), sessions.of(""), trees.of("ANN")) == (1, 0, 1)
    service.remove_share(share)
    service.close_session(session, Reason.DELETED)
    service.change_rights(session, frozenset(), guest=True)
    assert held(service) == {}
