"""Whatever is asked while very much is being ended in portions is answered as if all of it had ended at once."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import example, given, settings
from hypothesis import strategies as st

from lanman.domain import Reason, ServerService
from lanman.events import FileClosed, FileOpened, SessionClosed, TreeDisconnected
from lanman.smb2.constants import (
    FILE_CREATE,
    FILE_DELETE_ON_CLOSE,
    FILE_OPEN,
    FILE_OPEN_IF,
    FILE_OVERWRITE_IF,
    SMB2_LOCKFLAG_EXCLUSIVE_LOCK,
    SMB2_LOCKFLAG_FAIL_IMMEDIATELY,
)
from lanman.smb2.messages import (
    CloseRequest,
    CreateResponse,
    LockElement,
    LockRequest,
    LogoffRequest,
    Message,
    ReadRequest,
    SetInfoRequest,
    TreeDisconnectRequest,
    WriteRequest,
)
from support.disk_server import READ, DiskWorld, FileClient
from support.turns import begun

USERS = ("ann", "bob", "admin")
SPARE = 3  # sessions of each user, of which one after the other is ended
OPENS: dict[str, dict[str, Any]] = {
    "open": {"disposition": FILE_OPEN_IF},
    "read": {"disposition": FILE_OPEN, "access": READ, "share": 1},
    "own": {"disposition": FILE_OPEN_IF, "share": 0},
    "make": {"disposition": FILE_CREATE},
    "empty": {"disposition": FILE_OVERWRITE_IF},
    "doom": {"disposition": FILE_OPEN_IF, "options": FILE_DELETE_ON_CLOSE},
}
ENDS = ("log off", "disconnect", "lose", "order")
STEPS = st.lists(
    st.tuples(
        st.sampled_from((*OPENS, *OPENS, "close", "lock", "write", "get", "rename", "delete", "turn", *ENDS)),
        st.integers(0, len(USERS) - 1),
        st.integers(0, 5),
    ),
    max_size=40,
)


class Side:
    """One of the two Servers with its clients."""

    def __init__(self, folder: Path, *, at_once: bool) -> None:
        folder.mkdir()
        self.world = DiskWorld(folder)
        if at_once:
            self.world.service.endings.on_begun = self.world.service.endings.finish
        self.spare = [[self.world.user(name) for _ in range(SPARE)] for name in USERS]
        self.files: dict[FileClient, list[bytes]] = {}

    def turn(self) -> None:
        """Another turn of the event loop has begun."""
        self.world.dispatch.expire(self.world.now)
        self.settle()

    def settle(self) -> None:
        """Do what the clients have asked for, without another turn."""
        world, moving = self.world, True
        while moving:
            world.dispatch.scheduler.refill()
            world.dispatch.scheduler.run(world.now)
            moving = False
            for ticket, effect in world.dispatch.scheduler.effects():
                moving = True
                world.perform(ticket, effect)
            for connection in world.dispatch.ready():
                for data in connection.data_to_send():
                    moving = True
                    world.clients[connection.connection_id].deliver(bytes(data))
                connection.sent(0, world.now)

    def ask(self, client: FileClient, message: Message) -> tuple[str, Any]:
        """Its answer, after as many turns as it takes."""
        data = begun(client, message)
        number = max(client.core._pending)
        client.connection.receive_data(data, self.world.now)
        self.settle()
        for _ in range(200):
            if number in client.answers:
                break
            self.turn()
        return client.result(number), client.answers[number].message

    def do(self, what: str, who: int, which: int) -> str:
        """One step; what came of it."""
        if what == "turn" or not self.spare[who]:
            if what == "turn":
                self.turn()
            return ""
        client = self.spare[who][0]
        if what in ENDS:
            self.end(client, what, who)
            return ""
        files = self.files.setdefault(client, [])
        if what in OPENS:
            status, response = self.ask(client, client.create(NAMES[which % len(NAMES)], **OPENS[what]))
            if isinstance(response, CreateResponse):
                files.append(response.file_id)
            return status
        if not files:
            return ""
        file_id = files.pop(which % len(files)) if what == "close" else files[which % len(files)]
        return self.ask(client, self.request(what, file_id, which))[0]

    def request(self, what: str, file_id: bytes, which: int) -> Message:
        if what == "close":
            return CloseRequest(file_id=file_id)
        if what == "lock":
            flags = SMB2_LOCKFLAG_EXCLUSIVE_LOCK | SMB2_LOCKFLAG_FAIL_IMMEDIATELY
            return LockRequest(file_id, [LockElement(0, 1, flags), LockElement(which, 1, flags)][: 1 + which % 2])
        if what == "write":
            return WriteRequest(bytes([65 + which]), offset=which, file_id=file_id)
        if what == "get":
            return ReadRequest(length=9, file_id=file_id)
        if what == "delete":
            return SetInfoRequest(1, 13, b"\1", file_id=file_id)
        name = NAMES[which % len(NAMES)].encode("utf-16-le")
        return SetInfoRequest(1, 10, b"\1" + bytes(15) + len(name).to_bytes(4, "little") + name, file_id=file_id)

    def end(self, client: FileClient, how: str, who: int) -> None:
        """End that session, or all it has open; its user goes on with another one."""
        del self.spare[who][0]
        world = self.world
        if how == "lose":
            world.disconnect(client)
        elif how == "order":
            (session,) = [each.session for each in client.connection.channels.values()]
            world.service.close_session(session, Reason.DELETED)
        else:
            request = LogoffRequest() if how == "log off" else TreeDisconnectRequest()
            client.connection.receive_data(begun(client, request), world.now)
        self.settle()

    def leave(self) -> None:
        """All go, and nothing is left over."""
        self.world.pump()
        for client in list(self.world.clients.values()):
            self.world.disconnect(client)
        self.world.pump()
        service, files = self.world.service, self.world.dispatch.files
        share = service.share_by_name("share")
        assert share is not None
        assert [*service.opens(), *service.sessions(), *service.tree_connects()] == []
        assert not service.endings.under_way
        assert (service.counters.fopens, service.counters.sopens, share.current_uses) == (0, 0, 0)
        assert [*files._states, *files._names] == []
        assert (files.removing, len(files.handles), len(self.world.files)) == (0, 0, 0)

    def told(self) -> Counter[tuple[str, ...]]:
        """What was told of opens, tree connects and sessions."""
        told: Counter[tuple[str, ...]] = Counter()
        for event in self.world.events:
            match event:
                case FileOpened() | FileClosed():
                    told[type(event).__name__, event.file.path.removeprefix(str(self.world.folder))] += 1
                case TreeDisconnected():
                    told["TreeDisconnected", event.tree_connect.user_name, str(event.reason)] += 1
                case SessionClosed():
                    told["SessionClosed", event.session.user_name, str(event.reason)] += 1
        return told


NAMES = ("a", "b", "c")


@contextmanager
def one_by_one() -> Iterator[None]:
    """What has anything open is ended in portions of one."""
    with (
        patch("lanman.domain.server_service.AT_ONCE", 0),
        patch("lanman.server.ending.AT_ONCE", 1),
        patch.object(ServerService.close_session, "__defaults__", (0,)),
    ):
        yield


@given(STEPS)
@example([("own", 0, 0), ("open", 0, 1), ("log off", 0, 0), ("own", 1, 0)])
@example([("open", 0, 1), ("doom", 0, 0), ("lose", 0, 0), ("make", 1, 0)])
@example([("doom", 0, 0), ("log off", 0, 0), ("open", 1, 0)])
@example([("open", 0, 1), ("open", 0, 0), ("open", 1, 0), ("lock", 0, 1), ("order", 0, 0), ("lock", 1, 1)])
@example([("open", 0, 1), ("open", 0, 0), ("open", 1, 2), ("disconnect", 0, 0), ("rename", 1, 0)])
@settings(max_examples=25, deadline=None)
def test_answers_are_those_of_a_server_that_ends_all_at_once(steps: list[tuple[str, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        one, two = Side(Path(folder) / "at once", at_once=True), Side(Path(folder) / "in portions", at_once=False)
        for step in steps:
            expected = one.do(*step)
            one.world.pump()
            with one_by_one():
                assert two.do(*step) == expected, step
            assert len(two.world.service.opens()) == two.world.service.counters.fopens
            assert len(two.world.service.sessions()) == two.world.service.counters.sopens
            assert len(two.world.service.sessions()) == len(one.world.service.sessions())
            assert len(two.world.service.tree_connects()) == len(one.world.service.tree_connects())
        with one_by_one():
            one.leave()
            two.leave()
        assert one.told() == two.told()
        contents = [{each.name: each.read_bytes() for each in side.world.folder.iterdir()} for side in (one, two)]
        assert contents[0] == contents[1]
