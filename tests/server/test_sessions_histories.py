"""Random histories of connections that come, are bound to sessions or are not, open files, and are lost, against a
simple model.

After every step the tables of sessions, channels and opens must say what the model says, on every connection, in its
core and in the domain; and the disk has as many files open as there are opens. In all of a history no nonce is used
twice under one key, whichever connection it went by: they are counted where messages are encrypted, and where AES-GMAC
signs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lanman import codes
from lanman.domain import Reason
from lanman.server.state import ServerOpen, unpack_file_id
from lanman.smb2 import crypto
from lanman.smb2.constants import AES_GMAC, SMB2_SESSION_FLAG_BINDING
from lanman.smb2.messages import LogoffRequest, ReadResponse, SessionSetupRequest
from lanman.smb2.session import SessionKeys
from lanman.wire import Data
from support.disk_server import DiskWorld, FileClient


class Histories(RuleBasedStateMachine):
    """`sessions` are the clients of each session, by its id, the oldest first; `opens` the session of each open, by its
    persistent id, 0 for one that is preserved."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.used: set[tuple[bytes, bytes]] = set()
        self.patched = ExitStack()
        encrypt, sign = crypto.Encryptor.encrypt, crypto.sign

        def encrypted(encryptor: crypto.Encryptor, message: Data) -> list[Data]:
            self.use(encryptor._key, encryptor._prefix + encryptor._count.to_bytes(8, "little"))
            return encrypt(encryptor, message)

        def signed(algorithm: int, key: bytes, parts: Sequence[Data], nonce: bytes) -> bytes:
            if algorithm == AES_GMAC and bytes(parts[0][48:64]) == bytes(16) and len(parts[0]) == 64:
                self.use(key, nonce)
            return sign(algorithm, key, parts, nonce)

        self.patched.enter_context(patch.object(crypto.Encryptor, "encrypt", encrypted))
        self.patched.enter_context(patch.object(crypto, "sign", signed))
        self.sessions: dict[int, list[FileClient]] = {}
        self.opens: dict[int, int] = {}
        self.durable: set[int] = set()
        self.number = 0

    @initialize(encrypt=st.booleans(), at_once=st.booleans())
    def begin(self, encrypt: bool, at_once: bool) -> None:
        encryption = "required" if encrypt else "offered"
        self.world = DiskWorld(Path(self.folder.name), at_once=at_once, encryption=encryption, autodisconnect=-1)

    def use(self, key: bytes, nonce: bytes) -> None:
        """Encrypt, or sign, with a nonce."""
        assert (key, nonce) not in self.used, "a nonce is used twice under one key"
        self.used.add((key, nonce))

    def client(self) -> FileClient:
        self.number += 1
        client = FileClient(self.world)
        client.negotiate()
        return client

    def server_open(self, persistent_id: int) -> ServerOpen:
        found = self.world.dispatch.sessions.find_open(persistent_id)
        assert found is not None
        return found

    def pick(self, data: st.DataObject, found: Any) -> Any:
        return data.draw(st.sampled_from(sorted(found)))

    def of_session(self, data: st.DataObject) -> tuple[int, FileClient]:
        session_id = self.pick(data, self.sessions)
        clients = self.sessions[session_id]
        return session_id, clients[data.draw(st.integers(0, len(clients) - 1))]

    def ended(self, session_id: int, *, preserving: bool) -> None:
        """A session has ended: its durable opens are preserved, or all are closed. Its clients leave."""
        clients = self.sessions.pop(session_id)
        for persistent_id in [each for each, of in self.opens.items() if of == session_id]:
            if preserving and persistent_id in self.durable:
                self.opens[persistent_id] = 0
            else:
                del self.opens[persistent_id]
        for client in clients:
            assert not client.connection.channels
            if client.connection.connection_id in self.world.clients:
                self.world.disconnect(client)
        self.world.pump()

    # --- what happens

    @precondition(lambda self: len(self.sessions) < 4)
    @rule()
    def log_on(self) -> None:
        client = self.client()
        client.log_on("ann")
        client.tree_connect(r"\\server\share")
        self.sessions[client.session_id] = [client]

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def bind(self, data: st.DataObject) -> None:
        session_id, first = self.of_session(data)
        if len(self.sessions[session_id]) < 3:
            self.sessions[session_id].append(self.client().bind_to(first))  # type: ignore[arg-type]

    @precondition(lambda self: self.sessions)
    @rule(data=st.data(), how=st.sampled_from(["password", "user", "unsigned", "key", "session", "twice"]))
    def bind_badly(self, data: st.DataObject, how: str) -> None:
        """The session is as it was."""
        _, first = self.of_session(data)
        keys = first.core._channels[first.session_id].keys
        request = SessionSetupRequest(SMB2_SESSION_FLAG_BINDING, 1, 0, 0, b"x")
        if how == "twice":
            # What is encrypted is not signed, and that is looked at first.
            again = codes.STATUS_INVALID_PARAMETER if keys.encrypt else codes.STATUS_REQUEST_NOT_ACCEPTED
            assert first.ask(request, tree_id=0).status == again
            return
        client = self.client()
        if how == "password":
            status, wanted = client.ask_to_bind(keys, "ann", "wrong").status, codes.STATUS_LOGON_FAILURE
        elif how == "user":
            status, wanted = client.ask_to_bind(keys, "bob").status, codes.STATUS_NOT_SUPPORTED
        elif how == "unsigned":
            answer = client.ask(request, session_id=first.session_id, tree_id=0)
            status, wanted = answer.status, codes.STATUS_INVALID_PARAMETER
        elif how == "session":
            answer = client.ask(request, session_id=first.session_id ^ 1, tree_id=0)
            status, wanted = answer.status, codes.STATUS_USER_SESSION_DELETED
        else:
            wrong = SessionKeys(keys.session_id, keys.dialect, keys.signing_algorithm, multichannel=True)
            wrong.signing_key, wrong.protected, wrong.cipher = b"another key 1234", True, keys.cipher
            client.core.start_binding(wrong)
            answer = client.ask(request, session_id=first.session_id, tree_id=0)
            status, wanted = answer.status, codes.STATUS_ACCESS_DENIED
        assert status == wanted, codes.ntstatus_name(status)
        assert not client.connection.channels
        self.world.disconnect(client)

    @precondition(lambda self: self.sessions)
    @rule(data=st.data(), durable=st.booleans())
    def open(self, data: st.DataObject, durable: bool) -> None:
        session_id, client = self.of_session(data)
        self.number += 1
        persistent_id, _ = unpack_file_id(client.make(f"file{self.number}", b"contents"))
        self.opens[persistent_id] = session_id
        if durable:
            self.durable.add(persistent_id)
            opened = self.server_open(persistent_id).open
            self.world.service.make_durable(opened, ("ann", ""), 1e9)
            self.world.service.set_oplock(opened, "batch")

    @precondition(lambda self: self.sessions and self.opens)
    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        """Any channel of its session reads it; no other session does."""
        persistent_id = self.pick(data, self.opens)
        session_id, client = self.of_session(data)
        answer = client.get(self.server_open(persistent_id).file_id)
        if self.opens[persistent_id] == session_id:
            assert isinstance(answer.message, ReadResponse)
            assert bytes(answer.message.data) == b"contents"
        else:
            assert answer.status == codes.STATUS_FILE_CLOSED

    @precondition(lambda self: self.opens)
    @rule(data=st.data(), by_client=st.booleans())
    def close(self, data: st.DataObject, by_client: bool) -> None:
        persistent_id = self.pick(data, self.opens)
        found = self.server_open(persistent_id)
        session_id = self.opens.pop(persistent_id)
        if by_client and session_id:
            self.sessions[session_id][-1].shut(found.file_id)
        else:
            self.world.service.close_open(found.open, Reason.DELETED)
            self.world.pump()

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def lose_connection(self, data: st.DataObject) -> None:
        session_id, client = self.of_session(data)
        self.world.disconnect(client)
        self.world.pump()
        assert not client.connection.channels
        assert not client.connection.core._channels
        if self.sessions[session_id] == [client]:
            self.ended(session_id, preserving=True)
        else:
            self.sessions[session_id].remove(client)

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def log_off(self, data: st.DataObject) -> None:
        session_id, client = self.of_session(data)
        client.want(LogoffRequest(), tree_id=0)
        self.ended(session_id, preserving=True)

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        session_id, client = self.of_session(data)
        self.world.service.close_session(client.connection.channels[session_id].session, Reason.DELETED)
        self.world.pump()
        self.ended(session_id, preserving=False)

    @precondition(lambda self: self.sessions and 0 in self.opens.values())
    @rule(data=st.data())
    def reclaim(self, data: st.DataObject) -> None:
        persistent_id = self.pick(data, [each for each, of in self.opens.items() if not of])
        session_id, client = self.of_session(data)
        session = client.connection.channels[session_id]
        self.world.dispatch.sessions.reclaim(self.server_open(persistent_id), session, session.trees[client.tree_id])
        self.opens[persistent_id] = session_id

    # --- what must always hold

    @invariant()
    def sessions_and_channels_are_as_the_model(self) -> None:
        world = self.world
        table = {session.session.session_id: session for session in world.dispatch.sessions}
        assert table.keys() == self.sessions.keys()
        assert {session.session_id for session in world.service.sessions()} == self.sessions.keys()
        for session_id, clients in self.sessions.items():
            connections = tuple(client.connection for client in clients)
            assert table[session_id].channels == connections
            assert table[session_id].session.connection_ids == tuple(each.connection_id for each in connections)
            keys = {id(connection.core._channels[session_id].keys) for connection in connections}
            assert keys == {id(table[session_id].keys)}
        for connection in world.dispatch.connections.values():
            assert connection.channels.keys() == connection.core._channels.keys()
            assert all(connection in session.channels for session in connection.channels.values())

    @invariant()
    def opens_are_as_the_model(self) -> None:
        world = self.world
        table = world.dispatch.sessions
        assert table._opens.keys() == self.opens.keys()
        assert {opened.file_id for opened in world.service.opens()} == self.opens.keys()
        in_sessions = {
            server_open.persistent_id: session.session.session_id
            for session in table
            for volatile_id, server_open in session.opens.items()
            if server_open.volatile_id == volatile_id and server_open.session is session
        }
        assert in_sessions == {each: of for each, of in self.opens.items() if of}
        for persistent_id, session_id in self.opens.items():
            found = self.server_open(persistent_id)
            assert (found.session is None) is found.open.preserved is (session_id == 0)
        volatile = [self.server_open(each).volatile_id for each in self.opens]
        assert len(set(volatile)) == len(volatile)
        assert len(world.files) == len(self.opens)

    def teardown(self) -> None:
        self.patched.close()
        for client in list(self.world.clients.values()):
            self.world.disconnect(client)
        self.world.service.stop()
        self.world.pump()
        assert len(self.world.files) == 0
        assert not self.world.dispatch.sessions._opens
        self.folder.cleanup()


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
