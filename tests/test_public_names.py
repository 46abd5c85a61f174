"""`import lanman`: every public name is there, and none of them costs anything before it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import lanman

# They come with the extra `web`, which Windows' own Python under Wine has not (tests/windows).
OF_WEB = frozenset({"WebConsole", "web_console", "BlockingWebConsole", "blocking_web_console"})


@pytest.mark.parametrize("name", lanman.__all__)
def test_every_public_name_loads(name: str) -> None:
    if name in OF_WEB:
        pytest.importorskip("starlette", reason="the extra `web` is not installed")
    assert getattr(lanman, name).__name__ == name
    assert name in dir(lanman)


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        lanman.nonsense  # noqa: B018


def test_importing_loads_nothing_else() -> None:
    program = "import sys; before = set(sys.modules); import lanman; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"lanman", "__future__"}
