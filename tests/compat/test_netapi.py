"""What is C's own: names of members, arguments, ParmError."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from typing import Any

import pytest

from lanman import compat
from lanman.compat import _structures, netapi
from lanman.records import ServerInfo
from lanman.rpc import srvsvc as rpc
from lanman.rpc.srvsvc import NetrServerSetInfo, NetrServerSetInfoResponse
from support.compat_peers import Peer

# lmshare.h, in its order.
MEMBERS = {
    "SESSION_INFO_0": "cname",
    "SESSION_INFO_1": "cname username num_opens time idle_time user_flags",
    "SESSION_INFO_2": "cname username num_opens time idle_time user_flags cltype_name",
    "SESSION_INFO_10": "cname username time idle_time",
    "SESSION_INFO_502": "cname username num_opens time idle_time user_flags cltype_name transport",
    "FILE_INFO_2": "id",
    "FILE_INFO_3": "id permissions num_locks pathname username",
    "CONNECTION_INFO_0": "id",
    "CONNECTION_INFO_1": "id type num_opens num_users time username netname",
    "SERVER_INFO_100": "platform_id name",
    "SERVER_INFO_101": "platform_id name version_major version_minor type comment",
    "SERVER_INFO_102": "platform_id name version_major version_minor type comment users disc hidden announce anndelta "
    "licenses userpath",
    "SERVER_INFO_1005": "comment",
    "SERVER_INFO_1010": "disc",
    "SERVER_INFO_1016": "hidden",
    "SERVER_INFO_1017": "announce",
    "SERVER_INFO_1018": "anndelta",
    "SERVER_INFO_1107": "users",
}
PREFIXES = {"SESSION": "sesi", "FILE": "fi", "CONNECTION": "coni", "SERVER": "sv"}
LEVELS = {
    "SESSION": rpc.SESSION_INFO,
    "FILE": rpc.FILE_INFO,
    "CONNECTION": rpc.CONNECTION_INFO,
    "SERVER": rpc.SERVER_INFO,
}


@pytest.mark.parametrize("name", MEMBERS)
def test_members_have_their_names_in_c(name: str) -> None:
    family, _, level = name.partition("_INFO_")
    names = [field.name for field in dataclasses.fields(getattr(netapi, name))]
    assert names == [f"{PREFIXES[family]}{level}_{member}" for member in MEMBERS[name].split()]


@pytest.mark.parametrize("name", [name for name in netapi.__all__ if "_INFO_" in name])
def test_structures_are_filled_by_position(name: str) -> None:
    family, _, level = name.partition("_INFO_")
    levels: Any = LEVELS[family]
    members = levels.table[int(level)].split()
    record = levels.record(**{member: f"the {member}" for member in members})
    structure = _structures.structure(getattr(netapi, name), levels, int(level), record)
    assert dataclasses.astuple(structure) == tuple(f"the {member}" for member in members)
    assert _structures.record(levels, int(level), structure) == record
    assert len(dataclasses.fields(structure)) == len(members)


BAD: list[tuple[Callable[..., Any], tuple[Any, ...], type[Exception]]] = [
    (netapi.NetSessionEnum, (7, None, None, 10), TypeError),
    (netapi.NetSessionEnum, (None, None, None, "10"), TypeError),
    (netapi.NetSessionEnum, (None, None, None, 10, None), TypeError),
    (netapi.NetSessionEnum, (None, None, None, 10, 1 << 40), OverflowError),
    (netapi.NetSessionEnum, (None, "a\0b", None, 10), ValueError),
    (netapi.NetSessionGetInfo, (None, 7, None, 10), TypeError),
    (netapi.NetSessionDel, (None, None, 7), TypeError),
    (netapi.NetFileEnum, (None, 7, None, 3), TypeError),
    (netapi.NetFileGetInfo, (None, None, 3), TypeError),
    (netapi.NetFileClose, (None, "7"), TypeError),
    (netapi.NetConnectionEnum, (None, 7, 1), TypeError),
    (netapi.NetServerGetInfo, (7, 100), TypeError),
    (netapi.NetServerSetInfo, (None, 1010, 7), TypeError),
    (netapi.NetServerSetInfo, (None, 1010, netapi.SERVER_INFO_1005("x")), TypeError),
]


@pytest.mark.parametrize(("function", "arguments", "kind"), BAD)
def test_what_c_would_not_compile(
    function: Callable[..., Any], arguments: tuple[Any, ...], kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        function(*arguments)


def test_maximum_length_in_both_spellings(windows: Peer) -> None:
    compat.login(windows.server, windows.admin, windows.password)
    assert netapi.NetSessionEnum(windows.server, None, None, 0, -1) == netapi.NetSessionEnum(
        windows.server, None, None, 0, netapi.MAX_PREFERRED_LENGTH
    )


def test_the_member_that_is_wrong(ours: Peer) -> None:
    compat.login(ours.server, ours.admin, ours.password)
    # 2.2.2.12: SV_DISC_PARMNUM is 10.
    assert netapi.NetServerSetInfo(ours.server, 1010, netapi.SERVER_INFO_1010(-7)) == (87, 10)
    assert netapi.NetServerSetInfo(ours.server, 1010, netapi.SERVER_INFO_1010(15)) == (0, 0)


@pytest.mark.parametrize("never", [netapi.SV_NODISC, 0xFFFFFFFF])
def test_never_in_both_spellings(windows: Peer, never: int) -> None:
    compat.login(windows.server, windows.admin, windows.password)
    assert netapi.NetServerSetInfo(windows.server, 1010, netapi.SERVER_INFO_1010(never)) == (0, 0)
    assert windows.peer.windows.info.disc == -1


def test_a_whole_structure(windows: Peer) -> None:
    compat.login(windows.server, windows.admin, windows.password)
    status, info = netapi.NetServerGetInfo(windows.server, 102)
    assert status == 0
    assert info is not None
    info.sv102_comment, info.sv102_hidden = "Filer", 1
    assert netapi.NetServerSetInfo(windows.server, 102, info) == (0, 0)
    assert netapi.NetServerGetInfo(windows.server, 102) == (0, info)
    assert windows.peer.windows.info.hidden is True


def test_parm_error_comes_from_the_server(windows: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    compat.login(windows.server, windows.admin, windows.password)

    def refuse(request: NetrServerSetInfo, caller: object) -> NetrServerSetInfoResponse:
        assert isinstance(request.info, ServerInfo)
        return NetrServerSetInfoResponse(5, 87)

    monkeypatch.setattr(windows.peer.script, "_NetrServerSetInfo", refuse)
    assert netapi.NetServerSetInfo(windows.server, 1005, netapi.SERVER_INFO_1005("x" * 300)) == (87, 5)


def test_why_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "lanman.compat"):
        assert netapi.NetSessionDel("\\\\a b", "\\\\pc7", None) == netapi.NERR_InvalidComputer
    assert "a b" in caplog.text


@pytest.mark.parametrize("buffer", [None, [], netapi.SESSION_INFO_0(), object()])
def test_buffers_are_forgotten(buffer: object) -> None:
    assert netapi.NetApiBufferFree(buffer) == netapi.NERR_Success
