"""Following a Server from a snapshot on: each change exactly once, whatever happens and however slow one is."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Literal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lanman.domain import Connection, LimitReached, Reason, ServerService, Share
from lanman.events import Event, FileOpened, ServerState, SessionClosed, SessionOpened
from lanman.server.feed import BeginAgain, Feed
from lanman.settings import Configuration, RunningSettings


def finish(work: Generator[None, None, ServerState]) -> ServerState:
    """What a generator returns in the end."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            state: ServerState = end.value
            return state


def state_of(service: ServerService) -> ServerState:
    return finish(service.describe(10_000))


class Copy:
    """A follower with its own copy of the state, which reads in batches of its own size."""

    def __init__(self, feed: Feed, batch: int) -> None:
        self.follower = feed.follow()
        self.batch = batch
        self.work: Generator[None, None, ServerState] | None = None
        self.state: ServerState | None = None
        self.seen: list[int] = []
        self.woken = 0

    def step(self) -> None:
        """Begin a snapshot, go on with it, or take a batch."""
        if self.state is not None:
            try:
                found = self.follower.after(self.follower.instance, self.state.sequence, self.batch)
            except BeginAgain:
                self.state = None
                return
            for event in found:
                assert event.sequence == self.state.sequence + 1
                self.seen.append(event.sequence)
                self.state.apply(event)
        else:
            self.work = self.work or self.follower.snapshot(self.batch)
            try:
                next(self.work)
            except StopIteration as end:
                self.work, self.state = None, end.value

    def catch_up(self) -> ServerState:
        """Everything that there is."""
        for _ in range(100_000):
            if self.state is not None and not self.follower._feed.has_after(self.state.sequence):
                return self.state
            self.step()
        raise AssertionError("it never catches up")


class Histories(RuleBasedStateMachine):
    """Whatever happens between the steps of several followers, each ends with the state of the service."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.start(1)

    def start(self, instance: int) -> None:
        self.service = ServerService(
            RunningSettings(Configuration(autodisconnect=1, max_sessions=8)),
            clock=lambda: self.now,
            time_of_day=lambda now: 1.7e9 + now / 3,
        )
        self.feed = Feed(self.service, f"instance {instance}", max_events=12, max_bytes=20_000)
        self.everything: list[Event] = []
        self.service.subscribe(self.everything.append)
        self.copies: list[Copy] = []
        self.number = 0

    @initialize()
    def share(self) -> None:
        self.service.add_share(Share("data", path="/srv/data"))
        self.service.add_share(Share("IPC$", type=0x80000003))
        self.service.start(1)

    def pick(self, data: st.DataObject, found: list[Any]) -> Any:
        return data.draw(st.sampled_from(found)) if found else None

    # --- what happens

    @rule(connection=st.integers(1, 3))
    def connect(self, connection: int) -> None:
        try:
            self.service.open_connection(Connection(connection, f"192.0.2.{connection}"))
        except ValueError:
            self.service.close_connection(connection)

    @rule(user=st.sampled_from(["", "root"]))
    def pause_or_continue(self, user: str) -> None:
        if not self.service.pause("", user):
            self.service.continue_("", user)

    @rule(connection=st.integers(1, 3), user=st.sampled_from(["ann", "bob"]), anonymous=st.booleans())
    def log_on(self, connection: int, user: str, anonymous: bool) -> None:
        self.number += 1
        try:
            self.service.register_session(
                connection,
                self.number,
                f"192.0.2.{connection}",
                user,
                now=self.now,
                anonymous=anonymous,
                address=f"192.0.2.{connection}",
                expires_at=1e3,
            )
        except LimitReached:
            pass

    @rule(data=st.data(), what=st.sampled_from(["rights", "renew", "expire", "bind", "touch", "deny", "close"]))
    def session(self, data: st.DataObject, what: str) -> None:
        session = self.pick(data, self.service.sessions())
        if session is None:
            return
        if what == "rights":
            self.service.change_rights(session, frozenset({data.draw(st.sampled_from("AB"))}), guest=session.guest)
        elif what == "renew":
            self.service.reauthenticate(session, data.draw(st.sampled_from(["ann", "carol"])), expires_at=2e3)
        elif what == "expire":
            self.service.expire_session(session)
        elif what == "bind":
            self.service.add_channel(session, data.draw(st.integers(1, 3)))
        elif what == "touch":
            self.service.touch(session, self.now)
        elif what == "deny":
            self.service.deny_access(session, "data", "secret")
        else:
            self.service.close_session(session, data.draw(st.sampled_from([Reason.DELETED, Reason.LOGOFF])))

    @rule(data=st.data())
    def use(self, data: st.DataObject) -> None:
        session, share = self.pick(data, self.service.sessions()), self.pick(data, self.service.shares())
        if session is not None and share is not None and not self.service.paused:
            self.number += 1
            tree = self.service.register_tree_connect(session, self.number, share, self.now)
            self.service.register_open(session, tree, self.number, f"{share.path}/{self.number}", 1, self.now)

    @rule(
        data=st.data(),
        what=st.sampled_from(["lock", "oplock", "rename", "read", "durable", "reclaim", "close", "leave"]),
    )
    def file(self, data: st.DataObject, what: str) -> None:
        opened = self.pick(data, self.service.opens())
        if opened is None:
            return
        if what == "lock":
            self.service.set_locks(opened, data.draw(st.integers(0, 2)))
        elif what == "oplock":
            self.service.set_oplock(opened, data.draw(st.sampled_from(["", "level II", "batch"])))
        elif what == "rename":
            self.service.rename_open(opened, opened.path + "x", opened)
        elif what == "read":
            opened.bytes_read += 100
        elif what == "durable":
            if not opened.oplock and not opened.lease:
                self.service.make_durable(opened, ("ann", ""), 60)
        elif what == "reclaim":
            session = self.pick(data, self.service.sessions())
            if session is not None and opened.preserved and not self.service.paused:
                self.number += 1
                share = opened.tree_connect.share
                tree = self.service.register_tree_connect(session, self.number, share, self.now)
                self.service.reclaim_open(opened, session, tree)
        elif what == "close":
            self.service.close_open(opened)
        else:
            self.service.close_tree_connect(opened.tree_connect)

    @rule(data=st.data(), what=st.sampled_from(["remark", "access", "problem", "remove", "add"]))
    def shares(self, data: st.DataObject, what: str) -> None:
        share = self.pick(data, self.service.shares())
        if what == "add":
            self.number += 1
            self.service.add_share(Share(f"share{self.number}", path="/srv", confined=data.draw(st.booleans())))
        elif share is None:
            return
        elif what == "remark":
            self.service.change_share(share, remark="new", temporary=data.draw(st.booleans()))
        elif what == "access":
            guest: Literal["", "read"] = data.draw(st.sampled_from(["", "read"]))
            self.service.change_access(share, readers=None, writers=None, guest=guest, hidden=True, device_names=False)
        elif what == "problem":
            self.service.mark_share(share, data.draw(st.sampled_from(["", "it is gone"])))
        else:
            self.service.remove_share(share)

    @rule(name=st.sampled_from(["comment", "hidden"]), value=st.sampled_from(["a", "b"]))
    def setting(self, name: str, value: str) -> None:
        changed: dict[str, Any] = {name: value == "b" if name == "hidden" else value}
        self.service.settings.change(**changed)

    @rule(seconds=st.sampled_from([0.25, 31.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.service.expire(self.now)

    # --- who follows

    @precondition(lambda self: len(self.copies) < 3)
    @rule(batch=st.sampled_from([1, 3, 100]))
    def follow(self, batch: int) -> None:
        self.copies.append(Copy(self.feed, batch))

    @precondition(lambda self: self.copies)
    @rule(data=st.data(), steps=st.integers(1, 4))
    def step(self, data: st.DataObject, steps: int) -> None:
        copy = data.draw(st.sampled_from(self.copies))
        for _ in range(steps):
            copy.step()

    @precondition(lambda self: self.copies)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        copy = data.draw(st.sampled_from(self.copies))
        self.copies.remove(copy)
        copy.follower.close()
        assert bool(self.feed.followers) == bool(self.copies)

    @rule()
    def restart(self) -> None:
        """Another run of the Server: what was followed is of no use any more."""
        old = self.copies
        positions = [(copy.follower.instance, copy.state.sequence) for copy in old if copy.state is not None]
        self.service.stop()
        self.start(int(self.feed.instance.split()[1]) + 1)
        follower = self.feed.follow()
        for instance, sequence in positions:
            with pytest.raises(BeginAgain):
                follower.after(instance, sequence)
        follower.close()

    # --- what must hold

    @invariant()
    def changes_are_numbered_without_a_gap(self) -> None:
        assert [event.sequence for event in self.everything] == list(range(1, self.service.sequence + 1))

    @invariant()
    def whoever_has_a_position_can_go_on_or_must_begin_again(self) -> None:
        """Applying what follows gives the state of now, for each follower, without disturbing it."""
        now = state_of(self.service)
        kept, size = self.feed.kept
        assert kept <= 12
        assert size <= 20_000
        assert kept == 0 or self.copies
        for copy in self.copies:
            if copy.state is None:
                continue
            try:
                rest = copy.follower.after(copy.follower.instance, copy.state.sequence, 10_000, 1 << 30)
            except BeginAgain:
                assert copy.state.sequence < self.service.sequence - kept
                continue
            assert rest == self.everything[copy.state.sequence :]
            assert copy.seen == sorted(set(copy.seen))
            later = ServerState()
            later.__dict__.update({name: _copied(value) for name, value in vars(copy.state).items()})
            for event in rest:
                later.apply(event)
            assert later == now
            assert later.sequence == now.sequence

    def teardown(self) -> None:
        now = state_of(self.service)
        for copy in self.copies:
            assert copy.catch_up() == now


def _copied(value: Any) -> Any:
    return dict(value) if isinstance(value, dict) else value


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)


# --- one by one


@pytest.fixture
def service() -> ServerService:
    service = ServerService(clock=lambda: 5.0, time_of_day=lambda now: 1.7e9 + now)
    service.add_share(Share("data", path="/srv/data"))
    return service


def log_on(service: ServerService, number: int) -> None:
    service.register_session(number, number, f"PC{number}", "ann", now=0)


def test_nothing_is_kept_while_nobody_follows(service: ServerService) -> None:
    feed = Feed(service, "one")
    log_on(service, 1)
    assert feed.kept == (0, 0)
    first, second = feed.follow(), feed.follow()
    log_on(service, 2)
    first.close()
    first.close()
    log_on(service, 3)
    assert feed.kept[0] == 2
    second.close()
    log_on(service, 4)
    assert (feed.kept, feed.followers) == ((0, 0), 0)


def test_a_snapshot_goes_on_while_things_happen(service: ServerService) -> None:
    """Between its pieces a described session ends, another begins, and one that is still to be described changes."""
    for number in range(1, 1201):
        log_on(service, number)
    sessions = service.sessions()
    work = Feed(service, "one").follow().snapshot()
    next(work)
    service.close_session(sessions[0], Reason.DELETED)
    service.close_session(sessions[1100], Reason.DELETED)
    service.change_rights(sessions[1199], frozenset({"Users"}), guest=False)
    log_on(service, 5000)
    state = finish(work)
    assert state == state_of(service)
    assert state.sequence == service.sequence
    assert len(state.sessions) == 1199


def test_a_snapshot_within_a_delivery_is_refused(service: ServerService) -> None:
    found: list[type] = []

    def looks(event: Event) -> None:
        with pytest.raises(RuntimeError, match="being delivered"):
            next(service.describe(1))
        found.append(type(event))

    service.subscribe(looks)
    log_on(service, 1)
    assert found == [SessionOpened]


def test_memory_is_bounded_in_bytes(service: ServerService) -> None:
    """Long paths take the place of many events."""
    feed = Feed(service, "one", max_bytes=1_000_000)
    follower = feed.follow()
    log_on(service, 1)
    (session,) = service.sessions()
    tree = service.register_tree_connect(session, 1, service.shares()[0], 0)
    for number in range(100):
        service.register_open(session, tree, number + 1, "/srv/data/" + "x" * 32_000 + str(number), 1, 0)
    kept, size = feed.kept
    assert 20 < kept < 32
    assert size <= 1_000_000
    with pytest.raises(BeginAgain):
        follower.after("one", 3)
    (one,) = follower.after("one", service.sequence - kept, max_bytes=10)
    assert isinstance(one, FileOpened)
    assert one.file.path.endswith("x" + str(100 - kept))


def test_who_waits_is_woken_once(service: ServerService) -> None:
    feed = Feed(service, "one")
    follower = feed.follow()
    woken: list[str] = []
    follower.wait(service.sequence, lambda: woken.append("more"))
    assert woken == []
    log_on(service, 1)
    log_on(service, 2)
    assert woken == ["more"]
    follower.wait(service.sequence - 1, lambda: woken.append("at once"))
    assert woken == ["more", "at once"]
    follower.wait(service.sequence, lambda: woken.append("never"))
    follower.close()
    log_on(service, 3)
    assert woken == ["more", "at once"]


@pytest.mark.parametrize("position", [("two", 1), ("one", 3), ("one", 1 << 40)])
def test_positions_that_are_none(service: ServerService, position: tuple[str, int]) -> None:
    """Of another run of the Server, or of what has not happened."""
    feed = Feed(service, "one")
    follower = feed.follow()
    log_on(service, 1)
    assert service.sequence == 2
    assert len(follower.after("one", 1)) == 1
    assert follower.after("one", 2) == []
    with pytest.raises(BeginAgain):
        follower.after(*position)


def test_a_follower_that_fails_costs_nobody_an_event(service: ServerService) -> None:
    """What is to be called raises: the ring has the event, and the service its session."""
    failures: list[tuple[str, BaseException]] = []
    service._news.failed = lambda name, event, error: failures.append((name, error))
    feed = Feed(service, "one")
    bad, good = feed.follow(), feed.follow()

    def fails() -> None:
        raise RuntimeError("no")

    woken: list[str] = []
    bad.wait(service.sequence, fails)
    good.wait(service.sequence, lambda: woken.append("good"))
    log_on(service, 1)
    assert woken == ["good"]
    assert [name for name, _ in failures] == ["feed"]
    assert [type(event) for event in good.after("one", 1)] == [SessionOpened]
    assert len(service.sessions()) == 1


def test_what_a_session_uses_is_its_first_channels_clients(service: ServerService) -> None:
    """The sum of the events says of its files and tree connects what a snapshot says."""
    service.open_connection(Connection(1, "192.0.2.1"))
    service.open_connection(Connection(2, "192.0.2.2"))
    session = service.register_session(1, 1, "192.0.2.1", "ann", now=0, address="192.0.2.1")
    tree = service.register_tree_connect(session, 1, service.shares()[0], 0)
    service.register_open(session, tree, 1, "/srv/data/a", 1, 0)
    state = state_of(service)
    service.subscribe(state.apply)
    service.add_channel(session, 2)
    service.close_connection(1)
    assert state == state_of(service)
    assert [(file.client_name, file.address) for file in state.files.values()] == [(r"\\192.0.2.2", "192.0.2.2")]
    assert [(each.client_name, each.address) for each in state.tree_connects.values()] == [
        (r"\\192.0.2.2", "192.0.2.2")
    ]


def test_closing_reports_what_was_moved(service: ServerService) -> None:
    follower = Feed(service, "one").follow()
    log_on(service, 1)
    (session,) = service.sessions()
    tree = service.register_tree_connect(session, 1, service.shares()[0], 0)
    first = service.register_open(session, tree, 1, "/srv/data/a", 1, 0)
    second = service.register_open(session, tree, 2, "/srv/data/b", 1, 0)
    first.bytes_read, second.bytes_written = 700, 30
    service.close_open(first)
    assert state_of(service).sessions[1].bytes_read == 700
    second.bytes_read = 5
    assert state_of(service).sessions[1].bytes_read == 705
    service.close_session(session, Reason.LOGOFF)
    ended = [event for event in follower.after("one", 1) if isinstance(event, SessionClosed)]
    assert [(event.session.bytes_read, event.session.bytes_written) for event in ended] == [(705, 30)]
