r"""`\PIPE\svcctl`: who may ask, pause and continue the Server service, what they are told, and what any bytes do."""

from __future__ import annotations

import random
from typing import Any

import pytest

from lanman import codes
from lanman.auth.accounts import Accounts
from lanman.errors import MalformedMessage, StatusError
from lanman.events import ServerContinued, ServerPaused
from lanman.rpc import svcctl as scm
from lanman.rpc.client import FaultReceived
from lanman.rpc.svcctl import SVCCTL
from lanman.server.rights import Caller
from lanman.server.svcctl import MAX_HANDLES, ServiceControlEndpoint
from lanman.settings import NullSessions
from support.memory_server import Client, World
from support.passwords import PASSWORD

MAXIMUM_ALLOWED = 0x02000000


def opened(client: Client, access: int = scm.SERVICE_ALL_ACCESS, name: str = "lanmanserver") -> bytes:
    """A handle of the service."""
    answer = client.call(scm.ROpenServiceW(database(client), name, access))
    assert answer.status == 0
    return bytes(answer.sc_handle)


def database(client: Client, access: int = scm.SC_MANAGER_CONNECT) -> bytes:
    answer = client.call(scm.ROpenSCManagerW("\\\\SERVER", "ServicesActive", access))
    assert answer.status == 0
    return bytes(answer.sc_handle)


def control(client: Client, handle: bytes, code: int) -> tuple[int, int]:
    """The status, and the state behind it."""
    answer = client.call(scm.RControlService(handle, code))
    return answer.status, answer.state


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def admin(world: World) -> Client:
    return world.connect().log_on("admin").bind(SVCCTL)


def test_the_service_is_asked_paused_and_continued(world: World, admin: Client) -> None:
    handle = opened(admin)
    answer = admin.call(scm.RQueryServiceStatus(handle))
    assert (answer.status, answer.state) == (0, 4)
    assert (answer.service_type, answer.controls_accepted) == (0x10, 2)  # own process; pause and continue, no stop
    assert control(admin, handle, 2) == (0, 7)
    assert world.service.paused_by == (admin.connection.client_name, "admin")
    assert control(admin, handle, 2) == (0, 7)  # again: nothing happens
    assert control(admin, handle, 4) == (0, 7)  # interrogate
    assert control(admin, handle, 3) == (0, 4)
    assert control(admin, handle, 3) == (0, 4)
    told = [event for event in world.events if isinstance(event, ServerPaused | ServerContinued)]
    who = (admin.connection.client_name, "admin")
    assert [(type(event), event[2:]) for event in told] == [(ServerPaused, who), (ServerContinued, who)]


def test_paused_newcomers_are_refused_as_windows_refuses_them(world: World, admin: Client) -> None:
    ann = world.connect().log_on("ann")
    handle = opened(admin)
    control(admin, handle, 2)
    with pytest.raises(StatusError) as refused:
        world.connect().log_on("bob")
    assert refused.value.status == codes.STATUS_SHARING_PAUSED
    with pytest.raises(StatusError) as refused:
        world.connect().log_on("")
    assert refused.value.status == codes.STATUS_SHARING_PAUSED
    # Who is there stays, and gets to no further share.
    with pytest.raises(StatusError) as refused:
        ann.tree_connect()
    assert refused.value.status == codes.STATUS_SHARING_PAUSED
    assert world.users() == ["admin", "ann"]
    another = world.connect().log_on("admin").bind(SVCCTL)
    assert another.call(scm.RQueryServiceStatus(opened(another))).state == 7
    control(another, opened(another), 3)
    ann.bind()
    world.connect().log_on("bob")


def test_a_log_on_that_was_begun_before_the_pause_is_judged_at_its_end(world: World, admin: Client) -> None:
    finish = world.connect().log_on_step_by_step("bob")
    control(admin, opened(admin), 2)
    assert finish().status == codes.STATUS_SHARING_PAUSED
    assert world.users() == ["admin"]


def test_a_pause_lasts_when_who_ordered_it_is_gone_and_when_the_configuration_is_read_again(
    world: World, admin: Client
) -> None:
    control(admin, opened(admin), 2)
    world.disconnect(admin)
    world.set(comment="another")
    assert world.service.paused


def test_stopping_is_refused_and_starting_is_done(admin: Client) -> None:
    handle = opened(admin)
    assert control(admin, handle, 1) == (codes.ERROR_INVALID_SERVICE_CONTROL, 4)
    assert control(admin, handle, 200) == (codes.ERROR_INVALID_SERVICE_CONTROL, 4)
    assert control(admin, handle, 0)[0] == codes.ERROR_INVALID_PARAMETER
    assert control(admin, handle, 0xFFFFFFFF)[0] == codes.ERROR_INVALID_PARAMETER
    assert admin.call(scm.RStartServiceW(handle)).status == codes.ERROR_SERVICE_ALREADY_RUNNING
    answer = admin.call(scm.REnumDependentServicesW(handle, 3, 100))
    assert (answer.status, answer.returned, answer.bytes_needed) == (0, 0, 0)
    assert scm.unpack_services(answer.buffer, answer.returned) == []


def test_the_only_service_is_listed(admin: Client) -> None:
    handle = database(admin, scm.SC_MANAGER_ENUMERATE_SERVICE)
    answer = admin.call(scm.REnumServicesStatusW(handle, 0x30, 3, 0, 0))
    assert (answer.status, answer.returned) == (codes.ERROR_MORE_DATA, 0)
    answer = admin.call(scm.REnumServicesStatusW(handle, 0x30, 3, answer.bytes_needed, 0))
    (entry,) = scm.unpack_services(answer.buffer, answer.returned)
    assert (entry.name, entry.display_name, entry.status.state) == ("LanmanServer", "Server", 4)
    assert (answer.status, answer.resume_index, answer.bytes_needed) == (0, 0, 0)
    for kind, state in (0x30, 2), (0x1, 3):  # what is stopped; drivers
        answer = admin.call(scm.REnumServicesStatusW(handle, kind, state, 1000))
        assert (answer.status, answer.returned, answer.resume_index) == (0, 0, None)
    for kind, state in (0, 3), (0x30, 0), (0x30, 4):
        assert admin.call(scm.REnumServicesStatusW(handle, kind, state, 8)).status == codes.ERROR_INVALID_PARAMETER


def test_how_it_is_installed_and_in_which_state_it_is(admin: Client) -> None:
    handle = opened(admin)
    short = admin.call(scm.RQueryServiceConfigW(handle, 0))
    assert short.status == codes.ERROR_INSUFFICIENT_BUFFER
    answer = admin.call(scm.RQueryServiceConfigW(handle, short.bytes_needed))
    assert (answer.status, answer.config.display_name, answer.config.service_type) == (0, "Server", 0x10)
    short = admin.call(scm.RQueryServiceStatusEx(handle, 0, 35))
    assert (short.status, short.bytes_needed, len(short.buffer)) == (codes.ERROR_INSUFFICIENT_BUFFER, 36, 35)
    answer = admin.call(scm.RQueryServiceStatusEx(handle, 0, 40))
    assert answer.status == 0
    assert answer.buffer == scm.pack_status_process(scm.ServiceStatus(0x10, 4, 2)) + bytes(4)
    assert admin.call(scm.RQueryServiceStatusEx(handle, 1, 36)).status == codes.ERROR_INVALID_LEVEL


def test_a_handle_has_the_rights_that_it_was_opened_with(admin: Client) -> None:
    looking = opened(admin, scm.SERVICE_QUERY_STATUS)
    assert admin.call(scm.RQueryServiceStatus(looking)).status == 0
    for code in (1, 2, 3, 4, 128):
        assert control(admin, looking, code)[0] == codes.ERROR_ACCESS_DENIED
    assert admin.call(scm.RStartServiceW(looking)).status == codes.ERROR_ACCESS_DENIED
    assert admin.call(scm.RQueryServiceConfigW(looking, 100)).status == codes.ERROR_ACCESS_DENIED
    assert admin.call(scm.REnumDependentServicesW(looking, 1)).status == codes.ERROR_ACCESS_DENIED
    pausing = opened(admin, scm.SERVICE_PAUSE_CONTINUE)
    assert control(admin, pausing, 2) == (0, 7)
    assert admin.call(scm.RQueryServiceStatus(pausing)).status == codes.ERROR_ACCESS_DENIED
    for everything in (MAXIMUM_ALLOWED, 0x10000000):
        assert control(admin, opened(admin, everything), 3) == (0, 4)
    assert admin.call(scm.REnumServicesStatusW(database(admin), 0x30, 3)).status == codes.ERROR_ACCESS_DENIED


def test_names(admin: Client) -> None:
    manager = database(admin)
    for name in ("LanmanWorkstation", "Server", "", "LANMANSERVER ", "x" * 300):
        assert admin.call(scm.ROpenServiceW(manager, name, 4)).status == codes.ERROR_SERVICE_DOES_NOT_EXIST
    assert admin.call(scm.ROpenSCManagerW(None, None, 1)).status == 0
    for database_name in ("ServicesFailed", "x"):
        answer = admin.call(scm.ROpenSCManagerW(None, database_name, 1))
        assert (answer.status, answer.sc_handle) == (codes.ERROR_DATABASE_DOES_NOT_EXIST, scm.NO_HANDLE)


def test_handles_that_are_none(world: World, admin: Client) -> None:
    handle, manager = opened(admin), database(admin)
    another = world.connect().log_on("admin").bind(SVCCTL)
    other_association = opened(another)
    closed = opened(admin)
    answer = admin.call(scm.RCloseServiceHandle(closed))
    assert (answer.status, answer.sc_handle) == (0, scm.NO_HANDLE)
    for wrong in (other_association, closed, manager, scm.NO_HANDLE, b"\xff" * 20):
        assert admin.call(scm.RQueryServiceStatus(wrong)).status == codes.ERROR_INVALID_HANDLE
        assert control(admin, wrong, 2)[0] == codes.ERROR_INVALID_HANDLE
        answer = admin.call(scm.RQueryServiceStatusEx(wrong, 0, 36))
        assert (answer.status, answer.buffer) == (codes.ERROR_INVALID_HANDLE, bytes(36))
    for wrong in (other_association, closed, handle, scm.NO_HANDLE):
        assert admin.call(scm.ROpenServiceW(wrong, "LanmanServer", 4)).status == codes.ERROR_INVALID_HANDLE
        assert admin.call(scm.REnumServicesStatusW(wrong, 0x30, 3)).status == codes.ERROR_INVALID_HANDLE
    assert admin.call(scm.RCloseServiceHandle(closed)).status == codes.ERROR_INVALID_HANDLE
    assert admin.call(scm.RCloseServiceHandle(other_association)).status == codes.ERROR_INVALID_HANDLE
    assert another.call(scm.RQueryServiceStatus(other_association)).status == 0
    assert not world.service.paused


def test_handles_are_bounded(admin: Client) -> None:
    handles = [database(admin) for _ in range(MAX_HANDLES)]
    assert admin.call(scm.ROpenSCManagerW(None, None, 1)).status == codes.ERROR_NOT_ENOUGH_MEMORY
    assert admin.call(scm.ROpenServiceW(handles[0], "LanmanServer", 4)).status == codes.ERROR_NOT_ENOUGH_MEMORY
    assert len(set(handles)) == MAX_HANDLES
    admin.call(scm.RCloseServiceHandle(handles.pop()))
    assert admin.call(scm.ROpenSCManagerW(None, None, 1)).status == 0


CALLS: list[Any] = [
    scm.ROpenSCManagerW(None, None, 1),
    scm.ROpenServiceW(scm.NO_HANDLE, "LanmanServer", 4),
    scm.RQueryServiceStatus(scm.NO_HANDLE),
    scm.RQueryServiceStatusEx(scm.NO_HANDLE, 0, 36),
    scm.RControlService(scm.NO_HANDLE, 2),
    scm.RStartServiceW(scm.NO_HANDLE),
    scm.REnumDependentServicesW(scm.NO_HANDLE, 3),
    scm.REnumServicesStatusW(scm.NO_HANDLE, 0x30, 3),
    scm.RQueryServiceConfigW(scm.NO_HANDLE, 0),
]


def test_these_are_all_calls_but_closing() -> None:
    assert {*map(type, CALLS), scm.RCloseServiceHandle} == set(SVCCTL.requests.values())


@pytest.mark.parametrize("who", ["ann", "operator"])
def test_nobody_but_administrators(world: World, who: str) -> None:
    world.accounts.add("operator", PASSWORD)
    for group in ("Server Operators", "Power Users", "Print Operators"):
        world.accounts.add_member(group, "operator")
    client = world.connect().log_on(who).bind(SVCCTL)
    for request in CALLS:
        assert client.call(request).status == codes.ERROR_ACCESS_DENIED
    assert client.call(scm.RCloseServiceHandle(scm.NO_HANDLE)).status == codes.ERROR_INVALID_HANDLE
    assert not world.service.paused


def test_a_null_session_is_not_let_to_the_pipe_unless_it_is_named_and_then_may_nothing(world: World) -> None:
    null = world.connect().log_on("")
    null.tree_connect()
    with pytest.raises(StatusError) as refused:
        null.open_pipe("svcctl")
    assert refused.value.status == codes.STATUS_ACCESS_DENIED
    world.set(null_sessions=NullSessions(pipes=("svcctl",)))
    null = world.connect().log_on("").bind(SVCCTL)
    for request in CALLS:
        assert null.call(request).status == codes.ERROR_ACCESS_DENIED


def test_on_the_control_socket_the_kernel_says_who_may(world: World) -> None:
    endpoint = ServiceControlEndpoint(world.service, world.random)
    for request in CALLS:
        assert endpoint.refuses(Caller("bob"), type(request), None) == codes.ERROR_ACCESS_DENIED
        assert endpoint.refuses(Caller("root", local_admin=True), type(request), None) == 0


def test_rights_are_judged_when_the_call_runs(world: World) -> None:
    world.accounts.add("chief", PASSWORD)
    world.accounts.add_member("Administrators", "chief")
    chief = world.connect().log_on("chief").bind(SVCCTL)
    handle = opened(chief)
    world.accounts = Accounts.parse(world.accounts.dump())  # as whoever reads the file anew has them
    world.accounts.remove_member("Administrators", "chief")
    assert control(chief, handle, 2)[0] == codes.ERROR_ACCESS_DENIED
    assert chief.call(scm.RQueryServiceStatus(handle)).status == codes.ERROR_ACCESS_DENIED
    assert not world.service.paused
    assert chief.call(scm.RCloseServiceHandle(handle)).status == 0


def faulted(client: Client, stub: bytes, opnum: int) -> int | None:
    """The status of the fault that a call is answered by; None for an answer."""
    pdu = bytearray(client.rpc.call(scm.RCloseServiceHandle(scm.NO_HANDLE))[0][:24] + stub)
    pdu[8:10] = len(pdu).to_bytes(2, "little")
    pdu[22:24] = opnum.to_bytes(2, "little")
    answer = client.rpc.receive_data(client.transceive(bytes(pdu)))
    while not answer:
        answer = client.rpc.receive_data(bytes(client.read().message.data))  # type: ignore[attr-defined]
    (event,) = answer
    return event.status if isinstance(event, FaultReceived) else None


def test_operations_that_are_not_there(admin: Client) -> None:
    handle = opened(admin)
    for opnum in {*range(70), 255, 65535} - set(SVCCTL.requests):
        assert faulted(admin, handle + bytes(200), opnum) == codes.nca_s_op_rng_error
    assert admin.call(scm.RQueryServiceStatus(handle)).status == 0


def test_buffers_beyond_their_range(admin: Client) -> None:
    handle = opened(admin)
    requests: list[tuple[Any, int]] = [
        (scm.RQueryServiceStatusEx(handle, 0, 8192), 8192),
        (scm.RQueryServiceConfigW(handle, 8192), 8192),
        (scm.REnumDependentServicesW(handle, 3, 262144), 262144),
        (scm.REnumServicesStatusW(handle, 0x30, 3, 262144), 262144),
    ]
    for request, limit in requests:
        assert faulted(admin, request.pack(), request.opnum) is None
        for beyond in (limit + 1, 0xFFFFFFFF):
            request.buffer_size = beyond
            assert faulted(admin, request.pack(), request.opnum) == codes.RPC_X_BAD_STUB_DATA


@pytest.mark.parametrize("seed", range(20))
def test_any_bytes_are_answered(world: World, admin: Client, seed: int) -> None:
    """Random stubs, and good ones that were spoilt: an answer or a fault, and the pipe is as good as before."""
    draw = random.Random(seed)
    handle = opened(admin)
    good = [request.pack().replace(scm.NO_HANDLE, handle, 1) for request in CALLS]
    for _ in range(60):
        opnum = draw.choice(sorted(SVCCTL.requests))
        stub = bytearray(draw.choice(good) if draw.random() < 0.7 else draw.randbytes(draw.randrange(300)))
        for _ in range(draw.randrange(4) if stub else 0):
            stub[draw.randrange(len(stub))] = draw.choice([0, 1, 0x7F, 0xFF, draw.randrange(256)])
        assert faulted(admin, bytes(stub[: draw.randrange(len(stub) + 1)]), opnum) in (None, codes.RPC_X_BAD_STUB_DATA)
    assert world.clients[admin.connection.connection_id] is admin
    fresh = world.connect().log_on("admin").bind(SVCCTL)
    assert fresh.call(scm.RQueryServiceStatus(opened(fresh))).status == 0


@pytest.mark.parametrize("ndr64", [False, True])
def test_every_message_both_ways(ndr64: bool) -> None:
    handle = bytes(range(20))
    entry = scm.ServiceEntry("LanmanServer", "Server", scm.ServiceStatus(0x10, 4, 2))
    for request in [*CALLS, scm.ROpenSCManagerW("a", "b", 7), scm.RCloseServiceHandle(handle)]:
        assert type(request).unpack(request.pack(ndr64), ndr64) == request
    packed = scm.pack_services([entry, entry])
    for response in (
        scm.ROpenServiceWResponse(handle, 5),
        scm.RQueryServiceStatusResponse(1, 2, 3, 4, 5, 6, 7),
        scm.REnumServicesStatusWResponse(packed, 8, 2, 7, 234),
        scm.REnumDependentServicesWResponse(packed + b"\0", 9, 2, 3),
        scm.RQueryServiceConfigWResponse(scm.ServiceConfig(1, 2, 3, "p", None, 4, "", "u", "d"), 5, 6),
        scm.RQueryServiceStatusExResponse(b"123", 4, 5),
        scm.RStartServiceWResponse(1056),
    ):
        assert type(response).unpack(response.pack(ndr64), ndr64) == response
    assert scm.unpack_services(packed, 2) == [entry, entry]


def test_lists_of_services_that_are_none() -> None:
    packed = scm.pack_services([scm.ServiceEntry("a", "b")])
    for buffer, count in ((packed, 2), (b"", 1), (packed[:-2], 1), (b"\xff" * 36, 1)):
        with pytest.raises(MalformedMessage):
            scm.unpack_services(buffer, count)
    assert scm.unpack_services(b"", 0) == []
