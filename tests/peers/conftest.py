"""What the tests with other people's programs share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lanman.net.server import SmbServer
from lanman.settings import Configuration
from support.loopback_server import running_server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a share of the module's configuration shares."""
    folder = tmp_path / "share"
    folder.mkdir()
    return folder


@pytest.fixture
def configuration() -> Configuration:
    """What the Server of a test is told; a test that wants something else overrides it."""
    return Configuration(name="LANTEST")


@pytest.fixture
async def server(tmp_path: Path, configuration: Configuration) -> AsyncIterator[SmbServer]:
    """Our Server, running in the loop of the test."""
    async with running_server(tmp_path / "home", configuration) as server:
        yield server
