"""Histories of users who take, lose and reclaim what all share: after each step a Server's counts (`domain.portions`)
are those of what is really held, and nothing is left when all have gone."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from lanman.domain import Reason
from lanman.errors import LanmanError, LocalProtocolError
from lanman.names import fold
from lanman.rpc.srvsvc.server import NetrServerGetInfo
from lanman.server.dispatch import ConnectionDispatch
from lanman.server.files.caching import RH, RWH
from lanman.server.files.open import DiskOpen
from lanman.server.files.oplocks import BREAK_TIMEOUT
from lanman.server.pipes import PipeOpen
from lanman.server.resources import ResourceLimits
from lanman.smb2.constants import (
    FILE_DELETE_ON_CLOSE,
    FILE_DIRECTORY_FILE,
    FILE_OPEN_IF,
    FSCTL_PIPE_TRANSCEIVE,
    SMB2_CREATE_DURABLE_HANDLE_RECONNECT_V2,
    SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2,
    SMB2_CREATE_REQUEST_LEASE,
    SMB2_LOCKFLAG_EXCLUSIVE_LOCK,
    SMB2_LOCKFLAG_FAIL_IMMEDIATELY,
    SMB2_LOCKFLAG_SHARED_LOCK,
    SMB2_LOCKFLAG_UNLOCK,
    SMB2_OPLOCK_LEVEL_LEASE,
    SMB2_OPLOCK_LEVEL_NONE,
    SMB2_WATCH_TREE,
)
from lanman.smb2.messages import (
    ChangeNotifyRequest,
    CreateContext,
    CreateDurableHandleReconnectV2,
    CreateDurableHandleV2,
    CreateLeaseV2,
    CreateResponse,
    IoctlRequest,
    LeaseBreak,
    LeaseBreakNotification,
    LockElement,
    LockRequest,
    LogoffRequest,
    Message,
    ReadRequest,
    TreeConnectRequest,
    TreeDisconnectRequest,
)
from support.disk_server import DiskWorld, FileClient
from support.passwords import PASSWORD

NAMES = ("a", "b")
KEPT = 60.0
ALWAYS = 8192
LIMITS = ResourceLimits(output_per_connection=1 << 18, output=1 << 19, output_always=ALWAYS, leases=6)
# So little of some that it is wanted too much now and then.
MOST = {
    "byte-range locks": 9,
    "leases": 4,
    "open pipes": 5,
    "bytes of changes in directories": 120,
    "tree connects": 30,
    "files that clients may reclaim": 8,
    "open files": 40,
}
Counts = dict[str, Counter[str]]


class Silenced:
    """A client that reads nothing until it is let: what is sent to it stays in the transport."""

    def __init__(self, client: FileClient) -> None:
        self.connection = connection = client.connection
        self.kept: list[bytes] = []
        self._take, self._told = connection.data_to_send, connection.sent
        connection.data_to_send = self._keep  # type: ignore[method-assign, assignment]
        connection.sent = lambda left, now: self._told(sum(map(len, self.kept)), now)  # type: ignore[method-assign]

    def _keep(self) -> list[bytes]:
        self.kept.extend(bytes(each) for each in self._take())
        return []

    def end(self) -> list[bytes]:
        """It reads again; what it has missed."""
        self.connection.data_to_send = self._take  # type: ignore[method-assign]
        self.connection.sent = self._told  # type: ignore[method-assign]
        return self.kept


class Shared(RuleBasedStateMachine):
    """Ann, Bob and guests; each step is one thing that a client, an administrator or the network does."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="lanman-portions-"))
        for name in NAMES:
            (self.folder / name).write_bytes(bytes(1 << 16))
        (self.folder / "d").mkdir()
        self.world = DiskWorld(self.folder, resources=LIMITS)
        for portion in self.world.service.portions:
            if portion.name in MOST:
                portion._most = partial(MOST.get, portion.name)
        self.other = self.world.share("other", self.folder)
        self.clients: list[FileClient] = []
        self.first_user: dict[int, str] = {}  # by session ID: who logged on first
        self.mine: dict[FileClient, list[bytes]] = {}
        self.keepable: list[tuple[str, bytes, bytes]] = []  # name, file ID and GUID of what was to be durable
        self.silent: dict[FileClient, Silenced] = {}
        self.number = 0

    def teardown(self) -> None:
        for client in list(self.world.clients.values()):
            self.world.disconnect(client)
        self.world.advance(BREAK_TIMEOUT + KEPT * 3)
        assert self.held() == {}
        assert {each.name: each.taken for each in self.world.service.portions if each.taken} == {}
        assert [each.name for each in self.world.service.portions if each._of] == []
        shutil.rmtree(self.folder)

    # --- what is really held

    def held(self) -> Counts:
        """By what is shared and by whom, counted one by one."""
        dispatch, service = self.world.dispatch, self.world.service
        found: Counts = {}

        def count(what: str, whose: str, number: int = 1) -> None:
            if number:
                found.setdefault(what, Counter())[whose] += number

        for session in service.sessions():
            count("sessions", self.first_user[session.session_id])
        for tree in service.tree_connects():
            count("tree connects", self.first_user[tree.session.session_id])
        for opened in service.opens():
            count("files that clients may reclaim", fold(opened.owner[0]), opened.durable)
            there = dispatch.sessions.find_open(opened.file_id)
            if isinstance(there, PipeOpen):
                count("open pipes", self.first_user[opened.session.session_id])
            elif isinstance(there, DiskOpen):
                count("open files", there.handle_of, 1 + there.directory)
                count("bytes of changes in directories", there.handle_of, there._watch._kept if there._watch else 0)
        for lease in dispatch.leases:
            count("leases", lease.of)
        for state in dispatch.files._states.values():
            for owner, ranges in state.locks._held.items():
                for kind in (ranges.exclusive, ranges.shared):
                    count("byte-range locks", owner.handle_of, len(kind.starts) + len(kind.points))
        for connection in dispatch.connections.values():
            count("bytes of answers", connection.party, connection.output if connection.output > ALWAYS else 0)
            count("bytes on pipes", connection.party, self.kept_by_pipes(connection))
        return found

    def kept_by_pipes(self, connection: ConnectionDispatch) -> int:
        """A session's pipes count for the oldest connection of it that is left."""
        return sum(each.unread for each in connection.channels.values() if each.connection is connection)

    def check(self) -> None:
        said = {
            each.name: {user: each.of(user) for user in each._of if each.of(user)}
            for each in self.world.service.portions
            if each.taken or each._of
        }
        assert said == self.held()
        assert all(number >= 0 for each in self.world.service.portions for number in each._of.values())
        assert self.world.dispatch.room.output == sum(c.output for c in self.world.dispatch.connections.values())

    # --- what happens

    def alive(self) -> Iterator[FileClient]:
        for each in self.clients:
            if each.connection.connection_id in self.world.clients and each.session_id in each.connection.channels:
                yield each

    def one(self, data: st.DataObject) -> FileClient:
        self.clients = list(self.alive()) or [self.begin("ann")]
        return data.draw(st.sampled_from(self.clients))

    def begin(self, user: str) -> FileClient:
        client = FileClient(self.world, guid=bytes([1 + self.number % 2]) * 16)
        self.number += 1
        client.negotiate()
        client.log_on(user)
        self.first_user[client.session_id] = fold(user)
        with suppress(LanmanError):
            client.tree_connect(r"\\server\share")
        self.mine[client] = []
        return client

    @precondition(lambda self: len(self.clients) < 6)
    @rule(user=st.sampled_from(["ann", "ann", "bob", "ANN"]))
    def come(self, user: str) -> None:
        self.clients.append(self.begin(user))
        self.check()

    @rule(data=st.data())
    def log_on_anonymously(self, data: st.DataObject) -> None:
        """A null session beside, or on a connection of its own."""
        client = self.world.connect()
        client.log_on()
        self.first_user[client.session_id] = ""
        with suppress(LanmanError):
            client.tree_connect()
        self.check()
        if data.draw(st.booleans()):
            self.world.disconnect(client)
        self.check()

    @rule(data=st.data(), user=st.sampled_from(["ann", "bob", ""]))
    def log_on_again(self, data: st.DataObject, user: str) -> None:
        """As the same user, as nobody, or as another, which ends the session."""
        client = self.one(data)
        if client not in self.silent:
            try:
                client.log_on(user, again=True)
            except LanmanError:
                pass
        self.check()

    @rule(data=st.data(), user=st.sampled_from(["ann", "bob"]))
    def log_on_beside(self, data: st.DataObject, user: str) -> None:
        """A second session on the same connection, which works for that user from then on."""
        client = self.one(data)
        if client in self.silent:
            return
        own = client.session_id
        with suppress(LanmanError):
            client.log_on(user)
            self.first_user[client.session_id] = fold(user)
        client.session_id = own
        self.check()

    @rule(data=st.data())
    def bind_another_connection(self, data: st.DataObject) -> None:
        first = self.one(data)
        if first in self.silent or not first.connection.channels:
            return
        client = FileClient(self.world, guid=first.core._client_guid)
        client.negotiate()
        try:
            client.bind_to(first)
        except LanmanError:
            self.world.disconnect(client)
        else:
            self.clients.append(client)
            self.mine[client] = self.mine[first]
        self.check()

    @rule(
        data=st.data(),
        name=st.sampled_from(NAMES),
        rights=st.sampled_from([0, RH, RWH, RWH]),
        durable=st.booleans(),
    )
    def open(self, data: st.DataObject, name: str, rights: int, durable: bool) -> None:
        client = self.one(data)
        self.number += 1
        guid = self.number.to_bytes(16, "little")
        contexts = []
        if rights:
            key = bytes([ord(name)]) * 16
            contexts.append(CreateContext(SMB2_CREATE_REQUEST_LEASE, CreateLeaseV2(key, rights).pack()))
        if durable:
            asked = CreateDurableHandleV2(int(KEPT * 1000), 0, guid).pack()
            contexts.append(CreateContext(SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2, asked))
        level = SMB2_OPLOCK_LEVEL_LEASE if rights else SMB2_OPLOCK_LEVEL_NONE
        number = self.say(client, client.create(name, disposition=FILE_OPEN_IF, oplock=level, contexts=contexts))
        self.acknowledge()
        self.world.advance(BREAK_TIMEOUT + 1)
        answer = client.answers.get(number)
        if answer is not None and isinstance(answer.message, CreateResponse):
            file_id = bytes(answer.message.file_id)
            self.mine[client].append(file_id)
            if durable:
                self.keepable.append((name, file_id, guid))
        self.check()

    def say(self, client: FileClient, message: Message, **ids: int) -> int:
        """Send a request; its message ID, 0 if the client may send no more."""
        try:
            return client.send(message, **ids)
        except LocalProtocolError:
            return 0

    def acknowledge(self) -> None:
        """All clients do what they were told."""
        for client in self.alive():
            told, client.told[:] = list(client.told), []
            for event in told:
                if isinstance(event.message, LeaseBreakNotification):
                    self.say(client, LeaseBreak(0, event.message.lease_key, event.message.new_lease_state))

    @rule(data=st.data(), number=st.integers(1, 4), at=st.integers(0, 3), exclusive=st.booleans(), wait=st.booleans())
    def lock(self, data: st.DataObject, number: int, at: int, exclusive: bool, wait: bool) -> None:
        client = self.one(data)
        if not self.mine[client]:
            return
        flags = SMB2_LOCKFLAG_EXCLUSIVE_LOCK if exclusive else SMB2_LOCKFLAG_SHARED_LOCK
        wait = wait and number == 1
        flags |= 0 if wait else SMB2_LOCKFLAG_FAIL_IMMEDIATELY
        elements = [LockElement(each, 1, flags) for each in range(at, at + number)]
        message_id = self.say(client, LockRequest(data.draw(st.sampled_from(self.mine[client])), elements))
        if wait and data.draw(st.booleans()):
            client.core.cancel(message_id)
            self.world.pump()
        self.check()

    @rule(data=st.data(), at=st.integers(0, 6))
    def unlock(self, data: st.DataObject, at: int) -> None:
        client = self.one(data)
        if self.mine[client]:
            file_id = data.draw(st.sampled_from(self.mine[client]))
            self.say(client, LockRequest(file_id, [LockElement(at, 1, SMB2_LOCKFLAG_UNLOCK)]))
        self.check()

    @rule(data=st.data(), cancelled=st.booleans(), changes=st.integers(0, 3))
    def watch(self, data: st.DataObject, cancelled: bool, changes: int) -> None:
        client = self.one(data)
        number = self.say(client, client.create("d", disposition=FILE_OPEN_IF, options=FILE_DIRECTORY_FILE))
        answer = client.answers.get(number)
        if answer is not None and isinstance(answer.message, CreateResponse):
            file_id = bytes(answer.message.file_id)
            self.mine[client].append(file_id)
            number = self.say(client, ChangeNotifyRequest(SMB2_WATCH_TREE, 4096, file_id, 0x17F))
            if cancelled:
                client.core.cancel(number)
                self.world.pump()
            for each in range(changes):
                name = f"d\\{each}"
                self.say(client, client.create(name, disposition=FILE_OPEN_IF, options=FILE_DELETE_ON_CLOSE))
        self.check()

    @rule(data=st.data(), write=st.integers(0, 3))
    def use_a_pipe(self, data: st.DataObject, write: int) -> None:
        """Calls whose answers nobody reads."""
        client = self.one(data)
        if client in self.silent:
            return
        before = client.tree_id
        try:
            client.bind()
            for _ in range(write):
                call = client.rpc.call(NetrServerGetInfo("", 101))[0]
                self.say(client, IoctlRequest(FSCTL_PIPE_TRANSCEIVE, client.file_id, call, max_output_response=16))
        except (LanmanError, KeyError):
            pass
        self.mine[client].append(client.file_id)
        client.tree_id = before
        self.check()

    @rule(data=st.data(), times=st.integers(1, 5))
    def read_nothing(self, data: st.DataObject, times: int) -> None:
        """Ask for much, and leave the answers."""
        client = self.one(data)
        if client not in self.silent:
            self.silent[client] = Silenced(client)
        for file_id in self.mine[client][:1]:
            for _ in range(times):
                if client.core.credits > 2:
                    self.say(client, ReadRequest(length=65536, file_id=file_id))
        self.check()

    @rule()
    def read_all(self) -> None:
        for client, silenced in list(self.silent.items()):
            del self.silent[client]
            for data in silenced.end():
                client.deliver(data)
            silenced.connection.sent(0, self.world.now)
        self.world.pump()
        self.check()

    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        client = self.one(data)
        if self.mine[client] and client not in self.silent:
            file_id = data.draw(st.sampled_from(self.mine[client]))
            self.mine[client].remove(file_id)
            try:
                client.shut(file_id)
            except LanmanError:
                pass
        self.check()

    @rule(data=st.data(), tree=st.sampled_from(["share", "other", "IPC$"]))
    def connect(self, data: st.DataObject, tree: str) -> None:
        self.say(self.one(data), TreeConnectRequest(0, rf"\\server\{tree}"), tree_id=0)
        self.check()

    @rule(data=st.data(), how=st.sampled_from(["cut", "cut", "log off", "tree", "deleted", "connection", "account"]))
    def leave(self, data: st.DataObject, how: str) -> None:
        client = self.one(data)
        service, channel = self.world.service, client.connection.channels.get(client.session_id)
        if how == "cut":
            self.world.disconnect(client)
        elif how == "log off":
            self.say(client, LogoffRequest(), tree_id=0)
        elif how == "tree":
            self.say(client, TreeDisconnectRequest())
        elif how == "deleted" and channel is not None:
            service.close_session(channel.session, Reason.DELETED)
        elif how == "connection":
            client.connection.finish("the test ends it", at_once=True)
        elif channel is not None:
            service.change_rights(channel.session, frozenset(), guest=not channel.session.guest)
        self.world.pump()
        self.check()
        if how != "account":
            self.world.disconnect(client)
            self.silent.pop(client, None)
            self.world.pump()
            self.check()

    @precondition(lambda self: self.keepable)
    @rule(data=st.data())
    def reclaim(self, data: st.DataObject) -> None:
        """In another session, be it that of the same user or not."""
        client = self.one(data)
        name, file_id, guid = data.draw(st.sampled_from(self.keepable))
        again = CreateDurableHandleReconnectV2(file_id, guid).pack()
        contexts = [CreateContext(SMB2_CREATE_DURABLE_HANDLE_RECONNECT_V2, again)]
        contexts.append(CreateContext(SMB2_CREATE_REQUEST_LEASE, CreateLeaseV2(bytes([ord(name)]) * 16, RWH).pack()))
        number = self.say(client, client.create(name, oplock=SMB2_OPLOCK_LEVEL_LEASE, contexts=contexts))
        answer = client.answers.get(number)
        if answer is not None and isinstance(answer.message, CreateResponse):
            self.mine[client].append(bytes(answer.message.file_id))
        self.check()

    @rule(data=st.data())
    def close_by_administrator(self, data: st.DataObject) -> None:
        opens = self.world.service.opens()
        if opens:
            self.world.service.close_open(data.draw(st.sampled_from(opens)), Reason.DELETED)
            self.world.pump()
        self.check()

    @rule()
    def remove_a_share(self) -> None:
        self.world.service.remove_share(self.other)
        self.world.pump()
        self.check()
        self.other = self.world.share("other", self.folder)

    @rule(user=st.sampled_from(["ann", "bob"]), back=st.booleans())
    def change_an_account(self, user: str, back: bool) -> None:
        """A new password, and an account that is removed for a while."""
        if not back:
            self.world.accounts.set_password(user, PASSWORD)
        else:
            self.world.accounts.delete(user)
            self.world.advance(61)
            self.check()
            self.world.accounts.add(user, PASSWORD)
        self.world.advance(61)
        self.check()

    @rule(seconds=st.sampled_from([0.5, BREAK_TIMEOUT + 1, KEPT]))
    def pass_time(self, seconds: float) -> None:
        self.world.advance(seconds)
        self.check()


TestShared = Shared.TestCase
TestShared.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
