"""Nothing runs on a session with keys but what its user signed or encrypted, wherever an attacker on the way puts it.

The attacker lets the victim authenticate, so it holds tokens and no keys, and adds requests of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lanman import codes
from lanman.domain import LogonRefused, Reason, SessionClosed, SessionReauthenticated
from lanman.rpc.srvsvc import NetrSessionDel, NetrSessionEnum
from lanman.smb2.constants import ALL_DIALECTS, SMB2_FLAGS_ASYNC_COMMAND, SMB2_FLAGS_SIGNED, SMB2_SESSION_SETUP, Dialect
from lanman.smb2.messages import (
    CancelRequest,
    CreateRequest,
    EchoRequest,
    LogoffRequest,
    Message,
    ReadRequest,
    SessionSetupRequest,
    TreeConnectRequest,
)
from support.memory_server import World
from support.passwords import PASSWORD
from support.raw_client import RawClient

IPC = TreeConnectRequest(0, r"\\server\IPC$")
PIPE = CreateRequest(desired_access=0x0012019F, share_access=3, name="srvsvc")
INJECTED: Sequence[Message] = (IPC, PIPE, ReadRequest(length=10, file_id=b"\xff" * 16), LogoffRequest(), EchoRequest())

every_dialect = pytest.mark.parametrize("dialect", ALL_DIALECTS)


def nothing_happened(world: World) -> bool:
    return not world.service.tree_connects() and not world.service.opens()


# --- behind a log-on


@every_dialect
@pytest.mark.parametrize("related", [False, True])
def test_what_stands_behind_a_log_on_in_its_frame_is_refused(dialect: Dialect, related: bool) -> None:
    world = World()
    relay = RawClient(world, dialect)
    relay.begin_log_on("ann")
    frame = relay.compound([relay.last_leg(), *INJECTED], related=related)
    assert relay.statuses(frame) == [0, *[codes.STATUS_INVALID_PARAMETER] * len(INJECTED)]
    assert world.users() == ["ann"]  # the log-on itself goes on
    assert nothing_happened(world)


@every_dialect
def test_a_second_log_on_behind_one_is_refused(dialect: Dialect) -> None:
    world = World()
    relay = RawClient(world, dialect)
    relay.begin_log_on("ann")
    assert relay.statuses(relay.compound([relay.last_leg(), relay.last_leg()])) == [0, codes.STATUS_INVALID_PARAMETER]


@every_dialect
def test_what_is_pipelined_behind_a_log_on_is_judged_when_it_runs(dialect: Dialect) -> None:
    world = World()
    relay = RawClient(world, dialect)
    relay.begin_log_on("ann")
    frames = [relay.pdu(relay.last_leg()), *map(relay.pdu, INJECTED)]
    statuses = relay.statuses(*frames)
    # The accounts are being read: there is no such session yet. ECHO needs none.
    assert statuses == [*[codes.STATUS_USER_SESSION_DELETED] * 4, 0, 0]
    assert world.users() == ["ann"]
    assert nothing_happened(world)


@every_dialect
@pytest.mark.parametrize("message", INJECTED)
def test_an_unsigned_request_that_waits_for_its_turn_behind_the_log_on(dialect: Dialect, message: Message) -> None:
    """It arrived when the session had no keys, and runs when it has: what counts is when it runs."""
    world = World()
    relay = RawClient(world, dialect)
    relay.begin_log_on("ann")
    relay.send(relay.pdu(relay.last_leg()), pump=False)
    world.dispatch.scheduler._budget = 0
    relay.send(relay.pdu(message), pump=False)
    ((ticket, _),) = world.dispatch.scheduler.effects()
    world.dispatch.scheduler.completed(ticket, world.accounts, world.now)
    assert world.users() == ["ann"]
    assert world.dispatch.scheduler.busy
    world.pump()
    if message is IPC and dialect == Dialect.SMB_3_1_1:
        assert "neither signed nor encrypted" in relay.finished
    else:
        assert [header.status for header, _ in relay.answers] == [0, codes.STATUS_ACCESS_DENIED]
    assert nothing_happened(world)
    assert not [event for event in world.events if isinstance(event, SessionClosed) and event.reason is Reason.LOGOFF]


@every_dialect
def test_an_unsigned_request_on_a_session(dialect: Dialect) -> None:
    for message in INJECTED:
        world = World()
        client = RawClient(world, dialect)
        assert client.log_on("ann") == 0
        statuses = client.statuses(client.pdu(message))
        if message is IPC and dialect == Dialect.SMB_3_1_1:
            assert client.finished
        else:
            assert statuses == [codes.STATUS_ACCESS_DENIED]
        assert nothing_happened(world)


@every_dialect
def test_the_rest_of_a_compound_is_judged_when_it_runs(dialect: Dialect) -> None:
    """A request that inherits its session from one that is signed must be signed itself."""
    world = World()
    client = RawClient(world, dialect)
    client.log_on("ann")
    statuses = client.statuses(client.signed(IPC, more=True, tree_id=0) + client.pdu(PIPE, flags=4))
    assert statuses == [0, codes.STATUS_ACCESS_DENIED]
    assert not world.service.opens()


@every_dialect
def test_a_chain_that_waits_is_judged_again_for_what_comes_after(dialect: Dialect) -> None:
    """The session ends while the chain waits: the rest of the chain runs on no session."""
    world = World()
    client = RawClient(world, dialect)
    client.log_on("ann")
    ((header, _),) = client.send(client.signed(IPC, tree_id=0))
    client.tree_id = header.tree_id
    ((_, answer),) = client.send(client.signed(PIPE))
    file_id = bytes(answer[64 + 64 : 64 + 80])
    read = ReadRequest(length=10, file_id=file_id)
    assert client.statuses(client.signed(read, more=True) + client.signed(PIPE)) == [codes.STATUS_PENDING]
    (session,) = world.service.sessions()
    world.service.close_session(session, Reason.DELETED)
    world.pump()
    assert [header.status for header, _ in client.answers] == [
        codes.STATUS_CANCELLED,
        codes.STATUS_USER_SESSION_DELETED,
    ]


# --- CANCEL


@every_dialect
@pytest.mark.parametrize("sign", [False, True])
def test_a_cancel_must_be_signed_as_everything_else(dialect: Dialect, sign: bool) -> None:
    world = World()
    client = RawClient(world, dialect)
    client.log_on("ann")
    ((header, _),) = client.send(client.signed(IPC, tree_id=0))
    client.tree_id = header.tree_id
    ((_, answer),) = client.send(client.signed(PIPE))
    ((pending, _),) = client.send(client.signed(ReadRequest(length=10, file_id=bytes(answer[128:144]))))
    assert pending.status == codes.STATUS_PENDING
    make = client.signed if sign else client.pdu
    cancel = make(CancelRequest(), flags=SMB2_FLAGS_ASYNC_COMMAND, async_id=pending.async_id)
    assert client.statuses(cancel) == ([codes.STATUS_CANCELLED] if sign else [])


# --- renewal (3.3.5.5.2, 3.3.5.5.3)


@every_dialect
@pytest.mark.parametrize("guest", [False, True])
def test_a_session_without_keys_becomes_no_users(dialect: Dialect, guest: bool) -> None:
    world = World(guest=True)
    relay = RawClient(world, dialect)
    assert relay.log_on("stranger" if guest else "") == 0
    header, _ = relay.renew("ann", sign=False)
    assert header.status == codes.STATUS_ACCESS_DENIED
    assert world.users() == []
    assert relay.statuses(relay.pdu(IPC, tree_id=0)) == [codes.STATUS_USER_SESSION_DELETED]
    refused = [event for event in world.events if isinstance(event, LogonRefused)]
    assert [(event.user_name, event.reason) for event in refused] == [("ann", Reason.OTHER_USER)]
    assert [event.reason for event in world.events if isinstance(event, SessionClosed)] == [Reason.OTHER_USER]


@every_dialect
def test_a_session_without_keys_stays_what_it_is(dialect: Dialect) -> None:
    world = World(guest=True)
    for first, second, status in (
        ("", "", 0),
        ("stranger", "stranger", 0),
        ("", "stranger", codes.STATUS_ACCESS_DENIED),
        ("stranger", "", codes.STATUS_ACCESS_DENIED),
    ):
        client = RawClient(world, dialect)
        assert client.log_on(first) == 0
        assert client.renew(second, sign=False)[0].status == status


@every_dialect
def test_a_session_with_keys_keeps_them_and_the_duty_to_sign(dialect: Dialect) -> None:
    world = World()
    client = RawClient(world, dialect)
    client.log_on("ann")
    for user in ("", "ann"):
        header, _ = client.renew(user)
        assert header.status == 0
        assert header.flags & SMB2_FLAGS_SIGNED
        (session,) = world.service.sessions()
        assert (session.user_name, session.anonymous) == (user, not user)
        assert client.statuses(client.pdu(EchoRequest())) == [codes.STATUS_ACCESS_DENIED]
        assert client.statuses(client.signed(EchoRequest())) == [0]
    assert len([event for event in world.events if isinstance(event, SessionReauthenticated)]) == 2


@every_dialect
@pytest.mark.parametrize("by_way_of_nobody", [False, True])
def test_a_session_with_keys_becomes_nobody_elses(dialect: Dialect, by_way_of_nobody: bool) -> None:
    world = World(guest=True)
    for other in ("admin", "stranger"):
        client = RawClient(world, dialect)
        client.log_on("ann")
        if by_way_of_nobody:
            assert client.renew("")[0].status == 0
        assert client.renew(other)[0].status == codes.STATUS_ACCESS_DENIED
        assert world.users() == []
        assert client.statuses(client.signed(EchoRequest())) == [0]  # which needs no session


@every_dialect
def test_an_unsigned_renewal_is_refused_and_ends_nothing(dialect: Dialect) -> None:
    world = World()
    client = RawClient(world, dialect)
    client.log_on("ann")
    setup = SessionSetupRequest(0, 1, 0, 0, b"token", 0)
    assert client.statuses(client.pdu(setup)) == [codes.STATUS_ACCESS_DENIED]
    assert world.users() == ["ann"]


@every_dialect
def test_what_stands_behind_a_renewal_in_its_frame_is_refused(dialect: Dialect) -> None:
    world = World()
    client = RawClient(world, dialect)
    client.log_on("ann")
    client.begin_log_on("ann", session_id=client.session_id, sign=True)
    frame = client.signed(client.last_leg(), more=True) + client.pdu(IPC, flags=4)
    assert client.statuses(frame) == [0, codes.STATUS_INVALID_PARAMETER]
    assert nothing_happened(world)


def test_rights_are_the_new_identitys() -> None:
    world = World()
    admin = world.connect().log_on("admin").bind()
    assert admin.call(NetrSessionEnum(None, None, None, 10)).status == 0
    admin.log_on("", again=True)
    assert admin.call(NetrSessionEnum(None, None, None, 10)).status == codes.ERROR_ACCESS_DENIED
    admin.log_on("admin", again=True)
    assert admin.call(NetrSessionEnum(None, None, None, 10)).status == 0


def test_a_session_that_ends_while_it_is_renewed() -> None:
    world = World()
    client = RawClient(world)
    client.log_on("ann")
    client.begin_log_on("ann", session_id=client.session_id, sign=True)
    client.send(client.signed(client.last_leg()), pump=False)
    (session,) = world.service.sessions()
    world.service.close_session(session, Reason.DELETED)
    world.pump()
    assert [(header.command, header.status) for header, _ in client.answers] == [
        (SMB2_SESSION_SETUP, codes.STATUS_USER_SESSION_DELETED)
    ]


def test_a_session_that_ends_itself_while_it_is_renewed() -> None:
    """Its final answer is still to be read, so it is there, but it cannot be renewed any more."""
    world = World()
    admin = world.connect().log_on("admin").bind()
    finish = admin.log_on_step_by_step("admin", again=True, wait=False)
    world.hold_effects = True
    with pytest.raises(KeyError):  # it is not answered yet
        finish()
    (renewal,) = world.dispatch.scheduler.effects()
    admin.write(admin.rpc.call(NetrSessionDel(None, None, "admin"))[0])
    (looking,) = world.dispatch.scheduler.effects()
    for ticket, _ in (looking, renewal):
        world.dispatch.scheduler.completed(ticket, world.accounts, world.now)
        world.pump()
        assert world.users() == []
    assert [answer.status for answer in admin.answers.values()] == [codes.STATUS_USER_SESSION_DELETED]
    assert not admin.finished


def test_a_guest_becomes_no_other_guest() -> None:
    world = World(guest=True)
    world.accounts.add("gus", PASSWORD)
    world.accounts.add_member("Guests", "gus")
    for first, second in (("stranger", "gus"), ("gus", "stranger")):
        client = RawClient(world)
        assert client.log_on(first) == 0
        assert client.renew(second, sign=False)[0].status == codes.STATUS_ACCESS_DENIED
        assert world.users() == []
