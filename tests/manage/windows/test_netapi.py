"""Calls of netapi32 in real memory: what is answered, what is freed, and what is never asked."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman import codes
from lanman.errors import MalformedMessage, Win32Error
from lanman.manage.windows import layout
from lanman.manage.windows.netapi import FUNCTIONS as CALLS
from lanman.manage.windows.netapi import NetApi
from lanman.records import (
    ConnectionInfo,
    FileInfo,
    ServerInfo,
    SessionInfo,
    ShareInfo,
    Statistics,
    TimeOfDay,
    TransportInfo,
)
from lanman.rpc import srvsvc
from support.netapi_stub import FREED, FREED_NUMBER, FUNCTIONS, Failure, NetapiStub, placed

SESSIONS = [
    SessionInfo(r"\\10.0.0.1", "ann", 3, 70, 20, 0, "", None),
    SessionInfo(r"\\10.0.0.2", "", 0, 60, 50, 1, None, ""),
    SessionInfo(r"\\[fe80::7]", None, 0, 0xFFFFFFFF, 1, 0, "Windows", r"\Device\NetbiosSmb"),
    SessionInfo("\\\\pc\U0001f600\udc00", "b\u00fc", 1, 2, 3, 2, "\ud800", "t"),
]
FILES = [
    FileInfo(0x80000005, 0x23, 2, "C:\\data\\\U0001f600\udc00.txt", "ann"),
    FileInfo(6, 1, 0, "\\PIPE\\srvsvc", ""),
    FileInfo(7, 1, 0, "C:\\data\\", None),
]
CONNECTIONS = [ConnectionInfo(1, 0, 2, 1, 30, "ann", "data"), ConnectionInfo(2, 3, 0, 1, 31, "", "IPC$")]
SHARES = [
    ShareInfo("data", 0, "", 0, 0xFFFFFFFF, 1, "C:\\data", None),
    ShareInfo("IPC$", 0x80000003, "Remote IPC", 0, 1, 0, "", None),
]
SERVER = ServerInfo(500, "PC", 10, 0, 0x9003, "its comment", 16777216, 15, True, 240, 3000, 0, "c:\\")
COUNTED = Statistics(*range(100, 117))
CLOCK = TimeOfDay(1_700_000_000, 1, 2, 3, 4, 5, -60, 310, 9, 10, 2026, 6)
TRANSPORTS = [TransportInfo(2, "\\Device\\NetbiosSmb", b"PC" + b" " * 14, "000000000000")]


def listed(request: Any, entries: list[Any]) -> Any:
    response = request.failed(0)
    response.entries = entries
    return response


def told(request: Any, info: Any) -> Any:
    response = request.failed(0)
    response.info = info
    return response


LISTS: dict[type, list[Any]] = {
    srvsvc.NetrSessionEnum: SESSIONS,
    srvsvc.NetrFileEnum: FILES,
    srvsvc.NetrConnectionEnum: CONNECTIONS,
    srvsvc.NetrShareEnum: SHARES,
    srvsvc.NetrShareEnumSticky: SHARES,
    srvsvc.NetrServerTransportEnum: TRANSPORTS,
}
ITEMS: dict[type, Any] = {
    srvsvc.NetrFileGetInfo: FILES[0],
    srvsvc.NetrShareGetInfo: SHARES[0],
    srvsvc.NetrServerGetInfo: SERVER,
    srvsvc.NetrServerStatisticsGet: COUNTED,
    srvsvc.NetrRemoteTOD: CLOCK,
}


def answer(request: Any) -> Any:
    """What the DLL says."""
    if type(request) in LISTS:
        return listed(request, LISTS[type(request)])
    if type(request) in ITEMS:
        return told(request, ITEMS[type(request)])
    return request.failed(0)


@pytest.fixture
def stub() -> Iterator[NetapiStub]:
    with NetapiStub(answer) as stub:
        yield stub
        stub.check()


# Each call of netapi32 once.
REQUESTS: list[Any] = [
    srvsvc.NetrSessionEnum(None, None, None, 502),
    srvsvc.NetrFileEnum(None, None, None, 3),
    srvsvc.NetrConnectionEnum(None, "data", 1),
    srvsvc.NetrShareEnum(None, 2),
    srvsvc.NetrShareEnumSticky(None, 1),
    srvsvc.NetrServerTransportEnum(None, 0),
    srvsvc.NetrFileGetInfo(None, 0x80000005, 3),
    srvsvc.NetrShareGetInfo(None, "data", 2),
    srvsvc.NetrServerGetInfo(None, 102),
    srvsvc.NetrServerStatisticsGet(None),
    srvsvc.NetrRemoteTOD(None),
    srvsvc.NetrShareAdd(None, 2, ShareInfo("new", 0, "", 0, 5, 0, "C:\\new", None)),
    srvsvc.NetrShareSetInfo(None, "data", 1004, ShareInfo(remark="r")),
    srvsvc.NetrServerSetInfo(None, 1010, ServerInfo(disc=-1)),
    srvsvc.NetrSessionDel(None, r"\\10.0.0.1", "ann"),
    srvsvc.NetrFileClose(None, 6),
    srvsvc.NetrShareDel(None, "data"),
]


def named(request: Any) -> str:
    return type(request).__name__


def test_every_call_is_here_and_in_the_stub() -> None:
    assert {type(request) for request in REQUESTS} == CALLS.keys() == {entry[0] for entry in FUNCTIONS.values()}


@pytest.mark.parametrize("request_", REQUESTS, ids=named)
def test_a_call_arrives_as_it_was_made(stub: NetapiStub, request_: Any) -> None:
    response = NetApi(stub).answer(request_)
    assert response.status == 0
    (asked,) = stub.asked
    for name in type(request_).parameters:
        if name not in ("server_name", "info", "service", "prefered_maximum_length"):
            assert getattr(asked, name) == getattr(request_, name), name
    assert stub.servers == [None]


@pytest.mark.parametrize("level", [0, 1, 2, 10, 502])
def test_sessions_at_each_level(stub: NetapiStub, level: int) -> None:
    response = NetApi(stub).answer(srvsvc.NetrSessionEnum(None, None, None, level))
    names = srvsvc.SESSION_INFO.table[level].split()
    assert response.entries == [SessionInfo(**{name: getattr(entry, name) for name in names}) for entry in SESSIONS]
    assert response.total_entries == len(SESSIONS)
    assert stub.heap.allocated == 1


def test_everything_else(stub: NetapiStub) -> None:
    api = NetApi(stub)
    assert api.answer(srvsvc.NetrFileEnum(None, None, None, 3)).entries == FILES
    assert api.answer(srvsvc.NetrFileEnum(None, None, None, 2)).entries == [FileInfo(entry.id) for entry in FILES]
    assert api.answer(srvsvc.NetrConnectionEnum(None, "data", 1)).entries == CONNECTIONS
    assert api.answer(srvsvc.NetrShareEnum(None, 2)).entries == SHARES
    assert api.answer(srvsvc.NetrServerTransportEnum(None, 0)).entries == TRANSPORTS
    assert api.answer(srvsvc.NetrServerGetInfo(None, 102)).info == SERVER
    assert api.answer(srvsvc.NetrServerStatisticsGet(None)).info == COUNTED
    assert api.answer(srvsvc.NetrRemoteTOD(None)).info == CLOCK
    assert stub.heap.allocated == len(stub.calls)
    assert [request.service for request in stub.asked if hasattr(request, "service")] == ["LanmanServer"]


def test_a_structure_arrives_as_it_was_given(stub: NetapiStub) -> None:
    api = NetApi(stub)
    share = ShareInfo("new", 0, "\u00e4\udc00", 0, 0xFFFFFFFF, 0, "C:\\new", None)
    api.answer(srvsvc.NetrShareAdd(None, 2, share))
    api.answer(srvsvc.NetrServerSetInfo(None, 1010, ServerInfo(disc=-1)))
    api.answer(srvsvc.NetrServerSetInfo(None, 1016, ServerInfo(hidden=True)))
    assert [request.info for request in stub.asked] == [
        share,
        ServerInfo(disc=-1),
        ServerInfo(hidden=1),  # type: ignore[arg-type]
    ]


def test_the_bad_member_is_told() -> None:
    def refuse(request: Any) -> Any:
        response = request.failed(codes.ERROR_INVALID_PARAMETER)
        response.parm_err = 8
        return response

    with NetapiStub(refuse) as stub:
        response = NetApi(stub).answer(srvsvc.NetrShareAdd(None, 2, SHARES[0]))
        assert (response.status, response.parm_err) == (87, 8)


# --- pages


@pytest.mark.parametrize("page", [1, 2, 3])
@pytest.mark.parametrize("kind", [srvsvc.NetrSessionEnum, srvsvc.NetrFileEnum])
def test_pages_go_on_from_the_resume_handle(stub: NetapiStub, page: int, kind: Any) -> None:
    stub.page = page
    api = NetApi(stub)
    level = 502 if kind is srvsvc.NetrSessionEnum else 3
    entries, resume, status = [], 0, 234
    while status == codes.ERROR_MORE_DATA:
        response = api.answer(kind(None, None, None, level, resume_handle=resume))
        entries += response.entries
        resume, status = response.resume_handle, response.status
    assert (entries, status) == (LISTS[kind], 0)
    assert stub.heap.allocated == len(stub.calls) == -(-len(entries) // page)


# --- what fails


@given(
    request=st.sampled_from(REQUESTS),
    status=st.sampled_from([5, 50, 87, 124, 1722, 2114, 2312, 2314, 0xFFFFFFFF]),
    with_buffer=st.booleans(),
)
def test_a_call_that_fails_leaves_nothing(request: Any, status: int, with_buffer: bool) -> None:
    with NetapiStub(answer) as stub:
        stub.fail = lambda name: Failure(status, with_buffer)
        response = NetApi(stub).answer(request)
        assert response.status == status
        assert getattr(response, "entries", None) is None
        assert getattr(response, "info", None) is None
        stub.check()


@given(st.lists(st.tuples(st.sampled_from(REQUESTS), st.none() | st.booleans()), max_size=12), st.integers(1, 4))
def test_random_failures_of_any_calls_leave_nothing(asked: list[tuple[Any, bool | None]], page: int) -> None:
    with NetapiStub(answer, page=page) as stub:
        for request, failure in asked:
            how = None if failure is None else Failure(5, failure)
            stub.fail = lambda name, how=how: how  # type: ignore[misc]
            response = NetApi(stub).answer(request)
            assert response.status == 5 if how else response.status in (0, 234)
            stub.check()


@pytest.mark.parametrize("level", [502, 2, 1, 10, 0])
def test_memory_that_cannot_be_read_is_freed(stub: NetapiStub, monkeypatch: pytest.MonkeyPatch, level: int) -> None:
    monkeypatch.setattr(layout, "MAX_UNITS", 3)
    with pytest.raises(MalformedMessage):
        NetApi(stub).answer(srvsvc.NetrSessionEnum(None, None, None, level))
    assert stub.heap.allocated == 1


def test_a_success_without_a_buffer() -> None:
    with NetapiStub(answer) as stub:
        stub.fail = lambda name: Failure(0)
        assert NetApi(stub).answer(srvsvc.NetrSessionEnum(None, None, None, 502)).entries == []
        assert NetApi(stub).answer(srvsvc.NetrServerGetInfo(None, 102)).info is None


# --- what is not asked


@pytest.mark.parametrize(("client", "user"), [(None, None), ("", ""), (None, ""), ("", None)])
def test_nobody_in_particular_is_not_ended(stub: NetapiStub, client: str | None, user: str | None) -> None:
    assert NetApi(stub).answer(srvsvc.NetrSessionDel(None, client, user)).status == codes.ERROR_INVALID_PARAMETER
    assert stub.calls == []


def test_a_level_that_there_is_not(stub: NetapiStub) -> None:
    assert NetApi(stub).answer(srvsvc.NetrSessionEnum(None, None, None, 3)).status == codes.ERROR_INVALID_LEVEL
    assert NetApi(stub).answer(srvsvc.NetrServerSetInfo(None, 103, SERVER)).status == codes.ERROR_INVALID_LEVEL
    assert stub.calls == []


def test_no_structure_to_set(stub: NetapiStub) -> None:
    assert NetApi(stub).answer(srvsvc.NetrShareAdd(None, 2, None)).status == codes.ERROR_INVALID_PARAMETER
    assert stub.calls == []


def test_a_name_with_a_nul(stub: NetapiStub) -> None:
    with pytest.raises(Win32Error) as refused:
        NetApi(stub).answer(srvsvc.NetrSessionDel(None, "\\\\a\0b", "ann"))
    assert (refused.value.code, stub.calls) == (87, [])
    with pytest.raises(Win32Error):
        NetApi(stub).answer(srvsvc.NetrShareSetInfo(None, "data", 1004, ShareInfo(remark="a\0b")))
    assert stub.calls == []


@pytest.mark.parametrize(
    "request_",
    [
        srvsvc.NetrFileClose(None, (1 << 32) + 6),
        srvsvc.NetrFileGetInfo(None, -(1 << 40), 3),
        srvsvc.NetrShareSetInfo(None, "data", 1006, ShareInfo(max_uses=1 << 32)),
    ],
    ids=named,
)
def test_a_number_that_would_be_cut_to_another(stub: NetapiStub, request_: Any) -> None:
    with pytest.raises(Win32Error) as refused:
        NetApi(stub).answer(request_)
    assert (refused.value.code, stub.calls) == (87, [])


def test_a_call_and_a_function_that_there_are_not(stub: NetapiStub) -> None:
    with pytest.raises(Win32Error) as refused:
        NetApi(stub).answer(srvsvc.NetrServerDiskEnum(None))
    assert refused.value.code == codes.ERROR_NOT_SUPPORTED
    with pytest.raises(Win32Error) as refused:
        NetApi(object()).answer(REQUESTS[0])
    assert refused.value.code == codes.ERROR_NOT_SUPPORTED


# --- the stub itself


def test_the_stub_finds_a_leak_and_what_is_freed_twice() -> None:
    with NetapiStub(answer) as stub:
        address = stub.heap.allocate(b"abc", [])
        with pytest.raises(AssertionError):
            stub.check()
        assert stub.NetApiBufferFree(address) == 0
        stub.check()
        assert stub.NetApiBufferFree(address) != 0
        with pytest.raises(AssertionError):
            stub.check()


def test_what_is_read_too_late_shows() -> None:
    with NetapiStub(answer) as stub:
        address = stub.heap.allocate(*placed(srvsvc.SESSION_INFO, 502, SESSIONS[:1]))
        stub.NetApiBufferFree(ctypes.c_void_p(address))
        (late,) = layout.Layout(srvsvc.SESSION_INFO, 502).read(address, 1)
        assert (late.client_name, late.num_opens) == (FREED, FREED_NUMBER)
