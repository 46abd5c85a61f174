"""What doctor says of a log-on by Kerberos, with MIT's key distribution centre, at smbd and at our Server."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lanman.manage.doctor.report import Diagnosis, Finding, Verdict
from lanman.manage.doctor.run import doctor
from lanman.net.credentials import Credentials
from lanman.net.home import Home
from lanman.net.server import SmbServer
from lanman.settings import Configuration
from support.kdc import HOST, Realm, in_realm
from support.passwords import PASSWORD
from support.smbd import Samba, tool

pytestmark = pytest.mark.kerberos


@pytest.fixture
def realm() -> Iterator[Realm]:
    """A realm with this process in it, and no ticket."""
    with Realm() as realm, in_realm(realm):
        yield realm


def server(path: Path, realm: Realm) -> SmbServer:
    """Our Server with the keytab of the realm; its user may list."""
    running = SmbServer(Configuration(listen=("127.0.0.1",), port=0, keytab=str(realm.server_keytab)), Home(path))
    running.accounts.update(lambda accounts: accounts.add(realm.user_name, PASSWORD))
    running.accounts.update(lambda accounts: accounts.add_member("Administrators", realm.user_name))
    return running


def tickets(user_name: str = "", password: str | None = None) -> Credentials:
    return Credentials(user_name, password, kerberos=True)


def only(diagnosis: Diagnosis) -> Finding:
    (problem,) = diagnosis.problems
    assert problem.why
    assert problem.fix
    assert diagnosis.verdict() is Verdict.PROBLEMS
    return problem


async def test_tickets_that_do_and_do_not(realm: Realm, tmp_path: Path) -> None:
    async with server(tmp_path, realm) as running:

        async def examined(credentials: Credentials, host: str = HOST, **options: Any) -> Diagnosis:
            return await doctor(host, credentials, port=running.port, **{"deadline": 60, **options})

        problem = only(await examined(tickets()))
        assert (problem.id, problem.cause) == ("LD040", "no-ticket")
        assert "kinit" in (problem.fix or "")
        problem = only(await examined(tickets(realm.user_name, "wrong")))
        assert (problem.id, problem.cause) == ("LD044", "kerberos")
        assert "refuses the password" in problem.says
        realm.kinit()
        well = await examined(tickets())
        assert well.verdict() is Verdict.WELL
        assert "Kerberos as the ticket's user" in [finding.says for finding in well.findings]
        problem = only(await examined(tickets(), "127.0.0.1"))
        assert (problem.id, problem.cause) == ("LD044", "kerberos")
        assert "full name" in (problem.fix or "")
        realm.expire()
        problem = only(await examined(tickets()))
        assert "expired" in problem.says
        assert "kinit" in (problem.fix or "")
        problem = only(await examined(tickets("daemon@SILENT.TEST", "x"), deadline=3))
        assert (problem.id, problem.cause) == ("LD044", "kerberos")
        assert "key distribution centre" in problem.says


async def test_clocks_that_differ(realm: Realm, tmp_path: Path) -> None:
    realm.kinit()
    async with server(tmp_path, realm) as running:
        await asyncio.to_thread(realm.run, "kvno", f"cifs/{HOST}")  # so that the server is the one to see it
        done = await asyncio.to_thread(
            subprocess.run,
            [
                *(tool("faketime"), "-f", "+1h", sys.executable, "-m", "lanman"),
                *("doctor", "-S", f"{HOST}:{running.port}", "-k", "--json"),
            ],
            env={**os.environ, "FAKETIME_DONT_FAKE_MONOTONIC": "1"},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 3, done.stderr
    (problem,) = (finding for finding in json.loads(done.stdout)["findings"] if finding["mark"] == "problem")
    assert (problem["id"], problem["cause"]) == ("LD045", "skew")
    assert "behind this machine's" in problem["why"]
    assert abs(problem["evidence"]["seconds_ahead"] + 3600) < 120


@pytest.mark.samba
@pytest.mark.root
async def test_an_smbd_without_the_key(realm: Realm, start_samba: Callable[..., Samba]) -> None:
    realm.kinit()
    samba = await asyncio.to_thread(start_samba)
    problem = only(await doctor(HOST, tickets(), port=samba.port, deadline=60))
    assert problem.category == "log-on"
    assert problem.cause in ("ticket-refused", "kerberos")
