"""Every function against our own Server, a real smbd and a scripted Windows: the same call, the same shape.

Where a peer differs, the difference stands in the test, and in docs/compat.md.
"""

from __future__ import annotations

from typing import Any

import pytest

from lanman.compat import adsi, netapi, win32_net_session, win32net
from support.compat_peers import ALL_LEVELS, Peer

UNSIGNED = range(1 << 32)

SESSION_KEYS: dict[int, dict[str, type]] = {
    0: {"client_name": str},
    1: {
        "client_name": str,
        "user_name": str,
        "num_opens": int,
        "active_time": int,
        "idle_time": int,
        "user_flags": int,
    },
    10: {"client_name": str, "user_name": str, "active_time": int, "idle_time": int},
}
SESSION_KEYS[2] = SESSION_KEYS[1] | {"client_type": str}
SESSION_KEYS[502] = SESSION_KEYS[2] | {"transport": str}


def shape(dictionary: dict[str, Any]) -> dict[str, type]:
    assert all(value in UNSIGNED for value in dictionary.values() if type(value) is int)
    return {key: type(value) for key, value in dictionary.items()}


# --- win32net: sessions


@pytest.mark.parametrize("level", sorted(ALL_LEVELS))
def test_net_session_enum(peer: Peer, level: int) -> None:
    with peer.somebody():
        if level not in peer.levels:
            with pytest.raises(win32net.error) as raised:
                win32net.NetSessionEnum(level, peer.server)
            assert raised.value.args == (124, "NetSessionEnum", "The system call level is not correct.")
            return
        listed = win32net.NetSessionEnum(level, peer.server)
        assert isinstance(listed, list)
        assert len(listed) >= 2
        for entry in listed:
            assert shape(entry) == SESSION_KEYS[level]
            assert list(entry) == list(SESSION_KEYS[level])
        if level:
            assert peer.user in [entry["user_name"] for entry in listed]


def test_net_session_enum_filters(peer: Peer) -> None:
    with peer.somebody():
        mine = win32net.NetSessionEnum(1, peer.server, r"\\127.0.0.1", peer.user)
        assert [(entry["client_name"], entry["user_name"]) for entry in mine] == [(peer.client, peer.user)]
        # Level 0 has no users to see, and is filtered by them all the same.
        only_name = win32net.NetSessionEnum(0, peer.server, r"\\127.0.0.1", peer.user)
        assert only_name == [{"client_name": peer.client}]
        # An empty string is no filter.
        assert len(win32net.NetSessionEnum(1, peer.server, "", "")) == len(win32net.NetSessionEnum(1, peer.server))
        for client, user, code in [
            (r"\\nowhere", None, 2312),
            (r"\\127.0.0.1", "nobody-there", 2221),
            (None, "nobody-there", 2221),
        ]:
            with pytest.raises(win32net.error) as raised:
                win32net.NetSessionEnum(1, peer.server, client, user)
            assert (raised.value.winerror, raised.value.funcname) == (code, "NetSessionEnum")


@pytest.mark.parametrize("level", sorted(ALL_LEVELS))
def test_net_session_get_info(peer: Peer, level: int) -> None:
    with peer.somebody():
        if level not in peer.levels:
            with pytest.raises(win32net.error) as raised:
                win32net.NetSessionGetInfo(level, peer.server, r"\\127.0.0.1", peer.user)
            assert raised.value.args[:2] == (124, "NetSessionGetInfo")
            return
        found = win32net.NetSessionGetInfo(level, peer.server, r"\\127.0.0.1", peer.user)
        assert shape(found) == SESSION_KEYS[level]
        assert found["client_name"] == peer.client
        with pytest.raises(win32net.error) as raised:
            win32net.NetSessionGetInfo(level, peer.server, r"\\nowhere", peer.user)
        assert raised.value.args == (
            2312,
            "NetSessionGetInfo",
            "A session does not exist with that computer name.",
        )


@pytest.mark.parametrize("named", ["both", "client", "user"])
def test_net_session_del(peer: Peer, named: str) -> None:
    with peer.somebody():
        before = [entry["user_name"] for entry in win32net.NetSessionEnum(1, peer.server)]
        assert peer.user in before
        client = r"\\127.0.0.1" if named != "user" else None
        user = peer.user if named != "client" else None
        assert win32net.NetSessionDel(peer.server, client, user) is None  # type: ignore[func-returns-value]
        left = win32net.NetSessionEnum(1, peer.server)
        # Of this client are left only those who ask, who may have had to log on again for it.
        left_here = [entry["user_name"] for entry in left if entry["client_name"] == peer.client]
        assert left_here == [peer.admin]
    with pytest.raises(win32net.error) as raised:
        win32net.NetSessionDel(peer.server, r"\\nowhere", peer.user)
    assert (raised.value.winerror, raised.value.funcname) == (2312, "NetSessionDel")
    for nothing in [(), (None, None), ("", "")]:
        with pytest.raises(win32net.error) as raised:
            win32net.NetSessionDel(peer.server, *nothing)
        assert raised.value.args == (87, "NetSessionDel", "The parameter is incorrect.")


# --- win32net: files

FILE_KEYS: dict[int, dict[str, type]] = {
    2: {"id": int},
    3: {"id": int, "permissions": int, "num_locks": int, "path_name": str, "user_name": str},
}


@pytest.mark.parametrize("level", [2, 3])
def test_net_file_enum(peer: Peer, level: int) -> None:
    with peer.files():
        if peer.kind == "samba" and level == 2:
            with pytest.raises(win32net.error) as raised:
                win32net.NetFileEnum(2, peer.server)
            assert raised.value.args[:2] == (124, "NetFileEnum")
            return
        listed = win32net.NetFileEnum(level, peer.server)
        assert listed
        for entry in listed:
            assert shape(entry) == FILE_KEYS[level]


def test_net_file_enum_filters(peer: Peer) -> None:
    with peer.files():
        listed = win32net.NetFileEnum(3, peer.server)
        chosen = listed[0]
        path, user = chosen["path_name"], chosen["user_name"]
        assert chosen in win32net.NetFileEnum(3, peer.server, path)
        assert chosen in win32net.NetFileEnum(3, peer.server, path, user)
        assert chosen in win32net.NetFileEnum(3, peer.server, "", "")
        assert win32net.NetFileEnum(3, peer.server, "C:\\nothing\\below") == []
        assert win32net.NetFileEnum(3, peer.server, path[:-1]) == []
        assert win32net.NetFileEnum(3, peer.server, None, "nobody-there") == []


@pytest.mark.parametrize("level", [2, 3])
def test_net_file_get_info_and_close(peer: Peer, level: int) -> None:
    with peer.files():
        chosen = win32net.NetFileEnum(3, peer.server)[0]
        found = win32net.NetFileGetInfo(level, peer.server, chosen["id"])
        assert found == {key: chosen[key] for key in FILE_KEYS[level]}
        # A script that was handed a negative number by pywin32 means the same file.
        signed = chosen["id"] - (1 << 32) if chosen["id"] >> 31 else chosen["id"]
        assert win32net.NetFileClose(peer.server, signed) is None  # type: ignore[func-returns-value]
        assert chosen["id"] not in [entry["id"] for entry in win32net.NetFileEnum(3, peer.server)]
        with pytest.raises(win32net.error) as raised:
            win32net.NetFileGetInfo(level, peer.server, chosen["id"])
        assert raised.value.args[:2] == (2, "NetFileGetInfo")
        with pytest.raises(win32net.error) as raised:
            win32net.NetFileClose(peer.server, chosen["id"])
        assert raised.value.args[:2] == (2314, "NetFileClose")


# --- win32net: the server

SERVER_KEYS: dict[int, dict[str, type]] = {100: {"platform_id": int, "name": str}}
SERVER_KEYS[101] = SERVER_KEYS[100] | {"version_major": int, "version_minor": int, "type": int, "comment": str}
SERVER_KEYS[102] = SERVER_KEYS[101] | {
    "users": int,
    "disc": int,
    "hidden": bool,
    "announce": int,
    "anndelta": int,
    "userpath": str,
}


@pytest.mark.parametrize("level", [100, 101, 102])
def test_net_server_get_info(peer: Peer, level: int) -> None:
    info = win32net.NetServerGetInfo(peer.server, level)
    assert shape(info) == SERVER_KEYS[level]
    assert info["platform_id"] == 500


@pytest.mark.parametrize(("level", "count"), [(502, 17), (503, 33)])
def test_net_server_get_info_of_the_engine(peer: Peer, level: int, count: int) -> None:
    if peer.kind == "samba":
        with pytest.raises(win32net.error) as raised:
            win32net.NetServerGetInfo(peer.server, level)
        assert raised.value.args[:2] == (124, "NetServerGetInfo")
        return
    info = win32net.NetServerGetInfo(peer.server, level)
    assert len(info) == count
    assert type(info["sessopens"]) is int
    assert type(info["lmannounce"]) is bool
    assert "enablesoftcompat" not in info


@pytest.mark.parametrize("level", [402, 403])
def test_levels_that_only_lan_manager_had(peer: Peer, level: int) -> None:
    with pytest.raises(win32net.error) as raised:
        win32net.NetServerGetInfo(peer.server, level)
    assert raised.value.args[:2] == (124, "NetServerGetInfo")


def test_net_server_set_info(peer: Peer) -> None:
    info = win32net.NetServerGetInfo(peer.server, 102)
    changed = info | {"comment": "Filer of the house", "disc": 7}
    if peer.kind == "samba":
        # It says yes and does nothing; here it says so.
        with pytest.raises(win32net.error) as raised:
            win32net.NetServerSetInfo(peer.server, 102, changed)
        assert raised.value.args[:2] == (50, "NetServerSetInfo")
        assert win32net.NetServerSetInfo(peer.server, 102, info) is None  # type: ignore[func-returns-value]
        return
    assert win32net.NetServerSetInfo(peer.server, 102, changed) is None  # type: ignore[func-returns-value]
    assert win32net.NetServerGetInfo(peer.server, 102) == changed
    win32net.NetServerSetInfo(peer.server, 102, info | {"disc": -1})
    assert win32net.NetServerGetInfo(peer.server, 102)["disc"] == -1
    win32net.NetServerSetInfo(peer.server, 102, info)


def test_net_server_disk_enum(peer: Peer) -> None:
    disks = win32net.NetServerDiskEnum(peer.server)
    assert disks == (("C:", "D:") if peer.kind == "windows" else ("C:",))


STATISTICS = (
    "start fopens devopens jobsqueued sopens stimedout serrorout pwerrors permerrors syserrors bytessent_low "
    "bytessent_high bytesrcvd_low bytesrcvd_high avresponse reqbufneed bigbufneed"
)


def test_net_statistics_get(peer: Peer) -> None:
    if peer.kind == "samba":
        with pytest.raises(win32net.error) as raised:
            win32net.NetStatisticsGet(peer.server, win32net.SERVICE_SERVER)
        assert raised.value.args == (1745, "NetStatisticsGet", "The procedure number is out of range.")
        return
    counted = win32net.NetStatisticsGet(peer.server, win32net.SERVICE_SERVER, 0, 0)
    assert shape(counted) == {f"sts0_{name}": int for name in STATISTICS.split()}
    for level, options, code in [(1, 0, 124), (0, 7, 87)]:
        with pytest.raises(win32net.error) as raised:
            win32net.NetStatisticsGet(peer.server, win32net.SERVICE_SERVER, level, options)
        assert raised.value.winerror == code


# --- win32net: shares

SHARE_KEYS: dict[int, set[str]] = {
    0: {"netname"},
    1: {"netname", "type", "remark"},
    2: {"netname", "type", "remark", "permissions", "max_uses", "current_uses", "path", "passwd"},
    501: {"netname", "type", "remark", "flags"},
}
SHARE_KEYS[502] = SHARE_KEYS[2] | {"reserved", "security_descriptor"}


@pytest.mark.parametrize("level", sorted(SHARE_KEYS))
def test_net_share_enum_and_get_info(peer: Peer, level: int) -> None:
    entries, total, resume = win32net.NetShareEnum(peer.server, level)
    assert resume == 0
    assert total == len(entries)
    assert all(set(entry) == SHARE_KEYS[level] for entry in entries)
    assert "IPC$" in [entry["netname"] for entry in entries]
    one = win32net.NetShareGetInfo(peer.server, "IPC$", level)
    assert set(one) == SHARE_KEYS[level]
    assert one["netname"] == "IPC$"
    if "type" in one:
        assert one["type"] == 0x80000003


def test_net_share_enum_as_it_was(peer: Peer) -> None:
    listed = win32net.NetShareEnum(peer.server)
    (ipc,) = [entry for entry in listed if entry[0] == "IPC$"]
    assert ipc[1] == 0x80000003
    assert isinstance(ipc[2], str)


def test_no_such_share(peer: Peer) -> None:
    with pytest.raises(win32net.error) as raised:
        win32net.NetShareGetInfo(peer.server, "no-such-share", 1)
    assert raised.value.args == (2310, "NetShareGetInfo", "This shared resource does not exist.")


def test_net_share_check(peer: Peer) -> None:
    if peer.kind == "samba":
        with pytest.raises(win32net.error) as raised:
            win32net.NetShareCheck(peer.server, "C:\\data")
        assert raised.value.args[:2] == (1745, "NetShareCheck")
        return
    if peer.kind == "windows":
        assert win32net.NetShareCheck(peer.server, "C:\\data") == (1, 0)
    assert win32net.NetShareCheck(peer.server, "C:\\nothing\\there") == (0, None)


# --- netapi


@pytest.mark.parametrize("level", sorted(ALL_LEVELS))
def test_netapi_sessions(peer: Peer, level: int) -> None:
    with peer.somebody():
        status, entries, read, total, resume = netapi.NetSessionEnum(peer.server, None, None, level)
        if level not in peer.levels:
            assert (status, entries, read) == (124, [], 0)
            return
        assert status == 0
        assert read == len(entries) == total
        assert isinstance(resume, int)
        assert {type(entry).__name__ for entry in entries} == {f"SESSION_INFO_{level}"}
        status, one = netapi.NetSessionGetInfo(peer.server, r"\\127.0.0.1", peer.user, level)
        assert status == 0
        assert getattr(one, f"sesi{level}_cname") == peer.client
        assert netapi.NetSessionDel(peer.server, r"\\127.0.0.1", peer.user) == 0
        assert netapi.NetSessionDel(peer.server, r"\\nowhere", None) == 2312
        assert netapi.NetApiBufferFree(entries) == 0


def test_netapi_files(peer: Peer) -> None:
    with peer.files():
        status, entries, read, total, _ = netapi.NetFileEnum(peer.server, None, None, 3)
        assert (status, read) == (0, len(entries))
        assert total == len(entries)
        chosen = entries[0]
        assert netapi.NetFileGetInfo(peer.server, chosen.fi3_id, 3) == (0, chosen)
        assert netapi.NetFileGetInfo(peer.server, chosen.fi3_id, 2) == (0, netapi.FILE_INFO_2(chosen.fi3_id))
        assert netapi.NetFileGetInfo(peer.server, chosen.fi3_id, 4) == (124, None)
        assert netapi.NetFileEnum(peer.server, None, None, 4)[0] == 124
        assert netapi.NetFileClose(peer.server, chosen.fi3_id) == 0
        assert netapi.NetFileClose(peer.server, chosen.fi3_id) == 2314
        assert netapi.NetFileGetInfo(peer.server, chosen.fi3_id, 3) == (2, None)


@pytest.mark.parametrize("level", [0, 1])
def test_netapi_connections(peer: Peer, level: int) -> None:
    with peer.somebody():
        status, entries, read, total, _ = netapi.NetConnectionEnum(peer.server, "IPC$", level)
        if peer.kind == "samba":
            # What it would say of its connections is invented.
            assert (status, entries) == (50, [])
        else:
            assert status == 0
            assert read == total == len(entries) >= 1
            assert {type(entry).__name__ for entry in entries} == {f"CONNECTION_INFO_{level}"}
            if level:
                assert entries[0].coni1_netname.startswith("\\\\")
        assert netapi.NetConnectionEnum(peer.server, "", level)[0] == 87
        assert netapi.NetConnectionEnum(peer.server, "IPC$", 7)[0] == 124


def test_netapi_server(peer: Peer) -> None:
    status, info = netapi.NetServerGetInfo(peer.server, 102)
    assert status == 0
    assert info is not None
    assert (info.sv102_platform_id, type(info.sv102_hidden)) == (500, int)
    assert netapi.NetServerGetInfo(peer.server, 999) == (124, None)
    other = info.sv102_disc + 1
    outcome = netapi.NetServerSetInfo(peer.server, 1010, netapi.SERVER_INFO_1010(other))
    _, now = netapi.NetServerGetInfo(peer.server, 102)
    assert now is not None
    if peer.kind == "samba":
        assert outcome[0] == 50
        assert now == info
    else:
        assert outcome[0] == 0
        assert now.sv102_disc == other
        netapi.NetServerSetInfo(peer.server, 1010, netapi.SERVER_INFO_1010(info.sv102_disc))
    assert netapi.NetServerSetInfo(peer.server, 999, None) == (124, 0)


# --- Win32::Net::Session

PERL_KEYS = {
    0: "EntryCount,ClientName",
    1: "EntryCount,ClientName,User,Opened,Time,IdleTime,UserFlags",
    2: "EntryCount,ClientName,User,Opened,Time,IdleTime,UserFlags,ClType Name",
    3: "EntryCount,ClientName,User,Time,IdleTime",
    4: "EntryCount,ClientName,User,Opened,Time,IdleTime,UserFlags,ClType Name,TransportName",
}


@pytest.mark.parametrize("level", sorted(PERL_KEYS))
def test_win32_net_session(peer: Peer, level: int) -> None:
    with peer.somebody():
        session = win32_net_session.Session(peer.server, level)
        assert session.NumberofSessions() == 0
        if (0, 1, 2, 10, 502)[level] not in peer.levels:
            with pytest.raises(win32_net_session.Croak, match="unknown Error: 124"):
                session.GetSessionInfo()
            return
        found = session.GetSessionInfo()
        assert session.NumberofSessions() == len(found) >= 2
        assert list(found) == [str(number) for number in range(len(found))]
        for entry in found.values():
            assert list(entry) == PERL_KEYS[level].split(",")
            assert int(entry["EntryCount"]) == len(entry) - 1
            assert all(type(value) is str for value in entry.values())


# --- ADSI


def test_adsi(peer: Peer) -> None:
    service = adsi.GetObject(f"WinNT://127.0.0.1:{peer.port}/LanmanServer")
    assert service.Status == adsi.ADS_SERVICE_RUNNING
    assert isinstance(service.Description, str)
    assert service.MaxUserCount == (16777216 if peer.kind == "windows" else -1)
    with peer.somebody(), peer.files():
        name = f"{peer.user}\\127.0.0.1"
        sessions = service.Sessions()
        mine = sessions.GetObject(name)
        assert (mine.Class, mine.User, mine.Computer) == ("Session", peer.user, "127.0.0.1")
        assert isinstance(mine.ConnectTime, int)
        assert isinstance(mine.IdleTime, int) != (peer.kind == "samba")
        assert mine in list(sessions)
        resources = service.Resources()
        for resource in resources:
            assert (resource.Class, type(resource.LockCount)) == ("Resource", int)
            assert int(resource.Name) in UNSIGNED
        chosen = next(iter(resources))
        resources.Remove(chosen.Name)
        assert chosen.Name not in [resource.Name for resource in service.Resources()]
        with pytest.raises(adsi.com_error) as raised:
            resources.Remove(chosen.Name)
        assert raised.value.hresult & 0xFFFFFFFF == 0x8007090A
        sessions.Remove(name)
        assert name not in [session.Name for session in service.Sessions()]
        with pytest.raises(adsi.com_error) as raised:
            sessions.GetObject(name)
        assert raised.value.hresult & 0xFFFFFFFF == 0x80070908
    with pytest.raises(adsi.com_error) as raised:
        service.Stop()
    assert raised.value.hresult & 0xFFFFFFFF == adsi.E_NOTIMPL
