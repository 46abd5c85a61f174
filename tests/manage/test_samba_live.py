"""This machine's Samba by its own tools, with people on it: a real smbd, and what strangers' clients do there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from impacket.smbconnection import SMBConnection
from smbprotocol.tree import TreeConnect

from lanman.errors import MalformedMessage, TimedOut, Win32Error
from lanman.manage.samba_local.manager import SambaLocalManager
from lanman.manage.samba_local.records import SambaFile, SambaSession
from lanman.manage.samba_local.status import ServerId
from lanman.manage.samba_local.tools import SambaTools
from lanman.records import SessionInfo
from support.one_connection import READ_AND_WRITE, OneConnection, lock
from support.smbd import Account, Samba, tool
from support.waiting import wait_until

pytestmark = [pytest.mark.samba, pytest.mark.root]


def local(samba: Samba) -> SambaLocalManager:
    main = int((samba.directory / "pid" / "smbd.pid").read_text())
    return SambaLocalManager(SambaTools(str(samba.directory / "smb.conf")), timeout=60, main_pid=main)


async def sessions_of(manager: SambaLocalManager) -> list[SambaSession]:
    return [entry for entry in (await manager.sessions()).entries if isinstance(entry, SambaSession)]


async def files_of(manager: SambaLocalManager) -> list[SambaFile]:
    return [entry for entry in await manager.files() if isinstance(entry, SambaFile)]


@pytest.fixture
def held() -> Iterator[ExitStack]:
    """Clients that are let go at the end."""
    with ExitStack() as stack:
        yield stack


def shared_connection(samba: Samba, held: ExitStack) -> OneConnection:
    return held.enter_context(OneConnection(samba.host, samba.port))


# --- what is told


async def test_who_is_there_and_how_protected(start_samba: Callable[..., Samba], held: ExitStack) -> None:
    """Three users, two of them on one connection; plain, signed, encrypted; a guest and a null session."""
    samba = start_samba({"map to guest": "bad user", "guest account": "nobody", "guest ok": "yes"})
    shared = shared_connection(samba, held)
    daemon = shared.log_on(samba.user)
    games = shared.log_on(samba.other_user)
    alone = shared_connection(samba, held)
    operator = alone.log_on(samba.operator, encrypt=True)
    held.enter_context(samba.hold(Account("stranger", "x")))
    held.enter_context(samba.hold(Account("", ""), share="IPC$"))
    shared.open(daemon, "a.txt")
    shared.open(games, "b.txt")
    alone.open(operator, "c.txt")
    manager = local(samba)
    found = await sessions_of(manager)
    assert Counter(entry.user_name for entry in found) == {"daemon": 1, "games": 1, "bin": 1, "nobody": 2}
    by_user = {entry.user_name or "": entry for entry in found}
    assert by_user["daemon"].address == by_user["games"].address != by_user["bin"].address
    assert by_user["daemon"].pid == by_user["games"].pid != by_user["bin"].pid
    assert {entry.dialect for entry in found} == {"3.1.1"}
    assert {name: by_user[name].num_opens for name in ("daemon", "games", "bin")} == dict.fromkeys(
        ("daemon", "games", "bin"), 1
    )
    assert (by_user["bin"].encryption or "").startswith("AES-128-G")
    assert (by_user["daemon"].encryption, by_user["daemon"].signing) == ("", "AES-128-GMAC")
    # Neither a guest nor a null session has a key to sign with.
    assert {(entry.signing, entry.encryption) for entry in found if entry.user_name == "nobody"} == {("", "")}
    assert {file.path: file.user_name for file in await files_of(manager)} == {
        str(samba.share / "a.txt"): "daemon",
        str(samba.share / "b.txt"): "games",
        str(samba.share / "c.txt"): "bin",
    }
    ((other,),) = await manager.bystanders([by_user["daemon"]])
    assert other == by_user["games"]
    assert await manager.bystanders([by_user["daemon"], by_user["games"]]) == [[], []]


async def test_odd_names_locks_and_leases(samba: Samba, held: ExitStack) -> None:
    names = [
        "  two blanks first",
        "three   blanks",
        "naïve 文.txt",
        "tab\u0009x",
        "ends in dots...",
        "q'\"uote;&|$(x)",
    ]
    for name in names:
        (samba.share / name).write_text("x")
        (samba.share / name).chmod(0o666)
    shared = shared_connection(samba, held)
    tree = shared.log_on(samba.user)
    shared.open(tree, "leased.txt", lease=True)
    for name in names[:3]:
        shared.open(tree, name)
    locker = SMBConnection(samba.host, samba.host, sess_port=samba.port)
    held.callback(locker.close)
    locker.login(samba.other_user.user_name, samba.other_user.password)
    with_locks = locker.connectTree("share")
    file = locker.createFile(with_locks, "locked.txt", desiredAccess=READ_AND_WRITE)
    for offset, length in ((0, 10), (100, 50)):
        lock(locker, with_locks, file, offset, length)
    found = {Path(entry.path or "").name: entry for entry in await files_of(local(samba))}
    assert sorted(found) == sorted([*names[:3], "leased.txt", "locked.txt"])
    assert {name: entry.num_locks for name, entry in found.items() if entry.num_locks} == {"locked.txt": 2}
    assert (found["leased.txt"].oplock, found["locked.txt"].user_name) == ("LEASE(RWH)", "games")
    assert found["leased.txt"].permissions == 0x12019F


async def test_an_open_that_ends_smbstatus_json(samba: Samba, held: ExitStack) -> None:
    """smbstatus 4.17 crashes over a file that is open for WRITE_OWNER, and anybody may open one so."""
    client = SMBConnection(samba.host, samba.host, sess_port=samba.port)
    held.callback(client.close)
    client.login(samba.user.user_name, samba.user.password)
    client.createFile(client.connectTree("share"), "owned.txt", desiredAccess=READ_AND_WRITE | 0x80000)
    manager = local(samba)
    for _ in range(2):
        (file,) = await files_of(manager)
        assert (file.path, file.user_name) == (str(samba.share / "owned.txt"), "daemon")
        assert file.permissions is not None
        assert file.permissions & 0x80000
        (session,) = await sessions_of(manager)
        assert (session.user_name, session.num_opens) == ("daemon", 1)
        # What tells one process from the next of the same number is kept.
        assert session.unique_id is not None
    assert manager.incomplete is None
    (not_closed,) = await manager.close_files([file])
    assert not_closed.error is not None
    assert (not_closed.error.code, not_closed.file) == (50, file)
    assert "smbstatus tells no number of it" in not_closed.error.message
    (ended,) = await manager.close_sessions([session])
    assert ended.error is None


@pytest.mark.parametrize("text_only", [False, True])
async def test_a_name_that_is_no_utf_8(start_samba: Callable[..., Samba], held: ExitStack, text_only: bool) -> None:
    """smbstatus' JSON leaves such a file out and succeeds; its tables print the byte."""
    samba = start_samba({"unix charset": "ISO8859-1"})
    shared = shared_connection(samba, held)
    tree = shared.log_on(samba.user)
    for name in ("naïve.txt", "plain.txt"):
        shared.open(tree, name)
    if not text_only:
        # The tables cannot tell this one, and need not.
        (samba.share / "three   blanks").write_text("x")
        (samba.share / "three   blanks").chmod(0o666)
        shared.open(tree, "three   blanks")
    tools = SambaTools(str(samba.directory / "smb.conf"))
    tools._has_json = not text_only
    manager = SambaLocalManager(tools, timeout=60)
    found = {Path(entry.path or "").name: entry for entry in await files_of(manager)}
    assert set(found) == {"na\udcefve.txt", "plain.txt"} | (set() if text_only else {"three   blanks"})
    odd = found["na\udcefve.txt"]
    assert (odd.id, odd.num_locks, odd.user_name) == (None, None, "daemon")
    assert manager.incomplete is None
    (session,) = await sessions_of(manager)
    assert (session.num_opens, manager.incomplete) == (len(found), None)


async def test_a_file_that_neither_output_tells_is_said(start_samba: Callable[..., Samba], held: ExitStack) -> None:
    samba = start_samba({"unix charset": "ISO8859-1"})
    shared = shared_connection(samba, held)
    tree = shared.log_on(samba.user)
    path = os.fsencode(samba.share) + b"/na\xefve   blanks"
    os.close(os.open(path, os.O_CREAT, 0o666))
    os.chmod(path, 0o666)
    shared.open(tree, "naïve   blanks")
    shared.open(tree, "plain.txt")
    manager = local(samba)
    assert [Path(entry.path or "").name for entry in await manager.files()] == ["plain.txt"]
    assert manager.incomplete == "1 open file is left out: no name that can be told"
    (session,) = await sessions_of(manager)
    assert session.num_opens is None


async def test_a_file_that_no_output_tells_is_said(samba: Samba, held: ExitStack) -> None:
    (samba.share / "three   blanks").write_text("x")
    (samba.share / "three   blanks").chmod(0o666)
    shared = shared_connection(samba, held)
    tree = shared.log_on(samba.user)
    shared.open(tree, "three   blanks")
    shared.open(tree, "plain.txt")
    tools = SambaTools(str(samba.directory / "smb.conf"))
    tools._has_json = False
    manager = SambaLocalManager(tools, timeout=60)
    assert [Path(entry.path or "").name for entry in await manager.files()] == ["plain.txt"]
    assert manager.incomplete == "1 open file is left out: no name that can be told"
    (session,) = await sessions_of(manager)
    assert session.num_opens is None
    shared.close()


# --- what ends


async def test_two_on_one_connection_end_together_or_not_at_all(samba: Samba, held: ExitStack) -> None:
    shared = shared_connection(samba, held)
    shared.log_on(samba.user)
    shared.log_on(samba.other_user)
    other = shared_connection(samba, held)
    other.log_on(samba.user)
    manager = local(samba)
    of_shared = next(entry for entry in await sessions_of(manager) if entry.user_name == "games")
    daemon = next(entry for entry in await sessions_of(manager) if entry.pid == of_shared.pid and entry != of_shared)
    (refused,) = await manager.close_sessions([daemon])
    assert refused.error is not None
    assert (refused.error.code, refused.others) == (170, [of_shared])
    assert shared.lives()
    (ended,) = await manager.close_sessions([daemon], with_others=[of_shared])
    assert (ended.error, ended.others) == (None, [of_shared])
    assert ended.note == "Samba ended the whole connection: the sessions of games went with it"
    assert not shared.lives()
    assert other.lives()


async def test_all_of_a_client_is_one_order(samba: Samba, held: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes from there is meant, and nobody from elsewhere."""
    told: list[tuple[str, ...]] = []
    control = SambaTools._control

    async def noted(self: SambaTools, *arguments: str) -> Any:
        told.append(arguments)
        return await control(self, *arguments)

    monkeypatch.setattr(SambaTools, "_control", noted)
    here = [shared_connection(samba, held) for _ in range(3)]
    here[0].log_on(samba.user)
    here[0].log_on(samba.other_user)
    for one in here[1:]:
        one.log_on(samba.user)
    manager = local(samba)
    (ended,) = await manager.close_sessions([SessionInfo("127.0.0.1", None)])
    assert ended.error is None
    assert told == [("smbd", "kill-client-ip", "127.0.0.1")]
    assert not any(one.lives() for one in here)
    (again,) = await manager.close_sessions([SessionInfo("127.0.0.1", None)])
    assert again.error is not None
    assert again.error.code == 2312


async def test_the_use_of_a_share_ends_and_sessions_stay(start_samba: Callable[..., Samba], held: ExitStack) -> None:
    samba = start_samba({"store dos attributes": "no\n[other]\npath = /usr/share"})
    shared = shared_connection(samba, held)
    daemon, games = shared.log_on(samba.user), shared.log_on(samba.other_user)
    elsewhere: TreeConnect = shared.connect(daemon.session, "other")
    alone = shared_connection(samba, held)
    operator = alone.log_on(samba.operator)
    shared.open(daemon, "a.txt")
    alone.open(operator, "b.txt")
    manager = local(samba)
    listed = {entry.user_name: entry for entry in await sessions_of(manager)}
    (refused,) = await manager.disconnect_share("SHARE", [listed["daemon"]])
    assert refused.error is not None
    assert (refused.error.code, [entry.user_name for entry in refused.others]) == (170, ["games"])
    assert "would lose it too" in refused.error.message
    assert shared.may_use(daemon)
    (ended,) = await manager.disconnect_share("SHARE", [listed["daemon"]], with_others=True)
    assert (ended.error, [entry.user_name for entry in ended.others]) == (None, ["games"])
    assert [file.path for file in await files_of(manager)] == [str(samba.share / "b.txt")]
    assert not shared.may_use(daemon)
    assert not shared.may_use(games)
    assert {entry.user_name for entry in await sessions_of(manager)} == {"daemon", "games", "bin"}
    assert [one.net_name for one in await manager.connections("\\\\127.0.0.1")] != []
    assert {one.user_name for one in await manager.connections("other")} == {"daemon"}
    # All that use it: bin alone is left.
    (last,) = await manager.disconnect_share("share")
    assert (last.error, last.session.user_name) == (None, "bin")
    assert await files_of(manager) == []
    assert await manager.disconnect_share("share") == []
    (none,) = await manager.disconnect_share("share", [listed["bin"]])
    assert none.error is not None
    assert none.error.code == 2312
    assert elsewhere.tree_connect_id is not None


async def test_all_shares_are_no_share(samba: Samba, held: ExitStack) -> None:
    """`*` is all of them for smbcontrol."""
    shared = shared_connection(samba, held)
    tree = shared.log_on(samba.user)
    manager = local(samba)
    assert await manager.disconnect_share("*") == []
    for name in ("", " "):
        with pytest.raises(Win32Error) as caught:
            await manager.disconnect_share(name)
        assert caught.value.code == 2310
    with pytest.raises(Win32Error) as caught:
        await manager._tools.close_share(ServerId(1), "*")
    assert caught.value.code == 87
    assert shared.may_use(tree)


async def test_a_share_that_is_called_like_an_option(start_samba: Callable[..., Samba], held: ExitStack) -> None:
    """smbcontrol takes `-x` for its own option, does nothing, and says that it succeeded."""
    samba = start_samba()
    with (samba.directory / "smb.conf").open("a") as file:
        file.write(f"\n[-x]\npath = {samba.share}\n")
    shared = shared_connection(samba, held)
    odd = shared.log_on(samba.user, "-x")
    usual = shared.log_on(samba.other_user)
    manager = local(samba)
    (ended,) = await manager.disconnect_share("-x")
    assert (ended.error, ended.session.user_name) == (None, "daemon")
    assert (shared.may_use(odd), shared.may_use(usual)) == (False, True)


# --- smbd goes away meanwhile


async def test_the_number_of_smbd_went_to_another_process(
    start_samba: Callable[..., Samba], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An smbd that has ended is not one with nobody on it, whoever has its number by now."""
    samba = start_samba()
    main = int((samba.directory / "pid" / "smbd.pid").read_text())
    manager = local(samba)
    assert await sessions_of(manager) == []
    samba.kill()
    kill = os.kill

    def is_there_again(pid: int, number: int) -> None:
        if pid != main:
            kill(pid, number)

    monkeypatch.setattr(os, "kill", is_there_again)
    with pytest.raises(Win32Error, match="has ended") as gone:
        await manager.sessions()
    assert gone.value.code == 1062


async def test_smbd_is_killed_between_the_plan_and_the_order(
    start_samba: Callable[..., Samba], held: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    samba = start_samba()
    shared = shared_connection(samba, held)
    shared.log_on(samba.user)
    manager = local(samba)
    found = await sessions_of(manager)
    plan = manager._tools.status

    async def killed_behind_it(*arguments: Any) -> Any:
        status = await plan(*arguments)
        if samba.runs:
            samba.kill()
        return status

    monkeypatch.setattr(manager._tools, "status", killed_behind_it)
    (result,) = await manager.close_sessions(found)
    assert result.error is not None
    assert result.error.code == 2312
    # smbstatus tells of no smbd as of one with nobody on it.
    for question in (manager.sessions(), manager.files()):
        with pytest.raises(Win32Error, match="has ended") as gone:
            await question
        assert gone.value.code == 1062


async def test_smbd_is_killed_between_the_look_and_the_order(
    start_samba: Callable[..., Samba], held: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was to end is gone: that is no error, and nobody else gets the order."""
    samba = start_samba()
    shared = shared_connection(samba, held)
    shared.log_on(samba.user)
    manager = local(samba)
    found = await sessions_of(manager)
    end = manager._tools.end_connection

    async def too_late(*arguments: Any) -> None:
        samba.kill()
        await end(*arguments)

    monkeypatch.setattr(manager._tools, "end_connection", too_late)
    (result,) = await manager.close_sessions(found)
    assert result.error is None
    assert not shared.lives()


async def test_a_process_that_serves_another_client_by_now_is_not_ended(samba: Samba, held: ExitStack) -> None:
    """The number was given to another in the moment between the look and the order: smbd itself compares the client."""
    shared = shared_connection(samba, held)
    shared.log_on(samba.user)
    (session,) = await sessions_of(local(samba))
    tools = SambaTools(str(samba.directory / "smb.conf"))
    process = (await tools.status()).sessions[0].server_id
    await tools.end_connection(process, "192.0.2.7")
    assert shared.lives()
    await tools.end_connection(process, "127.0.0.1")
    wait_until(lambda: not shared.lives())
    assert session.pid == process.pid


# --- tools that are older, or fail, between the others


def wrapped(samba: Samba, folder: Path, **scripts: str) -> SambaLocalManager:
    """A manager whose tools are the real ones, but for those of which there is a script; `$REAL` is the real one."""
    for name in ("smbstatus", "smbcontrol", "testparm"):
        real = tool(name)
        path = folder / name
        path.write_text(f'#!/bin/sh\nREAL={real}\nHERE={folder}\n{scripts.get(name, "")}\nexec "$REAL" "$@"\n')
        path.chmod(0o755)
    tools = SambaTools(str(samba.directory / "smb.conf"), folders=[folder])
    return SambaLocalManager(tools, timeout=60)


@pytest.mark.parametrize(
    "refusal",
    [
        'echo "smbstatus: --json: unknown option" >&2; exit 1',  # before 4.17
        'echo "JSON support not available, please install lib Jansson" >&2; exit 0',  # built without
    ],
)
async def test_a_samba_without_json(samba: Samba, held: ExitStack, tmp_path: Path, refusal: str) -> None:
    shared, alone = shared_connection(samba, held), shared_connection(samba, held)
    daemon = shared.log_on(samba.user)
    shared.log_on(samba.other_user)
    alone.log_on(samba.operator)
    shared.open(daemon, "a.txt")
    manager = wrapped(samba, tmp_path, smbstatus=f'case "$*" in *--json*) {refusal};; esac')
    found = {entry.user_name: entry for entry in await sessions_of(manager)}
    assert set(found) == {"daemon", "games", "bin"}
    assert {entry.unique_id for entry in found.values()} == {None}
    assert found["daemon"].pid == found["games"].pid
    (file,) = await files_of(manager)
    # The tables have no uid of sessions: with two on the connection, nothing tells whose it is.
    assert (file.id, file.path, file.user_name) == (None, str(samba.share / "a.txt"), None)
    assert [entry.num_opens for entry in (found["daemon"], found["bin"])] == [None, 0]
    ((other,),) = await manager.bystanders([found["daemon"]])
    assert other.user_name == "games"
    (ended,) = await manager.close_sessions([found["bin"]])
    assert (ended.error, alone.lives(), shared.lives()) == (None, False, True)
    (lost,) = await manager.disconnect_share("share", [found["daemon"]], with_others=True)
    assert (lost.error, [entry.user_name for entry in lost.others]) == (None, ["games"])
    assert not shared.may_use(daemon)
    assert shared.lives()


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or waits for nothing but to be fetched."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize("broken", ["smbstatus", "smbcontrol"])
async def test_a_tool_that_hangs_between_the_others(samba: Samba, held: ExitStack, tmp_path: Path, broken: str) -> None:
    """It is ended at the deadline with all that it started, and nothing is claimed that was not seen."""
    shared = shared_connection(samba, held)
    shared.log_on(samba.user)
    script = '[ -e "$HERE/hang" ] && { /bin/sleep 1000 & echo $! > "$HERE/sleeps"; wait; }'
    manager = wrapped(samba, tmp_path, **{broken: script})
    found = await sessions_of(manager)
    (tmp_path / "hang").touch()
    manager._timeout = 1.0
    if broken == "smbstatus":
        with pytest.raises(TimedOut):
            await manager.close_sessions(found)
    else:
        (result,) = await manager.close_sessions(found)
        assert isinstance(result.error, TimedOut)
    assert shared.lives()
    wait_until(lambda: has_ended(int((tmp_path / "sleeps").read_text())))
    (tmp_path / "hang").unlink()
    manager._timeout = 60
    (ended,) = await manager.close_sessions(found)
    assert ended.error is None
    assert not shared.lives()


@pytest.mark.parametrize("cut", ["/usr/bin/head -c 300", "/usr/bin/tr -d '}'", '/usr/bin/sed \'s/"pid"/"dip"/g\''])
async def test_broken_json_ends_nobody(samba: Samba, held: ExitStack, tmp_path: Path, cut: str) -> None:
    shared = shared_connection(samba, held)
    shared.log_on(samba.user)
    script = f'[ -e "$HERE/cut" ] && {{ "$REAL" "$@" | {cut}; exit 0; }}'
    manager = wrapped(samba, tmp_path, smbstatus=script)
    found = await sessions_of(manager)
    (tmp_path / "cut").touch()
    for question in (manager.sessions(), manager.files(), manager.close_sessions(found)):
        with pytest.raises(MalformedMessage, match="the output of smbstatus"):
            await question
    assert shared.lives()


# --- who is not root

AS_NOBODY = """
import os, sys
from lanman.faces.cli.main import run
configuration, words = sys.argv[1], sys.argv[2:]
# Everything is loaded while its files can be read.
run([*words, "--samba-config", configuration, "--json"])
print("----", flush=True)
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
sys.exit(run([*words, "--samba-config", configuration]))
"""


def as_nobody(samba: Samba, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LANMAN_")}
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(samba.directory / "smb.conf"), *words],
        capture_output=True,
        text=True,
        env=environment,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    done.stdout = done.stdout.partition("----\n")[2]
    return done


@pytest.mark.parametrize("words", [["session"], ["file"], ["session", "/delete", "/y"]])
def test_an_ordinary_user_is_told_the_two_ways_out(samba: Samba, held: ExitStack, words: list[str]) -> None:
    shared = shared_connection(samba, held)
    if words == ["session"]:
        shared.log_on(samba.user)
    done = as_nobody(samba, *words)
    assert (done.returncode, done.stdout) == (5, "")
    assert "System error 5 has occurred.\n\nAccess is denied." in done.stderr
    said = " ".join(done.stderr.split())
    assert "ask as root, or over the network: -S localhost -U USER" in said


def test_an_ordinary_user_sees_the_shares(samba: Samba) -> None:
    done = as_nobody(samba, "share")
    assert done.returncode == 0
    assert "\nshare " in done.stdout
    assert str(samba.share) in done.stdout
