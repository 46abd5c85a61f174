"""What is ADSI's own: paths, properties with a cache, collections, HRESULTs, the service on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lanman import compat
from lanman.compat import adsi
from lanman.compat.adsi import GetObject, IADsFileServiceOperations
from lanman.rpc import srvsvc
from lanman.rpc.srvsvc import NetrSessionDel
from support.compat_peers import Peer, sessions
from support.smbd import Samba


@pytest.fixture
def service(windows: Peer) -> IADsFileServiceOperations:
    compat.login(windows.server, windows.admin, windows.password)
    return GetObject(f"WinNT://127.0.0.1:{windows.port}/LanmanServer")


def hresult(error: adsi.com_error) -> int:
    return error.hresult & 0xFFFFFFFF


# --- paths


@pytest.mark.parametrize(
    ("path", "ads_path"),
    [
        ("WinNT://fs1/LanmanServer", "WinNT://fs1/LanmanServer"),
        ("WinNT://DOM/fs1/LanmanServer", "WinNT://DOM/fs1/LanmanServer"),
        ("WinNT://fs1:4450/lanmanserver,FileService", "WinNT://fs1:4450/LanmanServer"),
        ("WinNT://./LanmanServer", "WinNT://./LanmanServer"),
        ("WinNT://[fe80::7]:4450/LanmanServer", "WinNT://[fe80::7]:4450/LanmanServer"),
    ],
)
def test_paths(path: str, ads_path: str) -> None:
    service = GetObject(path)
    assert (service.ADsPath, service.Class, service.Name) == (ads_path, "FileService", "LanmanServer")
    assert service.Parent == service.HostComputer == ads_path.rpartition("/")[0]
    assert service.Schema == f"{service.Parent}/Schema/FileService"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("LDAP://fs1/LanmanServer", adsi.MK_E_SYNTAX),
        ("", adsi.MK_E_SYNTAX),
        ("WinNT:", adsi.E_ADS_BAD_PATHNAME),
        ("WinNT://fs1", adsi.E_ADS_BAD_PATHNAME),
        ("WinNT://fs1/Spooler", adsi.E_ADS_BAD_PATHNAME),
        ("WinNT://fs1/LanmanServer,User", adsi.E_ADS_BAD_PATHNAME),
        ("WinNT://a/b/c/LanmanServer", adsi.E_ADS_BAD_PATHNAME),
        ("WinNT://fs1:0/LanmanServer", adsi.E_ADS_BAD_PATHNAME),
        ("WinNT:///LanmanServer", adsi.E_ADS_BAD_PATHNAME),
    ],
)
def test_what_is_no_path(path: str, code: int) -> None:
    with pytest.raises(adsi.com_error) as raised:
        GetObject(path)
    assert hresult(raised.value) == code
    assert raised.value.hresult < 0
    assert raised.value.args[:2] == (raised.value.hresult, raised.value.strerror)


def test_a_path_is_text() -> None:
    with pytest.raises(TypeError):
        GetObject(None)  # type: ignore[arg-type]


# --- properties


def test_properties_are_written_when_told(windows: Peer, service: IADsFileServiceOperations) -> None:
    info = windows.peer.windows.info
    assert (service.Description, service.MaxUserCount) == ("", 16777216)
    service.Description = "Filer"
    service.Put("maxusercount", -1)
    assert (service.Description, service.MaxUserCount) == ("Filer", -1)
    assert (info.comment, info.users) == ("", 16777216)
    service.SetInfo()
    assert (info.comment, info.users) == ("Filer", 0xFFFFFFFF)
    assert service.Get("DESCRIPTION") == "Filer"
    service.Description = "never mind"
    service.GetInfo()
    assert service.Description == "Filer"


def test_a_property_that_was_set_and_another_that_is_read(windows: Peer, service: IADsFileServiceOperations) -> None:
    service.MaxUserCount = 7
    assert service.Description == ""
    service.SetInfo()
    assert windows.peer.windows.info.users == 7


def test_unknown_properties(service: IADsFileServiceOperations) -> None:
    with pytest.raises(adsi.com_error) as raised:
        service.Get("Password")
    assert hresult(raised.value) == adsi.E_ADS_PROPERTY_NOT_FOUND
    with pytest.raises(adsi.com_error) as raised:
        service.Put("HostComputer", "WinNT://elsewhere")
    assert hresult(raised.value) == adsi.E_ADS_PROPERTY_NOT_SUPPORTED
    with pytest.raises(TypeError):
        service.Put("Description", 7)
    with pytest.raises(TypeError):
        service.MaxUserCount = "many"  # type: ignore[assignment]


# --- sessions and resources


def test_sessions(windows: Peer, service: IADsFileServiceOperations) -> None:
    windows.peer.windows.list_callers = False
    found = list(service.Sessions())
    assert [session.Name for session in found] == [
        r"ann\10.0.0.7",
        r"bob\10.0.0.7",
        r"ann\[fe80::7]",
        r"PC9$\10.0.0.9",
        "\\10.0.0.9",
        r"Guest\10.0.0.12",
    ]
    ann = found[0]
    assert (ann.User, ann.Computer, ann.ConnectTime, ann.IdleTime) == ("ann", "10.0.0.7", 3700, 13)
    assert ann.UserPath == f"{service.Parent}/ann"
    assert ann.ComputerPath == "WinNT://10.0.0.7"
    assert ann.ADsPath == rf"{service.ADsPath}/ann\10.0.0.7"
    assert ann.Parent == service.ADsPath
    assert ann.Schema == f"{service.Parent}/Schema/Session"
    assert ann.Get("idletime") == 13
    assert found[4].UserPath == ""


def test_a_collection_is_as_it_was(windows: Peer, service: IADsFileServiceOperations) -> None:
    before = service.Sessions()
    count = len(list(before))
    windows.peer.windows.sessions = sessions("eve")
    assert len(list(before)) == count
    assert [session.User for session in service.Sessions()] == ["eve", "admin"]
    # It is in the collection, and no longer at the server.
    with pytest.raises(adsi.com_error) as raised:
        before.Remove(r"ann\10.0.0.7")
    assert hresult(raised.value) == 0x80070908


def test_remove_ends_a_session(windows: Peer, service: IADsFileServiceOperations) -> None:
    collection = service.Sessions()
    collection.Remove(r"ANN\10.0.0.7")
    assert [(session.client_name, session.user_name) for session in windows.peer.ended] == [(r"\\10.0.0.7", "ann")]
    assert r"ann\10.0.0.7" not in [session.Name for session in collection]
    with pytest.raises(adsi.com_error) as raised:
        collection.Remove(r"ann\10.0.0.7")
    assert hresult(raised.value) == 0x80070908


@pytest.mark.parametrize("with_others", [False, True])
def test_a_null_session_does_not_take_others_with_it(
    windows: Peer, service: IADsFileServiceOperations, with_others: bool
) -> None:
    compat.login(windows.server, windows.admin, windows.password, with_others=with_others)
    with pytest.raises(adsi.com_error) as raised:
        service.Sessions().Remove("\\10.0.0.9")
    assert hresult(raised.value) == 0x80070032
    assert windows.peer.ended == []
    assert NetrSessionDel not in map(type, windows.peer.asked)


def test_resources(windows: Peer, service: IADsFileServiceOperations) -> None:
    windows.peer.windows.page = 2
    resources = service.Resources()
    found = list(resources)
    assert [resource.Name for resource in found] == ["1677721603", "2147483653", "4294967280", "1677721607"]
    second = found[1]
    assert (second.User, second.Path, second.LockCount) == ("ann", r"C:\data\2019\budget.xlsx", 2)
    assert second.UserPath == f"{service.Parent}/ann"
    assert second.Get("Path") == second.Path
    resources.Remove("2147483653")
    assert [file.id for file in windows.peer.closed] == [0x80000005]


def test_remove_closes_no_other_file_than_was_collected(windows: Peer, service: IADsFileServiceOperations) -> None:
    resources = service.Resources()
    chosen = resources.GetObject("2147483653")
    for file in windows.peer.windows.files:
        if file.id == 0x80000005:
            file.path = r"C:\data\of-somebody-else.txt"
    with pytest.raises(adsi.com_error) as raised:
        resources.Remove(chosen.Name)
    assert hresult(raised.value) == 0x8007090A
    assert windows.peer.closed == []


@pytest.mark.samba
@pytest.mark.root
def test_remove_ends_others_of_samba_only_where_the_login_agrees(samba: Samba) -> None:
    server, root = f"{samba.host}:{samba.port}", samba.administrator
    service = GetObject(f"WinNT://{server}/LanmanServer")
    with samba.hold(samba.user), samba.hold(samba.other_user):
        compat.login(server, root.user_name, root.password)
        with pytest.raises(adsi.com_error) as raised:
            service.Sessions().Remove(rf"games\{samba.host}")
        assert hresult(raised.value) == 0x800700AA
        compat.login(server, root.user_name, root.password, with_others=True)
        service.Sessions().Remove(rf"games\{samba.host}")
        assert sorted(session.User for session in service.Sessions()) == ["daemon", "root"]


def test_pause_and_continue(windows: Peer, service: IADsFileServiceOperations) -> None:
    assert service.Status == adsi.ADS_SERVICE_RUNNING
    service.Pause()
    assert service.Status == adsi.ADS_SERVICE_PAUSED
    service.Continue()
    assert service.Status == adsi.ADS_SERVICE_RUNNING
    assert windows.peer.windows.services.orders == [("LanmanServer", 2), ("LanmanServer", 3)]
    compat.login(windows.server, windows.user, windows.user_password)
    with pytest.raises(adsi.com_error) as raised:
        service.Pause()
    assert hresult(raised.value) == 0x80070005


def test_what_is_not_implemented(service: IADsFileServiceOperations) -> None:
    for call in (
        service.Start,
        service.Stop,
        lambda: service.SetPassword("x"),
        lambda: service.Sessions().Add("x", None),
    ):
        with pytest.raises(adsi.com_error) as raised:
            call()
        assert hresult(raised.value) == adsi.E_NOTIMPL


def test_errors_of_the_server(windows: Peer) -> None:
    compat.login(windows.server, windows.user, windows.user_password)
    service = GetObject(f"WinNT://127.0.0.1:{windows.port}/LanmanServer")
    for call in (service.Sessions, service.Resources, service.GetInfo, lambda: service.Description):
        with pytest.raises(adsi.com_error) as raised:
            call()
        assert hresult(raised.value) == 0x80070005
        assert raised.value.strerror == "Access is denied."
    assert service.Status == adsi.ADS_SERVICE_RUNNING


def test_a_status_that_is_an_error(windows: Peer, service: IADsFileServiceOperations) -> None:
    windows.peer.script.statuses[srvsvc.NetrServerGetInfo] = 5
    assert service.Status == adsi.ADS_SERVICE_ERROR


def test_nobody_answers() -> None:
    with pytest.raises(adsi.com_error) as raised:
        GetObject("WinNT://127.0.0.1:1/LanmanServer").Sessions()
    assert hresult(raised.value) & 0xFFFF0000 == 0x80070000
    with pytest.raises(adsi.com_error):
        _ = GetObject("WinNT://127.0.0.1:1/LanmanServer").Status


# --- this machine


@pytest.mark.posix
def test_start_and_stop_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("LANMAN_HOME", str(home))
    home.mkdir(mode=0o700)
    (home / "server.toml").write_text('[server]\nname = "OWN"\nlisten = ["127.0.0.1"]\nport = 0\n')
    service = GetObject("WinNT://./LanmanServer")
    assert service.Status == adsi.ADS_SERVICE_STOPPED
    with pytest.raises(adsi.com_error) as raised:
        service.Stop()
    assert hresult(raised.value) == 0x80070426  # ERROR_SERVICE_NOT_ACTIVE
    try:
        service.Start()
        assert service.Status == adsi.ADS_SERVICE_RUNNING
        assert service.MaxUserCount == -1
        assert list(service.Sessions()) == []
        with pytest.raises(adsi.com_error) as raised:
            service.Start()
        assert hresult(raised.value) == 0x80070420  # ERROR_SERVICE_ALREADY_RUNNING
        service.Stop()
        assert service.Status == adsi.ADS_SERVICE_STOPPED
    finally:
        subprocess.run([sys.executable, "-m", "lanman", "stop", "server"], env=os.environ, capture_output=True)


@pytest.mark.posix
def test_a_start_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("LANMAN_HOME", str(home))
    home.mkdir(mode=0o700)
    (home / "server.toml").write_text("[server]\nport = 99999999\n")
    with pytest.raises(adsi.com_error) as raised:
        GetObject("WinNT://./LanmanServer").Start()
    assert raised.value.excepinfo is not None
    assert "server.toml" in raised.value.excepinfo[2]
