"""Sessions that have several connections, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lanman import codes
from lanman.domain import Limit, LimitReached, Reason, State
from lanman.errors import StatusError
from lanman.events import (
    Event,
    FileClosed,
    FileOpened,
    FileReclaimed,
    FileRenamed,
    SessionChanged,
    ShareAvailability,
    TreeConnected,
)
from lanman.rpc.srvsvc import NetrFileClose, NetrFileEnum, NetrSessionDel, NetrSessionEnum
from lanman.server.admission import Standing
from lanman.server.disk_effects import OverwriteFile, RenameFile
from lanman.server.sessions import LINGER
from lanman.server.state import ServerOpen, unpack_file_id
from lanman.settings import Limits
from lanman.smb2.client import ResponseReceived
from lanman.smb2.constants import (
    FILE_CREATE,
    FILE_DIRECTORY_FILE,
    FILE_OVERWRITE_IF,
    SMB2_LOCKFLAG_EXCLUSIVE_LOCK,
    SMB2_LOCKFLAG_FAIL_IMMEDIATELY,
    SMB2_LOCKFLAG_UNLOCK,
    SMB2_OPLOCK_LEVEL_BATCH,
    SMB2_OPLOCK_LEVEL_II,
    SMB2_TRANSFORM_PROTOCOL_ID,
)
from lanman.smb2.header import TransformHeader
from lanman.smb2.messages import (
    ChangeNotifyRequest,
    CloseRequest,
    EchoRequest,
    LockElement,
    LockRequest,
    LogoffRequest,
    OplockBreak,
    ReadRequest,
    ReadResponse,
    SetInfoRequest,
    TreeConnectRequest,
    WriteRequest,
)
from support.disk_server import READ, DiskWorld, FileClient
from support.memory_server import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DiskWorld]:
    world = DiskWorld(tmp_path)
    yield world
    for client in list(world.clients.values()):
        world.disconnect(client)
    world.let_go()
    assert len(world.files) == 0, "handles are left over"
    assert not list(world.dispatch.sessions)
    assert not world.dispatch.sessions._opens
    assert world.dispatch.room.unread == 0


def two_channels(world: World, name: str = "ann") -> tuple[FileClient, FileClient]:
    """Two connections of one session, connected to the share over the first."""
    first, second = FileClient(world), FileClient(world)
    first.negotiate()
    second.negotiate()
    first.log_on(name)
    if isinstance(world, DiskWorld):
        first.tree_connect(r"\\server\share")
    second.bind_to(first)
    return first, second


def contents(answer: ResponseReceived) -> bytes:
    """What a READ has read."""
    assert isinstance(answer.message, ReadResponse), codes.ntstatus_name(answer.status)
    return bytes(answer.message.data)


def session_of(client: Any) -> Any:
    return client.connection.channels[client.session_id]


# --- one session, two connections


def test_what_is_open_is_there_on_every_channel(world: DiskWorld) -> None:
    first, second = two_channels(world)
    file_id = first.make("a", b"contents")
    assert contents(second.get(file_id)) == b"contents"
    other = second.open("a")
    assert contents(first.get(other)) == b"contents"
    tree_id = second.ask(TreeConnectRequest(0, r"\\server\share"), tree_id=0).header.tree_id
    assert tree_id != first.tree_id
    assert first.ask(EchoRequest(), tree_id=tree_id).status == 0
    (session,) = world.service.sessions()
    assert session.connection_ids == (first.connection.connection_id, second.connection.connection_id)
    assert (session.num_opens, len(session.tree_connects)) == (2, 2)
    second.shut(file_id)
    assert first.get(file_id).status == codes.STATUS_FILE_CLOSED
    first.shut(other)
    assert second.get(other).status == codes.STATUS_FILE_CLOSED


def test_the_session_goes_on_when_a_channel_is_lost_and_ends_with_the_last(world: DiskWorld) -> None:
    first, second = two_channels(world)
    file_id = first.make("a", b"contents")
    world.disconnect(first)
    (session,) = world.service.sessions()
    assert session.connection_ids == (second.connection.connection_id,)
    assert contents(second.get(file_id)) == b"contents"
    assert session_of(second).connection is second.connection
    world.disconnect(second)
    world.pump()
    assert session.state is State.CLOSED
    assert world.service.sessions() == []
    assert len(world.files) == 0


def test_a_session_is_listed_once_with_the_client_name_of_its_first_channel(world: DiskWorld) -> None:
    """MS-SMB2 3.3.4.18; MS-SRVS 3.1.6.2: it is registered once."""
    first, second = two_channels(world)
    admin = world.connect().log_on("admin").bind()

    def listed(client_name: str | None = None) -> list[str]:
        answer = admin.call(NetrSessionEnum(None, client_name, "ann", 10))
        return [entry.client_name for entry in answer.entries or ()]

    one, two = (client.connection.client_name for client in (first, second))
    assert one != two
    assert (listed(), listed(one), listed(two)) == ([one], [one], [])
    world.disconnect(first)
    assert (listed(), listed(one), listed(two)) == ([two], [], [two])
    assert admin.call(NetrSessionDel(None, two, "ann")).status == 0
    assert not second.connection.channels


def test_the_end_of_a_session_ends_all_its_channels_and_nothing_else(world: DiskWorld) -> None:
    first, second = two_channels(world)
    file_id = first.make("a")
    shared = second.session_id
    second.log_on("bob")  # a second session, on the second connection alone
    second.tree_connect(r"\\server\share")
    kept = second.make("b", b"bob's")
    session = session_of(first).session
    world.service.close_session(session, Reason.DELETED)
    world.pump()
    assert first.get(file_id).status == codes.STATUS_USER_SESSION_DELETED
    second.core.forget_session(shared)
    answer = second.ask(ReadRequest(length=1, file_id=file_id), session_id=shared)
    assert answer.status == codes.STATUS_USER_SESSION_DELETED
    assert contents(second.get(kept)) == b"bob's"
    assert world.users() == ["bob"]
    assert not first.finished
    assert not second.finished
    first.core.forget_session(shared)
    first.log_on("ann")


def test_a_log_off_over_one_channel_ends_the_others(world: DiskWorld) -> None:
    """MS-SMB2 3.3.5.6."""
    first, second = two_channels(world)
    file_id = first.make("a")
    assert second.ask(LogoffRequest(), tree_id=0).status == 0
    assert first.get(file_id).status == codes.STATUS_USER_SESSION_DELETED
    assert not first.connection.channels
    assert not second.connection.channels
    assert world.users() == []


def test_a_connection_that_is_no_channel_finds_nothing(world: DiskWorld) -> None:
    first, _ = two_channels(world)
    file_id = first.make("a", b"contents")
    bob = world.user("bob")
    stranger = bob.ask(ReadRequest(length=1, file_id=file_id))
    assert stranger.status == codes.STATUS_FILE_CLOSED
    # No channel, no session: not even where its keys are unknown (3.3.5.2.9).
    answer = bob.ask(ReadRequest(length=1, file_id=file_id), session_id=first.session_id, tree_id=first.tree_id)
    assert answer.status == codes.STATUS_USER_SESSION_DELETED


def test_a_file_id_counts_with_both_its_halves(world: DiskWorld) -> None:
    first, second = two_channels(world)
    file_id, other = first.make("a", b"a"), second.make("b", b"b")
    assert len({file_id[:8], other[:8]}) == len({file_id[8:], other[8:]}) == 2
    for mixed in (file_id[:8] + other[8:], other[:8] + file_id[8:], bytes(8) + file_id[8:], file_id[:8] + bytes(8)):
        assert second.get(mixed).status == codes.STATUS_FILE_CLOSED
    assert second.get(file_id).status == 0


# --- keys


def test_each_channel_signs_with_its_own_key_and_all_encrypt_with_one_counter(tmp_path: Path) -> None:
    world = DiskWorld(tmp_path, encryption="required")
    first, second = two_channels(world)
    nonces: list[bytes] = []

    def noted(client: FileClient) -> None:
        deliver = client.deliver

        def delivered(data: bytes) -> None:
            assert data[4:8] == SMB2_TRANSFORM_PROTOCOL_ID
            nonces.append(TransformHeader.unpack(memoryview(data)[4:]).nonce)
            deliver(data)

        client.deliver = delivered  # type: ignore[method-assign]

    noted(first)
    noted(second)
    file_id = first.make("a", b"contents")
    for client in (second, first, second, second, first):
        assert contents(client.get(file_id)) == b"contents"
    assert len(nonces) >= 7
    assert len(set(nonces)) == len(nonces)
    keys = [client.connection.core._channels[first.session_id] for client in (first, second)]
    assert keys[0].keys is keys[1].keys is session_of(first).keys
    assert keys[0].signing_key != keys[1].signing_key
    world.disconnect(first)
    assert contents(second.get(file_id)) == b"contents"
    assert len(set(nonces)) == len(nonces)
    world.disconnect(second)


# --- requests that wait


def test_a_lost_channel_takes_its_own_requests_with_it(world: DiskWorld) -> None:
    """MS-SMB2 3.3.7.1: requests of the others, and what is locked, stay."""
    first, second = two_channels(world)
    locked = first.make("locked", bytes(10))
    first.want(LockRequest(locked, [LockElement(0, 10, SMB2_LOCKFLAG_EXCLUSIVE_LOCK)]))
    folder = first.open("", options=FILE_DIRECTORY_FILE)
    another = first.open("", options=FILE_DIRECTORY_FILE)
    gone = first.send(ChangeNotifyRequest(0, 4096, folder, 1))
    stays = second.send(ChangeNotifyRequest(0, 4096, another, 1))
    world.disconnect(first)
    assert gone not in first.answers
    assert stays not in second.answers
    bob = world.user("bob")
    assert bob.get(bob.open("locked")).status == codes.STATUS_FILE_LOCK_CONFLICT
    bob.make("new")
    assert second.result(stays) == "STATUS_SUCCESS"


def part_of_a_lock(world: DiskWorld, client: FileClient, file_id: bytes, last: int) -> None:
    """Send a LOCK of 600 ranges, of which the first slice has been taken when this returns; `last` is the last one."""
    exclusive = SMB2_LOCKFLAG_EXCLUSIVE_LOCK | SMB2_LOCKFLAG_FAIL_IMMEDIATELY
    ranges = [LockElement(10 * number, 5, exclusive) for number in range(599)]
    client.core.send(
        LockRequest(file_id, [*ranges, LockElement(last, 5, exclusive)]),
        session_id=client.session_id,
        tree_id=client.tree_id,
    )
    for data in client.core.data_to_send():
        client.connection.receive_data(bytes(data), world.now)
    assert 0 < world.service.opens()[0].num_locks < 600


@pytest.mark.parametrize("turns", [0, 1, 3])
@pytest.mark.parametrize("conflict", [False, True])
def test_a_channel_that_is_lost_while_ranges_are_locked_leaves_none_of_them(
    world: DiskWorld, turns: int, conflict: bool
) -> None:
    """All or none (3.3.5.14.2): nobody has learnt that they are locked. The open itself goes on."""
    first, second = two_channels(world)
    file_id = second.make("a", bytes(10000))
    bob = world.user("bob")
    theirs = bob.open("a")
    if conflict:  # so that the ranges are being given back when the channel is lost
        bob.want(LockRequest(theirs, [LockElement(9000, 5, SMB2_LOCKFLAG_EXCLUSIVE_LOCK)]))
    part_of_a_lock(world, first, file_id, 9000)
    for _ in range(turns):
        world.dispatch.expire(world.now)
    finished = turns == 3 and not conflict
    assert (world.service.opens()[0].num_locks == 600) == finished
    world.disconnect(first)
    world.pump()
    assert world.service.opens()[0].num_locks == (600 if finished else 0)
    assert (bob.get(theirs, 10).status == codes.STATUS_FILE_LOCK_CONFLICT) == finished
    assert contents(second.get(file_id, 10)) == bytes(10)


def test_a_range_that_is_granted_to_a_channel_that_is_lost_is_free(world: DiskWorld) -> None:
    """It has been granted when the connection is lost, and the client has not learnt that."""
    first, second = two_channels(world)
    bob = world.user("bob")
    bobs = bob.make("a", bytes(10))
    file_id = second.open("a")
    bob.want(LockRequest(bobs, [LockElement(0, 10, SMB2_LOCKFLAG_EXCLUSIVE_LOCK)]))
    waiting = first.send(LockRequest(file_id, [LockElement(0, 10, SMB2_LOCKFLAG_EXCLUSIVE_LOCK)]))
    (state,) = {each.state for each in world.dispatch.sessions._opens.values()}  # type: ignore[attr-defined]
    bob.core.send(CloseRequest(file_id=bobs), session_id=bob.session_id, tree_id=bob.tree_id)
    for data in bob.core.data_to_send():
        bob.connection.receive_data(bytes(data), world.now)
    # The range is granted in the next turn of the event loop, in which the connection is lost.
    world.dispatch.scheduler._running = True  # no step of a connection is taken meanwhile
    world.dispatch.scheduler.timers.expire(world.now)
    assert state.locks.count(next(iter(state.opens))) == 1
    world.disconnect(first)
    world.dispatch.scheduler._running = False
    world.pump()
    assert waiting not in first.answers
    assert not state.locks
    assert second.want(LockRequest(file_id, [LockElement(0, 10, SMB2_LOCKFLAG_EXCLUSIVE_LOCK)]))


def test_an_open_whose_file_id_nobody_learns_is_closed(world: DiskWorld) -> None:
    """The channel of a CREATE is lost while its file, which is open already, is being overwritten."""
    first, second = two_channels(world)
    first.shut(first.make("a", b"contents"))
    world.held = lambda effect: isinstance(effect, OverwriteFile)
    first.send(first.create("a", disposition=FILE_OVERWRITE_IF, share=0))
    assert len(world.service.opens()) == 1
    world.disconnect(first)
    world.let_go()
    assert world.service.opens() == []
    assert [event.reason for event in world.events if isinstance(event, FileClosed)][-1] is Reason.DISCONNECTED
    second.shut(second.open("a"))


def test_a_rename_is_followed_though_its_connection_is_lost(world: DiskWorld) -> None:
    """The disk has it under way: others who have the file open, watch its folder or follow events hear of it."""
    ann, bob = world.user("ann"), world.user("bob")
    file_id = ann.make("old")
    bob.open("old")
    folder = bob.open("", options=FILE_DIRECTORY_FILE, access=READ)
    watch = bob.send(ChangeNotifyRequest(0, 4096, folder, 1))
    world.held = lambda effect: isinstance(effect, RenameFile)
    name = "new".encode("utf-16-le")
    ann.send(SetInfoRequest(1, 10, bytes(16) + len(name).to_bytes(4, "little") + name, file_id=file_id))
    ((ticket, effect),) = world._waiting
    world._waiting.clear()
    assert isinstance(effect, RenameFile)
    path = world.files.rename(effect)
    world.disconnect(ann)
    world.dispatch.scheduler.completed(ticket, path, world.now)
    world.let_go()
    assert (world.folder / "new").exists()
    assert sorted(opened.path for opened in world.service.opens()) == [str(world.folder), f"{world.folder}/new"]
    assert bob.result(watch) == "STATUS_SUCCESS"
    assert [event.before for event in world.events if isinstance(event, FileRenamed)] == [f"{world.folder}/old"]
    bob.make("old")


def test_a_rename_that_fails_when_its_connection_is_lost_is_nobodys_error(world: DiskWorld) -> None:
    ann = world.user("ann")
    file_id = ann.make("old")
    world.held = lambda effect: isinstance(effect, RenameFile)
    name = "new".encode("utf-16-le")
    ann.send(SetInfoRequest(1, 10, bytes(16) + len(name).to_bytes(4, "little") + name, file_id=file_id))
    ((ticket, _),) = world._waiting
    world._waiting.clear()
    world.disconnect(ann)
    world.dispatch.scheduler.failed(ticket, codes.STATUS_FILE_CLOSED, world.now)  # would be raised here
    world.let_go()
    assert not (world.folder / "new").exists()


def test_a_range_that_is_unlocked_before_its_lock_fails(world: DiskWorld) -> None:
    """What a LOCK of many ranges gives back may have been unlocked by the client itself meanwhile."""
    ann, bob = world.user("ann"), world.user("bob")
    file_id = ann.make("a", bytes(10000))
    bob.want(LockRequest(bob.open("a"), [LockElement(9000, 5, SMB2_LOCKFLAG_EXCLUSIVE_LOCK)]))
    part_of_a_lock(world, ann, file_id, 9000)
    assert ann.want(LockRequest(file_id, [LockElement(0, 5, SMB2_LOCKFLAG_UNLOCK)]))
    assert [codes.ntstatus_name(answer.status) for answer in ann.answers.values()] == ["STATUS_LOCK_NOT_GRANTED"]
    assert not ann.finished
    assert world.service.opens()[0].num_locks == 0


def test_requests_on_all_channels_are_cancelled_when_their_open_or_session_ends(world: DiskWorld) -> None:
    first, second = two_channels(world)
    folder = first.open("", options=FILE_DIRECTORY_FILE)
    waiting = [client.send(ChangeNotifyRequest(0, 4096, folder, 1)) for client in (first, second)]
    first.shut(folder)
    assert [client.result(number) for client, number in zip((first, second), waiting, strict=True)] == [
        "STATUS_NOTIFY_CLEANUP"
    ] * 2
    folder = second.open("", options=FILE_DIRECTORY_FILE)
    waiting = [client.send(ChangeNotifyRequest(0, 4096, folder, 1)) for client in (first, second)]
    world.service.close_session(session_of(first).session, Reason.DELETED)
    world.pump()
    assert all(client.result(number) for client, number in zip((first, second), waiting, strict=True))


def test_an_oplock_is_broken_over_the_first_channel_that_is_left(world: DiskWorld) -> None:
    first, second = two_channels(world)
    first.shut(first.make("a"))
    first.shut(first.make("b"))
    bob = world.user("bob")
    for name, told, silent in (("a", first, second), ("b", second, first)):
        file_id = second.open(name, oplock=SMB2_OPLOCK_LEVEL_BATCH)
        waiting = bob.send(bob.create(name))
        assert (told.breaks, silent.told[1:] if silent is first else silent.told) == ([SMB2_OPLOCK_LEVEL_II], [])
        assert bob.result(waiting) == ""
        # Any channel may acknowledge it.
        assert second.ask(OplockBreak(SMB2_OPLOCK_LEVEL_II, file_id)).status == 0
        assert bob.result(waiting) == "STATUS_SUCCESS"
        if name == "a":
            world.disconnect(first)


def test_a_break_is_told_again_when_its_channel_is_lost(world: DiskWorld) -> None:
    """MS-SMB2 3.3.4.6. One that is acknowledged, or takes no acknowledgement, is over."""
    first, second = two_channels(world)
    third = FileClient(world)
    third.negotiate()
    third.bind_to(first)
    file_id = first.make("a", oplock=SMB2_OPLOCK_LEVEL_BATCH)
    bob = world.user("bob")
    waiting = bob.send(bob.create("a"))
    assert (first.breaks, second.breaks, third.breaks) == ([1], [], [])
    world.disconnect(second)
    assert (first.breaks, third.breaks) == ([1], [])
    world.disconnect(first)
    world.pump()
    assert third.breaks == [SMB2_OPLOCK_LEVEL_II]
    assert bob.result(waiting) == ""
    assert third.ask(OplockBreak(SMB2_OPLOCK_LEVEL_II, file_id)).status == 0
    assert bob.result(waiting) == "STATUS_SUCCESS"
    fourth = FileClient(world)
    fourth.negotiate()
    fourth.bind_to(third)
    bob.want(WriteRequest(b"x", file_id=bob.open("a")))
    assert third.breaks == [SMB2_OPLOCK_LEVEL_II, 0]
    world.disconnect(third)
    world.pump()
    assert fourth.breaks == []


def test_a_break_avoids_a_channel_that_is_about_to_end(world: DiskWorld) -> None:
    first, second = two_channels(world)
    first.make("a", oplock=SMB2_OPLOCK_LEVEL_BATCH)
    bob = world.user("bob")
    first.connection.finished = "it is being ended"
    bob.send(bob.create("a"))
    assert second.breaks == [SMB2_OPLOCK_LEVEL_II]


# --- pipes


def test_a_call_is_made_over_one_channel_and_answered_over_another() -> None:
    world = World()
    first, second = two_channels(world, "admin")
    first.bind()
    second.tree_id, second.file_id, second.rpc = first.tree_id, first.file_id, first.rpc
    enum = NetrSessionEnum(None, None, None, 10)
    for client in (second, first):
        assert [entry.user_name for entry in client.call(enum).entries] == ["admin"]
    (pdu,) = first.rpc.call(enum)
    waiting = second.send(ReadRequest(length=65536, file_id=first.file_id))
    first.write(pdu)
    (event,) = first.rpc.receive_data(contents(second.answers[waiting]))
    assert [entry.user_name for entry in enum.answer(event.stub, event.ndr64).entries] == ["admin"]  # type: ignore[union-attr]


def test_what_a_pipe_keeps_counts_on_the_first_channel_that_is_left() -> None:
    world = World()
    first, second = two_channels(world, "admin")
    first.bind()
    second.tree_id, second.file_id, second.rpc = first.tree_id, first.file_id, first.rpc
    for pdu in first.rpc.call(NetrSessionEnum(None, None, None, 10)):
        second.write(pdu)
    kept = first.connection.unread
    assert kept > 0
    assert (second.connection.unread, world.dispatch.room.unread) == (0, kept)
    world.disconnect(first)
    assert (first.connection.unread, second.connection.unread, world.dispatch.room.unread) == (0, kept, kept)
    assert second.read().status == 0
    assert (second.connection.unread, world.dispatch.room.unread) == (0, 0)


@pytest.mark.parametrize("lost", [None, 0, 1])
def test_a_session_that_ends_itself_over_one_channel(lost: int | None) -> None:
    """The answer can be read, over any channel that is left, until it has been read or for a while."""
    world = World()
    both = first, second = two_channels(world, "admin")
    first.bind()
    second.tree_id, second.file_id, second.rpc = first.tree_id, first.file_id, first.rpc
    delete = NetrSessionDel(None, None, "admin")
    for pdu in second.rpc.call(delete):
        second.write(pdu)
    assert world.users() == []
    assert all(each.connection.channels for each in both)
    reader = second
    if lost is not None:
        world.disconnect(both[lost])
        reader = both[1 - lost]
    read = reader.read()
    (event,) = second.rpc.receive_data(contents(read))
    assert delete.answer(event.stub, event.ndr64).status == 0  # type: ignore[union-attr]
    assert not any(each.connection.channels for each in both)
    assert not any(each.finished for each in both)


def test_an_answer_that_nobody_reads_does_not_keep_the_channels() -> None:
    world = World()
    both = first, second = two_channels(world, "admin")
    first.bind()
    second.tree_id, second.file_id, second.rpc = first.tree_id, first.file_id, first.rpc
    for pdu in second.rpc.call(NetrSessionDel(None, None, "admin")):
        second.write(pdu)
    world.advance(LINGER - 1)
    assert all(each.connection.channels for each in both)
    world.advance(2)
    assert not any(each.connection.channels for each in both)
    assert world.dispatch.room.unread == 0


# --- limits and times


def test_a_forced_disconnect_ends_the_session_on_all_channels_and_no_other(world: DiskWorld) -> None:
    first, second = two_channels(world)
    file_id = first.make("a")
    admin = world.connect().log_on("admin").bind()
    bob = world.user("bob")
    kept = bob.make("b", b"bob's")
    entries = admin.call(NetrSessionEnum(None, None, None, 502)).entries
    assert sorted((entry.user_name, entry.num_opens) for entry in entries) == [("admin", 1), ("ann", 1), ("bob", 1)]
    assert admin.call(NetrSessionDel(None, None, "ann")).status == 0
    assert first.get(file_id).status == codes.STATUS_USER_SESSION_DELETED
    assert not first.connection.channels
    assert not second.connection.channels
    assert contents(bob.get(kept)) == b"bob's"
    assert sorted(world.users()) == ["admin", "bob"]


def test_a_connection_is_a_channel_of_as_many_sessions_as_it_may_have() -> None:
    world = World()
    world.set(limits=Limits(sessions_per_connection=1))
    first, second = FileClient(world), FileClient(world)
    for client, name in ((first, "ann"), (second, "bob")):
        client.negotiate()
        client.log_on(name)
    with pytest.raises(LimitReached) as reached:
        world.dispatch.sessions.bind(session_of(first), second.connection)
    assert reached.value.limit is Limit.SESSIONS_PER_CONNECTION
    assert set(second.connection.channels) == {second.session_id}
    second.log_off()
    second.bind_to(first)
    with pytest.raises(StatusError) as refused:
        second.log_on("bob")
    assert refused.value.status == codes.STATUS_REQUEST_NOT_ACCEPTED


def test_a_session_is_idle_when_none_of_its_channels_is_used() -> None:
    world = World(autodisconnect=10)
    first, second = two_channels(world)
    world.advance(500)
    second.ask(TreeConnectRequest(0, r"\\server\IPC$"), tree_id=0)
    world.advance(500)
    assert world.users() == ["ann"]
    world.advance(200)
    assert world.users() == []
    assert "autodisconnect" in first.finished
    assert "autodisconnect" in second.finished


def test_a_channel_keeps_its_connection_from_being_reaped_and_gives_it_the_users_standing() -> None:
    world = World()
    first, second = two_channels(world)
    world.advance(60)
    assert not second.finished
    place = second.connection.place
    assert place is not None
    standings = [place.standing]
    first.log_off()
    standings.append(place.standing)
    assert standings == [Standing.NAMED, Standing.HALF_OPEN]
    world.advance(60)
    assert second.finished


def test_a_session_that_has_ended_cannot_be_bound() -> None:
    world = World()
    first, second = FileClient(world), FileClient(world)
    first.negotiate()
    second.negotiate()
    first.log_on("ann")
    session = session_of(first)
    world.service.close_session(session.session, Reason.DELETED)
    with pytest.raises(ValueError, match="ended"):
        world.dispatch.sessions.bind(session, second.connection)
    assert not second.connection.channels


def test_binding_twice_changes_nothing(world: DiskWorld) -> None:
    first, second = two_channels(world)
    session = session_of(first)
    world.dispatch.sessions.bind(session, second.connection)
    assert session.channels == (first.connection, second.connection)
    world.disconnect(second)
    assert session.channels == (first.connection,)
    assert first.ask(CloseRequest(file_id=first.make("a"))).status == 0


# --- opens that outlive their session


def durable(world: DiskWorld, client: FileClient, file_id: bytes) -> ServerOpen:
    """Have an open outlive its session, as a granted durable handle would. That it has a batch oplock is said to the
    domain alone, so that it is in nobody's way."""
    found = world.dispatch.sessions.find_open(unpack_file_id(file_id)[0])
    assert found is not None
    assert found.session is session_of(client)
    world.service.make_durable(found.open, ("ann", ""), 1e9)
    world.service.set_oplock(found.open, "batch")
    return found


def reclaim(world: DiskWorld, client: FileClient, kept: ServerOpen) -> bytes:
    """Put a preserved open into the session of a client that has reconnected; its FileId from now on."""
    session = session_of(client)
    world.dispatch.sessions.reclaim(kept, session, session.trees[client.tree_id])
    return kept.file_id


def test_a_preserved_open_survives_its_session_and_is_reclaimed(world: DiskWorld) -> None:
    first = world.user()
    file_id, other = first.make("a", b"contents"), first.make("b")
    kept = durable(world, first, file_id)
    locks = LockRequest(file_id, [LockElement(0, 4, SMB2_LOCKFLAG_EXCLUSIVE_LOCK)])
    first.want(locks)
    world.disconnect(first)
    world.pump()
    assert world.users() == []
    assert [(opened.path[-1], opened.user_name, opened.preserved) for opened in world.service.opens()] == [
        ("a", "", True)
    ]
    assert world.dispatch.sessions.find_open(unpack_file_id(other)[0]) is None
    # What it holds stays.
    bob = world.user("bob")
    assert bob.get(bob.open("a"), 4).status == codes.STATUS_FILE_LOCK_CONFLICT
    # Its FileId is nobody's, not even its user's in a new session.
    again = world.user()
    assert again.get(file_id).status == codes.STATUS_FILE_CLOSED
    new_id = reclaim(world, again, kept)
    assert new_id[:8] == file_id[:8]
    assert new_id[8:] != file_id[8:]
    assert again.get(file_id).status == codes.STATUS_FILE_CLOSED
    assert contents(again.get(new_id)) == b"contents"
    (session,) = [each for each in world.service.sessions() if each.user_name == "ann"]
    assert (session.num_opens, kept.open.user_name, kept.open.tree_connect.open_count) == (1, "ann", 1)
    again.shut(new_id)
    assert bob.get(bob.open("a"), 4).status == 0


def test_a_preserved_open_outlives_log_off_and_replacement_but_no_other_end(world: DiskWorld) -> None:
    for number, (reason, stays) in enumerate(
        [
            (Reason.DISCONNECTED, True),
            (Reason.LOGOFF, True),
            (Reason.REPLACED, True),
            (Reason.DELETED, False),
            (Reason.RIGHTS, False),
            (Reason.ACCOUNT, False),
        ]
    ):
        client = world.user()
        kept = durable(world, client, client.make(f"file{number}"))
        world.service.close_session(session_of(client).session, reason)
        world.pump()
        assert kept.open.preserved is stays, reason
        assert (world.dispatch.sessions.find_open(kept.persistent_id) is kept) is stays, reason
        world.service.close_open(kept.open, Reason.DELETED)
        world.pump()
        assert world.service.opens() == []
        assert len(world.files) == 0


def test_an_open_is_preserved_only_when_the_last_channel_is_lost(world: DiskWorld) -> None:
    first, second = two_channels(world)
    file_id = first.make("a", b"contents")
    kept = durable(world, first, file_id)
    world.disconnect(first)
    assert not kept.open.preserved
    assert contents(second.get(file_id)) == b"contents"
    world.disconnect(second)
    assert kept.open.preserved
    world.service.close_open(kept.open, Reason.DELETED)
    world.pump()


def test_administrators_see_a_preserved_open_without_a_user_and_can_close_it(world: DiskWorld) -> None:
    """MS-SMB2 3.3.4.20: so a filter by the user misses it."""
    client = world.user()
    kept = durable(world, client, client.make("a"))
    world.disconnect(client)
    admin = world.connect().log_on("admin").bind()
    listed = admin.call(NetrFileEnum(None, None, None, 3)).entries
    found = [(entry.path[-1], entry.user_name) for entry in listed if "PIPE" not in entry.path]
    assert found == [("a", "")]
    assert admin.call(NetrFileEnum(None, None, "ann", 3)).entries == []
    assert admin.call(NetrSessionEnum(None, None, "ann", 10)).status == codes.NERR_UserNotFound
    assert admin.call(NetrFileClose(None, kept.open.global_id)).status == 0
    world.pump()
    assert world.dispatch.sessions.find_open(kept.persistent_id) is None
    assert len(world.files) == 0


def test_a_preserved_open_gives_way_where_its_client_would_be_asked(world: DiskWorld) -> None:
    """MS-SMB2 3.3.4.6: nobody can be told of the break."""
    client = world.user()
    kept = durable(world, client, client.make("a", oplock=SMB2_OPLOCK_LEVEL_BATCH))
    world.disconnect(client)
    bob = world.user("bob")
    stat = bob.open("a", access=0x80)
    assert kept.open.preserved, "who looks at attributes alone breaks nothing"
    bob.shut(stat)
    assert bob.status("a") == "STATUS_SUCCESS"
    assert world.dispatch.sessions.find_open(kept.persistent_id) is None


def test_a_preserved_open_keeps_out_whom_it_does_not_share_with(world: DiskWorld) -> None:
    client = world.user()
    kept = durable(world, client, client.make("a", share=0))
    world.disconnect(client)
    assert world.user("bob").status("a") == "STATUS_SHARING_VIOLATION"
    world.service.close_open(kept.open, Reason.DELETED)
    world.pump()
    assert world.user("bob").status("a") == "STATUS_SUCCESS"


def test_preserved_opens_end_with_their_share_and_with_the_service(world: DiskWorld, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    share = world.share("other", tmp_path / "other")
    one, two = world.user(), world.user("ann", "other")
    kept = [durable(world, client, client.make("a")) for client in (one, two)]
    for client in (one, two):
        world.disconnect(client)
    world.service.remove_share(share)
    assert world.dispatch.sessions.find_open(kept[1].persistent_id) is None
    assert world.dispatch.sessions.find_open(kept[0].persistent_id) is kept[0]
    world.service.stop()
    world.pump()
    assert world.dispatch.sessions.find_open(kept[0].persistent_id) is None
    assert len(world.files) == 0


def test_what_cannot_be_reclaimed(world: DiskWorld, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    world.share("other", tmp_path / "other")
    client = world.user()
    kept = durable(world, client, client.make("a"))
    with pytest.raises(ValueError, match="not preserved"):
        reclaim(world, client, kept)
    world.disconnect(client)
    with pytest.raises(ValueError, match="another share"):
        reclaim(world, world.user("ann", "other"), kept)
    full = world.user()
    full.make("b")
    world.set(limits=Limits(opens_per_session=1))
    with pytest.raises(LimitReached):
        reclaim(world, full, kept)
    assert kept.open.preserved
    world.service.close_open(kept.open, Reason.DELETED)
    with pytest.raises(ValueError, match="not preserved"):
        reclaim(world, world.user(), kept)
    world.pump()


def test_requests_that_wait_on_what_is_preserved_are_cancelled(world: DiskWorld) -> None:
    """A log-off leaves the connection: the client learns that its lock will not come."""
    bob = world.user("bob")
    blocker = bob.make("a", bytes(10))
    bob.want(LockRequest(blocker, [LockElement(0, 10, SMB2_LOCKFLAG_EXCLUSIVE_LOCK)]))
    client = world.user()
    file_id = client.open("a")
    kept = durable(world, client, file_id)
    waiting = client.send(LockRequest(file_id, [LockElement(0, 10, SMB2_LOCKFLAG_EXCLUSIVE_LOCK)]))
    assert client.result(waiting) == ""
    client.want(LogoffRequest(), tree_id=0)
    assert client.result(waiting) == "STATUS_CANCELLED"
    bob.shut(blocker)
    assert kept.open.num_locks == 0
    world.service.close_open(kept.open, Reason.DELETED)
    world.pump()


# --- subscribers that end at once what they hear of


def test_a_tree_connect_may_be_ended_by_whoever_hears_of_it(world: DiskWorld) -> None:
    """And so may its session, when its folder is found to be there again."""
    ann = world.user("ann")

    def ends_it(event: Event) -> None:
        for tree in world.service.tree_connects():
            world.service.close_tree_connect(tree)

    cancel = world.service.subscribe(ends_it, TreeConnected)
    answer = ann.ask(TreeConnectRequest(0, r"\\server\share"), tree_id=0)
    assert answer.status == codes.STATUS_NETWORK_NAME_DELETED
    assert session_of(ann).trees == {}
    cancel()
    share = world.service.share_by_name("share")
    assert share is not None
    world.service.mark_share(share, "it was not there")
    world.service.subscribe(
        lambda event: world.service.close_sessions(world.service.sessions(), Reason.DELETED), ShareAvailability
    )
    number = ann.send(TreeConnectRequest(0, r"\\server\share"), tree_id=0)
    assert ann.result(number) == "STATUS_USER_SESSION_DELETED"
    assert not ann.finished


def test_what_is_opened_may_be_closed_by_whoever_hears_of_it(world: DiskWorld) -> None:
    def close(event: Any) -> None:
        (opened,) = world.service.opens()
        world.service.close_open(opened, Reason.DELETED)

    client = world.user()
    cancel = world.service.subscribe(close, FileOpened)
    assert client.status("a", disposition=FILE_CREATE) == "STATUS_NETWORK_NAME_DELETED"
    cancel()
    assert world.service.opens() == []
    assert len(world.files) == 0
    assert not world.dispatch.sessions._opens
    assert client.status("a", disposition=FILE_CREATE) == "STATUS_SUCCESS"


@pytest.mark.parametrize("reason", [Reason.DELETED, Reason.LOGOFF])
def test_what_is_reclaimed_may_end_at_once_with_its_session(world: DiskWorld, reason: Reason) -> None:
    first = world.user()
    kept = durable(world, first, first.make("a"))
    world.disconnect(first)
    again = world.user()
    session = session_of(again)
    world.service.subscribe(lambda event: world.service.close_session(session.session, reason), FileReclaimed)
    with pytest.raises(ValueError, match="has ended"):
        reclaim(world, again, kept)
    world.pump()
    assert not session.opens
    assert kept.session is None
    assert (world.dispatch.sessions.find_open(kept.persistent_id) is kept) is (reason is Reason.LOGOFF)
    assert len(world.files) == len(world.service.opens()) == int(reason is Reason.LOGOFF)
    world.service.close_open(kept.open, Reason.DELETED)
    world.pump()


def test_a_session_may_end_at_once_when_it_gets_a_channel() -> None:
    world = World()
    first, second = FileClient(world), FileClient(world)
    first.negotiate()
    second.negotiate()
    first.log_on("ann")
    session = session_of(first)
    world.service.subscribe(lambda event: world.service.close_session(session.session, Reason.DELETED), SessionChanged)
    with pytest.raises(ValueError, match="has ended"):
        world.dispatch.sessions.bind(session, second.connection)
    assert not first.connection.channels
    assert not second.connection.channels
    assert world.users() == []
