"""Compounds that begin with a CREATE, cut at every point: nothing stays of what nobody learns of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lanman.domain import Reason
from lanman.rpc.client import RpcClient
from lanman.rpc.srvsvc import NetrSessionEnum
from lanman.server.effects import Effect
from lanman.smb2.constants import ANY_FILE_ID, FILE_CREATE, FILE_DELETE_ON_CLOSE, FILE_OPEN_IF, FSCTL_PIPE_TRANSCEIVE
from lanman.smb2.messages import (
    CloseRequest,
    CreateRequest,
    FlushRequest,
    IoctlRequest,
    Message,
    QueryInfoRequest,
    ReadRequest,
    WriteRequest,
)
from support.disk_server import DiskWorld, FileClient
from support.smb2_pair import send_compound


class SlowWorld(DiskWorld):
    """Every effect, of the accounts too, is performed one at a time, when it is asked for."""

    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(folder, **options)
        self.slow = False
        self.asked: list[tuple[int, Effect[Any]]] = []

    def perform(self, ticket: int, effect: Effect[Any]) -> None:
        if self.slow:
            self.asked.append((ticket, effect))
        else:
            super().perform(ticket, effect)

    def step(self) -> bool:
        """Perform the next effect. Whether there was one."""
        self.pump()
        if not self.asked:
            return False
        super().perform(*self.asked.pop(0))
        self.pump()
        return True


def new_file(client: FileClient) -> list[Message]:
    return [
        client.create("new", disposition=FILE_CREATE),
        WriteRequest(b"data", file_id=ANY_FILE_ID),
        FlushRequest(file_id=ANY_FILE_ID),
        ReadRequest(length=4, file_id=ANY_FILE_ID),
        CloseRequest(file_id=ANY_FILE_ID),
    ]


def file_left_open(client: FileClient) -> list[Message]:
    return [client.create("there", oplock=9), QueryInfoRequest(1, 5, 100, file_id=ANY_FILE_ID)]


def file_that_goes(client: FileClient) -> list[Message]:
    return [
        client.create("gone", disposition=FILE_OPEN_IF, options=FILE_DELETE_ON_CLOSE),
        ReadRequest(length=4, file_id=ANY_FILE_ID),
    ]


def pipe_that_is_closed(client: FileClient) -> list[Message]:
    return [*pipe_left_open(client), CloseRequest(file_id=ANY_FILE_ID)]


def pipe_left_open(client: FileClient) -> list[Message]:
    bind = RpcClient().bind()
    return [
        CreateRequest(desired_access=0x12019F, share_access=3, name="srvsvc"),
        IoctlRequest(FSCTL_PIPE_TRANSCEIVE, ANY_FILE_ID, bind, max_output_response=4096),
    ]


def pipe_that_is_asked(client: FileClient) -> list[Message]:
    rpc = RpcClient()
    bind = rpc.bind()
    probe = client.bind()  # whose call is written as this pipe's
    (call,) = probe.rpc.call(NetrSessionEnum(None, None, None, 0))
    return [
        CreateRequest(desired_access=0x12019F, share_access=3, name="srvsvc"),
        WriteRequest(bind, file_id=ANY_FILE_ID),
        ReadRequest(length=4096, file_id=ANY_FILE_ID),
        WriteRequest(call, file_id=ANY_FILE_ID),
        ReadRequest(length=4096, file_id=ANY_FILE_ID),
    ]


COMPOUNDS = [new_file, file_left_open, file_that_goes, pipe_left_open, pipe_that_is_closed, pipe_that_is_asked]


def lost(world: SlowWorld, client: FileClient) -> None:
    world.disconnect(client)


def ended(world: SlowWorld, client: FileClient) -> None:
    world.service.close_sessions(world.service.sessions(), Reason.DELETED)


def replaced(world: SlowWorld, client: FileClient) -> None:
    """By the log-on of a client that says that it is the same."""
    world.slow = False
    again = FileClient(world)
    again.negotiate()
    again.log_on("admin", previous=client.session_id)
    world.slow = True


def channel_lost(world: SlowWorld, client: FileClient) -> None:
    """Its session goes on over another connection, and is ended later."""
    world.disconnect(client)
    while world.step():
        pass
    ended(world, client)


def share_removed(world: SlowWorld, client: FileClient) -> None:
    for share in list(world.service.shares()):
        if share.name == "share":
            world.service.remove_share(share)


@pytest.mark.parametrize("end", [lost, ended, replaced, channel_lost, share_removed])
@pytest.mark.parametrize("compound", COMPOUNDS)
def test_nothing_stays_of_a_compound_that_is_cut(
    tmp_path: Path, compound: Callable[[FileClient], list[Message]], end: Callable[[SlowWorld, FileClient], None]
) -> None:
    """Cut before it is begun, and after each effect; to the point where all is answered."""
    for point in range(40):
        world, whole = cut(tmp_path / f"{point}", compound, end, point)
        assert world.service.opens() == []
        assert (len(world.files), len(world.dispatch.files.handles)) == (0, 0)
        assert not world.dispatch.files._states
        assert not world.dispatch.files._names
        assert not world.dispatch.scheduler._performing
        assert not world.dispatch.scheduler._outliving
        assert not world.dispatch.room.output
        assert not world.dispatch.sessions._opens
        if whole:
            break
    else:
        pytest.fail("it came to no end")


def cut(
    folder: Path,
    compound: Callable[[FileClient], list[Message]],
    end: Callable[[SlowWorld, FileClient], None],
    point: int,
) -> tuple[SlowWorld, bool]:
    """The world afterwards, and whether all had been answered before."""
    folder.mkdir()
    (folder / "there").write_bytes(b"data")
    world = SlowWorld(folder, multichannel=True)
    client = world.user("admin")
    messages = compound(client)
    client.tree_connect(r"\\server\IPC$" if "pipe" in compound.__name__ else r"\\server\share")
    if end is channel_lost:
        other = FileClient(world)
        other.negotiate()
        other.bind_to(client)
    world.slow = True
    numbers = send_compound(client.core, messages, session_id=client.session_id, tree_id=client.tree_id)
    world.pump()
    for _ in range(point):
        world.step()
    whole = all(number in client.answers for number in numbers)
    end(world, client)
    while world.step():
        pass
    world.advance(1)
    if end is share_removed:
        assert all(number in client.answers for number in numbers), "each is answered"
    for each in list(world.clients.values()):
        world.disconnect(each)
    while world.step():
        pass
    world.advance(1000)
    while world.step():
        pass
    return world, whole
