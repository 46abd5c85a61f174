"""`pause server`, `continue server`, and `start` and `stop` of Windows' own service, as people type them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lanman import codes
from lanman.errors import AccessDenied, Win32Error
from lanman.faces.cli.completion import candidates
from lanman.faces.cli.main import PROGRAM
from lanman.manage import service as service_module
from lanman.manage.windows import manager as windows
from lanman.records import ServiceState
from support.fake_manager import Command
from support.service_script import RUNNING, STOPPED
from support.system_stub import SystemStub


@pytest.mark.parametrize(
    ("words", "before", "said", "after"),
    [
        ("pause server", ServiceState.RUNNING, "The Server service was paused successfully.", ServiceState.PAUSED),
        ("PAUSE LanmanServer", ServiceState.PAUSED, "The Server service was paused already.", ServiceState.PAUSED),
        (
            "continue server",
            ServiceState.PAUSED,
            "The Server service was continued successfully.",
            ServiceState.RUNNING,
        ),
        ("CONTINUE SERVER", ServiceState.RUNNING, "The Server service was not paused.", ServiceState.RUNNING),
        ("/Y pause server -S fs1 -N", ServiceState.RUNNING, "The Server service was paused successfully.", "paused"),
    ],
)
def test_what_is_said(command: Command, words: str, before: ServiceState, said: str, after: ServiceState) -> None:
    command.manager.state = before
    result = command(words)
    assert (result.status, result.out, result.err) == (0, f"{said}\n\n", "")
    assert command.manager.state == after


def test_programs_get_data(command: Command) -> None:
    told = json.loads(command("pause server --json").out)
    assert told == {"schema": 1, "server": "FILER01", "service": "Server", "state": "paused", "changed": True}
    assert json.loads(command("pause server --json").out)["changed"] is False
    assert command("continue server --csv").out == '"service","state","changed"\n"Server","running","true"\n'


@pytest.mark.parametrize("verb", ["pause", "continue"])
def test_what_is_refused(command: Command, verb: str) -> None:
    assert command(verb).status == 1
    assert f"lanman {verb} server" in command(verb).err
    assert command(f"{verb} workstation").status == 2
    assert "2185" in command(f"{verb} workstation").err
    assert command.manager.opened_with == []
    command.manager.fails = AccessDenied(server="FILER01")
    assert command(f"{verb} server").status == 5
    command.manager.fails = None
    command.manager.state = None
    result = command(f"{verb} server")
    assert (result.status, result.out) == (2, "")
    assert "cannot" in result.err


def test_the_state_is_shown_where_services_are_listed(command: Command) -> None:
    command.manager.state = ServiceState.PAUSED
    for verb in ("start", "config", "statistics"):
        assert "\n   Server (paused)\n" in command(verb).out
    assert json.loads(command("start --json").out) == {
        "schema": 1,
        "services": ["Server"],
        "states": {"Server": "paused"},
    }
    assert command("start --csv").out == '"service","state"\n"Server","paused"\n'
    command.manager.state = None  # one that cannot tell is there all the same
    assert "\n   Server\n" in command("start").out


def test_help_and_completion(command: Command) -> None:
    assert "  continue    let newcomers in again after a pause\n" in command("help").out
    assert "  pause       let no newcomers in but administrators\n" in command("help").out
    assert command("continue /?").out == "The syntax of this command is:\n\nlanman continue server\n\n"
    assert ("continue", "let newcomers in again after a pause") in candidates([], "cont", PROGRAM)
    assert list(candidates(["pause"], "s", PROGRAM)) == [("server", "the Server service")]


# --- Windows' own service


@pytest.fixture
def this_windows(monkeypatch: pytest.MonkeyPatch) -> SystemStub:
    stub = SystemStub()
    monkeypatch.setattr(windows, "this_netapi32", object)
    monkeypatch.setattr(windows, "this_system", lambda: stub.system)
    monkeypatch.setattr(service_module, "MAX_PAUSE", 0.0)
    return stub


WINDOWS = "--service windows"
DEPENDENTS = (
    "The following services are dependent on the Server service. Stopping the Server service will also stop these "
    "services.\n\n   DFS Namespace\n   Computer Browser\n\nDo you want to continue this operation? (Y/N) [N]: "
)
STOPPED_WELL = "The Server service was stopped successfully.\n\n"


def test_windows_service_is_started(command: Command, this_windows: SystemStub) -> None:
    this_windows.state = STOPPED
    result = command(f"start server {WINDOWS}")
    assert (result.status, result.err) == (0, "")
    assert result.out == "The Server service is starting.\nThe Server service was started successfully.\n\n"
    assert this_windows.state == RUNNING
    result = command(f"start server {WINDOWS}")
    assert result.status == 2
    assert codes.win32_text(codes.NERR_ServiceInstalled) in result.err
    assert command(f"start server {WINDOWS} --max-sessions 5").status == 1


def test_windows_service_is_stopped_after_asking(command: Command, this_windows: SystemStub) -> None:
    result = command(f"stop server {WINDOWS}", answers="n\n")
    assert (result.status, result.out, this_windows.database.orders) == (2, DEPENDENTS, [])
    result = command(f"stop server {WINDOWS}", answers="\n")  # the default is No
    assert (result.status, this_windows.database.orders) == (2, [])
    result = command(f"stop server {WINDOWS}", answers="y\n")
    assert (result.status, result.out) == (0, DEPENDENTS + STOPPED_WELL)
    assert [name for name, _ in this_windows.database.orders] == ["Dfs", "Browser", "LanmanServer"]
    assert this_windows.state == STOPPED
    result = command(f"stop server {WINDOWS}")
    assert result.status == 2
    assert "The Server service is not started." in result.err
    assert (this_windows.handles, this_windows.faults) == ({}, [])


def test_what_comes_to_depend_on_it_meanwhile_is_asked_about(
    command: Command, this_windows: SystemStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    dependents = this_windows.database.dependents
    this_windows.database["Dfs"].state = STOPPED
    looks: list[int] = []

    def growing(name: str) -> list[Any]:
        looks.append(1)
        if len(looks) == 5:  # it was looked at for sizes and lists; now it is agreed to
            this_windows.database["Dfs"].state = RUNNING
        return dependents(name)

    monkeypatch.setattr(this_windows.database, "dependents", growing)
    result = command(f"stop server {WINDOWS}", answers="y\nn\n")
    assert result.status == 2
    assert result.out.count("Do you want to continue") == 2
    assert this_windows.database.orders == []


def test_windows_service_wants_an_elevated_prompt(command: Command, this_windows: SystemStub) -> None:
    this_windows.elevated, this_windows.elevation = False, 3
    for words in (f"stop server {WINDOWS} /y", f"start server {WINDOWS}"):
        result = command(words)
        assert result.status == 5
        assert "elevated prompt" in result.err
    assert this_windows.database.orders == []


def test_elsewhere_there_is_none(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def not_windows() -> Any:
        raise Win32Error(codes.ERROR_NOT_SUPPORTED, "this machine is no Windows")

    monkeypatch.setattr(windows, "this_netapi32", not_windows)
    for words in (f"stop server {WINDOWS}", f"start server {WINDOWS}"):
        assert command(words).status == 2
