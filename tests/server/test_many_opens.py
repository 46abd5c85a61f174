"""A file that is open very often: no change of it keeps the event loop long (steps are counted, not seconds)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lanman.events import FileRenamed
from lanman.fscc.notify import FileNotifyInformation
from lanman.server.files.rename import AT_ONCE
from lanman.smb2 import client as smb2_client
from lanman.smb2.constants import (
    FILE_CREATE,
    FILE_DELETE_ON_CLOSE,
    FILE_DIRECTORY_FILE,
    FILE_OPEN_IF,
    SMB2_CREATE_REQUEST_LEASE,
    SMB2_OPLOCK_LEVEL_BATCH,
    SMB2_OPLOCK_LEVEL_LEASE,
)
from lanman.smb2.messages import (
    ChangeNotifyRequest,
    CloseRequest,
    CreateContext,
    CreateLease,
    LogoffRequest,
    Message,
    SetInfoRequest,
    WriteRequest,
)
from lanman.wire import unpack_chain
from support.disk_server import READ, DiskWorld, FileClient, emptied_world
from support.step_counter import growth, steps
from support.turns import ONE_TURN, begun, longest_turn, turns

MANY = 5 * AT_ONCE


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DiskWorld]:
    monkeypatch.setattr(smb2_client, "CREDITS_WANTED", 8192)
    with emptied_world(tmp_path / "share") as world:
        yield world


def renamed(file_id: bytes, name: str) -> SetInfoRequest:
    """FileRenameInformation."""
    text = name.encode("utf-16-le")
    return SetInfoRequest(1, 10, bytes(16) + len(text).to_bytes(4, "little") + text, file_id=file_id)


def rename(world: DiskWorld, client: FileClient, file_id: bytes, name: str) -> Iterator[int]:
    """Its turns."""
    data = begun(client, renamed(file_id, name))
    return turns(world, lambda: client.connection.receive_data(data, world.now))


def names(world: DiskWorld) -> set[str]:
    """By which names something is open."""
    return {opened.path.removeprefix(f"{world.folder}/") for opened in world.service.opens()}


def test_a_rename_takes_the_same_turns_however_often_the_file_is_open(world: DiskWorld) -> None:
    ann, bob = world.user(), world.user("bob")
    ann.shut(ann.make("a"))
    mine = ann.open("a")

    def longest(more: int, name: str) -> int:
        for _ in range(more):
            bob.open(sorted(names(world))[0])
        return longest_turn(world, ann, renamed(mine, name))

    few = longest(2 * AT_ONCE, "b")
    assert names(world) == {"b"}
    assert longest(MANY, "c") < few * 1.1
    assert few < ONE_TURN
    assert names(world) == {"c"}


def test_what_is_said_of_an_open_that_has_still_to_follow_is_said_of_the_new_name(world: DiskWorld) -> None:
    ann, admin = world.user(), world.user("admin")
    ann.shut(ann.make("a"))
    mine, *_, last = [ann.open("a") for _ in range(MANY)]
    folder = admin.open("", access=READ, options=FILE_DIRECTORY_FILE)

    def watch() -> int:
        return admin.send(ChangeNotifyRequest(0, 4096, folder, 0x17F))

    def told(number: int) -> list[tuple[int, str]]:
        data = bytes(admin.answers[number].message.output)  # type: ignore[attr-defined]
        return [(each.action, each.file_name) for each in unpack_chain(FileNotifyInformation, data)]

    def say(message: Message) -> None:
        data = begun(ann, message)
        ann.connection.receive_data(data, world.now)

    first = watch()
    going = rename(world, ann, mine, "b")
    for _ in range(2):
        next(going)
    say(WriteRequest(b"late", file_id=last))
    say(SetInfoRequest(1, 13, b"\1", file_id=last))
    while not any(each.delete_pending for each in world.dispatch.files._states.values()):
        next(going)
    assert {"a", "b"} < names(world)
    ann.connection.connection_lost(world.now)
    for _ in going:
        pass
    assert len(world.service.opens()) == 1
    assert told(first) == [(4, "a"), (5, "b")]
    assert told(watch()) == [(3, "b"), (2, "b")]
    assert not (world.folder / "b").exists()


def test_a_rename_by_which_all_are_told_is_answered_when_the_last_open_has_followed(world: DiskWorld) -> None:
    ann, bob = world.user(), world.user("bob")
    ann.shut(ann.make("a"))
    mine = ann.open("a")
    for _ in range(MANY):
        bob.open("a")
    told: list[str] = []
    world.service.subscribe(lambda event: told.append("followed"), FileRenamed)
    for _ in rename(world, ann, mine, "b"):
        if ann.connection.core.unsent:
            told.append("answered")
    assert told == ["followed"] * (MANY + 1) + ["answered"]


def test_who_comes_and_goes_while_opens_follow(world: DiskWorld) -> None:
    """Who would change the old name or the new one waits; who leaves is left alone; who reads is let in."""
    ann, bob, admin = world.user(), world.user("bob"), world.user("admin")
    ann.shut(ann.make("a", b"x"))
    mine = ann.open("a")
    his = [bob.open("a") for _ in range(MANY)]
    going = rename(world, ann, mine, "b")
    while names(world) != {"a", "b"}:
        next(going)
    for file_id in (his[0], his[-1]):  # one that has followed, and one that has not
        bob.connection.receive_data(begun(bob, CloseRequest(file_id=file_id)), world.now)
    writes = begun(admin, admin.create("a", disposition=FILE_OPEN_IF))
    admin.connection.receive_data(writes, world.now)
    reads = begun(admin, admin.create("b", access=READ))
    admin.connection.receive_data(reads, world.now)
    next(going)
    assert names(world) == {"a", "b"}, "she has made it while opens of another file were known by that name"
    assert not (world.folder / "a").exists()
    for _ in going:
        pass
    assert sorted(each.path for each in world.service.opens()).count(f"{world.folder}/a") == 1  # hers, a new file
    assert (world.folder / "a").exists()
    assert len(world.service.opens()) == 1 + MANY - 2 + 2


@pytest.mark.parametrize("last", [0, -1], ids=["one that has followed is last", "one that has not is last"])
def test_a_file_of_two_names_that_goes_while_its_opens_follow(world: DiskWorld, last: int) -> None:
    """It goes with the last open of that name, whichever path that one is known by, and no earlier."""
    ann, bob = world.user(), world.user("bob")
    ann.shut(ann.make("a", b"x"))
    os.link(world.folder / "a", world.folder / "other")
    mine = ann.open("a")
    his = [bob.open("a") for _ in range(MANY)]
    doomed = ann.open("a", options=FILE_DELETE_ON_CLOSE)
    going = rename(world, ann, mine, "b")
    while names(world) != {"a", "b"}:
        next(going)
    kept = his.pop(last)
    for file_id in (doomed, mine):
        ann.connection.receive_data(begun(ann, CloseRequest(file_id=file_id)), world.now)
    for file_id in his:
        bob.connection.receive_data(begun(bob, CloseRequest(file_id=file_id)), world.now)
        world.dispatch.scheduler.refill()
    assert len(names(world)) == 1, "one is open, by the path that is to be tried"
    assert (world.folder / "b").exists()
    bob.connection.receive_data(begun(bob, CloseRequest(file_id=kept)), world.now)
    for _ in going:
        pass
    assert [each.name for each in world.folder.iterdir()] == ["other"]


def test_handles_below_a_directory_are_asked_for_once_a_file(world: DiskWorld) -> None:
    """And not once for each open of it."""
    ann = world.user()
    ann.mkdir("d")
    folder = ann.open("d", options=FILE_DIRECTORY_FILE)
    bob = world.user("bob", guid=b"\x33" * 16)
    bob.open("d\\kept", disposition=FILE_CREATE, oplock=SMB2_OPLOCK_LEVEL_BATCH)
    state = world.dispatch.files.cached_below(str(world.folder), ("d",))
    assert [len(each.opens) for each in state] == [1]
    for _ in range(MANY):
        bob.open("")
    # The folder that it goes to is open very often, which is looked at as one.
    few = steps(lambda: ann.send(renamed(folder, "e")))
    assert bob.breaks
    assert few < ONE_TURN


def test_opens_of_a_lease_that_is_being_taken_back_end_by_the_same_work_each(world: DiskWorld) -> None:
    bob = world.user("bob", guid=b"\x33" * 16)

    def log_off(number: int) -> Callable[[], object]:
        ann, name = world.user("ann"), f"open {number} times"
        ann.shut(ann.make(name))
        lease = CreateContext(SMB2_CREATE_REQUEST_LEASE, CreateLease(b"k" * 16, 7).pack())
        for _ in range(number):
            ann.open(name, oplock=SMB2_OPLOCK_LEVEL_LEASE, contexts=[lease])
        waiting = bob.send(bob.create(name))
        assert ann.told
        assert not bob.result(waiting)
        return lambda: ann.want(LogoffRequest())

    assert growth(log_off, 50, 300) < 1.2
