"""The scripted Windows says what its script has, told by impacket and by plain requests."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lanman import codes
from lanman.rpc.srvsvc import (
    NetrConnectionEnum,
    NetrFileClose,
    NetrFileEnum,
    NetrFileGetInfo,
    NetrRemoteTOD,
    NetrServerGetInfo,
    NetrServerStatisticsGet,
    NetrServerTransportEnum,
    NetrSessionDel,
    NetrSessionEnum,
    NetrShareEnum,
    NetrShareGetInfo,
)
from lanman.smb2.constants import Dialect
from support.scripted_windows import Caller, Fault, Script, ScriptedWindows, Windows, windows_2019, windows_2025
from support.smbd import Account, Tools

ADMIN = Caller("admin", r"\\127.0.0.1", 1)
ANN = Caller("ann", r"\\127.0.0.1", 2)
BOB = Caller("bob", r"\\127.0.0.1", 3)


@pytest.fixture
def script() -> Script:
    return Script(windows_2019())


# --- the script -------------------------------------------------------------------------------------------------------


def test_resume_handle_is_left_on_success(script: Script) -> None:
    answer = script.answer(NetrSessionEnum(None, None, None, 502), ADMIN)
    assert (answer.status, answer.resume_handle, len(answer.entries), answer.total_entries) == (0, 7, 6, 6)


def test_pages_follow_one_another(script: Script) -> None:
    script.windows.page = 4
    first = script.answer(NetrSessionEnum(None, None, None, 10), ADMIN)
    assert (first.status, first.resume_handle, first.total_entries) == (codes.ERROR_MORE_DATA, 4, 6)
    second = script.answer(NetrSessionEnum(None, None, None, 10, resume_handle=4), ADMIN)
    assert (second.status, second.resume_handle, second.total_entries) == (0, 7, 2)
    assert first.entries + second.entries == script.windows.sessions


def test_preferred_length_is_kept_in_whole_entries(script: Script) -> None:
    answer = script.answer(NetrSessionEnum(None, None, None, 0, prefered_maximum_length=60), ADMIN)
    assert (answer.status, len(answer.entries)) == (codes.ERROR_MORE_DATA, 2)
    none = script.answer(NetrSessionEnum(None, None, None, 0, prefered_maximum_length=1), ADMIN)
    assert (none.status, none.entries) == (codes.ERROR_MORE_DATA, [])


@pytest.mark.parametrize(
    ("client", "user", "status", "count"),
    [
        (r"\\10.0.0.7", None, 0, 2),
        (r"\\10.0.0.7", "ANN", 0, 1),
        (r"\\[FE80::7]", "", 0, 1),
        (None, "ann", 0, 2),
        ("10.0.0.7", None, codes.NERR_InvalidComputer, 0),
        (r"\\10.0.0.8", None, codes.NERR_ClientNameNotFound, 0),
        (r"\\10.0.0.7", "nobody", codes.NERR_UserNotFound, 0),
    ],
)
def test_filters(script: Script, client: str | None, user: str | None, status: int, count: int) -> None:
    answer = script.answer(NetrSessionEnum(None, client, user, 1), ADMIN)
    assert (answer.status, len(answer.entries or [])) == (status, count)


@pytest.mark.parametrize(
    ("client", "user", "status", "ended"),
    [
        (r"\\10.0.0.7", None, 0, 2),
        (None, "ann", 0, 2),
        (r"\\10.0.0.7", "bob", 0, 1),
        ("10.0.0.7", None, codes.NERR_ClientNameNotFound, 0),
        (None, "nobody", codes.NERR_ClientNameNotFound, 0),
        (None, None, codes.ERROR_INVALID_PARAMETER, 0),
    ],
)
def test_deletion(script: Script, client: str | None, user: str | None, status: int, ended: int) -> None:
    assert script.answer(NetrSessionDel(None, client, user), ADMIN).status == status
    assert len(script.ended) == ended
    assert len(script.windows.sessions) == 6 - ended


def test_callers_are_listed_and_ended_when_asked_for(script: Script) -> None:
    script.windows.list_callers = True
    script.callers = {1: ADMIN, 2: ANN}
    assert len(script.answer(NetrSessionEnum(None, None, None, 0), ADMIN).entries) == 8
    assert script.answer(NetrSessionDel(None, r"\\127.0.0.1", "ann"), ADMIN).status == 0
    assert script.gone == [2]


@pytest.mark.parametrize(
    ("request_", "allowed"),
    [
        (NetrSessionEnum(None, None, None, 0), "admin ann"),
        (NetrSessionEnum(None, None, None, 10), "admin ann"),
        (NetrSessionEnum(None, None, None, 1), "admin"),
        (NetrSessionEnum(None, None, None, 502), "admin"),
        (NetrSessionDel(None, None, "Guest"), "admin"),
        (NetrFileEnum(None, None, None, 3), "admin"),
        (NetrConnectionEnum(None, "data", 1), "admin"),
        (NetrServerGetInfo(None, 101), "admin ann bob"),
        (NetrServerGetInfo(None, 102), "admin"),
        (NetrShareEnum(None, 1), "admin ann bob"),
        (NetrShareEnum(None, 2), "admin"),
        (NetrRemoteTOD(None), "admin ann bob"),
        (NetrServerStatisticsGet(None), "admin"),
    ],
)
def test_rights(script: Script, request_: Any, allowed: str) -> None:
    granted = [who.user_name for who in (ADMIN, ANN, BOB) if not script.answer(request_, who).status]
    assert granted == allowed.split()


@pytest.mark.parametrize(
    "call",
    [
        *(NetrSessionEnum(None, None, None, level) for level in (0, 1, 2, 10, 502)),
        *(NetrFileEnum(None, None, None, level) for level in (2, 3)),
        *(NetrConnectionEnum(None, qualifier, level) for level in (0, 1) for qualifier in ("data", r"\\10.0.0.7")),
        *(NetrShareEnum(None, level) for level in (0, 1, 2, 501, 502, 503)),
        *(NetrShareGetInfo(None, "DATA", level) for level in (0, 1, 2, 501, 502, 503, 1005)),
        *(NetrServerGetInfo(None, level) for level in (100, 101, 102, 103, 502, 503)),
        *(NetrServerTransportEnum(None, level) for level in (0, 1, 2)),
        NetrFileGetInfo(None, 0xFFFFFFF0, 3),
        NetrServerStatisticsGet(None),
        NetrRemoteTOD(None),
    ],
    ids=repr,
)
@pytest.mark.parametrize("ndr64", [False, True])
def test_every_level_can_be_sent(script: Script, call: Any, ndr64: bool) -> None:
    answer = script.answer(call, ADMIN)
    assert answer.status == 0
    received = type(answer).unpack(answer.pack(ndr64), ndr64)
    assert received.status == 0
    for name in ("entries", "info"):
        if hasattr(received, name):
            assert getattr(received, name)


def test_files_by_path_user_and_client(script: Script) -> None:
    def ids(base: str | None, user: str | None) -> list[int]:
        return [file.id for file in script.answer(NetrFileEnum(None, base, user, 2), ADMIN).entries]

    script.windows.file_clients = {1677721603: r"\\10.0.0.7"}
    assert len(ids(None, None)) == 4
    assert ids(r"c:\data\2019", None) == [0x80000005]
    assert ids(r"c:\dat", None) == []
    assert ids(None, "guest") == [0xFFFFFFF0]
    assert ids(None, r"\\10.0.0.7") == [1677721603]


def test_file_is_closed_once(script: Script) -> None:
    assert script.answer(NetrFileClose(None, 0x80000005), ADMIN).status == 0
    assert script.answer(NetrFileClose(None, 0x80000005), ADMIN).status == codes.NERR_FileIdNotFound
    assert script.answer(NetrFileGetInfo(None, 0x80000005, 3), ADMIN).status == codes.ERROR_FILE_NOT_FOUND
    assert [file.id for file in script.closed] == [0x80000005]


def test_scripted_fault(script: Script) -> None:
    script.windows.faults[NetrSessionEnum, 502] = 0x1C000006
    with pytest.raises(Fault):
        script.answer(NetrSessionEnum(None, None, None, 502), ADMIN)
    assert script.answer(NetrSessionEnum(None, None, None, 2), ADMIN).status == 0


# --- on the wire, to impacket -----------------------------------------------------------------------------------------


@pytest.fixture
def windows() -> Windows:
    return windows_2019()


@pytest.fixture
def server(windows: Windows) -> Iterator[ScriptedWindows]:
    with ScriptedWindows(windows).running() as server:
        yield server


def test_impacket_lists_and_ends(server: ScriptedWindows) -> None:
    srvs = pytest.importorskip("impacket.dcerpc.v5.srvs")
    transport = pytest.importorskip("impacket.dcerpc.v5.transport")
    binding = transport.SMBTransport(
        server.host, server.port, r"\srvsvc", username="admin", password=server.password, remote_host=server.host
    )
    pipe = binding.get_dce_rpc()
    pipe.connect()
    pipe.bind(srvs.MSRPC_UUID_SRVS)
    answer = srvs.hNetrSessionEnum(pipe, "\0", "\0", 502)
    entries = answer["InfoStruct"]["SessionInfo"]["Level502"]["Buffer"]
    assert [entry["sesi502_username"].rstrip("\0") for entry in entries] == ["ann", "bob", "ann", "PC9$", "", "Guest"]
    assert answer["ResumeHandle"] == 7
    srvs.hNetrSessionDel(pipe, "\\\\10.0.0.7\0", "bob\0")
    assert [session.user_name for session in server.ended] == ["bob"]
    with pytest.raises(srvs.DCERPCSessionError) as refusal:
        srvs.hNetrSessionDel(pipe, "10.0.0.7\0", "\0")
    assert refusal.value.get_error_code() == codes.NERR_ClientNameNotFound
    pipe.disconnect()


@pytest.mark.parametrize("make", [windows_2019, windows_2025])
@pytest.mark.parametrize(
    "setting",
    [{}, {"encryption": "required"}, {"dialects": (Dialect.SMB_2_0_2,)}, {"asynchronous": True}],
    ids=str,
)
async def test_samba_reads_it(
    make: Callable[[], Windows], setting: dict[str, Any], samba_tools: Callable[..., Tools]
) -> None:
    async with ScriptedWindows(dataclasses.replace(make(), **setting)) as server:
        tools = samba_tools(server.port)
        account = Account("admin", server.password)
        said = await asyncio.to_thread(tools.rpcclient, account, "netsessenum", "netfileenum", "netremotetod")
        assert "Received 6 entries" in said
        assert r"C:\data\2019\budget.xlsx" in said
        assert server.complaints == []


async def test_samba_is_refused(windows: Windows, samba_tools: Callable[..., Tools]) -> None:
    async with ScriptedWindows(windows) as server:
        tools = samba_tools(server.port)
        said = await asyncio.to_thread(tools.rpcclient, Account("bob", server.password), "netsessenum")
        assert "WERR_ACCESS_DENIED" in said
        windows.logon_status = codes.STATUS_PASSWORD_EXPIRED
        said = await asyncio.to_thread(tools.rpcclient, Account("admin", server.password), "netsessenum")
        assert "NT_STATUS_PASSWORD_EXPIRED" in said
        windows.logon_status, windows.ipc = 0, False
        said = await asyncio.to_thread(tools.rpcclient, Account("admin", server.password), "netsessenum")
        assert "NT_STATUS_BAD_NETWORK_NAME" in said
