"""What one connection may have at a time: requests of a frame, work of a turn, answers that are not read."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from lanman import codes
from lanman.domain import Reason
from lanman.rpc.client import RpcClient
from lanman.rpc.pdu import PFC_FIRST_FRAG, REQUEST, build
from lanman.rpc.srvsvc import NetrSessionEnum, NetrShareAdd
from lanman.server.resources import ResourceLimits
from lanman.server.room import UNREAD_FOR
from lanman.server.scheduler import BUDGET, TURN
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
    before = len(busy.connection.core._requests)
    other.send(other.pdu(EchoRequest()), pump=False)  # in the same turn of the loop, whose budget is spent
    world.dispatch.scheduler.refill()
    world.dispatch.scheduler.run(world.now)
    assert other.connection.core.unsent > 0  # it did not wait for the thousand
    assert busy.connection.core.has_frames
    assert before <= 1
    world.pump()
    assert [header.status for header, _ in busy.answers] == [0] * 1000
    assert not busy.connection.overloaded


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


def silent_readers(world: Silent, requests: int) -> list[FileClient]:
    """Eight that have asked for so many times 64 KiB of the file `a` each, and read nothing."""
    clients = [with_credits(world.user(), 300) for _ in range(8)]
    file_id = clients[0].make("a", bytes(64 * KILO))
    clients[0].shut(file_id)
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
    clients = silent_readers(world, 20)
    assert world.dispatch.room.output <= 1024 * KILO + 8 * 8 * KILO
    # What is small always has room; what is large waits until those who read nothing are gone.
    other, third = world.user("bob"), world.user("bob")
    large = other.send(ReadRequest(length=64 * KILO, file_id=other.open("a")))
    assert third.want(EchoRequest())
    assert third.open("a")
    assert large not in other.answers
    world.advance(UNREAD_FOR * 2.5)
    assert other.answers[large].status == 0
    ended = [client for client in clients if client.finished]
    assert ended
    assert all("does not read" in client.finished for client in ended)


def test_who_waits_for_room_waits_for_one_answer_of_each_of_the_others(world: Silent) -> None:
    clients = silent_readers(world, 40)
    other = world.user("bob")
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
