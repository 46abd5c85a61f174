"""How the screen starts: late, on a terminal, and with a sentence where it cannot."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lanman.errors import Win32Error
from lanman.faces.tui import start
from support.scripted_watch import ScriptedSource

UNIX = {"TERM": "xterm"}


async def test_it_needs_a_terminal() -> None:
    with pytest.raises(Win32Error, match="needs a terminal") as caught:
        await start.run_screen([ScriptedSource()])
    assert "--plain" in (caught.value.hint or "")


@pytest.mark.posix
@pytest.mark.parametrize("closed", ["stdin", "stdout", "stderr"])
def test_every_stream_must_be_the_terminal(monkeypatch: pytest.MonkeyPatch, closed: str) -> None:
    class Terminal:
        closed = False

        def isatty(self) -> bool:
            return True

    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, f"__{name}__", Terminal())
    assert start.is_possible(UNIX)
    assert not start.is_possible({"TERM": "dumb"})
    assert not start.is_possible({})
    monkeypatch.setattr(sys, f"__{closed}__", None)
    assert not start.is_possible(UNIX)


async def test_without_textual_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "is_possible", lambda: True)
    for name in [name for name in sys.modules if name.startswith("lanman.faces.tui.app")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "textual", None)
    with pytest.raises(Win32Error, match="needs textual") as caught:
        await start.run_screen([ScriptedSource()])
    assert "pip install 'lanman[tui]'" in (caught.value.hint or "")


def test_textual_is_not_loaded_before_the_screen_starts() -> None:
    program = """
import sys
from lanman.faces.cli.main import run
run(["help"])
run(["session", "-S", "127.0.0.1:1", "-N"])
import lanman.faces.tui.start, lanman.faces.tui.sources
assert lanman.faces.tui.start.is_installed()
print([name for name in sys.modules if "textual" in name])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
