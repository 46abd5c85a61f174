"""`--service`: which service of this machine is asked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from lanman.errors import Win32Error
from lanman.faces.cli import background
from lanman.faces.cli.main import run
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
    assert "It is lanman, windows or samba." in result.err
    assert command.manager.opened_with == []


def test_a_service_and_a_server(command: Command) -> None:
    result = command("session /delete /y --service windows -S fs1")
    assert result.status == 1
    assert "give one of them" in result.err
    assert command.manager.opened_with == []


@pytest.mark.parametrize(
    "words", ["start server", "stop server", "serve", "user", "user ann secret /add", "localgroup"]
)
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
