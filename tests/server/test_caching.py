"""What clients may cache of one file, as values: the tables of breaks, of grants and of steps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman.server.files.caching import (
    HOLDABLE,
    NONE,
    RH,
    RW,
    RWH,
    Caching,
    Event,
    FileCaching,
    H,
    Holder,
    Notice,
    R,
    W,
    rights_name,
)
from support.step_counter import growth, steps

LEVEL_II, EXCLUSIVE, BATCH = R, RW, RWH


class Cached(Holder):
    """An oplock or a lease without a client: what it is told is kept."""

    is_lease = True

    def __init__(self, file: FileCaching, rights: int) -> None:
        super().__init__()
        self.file = file
        self.told: list[Notice] = []
        file.put(self, Caching(rights))

    def take(self, left: int, now: float) -> None:
        caching, notice = self.caching.take(left)
        self.file.put(self, caching)
        if notice is not None:
            self.told.append(notice)

    def acknowledge(self, rights: int) -> None:
        if self.is_lease:
            caching, notice = self.caching.acknowledge(rights)
        else:
            caching, notice = Caching(rights), None
        self.file.put(self, caching)
        if notice is not None:
            self.told.append(notice)


class CachedOplock(Cached):
    is_lease = False


def granted(file: FileCaching, asking: Holder, wanted: int, *, others_open: bool = True) -> int:
    return file.grantable(wanted, asking, others_open=others_open, ranges_locked=False)


# What Windows 7 does (smb2.lease.break): what is held, what a second lease asks for, what the first comes down to, and
# what the second gets.
@pytest.mark.parametrize(
    ("held", "wanted", "left", "gets"),
    [
        (R, R, R, R),
        (R, RH, R, RH),
        (R, RW, R, R),
        (R, RWH, R, RH),
        (RH, R, RH, R),
        (RH, RH, RH, RH),
        (RH, RW, RH, R),
        (RH, RWH, RH, RH),
        (RW, R, R, R),
        (RW, RH, R, RH),
        (RW, RW, R, R),
        (RW, RWH, R, RH),
        (RWH, R, RH, R),
        (RWH, RH, RH, RH),
        (RWH, RW, RH, R),
        (RWH, RWH, RH, RH),
    ],
)
def test_a_lease_beside_another(held: int, wanted: int, left: int, gets: int) -> None:
    file = FileCaching()
    first, second = Cached(file, held), Cached(file, NONE)
    file.take(Event.OPEN, second, 0)
    assert first.told == ([] if left == held else [Notice(held, left, True)])
    assert file.keeps_waiting(Event.OPEN, second) == (left != held)
    if first.caching.breaking:
        first.acknowledge(left)
    assert not file.keeps_waiting(Event.OPEN, second)
    assert granted(file, second, wanted) == gets


# The same of leases and oplocks (smb2.lease.oplock).
@pytest.mark.parametrize(
    ("held", "left", "level_ii"), [(R, R, LEVEL_II), (RH, RH, NONE), (RW, R, LEVEL_II), (RWH, RH, NONE)]
)
@pytest.mark.parametrize("wanted", [LEVEL_II, EXCLUSIVE, BATCH])
def test_an_oplock_beside_a_lease(held: int, left: int, level_ii: int, wanted: int) -> None:
    file = FileCaching()
    lease, oplock = Cached(file, held), CachedOplock(file, NONE)
    file.take(Event.OPEN, None, 0)
    if lease.caching.breaking:
        lease.acknowledge(left)
    assert lease.caching == Caching(left)
    assert granted(file, oplock, wanted) == level_ii


@pytest.mark.parametrize("held", [LEVEL_II, EXCLUSIVE, BATCH])
@pytest.mark.parametrize("wanted", [R, RH, RW, RWH])
def test_a_lease_beside_an_oplock(held: int, wanted: int) -> None:
    file = FileCaching()
    oplock, lease = CachedOplock(file, held), Cached(file, NONE)
    file.take(Event.OPEN, lease, 0)
    assert file.keeps_waiting(Event.OPEN, lease) == (held != LEVEL_II)
    if oplock.caching.breaking:
        oplock.acknowledge(R)
    assert oplock.caching == Caching(LEVEL_II)
    assert granted(file, lease, wanted) == R


@pytest.mark.parametrize("wanted", [H, W, W | H, 8, 0xFFFFFFFF])
def test_what_makes_no_sense_is_not_granted(wanted: int) -> None:
    file = FileCaching()
    assert granted(file, Cached(file, NONE), wanted, others_open=False) == NONE


def test_byte_ranges_leave_nothing_to_share() -> None:
    file = FileCaching()
    lease = Cached(file, NONE)
    assert file.grantable(RH, lease, others_open=False, ranges_locked=True) == NONE
    assert file.grantable(RWH, lease, others_open=True, ranges_locked=True) == NONE
    assert file.grantable(RWH, lease, others_open=False, ranges_locked=True) == RWH


# What an event leaves of a lease, whether it is to be acknowledged, and whether who causes the event waits.
@pytest.mark.parametrize(
    ("event", "held", "left", "acknowledged", "waits"),
    [
        (Event.OPEN, RWH, RH, True, True),
        (Event.OPEN, RW, R, True, True),
        (Event.OVERWRITE, RWH, NONE, True, True),
        (Event.OVERWRITE, RW, NONE, True, True),
        (Event.OVERWRITE, RH, NONE, True, False),
        (Event.OVERWRITE, R, NONE, False, False),
        (Event.CHANGE, RH, NONE, True, False),
        (Event.CHANGE, R, NONE, False, False),
        (Event.HANDLE, RWH, RW, True, True),
        (Event.HANDLE, RH, R, True, True),
    ],
)
def test_what_an_event_takes(event: Event, held: int, left: int, acknowledged: bool, waits: bool) -> None:
    file = FileCaching()
    lease = Cached(file, held)
    file.take(event, None, 0)
    assert lease.told == [Notice(held, left, acknowledged)]
    assert file.keeps_waiting(event, None) == waits
    assert lease.caching.rights == (held if acknowledged else left)
    if acknowledged:
        lease.acknowledge(left)
        assert lease.caching == Caching(left)
        assert not file.keeps_waiting(event, None)


def test_nobody_is_in_their_own_way() -> None:
    file = FileCaching()
    lease = Cached(file, RWH)
    for event in Event:
        file.take(event, lease, 0)
        assert not file.keeps_waiting(event, lease)
    assert lease.told == []


def test_a_stronger_demand_waits_for_the_acknowledgement_and_goes_step_by_step() -> None:
    """smb2.lease.breaking3."""
    file = FileCaching()
    lease = Cached(file, RWH)
    file.take(Event.OPEN, None, 0)
    file.take(Event.OVERWRITE, None, 0)
    assert lease.told == [Notice(RWH, RH, True)]
    for offered, following in ((RH, Notice(RH, R, True)), (R, Notice(R, NONE, False))):
        assert file.keeps_waiting(Event.OPEN, None)
        assert file.keeps_waiting(Event.OVERWRITE, None)
        lease.acknowledge(offered)
        assert lease.told[-1] == following
    assert lease.caching == Caching()
    assert not file.keeps_waiting(Event.OPEN, None)


def test_more_may_be_given_back_than_was_asked() -> None:
    file = FileCaching()
    lease = Cached(file, RWH)
    file.take(Event.OPEN, None, 0)
    lease.acknowledge(H)  # a part of RH, and nothing that can be held
    assert lease.caching == Caching(NONE)


def test_names() -> None:
    assert [rights_name(each) for each in HOLDABLE] == ["", "R", "RH", "RW", "RWH"]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("ask", "ask", "event", "event", "acknowledge", "time out", "release")),
        st.integers(0, 4),
        st.sampled_from(HOLDABLE),
        st.sampled_from(list(Event)),
    ),
    max_size=40,
)


@given(STEPS)
def test_no_two_ever_hold_what_excludes_each_other(steps: list[tuple[str, int, int, Event]]) -> None:
    """Whoever comes in does so when nobody keeps it waiting; then no W is left beside it. The index by kinds says the
    same as all holders, one after the other."""
    file = FileCaching()
    holders = [Cached(file, NONE), Cached(file, NONE), Cached(file, NONE), CachedOplock(file, NONE)]
    holders.append(CachedOplock(file, NONE))
    for what, number, rights, event in steps:
        holder = holders[number]
        if what == "ask" and not holder.caching.breaking:
            file.take(Event.OPEN, holder, 0)
            if not file.keeps_waiting(Event.OPEN, holder):
                others = any(each.caching.rights for each in holders if each is not holder)
                wanted = RWH if rights == RH and not holder.is_lease else rights  # no oplock is RH
                gets = file.grantable(wanted, holder, others_open=others, ranges_locked=False)
                if gets & holder.caching.rights == holder.caching.rights:
                    file.put(holder, Caching(gets))
        elif what == "event":
            by = holder if holder.is_lease else None
            file.take(event, by, 0)
            for each in holders:
                if each is not by and not each.caching.breaking and not file.keeps_waiting(event, by):
                    if event is Event.OPEN:
                        assert not each.caching.rights & W
                    if event in (Event.OVERWRITE, Event.CHANGE) and (each.is_lease or each.caching.rights == R):
                        assert not each.caching.rights
                    if event is Event.HANDLE:
                        assert not each.caching.rights & H
        elif what == "acknowledge" and holder.caching.offered is not None:
            holder.acknowledge(rights & holder.caching.offered)
        elif what in ("time out", "release"):
            file.put(holder, Caching())
        writers = [each for each in holders if each.caching.rights & W]
        if writers:
            assert [each for each in holders if each.caching.rights] == writers
            assert len(writers) == 1
        assert sum(map(len, file._kinds.values())) == sum(bool(each.caching.rights) for each in holders)
        for asked in Event:
            naive = any(
                each.caching.breaking
                and not (each.is_lease and asked is Event.READ_SECURITY)
                and (
                    each.caching.rights & H
                    if asked in (Event.HANDLE, Event.HANDLE_OVERWRITE)
                    else asked is not Event.CHANGE and (each.caching.rights & W or each.caching.holds_up)
                )
                for each in holders
            )
            assert file.keeps_waiting(asked, None) == naive
    for holder in holders:  # and each break ends
        for _ in range(3):
            if holder.caching.offered is not None:
                holder.acknowledge(holder.caching.offered)
        assert not holder.caching.breaking


@pytest.mark.parametrize("event", [Event.OPEN, Event.OVERWRITE, Event.CHANGE, Event.HANDLE])
def test_what_is_taken_from_many_costs_once_for_each(event: Event) -> None:
    def taking(number: int) -> Callable[[], object]:
        file = FileCaching()
        holders = [Cached(file, RH) for _ in range(number)]

        def take() -> None:
            for _ in range(2):  # the second time finds all of them breaking, or gone
                file.take(event, holders[0], 0)
                file.keeps_waiting(event, holders[0])
            for holder in holders:
                if holder.caching.offered is not None:
                    holder.acknowledge(holder.caching.offered)
                file.awaited()

        return take

    assert growth(taking, 50, 400) < 1.2


def test_one_more_costs_the_same_however_many_there_are() -> None:
    def joining(number: int) -> int:
        file = FileCaching()
        for _ in range(number):
            Cached(file, RH)
        one = Cached(file, NONE)

        def join() -> None:
            file.take(Event.OPEN, one, 0)
            file.keeps_waiting(Event.OPEN, one)
            file.put(one, Caching(granted(file, one, RWH)))

        return steps(join)

    assert joining(1000) < joining(10) + 50
