"""The command against a real Server of its own: started, asked and told over both ways, stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lanman.errors import LanmanError
from lanman.net.client import SmbClient
from lanman.net.credentials import Credentials
from lanman.rpc.srvsvc import NetrServerGetInfo
from support.waiting import free_port

Lanman = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def lanman(tmp_path: Path) -> Lanman:
    """Runs the command with a home of its own; `typed` is its standard input."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LANMAN_")}
    environment["LANMAN_HOME"] = str(tmp_path / "home")

    def run(*words: str, typed: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "lanman", *words],
            input=typed,
            capture_output=True,
            text=True,
            env=environment | more,
            timeout=60,
        )

    return run


@pytest.fixture
def port(lanman: Lanman) -> Iterator[int]:
    """The port of a Server with the administrator ann and the user bob, which is stopped in the end."""
    port = free_port()
    for name in ("ann", "bob"):
        assert lanman("user", name, "*", "/add", typed=f"{name}'s secret\n").returncode == 0
    assert lanman("localgroup", "Administrators", "ann", "/add").returncode == 0
    started = lanman("start", "server", "--listen", "127.0.0.1", "--port", str(port), "--timeout", "30")
    assert started.stdout == "The Server service is starting.\nThe Server service was started successfully.\n\n"
    assert started.returncode == 0
    yield port
    lanman("stop", "server", "--timeout", "30")


# Whole packages, or modules, that no list of another machine's sessions needs.
NOT_FOR_A_LIST = {
    *("rich", "tomllib", "tomli_w", "spnego", "gssapi", "sqlite3", "multiprocessing", "email", "http", "urllib"),
    *("cryptography.x509", "cryptography.hazmat.backends", "concurrent.futures.thread", "concurrent.futures.process"),
    *("importlib.metadata", "json", "csv", "getpass", "secrets", "random", "shutil", "tempfile", "aiohappyeyeballs"),
    *("lanman.domain", "lanman.server", "lanman.net.server", "lanman.net.control", "lanman.net.disk", "lanman.fscc"),
    *("lanman.settings", "lanman.fleet", "lanman.compat", "lanman.faces.tui", "lanman.faces.web"),
    *("lanman.manage.history", "lanman.manage.metrics", "lanman.manage.policies", "lanman.manage.own"),
    *("lanman.faces.cli.helptext", "lanman.faces.cli.completion", "lanman.faces.cli.sessionends"),
    *("click", "ssl", "uuid", "platform", "pkgutil", "datetime", "gettext"),
    *("lanman.manage.orders", "lanman.manage.watching", "lanman.manage.samba"),
    *(f"lanman.rpc.srvsvc.{noun}" for noun in ("shares", "server", "transports", "connections", "files", "names")),
}


def test_a_list_loads_and_compiles_no_more_than_it_needs(port: int, tmp_path: Path) -> None:
    """Counts, and no times: those are in benchmarks/startup.py."""
    program = (
        "import builtins, gc, sys; compiled = []; searches = []; compile_ = compile; execute = exec\n"
        # Not the files of modules, whose bytecode may have to be made.
        "builtins.compile = lambda source, name, *more, **named: "
        "(str(name).startswith('<') and compiled.append(len(source)), compile_(source, name, *more, **named))[1]\n"
        "builtins.exec = lambda source, *more: "
        "(isinstance(source, str) and compiled.append(len(source)), execute(source, *more))[1]\n"
        "from lanman.__main__ import main\n"
        "gc.callbacks.append(lambda phase, about: searches.append(phase))\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    from lanman.shown import _unsafe\n"
        "    print(len(searches), _unsafe.cache_info().currsize, file=sys.stderr)\n"
        "    large = len([size for size in compiled if size > 100])\n"
        "    print(large, sum(compiled), *sorted(sys.modules), file=sys.stderr)"
    )
    words = ["session", "-S", f"127.0.0.1:{port}", "-U", "ann%ann's secret"]
    # What measures coverage loads and compiles much itself.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    environment |= {"LANMAN_HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": str(tmp_path)}
    shown = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, env=environment, check=True, timeout=60
    )
    assert "127.0.0.1" in shown.stdout
    searches, sets, number, size, *loaded = shown.stderr.split()
    assert (searches, sets) == ("0", "0")  # for cycles among its objects; of characters that no name here has
    assert [name for name in loaded if any(f"{name}.".startswith(f"{each}.") for each in NOT_FOR_A_LIST)] == []
    assert len([name for name in loaded if name.partition(".")[0] == "lanman"]) <= 80
    assert len(loaded) <= 247
    # The messages and the answer that this command uses, in the direction in which it uses them; and no other class.
    assert int(number) <= 45
    assert int(size) <= 60_000


async def test_a_session_is_listed_and_ended(lanman: Lanman, port: int) -> None:
    client = SmbClient("127.0.0.1", port, Credentials("bob", "bob's secret"))
    try:
        await client.connect()
        await client.log_on()
        pipe = await client.open_pipe("srvsvc")
        here = json.loads(lanman("session", "--json").stdout)
        assert [(one["client_name"], one["user_name"], one["num_opens"]) for one in here["sessions"]] == [
            ("\\\\127.0.0.1", "bob", 1)
        ]
        assert here["sessions"][0]["dialect"] == "3.1.1"
        there = lanman("session", "-S", f"127.0.0.1:{port}", "-U", "ann%ann's secret", "--user", "bob")
        assert there.stdout.splitlines()[4].split()[:3] == ["\\\\127.0.0.1", "bob", "1"]
        assert "IPC$           IPC           1" in lanman("session", "127.0.0.1").stdout

        refused = lanman("session", "/delete", typed="n\n")
        assert refused.returncode == 2
        await pipe.call(NetrServerGetInfo(None, 100))

        ended = lanman("session", r"\\127.0.0.1", "/delete", "/y")
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "The command completed successfully.\n\n", "")
        assert lanman("session").stdout == "There are no entries in the list.\n\n"
        with pytest.raises(LanmanError, match="The remote user session has been deleted"):
            await pipe.call(NetrServerGetInfo(None, 100))
    finally:
        await client.abort()


def test_starting_and_stopping_as_data(lanman: Lanman) -> None:
    words = ("server", "--json", "--timeout", "30")
    started = lanman("start", *words, "--listen", "127.0.0.1", "--port", str(free_port()))
    stopped = lanman("stop", *words)
    for done, services in ((started, ["Server"]), (stopped, [])):
        assert json.loads(done.stdout) == {
            "schema": 1,
            "services": services,
            "states": dict.fromkeys(services, "running"),
        }
        assert done.stderr.startswith("The Server service is st")


def test_who_may_not(lanman: Lanman, port: int) -> None:
    server = f"127.0.0.1:{port}"
    denied = lanman("session", "-S", server, "-U", "bob%bob's secret")
    assert (denied.returncode, denied.stdout) == (5, "")
    assert denied.stderr.startswith("System error 5 has occurred.\n\nAccess is denied.\n\n\\\\127.0.0.1: ")
    assert lanman("session", "-S", server, "-U", "bob", "/delete", "/y", LANMAN_PASSWORD="bob's secret").returncode == 5
    assert lanman("session", "-S", server, "-N").returncode == 5
    wrong = lanman("session", "-S", server, "-U", "ann%wrong")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("System error 1326 has occurred.\n")
    assert "wrong" not in wrong.stderr


def test_files_and_settings(lanman: Lanman, port: int) -> None:
    by_ann = ("-S", f"127.0.0.1:{port}", "-U", "ann%ann's secret")
    files = json.loads(lanman("file", *by_ann, "--json").stdout)["files"]
    assert [(one["path"], one["user_name"]) for one in files] == [(r"\PIPE\srvsvc", "ann")]
    assert lanman("file", "99999", "/close").returncode == 2
    assert lanman("config", "server", "/autodisconnect:30").returncode == 0
    assert "Idle session time (min)               30\n" in lanman("config", "server", *by_ann).stdout
    assert "IPC$" in lanman("share").stdout
    statistics = json.loads(lanman("statistics", "server", "--json").stdout)["statistics"]
    assert statistics["bytes_received"] > 0


def test_starting_twice_and_stopping_twice(lanman: Lanman, port: int, tmp_path: Path) -> None:
    again = lanman("start", "server", "--port", str(port))
    assert again.returncode == 2
    assert "The requested service has already been started." in again.stderr
    # Another home, the same port: what the other process said is passed on.
    other = lanman("start", "server", "--listen", "127.0.0.1", "--port", str(port), "--home", str(tmp_path / "other"))
    assert other.returncode == 2
    assert other.stderr.startswith("The Server service could not be started.\n")
    assert str(port) in other.stderr
    assert lanman("stop", "server", "--timeout", "30").stdout == (
        "The Server service is stopping.\nThe Server service was stopped successfully.\n\n"
    )
    stopped = lanman("stop", "server")
    assert stopped.returncode == 2
    assert stopped.stderr.startswith("The Server service is not started.\n")
    asked = lanman("session")
    assert asked.returncode == 2
    assert asked.stderr.startswith("The Server service is not started.\n")
    assert "lanman start server" in asked.stderr


def test_what_cannot_be_served(lanman: Lanman, tmp_path: Path) -> None:
    for words, says in (
        (["serve", "/no/such/folder"], "/no/such/folder"),
        (["serve", "--config", "/no/such.toml"], "/no/such.toml"),
        (["serve", "--listen", "192.0.2.1", "--port", "0"], "192.0.2.1"),
        (["serve", "-S", "fs1", "-N"], "fs1"),
        (["start", "spooler"], "spooler"),
    ):
        result = lanman(*words)
        assert result.returncode == 2
        assert says in result.stderr
        assert "Traceback" not in result.stderr
    (tmp_path / "server.toml").write_text('[server]\nencyption = "required"\n')
    mistaken = lanman("serve", "--config", str(tmp_path / "server.toml"))
    assert mistaken.returncode == 2
    assert "line 2" in mistaken.stderr
    assert "encyption" in mistaken.stderr
