"""What one connection may have at a time: requests of a frame, work of a turn, answers that are not read."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman import codes
from lanman.domain import Portions, Reason
from lanman.rpc.client import RpcClient
from lanman.rpc.pdu import PFC_FIRST_FRAG, REQUEST, build
from lanman.rpc.srvsvc import NetrSessionEnum, NetrShareAdd
from lanman.server.disk_effects import ReadFile
from lanman.server.resources import ResourceLimits
from lanman.server.room import UNREAD_FOR, Room
from lanman.server.scheduler import BUDGET, TURN, Scheduler
from lanman.smb2.connection import MAX_COMPOUND
from lanman.smb2.constants import FILE_DIRECTORY_FILE
from lanman.smb2.messages import (
    CloseRequest,
    EchoRequest,
    LockElement,
    LockRequest,
    QueryDirectoryRequest,
    ReadRequest,
    WriteRequest,
)
from support.disk_server import DiskWorld, FileClient
from support.memory_server import Client, World
from support.raw_client import RawClient
from support.smb2_pair import send_compound
from support.step_counter import steps

KILO = 1024


class Silent(DiskWorld):
    """A Server some of whose clients read nothing: what is sent to them stays in the transport."""

    def __init__(self, folder: Path) -> None:
        limits = ResourceLimits(output_per_connection=256 * KILO, output=1024 * KILO, output_always=8 * KILO)
        super().__init__(folder, resources=limits)
        self.kept: dict[int, list[bytes]] = {}
        self.most = 0

    def silence(self, client: FileClient) -> None:
        """From now on it reads nothing."""
        connection = client.connection
        kept = self.kept[connection.connection_id] = []
        take, told = connection.data_to_send, connection.sent

        def data_to_send() -> list[bytes]:
            kept.extend(bytes(each) for each in take())
            self.most = max(self.most, self.size(client))
            return []

        connection.data_to_send = data_to_send  # type: ignore[method-assign, assignment]
        connection.sent = lambda left, now: told(self.size(client), now)  # type: ignore[method-assign]

    def size(self, client: FileClient) -> int:
        return sum(map(len, self.kept[client.connection.connection_id]))

    def read_all(self, client: FileClient) -> None:
        """It reads what was kept for it."""
        kept = self.kept[client.connection.connection_id]
        while kept:
            data = list(kept)
            kept.clear()
            for each in data:
                client.deliver(each)
            client.connection.sent(0, self.now)
            self.pump()


@pytest.fixture
def world(tmp_path: Path) -> Silent:
    return Silent(tmp_path)


def with_credits(client: FileClient, number: int) -> FileClient:
    """The server lets it send many requests at a time."""
    window = client.connection.core._window
    client.core._credits += window.grant(number, 8192)
    return client


# --- compounds


def test_a_compound_has_a_bound() -> None:
    for number, fits in ((MAX_COMPOUND, True), (MAX_COMPOUND + 1, False)):
        world = World()
        client = RawClient(world)
        client.log_on()
        while client.connection.core._window.available < number:
            client.send(client.pdu(EchoRequest(), credits=512))
        statuses = client.statuses(client.compound([EchoRequest()] * number))
        assert statuses == ([0] * number if fits else [])
        assert ("compound" in client.finished) is not fits


def test_the_answers_of_a_compound_are_no_frame_that_is_too_long(world: Silent) -> None:
    """MS-SMB2 3.3.4.1.3: not longer than MaxTransactSize; they come in several frames then."""
    client = with_credits(world.user(), 400)
    file_id = client.make("a", bytes(2 * KILO * KILO))
    world.dispatch.resources = ResourceLimits()
    read = ReadRequest(length=2 * KILO * KILO, file_id=file_id)
    numbers = send_compound(client.core, [read] * 10, session_id=client.session_id, tree_id=client.tree_id)
    lengths: list[int] = []
    send = client.connection.core._send_frame

    def send_frame(parts: list[bytes], encryptor: object = None) -> None:
        assert encryptor is None
        lengths.append(sum(map(len, parts)))
        send(parts)

    client.connection.core._send_frame = send_frame  # type: ignore[method-assign, assignment]
    world.pump()
    assert len(lengths) == 3
    assert max(lengths) <= 8 * KILO * KILO + 4 * KILO
    assert [client.answers[number].status for number in numbers] == [0] * 10
    assert all(len(client.answers[number].message.data) == 2 * KILO * KILO for number in numbers)  # type: ignore[attr-defined]


# --- turns


def test_one_frame_after_the_other_and_others_in_between() -> None:
    """However much one connection brings, a turn does little of it, and the next one's turn comes."""
    world = World()
    busy, other = RawClient(world, address="192.0.2.1"), RawClient(world, address="192.0.2.2")
    for client in (busy, other):
        client.log_on()
    while busy.connection.core._window.available < 1000:
        busy.send(busy.pdu(EchoRequest(), credits=512))
    world.dispatch.scheduler.refill()
    busy.send(*[busy.pdu(EchoRequest()) for _ in range(1000)], pump=False)
    assert busy.connection.overloaded
    assert world.dispatch.scheduler.busy
    before = len(busy.connection.core._requests or ())
    other.send(other.pdu(EchoRequest()), pump=False)  # in the same turn of the loop, whose budget is spent
    world.dispatch.scheduler.refill()
    world.dispatch.scheduler.run(world.now)
    assert other.connection.core.unsent > 0  # it did not wait for the thousand
    assert busy.connection.core.has_frames
    assert before <= 1
    world.pump()
    assert [header.status for header, _ in busy.answers] == [0] * 1000
    assert not busy.connection.overloaded


class Busy:
    """A connection that always has more to do."""

    def __init__(self, party: str, said: list[Busy]) -> None:
        self.party = party
        self.has_work = True
        self.said = said

    def turn(self, now: float, most: int) -> int:
        self.said.append(self)
        return most

    def fail(self, error: Exception) -> None:
        raise error


def turns(scheduler: Scheduler, said: list[Busy], number: int) -> list[Busy]:
    """The next so many turns."""
    said.clear()
    while len(said) < number:
        scheduler.refill()
        scheduler._budget = TURN
        scheduler.run(0.0)
    return list(said)


def test_who_has_five_hundred_connections_has_as_many_turns_as_who_has_one() -> None:
    scheduler, said = Scheduler(), list[Busy]()
    crowd = [Busy("user A", said) for _ in range(500)]
    for each in crowd:
        scheduler.has_work(each)
    one = Busy("user B", said)
    scheduler.has_work(one)
    assert one in turns(scheduler, said, 3)
    assert turns(scheduler, said, 1000).count(one) == 500
    # Nobody starves: all of the crowd have their turns, one after the other.
    turns(scheduler, said, 2000)
    assert set(turns(scheduler, said, 1000)) == {*crowd, one}
    # Whoever comes anew, as one user more, has one of the next two turns, and then one in three.
    third = Busy("user C", said)
    scheduler.has_work(third)
    assert third in turns(scheduler, said, 2)
    found = turns(scheduler, said, 900)
    assert found.count(one) == found.count(third) == 300


def test_within_a_party_who_has_just_got_something_to_do_does_not_wait_for_all_who_have_much() -> None:
    scheduler, said = Scheduler(), list[Busy]()
    for _ in range(500):
        scheduler.has_work(Busy("user A", said))
    turns(scheduler, said, 1500)
    new = Busy("user A", said)
    scheduler.has_work(new)
    assert new in turns(scheduler, said, 2)


def test_a_connection_waits_as_whose_it_was_when_it_came_and_may_go_meanwhile() -> None:
    scheduler, said = Scheduler(), list[Busy]()
    lanes = [Busy(f"user {number % 3}", said) for number in range(9)]
    for each in lanes:
        scheduler.has_work(each)
        scheduler.has_work(each)
    for each in lanes:
        each.party = "user 7"  # somebody has logged on there
    for each in lanes[:6]:
        scheduler.forget(each)
        scheduler.forget(each)
    assert set(turns(scheduler, said, 6)) == set(lanes[6:])
    lanes[6].has_work = False
    turns(scheduler, said, 10)
    assert set(turns(scheduler, said, 4)) == set(lanes[7:])
    for each in lanes:
        scheduler.forget(each)
    assert not scheduler.busy


@given(st.lists(st.tuples(st.sampled_from(["come", "turn", "quiet", "go", "moves"]), st.integers(0, 8))))
def test_whatever_happens_all_that_have_work_have_turns_and_no_others(history: list[tuple[str, int]]) -> None:
    scheduler, said = Scheduler(), list[Busy]()
    lanes = [Busy(f"user {number % 4}", said) for number in range(9)]
    waiting = dict[Busy, None]()
    for what, number in history:
        lane = lanes[number]
        if what == "come":
            lane.has_work = True
            scheduler.has_work(lane)
            waiting[lane] = None
        elif what == "turn" and waiting:
            (had,) = turns(scheduler, said, 1)
            assert had in waiting
            if not had.has_work:
                del waiting[had]
        elif what == "quiet":
            lane.has_work = False
        elif what == "go":
            scheduler.forget(lane)
            waiting.pop(lane, None)
        elif what == "moves":
            lane.party = f"user {(number + len(waiting)) % 4}"
        assert scheduler.busy == bool(waiting)
    if waiting:
        for lane in waiting:
            lane.has_work = True
        # A party has every second turn of its kind at worst, and has at most nine connections of either kind.
        assert set(turns(scheduler, said, 2 * 4 * 2 * 9)) == set(waiting)


def test_a_turn_takes_as_much_work_however_many_wait() -> None:
    def one(number: int) -> int:
        scheduler, said = Scheduler(), list[Busy]()
        for at in range(number):
            scheduler.has_work(Busy(f"user {at % (number // 10)}", said))
        turns(scheduler, said, number)
        scheduler.refill()
        return steps(lambda: scheduler.run(0.0))

    assert one(5000) <= one(50) * 1.02


def test_one_request_among_those_of_a_user_with_many_connections() -> None:
    """Done within one turn of the user who has them all, whom it need not be told from by address."""
    world = World()
    crowd = [RawClient(world, address="192.0.2.1") for _ in range(30)]
    other = RawClient(world, address="192.0.2.1")
    for client in crowd:
        client.log_on("ann")
    other.log_on("bob")
    for client in crowd:
        while client.connection.core._window.available < 100:
            client.send(client.pdu(EchoRequest(), credits=512))
    assert {client.connection.party for client in crowd} == {"user ANN"}
    assert other.connection.party == "user BOB"
    scheduler = world.dispatch.scheduler
    scheduler.refill()
    for client in crowd:
        client.send(*[client.pdu(EchoRequest()) for _ in range(100)], pump=False)
    assert scheduler.busy  # what may be done in one turn of the loop is spent
    other.send(other.pdu(EchoRequest()), pump=False)
    scheduler.refill()
    scheduler._budget = TURN + 1  # one turn of the others, at most
    scheduler.run(world.now)
    assert other.connection.core.unsent > 0
    world.pump()
    assert all(len(client.answers) == 100 for client in crowd)


def test_who_has_not_logged_on_takes_turns_by_network() -> None:
    world = World()
    first, second = RawClient(world, address="2001:db8::1"), RawClient(world, address="2001:db8::2")
    other = RawClient(world, address="192.0.2.2")
    assert first.connection.party == second.connection.party == first.connection.network
    assert other.connection.party == "192.0.2.2"
    other.log_on("ann")
    assert other.connection.party == "user ANN"
    first.log_on("")
    assert first.connection.party == second.connection.party
    (session,) = [each for each in world.service.sessions() if each.user_name]
    world.service.close_session(session, Reason.DELETED)
    assert other.connection.party == "192.0.2.2"


def test_little_work_needs_no_turn_of_its_own() -> None:
    """Of what may be done in one turn of the loop half is left for whatever comes next; then a turn is asked for."""
    world = World()
    client = RawClient(world)
    client.log_on()
    scheduler = world.dispatch.scheduler
    scheduler.refill()
    done = 0
    while not scheduler.needs_turn:
        client.send(client.pdu(EchoRequest()), pump=False)
        assert not scheduler.busy
        done += 1
    assert done > BUDGET // 8
    scheduler.refill()
    assert not scheduler.needs_turn


def test_a_turn_costs_the_same_however_much_there_is() -> None:
    def one_turn(number: int) -> int:
        world = World()
        client = RawClient(world)
        client.log_on()
        while client.connection.core._window.available < number:
            client.send(client.pdu(EchoRequest(), credits=512))
        world.dispatch.scheduler.refill()
        frames = [client.pdu(EchoRequest()) for _ in range(number)]
        return steps(lambda: client.send(*frames, pump=False))

    few, many = one_turn(100), one_turn(2000)
    assert many < few + 80 * 1900  # which is what splitting into frames takes


@pytest.mark.parametrize("compound", [False, True])
def test_a_budget_is_not_exceeded_by_one_compound(compound: bool) -> None:
    world = World()
    client = RawClient(world)
    client.log_on()
    while client.connection.core._window.available < MAX_COMPOUND:
        client.send(client.pdu(EchoRequest(), credits=512))
    assert TURN < BUDGET
    world.dispatch.scheduler.refill()
    messages = [EchoRequest()] * MAX_COMPOUND
    frames = [client.compound(messages)] if compound else [client.pdu(each) for each in messages]
    client.send(*frames, pump=False)
    assert world.dispatch.scheduler.busy
    world.pump()
    assert [header.status for header, _ in client.answers] == [0] * MAX_COMPOUND


def test_queries_in_a_long_pipeline(world: Silent) -> None:
    """1,500 that take their turns on one directory, whose listing is there at once."""
    world.dispatch.resources = ResourceLimits()
    client = with_credits(world.user(), 1500)
    for number in range(50):
        (world.folder / f"{number}.txt").touch()
    folder = client.open("", options=FILE_DIRECTORY_FILE)
    query = QueryDirectoryRequest(37, flags=2, file_id=folder, name="*", output_buffer_length=1000)
    for _ in range(1500):
        client.core.send(query, session_id=client.session_id, tree_id=client.tree_id)
    world.pump()
    statuses = {answer.status for answer in client.answers.values()}
    assert len(client.answers) == 1500
    assert statuses <= {0, codes.STATUS_NO_MORE_FILES, codes.STATUS_INSUFFICIENT_RESOURCES}
    assert not client.finished


def test_requests_that_set_each_other_free_do_not_nest(tmp_path: Path) -> None:
    """Each of 300 connections waits for a lock that the one before gives back, in the same compound."""
    world = DiskWorld(tmp_path)
    first = world.user()
    file_id = first.make("a", bytes(1000))
    first.want(LockRequest(file_id, [LockElement(0, 1, 2)]))
    clients = []
    for number in range(300):
        client = FileClient(world)
        client.connection.address = f"198.51.100.{number % 250}"
        client.negotiate()
        client.log_on("bob")
        client.tree_connect(r"\\server\share")
        mine = client.open("a")
        client.want(LockRequest(mine, [LockElement(number + 1, 1, 2)]))
        client.send(LockRequest(mine, [LockElement(number, 1, 2)]))
        clients.append((client, mine))
    # The chain of locks that wait is let go from its beginning: each gives back what the next waits for.
    world.service.close_open(first.connection.channels[first.session_id].opens[_id(file_id)].open)
    for client, mine in clients:
        world.pump()
        world.service.close_open(client.connection.channels[client.session_id].opens[_id(mine)].open)
    world.pump()
    assert not world.service.opens()


def _id(file_id: bytes) -> int:
    return int.from_bytes(file_id[8:], "little")


# --- answers that nobody reads


def test_answers_that_nobody_reads_are_bounded_for_each_connection(world: Silent) -> None:
    client = with_credits(world.user(), 300)
    file_id = client.make("a", bytes(64 * KILO))
    world.silence(client)
    numbers = [
        client.core.send(
            ReadRequest(length=64 * KILO, file_id=file_id), session_id=client.session_id, tree_id=client.tree_id
        )
        for _ in range(100)
    ]
    world.pump()
    assert client.connection.output <= 256 * KILO + 4 * KILO
    assert world.most <= 256 * KILO + 4 * KILO
    assert client.connection.overloaded  # so that the shell leaves the rest in the kernel
    other = world.user("bob")
    assert other.want(EchoRequest())
    assert len(other.get(other.open("a")).message.data) == 64 * KILO  # type: ignore[attr-defined]
    world.read_all(client)
    assert [client.answers[number].status for number in numbers] == [0] * 100
    assert client.connection.output == world.dispatch.room.output == 0


def test_listings_count_as_reads_do(world: Silent) -> None:
    client = with_credits(world.user(), 300)
    for number in range(200):
        (world.folder / f"{number:060}.txt").touch()
    folders = [client.open("", options=FILE_DIRECTORY_FILE) for _ in range(40)]
    world.silence(client)
    for folder in folders:
        query = QueryDirectoryRequest(37, file_id=folder, name="*", output_buffer_length=64 * KILO)
        client.core.send(query, session_id=client.session_id, tree_id=client.tree_id)
    world.pump()
    assert 0 < world.most <= 256 * KILO + 4 * KILO
    world.read_all(client)
    assert len(client.answers) == 40


def test_a_compound_of_reads_waits_for_room_as_well(world: Silent) -> None:
    client = with_credits(world.user(), 300)
    file_id = client.make("a", bytes(64 * KILO))
    world.silence(client)
    read = ReadRequest(length=64 * KILO, file_id=file_id)
    numbers = send_compound(client.core, [read] * 60, session_id=client.session_id, tree_id=client.tree_id)
    world.pump()
    assert world.most <= 256 * KILO + 8 * KILO
    world.read_all(client)
    assert [client.answers[number].status for number in numbers] == [0] * 60


def silent_readers(world: Silent, requests: int, user: str = "ann") -> list[FileClient]:
    """Eight that have asked for so many times 64 KiB of the file `a` each, and read nothing."""
    clients = [with_credits(world.user(user), 300) for _ in range(8)]
    (world.folder / "a").write_bytes(bytes(64 * KILO))
    for client in clients:
        file_id = client.open("a")
        world.silence(client)
        for _ in range(requests):
            client.core.send(
                ReadRequest(length=64 * KILO, file_id=file_id), session_id=client.session_id, tree_id=client.tree_id
            )
    world.pump()
    return clients


def test_answers_that_nobody_reads_are_bounded_for_all(world: Silent) -> None:
    clients = silent_readers(world, 20) + silent_readers(world, 20, "bob")
    assert world.dispatch.room.output <= 1024 * KILO + 16 * 8 * KILO
    # What is small always has room; what is large waits until those who read nothing are gone.
    other, third = world.user("admin"), world.user("admin")
    large = other.send(ReadRequest(length=64 * KILO, file_id=other.open("a")))
    assert third.want(EchoRequest())
    assert third.open("a")
    assert large not in other.answers
    world.advance(UNREAD_FOR * 2.5)
    assert other.answers[large].status == 0
    ended = [client for client in clients if client.finished]
    assert ended
    assert all("does not read" in client.finished for client in ended)


def test_who_has_read_all_is_not_ended_while_an_answer_is_made(world: Silent) -> None:
    """A client that had nothing to ask for a while has not been sent anything either, and the disk may be slow."""
    honest = world.user("bob")
    file_id = honest.make("b", bytes(48 * KILO))
    silent = silent_readers(world, 20)
    world.advance(UNREAD_FOR * 0.99)
    world.held = lambda effect: isinstance(effect, ReadFile)
    number = honest.send(ReadRequest(length=48 * KILO, file_id=file_id))
    world.pump()
    assert honest.connection.output > world.dispatch.room.limits.output_always
    world.advance(UNREAD_FOR * 0.02)
    assert any(client.finished for client in silent)
    assert honest.finished == ""
    world.advance(UNREAD_FOR * 3)
    assert honest.finished == ""
    world.let_go()
    assert honest.answers[number].status == 0


def test_one_user_leaves_room_for_the_answers_of_others(world: Silent) -> None:
    """However many connections that user has, and whatever waits on them."""
    silent_readers(world, 20)
    answers = world.dispatch.room.answers
    assert answers.of("user ANN") <= 4 * (1024 * KILO - world.dispatch.room.output) + 4
    assert 700 * KILO < answers.of("user ANN") < 820 * KILO
    other = world.user("bob")
    large = other.send(ReadRequest(length=64 * KILO, file_id=other.open("a")))
    world.pump()
    assert other.answers[large].status == 0
    assert answers.taken == answers.of("user ANN")  # bob has read his
    for client in list(world.clients.values()):
        world.disconnect(client)
    assert (answers.taken, world.dispatch.room.output) == (0, 0)


def test_room_goes_with_a_connection_to_whom_it_works_for(world: Silent) -> None:
    clients = silent_readers(world, 20)
    answers, connection = world.dispatch.room.answers, clients[0].connection
    before = answers.of("user ANN")
    (session,) = connection.channels.values()
    world.service.close_session(session.session, Reason.DELETED)
    assert answers.of(connection.network) > 0
    assert answers.of("user ANN") + answers.of(connection.network) == answers.taken <= before + 64 * KILO


def test_who_waits_for_room_waits_for_one_answer_of_each_of_the_others(world: Silent) -> None:
    clients = silent_readers(world, 40) + silent_readers(world, 40, "bob")
    other = world.user("admin")
    large = other.send(ReadRequest(length=64 * KILO, file_id=other.open("a")))
    before = sum(len(client.answers) for client in clients)
    while large not in other.answers:  # they do read, slowly
        for client in clients:
            if kept := world.kept[client.connection.connection_id]:
                client.deliver(kept.pop(0))
                client.connection.sent(world.size(client), world.now)
                world.pump()
    assert sum(len(client.answers) for client in clients) - before <= 2 * len(clients)


def test_a_request_that_waits_for_room_is_judged_when_it_has_it(world: Silent) -> None:
    client = with_credits(world.user(), 300)
    file_id = client.make("a", bytes(64 * KILO))
    world.silence(client)
    read = ReadRequest(length=64 * KILO, file_id=file_id)
    numbers = [client.core.send(read, session_id=client.session_id, tree_id=client.tree_id) for _ in range(5)]
    world.pump()
    (session,) = world.service.sessions()
    world.service.close_session(session, Reason.DELETED)
    world.read_all(client)
    assert [client.answers[number].status for number in numbers][-1] == codes.STATUS_USER_SESSION_DELETED


def test_pipes_hold_no_more_than_is_read_of_them() -> None:
    world = World(resources=ResourceLimits(unread_per_connection=100, output_always=0))
    admin = world.connect().log_on("admin").bind()
    (pdu,) = admin.rpc.call(NetrSessionEnum(None, None, None, 502))
    admin.write(pdu)
    assert admin.connection.unread > 100
    answer = admin.ask(WriteRequest(pdu, file_id=admin.file_id))
    assert answer.status == codes.STATUS_INSUFFICIENT_RESOURCES
    assert admin.read().status == 0
    assert admin.connection.unread == world.dispatch.room.unread == 0
    admin.write(pdu)
    world.disconnect(admin)
    assert world.dispatch.room.unread == 0


def fragment(client: Client, call_id: int, size: int) -> bytes:
    """The beginning of a NetrShareAdd, which may be long, and no more of it."""
    return build(REQUEST, PFC_FIRST_FRAG, call_id, struct.pack("<IHH", 0, 0, NetrShareAdd.opnum) + bytes(size))


def test_the_beginnings_of_calls_count_as_what_pipes_keep() -> None:
    world = World(resources=ResourceLimits(unread_per_connection=4 * KILO, output_always=KILO))
    ann = world.connect().log_on("ann").bind()
    ann.write(fragment(ann, 7, 3 * KILO))
    assert 3 * KILO <= ann.connection.unread == world.dispatch.room.unread < 4 * KILO
    first = ann.file_id
    ann.open_pipe()
    ann.rpc = RpcClient()
    ann.transceive(ann.rpc.bind())
    ann.write(fragment(ann, 7, 3 * KILO)[:-1])  # not even whole as a PDU
    ann.open_pipe()
    answer = ann.ask(WriteRequest(RpcClient().bind(), file_id=ann.file_id))
    assert answer.status == codes.STATUS_INSUFFICIENT_RESOURCES
    ann.want(CloseRequest(file_id=first))
    assert 3 * KILO <= ann.connection.unread < 4 * KILO
    ann.write(RpcClient().bind())
    world.disconnect(ann)
    assert world.dispatch.room.unread == 0


def test_what_some_keep_on_their_pipes_keeps_nobody_else_from_asking() -> None:
    world = World(resources=ResourceLimits(unread=4 * KILO, output_always=KILO))
    bob = world.connect().log_on("bob").bind()
    for number in range(2):
        bob.open_pipe()
        bob.rpc = RpcClient()
        bob.transceive(bob.rpc.bind())
        bob.write(fragment(bob, number, 3 * KILO))
    bob.open_pipe()
    assert bob.ask(WriteRequest(RpcClient().bind(), file_id=bob.file_id)).status == codes.STATUS_INSUFFICIENT_RESOURCES
    admin = world.connect().log_on("admin").bind()
    assert admin.call(NetrSessionEnum(None, None, None, 502)).total_entries == 2


def test_a_lone_request_takes_no_turn_of_the_loop_of_its_own() -> None:
    """The shell gives the scheduler one, and so polls its sockets once more, when half of the budget is spent."""
    world = World()
    client = RawClient(world)
    client.log_on()
    scheduler = world.dispatch.scheduler
    scheduler.refill()
    client.send(client.pdu(EchoRequest()), pump=False)
    assert not scheduler.needs_turn
    for _ in range(BUDGET):
        client.send(client.pdu(EchoRequest()), pump=False)
    assert scheduler.needs_turn
    world.pump()
    assert [header.status for header, _ in client.answers] == [0] * (BUDGET + 1)


@dataclass(eq=False)
class Asks:
    """A connection that wants room."""

    party: str
    lacking: int = 0
    output: int = 0

    def unread_for(self, now: float) -> float:
        return 0.0

    def use_room(self) -> bool:
        return False

    def finish(self, why: str, *, at_once: bool = False) -> None:
        raise AssertionError(why)


def test_of_one_user_who_wants_little_does_not_come_before_who_wants_much() -> None:
    limits = ResourceLimits(output=100, output_always=1)
    room = Room(Scheduler(None), lambda: limits, list[Asks], Portions())
    room.output = 60
    room.answers.count("user ANN", 60)
    much, little, other = Asks("user ANN", 30), Asks("user ANN", 2), Asks("user BOB", 2)
    assert room.has_room(little, 2)
    assert not room.has_room(much, 30)
    room.wait(much)
    assert not room.has_room(little, 2)
    assert room.has_room(other, 2)
    room.output = 0
    room.answers.give_back("user ANN", 60)
    assert not room.has_room(other, 2)
    assert room.has_room(much, 30)
