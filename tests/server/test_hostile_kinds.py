"""Each kind of hostile connection (tests/support/hostile_kinds.py) in memory: nothing breaks, and all is freed after.

`tests/peers/test_hostile.py` has thousands of them over sockets; here the Server's own tables can be looked into.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lanman.server.files.locks import MAX_LOCKS_OF_FILE
from lanman.settings import Configuration
from lanman.smb2.constants import (
    SMB2_CREATE_REQUEST_LEASE,
    SMB2_LOCKFLAG_FAIL_IMMEDIATELY,
    SMB2_LOCKFLAG_SHARED_LOCK,
    SMB2_OPLOCK_LEVEL_LEASE,
)
from lanman.smb2.messages import CreateContext, CreateLease, LockElement, LockRequest
from support.disk_server import DiskWorld
from support.hostile_kinds import BIG, FOLDER, INSIDERS, KINDS, SHARE, USER, Peer, Script
from support.passwords import PASSWORD

ROUNDS = 150


class Member:
    """One of them, as `World` wants its clients."""

    def __init__(self, world: DiskWorld, number: int, kind: Callable[[Peer], Script]) -> None:
        connection = world.dispatch.connect(f"198.51.100.{number}", world.now)
        assert connection is not None
        self.connection = connection
        self.core = self
        self.finished = ""
        self.answers = 0
        self.peer = Peer(number)
        self.script: Script | None = kind(self.peer)
        self._bytes = b""
        world.clients[connection.connection_id] = self  # type: ignore[assignment]
        self._go_on(None)

    def _go_on(self, frame: bytes | None) -> None:
        if self.script is not None:
            try:
                next(self.script) if frame is None else self.script.send(frame)
            except StopIteration:
                self.script = None

    def data_to_send(self) -> list[bytes]:
        """World asks what there is to send; it waits while the peer has heard enough."""
        if self.answers > ROUNDS:
            return []
        sent, self.peer.out[:] = [*self.peer.out], []
        if self.peer.pour and not self.finished:
            sent.append(self.peer.pour)
            self.peer.pour = b""
        return sent

    def deliver(self, data: bytes) -> None:
        """World brings what is answered."""
        self._bytes += data
        while len(self._bytes) >= 4 and len(self._bytes) >= (end := 4 + int.from_bytes(self._bytes[:4], "big")):
            frame, self._bytes = self._bytes[4:end], self._bytes[end:]
            self.answers += 1
            if self.answers <= ROUNDS:
                self._go_on(frame)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DiskWorld]:
    (tmp_path / FOLDER).mkdir()
    for number in range(20):
        (tmp_path / FOLDER / f"{number:03}{'a' * 200}{'.b' * 10}").touch()
    (tmp_path / BIG).write_bytes(bytes(1 << 20))
    world = DiskWorld(tmp_path, configuration=Configuration(durable_timeout=2))
    world.accounts.add(USER, PASSWORD)
    world.share(SHARE, tmp_path)
    yield world
    world.files.close_all()


def kept(world: DiskWorld) -> dict[str, Any]:
    """What the Server keeps for its peers, as numbers."""
    dispatch = world.dispatch
    return {
        "sessions": len(world.service.sessions()),
        "opens": len(world.service.opens()),
        "connections": len(dispatch.connections),
        "files": len(dispatch.files._states),
        "handles": len(world.files._handles),
        "locks": dispatch.files.locks.taken,
        "answers": dispatch.room.output,
        "pipes": dispatch.room.unread,
        "places": dispatch.admission.total,
        "waiting": dispatch.admission.waiting,
    }


@pytest.mark.parametrize("kind", KINDS)
def test_all_is_freed_when_they_have_gone(world: DiskWorld, kind: str) -> None:
    before = kept(world)
    members = [Member(world, number, KINDS[kind]) for number in range(3)]
    world.pump()
    world.advance(2)
    world.pump()
    assert any(member.peer.logged_on for member in members) == (kind in INSIDERS)
    during = kept(world)
    for limit, name in ((64 << 20, "answers"), (32 << 20, "pipes"), (MAX_LOCKS_OF_FILE, "locks")):
        assert during[name] <= limit
    for member in members:
        if not member.finished:
            world.disconnect(member)  # type: ignore[arg-type]
    world.advance(400)
    assert kept(world) == before


@pytest.mark.parametrize(("kind", "name", "most"), [("locks", "byte-range locks", 20_000), ("leases", "leases", 100)])
def test_who_takes_without_end_leaves_some_to_another_user(world: DiskWorld, kind: str, name: str, most: int) -> None:
    """One user, over several connections: what is bounded for all is not all theirs."""
    (portion,) = [each for each in world.service.portions if each.name == name]
    portion._most = lambda: most
    members = [Member(world, number, KINDS[kind]) for number in range(3)]
    world.pump()
    assert portion.refused, "they wanted more than there is"
    taken = portion.taken
    assert most // 2 < taken == portion.of(USER.upper()) <= most * 4 // 5
    ann = world.user("ann", SHARE)
    if kind == "locks":
        flags = SMB2_LOCKFLAG_SHARED_LOCK | SMB2_LOCKFLAG_FAIL_IMMEDIATELY
        ann.want(LockRequest(ann.open(BIG), [LockElement(each, 1, flags) for each in range(1000)]))
        assert portion.taken == taken + 1000
    else:
        lease = CreateContext(SMB2_CREATE_REQUEST_LEASE, CreateLease(b"ann's own lease.", 1).pack())
        answer = ann.opened(BIG, oplock=SMB2_OPLOCK_LEVEL_LEASE, contexts=[lease])
        assert CreateLease.unpack(answer.contexts[0].data).lease_state == 1
    for member in members:
        world.disconnect(member)  # type: ignore[arg-type]
    world.disconnect(ann)
    world.pump()
    assert portion.taken == 0
