"""smbtorture's SMB2 suites against our Server: what has passed goes on passing (counts: docs/conformance.md)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lanman.net.server import SmbServer
from lanman.settings import Configuration, ShareConfiguration
from support.loopback_server import PASSWORDS
from support.smbtorture import SUITES, expected_passes, run_suite
from support.waiting import until

pytestmark = [pytest.mark.samba("smbtorture"), pytest.mark.timeout(240)]


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    """As smbd is by default: smbtorture takes an unsigned STATUS_USER_SESSION_DELETED only where nothing must be
    signed."""
    folder = tmp_path / "share"
    folder.mkdir()
    return Configuration(name="LANTEST", signing="offered", shares={"share": ShareConfiguration(str(folder))})


@pytest.mark.parametrize("suite", SUITES)
async def test_what_passed_goes_on_passing(server: SmbServer, tmp_path: Path, suite: str) -> None:
    login = f"ann%{PASSWORDS['ann']}"
    outcome = await asyncio.to_thread(
        run_suite, suite, "127.0.0.1", server.port, login, "share", timeout=180, directory=tmp_path
    )
    missing = expected_passes()[suite] - outcome.passed
    assert not missing, {case: outcome.failed.get(case, "skipped or not run") for case in missing}
    await until(lambda: not server.service.opens())  # the end of smbtorture's connection may still be on its way
