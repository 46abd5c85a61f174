"""Who may bind a connection to a session, and what is told of the Server's addresses (MS-SMB2 3.3.5.5, 3.3.5.15.11)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lanman import codes
from lanman.domain import Reason, State
from lanman.errors import StatusError, Unprotected
from lanman.events import LogonRefused
from lanman.net.credentials import Credentials
from lanman.net.initiators import initiator_for
from lanman.server.admission import Standing
from lanman.server.binding import MAX_CHANNELS
from lanman.server.effects import Effect
from lanman.settings import Limits
from lanman.smb2.constants import (
    AES_128_CCM,
    AES_CMAC,
    AES_GMAC,
    ANY_FILE_ID,
    FSCTL_QUERY_NETWORK_INTERFACE_INFO,
    SMB2_SESSION_FLAG_BINDING,
    Dialect,
)
from lanman.smb2.messages import (
    EchoRequest,
    IoctlRequest,
    NetworkInterfaceInfo,
    SessionSetupRequest,
    socket_address,
)
from lanman.smb2.session import SessionKeys
from lanman.wire import unpack_chain
from support.memory_server import Client, CountingConnection, World
from support.passwords import PASSWORD

BIND = SessionSetupRequest(SMB2_SESSION_FLAG_BINDING, 1, 0, 0, b"x")


def keys_of(client: Client) -> SessionKeys:
    """The client's side of its session's keys."""
    return client.core._channels[client.session_id].keys


def other_client(world: World, **options: Any) -> Client:
    """A client that negotiates something else."""
    client = world.arrive()
    client.core = CountingConnection(client_guid=b"\x33" * 16, random=world.random, **{"multichannel": True} | options)
    client.negotiate()
    return client


def name_of(status: int) -> str:
    return codes.ntstatus_name(status)


def signed_bind(client: Client, first: Client) -> str:
    """What a first message of a binding comes to, signed with the session's key though the client knows better."""
    client.core._bindings[first.session_id] = keys_of(first)
    return name_of(client.ask(BIND, session_id=first.session_id, tree_id=0).status)


def is_alive(first: Client) -> bool:
    """Whether the session that was to be bound is as it was."""
    assert first.ask(EchoRequest(), tree_id=0).status == codes.STATUS_SUCCESS
    session = first.connection.channels[first.session_id]
    return session.session.state is State.VALID and session.channels == (first.connection,)


def test_a_log_on_binds_a_connection() -> None:
    world = World()
    first = world.connect().log_on("ann").bind()
    second = world.connect().bind_to(first)
    assert second.ask(EchoRequest(), tree_id=0).status == codes.STATUS_SUCCESS
    assert len(world.service.sessions()) == 1
    assert world.service.counters.sopens == 1
    assert second.connection.place is not None
    assert second.connection.place.standing is Standing.NAMED
    assert not second.connection.logons


@pytest.mark.parametrize("dialect", [Dialect.SMB_3_0, Dialect.SMB_3_0_2, Dialect.SMB_3_1_1])
def test_every_dialect_of_3_can_be_bound(dialect: int) -> None:
    world = World()
    first = world.connect(dialects=(dialect,)).log_on("ann").bind()
    second = world.connect(dialects=(dialect,)).bind_to(first)
    second.tree_connect()


def _first(world: World, **options: Any) -> Client:
    return (other_client(world, **options) if options else world.connect()).log_on("ann")


@pytest.mark.parametrize(
    ("session", "channel", "status"),
    [
        ({}, {"dialects": (Dialect.SMB_3_0_2,)}, "STATUS_INVALID_PARAMETER"),
        ({}, {"dialects": (Dialect.SMB_2_1,)}, "STATUS_REQUEST_NOT_ACCEPTED"),
        ({"dialects": (Dialect.SMB_2_1,)}, {"dialects": (Dialect.SMB_2_1,)}, "STATUS_REQUEST_NOT_ACCEPTED"),
        ({"dialects": (Dialect.SMB_2_1,)}, {}, "STATUS_INVALID_PARAMETER"),
        ({}, {"ciphers": (AES_128_CCM,)}, "STATUS_INVALID_PARAMETER"),
        ({}, {"ciphers": ()}, "STATUS_INVALID_PARAMETER"),
        ({"signing_algorithms": (AES_GMAC,)}, {"signing_algorithms": (AES_CMAC,)}, "STATUS_REQUEST_OUT_OF_SEQUENCE"),
        ({}, {"signing_algorithms": (AES_GMAC,)}, "STATUS_NOT_SUPPORTED"),
        ({"multichannel": False, "signing_algorithms": (AES_CMAC,)}, {}, "STATUS_REQUEST_NOT_ACCEPTED"),
    ],
)
def test_what_a_connection_has_negotiated_must_fit(
    session: dict[str, Any], channel: dict[str, Any], status: str
) -> None:
    world = World()
    first = _first(world, **session)
    assert signed_bind(other_client(world, **channel), first) == status
    assert is_alive(first)


def test_a_session_of_another_client_guid_may_be_bound() -> None:
    """As at Windows (smb2.session bind_negative_smb3signCtoHd): the signature proves enough."""
    world = World()
    first = world.connect().log_on("ann")
    other_client(world).bind_to(first)


def test_a_binding_must_be_signed_and_rightly() -> None:
    world = World()
    first = world.connect().log_on("ann")
    client = world.connect()
    assert name_of(client.ask(BIND, session_id=first.session_id, tree_id=0).status) == "STATUS_INVALID_PARAMETER"
    keys = keys_of(first)
    wrong = SessionKeys(keys.session_id, keys.dialect, keys.signing_algorithm, multichannel=True)
    wrong.signing_key, wrong.protected, wrong.cipher = b"another key 1234", True, keys.cipher
    client.core.start_binding(wrong)
    assert name_of(client.ask(BIND, session_id=first.session_id, tree_id=0).status) == "STATUS_ACCESS_DENIED"
    assert is_alive(first)
    client.bind_to(first)


def test_sessions_that_there_are_not() -> None:
    world = World()
    first = world.connect().log_on("ann")
    client = world.connect()
    assert name_of(client.ask(BIND, session_id=0, tree_id=0).status) == "STATUS_INVALID_PARAMETER"
    assert name_of(client.ask(BIND, session_id=99, tree_id=0).status) == "STATUS_USER_SESSION_DELETED"
    gone = first.session_id
    world.service.close_session(first.connection.channels[gone].session, Reason.DELETED)
    assert signed_bind(client, first) == "STATUS_USER_SESSION_DELETED"


def test_a_session_in_progress_is_not_accepted() -> None:
    world = World()
    client = world.connect()
    finish = client.log_on_step_by_step("ann")
    (session_id,) = client.connection.logons
    assert name_of(client.ask(BIND, session_id=session_id, tree_id=0).status) == "STATUS_REQUEST_NOT_ACCEPTED"
    assert finish().status == codes.STATUS_USER_SESSION_DELETED or client.connection.channels


@pytest.mark.parametrize("guest", [False, True])
def test_a_null_or_guest_session_is_not_supported(guest: bool) -> None:
    """It has no key; whatever signs the request is not the session's."""
    world = World(guest=True)
    first = world.connect()
    if guest:
        with pytest.raises(Unprotected):  # our client insists on being who it says
            first.log_on("nobody")
    else:
        first.log_on()
    session_id = world.service.sessions()[0].session_id
    client = world.connect()
    fake = SessionKeys(session_id, Dialect.SMB_3_1_1, AES_CMAC, multichannel=True)
    fake.signing_key = b"some key or other"[:16]
    client.core._bindings[session_id] = fake
    assert name_of(client.ask(BIND, session_id=session_id, tree_id=0).status) == "STATUS_NOT_SUPPORTED"
    assert len(world.service.sessions()) == 1


def test_an_expired_session_is_renewed_before_it_is_bound() -> None:
    world = World()
    first = world.connect().log_on("ann")
    world.service.expire_session(first.connection.channels[first.session_id].session)
    client = world.connect()
    assert signed_bind(client, first) == "STATUS_NETWORK_SESSION_EXPIRED"
    first.log_on("ann", again=True)
    client.bind_to(first)


def test_a_connection_is_bound_once() -> None:
    world = World()
    first = world.connect().log_on("ann")
    second = world.connect().bind_to(first)
    for client in first, second:
        answer = client.ask(BIND, tree_id=0)
        assert name_of(answer.status) == "STATUS_REQUEST_NOT_ACCEPTED"
    assert len(world.service.sessions()[0].connection_ids) == 2


def test_another_user_binds_nothing() -> None:
    world = World(guest=True)
    first = world.connect().log_on("ann")
    for user_name in "bob", "admin", "nobody":
        answer = world.connect().ask_to_bind(keys_of(first), user_name)
        assert name_of(answer.status) == "STATUS_NOT_SUPPORTED"
        refused = [event for event in world.events if isinstance(event, LogonRefused)][-1]
        assert (refused.reason, refused.detail) == (Reason.OTHER_USER, "binds a connection to another user's session")
    assert is_alive(first)


def test_wrong_passwords_count_and_leave_the_session_alive() -> None:
    world = World()
    first = world.connect().log_on("ann")
    client = world.connect()
    for number in range(1, 4):
        assert name_of(client.ask_to_bind(keys_of(first), "ann", "wrong").status) == "STATUS_LOGON_FAILURE"
        assert world.service.counters.pwerrors == number
        assert not client.connection.logons
    assert is_alive(first)
    client.bind_to(first)


def test_a_binding_that_is_under_way_is_a_half_open_connection() -> None:
    """It has its places, and 45 seconds for it, like any other."""
    world = World()
    first = world.connect().log_on("ann")
    client = world.connect()
    assert signed_bind(client, first) == "STATUS_INVALID_PARAMETER"  # it is no token: the log-on has failed
    assert client.connection.place is not None
    assert client.connection.place.standing is Standing.HALF_OPEN
    world.advance(46)
    assert client.finished == "nobody has logged on"
    assert is_alive(first)


def test_a_session_that_ends_during_the_log_on_is_not_bound() -> None:
    world = World()
    first = world.connect().log_on("ann")
    client = world.connect()
    keys = keys_of(first)
    session = first.connection.channels[first.session_id].session
    perform = world.perform

    def ends_meanwhile(ticket: int, effect: Effect[Any]) -> None:
        world.service.close_session(session, Reason.DELETED)
        perform(ticket, effect)

    world.perform = ends_meanwhile  # type: ignore[method-assign]
    assert name_of(client.ask_to_bind(keys, "ann").status) == "STATUS_USER_SESSION_DELETED"
    assert session.state is State.CLOSED
    assert not client.connection.channels


def test_a_binding_whose_session_ends_between_its_messages_is_forgotten() -> None:
    """It would keep a place of the connection's for ever, and be taken for a session in progress."""
    world = World()
    first = world.connect().log_on("ann")
    client = world.connect()
    keys = keys_of(first)
    client.core.start_binding(keys)
    token = initiator_for(Credentials("ann", PASSWORD), "server").step(None) or b""
    bind = replace(BIND, security_buffer=token)
    begun = client.ask(bind, session_id=first.session_id, tree_id=0)
    assert begun.status == codes.STATUS_MORE_PROCESSING_REQUIRED
    assert len(client.connection.logons) == 1
    world.service.close_session(first.connection.channels[first.session_id].session, Reason.DELETED)
    answer = client.ask(bind, session_id=first.session_id, tree_id=0)
    assert name_of(answer.status) == "STATUS_USER_SESSION_DELETED"
    assert not client.connection.logons


def test_legs_of_one_log_on_are_of_one_kind() -> None:
    """Who has begun to bind goes on so; a message without the flag finds no session on this connection."""
    world = World()
    first = world.connect().log_on("ann")
    client = world.connect()
    client.core.start_binding(keys_of(first))
    token = initiator_for(Credentials("ann", PASSWORD), "server").step(None) or b""
    begun = client.ask(replace(BIND, security_buffer=token), session_id=first.session_id, tree_id=0)
    assert begun.status == codes.STATUS_MORE_PROCESSING_REQUIRED
    ordinary = replace(BIND, flags=0, security_buffer=token)
    assert name_of(client.ask(ordinary, session_id=first.session_id, tree_id=0).status) == "STATUS_USER_SESSION_DELETED"
    assert is_alive(first)


def test_a_session_has_32_channels() -> None:
    world = World()
    first = world.connect().log_on("ann")
    others = [world.connect().bind_to(first) for _ in range(MAX_CHANNELS - 1)]
    with pytest.raises(StatusError) as caught:
        world.connect().bind_to(first)
    assert name_of(caught.value.status) == "STATUS_INSUFFICIENT_RESOURCES"
    assert len(world.service.sessions()[0].connection_ids) == MAX_CHANNELS == 32
    world.disconnect(others[3])
    world.connect().bind_to(first)


def test_the_limit_of_sessions_of_a_connection_counts() -> None:
    world = World(limits=Limits(sessions_per_connection=1))
    first = world.connect().log_on("ann")
    client = world.connect().log_on("bob")
    assert name_of(client.ask_to_bind(keys_of(first), "ann").status) == "STATUS_REQUEST_NOT_ACCEPTED"
    assert is_alive(first)
    assert len(client.connection.channels) == 1


def test_a_paused_server_keeps_who_is_there_bindings_included() -> None:
    world = World()
    first = world.connect().log_on("ann")
    world.service.pause("", "")
    world.connect().bind_to(first)


def test_turning_it_off_keeps_the_channels_that_there_are() -> None:
    world = World()
    first = world.connect().log_on("ann").bind()
    second = world.connect().bind_to(first)
    client = world.connect()
    world.set(multichannel=False)
    assert signed_bind(client, first) == "STATUS_REQUEST_NOT_ACCEPTED"
    assert second.ask(EchoRequest(), tree_id=0).status == codes.STATUS_SUCCESS
    assert told(second) == "STATUS_NOT_SUPPORTED"


@pytest.mark.parametrize(
    ("setting", "port", "offered"),
    [("auto", 445, True), ("auto", 4450, False), (True, 4450, True), (False, 445, False)],
)
def test_where_it_is_offered(setting: Any, port: int, offered: bool) -> None:
    world = World(multichannel=setting, port=port)
    client = world.connect()
    assert client.core.negotiated is not None
    assert client.core.negotiated.multichannel is offered


# --- the Server's addresses


INTERFACES = [
    NetworkInterfaceInfo(2, 0, 10**9, socket_address(bytes((192, 0, 2, 1)))),
    NetworkInterfaceInfo(2, 0, 10**9, socket_address(bytes(15) + b"\1")),
]


def told(client: Client, *, file_id: bytes = ANY_FILE_ID, size: int = 65536) -> str | list[NetworkInterfaceInfo]:
    """What a client is told of the Server's addresses, or the status."""
    answer = client.ask(IoctlRequest(FSCTL_QUERY_NETWORK_INTERFACE_INFO, file_id, b"", max_output_response=size))
    if answer.status:
        return name_of(answer.status)
    return unpack_chain(NetworkInterfaceInfo, bytes(answer.message.output))  # type: ignore[attr-defined]


def test_what_a_client_is_told_of_the_servers_addresses() -> None:
    world = World()
    client = world.connect().log_on("ann").bind()
    assert told(client) == []
    world.interfaces = INTERFACES
    assert told(client) == INTERFACES
    assert told(client, size=303) == "STATUS_BUFFER_TOO_SMALL"
    assert told(client, size=304) == INTERFACES
    assert told(client, file_id=client.file_id) == "STATUS_INVALID_PARAMETER"


def test_who_could_not_bind_is_told_nothing() -> None:
    world = World()
    world.interfaces = INTERFACES
    anonymous = world.connect().log_on()
    anonymous.tree_connect()
    assert told(anonymous) == "STATUS_ACCESS_DENIED"
    old = world.connect(dialects=(Dialect.SMB_2_1,)).log_on("ann")
    old.tree_connect()
    assert told(old) == "STATUS_NOT_SUPPORTED"
    plain = other_client(world, multichannel=False).log_on("ann")
    plain.tree_connect()
    assert told(plain) == "STATUS_NOT_SUPPORTED"


def test_more_addresses_than_anybody_uses_are_not_told() -> None:
    world = World()
    world.interfaces = INTERFACES * 100
    client = world.connect().log_on("ann").bind()
    assert len(told(client)) == 64


def test_the_layout_of_an_address() -> None:
    """MS-SMB2 2.2.32.5, 2.2.32.5.1."""
    data = INTERFACES[0].pack()
    assert len(data) == 152
    assert data[4:8] == b"\2\0\0\0"
    assert data[16:24] == (10**9).to_bytes(8, "little")
    assert data[24:32] == bytes.fromhex("0200 0000 c000 0201")
    data = INTERFACES[1].pack()
    assert data[24:48] == bytes.fromhex("1700 0000 00000000 00000000000000000000000000000001")
