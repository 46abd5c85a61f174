"""Whatever a client says, the Server answers it or ends the connection: nothing else happens."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lanman.errors import LocalProtocolError, RemoteProtocolError
from lanman.net.credentials import Credentials
from lanman.net.initiators import initiator_for
from lanman.smb2 import constants
from lanman.smb2.messages import (
    CloseRequest,
    CreateRequest,
    EchoRequest,
    FlushRequest,
    IoctlRequest,
    LogoffRequest,
    Message,
    QueryInfoRequest,
    ReadRequest,
    SessionSetupRequest,
    SetInfoRequest,
    TreeConnectRequest,
    TreeDisconnectRequest,
    WriteRequest,
)
from support.memory_server import World
from support.passwords import PASSWORD
from support.smb2_pair import send_compound

SMALL = st.integers(0, 255)
NUMBER = st.integers(0, 0xFFFFFFFF)
DATA = st.binary(max_size=80)
NAME = st.sampled_from(["srvsvc", r"\PIPE\srvsvc", "", "\\", "a\\b", "\0", "x" * 300]) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=10
)
SHARE = st.sampled_from([r"\\server\IPC$", r"\\", "IPC$", r"\\a\b\c"]) | NAME
FSCTL = st.sampled_from([number for name, number in vars(constants).items() if name.startswith("FSCTL_")]) | NUMBER


def messages(file_id: bytes) -> st.SearchStrategy[Message]:
    ids = st.sampled_from([file_id, constants.ANY_FILE_ID, bytes(16)])
    return st.one_of(
        st.builds(EchoRequest),
        st.builds(LogoffRequest),
        st.builds(TreeDisconnectRequest),
        st.builds(SessionSetupRequest, SMALL, SMALL, NUMBER, NUMBER, DATA, NUMBER),
        st.builds(TreeConnectRequest, SMALL, SHARE),
        st.builds(CreateRequest, desired_access=NUMBER, create_disposition=SMALL, name=NAME),
        st.builds(CloseRequest, SMALL, ids),
        st.builds(FlushRequest, ids),
        st.builds(ReadRequest, length=st.integers(0, 65536), file_id=ids),
        st.builds(WriteRequest, DATA, file_id=ids),
        st.builds(IoctlRequest, FSCTL, ids, DATA, max_output_response=st.integers(0, 65536), flags=st.integers(0, 1)),
        st.builds(QueryInfoRequest, st.integers(0, 5), SMALL, st.integers(0, 65536), file_id=ids),
        st.builds(SetInfoRequest, st.integers(0, 5), SMALL, DATA, file_id=ids),
    )


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_requests_of_a_user(data: Any) -> None:
    world = World()
    client = world.connect().log_on("ann").bind()
    for _ in range(data.draw(st.integers(1, 8))):
        batch = data.draw(st.lists(messages(client.file_id), min_size=1, max_size=4))
        session_id = data.draw(st.sampled_from([client.session_id, client.session_id, 0, 1]))
        tree_id = data.draw(st.sampled_from([client.tree_id, client.tree_id, 0]))
        with contextlib.suppress(LocalProtocolError):  # no credits left, or a session that the client's core lacks
            send_compound(client.core, batch, session_id=session_id, tree_id=tree_id, related=data.draw(st.booleans()))
        try:
            world.pump()
        except RemoteProtocolError:
            world.disconnect(client)
            break
        world.advance(data.draw(st.sampled_from([0.0, 1.0, 10.0])))
    for left in list(world.clients.values()):
        world.disconnect(left)
    world.advance(3600)
    assert world.service.sessions() == []
    assert world.service.opens() == []
    assert world.service.tree_connects() == []
    assert world.dispatch.connections == {}
    assert world.dispatch.next_deadline() is None


TOKEN = DATA | st.just(initiator_for(Credentials("ann", PASSWORD), "server").step(None) or b"")


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_attempts_to_bind(data: Any) -> None:
    """Of a connection that knows the session's key or does not; while the session is used, and after its end."""
    world = World()
    clients = [world.connect().log_on("ann").bind(), world.connect(), world.connect()]
    keys = clients[0].core._channels[clients[0].session_id].keys
    for _ in range(data.draw(st.integers(1, 8))):
        client = data.draw(st.sampled_from([each for each in clients if not each.finished] or [world.connect()]))
        try:
            what = data.draw(st.sampled_from(["bind", "setup", "setup", "requests"]))
            if what == "bind":
                user, password = data.draw(st.sampled_from([("ann", PASSWORD), ("ann", "wrong"), ("bob", PASSWORD)]))
                # It is bound already; it had begun to bind, so that this is one more message of that; its end came.
                with contextlib.suppress(LocalProtocolError, AssertionError, KeyError):
                    client.ask_to_bind(keys, user, password)
            elif what == "setup":
                signed = data.draw(st.booleans())
                client.core._bindings.update({keys.session_id: keys} if signed else {})
                flags = data.draw(st.sampled_from([constants.SMB2_SESSION_FLAG_BINDING]) | SMALL)
                session_id = data.draw(st.sampled_from([keys.session_id, keys.session_id, 0, 1]))
                setup = SessionSetupRequest(flags, data.draw(SMALL), 0, 0, data.draw(TOKEN), data.draw(NUMBER))
                with contextlib.suppress(LocalProtocolError):
                    client.core.send(setup, session_id=session_id)
            else:
                batch = data.draw(st.lists(messages(clients[0].file_id), min_size=1, max_size=3))
                with contextlib.suppress(LocalProtocolError):
                    send_compound(client.core, batch, session_id=keys.session_id, tree_id=clients[0].tree_id)
            world.pump()
        except RemoteProtocolError:
            world.disconnect(client)
            client.finished = "it has said what no client says"
        for session in world.dispatch.sessions:
            assert {each.connection_id for each in session.channels} == set(session.session.connection_ids)
            assert all(each.channels[session.session.session_id] is session for each in session.channels)
    for left in list(world.clients.values()):
        world.disconnect(left)
    world.advance(3600)
    assert world.service.sessions() == []
    assert world.dispatch.connections == {}
    assert world.dispatch.next_deadline() is None


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=4), st.booleans())
def test_any_bytes(pieces: list[bytes], framed: bool) -> None:
    world = World()
    connection = world.dispatch.connect("192.0.2.1", 1.0)
    assert connection is not None
    with contextlib.suppress(RemoteProtocolError):
        for piece in pieces:
            connection.receive_data(len(piece).to_bytes(4, "big") + piece if framed else piece, 1.0)
    connection.data_to_send()
    connection.connection_lost(2.0)
    assert world.dispatch.connections == {}
