"""netapi32 as a DLL of structures that a compiler laid out, with pywin32 as the stranger beside lanman.

Both load the same DLL in the same process, so that what they read differently is one of them misreading it.
"""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lanman.compat import win32net as ours
from lanman.manage.windows.manager import WindowsManager
from lanman.manage.windows.netapi import NetApi
from lanman.manage.windows.system import this_netapi32, this_system
from lanman.records import FileInfo, ServerInfo, SessionInfo, ShareInfo
from lanman.rpc import srvsvc
from support.services_page import FIELDS, mark, table
from windows.conftest import Fake, Service

win32net = importlib.import_module("win32net")

Call = Callable[[Any], Any]


def call(function: str, *arguments: Any) -> Call:
    """The call of either of the two modules."""
    return lambda api: getattr(api, function)(*arguments)


QUESTIONS: dict[str, Call] = {
    **{f"sessions {level}": call("NetSessionEnum", level) for level in (0, 1, 2, 10, 502)},
    "sessions of ann": call("NetSessionEnum", 502, None, None, "ann"),
    "sessions of a client": call("NetSessionEnum", 502, None, r"\\10.0.0.1", None),
    "sessions of both": call("NetSessionEnum", 10, None, r"\\10.0.0.1", "bob"),
    **{f"a session {n}": call("NetSessionGetInfo", n, None, r"\\10.0.0.1", "ann") for n in (0, 1, 2, 10)},
    **{f"files {level}": call("NetFileEnum", level) for level in (2, 3)},
    "files below": call("NetFileEnum", 3, None, "C:\\data\\", None),
    "files of ann": call("NetFileEnum", 3, None, None, "ann"),
    "a file": call("NetFileGetInfo", 3, None, 8),
    **{f"shares {level}": call("NetShareEnum", None, level) for level in (0, 1, 2, 501, 502)},
    **{f"a share {level}": call("NetShareGetInfo", None, "DATA", level) for level in (0, 1, 2, 501, 502)},
    **{f"server {level}": call("NetServerGetInfo", None, level) for level in (100, 101, 102, 502, 503)},
    "statistics": call("NetStatisticsGet", None, "LanmanServer", 0, 0),
}

REFUSALS: dict[str, Call] = {
    "no such user": call("NetSessionEnum", 10, None, None, "nobody"),
    "no such client": call("NetSessionDel", None, r"\\nowhere", None),
    "no such file": call("NetFileClose", None, 4711),
    "no such share": call("NetShareGetInfo", None, "nothing", 2),
    "no share to delete": call("NetShareDel", None, "nothing", 0),
}

ORDERS: dict[str, Call] = {
    "one session": call("NetSessionDel", None, r"\\10.0.0.1", "ann"),
    "a user": call("NetSessionDel", None, None, "bob"),
    "a file": lambda api: api.NetFileClose(None, 0x80000005 - (1 << 32) if api is win32net else 0x80000005),
    "a share": call("NetShareDel", None, "data", 0),
    "a new share": call(
        "NetShareAdd",
        None,
        2,
        {"netname": "n\u00fc", "path": "C:\\n", "remark": "r", "type": 0, "max_uses": 7, "passwd": None},
    ),
    "a comment": call(
        "NetServerSetInfo",
        None,
        101,
        {"platform_id": 500, "name": "", "version_major": 0, "version_minor": 0, "type": 0, "comment": "\U0001f600"},
    ),
}


def unsigned(value: Any) -> Any:
    """pywin32 gives some numbers of 32 bits as signed, and security descriptors as objects of its own."""
    if isinstance(value, dict):
        return {name: unsigned(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [unsigned(each) for each in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return value & 0xFFFFFFFF
    if type(value).__name__ == "PySECURITY_DESCRIPTOR":
        return bytes(memoryview(value))
    return value


@pytest.fixture
def running(service: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    """Windows' Server service runs, so that no server is this one."""
    from lanman import compat

    monkeypatch.delenv("LANMAN_HOME", raising=False)
    compat.logout()
    service.start()
    return service


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_same_as_pywin32(fake: Fake, running: Service, question: str) -> None:
    told = unsigned(QUESTIONS[question](ours))
    assert told == unsigned(QUESTIONS[question](win32net))
    assert told


# Of whom the table of services is: bob, the file of number 8, the share `data`; and how pywin32 asks for each.
TOLD: dict[str, tuple[Call, Call]] = {
    "session": (lambda m: m.session(r"\\10.0.0.1", "bob"), lambda api: api.NetSessionEnum(502, None, None, "bob")[0]),
    "file": (lambda m: m.file(8), call("NetFileGetInfo", 3, None, 8)),
    "share": (lambda m: m.share("data"), call("NetShareGetInfo", None, "data", 2)),
    "server": (lambda m: m.server_info(), call("NetServerGetInfo", None, 102)),
}


@pytest.mark.parametrize("kind", TOLD)
async def test_it_tells_what_the_table_of_services_says(fake: Fake, running: Service, kind: str) -> None:
    """docs/reference/services.md, with what pywin32 reads as the truth."""
    manager = WindowsManager(NetApi(this_netapi32()), this_system(), timeout=300, deadline=None)
    record, truth = await TOLD[kind][0](manager), unsigned(TOLD[kind][1](win32net))
    cells = table()["windows"]
    truth["path"] = truth.get("path_name", truth.get("path"))
    left_out = {name for name in FIELDS[kind].split() if name not in truth}
    assert left_out <= {"licenses"}  # pywin32 leaves it out
    for name in sorted(set(FIELDS[kind].split()) - left_out):
        value = getattr(record, name)
        # What the DLL has as NULL is nothing that was told.
        assert value is None if truth[name] is None else mark(value, truth[name]) == "yes", name
        assert value is None or cells[f"{kind}: {name}"] != "-", name


@pytest.mark.parametrize("pages", [1, 2, 3])
@pytest.mark.parametrize("question", ["sessions 502", "files 3"])
def test_the_same_as_pywin32_page_by_page(fake: Fake, running: Service, question: str, pages: int) -> None:
    whole = unsigned(QUESTIONS[question](win32net))
    fake.page(pages)
    assert unsigned(QUESTIONS[question](ours)) == whole == unsigned(QUESTIONS[question](win32net))


@pytest.mark.parametrize("question", REFUSALS)
def test_the_same_refusal_as_pywin32s(fake: Fake, running: Service, question: str) -> None:
    codes = []
    for api in (ours, win32net):
        with pytest.raises(api.error) as refused:
            REFUSALS[question](api)
        codes.append((refused.value.winerror, refused.value.funcname))
    assert codes[0] == codes[1]


def picture() -> list[Any]:
    """What the stranger sees."""
    return [unsigned(QUESTIONS[name](win32net)) for name in ("sessions 502", "files 3", "shares 2", "server 101")]


@pytest.mark.parametrize("order", ORDERS)
def test_the_same_done_as_by_pywin32(fake: Fake, running: Service, order: str) -> None:
    seen = []
    for api in (ours, win32net):
        ORDERS[order](api)
        seen.append(picture())
        fake.check()
        fake.reset()
    assert seen[0] == seen[1]
    assert seen[0] != picture()


# --- what pywin32 has not


def test_what_the_stranger_cannot_ask(fake: Fake) -> None:
    api = NetApi(this_netapi32())
    (one,) = api.answer(srvsvc.NetrConnectionEnum(None, "data", 1)).entries or []
    assert (one.id, one.user_name, one.net_name) == (1, "ann", "10.0.0.1")
    listed = api.answer(srvsvc.NetrConnectionEnum(None, r"\\10.0.0.1", 1)).entries or []
    assert [(each.id, each.net_name) for each in listed] == [(1, "data"), (0xFFFFFFFF, "IPC$")]
    clock = api.answer(srvsvc.NetrRemoteTOD(None)).info
    assert clock is not None
    assert (clock.elapsedt, clock.timezone, clock.weekday) == (1_700_000_000, -60, 6)
    transports = api.answer(srvsvc.NetrServerTransportEnum(None, 1)).entries or []
    assert [(each.number_of_vcs, each.address, each.domain) for each in transports] == [
        (2, b"PC" + b" " * 14, "EXAMPLE"),
        (0, b"PC" + b" " * 14, "EXAMPLE"),
    ]


# --- the Manager


def manager() -> WindowsManager:
    return WindowsManager(NetApi(this_netapi32()), this_system(), timeout=300, deadline=None)


@pytest.mark.parametrize("status", [124, 5])
@pytest.mark.parametrize(("refused", "level"), [((), 502), ((502,), 2), ((502, 2), 1), ((502, 2, 1), 10)])
async def test_a_level_that_is_refused(fake: Fake, refused: tuple[int, ...], level: int, status: int) -> None:
    for each in refused:
        fake.refuse("NetSessionEnum", each, status)
    sessions = await manager().sessions()
    assert sessions.level == level
    assert [each.user_name for each in sessions.entries] == ["ann", "", None, "b\u00fc", "bob"]
    assert sessions.entries[3].client_name == "\\\\pc\U0001f600\udc00"


@pytest.mark.parametrize("page", [0, 1, 2])
async def test_everything_in_pages(fake: Fake, page: int) -> None:
    fake.page(page)
    asked = manager()
    sessions, files, shares = await asked.sessions(), await asked.files(), await asked.shares()
    assert sessions.entries[1] == SessionInfo(r"\\10.0.0.2", "", 0, 60, 50, 1, None, "")
    assert files[0] == FileInfo(0x80000005, 0x23, 2, "C:\\data\\\U0001f600\udc00.txt", "ann")
    assert [each.netname for each in shares] == ["data", "IPC$", "C$", "\u00fcmlaut"]
    assert (await asked.statistics()).bytes_sent == 111 << 32 | 110
    assert (await asked.server_info()).comment == "its comment"


async def test_what_is_told_is_done_and_nothing_else(fake: Fake) -> None:
    asked = manager()
    (ann,) = [each for each in (await asked.sessions()).entries if each.user_name == "ann"]
    (result,) = await asked.close_sessions([ann])
    assert result.error is None
    assert [each.user_name for each in (await asked.sessions()).entries] == ["", None, "b\u00fc", "bob"]
    assert [line for line in fake.log() if line.startswith("NetSessionDel")] == [r"NetSessionDel \\10.0.0.1 ann"]


# --- memory

REQUESTS: list[Any] = [
    srvsvc.NetrSessionEnum(None, None, None, 502),
    srvsvc.NetrFileEnum(None, None, None, 3),
    srvsvc.NetrConnectionEnum(None, "data", 1),
    srvsvc.NetrShareEnum(None, 502),
    srvsvc.NetrShareEnumSticky(None, 1),
    srvsvc.NetrServerTransportEnum(None, 1),
    srvsvc.NetrFileGetInfo(None, 8, 3),
    srvsvc.NetrShareGetInfo(None, "data", 502),
    srvsvc.NetrServerGetInfo(None, 503),
    srvsvc.NetrServerStatisticsGet(None),
    srvsvc.NetrRemoteTOD(None),
    srvsvc.NetrShareAdd(None, 2, ShareInfo("new", 0, "", 0, 5, 0, "C:\\new", None)),
    srvsvc.NetrServerSetInfo(None, 1010, ServerInfo(disc=-1)),
    srvsvc.NetrSessionDel(None, r"\\10.0.0.1", "ann"),
    srvsvc.NetrFileClose(None, 6),
]


@given(
    failures=st.lists(
        st.tuples(st.integers(1, 6), st.sampled_from([5, 50, 87, 124, 234, 1722, 2114, 0xFFFFFFFF]), st.booleans()),
        max_size=6,
    ),
    asked=st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=10),
    page=st.integers(0, 3),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_random_failures_leave_no_memory(
    fake: Fake, failures: list[tuple[int, int, bool]], asked: list[Any], page: int
) -> None:
    fake.reset()
    fake.page(page)
    for n, status, with_buffer in failures:
        fake.fail("*", status, n=n, with_buffer=with_buffer)
    api = NetApi(this_netapi32())
    for request in asked:
        api.answer(request)
    fake.check()


def test_the_dll_finds_a_leak_and_a_block_that_is_freed_twice(fake: Fake) -> None:
    dll = fake.dll
    address = ctypes.c_void_p()
    dll.NetApiBufferAllocate(16, ctypes.byref(address))
    with pytest.raises(AssertionError):
        fake.check()
    assert dll.NetApiBufferFree(address) == 0
    fake.check()
    assert dll.NetApiBufferFree(address) != 0
    with pytest.raises(AssertionError):
        fake.check()
    fake.reset()


def test_reading_beyond_a_block_and_after_it_was_freed_is_a_violation(fake: Fake) -> None:
    address = ctypes.c_void_p()
    fake.dll.NetApiBufferAllocate(16, ctypes.byref(address))
    assert address.value is not None
    assert ctypes.string_at(address.value, 16) == b"\xdd" * 16
    with pytest.raises(OSError, match="access violation"):
        ctypes.string_at(address.value, 17)
    fake.dll.NetApiBufferFree(address)
    with pytest.raises(OSError, match="access violation"):
        ctypes.string_at(address.value, 1)
