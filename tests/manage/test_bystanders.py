"""Several users on one TCP connection, as terminal servers have them: who goes along is named, and left alone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

import lanman
from lanman.manage.granted import GrantedLevels
from lanman.manage.manager import Manager
from lanman.net.credentials import Credentials
from lanman.net.server import SmbServer
from lanman.settings import Configuration, ShareConfiguration
from support.loopback_server import PASSWORDS, running_server
from support.smbd import Account, Samba

smb_connection = pytest.importorskip("smbprotocol.connection")
smb_session = pytest.importorskip("smbprotocol.session")
smb_tree = pytest.importorskip("smbprotocol.tree")
smb_open = pytest.importorskip("smbprotocol.open")


class Terminal:
    """A client whose users share one TCP connection."""

    def __init__(self, host: str, port: int, share: str) -> None:
        self._connection = smb_connection.Connection(uuid.uuid4(), host, port)
        self._connection.connect(timeout=30)
        self._share = f"\\\\{host}\\{share}"
        self._trees: dict[str, object] = {}

    def log_on(self, account: Account) -> None:
        session = smb_session.Session(self._connection, account.user_name, account.password, require_encryption=False)
        session.connect()
        self._trees[account.user_name] = tree = smb_tree.TreeConnect(session, self._share)
        tree.connect()

    def open(self, account: Account, name: str) -> None:
        opened = smb_open.Open(self._trees[account.user_name], name)
        opened.create(
            smb_open.ImpersonationLevel.Impersonation,
            smb_open.FilePipePrinterAccessMask.GENERIC_READ,
            smb_open.FileAttributes.FILE_ATTRIBUTE_NORMAL,
            smb_open.ShareAccess.FILE_SHARE_READ,
            smb_open.CreateDisposition.FILE_OPEN,
            smb_open.CreateOptions.FILE_NON_DIRECTORY_FILE,
        )

    def lives(self) -> bool:
        try:
            self._connection.echo(timeout=30)
        except Exception:  # noqa: BLE001  # whatever the library makes of a dead connection
            return False
        return True

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._connection.disconnect(close=False)


@contextlib.contextmanager
def terminal(host: str, port: int, share: str, *accounts: Account) -> Iterator[Terminal]:
    client = Terminal(host, port, share)
    try:
        for account in accounts:
            client.log_on(account)
        yield client
    finally:
        client.close()


async def users(manager: Manager) -> list[str]:
    return sorted(entry.user_name or "" for entry in (await manager.sessions()).entries)


# --- smbd


@pytest.fixture
def together(samba: Samba) -> Iterator[Terminal]:
    """daemon with a file open and games with nothing, on one connection."""
    (samba.share / "plan.txt").write_text("plan")
    with terminal(samba.host, samba.port, "share", samba.user, samba.other_user) as client:
        client.open(samba.user, "plan.txt")
        yield client


def administrator(samba: Samba) -> contextlib.AbstractAsyncContextManager[Manager]:
    return lanman.open_manager(
        samba.host,
        Credentials("root", samba.administrator.password),
        port=samba.port,
        timeout=60,
        granted=GrantedLevels(),
    )


@pytest.mark.samba
@pytest.mark.root
async def test_smbd_would_end_them_together(samba: Samba, together: Terminal) -> None:
    async with administrator(samba) as manager:
        (target,) = (await manager.sessions(user="games")).entries
        (others,) = await manager.bystanders([target])
        assert [(other.user_name, other.num_opens) for other in others] == [("daemon", 1)]
        (alone,) = await manager.close_sessions([target])
        assert alone.error is not None
        assert alone.error.code == 170
        assert "daemon (1 open file)" in alone.error.message
        assert await users(manager) == ["daemon", "games", "root"]
        assert await asyncio.to_thread(together.lives)
        (ended,) = await manager.close_sessions([target], with_others=others)
        assert ended.error is None
        assert [other.user_name for other in ended.others] == ["daemon"]
        assert "daemon (1 open file)" in (ended.note or "")
        assert await users(manager) == ["root"]
    assert not await asyncio.to_thread(together.lives)


@pytest.mark.samba
@pytest.mark.root
async def test_all_of_a_client_of_smbd_are_ended_without_more_ado(samba: Samba, together: Terminal) -> None:
    async with administrator(samba) as manager:
        both = [entry for entry in (await manager.sessions()).entries if entry.user_name != "root"]
        assert await manager.bystanders(both) == [[], []]
        assert [ended.error for ended in await manager.close_sessions(both)] == [None, None]
        assert await users(manager) == ["root"]


@pytest.mark.samba
@pytest.mark.root
def test_the_command_asks_before_it_ends_others_of_smbd(samba: Samba, together: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.touch(0o600)
    file.write_text(f"username = root\npassword = {samba.administrator.password}\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LANMAN_")}

    def run(*words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        server = f"--server={samba.host}:{samba.port}"
        return subprocess.run(
            [sys.executable, "-m", "lanman", "session", *words, server, "-A", str(file), "--timeout", "60"],
            input=typed,
            capture_output=True,
            text=True,
            env=environment,
        )

    refused = run("--user", "games", "/delete", "/y", "--json")
    assert refused.returncode == 2
    (record,) = json.loads(refused.stdout)["ended"]
    assert record["error"] == 170
    assert [(other["user_name"], other["num_opens"]) for other in record["others"]] == [("daemon", 1)]
    asked = run("--user", "games", "/delete", typed="\n")
    assert asked.returncode == 2
    assert f"\\\\{samba.host}, daemon (open files: 1)" in asked.stdout
    assert asked.stdout.endswith("Do you want to continue this operation? (Y/N) [N]: ")
    assert together.lives()
    assert run("--user", "games", "/delete", "/y", "/withothers").returncode == 0
    assert not together.lives()


# --- our Server ends a session and nothing else


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[SmbServer]:
    async with running_server(tmp_path / "home", Configuration(name="LANTEST")) as server:
        yield server


async def test_our_server_ends_one_of_two_on_a_connection(server: SmbServer) -> None:
    ann, bob = (Account(name, PASSWORDS[name]) for name in ("ann", "bob"))

    def start() -> tuple[contextlib.ExitStack, Terminal]:
        stack = contextlib.ExitStack()
        client = stack.enter_context(terminal("127.0.0.1", server.port, "IPC$", ann, bob))
        return stack, client

    stack, client = await asyncio.to_thread(start)
    try:
        async with lanman.open_manager(home=server.home.path) as manager:
            (target,) = (await manager.sessions(user="bob")).entries
            assert await manager.bystanders([target]) == [[]]
            (ended,) = await manager.close_sessions([target])
            assert (ended.error, ended.others) == (None, [])
            assert await users(manager) == ["ann"]
        assert await asyncio.to_thread(client.lives)
    finally:
        await asyncio.to_thread(stack.close)


async def test_a_listed_path_selects_itself_on_our_server(tmp_path: Path) -> None:
    names = ["[ab].txt", "a.txt", "b.txt", "A.txt", "{a,b}", "~1", "a b .txt"]
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    for name in names:
        (folder / name).write_text("text")
    ann = Account("ann", PASSWORDS["ann"])
    configuration = Configuration(name="LANTEST", shares={"data": ShareConfiguration(str(folder), read=("ann",))})

    def open_all(port: int) -> tuple[contextlib.ExitStack, Terminal]:
        stack = contextlib.ExitStack()
        client = stack.enter_context(terminal("127.0.0.1", port, "data", ann))
        for name in names:
            client.open(ann, name)
        return stack, client

    async with running_server(tmp_path / "home", configuration) as server:
        stack, _ = await asyncio.to_thread(open_all, server.port)
        try:
            async with lanman.open_manager(home=server.home.path) as manager:
                listed = [entry.path or "" for entry in await manager.files()]
                assert sorted(Path(path).name for path in listed) == sorted(names)
                for path in listed:
                    assert [entry.path for entry in await manager.files(path=path)] == [path]
                (folder_alone,) = {str(Path(path).parent) for path in listed}
                assert await manager.files(path=folder_alone) == []
                assert len(await manager.files(path=f"{folder_alone}/*")) == len(names)
                (chosen,) = await manager.files(path=f"{folder_alone}/[ab].txt")
                (closed,) = await manager.close_files([chosen])
                assert (closed.error, closed.file.path) == (None, chosen.path)
                left = {Path(entry.path or "").name for entry in await manager.files()}
                assert left == set(names) - {"[ab].txt"}
        finally:
            await asyncio.to_thread(stack.close)


async def test_files_are_listed_at_home_by_their_names_on_the_disk(tmp_path: Path) -> None:
    """What the wire cannot say travels in other characters. Who types the name that `ls` shows means that file."""
    names = {
        b"a*b.txt": "a\uf021b.txt",
        b"aXb.txt": "aXb.txt",
        b"a?b.txt": "a\uf025b.txt",
        b"a\\b.txt": "a\uf026b.txt",
        b"dot.": "dot\uf029",
        b"blank ": "blank\uf028",
        b"latin-\xe9": "latin-\uefe9",
        "stra\u00dfe".encode(): "stra\u00dfe",
    }
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    for name in names:
        (folder / os.fsdecode(name)).write_text("text")
    ann = Account("ann", PASSWORDS["ann"])
    configuration = Configuration(name="LANTEST", shares={"data": ShareConfiguration(str(folder), read=("ann",))})

    def open_all(port: int) -> contextlib.ExitStack:
        stack = contextlib.ExitStack()
        client = stack.enter_context(terminal("127.0.0.1", port, "data", ann))
        for name in names.values():
            client.open(ann, name)
        return stack

    async with running_server(tmp_path / "home", configuration) as server:
        stack = await asyncio.to_thread(open_all, server.port)
        try:
            async with lanman.open_manager(home=server.home.path) as manager:
                on_disk = {f"{folder}/{os.fsdecode(name)}" for name in names}
                assert {entry.path for entry in await manager.files()} == on_disk
                for path in on_disk:
                    assert [entry.path for entry in await manager.files(path=path)] == [path]
                assert [entry.path for entry in await manager.files(path=f"{folder}/A*B.TXT")] != [f"{folder}/a*b.txt"]
                (closed,) = await manager.close_files(await manager.files(path=f"{folder}/a*b.txt"))
                assert (closed.error, closed.file.path) == (None, f"{folder}/a*b.txt")
                assert {entry.path for entry in await manager.files()} == on_disk - {f"{folder}/a*b.txt"}
        finally:
            await asyncio.to_thread(stack.close)
