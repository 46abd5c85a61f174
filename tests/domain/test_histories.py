"""Random histories of log-ons, opens, closes, deletions and time passing, against a model too simple to be wrong.

The model keeps plain dictionaries and decides who is idle by looking at everybody. After every step the service must
say the same, and its own books must balance.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule

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
    SessionOpened,
    Share,
    TreeConnect,
    TreeConnected,
    TreeDisconnected,
)
from lanman.settings import NEVER, Configuration, NullSessions, RunningSettings, with_values

ADMINISTRATORS = frozenset({"Administrators"})


@dataclass
class ModelSession:
    """What the model knows of a session."""

    session: Session
    connections: set[int]
    user: str
    anonymous: bool
    last: float
    trees: dict[int, TreeConnect] = field(default_factory=dict)
    opens: dict[int, Open] = field(default_factory=dict)


class Histories(RuleBasedStateMachine):
    trees = Bundle("trees")
    opens = Bundle("opens")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.service = ServerService(
            RunningSettings(Configuration(autodisconnect=1, null_sessions=NullSessions(linger=30)))
        )
        self.events: list[Event] = []
        self.service.subscribe(self.events.append)
        self.model: dict[int, ModelSession] = {}
        self.preserved: dict[int, Open] = {}  # by global id: durable opens whose session has ended
        self.everyone: list[Session] = []  # all that ever were: targets for whoever deletes twice
        self.shares = [Share("data", path="/srv/data"), Share("few", max_users=2), Share("IPC$", type=3)]
        self.next_id = 1
        self.timed_out = 0
        self.paused = False
        self.highest = [0, 0, 0]

    @initialize()
    def share(self) -> None:
        for share in self.shares:
            self.service.add_share(share)

    # --- the model's own rules ---

    def period(self, one: ModelSession) -> float | None:
        minutes = self.service.settings.current.autodisconnect
        idle: float | None = minutes * 60
        if minutes == NEVER:
            idle = None
        elif idle == 0:
            idle = 2.0
        if not one.anonymous:
            return idle
        return 30.0 if idle is None else min(idle, 30.0)

    def due(self) -> set[int]:
        found = set()
        for number, one in self.model.items():
            period = self.period(one)
            if not one.opens and period is not None and one.last + period <= self.now:
                found.add(number)
        return found

    def forget(self, number: int, *, preserving: bool = False) -> None:
        one = self.model.pop(number)
        if preserving:
            self.preserved |= {opened.global_id: opened for opened in one.opens.values() if opened.durable}

    def forget_open(self, opened: Open) -> None:
        self.preserved.pop(opened.global_id, None)
        for one in self.model.values():
            if one.opens.get(opened.file_id) is opened:
                del one.opens[opened.file_id]

    def forget_tree(self, tree: TreeConnect) -> None:
        for one in self.model.values():
            if one.trees.get(tree.tree_id) is tree:
                del one.trees[tree.tree_id]
                one.opens = {key: opened for key, opened in one.opens.items() if opened.tree_connect is not tree}

    # --- what happens ---

    @rule(
        connection=st.integers(1, 9),
        user=st.sampled_from(["ann", "Ann", "bob", ""]),
        anonymous=st.booleans(),
        administrator=st.booleans(),
    )
    def log_on(self, connection: int, user: str, anonymous: bool, administrator: bool) -> None:
        number, self.next_id = self.next_id, self.next_id + 1
        maximum = self.service.settings.current.max_sessions
        groups = ADMINISTRATORS if administrator else frozenset()
        kept_out = self.paused and not (administrator and not anonymous)
        if maximum and len(self.model) >= maximum and not kept_out:
            for idle in self.due():
                self.forget(idle)
                self.timed_out += 1
        room = not kept_out and (not maximum or len(self.model) < maximum + (administrator and not anonymous))
        try:
            session = self.service.register_session(
                connection, number, f"PC{connection}", user, now=self.now, anonymous=anonymous, groups=groups
            )
        except LimitReached:
            assert not room
            assert isinstance(self.events[-1], LogonRefused)
            assert (self.events[-1].reason is Reason.PAUSED) == kept_out
            return
        assert room
        assert session.global_id > self.highest[0]
        self.highest[0] = session.global_id
        self.everyone.append(session)
        self.model[number] = ModelSession(session, {connection}, "" if anonymous else user, anonymous, self.now)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def request(self, data: st.DataObject) -> None:
        one = self.model[data.draw(st.sampled_from(sorted(self.model)))]
        one.last = self.now
        self.service.touch(one.session, self.now)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), connection=st.integers(1, 9))
    def bind(self, data: st.DataObject, connection: int) -> None:
        one = self.model[data.draw(st.sampled_from(sorted(self.model)))]
        one.connections.add(connection)
        self.service.add_channel(one.session, connection)

    @precondition(lambda self: self.model)
    @rule(target=trees, data=st.data(), share=st.integers(0, 2))
    def connect(self, data: st.DataObject, share: int) -> TreeConnect | None:
        one = self.model[data.draw(st.sampled_from(sorted(self.model)))]
        number, self.next_id = self.next_id, self.next_id + 1
        users = sum(tree.share is self.shares[share] for each in self.model.values() for tree in each.trees.values())
        try:
            tree = self.service.register_tree_connect(one.session, number, self.shares[share], self.now)
        except LimitReached as error:
            if error.limit is Limit.PAUSED:
                assert self.paused
                assert not one.session.administrator
            else:
                assert self.shares[share].max_users == users
            return None
        assert not self.paused or one.session.administrator
        assert tree.global_id > self.highest[1]
        self.highest[1] = tree.global_id
        one.trees[number] = tree
        return tree

    @rule(target=opens, tree=trees, durable=st.booleans())
    def open(self, tree: TreeConnect | None, durable: bool) -> Open | None:
        one = self.model.get(tree.session.session_id) if tree is not None else None
        if tree is None or one is None or tree.tree_id not in one.trees:
            return None
        number, self.next_id = self.next_id, self.next_id + 1
        opened = self.service.register_open(one.session, tree, number, f"/srv/data/{number}", 0x120089, self.now)
        assert opened.global_id > self.highest[2]
        self.highest[2] = opened.global_id
        one.opens[number] = opened
        if durable:
            assert self.service.make_durable(opened, ("ann", ""), 1e9)
            self.service.set_oplock(opened, "batch")
        return opened

    @rule(opened=opens)
    def close(self, opened: Open | None) -> None:
        if opened is not None:
            self.forget_open(opened)
            self.service.close_open(opened, Reason.DELETED)

    @precondition(lambda self: self.preserved and self.model)
    @rule(data=st.data())
    def reconnect(self, data: st.DataObject) -> None:
        opened = self.preserved[data.draw(st.sampled_from(sorted(self.preserved)))]
        one = self.model[data.draw(st.sampled_from(sorted(self.model)))]
        tree = next((each for each in one.trees.values() if each.share is opened.tree_connect.share), None)
        if tree is not None:
            self.service.reclaim_open(opened, one.session, tree)
            del self.preserved[opened.global_id]
            one.opens[opened.file_id] = opened

    @rule(opened=opens, tree=trees)
    def reclaim(self, opened: Open | None, tree: TreeConnect | None) -> None:
        if opened is None or tree is None:
            return
        one = self.model.get(tree.session.session_id)
        alive = one is not None and tree.tree_id in one.trees
        try:
            self.service.reclaim_open(opened, tree.session, tree)
        except ValueError:
            assert not (alive and opened.global_id in self.preserved and opened.tree_connect.share is tree.share)
            return
        assert alive
        assert one is not None
        del self.preserved[opened.global_id]
        one.opens[opened.file_id] = opened

    @precondition(lambda self: self.model)
    @rule(data=st.data(), reason=st.sampled_from([Reason.LOGOFF, Reason.REPLACED]))
    def log_off(self, data: st.DataObject, reason: Reason) -> None:
        number = data.draw(st.sampled_from(sorted(self.model)))
        session = self.model[number].session
        self.forget(number, preserving=True)
        self.service.close_session(session, reason)

    @rule(tree=consumes(trees))
    def disconnect_tree(self, tree: TreeConnect | None) -> None:
        if tree is not None:
            self.forget_tree(tree)
            self.service.close_tree_connect(tree)

    @precondition(lambda self: self.everyone)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        session = data.draw(st.sampled_from(self.everyone))
        self.model.pop(session.session_id, None)
        self.service.close_session(session, Reason.DELETED)

    @rule(client=st.sampled_from([None, "", r"\\pc1", "PC2"]), user=st.sampled_from(["ANN", "bob", "BOB", "eve"]))
    def delete_matching(self, client: str | None, user: str | None) -> None:
        wanted = {
            number
            for number, one in self.model.items()
            if (not client or one.session.client_name.lower().endswith(client.lower().strip("\\")))
            and (not user or one.user.lower() == user.lower())
        }
        found = self.service.select_sessions(client, user)
        assert {session.session_id for session in found} == wanted
        self.service.close_sessions(found, Reason.DELETED)
        for number in wanted:
            self.forget(number)
        assert not (set(found) & set(self.service.sessions()))

    @rule(connection=st.integers(1, 9))
    def lose_connection(self, connection: int) -> None:
        for number, one in list(self.model.items()):
            one.connections.discard(connection)
            if not one.connections:
                self.forget(number, preserving=True)
        self.service.close_connection(connection)

    @rule(share=st.integers(0, 2))
    def stop_and_start_sharing(self, share: int) -> None:
        for one in self.model.values():
            for tree in [tree for tree in one.trees.values() if tree.share is self.shares[share]]:
                self.forget_tree(tree)
        for opened in [each for each in self.preserved.values() if each.tree_connect.share is self.shares[share]]:
            self.forget_open(opened)
        self.service.remove_share(self.shares[share])
        self.service.add_share(self.shares[share])

    @rule(seconds=st.sampled_from([0.0, 0.5, 2.0, 5.0, 10.0, 31.0]), expire=st.booleans())
    def pass_time(self, seconds: float, expire: bool) -> None:
        self.now += seconds
        if expire:
            for number in self.due():
                self.forget(number)
                self.timed_out += 1
            self.service.expire(self.now)

    @rule(autodisconnect=st.sampled_from([NEVER, 0, 10 / 60, 1]), maximum=st.sampled_from([0, 2, 5]))
    def set_policy(self, autodisconnect: float, maximum: int) -> None:
        now = {"autodisconnect": autodisconnect, "max_sessions": maximum}
        self.service.settings.current = with_values(self.service.settings.current, now)

    @rule()
    def pause(self) -> None:
        there = self.service.sessions()
        assert self.service.pause(r"\\PC1", "root") is not self.paused
        assert self.service.sessions() == there
        self.paused = True

    @rule()
    def go_on(self) -> None:
        assert self.service.continue_("", "root") is self.paused
        self.paused = False

    # --- what must always hold ---

    @invariant()
    def service_is_as_the_model(self) -> None:
        assert [session.session_id for session in self.service.sessions()] == list(self.model)
        for one in self.model.values():
            assert one.session.opens == one.opens
            assert one.session.tree_connects == one.trees
            assert set(one.session.connection_ids) == one.connections
            assert (one.session.user_name, one.session.idle_time) == (one.user, one.last)
        deadlines = [
            one.last + period
            for one in self.model.values()
            if not one.opens and (period := self.period(one)) is not None
        ]
        deadlines += [opened.kept_until for opened in self.preserved.values()]
        assert self.service.next_deadline() == min(deadlines, default=None)

    @invariant()
    def books_balance(self) -> None:
        service = self.service
        opens, trees = service.opens(), service.tree_connects()
        in_sessions = sum(session.num_opens for session in service.sessions())
        assert len(opens) == in_sessions + len(self.preserved) == service.counters.fopens
        assert {opened.global_id for opened in opens if opened.preserved} == set(self.preserved)
        assert not any(opened.preserved for one in self.model.values() for opened in one.opens.values())
        assert len(service.sessions()) == service.counters.sopens
        assert service.counters.stimedout == self.timed_out
        for share in service.shares():
            assert share.current_uses == sum(tree.share is share for tree in trees)
            assert not share.max_users or share.current_uses <= share.max_users
        for tree in trees:
            assert tree.open_count == sum(opened.tree_connect is tree for opened in opens if not opened.preserved)
        connections = {number for one in self.model.values() for number in one.connections}
        assert service.connection_count == len(connections)
        for number in connections:
            assert {session.session_id for session in service.connection_sessions(number)} == {
                key for key, one in self.model.items() if number in one.connections
            }

    @invariant()
    def listeners_could_rebuild_it_all(self) -> None:
        sessions: set[int] = set()
        trees: dict[int, int] = {}
        files: dict[int, tuple[int, int]] = {}
        for event in self.events:
            match event:
                case SessionOpened(session=session):
                    assert session.id not in sessions
                    sessions.add(session.id)
                case TreeConnected(tree_connect=tree):
                    assert tree.session_id in sessions
                    assert tree.id not in trees
                    trees[tree.id] = tree.session_id
                case FileOpened(file=file):
                    assert trees[file.tree_id] == file.session_id
                    assert file.id not in files
                    files[file.id] = file.tree_id, file.session_id
                case FilePreserved(file=file):
                    assert (file.session_id, file.tree_id, file.user_name) == (0, 0, "")
                    assert file.id in files
                    files[file.id] = 0, 0
                case FileReclaimed(file=file):
                    assert trees[file.tree_id] == file.session_id
                    assert files[file.id] == (0, 0)
                    files[file.id] = file.tree_id, file.session_id
                case FileClosed(file=file):
                    del files[file.id]
                case TreeDisconnected(tree_connect=tree):
                    assert not any(tree_id == tree.id for tree_id, _ in files.values())
                    del trees[tree.id]
                case SessionClosed(session=session):
                    assert not any(session_id == session.id for _, session_id in files.values())
                    assert session.id not in trees.values()
                    sessions.remove(session.id)
        assert sessions == {session.global_id for session in self.service.sessions()}
        assert trees.keys() == {tree.global_id for tree in self.service.tree_connects()}
        assert files.keys() == {opened.global_id for opened in self.service.opens()}


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=150, stateful_step_count=80, deadline=None)
