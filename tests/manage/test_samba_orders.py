"""Orders to this machine's smbd: nobody ends who was not meant, whatever happens between the looks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman.errors import AccessDenied, LanmanError
from lanman.manage.manager import CloseResult
from lanman.manage.orders import Reason, What, plan_sessions, run
from lanman.manage.samba_local import orders
from lanman.manage.samba_local.manager import SambaLocalManager
from lanman.manage.samba_local.records import SambaSession
from lanman.manage.samba_local.status import NO_NODE, ServerId, Status, StatusSession, StatusTree
from lanman.manage.samba_local.tools import SambaTools, Table, denied
from lanman.net.tool import Finished
from lanman.records import SessionInfo


@dataclass
class Process:
    """What serves a client."""

    unique_id: int
    address: str
    sessions: list[tuple[str, str]] = field(default_factory=list)
    shares: set[tuple[str, str]] = field(default_factory=set)
    node: int = NO_NODE


class World(SambaTools):
    """An smbd in memory. Before each look, and behind it, may happen what `before` and `behind` hold."""

    def __init__(self) -> None:
        super().__init__()
        self.processes: dict[int, Process] = {}
        self.before: list[Callable[[], object]] = []
        self.behind: list[Callable[[], object]] = []
        self.log: list[str] = []
        self.ended: list[tuple[str, str]] = []
        self.knows_client = True
        self.root = True
        self._ids = iter(range(1, 100_000))

    def add(self, pid: int, *users: str, address: str = "10.0.0.7", **more: Any) -> list[tuple[str, str]]:
        number = next(self._ids)
        process = self.processes[pid] = Process(number, f"{address}:{1000 + number}", **more)
        for user in users:
            self.log_on(process, user)
        return process.sessions

    def log_on(self, process: Process, user: str) -> None:
        process.sessions.append((str(next(self._ids)), user))

    async def status(self, table: Table = Table.ALL) -> Status:
        if self.before:
            self.before.pop(0)()
        self.log.append("look")
        status = self._status()
        if self.behind:
            self.behind.pop(0)()
        return status

    async def counted(self) -> Status:
        return await self.status()

    async def connections(self) -> Status:
        return await self.status()

    def _status(self) -> Status:
        sessions, trees = [], []
        for pid, process in self.processes.items():
            server_id = ServerId(pid, 0, process.node, process.unique_id)
            client = process.address.rpartition(":")[0]
            for id, user in process.sessions:
                sessions.append(StatusSession(server_id, user, client, process.address, id))
            for id, share in process.shares:
                trees.append(StatusTree(server_id, share, client, None, id, f"{id}.{share}"))
        return Status(sessions=tuple(sessions), trees=tuple(trees)).joined()

    async def _control(self, *arguments: str) -> Finished:
        if not self.root:
            raise denied("an end")
        self.log.append(" ".join(arguments))
        destination, what, *words = (word for word in arguments if word != "--")
        if what == "kill-client-ip" and not self.knows_client:
            return Finished(1, b"", "smbcontrol: unknown command 'kill-client-ip'\n")
        number = destination.rpartition(":")[2]
        meant = list(self.processes) if number == "smbd" else [int(number)]
        for pid in [pid for pid in meant if pid in self.processes]:
            process = self.processes[pid]
            if what == "close-share":
                process.shares = {one for one in process.shares if one[1].lower() != words[0].lower()}
            elif what == "shutdown" or process.address.rpartition(":")[0] == words[0]:
                self.ended += process.sessions
                del self.processes[pid]
        return Finished(0, b"", "")


def manager_of(world: World) -> SambaLocalManager:
    return SambaLocalManager(world, timeout=None, main_pid=1)


async def listed(manager: SambaLocalManager) -> dict[tuple[int, str], SambaSession]:
    entries = (await manager.sessions()).entries
    return {(entry.pid or 0, entry.user_name or ""): entry for entry in entries if isinstance(entry, SambaSession)}


def errors(results: Sequence[CloseResult]) -> list[int | None]:
    return [None if one.error is None else one.error.code for one in results]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "_PAUSES", (0.0, 0.0))


class Kernel:
    """Time, which stands still unless a test moves it, and when the processes of the world began."""

    def __init__(self) -> None:
        self.now = 0.0
        self.begun: dict[int, int] = {}


@pytest.fixture(autouse=True)
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    told = Kernel()
    monkeypatch.setattr(orders, "beginning", lambda pid: told.begun.get(pid))
    monkeypatch.setattr(orders, "monotonic", lambda: told.now)
    return told


@pytest.fixture
def world() -> World:
    return World()


async def test_a_look_stands_right_before_each_order(world: World) -> None:
    for pid in range(100, 130):
        world.add(pid, f"u{pid}")
    manager = manager_of(world)
    entries = list((await listed(manager)).values())
    world.log.clear()
    told: list[CloseResult] = []
    assert errors(await manager.close_sessions(entries, done=told.append)) == [None] * 30
    assert [one.session.user_name for one in told] == [f"u{pid}" for pid in range(100, 130)]
    at = [place for place, line in enumerate(world.log) if line != "look"]
    assert [world.log[place] for place in at] == [f"{pid} kill-client-ip 10.0.0.7" for pid in range(100, 130)]
    # One for the plan, one before each order and one behind all of them.
    assert at == list(range(2, 62, 2))
    assert len(world.log) == 62


async def test_a_look_serves_as_long_as_it_took(world: World, kernel: Kernel) -> None:
    """Else ending thousands would take quadratic time: each look tells of all of them."""

    def pass_time(seconds: float) -> None:
        kernel.now += seconds

    for pid in range(100, 300):
        world.add(pid, f"u{pid}")
    manager = manager_of(world)
    entries = list((await listed(manager)).values())
    world.log.clear()
    # A look takes 500 ms, an order 62.5 ms.
    world.before = [lambda: pass_time(0.5)] * 100
    control = world._control

    async def slow(*arguments: str) -> Finished:
        pass_time(0.0625)
        return await control(*arguments)

    world._control = slow  # type: ignore[method-assign]
    assert errors(await manager.close_sessions(entries)) == [None] * 200
    # One for the plan, one before each eight orders and one behind all of them.
    assert world.log.count("look") == 27
    assert [line for line in world.log if line != "look"] == [
        f"{pid} kill-client-ip 10.0.0.7" for pid in range(100, 300)
    ]


async def test_a_look_serves_a_second_at_most(world: World, kernel: Kernel) -> None:
    for pid in (100, 101, 102):
        world.add(pid, "ann")
    manager = manager_of(world)
    entries = list((await listed(manager)).values())

    def minute() -> None:
        kernel.now += 60

    async def slow(*arguments: str) -> Finished:
        kernel.now += 0.6
        return await control(*arguments)

    control = world._control
    world._control = slow  # type: ignore[method-assign]
    world.before = [minute] * 20
    world.log.clear()
    assert errors(await manager.close_sessions(entries)) == [None] * 3
    assert [line == "look" for line in world.log] == [True, True, False, False, True, False, True]


@pytest.mark.parametrize("ended", [True, False])
async def test_a_number_that_is_the_same_clients_again(world: World, kernel: Kernel, ended: bool) -> None:
    """smbd cannot tell: the client is the same. When the process began can."""
    world.add(100, "ann")
    kernel.begun[100] = 7
    manager = manager_of(world)
    entries = list((await listed(manager)).values())

    def again() -> None:
        if ended:
            world.add(100, "bob")
            kernel.begun[100] = 9

    world.behind = [lambda: None, again]
    assert errors(await manager.close_sessions(entries)) == [None]
    assert [user for _, user in world.ended] == ([] if ended else ["ann"])
    assert list(world.processes) == ([100] if ended else [])


async def test_somebody_comes_before_a_later_order(world: World) -> None:
    for pid in (100, 101, 102):
        world.add(pid, "ann")
    manager = manager_of(world)
    entries = list((await listed(manager)).values())
    # The plan, the first order, and then bob comes to the third connection.
    world.before = [lambda: None, lambda: None, lambda: world.log_on(world.processes[102], "bob")]
    results = await manager.close_sessions(entries)
    assert errors(results) == [None, None, 170]
    assert [one.user_name for one in results[2].others] == ["bob"]
    assert [user for _, user in world.ended] == ["ann", "ann"]
    assert list(world.processes) == [102]


async def test_a_number_that_is_anothers_by_now(world: World) -> None:
    for pid in (100, 101):
        world.add(pid, "ann")
    manager = manager_of(world)
    entries = list((await listed(manager)).values())
    world.before = [lambda: None, lambda: None, lambda: world.add(101, "ann")]
    assert errors(await manager.close_sessions(entries)) == [None, 2312]
    assert list(world.processes) == [101]


@pytest.mark.parametrize("looks", [0, 1, 2])
async def test_a_session_that_is_somebody_elses_by_now(world: World, looks: int) -> None:
    """A client may log on anew as somebody else on its session, which keeps its id."""
    for pid in (100, 101):
        world.add(pid, "ann")
    manager = manager_of(world)
    made = await plan_sessions(manager, list((await listed(manager)).values()))
    process = world.processes[101]
    id = process.sessions[0][0]
    world.before = [*[lambda: None] * looks, lambda: process.sessions.__setitem__(0, (id, "bob"))]
    first, second = await run(manager, made)
    assert (first.what, second.what, second.reason) == (What.DONE, What.SPARED, Reason.CHANGED)
    assert world.processes[101].sessions == [(id, "bob")]


@pytest.mark.parametrize(("user", "reason"), [("ann", Reason.CHANGED), ("bob", Reason.GONE)])
async def test_a_session_that_began_anew_has_changed_and_one_that_left_is_gone(
    world: World, user: str, reason: Reason
) -> None:
    world.add(100, "ann")
    manager = manager_of(world)
    made = await plan_sessions(manager, list((await listed(manager)).values()))
    world.add(100, user)
    (outcome,) = await run(manager, made)
    assert (outcome.what, outcome.reason, world.ended) == (What.SPARED, reason, [])


async def test_a_number_that_is_anothers_between_the_look_and_the_order(world: World) -> None:
    """Only smbd can know by then, and it compares its client."""
    world.add(100, "ann")
    manager = manager_of(world)
    entries = list((await listed(manager)).values())
    world.behind = [lambda: None, lambda: world.add(100, "bob", address="10.0.0.8")]
    assert errors(await manager.close_sessions(entries)) == [None]  # ann has left
    assert (world.ended, list(world.processes)) == ([], [100])


async def test_a_samba_without_an_order_for_clients(world: World) -> None:
    world.knows_client = False
    world.add(100, "ann")
    world.add(101, "ann")
    manager = manager_of(world)
    assert errors(await manager.close_sessions([SessionInfo("10.0.0.7", None)])) == [None]
    assert [line for line in world.log if line != "look"] == [
        "smbd kill-client-ip 10.0.0.7",
        "100 shutdown",
        "101 shutdown",
    ]


@pytest.mark.parametrize("address", ["fe80::7%eth0", "pc7"])
async def test_an_address_that_smbcontrol_does_not_take(world: World, address: str) -> None:
    world.add(100, "ann", address=address)
    manager = manager_of(world)
    assert errors(await manager.close_sessions([SessionInfo(address, "ann")])) == [None]
    assert "100 shutdown" in world.log


async def test_all_of_a_client_means_who_comes_from_there_and_nobody_else(world: World) -> None:
    world.add(100, "ann", "bob")
    world.add(101, "ann")
    world.add(102, "carl", address="10.0.0.70")
    manager = manager_of(world)
    world.before = [lambda: None, lambda: world.add(103, "dora")]
    (result,) = await manager.close_sessions([SessionInfo("10.0.0.7", None)])
    assert (result.error, result.others) == (None, [])
    assert [line for line in world.log if line != "look"] == ["smbd kill-client-ip 10.0.0.7"]
    assert list(world.processes) == [102]


@pytest.mark.parametrize("reason", ["named apart", "cluster", "one of several is missing"])
async def test_when_all_of_a_client_is_many_orders(world: World, reason: str) -> None:
    """smbcontrol's order for a client reaches every client behind one address, and one node."""
    world.add(100, "ann", node=1 if reason == "cluster" else NO_NODE)
    world.add(101, "bob", node=2 if reason == "cluster" else NO_NODE)
    manager = manager_of(world)
    asked: list[SessionInfo] = [SessionInfo("10.0.0.7", None)]
    if reason == "named apart":
        asked = [next(iter((await listed(manager)).values()))]
    if reason == "one of several is missing":
        asked = [SessionInfo("10.0.0.7", "ann")]
    await manager.close_sessions(asked)
    told = [line for line in world.log if line != "look"]
    nodes = ("1:", "2:") if reason == "cluster" else ("", "")
    both = [f"{nodes[0]}100 kill-client-ip 10.0.0.7", f"{nodes[1]}101 kill-client-ip 10.0.0.7"]
    assert told == (both if reason == "cluster" else both[:1])


async def test_who_is_not_root(world: World) -> None:
    world.add(100, "ann")
    manager = manager_of(world)
    world.root = False
    (result,) = await manager.close_sessions([SessionInfo("10.0.0.7", "ann")])
    assert isinstance(result.error, AccessDenied)
    assert result.error.hint == "ask as root, or over the network: -S localhost -U USER"


async def test_what_is_told_and_stays(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def deaf(*arguments: str) -> Finished:
        return Finished(0, b"", "")

    world.add(100, "ann")
    monkeypatch.setattr(world, "_control", deaf)
    (result,) = await manager_of(world).close_sessions([SessionInfo("10.0.0.7", "ann")])
    assert result.error is not None
    assert "was told to end the connection and still lists it" in result.error.message


async def test_a_look_that_fails_in_the_middle(world: World) -> None:
    for pid in (100, 101):
        world.add(pid, "ann")
    manager = manager_of(world)
    entries = list((await listed(manager)).values())

    def fails() -> None:
        raise LanmanError("smbstatus fell over")

    world.before = [lambda: None, lambda: None, fails]
    done: list[CloseResult] = []
    with pytest.raises(LanmanError, match="fell over"):
        await manager.close_sessions(entries, done=done.append)
    # The first was told and not seen to end: nothing is claimed of it.
    assert done == []
    assert list(world.processes) == [101]


async def test_a_share_of_two_on_one_connection(world: World) -> None:
    (ann, bob) = world.add(100, "ann", "bob")
    (carl,) = world.add(101, "carl")
    world.processes[100].shares = {(ann[0], "data"), (bob[0], "data"), (bob[0], "IPC$")}
    world.processes[101].shares = {(carl[0], "Data")}
    manager = manager_of(world)
    entries = await listed(manager)
    (alone,) = await manager.disconnect_share("data", [entries[100, "ann"]])
    assert (errors([alone]), [one.user_name for one in alone.others]) == ([170], ["bob"])
    agreed = await manager.disconnect_share("data", [entries[100, "ann"]], with_others=[entries[100, "bob"]])
    assert (errors(agreed), agreed[0].note) == (
        [None],
        "Samba closed the share for the whole connection: bob lost it too",
    )
    assert world.processes[100].shares == {(bob[0], "IPC$")}
    assert world.processes[101].shares == {(carl[0], "Data")}
    assert world.ended == []
    # Who connects again at once has a tree connect, and not the one that was closed.
    again = world.processes[101]
    control = world._control

    async def reconnects(*arguments: str) -> Finished:
        done = await control(*arguments)
        again.shares.add((f"{carl[0]}9", "data"))
        again.sessions.append((f"{carl[0]}9", "carl"))
        return done

    world._control = reconnects  # type: ignore[method-assign]
    assert errors(await manager.disconnect_share("data")) == [None]


# --- any history

USERS = ("ann", "bob", "carl")
EVENTS = st.one_of(
    st.none(),
    st.tuples(st.just("log on"), st.integers(0, 3), st.sampled_from(USERS)),
    st.tuples(st.just("leave"), st.integers(0, 3), st.sampled_from(USERS)),
    st.tuples(st.just("again"), st.integers(0, 3), st.sampled_from(USERS)),
)


def happen(world: World, event: tuple[str, int, str] | None) -> None:
    if event is None or not world.processes:
        return
    what, place, user = event
    pid = sorted(world.processes)[place % len(world.processes)]
    if what == "log on":
        world.log_on(world.processes[pid], user)
    elif what == "leave":
        del world.processes[pid]
    else:
        # The number goes to a new connection of the same client.
        world.add(pid, user, address=world.processes[pid].address.rpartition(":")[0])


@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from(USERS), min_size=1, max_size=3), st.booleans()), min_size=1, max_size=4
    ),
    st.lists(EVENTS, max_size=6),
    st.sets(st.integers(0, 8), min_size=1),
    st.booleans(),
)
async def test_nobody_ends_who_was_not_meant(
    crowd: list[tuple[list[str], bool]], events: list[Any], chosen: set[int], consents: bool
) -> None:
    world = World()
    for number, (users, elsewhere) in enumerate(crowd):
        world.add(100 + number, *users, address="10.0.0.8" if elsewhere else "10.0.0.7")
    manager = manager_of(world)
    entries = list((await listed(manager)).values())
    asked = [entry for place, entry in enumerate(entries) if place in chosen]
    planned = [other for others in await manager.bystanders(asked) for other in others] if consents else []
    world.before = [lambda event=event: happen(world, event) for event in events]  # type: ignore[misc]
    results = await manager.close_sessions(asked, with_others=planned)
    meant = {entry.session_id for entry in asked}
    # Consent is to clients and users, as everywhere.
    agreed = {entry.user_name for entry in planned}
    addresses = {process.address for process in world.processes.values()}
    for id, user in world.ended:
        assert id in meant or user in agreed
    for result, entry in zip(results, asked, strict=True):
        assert result.session is entry
        still = any((entry.session_id, entry.user_name) in one.sessions for one in world.processes.values())
        if result.error is None or result.error.code == 2312:
            assert not still
        elif result.error.code == 170:
            assert entry.address in addresses or not still
