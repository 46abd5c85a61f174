"""What the disk still does for a client that is gone, and who opens the file meanwhile: nothing that was acknowledged
is overwritten by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lanman import codes
from lanman.fscc.files import FILE_END_OF_FILE_INFORMATION, FILE_RENAME_INFORMATION, FileRenameInformation
from lanman.rpc.srvsvc.files import NetrFileClose
from lanman.rpc.srvsvc.sessions import NetrSessionDel
from lanman.server.disk_effects import CopyFileRange, OpenFile, OverwriteFile, RenameFile, SetFile, WriteFile
from lanman.server.effects import Effect
from lanman.smb2.constants import (
    FILE_CREATE,
    FILE_OPEN,
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


# --- renames


def rename_to(name: str, file_id: bytes, *, replace: bool = True) -> Message:
    data = FileRenameInformation(replace, 0, name).pack()
    return SetInfoRequest(1, FILE_RENAME_INFORMATION, data, file_id=file_id)


def leave_a_late_rename(world: DiskWorld, *, replace: bool = True) -> None:
    """ann renames a to b, and is gone before the disk has done it."""
    (world.folder / "a").write_bytes(b"from a")
    ann = world.user()
    file_id = ann.open("a")
    hold_the_first(world, RenameFile)
    ann.send(rename_to("b", file_id, replace=replace))
    world.disconnect(ann)


def waited(world: DiskWorld, client: FileClient, message: Message) -> str:
    """The result of what is answered only when the disk has done what was held."""
    number = client.send(message)
    assert client.result(number) == "", "it waits"
    world.let_go()
    world.advance(0)
    assert not world.dispatch.files.moving
    return client.result(number)


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("disposition", [FILE_OPEN_IF, FILE_OVERWRITE_IF])
@pytest.mark.parametrize("name", ["b", "B"])
def test_what_is_written_is_not_replaced_by_a_late_rename(
    world: DiskWorld, there: bool, disposition: int, name: str
) -> None:
    if there:
        (world.folder / "b").write_bytes(b"old")
    leave_a_late_rename(world)
    bob = world.user("bob")
    number = bob.send(bob.create(name, disposition=disposition))
    assert bob.result(number) == "", "it waits"
    world.let_go()
    world.advance(0)
    response = bob.answers[number].message
    assert isinstance(response, CreateResponse)
    bob.want(WriteRequest(b"written", file_id=bytes(response.file_id)))
    assert {each.name: each.read_bytes() for each in world.folder.iterdir()} == {"b": b"written"}
    assert not world.dispatch.files.moving


def test_a_name_is_not_created_that_a_late_rename_gives(world: DiskWorld) -> None:
    leave_a_late_rename(world)
    bob = world.user("bob")
    assert waited(world, bob, bob.create("b", disposition=FILE_CREATE)) == "STATUS_OBJECT_NAME_COLLISION"


def test_nor_one_created_first_that_it_takes_away(world: DiskWorld) -> None:
    leave_a_late_rename(world)
    bob = world.user("bob")
    assert waited(world, bob, bob.create("a", disposition=FILE_OPEN)) == "STATUS_OBJECT_NAME_NOT_FOUND"


def test_a_name_is_given_to_something_else_when_a_late_rename_has_given_it(world: DiskWorld) -> None:
    (world.folder / "c").write_bytes(b"from c")
    leave_a_late_rename(world)
    bob = world.user("bob")
    assert waited(world, bob, rename_to("b", bob.open("c"))) == "STATUS_SUCCESS"
    assert {each.name: each.read_bytes() for each in world.folder.iterdir()} == {"b": b"from c"}


def test_through_another_share_the_name_is_the_same(world: DiskWorld) -> None:
    (world.folder / "sub").mkdir()
    (world.folder / "sub" / "a").write_bytes(b"from a")
    world.share("inner", world.folder / "sub")
    ann = world.user()
    file_id = ann.open(r"sub\a")
    hold_the_first(world, RenameFile)
    ann.send(rename_to(r"sub\b", file_id))
    world.disconnect(ann)
    bob = world.user("bob", share="inner")
    assert waited(world, bob, bob.create("b", disposition=FILE_CREATE)) == "STATUS_OBJECT_NAME_COLLISION"


def test_what_the_disk_was_opening_when_a_rename_began_is_looked_at_again(world: DiskWorld) -> None:
    (world.folder / "a").write_bytes(b"from a")
    (world.folder / "b").write_bytes(b"old")
    ann, bob = world.user(), world.user("bob")
    file_id = ann.open("a")
    held: list[Effect[Any]] = []

    def hold_the_answer(effect: Effect[Any]) -> bool:
        """bob's file is opened, and he hears of it after the rename has begun; which is the next to be held."""
        if isinstance(effect, OpenFile | RenameFile):
            held.append(effect)
        return isinstance(effect, OpenFile | RenameFile)

    world.held = hold_the_answer
    number = bob.send(bob.create("b"))
    ann.send(rename_to("b", file_id))
    assert [type(each) for each in held] == [OpenFile, RenameFile]
    world.disconnect(ann)
    world.let_go()  # in this order
    world.advance(0)
    response = bob.answers[number].message
    assert isinstance(response, CreateResponse)
    bob.want(WriteRequest(b"written", file_id=bytes(response.file_id)))
    assert (world.folder / "b").read_bytes() == b"written"


def test_a_file_that_was_created_under_a_late_rename_is_made_once_more(world: DiskWorld) -> None:
    """The disk had made it before, and has put another one in its place."""
    (world.folder / "a").write_bytes(b"from a")
    ann, bob = world.user(), world.user("bob")
    file_id = ann.open("a")
    world.held = lambda effect: isinstance(effect, OpenFile | RenameFile)
    number = bob.send(bob.create("b", disposition=FILE_CREATE))
    ann.send(rename_to("b", file_id))
    world.disconnect(ann)
    world.let_go()
    world.advance(0)
    assert bob.result(number) == "STATUS_OBJECT_NAME_COLLISION"
    assert {each.name: each.read_bytes() for each in world.folder.iterdir()} == {"b": b"from a"}


def test_a_rename_that_fails_late_lets_go_of_the_name(world: DiskWorld) -> None:
    leave_a_late_rename(world, replace=False)
    (world.folder / "b").write_bytes(b"there")
    bob = world.user("bob")
    assert waited(world, bob, bob.create("b")) == "STATUS_SUCCESS"
    assert (world.folder / "a").read_bytes() == b"from a"


def test_who_reads_does_not_wait_for_a_rename_either(world: DiskWorld) -> None:
    (world.folder / "b").write_bytes(b"old")
    leave_a_late_rename(world)
    bob = world.user("bob")
    assert bob.status("b", access=READ) == "STATUS_SUCCESS"


def test_who_waits_for_a_rename_may_give_up(world: DiskWorld) -> None:
    leave_a_late_rename(world)
    bob = world.user("bob")
    number = bob.send(bob.create("b", disposition=FILE_OPEN_IF))
    bob.core.cancel(number)
    world.pump()
    assert bob.result(number) == codes.ntstatus_name(codes.STATUS_CANCELLED)
