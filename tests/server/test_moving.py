"""Directories that the disk is renaming, and who opens or renames something below meanwhile: what is open is known by
the path at which it is."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lanman import codes
from lanman.fscc.files import FILE_RENAME_INFORMATION, FileRenameInformation
from lanman.server.disk_effects import LookUp, OpenFile, RenameFile
from lanman.server.effects import Effect
from lanman.server.files.moving import Moving
from lanman.smb2.constants import (
    FILE_CREATE,
    FILE_DIRECTORY_FILE,
    FILE_OPEN,
    FILE_OPEN_IF,
    FILE_OVERWRITE_IF,
    SMB2_OPLOCK_LEVEL_BATCH,
)
from lanman.smb2.messages import (
    ChangeNotifyRequest,
    CloseRequest,
    CreateResponse,
    Message,
    SetInfoRequest,
    WriteRequest,
)
from support.disk_server import READ, DiskWorld, FileClient, emptied_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DiskWorld]:
    with emptied_world(tmp_path / "folder") as world:
        for name in ("d", "other"):
            (world.folder / name).mkdir()
        (world.folder / "d" / "x").write_bytes(b"from x")
        (world.folder / "f").write_bytes(b"from f")
        yield world
        for client in list(world.clients.values()):
            world.disconnect(client)
        world.tell()
        world.let_go()
        world.advance(1000)
        assert not world.dispatch.files._states
        assert not world.dispatch.files.moving


def rename_to(name: str, file_id: bytes, *, replace: bool = False) -> Message:
    data = FileRenameInformation(replace, 0, name).pack()
    return SetInfoRequest(1, FILE_RENAME_INFORMATION, data, file_id=file_id)


def folder(client: FileClient) -> bytes:
    return client.open("d", options=FILE_DIRECTORY_FILE)


def paths(world: DiskWorld) -> list[str]:
    """What is open, below the share's folder."""
    return sorted(str(Path(opened.path).relative_to(world.folder)) for opened in world.service.opens())


def hold(world: DiskWorld, *kinds: type[Effect[Any]]) -> None:
    """The disk is busy with effects of these kinds."""
    world.held = lambda effect: isinstance(effect, kinds)


# --- the rename first


@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize("access", [READ, 0x80, 0x001F01FF])
@pytest.mark.parametrize("name", [r"d\x", r"D\X"])
def test_nothing_below_is_opened_at_the_old_path(world: DiskWorld, gone: bool, access: int, name: str) -> None:
    ann, bob = world.user(), world.user("bob")
    file_id = folder(ann)
    hold(world, RenameFile)
    renamed = ann.send(rename_to("e", file_id))
    if gone:
        world.disconnect(ann)
    number = bob.send(bob.create(name, access=access))
    assert bob.result(number) == "", "it waits"
    world.let_go()
    world.advance(0)
    assert bob.result(number) == "STATUS_OBJECT_PATH_NOT_FOUND"
    assert gone or ann.result(renamed) == "STATUS_SUCCESS"
    assert bob.status(r"e\x", access=access) == "STATUS_SUCCESS"
    assert r"e/x" in paths(world)


@pytest.mark.parametrize("disposition", [FILE_CREATE, FILE_OPEN_IF, FILE_OVERWRITE_IF])
@pytest.mark.parametrize("name", [r"d\new", r"d\deeper\new"])
def test_nothing_is_created_there(world: DiskWorld, disposition: int, name: str) -> None:
    (world.folder / "d" / "deeper").mkdir()
    ann, bob = world.user(), world.user("bob")
    hold(world, RenameFile)
    ann.send(rename_to("e", folder(ann)))
    number = bob.send(bob.create(name, disposition=disposition))
    assert bob.result(number) == "", "it waits"
    world.let_go()
    world.advance(0)
    assert bob.result(number) == "STATUS_OBJECT_PATH_NOT_FOUND"
    assert not (world.folder / "e" / "new").exists()
    assert bob.status(name.replace("d\\", "e\\", 1), disposition=disposition) == "STATUS_SUCCESS"


def test_what_is_to_be_below_the_new_name_waits_and_is_made(world: DiskWorld) -> None:
    ann, bob = world.user(), world.user("bob")
    hold(world, RenameFile)
    ann.send(rename_to("e", folder(ann)))
    number = bob.send(bob.create(r"e\new", disposition=FILE_CREATE))
    assert bob.result(number) == "", "it waits"
    world.let_go()
    world.advance(0)
    assert bob.result(number) == "STATUS_SUCCESS"
    assert (world.folder / "e" / "new").exists()


def test_a_rename_that_fails_lets_those_below_go_on(world: DiskWorld) -> None:
    ann, bob = world.user(), world.user("bob")
    hold(world, RenameFile)
    ann.send(rename_to("e", folder(ann)))
    number = bob.send(bob.create(r"d\x"))
    (world.folder / "e").mkdir()
    world.let_go()
    world.advance(0)
    assert bob.result(number) == "STATUS_SUCCESS"
    assert "d/x" in paths(world)


def test_who_waits_may_give_up(world: DiskWorld) -> None:
    ann, bob = world.user(), world.user("bob")
    hold(world, RenameFile)
    ann.send(rename_to("e", folder(ann)))
    number = bob.send(bob.create(r"d\x", disposition=FILE_OPEN_IF))
    bob.core.cancel(number)
    world.pump()
    assert bob.result(number) == codes.ntstatus_name(codes.STATUS_CANCELLED)


def test_what_is_beside_it_does_not_wait(world: DiskWorld) -> None:
    (world.folder / "dd").mkdir()
    ann, bob = world.user(), world.user("bob")
    hold(world, RenameFile)
    ann.send(rename_to("e", folder(ann)))
    assert bob.status(r"dd\x", disposition=FILE_CREATE) == "STATUS_SUCCESS"
    assert bob.status(r"f", disposition=FILE_OPEN) == "STATUS_SUCCESS"


def test_nothing_is_renamed_into_it(world: DiskWorld) -> None:
    ann, bob = world.user(), world.user("bob")
    theirs, file_id = bob.open("f"), folder(ann)
    hold(world, RenameFile)
    ann.send(rename_to("e", file_id))
    world.disconnect(ann)  # as long as it is open to be renamed, nothing comes into it
    number = bob.send(rename_to(r"d\g", theirs))
    assert bob.result(number) == "", "it waits"
    world.let_go()
    world.advance(0)
    assert bob.result(number) == "STATUS_OBJECT_PATH_NOT_FOUND"
    assert paths(world) == ["f"]
    assert (world.folder / "f").read_bytes() == b"from f"


def test_through_another_share_it_is_the_same(world: DiskWorld) -> None:
    world.share("inner", world.folder / "d")
    ann, bob = world.user(), world.user("bob", share="inner")
    hold(world, RenameFile)
    ann.send(rename_to("e", folder(ann)))
    number = bob.send(bob.create("x", access=READ))
    assert bob.result(number) == "", "it waits"
    world.let_go()
    world.advance(0)
    assert bob.result(number) not in ("", "STATUS_SUCCESS")


# --- what is below it first


@pytest.mark.parametrize("disposition", [FILE_OPEN, FILE_CREATE])
@pytest.mark.parametrize("ended", [False, True])
def test_what_the_disk_has_opened_before_it_is_looked_at_again(world: DiskWorld, disposition: int, ended: bool) -> None:
    """Its client hears of it while the directory is being renamed, or after that."""
    ann, bob = world.user(), world.user("bob")
    file_id = folder(ann)
    world.told_late = lambda effect: isinstance(effect, OpenFile)
    name = r"d\x" if disposition == FILE_OPEN else r"d\new"
    number = bob.send(bob.create(name, access=READ, disposition=disposition))
    if not ended:
        hold(world, RenameFile)
    renamed = ann.send(rename_to("e", file_id))
    assert ann.result(renamed) == ("STATUS_SUCCESS" if ended else "")
    world.tell()
    world.let_go()
    world.advance(0)
    assert ann.result(renamed) == "STATUS_SUCCESS"
    assert bob.result(number) == "STATUS_OBJECT_PATH_NOT_FOUND"
    assert paths(world) == ["e"]
    assert os.listdir(world.folder / "e") == ["x"], "what was made is taken back where it is by now"


def test_a_file_that_was_renamed_while_it_was_opened_is_known_by_its_name(world: DiskWorld) -> None:
    ann, bob = world.user(), world.user("bob")
    file_id = ann.open("f")
    world.told_late = lambda effect: isinstance(effect, OpenFile)
    number = bob.send(bob.create("f", access=READ))
    assert ann.ask(rename_to("g", file_id)).status == codes.STATUS_SUCCESS
    world.tell()
    world.advance(0)
    assert bob.result(number) == "STATUS_OBJECT_NAME_NOT_FOUND"
    assert paths(world) == ["g"]


def test_a_directory_with_a_rename_into_it_under_way_is_renamed_after_that(world: DiskWorld) -> None:
    ann, bob = world.user(), world.user("bob")
    theirs = bob.open("f")
    hold(world, RenameFile)
    moved = bob.send(rename_to(r"d\g", theirs))
    renamed = ann.send(rename_to("e", folder(ann)))
    assert ann.result(renamed) == "", "it waits"
    world.let_go()
    world.advance(0)
    assert bob.result(moved) == "STATUS_SUCCESS"
    assert ann.result(renamed) == "STATUS_ACCESS_DENIED", "something is open below"
    assert paths(world) == ["d", "d/g"]


def test_what_comes_below_while_the_target_is_looked_for_keeps_it_from_being_renamed(world: DiskWorld) -> None:
    ann, bob = world.user(), world.user("bob")
    file_id = folder(ann)
    hold(world, LookUp)
    renamed = ann.send(rename_to("e", file_id, replace=True))
    assert ann.result(renamed) == ""
    assert bob.status(r"d\x", access=READ) == "STATUS_SUCCESS"
    world.let_go()
    world.advance(0)
    assert ann.result(renamed) == "STATUS_ACCESS_DENIED"
    assert paths(world) == ["d", "d/x"]


def test_two_renames_of_one_file_come_one_after_the_other(world: DiskWorld) -> None:
    ann, bob = world.user(), world.user("bob")
    mine, theirs = ann.open("f"), bob.open("f")
    hold(world, RenameFile)
    first, second = ann.send(rename_to("g", mine)), bob.send(rename_to("h", theirs))
    number = bob.send(bob.create("f", disposition=FILE_CREATE))
    world.let_go()
    world.advance(0)
    assert (ann.result(first), bob.result(second)) == ("STATUS_SUCCESS", "STATUS_SUCCESS")
    assert bob.result(number) == "STATUS_SUCCESS"
    assert paths(world) == ["f", "h", "h"]


# --- what was created and is taken back


def late_creation(world: DiskWorld, name: str, **options: Any) -> tuple[FileClient, int]:
    """Ann creates a file, and the Server has not heard of it yet."""
    ann = world.user()
    world.told_late = lambda effect: isinstance(effect, OpenFile)
    number = ann.send(ann.create(name, disposition=FILE_CREATE, **options))
    world.told_late = lambda effect: False
    return ann, number


@pytest.mark.parametrize("is_open", [False, True])
@pytest.mark.parametrize("data", [b"", b"theirs"])
@pytest.mark.parametrize("name", ["new", "folder"])
def test_what_somebody_else_has_opened_since_is_not_deleted(
    world: DiskWorld, is_open: bool, data: bytes, name: str
) -> None:
    """A CREATE below a renamed directory is taken back; by its new path another has opened the file meanwhile."""
    bob = world.user("bob")
    file_id = folder(bob)
    options = FILE_DIRECTORY_FILE if name == "folder" else 0
    ann, number = late_creation(world, rf"d\{name}", options=options)
    assert bob.ask(rename_to("e", file_id)).status == codes.STATUS_SUCCESS
    theirs = bob.open(rf"e\{name}", disposition=FILE_OPEN_IF, options=options)
    if data and not options:
        bob.want(WriteRequest(data, file_id=theirs))
    if not is_open:
        bob.shut(theirs)
    world.tell()
    world.advance(0)
    assert ann.result(number) == "STATUS_OBJECT_PATH_NOT_FOUND"
    assert (world.folder / "e" / name).exists()
    assert options or (world.folder / "e" / name).read_bytes() == data


@pytest.mark.parametrize("is_open", [False, True])
def test_a_client_that_goes_takes_nothing_along_that_another_has_opened(world: DiskWorld, is_open: bool) -> None:
    """Its CREATE waits until the disk has renamed what it was created in."""
    bob, cid = world.user("bob"), world.user()
    file_id, other = folder(bob), cid.open("f")
    ann, number = late_creation(world, r"d\new")
    bob.want(rename_to("e", file_id))
    theirs = bob.open(r"e\new", disposition=FILE_OPEN_IF)
    bob.want(WriteRequest(b"theirs", file_id=theirs))
    if not is_open:
        bob.shut(theirs)
    hold(world, RenameFile, LookUp)
    cid.send(rename_to(r"d", other))
    world.tell()
    assert ann.result(number) == "", "it waits"
    world.disconnect(ann)
    world.let_go()
    world.advance(0)
    assert (world.folder / "e" / "new").read_bytes() == b"theirs"


def test_who_is_refused_takes_nothing_along_either(world: DiskWorld) -> None:
    """The disk has created the file for one, and the other was told first that it is there."""
    ann, number = late_creation(world, "new", share=0)
    bob, eve = world.user("bob"), world.user("bob")
    watched = eve.send(
        ChangeNotifyRequest(
            file_id=eve.open("", options=FILE_DIRECTORY_FILE), output_buffer_length=4096, completion_filter=1
        )
    )
    theirs = bob.open("new", share=0, disposition=FILE_OPEN_IF)
    bob.want(WriteRequest(b"theirs", file_id=theirs))
    world.tell()
    assert ann.result(number) == "STATUS_SHARING_VIOLATION"
    assert (world.folder / "new").read_bytes() == b"theirs"
    assert eve.result(watched) == "STATUS_SUCCESS", "who watches is told that it is there"
    bob.shut(theirs)
    assert (world.folder / "new").read_bytes() == b"theirs"


@pytest.mark.parametrize("options", [0, FILE_DIRECTORY_FILE])
def test_what_nobody_else_has_opened_goes(world: DiskWorld, options: int) -> None:
    bob = world.user("bob")
    file_id = folder(bob)
    ann, number = late_creation(world, r"d\new", options=options)
    bob.want(rename_to("e", file_id))
    world.tell()
    world.advance(0)
    assert ann.result(number) == "STATUS_OBJECT_PATH_NOT_FOUND"
    assert os.listdir(world.folder / "e") == ["x"]


# --- what is opened while a rename looks for its target


@pytest.mark.parametrize("there", [False, True])
def test_what_is_opened_while_the_target_is_looked_for_is_not_replaced(world: DiskWorld, there: bool) -> None:
    if there:
        (world.folder / "g").write_bytes(b"from g")
    ann, bob = world.user(), world.user("bob")
    file_id = ann.open("f")
    world.told_late = lambda effect: isinstance(effect, LookUp)
    renamed = ann.send(rename_to("g", file_id, replace=True))
    assert ann.result(renamed) == ""
    theirs = bob.open("g", disposition=FILE_OPEN_IF)
    bob.want(WriteRequest(b"theirs", file_id=theirs))
    world.tell()
    world.advance(0)
    assert ann.result(renamed) == "STATUS_ACCESS_DENIED"
    bob.shut(theirs)
    assert (world.folder / "g").read_bytes()[:6] == b"theirs"
    assert (world.folder / "f").read_bytes() == b"from f"


# --- through several shares


@pytest.fixture
def shares(world: DiskWorld) -> DiskWorld:
    """`share` has the folder `d`, which is shared as `inner`, and has `deep`, which is shared too."""
    (world.folder / "d" / "deep").mkdir()
    (world.folder / "d" / "deep" / "y").write_bytes(b"from y")
    world.share("inner", world.folder / "d")
    world.share("deep", world.folder / "d" / "deep")
    return world


@pytest.mark.parametrize(
    ("by", "directory", "through", "name"),
    [
        ("share", "d", "inner", "x"),
        ("share", "d", "inner", r"deep\y"),
        ("share", "d", "deep", "y"),
        ("share", "d", "deep", ""),
        ("share", "d", "share", r"d\x"),
        ("share", r"d\deep", "inner", r"deep\y"),
        ("inner", "deep", "share", r"d\deep\y"),
        ("inner", "deep", "share", r"D\DEEP\Y"),
        ("inner", "DEEP", "deep", "y"),
    ],
)
@pytest.mark.parametrize("cached", [False, True])
def test_what_is_open_below_through_any_share_keeps_a_directory(
    shares: DiskWorld, by: str, directory: str, through: str, name: str, cached: bool
) -> None:
    ann, bob = shares.user(share=by), shares.user("bob", share=through)
    file_id = ann.open(directory, options=FILE_DIRECTORY_FILE)
    theirs = bob.open(name, access=READ, oplock=SMB2_OPLOCK_LEVEL_BATCH if cached and name else 0)
    renamed = ann.send(rename_to("renamed", file_id))
    if cached and name:
        assert len(bob.breaks) == 1, "it is asked to close what it keeps for no program"
        bob.send(CloseRequest(file_id=theirs))
        shares.advance(0)
        assert ann.result(renamed) == "STATUS_SUCCESS"
    else:
        assert ann.result(renamed) == "STATUS_ACCESS_DENIED"
        bob.shut(theirs)
        assert ann.status(directory, options=FILE_DIRECTORY_FILE) == "STATUS_SUCCESS"


def test_what_is_open_beside_it_through_another_share_does_not(shares: DiskWorld) -> None:
    ann, bob, cid = shares.user(), shares.user("bob", share="inner"), shares.user(share="deep")
    bob.open("x", access=READ)
    bob.open("", access=READ)
    cid.open("", access=READ)
    ann.want(rename_to("renamed", ann.open("other", options=FILE_DIRECTORY_FILE)))
    cid.world.disconnect(cid)
    ann.want(rename_to(r"d\renamed", ann.open(r"d\deep", options=FILE_DIRECTORY_FILE)))
    assert "d/renamed" in paths(shares)


def test_opens_through_another_share_follow_a_rename(shares: DiskWorld) -> None:
    ann, bob, cid = shares.user(), shares.user("bob", share="inner"), shares.user("bob", share="deep")
    mine = ann.open(r"d\deep\y")
    bob.open(r"deep\y")
    cid.open("y")
    ann.want(rename_to(r"d\z", mine))
    assert paths(shares) == ["d/z"] * 3, "of the share too that does not have it any more"
    ann.want(rename_to(r"d\deep\again", mine))
    assert paths(shares) == ["d/deep/again"] * 3


def test_a_rename_that_waits_for_another_may_be_given_up(world: DiskWorld) -> None:
    ann, bob = world.user(), world.user("bob")
    mine, theirs = ann.open("f"), bob.open("f")
    hold(world, RenameFile)
    ann.send(rename_to("g", mine))
    second = bob.send(rename_to("h", theirs))
    bob.core.cancel(second)
    world.pump()
    assert bob.result(second) == "STATUS_CANCELLED"
    world.let_go()
    world.advance(0)
    assert paths(world) == ["g", "g"]


# --- others who rename without end


def test_who_renames_without_end_holds_nobody_up_for_ever(world: DiskWorld) -> None:
    ann, bob = world.user(), world.user("bob")
    file_id = folder(ann)
    hold(world, OpenFile, LookUp)
    number = bob.send(bob.create(r"d\x", access=READ))
    rounds = 0
    while world._waiting and rounds < 100:
        rounds += 1
        for name in ("e", "d"):
            ann.want(rename_to(name, file_id))
        world.perform_held()
    assert bob.result(number) == "STATUS_SHARING_VIOLATION"
    assert rounds < 20
    world.let_go()
    assert bob.status(r"d\x", access=READ) == "STATUS_SUCCESS"


# --- clients that go at every point


@pytest.mark.parametrize("who", ["ann", "bob"])
@pytest.mark.parametrize("disposition", [FILE_OPEN, FILE_CREATE, FILE_OPEN_IF])
@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("point", range(12))
def test_a_client_may_go_at_every_point(
    world: DiskWorld, who: str, disposition: int, replace: bool, point: int
) -> None:
    """One effect of the disk after the other, and a client that is gone after so many; the fixture looks for what is
    left over."""
    ann, bob = world.user(), world.user("bob")
    file_id = folder(ann)
    world.held = lambda effect: True
    number = bob.send(bob.create(r"d\new" if disposition == FILE_CREATE else r"d\x", disposition=disposition))
    renamed = ann.send(rename_to("e", file_id, replace=replace))
    for step in range(40):
        if step == point:
            world.disconnect(ann if who == "ann" else bob)
        if not world._waiting:
            break
        world.perform_held(1)
        world.advance(0)
    assert not world.dispatch.files.moving
    if who == "ann":
        assert bob.result(number) not in ("", "STATUS_PENDING")
    else:
        assert ann.result(renamed) in ("STATUS_SUCCESS", "STATUS_ACCESS_DENIED")


# --- whatever comes when


@pytest.mark.parametrize("seed", range(20))
def test_what_is_open_is_where_its_path_says(world: DiskWorld, seed: int) -> None:
    """With a disk that does what it is asked for at any later time, and tells of it later still."""
    chance = random.Random(seed)
    names = ["d", "other", r"d\x", r"d\y", r"d\sub", r"d\sub\z", r"other\x", r"other\sub", "e", r"e\x", r"e\sub\z", "f"]
    clients = [world.user(), world.user("bob"), world.user()]
    opened: list[tuple[FileClient, bytes]] = []
    asked: list[tuple[FileClient, int]] = []
    made = 0
    for _ in range(80):
        client = chance.choice(clients)
        slow = chance.random() < 0.5
        hold(world, *((OpenFile, RenameFile, LookUp) if slow else ()))
        world.told_late = lambda effect: isinstance(effect, OpenFile | RenameFile) and chance.random() < 0.5
        step = chance.random()
        if step < 0.4:
            asked.append(
                (
                    client,
                    client.send(
                        client.create(
                            chance.choice(names),
                            access=chance.choice([READ, 0x001F01FF]),
                            disposition=chance.choice([FILE_OPEN, FILE_OPEN_IF, FILE_CREATE]),
                            options=chance.choice([0, FILE_DIRECTORY_FILE]),
                            oplock=chance.choice([0, SMB2_OPLOCK_LEVEL_BATCH]),
                        )
                    ),
                )
            )
        elif step < 0.7 and opened:
            client, file_id = chance.choice(opened)
            client.send(rename_to(chance.choice(names), file_id, replace=chance.random() < 0.5))
        elif step < 0.85 and opened:
            client, file_id = opened.pop(chance.randrange(len(opened)))
            client.send(CloseRequest(file_id=file_id))
        else:
            world.tell()
            world.let_go()
            world.advance(chance.choice([0, 40]))
        for one, number in list(asked):
            if one.result(number) not in ("", "STATUS_PENDING"):
                asked.remove((one, number))
                response = one.answers[number].message
                if isinstance(response, CreateResponse):
                    made += 1
                    opened.append((one, bytes(response.file_id)))
        if not world.dispatch.files.moving:
            check_paths(world)
    world.tell()
    world.let_go()
    world.advance(1000)
    world.tell()
    check_paths(world)
    assert made


def check_paths(world: DiskWorld) -> None:
    """All that is open, with its path as the Server has it."""
    for state in list(world.dispatch.files._states.values()):
        for each in state.opens:
            found = Path(each.open.path).stat()
            assert (found.st_dev, found.st_ino) == state.identity[:2], each.path


@pytest.mark.parametrize("seed", range(20))
def test_through_several_shares_too(world: DiskWorld, seed: int) -> None:
    """As above, where the disk does at once what it is asked for."""
    chance = random.Random(seed)
    world.share("inner", world.folder / "d")
    for each in ("deep", "deep/er"):
        (world.folder / "d" / each).mkdir()
        (world.folder / "d" / each / "y").write_bytes(b"y")
    below = ["x", "deep", r"deep\y", r"deep\er", r"deep\er\y", r"deep\new", "new"]
    names = {"share": [*(rf"d\{each}" for each in below), "other", r"other\new", "f"], "inner": below}
    clients = [(world.user(), "share"), (world.user("bob", share="inner"), "inner"), (world.user("bob"), "share")]
    opened: list[tuple[FileClient, str, bytes]] = []
    renamed = 0
    for _ in range(80):
        client, share = chance.choice(clients)
        step = chance.random()
        if step < 0.5:
            answer = client.ask(
                client.create(
                    chance.choice(names[share]), disposition=chance.choice([FILE_OPEN, FILE_OPEN, FILE_OPEN_IF])
                )
            )
            if isinstance(answer.message, CreateResponse):
                opened.append((client, share, bytes(answer.message.file_id)))
        elif step < 0.8 and opened:
            client, share, file_id = chance.choice(opened)
            name = chance.choice(names[share])
            renamed += client.ask(rename_to(name, file_id, replace=chance.random() < 0.5)).status == 0
        elif opened:
            client, share, file_id = opened.pop(chance.randrange(len(opened)))
            client.shut(file_id)
        check_paths(world)
    assert renamed


# --- the names alone


def test_what_a_rename_concerns() -> None:
    moving = Moving()
    move = moving.begin("/srv", ("a", "d"), ("b",))
    concerned = [("a", "d"), ("A", "D"), ("b",), ("a", "d", "x"), ("b", "y", "z")]
    free = [("a",), ("a", "dd"), ("c",), (), ("bb",)]
    for path in [*concerned, *free]:
        assert moving.disturbs(0, "/srv", path) is (path in concerned), path
        assert moving.disturbs(0, "/srv/", path, itself=False) is (path in concerned[3:]), path
    assert [path for path in [*concerned, *free] if moving.is_free("/srv", path)] == [("a", "dd"), ("c",), ("bb",)]
    assert moving.disturbs(0, "/srv/a", ("d", "x"))
    move.end()
    assert not moving
    for path in [*concerned, *free]:
        assert moving.is_free("/srv", path)
        assert moving.disturbs(0, "/srv", path) is (path in concerned), "it has ended since"
        assert not moving.disturbs(moving.ended, "/srv", path)
    for _ in range(5000):
        moving.begin("/srv", ("p",), ("q",)).end()
    assert not moving.disturbs(0, "/srv", ("c",)), "the places are few"
    assert moving.disturbs(0, "/srv", ("a", "d"))
    assert moving.disturbs(moving.ended - 1, "/srv", ("p", "x"))
    for number in range(5000):
        moving.begin("/srv", (f"{number}",)).end()
    assert moving.disturbs(0, "/srv", ("c",)), "too many to know"
    assert not moving.disturbs(moving.ended - 10, "/srv", ("c",))
    assert moving.disturbs(moving.ended - 10, "/srv", ("4995",))
    assert len(moving._last) < 5000
