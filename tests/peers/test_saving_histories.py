"""The ways in which editors and office programs save, played by six clients on our Server and on Debian's smbd.

Each history is played twice in the same folder, since much goes wrong the second time only (what the first left is in
the way). What must be on the disk afterwards stands beside the history; smbd is held to it as our Server is, so a
wrong expectation cannot stay.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from lanman.net.server import SmbServer
from lanman.settings import Configuration, ShareConfiguration
from support.file_clients import CLIENTS, FileClient, Refused, SmbProtocol, need
from support.loopback_server import PASSWORDS
from support.smbd import Account, Samba
from support.waiting import until

Step = tuple[str, *tuple[str | bytes, ...]]

# What is on the disk before, what is done, and what is there afterwards. What is read must be what is on the disk.
HISTORIES: Final[dict[str, tuple[dict[str, bytes], Sequence[Step], dict[str, bytes]]]] = {
    "overwrite in place": (
        {},
        [("write", "a.txt", b"one"), ("write", "a.txt", b"two"), ("read", "a.txt")],
        {"a.txt": b"two"},
    ),
    "overwrite dot files in place": (
        {},
        [
            ("write", ".gitignore", b"*.o"),
            ("write", ".gitignore", b"*.pyc"),
            ("write", ".DS_Store", b"\0\0\0\1Bud1"),
            ("write", ".DS_Store", b"\0\0\0\1Bud1 longer"),
            ("read", ".gitignore"),
        ],
        {".gitignore": b"*.pyc", ".DS_Store": b"\0\0\0\1Bud1 longer"},
    ),
    "vim: swap file, backup, write anew": (
        {"notes": b"old"},
        [
            ("create", ".notes.swp", b"b0VIM 9.0"),
            ("write", ".notes.swp", b"b0VIM 9.0 and more"),
            ("rename", "notes", "notes~"),
            ("write", "notes", b"new"),
            ("delete", "notes~"),
            ("delete", ".notes.swp"),
        ],
        {"notes": b"new"},
    ),
    "vim on a dot file": (
        {".bashrc": b"old"},
        [
            ("create", ".bashrc.swp", b"b0VIM 9.0"),
            ("rename", ".bashrc", ".bashrc~"),
            ("write", ".bashrc", b"new"),
            ("delete", ".bashrc~"),
            ("delete", ".bashrc.swp"),
        ],
        {".bashrc": b"new"},
    ),
    "GNOME, npm, Python: temporary file, rename over": (
        {"settings.json": b"{}"},
        [
            ("create", ".goutputstream-X1Y2Z3", b'{"a": 1}'),
            ("replace", ".goutputstream-X1Y2Z3", "settings.json"),
            ("create", ".settings.json.tmp", b'{"a": 2}'),
            ("replace", ".settings.json.tmp", "settings.json"),
        ],
        {"settings.json": b'{"a": 2}'},
    ),
    "git: lock file, rename over": (
        {},
        [
            ("write", ".gitkeep", b""),
            ("create", ".git-index.lock", b"DIRC1"),
            ("replace?", ".git-index.lock", ".git-index"),
            ("create", ".git-index.lock", b"DIRC2"),
            ("replace", ".git-index.lock", ".git-index"),
            ("delete", ".gitkeep"),
        ],
        {".git-index": b"DIRC2"},
    ),
    "Word: owner file, temporary file, two renames": (
        {"report.docx": b"PK old"},
        [
            ("create", "~$report.docx", b"\x03ann"),
            ("create", "~WRD0001.tmp", b"PK new"),
            ("rename", "report.docx", "~WRL0002.tmp"),
            ("rename", "~WRD0001.tmp", "report.docx"),
            ("delete", "~WRL0002.tmp"),
            ("delete", "~$report.docx"),
        ],
        {"report.docx": b"PK new"},
    ),
    "Excel: a name of eight digits, delete, rename": (
        {"figures.xlsx": b"PK old"},
        [
            ("create", "~$figures.xlsx", b"\x03ann"),
            ("create", "8B7C2D10", b"PK new"),
            ("rename", "figures.xlsx", "A1B2C3D0.tmp"),
            ("rename", "8B7C2D10", "figures.xlsx"),
            ("delete", "A1B2C3D0.tmp"),
            ("delete", "~$figures.xlsx"),
        ],
        {"figures.xlsx": b"PK new"},
    ),
    "LibreOffice: lock file, backup copy, write in place": (
        {"letter.odt": b"PK old and longer"},
        [
            ("create", ".~lock.letter.odt#", b",ann,pc7;"),
            ("read", "letter.odt"),
            ("write", "letter.bak", b"PK old and longer"),
            ("write", "letter.odt", b"PK new"),
            ("write", "letter.bak", b"PK old"),
            ("delete", "letter.bak"),
            ("delete", ".~lock.letter.odt#"),
        ],
        {"letter.odt": b"PK new"},
    ),
    "macOS: a folder for the safe save": (
        {"plan.txt": b"old"},
        [
            ("make_folder", ".plan.sb-4f1c-Xy"),
            ("create", ".plan.sb-4f1c-Xy/plan.txt", b"new"),
            ("write", "._plan.txt", b"\0\5\26\7"),
            ("replace", ".plan.sb-4f1c-Xy/plan.txt", "plan.txt"),
            ("remove_folder", ".plan.sb-4f1c-Xy"),
            ("delete", "._plan.txt"),
        ],
        {"plan.txt": b"new"},
    ),
    "Emacs: backup by renaming, auto-save": (
        {"main.c": b"old"},
        [
            ("write", "#main.c#", b"auto-saved"),
            ("rename", "main.c", "main.c~"),
            ("write", "main.c", b"new"),
            ("delete", "#main.c#"),
            ("delete", "main.c~"),
        ],
        {"main.c": b"new"},
    ),
}


def play(client: FileClient, folder: Path, steps: Sequence[Step]) -> None:
    """Do what a history says, in that folder of the share's root."""
    for verb, *words in steps:
        names = [word for word in words if isinstance(word, str)]
        paths = [f"{folder.name}/{name}" for name in names]
        data = [word for word in words if isinstance(word, bytes)]
        match verb:
            case "read":
                assert client.read(*paths) == (folder / names[0]).read_bytes()
            case "replace?":  # the first time there is nothing to replace
                (client.replace if (folder / names[1]).exists() else client.rename)(*paths)
            case _:
                getattr(client, verb)(*paths, *data)


def lay(file: Path, data: bytes, owner: str | None) -> None:
    """A file that was there before, of the Unix user whom the client's account is on the server."""
    file.write_bytes(data)
    if owner is not None:
        shutil.chown(file, owner)


def play_all(client: FileClient, root: Path, owner: str | None) -> None:
    for number, (name, (before, steps, after)) in enumerate(HISTORIES.items()):
        folder = root / f"history {number}"
        folder.mkdir()
        folder.chmod(0o777)
        for file, data in before.items():
            lay(folder / file, data, owner)
        for time in ("first", "second"):
            try:
                play(client, folder, steps)
                assert client.names(folder.name) == set(after)
            except Refused as error:
                pytest.fail(f"{name}, the {time} time: {error}")
            assert {each.name: each.read_bytes() for each in folder.iterdir()} == after, f"{name}, the {time} time"


def play_exclusive(client: FileClient, root: Path) -> None:
    """A lock file that is taken is not taken twice."""
    if not client.exclusive:
        return
    client.create(".lock", b"mine")
    with pytest.raises(Refused):
        client.create(".lock", b"yours")
    assert (root / ".lock").read_bytes() == b"mine"
    client.delete(".lock")


def play_while_read(client: FileClient, reader: SmbProtocol, root: Path) -> None:
    """Somebody reads. Writing over is refused or not as the reader says; whoever is refused does no harm.

    Not held against smbd: it looks for opens of what is replaced in the process of the same client alone.
    """
    lay(root / "held.txt", b"old", None)
    for sharing in ("r", "rw", "rwd"):
        with reader.open("held.txt", "rb", sharing) as held:
            client.create("held.tmp", b"new")
            with pytest.raises(Refused):
                # MS-FSA 2.1.5.15.12: no rename replaces what is open; a program that deletes first is refused, or
                # leaves it pending.
                client.replace("held.tmp", "held.txt")
            assert held.read() == b"old"
            if "w" not in sharing:
                with pytest.raises(Refused):
                    client.write("held.txt", b"over")
        if not (root / "held.txt").exists():  # it went with its reader, since the program deleted it first
            lay(root / "held.txt", b"old", None)
        assert (root / "held.txt").read_bytes() == b"old"
        client.delete("held.tmp")
    client.write("held.tmp", b"new")
    client.replace("held.tmp", "held.txt")
    assert (root / "held.txt").read_bytes() == b"new"


def play_nodes(client: FileClient, root: Path) -> None:
    """What cannot be read, such as the lock of an Emacs on the Server's machine, is in nobody's way."""
    (root / "d").mkdir()
    (root / "d" / ".#main.c").symlink_to("ann@pc7.1234:1700000000")
    (root / "d" / "leaving").symlink_to("/etc/passwd")
    os.mkfifo(root / "d" / "fifo")
    assert client.names("d") == {".#main.c", "leaving", "fifo"}
    for name in ("d/.#main.c", "d/leaving", "d/fifo"):
        for attempt in (
            lambda name=name: client.read(name),
            lambda name=name: client.create(name, b"x"),
            lambda name=name: client.write(name, b"x"),
        ):
            with pytest.raises(Refused):
                attempt()
        client.rename(name, name + "2")
        client.delete(name + "2")
    client.remove_folder("d")
    assert not (root / "d").exists()


@pytest.fixture
def configuration(folder: Path) -> Configuration:
    return Configuration(name="LANTEST", shares={"share": ShareConfiguration(str(folder))})


@pytest.mark.parametrize("name", CLIENTS)
async def test_on_our_server(server: SmbServer, folder: Path, name: str) -> None:
    need(name)
    ann = Account("ann", PASSWORDS["ann"])

    def work() -> None:
        with CLIENTS[name](server.port, ann) as client, SmbProtocol(server.port, ann) as reader:
            play_all(client, folder, None)
            play_exclusive(client, folder)
            play_while_read(client, reader, folder)
            play_nodes(client, folder)

    await asyncio.to_thread(work)
    await until(lambda: not server.service.opens())  # who leaves waits for no answer


@pytest.fixture(scope="module")
def smbd() -> Iterator[Samba]:
    # smbprotocol asks to execute what it is about to replace, which a POSIX mode grants to nobody.
    with Samba({"acl allow execute always": "yes"}) as samba:
        yield samba


@pytest.mark.root
@pytest.mark.samba
@pytest.mark.parametrize("name", CLIENTS)
def test_on_smbd(smbd: Samba, name: str) -> None:
    need(name)
    try:
        with CLIENTS[name](smbd.port, smbd.user) as client:
            play_all(client, smbd.share, smbd.user.user_name)
            play_exclusive(client, smbd.share)
    finally:
        for each in smbd.share.iterdir():
            shutil.rmtree(each)
