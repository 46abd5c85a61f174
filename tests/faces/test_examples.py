r"""The examples of the NET guides that administrators have, typed into a bash with `alias net=lanman NET=lanman`.

`FIND "\\"` is `grep -F '\\'` there; everything else stands as it is written in those guides, unquoted backslashes too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.process_server import Stage

ROOT = Path(__file__).parents[2]
DONE = "The command completed successfully.\n\n"


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage() as stage:
        stage.start()
        yield stage


def people(stage: Stage) -> None:
    """Whoever was there has to go; then four sessions from three clients."""
    assert stage.run("net session /delete /y").status == 0
    stage.connect("bob", 21, "plan.txt")
    stage.connect("carol", 22)
    stage.connect("", 23)
    stage.connect("dave", 21)


def listed(stage: Stage) -> list[str]:
    return [line.split()[0] for line in stage.run(r"NET SESSION | grep -F '\\'").out.splitlines()]


def test_listing(stage: Stage) -> None:
    people(stage)
    for command in ("net session", "NET SESSION"):
        result = stage.run(command)
        assert (result.status, result.err) == (0, "")
        assert result.out.count(r"\\10.20.0.") == 4
        assert result.out.endswith(DONE)
    only = stage.run(r"NET SESSION | grep -F '\\'")
    assert len(only.out.splitlines()) == 4
    assert all(line.startswith(r"\\10.20.0.") for line in only.out.splitlines())


def test_one_client(stage: Stage) -> None:
    people(stage)
    for command in (r"net session \\10.20.0.21", r"NET SESSION \\10.20.0.21"):
        shown = stage.run(command)
        assert shown.status == 0
        assert "User name       bob\nComputer        10.20.0.21\n" in shown.out
        assert "projects       Disk          1\n" in shown.out
    assert stage.run(r"net session \\shepherd").status == 2


def test_ending_one_client(stage: Stage) -> None:
    people(stage)
    # The old guide has the switch before the name.
    ended = stage.run(r"net session /delete \\10.20.0.22")
    assert (ended.status, ended.out) == (0, DONE)
    assert listed(stage) == [r"\\10.20.0.21", r"\\10.20.0.23", r"\\10.20.0.21"]
    asked = stage.run(r"NET SESSION \\10.20.0.21 /DELETE", "n\n")
    assert asked.status == 2
    assert "The session from 10.20.0.21 has open files." in asked.out
    assert len(listed(stage)) == 3
    assert stage.run(r"NET SESSION \\10.20.0.21 /DELETE", "y\n").status == 0
    assert listed(stage) == [r"\\10.20.0.23"]


def test_ending_all(stage: Stage) -> None:
    people(stage)
    assert stage.run("NET SESSION /DELETE", "n\n").status == 2
    assert len(listed(stage)) == 4
    assert stage.run("net session /delete", "y\n").status == 0
    assert listed(stage) == []
    people(stage)
    assert stage.run("NET SESSION /DELETE /y").out == DONE
    assert listed(stage) == []


def test_files(stage: Stage) -> None:
    people(stage)
    shown = stage.run("NET FILE")
    assert shown.status == 0
    number = next(line.split()[0] for line in shown.out.splitlines() if "plan.txt" in line)
    assert stage.run(f"NET FILE {number} /CLOSE").out == DONE
    assert stage.run("NET FILE").out == "There are no entries in the list.\n\n"
    # As it stands in the guide, where `id` is to be replaced.
    assert stage.run("NET FILE id /CLOSE").status == 1


def test_the_idle_time(stage: Stage) -> None:
    assert stage.run("net config server /autodisconnect:30").out == DONE
    assert "Idle session time (min)               30\n" in stage.run("net config server").out
    assert stage.run("net config server /autodisconnect").status == 1
    assert stage.run("net config server /autodisconnect:15").status == 0


def test_who_is_no_administrator(stage: Stage) -> None:
    for command in ("net session -S fs1 -U bob", "net session /delete /y -S fs1 -U bob", "net file -S fs1 -U bob"):
        denied = stage.run(command)
        assert (denied.status, denied.out) == (5, "")
        assert denied.err.startswith("System error 5 has occurred.\n\nAccess is denied.\n\n")


def test_the_script_named_net(stage: Stage, tmp_path: Path) -> None:
    script = ROOT / "contrib" / "net"
    assert os.access(script, os.X_OK)
    shutil.copy(script, tmp_path / "net")
    done = stage.run(f"unalias net; PATH={tmp_path}:$PATH; net helpmsg 5; exec net frobnicate")
    assert "Access is denied." in done.out
    assert done.status == 1
    assert "The verb frobnicate is unknown." in done.err


def test_nothing_is_installed_as_net() -> None:
    found = subprocess.run(
        ["python3", "-c", "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['scripts'])"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == ["lanman"]
