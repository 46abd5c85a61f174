"""Rights that change while there are very many sessions, or opens: no turn of the event loop is long, and nobody is
served meanwhile by what was in force before."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lanman import codes
from lanman.auth.accounts import Accounts
from lanman.domain import Reason, Share
from lanman.events import TreeDisconnected
from lanman.server.disk_effects import CopyFileRange, QueryFile, ReadFile
from lanman.server.judging import AT_ONCE
from lanman.server.state import ServerSession, ServerTree
from lanman.smb2 import client as smb2_client
from lanman.smb2.constants import (
    FILE_CREATE,
    FILE_DIRECTORY_FILE,
    FSCTL_SRV_COPYCHUNK_WRITE,
    SMB2_CREATE_DURABLE_HANDLE_RECONNECT,
    SMB2_CREATE_DURABLE_HANDLE_REQUEST,
    SMB2_LOCKFLAG_EXCLUSIVE_LOCK,
    SMB2_LOCKFLAG_UNLOCK,
    SMB2_OPLOCK_LEVEL_BATCH,
    SMB2_WATCH_TREE,
)
from lanman.smb2.messages import (
    ChangeNotifyRequest,
    CreateContext,
    CreateDurableHandleReconnect,
    EchoRequest,
    IoctlRequest,
    LockElement,
    LockRequest,
    Message,
    ReadRequest,
    WriteRequest,
)
from support.disk_server import READ, DiskWorld, FileClient, emptied_world
from support.memory_server import World
from support.raw_client import RawClient
from support.turns import ONE_TURN, begun, turns

SESSIONS = 1500


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DiskWorld]:
    monkeypatch.setattr(smb2_client, "CREDITS_WANTED", 8192)
    with emptied_world(tmp_path / "share") as world:
        yield world


def share_of(world: DiskWorld) -> Share:
    share = world.service.share_by_name("share")
    assert share is not None
    return share


def crowd(world: DiskWorld) -> None:
    """Very many sessions of others, each with a tree connect."""
    server, first = world.dispatch, world.user("bob")
    (known,) = first.connection.channels.values()
    backend = server.backend_of(share_of(world))
    for number in range(1, SESSIONS):
        session = world.service.register_session(number, 1000 + number, "192.0.2.9", "bob", now=world.now)
        tree = world.service.register_tree_connect(session, 1, share_of(world), world.now)
        one = ServerSession(session, known.keys, (first.connection,), {1: ServerTree(tree, backend, 1)})
        server.sessions._sessions[number] = one


def sent(world: DiskWorld, client: FileClient, message: Message) -> int:
    """A request that has reached the Server, while other work is under way; its number."""
    data = begun(client, message)
    client.connection.receive_data(data, world.now)
    return max(client.core._pending)


@pytest.mark.parametrize("taken", ["to write", "all"])
def test_a_session_is_judged_before_its_turn_if_it_asks_for_something(world: DiskWorld, taken: str) -> None:
    crowd(world)
    ann, admin = world.user("ann"), world.user("admin")
    written, reading = ann.make("letter", b"dear bob"), ann.open("letter", access=READ)
    mine = admin.open("letter")
    share_of(world).writers = frozenset({"admin"})
    share_of(world).readers = frozenset({"admin"} if taken == "all" else {"admin", "ann"})
    going = turns(world, world.dispatch.watch.reassess)
    longest = [next(going), next(going)]
    assert len(world.dispatch.judging.waiting) > SESSIONS // 2
    write = sent(world, ann, WriteRequest(b"late", file_id=written))
    read = sent(world, ann, ReadRequest(length=9, file_id=reading))
    create = sent(world, ann, ann.create("other", disposition=FILE_CREATE))
    admins = sent(world, admin, WriteRequest(b"DEAR", file_id=mine))
    longest += going
    assert max(longest) < ONE_TURN
    assert len(longest) > SESSIONS // AT_ONCE
    gone = "STATUS_NETWORK_NAME_DELETED"
    assert ann.result(write) == (gone if taken == "all" else "STATUS_FILE_CLOSED")
    assert ann.result(read) == (gone if taken == "all" else "STATUS_SUCCESS")
    assert ann.result(create) == (gone if taken == "all" else "STATUS_ACCESS_DENIED")
    assert admin.result(admins) == "STATUS_SUCCESS"
    assert (world.folder / "letter").read_bytes() == b"DEAR bob"
    assert not (world.folder / "other").exists()
    ended = [event for event in world.events if isinstance(event, TreeDisconnected)]
    assert len(ended) == SESSIONS + (taken == "all")
    assert {event.reason for event in ended} == {Reason.RIGHTS}
    assert not world.dispatch.judging.waiting


@pytest.mark.parametrize("taken", ["account", "all", "to write", "nothing"])
def test_a_session_is_compared_with_the_accounts_before_its_turn_if_it_asks_for_something(
    world: DiskWorld, taken: str
) -> None:
    """The oldest sessions have their turn last."""
    world.accounts.add_group("team")
    world.accounts.add_member("team", "ann")
    ann = world.user("ann")
    share_of(world).writers = frozenset({"team"})
    share_of(world).readers = None if taken == "to write" else frozenset({"team", "bob"})
    written, reading = ann.make("letter", b"dear bob"), ann.open("letter", access=READ)
    crowd(world)
    world.held = lambda effect: isinstance(effect, ReadFile)
    under_way = ann.send(ReadRequest(length=9, file_id=written))
    accounts = Accounts.parse(world.accounts.dump())
    if taken == "account":
        accounts.delete("ann")
    elif taken != "nothing":
        accounts.remove_member("team", "ann")
    going = turns(world, lambda: world.dispatch.scheduler.start(world.dispatch.watch.use_accounts(accounts)))
    next(going)
    assert "ann" not in {each.session.user_name for each in world.dispatch.judging.waiting}
    world.dispatch.scheduler.refill()
    ((ticket, effect),) = world._waiting
    world._waiting.clear()
    world.held = lambda effect: False
    world._done(ticket, effect)()
    write = sent(world, ann, WriteRequest(b"late", file_id=written))
    read = sent(world, ann, ReadRequest(length=9, file_id=reading))
    create = sent(world, ann, ann.create("other", disposition=FILE_CREATE))
    for _ in going:
        pass
    kept = "STATUS_SUCCESS"
    gone = "STATUS_USER_SESSION_DELETED" if taken == "account" else "STATUS_NETWORK_NAME_DELETED"
    ended = taken in ("account", "all")
    closed = "STATUS_FILE_CLOSED" if taken == "to write" else kept
    assert ann.result(under_way) == (kept if taken == "nothing" else "STATUS_CANCELLED")
    assert ann.result(write) == (gone if ended else closed)
    assert ann.result(read) == (gone if ended else kept)
    assert ann.result(create) == (gone if ended else "STATUS_ACCESS_DENIED" if taken == "to write" else kept)
    assert (world.folder / "letter").read_bytes() == (b"late bob" if taken == "nothing" else b"dear bob")
    assert not world.dispatch.judging.alert


def test_what_the_disk_is_about_to_open_is_judged_too(world: DiskWorld) -> None:
    crowd(world)
    ann = world.user("ann")
    world.held = lambda effect: True
    create = ann.send(ann.create("letter", disposition=FILE_CREATE))
    share_of(world).writers = frozenset({"admin"})
    going = turns(world, world.dispatch.watch.reassess)
    next(going)
    assert any(each.session.user_name == "ann" for each in world.dispatch.judging.waiting)
    world.held = lambda effect: False
    ((ticket, effect),) = world._waiting
    world._waiting.clear()
    world._done(ticket, effect)()
    assert not world.service.opens()
    for _ in going:
        pass
    assert ann.result(create) == "STATUS_ACCESS_DENIED"
    assert not (world.folder / "letter").exists()


def copy_of(source: bytes, target: bytes, chunks: int) -> IoctlRequest:
    """Have the Server copy so many pieces of 4 bytes."""
    key = struct.pack("<24sI4x", source, chunks)
    places = b"".join(struct.pack("<QQI4x", 4 * number, 4 * number, 4) for number in range(chunks))
    return IoctlRequest(FSCTL_SRV_COPYCHUNK_WRITE, target, key + places, max_output_response=12)


def to_be_copied(world: DiskWorld) -> tuple[Share, FileClient, bytes, bytes]:
    """A share of its own with a file that ann has open, she herself, that file, and one on the usual share that it is
    to be copied to; and a crowd."""
    folder = world.folder.parent / "private"
    folder.mkdir()
    share = world.share("private", folder)
    crowd(world)
    ann = world.user("ann")
    target, number = ann.make("copy"), ann.tree_id
    ann.tree_connect(r"\\server\private")
    source, ann.tree_id = ann.make("secret", b"12345678"), number
    return share, ann, source, target


def test_what_is_copied_from_is_judged_too(world: DiskWorld) -> None:
    """It may be on another share than the request is about."""
    share, ann, source, target = to_be_copied(world)
    share.readers = share.writers = frozenset({"bob"})
    going = turns(world, world.dispatch.watch.reassess)
    next(going)
    copy = sent(world, ann, copy_of(source, target, 2))
    for _ in going:
        pass
    assert ann.result(copy) == "STATUS_OBJECT_NAME_NOT_FOUND"
    assert (world.folder / "copy").read_bytes() == b""


@pytest.mark.parametrize("of", ["source", "target"])
def test_a_copy_under_way_is_judged_before_each_piece(world: DiskWorld, of: str) -> None:
    other, ann, source, target = to_be_copied(world)
    world.held = lambda effect: isinstance(effect, CopyFileRange)
    copy = ann.send(copy_of(source, target, 2))
    share = other if of == "source" else share_of(world)
    share.readers = share.writers = frozenset({"bob"})
    going = turns(world, world.dispatch.watch.reassess)
    next(going)
    ((ticket, effect),) = world._waiting
    world._waiting.clear()
    world.held = lambda effect: False
    world._done(ticket, effect)()
    for _ in going:
        pass
    assert ann.result(copy) == ("STATUS_FILE_CLOSED" if of == "source" else "STATUS_CANCELLED")
    assert (world.folder / "copy").read_bytes() == b"1234"


def a_read(world: DiskWorld, ann: FileClient) -> tuple[int, Callable[[], object]]:
    """A READ that the disk has under way; what ends that."""
    letter = ann.make("letter", b"secret")
    world.held = lambda effect: isinstance(effect, ReadFile)
    read = ann.send(ReadRequest(length=9, file_id=letter))

    def done() -> None:
        ((ticket, effect),) = world._waiting
        world._waiting.clear()
        world._done(ticket, effect)()

    return read, done


def a_watch(world: DiskWorld, ann: FileClient) -> tuple[int, Callable[[], object]]:
    """A CHANGE_NOTIFY that waits; what has it answered."""
    admin = world.user("admin")
    folder = ann.open("", access=READ, options=FILE_DIRECTORY_FILE)
    number = ann.send(ChangeNotifyRequest(SMB2_WATCH_TREE, 4096, folder, 0x17F))
    return number, lambda: sent(world, admin, admin.create("secret", disposition=FILE_CREATE))


def a_lock(world: DiskWorld, ann: FileClient) -> tuple[int, Callable[[], object]]:
    """A LOCK that waits; what frees the range."""
    admin = world.user("admin")
    mine, theirs = admin.make("letter", b"secret"), ann.open("letter")
    admin.want(LockRequest(file_id=mine, locks=[LockElement(0, 1, SMB2_LOCKFLAG_EXCLUSIVE_LOCK)]))
    number = ann.send(LockRequest(file_id=theirs, locks=[LockElement(0, 1, SMB2_LOCKFLAG_EXCLUSIVE_LOCK)]))
    unlock = LockRequest(file_id=mine, locks=[LockElement(0, 1, SMB2_LOCKFLAG_UNLOCK)])
    return number, lambda: sent(world, admin, unlock)


@pytest.mark.parametrize("waits", [a_read, a_watch, a_lock])
def test_what_has_waited_is_judged_before_it_goes_on(
    world: DiskWorld, waits: Callable[[DiskWorld, FileClient], tuple[int, Callable[[], object]]]
) -> None:
    crowd(world)
    ann = world.user("ann")
    number, comes = waits(world, ann)
    share_of(world).writers = frozenset({"admin"})
    share_of(world).readers = frozenset({"admin"})
    going = turns(world, world.dispatch.watch.reassess)
    next(going)
    assert any(each.session.user_name == "ann" for each in world.dispatch.judging.waiting)
    comes()
    next(going)
    world.held = lambda effect: False
    for _ in going:
        pass
    assert ann.result(number) == "STATUS_CANCELLED"
    assert {each.session.user_name for each in world.service.opens()} <= {"admin"}


def test_what_is_about_to_be_reclaimed_is_judged_too(world: DiskWorld) -> None:
    crowd(world)
    ann = world.user("ann")
    asked = [CreateContext(SMB2_CREATE_DURABLE_HANDLE_REQUEST, bytes(16))]
    kept = ann.open("letter", disposition=FILE_CREATE, contexts=asked, oplock=SMB2_OPLOCK_LEVEL_BATCH)
    world.disconnect(ann)
    again = world.user("ann")
    world.held = lambda effect: isinstance(effect, QueryFile)
    back = [CreateContext(SMB2_CREATE_DURABLE_HANDLE_RECONNECT, CreateDurableHandleReconnect(kept).pack())]
    create = again.send(again.create("letter", contexts=back, oplock=SMB2_OPLOCK_LEVEL_BATCH))
    share_of(world).writers = frozenset({"admin"})
    going = turns(world, world.dispatch.watch.reassess)
    next(going)
    ((ticket, effect),) = world._waiting
    world._waiting.clear()
    world._done(ticket, effect)()
    world.held = lambda effect: False
    for _ in going:
        pass
    assert again.result(create) == "STATUS_ACCESS_DENIED"
    assert not world.service.opens()


def test_what_one_session_has_is_ended_in_portions(world: DiskWorld) -> None:
    ann, bob = world.user("ann"), world.user("bob")
    ann.shut(ann.make("letter", b"x"))
    for _ in range(400):
        ann.open("letter")
    last = ann.open("letter")
    share_of(world).writers = frozenset()
    going = turns(world, world.dispatch.watch.reassess)
    longest = [next(going)]
    assert world.service.opens()
    write = sent(world, ann, WriteRequest(b"late", file_id=last))
    longest += going
    assert max(longest) < ONE_TURN
    assert ann.result(write) == "STATUS_FILE_CLOSED"
    assert not world.service.opens()
    assert bob.ask(EchoRequest()).status == 0


def test_rights_that_change_again_while_they_are_looked_at(world: DiskWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session whose turn it was has been looked at by what was in force before."""
    monkeypatch.setattr("lanman.server.judging.AT_ONCE", 8)
    ann = world.user("ann")
    ann.shut(ann.make("letter", b"x"))
    opens = [ann.open("letter", access=READ) for _ in range(16)]
    share_of(world).writers = frozenset()
    going = turns(world, world.dispatch.watch.reassess)
    next(going)
    assert world.dispatch.judging.waiting
    share_of(world).readers = frozenset({"bob"})
    world.dispatch.watch.reassess()
    for _ in going:
        pass
    assert codes.ntstatus_name(ann.get(opens[0]).status) == "STATUS_NETWORK_NAME_DELETED"
    assert not world.service.opens()


def test_strangers_are_served_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lanman.server.judging.AT_ONCE", 1)
    world = World(guest=True)
    strangers = [RawClient(world) for _ in range(4)]
    for each in strangers:
        assert each.log_on("stranger") == 0
    world.set(guest=False)
    world.dispatch.watch.reassess()
    assert len(world.users()) >= 3
    last = list(world.dispatch.judging.waiting)[-1]
    assert not world.dispatch.judging.may_use(last, None)
    world.pump()
    assert world.users() == []
