"""smbtorture's SMB2 suites against our Server: what has passed goes on passing (counts: docs/conformance.md)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from lanman.net.server import SmbServer
from lanman.settings import Configuration, ShareConfiguration
from support.loopback_server import PASSWORDS
from support.smbtorture import BESIDE, ONCE, RUNS, SUITES, expected_passes, run_beside, run_suite
from support.waiting import until

# Several, for what is run side by side.
SHARES = ["share", *(f"share{number}" for number in range(2, 9))]

pytestmark = [pytest.mark.samba("smbtorture"), pytest.mark.timeout(480)]


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    """As smbd is by default: smbtorture takes an unsigned STATUS_USER_SESSION_DELETED only where nothing must be
    signed."""
    shares = {}
    for name in SHARES:
        folder = tmp_path / f"folder of {name}"
        folder.mkdir()
        shares[name] = ShareConfiguration(str(folder))
    return Configuration(name="LANTEST", signing="offered", multichannel=True, shares=shares)


def nothing_is_open(server: SmbServer) -> bool:
    """Whether no session has anything open; some cases leave files behind that are kept for a while."""
    return all(opened.preserved for opened in server.service.opens())


@pytest.mark.parametrize("suite", BESIDE)
async def test_what_passed_beside_others_goes_on_passing(server: SmbServer, tmp_path: Path, suite: str) -> None:
    server.settings.current = replace(server.settings.current, directory_leases=True)
    login = f"ann%{PASSWORDS['ann']}"
    outcome = await asyncio.to_thread(
        run_beside, suite, "127.0.0.1", server.port, login, SHARES, timeout=400, directory=tmp_path
    )
    missing = expected_passes()[suite] - outcome.passed
    assert not missing, {case: outcome.failed.get(case, "skipped or not run") for case in missing}
    await until(lambda: nothing_is_open(server))


@pytest.mark.parametrize("suite", [suite for suite in SUITES if suite not in BESIDE])
async def test_what_passed_goes_on_passing(server: SmbServer, tmp_path: Path, suite: str) -> None:
    login = f"ann%{PASSWORDS['ann']}"
    missing = expected_passes()[suite]
    failed: dict[str, str] = {}
    for offer, multichannel in RUNS.get(suite, ONCE):
        server.settings.current = replace(server.settings.current, multichannel=multichannel)
        outcome = await asyncio.to_thread(
            run_suite,
            suite,
            "127.0.0.1",
            server.port,
            login,
            "share",
            timeout=400,
            directory=tmp_path,
            offer=offer,
        )
        missing -= outcome.passed
        failed |= outcome.failed
    assert not missing, {case: failed.get(case, "skipped or not run") for case in missing}
    await until(lambda: nothing_is_open(server))  # the end of smbtorture's connection may still be on its way
