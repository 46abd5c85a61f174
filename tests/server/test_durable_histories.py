"""Histories of opens that may outlive their sessions, against what anybody would expect: a naive model that knows each
open's state, who may have it back, and what is in each file."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lanman import codes
from lanman.domain import Reason
from lanman.events import ServerState
from lanman.server.files.caching import NONE, RH, RWH, W
from lanman.server.files.open import DiskOpen
from lanman.server.files.oplocks import BREAK_TIMEOUT
from lanman.server.state import unpack_file_id
from lanman.smb2.constants import (
    FILE_OPEN_IF,
    SMB2_CREATE_DURABLE_HANDLE_RECONNECT,
    SMB2_CREATE_DURABLE_HANDLE_RECONNECT_V2,
    SMB2_CREATE_DURABLE_HANDLE_REQUEST,
    SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2,
    SMB2_CREATE_REQUEST_LEASE,
    SMB2_OPLOCK_LEVEL_BATCH,
    SMB2_OPLOCK_LEVEL_LEASE,
    SMB2_OPLOCK_LEVEL_NONE,
)
from lanman.smb2.messages import (
    CreateContext,
    CreateDurableHandle,
    CreateDurableHandleReconnect,
    CreateDurableHandleReconnectV2,
    CreateDurableHandleV2,
    CreateLeaseV2,
    CreateResponse,
    LeaseBreak,
    LeaseBreakNotification,
    LogoffRequest,
    OplockBreak,
    TreeDisconnectRequest,
    WriteRequest,
)
from support.disk_server import DiskWorld, FileClient

USERS = ("ann", "bob")
GUIDS = (b"\x01" * 16, b"\x02" * 16)
NAMES = ("a", "b")
LIVE, ORPHANED, CLOSED = "live", "orphaned", "closed"
KEPT = 60.0


@dataclass(eq=False)
class Known:
    """An open that there is, or was. `session_id` is that which has it, 0 for none; `until` when it is closed."""

    file_id: bytes
    owner: str
    guid: bytes
    create_guid: bytes
    name: str
    leased: bool
    state: str = LIVE
    session_id: int = 0
    until: float = 0.0

    @property
    def persistent_id(self) -> int:
        return unpack_file_id(self.file_id)[0]


class Histories(RuleBasedStateMachine):
    """Clients come, open, write, lose their connections, reclaim and are ended by others; time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="lanman-durable-"))
        self.world = DiskWorld(self.folder)
        (state,) = self.world.answer(self.world.service.describe(100))
        self.state: ServerState = state
        self.world.service.subscribe(self.state.apply)
        self.clients: list[FileClient] = []
        self.whose: dict[FileClient, tuple[str, bytes]] = {}
        self.known: list[Known] = []
        self.contents: dict[str, bytes] = {}
        self.number = 0

    def teardown(self) -> None:
        for client in list(self.world.clients.values()):
            self.world.disconnect(client)
        self.world.advance(BREAK_TIMEOUT + KEPT * 3)
        assert self.world.service.opens() == []
        assert len(self.world.files) == 0
        assert len(self.world.dispatch.files.create_guids) == 0
        assert (len(self.world.service.durable), len(self.world.dispatch.leases)) == (0, 0)
        shutil.rmtree(self.folder)

    # --- what happens

    @initialize(at_once=st.booleans())
    def begin(self, at_once: bool) -> None:
        if at_once:
            self.world.dispatch.scheduler.at_once = self.world.do_at_once
        for user, guid in (("ann", GUIDS[0]), ("ann", GUIDS[1]), ("bob", GUIDS[1])):
            self.come(user, guid)

    @precondition(lambda self: len(self.clients) < 4)
    @rule(user=st.sampled_from(USERS), guid=st.sampled_from(GUIDS))
    def come(self, user: str, guid: bytes) -> None:
        client = self.world.user(user, guid=guid)
        self.clients.append(client)
        self.whose[client] = user, guid

    @precondition(lambda self: self.clients)
    @rule(
        data=st.data(),
        name=st.sampled_from(NAMES),
        caches=st.sampled_from([NONE, -1, RH, RWH]),
        version=st.sampled_from([0, 1, 2, 2]),
        share=st.sampled_from([7, 7, 0]),
        cut=st.booleans(),
    )
    def open(self, data: st.DataObject, name: str, caches: int, version: int, share: int, cut: bool) -> None:
        """`caches` is what a lease is to hold; -1 is a batch oplock. Who is waited for may lose the connection."""
        self.open_as(data.draw(st.sampled_from(self.clients)), name, caches, version, share, cut=cut)

    @precondition(lambda self: len(self.clients) >= 2)
    @rule(name=st.sampled_from(NAMES), caches=st.sampled_from([-1, RH, RWH]), share=st.sampled_from([7, 0]))
    def lose_who_is_asked(self, name: str, caches: int, share: int) -> None:
        """A client has a file for itself, another wants it, and the first loses its connection before it answers."""
        first, second = self.clients[-2:]
        self.open_as(first, name, caches, 2, share, cut=False)
        if first in self.clients and second in self.clients:
            self.open_as(second, name, NONE, 0, 7, cut=True)

    def open_as(self, client: FileClient, name: str, caches: int, version: int, share: int, *, cut: bool) -> None:
        user, guid = self.whose[client]
        self.number += 1
        create_guid = self.number.to_bytes(16, "little") if version == 2 else b""
        contexts = []
        if version == 1:
            contexts = [CreateContext(SMB2_CREATE_DURABLE_HANDLE_REQUEST, CreateDurableHandle().pack())]
        elif version == 2:
            asked = CreateDurableHandleV2(int(KEPT * 1000), 0, create_guid).pack()
            contexts = [CreateContext(SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2, asked)]
        level = SMB2_OPLOCK_LEVEL_BATCH if caches == -1 else SMB2_OPLOCK_LEVEL_NONE
        if caches > 0:
            level = SMB2_OPLOCK_LEVEL_LEASE
            contexts.append(self.lease(name, caches))
        asks = client.create(name, disposition=FILE_OPEN_IF, share=share, oplock=level, contexts=contexts)
        number = client.send(asks)
        if client.result(number) == "" and cut:
            told = [each for each in self.clients if each.told and each is not client]
            for each in told[:1]:
                self.part(each, "cut")
        while client.result(number) == "" and client in self.clients:
            self.pass_time(BREAK_TIMEOUT)
        self.contents.setdefault(name, b"")
        answer = client.answers.get(number)
        if answer is not None and isinstance(answer.message, CreateResponse):
            known = Known(bytes(answer.message.file_id), user, guid, create_guid, name, leased=caches > 0)
            known.session_id = client.session_id
            self.known.append(known)
        self.look()

    def lease(self, name: str, state: int = RWH) -> CreateContext:
        return CreateContext(SMB2_CREATE_REQUEST_LEASE, CreateLeaseV2(name.encode() * 16, state).pack())

    @precondition(lambda self: any(each.state == LIVE for each in self.known))
    @rule(data=st.data(), text=st.binary(min_size=1, max_size=5))
    def write(self, data: st.DataObject, text: bytes) -> None:
        known = data.draw(st.sampled_from([each for each in self.known if each.state == LIVE]))
        client = self.client_of(known)
        client.want(WriteRequest(text, file_id=known.file_id))
        before = self.contents[known.name]
        self.contents[known.name] = text + before[len(text) :]
        self.look()

    @precondition(lambda self: any(each.state == LIVE for each in self.known))
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        known = data.draw(st.sampled_from([each for each in self.known if each.state == LIVE]))
        self.client_of(known).shut(known.file_id)
        known.state = CLOSED
        self.look()

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        """A client does what it was told."""
        client = data.draw(st.sampled_from(self.clients))
        told, client.told[:] = list(client.told), []
        for event in told:
            message = event.message
            if isinstance(message, LeaseBreakNotification):
                client.ask(LeaseBreak(0, message.lease_key, message.new_lease_state))
            else:
                assert isinstance(message, OplockBreak)
                client.ask(OplockBreak(message.oplock_level, bytes(message.file_id)))
        self.world.advance(0)
        self.look()

    @precondition(lambda self: self.clients)
    @rule(data=st.data(), how=st.sampled_from(["cut", "cut", "cut", "log off", "tree", "deleted"]))
    def leave(self, data: st.DataObject, how: str) -> None:
        self.part(data.draw(st.sampled_from(self.clients)), how)

    def part(self, client: FileClient, how: str) -> None:
        its_own = [each for each in self.known if each.state == LIVE and each.session_id == client.session_id]
        keeps = {each: how in ("cut", "log off") and self.is_held(each) for each in its_own}
        session = client.connection.channels[client.session_id].session
        self.clients.remove(client)
        if how == "tree":
            client.want(TreeDisconnectRequest())
        elif how == "log off":
            client.want(LogoffRequest(), tree_id=0)
        elif how == "deleted":
            self.world.service.close_session(session, Reason.DELETED)
        self.world.disconnect(client)
        self.world.pump()
        for each, kept in keeps.items():
            each.state, each.session_id = (ORPHANED if kept else CLOSED), 0
            each.until = self.world.now + (2 * KEPT if not each.create_guid else KEPT)
        self.look()

    @precondition(lambda self: self.clients and self.known)
    @rule(data=st.data())
    def reclaim(self, data: st.DataObject) -> None:
        """Whoever may have it has it back; all others do not."""
        client = data.draw(st.sampled_from(self.clients))
        known = data.draw(st.sampled_from(self.known))
        user, guid = self.whose[client]
        if known.create_guid:
            again = CreateDurableHandleReconnectV2(known.file_id, known.create_guid).pack()
            contexts = [CreateContext(SMB2_CREATE_DURABLE_HANDLE_RECONNECT_V2, again)]
        else:
            again = CreateDurableHandleReconnect(known.file_id).pack()
            contexts = [CreateContext(SMB2_CREATE_DURABLE_HANDLE_RECONNECT, again)]
        if known.leased:
            contexts.append(self.lease(known.name))
        answer = client.ask(client.create(known.name, contexts=contexts))
        if known.state != ORPHANED or (known.leased and guid != known.guid):
            assert answer.status == codes.STATUS_OBJECT_NAME_NOT_FOUND
        elif user != known.owner:
            assert answer.status == codes.STATUS_ACCESS_DENIED
        else:
            assert isinstance(answer.message, CreateResponse), codes.ntstatus_name(answer.status)
            assert answer.message.end_of_file == len(self.contents[known.name])
            known.file_id = bytes(answer.message.file_id)
            known.state, known.session_id = LIVE, client.session_id

    @precondition(lambda self: any(each.state != CLOSED for each in self.known))
    @rule(data=st.data())
    def close_by_administrator(self, data: st.DataObject) -> None:
        known = data.draw(st.sampled_from([each for each in self.known if each.state != CLOSED]))
        self.world.service.close_open(self.disk_open(known).open, Reason.DELETED)
        self.world.pump()
        known.state = CLOSED
        self.look()

    @rule(seconds=st.sampled_from([0.5, 30.0, BREAK_TIMEOUT + 1, KEPT - 0.5, KEPT]))
    def pass_time(self, seconds: float) -> None:
        self.world.advance(seconds)
        for each in self.known:
            if each.state == ORPHANED and each.until <= self.world.now:
                each.state = CLOSED
        self.look()

    # --- what is known

    def client_of(self, known: Known) -> FileClient:
        return next(each for each in self.clients if each.session_id == known.session_id)

    def disk_open(self, known: Known) -> DiskOpen:
        found = self.world.dispatch.sessions.find_open(known.persistent_id)
        assert isinstance(found, DiskOpen)
        return found

    def is_held(self, known: Known) -> bool:
        """MS-SMB2 3.3.7.1: whether it was granted, and its oplock or lease is held with H."""
        found = self.disk_open(known)
        caching = found.holder.caching
        return found.open.durable and not caching.breaking and caching.rights & RWH in (RH, RWH)

    def look(self) -> None:
        """Orphans may have given way to others: that they do is nobody's fault, and they stay closed."""
        for each in self.known:
            if each.state == ORPHANED and self.world.dispatch.sessions.find_open(each.persistent_id) is None:
                each.state = CLOSED

    # --- what must hold

    @invariant()
    def each_open_is_in_one_state(self) -> None:
        preserved = {opened.file_id for opened in self.world.service.durable.preserved}
        listed = {opened.file_id: opened for opened in self.world.service.opens()}
        for each in self.known:
            found = self.world.dispatch.sessions.find_open(each.persistent_id)
            if each.state == CLOSED:
                assert found is None
                assert each.persistent_id not in listed
                continue
            assert found is not None
            opened = listed[each.persistent_id]
            assert (each.persistent_id in preserved) is opened.preserved is (each.state == ORPHANED)
            if each.state == LIVE:
                assert found.session is not None
                assert found.session.session.session_id == each.session_id
                assert opened.user_name == each.owner
            else:
                assert found.session is None
                assert (opened.user_name, opened.owner[0]) == ("", each.owner)
                assert opened.reclaimable
                assert opened.kept_until == each.until > self.world.now
        assert len(listed) == sum(each.state != CLOSED for each in self.known)

    @invariant()
    def the_lists_agree(self) -> None:
        service = self.world.service
        assert self.world.answer(service.describe(1000)) == [self.state]
        for session in service.sessions():
            assert session.num_opens == self.state.num_opens(session.global_id)
        assert service.counters.fopens == len(service.opens())
        assert len(service.durable) == sum(opened.durable for opened in service.opens())

    @invariant()
    def nobody_holds_what_conflicts(self) -> None:
        for state in self.world.dispatch.files._states.values():
            holders = {each.holder for each in state.opens if each.holder.caching.rights}
            writers = [each for each in holders if each.caching.rights & W]
            assert not writers or len(holders) == 1

    @invariant()
    def what_was_acknowledged_is_in_the_file(self) -> None:
        for name, contents in self.contents.items():
            path = self.folder / name
            assert (path.read_bytes() if path.exists() else b"") == contents


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
