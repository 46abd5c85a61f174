"""What is pywin32's own: arguments and their errors, shares, what its errors look like."""

from __future__ import annotations

import inspect
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from lanman import compat
from lanman.compat import win32net, win32netcon
from lanman.errors import Win32Error
from support.compat_peers import Peer, samba_peer
from support.smbd import Samba


@pytest.fixture
def server(windows: Peer) -> str:
    compat.login(windows.server, windows.admin, windows.password)
    return str(windows.server)


# --- arguments

BAD: list[tuple[Callable[..., Any], tuple[Any, ...], type[Exception], str]] = [
    (win32net.NetSessionEnum, (), TypeError, "argument"),
    (win32net.NetSessionEnum, (3,), ValueError, "Invalid level for NetSessionEnum"),
    (win32net.NetSessionEnum, ("10",), TypeError, "int"),
    (win32net.NetSessionEnum, (10.0,), TypeError, "int"),
    (win32net.NetSessionEnum, (1 << 32,), OverflowError, "32 bits"),
    (win32net.NetSessionEnum, (10, 7), TypeError, "server"),
    (win32net.NetSessionEnum, (10, b"fs1"), TypeError, "server"),
    (win32net.NetSessionEnum, (10, "fs1\0"), ValueError, "null"),
    (win32net.NetSessionEnum, (10, None, 7), TypeError, "client"),
    (win32net.NetSessionEnum, (10, None, None, 7), TypeError, "username"),
    (win32net.NetSessionGetInfo, (10, "fs1", None, "ann"), TypeError, "None is not a valid string"),
    (win32net.NetSessionGetInfo, (10, "fs1", "\\\\pc7", None), TypeError, "None is not a valid string"),
    (win32net.NetSessionGetInfo, (3, "fs1", "\\\\pc7", "ann"), ValueError, "Invalid level for NetSessionGetInfo"),
    (win32net.NetSessionDel, (7,), TypeError, "server"),
    (win32net.NetSessionDel, (None, 7), TypeError, "client"),
    (win32net.NetFileEnum, (1,), ValueError, "Invalid level for NetFileEnum"),
    (win32net.NetFileEnum, (3, None, 7), TypeError, "basepath"),
    (win32net.NetFileGetInfo, (1, None, 7), ValueError, "Invalid level for NetFileGetInfo"),
    (win32net.NetFileGetInfo, (3, None, "7"), TypeError, "fileid"),
    (win32net.NetFileClose, (None, None), TypeError, "fileid"),
    (win32net.NetFileClose, (None, 1 << 32), OverflowError, "32 bits"),
    (win32net.NetServerGetInfo, (None, 103), ValueError, "This information level is not supported"),
    (win32net.NetServerSetInfo, (None, 1010, {"disc": 7}), ValueError, "This information level is not supported"),
    (win32net.NetServerSetInfo, (None, 102, 7), TypeError, "must be a mapping"),
    (win32net.NetServerSetInfo, (None, 102, {"disc": "7"}), TypeError, "'disc' must be an integer"),
    (win32net.NetServerSetInfo, (None, 102, {"comment": 7}), TypeError, "comment"),
    (win32net.NetServerDiskEnum, (), TypeError, "argument"),
    (win32net.NetServerDiskEnum, (7,), TypeError, "server"),
    (win32net.NetStatisticsGet, (None, None), TypeError, "service"),
    (win32net.NetStatisticsGet, (None, "Spooler"), ValueError, "Invalid service name"),
    (win32net.NetShareEnum, (None, 503), ValueError, "This information level is not supported"),
    (win32net.NetShareEnum, (None, 1, "0"), TypeError, "resumeHandle"),
    (win32net.NetShareGetInfo, (None, None, 1), TypeError, "None is not a valid string"),
    (win32net.NetShareSetInfo, (None, "data", 1, [("remark", "")]), TypeError, "must be a mapping"),
    (win32net.NetShareAdd, (None, 2, {"netname": 7}), TypeError, "netname"),
    (win32net.NetShareAdd, (None, 502, {"security_descriptor": "O:BA"}), TypeError, "bytes"),
    (win32net.NetShareDel, (None, None), TypeError, "None is not a valid string"),
    (win32net.NetShareCheck, (None, None), TypeError, "None is not a valid string"),
]


@pytest.mark.parametrize(("function", "arguments", "kind", "words"), BAD)
def test_bad_arguments_never_reach_a_server(
    function: Callable[..., Any], arguments: tuple[Any, ...], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        function(*arguments)


@pytest.mark.parametrize("name", [name for name in win32net.__all__ if name.startswith("Net")])
def test_arguments_are_positional(name: str) -> None:
    parameters = inspect.signature(getattr(win32net, name)).parameters.values()
    assert {parameter.kind for parameter in parameters} == {inspect.Parameter.POSITIONAL_ONLY}


def test_level_comes_first_where_pywin32_has_it_first(server: str) -> None:
    assert win32net.NetSessionEnum(0, server)
    assert win32net.NetFileEnum(2, server)
    assert win32net.NetFileGetInfo(2, server, 1677721603)
    assert win32net.NetServerGetInfo(server, 100)
    assert win32net.NetShareGetInfo(server, "data", 0) == {"netname": "data"}


# --- errors


def test_an_error(server: str) -> None:
    with pytest.raises(win32net.error) as raised:
        win32net.NetFileClose(server, 7)
    error = raised.value
    assert (error.winerror, error.funcname, error.strerror) == error.args
    assert str(error) == "(2314, 'NetFileClose', 'There is not an open file with that identification number.')"
    again = pickle.loads(pickle.dumps(error))
    assert (again.args, again.winerror) == (error.args, 2314)


def test_an_error_without_a_text(windows: Peer, server: str) -> None:
    from lanman.rpc.srvsvc import NetrShareDel

    windows.peer.script.statuses[NetrShareDel] = 2999
    with pytest.raises(win32net.error) as raised:
        win32net.NetShareDel(server, "data")
    assert raised.value.args == (2999, "NetShareDel", "No error message is available")


def test_a_cause_says_more() -> None:
    with pytest.raises(win32net.error) as raised:
        win32net.NetServerGetInfo("\\\\a b", 100)
    assert isinstance(raised.value.__cause__, Win32Error)
    assert raised.value.winerror == 2351


def test_what_a_workstation_counted() -> None:
    with pytest.raises(win32net.error) as raised:
        win32net.NetStatisticsGet(None, win32net.SERVICE_WORKSTATION)
    assert raised.value.winerror == 50


# --- files


def test_files_by_client(windows: Peer, server: str) -> None:
    windows.peer.windows.file_clients[0x80000005] = r"\\10.0.0.7"
    assert [entry["id"] for entry in win32net.NetFileEnum(3, server, None, r"\\10.0.0.7")] == [0x80000005]
    below = win32net.NetFileEnum(3, server, "C:\\data\\2019")
    assert [entry["path_name"] for entry in below] == [r"C:\data\2019\budget.xlsx"]


# --- changing settings


def test_what_a_mapping_lacks_is_nothing(windows: Peer, server: str) -> None:
    windows.peer.windows.info.comment = "before"
    win32net.NetServerSetInfo(server, 102, MappingProxyType({"disc": 30, "users": -1, "unknown": object()}))
    info = windows.peer.windows.info
    assert (info.disc, info.users, info.comment) == (30, 0xFFFFFFFF, None)


# --- shares


def test_a_share_comes_changes_and_goes(server: str) -> None:
    new = {"netname": "new", "type": win32netcon.STYPE_DISKTREE, "remark": "fresh", "max_uses": -1, "path": "C:\\new"}
    win32net.NetShareAdd(server, 2, new)
    found = win32net.NetShareGetInfo(server, "new", 2)
    assert found == new | {"max_uses": 0xFFFFFFFF, "permissions": 0, "current_uses": 0, "passwd": None}
    assert win32net.NetShareCheck(server, "C:\\new") == (1, 0)
    win32net.NetShareSetInfo(server, "new", 1, {"netname": "new", "type": 0, "remark": "stale"})
    assert win32net.NetShareGetInfo(server, "new", 1)["remark"] == "stale"
    with pytest.raises(win32net.error) as raised:
        win32net.NetShareAdd(server, 2, new)
    assert raised.value.args[:2] == (2118, "NetShareAdd")
    win32net.NetShareDel(server, "new")
    for call in (
        lambda: win32net.NetShareDel(server, "new"),
        lambda: win32net.NetShareSetInfo(server, "new", 1, {"remark": ""}),
        lambda: win32net.NetShareGetInfo(server, "new", 1),
    ):
        with pytest.raises(win32net.error) as raised:
            call()
        assert raised.value.winerror == 2310
    assert win32net.NetShareCheck(server, "C:\\new") == (0, None)


def test_a_share_with_a_descriptor(server: str) -> None:
    descriptor = b"\x01\x00\x04\x80" + bytes(16)
    win32net.NetShareAdd(
        server, 502, {"netname": "new", "path": "C:\\new", "reserved": 0, "security_descriptor": descriptor}
    )
    found = win32net.NetShareGetInfo(server, "new", 502)
    assert (found["security_descriptor"], found["reserved"]) == (descriptor, 0)


def code_of(call: Callable[..., object], *arguments: object) -> int:
    """0, or the code of the error."""
    try:
        call(*arguments)
    except win32net.error as error:
        return error.winerror
    return 0


@pytest.mark.parametrize("place", ["this machine", "network"])
def test_shares_of_our_server(ours: Peer, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is at the machine shares any folder; over the network it has to be within the roots that are configured."""
    compat.login(ours.server, ours.admin, ours.password)
    monkeypatch.setenv("LANMAN_HOME", str(ours.home))
    server = ours.server if place == "network" else None
    path = "C:" + str(tmp_path).replace("/", "\\")
    new = {"netname": "new", "type": 0, "remark": "fresh", "max_uses": -1, "path": path}
    added = code_of(win32net.NetShareAdd, server, 2, new)
    assert added == (0 if place == "this machine" else 5)
    if added == 0:
        assert win32net.NetShareCheck(server, path) == (1, 0)
        win32net.NetShareSetInfo(server, "new", 1, {"netname": "new", "type": 0, "remark": "stale"})
        assert win32net.NetShareGetInfo(server, "new", 2)["remark"] == "stale"
        win32net.NetShareDel(server, "new")
    assert win32net.NetShareCheck(server, path) == (0, None)
    assert code_of(win32net.NetShareSetInfo, server, "new", 1, {"remark": ""}) == 2310
    assert code_of(win32net.NetShareDel, server, "new") == 2310


SCRIPT = """\
#!{python}
import re, sys
verb, (conf, name, *rest) = {verb!r}, sys.argv[1:]
text = open(conf).read()
if verb != "add":
    text = re.sub(rf"\\[{{re.escape(name)}}\\]\\n(?:.+\\n)*", "", text)
if verb != "delete":
    text += f"\\n[{{name}}]\\npath = {{rest[0]}}\\ncomment = {{rest[1]}}\\n"
open(conf, "w").write(text)
"""


@pytest.mark.samba
@pytest.mark.root
def test_shares_of_samba(start_samba: Callable[..., Samba], tmp_path: Path) -> None:
    options = {}
    for verb in ("add", "change", "delete"):
        script = tmp_path / f"{verb}.py"
        script.write_text(SCRIPT.format(python=sys.executable, verb=verb))
        script.chmod(0o755)
        options[f"{verb} share command"] = str(script)
    samba = start_samba(options)
    (folder := samba.directory / "new").mkdir()
    peer = samba_peer(samba)
    compat.login(peer.server, peer.admin, peer.password)
    path = "C:" + str(folder).replace("/", "\\")
    win32net.NetShareAdd(peer.server, 2, {"netname": "new", "type": 0, "remark": "fresh", "max_uses": -1, "path": path})
    # Listing makes an smbd process read its configuration again; asking for one share does not.
    (found,) = [one for one in win32net.NetShareEnum(peer.server, 2)[0] if one["netname"] == "new"]
    assert (found["remark"], found["path"]) == ("fresh", path)
    win32net.NetShareSetInfo(peer.server, "new", 2, found | {"remark": "stale"})
    assert ("new", 0, "stale") in win32net.NetShareEnum(peer.server)
    win32net.NetShareDel(peer.server, "new")
    assert "new" not in [name for name, _, _ in win32net.NetShareEnum(peer.server)]
