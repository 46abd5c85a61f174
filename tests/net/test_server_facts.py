"""What a server tells of itself, as it reaches those who ask a client or a link for it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lanman.manage.link import SmbLink, is_samba
from lanman.net.client import SmbClient
from lanman.net.credentials import Credentials
from lanman.net.server_facts import ServerFacts, is_lanman, new_server_guid
from support.loopback_server import PASSWORDS, running_server
from support.scripted_windows import ScriptedWindows, windows_2019, windows_2025
from support.smbd import Samba


async def told(host: str, port: int, credentials: Credentials) -> ServerFacts:
    async with SmbClient(host, port, credentials) as client:
        return client.facts


async def test_our_server(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        facts = await told("127.0.0.1", server.port, Credentials("ann", PASSWORDS["ann"]))
    assert (facts.dialect, facts.signing, facts.signing_required) == ("3.1.1", "AES-128-GMAC", True)
    assert facts.encryption.startswith("AES-")
    assert (facts.computer_name, facts.domain_name) == ("LANTEST", "LANTEST")
    assert is_lanman(facts.server_guid)
    assert not is_samba(facts.server_guid)
    for at in (facts.negotiate_time, facts.challenge_time):
        assert at is not None
        assert abs(at - time.time()) < 60


async def test_a_scripted_windows_says_its_build_its_domain_and_its_time() -> None:
    windows = windows_2025()
    windows.joined, windows.clock = "EXAMPLE", 3600.0
    async with ScriptedWindows(windows) as server:
        facts = await told(server.host, server.port, Credentials("admin", server.password))
    assert facts.version == (10, 0, 26100)
    assert (facts.computer_name, facts.domain_name, facts.dns_computer_name) == (
        "WIN2025",
        "EXAMPLE",
        "win2025.example",
    )
    assert not is_lanman(facts.server_guid)
    for at in (facts.negotiate_time, facts.challenge_time):
        assert at is not None
        assert 3500 < at - time.time() < 3700


async def test_a_wrong_password_leaves_what_was_told_before() -> None:
    async with ScriptedWindows(windows_2019()) as server:
        client = SmbClient(server.host, server.port, Credentials("admin", "wrong"))
        await client.connect()
        assert client.facts.version is None  # NTLM has said nothing yet
        with pytest.raises(Exception, match="incorrect"):
            await client.log_on()
        assert client.facts.version == (10, 0, 17763)
        await client.abort()


async def test_a_link_has_them_while_it_is_connected() -> None:
    async with ScriptedWindows(windows_2019()) as server:
        link = SmbLink(server.host, server.port, Credentials("admin", server.password))
        assert link.facts is None
        await link.connect()
        assert link.facts is not None
        assert link.facts.computer_name == "WIN2019"
        await link.close()
        assert link.facts is None


async def test_a_null_session_hears_them_too() -> None:
    async with ScriptedWindows(windows_2019()) as server:
        facts = await told(server.host, server.port, Credentials(anonymous=True))
    assert facts.version == (10, 0, 17763)


@pytest.mark.samba
@pytest.mark.root
async def test_smbd(samba: Samba) -> None:
    facts = await told(samba.host, samba.port, Credentials(samba.user.user_name, samba.user.password))
    assert (facts.dialect, facts.computer_name) == ("3.1.1", "SAMBA")
    assert is_samba(facts.server_guid)
    assert not is_lanman(facts.server_guid)
    assert facts.version == (6, 1, 0)  # Samba names Windows 7's version, and no build


def test_half_of_a_guid_of_ours_is_random() -> None:
    assert new_server_guid(lambda size: b"x" * size) == b"lanman\0\0xxxxxxxx"
    assert is_lanman(new_server_guid(bytes))
