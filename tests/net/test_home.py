"""The home of a Server: one Server at a time, for its owner's eyes only, however long its name."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lanman.errors import AccessDenied
from lanman.net.client_configuration import configuration_folder
from lanman.net.home import (
    SYSTEM_HOME,
    SYSTEM_RUN,
    Home,
    HomeError,
    bind_unix,
    client_homes,
    connect_unix,
    default_home,
)


def test_a_second_start_is_stopped(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    with home.locked():
        with (
            pytest.raises(HomeError, match=f"already been started here .process {os.getpid()}") as caught,
            home.locked(),
        ):
            pass
        assert caught.value.code == 2182
    with home.locked():
        pass


def test_nobody_else_may_look(tmp_path: Path) -> None:
    home = Home(tmp_path / "deep" / "home")
    home.path.mkdir(parents=True, mode=0o755)
    with home.locked():
        assert stat.S_IMODE(home.path.stat().st_mode) == 0o700
        assert stat.S_IMODE((home.path / "lock").stat().st_mode) == 0o600


def test_a_home_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(HomeError, match="home"), Home(tmp_path / "home").locked():
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="only on an ordinary user's account")
def test_a_home_that_may_not_be_made(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(AccessDenied), Home(tmp_path / "home").locked():
        pass


@pytest.mark.parametrize("length", [10, 150])
def test_sockets_are_reached_however_long_their_path(tmp_path: Path, length: int) -> None:
    folder = tmp_path / ("x" * length)
    folder.mkdir()
    path = folder / "control"
    here = os.getcwd()
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        bind_unix(listener, path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        listener.listen()
        connect_unix(client, path)
        accepted, _ = listener.accept()
        accepted.close()
    assert os.getcwd() == here


def test_where_it_is_looked_for(tmp_path: Path) -> None:
    assert default_home("/a/b", {}).path == Path("/a/b")
    assert default_home(None, {"LANMAN_HOME": "/c"}).path == Path("/c")
    state = default_home(None, {"XDG_STATE_HOME": "/state"}).path
    assert state == (SYSTEM_HOME if os.geteuid() == 0 else Path("/state/lanman"))
    assert [home.path for home in client_homes(None, {"LANMAN_HOME": "/c"})] == [Path("/c")]
    found = [home.path for home in client_homes(None, {"XDG_STATE_HOME": "/state"})]
    assert found[0] == state
    assert SYSTEM_RUN in found
    assert len(set(found)) == len(found)


def test_the_systems_own_home_is_out_of_reach_of_all_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drains note in the home which servers they have paused: what a test left there, somebody would be told."""
    code = "from lanman.net.home import *; print(SYSTEM_HOME, SYSTEM_RUN, default_home().path, client_homes())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    system, run, *homes = said.split(maxsplit=3)
    assert (system, run) == ("/var/lib/lanman", "/run/lanman")
    assert not any(place in each for each in homes for place in ("/var/lib", "/run/"))
    monkeypatch.delenv("LANMAN_HOME")
    inside = [default_home().path, *(home.path for home in client_homes())]
    assert not any(str(each).startswith(("/var/lib", "/run")) for each in inside)
    assert not str(configuration_folder()).startswith("/etc")


@pytest.mark.parametrize("relative", ["", "state", "./state", "../state", "~/state"])
def test_a_relative_state_folder_is_ignored(monkeypatch: pytest.MonkeyPatch, relative: str) -> None:
    """XDG Base Directory Specification: relative paths are invalid. They would mean whatever folder one is in."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", "/home/ann")
    assert default_home(None, {"XDG_STATE_HOME": relative}).path == Path("/home/ann/.local/state/lanman")
