"""Our own Server's events as rows and changes: random histories beside the sum of the events, and examples."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lanman.domain import Connection, LimitReached, Reason, ServerService, Share
from lanman.events import Event, ServerState
from lanman.manage.own import DetailedSession, path_at_home
from lanman.manage.watching.changes import Change, Picture, What
from lanman.manage.watching.keys import How
from lanman.manage.watching.rows import FileRow, Kind, SessionRow
from lanman.manage.watching.streamed import Streamed
from lanman.settings import Configuration, RunningSettings
from support.mirror import Mirror, rows_of

BEGUN = 1.7e9


def state_of(service: ServerService) -> ServerState:
    work: Generator[None, None, ServerState] = service.describe(10_000)
    while True:
        try:
            next(work)
        except StopIteration as end:
            state: ServerState = end.value
            return state


def expected(state: ServerState) -> set[tuple[Any, ...]]:
    """What there is, read off the sum of events by looking at everything."""
    rows: set[tuple[Any, ...]] = set()
    for session in state.sessions.values():
        shares = {tree.share for tree in state.tree_connects.values() if tree.session_id == session.id}
        opens = state.num_opens(session.id)
        rows.add(("session", session.id, session.client_name, session.user_name, opens, tuple(sorted(shares))))
    for file in state.files.values():
        session_id = file.session_id or None
        path = path_at_home(file.path)
        whose = file.client_name or None, file.user_name, session_id
        rows.add(("file", file.id, path, *whose, file.num_locks, file.oplock, file.share, file.opened_at))
        rows.add(("lease", file.id, file.lease, file.lease_key))
    for share in state.shares.values():
        uses = sum(tree.share == share.name for tree in state.tree_connects.values())
        rows.add(("share", share.name, share.path, share.remark, uses, share.problem))
    return rows


def shown(picture: Picture) -> set[tuple[Any, ...]]:
    rows: set[tuple[Any, ...]] = set()
    for row in rows_of(picture).values():
        if isinstance(row, SessionRow):
            rows.add(("session", row.key.id, row.client_name, row.user_name, row.num_opens, row.shares))
        elif isinstance(row, FileRow):
            whose = row.client_name, row.user_name, row.session.id if row.session else None
            rows.add(("file", row.id, row.path, *whose, row.num_locks, row.oplock, row.share, row.opened_at))
            rows.add(("lease", row.id, row.lease, row.lease_key))
        else:
            rows.add(("share", row.name, row.path, row.remark, row.current_uses, row.problem))
    return rows


class Histories(RuleBasedStateMachine):
    """Whatever happens, the picture is the sum of the events, the changes lead to it, and each thing opens once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.number = 0
        self.instance = 0
        self.picture = Picture("LANTEST")
        self.streamed = Streamed(self.picture)
        self.mirror = Mirror()
        self.lost = False
        self.opened: set[tuple[int, int, str]] = set()
        self.restart()

    def restart(self) -> None:
        self.instance += 1
        self.service = ServerService(
            RunningSettings(Configuration(autodisconnect=1, max_sessions=8)),
            clock=lambda: self.now,
            time_of_day=lambda now: BEGUN + now,
        )
        self.service.subscribe(self.on_event)

    @initialize()
    def share(self) -> None:
        self.service.add_share(Share("data", path="/srv/data"))
        self.service.add_share(Share("IPC$", type=0x80000003))
        self.service.start(1)
        self.begin()

    def on_event(self, event: Event) -> None:
        if self.lost or self.streamed._instance is None:
            return
        changes = self.streamed.take(event)
        self.mirror.take(changes)
        self.told(changes)
        for change in changes:
            assert (change.at, change.how, change.after) == (event.time, How.TOLD, None)

    def begin(self) -> None:
        changes = self.streamed.begin(state_of(self.service), f"instance {self.instance}", BEGUN + self.now)
        self.lost = False
        if changes is None:
            self.mirror.first(self.picture)
        else:
            self.mirror.take(changes)
            self.told(changes)

    def told(self, changes: list[Change]) -> None:
        for change in changes:
            if change.what is What.OPENED and not isinstance(change.row.key, str):
                row = change.row
                id = row.key.id if isinstance(row, SessionRow) else row.id if isinstance(row, FileRow) else None
                if isinstance(id, int):
                    name = self.instance, id, row.kind.value
                    assert name not in self.opened
                    self.opened.add(name)

    def pick(self, data: st.DataObject, found: list[Any]) -> Any:
        return data.draw(st.sampled_from(found)) if found else None

    # --- what happens

    @rule(connection=st.integers(1, 3), user=st.sampled_from(["ann", "bob"]))
    def log_on(self, connection: int, user: str) -> None:
        self.number += 1
        try:
            self.service.register_session(
                connection, self.number, rf"\\192.0.2.{connection}", user, now=self.now, address="192.0.2.9:5"
            )
        except LimitReached:
            pass

    @precondition(lambda self: self.service.sessions())
    @rule(data=st.data(), what=st.sampled_from(["renew", "bind", "rights", "close"]))
    def session(self, data: st.DataObject, what: str) -> None:
        session = self.pick(data, self.service.sessions())
        if what == "renew":
            self.service.reauthenticate(session, data.draw(st.sampled_from(["ann", "carol"])), expires_at=2e3)
        elif what == "bind":
            self.service.add_channel(session, data.draw(st.integers(1, 3)))
        elif what == "rights":
            self.service.change_rights(session, frozenset({"A"}), guest=data.draw(st.booleans()))
        else:
            self.service.close_session(session, data.draw(st.sampled_from([Reason.DELETED, Reason.LOGOFF])))

    @precondition(lambda self: self.service.sessions() and self.service.shares())
    @rule(data=st.data(), opens=st.integers(0, 2))
    def use(self, data: st.DataObject, opens: int) -> None:
        session, share = self.pick(data, self.service.sessions()), self.pick(data, self.service.shares())
        self.number += 1
        tree = self.service.register_tree_connect(session, self.number, share, self.now)
        for _ in range(opens):
            self.number += 1
            path = f"{share.path}/\u00e4{self.number}"
            self.service.register_open(session, tree, self.number, path, 1, self.now)

    @precondition(lambda self: self.service.opens())
    @rule(
        data=st.data(),
        what=st.sampled_from(["lock", "oplock", "lease", "rename", "durable", "reclaim", "close", "leave"]),
    )
    def file(self, data: st.DataObject, what: str) -> None:
        opened = self.pick(data, self.service.opens())
        if what == "lock":
            self.service.set_locks(opened, data.draw(st.integers(0, 2)))
        elif what == "oplock":
            self.service.set_oplock(opened, data.draw(st.sampled_from(["", "level II", "batch"])))
        elif what == "lease":
            self.service.set_lease(opened, data.draw(st.sampled_from(["", "R", "RWH"])), b"k" * 16)
        elif what == "rename":
            self.service.rename_open(opened, opened.path + "x", opened)
        elif what == "durable":
            if not opened.oplock and not opened.lease:
                self.service.make_durable(opened, ("ann", ""), 60)
        elif what == "reclaim":
            session = self.pick(data, self.service.sessions())
            if session is not None and opened.preserved:
                self.number += 1
                share = opened.tree_connect.share
                tree = self.service.register_tree_connect(session, self.number, share, self.now)
                self.service.reclaim_open(opened, session, tree)
        elif what == "close":
            self.service.close_open(opened)
        else:
            self.service.close_tree_connect(opened.tree_connect)

    @rule(data=st.data(), what=st.sampled_from(["remark", "problem", "remove", "add"]))
    def shares(self, data: st.DataObject, what: str) -> None:
        share = self.pick(data, self.service.shares())
        if what == "add":
            self.number += 1
            self.service.add_share(Share(f"share{self.number}", path="/srv", confined=True))
        elif share is None:
            return
        elif what == "remark":
            self.service.change_share(share, remark=f"new {self.number}")
        elif what == "problem":
            self.service.mark_share(share, data.draw(st.sampled_from(["", "it is gone"])))
        else:
            self.service.remove_share(share)

    @rule(seconds=st.sampled_from([0.25, 31.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.service.expire(self.now)

    # --- what is missed

    @rule()
    def lose_events(self) -> None:
        self.lost = True

    @precondition(lambda self: self.lost)
    @rule()
    def begin_again(self) -> None:
        self.begin()

    @rule(orderly=st.booleans())
    def start_again(self, orderly: bool) -> None:
        """Another run of the Server, which counts from the beginning."""
        if orderly:
            self.service.stop()
        self.lost = True
        self.restart()
        self.share()

    # --- what must hold

    @invariant()
    def the_changes_lead_to_the_picture(self) -> None:
        assert self.mirror.rows == rows_of(self.picture)

    @invariant()
    def the_picture_is_the_sum_of_the_events(self) -> None:
        if not self.lost and self.streamed._instance is not None:
            assert shown(self.picture) == expected(state_of(self.service))


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)


# --- one by one


class Watched:
    def __init__(self, kinds: frozenset[Kind] = frozenset(Kind)) -> None:
        self.now = 0.0
        self.service = ServerService(clock=lambda: self.now, time_of_day=lambda now: BEGUN + now)
        self.data = Share("data", path="/srv/data")
        self.service.add_share(self.data)
        self.picture = Picture("LANTEST", kinds)
        self.streamed = Streamed(self.picture)
        assert self.streamed.begin(state_of(self.service), "one", BEGUN) is None
        self.changes: list[Change] = []
        self.service.subscribe(lambda event: self.changes.extend(self.streamed.take(event)))

    def log_on(self) -> Any:
        return self.service.register_session(1, 1, r"\\PC7", "bob", now=self.now)

    def words(self) -> list[str]:
        words = [f"{change.what.value} {change.row.kind.value} {','.join(change.fields)}" for change in self.changes]
        self.changes.clear()
        return [word.rstrip() for word in words]


def test_a_file_tells_who_and_since_when() -> None:
    watched = Watched()
    session = watched.log_on()
    watched.now = 5.0
    tree = watched.service.register_tree_connect(session, 1, watched.data, 5.0)
    opened = watched.service.register_open(session, tree, 1, "/srv/data/a.txt", 0x120089, 5.0)
    assert watched.words() == [
        "opened session",
        "changed session used_at,shares",
        "changed share current_uses",
        "opened file",
        "changed session num_opens",
    ]
    (row,) = watched.picture.files.values()
    assert (row.path, row.client_name, row.client_how) == ("/srv/data/a.txt", r"\\PC7", How.TOLD)
    assert (row.opened_at, row.opened_how, row.share) == (BEGUN + 5, How.TOLD, "data")
    (key,) = watched.picture.sessions
    assert row.session == key
    assert (key.client_name, key.user_name, key.id) == (r"\\PC7", "bob", session.global_id)

    watched.service.rename_open(opened, "/srv/data/b.txt", opened)
    assert watched.words() == ["changed file path"]
    (renamed,) = watched.picture.files.values()
    assert (renamed.path, renamed.key) == ("/srv/data/b.txt", row.key)

    watched.service.reauthenticate(session, "carol", expires_at=None)
    assert watched.words() == ["changed session user_name", "changed file user_name"]
    assert next(iter(watched.picture.sessions)) == key

    watched.service.close_session(session, Reason.IDLE)
    assert [change.why for change in watched.changes if change.what is What.CLOSED] == [Reason.IDLE.value] * 2
    assert not watched.picture.sessions
    assert not watched.picture.files


def test_the_connections_of_a_session_come_and_go() -> None:
    watched = Watched()
    service = watched.service
    for id in 1, 2:
        service.open_connection(Connection(id, f"192.0.2.{id}"))
    session = watched.log_on()
    assert watched.words() == ["opened session"]
    service.add_channel(session, 2)
    assert watched.words() == ["changed session channels"]
    (row,) = watched.picture.sessions.values()
    assert row.channels == ("192.0.2.1", "192.0.2.2")
    service.close_connection(2)  # what is listed is its first connection from now on, by its address
    assert watched.words() == ["changed session client_name,address,channels"]
    again = Streamed(Picture("LANTEST"))
    again.begin(state_of(service), "one", BEGUN)
    assert [row.channels for row in again._sessions.values()] == [("192.0.2.1",)]
    assert again._addresses == {1: "192.0.2.1"}


def test_only_what_is_watched_is_told() -> None:
    watched = Watched(frozenset({Kind.SESSION}))
    session = watched.log_on()
    tree = watched.service.register_tree_connect(session, 1, watched.data, 0.0)
    watched.service.register_open(session, tree, 1, "/srv/data/a.txt", 1, 0.0)
    assert watched.words() == ["opened session", "changed session shares", "changed session num_opens"]
    assert not watched.picture.files
    assert not watched.picture.shares


def test_when_sessions_were_used_is_asked_for() -> None:
    watched = Watched()
    session = watched.log_on()
    watched.words()
    entry = DetailedSession(r"\\PC7", "bob", idle_time=2, global_id=session.global_id)
    assert watched.streamed.used([entry], BEGUN + 2) == []
    (change,) = watched.streamed.used([entry], BEGUN + 100)
    assert change.fields == ("used_at",)
    (row,) = watched.picture.sessions.values()
    assert row.used_at == BEGUN + 98
    unknown = DetailedSession(r"\\PC7", "bob", idle_time=2, global_id=99)
    assert watched.streamed.used([unknown], BEGUN + 200) == []


def test_what_was_missed_is_told_as_far_as_it_can_be() -> None:
    watched = Watched()
    bob = watched.log_on()
    before = state_of(watched.service)
    streamed = Streamed(Picture("LANTEST"))
    streamed.begin(before, "one", BEGUN + 1)
    watched.now = 2.0
    watched.service.close_session(bob, Reason.IDLE)
    watched.service.register_session(2, 2, r"\\PC8", "eve", now=2.0)
    changes = streamed.begin(state_of(watched.service), "one", BEGUN + 9)
    assert changes is not None
    closed, opened = changes
    assert (closed.what, closed.at, closed.after, closed.how) == (What.CLOSED, BEGUN + 9, BEGUN + 1, How.SEEN)
    assert closed.why == "vanished"
    assert (opened.what, opened.at, opened.how) == (What.OPENED, BEGUN + 2, How.TOLD)
    # Another run of the Server: shares have the same names, and nothing else is the same.
    changes = streamed.begin(state_of(watched.service), "two", BEGUN + 20)
    assert changes is not None
    assert [(change.what, change.why) for change in changes] == [
        (What.CLOSED, "server restarted"),
        (What.OPENED, None),
    ]
