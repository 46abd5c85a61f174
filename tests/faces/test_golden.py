r"""Transcripts, compared to the letter: what each form of the NET dialect prints.

A file in tests/golden holds command lines (`$ net session \\pc7 <<< 'y'`), and behind each what came of it: standard
output, standard error, an exit status other than 0. `fake-*.txt` are run against a Manager with the invented people of
`scene()`; `server-*.txt` are typed into bash against a Server of our own. LANMAN_WRITE_GOLDEN=1 writes the files anew.
"""

from __future__ import annotations

import os
import re
import shlex
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lanman.errors import AccessDenied, Win32Error
from lanman.records import ConnectionInfo, FileInfo, ServerInfo, SessionInfo, ShareInfo, Statistics, TransportInfo
from support.fake_manager import Command
from support.process_server import Stage

GOLDEN = Path(__file__).parents[1] / "golden"
FAKE = sorted(GOLDEN.glob("fake-*.txt"))
SERVER = sorted(GOLDEN.glob("server-*.txt"))

Outcome = tuple[int, str, str]


def scene(command: Command) -> None:
    """A file server with a few people on it."""
    manager = command.manager
    manager.entries = [
        SessionInfo(r"\\10.20.0.14", "mira.holt", 3, 2890, 41, 0, "", r"\Device\NetbiosSmb"),
        SessionInfo(r"\\10.20.0.15", "", 0, 100, 65, 0, "", r"\Device\NetbiosSmb"),
        SessionInfo(r"\\[fe80::9c1a:2]", "KIOSK07$", 0, 200000, 86400 + 3 * 3600 + 12 * 60, 1, "", ""),
        SessionInfo(r"\\OLDBOX", "jonas", 1, 5000, 1042, 0, "Windows 2002 Service Pack 2", ""),
        SessionInfo(r"\\OLDBOX", "a-user-with-a-long-name", 0, 5000, 359999, 0, "DOS LM 2.1", ""),
    ]
    manager.tree_connects = [
        ConnectionInfo(1, 0, 2, 1, 10, "mira.holt", "projects"),
        ConnectionInfo(2, 0x80000003, 1, 1, 10, "mira.holt", "IPC$"),
    ]
    manager.opened = [
        FileInfo(1140850707, 1, 0, r"C:\data\projects\plan.xlsx", "mira.holt"),
        FileInfo(1140850711, 3, 2, r"C:\data\projects\2024\quarters\budget-final.xlsx", "jonas"),
        FileInfo(4294967295, 0, 0, r"\PIPE\srvsvc", "a-user-with-a-long-name"),
    ]
    manager.shared = [
        ShareInfo("C$", 0x80000000, "Default share", path="C:\\"),
        ShareInfo("IPC$", 0x80000003, "Remote IPC", path=""),
        ShareInfo("a-rather-long-name", 0, "x", path=r"C:\data\quite\some\more\the-long-one"),
        ShareInfo("projects", 0, "", 0, 0xFFFFFFFF, 2, r"C:\data\projects", "", 0),
    ]
    manager.info = ServerInfo(500, "FILER01", 10, 0, 0x9003, "branch file server", 16777216, 15, False, sessopens=16384)
    manager.listening = [
        TransportInfo(3, "\\Device\\NetbiosSmb", b"FILER01         ", "000000000000"),
        TransportInfo(0, "\\Device\\NetBT_Tcpip_{0C6B}", b"FILER01         ", "00155d010203"),
    ]
    manager.counted = Statistics(
        start=int(time.mktime((2026, 3, 4, 8, 15, 2, 0, 0, -1))),
        sopens=12,
        stimedout=3,
        pwerrors=2,
        fopens=540,
        bytessent_low=88213 << 10,
        bytesrcvd_low=4102 << 10,
    )


def nobody(command: Command) -> None:
    """The same server at night."""
    scene(command)
    command.manager.entries, command.manager.opened, command.manager.tree_connects = [], [], []


def denied(command: Command) -> None:
    command.manager.fails = AccessDenied(r"\\FILER01: access denied to the list", hint="ann is no administrator there")


def not_started(command: Command) -> None:
    command.manager.fails = Win32Error(2114, hint="start one with `lanman start server`")


SCENES: dict[str, Callable[[Command], None]] = {
    "fake-nobody": nobody,
    "fake-denied": denied,
    "fake-not-started": not_started,
}


def transcript(text: str, run: Callable[[str, str], Outcome]) -> str:
    """The file `text` as it comes out when its commands are run again."""
    lines = []
    for line in text.splitlines():
        if line.startswith("# "):
            lines.append(line)
        if not line.startswith("$ "):
            continue
        command, _, typed = line[2:].partition(" <<< ")
        status, out, err = run(command, "".join(shlex.split(typed.replace(r"\n", "\n"))) + "\n" if typed else "")
        lines.append(line)
        lines += out.removesuffix("\n").split("\n") if out else []
        lines += ["[standard error]", *err.removesuffix("\n").split("\n")] if err else []
        lines += [f"[exit status {status}]"] if status else []
    # Editors take blanks at the end of a line away; the one behind a prompt is there all the same.
    return "".join(f"{line}\n" for line in lines)


def compare(path: Path, run: Callable[[str, str], Outcome]) -> None:
    expected = path.read_text()
    found = transcript(expected, run)
    if os.environ.get("LANMAN_WRITE_GOLDEN"):
        path.write_text(found)
    else:
        assert found == expected


@pytest.mark.parametrize("path", FAKE, ids=lambda path: path.stem)
def test_against_a_server_of_invented_people(path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANMAN_PASSWORD", "secret")
    SCENES.get(path.stem, scene)(command)

    def run(line: str, typed: str) -> Outcome:
        words = shlex.split(line)
        assert words[0].casefold() in ("net", "lanman")
        result = command(words[1:], typed)
        return result.status, result.out, result.err

    compare(path, run)


@pytest.mark.parametrize("path", SERVER, ids=lambda path: path.stem)
def test_against_our_own_server(path: Path) -> None:
    with Stage() as stage:
        if "# not started" not in path.read_text():
            stage.start()
            stage.connect("bob", 21, "plan.txt", "budget.xlsx")
            stage.connect("carol", 22)
            stage.connect("", 23)
            stage.connect("dave", 21, pipe=True)

        def run(line: str, typed: str) -> Outcome:
            result = stage.run(line, typed)
            return result.status, result.out, result.err

        compare(path, run)


def test_there_is_a_transcript_of_every_verb() -> None:
    from lanman.faces.cli.loader import names

    typed = "\n".join(path.read_text() for path in [*FAKE, *SERVER])
    for verb in names():
        assert re.search(rf"^\$ (?:net|lanman) (?:\S+ )*{verb}\b", typed, re.MULTILINE | re.IGNORECASE), verb
