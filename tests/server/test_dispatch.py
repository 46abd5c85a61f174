"""The Server in memory: log-ons, tree connects, pipes, and what becomes of them when sessions end."""

from __future__ import annotations

import struct

import pytest

from lanman import codes
from lanman.auth.accounts import Accounts
from lanman.domain import LogonRefused, Reason, SessionClosed, SessionOpened
from lanman.errors import StatusError
from lanman.rpc.srvsvc import NetrFileClose, NetrSessionDel, NetrSessionEnum
from lanman.server.resources import ResourceLimits
from lanman.server.throttle import Throttle
from lanman.server.timers import Timers
from lanman.settings import Configuration, Limits, NullSessions
from lanman.smb2.constants import (
    ANY_FILE_ID,
    FSCTL_DFS_GET_REFERRALS,
    FSCTL_PIPE_TRANSCEIVE,
    FSCTL_PIPE_WAIT,
    FSCTL_QUERY_NETWORK_INTERFACE_INFO,
    SMB2_SESSION_FLAG_BINDING,
    Dialect,
)
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
from support.memory_server import START, Client, Cut, World
from support.passwords import PASSWORD
from support.smb2_pair import send_compound

DIALECTS = [Dialect.SMB_2_1, Dialect.SMB_3_1_1]


def list_sessions(client: Client, level: int = 2) -> list[tuple[str | None, str | None]]:
    answer = client.call(NetrSessionEnum(None, None, None, level))
    assert answer.status == 0
    return [(entry.client_name, entry.user_name) for entry in answer.entries]


# --- the journey


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("by_writing", [False, True])
def test_sessions_are_listed_and_ended(dialect: Dialect, by_writing: bool) -> None:
    world = World()
    admin = world.connect(dialects=(dialect,)).log_on("admin").bind()
    ann = world.connect(dialects=(dialect,)).log_on("ann")
    bob = world.connect(dialects=(dialect,)).log_on("bob")
    for level in (0, 1, 2, 10, 502):
        answer = admin.call(NetrSessionEnum(None, None, None, level), by_writing=by_writing)
        assert (answer.status, answer.level, answer.total_entries) == (0, level, 3)
        assert [entry.client_name for entry in answer.entries] == [r"\\192.0.2.1", r"\\192.0.2.2", r"\\192.0.2.3"]
    assert list_sessions(admin)[1:] == [(r"\\192.0.2.2", "ann"), (r"\\192.0.2.3", "bob")]

    assert admin.call(NetrSessionDel(None, r"\\192.0.2.2", "ann"), by_writing=by_writing).status == 0
    assert [user for _, user in list_sessions(admin)] == ["admin", "bob"]
    assert ann.ask(TreeConnectRequest(0, r"\\server\IPC$")).status == codes.STATUS_USER_SESSION_DELETED
    assert bob.tree_connect()
    assert [event.reason for event in world.events if isinstance(event, SessionClosed)] == [Reason.DELETED]


def test_another_session_on_the_same_connection_lives_on() -> None:
    world = World()
    admin = world.connect().log_on("admin").bind()
    shared = world.connect().log_on("ann")
    shared.bind()
    ann = shared.session_id, shared.tree_id, shared.file_id
    shared.log_on("bob")
    shared.bind()
    assert admin.call(NetrSessionDel(None, None, "ann")).status == 0
    assert world.users() == ["admin", "bob"]
    answer = shared.ask(ReadRequest(length=10, file_id=ann[2]), session_id=ann[0], tree_id=ann[1])
    assert answer.status == codes.STATUS_USER_SESSION_DELETED
    assert shared.call(NetrSessionEnum(None, None, None, 10)).status == codes.ERROR_ACCESS_DENIED
    assert not shared.finished


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("by_writing", [False, True])
def test_who_ends_their_own_session_gets_the_answer_first(dialect: Dialect, by_writing: bool) -> None:
    world = World()
    admin = world.connect(dialects=(dialect,)).log_on("admin").bind()
    assert admin.call(NetrSessionDel(None, None, "admin"), by_writing=by_writing).status == 0
    assert world.users() == []
    assert admin.ask(TreeConnectRequest(0, r"\\server\IPC$")).status == codes.STATUS_USER_SESSION_DELETED
    assert not admin.connection.channels


def test_the_final_answer_is_not_waited_for_for_ever() -> None:
    world = World()
    admin = world.connect().log_on("admin").bind()
    (pdu,) = admin.rpc.call(NetrSessionDel(None, None, "admin"))
    admin.write(pdu)
    assert world.users() == []
    assert admin.connection.channels
    world.advance(10)
    assert not admin.connection.channels
    assert admin.read().status == codes.STATUS_USER_SESSION_DELETED


def test_a_session_that_ended_itself_has_only_its_final_answer_left() -> None:
    world = World()
    admin = world.connect().log_on("admin").bind()
    (pdu,) = admin.rpc.call(NetrSessionDel(None, None, "admin"))
    admin.write(pdu)
    assert admin.ask(CreateRequest(name="srvsvc")).status == codes.STATUS_USER_SESSION_DELETED
    assert admin.read().status == codes.STATUS_USER_SESSION_DELETED


def test_a_reader_that_waits_gets_the_final_answer() -> None:
    world = World()
    admin = world.connect().log_on("admin").bind()
    reading = admin.send(ReadRequest(length=65536, file_id=admin.file_id))
    (pdu,) = admin.rpc.call(NetrSessionDel(None, None, "admin"))
    writing = admin.send(WriteRequest(pdu, file_id=admin.file_id))
    assert admin.answers[writing].status == 0
    assert admin.answers[reading].status == 0
    assert admin.order[-2:] == [writing, reading]
    assert not admin.connection.channels


def test_requests_that_wait_are_cancelled_when_their_session_ends() -> None:
    world = World()
    admin = world.connect().log_on("admin").bind()
    ann = world.connect().log_on("ann").bind()
    reading = ann.send(ReadRequest(length=10, file_id=ann.file_id))
    assert ann.pendings == [reading]
    admin.call(NetrSessionDel(None, None, "ann"))
    assert ann.answers[reading].status == codes.STATUS_CANCELLED
    assert ann.read().status == codes.STATUS_USER_SESSION_DELETED


def test_a_chain_of_readers_gets_the_final_answer_once() -> None:
    world = World()
    admin = world.connect().log_on("admin").bind()
    read = ReadRequest(length=65536, file_id=admin.file_id)
    first, second = send_compound(
        admin.core, [read, read], session_id=admin.session_id, tree_id=admin.tree_id, related=False
    )
    world.pump()
    (pdu,) = admin.rpc.call(NetrSessionDel(None, None, "admin"))
    admin.write(pdu)
    assert admin.answers[first].status == 0
    assert admin.answers[second].status == codes.STATUS_FILE_CLOSED
    assert not admin.connection._waiting
    assert not admin.connection.channels


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (LogoffRequest(), codes.STATUS_USER_SESSION_DELETED),
        (TreeDisconnectRequest(), codes.STATUS_NETWORK_NAME_DELETED),
    ],
)
def test_a_chain_that_waits_twice_does_not_wait_again_while_its_session_ends(message: Message, status: int) -> None:
    world = World()
    client = world.connect().log_on("ann").bind()
    read = ReadRequest(length=10, file_id=client.file_id)
    numbers = send_compound(
        client.core, [read, read], session_id=client.session_id, tree_id=client.tree_id, related=False
    )
    world.pump()
    ended = client.send(message)
    assert client.answers[ended].status == 0
    assert client.answers[numbers[0]].status == codes.STATUS_CANCELLED
    assert client.answers[numbers[1]].status == status
    assert not client.connection._waiting


def test_a_chain_that_waits_opens_nothing_on_a_tree_connect_that_is_ending() -> None:
    world = World()
    client = world.connect().log_on("ann").bind()
    read, create = send_compound(
        client.core,
        [ReadRequest(length=10, file_id=client.file_id), CreateRequest(name="srvsvc")],
        session_id=client.session_id,
        tree_id=client.tree_id,
        related=False,
    )
    world.pump()
    ended = client.send(TreeDisconnectRequest())
    assert client.answers[ended].status == 0
    assert client.answers[read].status == codes.STATUS_CANCELLED
    assert client.answers[create].status == codes.STATUS_NETWORK_NAME_DELETED


def test_the_wire_cut_after_every_write_leaves_nothing_behind() -> None:
    writes = 0
    for cut_after in range(1, 1000):
        world = World()
        world.cut_after = cut_after
        try:
            admin = world.connect().log_on("admin").bind()
            ann = world.connect().log_on("ann").bind()
            ann.call(NetrSessionEnum(None, None, None, 0))
            admin.call(NetrSessionDel(None, None, "ann"))
            admin.log_off()
        except Cut:
            writes = cut_after
        else:
            break
        finally:
            for client in list(world.clients.values()):
                world.disconnect(client)
        assert world.service.sessions() == []
        assert world.service.opens() == []
        assert world.service.tree_connects() == []
        assert world.dispatch.connections == {}
        world.advance(3600)
        assert world.dispatch.next_deadline() is None
        opened = sum(isinstance(event, SessionOpened) for event in world.events)
        assert opened == sum(isinstance(event, SessionClosed) for event in world.events)
    assert writes > 25


@pytest.mark.parametrize("by_writing", [False, True])
def test_a_pipe_may_close_itself(by_writing: bool) -> None:
    world = World()
    admin = world.connect().log_on("admin").bind()
    (own,) = world.service.opens()
    assert admin.call(NetrFileClose(None, own.global_id), by_writing=by_writing).status == 0
    assert world.service.opens() == []
    assert admin.read().status == codes.STATUS_FILE_CLOSED
    admin.bind()
    assert admin.call(NetrFileClose(None, own.global_id)).status == codes.NERR_FileIdNotFound


def test_an_open_closed_by_an_administrator_cancels_who_waits_on_it() -> None:
    world = World()
    admin = world.connect().log_on("admin").bind()
    ann = world.connect().log_on("ann").bind()
    reading = ann.send(ReadRequest(length=10, file_id=ann.file_id))
    (opened,) = [opened for opened in world.service.opens() if opened.session.user_name == "ann"]
    assert admin.call(NetrFileClose(None, opened.global_id)).status == 0
    assert ann.answers[reading].status == codes.STATUS_CANCELLED
    assert ann.read().status == codes.STATUS_FILE_CLOSED
    ann.bind()


# --- log-on


@pytest.mark.parametrize("dialect", list(Dialect))
def test_every_dialect_logs_on(dialect: Dialect) -> None:
    world = World()
    client = world.connect(dialects=(dialect,)).log_on("ann")
    assert client.core.negotiated is not None
    assert client.core.negotiated.dialect == dialect
    (session,) = world.service.sessions()
    assert session.dialect == {0x202: "2.0.2", 0x210: "2.1", 0x300: "3.0", 0x302: "3.0.2", 0x311: "3.1.1"}[dialect]
    assert session.signing == ("HMAC-SHA256" if dialect < 0x300 else session.signing)
    assert session.signing
    client.bind()
    client.log_off()
    assert world.users() == []


@pytest.mark.parametrize(("user", "password"), [("ann", "wrong"), ("nobody", PASSWORD)])
def test_a_wrong_password_is_refused(user: str, password: str) -> None:
    world = World()
    client = world.connect()
    with pytest.raises(StatusError) as caught:
        client.log_on(user, password)
    assert caught.value.status == codes.STATUS_LOGON_FAILURE
    assert world.users() == []
    assert client.connection.logons == {}
    assert [(event.user_name, event.reason) for event in world.events if isinstance(event, LogonRefused)] == [
        (user, Reason.CREDENTIALS)
    ]
    assert world.service.counters.pwerrors == 1
    client.log_on("ann")
    assert world.users() == ["ann"]


def test_refusals_come_later_and_later_but_hold_nobody_else_up() -> None:
    world = World()
    client, other = world.connect(), world.connect()
    waits = []
    for _ in range(9):
        before = world.now
        with pytest.raises(StatusError):
            client.log_on("ann", "wrong")
        waits.append(world.now - before)
    assert waits[0] == 0
    assert waits == sorted(waits)
    assert waits[-1] == Throttle.LONGEST
    before = world.now
    finish = client.log_on_step_by_step("ann", "wrong")
    # While that one waits for its answer ...
    assert world.now == before
    other.log_on("ann").bind()
    client.log_on("bob")
    assert world.now == before
    assert finish().status == codes.STATUS_LOGON_FAILURE


def test_who_hangs_up_on_a_refusal_keeps_their_place_taken() -> None:
    world = World(Configuration(limits=Limits(unauthenticated_per_address=1)))
    for _ in range(9):
        client = world.connect(address="198.51.100.1")
        with pytest.raises(StatusError):
            client.log_on("ann", "wrong")
        world.disconnect(client)
    client = world.connect(address="198.51.100.1")
    send = client.log_on_step_by_step("ann", "wrong", wait=False)
    with pytest.raises(KeyError):
        send()
    world.disconnect(client)
    with pytest.raises(ConnectionRefusedError):
        world.connect(address="198.51.100.1")
    world.connect(address="198.51.100.2")
    world.advance(Throttle.LONGEST)
    world.connect(address="198.51.100.1")


def test_accounts_are_read_before_every_log_on() -> None:
    world = World()
    client = world.connect()
    finish = client.log_on_step_by_step("ann")
    world.accounts = Accounts()
    assert finish().status == codes.STATUS_LOGON_FAILURE


def test_accounts_that_cannot_be_read() -> None:
    world = World()
    world.fail_effects = codes.STATUS_ACCESS_DENIED
    client = world.connect()
    with pytest.raises(StatusError) as caught:
        client.log_on("ann")
    assert caught.value.status == codes.STATUS_ACCESS_DENIED
    assert client.connection.logons == {}


def test_a_session_is_renewed() -> None:
    world = World()
    client = world.connect().log_on("ann").bind()
    world.advance(60)
    client.log_on("ann", again=True)
    (session,) = world.service.sessions()
    assert session.creation_time == START
    assert session.num_opens == 1
    client.call(NetrSessionEnum(None, None, None, 0))


def test_a_renewal_refused_ends_the_session() -> None:
    world = World()
    client = world.connect().log_on("ann").bind()
    with pytest.raises(StatusError):
        client.log_on("ann", "wrong", again=True)
    assert world.users() == []
    assert client.read().status == codes.STATUS_USER_SESSION_DELETED


def test_the_session_of_before_a_reconnect_goes() -> None:
    world = World()
    old = world.connect().log_on("ann")
    world.connect().log_on("bob", previous=old.session_id)
    assert world.users() == ["ann", "bob"]
    world.connect().log_on("ann", previous=old.session_id)
    assert world.users() == ["bob", "ann"]
    assert [event.reason for event in world.events if isinstance(event, SessionClosed)] == [Reason.REPLACED]


def test_a_log_on_in_two_pieces_is_no_session_yet() -> None:
    world = World()
    client = world.connect()
    finish = client.log_on_step_by_step("ann")
    assert world.users() == []
    assert len(client.connection.logons) == 1
    assert finish().status == 0
    assert client.connection.logons == {}


def test_log_ons_under_way_are_limited() -> None:
    world = World(resources=ResourceLimits(logons_per_connection=3))
    client = world.connect()
    finishers = [client.log_on_step_by_step("ann") for _ in range(3)]
    answer = client.ask(SessionSetupRequest(0, 1, 0, 0, b"x", 0))
    assert answer.status == codes.STATUS_INSUFFICIENT_RESOURCES
    assert [finish().status for finish in finishers] == [0, 0, 0]
    client.log_on("bob")


def test_tokens_that_are_none() -> None:
    world = World()
    client = world.connect()
    for token in (b"", b"\x60\x00", b"NTLMSSP\0", b"\xff" * 100):
        number = client.send(SessionSetupRequest(0, 1, 0, 0, token, 0))
        world.advance(5)
        assert client.answers[number].status >> 30 == 3
    assert client.connection.logons == {}
    assert world.service.counters.pwerrors == 0
    assert {event.reason for event in world.events if isinstance(event, LogonRefused)} == {Reason.MALFORMED}


def test_a_session_that_never_was() -> None:
    client = World().connect()
    assert client.ask(SessionSetupRequest(0, 1, 0, 0, b"x", 0), session_id=77).status in (
        codes.STATUS_USER_SESSION_DELETED,
    )
    assert client.ask(LogoffRequest(), session_id=77).status == codes.STATUS_USER_SESSION_DELETED


def test_binding_is_refused_where_it_is_turned_off() -> None:
    world = World(multichannel=False)
    ann = world.connect().log_on("ann")
    client = world.connect()
    request = SessionSetupRequest(SMB2_SESSION_FLAG_BINDING, 1, 0, 0, b"x", 0)
    assert client.ask(request, session_id=ann.session_id).status == codes.STATUS_REQUEST_NOT_ACCEPTED
    assert world.users() == ["ann"]


def test_the_session_limit() -> None:
    world = World(max_sessions=1)
    world.connect().log_on("ann").bind()
    with pytest.raises(StatusError) as caught:
        world.connect().log_on("bob")
    assert caught.value.status == codes.STATUS_REQUEST_NOT_ACCEPTED
    world.connect().log_on("admin")


def test_null_sessions_may_do_nothing_until_something_is_named() -> None:
    world = World()
    client = world.connect().log_on()
    (session,) = world.service.sessions()
    assert (session.user_name, session.anonymous) == ("", True)
    client.tree_connect()
    for name in ("srvsvc", "nothing"):
        assert client.ask(CreateRequest(name=name)).status == codes.STATUS_ACCESS_DENIED
    assert world.service.counters.permerrors == 2
    named = World(null_sessions=NullSessions(pipes=("srvsvc",))).connect().log_on().bind()
    assert named.call(NetrSessionEnum(None, None, None, 0)).status == codes.ERROR_ACCESS_DENIED


def test_encryption_can_be_required() -> None:
    world = World(encryption="required")
    old = world.connect(dialects=(Dialect.SMB_2_1,))
    with pytest.raises((StatusError, AssertionError)):
        old.log_on("ann")
    with pytest.raises(StatusError) as caught:
        world.connect().log_on()
    assert caught.value.status == codes.STATUS_ACCESS_DENIED
    assert world.users() == []


# --- connections


def test_connections_that_nobody_logs_on_to_are_ended() -> None:
    world = World()
    client = world.connect()
    user = world.connect().log_on("ann")
    world.advance(44)
    assert not client.finished
    world.advance(2)
    assert client.finished
    assert not user.finished
    user.log_off()
    world.advance(44)
    assert not user.finished
    user.log_on("bob")
    world.advance(600)
    assert not user.finished


def test_autodisconnect_ends_the_connection_with_its_last_session() -> None:
    world = World(autodisconnect=15)
    both = world.connect().log_on("ann")
    both.log_on("bob")
    busy = world.connect().log_on("admin").bind()
    world.advance(10 * 60)
    both.ask(TreeConnectRequest(0, r"\\server\IPC$"))  # bob's
    world.advance(6 * 60)
    assert world.users() == ["bob", "admin"]
    assert not both.finished
    world.advance(10 * 60)
    assert world.users() == ["admin"]
    assert both.finished
    assert not busy.finished


def test_idle_time_begins_anew_with_requests_of_the_session() -> None:
    world = World()
    client = world.connect().log_on("ann")
    (session,) = world.service.sessions()
    world.advance(30)
    client.ask(EchoRequest(), session_id=0, tree_id=0)
    assert session.times(world.now)[1] == 30
    client.ask(CreateRequest(name="x"), tree_id=99)  # failing counts too
    assert session.times(world.now)[1] == 0


# --- checks, in their order


def test_checks_in_their_order() -> None:
    world = World()
    client = world.connect().log_on("ann").bind()
    for message in (
        CreateRequest(name="srvsvc"),
        CloseRequest(file_id=client.file_id),
        ReadRequest(length=1, file_id=client.file_id),
        TreeDisconnectRequest(),
    ):
        assert client.ask(message, session_id=client.session_id, tree_id=99).status == codes.STATUS_NETWORK_NAME_DELETED
        assert client.ask(message, session_id=99, tree_id=99).status == codes.STATUS_USER_SESSION_DELETED
    strange = struct.pack("<QQ", 12345, 12345)
    stale: tuple[Message, ...] = (
        CloseRequest(file_id=strange),
        ReadRequest(length=1, file_id=strange),
        WriteRequest(b"x", file_id=strange),
        FlushRequest(file_id=strange),
        QueryInfoRequest(1, 5, 100, file_id=strange),
        IoctlRequest(FSCTL_PIPE_TRANSCEIVE, strange, b"x", max_output_response=10),
    )
    for each in stale:
        assert client.ask(each).status == codes.STATUS_FILE_CLOSED
    mixed = client.file_id[:8] + struct.pack("<Q", 99)
    assert client.ask(ReadRequest(length=1, file_id=mixed)).status == codes.STATUS_FILE_CLOSED


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (r"\\server\IPC$", codes.STATUS_SUCCESS),
        (r"\\SERVER\ipc$", codes.STATUS_SUCCESS),
        (r"\\server\nothing", codes.STATUS_BAD_NETWORK_NAME),
        (r"\\server", codes.STATUS_BAD_NETWORK_NAME),
        ("IPC$", codes.STATUS_BAD_NETWORK_NAME),
        ("", codes.STATUS_BAD_NETWORK_NAME),
    ],
)
def test_tree_connect(path: str, status: int) -> None:
    client = World().connect().log_on("ann")
    assert client.ask(TreeConnectRequest(0, path), tree_id=0).status == status


def test_tree_disconnect_closes_what_was_opened_on_it() -> None:
    world = World()
    client = world.connect().log_on("ann").bind()
    assert len(world.service.opens()) == 1
    client.want(TreeDisconnectRequest())
    assert world.service.opens() == []
    assert world.service.tree_connects() == []
    assert client.read().status == codes.STATUS_NETWORK_NAME_DELETED


# --- pipes


@pytest.mark.parametrize("name", ["srvsvc", "SRVSVC", r"\srvsvc", r"\PIPE\srvsvc", r"pipe\srvsvc"])
def test_pipe_names(name: str) -> None:
    world = World()
    client = world.connect().log_on("ann")
    client.tree_connect()
    client.open_pipe(name)
    assert [opened.path for opened in world.service.opens()] == [r"\PIPE\srvsvc"]
    client.want(CloseRequest(file_id=client.file_id))
    assert world.service.opens() == []


def test_a_pipe_that_there_is_not() -> None:
    client = World().connect().log_on("ann")
    client.tree_connect()
    assert client.ask(CreateRequest(name="lsarpc")).status == codes.STATUS_OBJECT_NAME_NOT_FOUND


def test_long_answers_are_read_piece_by_piece() -> None:
    world = World()
    admin = world.connect().log_on("admin").bind()
    (pdu,) = admin.rpc.call(NetrSessionEnum(None, None, None, 502))
    request = IoctlRequest(FSCTL_PIPE_TRANSCEIVE, admin.file_id, pdu, max_output_response=10)
    answer = admin.ask(request)
    assert answer.status == codes.STATUS_BUFFER_OVERFLOW
    assert len(answer.message.output) == 10  # type: ignore[attr-defined]
    # MS-FSCC 2.3.48: a pipe with something left to be read takes no transaction.
    assert admin.ask(request).status == codes.STATUS_PIPE_BUSY
    answer = admin.read(20)
    assert (answer.status, len(answer.message.data)) == (codes.STATUS_BUFFER_OVERFLOW, 20)  # type: ignore[attr-defined]
    assert admin.read().status == codes.STATUS_SUCCESS


def test_requests_in_fragments() -> None:
    world = World()
    admin = world.connect().log_on("admin").bind()
    (pdu,) = admin.rpc.call(NetrSessionEnum(None, None, None, 0))
    # A transaction whose answer is not there yet waits; the rest of the request comes by a WRITE.
    waiting = admin.send(IoctlRequest(FSCTL_PIPE_TRANSCEIVE, admin.file_id, pdu[:30], max_output_response=65536))
    assert waiting in admin.pendings
    admin.write(pdu[30:])
    assert admin.answers[waiting].status == 0


def test_reads_wait_their_turn_and_can_be_cancelled() -> None:
    world = World()
    admin = world.connect().log_on("admin").bind()
    first, second = (admin.send(ReadRequest(length=65536, file_id=admin.file_id)) for _ in range(2))
    assert admin.pendings == [first, second]
    admin.core.cancel(first)
    world.pump()
    assert admin.answers[first].status == codes.STATUS_CANCELLED
    (pdu,) = admin.rpc.call(NetrSessionEnum(None, None, None, 0))
    admin.write(pdu)
    assert admin.answers[second].status == 0
    # Closing the pipe cancels who still waits.
    third = admin.send(ReadRequest(length=65536, file_id=admin.file_id))
    admin.want(CloseRequest(file_id=admin.file_id))
    assert admin.answers[third].status == codes.STATUS_CANCELLED


def test_what_is_no_rpc_breaks_the_pipe_and_nothing_else() -> None:
    world = World()
    client = world.connect().log_on("ann")
    client.tree_connect()
    client.open_pipe()
    assert client.ask(WriteRequest(b"\xff" * 100, file_id=client.file_id)).status == codes.STATUS_PIPE_BROKEN
    assert client.read().status == codes.STATUS_PIPE_BROKEN
    client.open_pipe()
    assert world.users() == ["ann"]


def test_what_clients_ask_about_a_pipe() -> None:
    client = World().connect().log_on("ann").bind()
    standard = client.want(QueryInfoRequest(1, 5, 100, file_id=client.file_id))
    assert struct.unpack("<QQIBBH", bytes(standard.output)) == (4096, 0, 1, 1, 0, 0)
    for number in (4, 6, 23, 24, 34):
        assert client.want(QueryInfoRequest(1, number, 100, file_id=client.file_id)).output
    assert client.ask(QueryInfoRequest(1, 5, 3, file_id=client.file_id)).status == codes.STATUS_INFO_LENGTH_MISMATCH
    assert client.ask(QueryInfoRequest(1, 200, 100, file_id=client.file_id)).status == codes.STATUS_NOT_SUPPORTED
    assert client.ask(QueryInfoRequest(3, 0, 100, file_id=client.file_id)).status == codes.STATUS_NOT_SUPPORTED
    client.want(SetInfoRequest(1, 23, struct.pack("<II", 1, 0), file_id=client.file_id))
    client.want(FlushRequest(file_id=client.file_id))


def test_control_codes() -> None:
    client = World().connect().log_on("ann").bind()

    def wait_for(name: str) -> int:
        text = name.encode("utf-16-le")
        data = struct.pack("<QIBx", 0, len(text), 0) + text
        return client.ask(IoctlRequest(FSCTL_PIPE_WAIT, ANY_FILE_ID, data)).status

    assert wait_for("srvsvc") == codes.STATUS_SUCCESS
    assert wait_for("nothing") == codes.STATUS_OBJECT_NAME_NOT_FOUND
    for code, status in (
        (FSCTL_DFS_GET_REFERRALS, codes.STATUS_FS_DRIVER_REQUIRED),
        (FSCTL_QUERY_NETWORK_INTERFACE_INFO, codes.STATUS_SUCCESS),
    ):
        assert client.ask(IoctlRequest(code, ANY_FILE_ID, b"", max_output_response=100)).status == status
    assert client.ask(IoctlRequest(FSCTL_PIPE_WAIT, ANY_FILE_ID, b"short")).status == codes.STATUS_INVALID_PARAMETER
    odd = IoctlRequest(0x12345, client.file_id, b"", max_output_response=100)
    assert client.ask(odd).status == codes.STATUS_NOT_SUPPORTED
    odd.flags = 0
    assert client.ask(odd).status == codes.STATUS_NOT_SUPPORTED


@pytest.mark.parametrize("dialect", [Dialect.SMB_2_1, Dialect.SMB_3_0, Dialect.SMB_3_0_2])
def test_the_negotiation_can_be_validated(dialect: Dialect) -> None:
    client = World().connect(dialects=(Dialect.SMB_2_1, dialect)).log_on("ann")
    client.tree_connect()
    answer = client.want(client.core.build_validate_negotiate())
    client.core.check_validate_negotiate(answer)


# --- compounds


def test_a_related_compound() -> None:
    world = World()
    client = world.connect().log_on("admin")
    client.tree_connect()
    (bind,) = [client.rpc.bind()]
    numbers = send_compound(
        client.core,
        [
            CreateRequest(desired_access=0x12019F, share_access=3, name="srvsvc"),
            IoctlRequest(FSCTL_PIPE_TRANSCEIVE, ANY_FILE_ID, bind, max_output_response=4096),
            CloseRequest(file_id=ANY_FILE_ID),
        ],
        session_id=client.session_id,
        tree_id=client.tree_id,
    )
    world.pump()
    assert [client.answers[number].status for number in numbers] == [0, 0, 0]
    assert world.service.opens() == []


def test_a_related_compound_whose_create_fails() -> None:
    world = World()
    client = world.connect().log_on("admin")
    client.tree_connect()
    numbers = send_compound(
        client.core,
        [
            CreateRequest(name="nothing"),
            QueryInfoRequest(1, 5, 100, file_id=ANY_FILE_ID),
            CloseRequest(file_id=ANY_FILE_ID),
        ],
        session_id=client.session_id,
        tree_id=client.tree_id,
    )
    world.pump()
    assert {client.answers[number].status for number in numbers} == {codes.STATUS_OBJECT_NAME_NOT_FOUND}


def test_a_compound_waits_as_a_whole() -> None:
    world = World()
    client = world.connect().log_on("admin").bind()
    numbers = send_compound(
        client.core,
        [
            QueryInfoRequest(1, 5, 100, file_id=client.file_id),
            ReadRequest(length=65536, file_id=client.file_id),
            FlushRequest(file_id=client.file_id),
        ],
        session_id=client.session_id,
        tree_id=client.tree_id,
        related=False,
    )
    world.pump()
    # The answer before the one that waits has left; the one behind it has not.
    assert [number in client.answers for number in numbers] == [True, False, False]
    assert client.pendings == [numbers[1]]
    (pdu,) = client.rpc.call(NetrSessionEnum(None, None, None, 0))
    client.write(pdu)
    assert [client.answers[number].status for number in numbers] == [0, 0, 0]


# --- the small machines


def test_timers() -> None:
    timers = Timers()
    done: list[str] = []
    timers.at(2, lambda now: done.append("b"))
    first = timers.at(1, lambda now: done.append("a"))
    timers.at(3, lambda now: done.append("c"))
    first.cancel()
    assert timers.next() == 2
    timers.expire(2.5)
    assert done == ["b"]
    assert timers.next() == 3
