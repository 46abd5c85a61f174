"""A Server that root starts and that becomes an ordinary user: whom it may be, what it owns, what it still needs."""

from __future__ import annotations

import asyncio
import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lanman.auth.accounts import Accounts
from lanman.errors import AccessDenied
from lanman.net.accounts import AccountFile
from lanman.net.configuration import ConfigurationError
from lanman.net.home import Home
from lanman.net.privileges import acting_as, become, user_to_become

pytestmark = pytest.mark.root

ANN = 12345


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder that every user may reach, other than pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    path = tmp_path / "home"
    path.mkdir(mode=0o700)
    return Home(path)


def test_whom_it_may_become(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = pwd.getpwnam("nobody")
    assert user_to_become("", home) is None
    assert user_to_become("root", home) is None
    assert user_to_become("nobody", home) == nobody
    os.chown(home.path, nobody.pw_uid, nobody.pw_gid)
    assert user_to_become("nobody", home) == nobody
    with pytest.raises(ConfigurationError, match="has no user 'nobody-at-all'"):
        user_to_become("nobody-at-all", home)
    monkeypatch.setattr(os, "geteuid", lambda: nobody.pw_uid)
    assert user_to_become("nobody", home) is None
    with pytest.raises(AccessDenied, match="only root can become daemon"):
        user_to_become("daemon", home)


@pytest.mark.parametrize("user", ["", "root", "daemon"])
def test_root_is_never_root_where_somebody_else_writes_the_configuration(home: Home, user: str) -> None:
    """Who has broken into the service is its user, and may take `user` out of server.toml."""
    nobody = pwd.getpwnam("nobody")
    os.chown(home.path, nobody.pw_uid, nobody.pw_gid)
    with pytest.raises(AccessDenied, match="must become nobody") as caught:
        user_to_become(user, home)
    assert caught.value.hint is not None
    assert 'user = "nobody"' in caught.value.hint


@pytest.fixture
def stay(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("initgroups", "setgid", "setuid"):
        monkeypatch.setattr(os, name, lambda *_: None)


@pytest.mark.usefixtures("stay")
def test_only_files_of_root_s_home_are_given_away(home: Home, tmp_path: Path) -> None:
    victim = tmp_path / "shadow"
    victim.write_text("root:hash")
    (home.path / "accounts").write_text("")
    (home.path / "link").symlink_to(victim)
    os.link(victim, home.path / "hard link")
    (home.path / "folder").mkdir()
    os.mkfifo(home.path / "fifo")
    nobody = pwd.getpwnam("nobody")
    become(nobody, home)
    assert victim.stat().st_uid == 0
    owners = {path.name: path.lstat().st_uid for path in (home.path, *home.path.iterdir())}
    assert owners == {
        "home": nobody.pw_uid,
        "accounts": nobody.pw_uid,
        "link": 0,
        "hard link": 0,
        "folder": 0,
        "fifo": 0,
    }


@pytest.mark.usefixtures("stay")
def test_in_a_home_that_is_its_user_s_nothing_is_given_away(home: Home, tmp_path: Path) -> None:
    """A hard link may lose its other name, so that nothing tells what it once was."""
    old = tmp_path / "shadow-"
    old.write_text("root:hash")
    os.link(old, home.path / "loot")
    old.unlink()
    nobody = pwd.getpwnam("nobody")
    os.chown(home.path, nobody.pw_uid, nobody.pw_gid)
    become(nobody, home)
    assert (home.path / "loot").stat().st_uid == 0


@contextmanager
def serving(*words: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "lanman", "serve", "--listen=127.0.0.1", "--port=0", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/") as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("keep", [0, 3])
def test_the_service_s_user_has_root_log_to_no_file_of_root_s(home: Home, tmp_path: Path, keep: int) -> None:
    """It writes server.toml: root would append to any file of the machine, make one anywhere, or empty it."""
    victim, new = tmp_path / "victim", tmp_path / "new"
    victim.write_text("root:secret")
    nobody = pwd.getpwnam("nobody")
    for log in (victim, new):
        home.configuration.write_text(
            f'[server]\nuser = "nobody"\n[log]\nfile = "{log}"\nmax_bytes = 1\nkeep = {keep}\n'
        )
        for path in (home.path, home.configuration):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        with serving(f"--home={home.path}") as process:
            _, said = process.communicate(timeout=30)
        assert f"{log}: the log cannot be opened: Permission denied" in said
    assert victim.read_text() == "root:secret"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["home", "victim"]


@pytest.mark.parametrize("named", [False, True])
def test_a_log_that_root_names_is_its_user_s(home: Home, tmp_path: Path, named: bool) -> None:
    """In a home that is root's, or in a file of root's that is named: the same Server can open it again."""
    log = tmp_path / "server.log"
    configuration = tmp_path / "lanman.toml" if named else home.configuration
    configuration.write_text(f'[server]\nuser = "nobody"\n[log]\nfile = "{log}"\n')
    nobody = pwd.getpwnam("nobody")
    words = [f"--home={home.path}", *([f"--config={configuration}"] if named else [])]
    for _ in range(2):
        with serving(*words) as process:
            assert process.stdout is not None
            assert "started successfully" in process.stdout.readline()
        assert (log.stat().st_uid, log.stat().st_gid) == (nobody.pw_uid, nobody.pw_gid)
        assert "running as nobody" in log.read_text()
        assert home.path.stat().st_uid == nobody.pw_uid


def test_rights_come_back(tmp_path: Path) -> None:
    before = os.geteuid(), os.getegid(), os.getgroups()
    with pytest.raises(PermissionError), acting_as(pwd.getpwnam("nobody")):
        (tmp_path / "file").touch()
    assert (os.geteuid(), os.getegid(), os.getgroups()) == before


SCRIPT = """
import asyncio, os, sys
from pathlib import Path
from lanman.settings import Configuration, ShareConfiguration
from lanman.net.home import Home
from lanman.net.server import SmbServer

class Nothing:
    def find_spec(self, name, path=None, target=None):
        wanted.append(name)
        raise ImportError(name + " is out of reach")

wanted = []

async def main():
    shares = {"data": ShareConfiguration(sys.argv[2])}
    configuration = Configuration(listen=("127.0.0.1",), port=0, user="nobody", shares=shares)
    real = os.setuid
    def setuid(uid):
        real(uid)
        sys.meta_path[:] = [Nothing()]
    os.setuid = setuid
    async with SmbServer(configuration, Home(sys.argv[1]), read=lambda: configuration) as server:
        assert os.geteuid() != 0
        print(server.port, flush=True)
        await server.wait_stopped()
    print(*wanted)

asyncio.run(main())
"""


@contextmanager
def started(home: Home, data: Path) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(home.path), str(data)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline()), process
        finally:
            process.kill()


@pytest.mark.samba("smbclient")
@pytest.mark.parametrize("protection", ["sign", "encrypt"])
def test_nothing_is_imported_once_rights_are_dropped(home: Home, tmp_path: Path, protection: str) -> None:
    """The new user may not read where it would come from, or may write there."""
    from lanman.net.control.client import ControlClient

    data = tmp_path / "data"
    data.mkdir()
    os.chown(data, pwd.getpwnam("nobody").pw_uid, -1)

    def change(accounts: Accounts) -> None:
        accounts.add("ann", "Secret1")
        accounts.add_member("Administrators", "ann")

    AccountFile(home.accounts).update(change)

    async def manage() -> None:
        async with ControlClient(home.control) as client:
            await client.reload()
            assert await client.session_details() == []
            await client.stop()

    with started(home, data) as (port, process):
        (tmp_path / "letter").write_text("dear bob")
        where = ["//127.0.0.1/data", "-p", str(port), "-U", "ann%Secret1", f"--client-protection={protection}"]
        words = f"put {tmp_path}/letter letter; ls; rename letter note; get note {tmp_path}/back; del note; df; mkdir x"
        done = subprocess.run(["smbclient", *where, "-c", words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert (tmp_path / "back").read_text() == "dear bob"
        wrong = subprocess.run(["smbclient", *where[:4], "ann%wrong", "-c", "ls"], capture_output=True, text=True)
        assert "LOGON_FAILURE" in wrong.stdout + wrong.stderr
        asyncio.run(manage())
        assert process.stdout is not None
        assert process.stdout.read().split() == []
