"""`--service`: which service of this machine is asked."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from lanman.errors import Win32Error
from lanman.faces.cli import background
from lanman.faces.cli.main import run
from lanman.manage import this_machine
from lanman.manage.samba_local.records import SambaSession
from lanman.manage.this_machine import is_this_machine
from lanman.net.resolve import numeric_address
from lanman.records import SessionInfo
from support.fake_manager import Command


@pytest.mark.parametrize(
    ("typed", "service"),
    [("", None), (" --service windows", "windows"), (" --service WINDOWS", "windows"), (" --service lanman", "lanman")],
)
@pytest.mark.parametrize("verb", ["session", "file --user ann", "share", "config server", "statistics server"])
def test_it_is_passed_on(command: Command, verb: str, typed: str, service: str | None) -> None:
    command.manager.entries = [SessionInfo(r"\\pc7", "ann", 1, 1, 1, 0)]
    command(verb + typed)
    server, _, options = command.manager.opened_with[-1]
    assert (server, options["service"]) == (None, service)


@pytest.mark.parametrize("verb", ["session", "file", "start server", "user"])
def test_a_service_that_there_is_not(command: Command, verb: str) -> None:
    result = command(f"{verb} --service nfs")
    assert result.status == 1
    assert "entered an invalid value for the --service option" in result.err
    assert "It is lanman, windows, samba or ksmbd." in result.err
    assert command.manager.opened_with == []


@pytest.mark.parametrize("verb", ["session", "file", "share"])
def test_a_service_wins_over_whatever_else_is_named(command: Command, verb: str) -> None:
    """The server is passed on, to be found this machine or refused; nobody is asked for a password."""
    command(f"{verb} --service samba -S localhost:1445 --home /srv/home")
    server, credentials, options = command.manager.opened_with[-1]
    assert (server, credentials) == ("localhost", None)
    assert (options["service"], options["port"], options["home"]) == ("samba", 1445, "/srv/home")
    command(f"{verb} --service samba -U ann%secret")
    assert command.manager.opened_with[-1][1].user_name == "ann"


@pytest.mark.parametrize("server", ["192.0.2.7", "fs1.invalid", "0.0.0.0", "224.0.0.1", "::ffff:192.0.2.7"])
@pytest.mark.parametrize("service", ["samba", "windows", "lanman"])
def test_a_service_of_another_machine(capsys: pytest.CaptureFixture[str], server: str, service: str) -> None:
    """Another machine than the one that was named gets no order."""
    assert run(["session", "/delete", "/y", "--service", service, "-S", server]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert f"{server}: the service {service} is asked of this machine alone, and that is another;" in said
    assert "leave out the service to ask that server over the network" in said


@pytest.mark.parametrize("words", ["user", "user ann secret /add", "stop server"])
def test_our_server_of_another_machine(command: Command, tmp_path: Path, words: str) -> None:
    result = command(f"{words} --service lanman -S fs2 --home {tmp_path / 'home'}")
    assert result.status == 2
    assert "Leave out -S." in result.err


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("::ffff:127.0.0.1", True),
        (socket.gethostname(), True),
        (socket.gethostname().upper(), True),
        ("192.0.2.7", False),
        ("2001:db8::7", False),
        ("0.0.0.0", False),
        ("::", False),
        ("localhost.example.invalid", False),
        pytest.param("", False, marks=pytest.mark.posix),  # Windows takes it for this machine
    ],
)
async def test_what_is_this_machine(host: str, is_here: bool) -> None:
    assert await is_this_machine(host) is is_here


async def test_a_name_is_this_machine_where_all_its_addresses_are(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = numeric_address("127.0.0.1", 9), numeric_address("192.0.2.7", 9)
    for found, is_here in (([ours], True), ([ours, theirs], False), ([theirs], False), ([], False)):

        async def resolved(host: str, port: int, found: Any = found) -> Any:
            return found

        monkeypatch.setattr(this_machine, "resolve", resolved)
        assert await is_this_machine("cluster") is is_here


def own_addresses() -> list[str]:
    """Those of the interfaces of this machine, where it can be asked."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.7", 9))
        except OSError:
            return []
        return [probe.getsockname()[0]]


@pytest.mark.skipif(not own_addresses(), reason="only on machines with a network")
async def test_an_address_of_an_interface_is_this_machine() -> None:
    assert await is_this_machine(own_addresses()[0])


@pytest.mark.parametrize("form", ["", " --json", " --csv"])
def test_who_answered_is_said_when_asked_for(command: Command, form: str) -> None:
    for option, said in ((" -v", True), (" --verbose", True), ("", False)):
        result = command("session" + form + option)
        assert ("Note: answered by \\\\FILER01.\n" in result.err) is said
        assert "answered by" not in result.out


@pytest.mark.parametrize("words", ["serve", "user", "user ann secret /add", "localgroup"])
def test_what_only_our_own_server_has(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: str
) -> None:
    """Neither is lanman's Server started or stopped, nor are its accounts changed, in the place of Windows'."""
    home = tmp_path / "home"
    result = command(f"{words} --service windows --home {home}")
    assert result.status == 2
    assert "Leave out --service." in result.err
    assert not home.exists()


def test_our_server_is_not_started_for_windows_own(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where Windows' Server service is stopped, the question is not whether to start lanman's."""
    started: list[Any] = []
    monkeypatch.setattr(background, "start_service", lambda *arguments: started.append(arguments))
    monkeypatch.setattr("lanman.faces.cli.main.is_terminal", lambda stream: True)
    monkeypatch.setenv("LANMAN_HOME", str(tmp_path))
    (tmp_path / "server.toml").write_text("")
    command.manager.fails = Win32Error(2114)
    assert command("session --service windows", answers="y\n").status == 2
    assert started == []
    command("session --service lanman", answers="y\n")
    assert len(started) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="there it is Windows")
def test_elsewhere_there_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["session", "--service", "windows"]) == 2
    assert "this machine is no Windows" in capsys.readouterr().err


def test_the_json_of_samba_keeps_its_keys(command: Command) -> None:
    """`node` is in schema 1, and a key of a schema does not go."""
    command.manager.entries = [SambaSession(r"\\pc7", "ann", 1, pid=7, ctdb_node=3)]
    (session,) = json.loads(command("session --service samba --json").out)["sessions"]
    assert (session["pid"], session["node"]) == (7, 3)
    header, row = command("session --service samba --csv").out.splitlines()
    assert header.endswith(',"pid","unique_id","node"')
    assert row.endswith(',"7","","3"')
