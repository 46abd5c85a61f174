"""This machine's Samba, managed by its own tools: a real smbd, and tools that behave badly."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import stat
from pathlib import Path
from typing import Any

import pytest

import lanman
from lanman.errors import AccessDenied, LanmanError, MalformedMessage, TimedOut, Win32Error
from lanman.manage.manager import CloseResult
from lanman.manage.samba_local.manager import SambaLocalManager
from lanman.manage.samba_local.records import SambaFile, SambaSession
from lanman.manage.samba_local.testparm import parse_testparm
from lanman.manage.samba_local.tools import SambaTools, Table
from lanman.net.credentials import Credentials
from lanman.records import SessionInfo
from support.smbd import Account, HeldClient, Samba
from support.waiting import until

DATA = Path(__file__).parent.parent / "data" / "smbstatus"


def local(samba: Samba) -> SambaLocalManager:
    return SambaLocalManager(SambaTools(str(samba.directory / "smb.conf")), timeout=60)


async def held(samba: Samba, account: Account) -> HeldClient:
    return await asyncio.to_thread(samba.hold, account)


async def lives(client: HeldClient) -> bool:
    try:
        return "blocks available" in await asyncio.to_thread(client.command, "ls")
    except ConnectionError:
        return False


@pytest.mark.samba
@pytest.mark.root
async def test_the_same_as_over_the_network(samba: Samba) -> None:
    """Field by field; docs/how-to/manage-samba.md has the table of differences."""
    (samba.share / "a.txt").write_text("x")
    (samba.share / "a.txt").chmod(0o666)
    with await held(samba, samba.user) as client:
        await asyncio.to_thread(client.command, "open a.txt")
        who = Credentials(samba.administrator.user_name, samba.administrator.password)
        async with lanman.open_manager(samba.host, who, port=samba.port, timeout=60) as remote:
            (theirs,) = (await remote.sessions(user="daemon")).entries
            (their_file,) = await remote.files(user="daemon")
            their_share = await remote.share("share")
        manager = local(samba)
        (ours,) = (await manager.sessions(user="daemon")).entries
        (our_file,) = await manager.files(user="daemon")
        our_share = await manager.share("SHARE")
        for name in ("client_name", "user_name", "num_opens", "idle_time", "client_type", "transport"):
            assert getattr(ours, name) == getattr(theirs, name), name
        for name in ("id", "permissions", "num_locks", "user_name"):
            assert getattr(our_file, name) == getattr(their_file, name), name
        for name in ("netname", "type", "remark", "max_uses"):
            assert getattr(our_share, name) == getattr(their_share, name), name
        assert (our_file.path, our_share.path) == (str(samba.share / "a.txt"), str(samba.share))
        assert isinstance(ours, SambaSession)
        assert (ours.dialect, ours.signing) == ("3.1.1", "AES-128-GMAC (partial)")
        assert re.fullmatch(r"127\.0\.0\.1:\d+", ours.address or "")
        assert ours.seen_since is not None
        assert isinstance(our_file, SambaFile)
        assert (our_file.client_name, our_file.pid) == ("127.0.0.1", ours.pid)
        # A client's other connections: none is invented.
        (tree,) = await manager.connections("\\\\127.0.0.1")
        assert (tree.net_name, tree.user_name) == ("share", "daemon")
        (tree,) = await manager.connections("share")
        assert tree.net_name == "127.0.0.1"
        assert await manager.connections("\\\\192.0.2.7") == []
        info = await manager.server_info()
        assert (info.name, info.comment) == ("SAMBA", "Samba 4.17.12-Debian") or info.name == "SAMBA"


@pytest.mark.samba
@pytest.mark.root
async def test_a_connection_ends_and_others_live_on(samba: Samba) -> None:
    with await held(samba, samba.user) as goes, await held(samba, samba.user) as stays:
        manager = local(samba)
        first, second = (await manager.sessions(user="daemon")).entries
        # One user, one client: the list over the network cannot tell these apart, and this one can.
        assert await manager.bystanders([first]) == [[]]
        told: list[CloseResult] = []
        (ended,) = await manager.close_sessions([first], done=told.append)
        assert (ended.error, ended.note, ended.others) == (None, None, [])
        assert told == [ended]
        assert (await manager.sessions()).entries == [second]
        assert [await lives(client) for client in (goes, stays)].count(True) == 1
        (again,) = await manager.close_sessions([first])
        assert again.error is not None
        assert again.error.code == 2312


@pytest.mark.samba
@pytest.mark.root
async def test_a_pid_that_another_connection_has_by_now_is_left_alone(samba: Samba) -> None:
    with await held(samba, samba.user) as client:
        manager = local(samba)
        (entry,) = (await manager.sessions()).entries
        assert isinstance(entry, SambaSession)
        assert entry.unique_id is not None
        entry.unique_id += 1
        (result,) = await manager.close_sessions([entry])
        assert result.error is not None
        assert result.error.code == 2312
        assert await lives(client)


@pytest.mark.samba
@pytest.mark.root
async def test_a_file_is_closed_over_the_network_or_not_at_all(samba: Samba) -> None:
    (samba.share / "a.txt").write_text("x")
    (samba.share / "a.txt").chmod(0o666)
    with await held(samba, samba.user) as client:
        await asyncio.to_thread(client.command, "open a.txt")
        manager = local(samba)
        (file,) = await manager.files(user="daemon")
        assert file.id is not None
        with pytest.raises(Win32Error, match="none of Samba's own tools closes one file") as caught:
            await manager.close_file(file.id)
        assert caught.value.code == 50
        who = Credentials(samba.administrator.user_name, samba.administrator.password)
        with_closer = SambaLocalManager(
            SambaTools(str(samba.directory / "smb.conf")),
            timeout=60,
            closer=lambda: lanman.open_manager(samba.host, who, port=samba.port, timeout=60),
        )
        assert (await with_closer.close_file(file.id)).path == str(samba.share / "a.txt")
        assert await manager.files(user="daemon") == []
        with pytest.raises(Win32Error) as gone:
            await manager.close_file(file.id)
        assert gone.value.code == 2314


# --- tools that behave badly


def fake(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def tools(tmp_path: Path) -> SambaTools:
    return SambaTools(folders=[tmp_path])


TABLES = DATA / "smbstatus-4.17-BN-guest-ipv6-notify.txt"


def recorded(folder: Path, name: str) -> None:
    fake(folder, "smbstatus", f'case "$*" in *--json*) cat "{DATA / name}";; *) cat "{TABLES}";; esac')


async def test_two_users_on_one_connection_are_named_before(tmp_path: Path, tools: SambaTools) -> None:
    recorded(tmp_path, "smbstatus-4.17-BN-guest-ipv6-notify.json")
    fake(tmp_path, "smbcontrol", f'echo "$@" >> "{tmp_path}/told"')
    manager = SambaLocalManager(tools, timeout=60)
    entries = (await manager.sessions(user="alice")).entries
    shared = next(entry for entry in entries if isinstance(entry, SambaSession) and entry.pid == 9427)
    # The open of root on that connection may be of either.
    assert shared.num_opens is None
    ((other,),) = await manager.bystanders([shared])
    assert other.user_name == "bob"
    (alone,) = await manager.close_sessions([shared])
    assert alone.error is not None
    assert (alone.error.code, [one.user_name for one in alone.others]) == (170, ["bob"])
    assert not (tmp_path / "told").exists()
    # Named by client and user, alice has three connections there; the one with bob keeps it from being an error.
    (agreed,) = await manager.bystanders([SessionInfo("127.0.0.1", "alice")])
    assert [one.user_name for one in agreed] == ["bob"]


async def test_a_newcomer_who_was_not_agreed_to_keeps_the_connection_alive(tmp_path: Path, tools: SambaTools) -> None:
    """bob logs on to alice's connection between the plan and the order."""
    both = (DATA / "smbstatus-4.17-BN-guest-ipv6-notify.json").read_text()
    (tmp_path / "after").write_text(both)
    (tmp_path / "before").write_text(
        both.replace('"uid": 1002, "gid": 1002, "username": "bob"', '"uid": -1, "username": ""')
    )
    fake(
        tmp_path,
        "smbstatus",
        f'case "$*" in *--json*) cd "{tmp_path}"; if [ -e seen ]; then /bin/cat after; '
        f'else : > seen; /bin/cat before; fi;; *) /bin/cat "{TABLES}";; esac',
    )
    fake(tmp_path, "smbcontrol", f'echo "$@" >> "{tmp_path}/told"')
    manager = SambaLocalManager(tools, timeout=60)
    alice = SambaSession("127.0.0.1", "alice", session_id="3197728547", address="127.0.0.1:35342")
    alice.pid, alice.unique_id, alice.ctdb_node = 9427, 3617724252628841461, 0xFFFFFFFF
    (result,) = await manager.close_sessions([alice])
    assert result.error is not None
    assert (result.error.code, [one.user_name for one in result.others]) == (170, ["bob"])
    assert not (tmp_path / "told").exists()


async def test_the_first_process_of_smbd_is_never_told_to_end(tmp_path: Path, tools: SambaTools) -> None:
    recorded(tmp_path, "smbstatus-4.17-BN-guest-ipv6-notify.json")
    fake(tmp_path, "smbcontrol", f'echo "$@" >> "{tmp_path}/told"')
    manager = SambaLocalManager(tools, timeout=60, main_pid=9647)
    (result,) = await manager.close_sessions([SessionInfo("::1", "alice")])
    assert result.error is not None
    assert "serves no client" in result.error.message
    assert not (tmp_path / "told").exists()


async def test_samba_without_json(tmp_path: Path, tools: SambaTools) -> None:
    fake(
        tmp_path,
        "smbstatus",
        f'case "$*" in *--json*) echo "JSON support not available" >&2;; *) cat "{DATA}/smbstatus-4.17-B.txt";; esac',
    )
    manager = SambaLocalManager(tools, timeout=60)
    assert len(await manager.sessions(user="bob")) == 4
    assert {file.id for file in await manager.files()} == {None}
    assert {file.user_name for file in await manager.files(path="/srv/share/report.xlsx")} == {"alice"}


@pytest.mark.parametrize(
    ("script", "error", "sentence"),
    [
        (
            'echo "smbstatus only works as root!" >&2; echo \'{"version": "4.17"}\'; exit 1',
            AccessDenied,
            "only root may",
        ),
        ('echo "smbstatus only works as root!"; exit 1', AccessDenied, "only root may"),
        ('echo \'{"version": "4\'', MalformedMessage, "is not JSON"),
        ("kill -SEGV $$", MalformedMessage, "ended by signal 11"),
        ("exit 0", MalformedMessage, "does not begin with its version"),
        ("while :; do /bin/cat /dev/zero | /usr/bin/head -c 90000000; done", MalformedMessage, "is longer than 64 MiB"),
    ],
)
async def test_what_is_no_answer(
    tmp_path: Path, tools: SambaTools, script: str, error: type[LanmanError], sentence: str
) -> None:
    fake(tmp_path, "smbstatus", script)
    with pytest.raises(error, match=sentence):
        await SambaLocalManager(tools, timeout=60).sessions()


async def test_an_ordinary_user_is_told_the_two_ways_out(tmp_path: Path, tools: SambaTools) -> None:
    recorded(tmp_path, "smbstatus-4.17-nonroot.json")
    with pytest.raises(AccessDenied) as caught:
        await SambaLocalManager(tools, timeout=60).sessions()
    assert caught.value.code == 5
    assert caught.value.hint == "ask as root, or over the network: -S localhost -U USER"


async def test_a_tool_that_hangs_is_ended(tmp_path: Path, tools: SambaTools) -> None:
    """And so is what it has started, which has `held` open for as long as it runs."""
    held = tmp_path / "held"
    os.mkfifo(held)
    fake(tmp_path, "smbstatus", f'exec 9<>"{held}"; /bin/sleep 1000 & wait')

    def is_held() -> bool:
        try:
            os.close(os.open(held, os.O_WRONLY | os.O_NONBLOCK))
        except OSError as error:
            if error.errno == errno.ENXIO:
                return False
            raise
        return True

    asking = asyncio.create_task(SambaLocalManager(tools, timeout=2).sessions())
    await until(lambda: is_held() or asking.done())
    with pytest.raises(TimedOut, match="Samba's tools gave no answer"):
        await asking
    await until(lambda: not is_held())


async def test_a_configuration_that_smbstatus_cannot_load(tmp_path: Path, tools: SambaTools) -> None:
    """It goes on with the paths that are built in, and succeeds."""
    fake(
        tmp_path,
        "smbstatus",
        f'echo "Can\'t load /srv/gone.conf - run testparm to debug it" >&2; cat "{TABLES}"',
    )
    with pytest.raises(Win32Error, match="smbstatus cannot load /srv/gone") as caught:
        await tools._tables(Table.ALL)
    assert caught.value.code == 2


async def test_tools_that_are_missing(tools: SambaTools) -> None:
    with pytest.raises(Win32Error, match="smbstatus is not installed here") as caught:
        await SambaLocalManager(tools, timeout=60).sessions()
    assert caught.value.code == 50


async def test_the_environment_of_a_tool_is_not_the_callers(
    tmp_path: Path, tools: SambaTools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANMAN_PASSWORD", "secret")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    fake(tmp_path, "smbstatus", f'/usr/bin/env > "{tmp_path}/env"')
    with pytest.raises(MalformedMessage):
        await tools.status()
    words = (tmp_path / "env").read_text()
    assert "LC_ALL=C.UTF-8" in words
    assert "TZ=UTC" in words
    assert "LANMAN" not in words


def test_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Win32Error) as caught:
        SambaTools(str(tmp_path / "none.conf"))
    assert caught.value.code == 2


def test_shares_of_testparm() -> None:
    output = (
        b"# Global parameters\n[global]\n\tdeadtime = 15\n\tserver string = \n\n[homes]\n\tcomment = Home\n"
        b"[share]\n\tcomment = a = b\n\tpath = /srv/share\n\tmax connections = 5\n"
        b"[of %U]\n\tpath = /srv/%U\n[lp]\n\tprintable = Yes\n[off]\n\tavailable = No\n"
    )
    found = parse_testparm(output)
    assert found.settings == {"deadtime": "15", "server string": ""}
    assert [(one.netname, one.type, one.remark, one.max_uses, one.path) for one in found.shares] == [
        ("share", 0, "a = b", 5, "/srv/share"),
        ("of %U", 0, "", 0xFFFFFFFF, None),
        ("lp", 1, "", 0xFFFFFFFF, None),
    ]
    with pytest.raises(MalformedMessage):
        parse_testparm(b"[share]\n")


async def test_a_service_that_is_none() -> None:
    contradictions: list[dict[str, Any]] = [{"service": "windows nt"}, {"service": "samba", "server": "192.0.2.7"}]
    for words in contradictions:
        with pytest.raises(Win32Error) as caught:
            await lanman.open_manager(**words).__aenter__()
        assert caught.value.code == 87
