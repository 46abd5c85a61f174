"""lanman.Server: a Server in a program or a test, and the page that tells of it."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import lanman
from lanman.errors import LanmanError
from lanman.events import Event, SessionClosed, SessionOpened
from lanman.net.client import SmbClient
from lanman.net.configuration import ConfigurationError
from lanman.net.credentials import Credentials
from support.waiting import until

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "a-server-in-a-program.md"
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[lanman.Server]:
    async with lanman.Server(
        {"data": tmp_path}, {"ann": "secret", "admin": "Adm1n"}, administrators=["admin"]
    ) as server:
        yield server


def log_on(server: lanman.Server, user: str = "ann", password: str = "secret") -> SmbClient:
    return SmbClient("127.0.0.1", server.port, Credentials(user, password))


async def test_it_says_that_it_gives_no_figures_by_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "server.toml").write_text('[server]\nlisten = ["127.0.0.1"]\nport = 0\n[metrics]\nlisten = "::1"\n')
    async with lanman.Server(configuration=tmp_path / "server.toml"):
        assert "lanman.exporter(home=server.home)" in caplog.text


async def test_it_needs_nothing_and_leaves_nothing() -> None:
    async with lanman.Server() as server:
        home = server.home
        assert server.addresses == [("127.0.0.1", server.port)]
        assert (home / "control").is_socket()
        assert home.stat().st_mode & 0o777 == 0o700
        assert [share.netname for share in server.shares()] == ["IPC$"]
        assert server.sessions() == []
        assert server.files() == []
    assert not home.exists()
    await server.stop()  # nothing comes of it


async def test_it_shows_sessions_files_and_shares(server: lanman.Server, tmp_path: Path) -> None:
    async with log_on(server) as client:
        await client.open_pipe()
        (session,) = server.sessions()
        assert (session.client_name, session.user_name, session.num_opens) == (r"\\127.0.0.1", "ann", 1)
        (file,) = server.files()
        assert (file.path, file.user_name) == (r"\PIPE\srvsvc", "ann")
        assert [(share.netname, share.path) for share in server.shares()] == [("IPC$", ""), ("data", str(tmp_path))]
    await until(lambda: not server.sessions())  # a client waits for no answer to its log-off


async def test_it_is_paused_and_continued(server: lanman.Server) -> None:
    async with log_on(server) as ann:
        assert server.pause()
        assert not server.pause()
        assert server.paused
        with pytest.raises(lanman.LanmanError) as refused:
            await log_on(server).__aenter__()
        assert refused.value.code == 70
        assert "lets administrators alone in" in (refused.value.hint or "")
        async with log_on(server, "admin", "Adm1n") as admin:
            await admin.open_pipe()
        assert server.continue_()
        assert not server.continue_()
        await ann.open_pipe()


async def test_sessions_are_ended_by_client_by_user_and_all(server: lanman.Server) -> None:
    async with log_on(server) as ann, log_on(server, "admin", "Adm1n") as admin:
        assert server.end_sessions(user="nobody") == 0
        assert server.end_sessions(user="ANN") == 1
        assert [session.user_name for session in server.sessions()] == ["admin"]
        with pytest.raises(LanmanError):
            await ann.tree_connect()
        await admin.tree_connect()
        assert server.end_sessions(client=r"\\127.0.0.2") == 0
        assert server.end_sessions(client=r"\\127.0.0.1") == 1
        assert server.end_sessions() == 0


async def test_a_file_is_closed(server: lanman.Server) -> None:
    async with log_on(server) as client:
        pipe = await client.open_pipe()
        (file,) = server.files()
        assert file.id is not None
        assert server.close_file(file.id)
        assert server.files() == []
        assert not server.close_file(file.id)
        with pytest.raises(LanmanError):
            await pipe.bind()
        assert [session.user_name for session in server.sessions()] == ["ann"]


async def test_events_are_told_until_they_are_not_wanted(
    server: lanman.Server, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Event] = []

    def fails(event: Event) -> None:
        raise ZeroDivisionError

    cancel = server.subscribe(seen.append, SessionOpened, SessionClosed)
    server.subscribe(fails)
    async with log_on(server):
        (opened,) = seen
        assert isinstance(opened, SessionOpened)
        assert opened.session.user_name == "ann"
        server.end_sessions()
        assert [type(event) for event in seen] == [SessionOpened, SessionClosed]
    assert "a subscriber of the program failed" in caplog.text
    cancel()
    async with log_on(server):
        assert len(server.sessions()) == 1
    assert len(seen) == 2


async def test_accounts_come_and_go(server: lanman.Server) -> None:
    with pytest.raises(lanman.AuthenticationError):
        async with log_on(server, "bob", "b0b"):
            pass
    server.add_account("bob", "b0b")
    async with log_on(server, "bob", "b0b"):
        pass
    server.add_account("bob", "n3w", administrator=True)
    credentials = Credentials("bob", "n3w")
    async with lanman.open_manager("127.0.0.1", credentials, port=server.port) as manager:
        assert [session.user_name for session in (await manager.sessions()).entries] == ["bob"]
    server.delete_account("bob")
    with pytest.raises(lanman.AuthenticationError):
        async with log_on(server, "bob", "n3w"):
            pass


async def test_a_home_keeps_its_accounts(tmp_path: Path) -> None:
    async with lanman.Server(accounts={"ann": "secret", "bob": "b0b"}, home=tmp_path) as server:
        assert server.home == tmp_path
        async with lanman.open_manager(home=server.home) as manager:
            assert (await manager.sessions()).entries == []
        with pytest.raises(LanmanError):
            await lanman.Server(home=tmp_path).start()
    async with lanman.Server(accounts={"ann": "another"}, home=tmp_path, administrators=["bob"]) as server:
        async with log_on(server, "ann", "another"), log_on(server, "bob", "b0b"):
            assert len(server.sessions()) == 2
        credentials = Credentials("bob", "b0b")
        async with lanman.open_manager("127.0.0.1", credentials, port=server.port) as manager:
            assert len((await manager.sessions()).entries) == 1


async def test_a_configuration_lies_below_the_arguments(tmp_path: Path) -> None:
    file = tmp_path / "server.toml"
    file.write_text('[server]\nname = "FILE"\ncomment = "from the file"\nlisten = ["127.0.0.2"]\nport = 0\n')
    with file.open("a") as more:
        more.write(f'[shares.one]\npath = "{tmp_path}"\n')
    home = tmp_path / "home"
    async with lanman.Server({"two": tmp_path}, configuration=file, home=home, comment="said") as server:
        assert [host for host, _ in server.addresses] == ["127.0.0.2"]
        assert [share.netname for share in server.shares()] == ["IPC$", "one", "two"]
        async with lanman.open_manager(home=home) as manager:
            info = await manager.server_info()
            assert (info.name, info.comment) == ("FILE", "said")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"shares": {"a/b": "/srv"}}, "is not a share name"),
        ({"shares": {"data": {"path": "/srv", "colour": "red"}}}, "colour is not a key of a share"),
        ({"shares": {"data": {"comment": "nowhere"}}}, "path must be the absolute path"),
        ({"max_sessions": -1}, "max-sessions: must be"),
        ({"listen": "localhost"}, "localhost: is not an IPv4 or IPv6 address"),
        ({"port": 65536}, "port: must be a number from 0 to 65535"),
        ({"configuration": "/nowhere/server.toml"}, "/nowhere/server.toml: there is no such file"),
    ],
)
def test_arguments_that_cannot_be(arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(complaint)):
        lanman.Server(**arguments)


async def test_a_start_that_fails_leaves_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    async with lanman.Server() as first:
        second = lanman.Server(port=first.port)
        with pytest.raises(LanmanError, match="another program listens there already"):
            await second.start()
        assert [each.name for each in tmp_path.iterdir()] == [first.home.name]
        await second.stop()
        with pytest.raises(RuntimeError, match="can be started once"):
            await first.start()
    assert list(tmp_path.iterdir()) == []


def test_it_can_be_imported_where_there_is_no_posix() -> None:
    script = "import sys\n"
    script += "for name in ('resource', 'pwd', 'grp', 'termios'):\n    sys.modules[name] = None\n"
    script += "import lanman; print(lanman.Server.__name__)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "Server\n"


async def test_a_system_that_cannot_share_folders_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "supports_dir_fd", set())
    home = tmp_path / "home"
    with pytest.raises(LanmanError, match="no Server can be run on this system"):
        await lanman.Server(home=home).start()
    assert not home.exists()


async def test_before_the_start_there_is_nothing() -> None:
    server = lanman.Server()
    for ask in (lambda: server.port, server.sessions, server.request_stop, lambda: server.home):
        with pytest.raises(RuntimeError, match="was not started"):
            ask()
    await server.stop()


async def test_it_serves_until_it_is_asked_to_stop(server: lanman.Server) -> None:
    waiting = asyncio.ensure_future(server.wait_stopped())
    await asyncio.sleep(0)
    assert not waiting.done()
    server.request_stop()
    await waiting


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_the_page_runs(number: int, tmp_path: Path) -> None:
    program = tmp_path / "test_page.py"
    program.write_text(PROGRAMS[number])
    command: Sequence[str] = [str(program)]
    if "def test_" in PROGRAMS[number]:
        command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto", str(program)]
    done = subprocess.run(
        [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "LANMAN_HOME": ""}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    expected = {0: "IPC$\nprojects\n0 sessions are left\n", 3: "TEST 10\n"}
    assert done.stdout == expected.get(number, done.stdout)
    if tests := PROGRAMS[number].count("def test_"):
        assert f"{tests} passed" in done.stdout


def test_there_are_programs_to_run() -> None:
    assert len(PROGRAMS) == 4
