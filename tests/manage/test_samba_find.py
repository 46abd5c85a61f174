"""Which smbd is this machine's: pid files, processes, configurations elsewhere, several, none."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

import lanman
from lanman.errors import AuthenticationError, Win32Error
from lanman.manage import loopback, own
from lanman.manage.manager import Manager
from lanman.manage.samba_local import find
from lanman.manage.samba_local import processes as samba_processes
from lanman.manage.samba_local.find import configuration_of, find_smbd, first_processes, locked_by, running
from lanman.manage.samba_local.manager import SambaLocalManager
from lanman.manage.samba_local.testparm import Configured
from lanman.manage.samba_local.tools import SambaTools
from support.smbd import Samba


@pytest.fixture
def processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of /proc; other tests' smbds run on this machine as well."""
    folder = tmp_path / "proc"
    folder.mkdir()
    monkeypatch.setattr(samba_processes, "PROCESSES", folder)
    return folder


def seen(processes: Path, *servers: Samba) -> None:
    """Let all processes of some smbds be seen."""
    for server in servers:
        main = main_of(server)
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(pid) == main or int(fields[1]) == main:
                (processes / pid).symlink_to(f"/proc/{pid}")


def main_of(server: Samba) -> int:
    return int((server.directory / "pid" / "smbd.pid").read_text())


def conf(server: Samba) -> str:
    return str(server.directory / "smb.conf")


# --- by pid files and processes


@pytest.mark.parametrize(
    ("words", "configuration"),
    [
        (["/usr/sbin/smbd", "--foreground", "--no-process-group"], None),
        (["smbd", "-D", "-s", "/srv/smb.conf"], "/srv/smb.conf"),
        (["smbd", "-s/srv/smb.conf"], "/srv/smb.conf"),
        (["smbd", "--configfile=/srv/a b.conf", "-F"], "/srv/a b.conf"),
        (["smbd", "--configfile", "/srv/smb.conf"], "/srv/smb.conf"),
        (["smbd", "-Fs", "/srv/smb.conf"], "/srv/smb.conf"),
        (["smbd", "-DFs/srv/smb.conf"], "/srv/smb.conf"),
        (["smbd", "-s=/srv/smb.conf"], "/srv/smb.conf"),
        (["smbd", "-s", "/srv/old.conf", "--configfile=/srv/smb.conf", "-d", "3"], "/srv/smb.conf"),
        (["smbd", "-l", "-s", "/srv/smb.conf"], None),
        (["smbd", "-l-s/srv/log", "-p", "-sx"], None),
        (["smbd", "--option", "--configfile=/srv/smb.conf"], None),
        (["smbd", "-s"], None),
        (["-s"], None),
    ],
)
def test_the_configuration_of_a_command_line(words: list[str], configuration: str | None) -> None:
    assert configuration_of("\0".join([*words, ""]).encode()) == configuration


HOLDER = """
import fcntl, os, sys
descriptor = os.open(sys.argv[1], os.O_RDWR)
fcntl.lockf(descriptor, int(sys.argv[2]))
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(path: Path, kind: int) -> Iterator[int]:
    """A process that holds a lock on a file."""
    words = [sys.executable, "-c", HOLDER, str(path), str(kind)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process.pid
        assert process.stdin is not None
        process.stdin.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only on Linux")
def test_who_holds_a_pid_file(tmp_path: Path) -> None:
    path = tmp_path / "smbd.pid"
    assert locked_by(path) is None
    path.write_text("1\n")
    assert locked_by(path) is None
    with held(path, fcntl.LOCK_EX) as pid:
        assert locked_by(path) == pid
    # Anybody who may read the file can hold a read lock, and would name a configuration to root.
    with held(path, fcntl.LOCK_SH):
        assert locked_by(path) is None
    os.mkfifo(tmp_path / "fifo")
    assert locked_by(tmp_path / "fifo") is None


@pytest.mark.samba
@pytest.mark.root
async def test_a_configuration_elsewhere_and_a_stale_pid_file(samba: Samba, processes: Path, tmp_path: Path) -> None:
    stale = tmp_path / "smbd.pid"
    stale.write_text(f"{main_of(samba)}\n")  # its number is that of a process that runs; nobody locks it
    with pytest.raises(Win32Error) as none:
        await find_smbd(None, (stale,))
    assert none.value.code == 1062
    seen(processes, samba)
    assert first_processes() == [main_of(samba)]
    for pid_files in ((), (stale,), (samba.directory / "pid" / "smbd.pid",)):
        tools, pid = await find_smbd(None, pid_files)
        assert (tools.configuration, pid) == (conf(samba), main_of(samba))
    named, pid = await find_smbd(conf(samba), (stale,))
    assert (named.configuration, pid) == (conf(samba), main_of(samba))


@pytest.mark.samba
@pytest.mark.root
async def test_several_are_named_with_what_to_give(
    samba: Samba, start_samba: Callable[..., Samba], processes: Path
) -> None:
    other = start_samba()
    seen(processes, samba, other)
    with pytest.raises(Win32Error) as caught:
        await find_smbd(None, ())
    assert caught.value.code == 52
    for server in (samba, other):
        assert f"process {main_of(server)} (--samba-config {conf(server)})" in caught.value.message
    for server in (samba, other):
        async with lanman.open_manager(samba_config=conf(server), timeout=60) as manager:
            assert (await manager.server_info()).name == "SAMBA"


async def test_the_default_configuration_is_named_by_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    async def two(pid_files: object) -> list[find.Smbd]:
        return [
            find.Smbd(7),
            find.Smbd(8, "/srv/smb.conf"),
            find.Smbd(9, None, "it runs in a container", is_elsewhere=True),
        ]

    async def default(tools: SambaTools) -> str:
        return "/etc/samba/smb.conf"

    monkeypatch.setattr(find, "running", two)
    monkeypatch.setattr(SambaTools, "loaded_from", default)
    with pytest.raises(Win32Error, match="several smbd") as caught:
        await find_smbd(None, ())
    assert "process 7 (--samba-config /etc/samba/smb.conf), process 8 (--samba-config /srv/smb" in caught.value.message
    assert "process 9" not in caught.value.message


async def test_one_that_cannot_be_asked_may_be_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    async def two(pid_files: object) -> list[find.Smbd]:
        return [find.Smbd(7, "/srv/a.conf"), find.Smbd(8, None, "it was started with b.conf")]

    monkeypatch.setattr(find, "running", two)
    with pytest.raises(Win32Error, match="several smbd") as caught:
        await find_smbd(None, ())
    assert caught.value.code == 52
    assert "process 7 (--samba-config /srv/a.conf), process 8: it was started with b.conf" in caught.value.message


@pytest.mark.samba
async def test_where_the_tools_read_the_default_configuration() -> None:
    path = await SambaTools().loaded_from()
    assert path is not None
    assert os.path.isabs(path)
    assert path.endswith("smb.conf")


# --- whose command line is believed


def process(folder: Path, pid: int, *, exe: str = "/usr/sbin/smbd", **fields: str) -> Path:
    """A process in place of one in /proc."""
    told = {"Name": "smbd", "PPid": "1", "Uid": "0\t0\t0\t0"} | fields
    entry = folder / str(pid)
    (entry / "ns").mkdir(parents=True)
    (entry / "status").write_text("".join(f"{name}:\t{value}\n" for name, value in told.items()))
    (entry / "exe").symlink_to(exe)
    (entry / "root").symlink_to("/")
    (entry / "ns" / "mnt").symlink_to(os.readlink("/proc/self/ns/mnt"))
    (entry / "cmdline").write_bytes(b"/usr/sbin/smbd\0-D\0")
    return entry


@pytest.mark.root
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only on Linux")
def test_whose_process_is_an_smbd(processes: Path) -> None:
    process(processes, 10)
    process(processes, 11, PPid="10")  # serves a client
    process(processes, 12, PPid="10", Name="smbd-notifyd")
    process(processes, 13, Uid="1000\t1000\t1000\t1000")
    process(processes, 14, Uid="1000\t0\t0\t0")
    process(processes, 15, exe="/usr/bin/sudo")  # started by another name
    process(processes, 16, Name="nmbd", exe="/usr/sbin/nmbd")
    process(processes, 17, exe="/usr/sbin/smbd (deleted)")  # was upgraded meanwhile
    process(processes, 18, PPid="")
    (processes / "19").mkdir()
    (processes / "self").mkdir()
    assert first_processes() == [10, 17]


@pytest.mark.root
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only on Linux")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("container", "as in a container"),
        ("root", "as in a container"),
        ("relative", "which does not say where that is"),
        ("user's", "not only root may write"),
        ("writable", "not only root may write"),
        ("gone", "not only root may write"),
        ("user's folder", "not only root may write or replace"),
        ("writable folder", "not only root may write or replace"),
        ("link in a user's folder", "not only root may write or replace"),
    ],
)
async def test_what_is_not_asked(processes: Path, tmp_path: Path, change: str, said: str) -> None:
    """A configuration decides what the tools do as root, so not everybody may name one."""
    entry = process(processes, 10)
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "smb.conf"
    path.write_text("[global]\n")
    if change == "user's folder":
        os.chown(folder, 65534, 65534)
    if change == "writable folder":
        folder.chmod(0o777)
    if change == "link in a user's folder":
        (tmp_path / "users").mkdir()
        os.chown(tmp_path / "users", 65534, 65534)
        path = tmp_path / "users" / "smb.conf"
        path.symlink_to(folder / "smb.conf")
    if change == "container":
        path.unlink()  # what has that path in there is not here
        (entry / "ns" / "mnt").unlink()
        (entry / "ns" / "mnt").symlink_to("mnt:[1]")
    if change == "root":
        (entry / "root").unlink()
        (entry / "root").symlink_to("/srv/jail")
    if change == "user's":
        os.chown(path, 65534, 65534)
    if change == "writable":
        path.chmod(0o666)
    if change == "gone":
        path.unlink()
    named = "smb.conf" if change == "relative" else str(path)
    (entry / "cmdline").write_bytes(b"smbd\0-s\0" + named.encode() + b"\0")
    (smbd,) = await running(())
    assert said in (smbd.problem or "")
    with pytest.raises(Win32Error, match=said) as caught:
        await find_smbd(None, ())
    assert caught.value.code == 1062
    assert "process 10: " in caught.value.message


@pytest.mark.root
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only on Linux")
@pytest.mark.parametrize("same", [True, False])
def test_a_mount_namespace_with_the_same_configuration(processes: Path, tmp_path: Path, same: bool) -> None:
    """A service manager makes one for PrivateTmp and the like, and its smbd is this machine's all the same."""
    entry = process(processes, 10)
    (entry / "ns" / "mnt").unlink()
    (entry / "ns" / "mnt").symlink_to("mnt:[1]")
    (tmp_path / "smb.conf").write_text("[global]\n")
    named = str(tmp_path / "smb.conf")
    (entry / "cmdline").write_bytes(b"smbd\0-s\0" + named.encode() + b"\0")
    if not same:
        (tmp_path / "smb.conf").unlink()
    seen_now = find._seen(10)
    assert (seen_now.configuration, seen_now.is_elsewhere) == ((named, False) if same else (None, True))


@pytest.mark.root
@pytest.mark.samba
async def test_a_configuration_by_the_environment(processes: Path, tmp_path: Path, samba: Samba) -> None:
    entry = process(processes, 10)
    (entry / "environ").write_bytes(b"A=1\0SMB_CONF_PATH=" + conf(samba).encode() + b"\0")
    assert find._seen(10) == find.Smbd(10, conf(samba))
    # Its pid file is held by another.
    assert await running(()) == []


# --- which Manager


@pytest.fixture
def nothing_said(monkeypatch: pytest.MonkeyPatch, processes: Path, samba: Samba) -> None:
    """Nothing says whom to ask, nothing of lanman answers, and one smbd runs here."""

    async def no_control(home: object) -> None:
        return None

    monkeypatch.delenv("LANMAN_HOME", raising=False)
    monkeypatch.setattr(own, "find_control", no_control)
    monkeypatch.setattr(loopback, "SAMBA_PIDS", (samba.directory / "pid" / "smbd.pid",))


def opened(**said: Any) -> AbstractAsyncContextManager[Manager]:
    return lanman.open_manager(timeout=60, **said)


@pytest.mark.samba
@pytest.mark.root
@pytest.mark.usefixtures("nothing_said")
async def test_samba_answers_where_nothing_is_said_or_it_is_named(samba: Samba) -> None:
    everything = {
        "server": f"localhost:{samba.port}",
        "port": 445,
        "home": samba.directory,
        "credentials": lanman.Credentials("ann", "secret"),
        "encrypt": True,
    }
    for said in ({}, {"service": "samba"}, {"service": "samba", **everything}, {"samba_config": conf(samba)}):
        async with opened(**said) as manager:
            assert isinstance(manager, SambaLocalManager), said
            assert manager.answered_by == manager.who_answers == "this machine's Samba, by its own tools"
            assert (await manager.sessions()).entries == []


@pytest.mark.samba
@pytest.mark.root
@pytest.mark.usefixtures("nothing_said")
async def test_what_says_that_it_is_not_samba_by_its_tools(
    samba: Samba, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(Win32Error) as not_started:
        await opened(home=tmp_path).__aenter__()
    assert not_started.value.code == 2114
    with pytest.raises(Win32Error) as ours:
        await opened(service="lanman").__aenter__()
    assert ours.value.code == 2114
    with pytest.raises(AuthenticationError, match="is served by another program than lanman, by Samba"):
        await opened(port=samba.port).__aenter__()
    who = lanman.Credentials(samba.administrator.user_name, samba.administrator.password)
    async with opened(port=samba.port, credentials=who) as manager:
        assert not isinstance(manager, SambaLocalManager)
        assert manager.who_answers == f"\\\\127.0.0.1, a Samba, over SMB, port {samba.port}"
    async with opened(server="localhost", port=samba.port, credentials=who) as manager:
        assert not isinstance(manager, SambaLocalManager)
    monkeypatch.setenv("LANMAN_HOME", str(tmp_path))
    async with opened(service="samba") as manager:
        assert isinstance(manager, SambaLocalManager)


@pytest.mark.samba
@pytest.mark.root
@pytest.mark.usefixtures("nothing_said")
async def test_the_default_port_counts_as_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing_there(port: int) -> bool:
        asked.append(port)
        return False

    asked: list[int] = []
    monkeypatch.setattr(loopback, "answers", nothing_there)
    with pytest.raises(Win32Error) as caught:
        await opened(port=445).__aenter__()
    assert caught.value.code == 2114
    assert asked[0] == 445


# --- where it listens


@pytest.mark.parametrize(
    ("settings", "port"),
    [
        ({"smb ports": "445 139"}, 445),
        ({"smb ports": "139 1445"}, 1445),
        ({"smb ports": "139"}, None),
        ({"smb ports": "445 139", "server smb transports": "tcp, nbt"}, 445),
        ({"smb ports": "445", "server smb transports": "nbt:139, quic, tcp:1445"}, 1445),
        ({"smb ports": "99999 x"}, None),
        ({}, None),
    ],
)
def test_the_port_of_a_configuration(settings: dict[str, str], port: int | None) -> None:
    assert Configured(settings).port == port


@pytest.mark.samba
@pytest.mark.root
async def test_an_smbd_that_was_killed_leaves_a_pid_file_that_names_nobody(
    start_samba: Callable[..., Samba], processes: Path
) -> None:
    server = start_samba()
    seen(processes, server)
    pid_file = server.directory / "pid" / "smbd.pid"
    kept = pid_file.read_text()
    assert (await find_smbd(None, (pid_file,)))[1] == main_of(server)
    server.kill()
    assert pid_file.read_text() == kept
    with pytest.raises(Win32Error, match="no smbd runs on this machine") as caught:
        await find_smbd(None, (pid_file,))
    assert caught.value.code == 1062
    with pytest.raises(Win32Error, match="no smbd runs with"):
        await find_smbd(conf(server), ())
