"""What the shells are told when somebody presses TAB, and what they make of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lanman.faces.cli.completion import candidates
from lanman.faces.cli.loader import names
from lanman.faces.cli.main import PROGRAM
from support.fake_manager import Command
from support.process_server import Stage

LANMAN = Path(sys.executable).parent


def completed(line: str) -> list[str]:
    """The candidates where a line has been typed as far as this."""
    *before, current = line.split(" ")
    return [word for word, _ in candidates(before, current, PROGRAM)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", list(names())),
        ("se", ["serve", "session"]),
        ("SE", ["serve", "session"]),
        ("-S fs1 sess", ["session"]),
        ("session /", ["/DELETE", "/LIST", "/WITH-OTHERS", "/WITHOTHERS", "/YES", "/Y", "/NO", "/N"]),
        ("session /d", ["/delete"]),
        ("session /D", ["/DELETE"]),
        ("sess /l", ["/list"]),
        ("session /DELETE /Y", ["/YES", "/Y"]),
        ("session /DELETE /D", []),
        ("session --de", ["--delete"]),
        ("session --cl", ["--client"]),
        ("/DELETE sess", ["session"]),
        ("config ", ["server"]),
        ("config server /A", ["/AUTODISCONNECT:"]),
        ("config server /hidden:", ["/hidden:YES", "/hidden:NO"]),
        ("config server /HIDDEN:n", ["/HIDDEN:NO"]),
        ("config server --hidden=Y", ["--hidden=YES"]),
        ("config server --hidden ", ["YES", "NO"]),
        ("file /c", ["/close"]),
        ("share /u", ["/users:", "/unlimited"]),
        ("start s", ["server"]),
        ("stop server ", []),
        ("help net", ["net"]),
        ("help conf", ["config"]),
        ("completion z", ["zsh"]),
        ("serve ", [":files"]),
        ("serve /srv/da", [":files"]),
        ("session -A ", [":files"]),
        ("session -A=", []),
        ("session --authentication-file x", [":files"]),
        ("helpmsg ", []),
        ("session /x", []),
    ],
)
def test_words_of_both_dialects(line: str, words: list[str]) -> None:
    assert completed(line) == words


def test_a_line_that_makes_no_sense_is_no_error(command: Command) -> None:
    for words in (
        "__complete bash frobnicate x",
        "__complete bash session --frob y",
        "__complete",
        "__complete bash -x y",
    ):
        result = command(words)
        assert (result.status, result.err) == (0, "")


def test_meanings_are_for_shells_that_show_them(command: Command) -> None:
    assert command("__complete fish config server /a").out.startswith("/autodisconnect:\tminutes after which")
    assert command("__complete bash config server /a").out == "/autodisconnect:\n"
    assert command("completion tcsh").status == 1


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage() as stage:
        stage.start()
        stage.connect("bob", 21, "plan.txt")
        yield stage


def test_what_the_server_of_this_machine_lists(stage: Stage) -> None:
    def asked(line: str) -> list[str]:
        # Nothing is offered where the Server takes 2 s, as on a busy machine: only then is TAB pressed again.
        for _ in range(10):
            begun = time.monotonic()
            found = stage.run(f"lanman __complete bash {line}").out.splitlines()
            if found or time.monotonic() - begun < 2:
                break
        return found

    assert asked("session ''") == ["10.20.0.21"]
    assert asked("session '//127'") == ["//10.20.0.21"]
    assert asked("session '\\\\'") == [r"\\10.20.0.21"]
    assert asked("session --client ''") == ["10.20.0.21"]
    assert asked("file ''") == ["1"]
    assert asked("share p") == ["projects"]
    assert asked("user c") == ["carol"]
    assert asked("localgroup Adm") == ["Administrators"]
    assert asked("localgroup Administrators d") == ["dave"]
    assert asked("session --user b") == ["bob"]


BASH = """
eval "$(lanman completion bash)"
press_tab() { COMP_LINE=$1; COMP_POINT=${#COMP_LINE}; COMPREPLY=(); _lanman; printf '%s|' "${COMPREPLY[@]}"; echo; }
press_tab 'lanman ses'
press_tab 'lanman session /del'
press_tab 'lanman session --'
press_tab 'lanman config server /autod'
press_tab 'lanman config server /HIDDEN:'
press_tab 'lanman -S fs1 stat'
alias net=lanman; eval "$(lanman completion bash)"; complete -p net
"""


def _in_shell(*words: str, folder: Path) -> str:
    environment = {**os.environ, "PATH": f"{LANMAN}:{os.environ['PATH']}", "LANMAN_HOME": str(folder / "home")}
    done = subprocess.run(
        words, capture_output=True, text=True, env=environment, cwd=folder, stdin=subprocess.DEVNULL, timeout=60
    )
    assert done.returncode == 0, done
    return done.stdout


def test_bash(tmp_path: Path) -> None:
    lines = _in_shell("bash", "--norc", "-O", "expand_aliases", "-c", BASH, folder=tmp_path).splitlines()
    assert lines[0] == "session|"
    assert lines[1] == "/delete|"
    assert lines[2].startswith("--delete|--list|")
    assert lines[3] == "/autodisconnect:|"
    # bash has cut the word at the colon, and puts what it gets behind it.
    assert lines[4] == "YES|NO|"
    assert lines[5] == "statistics|"
    assert lines[6] == "complete -F _lanman net"


# zsh completes only where somebody types, so it is given a terminal of its own by zpty.
ZSH = r"""
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'autoload -Uz compinit; compinit -u -d "$PWD/dump"; PS1=; PS2=; unsetopt beep'
zpty -w shell 'eval "$(lanman completion zsh)"; compdef _lanman lanman; print READY'
zpty -r -m shell out '*READY*READY*'
zpty -n -w shell "$1"$'\t'
zpty -r -m shell out "*$2*" && print -r -- found
zpty -d shell
"""


@pytest.mark.parametrize(("typed", "shown"), [("lanman sess", "session"), ("lanman session /del", "/delete")])
def test_zsh(typed: str, shown: str, tmp_path: Path) -> None:
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    assert "found" in _in_shell("zsh", "-f", "-c", ZSH, "zsh", typed, shown, folder=tmp_path)


def test_fish(tmp_path: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")

    def completed(line: str) -> list[str]:
        script = f"lanman completion fish | source; complete -C '{line}'"
        return [one.split("\t")[0] for one in _in_shell("fish", "-N", "-c", script, folder=tmp_path).splitlines()]

    assert completed("lanman ses") == ["session"]
    assert "/DELETE" in completed("lanman session /")
    assert completed("lanman config server /hidden:y") == ["/hidden:YES"]
