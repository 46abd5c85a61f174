"""The rules of the domain, one by one. The random histories are in test_histories.py."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from lanman.domain import (
    Event,
    FileClosed,
    FileOpened,
    FilePreserved,
    FileReclaimed,
    Limit,
    LimitReached,
    LogonRefused,
    Open,
    Reason,
    ServerService,
    Session,
    SessionClosed,
    SessionExpired,
    SessionOpened,
    SessionReauthenticated,
    Share,
    ShareAdded,
    ShareChanged,
    ShareRemoved,
    State,
    TreeConnect,
    TreeConnected,
    TreeDisconnected,
)
from lanman.events import ServerPaused, SessionChanged
from lanman.rpc.levels import finish
from lanman.settings import NEVER, Configuration, Limits, RunningSettings
from support.summaries import summaries, summary


def opens_of(service: ServerService, *, size: int = 1, **names: str) -> list[Open]:
    """Those that are meant, looked at so many at a time."""
    return finish(service.select_opens(size=size, **names))


def log_on(service: ServerService, number: int, user: str = "ann", *, now: float = 0, **details: object) -> Session:
    """A session of its own on a connection of its own."""
    return service.register_session(number, number, rf"\\PC{number}", user, now=now, **details)  # type: ignore[arg-type]


@pytest.fixture
def service() -> ServerService:
    service = ServerService(RunningSettings(Configuration(autodisconnect=15)))
    service.add_share(Share("data", path="/srv/data"))
    return service


@pytest.fixture
def events(service: ServerService) -> list[Event]:
    heard: list[Event] = []
    service.subscribe(heard.append)
    return heard


def connect(service: ServerService, session: Session, *, tree_id: int = 1, now: float = 0) -> TreeConnect:
    share = service.share_by_name("DATA")
    assert share is not None
    return service.register_tree_connect(session, tree_id, share, now)


# --- registration and ids ---


def test_ids_grow_and_are_never_zero(service: ServerService) -> None:
    ann, bob = log_on(service, 1), log_on(service, 2)
    assert (ann.global_id, bob.global_id) == (1, 2)
    service.close_session(bob, Reason.LOGOFF)
    assert log_on(service, 3).global_id == 3
    assert [session.global_id for session in service.sessions()] == [1, 3]
    assert service.session_by_session_id(1) is ann


def test_ids_wrap_around_those_alive(service: ServerService) -> None:
    first = log_on(service, 1)
    service._last_session = 0xFFFFFFFE
    assert log_on(service, 2).global_id == 0xFFFFFFFF
    assert log_on(service, 3).global_id == 2
    assert first.global_id == 1


def test_wire_ids_in_use_are_refused(service: ServerService) -> None:
    ann = log_on(service, 1)
    with pytest.raises(ValueError, match="in use"):
        service.register_session(2, 1, "PC2", "bob", now=0)
    tree = connect(service, ann)
    with pytest.raises(ValueError, match="in use"):
        connect(service, ann)
    service.register_open(ann, tree, 7, "/srv/data/a", 1, 0)
    with pytest.raises(ValueError, match="in use"):
        service.register_open(ann, tree, 7, "/srv/data/b", 1, 0)


@pytest.mark.parametrize(
    ("given", "listed"),
    [
        ("PC7", r"\\PC7"),
        (r"\\PC7", r"\\PC7"),
        (r"\PC7", r"\\PC7"),
        ("::1", r"\\[::1]"),
        ("[::1]", r"\\[::1]"),
        ("", "\\\\"),
    ],
)
def test_client_names_are_listed_with_backslashes(service: ServerService, given: str, listed: str) -> None:
    assert service.register_session(1, 1, given, "ann", now=0).client_name == listed


def test_null_session_has_no_user_name(service: ServerService) -> None:
    assert log_on(service, 1, "ANONYMOUS LOGON", anonymous=True).user_name == ""


def test_nothing_joins_what_has_ended(service: ServerService) -> None:
    ann = log_on(service, 1)
    tree = connect(service, ann)
    service.close_tree_connect(tree)
    with pytest.raises(ValueError, match="tree connect has ended"):
        service.register_open(ann, tree, 1, "/srv/data/a", 1, 0)
    service.close_session(ann, Reason.LOGOFF)
    with pytest.raises(ValueError, match="session has ended"):
        connect(service, ann)
    with pytest.raises(ValueError, match="session has ended"):
        service.add_channel(ann, 5)
    with pytest.raises(ValueError, match="session has ended"):
        service.reauthenticate(ann, "ann")


# --- closing ---


def test_closing_a_session_closes_all_it_has_first(service: ServerService, events: list[Event]) -> None:
    ann, bob = log_on(service, 1), log_on(service, 2)
    tree, other = connect(service, ann), connect(service, bob)
    opened = service.register_open(ann, tree, 1, "/srv/data/a.txt", 0x120089, 0)
    service.set_locks(opened, 3)
    kept = service.register_open(bob, other, 1, "/srv/data/a.txt", 0x120089, 0)
    events.clear()
    service.close_session(ann, Reason.DELETED)
    assert summaries(events) == [
        (FileClosed, opened.global_id, Reason.DELETED),
        (TreeDisconnected, tree.global_id, Reason.DELETED),
        (SessionClosed, ann.global_id, Reason.DELETED),
    ]
    assert service.sessions() == [bob]
    assert service.tree_connects() == [other]
    assert service.opens() == [kept]
    assert (service.counters.sopens, service.counters.fopens, other.share.current_uses) == (1, 1, 1)
    service.close_session(ann, Reason.IDLE)
    service.close_open(opened, Reason.DELETED)
    service.close_tree_connect(tree)
    assert len(events) == 3
    assert service.counters.stimedout == 0


def make_durable(service: ServerService, opened: Open, timeout: float = 60) -> None:
    """As a CREATE that is granted a batch oplock with it."""
    assert service.make_durable(opened, ("ann", ""), timeout)
    service.set_oplock(opened, "batch")


def test_durable_opens_outlive_a_session_that_loses_its_connection(service: ServerService, events: list[Event]) -> None:
    """MS-SMB2 3.3.7.1: the session and its tree connects go, what is durable stays open, the rest is closed."""
    ann = log_on(service, 1)
    tree = connect(service, ann)
    kept = service.register_open(ann, tree, 7, "/srv/data/kept", 1, 0)
    gone = service.register_open(ann, tree, 8, "/srv/data/gone", 1, 0)
    make_durable(service, kept)
    kept.bytes_read, gone.bytes_read = 100, 20
    events.clear()
    service.close_connection(1)
    assert summaries(events) == [
        (FilePreserved, kept.global_id),
        (FileClosed, gone.global_id, Reason.DISCONNECTED),
        (TreeDisconnected, tree.global_id, Reason.DISCONNECTED),
        (SessionClosed, ann.global_id, Reason.DISCONNECTED),
    ]
    assert not service.sessions()
    assert not service.tree_connects()
    assert service.opens() == [kept]
    assert (service.counters.fopens, tree.open_count, tree.share.current_uses, ann.bytes_read) == (1, 0, 0, 120)
    # It has no user any more, so that no filter by one finds it.
    assert kept.user_name == ""
    assert opens_of(service, user="ann") == opens_of(service, client=r"\\PC1") == []
    assert opens_of(service, path="/srv/data") == [kept]


def test_a_preserved_open_is_reclaimed(service: ServerService, events: list[Event]) -> None:
    """MS-SMB2 3.3.5.9.7: under its ids, in another session, which is not idle then."""
    ann = log_on(service, 1)
    kept = service.register_open(ann, connect(service, ann), 7, "/srv/data/a", 1, 0)
    make_durable(service, kept)
    kept.bytes_written = 100
    service.close_session(ann, Reason.LOGOFF)
    again = log_on(service, 2)
    tree = connect(service, again)
    global_id = kept.global_id
    events.clear()
    service.reclaim_open(kept, again, tree)
    kept.bytes_written += 5
    assert summaries(events) == [(FileReclaimed, global_id)]
    assert (kept.preserved, kept.session, kept.tree_connect, kept.user_name) == (False, again, tree, "ann")
    assert (kept.global_id, kept.file_id, again.opens, tree.open_count) == (global_id, 7, {7: kept}, 1)
    assert (service.counters.fopens, again.num_opens, service.next_deadline()) == (1, 1, None)
    assert not service.durable.any_preserved
    service.close_open(kept)
    assert (service.counters.fopens, tree.open_count, again.bytes_written) == (0, 0, 5)
    assert service.next_deadline() is not None
    with pytest.raises(ValueError, match="not preserved"):
        service.reclaim_open(kept, again, tree)


@pytest.mark.parametrize("reason", list(Reason))
def test_which_ends_of_a_session_a_durable_open_outlives(service: ServerService, reason: Reason) -> None:
    """MS-SMB2 3.3.7.1, 3.3.5.6 and 3.3.5.5.3; 3.3.4.12 closes all there is."""
    ann = log_on(service, 1)
    kept = service.register_open(ann, connect(service, ann), 7, "/srv/data/a", 1, 0)
    make_durable(service, kept)
    service.close_session(ann, reason)
    assert bool(service.opens()) is (reason in (Reason.DISCONNECTED, Reason.LOGOFF, Reason.REPLACED))


def test_preserved_opens_are_closed_with_their_share_and_with_the_service(
    service: ServerService, events: list[Event]
) -> None:
    other = Share("other", path="/srv/other")
    service.add_share(other)
    for number, share in enumerate(("data", "other"), 1):
        ann = log_on(service, number)
        found = service.share_by_name(share)
        assert found is not None
        tree = service.register_tree_connect(ann, 1, found, 0)
        make_durable(service, service.register_open(ann, tree, number, f"{found.path}/a", 1, 0))
        service.close_connection(number)
    one, two = service.opens()
    service.remove_share(other)
    assert service.opens() == [one]
    service.stop()
    assert service.opens() == []
    assert [each for each in summaries(events) if each[0] is FileClosed] == [
        (FileClosed, two.global_id, Reason.SHARE_DELETED),
        (FileClosed, one.global_id, Reason.STOPPED),
    ]
    assert service.counters.fopens == 0


def test_the_service_already_is_as_the_event_says(service: ServerService) -> None:
    ann = log_on(service, 1)
    service.register_open(ann, connect(service, ann), 1, "/srv/data/a", 1, 0)
    seen: list[tuple[int, int, int, State]] = []
    service.subscribe(
        lambda _: seen.append((len(service.sessions()), len(service.opens()), len(service.tree_connects()), ann.state))
    )
    service.close_session(ann, Reason.DELETED)
    assert seen == [(0, 0, 0, State.CLOSED)] * 3


def test_closing_a_tree_connect_closes_its_opens_alone(service: ServerService, events: list[Event]) -> None:
    ann = log_on(service, 1)
    one, two = connect(service, ann), connect(service, ann, tree_id=2)
    gone = service.register_open(ann, one, 1, "/srv/data/a", 1, 0)
    kept = service.register_open(ann, two, 2, "/srv/data/b", 1, 0)
    events.clear()
    service.close_tree_connect(one)
    assert summaries(events) == [
        (FileClosed, gone.global_id, Reason.CLOSED),
        (TreeDisconnected, one.global_id, Reason.CLOSED),
    ]
    assert list(ann.opens.values()) == [kept]
    assert (one.open_count, two.open_count, two.share.current_uses) == (0, 1, 1)


def test_removing_a_share_leaves_the_sessions(service: ServerService, events: list[Event]) -> None:
    ann = log_on(service, 1)
    tree = connect(service, ann)
    opened = service.register_open(ann, tree, 1, "/srv/data/a", 1, 0)
    events.clear()
    service.remove_share(tree.share)
    assert summaries(events) == [
        (FileClosed, opened.global_id, Reason.SHARE_DELETED),
        (TreeDisconnected, tree.global_id, Reason.SHARE_DELETED),
        (ShareRemoved, "data"),
    ]
    assert service.sessions() == [ann]
    assert service.shares() == []
    service.remove_share(tree.share)
    assert len(events) == 3
    with pytest.raises(ValueError, match="not shared"):
        service.register_tree_connect(ann, 9, tree.share, 0)


def test_share_names_are_one_in_any_case(service: ServerService, events: list[Event]) -> None:
    with pytest.raises(ValueError, match="shared already"):
        service.add_share(Share("DATA"))
    share = Share("Music", max_users=1)
    service.add_share(share)
    service.change_share(share, remark="loud", max_users=2)
    assert summaries(events) == [(ShareAdded, "Music"), (ShareChanged, "Music")]
    assert [event.share.remark for event in events] == ["", "loud"]  # type: ignore[union-attr]
    assert service.share_by_name("music") is share
    assert (share.remark, share.max_users) == ("loud", 2)


def test_last_channel_ends_a_session(service: ServerService, events: list[Event]) -> None:
    ann = log_on(service, 1)
    service.add_channel(ann, 2)
    service.add_channel(ann, 2)
    assert ann.connection_ids == (1, 2)
    assert service.sessions() == [ann]
    service.close_connection(1)
    assert (ann.connection_id, ann.state) == (2, State.VALID)
    assert service.connection_sessions(1) == []
    service.close_connection(2)
    service.close_connection(2)
    changed = (SessionChanged, ann.global_id)
    assert summaries(events[1:]) == [changed, changed, (SessionClosed, ann.global_id, Reason.DISCONNECTED)]
    assert [event.session.connection_ids for event in events] == [(1,), (1, 2), (2,), (2,)]  # type: ignore[union-attr]
    assert service.connection_count == 0


def test_connection_lives_on_for_its_other_sessions(service: ServerService) -> None:
    ann = service.register_session(1, 1, "PC1", "ann", now=0)
    bob = service.register_session(1, 2, "PC1", "bob", now=0)
    service.close_session(ann, Reason.DELETED)
    assert service.connection_sessions(1) == [bob]
    assert service.connection_count == 1


def test_stop_ends_all_and_lets_nobody_in(service: ServerService, events: list[Event]) -> None:
    ann = log_on(service, 1)
    service.counters.bytes_sent = 7
    service.stop()
    assert summary(events[-1]) == (SessionClosed, ann.global_id, Reason.STOPPED)
    with pytest.raises(LimitReached) as refused:
        log_on(service, 2, groups=frozenset({"Administrators"}))
    assert refused.value.limit is Limit.STOPPED
    service.start(1234)
    assert log_on(service, 2) in service.sessions()
    assert (service.counters.start, service.counters.bytes_sent, service.counters.sopens) == (1234, 0, 1)


# --- idle ---


def test_idle_session_goes_first() -> None:
    service = ServerService(RunningSettings(Configuration(autodisconnect=15)))
    ann = service.register_session(1, 1, r"\\PC1", "ann", now=0)
    service.register_session(2, 2, r"\\PC2", "bob", now=10)
    service.touch(ann, now=100)
    assert service.next_deadline() == 910
    service.expire(now=909.9)
    assert len(service.sessions()) == 2
    service.expire(now=910)
    assert service.sessions() == [ann]
    assert (service.counters.stimedout, service.counters.sopens) == (1, 1)


def test_session_with_opens_is_never_idle(service: ServerService, events: list[Event]) -> None:
    ann = log_on(service, 1)
    opened = service.register_open(ann, connect(service, ann), 1, r"\PIPE\srvsvc", 1, 0)
    assert service.next_deadline() is None
    service.expire(10_000)
    service.close_open(opened)
    assert service.next_deadline() == 900
    service.expire(10_000)
    assert service.sessions() == []
    assert summary(events[-1]) == (SessionClosed, ann.global_id, Reason.IDLE)


def test_long_idle_session_comes_in_late_and_still_goes_first(service: ServerService) -> None:
    ann, bob = log_on(service, 1, now=0), log_on(service, 2, now=100)
    opened = service.register_open(ann, connect(service, ann), 1, "/srv/data/a", 1, 0)
    service.touch(bob, 200)
    service.close_open(opened, Reason.DELETED)
    assert service.next_deadline() == 900
    service.expire(900)
    assert service.sessions() == [bob]
    assert service.next_deadline() == 1100


def test_autodisconnect_counts_at_once(service: ServerService) -> None:
    log_on(service, 1, now=0)
    service.settings.change(autodisconnect=NEVER)
    assert service.next_deadline() is None
    service.expire(1e9)
    assert len(service.sessions()) == 1
    service.settings.change(autodisconnect=0)
    assert service.next_deadline() == 2  # "within seconds", and time enough to open something first
    service.expire(1.9)
    assert len(service.sessions()) == 1
    service.expire(2)
    assert service.sessions() == []


def test_null_session_lingers_for_its_own_time(service: ServerService) -> None:
    nobody = log_on(service, 1, anonymous=True)
    log_on(service, 2)
    assert service.next_deadline() == 30
    service.touch(nobody, 20)
    assert service.next_deadline() == 50
    service.expire(50)
    assert [session.user_name for session in service.sessions()] == ["ann"]
    service.settings.change(autodisconnect=0)
    log_on(service, 3, anonymous=True, now=60)
    service.expire(60)
    service.expire(62)
    assert service.sessions() == []
    service.settings.change(autodisconnect=NEVER)
    log_on(service, 4, anonymous=True, now=70)
    assert service.next_deadline() == 100


def test_time_goes_forward_only(service: ServerService) -> None:
    ann = log_on(service, 1, now=50, created=49)
    service.touch(ann, 40)
    assert ann.idle_time == 50
    assert ann.times(60.9) == (11, 10)
    assert ann.times(0) == (0, 0)
    service.close_session(ann, Reason.LOGOFF)
    service.touch(ann, 100)
    assert service.next_deadline() is None


# --- expiry and logging on again ---


def test_expired_session_stays_until_it_logs_on_again(service: ServerService, events: list[Event]) -> None:
    ann = log_on(service, 1, expires_at=300.0)
    service.register_open(ann, connect(service, ann), 1, "/srv/data/a", 1, 0)
    events.clear()
    assert service.next_deadline() == 300
    service.expire(300)
    service.expire(301)
    assert (ann.state, service.counters.stimedout, service.next_deadline()) == (State.EXPIRED, 1, None)
    service.reauthenticate(ann, "ann", expires_at=600.0)
    assert (ann.state, ann.creation_time, ann.num_opens) == (State.VALID, 0, 1)
    assert service.next_deadline() == 600
    assert summaries(events) == [(SessionExpired, ann.global_id), (SessionReauthenticated, ann.global_id)]
    assert [event.session.expired for event in events] == [True, False]  # type: ignore[union-attr]
    service.reauthenticate(ann, "ann", expires_at=900.0)
    assert service.next_deadline() == 900
    service.close_session(ann, Reason.LOGOFF)
    assert service.next_deadline() is None


def test_log_on_again_as_nobody_changes_the_order(service: ServerService) -> None:
    ann = log_on(service, 1)
    service.reauthenticate(ann, "x", anonymous=True)
    assert ann.user_name == ""
    assert service.next_deadline() == 30
    service.reauthenticate(ann, "ann")
    assert service.next_deadline() == 900


def test_forgotten_expirations_do_not_pile_up(service: ServerService) -> None:
    for number in range(1, 1000):
        service.close_session(log_on(service, number, expires_at=1e9 + number), Reason.LOGOFF)
    assert len(service._expirations) < 100


# --- limits ---


def test_limit_reaps_the_idle_then_refuses(service: ServerService, events: list[Event]) -> None:
    service.settings.change(max_sessions=2)
    log_on(service, 1, now=0)
    bob = log_on(service, 2, "bob", now=500)
    with pytest.raises(LimitReached) as refused:
        log_on(service, 3, "eve", now=800)
    assert refused.value.limit is Limit.SESSIONS
    assert summary(events[-1]) == (LogonRefused, r"\\PC3", "eve", Reason.LIMIT, "")
    eve = log_on(service, 4, "eve", now=900)
    assert service.sessions() == [bob, eve]


def test_one_administrator_gets_in_beyond_the_limit(service: ServerService) -> None:
    service.settings.change(max_sessions=1)
    administrators = frozenset({"administrators"})
    log_on(service, 1)
    with pytest.raises(LimitReached):
        log_on(service, 2, guest=True, groups=administrators)
    log_on(service, 3, "root", groups=administrators)
    with pytest.raises(LimitReached):
        log_on(service, 4, "toor", groups=administrators)
    with pytest.raises(LimitReached):
        log_on(service, 5)


def test_paused_server_takes_administrators_alone(service: ServerService, events: list[Event]) -> None:
    there = log_on(service, 1)
    first = connect(service, there)
    del events[:]
    assert service.pause(r"\\PC9", "root")
    assert not service.pause(r"\\PC8", "toor")
    assert service.paused_by == (r"\\PC9", "root")
    with pytest.raises(LimitReached) as refused:
        log_on(service, 2)
    assert refused.value.limit is Limit.PAUSED
    assert [event[2:] for event in events] == [(r"\\PC9", "root"), (r"\\PC2", "ann", Reason.PAUSED, "")]
    assert [type(event) for event in events] == [ServerPaused, LogonRefused]
    # Who is there stays, and goes on with what it has connected to; it connects to nothing more.
    service.register_open(there, first, 1, "/srv/data/a", 1, 0)
    with pytest.raises(LimitReached) as refused:
        connect(service, there, tree_id=2)
    assert refused.value.limit is Limit.PAUSED
    connect(service, log_on(service, 3, groups=frozenset({"Administrators"})))
    service.reauthenticate(there, "ann")
    del events[:]
    assert service.continue_("", "root")
    assert not service.continue_("", "root")
    assert [event[2:] for event in events] == [("", "root")]
    connect(service, log_on(service, 4))


def test_a_pause_ends_with_the_service(service: ServerService) -> None:
    service.pause("", "root")
    service.stop()
    assert not service.paused
    assert not service.pause("", "root")
    service.start(0)
    assert not service.paused
    log_on(service, 1)


def test_limits_of_one_connection_and_one_session(service: ServerService) -> None:
    one = Limits(sessions_per_connection=1, tree_connects_per_session=1, opens_per_session=1)
    service.settings.current = Configuration(limits=one)
    ann, bob = log_on(service, 1), log_on(service, 2)
    tree = connect(service, ann)
    service.register_open(ann, tree, 1, "/srv/data/a", 1, 0)
    limits = []
    for attempt in (
        lambda: service.register_session(1, 9, "PC1", "bob", now=0),
        lambda: service.add_channel(bob, 1),
        lambda: connect(service, ann, tree_id=2),
        lambda: service.register_open(ann, tree, 2, "/srv/data/b", 1, 0),
    ):
        with pytest.raises(LimitReached) as refused:
            attempt()
        limits.append(refused.value.limit)
    assert limits == [Limit.SESSIONS_PER_CONNECTION, Limit.SESSIONS_PER_CONNECTION, Limit.TREE_CONNECTS, Limit.OPENS]
    assert "sessions of this connection" in str(LimitReached(Limit.SESSIONS_PER_CONNECTION))
    none = Limits(sessions_per_connection=0, tree_connects_per_session=0, opens_per_session=0)
    service.settings.current = Configuration(limits=none)
    service.register_open(ann, connect(service, ann, tree_id=2), 2, "/srv/data/b", 1, 0)


def test_full_share(service: ServerService) -> None:
    share = Share("one", max_users=1)
    service.add_share(share)
    ann, bob = log_on(service, 1), log_on(service, 2)
    tree = service.register_tree_connect(ann, 1, share, 0)
    with pytest.raises(LimitReached) as refused:
        service.register_tree_connect(bob, 1, share, 0)
    assert refused.value.limit is Limit.SHARE_USERS
    service.close_tree_connect(tree)
    service.register_tree_connect(bob, 1, share, 0)
    assert share.current_uses == 1


def test_failed_log_ons_are_counted(service: ServerService, events: list[Event]) -> None:
    service.refuse_logon("PC1", "ann")
    service.refuse_logon("PC1", "ann", Reason.LIMIT)
    assert service.counters.pwerrors == 1
    assert summaries(events) == [
        (LogonRefused, r"\\PC1", "ann", Reason.CREDENTIALS, ""),
        (LogonRefused, r"\\PC1", "ann", Reason.LIMIT, ""),
    ]


# --- looking ---


@pytest.mark.parametrize(
    ("client", "user", "found"),
    [
        (None, None, [1, 2, 3]),
        ("", "", [1, 2, 3]),
        (r"\\pc1", None, [1]),
        ("PC1", None, [1]),
        (None, "ANN", [1, 3]),
        (r"\\::1", "ann", [3]),
        (r"\\[::1]", None, [3]),
        (r"\\PC1", "bob", []),
        (r"\\PC", None, []),
    ],
)
def test_selecting_sessions(service: ServerService, client: str | None, user: str | None, found: list[int]) -> None:
    log_on(service, 1, "ann")
    log_on(service, 2, "bob")
    service.register_session(3, 3, "::1", "Ann", now=0)
    assert [session.session_id for session in service.select_sessions(client, user)] == found


def test_no_name_means_everybody_and_not_null_sessions_alone(service: ServerService) -> None:
    ann = log_on(service, 1, "ann")
    null = service.register_session(2, 2, ann.client_name, "", now=0, anonymous=True)
    assert service.select_sessions("", "") == service.select_sessions(ann.client_name, "") == [ann, null]
    opens = [
        service.register_open(session, connect(service, session), 1, path, 1, 0)
        for session, path in ((ann, "/srv/a"), (null, "/srv/b"))
    ]
    assert opens_of(service, path="/srv", user="") == opens


def test_selecting_does_not_take_one_letter_for_two(service: ServerService) -> None:
    log_on(service, 1, "strasse")
    assert service.select_sessions(None, "straße") == []


def test_selecting_opens(service: ServerService) -> None:
    ann, bob = log_on(service, 1, "ann"), log_on(service, 2, "bob")
    one, two = connect(service, ann), connect(service, bob)
    a = service.register_open(ann, one, 1, "/srv/data/a/x.txt", 1, 0)
    b = service.register_open(bob, two, 1, "/srv/data/ab", 1, 0)
    pipe = service.register_open(bob, two, 2, r"\PIPE\srvsvc", 1, 0)
    assert opens_of(service) == [a, b, pipe]
    assert opens_of(service, path="/srv/data/a") == [a]
    assert opens_of(service, path="/SRV/data/") == [a, b]
    assert opens_of(service, path="/") == [a, b]
    assert opens_of(service, path="/srv/data\\A\\") == [a]
    assert opens_of(service, path="\\pipe") == [pipe]
    assert opens_of(service, path="/pipe") == opens_of(service, path="srv") == []
    assert opens_of(service, user="BOB", path="/srv") == [b]
    assert opens_of(service, client=r"\\pc1") == [a]
    assert service.open_by_global_id(b.global_id) is b


# --- the stream of events ---


def test_all_hear_the_same_order_even_if_one_acts(service: ServerService) -> None:
    heard: list[str] = []

    def ends_it(event: Event) -> None:
        if isinstance(event, SessionOpened):
            (session,) = service.sessions()
            service.close_session(session, Reason.DELETED)

    service.subscribe(ends_it)
    stop = service.subscribe(lambda event: heard.append(type(event).__name__))
    log_on(service, 1)
    stop()
    log_on(service, 2)
    assert heard == ["SessionOpened", "SessionClosed"]


def test_one_bad_listener_does_not_deafen_the_others(service: ServerService, events: list[Event]) -> None:
    def fails(event: Event) -> None:
        raise RuntimeError("no")

    stop = service.subscribe(fails)
    late: list[Event] = []
    service.subscribe(late.append)
    with pytest.raises(ExceptionGroup, match="listeners"):
        log_on(service, 1)
    assert [type(event) for event in late] == [SessionOpened]
    stop()
    ann = service.sessions()[0]
    tree = connect(service, ann)
    opened = service.register_open(ann, tree, 1, "/srv/data/a", 1, 0)
    assert summaries(late[1:]) == [(TreeConnected, tree.global_id), (FileOpened, opened.global_id)]
    assert events[1:] == late[1:]


def test_an_idle_session_is_small(service: ServerService) -> None:
    """Eight KiB are the whole of an idle session with its connection; what the domain keeps may take a tenth."""
    ann = log_on(service, 1)
    parts = [ann, ann.connection_ids, ann.client_name, ann.opens, ann.tree_connects, ann.creation_time, ann.idle_time]
    assert sum(map(sys.getsizeof, parts)) < 800
    assert not hasattr(ann, "__dict__")


@pytest.mark.parametrize("lists", [{}, {"readers": frozenset({"Guest", "Guests"}), "writers": frozenset({"Guest"})}])
@pytest.mark.parametrize(
    ("guest", "may_read", "may_write"), [("", False, False), ("read", True, False), ("write", True, True)]
)
def test_guests_reach_only_shares_that_name_them(
    service: ServerService, lists: dict[str, frozenset[str]], guest: Any, may_read: bool, may_write: bool
) -> None:
    share = Share("data", path="/srv/data", guest=guest, **lists)  # type: ignore[arg-type]
    stranger = service.register_session(1, 1, "PC1", "Guest", now=0, guest=True, groups=frozenset({"Guests"}))
    assert (share.may_read(stranger), share.may_write(stranger)) == (may_read, may_write)
    ann = service.register_session(2, 2, "PC2", "ann", now=0, groups=frozenset({"Users"}))
    assert (share.may_read(ann), share.may_write(ann)) == (not lists, not lists), "it says nothing of others"


def test_a_user_who_is_named_exactly_is_meant_alone(service: ServerService) -> None:
    for number, name in enumerate(("\u1f80", "\u1f88", "strasse", "stra\u00dfe", "Ann"), 1):
        service.register_session(number, number, "PC1", name, now=0)

    def meant(client: str | None, user: str) -> list[str]:
        return [session.user_name for session in service.select_sessions(client, user)]

    for client in (None, "pc1"):
        assert meant(client, "\u1f80") == ["\u1f80"]
        assert meant(client, "strasse") == meant(client, "STRASSE") == ["strasse"]
        assert meant(client, "STRA\u00dfE") == ["stra\u00dfe"]
        assert meant(client, "ANN") == ["Ann"]
        assert meant(client, "") == ["\u1f80", "\u1f88", "strasse", "stra\u00dfe", "Ann"]
