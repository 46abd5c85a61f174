"""What clients do, as events: which there are, in which order, and what their records say."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanman import codes
from lanman.domain import Reason
from lanman.errors import StatusError
from lanman.events import (
    ConnectionClosed,
    ConnectionOpened,
    Event,
    FileClosed,
    FileLocked,
    FileOpened,
    FileRecord,
    FileRenamed,
    FileUnlocked,
    OplockBroken,
    OplockGranted,
    PermissionDenied,
    ServerState,
    SessionClosed,
    SessionOpened,
    TreeConnected,
    TreeDisconnected,
)
from lanman.settings import settings_as_text
from lanman.smb2.constants import (
    FSCTL_SRV_COPYCHUNK_WRITE,
    FSCTL_SRV_REQUEST_RESUME_KEY,
    SMB2_LOCKFLAG_EXCLUSIVE_LOCK,
    SMB2_LOCKFLAG_FAIL_IMMEDIATELY,
    SMB2_LOCKFLAG_UNLOCK,
    SMB2_OPLOCK_LEVEL_BATCH,
    SMB2_OPLOCK_LEVEL_II,
)
from lanman.smb2.messages import CopyChunk, CopyChunkCopy, IoctlRequest, LockElement, LockRequest, OplockBreak
from support.disk_server import READ, DiskWorld, FileClient
from support.memory_server import START, World

RENAME = 10
TIME = 1.7e9 + START


@pytest.fixture
def world(tmp_path: Path) -> DiskWorld:
    folder = tmp_path / "share"
    folder.mkdir()
    return DiskWorld(folder)


def kinds(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def lock(client: FileClient, file_id: bytes, flags: int, *offsets: int) -> int:
    elements = [LockElement(offset, 1, flags) for offset in offsets]
    return client.ask(LockRequest(file_id, elements)).status


def test_a_day_of_a_file(world: DiskWorld) -> None:
    """Opened, written, read, locked, renamed and closed; everything is numbered without a gap."""
    world.events.clear()
    before = world.service.sequence
    ann = world.user("ann")
    world.advance(60.0)
    file_id = ann.make("a.txt", b"hello")
    assert bytes(ann.get(file_id, 3).message.data) == b"hel"  # type: ignore[attr-defined]
    exclusive = SMB2_LOCKFLAG_EXCLUSIVE_LOCK | SMB2_LOCKFLAG_FAIL_IMMEDIATELY
    assert lock(ann, file_id, exclusive, 0, 1, 2) == 0
    assert lock(ann, file_id, SMB2_LOCKFLAG_UNLOCK, 1) == 0
    name = "b.txt".encode("utf-16-le")
    assert ann.set(file_id, RENAME, bytes(16) + len(name).to_bytes(4, "little") + name) == "STATUS_SUCCESS"
    ann.shut(file_id)
    world.disconnect(ann)
    events = world.events
    assert kinds(events) == [
        "ConnectionOpened",
        "SessionOpened",
        "TreeConnected",
        "FileOpened",
        "FileLocked",
        "FileUnlocked",
        "FileRenamed",
        "FileClosed",
        "TreeDisconnected",
        "SessionClosed",
        "ConnectionClosed",
    ]
    assert [event.sequence for event in events] == list(range(before + 1, before + 12))
    come, on, tree, opened, locked, unlocked, renamed, closed, left, off, gone = events
    assert isinstance(come, ConnectionOpened)
    assert isinstance(gone, ConnectionClosed)
    assert isinstance(on, SessionOpened)
    assert isinstance(off, SessionClosed)
    assert isinstance(tree, TreeConnected)
    assert isinstance(left, TreeDisconnected)
    assert isinstance(opened, FileOpened)
    assert isinstance(closed, FileClosed)
    assert isinstance(locked, FileLocked)
    assert isinstance(unlocked, FileUnlocked)
    assert isinstance(renamed, FileRenamed)
    path = str(world.folder)
    assert opened.file == FileRecord(
        id=opened.file.id,
        session_id=on.session.id,
        tree_id=tree.tree_connect.id,
        share="share",
        path=f"{path}/a.txt",
        access=0x001F01FF,
        num_locks=0,
        oplock="",
        client_name=r"\\192.0.2.1",
        user_name="ann",
        address="192.0.2.1",
        opened_at=TIME + 60,
        bytes_read=0,
        bytes_written=0,
    )
    assert opened.time == TIME + 60
    assert (locked.ranges, locked.file.num_locks, unlocked.ranges, unlocked.file.num_locks) == (3, 3, 1, 2)
    assert (renamed.before, renamed.file.path, renamed.by) == (f"{path}/a.txt", f"{path}/b.txt", opened.file.id)
    assert closed.file == opened.file._replace(path=f"{path}/b.txt", num_locks=2, bytes_read=3, bytes_written=5)
    assert (closed.reason, left.reason, off.reason) == (Reason.CLOSED, Reason.DISCONNECTED, Reason.DISCONNECTED)
    session = off.session
    assert (session.bytes_read, session.bytes_written, session.active_time) == (3, 5, 60)
    assert (session.begun_at, session.used_at, session.connection_ids) == (TIME, TIME + 60, (come.connection.id,))
    assert (session.dialect, session.signing, session.groups) == ("3.1.1", "AES-128-CMAC", ("Users",))
    assert come.connection[:3] == gone.connection[:3] == (come.connection.id, "192.0.2.1", TIME)
    assert come.connection.bytes_received == come.connection.bytes_sent == 0
    assert gone.connection.bytes_received > 500
    assert gone.connection.bytes_sent > 500


def test_an_oplock_is_granted_and_broken(world: DiskWorld) -> None:
    ann, bob = world.user("ann"), world.user("bob")
    held = ann.make("a.txt", b"x", oplock=SMB2_OPLOCK_LEVEL_BATCH)
    world.events.clear()
    number = bob.send(bob.create("a.txt", access=READ))
    assert ann.breaks == [SMB2_OPLOCK_LEVEL_II]
    assert world.events == []  # it is still to be acknowledged
    ann.want(OplockBreak(SMB2_OPLOCK_LEVEL_II, held))
    assert bob.result(number) == "STATUS_SUCCESS"
    broken = world.events[0]
    assert isinstance(broken, OplockBroken)
    assert (broken.before, broken.file.oplock, broken.file.user_name) == ("batch", "level II", "ann")
    ann.shut(held)
    closed = world.events[-1]
    assert isinstance(closed, FileClosed)
    assert closed.file.oplock == "level II"
    world.events.clear()
    ann.open("a.txt", access=READ, oplock=SMB2_OPLOCK_LEVEL_II)
    assert kinds(world.events) == ["FileOpened", "OplockGranted"]
    granted = world.events[-1]
    assert isinstance(granted, OplockGranted)
    assert granted.file.oplock == "level II"


def test_everybody_who_has_it_open_follows_a_rename(world: DiskWorld) -> None:
    ann, bob = world.user("ann"), world.user("bob")
    mine = ann.make("a.txt")
    bob.open("a.txt", access=READ)
    world.events.clear()
    name = "b.txt".encode("utf-16-le")
    assert ann.set(mine, RENAME, bytes(16) + len(name).to_bytes(4, "little") + name) == "STATUS_SUCCESS"
    renamed = [event for event in world.events if isinstance(event, FileRenamed)]
    assert [(event.file.user_name, event.by) for event in renamed] == [
        ("ann", renamed[0].file.id),
        ("bob", renamed[0].file.id),
    ]


def test_who_was_denied_what(world: DiskWorld, tmp_path: Path) -> None:
    world.share("closed", tmp_path, readers=frozenset({"bob"}))
    world.share("read", world.folder, writers=frozenset())
    ann = world.user("ann", "read")
    world.events.clear()
    assert ann.status("sub\\new.txt", disposition=2) == "STATUS_ACCESS_DENIED"
    with pytest.raises(StatusError) as refused:
        ann.tree_connect(r"\\server\closed")
    assert refused.value.status == codes.STATUS_ACCESS_DENIED
    denied = [event for event in world.events if isinstance(event, PermissionDenied)]
    assert [event[2:] for event in denied] == [
        (ann_id(world), r"\\192.0.2.1", "ann", "192.0.2.1", "read", "sub\\new.txt"),
        (ann_id(world), r"\\192.0.2.1", "ann", "192.0.2.1", "closed", ""),
    ]
    assert world.service.counters.permerrors == 2


def ann_id(world: World) -> int:
    (session,) = world.service.sessions()
    return session.global_id


def test_the_sum_of_all_events_is_what_there_is(world: DiskWorld) -> None:
    """From nothing but the settings on: what the service itself describes."""
    state = ServerState()
    state.settings = settings_as_text(world.service.settings.current)
    for share in world.service.shares():
        world.service.remove_share(share)
    world.service.subscribe(state.apply)
    world.share("share", world.folder)
    ann, bob = world.user("ann"), world.user("bob")
    ann.make("a", b"1234", oplock=SMB2_OPLOCK_LEVEL_BATCH)
    bob.send(bob.create("a", access=READ))
    bob.make("b")
    bob.log_off()
    world.service.pause(r"\\192.0.2.9", "root")
    described = None
    work = world.service.describe(1)
    while described is None:
        try:
            next(work)
        except StopIteration as end:
            described = end.value
    assert described == state
    assert described.paused_by == (r"\\192.0.2.9", "root")
    rebuilt = ServerState()
    for event in described.events():
        rebuilt.apply(event)
    assert rebuilt == described
    assert len(list(described.events())) == described.size
    assert len(state.files) == 1
    assert state.num_opens(ann.connection.channels[ann.session_id].session.global_id) == 1
    assert described.files != state.files  # what was written has made no event


def test_why_a_connection_was_ended(world: DiskWorld) -> None:
    ann, quiet = world.user("ann"), world.arrive()
    world.advance(60.0)
    world.disconnect(ann)
    closed = [event for event in world.events if isinstance(event, ConnectionClosed)]
    assert [event.detail for event in closed] == ["nobody has logged on", ""]
    assert quiet.finished == "nobody has logged on"
    assert [event.connection.id for event in closed] == [2, 1]


def test_a_copy_that_the_server_makes_counts(world: DiskWorld) -> None:
    ann = world.user("ann")
    source, target = ann.make("a", b"0123456789"), ann.make("b")
    key = bytes(ann.want(IoctlRequest(FSCTL_SRV_REQUEST_RESUME_KEY, source, b"", max_output_response=32)).output)
    copy = CopyChunkCopy(key[:24], 1).pack() + CopyChunk(2, 0, 5).pack()
    ann.want(IoctlRequest(FSCTL_SRV_COPYCHUNK_WRITE, target, copy, max_output_response=12))
    ann.shut(target)
    ann.shut(source)
    moved = [event.file for event in world.events if isinstance(event, FileClosed)]
    assert [(file.bytes_read, file.bytes_written) for file in moved] == [(0, 5), (5, 10)]
