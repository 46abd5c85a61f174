"""What a drain leaves behind: written, found again, refused where it is newer or damaged, and held by one at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lanman.errors import AccessDenied, LanmanError, Win32Error
from lanman.net.drains import KeptDrain, Pause, drain_name


@pytest.mark.parametrize(
    ("server", "port", "service", "name"),
    [
        (None, 445, None, "this machine"),
        (None, 445, "windows", "this machine, windows"),
        ("FS1", 445, None, "fs1"),
        (r"\\fs1", 4450, None, "fs1:4450"),
        ("::1", 4450, None, "::1:4450"),
    ],
)
def test_names(server: str | None, port: int, service: str | None, name: str) -> None:
    assert drain_name(server, port, service).casefold() == name.casefold()
    assert drain_name("fs1") == drain_name("FS1")


@pytest.mark.posix
def test_a_pause_is_noted_and_forgotten(tmp_path: Path) -> None:
    kept = KeptDrain("fs1", tmp_path)
    assert kept.read() is None
    kept.forget()
    kept.note(1_700_000_000.75)
    assert KeptDrain("fs1", tmp_path).read() == Pause("fs1", 1_700_000_000.0, os.getpid())
    assert KeptDrain("fs2", tmp_path).read() is None
    assert kept.path.stat().st_mode & 0o777 == 0o600
    kept.note(1_700_000_001)
    kept.forget()
    assert kept.read() is None


@pytest.mark.parametrize("name", ["..", "a/b", "x" * 255, "fs1:4450", "fe80::1%eth0", "\ud800", "ä", " "])
def test_every_name_is_a_file_of_its_own_in_the_folder(tmp_path: Path, name: str) -> None:
    kept = KeptDrain(name, tmp_path)
    assert kept.path.parent == tmp_path / "drains"
    with kept.held():
        pass
    assert len(kept.path.name) < 200


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version = 2\n", "it has version 2, and this lanman knows none after 1"),
        ("", ""),
        ("version = 1\n", "is damaged"),
        ("version = 1\nserver = 'a'\npaused_at = 5\nprocess = 1\n", "is damaged"),
        ("version = 'x'\n", "is damaged"),
        ("[\n", "is damaged"),
    ],
)
def test_what_cannot_be_understood_is_refused_and_left_alone(tmp_path: Path, text: str, message: str) -> None:
    kept = KeptDrain("fs1", tmp_path)
    kept.path.parent.mkdir()
    kept.path.write_text(text)
    if not message:
        assert kept.read() is None
        return
    with pytest.raises(LanmanError, match=message) as caught:
        kept.read()
    assert caught.value.hint
    assert kept.path.read_text() == text


def test_one_drain_of_a_server_at_a_time(tmp_path: Path) -> None:
    with KeptDrain("fs1", tmp_path).held():
        with (
            pytest.raises(Win32Error, match="fs1: another drain of it is running here") as caught,
            KeptDrain("fs1", tmp_path).held(),
        ):
            pass
        assert caught.value.code == 170
        with KeptDrain("fs2", tmp_path).held():
            pass
    with KeptDrain("fs1", tmp_path).held():
        pass


@pytest.mark.posix
def test_the_hold_goes_with_the_process_and_the_note_stays(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from lanman.net.drains import KeptDrain\n"
        f"kept = KeptDrain('fs1', {str(tmp_path)!r})\n"
        "with kept.held():\n"
        "    kept.note(5)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == -9
    kept = KeptDrain("fs1", tmp_path)
    with kept.held():
        pause = kept.read()
        assert pause is not None
        assert pause.paused_at == 5


@pytest.mark.posix
def test_a_folder_in_which_others_write_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(AccessDenied, match="others may write to it"), KeptDrain("fs1", tmp_path).held():
        pass
