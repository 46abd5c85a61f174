"""Our Server's folders under smbclient: what people do with files, in every dialect, signed and encrypted."""

from __future__ import annotations

import asyncio
import os
import re
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lanman.net.server import SmbServer
from lanman.settings import Configuration, ShareConfiguration
from support.loopback_server import PASSWORDS
from support.smbd import Account, Tools

pytest.importorskip("impacket")
from impacket.dcerpc.v5 import srvs, transport
from impacket.smbconnection import SMBConnection

pytestmark = pytest.mark.samba("smbclient", "rpcclient")

ACCOUNTS = {name: Account(name, password) for name, password in PASSWORDS.items()}
DIALECTS = ("SMB2_02", "SMB2_10", "SMB3_00", "SMB3_02", "SMB3_11")


@pytest.fixture
def configuration(tmp_path: Path, folder: Path) -> Configuration:
    path = str(folder)
    return Configuration(
        name="LANTEST",
        shares={
            "share": ShareConfiguration(path, comment="Everybody's"),
            "readers": ShareConfiguration(path, read=("bob",), write=("Administrators",)),
            "secret$": ShareConfiguration(path, encryption=True, hidden=True),
            "one": ShareConfiguration(path, max_users=1),
            "source": ShareConfiguration(path, windows_names="allow"),
        },
    )


@pytest.fixture
def tools(server: SmbServer, samba_tools: Callable[..., Tools]) -> Tools:
    return samba_tools(server.port)


async def smb(tools: Tools, user: str, command: str, share: str = "share", options: tuple[str, ...] = ()) -> str:
    return await asyncio.to_thread(tools.smbclient, ACCOUNTS[user], command, share, options=options)


@pytest.mark.parametrize("protection", ["sign", "encrypt"])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_day_with_files(tools: Tools, folder: Path, tmp_path: Path, dialect: str, protection: str) -> None:
    if protection == "encrypt" and dialect.startswith("SMB2"):
        pytest.skip("only on SMB 3 can anything be encrypted")
    here = tmp_path / "here"
    here.mkdir()
    data = os.urandom(3_000_001)
    (here / "in.bin").write_bytes(data)
    said = await smb(
        tools,
        "ann",
        f"lcd {here}; mkdir dir; cd dir; put in.bin a.bin; rename a.bin b.bin; ls; get b.bin out.bin; allinfo b.bin; "
        "cd ..; recurse; ls; tar c all.tar dir",
        options=("-m", dialect, f"--client-protection={protection}"),
    )
    assert "NT_STATUS" not in said, said
    assert (here / "out.bin").read_bytes() == data
    assert (folder / "dir" / "b.bin").read_bytes() == data
    assert said.count("b.bin") >= 3
    assert "stream: [::$DATA], 3000001 bytes" in said
    with tarfile.open(here / "all.tar") as archive:
        assert [member.size for member in archive if member.name.endswith("b.bin")] == [len(data)]
    said = await smb(
        tools,
        "ann",
        f"lcd {here}; deltree dir; tar x all.tar; cd dir; del b.bin; cd ..; rmdir dir; ls",
        options=("-m", dialect, f"--client-protection={protection}"),
    )
    assert "NT_STATUS" not in said, said
    assert list(folder.iterdir()) == []


async def test_names_of_every_kind(tools: Tools, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    for name in ("Ünïcödé", "日本語", "with space", "🙂"):
        said = await smb(tools, "ann", f'lcd {tmp_path}; put x "{name}"; allinfo "{name}"')
        assert "NT_STATUS" not in said, said
        assert (folder / name).exists()
    said = await smb(tools, "ann", "allinfo ÜNÏCÖDÉ; allinfo WITH*")
    assert said.count("NT_STATUS") == 1  # a pattern is no name


async def test_who_may_do_what(tools: Tools, folder: Path, tmp_path: Path) -> None:
    (folder / "a").write_text("a")
    command = f"lcd {tmp_path}; get a; put a b"
    assert "NT_STATUS_ACCESS_DENIED" in await smb(tools, "ann", "ls", "readers")
    said = await smb(tools, "bob", command, "readers")
    assert "getting file \\a" in said
    assert said.count("NT_STATUS_ACCESS_DENIED") == 1
    assert "NT_STATUS" not in await smb(tools, "admin", command, "readers")
    assert (folder / "b").exists()


async def test_a_share_that_is_encrypted(server: SmbServer, tools: Tools) -> None:
    assert "NT_STATUS" not in await smb(tools, "ann", "ls", "secret$")
    refused = await smb(tools, "ann", "ls", "secret$", ("-m", "SMB2_10"))
    assert "NT_STATUS_ACCESS_DENIED" in refused


async def test_a_share_that_is_full(tools: Tools) -> None:
    held = await asyncio.to_thread(tools.hold, ACCOUNTS["ann"], "one")
    try:
        assert "NT_STATUS_REQUEST_NOT_ACCEPTED" in await smb(tools, "bob", "ls", "one")
    finally:
        await asyncio.to_thread(held.close)
    assert "NT_STATUS" not in await smb(tools, "bob", "ls", "one")


async def test_shares_are_listed(tools: Tools) -> None:
    said = await asyncio.to_thread(
        tools.run, "smbclient", ACCOUNTS["ann"], "-L", "127.0.0.1", "--option=client min protocol=SMB2_02"
    )
    assert "Everybody's" in said
    assert "secret$" not in said


def close_by_impacket(port: int, number: int) -> None:
    connection = SMBConnection("127.0.0.1", "127.0.0.1", sess_port=port)
    try:
        connection.login("admin", PASSWORDS["admin"])
        rpc = transport.SMBTransport("127.0.0.1", filename=r"\srvsvc", smb_connection=connection).get_dce_rpc()
        rpc.connect()
        rpc.bind(srvs.MSRPC_UUID_SRVS)
        srvs.hNetrFileClose(rpc, number)
    finally:
        connection.close()


async def test_an_open_file_is_seen_and_closed(server: SmbServer, tools: Tools, folder: Path) -> None:
    (folder / "a.txt").write_text("a")
    held = await asyncio.to_thread(tools.hold, ACCOUNTS["ann"])
    try:
        await asyncio.to_thread(held.command, "open a.txt")
        listed = await asyncio.to_thread(tools.rpcclient, ACCOUNTS["admin"], "netfileenum")
        assert "a.txt" in listed, listed
        (opened,) = (each for each in server.service.opens() if each.path.endswith("a.txt"))
        await asyncio.to_thread(close_by_impacket, server.port, opened.global_id)
        assert not [each for each in server.service.opens() if each.path.endswith("a.txt")]
        assert "NT_STATUS_FILE_CLOSED" in await asyncio.to_thread(held.command, "close 1")
        assert "a.txt" in await asyncio.to_thread(held.command, "ls")
    finally:
        await asyncio.to_thread(held.close)


async def test_names_that_people_type(tools: Tools, folder: Path, tmp_path: Path) -> None:
    """As smbd takes them: two separators for one, and a short name that opens its file or none."""
    (folder / "dir").mkdir()
    (folder / "dir" / "Quarterly figures.xlsx").write_text("x")
    (folder / "dir" / "README.TXT").write_text("x")
    said = await smb(tools, "ann", 'allinfo "dir\\\\\\\\Quarterly figures.xlsx"; allinfo dir/README.TXT')
    assert "NT_STATUS" not in said, said
    assert [line.split(":")[1].strip() for line in said.splitlines() if line.startswith("altname")] == [
        "",
        "README.TXT",
    ]
    assert said.count("stream: [::$DATA], 1 bytes") == 2


async def test_a_dot_file_is_put_twice(tools: Tools, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    (folder / ".local").write_text("a local program's")
    said = await smb(
        tools,
        "ann",
        f"lcd {tmp_path}; put x .gitignore; put x .gitignore; put x .local; rename .local .new; put x .new",
    )
    assert "NT_STATUS" not in said, said
    assert sorted(os.listdir(folder)) == [".gitignore", ".new"]
    assert (folder / ".new").read_text() == "x"


async def test_a_read_only_file(tools: Tools, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    said = await smb(tools, "ann", f"lcd {tmp_path}; put x a; put x b; setmode a +r; ls")
    assert "NT_STATUS" not in said, said
    for command in ("put x a", "del a", "rename b a -f"):
        assert "NT_STATUS_" in await smb(tools, "ann", f"lcd {tmp_path}; {command}"), command
    assert sorted(os.listdir(folder)) == ["a", "b"]
    (folder / "b").chmod(0o444)
    said = await smb(tools, "ann", f"lcd {tmp_path}; del b; setmode a -r; put x a; del a")
    assert "NT_STATUS" not in said, said
    assert os.listdir(folder) == []


async def test_a_time_that_was_set_stays(tools: Tools, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    said = await smb(tools, "ann", f'lcd {tmp_path}; put x; utimes x -1 -1 "1980:01:01-00:00:00" -1; allinfo x')
    assert "NT_STATUS" not in said, said
    assert re.search(r"write_time: +Tue Jan +1 00:00:00 1980", said), said


async def test_what_cannot_be_read_is_listed_and_deleted(tools: Tools, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("secret")
    (folder / "d").mkdir()
    (folder / "d" / "dangling").symlink_to("nowhere")
    (folder / "d" / "leaving").symlink_to(tmp_path / "outside")
    os.mkfifo(folder / "d" / "fifo")
    (folder / "file").write_text("inside")
    (folder / "d" / "inside").symlink_to(folder / "file")
    said = await smb(tools, "ann", f"lcd {tmp_path}; cd d; ls; get inside; rename dangling lost")
    assert "NT_STATUS" not in said, said
    assert all(name in said for name in ("dangling", "leaving", "fifo"))
    assert (tmp_path / "inside").read_text() == "inside"
    said = await smb(tools, "ann", f"lcd {tmp_path}; cd d; get leaving")
    assert "NT_STATUS_ACCESS_DENIED" in said
    assert "NT_STATUS" not in (said := await smb(tools, "ann", "deltree d; ls")), said
    assert os.listdir(folder) == ["file"]
    assert (tmp_path / "outside").read_text() == "secret"


async def test_names_of_devices(tools: Tools, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    assert "NT_STATUS_OBJECT_NAME_INVALID" in await smb(tools, "ann", f"lcd {tmp_path}; put x aux.c")
    said = await smb(tools, "ann", f"lcd {tmp_path}; put x aux.c; rename aux.c con; ls; get con y", "source")
    assert "NT_STATUS" not in said, said
    assert (folder / "con").exists()
    assert (tmp_path / "y").read_text() == "x"
