"""Ends of sessions, tree connects and shares with very many opens: no turn of the event loop is long, what has ended is
gone at once, and nothing that is still to be closed is in anybody's way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lanman import codes
from lanman.auth.accounts import Accounts
from lanman.domain import AT_ONCE, Reason
from lanman.events import ConnectionClosed, FileClosed, SessionClosed, ShareRemoved, TreeDisconnected
from lanman.server.disk_effects import QueryFile, ReadFile
from lanman.server.ending import MOST_TRIES
from lanman.smb2 import client as smb2_client
from lanman.smb2.constants import (
    FILE_CREATE,
    FILE_DELETE_ON_CLOSE,
    FILE_DIRECTORY_FILE,
    FILE_OPEN_IF,
    FSCTL_SRV_COPYCHUNK,
    SMB2_CREATE_DURABLE_HANDLE_RECONNECT,
    SMB2_CREATE_DURABLE_HANDLE_REQUEST,
    SMB2_CREATE_REQUEST_LEASE,
    SMB2_LOCKFLAG_EXCLUSIVE_LOCK,
    SMB2_LOCKFLAG_FAIL_IMMEDIATELY,
    SMB2_OPLOCK_LEVEL_BATCH,
    SMB2_OPLOCK_LEVEL_LEASE,
)
from lanman.smb2.messages import (
    ChangeNotifyRequest,
    CloseRequest,
    CopyChunk,
    CopyChunkCopy,
    CreateContext,
    CreateDurableHandleReconnect,
    CreateLease,
    CreateResponse,
    EchoRequest,
    IoctlRequest,
    LockElement,
    LockRequest,
    LogoffRequest,
    Message,
    ReadRequest,
    SetInfoRequest,
    TreeDisconnectRequest,
    WriteRequest,
)
from support.disk_server import READ, DiskWorld, FileClient, emptied_world
from support.turns import ONE_TURN, begun, turns

MANY = 6 * AT_ONCE


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DiskWorld]:
    monkeypatch.setattr(smb2_client, "CREDITS_WANTED", 8192)
    with emptied_world(tmp_path / "share") as world:
        world.files.limit = 100_000
        yield world
        assert not world.service.endings.under_way


def sent(world: DiskWorld, client: FileClient, message: Message) -> int:
    """A request that has reached the Server; its number."""
    data = begun(client, message)
    world.dispatch.scheduler.refill()  # the turn of the event loop is a new one
    client.connection.receive_data(data, world.now)
    return max(client.core._pending)


def log_off(world: DiskWorld, client: FileClient) -> None:
    sent(world, client, LogoffRequest())


def disconnect_tree(world: DiskWorld, client: FileClient) -> None:
    sent(world, client, TreeDisconnectRequest())


def lose(world: DiskWorld, client: FileClient) -> None:
    world.disconnect(client)


def delete(world: DiskWorld, client: FileClient) -> None:
    """As an administrator's call does."""
    world.service.close_sessions(world.service.select_sessions(user="ann"), Reason.DELETED)


def unshare(world: DiskWorld, client: FileClient) -> None:
    share = world.service.share_by_name("share")
    assert share is not None
    world.service.remove_share(share)


End = Callable[[DiskWorld, FileClient], None]
ENDS: list[End] = [log_off, disconnect_tree, lose, delete, unshare]
OF_SESSIONS: list[End] = [log_off, lose, delete]
each_end = pytest.mark.parametrize("end", ENDS)


def begin(world: DiskWorld, client: FileClient, end: End) -> Iterator[int]:
    """Its turns."""
    return turns(world, lambda: end(world, client))


def result(client: FileClient, number: int) -> str:
    """How a request of a client has been answered, in the midst of the Server's work; "" if it waits."""
    for data in client.connection.data_to_send():
        client.deliver(bytes(data))
    client.connection.sent(0, client.world.now)
    return client.result(number)


def is_waiting(world: DiskWorld, client: FileClient, message: Message) -> Callable[[], str]:
    """A request that has to wait for the end that is under way; how it is answered."""
    number = sent(world, client, message)
    for ticket, effect in world.dispatch.scheduler.effects():
        world.perform(ticket, effect)
    assert not result(client, number)
    return lambda: client.result(number)


@each_end
def test_no_turn_is_long_however_much_is_open(world: DiskWorld, end: End) -> None:
    ann, bob = world.user("ann"), world.user("bob", share="IPC$")
    ann.shut(ann.make("a"))
    for _ in range(MANY):
        ann.open("a")
    longest = []
    for steps in begin(world, ann, end):
        longest.append(steps)
        if world.service.opens():
            assert result(bob, sent(world, bob, EchoRequest())) == "STATUS_SUCCESS"
    assert not world.service.opens()
    assert len(longest) > MANY // AT_ONCE
    assert max(longest) < ONE_TURN


@each_end
def test_few_opens_end_at_once(world: DiskWorld, end: End) -> None:
    ann = world.user("ann")
    for number in range(AT_ONCE):
        ann.make(f"{number}")
    next(begin(world, ann, end))
    assert not world.service.opens()
    assert not world.service.endings.begun
    world.pump()


@each_end
def test_what_has_ended_is_gone_at_once(world: DiskWorld, end: End) -> None:
    """For its own requests, those that wait too, and for lists and limits; files are listed until they are closed."""
    share = world.service.share_by_name("share")
    assert share is not None
    ann, bob = world.user("ann"), world.user("bob", share="IPC$")
    files = [ann.make("a"), *(ann.open("a") for _ in range(MANY))]
    folder = ann.open("", access=READ, options=FILE_DIRECTORY_FILE)
    watch = ann.send(ChangeNotifyRequest(0, 4096, folder, 0x17F))
    ann.want(LockRequest(files[0], [LockElement(0, 1, SMB2_LOCKFLAG_EXCLUSIVE_LOCK)]))
    lock = ann.send(LockRequest(files[1], [LockElement(0, 1, SMB2_LOCKFLAG_EXCLUSIVE_LOCK)]))
    of_session = end in OF_SESSIONS
    going = begin(world, ann, end)
    next(going)
    assert len(world.service.opens()) == world.service.counters.fopens == MANY + 2
    assert [each.user_name for each in world.service.sessions()] == (["bob"] if of_session else ["ann", "bob"])
    assert world.service.counters.sopens == len(world.service.sessions())
    assert len(world.service.tree_connects()) == 1
    assert share.current_uses == 0
    assert bool(world.service.select_sessions(user="ann")) != of_session
    if end is not lose:
        gone = "STATUS_USER_SESSION_DELETED" if of_session else "STATUS_NETWORK_NAME_DELETED"
        for message in (ReadRequest(length=1, file_id=files[-1]), ann.create("b", disposition=FILE_CREATE)):
            assert result(ann, sent(world, ann, message)) == gone
        assert result(ann, watch) == "STATUS_NOTIFY_CLEANUP"
        assert result(ann, lock) == "STATUS_RANGE_NOT_LOCKED"
    assert result(bob, sent(world, bob, EchoRequest())) == "STATUS_SUCCESS"
    assert world.service.opens()
    for _ in going:
        assert len(world.service.opens()) == world.service.counters.fopens
    assert not world.service.opens()
    assert not (world.folder / "b").exists()


@each_end
def test_the_whole_ends_after_its_parts_and_is_answered_then(world: DiskWorld, end: End) -> None:
    ann = world.user("ann")
    for number in range(MANY):
        ann.make(f"{number}")
    told: list[str] = []
    kinds = (FileClosed, TreeDisconnected, SessionClosed, ConnectionClosed, ShareRemoved)
    world.service.subscribe(lambda event: told.append(type(event).__name__), *kinds)
    for _ in begin(world, ann, end):
        if ann.connection.core.unsent and "answer" not in told and end is not lose:
            told.append("answer")
    after: dict[End, list[str]] = {
        log_off: ["TreeDisconnected", "SessionClosed", "answer"],
        disconnect_tree: ["TreeDisconnected", "answer"],
        lose: ["TreeDisconnected", "SessionClosed", "ConnectionClosed"],
        delete: ["TreeDisconnected", "SessionClosed"],
        unshare: ["TreeDisconnected", "ShareRemoved"],
    }
    assert told == ["FileClosed"] * MANY + after[end]


def test_a_log_off_that_ends_with_its_connection_is_answered_to_nobody(world: DiskWorld) -> None:
    ann = world.user("ann")
    for number in range(MANY):
        ann.make(f"{number}")
    going = begin(world, ann, log_off)
    next(going)
    world.disconnect(ann)
    for _ in going:
        pass
    assert not world.service.opens()
    assert [type(event) for event in world.events[-2:]] == [SessionClosed, ConnectionClosed]


def test_the_server_ends_with_all_that_was_ending(world: DiskWorld) -> None:
    ann, bob = world.user("ann"), world.user("bob")
    for number in range(MANY):
        ann.make(f"a{number}")
        bob.make(f"b{number}")
    next(begin(world, ann, log_off))
    world.service.stop()
    assert not world.service.opens()
    assert not world.service.sessions()
    assert not world.service.endings.under_way
    assert [event.session.user_name for event in world.events if isinstance(event, SessionClosed)] == ["ann", "bob"]
    world.pump()


def blocked(world: DiskWorld, ann: FileClient) -> list[bytes]:
    """Many files of hers, the last of which is in the way of others."""
    ann.mkdir("d")
    files = [ann.make(f"{number}") for number in range(MANY)]
    files.append(ann.make(r"d\last", b"hers", share=0))
    return files


def exclusive(bob: FileClient) -> Message:
    return bob.create(r"d\last")


def overwriting(bob: FileClient) -> Message:
    return bob.create(r"d\last", disposition=FILE_OPEN_IF, share=0)


def renaming(bob: FileClient) -> Message:
    text = "e".encode("utf-16-le")
    folder = bob.open("d", options=FILE_DIRECTORY_FILE)
    return SetInfoRequest(1, 10, bytes(16) + len(text).to_bytes(4, "little") + text, file_id=folder)


@pytest.mark.parametrize("message", [exclusive, overwriting, renaming])
@each_end
def test_what_is_still_to_be_closed_is_in_nobodys_way(
    world: DiskWorld, end: End, message: Callable[[FileClient], Message]
) -> None:
    ann, bob = world.user("ann"), world.user("bob", guid=b"\x33" * 16)
    if end is unshare:
        world.share("again", world.folder)
        bob.tree_connect(r"\\server\again")
    blocked(world, ann)
    wanted = message(bob)
    going = begin(world, ann, end)
    next(going)
    answer = is_waiting(world, bob, wanted)
    for _ in going:
        pass
    assert answer() == "STATUS_SUCCESS"


@pytest.mark.parametrize("end", OF_SESSIONS)
def test_a_file_that_goes_with_what_is_still_to_be_closed_can_be_made_anew(world: DiskWorld, end: End) -> None:
    ann, bob = world.user("ann"), world.user("bob", guid=b"\x33" * 16)
    for number in range(MANY):
        ann.make(f"{number}")
    ann.make("doomed", b"hers", options=FILE_DELETE_ON_CLOSE)
    going = begin(world, ann, end)
    next(going)
    answer = is_waiting(world, bob, bob.create("doomed", disposition=FILE_CREATE))
    for _ in going:
        pass
    assert answer() == "STATUS_SUCCESS"
    assert (world.folder / "doomed").read_bytes() == b""


@each_end
def test_what_is_written_to_a_file_that_goes_with_what_is_still_to_be_closed_is_not_lost(
    world: DiskWorld, end: End
) -> None:
    ann, bob = world.user("ann"), world.user("bob", guid=b"\x33" * 16)
    if end is unshare:
        world.share("again", world.folder)
        bob.tree_connect(r"\\server\again")
    for number in range(MANY):
        ann.make(f"{number}")
    ann.make("doomed", b"hers", options=FILE_DELETE_ON_CLOSE)
    going = begin(world, ann, end)
    next(going)
    answer = is_waiting(world, bob, bob.create("doomed", disposition=FILE_OPEN_IF))
    number = max(bob.core._pending)
    for _ in going:
        pass
    assert answer() == "STATUS_SUCCESS"
    response = bob.answers[number].message
    assert isinstance(response, CreateResponse)
    bob.want(WriteRequest(b"his", file_id=response.file_id))
    bob.shut(response.file_id)
    assert (world.folder / "doomed").read_bytes() == b"his"


@each_end
def test_a_lease_is_no_smaller_because_of_what_is_still_to_be_closed(world: DiskWorld, end: End) -> None:
    ann, bob = world.user("ann"), world.user("bob", guid=b"\x33" * 16)
    if end is unshare:
        world.share("again", world.folder)
        bob.tree_connect(r"\\server\again")
    ann.shut(ann.make("a"))
    for _ in range(MANY):
        ann.open("a")
    lease = [CreateContext(SMB2_CREATE_REQUEST_LEASE, CreateLease(b"k" * 16, 7).pack())]
    going = begin(world, ann, end)
    next(going)
    answer = is_waiting(world, bob, bob.create("a", oplock=SMB2_OPLOCK_LEVEL_LEASE, contexts=lease))
    number = max(bob.core._pending)
    for _ in going:
        pass
    assert answer() == "STATUS_SUCCESS"
    response = bob.answers[number].message
    assert isinstance(response, CreateResponse)
    (granted,) = [CreateLease.unpack(each.data) for each in response.contexts]
    assert granted.lease_state == 7


@pytest.mark.parametrize("end", [log_off, disconnect_tree, lose, delete])
def test_ranges_that_are_still_locked_are_in_nobodys_way(world: DiskWorld, end: End) -> None:
    ann, bob = world.user("ann"), world.user("bob", guid=b"\x33" * 16)
    for number in range(MANY):
        ann.make(f"{number}")
    hers = ann.make("a", b"hers")
    his = bob.open("a")
    ann.want(LockRequest(hers, [LockElement(0, 9, SMB2_LOCKFLAG_EXCLUSIVE_LOCK)]))
    at_once = SMB2_LOCKFLAG_EXCLUSIVE_LOCK | SMB2_LOCKFLAG_FAIL_IMMEDIATELY
    going = begin(world, ann, end)
    next(going)
    read = is_waiting(world, bob, ReadRequest(length=4, file_id=his))
    write = is_waiting(world, bob, WriteRequest(b"his.", file_id=his))
    lock = is_waiting(world, bob, LockRequest(his, [LockElement(0, 1, at_once), LockElement(2, 1, at_once)]))
    for _ in going:
        pass
    assert [read(), write(), lock()] == ["STATUS_SUCCESS"] * 3
    assert (world.folder / "a").read_bytes() == b"his."


@pytest.mark.parametrize("leased", [False, True], ids=["oplock", "lease"])
@pytest.mark.parametrize("end", OF_SESSIONS)
def test_nobody_is_asked_for_what_an_ended_session_caches(world: DiskWorld, end: End, leased: bool) -> None:
    ann, bob = world.user("ann"), world.user("bob", guid=b"\x33" * 16)
    for number in range(MANY):
        ann.make(f"{number}")
    lease = [CreateContext(SMB2_CREATE_REQUEST_LEASE, CreateLease(b"k" * 16, 7).pack())]
    if leased:
        ann.make("a", oplock=SMB2_OPLOCK_LEVEL_LEASE, contexts=lease)
    else:
        ann.make("a", oplock=SMB2_OPLOCK_LEVEL_BATCH)
    going = begin(world, ann, end)
    next(going)
    number = sent(world, bob, bob.create("a"))
    for _ in going:
        pass
    assert bob.result(number) == "STATUS_SUCCESS"
    assert not ann.told


def test_who_comes_again_has_back_what_was_kept_for_a_lost_connection(world: DiskWorld) -> None:
    """However soon that is."""
    asked = [CreateContext(SMB2_CREATE_DURABLE_HANDLE_REQUEST, bytes(16))]
    ann = world.user("ann")
    kept = [ann.make(f"{number}", contexts=asked, oplock=SMB2_OPLOCK_LEVEL_BATCH) for number in range(MANY)]
    again = world.user("ann")
    going = begin(world, ann, lose)
    next(going)
    back = [CreateContext(SMB2_CREATE_DURABLE_HANDLE_RECONNECT, CreateDurableHandleReconnect(kept[-1]).pack())]
    answer = is_waiting(world, again, again.create("last", contexts=back, oplock=SMB2_OPLOCK_LEVEL_BATCH))
    for _ in going:
        pass
    assert answer() == "STATUS_SUCCESS"
    assert sum(opened.preserved for opened in world.service.opens()) == MANY - 1
    world.disconnect(again)
    for opened in world.service.durable.preserved:
        world.service.close_open(opened)
    world.pump()


@pytest.mark.parametrize("end", OF_SESSIONS)
def test_what_an_ended_session_has_waited_for_leads_to_nothing(world: DiskWorld, end: End) -> None:
    """A file that was to be deleted, and a READ that the disk has under way."""
    ann = world.user("ann")
    for number in range(MANY):
        ann.make(f"{number}")
    last = ann.make("last", b"hers")
    world.held = lambda effect: isinstance(effect, QueryFile | ReadFile)
    ann.send(SetInfoRequest(1, 13, b"\1", file_id=last))
    read = ann.send(ReadRequest(length=4, file_id=last))
    going = begin(world, ann, end)
    next(going)
    if end is not lose:
        assert result(ann, read) == "STATUS_CANCELLED"
    world.let_go()
    for _ in going:
        pass
    assert (world.folder / "last").read_bytes() == b"hers"


def test_reads_under_way_come_to_their_end_when_the_client_itself_disconnects_the_tree(world: DiskWorld) -> None:
    ann = world.user("ann")
    for number in range(MANY):
        ann.make(f"{number}")
    last = ann.make("last", b"hers")
    world.held = lambda effect: isinstance(effect, ReadFile)
    read = ann.send(ReadRequest(length=4, file_id=last))
    going = begin(world, ann, disconnect_tree)
    next(going)
    world.let_go()
    for _ in going:
        pass
    assert ann.result(read) == "STATUS_SUCCESS"


def test_a_place_in_a_full_share_is_free_at_once(world: DiskWorld) -> None:
    ann, bob = world.user("ann"), world.user("bob", share="IPC$")
    share = world.service.share_by_name("share")
    assert share is not None
    for number in range(MANY):
        ann.make(f"{number}")
    world.service.change_share(share, max_users=1)
    world.set(max_sessions=2)
    going = begin(world, ann, log_off)
    next(going)
    bob.tree_connect(r"\\server\share")
    assert share.current_uses == 1
    for _ in going:
        pass
    assert share.current_uses == 1


NOW = SMB2_LOCKFLAG_EXCLUSIVE_LOCK | SMB2_LOCKFLAG_FAIL_IMMEDIATELY


def behind_a_lock(world: DiskWorld) -> tuple[FileClient, list[bytes], Iterator[int]]:
    """Somebody who has a file open twice that is still locked by what is being ended."""
    ann, bob = world.user("ann"), world.user("bob", guid=b"\x33" * 16)
    for number in range(MANY):
        ann.make(f"{number}")
    ann.want(LockRequest(ann.make("a", b"hers"), [LockElement(0, 9, SMB2_LOCKFLAG_EXCLUSIVE_LOCK)]))
    his = [bob.open("a"), bob.open("a")]
    going = begin(world, ann, log_off)
    next(going)
    return bob, his, going


@pytest.mark.parametrize("asked", ["lock", "read", "write"])
def test_what_is_closed_while_it_waits_for_an_end_does_nothing(world: DiskWorld, asked: str) -> None:
    """A range that it locked then would be locked for ever."""
    bob, (his, other), going = behind_a_lock(world)
    messages: dict[str, Message] = {
        "lock": LockRequest(his, [LockElement(0, 1, NOW)]),
        "read": ReadRequest(length=4, file_id=his),
        "write": WriteRequest(b"his.", file_id=his),
    }
    answer = is_waiting(world, bob, messages[asked])
    close = sent(world, bob, CloseRequest(file_id=his))
    for _ in going:
        pass
    assert [answer(), bob.result(close)] == ["STATUS_FILE_CLOSED", "STATUS_SUCCESS"]
    assert bob.ask(LockRequest(other, [LockElement(0, 1, NOW)])).status == codes.STATUS_SUCCESS
    assert (world.folder / "a").read_bytes() == b"hers"


def test_a_copy_is_not_refused_because_of_ranges_that_are_still_locked(world: DiskWorld) -> None:
    bob, (his, other), going = behind_a_lock(world)
    chunks = CopyChunkCopy(his + bytes(8), 1).pack() + CopyChunk(0, 4, 4).pack()
    answer = is_waiting(world, bob, IoctlRequest(FSCTL_SRV_COPYCHUNK, other, chunks, max_output_response=12))
    for _ in going:
        pass
    assert answer() == "STATUS_SUCCESS"
    assert (world.folder / "a").read_bytes() == b"hershers"


@pytest.mark.parametrize("asked", ["read", "write", "lock"])
def test_whoever_ends_very_much_without_pause_holds_nobody_up_for_ever(world: DiskWorld, asked: str) -> None:
    """Here a range is locked by somebody who stays."""
    ann, bob, eve = world.user("ann"), world.user("bob", guid=b"\x33" * 16), world.user("admin", guid=b"\x44" * 16)
    ann.want(LockRequest(ann.make("a", b"hers"), [LockElement(0, 9, SMB2_LOCKFLAG_EXCLUSIVE_LOCK)]))
    his = bob.open("a")
    for number in range(MANY):
        eve.make(f"{number}")
    going = begin(world, eve, log_off)
    next(going)
    world.service.endings.begin(without_end(world))
    messages: dict[str, Message] = {
        "read": ReadRequest(length=4, file_id=his),
        "write": WriteRequest(b"his.", file_id=his),
        "lock": LockRequest(his, [LockElement(0, 1, NOW)]),
    }
    answer = is_waiting(world, bob, messages[asked])
    for _ in going:
        result(bob, 0)
        if answer() or world.service.endings.finished > 3 * MOST_TRIES:
            break
    world.service.stop()
    assert answer() == ("STATUS_LOCK_NOT_GRANTED" if asked == "lock" else "STATUS_FILE_LOCK_CONFLICT")


def without_end(world: DiskWorld) -> Iterator[None]:
    """An end of a turn, after which there is another."""
    yield from [None] * AT_ONCE
    if not world.service.stopped:
        world.service.endings.begin(without_end(world))


def kept_for_lost(world: DiskWorld) -> Iterator[int]:
    """The turns in which very much of a lost connection comes to be kept."""
    asked = [CreateContext(SMB2_CREATE_DURABLE_HANDLE_REQUEST, bytes(16))]
    ann = world.user("ann")
    for number in range(MANY):
        ann.make(f"{number}", contexts=asked, oplock=SMB2_OPLOCK_LEVEL_BATCH)
    going = begin(world, ann, lose)
    next(going)
    return going


def stop(world: DiskWorld) -> None:
    world.service.stop()
    assert not world.service.opens()


def unshare_what_is_kept(world: DiskWorld) -> None:
    share = world.service.share_by_name("share")
    assert share is not None
    world.service.remove_share(share)


def leave_bounds(world: DiskWorld) -> None:
    share = world.service.share_by_name("share")
    assert share is not None
    share.confined = True
    world.service.mark_share(share, "it leads elsewhere")


def delete_account(world: DiskWorld) -> None:
    world.set(end_sessions_of_removed_accounts=True)
    accounts = Accounts.parse(world.accounts.dump())
    accounts.delete("ann")
    world.dispatch.scheduler.start(world.dispatch.watch.use_accounts(accounts))


GOING: list[tuple[Callable[[DiskWorld], None], Reason]] = [
    (stop, Reason.STOPPED),
    (unshare_what_is_kept, Reason.SHARE_DELETED),
    (leave_bounds, Reason.SHARE_UNAVAILABLE),
    (delete_account, Reason.ACCOUNT),
]


@pytest.mark.parametrize(("what", "reason"), GOING)
def test_what_is_still_to_be_kept_for_a_lost_connection_goes_too(
    world: DiskWorld, what: Callable[[DiskWorld], None], reason: Reason
) -> None:
    """As that does which is kept already, with its share, with its account or with the Server."""
    going = kept_for_lost(world)
    what(world)
    for _ in going:
        pass
    left = len(world.service.opens())
    for opened in world.service.durable.preserved:
        world.service.close_open(opened)
    world.pump()
    assert not left
    assert {event.reason for event in world.events if isinstance(event, FileClosed)} == {reason}
    if what is unshare_what_is_kept:
        assert isinstance(world.events[-1], ShareRemoved)
