"""What the disk still does for a client that is gone, and who opens the file meanwhile: nothing that was acknowledged
is overwritten by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lanman import codes
from lanman.fscc.files import FILE_END_OF_FILE_INFORMATION
from lanman.rpc.srvsvc.files import NetrFileClose
from lanman.rpc.srvsvc.sessions import NetrSessionDel
from lanman.server.disk_effects import CopyFileRange, OverwriteFile, SetFile, WriteFile
from lanman.server.effects import Effect
from lanman.smb2.constants import (
    FILE_CREATE,
    FILE_OPEN_IF,
    FILE_OVERWRITE_IF,
    FSCTL_SRV_COPYCHUNK,
    FSCTL_SRV_REQUEST_RESUME_KEY,
    SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2,
    SMB2_OPLOCK_LEVEL_BATCH,
    SMB2_OPLOCK_LEVEL_NONE,
)
from lanman.smb2.messages import (
    CopyChunk,
    CopyChunkCopy,
    CreateContext,
    CreateDurableHandleV2,
    CreateResponse,
    IoctlRequest,
    IoctlResponse,
    Message,
    SetInfoRequest,
    WriteRequest,
)
from support.disk_server import READ, DiskWorld, FileClient, emptied_world

DURABLE = CreateContext(SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2, CreateDurableHandleV2(0, 0, b"g" * 16).pack())


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DiskWorld]:
    with emptied_world(tmp_path / "folder") as world:
        yield world
        for client in list(world.clients.values()):
            world.disconnect(client)
        world.let_go()
        world.advance(1000)
        assert not world.dispatch.files._states


def hold_the_first(world: DiskWorld, kind: type[Effect[Any]]) -> None:
    """The disk is busy with one effect of that kind, and no other."""
    held = list[object]()

    def hold(effect: Effect[Any]) -> bool:
        if isinstance(effect, kind) and not held:
            held.append(effect)
            return True
        return False

    world.held = hold


def write(client: FileClient, file_id: bytes) -> Message:
    return WriteRequest(b"1111", file_id=file_id)


def empty(client: FileClient, file_id: bytes) -> Message:
    return SetInfoRequest(1, FILE_END_OF_FILE_INFORMATION, bytes(8), file_id=file_id)


def copy(client: FileClient, file_id: bytes) -> Message:
    source = client.open("source")
    answer = client.want(IoctlRequest(FSCTL_SRV_REQUEST_RESUME_KEY, source, max_output_response=32))
    assert isinstance(answer, IoctlResponse)
    asked = CopyChunkCopy(bytes(answer.output[:24]), 1).pack() + CopyChunk(0, 0, 4).pack()
    return IoctlRequest(FSCTL_SRV_COPYCHUNK, file_id, asked, max_output_response=12)


def lost(world: DiskWorld, client: FileClient) -> None:
    world.disconnect(client)


def deleted(world: DiskWorld, client: FileClient) -> None:
    admin = world.connect().log_on("admin").bind()
    assert admin.call(NetrSessionDel(None, None, "ann")).status == 0


def closed(world: DiskWorld, client: FileClient) -> None:
    admin = world.connect().log_on("admin").bind()
    number = next(opened.global_id for opened in world.service.opens() if opened.path.endswith("/a"))
    assert admin.call(NetrFileClose(None, number)).status == 0


def then_overwritten(world: DiskWorld, user: str = "ann", **options: Any) -> None:
    """Somebody opens the file and writes: not before the disk has done what it does for the one before."""
    again = world.user(user, guid=b"\x33" * 16)
    number = again.send(again.create("a", **options))
    assert again.result(number) == "", "it waits"
    world.let_go()
    world.advance(0)
    assert again.result(number) == "STATUS_SUCCESS"
    response = again.answers[number].message
    assert isinstance(response, CreateResponse)
    again.want(WriteRequest(b"2222", file_id=bytes(response.file_id)))
    assert (world.folder / "a").read_bytes() == b"2222"


@pytest.mark.parametrize("end", [lost, deleted, closed])
@pytest.mark.parametrize(("request_of", "kind"), [(write, WriteFile), (empty, SetFile), (copy, CopyFileRange)])
def test_a_file_is_opened_to_be_changed_when_the_disk_has_done_what_went_before(
    world: DiskWorld,
    request_of: Callable[[FileClient, bytes], Message],
    kind: type[Effect[Any]],
    end: Callable[[DiskWorld, FileClient], None],
) -> None:
    (world.folder / "source").write_bytes(b"3333")
    ann = world.user()
    request = request_of(ann, ann.open("a", disposition=FILE_CREATE))
    hold_the_first(world, kind)
    ann.send(request)
    end(world, ann)
    then_overwritten(world)


def test_an_overwriting_create_that_was_cut_off_empties_nothing_later(world: DiskWorld) -> None:
    (world.folder / "a").write_bytes(b"old")
    ann = world.user()
    hold_the_first(world, OverwriteFile)
    ann.send(ann.create("a", disposition=FILE_OVERWRITE_IF))
    world.disconnect(ann)
    then_overwritten(world, disposition=FILE_OVERWRITE_IF)


def test_what_gives_way_has_no_write_under_way(world: DiskWorld) -> None:
    """A durable open is closed for somebody else, while the disk is still busy for its client."""
    ann = world.user()
    file_id = ann.open("a", disposition=FILE_CREATE, contexts=[DURABLE], oplock=SMB2_OPLOCK_LEVEL_BATCH)
    hold_the_first(world, WriteFile)
    ann.send(write(ann, file_id))
    world.disconnect(ann)
    assert [opened.preserved for opened in world.service.opens()] == [True]
    then_overwritten(world, "bob")
    assert [opened.user_name for opened in world.service.opens()] == ["bob"]


def test_who_reads_does_not_wait(world: DiskWorld) -> None:
    ann = world.user()
    file_id = ann.open("a", disposition=FILE_CREATE)
    hold_the_first(world, WriteFile)
    ann.send(write(ann, file_id))
    world.disconnect(ann)
    bob = world.user("bob")
    number = bob.send(bob.create("a", access=READ, oplock=SMB2_OPLOCK_LEVEL_NONE))
    assert bob.result(number) == "STATUS_SUCCESS"


def test_who_waits_may_give_up(world: DiskWorld) -> None:
    ann = world.user()
    file_id = ann.open("a", disposition=FILE_CREATE)
    hold_the_first(world, WriteFile)
    ann.send(write(ann, file_id))
    world.disconnect(ann)
    again = world.user()
    number = again.send(again.create("a", disposition=FILE_OPEN_IF))
    again.core.cancel(number)
    world.pump()
    assert again.result(number) == codes.ntstatus_name(codes.STATUS_CANCELLED)
    world.let_go()
    assert world.service.opens() == []
