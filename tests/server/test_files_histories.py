"""What must hold whatever clients, administrators and the network do with files (spec of sessions, invariants)."""

from __future__ import annotations

import fnmatch
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from lanman import codes
from lanman.domain import Portion, Reason
from lanman.errors import StatusError
from lanman.fscc.files import FILE_DISPOSITION_INFORMATION
from lanman.server.files.caching import HOLDABLE, W, rights_name
from lanman.server.files.directory import matches
from lanman.server.files.leases import Lease
from lanman.server.files.locks import Locks
from lanman.server.files.open import DiskOpen
from lanman.server.files.oplocks import BREAK_TIMEOUT
from lanman.server.files.table import _COUNTS, _SHARES, _counted, shares_conflict
from lanman.smb2.constants import (
    FILE_DELETE_ON_CLOSE,
    FILE_OPEN_IF,
    FILE_OVERWRITE_IF,
    SMB2_CREATE_REQUEST_LEASE,
    SMB2_LOCKFLAG_EXCLUSIVE_LOCK,
    SMB2_LOCKFLAG_FAIL_IMMEDIATELY,
    SMB2_LOCKFLAG_UNLOCK,
    SMB2_OPLOCK_LEVEL_BATCH,
    SMB2_OPLOCK_LEVEL_LEASE,
)
from lanman.smb2.messages import (
    CloseRequest,
    CreateContext,
    CreateLeaseV2,
    CreateResponse,
    LeaseBreak,
    LeaseBreakNotification,
    LockElement,
    LockRequest,
    OplockBreak,
    SetInfoRequest,
    WriteRequest,
)
from support.disk_server import SHARE_ALL, DiskWorld, FileClient

NAMES = ("a", "b", "C")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            (
                *("open", "open", "open", "lease", "lease", "lease", "close", "lock", "unlock", "write", "delete"),
                *("force", "end", "cut", "ack", "ack", "wait"),
            )
        ),
        st.integers(0, 3),
        st.integers(0, 7),
    ),
    max_size=30,
)


class History:
    """Clients that do one thing after the other, and what they believe to have open."""

    def __init__(self, world: DiskWorld) -> None:
        self.world = world
        self.clients: list[FileClient | None] = [None] * 4
        self.mine: dict[FileClient, list[bytes]] = {}
        self.asked: dict[tuple[FileClient, int], tuple[bytes, str]] = {}  # leases, by the request
        # What clients believe of their leases, by ClientGuid, key and name; and since when they have not answered.
        self.believed: dict[tuple[bytes, bytes, str], int] = {}
        self.unanswered: dict[tuple[bytes, bytes], tuple[float, Lease | None]] = {}

    def received(self, client: FileClient, event: Any) -> None:
        """A client hears something, and believes it."""
        guid, message = guid_of(client), getattr(event, "message", None)
        if isinstance(message, CreateResponse):
            asked = self.asked.get((client, event.message_id))
            for context in message.contexts:
                assert asked is not None, "a context that nobody has asked for"
                assert message.oplock_level == SMB2_OPLOCK_LEVEL_LEASE
                assert context.name == SMB2_CREATE_REQUEST_LEASE
                self.believed[guid, *asked] = CreateLeaseV2.unpack(context.data).lease_state
        elif isinstance(message, LeaseBreakNotification):
            if message.flags:
                lease = self.world.dispatch.files.leases.find(guid, message.lease_key)
                self.unanswered.setdefault((guid, message.lease_key), (self.world.now, lease))
            else:
                self._believe(guid, message.lease_key, message.new_lease_state)
        elif isinstance(message, LeaseBreak):
            self.unanswered.pop((guid, message.lease_key), None)
            self._believe(guid, message.lease_key, message.lease_state)

    def _believe(self, guid: bytes, key: bytes, state: int) -> None:
        for known in self.believed:
            if known[:2] == (guid, key):
                self.believed[known] = state

    def client(self, number: int) -> FileClient:
        client = self.clients[number]
        if client is None or client.connection.connection_id not in self.world.clients:
            guid = bytes([number // 2]) * 16
            fresh = client = self.clients[number] = self.world.user(("ann", "bob")[number % 2], guid=guid)
            self.mine[client] = []
            client.watches = lambda event: self.received(fresh, event)
        return client

    def step(self, what: str, number: int, detail: int) -> None:
        client = self.client(number)
        mine = self.mine[client]
        try:
            getattr(self, what)(client, mine, detail)
        except StatusError as error:
            if error.status == codes.STATUS_USER_SESSION_DELETED:
                self.cut(client, mine, detail)

    def open(self, client: FileClient, mine: list[bytes], detail: int) -> None:
        request = client.create(
            NAMES[detail % 3],
            share=SHARE_ALL if detail < 6 else 0,
            disposition=FILE_OPEN_IF,
            options=FILE_DELETE_ON_CLOSE if detail == 1 else 0,
            oplock=SMB2_OPLOCK_LEVEL_BATCH if detail % 2 else 0,
        )
        answer = client.answers.pop(client.send(request), None)
        if answer is not None and answer.status == codes.STATUS_SUCCESS:
            mine.append(bytes(answer.message.file_id))  # type: ignore[attr-defined]

    def lease(self, client: FileClient, mine: list[bytes], detail: int) -> None:
        key, name = b"a" * 15 + bytes([detail % 4 // 3]), NAMES[detail % 3]
        wanted = HOLDABLE[(detail + len(mine)) % 5]
        request = client.create(
            name,
            share=SHARE_ALL if detail < 6 else 0,
            disposition=FILE_OVERWRITE_IF if detail == 2 else FILE_OPEN_IF,
            oplock=SMB2_OPLOCK_LEVEL_LEASE,
            contexts=[CreateContext(SMB2_CREATE_REQUEST_LEASE, CreateLeaseV2(key, wanted).pack())],
        )
        number = client.core.send(request, session_id=client.session_id, tree_id=client.tree_id)
        self.asked[client, number] = key, name
        self.world.pump()
        answer = client.answers.pop(number, None)
        if answer is not None and answer.status == codes.STATUS_SUCCESS:
            mine.append(bytes(answer.message.file_id))  # type: ignore[attr-defined]

    def write(self, client: FileClient, mine: list[bytes], detail: int) -> None:
        if mine:
            client.send(WriteRequest(b"x", file_id=mine[-1]))

    def delete(self, client: FileClient, mine: list[bytes], detail: int) -> None:
        if mine:
            client.send(SetInfoRequest(1, FILE_DISPOSITION_INFORMATION, bytes([detail % 2]), file_id=mine[-1]))

    def close(self, client: FileClient, mine: list[bytes], detail: int) -> None:
        if mine:
            client.ask(CloseRequest(file_id=mine.pop(detail % len(mine))))

    def lock(self, client: FileClient, mine: list[bytes], detail: int) -> None:
        flags = SMB2_LOCKFLAG_EXCLUSIVE_LOCK | (SMB2_LOCKFLAG_FAIL_IMMEDIATELY if detail % 2 else 0)
        if mine:
            client.send(LockRequest(mine[-1], [LockElement(detail, 2, flags)]))

    def unlock(self, client: FileClient, mine: list[bytes], detail: int) -> None:
        if mine:
            client.send(LockRequest(mine[-1], [LockElement(detail, 2, SMB2_LOCKFLAG_UNLOCK)]))

    def ack(self, client: FileClient, mine: list[bytes], detail: int) -> None:
        told = list(client.told)
        client.told.clear()
        for event in told:
            message = event.message
            if isinstance(message, LeaseBreakNotification):
                state = message.new_lease_state if detail < 5 else 0
                client.send(LeaseBreak(0, message.lease_key, state))
                self.world.advance(0)
            else:
                client.send(OplockBreak(0, bytes(message.file_id)))  # type: ignore[attr-defined]

    def force(self, client: FileClient, mine: list[bytes], detail: int) -> None:
        opens = self.world.service.opens()
        if opens:
            self.world.service.close_open(opens[detail % len(opens)], Reason.DELETED)
            self.world.pump()

    def end(self, client: FileClient, mine: list[bytes], detail: int) -> None:
        sessions = self.world.service.sessions()
        if sessions:
            self.world.service.close_session(sessions[detail % len(sessions)], Reason.DELETED)
            self.world.pump()

    def cut(self, client: FileClient, mine: list[bytes], detail: int) -> None:
        self.world.disconnect(client)
        self.world.pump()

    def wait(self, client: FileClient, mine: list[bytes], detail: int) -> None:
        self.world.advance(detail * 6)

    def check(self) -> None:
        """Section 12: one truth in the domain, on the wire, in the table of files and on the disk."""
        service = self.world.service
        opens = service.opens()
        wire = [
            each
            for connection in self.world.dispatch.connections.values()
            for session in connection.channels.values()
            for each in session.opens.values()
            if isinstance(each, DiskOpen)
        ]
        assert {each.open.global_id for each in wire} == {each.global_id for each in opens}
        files = [each for state in self.world.dispatch.files._states.values() for each in state.opens]
        assert set(map(id, files)) == set(map(id, wire))
        for session in service.sessions():
            assert session.num_opens == sum(each.session is session for each in opens)
        uses = Counter(tree.share.name for tree in service.tree_connects())
        for share in service.shares():
            assert share.current_uses == uses[share.name]
        assert service.counters.sopens == len(service.sessions())
        for each in wire:
            assert each.open.num_locks == each.state.locks.count(each)
            for other in each.state.opens:
                if other is not each:
                    assert not shares_conflict(each.access, each.share_access, other.access, other.share_access)
                    alone = each.holder.caching.rights & W and not each.holder.caching.breaking
                    assert not alone or other.holder is each.holder or not other.more_than_stat
                if other.holder is not each.holder and each.holder.caching.rights & W:
                    assert not other.holder.caching.rights
        self.check_leases()
        for state in self.world.dispatch.files._states.values():
            counted = (_counted(each.access & _COUNTS, each.share_access & _SHARES)[0] for each in state.opens)
            assert state._modes == sum(counted)
        waiting = sum(len(state._waiting) for state in self.world.dispatch.files._states.values())
        assert len(wire) <= len(self.world.files) <= len(wire) + waiting  # a deletion that waits has no other handle

    def check_leases(self) -> None:
        """Each lease is of the opens that say so, and its client believes what the Server does."""
        leases = list(self.world.dispatch.files.leases)
        opens = {each for state in self.world.dispatch.files._states.values() for each in state.opens}
        assert {each for lease in leases for each in lease.opens} == {each for each in opens if each.lease is not None}
        for (guid, key), (since, told) in list(self.unanswered.items()):
            if told is not self.world.dispatch.files.leases.find(guid, key):
                del self.unanswered[guid, key]  # that one has ended
            elif self.world.now - since >= BREAK_TIMEOUT:
                del self.unanswered[guid, key]
                self._believe(guid, key, 0)
        for lease in leases:
            assert lease.opens
            believed = {
                state
                for (guid, key, name), state in self.believed.items()
                if (guid, key) == (lease.client, lease.key) and name.casefold() == lease.name[1][-1].casefold()
            }
            if lease._answered:
                assert believed == {lease.caching.rights}
            else:
                assert not lease.caching.rights
            assert lease.caching.breaking == (lease._timer is not None)
            for opened in lease.opens:
                assert isinstance(opened, DiskOpen)
                assert opened.lease is lease
                assert (opened.open.lease, opened.oplock.caching.rights) == (rights_name(lease.caching.rights), 0)

    def end_all_breaks(self) -> None:
        """Nobody answers any more: all breaks end all the same, and nobody goes on waiting for them."""
        self.world.advance(4 * BREAK_TIMEOUT)
        assert not any(lease.caching.breaking for lease in self.world.dispatch.files.leases)
        assert not any(state._waiting for state in self.world.dispatch.files._states.values())


def guid_of(client: FileClient) -> bytes:
    """The ClientGuid of a client."""
    assert client.connection.core.negotiated is not None
    return client.connection.core.client_guid


@settings(max_examples=60, deadline=None)
@given(STEPS, st.booleans())
@example([("open", 1, 1), ("open", 0, 3), ("open", 0, 0), ("open", 1, 0), ("end", 0, 1)], False)  # a CREATE waits
def test_one_truth_whatever_happens(steps: list[tuple[str, int, int]], at_once: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = DiskWorld(Path(folder), at_once=at_once)
        history = History(world)
        for step in steps:
            history.step(*step)
            history.check()
        history.end_all_breaks()
        history.check()
        for client in list(world.clients.values()):
            world.disconnect(client)
        world.pump()
        assert len(world.files) == 0
        assert not world.dispatch.files._states
        assert world.service.sessions() == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("shared", "exclusive", "unlock", "release")),
            st.integers(0, 2),
            st.integers(0, 6),
            st.integers(1, 4),
        ),
        max_size=40,
    )
)
def test_locks_against_one_byte_after_the_other(steps: list[tuple[str, int, int, int]]) -> None:
    locks = Locks(Portion("locks", lambda: 10**9))
    held: list[tuple[int, int, int, bool]] = []
    owners: list[Any] = [type("Owner", (), {"handle_of": "ann"})() for _ in range(3)]
    for what, owner, offset, length in steps:
        covered = set(range(offset, offset + length))
        if what == "release":
            locks.release(owners[owner])
            held = [each for each in held if each[0] != owner]
        elif what == "unlock":
            mine = [each for each in held if each[:3] == (owner, offset, length)]
            assert locks.unlock(owners[owner], offset, length) == bool(mine)
            if mine:
                held.remove(max(mine, key=lambda each: each[3]))
        else:
            exclusive = what == "exclusive"
            conflict = any(
                covered & set(range(at, at + size)) and (exclusive or (other_exclusive and other != owner))
                for other, at, size, other_exclusive in held
            )
            assert (locks.lock(owners[owner], offset, length, exclusive) is None) == conflict
            if not conflict:
                held.append((owner, offset, length, exclusive))
        for reader in range(3):
            touching = [each for each in held if covered & set(range(each[1], each[1] + each[2]))]
            cannot_read = any(each[3] and each[0] != reader for each in touching)
            cannot_write = any(each[0] != reader or not each[3] for each in touching)
            assert locks.prevents_reading(owners[reader], offset, length) == cannot_read
            assert locks.prevents_writing(owners[reader], offset, length) == cannot_write
        assert [locks.count(each) for each in owners] == [sum(h[0] == n for h in held) for n in range(3)]


@given(st.text("AB.*?", max_size=12), st.text("AB.", max_size=12))
def test_patterns_without_the_dos_characters_are_what_everybody_knows(pattern: str, name: str) -> None:
    assert matches(pattern, name) == fnmatch.fnmatchcase(name, pattern)


def test_the_dos_characters() -> None:
    """MS-FSA 2.1.4.4, as clients translate `*.`, `*.txt` and `a?.`."""
    assert matches('<"TXT', "A.B.TXT")
    assert not matches('<"TXT', "A.TXT.B")
    assert matches("A>>", "A")
    assert matches("A>>", "ABC")
    assert not matches("A>>", "ABCD")
    assert matches('A"', "A")
    assert matches('A"', "A.")
    assert not matches('A"', "AB")
