"""Differences between two looks: random histories of a server, whose truth is known, and examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lanman.manage.manager import Sessions
from lanman.manage.samba_local.records import SambaFile
from lanman.manage.watching.changes import Change, Picture, What
from lanman.manage.watching.differ import STEP, Differ, Look
from lanman.manage.watching.keys import FileKey, How
from lanman.manage.watching.matching import Begun
from lanman.manage.watching.rows import FileRow, Kind, SessionRow, ShareRow
from lanman.records import FileInfo, SessionInfo, ShareInfo
from support.mirror import Mirror, rows_of

CLIENTS = (r"\\pc1", r"\\pc2", r"\\10.0.0.7")
USERS = ("ann", "Ann", "bob", "")

# Two sessions of one client and user are told apart for certain where they began so far from each other.
APART = 8.0


@dataclass(eq=False)
class TrueSession:
    client: str
    user: str
    begun: float
    used: float
    opens: int = 0


@dataclass(eq=False)
class TrueFile:
    id: int
    path: str
    user: str
    locks: int = 0


class Truth(RuleBasedStateMachine):
    """A server of which everything is known, and somebody who looks at it now and then. Each session and file that is
    there at a look and was not at the one before has opened, and nothing else; and the other way round."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.wall = 1.7e9
        self.level = 502
        self.sessions: list[TrueSession] = []
        self.files: list[TrueFile] = []
        self.picture = Picture("fs1")
        self.differ = Differ(self.picture)
        self.mirror = Mirror()
        self.seen: tuple[set[TrueSession], set[TrueFile]] | None = None
        self.last_level: int | None = None
        self.last_begun: dict[tuple[str, str], float] = {}

    # --- what happens

    @rule(client=st.sampled_from(CLIENTS), user=st.sampled_from(USERS))
    def log_on(self, client: str, user: str) -> None:
        if self.now - self.last_begun.get((client, user), 0.0) >= APART:
            self.begin(client, user)

    def begin(self, client: str, user: str) -> None:
        self.last_begun[client, user] = self.now
        self.sessions.append(TrueSession(client, user, self.now, self.now))

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def log_off(self, data: st.DataObject) -> None:
        self.sessions.remove(data.draw(st.sampled_from(self.sessions)))

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def reconnect(self, data: st.DataObject) -> None:
        """It ends, and begins again long enough after the last one began."""
        session = data.draw(st.sampled_from(self.sessions))
        self.sessions.remove(session)
        self.now += APART
        self.begin(session.client, session.user)

    @precondition(lambda self: self.sessions)
    @rule(data=st.data(), opens=st.integers(0, 2))
    def use(self, data: st.DataObject, opens: int) -> None:
        session = data.draw(st.sampled_from(self.sessions))
        session.used, session.opens = self.now, opens

    @rule(id=st.integers(1, 3), path=st.sampled_from(["a", "b"]), user=st.sampled_from(USERS))
    def open(self, id: int, path: str, user: str) -> None:
        # An id is used again; Samba's may even be those of several at once.
        if not any((each.id, each.path, each.user) == (id, path, user) for each in self.files):
            self.files.append(TrueFile(id, path, user))

    @precondition(lambda self: self.files)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        self.files.remove(data.draw(st.sampled_from(self.files)))

    @precondition(lambda self: self.files)
    @rule(data=st.data(), locks=st.integers(0, 2))
    def lock(self, data: st.DataObject, locks: int) -> None:
        data.draw(st.sampled_from(self.files)).locks = locks

    @rule(seconds=st.sampled_from([0.3, 1.0, 2.0, 10.0, 3600.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule(seconds=st.sampled_from([-3600.0, -2.0, 2.0, 3600.0]))
    def set_our_clock(self, seconds: float) -> None:
        self.wall += seconds

    @rule(level=st.sampled_from([502, 502, 502, 2, 1, 10, 0]))
    def grant(self, level: int) -> None:
        self.level = level
        self.look(0.0)
        self.level = 502 if level else level

    # --- who looks

    def entry(self, session: TrueSession) -> SessionInfo:
        entry = SessionInfo(session.client)
        if self.level:
            entry.user_name = session.user
            entry.active_time, entry.idle_time = int(self.now - session.begun), int(self.now - session.used)
        if self.level in (502, 2, 1):
            entry.num_opens, entry.user_flags = session.opens, 0
        return entry

    @rule()
    def look_soon(self) -> None:
        """Looks are what it is all about: half of what is done."""
        self.look(0.0)

    @rule(took=st.sampled_from([0.0, 0.0, 0.4]))
    def look(self, took: float) -> None:
        sessions = Sessions("fs1", self.level, [self.entry(each) for each in self.sessions])
        files = [FileInfo(each.id, 1, each.locks, each.path, each.user) for each in self.files]
        shares = [ShareInfo("data", 0, current_uses=len(self.sessions))]
        at = Begun(self.now, self.wall + self.now)
        changes = self.differ.take(Look(at, took, sessions, files, shares, kept_ids=False))
        # Whether users are told decides whether looks compare.
        compares = self.last_level is not None and bool(self.last_level) == bool(self.level)
        assert (changes is not None) == compares
        if changes is None:
            self.mirror.first(self.picture)
        else:
            self.mirror.take(changes)
            self.check(changes)
        self.seen = set(self.sessions), set(self.files)
        self.last_level = self.level

    def check(self, changes: list[Change]) -> None:
        assert self.seen is not None
        opened: Counter[object] = Counter()
        closed: Counter[object] = Counter()
        for change in changes:
            count = opened if change.what is What.OPENED else closed
            if change.what is What.CHANGED:
                continue
            row = change.row
            if isinstance(row, SessionRow):
                count[row.client_name, row.user_name] += 1
            elif isinstance(row, FileRow):
                count[row.id, row.path, row.user_name] += 1
        before, now = self.seen[0] - set(self.sessions), set(self.sessions) - self.seen[0]
        true_closed = Counter(self.name(each) for each in before) + Counter(
            (each.id, each.path, each.user) for each in self.seen[1] - set(self.files)
        )
        true_opened = Counter(self.name(each) for each in now) + Counter(
            (each.id, each.path, each.user) for each in set(self.files) - self.seen[1]
        )
        # A file that was closed and opened again between the looks is the same one by all that is told; and so is a
        # session where no ages are told.
        both = Counter({key: number for key, number in (true_closed & true_opened).items() if self.is_alike(key)})
        assert closed == true_closed - both
        assert opened == true_opened - both

    def name(self, session: TrueSession) -> tuple[str, str | None]:
        return session.client, session.user if self.level else None

    def is_alike(self, key: object) -> bool:
        return isinstance(key, tuple) and (len(key) == 3 or not self.level)

    # --- what must hold

    @invariant()
    def the_changes_lead_to_the_picture(self) -> None:
        assert self.mirror.rows == rows_of(self.picture)

    @invariant()
    def keys_and_rows_are_those_of_the_server(self) -> None:
        for row in self.picture.files.values():
            assert row.key[:3] == (row.id, row.path, row.user_name)
        for session in self.picture.sessions.values():
            assert session.key[:2] == (session.client_name, session.user_name)


TestTruth = Truth.TestCase
TestTruth.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)


@dataclass(eq=False)
class TrueOpen:
    id: int
    owner: str
    away: bool = False


class Losses(RuleBasedStateMachine):
    """A server that keeps files for clients that are lost, and gives no id twice. A file is open from when it opened
    until it closes, whoever looks when; whose it is is known where it was ever seen with its user, and never wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0.0
        self.files: list[TrueOpen] = []
        self.known: dict[int, str] = {}
        self.seen: set[int] | None = None
        self.last = 0
        self.picture = Picture("fs1")
        self.differ = Differ(self.picture)
        self.mirror = Mirror()

    @rule(owner=st.sampled_from(["ann", "bob"]))
    def open(self, owner: str) -> None:
        self.last += 1
        self.files.append(TrueOpen(self.last, owner))

    @precondition(lambda self: self.files)
    @rule(data=st.data(), away=st.booleans())
    def lose_or_reclaim(self, data: st.DataObject, away: bool) -> None:
        data.draw(st.sampled_from(self.files)).away = away

    @precondition(lambda self: self.files)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        self.files.remove(data.draw(st.sampled_from(self.files)))

    @rule()
    def look(self) -> None:
        self.at += 2
        listed = [FileInfo(each.id, 3, 0, r"C:\data\a", "" if each.away else each.owner) for each in self.files]
        sessions = [SessionInfo(rf"\\{user}", user, 1, 100 + int(self.at), 0) for user in ("ann", "bob")]
        look = Look(Begun(self.at, 1.7e9 + self.at), 0.0, Sessions("fs1", 502, sessions), listed, [])
        changes = self.differ.take(look)
        now = {each.id for each in self.files}
        self.known = {id: user for id, user in self.known.items() if id in now}
        self.known |= {each.id: each.owner for each in self.files if not each.away}
        if self.seen is None or changes is None:
            self.mirror.first(self.picture)
        else:
            self.mirror.take(changes)
            found = {
                what: [one.row.id or 0 for one in changes if one.what is what and isinstance(one.row, FileRow)]
                for what in What
            }
            assert sorted(found[What.OPENED]) == sorted(now - self.seen)
            assert sorted(found[What.CLOSED]) == sorted(self.seen - now)
        self.seen = now
        assert self.mirror.rows == rows_of(self.picture)
        rows = {row.id: row for row in self.picture.files.values()}
        for each in self.files:
            row = rows[each.id]
            assert row.user_name == ("" if each.away else each.owner)
            assert row.owner == (self.known.get(each.id) if each.away else None)
            assert row.client_name == (None if each.away else rf"\\{each.owner}")


TestLosses = Losses.TestCase
TestLosses.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


class Crowd(RuleBasedStateMachine):
    """Sessions that cannot be told apart, clocks that are set, ages that are not told: nothing is certain but that the
    rows are those that are listed, and that no more happens than has."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.server_clock = 0.0
        self.sessions: list[TrueSession] = []
        self.picture = Picture("fs1")
        self.differ = Differ(self.picture)
        self.mirror = Mirror()
        self.opened = self.closed = 0

    @initialize()
    def begin(self) -> None:
        self.look(True)

    @rule(user=st.sampled_from(["ann", "bob"]), number=st.integers(1, 4))
    def log_on(self, user: str, number: int) -> None:
        self.sessions += [TrueSession(r"\\pc1", user, self.now, self.now) for _ in range(number)]
        self.opened += number

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def log_off(self, data: st.DataObject) -> None:
        self.sessions.remove(data.draw(st.sampled_from(self.sessions)))
        self.closed += 1

    @rule(seconds=st.sampled_from([0.3, 1.0, 2.0, 10.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule(seconds=st.sampled_from([-3600.0, -5.0, 5.0, 3600.0]))
    def set_clock_of_server(self, seconds: float) -> None:
        self.server_clock += seconds
        for session in self.sessions:
            session.begun -= seconds

    @rule(ages=st.booleans())
    def look(self, ages: bool) -> None:
        listed = [
            SessionInfo(each.client, each.user, 0, max(0, int(self.now - each.begun)) if ages else None)
            for each in self.sessions
        ]
        changes = self.differ.take(
            Look(Begun(self.now, 1.7e9 + self.now), 0.0, Sessions("fs1", 502, listed), [], [], odd_ages=True)
        )
        if changes is None:
            self.mirror.first(self.picture)
        else:
            self.mirror.take(changes)
            found = Counter(change.what for change in changes)
            assert found[What.OPENED] - found[What.CLOSED] == self.opened - self.closed
        self.opened = self.closed = 0
        rows = Counter((row.client_name, row.user_name) for row in self.picture.sessions.values())
        assert rows == Counter((each.client, each.user) for each in self.sessions)
        assert self.mirror.rows == rows_of(self.picture)


TestCrowd = Crowd.TestCase
TestCrowd.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


# --- one by one


class Watched:
    """A server that is looked at, two seconds after each other unless said otherwise."""

    def __init__(self) -> None:
        self.picture = Picture("fs1")
        self.differ = Differ(self.picture)
        self.at = Begun(1000.0, 1.7e9)

    def look(
        self,
        sessions: Sequence[SessionInfo] | None = (),
        files: Sequence[FileInfo] | None = (),
        shares: Sequence[ShareInfo] | None = (),
        *,
        level: int = 502,
        later: float = 2.0,
        set_wall: float = 0.0,
        duration: float = 0.0,
        odd_ages: bool = False,
    ) -> list[str] | None:
        """The changes, each as a word: `+bob`, `-C:\\a.txt`, `data:current_uses`."""
        self.at = self.at.moved(later, later + set_wall)
        listed = None if sessions is None else Sessions("fs1", level, list(sessions))
        self.changes = self.differ.take(Look(self.at, duration, listed, files, shares, odd_ages))
        return None if self.changes is None else [word(change) for change in self.changes]

    @property
    def session(self) -> SessionRow:
        (row,) = self.picture.sessions.values()
        return row

    @property
    def file(self) -> FileRow:
        (row,) = self.picture.files.values()
        return row


def word(change: Change) -> str:
    row = change.row
    name = row.user_name if isinstance(row, SessionRow) else row.path if isinstance(row, FileRow) else row.name
    if change.what is What.CHANGED:
        return f"{name}:{','.join(change.fields)}"
    return f"{'+' if change.what is What.OPENED else '-'}{name}"


def session(
    user: str | None = "bob", age: int | None = 100, client: str = r"\\pc7", **fields: int | None
) -> SessionInfo:
    return SessionInfo(client, user, active_time=age, **fields)  # type: ignore[arg-type]


def file(id: int = 5, path: str = "a", user: str = "bob", locks: int = 0) -> FileInfo:
    return FileInfo(id, 1, locks, path, user)


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.mark.parametrize(("age", "same"), [(12, True), (15, True), (9, True), (8, False), (0, False)])
def test_when_a_session_began_may_move_by_three_seconds(watched: Watched, age: int, same: bool) -> None:
    watched.look([session(age=2)])
    assert watched.look([session(age=age)], later=10.0) == ([] if same else ["-bob", "+bob"])


def test_who_has_been_there_before_the_last_look_is_not_new(watched: Watched) -> None:
    """What it says of itself has moved by more than the slack, and it has not come since: a clock was set."""
    watched.look([session(age=100)])
    assert watched.look([session(age=98)]) == ["bob:begun_at"]
    assert watched.look([session(age=5000)]) == ["bob:begun_at"]


def test_a_slow_answer_may_be_further_off() -> None:
    for age, expected in ((6, []), (2, ["-bob", "+bob"])):
        watched = Watched()
        watched.look([session(age=2)], duration=8.0)
        found = watched.look([session(age=age)], later=10.0, duration=8.0)
        assert found is not None
        assert [each for each in found if "begun_at" not in each] == expected


def test_an_idle_session_has_no_changes(watched: Watched) -> None:
    watched.look([session(idle_time=5, num_opens=1)])
    row = watched.session
    assert (row.begun_at, row.used_at, row.begun_how) == (1.7e9 + 2 - 100, 1.7e9 + 2 - 5, How.TOLD)
    for later in range(1, 40):
        assert watched.look([session(age=100 + 2 * later + later % 2, idle_time=5 + 2 * later, num_opens=1)]) == []
        assert watched.session is row
    assert watched.look([session(age=180, idle_time=1, num_opens=1)]) == ["bob:used_at"]
    assert watched.session.used_at == watched.at.wall - 1
    listed = watched.session.as_listed(watched.at.wall + 10)
    assert (listed.client_name, listed.user_name, listed.idle_time) == (r"\\pc7", "bob", 11)


def test_a_clock_that_is_set_ends_nothing(watched: Watched) -> None:
    watched.look([session(idle_time=5)])
    key = watched.session.key
    assert watched.look([session(age=102, idle_time=7)], set_wall=3600) == ["bob:begun_at,used_at"]
    assert watched.session.key == key
    assert watched.session.begun_at == watched.at.wall - 102
    # The server's.
    assert watched.look([session(age=3704, idle_time=3609)]) == ["bob:begun_at,used_at"]
    assert watched.session.key == key


def test_our_clock_set_back_by_as_much_as_has_passed_hides_nobody(watched: Watched) -> None:
    watched.look([session(age=0)])
    assert watched.look([session(age=0)], later=3600.0, set_wall=-3600.0) == ["-bob", "+bob"]


def test_a_session_that_came_back_between_two_looks_is_another_one(watched: Watched) -> None:
    watched.look([session(num_opens=3)])
    assert watched.look([session(age=1, num_opens=0)]) == ["-bob", "+bob"]
    assert watched.changes is not None
    closed, opened = watched.changes
    assert (closed.at, closed.after, closed.why) == (watched.at.wall, watched.at.wall - 2, "vanished")
    assert (opened.at, opened.after, opened.how) == (watched.at.wall - 1, watched.at.wall - 2, How.SEEN)
    assert closed.row.key != opened.row.key


def test_of_equal_sessions_the_number_counts(watched: Watched) -> None:
    watched.look([session()] * 3)
    assert [key.number for key in watched.picture.sessions] == [0, 1, 2]
    assert len({str(key) for key in watched.picture.sessions}) == 3
    assert watched.look([session(age=102)] * 2) == ["-bob"]
    assert [key.number for key in watched.picture.sessions] == [0, 1]
    assert watched.look([session(age=104)] * 4) == ["+bob"] * 2
    assert len(watched.picture.sessions) == 4


def test_names_are_those_of_the_server(watched: Watched) -> None:
    watched.look([session("bob"), session("BOB"), session("")])
    assert watched.look([session("bob", 102), session("", 102)]) == ["-BOB"]


def test_without_ages_sessions_appear_and_vanish(watched: Watched) -> None:
    watched.look([session(None, None)], level=0)
    assert (watched.session.begun_at, watched.session.begun_how) == (None, How.UNKNOWN)
    assert watched.look([session(None, None)] * 2, level=0) == ["+None"]
    new = list(watched.picture.sessions.values())[1]
    assert (new.begun_at, new.begun_how) == (watched.at.wall, How.SEEN)
    assert watched.look([session(None, None)], level=0) == ["-None"]


def test_an_odd_age_of_samba_is_no_age(watched: Watched) -> None:
    """It counts a session that is not a second old from the wrong end; afterwards it knows."""
    watched.look([session()], odd_ages=True)
    assert watched.look([session(age=0)], odd_ages=True) == []
    # Now it is told: it is not the one of before.
    assert watched.look([session(age=2)], odd_ages=True) == ["-bob", "+bob"]
    watched.look([], odd_ages=True)
    assert watched.look([session(age=0)], odd_ages=True) == ["+bob"]
    assert watched.look([session(age=1)], odd_ages=True) == ["bob:begun_at,begun_how"]
    assert watched.session.begun_at == watched.at.wall - 1


def test_a_poorer_level_changes_what_is_told_and_ends_nothing(watched: Watched) -> None:
    watched.look([session(num_opens=2, user_flags=0)])
    assert watched.look([session(age=102)], level=10) == ["bob:num_opens,user_flags"]
    assert watched.session.num_opens is None
    assert watched.picture.level == 10
    assert watched.look([session(None, None)], level=0) is None
    assert watched.session.key.user_name is None
    assert watched.look([session(age=106, num_opens=2, user_flags=0)]) is None
    assert watched.look([session(age=108, num_opens=2, user_flags=0)]) == []


def test_what_is_not_told_any_more_has_no_rows(watched: Watched) -> None:
    watched.look([session()], [file()])
    assert watched.look([session(age=102)], None) is None
    assert not watched.picture.files
    assert watched.look([session(age=104)], [file()]) is None
    assert (watched.file.opened_at, watched.file.opened_how) == (None, How.UNKNOWN)


def test_an_id_that_is_given_again_is_another_file(watched: Watched) -> None:
    watched.look(files=[file(5, "a"), file(6, "b")])
    assert watched.look(files=[file(5, "c"), file(6, "b", "eve")]) == ["-a", "-b", "+c", "+b"]


def test_equal_files_are_counted(watched: Watched) -> None:
    """Samba's ids can collide: then a close hits all of them, and whoever closes has to see that."""
    watched.look(files=[file()] * 3)
    assert [key.number for key in watched.picture.files] == [0, 1, 2]
    assert watched.look(files=[file()] * 2) == ["-a"]
    assert watched.look(files=[file(), file(locks=2)]) == ["a:num_locks"]


def test_order(watched: Watched) -> None:
    watched.look([session("bob")], [file()], [ShareInfo("data", 0, current_uses=1)])
    now = [session("eve", 1)], [file(7, "b", "eve")], [ShareInfo("data", 0, current_uses=2), ShareInfo("new", 0)]
    assert watched.look(*now) == ["-a", "-bob", "data:current_uses", "+eve", "+b", "+new"]
    assert isinstance(watched.picture.shares[next(iter(watched.picture.shares))], ShareRow)
    assert {row.kind for row in rows_of(watched.picture).values()} == set(Kind)


# --- from where files are open, and since when


def from_where(row: FileRow) -> tuple[How, str | None, tuple[str, ...]]:
    return row.client_how, row.client_name, row.candidates


def test_the_client_of_a_file_follows_from_its_user(watched: Watched) -> None:
    watched.look([session("BOB", client=r"\\pc7"), session("eve", client=r"\\pc8")], [file()])
    assert from_where(watched.file) == (How.INFERRED, r"\\pc7", ())
    # He comes from elsewhere too: that session cannot have opened it.
    two = [session("BOB", 102), session("BOB", 1, client=r"\\pc9")]
    assert watched.look(two, [file()]) == ["-eve", "+BOB"]
    assert from_where(watched.file) == (How.INFERRED, r"\\pc7", ())
    # But it may have opened this one.
    watched.look(two, [file(), file(6, "b")])
    assert from_where(list(watched.picture.files.values())[1]) == (How.CANDIDATES, None, (r"\\pc7", r"\\pc9"))


def test_candidates_become_fewer(watched: Watched) -> None:
    clients = [r"\\pc1", r"\\pc2", r"\\pc3"]
    watched.look([session(client=client) for client in clients], [file()])
    assert from_where(watched.file) == (How.CANDIDATES, None, tuple(clients))
    fewer = [session(age=102, client=client) for client in clients[:2]]
    # Files are asked for before sessions: it may be that of the one who left in between.
    watched.look(fewer, [file()])
    assert from_where(watched.file)[2] == tuple(clients)
    watched.look([session(age=104, client=client) for client in clients[:2]], [file()])
    assert from_where(watched.file)[2] == (r"\\pc1", r"\\pc2")
    watched.look([session(age=106, client=r"\\pc2")], [file()])
    assert watched.look([session(age=108, client=r"\\pc2")], [file()]) == ["a:client_name,client_how,candidates"]
    assert from_where(watched.file) == (How.INFERRED, r"\\pc2", ())


def test_who_has_just_gone_may_have_opened_it(watched: Watched) -> None:
    watched.look([session(client=r"\\pc1"), session(client=r"\\pc2")])
    watched.look([session(age=102, client=r"\\pc1")], [file()])
    assert from_where(watched.file) == (How.CANDIDATES, None, (r"\\pc1", r"\\pc2"))


def test_nothing_is_invented(watched: Watched) -> None:
    watched.look([session("eve")], [file()])
    assert from_where(watched.file) == (How.UNKNOWN, None, ())
    watched = Watched()
    watched.look([session(None, None)], [file()], level=0)
    assert from_where(watched.file) == (How.UNKNOWN, None, ())
    watched = Watched()
    watched.look(None, [file()])
    assert from_where(watched.file) == (How.UNKNOWN, None, ())
    assert (watched.file.opened_at, watched.file.not_before) == (None, None)


def test_a_file_without_a_user_may_be_kept_for_somebody_away(watched: Watched) -> None:
    """MS-SMB2 3.3.4.20: what a null session has open is listed likewise, but for pipes, which are never kept."""
    null = session("", age=100, client=r"\\pc1")
    watched.look([null], [file(user="")])
    assert from_where(watched.file) == (How.UNKNOWN, None, ())
    assert watched.file.not_before is None
    watched = Watched()
    watched.look([null], [file(path=r"\PIPE\srvsvc", user="")])
    assert from_where(watched.file) == (How.INFERRED, r"\\pc1", ())
    assert watched.file.not_before is not None


def test_a_file_whose_client_is_lost_is_kept_and_reclaimed_and_never_closed(watched: Watched) -> None:
    """Over MS-SRVS it has the same id and path, and no user (MS-SMB2 3.3.4.20)."""
    ann = session("ann", age=100, client=r"\\pc1")
    watched.look([ann], [file(user="ann")])
    watched.look([], [file(user="")])
    assert (watched.file.user_name, watched.file.owner) == ("", "ann")
    assert from_where(watched.file) == (How.UNKNOWN, None, ())
    assert watched.look([], [file(user="")]) == []
    watched.look([session("ann", age=1, client=r"\\pc2")], [file(user="ANN")])
    assert (watched.file.user_name, watched.file.owner) == ("ANN", None)
    assert from_where(watched.file) == (How.INFERRED, r"\\pc2", ())
    assert watched.file.key == FileKey(5, "a", "ann")


def test_whose_a_kept_file_is_that_never_had_a_user_is_not_invented(watched: Watched) -> None:
    watched.look([session("ann")], [file(user="")])
    assert watched.file.owner is None
    watched.look([session("ann", age=102)], [file(user="ann")])
    assert (watched.file.user_name, watched.file.owner) == ("ann", None)


def test_another_user_has_reclaimed_nothing(watched: Watched) -> None:
    """A preserved open is its owner's alone (MS-SMB2 3.3.5.9.7): the id was given again."""
    watched.look([], [file(user="ann")])
    watched.look([], [file(user="")])
    assert watched.look([], [file(user="bob")]) == ["-a", "+a"]
    assert (watched.file.user_name, watched.file.owner) == ("bob", None)


def test_a_pipe_is_never_kept(watched: Watched) -> None:
    watched.look([], [file(path=r"\PIPE\srvsvc", user="ann")])
    path = r"\PIPE\srvsvc"
    assert watched.look([], [file(path=path, user="")]) == [f"-{path}", f"+{path}"]


def test_ids_that_collide_do_not_mix_up_what_is_kept(watched: Watched) -> None:
    """Whatever a server lists, each entry has a row with a key of its own."""
    watched.look([], [file(user="ann")])
    watched.look([], [file(user="")])
    watched.look([], [file(user=""), file(user="ann")])
    assert sorted((row.user_name, row.owner) for row in watched.picture.files.values()) == [("", "ann"), ("ann", None)]
    assert watched.look([], [file(user="ann"), file(user="")]) == []
    watched.look([], [file(user="ann"), file(user="ann")])
    assert [row.user_name for row in watched.picture.files.values()] == ["ann", "ann"]
    assert watched.look([], [file(user="ann"), file(user="ann")]) == []


def test_since_when_a_file_is_open(watched: Watched) -> None:
    watched.look([session(age=50, client=r"\\pc1"), session(age=100, client=r"\\pc2")], [file()])
    first = watched.at.wall
    assert (watched.file.opened_how, watched.file.not_before) == (How.UNKNOWN, first - 100)
    watched.look([session(age=52, client=r"\\pc1"), session(age=102, client=r"\\pc2")], [file(6, "b")])
    assert (watched.file.opened_at, watched.file.opened_how, watched.file.not_before) == (first + 2, How.SEEN, first)


def test_what_this_machines_samba_tells_is_told(watched: Watched) -> None:
    told = SambaFile(5, 1, 0, "a", "bob", client_name="10.0.0.7", oplock="LEASE(RWH)", opened_at=1.6e9, pid=7)
    watched.look([session(client=r"\\pc7")], [told])
    assert from_where(watched.file) == (How.TOLD, "10.0.0.7", ())
    assert (watched.file.opened_at, watched.file.opened_how, watched.file.oplock) == (1.6e9, How.TOLD, "LEASE(RWH)")


def test_a_long_look_is_taken_in_steps_and_the_picture_waits_for_the_last() -> None:
    """So that comparing holds up an event loop for a few milliseconds at a time."""
    number = 4 * STEP
    picture = Picture("fs1")
    differ = Differ(picture)

    def look(at: float) -> Look:
        sessions = [SessionInfo(rf"\\pc{i}", "ann", int(at), 100, 1) for i in range(number)]
        files = [FileInfo(i, 1, int(at), rf"C:\{i}", "ann") for i in range(number)]
        return Look(Begun(at, 1e9 + at), 0.0, Sessions("fs1", 502, sessions), files, [])

    differ.take(look(0))
    before = dict(picture.sessions), dict(picture.files)
    assert [len(rows) for rows in before] == [number, number]
    steps = differ.steps(look(1))
    taken = 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            changes = end.value
            break
        taken += 1
        assert (picture.sessions, picture.files) == before
    # The rows of before, what is listed, and comparing, each for sessions; what is listed and what has gone for files.
    assert taken >= 5 * number / STEP
    assert len(changes) == 2 * number
    assert {row.num_opens for row in picture.sessions.values()} == {1}
