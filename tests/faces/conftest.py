from __future__ import annotations

import pytest

from support.fake_manager import Command


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command with a fake server behind it."""
    return Command(monkeypatch, capsys)
