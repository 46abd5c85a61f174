"""Durable handles over the wire: granted, kept, reclaimed, and closed in time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman import codes
from lanman.auth.accounts import Accounts
from lanman.domain import FileClosed, FilePreserved, FileReclaimed, Open, Reason
from lanman.events import FileOpened
from lanman.fscc.files import FILE_RENAME_INFORMATION
from lanman.rpc.srvsvc.files import NetrFileClose, NetrFileEnum, NetrFileGetInfo
from lanman.rpc.srvsvc.sessions import NetrSessionDel, NetrSessionEnum
from lanman.server.files.durable import DurableRequest, Reconnect, read_durable
from lanman.server.state import ServerSession, pack_file_id
from lanman.settings import Limits
from lanman.smb2.constants import (
    FILE_DELETE_ON_CLOSE,
    FILE_DIRECTORY_FILE,
    FILE_OPEN_IF,
    FILE_OVERWRITE,
    FILE_READ_ATTRIBUTES,
    SMB2_CREATE_DURABLE_HANDLE_RECONNECT,
    SMB2_CREATE_DURABLE_HANDLE_RECONNECT_V2,
    SMB2_CREATE_DURABLE_HANDLE_REQUEST,
    SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2,
    SMB2_CREATE_REQUEST_LEASE,
    SMB2_DHANDLE_FLAG_PERSISTENT,
    SMB2_LOCKFLAG_EXCLUSIVE_LOCK,
    SMB2_LOCKFLAG_UNLOCK,
    SMB2_OPLOCK_LEVEL_BATCH,
    SMB2_OPLOCK_LEVEL_EXCLUSIVE,
    SMB2_OPLOCK_LEVEL_LEASE,
    SMB2_OPLOCK_LEVEL_NONE,
    Dialect,
)
from lanman.smb2.messages import (
    CreateContext,
    CreateDurableHandle,
    CreateDurableHandleReconnect,
    CreateDurableHandleReconnectV2,
    CreateDurableHandleResponseV2,
    CreateDurableHandleV2,
    CreateLease,
    CreateLeaseV2,
    CreateResponse,
    LockElement,
    LockRequest,
    LogoffRequest,
    SetInfoRequest,
    TreeDisconnectRequest,
    WriteRequest,
)
from support.disk_server import READ, DiskWorld, FileClient, emptied_world
from support.memory_server import Cut

HERE, THERE = b"\x01" * 16, b"\x02" * 16  # two clients
FIRST, SECOND = b"g" * 16, b"h" * 16  # two GUIDs of opens
FILE_ID = pack_file_id(7, 9)

DHNQ = CreateContext(SMB2_CREATE_DURABLE_HANDLE_REQUEST, CreateDurableHandle().pack())
DHNC = CreateContext(SMB2_CREATE_DURABLE_HANDLE_RECONNECT, CreateDurableHandleReconnect(FILE_ID).pack())


def dh2q(guid: bytes = FIRST, timeout: int = 0, flags: int = 0) -> CreateContext:
    return CreateContext(SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2, CreateDurableHandleV2(timeout, flags, guid).pack())


def dh2c(file_id: bytes = FILE_ID, guid: bytes = FIRST, flags: int = 0) -> CreateContext:
    data = CreateDurableHandleReconnectV2(file_id, guid, flags).pack()
    return CreateContext(SMB2_CREATE_DURABLE_HANDLE_RECONNECT_V2, data)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DiskWorld]:
    with emptied_world(tmp_path / "folder") as world:
        yield world
        for client in list(world.clients.values()):
            world.disconnect(client)
        for opened in world.service.durable.preserved:
            world.service.close_open(opened, Reason.DELETED)


def read(*contexts: CreateContext, dialect: int = Dialect.SMB_3_1_1) -> DurableRequest | Reconnect | None:
    return read_durable({each.name: each.data for each in contexts}, dialect)


def test_what_the_contexts_of_durable_handles_say() -> None:
    assert read() is None
    assert read(CreateContext(b"QFid")) is None
    assert read(DHNQ) == DurableRequest(1)
    assert read(DHNC) == Reconnect(1, 7)
    assert read(DHNQ, DHNC) == Reconnect(1, 7)
    assert read(dh2q(timeout=1500)) == DurableRequest(2, 1500, FIRST)
    assert read(dh2q(flags=SMB2_DHANDLE_FLAG_PERSISTENT | 4)) == DurableRequest(2, 0, FIRST, persistent=True)
    assert read(dh2c()) == Reconnect(2, 7, FIRST)
    assert read(dh2c(flags=SMB2_DHANDLE_FLAG_PERSISTENT)) == Reconnect(2, 7, FIRST, persistent=True)


def test_their_bytes() -> None:
    """MS-SMB2 2.2.13.2.3, .4, .11 and .12."""
    assert DHNQ.data == bytes(16)
    assert DHNC.data == bytes.fromhex("0700000000000000 0900000000000000")
    asked = dh2q(timeout=0x01020304, flags=2)
    assert asked.data == bytes.fromhex("04030201 02000000") + bytes(8) + FIRST
    assert dh2c(flags=2).data == FILE_ID + FIRST + bytes.fromhex("02000000")


def test_contexts_that_exclude_one_another() -> None:
    """MS-SMB2 3.3.5.9.6, .7, .10 and .12; smb2.durable-v2-open.create-blob."""
    for some in combinations([DHNQ, DHNC, dh2q(), dh2c()], 2):
        if some == (DHNQ, DHNC):
            continue
        with pytest.raises(ValueError, match="exclude"):
            read(*some)


def test_before_3_0_nobody_knows_the_second_version() -> None:
    assert read(dh2q(), dialect=Dialect.SMB_2_1) is None
    assert read(CreateContext(SMB2_CREATE_DURABLE_HANDLE_RECONNECT_V2, b"?"), dialect=Dialect.SMB_2_1) is None
    assert read(DHNQ, dh2q(), dialect=Dialect.SMB_2_0_2) == DurableRequest(1)
    assert read(DHNC, dh2c(), dialect=Dialect.SMB_2_1) == Reconnect(1, 7)


@given(st.sampled_from([DHNQ, DHNC, dh2q(), dh2c()]), st.binary(max_size=64))
def test_contexts_of_a_wrong_size(context: CreateContext, data: bytes) -> None:
    if len(data) != len(context.data):
        with pytest.raises(ValueError, match="bytes of data"):
            read(CreateContext(context.name, data))
    else:
        assert read(CreateContext(context.name, data)) is not None


def test_opens_are_found_by_the_guids_of_their_client_and_of_their_own(world: DiskWorld) -> None:
    guids = world.dispatch.files.create_guids
    here, there = world.user(guid=HERE), world.user(guid=THERE)
    one = here.open("a", disposition=FILE_OPEN_IF, contexts=[dh2q()])
    two = here.open("a", disposition=FILE_OPEN_IF, contexts=[dh2q(SECOND)])
    other = there.open("a", contexts=[dh2q()])
    here.open("a", contexts=[DHNQ])
    assert len(guids) == 3
    found = [guids.find(*key) for key in ((HERE, FIRST), (HERE, SECOND), (THERE, FIRST))]
    assert [each.open.file_id for each in found if each is not None] == [
        int.from_bytes(file_id[:8], "little") for file_id in (one, two, other)
    ]
    assert guids.find(THERE, SECOND) is None
    here.shut(one)
    assert guids.find(HERE, FIRST) is None
    there.log_off()
    assert guids.find(THERE, FIRST) is None
    here.get(two)  # so its GUID is free again: its client has had the answer to its CREATE
    newer = here.open("a", contexts=[dh2q(SECOND)])
    here.shut(two)
    known = guids.find(HERE, SECOND)
    assert known is not None
    assert known.open.file_id == int.from_bytes(newer[:8], "little")


# --- granted


RWH, RH, RW, R = 7, 3, 5, 1
KEY, OTHER_KEY = b"k" * 16, b"l" * 16


def lease(state: int, key: bytes = KEY, version: int = 2) -> CreateContext:
    data = CreateLease(key, state) if version == 1 else CreateLeaseV2(key, state)
    return CreateContext(SMB2_CREATE_REQUEST_LEASE, data.pack())


def dhnc(file_id: bytes) -> CreateContext:
    return CreateContext(SMB2_CREATE_DURABLE_HANDLE_RECONNECT, CreateDurableHandleReconnect(file_id).pack())


def durable(client: FileClient, name: str = "a", asked: CreateContext | None = None, **options: Any) -> CreateResponse:
    """Open a file with a batch oplock, or with the lease that is given, and ask for durability (version 2)."""
    contexts = [asked or dh2q(), *options.pop("contexts", ())]
    leased = any(each.name == SMB2_CREATE_REQUEST_LEASE for each in contexts)
    options.setdefault("oplock", SMB2_OPLOCK_LEVEL_LEASE if leased else SMB2_OPLOCK_LEVEL_BATCH)
    options.setdefault("disposition", FILE_OPEN_IF)
    return client.opened(name, contexts=contexts, **options)


def granted(response: CreateResponse) -> float | None:
    """For how many seconds a file is kept, as an answer says; 0 where it does not say; None: it is not."""
    for each in response.contexts:
        if each.name == SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2:
            answer = CreateDurableHandleResponseV2.unpack(each.data)
            assert answer.flags == 0
            return answer.timeout / 1000
        if each.name == SMB2_CREATE_DURABLE_HANDLE_REQUEST:
            assert each.data == bytes(8)
            return 0
    return None


def id_of(response: CreateResponse) -> bytes:
    return bytes(response.file_id)


def session_of(client: FileClient) -> ServerSession:
    return client.connection.channels[client.session_id]


def the_open(world: DiskWorld) -> Open:
    """What is open, which is one file."""
    (opened,) = world.service.opens()
    return opened


@pytest.mark.parametrize("version", [1, 2])
def test_what_is_durable(world: DiskWorld, version: int) -> None:
    """MS-SMB2 3.3.5.9.6, 3.3.5.9.10 with note 342."""
    ann = world.user(guid=HERE)
    for number, (options, is_durable) in enumerate(
        [
            ({"oplock": SMB2_OPLOCK_LEVEL_BATCH}, True),
            ({"oplock": SMB2_OPLOCK_LEVEL_EXCLUSIVE}, False),
            ({"oplock": SMB2_OPLOCK_LEVEL_NONE}, False),
            ({"contexts": [lease(RWH, b"1" * 16)]}, True),
            ({"contexts": [lease(RH, b"2" * 16, version=1)]}, True),
            ({"contexts": [lease(RW, b"3" * 16)]}, False),
            ({"contexts": [lease(R, b"4" * 16)]}, False),
            ({"options": FILE_DIRECTORY_FILE}, False),
        ]
    ):
        asked = DHNQ if version == 1 else dh2q(bytes([number + 1]) * 16)
        answer = durable(ann, f"file{number}", asked, **options)  # type: ignore[arg-type]
        assert (granted(answer) is not None) is is_durable, options
        assert [opened.durable for opened in world.service.opens()][-1] is is_durable
    assert len(world.service.durable) == 3
    ann.log_off()
    assert sum(opened.preserved for opened in world.service.opens()) == 3
    world.advance(301)
    assert world.service.opens() == []
    assert len(world.service.durable) == 0


def test_guests_and_who_holds_less_get_none(world: DiskWorld) -> None:
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    bob.open("a", disposition=FILE_OPEN_IF)
    assert granted(durable(ann)) is None, "another has it open: there is no batch oplock"
    bob.log_off()
    world.share("open", world.folder, guest="write")
    guest = world.user("bob", "open")
    world.accounts.add_member("Guests", "bob")
    world.dispatch.scheduler.start(world.dispatch.watch.use_accounts(Accounts.parse(world.accounts.dump())))
    assert session_of(guest).session.guest
    assert granted(durable(guest, "b")) is None
    ann.log_off()
    guest.log_off()
    assert not any(opened.preserved for opened in world.service.opens())


@pytest.mark.parametrize(
    ("asked", "setting", "kept"),
    [
        (dh2q(timeout=0), 300, 60),
        (dh2q(timeout=1500), 300, 1.5),
        (dh2q(timeout=300_001), 300, 300),
        (dh2q(timeout=0xFFFFFFFF), 10, 10),
        (dh2q(timeout=0), 10, 10),
        (DHNQ, 300, 120),
        (DHNQ, 10, 10),
    ],
)
def test_for_how_long_it_is_kept(world: DiskWorld, asked: CreateContext, setting: int, kept: float) -> None:
    """Notes 335, 343 and 344; and never closed early (3.3.6.2)."""
    world.set(durable_timeout=setting)
    ann = world.user()
    answer = durable(ann, asked=asked)
    assert granted(answer) == (0 if asked is DHNQ else kept)
    world.disconnect(ann)
    opened = the_open(world)
    lost = world.now
    assert (opened.preserved, opened.kept_until) == (True, lost + kept)
    world.advance(kept - 0.001)
    assert opened.preserved
    assert world.service.opens() == [opened]
    world.advance(0.002)
    assert world.service.opens() == []
    closed = [event for event in world.events if isinstance(event, FileClosed)]
    assert [(event.reason, event.file.owner) for event in closed] == [(Reason.UNCLAIMED, "ann")]


def test_caps_refuse_the_durability_and_not_the_file(world: DiskWorld) -> None:
    world.set(limits=Limits(durable_opens=3, durable_opens_per_user=2))
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    asked = [granted(durable(ann, f"ann{number}", dh2q(bytes([number + 1]) * 16))) for number in range(3)]
    asked += [granted(durable(bob, f"bob{number}", dh2q(bytes([number + 1]) * 16))) for number in range(2)]
    assert asked == [60, 60, None, 60, None]
    world.disconnect(ann)
    assert granted(durable(bob, "more")) is None, "orphans count"
    world.advance(60)
    assert granted(durable(bob, "again", dh2q(SECOND))) == 60
    (portion,) = [each for each in world.service.portions if each.name == "files that clients may reclaim"]
    assert (portion.refused, portion.refused_last) == (3, "BOB")
    for number, off in enumerate((Limits(durable_opens=0), Limits(durable_opens_per_user=0))):
        world.set(limits=off)
        assert granted(durable(world.user(), f"none{number}", dh2q(bytes([100 + number]) * 16))) is None
    assert portion.refused == 3, "what is turned off is refused to nobody"


# --- kept or closed


def reclaimed(client: FileClient, file_id: bytes, name: str = "a", guid: bytes = FIRST, **options: Any) -> str:
    """What comes of reclaiming an open of version 2."""
    return client.status(name, contexts=[dh2c(file_id, guid), *options.pop("contexts", ())], **options)


def lost(world: DiskWorld, client: FileClient) -> None:
    world.disconnect(client)
    world.pump()


def logged_off(world: DiskWorld, client: FileClient) -> None:
    client.want(LogoffRequest(), tree_id=0)


def replaced(world: DiskWorld, client: FileClient) -> None:
    again = FileClient(world, guid=HERE)
    again.negotiate()
    again.log_on("ann", previous=client.session_id)


def disconnected_tree(world: DiskWorld, client: FileClient) -> None:
    client.want(TreeDisconnectRequest())


def deleted(world: DiskWorld, client: FileClient) -> None:
    admin = world.connect().log_on("admin").bind()
    assert admin.call(NetrSessionDel(None, None, "ann")).status == 0


def closed_by_administrator(world: DiskWorld, client: FileClient) -> None:
    admin = world.connect().log_on("admin").bind()
    number = next(opened.global_id for opened in world.service.opens() if opened.path.endswith("a"))
    assert admin.call(NetrFileClose(None, number)).status == 0


@pytest.mark.parametrize(
    ("end", "kept"),
    [
        (lost, True),
        (logged_off, True),
        (replaced, True),
        (disconnected_tree, False),
        (deleted, False),
        (closed_by_administrator, False),
    ],
)
def test_what_it_outlives(world: DiskWorld, end: Any, kept: bool) -> None:
    """MS-SMB2 3.3.7.1, 3.3.5.6, 3.3.5.5.3, 3.3.5.8, 3.3.4.12 and 3.3.4.17."""
    ann = world.user(guid=HERE)
    file_id = id_of(durable(ann))
    end(world, ann)
    world.pump()
    assert [opened.preserved for opened in world.service.opens() if opened.path.endswith("/a")] == [True] * kept
    again = world.user(guid=HERE)
    assert reclaimed(again, file_id) == ("STATUS_SUCCESS" if kept else "STATUS_OBJECT_NAME_NOT_FOUND")


def test_an_orphan_is_in_the_list_of_files_without_a_user_and_in_no_session(world: DiskWorld) -> None:
    """MS-SMB2 3.3.4.20; records and events say whose it is, and until when."""
    (state,) = world.answer(world.service.describe(100))
    world.service.subscribe(state.apply)
    ann = world.user()
    file_id = id_of(durable(ann))
    number = the_open(world).global_id
    assert state.files[number].durable
    world.disconnect(ann)
    admin = world.connect().log_on("admin").bind()
    assert [entry.user_name for entry in admin.call(NetrSessionEnum(None, None, None, 10)).entries] == ["admin"]
    files = [entry for entry in admin.call(NetrFileEnum(None, None, None, 3)).entries if "PIPE" not in entry.path]
    assert [(entry.id, entry.user_name) for entry in files] == [(number, "")]
    kept = state.files[number]
    assert (kept.session_id, kept.user_name, kept.client_name, kept.owner) == (0, "", "", "ann")
    assert (kept.durable, kept.expires_at) == (True, 1.7e9 + world.now + 60)
    again = world.user()
    assert reclaimed(again, file_id) == "STATUS_SUCCESS"
    back = state.files[number]
    assert (back.user_name, back.owner, back.expires_at, back.durable) == ("ann", "", 0, True)
    kinds = [
        type(event)
        for event in world.events
        if isinstance(event, FileOpened | FilePreserved | FileReclaimed | FileClosed)
    ]
    assert [kind for kind in kinds if kind is not FileOpened] == [FilePreserved, FileReclaimed]
    # The list and the sum of events agree.
    assert world.answer(world.service.describe(100)) == [state]


def test_a_break_that_nobody_answers_for_is_not_outlived(world: DiskWorld) -> None:
    """3.3.7.1: its oplock must be Held."""
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    durable(ann)
    number = bob.send(bob.create("a"))
    assert ann.breaks
    assert bob.result(number) == ""
    world.disconnect(ann)
    world.pump()
    assert bob.result(number) == "STATUS_SUCCESS"
    assert [opened.user_name for opened in world.service.opens()] == ["bob"]


@pytest.mark.parametrize("leased", [False, True])
@pytest.mark.parametrize(
    ("wants", "stays"),
    [
        ({"access": FILE_READ_ATTRIBUTES}, True),
        ({"access": READ}, False),
        ({"disposition": FILE_OVERWRITE}, False),
    ],
)
def test_what_an_orphan_gives_way_to(world: DiskWorld, leased: bool, wants: dict[str, int], stays: bool) -> None:
    """3.3.4.6 and 3.3.4.7: nobody can be told."""
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    durable(ann, contexts=[lease(RWH)] if leased else [], share=0)
    world.disconnect(ann)
    assert bob.status("a", **wants) == "STATUS_SUCCESS"
    assert any(opened.preserved for opened in world.service.opens()) is stays
    closed = [event.reason for event in world.events if isinstance(event, FileClosed)]
    assert closed == ([] if stays else [Reason.GAVE_WAY])


def test_readers_leave_an_orphan_with_a_lease_to_read_alone(world: DiskWorld) -> None:
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    kept = durable(ann, contexts=[lease(RH)])
    world.disconnect(ann)
    assert bob.status("a", access=READ) == "STATUS_SUCCESS"
    again = world.user(guid=HERE)
    assert reclaimed(again, id_of(kept), contexts=[lease(R)]) == "STATUS_SUCCESS"


def test_a_lease_that_loses_h_closes_its_orphans(world: DiskWorld) -> None:
    """They could not be reclaimed, and would be in the way of the others for nothing."""
    first, second = world.user(guid=HERE), world.user(guid=HERE)
    durable(first, contexts=[lease(RWH)], share=7)
    live = id_of(durable(second, asked=dh2q(SECOND), contexts=[lease(RWH)], share=7))
    world.disconnect(first)
    assert sum(opened.preserved for opened in world.service.opens()) == 1
    bob = world.user("bob", guid=THERE)
    number = bob.send(bob.create("a", share=0))
    assert bob.result(number) == "", "it waits for the client that is there"
    second.shut(live)
    world.pump()
    assert bob.result(number) == "STATUS_SUCCESS"
    assert [opened.user_name for opened in world.service.opens()] == ["bob"]


def test_what_is_to_be_deleted_goes_with_the_orphan_and_makes_room(world: DiskWorld) -> None:
    """smb2.durable-open.delete_on_close1 and 2: the file that is opened then is another one."""
    ann = world.user(guid=HERE)
    durable(ann, options=FILE_DELETE_ON_CLOSE, asked=DHNQ)
    world.disconnect(ann)
    assert (world.folder / "a").exists()
    bob = world.user("bob", guid=THERE)
    assert bob.opened("a", disposition=FILE_OPEN_IF).create_action == 2, "created"
    assert [opened.user_name for opened in world.service.opens()] == ["bob"]
    bob.log_off()
    again = world.user()
    durable(again, "b", options=FILE_DELETE_ON_CLOSE)
    world.disconnect(again)
    world.advance(61)
    assert not (world.folder / "b").exists()


def test_locks_and_the_name_stay(world: DiskWorld) -> None:
    ann = world.user(guid=HERE)
    file_id = id_of(durable(ann, contexts=[lease(RWH)]))
    ann.want(WriteRequest(b"0123456789", file_id=file_id))
    ann.want(LockRequest(file_id, [LockElement(0, 4, SMB2_LOCKFLAG_EXCLUSIVE_LOCK)]))
    new = "b".encode("utf-16-le")
    ann.want(
        SetInfoRequest(1, FILE_RENAME_INFORMATION, bytes(16) + len(new).to_bytes(4, "little") + new, file_id=file_id)
    )
    world.disconnect(ann)
    assert the_open(world).num_locks == 1
    again = world.user(guid=HERE)
    assert reclaimed(again, file_id, "a", contexts=[lease(RWH)]) == "STATUS_INVALID_PARAMETER", "it is called b now"
    answer = again.opened("b", contexts=[dh2c(file_id), lease(RWH)])
    assert (answer.end_of_file, answer.create_action, answer.oplock_level) == (10, 1, SMB2_OPLOCK_LEVEL_LEASE)
    new_id = id_of(answer)
    assert new_id[:8] == file_id[:8]
    assert new_id[8:] != file_id[8:]
    assert again.get(file_id).status == codes.STATUS_FILE_CLOSED
    again.want(LockRequest(new_id, [LockElement(0, 4, SMB2_LOCKFLAG_UNLOCK)]))
    assert the_open(world).num_locks == 0


# --- reclaimed


def test_who_may_not_reclaim_it(world: DiskWorld, tmp_path: Path) -> None:
    """MS-SMB2 3.3.5.9.12, check by check; and who may comes last."""
    (tmp_path / "other").mkdir()
    world.share("other", tmp_path / "other")
    ann = world.user(guid=HERE)
    file_id = id_of(durable(ann, contexts=[lease(RWH)]))
    again = world.user(guid=HERE)
    with_lease: dict[str, Any] = {"contexts": [lease(RWH)]}
    assert reclaimed(again, file_id, **with_lease) == "STATUS_OBJECT_NAME_NOT_FOUND", "it is open"
    world.disconnect(ann)
    unknown = pack_file_id(999, 1)
    client, user = world.user(guid=THERE), world.user("bob", guid=HERE)
    attempts: list[tuple[FileClient, dict[str, Any], str]] = [
        (again, {"file_id": unknown, **with_lease}, "STATUS_OBJECT_NAME_NOT_FOUND"),
        (client, with_lease, "STATUS_OBJECT_NAME_NOT_FOUND"),
        (again, {"guid": SECOND, **with_lease}, "STATUS_OBJECT_NAME_NOT_FOUND"),
        (again, {}, "STATUS_OBJECT_NAME_NOT_FOUND"),
        (again, {"name": "other"}, "STATUS_OBJECT_NAME_NOT_FOUND"),
        (again, {"contexts": [lease(RWH, OTHER_KEY)]}, "STATUS_OBJECT_NAME_NOT_FOUND"),
        (again, {"contexts": [lease(RWH, version=1)]}, "STATUS_OBJECT_NAME_NOT_FOUND"),
        (again, {"contexts": [CreateContext(SMB2_CREATE_REQUEST_LEASE, bytes(31))]}, "STATUS_INVALID_PARAMETER"),
        (again, {"name": "other", **with_lease}, "STATUS_INVALID_PARAMETER"),
        (again, {"name": r"\a", **with_lease}, "STATUS_INVALID_PARAMETER"),
        (user, with_lease, "STATUS_ACCESS_DENIED"),
        (world.user(share="other", guid=HERE), with_lease, "STATUS_INVALID_PARAMETER"),
    ]
    for who, why, status in attempts:
        assert reclaimed(who, **{"file_id": file_id, **why}) == status, why
    flagged = [dh2c(file_id, flags=SMB2_DHANDLE_FLAG_PERSISTENT), lease(RWH)]
    assert again.status("a", contexts=flagged) == "STATUS_INVALID_PARAMETER"
    assert again.status("a", contexts=[dh2c(file_id), DHNQ, lease(RWH)]) == "STATUS_INVALID_PARAMETER"
    world.service.change_access(
        the_open(world).tree_connect.share,
        readers=None,
        writers=frozenset({"bob"}),
        guest="",
        hidden=False,
        device_names=False,
    )
    reader = world.user(guid=HERE)  # before the look that closes what is kept
    assert reclaimed(reader, file_id, **with_lease) == "STATUS_ACCESS_DENIED", "ann may only read by now"
    world.service.change_access(
        the_open(world).tree_connect.share, readers=None, writers=None, guest="", hidden=False, device_names=False
    )
    world.dispatch.watch.reassess()
    assert reclaimed(again, file_id, **with_lease) == "STATUS_SUCCESS"
    assert reclaimed(again, file_id, **with_lease) == "STATUS_OBJECT_NAME_NOT_FOUND", "nobody has it twice"


def test_with_an_oplock_neither_name_nor_client_matter(world: DiskWorld, tmp_path: Path) -> None:
    """3.3.5.9.7; smb2.durable-open.reopen2: all else is ignored as well."""
    (tmp_path / "other").mkdir()
    world.share("other", tmp_path / "other")
    ann = world.user(guid=HERE)
    file_id = id_of(durable(ann, asked=DHNQ))
    world.disconnect(ann)
    again, bob = world.user(guid=THERE), world.user("bob")
    assert again.status("a", contexts=[dhnc(file_id), lease(RWH)]) == "STATUS_OBJECT_NAME_NOT_FOUND"
    assert bob.status("a", contexts=[dhnc(file_id)]) == "STATUS_ACCESS_DENIED"
    other = world.user(share="other")
    assert other.status("a", contexts=[dhnc(file_id)]) == "STATUS_OBJECT_NAME_NOT_FOUND"
    odd = {"access": 0, "share": 0x12345678, "disposition": 99, "options": 0x12345678, "oplock": 0x78}
    answer = again.opened("not there", contexts=[dhnc(file_id), DHNQ], **odd)
    assert (answer.oplock_level, answer.create_action, answer.contexts) == (SMB2_OPLOCK_LEVEL_BATCH, 1, [])
    assert again.get(id_of(answer)).status == codes.STATUS_END_OF_FILE


def test_a_reclaimed_open_is_durable_again(world: DiskWorld) -> None:
    ann = world.user()
    file_id = id_of(durable(ann))
    for _ in range(3):
        world.disconnect(ann)
        world.advance(59)
        ann = world.user()
        file_id = id_of(ann.opened("a", contexts=[dh2c(file_id)]))
    ann.shut(file_id)
    assert world.service.opens() == []
    assert (len(world.service.durable), world.service.durable.any_preserved) == (0, False)


def test_who_is_told_of_a_break_after_reclaiming(world: DiskWorld) -> None:
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    file_id = id_of(durable(ann))
    world.disconnect(ann)
    again = world.user()
    again.want(again.create("a", contexts=[dh2c(file_id)]))
    number = bob.send(bob.create("a"))
    assert again.breaks
    assert bob.result(number) == ""


# --- ended from outside


def test_orphans_end_with_their_share_their_account_and_the_service(world: DiskWorld, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    share = world.share("other", tmp_path / "other")
    clients = [world.user("ann", "other"), world.user("bob"), world.user("ann")]
    for number, client in enumerate(clients):
        durable(client, f"file{number}", dh2q(bytes([number + 1]) * 16))
        world.disconnect(client)
    world.pump()
    assert [opened.owner[0] for opened in world.service.opens()] == ["ann", "bob", "ann"]
    world.service.remove_share(share)
    assert [opened.owner[0] for opened in world.service.opens()] == ["bob", "ann"]
    world.dispatch.watch.start(world.now)
    world.accounts = Accounts.parse(world.accounts.dump())
    world.accounts.change("bob", disabled=True)
    world.advance(3)
    assert [opened.owner[0] for opened in world.service.opens()] == ["ann"]
    world.service.stop()
    assert world.service.opens() == []
    reasons = [event.reason for event in world.events if isinstance(event, FileClosed)]
    assert reasons == [Reason.SHARE_DELETED, Reason.ACCOUNT, Reason.STOPPED]


def test_orphans_end_when_their_group_or_their_share_takes_the_right_away(world: DiskWorld) -> None:
    """As what a live session has open is closed, and no other's is."""
    world.accounts.add_group("Writers")
    for name in ("ann", "bob"):
        world.accounts.add_member("Writers", name)
    share = world.share("group", world.folder, writers=frozenset({"Writers"}))
    for number, name in enumerate(("ann", "bob")):
        client = world.user(name, "group")
        durable(client, f"of {name}", dh2q(bytes([number + 1]) * 16))
        world.disconnect(client)
    world.dispatch.watch.start(world.now)
    world.advance(3)
    assert [opened.owner[0] for opened in world.service.opens()] == ["ann", "bob"]
    world.accounts = Accounts.parse(world.accounts.dump())
    world.accounts.remove_member("Writers", "ann")
    world.advance(3)
    assert [opened.owner[0] for opened in world.service.opens()] == ["bob"]
    share.writers = frozenset({"admin"})
    world.dispatch.watch.reassess()
    assert world.service.opens() == []
    assert [event.reason for event in world.events if isinstance(event, FileClosed)] == [Reason.RIGHTS, Reason.RIGHTS]


def test_what_was_left_to_removed_accounts_ends_when_the_setting_is_turned_on(world: DiskWorld) -> None:
    world.set(end_sessions_of_removed_accounts=False)
    for number, name in enumerate(("ann", "bob")):
        client = world.user(name)
        durable(client, f"of {name}", dh2q(bytes([number + 1]) * 16))
        if name == "ann":
            world.disconnect(client)
    world.dispatch.watch.start(world.now)
    world.accounts = Accounts.parse(world.accounts.dump())
    for name in ("ann", "bob"):
        world.accounts.delete(name)
    world.advance(5)
    assert [opened.owner[0] for opened in world.service.opens()] == ["ann", "bob"]
    world.set(end_sessions_of_removed_accounts=True)
    world.advance(3)
    assert world.service.opens() == []
    assert world.service.sessions() == []


def test_an_administrators_order_hits_the_orphan_and_no_other_file(world: DiskWorld) -> None:
    """Its id stays and is given to no other file; who would reclaim it afterwards has it not."""
    ann, bob = world.user(guid=HERE), world.user("bob", guid=THERE)
    file_id = id_of(durable(ann))
    bobs = bob.open("b", disposition=FILE_OPEN_IF)
    number = next(opened.global_id for opened in world.service.opens() if opened.path.endswith("/a"))
    world.disconnect(ann)
    admin = world.connect().log_on("admin").bind()
    entry = admin.call(NetrFileGetInfo(None, number, 3)).info
    assert (entry.id, entry.user_name, entry.path.endswith("a")) == (number, "", True)
    assert admin.call(NetrFileEnum(None, None, "ann", 3)).entries == []
    assert admin.call(NetrFileClose(None, number)).status == 0
    assert admin.call(NetrFileClose(None, number)).status == codes.NERR_FileIdNotFound
    assert reclaimed(world.user(guid=HERE), file_id) == "STATUS_OBJECT_NAME_NOT_FOUND"
    newer = bob.open("a", disposition=FILE_OPEN_IF)
    assert number not in [opened.global_id for opened in world.service.opens()]
    bob.want(WriteRequest(b"x", file_id=bobs))
    bob.want(WriteRequest(b"x", file_id=newer))


def test_the_open_is_orphaned_when_the_last_channel_is_gone(world: DiskWorld) -> None:
    first, second = FileClient(world, guid=HERE), FileClient(world, guid=HERE)
    first.negotiate()
    second.negotiate()
    first.log_on("ann")
    first.tree_connect(r"\\server\share")
    second.bind_to(first)
    durable(first)
    world.disconnect(first)
    assert not the_open(world).preserved
    world.disconnect(second)
    assert the_open(world).preserved


@pytest.mark.parametrize("number", [2000, pytest.param(10_000, marks=pytest.mark.long)])
def test_many_orphans_are_closed_in_slices(tmp_path: Path, number: int) -> None:
    """Many end at one time: each turn of the event loop closes so many, and the heap keeps nothing of them."""
    with emptied_world(tmp_path / "folder") as world:
        world.set(limits=Limits(durable_opens=2 * number, durable_opens_per_user=number))
        world.files.limit = 2 * number
        ann = world.user()
        for each in range(number):
            durable(ann, f"file{each}", dh2q((each + 1).to_bytes(16, "little")))
        world.disconnect(ann)
        world.pump()
        assert sum(opened.preserved for opened in world.service.opens()) == number
        world.now += 60
        left = []
        while world.service.opens():
            world.dispatch.expire(world.now)
            left.append(len(world.service.opens()))
        assert left == [max(0, number - 64 * turn) for turn in range(1, -(-number // 64) + 1)]
        assert (len(world.service.durable), world.service.durable.next()) == (0, None)


# --- a client that reconnects


BLOCKS = 6


class Reconnecting:
    """A client that writes blocks to a file, each at its place, and goes on when its connection is lost: it logs on
    again, reclaims its file, and repeats what was not acknowledged."""

    def __init__(self, world: DiskWorld, version: int, leased: bool) -> None:
        self.world, self.version, self.leased = world, version, leased
        self.acknowledged = 0
        self.file_id = b""
        self.closing = self.lost = False
        self.session_id = 0
        self.client: FileClient | None = None

    def log_on(self) -> FileClient:
        self.client = client = FileClient(self.world, guid=HERE)
        client.negotiate()
        client.log_on("ann", previous=self.session_id)
        self.session_id = client.session_id
        client.tree_connect(r"\\server\share")
        return client

    def contexts(self) -> list[CreateContext]:
        if self.file_id:
            first = dhnc(self.file_id) if self.version == 1 else dh2c(self.file_id)
        else:
            first = DHNQ if self.version == 1 else dh2q()
        return [first, lease(RWH)] if self.leased else [first]

    def run(self) -> None:
        client = self.log_on()
        level = SMB2_OPLOCK_LEVEL_LEASE if self.leased else SMB2_OPLOCK_LEVEL_BATCH
        asks = client.create("a", disposition=FILE_OPEN_IF, oplock=level, contexts=self.contexts())
        answer = client.ask(asks)
        if self.file_id and answer.status == codes.STATUS_OBJECT_NAME_NOT_FOUND and self.closing:
            return  # its CLOSE had arrived
        if answer.status == codes.STATUS_DUPLICATE_OBJECTID:
            # It does not know what its CREATE has led to, and waits until the Server lets go of that.
            self.world.advance(61)
            answer = client.ask(asks)
        assert isinstance(answer.message, CreateResponse), codes.ntstatus_name(answer.status)
        self.file_id = id_of(answer.message)
        while self.acknowledged < BLOCKS:
            data = bytes([self.acknowledged]) * 100
            client.want(WriteRequest(data, offset=100 * self.acknowledged, file_id=self.file_id))
            self.acknowledged += 1
        self.closing = True
        client.shut(self.file_id)

    def run_cut(self, after: list[int]) -> int:
        """Cut the wire after so many writes of either side, again and again. How often it was cut."""
        cuts = 0
        while True:
            self.world.cut_after = after[cuts] if cuts < len(after) else None
            self.world.writes = count(1)
            try:
                self.run()
            except Cut:
                cuts += 1
                assert self.client is not None
                self.world.cut_after = None
                self.world.disconnect(self.client)
                self.world.pump()
                written = (self.world.folder / "a").read_bytes() if self.acknowledged else b""
                assert written[: 100 * self.acknowledged] == whole()[: 100 * self.acknowledged]
            else:
                return cuts


def whole() -> bytes:
    return b"".join(bytes([number]) * 100 for number in range(BLOCKS))


@pytest.mark.parametrize(("version", "leased"), [(1, False), (1, True), (2, False), (2, True)])
def test_a_client_that_is_cut_off_at_any_message_goes_on(tmp_path: Path, version: int, leased: bool) -> None:
    """No acknowledged byte is lost, and nothing stays open, wherever the connection is lost, once or twice."""
    after = 1
    while True:
        for second in (None, 9, 13):
            with emptied_world(tmp_path / f"{after}-{second}") as world:
                client = Reconnecting(world, version, leased)
                cuts = client.run_cut([after] if second is None else [after, second])
                assert (world.folder / "a").read_bytes() == whole()
                world.advance(121)
                assert not world.service.opens()
        if not cuts:
            break
        after += 1
    assert after > 2 * BLOCKS + 10
